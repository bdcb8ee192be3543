package packet

import (
	"slices"
	"testing"
)

// with returns a copy of b after edit; sealed again if it is IPv4.
func with(b []byte, edit func(b []byte)) []byte {
	b = slices.Clone(b)
	edit(b)
	return b
}

// v6packet puts extension headers and payload, given as bytes, behind an IPv6 header.
func v6packet(next uint8, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	b, l4 := newIP(nil, host6A, host6B, next, 64, len(body))
	copy(b[l4:], body)
	return b
}

// udp6 is the transport part of a UDP datagram from 5000 to 53.
var udp6 = []byte{0x13, 0x88, 0, 53, 0, 12, 0, 0, 'a', 'b', 'c', 'd'}

func fragHeader(next uint8, offset int, more bool, id byte) []byte {
	f := []byte{next, 0, byte(offset >> 8), byte(offset), 0, 0, 0, id}
	if more {
		f[3] |= 1
	}
	return f
}

func TestParseTCP(t *testing.T) {
	for _, tu := range []Tuple{tup(hostA, hostB, 40000, 443), tup(host6A, host6B, 40000, 443)} {
		b := BuildTCP(nil, tu, FlagSYN|FlagACK, 1, 2, []byte("xyz"))
		h := mustParse(t, append(slices.Clone(b), "trailer of the link"...))
		tu.Proto = ProtoTCP
		if h.Tuple != tu || h.TCPFlags != FlagSYN|FlagACK || h.TTL != 64 {
			t.Errorf("got %v flags %#x TTL %d, want %v", h.Tuple, h.TCPFlags, h.TTL, tu)
		}
		if len(h.Data) != len(b) || string(h.Payload()) != "xyz" {
			t.Errorf("Data has %d bytes, want %d; payload %q", len(h.Data), len(b), h.Payload())
		}
		if h.IsFragment() || h.HasOptions || h.HasInner || h.IsICMP() || h.DontFragment != (h.Version == 6) {
			t.Errorf("%+v", h)
		}
	}
}

func TestParseICMPQueryConvention(t *testing.T) {
	for _, a := range [][2]Addr{{hostA, hostB}, {host6A, host6B}} {
		req := mustParse(t, BuildICMPEcho(nil, a[0], a[1], false, 77, 1, nil))
		rep := mustParse(t, BuildICMPEcho(nil, a[1], a[0], true, 77, 1, nil))
		if req.SrcPort != 77 || req.DstPort != 0 || rep.SrcPort != 0 || rep.DstPort != 77 {
			t.Errorf("request %v, reply %v", req.Tuple, rep.Tuple)
		}
		if req.Reverse() != rep.Tuple {
			t.Errorf("reverse of %v is not %v", req.Tuple, rep.Tuple)
		}
		if !req.IsICMPQuery() || !rep.IsICMPQuery() || req.IsICMPError() || !req.IsICMP() {
			t.Error("not seen as a query")
		}
	}
	for typ, request := range map[uint8]bool{13: true, 15: true, 17: true, 14: false, 16: false, 18: false} {
		b := with(BuildICMPEcho(nil, hostA, hostB, false, 9, 0, nil), func(b []byte) { b[20] = typ })
		h := mustParse(t, b)
		if request && h.SrcPort != 9 || !request && h.DstPort != 9 {
			t.Errorf("type %d: %v", typ, h.Tuple)
		}
	}
	if h := mustParse(t, with(BuildICMPEcho(nil, hostA, hostB, false, 9, 0, nil), func(b []byte) { b[20] = 9 })); h.SrcPort != 0 || h.DstPort != 0 || h.IsICMPQuery() {
		t.Errorf("router advertisement has ports: %v", h.Tuple)
	}
}

func TestParseFragments(t *testing.T) {
	b := BuildUDP(nil, tup(hostA, hostB, 5000, 53), 9, make([]byte, 64))
	SetIPID(b, 0xbeef)
	SetFragment(b, 0, true)
	h := mustParse(t, b)
	if !h.IsFragment() || h.NonFirstFragment() || h.SrcPort != 5000 || h.FragID != 0xbeef || !h.MoreFragments {
		t.Errorf("first: %+v", h)
	}
	SetFragment(b, 1480, false)
	h = mustParse(t, b)
	if !h.NonFirstFragment() || h.FragOffset != 1480 || h.SrcPort != 0 || h.DstPort != 0 || h.MoreFragments {
		t.Errorf("second: %+v", h)
	}
	if len(h.Payload()) != 72 {
		t.Errorf("payload of a non-first fragment has %d bytes", len(h.Payload()))
	}
}

