package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/bench/report"
	"github.com/vpcemu/vpcemu/internal/bench/traffic"
)

// ruleCounts are how many inbound rules an instance has: the last one is the one that matches.
var ruleCounts = []int{1, 100, 1000, 10000}

// groupsOf is over how many security groups the rules of an instance are spread: AWS's default for one interface.
const groupsOf = 5

// rulesTopology has an instance for each of the counts and one that sends to all of them. AWS allows 1,000 rules an interface
// (V-Q, rules x groups): the lab raises its quota to get further. Half of the rules that do not match have the client's address and
// another port, half the port and another address.
func rulesTopology(counts []int) topologyFile {
	var b, groups, instances strings.Builder
	b.WriteString(`version: 1
name: bench-rules
default_vpc: false
quotas: {rules-per-security-group: 2000}
vpcs:
  main: {cidr_block: 10.0.0.0/16}
subnets:
  a: {vpc: main, cidr_block: 10.0.1.0/24}
`)
	groups.WriteString(`security_groups:
  client:
    vpc: main
    egress: [{protocol: tcp, ports: 5001-5999, cidr_blocks: [10.0.0.0/16]}]
`)
	instances.WriteString("instances:\n  a: {subnet: a, private_ip: 10.0.1.10, security_groups: [client]}\n")
	for i, n := range counts {
		fmt.Fprintf(&b, "  b%d: {vpc: main, cidr_block: 10.0.%d.0/24}\n", n, 10+i)
		fmt.Fprintf(&instances, "  b%d: {subnet: b%d, private_ip: 10.0.%d.10, security_groups: [%s]}\n", n, n, 10+i, ruleGroups(&groups, n))
	}
	return topologyFile{"bench-rules", b.String() + groups.String() + instances.String()}
}

// ruleGroups writes the groups of an instance with n rules and returns their names.
func ruleGroups(w *strings.Builder, n int) string {
	many := min(groupsOf, n)
	var names []string
	for g := range many {
		names = append(names, fmt.Sprintf("b%d-%d", n, g))
		fmt.Fprintf(w, "  b%d-%d:\n    vpc: main\n    egress: []\n    ingress:\n", n, g)
		for i := g * n / many; i < (g+1)*n/many; i++ {
			fmt.Fprintf(w, "      - %s\n", nthRule(i, n))
		}
	}
	return strings.Join(names, ", ")
}

// nthRule is the rule i of n.
func nthRule(i, n int) string {
	switch {
	case i == n-1:
		return "{protocol: tcp, ports: 5001-5999, cidr_blocks: [10.0.1.0/24]}"
	case i%2 == 0:
		return fmt.Sprintf("{protocol: tcp, port: %d, cidr_blocks: [10.0.1.0/24]}", 10000+i)
	}
	return fmt.Sprintf("{protocol: tcp, ports: 5001-5999, cidr_blocks: [172.16.%d.%d/32]}", i/256, i%256)
}

// rulesStage measures throughput and new connections by the number of rules.
func (b *bench) rulesStage() error {
	if !b.wants(rulesWork) {
		return nil
	}
	return b.with(b.taking(routers), rulesTopology(ruleCounts), func(up []*contestant) error {
		var todo []work
		for _, n := range ruleCounts {
			p := way{"a", fmt.Sprintf("b%d", n)}
			label, f := "", report.Figure{}
			if n == slices.Max(ruleCounts) { // one pair of bars is enough
				label, f = fmt.Sprintf("%d rules, TCP", n), report.Figure{Label: fmt.Sprintf("%d rules, new", n), Plot: true}
			}
			todo = append(todo, tcp(fmt.Sprintf("rules%d tcp", n), label, p, traffic.Spec{Streams: 1}, nil))
			todo = append(todo, crr(fmt.Sprintf("rules%d crr", n), p, f))
		}
		// Round by round through the counts: it is they that are compared.
		for round := range b.rounds {
			for _, w := range todo {
				for _, c := range up {
					if err := b.turn(w, c, round); err != nil {
						return err
					}
				}
			}
		}
		for _, c := range up {
			for _, what := range []string{"tcp", "crr"} {
				b.results.Relate("rules10000 to rules1 "+what, report.Value{Work: "rules10000 " + what, Contestant: c.name},
					report.Value{Work: "rules1 " + what, Contestant: c.name})
			}
		}
		b.table.Print(b.results)
		return nil
	})
}
