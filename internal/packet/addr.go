package packet

import (
	"net/netip"
	"strconv"
)

// Addr is an IPv4 or IPv6 address as 16 bytes, IPv4 in the v4-mapped form
// (::ffff:a.b.c.d). It has no pointer and no zone, so it can be a map key and be
// stored in shared memory. The zero Addr is the IPv6 unspecified address.
type Addr [16]byte

// v4Prefix is what the first twelve bytes of an IPv4 address look like in an Addr.
var v4Prefix = [12]byte{10: 0xff, 11: 0xff}

// AddrFrom converts an address; a zone is dropped. The zero netip.Addr gives the zero Addr.
func AddrFrom(a netip.Addr) Addr {
	if !a.IsValid() {
		return Addr{}
	}
	return a.As16()
}

// addr4 reads the IPv4 address at the start of b, which has at least 4 bytes.
func addr4(b []byte) Addr {
	a := Addr{10: 0xff, 11: 0xff}
	copy(a[12:], b[:4])
	return a
}

// Netip converts a; an IPv4 address comes out as IPv4, not as v4-mapped IPv6.
func (a Addr) Netip() netip.Addr { return netip.AddrFrom16(a).Unmap() }

// Is4 tells whether a is an IPv4 address.
func (a Addr) Is4() bool { return [12]byte(a[:12]) == v4Prefix }

// As4 returns the last four bytes: the IPv4 address if Is4.
func (a Addr) As4() [4]byte { return [4]byte(a[12:]) }

// IsMulticast tells whether a is a multicast address, 224.0.0.0/4 or ff00::/8.
func (a Addr) IsMulticast() bool {
	if a.Is4() {
		return a[12]&0xf0 == 0xe0
	}
	return a[0] == 0xff
}

func (a Addr) String() string { return a.Netip().String() }

// Protocol numbers that the data plane treats by name.
const (
	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58
)

// Tuple identifies a flow in one direction. Ports are in host byte order.
//
// ICMP and ICMPv6 queries have their identifier as a port, on the side that made
// it up: a request (echo, timestamp, mask, information) has SrcPort = identifier
// and DstPort 0, its reply SrcPort 0 and DstPort = identifier, so that Reverse of
// a request is its reply. Other ICMP messages and other protocols have ports 0.
type Tuple struct {
	Src, Dst         Addr
	SrcPort, DstPort uint16
	Proto            uint8
}

// Reverse returns the tuple of the replies.
func (t Tuple) Reverse() Tuple {
	return Tuple{Src: t.Dst, Dst: t.Src, SrcPort: t.DstPort, DstPort: t.SrcPort, Proto: t.Proto}
}

// String gives, for example, "tcp 10.0.0.5:40000 > 198.51.100.7:443",
// "icmp 10.0.0.5 > 10.0.0.6 id 7" or "proto 47 10.0.0.5 > 10.0.0.6".
func (t Tuple) String() string {
	src, dst := t.Src.Netip(), t.Dst.Netip()
	switch t.Proto {
	case ProtoTCP, ProtoUDP:
		return protoName(t.Proto) + " " + netip.AddrPortFrom(src, t.SrcPort).String() +
			" > " + netip.AddrPortFrom(dst, t.DstPort).String()
	case ProtoICMP, ProtoICMPv6:
		s := protoName(t.Proto) + " " + src.String() + " > " + dst.String()
		if id := t.SrcPort | t.DstPort; id != 0 {
			s += " id " + strconv.Itoa(int(id))
		}
		return s
	}
	return protoName(t.Proto) + " " + src.String() + " > " + dst.String()
}

func protoName(p uint8) string {
	switch p {
	case ProtoTCP:
		return "tcp"
	case ProtoUDP:
		return "udp"
	case ProtoICMP:
		return "icmp"
	case ProtoICMPv6:
		return "icmpv6"
	}
	return "proto " + strconv.Itoa(int(p))
}
