package vpc

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestAD01_BlockSize(t *testing.T) {
	for block, want := range map[string]string{
		"10.0.0.0/16": "", "10.0.0.0/28": "", "10.0.0.0/15": "InvalidVpc.Range", "10.0.0.0/29": "InvalidVpc.Range",
		"52.10.0.0/16": "", "169.254.0.0/16": "InvalidVpc.Range", "127.0.0.0/16": "InvalidVpc.Range", "224.0.0.0/16": "InvalidVpc.Range",
		"": "MissingParameter", "10.0.0.0": "InvalidParameterValue", "10.0.0.0/33": "InvalidParameterValue", "fd00::/56": "InvalidParameterValue",
	} {
		t.Run(block, func(t *testing.T) {
			tx := emptyLab(t)
			wantCode(t, code(tx.CreateVpc(&CreateVpcInput{CidrBlock: block})), want)
		})
	}
}

func TestAD02_HostBitsAreCleared(t *testing.T) {
	tx := emptyLab(t)
	v := must(tx.CreateVpc(&CreateVpcInput{CidrBlock: "100.68.0.18/18"})).Vpc
	if v.CidrBlock != "100.68.0.0/18" {
		t.Errorf("vpc %s", v.CidrBlock)
	}
	s := must(tx.CreateSubnet(&CreateSubnetInput{VpcId: v.VpcId, CidrBlock: "100.68.1.9/24"})).Subnet
	if s.CidrBlock != "100.68.1.0/24" {
		t.Errorf("subnet %s", s.CidrBlock)
	}
	rt := tx.MainRouteTable(v.VpcId).ID
	must(tx.CreateRoute(&CreateRouteInput{RouteTableId: rt, DestinationCidrBlock: "8.8.8.8/8", GatewayId: newGateway(tx, v.VpcId)}))
	if r := tx.RouteTables.Get(rt).Routes; r[1].DestinationCidrBlock != cidr("8.0.0.0/8") {
		t.Errorf("route %v", r[1])
	}
	acl := tx.DefaultNetworkAcl(v.VpcId).ID
	must(tx.CreateNetworkAclEntry(&CreateNetworkAclEntryInput{NetworkAclId: acl, RuleNumber: 1, Protocol: "-1", RuleAction: "deny", CidrBlock: "9.9.9.9/24"}))
	if e := tx.NetworkAcls.Get(acl).Entries[0]; e.CidrBlock != cidr("9.9.9.0/24") {
		t.Errorf("entry %v", e)
	}
}

func TestDV03_NewVpcBringsTableAclGroupAndOptions(t *testing.T) {
	tx := emptyLab(t)
	out := must(tx.CreateVpc(&CreateVpcInput{CidrBlock: "10.0.0.0/16"})).Vpc
	v := out.VpcId
	if out.State != "pending" || tx.Vpcs.Get(v).State != "available" {
		t.Error("the answer says pending, the VPC is available")
	}
	if r := tx.MainRouteTable(v).Routes; len(r) != 1 || !r[0].Local || r[0].DestinationCidrBlock != cidr("10.0.0.0/16") {
		t.Errorf("main table %v", r)
	}
	if a := tx.DefaultNetworkAcl(v); len(a.Entries) != 4 {
		t.Errorf("default ACL %v", a.Entries)
	}
	g := tx.DefaultSecurityGroup(v)
	if len(g.Ingress) != 1 || g.Ingress[0].GroupID != g.ID || len(g.Egress) != 1 || g.Egress[0].CidrIpv4 != anyIPv4 {
		t.Errorf("default group %+v", g)
	}
	d := tx.DhcpOptions.Get(out.DhcpOptionsId)
	if d == nil || d.DomainName != "ap-northeast-1.compute.internal" || !slices.Equal(d.DomainNameServers, []string{"AmazonProvidedDNS"}) {
		t.Errorf("DHCP options %+v", d) // DH-03
	}
	if tx.Subnets.Len() != 0 || tx.InternetGateways.Len() != 0 {
		t.Error("a new VPC has neither subnets nor a gateway")
	}
	wantConsistent(t, &tx.Model)
}

