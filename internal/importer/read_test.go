package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/vpcemu/vpcemu/internal/topology"
)

const oneVpc = `{"Vpcs": [{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16", "Tags": [{"Key": "Name", "Value": "main"}]}]}`

// What cannot be read is an error that names the file, the place and the remedy.
func TestUnreadable(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"cut off":      {oneVpc[:40], "x.json: no JSON at offset 40 (line 1, column 41): it ends in the middle"},
		"no JSON":      {"{\"Vpcs\": [\n  oops]}", `x.json: no JSON at offset 13 (line 2, column 3): invalid character 'o'`},
		"second one":   {oneVpc + "\n{]", `x.json: no JSON at offset 104 (line 2, column 2)`},
		"yaml":         {"Vpcs:\n- VpcId: vpc-1\n", "this is YAML (`aws --output yaml`); dump it again with --output json"},
		"text":         {"VPCS\t10.0.0.0/16\tdopt-1\n", "this is text (`aws --output text`); dump it again with --output json"},
		"table":        {"---------\n|DescribeVpcs|\n", "this is a table"},
		"list":         {"[]", "without --query"},
		"number":       {"12", "an object is wanted at the top"},
		"null":         {"null", "an object is wanted at the top"},
		"state file":   {`{"version": 4, "terraform_version": "1.11.4", "lineage": "x", "resources": []}`, "this is Terraform's state file itself; import reads what `terraform show -json` prints"},
		"hcl":          {"# a file\nresource \"aws_vpc\" \"x\" {}\n", "this is Terraform's own language"},
		"binary":       {"PK\x03\x04\x00", "this is an archive, as a plan file of Terraform is; import reads what `terraform show -json PLAN` prints"},
		"zeros":        {"{\"Vpcs\": [\x00", "no text: a zero byte at offset 10"},
		"gzip":         {"\x1f\x8b\x08\x00", "this is compressed (gzip); unpack it first"},
		"UTF-32":       {"\xff\xfe\x00\x00{\x00\x00\x00", "this is UTF-32"},
		"yaml list":    {"- VpcId: vpc-1\n", "this is YAML"},
		"html":         {"\n<html>502</html>", "this is HTML or XML; import reads"},
		"error":        {"\nAn error occurred (UnauthorizedOperation) when calling", "this is an error of `aws`"},
		"provider":     {"provider \"aws\" {\n}\n", "this is Terraform's own language"},
		"terraform":    {"// x\nterraform {\n}\n", "this is Terraform's own language"},
		"words":        {"vpc-1\tvpc-2\n", "x.json: no JSON at offset 0 (line 1, column 1): invalid character 'v' looking for beginning of value; import reads what `aws ec2 describe-… --output json`"},
		"log":          {`{"@level":"info","@message":"Terraform 1.11.4","type":"version"}`, "x.json: this is the log of Terraform's -json; import reads what `terraform show -json`"},
		"old state":    {`{"version": 4, "terraform_version": "1.11.4", "resources": []}`, "this is Terraform's state file itself"},
		"template":     {`{"AWSTemplateFormatVersion": "2010-09-09", "Resources": {}}`, `x.json: holds "AWSTemplateFormatVersion", "Resources", which import does not read`},
		"one of many":  {`{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16"}`, `x.json: holds "CidrBlock", "VpcId", which import does not read`},
		"one instance": {`{"InstanceId": "i-1", "ImageId": "ami-1", "State": {}}`, `x.json: holds "ImageId", "InstanceId", "State", which import does not read`},
		"half UTF-16":  {"\xff\xfe{", "half a character at its end"},
		"wrong type":   {`{"Vpcs": {"a": 1}}`, "Vpcs: it is an object, not what AWS has there"},
		"wrong module": {`{"format_version": "1.0", "values": {"root_module": []}}`, "values: root_module has an array where Terraform has something else"},
		"nothing":      {`{"Subnets": []}`, "no VPC in what was read"},
		"empty":        {"", "no VPC in what was read (x.json): a dump needs at least the answers of describe-vpcs and describe-subnets (`vpcemu import --print-commands` prints the commands)\n  file x.json: is empty"},
		"empty state":  {`{"format_version": "1.0", "terraform_version": "1.11.4"}`, "no VPC in what was read (x.json): Terraform's state or plan needs an aws_vpc, or a data source of one\n  file x.json: is the output of terraform show for an empty state"},
		"no state":     {`{"format_version": "1.0"}`, "file x.json: is the output of terraform show for an empty state"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Import([]Source{{"x.json", []byte(c.text)}}, Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "Go ") {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// What PowerShell writes, a byte order mark, several documents, members of unknown or odd kind: all is read.
func TestReadTolerantly(t *testing.T) {
	sixteen := func(order string) []byte {
		b := []byte(order)
		for _, u := range utf16.Encode([]rune(strings.ReplaceAll(oneVpc, "main", "東京 main"))) {
			if order == "\xff\xfe" {
				b = append(b, byte(u), byte(u>>8))
			} else {
				b = append(b, byte(u>>8), byte(u))
			}
		}
		return b
	}
	for name, data := range map[string][]byte{
		"plain": []byte(oneVpc), "BOM": []byte("\xef\xbb\xbf" + oneVpc), "UTF-16LE": sixteen("\xff\xfe"), "UTF-16BE": sixteen("\xfe\xff"), "UTF-16LE without a mark": sixteen("\xff\xfe")[2:], "UTF-16BE without a mark": sixteen("\xfe\xff")[2:],
		"several":      []byte(`{"Subnets": []}` + oneVpc + oneVpc),
		"merged":       []byte(`{"Subnets": [], "Unknown": 1, ` + oneVpc[1:]),
		"odd members":  []byte(strings.Replace(oneVpc, `"Tags"`, `"OwnerId": 12, "InstanceTenancy": [], "Tags"`, 1)),
		"null objects": []byte(strings.Replace(oneVpc, `[{"VpcId"`, `[null, {"VpcId"`, 1)),
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Import([]Source{{"x.json", data}}, Options{})
			if err != nil || r.Invalid != nil {
				t.Fatal(err, r.Invalid)
			}
			if !strings.Contains(string(r.Text), "\n  main: {cidr_block: 10.0.0.0/16} # vpc-1\n") && !strings.Contains(string(r.Text), `main: {cidr_block: 10.0.0.0/16} # vpc-1, Name "東京 main"`) {
				t.Errorf("%s", r.Text)
			}
		})
	}
}

func TestChoices(t *testing.T) {
	var vpcs, subnets []string
	for i, zone := range []string{"eu-west-1a", "eu-west-1b", "us-east-1a"} {
		vpcs = append(vpcs, fmt.Sprintf(`{"VpcId": "vpc-%d", "CidrBlock": "10.%d.0.0/16", "Tags": [{"Key": "Name", "Value": "%s"}]}`, i, i, []string{"a", "b", "b"}[i]))
		subnets = append(subnets, fmt.Sprintf(`{"SubnetId": "subnet-%d", "VpcId": "vpc-%d", "CidrBlock": "10.%d.0.0/24", "AvailabilityZone": "%s"}`, i, i, i, zone))
	}
	sources := []Source{{"vpcs.json", []byte(`{"Vpcs": [` + strings.Join(vpcs, ",") + `]}`)}, {"subnets.json", []byte(`{"Subnets": [` + strings.Join(subnets, ",") + `]}`)}}
	for name, c := range map[string]struct {
		opt  Options
		want string // the error, or the VPCs
	}{
		"two Regions": {Options{}, "say which Region to bring over with --region: there are eu-west-1 (2 VPCs), us-east-1 (1 VPCs)"},
		"one":         {Options{Region: "eu-west-1"}, "a b"},
		"other":       {Options{Region: "us-east-1"}, "b"},
		"none":        {Options{Region: "ap-south-1"}, "nothing in what was read is in ap-south-1"},
		"by name":     {Options{Region: "eu-west-1", Vpcs: []string{"b"}}, "b"},
		"by ID":       {Options{Region: "eu-west-1", Vpcs: []string{"vpc-0", "a"}}, "a"},
		"unknown":     {Options{Region: "eu-west-1", Vpcs: []string{"c"}}, `there is no VPC "c" in eu-west-1; there are a (vpc-0), b (vpc-1)`},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Import(sources, c.opt)
			if err != nil {
				if !errors.Is(err, ErrChoose) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
				return
			}
			f, err := topology.Parse("x.yaml", r.Text)
			if err != nil {
				t.Fatal(err)
			}
			var is []string
			for _, v := range f.Vpcs.List {
				is = append(is, v.Name)
			}
			if len(f.Subnets.List) != len(is) || strings.Join(is, " ") != c.want {
				t.Errorf("VPCs %q with %d subnets, want %s", is, len(f.Subnets.List), c.want)
			}
		})
	}
}

