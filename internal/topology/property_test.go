package topology

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// drawFile draws a valid file. Names and addresses come from small sets, so that
// two files have much in common and collide where they may.
func drawFile(t *rapid.T) string {
	pick := func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(t, what) }
	yes := func(what string) bool { return rapid.Bool().Draw(t, what) }
	b := &strings.Builder{}
	line := func(format string, a ...any) { fmt.Fprintf(b, format+"\n", a...) }
	line("version: 1\nname: lab\nregion: ap-northeast-1\ndefault_vpc: %t", yes("default vpc"))
	vpcs := 1 + pick(2, "vpcs")
	line("key_pairs: {k: }\ndhcp_options: {o: {domain_name: d%d.example}}\nvpcs:", pick(2, "domain"))
	for v := range vpcs {
		line("  v%d: {cidr_block: 10.%d.0.0/16, enable_dns_support: %t, dhcp_options: %s}", v, v+2*pick(2, "block"), yes("dns"), []string{"o", "none"}[pick(2, "set")])
	}
	return b.String() + drawVpcs(t, vpcs, pick, yes, b.String())
}

func drawVpcs(t *rapid.T, vpcs int, pick func(int, string) int, yes func(string) bool, head string) string {
	sections := map[string]*strings.Builder{}
	order := []string{"subnets", "internet_gateways", "elastic_ips", "nat_gateways", "security_groups", "network_acls", "network_interfaces", "instances", "route_tables", "internet_hosts", "flow_logs"}
	for _, s := range order {
		sections[s] = &strings.Builder{}
	}
	add := func(section, format string, a ...any) { fmt.Fprintf(sections[section], "  "+format+"\n", a...) }
	add("internet_hosts", "h: {key_names: [k], state: %s}", []string{"running", "stopped"}[pick(2, "host")])
	for v := range vpcs {
		block := 0
		fmt.Sscanf(head[strings.Index(head, fmt.Sprintf("v%d: {cidr_block: 10.", v))+len("v0: {cidr_block: 10."):], "%d", &block)
		igw := yes("igw")
		if igw {
			add("internet_gateways", "g%d: {vpc: v%d}", v, v)
		}
		add("security_groups", "s%d: {vpc: v%d, description: d%d, ingress: [{port: %d, security_groups: [default], cidr_blocks: [10.0.0.0/8]}], egress: %s}", v, v, pick(2, "text"), 22+pick(2, "port"), []string{"[]", "[{protocol: all, self: true}]"}[pick(2, "egress")])
		for s := range 1 + pick(2, "subnets") {
			name := fmt.Sprintf("n%d-%d", v, s)
			third := s + 2*pick(2, "third")
			add("subnets", "%s: {vpc: v%d, cidr_block: 10.%d.%d.0/24, map_public_ip_on_launch: %t}", name, v, block, third, yes("public"))
			target := ""
			if yes("flow log") {
				add("flow_logs", "%s: {subnet: %s, traffic_type: %s}", name, name, []string{"ALL", "REJECT"}[pick(2, "traffic")])
			}
			if yes("acl") {
				add("network_acls", "%s: {vpc: v%d, subnets: [%s], ingress: [{rule_no: %d, action: allow, cidr_block: 0.0.0.0/0}]}", name, v, name, 1+pick(3, "rule"))
			}
			if yes("nat") && igw {
				add("elastic_ips", "%s: {}", name)
				add("nat_gateways", "%s: {subnet: %s, elastic_ip: %s}", name, name, name)
				target = "nat_gateway: " + name
			}
			if yes("instance") {
				extra := ""
				if yes("address") {
					extra = fmt.Sprintf(", private_ip: 10.%d.%d.%d", block, third, 4+pick(3, "last"))
				}
				add("instances", "%s: {subnet: %s%s, security_groups: [s%d], state: %s, user_data: %q}", name, name, extra, v, []string{"running", "stopped"}[pick(2, "state")], fmt.Sprint(pick(2, "data")))
				if yes("instance's flow log") {
					add("flow_logs", "i%s: {instance: %s}", name, name)
				}
				if yes("eni") {
					add("network_interfaces", "%s: {subnet: %s, attachment: {instance: %s}, source_dest_check: %t}", name, name, name, yes("check"))
					target = "network_interface: " + name
				}
			}
			if igw && (target == "" || yes("route to igw")) {
				target = fmt.Sprintf("gateway: g%d", v)
			}
			if target != "" {
				add("route_tables", "%s: {vpc: v%d, main: %t, subnets: [%s], routes: [{cidr_block: 0.0.0.0/0, %s}]}", name, v, s == 0 && yes("main"), name, target)
			}
		}
	}
	var b strings.Builder
	for _, s := range order {
		if sections[s].Len() > 0 {
			fmt.Fprintf(&b, "%s:\n%s", s, sections[s])
		}
	}
	return b.String()
}

// TestAnyFileConverges: any file after any other gives a consistent model with
// nothing left to do, the same as the file gives on its own.
func TestAnyFileConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m *vpc.Model
		for range rapid.IntRange(1, 3).Draw(t, "files") {
			text := drawFile(t)
			f, err := Parse("lab.yaml", []byte(text))
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			out, _, _, err := f.Converge(m, now, Options{Replace: true})
			if err != nil && (strings.Contains(err.Error(), "mapped public address") || strings.Contains(err.Error(), "InvalidIPAddress.InUse")) {
				return // AWS refuses both: the gateway's addresses are in use (IG-07), another has the address by chance
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			for _, err := range out.Check() {
				t.Errorf("%v\n%s", err, text)
			}
			if _, again, _, err := f.Converge(&out, now, Options{Replace: true}); err != nil || len(again) > 0 {
				t.Fatalf("a second time: %v, %v\n%s", again, err, text)
			}
			out = settle(out)
			m = &out
		}
	})
}
