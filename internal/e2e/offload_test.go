package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/thread"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// station is a network namespace that ends with the test, whose only device besides
// lo is a TUN with offloads; the test is at the device's other end.
type station struct {
	tun  *os.File
	addr [2]netip.Addr // IPv4, IPv6
	do   chan func()
}

// run runs f in the namespace and waits for it.
func (p *station) run(f func()) {
	done := make(chan struct{})
	p.do <- func() { defer close(done); f() }
	<-done
}

// newStation makes a namespace with the address number last, and a route to everything.
func newStation(t *testing.T, last byte) *station {
	t.Helper()
	p := &station{do: make(chan func()), addr: [2]netip.Addr{
		netip.AddrFrom4([4]byte{10, 77, 0, last}), netip.AddrFrom16([16]byte{0: 0xfd, 15: last}),
	}}
	failed := make(chan error)
	thread.Go(func() {
		failed <- p.setUp()
		for f := range p.do {
			f()
		}
	})
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.tun.Close()
		close(p.do)
	})
	return p
}

func (p *station) setUp() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	if err := p.open(); err != nil {
		return err
	}
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	for i, bits := range []int{32, 128} {
		a := &netlink.Addr{IPNet: &net.IPNet{IP: p.addr[i].AsSlice(), Mask: net.CIDRMask(bits, bits)}, Flags: unix.IFA_F_NODAD}
		if err := netlink.AddrAdd(link, a); err != nil {
			return err
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	for _, all := range []string{"0.0.0.0/0", "::/0"} {
		_, dst, _ := net.ParseCIDR(all)
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst, Scope: netlink.SCOPE_LINK}); err != nil {
			return err
		}
	}
	return nil
}

func (p *station) open() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	req, err := unix.NewIfreq("eth0")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return err
	}
	little := int32(1)
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETVNETLE, uintptr(unsafe.Pointer(&little))); e != 0 {
		return e
	}
	p.tun = os.NewFile(uintptr(fd), "tun") // not earlier: a poller does not hear of a device attached later
	return unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD,
		unix.TUN_F_CSUM|unix.TUN_F_TSO4|unix.TUN_F_TSO6|unix.TUN_F_TSO_ECN|unix.TUN_F_USO4|unix.TUN_F_USO6)
}

// mover carries what one station sends to another.
type mover struct {
	cut    bool         // super-packets go on as packets of their own
	supers atomic.Int64 // super-packets seen
}

func (m *mover) move(t *testing.T, from, to *station) {
	buf, scratch, single := make([]byte, packet.VnetLen+1<<16), make([]byte, 1<<16), make([]byte, packet.VnetLen+1<<16)
	for {
		n, err := from.tun.Read(buf)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			t.Errorf("reading the device: %v", err)
			return
		}
		var h packet.Header
		if why := h.Parse(buf[packet.VnetLen:n]); why != 0 {
			t.Errorf("% x: %v", buf[:n], why)
			return
		}
		o, why := h.ReadVnet(buf, 0)
		if why != 0 {
			t.Errorf("% x, %v: %v", buf[:packet.VnetLen], h.Tuple, why)
			return
		}
		if o.GSO != packet.GSONone {
			m.supers.Add(1)
		}
		if !m.cut {
			h.PutVnet(buf, o, 0)
			write(t, to, buf[:n])
			continue
		}
		err = packet.Segment(scratch, &h, o, func(b []byte) {
			if err := packet.VerifyChecksums(b); err != nil {
				t.Error(err)
			}
			clear(single[:packet.VnetLen])
			write(t, to, single[:packet.VnetLen+copy(single[packet.VnetLen:], b)])
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func write(t *testing.T, to *station, b []byte) {
	if _, err := to.tun.Write(b); err != nil && !errors.Is(err, os.ErrClosed) {
		t.Errorf("writing the device % x: %v", b[:packet.VnetLen], err)
	}
}

// eachWay runs f with super-packets handed on and with super-packets cut, for both families.
func eachWay(t *testing.T, f func(t *testing.T, a, b *station, family int, m *mover)) {
	for _, cut := range []bool{false, true} {
		for family, name := range []string{"IPv4", "IPv6"} {
			if cut {
				name += " cut"
			}
			t.Run(name, func(t *testing.T) {
				a, b, m := newStation(t, 1), newStation(t, 2), &mover{cut: cut}
				var moving sync.WaitGroup
				moving.Go(func() { m.move(t, a, b) })
				moving.Go(func() { m.move(t, b, a) })
				ready(t, a, b, family)
				f(t, a, b, family, m)
				a.tun.Close()
				b.tun.Close()
				moving.Wait()
				if m.supers.Load() == 0 {
					t.Error("the kernel made no super-packet")
				}
			})
		}
	}
}

// ready sends small datagrams from a to b until one arrives.
func ready(t *testing.T, a, b *station, family int) {
	t.Helper()
	in := listenUDP(t, b, family, 54) // not the test's own: more than one may arrive
	defer in.Close()
	var c net.Conn
	var err error
	a.run(func() { c, err = net.Dial("udp", in.LocalAddr().String()) })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	untilOneArrives(t, in, func() {
		if _, err := c.Write([]byte("ready?")); err != nil {
			t.Fatal(err)
		}
	})
}

// untilOneArrives repeats send: a kernel sets up carrier and the routes to IPv6 addresses in work
// queues, up to a second later where other links change too, and drops what comes before.
func untilOneArrives(t *testing.T, in *net.UDPConn, send func()) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; {
		send()
		_ = in.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_, err := in.Read(make([]byte, 8))
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no datagram arrives:", err)
		}
	}
}

// A real TCP connection passes through the code for super-packets unharmed.
func TestOffload_TCP(t *testing.T) {
	eachWay(t, func(t *testing.T, a, b *station, family int, _ *mover) {
		sent := make([]byte, 8<<20)
		if _, err := rand.Read(sent); err != nil {
			t.Fatal(err)
		}
		var l net.Listener
		var err error
		b.run(func() { l, err = net.Listen("tcp", netip.AddrPortFrom(b.addr[family], 80).String()) })
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		got := make(chan []byte, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
				got <- nil
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(limit))
			all, err := io.ReadAll(c)
			if err != nil {
				t.Error(err)
			}
			got <- all
		}()
		var c net.Conn
		a.run(func() { c, err = net.DialTimeout("tcp", l.Addr().String(), limit) })
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(limit))
		if _, err := c.Write(sent); err != nil {
			t.Error(err)
		}
		c.Close()
		if !bytes.Equal(<-got, sent) {
			t.Error("not what was sent")
		}
	})
}

