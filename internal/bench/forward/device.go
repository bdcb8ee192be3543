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
)

// headerLen is the length in bytes of the virtio-net header before each packet.
const headerLen = 10

const offloads = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_TSO_ECN | unix.TUN_F_USO4 | unix.TUN_F_USO6

// Device makes the TUN device name in the network namespace of the calling thread and returns its only queue, non-blocking. With super,
// packets have a virtio-net header and may be super-packets of TCP and UDP. The device goes with its namespace.
//
// songgao/water cannot ask for IFF_VNET_HDR: it makes a persistent device, and with no queue attached a device takes its flags from
// the next attach.
func Device(name string, super bool) (*os.File, error) {
	f, err := device(name, super)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	return f, nil
}

func device(name string, super bool) (*os.File, error) {
	// water does not mark its descriptor close-on-exec: with the lock, no program started now gets the queue.
	syscall.ForkLock.RLock()
	made, err := water.New(water.Config{DeviceType: water.TUN, PlatformSpecificParams: water.PlatformSpecificParams{
		Name: name, Persist: true, MultiQueue: true}})
	if err == nil {
		err = made.Close()
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/dev/net/tun", Err: err}
	}
	if err := attach(fd, name, super); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func attach(fd int, name string, super bool) error {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	flags := uint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_MULTI_QUEUE)
	if super {
		flags |= unix.IFF_VNET_HDR
	}
	req.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil || !super {
		return os.NewSyscallError("TUNSETIFF", err)
	}
	return errors.Join(os.NewSyscallError("TUNSETVNETHDRSZ", unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, headerLen)),
		os.NewSyscallError("TUNSETOFFLOAD", unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, offloads)))
}
