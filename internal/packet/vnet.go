package packet

import "encoding/binary"

var le = binary.LittleEndian

// VnetLen is the length in bytes of struct virtio_net_hdr (linux/virtio_net.h),
// which comes before each packet of a device opened with IFF_VNET_HDR. Its
// fields are little endian here, as after TUNSETVNETLE.
const VnetLen = 10

// Limits to the packets on the wire that one super-packet stands for. A guest may
// ask for segments of one byte, and each costs us as much as a whole packet.
const (
	// MaxTCPSegments is enough for 64 KiB at Linux's least MSS of 48 bytes
	// (tcp_min_snd_mss), of which timestamps leave 36.
	MaxTCPSegments = 2048
	// MaxUDPSegments is UDP_MAX_SEGMENTS of Linux.
	MaxUDPSegments = 128
)

// Fields and values of struct virtio_net_hdr.
const (
	vnetFlags      = 0
	vnetGSOType    = 1
	vnetHdrLen     = 2
	vnetGSOSize    = 4
	vnetCsumStart  = 6
	vnetCsumOffset = 8

	vnetNeedsCsum = 1

	vnetNone  = 0
	vnetTCPv4 = 1
	vnetTCPv6 = 4
	vnetUDPL4 = 5
	vnetECN   = 0x80
)

// GSO is how a super-packet has to be cut (generic segmentation offload).
type GSO uint8

// The ways of cutting. UDP is UDP_L4, into datagrams; the older one into IP
// fragments (UFO) is refused.
const (
	GSONone GSO = iota
	GSOTCP
	GSOUDP
)

// Offload is what a virtio-net header says of a packet, after it has been checked
// against the packet. Of an ordinary packet, GSO, Size and ECN are zero.
type Offload struct {
	GSO GSO
	// Size is gso_size: the payload bytes of each segment but the last, which
	// has 1 to Size. Size is less than the whole payload.
	Size uint16
	// Segments is the number of packets on the wire, 1 without GSO.
	Segments int
	// ECN tells that CWR is set and belongs to the first segment only (RFC 3168 6.1.2).
	ECN bool
}

// ReadVnet checks the header v that came before the packet that h.Parse decoded
// just now; l2 is the length in bytes of the link header between the two (0 TUN,
// 14 TAP). The sender's hdr_len is not looked at: headers are what Parse found.
//
// Where v leaves h's own TCP or UDP checksum to the device, h.PartialChecksum is
// set. Any other checksum that is left (that of a packet in a tunnel) is completed
// in place, and h decoded again. A super-packet always comes out with a partial
// checksum, as Linux has it when it cuts one that has none. A super-packet that
// fits one segment is an ordinary packet.
//
// It returns 0, or why the packet has to be dropped, and then h is the zero Header.
func (h *Header) ReadVnet(v []byte, l2 int) (Offload, Malformed) {
	if len(v) < VnetLen {
		*h = Header{}
		return Offload{}, MalformedVnetTruncated
	}
	// Most small packets; a compare of both bytes at once.
	if le.Uint16(v) == 0 {
		return Offload{Segments: 1}, 0
	}
	o, m := h.readGSO(v)
	if m == 0 {
		m = h.readCsum(v, l2, o)
	}
	if m != 0 {
		*h = Header{}
		return Offload{}, m
	}
	return o, 0
}

// readGSO checks the GSO fields of v.
func (h *Header) readGSO(v []byte) (Offload, Malformed) {
	typ := v[vnetGSOType]
	if typ == vnetNone {
		return Offload{Segments: 1}, 0
	}
	o := Offload{Size: le.Uint16(v[vnetGSOSize:]), ECN: typ&vnetECN != 0}
	most := MaxTCPSegments
	switch {
	case typ&^vnetECN == vnetTCPv4 && h.Version == 4 && h.Proto == ProtoTCP,
		typ&^vnetECN == vnetTCPv6 && h.Version == 6 && h.Proto == ProtoTCP:
		o.GSO = GSOTCP
	case typ == vnetUDPL4 && h.Proto == ProtoUDP:
		o.GSO, most = GSOUDP, MaxUDPSegments
	default:
		return o, MalformedGSOType
	}
	switch {
	case !h.canCut():
		return o, MalformedGSOPacket
	case o.GSO == GSOTCP && h.TCPFlags&(FlagSYN|FlagRST|FlagURG) != 0:
		return o, MalformedGSOFlags
	case o.Size == 0:
		return o, MalformedGSOSize
	}
	size := int(o.Size)
	o.Segments = (len(h.Data) - h.headerLen() + size - 1) / size
	if o.Segments > most {
		return o, MalformedGSOSegments
	}
	if o.Segments <= 1 {
		return Offload{Segments: 1}, 0
	}
	return o, 0
}

