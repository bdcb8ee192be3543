// Package tun makes the TUN and TAP devices of a lab and attaches their queues with
// segmentation offload: every packet has a virtio-net header before it, and a TCP
// super-packet of up to 64 KiB crosses in one read and one write, uncut and with its
// checksum still partial (Linux Documentation/networking/tuntap.rst, virtio 1.3 5.1.6).
package tun

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/songgao/water"
	"golang.org/x/sys/unix"
)

// HeaderLen is the length in bytes of the virtio-net header before each packet.
const HeaderLen = 10

// What a queue may bring super-packets of; USO came with Linux 6.2.
const (
	offloadTCP = unix.TUN_F_CSUM | unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_TSO_ECN
	offloadAll = offloadTCP | unix.TUN_F_USO4 | unix.TUN_F_USO6
)

const device = "/dev/net/tun"

// Make makes the device name in the network namespace of the calling thread and
// returns its only queue, non-blocking, so that whoever gets a duplicate can poll it.
// The interface is still down. /dev/net/tun must be there.
//
// songgao/water cannot ask for IFF_VNET_HDR: it makes a persistent device, and with no
// queue attached a device takes its flags from the next attach. The device stays
// persistent: it goes when it is deleted, or with its network namespace.
func Make(name string, ethernet bool) (*os.File, error) {
	typ := water.DeviceType(water.TUN)
	if ethernet {
		typ = water.TAP
	}
	if err := makePersistent(name, typ, nil); err != nil {
		return nil, fmt.Errorf("device %s: %w", name, err)
	}
	queue, err := attach(name, ethernet)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("device %s: queue: %w", name, err), remove(name, ethernet))
	}
	return queue, nil
}

// MakeLabelled makes the TUN device name without a queue, in the network namespace of the
// calling thread. label is to mark the device as somebody's: until it has returned without an
// error the device goes with the process, so that a crash leaves none that nobody knows.
func MakeLabelled(name string, label func() error) error {
	if err := makePersistent(name, water.TUN, label); err != nil {
		return fmt.Errorf("device %s: %w", name, err)
	}
	return nil
}

// Attach opens a queue of the TUN device name, which has none, as Make does.
func Attach(name string) (*os.File, error) {
	queue, err := attach(name, false)
	if err != nil {
		return nil, fmt.Errorf("device %s: queue: %w", name, err)
	}
	return queue, nil
}

// makePersistent leaves a device without a queue. water does not mark its descriptor close-on-exec: with the
// lock, no program started at this moment gets a queue.
func makePersistent(name string, typ water.DeviceType, label func() error) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	dev, err := water.New(water.Config{DeviceType: typ, PlatformSpecificParams: water.PlatformSpecificParams{
		Name: name, Persist: label == nil, MultiQueue: true}})
	if err != nil {
		return err
	}
	if label != nil {
		err = label()
	}
	if f, ok := dev.ReadWriteCloser.(*os.File); ok && err == nil && label != nil {
		err = os.NewSyscallError("TUNSETPERSIST", unix.IoctlSetInt(int(f.Fd()), unix.TUNSETPERSIST, 1))
	}
	return errors.Join(err, dev.Close())
}

// attach opens a queue of the device that has none.
func attach(name string, ethernet bool) (*os.File, error) {
	fd, err := open(name, ethernet, unix.IFF_VNET_HDR)
	if err != nil {
		return nil, err
	}
	if err := setHeader(fd); err != nil {
		unix.Close(fd)
		return nil, err
	}
	if _, err := setOffload(fd); err != nil {
		unix.Close(fd)
		return nil, err
	}
	// Made while it blocks, the file stays out of the runtime's poller: a holder that
	// does not read would be woken for every packet.
	f := os.NewFile(uintptr(fd), name)
	if err := unix.SetNonblock(fd, true); err != nil {
		f.Close()
		return nil, os.NewSyscallError("fcntl", err)
	}
	return f, nil
}

func open(name string, ethernet bool, more uint16) (int, error) {
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: device, Err: err}
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		flags := uint16(unix.IFF_TUN)
		if ethernet {
			flags = unix.IFF_TAP
		}
		req.SetUint16(flags | unix.IFF_NO_PI | unix.IFF_MULTI_QUEUE | more)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("TUNSETIFF", err)
	}
	return fd, nil
}

// setHeader fixes length and byte order of the virtio-net header.
func setHeader(fd int) error {
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, HeaderLen); err != nil {
		return os.NewSyscallError("TUNSETVNETHDRSZ", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETLE, 1); err != nil {
		return os.NewSyscallError("TUNSETVNETLE", err)
	}
	return nil
}

// setOffload asks for all super-packets, or for those of TCP where the kernel does not
// know UDP's.
func setOffload(fd int) (udp bool, err error) {
	if unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, offloadAll) == nil {
		return true, nil
	}
	return false, os.NewSyscallError("TUNSETOFFLOAD", unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, offloadTCP))
}

// remove deletes a device that nobody has configured yet, by taking its persistence
// away while no other queue is attached.
func remove(name string, ethernet bool) error {
	fd, err := open(name, ethernet, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return os.NewSyscallError("TUNSETPERSIST", unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 0))
}

// Features are what a queue carries.
type Features struct {
	Ethernet bool // frames (TAP) and not IP packets (TUN)
	Header   bool // a virtio-net header before each
	UDP      bool // super-packets of UDP, too (USO)
}

// FeaturesOf asks the kernel what the queue f, which may be another process's, carries.
// A descriptor that is no TUN or TAP queue has none.
func FeaturesOf(f *os.File) (Features, error) {
	raw, err := f.SyscallConn() // Fd() would make the file blocking
	if err != nil {
		return Features{}, err
	}
	var got Features
	var failed error
	err = raw.Control(func(fd uintptr) { got, failed = featuresOf(int(fd)) })
	return got, errors.Join(err, failed)
}

func featuresOf(fd int) (Features, error) {
	req, err := unix.NewIfreq("")
	if err != nil {
		return Features{}, err
	}
	if unix.IoctlIfreq(fd, unix.TUNGETIFF, req) != nil {
		return Features{}, nil
	}
	flags := req.Uint16()
	f := Features{Ethernet: flags&unix.IFF_TAP != 0, Header: flags&unix.IFF_VNET_HDR != 0}
	if !f.Header {
		return f, nil
	}
	// Whoever attached the queue may have been an older program.
	if err := setHeader(fd); err != nil {
		return f, err
	}
	f.UDP, err = setOffload(fd)
	return f, err
}
