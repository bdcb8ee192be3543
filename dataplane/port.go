package dataplane

import "syscall"

// A Port is one end of a link: TUN, TAP, the services namespace, or memory in tests.
//
// Read and Write carry one packet a call, shaped as Features says. Read is called by
// one goroutine; Write by several at once, and must not block. Close makes a pending
// Read return an error. A Port is comparable: the engine knows ports by identity (use
// pointers).
type Port interface {
	Read(b []byte) (int, error)
	Write(b []byte) (int, error)
	Close() error
	Features() Features
	String() string
}

// A Queue is a Port with a descriptor: the engine's workers wait for many of them at
// once. Its Read does not block, but returns ErrAgain where nothing is there.
type Queue interface {
	Port
	// Descriptor is what epoll watches. It stays the same until Close.
	Descriptor() int
}

// ErrAgain is what a Queue's Read returns when it has no packet.
var ErrAgain error = syscall.EAGAIN

// Features are the shape of what a port carries. They do not change.
type Features struct {
	// Ethernet: frames (TAP), and not IP packets (TUN).
	Ethernet bool
	// Header: a virtio-net header of packet.VnetLen bytes before each, little-endian
	// (virtio 1.3 5.1.6). Such a port takes and gives TCP super-packets and partial
	// checksums. To one without, the engine writes what would be on the wire.
	Header bool
	// UDP: super-packets of UDP, too (USO). Only with Header.
	UDP bool
}
