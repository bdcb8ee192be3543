package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// furniture are the directories that programs count on, by the Filesystem Hierarchy Standard. A root file system
// may come without: a tree of busybox has /bin alone.
var furniture = []struct {
	path string
	mode uint32
}{
	{"/etc", 0o755}, {"/home", 0o755}, {"/root", 0o700}, {"/tmp", 0o1777},
	{"/var", 0o755}, {"/var/lib", 0o755}, {"/var/log", 0o755}, {"/var/tmp", 0o1777},
}

// furnish makes what is missing of the above, and the way from /var/run to /run.
func furnish() error {
	for _, f := range furniture {
		if err := os.Mkdir(f.path, 0o755); errors.Is(err, fs.ErrExist) {
			continue
		} else if err != nil {
			return err
		}
		if err := unix.Chmod(f.path, f.mode); err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
	}
	if err := os.Symlink("/run", "/var/run"); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// addRoot puts root before everybody else in a passwd(5) that has no such user.
func addRoot(text string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "root:") {
			return text
		}
	}
	return "root:x:0:0:root:/root:" + loginShell() + "\n" + text
}

// loginShell is the shell of a user that is made here.
func loginShell() string {
	if executable("/bin/bash") == nil {
		return "/bin/bash"
	}
	return "/bin/sh"
}
