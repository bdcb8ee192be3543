package vpc

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestDH01_Options(t *testing.T) {
	many := strings.Split("10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5", " ")
	for _, r := range []struct {
		key    string
		values []string
		want   string
	}{
		{"domain-name", []string{"example.com"}, ""},
		{"domain-name", []string{"a.example b.example"}, ""},
		{"domain-name", []string{"exa mple..com"}, "InvalidParameterValue"},
		{"domain-name-servers", []string{"AmazonProvidedDNS"}, ""},
		{"domain-name-servers", many[:4], ""},
		{"domain-name-servers", []string{"10.2.5.1,10.2.5.2"}, ""},
		{"domain-name-servers", many, "InvalidParameterValue"},
		{"domain-name-servers", []string{"ns.example.com"}, "InvalidParameterValue"},
		{"ntp-servers", []string{"169.254.169.123", "fd00:ec2::123"}, ""},
		{"ntp-servers", []string{"AmazonProvidedDNS"}, "InvalidParameterValue"},
		{"netbios-name-servers", many[:4], ""},
		{"netbios-name-servers", []string{"fd00::1"}, "InvalidParameterValue"},
		{"netbios-node-type", []string{"2"}, ""},
		{"netbios-node-type", []string{"3"}, "InvalidParameterValue"},
		{"ipv6-address-preferred-lease-time", []string{"140"}, ""},
		{"ipv6-address-preferred-lease-time", []string{"139"}, "InvalidParameterValue"},
		{"domain-name", nil, "InvalidParameterValue"},
		{"router", []string{"10.0.0.1"}, "InvalidParameterValue"},
	} {
		t.Run(r.key+" "+strings.Join(r.values, " "), func(t *testing.T) {
			tx := emptyLab(t)
			wantCode(t, code(tx.CreateDhcpOptions(&CreateDhcpOptionsInput{DhcpConfigurations: []NewDhcpConfiguration{{r.key, r.values}}})), r.want)
		})
	}
	tx := emptyLab(t)
	wantCode(t, code(tx.CreateDhcpOptions(&CreateDhcpOptionsInput{})), "MissingParameter")
	wantCode(t, code(tx.CreateDhcpOptions(&CreateDhcpOptionsInput{DhcpConfigurations: []NewDhcpConfiguration{{"domain-name", []string{"a"}}, {"domain-name", []string{"b"}}}})), "InvalidParameterValue")
}

func TestDH02_SetsAreExchangedNotChanged(t *testing.T) {
	tx := emptyLab(t)
	v := newVpc(tx, "10.0.0.0/16")
	d := must(tx.CreateDhcpOptions(&CreateDhcpOptionsInput{DhcpConfigurations: []NewDhcpConfiguration{{"domain-name", []string{"example.com"}}, {"netbios-node-type", []string{"2"}}}})).DhcpOptions
	if b, _ := json.Marshal(d.DhcpConfigurations); string(b) != `[{"Key":"domain-name","Values":[{"Value":"example.com"}]},{"Key":"netbios-node-type","Values":[{"Value":"2"}]}]` {
		t.Errorf("configurations %s", b)
	}
	servers := must(tx.CreateDhcpOptions(&CreateDhcpOptionsInput{DhcpConfigurations: []NewDhcpConfiguration{{"netbios-name-servers", []string{"10.0.0.1"}}, {"ntp-servers", []string{"10.0.0.2"}}}})).DhcpOptions
	if c := servers.DhcpConfigurations; c[0].Key != "ntp-servers" || c[1].Key != "netbios-name-servers" {
		t.Errorf("configurations %v are not in AWS's order", c)
	}
	must(tx.DeleteDhcpOptions(&DeleteDhcpOptionsInput{DhcpOptionsId: servers.DhcpOptionsId}))
	associate := func(id DhcpOptionsID) string {
		return code(tx.AssociateDhcpOptions(&AssociateDhcpOptionsInput{DhcpOptionsId: id, VpcId: v}))
	}
	wantCode(t, associate("dopt-0123456789abcdef0"), "InvalidDhcpOptionsID.NotFound")
	wantCode(t, associate(d.DhcpOptionsId), "")
	wantCode(t, code(tx.DeleteDhcpOptions(&DeleteDhcpOptionsInput{DhcpOptionsId: d.DhcpOptionsId})), "DependencyViolation")
	wantCode(t, associate("default"), "") // no set at all
	if got := must(tx.DescribeVpcs(&DescribeVpcsInput{})).Vpcs[0].DhcpOptionsId; got != "default" {
		t.Errorf("options %s", got)
	}
	wantCode(t, code(tx.DeleteDhcpOptions(&DeleteDhcpOptionsInput{DhcpOptionsId: d.DhcpOptionsId})), "")
	wantConsistent(t, &tx.Model)
}

func TestDH03_AccountDefaultSetIsMadeAgain(t *testing.T) {
	tx := emptyLab(t)
	first := tx.DefaultDhcpOptionsID
	must(tx.DeleteDhcpOptions(&DeleteDhcpOptionsInput{DhcpOptionsId: first}))
	v := must(tx.CreateVpc(&CreateVpcInput{CidrBlock: "10.0.0.0/16"})).Vpc
	if v.DhcpOptionsId == first || tx.DhcpOptions.Get(v.DhcpOptionsId) == nil {
		t.Errorf("options %s", v.DhcpOptionsId)
	}
	found := must(tx.DescribeDhcpOptions(&DescribeDhcpOptionsInput{Filters: namedFilter("value", "*.compute.internal")})).DhcpOptions
	if len(found) != 1 || found[0].DhcpOptionsId != v.DhcpOptionsId {
		t.Errorf("found %+v", found)
	}
}
