package vpc

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// publicNat makes a public gateway in the public subnet with an Elastic IP of its own.
func (s *site) publicNat(t testing.TB) NatGatewayID {
	t.Helper()
	return must(s.CreateNatGateway(&CreateNatGatewayInput{SubnetId: s.public, AllocationId: s.eip()})).NatGateway.NatGatewayId
}

func (s *site) privateNat(t testing.TB) NatGatewayID {
	t.Helper()
	return must(s.CreateNatGateway(&CreateNatGatewayInput{SubnetId: s.private, ConnectivityType: "private"})).NatGateway.NatGatewayId
}

func TestNA01_PublicGatewayHasAnInterfaceAndAnElasticIp(t *testing.T) {
	s := newSite(t)
	e := s.eip()
	out := must(s.CreateNatGateway(&CreateNatGatewayInput{SubnetId: s.public, AllocationId: e, PrivateIpAddress: "10.0.0.9", TagSpecifications: NamedTag("natgateway", "nat")})).NatGateway
	if out.State != "pending" || out.ConnectivityType != "public" || out.VpcId != s.vpc || out.Tags[0].Value != "nat" {
		t.Errorf("got %+v", out)
	}
	g := s.NatGateways.Get(out.NatGatewayId)
	n := s.NetworkInterfaces.Get(g.NetworkInterfaceID)
	if g.State != "available" || !n.RequesterManaged || n.InterfaceType != "natGateway" || len(n.Groups) != 0 || n.SourceDestCheck || n.Primary().String() != "10.0.0.9" {
		t.Errorf("stored %+v with %+v", g, n)
	}
	a := s.Addresses.Get(e)
	if a.NetworkInterfaceID != n.ID || g.Addresses[0].PublicIp != a.PublicIp || g.Addresses[0].AssociationID != a.AssociationID || !g.Addresses[0].IsPrimary {
		t.Errorf("Elastic IP %+v, gateway address %+v", a, g.Addresses[0])
	}
	if !s.HasPublicAddresses(s.vpc) {
		t.Error("IG-07: the VPC has a public address")
	}
}

func TestNA01_PrivateGatewayTakesNoElasticIp(t *testing.T) {
	s := newSite(t)
	g := s.NatGateways.Get(s.privateNat(t))
	if g.State != "available" || g.Addresses[0].PublicIp.IsValid() || g.Addresses[0].PrivateIp.String() != "10.0.1.4" {
		t.Errorf("got %+v", g)
	}
	wantCode(t, code(s.CreateNatGateway(&CreateNatGatewayInput{SubnetId: s.private, ConnectivityType: "private", AllocationId: s.eip()})), "InvalidParameterCombination")
	if s.HasPublicAddresses(s.vpc) {
		t.Error("a private gateway counts as public")
	}
}

func TestNA02_SeveralAddresses(t *testing.T) {
	s := newSite(t)
	e1, e2 := s.eip(), s.eip()
	g := s.NatGateways.Get(must(s.CreateNatGateway(&CreateNatGatewayInput{
		SubnetId: s.public, AllocationId: e1, SecondaryAllocationIds: []AllocationID{e2}, SecondaryPrivateIpAddresses: []string{"10.0.0.4"},
	})).NatGateway.NatGatewayId)
	if len(g.Addresses) != 2 || g.Addresses[0].PrivateIp.String() != "10.0.0.5" || g.Addresses[1].PrivateIp.String() != "10.0.0.4" || g.Addresses[1].AllocationID != e2 {
		t.Errorf("got %+v", g.Addresses)
	}
	p := s.NatGateways.Get(must(s.CreateNatGateway(&CreateNatGatewayInput{SubnetId: s.private, ConnectivityType: "private", SecondaryPrivateIpAddressCount: new(7)})).NatGateway.NatGatewayId)
	if len(p.Addresses) != 8 {
		t.Errorf("got %d addresses", len(p.Addresses))
	}
	wantCode(t, code(s.CreateNatGateway(&CreateNatGatewayInput{SubnetId: s.private, ConnectivityType: "private", SecondaryPrivateIpAddressCount: new(8)})), "PrivateIpAddressLimitExceeded")
}

