package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// impairLab has a web server in one availability zone, a database in another behind a NAT
// gateway in the first, and a host outside.
const impairLab = `
version: 1
region: ap-northeast-1
default_vpc: false
vpcs: {main: {cidr_block: 10.0.0.0/16, enable_dns_hostnames: true}}
subnets:
  public: {vpc: main, cidr_block: 10.0.0.0/24, availability_zone: ap-northeast-1a, map_public_ip_on_launch: true}
  private: {vpc: main, cidr_block: 10.0.1.0/24, availability_zone: ap-northeast-1c}
internet_gateways: {igw: {vpc: main}}
elastic_ips: {nat: {}}
nat_gateways: {nat: {subnet: public, elastic_ip: nat}}
route_tables:
  public: {vpc: main, subnets: [public], routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}
  private: {vpc: main, subnets: [private], routes: [{cidr_block: 0.0.0.0/0, nat_gateway: nat}]}
security_groups:
  open: {vpc: main, ingress: [{protocol: all, cidr_blocks: [10.0.0.0/8]}]}
instances:
  web: {subnet: public, private_ip: 10.0.0.10, security_groups: [open]}
  db: {subnet: private, private_ip: 10.0.1.10, security_groups: [open], impair: {delay: 10ms}}
internet_hosts: {server: {address: 198.51.100.20}}
impair:
  - {zones: [ap-northeast-1a, ap-northeast-1c], delay: 5ms}
`

var pingTimes = regexp.MustCompile(`rtt min/avg/max/mdev = ([0-9.]+)/`)

// fastest is the shortest round trip of some pings, in milliseconds.
func (l *lab) fastest(from, to string) float64 {
	l.t.Helper()
	out := l.in(from, "ping -q -c 5 -i 0.05 -W 5 "+to)
	m := pingTimes.FindStringSubmatch(out)
	if m == nil {
		l.t.Fatalf("%s pings %s: %s", from, to, out)
	}
	ms, _ := strconv.ParseFloat(m[1], 64)
	return ms
}

// held is how many packets are in links at the moment.
func (l *lab) held() (n int) {
	l.t.Helper()
	var links []struct{ Held int }
	if err := json.Unmarshal([]byte(l.cli("impair", "-o", "json")), &links); err != nil {
		l.t.Fatal(err)
	}
	for _, k := range links {
		n += k.Held
	}
	return n
}

func TestImpair_DelaysOfTheFileAddUp(t *testing.T) {
	t.Parallel()
	l := up(t, impairLab)
	// No ping can be faster than the links are slow: 5 and 10 ms, twice.
	if ms := l.fastest("web", "10.0.1.10"); ms < 30 {
		t.Errorf("a round trip took %g ms", ms)
	}
	if ms := l.fastest("db", server); ms < 30 { // by way of the other zone's NAT gateway
		t.Errorf("a round trip through the NAT gateway took %g ms", ms)
	}
	// Names resolve as fast as ever: the resolver is no link away.
	l.in("db", "getent hosts ip-10-0-0-10.ap-northeast-1.compute.internal")
	l.cli("impair", "db", "--delay", "20ms", "--direction", "egress")
	if ms := l.fastest("db", "10.0.0.10"); ms < 40 {
		t.Errorf("a round trip took %g ms after a change", ms)
	}
	plan := l.cli("plan", l.file)
	if !strings.Contains(plan, "update  instance db: impair") {
		t.Errorf("the drift is not seen:\n%s", plan)
	}
	l.cli("up", l.file)
	if plan := l.cli("plan", l.file); strings.Contains(plan, "impair") {
		t.Errorf("up has not put it back:\n%s", plan)
	}
	l.cli("impair", "db", "--clear")
	l.cli("impair", "zone:a", "zone:c", "--clear")
	if out := l.cli("impair"); !strings.Contains(out, "no impaired links") {
		t.Error(out)
	}
}

func TestImpair_LossAndBack(t *testing.T) {
	t.Parallel()
	l := up(t, impairLab)
	l.cli("impair", "db", "--loss", "100%", "--direction", "ingress")
	if out, _, status := l.tryIn("web", "ping -q -c 3 -i 0.05 -W 1 10.0.1.10"); status == 0 {
		t.Errorf("a packet came through:\n%s", out)
	}
	l.dropped("LINK_LOSS", "db inward")
	l.cli("impair", "db", "--clear")
	l.in("web", "ping -q -c 2 -i 0.05 -W 5 10.0.1.10")
	// TCP gets over a moderate loss.
	l.cli("impair", "web", "--loss", "5%", "--duplicate", "5%", "--delay", "1ms", "--reorder", "10%")
	l.transfer(1 << 20)
}

// transfer sends so many bytes from web to db, whose receive buffer is small, and gives how
// long it took until db had them all.
func (l *lab) transfer(bytes int) time.Duration {
	l.t.Helper()
	l.start("db", `exec python3 -c '
import socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
s.bind(("", 7000)); s.listen(1)
while True:
    c, _ = s.accept(); n = 0
    while b := c.recv(65536): n += len(b)
    c.sendall(str(n).encode()); c.close()
'`)
	out := l.in("web", fmt.Sprintf(`exec python3 -c '
import socket, time
for _ in range(200):
    try: s = socket.create_connection(("10.0.1.10", 7000), 20); break
    except ConnectionRefusedError: time.sleep(.05)
began = time.monotonic()
s.sendall(bytes(%d)); s.shutdown(socket.SHUT_WR)
got = b""
while b := s.recv(100): got += b
assert int(got) == %[1]d, got
print(time.monotonic() - began)
'`, bytes))
	seconds, err := strconv.ParseFloat(strings.TrimSpace(out), 64)
	if err != nil {
		l.t.Fatal(err)
	}
	return time.Duration(seconds * float64(time.Second))
}