// A folder named after a Region says what the objects themselves do not.
func TestRegionOfFolder(t *testing.T) {
	r, err := Import([]Source{{"dump/eu-north-1/vpcs.json", []byte(oneVpc)}}, Options{})
	if err != nil || !strings.Contains(string(r.Text), "region: eu-north-1\n") {
		t.Errorf("%v\n%s", err, r.Text)
	}
}

func TestKeepPublicAddresses(t *testing.T) {
	r, is := mustImport(t, folder(t, "account"), Options{KeepPublicAddresses: true})
	for _, want := range []string{"public_pools: [203.0.113.0/24, 54.85.121.213/32, ", "nat-a: {address: 54.85.121.213}", "{port: 22, cidr_blocks: [54.85.121.213/32], description: our own NAT gateway}", "# real owners of these addresses"} {
		if !strings.Contains(string(r.Text), want) {
			t.Errorf("no %q in\n%s", want, r.Text)
		}
	}
	for _, s := range is {
		if s.Name == "DescribeAddresses.json" && !strings.Contains(string(s.Data), `"PublicIp": "54.85.121.213"`) {
			t.Errorf("%s", s.Data)
		}
	}
}

// Large accounts need larger pools and quotas than a new one has.
func TestLargeAccount(t *testing.T) {
	var vpcs, subnets, addresses, groups []string
	for i := range 40 {
		vpcs = append(vpcs, fmt.Sprintf(`{"VpcId": "vpc-%d", "CidrBlock": "10.%d.0.0/16"}`, i, i))
		subnets = append(subnets, fmt.Sprintf(`{"SubnetId": "subnet-%d", "VpcId": "vpc-%d", "CidrBlock": "10.%d.0.0/24", "AvailabilityZone": "us-west-2a"}`, i, i, i))
		var ranges []string
		for j := range 100 {
			ranges = append(ranges, fmt.Sprintf(`{"CidrIp": "192.168.%d.0/24"}`, j))
		}
		groups = append(groups, fmt.Sprintf(`{"GroupId": "sg-%d", "GroupName": "web", "Description": "x", "VpcId": "vpc-%d", "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [%s]}]}`, i, i, strings.Join(ranges, ",")))
	}
	for i := range 600 {
		addresses = append(addresses, fmt.Sprintf(`{"AllocationId": "eipalloc-%d", "PublicIp": "52.1.%d.%d", "Domain": "vpc"}`, i, i/200, i%200))
	}
	join := func(key string, l []string) Source {
		return Source{key, []byte(`{"` + key + `": [` + strings.Join(l, ",") + `]}`)}
	}
	r, is := mustImport(t, []Source{join("Vpcs", vpcs), join("Subnets", subnets), join("Addresses", addresses), join("SecurityGroups", groups)}, Options{})
	if got := strings.Join(r.Counts, ", "); got != "40 VPCs, 40 subnets, 600 Elastic IPs, 40 security groups" {
		t.Error(got)
	}
	n := 0
	for _, s := range is {
		n += strings.Count(string(s.Data), `"AllocationId": "eipalloc-`)
	}
	if n != 600 {
		t.Errorf("%d Elastic IPs in the lab", n)
	}
}

