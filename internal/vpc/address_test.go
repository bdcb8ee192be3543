package vpc

import (
	"net/netip"
	"testing"
)

func TestEI01_AllocatedToTheAccount(t *testing.T) {
	s := newSite(t)
	out := must(s.AllocateAddress(&AllocateAddressInput{TagSpecifications: NamedTag("elastic-ip", "www")}))
	if out.PublicIp != "203.0.113.1" || out.Domain != "vpc" || out.PublicIpv4Pool != "amazon" || out.NetworkBorderGroup != "ap-northeast-1" {
		t.Errorf("got %+v", out)
	}
	if out = must(s.AllocateAddress(&AllocateAddressInput{Address: "198.51.100.7"})); out.PublicIp != "198.51.100.7" {
		t.Errorf("asked for 198.51.100.7, got %s", out.PublicIp)
	}
	for address, want := range map[string]string{
		"198.51.100.7": "InvalidIPAddress.InUse", "198.51.100.255": "InvalidAddress.NotFound", "8.8.8.8": "InvalidAddress.NotFound", "x": "InvalidParameterValue",
	} {
		wantCode(t, code(s.AllocateAddress(&AllocateAddressInput{Address: address})), want)
	}
	wantCode(t, code(s.AllocateAddress(&AllocateAddressInput{Domain: "standard"})), "InvalidParameterValue")
}

func TestEI04_QuotaOfFive(t *testing.T) {
	s := newSite(t)
	for range 5 {
		s.eip()
	}
	wantCode(t, code(s.AllocateAddress(&AllocateAddressInput{})), "AddressLimitExceeded")
	s.Quotas = map[string]int{QuotaElasticIps: 6}
	wantCode(t, code(s.AllocateAddress(&AllocateAddressInput{})), "")
}

func TestEI02_AssociateMovesUnlessForbidden(t *testing.T) {
	s := newSite(t)
	a, b, e := s.inPublic(), s.inPublic(), s.eip()
	first := must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e, InstanceId: a})).AssociationId
	if again := must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e, InstanceId: a})).AssociationId; again != first {
		t.Errorf("repeated: %s, first %s", again, first)
	}
	wantCode(t, code(s.AssociateAddress(&AssociateAddressInput{AllocationId: e, InstanceId: b, AllowReassociation: new(false)})), "Resource.AlreadyAssociated")
	moved := must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e, InstanceId: b})).AssociationId
	if moved == first || s.info(b).PublicIpAddress != s.Addresses.Get(e).PublicIp.String() {
		t.Errorf("b has %s", s.info(b).PublicIpAddress)
	}
	if got := s.eth0(a); got.PrivateIps[0].AllocationID != "" || !got.PublicIp.IsValid() {
		t.Errorf("a, which is due an automatic address again, has %+v", got)
	}
}

// Terraform names the interface that the address had, beside the instance that it shall have.
func TestEI02_AnInstanceCountsBeforeAnInterface(t *testing.T) {
	s := newSite(t)
	e := s.eip()
	former, next := s.inPublic(), s.inPublic()
	must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e, InstanceId: former}))
	must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e, InstanceId: next, NetworkInterfaceId: s.eth0(former).ID}))
	if got := s.Addresses.Get(e).NetworkInterfaceID; got != s.eth0(next).ID {
		t.Errorf("associated with %s, want %s's", got, next)
	}
}

func TestEI02_TheOldElasticIpOfTheTargetStaysAllocated(t *testing.T) {
	s := newSite(t)
	i, e1, e2 := s.inPublic(), s.eip(), s.eip()
	must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e1, InstanceId: i}))
	must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e2, InstanceId: i}))
	if a := s.Addresses.Get(e1); a == nil || a.AssociationID != "" || a.NetworkInterfaceID != "" {
		t.Errorf("got %+v", a)
	}
	if got := s.info(i).PublicIpAddress; got != s.Addresses.Get(e2).PublicIp.String() {
		t.Errorf("the instance has %s", got)
	}
}

