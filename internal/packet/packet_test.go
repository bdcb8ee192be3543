package packet

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// Addresses that most tests use.
var (
	hostA   = ip("10.0.0.5")
	hostB   = ip("198.51.100.7")
	router  = ip("10.0.0.1")
	host6A  = ip("2001:db8::5")
	host6B  = ip("2001:db8:1::7")
	router6 = ip("2001:db8::1")
)

func ip(s string) Addr { return AddrFrom(netip.MustParseAddr(s)) }

func tup(src, dst Addr, sport, dport uint16) Tuple {
	return Tuple{Src: src, Dst: dst, SrcPort: sport, DstPort: dport}
}

// mustParse fails the test if b is refused.
func mustParse(t rapid.TB, b []byte) *Header {
	t.Helper()
	h := new(Header)
	if m := h.Parse(b); m != 0 {
		t.Fatalf("Parse: %v", m)
	}
	return h
}

func mustVerify(t rapid.TB, b []byte) {
	t.Helper()
	if err := VerifyChecksums(b); err != nil {
		t.Fatal(err)
	}
}

// slowSum is the Internet checksum straight from RFC 1071: add the words, carry
// around at every step.
func slowSum(parts ...[]byte) uint16 {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	if len(all)%2 != 0 {
		all = append(all, 0)
	}
	var s uint32
	for i := 0; i < len(all); i += 2 {
		s += uint32(all[i])<<8 | uint32(all[i+1])
		if s > 0xffff {
			s -= 0xffff
		}
	}
	return ^uint16(s)
}

func genAddr(v4 bool) *rapid.Generator[Addr] {
	return rapid.Custom(func(t *rapid.T) Addr {
		if v4 {
			return AddrFrom(netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4"))))
		}
		a := Addr(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "v6"))
		a[0] = 0x20
		return a
	})
}

// genPacket draws a whole packet with right checksums.
func genPacket(v4 bool) *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		tu := Tuple{
			Src: genAddr(v4).Draw(t, "src"), Dst: genAddr(v4).Draw(t, "dst"),
			SrcPort: rapid.Uint16().Draw(t, "sport"), DstPort: rapid.Uint16().Draw(t, "dport"),
		}
		payload := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "payload")
		var b []byte
		switch rapid.SampledFrom([]string{"tcp", "udp", "echo", "reply"}).Draw(t, "kind") {
		case "tcp":
			b = BuildTCP(nil, tu, rapid.Uint8().Draw(t, "flags"), rapid.Uint32().Draw(t, "seq"), rapid.Uint32().Draw(t, "ack"), payload)
		case "udp":
			b = BuildUDP(nil, tu, rapid.Byte().Draw(t, "ttl"), payload)
			if rapid.IntRange(0, 4).Draw(t, "nosum") == 0 {
				b[len(b)-len(payload)-2], b[len(b)-len(payload)-1] = 0, 0
			}
		case "echo":
			b = BuildICMPEcho(nil, tu.Src, tu.Dst, false, tu.SrcPort, tu.DstPort, payload)
		default:
			b = BuildICMPEcho(nil, tu.Src, tu.Dst, true, tu.SrcPort, tu.DstPort, payload)
		}
		if v4 && rapid.Bool().Draw(t, "options") {
			b = AddIPOptions(nil, b, []byte{1, 7, 3, 4, 0x94, 4, 0, 0})
		}
		return b
	})
}

func TestAddrConversions(t *testing.T) {
	for _, s := range []string{"10.1.2.3", "0.0.0.0", "255.255.255.255", "::", "2001:db8::1", "ff02::1"} {
		want := netip.MustParseAddr(s)
		a := AddrFrom(want)
		if a.Netip() != want || a.String() != s || a.Is4() != want.Is4() || a.IsMulticast() != want.IsMulticast() {
			t.Errorf("%s: %v Is4 %v multicast %v", s, a, a.Is4(), a.IsMulticast())
		}
	}
	if got := AddrFrom(netip.MustParseAddr("fe80::1%eth0")); got.String() != "fe80::1" {
		t.Errorf("zone kept: %v", got)
	}
	if AddrFrom(netip.Addr{}) != (Addr{}) {
		t.Error("the zero netip.Addr is not the zero Addr")
	}
	if ip("10.1.2.3").As4() != [4]byte{10, 1, 2, 3} {
		t.Error("As4")
	}
}

func TestTupleString(t *testing.T) {
	for want, tu := range map[string]Tuple{
		"tcp 10.0.0.5:40000 > 198.51.100.7:443":      {hostA, hostB, 40000, 443, ProtoTCP},
		"udp [2001:db8::5]:53 > [2001:db8:1::7]:999": {host6A, host6B, 53, 999, ProtoUDP},
		"icmp 10.0.0.5 > 198.51.100.7 id 7":          {hostA, hostB, 7, 0, ProtoICMP},
		"icmp 198.51.100.7 > 10.0.0.5 id 7":          {hostB, hostA, 0, 7, ProtoICMP},
		"icmpv6 2001:db8::5 > 2001:db8:1::7":         {host6A, host6B, 0, 0, ProtoICMPv6},
		"proto 47 10.0.0.5 > 198.51.100.7":           {hostA, hostB, 0, 0, 47},
	} {
		if got := tu.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if tu.Reverse().Reverse() != tu {
			t.Errorf("%v: reversed twice is something else", tu)
		}
	}
}

func TestMalformedTexts(t *testing.T) {
	seen := map[string]bool{}
	for m := range MalformedCount + 1 {
		s := m.Error()
		if s == "" || seen[s] {
			t.Errorf("reason %d has the text %q", m, s)
		}
		seen[s] = true
	}
}

func TestChecksumAgainstRFC1071(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "b")
		if got, want := Checksum(b), slowSum(b); got != want {
			t.Fatalf("got %#04x, want %#04x", got, want)
		}
	})
}

func TestChecksumOfRFC1071Example(t *testing.T) {
	if got := Checksum([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}); got != ^uint16(0xddf2) {
		t.Errorf("got %#04x", got)
	}
	big := make([]byte, 65535)
	for i := range big {
		big[i] = 0xff
	}
	if got := Checksum(big); got != slowSum(big) {
		t.Errorf("64 KiB: got %#04x, want %#04x", got, slowSum(big))
	}
}
