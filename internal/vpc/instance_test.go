package vpc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestIN01_StatesAndCodes(t *testing.T) {
	s := newSite(t)
	i := must(s.RunInstances(&RunInstancesInput{SubnetId: s.public})).Instances[0]
	if i.State != (InstanceState{0, "pending"}) || i.StateReason.Code != "pending" {
		t.Errorf("launched %+v", i)
	}
	ids := []InstanceID{i.InstanceId}
	wantState := func(want InstanceState) {
		t.Helper()
		if got := s.info(ids[0]).State; got != want {
			t.Errorf("state %v, want %v", got, want)
		}
	}
	s.InstanceRunning(ids[0])
	wantState(InstanceState{16, "running"})
	if c := must(s.StopInstances(&StopInstancesInput{InstanceIds: ids})).StoppingInstances; c[0].PreviousState.Code != 16 || c[0].CurrentState.Code != 64 {
		t.Errorf("stopping %+v", c)
	}
	wantState(InstanceState{64, "stopping"})
	s.InstanceStopped(ids[0], "")
	wantState(InstanceState{80, "stopped"})
	if r := s.info(ids[0]); r.StateReason.Code != "Client.UserInitiatedShutdown" || !strings.HasPrefix(r.StateTransitionReason, "User initiated (2026-04-01") {
		t.Errorf("reason %+v, %q", r.StateReason, r.StateTransitionReason)
	}
	if c := must(s.StartInstances(&StartInstancesInput{InstanceIds: ids})).StartingInstances; c[0].CurrentState.Code != 0 || c[0].PreviousState.Code != 80 {
		t.Errorf("starting %+v", c)
	}
	s.InstanceRunning(ids[0])
	if s.info(ids[0]).StateReason != nil {
		t.Error("a running instance has a reason")
	}
	if c := must(s.TerminateInstances(&TerminateInstancesInput{InstanceIds: ids})).TerminatingInstances; c[0].CurrentState.Code != 32 {
		t.Errorf("terminating %+v", c)
	}
	s.InstanceTerminated(ids[0])
	wantState(InstanceState{48, "terminated"})
}

func TestIN01_TransitionsThatAreRefused(t *testing.T) {
	type op func(*site, InstanceID) string
	start := func(s *site, id InstanceID) string {
		return code(s.StartInstances(&StartInstancesInput{InstanceIds: []InstanceID{id}}))
	}
	stop := func(s *site, id InstanceID) string {
		return code(s.StopInstances(&StopInstancesInput{InstanceIds: []InstanceID{id}}))
	}
	reboot := func(s *site, id InstanceID) string {
		return code(s.RebootInstances(&RebootInstancesInput{InstanceIds: []InstanceID{id}}))
	}
	terminate := func(s *site, id InstanceID) string {
		return code(s.TerminateInstances(&TerminateInstancesInput{InstanceIds: []InstanceID{id}}))
	}
	const bad = "IncorrectInstanceState"
	for state, want := range map[string][4]string{ // start, stop, reboot, terminate
		StatePending:      {"", bad, bad, ""},
		StateRunning:      {"", "", "", ""},
		StateStopping:     {bad, "", bad, ""},
		StateStopped:      {"", "", bad, ""},
		StateShuttingDown: {bad, bad, bad, ""},
		StateTerminated:   {bad, bad, "", ""}, // a reboot is ignored
	} {
		for k, do := range []op{start, stop, reboot, terminate} {
			s := newSite(t)
			id := s.inPublic()
			switch state {
			case StatePending:
				id = must(s.RunInstances(&RunInstancesInput{SubnetId: s.public})).Instances[0].InstanceId
			case StateStopping:
				stop(s, id)
			case StateStopped:
				s.stop(id)
			case StateShuttingDown:
				terminate(s, id)
			case StateTerminated:
				s.terminate(id)
			}
			if got := do(s, id); got != want[k] {
				t.Errorf("%s, operation %d: %q, want %q", state, k, got, want[k])
			}
		}
	}
}

func TestIN01_RebootKeepsEverything(t *testing.T) {
	s := newSite(t)
	id := s.inPublic()
	before, nic := s.info(id), s.eth0(id)
	must(s.RebootInstances(&RebootInstancesInput{InstanceIds: []InstanceID{id}}))
	if s.Instances.Get(id).BootID != 2 || s.eth0(id) != nic || s.info(id).PublicIpAddress != before.PublicIpAddress || s.info(id).State.Name != "running" {
		t.Errorf("after: %+v", s.info(id))
	}
	s.InstanceRebooted(id) // the guest did it
	if s.Instances.Get(id).BootID != 3 || s.info(id).State.Name != "running" {
		t.Error("a reboot from inside is no new boot")
	}
}

func TestIN02_B09_StopAndStartKeepPrivateAddressMacAndInterfaces(t *testing.T) {
	s := newSite(t)
	id := s.inPublic()
	s.attached(s.eni(s.private), id, 1)
	before := s.InstanceInterfaces(id)
	s.stop(id)
	s.start(id)
	for k, n := range s.InstanceInterfaces(id) {
		if n.Primary() != before[k].Primary() || n.MacAddress != before[k].MacAddress || n.ID != before[k].ID || n.Handle != before[k].Handle || n.Attachment.ID != before[k].Attachment.ID {
			t.Errorf("before %+v, after %+v", before[k], n)
		}
	}
	if s.Instances.Get(id).BootID != 2 {
		t.Error("the start is no new boot")
	}
}

func TestB10_AddressChosenByHandStays(t *testing.T) {
	s := newSite(t)
	id := s.launched(RunInstancesInput{SubnetId: s.private, PrivateIpAddress: "10.0.1.200"})
	s.stop(id)
	s.start(id)
	if got := s.info(id); got.PrivateIpAddress != "10.0.1.200" || got.PrivateDnsName != "ip-10-0-1-200.ap-northeast-1.compute.internal" {
		t.Errorf("got %s, %s", got.PrivateIpAddress, got.PrivateDnsName)
	}
	wantCode(t, code(s.RunInstances(&RunInstancesInput{SubnetId: s.private, PrivateIpAddress: "10.0.1.200"})), "InvalidIPAddress.InUse")
}

