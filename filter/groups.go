package filter

import (
	"net/netip"
	"slices"
	"strconv"
)

// GroupRule is one security group rule, ready to match. Its peer is Group if that
// is not 0, else CIDR; with neither (a stale reference, SG-10) it matches nothing.
type GroupRule struct {
	RuleID, GroupID, GroupName string
	Dir                        Direction
	Proto                      int16 // -1 all
	// FromPort and ToPort are a range of destination ports, both included; for ICMP
	// and ICMPv6 they are type and code, -1 any. They are ignored for other
	// protocols and for -1 (SG-05).
	FromPort, ToPort int32
	CIDR             netip.Prefix
	Group            uint32 // handle of the referenced group, 0 none
}

// Groups is the compiled union of the rules of all security groups of one network
// interface (SG-01). It is immutable: any number of goroutines may match with it.
type Groups struct {
	rules []GroupRule
	some  [2]bool // by direction: there is a rule
	match [2]table
	// open tells, by direction, family and class, of a rule for all addresses and
	// all ports of TCP or UDP: the second half of what leaves a flow untracked.
	open [2][families][classes]bool
}

// CompileGroups compiles the rules of all groups of one network interface, which it
// copies. Their order decides only which of several matching rules Match names.
//
// It takes time in proportion to n log n for n rules, and beside the copy memory in
// proportion to n: see table. The result is worth sharing between network interfaces.
func CompileGroups(rules []GroupRule) *Groups { return compileGroups(rules, longList) }

func compileGroups(rules []GroupRule, long int) *Groups {
	g := &Groups{rules: slices.Clone(rules)}
	for i := range g.rules {
		g.add(i)
	}
	for d := range g.match {
		g.match[d].finish(long)
	}
	return g
}

func (g *Groups) add(i int) {
	r := &g.rules[i]
	d := r.Dir & 1
	g.some[d] = true
	e := entry{group: r.Group, rule: int32(i)}
	if r.Group != 0 {
		// A reference has no family: it covers a peer's IPv4 and IPv6 addresses (SG-08).
		g.addClasses(d, v4, r, e)
		g.addClasses(d, v6, r, e)
		return
	}
	if !r.CIDR.IsValid() {
		return
	}
	var f family
	e.net, f = networkOf(r.CIDR)
	e.everywhere = isEverywhere(r.CIDR)
	g.addClasses(d, f, r, e)
}

// addClasses files e under each class of packets that could match it.
func (g *Groups) addClasses(d Direction, f family, r *GroupRule, e entry) {
	for c := range class(classes) {
		if !c.takes(r.Proto) {
			continue
		}
		e.keys = anything
		if r.Proto != allProtocols {
			switch c {
			case classTCP, classUDP:
				e.keys = portSpan(r.FromPort, r.ToPort)
			case classICMP, classICMPv6:
				e.keys = icmpSpan(r.FromPort, r.ToPort)
			default:
				e.keys = protoSpan(r.Proto)
			}
		}
		g.match[d].add(f, c, e)
		if e.everywhere && e.keys == anything && (c == classTCP || c == classUDP) {
			g.open[d][f][c] = true
		}
	}
}

// Rules returns the rules in the order given to CompileGroups; not to be changed.
func (g *Groups) Rules() []GroupRule { return g.rules }

// Empty tells whether there is no rule at all in direction d, of any family or
// protocol: the drop reason is SG_HAS_NO_RULES then, not ENI_SG_RULES_MISMATCH.
func (g *Groups) Empty(d Direction) bool { return !g.some[d&1] }

// Match returns the first rule, in the order given to CompileGroups, that allows
// q, or nil. The rule belongs to g and must not be changed.
//
// untracked says that the flow that q begins is not tracked (CT-03, CT-04): it is
// TCP or UDP, a rule that allows it is for 0.0.0.0/0 (::/0 for IPv6), and the other
// direction has one rule for 0.0.0.0/0 (::/0) on all ports of that protocol. Where
// several rules allow q, one that is for everyone suffices, even if another is
// returned, since AWS applies the most permissive of them. What is tracked all
// the same because of its way (CT-06) is the caller's to know.
//
// The cost hardly grows with the number of rules; see table.
func (g *Groups) Match(q *Query) (rule *GroupRule, untracked bool) {
	d, f, c := q.Dir&1, familyOf(q.Remote), classOf(q.Proto)
	first, untracked := g.match[d].find(q, f, c, g.open[d.other()][f][c])
	if first == none {
		return nil, false
	}
	return &g.rules[first], untracked
}

// OpenToAll tells whether one rule of q's direction allows its protocol, TCP or UDP,
// to 0.0.0.0/0 (::/0 for IPv6) on all ports. Replies of untracked flows pass by such
// a rule (CT-03), so a packet that passes by it may be one.
func (g *Groups) OpenToAll(q *Query) bool {
	return g.open[q.Dir&1][familyOf(q.Remote)][classOf(q.Proto)]
}

// String names the rule as traces do: "sgr-0a1b (sg-0c2d web) ingress tcp 22 from 0.0.0.0/0".
func (r *GroupRule) String() string {
	peer := r.CIDR.String()
	if r.Group != 0 {
		peer = "group #" + strconv.FormatUint(uint64(r.Group), 10)
	}
	toFrom := " from "
	if r.Dir == Egress {
		toFrom = " to "
	}
	name := r.RuleID + " (" + r.GroupID
	if r.GroupName != "" {
		name += " " + r.GroupName
	}
	return name + ") " + r.Dir.String() + " " + describe(r.Proto, r.FromPort, r.ToPort) + toFrom + peer
}
