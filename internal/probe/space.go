package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/thread"
)

// in runs open on a thread inside the network namespace at path, such as /run/netns/NAME.
func in(path string, open func() error) error {
	done := make(chan error, 1)
	thread.Go(func() {
		done <- func() error {
			ns, err := os.Open(path)
			if err != nil {
				return err
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("network namespace %s: %w", path, err)
			}
			return open()
		}()
	})
	return <-done
}

// socket is a non-blocking socket that Go's poller waits for.
type socket struct {
	f  *os.File
	rc syscall.RawConn
}

// newSocket opens a socket in the namespace of the thread that calls it.
func newSocket(domain, typ, proto int) (*socket, error) {
	fd, err := unix.Socket(domain, typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &socket{f: os.NewFile(uintptr(fd), "socket")}
	if s.rc, err = s.f.SyscallConn(); err != nil {
		s.f.Close()
		return nil, err
	}
	return s, nil
}

// Close ends reads that wait.
func (s *socket) Close() {
	if s != nil {
		s.f.Close()
	}
}

// do runs f with the descriptor.
func (s *socket) do(f func(fd int) error) error {
	var err error
	if e := s.rc.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return e
	}
	return err
}

// read waits for a packet, or until the socket is closed.
func (s *socket) read(buf []byte) (n int, from unix.Sockaddr, err error) {
	e := s.rc.Read(func(fd uintptr) bool {
		n, from, err = unix.Recvfrom(int(fd), buf, 0)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	if e != nil {
		return 0, nil, e
	}
	return n, from, err
}

// filter lets only packets through that prog accepts.
func (s *socket) filter(prog []bpf.Instruction) error {
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return s.do(func(fd int) error {
		return os.NewSyscallError("SO_ATTACH_FILTER", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}))
	})
}

func sockaddr(a netip.Addr, port uint16) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Addr: a.As4(), Port: int(port)}
}

// local is the address that the socket has.
func (s *socket) local() (a netip.AddrPort, err error) {
	err = s.do(func(fd int) error {
		sa, err := unix.Getsockname(fd)
		if v4, ok := sa.(*unix.SockaddrInet4); ok {
			a = netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), uint16(v4.Port))
		}
		return os.NewSyscallError("getsockname", err)
	})
	return a, err
}
