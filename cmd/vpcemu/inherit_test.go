package main

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// As in `vpcemu up book 9>lock`: the daemon that this starts outlives the lock.
func TestKeepInherited(t *testing.T) {
	fd, err := unix.Open(os.DevNull, unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := keepInherited(); err != nil {
		t.Fatal(err)
	}
	// The pattern's own descriptor is closed by the time that the loop looks; a pipe's would not be.
	out, err := exec.Command("sh", "-c", `for f in /proc/$$/fd/[3-9]*; do if [ -e "$f" ]; then echo "$f"; fi; done`).Output()
	if err != nil || len(out) > 0 {
		t.Errorf("a child has open: %q, %v", out, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
}
