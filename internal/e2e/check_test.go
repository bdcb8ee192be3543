package e2e

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkLab is web and db, a bastion's NAT instance for db's subnet, and somebody outside.
const checkLab = `
version: 1
name: checks
default_vpc: false
vpcs: {main: {cidr_block: 10.0.0.0/16}}
subnets:
  public: {vpc: main, cidr_block: 10.0.0.0/24, map_public_ip_on_launch: true}
  private: {vpc: main, cidr_block: 10.0.1.0/24}
internet_gateways: {igw: {vpc: main}}
route_tables:
  public: {vpc: main, subnets: [public], routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}
  private: {vpc: main, subnets: [private], routes: [{cidr_block: 0.0.0.0/0, instance: box}]}
security_groups:
  web: {vpc: main, ingress: [{port: 80, cidr_blocks: [0.0.0.0/0]}, {protocol: udp, port: 53, cidr_blocks: [0.0.0.0/0]}]}
  box: {vpc: main, ingress: [{protocol: all, cidr_blocks: [10.0.0.0/16]}]}
instances:
  web: {subnet: public, security_groups: [default, web]}
  db: {subnet: private, security_groups: [default]}
  box: {subnet: public, security_groups: [box], source_dest_check: false}
internet_hosts: {laptop: {}}
checks:
  - laptop reaches web on tcp 80
  - laptop reaches web on udp 53
  - web reaches db on icmp
  - db reaches web on tcp 9000
  - laptop does not reach web on tcp 22, because ENI_SG_RULES_MISMATCH
  - laptop does not reach 10.0.1.77 on icmp
  - web reaches internet on tcp 443
`

// check runs the checks and wants an exit status; the output has to contain all of want.
func (l *lab) check(status int, want []string, args ...string) string {
	l.t.Helper()
	out, errs, is := l.try("", append([]string{"check"}, args...)...)
	if is != status {
		l.t.Errorf("check %v: exit status %d, want %d\n%s%s", args, is, status, out, errs)
	}
	for _, w := range want {
		// Text is wrapped, anywhere.
		if !strings.Contains(out+errs, w) && !strings.Contains(strings.Join(strings.Fields(out+errs), " "), w) {
			l.t.Errorf("check %v: no %q in\n%s%s", args, w, out, errs)
		}
	}
	return out
}

// checksAre puts other checks into the lab's file; what the lab is stays.
func (l *lab) checksAre(lines ...string) {
	l.t.Helper()
	head, _, _ := strings.Cut(checkLab, "checks:\n")
	l.write(head + "checks:\n  - " + strings.Join(lines, "\n  - ") + "\n")
}

func TestCheck(t *testing.T) {
	t.Parallel()
	l := up(t, checkLab)
	l.check(0, []string{"ok   laptop reaches web on tcp 80\n", "(by the trace alone)", "7 checks, all pass"}, l.file)
	// The lab remembers them.
	l.check(0, []string{"7 checks, all pass"})
	l.check(0, []string{"2 checks, all pass"}, "--only", "does not")
	l.check(2, []string{`no check is called "nothing"`, "web reaches db on icmp"}, "--only", "nothing")

	// One that must fail does, and shows why.
	l.checksAre("laptop reaches web on tcp 22", "laptop does not reach web on tcp 80", "{name: shop, from: web, to: db, protocol: icmp, reaches: false, because: NO_ROUTE_TO_DESTINATION}",
		"laptop does not reach web on tcp 22, because SUBNET_ACL_RESTRICTION", "web reaches laptop on icmp, seen as 203.0.113.200, by way of box", "web reaches db on icmp")
	l.check(1, []string{"FAIL laptop reaches web on tcp 22\n", "ENI_SG_RULES_MISMATCH", "Forward:", "authorize-security-group-ingress",
		"FAIL laptop does not reach web on tcp 80\n    it does reach web", "FAIL shop\n    web does not reach db on icmp, because NO_ROUTE", "not because of SUBNET_ACL_RESTRICTION: it is dropped by web",
		"not as 203.0.113.200", "it does not go by way of box, but by way of igw", "ok   web reaches db on icmp\n", "6 checks: 1 pass, 5 fail"}, l.file)
	var report struct {
		Failed, Passed, Bugs int
		Results              []struct {
			Title   string
			Pass    bool
			Trace   map[string]any
			Packets map[string]any
		}
	}
	if err := json.Unmarshal([]byte(l.check(1, nil, l.file, "-o", "json")), &report); err != nil || report.Failed != 5 || report.Passed != 1 || report.Bugs != 0 || len(report.Results) != 6 ||
		report.Results[0].Packets["Reason"] != "ENI_SG_RULES_MISMATCH" || report.Results[0].Trace["Reason"] != "ENI_SG_RULES_MISMATCH" {
		t.Errorf("%v, %+v", err, report)
	}
	var junit struct {
		Suite struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(l.check(1, nil, l.file, "-o", "junit")), &junit); err != nil || junit.Suite.Tests != 6 || junit.Suite.Failures != 5 {
		t.Errorf("%v, %+v", err, junit)
	}
	l.check(1, []string{"TAP version 14\n1..6\nnot ok 1 - laptop reaches web on tcp 22\n  ---\n", "\nok 6 - web reaches db on icmp\n"}, l.file, "-o", "tap")
}

