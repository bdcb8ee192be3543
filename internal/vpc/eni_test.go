package vpc

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// site is a VPC with an Internet gateway, a public and a private subnet in one
// zone and a third subnet in another.
type site struct {
	*Tx
	vpc                    VpcID
	igw                    InternetGatewayID
	public, private, other SubnetID
}

func newSite(t testing.TB) *site {
	tx := emptyLab(t)
	tx.Call.NewKey = RandomKey
	s := &site{Tx: tx, vpc: newVpc(tx, "10.0.0.0/16")}
	s.igw = newGateway(tx, s.vpc)
	zoned := func(block, zone string) SubnetID {
		return must(tx.CreateSubnet(&CreateSubnetInput{VpcId: s.vpc, CidrBlock: block, AvailabilityZone: zone})).Subnet.SubnetId
	}
	s.public, s.private, s.other = zoned("10.0.0.0/24", "ap-northeast-1a"), zoned("10.0.1.0/24", "ap-northeast-1a"), zoned("10.0.2.0/24", "ap-northeast-1c")
	must(tx.ModifySubnetAttribute(&ModifySubnetAttributeInput{SubnetId: s.public, MapPublicIpOnLaunch: AttributeBooleanValue{new(true)}}))
	t.Cleanup(func() { wantConsistent(t, &tx.Model) })
	return s
}

// launched launches one running instance of a type with room for three interfaces.
func (s *site) launched(in RunInstancesInput) InstanceID {
	if in.InstanceType == "" {
		in.InstanceType = "t3.large"
	}
	id := must(s.RunInstances(&in)).Instances[0].InstanceId
	s.InstanceRunning(id)
	return id
}

func (s *site) inPublic() InstanceID  { return s.launched(RunInstancesInput{SubnetId: s.public}) }
func (s *site) inPrivate() InstanceID { return s.launched(RunInstancesInput{SubnetId: s.private}) }

func (s *site) stop(id InstanceID) {
	must(s.StopInstances(&StopInstancesInput{InstanceIds: []InstanceID{id}}))
	s.InstanceStopped(id, "")
}

func (s *site) start(id InstanceID) {
	must(s.StartInstances(&StartInstancesInput{InstanceIds: []InstanceID{id}}))
	s.InstanceRunning(id)
}

func (s *site) terminate(id InstanceID) {
	must(s.TerminateInstances(&TerminateInstancesInput{InstanceIds: []InstanceID{id}}))
	s.InstanceTerminated(id)
}

// eth0 is the instance's primary interface as it is now.
func (s *site) eth0(id InstanceID) *NetworkInterface { return s.InstanceInterfaces(id)[0] }

// info is the instance as DescribeInstances tells it.
func (s *site) info(id InstanceID) InstanceInfo {
	return must(s.DescribeInstances(&DescribeInstancesInput{InstanceIds: []InstanceID{id}})).Reservations[0].Instances[0]
}

func (s *site) eni(subnet SubnetID) NetworkInterfaceID {
	return must(s.CreateNetworkInterface(&CreateNetworkInterfaceInput{SubnetId: subnet})).NetworkInterface.NetworkInterfaceId
}

func (s *site) attached(n NetworkInterfaceID, i InstanceID, device int) AttachmentID {
	return must(s.AttachNetworkInterface(&AttachNetworkInterfaceInput{NetworkInterfaceId: n, InstanceId: i, DeviceIndex: &device})).AttachmentId
}

func (s *site) eip() AllocationID {
	return must(s.AllocateAddress(&AllocateAddressInput{})).AllocationId
}

func TestEN01_CreatedWithAddressesGroupAndMac(t *testing.T) {
	s := newSite(t)
	out := must(s.CreateNetworkInterface(&CreateNetworkInterfaceInput{
		SubnetId: s.public, Description: "db", PrivateIpAddress: "10.0.0.10", SecondaryPrivateIpAddressCount: new(2),
		TagSpecifications: NamedTag("network-interface", "nic"), ConnectionTrackingSpecification: &ConnectionTracking{UdpTimeout: 45},
	})).NetworkInterface
	if out.PrivateIpAddress != "10.0.0.10" || len(out.PrivateIpAddresses) != 3 || out.PrivateIpAddresses[1].PrivateIpAddress != "10.0.0.4" || out.PrivateIpAddresses[1].Primary {
		t.Errorf("addresses %v", out.PrivateIpAddresses)
	}
	if out.Status != "pending" || !out.SourceDestCheck || out.Description != "db" || out.ConnectionTrackingConfiguration.UdpTimeout != 45 || out.TagSet[0].Value != "nic" {
		t.Errorf("got %+v", out)
	}
	if n := s.NetworkInterfaces.Get(out.NetworkInterfaceId); n.Status != "available" || !n.MapPublic || n.LinkType != "tun" || n.Handle == 0 {
		t.Errorf("stored %+v", n)
	}
}

