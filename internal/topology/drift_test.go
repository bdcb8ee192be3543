package topology

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// lab is a converged full file and what is needed to change it from outside.
type lab struct {
	*vpc.Tx
	t *testing.T
	f *File
}

func newLab(t *testing.T) *lab {
	t.Helper()
	f := parseText(t, full)
	m, _ := mustConverge(t, f, nil, Options{})
	return &lab{vpc.Begin(&m, vpc.Call{Now: now, NewID: vpc.RandomID}), t, f}
}

// named finds the ID of an object of the file.
func named[K ~string, V any](l *lab, table *vpc.Table[K, V], source string, meta func(*V) string) K {
	l.t.Helper()
	for id, o := range table.All() {
		if meta(o) == source {
			return id
		}
	}
	l.t.Fatalf("there is no %s", source)
	return ""
}

func (l *lab) group(name string) vpc.SecurityGroupID {
	return named(l, &l.SecurityGroups, "security_groups."+name, func(g *vpc.SecurityGroup) string { return g.Source })
}

func (l *lab) table(name string) vpc.RouteTableID {
	return named(l, &l.RouteTables, "route_tables."+name, func(r *vpc.RouteTable) string { return r.Source })
}

func (l *lab) instance(name string) vpc.InstanceID {
	return named(l, &l.Instances, "instances."+name, func(i *vpc.Instance) string {
		if i.State == vpc.StateTerminated {
			return ""
		}
		return i.Source
	})
}

