package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
	"github.com/vpcemu/vpcemu/topologies"
)

// A lab that is exported and brought up again is the same lab, whatever topology it was made from.
func TestLab_Circle(t *testing.T) {
	for _, name := range topologies.Names() {
		t.Run(name, func(t *testing.T) {
			b, err := topologies.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			f, err := topology.Parse(name+".yaml", b)
			if err != nil {
				t.Fatal(err)
			}
			circle(t, modelOf(t, f))
		})
	}
}

// exported is the file of a lab, as text and parsed.
func exported(t *testing.T, m *vpc.Model) (*Result, *topology.File) {
	t.Helper()
	r, err := Lab(m, "")
	if err != nil {
		t.Fatal(err)
	}
	if r.Invalid != nil {
		t.Fatalf("%v\n%s", r.Invalid, r.Text)
	}
	f, err := topology.Parse("lab.yaml", r.Text)
	if err != nil {
		t.Fatal(err)
	}
	return r, f
}

// circle exports a lab, brings it up anew, and compares; and exports that, and compares the text.
func circle(t *testing.T, m vpc.Model) string {
	t.Helper()
	first, f := exported(t, &m)
	again := modelOf(t, f)
	if d := cmp.Diff(portrait(&m), portrait(&again)); d != "" {
		t.Errorf("the lab that was exported, and the one that is made of the file (-was +is):\n%s\n%s", d, first.Text)
	}
	second, err := Lab(&again, "")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(first.Text), string(second.Text)); d != "" {
		t.Errorf("the second export differs (-first +second):\n%s", d)
	}
	return string(first.Text)
}