func TestIN03_TerminationTakesWhatTheAttachmentsSay(t *testing.T) {
	s := newSite(t)
	id := s.inPublic()
	kept := s.eni(s.public)
	s.attached(kept, id, 1)
	own := s.eth0(id).ID
	e := s.eip()
	must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e, NetworkInterfaceId: own}))
	s.terminate(id)
	if s.NetworkInterfaces.Get(own) != nil {
		t.Error("the primary interface is still there")
	}
	if n := s.NetworkInterfaces.Get(kept); n == nil || n.Status != "available" || n.Attachment != nil {
		t.Errorf("the attached one is %+v", n)
	}
	if a := s.Addresses.Get(e); a == nil || a.AssociationID != "" {
		t.Errorf("the Elastic IP is %+v", a)
	}
	if i := s.info(id); i.State.Name != "terminated" || i.PrivateIpAddress != "" || len(i.NetworkInterfaces) != 0 || i.SubnetId != "" {
		t.Errorf("listed as %+v", i)
	}
	s.PurgeDeleted(testNow.Add(59 * time.Minute))
	if s.Instances.Get(id) == nil {
		t.Error("it vanished too early")
	}
	s.PurgeDeleted(testNow.Add(time.Hour))
	wantCode(t, code(s.DescribeInstances(&DescribeInstancesInput{InstanceIds: []InstanceID{id}})), "InvalidInstanceID.NotFound")
}

func TestIN03_PowerOffInsideStopsOrTerminates(t *testing.T) {
	for behavior, want := range map[string]string{"": StateStopped, "stop": StateStopped, "terminate": StateTerminated} {
		s := newSite(t)
		id := s.launched(RunInstancesInput{SubnetId: s.public, InstanceInitiatedShutdownBehavior: behavior, DisableApiTermination: new(true)})
		s.InstanceStopped(id, ReasonInstanceInitiated)
		if got := s.info(id); got.State.Name != want || got.StateReason.Code != "Client.InstanceInitiatedShutdown" {
			t.Errorf("%q: %s, %v", behavior, got.State.Name, got.StateReason)
		}
		if len(s.InstanceInterfaces(id)) > 0 == (want == StateTerminated) {
			t.Errorf("%q: interfaces %v", behavior, s.InstanceInterfaces(id))
		}
	}
	s := newSite(t)
	id := s.launched(RunInstancesInput{SubnetId: s.public, InstanceInitiatedShutdownBehavior: "terminate"})
	s.InstanceStopped(id, ReasonInternalError) // it was killed, and did not shut down
	if got := s.info(id); got.State.Name != StateStopped || got.StateReason.Code != "Server.InternalError" || got.PublicIpAddress != "" {
		t.Errorf("killed: %+v", got)
	}
}

func TestSettle_HooksAreIdempotentAndIgnoreWhatDoesNotFit(t *testing.T) {
	s := newSite(t)
	id := s.inPublic()
	same := func(name string, hook func()) {
		t.Helper()
		before := dump(t, &s.Model)
		if hook(); dump(t, &s.Model) != before {
			t.Errorf("%s changed the model", name)
		}
	}
	same("running again", func() { s.InstanceRunning(id) })
	same("terminated while running", func() { s.InstanceTerminated(id) })
	same("unknown", func() {
		s.InstanceRunning("i-x")
		s.InstanceStopped("i-x", "")
		s.InstanceTerminated("i-x")
		s.InstanceRebooted("i-x")
		s.InternetHostRunning("host-x")
		s.InternetHostStopped("host-x", "")
		s.InternetHostTerminated("host-x")
		s.InternetHostRebooted("host-x")
		s.PurgeDeleted(testNow)
	})
	s.stop(id)
	same("stopped again", func() { s.InstanceStopped(id, ReasonInternalError) })
	same("reboot while stopped", func() { s.InstanceRebooted(id) })
	must(s.TerminateInstances(&TerminateInstancesInput{InstanceIds: []InstanceID{id}}))
	s.InstanceStopped(id, "") // its end is seen as a stop
	same("terminated again", func() { s.InstanceTerminated(id); s.InstanceRunning(id); s.InstanceStopped(id, "") })
	if s.info(id).State.Name != StateTerminated {
		t.Errorf("state %s", s.info(id).State.Name)
	}
	if !s.NextPurge().Equal(testNow.Add(time.Hour)) {
		t.Errorf("next purge %s", s.NextPurge())
	}
}

func TestIN04_AttributesThatNeedAStop(t *testing.T) {
	s := newSite(t)
	id := s.inPublic()
	modify := func(in ModifyInstanceAttributeInput) string {
		in.InstanceId = id
		return code(s.ModifyInstanceAttribute(&in))
	}
	size := ModifyInstanceAttributeInput{InstanceType: &AttributeValue{"m5.large"}}
	data := ModifyInstanceAttributeInput{UserData: &BlobAttributeValue{[]byte("#!/bin/sh\n")}}
	wantCode(t, modify(size), "IncorrectInstanceState")
	wantCode(t, modify(data), "IncorrectInstanceState")
	ebs := ModifyInstanceAttributeInput{Attribute: "ebsOptimized", Value: "true"}
	wantCode(t, modify(ebs), "IncorrectInstanceState")
	s.attached(s.eni(s.private), id, 1)
	s.attached(s.eni(s.private), id, 2)
	s.stop(id)
	wantCode(t, modify(ModifyInstanceAttributeInput{InstanceType: &AttributeValue{"x9.huge"}}), "InvalidParameterValue")
	wantCode(t, modify(ModifyInstanceAttributeInput{InstanceType: &AttributeValue{"t3.micro"}}), "AttachmentLimitExceeded")
	wantCode(t, modify(size), "")
	wantCode(t, modify(data), "")
	wantCode(t, modify(ebs), "")
	if i := s.Instances.Get(id); i.InstanceType != "m5.large" || !i.Options.EbsOptimized || i.UserData != "#!/bin/sh\n" {
		t.Errorf("got %+v", i)
	}
	out := must(s.DescribeInstanceAttribute(&DescribeInstanceAttributeInput{InstanceId: id, Attribute: "userData"}))
	if out.UserData.Value != base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\n")) || out.InstanceType != nil {
		t.Errorf("got %+v", out)
	}
}

