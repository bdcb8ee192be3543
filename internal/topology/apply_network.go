package topology

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// tagsOf are the tags that the object at hand is to have.
func (c *converger) tagsOf() map[string]string {
	tags := maps.Clone(c.head.Tags.V)
	if tags == nil {
		tags = map[string]string{}
	}
	tags["Name"] = c.head.Name
	return tags
}

// tagged is the tag specification for creating the object at hand.
func (c *converger) tagged(resource string) []vpc.TagSpecification {
	return []vpc.TagSpecification{{ResourceType: resource, Tags: tagList(c.tagsOf())}}
}

func tagList(tags map[string]string) (list []vpc.Tag) {
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, vpc.Tag{Key: k, Value: tags[k]})
	}
	return list
}

// retag makes the tags of an object what they are to be.
func (c *converger) retag(id string, is map[string]string) {
	want := c.tagsOf()
	if maps.Equal(is, want) {
		return
	}
	resources := []vpc.ResourceID{vpc.ResourceID(id)}
	var extra []vpc.DeleteTag
	for _, k := range slices.Sorted(maps.Keys(is)) {
		if _, keep := want[k]; !keep {
			extra = append(extra, vpc.DeleteTag{Key: k})
		}
	}
	if len(extra) > 0 {
		call[vpc.DeleteTagsOutput](c, &vpc.DeleteTagsInput{Resources: resources, Tags: extra})
	}
	call[vpc.CreateTagsOutput](c, &vpc.CreateTagsInput{Resources: resources, Tags: tagList(want)})
	c.did("tags")
}

func boolean(b bool) vpc.AttributeBooleanValue { return vpc.AttributeBooleanValue{Value: &b} }

// defaultVpc makes the region's default VPC where the file wants it.
func (c *converger) defaultVpc() {
	if c.err != nil || !c.f.DefaultVpc.V || c.tx.DefaultVpc() != nil {
		return
	}
	c.head, c.line = nil, c.f.DefaultVpc.Line
	c.tx.Call.Source = defaultVpcSource
	call[vpc.CreateDefaultVpcOutput](c, &vpc.CreateDefaultVpcInput{})
	c.changes = append(c.changes, Change{Create, "vpc", DefaultName, "the default VPC"})
}

// network makes VPCs, what is in them without addresses of its own, and what they need.
func (c *converger) network() {
	for _, o := range c.f.DhcpOptions.List {
		c.dhcpOptions(o)
	}
	for _, o := range c.f.KeyPairs.List {
		c.keyPair(o)
	}
	for _, o := range c.f.Vpcs.List {
		c.vpc(o)
	}
	for _, o := range c.f.Subnets.List {
		c.subnet(o)
	}
	c.internetGateways()
	for _, o := range c.f.SecurityGroups.List {
		c.securityGroup(o)
	}
	c.groupRules() // after all groups: they name one another
	for _, o := range c.f.NetworkAcls.List {
		c.networkAcl(o)
	}
	c.aclAssociations()
}

func (c *converger) dhcpOptions(o *DhcpOptions) {
	c.at(&o.Head)
	if id, ok := c.present(&o.Head); ok {
		c.retag(id, c.tx.DhcpOptions.Get(vpc.DhcpOptionsID(id)).Tags)
		c.done()
		return
	}
	in := &vpc.CreateDhcpOptionsInput{TagSpecifications: c.tagged("dhcp-options")}
	add := func(key string, v ...string) {
		if len(v) > 0 && v[0] != "" {
			in.DhcpConfigurations = append(in.DhcpConfigurations, vpc.NewDhcpConfiguration{Key: key, Values: v})
		}
	}
	add("domain-name", o.DomainName.V)
	add("domain-name-servers", values(o.DomainNameServers)...)
	add("ntp-servers", values(o.NtpServers)...)
	add("netbios-name-servers", values(o.NetbiosNameServers)...)
	if o.NetbiosNodeType.Set {
		add("netbios-node-type", fmt.Sprint(o.NetbiosNodeType.V))
	}
	c.made(string(call[vpc.CreateDhcpOptionsOutput](c, in).DhcpOptions.DhcpOptionsId))
}

