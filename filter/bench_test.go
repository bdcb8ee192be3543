package filter

import (
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"slices"
	"testing"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// shapes are rule sets in which each matcher has something else to look through. Rule i
// of n is the only one that allows what comes from peer(i) to port(i); no rule
// allows what comes from peer(n) to port(n).
var shapes = []struct {
	name string
	cidr func(i int) netip.Prefix
	port func(i int) (from, to, some int)
}{
	{"ports", func(int) netip.Prefix { return pfx("0.0.0.0/0") }, func(i int) (from, to, some int) { return 3 * i, 3*i + 1, 3 * i }},
	{"cidrs", host, func(int) (from, to, some int) { return 443, 443, 443 }},
	{"both", host, func(i int) (from, to, some int) { return 5 * i, 5 * i, 5 * i }},
	// Ranges that all overlap, in networks of four lengths one within another.
	{"nested", func(i int) netip.Prefix { return netip.PrefixFrom(host(0).Addr(), 32-8*(i%4)) }, func(i int) (from, to, some int) { return i, 40000 + i, 40000 + i }},
}

func host(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i * 37), byte(i >> 8), byte(i)}), 32)
}

var benchSizes = []int{1, 10, 20, 31, 100, 1000, 10000}

// cases are which rule the packets of a benchmark meet.
var cases = []struct {
	name string
	rule func(n int) int
}{{"first", func(int) int { return 0 }}, {"last", func(n int) int { return n - 1 }}, {"miss", func(n int) int { return n }}}

func groupRules(shape, n int) []GroupRule {
	rules := make([]GroupRule, n)
	for i := range rules {
		from, to, _ := shapes[shape].port(i)
		rules[i] = GroupRule{RuleID: "sgr-1", GroupID: "sg-1", Proto: 6, FromPort: int32(from), ToPort: int32(to), CIDR: shapes[shape].cidr(i)}
	}
	return rules
}

func aclRules(shape, n int) []ACLRule {
	rules := make([]ACLRule, n)
	for i := range rules {
		from, to, _ := shapes[shape].port(i)
		rules[i] = ACLRule{Number: i + 1, Allow: true, Proto: 6, FromPort: int32(from), ToPort: int32(to), CIDR: shapes[shape].cidr(i)}
	}
	return rules
}

// meets is a packet that rule i of a shape allows.
func meets(shape, i int) *Query {
	_, _, port := shapes[shape].port(i)
	q := &Query{Proto: 6, Remote: packet.AddrFrom(shapes[shape].cidr(i).Addr()), DstPort: uint16(port)}
	if shapes[shape].name == "nested" {
		q.Remote = packet.AddrFrom(host(0).Addr())
	}
	return q
}

// matchers are, by name, from how many rules on a list is in the index.
var matchers = map[string]int{"product": longList, "scan": math.MaxInt, "index": 0}

func benchmarkMatch(b *testing.B, compile func(shape, n, long int) func(q *Query)) {
	for s, shape := range shapes {
		for _, n := range benchSizes {
			for name, long := range matchers {
				match := compile(s, n, long)
				for _, c := range cases {
					q := meets(s, c.rule(n))
					b.Run(fmt.Sprintf("%s/%d/%s/%s", shape.name, n, c.name, name), func(b *testing.B) {
						b.ReportAllocs()
						for b.Loop() {
							match(q)
						}
					})
				}
				// Packets that meet each rule in turn, of 4,096 spread over all.
				mixed := make([]*Query, 4096)
				for i := range mixed {
					mixed[i] = meets(s, i*2654435761%n)
				}
				b.Run(fmt.Sprintf("%s/%d/mixed/%s", shape.name, n, name), func(b *testing.B) {
					for i := 0; b.Loop(); i++ {
						match(mixed[i%len(mixed)])
					}
				})
			}
		}
	}
}

func BenchmarkGroupsMatch(b *testing.B) {
	benchmarkMatch(b, func(shape, n, long int) func(q *Query) {
		g := compileGroups(groupRules(shape, n), long)
		return func(q *Query) { g.Match(q) }
	})
}

func BenchmarkACLMatch(b *testing.B) {
	benchmarkMatch(b, func(shape, n, long int) func(q *Query) {
		a := compileACL("acl-1", "", aclRules(shape, n), long)
		return func(q *Query) { a.Match(q) }
	})
}

// A new flow asks with the peer's groups; what they have for members is in no rule set.
func BenchmarkGroupsMatch_References(b *testing.B) {
	for _, n := range benchSizes {
		rules := make([]GroupRule, n)
		for i := range rules {
			rules[i] = GroupRule{Proto: 6, FromPort: int32(i), ToPort: int32(i), Group: uint32(i%1000 + 1)}
		}
		g := CompileGroups(rules)
		for _, groups := range [][]uint32{{1}, {1, 2, 3, 4, 1000}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 1000}} {
			b.Run(fmt.Sprintf("%d/groups %d", n, len(groups)), func(b *testing.B) {
				q := query(Ingress, "10.0.0.5", uint16(n-1))
				q.RemoteGroups = groups
				for b.Loop() {
					g.Match(q)
				}
			})
		}
	}
}

// heapOf is how many bytes what is made keeps alive.
func heapOf(makes func() any) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	made := makes()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(made)
	return float64(int64(after.HeapAlloc) - int64(before.HeapAlloc))
}

func BenchmarkCompileGroups(b *testing.B) {
	for s, shape := range shapes {
		for _, n := range benchSizes {
			for _, proto := range []int16{6, -1} {
				rules := groupRules(s, n)
				for i := range rules {
					rules[i].Proto = proto
				}
				b.Run(fmt.Sprintf("%s/%d/protocol %d", shape.name, n, proto), func(b *testing.B) {
					kept := heapOf(func() any { return CompileGroups(rules) }) - heapOf(func() any { return slices.Clone(rules) })
					b.ReportAllocs()
					for b.Loop() {
						CompileGroups(rules)
					}
					b.ReportMetric(kept, "kept-B")
				})
			}
		}
	}
}
