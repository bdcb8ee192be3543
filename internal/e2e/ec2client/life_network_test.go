package ec2client

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func lifeOfVpc(t *testing.T, c *ec2.Client) {
	made := do(t, c.CreateVpc, &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16"), InstanceTenancy: types.TenancyDedicated,
		AmazonProvidedIpv6CidrBlock: new(false), TagSpecifications: named(types.ResourceTypeVpc, "life")}).Vpc
	same(t, "state", made.State, types.VpcStatePending)
	v := made.VpcId
	await(t, ec2.NewVpcExistsWaiter(c).Wait, &ec2.DescribeVpcsInput{VpcIds: []string{*v}})
	await(t, ec2.NewVpcAvailableWaiter(c).Wait, &ec2.DescribeVpcsInput{VpcIds: []string{*v}})
	do(t, c.ModifyVpcTenancy, &ec2.ModifyVpcTenancyInput{VpcId: v, InstanceTenancy: types.VpcTenancyDefault})
	do(t, c.ModifyVpcAttribute, &ec2.ModifyVpcAttributeInput{VpcId: v, EnableDnsHostnames: &types.AttributeBooleanValue{Value: new(true)}})
	for _, a := range []types.VpcAttributeName{types.VpcAttributeNameEnableDnsHostnames, types.VpcAttributeNameEnableDnsSupport, types.VpcAttributeNameEnableNetworkAddressUsageMetrics} {
		out := do(t, c.DescribeVpcAttribute, &ec2.DescribeVpcAttributeInput{VpcId: v, Attribute: a})
		got := map[types.VpcAttributeName]*types.AttributeBooleanValue{
			types.VpcAttributeNameEnableDnsHostnames: out.EnableDnsHostnames, types.VpcAttributeNameEnableDnsSupport: out.EnableDnsSupport,
			types.VpcAttributeNameEnableNetworkAddressUsageMetrics: out.EnableNetworkAddressUsageMetrics,
		}
		for name, value := range got {
			same(t, string(a)+" tells "+string(name), value != nil, name == a)
		}
		same(t, string(a), *got[a].Value, a != types.VpcAttributeNameEnableNetworkAddressUsageMetrics)
	}
	same(t, "VPCs of the range", len(do(t, c.DescribeVpcs, &ec2.DescribeVpcsInput{Filters: filter("cidr-block", "10.0.0.0/16")}).Vpcs), 1)
	link := do(t, c.DescribeVpcClassicLink, &ec2.DescribeVpcClassicLinkInput{VpcIds: []string{*v}, Filters: filter("is-classic-link-enabled", "false")}).Vpcs
	same(t, "ClassicLink", []any{len(link), *link[0].ClassicLinkEnabled, *link[0].VpcId}, []any{1, false, *v})
	linkDNS := do(t, c.DescribeVpcClassicLinkDnsSupport, &ec2.DescribeVpcClassicLinkDnsSupportInput{VpcIds: []string{*v}}).Vpcs
	same(t, "DNS of ClassicLink", []any{len(linkDNS), *linkDNS[0].ClassicLinkDnsSupported, *linkDNS[0].VpcId}, []any{1, false, *v})
	block := do(t, c.AssociateVpcCidrBlock, &ec2.AssociateVpcCidrBlockInput{VpcId: v, CidrBlock: new("10.1.0.0/16")}).CidrBlockAssociation
	found := do(t, c.DescribeVpcs, &ec2.DescribeVpcsInput{Filters: filter("cidr-block-association.association-id", *block.AssociationId)}).Vpcs
	same(t, "VPCs with the block", len(found), 1)
	same(t, "blocks", len(found[0].CidrBlockAssociationSet), 2)
	same(t, "tags", found[0].Tags, []types.Tag{{Key: new("Name"), Value: new("life")}})
	same(t, "tenancy", found[0].InstanceTenancy, types.TenancyDefault)
	do(t, c.DisassociateVpcCidrBlock, &ec2.DisassociateVpcCidrBlockInput{AssociationId: block.AssociationId})

	subnetsOf(t, c, v)
	optionsOf(t, c, v)
	do(t, c.DeleteVpc, &ec2.DeleteVpcInput{VpcId: v})
	refused(t, c.DescribeVpcs, &ec2.DescribeVpcsInput{VpcIds: []string{*v}}, "InvalidVpcID.NotFound")
}