func TestAD03_SecondaryBlocks(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.2.0.0/16")
	add := func(block string) string {
		return code(tx.AssociateVpcCidrBlock(&AssociateVpcCidrBlockInput{VpcId: v, CidrBlock: block}))
	}
	wantCode(t, add("10.2.128.0/17"), "CidrConflict")
	wantCode(t, add("10.4.0.0/15"), "InvalidVpc.Range")
	for i := 3; i <= 6; i++ {
		wantCode(t, add("10."+strconv.Itoa(i)+".0.0/16"), "")
	}
	wantCode(t, add("10.7.0.0/16"), "CidrLimitExceeded")
	associations := tx.Vpcs.Get(v).Cidrs
	remove := func(id CidrAssociationID) string {
		return code(tx.DisassociateVpcCidrBlock(&DisassociateVpcCidrBlockInput{id}))
	}
	wantCode(t, remove(associations[0].ID), "OperationNotPermitted")
	wantCode(t, remove("vpc-cidr-assoc-0123456789abcdef0"), "InvalidVpcCidrBlockAssociationID.NotFound")
	s := newSubnet(tx, v, "10.3.0.0/24")
	wantCode(t, remove(associations[1].ID), "InvalidCidrBlock.InUse")
	must(tx.DeleteSubnet(&DeleteSubnetInput{SubnetId: s}))
	wantCode(t, remove(associations[1].ID), "")
	wantConsistent(t, &tx.Model)
}

func TestAD04_BlockMayNotCoverARoute(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.2.0.0/16")
	must(tx.CreateRoute(&CreateRouteInput{RouteTableId: newTable(tx, v), DestinationCidrBlock: "10.3.0.0/24", GatewayId: newGateway(tx, v)}))
	for block, want := range map[string]string{"10.3.0.0/24": "CidrConflict", "10.3.0.0/16": "CidrConflict", "10.3.0.0/25": ""} {
		wantCode(t, code(tx.AssociateVpcCidrBlock(&AssociateVpcCidrBlockInput{VpcId: v, CidrBlock: block})), want)
	}
}

func TestAD05_RestrictedBlocks(t *testing.T) {
	rows := []struct{ primary, add, want string }{
		{"10.2.0.0/16", "172.16.0.0/16", "InvalidVpc.Range"},
		{"10.2.0.0/16", "192.168.0.0/16", "InvalidVpc.Range"},
		{"10.2.0.0/16", "198.19.0.0/16", "InvalidVpc.Range"},
		{"10.2.0.0/16", "10.0.0.0/16", ""},
		{"10.1.0.0/16", "10.0.0.0/24", "InvalidVpc.Range"},
		{"10.0.0.0/24", "10.0.5.0/24", "InvalidVpc.Range"},
		{"10.0.0.0/24", "10.1.0.0/16", ""},
		{"10.2.0.0/16", "100.64.0.0/16", ""},
		{"10.2.0.0/16", "52.1.0.0/16", ""},
		{"172.16.0.0/16", "172.31.0.0/16", "InvalidVpc.Range"},
		{"172.16.0.0/16", "172.17.0.0/16", ""},
		{"172.16.0.0/16", "10.0.0.0/16", "InvalidVpc.Range"},
		{"192.168.0.0/24", "192.168.1.0/24", ""},
		{"192.168.0.0/24", "10.0.0.0/16", "InvalidVpc.Range"},
		{"198.19.0.0/24", "10.0.0.0/16", "InvalidVpc.Range"},
		{"198.19.0.0/24", "100.64.0.0/16", ""},
		{"100.64.0.0/16", "10.0.0.0/16", "InvalidVpc.Range"},
		{"52.1.0.0/16", "52.2.0.0/16", ""},
		{"52.1.0.0/16", "198.19.0.0/24", "InvalidVpc.Range"},
		{"10.2.0.0/16", "169.254.0.0/16", "InvalidVpc.Range"},
	}
	for _, r := range rows {
		t.Run(r.primary+" and "+r.add, func(t *testing.T) {
			tx := emptyLab(t)
			v := newVpc(tx, r.primary)
			wantCode(t, code(tx.AssociateVpcCidrBlock(&AssociateVpcCidrBlockInput{VpcId: v, CidrBlock: r.add})), r.want)
		})
	}
}

