package vpc

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Random sequences of all actions there are, with inputs drawn by reflection:
// whatever happens the model stays consistent, an operation that fails leaves
// it as it was, called by name or as a method, and none changes an object that
// another model shares.
func TestProperty_OperationsKeepTheModelConsistent(t *testing.T) {
	done := map[string]int{}
	start := furnished(t)
	rapid.Check(t, func(t *rapid.T) {
		m, call := start.Model.Clone(), start.Call
		// A seed a step: rapid's own numbers lean to the small ones, and a
		// sequence shrinks by whole steps.
		seeds := rapid.SliceOfN(rapid.Uint64(), 30, 60).Draw(t, "steps")
		for span := range slices.Chunk(seeds, 10) {
			from, contents, labels := m.Clone(), dump(t, &m), []string{}
			for _, seed := range span {
				next, label, ok := step(t, &m, call, rand.New(rand.NewPCG(seed, 1)))
				labels = append(labels, label)
				if !ok {
					continue
				}
				m = next
				done[strings.Fields(label)[0]]++
				for _, err := range m.Check() {
					t.Fatalf("after %s: %v", label, err)
				}
			}
			if dump(t, &from) != contents {
				t.Fatalf("one of these changed objects of the model that it started from: %q", labels)
			}
		}
	})
	// The test is worth something only while most actions do succeed, which by
	// nature differs from run to run.
	var never []string
	for _, a := range Actions() {
		if done[a.Name] == 0 {
			never = append(never, a.Name)
		}
	}
	t.Logf("%d of %d actions never succeeded: %v", len(never), len(Actions()), never)
	if len(never) > len(Actions())/2 {
		t.Error("too many actions never succeeded")
	}
}

// furnished is a lab with one object of most types, so that actions find what
// they need.
func furnished(t *testing.T) *Tx {
	tx := fullLab(t)
	furnish(tx)
	must(tx.CreateInternetHost(&CreateInternetHostInput{HostName: "laptop"}))
	wantConsistent(t, &tx.Model)
	return tx
}

func furnish(tx *Tx) {
	v := newVpc(tx, "10.0.0.0/16")
	public, private := newSubnet(tx, v, "10.0.1.0/24"), newSubnet(tx, v, "10.0.2.0/24")
	igw := newGateway(tx, v)
	must(tx.CreateRoute(&CreateRouteInput{RouteTableId: tx.MainRouteTable(v).ID, DestinationCidrBlock: "0.0.0.0/0", GatewayId: igw}))
	must(tx.AssociateRouteTable(&AssociateRouteTableInput{RouteTableId: newTable(tx, v), SubnetId: private}))
	newTable(tx, v)
	must(tx.AssociateVpcCidrBlock(&AssociateVpcCidrBlockInput{VpcId: v, CidrBlock: "100.64.0.0/16"}))
	web := newGroup(tx, v, "web")
	must(tx.AuthorizeSecurityGroupIngress(&AuthorizeSecurityGroupIngressInput{GroupId: web, IpPermissions: permission("tcp", 22, 22, "10.0.0.0/8")}))
	must(tx.CreateNetworkAcl(&CreateNetworkAclInput{VpcId: v}))
	newVpc(tx, "10.4.0.0/16")
	newGateway(tx, "")
	must(tx.CreateDhcpOptions(&CreateDhcpOptionsInput{DhcpConfigurations: []NewDhcpConfiguration{{"domain-name", []string{"example.com"}}}}))
	must(tx.CreateSubnetCidrReservation(&CreateSubnetCidrReservationInput{SubnetId: private, Cidr: "10.0.2.16/28", ReservationType: "explicit"}))
	must(tx.RunInstances(&RunInstancesInput{SubnetId: private, SecurityGroupIds: []SecurityGroupID{web}, MinCount: new(2)}))
	for id := range tx.Instances.All() {
		tx.InstanceRunning(id)
	}
	must(tx.CreateNetworkInterface(&CreateNetworkInterfaceInput{SubnetId: private}))
	eip := must(tx.AllocateAddress(&AllocateAddressInput{})).AllocationId
	must(tx.CreateNatGateway(&CreateNatGatewayInput{SubnetId: public, AllocationId: eip}))
	must(tx.AllocateAddress(&AllocateAddressInput{}))
	must(tx.CreateFlowLogs(&CreateFlowLogsInput{ResourceIds: []ResourceID{ResourceID(v)}, ResourceType: FlowLogVpc, TrafficType: "ALL", LogGroupName: "logs"}))
}

