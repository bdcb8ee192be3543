package importer

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/topology"
)

// imported makes a file of answers as they are in an account, one of one call each, and parses it.
func imported(t *testing.T, opt Options, answers ...string) (*topology.File, string) {
	t.Helper()
	var sources []Source
	for i, text := range answers {
		name, text, ok := strings.Cut(text, ": {")
		if !ok {
			t.Fatal(text)
		}
		sources = append(sources, Source{fmt.Sprintf("%s/%d.json", name, i), []byte("{" + text)})
	}
	r, err := Import(sources, opt)
	if err != nil || r.Invalid != nil {
		t.Fatal(err, r.Invalid)
	}
	f, err := topology.Parse("x.yaml", r.Text)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, n := range r.Notes {
		said = append(said, n.String())
	}
	return f, strings.Join(said, "\n")
}

func mustSay(t *testing.T, said string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(said, w) {
			t.Errorf("nothing says %q:\n%s", w, said)
		}
	}
}

const (
	accountVpc    = `eu-west-1: {"Vpcs": [{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16", "OwnerId": "111122223333", "Tags": [{"Key": "Name", "Value": "main"}]}]}`
	accountSubnet = `eu-west-1: {"Subnets": [{"SubnetId": "subnet-1", "VpcId": "vpc-1", "CidrBlock": "10.0.0.0/24", "AvailabilityZone": "eu-west-1a"}, {"SubnetId": "subnet-6", "VpcId": "vpc-1", "Ipv6Native": true, "AvailabilityZone": "eu-west-1a"}]}`
)

// Interfaces that a service of AWS has, although they say that the account made them, and those in subnets without
// IPv4 are told of and left out; a further network card's first interface is not an instance's first.
func TestInterfaces_OfServicesAndCards(t *testing.T) {
	f, said := imported(t, Options{}, accountVpc, accountSubnet,
		`eu-west-1: {"NetworkInterfaces": [
			{"NetworkInterfaceId": "eni-1", "SubnetId": "subnet-1", "VpcId": "vpc-1", "OwnerId": "111122223333", "PrivateIpAddress": "10.0.0.10", "Description": "Amazon EKS prod", "RequesterId": "AROA:AmazonEKS",
				"RequesterManaged": false, "InterfaceType": "interface", "Attachment": {"DeviceIndex": 1, "InstanceOwnerId": "888877776666", "Status": "attached"}},
			{"NetworkInterfaceId": "eni-2", "SubnetId": "subnet-1", "VpcId": "vpc-1", "OwnerId": "111122223333", "PrivateIpAddress": "10.0.0.11", "InterfaceType": "interface", "Status": "available"},
			{"NetworkInterfaceId": "eni-6", "SubnetId": "subnet-6", "VpcId": "vpc-1", "OwnerId": "111122223333", "Ipv6Addresses": [{"Ipv6Address": "2001:db8::1"}], "InterfaceType": "interface", "Status": "available"}]}`,
		`eu-west-1: {"Reservations": [{"Instances": [{"InstanceId": "i-1", "SubnetId": "subnet-1", "VpcId": "vpc-1", "InstanceType": "p4d.24xlarge", "State": {"Name": "running"}, "PrivateIpAddress": "10.0.0.20", "NetworkInterfaces": [
			{"NetworkInterfaceId": "eni-20", "SubnetId": "subnet-1", "VpcId": "vpc-1", "PrivateIpAddress": "10.0.0.20", "Attachment": {"DeviceIndex": 0, "NetworkCardIndex": 0}},
			{"NetworkInterfaceId": "eni-21", "SubnetId": "subnet-1", "VpcId": "vpc-1", "PrivateIpAddress": "10.0.0.21", "Attachment": {"DeviceIndex": 0, "NetworkCardIndex": 1}}]}]}]}`)
	var got []string
	for _, n := range f.NetworkInterfaces.List {
		got = append(got, n.PrivateIps.V[0].V.String())
	}
	if len(f.Instances.List) != 1 || f.Instances.List[0].PrivateIp.V.String() != "10.0.0.20" || fmt.Sprint(got) != "[10.0.0.11 10.0.0.21]" {
		t.Errorf("%v %v", f.Instances.List, got)
	}
	mustSay(t, said, "eni-1 Amazon EKS prod 10.0.0.10: was made by AWS for a service (AROA:AmazonEKS)", "network interface eni-6: its subnet was not brought over", "eni-21: is number 0 of network card 1")
}