func TestAD06_BlockBringsLocalRoutes(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.2.0.0/16")
	rt := newTable(tx, v)
	must(tx.CreateRoute(&CreateRouteInput{RouteTableId: rt, DestinationCidrBlock: "0.0.0.0/0", GatewayId: newGateway(tx, v)}))
	out := must(tx.AssociateVpcCidrBlock(&AssociateVpcCidrBlockInput{VpcId: v, CidrBlock: "10.3.0.0/16"}))
	if out.CidrBlockAssociation.CidrBlockState.State != "associating" || tx.Vpcs.Get(v).Cidrs[1].State != "associated" {
		t.Errorf("states %v", out)
	}
	for _, id := range []RouteTableID{rt, tx.MainRouteTable(v).ID} {
		r := tx.RouteTables.Get(id).Routes
		if !r[1].Local || r[1].DestinationCidrBlock != cidr("10.3.0.0/16") {
			t.Errorf("table %s: %v", id, r)
		}
	}
	must(tx.DisassociateVpcCidrBlock(&DisassociateVpcCidrBlockInput{out.CidrBlockAssociation.AssociationId}))
	if r := tx.RouteTables.Get(rt).Routes; len(r) != 2 {
		t.Errorf("after disassociation: %v", r)
	}
	wantConsistent(t, &tx.Model)
}

func TestAD09_SubnetRangeAndOverlap(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	newSubnet(tx, v, "10.0.1.0/24")
	for block, want := range map[string]string{
		"10.0.1.0/24": "InvalidSubnet.Conflict", "10.0.1.128/25": "InvalidSubnet.Conflict", "10.0.0.0/16": "InvalidSubnet.Conflict",
		"10.1.0.0/24": "InvalidSubnet.Range", "10.0.0.0/15": "InvalidSubnet.Range", "10.0.2.0/29": "InvalidSubnet.Range",
		"": "MissingParameter", "ten": "InvalidParameterValue",
	} {
		wantCode(t, code(tx.CreateSubnet(&CreateSubnetInput{VpcId: v, CidrBlock: block})), want)
	}
	for id, want := range map[VpcID]string{"vpc-0123456789abcdef0": "InvalidVpcID.NotFound", "vpc-1": "InvalidVpcID.Malformed", "": "MissingParameter"} {
		wantCode(t, code(tx.CreateSubnet(&CreateSubnetInput{VpcId: id, CidrBlock: "10.0.2.0/24"})), want)
	}
	other := newVpc(tx, "10.0.0.0/16")
	wantCode(t, code(tx.CreateSubnet(&CreateSubnetInput{VpcId: other, CidrBlock: "10.0.0.0/16"})), "") // equal to the block
}

func TestAD11_ReservedAndAvailableAddresses(t *testing.T) {
	tx := emptyLab(t)
	s := newSubnet(tx, newVpc(tx, "10.0.0.0/16"), "10.0.1.16/28")
	if n := tx.AvailableIpAddressCount(s); n != 11 {
		t.Fatalf("a /28 has %d addresses", n)
	}
	var reserved []string
	for n := range 16 {
		if a := offset(netip.MustParseAddr("10.0.1.16"), uint32(n)); tx.Reserved(s, a) {
			reserved = append(reserved, a.String())
		}
	}
	if got := strings.Join(reserved, " "); got != "10.0.1.16 10.0.1.17 10.0.1.18 10.0.1.19 10.0.1.31" {
		t.Errorf("reserved: %s", got)
	}
	for n := 20; n <= 30; n++ {
		a := must(tx.PickAddress(s))
		if want := "10.0.1." + strconv.Itoa(n); a.String() != want {
			t.Fatalf("picked %s, want %s", a, want)
		}
		// Stopped instances keep their addresses.
		putInstance(tx, putInterface(tx, s, a.String()), StateStopped)
	}
	wantCode(t, code(tx.PickAddress(s)), "InsufficientFreeAddressesInSubnet")
	if got := must(tx.DescribeSubnets(&DescribeSubnetsInput{})).Subnets[0].AvailableIpAddressCount; got != 0 {
		t.Errorf("%d addresses left", got)
	}
	wantConsistent(t, &tx.Model)
}

