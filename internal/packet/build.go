package packet

// defaultTTL is that of packets which vpcemu makes up itself (RFC 1700's 64).
const defaultTTL = 64

// room returns dst cut or grown to n bytes, with all of them cleared. It
// allocates only if dst has too little capacity.
func room(dst []byte, n int) []byte {
	if cap(dst) < n {
		return make([]byte, n)
	}
	dst = dst[:n]
	clear(dst)
	return dst
}

// newIP makes room for a packet with payload bytes after its IP header, and writes
// that header, except for its checksum. It returns nil if the addresses are not of
// one family or the packet would be longer than an IP packet can be.
func newIP(dst []byte, src, d Addr, proto, ttl uint8, payload int) (b []byte, l4 int) {
	if src.Is4() != d.Is4() {
		return nil, 0
	}
	if src.Is4() {
		if v4HeaderLen+payload > 0xffff {
			return nil, 0
		}
		b = room(dst, v4HeaderLen+payload)
		b[0], b[8], b[9] = 0x45, ttl, proto
		be.PutUint16(b[2:], uint16(len(b)))
		copy(b[12:16], src[12:])
		copy(b[16:20], d[12:])
		return b, v4HeaderLen
	}
	if payload > 0xffff {
		return nil, 0
	}
	b = room(dst, v6HeaderLen+payload)
	b[0], b[6], b[7] = 0x60, proto, ttl
	be.PutUint16(b[4:], uint16(payload))
	copy(b[8:24], src[:])
	copy(b[24:40], d[:])
	return b, v6HeaderLen
}

// seal computes the IPv4 header checksum and the transport checksum of a packet made by newIP.
func seal(b []byte, l4 int, src, d Addr, proto uint8) []byte {
	version := b[0] >> 4
	if version == 4 {
		sealHeader(b)
	}
	at, withPseudo, ok := checksumAt(version, proto)
	if !ok {
		return b
	}
	var acc uint64
	if withPseudo {
		acc = pseudo(src, d, proto, len(b)-l4)
	}
	be.PutUint16(b[l4+at:], 0)
	v := ^fold(sum(b[l4:], acc))
	if v == 0 && proto == ProtoUDP {
		v = 0xffff
	}
	be.PutUint16(b[l4+at:], v)
	return b
}

// sealHeader computes the checksum of the IPv4 header at the start of b.
func sealHeader(b []byte) {
	be.PutUint16(b[10:], 0)
	be.PutUint16(b[10:], Checksum(b[:int(b[0]&0xf)*4]))
}

// BuildUDP builds a UDP datagram, IPv4 or IPv6 by the addresses of t, in dst
// (allocating if its capacity does not suffice), without DF and with
// identification 0. Like the other builders it returns nil if the addresses are
// of different families or the packet would exceed 65535 bytes; payload and dst
// must not overlap.
func BuildUDP(dst []byte, t Tuple, ttl uint8, payload []byte) []byte {
	b, l4 := newIP(dst, t.Src, t.Dst, ProtoUDP, ttl, udpHeaderLen+len(payload))
	if b == nil || udpHeaderLen+len(payload) > 0xffff {
		return nil
	}
	u := b[l4:]
	be.PutUint16(u, t.SrcPort)
	be.PutUint16(u[2:], t.DstPort)
	be.PutUint16(u[4:], uint16(len(u)))
	copy(u[udpHeaderLen:], payload)
	return seal(b, l4, t.Src, t.Dst, ProtoUDP)
}

// BuildTCP builds a TCP segment without options, TTL 64, window 65535.
func BuildTCP(dst []byte, t Tuple, flags uint8, seq, ack uint32, payload []byte) []byte {
	b, l4 := newTCP(dst, t, flags, seq, ack, tcpHeaderLen, len(payload))
	if b == nil {
		return nil
	}
	copy(b[l4+tcpHeaderLen:], payload)
	return seal(b, l4, t.Src, t.Dst, ProtoTCP)
}

// BuildSYN builds a SYN with an MSS option (RFC 9293 3.7.1), TTL 64.
func BuildSYN(dst []byte, t Tuple, seq uint32, mss uint16) []byte {
	b, l4 := newTCP(dst, t, FlagSYN, seq, 0, tcpHeaderLen+4, 0)
	if b == nil {
		return nil
	}
	o := b[l4+tcpHeaderLen:]
	o[0], o[1] = tcpOptionMSS, 4
	be.PutUint16(o[2:], mss)
	return seal(b, l4, t.Src, t.Dst, ProtoTCP)
}