func TestParseIPv6Extensions(t *testing.T) {
	hop := []byte{extDestination, 0, 5, 2, 0, 0, 1, 0}
	dest := []byte{extFragment, 1, 1, 2, 0, 0, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0}
	b := v6packet(extHopByHop, hop, dest, fragHeader(ProtoUDP, 0, false, 7), udp6)
	h := mustParse(t, b)
	if h.Proto != ProtoUDP || h.SrcPort != 5000 || h.DstPort != 53 || h.L4 != 40+8+16+8 || !h.HasOptions || h.FragID != 7 || h.IsFragment() {
		t.Errorf("chain: %+v", h)
	}
	h = mustParse(t, v6packet(extFragment, fragHeader(ProtoUDP, 1448, true, 7), udp6[:8]))
	if h.Proto != ProtoUDP || !h.NonFirstFragment() || h.FragOffset != 1448 || !h.MoreFragments || h.SrcPort != 0 || h.L4 != 48 || h.HasOptions {
		t.Errorf("non-first: %+v", h)
	}
	for _, next := range []uint8{50, 51, 59, 41, ProtoICMP} {
		if h = mustParse(t, v6packet(next, make([]byte, 8))); h.Proto != next || h.L4 != 40 {
			t.Errorf("next header %d: %+v", next, h)
		}
	}
}

