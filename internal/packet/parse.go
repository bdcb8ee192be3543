package packet

// Sizes of headers without options, in bytes.
const (
	v4HeaderLen   = 20
	v6HeaderLen   = 40
	tcpHeaderLen  = 20
	udpHeaderLen  = 8
	icmpHeaderLen = 8
)

// IPv6 extension headers (RFC 8200 4). Authentication and ESP are not among
// them: they are protocols of their own to a filter, as in IPv4.
const (
	extHopByHop    = 0
	extRouting     = 43
	extFragment    = 44
	extDestination = 60
	extMobility    = 135
	extHIP         = 139
	extShim6       = 140
)

// maxExtensions bounds the walk through extension headers; RFC 8504 5.3 lets a
// node set such limits, and nothing real comes near it.
const maxExtensions = 8

// Parse decodes the IP packet at the start of b; what follows the packet's total
// length is ignored. It returns 0, or why the packet has to be dropped, and then
// h is the zero Header. Beside lengths that lie, it refuses the fragments that
// hide a TCP header from a filter (RFC 1858, RFC 3128), first fragments without
// the whole header (RFC 7112), fragments that end beyond 65535 bytes, source
// routing by IPv6 routing header type 0 (RFC 5095) and IPv4-mapped addresses in
// IPv6 packets, which would pass for IPv4 ones.
func (h *Header) Parse(b []byte) Malformed {
	*h = Header{}
	m := h.parse(b)
	if m != 0 {
		*h = Header{}
	}
	return m
}

func (h *Header) parse(b []byte) Malformed {
	if len(b) == 0 {
		return MalformedEmpty
	}
	var m Malformed
	switch b[0] >> 4 {
	case 4:
		m = h.parse4(b)
	case 6:
		m = h.parse6(b)
	default:
		return MalformedVersion
	}
	if m != 0 {
		return m
	}
	return h.parseTransport()
}

func (h *Header) parse4(b []byte) Malformed {
	if len(b) < v4HeaderLen {
		return MalformedV4Truncated
	}
	ihl := int(b[0]&0xf) * 4
	if ihl < v4HeaderLen {
		return MalformedV4HeaderLength
	}
	total := int(be.Uint16(b[2:]))
	if total < ihl {
		return MalformedV4TotalLength
	}
	if total > len(b) {
		return MalformedV4Short
	}
	b = b[:total:total]
	if ihl > v4HeaderLen {
		if !options4OK(b[v4HeaderLen:ihl]) {
			return MalformedV4Option
		}
		h.HasOptions = true
	}
	h.Data, h.Version, h.L4 = b, 4, ihl
	h.TTL, h.Proto = b[8], b[9]
	h.Src, h.Dst = addr4(b[12:]), addr4(b[16:])
	frag := be.Uint16(b[6:])
	h.FragID = uint32(be.Uint16(b[4:]))
	h.DontFragment = frag&0x4000 != 0
	return h.setFragment(int(frag&0x1fff)*8, frag&0x2000 != 0, total-ihl, ihl)
}

// options4OK tells whether the IPv4 options in o (RFC 791 3.1) end within o.
func options4OK(o []byte) bool {
	for len(o) > 0 {
		switch o[0] {
		case 0: // end of list
			return true
		case 1: // no operation
			o = o[1:]
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			return false
		}
		o = o[o[1]:]
	}
	return true
}

// setFragment records and checks the fragment fields. payload is the length of
// the fragment's data, headers what is repeated before it in the whole datagram.
func (h *Header) setFragment(offset int, more bool, payload, headers int) Malformed {
	h.FragOffset, h.MoreFragments = offset, more
	if !h.IsFragment() {
		return 0
	}
	if payload == 0 || more && payload%8 != 0 {
		return MalformedFragmentLength
	}
	if headers+offset+payload > 0xffff {
		return MalformedFragmentTooLong
	}
	return 0
}

func (h *Header) parse6(b []byte) Malformed {
	if len(b) < v6HeaderLen {
		return MalformedV6Truncated
	}
	total := v6HeaderLen + int(be.Uint16(b[4:]))
	if total > len(b) {
		return MalformedV6Short
	}
	b = b[:total:total]
	h.Data, h.Version, h.TTL = b, 6, b[7]
	h.DontFragment = true
	copy(h.Src[:], b[8:24])
	copy(h.Dst[:], b[24:40])
	if h.Src.Is4() || h.Dst.Is4() {
		return MalformedV6Mapped
	}
	c, m := walkExtensions(b)
	if m != 0 {
		return m
	}
	h.Proto, h.L4, h.HasOptions = c.proto, c.l4, c.options
	if c.fragment == 0 {
		return 0
	}
	f := b[c.fragment:]
	h.FragID = be.Uint32(f[4:])
	at := be.Uint16(f[2:])
	// RFC 8200 4.5: the 65535 bytes are counted without the first 40.
	return h.setFragment(int(at&^7), at&1 != 0, len(f)-8, c.fragment-v6HeaderLen)
}

