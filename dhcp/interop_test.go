package dhcp

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/songgao/water"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestInterop runs the DHCP clients that Debian ships, unmodified, against Serve over a real device in a
// network namespace of its own.
func TestInterop(t *testing.T) {
	requireRoot(t)
	for _, tc := range []struct {
		name    string
		typ     water.DeviceType
		program string // apt package
		pkg     string
		args    func(dir, script string) []string
		release func(dir, script string) []string
	}{
		{"udhcpc over TUN", water.TUN, "udhcpc", "udhcpc", udhcpc, nil},
		{"udhcpc over TAP", water.TAP, "udhcpc", "udhcpc", udhcpc, nil},
		{"dhclient over TAP", water.TAP, "dhclient", "isc-dhcp-client", dhclient, dhclientRelease},
		{"dhcpcd over TAP", water.TAP, "dhcpcd", "dhcpcd-base", dhcpcd, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := exec.LookPath(tc.program); err != nil {
				t.Fatalf("%s is missing; remedy: apt-get install -y --no-install-recommends %s", tc.program, tc.pkg)
			}
			r := newResponder(t, tc.typ)
			dir := t.TempDir()
			script := filepath.Join(dir, "script")
			if err := os.WriteFile(script, []byte(fmt.Sprintf(hook, dir)), 0o755); err != nil {
				t.Fatal(err)
			}
			run(t, tc.args(dir, script))
			got, err := os.ReadFile(filepath.Join(dir, "address"))
			if err != nil || strings.TrimSpace(string(got)) != "172.30.0.10" {
				t.Errorf("client's address = %q, %v; want 172.30.0.10\nserved: %v", got, err, r.states())
			}
			r.waitFor(t, StateBound)
			if tc.release != nil {
				run(t, tc.release(dir, script))
				r.waitFor(t, StateReleased)
			}
		})
	}
}

// hook is the clients' script: it notes the address, and configures it so that a release can be sent. The
// names of the variables are udhcpc's, then dhclient's and dhcpcd's.
const hook = `#!/bin/sh
a=${ip:-$new_ip_address}
[ -n "$a" ] || exit 0
case "${1:-$reason}" in
deconfig|PREINIT|RELEASE|STOP|STOPPED|EXPIRE) exit 0 ;;
esac
ip addr replace "$a/24" dev eth0
echo "$a" > %s/address
`

func udhcpc(_, script string) []string {
	return []string{"udhcpc", "-i", "eth0", "-f", "-n", "-q", "-s", script}
}

func dhclient(dir, script string) []string {
	return []string{"dhclient", "-1", "-v", "-cf", "/dev/null", "-sf", script,
		"-lf", dir + "/leases", "-pf", dir + "/pid", "eth0"}
}

func dhclientRelease(dir, script string) []string {
	return []string{"dhclient", "-r", "-v", "-cf", "/dev/null", "-sf", script,
		"-lf", dir + "/leases", "-pf", dir + "/none", "eth0"}
}

// dhcpcd without its five seconds of ARP probing.
func dhcpcd(_, script string) []string {
	return []string{"dhcpcd", "-4", "-1", "-B", "-A", "-d", "-f", "/dev/null", "-c", script, "eth0"}
}

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("makes a network device: run as root")
	}
}

// run executes a client in mount, PID and UTS namespaces of its own: what it writes under /run and /var/lib
// goes to a tmpfs, what it leaves in the background dies with it.
func run(t *testing.T, args []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	const setup = `mount --make-rprivate / && mount -t proc proc /proc && mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && mkdir -p /var/lib/dhcpcd /run/dhcpcd && "$@"`
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", setup, "sh"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS}
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
}

// responder is the least of a VPC router: ARP for the router's address, and Serve.
type responder struct {
	t   *testing.T
	dev *water.Interface
	tap bool
	mac net.HardwareAddr // of the client's end
	res Reservation

	mu     sync.Mutex
	served []string // states in order
	wake   chan struct{}
}

var routerMAC = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x01}

