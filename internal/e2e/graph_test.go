package e2e

import (
	"strings"
	"testing"
)

// TestGraph: the picture of a lab is of what there is now, and has the way of a packet.
func TestGraph(t *testing.T) {
	l := up(t, `
version: 1
region: ap-northeast-1
default_vpc: false
vpcs:
  main: {cidr_block: 10.0.0.0/16}
subnets:
  public: {vpc: main, cidr_block: 10.0.0.0/24, map_public_ip_on_launch: true}
internet_gateways:
  igw: {vpc: main}
route_tables:
  public: {vpc: main, subnets: [public], routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}
security_groups:
  ssh: {vpc: main, ingress: [{port: ssh, cidr_blocks: [0.0.0.0/0]}]}
instances:
  web: {subnet: public, private_ip: 10.0.0.10, security_groups: [ssh]}
internet_hosts:
  laptop: {}
`)
	public := l.publicOf("web")
	l.draws([]string{"graph"}, "<svg ", ">web<", ">10.0.0.10<", ">"+public+"<", "public subnet")
	l.draws([]string{"graph", "-o", "mermaid"}, "flowchart TB", "web<br/>10.0.0.10<br/>"+public)
	l.draws([]string{"graph", "-o", "dot"}, "digraph ", "<B>web</B>")

	l.draws([]string{"graph", "--trace", "laptop", "web", "tcp/ssh"}, ">reachable<", "Its reply")
	l.draws([]string{"graph", "--trace", "laptop", "web", "tcp/80", "-o", "mermaid"}, "no rule of the security groups allows the packet", "drop1")
	l.ec2("delete-route --route-table-id public --destination-cidr-block 0.0.0.0/0")
	l.draws([]string{"graph"}, "isolated subnet")
	l.draws([]string{"graph", "--trace", "laptop", "web", "tcp/22"}, "not reachable: the answer does not come back", "NO_ROUTE_TO_DESTINATION")

	if _, errs, status := l.try("", "graph", "--trace", "laptop", "nobody", "tcp/22"); status != 2 || !strings.Contains(errs, "nobody") {
		t.Errorf("a trace to nobody: exit status %d, %s", status, errs)
	}
}

// draws runs a graph command, whose picture has to have some text in it.
func (l *lab) draws(args []string, wants ...string) {
	l.t.Helper()
	out := l.cli(args...)
	for _, want := range wants {
		if !strings.Contains(out, want) {
			l.t.Errorf("vpcemu %s: no %q in\n%s", strings.Join(args, " "), want, out)
		}
	}
}
