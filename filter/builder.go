package filter

import (
	"cmp"
	"slices"
)

// builder collects the rules of long lists for an index.
type builder struct{ networks, groups []filed }

// filed is an entry with the list that it is from.
type filed struct {
	entry
	family family
	class  class
	bits   uint8 // length of the prefix
}

// add takes a list, of which the references only if asked to.
func (b *builder) add(f family, c class, list []entry, references bool) {
	b.networks = slices.Grow(b.networks, len(list))
	for _, e := range list {
		switch {
		case e.group == 0:
			b.networks = append(b.networks, filed{e, f, c, uint8(e.net.bits())})
		case references:
			b.groups = append(b.groups, filed{e, f, c, 0})
		}
	}
}

func (b *builder) build() *index {
	x := &index{groups: map[uint32]heads{}, sets: []set{{first: none}}}
	x.addNetworks(b.networks)
	x.addGroups(b.groups)
	x.networks, x.sets = slices.Clone(x.networks), slices.Clone(x.sets)
	x.starts, x.rules = slices.Clone(x.starts), slices.Clone(x.rules)
	return x
}

// addNetworks makes heads of each network. In the order by address and length, a
// network comes right after the one that contains it and others within that one.
func (x *index) addNetworks(list []filed) {
	slices.SortFunc(list, func(a, b filed) int {
		// Most often the address tells; cmp.Or would compare all the rest, too.
		switch {
		case a.family != b.family:
			return cmp.Compare(a.family, b.family)
		case a.net.hi != b.net.hi:
			return cmp.Compare(a.net.hi, b.net.hi)
		case a.net.lo != b.net.lo:
			return cmp.Compare(a.net.lo, b.net.lo)
		}
		return cmp.Or(cmp.Compare(a.bits, b.bits), cmp.Compare(a.class, b.class), cmp.Compare(a.rule, b.rule))
	})
	type open struct {
		*filed
		number int
	}
	var around []open // the networks that contain the one at hand
	for same := range runs(list, func(a, b *filed) bool { return a.family == b.family && a.net == b.net }) {
		n := &same[0]
		for len(around) > 0 && !around[len(around)-1].contains(n) {
			around = around[:len(around)-1]
		}
		var h heads
		if len(around) > 0 {
			h = x.networks[around[len(around)-1].number]
		}
		around = append(around, open{n, len(x.networks)})
		x.prefixes.Insert(n.net.prefix(n.family), int32(len(x.networks)))
		x.networks = append(x.networks, x.addSets(h, same))
	}
}

func (n *filed) contains(m *filed) bool {
	return n.family == m.family && n.net.has(m.net.hi, m.net.lo)
}

func (x *index) addGroups(list []filed) {
	slices.SortFunc(list, func(a, b filed) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.class, b.class), cmp.Compare(a.rule, b.rule))
	})
	for same := range runs(list, func(a, b *filed) bool { return a.group == b.group }) {
		x.groups[same[0].group] = x.addSets(heads{}, same)
	}
}

// addSets makes a set of each class of one peer's rules; around are the heads of the
// next larger network.
func (x *index) addSets(around heads, list []filed) heads {
	h := around
	for same := range runs(list, func(a, b *filed) bool { return a.class == b.class }) {
		c := same[0].class
		s := set{at: int32(len(x.starts)), next: around[c], first: same[0].rule, everywhere: same[0].everywhere}
		x.addIntervals(same)
		s.n = int32(len(x.starts)) - s.at
		h[c] = int32(len(x.sets))
		x.sets = append(x.sets, s)
	}
	return h
}

// addIntervals cuts the keys wherever a rule of one peer and class begins or ends, and
// gives each piece to the first rule that covers it.
func (x *index) addIntervals(list []filed) {
	starts := make([]uint16, 1, 2*len(list)+1)
	for i := range list {
		k := list[i].keys
		starts = append(starts, k.from)
		if k.to < anything.to {
			starts = append(starts, k.to+1)
		}
	}
	slices.Sort(starts)
	starts = slices.Compact(starts)
	owner := make([]int32, len(starts))
	free := make([]int32, len(starts)+1) // or a later piece which is nearer to the next free one
	for i := range free {
		free[i] = int32(i)
	}
	for i := range owner {
		owner[i] = none
	}
	for i := range list {
		k := list[i].keys
		at, _ := slices.BinarySearch(starts, k.from)
		for p := nextFree(free, int32(at)); int(p) < len(starts) && starts[p] <= k.to; p = nextFree(free, p) {
			owner[p], free[p] = list[i].rule, p+1
		}
	}
	for i, rule := range owner {
		if i == 0 || rule != owner[i-1] {
			x.starts, x.rules = append(x.starts, starts[i]), append(x.rules, rule)
		}
	}
}

// nextFree is the first piece from p on that no rule has yet, len(free)-1 if there is
// none. It halves the way for those who ask later.
func nextFree(free []int32, p int32) int32 {
	for free[p] != p {
		free[p] = free[free[p]]
		p = free[p]
	}
	return p
}

// runs yields the stretches of a sorted list whose elements are the same.
func runs(list []filed, same func(a, b *filed) bool) func(yield func([]filed) bool) {
	return func(yield func([]filed) bool) {
		for from, i := 0, 1; i <= len(list); i++ {
			if i < len(list) && same(&list[from], &list[i]) {
				continue
			}
			if !yield(list[from:i]) {
				return
			}
			from = i
		}
	}
}
