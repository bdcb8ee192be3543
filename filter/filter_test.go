package filter

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/vpcemu/vpcemu/internal/packet"
	"pgregory.net/rapid"
)

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func addr(s string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(s)) }

// query makes the Query that most tests ask: TCP to port, from or to remote.
func query(d Direction, remote string, port uint16) *Query {
	return &Query{Dir: d, Proto: packet.ProtoTCP, Remote: addr(remote), DstPort: port}
}

// covers is the oracle's idea of a prefix, by families that never mix (SG-06).
func covers(p netip.Prefix, a packet.Addr) bool {
	return p.IsValid() && p.Addr().Is4() == a.Is4() && p.Masked().Contains(a.Netip())
}

// portsAllow is the oracle's reading of SG-05 and AC-05 for TCP and UDP.
func portsAllow(from, to int32, port uint16) bool {
	if from == -1 && to == -1 {
		return true
	}
	return from <= int32(port) && int32(port) <= to
}

// icmpAllows is its reading for ICMP: -1 is any, and any type means any code.
func icmpAllows(typ, code int32, q *Query) bool {
	if typ == -1 {
		return true
	}
	return typ == int32(q.ICMPType) && (code == -1 || code == int32(q.ICMPCode))
}

// oracleAllows says straight from SG-04 to SG-08 whether the rule r allows q.
func oracleAllows(r *GroupRule, q *Query) bool {
	if r.Dir != q.Dir || r.Proto != -1 && r.Proto != int16(q.Proto) {
		return false
	}
	if r.Group != 0 {
		if !slices.Contains(q.RemoteGroups, r.Group) {
			return false
		}
	} else if !covers(r.CIDR, q.Remote) {
		return false
	}
	if r.Proto == -1 {
		return true
	}
	switch q.Proto {
	case 6, 17:
		return portsAllow(r.FromPort, r.ToPort, q.DstPort)
	case 1, 58:
		return icmpAllows(r.FromPort, r.ToPort, q)
	}
	return true
}

// oracleGroups is the slow Groups.Match: the first rule that allows q, and CT-03.
func oracleGroups(rules []GroupRule, q *Query) (first int, untracked bool) {
	first = -1
	everyone := false
	for i := range rules {
		if r := &rules[i]; oracleAllows(r, q) {
			if first < 0 {
				first = i
			}
			everyone = everyone || r.Group == 0 && r.CIDR.Bits() == 0
		}
	}
	if !everyone || q.Proto != 6 && q.Proto != 17 {
		return first, false
	}
	for i := range rules {
		r := &rules[i]
		if r.Dir == q.Dir || r.Group != 0 || !r.CIDR.IsValid() || r.CIDR.Bits() != 0 || r.CIDR.Addr().Is4() != q.Remote.Is4() {
			continue
		}
		all := r.FromPort == -1 && r.ToPort == -1 || r.FromPort == 0 && r.ToPort == 65535
		if r.Proto == -1 || r.Proto == int16(q.Proto) && all {
			return first, true
		}
	}
	return first, false
}

// oracleACL is the slow ACL.Match: the lowest number that matches (AC-04, AC-05); -1 is "*".
func oracleACL(rules []ACLRule, q *Query) int {
	best := -1
	for i := range rules {
		r := &rules[i]
		if r.Dir != q.Dir || !covers(r.CIDR, q.Remote) || r.Proto != -1 && r.Proto != int16(q.Proto) {
			continue
		}
		if r.Proto != -1 {
			switch {
			case (q.Proto == 6 || q.Proto == 17) && !portsAllow(r.FromPort, r.ToPort, q.DstPort):
				continue
			case (q.Proto == 1 || q.Proto == 58 && !q.Remote.Is4()) && !icmpAllows(int32(r.ICMPType), int32(r.ICMPCode), q):
				continue
			}
		}
		if best < 0 || r.Number < rules[best].Number {
			best = i
		}
	}
	return best
}

// The generators draw from few values, so that rules and packets meet often.
var (
	genProto  = rapid.SampledFrom([]int16{-1, 1, 6, 6, 17, 17, 47, 50, 58})
	genPort   = rapid.SampledFrom([]int32{0, 1, 22, 80, 443, 1024, 65534, 65535})
	genRemote = rapid.SampledFrom([]string{"10.0.0.5", "10.0.1.5", "198.51.100.7", "255.255.255.255", "0.0.0.0", "2001:db8::5", "2001:db8:1::5", "::", "fe80::1"})
	genCIDR   = rapid.SampledFrom([]string{
		"0.0.0.0/0", "0.0.0.0/0", "10.0.0.0/8", "10.0.0.9/24", "10.0.0.5/32", "198.51.100.0/24", "128.0.0.0/1",
		"::/0", "::/0", "2001:db8::/32", "2001:db8::/64", "2001:db8::1/65", "2001:db8::5/128", "8000::/1", "::ffff:10.0.0.0/104",
	})
	genDir = rapid.SampledFrom([]Direction{Ingress, Egress})
)

func genRange(t *rapid.T) (from, to int32) {
	switch rapid.IntRange(0, 3).Draw(t, "range") {
	case 0:
		return -1, -1
	case 1:
		return 0, 65535
	}
	return genPort.Draw(t, "from"), genPort.Draw(t, "to")
}

