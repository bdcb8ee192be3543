package e2e

import (
	"fmt"
	"strings"
	"testing"
)

const tapLab = `
version: 1
default_vpc: false
vpcs: {main: {cidr_block: 10.0.0.0/16}}
subnets:
  a: {vpc: main, cidr_block: 10.0.0.0/24}
  b: {vpc: main, cidr_block: 10.0.1.0/24}
instances:
  tap: {subnet: a, private_ip: 10.0.0.10, link_type: tap}
  tap2: {subnet: a, private_ip: 10.0.0.11, link_type: tap}
  tun: {subnet: a, private_ip: 10.0.0.12}
  far: {subnet: b, private_ip: 10.0.1.10}
`

// macOf is the MAC of an instance's primary interface, as the API tells it.
func (l *lab) macOf(name string) string {
	l.t.Helper()
	return get(l.t, l.instance(name), "NetworkInterfaces", 0, "MacAddress")
}

// Ethernet as AWS does it: the platform answers ARP itself (L2-02), and knows
// addresses from the API, not from what guests say.
func TestL202_EthernetAndARP(t *testing.T) {
	t.Parallel()
	l := up(t, tapLab)
	mac := map[string]string{}
	for _, name := range []string{"tap", "tap2", "tun"} {
		mac[name] = l.macOf(name)
	}
	if link := l.in("tap", "ip link show eth0"); !strings.Contains(link, "link/ether "+mac["tap"]) {
		t.Errorf("the API tells MAC %s, the guest has\n%s", mac["tap"], link)
	}
	for _, to := range []string{"10.0.0.11", "10.0.0.12", "10.0.1.10"} {
		l.in("tap", "ping -q -c 2 -i 0.05 -W 2 "+to)
	}
	for _, from := range []string{"tap2", "tun", "far"} {
		l.in(from, "ping -q -c 2 -i 0.05 -W 2 10.0.0.10")
	}
	// The router has a MAC of its own; a TUN instance has the one of its interface.
	neighbours := l.in("tap", "ip neigh")
	for addr, want := range map[string]string{"10.0.0.11": mac["tap2"], "10.0.0.12": mac["tun"]} {
		if !strings.Contains(neighbours, addr+" dev eth0 lladdr "+want) {
			t.Errorf("%s is not at %s:\n%s", addr, want, neighbours)
		}
	}
	if strings.Contains(neighbours, "10.0.1.10") || !strings.Contains(neighbours, "10.0.0.1 dev eth0 lladdr ") {
		t.Errorf("another subnet is reached through the router, not as a neighbour:\n%s", neighbours)
	}
	arping := func(args string) (string, int) {
		t.Helper()
		out, _, status := l.tryIn("tap", "busybox arping -c 1 -w 1 -I eth0 "+args)
		return out, status
	}
	for _, addr := range []string{"10.0.0.1", "10.0.0.12"} {
		if out, status := arping(addr); status != 0 || !strings.Contains(out, "reply from "+addr) {
			t.Errorf("arping %s:\n%s", addr, out)
		}
	}
	if out, status := arping("10.0.0.99"); status == 0 {
		t.Errorf("somebody answered for an address that nobody has:\n%s", out)
	}
	// Duplicate address detection finds an address that is taken, not one's own.
	if out, status := arping("-D 10.0.0.12"); status == 0 {
		t.Errorf("a taken address looks free:\n%s", out)
	}
	if out, status := arping("-D 10.0.0.10"); status != 0 {
		t.Errorf("the instance's own address looks taken:\n%s", out)
	}
	// Saying that one has an address changes nothing, and sending from it is stopped.
	l.in("tap2", "ip address add 10.0.0.12/32 dev eth0 && busybox arping -U -c 1 -w 1 -I eth0 10.0.0.12; true")
	l.in("tap", "ip neigh flush dev eth0; ping -q -c 1 -W 2 10.0.0.12")
	if neighbours := l.in("tap", "ip neigh show 10.0.0.12"); !strings.Contains(neighbours, mac["tun"]) {
		t.Errorf("10.0.0.12 moved by a gratuitous ARP: %s", neighbours)
	}
	if l.pings("tap2", "-I 10.0.0.12 10.0.0.10") {
		t.Error("an instance sent from an address of another")
	}
	l.dropped("ENI_SOURCE_DEST_CHECK_RESTRICTION", "10.0.0.12 > 10.0.0.10")

	// The MAC is the interface's for life (EN-01).
	l.cli("stop", "tap")
	l.cli("start", "tap")
	if link := l.in("tap", "ip link show eth0"); !strings.Contains(link, mac["tap"]) {
		t.Errorf("after stop and start the MAC is not %s:\n%s", mac["tap"], link)
	}
	l.in("tap", "ping -q -c 1 -W 2 10.0.1.10")
}

