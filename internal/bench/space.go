package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// space is a network namespace that has no name and no mount: it goes with the last process that holds it, however that ends.
type space struct {
	name string
	f    *os.File
	nl   *netlink.Handle
}

// newSpace makes one.
func newSpace(name string) (*space, error) {
	type made struct {
		f   *os.File
		err error
	}
	done := make(chan made)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- made{err: os.NewSyscallError("unshare", err)}
			return
		}
		f, err := os.Open("/proc/thread-self/ns/net")
		done <- made{f, err}
	}()
	m := <-done
	if m.err != nil {
		return nil, fmt.Errorf("network namespace %s: %w", name, m.err)
	}
	return holdSpace(name, m.f)
}

// openSpace opens one that has a name.
func openSpace(name, path string) (*space, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("network namespace %s: %w", name, err)
	}
	return holdSpace(name, f)
}

func holdSpace(name string, f *os.File) (*space, error) {
	nl, err := netlink.NewHandleAt(netns.NsHandle(f.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("network namespace %s: %w", name, err)
	}
	return &space{name: name, f: f, nl: nl}, nil
}

func (s *space) close() {
	s.nl.Close()
	s.f.Close()
}

// do calls f on a thread that is in the namespace.
func (s *space) do(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		err := unix.Setns(int(s.f.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		return fmt.Errorf("network namespace %s: %w", s.name, err)
	}
	return nil
}

// start starts a program in the namespace.
func (s *space) start(cmd *exec.Cmd) error { return s.do(cmd.Start) }

// sysctl sets a value of the namespace, such as net/ipv4/ip_forward.
func (s *space) sysctl(name, value string) error {
	return s.do(func() error { return os.WriteFile("/proc/sys/"+name, []byte(value), 0) })
}

// configure brings a device up with its MTU, its address and, where there is one, a default route. Without a next hop the
// default route is the device itself.
func (s *space) configure(name string, mtu int, addr netip.Prefix, router netip.Addr, isDefault bool) error {
	link, err := s.nl.LinkByName(name)
	if err != nil {
		return fmt.Errorf("%s: device %s: %w", s.name, name, err)
	}
	steps := []func() error{
		func() error { return s.nl.LinkSetMTU(link, mtu) },
		func() error {
			return s.nl.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: addr.Addr().AsSlice(), Mask: net.CIDRMask(addr.Bits(), 32)}})
		},
		func() error { return s.nl.LinkSetUp(link) },
		func() error {
			if !isDefault {
				return nil
			}
			r := &netlink.Route{LinkIndex: link.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}}
			if router.IsValid() {
				r.Scope, r.Gw = netlink.SCOPE_UNIVERSE, router.AsSlice()
			}
			return s.nl.RouteAdd(r)
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("%s: device %s: %w", s.name, name, err)
		}
	}
	return nil
}

// wire makes a veth pair between two namespaces.
func wire(a *space, aName string, b *space, bName string) error {
	v := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: aName}, PeerName: bName, PeerNamespace: netlink.NsFd(b.f.Fd())}
	if err := a.nl.LinkAdd(v); err != nil {
		return fmt.Errorf("veth %s in %s: %w", aName, a.name, err)
	}
	return nil
}

// decode reads one JSON value.
func decode[T any](b []byte) (v T, err error) {
	err = json.Unmarshal(b, &v)
	return v, err
}
