package vpc

import (
	"testing"
	"time"
)

// With AWS's delays, objects are in the states that clients wait for, in their order, and
// pass when they are due and not before.
func TestDelays_StatesPassInOrder(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	m, err := New("lab", "123456789012", "us-east-1", nil, Call{Now: now, NewID: RandomID}, true)
	if err != nil {
		t.Fatal(err)
	}
	m.Api.Delays = DelaysAWS
	tx := Begin(&m, Call{Now: now, NewID: RandomID})
	must := func(action string, in any) any {
		t.Helper()
		out, err := tx.Run(action, in)
		if err != nil {
			t.Fatal(action, err)
		}
		return out
	}
	pass := func(d time.Duration) { now = now.Add(d); tx.Call.Now = now; tx.PurgeDeleted(now) }
	v := must("CreateVpc", &CreateVpcInput{CidrBlock: "10.0.0.0/16"}).(*CreateVpcOutput).Vpc.VpcId
	s := must("CreateSubnet", &CreateSubnetInput{VpcId: v, CidrBlock: "10.0.0.0/24"}).(*CreateSubnetOutput).Subnet.SubnetId
	g := must("CreateNatGateway", &CreateNatGatewayInput{SubnetId: s, ConnectivityType: "private"}).(*CreateNatGatewayOutput).NatGateway.NatGatewayId
	states := func(when, ofVpc, ofSubnet, ofNat string) {
		t.Helper()
		if a, b, c := tx.Vpcs.Get(v).State, tx.Subnets.Get(s).State, tx.NatGateways.Get(g).State; a != ofVpc || b != ofSubnet || c != ofNat {
			t.Errorf("%s: VPC %s, subnet %s, NAT gateway %s; want %s, %s, %s", when, a, b, c, ofVpc, ofSubnet, ofNat)
		}
	}
	states("made", "pending", "pending", "pending")
	if next := tx.NextPurge(); !next.Equal(now.Add(delaySubnet)) {
		t.Errorf("next at %s", next)
	}
	pass(delaySubnet - time.Second)
	states("soon after", "pending", "pending", "pending")
	pass(2 * time.Second)
	states("a little later", "available", "available", "pending")
	pass(delayNatCreate)
	states("later", "available", "available", "available")
	for range 2 { // the second one is told the same
		must("DeleteNatGateway", &DeleteNatGatewayInput{NatGatewayId: g})
		states("deleted", "available", "available", "deleting")
	}
	if _, err := tx.Run("DeleteSubnet", &DeleteSubnetInput{SubnetId: s}); errorCode(err) != "DependencyViolation" {
		t.Errorf("the subnet of a gateway that is being deleted: %v", err)
	}
	pass(delayNatDelete)
	states("at last", "available", "available", "deleted")
	if n := tx.NetworkInterfaces.Len(); n != 0 {
		t.Errorf("%d interfaces are left", n)
	}
	must("DeleteSubnet", &DeleteSubnetInput{SubnetId: s})
	for _, problem := range tx.Check() {
		t.Error(problem)
	}
	tx.Call.AtOnce = true
	if at := must("CreateVpc", &CreateVpcInput{CidrBlock: "10.1.0.0/16"}).(*CreateVpcOutput).Vpc.VpcId; tx.Vpcs.Get(at).State != "available" {
		t.Error("a topology file waits")
	}
}

// An interface that is attached takes its time, and one that is detached meanwhile has none left.
func TestDelays_OfAnInterface(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	m, err := New("lab", "123456789012", "us-east-1", nil, Call{Now: now, NewID: RandomID}, true)
	if err != nil {
		t.Fatal(err)
	}
	m.Api.Delays = DelaysAWS
	tx := Begin(&m, Call{Now: now, NewID: RandomID})
	run, err := tx.RunInstances(&RunInstancesInput{})
	if err != nil {
		t.Fatal(err)
	}
	i := run.Instances[0].InstanceId
	if due := tx.Instances.Get(i).Due; !due.Equal(now.Add(delayInstanceRun)) {
		t.Errorf("the instance runs at %s", due)
	}
	tx.PurgeDeleted(now.Add(delayInstanceRun))
	if state := tx.Instances.Get(i).State; state != StatePending {
		t.Errorf("the instance is %s before its host says so", state)
	}
	tx.InstanceRunning(i)
	made, err := tx.CreateNetworkInterface(&CreateNetworkInterfaceInput{SubnetId: tx.Instances.Get(i).SubnetID})
	if err != nil {
		t.Fatal(err)
	}
	id := made.NetworkInterface.NetworkInterfaceId
	attached, err := tx.AttachNetworkInterface(&AttachNetworkInterfaceInput{NetworkInterfaceId: id, InstanceId: i, DeviceIndex: new(1)})
	if err != nil {
		t.Fatal(err)
	}
	status := func() string { return tx.NetworkInterfaces.Get(id).Attachment.Status }
	if s := status(); s != "attaching" {
		t.Errorf("at first it is %s", s)
	}
	tx.PurgeDeleted(now.Add(delayAttach))
	if s := status(); s != "attached" {
		t.Errorf("then it is %s", s)
	}
	if _, err := tx.DetachNetworkInterface(&DetachNetworkInterfaceInput{AttachmentId: attached.AttachmentId}); err != nil {
		t.Fatal(err)
	}
	if n := tx.NetworkInterfaces.Get(id); !n.Due.IsZero() || n.Status != "available" {
		t.Errorf("detached: %s, due %s", n.Status, n.Due)
	}
}
