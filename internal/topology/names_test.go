package topology

import (
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// What a file says of an instance's names holds after a launch, and after a change.
func TestDNS05_NamesOfInstances(t *testing.T) {
	type names struct {
		hostname string
		answers  bool
	}
	of := func(m *vpc.Model) names {
		for _, i := range m.Instances.All() {
			if i.Source == "instances.web" {
				return names{i.HostnameType(), i.EnableResourceNameDnsARecord}
			}
		}
		t.Fatal("there is no web")
		return names{}
	}
	const subnet, instance = "map_public_ip_on_launch: true", "    key_name: me"
	for _, c := range []struct {
		edit                 []string
		launched, afterwards names
	}{
		{nil, names{"ip-name", false}, names{"ip-name", false}},
		{[]string{subnet, subnet + ", private_dns_hostname_type_on_launch: resource-name, enable_resource_name_dns_a_record_on_launch: true"},
			names{"resource-name", true}, names{"ip-name", false}}, // a subnet's settings are for launches
		{[]string{instance, "    private_dns_name_options: {hostname_type: resource-name, enable_resource_name_dns_a_record: true}\n" + instance},
			names{"resource-name", true}, names{"resource-name", true}},
		{[]string{subnet, subnet + ", private_dns_hostname_type_on_launch: resource-name, enable_resource_name_dns_a_record_on_launch: true",
			instance, "    private_dns_name_options: {hostname_type: ip-name, enable_resource_name_dns_a_record: false}\n" + instance},
			names{"ip-name", false}, names{"ip-name", false}},
	} {
		f := parseText(t, edited(t, c.edit...))
		m, _ := mustConverge(t, f, nil, Options{})
		if got := of(&m); got != c.launched {
			t.Errorf("%q: launched as %v, want %v", c.edit, got, c.launched)
		}
		plain, _ := mustConverge(t, parseText(t, full), nil, Options{})
		m, _ = mustConverge(t, f, &plain, Options{})
		if got := of(&m); got != c.afterwards {
			t.Errorf("%q: changed to %v, want %v", c.edit, got, c.afterwards)
		}
	}
}

func TestDnsNamesOfHosts_Refused(t *testing.T) {
	for name, want := range map[string]string{
		"a..b": "It is no DNS name", "-a": "It is no DNS name", "x.compute.internal": "Names in compute.internal are the resolver's own",
		"localhost": "Names in localhost", "1.0.0.10.in-addr.arpa": "Names in in-addr.arpa", "ec2-203-0-113-1.eu-west-1.compute.amazonaws.com": "It is a name of an Amazon instance",
	} {
		_, err := Parse("full.yaml", []byte(strings.Replace(full, "{key_names: [me]}", "{key_names: [me], dns_names: ['"+name+"']}", 1)))
		if err == nil || !strings.Contains(err.Error(), "internet host laptop: dns_names: "+name+": "+want) || !strings.HasPrefix(err.Error(), "full.yaml:") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