func TestEI01_OneForEachPrivateAddress(t *testing.T) {
	s := newSite(t)
	i := s.inPublic()
	n := s.eth0(i).ID
	must(s.AssignPrivateIpAddresses(&AssignPrivateIpAddressesInput{NetworkInterfaceId: n, PrivateIpAddresses: []string{"10.0.0.100"}}))
	e1, e2 := s.eip(), s.eip()
	auto := s.eth0(i).PublicIp
	must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e2, NetworkInterfaceId: n, PrivateIpAddress: "10.0.0.100"}))
	if s.eth0(i).PublicIp != auto {
		t.Error("an Elastic IP of a secondary address released the automatic one of the primary")
	}
	must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e1, InstanceId: i}))
	if got := s.eth0(i); got.PrivateIps[0].AllocationID != e1 || got.PrivateIps[1].AllocationID != e2 {
		t.Errorf("got %+v", got.PrivateIps)
	}
}

func TestAssociateAddress_Refuses(t *testing.T) {
	s := newSite(t)
	i, e := s.inPublic(), s.eip()
	two := s.inPublic()
	s.attached(s.eni(s.public), two, 1)
	gone := s.inPublic()
	s.terminate(gone)
	lonely := newSubnet(s.Tx, newVpc(s.Tx, "10.7.0.0/16"), "10.7.0.0/24")
	g := s.publicNat(t)
	nat := s.NatGateways.Get(g).Addresses[0].AllocationID
	for name, c := range map[string]struct {
		in   AssociateAddressInput
		code string
	}{
		"no address":         {AssociateAddressInput{InstanceId: i}, "MissingParameter"},
		"both addresses":     {AssociateAddressInput{InstanceId: i, AllocationId: e, PublicIp: "203.0.113.1"}, "InvalidParameterCombination"},
		"unknown allocation": {AssociateAddressInput{InstanceId: i, AllocationId: "eipalloc-00000000000000bad"}, "InvalidAllocationID.NotFound"},
		"unknown address":    {AssociateAddressInput{InstanceId: i, PublicIp: "203.0.113.250"}, "InvalidAddress.NotFound"},
		"no target":          {AssociateAddressInput{AllocationId: e}, "MissingParameter"},
		"two interfaces":     {AssociateAddressInput{AllocationId: e, InstanceId: two}, "InvalidInstanceID"},
		"terminated":         {AssociateAddressInput{AllocationId: e, InstanceId: gone}, "InvalidInstanceID"},
		"foreign private":    {AssociateAddressInput{AllocationId: e, InstanceId: i, PrivateIpAddress: "10.0.0.200"}, "InvalidParameterValue"},
		"no gateway":         {AssociateAddressInput{AllocationId: e, NetworkInterfaceId: s.eni(lonely)}, "Gateway.NotAttached"},
		"of a NAT gateway":   {AssociateAddressInput{AllocationId: nat, InstanceId: i}, "AuthFailure"},
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, code(s.AssociateAddress(&c.in)), c.code) })
	}
	wantCode(t, code(s.DisassociateAddress(&DisassociateAddressInput{AssociationId: s.Addresses.Get(nat).AssociationID})), "AuthFailure")
	wantCode(t, code(s.ReleaseAddress(&ReleaseAddressInput{AllocationId: nat})), "AuthFailure")
}

func TestEI03_ReleaseAndDisassociate(t *testing.T) {
	s := newSite(t)
	i, e := s.inPublic(), s.eip()
	id := must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e, InstanceId: i})).AssociationId
	wantCode(t, code(s.ReleaseAddress(&ReleaseAddressInput{AllocationId: e})), "InvalidIPAddress.InUse")
	for range 2 {
		wantCode(t, code(s.DisassociateAddress(&DisassociateAddressInput{AssociationId: id})), "")
	}
	wantCode(t, code(s.DisassociateAddress(&DisassociateAddressInput{PublicIp: s.Addresses.Get(e).PublicIp.String()})), "")
	wantCode(t, code(s.DisassociateAddress(&DisassociateAddressInput{AssociationId: "eipassoc-00000000000000bad"})), "InvalidAssociationID.NotFound")
	wantCode(t, code(s.DisassociateAddress(&DisassociateAddressInput{})), "MissingParameter")
	wantCode(t, code(s.ReleaseAddress(&ReleaseAddressInput{AllocationId: e})), "")
	wantCode(t, code(s.ReleaseAddress(&ReleaseAddressInput{AllocationId: e})), "InvalidAllocationID.NotFound")
}

func TestEI03_ReleaseInTheDefaultVpcDisassociates(t *testing.T) {
	s := &site{Tx: fullLab(t)}
	i, e := s.launched(RunInstancesInput{}), s.eip()
	must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e, InstanceId: i}))
	wantCode(t, code(s.ReleaseAddress(&ReleaseAddressInput{AllocationId: e})), "")
	if n := s.eth0(i); n.PrivateIps[0].AllocationID != "" || !n.PublicIp.IsValid() {
		t.Errorf("the instance has %+v", n)
	}
	wantConsistent(t, &s.Model)
}

