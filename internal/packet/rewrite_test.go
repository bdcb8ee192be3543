package packet

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// recomputed returns b with every checksum computed anew and in full (RFC 1071).
func recomputed(b []byte) []byte {
	b = slices.Clone(b)
	var h Header
	if h.Parse(b) != 0 {
		return nil
	}
	if h.HasInner {
		recomputeAt(b[h.InnerL3:h.innerEnd])
	}
	recomputeAt(b)
	return b
}

// recomputeAt does it for the packet b, which may be the quoted beginning of one:
// a transport checksum is computed only where all that it covers is there.
func recomputeAt(b []byte) {
	proto, l4, src, dst := b[6], 40, b[8:24], []byte(nil)
	v4 := b[0]>>4 == 4
	if v4 {
		proto, l4, src, dst = b[9], int(b[0]&15)*4, b[12:16], b[16:20]
		b[10], b[11] = 0, 0
		be.PutUint16(b[10:], slowSum(b[:l4]))
		if int(be.Uint16(b[2:])) != len(b) || be.Uint16(b[6:])&0x3fff != 0 {
			return
		}
	} else {
		dst = b[24:40]
	}
	p := b[l4:]
	pseudo := slices.Concat(src, dst, []byte{byte(len(p) >> 24), byte(len(p) >> 16), byte(len(p) >> 8), byte(len(p)), 0, 0, 0, proto})
	at := map[uint8]int{ProtoTCP: 16, ProtoUDP: 6, ProtoICMP: 2, ProtoICMPv6: 2}[proto]
	if proto == ProtoICMP {
		pseudo = nil
	}
	if proto == ProtoUDP && p[6] == 0 && p[7] == 0 {
		return
	}
	old := be.Uint16(p[at:])
	p[at], p[at+1] = 0, 0
	s := slowSum(pseudo, p)
	if s == 0xffff && old == 0 {
		return // a quoted echo reply of zeros: both zeros will do, nobody verifies it
	}
	if s == 0 && proto == ProtoUDP {
		s = 0xffff
	}
	be.PutUint16(p[at:], s)
}

// change draws and applies some setters, twice as many as there are.
func change(t *rapid.T, h *Header, v4 bool) {
	port := rapid.OneOf(rapid.Uint16(), rapid.SampledFrom([]uint16{0, 0xffff}))
	for range rapid.IntRange(1, 10).Draw(t, "setters") {
		switch rapid.IntRange(0, 8).Draw(t, "setter") {
		case 0:
			h.SetSrc(genAddr(v4).Draw(t, "src"))
		case 1:
			h.SetDst(genAddr(v4).Draw(t, "dst"))
		case 2:
			h.SetSrcPort(port.Draw(t, "sport"))
		case 3:
			h.SetDstPort(port.Draw(t, "dport"))
		case 4:
			h.SetTTL(rapid.Uint8().Draw(t, "ttl"))
		case 5:
			h.SetInnerSrc(genAddr(v4).Draw(t, "isrc"))
		case 6:
			h.SetInnerDst(genAddr(v4).Draw(t, "idst"))
		case 7:
			h.SetInnerSrcPort(port.Draw(t, "isport"))
		default:
			h.SetInnerDstPort(port.Draw(t, "idport"))
		}
	}
}

func checkAgainstRecomputed(t *rapid.T, h *Header) {
	if want := recomputed(h.Data); !bytes.Equal(h.Data, want) {
		t.Fatalf("checksums differ from computed ones:\n got %x\nwant %x", h.Data, want)
	}
	var again Header
	if m := again.Parse(h.Data); m != 0 || again.Tuple != h.Tuple || again.TTL != h.TTL || again.Inner != h.Inner {
		t.Fatalf("decoded again: %v %+v, header said %+v", m, again, h)
	}
}

func TestRFC1624_SettersKeepChecksums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v4 := rapid.Bool().Draw(t, "v4")
		var h Header
		if m := h.Parse(genPacket(v4).Draw(t, "packet")); m != 0 {
			t.Fatal(m)
		}
		change(t, &h, v4)
		checkAgainstRecomputed(t, &h)
	})
}