// step runs one action, or tells the model what the host has done. It returns
// the new model, what was done, and whether it succeeded.
func step(t *rapid.T, m *Model, call Call, rng *rand.Rand) (Model, string, bool) {
	tx := Begin(m, call)
	if rng.IntN(10) == 0 {
		name := hostStep(rng, tx)
		return tx.Model, name, true
	}
	a := sample(rng, Actions())
	in := reflect.New(a.Input)
	d := drawer{rng, m, identifiers(m)}
	d.fill(in.Elem())
	label := fmt.Sprintf("%s %+v", a.Name, in.Elem().Interface())
	_, err := tx.Run(a.Name, in.Interface())
	if err == nil {
		return tx.Model, label, true
	}
	if _, aws := err.(*Error); !aws {
		t.Fatalf("%s: %v is not an AWS error", label, err)
	}
	if !same(&tx.Model, m) {
		t.Fatalf("%s failed with %v and changed the model", label, err)
	}
	if absentActions[a.Name] != nil {
		return *m, label, false
	}
	// The method itself is all or nothing too. (It knows no dry run.)
	out := reflect.ValueOf(tx).MethodByName(a.Name).Call([]reflect.Value{in})
	if !out[1].IsNil() && !same(&tx.Model, m) {
		t.Fatalf("%s, called as a method, failed with %v and changed the model", label, out[1].Interface())
	}
	return *m, label, false
}

// same tells whether two models share every object.
func same(a, b *Model) bool {
	equal := reflect.DeepEqual(a.WithoutTables(), b.WithoutTables())
	others := b.Tables()
	for name, table := range a.Tables() {
		table.Changes(others[name], func(string, any) { equal = false }, func(string) { equal = false })
	}
	return equal
}

