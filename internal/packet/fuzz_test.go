package packet

import (
	"slices"
	"testing"
)

// seeds are packets of every kind that Parse tells apart.
func seeds() [][]byte {
	tcp := BuildTCP(nil, tup(hostA, hostB, 40000, 443), FlagSYN, 1, 0, []byte("hello"))
	udp := BuildUDP(nil, tup(hostA, hostB, 5000, 53), 64, make([]byte, 40))
	noSum := with(udp, func(b []byte) { b[26], b[27] = 0, 0 })
	first, second := with(udp, func(b []byte) { SetFragment(b, 0, true) }), with(udp, func(b []byte) { SetFragment(b, 1480, false) })
	hop := []byte{extFragment, 0, 5, 2, 0, 0, 1, 0}
	return [][]byte{
		tcp, udp, noSum, first, second,
		BuildSYN(nil, tup(hostA, hostB, 1, 2), 7, 8961),
		syn(hostA, hostB, FlagSYN, 1, 2, 4, 0x23, 1),
		AddIPOptions(nil, udp, []byte{0x94, 4, 0, 0, 7, 3, 4}),
		BuildICMPEcho(nil, hostA, hostB, false, 7, 1, []byte("ping")),
		BuildICMPEcho(nil, hostA, hostB, true, 0, 0, make([]byte, 8)),
		BuildICMPEcho(nil, host6A, host6B, true, 7, 1, []byte("ping")),
		BuildTCP(nil, tup(host6A, host6B, 40000, 443), FlagACK, 1, 0, nil),
		v6packet(extHopByHop, hop, fragHeader(ProtoUDP, 0, false, 1), udp6),
		v6packet(extFragment, fragHeader(ProtoUDP, 1448, true, 1), udp6[:8]),
		FragNeeded(nil, router, 1500, tcp),
		TimeExceeded(nil, router, udp),
		ICMPError(nil, router, ICMPUnreachable, 3, 0, noSum),
		TimeExceeded(nil, router, BuildICMPEcho(nil, hostA, hostB, false, 7, 1, nil)),
		FragNeeded(nil, router6, 1280, BuildUDP(nil, tup(host6A, host6B, 1, 2), 64, make([]byte, 100))),
	}
}

func FuzzParse(f *testing.F) {
	for _, b := range seeds() {
		f.Add(b, uint32(0xcb007105), uint16(1024))
		f.Add(b[:len(b)-3], uint32(0), uint16(0))
	}
	f.Fuzz(func(t *testing.T, in []byte, addr uint32, port uint16) {
		var h Header
		b := slices.Clone(in)
		if m := h.Parse(b); m != 0 {
			if m >= MalformedCount {
				t.Fatalf("unknown reason %d", m)
			}
			return
		}
		checkOffsets(t, &h, b)
		checkAnswers(t, &h)
		right := VerifyChecksums(h.Data) == nil
		checkFragments(t, h.Data)
		a := fuzzAddr(h.Version, addr)
		h.SetSrc(a)
		h.SetInnerDst(a)
		h.SetInnerSrcPort(port)
		h.SetSrcPort(port)
		h.SetDstPort(port)
		h.SetTTL(uint8(port))
		h.SetDst(a)
		h.SetInnerSrc(a)
		h.SetInnerDstPort(port)
		ClampMSS(&h, port)
		if after := VerifyChecksums(h.Data); (after == nil) != right {
			t.Fatalf("right before: %v; after the setters: %v", right, after)
		}
		checkAgain(t, &h)
	})
}

func fuzzAddr(version uint8, v uint32) Addr {
	a := Addr{10: 0xff, 11: 0xff}
	if version == 6 {
		a = Addr{0: 0x20, 1: 1}
	}
	be.PutUint32(a[12:], v)
	return a
}

func checkOffsets(t *testing.T, h *Header, b []byte) {
	if len(h.Data) > len(b) || len(h.Data) > 0 && &h.Data[0] != &b[0] {
		t.Fatal("Data is not the beginning of the input")
	}
	if h.L4 < v4HeaderLen || h.L4 > len(h.Data) {
		t.Fatalf("L4 %d of %d bytes", h.L4, len(h.Data))
	}
	if h.HasInner && (h.InnerL3 <= h.L4 || h.InnerL4 <= h.InnerL3 || h.InnerL4 > h.innerEnd || h.innerEnd > len(h.Data)) {
		t.Fatalf("InnerL3 %d InnerL4 %d end %d of %d bytes", h.InnerL3, h.InnerL4, h.innerEnd, len(h.Data))
	}
	if !h.HasInner && (h.InnerPorts || h.Inner != Tuple{} || h.InnerL4 != 0) {
		t.Fatal("inner fields without an inner packet")
	}
	if h.Src.Is4() != (h.Version == 4) || h.Dst.Is4() != (h.Version == 4) {
		t.Fatal("address of the other family")
	}
	_ = h.Payload()
	_ = h.Tuple.String()
}

// checkAnswers builds everything that can be said about the packet; what comes out is well-formed.
func checkAnswers(t *testing.T, h *Header) {
	from := fuzzAddr(h.Version, 0xa000001)
	for _, answer := range [][]byte{TimeExceeded(nil, from, h.Data), FragNeeded(nil, from, 1500, h.Data), TCPReset(nil, h)} {
		if answer == nil {
			continue
		}
		a := mustParse(t, answer)
		if a.Dst != h.Src {
			t.Fatalf("answer to %v goes to %v", h.Tuple, a.Dst)
		}
		if len(answer) > MaxICMPError || h.Version == 4 && len(answer) > maxICMP4Error {
			t.Fatalf("answer of %d bytes", len(answer))
		}
		if VerifyChecksums(h.Data) == nil {
			mustVerify(t, answer)
		}
	}
}

func checkFragments(t *testing.T, b []byte) {
	at := 0
	_ = Fragment(nil, b, 68, func(f []byte) {
		h := mustParse(t, f)
		if len(f) > 68 || at > 0 && h.FragOffset != at {
			t.Fatalf("fragment of %d bytes at %d, want %d", len(f), h.FragOffset, at)
		}
		at = h.FragOffset + len(f) - h.L4
	})
}

// checkAgain decodes the changed packet: it must say what the header says.
func checkAgain(t *testing.T, h *Header) {
	var again Header
	if m := again.Parse(h.Data); m != 0 {
		t.Fatalf("changed into a malformed packet: %v", m)
	}
	if h.NonFirstFragment() {
		again.SrcPort, again.DstPort = h.SrcPort, h.DstPort
	}
	if !h.InnerPorts {
		again.Inner.SrcPort, again.Inner.DstPort = h.Inner.SrcPort, h.Inner.DstPort
	}
	if again.Tuple != h.Tuple || again.Inner != h.Inner || again.TTL != h.TTL {
		t.Fatalf("decoded again: %v inner %v TTL %d\nheader says:  %v inner %v TTL %d", again.Tuple, again.Inner, again.TTL, h.Tuple, h.Inner, h.TTL)
	}
}
