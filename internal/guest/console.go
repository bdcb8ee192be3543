package guest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/vpcemu/vpcemu/internal/guest/disk"
)

// console is the log that outlives the instance: two files of the host's beside the disk, of which PID 1 has
// nothing but descriptors. That is why the old one is written anew where others would rename the full one.
type console struct {
	mu       sync.Mutex
	log, old *os.File // log is opened to append, and readable
}

func newConsole(log, old *os.File) *console { return &console{log: log, old: old} }

// bound keeps the log small: what it holds when it is full becomes the old log, whose former content goes.
func (c *console) bound() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	fi, err := c.log.Stat()
	if err != nil || !fi.Mode().IsRegular() || fi.Size() < disk.MaxConsole {
		return err
	}
	skip := max(0, fi.Size()-disk.MaxConsole) // of a program that wrote here itself
	if err := c.old.Truncate(0); err != nil {
		return err
	}
	_, err = io.Copy(io.NewOffsetWriter(c.old, 0), io.NewSectionReader(c.log, skip, fi.Size()-skip))
	return errors.Join(err, c.log.Truncate(0)) // a full disk costs the log, not the instance
}

// logf writes a line to the console's log.
func (g *guest) logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s vpcemu-guest: %s\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), fmt.Sprintf(format, args...))
	if err := g.console.bound(); err != nil {
		fmt.Fprintf(os.Stderr, "console's log: %v\n", err)
	}
}
