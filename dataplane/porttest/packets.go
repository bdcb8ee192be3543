package porttest

import (
	"net/netip"
	"strings"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// endpoint parses "10.0.0.1:40000", "[2001:db8::1]:40000" or "10.0.0.1".
func endpoint(s string) (packet.Addr, uint16) {
	if strings.Count(s, ":") == 1 || strings.HasPrefix(s, "[") {
		ap := netip.MustParseAddrPort(s)
		return addr(ap.Addr()), ap.Port()
	}
	return Addr(s), 0
}

// Addr parses an address.
func Addr(s string) packet.Addr { return addr(netip.MustParseAddr(s)) }

func tuple(proto uint8, src, dst string) packet.Tuple {
	t := packet.Tuple{Proto: proto}
	t.Src, t.SrcPort = endpoint(src)
	t.Dst, t.DstPort = endpoint(dst)
	return t
}

func buffer(payload int) []byte { return make([]byte, 128+payload) }

// UDP is a datagram of n payload bytes with TTL 64.
func UDP(src, dst string, n int) []byte {
	return packet.BuildUDP(buffer(n), tuple(packet.ProtoUDP, src, dst), 64, make([]byte, n))
}

// TCP is a segment of n payload bytes.
func TCP(src, dst string, flags uint8, n int) []byte {
	return packet.BuildTCP(buffer(n), tuple(packet.ProtoTCP, src, dst), flags, 1000, 2000, make([]byte, n))
}

// SYN, SYNACK, ACK and RST are the segments without payload.
func SYN(src, dst string) []byte { return TCP(src, dst, packet.FlagSYN, 0) }

// SYNACK answers a SYN.
func SYNACK(src, dst string) []byte { return TCP(src, dst, packet.FlagSYN|packet.FlagACK, 0) }

// ACK is what any established connection carries.
func ACK(src, dst string) []byte { return TCP(src, dst, packet.FlagACK, 0) }

// RST ends a connection.
func RST(src, dst string) []byte { return TCP(src, dst, packet.FlagRST|packet.FlagACK, 0) }

// Ping is an echo request with n payload bytes, Pong its reply.
func Ping(src, dst string, id uint16, n int) []byte {
	return packet.BuildICMPEcho(buffer(n), Addr(src), Addr(dst), false, id, 1, make([]byte, n))
}

// Pong is an echo reply.
func Pong(src, dst string, id uint16, n int) []byte {
	return packet.BuildICMPEcho(buffer(n), Addr(src), Addr(dst), true, id, 1, make([]byte, n))
}

// ICMPError is an error of that type and code, from a router or host, about a packet.
func ICMPError(from string, typ, code uint8, mtu uint16, quoted []byte) []byte {
	return packet.ICMPError(make([]byte, 1500), Addr(from), typ, code, mtu, quoted)
}

// Proto is a packet of a protocol without ports.
func Proto(proto uint8, src, dst string) []byte {
	b := UDP(src+":0", dst+":0", 12)
	b[9] = proto
	b[10], b[11] = 0, 0
	sum := packet.Checksum(b[:20])
	b[10], b[11] = byte(sum>>8), byte(sum)
	return b
}

// DF sets Don't Fragment.
func DF(b []byte) []byte { packet.SetDF(b); return b }

// TTL sets the time to live.
func TTL(b []byte, ttl uint8) []byte { packet.SetTTL(b, ttl); return b }

// Split cuts a packet into fragments of an MTU, with an identification.
func Split(b []byte, mtu int, id uint16) [][]byte {
	packet.SetIPID(b, id)
	var out [][]byte
	err := packet.Fragment(make([]byte, mtu), b, mtu, func(f []byte) {
		out = append(out, append([]byte(nil), f...))
	})
	if err != nil {
		panic(err)
	}
	return out
}

// Reply is the answer of the same kind to a packet: a SYN+ACK to a SYN, an ACK to
// other segments, a datagram, an echo reply.
func Reply(b []byte) []byte {
	h := Parse(b)
	t := h.Tuple.Reverse()
	switch {
	case h.IsTCP() && h.TCPFlags == packet.FlagSYN:
		return packet.BuildTCP(buffer(0), t, packet.FlagSYN|packet.FlagACK, 1, 1, nil)
	case h.IsTCP():
		return packet.BuildTCP(buffer(0), t, packet.FlagACK, 1, 1, nil)
	case h.IsUDP():
		return packet.BuildUDP(buffer(0), t, 64, nil)
	case h.IsICMP():
		return packet.BuildICMPEcho(buffer(0), t.Src, t.Dst, true, h.SrcPort, 1, nil)
	}
	return Proto(h.Proto, t.Src.String(), t.Dst.String())
}

// Parse decodes a well-formed packet.
func Parse(b []byte) *packet.Header {
	h := new(packet.Header)
	if bad := h.Parse(b); bad != 0 {
		panic(bad)
	}
	return h
}

// Frame puts an Ethernet header before an IP packet or an ARP message.
func Frame(dst, src [6]byte, etherType uint16, payload []byte) []byte {
	b := append(append([]byte{}, dst[:]...), src[:]...)
	b = append(b, byte(etherType>>8), byte(etherType))
	return append(b, payload...)
}

// ARP is an ARP message of RFC 826.
func ARP(op uint16, senderMAC [6]byte, sender string, targetMAC [6]byte, target string) []byte {
	b := []byte{0, 1, 8, 0, 6, 4, byte(op >> 8), byte(op)}
	s, t := netip.MustParseAddr(sender).As4(), netip.MustParseAddr(target).As4()
	b = append(append(b, senderMAC[:]...), s[:]...)
	return append(append(b, targetMAC[:]...), t[:]...)
}

// Super is a TCP segment or UDP datagram as a guest's TUN device gives it to be cut into
// segments of size payload bytes: with a virtio-net header, and in the checksum field no
// more than the sum of the pseudo header. Size 0 leaves it one packet.
func Super(pkt []byte, size uint16) []byte {
	var h packet.Header
	if bad := h.Parse(pkt); bad != 0 {
		panic(bad) // a test's own packet
	}
	at, o := 16, packet.Offload{Segments: 1}
	if h.IsUDP() {
		at = 6
	}
	if size > 0 {
		n := len(h.Payload())
		o = packet.Offload{GSO: packet.GSOTCP, Size: size, Segments: (n + int(size) - 1) / int(size)}
		if h.IsUDP() {
			o.GSO = packet.GSOUDP
		}
	}
	out := append(make([]byte, packet.VnetLen), pkt...)
	h.Parse(out[packet.VnetLen:])
	sum := pseudoSum(&h)
	h.Data[h.L4+at], h.Data[h.L4+at+1] = byte(sum>>8), byte(sum)
	h.PartialChecksum = true
	h.PutVnet(out, o, 0)
	return out
}

func pseudoSum(h *packet.Header) uint16 {
	b := append(append([]byte(nil), h.Src[:]...), h.Dst[:]...)
	if h.Version == 4 {
		b = append(append([]byte(nil), h.Src[12:]...), h.Dst[12:]...)
	}
	n := len(h.Data) - h.L4
	return ^packet.Checksum(append(b, 0, h.Proto, byte(n>>8), byte(n)))
}
