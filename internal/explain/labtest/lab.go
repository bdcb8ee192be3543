// Package labtest is a lab in memory for tests that trace packets: a model that
// operations change, compiled into an engine to which nothing is sent.
package labtest

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	pt "github.com/vpcemu/vpcemu/dataplane/porttest"
	"github.com/vpcemu/vpcemu/internal/awscli"
	"github.com/vpcemu/vpcemu/internal/compile"
	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/endpoint"
	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
	"github.com/vpcemu/vpcemu/nat"
	"github.com/vpcemu/vpcemu/topologies"
)

var start = time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)

// Lab is a cloud in memory with an engine that traces go through. Nothing is sent.
type Lab struct {
	testing.TB
	vpc.Model
	Engine *dataplane.Engine
	Nats   *nat.Table
	Close  func() // ends the engine, as the end of the test does
	// Failf stands in for Fatalf.
	Failf func(format string, a ...any)

	now time.Duration
	ids int
	gen uint64
}

// New is the lab of a topology, whose text needs neither version nor name.
func New(t testing.TB, yaml string) *Lab {
	t.Helper()
	f, err := topology.Parse("test.yaml", []byte("version: 1\nname: test\nregion: ap-northeast-1\n"+yaml))
	if err != nil {
		t.Fatal(err)
	}
	return of(t, f)
}

// Embedded is one of the topologies that come with vpcemu.
func Embedded(t testing.TB, name string) *Lab {
	t.Helper()
	f, err := topology.ParseFS(topologies.FS(), name+".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return of(t, f)
}

func of(t testing.TB, f *topology.File) *Lab {
	t.Helper()
	l := &Lab{TB: t}
	ct, err := conntrack.Open("", 4096)
	if err != nil {
		t.Fatal(err)
	}
	nt, err := nat.OpenTable("", 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	l.Engine, err = dataplane.NewEngine(dataplane.Config{Conntrack: ct, NAT: nt, RelatedICMP: true,
		Now: func() int64 { return int64(time.Hour + l.now) }})
	if err != nil {
		t.Fatal(err)
	}
	l.Nats = nt
	l.Close = sync.OnceFunc(func() { l.Engine.Close(); ct.Close(); nt.Close() })
	l.Failf = t.Fatalf
	t.Cleanup(l.Close)
	m, _, _, err := f.Converge(&l.Model, start, topology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l.Model = m
	l.change(func(*vpc.Tx) error { return nil })
	return l
}

// change changes the model, lets the host do its part at once, and swaps the snapshot.
func (l *Lab) change(f func(tx *vpc.Tx) error) error {
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
	l.Engine.Swap(s)
	return nil
}

// ENI implements compile.Ports: a port for everything that runs.
func (l *Lab) ENI(handle uint32) dataplane.Port {
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
func (l *Lab) Services(id vpc.VpcID) dataplane.Port {
	return pt.NewPort("resolver of " + string(id))
}

// Refused implements compile.Ports: the machine is in one private network.
func (l *Lab) Refused() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")}
}

// EC2 runs an operation, written as on the command line.
func (l *Lab) EC2(line string) {
	l.Helper()
	if err := l.try(line); err != nil {
		l.Failf("ec2 %s: %v", line, err)
	}
}

func (l *Lab) try(line string) error {
	l.Helper()
	name, rest, err := awscli.Split(shellWords(line))
	if err != nil {
		return err
	}
	action, err := awscli.ActionName(name)
	if err != nil {
		return err
	}
	in, opts, err := awscli.Parse(action, rest)
	if err != nil {
		return err
	}
	return l.change(func(tx *vpc.Tx) error {
		tx.Call.Region = opts.Region
		if err := vpc.ResolveNames(&tx.Model, opts.Region, in); err != nil {
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

// SetACL gives the subnet another network ACL.
func (l *Lab) SetACL(subnet, acl string) {
	l.Helper()
	for _, s := range l.Subnets.All() {
		if s.Name() == subnet {
			l.EC2("replace-network-acl-association --association-id " + string(s.AclAssociationID) + " --network-acl-id " + acl)
			return
		}
	}
	l.Fatalf("no subnet is called %q", subnet)
}

// marked are words of a script that stand for what an instance has: web* for its public
// address, web! for its interface.
var marked = regexp.MustCompile(`%([a-z0-9-]+)([*!])`)

func (l *Lab) Expand(line string) string {
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

// Operate runs an EC2 operation, or "acl SUBNET ACL".
func (l *Lab) Operate(op string) {
	l.Helper()
	if f := strings.Fields(op); f[0] == "acl" {
		l.SetACL(f[1], f[2])
	} else {
		l.EC2(op)
	}
}

// Script runs operations, one a line.
func (l *Lab) Script(lines string) {
	l.Helper()
	for line := range strings.Lines(lines) {
		l.Operate(l.Expand(strings.TrimPrefix(strings.TrimSpace(line), "$ ")))
	}
}
