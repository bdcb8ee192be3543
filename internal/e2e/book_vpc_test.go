package e2e

import (
	"strings"
	"testing"
)

// A VPC is only an address range until it has a subnet.
func TestB01_NoInstanceWithoutASubnet(t *testing.T) {
	t.Parallel()
	l := up(t, `
version: 1
region: ap-northeast-1
default_vpc: false
vpcs:
  book: {cidr_block: 172.30.0.0/16}
`)
	equal(t, "range", get(t, l.ec2("describe-vpcs --vpc-ids book"), "Vpcs", 0, "CidrBlock"), "172.30.0.0/16")
	equal(t, "subnets", len(l.ec2("describe-subnets")["Subnets"].([]any)), 0)
	group := get(t, l.ec2("describe-security-groups"), "SecurityGroups", 0, "GroupId")
	l.ec2Fails("VPCIdNotSpecified", "run-instances")
	l.ec2Fails("VPCIdNotSpecified", "run-instances --security-group-ids "+group)
	l.ec2Fails("InvalidSubnetID.NotFound", "run-instances --subnet-id book")
	l.ec2Fails("InvalidSubnetID.NotFound", "create-network-interface --subnet-id book")
	_, machines := l.list()
	equal(t, "machines", len(machines), 0)

	l.ec2("create-subnet --vpc-id book --cidr-block 172.30.0.0/24" + named("subnet", "public"))
	l.ec2("run-instances --subnet-id public --wait" + named("instance", "web"))
	equal(t, "state", l.machine("web").State, "running")
	equal(t, "address", l.privateOf("web"), "172.30.0.4")
	if addrs := l.in("web", "ip -4 -o addr show dev eth0"); !strings.Contains(addrs, "inet 172.30.0.4/24 ") {
		t.Errorf("the guest's addresses:\n%s", addrs)
	}
}

// The same said by a topology file: nothing is made, and the reason is told.
func TestB01_AFileWithoutASubnetIsRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t, `
version: 1
region: ap-northeast-1
default_vpc: false
vpcs:
  book: {cidr_block: 172.30.0.0/16}
instances:
  web: {}
`)
	_, errs, status := l.try("", "up", l.file)
	if status == 0 || !strings.Contains(errs, "lab.yaml:8: ") || !strings.Contains(errs, "web") || !strings.Contains(errs, "subnet") {
		t.Errorf("exit status %d: %s", status, errs)
	}
}

// A subnet lies in one zone and inside the VPC's range; tenancy is an attribute
// of the VPC and of the instance.
func TestB02_ZoneRangeAndTenancy(t *testing.T) {
	t.Parallel()
	l := up(t, `
version: 1
region: ap-northeast-1
default_vpc: false
vpcs:
  book: {cidr_block: 172.30.0.0/16}
  own: {cidr_block: 172.29.0.0/16, instance_tenancy: dedicated}
subnets:
  public: {vpc: book, cidr_block: 172.30.0.0/24, availability_zone: ap-northeast-1a}
  other: {vpc: book, cidr_block: 172.30.9.0/24, availability_zone: ap-northeast-1c}
  own: {vpc: own, cidr_block: 172.29.0.0/24}
instances:
  web: {subnet: public, tenancy: default}
  apart: {subnet: public, tenancy: dedicated}
  elsewhere: {subnet: other}
`)
	public := l.ec2("describe-subnets --subnet-ids public")
	equal(t, "zone", get(t, public, "Subnets", 0, "AvailabilityZone"), "ap-northeast-1a")
	for _, c := range []struct{ code, flags string }{
		{"InvalidSubnet.Range", "--cidr-block 172.31.0.0/24"},
		{"InvalidSubnet.Range", "--cidr-block 172.0.0.0/8"},
		{"InvalidSubnet.Range", "--cidr-block 172.30.1.0/29"},
		{"InvalidSubnet.Conflict", "--cidr-block 172.30.0.128/25"},
		{"InvalidParameterValue", "--cidr-block 172.30.1.0/24 --availability-zone us-east-1a"},
	} {
		l.ec2Fails(c.code, "create-subnet --vpc-id book "+c.flags)
	}
	// The zone is the instance's, too, and its further interfaces have to be there.
	equal(t, "zone of web", get(t, l.instance("web"), "Placement", "AvailabilityZone"), "ap-northeast-1a")
	equal(t, "zone of elsewhere", l.machine("elsewhere").Zone, "ap-northeast-1c")
	l.ec2("create-network-interface --subnet-id other" + named("network-interface", "far"))
	l.ec2Fails("InvalidParameterCombination", "attach-network-interface --network-interface-id far --instance-id web --device-index 1")

	vpcs := map[string]string{"book": "default", "own": "dedicated"}
	for v, tenancy := range vpcs {
		equal(t, "tenancy of VPC "+v, get(t, l.ec2("describe-vpcs --vpc-ids "+v), "Vpcs", 0, "InstanceTenancy"), tenancy)
	}
	l.ec2("run-instances --wait --subnet-id own" + named("instance", "forced"))
	for i, tenancy := range map[string]string{"web": "default", "apart": "dedicated", "forced": "dedicated"} {
		equal(t, "tenancy of instance "+i, get(t, l.instance(i), "Placement", "Tenancy"), tenancy)
	}
	// Tenancy and zone say nothing about packets: one VPC, one network.
	l.in("web", "ping -c 1 -W 20 "+l.privateOf("apart"))
	l.in("web", "ping -c 1 -W 20 "+l.privateOf("elsewhere"))
}

