package filter

import "slices"

// table holds the rules of one direction, of security groups or of a network ACL, for
// the question which of those that match a packet comes first.
//
// A packet's address family and class choose a list of rules. A short list is scanned
// in order. The rules of long ones are in an index, which one lookup of the peer's
// longest prefix enters: of the prefixes that rules name, those that contain the peer
// are linked from the longest to the shortest, and each holds, as sorted intervals of
// the class's key (ports, type and code, protocol), which rule comes first in each.
// The peer's groups, at most 16 (SG-08), lead to such intervals in the same way.
//
// So a match costs one search by bisection for each prefix in the rules that contains
// the peer, of which rule sets have few, one within another: at most 33 for IPv4 and
// 129 for IPv6, however many rules there are. Rules cost nothing that name other
// networks or groups. What a group has for members is the query's to know, and is in no
// rule. Memory is at most two intervals and a prefix for each rule and class.
type table struct {
	lists [families][classes][]entry // empty where it was long
	index *index                     // nil if none was
}

// longList is from how many rules on a list is looked up in the index: at 20 a scan to
// the end is faster, at 100 it takes longer in all shapes of rule sets but one
// (BenchmarkGroupsMatch).
const longList = 32

// none is the number of no rule.
const none = -1

// entry is a rule as the packets of one direction, family and class see it.
type entry struct {
	net        network
	group      uint32 // handle of the referenced group, which replaces net; 0 none
	rule       int32  // number of the rule, in the order in which they count
	keys       span   // see keyOf
	everywhere bool   // the peer is 0.0.0.0/0 or ::/0
}

// add files e, unless no packet has such keys; entries come in the order of their rules.
func (t *table) add(f family, c class, e entry) {
	if e.keys != nothing {
		t.lists[f][c] = append(t.lists[f][c], e)
	}
}

// finish moves the lists of at least long entries to the index.
func (t *table) finish(long int) {
	var b builder
	var filed [classes]bool
	for f := range family(families) {
		for c := range class(classes) {
			list := t.lists[f][c]
			if len(list) < long || len(list) == 0 {
				t.lists[f][c] = slices.Clone(list)
				continue
			}
			// References are the same in both families: once is enough.
			b.add(f, c, list, !filed[c])
			t.lists[f][c], filed[c] = nil, true
		}
	}
	if len(b.networks)+len(b.groups) != 0 {
		t.index = b.build()
	}
}

// find returns the first rule that matches q, of family f and class c, or none. If
// everyone is asked for, it tells too whether any rule for everywhere does.
func (t *table) find(q *Query, f family, c class, everyone bool) (first int32, everywhere bool) {
	list := t.lists[f][c]
	if len(list) == 0 && t.index != nil {
		return t.index.find(q, c, everyone)
	}
	key := keyOf(q, c)
	hi, lo := halves(q.Remote)
	first = none
	for i := range list {
		e := &list[i]
		if !e.keys.has(key) || !e.allowsPeer(q, hi, lo) {
			continue
		}
		if first == none {
			first = e.rule
		}
		if !everyone {
			return first, false
		}
		if e.everywhere {
			return first, true
		}
	}
	return first, false
}

func (e *entry) allowsPeer(q *Query, hi, lo uint64) bool {
	if e.group == 0 {
		return e.net.has(hi, lo)
	}
	return holds(q.RemoteGroups, e.group)
}

// holds looks for a handle in ascending ones: at most 16 (section 20), so in order.
func holds(handles []uint32, h uint32) bool {
	for _, v := range handles {
		if v >= h {
			return v == h
		}
	}
	return false
}