func TestNames(t *testing.T) {
	n := newNames()
	for _, c := range []struct{ kind, wish, want string }{
		{"subnets", "public", "public"}, {"subnets", "public", "public-2"}, {"subnets", "default", "subnet-default"}, {"subnets", "default-a", "subnet-default-a"},
		{"subnets", "10.0.0.0/24", "subnet-10.0.0.0-24"}, {"subnets", "web-12345678", "subnet-web-12345678"}, {"subnets", "東京", "subnet-1"}, {"subnets", "", "subnet-1-2"},
		{"security_groups", "sg-web", "group-sg-web"}, {"vpcs", "none", "vpc-none"}, {"vpcs", "a b/c", "a-b-c"}, {"vpcs", "a\x00\nb", "a-b"},
		{"instances", "Web.Example_COM", "web-example-com"}, {"instances", "1st", "1st"}, {"instances", strings.Repeat("x", 200), strings.Repeat("x", 60)},
		{"instances", strings.Repeat("x", 200), strings.Repeat("x", 60) + "-2"}, {"instances", "db-0123456789abcdef0", "host-db-0123456789abcdef0"},
	} {
		if got := n.give(c.kind, "", c.wish); got != c.want {
			t.Errorf("%s %q: %s, want %s", c.kind, c.wish, got, c.want)
		}
	}
}

