package explain

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/dataplane"
	pt "github.com/vpcemu/vpcemu/dataplane/porttest"
	"github.com/vpcemu/vpcemu/internal/awscli"
	"github.com/vpcemu/vpcemu/internal/compile"
	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/endpoint"
	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
	"github.com/vpcemu/vpcemu/nat"
	"github.com/vpcemu/vpcemu/topologies"
)

var update = flag.Bool("update", false, "write testdata/*.golden")

var start = time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)

// lab is a cloud in memory with an engine that traces go through. Nothing is sent.
type lab struct {
	testing.TB
	vpc.Model
	engine *dataplane.Engine
	nats   *nat.Table
	now    time.Duration
	ids    int
	gen    uint64
	close  func() // ends the engine, as the end of the test does
	// fail stands in for Fatalf.
	fail func(format string, a ...any)
}

func newLab(t testing.TB, yaml string) *lab {
	t.Helper()
	f, err := topology.Parse("test.yaml", []byte("version: 1\nname: test\nregion: ap-northeast-1\n"+yaml))
	if err != nil {
		t.Fatal(err)
	}
	return labOf(t, f)
}

// embedded is one of the topologies that come with vpcemu.
func embedded(t testing.TB, name string) *lab {
	t.Helper()
	f, err := topology.ParseFS(topologies.FS(), name+".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return labOf(t, f)
}

func labOf(t testing.TB, f *topology.File) *lab {
	t.Helper()
	l := &lab{TB: t}
	ct, err := conntrack.Open("", 4096)
	if err != nil {
		t.Fatal(err)
	}
	nt, err := nat.OpenTable("", 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	l.engine, err = dataplane.NewEngine(dataplane.Config{Conntrack: ct, NAT: nt, RelatedICMP: true,
		Now: func() int64 { return int64(time.Hour + l.now) }})
	if err != nil {
		t.Fatal(err)
	}
	l.nats = nt
	l.close = sync.OnceFunc(func() { l.engine.Close(); ct.Close(); nt.Close() })
	l.fail = t.Fatalf
	t.Cleanup(l.close)
	m, _, _, err := f.Converge(&l.Model, start, topology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l.Model = m
	l.change(func(*vpc.Tx) error { return nil })
	return l
}

// change changes the model, lets the host do its part at once, and swaps the snapshot.
func (l *lab) change(f func(tx *vpc.Tx) error) error {
	l.Helper()
	tx := vpc.Begin(&l.Model, vpc.Call{Now: start.Add(l.now), NewID: func(prefix string) string {
		l.ids++
		return fmt.Sprintf("%sf%016x", prefix, l.ids)
	}})
	if err := f(tx); err != nil {
		return err
	}
	for id := range tx.Instances.All() {
		tx.InstanceRunning(id)
		if tx.Instances.Get(id).State == vpc.StateStopping {
			tx.InstanceStopped(id, "")
		}
		tx.InstanceTerminated(id)
	}
	for id := range tx.InternetHosts.All() {
		tx.InternetHostRunning(id)
	}
	l.Model = tx.Model
	l.gen++
	s, err := compile.Snapshot(&l.Model, l, l.gen)
	if err != nil {
		l.Fatal(err)
	}
	l.engine.Swap(s)
	return nil
}

// ENI implements compile.Ports: a port for everything that runs.
func (l *lab) ENI(handle uint32) dataplane.Port {
	for _, e := range l.NetworkInterfaces.All() {
		if e.Handle == handle && e.Attachment != nil {
			if i := l.Instances.Get(e.Attachment.InstanceID); i == nil || i.State != vpc.StateRunning {
				return nil
			}
		}
	}
	return pt.NewPort(fmt.Sprint(handle))
}

// Services implements compile.Ports.
func (l *lab) Services(id vpc.VpcID) dataplane.Port {
	return pt.NewPort("resolver of " + string(id))
}

// ec2 runs an operation, written as on the command line.
func (l *lab) ec2(line string) {
	l.Helper()
	if err := l.try(line); err != nil {
		l.fail("ec2 %s: %v", line, err)
	}
}

func (l *lab) try(line string) error {
	l.Helper()
	name, rest, err := awscli.Split(shellWords(line))
	if err != nil {
		return err
	}
	action, err := awscli.ActionName(name)
	if err != nil {
		return err
	}
	in, _, err := awscli.Parse(action, rest)
	if err != nil {
		return err
	}
	return l.change(func(tx *vpc.Tx) error {
		if err := vpc.ResolveNames(&tx.Model, in); err != nil {
			return err
		}
		_, err := tx.Run(action.Name, in)
		return err
	})
}

// shellWords splits a line as a shell does where only single quotes are used.
func shellWords(line string) (list []string) {
	quoted, word, some := false, "", false
	for _, r := range line {
		switch {
		case r == '\'':
			quoted, some = !quoted, true
		case r == ' ' && !quoted:
			if some || word != "" {
				list = append(list, word)
			}
			word, some = "", false
		default:
			word += string(r)
		}
	}
	if some || word != "" {
		list = append(list, word)
	}
	return list
}

// request reads "laptop web tcp/22" and options: size=N, ttl=N, df, established, from=PORT.
func request(t testing.TB, line string) control.TraceRequest {
	t.Helper()
	f := strings.Fields(line)
	req := control.TraceRequest{From: f[0], To: f[1]}
	proto, port, _ := strings.Cut(f[2], "/")
	req.Protocol = proto
	fmt.Sscan(port, &req.Port)
	for _, o := range f[3:] {
		key, value, _ := strings.Cut(o, "=")
		var n int
		fmt.Sscan(value, &n)
		switch key {
		case "size":
			req.Size = n
		case "ttl":
			req.TTL = n
		case "from":
			req.SourcePort = n
		case "df":
			req.DontFragment = true
		case "established":
			req.Established = true
		default:
			t.Fatalf("option %q", o)
		}
	}
	return req
}

func (l *lab) trace(line string) *control.Trace {
	l.Helper()
	tr, err := Trace(&l.Model, l.engine.Tracer(), request(l, line))
	if err != nil {
		l.fail("%s: %v", line, err)
	}
	return tr
}

// golden compares text with a file of testdata.
func golden(t testing.TB, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// setACL gives the subnet another network ACL.
func (l *lab) setACL(subnet, acl string) {
	l.Helper()
	for _, s := range l.Subnets.All() {
		if s.Name() == subnet {
			l.ec2("replace-network-acl-association --association-id " + string(s.AclAssociationID) + " --network-acl-id " + acl)
			return
		}
	}
	l.Fatalf("no subnet is called %q", subnet)
}

// marked are words of a script that stand for what an instance has: web* for its public
// address, web! for its interface.
var marked = regexp.MustCompile(`%([a-z0-9-]+)([*!])`)

func (l *lab) expand(line string) string {
	l.Helper()
	return marked.ReplaceAllStringFunc(line, func(word string) string {
		m := marked.FindStringSubmatch(word)
		e, err := endpoint.Find(&l.Model, m[1])
		if err != nil {
			l.Fatal(err)
		}
		if m[2] == "*" {
			return e.Public.String()
		}
		return string(e.Interface.ID)
	})
}

// operate runs an EC2 operation, or "acl SUBNET ACL".
func (l *lab) operate(op string) {
	l.Helper()
	if f := strings.Fields(op); f[0] == "acl" {
		l.setACL(f[1], f[2])
	} else {
		l.ec2(op)
	}
}

// script runs operations, one a line.
func (l *lab) script(lines string) {
	l.Helper()
	for line := range strings.Lines(lines) {
		l.operate(l.expand(strings.TrimPrefix(strings.TrimSpace(line), "$ ")))
	}
}

// idOf is the ID of a gateway or route table.
func (l *lab) idOf(name string) string {
	l.Helper()
	for id, g := range l.InternetGateways.All() {
		if g.Name() == name {
			return string(id)
		}
	}
	for id, g := range l.NatGateways.All() {
		if g.Name() == name {
			return string(id)
		}
	}
	for id, t := range l.RouteTables.All() {
		if t.Name() == name {
			return string(id)
		}
	}
	l.Fatalf("nothing is called %q", name)
	return ""
}

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }
