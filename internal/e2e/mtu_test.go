package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// mtuLab has an instance behind the Internet gateway and one behind the NAT gateway.
const mtuLab = `
version: 1
default_vpc: false
vpcs: {main: {cidr_block: 10.0.0.0/16}}
subnets:
  public: {vpc: main, cidr_block: 10.0.0.0/24, map_public_ip_on_launch: true}
  private: {vpc: main, cidr_block: 10.0.1.0/24}
internet_gateways: {igw: {vpc: main}}
elastic_ips: {nat: {}}
nat_gateways: {nat: {subnet: public, elastic_ip: nat, private_ip: 10.0.0.200}}
route_tables:
  public: {vpc: main, subnets: [public], routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}
  private: {vpc: main, subnets: [private], routes: [{cidr_block: 0.0.0.0/0, nat_gateway: nat}]}
instances:
  web: {subnet: public, private_ip: 10.0.0.10}
  db: {subnet: private, private_ip: 10.0.1.10}
internet_hosts: {server: {address: 198.51.100.20}}
`

const server = "198.51.100.20"

// forget makes a guest forget the path MTUs that it has learned.
func (l *lab) forget(instance string) { l.t.Helper(); l.in(instance, "ip route flush cache") }

// tooBig sends one DF ping of a given length, IP header included, and returns who
// refused it and the MTU that it told, as ping prints them.
func (l *lab) tooBig(from, to string, length int) string {
	l.t.Helper()
	l.forget(from)
	out, _, status := l.tryIn(from, fmt.Sprintf("ping -n -M do -c 1 -W 2 -s %d %s", length-28, to))
	found := regexp.MustCompile(`From (\S+) icmp_seq=1 Frag needed and DF set \(mtu = (\d+)\)`).FindStringSubmatch(out)
	if status == 0 || found == nil {
		l.t.Fatalf("%s pings %s with %d bytes: want Frag needed, got\n%s", from, to, length, out)
	}
	return found[1] + " " + found[2]
}

func TestMT01_JumboFramesInsideTheVPC(t *testing.T) {
	t.Parallel()
	l := up(t, mtuLab)
	l.in("web", "ping -q -M do -c 2 -i 0.05 -W 2 -s 8973 10.0.1.10")
	l.in("db", "ping -q -M do -c 2 -i 0.05 -W 2 -s 8973 10.0.0.10")
	// 9002 bytes do not even leave the guest.
	if _, errs, status := l.tryIn("web", "ping -M do -c 1 -W 1 -s 8974 10.0.1.10"); status == 0 || !strings.Contains(errs, "mtu=9001") {
		t.Errorf("9002 bytes: exit status %d, %s", status, errs)
	}
	// In fragments they do (FR-01).
	l.in("web", "ping -q -c 1 -W 2 -s 20000 10.0.1.10")
}

// Vector 20, and what follows from it for programs that know nothing of MTUs.
func TestMT11_PathMTUDiscoveryAtTheGateways(t *testing.T) {
	t.Parallel()
	l := up(t, mtuLab)
	equal(t, "9001 bytes at the Internet gateway", l.tooBig("web", server, 9001), "10.0.0.1 1500")
	equal(t, "1501 bytes at the Internet gateway", l.tooBig("web", server, 1501), "10.0.0.1 1500")
	l.in("web", "ping -q -M do -c 1 -W 2 -s 1472 "+server)
	// NA-14: the NAT gateway's own limit comes first, the Internet gateway's after it.
	equal(t, "9001 bytes at the NAT gateway", l.tooBig("db", server, 9001), "10.0.0.200 8500")
	equal(t, "8500 bytes behind the NAT gateway", l.tooBig("db", server, 8500), "10.0.0.1 1500")
	l.in("db", "ping -q -M do -c 1 -W 2 -s 1472 "+server)

	l.forget("web")
	for _, c := range []struct{ to, want string }{{server, "pmtu 1500"}, {"10.0.1.10", "pmtu 9001"}} {
		out := l.in("web", "tracepath -n "+c.to)
		if !strings.Contains(out, "Resume: "+c.want) {
			t.Errorf("tracepath %s does not find %s:\n%s", c.to, c.want, out)
		}
		if strings.Contains(c.want, "1500") && !regexp.MustCompile(`1:\s+10\.0\.0\.1 .*pmtu 1500`).MatchString(out) {
			t.Errorf("tracepath does not learn the MTU from the router of the subnet:\n%s", out)
		}
	}
}

