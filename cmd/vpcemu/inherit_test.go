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
	out, err := exec.Command("sh", "-c", "ls /proc/$$/fd | grep -vx '[012]'; true").Output()
	if err != nil || len(out) > 0 {
		t.Errorf("a child has open: %q, %v", out, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
}