// canCut tells whether the TCP or UDP packet h could be a super-packet: no
// fragment, not even an atomic one (RFC 6946), whose identification belongs to
// one packet, and nothing after the UDP datagram.
func (h *Header) canCut() bool {
	if h.IsFragment() || h.Proto == ProtoUDP && h.udpSlack() {
		return false
	}
	if h.Version != 6 || h.L4 == v6HeaderLen {
		return true
	}
	c, m := walkExtensions(h.Data)
	return m == 0 && c.fragment == 0
}

// udpSlack tells whether bytes follow the UDP datagram in the IP packet.
func (h *Header) udpSlack() bool {
	return int(be.Uint16(h.Data[h.L4+4:])) != len(h.Data)-h.L4
}

// readCsum does what the checksum fields of v ask for.
func (h *Header) readCsum(v []byte, l2 int, o Offload) Malformed {
	if v[vnetFlags]&vnetNeedsCsum == 0 {
		if o.GSO != GSONone {
			h.makePartial()
		}
		return 0
	}
	start, offset := int(le.Uint16(v[vnetCsumStart:]))-l2, int(le.Uint16(v[vnetCsumOffset:]))
	if at, own := h.ownChecksum(); own && start == h.L4 && offset == at {
		h.PartialChecksum = true
		if h.Proto == ProtoUDP && h.udpSlack() {
			h.CompleteChecksum() // a device would sum to the packet's end, not the datagram's
		}
		return 0
	}
	if o.GSO != GSONone || start < 0 || start+offset+2 > len(h.Data) {
		return MalformedVnetChecksum
	}
	f := h.Data[start+offset:]
	c := Checksum(h.Data[start:])
	if c == 0 {
		c = 0xffff // as skb_checksum_help does, which does not know whose checksum it is
	}
	be.PutUint16(f, c)
	return h.Parse(h.Data) // the two bytes can be anything, also an address
}

// ownChecksum returns the offset of the TCP or UDP checksum in its header, and
// whether there is one that a device can complete.
func (h *Header) ownChecksum() (at int, ok bool) {
	switch {
	case h.IsFragment():
		return 0, false
	case h.Proto == ProtoTCP:
		return 16, true
	case h.Proto == ProtoUDP:
		return 6, true
	}
	return 0, false
}

// makePartial replaces a complete checksum of TCP or UDP by a partial one.
func (h *Header) makePartial() {
	if at, ok := h.ownChecksum(); ok && !h.PartialChecksum {
		n := len(h.Data) - h.L4
		be.PutUint16(h.Data[h.L4+at:], fold(pseudo(h.Src, h.Dst, h.Proto, n)))
		h.PartialChecksum = true
	}
}

// PutVnet writes the header for h as it is now into the first VnetLen bytes of v.
// o is what ReadVnet returned for h, and l2 the length in bytes of the link header
// that the packet leaves with. A super-packet whose checksum was completed in
// between gets a partial one again, which is what every sender's kernel gives it.
func (h *Header) PutVnet(v []byte, o Offload, l2 int) {
	v = v[:VnetLen]
	clear(v)
	if o.GSO != GSONone {
		h.putGSO(v, o, l2)
	}
	if at, ok := h.ownChecksum(); ok && h.PartialChecksum {
		v[vnetFlags] = vnetNeedsCsum
		le.PutUint16(v[vnetCsumStart:], uint16(l2+h.L4))
		le.PutUint16(v[vnetCsumOffset:], uint16(at))
	}
}

func (h *Header) putGSO(v []byte, o Offload, l2 int) {
	h.makePartial()
	typ := uint8(vnetTCPv4)
	switch {
	case o.GSO == GSOUDP:
		typ = vnetUDPL4
	case h.Version == 6:
		typ = vnetTCPv6
	}
	if o.ECN {
		typ |= vnetECN
	}
	v[vnetGSOType] = typ
	le.PutUint16(v[vnetHdrLen:], uint16(l2+h.headerLen()))
	le.PutUint16(v[vnetGSOSize:], o.Size)
}

// headerLen is the length in bytes of the IP header and the TCP or UDP header,
// which each segment repeats.
func (h *Header) headerLen() int {
	if h.Proto == ProtoTCP {
		return h.L4 + int(h.Data[h.L4+12]>>4)*4
	}
	return h.L4 + udpHeaderLen
}

// WireLen is the length in bytes of the largest packet on the wire that h stands
// for, from its IP header on: what a path MTU is compared with.
func (h *Header) WireLen(o Offload) int {
	if o.GSO == GSONone {
		return len(h.Data)
	}
	return h.headerLen() + int(o.Size)
}

// WireBytes is the sum of the lengths in bytes of all packets on the wire that h
// stands for, from their IP headers on.
func (h *Header) WireBytes(o Offload) int {
	if o.GSO == GSONone {
		return len(h.Data)
	}
	return len(h.Data) + (o.Segments-1)*h.headerLen()
}