// newTCP writes a TCP header of size bytes, options left zero and checksum to be done.
func newTCP(dst []byte, t Tuple, flags uint8, seq, ack uint32, size, payload int) (b []byte, l4 int) {
	b, l4 = newIP(dst, t.Src, t.Dst, ProtoTCP, defaultTTL, size+payload)
	if b == nil {
		return nil, 0
	}
	p := b[l4:]
	be.PutUint16(p, t.SrcPort)
	be.PutUint16(p[2:], t.DstPort)
	be.PutUint32(p[4:], seq)
	be.PutUint32(p[8:], ack)
	p[12], p[13] = uint8(size/4)<<4, flags
	be.PutUint16(p[14:], 0xffff)
	return b, l4
}

// BuildICMPEcho builds an ICMP or ICMPv6 echo request or reply, TTL 64.
func BuildICMPEcho(dst []byte, src, d Addr, reply bool, id, seq uint16, payload []byte) []byte {
	proto, typ := uint8(ProtoICMP), uint8(ICMPEcho)
	switch {
	case src.Is4() && reply:
		typ = ICMPEchoReply
	case !src.Is4() && reply:
		proto, typ = ProtoICMPv6, ICMPv6EchoReply
	case !src.Is4():
		proto, typ = ProtoICMPv6, ICMPv6Echo
	}
	b, l4 := newIP(dst, src, d, proto, defaultTTL, icmpHeaderLen+len(payload))
	if b == nil {
		return nil
	}
	p := b[l4:]
	p[0] = typ
	be.PutUint16(p[4:], id)
	be.PutUint16(p[6:], seq)
	copy(p[icmpHeaderLen:], payload)
	return seal(b, l4, src, d, proto)
}

// SetDF sets the DF bit of a built IPv4 packet and keeps its header checksum.
// Like SetIPID, SetFragment and AddIPOptions it leaves other packets alone.
func SetDF(b []byte) {
	if isBuilt4(b) {
		b[6] |= 0x40
		sealHeader(b)
	}
}

// SetIPID sets the identification of a built IPv4 packet.
func SetIPID(b []byte, id uint16) {
	if isBuilt4(b) {
		be.PutUint16(b[4:], id)
		sealHeader(b)
	}
}

// SetFragment makes a built IPv4 packet claim to be the fragment at offset (bytes,
// a multiple of 8), clearing DF.
func SetFragment(b []byte, offset int, more bool) {
	if !isBuilt4(b) {
		return
	}
	f := uint16(offset/8) & 0x1fff
	if more {
		f |= 0x2000
	}
	be.PutUint16(b[6:], f)
	sealHeader(b)
}

// SetTTL sets the TTL or hop limit of a built packet, IPv4 or IPv6.
func SetTTL(b []byte, ttl uint8) {
	switch {
	case isBuilt4(b):
		b[8] = ttl
		sealHeader(b)
	case len(b) >= v6HeaderLen && b[0]>>4 == 6:
		b[7] = ttl
	}
}

// AddIPOptions writes the IPv4 packet b into dst with options (at most 40 bytes,
// padded to a multiple of 4 with end-of-list) after its header. The result is nil
// if b is not IPv4 without options, or if it would become too long.
func AddIPOptions(dst, b, options []byte) []byte {
	size := (len(options) + 3) &^ 3
	if !isBuilt4(b) || b[0] != 0x45 || size > 40 || len(b)+size > 0xffff {
		return nil
	}
	out := room(dst, len(b)+size)
	copy(out, b[:v4HeaderLen])
	copy(out[v4HeaderLen:], options)
	copy(out[v4HeaderLen+size:], b[v4HeaderLen:])
	out[0] += uint8(size / 4)
	be.PutUint16(out[2:], uint16(len(out)))
	sealHeader(out)
	return out
}

// isBuilt4 tells whether b starts with a whole IPv4 header.
func isBuilt4(b []byte) bool {
	return len(b) >= v4HeaderLen && b[0]>>4 == 4 && b[0]&0xf >= 5 && int(b[0]&0xf)*4 <= len(b)
}
