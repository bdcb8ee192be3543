package packet

// sumKind says what a checksum field holds.
type sumKind uint8

const (
	sumFull    sumKind = iota // the complement of the sum
	sumUDP                    // the same; 0 means none, a computed 0 is stored as 0xffff
	sumPartial                // the sum of the pseudo header, not complemented
)

// adjust carries the difference d of what a checksum covers into the checksum at
// off (RFC 1624, eqn. 3), and returns the difference that this makes to whatever
// covers the checksum itself.
func (h *Header) adjust(off int, d uint64, kind sumKind) uint64 {
	f := h.Data[off : off+2]
	old := be.Uint16(f)
	var v uint16
	switch kind {
	case sumPartial:
		v = fold(uint64(old) + d)
	case sumUDP:
		if old == 0 {
			return 0
		}
		if v = ^fold(uint64(^old) + d); v == 0 {
			v = 0xffff
		}
	default:
		v = ^fold(uint64(^old) + d)
	}
	be.PutUint16(f, v)
	return diff16(old, v)
}

// write16 stores v at off and returns the difference.
func (h *Header) write16(off int, v uint16) uint64 {
	f := h.Data[off : off+2]
	d := diff16(be.Uint16(f), v)
	be.PutUint16(f, v)
	return d
}

// writeAddr stores a as source or destination address of the IP header at l3 and
// keeps that header's checksum. It returns the difference of the pseudo header and
// that of the IP header as a whole. An address of the other family changes nothing.
func (h *Header) writeAddr(l3 int, dst bool, a Addr) (pseudoDiff, headerDiff uint64, ok bool) {
	if h.Version == 0 || a.Is4() != (h.Version == 4) {
		return 0, 0, false
	}
	off, b := l3+8, a[:]
	if h.Version == 4 {
		off, b = l3+12, a[12:]
	}
	if dst {
		off += len(b)
	}
	d := diffBytes(h.Data[off:off+len(b)], b)
	copy(h.Data[off:], b)
	if h.Version == 4 {
		return d, d + h.adjust(l3+10, d, sumFull), true
	}
	return d, d, true
}

// SetSrc changes the source address, the IPv4 header checksum and the transport
// checksum. An address of the other family is ignored.
func (h *Header) SetSrc(a Addr) {
	if d, _, ok := h.writeAddr(0, false, a); ok {
		h.Src = a
		h.fixTransport(d, true)
	}
}

// SetDst is SetSrc for the destination address.
func (h *Header) SetDst(a Addr) {
	if d, _, ok := h.writeAddr(0, true, a); ok {
		h.Dst = a
		h.fixTransport(d, true)
	}
}

// fixTransport carries a difference in the pseudo header, or in the transport
// header itself, into the transport checksum.
func (h *Header) fixTransport(d uint64, inPseudo bool) {
	if h.NonFirstFragment() || h.PartialChecksum && !inPseudo {
		return
	}
	at, withPseudo, ok := checksumAt(h.Version, h.Proto)
	if !ok || inPseudo && !withPseudo {
		return
	}
	kind := sumFull
	switch {
	case h.PartialChecksum:
		kind = sumPartial
	case h.Proto == ProtoUDP:
		kind = sumUDP
	}
	h.adjust(h.L4+at, d, kind)
}

// SetSrcPort changes the source port, or the identifier of an ICMP request (in a
// reply it is the destination port: nothing happens). In a non-first fragment
// only the decoded field changes. Protocols without ports are left alone.
func (h *Header) SetSrcPort(p uint16) { h.setPort(&h.SrcPort, 0, icmpRequest, p) }

// SetDstPort changes the destination port, or the identifier of an ICMP reply; see SetSrcPort.
func (h *Header) SetDstPort(p uint16) { h.setPort(&h.DstPort, 2, icmpReply, p) }

func (h *Header) setPort(field *uint16, at int, idOf icmpClass, p uint16) {
	switch {
	case h.NonFirstFragment():
		*field = p
	case h.Proto == ProtoTCP || h.Proto == ProtoUDP:
		*field = p
		h.fixTransport(h.write16(h.L4+at, p), false)
	case h.icmpClass() == idOf:
		*field = p
		h.setICMPID(p)
	}
}

// setICMPID changes the identifier of an ICMP query. An echo reply of all zeros is
// the one message whose sum can be 0 instead of 0xffff; they are the same number to
// RFC 1624's arithmetic, but receivers want its checksum to be 0xffff.
func (h *Header) setICMPID(id uint16) {
	h.fixTransport(h.write16(h.L4+4, id), false)
	if h.Version == 4 && allZero(h.Data[h.L4:]) {
		be.PutUint16(h.Data[h.L4+2:], 0xffff)
	}
}

// allZero mostly knows from the first bytes: a type or a checksum.
func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// SetTTL changes the TTL or hop limit, and the IPv4 header checksum.
func (h *Header) SetTTL(ttl uint8) {
	switch h.Version {
	case 4:
		h.adjust(10, h.write16(8, uint16(ttl)<<8|uint16(h.Data[9])), sumFull)
	case 6:
		h.Data[7] = ttl
	default:
		return
	}
	h.TTL = ttl
}

// SetInnerSrc changes the source address of the quoted packet, its header
// checksum, its transport checksum if that was quoted too, and the checksum of
// the ICMP error. Without HasInner, or with an address of the other family, it
// does nothing.
func (h *Header) SetInnerSrc(a Addr) { h.setInnerAddr(&h.Inner.Src, false, a) }

// SetInnerDst is SetInnerSrc for the destination address.
func (h *Header) SetInnerDst(a Addr) { h.setInnerAddr(&h.Inner.Dst, true, a) }

func (h *Header) setInnerAddr(field *Addr, dst bool, a Addr) {
	if !h.HasInner {
		return
	}
	d, total, ok := h.writeAddr(h.InnerL3, dst, a)
	if !ok {
		return
	}
	*field = a
	h.fixTransport(total+h.fixInner(d, true), false)
}

// fixInner carries a difference into the quoted transport checksum, if it is
// there, and returns what this changes.
func (h *Header) fixInner(d uint64, inPseudo bool) uint64 {
	at, withPseudo, ok := checksumAt(h.Version, h.Inner.Proto)
	if !ok || h.innerFragment || inPseudo && !withPseudo || h.InnerL4+at+2 > h.innerEnd {
		return 0
	}
	kind := sumFull
	if h.Inner.Proto == ProtoUDP {
		kind = sumUDP
	}
	return h.adjust(h.InnerL4+at, d, kind)
}

// SetInnerSrcPort changes the quoted source port, or the identifier of a quoted
// ICMP request, with the checksums of SetInnerSrc. Without InnerPorts only the
// decoded field changes.
func (h *Header) SetInnerSrcPort(p uint16) { h.setInnerPort(&h.Inner.SrcPort, 0, icmpRequest, p) }

// SetInnerDstPort changes the quoted destination port, or the identifier of a
// quoted ICMP reply; see SetInnerSrcPort.
func (h *Header) SetInnerDstPort(p uint16) { h.setInnerPort(&h.Inner.DstPort, 2, icmpReply, p) }

func (h *Header) setInnerPort(field *uint16, at int, idOf icmpClass, p uint16) {
	if !h.HasInner {
		return
	}
	if h.InnerPorts {
		if h.innerICMP() {
			if classOf(h.Version, h.Data[h.InnerL4]) != idOf {
				return
			}
			at = 4
		}
		d := h.write16(h.InnerL4+at, p)
		h.fixTransport(d+h.fixInner(d, false), false)
	}
	*field = p
}
