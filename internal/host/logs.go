package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/internal/guest/disk"
	"github.com/vpcemu/vpcemu/internal/guest/unit"
)

// openConsole opens the logs of an instance's console and writes that a boot begins.
func openConsole(dir string, boot int) (log, old *os.File, err error) {
	if old, err = os.OpenFile(filepath.Join(dir, disk.OldConsole), os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return nil, nil, err
	}
	log, err = os.OpenFile(filepath.Join(dir, disk.Console), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err == nil {
		_, err = fmt.Fprintf(log, "%s vpcemu: boot %d\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), boot)
	}
	if err != nil {
		if log != nil {
			log.Close()
		}
		old.Close()
		return nil, nil, err
	}
	return log, old, nil
}

// bootLine is what openConsole writes.
var bootLine = regexp.MustCompile(`(?m)^\S+Z vpcemu: boot [0-9]+$`)

// ReadConsole gives the console's log of an instance, running or not, by the state directory of its lab: the latest
// megabyte or two of all its boots. It fails with fs.ErrNotExist where the instance has never been started.
func ReadConsole(stateDir, id string) ([]byte, error) {
	text, _, err := readConsole(stateDir, id)
	return text, err
}

// maxConsoleRead bounds what is read of each file, in bytes: root of an instance can make them as long as it likes,
// through PID 1's descriptors.
const maxConsoleRead = 2 * disk.MaxConsole

// readFrom reads a file from a place on, of much the end alone, and tells up to where.
func readFrom(path string, at int64) (text []byte, end int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	at = max(at, fi.Size()-maxConsoleRead)
	text, err = io.ReadAll(io.NewSectionReader(f, at, fi.Size()-at))
	return text, at + int64(len(text)), err
}

// readConsole also tells up to where it has read the newer file.
func readConsole(stateDir, id string) (text []byte, size int64, err error) {
	if !validName(id) {
		return nil, 0, fmt.Errorf("instance %q: not an ID", id)
	}
	dir := filepath.Join(stateDir, "disks", id)
	old, err := readTail(filepath.Join(dir, disk.OldConsole), maxConsoleRead)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, err
	}
	log, size, err := readFrom(filepath.Join(dir, disk.Console), 0)
	if err != nil {
		return nil, 0, err
	}
	return append(old, log...), size, nil
}

// Boots splits a console's log at its boots, the latest last.
func Boots(log []byte) (boots [][]byte) {
	starts := bootLine.FindAllIndex(log, -1)
	if len(starts) == 0 || starts[0][0] > 0 {
		starts = append([][]int{{0, 0}}, starts...)
	}
	for i, s := range starts {
		end := len(log)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		boots = append(boots, log[s[0]:end])
	}
	return boots
}

// followLook is how often a log that is followed is looked at.
const followLook = 200 * time.Millisecond

// FollowConsole is ReadConsole, given to show once, and then what comes, until ctx ends or the disk goes.
func FollowConsole(ctx context.Context, stateDir, id string, show func(text []byte) error) error {
	text, at, err := readConsole(stateDir, id)
	if err != nil {
		return err
	}
	if err := show(text); err != nil {
		return err
	}
	tick := time.NewTicker(followLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		more, size, err := consoleFrom(stateDir, id, at)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // terminated
		}
		if err != nil {
			return err
		}
		at = size
		if len(more) == 0 {
			continue
		}
		if err := show(more); err != nil {
			return err
		}
	}
}

// consoleFrom reads what came behind a place in the newer file, in the older one first if that place is there by now.
func consoleFrom(stateDir, id string, at int64) (more []byte, size int64, err error) {
	dir := filepath.Join(stateDir, "disks", id)
	path := filepath.Join(dir, disk.Console)
	fi, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if fi.Size() < at {
		if more, _, err = readFrom(filepath.Join(dir, disk.OldConsole), at); err != nil {
			return nil, 0, err
		}
		at = 0
	}
	rest, size, err := readFrom(path, at)
	return append(more, rest...), size, err
}

// ReadUnitLog gives the log of a service from the disk of an instance that does not run. No link of the instance's
// leads out of the disk.
func ReadUnitLog(stateDir, id, name string) ([]byte, error) {
	if !validName(id) {
		return nil, fmt.Errorf("instance %q: not an ID", id)
	}
	file := strings.TrimSuffix(name, ".service") + ".log"
	if file != filepath.Base(file) {
		return nil, fmt.Errorf("service %q: not a name", name)
	}
	root, err := os.OpenRoot(filepath.Join(stateDir, "disks", id))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	dir := strings.TrimPrefix(unit.LogDir, "/")
	// Where /var or /var/log are file systems of their own on the host, they have layers of their own.
	for _, place := range []string{"upper/" + dir, "mounts/var/upper/" + strings.TrimPrefix(dir, "var/"), "mounts/var%2Flog/upper/" + filepath.Base(dir)} {
		text, err := readRegular(root, filepath.Join(place, file))
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return text, err
		}
	}
	return nil, fmt.Errorf("service %s has no log there: %w", name, fs.ErrNotExist)
}

// maxUnitLogRead bounds what is read of a service's log, in bytes.
const maxUnitLogRead = 64 << 20

// readRegular does not wait for a pipe that somebody put in the file's place, and reads the end alone of a file that
// is longer than any log.
func readRegular(root *os.Root, path string) ([]byte, error) {
	fi, err := root.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	f, err := root.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.NewSectionReader(f, max(0, fi.Size()-maxUnitLogRead), maxUnitLogRead))
}