func TestIN04_Protection(t *testing.T) {
	s := newSite(t)
	id := s.launched(RunInstancesInput{SubnetId: s.public, DisableApiTermination: new(true), DisableApiStop: new(true)})
	ids := []InstanceID{id}
	wantCode(t, code(s.TerminateInstances(&TerminateInstancesInput{InstanceIds: ids})), "OperationNotPermitted")
	wantCode(t, code(s.StopInstances(&StopInstancesInput{InstanceIds: ids})), "OperationNotPermitted")
	other := s.inPublic()
	wantCode(t, code(s.TerminateInstances(&TerminateInstancesInput{InstanceIds: []InstanceID{other, id}})), "OperationNotPermitted")
	if s.info(other).State.Name != StateRunning {
		t.Error("one of two in a zone was terminated")
	}
	elsewhere := s.launched(RunInstancesInput{SubnetId: s.other})
	all := &TerminateInstancesInput{InstanceIds: []InstanceID{elsewhere, other, id}, DryRun: true}
	_, err := s.Run("TerminateInstances", all)
	if e := (*Error)(nil); !errors.As(err, &e) || e.Code != "OperationNotPermitted" || e.Partial {
		t.Errorf("the dry run: %v", err)
	}
	all.DryRun = false
	_, err = s.TerminateInstances(all)
	if e := (*Error)(nil); !errors.As(err, &e) || e.Code != "OperationNotPermitted" || !e.Partial || !strings.Contains(e.Message, string(id)) {
		t.Errorf("the instances of two zones: %v", err)
	}
	if got := s.info(other).State.Name + ", " + s.info(elsewhere).State.Name; got != "running, shutting-down" {
		t.Errorf("beside the protected instance and in another zone: %s", got)
	}
	must(s.ModifyInstanceAttribute(&ModifyInstanceAttributeInput{InstanceId: id, DisableApiTermination: AttributeBooleanValue{new(false)}}))
	must(s.ModifyInstanceAttribute(&ModifyInstanceAttributeInput{InstanceId: id, Attribute: "disableApiStop", Value: "false"}))
	wantCode(t, code(s.StopInstances(&StopInstancesInput{InstanceIds: ids})), "")
	wantCode(t, code(s.TerminateInstances(&TerminateInstancesInput{InstanceIds: ids})), "")
}

func TestModifyInstanceAttribute_OneByOne(t *testing.T) {
	s := newSite(t)
	id := s.inPublic()
	modify := func(in ModifyInstanceAttributeInput) string {
		in.InstanceId = id
		return code(s.ModifyInstanceAttribute(&in))
	}
	g := newGroup(s.Tx, s.vpc, "web")
	wantCode(t, modify(ModifyInstanceAttributeInput{}), "MissingParameter")
	wantCode(t, modify(ModifyInstanceAttributeInput{Attribute: "kernel", Value: "x"}), "InvalidParameterValue")
	wantCode(t, modify(ModifyInstanceAttributeInput{Attribute: "sourceDestCheck", Value: "perhaps"}), "InvalidParameterValue")
	wantCode(t, modify(ModifyInstanceAttributeInput{SourceDestCheck: AttributeBooleanValue{new(false)}}), "")
	wantCode(t, modify(ModifyInstanceAttributeInput{Groups: []SecurityGroupID{g}}), "")
	wantCode(t, modify(ModifyInstanceAttributeInput{InstanceInitiatedShutdownBehavior: &AttributeValue{"terminate"}}), "")
	wantCode(t, modify(ModifyInstanceAttributeInput{InstanceInitiatedShutdownBehavior: &AttributeValue{"nap"}}), "InvalidParameterValue")
	if i := s.info(id); *i.SourceDestCheck || i.SecurityGroups[0].GroupId != g {
		t.Errorf("got %+v", i)
	}
	s.attached(s.eni(s.private), id, 1)
	wantCode(t, modify(ModifyInstanceAttributeInput{SourceDestCheck: AttributeBooleanValue{new(true)}}), "InvalidInstanceID")
}

func TestIN05_DedicatedVpcMakesDedicatedInstances(t *testing.T) {
	s := newSite(t)
	v := must(s.CreateVpc(&CreateVpcInput{CidrBlock: "10.8.0.0/16", InstanceTenancy: "dedicated"})).Vpc.VpcId
	dedicated := newSubnet(s.Tx, v, "10.8.0.0/24")
	for _, c := range []struct {
		subnet                SubnetID
		tenancy, want, result string
	}{
		{s.public, "", "default", ""},
		{s.public, "dedicated", "dedicated", ""},
		{s.public, "host", "", "UnsupportedTenancy"},
		{s.public, "shared", "", "InvalidParameterValue"},
		{dedicated, "default", "dedicated", ""},
	} {
		out, err := s.RunInstances(&RunInstancesInput{SubnetId: c.subnet, Placement: &Placement{Tenancy: c.tenancy}})
		wantCode(t, code(out, err), c.result)
		if err == nil && out.Instances[0].Placement.Tenancy != c.want {
			t.Errorf("%+v: %s", c, out.Instances[0].Placement.Tenancy)
		}
	}
}

