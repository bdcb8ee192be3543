package packet

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// vnet is a virtio-net header as a sender may write it.
func vnet(flags, typ uint8, size, start, offset int) []byte {
	v := make([]byte, VnetLen)
	v[0], v[1] = flags, typ
	le.PutUint16(v[2:], 0xdead) // hdr_len is a hint that nobody may trust
	le.PutUint16(v[4:], uint16(size))
	le.PutUint16(v[6:], uint16(start))
	le.PutUint16(v[8:], uint16(offset))
	return v
}

// partial makes the TCP or UDP checksum of b one that is left to the device.
func partial(t rapid.TB, b []byte) []byte {
	h := mustParse(t, b)
	h.makePartial()
	return b
}

func TestReadVnet(t *testing.T) {
	tcp4 := BuildTCP(nil, tup(hostA, hostB, 1, 2), FlagACK, 1, 1, make([]byte, 3000))
	tcp6 := BuildTCP(nil, tup(host6A, host6B, 1, 2), FlagACK, 1, 1, make([]byte, 3000))
	udp4 := BuildUDP(nil, tup(hostA, hostB, 1, 2), 64, make([]byte, 3000))
	udp6 := BuildUDP(nil, tup(host6A, host6B, 1, 2), 64, make([]byte, 3000))
	syn4 := BuildTCP(nil, tup(hostA, hostB, 1, 2), FlagSYN, 1, 1, make([]byte, 3000))
	urg4 := BuildTCP(nil, tup(hostA, hostB, 1, 2), FlagACK|FlagURG, 1, 1, make([]byte, 3000))
	rst4 := BuildTCP(nil, tup(hostA, hostB, 1, 2), FlagRST, 1, 1, make([]byte, 3000))
	first := with(udp4, func(b []byte) { SetFragment(b, 0, true) })
	echo := BuildICMPEcho(nil, hostA, hostB, false, 1, 1, make([]byte, 3000))
	atomic := v6packet(extFragment, fragHeader(ProtoUDP, 0, false, 1), BuildUDP(nil, tup(host6A, host6B, 1, 2), 64, make([]byte, 3000))[40:])
	slack := with(udp4, func(b []byte) { be.PutUint16(b[24:], 2000) })
	for _, c := range []struct {
		name    string
		b, v    []byte
		l2      int
		want    Offload
		refused Malformed
		partial bool
	}{
		{"nothing", tcp4, vnet(0, 0, 0, 0, 0), 0, Offload{Segments: 1}, 0, false},
		{"data valid", tcp4, vnet(2, 0, 0, 0, 0), 0, Offload{Segments: 1}, 0, false},
		{"size without type", tcp4, vnet(0, 0, 9, 9, 9), 0, Offload{Segments: 1}, 0, false},
		{"checksum", tcp4, vnet(1, 0, 0, 20, 16), 0, Offload{Segments: 1}, 0, true},
		{"checksum after Ethernet", udp6, vnet(1, 0, 0, 54, 6), 14, Offload{Segments: 1}, 0, true},
		{"TSO4", tcp4, vnet(1, 1, 1448, 20, 16), 0, Offload{GSOTCP, 1448, 3, false}, 0, true},
		{"TSO4 on TAP", tcp4, vnet(1, 1, 1448, 34, 16), 14, Offload{GSOTCP, 1448, 3, false}, 0, true},
		{"TSO4 ECN", tcp4, vnet(1, 0x81, 1500, 20, 16), 0, Offload{GSOTCP, 1500, 2, true}, 0, true},
		{"TSO6", tcp6, vnet(1, 4, 2999, 40, 16), 0, Offload{GSOTCP, 2999, 2, false}, 0, true},
		{"USO4", udp4, vnet(1, 5, 1000, 20, 6), 0, Offload{GSOUDP, 1000, 3, false}, 0, true},
		{"USO6", udp6, vnet(1, 5, 1000, 40, 6), 0, Offload{GSOUDP, 1000, 3, false}, 0, true},
		{"TSO without checksum", tcp4, vnet(0, 1, 1448, 0, 0), 0, Offload{GSOTCP, 1448, 3, false}, 0, true},
		{"one segment", tcp4, vnet(1, 1, 3000, 20, 16), 0, Offload{Segments: 1}, 0, true},
		{"one segment without checksum", tcp4, vnet(0, 1, 65535, 20, 16), 0, Offload{Segments: 1}, 0, false},
		{"most TCP segments", tcp4, vnet(1, 1, 2, 20, 16), 0, Offload{GSOTCP, 2, 1500, false}, 0, true},
		{"too many TCP segments", tcp4, vnet(1, 1, 1, 20, 16), 0, Offload{}, MalformedGSOSegments, false},
		{"most UDP segments", udp4, vnet(1, 5, 24, 20, 6), 0, Offload{GSOUDP, 24, 125, false}, 0, true},
		{"too many UDP segments", udp4, vnet(1, 5, 23, 20, 6), 0, Offload{}, MalformedGSOSegments, false},
		{"size 0", tcp4, vnet(1, 1, 0, 20, 16), 0, Offload{}, MalformedGSOSize, false},
		{"TSO4 on IPv6", tcp6, vnet(1, 1, 1000, 40, 16), 0, Offload{}, MalformedGSOType, false},
		{"TSO6 on IPv4", tcp4, vnet(1, 4, 1000, 20, 16), 0, Offload{}, MalformedGSOType, false},
		{"USO on TCP", tcp4, vnet(1, 5, 1000, 20, 16), 0, Offload{}, MalformedGSOType, false},
		{"TSO on UDP", udp4, vnet(1, 1, 1000, 20, 6), 0, Offload{}, MalformedGSOType, false},
		{"UFO", udp4, vnet(1, 3, 1000, 20, 6), 0, Offload{}, MalformedGSOType, false},
		{"USO with ECN", udp4, vnet(1, 0x85, 1000, 20, 6), 0, Offload{}, MalformedGSOType, false},
		{"ECN alone", tcp4, vnet(1, 0x80, 1000, 20, 16), 0, Offload{}, MalformedGSOType, false},
		{"tunnel", udp4, vnet(1, 0x25, 1000, 20, 6), 0, Offload{}, MalformedGSOType, false},
		{"ICMP", echo, vnet(0, 1, 1000, 0, 0), 0, Offload{}, MalformedGSOType, false},
		{"SYN", syn4, vnet(1, 1, 1000, 20, 16), 0, Offload{}, MalformedGSOFlags, false},
		{"RST", rst4, vnet(1, 1, 1000, 20, 16), 0, Offload{}, MalformedGSOFlags, false},
		{"URG", urg4, vnet(1, 1, 1000, 20, 16), 0, Offload{}, MalformedGSOFlags, false},
		{"fragment", first, vnet(1, 5, 1000, 20, 6), 0, Offload{}, MalformedGSOPacket, false},
		{"atomic fragment", atomic, vnet(1, 5, 1000, 48, 6), 0, Offload{}, MalformedGSOPacket, false},
		{"bytes after the datagram", slack, vnet(1, 5, 1000, 20, 6), 0, Offload{}, MalformedGSOPacket, false},
		{"GSO with another's checksum", tcp4, vnet(1, 1, 1000, 60, 16), 0, Offload{}, MalformedVnetChecksum, false},
		{"checksum beyond the end", tcp4, vnet(1, 0, 0, 3039, 0), 0, Offload{}, MalformedVnetChecksum, false},
		{"offset beyond the end", tcp4, vnet(1, 0, 0, 20, 65535), 0, Offload{}, MalformedVnetChecksum, false},
		{"checksum in the Ethernet header", tcp4, vnet(1, 0, 0, 13, 16), 14, Offload{}, MalformedVnetChecksum, false},
		{"short", tcp4, make([]byte, VnetLen-1), 0, Offload{}, MalformedVnetTruncated, false},
	} {
		h := mustParse(t, slices.Clone(c.b))
		o, m := h.ReadVnet(c.v, c.l2)
		if o != c.want || m != c.refused || h.PartialChecksum != c.partial {
			t.Errorf("%s: got %+v %v partial %v, want %+v %v partial %v", c.name, o, m, h.PartialChecksum, c.want, c.refused, c.partial)
		}
		if m != 0 && h.Version != 0 {
			t.Errorf("%s: refused, but the header is not zero", c.name)
		}
	}
}

