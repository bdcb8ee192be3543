package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// session is a connection held open in the background; what is typed into it
// comes back, as long as packets pass both ways.
type session struct {
	t     *testing.T
	in    io.Writer
	lines chan string
	typed int
}

// open starts a program in an instance that echoes the lines it is given, such
// as `ssh … cat`.
func (l *lab) open(instance, script string) *session {
	l.t.Helper()
	return l.session(l.command("exec", instance, "--", "sh", "-c", "exec "+script))
}

// session starts a program that echoes lines.
func (l *lab) session(cmd *exec.Cmd) *session {
	l.t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	s := &session{t: l.t, in: in, lines: make(chan string, 100)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(s.lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			s.lines <- scan.Text()
		}
	}()
	l.t.Cleanup(func() { _ = cmd.Process.Kill(); <-read; _ = cmd.Wait() })
	return s
}

// ssh opens a session of the real ssh to an address.
func (l *lab) ssh(from, addr string) *session {
	l.t.Helper()
	return l.open(from, "ssh -o StrictHostKeyChecking=accept-new -o LogLevel=ERROR ec2-user@"+addr+" cat")
}

// echoes types a line and tells whether it comes back.
func (s *session) echoes() bool { return s.echoesWithin(10 * time.Second) }

// cut types a line and tells whether it stays away. A retransmission after 200 ms
// and one after 400 ms fall into the wait.
func (s *session) cut() bool { return !s.echoesWithin(time.Second) }

func (s *session) echoesWithin(d time.Duration) bool {
	s.typed++
	line := fmt.Sprintf("line %d", s.typed)
	if _, err := fmt.Fprintln(s.in, line); err != nil {
		return false
	}
	deadline := time.After(d)
	for {
		select {
		case got, ok := <-s.lines:
			if !ok {
				return false
			}
			if got == line {
				return true
			}
		case <-deadline:
			return false
		}
	}
}

// filterLab has a public subnet with two instances, a private one with one, and
// hosts on the Internet. Its groups are named like their members.
const filterLab = `
version: 1
default_vpc: false
vpcs: {main: {cidr_block: 10.0.0.0/16}}
subnets:
  public: {vpc: main, cidr_block: 10.0.0.0/24, map_public_ip_on_launch: true}
  private: {vpc: main, cidr_block: 10.0.1.0/24}
internet_gateways: {igw: {vpc: main}}
elastic_ips: {nat: {}}
nat_gateways: {nat: {subnet: public, elastic_ip: nat}}
route_tables:
  public: {vpc: main, subnets: [public], routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}
  private: {vpc: main, subnets: [private], routes: [{cidr_block: 0.0.0.0/0, nat_gateway: nat}]}
network_acls:
  public:
    vpc: main
    subnets: [public]
    ingress: [{rule_no: 100, action: allow, protocol: all, cidr_block: 0.0.0.0/0}]
    egress: [{rule_no: 100, action: allow, protocol: all, cidr_block: 0.0.0.0/0}]
security_groups:
  web: {vpc: main, egress: []}
  peer: {vpc: main}
  app: {vpc: main}
key_pairs: {me: {}}
instances:
  web: {subnet: public, private_ip: 10.0.0.10, security_groups: [web], key_name: me}
  peer: {subnet: public, private_ip: 10.0.0.11, security_groups: [peer], key_name: me}
  app: {subnet: private, private_ip: 10.0.1.10, security_groups: [app], key_name: me}
internet_hosts:
  laptop: {address: 198.51.100.10, key_names: [me]}
  other: {address: 198.51.100.66, key_names: [me]}
`

const laptop = "198.51.100.10"

func TestB15_SecurityGroupIsStateful(t *testing.T) {
	t.Parallel()
	l := up(t, filterLab)
	web := l.publicOf("web")
	l.blocked("laptop", web, 22, "SG_HAS_NO_RULES")
	// One rule inward, none outward: the answers leave all the same.
	l.ec2("authorize-security-group-ingress --group-id web --protocol tcp --port 22 --cidr " + laptop + "/32")
	s := l.ssh("laptop", web)
	if !s.echoes() {
		t.Fatal("no ssh session with TCP 22 allowed inward")
	}
	l.blocked("web", laptop, 22, "SG_HAS_NO_RULES") // nothing that web begins leaves
	l.blocked("other", web, 22, "ENI_SG_RULES_MISMATCH")
	// The other way round: one rule outward, none inward.
	l.serve("laptop", "TCP-LISTEN:8000,fork", "PIPE")
	l.ec2("revoke-security-group-ingress --group-id web --protocol tcp --port 22 --cidr " + laptop + "/32")
	l.ec2("authorize-security-group-egress --group-id web --protocol tcp --port 8000 --cidr " + laptop + "/32")
	if out := l.open("web", "socat - TCP:"+laptop+":8000"); !out.echoes() {
		t.Error("no answer to a connection outward without an ingress rule")
	}
}