func sample[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

// hostStep is what a daemon reports, or time passing.
func hostStep(rng *rand.Rand, tx *Tx) string {
	var ids []InstanceID
	for id := range tx.Instances.All() {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return "nothing"
	}
	id := sample(rng, ids)
	switch rng.IntN(5) {
	case 0:
		tx.InstanceRunning(id)
		return "InstanceRunning"
	case 1:
		tx.InstanceStopped(id, "")
		return "InstanceStopped"
	case 2:
		tx.InstanceTerminated(id)
		return "InstanceTerminated"
	case 3:
		for host := range tx.InternetHosts.All() {
			tx.InternetHostRunning(host)
		}
		return "InternetHostRunning"
	}
	tx.PurgeDeleted(testNow.Add(2 * tokenLifetime))
	return "PurgeDeleted"
}

// identifiers lists every ID in the model by its type.
func identifiers(m *Model) map[reflect.Type][]string {
	ids := map[reflect.Type][]string{}
	add := func(t reflect.Type, id string) {
		if id != "" && !slices.Contains(ids[t], id) {
			ids[t] = append(ids[t], id)
		}
	}
	tx := &Tx{Model: *m}
	for t, table := range tx.resourceTables() {
		table.all(func(id string, _ *Meta) {
			add(t, id)
			add(reflect.TypeFor[ResourceID](), id)
		})
	}
	for _, v := range m.Vpcs.All() {
		for _, c := range v.Cidrs {
			add(reflect.TypeFor[CidrAssociationID](), string(c.ID))
		}
	}
	for _, s := range m.Subnets.All() {
		add(reflect.TypeFor[AclAssociationID](), string(s.AclAssociationID))
	}
	for _, t := range m.RouteTables.All() {
		for _, a := range t.Associations {
			add(reflect.TypeFor[RouteAssociationID](), string(a.ID))
		}
	}
	for _, a := range m.Addresses.All() {
		add(reflect.TypeFor[AddressAssocID](), string(a.AssociationID))
	}
	for _, n := range m.NetworkInterfaces.All() {
		if n.Attachment != nil {
			add(reflect.TypeFor[AttachmentID](), string(n.Attachment.ID))
		}
	}
	for _, list := range ids {
		slices.Sort(list)
	}
	return ids
}

// drawer fills inputs with values that are often right.
type drawer struct {
	rng *rand.Rand
	m   *Model
	ids map[reflect.Type][]string
}

// likely are the fields without which most actions do nothing.
var likely = []string{
	"VpcId", "SubnetId", "CidrBlock", "DestinationCidrBlock", "Cidr", "ReservationType", "InternetGatewayId", "RouteTableId",
	"AssociationId", "NetworkAclId", "RuleNumber", "Protocol", "RuleAction", "PortRange", "IcmpTypeCode", "DhcpOptionsId",
	"DhcpConfigurations", "Key", "Values", "GroupId", "Description", "IpPermissions", "IpProtocol", "FromPort", "ToPort", "IpRanges",
	"CidrIp", "SecurityGroupRuleId", "SecurityGroupRules", "SecurityGroupRule", "CidrIpv4", "Resources", "Tags", "Attribute",
	"InstanceIds", "AllocationId", "NatGatewayId", "NetworkInterfaceId", "AttachmentId", "DeviceIndex", "HostName",
	"PublicKeyMaterial", "Name", "Value", "From", "To", "Code", "Type", "InternetHostIds", "InternetHostId", "SubnetCidrReservationId",
	"AllocationIds", "AssociationIds", "ResourceIds", "ResourceType", "TrafficType", "LogGroupName", "FlowLogIds",
}

// half are fields that may be left out as well.
var half = []string{"GatewayId", "InstanceTenancy", "SourceDestCheck", "Groups", "KeyName", "GroupName"}

// exclusive are sets of fields of which an input may have only one.
var exclusive = [][]string{
	{"GatewayId", "NatGatewayId", "NetworkInterfaceId", "InstanceId", "LocalTarget"},
	{"SubnetId", "GatewayId"},
	{"IpPermissions", "SecurityGroupRuleIds", "SecurityGroupRuleDescriptions", "CidrIp"},
	{"CidrIpv4", "CidrIpv6", "ReferencedGroupId", "PrefixListId"},
	{"CidrBlock", "Ipv6CidrBlock"},
	{"PrivateIpAddress", "PrivateIpAddresses", "SecondaryPrivateIpAddressCount", "PrivateIpAddressCount"},
	{"AllocationId", "PublicIp"},
	{"AssociationId", "PublicIp"},
	{"GroupId", "GroupName"},
	{"AvailabilityZone", "AvailabilityZoneId"},
	{"EnableDnsSupport", "EnableDnsHostnames", "EnableNetworkAddressUsageMetrics"},
	{"MapPublicIpOnLaunch", "PrivateDnsHostnameTypeOnLaunch", "EnableResourceNameDnsARecordOnLaunch"},
}

// choose draws one field of each exclusive set that the input has, and returns
// those that stay empty and those to fill.
func (d *drawer) choose(t reflect.Type) (out, in []string) {
	attach := strings.HasPrefix(t.Name(), "AttachNetworkInterface")
	for _, set := range exclusive {
		present := slices.DeleteFunc(slices.Clone(set), func(name string) bool { _, ok := t.FieldByName(name); return !ok })
		if len(present) < 2 || attach {
			continue
		}
		keep := sample(d.rng, present)
		in = append(in, keep)
		out = append(out, slices.DeleteFunc(present, func(name string) bool { return name == keep })...)
	}
	if slices.Contains(in, "IpPermissions") {
		out = append(out, "IpProtocol", "FromPort", "ToPort")
	}
	return out, in
}

func (d *drawer) fill(v reflect.Value) {
	out, in := d.choose(v.Type())
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		percent := 5
		switch {
		case slices.Contains(out, name):
			percent = 1
		case slices.Contains(in, name):
			percent = 92
		case slices.Contains(likely, name):
			percent = 92
		case slices.Contains(half, name):
			percent = 40
		case name == "DryRun" || name == "NextToken" || name == "TagSpecifications":
			percent = 1
		}
		if d.rng.IntN(100) < percent {
			d.value(name, v.Field(i))
		}
	}
}

