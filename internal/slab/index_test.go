package slab

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func all(x *Index, hash uint32) []uint32 {
	var got []uint32
	for i := x.First(hash); i != None; i = x.Next(i) {
		got = append(got, i)
	}
	slices.Sort(got)
	return got
}

// TestIndexAgainstMap compares two indexes over the same links with maps. The
// hashes are few, so that chains are long and records share a hash.
func TestIndexAgainstMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const records = 300
		links, _ := NewLinks(records) // too few to be mapped
		x := [2]*Index{NewIndex(links), NewIndex(links)}
		model := [2]map[uint32]uint32{{}, {}} // record -> hash
		hashes := rapid.SampledFrom([]uint32{3, 60, 1 << 31, 1<<32 - 1}).Draw(rt, "hashes")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		for range rapid.IntRange(1, 1000).Draw(rt, "steps") {
			i, k := rng.Uint32N(records), rng.IntN(2)
			if _, in := model[1-k][i]; in {
				continue
			}
			if _, in := model[k][i]; in {
				x[k].Remove(i)
				delete(model[k], i)
				continue
			}
			h := rng.Uint32N(hashes)
			x[k].Add(h, i)
			model[k][i] = h
		}
		for k := range x {
			byHash := map[uint32][]uint32{12345: nil}
			for i, h := range model[k] {
				byHash[h] = append(byHash[h], i)
			}
			for h, want := range byHash {
				slices.Sort(want)
				if got := all(x[k], h); !slices.Equal(got, want) {
					rt.Fatalf("index %d, hash %d: records %d, want %d", k, h, got, want)
				}
			}
		}
	})
}

// TestIndexKeepsChainsShort: a bucket holds a few records, however many there are.
func TestIndexKeepsChainsShort(t *testing.T) {
	const n = 100_000
	links, err := NewLinks(n)
	if err != nil {
		t.Fatal(err)
	}
	defer links.Free()
	x := NewIndex(links)
	for i := range uint32(n) {
		x.Add(rand.Uint32(), i)
	}
	longest := 0
	for b := range x.buckets {
		length := 0
		for p := *x.head(b); p != 0; p = x.links[p-1].next {
			length++
		}
		longest = max(longest, length)
	}
	if longest > 20 {
		t.Errorf("longest chain has %d records", longest)
	}
}

func TestIndexFindsWithoutAllocation(t *testing.T) {
	x := NewIndex(make(Links, 10))
	x.Add(7, 3)
	if n := testing.AllocsPerRun(100, func() {
		x.Remove(3)
		x.Add(7, 3)
		if x.First(7) != 3 {
			t.Error("not found")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