// A group that is associated with a further VPC is not in it in a lab.
func TestGroups_OfAnotherVpc(t *testing.T) {
	f, said := imported(t, Options{}, accountVpc, accountSubnet, `eu-west-1: {"Vpcs": [{"VpcId": "vpc-2", "CidrBlock": "10.1.0.0/16", "OwnerId": "111122223333"}]}`,
		`eu-west-1: {"SecurityGroups": [{"GroupId": "sg-1", "GroupName": "own", "VpcId": "vpc-1"}, {"GroupId": "sg-2", "GroupName": "other", "VpcId": "vpc-2"}]}`,
		`eu-west-1: {"Reservations": [{"Instances": [{"InstanceId": "i-1", "SubnetId": "subnet-1", "VpcId": "vpc-1", "State": {"Name": "running"}, "PrivateIpAddress": "10.0.0.20", "SecurityGroups": [{"GroupId": "sg-1"}, {"GroupId": "sg-2"}]}]}]}`)
	if l := f.Instances.List[0].SecurityGroups.V; len(l) != 1 || l[0].V != "own" {
		t.Errorf("%v", l)
	}
	mustSay(t, said, "its group other (sg-2) is of another VPC, and associated with this one")
}

// Of another Region nothing is in the file and nothing is said, also where names are the same.
func TestRegions_Apart(t *testing.T) {
	f, said := imported(t, Options{Region: "eu-west-1"}, accountVpc, accountSubnet,
		`us-east-1: {"Vpcs": [{"VpcId": "vpc-9", "CidrBlock": "10.0.0.0/16"}]}`,
		`us-east-1: {"KeyPairs": [{"KeyName": "deploy", "KeyPairId": "key-9"}, {"KeyName": "far", "KeyPairId": "key-8"}]}`,
		`us-east-1: {"VpcPeeringConnections": [{"VpcPeeringConnectionId": "pcx-9"}]}`,
		`eu-west-1: {"VpcPeeringConnections": [{"VpcPeeringConnectionId": "pcx-1"}]}`,
		`eu-west-1: {"KeyPairs": [{"KeyName": "deploy", "KeyPairId": "key-1"}]}`,
		`eu-west-1: {"Reservations": [{"Instances": [{"InstanceId": "i-1", "SubnetId": "subnet-1", "VpcId": "vpc-1", "KeyName": "deploy", "State": {"Name": "running"}, "PrivateIpAddress": "10.0.0.20"}]}]}`)
	if len(f.KeyPairs.List) != 1 || f.KeyPairs.List[0].Name != "deploy" || f.Instances.List[0].KeyName.V != "deploy" {
		t.Errorf("%v", f.KeyPairs.List)
	}
	if mustSay(t, said, "pcx-1"); strings.Contains(said, "pcx-9") {
		t.Error(said)
	}
}

// Two accounts have a default VPC each, and a lab one account: the second is an ordinary VPC. The Internet gateway of a VPC that
// another account shares shows to its owner alone; routes to it tell that it is there.
func TestAccounts_Together(t *testing.T) {
	var vpcs, subnets []map[string]any
	for _, account := range []string{"111122223333", "444455556666"} {
		id := "vpc-default-" + account[:4]
		vpcs = append(vpcs, map[string]any{"VpcId": id, "CidrBlock": "172.31.0.0/16", "IsDefault": true, "OwnerId": account})
		for i, zone := range []string{"eu-west-1a", "eu-west-1b", "eu-west-1c"} {
			subnets = append(subnets, map[string]any{"SubnetId": fmt.Sprint("subnet-", account[:4], i), "VpcId": id, "CidrBlock": fmt.Sprintf("172.31.%d.0/20", 16*i), "AvailabilityZone": zone, "DefaultForAz": true, "MapPublicIpOnLaunch": true})
		}
	}
	b, err := json.Marshal(map[string]any{"Vpcs": vpcs, "Subnets": subnets})
	if err != nil {
		t.Fatal(err)
	}
	f, said := imported(t, Options{}, "eu-west-1: "+string(b), accountVpc,
		`eu-west-1: {"Vpcs": [{"VpcId": "vpc-shared", "CidrBlock": "10.7.0.0/16", "OwnerId": "444455556666", "Tags": [{"Key": "Name", "Value": "shared"}]}]}`,
		`eu-west-1: {"InternetGateways": []}`,
		`eu-west-1: {"RouteTables": [{"RouteTableId": "rtb-1", "VpcId": "vpc-shared", "OwnerId": "444455556666", "Associations": [{"Main": true}], "Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-7", "State": "active"}]}]}`)
	if len(f.Vpcs.List) != 3 || len(f.InternetGateways.List) != 1 || f.InternetGateways.List[0].Vpc.V != "shared" {
		t.Errorf("%v %v", f.Vpcs.List, f.InternetGateways.List)
	}
	if v := f.Vpcs.Get("shared"); v == nil || len(v.MainRouteTable.V.Routes.V) != 1 {
		t.Errorf("%v", v)
	}
	mustSay(t, said, "VPC vpc-default-4444: a second default VPC, that of the account 444455556666", "Internet gateway igw-7: describe-internet-gateways does not tell of it", "VPC main (vpc-1): is that of the account 111122223333: a lab has one account, here 444455556666")
}