func subnetsOf(t *testing.T, c *ec2.Client, v *string) {
	s := do(t, c.CreateSubnet, &ec2.CreateSubnetInput{VpcId: v, CidrBlock: new("10.0.0.0/24"), AvailabilityZone: new("eu-west-1b"), TagSpecifications: named(types.ResourceTypeSubnet, "b")}).Subnet
	same(t, "state", s.State, types.SubnetStatePending)
	same(t, "addresses", *s.AvailableIpAddressCount, int32(251))
	await(t, ec2.NewSubnetAvailableWaiter(c).Wait, &ec2.DescribeSubnetsInput{SubnetIds: []string{*s.SubnetId}})
	refused(t, c.DeleteVpc, &ec2.DeleteVpcInput{VpcId: v}, "DependencyViolation")
	do(t, c.ModifySubnetAttribute, &ec2.ModifySubnetAttributeInput{SubnetId: s.SubnetId, MapPublicIpOnLaunch: &types.AttributeBooleanValue{Value: new(true)}})
	got := do(t, c.DescribeSubnets, &ec2.DescribeSubnetsInput{Filters: filter("tag:Name", "b")}).Subnets
	same(t, "subnets", len(got), 1)
	same(t, "public addresses", *got[0].MapPublicIpOnLaunch, true)
	r := do(t, c.CreateSubnetCidrReservation, &ec2.CreateSubnetCidrReservationInput{SubnetId: s.SubnetId, Cidr: new("10.0.0.64/28"), ReservationType: types.SubnetCidrReservationTypePrefix}).SubnetCidrReservation
	list := do(t, c.GetSubnetCidrReservations, &ec2.GetSubnetCidrReservationsInput{SubnetId: s.SubnetId}).SubnetIpv4CidrReservations
	same(t, "reservations", list, []types.SubnetCidrReservation{*r})
	do(t, c.DeleteSubnetCidrReservation, &ec2.DeleteSubnetCidrReservationInput{SubnetCidrReservationId: r.SubnetCidrReservationId})
	do(t, c.DeleteSubnet, &ec2.DeleteSubnetInput{SubnetId: s.SubnetId})
	refused(t, c.DescribeSubnets, &ec2.DescribeSubnetsInput{SubnetIds: []string{*s.SubnetId}}, "InvalidSubnetID.NotFound")
}

func optionsOf(t *testing.T, c *ec2.Client, v *string) {
	o := do(t, c.CreateDhcpOptions, &ec2.CreateDhcpOptionsInput{DhcpConfigurations: []types.NewDhcpConfiguration{
		{Key: new("domain-name"), Values: []string{"example.internal"}}, {Key: new("ntp-servers"), Values: []string{"169.254.169.123", "10.0.0.5"}},
	}}).DhcpOptions
	do(t, c.AssociateDhcpOptions, &ec2.AssociateDhcpOptionsInput{VpcId: v, DhcpOptionsId: o.DhcpOptionsId})
	refused(t, c.DeleteDhcpOptions, &ec2.DeleteDhcpOptionsInput{DhcpOptionsId: o.DhcpOptionsId}, "DependencyViolation")
	got := do(t, c.DescribeDhcpOptions, &ec2.DescribeDhcpOptionsInput{DhcpOptionsIds: []string{*o.DhcpOptionsId}}).DhcpOptions
	same(t, "options", got[0].DhcpConfigurations, o.DhcpConfigurations)
	do(t, c.AssociateDhcpOptions, &ec2.AssociateDhcpOptionsInput{VpcId: v, DhcpOptionsId: new("default")})
	do(t, c.DeleteDhcpOptions, &ec2.DeleteDhcpOptionsInput{DhcpOptionsId: o.DhcpOptionsId})
	refused(t, c.DescribeDhcpOptions, &ec2.DescribeDhcpOptionsInput{DhcpOptionsIds: []string{*o.DhcpOptionsId}}, "InvalidDhcpOptionID.NotFound")
}

