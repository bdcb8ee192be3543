package ec2api

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// request is a form with an action, from NAME=VALUE pairs.
func request(action string, pairs ...string) url.Values {
	form := url.Values{"Action": {action}, "Version": {apiVersion}}
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		form.Add(name, value)
	}
	return form
}

func decodeForm(form url.Values) (any, error) {
	a, op, err := find(form)
	if err != nil {
		return nil, err
	}
	return decode(a, op, form)
}

// The names on the wire that surprise (API notes, 1.1).
func TestDecode_NamesOnTheWire(t *testing.T) {
	yes, no, two, one := true, false, 2, 1
	for _, tt := range []struct {
		action string
		pairs  []string
		want   any
	}{
		{"CreateVpc", []string{"CidrBlock=10.0.0.0/16", "TagSpecification.1.ResourceType=vpc", "TagSpecification.1.Tag.1.Key=Name", "TagSpecification.1.Tag.1.Value=a=b&c"},
			&vpc.CreateVpcInput{CidrBlock: "10.0.0.0/16", TagSpecifications: []vpc.TagSpecification{{ResourceType: "vpc", Tags: []vpc.Tag{{Key: "Name", Value: "a=b&c"}}}}}},
		{"CreateTags", []string{"ResourceId.1=vpc-1", "ResourceId.2=igw-1", "Tag.1.Key=a", "Tag.1.Value="},
			&vpc.CreateTagsInput{Resources: []vpc.ResourceID{"vpc-1", "igw-1"}, Tags: []vpc.Tag{{Key: "a"}}}},
		{"DescribeVpcs", []string{"Filter.1.Name=tag:Name", "Filter.1.Value.1=x", "Filter.1.Value.2=y", "VpcId.1=vpc-1", "MaxResults=5"},
			&vpc.DescribeVpcsInput{Filters: []vpc.Filter{{Name: "tag:Name", Values: []string{"x", "y"}}}, VpcIds: []vpc.VpcID{"vpc-1"}, MaxResults: new(5)}},
		{"ModifyVpcAttribute", []string{"VpcId=vpc-1", "EnableDnsHostnames.Value=true"},
			&vpc.ModifyVpcAttributeInput{VpcId: "vpc-1", EnableDnsHostnames: vpc.AttributeBooleanValue{Value: &yes}}},
		{"ModifySubnetAttribute", []string{"SubnetId=subnet-1", "MapPublicIpOnLaunch.Value=false"},
			&vpc.ModifySubnetAttributeInput{SubnetId: "subnet-1", MapPublicIpOnLaunch: vpc.AttributeBooleanValue{Value: &no}}},
		{"RunInstances", []string{"MinCount=1", "MaxCount=2", "NetworkInterface.1.DeviceIndex=0", "NetworkInterface.1.SubnetId=subnet-1",
			"NetworkInterface.1.SecurityGroupId.1=sg-1", "NetworkInterface.1.PrivateIpAddresses.1.PrivateIpAddress=10.0.0.5", "SecurityGroupId.1=sg-2"},
			&vpc.RunInstancesInput{MinCount: &one, MaxCount: &two, SecurityGroupIds: []vpc.SecurityGroupID{"sg-2"},
				NetworkInterfaces: []vpc.InstanceNetworkInterfaceSpecification{{DeviceIndex: new(0), SubnetId: "subnet-1", Groups: []vpc.SecurityGroupID{"sg-1"},
					PrivateIpAddresses: []vpc.PrivateIpAddressSpecification{{PrivateIpAddress: "10.0.0.5"}}}}}},
	} {
		got, err := decodeForm(request(tt.action, tt.pairs...))
		if err != nil {
			t.Errorf("%s: %v", tt.action, err)
			continue
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.action, d)
		}
	}
}

func TestDecode_Rules(t *testing.T) {
	form := request("AuthorizeSecurityGroupIngress", "GroupId=sg-1", "IpPermissions.1.IpProtocol=tcp", "IpPermissions.1.FromPort=22", "IpPermissions.1.ToPort=23",
		"IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0", "IpPermissions.1.IpRanges.1.Description=all", "IpPermissions.1.Groups.1.GroupId=sg-2")
	got, err := decodeForm(form)
	if err != nil {
		t.Fatal(err)
	}
	p := got.(*vpc.AuthorizeSecurityGroupIngressInput).IpPermissions[0]
	if p.IpProtocol != "tcp" || *p.FromPort != 22 || *p.ToPort != 23 || p.IpRanges[0].CidrIp != "0.0.0.0/0" || p.IpRanges[0].Description != "all" || p.UserIdGroupPairs[0].GroupId != "sg-2" {
		t.Errorf("%+v", p)
	}
}

// Lists go by the order of their numbers, as numbers, with gaps.
func TestDecode_OrderOfLists(t *testing.T) {
	got, err := decodeForm(request("DescribeVpcs", "VpcId.10=c", "VpcId.9=b", "VpcId.2=a"))
	if err != nil {
		t.Fatal(err)
	}
	if ids := got.(*vpc.DescribeVpcsInput).VpcIds; !reflect.DeepEqual(ids, []vpc.VpcID{"a", "b", "c"}) {
		t.Error(ids)
	}
}

