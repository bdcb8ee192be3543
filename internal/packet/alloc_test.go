package packet

import "testing"

// sink keeps results alive.
var sink int

func TestNoAllocations(t *testing.T) {
	var h, probe Header
	scratch := make([]byte, 2048)
	big := BuildUDP(nil, tup(hostA, hostB, 1, 2), 64, make([]byte, 3000))
	tcp := BuildTCP(nil, tup(hostA, hostB, 1, 2), FlagACK, 1, 1, make([]byte, 1000))
	probe.Parse(tcp)
	count := func([]byte) { sink++ }
	for _, b := range seeds() {
		if n := testing.AllocsPerRun(20, func() {
			if h.Parse(b) != 0 {
				sink++
			}
			h.SetSrc(h.Src)
			h.SetDst(h.Dst)
			h.SetSrcPort(h.SrcPort)
			h.SetDstPort(h.DstPort)
			h.SetTTL(h.TTL)
			h.SetInnerSrc(h.Inner.Src)
			h.SetInnerDst(h.Inner.Dst)
			h.SetInnerSrcPort(h.Inner.SrcPort)
			h.SetInnerDstPort(h.Inner.DstPort)
			ClampMSS(&h, 1460)
		}); n != 0 {
			t.Errorf("%v: parse and setters allocate %v times", h.Tuple, n)
		}
	}
	for name, f := range map[string]func(){
		"Parse of nothing": func() { sink += len(h.Parse(nil).Error()) },
		"TimeExceeded":     func() { sink += len(TimeExceeded(scratch, router, tcp)) },
		"FragNeeded":       func() { sink += len(FragNeeded(scratch, router, 1500, tcp)) },
		"TCPReset":         func() { sink += len(TCPReset(scratch, &probe)) },
		"BuildUDP":         func() { sink += len(BuildUDP(scratch, tup(host6A, host6B, 1, 2), 64, tcp)) },
		"BuildTCP":         func() { sink += len(BuildTCP(scratch, tup(hostA, hostB, 1, 2), 0, 1, 1, tcp)) },
		"BuildICMPEcho":    func() { sink += len(BuildICMPEcho(scratch, hostA, hostB, true, 1, 1, tcp)) },
		"Fragment": func() {
			if Fragment(scratch, big, 1500, count) != nil {
				sink++
			}
		},
		"Fragment refused": func() {
			if Fragment(scratch, big[:30], 1500, count) != nil {
				sink++
			}
		},
		"VerifyChecksums": func() {
			if VerifyChecksums(tcp) != nil {
				sink++
			}
		},
	} {
		if n := testing.AllocsPerRun(20, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for name, p := range map[string][]byte{
		"tcp4":  BuildTCP(nil, tup(hostA, hostB, 40000, 443), FlagACK, 1, 1, make([]byte, 1400)),
		"tcp6":  BuildTCP(nil, tup(host6A, host6B, 40000, 443), FlagACK, 1, 1, make([]byte, 1400)),
		"icmp4": FragNeeded(nil, router, 1500, BuildUDP(nil, tup(hostA, hostB, 1, 2), 64, make([]byte, 1400))),
	} {
		b.Run(name, func(b *testing.B) {
			var h Header
			b.ReportAllocs()
			for b.Loop() {
				if h.Parse(p) != 0 {
					b.Fatal("refused")
				}
			}
		})
	}
}

// BenchmarkTranslate is what a NAT gateway does to each packet.
func BenchmarkTranslate(b *testing.B) {
	var h Header
	h.Parse(BuildTCP(nil, tup(hostA, hostB, 40000, 443), FlagACK, 1, 1, make([]byte, 1400)))
	b.ReportAllocs()
	for b.Loop() {
		h.SetSrc(router)
		h.SetSrcPort(1024)
		h.SetTTL(63)
	}
}

func BenchmarkChecksum1500(b *testing.B) {
	p := make([]byte, 1500)
	b.SetBytes(1500)
	for b.Loop() {
		sink += int(Checksum(p))
	}
}

func BenchmarkTimeExceeded(b *testing.B) {
	p := BuildTCP(nil, tup(hostA, hostB, 40000, 443), FlagACK, 1, 1, make([]byte, 1400))
	scratch := make([]byte, MaxICMPError)
	b.ReportAllocs()
	for b.Loop() {
		sink += len(TimeExceeded(scratch, router, p))
	}
}