func TestParseMalformed(t *testing.T) {
	tcp := BuildTCP(nil, tup(hostA, hostB, 1, 2), FlagSYN, 0, 0, make([]byte, 16))
	udp := BuildUDP(nil, tup(hostA, hostB, 1, 2), 64, make([]byte, 16))
	echo := BuildICMPEcho(nil, hostA, hostB, false, 1, 1, make([]byte, 8))
	opts := AddIPOptions(nil, udp, []byte{7, 3, 4, 0})
	udp6Packet := v6packet(ProtoUDP, udp6)
	total := func(n int) func([]byte) { return func(b []byte) { be.PutUint16(b[2:], uint16(n)) } }
	frag := func(off int, more bool) func([]byte) { return func(b []byte) { SetFragment(b, off, more) } }
	both := func(f ...func([]byte)) func([]byte) {
		return func(b []byte) {
			for _, g := range f {
				g(b)
			}
		}
	}
	for _, c := range []struct {
		name string
		b    []byte
		want Malformed
	}{
		{"nothing", nil, MalformedEmpty},
		{"version 5", with(udp, func(b []byte) { b[0] = 0x55 }), MalformedVersion},
		{"19 bytes", udp[:19], MalformedV4Truncated},
		{"IHL 4", with(udp, func(b []byte) { b[0] = 0x44 }), MalformedV4HeaderLength},
		{"total length 19", with(udp, total(19)), MalformedV4TotalLength},
		{"total length 0 of TSO", with(udp, total(0)), MalformedV4TotalLength},
		{"total length one too long", with(udp, total(len(udp)+1)), MalformedV4Short},
		{"IHL beyond total", with(udp, both(func(b []byte) { b[0] = 0x4f }, total(44))), MalformedV4TotalLength},
		{"option length 0", with(opts, func(b []byte) { b[21] = 0 }), MalformedV4Option},
		{"option over the end", with(opts, func(b []byte) { b[21] = 5 }), MalformedV4Option},
		{"option without length", with(opts, func(b []byte) { b[20], b[21], b[22], b[23] = 1, 1, 1, 7 }), MalformedV4Option},
		{"TCP of 19 bytes", with(tcp, total(39)), MalformedTCPTruncated},
		{"TCP offset 4", with(tcp, func(b []byte) { b[32] = 0x40 }), MalformedTCPDataOffset},
		{"TCP offset over the end", with(tcp, func(b []byte) { b[32] = 0xf0 }), MalformedTCPDataOffset},
		{"RFC 1858 tiny fragment of 8", with(tcp, both(total(28), frag(0, true))), MalformedTinyFragment},
		{"RFC 1858 tiny fragment of 16", with(tcp, both(total(36), frag(0, true))), MalformedTinyFragment},
		{"tiny fragment cuts TCP options", with(tcp, both(func(b []byte) { b[32] = 0xa0 }, total(44), frag(0, true))), MalformedTinyFragment},
		{"RFC 1858 offset 1", with(tcp, frag(8, false)), MalformedFragmentOverlap},
		{"offset 2", with(tcp, frag(16, true)), MalformedFragmentLength},
		{"offset 2, last", with(tcp, frag(16, false)), MalformedFragmentOverlap},
		{"fragment of 12 with more to come", with(udp, both(total(32), frag(8, true))), MalformedFragmentLength},
		{"empty fragment", with(udp, both(total(20), frag(8, false))), MalformedFragmentLength},
		{"ping of death", with(echo, frag(65528, false)), MalformedFragmentTooLong},
		{"UDP of 7 bytes", with(udp, total(27)), MalformedUDPTruncated},
		{"UDP length 7", with(udp, func(b []byte) { b[25] = 7 }), MalformedUDPLength},
		{"UDP length beyond", with(udp, func(b []byte) { b[25]++ }), MalformedUDPLength},
		{"ICMP of 7 bytes", with(echo, total(27)), MalformedICMPTruncated},
		{"39 bytes of IPv6", udp6Packet[:39], MalformedV6Truncated},
		{"IPv6 cut short", udp6Packet[:len(udp6Packet)-1], MalformedV6Short},
		{"IPv6 from a mapped address", with(udp6Packet, func(b []byte) { m := hostA; copy(b[8:], m[:]) }), MalformedV6Mapped},
		{"extension cut short", v6packet(extDestination, []byte{17, 0, 0, 0}), MalformedV6ExtTruncated},
		{"extension longer than the packet", v6packet(extDestination, []byte{17, 9, 0, 0, 0, 0, 0, 0}, udp6), MalformedV6ExtTruncated},
		{"hop-by-hop second", v6packet(extDestination, []byte{0, 0, 1, 4, 0, 0, 0, 0}, []byte{17, 0, 1, 4, 0, 0, 0, 0}, udp6), MalformedV6ExtOrder},
		{"two fragment headers", v6packet(extFragment, fragHeader(extFragment, 0, false, 1), fragHeader(17, 0, false, 1), udp6), MalformedV6ExtOrder},
		{"nine extensions", v6packet(extDestination, slices.Repeat([]byte{60, 0, 1, 4, 0, 0, 0, 0}, 9), udp6), MalformedV6ExtCount},
		{"IPv6 option over its header", v6packet(extDestination, []byte{17, 0, 5, 5, 0, 0, 0, 0}, udp6), MalformedV6Option},
		{"RFC 5095 source route", v6packet(extRouting, []byte{17, 0, 0, 1, 0, 0, 0, 0}, udp6), MalformedV6SourceRoute},
		{"IPv6 tiny TCP fragment", v6packet(extFragment, fragHeader(ProtoTCP, 0, true, 1), make([]byte, 16)), MalformedTinyFragment},
		{"IPv6 TCP fragment at 8", v6packet(extFragment, fragHeader(ProtoTCP, 8, false, 1), make([]byte, 16)), MalformedFragmentOverlap},
		{"IPv6 fragment too long", v6packet(extFragment, fragHeader(ProtoUDP, 65528, false, 1), make([]byte, 16)), MalformedFragmentTooLong},
		{"RFC 7112 chain goes on in the second fragment", v6packet(extFragment, fragHeader(extDestination, 0, true, 1), []byte{17, 3, 1, 4, 0, 0, 0, 0}), MalformedV6ExtTruncated},
	} {
		h := Header{Version: 9}
		if got := h.Parse(c.b); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if h.Data != nil || h.Version != 0 {
			t.Errorf("%s: refused, yet the header says %+v", c.name, h)
		}
		h.SetSrc(hostB)
		h.SetTTL(3)
		h.SetSrcPort(1) // a header of nothing takes setters without harm
	}
}

func TestParseQuotedPacket(t *testing.T) {
	quoted := BuildTCP(nil, tup(hostA, hostB, 40000, 443), FlagACK, 1, 1, []byte("data"))
	h := mustParse(t, ICMPError(nil, router, ICMPUnreachable, 1, 0, quoted))
	if !h.HasInner || !h.InnerPorts || h.Inner != (Tuple{hostA, hostB, 40000, 443, ProtoTCP}) || h.InnerL3 != 28 || h.InnerL4 != 48 {
		t.Errorf("%+v", h)
	}
	if h.Src != router || h.Dst != hostA || !h.IsICMPError() || h.SrcPort|h.DstPort != 0 {
		t.Errorf("outer: %v", h.Tuple)
	}
	h = mustParse(t, ICMPError(nil, router6, ICMPv6Unreachable, 0, 0, BuildICMPEcho(nil, host6A, host6B, false, 5, 1, nil)))
	if !h.HasInner || !h.InnerPorts || h.Inner != (Tuple{host6A, host6B, 5, 0, ProtoICMPv6}) || !h.IsICMPError() {
		t.Errorf("%+v", h)
	}
}