func TestAD14_ReservationsAreNotAssigned(t *testing.T) {
	tx := emptyLab(t)
	s := newSubnet(tx, newVpc(tx, "10.0.0.0/16"), "10.0.1.0/24")
	reserve := func(block, kind string) string {
		return code(tx.CreateSubnetCidrReservation(&CreateSubnetCidrReservationInput{SubnetId: s, Cidr: block, ReservationType: kind}))
	}
	wantCode(t, reserve("10.0.1.0/28", "prefix"), "")
	wantCode(t, reserve("10.0.1.16/32", "explicit"), "")
	wantCode(t, reserve("10.0.1.8/29", "explicit"), "InvalidCidr.InUse")
	wantCode(t, reserve("10.0.2.0/28", "explicit"), "InvalidParameterValue")
	wantCode(t, reserve("10.0.1.64/28", "some"), "InvalidParameterValue")
	wantCode(t, reserve("10.0.1.64/28", ""), "MissingParameter")
	if a := must(tx.PickAddress(s)); a.String() != "10.0.1.17" {
		t.Errorf("picked %s", a)
	}
	list := must(tx.GetSubnetCidrReservations(&GetSubnetCidrReservationsInput{SubnetId: s})).SubnetIpv4CidrReservations
	if len(list) != 2 {
		t.Fatalf("reservations %v", list)
	}
	must(tx.DeleteSubnetCidrReservation(&DeleteSubnetCidrReservationInput{SubnetCidrReservationId: list[0].SubnetCidrReservationId}))
	if a := must(tx.PickAddress(s)); a.String() != "10.0.1.4" {
		t.Errorf("picked %s", a)
	}
	must(tx.DeleteSubnet(&DeleteSubnetInput{SubnetId: s}))
	if tx.SubnetCidrReservations.Len() != 0 {
		t.Error("reservations outlive their subnet")
	}
}

func TestAD14_AReservationOfTheWholeSubnetLeavesNothing(t *testing.T) {
	tx := emptyLab(t)
	s := newSubnet(tx, newVpc(tx, "10.0.0.0/16"), "10.0.1.0/24")
	must(tx.CreateSubnetCidrReservation(&CreateSubnetCidrReservationInput{SubnetId: s, Cidr: "10.0.1.0/24", ReservationType: "explicit"}))
	wantCode(t, code(tx.PickAddress(s)), "InsufficientFreeAddressesInSubnet")
}

func TestAD15_SubnetLiesInOneZone(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "172.30.0.0/16")
	create := func(zone, id string) (*CreateSubnetOutput, error) {
		return tx.CreateSubnet(&CreateSubnetInput{VpcId: v, CidrBlock: "172.30.0.0/24", AvailabilityZone: zone, AvailabilityZoneId: id})
	}
	wantCode(t, code(create("us-east-1a", "")), "InvalidParameterValue")
	wantCode(t, code(create("", "use1-az1")), "InvalidParameterValue")
	wantCode(t, code(create("ap-northeast-1a", "apne1-az1")), "InvalidParameterCombination")
	s := must(create("", "apne1-az2")).Subnet
	if s.AvailabilityZone != "ap-northeast-1c" || s.AvailabilityZoneId != "apne1-az2" {
		t.Errorf("subnet in %s (%s)", s.AvailabilityZone, s.AvailabilityZoneId)
	}
}

func TestB01_VpcIsOnlyAnAddressRange(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "172.30.0.0/16")
	if got := must(tx.DescribeSubnets(&DescribeSubnetsInput{Filters: namedFilter("vpc-id", string(v))})).Subnets; len(got) != 0 {
		t.Errorf("subnets %v", got)
	}
	if _, err := tx.PickAddress("subnet-0123456789abcdef0"); code(0, err) != "InvalidSubnetID.NotFound" {
		t.Errorf("an address without a subnet: %v", err)
	}
}