func TestDV01_InstanceInTheDefaultVpcHasAPublicAddressAtOnce(t *testing.T) {
	s := &site{Tx: fullLab(t)}
	web := newGroup(s.Tx, s.DefaultVpc().ID, "web")
	i := s.info(s.launched(RunInstancesInput{SecurityGroups: []string{"web"}, Placement: &Placement{AvailabilityZone: "ap-northeast-1c"}}))
	if i.Placement.AvailabilityZone != "ap-northeast-1c" || i.VpcId != s.DefaultVpc().ID || i.SecurityGroups[0].GroupId != web {
		t.Errorf("got %+v", i)
	}
	if i.PublicIpAddress != "203.0.113.1" || i.PublicDnsName != "ec2-203-0-113-1.ap-northeast-1.compute.amazonaws.com" {
		t.Errorf("public address %s, name %q", i.PublicIpAddress, i.PublicDnsName)
	}
	wantConsistent(t, &s.Model)
	wantCode(t, code(emptyLab(t).RunInstances(&RunInstancesInput{})), "VPCIdNotSpecified")
}

func TestDNS05_PrivateNames(t *testing.T) {
	s := newSite(t)
	if got := s.info(s.inPublic()).PrivateDnsName; got != "ip-10-0-0-4.ap-northeast-1.compute.internal" {
		t.Error(got)
	}
	sub := *s.Subnets.Get(s.public)
	sub.PrivateDnsHostnameType = "resource-name"
	s.Subnets.Put(s.public, &sub)
	id := s.inPublic()
	if i := s.info(id); i.PrivateDnsName != string(id)+".ap-northeast-1.compute.internal" || i.PrivateDnsNameOptions.HostnameType != "resource-name" {
		t.Errorf("%q %+v", i.PrivateDnsName, i.PrivateDnsNameOptions)
	}
	s.Region = "us-east-1"
	if got := PrivateDnsName("us-east-1", s.eth0(id).Primary()); got != "ip-10-0-0-5.ec2.internal" {
		t.Error(got)
	}
	s.Region = "ap-northeast-1"
}

func TestRunInstances_Refuses(t *testing.T) {
	nic := func(n InstanceNetworkInterfaceSpecification) []InstanceNetworkInterfaceSpecification {
		return []InstanceNetworkInterfaceSpecification{n}
	}
	for name, c := range map[string]struct {
		in   func(*site) RunInstancesInput
		code string
	}{
		"image": {func(s *site) RunInstancesInput { return RunInstancesInput{ImageId: "debian"} }, "InvalidAMIID.Malformed"},
		"no version 99": {func(s *site) RunInstancesInput {
			return RunInstancesInput{ImageId: "resolve:ssm:" + ImageParameters()[0].Name + ":99"}
		}, "InvalidParameterValue"},
		"no parameter":        {func(s *site) RunInstancesInput { return RunInstancesInput{ImageId: "resolve:ssm:/golden"} }, "InvalidParameterValue"},
		"image of upper case": {func(s *site) RunInstancesInput { return RunInstancesInput{ImageId: "ami-00000000000000BAD"} }, "InvalidAMIID.Malformed"},
		"type":                {func(s *site) RunInstancesInput { return RunInstancesInput{InstanceType: "t3.giant"} }, "InvalidParameterValue"},
		"key":                 {func(s *site) RunInstancesInput { return RunInstancesInput{KeyName: "none"} }, "InvalidKeyPair.NotFound"},
		"subnet":              {func(s *site) RunInstancesInput { return RunInstancesInput{SubnetId: "subnet-00000000000000bad"} }, "InvalidSubnetID.NotFound"},
		"user data":           {func(s *site) RunInstancesInput { return RunInstancesInput{UserData: "#!/bin/sh"} }, "InvalidUserData.Malformed"},
		"long data":           {func(s *site) RunInstancesInput { return RunInstancesInput{UserData: strings.Repeat("QUFB", 5462)} }, "InvalidParameterValue"},
		"behavior":            {func(s *site) RunInstancesInput { return RunInstancesInput{InstanceInitiatedShutdownBehavior: "nap"} }, "InvalidParameterValue"},
		"no instances":        {func(s *site) RunInstancesInput { return RunInstancesInput{MinCount: new(0)} }, "InvalidParameterValue"},
		"min above max":       {func(s *site) RunInstancesInput { return RunInstancesInput{MinCount: new(2), MaxCount: new(1)} }, "InvalidParameterCombination"},
		"device":              {func(s *site) RunInstancesInput { return RunInstancesInput{Devices: []string{"/dev/../etc"}} }, "InvalidParameterValue"},
		"zone": {func(s *site) RunInstancesInput {
			return RunInstancesInput{Placement: &Placement{AvailabilityZone: "ap-northeast-1c"}}
		}, "InvalidParameterValue"},
		"group names": {func(s *site) RunInstancesInput { return RunInstancesInput{SecurityGroups: []string{"default"}} }, "InvalidParameterCombination"},
		"tag type":    {func(s *site) RunInstancesInput { return RunInstancesInput{TagSpecifications: NamedTag("vpc", "x")} }, "InvalidParameterValue"},
		"several, one IP": {func(s *site) RunInstancesInput {
			return RunInstancesInput{MinCount: new(2), PrivateIpAddress: "10.0.0.9"}
		}, "InvalidParameterCombination"},
		"nic and subnet": {func(s *site) RunInstancesInput {
			return RunInstancesInput{SubnetId: s.public, NetworkInterfaces: nic(InstanceNetworkInterfaceSpecification{SubnetId: s.public})}
		}, "InvalidParameterCombination"},
		"no device 0": {func(s *site) RunInstancesInput {
			return RunInstancesInput{NetworkInterfaces: nic(InstanceNetworkInterfaceSpecification{SubnetId: s.public, DeviceIndex: new(1)})}
		}, "InvalidParameterValue"},
		"device twice": {func(s *site) RunInstancesInput {
			n := InstanceNetworkInterfaceSpecification{SubnetId: s.public, DeviceIndex: new(0)}
			return RunInstancesInput{NetworkInterfaces: []InstanceNetworkInterfaceSpecification{n, n}}
		}, "InvalidParameterValue"},
		"nic in use": {func(s *site) RunInstancesInput {
			return RunInstancesInput{NetworkInterfaces: nic(InstanceNetworkInterfaceSpecification{NetworkInterfaceId: s.eth0(s.inPublic()).ID})}
		}, "InvalidNetworkInterface.InUse"},
		"nic and address": {func(s *site) RunInstancesInput {
			return RunInstancesInput{NetworkInterfaces: nic(InstanceNetworkInterfaceSpecification{NetworkInterfaceId: s.eni(s.public), PrivateIpAddress: "10.0.0.9"})}
		}, "InvalidParameterCombination"},
		"second in another zone": {func(s *site) RunInstancesInput {
			return RunInstancesInput{NetworkInterfaces: []InstanceNetworkInterfaceSpecification{{SubnetId: s.public, DeviceIndex: new(0)}, {SubnetId: s.other, DeviceIndex: new(1)}}}
		}, "InvalidParameterCombination"},
		"public of two": {func(s *site) RunInstancesInput {
			return RunInstancesInput{NetworkInterfaces: []InstanceNetworkInterfaceSpecification{
				{SubnetId: s.public, DeviceIndex: new(0), AssociatePublicIpAddress: new(true)}, {SubnetId: s.private, DeviceIndex: new(1)}}}
		}, "InvalidParameterCombination"},
		"public of an old one": {func(s *site) RunInstancesInput {
			return RunInstancesInput{NetworkInterfaces: nic(InstanceNetworkInterfaceSpecification{NetworkInterfaceId: s.eni(s.public), AssociatePublicIpAddress: new(true)})}
		}, "InvalidParameterCombination"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			in := c.in(s)
			if in.SubnetId == "" && len(in.NetworkInterfaces) == 0 {
				in.SubnetId = s.public
			}
			before := dump(t, &s.Model)
			wantCode(t, code(s.RunInstances(&in)), c.code)
			if dump(t, &s.Model) != before {
				t.Error("the model has changed")
			}
		})
	}
}