func TestB16_NetworkACLIsStateless(t *testing.T) {
	t.Parallel()
	l := up(t, filterLab)
	web := l.publicOf("web")
	l.ec2("authorize-security-group-ingress --group-id web --protocol tcp --port 22 --cidr 0.0.0.0/0")
	ssh := func() { t.Helper(); l.opens("laptop", web, 22) }
	noSSH := func() { t.Helper(); l.blocked("laptop", web, 22, "SUBNET_ACL_RESTRICTION") }
	entry := func(dir string, number int, action, ports string) {
		t.Helper()
		l.ec2(fmt.Sprintf("create-network-acl-entry --network-acl-id public %s --rule-number %d --protocol 6 --port-range %s --cidr-block 0.0.0.0/0 --rule-action %s", dir, number, ports, action))
	}
	remove := func(dir string, number int) {
		t.Helper()
		l.ec2(fmt.Sprintf("delete-network-acl-entry --network-acl-id public %s --rule-number %d", dir, number))
	}
	// 22 inward alone: the connection request arrives, its answer does not leave.
	remove("--ingress", 100)
	remove("--egress", 100)
	noSSH()
	entry("--ingress", 100, "allow", "From=22,To=22")
	noSSH()
	l.dropped("SUBNET_ACL_RESTRICTION", "10.0.0.10:22 > "+laptop)
	entry("--egress", 100, "allow", "From=1024,To=65535")
	ssh()
	// The lowest number that matches decides, whatever comes after.
	entry("--ingress", 90, "deny", "From=22,To=22")
	noSSH()
	entry("--ingress", 80, "allow", "From=0,To=1023")
	ssh()
	remove("--ingress", 90)
	remove("--ingress", 80)
	remove("--ingress", 100)
	noSSH()
	entry("--ingress", 32766, "allow", "From=22,To=22")
	ssh()
	// What no rule names meets the last rule, which denies and cannot be removed.
	if l.pings("laptop", web) {
		t.Error("ping passed an ACL that allows TCP 22 only")
	}
	l.dropped("SUBNET_ACL_RESTRICTION", "icmp", laptop)
	l.ec2Fails("InvalidParameterValue", "delete-network-acl-entry --network-acl-id public --ingress --rule-number 32767")
}

func TestB17_GroupsNameGroups(t *testing.T) {
	t.Parallel()
	l := up(t, filterLab)
	web := l.publicOf("web")
	l.ec2("authorize-security-group-egress --group-id web --protocol -1 --cidr 0.0.0.0/0")
	open := func(from, to string) { t.Helper(); l.opens(from, to, 22) }
	shut := func(from, to, reason string) { t.Helper(); l.blocked(from, to, 22, reason) }
	const none, mismatch = "SG_HAS_NO_RULES", "ENI_SG_RULES_MISMATCH"
	shut("peer", "10.0.0.10", none)
	l.ec2("authorize-security-group-ingress --group-id web --protocol tcp --port 22 --source-group peer")
	open("peer", "10.0.0.10")
	shut("app", "10.0.0.10", mismatch)
	shut("peer", web, "SG_REFERENCES_NOT_PRESERVED") // vector 17: only private addresses match (SG-08)
	shut("app", "10.0.0.11", none)                   // no rule is inherited from the group named
	// Membership counts at once, also from another subnet.
	l.ec2("modify-instance-attribute --instance-id app --groups app peer")
	open("app", "10.0.0.10")
	l.ec2("modify-instance-attribute --instance-id app --groups app")
	shut("app", "10.0.0.10", mismatch)

	// Itself as the source: members reach one another, others do not.
	l.ec2("authorize-security-group-ingress --group-id app --protocol -1 --source-group app")
	shut("peer", "10.0.1.10", mismatch)
	l.ec2("modify-instance-attribute --instance-id peer --groups app")
	open("peer", "10.0.1.10")
	open("app", "10.0.0.11")
	l.in("app", "ping -c 1 -W 2 10.0.0.11")

	// A group as the destination, in an egress rule.
	l.ec2("revoke-security-group-egress --group-id app --protocol -1 --cidr 0.0.0.0/0")
	l.ec2("authorize-security-group-ingress --group-id web --protocol tcp --port 22 --cidr 10.0.0.0/16")
	shut("app", "10.0.0.10", none)
	l.ec2("authorize-security-group-egress --group-id app --ip-permissions IpProtocol=tcp,FromPort=22,ToPort=22,UserIdGroupPairs=[{GroupId=web}]")
	open("app", "10.0.0.10")
	shut("app", "10.0.0.11", mismatch)
	shut("app", laptop, mismatch)
	l.ec2("authorize-security-group-egress --group-id app --ip-permissions IpProtocol=tcp,FromPort=22,ToPort=22,UserIdGroupPairs=[{GroupId=app}]")
	open("app", "10.0.0.11")                                                   // itself as the destination
	l.ec2Fails("DependencyViolation", "delete-security-group --group-id peer") // SG-10: web's rule names it
}

