package graph_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	pt "github.com/vpcemu/vpcemu/dataplane/porttest"
	"github.com/vpcemu/vpcemu/internal/compile"
	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/explain"
	"github.com/vpcemu/vpcemu/internal/vpc"
	"github.com/vpcemu/vpcemu/nat"
)

// traced sends an imagined packet through the network that a model says, all of it running.
func traced(t testing.TB, m *vpc.Model, req control.TraceRequest) *control.Trace {
	t.Helper()
	ct, err := conntrack.Open("", 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer ct.Close()
	nt, err := nat.OpenTable("", 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer nt.Close()
	e, err := dataplane.NewEngine(dataplane.Config{Conntrack: ct, NAT: nt, RelatedICMP: true, Now: func() int64 { return int64(time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	s, err := compile.Snapshot(m, ports{m}, 1)
	if err != nil {
		t.Fatal(err)
	}
	e.Swap(s)
	tr, err := explain.Trace(m, e.Tracer(), req)
	if err != nil {
		t.Fatal(err)
	}
	return samePorts(t, tr)
}

// ports is compile.Ports where everything runs that should.
type ports struct{ m *vpc.Model }

func (p ports) ENI(handle uint32) dataplane.Port {
	for _, e := range p.m.NetworkInterfaces.All() {
		if a := e.Attachment; e.Handle == handle && a != nil && a.InstanceID != "" && p.m.Instances.Get(a.InstanceID).State != vpc.StateRunning {
			return nil
		}
	}
	return pt.NewPort(fmt.Sprint(handle))
}

func (ports) Services(id vpc.VpcID) dataplane.Port { return pt.NewPort(string(id)) }

func (ports) Refused() []netip.Prefix { return nil }

// running is a model after the host has started everything.
func running(m *vpc.Model) *vpc.Model {
	tx := vpc.Begin(m, vpc.Call{Now: now, NewID: func(prefix string) string { return prefix + "1" }})
	for id := range tx.Instances.All() {
		tx.InstanceRunning(id)
		if tx.Instances.Get(id).State == vpc.StateStopping {
			tx.InstanceStopped(id, "")
		}
	}
	for id := range tx.InternetHosts.All() {
		tx.InternetHostRunning(id)
	}
	return &tx.Model
}

// natPort is a port that a NAT gateway chose, which differs from run to run.
var natPort = regexp.MustCompile(`"(172\.30\.0\.4|203\.0\.113\.1):\d{4,5}"`)

func samePorts(t testing.TB, tr *control.Trace) *control.Trace {
	t.Helper()
	b, err := json.Marshal(tr)
	if err != nil {
		t.Fatal(err)
	}
	same := &control.Trace{}
	if err := json.Unmarshal(natPort.ReplaceAll(b, []byte(`"$1:20001"`)), same); err != nil {
		t.Fatal(err)
	}
	return same
}
