package client

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Lease is an address and the configuration that came with it. Fields without a matching option are zero.
type Lease struct {
	Addr     netip.Addr
	Prefix   netip.Prefix // Addr with the length of the subnet mask
	Router   netip.Addr
	DNS, NTP []netip.Addr
	Domain   string
	HostName string
	MTU      int
	Server   netip.Addr
	// Times at which the lease was requested, is renewed (T1), is offered to any server (T2), and ends.
	At, Renew, Rebind, Expires time.Time

	serverHW []byte // link-layer address the server answered from; none on TUN and after a restart
}

// Reasons that OnLost is called with, and that end an exchange.
var (
	// ErrRefused is a NAK.
	ErrRefused = errors.New("refused by the server")
	// ErrExpired is a lease that no server renewed in time.
	ErrExpired = errors.New("lease expired")

	errSilent = errors.New("no answer")
)

// forever is the lease time that never ends (RFC 2131 section 3.3).
const forever = time.Duration(0xffffffff) * time.Second

// leaseOf reads an ACK, or the OFFER that goes before it. The times count from the sending of the request
// (RFC 2131 section 4.4.1), so that the client never believes longer than the server.
func leaseOf(m *dhcpv4.DHCPv4, sent time.Time) (Lease, error) {
	l := Lease{
		Addr: addrOf(m.YourIPAddr), Server: addrOf(m.ServerIdentifier()), At: sent,
		DNS: addrsOf(m.DNS()), NTP: addrsOf(m.NTPServers()), Domain: m.DomainName(), HostName: m.HostName(),
	}
	if !l.Addr.Is4() || l.Addr.IsUnspecified() || l.Addr.IsMulticast() || l.Addr.IsLoopback() {
		return Lease{}, fmt.Errorf("dhcp client: reply with address %v", m.YourIPAddr)
	}
	d := m.IPAddressLeaseTime(0)
	if d <= 0 {
		return Lease{}, fmt.Errorf("dhcp client: reply for %v without lease time", l.Addr)
	}
	bits := 32
	if mask := m.SubnetMask(); mask != nil {
		if ones, size := mask.Size(); size == 32 {
			bits = ones
		}
	}
	l.Prefix = netip.PrefixFrom(l.Addr, bits)
	if routers := addrsOf(m.Router()); len(routers) > 0 {
		l.Router = routers[0]
	}
	if mtu := m.Options.Get(dhcpv4.OptionInterfaceMTU); len(mtu) == 2 {
		l.MTU = int(binary.BigEndian.Uint16(mtu))
	}
	l.setTimes(m, d)
	return l, nil
}

// setTimes takes T1 and T2 from the reply if they make sense, else the defaults of RFC 2131 section 4.4.5.
// T1 is drawn a little early, so that instances that booted together do not renew together.
func (l *Lease) setTimes(m *dhcpv4.DHCPv4, d time.Duration) {
	t1, t2 := m.IPAddressRenewalTime(d/2), m.IPAddressRebindingTime(d/8*7)
	if t1 <= 0 || t1 >= t2 || t2 >= d {
		t1, t2 = d/2, d/8*7
	}
	t1 -= rand.N(t1/64 + 1)
	if d == forever {
		t1, t2 = d, d
	}
	l.Renew, l.Rebind, l.Expires = l.At.Add(t1), l.At.Add(t2), l.At.Add(d)
}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip.To4())
	return a
}

func addrsOf(ips []net.IP) []netip.Addr {
	var as []netip.Addr
	for _, ip := range ips {
		if a := addrOf(ip); a.IsValid() {
			as = append(as, a)
		}
	}
	return as
}
