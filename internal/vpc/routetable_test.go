package vpc

import (
	"slices"
	"testing"
)

func TestB04_MainAndOwnTables(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "172.30.0.0/16")
	a, b := newSubnet(tx, v, "172.30.0.0/24"), newSubnet(tx, v, "172.30.1.0/24")
	main := tx.MainRouteTable(v)
	if len(main.Routes) != 1 || !main.Routes[0].Local || main.Routes[0].DestinationCidrBlock != cidr("172.30.0.0/16") {
		t.Fatalf("main table: %+v", main.Routes)
	}
	want := func(subnet SubnetID, id RouteTableID) {
		t.Helper()
		if got := tx.RouteTableOf(subnet).ID; got != id {
			t.Errorf("subnet %s follows %s, want %s", subnet, got, id)
		}
	}
	want(a, main.ID)
	want(b, main.ID)
	own, next := newTable(tx, v), newTable(tx, v)
	must(tx.AssociateRouteTable(&AssociateRouteTableInput{RouteTableId: own, SubnetId: a}))
	want(a, own)
	want(b, main.ID)
	// Another main table: every subnet without its own moves.
	must(tx.ReplaceRouteTableAssociation(&ReplaceRouteTableAssociationInput{AssociationId: main.Associations[0].ID, RouteTableId: next}))
	want(a, own)
	want(b, next)
	// Tables are made per VPC.
	far := newTable(tx, newVpc(tx, "10.0.0.0/16"))
	wantCode(t, code(tx.AssociateRouteTable(&AssociateRouteTableInput{RouteTableId: far, SubnetId: b})), "InvalidParameterValue")
	wantConsistent(t, &tx.Model)
}

func TestRT01_RouteTableOf(t *testing.T) {
	tx := emptyLab(t)
	if tx.RouteTableOf("subnet-0123456789abcdef0") != nil {
		t.Error("an unknown subnet has a table")
	}
	v := newVpc(tx, "10.0.0.0/16")
	s := newSubnet(tx, v, "10.0.0.0/24")
	rt := newTable(tx, v)
	id := must(tx.AssociateRouteTable(&AssociateRouteTableInput{RouteTableId: rt, SubnetId: s})).AssociationId
	wantCode(t, code(tx.AssociateRouteTable(&AssociateRouteTableInput{RouteTableId: newTable(tx, v), SubnetId: s})), "Resource.AlreadyAssociated")
	must(tx.DisassociateRouteTable(&DisassociateRouteTableInput{AssociationId: id}))
	if tx.RouteTableOf(s) != tx.MainRouteTable(v) {
		t.Error("without an association the main table is in force")
	}
	wantCode(t, code(tx.DisassociateRouteTable(&DisassociateRouteTableInput{AssociationId: id})), "InvalidAssociationID.NotFound")
}

func TestRT02_MainTableIsReplacedNotDeleted(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	s := newSubnet(tx, v, "10.0.0.0/24")
	main := tx.MainRouteTable(v)
	wantCode(t, code(tx.DeleteRouteTable(&DeleteRouteTableInput{RouteTableId: main.ID})), "DependencyViolation")
	wantCode(t, code(tx.DisassociateRouteTable(&DisassociateRouteTableInput{AssociationId: main.Associations[0].ID})), "InvalidParameterValue")
	// Explicitly associated with the main table: survives a change of main.
	must(tx.AssociateRouteTable(&AssociateRouteTableInput{RouteTableId: main.ID, SubnetId: s}))
	next := newTable(tx, v)
	out := must(tx.ReplaceRouteTableAssociation(&ReplaceRouteTableAssociationInput{AssociationId: main.Associations[0].ID, RouteTableId: next}))
	if out.NewAssociationId == main.Associations[0].ID || tx.MainRouteTable(v).ID != next {
		t.Errorf("new main %+v", out)
	}
	if tx.RouteTableOf(s).ID != main.ID {
		t.Error("the explicit association did not survive")
	}
	wantConsistent(t, &tx.Model)
}

