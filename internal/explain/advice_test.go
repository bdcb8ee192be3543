package explain

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	pt "github.com/vpcemu/vpcemu/dataplane/porttest"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/endpoint"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/nat"
)

// A new reason needs advice, or a word that no trace ends with it.
func TestEveryDropHasAdvice(t *testing.T) {
	for _, r := range dataplane.Reasons() {
		switch has := advisers[r] != nil; {
		case r.Dropped() && has == neverTraced[r]:
			t.Errorf("%s: has advice: %v, is never traced: %v", r, has, neverTraced[r])
		case !r.Dropped() && (has || neverTraced[r]):
			t.Errorf("%s is no drop", r)
		}
	}
}

// passed is how many stages a packet and its answer passed. One that goes astray has
// passed them all.
func passed(tr *control.Trace) int {
	if tr.Reason == replyAstray {
		return 1000
	}
	n := len(tr.Forward.Hops)
	if tr.Return != nil {
		n += len(tr.Return.Hops)
	}
	return n
}

// useful is passed, without the circles in which the packet went.
func useful(tr *control.Trace) int {
	if tr.Reason != dataplane.ForwardingLoop.Name() {
		return passed(tr)
	}
	isRoute := func(h control.Hop) bool { return h.Stage == dataplane.StageRoute.String() }
	if tr.Return != nil {
		return len(tr.Forward.Hops) + slices.IndexFunc(tr.Return.Hops, isRoute)
	}
	return slices.IndexFunc(tr.Forward.Hops, isRoute)
}

// carryOut runs the commands of a trace's advice, and tells whether there were any.
func (l *lab) carryOut(tr *control.Trace) bool {
	l.Helper()
	some := false
	for _, a := range tr.Advice {
		if line, ok := strings.CutPrefix(a, "vpcemu ec2 "); ok {
			l.EC2(line)
			some = true
		}
	}
	return some
}

// follow carries advice out until the packet arrives and is answered, or nothing more is
// advised. Each time the packet has to get further. It returns the reasons on the way.
func (l *lab) follow(line string) (reasons []string, last *control.Trace) {
	l.Helper()
	tr := l.trace(line)
	for range 20 {
		if tr.Reachable {
			return reasons, tr
		}
		reasons = append(reasons, tr.Reason)
		if len(tr.Advice) == 0 {
			l.Failf("%s: %s without advice", line, tr.Reason)
		}
		if !l.carryOut(tr) {
			return reasons, tr
		}
		next := l.trace(line)
		if !next.Reachable && passed(next) <= useful(tr) {
			l.Failf("%s: the advice does not help:\n%s\nthen\n%s", line, Text(tr), Text(next))
		}
		tr = next
	}
	l.Failf("%s: no end of advice: %v", line, reasons)
	return nil, nil
}