func TestRFC1624_InnerSettersKeepChecksums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v4 := rapid.Bool().Draw(t, "v4")
		from, typ := router6, uint8(ICMPv6Unreachable)
		if v4 {
			from, typ = router, ICMPUnreachable
		}
		quoted := genPacket(v4).Filter(func(b []byte) bool {
			var h Header
			return h.Parse(b) == 0 && h.mayAnswer(typ, 1)
		}).Draw(t, "quoted")
		var h Header
		if m := h.Parse(ICMPError(nil, from, typ, 1, 0, quoted)); m != 0 || !h.HasInner || !h.InnerPorts {
			t.Fatalf("%v %+v", m, h)
		}
		change(t, &h, v4)
		checkAgainstRecomputed(t, &h)
	})
}

// A quote of 8 bytes of TCP has no checksum to keep, and one cut in the middle of
// a checksum has none either.
func TestRFC1624_InnerSettersOfAShortQuote(t *testing.T) {
	quoted := BuildTCP(nil, tup(hostA, hostB, 40000, 443), FlagACK, 1, 1, nil)
	for n := 28 + 20; n <= 28+40; n++ {
		b := ICMPError(nil, router, ICMPTimeExceeded, 0, 0, quoted)[:n]
		be.PutUint16(b[2:], uint16(n))
		sealHeader(b)
		be.PutUint16(b[22:], 0)
		be.PutUint16(b[22:], slowSum(b[20:]))
		h := mustParse(t, b)
		h.SetInnerSrc(ip("10.9.9.9"))
		h.SetInnerDst(ip("203.0.113.77"))
		h.SetInnerSrcPort(0xfeed)
		h.SetInnerDstPort(0xbeef)
		if slowSum(b[20:]) != 0 {
			t.Errorf("quote of %d bytes: ICMP checksum is wrong", n-28)
		}
		if slowSum(b[28:48]) != 0 {
			t.Errorf("quote of %d bytes: quoted header checksum is wrong", n-28)
		}
		if n >= 66 { // as far as the checksum: it must be what the sender would have computed
			want := BuildTCP(nil, tup(ip("10.9.9.9"), ip("203.0.113.77"), 0xfeed, 0xbeef), FlagACK, 1, 1, nil)
			if got := be.Uint16(b[64:]); got != be.Uint16(want[36:]) {
				t.Errorf("quote of %d bytes: quoted TCP checksum %#04x, want %#04x", n-28, got, be.Uint16(want[36:]))
			}
		} else if n == 65 && b[64] != quoted[36] {
			t.Error("half a checksum was changed")
		}
	}
}

func TestSettersOfFragmentsTouchOnlyTheIPHeader(t *testing.T) {
	b := BuildUDP(nil, tup(hostA, hostB, 5000, 53), 9, bytes.Repeat([]byte{0x5a}, 32))
	SetFragment(b, 1480, false)
	l4 := slices.Clone(b[20:])
	h := mustParse(t, b)
	h.SetSrc(router)
	h.SetDst(hostA)
	h.SetSrcPort(7)
	h.SetDstPort(8)
	h.SetTTL(1)
	if !bytes.Equal(b[20:], l4) || !headerSumOK(b) {
		t.Errorf("payload changed or header checksum wrong: %x", b)
	}
	if want := (Tuple{router, hostA, 7, 8, ProtoUDP}); h.Tuple != want || h.TTL != 1 {
		t.Errorf("decoded fields %v, want %v", h.Tuple, want)
	}
}

// The first fragment's checksum covers bytes that are not there; the difference
// still has to make it right for whoever puts the datagram together.
func TestRFC1624_FirstFragment(t *testing.T) {
	b := BuildUDP(nil, tup(hostA, hostB, 5000, 53), 9, bytes.Repeat([]byte{0x5a}, 100))
	first := slices.Clone(b[:20+48])
	be.PutUint16(first[2:], 68)
	SetFragment(first, 0, true)
	h := mustParse(t, first)
	h.SetSrc(router)
	h.SetSrcPort(1024)
	whole := slices.Concat(first, b[68:])
	be.PutUint16(whole[2:], uint16(len(whole)))
	SetFragment(whole, 0, false)
	mustVerify(t, whole)
}

func TestSettersLeaveAWrongChecksumWrong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v4 := rapid.Bool().Draw(t, "v4")
		b := genPacket(v4).Draw(t, "packet")
		var h Header
		h.Parse(b)
		at, _, _ := checksumAt(h.Version, h.Proto)
		f := b[h.L4+at:]
		off := rapid.Uint16Range(1, 0xfffe).Draw(t, "error")
		f[0] ^= byte(off >> 8)
		f[1] ^= byte(off)
		before := VerifyChecksums(b) == nil // a UDP checksum may have become 0 by chance
		change(t, &h, v4)
		if after := VerifyChecksums(b) == nil; after != before {
			t.Fatalf("right before: %v, after: %v", before, after)
		}
	})
}

