package importer

import (
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/topology"
)

// listed tells whether a route table becomes one of the file's route_tables. The one that a VPC was made with does not:
// it comes with the VPC, as main_route_table. Which one that was, AWS does not tell; a main table without a name, tags or
// associations of its own is taken for it, otherwise an unused one of that kind.
func (c *converter) listed(t *rawRouteTable) bool { return c.ownTable(t.VpcId) != t }

// ownTable is the table that stands for the one that the VPC was made with, or nil.
func (c *converter) ownTable(vpc string) *rawRouteTable {
	var unused *rawRouteTable
	for _, t := range c.RouteTables {
		switch {
		case t.VpcId != vpc:
		case t.main() && c.plain(t):
			return t
		case t.main() && c.labDefault != nil && vpc == c.labDefault.VpcId:
			return t
		case !t.main() && c.plain(t) && unused == nil && !slices.ContainsFunc(t.Routes, func(r rawRoute) bool { return r.GatewayId != "local" }):
			unused = t
		}
	}
	return unused
}

// plain tells whether a table has nothing that only an entry of route_tables can say.
func (c *converter) plain(t *rawRouteTable) bool {
	return (t.origin.address == "" || t.own) && len(t.Tags) == 0 && len(t.subnets()) == 0 && t.gateway() == ""
}

func (t *rawRouteTable) subnets() (ids []string) {
	for _, a := range t.Associations {
		if a.SubnetId != "" && !strings.HasPrefix(a.AssociationState.State, "disassociat") {
			ids = append(ids, a.SubnetId)
		}
	}
	return ids
}

// gateway is the gateway whose inbound packets the table routes.
func (t *rawRouteTable) gateway() string {
	for _, a := range t.Associations {
		if a.GatewayId != "" && !strings.HasPrefix(a.AssociationState.State, "disassociat") {
			return a.GatewayId
		}
	}
	return ""
}

func (c *converter) convertRouteTables() {
	for _, t := range c.RouteTables {
		said := label(nameOf(t.Tags), t.RouteTableId, t.origin)
		for _, g := range t.PropagatingVgws {
			c.note("route table", said, "the routes that %s propagates: a lab has no VPN", g.GatewayId)
		}
		if !c.listed(t) {
			if v := c.vpcObject(t.VpcId); v != nil && t.main() {
				if r := c.routes(t, said); len(r.V) > 0 {
					v.MainRouteTable = set(topology.MainRouteTable{Routes: r})
				}
			} else {
				c.lost("route table", said, t.Tags)
			}
			continue
		}
		o := &topology.RouteTable{Vpc: set(c.names.by[t.VpcId])}
		c.begin(&o.Head, "route_tables", c.names.by[t.RouteTableId], t.RouteTableId, t.Tags, t.origin)
		o.Subnets = c.subnetNames(t.subnets())
		if t.main() {
			o.Main = set(true)
		}
		c.edge(t, o, said)
		if r := c.routes(t, said); len(r.V) > 0 {
			o.Routes = r
		}
		c.file.RouteTables.List = append(c.file.RouteTables.List, o)
	}
}

func (c *converter) edge(t *rawRouteTable, o *topology.RouteTable, said string) {
	for _, a := range t.Associations {
		if a.GatewayId == "" {
			continue
		}
		name, ok := c.names.of(a.GatewayId)
		switch {
		case ok && name != topology.DefaultName && !o.Gateway.Set && !t.main():
			o.Gateway = set(name)
		default:
			c.note("route table", said, "its association with %s: a lab has those with an Internet gateway of the file only, one a table", a.GatewayId)
		}
	}
}

// routes are those of a table that are not there by themselves.
func (c *converter) routes(t *rawRouteTable, said string) topology.List[topology.Route] {
	var l topology.List[topology.Route]
	six := 0
	for _, r := range t.Routes {
		dest, ok := ipv4(r.DestinationCidrBlock)
		switch {
		case r.DestinationPrefixListId != "":
			for _, cidr := range c.expandRoute(r, said) {
				one := r
				one.DestinationPrefixListId, one.DestinationCidrBlock = "", cidr
				if p, ok := ipv4(cidr); ok {
					l.V = c.route(l.V, t, one, topology.Route{CidrBlock: set(c.mapped(p, "route table", said))}, said)
				} else {
					six++
				}
			}
			continue
		case r.DestinationCidrBlock == "" && r.DestinationIpv6CidrBlock != "":
			if r.GatewayId != "local" {
				six++
			}
			continue
		case !ok:
			c.note("route table", said, "the destination %q of a route is no IPv4 range", printable(shorten(r.DestinationCidrBlock)))
			continue
		case r.GatewayId == "local" && c.isVpcRange(t.VpcId, dest.String()):
			continue
		}
		l.V = c.route(l.V, t, r, topology.Route{CidrBlock: set(c.mapped(dest, "route table", said))}, said)
	}
	if six > 0 {
		c.note("route table", said, "its IPv6 routes: a lab has no IPv6 yet")
	}
	l.Set = len(l.V) > 0
	return l
}