func TestB02_SubnetLiesInZoneAndRange(t *testing.T) {
	tx := emptyLab(t)
	v := must(tx.CreateVpc(&CreateVpcInput{CidrBlock: "172.30.0.0/16", InstanceTenancy: "dedicated"})).Vpc
	if v.InstanceTenancy != "dedicated" {
		t.Errorf("tenancy %s", v.InstanceTenancy)
	}
	s := must(tx.CreateSubnet(&CreateSubnetInput{VpcId: v.VpcId, CidrBlock: "172.30.0.0/24", AvailabilityZone: "ap-northeast-1a"})).Subnet
	if s.AvailabilityZone != "ap-northeast-1a" || s.AvailableIpAddressCount != 251 || s.State != "pending" {
		t.Errorf("subnet %+v", s)
	}
}

func TestIN05_TenancyOnlyEverBecomesDefault(t *testing.T) {
	tx := emptyLab(t)
	for tenancy, want := range map[string]string{"": "", "default": "", "dedicated": "", "host": "UnsupportedTenancy", "x": "InvalidParameterValue"} {
		wantCode(t, code(tx.CreateVpc(&CreateVpcInput{CidrBlock: "10.0.0.0/16", InstanceTenancy: tenancy})), want)
	}
	v := must(tx.CreateVpc(&CreateVpcInput{CidrBlock: "10.0.0.0/16", InstanceTenancy: "dedicated"})).Vpc.VpcId
	for _, r := range [][2]string{{"", "MissingParameter"}, {"dedicated", "UnsupportedTenancy"}, {"x", "InvalidParameterValue"}, {"default", ""}} {
		wantCode(t, code(tx.ModifyVpcTenancy(&ModifyVpcTenancyInput{VpcId: v, InstanceTenancy: r[0]})), r[1])
	}
	if got := tx.Vpcs.Get(v).InstanceTenancy; got != "default" {
		t.Errorf("tenancy %s", got)
	}
}

func TestDNS04_AttributesOneByOne(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	if o := tx.Vpcs.Get(v); !o.EnableDnsSupport || o.EnableDnsHostnames {
		t.Errorf("defaults %+v", o)
	}
	on, off := AttributeBooleanValue{new(true)}, AttributeBooleanValue{new(false)}
	rows := []struct {
		in   ModifyVpcAttributeInput
		want string
	}{
		{ModifyVpcAttributeInput{VpcId: v}, "MissingParameter"},
		{ModifyVpcAttributeInput{VpcId: v, EnableDnsSupport: on, EnableDnsHostnames: on}, "InvalidParameterCombination"},
		{ModifyVpcAttributeInput{VpcId: v, EnableDnsSupport: off}, ""},
		{ModifyVpcAttributeInput{VpcId: v, EnableDnsHostnames: on}, "InvalidParameterValue"},
		{ModifyVpcAttributeInput{VpcId: v, EnableDnsSupport: on}, ""},
		{ModifyVpcAttributeInput{VpcId: v, EnableDnsHostnames: on}, ""},
		{ModifyVpcAttributeInput{VpcId: v, EnableNetworkAddressUsageMetrics: on}, ""},
	}
	for _, r := range rows {
		wantCode(t, code(tx.ModifyVpcAttribute(&r.in)), r.want)
	}
	out := must(tx.DescribeVpcAttribute(&DescribeVpcAttributeInput{VpcId: v, Attribute: "enableDnsHostnames"}))
	if b, _ := json.Marshal(out); string(b) != `{"VpcId":"`+string(v)+`","EnableDnsHostnames":{"Value":true}}` {
		t.Errorf("got %s", b)
	}
	wantCode(t, code(tx.DescribeVpcAttribute(&DescribeVpcAttributeInput{VpcId: v, Attribute: "x"})), "InvalidParameterValue")
}

func TestDV01_DefaultVpc(t *testing.T) {
	tx := fullLab(t)
	v := tx.DefaultVpc()
	if v == nil || v.CidrBlock != cidr("172.31.0.0/16") || !v.EnableDnsHostnames || !v.EnableDnsSupport {
		t.Fatalf("default VPC %+v", v)
	}
	subnets := must(tx.DescribeSubnets(&DescribeSubnetsInput{Filters: namedFilter("default-for-az", "true")})).Subnets
	if len(subnets) != len(tx.Zones) {
		t.Fatalf("%d default subnets", len(subnets))
	}
	for _, s := range subnets {
		if !strings.HasSuffix(s.CidrBlock, "/20") || !s.MapPublicIpOnLaunch || tx.DefaultSubnet(s.AvailabilityZone).ID != s.SubnetId {
			t.Errorf("subnet %+v", s)
		}
	}
	r := tx.MainRouteTable(v.ID).Routes
	if len(r) != 2 || r[1].DestinationCidrBlock != anyIPv4 || tx.VpcInternetGateway(v.ID).ID != r[1].GatewayID || tx.RouteState(r[1]) != RouteActive {
		t.Errorf("routes %+v", r)
	}
	wantConsistent(t, &tx.Model)
}