// portrait is a lab by addresses and ranges, which need no names and IDs: an oracle that knows nothing of files.
func portrait(m *vpc.Model) []string {
	var p []string
	add := func(format string, a ...any) { p = append(p, fmt.Sprintf(format, a...)) }
	vpcOf := func(id vpc.VpcID) string {
		if v := m.Vpcs.Get(id); v != nil {
			return v.CidrBlock.String()
		}
		return ""
	}
	subnetOf := func(id vpc.SubnetID) string {
		if s := m.Subnets.Get(id); s != nil {
			return vpcOf(s.VpcID) + " " + s.CidrBlock.String()
		}
		return ""
	}
	groups := func(ids []vpc.SecurityGroupID) string {
		var names []string
		for _, id := range ids {
			names = append(names, m.SecurityGroups.Get(id).GroupName)
		}
		slices.Sort(names)
		return strings.Join(names, "+")
	}
	// Names are words in a file, and what has none gets one.
	tags := func(t map[string]string) string {
		t = maps.Clone(t)
		delete(t, "Name")
		return fmt.Sprint(t)
	}
	rules := func(list []vpc.SecurityGroupRule) string {
		var out []string
		for _, r := range list {
			peer := fmt.Sprint(r.CidrIpv4, r.CidrIpv6)
			if g := m.SecurityGroups.Get(r.GroupID); g != nil {
				peer = g.GroupName
			}
			out = append(out, fmt.Sprint(r.IpProtocol, r.FromPort, r.ToPort, peer, r.Description))
		}
		slices.Sort(out)
		return strings.Join(out, "; ")
	}
	for id, v := range m.Vpcs.All() {
		var cidrs []string
		for _, c := range v.Cidrs {
			cidrs = append(cidrs, c.CidrBlock.String())
		}
		add("vpc %s %v %s %v %v %v", vpcOf(id), cidrs, v.InstanceTenancy, v.EnableDnsSupport, v.EnableDnsHostnames, v.IsDefault)
		if o := m.DhcpOptions.Get(v.DhcpOptionsID); o != nil {
			add("dhcp of %s %s %v %v %v %d", vpcOf(id), o.DomainName, o.DomainNameServers, o.NtpServers, o.NetbiosNameServers, o.NetbiosNodeType)
		}
	}
	for id, s := range m.Subnets.All() {
		add("subnet %s %s %v %s %v acl %v", subnetOf(id), s.AvailabilityZone, s.MapPublicIpOnLaunch, s.PrivateDnsHostnameType, s.EnableResourceNameDnsARecord, acl(m, s.NetworkAclID))
	}
	for _, g := range m.InternetGateways.All() {
		add("igw of %s", vpcOf(g.VpcID))
	}
	for _, t := range m.RouteTables.All() {
		var to []string
		for _, a := range t.Associations {
			to = append(to, fmt.Sprint(a.Main, subnetOf(a.SubnetID), a.GatewayID != ""))
		}
		slices.Sort(to)
		var routes []string
		for _, r := range t.Routes {
			target := fmt.Sprint(r.Local, r.GatewayID != "", r.NatGatewayID != "")
			if n := m.NetworkInterfaces.Get(r.NetworkInterfaceID); n != nil {
				target += n.Primary().String()
			}
			routes = append(routes, r.DestinationCidrBlock.String()+" "+target)
		}
		slices.Sort(routes)
		add("routes of %s for %v: %v", vpcOf(t.VpcID), to, routes)
	}
	for _, n := range m.NatGateways.All() {
		if n.State == "available" {
			add("nat %s %s %v", n.ConnectivityType, subnetOf(n.SubnetID), n.Addresses[0].PrivateIp)
		}
	}
	for _, a := range m.Addresses.All() {
		add("eip %s at %v", a.PublicIp, a.PrivateIp)
	}
	for _, g := range m.SecurityGroups.All() {
		add("group %s of %s %q in %s out %s", g.GroupName, vpcOf(g.VpcID), g.Description, rules(g.Ingress), rules(g.Egress))
	}
	for _, n := range m.NetworkInterfaces.All() {
		if n.Deleted.IsZero() && n.InterfaceType == "interface" {
			add("eni %s %v %s %v %s", subnetOf(n.SubnetID), n.PrivateIps[0].PrivateIp, groups(n.Groups), n.SourceDestCheck, n.LinkType)
		}
	}
	for id, i := range m.Instances.All() {
		if i.State == vpc.StateTerminated {
			continue
		}
		nic := m.InstanceInterfaces(id)[0]
		add("instance %s %s %s key %s data %q %s %v %s %v %v %v %s", nic.Primary(), i.InstanceType, i.State, i.KeyName, i.UserData, tags(i.Tags), i.Devices, i.Rootfs, i.Limits, i.Metadata(), i.DisableApiTermination, i.InstanceInitiatedShutdownBehavior)
	}
	for _, h := range m.InternetHosts.All() {
		add("host %s %s %v %v %q %s %s %v", h.HostName, h.PublicIp, h.DnsNames, h.KeyNames, h.UserData, h.LinkType, h.Rootfs, h.Limits)
	}
	for _, k := range m.KeyPairs.All() {
		add("key %s %s", k.KeyName, k.PublicKey)
	}
	for _, f := range m.FlowLogs.All() {
		add("flow log %s %s %d %s", f.TrafficType, f.LogFormat, f.MaxAggregationInterval, f.LogDestinationType)
	}
	for _, i := range m.Impairments.All() {
		add("impair %s %s: %s / %s", m.PlaceName(i.Place), i.To.ID, i.Egress, i.Ingress)
	}
	for _, e := range m.Expectations {
		add("check %s", e.Sentence())
	}
	add("lab %v %v %v %v", m.PublicPools, m.Quotas, m.Images, m.Outside.Join)
	slices.Sort(p)
	return p
}

func acl(m *vpc.Model, id vpc.NetworkAclID) (list []string) {
	for _, e := range m.NetworkAcls.Get(id).Entries {
		list = append(list, fmt.Sprint(e.RuleNumber, e.Egress, e.Protocol, e.RuleAction, e.CidrBlock, e.FromPort, e.ToPort, e.IcmpType, e.IcmpCode))
	}
	return list
}

