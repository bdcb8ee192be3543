package e2e

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A private instance behind a NAT gateway, one with an address of its own, and a host on the
// lab's Internet.
const uplinkLab = `version: 1
default_vpc: false
internet: {uplink: host}
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
security_groups: {all: {vpc: main, ingress: [{protocol: all, cidr_blocks: [0.0.0.0/0]}]}}
instances:
  web: {subnet: public, security_groups: [all]}
  db: {subnet: private, security_groups: [all]}
internet_hosts: {laptop: {}}
`

// large is more than fits into any buffer on the way, in bytes.
const large = 16 << 20

// world serves GET /large, PUT /sum and a Debian repository below /debian/.
func world(t *testing.T) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /who", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr) })
	mux.HandleFunc("GET /large", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content()) })
	mux.HandleFunc("PUT /sum", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%d %x %v", n, h.Sum(nil), err)
	})
	mux.Handle("/debian/", http.StripPrefix("/debian", http.FileServer(http.Dir(repository(t)))))
	return mux
}

// content is a file none of whose parts are alike.
var content = sync.OnceValue(func() []byte {
	b := make([]byte, large)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
})

// repository is a Debian repository with one package, unsigned.
func repository(t *testing.T) string {
	t.Helper()
	dir, build := t.TempDir(), t.TempDir()
	put := func(path, text string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	control := "Package: vpcemu-hello\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@example.invalid>\nDescription: a package of the lab's\n"
	put(build+"/DEBIAN/control", control)
	put(build+"/usr/share/vpcemu-hello/text", "hello\n")
	deb := "pool/vpcemu-hello_1.0_all.deb"
	put(dir+"/pool/.keep", "")
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-b", build, dir+"/"+deb).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v\n%s", err, out)
	}
	b, err := os.ReadFile(dir + "/" + deb)
	if err != nil {
		t.Fatal(err)
	}
	packages := fmt.Sprintf("%sFilename: %s\nSize: %d\nSHA256: %x\n\n", control, deb, len(b), sha256.Sum256(b))
	put(dir+"/dists/lab/main/binary-all/Packages", packages)
	put(dir+"/dists/lab/Release", fmt.Sprintf("Suite: lab\nCodename: lab\nArchitectures: all\nComponents: main\nDate: %s\nSHA256:\n %x %d main/binary-all/Packages\n",
		time.Now().UTC().Format(time.RFC1123), sha256.Sum256([]byte(packages)), len(packages)))
	return dir
}

// aptUpdate reads the repository's lists in an instance, and nothing else.
const aptUpdate = `echo 'deb [trusted=yes arch=all] http://` + worldAddr + `/debian lab main' >/root/lab.list &&
apt-get -q -o Dir::Etc::sourcelist=/root/lab.list -o Dir::Etc::sourceparts=- -o Acquire::http::Timeout=3 -o Acquire::Retries=0 -o APT::Update::Error-Mode=any update`

func TestUplink(t *testing.T) {
	t.Parallel()
	host := newSpace(t)
	out := newWorld(host)
	out.serve(worldAddr+":80", world(t))
	out.serve("192.168.77.1:80", world(t))
	host.serve("0.0.0.0:8000", world(t))
	before := host.state()
	l := labOn(host, uplinkLab)
	seen := out.sniff("up0")
	l.cli("up", l.file)

	sums := fmt.Sprintf("%x", sha256.Sum256(content()))
	for _, from := range []string{"db", "web", "laptop"} {
		if saw := l.in(from, "curl -sS -m 10 http://"+worldAddr+"/who"); !strings.HasPrefix(saw, "10.55.0.2:") {
			t.Errorf("the world saw %s as %q, not as this machine", from, saw)
		}
		sum := strings.Fields(l.in(from, "curl -sS -m 60 http://"+worldAddr+"/large | sha256sum"))[0]
		equal(t, "what "+from+" got", sum, sums)
		sum = l.in(from, "curl -sS -m 60 http://"+worldAddr+"/large >/root/large && curl -sS -m 60 -T /root/large http://"+worldAddr+"/sum; rm /root/large")
		equal(t, "what the world got from "+from, sum, fmt.Sprintf("%d %s <nil>", large, sums))
	}
	l.apt()
	l.refusals(host, out)
	for _, source := range seen() {
		if source != "10.55.0.2" {
			t.Errorf("a packet from %s came out of this machine", source)
		}
	}
	l.cli("down")
	host.unchanged("after down", before)
}

