package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Options of Run. The zero value works on an Ethernet interface.
type Options struct {
	// HostName is told to the server, if set.
	HostName string
	// ClientID is the client identifier (RFC 2132 section 9.14); empty means type 1 and the hardware
	// address, or the interface's name where there is none.
	ClientID []byte
	// HardwareAddr overrides the interface's. A TUN device has none; name the network interface's MAC.
	HardwareAddr net.HardwareAddr
	// Previous is a remembered lease: its address is asked for first (INIT-REBOOT), and if nobody answers
	// it is used for as long as it lasts (RFC 2131 section 3.2).
	Previous *Lease
	// MaxWait caps the time between two attempts; zero means 64 s (RFC 2131 section 4.1).
	MaxWait time.Duration
	// OnLost is called when a lease must no longer be used, with ErrRefused or ErrExpired. A lease may
	// follow.
	OnLost func(Lease, error)
	// Logf, if set, is told of what goes wrong without ending the client.
	Logf func(format string, args ...any)
}

// Run obtains a lease for the interface and keeps it until ctx ends, then returns ctx's error. onLease is
// called with every lease acknowledged, also with each renewal; Run waits for it to return. Any other error
// means that the interface cannot be used.
func Run(ctx context.Context, iface string, opt Options, onLease func(Lease)) error {
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return fmt.Errorf("dhcp client: interface %s: %w", iface, err)
	}
	if len(opt.HardwareAddr) == 0 {
		opt.HardwareAddr = ifi.HardwareAddr
	}
	if len(opt.ClientID) == 0 {
		opt.ClientID = clientID(iface, opt.HardwareAddr)
	}
	l := &packetLink{name: iface, index: ifi.Index, ethernet: len(ifi.HardwareAddr) == 6}
	err = newClient(iface, l, opt, onLease).run(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// clientID is the classic identifier: hardware type and address; type 0 when it is a name.
func clientID(iface string, hw net.HardwareAddr) []byte {
	if len(hw) == 0 {
		return append([]byte{0}, iface...)
	}
	return append([]byte{1}, hw...)
}

// client is the state that outlives an exchange. It is used by one goroutine.
type client struct {
	name     string
	link     link
	opt      Options
	onLease  func(Lease)
	in       <-chan datagram // nil while the link is closed
	refusals int             // in a row
}

func newClient(name string, l link, opt Options, onLease func(Lease)) *client {
	if opt.MaxWait <= 0 {
		opt.MaxWait = 64 * time.Second
	}
	if opt.Logf == nil {
		opt.Logf = func(string, ...any) {}
	}
	if opt.OnLost == nil {
		opt.OnLost = func(Lease, error) {}
	}
	return &client{name: name, link: l, opt: opt, onLease: onLease}
}

// run goes through the states for ever; it returns when ctx ends or the interface fails.
func (c *client) run(ctx context.Context) error {
	defer c.close()
	l, err := c.reboot(ctx)
	for err == nil || errors.Is(err, ErrRefused) || errors.Is(err, errSilent) {
		if err != nil {
			l, err = c.discover(ctx)
			continue
		}
		c.refusals = 0
		c.onLease(l)
		l, err = c.hold(ctx, l)
	}
	return err
}

// open opens the link unless it is open. It stays so from one exchange to the next until there is a lease:
// the kernel takes milliseconds to close a packet socket.
func (c *client) open() error {
	if c.in != nil {
		return nil
	}
	in, err := c.link.Open()
	if err != nil {
		return fmt.Errorf("dhcp client: interface %s: %w", c.name, err)
	}
	c.in = in
	return nil
}

func (c *client) close() {
	if c.in != nil {
		c.link.Close()
		c.in = nil
	}
}

// reboot is INIT-REBOOT: it asks for the remembered address.
func (c *client) reboot(ctx context.Context) (Lease, error) {
	p := c.opt.Previous
	if p == nil || !p.Addr.Is4() {
		return Lease{}, errSilent
	}
	m := c.message(dhcpv4.MessageTypeRequest, newXID())
	m.UpdateOption(dhcpv4.OptRequestedIPAddress(p.Addr.AsSlice()))
	l, err := c.ask(ctx, m, toEveryone, tries(c.quick, 5))
	if errors.Is(err, errSilent) && time.Now().Before(p.Expires) {
		c.opt.Logf("dhcp client: %s: no server answers, keeping %v until %v", c.name, p.Addr, p.Expires)
		return *p, nil
	}
	return l, err
}

// discover is INIT, SELECTING and REQUESTING. It takes the first usable offer.
func (c *client) discover(ctx context.Context) (Lease, error) {
	if err := c.cool(ctx); err != nil {
		return Lease{}, err
	}
	xid := newXID()
	offer, _, err := c.exchange(ctx, c.message(dhcpv4.MessageTypeDiscover, xid), toEveryone, c.quick, isOffer)
	if err != nil {
		return Lease{}, err
	}
	m := c.message(dhcpv4.MessageTypeRequest, xid)
	m.UpdateOption(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr))
	m.UpdateOption(dhcpv4.OptServerIdentifier(offer.ServerIdentifier()))
	return c.ask(ctx, m, toEveryone, tries(c.quick, 6))
}