// Datagrams that a sender gives the kernel at once (UDP_SEGMENT) arrive one by one.
func TestOffload_UDPSegment(t *testing.T) {
	eachWay(t, func(t *testing.T, a, b *station, family int, _ *mover) {
		in := listenUDP(t, b, family, 53)
		var c net.Conn
		var err error
		a.run(func() { c, err = net.Dial("udp", in.LocalAddr().String()) })
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		segment(t, c.(*net.UDPConn), 1000)
		all := numbered(11*1000 + 500)
		if _, err := c.Write(all); err != nil {
			t.Fatal(err)
		}
		receive(t, in, all, 1000)
	})
}

// What a Coalescer makes of datagrams is what a receiver's kernel takes apart.
func TestOffload_Coalesced(t *testing.T) {
	b := newStation(t, 2)
	for family := range b.addr {
		in := listenUDP(t, b, family, 53)
		from := [2]string{"10.77.0.1", "fd00::1"}[family]
		tuple := packet.Tuple{
			Src: packet.AddrFrom(netip.MustParseAddr(from)), SrcPort: 4000,
			Dst: packet.AddrFrom(b.addr[family]), DstPort: 54, Proto: packet.ProtoUDP,
		}
		alone := append(make([]byte, packet.VnetLen), packet.BuildUDP(nil, tuple, 64, []byte("ready?"))...)
		untilOneArrives(t, listenUDP(t, b, family, 54), func() { write(t, b, alone) })
		tuple.DstPort = 53
		c, all := packet.NewCoalescer(0), numbered(40*1200+7)
		for at := 0; at < len(all); at += 1200 {
			d := packet.BuildUDP(nil, tuple, 64, all[at:min(at+1200, len(all))])
			packet.SetDF(d)
			var h packet.Header
			if h.Parse(d) != 0 || !c.Add(nil, &h) {
				t.Fatalf("datagram at %d is not taken", at)
			}
		}
		write(t, b, c.Bytes())
		receive(t, in, all, 1200)
	}
}

// numbered is n bytes, none of which could stand for another's place.
func numbered(n int) []byte {
	b := make([]byte, n)
	for i := 0; i+4 <= n; i += 4 {
		binary.BigEndian.PutUint32(b[i:], uint32(i))
	}
	return b
}

func listenUDP(t *testing.T, p *station, family int, port uint16) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	var err error
	p.run(func() {
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.addr[family], port)))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func segment(t *testing.T, c *net.UDPConn, size int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = os.NewSyscallError("UDP_SEGMENT", syscall.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, size))
	})
	if err := errors.Join(err, set); err != nil {
		t.Fatal(err)
	}
}

// receive wants all, in datagrams of size bytes and a last one with the rest.
func receive(t *testing.T, in *net.UDPConn, all []byte, size int) {
	t.Helper()
	_ = in.SetReadDeadline(time.Now().Add(limit))
	buf := make([]byte, 1<<16)
	for at := 0; at < len(all); at += size {
		n, err := in.Read(buf)
		if err != nil {
			t.Fatalf("datagram at %d: %v", at, err)
		}
		if want := all[at:min(at+size, len(all))]; !bytes.Equal(buf[:n], want) {
			t.Fatalf("datagram at %d: %d bytes, want %d, or others", at, n, len(want))
		}
	}
}
