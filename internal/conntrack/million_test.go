package conntrack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// nth is a key of its own for each n below 2^32.
func nth(eni uint32, n int) Key {
	k := KeyOf(eni, outTuple(packet.ProtoTCP, uint16(n), 443), out)
	k.Remote[14], k.Remote[13] = byte(n>>16), byte(n>>24)
	return k
}

func many(t *testing.T) int {
	if testing.Short() {
		return 100_000
	}
	return 1_000_000
}

// TestMillion fills a table, finds everything in it and in the file of it, and expires
// it a little at a time.
func TestMillion(t *testing.T) {
	n, path := many(t), filepath.Join(t.TempDir(), "conntrack")
	tab, err := Open(path, n)
	if err != nil {
		t.Fatal(err)
	}
	// Every other entry expires after two minutes, the rest after five days.
	for i := range n {
		if _, err := tab.Observe(nth(1, i), out, []uint8{syn, ack}[i%2], 1, 0, nil); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, err := tab.Observe(nth(1, n), out, syn, 1, 0, nil); !errors.Is(err, ErrFull) {
		t.Errorf("one more: %v", err)
	}
	tab.Close()
	if tab, err = Open(path, n); err != nil {
		t.Fatal(err)
	}
	defer tab.Close()
	for i := range n {
		if !tab.Has(nth(1, i), 1) {
			t.Fatalf("entry %d is lost", i)
		}
	}
	now := int64(121 * time.Second)
	for call := range sweepCalls {
		before := tab.Stats()
		removed := tab.ExpireSome(now)
		s := tab.Stats()
		if looked := int(s.Examined - before.Examined); looked > max(sweepLeast, n/sweepCalls+100) {
			t.Fatalf("call %d looked at %d records", call, looked)
		}
		if before.Entries-s.Entries != removed || s.Expired-before.Expired != uint64(removed) {
			t.Fatalf("call %d removed %d, but %+v became %+v", call, removed, before, s)
		}
	}
	if s := tab.Stats(); s.Entries != n/2 || s.Expired != uint64(n-n/2) || s.Made != 0 {
		t.Errorf("after a round: %+v", s)
	}
	for i := range n {
		if has := tab.Has(nth(1, i), now); has != (i%2 == 1) {
			t.Fatalf("entry %d: found %v", i, has)
		}
	}
}

// TestCT07_SYNFlood: what one instance sends costs the same at any size of the table,
// shuts out nobody else, and is counted.
func TestCT07_SYNFlood(t *testing.T) {
	for _, n := range []int{1000, 10_000} {
		tab := memory(t, n)
		tab.LimitPerENI(n / 2)
		for i := range n / 2 {
			if _, err := tab.Observe(nth(1, i), out, syn, 1, 0, nil); err != nil {
				t.Fatal(err)
			}
		}
		flood := 3 * n
		for i := range flood {
			if _, err := tab.Observe(nth(1, n+i), out, syn, 1, 1, nil); !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
		}
		s := tab.Stats()
		want := Stats{Entries: n / 2, Capacity: n, Made: uint64(n / 2), RefusedENI: uint64(flood), Examined: s.Examined}
		if s != want {
			t.Errorf("%+v, want %+v", s, want)
		}
		if per := float64(s.Examined) / float64(flood); per > reclaimBudget {
			t.Errorf("table of %d: %v records looked at for a refusal", n, per)
		}
		for i := range n / 2 {
			if _, err := tab.Observe(nth(2, i), out, syn, 1, 1, nil); err != nil {
				t.Fatalf("entry %d of another interface: %v", i, err)
			}
		}
		if _, err := tab.Observe(nth(3, 0), out, syn, 1, 1, nil); !errors.Is(err, ErrFull) || tab.Stats().RefusedFull != 1 {
			t.Errorf("full: %v, %+v", err, tab.Stats())
		}
	}
}

// TestChurnIsBounded: a flood of new connections, each gone after its timeout, with
// ExpireSome four times a second: what is kept is what came within timeout and round.
func TestChurnIsBounded(t *testing.T) {
	tab := memory(t, 200_000)
	to, per := &Timeouts{UDP: time.Second}, 250
	k, highest := nth(1, 0), 0
	k.Proto = packet.ProtoUDP
	for tick := range 1200 { // five minutes
		now := int64(tick) * int64(250*time.Millisecond)
		for range per {
			k.LocalPort++
			if k.LocalPort == 0 {
				k.RemotePort++
			}
			if _, err := tab.Observe(k, out, 0, 1, now, to); err != nil {
				t.Fatal(err)
			}
		}
		tab.ExpireSome(now)
		highest = max(highest, tab.Len())
	}
	// 5 ticks of life, a round of 128, and the round under way.
	if bound := per * (5 + 2*sweepCalls); highest > bound || int(tab.slab.Extent()) > 2*bound {
		t.Errorf("%d entries, %d slots, want at most %d", highest, tab.slab.Extent(), bound)
	}
}

// benchSizes runs f over tables in a file, visited at random.
func benchSizes(b *testing.B, f func(b *testing.B, tab *Table, keys []Key, refs []Ref, order []int)) {
	for _, n := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			tab, err := Open(filepath.Join(b.TempDir(), "conntrack"), n)
			if err != nil {
				b.Fatal(err)
			}
			defer tab.Close()
			keys, refs := make([]Key, n), make([]Ref, n)
			for i := range keys {
				keys[i] = nth(1, i)
				if refs[i], err = tab.Observe(keys[i], out, ack, 1, 0, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			f(b, tab, keys, refs, rand.Perm(n))
		})
	}
}

func BenchmarkRandomLookup(b *testing.B) {
	benchSizes(b, func(b *testing.B, tab *Table, keys []Key, _ []Ref, order []int) {
		for i := 0; b.Loop(); i++ {
			tab.Lookup(keys[order[i%len(order)]], 1)
		}
	})
}

func BenchmarkRandomObserve(b *testing.B) {
	benchSizes(b, func(b *testing.B, tab *Table, keys []Key, _ []Ref, order []int) {
		for i := 0; b.Loop(); i++ {
			tab.Observe(keys[order[i%len(order)]], out, ack, 1, 1, nil)
		}
	})
}

func BenchmarkRandomTouch(b *testing.B) {
	benchSizes(b, func(b *testing.B, tab *Table, _ []Key, refs []Ref, order []int) {
		for i := 0; b.Loop(); i++ {
			if !tab.Touch(refs[order[i%len(order)]], out, ack, 1, 1, nil) {
				b.Fatal("gone")
			}
		}
	})
}

// BenchmarkExpireSome is one call over a table in which nothing has expired.
func BenchmarkExpireSome(b *testing.B) {
	benchSizes(b, func(b *testing.B, tab *Table, _ []Key, _ []Ref, _ []int) {
		for b.Loop() {
			tab.ExpireSome(1)
		}
	})
}

// BenchmarkReopen is what a daemon does that starts after kill -9.
func BenchmarkReopen(b *testing.B) {
	benchSizes(b, func(b *testing.B, tab *Table, keys []Key, _ []Ref, _ []int) {
		path := filepath.Join(b.TempDir(), "again")
		again, err := Open(path, len(keys))
		if err != nil {
			b.Fatal(err)
		}
		for _, k := range keys {
			if _, err := again.Observe(k, out, ack, 1, 0, nil); err != nil {
				b.Fatal(err)
			}
		}
		again.Close()
		for b.Loop() {
			if again, err = Open(path, len(keys)); err != nil {
				b.Fatal(err)
			}
			again.Close()
		}
	})
}
