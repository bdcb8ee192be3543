package vpc

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const (
	home = "ap-northeast-1"
	away = "us-east-1"
)

// in performs one operation in a Region.
func in[O any](t *testing.T, tx *Tx, region string, input any) (*O, error) {
	t.Helper()
	tx.Call.Region = region
	defer func() { tx.Call.Region = "" }()
	out, err := tx.Run(strings.TrimSuffix(reflect.TypeOf(input).Elem().Name(), "Input"), input)
	if err != nil {
		return nil, err
	}
	return out.(*O), nil
}

func TestDV01_DH03_RegionsOpenAsAFreshAccount(t *testing.T) {
	tx := fullLab(t)
	if got := tx.OpenRegions(); !slices.Equal(got, []string{home}) || tx.RegionOpen(away) {
		t.Fatalf("open at first: %v", got)
	}
	vpcs := must(in[DescribeVpcsOutput](t, tx, away, &DescribeVpcsInput{}))
	if len(vpcs.Vpcs) != 1 || !vpcs.Vpcs[0].IsDefault || vpcs.Vpcs[0].CidrBlock != "172.31.0.0/16" {
		t.Errorf("VPCs: %+v", vpcs.Vpcs)
	}
	subnets := must(in[DescribeSubnetsOutput](t, tx, away, &DescribeSubnetsInput{})).Subnets
	zones := must(in[DescribeAvailabilityZonesOutput](t, tx, away, &DescribeAvailabilityZonesInput{})).AvailabilityZones
	if len(subnets) != 6 || len(zones) != 6 {
		t.Fatalf("%d subnets in %d zones", len(subnets), len(zones))
	}
	if zones[5].ZoneName != "us-east-1f" || zones[5].ZoneId != "use1-az6" || zones[5].RegionName != away {
		t.Errorf("zone: %+v", zones[5])
	}
	options := must(in[DescribeDhcpOptionsOutput](t, tx, away, &DescribeDhcpOptionsInput{})).DhcpOptions
	if len(options) != 1 || options[0].DhcpConfigurations[0].Values[0].Value != "ec2.internal" || options[0].DhcpOptionsId != vpcs.Vpcs[0].DhcpOptionsId {
		t.Errorf("DHCP options: %+v", options)
	}
	if arn := subnets[0].SubnetArn; !strings.HasPrefix(arn, "arn:aws:ec2:us-east-1:123456789012:subnet/") {
		t.Errorf("ARN %s", arn)
	}
	before := dump(t, &tx.Model)
	if err := tx.OpenRegion(away); err != nil || dump(t, &tx.Model) != before {
		t.Errorf("opened again: %v", err)
	}
	wantConsistent(t, &tx.Model)

	bare := labWith(t, false)
	if list := must(in[DescribeVpcsOutput](t, bare, away, &DescribeVpcsInput{})); len(list.Vpcs) != 0 {
		t.Errorf("a lab without default VPCs: %+v", list)
	}
}

