package topology

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// connect makes what leads traffic between the objects that now exist.
func (c *converger) connect() {
	c.attachments()
	c.elasticIpAssociations()
	for _, o := range c.f.RouteTables.List {
		c.routeTable(o)
	}
	c.routeTables()
	c.instanceStates()
	for _, o := range c.f.FlowLogs.List {
		c.flowLog(o)
	}
	c.links()
}

func (c *converger) routeTable(o *RouteTable) {
	c.at(&o.Head)
	id, present := c.present(&o.Head)
	if !present {
		id = string(call[vpc.CreateRouteTableOutput](c, &vpc.CreateRouteTableInput{VpcId: vpc.VpcID(c.refID("vpcs", o.Vpc.V)), TagSpecifications: c.tagged("route-table")}).RouteTable.RouteTableId)
		c.made(id)
	}
	if is := c.tx.RouteTables.Get(vpc.RouteTableID(id)); is != nil && c.err == nil {
		c.retag(id, is.Tags)
	}
	c.done()
}

// routeTables sets associations and routes. A table stops being a gateway's before
// its routes change, and becomes one after, as not every route suits it (RT-14).
func (c *converger) routeTables() {
	if c.err != nil {
		return
	}
	table := func(o *RouteTable) *vpc.RouteTable {
		return c.tx.RouteTables.Get(vpc.RouteTableID(c.id("route_tables", o.Name)))
	}
	notes := map[string][]string{}
	each := func(f func(o *RouteTable)) {
		for _, o := range c.f.RouteTables.List {
			if c.at(&o.Head); c.err == nil {
				f(o)
				notes[o.Name] = append(notes[o.Name], c.details...)
			}
		}
	}
	each(func(o *RouteTable) { c.leaveGateway(o, table(o)) })
	each(func(o *RouteTable) { c.routes(table(o).ID, o.Routes) })
	for _, v := range c.f.Vpcs.List {
		if c.at(&v.Head); c.err == nil {
			c.routes(c.ownTable(vpc.VpcID(c.id("vpcs", v.Name))), v.MainRouteTable.V.Routes)
			c.done()
		}
	}
	c.mainTables(notes)
	each(func(o *RouteTable) { c.joinGateway(o, table(o).ID) })
	c.subnetTables(notes)
	for _, o := range c.f.RouteTables.List {
		c.at(&o.Head)
		c.details = notes[o.Name]
		c.done()
	}
}

func (c *converger) leaveGateway(o *RouteTable, is *vpc.RouteTable) {
	for _, a := range is.Associations {
		if a.GatewayID != "" && string(a.GatewayID) != c.id("internet_gateways", o.Gateway.V) {
			call[vpc.DisassociateRouteTableOutput](c, &vpc.DisassociateRouteTableInput{AssociationId: a.ID})
			c.did("no longer of a gateway")
		}
	}
}

func (c *converger) joinGateway(o *RouteTable, id vpc.RouteTableID) {
	gateway := vpc.InternetGatewayID(c.id("internet_gateways", o.Gateway.V))
	if !o.Gateway.Set || slices.ContainsFunc(c.tx.RouteTables.Get(id).Associations, func(a vpc.RouteAssociation) bool { return a.GatewayID == gateway }) {
		return
	}
	c.line = o.Gateway.Line
	if a, other := c.association(func(a vpc.RouteAssociation) bool { return a.GatewayID == gateway }); other != "" {
		call[vpc.ReplaceRouteTableAssociationOutput](c, &vpc.ReplaceRouteTableAssociationInput{AssociationId: a, RouteTableId: id})
	} else {
		call[vpc.AssociateRouteTableOutput](c, &vpc.AssociateRouteTableInput{RouteTableId: id, GatewayId: gateway})
	}
	c.did("gateway %s", o.Gateway.V)
}

// association finds an association and the table that has it.
func (c *converger) association(is func(vpc.RouteAssociation) bool) (vpc.RouteAssociationID, vpc.RouteTableID) {
	for id, t := range c.tx.RouteTables.All() {
		for _, a := range t.Associations {
			if is(a) {
				return a.ID, id
			}
		}
	}
	return "", ""
}

