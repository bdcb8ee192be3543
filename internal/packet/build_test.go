package packet

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestBuildersUseTheScratchBuffer(t *testing.T) {
	scratch := bytes.Repeat([]byte{0xee}, 200) // what was in it must not shine through
	for _, build := range []func(dst []byte) []byte{
		func(dst []byte) []byte { return BuildUDP(dst, tup(hostA, hostB, 1, 2), 64, []byte("abc")) },
		func(dst []byte) []byte { return BuildSYN(dst, tup(host6A, host6B, 1, 2), 7, 1460) },
		func(dst []byte) []byte { return BuildICMPEcho(dst, hostA, hostB, true, 1, 2, nil) },
		func(dst []byte) []byte {
			return TimeExceeded(dst, router, BuildUDP(nil, tup(hostA, hostB, 1, 2), 1, nil))
		},
	} {
		want := build(nil)
		for _, dst := range [][]byte{scratch, scratch[:0], scratch[:3]} {
			got := build(dst)
			if !bytes.Equal(got, want) || &got[0] != &scratch[0] {
				t.Errorf("in scratch: %x, want %x", got, want)
			}
		}
		if got := build(make([]byte, 4)); !bytes.Equal(got, want) {
			t.Errorf("with too little scratch: %x", got)
		}
		mustVerify(t, want)
	}
}

func TestBuildersRefuseWhatCannotBe(t *testing.T) {
	huge := make([]byte, 0x10000)
	for name, b := range map[string][]byte{
		"families of TCP":     BuildTCP(nil, tup(hostA, host6B, 1, 2), 0, 0, 0, nil),
		"families of SYN":     BuildSYN(nil, tup(host6A, hostB, 1, 2), 0, 0),
		"families of UDP":     BuildUDP(nil, tup(hostA, host6B, 1, 2), 1, nil),
		"families of ICMP":    BuildICMPEcho(nil, hostA, host6B, false, 1, 2, nil),
		"too long IPv4":       BuildUDP(nil, tup(hostA, hostB, 1, 2), 1, huge[:0xffff-27]),
		"too long IPv6 UDP":   BuildUDP(nil, tup(host6A, host6B, 1, 2), 1, huge[:0xffff-7]),
		"too long IPv6 TCP":   BuildTCP(nil, tup(host6A, host6B, 1, 2), 0, 0, 0, huge),
		"options of IPv6":     AddIPOptions(nil, BuildUDP(nil, tup(host6A, host6B, 1, 2), 1, nil), []byte{1}),
		"41 bytes of options": AddIPOptions(nil, BuildUDP(nil, tup(hostA, hostB, 1, 2), 1, nil), make([]byte, 41)),
	} {
		if b != nil {
			t.Errorf("%s: built %d bytes", name, len(b))
		}
	}
	for _, b := range [][]byte{
		BuildUDP(nil, tup(hostA, hostB, 1, 2), 1, huge[:0xffff-28]),
		BuildUDP(nil, tup(host6A, host6B, 1, 2), 1, huge[:0xffff-8]),
	} {
		mustVerify(t, b)
	}
}

func TestHelpersKeepTheHeaderChecksum(t *testing.T) {
	b := BuildUDP(nil, tup(hostA, hostB, 1, 2), 64, make([]byte, 16))
	SetDF(b)
	SetIPID(b, 0x1234)
	SetTTL(b, 3)
	if h := mustParse(t, b); !h.DontFragment || h.FragID != 0x1234 || h.TTL != 3 {
		t.Errorf("%+v", h)
	}
	mustVerify(t, b)
	SetFragment(b, 64, true)
	if h := mustParse(t, b); h.FragOffset != 64 || !h.MoreFragments || h.DontFragment || !headerSumOK(b) {
		t.Errorf("%+v", h)
	}
	six := BuildUDP(nil, tup(host6A, host6B, 1, 2), 64, nil)
	want := slices.Clone(six)
	want[7] = 3
	SetDF(six)
	SetIPID(six, 1)
	SetFragment(six, 8, true)
	SetTTL(six, 3)
	if !bytes.Equal(six, want) {
		t.Error("an IPv6 packet was changed beyond its hop limit")
	}
	SetTTL(nil, 1)
	SetDF([]byte{0x4f})
}

func TestVerifyChecksumsNamesWhatIsWrong(t *testing.T) {
	udp := BuildUDP(nil, tup(hostA, hostB, 1, 2), 64, []byte("abc"))
	icmp := TimeExceeded(nil, router, with(udp, func(b []byte) { b[10]++ }))
	for _, c := range []struct {
		b    []byte
		want string
	}{
		{with(udp, func(b []byte) { b[10]++ }), "udp 10.0.0.5:1 > 198.51.100.7:2: IPv4 header checksum"},
		{with(udp, func(b []byte) { b[30]++ }), "udp checksum"},
		{with(BuildTCP(nil, tup(host6A, host6B, 1, 2), 0, 0, 0, nil), func(b []byte) { b[50]++ }), "tcp checksum"},
		{with(BuildICMPEcho(nil, hostA, hostB, true, 1, 2, nil), func(b []byte) { b[27]++ }), "icmp checksum"},
		{icmp, "quoted IPv4 header checksum"},
	} {
		if err := VerifyChecksums(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q in it", err, c.want)
		}
	}
	if err := VerifyChecksums(udp[:10]); !errors.Is(err, MalformedV4Truncated) {
		t.Errorf("%v", err)
	}
	mustVerify(t, with(udp, func(b []byte) { b[26], b[27] = 0, 0 }))
	gre, _ := newIP(nil, hostA, hostB, 47, 64, 16)
	sealHeader(gre)
	mustVerify(t, gre)
	h := mustParse(t, gre)
	h.PartialChecksum = true
	h.CompleteChecksum()
	mustVerify(t, gre)
}
