package packet

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// reassemble puts fragments together as a receiver would; order does not matter.
func reassemble(t rapid.TB, fragments [][]byte) []byte {
	var header, payload []byte
	total := -1
	have := 0
	for _, f := range fragments {
		var h Header
		if m := h.Parse(f); m != 0 {
			t.Fatalf("fragment: %v", m)
		}
		if !headerSumOK(f) {
			t.Fatalf("header checksum of the fragment at %d", h.FragOffset)
		}
		if h.FragOffset == 0 {
			header = slices.Clone(f[:h.L4])
		}
		end := h.FragOffset + len(f) - h.L4
		if !h.MoreFragments {
			total = end
		}
		payload = append(payload, make([]byte, max(0, end-len(payload)))...)
		have += copy(payload[h.FragOffset:], f[h.L4:])
	}
	if total != have || header == nil {
		t.Fatalf("have %d bytes of %d", have, total)
	}
	b := slices.Concat(header, payload)
	be.PutUint16(b[2:], uint16(len(b)))
	be.PutUint16(b[6:], 0)
	sealHeader(b)
	return b
}

func fragments(t rapid.TB, b []byte, mtu int) [][]byte {
	var out [][]byte
	err := Fragment(nil, b, mtu, func(f []byte) {
		if len(f) > mtu {
			t.Fatalf("fragment of %d bytes for an MTU of %d", len(f), mtu)
		}
		out = append(out, slices.Clone(f))
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return out
}

func TestRFC791_FragmentsComeTogetherAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(t, "payload")
		b := BuildUDP(nil, tup(hostA, hostB, 1, 2), 64, payload)
		SetIPID(b, rapid.Uint16().Draw(t, "id"))
		if rapid.Bool().Draw(t, "options") {
			b = AddIPOptions(nil, b, rapid.SampledFrom([][]byte{
				{1}, {7, 7, 4, 1, 2, 3, 4}, {0x94, 4, 0, 0}, {1, 0x82, 3, 9, 7, 3, 4}, {0, 1, 2, 3},
				slices.Concat([]byte{0x83, 39}, make([]byte, 37)),
			}).Draw(t, "opts"))
		}
		pieces := fragments(t, b, rapid.IntRange(68, 1600).Draw(t, "mtu"))
		var again [][]byte // a fragment met by a smaller MTU is cut once more
		mtu := rapid.IntRange(68, 1600).Draw(t, "second mtu")
		for _, f := range pieces {
			again = append(again, fragments(t, f, mtu)...)
		}
		if got := reassemble(t, again); !bytes.Equal(got, b) {
			t.Fatalf("got  %x\nwant %x", got, b)
		}
	})
}

func TestRFC791_OptionsCopied(t *testing.T) {
	// No operation, record route (first fragment only), router alert (copied), a copied option of 3 bytes.
	opts := []byte{1, 7, 7, 4, 1, 2, 3, 4, 0x94, 4, 0, 0, 0x82, 3, 9}
	b := AddIPOptions(nil, BuildUDP(nil, tup(hostA, hostB, 1, 2), 64, make([]byte, 300)), opts)
	out := fragments(t, b, 128)
	if len(out) < 3 {
		t.Fatalf("%d fragments", len(out))
	}
	for i, f := range out {
		want := []byte{0x94, 4, 0, 0, 0x82, 3, 9, 0}
		if i == 0 {
			want = append(slices.Clone(opts), 0)
		}
		if l4 := int(f[0]&15) * 4; !bytes.Equal(f[20:l4], want) {
			t.Errorf("fragment %d has options %x, want %x", i, f[20:l4], want)
		}
		h := mustParse(t, f)
		if h.MoreFragments != (i < len(out)-1) || (h.FragOffset == 0) != (i == 0) {
			t.Errorf("fragment %d: offset %d more %v", i, h.FragOffset, h.MoreFragments)
		}
	}
}

func TestFragmentRefuses(t *testing.T) {
	big := BuildUDP(nil, tup(hostA, hostB, 1, 2), 64, make([]byte, 2000))
	df := with(big, SetDF)
	wrong := with(big, func(b []byte) { b[10]++ })
	for _, c := range []struct {
		name string
		b    []byte
		mtu  int
		want error
	}{
		{"DF", df, 1500, ErrDontFragment},
		{"IPv6", BuildUDP(nil, tup(host6A, host6B, 1, 2), 64, make([]byte, 2000)), 1500, ErrNotIPv4},
		{"MTU 67", big, 67, ErrMTU},
		{"MTU 0", big, 0, ErrMTU},
		{"negative MTU", big, -1, ErrMTU},
		{"wrong header checksum", wrong, 1500, ErrHeaderChecksum},
		{"truncated", big[:100], 1500, MalformedV4Short},
	} {
		if err := Fragment(nil, c.b, c.mtu, func([]byte) { t.Errorf("%s: emitted", c.name) }); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if got := fragments(t, df, 2028); len(got) != 1 || !bytes.Equal(got[0], df) {
		t.Error("a packet with DF that fits is not handed on as it is")
	}
}
