package unit

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// boundLook is the shortest time between two looks at logs that are being written.
const boundLook = 100 * time.Millisecond

// BoundLogs keeps the logs of units below root from growing beyond maxLog while their programs run, and returns only
// when it cannot. It sleeps while nobody writes.
func BoundLogs(root string) error {
	dir := filepath.Join(root, LogDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("inotify: %w", err)
	}
	defer unix.Close(fd)
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MODIFY); err != nil {
		return fmt.Errorf("inotify: %s: %w", dir, err)
	}
	events := make([]byte, 64<<10)
	for {
		if _, err := unix.Read(fd, events); err != nil && err != unix.EINTR {
			return fmt.Errorf("inotify: %w", err)
		}
		logs, _ := filepath.Glob(filepath.Join(dir, "*.log"))
		for _, path := range logs {
			if err := putAside(path); err != nil {
				return err
			}
		}
		time.Sleep(boundLook)
	}
}

// putAside moves what a full log holds into the old log, whose former content goes. The programs have it open to
// append, so that it cannot be renamed: they go on at its new end.
func putAside(path string) error {
	fi, err := os.Lstat(path)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() <= maxLog {
		return nil
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	old := strings.TrimSuffix(path, ".log") + ".log.1"
	if err := os.Remove(old); err != nil && !os.IsNotExist(err) {
		return err
	}
	aside, err := os.OpenFile(old, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer aside.Close()
	// Where the disk is full the log itself goes: that is what makes room.
	_, _ = io.Copy(aside, io.NewSectionReader(f, fi.Size()-maxLog, maxLog))
	return f.Truncate(0)
}