func (c *converter) expandRoute(r rawRoute, said string) []string {
	if strings.HasPrefix(r.GatewayId, "vpce-") {
		c.note("route table", said, "its route to the endpoint %s, for the prefix list %s: a lab has no endpoints. Such packets take another route, or none", r.GatewayId, r.DestinationPrefixListId)
		return nil
	}
	return c.expand(r.DestinationPrefixListId, "route table", said, "one of its routes")
}

func (c *converter) isVpcRange(vpc, cidr string) bool {
	return slices.ContainsFunc(c.Vpcs, func(v *rawVpc) bool { return v.VpcId == vpc && slices.Contains(v.associated(), cidr) })
}

// route adds the route if its target was brought over.
func (c *converter) route(routes []topology.Value[topology.Route], t *rawRouteTable, r rawRoute, o topology.Route, said string) []topology.Value[topology.Route] {
	dest := o.CidrBlock.V
	if slices.ContainsFunc(routes, func(v topology.Value[topology.Route]) bool { return v.V.CidrBlock.V == dest }) {
		return routes
	}
	if r.GatewayId == "local" {
		o.Gateway = set("local")
		return append(routes, set(o))
	}
	id := firstOf(r.NatGatewayId, r.NetworkInterfaceId, r.InstanceId, r.TransitGatewayId, r.VpcPeeringConnectionId, r.EgressOnlyInternetGatewayId,
		r.LocalGatewayId, r.CarrierGatewayId, r.CoreNetworkArn, r.OdbNetworkArn, r.VpcEndpoint, r.GatewayId)
	why := c.target(&o, r, t, id)
	if why == "" {
		return append(routes, set(o))
	}
	c.note("route table", said, "its route %s to %s: %s. Such packets take another route, or none", dest, firstOf(id, "nothing"), why)
	return routes
}

// target sets what the route leads to, or says why a lab cannot have it.
func (c *converter) target(o *topology.Route, r rawRoute, t *rawRouteTable, id string) string {
	name, there := c.names.of(id)
	kind, _, _ := strings.Cut(id, "-")
	blackhole := "it is no more (the route is in state blackhole)"
	if r.State != "blackhole" {
		blackhole = "it is not in what was read, or was not brought over"
	}
	switch {
	case r.NatGatewayId != "" && there:
		o.NatGateway = set(name)
	case r.NatGatewayId != "":
		return blackhole
	case r.NetworkInterfaceId != "" || r.InstanceId != "":
		return c.machineTarget(o, r, blackhole)
	case c.attached(id, t.VpcId):
		o.Gateway = set(name)
	case c.isGateway(id):
		return "it is attached to no VPC, or another one"
	case kind == "igw":
		return blackhole
	case kind == "tgw":
		return "a lab has no transit gateways yet"
	case kind == "pcx":
		return "a lab has no peering yet"
	case kind == "vgw" && r.Origin == "EnableVgwRoutePropagation":
		return "a lab has no VPN, whose gateway propagated it"
	case kind == "vgw":
		return "a lab has no VPN"
	case kind == "vpce":
		return "a lab has no endpoints"
	case kind == "eigw":
		return "a lab has no IPv6 yet"
	case kind == "lgw", kind == "cagw":
		return "a lab has no Outposts and no Wavelength zones"
	case id == "":
		return "what was read does not tell its target"
	default:
		return "a lab has no such thing"
	}
	return ""
}

func (c *converter) isGateway(id string) bool {
	return slices.ContainsFunc(c.InternetGateways, func(g *rawInternetGateway) bool { return g.InternetGatewayId == id })
}

func (c *converter) attached(gateway, vpc string) bool {
	return slices.ContainsFunc(c.InternetGateways, func(g *rawInternetGateway) bool { return g.InternetGatewayId == gateway && g.vpc() == vpc })
}

// machineTarget is an interface. The first interface of an instance has no name of its own in a topology file: the route
// names the instance, which then may have no other interface, as on AWS.
func (c *converter) machineTarget(o *topology.Route, r rawRoute, blackhole string) string {
	if name, ok := c.names.of(r.NetworkInterfaceId); ok {
		o.NetworkInterface = set(name)
		return ""
	}
	instance := r.InstanceId
	for id, p := range c.primaries {
		if r.NetworkInterfaceId != "" && p.NetworkInterfaceId == r.NetworkInterfaceId {
			instance = id
		}
	}
	name, ok := c.names.of(instance)
	switch {
	case !ok:
		if n := c.networkInterface(r.NetworkInterfaceId); n != nil && n.managed() {
			return "it is the interface of an AWS service"
		}
		return blackhole
	case slices.ContainsFunc(c.file.NetworkInterfaces.List, func(n *topology.NetworkInterface) bool { return n.Attachment.V.Instance.V == name }):
		return "it is the first interface of an instance with several, which a topology file cannot name"
	}
	o.Instance = set(name)
	return ""
}
