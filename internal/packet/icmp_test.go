package packet

import (
	"bytes"
	"testing"
)

func TestRFC1812_ErrorQuotesAsMuchAsFits576(t *testing.T) {
	for _, n := range []int{0, 7, 500, 520, 521, 1400} {
		quoted := BuildUDP(nil, tup(hostA, hostB, 1000, 53), 1, bytes.Repeat([]byte{'q'}, n))
		b := TimeExceeded(nil, router, quoted)
		mustVerify(t, b)
		if want := min(28+len(quoted), 576); len(b) != want {
			t.Errorf("quoted %d bytes: error has %d, want %d", len(quoted), len(b), want)
		}
		if !bytes.Equal(b[28:], quoted[:len(b)-28]) {
			t.Error("the quote is not what was sent")
		}
		h := mustParse(t, b)
		if h.Src != router || h.Dst != hostA || h.ICMPType != 11 || h.ICMPCode != 0 || h.TTL != 64 || b[1] != 0xc0 {
			t.Errorf("%+v", h)
		}
	}
}

func TestRFC4443_ErrorQuotesAsMuchAsFits1280(t *testing.T) {
	for _, n := range []int{0, 1183, 1184, 1185, 1400} {
		quoted := BuildUDP(nil, tup(host6A, host6B, 1000, 53), 1, bytes.Repeat([]byte{'q'}, n))
		b := TimeExceeded(nil, router6, quoted)
		mustVerify(t, b)
		if want := min(48+len(quoted), 1280); len(b) != want {
			t.Errorf("quoted %d bytes: error has %d, want %d", len(quoted), len(b), want)
		}
		if h := mustParse(t, b); h.ICMPType != 3 || h.ICMPCode != 0 || h.Dst != host6A {
			t.Errorf("%+v", h)
		}
	}
}

func TestMT11_FragNeededCarriesTheMTU(t *testing.T) {
	b := FragNeeded(nil, router, 1500, BuildUDP(nil, tup(hostA, hostB, 1, 2), 64, make([]byte, 2000)))
	mustVerify(t, b)
	if h := mustParse(t, b); h.ICMPType != 3 || h.ICMPCode != 4 || be.Uint16(b[24:]) != 0 || be.Uint16(b[26:]) != 1500 {
		t.Errorf("ICMP %x", b[20:28])
	}
	b = FragNeeded(nil, router6, 1500, BuildUDP(nil, tup(host6A, host6B, 1, 2), 64, make([]byte, 2000)))
	mustVerify(t, b)
	if h := mustParse(t, b); h.ICMPType != 2 || h.ICMPCode != 0 || be.Uint32(b[44:]) != 1500 {
		t.Errorf("ICMPv6 %x", b[40:48])
	}
	b = FragNeeded(nil, router, 70000, BuildUDP(nil, tup(hostA, hostB, 1, 2), 64, nil))
	if be.Uint16(b[26:]) != 0xffff {
		t.Errorf("an MTU beyond 16 bits is stored as %d", be.Uint16(b[26:]))
	}
}

func TestRFC1122_WhenNoErrorMayBeSent(t *testing.T) {
	from := func(src, dst Addr) []byte { return BuildUDP(nil, tup(src, dst, 1, 2), 64, make([]byte, 64)) }
	fragment := from(hostA, hostB)
	SetFragment(fragment, 1480, false)
	first := from(hostA, hostB)
	SetFragment(first, 0, true)
	fragment6 := func(proto uint8) []byte {
		return v6packet(extFragment, fragHeader(proto, 1448, false, 1), make([]byte, 16))
	}
	unknown := with(BuildICMPEcho(nil, hostA, hostB, false, 1, 1, nil), func(b []byte) { b[20] = 99 })
	redirect6 := with(BuildICMPEcho(nil, host6A, host6B, false, 1, 1, nil), func(b []byte) { b[40] = 137 })
	error6 := with(BuildICMPEcho(nil, host6A, host6B, false, 1, 1, nil), func(b []byte) { b[40] = 100 })
	for _, c := range []struct {
		about string
		b     []byte
		want  bool
	}{
		{"UDP", from(hostA, hostB), true},
		{"an echo request", BuildICMPEcho(nil, hostA, hostB, false, 1, 1, nil), true},
		{"an echo reply", BuildICMPEcho(nil, hostA, hostB, true, 1, 1, nil), true},
		{"a first fragment", first, true},
		{"an ICMP error", TimeExceeded(nil, hostA, from(hostB, hostA)), false},
		{"an unknown ICMP type", unknown, false},
		{"a non-first fragment", fragment, false},
		{"broadcast", from(hostA, ip("255.255.255.255")), false},
		{"multicast", from(hostA, ip("224.0.0.251")), false},
		{"source 0.0.0.0", from(ip("0.0.0.0"), hostB), false},
		{"source in network 0", from(ip("0.1.2.3"), hostB), false},
		{"source loopback", from(ip("127.0.0.1"), hostB), false},
		{"source multicast", from(ip("239.0.0.1"), hostB), false},
		{"source class E", from(ip("240.0.0.1"), hostB), false},
		{"source broadcast", from(ip("255.255.255.255"), hostB), false},
		{"nothing", nil, false},
		{"a truncated packet", from(hostA, hostB)[:30], false},
		{"IPv6 UDP", from(host6A, host6B), true},
		{"IPv6 echo", BuildICMPEcho(nil, host6A, host6B, false, 1, 1, nil), true},
		{"an ICMPv6 error", TimeExceeded(nil, host6A, from(host6B, host6A)), false},
		{"an unknown ICMPv6 error", error6, false},
		{"an ICMPv6 redirect", redirect6, false},
		{"a fragment of ICMPv6", fragment6(ProtoICMPv6), false},
		{"a fragment of IPv6 UDP", fragment6(ProtoUDP), true},
		{"IPv6 multicast", from(host6A, ip("ff02::1")), false},
		{"source ::", from(ip("::"), host6B), false},
		{"source ::1", from(ip("::1"), host6B), false},
		{"IPv6 source multicast", from(ip("ff02::1"), host6B), false},
	} {
		src := router
		if len(c.b) > 0 && c.b[0]>>4 == 6 {
			src = router6
		}
		if got := TimeExceeded(nil, src, c.b) != nil; got != c.want {
			t.Errorf("about %s: sent %v, want %v", c.about, got, c.want)
		}
	}
	if FragNeeded(nil, router6, 1280, from(host6A, ip("ff02::1"))) == nil {
		t.Error("RFC 4443 2.4(e.3): packet too big about multicast may be sent")
	}
	if TimeExceeded(nil, router, from(host6A, host6B)) != nil || TimeExceeded(nil, router6, from(hostA, hostB)) != nil {
		t.Error("an error from an address of the other family")
	}
}