func TestRT03_CustomTable(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	s := newSubnet(tx, v, "10.0.0.0/24")
	out := must(tx.CreateRouteTable(&CreateRouteTableInput{VpcId: v})).RouteTable
	if len(out.Routes) != 1 || out.Routes[0].GatewayId != "local" || out.Routes[0].Origin != "CreateRouteTable" || out.Routes[0].State != "active" {
		t.Errorf("routes %+v", out.Routes)
	}
	id := must(tx.AssociateRouteTable(&AssociateRouteTableInput{RouteTableId: out.RouteTableId, SubnetId: s})).AssociationId
	wantCode(t, code(tx.DeleteRouteTable(&DeleteRouteTableInput{RouteTableId: out.RouteTableId})), "DependencyViolation")
	must(tx.DisassociateRouteTable(&DisassociateRouteTableInput{AssociationId: id}))
	wantCode(t, code(tx.DeleteRouteTable(&DeleteRouteTableInput{RouteTableId: out.RouteTableId})), "")
	wantCode(t, code(tx.DeleteRouteTable(&DeleteRouteTableInput{RouteTableId: out.RouteTableId})), "InvalidRouteTableID.NotFound")
	wantCode(t, code(tx.DeleteRouteTable(&DeleteRouteTableInput{RouteTableId: "rtb-x"})), "InvalidRouteTableId.Malformed")
}

// middlebox is a VPC with two subnets, a table, and an interface in the second.
type middlebox struct {
	*Tx
	vpc         VpcID
	one, second SubnetID
	table       RouteTableID
	eni         NetworkInterfaceID
	igw         InternetGatewayID
}

func newMiddlebox(t *testing.T) *middlebox {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	b := &middlebox{Tx: tx, vpc: v, one: newSubnet(tx, v, "10.0.1.0/24"), second: newSubnet(tx, v, "10.0.2.0/24"), table: newTable(tx, v), igw: newGateway(tx, v)}
	b.eni = putInterface(tx, b.second, "10.0.2.10").ID
	return b
}

func (b *middlebox) add(dest string, in CreateRouteInput) string {
	in.RouteTableId, in.DestinationCidrBlock = b.table, dest
	return code(b.CreateRoute(&in))
}

func TestRT04_LocalRouteIsReplacedAndRestored(t *testing.T) {
	b := newMiddlebox(t)
	replace := func(in ReplaceRouteInput) string {
		in.RouteTableId, in.DestinationCidrBlock = b.table, "10.0.0.0/16"
		return code(b.ReplaceRoute(&in))
	}
	wantCode(t, code(b.DeleteRoute(&DeleteRouteInput{RouteTableId: b.table, DestinationCidrBlock: "10.0.0.0/16"})), "InvalidParameterValue")
	wantCode(t, b.add("10.0.0.0/16", CreateRouteInput{NetworkInterfaceId: b.eni}), "RouteAlreadyExists")
	wantCode(t, replace(ReplaceRouteInput{GatewayId: b.igw}), "InvalidParameterValue")
	wantCode(t, replace(ReplaceRouteInput{NetworkInterfaceId: b.eni}), "")
	r := b.RouteTables.Get(b.table).Routes[0]
	if r.Local || r.NetworkInterfaceID != b.eni || r.Origin != "CreateRouteTable" {
		t.Errorf("replaced %+v", r)
	}
	wantConsistent(t, &b.Model)
	wantCode(t, code(b.DeleteRoute(&DeleteRouteInput{RouteTableId: b.table, DestinationCidrBlock: "10.0.0.0/16"})), "InvalidParameterValue")
	wantCode(t, replace(ReplaceRouteInput{LocalTarget: true, NetworkInterfaceId: b.eni}), "InvalidParameterCombination")
	wantCode(t, replace(ReplaceRouteInput{LocalTarget: true}), "")
	if r := b.RouteTables.Get(b.table).Routes[0]; !r.Local || r.NetworkInterfaceID != "" {
		t.Errorf("restored %+v", r)
	}
	must(b.CreateRoute(&CreateRouteInput{RouteTableId: b.table, DestinationCidrBlock: "0.0.0.0/0", GatewayId: b.igw}))
	wantCode(t, code(b.ReplaceRoute(&ReplaceRouteInput{RouteTableId: b.table, DestinationCidrBlock: "0.0.0.0/0", LocalTarget: true})), "InvalidParameterValue")
}

