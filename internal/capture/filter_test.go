package capture

import (
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// tcp80 is what tcpdump 4.99 -y RAW -ddd prints for "tcp dst port 80".
const tcp80 = `19
48 0 0 0
84 0 0 240
21 0 4 96
48 0 0 6
21 0 13 6
40 0 0 42
21 10 11 80
48 0 0 0
84 0 0 240
21 0 8 64
48 0 0 9
21 0 6 6
40 0 0 6
69 4 0 8191
177 0 0 0
72 0 0 2
21 0 1 80
6 0 0 262144
6 0 0 0
`

func tuple(src, dst string, sport, dport uint16, proto uint8) packet.Tuple {
	return packet.Tuple{Src: packet.AddrFrom(netip.MustParseAddr(src)), Dst: packet.AddrFrom(netip.MustParseAddr(dst)), SrcPort: sport, DstPort: dport, Proto: proto}
}

func syn(src, dst string, sport, dport uint16) []byte {
	return packet.BuildSYN(nil, tuple(src, dst, sport, dport, packet.ProtoTCP), 1, 1460)
}

func compiled(t testing.TB, text string) *Filter {
	t.Helper()
	p, err := parseProgram([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	f, err := p.Filter()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFilterMatches(t *testing.T) {
	f := compiled(t, tcp80)
	for _, c := range []struct {
		what string
		ip   []byte
		want bool
	}{
		{"port 80", syn("10.0.0.1", "10.0.0.2", 40000, 80), true},
		{"port 80 over IPv6", syn("2001:db8::1", "2001:db8::2", 40000, 80), true},
		{"the reply", syn("10.0.0.2", "10.0.0.1", 80, 40000), false},
		{"UDP", packet.BuildUDP(nil, tuple("10.0.0.1", "10.0.0.2", 40000, 80, packet.ProtoUDP), 64, nil), false},
		{"no header", []byte{0x45}, false},
		{"nothing", nil, false},
	} {
		if f.Match(c.ip) != c.want {
			t.Errorf("%s: %v", c.what, !c.want)
		}
	}
	if !(*Filter)(nil).Match(nil) {
		t.Error("no filter lets everything pass")
	}
}

func TestBadPrograms(t *testing.T) {
	for text, want := range map[string]string{
		"":           "0 instructions",
		"5000":       "5000 instructions",
		"2\n6 0 0 0": "instruction 1",
		"1\n6 0 0 x": "instruction 0",
	} {
		if p, err := parseProgram([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %s", text, p, err, want)
		}
	}
	for what, c := range map[string]struct {
		p    Program
		want string
	}{
		"empty":     {Program{}, "program"},
		"no return": {Program{{Op: 0x30}}, "program"},
		"not BPF":   {Program{{Op: 0xffff}}, "not a classic BPF program"},
		"too long":  {make(Program, maxProgram+1), "at most"},
		// tcpdump's for "inbound"
		"direction": {Program{{Op: 40, K: 4294963204}, {Op: 21, Jt: 0, Jf: 1, K: 4}, {Op: 6}, {Op: 6, K: 262144}}, "inbound or outbound"},
	} {
		if f, err := c.p.Filter(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want %s", what, f, err, c.want)
		}
	}
}

func TestCompileNeedsTcpdump(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := Compile(t.Context(), "tcp"); err == nil || !strings.Contains(err.Error(), "apt-get install tcpdump") {
		t.Error(err)
	}
}

// Whatever program comes over the control socket, and whatever packet: no panic, no endless run.
func FuzzFilter(f *testing.F) {
	p, err := parseProgram([]byte(tcp80))
	if err != nil {
		f.Fatal(err)
	}
	var raw []byte
	for _, i := range p {
		raw = le.AppendUint16(raw, i.Op)
		raw = le.AppendUint32(append(raw, i.Jt, i.Jf), i.K)
	}
	f.Add(raw, syn("10.0.0.1", "10.0.0.2", 40000, 80))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(_ *testing.T, raw, ip []byte) {
		var p Program
		for ; len(raw) >= 8; raw = raw[8:] {
			p = append(p, bpf.RawInstruction{Op: le.Uint16(raw), Jt: raw[2], Jf: raw[3], K: le.Uint32(raw[4:])})
		}
		if filter, err := p.Filter(); err == nil {
			filter.Match(ip)
		}
	})
}