func TestSG02_DefaultGroupWhenNoneIsGiven(t *testing.T) {
	s := newSite(t)
	if g := s.NetworkInterfaces.Get(s.eni(s.public)).Groups; len(g) != 1 || g[0] != s.DefaultSecurityGroup(s.vpc).ID {
		t.Errorf("groups %v", g)
	}
	if g := s.info(s.inPublic()).SecurityGroups; len(g) != 1 || g[0].GroupName != "default" {
		t.Errorf("groups %v", g)
	}
}

func TestL205_PrivateAddressOfANewInterface(t *testing.T) {
	for _, c := range []struct{ name, addr, code string }{
		{"free", "10.0.0.77", ""},
		{"network", "10.0.0.0", "InvalidParameterValue"},
		{"router", "10.0.0.1", "InvalidParameterValue"},
		{"resolver", "10.0.0.2", "InvalidParameterValue"},
		{"third", "10.0.0.3", "InvalidParameterValue"},
		{"broadcast", "10.0.0.255", "InvalidParameterValue"},
		{"other subnet", "10.0.1.7", "InvalidParameterValue"},
		{"IPv6", "::1", "InvalidParameterValue"},
		{"no address", "ten", "InvalidParameterValue"},
		{"taken", "10.0.0.50", "InvalidIPAddress.InUse"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			must(s.CreateNetworkInterface(&CreateNetworkInterfaceInput{SubnetId: s.public, PrivateIpAddress: "10.0.0.50"}))
			wantCode(t, code(s.CreateNetworkInterface(&CreateNetworkInterfaceInput{SubnetId: s.public, PrivateIpAddress: c.addr})), c.code)
			wantCode(t, code(s.RunInstances(&RunInstancesInput{SubnetId: s.private, PrivateIpAddress: strings.Replace(c.addr, "10.0.0.", "10.0.1.", 1)})),
				map[bool]string{true: "InvalidParameterValue"}[c.code == "InvalidParameterValue" && c.name != "other subnet"])
		})
	}
}

func TestCreateNetworkInterface_Refuses(t *testing.T) {
	primary := new(true)
	for name, c := range map[string]struct {
		in   func(*site, *CreateNetworkInterfaceInput)
		code string
	}{
		"no subnet":      {func(_ *site, in *CreateNetworkInterfaceInput) { in.SubnetId = "" }, "MissingParameter"},
		"bad subnet":     {func(_ *site, in *CreateNetworkInterfaceInput) { in.SubnetId = "sub" }, "InvalidSubnetID.Malformed"},
		"unknown subnet": {func(_ *site, in *CreateNetworkInterfaceInput) { in.SubnetId = "subnet-00000000000000bad" }, "InvalidSubnetID.NotFound"},
		"unknown group": {func(_ *site, in *CreateNetworkInterfaceInput) {
			in.Groups = []SecurityGroupID{"sg-00000000000000bad"}
		}, "InvalidGroup.NotFound"},
		"group of another VPC": {func(s *site, in *CreateNetworkInterfaceInput) {
			in.Groups = []SecurityGroupID{s.DefaultSecurityGroup(newVpc(s.Tx, "10.9.0.0/16")).ID}
		}, "InvalidParameter"},
		"six groups": {func(s *site, in *CreateNetworkInterfaceInput) {
			for _, n := range []string{"a", "b", "c", "d", "e", "f"} {
				in.Groups = append(in.Groups, newGroup(s.Tx, s.vpc, n))
			}
		}, "SecurityGroupsPerInterfaceLimitExceeded"},
		"two primaries": {func(_ *site, in *CreateNetworkInterfaceInput) {
			in.PrivateIpAddresses = []PrivateIpAddressSpecification{{primary, "10.0.0.8"}, {primary, "10.0.0.9"}}
		}, "InvalidParameterCombination"},
		"same address twice": {func(_ *site, in *CreateNetworkInterfaceInput) {
			in.PrivateIpAddresses = []PrivateIpAddressSpecification{{primary, "10.0.0.8"}, {nil, "10.0.0.8"}}
		}, "InvalidIPAddress.InUse"},
		"too many": {func(_ *site, in *CreateNetworkInterfaceInput) { in.SecondaryPrivateIpAddressCount = new(99) }, "InvalidParameterValue"},
		"efa":      {func(_ *site, in *CreateNetworkInterfaceInput) { in.InterfaceType = "efa" }, "InvalidParameterValue"},
		"link":     {func(_ *site, in *CreateNetworkInterfaceInput) { in.LinkType = "veth" }, "InvalidParameterValue"},
		"timeout": {func(_ *site, in *CreateNetworkInterfaceInput) {
			in.ConnectionTrackingSpecification = &ConnectionTracking{UdpTimeout: 61}
		}, "InvalidParameterValue"},
		"tags of a VPC": {func(_ *site, in *CreateNetworkInterfaceInput) { in.TagSpecifications = NamedTag("vpc", "x") }, "InvalidParameterValue"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			in := &CreateNetworkInterfaceInput{SubnetId: s.public}
			c.in(s, in)
			wantCode(t, code(s.CreateNetworkInterface(in)), c.code)
			if s.NetworkInterfaces.Len() != 0 {
				t.Error("an interface was made")
			}
		})
	}
}