// chain is what the extension headers of an IPv6 packet come to.
type chain struct {
	proto    uint8
	l4       int
	fragment int // offset of the Fragment header; 0 none
	options  bool
}

// walkExtensions follows the extension headers of the IPv6 packet b, up to the
// transport header or, in a non-first fragment, to the end of the Fragment header.
func walkExtensions(b []byte) (chain, Malformed) {
	c := chain{proto: b[6], l4: v6HeaderLen}
	for n := 0; ; n++ {
		switch c.proto {
		case extHopByHop:
			if n > 0 {
				return c, MalformedV6ExtOrder
			}
		case extRouting, extFragment, extDestination, extMobility, extHIP, extShim6:
		default:
			return c, 0
		}
		if n == maxExtensions {
			return c, MalformedV6ExtCount
		}
		if len(b)-c.l4 < 8 {
			return c, MalformedV6ExtTruncated
		}
		size := 8
		if c.proto != extFragment {
			size += int(b[c.l4+1]) * 8
		}
		if len(b)-c.l4 < size {
			return c, MalformedV6ExtTruncated
		}
		if m := c.check(b[c.l4 : c.l4+size]); m != 0 {
			return c, m
		}
		c.proto = b[c.l4]
		c.l4 += size
		if c.fragment != 0 && be.Uint16(b[c.fragment+2:])&^7 != 0 {
			return c, 0 // what follows is the middle of something
		}
	}
}

// check looks into the extension header e at the chain's end.
func (c *chain) check(e []byte) Malformed {
	if c.proto == extFragment {
		if c.fragment != 0 {
			return MalformedV6ExtOrder
		}
		c.fragment = c.l4
		return 0
	}
	c.options = true
	switch c.proto {
	case extHopByHop, extDestination:
		if !options6OK(e[2:]) {
			return MalformedV6Option
		}
	case extRouting:
		if e[2] == 0 && e[3] != 0 {
			return MalformedV6SourceRoute
		}
	}
	return 0
}

// options6OK tells whether the options in o (RFC 8200 4.2) end within o.
func options6OK(o []byte) bool {
	for len(o) > 0 {
		if o[0] == 0 { // Pad1
			o = o[1:]
			continue
		}
		if len(o) < 2 || 2+int(o[1]) > len(o) {
			return false
		}
		o = o[2+int(o[1]):]
	}
	return true
}

func (h *Header) parseTransport() Malformed {
	if h.NonFirstFragment() {
		// A fragment that starts inside the TCP header can only be there to
		// rewrite what the filter saw in the first one (RFC 1858 3.2).
		if h.Proto == ProtoTCP && h.FragOffset < tcpHeaderLen {
			return MalformedFragmentOverlap
		}
		return 0
	}
	switch {
	case h.Proto == ProtoTCP:
		return h.parseTCP(h.Data[h.L4:])
	case h.Proto == ProtoUDP:
		return h.parseUDP(h.Data[h.L4:])
	case h.IsICMP():
		return h.parseICMP(h.Data[h.L4:])
	}
	return 0
}

func (h *Header) parseTCP(p []byte) Malformed {
	if len(p) < tcpHeaderLen {
		if h.MoreFragments {
			return MalformedTinyFragment
		}
		return MalformedTCPTruncated
	}
	size := int(p[12]>>4) * 4
	if size < tcpHeaderLen {
		return MalformedTCPDataOffset
	}
	if size > len(p) {
		if h.MoreFragments {
			return MalformedTinyFragment
		}
		return MalformedTCPDataOffset
	}
	h.SrcPort, h.DstPort = be.Uint16(p), be.Uint16(p[2:])
	h.TCPFlags = p[13]
	return 0
}

func (h *Header) parseUDP(p []byte) Malformed {
	if len(p) < udpHeaderLen {
		return MalformedUDPTruncated
	}
	length := int(be.Uint16(p[4:]))
	if length < udpHeaderLen || length > len(p) && !h.MoreFragments {
		return MalformedUDPLength
	}
	h.SrcPort, h.DstPort = be.Uint16(p), be.Uint16(p[2:])
	return 0
}