func TestB18_ACLGuardsSubnetGroupGuardsInterface(t *testing.T) {
	t.Parallel()
	l := up(t, filterLab)
	for _, g := range []string{"web", "peer", "app"} {
		l.ec2("authorize-security-group-ingress --group-id " + g + " --protocol -1 --cidr 10.0.0.0/16")
	}
	l.ec2("authorize-security-group-egress --group-id web --protocol -1 --cidr 0.0.0.0/0")
	if !l.pings("web", "10.0.0.11") || !l.pings("web", "10.0.1.10") {
		t.Fatal("no ping with everything allowed")
	}
	// Vectors 1 and 2: an ACL that denies everything, and the groups allow it.
	l.ec2("delete-network-acl-entry --network-acl-id public --ingress --rule-number 100")
	l.ec2("delete-network-acl-entry --network-acl-id public --egress --rule-number 100")
	if !l.pings("web", "10.0.0.11") || !l.reaches("peer", "10.0.0.10", 22, 20) {
		t.Error("the ACL was asked about traffic within the subnet")
	}
	if l.pings("web", "10.0.1.10") || l.pings("app", "10.0.0.10") {
		t.Error("the ACL was not asked about traffic across the subnet's boundary")
	}
	l.dropped("SUBNET_ACL_RESTRICTION", "10.0.0.10 > 10.0.1.10")
	l.dropped("SUBNET_ACL_RESTRICTION", "10.0.1.10 > 10.0.0.10")
	// The group is asked within the subnet, at both ends.
	l.ec2("revoke-security-group-ingress --group-id peer --protocol -1 --cidr 10.0.0.0/16")
	l.blocked("web", "10.0.0.11", 22, "SG_HAS_NO_RULES")
	l.ec2("authorize-security-group-ingress --group-id peer --protocol -1 --cidr 10.0.0.0/16")
	l.ec2("revoke-security-group-egress --group-id web --protocol -1 --cidr 0.0.0.0/0")
	l.blocked("web", "10.0.0.11", 22, "SG_HAS_NO_RULES")
}

func TestB19_ACLForAddressesGroupForPorts(t *testing.T) {
	t.Parallel()
	l := up(t, embedded(t, "acl-and-groups"))
	web := l.publicOf("web")
	l.waitPort("web", "tcp", 80)
	l.waitPort("web", "tcp", 8080)
	if got := l.in("friend", "curl -sS -m 5 http://"+web+"/"); got != "hello\n" {
		t.Errorf("a friend gets %q", got)
	}
	l.blocked("friend", web, 8080, "ENI_SG_RULES_MISMATCH")
	l.blocked("stranger", web, 80, "SUBNET_ACL_RESTRICTION")
	// Each can be changed without touching the other.
	l.ec2("authorize-security-group-ingress --group-id web --protocol tcp --port 8080 --cidr 0.0.0.0/0")
	l.opens("friend", web, 8080)
	l.blocked("stranger", web, 8080, "SUBNET_ACL_RESTRICTION")
	l.ec2("delete-network-acl-entry --network-acl-id public --ingress --rule-number 50")
	l.opens("stranger", web, 80)
}