func (d *drawer) value(name string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(d.rng.IntN(2) == 0)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(sample(d.rng, []int{0, 1, 2, 1, 5, 22, 80, 100, 100, 65535, -1})))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(name, v.Elem())
	case reflect.Struct:
		d.fill(v)
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[[]byte]() {
			v.SetBytes([]byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGy0P2T0z3wYwz9JwqOB3pUmH8Ea0fYpqLrS0n0v8Qp5 x"))
			return
		}
		n := sample(d.rng, []int{1, 1, 1, 2})
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			d.value(name, v.Index(i))
		}
	case reflect.String:
		v.SetString(d.text(name, v.Type()))
	}
}

var words = map[string][]string{
	"Protocol":           {"-1", "6", "tcp", "17", "1", "47", "x"},
	"IpProtocol":         {"-1", "tcp", "udp", "icmp", "47", "6", "x"},
	"RuleAction":         {"allow", "deny", "x"},
	"ReservationType":    {"prefix", "explicit"},
	"InstanceTenancy":    {"default", "dedicated"},
	"ConnectivityType":   {"public", "private"},
	"Key":                {"domain-name", "domain-name-servers", "Name"},
	"Values":             {"10.0.0.1", "example.com"},
	"Value":              {"a", ""},
	"GroupName":          {"web", "db", "default"},
	"KeyName":            {"key", "other"},
	"HostName":           {"laptop", "server"},
	"Attribute":          {"enableDnsSupport", "description", "userData", "groupSet", "disableApiTermination", "domain-name"},
	"InstanceType":       {"t3.micro", "m5.large"},
	"LinkType":           {"tun", "tap"},
	"PrivateIpAddress":   {"10.0.1.4", "10.0.1.9", "10.0.1.0", "10.0.2.7"},
	"PrivateIpAddresses": {"10.0.1.5", "10.0.1.9", "10.0.2.8"},
	"CidrIpv6":           {"::/0", "fd00::/8"},
	"Ipv6CidrBlock":      {"::/0"},
	"PublicIp":           {"203.0.113.1", "203.0.113.2"},
	"ResourceType":       {"VPC", "Subnet", "NetworkInterface"},
	"TrafficType":        {"ALL", "ACCEPT", "REJECT"},
	"LogGroupName":       {"logs", "/vpc/logs"},
}

func (d *drawer) text(name string, t reflect.Type) string {
	if _, isID := idKinds[t]; isID || t == reflect.TypeFor[ResourceID]() {
		pool := d.ids[t]
		if n := d.rng.IntN(100); n < 3 || len(pool) == 0 {
			return []string{"nonsense", idKinds[t].prefix + "0123456789abcdef0", "default"}[n%3]
		}
		return sample(d.rng, pool)
	}
	switch {
	case name == "AvailabilityZone":
		return sample(d.rng, d.m.zones())
	case name == "KeyName" && d.m.KeyPairs.Len() > 0:
		for _, k := range d.m.KeyPairs.All() {
			return k.KeyName
		}
	case words[name] != nil:
		return sample(d.rng, words[name])
	case name == "CidrBlock" || name == "Cidr" || name == "CidrIp" || name == "CidrIpv4" || name == "DestinationCidrBlock":
		return sample(d.rng, []string{
			"10.0.0.0/16", "10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24", "10.0.1.0/25", "10.0.1.16/28", "10.3.0.0/16", "10.4.0.0/16",
			"10.4.5.0/24", "0.0.0.0/0", "100.64.0.0/16", "172.31.96.0/20", "8.8.8.8/32", "10.0.0.0/8", "nonsense",
		})
	}
	return sample(d.rng, []string{"a", "b", ""})
}
