package packet

import "testing"

func TestOffloadsDoNotAllocate(t *testing.T) {
	scratch, v := make([]byte, 1<<16), make([]byte, VnetLen)
	in := vnet(1, vnetTCPv4, 1448, 20, 16)
	super := mustParse(t, BuildTCP(nil, tup(hostA, hostB, 1, 2), FlagACK, 1, 1, make([]byte, 60000)))
	o, m := super.ReadVnet(in, 0)
	if m != 0 {
		t.Fatal(m)
	}
	count := func([]byte) { sink++ }
	c, a, b := NewCoalescer(0), datagram(t, 1000, 1), datagram(t, 1000, 2)
	for name, f := range map[string]func(){
		"ReadVnet": func() { o, m = super.ReadVnet(in, 0) },
		"PutVnet":  func() { super.PutVnet(v, o, 0) },
		"Segment": func() {
			if Segment(scratch, super, o, count) != nil {
				panic("refused")
			}
		},
		"Coalescer": func() {
			c.Reset()
			if !c.Add(nil, a) || !c.Add(nil, b) {
				panic("refused")
			}
			sink += len(c.Bytes())
		},
	} {
		if n := testing.AllocsPerRun(20, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkVnet(b *testing.B) {
	in, v := vnet(1, vnetTCPv4, 1448, 20, 16), make([]byte, VnetLen)
	var h Header
	h.Parse(BuildTCP(nil, tup(hostA, hostB, 1, 2), FlagACK, 1, 1, make([]byte, 60000)))
	o, _ := h.ReadVnet(in, 0)
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			o, _ = h.ReadVnet(in, 0)
		}
	})
	b.Run("put", func(b *testing.B) {
		for b.Loop() {
			h.PutVnet(v, o, 0)
		}
	})
	scratch := make([]byte, 1500)
	b.Run("segment", func(b *testing.B) {
		b.SetBytes(60000)
		for b.Loop() {
			if Segment(scratch, &h, o, func([]byte) { sink++ }) != nil {
				b.Fatal("refused")
			}
		}
	})
}

// BenchmarkCoalesce gathers 40 datagrams of 1400 bytes.
func BenchmarkCoalesce(b *testing.B) {
	for name, partial := range map[string]bool{"partial": true, "complete": false} {
		b.Run(name, func(b *testing.B) {
			var all []*Header
			for i := range 40 {
				h := datagram(b, 1400, uint16(i))
				if partial {
					h.makePartial()
				}
				all = append(all, h)
			}
			c := NewCoalescer(0)
			b.SetBytes(40 * 1400)
			for b.Loop() {
				c.Reset()
				for _, h := range all {
					if !c.Add(nil, h) {
						b.Fatal("refused")
					}
				}
				sink += len(c.Bytes())
			}
		})
	}
}
