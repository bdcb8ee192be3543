// Package forward is the two forwarders that vpcemu is measured against in user space: the bare one, which is the limit of what any
// process between TUN devices can do, and the naive one, which is how a first version would be written.
package forward

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/songgao/water"
	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/tun"
)

// headerLen is the length in bytes of the virtio-net header before each packet.
const headerLen = tun.HeaderLen

// Device makes the TUN device name in the network namespace of the calling thread and returns its only queue, non-blocking. With super,
// packets have a virtio-net header and may be super-packets of TCP and UDP, as those of a lab. The device goes with its namespace.
func Device(name string, super bool) (*os.File, error) {
	if super {
		return tun.Make(name, false)
	}
	f, err := plain(name)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	return f, nil
}

// plain is a device as songgao/water makes it by itself: a packet a call.
func plain(name string) (*os.File, error) {
	// water does not mark its descriptor close-on-exec: with the lock, no program started now gets the queue.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	made, err := water.New(water.Config{DeviceType: water.TUN, PlatformSpecificParams: water.PlatformSpecificParams{Name: name}})
	if err != nil {
		return nil, err
	}
	f, ok := made.ReadWriteCloser.(*os.File)
	if !ok {
		made.Close()
		return nil, fmt.Errorf("water gave a %T, and no file", made.ReadWriteCloser)
	}
	defer f.Close()
	return unpolled(f, name)
}

// unpolled is a duplicate of f that the runtime's poller does not know: the process that makes the device keeps it, and would be woken for
// each packet that another forwards.
func unpolled(f *os.File, name string) (*os.File, error) {
	raw, err := f.SyscallConn() // Fd() would make the file blocking
	if err != nil {
		return nil, err
	}
	var dup *os.File
	var failed error
	err = raw.Control(func(fd uintptr) {
		var n int
		if n, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); failed != nil {
			return
		}
		failed = unix.SetNonblock(n, false) // while the file is made
		dup = os.NewFile(uintptr(n), name)
		failed = errors.Join(failed, unix.SetNonblock(n, true))
	})
	return dup, errors.Join(err, failed)
}
