package filter

import (
	"encoding/binary"
	"math/bits"
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

// span is a range of keys, both ends included.
type span struct{ from, to uint16 }

func (s span) has(v uint16) bool { return s.from <= v && v <= s.to }

var (
	anything = span{0, 0xffff}
	nothing  = span{1, 0}
)

// keyOf is the one number of a packet of class c that a rule for the class can ask
// for. Whatever such a rule says is a span of keys, as a rule for any ICMP type is one
// for any code (SG-05).
func keyOf(q *Query, c class) uint16 {
	switch c {
	case classTCP, classUDP:
		return q.DstPort
	case classICMP, classICMPv6:
		return uint16(q.ICMPType)<<8 | uint16(q.ICMPCode)
	}
	return uint16(q.Proto)
}

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

// icmpSpan compiles an ICMP type and code, of which -1 is any. With any type the
// code counts for nothing (SG-05 has it -1 then).
func icmpSpan(typ, code int32) span {
	switch {
	case typ == -1:
		return anything
	case typ < 0 || typ > 255 || code < -1 || code > 255:
		return nothing
	case code == -1:
		return span{uint16(typ) << 8, uint16(typ)<<8 | 0xff}
	}
	return span{uint16(typ)<<8 | uint16(code), uint16(typ)<<8 | uint16(code)}
}

// protoSpan compiles the number of a protocol that has neither ports nor types.
func protoSpan(proto int16) span { return span{uint16(proto), uint16(proto)} }

// network matches an address against a prefix; IPv4 prefixes cover the v4-mapped form.
type network struct{ hi, lo, maskHi, maskLo uint64 }

// networkOf compiles p, which is valid, and tells its family. Host bits are
// cleared, not an error (AD-02).
func networkOf(p netip.Prefix) (network, family) {
	a, length, f := packet.AddrFrom(p.Addr()), p.Bits(), v6
	if p.Addr().Is4() {
		length, f = length+96, v4
	}
	n := network{maskHi: ^uint64(0), maskLo: ^uint64(0)}
	if length <= 64 {
		n.maskHi, n.maskLo = ^uint64(0)<<(64-length), 0
	} else {
		n.maskLo <<= 128 - length
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

// bits is the length of the prefix, from 96 on for IPv4.
func (n *network) bits() int { return bits.OnesCount64(n.maskHi) + bits.OnesCount64(n.maskLo) }

// prefix is the network for a table of prefixes. Those of IPv4-mapped addresses are
// netip's IPv4 ones.
func (n *network) prefix(f family) netip.Prefix {
	var a packet.Addr
	binary.BigEndian.PutUint64(a[:8], n.hi)
	binary.BigEndian.PutUint64(a[8:], n.lo)
	if f == v4 {
		return netip.PrefixFrom(a.Netip(), n.bits()-96)
	}
	return netip.PrefixFrom(netip.AddrFrom16(a), n.bits())
}

// isEverywhere tells whether p is 0.0.0.0/0 or ::/0.
func isEverywhere(p netip.Prefix) bool {
	return p.IsValid() && p.Bits() == 0
}
