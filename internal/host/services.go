package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/thread"
	"github.com/vpcemu/vpcemu/internal/tun"
)

// Services is the network namespace in which a VPC's own servers (the resolver)
// listen on ordinary sockets. It has no name: it lives as long as the daemon that
// made it and leaves nothing behind when that is killed.
type Services struct {
	// Queue is the network's end of the namespace's only device, see package tun.
	Queue *os.File
	calls chan func()
}

const servicesDevice = "vpc0"

// NewServices makes the namespace with a TUN device that holds the addresses and
// carries every other packet to Queue. mtu is in bytes.
func NewServices(addrs []netip.Addr, mtu int) (*Services, error) {
	s := &Services{calls: make(chan func())}
	ready := make(chan error)
	thread.Go(func() { s.serve(addrs, mtu, ready) })
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("services namespace: %w", err)
	}
	return s, nil
}

// serve runs the calls on a thread that has entered the namespace and ends with
// it, so that nothing else can run in the wrong namespace.
func (s *Services) serve(addrs []netip.Addr, mtu int, ready chan<- error) {
	err := unix.Unshare(unix.CLONE_NEWNET)
	if err == nil {
		err = s.configure(addrs, mtu)
	}
	ready <- err
	if err != nil {
		return
	}
	for call := range s.calls {
		call()
	}
}

func (s *Services) configure(addrs []netip.Addr, mtu int) (err error) {
	// Without it the kernel sends router solicitations into the VPC. A kernel
	// without IPv6 has no such file, and nothing to switch off.
	err = os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("disable_ipv6: %w", err)
	}
	queue, err := tun.Make(servicesDevice, false)
	if err != nil {
		return err
	}
	s.Queue = queue
	defer func() {
		if err != nil {
			queue.Close()
		}
	}()
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	defer nl.Close()
	if lo, e := nl.LinkByName("lo"); e != nil {
		return fmt.Errorf("device lo: %w", e)
	} else if e := nl.LinkSetUp(lo); e != nil {
		return fmt.Errorf("device lo: %w", e)
	}
	link, err := nl.LinkByName(servicesDevice)
	if err != nil {
		return fmt.Errorf("device vpc0: %w", err)
	}
	for _, a := range addrs {
		ip := &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}}
		if err := nl.AddrAdd(link, ip); err != nil {
			return fmt.Errorf("device vpc0: address %s: %w", a, err)
		}
	}
	if err := nl.LinkSetMTU(link, mtu); err != nil {
		return fmt.Errorf("device vpc0: mtu %d: %w", mtu, err)
	}
	if err := nl.LinkSetUp(link); err != nil {
		return fmt.Errorf("device vpc0: up: %w", err)
	}
	all := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	if err := nl.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: all}); err != nil {
		return fmt.Errorf("device vpc0: default route: %w", err)
	}
	return nil
}

// ListenPacket opens a UDP socket inside the namespace.
func (s *Services) ListenPacket(addr netip.AddrPort) (c net.PacketConn, err error) {
	s.do(func() { c, err = (&net.ListenConfig{}).ListenPacket(context.Background(), "udp4", addr.String()) })
	return c, err
}

// Listen opens a TCP socket inside the namespace.
func (s *Services) Listen(addr netip.AddrPort) (l net.Listener, err error) {
	s.do(func() { l, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp4", addr.String()) })
	return l, err
}

func (s *Services) do(f func()) {
	done := make(chan struct{})
	s.calls <- func() { defer close(done); f() }
	<-done
}

// Close ends the namespace once its sockets are closed as well.
func (s *Services) Close() error {
	close(s.calls)
	if err := s.Queue.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("services namespace: %w", err)
	}
	return nil
}