// A new subnet uses the VPC's main route table; changing that changes every
// subnet without a table of its own, associating another changes that subnet only.
func TestB04_MainTableAndOwnTables(t *testing.T) {
	t.Parallel()
	l := up(t, `
version: 1
region: ap-northeast-1
default_vpc: false
vpcs:
  book: {cidr_block: 172.30.0.0/16}
  other: {cidr_block: 10.0.0.0/16}
internet_gateways:
  igw: {vpc: book}
subnets:
  a: {vpc: book, cidr_block: 172.30.0.0/24, map_public_ip_on_launch: true}
instances:
  one: {subnet: a}
internet_hosts:
  server:
    user_data: `+echoServer)
	server := l.publicOf("server")
	l.ec2("create-subnet --vpc-id book --cidr-block 172.30.1.0/24" + named("subnet", "b"))
	l.ec2("modify-subnet-attribute --subnet-id b --map-public-ip-on-launch")
	l.ec2("run-instances --wait --subnet-id b" + named("instance", "two"))
	table := func(filters string) map[string]any {
		t.Helper()
		out := l.ec2("describe-route-tables --filters " + filters)
		if list := out["RouteTables"].([]any); len(list) == 1 {
			return list[0].(map[string]any)
		}
		t.Fatalf("route tables: %v", out)
		return nil
	}
	book := get(t, l.ec2("describe-vpcs --vpc-ids book"), "Vpcs", 0, "VpcId")
	main := table("Name=association.main,Values=true Name=vpc-id,Values=" + book)
	equal(t, "routes of a new VPC", len(main["Routes"].([]any)), 1)
	equal(t, "destination", get(t, main, "Routes", 0, "DestinationCidrBlock"), "172.30.0.0/16")
	equal(t, "target", get(t, main, "Routes", 0, "GatewayId"), "local")
	mainID, association := get(t, main, "RouteTableId"), get(t, main, "Associations", 0, "RouteTableAssociationId")

	works := func(names ...string) {
		t.Helper()
		for _, n := range names {
			if _, saw := l.echo(n, server); saw != l.publicOf(n) {
				t.Fatalf("%s: the server saw %s", n, saw)
			}
		}
	}
	fails := func(names ...string) {
		t.Helper()
		for _, n := range names {
			l.blocked(n, server, 80, "NO_ROUTE_TO_DESTINATION")
		}
	}
	// The local route alone: each reaches the other, neither the Internet.
	l.in("one", "ping -c 1 -W 20 "+l.privateOf("two"))
	fails("one", "two")
	// The main table is both subnets' table.
	l.ec2("create-route --route-table-id " + mainID + " --destination-cidr-block 0.0.0.0/0 --gateway-id igw")
	works("one", "two")
	// A table of its own, which has the local route only, changes subnet a alone.
	l.ec2("create-route-table --vpc-id book" + named("route-table", "own"))
	own := l.ec2("associate-route-table --route-table-id own --subnet-id a")
	fails("one")
	works("two")
	l.in("one", "ping -c 1 -W 20 "+l.privateOf("two"))
	// Changing the main table does not change subnet a any more, but b.
	l.ec2("delete-route --route-table-id " + mainID + " --destination-cidr-block 0.0.0.0/0")
	l.ec2("create-route --route-table-id own --destination-cidr-block 0.0.0.0/0 --gateway-id igw")
	works("one")
	fails("two")
	// Another table as the main table: b follows.
	l.ec2("create-route-table --vpc-id book" + named("route-table", "new"))
	l.ec2("create-route --route-table-id new --destination-cidr-block 0.0.0.0/0 --gateway-id igw")
	l.ec2("replace-route-table-association --association-id " + association + " --route-table-id new")
	works("one", "two")
	// Without its own table, a follows the main table again.
	l.ec2("disassociate-route-table --association-id " + get(t, own, "AssociationId"))
	l.ec2("delete-route --route-table-id new --destination-cidr-block 0.0.0.0/0")
	fails("one", "two")
	// Tables are made per VPC: one of another VPC cannot be applied.
	l.ec2("create-route-table --vpc-id other" + named("route-table", "foreign"))
	l.ec2Fails("InvalidParameterValue", "associate-route-table --route-table-id foreign --subnet-id a")
}