// The checksum of a packet in a tunnel is completed on the spot.
func TestReadVnet_CompletesAnInnerChecksum(t *testing.T) {
	inner := partial(t, BuildUDP(nil, tup(hostA, hostB, 5, 6), 64, []byte("inner")))
	outer := BuildUDP(nil, tup(hostA, hostB, 1, 4789), 64, slices.Concat(make([]byte, 8), inner))
	outer[26], outer[27] = 0, 0 // VXLAN over IPv4 mostly has none
	h := mustParse(t, outer)
	if _, m := h.ReadVnet(vnet(1, 0, 0, 14+28+8+20, 6), 14); m != 0 || h.PartialChecksum {
		t.Fatalf("%v, partial %v", m, h.PartialChecksum)
	}
	mustVerify(t, h.Data[28+8:])
}

// What a checksum overwrites is decoded again: a filter must see what will be forwarded.
func TestReadVnet_DecodesAgain(t *testing.T) {
	h := mustParse(t, BuildUDP(nil, tup(hostA, hostB, 5, 6), 64, []byte("x")))
	was := h.Src
	if _, m := h.ReadVnet(vnet(1, 0, 0, 0, 12), 0); m != 0 {
		t.Fatal(m)
	}
	if again := mustParse(t, h.Data); again.Src != h.Src || h.Src == was {
		t.Errorf("source %v is decoded, %v is in the packet, %v was", h.Src, again.Src, was)
	}
	h = mustParse(t, BuildUDP(nil, tup(hostA, hostB, 5, 6), 64, []byte("x")))
	if _, m := h.ReadVnet(vnet(1, 0, 0, 0, 0), 0); m == 0 || h.Version != 0 {
		t.Errorf("overwritten version: %v", m)
	}
}

