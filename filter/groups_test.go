package filter

import (
	"fmt"
	"testing"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// in and out are rules of the protocol and ports, for everyone in cidr.
func in(proto int16, from, to int32, cidr string) GroupRule {
	return GroupRule{RuleID: "sgr-in", GroupID: "sg-1", Dir: Ingress, Proto: proto, FromPort: from, ToPort: to, CIDR: pfx(cidr)}
}

func out(proto int16, from, to int32, cidr string) GroupRule {
	r := in(proto, from, to, cidr)
	r.RuleID, r.Dir = "sgr-out", Egress
	return r
}

func allows(g *Groups, q *Query) bool {
	r, _ := g.Match(q)
	return r != nil
}

func TestSG01_NoRuleAllowsNothing(t *testing.T) {
	g := CompileGroups(nil)
	if !g.Empty(Ingress) || !g.Empty(Egress) || allows(g, query(Ingress, "10.0.0.5", 22)) || allows(g, query(Egress, "10.0.0.5", 22)) {
		t.Error("a group without rules allows something")
	}
	g = CompileGroups([]GroupRule{out(-1, -1, -1, "0.0.0.0/0")})
	if !g.Empty(Ingress) || g.Empty(Egress) || allows(g, query(Ingress, "10.0.0.5", 22)) || !allows(g, query(Egress, "10.0.0.5", 22)) {
		t.Error("an egress rule is taken for an ingress rule")
	}
}

func TestSG01_UnionOfGroupsFirstRuleNamed(t *testing.T) {
	a, b, c := in(6, 80, 80, "0.0.0.0/0"), in(6, 22, 22, "10.0.0.0/8"), in(-1, 0, 0, "10.0.0.0/8")
	a.RuleID, b.RuleID, c.RuleID = "sgr-a", "sgr-b", "sgr-c"
	b.GroupID = "sg-2"
	g := CompileGroups([]GroupRule{a, b, c})
	for port, want := range map[uint16]string{80: "sgr-a", 22: "sgr-b", 443: "sgr-c"} {
		if r, _ := g.Match(query(Ingress, "10.0.0.5", port)); r == nil || r.RuleID != want {
			t.Errorf("port %d: %v, want %s", port, r, want)
		}
	}
}

func TestSG01_CompileCopiesItsRules(t *testing.T) {
	rules := []GroupRule{in(6, 22, 22, "0.0.0.0/0")}
	g := CompileGroups(rules)
	rules[0].RuleID = "changed"
	if r, _ := g.Match(query(Ingress, "10.0.0.5", 22)); r.RuleID != "sgr-in" {
		t.Error("the compiled rules share the caller's")
	}
}

func TestSG04_DestinationPortRange(t *testing.T) {
	g := CompileGroups([]GroupRule{in(6, 1000, 2000, "0.0.0.0/0"), in(17, 0, 0, "0.0.0.0/0"), in(17, 65535, 65535, "0.0.0.0/0")})
	for port, want := range map[uint16]bool{999: false, 1000: true, 1500: true, 2000: true, 2001: false} {
		if allows(g, query(Ingress, "10.0.0.5", port)) != want {
			t.Errorf("tcp %d allowed: %v", port, !want)
		}
	}
	for port, want := range map[uint16]bool{0: true, 1: false, 65534: false, 65535: true, 1500: false} {
		q := query(Ingress, "10.0.0.5", port)
		q.Proto = packet.ProtoUDP
		if allows(g, q) != want {
			t.Errorf("udp %d allowed: %v", port, !want)
		}
	}
}

func TestSG05_OtherProtocolsIgnorePorts(t *testing.T) {
	g := CompileGroups([]GroupRule{in(47, 22, 22, "0.0.0.0/0")})
	gre := &Query{Proto: 47, Remote: addr("10.0.0.5")}
	if !allows(g, gre) {
		t.Error("GRE is asked for ports")
	}
	gre.Proto = 50
	if allows(g, gre) {
		t.Error("a rule for GRE allows ESP")
	}
	g = CompileGroups([]GroupRule{in(-1, 22, 22, "0.0.0.0/0")})
	for proto := range 256 {
		if q := (&Query{Proto: uint8(proto), Remote: addr("10.0.0.5"), DstPort: 7, ICMPType: 3}); !allows(g, q) {
			t.Errorf("-1 does not cover protocol %d", proto)
		}
	}
}

func TestSG05_ICMPTypeAndCode(t *testing.T) {
	for _, c := range []struct {
		proto             uint8
		ruleType, ruleC   int32
		typ, code         uint8
		want              bool
		remote, ruleRange string
	}{
		{1, 8, 0, 8, 0, true, "10.0.0.5", "0.0.0.0/0"},
		{1, 8, 0, 8, 1, false, "10.0.0.5", "0.0.0.0/0"},
		{1, 8, -1, 8, 9, true, "10.0.0.5", "0.0.0.0/0"},
		{1, 8, -1, 0, 0, false, "10.0.0.5", "0.0.0.0/0"},
		{1, -1, -1, 3, 4, true, "10.0.0.5", "0.0.0.0/0"},
		{1, 3, 4, 3, 4, true, "10.0.0.5", "0.0.0.0/0"},
		{58, 128, 0, 128, 0, true, "2001:db8::5", "::/0"},
		{58, 128, 0, 129, 0, false, "2001:db8::5", "::/0"},
		{58, -1, -1, 129, 0, true, "2001:db8::5", "::/0"},
	} {
		g := CompileGroups([]GroupRule{in(int16(c.proto), c.ruleType, c.ruleC, c.ruleRange)})
		q := &Query{Proto: c.proto, Remote: addr(c.remote), ICMPType: c.typ, ICMPCode: c.code, DstPort: 9}
		if allows(g, q) != c.want {
			t.Errorf("%+v", c)
		}
	}
}

func TestSG06_FamiliesAreSeparate(t *testing.T) {
	g4, g6 := CompileGroups([]GroupRule{in(-1, 0, 0, "0.0.0.0/0")}), CompileGroups([]GroupRule{in(-1, 0, 0, "::/0")})
	mapped := CompileGroups([]GroupRule{in(-1, 0, 0, "::ffff:0.0.0.0/96")})
	four, six := query(Ingress, "10.0.0.5", 22), query(Ingress, "2001:db8::5", 22)
	if !allows(g4, four) || allows(g4, six) || allows(g6, four) || !allows(g6, six) {
		t.Error("a CIDR of one family matches the other")
	}
	if allows(mapped, four) || allows(mapped, six) {
		t.Error("a CIDR of mapped addresses is one of IPv6, and no packet has such")
	}
}

func TestSG08_ReferenceMatchesByGroupNotAddress(t *testing.T) {
	r := in(6, 3306, 3306, "0.0.0.0/0")
	r.Group = 7 // the reference is what counts
	g := CompileGroups([]GroupRule{r})
	for _, c := range []struct {
		groups []uint32
		want   bool
	}{{nil, false}, {[]uint32{7}, true}, {[]uint32{1, 7, 9}, true}, {[]uint32{1, 6, 8}, false}, {[]uint32{8}, false}} {
		for _, remote := range []string{"10.0.0.5", "2001:db8::5"} {
			q := query(Ingress, remote, 3306)
			q.RemoteGroups = c.groups
			if allows(g, q) != c.want {
				t.Errorf("peer %s in groups %v: allowed %v", remote, c.groups, !c.want)
			}
		}
	}
	q := query(Ingress, "10.0.0.5", 3307)
	q.RemoteGroups = []uint32{7}
	if allows(g, q) {
		t.Error("a reference ignores the port")
	}
}

func TestSG10_StaleRuleMatchesNothing(t *testing.T) {
	g := CompileGroups([]GroupRule{{Dir: Ingress, Proto: -1}})
	q := query(Ingress, "10.0.0.5", 22)
	q.RemoteGroups = []uint32{1}
	if allows(g, q) {
		t.Error("a rule without a peer allows")
	}
	if g.Empty(Ingress) {
		t.Error("a stale rule is still a rule")
	}
}

func TestCT03_Untracked(t *testing.T) {
	const all4, all6 = "0.0.0.0/0", "::/0"
	for _, c := range []struct {
		name  string
		rules []GroupRule
		q     *Query
		want  bool
	}{
		{"open in, all out", []GroupRule{in(6, 80, 80, all4), out(-1, 0, 0, all4)}, query(Ingress, "10.0.0.5", 80), true},
		{"open in, tcp all ports out", []GroupRule{in(6, 80, 80, all4), out(6, 0, 65535, all4)}, query(Ingress, "10.0.0.5", 80), true},
		{"open in, tcp -1 out", []GroupRule{in(6, 80, 80, all4), out(6, -1, -1, all4)}, query(Ingress, "10.0.0.5", 80), true},
		{"one address in", []GroupRule{in(6, 22, 22, "10.0.0.5/32"), out(-1, 0, 0, all4)}, query(Ingress, "10.0.0.5", 22), false},
		{"not all ports out", []GroupRule{in(6, 80, 80, all4), out(6, 1, 65535, all4)}, query(Ingress, "10.0.0.5", 80), false},
		{"two rules make all ports out", []GroupRule{in(6, 80, 80, all4), out(6, 0, 1023, all4), out(6, 1024, 65535, all4)}, query(Ingress, "10.0.0.5", 80), false},
		{"other protocol out", []GroupRule{in(6, 80, 80, all4), out(17, 0, 65535, all4)}, query(Ingress, "10.0.0.5", 80), false},
		{"not everyone out", []GroupRule{in(6, 80, 80, all4), out(-1, 0, 0, "10.0.0.0/8")}, query(Ingress, "10.0.0.5", 80), false},
		{"other family out", []GroupRule{in(6, 80, 80, all4), out(-1, 0, 0, all6)}, query(Ingress, "10.0.0.5", 80), false},
		{"IPv6", []GroupRule{in(6, 80, 80, all6), out(-1, 0, 0, all6)}, query(Ingress, "2001:db8::5", 80), true},
		{"out, with all in", []GroupRule{in(-1, 0, 0, all4), out(6, 443, 443, all4)}, query(Egress, "10.0.0.5", 443), true},
		{"out, without all in", []GroupRule{in(6, 80, 80, all4), out(-1, 0, 0, all4)}, query(Egress, "10.0.0.5", 443), false},
		{"everyone comes second", []GroupRule{in(6, 80, 80, "10.0.0.0/8"), in(6, 0, 100, all4), out(-1, 0, 0, all4)}, query(Ingress, "10.0.0.5", 80), true},
		{"everyone on another port", []GroupRule{in(6, 80, 80, "10.0.0.0/8"), in(6, 81, 81, all4), out(-1, 0, 0, all4)}, query(Ingress, "10.0.0.5", 80), false},
		{"nothing allows", []GroupRule{in(6, 80, 80, all4), out(-1, 0, 0, all4)}, query(Ingress, "10.0.0.5", 81), false},
		{"GRE", []GroupRule{in(-1, 0, 0, all4), out(-1, 0, 0, all4)}, &Query{Proto: 47, Remote: addr("10.0.0.5")}, false},
	} {
		r, untracked := CompileGroups(c.rules).Match(c.q)
		if untracked != c.want {
			t.Errorf("%s: untracked %v", c.name, untracked)
		}
		if r != nil && r.RuleID != c.rules[0].RuleID && c.q.Dir == Ingress {
			t.Errorf("%s: named %v", c.name, r)
		}
	}
}

func TestCT03_OpenToAll(t *testing.T) {
	const all4 = "0.0.0.0/0"
	for _, c := range []struct {
		name string
		rule GroupRule
		q    *Query
		want bool
	}{
		{"everything", in(-1, 0, 0, all4), query(Ingress, "10.0.0.5", 80), true},
		{"all ports", in(6, 0, 65535, all4), query(Ingress, "10.0.0.5", 80), true},
		{"one port", in(6, 80, 80, all4), query(Ingress, "10.0.0.5", 80), false},
		{"some addresses", in(-1, 0, 0, "10.0.0.0/8"), query(Ingress, "10.0.0.5", 80), false},
		{"other direction", out(-1, 0, 0, all4), query(Ingress, "10.0.0.5", 80), false},
		{"other protocol", in(17, 0, 65535, all4), query(Ingress, "10.0.0.5", 80), false},
		{"other family", in(-1, 0, 0, all4), query(Ingress, "2001:db8::5", 80), false},
		{"ICMP", in(-1, 0, 0, all4), &Query{Proto: 1, Remote: addr("10.0.0.5")}, false},
	} {
		if got := CompileGroups([]GroupRule{c.rule}).OpenToAll(c.q); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestCT03_FirstRuleIsNamedEvenIfALaterOneLeavesItUntracked(t *testing.T) {
	narrow, wide := in(6, 80, 80, "10.0.0.0/8"), in(6, 80, 80, "0.0.0.0/0")
	narrow.RuleID = "sgr-narrow"
	g := CompileGroups([]GroupRule{narrow, wide, out(-1, 0, 0, "0.0.0.0/0")})
	if r, untracked := g.Match(query(Ingress, "10.0.0.5", 80)); r.RuleID != "sgr-narrow" || !untracked {
		t.Errorf("%v untracked %v", r, untracked)
	}
}

func TestCT04_ICMPIsAlwaysTracked(t *testing.T) {
	g := CompileGroups([]GroupRule{in(-1, 0, 0, "0.0.0.0/0"), out(-1, 0, 0, "0.0.0.0/0"), in(-1, 0, 0, "::/0"), out(-1, 0, 0, "::/0")})
	for proto, remote := range map[uint8]string{1: "10.0.0.5", 58: "2001:db8::5"} {
		if r, untracked := g.Match(&Query{Proto: proto, Remote: addr(remote), ICMPType: 8}); r == nil || untracked {
			t.Errorf("protocol %d: %v untracked %v", proto, r, untracked)
		}
	}
}

// A non-first fragment has the ports of the first, filled in by the caller, and no
// TCP flags or ICMP type: it meets the same rule.
func TestAC08_FragmentsWithPortsFilledInMeetTheSameRule(t *testing.T) {
	b := packet.BuildUDP(nil, packet.Tuple{Src: addr("198.51.100.7"), Dst: addr("10.0.0.5"), SrcPort: 5000, DstPort: 53}, 64, make([]byte, 64))
	packet.SetFragment(b, 0, true)
	var first, second packet.Header
	first.Parse(append([]byte(nil), b...))
	packet.SetFragment(b, 72, false)
	second.Parse(b)
	second.SrcPort, second.DstPort = first.SrcPort, first.DstPort
	g := CompileGroups([]GroupRule{in(17, 53, 53, "198.51.100.0/24")})
	a := CompileACL("acl-1", "", []ACLRule{{Number: 100, Allow: true, Proto: 17, FromPort: 53, ToPort: 53, CIDR: pfx("0.0.0.0/0")}})
	for _, h := range []*packet.Header{&first, &second} {
		q := &Query{Dir: Ingress, Proto: h.Proto, Remote: h.Src, DstPort: h.DstPort}
		if !allows(g, q) || !a.Match(q).Allow {
			t.Errorf("fragment at %d is refused", h.FragOffset)
		}
	}
}

func TestGroupRuleString(t *testing.T) {
	ref := out(17, 1024, 65535, "0.0.0.0/0")
	ref.Group, ref.GroupName = 7, "web"
	for want, r := range map[string]GroupRule{
		"sgr-in (sg-1) ingress tcp 22 from 0.0.0.0/0":          in(6, 22, 22, "0.0.0.0/0"),
		"sgr-in (sg-1) ingress all from ::/0":                  in(-1, 0, 0, "::/0"),
		"sgr-in (sg-1) ingress tcp from ::/0":                  in(6, 0, 65535, "::/0"),
		"sgr-in (sg-1) ingress icmp from 0.0.0.0/0":            in(1, -1, -1, "0.0.0.0/0"),
		"sgr-in (sg-1) ingress icmp type 8 from 0.0.0.0/0":     in(1, 8, -1, "0.0.0.0/0"),
		"sgr-in (sg-1) ingress icmpv6 type 1 code 4 from ::/0": in(58, 1, 4, "::/0"),
		"sgr-in (sg-1) ingress 47 from 10.0.0.0/8":             in(47, 0, 0, "10.0.0.0/8"),
		"sgr-out (sg-1 web) egress udp 1024-65535 to group #7": ref,
	} {
		if got := r.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// rulesOfALargeENI are 16 groups of 60 rules, of which only the last allows.
func rulesOfALargeENI() []GroupRule {
	var rules []GroupRule
	for i := range int32(960) {
		rules = append(rules, in(6, 10000+i, 10000+i, fmt.Sprintf("10.%d.%d.0/24", i/256, i%256)))
	}
	return append(rules, in(6, 22, 22, "0.0.0.0/0"), out(-1, 0, 0, "0.0.0.0/0"))
}

func TestMatchDoesNotAllocate(t *testing.T) {
	rules := rulesOfALargeENI()
	for i := range uint32(40) {
		ref := in(6, 3306, 3306, "0.0.0.0/0")
		ref.Group = i
		rules = append(rules, ref)
	}
	g := CompileGroups(rules)
	a := CompileACL("acl-1", "", defaultACL())
	large := CompileACL("acl-1", "", aclRules(3, 1000))
	small := CompileGroups(rules[960:962])
	for _, remote := range []string{"198.51.100.7", "10.1.2.3", "2001:db8::5"} {
		q := query(Ingress, remote, 3306)
		q.RemoteGroups = []uint32{1, 2, 3}
		if n := testing.AllocsPerRun(100, func() { g.Match(q); small.Match(q); a.Match(q); large.Match(q); g.Empty(Ingress) }); n != 0 {
			t.Errorf("%s: %v allocations", remote, n)
		}
	}
}