// The DHCP clients that people have, by hand, beside the instance's own.
func TestDH06_StockClientsGetTheReservation(t *testing.T) {
	t.Parallel()
	l := up(t, tapLab)
	script := "printf '#!/bin/sh\\nenv >>/tmp/seen\\n' >/tmp/script && chmod 755 /tmp/script && : >/tmp/seen && "
	for _, c := range []struct{ name, instance, command, want string }{
		{"udhcpc", "tap", "udhcpc -i eth0 -f -n -q -t 5 -T 1 -s /tmp/script",
			"ip=10.0.0.10 router=10.0.0.1 serverid=10.0.0.1 dns=10.0.0.2 hostname=ip-10-0-0-10 lease=3600 mask=24"},
		{"udhcpc over TUN", "tun", "udhcpc -i eth0 -f -n -q -t 5 -T 1 -s /tmp/script",
			"ip=10.0.0.12 router=10.0.0.1 serverid=10.0.0.1 dns=10.0.0.2 hostname=ip-10-0-0-12 lease=3600 mask=24"},
		{"dhclient", "tap", "dhclient -4 -1 -sf /tmp/script -lf /tmp/leases -pf /tmp/dhclient.pid eth0",
			"new_ip_address=10.0.0.10 new_routers=10.0.0.1 new_dhcp_server_identifier=10.0.0.1 new_domain_name_servers=10.0.0.2 new_host_name=ip-10-0-0-10 new_dhcp_lease_time=3600 new_interface_mtu=9001"},
		// Another client identifier than dhclient's (RFC 4361), an address of its own choice.
		{"dhcpcd", "tap2", "dhcpcd -4 -1 -B -r 10.0.0.77 --script /tmp/script eth0",
			"new_ip_address=10.0.0.11 new_routers=10.0.0.1 new_dhcp_server_identifier=10.0.0.1 new_domain_name_servers=10.0.0.2 new_host_name=ip-10-0-0-11 new_dhcp_lease_time=3600 new_interface_mtu=9001"},
	} {
		if _, errs, status := l.tryIn(c.instance, script+"timeout 30 "+c.command); status != 0 {
			t.Errorf("%s: exit status %d\n%s", c.name, status, errs)
		}
		seen := "\n" + l.in(c.instance, "cat /tmp/seen")
		for _, want := range strings.Fields(c.want) {
			if !strings.Contains(seen, "\n"+want+"\n") {
				t.Errorf("%s does not tell %s:\n%s", c.name, want, seen)
			}
		}
		l.in(c.instance, "ping -q -c 1 -W 2 10.0.1.10")
	}
	if addrs := l.in("tap2", "ip -4 -o address show eth0"); !strings.Contains(addrs, "10.0.0.11/24") || strings.Contains(addrs, "10.0.0.77") {
		t.Errorf("dhcpcd configured\n%s", addrs)
	}
}

