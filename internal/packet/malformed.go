package packet

// Malformed says why Parse or ReadVnet refused a packet; 0 means that it did not. It can
// serve as an index of counters, below MalformedCount.
type Malformed uint8

// The reasons for refusing a packet.
const (
	_ Malformed = iota
	MalformedEmpty
	MalformedVersion
	MalformedV4Truncated
	MalformedV4HeaderLength
	MalformedV4TotalLength
	MalformedV4Short
	MalformedV4Option
	MalformedV6Truncated
	MalformedV6Short
	MalformedV6Mapped
	MalformedV6ExtTruncated
	MalformedV6ExtOrder
	MalformedV6ExtCount
	MalformedV6Option
	MalformedV6SourceRoute
	MalformedFragmentLength
	MalformedFragmentTooLong
	MalformedTinyFragment
	MalformedFragmentOverlap
	MalformedTCPTruncated
	MalformedTCPDataOffset
	MalformedUDPTruncated
	MalformedUDPLength
	MalformedICMPTruncated
	MalformedVnetTruncated
	MalformedVnetChecksum
	MalformedGSOType
	MalformedGSOPacket
	MalformedGSOFlags
	MalformedGSOSize
	MalformedGSOSegments
	// MalformedCount is one more than the greatest reason.
	MalformedCount
)

var malformedText = [MalformedCount]string{
	0:                        "well-formed packet",
	MalformedEmpty:           "empty packet",
	MalformedVersion:         "IP version is neither 4 nor 6",
	MalformedV4Truncated:     "IPv4 header truncated",
	MalformedV4HeaderLength:  "IPv4 header length below 20 bytes",
	MalformedV4TotalLength:   "IPv4 total length shorter than the header",
	MalformedV4Short:         "IPv4 packet shorter than its total length",
	MalformedV4Option:        "IPv4 option runs over the header",
	MalformedV6Truncated:     "IPv6 header truncated",
	MalformedV6Short:         "IPv6 packet shorter than its payload length",
	MalformedV6Mapped:        "IPv6 address is an IPv4-mapped one",
	MalformedV6ExtTruncated:  "IPv6 extension header truncated",
	MalformedV6ExtOrder:      "IPv6 extension header out of place",
	MalformedV6ExtCount:      "too many IPv6 extension headers",
	MalformedV6Option:        "IPv6 option runs over its header",
	MalformedV6SourceRoute:   "IPv6 routing header type 0",
	MalformedFragmentLength:  "fragment is empty or not a multiple of 8 bytes",
	MalformedFragmentTooLong: "fragment ends beyond 65535 bytes",
	MalformedTinyFragment:    "first fragment does not hold the transport header",
	MalformedFragmentOverlap: "fragment overlaps the TCP header",
	MalformedTCPTruncated:    "TCP header truncated",
	MalformedTCPDataOffset:   "TCP data offset lies",
	MalformedUDPTruncated:    "UDP header truncated",
	MalformedUDPLength:       "UDP length lies",
	MalformedICMPTruncated:   "ICMP header truncated",
	MalformedVnetTruncated:   "virtio-net header truncated",
	MalformedVnetChecksum:    "virtio-net checksum lies outside the packet",
	MalformedGSOType:         "virtio-net GSO type is unknown or not the packet's",
	MalformedGSOPacket:       "virtio-net GSO on a packet that cannot be cut",
	MalformedGSOFlags:        "virtio-net GSO on TCP with SYN, RST or URG",
	MalformedGSOSize:         "virtio-net GSO size is 0",
	MalformedGSOSegments:     "virtio-net GSO gives too many segments",
}

// Error gives the reason, for example "IPv4 header truncated".
func (m Malformed) Error() string {
	if m >= MalformedCount {
		return "malformed packet"
	}
	return malformedText[m]
}
