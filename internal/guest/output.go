package guest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// maxOnConsole is how much of what user data's programs write comes to the console as well, in bytes a stage of
// the boot; all of it is in the log.
const maxOnConsole = 1 << 20

// output is where the programs of user data write: the log itself, so that one that lives on needs nobody to
// listen. What comes into it until Close is copied to the console.
type output struct {
	log  *os.File // the console itself where there is no log
	logf func(string, ...any)
	stop chan struct{}

	mu   sync.Mutex
	at   int64 // up to which the console has it
	left int64 // that the console still takes
}

// openOutput appends to the log at path.
func openOutput(path string, logf func(string, ...any)) *output {
	o := &output{logf: logf, stop: make(chan struct{}), left: maxOnConsole}
	fd, err := syscall.Open(path, syscall.O_CREAT|syscall.O_RDWR|syscall.O_APPEND|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0o640)
	if err != nil {
		logf("user data: %v; its output is here alone", &os.PathError{Op: "open", Path: path, Err: err})
		o.log, o.left = os.Stderr, 0
		return o
	}
	o.log = os.NewFile(uintptr(fd), path)
	fi, err := o.log.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		logf("user data: %s is no regular file; the output is here alone", path)
		o.log.Close()
		o.log, o.left = os.Stderr, 0
		return o
	}
	o.at = fi.Size()
	go o.follow()
	return o
}

// follow copies to the console while programs are at work.
func (o *output) follow() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			o.copy()
		case <-o.stop:
			return
		}
	}
}

// copy brings the console up to date.
func (o *output) copy() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.left == 0 {
		return
	}
	n, err := io.Copy(os.Stderr, io.NewSectionReader(o.log, o.at, o.left))
	o.at += n
	if o.left -= n; o.left == 0 {
		o.logf("user data: more output is in %s of the instance only", o.log.Name())
	}
	if err != nil && !errors.Is(err, os.ErrClosed) {
		o.logf("user data: %v", err)
	}
}

// line writes a line in the order of what the programs write.
func (o *output) line(format string, a ...any) {
	if _, err := fmt.Fprintf(o.log, format+"\n", a...); err != nil {
		o.logf("user data: %v: "+format, append([]any{err}, a...)...)
	}
}

// Close ends what is written from here, and brings the console up to date.
func (o *output) Close() {
	close(o.stop)
	o.copy()
	if o.log != os.Stderr {
		o.log.Close()
	}
}