// keyPair imports a public key, or one just made: its private half goes to
// whoever converges. A pair that exists is left alone, so that it is made once.
func (c *converger) keyPair(o *KeyPair) {
	c.at(&o.Head)
	if id, ok := c.present(&o.Head); ok {
		is := c.tx.KeyPairs.Get(id)
		c.retag(string(is.ID), is.Tags)
		c.done()
		return
	}
	public := o.PublicKey.V
	if !o.PublicKey.Set && c.err == nil {
		var private []byte
		var err error
		if public, private, err = c.newKey(o.Name); err != nil {
			c.fail(o.Line, &o.Head, fmt.Errorf("making a key: %w", err))
		}
		c.keys[o.Name] = private
	}
	call[vpc.ImportKeyPairOutput](c, &vpc.ImportKeyPairInput{KeyName: o.Name, PublicKeyMaterial: []byte(public), TagSpecifications: c.tagged("key-pair")})
	c.made(o.Name)
}

func (c *converger) vpc(o *Vpc) {
	c.at(&o.Head)
	text, present := c.present(&o.Head)
	if !present {
		out := call[vpc.CreateVpcOutput](c, &vpc.CreateVpcInput{CidrBlock: o.CidrBlock.V.String(), InstanceTenancy: o.InstanceTenancy.V, TagSpecifications: c.tagged("vpc")})
		text = string(out.Vpc.VpcId)
		c.made(text)
	}
	id := vpc.VpcID(text)
	is := c.tx.Vpcs.Get(id)
	if c.err != nil || is == nil {
		return
	}
	c.retag(text, is.Tags)
	if is.InstanceTenancy != o.InstanceTenancy.V {
		call[vpc.ModifyVpcTenancyOutput](c, &vpc.ModifyVpcTenancyInput{VpcId: id, InstanceTenancy: o.InstanceTenancy.V})
		c.did("instance_tenancy")
	}
	c.secondaryBlocks(o, is)
	c.dnsAttributes(o, is)
	if want := c.dhcpOptionsOf(o); is.DhcpOptionsID != want && (is.DhcpOptionsID != "" || want != noDhcpOptions) {
		c.line = max(o.DhcpOptions.Line, o.Line)
		call[vpc.AssociateDhcpOptionsOutput](c, &vpc.AssociateDhcpOptionsInput{DhcpOptionsId: want, VpcId: id})
		c.did("dhcp_options")
	}
	c.done()
}

func (c *converger) secondaryBlocks(o *Vpc, is *vpc.Vpc) {
	want := values(o.SecondaryCidrBlocks)
	for _, a := range is.Cidrs[1:] {
		if !slices.Contains(want, a.CidrBlock) {
			call[vpc.DisassociateVpcCidrBlockOutput](c, &vpc.DisassociateVpcCidrBlockInput{AssociationId: a.ID})
			c.did("secondary_cidr_blocks: without %s", a.CidrBlock)
		}
	}
	for _, b := range o.SecondaryCidrBlocks.V {
		if !slices.ContainsFunc(is.Cidrs, func(a vpc.CidrAssociation) bool { return a.CidrBlock == b.V }) {
			c.line = b.Line
			call[vpc.AssociateVpcCidrBlockOutput](c, &vpc.AssociateVpcCidrBlockInput{VpcId: is.ID, CidrBlock: b.V.String()})
			c.did("secondary_cidr_blocks: with %s", b.V)
		}
	}
	c.line = o.Line
}

// dnsAttributes sets them in the order that DNS-04 allows.
func (c *converger) dnsAttributes(o *Vpc, is *vpc.Vpc) {
	support := func() {
		if is.EnableDnsSupport != o.EnableDnsSupport.V {
			call[vpc.ModifyVpcAttributeOutput](c, &vpc.ModifyVpcAttributeInput{VpcId: is.ID, EnableDnsSupport: boolean(o.EnableDnsSupport.V)})
			c.did("enable_dns_support")
		}
	}
	if o.EnableDnsSupport.V {
		support()
	}
	if is.EnableDnsHostnames != o.EnableDnsHostnames.V {
		call[vpc.ModifyVpcAttributeOutput](c, &vpc.ModifyVpcAttributeInput{VpcId: is.ID, EnableDnsHostnames: boolean(o.EnableDnsHostnames.V)})
		c.did("enable_dns_hostnames")
	}
	if !o.EnableDnsSupport.V {
		support()
	}
}