// newResponder moves the calling goroutine's thread into a fresh network namespace for the rest of the test,
// makes eth0 there and serves it. The thread is never unlocked, so it ends with the goroutine and takes the
// namespace and its device along.
func newResponder(t *testing.T, typ water.DeviceType) *responder {
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
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		t.Fatal(err)
	}
	r := &responder{t: t, dev: dev, tap: typ == water.TAP, mac: link.Attrs().HardwareAddr, res: reservation(), wake: make(chan struct{}, 64)}
	if r.tap {
		r.res.MAC = [6]byte(r.mac)
	}
	done := make(chan struct{})
	go func() { defer close(done); r.loop() }()
	t.Cleanup(func() { dev.Close(); <-done })
	return r
}

func (r *responder) loop() {
	buf := make([]byte, 65536)
	for {
		n, err := r.dev.Read(buf)
		if err != nil {
			return
		}
		if err := r.packet(buf[:n]); err != nil {
			r.t.Errorf("responder: %v", err)
		}
	}
}

func (r *responder) packet(b []byte) error {
	first := gopacket.Decoder(layers.LayerTypeIPv4)
	if r.tap {
		first = layers.LayerTypeEthernet
	} else if b[0]>>4 != 4 {
		return nil
	}
	p := gopacket.NewPacket(b, first, gopacket.NoCopy)
	if arp, ok := p.Layer(layers.LayerTypeARP).(*layers.ARP); ok && arp.Operation == layers.ARPRequest {
		return r.arp(arp)
	}
	udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !ok || udp.DstPort != ServerPort {
		return nil
	}
	reply, l, err := Serve(udp.Payload, &r.res, time.Unix(1e9, 0))
	if err != nil {
		return err
	}
	r.note(l.State)
	if reply == nil {
		return nil
	}
	dst, broadcast := ReplyTo(udp.Payload, reply)
	return r.send(dst, broadcast, reply)
}

func (r *responder) arp(q *layers.ARP) error {
	if netip.AddrFrom4([4]byte(q.DstProtAddress)) != r.res.Router {
		return nil
	}
	return r.write(
		&layers.Ethernet{SrcMAC: routerMAC, DstMAC: q.SourceHwAddress, EthernetType: layers.EthernetTypeARP},
		&layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
			Operation: layers.ARPReply, SourceHwAddress: routerMAC, SourceProtAddress: q.DstProtAddress,
			DstHwAddress: q.SourceHwAddress, DstProtAddress: q.SourceProtAddress})
}

func (r *responder) send(dst netip.Addr, broadcast bool, payload []byte) error {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: r.res.Router.AsSlice(), DstIP: dst.AsSlice()}
	udp := &layers.UDP{SrcPort: ServerPort, DstPort: ClientPort}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		return err
	}
	ls := []gopacket.SerializableLayer{ip, udp, gopacket.Payload(payload)}
	if r.tap {
		mac := r.mac
		if broadcast {
			mac = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
		}
		ls = append([]gopacket.SerializableLayer{&layers.Ethernet{SrcMAC: routerMAC, DstMAC: mac, EthernetType: layers.EthernetTypeIPv4}}, ls...)
	}
	return r.write(ls...)
}

func (r *responder) write(ls ...gopacket.SerializableLayer) error {
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
		return err
	}
	_, err := r.dev.Write(buf.Bytes())
	return err
}

func (r *responder) note(state string) {
	r.mu.Lock()
	r.served = append(r.served, state)
	r.mu.Unlock()
	r.wake <- struct{}{}
}

func (r *responder) states() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.served...)
}

// waitFor waits until the last message served brought the lease to state.
func (r *responder) waitFor(t *testing.T, state string) {
	t.Helper()
	limit := time.After(5 * time.Second)
	for {
		if s := r.states(); len(s) > 0 && s[len(s)-1] == state {
			return
		}
		select {
		case <-r.wake:
		case <-limit:
			t.Fatalf("lease states %v; want %s last", r.states(), state)
		}
	}
}