func TestAD11_FullSubnetHasNoFreeAddress(t *testing.T) {
	s := newSite(t)
	small := newSubnet(s.Tx, s.vpc, "10.0.9.0/28")
	for range 11 {
		s.eni(small)
	}
	wantCode(t, code(s.CreateNetworkInterface(&CreateNetworkInterfaceInput{SubnetId: small})), "InsufficientFreeAddressesInSubnet")
	wantCode(t, code(s.RunInstances(&RunInstancesInput{SubnetId: small})), "InsufficientFreeAddressesInSubnet")
}

func TestL203_MacsAreLocalStableAndUnique(t *testing.T) {
	macs := map[string]bool{}
	first := newSite(t)
	for range 50 {
		mac := first.NetworkInterfaces.Get(first.eni(first.public)).MacAddress
		if !strings.HasPrefix(mac, "0a:") || len(mac) != 17 || macs[mac] {
			t.Fatalf("MAC %s", mac)
		}
		macs[mac] = true
	}
	again := newSite(t)
	if mac := again.NetworkInterfaces.Get(again.eni(again.public)).MacAddress; !macs[mac] {
		t.Errorf("the same ID has another MAC, %s", mac)
	}
}

func TestEN02_B12_AttachAndDetach(t *testing.T) {
	s := newSite(t)
	i := s.inPrivate()
	n := s.eni(s.public)
	before := s.NetworkInterfaces.Get(n)
	a := s.attached(n, i, 1)
	got := s.NetworkInterfaces.Get(n)
	if got.Status != "in-use" || got.Attachment.ID != a || got.Attachment.DeleteOnTermination || got.MacAddress != before.MacAddress || got.Primary() != before.Primary() {
		t.Errorf("attached %+v", got)
	}
	if nics := s.info(i).NetworkInterfaces; len(nics) != 2 || nics[1].NetworkInterfaceId != n || nics[1].Attachment.DeviceIndex != 1 {
		t.Errorf("the instance has %v", nics)
	}
	must(s.DetachNetworkInterface(&DetachNetworkInterfaceInput{AttachmentId: a}))
	if got := s.NetworkInterfaces.Get(n); got.Status != "available" || got.Attachment != nil || got.Primary() != before.Primary() {
		t.Errorf("detached %+v", got)
	}
	other := s.inPrivate()
	s.attached(n, other, 1)
	if got := s.NetworkInterfaces.Get(n); got.Attachment.InstanceID != other || got.MacAddress != before.MacAddress {
		t.Errorf("moved %+v", got)
	}
}

