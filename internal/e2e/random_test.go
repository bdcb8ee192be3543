package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/check"
)

// TestRandomLab asks of a random lab, for every pair of machines, whether one reaches the
// other, by a trace and by real packets. Most checks fail, as the answer is no; none may
// fail because the two contradict each other.
func TestRandomLab(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	l := up(t, randomLab(rand.New(rand.NewPCG(seed, 0))))
	out, errs, status := l.try("", "check", "-o", "json", "--limit", "3s")
	var report check.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("exit status %d: %v\n%s", status, err, errs)
	}
	if report.Passed+report.Failed != 14*13 {
		t.Errorf("%d checks passed, %d failed", report.Passed, report.Failed)
	}
	for _, r := range report.Results {
		if r.Bug {
			t.Errorf("%s: %s", r.Check, strings.Join(r.Problems, "\n"))
		}
	}
	t.Logf("%d checks passed, %d failed", report.Passed, report.Failed)
}

// randomLab is two VPCs with overlapping or distinct ranges, gateways, a NAT gateway each,
// an appliance each, random routes, groups and ACLs, and a check for each pair of machines.
func randomLab(r *rand.Rand) string {
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	maybe := func(p float64, text string) string {
		if r.Float64() < p {
			return text
		}
		return ""
	}
	peer := func() string {
		return one("0.0.0.0/0", "0.0.0.0/0", "0.0.0.0/0", "10.0.0.0/16", "10.0.1.0/24", "198.51.100.0/24", "198.51.100.1/32", "203.0.113.0/24")
	}
	what := func() string {
		p := one("tcp", "udp", "icmp", "all", "all", "all")
		if p == "tcp" || p == "udp" {
			return "protocol: " + p + ", " + one("port: 22", "port: 80", "ports: 1-1023", "ports: 1024-65535", "port: 5000")
		}
		return "protocol: " + p
	}
	many := func(n int, f func(i int) string) string {
		var list []string
		for i := range n {
			if one := f(i); !slices.Contains(list, one) { // a rule twice is refused
				list = append(list, one)
			}
		}
		return "[" + strings.Join(list, ", ") + "]"
	}

	var vpcs, subnets, gateways, nats, tables, groups, acls, instances strings.Builder
	names := []string{"h1", "h2"}
	for v, name := range []string{"one", "two"} {
		net := one("10.0", fmt.Sprint("10.", v))
		fmt.Fprintf(&vpcs, "  %s: {cidr_block: %s.0.0/16}\n", name, net)
		fmt.Fprintf(&gateways, "  igw-%s: {vpc: %s}\n", name, name)
		fmt.Fprintf(&nats, "  nat-%s: {subnet: %s%d, elastic_ip: %s}\n", name, name, r.IntN(2), name)
		for g := range 4 {
			rule := func(int) string {
				if r.IntN(10) < 7 {
					return fmt.Sprintf("{%s, cidr_blocks: [%s]}", what(), peer())
				}
				return fmt.Sprintf("{%s, security_groups: [g%s%d]}", what(), name, r.IntN(4))
			}
			fmt.Fprintf(&groups, "  g%s%d: {vpc: %s, ingress: %s%s}\n", name, g, name, many(1+r.IntN(3), rule), maybe(0.25, ", egress: "+many(r.IntN(3), rule)))
		}
		appliance := fmt.Sprintf("%s%d-a", name, r.IntN(3))
		for s := range 3 {
			subnet := fmt.Sprintf("%s%d", name, s)
			fmt.Fprintf(&subnets, "  %s: {vpc: %s, cidr_block: %s.%d.0/24, map_public_ip_on_launch: %t}\n", subnet, name, net, s, s != 2 && r.IntN(10) < 7)
			route := "{cidr_block: 0.0.0.0/0, gateway: igw-" + name + "}"
			if s > 0 {
				route = one(route, route, "{cidr_block: 0.0.0.0/0, nat_gateway: nat-"+name+"}", "", "{cidr_block: 198.51.100.0/24, instance: "+appliance+"}")
			}
			fmt.Fprintf(&tables, "  r-%s: {vpc: %s, subnets: [%s], routes: [%s]}\n", subnet, name, subnet, route)
			entry := func(i int) string {
				return fmt.Sprintf("{rule_number: %d, %s, cidr_block: %s, action: %s}", 10*i+10, what(), peer(), one("allow", "allow", "allow", "deny"))
			}
			entries := func() string {
				list := many(1+r.IntN(4), entry)
				return strings.TrimSuffix(list, "]") + maybe(0.6, ", {rule_number: 300, protocol: all, cidr_block: 0.0.0.0/0, action: allow}") + "]"
			}
			if r.IntN(10) < 6 {
				fmt.Fprintf(&acls, "  n-%s: {vpc: %s, subnets: [%s], ingress: %s, egress: %s}\n", subnet, name, subnet, entries(), entries())
			}
			for _, which := range []string{"a", "b"} {
				instance := subnet + "-" + which
				names = append(names, instance)
				forwards := ""
				if instance == appliance {
					forwards = ", source_dest_check: false, user_data: \"#!/bin/sh\\necho 1 >/proc/sys/net/ipv4/ip_forward\\n\""
				}
				fmt.Fprintf(&instances, "  %s: {subnet: %s, security_groups: [g%s%d]%s%s}\n", instance, subnet, name, r.IntN(4), maybe(0.3, ", link_type: tap"), forwards)
			}
		}
	}
	text := "version: 1\nname: random\nvpcs:\n" + vpcs.String() + "internet_gateways:\n" + gateways.String() + "elastic_ips: {one: {}, two: {}}\nsubnets:\n" + subnets.String() +
		"nat_gateways:\n" + nats.String() + "route_tables:\n" + tables.String() + "security_groups:\n" + groups.String() + "instances:\n" + instances.String() +
		"internet_hosts: {h1: {}, h2: {link_type: tap}}\nchecks:\n"
	if acls.Len() > 0 {
		text = strings.Replace(text, "instances:\n", "network_acls:\n"+acls.String()+"instances:\n", 1)
	}
	for _, a := range names {
		for _, b := range names {
			if a != b {
				text += fmt.Sprintf("  - %s reaches %s on %s\n", a, b, one("tcp 22", "tcp 80", "udp 5000", "icmp"))
			}
		}
	}
	return text
}