// A delayed link carries a whole window a round trip: not more, and not one packet after
// another.
func TestImpair_ThroughputIsTheWindowOverTheRoundTrip(t *testing.T) {
	t.Parallel()
	l := up(t, impairLab)
	most := 0
	done := make(chan struct{})
	stop := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				most = max(most, l.held())
			}
		}
	}()
	const bytes = 8 << 20
	took := l.transfer(bytes)
	close(stop)
	<-done
	// The kernel doubles SO_RCVBUF, and announces no larger window: 128 KiB in 30 ms.
	if least := time.Duration(float64(bytes) / (128 << 10) * float64(30*time.Millisecond) * 0.9); took < least {
		t.Errorf("%d bytes took %s, and the window lets them through in %s", bytes, took, least)
	}
	if most < 3 {
		t.Errorf("no more than %d packets were under way at once", most)
	}
}

func TestImpair_RateIsNotExceeded(t *testing.T) {
	t.Parallel()
	l := up(t, impairLab)
	l.cli("impair", "db", "--direction", "ingress", "--rate", "20mbit", "--queue", "50 packets")
	const bytes = 2 << 20
	if took, least := l.transfer(bytes), time.Second*bytes*8/20_000_000; took < least*95/100 {
		t.Errorf("%d bytes took %s, and the rate lets them through in %s", bytes, took, least)
	}
}

// A conversation is a TCP connection on which lines are echoed.
type conversation struct {
	l   *lab
	in  io.Writer
	out chan string
}

// converse opens one from an instance to an address, at which another one listens.
func (l *lab) converse(from, to, at string) *conversation {
	l.t.Helper()
	l.start(to, `exec socat TCP-LISTEN:7001,fork,reuseaddr EXEC:cat`)
	eventually(l.t, to+" listens", func() error {
		if !l.reaches(from, at, 7001, 2) {
			return errors.New("no")
		}
		return nil
	})
	cmd := l.command("exec", from, "--", "socat", "-", "TCP:"+at+":7001")
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
	c := &conversation{l: l, in: in, out: make(chan string, 100)}
	go func() {
		b := make([]byte, 1000)
		for {
			n, err := out.Read(b)
			if err != nil {
				return
			}
			for _, line := range strings.Fields(string(b[:n])) {
				c.out <- line
			}
		}
	}()
	l.t.Cleanup(func() { in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return c
}

// say sends a word, and tells whether its echo comes within a time.
func (c *conversation) say(word string, within time.Duration) bool {
	c.l.t.Helper()
	if word != "" {
		if _, err := fmt.Fprintln(c.in, word); err != nil {
			c.l.t.Fatal(err)
		}
	}
	select {
	case <-c.out:
		return true
	case <-time.After(within):
		return false
	}
}

// A failed zone cuts connections without a word, also when the daemon is killed meanwhile,
// and they go on when it is healed.
func TestFail_ZoneCutsAConnectionAndHealsIt(t *testing.T) {
	t.Parallel()
	l := up(t, impairLab)
	c := l.converse("web", "db", "10.0.1.10")
	if !c.say("one", limit) {
		t.Fatal("no echo")
	}
	l.cli("fail", "zone", "ap-northeast-1c")
	if c.say("two", time.Second) {
		t.Error("an echo came out of a failed zone")
	}
	l.dropped("ZONE_FAILED", "ap-northeast-1c")
	if out, _, status := l.try("", "trace", "web", "db", "tcp/22"); status != 1 || !strings.Contains(out, "vpcemu heal zone ap-northeast-1c") {
		t.Errorf("trace does not know:\n%s", out)
	}
	l.in("db", "getent hosts ip-10-0-0-10.ap-northeast-1.compute.internal") // the resolver goes on
	l.crash()
	l.cli("up", l.file)
	if out := l.cli("fail"); !strings.Contains(out, "ap-northeast-1c") {
		t.Errorf("forgotten after kill -9:\n%s", out)
	}
	if !strings.Contains(l.cli("ls"), "zone ap-northeast-1c is failed") {
		t.Error("ls does not say so")
	}
	if c.say("", time.Second) {
		t.Error("an echo came out of a failed zone after the daemon's death")
	}
	l.cli("heal", "zone", "ap-northeast-1c")
	if !c.say("", limit) { // TCP repeats it
		t.Error("the connection is dead after the zone was healed")
	}
}

func TestFail_NATGatewayAndLink(t *testing.T) {
	t.Parallel()
	l := up(t, impairLab)
	c := l.converse("db", "server", server)
	for _, r := range []struct{ what, reason string }{
		{"nat nat", "NAT_GATEWAY_FAILED"}, {"link db internet", "LINK_FAILED"}, {"instance db", "INSTANCE_FAILED"},
		{"host server", "INSTANCE_FAILED"}, {"subnet private", "SUBNET_FAILED"},
	} {
		if !c.say("before", limit) {
			t.Fatalf("no echo before %s", r.what)
		}
		l.cli(append([]string{"fail"}, strings.Fields(r.what)...)...)
		if c.say("during", time.Second) {
			t.Errorf("%s: an echo", r.what)
		}
		l.dropped(r.reason)
		l.cli(append([]string{"heal"}, strings.Fields(r.what)...)...)
		if !c.say("", limit) {
			t.Errorf("%s: the connection is dead after it was healed", r.what)
		}
	}
	if out := l.cli("fail"); !strings.Contains(out, "nothing is failed") {
		t.Error(out)
	}
}