// TestDriftIsRepaired: what was done from outside is put back, and said.
func TestDriftIsRepaired(t *testing.T) {
	for name, c := range map[string]struct {
		drift func(l *lab)
		want  []string
	}{
		"rule taken away": {func(l *lab) {
			g := l.SecurityGroups.Get(l.group("web"))
			run(t, l.Tx, &vpc.RevokeSecurityGroupIngressInput{GroupId: g.ID, SecurityGroupRuleIds: []vpc.SecurityRuleID{g.Ingress[0].ID}})
		}, []string{"update security group web: ingress: with tcp 22 0.0.0.0/0"}},
		"rule added": {func(l *lab) {
			run(t, l.Tx, &vpc.AuthorizeSecurityGroupIngressInput{GroupId: l.group("web"), IpPermissions: []vpc.IpPermission{
				{IpProtocol: "udp", FromPort: new(53), ToPort: new(54), IpRanges: []vpc.IpRange{{CidrIp: "10.0.0.0/8"}}}}})
		}, []string{"update security group web: ingress: without udp 53-54 10.0.0.0/8"}},
		"route redirected": {func(l *lab) {
			g := named(l, &l.InternetGateways, "internet_gateways.igw", func(g *vpc.InternetGateway) string { return g.Source })
			run(t, l.Tx, &vpc.ReplaceRouteInput{RouteTableId: l.table("private"), DestinationCidrBlock: "0.0.0.0/0", GatewayId: g})
		}, []string{"update route table private: route 0.0.0.0/0"}},
		"routes added and deleted": {func(l *lab) {
			run(t, l.Tx, &vpc.DeleteRouteInput{RouteTableId: l.table("private"), DestinationCidrBlock: "192.0.2.0/24"})
			run(t, l.Tx, &vpc.CreateRouteInput{RouteTableId: l.table("spare"), DestinationCidrBlock: "0.0.0.0/0", InstanceId: l.instance("web")})
		}, []string{"update route table private: route 192.0.2.0/24", "update route table spare: without route 0.0.0.0/0"}},
		"other main table": {func(l *lab) {
			m := l.MainRouteTable(l.RouteTables.Get(l.table("spare")).VpcID)
			run(t, l.Tx, &vpc.ReplaceRouteTableAssociationInput{AssociationId: m.Associations[0].ID, RouteTableId: l.table("spare")})
		}, []string{"update vpc main: main route table"}},
		"gateway gone": {func(l *lab) {
			run(t, l.Tx, &vpc.DeleteNatGatewayInput{NatGatewayId: named(l, &l.NatGateways, "nat_gateways.nat", func(n *vpc.NatGateway) string { return n.Source })})
		}, []string{"create nat gateway nat", "update route table private: route 0.0.0.0/0"}},
		"instance terminated": {func(l *lab) {
			id := l.instance("db")
			run(t, l.Tx, &vpc.TerminateInstancesInput{InstanceIds: []vpc.InstanceID{id}})
			l.InstanceTerminated(id)
		}, []string{"create instance db", "update network interface eni: attached to db", "update elastic ip eni: associated with eni"}},
		"instance stopped": {func(l *lab) {
			id := l.instance("db")
			run(t, l.Tx, &vpc.StopInstancesInput{InstanceIds: []vpc.InstanceID{id}})
			l.InstanceStopped(id, "")
		}, []string{"start instance db"}},
		"groups and tags": {func(l *lab) {
			id := l.instance("web")
			run(t, l.Tx, &vpc.ModifyInstanceAttributeInput{InstanceId: id, Groups: []vpc.SecurityGroupID{l.group("db")}})
			run(t, l.Tx, &vpc.CreateTagsInput{Resources: []vpc.ResourceID{vpc.ResourceID(id)}, Tags: []vpc.Tag{{Key: "a", Value: "b"}}})
		}, []string{"update instance web: tags; security_groups"}},
		"metadata options": {func(l *lab) {
			run(t, l.Tx, &vpc.ModifyInstanceMetadataOptionsInput{InstanceId: l.instance("web"), HttpTokens: "required", InstanceMetadataTags: "enabled"})
		}, []string{"update instance web: metadata_options"}},
		"flow log deleted": {func(l *lab) {
			id := named(l, &l.FlowLogs, "flow_logs.front", func(o *vpc.FlowLog) string { return o.Source })
			run(t, l.Tx, &vpc.DeleteFlowLogsInput{FlowLogIds: []vpc.FlowLogID{id}})
		}, []string{"create flow log front"}},
		"watched instance terminated": {func(l *lab) {
			id := l.instance("web")
			run(t, l.Tx, &vpc.TerminateInstancesInput{InstanceIds: []vpc.InstanceID{id}})
			l.InstanceTerminated(id)
		}, []string{"create instance web", "update elastic ip web: associated with web", "create flow log web"}},
		"elastic ip moved": {func(l *lab) {
			a := named(l, &l.Addresses, "elastic_ips.web", func(a *vpc.Address) string { return a.Source })
			run(t, l.Tx, &vpc.AssociateAddressInput{AllocationId: a, NetworkInterfaceId: l.InstanceInterfaces(l.instance("db"))[0].ID})
		}, []string{"update elastic ip web: associated with web"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			before := summary(&l.Model)
			c.drift(l)
			m, changes := mustConverge(t, l.f, &l.Model, Options{})
			if diff := cmp.Diff(c.want, changes); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, summary(&m)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPrune: what no file made stays, unless told otherwise; what AWS makes by
// itself stays always.
func TestPrune(t *testing.T) {
	l := newLab(t)
	before := summary(&l.Model)
	v := run(t, l.Tx, &vpc.CreateVpcInput{CidrBlock: "192.168.0.0/16"}).(*vpc.CreateVpcOutput).Vpc.VpcId
	s := run(t, l.Tx, &vpc.CreateSubnetInput{VpcId: v, CidrBlock: "192.168.1.0/24"}).(*vpc.CreateSubnetOutput).Subnet.SubnetId
	run(t, l.Tx, &vpc.RunInstancesInput{SubnetId: s, TagSpecifications: vpc.NamedTag("instance", "stray")})
	run(t, l.Tx, &vpc.CreateRouteTableInput{VpcId: v})
	run(t, l.Tx, &vpc.CreateFlowLogsInput{ResourceType: "VPC", ResourceIds: []vpc.ResourceID{vpc.ResourceID(v)}, TrafficType: "ALL", LogGroupName: "stray"})
	run(t, l.Tx, &vpc.CreateFlowLogsInput{ResourceType: "VPC", ResourceIds: []vpc.ResourceID{vpc.ResourceID(l.RouteTables.Get(l.table("spare")).VpcID)}, TrafficType: "ALL", LogGroupName: "stray"})
	run(t, l.Tx, &vpc.CreateNetworkInterfaceInput{SubnetId: s})
	run(t, l.Tx, &vpc.AllocateAddressInput{})
	run(t, l.Tx, &vpc.CreateInternetHostInput{})
	if _, changes := mustConverge(t, l.f, &l.Model, Options{}); len(changes) > 0 {
		t.Errorf("without Prune: %v", changes)
	}
	m, changes := mustConverge(t, l.f, &l.Model, Options{Prune: true})
	if len(changes) != 9 || !slices.Contains(changes, "delete instance stray") {
		t.Errorf("%q", changes)
	}
	if diff := cmp.Diff(before, summary(&m)); diff != "" {
		t.Error(diff)
	}
}

// TestSameFileSameIDs: on a fresh lab of the same name, not of another; a replaced
// object has a new one.
func TestSameFileSameIDs(t *testing.T) {
	f := parseText(t, full)
	ids := func(opt Options) []vpc.InstanceID {
		m, _ := mustConverge(t, f, nil, opt)
		var list []vpc.InstanceID
		for id := range m.Instances.All() {
			if !vpc.WellFormed("i-", string(id)) {
				t.Errorf("%s is no ID", id)
			}
			list = append(list, id)
		}
		return list
	}
	if a, b := ids(Options{}), ids(Options{}); !slices.Equal(a, b) || len(a) != 2 {
		t.Errorf("%v, %v", a, b)
	}
	if a, b := ids(Options{}), ids(Options{Lab: "other"}); slices.Contains(b, a[0]) || slices.Contains(b, a[1]) {
		t.Errorf("%v, %v", a, b)
	}
	l := newLab(t)
	old := l.instance("db")
	m, _ := mustConverge(t, parseText(t, edited(t, "private_ip: 10.0.1.10", "private_ip: 10.0.1.50")), &l.Model, Options{Replace: true})
	l.Model = m
	if id := l.instance("db"); id == old || l.Instances.Get(old).State != vpc.StateTerminated {
		t.Errorf("%s, then %s", old, id)
	}
}

// TestMadeKeys: a pair is made once, its private half is handed over and fits.
func TestMadeKeys(t *testing.T) {
	f := parseText(t, full)
	m, _, keys, err := f.Converge(nil, now, Options{})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(keys["me"])
	if err != nil {
		t.Fatal(err)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(m.KeyPairs.Get("me").PublicKey))
	if err != nil || !bytes.Equal(public.Marshal(), signer.PublicKey().Marshal()) {
		t.Errorf("the halves do not fit (%v)", err)
	}
	if _, _, other, _ := f.Converge(nil, now, Options{}); bytes.Equal(other["me"], keys["me"]) {
		t.Error("two labs have the same key")
	}
	if _, _, again, _ := f.Converge(&m, now, Options{}); len(again) > 0 {
		t.Error("a second key is made")
	}
}

// TestInputUnchanged: whatever comes of it, the model given stays as it was.
func TestInputUnchanged(t *testing.T) {
	l := newLab(t)
	before := l.Model.Clone()
	for _, text := range []string{edited(t, "10.9.0.0/16", "10.8.0.0/16"), "version: 1\nname: full\nregion: ap-northeast-1\n"} {
		if _, _, _, err := parseText(t, text).Converge(&l.Model, now, Options{Replace: true, Prune: true}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, _, err := parseText(t, edited(t, "ap-northeast-1", "us-east-1")).Converge(&l.Model, now, Options{}); err == nil ||
		err.Error() != "full.yaml:3: region: the lab is in ap-northeast-1; a lab cannot move (take it down first)" {
		t.Error(err)
	}
	for name, table := range l.Model.Tables() {
		table.Changes(before.Tables()[name], func(key string, _ any) { t.Errorf("%s %s changed", name, key) }, func(key string) { t.Errorf("%s %s is gone", name, key) })
	}
}

// TestEmptyFileEmptiesTheLab in dependency order.
func TestEmptyFileEmptiesTheLab(t *testing.T) {
	l := newLab(t)
	m, _ := mustConverge(t, parseText(t, "version: 1\nname: full\nregion: ap-northeast-1\ndefault_vpc: false\n"), &l.Model, Options{})
	for name, table := range m.Tables() {
		left := map[string]int{"DhcpOptions": 1, "Incarnations": table.Len(), "Instances": 2, "NatGateways": 1}[name] // the account's own; those still visible
		if table.Len() != left {
			t.Errorf("%d %s are left", table.Len(), name)
		}
	}
}