// The default VPC goes and comes back.
func lifeOfDefaultVpc(t *testing.T, c *ec2.Client) {
	v := do(t, c.DescribeVpcs, &ec2.DescribeVpcsInput{Filters: filter("is-default", "true")}).Vpcs[0].VpcId
	zone := do(t, c.DescribeAvailabilityZones, &ec2.DescribeAvailabilityZonesInput{}).AvailabilityZones[0].ZoneName
	all := do(t, c.DescribeSubnets, &ec2.DescribeSubnetsInput{Filters: filter("default-for-az", "true")}).Subnets
	for _, s := range all {
		do(t, c.DeleteSubnet, &ec2.DeleteSubnetInput{SubnetId: s.SubnetId})
	}
	again := do(t, c.CreateDefaultSubnet, &ec2.CreateDefaultSubnetInput{AvailabilityZone: zone}).Subnet
	same(t, "default", *again.DefaultForAz, true)
	do(t, c.DeleteSubnet, &ec2.DeleteSubnetInput{SubnetId: again.SubnetId})
	g := do(t, c.DescribeInternetGateways, &ec2.DescribeInternetGatewaysInput{Filters: filter("attachment.vpc-id", *v)}).InternetGateways[0].InternetGatewayId
	do(t, c.DetachInternetGateway, &ec2.DetachInternetGatewayInput{InternetGatewayId: g, VpcId: v})
	do(t, c.DeleteInternetGateway, &ec2.DeleteInternetGatewayInput{InternetGatewayId: g})
	do(t, c.DeleteVpc, &ec2.DeleteVpcInput{VpcId: v})
	made := do(t, c.CreateDefaultVpc, &ec2.CreateDefaultVpcInput{}).Vpc
	same(t, "default", *made.IsDefault, true)
	same(t, "block", *made.CidrBlock, "172.31.0.0/16")
	same(t, "subnets", len(do(t, c.DescribeSubnets, &ec2.DescribeSubnetsInput{Filters: filter("vpc-id", *made.VpcId)}).Subnets), len(all))
}

