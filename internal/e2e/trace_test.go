package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/topologies"
)

// lesson brings a topology that comes with vpcemu up in a lab of its own.
func lesson(t *testing.T, name string) *lab {
	t.Helper()
	text, err := topologies.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return up(t, string(text))
}

// traced runs a trace, as JSON, that has to end with the given status.
func (l *lab) traced(status int, args ...string) control.Trace {
	l.t.Helper()
	out, errs, got := l.try("", append([]string{"trace", "-o", "json"}, args...)...)
	var tr control.Trace
	if err := json.Unmarshal([]byte(out), &tr); err != nil || got != status {
		l.t.Fatalf("trace %s: exit status %d, want %d: %v\n%s%s", strings.Join(args, " "), got, status, err, out, errs)
	}
	return tr
}

// made tells how many connections and mappings there have been.
func (l *lab) made() (n [2]uint64) {
	l.t.Helper()
	var c control.Counters
	if err := json.Unmarshal([]byte(l.cli("counters", "-o", "json")), &c); err != nil {
		l.t.Fatal(err)
	}
	return [2]uint64{c.Connections.Made, c.Mappings.Made}
}

func TestTraceOfTheBook(t *testing.T) {
	l := lesson(t, "book")
	before := l.made()

	text := l.cli("trace", "laptop", "web", "tcp/ssh")
	for _, part := range []string{"laptop → web, tcp/22: reachable\n", "\nForward: " + l.publicOf("laptop") + ":40000 → " + l.publicOf("web") + ":22, tcp SYN\n",
		"  security group in   web  ", " web: tcp 22 from 0.0.0.0/0\n", "✓ delivered           laptop\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	tr := l.traced(0, "db", "server", "tcp/80")
	if !tr.Reachable || tr.SeenAs != l.elasticOf("nat") || len(tr.Via) != 2 || tr.Via[0].Name != "nat" || !tr.Return.Delivered {
		t.Errorf("%+v", tr)
	}
	tr = l.traced(1, "laptop", "web", "tcp/mysql")
	if tr.Reachable || tr.Reason != "ENI_SG_RULES_MISMATCH" || tr.Decided.Name != "web" || tr.Return != nil || len(tr.Advice) < 2 {
		t.Errorf("%+v", tr)
	}
	tr = l.traced(1, "web", "server", "icmp", "--size", "9001", "--dont-fragment")
	if want := "icmp fragmentation needed, MTU 1500, from 172.30.0.1"; tr.Forward.Answer != want {
		t.Errorf("answer %q, want %q", tr.Forward.Answer, want)
	}
	if diagram := l.cli("trace", "db", "server", "tcp/80", "-o", "mermaid"); !strings.HasPrefix(diagram, "sequenceDiagram\n    participant p0 as db<br/>") {
		t.Errorf("diagram:\n%s", diagram)
	}
	for _, args := range []string{"nobody web tcp/22", "laptop web tcp", "laptop web tcp/22-23", "laptop web foo/1", "nat web tcp/22", "laptop web", "laptop web tcp/22 -o xml"} {
		if _, errs, status := l.try("", append([]string{"trace"}, strings.Fields(args)...)...); status != 2 || errs == "" {
			t.Errorf("trace %s: exit status %d, %s", args, status, errs)
		}
	}
	if after := l.made(); after != before {
		t.Errorf("traces made connections or mappings: %v, before %v", after, before)
	}

	// What is told of the way through the NAT gateway is what a server sees.
	l.waitPort("server", "tcp", 80)
	l.in("db", "curl -sS -m 20 -o /dev/null http://"+l.publicOf("server")+"/")
	if seen := l.in("server", "tail -n 1 /root/seen.log"); !strings.HasPrefix(seen, l.traced(0, "db", "server", "tcp/80").SeenAs+" ") {
		t.Errorf("the server saw %q", seen)
	}
	// A tracked connection with the port that traces use stands in no new one's way.
	l.start("db", "exec sleep 1000 | nc -p 40000 "+l.publicOf("server")+" 80")
	eventually(t, "connection from port 40000", func() error {
		_, err := l.command("exec", "db", "--", "sh", "-c", "ss -Htn state established sport = :40000 | grep -q .").CombinedOutput()
		return err
	})
	tr = l.traced(0, "db", "server", "tcp/80")
	if got := tr.Forward.Hops[0].Before.Source; !strings.HasSuffix(got, ":40001") {
		t.Errorf("from %s", got)
	}
}

func TestAdviceOfATraceMakesSSHWork(t *testing.T) {
	l := lesson(t, "acl-ephemeral")
	web := l.publicOf("web")
	if l.reaches("laptop", web, 22, 1) {
		t.Error("ssh works without an egress rule for its answers")
	}
	tr := l.traced(1, "laptop", "web", "tcp/22")
	if tr.Reason != "SUBNET_ACL_RESTRICTION" || tr.Decided.Name != "public" || tr.DecidedRule != "deny all to 0.0.0.0/0" || !tr.Forward.Delivered {
		t.Errorf("%+v", tr)
	}
	text, _, _ := l.try("", "trace", "laptop", "web", "tcp/22")
	for _, part := range []string{": not reachable: the answer does not come back\n", "✗ network ACL out     public  subnet public, rule *: deny all to 0.0.0.0/0\n",
		"\nSUBNET_ACL_RESTRICTION: denied by the subnet's network ACL.\n", "  sudo vpcemu ec2 create-network-acl-entry --network-acl-id public --egress --rule-number 100 \\\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	carried := 0
	for _, a := range tr.Advice {
		if line, ok := strings.CutPrefix(a, "vpcemu ec2 "); ok {
			l.ec2(line)
			carried++
		}
	}
	if carried != 1 {
		t.Errorf("advice: %q", tr.Advice)
	}
	if tr := l.traced(0, "laptop", "web", "tcp/22"); !tr.Reachable {
		t.Errorf("%+v", tr)
	}
	equal(t, "ssh", l.login("laptop", "ec2-user@"+web+" echo works"), "works")
}

func TestMatrixOfTheBook(t *testing.T) {
	l := lesson(t, "book")
	before := l.made()
	want := `FROM \ TO  db   web        laptop  server  internet
db         ·    all        all     all     all
web        all  ·          all     all     all
laptop     -    tcp 22,80  ·       all     all
server     -    tcp 22,80  all     ·       all
internet   -    tcp 22,80  all     all     ·
`
	if got := l.cli("matrix"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	var x control.Matrix
	if err := json.Unmarshal([]byte(l.cli("matrix", "--from", "laptop", "--to", "web", "--ports", "tcp/http,tcp/mysql", "-o", "json")), &x); err != nil {
		t.Fatal(err)
	}
	if s := x.Cells[0][0].Spans; len(s) != 2 || !s[0].Reached || s[1].Reached || s[1].Reason != "ENI_SG_RULES_MISMATCH" {
		t.Errorf("%+v", s)
	}
	equal(t, "csv", l.cli("matrix", "--from", "internet", "--to", "public", "-o", "csv"), "from,web\ninternet,\"tcp 22,80\"\n")
	if page := l.cli("matrix", "-o", "html"); !strings.HasPrefix(page, "<!DOCTYPE html>") || !strings.Contains(page, "tcp 22,80") || !strings.Contains(page, "udp all; icmp: ENI_SG_RULES_MISMATCH") {
		t.Errorf("page:\n%s", page)
	}
	for _, args := range []string{"--from nobody", "--ports tcp", "--ports tcp/1-2", "--protocol gre", "-o xml", "extra"} {
		if _, errs, status := l.try("", append([]string{"matrix"}, strings.Fields(args)...)...); status != 2 || errs == "" {
			t.Errorf("matrix %s: exit status %d, %s", args, status, errs)
		}
	}
	if after := l.made(); after != before {
		t.Errorf("the matrix made connections or mappings: %v, before %v", after, before)
	}
	l.cli("stop", "db")
	if got := l.cli("matrix", "--from", "db"); !strings.Contains(got, "instance db is stopped") {
		t.Error(got)
	}
}
