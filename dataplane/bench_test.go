package dataplane_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/conntrack"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// manyRules gives db five groups with n rules in all, of which the last one lets TCP 80
// in: half for networks and ports of their own, half for a group of 1,000 members.
func manyRules(b *book, n int) {
	members := b.Group("members")
	for i := range 1000 {
		e := b.public.ENI(fmt.Sprintf("m%d", i), fmt.Sprintf("172.30.%d.%d", 2+i/250, 1+i%250), members)
		e.Port = nil
	}
	b.db.Groups = nil
	for range 5 {
		b.db.Groups = append(b.db.Groups, b.Group(fmt.Sprintf("db%d", len(b.db.Groups))))
	}
	for i := range n - 1 {
		g := b.db.Groups[i%5]
		port := fmt.Sprint(1000 + i)
		if i%2 == 0 {
			g.Rules = append(g.Rules, In("tcp", port, fmt.Sprintf("10.%d.%d.0/24", i>>8&255, i&255)))
		} else {
			g.Rules = append(g.Rules, members.Refer(In("tcp", port, "")))
		}
	}
	g := b.db.Groups[4]
	g.Rules = append(g.Rules, In("tcp", "80", "172.30.0.0/16"))
	b.db.Groups[0].Rules = append([]filter.GroupRule{Out("tcp", "1", "10.0.0.0/8")}, b.db.Groups[0].Rules...)
}

// BenchmarkNewFlow is a SYN that opens a connection tracked at both ends, from the read
// to the write.
func BenchmarkNewFlow(bm *testing.B) {
	for _, rules := range []int{1, 1000, 10000} {
		bm.Run(fmt.Sprintf("rules=%d", rules), func(bm *testing.B) {
			b := newBook(bm)
			ct, err := conntrack.Open("", 1<<18)
			if err != nil {
				bm.Fatal(err)
			}
			b.Config.Conntrack = ct
			manyRules(b, rules)
			b.web.Groups = []*Group{b.Group("web", Out("tcp", "80", "172.30.0.0/16"))}
			b.db.Port.Discard = true
			b.Apply()
			w := b.Engine.Batcher(b.web.Port)
			pkt := SYN(webIP+":1000", dbIP+":80")
			bm.ReportAllocs()
			for i := 0; bm.Loop(); i++ {
				if i%50000 == 49999 {
					bm.StopTimer()
					b.Advance(time.Hour)
					for ct.Len() > 0 {
						ct.Expire(b.Now(), 1<<18)
					}
					bm.StartTimer()
				}
				port := uint16(1024 + i%60000)
				binary.BigEndian.PutUint16(pkt[20:], port)
				w.Send(pkt)
			}
			bm.StopTimer()
			s := w.Stats()
			if s.Reasons[dataplane.Delivered] == 0 || s.Reasons[dataplane.SGRulesMismatch]+s.Reasons[dataplane.ConntrackFull] > 0 {
				bm.Errorf("%v", s.Reasons)
			}
		})
	}
}

// BenchmarkKnownFlows is a packet of one of many connections tracked at both ends, in
// random order: what counts at a million is the memory that each touches.
func BenchmarkKnownFlows(bm *testing.B) {
	for _, flows := range []int{1, 1000, 100_000, 1_000_000} {
		bm.Run(fmt.Sprintf("flows=%d", flows), func(bm *testing.B) {
			b := newBook(bm)
			ct, err := conntrack.Open("", 1<<21)
			if err != nil {
				bm.Fatal(err)
			}
			b.Config.Conntrack = ct
			b.web.Groups = []*Group{b.Group("web", Out("udp", "0-65535", "172.30.0.0/16"))}
			b.db.Groups = []*Group{b.Group("db", In("udp", "0-65535", "172.30.0.0/16"))}
			b.db.Port.Discard = true
			b.Apply()
			w := b.Engine.Batcher(b.web.Port)
			pkt := UDP(webIP+":1000", dbIP+":80", 64)
			pkt[26], pkt[27] = 0, 0 // no checksum, as ports change
			aim := func(i int) {
				binary.BigEndian.PutUint16(pkt[20:], uint16(i))
				binary.BigEndian.PutUint16(pkt[22:], uint16(i>>16)+1)
			}
			for range 4 { // a cache that grew has forgotten
				for i := range flows {
					aim(i)
					w.Send(pkt)
				}
			}
			before := w.Stats().Cache
			batch := make([][]byte, 32)
			for i := range batch {
				batch[i] = append([]byte(nil), pkt...)
			}
			x := uint32(1)
			bm.ReportAllocs()
			n := 0
			for bm.Loop() {
				for i := range batch {
					x = x*1664525 + 1013904223
					f := uint64(x) * uint64(flows) >> 32
					binary.BigEndian.PutUint16(batch[i][20:], uint16(f))
					binary.BigEndian.PutUint16(batch[i][22:], uint16(f>>16)+1)
				}
				w.Send(batch...)
				n += len(batch)
			}
			bm.ReportMetric(float64(bm.Elapsed().Nanoseconds())/float64(n), "ns/packet")
			after := w.Stats().Cache
			bm.ReportMetric(float64(after.Hits-before.Hits)/float64(after.Hits-before.Hits+after.Misses-before.Misses), "hits/packet")
			bm.ReportMetric(float64(after.Entries*dataplane.FlowBytes)/(1<<20), "MiB-cache")
		})
	}
}

// BenchmarkLookingOn is a packet of a known flow, tracked at both ends, in bursts of 32,
// while somebody looks on.
func BenchmarkLookingOn(bm *testing.B) {
	for _, c := range []struct {
		name    string
		prepare func(b *book)
	}{
		{"nobody", func(*book) {}},
		{"no counters", func(b *book) { b.Config.NoCounters = true }},
		{"meter", func(*book) {}},
		{"tap of 96 bytes", func(*book) {}},
	} {
		bm.Run(c.name, func(bm *testing.B) {
			b := newBook(bm)
			c.prepare(b)
			b.web.Groups = []*Group{b.Group("web", Out("udp", "80", "172.30.0.0/16"))}
			b.db.Groups = []*Group{b.Group("db", In("udp", "80", "172.30.0.0/16"))}
			b.db.Port.Discard = true
			b.Apply()
			switch c.name {
			case "meter":
				defer b.Engine.Meter(time.Second, 1).Close()
			case "tap of 96 bytes":
				tp, err := b.Engine.Tap(dataplane.TapConfig{Snap: 96})
				if err != nil {
					bm.Fatal(err)
				}
				defer tp.Close() // what finds no room is skipped, as with any slow reader
			}
			w := b.Engine.Batcher(b.web.Port)
			batch := make([][]byte, 32)
			for i := range batch {
				batch[i] = UDP(webIP+":1000", dbIP+":80", 64)
			}
			n := 0
			for bm.Loop() {
				w.Send(batch...)
				n += len(batch)
			}
			bm.ReportMetric(float64(bm.Elapsed().Nanoseconds())/float64(n), "ns/packet")
		})
	}
}