// apt works in a private instance for as long as a route leads to the NAT gateway.
func (l *lab) apt() {
	l.t.Helper()
	l.in("db", aptUpdate)
	if got := l.in("db", "cd /root && apt-get -q -o Dir::Etc::sourcelist=/root/lab.list -o Dir::Etc::sourceparts=- download vpcemu-hello 2>&1 && dpkg-deb -c vpcemu-hello_1.0_all.deb"); !strings.Contains(got, "vpcemu-hello/text") {
		l.t.Errorf("apt-get download:\n%s", got)
	}
	if policy := l.in("db", "apt-cache -o Dir::Etc::sourcelist=/root/lab.list -o Dir::Etc::sourceparts=- policy vpcemu-hello"); !strings.Contains(policy, worldAddr) {
		l.t.Errorf("apt-cache policy:\n%s", policy)
	}
	l.ec2("delete-route --route-table-id private --destination-cidr-block 0.0.0.0/0")
	if out, errs, status := l.tryIn("db", aptUpdate); status == 0 {
		l.t.Errorf("apt-get update works without a route:\n%s%s", out, errs)
	}
	l.ec2("create-route --route-table-id private --destination-cidr-block 0.0.0.0/0 --nat-gateway-id nat")
	l.in("db", aptUpdate)
}

// refusals are what the uplink does not carry.
func (l *lab) refusals(host, out *space) {
	l.t.Helper()
	for dst, reason := range map[string]string{"192.168.77.1:80": "UPLINK_REFUSED", "10.55.0.1:80": "UPLINK_REFUSED", "10.55.0.2:8000": "UPLINK_REFUSED",
		"127.0.0.1:8000": "", "169.254.1.1:80": "UPLINK_REFUSED", "100.64.0.1:80": "UPLINK_REFUSED", "198.51.100.254:8000": "INTERNET_UNREACHABLE"} {
		last := l.lastDrop()
		if _, _, status := l.tryIn("laptop", "curl -s -o /dev/null -m 2 http://"+dst+"/who"); status == 0 {
			l.t.Errorf("the laptop reaches %s by the uplink", dst)
		}
		if reason != "" {
			l.droppedSince(last, reason, "> "+dst+" ")
		}
	}
	// Nobody on the laptop's network is 192.0.2.99, nor is anybody in the lab.
	last := l.lastDrop()
	l.in("laptop", `python3 - <<'E'
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
udp = struct.pack('!HHHH', 5000, 6000, 8, 0)
ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 28, 1, 0, 64, 17, 0, socket.inet_aton('192.0.2.99'), socket.inet_aton('`+worldAddr+`'))
s.sendto(ip + udp, ('`+worldAddr+`', 0))
E`)
	l.droppedSince(last, "UPLINK_REFUSED", "192.0.2.99:5000")

	// This machine's programs do not reach the lab that it has not joined, nor does the world.
	if _, status := host.try("nc -z -w 1 " + l.publicOf("web") + " 80"); status == 0 {
		l.t.Error("this machine reaches the lab by the uplink")
	}
	out.run("ip route add " + l.publicOf("web") + " via 10.55.0.2")
	l.serve("web", "tcp-listen:9000,reuseaddr,fork", "'SYSTEM:echo hello'")
	if _, status := out.try("nc -z -w 1 " + l.publicOf("web") + " 9000"); status == 0 {
		l.t.Error("the world reaches the lab by the uplink")
	}

	// What is named is carried: from hosts, as an Internet gateway drops private ranges.
	l.write(strings.Replace(uplinkLab, "{uplink: host}", "{uplink: host, uplink_allow: [192.168.77.1/32, 10.55.0.2/32]}", 1))
	l.cli("up", l.file)
	for _, dst := range []string{"192.168.77.1:80", "10.55.0.2:8000"} {
		l.in("laptop", "curl -sS -o /dev/null -m 10 http://"+dst+"/who")
	}
	last = l.lastDrop()
	if _, _, status := l.tryIn("db", "curl -s -o /dev/null -m 2 http://192.168.77.1/who"); status == 0 {
		l.t.Error("the Internet gateway lets RFC 1918 pass")
	}
	l.droppedSince(last, "IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS", "192.168.77.1")
}