func TestCommandsNameEveryAnswer(t *testing.T) {
	text := Commands("eu-west-1")
	for _, want := range []string{"region=eu-west-1\n", "describe-key-pairs --include-public-key", "--attribute \"$attribute\"", "umask 077", "get-managed-prefix-list-entries"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "%!") {
		t.Error(text)
	}
}

// Whatever the sources hold, nothing panics, and what comes out is a topology file or an error.
func FuzzImport(f *testing.F) {
	for _, text := range []string{
		`{"Subnets":[{"SubnetId":"s","VpcId":"vpc-1","CidrBlock":"10.0.0.0/24","AvailabilityZone":"us-east-1a"}],"Reservations":[{"Instances":[{"InstanceId":"i","SubnetId":"s","VpcId":"vpc-1","State":{"Name":"running"},"NetworkInterfaces":[{"NetworkInterfaceId":"e","SubnetId":"s","PrivateIpAddress":"10.0.0.9","Attachment":{"DeviceIndex":0}}]}]}]}`,
		`{"SecurityGroups":[{"GroupId":"g","GroupName":"web","VpcId":"vpc-1","IpPermissions":[{"IpProtocol":"tcp","FromPort":1,"ToPort":2,"IpRanges":[{"CidrIp":"0.0.0.0/0"}],"UserIdGroupPairs":[{"GroupId":"g"}]}]}]}`,
		`{"NetworkAcls":[{"NetworkAclId":"a","VpcId":"vpc-1","Entries":[{"RuleNumber":9,"Protocol":"1","RuleAction":"deny","CidrBlock":"10.0.0.0/8","IcmpTypeCode":{"Type":-1,"Code":3}}]}]}`,
		`{"RouteTables":[{"RouteTableId":"r","VpcId":"vpc-1","Associations":[{"Main":true}],"Routes":[{"DestinationCidrBlock":"0.0.0.0/0","GatewayId":"igw-1"}]}]}`,
		`{"Addresses":[{"AllocationId":"e","PublicIp":"52.0.0.1","InstanceId":"i"}],"NatGateways":[{"NatGatewayId":"n","SubnetId":"s","NatGatewayAddresses":[{"AllocationId":"e"}]}]}`,
		`{"InstanceId":"i","UserData":{"Value":"IyEvYmluL3NoCg=="}}`,
		`{"format_version":"1.0","values":{"root_module":{"child_modules":[{"resources":[{"address":"module.m.aws_subnet.a[0]","mode":"managed","type":"aws_subnet","name":"a","index":0,"values":{"id":"s","vpc_id":"vpc-1","cidr_block":"10.0.0.0/24"}}]}]}}}`,
		`{"format_version":"1.2","planned_values":{"root_module":{"resources":[{"address":"aws_vpc.v","mode":"managed","type":"aws_vpc","name":"v","values":{"cidr_block":"10.9.0.0/16"}},{"address":"aws_subnet.s","mode":"managed","type":"aws_subnet","name":"s","values":{"cidr_block":"10.9.0.0/24"}}]}},"configuration":{"root_module":{"resources":[{"address":"aws_subnet.s","expressions":{"vpc_id":{"references":["aws_vpc.v.id","aws_vpc.v"]}}}],"module_calls":{"m":{"module":{"module_calls":{"m":{}}}}}}}}`,
	} {
		f.Add([]byte(text))
	}
	f.Add([]byte(oneVpc))
	f.Add([]byte("\xff\xfe{\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Import([]Source{{"x.json", data}, {"vpcs.json", []byte(oneVpc)}}, Options{KeepPublicAddresses: len(data)%2 == 0})
		if err != nil {
			return
		}
		var invalid topology.Errors
		if r.Invalid != nil && !errors.As(r.Invalid, &invalid) {
			t.Errorf("%v", r.Invalid)
		}
		for _, e := range invalid {
			if strings.Contains(e.Reason, "this is no YAML") || strings.Contains(e.Reason, "unknown key") {
				t.Errorf("%v\n%s", e, r.Text)
			}
		}
		if _, err := json.Marshal(r.Notes); err != nil {
			t.Error(err)
		}
	})
}