func TestB05_DV02_DefaultVpcGoesAndComesBack(t *testing.T) {
	tx := fullLab(t)
	wantCode(t, code(tx.CreateDefaultVpc(&CreateDefaultVpcInput{})), "DefaultVpcAlreadyExists")
	wantCode(t, code(tx.CreateDefaultSubnet(&CreateDefaultSubnetInput{AvailabilityZone: "ap-northeast-1a"})), "DefaultSubnetAlreadyExistsInAvailabilityZone")
	v := tx.DefaultVpc().ID
	first := tx.DefaultSubnet("ap-northeast-1a")
	must(tx.DeleteSubnet(&DeleteSubnetInput{SubnetId: first.ID}))
	again := must(tx.CreateDefaultSubnet(&CreateDefaultSubnetInput{AvailabilityZone: "ap-northeast-1a"})).Subnet
	if again.CidrBlock != first.CidrBlock.String() || !again.DefaultForAz || again.State != "pending" {
		t.Errorf("new default subnet %+v", again)
	}
	gw := tx.VpcInternetGateway(v).ID
	must(tx.DetachInternetGateway(&DetachInternetGatewayInput{InternetGatewayId: gw, VpcId: v}))
	must(tx.DeleteInternetGateway(&DeleteInternetGatewayInput{InternetGatewayId: gw}))
	wantCode(t, code(tx.DeleteVpc(&DeleteVpcInput{VpcId: v})), "DependencyViolation")
	for id := range tx.Subnets.All() {
		must(tx.DeleteSubnet(&DeleteSubnetInput{SubnetId: id}))
	}
	must(tx.DeleteVpc(&DeleteVpcInput{VpcId: v}))
	wantCode(t, code(tx.CreateDefaultSubnet(&CreateDefaultSubnetInput{AvailabilityZone: "ap-northeast-1a"})), "DefaultVpcDoesNotExist")
	newVpc(tx, "172.31.0.0/16") // a nondefault VPC is not promoted
	must(tx.CreateDefaultVpc(&CreateDefaultVpcInput{}))
	if tx.DefaultVpc() == nil || tx.Subnets.Len() != 3 {
		t.Error("the default VPC did not come back whole")
	}
	wantConsistent(t, &tx.Model)
}

func TestDV02_AFailedDefaultVpcLeavesNothing(t *testing.T) {
	tx := emptyLab(t)
	for range tx.Quota(QuotaInternetGateways) {
		newGateway(tx, "")
	}
	before := dump(t, &tx.Model)
	wantCode(t, code(tx.CreateDefaultVpc(&CreateDefaultVpcInput{})), "InternetGatewayLimitExceeded")
	if dump(t, &tx.Model) != before {
		t.Error("the failed operation changed the model")
	}
}

func TestDV04_DeleteVpcTakesOnlyItsOwn(t *testing.T) {
	for name, hold := range map[string]func(tx *Tx, v VpcID){
		"subnet":         func(tx *Tx, v VpcID) { newSubnet(tx, v, "10.0.0.0/24") },
		"gateway":        func(tx *Tx, v VpcID) { newGateway(tx, v) },
		"route table":    func(tx *Tx, v VpcID) { newTable(tx, v) },
		"security group": func(tx *Tx, v VpcID) { newGroup(tx, v, "web") },
		"network ACL":    func(tx *Tx, v VpcID) { must(tx.CreateNetworkAcl(&CreateNetworkAclInput{VpcId: v})) },
	} {
		t.Run(name, func(t *testing.T) {
			tx := emptyLab(t)
			v := newVpc(tx, "10.0.0.0/16")
			hold(tx, v)
			wantCode(t, code(tx.DeleteVpc(&DeleteVpcInput{VpcId: v})), "DependencyViolation")
		})
	}
	tx := emptyLab(t)
	before := tx.Model.Clone()
	v := newVpc(tx, "10.0.0.0/16")
	must(tx.DeleteVpc(&DeleteVpcInput{VpcId: v}))
	wantCode(t, code(tx.DeleteVpc(&DeleteVpcInput{VpcId: v})), "InvalidVpcID.NotFound")
	if dump(t, &tx.Model) != dump(t, &before) {
		t.Error("something of the VPC is left")
	}
}

