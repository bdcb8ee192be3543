package vpc

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestInternetHost_LifeCycle(t *testing.T) {
	s := newSite(t)
	must(s.CreateKeyPair(&CreateKeyPairInput{KeyName: "k", KeyType: "ed25519"}))
	out := must(s.CreateInternetHost(&CreateInternetHostInput{
		KeyNames: []string{"k"}, UserData: base64.StdEncoding.EncodeToString([]byte("true")), LinkType: "tap", TagSpecifications: NamedTag("internet-host", "laptop"),
	})).InternetHost
	if out.State != StatePending || out.PublicIp != "198.51.100.1" || out.HostName != "laptop" || out.LinkType != "tap" || !strings.HasPrefix(out.MacAddress, "0a:") || out.KeyNames[0] != "k" {
		t.Errorf("created %+v", out)
	}
	id := out.InternetHostId
	state := func() string {
		return must(s.DescribeInternetHosts(&DescribeInternetHostsInput{InternetHostIds: []InternetHostID{id}})).InternetHosts[0].State
	}
	start := func() string { return code(s.StartInternetHost(&StartInternetHostInput{InternetHostId: id})) }
	stop := func() string { return code(s.StopInternetHost(&StopInternetHostInput{InternetHostId: id})) }
	wantCode(t, stop(), "IncorrectState")
	s.InternetHostRunning(id)
	wantCode(t, start(), "")
	wantCode(t, stop(), "")
	wantCode(t, start(), "IncorrectState")
	s.InternetHostStopped(id, "")
	if h := s.InternetHosts.Get(id); state() != StateStopped || h.PublicIp.String() != "198.51.100.1" || h.BootID != 1 {
		t.Errorf("stopped %+v", h)
	}
	wantCode(t, start(), "")
	s.InternetHostRunning(id)
	s.InternetHostRebooted(id)
	if h := s.InternetHosts.Get(id); h.State != StateRunning || h.BootID != 3 {
		t.Errorf("started and rebooted %+v", h)
	}
	s.InternetHostStopped(id, ReasonInternalError)
	if h := s.InternetHosts.Get(id); h.StateNote != ReasonInternalError {
		t.Errorf("killed %+v", h)
	}
	if got := must(s.DeleteInternetHost(&DeleteInternetHostInput{InternetHostId: id})).InternetHost.State; got != StateShuttingDown {
		t.Errorf("deleting: %s", got)
	}
	s.InternetHostTerminated(id)
	if s.InternetHosts.Len() != 0 || len(s.publicInUse()) != 0 {
		t.Error("it is still there")
	}
}

func TestInternetHost_Addresses(t *testing.T) {
	s := newSite(t)
	s.eip() // 203.0.113.1
	create := func(in CreateInternetHostInput) string { return code(s.CreateInternetHost(&in)) }
	for _, c := range []struct{ addr, code string }{
		{"8.8.8.8", ""}, {"8.8.8.8", "InvalidIPAddress.InUse"}, {"203.0.113.1", "InvalidIPAddress.InUse"}, {"203.0.113.9", ""},
		{"10.1.2.3", "InvalidParameterValue"}, {"100.64.0.1", "InvalidParameterValue"}, {"169.254.1.1", "InvalidParameterValue"},
		{"224.0.0.5", "InvalidParameterValue"}, {"203.0.113.255", "InvalidParameterValue"}, {"2001:db8::1", "InvalidParameterValue"}, {"x", "InvalidParameterValue"},
	} {
		if got := create(CreateInternetHostInput{PublicIp: c.addr}); got != c.code {
			t.Errorf("%s: %q, want %q", c.addr, got, c.code)
		}
	}
	wantCode(t, create(CreateInternetHostInput{KeyNames: []string{"none"}}), "InvalidKeyPair.NotFound")
	wantCode(t, create(CreateInternetHostInput{LinkType: "veth"}), "InvalidParameterValue")
	wantCode(t, create(CreateInternetHostInput{UserData: "%"}), "InvalidUserData.Malformed")
	for name, want := range map[string]string{"a b": "InvalidParameterValue", "-a": "InvalidParameterValue", "a-": "InvalidParameterValue", "a..b": "InvalidParameterValue", "www.example.com": ""} {
		wantCode(t, create(CreateInternetHostInput{HostName: name}), want)
	}
	out := must(s.DescribeInternetHosts(&DescribeInternetHostsInput{Filters: namedFilter("public-ip", "8.8.*")})).InternetHosts
	if len(out) != 1 || out[0].HostName != "host-8-8-8-8" {
		t.Errorf("got %+v", out)
	}
}