// hold is BOUND: it sleeps until T1, then renews or loses the lease.
func (c *client) hold(ctx context.Context, l Lease) (Lease, error) {
	c.close()
	if err := sleep(ctx, time.Until(l.Renew)); err != nil {
		return Lease{}, err
	}
	next, err := c.renew(ctx, l)
	if errors.Is(err, errSilent) {
		next, err = c.rebind(ctx, l)
	}
	if errors.Is(err, errSilent) {
		c.opt.OnLost(l, ErrExpired)
	} else if errors.Is(err, ErrRefused) {
		c.opt.OnLost(l, ErrRefused)
	}
	return next, err
}

// renew is RENEWING: the server that gave the lease is asked directly, until T2. Where its link-layer
// address is needed and unknown, everyone is asked.
func (c *client) renew(ctx context.Context, l Lease) (Lease, error) {
	to := route{src: l.Addr, dst: l.Server, hw: l.serverHW}
	if !l.Server.Is4() || l.serverHW == nil && c.link.NeedsHW() {
		to = route{src: l.Addr, dst: everyone}
	}
	return c.extend(ctx, l, to, l.Rebind)
}

// rebind is REBINDING: any server is asked, until the lease ends.
func (c *client) rebind(ctx context.Context, l Lease) (Lease, error) {
	return c.extend(ctx, l, route{src: l.Addr, dst: everyone}, l.Expires)
}

// extend asks for more time for l, again and again until the given time. Between two attempts passes half
// of the time that is left, but at least a minute (RFC 2131 section 4.4.5).
func (c *client) extend(ctx context.Context, l Lease, to route, until time.Time) (Lease, error) {
	m := c.message(dhcpv4.MessageTypeRequest, newXID())
	m.ClientIPAddr = l.Addr.AsSlice()
	return c.ask(ctx, m, to, func(int) time.Duration {
		left := time.Until(until)
		return min(left, max(left/2, time.Minute))
	})
}

// cool waits after a refusal that followed another, longer each time: a server that offers what it then
// refuses must not be flooded.
func (c *client) cool(ctx context.Context) error {
	if c.refusals < 2 {
		return nil
	}
	return sleep(ctx, min(time.Second<<min(c.refusals-2, 6), c.opt.MaxWait))
}

// quick is the wait after the n-th transmission, counted from 0: 250 ms, doubling to the RFC's 4, 8, ... 64 s
// with its ±1 s of jitter (RFC 2131 section 4.1); below that a quarter either way.
func (c *client) quick(n int) time.Duration {
	d := min(250*time.Millisecond<<min(n, 8), c.opt.MaxWait)
	jitter := min(d/4, time.Second)
	return d - jitter + rand.N(2*jitter+1)
}

// tries limits a schedule to n transmissions.
func tries(wait schedule, n int) schedule {
	return func(i int) time.Duration {
		if i >= n {
			return 0
		}
		return wait(i)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func isOffer(m *dhcpv4.DHCPv4) bool {
	_, err := leaseOf(m, time.Time{})
	return m.MessageType() == dhcpv4.MessageTypeOffer && m.ServerIdentifier() != nil && err == nil
}

var (
	everyone   = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	toEveryone = route{src: netip.IPv4Unspecified(), dst: everyone}
)
