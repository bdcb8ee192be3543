package packet

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// readCoalesced is what a port does with what a Coalescer wrote: cut it up.
func readCoalesced(t rapid.TB, c *Coalescer) [][]byte {
	b := c.Bytes()
	h := mustParse(t, slices.Clone(b[VnetLen+c.l2:]))
	o, m := h.ReadVnet(b, c.l2)
	if m != 0 {
		t.Fatalf("% x: %v", b[:VnetLen], m)
	}
	if o.Segments != c.Len() {
		t.Fatalf("%d datagrams in, %d out", c.Len(), o.Segments)
	}
	return segments(t, h, o)
}

// sameDatagram tells whether a receiver sees the same; the identification means
// nothing with DF (RFC 6864 4.1).
func sameDatagram(a, b []byte) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	if a[0]>>4 == 4 && a[6]&0x40 != 0 {
		SetIPID(a, 0)
		SetIPID(b, 0)
	}
	return bytes.Equal(a, b)
}

// genDatagrams draws datagrams of one flow that mostly can be put together.
func genDatagrams() *rapid.Generator[[][]byte] {
	return rapid.Custom(func(t *rapid.T) [][]byte {
		v4, df := rapid.Bool().Draw(t, "v4"), rapid.Bool().Draw(t, "df")
		tu := Tuple{Src: genAddr(v4).Draw(t, "src"), Dst: genAddr(v4).Draw(t, "dst"), SrcPort: 5, DstPort: 6}
		size := rapid.IntRange(0, 30).Draw(t, "size")
		var out [][]byte
		for i := range rapid.IntRange(1, 80).Draw(t, "datagrams") {
			n, ttl, id := size, uint8(64), uint16(0xfff0+i)
			odd := rapid.IntRange(0, 40).Draw(t, "odd")
			switch odd {
			case 0:
				n = rapid.IntRange(0, 31).Draw(t, "n")
			case 1:
				ttl++
			case 2:
				id++
			case 3:
				tu.DstPort++
			}
			b := BuildUDP(nil, tu, ttl, rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "payload"))
			if df {
				SetDF(b)
			}
			SetIPID(b, id)
			l4 := len(b) - n - udpHeaderLen
			switch odd {
			case 4: // no checksum
				b[l4+6], b[l4+7] = 0, 0
			case 5: // a wrong one
				b[l4+6] ^= 0x55
			case 6: // traffic class, DSCP
				b[1] ^= 0x10
				if v4 {
					sealHeader(b)
				}
			case 7: // a wrong IPv4 header checksum, or flow label
				b[3+7*(int(5-b[0]>>4)&1)] ^= 1
			}
			out = append(out, b)
		}
		return out
	})
}

// Whatever is gathered, what comes out of the port is what went in.
func TestCoalescer_SegmentsAreTheDatagrams(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l2 := rapid.SampledFrom([]int{0, 14}).Draw(t, "l2")
		link := bytes.Repeat([]byte{7}, l2)
		c := NewCoalescer(l2)
		var in, out [][]byte
		flush := func() {
			if c.Len() > 0 {
				out = append(out, readCoalesced(t, c)...)
			}
			c.Reset()
		}
		for _, b := range genDatagrams().Draw(t, "datagrams") {
			in = append(in, slices.Clone(b))
			h := new(Header)
			if h.Parse(b) != 0 {
				in = in[:len(in)-1]
				continue
			}
			if VerifyChecksums(b) == nil && be.Uint16(b[h.L4+6:]) != 0 && rapid.Bool().Draw(t, "partial") {
				h.makePartial()
			}
			if c.Add(link, h) {
				continue
			}
			flush()
			if !c.Add(link, h) {
				h.CompleteChecksum()
				out = append(out, slices.Clone(h.Data))
			}
		}
		flush()
		if !slices.EqualFunc(in, out, sameDatagram) {
			t.Fatalf("in\n% x\nout\n% x", in, out)
		}
	})
}

func datagram(t testing.TB, payload int, id uint16) *Header {
	b := BuildUDP(nil, tup(hostA, hostB, 5, 6), 64, make([]byte, payload))
	SetIPID(b, id)
	return mustParse(t, b)
}

// Adding has to succeed, too: a Coalescer that refuses everything would pass the property.
func TestCoalescer_Gathers(t *testing.T) {
	c := NewCoalescer(0)
	for i := range MaxCoalesced {
		if !c.Add(nil, datagram(t, 1000, uint16(i))) {
			t.Fatalf("datagram %d is refused", i)
		}
	}
	if c.Add(nil, datagram(t, 1000, MaxCoalesced)) {
		t.Errorf("%d datagrams in one", MaxCoalesced+1)
	}
	if got := len(c.Bytes()); got != VnetLen+28+1000*MaxCoalesced {
		t.Errorf("%d bytes", got)
	}
	c.Reset()
	if c.Bytes() != nil || c.Len() != 0 {
		t.Error("something is left after Reset")
	}
}

