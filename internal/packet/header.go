package packet

// TCP flags, as in Header.TCPFlags.
const (
	FlagFIN = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
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
}

// IsFragment tells whether the packet is one of several fragments.
func (h *Header) IsFragment() bool { return h.MoreFragments || h.FragOffset != 0 }

// NonFirstFragment tells whether the packet is a fragment without the transport header.
func (h *Header) NonFirstFragment() bool { return h.FragOffset != 0 }

// IsTCP tells whether the protocol is TCP.
func (h *Header) IsTCP() bool { return h.Proto == ProtoTCP }

// IsUDP tells whether the protocol is UDP.
func (h *Header) IsUDP() bool { return h.Proto == ProtoUDP }

// IsICMP tells whether the packet is ICMP in IPv4 or ICMPv6 in IPv6.
func (h *Header) IsICMP() bool {
	return h.Proto == ProtoICMP && h.Version == 4 || h.Proto == ProtoICMPv6 && h.Version == 6
}

// Malformed says why Parse refused a packet; 0 means that it did not.
type Malformed uint8

func (m Malformed) Error() string { return "malformed packet" }

// Parse decodes the IP packet at the start of b.
func (h *Header) Parse(b []byte) Malformed { *h = Header{Data: b}; return 0 }
