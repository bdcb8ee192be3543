package labtest

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// DrawSite is a VPC with three subnets whose routes, ACLs, groups and addresses are drawn:
// most of its traces end in a drop.
func DrawSite(t *rapid.T) string {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	cidrs := []string{"0.0.0.0/0", "10.0.0.0/16", "10.0.1.0/24", "198.51.100.10/32", "198.51.100.0/24"}
	traffic := []string{"port: 22", "port: 80", "protocol: udp, port: 53", "protocol: icmp", "protocol: all", "ports: 1024-65535", "protocol: udp, ports: 1024-65535"}
	var b strings.Builder
	b.WriteString(`
default_vpc: false
vpcs: {main: {cidr_block: 10.0.0.0/16}}
subnets:
  a: {vpc: main, cidr_block: 10.0.0.0/24}
  b: {vpc: main, cidr_block: 10.0.1.0/24}
  c: {vpc: main, cidr_block: 10.0.2.0/24}
internet_gateways: {igw: {vpc: main}}
`)
	nat := pick("nat subnet", "a", "b")
	fmt.Fprintf(&b, "nat_gateways: {nat: {subnet: %s, elastic_ip: nat}}\n", nat)
	b.WriteString("elastic_ips:\n  nat: {}\n")
	for _, name := range []string{"ia", "ib"} {
		if rapid.Bool().Draw(t, "elastic "+name) {
			fmt.Fprintf(&b, "  %s: {instance: %s}\n", name, name)
		}
	}
	b.WriteString("route_tables:\n  a: {vpc: main, subnets: [a], routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}\n")
	for _, name := range []string{"b", "c"} {
		routes := []string{}
		if target := pick("default route of "+name, "gateway: igw", "nat_gateway: nat", "instance: fw", ""); target != "" {
			routes = append(routes, "{cidr_block: 0.0.0.0/0, "+target+"}")
		}
		if name == "c" && rapid.Bool().Draw(t, "through the firewall") {
			routes = append(routes, "{cidr_block: 10.0.1.0/24, instance: fw}")
		}
		fmt.Fprintf(&b, "  %s: {vpc: main, subnets: [%[1]s], routes: [%s]}\n", name, strings.Join(routes, ", "))
	}
	b.WriteString("security_groups:\n")
	for _, name := range []string{"g0", "g1", "g2"} {
		rules := func(peers ...string) string {
			var list []string
			for i := range rapid.IntRange(0, 2).Draw(t, "rules of "+name) {
				rule := fmt.Sprintf("{%s, %s}", rapid.SampledFrom(traffic).Draw(t, fmt.Sprint("traffic ", i)), rapid.SampledFrom(peers).Draw(t, fmt.Sprint("peer ", i)))
				if !slices.Contains(list, rule) {
					list = append(list, rule)
				}
			}
			return "[" + strings.Join(list, ", ") + "]"
		}
		var peers []string
		for _, c := range cidrs {
			peers = append(peers, "cidr_blocks: ["+c+"]")
		}
		in := append(peers, "security_groups: [g0]", "security_groups: [g1]")
		egress := "[{protocol: all, cidr_blocks: [0.0.0.0/0]}]"
		if rapid.Bool().Draw(t, "own egress of "+name) {
			egress = rules(peers...)
		}
		fmt.Fprintf(&b, "  %s: {vpc: main, ingress: %s, egress: %s}\n", name, rules(in...), egress)
	}
	if rapid.Bool().Draw(t, "own ACL") {
		entries := func(dir string) string {
			var list []string
			for i := range rapid.IntRange(0, 3).Draw(t, dir) {
				list = append(list, fmt.Sprintf("{rule_no: %d, action: %s, %s, cidr_block: %s}", 1+i*10+rapid.IntRange(0, 9).Draw(t, "step"),
					pick("action", "allow", "deny"), rapid.SampledFrom(traffic).Draw(t, "entry"), rapid.SampledFrom(cidrs).Draw(t, "of")))
			}
			return "[" + strings.Join(list, ", ") + "]"
		}
		fmt.Fprintf(&b, "network_acls:\n  acl: {vpc: main, subnets: [%s], ingress: %s, egress: %s}\n", pick("ACL's subnet", "a", "b", "c"), entries("in"), entries("out"))
	}
	b.WriteString("instances:\n")
	for i, name := range []string{"ia", "ib", "ic", "fw"} {
		fmt.Fprintf(&b, "  %s: {subnet: %s, private_ip: 10.0.%d.%d, security_groups: [%s]", name, []string{"a", "b", "c", "a"}[i], []int{0, 1, 2, 0}[i], 10+i, pick("group of "+name, "g0", "g1", "g2"))
		if name == "fw" && rapid.Bool().Draw(t, "check off") {
			b.WriteString(", source_dest_check: false")
		}
		b.WriteString("}\n")
	}
	b.WriteString("internet_hosts:\n  laptop: {address: 198.51.100.10}\n  server: {address: 198.51.100.20}\n")
	return b.String()
}
