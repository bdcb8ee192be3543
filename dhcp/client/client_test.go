package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/vpcemu/vpcemu/dhcp"
)

// The tests run in synctest bubbles: time.Now and every timer belong to the test, and hours pass at once.

var mac = net.HardwareAddr{0x06, 0x11, 0x22, 0x33, 0x44, 0x55}

func reservation() dhcp.Reservation {
	return dhcp.Reservation{
		MAC: [6]byte(mac), Addr: netip.MustParseAddr("172.30.0.10"), Subnet: netip.MustParsePrefix("172.30.0.0/24"),
		Router: netip.MustParseAddr("172.30.0.1"), MTU: 9001, DomainName: "ec2.internal",
		DNS: []netip.Addr{netip.MustParseAddr("172.30.0.2")}, NTP: []netip.Addr{netip.MustParseAddr("169.254.169.123")},
	}
}

// wire is a link whose other end is dhcp.Serve. The test holds mu except while it lets time pass, so that it
// may look at everything and change it.
type wire struct {
	t      *testing.T
	mu     sync.Mutex
	begin  time.Time
	res    dhcp.Reservation
	drop   func(n int, m *dhcpv4.DHCPv4) bool // requests that nobody answers; n counts from 0
	forge  func(reply []byte) [][]byte        // what arrives in place of the reply
	in     chan datagram
	opened bool
	n      int
	log    []string
}

func newWire(t *testing.T) *wire {
	return &wire{t: t, begin: time.Now(), res: reservation()}
}

func (w *wire) NeedsHW() bool { return false }

func (w *wire) Open() (<-chan datagram, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.opened {
		w.t.Error("opened twice")
	}
	w.opened, w.in = true, make(chan datagram, 8)
	return w.in, nil
}

func (w *wire) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened = false
}

func (w *wire) Send(b []byte, to route) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	m, err := dhcpv4.FromBytes(b)
	if err != nil {
		return err
	}
	w.log = append(w.log, fmt.Sprintf("%v %v>%v", m.MessageType(), to.src, to.dst))
	n := w.n
	w.n++
	if w.drop != nil && w.drop(n, m) {
		return nil
	}
	reply, _, err := dhcp.Serve(b, &w.res, time.Now())
	if err != nil {
		return err
	}
	replies := [][]byte{reply}
	if w.forge != nil {
		replies = w.forge(reply)
	}
	for _, r := range replies {
		if r != nil {
			w.in <- datagram{payload: r}
		}
	}
	return nil
}

// trial is a running client.
type trial struct {
	*wire
	leases []Lease
	lost   []error
	stop   context.CancelFunc
	done   chan error
}

func start(t *testing.T, w *wire, opt Options) *trial {
	ctx, cancel := context.WithCancel(t.Context())
	tr := &trial{wire: w, stop: cancel, done: make(chan error, 1)}
	opt.HardwareAddr, opt.ClientID = mac, []byte{1, 2, 3}
	opt.OnLost = func(_ Lease, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		tr.lost = append(tr.lost, err)
	}
	opt.Logf = t.Logf
	c := newClient("eth0", w, opt, func(l Lease) {
		w.mu.Lock()
		defer w.mu.Unlock()
		tr.leases = append(tr.leases, l)
	})
	go func() { tr.done <- c.run(ctx) }()
	synctest.Wait()
	w.mu.Lock()
	return tr
}

// pass lets time go by.
func (tr *trial) pass(d time.Duration) {
	tr.mu.Unlock()
	<-time.After(d)
	synctest.Wait()
	tr.mu.Lock()
}

func (tr *trial) end(t *testing.T) {
	t.Helper()
	tr.mu.Unlock()
	tr.stop()
	if err := <-tr.done; !errors.Is(err, context.Canceled) {
		t.Errorf("run ended with %v", err)
	}
	if tr.opened {
		t.Error("link left open")
	}
}

func (tr *trial) wantLog(t *testing.T, want ...string) {
	t.Helper()
	if got := strings.Join(tr.log, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("messages:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
	tr.log = nil
}

const (
	discover  = "DISCOVER 0.0.0.0>255.255.255.255"
	request   = "REQUEST 0.0.0.0>255.255.255.255"
	renewing  = "REQUEST 172.30.0.10>172.30.0.1"
	rebinding = "REQUEST 172.30.0.10>255.255.255.255"
)

func TestRun_LeaseAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := start(t, newWire(t), Options{HostName: "web"})
		defer tr.end(t)
		tr.wantLog(t, discover, request)
		if len(tr.leases) != 1 || time.Since(tr.begin) != 0 {
			t.Fatalf("leases %v after %v", tr.leases, time.Since(tr.begin))
		}
		l := tr.leases[0]
		if l.Prefix.String() != "172.30.0.10/24" || l.Router.String() != "172.30.0.1" || l.Server != l.Router || l.MTU != 9001 ||
			l.HostName != "ip-172-30-0-10" || l.Domain != "ec2.internal" || len(l.DNS) != 1 || len(l.NTP) != 1 {
			t.Errorf("lease %+v", l)
		}
		if l.Expires.Sub(l.At) != time.Hour || l.Rebind.Sub(l.At) != 3150*time.Second || l.Renew.Sub(l.At) > 30*time.Minute || l.Renew.Sub(l.At) < 29*time.Minute {
			t.Errorf("times %v %v %v", l.Renew.Sub(l.At), l.Rebind.Sub(l.At), l.Expires.Sub(l.At))
		}
		if tr.opened {
			t.Error("link open while bound")
		}
	})
}

