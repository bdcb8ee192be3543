package packet

import (
	"bytes"
	"slices"
	"testing"
)

func TestRFC9293_ResetAnswersTheSegment(t *testing.T) {
	for _, tu := range []Tuple{tup(hostA, hostB, 40000, 443), tup(host6A, host6B, 40000, 443)} {
		for _, c := range []struct {
			name     string
			flags    uint8
			payload  string
			want     uint8
			seq, ack uint32
		}{
			{"data with ACK", FlagACK | FlagPSH, "hello", FlagRST, 7000, 0},
			{"SYN", FlagSYN, "", FlagRST | FlagACK, 0, 1001},
			{"SYN with data", FlagSYN, "abc", FlagRST | FlagACK, 0, 1004},
			{"FIN without ACK", FlagFIN, "abc", FlagRST | FlagACK, 0, 1004},
			{"SYN-ACK", FlagSYN | FlagACK, "", FlagRST, 7000, 0},
			{"nothing set", 0, "", FlagRST | FlagACK, 0, 1000},
		} {
			h := mustParse(t, BuildTCP(nil, tu, c.flags, 1000, 7000, []byte(c.payload)))
			b := TCPReset(nil, h)
			mustVerify(t, b)
			r := mustParse(t, b)
			if r.Tuple != h.Reverse() || r.TCPFlags != c.want {
				t.Errorf("%s: %v flags %#x, want %#x", c.name, r.Tuple, r.TCPFlags, c.want)
			}
			if seq, ack := be.Uint32(b[r.L4+4:]), be.Uint32(b[r.L4+8:]); seq != c.seq || ack != c.ack {
				t.Errorf("%s: seq %d ack %d, want %d %d", c.name, seq, ack, c.seq, c.ack)
			}
		}
	}
}

func TestRFC9293_NoResetAnswersAReset(t *testing.T) {
	fragment := BuildTCP(nil, tup(hostA, hostB, 1, 2), FlagACK, 0, 0, make([]byte, 28))
	SetFragment(fragment, 0, true)
	for name, b := range map[string][]byte{
		"RST":          BuildTCP(nil, tup(hostA, hostB, 1, 2), FlagRST, 0, 0, nil),
		"RST-ACK":      BuildTCP(nil, tup(hostA, hostB, 1, 2), FlagRST|FlagACK, 0, 0, nil),
		"UDP":          BuildUDP(nil, tup(hostA, hostB, 1, 2), 64, nil),
		"a fragment":   fragment,
		"to multicast": BuildTCP(nil, tup(hostA, ip("224.0.0.1"), 1, 2), FlagSYN, 0, 0, nil),
		"from nowhere": BuildTCP(nil, tup(ip("0.0.0.0"), hostB, 1, 2), FlagSYN, 0, 0, nil),
	} {
		if TCPReset(nil, mustParse(t, b)) != nil {
			t.Errorf("%s is answered", name)
		}
	}
	if TCPReset(nil, new(Header)) != nil {
		t.Error("the zero Header is answered")
	}
}

// syn builds a SYN with the given options, padded to a multiple of 4.
func syn(src, dst Addr, flags uint8, options ...byte) []byte {
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	t := tup(src, dst, 40000, 443)
	b, l4 := newTCP(nil, t, flags, 1, 0, 20+len(options), 0)
	copy(b[l4+20:], options)
	return seal(b, l4, src, dst, ProtoTCP)
}

func TestNA14_ClampMSS(t *testing.T) {
	for _, c := range []struct {
		name    string
		flags   uint8
		options []byte
		at      int // of the MSS value in the options; -1 none
		want    uint16
	}{
		{"SYN", FlagSYN, []byte{2, 4, 0x23, 0x01}, 2, 8460},
		{"SYN-ACK", FlagSYN | FlagACK, []byte{2, 4, 0x23, 0x01}, 2, 8460},
		{"at an odd offset", FlagSYN, []byte{1, 2, 4, 0x23, 0x01}, 3, 8460},
		{"behind others", FlagSYN, []byte{4, 2, 3, 3, 7, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 2, 4, 0xff, 0xff}, 17, 8460},
		{"small already", FlagSYN, []byte{2, 4, 0x05, 0xb4}, 2, 1460},
		{"equal", FlagSYN, []byte{2, 4, 0x21, 0x0c}, 2, 8460},
		{"no SYN", FlagACK, []byte{2, 4, 0x23, 0x01}, 2, 0x2301},
		{"no option", FlagSYN, nil, -1, 0},
		{"behind the end of list", FlagSYN, []byte{0, 2, 4, 0x23, 0x01}, 3, 0x2301},
		{"behind an option that lies", FlagSYN, []byte{8, 0, 2, 4, 0x23, 0x01}, 4, 0x2301},
		{"cut off", FlagSYN, []byte{1, 1, 1, 2}, -1, 0},
		{"longer than the header", FlagSYN, []byte{1, 2, 4, 0x23}, -1, 0},
		{"of wrong length", FlagSYN, []byte{2, 3, 0x23, 1}, -1, 0},
	} {
		for _, a := range [][2]Addr{{hostA, hostB}, {host6A, host6B}} {
			b := syn(a[0], a[1], c.flags, c.options...)
			before := slices.Clone(b)
			h := mustParse(t, b)
			changed := ClampMSS(h, 8460)
			mustVerify(t, b)
			if changed == bytes.Equal(b, before) {
				t.Errorf("%s: says changed %v", c.name, changed)
			}
			if c.at >= 0 {
				if got := be.Uint16(b[h.L4+20+c.at:]); got != c.want {
					t.Errorf("%s: MSS %d, want %d", c.name, got, c.want)
				}
			} else if changed {
				t.Errorf("%s: changed", c.name)
			}
		}
	}
}

func TestNA14_ClampMSSKeepsAPartialChecksum(t *testing.T) {
	h := mustParse(t, BuildSYN(nil, tup(hostA, hostB, 1, 2), 1, 8961))
	h.PartialChecksum = true
	want := be.Uint16(h.Data[h.L4+16:])
	if !ClampMSS(h, 1460) || be.Uint16(h.Data[h.L4+16:]) != want {
		t.Error("the sum of the pseudo header does not cover options")
	}
	if ClampMSS(mustParse(t, BuildUDP(nil, tup(hostA, hostB, 1, 2), 1, nil)), 1) || ClampMSS(new(Header), 1) {
		t.Error("clamped what is not TCP")
	}
}