func TestNA15_FailsVisibly(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(*site) CreateNatGatewayInput
		code    string
		message string
	}{
		"no gateway": {func(s *site) CreateNatGatewayInput {
			v := newVpc(s.Tx, "10.7.0.0/16")
			return CreateNatGatewayInput{SubnetId: newSubnet(s.Tx, v, "10.7.0.0/24"), AllocationId: s.eip()}
		}, "Gateway.NotAttached", "has no Internet gateway attached"},
		"taken Elastic IP": {func(s *site) CreateNatGatewayInput {
			e := s.eip()
			must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e, InstanceId: s.inPublic()}))
			return CreateNatGatewayInput{SubnetId: s.public, AllocationId: e}
		}, "Resource.AlreadyAssociated", "is already associated"},
		"unknown Elastic IP": {func(s *site) CreateNatGatewayInput {
			return CreateNatGatewayInput{SubnetId: s.public, AllocationId: "eipalloc-00000000000000bad"}
		}, "InvalidAllocationID.NotFound", "could not be found"},
		"full subnet": {func(s *site) CreateNatGatewayInput {
			small := newSubnet(s.Tx, s.vpc, "10.0.9.0/28")
			for range 11 {
				s.eni(small)
			}
			return CreateNatGatewayInput{SubnetId: small, AllocationId: s.eip()}
		}, "InsufficientFreeAddressesInSubnet", "Subnet has insufficient free addresses to create this NAT gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			in := c.prepare(s)
			enis := s.NetworkInterfaces.Len()
			out := must(s.CreateNatGateway(&in)).NatGateway
			if out.State != "pending" || out.FailureCode != "" {
				t.Errorf("the first answer is %+v", out)
			}
			got := must(s.DescribeNatGateways(&DescribeNatGatewaysInput{NatGatewayIds: []NatGatewayID{out.NatGatewayId}})).NatGateways[0]
			if got.State != "failed" || got.FailureCode != c.code || !strings.Contains(got.FailureMessage, c.message) {
				t.Errorf("got %s %s %q", got.State, got.FailureCode, got.FailureMessage)
			}
			if s.NetworkInterfaces.Len() != enis {
				t.Error("a failed gateway has an interface")
			}
			s.PurgeDeleted(testNow.Add(59 * time.Minute))
			if s.NatGateways.Get(out.NatGatewayId) == nil {
				t.Error("it vanished too early")
			}
			s.PurgeDeleted(testNow.Add(time.Hour))
			if s.NatGateways.Get(out.NatGatewayId) != nil {
				t.Error("it is still there after an hour")
			}
		})
	}
}

func TestNA15_RefusedAtOnce(t *testing.T) {
	s := newSite(t)
	create := func(in CreateNatGatewayInput) string { return code(s.CreateNatGateway(&in)) }
	e := s.eip()
	wantCode(t, create(CreateNatGatewayInput{AllocationId: e}), "MissingParameter")
	wantCode(t, create(CreateNatGatewayInput{SubnetId: "subnet-00000000000000bad", AllocationId: e}), "InvalidSubnetID.NotFound")
	wantCode(t, create(CreateNatGatewayInput{SubnetId: s.public}), "MissingParameter")
	wantCode(t, create(CreateNatGatewayInput{SubnetId: s.public, AllocationId: "203.0.113.4"}), "InvalidAllocationID.Malformed")
	wantCode(t, create(CreateNatGatewayInput{SubnetId: s.public, AllocationId: e, ConnectivityType: "open"}), "InvalidParameterValue")
	wantCode(t, create(CreateNatGatewayInput{SubnetId: s.public, AllocationId: e, AvailabilityMode: "regional"}), "InvalidParameterValue")
	wantCode(t, create(CreateNatGatewayInput{SubnetId: s.public, AllocationId: e, PrivateIpAddress: "10.0.0.2"}), "InvalidParameterValue")
	wantCode(t, create(CreateNatGatewayInput{SubnetId: s.public, AllocationId: e, SecondaryAllocationIds: []AllocationID{e}}), "InvalidParameterValue")
	wantCode(t, create(CreateNatGatewayInput{SubnetId: s.public, AllocationId: e, SecondaryAllocationIds: []AllocationID{s.eip(), s.eip()}}), "AddressLimitExceeded")
	if s.NatGateways.Len() != 0 {
		t.Error("a gateway was made")
	}
}