func TestPartialChecksumStaysPartial(t *testing.T) {
	for _, a := range [][3]Addr{{hostA, hostB, router}, {host6A, host6B, router6}} {
		for _, udp := range []bool{false, true} {
			build := func(src, dst Addr, sport, dport uint16) *Header {
				tu, payload := tup(src, dst, sport, dport), make([]byte, 3000)
				b := BuildTCP(nil, tu, FlagACK, 1, 1, payload)
				if udp {
					b = BuildUDP(nil, tu, 64, payload)
				}
				h := mustParse(t, b)
				at, _, _ := checksumAt(h.Version, h.Proto)
				be.PutUint16(b[h.L4+at:], fold(pseudo(src, dst, h.Proto, len(b)-h.L4)))
				h.PartialChecksum = true
				return h
			}
			h := build(a[0], a[1], 1000, 2000)
			h.SetSrc(a[2])
			h.SetDst(a[0])
			h.SetSrcPort(3000)
			h.SetDstPort(4000)
			h.SetTTL(64)
			want := build(a[2], a[0], 3000, 4000)
			if !bytes.Equal(h.Data, want.Data) {
				t.Errorf("%v: partial checksum is not that of the new pseudo header", h.Tuple)
			}
			if VerifyChecksums(h.Data) == nil {
				t.Error("a partial checksum passes for a full one")
			}
			h.CompleteChecksum()
			mustVerify(t, h.Data)
			if h.PartialChecksum {
				t.Error("still said to be partial")
			}
		}
	}
}

func TestCompleteChecksumDoesNothingToAFullOne(t *testing.T) {
	b := BuildUDP(nil, tup(hostA, hostB, 1, 2), 3, []byte("x"))
	want := slices.Clone(b)
	mustParse(t, b).CompleteChecksum()
	if !bytes.Equal(b, want) {
		t.Error("changed")
	}
}

func TestSettersIgnoreTheOtherFamilyAndMissingPorts(t *testing.T) {
	gre, _ := newIP(nil, hostA, hostB, 47, 64, 16)
	sealHeader(gre)
	reply := BuildICMPEcho(nil, hostA, hostB, true, 7, 1, nil)
	six := BuildUDP(nil, tup(host6A, host6B, 1, 2), 64, nil)
	for _, b := range [][]byte{gre, reply, six} {
		want := slices.Clone(b)
		h := mustParse(t, b)
		tu := h.Tuple
		if h.Version == 4 {
			h.SetSrc(host6A)
			h.SetDst(host6A)
			h.SetSrcPort(99)
		} else {
			h.SetSrc(hostA)
			h.SetDst(hostA)
		}
		h.SetInnerSrc(hostA)
		h.SetInnerSrcPort(5)
		if !bytes.Equal(b, want) || h.Tuple != tu {
			t.Errorf("%v: changed to %v", tu, h.Tuple)
		}
	}
}

// The one message whose sum may be 0: receivers want 0xffff there.
func TestRFC1624_EchoReplyOfZeros(t *testing.T) {
	b := BuildICMPEcho(nil, hostA, hostB, true, 0, 0, make([]byte, 8))
	if be.Uint16(b[22:]) != 0xffff {
		t.Fatalf("built with checksum %#04x", be.Uint16(b[22:]))
	}
	h := mustParse(t, b)
	h.SetDstPort(5)
	mustVerify(t, b)
	h.SetDstPort(0)
	if be.Uint16(b[22:]) != 0xffff {
		t.Errorf("back at 0 with checksum %#04x", be.Uint16(b[22:]))
	}
}

// RFC 1624 section 4: a checksum of 0xdd2f, a word changed from 0x5555 to 0x3285, gives 0x0000.
func TestRFC1624_Example(t *testing.T) {
	h := Header{Data: []byte{0xdd, 0x2f}}
	if h.adjust(0, diff16(0x5555, 0x3285), sumFull); be.Uint16(h.Data) != 0 {
		t.Errorf("got %#04x, want 0", be.Uint16(h.Data))
	}
}