func TestDecode_Errors(t *testing.T) {
	for _, tt := range []struct{ form, code, message string }{
		{"Version=2016-11-15", "MissingAction", ""},
		{"Action=DescribeVpcs", "MissingParameter", "Version"},
		{"Action=DescribeVpcs&Version=2999-01-01", "NoSuchVersion", "2999"},
		{"Action=DescribeVpcs&Version=x", "NoSuchVersion", ""},
		{"Action=DescribeVpcs&Version=2013-10-15", "", ""},
		{"Action=Nonsense&Version=2016-11-15", "InvalidAction", "The action Nonsense is not valid for this web service."},
		{"Action=CreateInternetHost&Version=2016-11-15", "InvalidAction", ""},
		{"Action=CreateFleet&Version=2016-11-15", "UnsupportedOperation", "CreateFleet"},
		{"Action=DescribeVpcs&Version=2016-11-15&Colour=red", "UnknownParameter", "The parameter Colour is not recognized"},
		{"Action=DescribeVpcs&Version=2016-11-15&VpcId=vpc-1", "InvalidParameterValue", "VpcId.1"},
		{"Action=DescribeVpcs&Version=2016-11-15&VpcId=", "", ""},
		{"Action=DescribeVpcs&Version=2016-11-15&VpcId.member.1=vpc-1", "UnknownParameter", "VpcId.member"},
		{"Action=DescribeVpcs&Version=2016-11-15&VpcId.-1=vpc-1", "UnknownParameter", ""},
		{"Action=DescribeVpcs&Version=2016-11-15&VpcId.1=a&VpcId.01=b", "MalformedQueryString", "two members"},
		{"Action=DescribeVpcs&Version=2016-11-15&MaxResults=many", "InvalidParameterValue", "Invalid value 'many' for MaxResults"},
		{"Action=DescribeVpcs&Version=2016-11-15&MaxResults=99999999999999999999", "InvalidParameterValue", ""},
		{"Action=DescribeVpcs&Version=2016-11-15&MaxResults.1=5", "UnknownParameter", "MaxResults.1"},
		{"Action=DescribeVpcs&Version=2016-11-15&DryRun=maybe", "InvalidParameterValue", "true or false"},
		{"Action=DescribeVpcs&Version=2016-11-15&DryRun=true&DryRun=true", "MalformedQueryString", "2 times"},
		{"Action=CreateVpc&Version=2016-11-15&CidrBlock=10.0.0.0/16&AmazonProvidedIpv6CidrBlock=false", "", ""},
		{"Action=CreateVpc&Version=2016-11-15&CidrBlock=10.0.0.0/16&Ipv6Pool=x", "UnsupportedOperation", "Ipv6Pool"},
		{"Action=CreateVpc&Version=2016-11-15&TagSpecification.1=x", "InvalidParameterValue", "structure"},
		{"Action=DeleteVpc&Version=2016-11-15", "MissingParameter", "The request must contain the parameter vpcId"},
		{"Action=ImportKeyPair&Version=2016-11-15&KeyName=k&PublicKeyMaterial=%25", "InvalidParameterValue", "base64"},
		{"Action=DescribeVpcs&Version=2016-11-15&" + strings.Repeat("A.", 20) + "B=1", "MalformedQueryString", "parts"},
		{"Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=1&BlockDeviceMapping.1.Ebs.VolumeSize=8", "", ""},
		{"Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=1&BlockDeviceMappings.1.Ebs.VolumeSize=8", "UnknownParameter", "BlockDeviceMappings.1.Ebs.VolumeSize"},
	} {
		form, err := url.ParseQuery(tt.form)
		if err != nil {
			t.Fatal(err)
		}
		_, err = decodeForm(form)
		if tt.code == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.form, err)
			}
			continue
		}
		var e *vpc.Error
		if !errors.As(err, &e) || e.Code != tt.code || !strings.Contains(e.Message, tt.message) {
			t.Errorf("%s: %v, want %s with %q", tt.form, err, tt.code, tt.message)
		}
	}
}

func TestDecode_TooMany(t *testing.T) {
	form := request("DescribeVpcs")
	for i := range maxParameters + 1 {
		form.Set(fmt.Sprintf("VpcId.%d", i+1), "x")
	}
	if _, err := decodeForm(form); err == nil || !strings.Contains(err.Error(), "MalformedQueryString") {
		t.Error(err)
	}
}