func TestNA16_DeletedGatewayKeepsElasticIpAndLeavesBlackhole(t *testing.T) {
	s := newSite(t)
	g := s.publicNat(t)
	e := s.NatGateways.Get(g).Addresses[0].AllocationID
	table := newTable(s.Tx, s.vpc)
	must(s.CreateRoute(&CreateRouteInput{RouteTableId: table, DestinationCidrBlock: "0.0.0.0/0", NatGatewayId: g}))
	must(s.DeleteNatGateway(&DeleteNatGatewayInput{NatGatewayId: g}))
	if a := s.Addresses.Get(e); a == nil || a.AssociationID != "" {
		t.Errorf("Elastic IP %+v", a)
	}
	routes := s.RouteTables.Get(table).Routes
	if r := routes[len(routes)-1]; s.RouteState(r) != RouteBlackhole {
		t.Errorf("the route is %s", s.RouteState(r))
	}
	out := must(s.DescribeNatGateways(&DescribeNatGatewaysInput{Filter: namedFilter("state", "deleted")})).NatGateways
	if len(out) != 1 || out[0].DeleteTime == nil {
		t.Errorf("got %+v", out)
	}
	wantCode(t, code(s.DeleteNatGateway(&DeleteNatGatewayInput{NatGatewayId: g})), "") // again, as long as it is listed
	if got := s.NextPurge(); !got.Equal(testNow.Add(time.Hour)) {
		t.Errorf("the next purge is at %s", got)
	}
	s.PurgeDeleted(testNow.Add(time.Hour))
	wantCode(t, code(s.DescribeNatGateways(&DescribeNatGatewaysInput{NatGatewayIds: []NatGatewayID{g}})), "NatGatewayNotFound")
	wantCode(t, code(s.DeleteNatGateway(&DeleteNatGatewayInput{NatGatewayId: g})), "NatGatewayNotFound")
}

func TestNA16_QuotaCountsLivingGatewaysOfTheZone(t *testing.T) {
	s := newSite(t)
	var last NatGatewayID
	for range 5 {
		last = s.privateNat(t)
	}
	in := &CreateNatGatewayInput{SubnetId: s.private, ConnectivityType: "private"}
	wantCode(t, code(s.CreateNatGateway(in)), "NatGatewayLimitExceeded")
	wantCode(t, code(s.CreateNatGateway(&CreateNatGatewayInput{SubnetId: s.other, ConnectivityType: "private"})), "")
	must(s.DeleteNatGateway(&DeleteNatGatewayInput{NatGatewayId: last}))
	wantCode(t, code(s.CreateNatGateway(in)), "")
}

func TestNA17_SecondaryElasticIpDrains(t *testing.T) {
	s := newSite(t)
	g := s.publicNat(t)
	e := s.eip()
	added := must(s.AssociateNatGatewayAddress(&AssociateNatGatewayAddressInput{NatGatewayId: g, AllocationIds: []AllocationID{e}})).NatGatewayAddresses
	if len(added) != 1 || added[0].AllocationId != e || added[0].IsPrimary {
		t.Fatalf("added %+v", added)
	}
	wantCode(t, code(s.AssociateNatGatewayAddress(&AssociateNatGatewayAddressInput{NatGatewayId: g, AllocationIds: []AllocationID{s.eip()}})), "AddressLimitExceeded")
	s.Quotas = map[string]int{QuotaNatElasticIps: 3}
	wantCode(t, code(s.AssociateNatGatewayAddress(&AssociateNatGatewayAddressInput{NatGatewayId: s.publicNat(t), AllocationIds: []AllocationID{s.eip()}})), "")
	drop := func(id AddressAssocID, seconds *int) string {
		return code(s.DisassociateNatGatewayAddress(&DisassociateNatGatewayAddressInput{NatGatewayId: g, AssociationIds: []AddressAssocID{id}, MaxDrainDurationSeconds: seconds}))
	}
	wantCode(t, drop(s.NatGateways.Get(g).Addresses[0].AssociationID, nil), "OperationNotPermitted")
	wantCode(t, drop(added[0].AssociationId, new(0)), "InvalidParameterValue")
	wantCode(t, drop("eipassoc-00000000000000bad", nil), "InvalidAssociationID.NotFound")
	wantCode(t, drop(added[0].AssociationId, nil), "")
	if a := &s.NatGateways.Get(g).Addresses[1]; a.Status != "disassociating" || !a.Draining() {
		t.Errorf("draining %+v", a)
	}
	end := testNow.Add(350 * time.Second)
	if got := s.NextPurge(); !got.Equal(end) {
		t.Errorf("the next purge is at %s, want %s", got, end)
	}
	s.PurgeDeleted(end.Add(-time.Second))
	if s.Addresses.Get(e).AssociationID == "" {
		t.Error("the address went before it had drained")
	}
	s.PurgeDeleted(end)
	if s.Addresses.Get(e).AssociationID != "" || len(s.NatGateways.Get(g).Addresses) != 1 || len(s.NetworkInterfaces.Get(s.NatGateways.Get(g).NetworkInterfaceID).PrivateIps) != 1 {
		t.Error("the address is still there after draining")
	}
}

