package dataplane

import (
	"github.com/vpcemu/vpcemu/internal/impair"
)

// A Link is one direction of a link whose conditions are not perfect: an interface's way
// out or in, the edge of a subnet, the way from one availability zone to another, the
// Internet. A packet meets the links on its way in order, each a queue of its own: delays
// add up, what one loses comes to no other, and the smallest rate counts.
//
// What the platform itself serves, DHCP and the resolver, crosses no link.
type Link struct {
	Ref // of the impairment, and where and which way it is
	// Key names the link from one snapshot to the next: one with the same key goes on
	// where the other was, with what waits in it, if its conditions are the same.
	Key        string
	Conditions impair.Conditions
	Seed       uint64 // of its random decisions

	state *linkState // the engine's, since Swap
}

// A Failure is why nothing goes in or out of a place.
type Failure struct {
	Ref           // what has failed: a zone, subnet, instance or NAT gateway
	Reason Reason // ZoneFailed, SubnetFailed, InstanceFailed or NATGatewayFailed
}

// A Cut is a link between two ends that has failed: nothing that comes from the one, be it
// by way of a gateway, arrives at the other.
type Cut struct {
	Ref
	Ends [2]CutEnd
}

// A CutEnd is an end of a Cut: exactly one member is set.
type CutEnd struct {
	Instance, Subnet, Zone string // IDs
	Internet               bool
}

// has tells whether the interface is of that end; nil is the Internet.
func (c *CutEnd) has(e *ENI) bool {
	switch {
	case e == nil:
		return c.Internet
	case c.Instance != "":
		return e.Instance.ID == c.Instance
	case c.Subnet != "":
		return e.Subnet.ID == c.Subnet
	}
	return c.Zone != "" && e.Subnet.Zone == c.Zone
}

func (c *Cut) between(a, b *ENI) bool {
	return c.Ends[0].has(a) && c.Ends[1].has(b) || c.Ends[1].has(a) && c.Ends[0].has(b)
}

// failed ends the walk at a place that has failed.
func (w *walk) failed(f *Failure) bool { return w.end(StageLink, f.Reason, f.Ref, Rule{}) }

// connected tells whether there is a way from where the packet comes, and from where it
// was put down last, to an interface; nil is the Internet.
func (w *walk) connected(to *ENI) bool {
	for i := range w.snap.Cuts {
		if c := &w.snap.Cuts[i]; c.between(w.in.ENI, to) || c.between(w.last, to) {
			return w.end(StageLink, LinkFailed, c.Ref, Rule{})
		}
	}
	return true
}

// enters is the way to an interface, before the stages of its side.
func (w *walk) enters(e *ENI) bool {
	if e.Failure != nil {
		return w.failed(e.Failure)
	}
	if len(w.snap.Cuts) > 0 && !w.connected(e) {
		return false
	}
	if w.snap.ZoneLinks != nil && w.last != nil {
		w.over(w.snap.ZoneLinks[[2]string{w.last.Subnet.Zone, e.Subnet.Zone}])
	}
	if w.crossed {
		w.over(e.Subnet.In)
	}
	return true
}

// leavesVPC is the way out of a VPC behind its Internet gateway.
func (w *walk) leavesVPC() bool {
	if len(w.snap.Cuts) > 0 && !w.connected(nil) {
		return false
	}
	w.over(w.snap.Internet.Out)
	return true
}

// over notes that the packet crosses a link, if there is one. Whether it survives that is
// decided when all else has been, as chance is none of the walk's business: what a flow log
// says of a packet does not depend on it.
func (w *walk) over(l *Link) {
	if l == nil {
		return
	}
	w.links = append(w.links, l)
	if w.loser == nil && l.Conditions.LosesAll() {
		w.loser = l
	}
	w.pass(StageLink, l.Ref, Rule{Link: l})
}

// lose ends a walk that would have ended well but for a link that loses everything.
func (w *walk) lose() { w.end(StageLink, LinkLoss, w.loser.Ref, Rule{Link: w.loser}) }

// failure is why nothing goes in or out there, nil for no reason.
func (p Place) failure() *Failure {
	switch {
	case p.ENI != nil:
		return p.ENI.Failure
	case p.Host != nil:
		return p.Host.Failure
	}
	return nil
}
