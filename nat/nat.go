// Package nat translates addresses: one to one for an Internet gateway, and
// with ports for a NAT gateway.
//
// A NAT gateway translates to its own private address, always (NA-02); for a
// public one the Internet gateway then puts the Elastic IP in its place. A
// mapping belongs to one inside address and port and one destination address
// and port, and packets from anywhere else do not pass by it ("symmetric",
// NA-06), so one port serves as many destinations as there are.
//
// Mappings live in shared memory (package slab) and outlive the process. Time
// is always a parameter: nanoseconds of CLOCK_BOOTTIME. The package decides
// and remembers; rewriting packets, answering for expired connections (NA-07),
// fragments (NA-08), TTL (NA-13) and MSS (NA-14) are the data plane's.
package nat

import (
	"errors"
	"time"

	"github.com/vpcemu/vpcemu/internal/conntrack/tcpstate"
	"github.com/vpcemu/vpcemu/internal/packet"
)

const (
	// FirstPort to LastPort are the ports of a NAT gateway (NA-04); for ICMP
	// they are identifiers.
	FirstPort = 1024
	LastPort  = 65535
	// ConnectionLimit is the number of simultaneous connections of one address
	// of a gateway to one destination address, port and protocol (NA-05).
	ConnectionLimit = 55000
	// DefaultIdleTimeout is how long a mapping lasts after the last packet in
	// either direction, whatever the protocol (NA-07).
	DefaultIdleTimeout = 350 * time.Second
	// ClosedTimeout is the same for a TCP connection that is over: FIN from
	// both sides, or a RST. AWS documents none; ours is the time that Linux
	// keeps TIME-WAIT.
	ClosedTimeout = 60 * time.Second
)

var (
	// ErrTaken: another packet was faster. The flow has a mapping by now, or
	// has lost it, or the port has gone to another flow: the caller walks the
	// packet again.
	ErrTaken = errors.New("nat: port or flow taken meanwhile")
	// ErrFull: there is no room for another mapping in the table.
	ErrFull = errors.New("nat: no room for another mapping")
)

// Refusal says why a packet gets no mapping; 0 is no refusal.
type Refusal uint8

const (
	RefusedNone Refusal = iota
	// RefusedProtocol: not TCP, UDP or an ICMP query, or of the other address
	// family (NA-03, PROTOCOL_RESTRICTION).
	RefusedProtocol
	// RefusedExhausted: all addresses of the gateway have ConnectionLimit
	// connections to the destination (NA-05, metric ErrorPortAllocation).
	RefusedExhausted
	// RefusedFull: the table has no room (vpcemu's own limit).
	RefusedFull
)

func (r Refusal) String() string {
	return [...]string{
		"not refused",
		"protocol is not TCP, UDP or an ICMP query",
		"all ports to this destination are in use",
		"the table of mappings is full",
	}[min(r, RefusedFull)]
}

// Gateway is what the table has to know of a NAT gateway. It is not changed
// while it is in use.
type Gateway struct {
	Handle uint32 // never given to another gateway
	// Addrs are the private addresses for new connections, the primary first.
	// A later one is used when all before it are exhausted.
	Addrs []packet.Addr
	// Draining are addresses that serve the connections that they have and get
	// no new ones (NA-17).
	Draining []packet.Addr
	// IdleTimeout has a resolution of a millisecond; 0 means DefaultIdleTimeout.
	IdleTimeout time.Duration
}

// Mapping is the translation of one connection.
//
//	from inside:  Inside:InsidePort -> Dest:DestPort  leaves as  Outside:OutsidePort -> Dest:DestPort
//	from outside: Dest:DestPort -> Outside:OutsidePort  goes on as  Dest:DestPort -> Inside:InsidePort
//
// For ICMP queries the ports are the identifiers, and DestPort is 0.
type Mapping struct {
	Gateway     uint32
	Proto       uint8
	Inside      packet.Addr
	InsidePort  uint16
	Outside     packet.Addr // one of the gateway's private addresses
	OutsidePort uint16
	Dest        packet.Addr
	DestPort    uint16

	IdleTimeout time.Duration
	Phase       tcpstate.Phase // TCP; else Opening
	Last        int64          // last packet in either direction, ns of CLOCK_BOOTTIME; 0 for a proposal
}

// Deadline is when the mapping expires if no packet comes, in ns of CLOCK_BOOTTIME.
func (m *Mapping) Deadline() int64 { return deadline(m.Last, m.IdleTimeout, m.Phase) }

func deadline(last int64, idle time.Duration, p tcpstate.Phase) int64 {
	if p == tcpstate.Closing {
		idle = min(idle, ClosedTimeout)
	}
	return last + int64(idle)
}

// Pair is a private address of a VPC and the public address it is known by.
type Pair struct {
	Private, Public packet.Addr
}

// OneToOne is the Internet gateway's translation: addresses only, both ways,
// no state. It is immutable; a nil one translates nothing.
type OneToOne struct {
	public, private map[packet.Addr]packet.Addr
}

// NewOneToOne makes the translation. Of pairs that share an address the first
// counts, so that there and back is always the same.
func NewOneToOne(pairs []Pair) *OneToOne {
	o := &OneToOne{
		public:  make(map[packet.Addr]packet.Addr, len(pairs)),
		private: make(map[packet.Addr]packet.Addr, len(pairs)),
	}
	for _, p := range pairs {
		if _, ok := o.public[p.Private]; ok {
			continue
		}
		if _, ok := o.private[p.Public]; ok {
			continue
		}
		o.public[p.Private], o.private[p.Public] = p.Public, p.Private
	}
	return o
}

// Public is the public address of a private one.
func (o *OneToOne) Public(private packet.Addr) (packet.Addr, bool) {
	if o == nil {
		return packet.Addr{}, false
	}
	a, ok := o.public[private]
	return a, ok
}

// Private is the private address behind a public one.
func (o *OneToOne) Private(public packet.Addr) (packet.Addr, bool) {
	if o == nil {
		return packet.Addr{}, false
	}
	a, ok := o.private[public]
	return a, ok
}
