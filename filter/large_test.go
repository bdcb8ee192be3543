package filter

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/vpcemu/vpcemu/internal/packet"
	"pgregory.net/rapid"
)

// dice makes rule sets too large to be drawn one value at a time, and packets
// that aim at the edges of their rules.
type dice struct {
	*rand.Rand
	ports, hosts int // from how many of each it takes: few overlap, many are distinct
}

func genDice(t *rapid.T) (d dice, rules int) {
	d.Rand = rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	d.ports = rapid.SampledFrom([]int{3, 100, 65536}).Draw(t, "ports")
	d.hosts = rapid.SampledFrom([]int{1, 16, 1 << 16}).Draw(t, "hosts")
	return d, rapid.SampledFrom([]int{1, 31, 32, 33, 100, 300, 2000}).Draw(t, "rules")
}

func one[T any](d dice, of ...T) T { return of[d.IntN(len(of))] }

func (d dice) proto() int16 { return one[int16](d, -1, 1, 6, 6, 6, 17, 47, 58) }

func (d dice) portRange() (from, to int32) {
	switch from = int32(65535 - d.IntN(d.ports)); d.IntN(6) {
	case 0:
		return -1, -1
	case 1:
		return 0, from
	case 2:
		return from, 65535
	case 3:
		return from, from + int32(d.IntN(20)) // at times above the last port
	}
	return from, from
}

func (d dice) icmp() (typ, code int32) {
	return one[int32](d, -1, 0, 3, 8, 255), one[int32](d, -1, 0, 4, 255)
}

// cidr is a network around one of few hosts, so that many contain others.
func (d dice) cidr() netip.Prefix {
	h := d.IntN(d.hosts)
	if d.IntN(3) == 0 {
		return netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 14: byte(h >> 8), 15: byte(h)}), one(d, 0, 3, 64, 112, 120, 127, 128))
	}
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(h >> 8), byte(h)}), one(d, 0, 1, 8, 16, 24, 25, 31, 32, 32))
}

func (d dice) groupRule() GroupRule {
	r := GroupRule{Dir: one(d, Ingress, Egress), Proto: d.proto()}
	if r.FromPort, r.ToPort = d.portRange(); isICMP(r.Proto) {
		r.FromPort, r.ToPort = d.icmp()
	}
	if d.IntN(4) == 0 {
		r.Group = uint32(d.IntN(d.hosts)) // 0 is stale
	} else {
		r.CIDR = d.cidr()
	}
	return r
}

func (d dice) aclRule(number int) ACLRule {
	r := ACLRule{Number: number, Dir: one(d, Ingress, Egress), Allow: d.IntN(2) == 0, Proto: d.proto(), CIDR: d.cidr()}
	r.FromPort, r.ToPort = d.portRange()
	typ, code := d.icmp()
	r.ICMPType, r.ICMPCode = int16(typ), int16(code)
	return r
}

// query aims at an edge of the network and of the ports of some rule.
func (d dice) query(dir Direction, proto int16, cidr netip.Prefix, from, to int32, group uint32) *Query {
	q := &Query{Dir: dir, Proto: uint8(proto), DstPort: uint16(one(d, from-1, from, to, to+1)),
		ICMPType: uint8(one(d, 0, 3, 8, 255)), ICMPCode: uint8(one(d, 0, 1, 4, 255))}
	if proto == allProtocols {
		q.Proto = one[uint8](d, 1, 6, 17, 50, 58)
	}
	if !cidr.IsValid() {
		cidr = d.cidr()
	}
	q.Remote = d.edge(cidr)
	for range d.IntN(4) {
		q.RemoteGroups = append(q.RemoteGroups, uint32(d.IntN(d.hosts)+1))
	}
	if group != 0 && d.IntN(4) != 0 {
		q.RemoteGroups = append(q.RemoteGroups, group)
	}
	slices.Sort(q.RemoteGroups)
	return q
}

// edge is the first or last address of p, or the one before or after.
func (d dice) edge(p netip.Prefix) packet.Addr {
	first := p.Masked().Addr()
	b := first.AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	a := one(d, first, last, first.Prev(), last.Next())
	if !a.IsValid() { // before 0.0.0.0, after 255.255.255.255
		a = first
	}
	return packet.AddrFrom(a)
}

func TestSG01_LargeRuleSetsMatchAsTheOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, n := genDice(t)
		rules := make([]GroupRule, n)
		for i := range rules {
			rules[i] = d.groupRule()
		}
		// Without one that everything meets first, later rules are seen more often.
		rules = slices.DeleteFunc(rules, func(r GroupRule) bool { return r.Group == 0 && isEverywhere(r.CIDR) && d.IntN(8) != 0 })
		each := groupsEachWay(rules)
		for range 50 {
			q := d.query(one(d, Ingress, Egress), d.proto(), d.cidr(), 22, 22, 0)
			if len(rules) > 0 {
				r := rules[d.IntN(len(rules))]
				q = d.query(r.Dir, r.Proto, r.CIDR, r.FromPort, r.ToPort, r.Group)
			}
			checkGroups(t, rules, each, q)
		}
	})
}

func TestAC04_LargeACLsMatchAsTheOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, n := genDice(t)
		rules := make([]ACLRule, n)
		for i, number := range d.Perm(n) {
			rules[i] = d.aclRule(number + 1)
		}
		each := aclEachWay(rules)
		for range 50 {
			r := rules[d.IntN(n)]
			checkACL(t, rules, each, d.query(r.Dir, r.Proto, r.CIDR, r.FromPort, r.ToPort, 0))
		}
	})
}

// IPv4-mapped networks are IPv6's, whose packets never have such addresses; a wider
// network that contains them has others, too.
func TestSG06_MappedNetworksInTheIndex(t *testing.T) {
	var rules []GroupRule
	for _, cidr := range []string{"::ffff:0.0.0.0/96", "::ffff:10.0.0.5/128", "::ffff:10.0.0.0/90", "0.0.0.0/0"} {
		rules = append(rules, in(6, 22, 22, cidr))
	}
	g := compileGroups(rules, 1)
	for remote, want := range map[string]*GroupRule{"10.0.0.5": &g.rules[3], "::fffe:a00:5": &g.rules[2], "::1:0:0": nil} {
		if r, _ := g.Match(query(Ingress, remote, 22)); r != want {
			t.Errorf("%s: %v, want %v", remote, r, want)
		}
	}
}

// The index holds at most two intervals and a network for each rule and class, and
// nothing for rules that others hide. A quadratic one would miss these bounds by far.
func TestCompile_MemoryIsInProportionToTheRules(t *testing.T) {
	for s, shape := range shapes {
		x := CompileGroups(groupRules(s, 10000)).match[Ingress].index
		if len(x.starts) > 3*10000 || len(x.rules) != len(x.starts) || len(x.networks) > 10000 || len(x.sets) > 10001 {
			t.Errorf("%s: %d intervals, %d networks, %d sets", shape.name, len(x.starts), len(x.networks), len(x.sets))
		}
		if kept := heapOf(func() any { return CompileGroups(groupRules(s, 10000)) }); kept > 8<<20 {
			t.Errorf("%s: keeps %.0f bytes", shape.name, kept)
		}
	}
}
