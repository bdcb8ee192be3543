package packet

// TCP flags, as in Header.TCPFlags.
const (
	FlagFIN = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
	FlagURG
	FlagECE
	FlagCWR
)

// Header is the decoded view of one packet. Parse overwrites all of it; it may be
// reused for the next packet, and keeps Data, the caller's buffer, until then.
type Header struct {
	// Data is the whole IP packet, cut to its total length.
	Data []byte
	// Tuple as on the wire. A non-first fragment has no ports: they are 0 until
	// whoever keeps track of fragments fills them in.
	Tuple
	Version, TTL       uint8
	TCPFlags           uint8 // FIN to CWR; 0 unless TCP
	ICMPType, ICMPCode uint8 // 0 unless ICMP or ICMPv6
	// L4 is the offset of the transport header (of the fragment's payload, for a
	// non-first fragment). L4 <= len(Data).
	L4 int
	// FragID is 16 bits for IPv4; 0 for IPv6 without a fragment header.
	FragID        uint32
	FragOffset    int // bytes
	MoreFragments bool
	// DontFragment is the DF bit; true for IPv6, which routers never fragment.
	DontFragment bool
	// HasOptions tells of IPv4 options or IPv6 extension headers other than Fragment.
	HasOptions bool

	// PartialChecksum says that the TCP or UDP checksum field holds only the sum of
	// the pseudo header, to be completed by the device (virtio NEEDS_CSUM). Parse
	// clears it; a reader that knows better sets it after Parse, before any setter.
	PartialChecksum bool

	// HasInner tells that this is an ICMP error whose quoted packet could be decoded
	// as far as its addresses. Inner is the quoted tuple in the direction in which
	// the quoted packet was sent; InnerL3 and InnerL4 are offsets in Data
	// (InnerL4 <= len(Data)). InnerPorts tells that the quoted ports (or the
	// identifier of a quoted ICMP query) are there; it is false for a quoted
	// non-first fragment, a quote cut short, and protocols without ports.
	HasInner         bool
	InnerPorts       bool
	Inner            Tuple
	InnerL3, InnerL4 int
	innerEnd         int  // offset where the quoted packet ends, whole or cut short
	innerFragment    bool // the quoted packet is a non-first fragment
}

// IsFragment tells whether the packet is one of several fragments.
func (h *Header) IsFragment() bool { return h.MoreFragments || h.FragOffset != 0 }

// NonFirstFragment tells whether the packet is a fragment without the transport header.
func (h *Header) NonFirstFragment() bool { return h.FragOffset != 0 }

// IsTCP tells whether the protocol is TCP.
func (h *Header) IsTCP() bool { return h.Proto == ProtoTCP }

// IsUDP tells whether the protocol is UDP.
func (h *Header) IsUDP() bool { return h.Proto == ProtoUDP }

// ICMP message types (RFC 792, RFC 950).
const (
	ICMPEchoReply        = 0
	ICMPUnreachable      = 3
	ICMPSourceQuench     = 4
	ICMPRedirect         = 5
	ICMPEcho             = 8
	ICMPTimeExceeded     = 11
	ICMPParameterProblem = 12
	ICMPTimestamp        = 13
	ICMPTimestampReply   = 14
	ICMPInfo             = 15
	ICMPInfoReply        = 16
	ICMPMask             = 17
	ICMPMaskReply        = 18
)

// ICMPv6 message types (RFC 4443). Those below 128 are errors.
const (
	ICMPv6Unreachable      = 1
	ICMPv6PacketTooBig     = 2
	ICMPv6TimeExceeded     = 3
	ICMPv6ParameterProblem = 4
	ICMPv6Echo             = 128
	ICMPv6EchoReply        = 129
)

// icmpClass is what an ICMP message is to a flow.
type icmpClass uint8

const (
	icmpOther   icmpClass = iota
	icmpRequest           // has an identifier and is answered by a reply with the same
	icmpReply
	icmpQuoting // an error that quotes a packet
)

// classOf sorts the ICMP message types of an IP version.
func classOf(version, typ uint8) icmpClass {
	if version == 6 {
		switch typ {
		case ICMPv6Echo:
			return icmpRequest
		case ICMPv6EchoReply:
			return icmpReply
		case ICMPv6Unreachable, ICMPv6PacketTooBig, ICMPv6TimeExceeded, ICMPv6ParameterProblem:
			return icmpQuoting
		}
		return icmpOther
	}
	switch typ {
	case ICMPEcho, ICMPTimestamp, ICMPInfo, ICMPMask:
		return icmpRequest
	case ICMPEchoReply, ICMPTimestampReply, ICMPInfoReply, ICMPMaskReply:
		return icmpReply
	case ICMPUnreachable, ICMPSourceQuench, ICMPRedirect, ICMPTimeExceeded, ICMPParameterProblem:
		return icmpQuoting
	}
	return icmpOther
}

// IsICMP tells whether the packet is ICMP in IPv4 or ICMPv6 in IPv6.
func (h *Header) IsICMP() bool {
	return h.Proto == ProtoICMP && h.Version == 4 || h.Proto == ProtoICMPv6 && h.Version == 6
}

// IsICMPQuery tells whether the packet is an ICMP or ICMPv6 request or reply with
// an identifier. Of a non-first fragment that cannot be known: false.
func (h *Header) IsICMPQuery() bool {
	c := h.icmpClass()
	return c == icmpRequest || c == icmpReply
}

// IsICMPError tells whether the packet is an ICMP or ICMPv6 error message. Of a
// non-first fragment that cannot be known: false.
func (h *Header) IsICMPError() bool {
	if h.Version == 6 && h.IsICMP() && !h.NonFirstFragment() {
		return h.ICMPType < 128
	}
	return h.icmpClass() == icmpQuoting
}

func (h *Header) icmpClass() icmpClass {
	if !h.IsICMP() || h.NonFirstFragment() {
		return icmpOther
	}
	return classOf(h.Version, h.ICMPType)
}

// Payload returns what follows the TCP, UDP or ICMP header (8 bytes of it); for
// other protocols and non-first fragments, what follows the IP header.
func (h *Header) Payload() []byte {
	p := h.Data[h.L4:]
	switch {
	case h.NonFirstFragment():
		return p
	case h.Proto == ProtoTCP:
		return p[int(p[12]>>4)*4:]
	case h.Proto == ProtoUDP:
		return p[udpHeaderLen:min(len(p), int(be.Uint16(p[4:])))]
	case h.IsICMP():
		return p[icmpHeaderLen:]
	}
	return p
}
