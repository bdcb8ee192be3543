package importer

import (
	"slices"
	"strings"
)

// tfConverters turn resources into objects, by type. Attributes are those of the provider's versions 4 to 6.
var tfConverters map[string]func(*tfReader, *tfResource)

func init() {
	tfConverters = map[string]func(*tfReader, *tfResource){
		"aws_vpc":                             (*tfReader).tfVpc,
		"aws_default_vpc":                     (*tfReader).tfVpc,
		"aws_vpc_ipv4_cidr_block_association": (*tfReader).tfCidr,
		"aws_subnet":                          (*tfReader).tfSubnet,
		"aws_ec2_subnet_cidr_reservation":     (*tfReader).tfCidrReservation,
		"aws_default_subnet":                  (*tfReader).tfSubnet,
		"aws_internet_gateway":                (*tfReader).tfInternetGateway,
		"aws_internet_gateway_attachment":     (*tfReader).tfGatewayAttachment,
		"aws_route_table":                     (*tfReader).tfRouteTable,
		"aws_default_route_table":             (*tfReader).tfRouteTable,
		"aws_route":                           (*tfReader).tfRoute,
		"aws_route_table_association":         (*tfReader).tfTableAssociation,
		"aws_main_route_table_association":    (*tfReader).tfTableAssociation,
		"aws_vpn_gateway_route_propagation":   (*tfReader).tfPropagation,
		"aws_vpc_dhcp_options":                (*tfReader).tfDhcpOptions,
		"aws_vpc_dhcp_options_association":    (*tfReader).tfDhcpAssociation,
		"aws_security_group":                  (*tfReader).tfGroup,
		"aws_default_security_group":          (*tfReader).tfGroup,
		"aws_security_group_rule":             (*tfReader).tfOldRule,
		"aws_vpc_security_group_ingress_rule": (*tfReader).tfRule,
		"aws_vpc_security_group_egress_rule":  (*tfReader).tfRule,
		"aws_network_acl":                     (*tfReader).tfAcl,
		"aws_default_network_acl":             (*tfReader).tfAcl,
		"aws_network_acl_rule":                (*tfReader).tfAclRule,
		"aws_network_acl_association":         (*tfReader).tfAclAssociation,
		"aws_ec2_managed_prefix_list":         (*tfReader).tfPrefixList,
		"aws_ec2_managed_prefix_list_entry":   (*tfReader).tfPrefixListEntry,
		"aws_eip":                             (*tfReader).tfAddress,
		"aws_eip_association":                 (*tfReader).tfAddressAssociation,
		"aws_nat_gateway":                     (*tfReader).tfNatGateway,
		"aws_nat_gateway_eip_association":     (*tfReader).tfNatAssociation,
		"aws_key_pair":                        (*tfReader).tfKeyPair,
		"aws_network_interface":               (*tfReader).tfInterface,
		"aws_network_interface_attachment":    (*tfReader).tfAttachment,
		"aws_network_interface_sg_attachment": (*tfReader).tfGroupAttachment,
		"aws_instance":                        (*tfReader).tfInstance,
		"aws_spot_instance_request":           (*tfReader).tfInstance,
		"aws_ec2_instance_state":              (*tfReader).tfInstanceState,
		"aws_flow_log":                        (*tfReader).tfFlowLog,
	}
}

