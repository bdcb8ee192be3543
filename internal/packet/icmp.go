package packet

// Longest ICMP error, in bytes: RFC 1812 4.3.2.3 lets one quote as much as fits
// into 576, RFC 4443 2.4(c) as much as fits the least IPv6 MTU. A scratch buffer
// of MaxICMPError bytes serves both.
const (
	maxICMP4Error = 576
	MaxICMPError  = 1280
)

// tosInternetControl is the precedence of an ICMP error (RFC 1812 4.3.2.5).
const tosInternetControl = 0xc0

// ICMPError builds the ICMP or ICMPv6 error typ/code about the packet quoted,
// which has to be as its sender sent it (addresses not translated, TTL as it
// arrived), from the address from. mtu is the next-hop MTU of "fragmentation
// needed" and "packet too big", in bytes; other errors carry none.
//
// It returns nil where none may be sent (RFC 1122 3.2.2, RFC 1812 4.3.2.7, RFC 4443
// 2.4(e)): about an ICMP error or an ICMP message of unknown nature, a non-first
// fragment, a packet to multicast or broadcast (ICMPv6 packet too big excepted) or
// from an address that is no single host's; about what Parse refuses; and where
// from is of the other family. The broadcast address of a subnet is not known
// here. Rate limits are the caller's. dst and quoted must not overlap.
func ICMPError(dst []byte, from Addr, typ, code uint8, mtu uint16, quoted []byte) []byte {
	return icmpError(dst, from, typ, code, uint32(mtu), quoted)
}

// FragNeeded builds what path MTU discovery waits for: ICMP 3/4 (RFC 1191), or
// ICMPv6 packet too big; see ICMPError. mtu is in bytes.
func FragNeeded(dst []byte, from Addr, mtu int, quoted []byte) []byte {
	if from.Is4() {
		return icmpError(dst, from, ICMPUnreachable, 4, uint32(min(max(mtu, 0), 0xffff)), quoted)
	}
	return icmpError(dst, from, ICMPv6PacketTooBig, 0, uint32(max(mtu, 0)), quoted)
}

// TimeExceeded builds ICMP 11/0 or ICMPv6 3/0, the answer to a packet whose TTL
// ran out on the way; see ICMPError.
func TimeExceeded(dst []byte, from Addr, quoted []byte) []byte {
	if from.Is4() {
		return icmpError(dst, from, ICMPTimeExceeded, 0, 0, quoted)
	}
	return icmpError(dst, from, ICMPv6TimeExceeded, 0, 0, quoted)
}

func icmpError(dst []byte, from Addr, typ, code uint8, mtu uint32, quoted []byte) []byte {
	var h Header
	if h.Parse(quoted) != 0 || from.Is4() != (h.Version == 4) || !h.mayAnswer(typ, code) {
		return nil
	}
	proto, most := uint8(ProtoICMP), maxICMP4Error-v4HeaderLen-icmpHeaderLen
	if h.Version == 6 {
		proto, most = ProtoICMPv6, MaxICMPError-v6HeaderLen-icmpHeaderLen
	}
	q := h.Data[:min(len(h.Data), most)]
	b, l4 := newIP(dst, from, h.Src, proto, defaultTTL, icmpHeaderLen+len(q))
	p := b[l4:]
	p[0], p[1] = typ, code
	if h.Version == 4 {
		b[1] = tosInternetControl
		b[6] = 0x40 // DF: an atomic datagram needs no identification (RFC 6864 4.1)
		if typ == ICMPUnreachable && code == 4 {
			be.PutUint16(p[6:], uint16(mtu))
		}
	} else if typ == ICMPv6PacketTooBig {
		be.PutUint32(p[4:], mtu)
	}
	copy(p[icmpHeaderLen:], q)
	return seal(b, l4, from, h.Src, proto)
}

// mayAnswer tells whether an ICMP error typ/code may be sent about the packet.
func (h *Header) mayAnswer(typ, code uint8) bool {
	if !isOneHost(h.Src) {
		return false
	}
	if h.Version == 4 {
		return isUnicast4(h.Dst) && !h.NonFirstFragment() && (!h.IsICMP() || h.IsICMPQuery())
	}
	if h.Dst.IsMulticast() {
		option := typ == ICMPv6ParameterProblem && code == 2
		if typ != ICMPv6PacketTooBig && !option {
			return false
		}
	}
	if !h.IsICMP() {
		return true
	}
	return !h.NonFirstFragment() && !h.IsICMPError() && h.ICMPType != icmpv6Redirect
}

// icmpv6Redirect is no error, yet not to be answered by one (RFC 4443 2.4(e.2)).
const icmpv6Redirect = 137

// isOneHost tells whether an error can be sent to a: RFC 1812 4.3.2.7 excludes
// network 0, loopback, multicast, class E and broadcast, RFC 4443 2.4(e.6) the
// unspecified address and multicast.
func isOneHost(a Addr) bool {
	if a.Is4() {
		return a[12] != 0 && a[12] != 127 && a[12] < 224
	}
	loopback := Addr{15: 1}
	return a != (Addr{}) && a != loopback && !a.IsMulticast()
}

// isUnicast4 tells whether the destination a is neither multicast nor the limited broadcast.
func isUnicast4(a Addr) bool {
	return !a.IsMulticast() && a.As4() != [4]byte{255, 255, 255, 255}
}