func TestRT05_MoreSpecificThanLocal(t *testing.T) {
	b := newMiddlebox(t)
	toENI, toIGW := CreateRouteInput{NetworkInterfaceId: b.eni}, CreateRouteInput{GatewayId: b.igw}
	wantCode(t, b.add("10.0.1.0/25", toENI), "InvalidParameterValue") // half a subnet
	wantCode(t, b.add("10.0.3.0/24", toENI), "InvalidParameterValue") // no subnet
	wantCode(t, b.add("10.0.1.0/24", toIGW), "InvalidParameterValue")
	wantCode(t, b.add("10.0.1.0/24", toENI), "")
	wantCode(t, b.add("10.0.0.0/8", toIGW), "") // wider than local
	wantCode(t, b.add("0.0.0.0/0", toIGW), "")
	wantConsistent(t, &b.Model)
}

func TestAD13_LinkLocalServicesAreRefused(t *testing.T) {
	b := newMiddlebox(t)
	to := CreateRouteInput{GatewayId: b.igw}
	wantCode(t, b.add("169.254.168.0/22", to), "InvalidParameterValue")
	wantCode(t, b.add("169.254.169.254/32", to), "InvalidParameterValue")
	wantCode(t, b.add("169.254.0.0/16", to), "")
}

func TestRT09_RT10_States(t *testing.T) {
	b := newMiddlebox(t)
	s := b.second
	state := func(i int) string { return b.RouteState(b.RouteTables.Get(b.table).Routes[i]) }
	nat := &NatGateway{ID: newID[NatGatewayID](b.Tx), VpcID: b.vpc, SubnetID: s, State: "available", NetworkInterfaceID: b.eni}
	b.NatGateways.Put(nat.ID, nat)
	wantCode(t, b.add("0.0.0.0/0", CreateRouteInput{GatewayId: b.igw}), "")
	wantCode(t, b.add("8.0.0.0/8", CreateRouteInput{NetworkInterfaceId: b.eni}), "")
	wantCode(t, b.add("9.0.0.0/8", CreateRouteInput{NatGatewayId: nat.ID}), "")
	for i, want := range []string{"active", "active", "blackhole", "active"} {
		if got := state(i); got != want {
			t.Errorf("route %d is %s, want %s", i, got, want)
		}
	}
	putInstance(b.Tx, b.NetworkInterfaces.Get(b.eni), StateRunning)
	if state(2) != RouteActive {
		t.Error("an attached interface is no blackhole")
	}
	router := b.NetworkInterfaces.Get(b.eni).Attachment.InstanceID
	must(b.StopInstances(&StopInstancesInput{InstanceIds: []InstanceID{router}}))
	if state(2) != RouteActive {
		t.Error("the interface of an instance that is stopping is a blackhole")
	}
	b.InstanceStopped(router, "")
	if state(2) != RouteBlackhole {
		t.Error("the interface of a stopped instance is no blackhole")
	}
	must(b.StartInstances(&StartInstancesInput{InstanceIds: []InstanceID{router}}))
	if state(2) != RouteActive {
		t.Error("the interface of an instance that starts again is a blackhole")
	}
	gone := *nat
	gone.State, gone.Deleted = "deleted", testNow
	b.NatGateways.Put(nat.ID, &gone)
	must(b.DetachInternetGateway(&DetachInternetGatewayInput{InternetGatewayId: b.igw, VpcId: b.vpc}))
	if state(1) != RouteBlackhole || state(3) != RouteBlackhole {
		t.Error("a detached gateway and a deleted NAT gateway are blackholes")
	}
	must(b.AttachInternetGateway(&AttachInternetGatewayInput{InternetGatewayId: b.igw, VpcId: newVpc(b.Tx, "10.9.0.0/16")}))
	if state(1) != RouteBlackhole {
		t.Error("a gateway attached to another VPC is a blackhole")
	}
	b.NetworkInterfaces.Delete(b.eni)
	if state(2) != RouteBlackhole {
		t.Error("a deleted interface is a blackhole")
	}
	found := must(b.DescribeRouteTables(&DescribeRouteTablesInput{Filters: namedFilter("route.state", "blackhole")})).RouteTables
	if len(found) != 1 || found[0].RouteTableId != b.table {
		t.Errorf("filter by state: %v", found)
	}
}