// An address that nothing uses does not wait for the time that connections in progress have.
func TestNA17_AnIdleAddressGoesAtOnce(t *testing.T) {
	s := newSite(t)
	g := s.privateNat(t)
	must(s.AssignPrivateNatGatewayAddress(&AssignPrivateNatGatewayAddressInput{NatGatewayId: g, PrivateIpAddresses: []string{"10.0.1.50", "10.0.1.51"}}))
	s.NatAddressIdle(g, netip.MustParseAddr("10.0.1.51"))
	if n := len(s.NatGateways.Get(g).Addresses); n != 3 {
		t.Fatalf("%d addresses after one that is not draining was idle", n)
	}
	must(s.UnassignPrivateNatGatewayAddress(&UnassignPrivateNatGatewayAddressInput{NatGatewayId: g, PrivateIpAddresses: []string{"10.0.1.50", "10.0.1.51"}}))
	s.NatAddressIdle(g, netip.MustParseAddr("10.0.1.50"))
	if a := s.NatGateways.Get(g).Addresses; len(a) != 2 || a[1].PrivateIp.String() != "10.0.1.51" {
		t.Errorf("%+v", a)
	}
	s.NatAddressIdle("nat-00000000000000bad", netip.MustParseAddr("10.0.1.51"))
}

func TestNA17_PrivateAddressesAssignedAndUnassigned(t *testing.T) {
	s := newSite(t)
	g := s.privateNat(t)
	must(s.AssignPrivateNatGatewayAddress(&AssignPrivateNatGatewayAddressInput{NatGatewayId: g, PrivateIpAddressCount: new(2)}))
	must(s.AssignPrivateNatGatewayAddress(&AssignPrivateNatGatewayAddressInput{NatGatewayId: g, PrivateIpAddresses: []string{"10.0.1.50"}}))
	wantCode(t, code(s.AssignPrivateNatGatewayAddress(&AssignPrivateNatGatewayAddressInput{NatGatewayId: g, PrivateIpAddressCount: new(5)})), "PrivateIpAddressLimitExceeded")
	wantCode(t, code(s.AssignPrivateNatGatewayAddress(&AssignPrivateNatGatewayAddressInput{NatGatewayId: g})), "MissingParameter")
	wantCode(t, code(s.AssignPrivateNatGatewayAddress(&AssignPrivateNatGatewayAddressInput{NatGatewayId: g, PrivateIpAddresses: []string{"10.0.1.50"}})), "InvalidIPAddress.InUse")
	wantCode(t, code(s.AssignPrivateNatGatewayAddress(&AssignPrivateNatGatewayAddressInput{NatGatewayId: s.publicNat(t), PrivateIpAddressCount: new(1)})), "Unsupported")
	unassign := func(addr string) string {
		return code(s.UnassignPrivateNatGatewayAddress(&UnassignPrivateNatGatewayAddressInput{NatGatewayId: g, PrivateIpAddresses: []string{addr}, MaxDrainDurationSeconds: new(10)}))
	}
	wantCode(t, unassign("10.0.1.4"), "OperationNotPermitted")
	wantCode(t, unassign("10.0.1.99"), "InvalidParameterValue")
	wantCode(t, unassign("10.0.1.50"), "")
	s.PurgeDeleted(testNow.Add(10 * time.Second))
	if a := s.NatGateways.Get(g).Addresses; len(a) != 3 {
		t.Errorf("left are %+v", a)
	}
}