// sniff notes the sources of all IPv4 packets that come to a device from elsewhere.
func (s *space) sniff(device string) (sources func() []string) {
	s.t.Helper()
	cmd := s.command("tcpdump", "-Q", "in", "-l", "-nn", "-i", device, "ip")
	var b strings.Builder
	cmd.Stdout = &b
	stderr, err := cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ready := make([]byte, 1)
	if _, err := stderr.Read(ready); err != nil {
		s.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _, _ = io.Copy(io.Discard, stderr) }()
	s.t.Cleanup(func() { _ = cmd.Process.Kill(); <-done; _ = cmd.Wait() })
	return func() (list []string) {
		s.t.Helper()
		_ = cmd.Process.Signal(os.Interrupt)
		<-done
		_ = cmd.Wait()
		for line := range strings.Lines(b.String()) {
			f := strings.Fields(line)
			if len(f) < 3 || f[1] != "IP" {
				continue
			}
			part := strings.Split(f[2], ".")
			list = append(list, strings.Join(part[:min(4, len(part))], "."))
		}
		if len(list) == 0 {
			s.t.Error("tcpdump saw nothing")
		}
		return list
	}
}

// An MTU of the machine's own way out that is smaller than the lab's comes to the sender, and a
// firewall that may be in the way is told.
func TestUplinkNarrowAndFirewalled(t *testing.T) {
	t.Parallel()
	host := newSpace(t)
	out := newWorld(host)
	out.serve(worldAddr+":80", world(t))
	host.run("ip link set eth0 mtu 1300", "nft 'add table inet docker'",
		"nft 'add chain inet docker forwarding { type filter hook forward priority 0 ; policy drop ; }'")
	before := host.state()
	l := labOn(host, strings.Replace(uplinkLab, "version: 1\n", "version: 1\njoin: true\n", 1))
	_, notes, status := l.try("", "up", l.file)
	if status != 0 || !strings.Contains(notes, "forwarding") || !strings.Contains(notes, "inet docker") || strings.Count(notes, "\n") != 1 {
		t.Errorf("exit status %d, notes:\n%s", status, notes)
	}
	host.run("nft 'add rule inet docker forwarding meta iifname vpcemu0 accept'", "nft 'add rule inet docker forwarding meta oifname vpcemu0 accept'")
	sum := l.in("web", "curl -sS -m 60 http://"+worldAddr+"/large >/root/large && curl -sS -m 60 -T /root/large http://"+worldAddr+"/sum; rm /root/large")
	equal(t, "what the world got", sum, fmt.Sprintf("%d %x <nil>", large, sha256.Sum256(content())))
	// Joined too, the machine has both in one device.
	web := l.publicOf("web")
	l.serve("web", "tcp-listen:9000,reuseaddr,fork", "'SYSTEM:echo hello'")
	host.run("nc -w 10 " + web + " 9000 </dev/null | grep hello")
	trace := l.traced(0, "web", worldAddr, "tcp/80")
	equal(t, "trace", trace.Reachable, true)
	l.cli("down")
	host.unchanged("after down", before)
}

// Two labs share this machine's way out and are nothing to each other.
func TestUplinkOfTwoLabs(t *testing.T) {
	t.Parallel()
	host := newSpace(t)
	out := newWorld(host)
	out.serve(worldAddr+":80", world(t))
	before := host.state()
	first := labOn(host, uplinkLab)
	first.cli("up", first.file)
	second := labOn(host, strings.Replace(uplinkLab, "{uplink: host}", "{uplink: host, public_pools: [192.0.2.0/26]}", 1))
	second.cli("up", second.file)
	second.serve("web", "tcp-listen:9000,reuseaddr,fork", "'SYSTEM:echo hello'")
	last := first.lastDrop()
	if first.reaches("laptop", second.publicOf("web"), 9000, 2) {
		t.Error("one lab reaches the other by the uplink")
	}
	first.droppedSince(last, "UPLINK_REFUSED", second.publicOf("web"))
	for i, l := range []*lab{first, second} {
		l.in("db", "curl -sS -o /dev/null -m 10 http://"+worldAddr+"/who")
		if i == 0 {
			l.cli("down")
		}
	}
	if is := strings.TrimSpace(host.run("cat /proc/sys/net/ipv4/conf/eth0/forwarding")); is != strconv.Itoa(1) {
		t.Errorf("forwarding on eth0 is %s, although a lab needs it", is)
	}
	second.cli("down")
	host.unchanged("after both", before)
}