func (h *Header) parseICMP(p []byte) Malformed {
	if len(p) < icmpHeaderLen {
		return MalformedICMPTruncated
	}
	h.ICMPType, h.ICMPCode = p[0], p[1]
	switch classOf(h.Version, h.ICMPType) {
	case icmpRequest:
		h.SrcPort = be.Uint16(p[4:])
	case icmpReply:
		h.DstPort = be.Uint16(p[4:])
	case icmpQuoting:
		h.parseInner(p)
	}
	return 0
}

// parseInner decodes the packet quoted in the ICMP error p as far as it goes. A
// quote that makes no sense is no reason to refuse the error; it only leaves
// HasInner false.
func (h *Header) parseInner(p []byte) {
	q := p[icmpHeaderLen:]
	// RFC 4884: a quote followed by extensions has its length given, in words
	// of 4 (ICMP) or 8 (ICMPv6) bytes.
	limit := int(p[5]) * 4
	if h.Version == 6 {
		limit = int(p[4]) * 8
	}
	if limit != 0 && limit < len(q) && h.mayHaveExtensions() {
		q = q[:limit]
	}
	h.InnerL3 = h.L4 + icmpHeaderLen
	ok := false
	if h.Version == 4 {
		ok = h.parseInner4(q)
	} else {
		ok = h.parseInner6(q)
	}
	if !ok {
		h.Inner, h.InnerL3, h.InnerL4, h.innerEnd = Tuple{}, 0, 0, 0
		return
	}
	h.HasInner = true
	if !h.innerFragment {
		h.parseInnerPorts(h.Data[h.InnerL4:h.innerEnd])
	}
}

// mayHaveExtensions tells whether the ICMP message has the length field of RFC
// 4884 4; in the others those bytes mean something else (MTU, address, pointer).
func (h *Header) mayHaveExtensions() bool {
	if h.Version == 6 {
		return h.ICMPType == ICMPv6Unreachable || h.ICMPType == ICMPv6TimeExceeded
	}
	return h.ICMPType == ICMPUnreachable || h.ICMPType == ICMPTimeExceeded || h.ICMPType == ICMPParameterProblem
}

func (h *Header) parseInner4(q []byte) bool {
	if len(q) < v4HeaderLen || q[0]>>4 != 4 {
		return false
	}
	ihl, total := int(q[0]&0xf)*4, int(be.Uint16(q[2:]))
	if ihl < v4HeaderLen || ihl > len(q) || total < ihl {
		return false
	}
	h.Inner = Tuple{Src: addr4(q[12:]), Dst: addr4(q[16:]), Proto: q[9]}
	h.innerFragment = be.Uint16(q[6:])&0x1fff != 0
	h.InnerL4 = h.InnerL3 + ihl
	h.innerEnd = h.InnerL3 + min(total, len(q))
	return true
}

func (h *Header) parseInner6(q []byte) bool {
	if len(q) < v6HeaderLen || q[0]>>4 != 6 {
		return false
	}
	q = q[:min(len(q), v6HeaderLen+int(be.Uint16(q[4:])))]
	copy(h.Inner.Src[:], q[8:24])
	copy(h.Inner.Dst[:], q[24:40])
	if h.Inner.Src.Is4() || h.Inner.Dst.Is4() {
		return false
	}
	c, m := walkExtensions(q)
	if m != 0 {
		return false
	}
	h.Inner.Proto = c.proto
	h.innerFragment = c.fragment != 0 && be.Uint16(q[c.fragment+2:])&^7 != 0
	h.InnerL4 = h.InnerL3 + c.l4
	h.innerEnd = h.InnerL3 + len(q)
	return true
}

func (h *Header) parseInnerPorts(p []byte) {
	switch {
	case h.Inner.Proto == ProtoTCP || h.Inner.Proto == ProtoUDP:
		if len(p) >= 4 {
			h.Inner.SrcPort, h.Inner.DstPort = be.Uint16(p), be.Uint16(p[2:])
			h.InnerPorts = true
		}
	case h.innerICMP() && len(p) >= 6:
		switch classOf(h.Version, p[0]) {
		case icmpRequest:
			h.Inner.SrcPort, h.InnerPorts = be.Uint16(p[4:]), true
		case icmpReply:
			h.Inner.DstPort, h.InnerPorts = be.Uint16(p[4:]), true
		}
	}
}

// innerICMP tells whether the quoted packet is ICMP of the outer packet's version.
func (h *Header) innerICMP() bool {
	return h.Inner.Proto == ProtoICMP && h.Version == 4 || h.Inner.Proto == ProtoICMPv6 && h.Version == 6
}