func TestRT11_OneDestinationOneTarget(t *testing.T) {
	b := newMiddlebox(t)
	wantCode(t, b.add("", CreateRouteInput{GatewayId: b.igw}), "MissingParameter")
	wantCode(t, b.add("8.0.0.0/8", CreateRouteInput{}), "MissingParameter")
	wantCode(t, b.add("8.0.0.0/8", CreateRouteInput{GatewayId: b.igw, NetworkInterfaceId: b.eni}), "InvalidParameterCombination")
	wantCode(t, b.add("8.0.0.0/8", CreateRouteInput{GatewayId: "igw-0123456789abcdef0"}), "InvalidGatewayID.NotFound")
	wantCode(t, b.add("8.0.0.0/8", CreateRouteInput{GatewayId: "x"}), "InvalidGatewayID.Malformed")
	wantCode(t, b.add("8.0.0.0/8", CreateRouteInput{NatGatewayId: "nat-0123456789abcdef0"}), "InvalidNatGatewayID.NotFound")
	wantCode(t, b.add("8.0.0.0/8", CreateRouteInput{NetworkInterfaceId: "eni-0123456789abcdef0"}), "InvalidNetworkInterfaceID.NotFound")
	wantCode(t, b.add("8.0.0.0/8", CreateRouteInput{InstanceId: "i-0123456789abcdef0"}), "InvalidInstanceID.NotFound")
	wantCode(t, b.add("8.0.0.0/8", CreateRouteInput{GatewayId: newGateway(b.Tx, "")}), "InvalidParameterValue")
	// An instance stands for its one interface.
	i := putInstance(b.Tx, b.NetworkInterfaces.Get(b.eni), StateRunning)
	wantCode(t, b.add("8.0.0.0/8", CreateRouteInput{InstanceId: i}), "")
	r := b.RouteTables.Get(b.table).Routes[1]
	if r.InstanceID != i || r.NetworkInterfaceID != b.eni || r.Origin != "CreateRoute" {
		t.Errorf("route %+v", r)
	}
	more := *putInterface(b.Tx, b.one, "10.0.1.10")
	more.Attachment = &Attachment{InstanceID: i, DeviceIndex: 1}
	b.NetworkInterfaces.Put(more.ID, &more)
	wantCode(t, b.add("9.0.0.0/8", CreateRouteInput{InstanceId: i}), "InvalidInstanceID")
}