func TestDH05_RenewsAtHalfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := start(t, newWire(t), Options{})
		defer tr.end(t)
		tr.log = nil
		tr.pass(30 * time.Minute)
		tr.wantLog(t, renewing)
		tr.pass(30 * time.Minute)
		tr.wantLog(t, renewing)
		if len(tr.leases) != 3 || len(tr.lost) != 0 {
			t.Errorf("%d leases, lost %v", len(tr.leases), tr.lost)
		}
	})
}

// TestDH04_RenewalBringsNewOptions: an option set that was changed arrives with the renewal.
func TestDH04_RenewalBringsNewOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := start(t, newWire(t), Options{})
		defer tr.end(t)
		tr.res.DomainName = "example.com"
		tr.pass(30 * time.Minute)
		if n := len(tr.leases); n != 2 || tr.leases[1].Domain != "example.com" {
			t.Errorf("leases %+v", tr.leases)
		}
	})
}

func TestRun_RetransmitsQuicklyThenAsTheRFCSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		var at []time.Duration
		w.drop = func(n int, _ *dhcpv4.DHCPv4) bool {
			at = append(at, time.Since(w.begin))
			return n < 11
		}
		tr := start(t, w, Options{})
		defer tr.end(t)
		tr.pass(10 * time.Minute)
		if len(tr.leases) != 1 {
			t.Fatalf("no lease after transmissions at %v", at)
		}
		nominal := []float64{.25, .5, 1, 2, 4, 8, 16, 32, 64, 64, 64}
		for i, s := range nominal {
			want := time.Duration(s * float64(time.Second))
			if got, jitter := at[i+1]-at[i], min(want/4, time.Second); got < want-jitter || got > want+jitter {
				t.Errorf("wait %d = %v, want %v ± %v", i, got, want, jitter)
			}
		}
	})
}

func TestRun_RequestUnansweredStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		w.drop = func(n int, m *dhcpv4.DHCPv4) bool { return n < 7 && m.MessageType() == dhcpv4.MessageTypeRequest }
		tr := start(t, w, Options{})
		defer tr.end(t)
		tr.pass(time.Minute)
		tr.wantLog(t, discover, request, request, request, request, request, request, discover, request)
		if len(tr.leases) != 1 {
			t.Errorf("leases %v", tr.leases)
		}
	})
}

func TestRun_RebindsThenExpiresThenRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		tr := start(t, w, Options{})
		defer tr.end(t)
		tr.log = nil
		silent := true
		w.drop = func(int, *dhcpv4.DHCPv4) bool { return silent }
		tr.pass(52 * time.Minute)
		for _, m := range tr.log {
			if m != renewing {
				t.Errorf("%s before T2", m)
			}
		}
		if n := len(tr.log); n < 4 || n > 8 {
			t.Errorf("%d renewals between T1 and T2", n)
		}
		tr.log = nil
		tr.pass(7*time.Minute + 59*time.Second)
		for _, m := range tr.log[1:] {
			if m != rebinding {
				t.Errorf("%s after T2", m)
			}
		}
		if len(tr.lost) != 0 {
			t.Errorf("lost %v before the lease ended", tr.lost)
		}
		tr.pass(2 * time.Second)
		if len(tr.lost) != 1 || !errors.Is(tr.lost[0], ErrExpired) {
			t.Errorf("lost %v, want expiry", tr.lost)
		}
		silent = false
		tr.pass(2 * time.Minute)
		if len(tr.leases) != 2 {
			t.Errorf("leases %v: no recovery", tr.leases)
		}
	})
}

func TestRun_RebindingSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		tr := start(t, w, Options{})
		defer tr.end(t)
		w.drop = func(int, *dhcpv4.DHCPv4) bool { return time.Since(w.begin) < 3150*time.Second }
		tr.pass(time.Hour)
		if len(tr.leases) != 2 || len(tr.lost) != 0 || tr.log[len(tr.log)-1] != rebinding {
			t.Errorf("leases %v, lost %v, messages %v", tr.leases, tr.lost, tr.log)
		}
	})
}

func TestRun_RefusedRenewalTakesTheNewAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		tr := start(t, w, Options{})
		defer tr.end(t)
		w.res.Addr = netip.MustParseAddr("172.30.0.11")
		tr.log = nil
		tr.pass(30 * time.Minute)
		tr.wantLog(t, renewing, discover, request)
		if len(tr.lost) != 1 || !errors.Is(tr.lost[0], ErrRefused) || tr.leases[1].Addr != w.res.Addr {
			t.Errorf("lost %v, leases %v", tr.lost, tr.leases)
		}
	})
}