func TestCheckServiceThatStartsLate(t *testing.T) {
	t.Parallel()
	l := up(t, checkLab)
	l.checksAre("web connects to db on tcp 3306, within 60 s")
	l.start("db", "sleep 3; exec socat TCP-LISTEN:3306,fork PIPE")
	l.check(0, []string{"1 check passes"}, l.file)
	l.checksAre("web connects to db on tcp 3307", "web reaches db on tcp 3307")
	l.check(1, []string{"no program listens on tcp 3307 at db: the connection was refused", "1 pass, 1 fail"}, l.file, "--limit", "1s")
}

// TestCheckOutsideTheNetwork: what instances do themselves is no fault of the network.
func TestCheckOutsideTheNetwork(t *testing.T) {
	t.Parallel()
	l := up(t, checkLab)
	// A firewall in the receiver: trace and packets differ, and that is no bug.
	const firewall = "nft add table ip own && nft add chain ip own %[1]s '{ type filter hook %[1]s priority 0; }' && nft add rule ip own %[1]s ip %[2]s %[3]s drop"
	l.in("db", fmt.Sprintf(firewall, "input", "saddr", l.privateOf("web")))
	l.checksAre("web reaches db on tcp 5000", "web reaches db on udp 5000", "web does not reach db on icmp", "db reaches web on udp 53")
	out := l.check(1, []string{"0 pass, 4 fail", "the network delivered it to web, and the answer back to db, where no program got it"}, l.file, "--limit", "2s")
	if strings.Count(strings.Join(strings.Fields(out), " "), "the network delivered it to db, and db did not answer: not a matter of the network") != 3 || strings.Contains(out, "bug") {
		t.Errorf("%s", out)
	}
	l.in("db", "nft flush ruleset")
	// One in the sender.
	l.in("web", fmt.Sprintf(firewall, "output", "daddr", l.privateOf("db")))
	l.check(1, []string{"FAIL web reaches db on udp 5000", "operation not permitted", "it never came into the network", "firewall of web itself"}, l.file, "--limit", "2s")
	l.in("web", "nft flush ruleset")
	// No route.
	l.in("web", "ip route del default")
	l.checksAre("web reaches laptop on icmp", "web reaches db on icmp")
	l.check(1, []string{"network is unreachable"}, l.file)
}

func TestCheckInstanceThatIsStopped(t *testing.T) {
	t.Parallel()
	l := up(t, checkLab)
	l.cli("stop", "db")
	l.check(2, []string{"differs from the file", "start   instance db", "vpcemu up " + l.file}, l.file)
	l.check(1, []string{"FAIL web reaches db on icmp", "BAD_STATE_ATTACHMENT", "FAIL db reaches web on tcp 9000", "db is stopped", "vpcemu start db", "5 pass, 2 fail"})
	l.cli("start", "db")
	l.check(0, []string{"all pass"}, l.file)
}

// TestCheckNATInstance: what an appliance does with packets is seen, not taken for granted.
func TestCheckNATInstance(t *testing.T) {
	t.Parallel()
	l := up(t, checkLab)
	l.checksAre("db reaches laptop on tcp 80, seen as the public address of box, by way of box", "db reaches laptop on icmp, by way of box and igw", "db reaches laptop on udp 53")
	out := l.check(1, []string{"3 fail"}, l.file, "--limit", "1s")
	if strings.Contains(out, "bug") || !strings.Contains(strings.Join(strings.Fields(out), " "), "it was not passed on") {
		t.Errorf("an appliance that forwards nothing:\n%s", out)
	}
	l.in("box", "echo 1 > /proc/sys/net/ipv4/ip_forward && nft add table ip own && nft add chain ip own out '{ type nat hook postrouting priority 100; }' && nft add rule ip own out ip saddr 10.0.1.0/24 masquerade")
	l.check(0, []string{"3 checks, all pass"}, l.file)
}