func TestEN04_StatusOfInterfaceAndAttachment(t *testing.T) {
	s := newSite(t)
	id := s.eni(s.private)
	status := func() (string, string) {
		n := must(s.DescribeNetworkInterfaces(&DescribeNetworkInterfacesInput{NetworkInterfaceIds: []NetworkInterfaceID{id}})).NetworkInterfaces[0]
		if n.Attachment == nil {
			return n.Status, ""
		}
		return n.Status, n.Attachment.Status
	}
	want := func(n, a string) {
		t.Helper()
		if gotN, gotA := status(); gotN != n || gotA != a {
			t.Errorf("status %s, attachment %q; want %s, %q", gotN, gotA, n, a)
		}
	}
	want("available", "")
	a := s.attached(id, s.inPrivate(), 1)
	want("in-use", "attached")
	must(s.DetachNetworkInterface(&DetachNetworkInterfaceInput{AttachmentId: a}))
	want("available", "")
}

func TestEN02_AttachRefuses(t *testing.T) {
	s := newSite(t)
	i, n := s.inPrivate(), s.eni(s.public)
	attach := func(n NetworkInterfaceID, i InstanceID, device *int) string {
		return code(s.AttachNetworkInterface(&AttachNetworkInterfaceInput{NetworkInterfaceId: n, InstanceId: i, DeviceIndex: device}))
	}
	wantCode(t, attach(n, i, nil), "MissingParameter")
	wantCode(t, attach(n, i, new(0)), "InvalidParameterValue")
	wantCode(t, attach(n, i, new(-1)), "InvalidParameterValue")
	wantCode(t, attach(n, "i-00000000000000bad", new(1)), "InvalidInstanceID.NotFound")
	wantCode(t, attach("eni-00000000000000bad", i, new(1)), "InvalidNetworkInterfaceID.NotFound")
	wantCode(t, attach(s.eni(s.other), i, new(1)), "InvalidParameterCombination")
	pending := must(s.RunInstances(&RunInstancesInput{SubnetId: s.private})).Instances[0].InstanceId
	wantCode(t, attach(n, pending, new(1)), "IncorrectInstanceState")
	wantCode(t, attach(n, i, new(1)), "")
	wantCode(t, attach(n, s.inPrivate(), new(1)), "InvalidNetworkInterface.InUse")
}

func TestEN03_PrimaryStaysAttachedAndInUseIsNotDeleted(t *testing.T) {
	s := newSite(t)
	i := s.inPrivate()
	eth0 := s.eth0(i)
	if !eth0.Attachment.DeleteOnTermination {
		t.Error("the primary interface survives its instance")
	}
	wantCode(t, code(s.DetachNetworkInterface(&DetachNetworkInterfaceInput{AttachmentId: eth0.Attachment.ID})), "OperationNotPermitted")
	wantCode(t, code(s.DetachNetworkInterface(&DetachNetworkInterfaceInput{AttachmentId: "eni-attach-00000000000000bad"})), "InvalidAttachmentID.NotFound")
	wantCode(t, code(s.DeleteNetworkInterface(&DeleteNetworkInterfaceInput{NetworkInterfaceId: eth0.ID})), "InvalidNetworkInterface.InUse")
	n := s.eni(s.public)
	e := s.eip()
	must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e, NetworkInterfaceId: n}))
	must(s.DeleteNetworkInterface(&DeleteNetworkInterfaceInput{NetworkInterfaceId: n}))
	if a := s.Addresses.Get(e); a == nil || a.AssociationID != "" {
		t.Errorf("the Elastic IP of a deleted interface is %+v", a)
	}
	wantCode(t, code(s.DescribeNetworkInterfaces(&DescribeNetworkInterfacesInput{NetworkInterfaceIds: []NetworkInterfaceID{n}})), "InvalidNetworkInterfaceID.NotFound")
}