// A route to a prefix list is one to each of its IPv4 ranges; that others were left out is said.
func TestRoutes_ToPrefixListWithIPv6(t *testing.T) {
	f, said := imported(t, Options{}, accountVpc, accountSubnet,
		`pl-0123456789abcdef0.json: {"PrefixLists": [{"PrefixListId": "pl-0123456789abcdef0", "PrefixListName": "office", "Cidrs": ["192.168.0.0/16", "2001:db8::/32"]}]}`,
		`eu-west-1: {"InternetGateways": [{"InternetGatewayId": "igw-1", "Attachments": [{"VpcId": "vpc-1", "State": "available"}]}]}`,
		`eu-west-1: {"RouteTables": [{"RouteTableId": "rtb-1", "VpcId": "vpc-1", "Associations": [{"Main": true}], "Routes": [{"DestinationPrefixListId": "pl-0123456789abcdef0", "GatewayId": "igw-1", "State": "active"}]}]}`)
	if l := f.Vpcs.List[0].MainRouteTable.V.Routes.V; len(l) != 1 || l[0].V.CidrBlock.V.String() != "192.168.0.0/16" {
		t.Errorf("%v", l)
	}
	mustSay(t, said, "route table rtb-1: its IPv6 routes")
}

// A further Elastic IP of a NAT gateway may be a resource of its own; an object that another replaced is told of.
func TestState_AssociationsAndDeposed(t *testing.T) {
	const state = `{"format_version":"1.0","terraform_version":"1.11.4","values":{"root_module":{"resources":[
{"address":"aws_vpc.v","mode":"managed","type":"aws_vpc","name":"v","values":{"id":"vpc-1","cidr_block":"10.9.0.0/16"}},
{"address":"aws_subnet.s","mode":"managed","type":"aws_subnet","name":"s","values":{"id":"subnet-1","vpc_id":"vpc-1","cidr_block":"10.9.0.0/24","availability_zone":"eu-west-1a"}},
{"address":"aws_internet_gateway.g","mode":"managed","type":"aws_internet_gateway","name":"g","values":{"id":"igw-1","vpc_id":"vpc-1"}},
{"address":"aws_eip.a","mode":"managed","type":"aws_eip","name":"a","values":{"id":"eipalloc-1","allocation_id":"eipalloc-1","public_ip":"52.1.2.3","domain":"vpc"}},
{"address":"aws_eip.b","mode":"managed","type":"aws_eip","name":"b","values":{"id":"eipalloc-2","allocation_id":"eipalloc-2","public_ip":"52.1.2.4","domain":"vpc"}},
{"address":"aws_nat_gateway_eip_association.b","mode":"managed","type":"aws_nat_gateway_eip_association","name":"b","values":{"allocation_id":"eipalloc-2","nat_gateway_id":"nat-1","private_ip_address":"10.9.0.11"}},
{"address":"aws_nat_gateway.n","mode":"managed","type":"aws_nat_gateway","name":"n","values":{"id":"nat-1","subnet_id":"subnet-1","allocation_id":"eipalloc-1","connectivity_type":"public","private_ip":"10.9.0.10"}},
{"address":"aws_security_group.w","mode":"managed","type":"aws_security_group","name":"w","values":{"id":"sg-2","vpc_id":"vpc-1","name":"new"}},
{"address":"aws_security_group.w","mode":"managed","type":"aws_security_group","name":"w","deposed_key":"abcd1234","values":{"id":"sg-1","vpc_id":"vpc-1","name":"old"}}]}}}`
	r, err := Import([]Source{{"state.json", []byte(state)}}, Options{})
	if err != nil || r.Invalid != nil {
		t.Fatal(err, r.Invalid)
	}
	if text := string(r.Text); !strings.Contains(text, "secondary_elastic_ips: [b]\n    secondary_private_ips: [10.9.0.11]") || !strings.Contains(text, "  old:") {
		t.Error(text)
	}
	mustSay(t, fmt.Sprint(r.Notes), "aws_security_group.w (sg-1): is deposed")
}

