package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

const manyClients = 64

// quotasForMany are such that the clients of a test are not refused.
const quotasForMany = emptyAccount + "quotas: {security-groups-per-region: 5000, elastic-ips-per-region: 200, nat-gateways-per-zone: 100}\n"

// call is Do with the output's type.
func call[Out any](b *bench, action string, in any) (*Out, error) {
	out, err := b.Do(b.t.Context(), "us-east-1", action, in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	return out.(*Out), nil
}

// mustCall is call in a test that it may not fail.
func mustCall[Out any](b *bench, action string, in any) *Out {
	b.t.Helper()
	out, err := call[Out](b, action, in)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *bench) defaultVpc() vpc.VpcID {
	b.t.Helper()
	for id, v := range b.Model().Vpcs.All() {
		if v.IsDefault {
			return id
		}
	}
	b.t.Fatal("no default VPC")
	return ""
}

func (b *bench) defaultSubnet() vpc.SubnetID {
	b.t.Helper()
	for id, s := range b.Model().Subnets.All() {
		if s.DefaultForAz {
			return id
		}
	}
	b.t.Fatal("no default subnet")
	return ""
}

func code(err error) string {
	var e *vpc.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// lifeOfAGroup is what one of Terraform's workers does: it creates, changes, reads back and
// deletes, and each answer is true of what went before.
func lifeOfAGroup(b *bench, n int) error {
	v, name := b.defaultVpc(), fmt.Sprintf("group-%d", n)
	made, err := call[vpc.CreateSecurityGroupOutput](b, "CreateSecurityGroup", &vpc.CreateSecurityGroupInput{GroupName: name, Description: "d", VpcId: v})
	if err != nil {
		return err
	}
	id := made.GroupId
	if _, err := call[vpc.CreateTagsOutput](b, "CreateTags", &vpc.CreateTagsInput{Resources: []vpc.ResourceID{vpc.ResourceID(id)}, Tags: []vpc.Tag{{Key: "n", Value: name}}}); err != nil {
		return err
	}
	port := 1000 + n
	allow := []vpc.IpPermission{{IpProtocol: "tcp", FromPort: &port, ToPort: &port, IpRanges: []vpc.IpRange{{CidrIp: "10.0.0.0/8"}}}}
	if _, err := call[vpc.AuthorizeSecurityGroupIngressOutput](b, "AuthorizeSecurityGroupIngress", &vpc.AuthorizeSecurityGroupIngressInput{GroupId: id, IpPermissions: allow}); err != nil {
		return err
	}
	found, err := call[vpc.DescribeSecurityGroupsOutput](b, "DescribeSecurityGroups", &vpc.DescribeSecurityGroupsInput{Filters: []vpc.Filter{{Name: "tag:n", Values: []string{name}}}})
	if err != nil {
		return err
	}
	if len(found.SecurityGroups) != 1 || found.SecurityGroups[0].GroupId != id || len(found.SecurityGroups[0].IpPermissions) != 1 {
		return fmt.Errorf("%s: found %+v", name, found.SecurityGroups)
	}
	if _, err := call[vpc.DeleteSecurityGroupOutput](b, "DeleteSecurityGroup", &vpc.DeleteSecurityGroupInput{GroupId: id}); err != nil {
		return err
	}
	_, err = call[vpc.DescribeSecurityGroupsOutput](b, "DescribeSecurityGroups", &vpc.DescribeSecurityGroupsInput{GroupIds: []vpc.SecurityGroupID{id}})
	if code(err) != "InvalidGroup.NotFound" {
		return fmt.Errorf("%s after its end: %w", name, err)
	}
	return nil
}

// lifeOfAnInstance is the same with an instance that has a second interface for a while.
func lifeOfAnInstance(b *bench, n int) error {
	subnet := b.defaultSubnet()
	run, err := call[vpc.RunInstancesOutput](b, "RunInstances", &vpc.RunInstancesInput{ImageId: vpc.ImageID, SubnetId: subnet})
	if err != nil {
		return err
	}
	instance := run.Instances[0].InstanceId
	in := &vpc.CreateNetworkInterfaceInput{SubnetId: subnet, ClientToken: fmt.Sprintf("token-%d", n)}
	made, err := call[vpc.CreateNetworkInterfaceOutput](b, "CreateNetworkInterface", in)
	if err != nil {
		return err
	}
	id, device := made.NetworkInterface.NetworkInterfaceId, 1
	again, err := call[vpc.CreateNetworkInterfaceOutput](b, "CreateNetworkInterface", in)
	if err != nil {
		return err
	}
	if again.NetworkInterface.NetworkInterfaceId != id {
		return fmt.Errorf("the same token made %s and %s", id, again.NetworkInterface.NetworkInterfaceId)
	}
	for deadline := time.Now().Add(limit); b.Model().Instances.Get(instance).State == vpc.StatePending; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) { // not eventually, which ends the test's own goroutine only
			return fmt.Errorf("%s is pending", instance)
		}
	}
	attached, err := call[vpc.AttachNetworkInterfaceOutput](b, "AttachNetworkInterface", &vpc.AttachNetworkInterfaceInput{NetworkInterfaceId: id, InstanceId: instance, DeviceIndex: &device})
	if err != nil {
		return err
	}
	if _, err := call[vpc.DetachNetworkInterfaceOutput](b, "DetachNetworkInterface", &vpc.DetachNetworkInterfaceInput{AttachmentId: attached.AttachmentId}); err != nil {
		return err
	}
	if _, err := call[vpc.DeleteNetworkInterfaceOutput](b, "DeleteNetworkInterface", &vpc.DeleteNetworkInterfaceInput{NetworkInterfaceId: id}); err != nil {
		return err
	}
	_, err = call[vpc.TerminateInstancesOutput](b, "TerminateInstances", &vpc.TerminateInstancesInput{InstanceIds: []vpc.InstanceID{instance}})
	return err
}