func (t *tfReader) tfVpc(r *tfResource) {
	id := r.id()
	if t.vpc(id) != nil { // a data source beside the resource
		return
	}
	v := &rawVpc{VpcId: id, CidrBlock: r.str("cidr_block"), InstanceTenancy: r.str("instance_tenancy"), DhcpOptionsId: r.str("dhcp_options_id"), OwnerId: r.str("owner_id"),
		IsDefault: r.Type == "aws_default_vpc" || r.is("default"), Tags: r.tags(), ownGroup: r.str("default_security_group_id"), mainTable: r.str("main_route_table_id"), origin: t.from(r)}
	if six := r.str("ipv6_cidr_block"); six != "" || r.is("assign_generated_ipv6_cidr_block") {
		v.Ipv6CidrBlockAssociationSet = append(v.Ipv6CidrBlockAssociationSet, rawIpv6Block{Ipv6CidrBlock: firstOf(six, "(generated)")})
	}
	for _, b := range r.blocks("cidr_block_associations") { // of a data source
		if state := b.str("state"); state == "" || state == "associated" {
			v.CidrBlockAssociationSet = append(v.CidrBlockAssociationSet, rawCidrBlock{CidrBlock: b.str("cidr_block")})
		}
	}
	t.Vpcs = append(t.Vpcs, v)
	t.vpcAttributes[id] = vpcAttributes{r.boolean("enable_dns_hostnames"), r.boolean("enable_dns_support")}
	if table := r.str("default_route_table_id"); table != "" {
		t.ownTables[table] = id
	}
	if acl := r.str("default_network_acl_id"); acl != "" {
		t.ownAcls[acl] = id
	}
	if t.plan != nil && r.Mode != "data" {
		t.ownAcls[id+"#default_network_acl_id"] = id
		v.ownGroup = firstOf(v.ownGroup, id+"#default_security_group_id")
		t.ownTables[id+"#default_route_table_id"], t.ownTables[id+"#main_route_table_id"] = id, id
	}
}

// mainTables marks the tables that VPCs say are theirs, where no association does.
func (t *tfReader) mainTables() {
	for _, v := range t.Vpcs {
		if slices.ContainsFunc(t.RouteTables, func(x *rawRouteTable) bool { return x.VpcId == v.VpcId && x.main() }) {
			continue
		}
		for _, x := range t.RouteTables {
			if x.VpcId == v.VpcId && (x.RouteTableId == v.mainTable || v.mainTable == "" && x.own) {
				x.Associations = append(x.Associations, rawAssociation{Main: true})
				break
			}
		}
	}
}

func (t *tfReader) tfCidr(r *tfResource) {
	t.later = append(t.later, func() {
		if v := t.vpc(r.str("vpc_id")); v != nil {
			v.CidrBlockAssociationSet = append(v.CidrBlockAssociationSet, rawCidrBlock{CidrBlock: r.str("cidr_block")})
		}
	})
}

func (t *tfReader) tfSubnet(r *tfResource) {
	if t.subnet(r.id()) != nil {
		return
	}
	s := &rawSubnet{SubnetId: r.id(), VpcId: r.str("vpc_id"), CidrBlock: r.str("cidr_block"), AvailabilityZone: r.str("availability_zone"), SubnetArn: r.str("arn"),
		OwnerId: r.str("owner_id"), DefaultForAz: r.Type == "aws_default_subnet" || r.is("default_for_az"), MapPublicIpOnLaunch: r.is("map_public_ip_on_launch"), Tags: r.tags(), origin: t.from(r)}
	if six := r.str("ipv6_cidr_block"); six != "" {
		s.Ipv6CidrBlockAssociationSet = append(s.Ipv6CidrBlockAssociationSet, struct{ Ipv6CidrBlock string }{six})
	}
	if r.Type == "aws_default_subnet" { // a plan tells its zone alone
		s.MapPublicIpOnLaunch = s.MapPublicIpOnLaunch || r.boolean("map_public_ip_on_launch") == nil
		t.later = append(t.later, func() {
			for _, v := range t.Vpcs {
				if v.IsDefault && s.VpcId == "" {
					s.VpcId = v.VpcId
				}
			}
		})
	}
	s.PrivateDnsNameOptionsOnLaunch.HostnameType = r.str("private_dns_hostname_type_on_launch")
	s.PrivateDnsNameOptionsOnLaunch.EnableResourceNameDnsARecord = r.is("enable_resource_name_dns_a_record_on_launch")
	t.Subnets = append(t.Subnets, s)
}