// What is in several states is brought over as if it were in one, in whatever order they are read: routes, rules and associations
// often stand in another one than what they are of, which there is a data source alone.
func TestStates_Several(t *testing.T) {
	b, err := os.ReadFile("testdata/terraform/show.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Values struct {
			RootModule *tfModule `json:"root_module"`
		} `json:"values"`
	}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	var networks, rest []*tfResource
	for _, r := range all.Values.RootModule.all(0) {
		switch r.Type {
		case "aws_vpc", "aws_subnet":
			data := *r
			data.Mode, data.Address = "data", "data."+r.Type+"."+r.Name
			rest = append(rest, &data)
			networks = append(networks, r)
		case "aws_route_table", "aws_security_group", "aws_network_acl", "aws_internet_gateway", "aws_nat_gateway", "aws_eip":
			networks = append(networks, r)
		default:
			rest = append(rest, r)
		}
	}
	state := func(name string, list []*tfResource) Source {
		b, err := json.Marshal(map[string]any{"format_version": "1.0", "values": map[string]any{"root_module": map[string]any{"resources": list}}})
		if err != nil {
			t.Fatal(err)
		}
		return Source{name, b}
	}
	whole, want := mustImport(t, []Source{{"show.json", b}}, Options{})
	for name, sources := range map[string][]Source{"networks first": {state("1.json", networks), state("2.json", rest)}, "networks last": {state("1.json", rest), state("2.json", networks)}} {
		r, is := mustImport(t, sources, Options{})
		if d := difference(facts(t, want), facts(t, is)); len(d) > 0 || fmt.Sprint(whole.Counts) != fmt.Sprint(r.Counts) {
			t.Errorf("%s: %v, not %v\n%s", name, r.Counts, whole.Counts, strings.Join(d, "\n"))
		}
	}
}

// Two plans may have resources of one address; that the second was passed over is said.
func TestPlans_OfOneAddress(t *testing.T) {
	plan := func(cidr string) []byte {
		return []byte(`{"format_version":"1.2","planned_values":{"root_module":{"resources":[{"address":"aws_vpc.main","mode":"managed","type":"aws_vpc","name":"main","values":{"cidr_block":"` + cidr + `"}}]}}}`)
	}
	r, err := Import([]Source{{"a.json", plan("10.0.0.0/16")}, {"b.json", plan("10.1.0.0/16")}}, Options{})
	if err != nil || r.Invalid != nil {
		t.Fatal(err, r.Invalid)
	}
	mustSay(t, fmt.Sprint(r.Notes), "aws_vpc aws_vpc.main: another plan has a resource of this address")
}

// Block Public Access, propagation and IPv6 prefixes change what packets do, or what there is: a lab has none of them.
func TestImport_TellsOfWhatPacketsDo(t *testing.T) {
	_, said := imported(t, Options{}, `eu-west-1: {"Vpcs": [{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16", "BlockPublicAccessStates": {"InternetGatewayBlockMode": "block-ingress"}}]}`,
		`eu-west-1: {"Subnets": [{"SubnetId": "subnet-1", "VpcId": "vpc-1", "CidrBlock": "10.0.0.0/24", "AvailabilityZone": "eu-west-1a", "BlockPublicAccessStates": {"InternetGatewayBlockMode": "block-bidirectional"}},
			{"SubnetId": "subnet-2", "VpcId": "vpc-1", "CidrBlock": "10.0.1.0/24", "AvailabilityZone": "eu-west-1a", "BlockPublicAccessStates": {"InternetGatewayBlockMode": "off"}}]}`,
		`eu-west-1: {"RouteTables": [{"RouteTableId": "rtb-1", "VpcId": "vpc-1", "Associations": [{"Main": true}], "PropagatingVgws": [{"GatewayId": "vgw-1"}], "Routes": []}]}`,
		`eu-west-1: {"NetworkInterfaces": [{"NetworkInterfaceId": "eni-2", "SubnetId": "subnet-1", "VpcId": "vpc-1", "PrivateIpAddress": "10.0.0.11", "InterfaceType": "interface", "Ipv6Prefixes": [{"Ipv6Prefix": "2001:db8::/80"}]}]}`)
	mustSay(t, said, "VPC vpc-1: AWS blocks its way to and from the Internet (VPC Block Public Access, block-ingress)", "subnet subnet-1: AWS blocks its way", "route table rtb-1: the routes that vgw-1 propagates", "network interface eni-2: its IPv6 addresses")
	if strings.Contains(said, "subnet-2") {
		t.Error(said)
	}
}

