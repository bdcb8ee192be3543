package packet

import "bytes"

// MaxCoalesced is how many datagrams a Coalescer puts together at most:
// UDP_MAX_SEGMENTS of older kernels, where newer ones have 128.
const MaxCoalesced = 64

// Coalescer gathers consecutive UDP datagrams of one flow that go to one port, and
// makes one super-packet (UDP_L4) of them, for one write. Receivers get exactly
// the datagrams that were added; IPv4 identifications alone may differ, and only
// of datagrams with DF, whose identification means nothing (RFC 6864 4.1). It is not
// for concurrent use.
//
// TCP has none: its senders make super-packets themselves.
type Coalescer struct {
	buf      []byte // vnet header, link header, packet
	l2       int    // of the link header, bytes
	end      int    // of the packet, in buf
	l4       int    // of the first datagram
	count    int    // of datagrams
	size     int    // payload bytes of the first datagram
	id       uint16 // IPv4 identification of the last datagram
	closed   bool   // a shorter one was the last
	partial  bool   // the first datagram's checksum is
	verified bool   // the first datagram's complete checksum is right
	first    Header // decoded view of what is in buf
}

// NewCoalescer makes a Coalescer with a buffer of its own (64 KiB), for a port
// whose link header is l2 bytes long (0 TUN, 14 TAP).
func NewCoalescer(l2 int) *Coalescer {
	return &Coalescer{buf: make([]byte, VnetLen+l2+0xffff), l2: l2}
}

// Len is the number of datagrams since Reset.
func (c *Coalescer) Len() int { return c.count }

// Reset forgets all datagrams.
func (c *Coalescer) Reset() {
	c.count, c.closed, c.verified = 0, false, false
}

// Add takes a copy of the datagram h, no super-packet, with the link header that it
// leaves with. It tells whether it did; if not, the caller writes what is gathered,
// calls Reset, and adds h again or writes it by itself. Taken are whole UDP
// datagrams without IPv4 options or IPv6 extension headers and with 1 or more bytes
// of payload, that have a checksum: partial, or complete and right. All must agree
// in every header field but lengths and checksum, and in length, but for a
// shorter one, which is the last. Without DF the IPv4 identifications must be
// consecutive, as cutting will number them so.
func (c *Coalescer) Add(link []byte, h *Header) bool {
	if len(link) != c.l2 || !coalescable(h) {
		return false
	}
	if c.count == 0 {
		c.start(link, h)
		return true
	}
	if !c.follows(link, h) || !c.sumsRight(h) {
		return false
	}
	payload := h.Data[h.L4+udpHeaderLen:]
	c.end += copy(c.buf[c.end:], payload)
	c.count++
	c.closed = len(payload) < c.size
	if h.Version == 4 {
		c.id = be.Uint16(h.Data[4:])
	}
	return true
}

// coalescable tells whether h alone may be the first.
func coalescable(h *Header) bool {
	plain := h.Version == 4 && h.L4 == v4HeaderLen || h.Version == 6 && h.L4 == v6HeaderLen
	if !plain || h.Proto != ProtoUDP || h.IsFragment() || h.udpSlack() || len(h.Data) > 0xffff {
		return false
	}
	u := h.Data[h.L4:]
	return len(u) > udpHeaderLen && (h.PartialChecksum || be.Uint16(u[6:]) != 0)
}

func (c *Coalescer) start(link []byte, h *Header) {
	at := VnetLen + copy(c.buf[VnetLen:], link)
	c.end = at + copy(c.buf[at:], h.Data)
	c.first = *h
	c.first.Data = c.buf[at:c.end]
	c.l4, c.count, c.size = h.L4, 1, len(h.Data)-h.L4-udpHeaderLen
	c.closed, c.partial, c.verified = false, h.PartialChecksum, false
	if h.Version == 4 {
		c.id = be.Uint16(h.Data[4:])
	}
}

// follows tells whether h may come after what is there, checksums aside.
func (c *Coalescer) follows(link []byte, h *Header) bool {
	n := len(h.Data) - h.L4 - udpHeaderLen
	at := VnetLen + c.l2
	if c.closed || c.count == MaxCoalesced || n > c.size || c.end-at+n > 0xffff || h.Version != c.first.Version {
		return false
	}
	a, b := c.buf[at:], h.Data
	if !bytes.Equal(a[c.l4:c.l4+4], b[h.L4:h.L4+4]) || !bytes.Equal(c.buf[VnetLen:at], link) {
		return false
	}
	if h.Version == 6 {
		return bytes.Equal(a[:4], b[:4]) && bytes.Equal(a[6:v6HeaderLen], b[6:v6HeaderLen])
	}
	if !h.DontFragment && be.Uint16(b[4:]) != c.id+1 {
		return false
	}
	return a[1] == b[1] && bytes.Equal(a[6:10], b[6:10]) && bytes.Equal(a[12:v4HeaderLen], b[12:v4HeaderLen])
}

// sumsRight tells whether a receiver would find all checksums right that a
// super-packet replaces: a wrong one is the receiver's to find.
func (c *Coalescer) sumsRight(h *Header) bool {
	if !c.verified {
		if !sumsRight(&c.first, c.partial) {
			c.closed = true
			return false
		}
		c.verified = true
	}
	return sumsRight(h, h.PartialChecksum)
}

func sumsRight(h *Header, partial bool) bool {
	if h.Version == 4 && !headerSumOK(h.Data) {
		return false
	}
	return partial || fold(h.transportSum(true)) == 0xffff
}

// Bytes is what to write: the virtio-net header, the link header, and the packet.
// A lone datagram is as it was added. The result is good until the next Add or
// Reset; without a datagram it is nil.
func (c *Coalescer) Bytes() []byte {
	if c.count == 0 {
		return nil
	}
	at := VnetLen + c.l2
	h := c.first
	h.Data = c.buf[at:c.end]
	o := Offload{Segments: 1}
	if c.count > 1 {
		o = Offload{GSO: GSOUDP, Size: uint16(c.size), Segments: c.count}
		c.putLengths(h.Data)
		h.PartialChecksum = false // it was that of the first datagram's length
	}
	h.PutVnet(c.buf, o, c.l2)
	return c.buf[:c.end]
}

// putLengths makes the first datagram's headers those of the super-packet.
func (c *Coalescer) putLengths(b []byte) {
	be.PutUint16(b[c.l4+4:], uint16(len(b)-c.l4))
	if b[0]>>4 == 6 {
		be.PutUint16(b[4:], uint16(len(b)-v6HeaderLen))
		return
	}
	be.PutUint16(b[2:], uint16(len(b)))
	sealHeader(b)
}