func TestModifySubnetAttribute_OneByOne(t *testing.T) {
	tx := emptyLab(t)
	s := newSubnet(tx, newVpc(tx, "10.0.0.0/16"), "10.0.0.0/24")
	on := AttributeBooleanValue{new(true)}
	wantCode(t, code(tx.ModifySubnetAttribute(&ModifySubnetAttributeInput{SubnetId: s})), "MissingParameter")
	wantCode(t, code(tx.ModifySubnetAttribute(&ModifySubnetAttributeInput{SubnetId: s, MapPublicIpOnLaunch: on, PrivateDnsHostnameTypeOnLaunch: "ip-name"})), "InvalidParameterCombination")
	wantCode(t, code(tx.ModifySubnetAttribute(&ModifySubnetAttributeInput{SubnetId: s, PrivateDnsHostnameTypeOnLaunch: "x"})), "InvalidParameterValue")
	must(tx.ModifySubnetAttribute(&ModifySubnetAttributeInput{SubnetId: s, MapPublicIpOnLaunch: on}))
	must(tx.ModifySubnetAttribute(&ModifySubnetAttributeInput{SubnetId: s, PrivateDnsHostnameTypeOnLaunch: "resource-name"}))
	got := must(tx.DescribeSubnets(&DescribeSubnetsInput{SubnetIds: []SubnetID{s}})).Subnets[0]
	if !got.MapPublicIpOnLaunch || got.PrivateDnsNameOptionsOnLaunch.HostnameType != "resource-name" {
		t.Errorf("subnet %+v", got)
	}
}

func TestDeleteSubnet_RefusedWhileItHoldsAnInterface(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	s := newSubnet(tx, v, "10.0.0.0/24")
	rt := newTable(tx, v)
	must(tx.AssociateRouteTable(&AssociateRouteTableInput{RouteTableId: rt, SubnetId: s}))
	n := putInterface(tx, s, "10.0.0.10")
	wantCode(t, code(tx.DeleteSubnet(&DeleteSubnetInput{SubnetId: s})), "DependencyViolation")
	tx.NetworkInterfaces.Delete(n.ID)
	must(tx.DeleteSubnet(&DeleteSubnetInput{SubnetId: s}))
	must(tx.DeleteRouteTable(&DeleteRouteTableInput{RouteTableId: rt})) // the association went with the subnet
	wantConsistent(t, &tx.Model)
}

func TestNew_RefusesNonsense(t *testing.T) {
	pool := func(s ...string) (list []netip.Prefix) {
		for _, p := range s {
			list = append(list, cidr(p))
		}
		return list
	}
	for name, err := range map[string]error{
		"name":    second(New("", "123456789012", "us-east-1", nil, countingCall(), true)),
		"account": second(New("a", "12", "us-east-1", nil, countingCall(), true)),
		"region":  second(New("a", "123456789012", "mars-1", nil, countingCall(), true)),
		"overlap": second(New("a", "123456789012", "us-east-1", pool("203.0.113.0/24", "203.0.113.128/25"), countingCall(), true)),
		"ipv6":    second(New("a", "123456789012", "us-east-1", pool("2001:db8::/64"), countingCall(), true)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	m := must(New("a", "123456789012", "us-east-1", nil, countingCall(), true))
	if d := m.DhcpOptions.Get(m.DefaultDhcpOptionsID); d.DomainName != "ec2.internal" || len(m.Zones) != 6 {
		t.Errorf("us-east-1: %s, %v", d.DomainName, m.Zones)
	}
}

func second[A any](_ A, err error) error { return err }
