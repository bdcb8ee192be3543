package daemon

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// An instance that the host has started at once is pending as long as on AWS, over a restart of the
// daemon too, and one that is terminated meanwhile need not wait for its end first.
func TestAPI_InstancesTakeTheirTime(t *testing.T) {
	b := newBench(t)
	var passed atomic.Int64
	b.Close()
	b.cfg.Now = func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }
	b.open()
	b.mustUp(emptyAccount)
	b.api(control.APIRequest{Listen: anyPort, Delays: control.DelaysAWS})
	pass := func(d time.Duration) { passed.Add(int64(d)); b.reconcile() }
	run := func() vpc.InstanceID {
		return mustCall[vpc.RunInstancesOutput](b, "RunInstances", &vpc.RunInstancesInput{ImageId: vpc.ImageID}).Instances[0].InstanceId
	}
	state := func(id vpc.InstanceID) string { return b.Model().Instances.Get(id).State }
	becomes := func(id vpc.InstanceID, want string) {
		t.Helper()
		b.eventually("it is "+want, func() bool { return state(id) == want })
	}
	first, second := run(), run()
	b.eventually("both have started", func() bool { return len(b.m.names()) == 2 })
	b.reopen()
	mustCall[vpc.TerminateInstancesOutput](b, "TerminateInstances", &vpc.TerminateInstancesInput{InstanceIds: []vpc.InstanceID{second}})
	b.eventually("its sandbox has gone", func() bool { return len(b.m.names()) == 1 })
	if a, c := state(first), state(second); a != vpc.StatePending || c != vpc.StateShuttingDown {
		t.Fatalf("the first is %s, the second %s", a, c)
	}
	pass(time.Minute)
	becomes(first, vpc.StateRunning)
	becomes(second, vpc.StateTerminated)
	mustCall[vpc.StopInstancesOutput](b, "StopInstances", &vpc.StopInstancesInput{InstanceIds: []vpc.InstanceID{first}})
	b.eventually("nothing runs", func() bool { return len(b.m.names()) == 0 })
	if s := state(first); s != vpc.StateStopping {
		t.Fatalf("the first is %s", s)
	}
	pass(time.Minute)
	becomes(first, vpc.StateStopped)
	b.api(control.APIRequest{Delays: control.DelaysNone})
	mustCall[vpc.StartInstancesOutput](b, "StartInstances", &vpc.StartInstancesInput{InstanceIds: []vpc.InstanceID{first}})
	becomes(first, vpc.StateRunning)
}

// What the model alone brings about, housekeeping does.
func TestAPI_ObjectsTakeTheirTime(t *testing.T) {
	b := newBench(t)
	b.mustUp(emptyAccount)
	b.api(control.APIRequest{Listen: anyPort, Delays: control.DelaysAWS})
	v := mustCall[vpc.CreateVpcOutput](b, "CreateVpc", &vpc.CreateVpcInput{CidrBlock: "10.0.0.0/16"}).Vpc.VpcId
	if s := b.Model().Vpcs.Get(v).State; s != "pending" {
		t.Errorf("it is %s", s)
	}
	b.eventually("it is available", func() bool { return b.Model().Vpcs.Get(v).State == "available" })
	if _, err := b.API(t.Context(), &control.APIRequest{Delays: "long"}); err == nil {
		t.Error("any delays will do")
	}
}