// A change of rules and what it does to open connections: vectors 3, 4 and 5.
func TestCT05_RuleChangesMeetOpenConnections(t *testing.T) {
	t.Parallel()
	l := up(t, filterLab)
	web, peer := l.publicOf("web"), l.publicOf("peer")
	t.Run("TrackedGoesOn", func(t *testing.T) { // vector 3
		rule := "--group-id web --protocol tcp --port 22 --cidr " + laptop + "/32"
		l.ec2("authorize-security-group-ingress " + rule)
		s := l.ssh("laptop", web)
		if !s.echoes() {
			t.Fatal("no ssh")
		}
		l.ec2("revoke-security-group-ingress " + rule)
		l.blocked("laptop", web, 22, "SG_HAS_NO_RULES") // the very next new connection
		if !s.echoes() {
			t.Error("a tracked connection was cut")
		}
		l.ec2("authorize-security-group-ingress " + rule)
		l.opens("laptop", web, 22)
	})
	t.Run("UntrackedIsCut", func(t *testing.T) { // vector 4; peer's group lets everything out
		rule := "--group-id peer --protocol tcp --port 22 --cidr 0.0.0.0/0"
		l.ec2("authorize-security-group-ingress " + rule)
		s := l.ssh("laptop", peer)
		if !s.echoes() {
			t.Fatal("no ssh")
		}
		l.ec2("revoke-security-group-ingress " + rule)
		if !s.cut() {
			t.Error("an untracked connection went on after its rule was removed")
		}
		l.dropped("SG_HAS_NO_RULES", laptop, peer+":22")
		// No state was there to lose: the rule's return revives the connection.
		l.ec2("authorize-security-group-ingress " + rule)
		if !s.echoes() {
			t.Error("the connection did not go on when the rule came back")
		}
	})
	t.Run("BehindNATGatewayIsTracked", func(t *testing.T) { // vector 5, CT-06
		l.serve("laptop", "TCP-LISTEN:8000,fork", "PIPE")
		out := "--protocol -1 --cidr 0.0.0.0/0"
		in := "--protocol tcp --port 0-65535 --cidr 0.0.0.0/0"
		for _, g := range []string{"app", "peer"} {
			l.ec2("authorize-security-group-ingress --group-id " + g + " " + in)
		}
		behind, direct := l.open("app", "socat - TCP:"+laptop+":8000"), l.open("peer", "socat - TCP:"+laptop+":8000")
		if !behind.echoes() || !direct.echoes() {
			t.Fatal("no connection outward")
		}
		for _, g := range []string{"app", "peer"} {
			l.ec2("revoke-security-group-egress --group-id " + g + " " + out)
		}
		if !behind.echoes() {
			t.Error("a connection through the NAT gateway was cut: it is tracked whatever its rules")
		}
		if !direct.cut() {
			t.Error("the same through the Internet gateway is untracked, and went on")
		}
		l.blocked("app", laptop, 8000, "SG_HAS_NO_RULES")
	})
}

// A network ACL remembers nothing: a new rule cuts what is open.
func TestCT08_ACLCutsTrackedConnections(t *testing.T) {
	t.Parallel()
	l := up(t, filterLab)
	web := l.publicOf("web")
	l.ec2("authorize-security-group-ingress --group-id web --protocol tcp --port 22 --cidr " + laptop + "/32")
	s := l.ssh("laptop", web)
	if !s.echoes() {
		t.Fatal("no ssh")
	}
	for _, dir := range []string{"--ingress", "--egress"} {
		l.ec2("create-network-acl-entry --network-acl-id public " + dir + " --rule-number 50 --protocol -1 --cidr-block " + laptop + "/32 --rule-action deny")
		if !s.cut() {
			t.Errorf("%s: the connection went on though the ACL denies it", dir)
		}
		l.ec2("delete-network-acl-entry --network-acl-id public " + dir + " --rule-number 50")
		if !s.echoes() {
			t.Errorf("%s: the connection did not go on when the rule was gone", dir)
		}
	}
	if out := l.cli("drops"); !strings.Contains(out, "SUBNET_ACL_RESTRICTION") {
		t.Errorf("the drops do not name the ACL:\n%s", out)
	}
}