func (t *tfReader) tfCidrReservation(r *tfResource) {
	t.CidrReservations = append(t.CidrReservations, &rawCidrReservation{SubnetCidrReservationId: r.id(), SubnetId: r.str("subnet_id"), Cidr: r.str("cidr_block"),
		ReservationType: r.str("reservation_type"), Description: r.str("description"), origin: t.from(r)})
}

func (t *tfReader) tfInternetGateway(r *tfResource) {
	t.has["InternetGateways"] = true
	g := &rawInternetGateway{InternetGatewayId: r.id(), OwnerId: r.str("owner_id"), Tags: r.tags(), origin: t.from(r)}
	if v := r.str("vpc_id"); v != "" {
		g.Attachments = append(g.Attachments, struct{ VpcId, State string }{v, "available"})
	}
	t.InternetGateways = append(t.InternetGateways, g)
}

func (t *tfReader) tfGatewayAttachment(r *tfResource) {
	t.later = append(t.later, func() {
		for _, g := range t.InternetGateways {
			if g.InternetGatewayId == r.str("internet_gateway_id") && g.vpc() == "" {
				g.Attachments = append(g.Attachments, struct{ VpcId, State string }{r.str("vpc_id"), "available"})
			}
		}
	})
}

func (t *tfReader) tfRouteTable(r *tfResource) {
	table := &rawRouteTable{RouteTableId: r.id(), VpcId: r.str("vpc_id"), OwnerId: r.str("owner_id"), Tags: r.tags(), origin: t.from(r), own: r.Type == "aws_default_route_table"}
	if table.own {
		table.RouteTableId = firstOf(r.str("default_route_table_id"), r.id())
		t.later = append(t.later, func() { table.VpcId = firstOf(table.VpcId, t.ownTables[table.RouteTableId]) })
	}
	for _, b := range r.blocks("route") {
		if route := tfTarget(b); route.DestinationCidrBlock+route.DestinationIpv6CidrBlock+route.DestinationPrefixListId != "" {
			table.Routes = append(table.Routes, route)
		}
	}
	for _, vgw := range r.strs("propagating_vgws") {
		table.PropagatingVgws = append(table.PropagatingVgws, struct{ GatewayId string }{vgw})
	}
	t.RouteTables = append(t.RouteTables, table)
}

// tfTarget is a route block, or an aws_route: their attributes differ in how the destination is called.
func tfTarget(b *tfResource) rawRoute {
	return rawRoute{
		DestinationCidrBlock:     firstOf(b.str("destination_cidr_block"), b.str("cidr_block")),
		DestinationIpv6CidrBlock: firstOf(b.str("destination_ipv6_cidr_block"), b.str("ipv6_cidr_block")),
		DestinationPrefixListId:  b.str("destination_prefix_list_id"),
		GatewayId:                b.str("gateway_id"), NatGatewayId: b.str("nat_gateway_id"), InstanceId: b.str("instance_id"), NetworkInterfaceId: b.str("network_interface_id"),
		TransitGatewayId: b.str("transit_gateway_id"), VpcPeeringConnectionId: b.str("vpc_peering_connection_id"), EgressOnlyInternetGatewayId: b.str("egress_only_gateway_id"),
		LocalGatewayId: b.str("local_gateway_id"), CarrierGatewayId: b.str("carrier_gateway_id"), CoreNetworkArn: b.str("core_network_arn"), OdbNetworkArn: b.str("odb_network_arn"),
		VpcEndpoint: b.str("vpc_endpoint_id"), State: b.str("state"), Origin: b.str("origin"),
	}
}

// table is the one with the ID; that of a VPC which Terraform does not manage itself comes into being when it is named.
func (t *tfReader) table(id string) *rawRouteTable {
	if table := byID(t.RouteTables, id, func(x *rawRouteTable) string { return x.RouteTableId }); table != nil {
		return table
	}
	v := t.vpc(t.ownTables[id])
	if v == nil {
		return nil
	}
	table := &rawRouteTable{RouteTableId: id, VpcId: v.VpcId, own: true, origin: origin{region: v.region}}
	t.RouteTables = append(t.RouteTables, table)
	return table
}