func TestRT12_KnownAndUnknownDestinations(t *testing.T) {
	b := newMiddlebox(t)
	to := CreateRouteInput{GatewayId: b.igw}
	wantCode(t, b.add("0.0.0.0/0", to), "")
	wantCode(t, b.add("0.0.0.0/0", to), "RouteAlreadyExists")
	wantCode(t, b.add("1.2.3.4/0", to), "RouteAlreadyExists") // the same, host bits cleared
	wantCode(t, code(b.ReplaceRoute(&ReplaceRouteInput{RouteTableId: b.table, DestinationCidrBlock: "9.0.0.0/8", GatewayId: b.igw})), "InvalidRoute.NotFound")
	wantCode(t, code(b.DeleteRoute(&DeleteRouteInput{RouteTableId: b.table, DestinationCidrBlock: "9.0.0.0/8"})), "InvalidRoute.NotFound")
	wantCode(t, code(b.ReplaceRoute(&ReplaceRouteInput{RouteTableId: b.table, DestinationCidrBlock: "0.0.0.0/0", NetworkInterfaceId: b.eni})), "")
	wantCode(t, code(b.DeleteRoute(&DeleteRouteInput{RouteTableId: b.table, DestinationCidrBlock: "0.0.0.0/0"})), "")
	if n := len(b.RouteTables.Get(b.table).Routes); n != 1 {
		t.Errorf("%d routes left", n)
	}
}

func TestRT14_GatewayTable(t *testing.T) {
	b := newMiddlebox(t)
	associate := func(rt RouteTableID) string {
		return code(b.AssociateRouteTable(&AssociateRouteTableInput{RouteTableId: rt, GatewayId: b.igw}))
	}
	wantCode(t, associate(b.MainRouteTable(b.vpc).ID), "InvalidParameterValue")
	wantCode(t, associate(newTable(b.Tx, newVpc(b.Tx, "10.1.0.0/16"))), "InvalidParameterValue")
	wide := newTable(b.Tx, b.vpc)
	must(b.CreateRoute(&CreateRouteInput{RouteTableId: wide, DestinationCidrBlock: "0.0.0.0/0", NetworkInterfaceId: b.eni}))
	wantCode(t, associate(wide), "InvalidParameterValue")

	wantCode(t, b.add("10.0.1.0/24", CreateRouteInput{NetworkInterfaceId: b.eni}), "")
	wantCode(t, associate(b.table), "")
	if b.GatewayRouteTable(b.igw).ID != b.table {
		t.Error("the gateway's table is not found")
	}
	wantCode(t, associate(newTable(b.Tx, b.vpc)), "Resource.AlreadyAssociated")
	wantCode(t, b.add("0.0.0.0/0", CreateRouteInput{NetworkInterfaceId: b.eni}), "InvalidParameterValue")
	wantCode(t, b.add("10.0.2.0/24", CreateRouteInput{GatewayId: b.igw}), "InvalidParameterValue")
	wantCode(t, b.add("10.0.2.0/25", CreateRouteInput{NetworkInterfaceId: b.eni}), "InvalidParameterValue")
	wantCode(t, b.add("10.0.2.0/24", CreateRouteInput{NetworkInterfaceId: b.eni}), "")
	// It cannot become the main table, nor may the gateway leave it behind.
	main := b.MainRouteTable(b.vpc).Associations[0].ID
	wantCode(t, code(b.ReplaceRouteTableAssociation(&ReplaceRouteTableAssociationInput{AssociationId: main, RouteTableId: b.table})), "InvalidParameterValue")
	wantCode(t, code(b.DetachInternetGateway(&DetachInternetGatewayInput{InternetGatewayId: b.igw, VpcId: b.vpc})), "DependencyViolation")
	wantConsistent(t, &b.Model)
}

