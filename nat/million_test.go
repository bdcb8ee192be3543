package nat

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// nth is a connection of its own for each n; 50,000 have a destination in common.
func nth(n int) packet.Tuple {
	tup := fromInside(packet.ProtoTCP, uint16(n%50_000), 443)
	tup.Dst[15], tup.Dst[14] = byte(n/50_000), byte(n/50_000>>8)
	return tup
}

// TestMillion fills a table, finds everything in it and in the file of it, from both
// sides, and expires it a little at a time.
func TestMillion(t *testing.T) {
	n, path, gw := 1_000_000, filepath.Join(t.TempDir(), "nat"), gateway(primary)
	if testing.Short() {
		n = 100_000
	}
	tab, err := OpenTable(path, n)
	if err != nil {
		t.Fatal(err)
	}
	// Every other mapping expires after 350 s, the rest after two hours.
	patient := gateway(primary)
	patient.IdleTimeout = 2 * time.Hour
	all := make([]Mapping, n)
	for i := range all {
		all[i] = opened(t, tab, []*Gateway{gw, patient}[i%2], nth(i), syn, 0)
	}
	if _, r := tab.Propose(gw, nth(n), 1); r != RefusedFull {
		t.Errorf("one more: %v", r)
	}
	tab.Close()
	if tab, err = OpenTable(path, n); err != nil {
		t.Fatal(err)
	}
	defer tab.Close()
	for i, m := range all {
		if got, ok := tab.Outbound(gw, nth(i), 1); !ok || got.OutsidePort != m.OutsidePort {
			t.Fatalf("from inside, mapping %d: %+v, %v", i, got, ok)
		}
		if got, ok := tab.Inbound(1, reply(m), 1); !ok || got.InsidePort != m.InsidePort {
			t.Fatalf("from outside, mapping %d: %+v, %v", i, got, ok)
		}
	}
	now := int64(time.Hour)
	for call := range sweepCalls {
		before := tab.Stats()
		removed := tab.ExpireSome(now)
		s := tab.Stats()
		if looked := int(s.Examined - before.Examined); looked > max(sweepLeast, n/sweepCalls+100) {
			t.Fatalf("call %d looked at %d records", call, looked)
		}
		if before.Mappings-s.Mappings != removed || s.Expired-before.Expired != uint64(removed) {
			t.Fatalf("call %d removed %d, but %+v became %+v", call, removed, before, s)
		}
	}
	if s := tab.Stats(); s.Mappings != n/2 || s.Expired != uint64(n/2) {
		t.Errorf("after a round: %+v", s)
	}
	for i := range all {
		if _, ok := tab.Outbound(gw, nth(i), now); ok != (i%2 == 1) {
			t.Fatalf("mapping %d: found %v", i, ok)
		}
	}
}

