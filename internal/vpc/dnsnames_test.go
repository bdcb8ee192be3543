package vpc

import (
	"slices"
	"strings"
	"testing"
)

func TestDNS05_NamesOfALaunch(t *testing.T) {
	s := newSite(t)
	run := func(r *PrivateDnsNameOptionsRequest) InstanceInfo {
		return must(s.RunInstances(&RunInstancesInput{SubnetId: s.public, PrivateDnsNameOptions: r})).Instances[0]
	}
	i := run(nil)
	if i.PrivateDnsName != "ip-10-0-0-4.ap-northeast-1.compute.internal" || *i.PrivateDnsNameOptions != (PrivateDnsNameOptions{HostnameType: "ip-name"}) {
		t.Errorf("without options: %s %+v", i.PrivateDnsName, i.PrivateDnsNameOptions)
	}
	i = run(&PrivateDnsNameOptionsRequest{HostnameType: "resource-name", EnableResourceNameDnsARecord: new(true)})
	if i.PrivateDnsName != string(i.InstanceId)+".ap-northeast-1.compute.internal" || !i.PrivateDnsNameOptions.EnableResourceNameDnsARecord {
		t.Errorf("by ID: %s %+v", i.PrivateDnsName, i.PrivateDnsNameOptions)
	}
	must(s.ModifySubnetAttribute(&ModifySubnetAttributeInput{SubnetId: s.public, EnableResourceNameDnsARecordOnLaunch: AttributeBooleanValue{new(true)}}))
	if i := run(nil); !i.PrivateDnsNameOptions.EnableResourceNameDnsARecord {
		t.Errorf("the subnet's setting: %+v", i.PrivateDnsNameOptions)
	}
	if i := run(&PrivateDnsNameOptionsRequest{EnableResourceNameDnsARecord: new(false)}); i.PrivateDnsNameOptions.EnableResourceNameDnsARecord {
		t.Errorf("against the subnet's setting: %+v", i.PrivateDnsNameOptions)
	}
	wantCode(t, code(s.RunInstances(&RunInstancesInput{SubnetId: s.public, PrivateDnsNameOptions: &PrivateDnsNameOptionsRequest{HostnameType: "x"}})), "InvalidParameterValue")
	wantCode(t, code(s.RunInstances(&RunInstancesInput{SubnetId: s.public, PrivateDnsNameOptions: &PrivateDnsNameOptionsRequest{EnableResourceNameDnsAAAARecord: new(true)}})), "InvalidParameterCombination")
}

func TestDNS05_ModifyPrivateDnsNameOptions(t *testing.T) {
	s := newSite(t)
	id := s.inPublic()
	s.InstanceRunning(id)
	modify := func(in ModifyPrivateDnsNameOptionsInput) string {
		in.InstanceId = id
		return code(s.ModifyPrivateDnsNameOptions(&in))
	}
	_, err := s.ModifyPrivateDnsNameOptions(&ModifyPrivateDnsNameOptionsInput{InstanceId: id, PrivateDnsHostnameType: "resource-name"})
	wantCode(t, code(0, err), "InvalidParameterValue")
	if err != nil && !strings.Contains(err.Error(), "Cannot modify hostname-type for running instances") {
		t.Error(err)
	}
	wantCode(t, modify(ModifyPrivateDnsNameOptionsInput{PrivateDnsHostnameType: "ip-name"}), "") // as it is
	wantCode(t, modify(ModifyPrivateDnsNameOptionsInput{PrivateDnsHostnameType: "x"}), "InvalidParameterValue")
	wantCode(t, modify(ModifyPrivateDnsNameOptionsInput{EnableResourceNameDnsARecord: new(true)}), "")
	must(s.StopInstances(&StopInstancesInput{InstanceIds: []InstanceID{id}}))
	s.InstanceStopped(id, "")
	wantCode(t, modify(ModifyPrivateDnsNameOptionsInput{PrivateDnsHostnameType: "resource-name"}), "")
	if i := s.info(id); !strings.HasPrefix(i.PrivateDnsName, string(id)) || !i.PrivateDnsNameOptions.EnableResourceNameDnsARecord {
		t.Errorf("%s %+v", i.PrivateDnsName, i.PrivateDnsNameOptions)
	}
	wantCode(t, code(s.ModifyPrivateDnsNameOptions(&ModifyPrivateDnsNameOptionsInput{InstanceId: "i-0123456789abcdef0"})), "InvalidInstanceID.NotFound")
	wantConsistent(t, &s.Model)
}

func TestDnsNamesOfInternetHosts(t *testing.T) {
	tx := emptyLab(t)
	h := must(tx.CreateInternetHost(&CreateInternetHostInput{HostName: "server", DnsNames: []string{"WWW.Example.com.", "www.example.com", "_http.example.com"}})).InternetHost
	if !slices.Equal(h.DnsNames, []string{"www.example.com", "_http.example.com"}) {
		t.Errorf("%q", h.DnsNames)
	}
	if got := must(tx.ModifyInternetHost(&ModifyInternetHostInput{InternetHostId: h.InternetHostId, DnsNames: []string{"example.org"}})).InternetHost.DnsNames; !slices.Equal(got, []string{"example.org"}) {
		t.Errorf("%q", got)
	}
	wantCode(t, code(tx.ModifyInternetHost(&ModifyInternetHostInput{InternetHostId: h.InternetHostId, DnsNames: []string{"ip-10-0-0-1.ec2.internal"}})), "InvalidParameterValue")
	wantCode(t, code(tx.CreateInternetHost(&CreateInternetHostInput{DnsNames: []string{"a b"}})), "InvalidParameterValue")
	if got := must(tx.ModifyInternetHost(&ModifyInternetHostInput{InternetHostId: h.InternetHostId})).InternetHost.DnsNames; len(got) != 0 {
		t.Errorf("%q", got)
	}
}