// A lab that was made by calls of the API, without a name for anything, comes out with names.
func TestLab_MadeByCalls(t *testing.T) {
	tx := byCalls(t)
	text := circle(t, tx.Model)
	for _, want := range []string{"web-server:", "web-server-2:", "subnet-10.0.1.0:", "region: eu-west-1"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// byCalls is a lab that was made by calls alone.
func byCalls(t *testing.T) *vpc.Tx {
	t.Helper()
	m, err := vpc.New("lab", "123456789012", "eu-west-1", nil, vpc.Call{Now: time.Now(), NewID: vpc.RandomID}, true)
	if err != nil {
		t.Fatal(err)
	}
	tx := vpc.Begin(&m, vpc.Call{Now: time.Now(), NewID: vpc.RandomID, NewKey: vpc.RandomKey})
	run := func(action string, in any) any {
		t.Helper()
		out, err := tx.Run(action, in)
		if err != nil {
			t.Fatalf("%s: %v", action, err)
		}
		return out
	}
	v := run("CreateVpc", &vpc.CreateVpcInput{CidrBlock: "10.0.0.0/16"}).(*vpc.CreateVpcOutput).Vpc.VpcId
	a := run("CreateSubnet", &vpc.CreateSubnetInput{VpcId: v, CidrBlock: "10.0.0.0/24"}).(*vpc.CreateSubnetOutput).Subnet.SubnetId
	b := run("CreateSubnet", &vpc.CreateSubnetInput{VpcId: v, CidrBlock: "10.0.1.0/24", AvailabilityZone: "eu-west-1b"}).(*vpc.CreateSubnetOutput).Subnet.SubnetId
	run("ModifySubnetAttribute", &vpc.ModifySubnetAttributeInput{SubnetId: a, MapPublicIpOnLaunch: vpc.AttributeBooleanValue{Value: new(true)}})
	g := run("CreateInternetGateway", &vpc.CreateInternetGatewayInput{}).(*vpc.CreateInternetGatewayOutput).InternetGateway.InternetGatewayId
	run("AttachInternetGateway", &vpc.AttachInternetGatewayInput{InternetGatewayId: g, VpcId: v})
	table := run("CreateRouteTable", &vpc.CreateRouteTableInput{VpcId: v}).(*vpc.CreateRouteTableOutput).RouteTable.RouteTableId
	run("CreateRoute", &vpc.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: "0.0.0.0/0", GatewayId: g})
	run("AssociateRouteTable", &vpc.AssociateRouteTableInput{RouteTableId: table, SubnetId: a})
	one := run("CreateSecurityGroup", &vpc.CreateSecurityGroupInput{GroupName: "one", Description: "d", VpcId: v}).(*vpc.CreateSecurityGroupOutput).GroupId
	two := run("CreateSecurityGroup", &vpc.CreateSecurityGroupInput{GroupName: "two", Description: "d", VpcId: v}).(*vpc.CreateSecurityGroupOutput).GroupId
	run("AuthorizeSecurityGroupIngress", &vpc.AuthorizeSecurityGroupIngressInput{GroupId: one, IpPermissions: []vpc.IpPermission{{IpProtocol: "tcp", FromPort: new(22), ToPort: new(22), UserIdGroupPairs: []vpc.UserIdGroupPair{{GroupId: two}}}}})
	run("AuthorizeSecurityGroupIngress", &vpc.AuthorizeSecurityGroupIngressInput{GroupId: two, IpPermissions: []vpc.IpPermission{{IpProtocol: "udp", FromPort: new(53), ToPort: new(53), UserIdGroupPairs: []vpc.UserIdGroupPair{{GroupId: one}}}}})
	run("CreateKeyPair", &vpc.CreateKeyPairInput{KeyName: "k"})
	i := run("RunInstances", &vpc.RunInstancesInput{SubnetId: a, MinCount: new(2), MaxCount: new(2), KeyName: "k", SecurityGroupIds: []vpc.SecurityGroupID{one},
		TagSpecifications: []vpc.TagSpecification{{ResourceType: "instance", Tags: []vpc.Tag{{Key: "Name", Value: "Web Server"}}}}}).(*vpc.RunInstancesOutput).Instances[0].InstanceId
	settle := func() {
		for id, i := range tx.Instances.All() {
			if i.State == vpc.StatePending {
				tx.InstanceRunning(id)
			}
		}
	}
	settle()
	nic := run("CreateNetworkInterface", &vpc.CreateNetworkInterfaceInput{SubnetId: a, Groups: []vpc.SecurityGroupID{two}}).(*vpc.CreateNetworkInterfaceOutput).NetworkInterface.NetworkInterfaceId
	run("AttachNetworkInterface", &vpc.AttachNetworkInterfaceInput{NetworkInterfaceId: nic, InstanceId: i, DeviceIndex: new(1)})
	eip := run("AllocateAddress", &vpc.AllocateAddressInput{}).(*vpc.AllocateAddressOutput).AllocationId
	run("AssociateAddress", &vpc.AssociateAddressInput{AllocationId: eip, NetworkInterfaceId: nic})
	run("RunInstances", &vpc.RunInstancesInput{SubnetId: b})
	settle()
	return tx
}

// A file that has adopted a lab changes it: nothing is made again, whoever made it, and nothing goes.
func TestAdopt(t *testing.T) {
	tx := byCalls(t)
	before := portrait(&tx.Model)
	r, err := Adopt(tx)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, portrait(&tx.Model)); d != "" {
		t.Errorf("adopting changed the lab (-was +is):\n%s", d)
	}
	f, err := topology.Parse("lab.yaml", r.Text)
	if err != nil {
		t.Fatal(err)
	}
	m, changes, _, err := f.Converge(&tx.Model, time.Now(), topology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		if c.Verb != topology.Update {
			t.Errorf("up would %s", c)
		}
	}
	if d := cmp.Diff(before, portrait(&m)); d != "" {
		t.Errorf("up with the file changed the lab (-was +is):\n%s", d)
	}
	if _, changes, _, err = f.Converge(&m, time.Now(), topology.Options{Prune: true}); err != nil || len(changes) > 0 {
		t.Errorf("a second up, with --prune, finds something to do: %v %v", changes, err)
	}
}

