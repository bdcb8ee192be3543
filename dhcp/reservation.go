package dhcp

import (
	"fmt"
	"net/netip"
	"time"
)

// UDP ports of the protocol (RFC 2131 section 4.1).
const (
	ServerPort = 67
	ClientPort = 68
)

// DefaultLeaseTime is what Amazon's server grants (DH-05).
const DefaultLeaseTime = 3600 * time.Second

// Reservation is all that the server knows about one network interface: the only address it will ever
// confirm there and the options that go with it. A zero field is an option that is not sent, except where
// its comment gives a default.
type Reservation struct {
	// MAC of the interface. A request that names another Ethernet address is not answered; the zero MAC
	// answers everybody, as a TUN device needs.
	MAC [6]byte
	// Addr is the primary private address.
	Addr netip.Addr
	// Subnet gives mask and broadcast address.
	Subnet netip.Prefix
	// Router is the subnet's base address + 1, also the server identifier; computed from Subnet if not valid.
	Router netip.Addr
	// LeaseTime in whole seconds; zero means DefaultLeaseTime.
	LeaseTime time.Duration
	// MTU of the interface, 9001 for an ordinary instance (DH-05).
	MTU uint16
	// HostName without domain; empty means ip-a-b-c-d of Addr (DH-05).
	HostName string
	// DomainName may hold several names separated by spaces (DH-01).
	DomainName string
	// DNS, NTP and NetBIOSNames hold IPv4 addresses; others are passed over.
	DNS, NTP, NetBIOSNames []netip.Addr
	// NetBIOSNodeType is 1, 2, 4 or 8 (DH-01).
	NetBIOSNodeType uint8
}

// Lease is what one message did to the client's hold on its address.
type Lease struct {
	Addr netip.Addr
	// HostName is the name the client gave, or the one that the server gave it.
	HostName string
	// At is when the message was served. Expires is zero unless the state is bound.
	At, Expires time.Time
	// State is offered, bound, released or declined; empty when the message changed nothing (NAK, INFORM,
	// ignored): the caller then keeps the lease it has.
	State string
}

// States of a Lease.
const (
	StateOffered  = "offered"
	StateBound    = "bound"
	StateReleased = "released"
	StateDeclined = "declined"
)

// server is the server identifier: the subnet's router (DH-05).
func (r *Reservation) server() netip.Addr {
	if r.Router.IsValid() {
		return r.Router.Unmap()
	}
	return r.Subnet.Masked().Addr().Next()
}

// leaseTime is the lease in whole seconds, the protocol's unit.
func (r *Reservation) leaseTime() time.Duration {
	if r.LeaseTime < time.Second {
		return DefaultLeaseTime
	}
	return r.LeaseTime.Truncate(time.Second)
}

// hostName is the configured name, or Amazon's ip-a-b-c-d (DH-05).
func (r *Reservation) hostName() string {
	if r.HostName != "" {
		return r.HostName
	}
	a := r.Addr.Unmap().As4()
	return fmt.Sprintf("ip-%d-%d-%d-%d", a[0], a[1], a[2], a[3])
}

// check refuses a reservation that no reply could be made from.
func (r *Reservation) check() error {
	switch {
	case r == nil:
		return fmt.Errorf("dhcp: interface has no reservation")
	case !r.Addr.Unmap().Is4():
		return fmt.Errorf("dhcp: reservation %v: not an IPv4 address", r.Addr)
	case !r.Subnet.Addr().Is4() || !r.Subnet.Contains(r.Addr.Unmap()):
		return fmt.Errorf("dhcp: reservation %v: outside its subnet %v", r.Addr, r.Subnet)
	}
	return nil
}