// References that lead back to where they came from end.
func TestPlanThatRefersInCircles(t *testing.T) {
	const plan = `{"format_version":"1.2","planned_values":{"root_module":{"child_modules":[{"address":"module.m","resources":[{"address":"module.m.aws_vpc.v","mode":"managed","type":"aws_vpc","name":"v","values":{"cidr_block":"10.9.0.0/16"}},
{"address":"module.m.aws_subnet.s","mode":"managed","type":"aws_subnet","name":"s","values":{"cidr_block":"10.9.0.0/24"}}]}]}},
"configuration":{"root_module":{"module_calls":{"m":{"expressions":{"x":{"references":["module.m.a","module.m.b","module.m.v"]}},"module":{"outputs":{"a":{"expression":{"references":["var.x"]}},"b":{"expression":{"references":["var.x"]}},"v":{"expression":{"references":["aws_vpc.v"]}}},
"resources":[{"address":"aws_vpc.v","mode":"managed","type":"aws_vpc","name":"v"},{"address":"aws_subnet.s","mode":"managed","type":"aws_subnet","name":"s","expressions":{"vpc_id":{"references":["var.x"]}}}]}}}}}}`
	r, err := Import([]Source{{"plan.json", []byte(plan)}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if text := string(r.Text); !strings.Contains(text, "cidr_block: 10.9.0.0/24") {
		t.Errorf("%s%v", text, r.Notes)
	}
}

// Control characters of a dump reach neither the file nor the terminal.
func TestNotesArePrintable(t *testing.T) {
	dump := []Source{
		{"vpcs.json", []byte(`{"Vpcs": [{"VpcId": "vpc-11111111", "CidrBlock": "10.0.0.0/16", "State": "available"}]}`)},
		{"tables.json", []byte(`{"RouteTables": [{"RouteTableId": "rtb-11111111", "VpcId": "vpc-11111111", "Associations": [{"Main": true, "RouteTableId": "rtb-11111111"}],
			"Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "x\u001b[2J\u0007\nvpcs: {evil: {}}"}]}]}`)},
		{"instances.json", []byte(`{"Reservations": [{"Instances": [{"InstanceId": "i-11111111", "VpcId": "vpc-11111111", "SubnetId": "x\u001b[2J", "InstanceType": "t\u0007", "State": {"Name": "running"}}]}]}`)},
	}
	r, err := Import(dump, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range r.Notes {
		if strings.ContainsAny(n.String(), "\x1b\x07\n") {
			t.Errorf("%q", n)
		}
	}
	if len(r.Notes) == 0 || strings.ContainsAny(string(r.Text), "\x1b\x07") || strings.Contains(string(r.Text), "\nvpcs: {evil") {
		t.Errorf("%q", r.Text)
	}
}

// What a Terraform state tells of secondary addresses, reservations, group names and stop protection is in the file.
func TestState_WhatAFileCanSay(t *testing.T) {
	const state = `{"format_version":"1.0","terraform_version":"1.11.4","values":{"root_module":{"resources":[
{"address":"aws_vpc.v","mode":"managed","type":"aws_vpc","name":"v","values":{"id":"vpc-1","cidr_block":"10.9.0.0/16"}},
{"address":"aws_subnet.s","mode":"managed","type":"aws_subnet","name":"s","values":{"id":"subnet-1","vpc_id":"vpc-1","cidr_block":"10.9.0.0/24","availability_zone":"eu-west-1a"}},
{"address":"aws_ec2_subnet_cidr_reservation.pods","mode":"managed","type":"aws_ec2_subnet_cidr_reservation","name":"pods","values":{"id":"scr-1","subnet_id":"subnet-1","cidr_block":"10.9.0.64/28","reservation_type":"prefix","description":"pods"}},
{"address":"aws_internet_gateway.g","mode":"managed","type":"aws_internet_gateway","name":"g","values":{"id":"igw-1","vpc_id":"vpc-1"}},
{"address":"aws_eip.a","mode":"managed","type":"aws_eip","name":"a","values":{"id":"eipalloc-1","allocation_id":"eipalloc-1","public_ip":"52.1.2.3","domain":"vpc"}},
{"address":"aws_eip.b","mode":"managed","type":"aws_eip","name":"b","values":{"id":"eipalloc-2","allocation_id":"eipalloc-2","public_ip":"52.1.2.4","domain":"vpc"}},
{"address":"aws_nat_gateway.n","mode":"managed","type":"aws_nat_gateway","name":"n","values":{"id":"nat-1","subnet_id":"subnet-1","allocation_id":"eipalloc-1","connectivity_type":"public","private_ip":"10.9.0.10","secondary_allocation_ids":["eipalloc-2"],"secondary_private_ip_addresses":["10.9.0.11"]}},
{"address":"aws_nat_gateway.p","mode":"managed","type":"aws_nat_gateway","name":"p","values":{"id":"nat-2","subnet_id":"subnet-1","connectivity_type":"private","private_ip":"10.9.0.20","secondary_private_ip_addresses":["10.9.0.21"]}},
{"address":"aws_security_group.w","mode":"managed","type":"aws_security_group","name":"w","values":{"id":"sg-11111111","vpc_id":"vpc-1","name":"Web servers (blue)","description":"d"}},
{"address":"aws_instance.i","mode":"managed","type":"aws_instance","name":"i","values":{"id":"i-1","subnet_id":"subnet-1","private_ip":"10.9.0.30","instance_type":"t3.micro","instance_state":"running","disable_api_stop":true}}]}}}`
	r, err := Import([]Source{{"state.json", []byte(state)}}, Options{})
	if err != nil || r.Invalid != nil {
		t.Fatal(err, r.Invalid)
	}
	f, err := topology.Parse("state.yaml", r.Text)
	if err != nil {
		t.Fatal(err)
	}
	m := modelOf(t, f)
	var got []string
	for _, n := range m.NatGateways.All() {
		got = append(got, fmt.Sprintf("%s %s %s", n.ConnectivityType, n.Addresses[0].PrivateIp, n.Addresses[1].PrivateIp))
	}
	for _, c := range m.SubnetCidrReservations.All() {
		got = append(got, fmt.Sprintf("%s %s %s", c.ReservationType, c.Cidr, c.Description))
	}
	for _, g := range m.SecurityGroups.All() {
		if g.GroupName != "default" {
			got = append(got, g.GroupName)
		}
	}
	for _, i := range m.Instances.All() {
		got = append(got, fmt.Sprint("stop protection ", i.DisableApiStop))
	}
	slices.Sort(got)
	want := []string{"Web servers (blue)", "prefix 10.9.0.64/28 pods", "private 10.9.0.20 10.9.0.21", "public 10.9.0.10 10.9.0.11", "stop protection true"}
	if !slices.Equal(got, want) {
		t.Errorf("%q\n%s", got, r.Text)
	}
}

// testdata/modules-plan.json is what Terraform 1.11.4 showed of a plan with a module for each of two ranges, and once more in
// another Region by a provider of its own: each instance of a module has what it made itself, a data source stands in the state before
// the plan alone, and what cannot be told, such as a table chosen by a condition, is left open.
func TestPlan_InstancesOfModules(t *testing.T) {
	b, err := os.ReadFile("testdata/modules-plan.json")
	if err != nil {
		t.Fatal(err)
	}
	for region, want := range map[string][]string{
		"us-east-1": {
			`net-a-pub-a: net-10.1.0.0-16 10.1.0.0/24`, `net-a-b-c.d: net-10.1.0.0-16 10.1.1.0/24`, `net-b-pub-a: net-10.2.0.0-16 10.2.0.0/24`, `net-b-b-c.d: net-10.2.0.0-16 10.2.1.0/24`,
			`net-a-0: net-a-pub-a nat-0 nat-1`, `net-b-0: net-b-pub-a nat-0-2 nat-1-2`,
			`web-0: net-a-b-c.d g g-2`, `web-1: net-a-b-c.d g g-2`, `def: default-us-east-1c indefault`, `extra: net-a-b-c.d g`,
		},
		"us-west-2": {`west-0-pub-a: net-10.1.0.0-16 10.1.0.0/24`, `west-0-0: west-0-pub-a nat-0 nat-1`},
	} {
		r, err := Import([]Source{{"plan.json", b}}, Options{Region: region})
		if err != nil || r.Invalid != nil {
			t.Fatal(region, err, r.Invalid)
		}
		f, err := topology.Parse("plan.yaml", r.Text)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		add := func(name string, first string, more ...string) {
			got = append(got, strings.Join(append([]string{name + ": " + first}, more...), " "))
		}
		words := func(l topology.List[string]) (list []string) {
			for _, v := range l.V {
				list = append(list, v.V)
			}
			return list
		}
		for _, s := range f.Subnets.List {
			add(s.Name, s.Vpc.V, s.CidrBlock.V.String())
		}
		for _, n := range f.NatGateways.List {
			add(n.Name, n.Subnet.V, append([]string{n.ElasticIp.V}, words(n.SecondaryElasticIps)...)...)
		}
		for _, i := range f.Instances.List {
			add(i.Name, i.Subnet.V, words(i.SecurityGroups)...)
		}
		for _, n := range f.NetworkInterfaces.List {
			add(n.Name, n.Subnet.V, words(n.SecurityGroups)...)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", region, got, want)
		}
		if said := fmt.Sprint(r.Notes); !strings.Contains(said, "the plan does not tell its route_table_id: one of module.") || strings.Contains(said, "its route table") {
			t.Errorf("%s: %s", region, said)
		}
	}
}

// A plan does not show local values, by which the best-known module for VPCs names its own: they are taken for the one thing that fits,
// which the notes say, and what has no such thing is said to be left out.
func TestPlan_LocalValues(t *testing.T) {
	b, err := os.ReadFile("testdata/locals-plan.json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Import([]Source{{"plan.json", b}}, Options{})
	if err != nil || r.Invalid != nil {
		t.Fatal(err, r.Invalid)
	}
	golden(t, "locals-plan.yaml", r.Text)
	if got := fmt.Sprint(r.Counts); got != "[1 VPC 4 subnets 1 Internet gateway 2 Elastic IPs 2 NAT gateways 3 route tables 1 security group]" {
		t.Error(got)
	}
}

// What is in no VPC or subnet that is known is told of, whatever it is.
func TestImport_TellsOfWhatIsNowhere(t *testing.T) {
	const state = `{"format_version":"1.0","terraform_version":"1.11.4","values":{"root_module":{"resources":[
{"address":"aws_vpc.v","mode":"managed","type":"aws_vpc","name":"v","values":{"id":"vpc-1","cidr_block":"10.9.0.0/16"}},
{"address":"aws_subnet.s","mode":"managed","type":"aws_subnet","name":"s","values":{"cidr_block":"10.9.0.0/24"}},
{"address":"aws_route_table.t","mode":"managed","type":"aws_route_table","name":"t","values":{}},
{"address":"aws_security_group.g","mode":"managed","type":"aws_security_group","name":"g","values":{"name":"g"}},
{"address":"aws_network_acl.a","mode":"managed","type":"aws_network_acl","name":"a","values":{}},
{"address":"aws_nat_gateway.n","mode":"managed","type":"aws_nat_gateway","name":"n","values":{"connectivity_type":"private"}},
{"address":"aws_network_interface.e","mode":"managed","type":"aws_network_interface","name":"e","values":{}},
{"address":"aws_network_interface.f","mode":"managed","type":"aws_network_interface","name":"f","values":{"subnet_id":"subnet-9"}},
{"address":"aws_route.r","mode":"managed","type":"aws_route","name":"r","values":{}},
{"address":"aws_instance.i","mode":"managed","type":"aws_instance","name":"i","values":{}}]}}}`
	r, err := Import([]Source{{"state.json", []byte(state)}}, Options{})
	if err != nil || r.Invalid != nil {
		t.Fatal(err, r.Invalid)
	}
	for _, address := range []string{"aws_subnet.s", "aws_route_table.t", "aws_security_group.g", "aws_network_acl.a", "aws_nat_gateway.n", "aws_network_interface.e", "aws_network_interface.f", "aws_route.r", "aws_instance.i"} {
		if !slices.ContainsFunc(r.Notes, func(n Note) bool { return slices.Contains(n.Objects, address) }) {
			t.Errorf("no note tells of %s: %v", address, r.Notes)
		}
	}
}

// Tags of AWS have any text, as long as characters count: it is in the file as it was, and a reader of YAML 1.1 takes none for anything
// but text.
func TestTags_AnyText(t *testing.T) {
	texts := []string{"", "no", "Yes", "null", "1e3", "0x1f", "1:20", "12:30:45.5", "~", "- x", "# x", "a: b", "{a: b}", "[x", "&a *b", "%YAML", "`x", "@x", "!x", "? x", "| x", " lead", "trail ", "a\nb", "\na", "a\n", "a\n\n",
		" a\n b", "a\tb", "\t", "a\r\nb", "x\u2028y", "x\u0085y", "'", `"`, `\`, `a"b'c\n`, "日本 🚀", strings.Repeat("é", 256), strings.Repeat("x", 256), "---", "...", "a #b", "=", "<<", "2001-01-01", ".inf", "a: |\n  b"}
	dump := map[string]any{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16"}
	var tags []map[string]string
	for i, text := range texts {
		tags = append(tags, map[string]string{"Key": fmt.Sprint("k", i), "Value": text})
		if text != "" && len([]rune(text)) <= 128 {
			tags = append(tags, map[string]string{"Key": text, "Value": "v"})
		}
	}
	// An object has 50 tags at most.
	for len(tags) > 0 {
		some := tags[:min(40, len(tags))]
		tags = tags[len(some):]
		dump["Tags"] = some
		b, err := json.Marshal(map[string]any{"Vpcs": []any{dump}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Import([]Source{{"x.json", b}}, Options{})
		if err != nil || r.Invalid != nil {
			t.Fatal(err, r.Invalid)
		}
		f, err := topology.Parse("x.yaml", r.Text)
		if err != nil {
			t.Fatal(err)
		}
		got := f.Vpcs.List[0].Tags.V
		for _, tag := range some {
			if v, ok := got[tag["Key"]]; !ok || v != tag["Value"] {
				t.Errorf("%q is %q: %q, %v", tag["Key"], tag["Value"], v, ok)
			}
		}
	}
	if s := text("no"); s.Style == 0 {
		t.Error("no is not quoted")
	}
}

// A dump in parts is whole if its last part is there; what is no UTF-8 is said, as letters are lost.
func TestParts(t *testing.T) {
	first, last := `{"Vpcs": [{"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16"}], "NextToken": "eyJ"}`, `{"Vpcs": [{"VpcId": "vpc-2", "CidrBlock": "10.1.0.0/16"}]}`
	for _, c := range []struct {
		sources []Source
		vpcs    int
		said    bool
	}{
		{[]Source{{"1.json", []byte(first)}}, 1, true},
		{[]Source{{"1.json", []byte(first)}, {"2.json", []byte(last)}}, 2, false},
		{[]Source{{"eu-west-1/1.json", []byte(first)}, {"us-east-1/2.json", []byte(last)}}, 1, true},
	} {
		r, err := Import(c.sources, Options{Region: "eu-west-1"})
		if err != nil {
			t.Fatal(err)
		}
		said := slices.ContainsFunc(r.Notes, func(n Note) bool { return strings.Contains(n.String(), "1.json: is only a part of the answer") })
		if f, err := topology.Parse("x.yaml", r.Text); err != nil || len(f.Vpcs.List) != c.vpcs || said != c.said {
			t.Errorf("%v %s\n%v", err, r.Text, r.Notes)
		}
	}
	r, err := Import([]Source{{"x.json", []byte(strings.Replace(oneVpc, "main", "caf\xe9", 1))}}, Options{})
	if err != nil || !strings.Contains(fmt.Sprint(r.Notes), "x.json: is no UTF-8 (at offset 95)") {
		t.Errorf("%v %v", err, r.Notes)
	}
}
