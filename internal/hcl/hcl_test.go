package hcl

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
	"github.com/vpcemu/vpcemu/topologies"
)

// configuration is what Lab makes of a topology.
func configuration(t *testing.T, name string, topologyText []byte) []byte {
	t.Helper()
	f, err := topology.Parse(name+".yaml", topologyText)
	if err != nil {
		t.Fatal(err)
	}
	m, _, _, err := f.Converge(nil, time.Now(), topology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := Lab(&m, "")
	return text
}

func parsed(t *testing.T, text []byte) *hclsyntax.Body {
	t.Helper()
	file, diags := hclsyntax.ParseConfig(text, "main.tf", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, text)
	}
	return file.Body.(*hclsyntax.Body)
}

// Every topology becomes a configuration that parses, is formatted, names each resource once, and
// refers to nothing that it does not have.
func TestLab_OfEveryTopology(t *testing.T) {
	for _, name := range topologies.Names() {
		b, err := topologies.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		text := configuration(t, name, b)
		if string(hclwrite.Format(text)) != string(text) {
			t.Errorf("%s is not formatted", name)
		}
		defined := map[string]bool{"var.ami": true}
		body := parsed(t, text)
		for _, block := range body.Blocks {
			if block.Type != "resource" && block.Type != "data" {
				continue
			}
			address := strings.Join(block.Labels, ".")
			if block.Type == "data" {
				address = "data." + address
			}
			if defined[address] {
				t.Errorf("%s has two resources %s", name, address)
			}
			defined[address] = true
		}
		for _, r := range references(body) {
			if !defined[r] {
				t.Errorf("%s refers to %s, which it does not have", name, r)
			}
		}
	}
}

func references(body *hclsyntax.Body) (list []string) {
	for _, a := range body.Attributes {
		for _, v := range a.Expr.Variables() {
			switch {
			case v.RootName() == "data":
				list = append(list, "data."+v[1].(hcl.TraverseAttr).Name+"."+v[2].(hcl.TraverseAttr).Name)
			case len(v) > 1:
				list = append(list, v.RootName()+"."+v[1].(hcl.TraverseAttr).Name)
			}
		}
	}
	for _, b := range body.Blocks {
		list = append(list, references(b.Body)...)
	}
	return list
}

// What looks like a template in user data or a tag is none in the configuration.
func TestLab_Escapes(t *testing.T) {
	text := configuration(t, "lab", []byte("version: 1\nname: lab\nvpcs: {v: {cidr_block: 10.0.0.0/16}}\nsubnets: {s: {vpc: v, cidr_block: 10.0.0.0/24}}\n"+
		"instances: {i: {subnet: s, user_data: \"#!/bin/sh\\necho ${HOME} %{x} \\\"quoted\\\"\\n\", tags: {Note: \"${a}\"}}}\n"))
	for _, b := range parsed(t, text).Blocks {
		if b.Type != "resource" || b.Labels[0] != "aws_instance" {
			continue
		}
		v, diags := b.Body.Attributes["user_data"].Expr.Value(nil)
		if diags.HasErrors() || v.AsString() != "#!/bin/sh\necho ${HOME} %{x} \"quoted\"\n" {
			t.Errorf("%v %v", v, diags)
		}
		return
	}
	t.Errorf("no instance in\n%s", text)
}

// A name that ends a line is no way into the configuration.
func TestLab_NamesStayInNotes(t *testing.T) {
	tx := emptyLab(t)
	id := must(tx.RunInstances(&vpc.RunInstancesInput{Devices: []string{"/dev/net/tun"}})).Instances[0].InstanceId
	must(tx.CreateTags(&vpc.CreateTagsInput{Resources: []vpc.ResourceID{vpc.ResourceID(id)}, Tags: []vpc.Tag{{Key: "Name", Value: "x\nresource \"null_resource\" \"evil\" {}\n# \u009b2J"}}}))
	text, notes := Lab(&tx.Model, "")
	for _, b := range parsed(t, text).Blocks {
		if b.Type == "resource" && b.Labels[0] == "null_resource" {
			t.Errorf("%s", text)
		}
	}
	if all := strings.Join(notes, ""); strings.ContainsAny(all, "\n\u009b") || !strings.Contains(all, "null_resource") {
		t.Errorf("%q", notes)
	}
}

