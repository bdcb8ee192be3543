package e2e

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/topologies"
)

// embedded is the text of a topology that comes with vpcemu.
func embedded(t *testing.T, name string) string {
	t.Helper()
	text, err := topologies.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// replaced is a topology's text with one passage, which has to be there, changed.
func replaced(t *testing.T, text, old, with string) string {
	t.Helper()
	if strings.Count(text, old) != 1 {
		t.Fatalf("the topology has %d passages %q, want 1", strings.Count(text, old), old)
	}
	return strings.Replace(text, old, with, 1)
}

func (l *lab) publicOf(name string) string  { l.t.Helper(); return l.machine(name).PublicIp }
func (l *lab) privateOf(name string) string { l.t.Helper(); return l.machine(name).PrivateIp }

// elasticOf is the public address of an Elastic IP of the file.
func (l *lab) elasticOf(name string) string {
	l.t.Helper()
	return get(l.t, l.ec2("describe-addresses --filters Name=tag:Name,Values="+name), "Addresses", 0, "PublicIp")
}

// natOf is the private address of a NAT gateway of the file.
func (l *lab) natOf(name string) string {
	l.t.Helper()
	return get(l.t, l.ec2("describe-nat-gateways --filter Name=tag:Name,Values="+name), "NatGateways", 0, "NatGatewayAddresses", 0, "PrivateIp")
}

// waitPort waits until something listens on a port inside an instance.
func (l *lab) waitPort(instance, kind string, port int) {
	l.t.Helper()
	eventually(l.t, fmt.Sprintf("%s listens on %s port %d", instance, kind, port), func() error {
		if out, _, _ := l.tryIn(instance, fmt.Sprintf("ss -H -n -l --%s 'sport = %d'", kind, port)); out == "" {
			return fmt.Errorf("it does not")
		}
		return nil
	})
}

// serve runs a socat server in an instance and waits until it listens. The
// address is socat's: "TCP-LISTEN:8000,fork".
func (l *lab) serve(instance, listen, answer string) {
	l.t.Helper()
	l.start(instance, fmt.Sprintf("exec socat %s %s", listen, answer))
	kind, port := "tcp", strings.FieldsFunc(listen, func(r rune) bool { return r == ':' || r == ',' })[1]
	if strings.HasPrefix(listen, "UDP") {
		kind = "udp"
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		l.t.Fatalf("serve %s: %v", listen, err)
	}
	l.waitPort(instance, kind, n)
}

// pings tells whether a ping is answered. An answer takes less than a millisecond.
func (l *lab) pings(from, addr string) bool {
	l.t.Helper()
	_, _, status := l.tryIn(from, "ping -q -c 1 -W 0.5 "+addr)
	return status == 0
}

// capture runs tcpdump in an instance; the function that it returns waits until it
// has seen so many packets, ends it, and gives what it saw, a line a packet.
func (l *lab) capture(instance, filter string) (saw func(packets int) string) {
	l.t.Helper()
	file := fmt.Sprintf("/tmp/capture-%d", labNo.Add(1))
	cmd := l.start(instance, fmt.Sprintf("exec tcpdump --immediate-mode -l -n -i eth0 '%s' >%s 2>%s.err", filter, file, file))
	eventually(l.t, "tcpdump in "+instance, func() error {
		out, _, _ := l.tryIn(instance, "cat "+file+".err")
		if !strings.Contains(out, "listening on") {
			return fmt.Errorf("it does not listen yet: %s", out)
		}
		return nil
	})
	return func(packets int) string {
		l.t.Helper()
		eventually(l.t, fmt.Sprintf("%d packets of %s in %s", packets, filter, instance), func() error {
			if out := l.in(instance, "cat "+file); strings.Count(out, "\n") < packets {
				return fmt.Errorf("only\n%s", out)
			}
			return nil
		})
		l.in(instance, "pkill -INT -x tcpdump")
		_ = cmd.Wait()
		return strings.TrimSpace(l.in(instance, "cat "+file))
	}
}

func TestB08_NATGateway(t *testing.T) {
	t.Parallel()
	l := up(t, embedded(t, "book"))
	elastic, inside := l.elasticOf("nat"), l.natOf("nat")
	db, server := l.privateOf("db"), l.publicOf("server")
	l.waitPort("server", "tcp", 80)

	// The file is random: a byte changed or lost on the way would show.
	sum := strings.Fields(l.in("server", "head -c 20000000 /dev/urandom >/srv/www/20MB && sha256sum /srv/www/20MB"))[0]
	got := l.in("db", "curl -sS -m 20 http://"+server+"/20MB | sha256sum")
	if strings.Fields(got)[0] != sum {
		t.Errorf("20 MB through the NAT gateway: sha256 %s, want %s", got, sum)
	}
	seen := l.in("server", "tail -n 1 /root/seen.log")
	if !strings.HasPrefix(seen, elastic+" ") || !strings.Contains(seen, "/20MB") {
		t.Errorf("the server noted %q, want a request for /20MB from the Elastic IP %s", seen, elastic)
	}
	// The other way round: db sends.
	l.in("db", "head -c 3000000 /dev/urandom >/tmp/up")
	l.start("server", "exec socat -u TCP-LISTEN:9000 CREATE:/tmp/up")
	l.waitPort("server", "tcp", 9000)
	l.in("db", "socat -u FILE:/tmp/up TCP:"+server+":9000")
	want := sha256.Sum256([]byte(l.in("db", "cat /tmp/up")))
	eventually(t, "upload", func() error {
		if got := strings.Fields(l.in("server", "sha256sum /tmp/up"))[0]; got != fmt.Sprintf("%x", want) {
			return fmt.Errorf("sha256 %s at the server, want %x", got, want)
		}
		return nil
	})

	t.Run("UDP", func(t *testing.T) {
		l.serve("server", "UDP-RECVFROM:9999,fork", `SYSTEM:'read datagram; echo $SOCAT_PEERADDR $SOCAT_PEERPORT'`)
		seen := strings.Fields(l.in("db", "echo hello | nc -u -W 1 -w 20 "+server+" 9999"))
		if len(seen) != 2 || seen[0] != elastic {
			t.Fatalf("the server saw a datagram from %v, want %s", seen, elastic)
		}
		if port, err := strconv.Atoi(seen[1]); err != nil || port < 1024 { // NA-04
			t.Errorf("source port %v, want 1024 to 65535", seen[1])
		}
	})
	t.Run("ICMP", func(t *testing.T) {
		saw := l.capture("server", "icmp[icmptype] == icmp-echo")
		l.in("db", "ping -q -c 3 -i 0.05 -W 2 "+server)
		if got := saw(3); strings.Count(got, elastic+" > "+server+": ICMP echo request") != 3 || strings.Contains(got, db) {
			t.Errorf("want 3 echo requests from %s, got\n%s", elastic, got)
		}
	})
	t.Run("NothingFromOutside", func(t *testing.T) {
		// db has an open connection, and listens; neither lets anyone in.
		l.serve("db", "TCP-LISTEN:8080,fork", "PIPE")
		l.serve("server", "TCP-LISTEN:7777,fork", "PIPE")
		talk := l.open("db", "socat - TCP:"+server+":7777")
		if !talk.echoes() {
			t.Fatal("no answer through the NAT gateway")
		}
		peers := strings.Fields(l.in("server", "ss -H -n -t state established 'sport = 7777'"))
		mapped, err := netip.ParseAddrPort(peers[len(peers)-1])
		if err != nil || mapped.Addr().String() != elastic {
			t.Fatalf("the connection comes from %v (%v), want %s", peers, err, elastic)
		}
		saw := l.capture("db", "not port 7777 and not udp")
		for _, from := range []string{"laptop", "server"} {
			l.blocked(from, elastic, 22, "NGW_NO_CONNECTION")
			l.blocked(from, elastic, 8080, "NGW_NO_CONNECTION")
			l.blocked(from, elastic, int(mapped.Port()), "NGW_NO_CONNECTION")
			l.blocked(from, db, 22, "INTERNET_UNREACHABLE")
			l.blocked(from, inside, 8080, "INTERNET_UNREACHABLE")
		}
		// NA-10: the gateway itself answers nothing, from either side.
		for from, to := range map[string]string{"laptop": elastic, "web": inside} {
			if l.pings(from, to) {
				t.Errorf("%s: the NAT gateway answered a ping to %s", from, to)
			}
		}
		if got := saw(0); got != "" {
			t.Errorf("db saw packets that nobody inside asked for:\n%s", got)
		}
		if !talk.echoes() {
			t.Error("the open connection broke")
		}
	})
	t.Run("NA16_DeletedLeavesBlackhole", func(t *testing.T) { // vector 12
		l.ec2("delete-nat-gateway --nat-gateway-id nat")
		tables := l.ec2("describe-route-tables --filters Name=tag:Name,Values=private")
		if !strings.Contains(fmt.Sprint(tables), "State:blackhole") {
			t.Errorf("no blackhole in %v", tables)
		}
		l.blocked("db", server, 80, "BAD_STATE_ROUTE")
		if got := l.elasticOf("nat"); got != elastic {
			t.Errorf("the Elastic IP is %q, want %s still", got, elastic)
		}
	})
}

func TestB08_NATGatewayInPrivateSubnetCarriesNothing(t *testing.T) {
	t.Parallel()
	text := embedded(t, "nat-wrong-subnet")
	l := up(t, text)
	server := l.publicOf("server")
	l.waitPort("server", "tcp", 80)
	l.blocked("app", server, 80, "FORWARDING_LOOP")
	if l.pings("app", server) {
		t.Error("a NAT gateway in a private subnet carried a ping")
	}
	l.write(replaced(t, text, "subnet: private # the mistake", "subnet: public"))
	l.cli("up", l.file)
	if got := l.in("app", "curl -sS -m 5 http://"+server+"/"); got != "hello\n" {
		t.Errorf("in the public subnet it answers %q", got)
	}
}

// A secondary private address is the guest's own business (EN-06), and has its
// own Elastic IP (EN-01, EI-01).
func TestEN06_SecondaryAddressesWithElasticIPs(t *testing.T) {
	t.Parallel()
	l := up(t, `
version: 1
default_vpc: false
vpcs: {main: {cidr_block: 10.0.0.0/16}}
subnets:
  public: {vpc: main, cidr_block: 10.0.0.0/24, map_public_ip_on_launch: true}
  other: {vpc: main, cidr_block: 10.0.1.0/24}
internet_gateways: {igw: {vpc: main}}
route_tables:
  public: {vpc: main, subnets: [public, other], routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}
elastic_ips:
  second: {address: 203.0.113.77, instance: web, associate_with_private_ip: 10.0.0.50}
  extra: {address: 203.0.113.78, network_interface: extra, associate_with_private_ip: 10.0.1.61}
network_interfaces:
  extra: {subnet: other, private_ips: [10.0.1.60, 10.0.1.61], security_groups: [all], attachment: {instance: web}}
security_groups:
  all: {vpc: main, ingress: [{protocol: all, cidr_blocks: [0.0.0.0/0]}]}
instances:
  web: {subnet: public, security_groups: [all], private_ip: 10.0.0.10, secondary_private_ips: [10.0.0.50]}
  peer: {subnet: public, security_groups: [all]}
internet_hosts: {laptop: {}}
`)
	first := l.publicOf("web")
	if first == "" || first == "203.0.113.77" {
		t.Fatalf("the primary address has the public address %q, want one of its own", first)
	}
	l.serve("web", "TCP-LISTEN:8000,fork", `SYSTEM:'echo $SOCAT_SOCKADDR $SOCAT_PEERADDR'`)
	laptop := l.publicOf("laptop")
	const wait = "20"
	ask := func(from, addr, wait string) string {
		t.Helper()
		out, _, _ := l.tryIn(from, "socat -t 5 -u TCP:"+addr+":8000,connect-timeout="+wait+" -")
		return strings.TrimSpace(out)
	}
	if got := ask("laptop", first, wait); got != "10.0.0.10 "+laptop {
		t.Errorf("to the primary's public address: %q", got)
	}
	if got := ask("laptop", "203.0.113.77", patience); got != "" {
		t.Errorf("the guest answered at an address that it has not configured: %q", got)
	}
	l.in("web", "ip address add 10.0.0.50/32 dev eth0")
	if got := ask("laptop", "203.0.113.77", wait); got != "10.0.0.50 "+laptop {
		t.Errorf("to the secondary's Elastic IP: %q", got)
	}
	if got := ask("peer", "10.0.0.50", wait); !strings.HasPrefix(got, "10.0.0.50 ") {
		t.Errorf("to the secondary within the subnet: %q", got)
	}
	// The same on a second interface, whose addresses have a routing table of their own.
	l.in("web", `ip address add 10.0.1.61/32 dev eth1 &&
		ip rule add from 10.0.1.61 lookup $(ip rule | sed -n 's/.*from 10.0.1.60 lookup //p')`)
	equal(t, "answer at the second interface's Elastic IP", ask("laptop", "203.0.113.78", wait), "10.0.1.61 "+laptop)
	// Outward, the source chosen decides the public address.
	l.serve("laptop", "TCP-LISTEN:8000,fork", `SYSTEM:'echo $SOCAT_PEERADDR'`)
	for source, want := range map[string]string{"10.0.0.10": first, "10.0.0.50": "203.0.113.77", "10.0.1.61": "203.0.113.78"} {
		got := l.in("web", "socat -t 5 -u TCP:"+laptop+":8000,bind="+source+",connect-timeout=20 -")
		equal(t, "address that the laptop saw of "+source, strings.TrimSpace(got), want)
	}
	// 10.0.1.60 has no public address: the gateway has nothing to make of it (IG-03).
	since := l.lastDrop()
	if l.pings("web", "-I 10.0.1.60 "+laptop) {
		t.Error("an address without a public one reached the Internet")
	}
	l.droppedSince(since, "IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS", "10.0.1.60 > "+laptop)
}