func lifeOfRoutes(t *testing.T, c *ec2.Client) {
	v := makeVpc(t, c, "10.0.0.0/16")
	s := makeSubnet(t, c, v, "10.0.1.0/24")
	g := do(t, c.CreateInternetGateway, &ec2.CreateInternetGatewayInput{TagSpecifications: named(types.ResourceTypeInternetGateway, "g")}).InternetGateway.InternetGatewayId
	await(t, ec2.NewInternetGatewayExistsWaiter(c).Wait, &ec2.DescribeInternetGatewaysInput{InternetGatewayIds: []string{*g}})
	do(t, c.AttachInternetGateway, &ec2.AttachInternetGatewayInput{InternetGatewayId: g, VpcId: v})
	attached := do(t, c.DescribeInternetGateways, &ec2.DescribeInternetGatewaysInput{InternetGatewayIds: []string{*g}}).InternetGateways[0].Attachments
	same(t, "attachments", attached, []types.InternetGatewayAttachment{{State: types.AttachmentStatus("available"), VpcId: v}})

	rt := do(t, c.CreateRouteTable, &ec2.CreateRouteTableInput{VpcId: v, TagSpecifications: named(types.ResourceTypeRouteTable, "public")}).RouteTable.RouteTableId
	all := new("0.0.0.0/0")
	route := do(t, c.CreateRoute, &ec2.CreateRouteInput{RouteTableId: rt, DestinationCidrBlock: all, GatewayId: g})
	same(t, "return", *route.Return, true)
	first := do(t, c.AssociateRouteTable, &ec2.AssociateRouteTableInput{RouteTableId: rt, SubnetId: s})
	same(t, "state", first.AssociationState.State, types.RouteTableAssociationStateCodeAssociated)
	refused(t, c.DeleteRouteTable, &ec2.DeleteRouteTableInput{RouteTableId: rt}, "DependencyViolation")

	main := do(t, c.DescribeRouteTables, &ec2.DescribeRouteTablesInput{Filters: append(filter("vpc-id", *v), filter("association.main", "true")...)}).RouteTables[0]
	same(t, "main", *main.Associations[0].Main, true)
	second := do(t, c.ReplaceRouteTableAssociation, &ec2.ReplaceRouteTableAssociationInput{AssociationId: first.AssociationId, RouteTableId: main.RouteTableId}).NewAssociationId
	third := do(t, c.ReplaceRouteTableAssociation, &ec2.ReplaceRouteTableAssociationInput{AssociationId: second, RouteTableId: rt}).NewAssociationId
	found := do(t, c.DescribeRouteTables, &ec2.DescribeRouteTablesInput{Filters: filter("association.route-table-association-id", *third)}).RouteTables
	same(t, "tables with the association", len(found), 1)
	same(t, "routes", []types.Route{{DestinationCidrBlock: new("10.0.0.0/16"), GatewayId: new("local"), Origin: types.RouteOriginCreateRouteTable, State: types.RouteStateActive},
		{DestinationCidrBlock: all, GatewayId: g, Origin: types.RouteOriginCreateRoute, State: types.RouteStateActive}}, found[0].Routes)

	eni := do(t, c.CreateNetworkInterface, &ec2.CreateNetworkInterfaceInput{SubnetId: s}).NetworkInterface.NetworkInterfaceId
	do(t, c.ReplaceRoute, &ec2.ReplaceRouteInput{RouteTableId: rt, DestinationCidrBlock: all, NetworkInterfaceId: eni})
	got := do(t, c.DescribeRouteTables, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{*rt}}).RouteTables[0].Routes[1]
	same(t, "route to an interface that is not attached", got.State, types.RouteStateBlackhole)
	do(t, c.DeleteRoute, &ec2.DeleteRouteInput{RouteTableId: rt, DestinationCidrBlock: all})
	refused(t, c.DeleteRoute, &ec2.DeleteRouteInput{RouteTableId: rt, DestinationCidrBlock: all}, "InvalidRoute.NotFound")
	do(t, c.DeleteNetworkInterface, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: eni})
	do(t, c.DisassociateRouteTable, &ec2.DisassociateRouteTableInput{AssociationId: third})
	do(t, c.DeleteRouteTable, &ec2.DeleteRouteTableInput{RouteTableId: rt})
	refused(t, c.DescribeRouteTables, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{*rt}}, "InvalidRouteTableID.NotFound")
	do(t, c.DetachInternetGateway, &ec2.DetachInternetGatewayInput{InternetGatewayId: g, VpcId: v})
	refused(t, c.DetachInternetGateway, &ec2.DetachInternetGatewayInput{InternetGatewayId: g, VpcId: v}, "Gateway.NotAttached")
	do(t, c.DeleteInternetGateway, &ec2.DeleteInternetGatewayInput{InternetGatewayId: g})
	do(t, c.DeleteSubnet, &ec2.DeleteSubnetInput{SubnetId: s})
	do(t, c.DeleteVpc, &ec2.DeleteVpcInput{VpcId: v})
}

