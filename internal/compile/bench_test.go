package compile

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// noPorts is a host on which nothing runs.
type noPorts struct{}

func (noPorts) ENI(uint32) dataplane.Port         { return nil }
func (noPorts) Services(vpc.VpcID) dataplane.Port { return nil }
func (noPorts) Refused() []netip.Prefix           { return nil }

// largeModel has n instances, twenty a subnet and five hundred a VPC, each subnet with
// a route table, an ACL and a group of its own beside the VPC's.
func largeModel(t testing.TB, n int) *vpc.Model {
	t.Helper()
	ids := 0
	call := vpc.Call{Now: start, NewID: func(prefix string) string { ids++; return fmt.Sprintf("%s%017x", prefix, ids) }}
	m, err := vpc.New("large", "123456789012", "ap-northeast-1", nil, call, false)
	if err != nil {
		t.Fatal(err)
	}
	m.Quotas = map[string]int{vpc.QuotaVpcs: 100, vpc.QuotaInternetGateways: 100}
	tx := vpc.Begin(&m, call)
	for v := 0; v*500 < n; v++ {
		largeVPC(t, tx, min(500, n-v*500))
	}
	return &tx.Model
}

func largeVPC(t testing.TB, tx *vpc.Tx, n int) {
	t.Helper()
	v := must(tx.CreateVpc(&vpc.CreateVpcInput{CidrBlock: "10.0.0.0/16"})).Vpc.VpcId
	g := must(tx.CreateInternetGateway(&vpc.CreateInternetGatewayInput{})).InternetGateway.InternetGatewayId
	must(tx.AttachInternetGateway(&vpc.AttachInternetGatewayInput{InternetGatewayId: g, VpcId: v}))
	for s := 0; s*20 < n; s++ {
		subnet := must(tx.CreateSubnet(&vpc.CreateSubnetInput{VpcId: v, CidrBlock: fmt.Sprintf("10.0.%d.0/24", s)})).Subnet.SubnetId
		table := must(tx.CreateRouteTable(&vpc.CreateRouteTableInput{VpcId: v})).RouteTable.RouteTableId
		must(tx.CreateRoute(&vpc.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: "0.0.0.0/0", GatewayId: g}))
		must(tx.AssociateRouteTable(&vpc.AssociateRouteTableInput{RouteTableId: table, SubnetId: subnet}))
		acl := must(tx.CreateNetworkAcl(&vpc.CreateNetworkAclInput{VpcId: v})).NetworkAcl.NetworkAclId
		must(tx.CreateNetworkAclEntry(&vpc.CreateNetworkAclEntryInput{NetworkAclId: acl, RuleNumber: 100, Protocol: "-1", RuleAction: "allow", CidrBlock: "0.0.0.0/0"}))
		must(tx.ReplaceNetworkAclAssociation(&vpc.ReplaceNetworkAclAssociationInput{AssociationId: tx.Subnets.Get(subnet).AclAssociationID, NetworkAclId: acl}))
		group := must(tx.CreateSecurityGroup(&vpc.CreateSecurityGroupInput{GroupName: fmt.Sprint("g", s), Description: "x", VpcId: v})).GroupId
		must(tx.AuthorizeSecurityGroupIngress(&vpc.AuthorizeSecurityGroupIngressInput{GroupId: group, IpPermissions: permission("tcp", 22, 22, "0.0.0.0/0")}))
		must(tx.RunInstances(&vpc.RunInstancesInput{SubnetId: subnet, MinCount: new(min(20, n-s*20)), MaxCount: new(min(20, n-s*20)),
			SecurityGroupIds: []vpc.SecurityGroupID{group, tx.DefaultSecurityGroup(v).ID}}))
	}
}

// must returns what an operation that may not fail answered.
func must[O any](out O, err error) O {
	if err != nil {
		panic(err)
	}
	return out
}

func BenchmarkSnapshot(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 4000} {
		b.Run(fmt.Sprint(n, " instances"), func(b *testing.B) {
			m := largeModel(b, n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Snapshot(m, noPorts{}, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// One change of a lab with 1,000 instances, as the daemon makes it.
func BenchmarkChange(b *testing.B) {
	m := largeModel(b, 1000)
	var group vpc.SecurityGroupID
	for id := range m.SecurityGroups.All() {
		group = id
	}
	var mem Memory
	must(mem.Snapshot(m, noPorts{}, 1))
	b.ReportAllocs()
	for b.Loop() {
		tx := vpc.Begin(m, vpc.Call{Now: start, NewID: vpc.RandomID})
		must(tx.AuthorizeSecurityGroupIngress(&vpc.AuthorizeSecurityGroupIngressInput{GroupId: group, IpPermissions: permission("udp", 53, 53, "0.0.0.0/0")}))
		if _, err := mem.Snapshot(&tx.Model, noPorts{}, 1); err != nil {
			b.Fatal(err)
		}
	}
}

// Compiling allocates in proportion to the model; BenchmarkSnapshot shows that it takes
// time in proportion, too, which a test on a shared machine cannot.
func TestSnapshot_AllocatesInProportion(t *testing.T) {
	allocations := func(n int) float64 {
		m := largeModel(t, n)
		return testing.AllocsPerRun(1, func() {
			if _, err := Snapshot(m, noPorts{}, 1); err != nil {
				t.Fatal(err)
			}
		})
	}
	if small, large := allocations(100), allocations(2000); large > 25*small {
		t.Errorf("100 instances take %.0f allocations, 2000 take %.0f", small, large)
	}
}

// Compiled rules may take megabytes: ENIs with the same groups, and subnets with the
// same ACL, have one copy of them.
func TestSnapshot_SharesCompiledRules(t *testing.T) {
	m := largeModel(t, 1000)
	s, err := Snapshot(m, noPorts{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	groups, acls, enis := map[*filter.Groups]bool{}, map[*filter.ACL]bool{}, 0
	for _, e := range s.ENIs {
		if e.Groups != nil {
			groups[e.Groups] = true
			enis++
		}
		acls[e.Subnet.ACL] = true
	}
	if enis != 1000 || len(groups) != 50 || len(acls) != 50 {
		t.Errorf("%d ENIs of 50 lists of groups and 50 ACLs have %d and %d compiled", enis, len(groups), len(acls))
	}
}