// What means nothing in a lab, and something on AWS, is written.
func TestLab_SettingsThatAreReadBack(t *testing.T) {
	tx := emptyLab(t)
	must(tx.RunInstances(&vpc.RunInstancesInput{InstanceType: "t3.micro", EbsOptimized: new(true), DisableApiStop: new(true), Monitoring: &vpc.RunInstancesMonitoringEnabled{Enabled: new(true)},
		CreditSpecification: &vpc.CreditSpecificationRequest{CpuCredits: "standard"}, IamInstanceProfile: &vpc.IamInstanceProfileSpecification{Name: "web"},
		BlockDeviceMappings: []vpc.BlockDeviceMapping{{DeviceName: "/dev/xvda", Ebs: &vpc.EbsBlockDevice{VolumeSize: new(100), VolumeType: "gp2"}}, {DeviceName: "/dev/sdf", Ebs: &vpc.EbsBlockDevice{VolumeSize: new(9)}}}}))
	text, _ := Lab(&tx.Model, "")
	for _, want := range []string{"iam_instance_profile = \"web\"", "ebs_optimized = true", "monitoring = true", "disable_api_stop = true", "cpu_credits = \"standard\"", "root_block_device {\n volume_size = 100\n volume_type = \"gp2\"\n }",
		"ebs_block_device {\n device_name = \"/dev/sdf\"\n volume_size = 9\n volume_type = \"gp3\"\n iops = 3000\n throughput = 125\n }"} {
		if plain := regexp.MustCompile(` +`).ReplaceAllString(string(text), " "); !strings.Contains(plain, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

// What is just going leaves no half of a resource behind, VPCs may have one name, and the default
// VPC's gateway is looked up, whatever its tags.
func TestLab_CanBeApplied(t *testing.T) {
	tx := emptyLab(t)
	i := must(tx.RunInstances(&vpc.RunInstancesInput{})).Instances[0]
	tx.InstanceRunning(i.InstanceId)
	a := must(tx.AllocateAddress(&vpc.AllocateAddressInput{})).AllocationId
	must(tx.AssociateAddress(&vpc.AssociateAddressInput{AllocationId: a, InstanceId: i.InstanceId}))
	must(tx.CreateFlowLogs(&vpc.CreateFlowLogsInput{ResourceType: "NetworkInterface", ResourceIds: []vpc.ResourceID{vpc.ResourceID(i.NetworkInterfaces[0].NetworkInterfaceId)}, LogDestinationType: "s3", LogDestination: "arn:aws:s3:::logs", TrafficType: "ALL"}))
	must(tx.TerminateInstances(&vpc.TerminateInstancesInput{InstanceIds: []vpc.InstanceID{i.InstanceId}})) // it is shutting down
	own := must(tx.CreateVpc(&vpc.CreateVpcInput{CidrBlock: "10.0.0.0/16", TagSpecifications: vpc.NamedTag("vpc", "default")})).Vpc.VpcId
	for id := range tx.Vpcs.All() {
		must(tx.AssociateVpcCidrBlock(&vpc.AssociateVpcCidrBlockInput{VpcId: id, CidrBlock: "100.64.0.0/16"}))
	}
	must(tx.CreateSubnet(&vpc.CreateSubnetInput{VpcId: own, CidrBlock: "100.64.0.0/24"}))
	for id := range tx.InternetGateways.All() {
		must(tx.CreateTags(&vpc.CreateTagsInput{Resources: []vpc.ResourceID{vpc.ResourceID(id)}, Tags: []vpc.Tag{{Key: "a", Value: "b"}}}))
	}
	must(tx.RunInstances(&vpc.RunInstancesInput{}))
	text, _ := Lab(&tx.Model, "")
	association := map[string]string{} // of a further range: its VPC
	for _, b := range parsed(t, text).Blocks {
		if b.Type != "resource" {
			continue
		}
		switch b.Labels[0] {
		case "aws_eip_association", "aws_flow_log", "aws_internet_gateway":
			t.Errorf("%s in\n%s", b.Labels, text)
		case "aws_vpc_ipv4_cidr_block_association":
			association[strings.Join(b.Labels, ".")] = references(b.Body)[0]
		}
	}
	for _, b := range parsed(t, text).Blocks {
		if b.Type == "resource" && b.Labels[0] == "aws_subnet" {
			for _, r := range references(b.Body) {
				if v, ok := association[r]; ok && !strings.HasPrefix(v, "aws_vpc.") {
					t.Errorf("the subnet waits for the range of %s\n%s", v, text)
				}
			}
		}
	}
	if len(association) != 2 {
		t.Errorf("%v", association)
	}
}

func emptyLab(t *testing.T) *vpc.Tx {
	t.Helper()
	call := vpc.Call{Now: time.Now(), NewID: vpc.RandomID, NewKey: vpc.RandomKey}
	m, err := vpc.New("lab", "123456789012", "us-east-1", nil, call, true)
	if err != nil {
		t.Fatal(err)
	}
	return vpc.Begin(&m, call)
}

func must[O any](out O, err error) O {
	if err != nil {
		panic(err)
	}
	return out
}

// The table that a VPC was made with comes with it, also where another is the main one: it is not made once more.
func TestLab_MainTableWithName(t *testing.T) {
	text := configuration(t, "lab", []byte("version: 1\nname: lab\ndefault_vpc: false\nvpcs: {v: {cidr_block: 10.0.0.0/16}}\nroute_tables: {named: {vpc: v, main: true}, unused: {vpc: v}}\n"))
	var got []string
	for _, b := range parsed(t, text).Blocks {
		if b.Type == "resource" && strings.Contains(b.Labels[0], "route_table") {
			got = append(got, strings.Join(b.Labels, "."))
		}
	}
	if want := "aws_route_table.named aws_main_route_table_association.named aws_route_table.unused"; strings.Join(got, " ") != want {
		t.Errorf("%q, want %s", got, want)
	}
}