func TestEN05_LimitsOfTheInstanceType(t *testing.T) {
	s := newSite(t)
	i := s.launched(RunInstancesInput{SubnetId: s.private, InstanceType: "t3.micro"})
	s.attached(s.eni(s.private), i, 1)
	wantCode(t, code(s.AttachNetworkInterface(&AttachNetworkInterfaceInput{NetworkInterfaceId: s.eni(s.private), InstanceId: i, DeviceIndex: new(2)})), "AttachmentLimitExceeded")
	assign := func(n int) string {
		return code(s.AssignPrivateIpAddresses(&AssignPrivateIpAddressesInput{NetworkInterfaceId: s.eth0(i).ID, SecondaryPrivateIpAddressCount: &n}))
	}
	wantCode(t, assign(2), "PrivateIpAddressLimitExceeded")
	wantCode(t, assign(1), "")
	wantCode(t, assign(1), "PrivateIpAddressLimitExceeded")
	wide := must(s.CreateNetworkInterface(&CreateNetworkInterfaceInput{SubnetId: s.private, SecondaryPrivateIpAddressCount: new(5)})).NetworkInterface.NetworkInterfaceId
	j := s.launched(RunInstancesInput{SubnetId: s.private, InstanceType: "t3.small"})
	wantCode(t, code(s.AttachNetworkInterface(&AttachNetworkInterfaceInput{NetworkInterfaceId: wide, InstanceId: j, DeviceIndex: new(1)})), "PrivateIpAddressLimitExceeded")
	wantCode(t, code(s.RunInstances(&RunInstancesInput{InstanceType: "t3.nano", NetworkInterfaces: []InstanceNetworkInterfaceSpecification{
		{DeviceIndex: new(0), SubnetId: s.private}, {DeviceIndex: new(1), SubnetId: s.private}, {DeviceIndex: new(2), SubnetId: s.private},
	}})), "AttachmentLimitExceeded")
}

func TestEN06_AssignAndUnassign(t *testing.T) {
	s := newSite(t)
	a, b := s.eni(s.public), s.eni(s.public)
	assign := func(n NetworkInterfaceID, move bool, addrs ...string) string {
		return code(s.AssignPrivateIpAddresses(&AssignPrivateIpAddressesInput{NetworkInterfaceId: n, PrivateIpAddresses: addrs, AllowReassignment: move}))
	}
	wantCode(t, assign(a, false, "10.0.0.100", "10.0.0.101"), "")
	wantCode(t, assign(b, false, "10.0.0.100"), "InvalidParameterValue")
	wantCode(t, assign(b, true, "10.0.0.100"), "")
	wantCode(t, assign(b, true, "10.0.0.4"), "InvalidParameterValue") // the primary one of a
	wantCode(t, assign(b, true, "10.0.0.1"), "InvalidParameterValue")
	wantCode(t, assign(b, true), "MissingParameter")
	wantCode(t, assign(b, true, "10.0.0.120", "10.0.0.120"), "InvalidParameterValue")
	if n := s.NetworkInterfaces.Get(a); n.has(netip.MustParseAddr("10.0.0.100")) || !n.has(netip.MustParseAddr("10.0.0.101")) {
		t.Errorf("a has %v", n.PrivateIps)
	}
	unassign := func(n NetworkInterfaceID, addr string) string {
		return code(s.UnassignPrivateIpAddresses(&UnassignPrivateIpAddressesInput{NetworkInterfaceId: n, PrivateIpAddresses: []string{addr}}))
	}
	wantCode(t, unassign(b, "10.0.0.101"), "InvalidParameterValue")
	wantCode(t, unassign(b, "10.0.0.5"), "InvalidParameterValue")
	wantCode(t, unassign(b, "10.0.0.100"), "")
	if n := s.NetworkInterfaces.Get(b); len(n.PrivateIps) != 1 {
		t.Errorf("b has %v", n.PrivateIps)
	}
}

func TestEI05_ElasticIpMovesWithItsPrivateAddress(t *testing.T) {
	s := newSite(t)
	a, b := s.eni(s.public), s.eni(s.public)
	must(s.AssignPrivateIpAddresses(&AssignPrivateIpAddressesInput{NetworkInterfaceId: a, PrivateIpAddresses: []string{"10.0.0.100"}}))
	e := s.eip()
	id := must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e, NetworkInterfaceId: a, PrivateIpAddress: "10.0.0.100"})).AssociationId
	must(s.AssignPrivateIpAddresses(&AssignPrivateIpAddressesInput{NetworkInterfaceId: b, PrivateIpAddresses: []string{"10.0.0.100"}, AllowReassignment: true}))
	if got := s.Addresses.Get(e); got.NetworkInterfaceID != b || got.AssociationID != id || got.PrivateIp.String() != "10.0.0.100" {
		t.Errorf("got %+v", got)
	}
	must(s.UnassignPrivateIpAddresses(&UnassignPrivateIpAddressesInput{NetworkInterfaceId: b, PrivateIpAddresses: []string{"10.0.0.100"}}))
	if got := s.Addresses.Get(e); got == nil || got.AssociationID != "" {
		t.Errorf("after unassigning: %+v", got)
	}
}