func TestCheckBringsUpAndTakesDown(t *testing.T) {
	t.Parallel()
	l := newLab(t, checkLab)
	l.check(2, []string{"is not up: vpcemu up " + l.file}, l.file)
	l.check(2, []string{"there is no lab"})
	l.check(0, []string{"7 checks, all pass"}, l.file, "--up")
	if found, err := os.Stat(filepath.Join(os.Getenv("VPCEMU_STATE_DIR"), l.name)); err == nil {
		t.Errorf("the lab is still there: %v", found)
	}
	// One that was there stays, and is put right.
	l.cli("up", l.file)
	l.cli("stop", "web")
	l.check(0, []string{"7 checks, all pass"}, l.file, "--up")
	equal(t, "plan", l.cli("plan", l.file), "nothing to change\n")

	for _, wrong := range [][]string{{"--up"}, {l.file, "-o", "yaml"}, {l.file, "--limit", "-1s"}, {"no-such-file.yaml"}, {"a", "b"}} {
		l.check(2, nil, wrong...)
	}
	l.checksAre("laptop raeches web on tcp 80")
	l.check(2, []string{"lab.yaml:", "checks[0]: `reaches`, `does not reach` or `connects to` is wanted"}, l.file)
	l.write(strings.Split(checkLab, "checks:\n")[0])
	l.check(2, []string{"has no checks"}, l.file)
	l.cli("up", l.file)
	l.check(2, []string{"there are no checks"})
}

// TestCheckMany: fifty at once, from and to the same few machines and ports.
func TestCheckMany(t *testing.T) {
	t.Parallel()
	l := up(t, checkLab)
	var lines []string
	for i := range 10 {
		lines = append(lines, "laptop reaches web on udp 53", "laptop reaches web on tcp 80", "web reaches db on icmp",
			fmt.Sprintf("db reaches web on tcp %d", 1000+i), "laptop does not reach web on tcp 22, because ENI_SG_RULES_MISMATCH")
	}
	l.checksAre(lines...)
	l.check(0, []string{"50 checks, all pass"}, l.file)
}

// TestCheckKindsOfEnds: links that carry Ethernet, further interfaces, addresses, the
// resolver, and addresses that nobody has.
func TestCheckKindsOfEnds(t *testing.T) {
	t.Parallel()
	const ends = `
version: 1
default_vpc: false
name: ends
vpcs: {main: {cidr_block: 10.0.0.0/16}}
subnets:
  public: {vpc: main, cidr_block: 10.0.0.0/24, map_public_ip_on_launch: true}
  other: {vpc: main, cidr_block: 10.0.1.0/24}
internet_gateways: {igw: {vpc: main}}
route_tables:
  public: {vpc: main, subnets: [public, other], routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}
elastic_ips: {site: {network_interface: second}, loose: {}}
network_interfaces:
  second: {subnet: other, attachment: {instance: web}, security_groups: [all]}
security_groups:
  all: {vpc: main, ingress: [{protocol: all, cidr_blocks: [0.0.0.0/0]}]}
instances:
  web: {subnet: public, security_groups: [all], link_type: LINK}
  db: {subnet: public, security_groups: [all], link_type: LINK}
internet_hosts: {laptop: {link_type: LINK}}
checks:
  - laptop reaches web on tcp 80
  - web reaches db on udp 53
  - db reaches web on icmp
  - second reaches laptop on tcp 80, seen as site
  - second reaches laptop on udp 80, seen as the Elastic IP of second
  - laptop reaches second on udp 80
  - laptop reaches the Elastic IP site on icmp
  - db reaches second on tcp 5
  - the private address of web reaches laptop on icmp, by way of igw
  - db reaches the public address of web on tcp 80, by way of igw
  - db reaches 10.0.0.2 on udp 53
  - db connects to 10.0.0.2 on tcp 53
  - db does not reach 10.0.0.2 on tcp 80
  - laptop does not reach the Elastic IP loose on tcp 80
  - laptop does not reach the private address of db on tcp 80, because INTERNET_UNREACHABLE
  - db does not reach 10.0.0.77 on icmp, because NO_POSSIBLE_DESTINATION
  - db does not reach 8.8.8.8 on udp 53, because INTERNET_UNREACHABLE
  - 8.8.8.8 reaches web on tcp 80
`
	for _, link := range []string{"tun", "tap"} {
		t.Run(link, func(t *testing.T) {
			t.Parallel()
			l := up(t, strings.ReplaceAll(ends, "LINK", link))
			l.check(0, []string{"18 checks, all pass"}, l.file)
		})
	}
}