// Without, the file is refused by the lab that it was made of, rather than that all is made twice.
func TestAdopt_Not(t *testing.T) {
	for _, name := range []string{"", "main", "My VPC", "10 to 20", "_x."} {
		tx := byCalls(t)
		for id, v := range tx.Vpcs.All() {
			if name == "" || v.IsDefault {
				continue
			}
			if _, err := tx.Run("CreateTags", &vpc.CreateTagsInput{Resources: []vpc.ResourceID{vpc.ResourceID(id)}, Tags: []vpc.Tag{{Key: "Name", Value: name}}}); err != nil {
				t.Fatal(err)
			}
		}
		r, err := Lab(&tx.Model, "")
		if err != nil {
			t.Fatal(err)
		}
		f, err := topology.Parse("lab.yaml", r.Text)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := f.Converge(&tx.Model, time.Now(), topology.Options{}); err == nil || !strings.Contains(err.Error(), "vpcemu export --adopt") {
			t.Errorf("name %q: error %v, one that tells of --adopt is wanted\n%s", name, err, r.Text)
		}
	}
}

// An object of a file is exported by its key there, whatever its Name tag says now: the file that comes of it
// changes the same lab by nothing but that.
func TestLab_KeepsKeys(t *testing.T) {
	b, err := topologies.Open("book")
	if err != nil {
		t.Fatal(err)
	}
	f, err := topology.Parse("book.yaml", b)
	if err != nil {
		t.Fatal(err)
	}
	m := modelOf(t, f)
	tx := vpc.Begin(&m, vpc.Call{Now: time.Now(), NewID: vpc.RandomID})
	for id, i := range tx.Instances.All() {
		to := map[string]string{"web": "db", "db": "front"}[i.Name()]
		if _, err := tx.Run("CreateTags", &vpc.CreateTagsInput{Resources: []vpc.ResourceID{vpc.ResourceID(id)}, Tags: []vpc.Tag{{Key: "Name", Value: to}}}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Lab(&tx.Model, "")
	if err != nil {
		t.Fatal(err)
	}
	if f, err = topology.Parse("book.yaml", r.Text); err != nil {
		t.Fatal(err)
	}
	_, changes, _, err := f.Converge(&tx.Model, time.Now(), topology.Options{})
	var got []string
	for _, c := range changes {
		got = append(got, c.String())
	}
	if d := cmp.Diff([]string{"update instance db: tags", "update instance web: tags"}, got); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
}

// Every topology's export changes nothing in the lab that it was made of.
func TestLab_SameLab(t *testing.T) {
	for _, name := range topologies.Names() {
		b, err := topologies.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := topology.Parse(name+".yaml", b)
		if err != nil {
			t.Fatal(err)
		}
		m := modelOf(t, f)
		r, err := Lab(&m, "")
		if err != nil {
			t.Fatal(err)
		}
		if f, err = topology.Parse(name+".yaml", r.Text); err != nil {
			t.Fatal(err)
		}
		if _, changes, _, err := f.Converge(&m, time.Now(), topology.Options{}); err != nil || len(changes) > 0 {
			t.Errorf("%s: %v %v\n%s", name, changes, err, r.Text)
		}
	}
}

// What only a lab has is not lost.
func TestLab_OwnSettings(t *testing.T) {
	const file = `version: 1
name: lab
default_vpc: false
internet: {public_pools: [198.18.0.0/24], impair: {delay: 20ms, jitter: 5ms, distribution: normal, loss: 0.5%, loss_burst: 3}}
quotas: {elastic-ips-per-region: 7}
images: {ami-0123456789abcdef0: host-read-only}
vpcs: {main: {cidr_block: 10.0.0.0/16}}
subnets: {a: {vpc: main, cidr_block: 10.0.0.0/24, impair: {egress: {rate: 10mbit, queue: 50}}}}
instances: {one: {subnet: a, cpus: 0.5, memory: 512MiB, pids: 100, link_type: tap, devices: [/dev/kmsg], rootfs: host-read-only, impair: {delay: 1ms}}}
internet_hosts: {home: {dns_names: [home.example], memory: 1GiB, impair: {duplicate: 1%}}}
impair:
  - {zones: [us-east-1a, us-east-1b], delay: 1ms}
  - {from: us-east-1a, to: us-east-1c, loss: 2%}
checks: [home does not reach one on tcp ssh]
`
	f, err := topology.Parse("lab.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	text := circle(t, modelOf(t, f))
	for _, want := range []string{"198.18.0.0/24", "elastic-ips-per-region", "host-read-only", "home.example", "distribution: normal", "does not reach"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// Key pairs of another Region, of the same name, are not the file's.
func TestAdopt_LeavesOtherRegionsAlone(t *testing.T) {
	tx := byCalls(t)
	tx.Call.Region = "us-west-2"
	if _, err := tx.Run("CreateKeyPair", &vpc.CreateKeyPairInput{KeyName: "k"}); err != nil {
		t.Fatal(err)
	}
	tx.Call.Region = ""
	for range 2 {
		if _, err := Adopt(tx); err != nil {
			t.Fatal(err)
		}
	}
	if k := tx.KeyPair("us-west-2", "k"); k.Source != "" {
		t.Errorf("the other Region's key pair is %s", k.Source)
	}
	if k := tx.KeyPair(tx.Model.Region, "k"); k.Source != "key_pairs.k" {
		t.Errorf("the file's is %q", k.Source)
	}
}

// A Region that nobody has used is exported as it would be found.
func TestLab_RegionNotOpen(t *testing.T) {
	tx := byCalls(t)
	r, err := Lab(&tx.Model, "sa-east-1")
	if err != nil || r.Invalid != nil {
		t.Fatal(err, r.Invalid)
	}
	for _, n := range r.Notes {
		if n.Kind != "Region" {
			t.Errorf("%s", n)
		}
	}
	if text := string(r.Text); !strings.Contains(text, "region: sa-east-1") || strings.Contains(text, "default_vpc: false") {
		t.Errorf("%s", text)
	}
}

// Addresses that were brought over from a real account stay what they are.
func TestLab_PoolOfOneAddress(t *testing.T) {
	f, err := topology.Parse("lab.yaml", []byte(`version: 1
name: lab
internet: {public_pools: [203.0.113.0/24, 52.1.2.3/32, 198.51.100.0/24]}
elastic_ips: {web: {address: 52.1.2.3}}
`))
	if err != nil {
		t.Fatal(err)
	}
	text := circle(t, modelOf(t, f))
	if !strings.Contains(text, "web: {address: 52.1.2.3}") {
		t.Errorf("%s", text)
	}
}

// --lab takes names that a topology file does not.
func TestLab_NameThatIsNoFiles(t *testing.T) {
	for lab, want := range map[string]string{
		"My_Lab.2": "my-lab-2", "2": DefaultName, strings.Repeat("x", 64): strings.Repeat("x", 24), "book": "book",
	} {
		tx := byCalls(t)
		tx.Lab = lab
		r, err := Adopt(tx)
		if err != nil {
			t.Errorf("%s: %v", lab, err)
			continue
		}
		if text := string(r.Text); !strings.Contains(text, "\nname: "+want+"\n") || strings.Contains(text, "name is none that a file can have") != (lab != want) {
			t.Errorf("%s:\n%.400s", lab, text)
		}
	}
}

// What goes with an instance that is shutting down is in no file, and keeps none from being adopted.
func TestAdopt_WhileAnInstanceShutsDown(t *testing.T) {
	tx := byCalls(t)
	var i *vpc.Instance
	for _, o := range tx.Instances.All() {
		i = o
	}
	own := tx.InstanceInterfaces(i.ID)[0]
	if _, err := tx.Run("TerminateInstances", &vpc.TerminateInstancesInput{InstanceIds: []vpc.InstanceID{i.ID}}); err != nil {
		t.Fatal(err)
	}
	r, err := Adopt(tx)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(r.Text); !strings.Contains(text, "is shutting-down") || strings.Contains(text, string(own.ID)) || strings.Contains(text, own.PrivateIps[0].PrivateIp.String()) {
		t.Errorf("%s:\n%s", own.PrivateIps[0].PrivateIp, text)
	}
}
