package e2e

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/thread"
)

// One hundred instances ask for names and for their metadata, all at once and for a while.
// Each gets its own answers, no request is lost, and the daemon has no more descriptors
// open and not much more memory in use than before.
func TestSoak_DNSAndMetadataOf100Instances_DNS05_IM05(t *testing.T) {
	const instances, rounds = 100, 60
	var b strings.Builder
	b.WriteString(`version: 1
name: soak
region: ap-northeast-1
vpcs: {v: {cidr_block: 10.0.0.0/16, enable_dns_hostnames: true}}
subnets: {s: {vpc: v, cidr_block: 10.0.1.0/24}}
instances:
`)
	for i := range instances {
		fmt.Fprintf(&b, "  i%d: {subnet: s}\n", i)
	}
	l := up(t, b.String())
	daemon, machines := l.list()
	ask := func(rounds int) {
		t.Helper()
		results := make(chan error)
		for name, m := range machines {
			thread.Go(func() {
				c := customer{netns: "/run/netns/" + l.name + "." + name, id: m.ID, addr: netip.MustParseAddr(m.PrivateIp)}
				err := c.ask(rounds)
				if err != nil {
					err = fmt.Errorf("%s: %w", name, err)
				}
				results <- err
			})
		}
		for range machines {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	}
	if len(machines) != instances {
		t.Fatalf("%d instances", len(machines))
	}
	ask(1)
	files, memory := descriptors(t, daemon), resident(t, daemon)
	ask(rounds)
	eventually(t, "the daemon's descriptors are closed", func() error {
		if n := descriptors(t, daemon); n > files {
			return fmt.Errorf("%d descriptors, %d before", n, files)
		}
		return nil
	})
	if now := resident(t, daemon); now > memory+64<<20 {
		t.Errorf("the daemon has %d MiB, %d before", now>>20, memory>>20)
	}
	if n := l.counters().Verdicts["LINKLOCAL_ALLOWANCE_EXCEEDED"]; n > 0 {
		t.Errorf("%d packets above the limit of 1024 a second, from instances that wait for each answer", n)
	}
}

// A customer asks from one instance's network namespace, one question after the other.
type customer struct {
	netns, id string
	addr      netip.Addr
	token     string
}

// ask is run on a thread of its own.
func (c *customer) ask(rounds int) error {
	ns, err := os.Open(c.netns)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	for i := range rounds {
		network := "udp"
		if i%10 == 0 {
			network = "tcp"
		}
		if err := errors.Join(c.names(network), c.self(i%20 == 0)); err != nil {
			return fmt.Errorf("round %d: %w", i, err)
		}
	}
	return nil
}

// names asks the resolver for the instance's own name, and for one that nobody has.
func (c *customer) names(network string) error {
	conn, err := dialTimeout(network, "10.0.0.2:53")
	if err != nil {
		return err
	}
	defer conn.Close()
	own := "ip-" + strings.ReplaceAll(c.addr.String(), ".", "-") + ".ap-northeast-1.compute.internal."
	code, addr, err := query(conn, network, own)
	if err != nil || code != dnsmessage.RCodeSuccess || addr != c.addr {
		return fmt.Errorf("%s over %s: %v %v %w", own, network, code, addr, err)
	}
	code, _, err = query(conn, network, "nobody.ap-northeast-1.compute.internal.")
	if err != nil || code != dnsmessage.RCodeNameError {
		return fmt.Errorf("nobody over %s: %v %w", network, code, err)
	}
	return nil
}

func dialTimeout(network, addr string) (net.Conn, error) {
	conn, err := net.DialTimeout(network, addr, limit)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(limit))
	}
	return conn, err
}

// query sends one question and reads its answer; a datagram that is lost is one that the
// test fails for.
func query(conn net.Conn, network, name string) (code dnsmessage.RCode, addr netip.Addr, err error) {
	q := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true}, Questions: []dnsmessage.Question{
		{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	b, err := q.Pack()
	if err != nil {
		return 0, addr, err
	}
	if network == "tcp" {
		b = append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
	}
	if _, err = conn.Write(b); err != nil {
		return 0, addr, err
	}
	answer := make([]byte, 4096)
	var n int
	if network == "tcp" {
		if _, err = io.ReadFull(conn, answer[:2]); err == nil {
			n, err = io.ReadFull(conn, answer[:binary.BigEndian.Uint16(answer)])
		}
	} else {
		n, err = conn.Read(answer)
	}
	if err != nil {
		return 0, addr, err
	}
	var r dnsmessage.Message
	if err := r.Unpack(answer[:n]); err != nil {
		return 0, addr, err
	}
	for _, a := range r.Answers {
		if a, ok := a.Body.(*dnsmessage.AResource); ok {
			addr = netip.AddrFrom4(a.A)
		}
	}
	return r.RCode, addr, nil
}

// self asks for the instance's own ID and address, with a token.
func (c *customer) self(fresh bool) error {
	if fresh || c.token == "" {
		token, err := c.http(http.MethodPut, "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds", "60")
		if err != nil {
			return err
		}
		c.token = token
	}
	for path, want := range map[string]string{"instance-id": c.id, "local-ipv4": c.addr.String()} {
		got, err := c.http(http.MethodGet, "/latest/meta-data/"+path, "X-aws-ec2-metadata-token", c.token)
		if err != nil || got != want {
			return fmt.Errorf("%s: %q, want %q: %w", path, got, want, err)
		}
	}
	return nil
}

// http sends one request. The server closes the connection after its answer, as AWS's does.
func (c *customer) http(method, path, header, value string) (string, error) {
	req, err := http.NewRequest(method, "http://169.254.169.254"+path, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set(header, value)
	conn, err := dialTimeout("tcp", "169.254.169.254:80")
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := req.Write(conn); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(body), err
}

func descriptors(t *testing.T, pid int) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// resident is a process's memory in bytes.
func resident(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kib int
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	t.Fatal("no VmRSS in /proc/PID/status")
	return 0
}
