package filter

import (
	"math/bits"

	"github.com/gaissmai/bart"
)

// index finds the first of many rules; see table. Its parts refer to each other by
// number, which leaves the garbage collector few pointers to follow.
type index struct {
	prefixes bart.Table[int32] // to networks
	networks []heads
	groups   map[uint32]heads // of the groups that rules refer to, by handle
	sets     []set            // the one numbered 0 is nobody's
	starts   []uint16
	rules    []int32
}

// heads are, by class, the numbers of the first sets to look into for a peer: its own or,
// for a network, that of the next larger one which has any; 0 is none.
type heads [classes]int32

// set holds the rules of one peer and class as n intervals: from key starts[at+i] up to
// where the next begins, rules[at+i] comes first, or none does. The first starts at 0.
type set struct {
	at, n      int32
	next       int32 // the set of the next larger network
	first      int32 // the first of all its rules
	everywhere bool  // its peer is 0.0.0.0/0 or ::/0
}

// find is table.find for the classes in the index.
func (x *index) find(q *Query, c class, everyone bool) (first int32, everywhere bool) {
	key := keyOf(q, c)
	first = none
	if n, ok := x.prefixes.Lookup(q.Remote.Netip()); ok {
		for i := x.networks[n][c]; i != 0; i = x.sets[i].next {
			s := &x.sets[i]
			wanted := everyone && s.everywhere
			if !wanted && !before(s.first, first) {
				continue
			}
			rule := x.lookup(s, key)
			if before(rule, first) {
				first = rule
			}
			everywhere = wanted && rule != none
		}
	}
	if len(x.groups) == 0 {
		return first, everywhere
	}
	for _, handle := range q.RemoteGroups {
		// Handles without rules have nobody's set, whose first rule is none.
		if s := &x.sets[x.groups[handle][c]]; before(s.first, first) {
			if rule := x.lookup(s, key); before(rule, first) {
				first = rule
			}
		}
	}
	return first, everywhere
}

// before tells whether rule a comes before b. No rule comes after all others.
func before(a, b int32) bool { return uint32(a) < uint32(b) }

// lookup returns the first rule of s for a key, or none.
func (x *index) lookup(s *set, key uint16) int32 {
	starts := x.starts[s.at:][:s.n]
	low := 0 // starts[low] <= key
	for n := len(starts); n > 1; {
		half := n / 2
		// Adds half if the start is not above key, by arithmetic: a branch would be
		// guessed wrong every other time.
		low += half &^ ((int(key) - int(starts[low+half])) >> (bits.UintSize - 1))
		n -= half
	}
	return x.rules[s.at:][low]
}
