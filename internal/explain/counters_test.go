package explain

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
)

// anonymous takes IDs out, of which those made by operations depend on the test.
var anonymous = regexp.MustCompile("sgr-[0-9a-f]+")

// Every rule, interface and gateway of the model is listed, met or not, with what it says.
func TestCount_ListsWhatNothingHasMet(t *testing.T) {
	l := embedded(t, "acl-and-groups")
	l.EC2("authorize-security-group-ingress --group-id web --protocol icmp --port -1 --cidr 10.0.0.0/8")
	l.EC2("authorize-security-group-ingress --group-id web --protocol tcp --port 1000-2000 --source-group web")
	var c control.Counters
	Count(&l.Model, l.Engine.Account(), &c)
	var text strings.Builder
	for _, r := range c.Rules {
		fmt.Fprintf(&text, "%s %s: %s %s: %s [%d]\n", r.Kind, cmp.Or(r.Name, "(main)"), r.Direction, anonymous.ReplaceAllString(r.Rule, "sgr-…"), r.Text, r.Packets)
		if r.ID == "" || r.Kind == "security group" && !strings.HasPrefix(r.Rule, "sgr-") {
			t.Errorf("%+v", r)
		}
	}
	for _, i := range c.Interfaces {
		fmt.Fprintf(&text, "%s %s\n", i.Kind, i.Name)
	}
	for _, g := range c.Gateways {
		fmt.Fprintf(&text, "gateway %s\n", g.Name)
	}
	golden(t, "counters.golden", text.String())
}

func TestCount_GivesEachWhatItsIDHas(t *testing.T) {
	l := embedded(t, "book")
	var before control.Counters
	Count(&l.Model, l.Engine.Account(), &before)
	a := l.Engine.Account()
	want := map[string]uint64{}
	for i, r := range before.Rules {
		a.Rules[dataplane.RuleKey{Owner: r.ID, Rule: r.Rule, Egress: r.Direction == "egress"}] = dataplane.Traffic{Packets: uint64(i + 1), Bytes: uint64(100 * (i + 1))}
		want[r.ID+r.Rule+r.Direction] = uint64(i + 1)
	}
	for _, n := range l.NetworkInterfaces.All() {
		a.Interfaces[n.Handle] = &dataplane.InterfaceAccount{Sent: dataplane.Traffic{Packets: uint64(n.Handle)},
			Dropped: map[dataplane.Reason]dataplane.Traffic{dataplane.NoRoute: {Packets: uint64(n.Handle)}}}
	}
	for id := range l.NatGateways.All() {
		a.Gateways[string(id)] = dataplane.Traffic{Packets: 7}
	}
	var c control.Counters
	Count(&l.Model, a, &c)
	if len(want) < 8 || len(want) != len(c.Rules) {
		t.Errorf("%d rules, %d of them distinct", len(c.Rules), len(want))
	}
	for _, r := range c.Rules {
		if n := want[r.ID+r.Rule+r.Direction]; r.Packets != n || r.Bytes != 100*n {
			t.Errorf("%+v, want %d packets", r, n)
		}
	}
	for _, i := range c.Interfaces {
		n := uint64(0)
		for _, e := range l.NetworkInterfaces.All() {
			if string(e.ID) == i.ID {
				n = uint64(e.Handle)
			}
		}
		if i.Sent.Packets != n || i.Dropped["NO_ROUTE_TO_DESTINATION"] != n {
			t.Errorf("%+v, want %d", i, n)
		}
	}
	nat := 0
	for _, g := range c.Gateways {
		nat += int(g.Packets)
	}
	if nat != 7 {
		t.Errorf("gateways %+v", c.Gateways)
	}
}