// FuzzDecode: a request is refused with an error of AWS's, or decoded; the same way each time.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"Action=CreateVpc&Version=2016-11-15&CidrBlock=10.0.0.0%2F16&TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=a",
		"Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=1&NetworkInterface.1.DeviceIndex=0&UserData=eA%3D%3D",
		"Action=AuthorizeSecurityGroupIngress&Version=2016-11-15&GroupId=sg-1&IpPermissions.1.IpProtocol=-1&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0",
		"Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=a&Filter.1.Value.1=%00&Filter.01.Name=b",
		"Action=CreateNetworkAclEntry&Version=2016-11-15&PortRange.From=1&PortRange.To=-2&Icmp.Type=x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		form, err := url.ParseQuery(body)
		if err != nil {
			return
		}
		in, err := decodeForm(form)
		var e *vpc.Error
		if err != nil && (!errors.As(err, &e) || e.Code == "InternalError") {
			t.Fatalf("%v is no error of AWS's", err)
		}
		if err == nil && in == nil {
			t.Fatal("neither an input nor an error")
		}
		again, err2 := decodeForm(form)
		if fmt.Sprint(err) != fmt.Sprint(err2) || err == nil && !reflect.DeepEqual(in, again) {
			t.Fatalf("%v, %v and then %v, %v", in, err, again, err2)
		}
	})
}

// No operation has numbers with fractions or times among its parameters yet.
func TestDecode_Scalars(t *testing.T) {
	var into struct {
		Float float64
		Time  time.Time
		Text  string
		Blob  []byte
	}
	fields := reflect.ValueOf(&into).Elem()
	for _, tt := range []struct {
		k           kind
		field, text string
		want        any // nil: refused
	}{
		{kindFloat, "Float", "1.5", 1.5},
		{kindFloat, "Float", "NaN", nil},
		{kindFloat, "Float", "1e999", nil},
		{kindFloat, "Float", "", nil},
		{kindTimestamp, "Time", "2026-01-02T03:04:05Z", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		{kindTimestamp, "Time", "2026-01-02T03:04:05.678Z", time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)},
		{kindTimestamp, "Time", "2026-01-02T03:04:05+01:00", time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC)},
		{kindTimestamp, "Time", "yesterday", nil},
		{kindTimestamp, "Text", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"},
		{kindBlob, "Blob", "AAE=", []byte{0, 1}},
		{kindBlob, "Blob", "A", nil},
		{kindBlob, "Text", "AAE=", "AAE="},
	} {
		f := fields.FieldByName(tt.field)
		f.SetZero()
		err := scalar(tt.k, tt.text, f, "P")
		var e *vpc.Error
		switch {
		case tt.want == nil:
			if !errors.As(err, &e) || e.Code != "InvalidParameterValue" {
				t.Errorf("%s: %v", tt.text, err)
			}
		case err != nil:
			t.Errorf("%s: %v", tt.text, err)
		case !reflect.DeepEqual(f.Interface(), tt.want):
			t.Errorf("%s: %v, want %v", tt.text, f.Interface(), tt.want)
		}
	}
}

func TestDecode_Ignored(t *testing.T) {
	for _, tt := range []struct {
		action string
		pairs  []string
		code   string
	}{
		{"DescribeInstances", []string{"IncludeManagedResources=true"}, ""},
		{"DescribeSnapshots", []string{"Owner.1=self"}, ""},
		{"RunInstances", []string{"MinCount=1", "MaxCount=1", "CpuOptions.CoreCount=2"}, ""},
		{"RunInstances", []string{"MinCount=1", "MaxCount=1", "CpuOptions.Colour=red"}, "UnknownParameter"},
		{"RunInstances", []string{"MinCount=1", "MaxCount=1", "Ipv6AddressCount=0"}, ""},
		{"RunInstances", []string{"MinCount=1", "MaxCount=1", "Ipv6AddressCount=1"}, "UnsupportedOperation"},
	} {
		_, err := decodeForm(request(tt.action, tt.pairs...))
		var e *vpc.Error
		switch {
		case tt.code == "" && err != nil, tt.code != "" && (!errors.As(err, &e) || e.Code != tt.code):
			t.Errorf("%s %v: %v, want %q", tt.action, tt.pairs, err, tt.code)
		}
	}
}

// What is listed as ignored is AWS's, and nothing that a lab understands.
func TestIgnored_IsOfTheModel(t *testing.T) {
	for name, members := range ignoredParameters {
		for _, member := range members {
			if name == "*" {
				continue
			}
			op, known := vpc.LookupAction(name)
			if !known {
				t.Errorf("%s is no action", name)
				continue
			}
			s, typ := theTable().actions[name].input, op.Input
			for part := range strings.SplitSeq(member, ".") {
				for s.kind == kindList {
					s = s.elem
				}
				m := s.member(part)
				if m == nil {
					t.Errorf("%s has no parameter %s", name, member)
					break
				}
				s = m.shape
				if typ != nil {
					typ = below(typ, part)
				}
			}
			if typ != nil {
				t.Errorf("%s understands %s", name, member)
			}
		}
	}
}

// below is the type of a field of typ, without pointers and lists; nil if it has none.
func below(typ reflect.Type, name string) reflect.Type {
	if typ.Kind() != reflect.Struct {
		return nil
	}
	index := fieldOf(typ, name)
	if index == nil {
		return nil
	}
	t := typ.FieldByIndex(index).Type
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t
}

func BenchmarkTable(b *testing.B) {
	for b.Loop() {
		if _, err := parseTable(modelText); err != nil {
			b.Fatal(err)
		}
	}
}