func TestRunInstances_BetweenMinAndMax(t *testing.T) {
	s := newSite(t)
	small := newSubnet(s.Tx, s.vpc, "10.0.9.0/28") // 11 addresses
	out := must(s.RunInstances(&RunInstancesInput{SubnetId: small, MinCount: new(5), MaxCount: new(20)}))
	if len(out.Instances) != 11 || out.Instances[10].AmiLaunchIndex != 10 {
		t.Errorf("%d instances", len(out.Instances))
	}
	other := newSubnet(s.Tx, s.vpc, "10.0.9.16/28")
	before := dump(t, &s.Model)
	wantCode(t, code(s.RunInstances(&RunInstancesInput{SubnetId: other, MinCount: new(12), MaxCount: new(20)})), "InsufficientFreeAddressesInSubnet")
	if dump(t, &s.Model) != before {
		t.Error("some were launched")
	}
	r := must(s.DescribeInstances(&DescribeInstancesInput{})).Reservations
	if len(r) != 1 || len(r[0].Instances) != 11 || r[0].ReservationId != out.ReservationId || r[0].OwnerId != s.Account {
		t.Errorf("described %d reservations", len(r))
	}
}

func TestRunInstances_InterfacesAndAttributes(t *testing.T) {
	s := newSite(t)
	must(s.CreateKeyPair(&CreateKeyPairInput{KeyName: "k", KeyType: "ed25519"}))
	made := s.eni(s.private)
	in := RunInstancesInput{
		ImageId: ImageID, InstanceType: "t3.medium", KeyName: "k", UserData: base64.StdEncoding.EncodeToString([]byte("echo hello")), Devices: []string{"/dev/net/tun"},
		NetworkInterfaces: []InstanceNetworkInterfaceSpecification{
			{DeviceIndex: new(1), NetworkInterfaceId: made},
			{DeviceIndex: new(0), SubnetId: s.public, PrivateIpAddresses: []PrivateIpAddressSpecification{{nil, "10.0.0.21"}, {new(true), "10.0.0.20"}}, LinkType: "tap", Description: "front"},
		},
		TagSpecifications: append(NamedTag("instance", "web"), NamedTag("network-interface", "web-nic")...),
	}
	id := s.launched(in)
	i, nics := s.Instances.Get(id), s.InstanceInterfaces(id)
	if i.UserData != "echo hello" || i.Name() != "web" || i.PublicKey != s.KeyPairs.Get("k").PublicKey || i.SubnetID != s.public || !slices.Equal(i.Devices, in.Devices) {
		t.Errorf("instance %+v", i)
	}
	if n := nics[0]; n.Primary().String() != "10.0.0.20" || len(n.PrivateIps) != 2 || n.LinkType != "tap" || n.Name() != "web-nic" || n.Description != "front" || n.PublicIp.IsValid() {
		t.Errorf("eth0 %+v", n)
	}
	if n := nics[1]; n.ID != made || n.Attachment.DeleteOnTermination {
		t.Errorf("eth1 %+v", n)
	}
	must(s.DeleteKeyPair(&DeleteKeyPairInput{KeyName: "k"}))
	if s.Instances.Get(id).PublicKey == "" {
		t.Error("deleting the key pair took the key from the instance")
	}
}