// A datagram shorter than its packet gets the datagram's checksum, not the packet's.
func TestReadVnet_BytesAfterTheDatagram(t *testing.T) {
	b := BuildUDP(nil, tup(hostA, hostB, 5, 6), 64, []byte("hello, world"))
	be.PutUint16(b[24:], 8+5)
	h := mustParse(t, b)
	if _, m := h.ReadVnet(vnet(1, 0, 0, 20, 6), 0); m != 0 || h.PartialChecksum {
		t.Fatalf("%v, partial %v", m, h.PartialChecksum)
	}
	mustVerify(t, b)
}

// RFC 2675: a jumbogram has payload length 0 and a Hop-by-Hop option; BIG TCP makes them.
func TestReadVnet_JumbogramsAreRefused(t *testing.T) {
	jumbo := v6packet(extHopByHop, []byte{ProtoTCP, 0, 0xc2, 4, 0, 1, 0, 0}, BuildTCP(nil, tup(host6A, host6B, 1, 2), FlagACK, 1, 1, make([]byte, 70000-40))[:0])
	be.PutUint16(jumbo[4:], 0)
	var h Header
	if h.Parse(append(jumbo, make([]byte, 65536)...)) == 0 {
		t.Errorf("decoded as %v", h.Tuple)
	}
}

func TestPutVnet_IsWhatWasRead(t *testing.T) {
	b := partial(t, BuildTCP(nil, tup(hostA, hostB, 1, 2), FlagACK|FlagCWR, 1, 1, make([]byte, 3000)))
	h := mustParse(t, b)
	o, m := h.ReadVnet(vnet(1, 0x81, 1448, 34, 16), 14)
	if m != 0 {
		t.Fatal(m)
	}
	v := bytes.Repeat([]byte{0xff}, VnetLen+1)
	h.PutVnet(v, o, 0)
	if want := []byte{1, 0x81, 40, 0, 0xa8, 5, 20, 0, 16, 0, 0xff}; !bytes.Equal(v, want) {
		t.Errorf("got % x, want % x", v, want)
	}
	if got := h.WireLen(o); got != 40+1448 {
		t.Errorf("WireLen %d", got)
	}
	if got := h.WireBytes(o); got != 3000+3*40 {
		t.Errorf("WireBytes %d", got)
	}
}

// A capture completes checksums; the super-packet that goes on needs a partial one.
func TestPutVnet_MakesThePartialChecksumAgain(t *testing.T) {
	b := partial(t, BuildUDP(nil, tup(host6A, host6B, 1, 2), 64, make([]byte, 3000)))
	want := slices.Clone(b)
	h := mustParse(t, b)
	o, _ := h.ReadVnet(vnet(1, 5, 1000, 40, 6), 0)
	h.CompleteChecksum()
	v := make([]byte, VnetLen)
	h.PutVnet(v, o, 0)
	if v[0] != 1 || !bytes.Equal(h.Data, want) {
		t.Errorf("header % x, checksum %#04x, want %#04x", v, be.Uint16(b[46:]), be.Uint16(want[46:]))
	}
}