const boxLab = `
version: 1
default_vpc: false
vpcs: {main: {cidr_block: 10.0.0.0/16}}
subnets:
  a: {vpc: main, cidr_block: 10.0.0.0/24}
  b: {vpc: main, cidr_block: 10.0.1.0/24}
  middle: {vpc: main, cidr_block: 10.0.2.0/24}
route_tables:
  a: {vpc: main, subnets: [a], routes: [{cidr_block: 10.0.1.0/24, instance: box}]}
  b: {vpc: main, subnets: [b], routes: [{cidr_block: 10.0.0.0/24, instance: box}]}
security_groups:
  all: {vpc: main, ingress: [{protocol: all, cidr_blocks: [10.0.0.0/16]}]}
instances:
  one: {subnet: a, private_ip: 10.0.0.10, security_groups: [all]}
  two: {subnet: b, private_ip: 10.0.1.10, security_groups: [all]}
  box:
    subnet: middle
    private_ip: 10.0.2.10
    security_groups: [all]
    source_dest_check: false
    user_data: |
      #!/bin/sh
      sysctl -q -w net.ipv4.ip_forward=1
`

// A middlebox between two subnets (RT-05, RT-16): vector 19 both ways, and 18.
func TestPL02_MiddleboxForwards(t *testing.T) {
	t.Parallel()
	l := up(t, boxLab)
	eventually(t, "box forwards", func() error {
		_, errs, status := l.tryIn("box", "grep -x 1 /proc/sys/net/ipv4/ip_forward")
		if status != 0 {
			return fmt.Errorf("not yet: %s", errs)
		}
		return nil
	})
	through := func() string {
		return l.in("box", "awk '/^Ip:/ {n=$7} END {print n}' /proc/net/snmp")
	}
	before := through()
	l.in("one", "ping -q -c 2 -i 0.05 -W 2 10.0.1.10")
	if after := through(); after == before {
		t.Errorf("the box forwarded nothing: %s packets before, %s after", before, after)
	}
	if out := l.in("one", "traceroute -n -q 1 10.0.1.10"); !strings.Contains(out, " 1  10.0.2.10 ") {
		t.Errorf("the box is not the first hop:\n%s", out)
	}
	l.serve("two", "TCP-LISTEN:8000,fork", "PIPE")
	talk := l.open("one", "socat - TCP:10.0.1.10:8000")
	if !talk.echoes() {
		t.Fatal("no connection through the box")
	}
	// With the check on, what is not for the box itself does not reach it.
	l.ec2("modify-instance-attribute --instance-id box --source-dest-check Value=true")
	l.blocked("one", "10.0.1.10", 8000, "ENI_SOURCE_DEST_CHECK_RESTRICTION")
	if !talk.cut() {
		t.Error("an open connection went on through a box that checks")
	}
	// Nor may it send what is not from itself.
	l.in("box", "ip address add 10.9.9.9/32 dev eth0")
	if l.pings("box", "-I 10.9.9.9 10.0.0.10") {
		t.Error("the box was answered at an address that it does not have")
	}
	l.dropped("ENI_SOURCE_DEST_CHECK_RESTRICTION", "10.9.9.9 > 10.0.0.10")
	l.in("box", "ping -q -c 1 -W 2 10.0.0.10") // as itself it may
	l.ec2("modify-instance-attribute --instance-id box --no-source-dest-check")
	if !talk.echoes() {
		t.Error("the connection did not go on without the check")
	}
	l.opens("one", "10.0.1.10", 8000)

	// Vector 18: behind a middlebox the sender's group is unknown (SG-09).
	l.ec2("revoke-security-group-ingress --group-id all --protocol -1 --cidr 10.0.0.0/16")
	l.ec2("authorize-security-group-ingress --group-id all --protocol -1 --source-group all")
	l.blocked("one", "10.0.1.10", 8000, "SG_REFERENCES_NOT_PRESERVED")
	l.in("one", "ping -q -c 1 -W 2 10.0.2.10") // the box itself is a member, met directly
}