func TestDescribeInstances_Filters(t *testing.T) {
	s := newSite(t)
	must(s.CreateKeyPair(&CreateKeyPairInput{KeyName: "k", KeyType: "ed25519"}))
	id := s.launched(RunInstancesInput{SubnetId: s.public, KeyName: "k", TagSpecifications: NamedTag("instance", "web")})
	s.stop(s.launched(RunInstancesInput{SubnetId: s.private, InstanceType: "m5.large"}))
	i := s.info(id)
	for name, value := range map[string]string{
		"instance-state-name": "running", "instance-state-code": "16", "tag:Name": "w*", "key-name": "k", "ip-address": i.PublicIpAddress,
		"private-ip-address": i.PrivateIpAddress, "subnet-id": string(s.public), "instance-type": "t3.*", "network-interface.addresses.association.public-ip": i.PublicIpAddress,
		"network-interface.subnet-id": string(s.public), "network-interface.attachment.device-index": "0", "private-dns-name": i.PrivateDnsName, "instance-id": string(id),
	} {
		out := must(s.DescribeInstances(&DescribeInstancesInput{Filters: namedFilter(name, value)})).Reservations
		if name == "network-interface.attachment.device-index" {
			if len(out) != 2 {
				t.Errorf("%s found %d", name, len(out))
			}
			continue
		}
		if len(out) != 1 || out[0].Instances[0].InstanceId != id {
			t.Errorf("%s=%s found %v", name, value, out)
		}
	}
	for _, absent := range []string{"spot-instance-request-id", "iam-instance-profile.arn"} {
		if out := must(s.DescribeInstances(&DescribeInstancesInput{Filters: namedFilter(absent, "*")})).Reservations; len(out) != 0 {
			t.Errorf("%s found %v", absent, out)
		}
	}
	wantCode(t, code(s.DescribeInstances(&DescribeInstancesInput{Filters: namedFilter("colour", "red")})), "InvalidParameterValue")
	wantCode(t, code(s.DescribeInstances(&DescribeInstancesInput{InstanceIds: []InstanceID{"i-00000000000000bad"}})), "InvalidInstanceID.NotFound")
	wantCode(t, code(s.DescribeInstances(&DescribeInstancesInput{InstanceIds: []InstanceID{"web1"}})), "InvalidInstanceID.Malformed")
}

func TestDescribeInstanceStatus(t *testing.T) {
	s := newSite(t)
	id := s.inPublic()
	s.stop(s.inPublic())
	out := must(s.DescribeInstanceStatus(&DescribeInstanceStatusInput{})).InstanceStatuses
	if len(out) != 1 || out[0].InstanceId != id || out[0].InstanceStatus.Status != "ok" || out[0].SystemStatus.Details[0].Status != "passed" {
		t.Errorf("got %+v", out)
	}
	if out = must(s.DescribeInstanceStatus(&DescribeInstanceStatusInput{IncludeAllInstances: true})).InstanceStatuses; len(out) != 2 {
		t.Errorf("all: %+v", out)
	}
	if out = must(s.DescribeInstanceStatus(&DescribeInstanceStatusInput{Filters: namedFilter("instance-status.status", "not-applicable"), IncludeAllInstances: true})).InstanceStatuses; len(out) != 1 {
		t.Errorf("stopped: %+v", out)
	}
}