func lifeOfNatGateway(t *testing.T, c *ec2.Client) {
	s := do(t, c.DescribeSubnets, &ec2.DescribeSubnetsInput{Filters: filter("default-for-az", "true")}).Subnets[0].SubnetId
	allocate := func() *string {
		return do(t, c.AllocateAddress, &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc}).AllocationId
	}
	primary, secondary := allocate(), allocate()
	g := do(t, c.CreateNatGateway, &ec2.CreateNatGatewayInput{SubnetId: s, AllocationId: primary, TagSpecifications: named(types.ResourceTypeNatgateway, "nat")}).NatGateway
	same(t, "state", g.State, types.NatGatewayStatePending)
	one := []string{*g.NatGatewayId}
	await(t, ec2.NewNatGatewayAvailableWaiter(c).Wait, &ec2.DescribeNatGatewaysInput{NatGatewayIds: one})
	read := func() []types.NatGatewayAddress {
		return do(t, c.DescribeNatGateways, &ec2.DescribeNatGatewaysInput{NatGatewayIds: one}).NatGateways[0].NatGatewayAddresses
	}
	same(t, "primary", *read()[0].IsPrimary, true)
	same(t, "allocation", *read()[0].AllocationId, *primary)
	more := do(t, c.AssociateNatGatewayAddress, &ec2.AssociateNatGatewayAddressInput{NatGatewayId: g.NatGatewayId, AllocationIds: []string{*secondary}}).NatGatewayAddresses
	same(t, "addresses", len(read()), 2)
	same(t, "secondary", *read()[1].IsPrimary, false)
	gone := do(t, c.DisassociateNatGatewayAddress, &ec2.DisassociateNatGatewayAddressInput{NatGatewayId: g.NatGatewayId, AssociationIds: []string{*more[0].AssociationId}, MaxDrainDurationSeconds: new(int32(1))}).NatGatewayAddresses
	same(t, "status", gone[0].Status, types.NatGatewayAddressStatusDisassociating)

	private := do(t, c.CreateNatGateway, &ec2.CreateNatGatewayInput{SubnetId: s, ConnectivityType: types.ConnectivityTypePrivate}).NatGateway.NatGatewayId
	added := do(t, c.AssignPrivateNatGatewayAddress, &ec2.AssignPrivateNatGatewayAddressInput{NatGatewayId: private, PrivateIpAddressCount: new(int32(1))}).NatGatewayAddresses
	same(t, "addresses", len(added), 1)
	left := do(t, c.UnassignPrivateNatGatewayAddress, &ec2.UnassignPrivateNatGatewayAddressInput{NatGatewayId: private, PrivateIpAddresses: []string{*added[0].PrivateIp}}).NatGatewayAddresses
	same(t, "status", left[0].Status, types.NatGatewayAddressStatusUnassigning)
	for _, id := range []*string{g.NatGatewayId, private} {
		do(t, c.DeleteNatGateway, &ec2.DeleteNatGatewayInput{NatGatewayId: id})
		await(t, ec2.NewNatGatewayDeletedWaiter(c).Wait, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{*id}})
	}
	for _, id := range []*string{primary, secondary} {
		do(t, c.ReleaseAddress, &ec2.ReleaseAddressInput{AllocationId: id})
	}
	refused(t, c.DescribeNatGateways, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{"nat-01234567890abcdef"}}, "NatGatewayNotFound")
}

func lifeOfAddresses(t *testing.T, c *ec2.Client) {
	s := do(t, c.DescribeSubnets, &ec2.DescribeSubnetsInput{Filters: filter("default-for-az", "true")}).Subnets[0].SubnetId
	eni := do(t, c.CreateNetworkInterface, &ec2.CreateNetworkInterfaceInput{SubnetId: s}).NetworkInterface
	a := do(t, c.AllocateAddress, &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc, TagSpecifications: named(types.ResourceTypeElasticIp, "web")})
	same(t, "pool", *a.PublicIpv4Pool, "amazon")
	same(t, "group", *a.NetworkBorderGroup, "us-west-1")
	tied := do(t, c.AssociateAddress, &ec2.AssociateAddressInput{AllocationId: a.AllocationId, NetworkInterfaceId: eni.NetworkInterfaceId}).AssociationId
	got := do(t, c.DescribeAddresses, &ec2.DescribeAddressesInput{Filters: filter("association-id", *tied)}).Addresses
	same(t, "addresses", len(got), 1)
	same(t, "private address", *got[0].PrivateIpAddress, *eni.PrivateIpAddress)
	// What Terraform reads with every address: the attribute has no value here.
	names := do(t, c.DescribeAddressesAttribute, &ec2.DescribeAddressesAttributeInput{AllocationIds: []string{*a.AllocationId}, Attribute: types.AddressAttributeNameDomainName}).Addresses
	for _, n := range names {
		same(t, "allocation", *n.AllocationId, *a.AllocationId)
	}
	do(t, c.DisassociateAddress, &ec2.DisassociateAddressInput{AssociationId: tied})
	do(t, c.ReleaseAddress, &ec2.ReleaseAddressInput{AllocationId: a.AllocationId})
	refused(t, c.DescribeAddresses, &ec2.DescribeAddressesInput{AllocationIds: []string{*a.AllocationId}}, "InvalidAllocationID.NotFound")
	do(t, c.DeleteNetworkInterface, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: eni.NetworkInterfaceId})
}
