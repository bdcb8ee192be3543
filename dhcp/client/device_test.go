package client

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/songgao/water"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/dhcp"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// router is the other end of a device: Serve, and a note of what arrives otherwise.
type router struct {
	t      *testing.T
	dev    *water.Interface
	mac    [6]byte // of the client; zero on TUN
	res    dhcp.Reservation
	direct atomic.Int32 // requests sent to the server's own address, on TAP also to its MAC
	errors atomic.Int32 // ICMP from the client's stack
}

var routerMAC = [6]byte{0x02, 0, 0, 0, 0, 1}

func (r *router) loop() {
	buf := make([]byte, 65536)
	for {
		n, err := r.dev.Read(buf)
		if err != nil {
			return
		}
		b, toRouter := buf[:n], true
		if r.dev.IsTAP() {
			if n < 14 || b[12] != 8 || b[13] != 0 {
				continue
			}
			b, toRouter = b[14:], [6]byte(b[:6]) == routerMAC
		}
		r.packet(b, toRouter)
	}
}

func (r *router) packet(b []byte, toRouter bool) {
	var h packet.Header
	if h.Parse(b) != 0 {
		return
	}
	if h.Version == 4 && h.IsICMP() {
		r.errors.Add(1)
	}
	if !h.IsUDP() || h.DstPort != dhcp.ServerPort {
		return
	}
	if err := packet.VerifyChecksums(b); err != nil {
		r.t.Errorf("client's packet: %v", err)
	}
	if h.Dst.Netip() == r.res.Router && toRouter {
		r.direct.Add(1)
	}
	reply, _, err := dhcp.Serve(h.Payload(), &r.res, time.Now())
	if err != nil {
		r.t.Errorf("Serve: %v", err)
		return
	}
	dst, broadcast := dhcp.ReplyTo(h.Payload(), reply)
	r.send(reply, dst, broadcast)
}

func (r *router) send(reply []byte, dst netip.Addr, broadcast bool) {
	out := packet.BuildUDP(nil, packet.Tuple{Src: packet.AddrFrom(r.res.Router), Dst: packet.AddrFrom(dst), SrcPort: dhcp.ServerPort, DstPort: dhcp.ClientPort, Proto: unix.IPPROTO_UDP}, 64, reply)
	if r.dev.IsTAP() {
		to := r.mac
		if broadcast {
			to = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		}
		frame := append(append(append([]byte(nil), to[:]...), routerMAC[:]...), 8, 0)
		out = append(frame, out...)
	}
	if _, err := r.dev.Write(out); err != nil && !errors.Is(err, os.ErrClosed) {
		r.t.Errorf("writing reply: %v", err)
	}
}

// TestRun_Device runs the client over real devices in a network namespace that ends with the test's thread:
// a lease within 100 ms, then a unicast renewal with the address configured.
func TestRun_Device(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("makes a network device: run as root")
	}
	for _, typ := range []water.DeviceType{water.TUN, water.TAP} {
		t.Run(map[water.DeviceType]string{water.TUN: "TUN", water.TAP: "TAP"}[typ], func(t *testing.T) {
			r, link := newRouter(t, typ)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			begin := time.Now()
			var leases []Lease
			err := Run(ctx, "eth0", Options{HostName: "web", Logf: t.Logf}, func(l Lease) {
				leases = append(leases, l)
				if len(leases) == 1 {
					if d := time.Since(begin); d > 100*time.Millisecond {
						t.Errorf("first lease after %v", d)
					}
					t.Logf("first lease after %v", time.Since(begin))
					if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: l.Addr.AsSlice(), Mask: net.CIDRMask(l.Prefix.Bits(), 32)}}); err != nil {
						t.Error(err)
					}
				} else {
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) || len(leases) != 2 {
				t.Fatalf("%d leases, %v", len(leases), err)
			}
			if r.direct.Load() != 1 {
				t.Errorf("%d requests went to the server itself, want the one renewal", r.direct.Load())
			}
			if r.errors.Load() != 0 {
				t.Errorf("the stack answered %d replies with ICMP errors", r.errors.Load())
			}
			if open := packetSockets(t); open != 0 {
				t.Errorf("%d sockets left open", open)
			}
		})
	}
}

// TestRun_DeviceGone: the interface disappears while the client asks.
func TestRun_DeviceGone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("makes a network device: run as root")
	}
	r, link := newRouter(t, water.TUN)
	r.dev.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := netlink.LinkDel(link); err != nil && !errors.As(err, new(netlink.LinkNotFoundError)) && !errors.Is(err, unix.ENODEV) {
		t.Fatal(err)
	}
	l := &packetLink{name: "eth0", index: link.Attrs().Index}
	err := newClient("eth0", l, Options{ClientID: []byte{0}}, func(Lease) {}).run(ctx)
	if err == nil || ctx.Err() != nil {
		t.Errorf("run ended with %v; context %v", err, ctx.Err())
	}
}

// newRouter moves the calling goroutine's thread into a new network namespace and makes eth0 there. The
// thread stays locked, so it ends with the goroutine and takes all that along.
func newRouter(t *testing.T, typ water.DeviceType) (*router, netlink.Link) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	dev, err := water.New(water.Config{DeviceType: typ, PlatformSpecificParams: water.PlatformSpecificParams{Name: "eth0"}})
	if err != nil {
		t.Fatal(err)
	}
	link, err := netlink.LinkByName("eth0")
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := &router{t: t, dev: dev, res: reservation()}
	r.res.MAC, r.res.LeaseTime = [6]byte{}, 2*time.Second
	if dev.IsTAP() {
		r.mac = [6]byte(link.Attrs().HardwareAddr)
		r.res.MAC = r.mac
	}
	done := make(chan struct{})
	go func() { defer close(done); r.loop() }()
	t.Cleanup(func() { dev.Close(); <-done })
	return r, link
}

// packetSockets counts the packet sockets of the namespace.
func packetSockets(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/thread-self/net/packet")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(strings.TrimSpace(string(b)), "\n")
}