func TestEN05_CatalogueTellsTheLimits(t *testing.T) {
	tx := emptyLab(t)
	out := must(tx.DescribeInstanceTypes(&DescribeInstanceTypesInput{InstanceTypes: []string{"t3.micro", "m5.large"}})).InstanceTypes
	if len(out) != 2 || out[0].NetworkInfo.MaximumNetworkInterfaces != 3 || out[0].NetworkInfo.Ipv4AddressesPerInterface != 10 || out[1].NetworkInfo.Ipv4AddressesPerInterface != 2 {
		t.Errorf("got %+v", out)
	}
	for name, want := range map[string]InstanceTypeInfo{ // as DescribeInstanceTypes tells them
		"t3.micro":    {VCpuInfo: VCpuInfo{2, 1, 2, []int{1, 2}}, MemoryInfo: MemoryInfo{1024}, NetworkInfo: NetworkInfo{MaximumNetworkInterfaces: 2}},
		"t3a.small":   {VCpuInfo: VCpuInfo{2, 1, 2, []int{1, 2}}, MemoryInfo: MemoryInfo{2048}, NetworkInfo: NetworkInfo{MaximumNetworkInterfaces: 2}},
		"t2.medium":   {VCpuInfo: VCpuInfo{2, 2, 1, nil}, MemoryInfo: MemoryInfo{4096}, NetworkInfo: NetworkInfo{MaximumNetworkInterfaces: 3}},
		"c7a.xlarge":  {VCpuInfo: VCpuInfo{4, 4, 1, []int{1}}, MemoryInfo: MemoryInfo{8192}, NetworkInfo: NetworkInfo{MaximumNetworkInterfaces: 4}},
		"m7g.medium":  {VCpuInfo: VCpuInfo{1, 1, 1, nil}, MemoryInfo: MemoryInfo{4096}, NetworkInfo: NetworkInfo{MaximumNetworkInterfaces: 2}},
		"c5n.9xlarge": {VCpuInfo: VCpuInfo{36, 18, 2, []int{1, 2}}, MemoryInfo: MemoryInfo{98304}, NetworkInfo: NetworkInfo{MaximumNetworkInterfaces: 8}},
	} {
		got := must(tx.DescribeInstanceTypes(&DescribeInstanceTypesInput{InstanceTypes: []string{name}})).InstanceTypes[0]
		if !reflect.DeepEqual(got.VCpuInfo, want.VCpuInfo) || got.MemoryInfo != want.MemoryInfo || got.NetworkInfo.MaximumNetworkInterfaces != want.NetworkInfo.MaximumNetworkInterfaces {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if n := len(must(tx.DescribeInstanceTypes(&DescribeInstanceTypesInput{InstanceTypes: []string{"t2.micro", "t3.micro", "t4g.micro"}, Filters: namedFilter("vcpu-info.valid-threads-per-core", "2")})).InstanceTypes); n != 1 {
		t.Errorf("%d types take two threads a core", n)
	}
	wantCode(t, code(tx.DescribeInstanceTypes(&DescribeInstanceTypesInput{InstanceTypes: []string{"x"}})), "InvalidInstanceType")
	if out = must(tx.DescribeInstanceTypes(&DescribeInstanceTypesInput{Filters: namedFilter("free-tier-eligible", "true")})).InstanceTypes; len(out) != 2 {
		t.Errorf("free: %+v", out)
	}
	if o := must(tx.DescribeInstanceTypeOfferings(&DescribeInstanceTypeOfferingsInput{LocationType: "availability-zone", Filters: namedFilter("instance-type", "t3.nano")})).InstanceTypeOfferings; len(o) != 3 {
		t.Errorf("offerings %+v", o)
	}
}

func TestDescribeImages(t *testing.T) {
	tx := emptyLab(t)
	tx.Images = map[string]LabImage{"ami-0aaaaaaaaaaaaaaaa": {Name: "bookworm", Rootfs: "/srv/bookworm"}}
	for name, c := range map[string]struct {
		in   DescribeImagesInput
		want []string
	}{
		"the lab's own":          {DescribeImagesInput{Owners: []string{"self"}}, []string{"ami-0aaaaaaaaaaaaaaaa"}},
		"by its name":            {DescribeImagesInput{Filters: namedFilter("name", "book*")}, []string{"ami-0aaaaaaaaaaaaaaaa"}},
		"Ubuntu":                 {DescribeImagesInput{Owners: []string{"099720109477"}, Filters: namedFilter("name", "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-*")}, []string{"ami-0766563656d750005"}},
		"Amazon Linux 2023":      {DescribeImagesInput{Owners: []string{"amazon"}, Filters: namedFilter("name", "al2023-ami-2023.*-x86_64")}, []string{"ami-0766563656d750002"}},
		"Amazon Linux 2":         {DescribeImagesInput{Owners: []string{"amazon"}, Filters: namedFilter("name", "amzn2-ami-hvm-*-x86_64-gp2")}, []string{"ami-0766563656d750003"}},
		"Amazon Linux 2 minimal": {DescribeImagesInput{Owners: []string{"amazon"}, Filters: []Filter{{"name", []string{"amzn2-ami-minimal-hvm-*"}}, {"architecture", []string{"arm64"}}}}, []string{"ami-0766563656d750018"}},
		"of another account":     {DescribeImagesInput{Owners: []string{"000000000001"}}, nil},
		"Debian 13 for ARM":      {DescribeImagesInput{Filters: []Filter{{"architecture", []string{"arm64"}}, {"name", []string{"debian-13-*"}}}}, []string{"ami-0766563656d750017"}},
		"for other machines":     {DescribeImagesInput{Filters: namedFilter("architecture", "i386")}, nil},
		"an ID from elsewhere":   {DescribeImagesInput{ImageIds: []string{"ami-00000000000000bad"}}, []string{"ami-00000000000000bad"}},
		"the same, by a filter":  {DescribeImagesInput{Filters: namedFilter("image-id", "ami-00000000000000bad")}, []string{"ami-00000000000000bad"}},
		"the same, of its owner": {DescribeImagesInput{ImageIds: []string{"ami-0aaaaaaaaaaaaaaaa"}, Owners: []string{"amazon"}}, nil},
	} {
		var got []string
		for _, i := range must(tx.DescribeImages(&c.in)).Images {
			got = append(got, i.ImageId)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	wantCode(t, code(tx.DescribeImages(&DescribeImagesInput{ImageIds: []string{"ami-x"}})), "InvalidAMIID.Malformed")
	for _, p := range ImageParameters() { // each names one of the catalogue
		if !slices.ContainsFunc(tx.images(), func(i Image) bool { return i.ImageId == p.Value }) {
			t.Errorf("%s is %s", p.Name, p.Value)
		}
	}
}

// An AMI of the lab's own decides what an instance boots, unless the launch says it.
func TestRunInstances_ImageOfTheLab(t *testing.T) {
	s := newSite(t)
	s.Images = map[string]LabImage{"ami-0aaaaaaaaaaaaaaaa": {Rootfs: "/srv/bookworm"}}
	for want, in := range map[string]RunInstancesInput{
		"/srv/bookworm": {ImageId: "ami-0aaaaaaaaaaaaaaaa", SubnetId: s.public},
		"/srv/trixie":   {ImageId: "ami-0aaaaaaaaaaaaaaaa", SubnetId: s.public, Rootfs: "/srv/trixie"},
		"":              {ImageId: "ami-00000000000000bad", SubnetId: s.public},
	} {
		out := must(s.RunInstances(&in))
		if i := s.Instances.Get(out.Instances[0].InstanceId); i.Rootfs != want || i.ImageID != in.ImageId {
			t.Errorf("%s: boots %q, want %q", i.ImageID, i.Rootfs, want)
		}
	}
}

// A parameter of Systems Manager stands for the image that it names at the launch.
func TestRunInstances_ImageByParameter(t *testing.T) {
	s := newSite(t)
	for _, p := range ImageParameters() {
		for _, name := range []string{"resolve:ssm:" + p.Name, "resolve:ssm:" + p.Name + ":1"} {
			kind := "t3.micro"
			if strings.Contains(p.Name, "arm64") {
				kind = "t4g.micro"
			}
			out := must(s.RunInstances(&RunInstancesInput{ImageId: name, InstanceType: kind, SubnetId: s.public}))
			if got := out.Instances[0].ImageId; got != p.Value {
				t.Errorf("%s: %s, want %s", name, got, p.Value)
			}
			must(s.TerminateInstances(&TerminateInstancesInput{InstanceIds: []InstanceID{out.Instances[0].InstanceId}}))
		}
	}
}

// A type of another architecture than the image's is refused, where the image is one that the lab knows.
func TestRunInstances_Architectures(t *testing.T) {
	s := newSite(t)
	const x86, arm = "ami-0766563656d750007", "ami-0766563656d750017"
	s.Images = map[string]LabImage{"ami-0aaaaaaaaaaaaaaaa": {Rootfs: "/srv/bookworm"}}
	for _, c := range []struct{ image, kind, code, architecture string }{
		{x86, "m6i.large", "", "x86_64"}, {arm, "t4g.nano", "", "arm64"}, {arm, "c7gn.medium", "", "arm64"}, {arm, "m8g.24xlarge", "", "arm64"},
		{x86, "t4g.micro", "InvalidParameterValue", ""}, {arm, "t3.micro", "InvalidParameterValue", ""}, {arm, "", "InvalidParameterValue", ""},
		{ImageID, "t4g.micro", "", "arm64"}, {"ami-00000000000000bad", "r7g.large", "", "arm64"}, {"ami-0aaaaaaaaaaaaaaaa", "c6g.large", "", "arm64"},
	} {
		out, err := s.RunInstances(&RunInstancesInput{ImageId: c.image, InstanceType: c.kind, SubnetId: s.public})
		if errorCode(err) != c.code {
			t.Errorf("%s as %s: %v, want %q", c.image, c.kind, err, c.code)
		}
		if err == nil && out.Instances[0].Architecture != c.architecture {
			t.Errorf("%s as %s: %s", c.image, c.kind, out.Instances[0].Architecture)
		}
	}
	types := must(s.DescribeInstanceTypes(&DescribeInstanceTypesInput{InstanceTypes: []string{"t4g.micro", "c7g.xlarge"}})).InstanceTypes
	for _, i := range types {
		if !slices.Equal(i.ProcessorInfo.SupportedArchitectures, []string{"arm64"}) || i.VCpuInfo.DefaultThreadsPerCore != 1 || i.Hypervisor != "nitro" {
			t.Errorf("%s: %+v", i.InstanceType, i)
		}
	}
	if TypeArchitecture("g4dn.xlarge") != Architecture || TypeArchitecture("c7gd.large") != ArchitectureARM {
		t.Error("families with a g")
	}
}

// IM-03: what the launch does not say, the account says, and then the image.
func TestRunInstances_MetadataOptionsOfTheImage(t *testing.T) {
	s := newSite(t)
	options := func(in RunInstancesInput) string {
		t.Helper()
		in.SubnetId = s.public
		o := must(s.RunInstances(&in)).Instances[0].MetadataOptions
		return fmt.Sprint(o.HttpTokens, o.HttpPutResponseHopLimit)
	}
	const al2023 = "ami-0766563656d750002"
	equal := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	equal("Amazon Linux 2023", options(RunInstancesInput{ImageId: al2023}), "required2")
	equal("another image", options(RunInstancesInput{}), "optional1")
	equal("the launch", options(RunInstancesInput{ImageId: al2023, MetadataOptions: &InstanceMetadataOptionsRequest{HttpTokens: "optional"}}), "optional2")
	must(s.ModifyInstanceMetadataDefaults(&ModifyInstanceMetadataDefaultsInput{HttpTokens: "optional", HttpPutResponseHopLimit: new(3)}))
	equal("the account", options(RunInstancesInput{ImageId: al2023}), "optional3")
}

// Every documented filter is answered for instances in every state.
func TestDescribe_EveryFilterIsAnswered(t *testing.T) {
	s := newSite(t)
	s.terminate(s.inPublic())
	s.stop(s.inPublic())
	s.inPublic()
	s.publicNat(t)
	must(s.RunInstances(&RunInstancesInput{SubnetId: s.private}))
	for name := range instanceFilters {
		must(s.DescribeInstances(&DescribeInstancesInput{Filters: namedFilter(name, "*")}))
	}
	for name := range instanceStatusFilters {
		must(s.DescribeInstanceStatus(&DescribeInstanceStatusInput{IncludeAllInstances: true, Filters: namedFilter(name, "*")}))
	}
	for name := range interfaceFilters {
		must(s.DescribeNetworkInterfaces(&DescribeNetworkInterfacesInput{Filters: namedFilter(name, "*")}))
	}
	for name, want := range map[string]int{"source-dest-check": 3, "state-reason-code": 3, "instance.group-name": 3, "tenancy": 4, "ip-address": 1, "network-interface.owner-id": 3} {
		n := 0
		for _, r := range must(s.DescribeInstances(&DescribeInstancesInput{Filters: namedFilter(name, "*")})).Reservations {
			n += len(r.Instances)
		}
		if n != want {
			t.Errorf("%s=* found %d, want %d", name, n, want)
		}
	}
}

func TestDescribeInstanceAttribute_EveryAttribute(t *testing.T) {
	s := newSite(t)
	id := s.inPublic()
	get := func(attribute string) (*DescribeInstanceAttributeOutput, error) {
		return s.DescribeInstanceAttribute(&DescribeInstanceAttributeInput{InstanceId: id, Attribute: attribute})
	}
	for _, a := range []string{
		"instanceType", "kernel", "ramdisk", "userData", "disableApiTermination", "instanceInitiatedShutdownBehavior", "rootDeviceName", "blockDeviceMapping",
		"productCodes", "sourceDestCheck", "groupSet", "ebsOptimized", "sriovNetSupport", "enaSupport", "enclaveOptions", "disableApiStop",
	} {
		if out := must(get(a)); out.InstanceId != id {
			t.Errorf("%s: %+v", a, out)
		}
	}
	if out := must(get("groupSet")); out.Groups[0].GroupName != "default" {
		t.Errorf("got %+v", out)
	}
	if out := must(get("instanceInitiatedShutdownBehavior")); out.InstanceInitiatedShutdownBehavior.Value != "stop" {
		t.Errorf("got %+v", out)
	}
	wantCode(t, code(get("")), "MissingParameter")
	wantCode(t, code(get("mood")), "InvalidParameterValue")
	s.terminate(id)
	wantCode(t, code(get("userData")), "IncorrectInstanceState")
}

// A script that looks first finds the instance that it has launched before.
func TestRunInstances_ClientTokenIsTold(t *testing.T) {
	s := newSite(t)
	id := must(s.RunInstances(&RunInstancesInput{SubnetId: s.public, ClientToken: "once"})).Instances[0].InstanceId
	must(s.RunInstances(&RunInstancesInput{SubnetId: s.public}))
	found := must(s.DescribeInstances(&DescribeInstancesInput{Filters: namedFilter("client-token", "once")})).Reservations
	if len(found) != 1 || found[0].Instances[0].InstanceId != id || found[0].Instances[0].ClientToken != "once" || found[0].Instances[0].PlatformDetails != "Linux/UNIX" {
		t.Errorf("%+v", found)
	}
}