func TestIG07_AttachAndDetach(t *testing.T) {
	b := newMiddlebox(t)
	other := newVpc(b.Tx, "10.1.0.0/16")
	attach := func(g InternetGatewayID, v VpcID) string {
		return code(b.AttachInternetGateway(&AttachInternetGatewayInput{InternetGatewayId: g, VpcId: v}))
	}
	detach := func(g InternetGatewayID, v VpcID) string {
		return code(b.DetachInternetGateway(&DetachInternetGatewayInput{InternetGatewayId: g, VpcId: v}))
	}
	wantCode(t, attach(b.igw, other), "Resource.AlreadyAssociated")
	wantCode(t, attach(newGateway(b.Tx, ""), b.vpc), "InvalidParameterValue")
	wantCode(t, detach(b.igw, other), "Gateway.NotAttached")
	wantCode(t, detach(b.igw, "vpc-00000000000000bad"), "Gateway.NotAttached") // one that is gone
	wantCode(t, detach(b.igw, "igw-00000000000000bad"), "InvalidVpcID.Malformed")
	wantCode(t, detach(b.igw, ""), "MissingParameter")
	wantCode(t, code(b.DeleteInternetGateway(&DeleteInternetGatewayInput{InternetGatewayId: b.igw})), "DependencyViolation")

	n := b.NetworkInterfaces.Get(b.eni)
	id := putInstance(b.Tx, n, StateRunning)
	withPublic := *b.NetworkInterfaces.Get(b.eni)
	withPublic.PublicIp = cidr("203.0.113.9/32").Addr()
	b.NetworkInterfaces.Put(b.eni, &withPublic)
	wantCode(t, detach(b.igw, b.vpc), "DependencyViolation")
	stopped := *b.Instances.Get(id)
	stopped.State = StateStopped
	b.Instances.Put(id, &stopped)
	wantCode(t, detach(b.igw, b.vpc), "")
	wantCode(t, detach(b.igw, b.vpc), "Gateway.NotAttached")
	wantCode(t, detach(b.igw, ""), "MissingParameter")
	wantCode(t, code(b.DeleteInternetGateway(&DeleteInternetGatewayInput{InternetGatewayId: b.igw})), "")
	wantCode(t, code(b.DeleteInternetGateway(&DeleteInternetGatewayInput{InternetGatewayId: b.igw})), "InvalidInternetGatewayID.NotFound")
}

func TestDescribeRouteTables_FiltersAndMainAssociation(t *testing.T) {
	b := newMiddlebox(t)
	list := func(f ...Filter) []RouteTableID {
		var ids []RouteTableID
		for _, rt := range must(b.DescribeRouteTables(&DescribeRouteTablesInput{Filters: f})).RouteTables {
			ids = append(ids, rt.RouteTableId)
		}
		return ids
	}
	main := b.MainRouteTable(b.vpc).ID
	if got := list(Filter{"association.main", []string{"true"}}, Filter{"vpc-id", []string{string(b.vpc)}}); !slices.Equal(got, []RouteTableID{main}) {
		t.Errorf("main: %v", got)
	}
	if got := list(Filter{"route.gateway-id", []string{"local"}}); len(got) != 2 {
		t.Errorf("local: %v", got)
	}
	must(b.AssociateRouteTable(&AssociateRouteTableInput{RouteTableId: b.table, SubnetId: b.one}))
	if got := list(Filter{"association.subnet-id", []string{string(b.one)}}); !slices.Equal(got, []RouteTableID{b.table}) {
		t.Errorf("by subnet: %v", got)
	}
}

// AWS takes a NAT gateway's ID as a gateway's.
func TestCreateRoute_NatGatewayAsGateway(t *testing.T) {
	s := newSite(t)
	nat := s.privateNat(t)
	table := must(s.CreateRouteTable(&CreateRouteTableInput{VpcId: s.vpc})).RouteTable.RouteTableId
	must(s.CreateRoute(&CreateRouteInput{RouteTableId: table, DestinationCidrBlock: "192.168.0.0/16", GatewayId: InternetGatewayID(nat)}))
	routes := s.RouteTables.Get(table).Routes
	if r := routes[len(routes)-1]; r.NatGatewayID != nat || r.GatewayID != "" {
		t.Errorf("%+v", r)
	}
	wantCode(t, code(s.ReplaceRoute(&ReplaceRouteInput{RouteTableId: table, DestinationCidrBlock: "192.168.0.0/16", GatewayId: "nat-0123456789abcdef0"})), "InvalidNatGatewayID.NotFound")
}
