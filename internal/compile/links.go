package compile

import (
	"fmt"
	"hash/fnv"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/impair"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// errPlace is of a place that cannot have what the object says; operations see to it.
func errPlace(kind, id string, p vpc.Place) error {
	return fmt.Errorf("%s %s: not of a place of type %q", kind, id, p.Type)
}

// makeLinks gives links their conditions.
func (c *compiler) makeLinks() error {
	for id, i := range c.m.Impairments.All() {
		egress, ingress := i.LinkNames(c.m)
		out := c.link(i, egress, "egress", i.Egress)
		in := c.link(i, ingress, "ingress", i.Ingress)
		switch of := i.Place.ID; i.Place.Type {
		case vpc.PlaceInstance:
			for _, e := range c.s.ENIs { // all of its interfaces share one link
				if e.Instance.ID == of {
					e.Out, e.In = out, in
				}
			}
		case vpc.PlaceSubnet:
			if s := c.subnets[vpc.SubnetID(of)]; s != nil {
				s.Out, s.In = out, in
			}
		case vpc.PlaceInternetHost:
			if h := c.host(of); h != nil {
				h.Out, h.In = out, in
			}
		case vpc.PlaceInternet:
			c.s.Internet.Out, c.s.Internet.In = out, in
		case vpc.PlaceZone:
			if c.s.ZoneLinks == nil {
				c.s.ZoneLinks = map[[2]string]*dataplane.Link{}
			}
			c.s.ZoneLinks[[2]string{i.To.ID, of}] = in
			c.s.ZoneLinks[[2]string{of, i.To.ID}] = out // within a zone this one
		default:
			return errPlace("impairment", string(id), i.Place)
		}
	}
	return nil
}

// link is nil for one that is perfect.
func (c *compiler) link(i *vpc.Impairment, name, direction string, conditions impair.Conditions) *dataplane.Link {
	if conditions.IsZero() {
		return nil
	}
	// Chance is the same in each lab of the name: what it is to be repeated for is the place,
	// which has a name, and not its ID.
	h := fnv.New64a()
	for _, s := range []string{c.m.Lab, i.Place.Type, c.m.PlaceName(i.Place), i.To.ID, direction} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return &dataplane.Link{Ref: ref(string(i.ID), name), Key: string(i.ID) + "/" + direction, Conditions: conditions, Seed: h.Sum64()}
}

// LinkKeys are the keys under which dataplane.Engine.Links knows the directions of an
// impairment.
func LinkKeys(id vpc.ImpairmentID) (egress, ingress string) {
	return string(id) + "/egress", string(id) + "/ingress"
}

func (c *compiler) host(id string) *dataplane.InternetHost {
	for _, h := range c.s.Internet.Hosts {
		if h.ID == id {
			return h
		}
	}
	return nil
}

// makeFailures says what does not work. Of an interface of which several things have failed,
// the largest is told of.
func (c *compiler) makeFailures() error {
	failed := map[vpc.Place]*dataplane.Failure{}
	for id, f := range c.m.Failures.All() {
		if f.To != (vpc.Place{}) {
			cut := dataplane.Cut{Ref: ref(string(id), f.Name(c.m))}
			for i, p := range []vpc.Place{f.Place, f.To} {
				switch p.Type {
				case vpc.PlaceInstance:
					cut.Ends[i].Instance = p.ID
				case vpc.PlaceSubnet:
					cut.Ends[i].Subnet = p.ID
				case vpc.PlaceZone:
					cut.Ends[i].Zone = p.ID
				case vpc.PlaceInternet:
					cut.Ends[i].Internet = true
				default:
					return errPlace("failure", string(id), p)
				}
			}
			c.s.Cuts = append(c.s.Cuts, cut)
			continue
		}
		reason, ok := failureReasons[f.Place.Type]
		if !ok {
			return errPlace("failure", string(id), f.Place)
		}
		failed[f.Place] = &dataplane.Failure{Ref: ref(string(id), f.Name(c.m)), Reason: reason}
	}
	if len(failed) > 0 {
		c.fail(failed)
	}
	return nil
}

var failureReasons = map[string]dataplane.Reason{
	vpc.PlaceZone: dataplane.ZoneFailed, vpc.PlaceSubnet: dataplane.SubnetFailed, vpc.PlaceInstance: dataplane.InstanceFailed,
	vpc.PlaceInternetHost: dataplane.InstanceFailed, vpc.PlaceNatGateway: dataplane.NATGatewayFailed,
}

func (c *compiler) fail(failed map[vpc.Place]*dataplane.Failure) {
	for _, e := range c.s.ENIs {
		for _, p := range []vpc.Place{{Type: vpc.PlaceInstance, ID: e.Instance.ID}, {Type: vpc.PlaceSubnet, ID: e.Subnet.ID}, {Type: vpc.PlaceZone, ID: e.Subnet.Zone}} {
			if f := failed[p]; f != nil {
				e.Failure = f
			}
		}
		if e.NAT != nil {
			e.NAT.Failure = failed[vpc.Place{Type: vpc.PlaceNatGateway, ID: e.NAT.ID}]
		}
	}
	for _, h := range c.s.Internet.Hosts {
		h.Failure = failed[vpc.Place{Type: vpc.PlaceInternetHost, ID: h.ID}]
	}
}