func TestRegionThatAWSHasNot(t *testing.T) {
	tx := fullLab(t)
	before := dump(t, &tx.Model)
	for _, name := range []string{"eu-west-9", "us-east-1a", "moon"} {
		if _, err := in[DescribeVpcsOutput](t, tx, name, &DescribeVpcsInput{}); code(0, err) != "AuthFailure" || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if dump(t, &tx.Model) != before {
		t.Error("the model has changed")
	}
	if err := Begin(&Model{}, countingCall()).OpenRegion(away); err == nil || !strings.Contains(err.Error(), "vpcemu up") {
		t.Errorf("a lab without a cloud: %v", err)
	}
}

// Each Region has its own quotas, names and defaults.
func TestRegionsHaveTheirOwnOfEach(t *testing.T) {
	tx := fullLab(t)
	for _, region := range []string{home, away} {
		for i := range 4 { // and the default VPC
			if _, err := in[CreateVpcOutput](t, tx, region, &CreateVpcInput{CidrBlock: fmt.Sprintf("10.%d.0.0/16", i), TagSpecifications: NamedTag("vpc", fmt.Sprint("v", i))}); err != nil {
				t.Fatalf("%s, VPC %d: %v", region, i, err)
			}
		}
		if _, err := in[CreateVpcOutput](t, tx, region, &CreateVpcInput{CidrBlock: "10.9.0.0/16"}); code(0, err) != "VpcLimitExceeded" {
			t.Errorf("%s: %v", region, err)
		}
		tx.Call.NewKey = RandomKey
		if _, err := in[CreateKeyPairOutput](t, tx, region, &CreateKeyPairInput{KeyName: "me", KeyType: "ed25519"}); err != nil {
			t.Errorf("%s: %v", region, err)
		}
		if _, err := in[CreateKeyPairOutput](t, tx, region, &CreateKeyPairInput{KeyName: "me", KeyType: "ed25519"}); code(0, err) != "InvalidKeyPair.Duplicate" {
			t.Errorf("%s: %v", region, err)
		}
	}
	if a, b := tx.KeyPair(home, "me"), tx.KeyPair(away, "me"); a == nil || b == nil || a.PublicKey == b.PublicKey {
		t.Errorf("key pairs %v and %v", a, b)
	}
	must(in[ModifyInstanceMetadataDefaultsOutput](t, tx, away, &ModifyInstanceMetadataDefaultsInput{HttpTokens: "required"}))
	for region, want := range map[string]string{home: "", away: "required"} {
		if got := must(in[GetInstanceMetadataDefaultsOutput](t, tx, region, &GetInstanceMetadataDefaultsInput{})).AccountLevel.HttpTokens; got != want {
			t.Errorf("%s: tokens %q, want %q", region, got, want)
		}
	}
	ids := map[VpcID]bool{}
	for _, region := range []string{home, away} {
		input := &DescribeVpcsInput{VpcIds: []VpcID{"v1"}}
		if err := ResolveNames(&tx.Model, region, input); err != nil {
			t.Fatal(err)
		}
		ids[input.VpcIds[0]] = true
		if got := tx.RegionOf(string(input.VpcIds[0])); got != region {
			t.Errorf("%s is in %s", input.VpcIds[0], got)
		}
	}
	if len(ids) != 2 {
		t.Errorf("v1 is %v", ids)
	}
	m := tx.In(away)
	if m.DefaultVpc().Region != away || tx.DefaultVpc().Region != home || m.DefaultSubnet("").Region != away || tx.DefaultSubnet("us-east-1a") == nil {
		t.Error("defaults of the wrong Region")
	}
	must(in[DeleteKeyPairOutput](t, tx, away, &DeleteKeyPairInput{KeyName: "me"}))
	if tx.KeyPair(home, "me") == nil || tx.KeyPair(away, "me") != nil {
		t.Error("the key pair of the other Region was deleted")
	}
	wantConsistent(t, &tx.Model)
}

func TestDescribeRegions_ByPartition(t *testing.T) {
	tx := labWith(t, false)
	for region, want := range map[string]string{
		home: "arn:aws:ec2:ap-northeast-1:", "cn-north-1": "arn:aws-cn:ec2:cn-north-1:", "us-gov-west-1": "arn:aws-us-gov:ec2:us-gov-west-1:", "mx-central-1": "arn:aws:ec2:mx-central-1:",
	} {
		list := must(in[DescribeRegionsOutput](t, tx, region, &DescribeRegionsInput{})).Regions
		if !slices.ContainsFunc(list, func(r RegionInfo) bool { return r.RegionName == region }) ||
			slices.ContainsFunc(list, func(r RegionInfo) bool { return Partition(r.RegionName) != Partition(region) }) {
			t.Errorf("%s: %+v", region, list)
		}
		v := must(in[CreateVpcOutput](t, tx, region, &CreateVpcInput{CidrBlock: "10.0.0.0/16"})).Vpc.VpcId
		g := must(in[CreateSecurityGroupOutput](t, tx, region, &CreateSecurityGroupInput{GroupName: "g", Description: "d", VpcId: v}))
		if !strings.HasPrefix(g.SecurityGroupArn, want) {
			t.Errorf("%s: ARN %s", region, g.SecurityGroupArn)
		}
	}
	if got := PublicDnsDomain("cn-north-1"); got != "cn-north-1.compute.amazonaws.com.cn" {
		t.Error(got)
	}
}

// A Region works as if no other existed: whatever is done there, by whatever ID, answers
// and leaves the same as in a lab that has that Region alone.
func TestProperty_RegionsDoNotMeet(t *testing.T) {
	both, call := twoRegions(t)
	succeeded := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		m := both.Clone()
		alone := map[string]*Model{}
		for _, region := range []string{home, away} {
			alone[region] = without(&m, region)
		}
		for n, seed := range rapid.SliceOfN(rapid.Uint64(), 20, 40).Draw(t, "steps") {
			rng := rand.New(rand.NewPCG(seed, 2))
			region := sample(rng, []string{home, away})
			o := alone[region]
			a := sample(rng, regionalActions)
			input := reflect.New(a.Input)
			seen := m.In(region)
			(&drawer{rng, &seen, identifiers(&m)}).fill(input.Elem())
			label := fmt.Sprintf("%s in %s: %+v", a.Name, region, input.Elem().Interface())
			c := countingFrom(1_000_000 + 1000*n)
			c.Now, c.NewKey, c.Region = call.Now, nil, region
			o.NextHandle, o.LastPublicIp = m.NextHandle, m.LastPublicIp // the lab's
			got, gotErr := try(&m, c, a, input.Interface())
			c = countingFrom(1_000_000 + 1000*n)
			c.Now, c.NewKey, c.Region = call.Now, nil, region
			want, wantErr := try(o, c, a, input.Interface())
			if got != want || fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
				t.Fatalf("%s:\nbeside another Region: %s, %v\nalone: %s, %v", label, got, gotErr, want, wantErr)
			}
			for r := range alone {
				if is, was := contents(t, &m, r), contents(t, alone[r], r); is != was {
					t.Fatalf("%s: %s has\n%s\nand alone it would have\n%s", label, r, is, was)
				}
			}
			for _, err := range m.Check() {
				t.Fatalf("after %s: %v", label, err)
			}
			if gotErr == nil {
				succeeded[a.Name] = true
			}
		}
	})
	t.Logf("%d of %d actions succeeded", len(succeeded), len(regionalActions))
	want := len(regionalActions) / 2
	if testing.Short() { // a fifth of the tries
		want /= 2
	}
	if len(succeeded) < want {
		t.Error("too few actions succeeded")
	}
}

