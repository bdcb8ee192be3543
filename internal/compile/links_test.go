package compile

import (
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/impair"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

func TestLinksAreCompiled(t *testing.T) {
	l := newSite(t)
	web := l.compiled("svc")
	if web.Out != nil || web.In != nil || web.Failure != nil || web.Subnet.Out != nil || l.snap.ZoneLinks != nil || l.snap.Internet.In != nil || l.snap.Cuts != nil {
		t.Error("a lab without impairments has links")
	}
	zone := web.Subnet.Zone
	other := l.Model.Zones[0]
	if other == zone {
		other = l.Model.Zones[1]
	}
	l.do(&vpc.ModifyImpairmentInput{Place: "svc", Direction: "egress", Delay: "20ms"})
	l.do(&vpc.ModifyImpairmentInput{Place: "subnet:" + web.Subnet.Name, Direction: "ingress", Loss: "1%"})
	l.do(&vpc.ModifyImpairmentInput{Place: "internet", Delay: "1ms"})
	l.do(&vpc.ModifyImpairmentInput{Place: zone, To: other, Direction: "egress", Delay: "3ms"})
	l.do(&vpc.ModifyImpairmentInput{Place: other, To: zone, Direction: "egress", Delay: "4ms"})
	l.do(&vpc.ModifyImpairmentInput{Place: zone, To: zone, Delay: "5ms"})
	web = l.compiled("svc")
	is := func(what string, l *dataplane.Link, name string, c impair.Conditions) {
		t.Helper()
		switch {
		case l == nil && c.IsZero():
		case l == nil || l.Conditions != c || l.Name != name || l.ID == "" || l.Key == "":
			t.Errorf("%s: %+v", what, l)
		}
	}
	none := impair.Conditions{}
	is("svc out", web.Out, "svc outward", impair.Conditions{Delay: 20 * time.Millisecond})
	is("svc in", web.In, "", none)
	is("subnet out", web.Subnet.Out, "", none)
	is("subnet in", web.Subnet.In, web.Subnet.Name+" inward", impair.Conditions{Loss: .01})
	is("to the Internet", l.snap.Internet.Out, "to the Internet", impair.Conditions{Delay: time.Millisecond})
	is("from the Internet", l.snap.Internet.In, "from the Internet", impair.Conditions{Delay: time.Millisecond})
	is("there", l.snap.ZoneLinks[[2]string{zone, other}], zone+" → "+other, impair.Conditions{Delay: 3 * time.Millisecond})
	is("back", l.snap.ZoneLinks[[2]string{other, zone}], other+" → "+zone, impair.Conditions{Delay: 4 * time.Millisecond})
	is("within", l.snap.ZoneLinks[[2]string{zone, zone}], zone+" → "+zone, impair.Conditions{Delay: 5 * time.Millisecond})
	if web.Out.Seed == l.snap.Internet.Out.Seed || l.snap.Internet.Out.Seed == l.snap.Internet.In.Seed {
		t.Error("links share their chance")
	}
	seed := web.Out.Seed
	l.do(&vpc.ModifyImpairmentInput{Place: "svc", Direction: "egress", Delay: "21ms"})
	if again := l.compiled("svc").Out; again.Seed != seed || again.Key != web.Out.Key {
		t.Error("a change makes another link of it")
	}
}

func TestFailuresAreCompiled(t *testing.T) {
	l := newSite(t)
	e := l.compiled("svc")
	for _, r := range []struct {
		place  string
		reason dataplane.Reason
	}{{"svc", dataplane.InstanceFailed}, {"subnet:" + e.Subnet.Name, dataplane.SubnetFailed}, {e.Subnet.Zone, dataplane.ZoneFailed}} {
		l.do(&vpc.CreateFailureInput{Place: r.place})
		if f := l.compiled("svc").Failure; f == nil || f.Reason != r.reason { // the largest, of those there are by now
			t.Errorf("%s: %+v", r.place, f)
		}
	}
	l.do(&vpc.CreateFailureInput{Place: "nat:nat"})
	for _, e := range l.snap.ENIs {
		if e.NAT != nil && (e.NAT.Failure == nil || e.NAT.Failure.Reason != dataplane.NATGatewayFailed) {
			t.Errorf("%+v", e.NAT)
		}
	}
	l.do(&vpc.CreateFailureInput{Place: "svc", To: "internet"})
	if c := l.snap.Cuts; len(c) != 1 || c[0].Ends != [2]dataplane.CutEnd{{Instance: e.Instance.ID}, {Internet: true}} {
		t.Errorf("%+v", c)
	}
	l.do(&vpc.CreateFailureInput{Place: "laptop"})
	for _, h := range l.snap.Internet.Hosts {
		if failed := h.Failure != nil; failed != (h.Name == "laptop") {
			t.Errorf("%s: %+v", h.Name, h.Failure)
		}
	}
}