func TestAdviceMendsWhatItIsAbout(t *testing.T) {
	for _, c := range []struct{ name, setup, trace, reasons string }{
		{"no rule", "", "web svc tcp/80", ""},
		{"group without the rule", "$ modify-network-interface-attribute --network-interface-id %web! --groups ssh", "laptop web tcp/80", "ENI_SG_RULES_MISMATCH"},
		{"group without rules", "$ modify-network-interface-attribute --network-interface-id %web! --groups shut", "laptop web tcp/80", "SG_HAS_NO_RULES"},
		{"group for icmp", "$ modify-network-interface-attribute --network-interface-id %web! --groups shut", "laptop web icmp", "SG_HAS_NO_RULES"},
		{"group for a protocol", "$ modify-network-interface-attribute --network-interface-id %web! --groups shut", "app web 47", "SG_HAS_NO_RULES"},
		{"group for anybody", "$ modify-network-interface-attribute --network-interface-id %web! --groups shut", "internet web udp/53", "SG_HAS_NO_RULES"},
		{"group by neighbour", "$ modify-network-interface-attribute --network-interface-id %web! --groups ssh", "app web tcp/443", "ENI_SG_RULES_MISMATCH"},
		{"group outbound", "$ modify-network-interface-attribute --network-interface-id %web! --groups ssh\n$ revoke-security-group-egress --group-id ssh --protocol -1 --cidr 0.0.0.0/0", "web server tcp/443", "SG_HAS_NO_RULES"},
		{"group reference", "$ modify-network-interface-attribute --network-interface-id %web! --groups from-b\n$ modify-network-interface-attribute --network-interface-id %web2! --groups b\n$ associate-address --allocation-id spare --instance-id web2", "web2 %web* tcp/80", "SG_REFERENCES_NOT_PRESERVED"},
		{"acl in", "acl public http\n$ create-network-acl-entry --network-acl-id http --egress --rule-number 7 --protocol -1 --cidr-block 0.0.0.0/0 --rule-action allow", "laptop web tcp/443", "SUBNET_ACL_RESTRICTION"},
		{"acl reply", "acl public http", "laptop web tcp/80", "SUBNET_ACL_RESTRICTION"},
		{"acl both", "acl public deny", "laptop web tcp/80", "SUBNET_ACL_RESTRICTION SUBNET_ACL_RESTRICTION"},
		{"acl icmp", "acl public deny", "laptop web icmp", "SUBNET_ACL_RESTRICTION SUBNET_ACL_RESTRICTION"},
		{"acl protocol", "acl public deny", "app web 47", "SUBNET_ACL_RESTRICTION SUBNET_ACL_RESTRICTION"},
		{"acl denies", "acl public http\n$ create-network-acl-entry --network-acl-id http --ingress --rule-number 1 --protocol tcp --port-range From=80,To=80 --cidr-block 198.51.100.0/24 --rule-action deny", "laptop web tcp/80", "SUBNET_ACL_RESTRICTION SUBNET_ACL_RESTRICTION"},
		{"acl around nat", "acl public deny", "app server tcp/80", "SUBNET_ACL_RESTRICTION SUBNET_ACL_RESTRICTION SUBNET_ACL_RESTRICTION SUBNET_ACL_RESTRICTION"},
		{"no route", "", "svc server tcp/80", "NO_ROUTE_TO_DESTINATION"},
		{"no route at all", "$ delete-nat-gateway --nat-gateway-id nat\n$ delete-route --route-table-id private --destination-cidr-block 0.0.0.0/0", "app server tcp/80", "NO_ROUTE_TO_DESTINATION IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"},
		{"no gateway", "$ delete-nat-gateway --nat-gateway-id nat\n$ disassociate-address --public-ip %web*\n$ detach-internet-gateway --internet-gateway-id igw --vpc-id main\n$ delete-route --route-table-id public --destination-cidr-block 0.0.0.0/0", "web server tcp/80", "NO_ROUTE_TO_DESTINATION IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"},
		{"detached gateway", "$ delete-nat-gateway --nat-gateway-id nat\n$ disassociate-address --public-ip %web*\n$ detach-internet-gateway --internet-gateway-id igw --vpc-id main", "web server tcp/80", "BAD_STATE_ROUTE IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"},
		{"deleted nat gateway", "$ delete-nat-gateway --nat-gateway-id nat", "app server tcp/80", "BAD_STATE_ROUTE"},
		{"terminated nat instance", "$ replace-route --route-table-id private --destination-cidr-block 0.0.0.0/0 --instance-id router\n$ terminate-instances --instance-ids router", "app server tcp/80", "BAD_STATE_ROUTE"},
		{"stopped nat instance", "$ replace-route --route-table-id private --destination-cidr-block 0.0.0.0/0 --instance-id router\n$ stop-instances --instance-ids router", "app server tcp/80", "BAD_STATE_ROUTE IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"},
		{"terminated firewall", "$ create-route --route-table-id private --destination-cidr-block 10.0.2.0/24 --instance-id router\n$ terminate-instances --instance-ids router", "app svc tcp/80", "BAD_STATE_ROUTE"},
		{"no public address", "", "web2 server tcp/80", "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"},
		{"no public address, none free", "$ release-address --allocation-id spare", "web2 server tcp/80", "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS"},
		{"check on", "$ create-route --route-table-id private --destination-cidr-block 10.0.2.0/24 --instance-id web", "app svc tcp/80", "ENI_SOURCE_DEST_CHECK_RESTRICTION"},
		{"behind an appliance", "$ create-route-table --vpc-id main --tag-specifications ResourceType=route-table,Tags=[{Key=Name,Value=edge}]\n$ create-route-table --vpc-id main --tag-specifications ResourceType=route-table,Tags=[{Key=Name,Value=inner}]\n" +
			"$ associate-route-table --route-table-id inner --subnet-id inner\n$ create-route --route-table-id inner --destination-cidr-block 0.0.0.0/0 --gateway-id igw\n" +
			"$ modify-instance-attribute --instance-id svc --no-source-dest-check\n$ create-route --route-table-id edge --destination-cidr-block 10.0.0.0/24 --network-interface-id %svc!\n$ associate-route-table --route-table-id edge --gateway-id igw",
			"laptop web tcp/80", "INGRESS_RTB_NO_PUBLIC_IP INGRESS_RTB_TRAFFIC_REDIRECTION"},
		{"stopped", "$ stop-instances --instance-ids web", "laptop web tcp/80", "BAD_STATE_ATTACHMENT"},
		{"nobody", "", "app 10.0.2.99 tcp/80", "NO_POSSIBLE_DESTINATION ENI_SG_RULES_MISMATCH"},
		{"private from outside", "", "laptop app tcp/80", "INTERNET_UNREACHABLE NGW_IDLE_TIMEOUT"},
		{"public in a private subnet, ping", "$ associate-address --allocation-id spare --instance-id app", "laptop app icmp", "NGW_NO_CONNECTION"},
		{"public in a private subnet, udp", "$ associate-address --allocation-id spare --instance-id app", "laptop app udp/53", "REPLY_ASTRAY"},
		{"private from outside, no route", "", "laptop web2 tcp/80", "INTERNET_UNREACHABLE"},
		{"no dns", "$ modify-vpc-attribute --vpc-id main --no-enable-dns-support", "svc 10.0.0.2 udp/53", "RESERVED_ADDRESS"},
		{"no dns, link-local", "$ modify-vpc-attribute --vpc-id main --no-enable-dns-support", "svc 169.254.169.253 udp/53", "LINK_LOCAL_ADDRESS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, site)
			l.Script(c.setup)
			reasons, last := l.follow(l.Expand(c.trace))
			if got := strings.Join(reasons, " "); got != c.reasons {
				t.Errorf("%s: %s, want %s", c.trace, got, c.reasons)
			}
			if !last.Reachable {
				t.Errorf("still not reachable:\n%s", Text(last))
			}
		})
	}
}