func TestAPI_ManyClientsAtOnce(t *testing.T) {
	b := newBench(t)
	b.mustUp(quotasForMany)
	groups, interfaces := b.Model().SecurityGroups.Len(), b.Model().NetworkInterfaces.Len()
	errs := make([]error, manyClients)
	var all sync.WaitGroup
	for n := range manyClients {
		all.Go(func() { errs[n] = errors.Join(lifeOfAGroup(b, n), lifeOfAnInstance(b, n)) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if err := b.settled(); err != nil {
		t.Fatal(err)
	}
	m := b.Model()
	for _, problem := range m.Check() {
		t.Error(problem)
	}
	if m.SecurityGroups.Len() != groups || m.NetworkInterfaces.Len() != interfaces || len(b.m.names()) > 0 {
		t.Errorf("left: %d groups, %d interfaces, %v", m.SecurityGroups.Len()-groups, m.NetworkInterfaces.Len()-interfaces, b.m.names())
	}
	for id, i := range m.Instances.All() {
		if i.State != vpc.StateTerminated {
			t.Errorf("%s is %s", id, i.State)
		}
	}
}

// What was made by calls is there after a restart as it was, and a repeated call is answered as before it.
func TestAPI_EverythingSurvivesARestart(t *testing.T) {
	b := newBench(t)
	b.mustUp(quotasForMany)
	addr := b.api(control.APIRequest{Listen: anyPort})
	subnet := b.defaultSubnet()
	eip := mustCall[vpc.AllocateAddressOutput](b, "AllocateAddress", &vpc.AllocateAddressInput{})
	in := &vpc.CreateNatGatewayInput{SubnetId: subnet, AllocationId: eip.AllocationId, ClientToken: "once"}
	nat := mustCall[vpc.CreateNatGatewayOutput](b, "CreateNatGateway", in)
	mustCall[vpc.CreateKeyPairOutput](b, "CreateKeyPair", &vpc.CreateKeyPairInput{KeyName: "k"})
	mustCall[vpc.RunInstancesOutput](b, "RunInstances", &vpc.RunInstancesInput{ImageId: vpc.ImageID, SubnetId: subnet, KeyName: "k", ClientToken: "run"})
	mustCall[vpc.CreateSecurityGroupOutput](b, "CreateSecurityGroup", &vpc.CreateSecurityGroupInput{GroupName: "g", Description: "d", VpcId: b.defaultVpc()})
	if err := b.settled(); err != nil {
		t.Fatal(err)
	}
	was := describeAll(b)
	b.reopen()
	if diff := cmp.Diff(was, describeAll(b)); diff != "" {
		t.Error("after the restart:", diff)
	}
	client{t, "any", "any", nil}.want(addr, "Action=DescribeVpcs", 200, "vpcSet")
	again := mustCall[vpc.CreateNatGatewayOutput](b, "CreateNatGateway", in)
	if again.NatGateway.NatGatewayId != nat.NatGateway.NatGatewayId {
		t.Errorf("the same token made %s and %s", nat.NatGateway.NatGatewayId, again.NatGateway.NatGatewayId)
	}
	other := *in
	other.ConnectivityType = "private"
	if _, err := b.Do(t.Context(), "us-east-1", "CreateNatGateway", &other); code(err) != "IdempotentParameterMismatch" {
		t.Errorf("the token with other parameters: %v", err)
	}
	// A file brought up beside them touches what it made itself, and no more.
	b.mustUp(quotasForMany + "security_groups: {mine: {vpc: default}}\n")
	b.mustUp(quotasForMany)
	if diff := cmp.Diff(was, describeAll(b)); diff != "" {
		t.Error("after two files:", diff)
	}
}

// A call of which EC2 does a part and tells an error of the rest: the part is kept, and nothing of a call that failed otherwise.
func TestIN04_AProtectedInstanceKeepsThoseOfItsZone(t *testing.T) {
	b := newBench(t)
	b.mustUp(quotasForMany)
	var all []vpc.InstanceID
	for _, protected := range []bool{true, false, false} {
		zone := []string{"us-east-1a", "us-east-1a", "us-east-1b"}[len(all)]
		out := mustCall[vpc.RunInstancesOutput](b, "RunInstances", &vpc.RunInstancesInput{ImageId: vpc.ImageID, Placement: &vpc.Placement{AvailabilityZone: zone}, DisableApiTermination: &protected})
		all = append(all, out.Instances[0].InstanceId)
	}
	if err := b.settled(); err != nil {
		t.Fatal(err)
	}
	_, err := b.Do(t.Context(), "us-east-1", "TerminateInstances", &vpc.TerminateInstancesInput{InstanceIds: append(all, "i-0123456789abcdef0")})
	if code(err) != "InvalidInstanceID.NotFound" {
		t.Errorf("with an instance that is not: %v", err)
	}
	states := func() (s []string) {
		for _, id := range all {
			s = append(s, b.Model().Instances.Get(id).State)
		}
		return s
	}
	equal(t, "after a call that failed whole", states(), []string{vpc.StateRunning, vpc.StateRunning, vpc.StateRunning})
	if _, err := b.Do(t.Context(), "us-east-1", "TerminateInstances", &vpc.TerminateInstancesInput{InstanceIds: all}); code(err) != "OperationNotPermitted" {
		t.Errorf("with a protected one: %v", err)
	}
	if err := b.settled(); err != nil {
		t.Fatal(err)
	}
	equal(t, "after it", states(), []string{vpc.StateRunning, vpc.StateRunning, vpc.StateTerminated})
}

// describeAll is what every Describe action without a required parameter tells.
func describeAll(b *bench) map[string]string {
	b.t.Helper()
	all := map[string]string{}
	for _, a := range vpc.Actions() {
		if !strings.HasPrefix(a.Name, "Describe") {
			continue
		}
		out, err := b.Do(b.t.Context(), "us-east-1", a.Name, reflect.New(a.Input).Interface())
		if code(err) == "MissingParameter" {
			continue
		}
		if err != nil {
			b.t.Fatal(a.Name, err)
		}
		text, err := json.MarshalIndent(out, "", " ")
		if err != nil {
			b.t.Fatal(a.Name, err)
		}
		all[a.Name] = string(text)
	}
	return all
}