// mainTables gives every VPC of the file the main table that it is to have: the
// one it was made with, unless the file says otherwise. The default VPC's changes
// only where the file says something.
func (c *converger) mainTables(notes map[string][]string) {
	type owner struct {
		table vpc.RouteTableID
		head  *Head
		line  int
	}
	want := map[vpc.VpcID]owner{}
	for _, v := range c.f.Vpcs.List {
		id := vpc.VpcID(c.id("vpcs", v.Name))
		want[id] = owner{c.ownTable(id), &v.Head, v.Line}
	}
	for _, o := range c.f.RouteTables.List {
		if o.Main.V {
			want[vpc.VpcID(c.refID("vpcs", o.Vpc.V))] = owner{vpc.RouteTableID(c.id("route_tables", o.Name)), &o.Head, o.Main.Line}
		}
	}
	if d := c.tx.DefaultVpc(); d != nil && want[d.ID].table == "" {
		if t := c.tx.MainRouteTable(d.ID); t != nil && strings.HasPrefix(t.Source, "route_tables.") {
			want[d.ID] = owner{table: c.ownTable(d.ID)}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		w := want[id]
		is := c.tx.MainRouteTable(id)
		if c.err != nil || is == nil || is.ID == w.table || w.table == "" {
			continue
		}
		if w.head != nil {
			c.at(w.head)
		}
		c.line = w.line
		a := slices.IndexFunc(is.Associations, func(a vpc.RouteAssociation) bool { return a.Main })
		call[vpc.ReplaceRouteTableAssociationOutput](c, &vpc.ReplaceRouteTableAssociationInput{AssociationId: is.Associations[a].ID, RouteTableId: w.table})
		switch c.did("main route table"); {
		case w.head == nil:
		case w.head.Kind == "route_tables":
			notes[w.head.Name] = append(notes[w.head.Name], c.details...)
		default:
			c.done()
		}
	}
}

// subnetTables ties subnets to the tables that the file names for them; the other
// subnets of the file go by the main table.
func (c *converger) subnetTables(notes map[string][]string) {
	want := map[string]*RouteTable{}
	lines := map[string]int{}
	for _, o := range c.f.RouteTables.List {
		for _, s := range o.Subnets.V {
			want[c.refID("subnets", s.V)], lines[c.refID("subnets", s.V)] = o, s.Line
		}
	}
	is := map[string]vpc.RouteAssociation{}
	table := map[string]*vpc.RouteTable{}
	for _, t := range c.tx.RouteTables.All() {
		for _, a := range t.Associations {
			if a.SubnetID != "" {
				is[string(a.SubnetID)], table[string(a.SubnetID)] = a, t
			}
		}
	}
	for _, s := range c.tx.Subnets.All() {
		id := string(s.ID)
		o, t := want[id], table[id]
		switch {
		case c.err != nil:
			return
		case o != nil:
			c.at(&o.Head)
			c.line = lines[id]
			wanted := vpc.RouteTableID(c.id("route_tables", o.Name))
			if t != nil && t.ID == wanted {
				continue
			}
			if t != nil {
				call[vpc.ReplaceRouteTableAssociationOutput](c, &vpc.ReplaceRouteTableAssociationInput{AssociationId: is[id].ID, RouteTableId: wanted})
			} else {
				call[vpc.AssociateRouteTableOutput](c, &vpc.AssociateRouteTableInput{RouteTableId: wanted, SubnetId: s.ID})
			}
			c.did("for subnet %s", c.nameOf(s.Source, id))
			notes[o.Name] = append(notes[o.Name], c.details...)
		case t != nil && (strings.HasPrefix(s.Source, "subnets.") || t.Source != ""):
			c.head, c.details = &Head{Kind: "subnets", Name: c.nameOf(s.Source, id), Line: c.f.lineOf("subnets", c.nameOf(s.Source, id))}, nil
			c.line, c.tx.Call.Source, c.tx.Call.Region = c.head.Line, s.Source, s.Region
			call[vpc.DisassociateRouteTableOutput](c, &vpc.DisassociateRouteTableInput{AssociationId: is[id].ID})
			c.did("main route table")
			c.done()
		}
	}
}

// nameOf is an object's name in the file, or its ID.
func (c *converger) nameOf(source, id string) string {
	if _, name, ok := strings.Cut(source, "."); ok {
		return name
	}
	return id
}

// routes makes the routes of a table what the file says, local ones included.
func (c *converger) routes(id vpc.RouteTableID, want List[Route]) {
	is := c.tx.RouteTables.Get(id)
	if c.err != nil || is == nil {
		return
	}
	wanted := map[netip.Prefix]bool{}
	for _, r := range want.V {
		wanted[r.V.CidrBlock.V] = true
	}
	for _, r := range is.Routes {
		switch {
		case wanted[r.DestinationCidrBlock]:
		case r.Origin != "CreateRouteTable":
			call[vpc.DeleteRouteOutput](c, &vpc.DeleteRouteInput{RouteTableId: id, DestinationCidrBlock: r.DestinationCidrBlock.String()})
			c.did("without route %s", r.DestinationCidrBlock)
		case !r.Local:
			call[vpc.ReplaceRouteOutput](c, &vpc.ReplaceRouteInput{RouteTableId: id, DestinationCidrBlock: r.DestinationCidrBlock.String(), LocalTarget: true})
			c.did("route %s to local", r.DestinationCidrBlock)
		}
	}
	for _, r := range want.V {
		c.line = r.Line
		i := slices.IndexFunc(is.Routes, func(o vpc.Route) bool { return o.DestinationCidrBlock == r.V.CidrBlock.V })
		var old *vpc.Route
		if i >= 0 {
			old = &is.Routes[i]
		}
		c.route(id, &r.V, old)
	}
}

func (c *converger) route(id vpc.RouteTableID, r *Route, old *vpc.Route) {
	dest := r.CidrBlock.V.String()
	local := r.Gateway.V == "local"
	want := vpc.Route{Local: local, NatGatewayID: vpc.NatGatewayID(c.id("nat_gateways", r.NatGateway.V)),
		NetworkInterfaceID: vpc.NetworkInterfaceID(c.id("network_interfaces", r.NetworkInterface.V)), InstanceID: vpc.InstanceID(c.id("instances", r.Instance.V))}
	if !local {
		want.GatewayID = vpc.InternetGatewayID(c.refID("internet_gateways", r.Gateway.V))
	}
	switch {
	case old == nil:
		in := &vpc.CreateRouteInput{RouteTableId: id, DestinationCidrBlock: dest, GatewayId: want.GatewayID, NatGatewayId: want.NatGatewayID, NetworkInterfaceId: want.NetworkInterfaceID, InstanceId: want.InstanceID}
		if local {
			in.GatewayId = "local"
		}
		call[vpc.CreateRouteOutput](c, in)
		c.did("route %s", dest)
	case c.sameTarget(&want, old):
	default:
		call[vpc.ReplaceRouteOutput](c, &vpc.ReplaceRouteInput{RouteTableId: id, DestinationCidrBlock: dest, LocalTarget: local, GatewayId: want.GatewayID,
			NatGatewayId: want.NatGatewayID, NetworkInterfaceId: want.NetworkInterfaceID, InstanceId: want.InstanceID})
		c.did("route %s", dest)
	}
}

func (c *converger) sameTarget(want, is *vpc.Route) bool {
	if want.InstanceID != "" { // stands for its interface (RT-11), which may have been another
		own := c.tx.InstanceInterfaces(want.InstanceID)
		return len(own) > 0 && own[0].ID == is.NetworkInterfaceID
	}
	return want.Local == is.Local && want.GatewayID == is.GatewayID && want.NatGatewayID == is.NatGatewayID && want.NetworkInterfaceID == is.NetworkInterfaceID
}
