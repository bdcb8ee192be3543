package packet

import "errors"

// ErrOffload says that the offload given to Segment is not one that ReadVnet
// returns for that packet.
var ErrOffload = errors.New("segment: offload does not fit the packet")

// Segment cuts the super-packet h into the packets that go on the wire and hands
// them to emit in order, with complete checksums; a packet that is none is handed
// on alone, completed too. It is for a port that takes no super-packets, for
// captures, and for a path that needs fragments.
//
// Each segment repeats the headers. As Linux does (tcp_gso_segment, RFC 3168
// 6.1.2), FIN and PSH go with the last segment only and CWR with the first; IPv4
// identifications ascend from the super-packet's, also with DF set.
//
// dst is scratch space that does not overlap h.Data, of h.WireLen(o) bytes so that
// nothing is allocated; a segment is good until emit returns, and h stays as it
// is. The error is ErrOffload or, as cutting would repair a damaged header,
// ErrHeaderChecksum; nothing was emitted then.
func Segment(dst []byte, h *Header, o Offload, emit func(segment []byte)) error {
	if o.GSO == GSONone {
		emitWhole(dst, h, emit)
		return nil
	}
	if !o.fits(h) {
		return ErrOffload
	}
	if h.Version == 4 && !headerSumOK(h.Data) {
		return ErrHeaderChecksum
	}
	c := newCutter(scratch(dst, h.WireLen(o)), h)
	for n := range o.Segments {
		emit(c.next(h.Data, int(o.Size), n == 0, n == o.Segments-1))
	}
	return nil
}

// scratch is room without clearing.
func scratch(dst []byte, n int) []byte {
	if cap(dst) < n {
		return make([]byte, n)
	}
	return dst[:n]
}

// fits tells whether o can be cut out of h without leaving it.
func (o Offload) fits(h *Header) bool {
	if o.GSO == GSOTCP && h.Proto != ProtoTCP || o.GSO == GSOUDP && h.Proto != ProtoUDP || o.GSO > GSOUDP {
		return false
	}
	if o.Size == 0 || h.Version == 0 || !h.canCut() {
		return false
	}
	return o.Segments == (len(h.Data)-h.headerLen()+int(o.Size)-1)/int(o.Size) && o.Segments > 1
}

func emitWhole(dst []byte, h *Header, emit func([]byte)) {
	if !h.PartialChecksum {
		emit(h.Data)
		return
	}
	whole := *h
	whole.Data = scratch(dst, len(h.Data))
	copy(whole.Data, h.Data)
	whole.CompleteChecksum()
	emit(whole.Data)
}

// cutter makes one segment after another in dst, which keeps the headers.
type cutter struct {
	dst        []byte
	l4, header int // lengths: of the IP header, of all headers
	at         int // how far the super-packet is cut
	version    uint8
	proto      uint8
	flags      uint8  // TCP flags of the super-packet
	id         uint16 // of the next segment
	seq        uint32 // of the next segment
	ipSum      uint64 // of the IPv4 header without length, identification and checksum
	pseudoSum  uint64 // of the pseudo header without the length
}

func newCutter(dst []byte, h *Header) cutter {
	c := cutter{
		dst: dst, l4: h.L4, header: h.headerLen(), at: h.headerLen(), version: h.Version, proto: h.Proto,
		pseudoSum: pseudo(h.Src, h.Dst, h.Proto, 0),
	}
	copy(dst, h.Data[:c.header])
	if c.version == 4 {
		c.id = be.Uint16(dst[4:])
		clear(dst[2:6])
		clear(dst[10:12])
		c.ipSum = sum(dst[:c.l4], 0)
	}
	if c.proto == ProtoTCP {
		c.flags, c.seq = dst[c.l4+13], be.Uint32(dst[c.l4+4:])
	}
	return c
}

// next makes the segment with the next size bytes of the super-packet's payload.
func (c *cutter) next(super []byte, size int, first, last bool) []byte {
	n := copy(c.dst[c.header:c.header+min(size, len(super)-c.at)], super[c.at:])
	c.at += n
	b := c.dst[:c.header+n]
	c.putIP(b)
	p := b[c.l4:]
	if c.proto == ProtoTCP {
		c.putTCP(p, n, first, last)
	} else {
		be.PutUint16(p[4:], uint16(len(p)))
	}
	c.putSum(p)
	return b
}

func (c *cutter) putIP(b []byte) {
	if c.version == 6 {
		be.PutUint16(b[4:], uint16(len(b)-v6HeaderLen))
		return
	}
	be.PutUint16(b[2:], uint16(len(b)))
	be.PutUint16(b[4:], c.id)
	be.PutUint16(b[10:], ^fold(c.ipSum+uint64(len(b))+uint64(c.id)))
	c.id++
}

func (c *cutter) putTCP(p []byte, payload int, first, last bool) {
	flags := c.flags
	if !last {
		flags &^= FlagFIN | FlagPSH
	}
	if !first {
		flags &^= FlagCWR
	}
	p[13] = flags
	be.PutUint32(p[4:], c.seq)
	c.seq += uint32(payload)
}

func (c *cutter) putSum(p []byte) {
	at := 16
	if c.proto == ProtoUDP {
		at = 6
	}
	be.PutUint16(p[at:], 0)
	v := ^fold(sum(p, c.pseudoSum+uint64(len(p))))
	if v == 0 && c.proto == ProtoUDP {
		v = 0xffff // RFC 768: 0 means that there is none
	}
	be.PutUint16(p[at:], v)
}