// A sender that believes the peer takes 9001 bytes learns better on the way.
func TestMT11_LargeTransfers(t *testing.T) {
	t.Parallel()
	l := up(t, mtuLab)
	l.in("server", "ip route replace default dev eth0 advmss 8960 && head -c 20000000 /dev/urandom >/tmp/20MB")
	l.serve("server", "TCP-LISTEN:8000,fork", "SYSTEM:'sha256sum'")
	l.serve("server", "TCP-LISTEN:8001,fork", "OPEN:/tmp/20MB,rdonly")
	sum := strings.Fields(l.in("server", "sha256sum /tmp/20MB"))[0]
	for _, from := range []string{"web", "db"} {
		l.forget(from)
		upload := "head -c 20000000 /dev/urandom >/tmp/up && sha256sum </tmp/up && timeout 20 socat -t 10 - TCP:" + server + ":8000 </tmp/up"
		if sums := strings.Fields(l.in(from, upload)); len(sums) != 4 || sums[0] != sums[2] {
			t.Errorf("%s sent 20 MB: sums here and there %v", from, sums)
		}
		if route := l.in(from, "ip route get "+server); !strings.Contains(route, "mtu 1500") {
			t.Errorf("%s did not learn the path's MTU: %s", from, route)
		}
		if got := l.in(from, "timeout 20 socat -u TCP:"+server+":8001 - | sha256sum"); strings.Fields(got)[0] != sum {
			t.Errorf("%s received 20 MB: sha256 %s, want %s", from, got, sum)
		}
	}
}

// Vector 8.
func TestNA08_FragmentsThroughTheNATGateway(t *testing.T) {
	t.Parallel()
	l := up(t, mtuLab)
	if l.pings("db", server+" -s 10000") {
		t.Error("a ping of 10000 bytes, in fragments, passed the NAT gateway")
	}
	l.dropped("NGW_FRAGMENT", "10.0.1.10 > "+server, " icmp ")
	l.in("web", "ping -q -c 1 -W 2 -s 10000 "+server) // the Internet gateway takes it

	// 4000 bytes of UDP pass both ways: whole up to the Internet gateway, which cuts
	// them, and in fragments from the sender on. So do the answer's fragments.
	l.start("server", "exec socat -b 5000 UDP-RECVFROM:9000,fork PIPE")
	l.waitPort("server", "udp", 9000)
	l.in("db", "head -c 3000 /dev/urandom | base64 -w 0 >/tmp/4000")
	sum := l.in("db", "sha256sum </tmp/4000")
	l.in("db", "echo 1 >/proc/sys/net/ipv4/ip_no_pmtu_disc") // no DF
	for how, prepare := range map[string]string{
		"whole":        "ip route flush cache",
		"in fragments": "ip route add " + server + " via 10.0.1.1 dev eth0 mtu 1500",
	} {
		saw := l.capture("server", "udp and src host "+l.elasticOf("nat"))
		got := l.in("db", prepare+"; nc -u -W 1 -w 20 "+server+" 9000 </tmp/4000 | sha256sum")
		if got != sum {
			t.Errorf("4000 bytes sent %s came back as %s, want %s", how, got, sum)
		}
		if got := saw(3); strings.Count(got, "\n") != 2 {
			t.Errorf("sent %s, the server saw, instead of three fragments,\n%s", how, got)
		}
	}
}

// Vector 26: hops as traceroute shows them (L2-04, NA-13).
func TestL204_Traceroute(t *testing.T) {
	t.Parallel()
	l := up(t, mtuLab)
	hop := regexp.MustCompile(`(?m)^ *\d+ +(\S+)`)
	for _, c := range []struct {
		from, to string
		want     string
	}{
		{"web", "10.0.1.10", "[10.0.1.10]"},
		{"db", "10.0.0.10", "[10.0.0.10]"},
		{"db", server, "[10.0.0.200 * " + server + "]"}, // the Internet gateway's hop is silent (TT-01)
		{"web", server, "[* " + server + "]"},
	} {
		for _, how := range []string{"", "-I "} {
			out := l.in(c.from, "traceroute -n -q 1 -w 0.5 -m 5 "+how+c.to)
			var hops []string
			for _, m := range hop.FindAllStringSubmatch(out, -1) {
				hops = append(hops, m[1])
			}
			if got := fmt.Sprint(hops); got != c.want {
				t.Errorf("traceroute %sfrom %s to %s: %s, want %s", how, c.from, c.to, got, c.want)
			}
		}
	}
}