func TestParseQuotedPacketThatIsDamaged(t *testing.T) {
	whole := ICMPError(nil, router, ICMPUnreachable, 1, 0, BuildUDP(nil, tup(hostA, hostB, 1000, 53), 3, []byte("abcd")))
	for _, c := range []struct {
		name         string
		n            int // bytes of the ICMP error that are left
		edit         func(b []byte)
		inner, ports bool
	}{
		{"whole", 60, func([]byte) {}, true, true},
		{"8 bytes of transport", 56, func([]byte) {}, true, true},
		{"the ports only", 52, func([]byte) {}, true, true},
		{"half the ports", 50, func([]byte) {}, true, false},
		{"no transport", 48, func([]byte) {}, true, false},
		{"half an IP header", 40, func([]byte) {}, false, false},
		{"no quote", 28, func([]byte) {}, false, false},
		{"quote of IPv6", 60, func(b []byte) { b[28] = 0x65 }, false, false},
		{"quote with IHL 4", 60, func(b []byte) { b[28] = 0x44 }, false, false},
		{"quote with IHL over the end", 60, func(b []byte) { b[28] = 0x4f }, false, false},
		{"quoted total length 19", 60, func(b []byte) { b[31] = 19 }, false, false},
		{"quoted total length 22", 60, func(b []byte) { b[31] = 22 }, true, false},
		{"quoted non-first fragment", 60, func(b []byte) { b[35] = 1 }, true, false},
		{"quoted GRE", 60, func(b []byte) { b[37] = 47 }, true, false},
		{"RFC 4884 length hides the transport", 60, func(b []byte) { b[25] = 5 }, true, false},
		{"quoted ICMP error", 60, func(b []byte) { b[37] = 1; b[48] = 3 }, true, false},
		{"quoted echo", 60, func(b []byte) { b[37] = 1; b[48] = 8 }, true, true},
	} {
		b := with(whole, func(b []byte) { be.PutUint16(b[2:], uint16(c.n)); c.edit(b) })
		h := mustParse(t, b)
		if h.HasInner != c.inner || h.InnerPorts != c.ports {
			t.Errorf("%s: inner %v ports %v, want %v %v", c.name, h.HasInner, h.InnerPorts, c.inner, c.ports)
		}
	}
}

func TestParseQuotedIPv6Packet(t *testing.T) {
	quote := func(b []byte) *Header { return mustParse(t, TimeExceeded(nil, router6, b)) }
	hop := []byte{extFragment, 0, 5, 2, 0, 0, 1, 0}
	h := quote(v6packet(extHopByHop, hop, fragHeader(ProtoUDP, 0, true, 1), udp6, make([]byte, 4)))
	if !h.HasInner || !h.InnerPorts || h.Inner.SrcPort != 5000 || h.InnerL4-h.InnerL3 != 56 || !h.IsICMP() || h.IsUDP() {
		t.Errorf("first fragment: %+v", h)
	}
	h = quote(v6packet(extFragment, fragHeader(ProtoUDP, 1448, true, 1), udp6[:8]))
	if !h.HasInner || h.InnerPorts || h.Inner.Proto != ProtoUDP {
		t.Errorf("non-first fragment: %+v", h)
	}
	whole := TimeExceeded(nil, router6, v6packet(ProtoUDP, udp6))
	for name, edit := range map[string]func([]byte){
		"version 4":             func(b []byte) { b[48] = 0x45 },
		"mapped address":        func(b []byte) { m := hostA; copy(b[56:], m[:]) },
		"chain beyond the end":  func(b []byte) { b[54], b[89] = extDestination, 9 },
		"RFC 4884 length of 16": func(b []byte) { b[44] = 2 },
	} {
		if h := mustParse(t, with(whole, edit)); h.HasInner {
			t.Errorf("%s: %+v", name, h)
		}
	}
	if h := mustParse(t, with(whole, func(b []byte) { b[40], b[44] = ICMPv6PacketTooBig, 2 })); !h.HasInner {
		t.Error("an MTU is taken for the length of RFC 4884")
	}
}
