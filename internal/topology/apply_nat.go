package topology

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// natAddress is a secondary address that a NAT gateway is to have.
type natAddress struct {
	name       string // of its Elastic IP, "" for a private gateway
	allocation vpc.AllocationID
	private    netip.Addr // invalid for any
	line       int
}

func (a natAddress) is(e vpc.NatGatewayAddress) bool {
	return e.AllocationID == a.allocation && (!a.private.IsValid() || a.private == e.PrivateIp)
}

func (a natAddress) String() string {
	if a.name != "" {
		return a.name
	}
	return a.private.String()
}

// natAddresses are the secondary ones that the file gives a NAT gateway.
func (c *converger) natAddresses(o *NatGateway) (list []natAddress) {
	for i, v := range o.SecondaryElasticIps.V {
		a := natAddress{name: v.V, allocation: vpc.AllocationID(c.id("elastic_ips", v.V)), line: v.Line}
		if i < len(o.SecondaryPrivateIps.V) {
			a.private = o.SecondaryPrivateIps.V[i].V
		}
		list = append(list, a)
	}
	if len(list) == 0 {
		for _, v := range o.SecondaryPrivateIps.V {
			list = append(list, natAddress{private: v.V, line: v.Line})
		}
	}
	return list
}

func (c *converger) secondaryElasticIps(o *NatGateway) (ids []vpc.AllocationID) {
	for _, v := range o.SecondaryElasticIps.V {
		ids = append(ids, vpc.AllocationID(c.id("elastic_ips", v.V)))
	}
	return ids
}

func texts(l List[netip.Addr]) (list []string) {
	for _, a := range l.V {
		list = append(list, a.V.String())
	}
	return list
}

// leaveNatGateways takes from all NAT gateways the secondary addresses that the file does not give them, before anything
// takes an address: one may go from here to there.
func (c *converger) leaveNatGateways() {
	for _, o := range c.f.NatGateways.List {
		c.at(&o.Head)
		id, present := c.present(&o.Head)
		g := c.tx.NatGateways.Get(vpc.NatGatewayID(id))
		if c.err != nil || !present || g == nil {
			continue
		}
		want := c.natAddresses(o)
		for _, e := range g.Addresses {
			wanted := slices.ContainsFunc(want, func(a natAddress) bool { return a.is(e) })
			if e.IsPrimary || wanted != e.Draining() && !c.wantedElsewhere(o, e) {
				continue
			}
			c.leaveNatGateway(g, e)
			c.did("without %s", e.PrivateIp)
		}
		c.done()
	}
}

// wantedElsewhere tells whether the file gives the Elastic IP of a draining address to something else.
func (c *converger) wantedElsewhere(of *NatGateway, e vpc.NatGatewayAddress) bool {
	a := c.tx.Addresses.Get(e.AllocationID)
	if a == nil || !e.Draining() {
		return false
	}
	_, name, _ := strings.Cut(a.Source, ".")
	o := c.f.ElasticIps.Get(name)
	return o != nil && (o.Instance.Set || o.NetworkInterface.Set || slices.ContainsFunc(c.f.NatGateways.List, func(n *NatGateway) bool { return n != of && n.has(name) }))
}

// leaveNatGateway takes one address from the gateway, at once: what it drains for is over.
func (c *converger) leaveNatGateway(g *vpc.NatGateway, e vpc.NatGatewayAddress) {
	switch {
	case e.Draining():
	case e.AssociationID != "":
		call[vpc.DisassociateNatGatewayAddressOutput](c, &vpc.DisassociateNatGatewayAddressInput{NatGatewayId: g.ID, AssociationIds: []vpc.AddressAssocID{e.AssociationID}})
	default:
		call[vpc.UnassignPrivateNatGatewayAddressOutput](c, &vpc.UnassignPrivateNatGatewayAddressInput{NatGatewayId: g.ID, PrivateIpAddresses: []string{e.PrivateIp.String()}})
	}
	if c.err == nil {
		c.tx.NatAddressIdle(g.ID, e.PrivateIp)
	}
}

// joinNatGateway gives a NAT gateway the secondary addresses that it lacks.
func (c *converger) joinNatGateway(o *NatGateway, g *vpc.NatGateway) {
	for _, a := range c.natAddresses(o) {
		if slices.ContainsFunc(g.Addresses, a.is) {
			continue
		}
		c.line = a.line
		var private []string
		if a.private.IsValid() {
			private = []string{a.private.String()}
		}
		if a.allocation != "" {
			call[vpc.AssociateNatGatewayAddressOutput](c, &vpc.AssociateNatGatewayAddressInput{NatGatewayId: g.ID, AllocationIds: []vpc.AllocationID{a.allocation}, PrivateIpAddresses: private})
		} else {
			call[vpc.AssignPrivateNatGatewayAddressOutput](c, &vpc.AssignPrivateNatGatewayAddressInput{NatGatewayId: g.ID, PrivateIpAddresses: private})
		}
		c.did("with %s", a)
	}
}