func TestEN07_TheRequesterIsWhoCreatedIt(t *testing.T) {
	s := newSite(t)
	own := s.eni(s.private)
	s.inPublic()
	info := must(s.DescribeNetworkInterfaces(&DescribeNetworkInterfacesInput{Filters: namedFilter("requester-id", s.Account)})).NetworkInterfaces
	if len(info) != 1 || info[0].NetworkInterfaceId != own || info[0].RequesterId != s.Account || info[0].RequesterManaged {
		t.Errorf("got %+v", info)
	}
}

func TestEN07_RequesterManagedIsLeftAlone(t *testing.T) {
	s := newSite(t)
	g := s.publicNat(t)
	id := s.NatGateways.Get(g).NetworkInterfaceID
	for name, got := range map[string]string{
		"delete":    code(s.DeleteNetworkInterface(&DeleteNetworkInterfaceInput{NetworkInterfaceId: id})),
		"modify":    code(s.ModifyNetworkInterfaceAttribute(&ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: id, Description: &AttributeValue{"x"}})),
		"attach":    code(s.AttachNetworkInterface(&AttachNetworkInterfaceInput{NetworkInterfaceId: id, InstanceId: s.inPublic(), DeviceIndex: new(1)})),
		"assign":    code(s.AssignPrivateIpAddresses(&AssignPrivateIpAddressesInput{NetworkInterfaceId: id, SecondaryPrivateIpAddressCount: new(1)})),
		"associate": code(s.AssociateAddress(&AssociateAddressInput{AllocationId: s.eip(), NetworkInterfaceId: id})),
		"run":       code(s.RunInstances(&RunInstancesInput{NetworkInterfaces: []InstanceNetworkInterfaceSpecification{{NetworkInterfaceId: id}}})),
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, got, "OperationNotPermitted") })
	}
	info := must(s.DescribeNetworkInterfaces(&DescribeNetworkInterfacesInput{Filters: namedFilter("interface-type", "nat_gateway")})).NetworkInterfaces
	if len(info) != 1 || !info[0].RequesterManaged || len(info[0].Groups) != 0 || info[0].Attachment.InstanceOwnerId != "amazon-aws" || info[0].SourceDestCheck {
		t.Errorf("got %+v", info)
	}
}

func TestModifyNetworkInterfaceAttribute_OneByOne(t *testing.T) {
	s := newSite(t)
	i := s.inPrivate()
	n := s.eth0(i)
	modify := func(in ModifyNetworkInterfaceAttributeInput) string {
		in.NetworkInterfaceId = n.ID
		return code(s.ModifyNetworkInterfaceAttribute(&in))
	}
	g := newGroup(s.Tx, s.vpc, "web")
	wantCode(t, modify(ModifyNetworkInterfaceAttributeInput{}), "MissingParameter")
	wantCode(t, modify(ModifyNetworkInterfaceAttributeInput{Description: &AttributeValue{"x"}, Groups: []SecurityGroupID{g}}), "InvalidParameterCombination")
	wantCode(t, modify(ModifyNetworkInterfaceAttributeInput{Description: &AttributeValue{"x"}}), "")
	wantCode(t, modify(ModifyNetworkInterfaceAttributeInput{Groups: []SecurityGroupID{g}}), "")
	wantCode(t, modify(ModifyNetworkInterfaceAttributeInput{SourceDestCheck: AttributeBooleanValue{new(false)}}), "")
	wantCode(t, modify(ModifyNetworkInterfaceAttributeInput{ConnectionTrackingSpecification: &ConnectionTracking{TcpEstablishedTimeout: 3600}}), "")
	wantCode(t, modify(ModifyNetworkInterfaceAttributeInput{Attachment: &NetworkInterfaceAttachmentChanges{"eni-attach-00000000000000bad", new(false)}}), "InvalidAttachmentID.NotFound")
	wantCode(t, modify(ModifyNetworkInterfaceAttributeInput{Attachment: &NetworkInterfaceAttachmentChanges{n.Attachment.ID, new(false)}}), "")
	got := s.eth0(i)
	if got.Description != "x" || got.Groups[0] != g || got.SourceDestCheck || got.TcpEstablishedTimeout != 3600 || got.Attachment.DeleteOnTermination {
		t.Errorf("got %+v", got)
	}
	must(s.ResetNetworkInterfaceAttribute(&ResetNetworkInterfaceAttributeInput{NetworkInterfaceId: n.ID, SourceDestCheck: "true"}))
	out := must(s.DescribeNetworkInterfaceAttribute(&DescribeNetworkInterfaceAttributeInput{NetworkInterfaceId: n.ID, Attribute: "sourceDestCheck"}))
	if !*out.SourceDestCheck.Value || out.Description != nil {
		t.Errorf("got %+v", out)
	}
}