// TestNA05_WorkAtEachNumberOfConnections counts the ports looked at: up to the last
// connection to a destination, at its refusal, and when all expire at once.
func TestNA05_WorkAtEachNumberOfConnections(t *testing.T) {
	tab, gw := memory(t, 60_000), gateway(primary)
	for _, upTo := range []int{500, 5000, 50_000, ConnectionLimit} {
		before := tab.Stats()
		for n := before.Mappings; n < upTo; n++ {
			opened(t, tab, gw, filler(n), syn, 0)
		}
		s := tab.Stats()
		// With 55,000 of 64,512 ports taken a try finds a free one in 6.8.
		if per := float64(s.Tries-before.Tries) / float64(upTo-before.Mappings); per > 8 {
			t.Errorf("up to %d connections: %.1f ports tried for each", upTo, per)
		}
		if s.Swept != 0 {
			t.Errorf("up to %d connections: swept %d ports", upTo, s.Swept)
		}
	}
	refuse := func(times int, now int64) (work uint64) {
		before := tab.Stats()
		for i := range times {
			if _, r := tab.Propose(gw, filler(ConnectionLimit+i), now); r != RefusedExhausted {
				t.Fatal(r)
			}
		}
		s := tab.Stats()
		if s.RefusedExhausted-before.RefusedExhausted != uint64(times) {
			t.Errorf("%d refusals counted as %d", times, s.RefusedExhausted-before.RefusedExhausted)
		}
		return s.Tries + s.Swept + s.Examined - before.Tries - before.Swept - before.Examined
	}
	if work := refuse(10_000, 1); work != 0 {
		t.Errorf("10,000 refusals while nothing can have expired looked at %d ports", work)
	}
	// One is closed, so that something may expire: one round finds it.
	m, _ := tab.Outbound(gw, filler(7), 1)
	if err := commit(tab, m, rst, false, 1); err != nil {
		t.Fatal(err)
	}
	now := int64(ClosedTimeout) + 1
	before := tab.Stats()
	for tries := 0; ; tries++ {
		if _, r := tab.Propose(gw, filler(ConnectionLimit), now); r == RefusedNone {
			break
		}
		if tries > portCount/reclaimBudget+1 {
			t.Fatal("its port was not found in a round")
		}
	}
	if swept := tab.Stats().Swept - before.Swept; swept > portCount+reclaimBudget {
		t.Errorf("swept %d ports", swept)
	}
	opened(t, tab, gw, filler(ConnectionLimit), syn, now)
	// All expire at once, and as many come in their place.
	now += int64(time.Hour)
	before = tab.Stats()
	for n := range ConnectionLimit {
		opened(t, tab, gw, filler(100_000+n), syn, now)
	}
	s := tab.Stats()
	if per := float64(s.Tries+s.Swept+s.Examined-before.Tries-before.Swept-before.Examined) / ConnectionLimit; per > 2*reclaimBudget+8 {
		t.Errorf("%.1f steps for each connection in the place of an expired one", per)
	}
	if s.Made != 2*ConnectionLimit+1 || int(s.Made-s.Expired) != s.Mappings {
		t.Errorf("%+v", s)
	}
}

func benchSizes(b *testing.B, f func(b *testing.B, tab *Table, gw *Gateway, all []Mapping, refs []Ref, order []int)) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			tab, gw := benchTable(b, n), gateway(primary)
			all, refs := make([]Mapping, n), make([]Ref, n)
			for i := range all {
				all[i] = opened(b, tab, gw, nth(i), ack, 0)
				var err error
				if refs[i], err = tab.Commit(all[i], ack, true, 0); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			f(b, tab, gw, all, refs, rand.Perm(n))
		})
	}
}

func BenchmarkRandomOutbound(b *testing.B) {
	benchSizes(b, func(b *testing.B, tab *Table, gw *Gateway, all []Mapping, _ []Ref, order []int) {
		for i := 0; b.Loop(); i++ {
			tab.Outbound(gw, nth(order[i%len(order)]), 1)
		}
	})
}

func BenchmarkRandomCommit(b *testing.B) {
	benchSizes(b, func(b *testing.B, tab *Table, gw *Gateway, all []Mapping, _ []Ref, order []int) {
		for i := 0; b.Loop(); i++ {
			tab.Commit(all[order[i%len(order)]], ack, false, 1)
		}
	})
}

func BenchmarkRandomTouch(b *testing.B) {
	benchSizes(b, func(b *testing.B, tab *Table, _ *Gateway, _ []Mapping, refs []Ref, order []int) {
		for i := 0; b.Loop(); i++ {
			if !tab.Touch(refs[order[i%len(order)]], DefaultIdleTimeout, ack, false, 1) {
				b.Fatal("gone")
			}
		}
	})
}

// BenchmarkReopen is what a daemon does that starts after kill -9.
func BenchmarkReopen(b *testing.B) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			path, gw := filepath.Join(b.TempDir(), "nat"), gateway(primary)
			tab, err := OpenTable(path, n)
			if err != nil {
				b.Fatal(err)
			}
			for i := range n {
				opened(b, tab, gw, nth(i), ack, 0)
			}
			tab.Close()
			for b.Loop() {
				if tab, err = OpenTable(path, n); err != nil {
					b.Fatal(err)
				}
				tab.Close()
			}
		})
	}
}