// noDhcpOptions is the API's ID for no option set at all (DH-02).
const noDhcpOptions vpc.DhcpOptionsID = "default"

func (c *converger) dhcpOptionsOf(o *Vpc) vpc.DhcpOptionsID {
	switch o.DhcpOptions.V {
	case "":
		return c.tx.DefaultDhcpOptionsID
	case "none":
		return noDhcpOptions
	}
	return vpc.DhcpOptionsID(c.id("dhcp_options", o.DhcpOptions.V))
}

func (c *converger) subnet(o *Subnet) {
	c.at(&o.Head)
	text, present := c.present(&o.Head)
	if !present {
		out := call[vpc.CreateSubnetOutput](c, &vpc.CreateSubnetInput{VpcId: vpc.VpcID(c.refID("vpcs", o.Vpc.V)),
			CidrBlock: o.CidrBlock.V.String(), AvailabilityZone: o.AvailabilityZone.V, TagSpecifications: c.tagged("subnet")})
		text = string(out.Subnet.SubnetId)
		c.made(text)
	}
	is := c.tx.Subnets.Get(vpc.SubnetID(text))
	if c.err != nil || is == nil {
		return
	}
	c.retag(text, is.Tags)
	if is.MapPublicIpOnLaunch != o.MapPublicIpOnLaunch.V {
		call[vpc.ModifySubnetAttributeOutput](c, &vpc.ModifySubnetAttributeInput{SubnetId: is.ID, MapPublicIpOnLaunch: boolean(o.MapPublicIpOnLaunch.V)})
		c.did("map_public_ip_on_launch")
	}
	c.done()
}

// internetGateways are all detached from where they do not belong before one is
// attached: two may change places.
func (c *converger) internetGateways() {
	moved := map[string]bool{}
	for _, o := range c.f.InternetGateways.List {
		c.at(&o.Head)
		id, present := c.present(&o.Head)
		if !present {
			id = string(call[vpc.CreateInternetGatewayOutput](c, &vpc.CreateInternetGatewayInput{TagSpecifications: c.tagged("internet-gateway")}).InternetGateway.InternetGatewayId)
			c.made(id)
			continue
		}
		is := c.tx.InternetGateways.Get(vpc.InternetGatewayID(id))
		if is.VpcID != "" && string(is.VpcID) != c.refID("vpcs", o.Vpc.V) {
			c.line = max(o.Vpc.Line, o.Line)
			c.detachGateway(is)
			moved[o.Name] = true
		}
	}
	for _, o := range c.f.InternetGateways.List {
		c.at(&o.Head)
		is := c.tx.InternetGateways.Get(vpc.InternetGatewayID(c.id("internet_gateways", o.Name)))
		if c.err != nil || is == nil {
			return
		}
		c.retag(string(is.ID), is.Tags)
		if want := vpc.VpcID(c.refID("vpcs", o.Vpc.V)); want != is.VpcID {
			c.line = o.Vpc.Line
			call[vpc.AttachInternetGatewayOutput](c, &vpc.AttachInternetGatewayInput{InternetGatewayId: is.ID, VpcId: want})
			c.did("attached to vpc %s", o.Vpc.V)
		} else if moved[o.Name] {
			c.did("detached")
		}
		c.done()
	}
}

// connect makes what leads traffic between the objects that now exist.
func (c *converger) connect() {
	c.attachments()
	c.elasticIpAssociations()
	for _, o := range c.f.RouteTables.List {
		c.routeTable(o)
	}
	c.routeTables()
	c.instanceStates()
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
			c.line, c.tx.Call.Source = c.head.Line, s.Source
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
	if want.InstanceID != "" { // kept with its interface (RT-11), which may have been another
		own := c.tx.InstanceInterfaces(want.InstanceID)
		return is.InstanceID == want.InstanceID && len(own) > 0 && own[0].ID == is.NetworkInterfaceID
	}
	return want.Local == is.Local && want.GatewayID == is.GatewayID && want.NatGatewayID == is.NatGatewayID &&
		want.NetworkInterfaceID == is.NetworkInterfaceID && is.InstanceID == ""
}