func genICMP(t *rapid.T) (typ, code int32) {
	return rapid.SampledFrom([]int32{-1, 0, 3, 8}).Draw(t, "type"), rapid.SampledFrom([]int32{-1, 0, 4}).Draw(t, "code")
}

func genQuery(t *rapid.T) *Query {
	q := &Query{
		Dir: genDir.Draw(t, "dir"), Remote: addr(genRemote.Draw(t, "remote")),
		Proto: rapid.SampledFrom([]uint8{1, 6, 6, 17, 17, 47, 50, 58}).Draw(t, "proto"),
	}
	switch q.Proto {
	case 6, 17:
		q.DstPort = uint16(genPort.Draw(t, "port"))
	case 1, 58:
		q.ICMPType = rapid.SampledFrom([]uint8{0, 3, 8}).Draw(t, "type")
		q.ICMPCode = rapid.SampledFrom([]uint8{0, 4}).Draw(t, "code")
	}
	q.RemoteGroups = rapid.SliceOfNDistinct(rapid.Uint32Range(1, 5), 0, 3, rapid.ID).Draw(t, "groups")
	slices.Sort(q.RemoteGroups)
	return q
}

func genGroupRule(t *rapid.T) GroupRule {
	r := GroupRule{Dir: genDir.Draw(t, "dir"), Proto: genProto.Draw(t, "proto")}
	if r.FromPort, r.ToPort = genRange(t); isICMP(r.Proto) {
		r.FromPort, r.ToPort = genICMP(t)
	}
	switch rapid.IntRange(0, 9).Draw(t, "peer") {
	case 0, 1:
		r.Group = rapid.Uint32Range(1, 5).Draw(t, "group")
	case 2: // stale: neither
	default:
		r.CIDR = pfx(genCIDR.Draw(t, "cidr"))
	}
	return r
}

// groupsEachWay compiles rules as usual, with every list in the index, and with some.
func groupsEachWay(rules []GroupRule) []*Groups {
	return []*Groups{CompileGroups(rules), compileGroups(rules, 1), compileGroups(rules, 4)}
}

func checkGroups(t *rapid.T, rules []GroupRule, compiled []*Groups, q *Query) {
	first, untracked := oracleGroups(rules, q)
	for i, g := range compiled {
		var want *GroupRule
		if first >= 0 {
			want = &g.rules[first]
		}
		if got, gotUntracked := g.Match(q); got != want || gotUntracked != untracked {
			t.Fatalf("of %d rules, compiled in way %d: %+v\ngot  %v untracked %v\nwant %v (rule %d) untracked %v",
				len(rules), i, q, got, gotUntracked, want, first, untracked)
		}
	}
}

func TestSG01_GroupsMatchAsTheOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(genGroupRule), 0, 12).Draw(t, "rules")
		each := groupsEachWay(rules)
		for _, d := range []Direction{Ingress, Egress} {
			if want := !slices.ContainsFunc(rules, func(r GroupRule) bool { return r.Dir == d }); each[0].Empty(d) != want {
				t.Fatalf("Empty(%v) is %v", d, !want)
			}
		}
		for range 20 {
			checkGroups(t, rules, each, genQuery(t))
		}
	})
}

func genACLRules(t *rapid.T) []ACLRule {
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) ACLRule {
		r := ACLRule{
			Number: rapid.IntRange(1, 20).Draw(t, "number"), Dir: genDir.Draw(t, "dir"), Allow: rapid.Bool().Draw(t, "allow"),
			Proto: genProto.Draw(t, "proto"), CIDR: pfx(genCIDR.Draw(t, "cidr")),
		}
		r.FromPort, r.ToPort = genRange(t)
		typ, code := genICMP(t)
		r.ICMPType, r.ICMPCode = int16(typ), int16(code)
		return r
	}), 0, 12, func(r ACLRule) [2]int { return [2]int{r.Number, int(r.Dir)} }).Draw(t, "rules")
}

func TestAC04_ACLMatchesAsTheOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := genACLRules(t)
		before := slices.Clone(rules)
		each := aclEachWay(rules)
		if !slices.Equal(rules, before) {
			t.Fatal("CompileACL changed its argument")
		}
		for range 20 {
			checkACL(t, rules, each, genQuery(t))
		}
	})
}

func aclEachWay(rules []ACLRule) []*ACL {
	return []*ACL{CompileACL("acl-1", "", rules), compileACL("acl-1", "", rules, 1), compileACL("acl-1", "", rules, 4)}
}

func checkACL(t *rapid.T, rules []ACLRule, compiled []*ACL, q *Query) {
	i := oracleACL(rules, q)
	for way, a := range compiled {
		switch got := a.Match(q); {
		case i >= 0 && *got != rules[i]:
			t.Fatalf("of %d rules, compiled in way %d: %+v\ngot  %v\nwant %v", len(rules), way, q, got, &rules[i])
		case i < 0 && (got.Allow || got.Number < StarNumber || got.Dir != q.Dir || !covers(got.CIDR, q.Remote)):
			t.Fatalf("of %d rules, compiled in way %d: %+v: got %+v, want *", len(rules), way, q, got)
		}
	}
}