func TestRun_RebootAsksForRememberedAddress(t *testing.T) {
	for _, tc := range []struct {
		addr string
		want []string
	}{
		{"172.30.0.10", []string{request}},
		{"10.0.0.99", []string{request, discover, request}},
	} {
		synctest.Test(t, func(t *testing.T) {
			tr := start(t, newWire(t), Options{Previous: &Lease{Addr: netip.MustParseAddr(tc.addr)}})
			defer tr.end(t)
			tr.wantLog(t, tc.want...)
			if len(tr.leases) != 1 || tr.leases[0].Addr.String() != "172.30.0.10" || len(tr.lost) != 0 {
				t.Errorf("leases %v, lost %v", tr.leases, tr.lost)
			}
		})
	}
}

// TestRun_RebootWithoutServer: an unexpired lease may be used on (RFC 2131 section 3.2), an expired one not.
func TestRun_RebootWithoutServer(t *testing.T) {
	for _, left := range []time.Duration{time.Hour, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := newWire(t)
			w.drop = func(int, *dhcpv4.DHCPv4) bool { return true }
			end := time.Now().Add(left)
			p := &Lease{Addr: w.res.Addr, Server: w.res.Router, Renew: end.Add(-left / 2), Rebind: end.Add(-left / 8), Expires: end}
			tr := start(t, w, Options{Previous: p})
			defer tr.end(t)
			tr.pass(20 * time.Second)
			if want := left == time.Hour; (len(tr.leases) == 1) != want {
				t.Errorf("%v left: leases %v", left, tr.leases)
			}
		})
	}
}

// TestRun_RefusalsAreNotFlooded: a server that offers and then refuses is asked ever more slowly.
func TestRun_RefusalsAreNotFlooded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		w.forge = func(reply []byte) [][]byte {
			m, err := dhcpv4.FromBytes(reply)
			if err == nil && m.MessageType() == dhcpv4.MessageTypeAck {
				m.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeNak))
			}
			return [][]byte{m.ToBytes()}
		}
		tr := start(t, w, Options{})
		defer tr.end(t)
		tr.pass(10 * time.Minute)
		if n := len(tr.log); n < 10 || n > 40 {
			t.Errorf("%d messages in ten minutes", n)
		}
	})
}

// TestRun_IgnoresWhatIsNotAnAnswer: other transactions, other clients, nonsense.
func TestRun_IgnoresWhatIsNotAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		w.forge = func(reply []byte) [][]byte {
			alter := func(f func(m *dhcpv4.DHCPv4)) []byte {
				m, err := dhcpv4.FromBytes(reply)
				if err != nil {
					t.Error(err)
					return nil
				}
				f(m)
				return m.ToBytes()
			}
			return [][]byte{
				{}, reply[:100],
				alter(func(m *dhcpv4.DHCPv4) { m.TransactionID[0]++ }),
				alter(func(m *dhcpv4.DHCPv4) { m.ClientHWAddr = net.HardwareAddr{2, 0, 0, 0, 0, 9} }),
				alter(func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptClientIdentifier([]byte{9})) }),
				alter(func(m *dhcpv4.DHCPv4) { m.OpCode = dhcpv4.OpcodeBootRequest }),
				alter(func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4(224, 0, 0, 1) }),
				reply,
			}
		}
		tr := start(t, w, Options{})
		defer tr.end(t)
		if len(tr.leases) != 1 || tr.leases[0].Addr.String() != "172.30.0.10" {
			t.Errorf("leases %v", tr.leases)
		}
	})
}

// TestRun_LinkGone: a link that fails ends the client with an error.
func TestRun_LinkGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(t)
		w.drop = func(int, *dhcpv4.DHCPv4) bool { return true }
		tr := start(t, w, Options{})
		defer tr.stop()
		close(w.in)
		tr.mu.Unlock()
		if err := <-tr.done; !errors.Is(err, errLinkGone) {
			t.Errorf("run ended with %v", err)
		}
	})
	if err := Run(t.Context(), "no-such-if", Options{}, func(Lease) {}); err == nil || !strings.Contains(err.Error(), "interface no-such-if") {
		t.Errorf("Run on a missing interface: %v", err)
	}
}

func TestLeaseOf_OddReplies(t *testing.T) {
	sent := time.Now()
	good := func(mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
		m, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithYourIP(net.IPv4(10, 0, 0, 5)), dhcpv4.WithLeaseTime(3600)}, mods...)...)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	l, err := leaseOf(good(dhcpv4.WithOption(dhcpv4.OptRenewTimeValue(time.Hour)), dhcpv4.WithOption(dhcpv4.OptRebindingTimeValue(time.Minute))), sent)
	if err != nil || l.Prefix.Bits() != 32 || l.Rebind.Sub(sent) != 3150*time.Second {
		t.Errorf("senseless T1 and T2, no mask: %+v, %v", l, err)
	}
	if l, err = leaseOf(good(dhcpv4.WithLeaseTime(0xffffffff)), sent); err != nil || l.Renew.Sub(sent) != forever {
		t.Errorf("endless lease: %+v, %v", l, err)
	}
	if _, err = leaseOf(good(dhcpv4.WithLeaseTime(0)), sent); err == nil {
		t.Error("a lease of no time was accepted")
	}
}