func TestPI04_WishForAPublicAddressActsOnThePrimaryAtOnce(t *testing.T) {
	s := newSite(t)
	i := s.inPrivate()
	wish := func(n NetworkInterfaceID, b bool) {
		must(s.ModifyNetworkInterfaceAttribute(&ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: n, AssociatePublicIpAddress: &b}))
	}
	wish(s.eth0(i).ID, true)
	if !s.eth0(i).PublicIp.IsValid() {
		t.Error("the primary interface got no address")
	}
	wish(s.eth0(i).ID, false)
	if s.eth0(i).PublicIp.IsValid() {
		t.Error("the address is still there")
	}
	second := s.eni(s.private)
	s.attached(second, i, 1)
	wish(second, true)
	if s.NetworkInterfaces.Get(second).PublicIp.IsValid() {
		t.Error("a second interface got an address")
	}
}

func TestDescribeNetworkInterfaces_Filters(t *testing.T) {
	s := newSite(t)
	i := s.inPublic()
	n := s.eth0(i)
	s.eni(s.private)
	for name, value := range map[string]string{
		"attachment.instance-id": string(i), "private-ip-address": n.Primary().String(), "addresses.private-ip-address": "10.0.0.*",
		"association.public-ip": n.PublicIp.String(), "status": "in-use", "subnet-id": string(s.public), "mac-address": n.MacAddress,
		"attachment.device-index": "0", "attachment.attach-time": "2026-04-01T12:00:00.000Z", "addresses.association.public-ip": n.PublicIp.String(),
		"network-interface-id": string(n.ID), "private-dns-name": "ip-10-0-0-4.ap-northeast-1.compute.internal", "attachment.delete-on-termination": "true",
	} {
		out := must(s.DescribeNetworkInterfaces(&DescribeNetworkInterfacesInput{Filters: namedFilter(name, value)})).NetworkInterfaces
		if len(out) != 1 || out[0].NetworkInterfaceId != n.ID {
			t.Errorf("%s=%s found %v", name, value, out)
		}
	}
	wantCode(t, code(s.DescribeNetworkInterfaces(&DescribeNetworkInterfacesInput{Filters: namedFilter("color", "red")})), "InvalidParameterValue")
	if out := must(s.DescribeNetworkInterfaces(&DescribeNetworkInterfacesInput{MaxResults: new(5)})); len(out.NetworkInterfaces) != 2 || out.NextToken != "" {
		t.Errorf("got %+v", out)
	}
	wantTime := n.Attachment.AttachTime
	if !wantTime.Equal(testNow) || wantTime.Sub(testNow) > time.Second {
		t.Errorf("attached at %s", wantTime)
	}
}

// Addresses of a launch of which none is said to be the primary are secondary ones (Terraform's secondary_private_ips).
func TestRunInstances_SecondaryAddressesWithoutAPrimary(t *testing.T) {
	s := newSite(t)
	launch := func(list ...PrivateIpAddressSpecification) string {
		t.Helper()
		out := must(s.RunInstances(&RunInstancesInput{InstanceType: "m5.large",
			NetworkInterfaces: []InstanceNetworkInterfaceSpecification{{DeviceIndex: new(0), SubnetId: s.public, PrivateIpAddresses: list}}}))
		text := ""
		for _, a := range out.Instances[0].NetworkInterfaces[0].PrivateIpAddresses {
			text += fmt.Sprint(a.PrivateIpAddress, " ", a.Primary, "; ")
		}
		return text
	}
	if got, want := launch(PrivateIpAddressSpecification{PrivateIpAddress: "10.0.0.200"}, PrivateIpAddressSpecification{PrivateIpAddress: "10.0.0.201"}), "10.0.0.4 true; 10.0.0.200 false; 10.0.0.201 false; "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := launch(PrivateIpAddressSpecification{PrivateIpAddress: "10.0.0.210"}, PrivateIpAddressSpecification{new(true), "10.0.0.211"}), "10.0.0.211 true; 10.0.0.210 false; "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