func TestIG07_DetachIsRefusedWhilePublicAddressesAreMapped(t *testing.T) {
	s := newSite(t)
	i := s.inPublic()
	detach := func() string {
		return code(s.DetachInternetGateway(&DetachInternetGatewayInput{InternetGatewayId: s.igw, VpcId: s.vpc}))
	}
	wantCode(t, detach(), "DependencyViolation")
	s.stop(i)
	wantCode(t, detach(), "")
	must(s.AttachInternetGateway(&AttachInternetGatewayInput{InternetGatewayId: s.igw, VpcId: s.vpc}))
	e := s.eip()
	must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e, InstanceId: i}))
	s.start(i)
	wantCode(t, detach(), "DependencyViolation")
	must(s.ModifyNetworkInterfaceAttribute(&ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: s.eth0(i).ID, AssociatePublicIpAddress: new(false)}))
	must(s.DisassociateAddress(&DisassociateAddressInput{AssociationId: s.Addresses.Get(e).AssociationID}))
	wantCode(t, detach(), "")
	must(s.AttachInternetGateway(&AttachInternetGatewayInput{InternetGatewayId: s.igw, VpcId: s.vpc}))
	g := s.publicNat(t)
	wantCode(t, detach(), "DependencyViolation")
	must(s.DeleteNatGateway(&DeleteNatGatewayInput{NatGatewayId: g}))
	wantCode(t, detach(), "")
}

func TestDescribeAddresses(t *testing.T) {
	s := newSite(t)
	i, e := s.inPublic(), s.eip()
	free := s.eip()
	must(s.AssociateAddress(&AssociateAddressInput{AllocationId: e, InstanceId: i}))
	out := must(s.DescribeAddresses(&DescribeAddressesInput{Filters: namedFilter("instance-id", string(i))})).Addresses
	if len(out) != 1 || out[0].AllocationId != e || out[0].PrivateIpAddress != "10.0.0.4" || out[0].SubnetId != s.public || out[0].NetworkInterfaceOwnerId != s.Account {
		t.Errorf("got %+v", out)
	}
	out = must(s.DescribeAddresses(&DescribeAddressesInput{PublicIps: []string{s.Addresses.Get(free).PublicIp.String()}})).Addresses
	if len(out) != 1 || out[0].AllocationId != free || out[0].AssociationId != "" {
		t.Errorf("got %+v", out)
	}
	wantCode(t, code(s.DescribeAddresses(&DescribeAddressesInput{PublicIps: []string{"8.8.8.8"}})), "InvalidAddress.NotFound")
	if n := len(must(s.DescribeAddressesAttribute(&DescribeAddressesAttributeInput{Attribute: "domain-name"})).Addresses); n != 2 {
		t.Errorf("%d addresses", n)
	}
}

func TestPublicPools_AreGoneRoundAndRunOut(t *testing.T) {
	tx := emptyLab(t)
	tx.Quotas = map[string]int{QuotaElasticIps: 100}
	tx.PublicPools = []netip.Prefix{cidr("203.0.113.0/30"), cidr("198.51.100.8/31")}
	var ids []AllocationID
	draw := func() string {
		out, err := tx.AllocateAddress(&AllocateAddressInput{})
		if err != nil {
			return code(out, err)
		}
		ids = append(ids, out.AllocationId)
		return out.PublicIp
	}
	for _, want := range []string{"203.0.113.1", "203.0.113.2", "198.51.100.8", "198.51.100.9", "InsufficientAddressCapacity"} {
		if got := draw(); got != want {
			t.Errorf("drew %s, want %s", got, want)
		}
	}
	must(tx.ReleaseAddress(&ReleaseAddressInput{AllocationId: ids[3]}))
	must(tx.ReleaseAddress(&ReleaseAddressInput{AllocationId: ids[0]}))
	for _, want := range []string{"203.0.113.1", "198.51.100.9", "InsufficientAddressCapacity"} {
		if got := draw(); got != want {
			t.Errorf("drew %s, want %s", got, want)
		}
	}
	tx.PublicPools = nil
	wantCode(t, code(tx.AllocateAddress(&AllocateAddressInput{})), "InsufficientAddressCapacity")
}
