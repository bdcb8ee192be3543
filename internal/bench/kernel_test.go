package main

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// arrives tells whether a SYN gets through: nobody listens, so the answer is a reset. What is dropped has no answer.
func arrives(t *testing.T, from *space, to netip.Addr, port int, limit time.Duration) bool {
	t.Helper()
	got := false
	err := from.do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		tv := unix.NsecToTimeval(int64(limit))
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv); err != nil {
			return err
		}
		err = unix.Connect(fd, &unix.SockaddrInet4{Addr: to.As4(), Port: port})
		got = errors.Is(err, unix.ECONNREFUSED)
		if got || errors.Is(err, unix.EINPROGRESS) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatalf("port %d of %s: %v", port, to, err)
	}
	return got
}

// The ruleset has to be in force, or the kernel router would have less to do than vpcemu.
func TestTheKernelRouterFilters(t *testing.T) {
	b := &bench{}
	c, err := b.bring(kernelName, pair())
	if err != nil {
		t.Fatalf("%v (it needs root and nft)", err)
	}
	defer func() {
		if err := c.down(); err != nil {
			t.Error(err)
		}
	}()
	for _, row := range []struct {
		from, to string
		port     int
		want     bool
	}{
		{"a", "b", 5001, true},
		{"a", "server", 5001, true},
		{"a", "b", 6000, false},      // by a's group
		{"b", "a", 5001, false},      // by b's group, which lets nothing out
		{"server", "a", 5001, false}, // has no public address
	} {
		limit := 10 * time.Second
		if !row.want {
			limit = 300 * time.Millisecond
		}
		if got := arrives(t, c.spaces[row.from], c.addrs[row.to], row.port, limit); got != row.want {
			t.Errorf("%s to port %d of %s arrives: %v, want %v", row.from, row.port, row.to, got, row.want)
		}
	}
}