// regionalActions are EC2's: vpcemu's own are of the lab.
var regionalActions = slices.DeleteFunc(Actions(), func(a Action) bool {
	for _, own := range []string{"InternetHost", "Impairment", "Failure"} {
		if strings.Contains(a.Name, own) {
			return true
		}
	}
	return false
})

// twoRegions is a lab with the same things in two Regions, and room for addresses.
func twoRegions(t *testing.T) (Model, Call) {
	call := countingCall()
	m, err := New("test", "123456789012", home, []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")}, call, true)
	if err != nil {
		t.Fatal(err)
	}
	tx := Begin(&m, call)
	furnish(tx)
	if err := tx.OpenRegion(away); err != nil {
		t.Fatal(err)
	}
	tx.Region = away
	tx.look(away)
	furnish(tx)
	tx.look("")
	wantConsistent(t, &tx.Model)
	return tx.Model, call
}

// without is the model with the objects of one Region alone.
func without(m *Model, region string) *Model {
	c := m.Clone()
	v := reflect.ValueOf(&c).Elem()
	for _, i := range regionalFields {
		table := v.Field(i).Addr().Interface().(AnyTable)
		empty := reflect.New(v.Field(i).Type())
		table.Changes(empty.Interface().(AnyTable), func(key string, object any) {
			if metaOf(object).Region == region {
				empty.MethodByName("Put").Call([]reflect.Value{reflect.ValueOf(key).Convert(empty.MethodByName("Put").Type().In(0)), reflect.ValueOf(object)})
			}
		}, func(string) {})
		v.Field(i).Set(empty.Elem())
	}
	return &c
}

// try performs an action on the model, and gives its answer as JSON.
func try(m *Model, c Call, a Action, input any) (string, error) {
	tx := Begin(m, c)
	out, err := tx.Run(a.Name, input)
	*m = tx.Model
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(out)
	return string(b), err
}

// contents are the objects and settings of a Region.
func contents(t *rapid.T, m *Model, region string) string {
	all := map[string]any{"settings": m.SettingsOf(region)}
	v := reflect.ValueOf(m).Elem()
	for _, i := range regionalFields {
		table := v.Field(i).Addr().Interface().(AnyTable)
		table.Changes(reflect.New(v.Field(i).Type()).Interface().(AnyTable), func(key string, object any) {
			if metaOf(object).Region == region {
				all[v.Type().Field(i).Name+" "+key] = object
			}
		}, func(string) {})
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