func (t *tfReader) tfRoute(r *tfResource) {
	t.later = append(t.later, func() {
		if table := t.table(r.str("route_table_id")); table != nil {
			table.Routes = append(table.Routes, tfTarget(r))
		} else {
			t.missing(r, "route table", r.str("route_table_id"))
		}
	})
}

func (t *tfReader) tfTableAssociation(r *tfResource) {
	t.later = append(t.later, func() {
		table := t.table(r.str("route_table_id"))
		if table == nil {
			t.missing(r, "route table", r.str("route_table_id"))
			return
		}
		table.Associations = append(table.Associations, rawAssociation{Main: r.Type == "aws_main_route_table_association", SubnetId: r.str("subnet_id"), GatewayId: r.str("gateway_id")})
	})
}

func (t *tfReader) tfPropagation(r *tfResource) {
	t.notes.add("route table", r.str("route_table_id"), "the routes that %s propagates: a lab has no VPN", r.str("vpn_gateway_id"))
}

func (t *tfReader) tfDhcpOptions(r *tfResource) {
	d := &rawDhcpOptions{DhcpOptionsId: r.id(), Tags: r.tags(), origin: t.from(r)}
	add := func(key string, values ...string) {
		if len(values) == 0 || values[0] == "" {
			return
		}
		o := rawDhcpOption{Key: key}
		for _, v := range values {
			o.Values = append(o.Values, struct{ Value string }{v})
		}
		d.DhcpConfigurations = append(d.DhcpConfigurations, o)
	}
	add("domain-name", r.str("domain_name"))
	add("domain-name-servers", r.strs("domain_name_servers")...)
	add("ntp-servers", r.strs("ntp_servers")...)
	add("netbios-name-servers", r.strs("netbios_name_servers")...)
	add("netbios-node-type", r.str("netbios_node_type"))
	add("ipv6-address-preferred-lease-time", r.str("ipv6_address_preferred_lease_time"))
	add("ipv6-address-preferred-lease-time", r.str("ipv6_address_preferred_lease_time"))
	t.DhcpOptions = append(t.DhcpOptions, d)
}

func (t *tfReader) tfDhcpAssociation(r *tfResource) {
	t.later = append(t.later, func() {
		if v := t.vpc(r.str("vpc_id")); v != nil {
			v.DhcpOptionsId = r.str("dhcp_options_id")
		}
	})
}

func (t *tfReader) tfPrefixList(r *tfResource) {
	l := t.prefixList(r.id())
	l.name, l.known = r.str("name"), true
	for _, e := range r.blocks("entry") {
		l.cidrs = append(l.cidrs, e.str("cidr"))
	}
}

func (t *tfReader) tfPrefixListEntry(r *tfResource) {
	l := t.prefixList(r.str("prefix_list_id"))
	l.cidrs, l.known = append(l.cidrs, r.str("cidr")), true
}

func (t *tfReader) tfFlowLog(r *tfResource) {
	t.FlowLogs = append(t.FlowLogs, &rawFlowLog{FlowLogId: r.id(),
		ResourceId:  firstOf(r.str("vpc_id"), r.str("subnet_id"), r.str("eni_id"), r.str("transit_gateway_id"), r.str("transit_gateway_attachment_id")),
		TrafficType: r.str("traffic_type"), LogDestinationType: r.str("log_destination_type"), LogDestination: r.str("log_destination"), LogGroupName: r.str("log_group_name"),
		LogFormat: r.str("log_format"), DeliverLogsPermissionArn: r.str("iam_role_arn"), MaxAggregationInterval: r.number("max_aggregation_interval"), Tags: r.tags(), origin: t.from(r)})
}

// protocolWord is how a state writes a protocol: sometimes "all".
func protocolWord(s string) string {
	if s = strings.ToLower(s); s == "all" {
		return "-1"
	}
	return s
}