// What a resource was given it passes on, and a default subnet of a plan is in the default VPC.
func TestPlan_PassedOnAndDefaults(t *testing.T) {
	const plan = `{"format_version":"1.2","planned_values":{"root_module":{"resources":[
{"address":"aws_default_vpc.d","mode":"managed","type":"aws_default_vpc","name":"d","values":{}},
{"address":"aws_default_subnet.a","mode":"managed","type":"aws_default_subnet","name":"a","values":{"availability_zone":"eu-west-1a"}},
{"address":"aws_instance.i","mode":"managed","type":"aws_instance","name":"i","values":{"instance_type":"t3.micro"}},
{"address":"aws_vpc.v","mode":"managed","type":"aws_vpc","name":"v","values":{"cidr_block":"10.0.0.0/16"}},
{"address":"aws_vpc_ipv4_cidr_block_association.more[\"x\"]","mode":"managed","type":"aws_vpc_ipv4_cidr_block_association","name":"more","index":"x","values":{"cidr_block":"10.1.0.0/16"}},
{"address":"aws_subnet.s","mode":"managed","type":"aws_subnet","name":"s","values":{"cidr_block":"10.1.0.0/24","availability_zone":"eu-west-1a"}}]}},
"configuration":{"root_module":{"resources":[
{"address":"aws_instance.i","expressions":{"subnet_id":{"references":["aws_default_subnet.a.id","aws_default_subnet.a"]}}},
{"address":"aws_vpc_ipv4_cidr_block_association.more","expressions":{"vpc_id":{"references":["aws_vpc.v.id","aws_vpc.v"]}}},
{"address":"aws_subnet.s","expressions":{"vpc_id":{"references":["aws_vpc_ipv4_cidr_block_association.more[\"x\"].vpc_id","aws_vpc_ipv4_cidr_block_association.more[\"x\"]","aws_vpc_ipv4_cidr_block_association.more"]}}}]}}}`
	f, said := imported(t, Options{}, "plan: "+plan)
	if len(f.Vpcs.List) != 1 || len(f.Subnets.List) != 1 || f.Subnets.List[0].Vpc.V != "v" || f.Instances.List[0].Subnet.V != "default-eu-west-1a" {
		t.Errorf("%v %v %s", f.Subnets.List, f.Instances.List, said)
	}
}

// A group that is attached to an interface without groups comes to its VPC's own.
func TestPlan_GroupAttachment(t *testing.T) {
	const plan = `{"format_version":"1.2","planned_values":{"root_module":{"resources":[
{"address":"aws_vpc.v","mode":"managed","type":"aws_vpc","name":"v","values":{"cidr_block":"10.0.0.0/16"}},
{"address":"aws_subnet.s","mode":"managed","type":"aws_subnet","name":"s","values":{"cidr_block":"10.0.0.0/24","availability_zone":"eu-west-1a"}},
{"address":"aws_security_group.g","mode":"managed","type":"aws_security_group","name":"g","values":{"name":"g"}},
{"address":"aws_network_interface.e","mode":"managed","type":"aws_network_interface","name":"e","values":{}},
{"address":"aws_network_interface_sg_attachment.a","mode":"managed","type":"aws_network_interface_sg_attachment","name":"a","values":{}}]}},
"configuration":{"root_module":{"resources":[
{"address":"aws_subnet.s","expressions":{"vpc_id":{"references":["aws_vpc.v.id","aws_vpc.v"]}}},
{"address":"aws_security_group.g","expressions":{"vpc_id":{"references":["aws_vpc.v.id","aws_vpc.v"]}}},
{"address":"aws_network_interface.e","expressions":{"subnet_id":{"references":["aws_subnet.s.id","aws_subnet.s"]}}},
{"address":"aws_network_interface_sg_attachment.a","expressions":{"security_group_id":{"references":["aws_security_group.g.id","aws_security_group.g"]},"network_interface_id":{"references":["aws_network_interface.e.id","aws_network_interface.e"]}}}]}}}`
	f, said := imported(t, Options{}, "plan: "+plan)
	var got []string
	for _, g := range f.NetworkInterfaces.List[0].SecurityGroups.V {
		got = append(got, g.V)
	}
	if fmt.Sprint(got) != "[default g]" {
		t.Errorf("%v %s", got, said)
	}
}