// A NAT gateway's address has 55,000 connections to one destination (NA-05).
// The commands are for the Region in which the packet ended, here two others than the lab's.
func TestAdviceNamesTheRegion(t *testing.T) {
	l := newLab(t, `
vpcs:
  east: {cidr_block: 10.0.0.0/16, region: us-east-1}
  west: {cidr_block: 10.0.0.0/16, region: eu-west-1}
subnets:
  east: {vpc: east, cidr_block: 10.0.0.0/24}
  west: {vpc: west, cidr_block: 10.0.0.0/24}
internet_gateways: {west: {vpc: west}}
elastic_ips: {b: {address: 203.0.113.50, instance: b}}
route_tables: {west: {vpc: west, subnets: [west], routes: [{cidr_block: 0.0.0.0/0, gateway: west}]}}
security_groups: {shut: {vpc: west, ingress: []}}
instances:
  a: {subnet: east}
  b: {subnet: west, security_groups: [shut]}
`)
	defer l.Close()
	tr, said := l.trace("a 203.0.113.50 tcp/80"), ""
	for !tr.Reachable && l.carryOut(tr) {
		said += strings.Join(tr.Advice, "\n")
		tr = l.trace("a 203.0.113.50 tcp/80")
	}
	for _, region := range []string{"us-east-1", "eu-west-1"} {
		if !strings.Contains(said, "--region "+region) {
			t.Errorf("nothing for %s: %s", region, said)
		}
	}
	if !tr.Reachable {
		t.Errorf("no end of advice:\n%s", Text(tr))
	}
}

func TestAdviceForExhaustedPorts_NA05(t *testing.T) {
	l := newLab(t, site)
	g, err := endpoint.Find(&l.Model, "nat")
	if err != nil {
		t.Fatal(err)
	}
	gateway := &nat.Gateway{Handle: g.Handle(), Addrs: []packet.Addr{packet.AddrFrom(g.Private)}, IdleTimeout: time.Hour}
	to := packet.Tuple{Src: pt.Addr("10.0.1.10"), Dst: pt.Addr("198.51.100.20"), DstPort: 80, Proto: packet.ProtoTCP}
	for n := 0; ; n++ {
		to.Src, to.SrcPort = packet.AddrFrom(netip.AddrFrom4([4]byte{10, 0, 1, byte(10 + n/50000)})), uint16(n%50000+1)
		m, refused := l.Nats.Propose(gateway, to, int64(time.Hour))
		if refused == nat.RefusedExhausted {
			break
		}
		if _, err := l.Nats.Commit(m, packet.FlagSYN, false, int64(time.Hour)); err != nil || refused != nat.RefusedNone {
			t.Fatalf("mapping %d: %v, %v", n, refused, err)
		}
	}
	reasons, last := l.follow("app server tcp/80 from=60000")
	if len(reasons) != 1 || reasons[0] != "NGW_ERROR_PORT_ALLOCATION" || !last.Reachable {
		t.Errorf("%v, then\n%s", reasons, Text(last))
	}
}