func TestCoalescer_Refusals(t *testing.T) {
	edit := func(f func(b []byte)) *Header {
		b := datagram(t, 100, 1).Data
		f(b)
		return mustParse(t, b)
	}
	other := mustParse(t, BuildUDP(nil, tup(hostA, hostB, 5, 7), 64, make([]byte, 100)))
	for _, c := range []struct {
		name  string
		first *Header
		h     *Header
	}{
		{"longer", datagram(t, 100, 0), datagram(t, 101, 1)},
		{"empty", datagram(t, 100, 0), datagram(t, 0, 1)},
		{"identification not the next", datagram(t, 100, 0), datagram(t, 100, 2)},
		{"other port", datagram(t, 100, 0xffff), other},
		{"other TTL", datagram(t, 100, 0), edit(func(b []byte) { SetTTL(b, 63) })},
		{"DF", datagram(t, 100, 0), edit(SetDF)},
		{"ECN", datagram(t, 100, 0), edit(func(b []byte) { b[1] = 3; sealHeader(b) })},
		{"no checksum", datagram(t, 100, 0), edit(func(b []byte) { b[26], b[27] = 0, 0 })},
		{"wrong checksum", datagram(t, 100, 0), edit(func(b []byte) { b[26]++ })},
		{"wrong checksum of the first", mustParse(t, with(datagram(t, 100, 0).Data, func(b []byte) { b[26]++ })), datagram(t, 100, 1)},
		{"fragment", datagram(t, 100, 0), edit(func(b []byte) { SetFragment(b, 8, false) })},
		{"IPv6", datagram(t, 100, 0), mustParse(t, BuildUDP(nil, tup(host6A, host6B, 5, 6), 64, make([]byte, 100)))},
		{"TCP", datagram(t, 100, 0), mustParse(t, BuildTCP(nil, tup(hostA, hostB, 5, 6), FlagACK, 1, 1, nil))},
	} {
		co := NewCoalescer(0)
		if !co.Add(nil, c.first) {
			t.Fatalf("%s: the first is refused", c.name)
		}
		if co.Add(nil, c.h) {
			t.Errorf("%s: taken", c.name)
		}
		if got := readCoalesced(t, co); len(got) != 1 || !bytes.Equal(got[0], c.first.Data) {
			t.Errorf("%s: the first is changed", c.name)
		}
	}
	c := NewCoalescer(14)
	link := make([]byte, 14)
	if c.Add(nil, datagram(t, 1, 0)) || !c.Add(link, datagram(t, 1, 0)) || c.Add(bytes.Repeat([]byte{1}, 14), datagram(t, 1, 1)) {
		t.Error("link headers do not matter")
	}
}

// 65535 bytes are all that an IPv4 length field can say.
func TestCoalescer_LongestPacket(t *testing.T) {
	c := NewCoalescer(0)
	n := 0
	for c.Add(nil, datagram(t, 9000, uint16(n))) {
		n++
	}
	if n != 7 || len(readCoalesced(t, c)) != 7 {
		t.Errorf("%d datagrams of 9000 bytes", n)
	}
}

func FuzzCoalesce(f *testing.F) {
	all := seeds()
	for i, b := range all {
		f.Add(b, b, all[(i+1)%len(all)], uint8(i))
	}
	a, b, c := datagram(f, 30, 1).Data, datagram(f, 30, 2).Data, datagram(f, 3, 3).Data
	f.Add(a, b, c, uint8(0))
	f.Add(a, b, c, uint8(7))
	f.Fuzz(func(t *testing.T, a, b, d []byte, partial uint8) {
		c := NewCoalescer(0)
		var want [][]byte
		for i, in := range [][]byte{a, b, d} {
			var h Header
			if h.Parse(slices.Clone(in)) != 0 {
				continue
			}
			whole := slices.Clone(h.Data)
			if _, own := h.ownChecksum(); own && partial>>i&1 != 0 {
				h.makePartial()
				done := h
				done.Data = whole
				done.CompleteChecksum()
			}
			if c.Add(nil, &h) {
				want = append(want, whole)
			}
		}
		if len(want) == 0 {
			return
		}
		if got := readCoalesced(t, c); !slices.EqualFunc(got, want, sameDatagram) {
			t.Fatalf("in\n% x\nout\n% x", want, got)
		}
	})
}
