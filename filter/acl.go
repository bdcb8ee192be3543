package filter

import (
	"net/netip"
	"slices"
	"strconv"
)

// Numbers of the "*" entries, which deny what no other entry matched (AC-04).
const (
	StarNumber   = 32767 // IPv4
	StarNumberV6 = 32768 // IPv6
)

// ACLRule is one entry of a network ACL.
type ACLRule struct {
	Number int
	Dir    Direction
	Allow  bool
	Proto  int16        // -1 all
	CIDR   netip.Prefix // the source of ingress, the destination of egress traffic
	// FromPort and ToPort are a range of destination ports, both included, for
	// protocols 6 and 17. ICMPType and ICMPCode are for protocol 1, and for 58
	// with an IPv6 CIDR; -1 is any. All are ignored otherwise (AC-05).
	FromPort, ToPort   int32
	ICMPType, ICMPCode int16
}

// ACL is a compiled network ACL. It is immutable and has no state: replies are
// matched like any packet (AC-06).
type ACL struct {
	ID, Name string
	rules    []ACLRule
	star     [2][families]ACLRule
	match    [2]table
}

// CompileACL compiles the entries of a network ACL, which it copies and puts into
// the order of their numbers. The "*" entries need not be given: what no entry
// matches is denied by them (AC-03). Time and memory are those of CompileGroups.
func CompileACL(id, name string, rules []ACLRule) *ACL { return compileACL(id, name, rules, longList) }

func compileACL(id, name string, rules []ACLRule, long int) *ACL {
	a := &ACL{ID: id, Name: name, rules: slices.Clone(rules)}
	slices.SortStableFunc(a.rules, func(x, y ACLRule) int { return x.Number - y.Number })
	for _, d := range []Direction{Ingress, Egress} {
		a.star[d][v4] = ACLRule{
			Number: StarNumber, Dir: d, Proto: allProtocols,
			CIDR: netip.PrefixFrom(netip.IPv4Unspecified(), 0), ICMPType: -1, ICMPCode: -1, ToPort: maxPort,
		}
		a.star[d][v6] = ACLRule{
			Number: StarNumberV6, Dir: d, Proto: allProtocols,
			CIDR: netip.PrefixFrom(netip.IPv6Unspecified(), 0), ICMPType: -1, ICMPCode: -1, ToPort: maxPort,
		}
	}
	for i := range a.rules {
		a.add(i)
	}
	for d := range a.match {
		a.match[d].finish(long)
	}
	return a
}

// add files entry i under each class of packets that could match it; entries are
// added in order of their numbers, so that each list is in that order too.
func (a *ACL) add(i int) {
	r := &a.rules[i]
	if !r.CIDR.IsValid() {
		return
	}
	n, f := networkOf(r.CIDR)
	d := r.Dir & 1
	for c := range class(classes) {
		if !c.takes(r.Proto) {
			continue
		}
		e := entry{net: n, rule: int32(i), keys: anything}
		if r.Proto != allProtocols {
			switch {
			case c == classTCP || c == classUDP:
				e.keys = portSpan(r.FromPort, r.ToPort)
			case c == classICMP || c == classICMPv6 && f == v6:
				e.keys = icmpSpan(int32(r.ICMPType), int32(r.ICMPCode))
			case c == classOther:
				e.keys = protoSpan(r.Proto)
			}
		}
		a.match[d].add(f, c, e)
	}
}

// Match returns the entry that decides about q, the first in the order of numbers
// that matches, or the "*" of q's address family (AC-04). It is never nil, belongs
// to a, and must not be changed; Allow says what it decides.
//
// The cost hardly grows with the number of entries; see table.
func (a *ACL) Match(q *Query) *ACLRule {
	d, f, c := q.Dir&1, familyOf(q.Remote), classOf(q.Proto)
	if first, _ := a.match[d].find(q, f, c, false); first != none {
		return &a.rules[first]
	}
	return &a.star[d][f]
}

// Rules returns the entries in the order of their numbers, without the "*" ones; not to
// be changed.
func (a *ACL) Rules() []ACLRule { return a.rules }

// Label is the number as the console shows it, "*" for the last entries.
func (r *ACLRule) Label() string {
	if r.Number >= StarNumber {
		return "*"
	}
	return strconv.Itoa(r.Number)
}

// String names the entry as traces do: "rule 100 ingress allow tcp 443 0.0.0.0/0".
func (r *ACLRule) String() string {
	verdict := " deny "
	if r.Allow {
		verdict = " allow "
	}
	from, to := r.FromPort, r.ToPort
	if isICMP(r.Proto) {
		from, to = int32(r.ICMPType), int32(r.ICMPCode)
	}
	return "rule " + r.Label() + " " + r.Dir.String() + verdict + describe(r.Proto, from, to) + " " + r.CIDR.String()
}
