package filter

import (
	"encoding/binary"
	"net/netip"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// family is an index: security group rules and network ACL entries of one address
// family never match packets of the other (SG-06).
type family uint8

const (
	v4 family = iota
	v6
	families = 2
)

func familyOf(a packet.Addr) family {
	if a.Is4() {
		return v4
	}
	return v6
}

// class is an index: rules are kept apart by what a packet's protocol makes them
// look at, so that a packet meets only rules that it could match.
type class uint8

const (
	classTCP class = iota
	classUDP
	classICMP
	classICMPv6
	classOther
	classes = 5
)

func classOf(proto uint8) class {
	switch proto {
	case packet.ProtoTCP:
		return classTCP
	case packet.ProtoUDP:
		return classUDP
	case packet.ProtoICMP:
		return classICMP
	case packet.ProtoICMPv6:
		return classICMPv6
	}
	return classOther
}

// takes tells whether packets of class c can match a rule for proto (-1 all).
func (c class) takes(proto int16) bool {
	if proto == allProtocols {
		return true
	}
	return proto >= 0 && proto <= 255 && classOf(uint8(proto)) == c
}

// allProtocols is the protocol number -1.
const allProtocols = -1

// maxPort is the last port; a rule for 0 to maxPort is one for all ports.
const maxPort = 0xffff

// span is a range of numbers, both ends included: ports, or an ICMP type or code.
type span struct{ from, to uint16 }

func (s span) has(v uint16) bool { return s.from <= v && v <= s.to }

var (
	anything = span{0, maxPort}
	nothing  = span{1, 0}
)

// portSpan compiles the port range of a TCP or UDP rule; -1 to -1 is all ports.
func portSpan(from, to int32) span {
	if from == -1 && to == -1 {
		return anything
	}
	from, to = max(from, 0), min(to, maxPort)
	if from > to {
		return nothing
	}
	return span{uint16(from), uint16(to)}
}

// icmpSpans compiles an ICMP type and code, of which -1 is any. With any type the
// code counts for nothing (SG-05 has it -1 then).
func icmpSpans(typ, code int32) (t, c span) {
	if typ == -1 {
		return anything, anything
	}
	return exactly(typ), exactly(code)
}

func exactly(v int32) span {
	switch {
	case v == -1:
		return anything
	case v < 0 || v > 255:
		return nothing
	}
	return span{uint16(v), uint16(v)}
}

// network matches an address against a prefix; IPv4 prefixes cover the v4-mapped form.
type network struct{ hi, lo, maskHi, maskLo uint64 }

// networkOf compiles p, which is valid, and tells its family. Host bits are
// cleared, not an error (AD-02).
func networkOf(p netip.Prefix) (network, family) {
	a, bits, f := packet.AddrFrom(p.Addr()), p.Bits(), v6
	if p.Addr().Is4() {
		bits, f = bits+96, v4
	}
	n := network{maskHi: ^uint64(0), maskLo: ^uint64(0)}
	if bits <= 64 {
		n.maskHi, n.maskLo = ^uint64(0)<<(64-bits), 0
	} else {
		n.maskLo <<= 128 - bits
	}
	hi, lo := halves(a)
	n.hi, n.lo = hi&n.maskHi, lo&n.maskLo
	return n, f
}

func halves(a packet.Addr) (hi, lo uint64) {
	return binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
}

func (n *network) has(hi, lo uint64) bool {
	return (hi^n.hi)&n.maskHi|(lo^n.lo)&n.maskLo == 0
}

// isEverywhere tells whether p is 0.0.0.0/0 or ::/0.
func isEverywhere(p netip.Prefix) bool {
	return p.IsValid() && p.Bits() == 0
}
