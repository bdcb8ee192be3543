package dataplane_test

import (
	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/impair"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// What the oracle knows of links and failures. Of conditions it knows certain loss, the
// only one that decides about a packet; the others must decide nothing.

func (o *oracle) failed(e *ENI) bool {
	switch s := e.Subnet; {
	case o.lab.FailedZones[s.Zone]:
		o.drop(dataplane.ZoneFailed)
	case s.Failed:
		o.drop(dataplane.SubnetFailed)
	case e.Failed:
		o.drop(dataplane.InstanceFailed)
	default:
		return false
	}
	return true
}

// cut: from where the packet comes, or was put down last, no way leads to e; nil is the
// Internet.
func (o *oracle) cut(e *ENI) bool {
	for _, c := range o.lab.Cuts {
		for _, from := range []*ENI{o.eni, o.last} {
			if isEnd(c.Ends[0], from) && isEnd(c.Ends[1], e) || isEnd(c.Ends[1], from) && isEnd(c.Ends[0], e) {
				o.drop(dataplane.LinkFailed)
				return true
			}
		}
	}
	return false
}

func isEnd(c dataplane.CutEnd, e *ENI) bool {
	if e == nil {
		return c == dataplane.CutEnd{Internet: true}
	}
	return c == dataplane.CutEnd{Instance: "i-" + e.Name} || c == dataplane.CutEnd{Subnet: "subnet-" + e.Subnet.Name} ||
		c == dataplane.CutEnd{Zone: e.Subnet.Zone}
}

func (o *oracle) crosses(c impair.Conditions) { o.lossy = o.lossy || c.Loss == 1 }

func (o *oracle) arrives(port string) {
	if o.reason, o.port = dataplane.Delivered, port; o.lossy {
		o.drop(dataplane.LinkLoss)
	}
}

// drawFailures fails some things, and gives links conditions that decide nothing, or all.
func (m *model) drawFailures(rt *rapid.T) {
	l := m.lab
	zones := []string{"a", "b"}
	rarely := func(what string) bool { return rapid.IntRange(0, 11).Draw(rt, what) == 0 }
	link := func() impair.Conditions {
		if !rarely("link") {
			return impair.Conditions{}
		}
		// What is so rare happens to no packet of a test.
		return rapid.SampledFrom([]impair.Conditions{{Loss: 1}, {Loss: 1, LossBurst: 3}, {Loss: 1e-12}, {Duplicate: 1e-12}}).Draw(rt, "conditions")
	}
	l.FailedZones, l.Cuts, l.ZoneLinks = map[string]bool{}, nil, map[[2]string]impair.Conditions{}
	for _, z := range zones {
		l.FailedZones[z] = rarely("zone fails")
		for _, other := range zones {
			l.ZoneLinks[[2]string{z, other}] = link()
		}
	}
	l.Internet = Conditions{Out: link(), In: link()}
	ends := []dataplane.CutEnd{{Internet: true}, {Zone: "a"}, {Zone: "b"}}
	for _, v := range l.VPCs {
		for _, s := range v.Subnets {
			s.Zone, s.Failed = rapid.SampledFrom(zones).Draw(rt, "zone"), rarely("subnet fails")
			s.Conditions = Conditions{Out: link(), In: link()}
			ends = append(ends, dataplane.CutEnd{Subnet: "subnet-" + s.Name})
			for _, e := range s.ENIs {
				e.Failed = e.NAT == nil && rarely("instance fails")
				if e.NAT != nil {
					e.NAT.Failed = rarely("NAT gateway fails")
				}
				e.Conditions = Conditions{Out: link(), In: link()}
				ends = append(ends, dataplane.CutEnd{Instance: "i-" + e.Name})
			}
		}
	}
	for _, h := range l.Hosts {
		h.Failed, h.Conditions = rarely("host fails"), Conditions{Out: link(), In: link()}
	}
	for rarely("cut") {
		l.Cuts = append(l.Cuts, dataplane.Cut{Ref: dataplane.Ref{ID: "fail-cut"},
			Ends: [2]dataplane.CutEnd{rapid.SampledFrom(ends).Draw(rt, "one end"), rapid.SampledFrom(ends).Draw(rt, "other end")}})
	}
}
