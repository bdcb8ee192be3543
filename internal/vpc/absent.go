package vpc

import (
	"reflect"
	"slices"
	"strings"
)

// absence is a kind of object that a lab never has. Clients list such objects all the same, and the
// true answer is that of an account without any: an empty list, and for an ID the error of
// one that does not exist. Actions that make them are UnsupportedOperation.
type absence struct {
	action  string
	ids     string // member of the input that names objects
	kind    idKind // malformed "": the names have no form
	lists   []string
	lo, hi  int    // range of MaxResults; 0: not paged
	filters string // documented names
}

func absentKind(prefix, noun, codes string) idKind {
	return idKind{prefix: prefix, noun: noun, malformed: codes + ".Malformed", notFound: codes + ".NotFound"}
}

var absences = []absence{
	{"DescribeVpcPeeringConnections", "VpcPeeringConnectionIds", absentKind("pcx-", "vpcPeeringConnection", "InvalidVpcPeeringConnectionID"), []string{"VpcPeeringConnections"}, 5, 1000,
		"accepter-vpc-info.cidr-block accepter-vpc-info.owner-id accepter-vpc-info.vpc-id expiration-time requester-vpc-info.cidr-block requester-vpc-info.owner-id requester-vpc-info.vpc-id status-code status-message vpc-peering-connection-id"},
	{"DescribeManagedPrefixLists", "PrefixListIds", absentKind("pl-", "prefixList", "InvalidPrefixListID"), []string{"PrefixLists"}, 1, 100, "prefix-list-id prefix-list-name"},
	{"DescribePrefixLists", "PrefixListIds", absentKind("pl-", "prefixList", "InvalidPrefixListId"), []string{"PrefixLists"}, 5, 1000, "prefix-list-id prefix-list-name"},
	{"DescribeVpcEndpoints", "VpcEndpointIds", absentKind("vpce-", "vpcEndpoint", "InvalidVpcEndpointId"), []string{"VpcEndpoints"}, 5, 1000,
		"ip-address-type service-name service-region vpc-id vpc-endpoint-id vpc-endpoint-state vpc-endpoint-type"},
	{"DescribeVpcEndpointServices", "ServiceNames", idKind{noun: "Vpc Endpoint Service", notFound: "InvalidServiceName"}, []string{"ServiceNames", "ServiceDetails"}, 1, 1000,
		"owner service-name service-region service-type supported-ip-address-types"},
	{"DescribeEgressOnlyInternetGateways", "EgressOnlyInternetGatewayIds", absentKind("eigw-", "egressOnlyInternetGateway", "InvalidGatewayID"), []string{"EgressOnlyInternetGateways"}, 5, 255, ""},
	{"DescribeTransitGateways", "TransitGatewayIds", absentKind("tgw-", "transitGateway", "InvalidTransitGatewayID"), []string{"TransitGateways"}, 5, 1000,
		"options.propagation-default-route-table-id options.amazon-side-asn options.association-default-route-table-id options.auto-accept-shared-attachments options.default-route-table-association options.default-route-table-propagation options.dns-support options.vpn-ecmp-support state transit-gateway-id"},
	{"DescribeTransitGatewayVpcAttachments", "TransitGatewayAttachmentIds", absentKind("tgw-attach-", "transitGatewayAttachment", "InvalidTransitGatewayAttachmentID"), []string{"TransitGatewayVpcAttachments"}, 5, 1000,
		"state transit-gateway-attachment-id transit-gateway-id vpc-id"},
	{"DescribeTransitGatewayAttachments", "TransitGatewayAttachmentIds", absentKind("tgw-attach-", "transitGatewayAttachment", "InvalidTransitGatewayAttachmentID"), []string{"TransitGatewayAttachments"}, 5, 1000,
		"association.state association.transit-gateway-route-table-id resource-id resource-owner-id resource-type state transit-gateway-attachment-id transit-gateway-id transit-gateway-owner-id"},
	{"DescribeTransitGatewayRouteTables", "TransitGatewayRouteTableIds", absentKind("tgw-rtb-", "transitGatewayRouteTable", "InvalidRouteTableID"), []string{"TransitGatewayRouteTables"}, 5, 1000,
		"default-association-route-table default-propagation-route-table state transit-gateway-id transit-gateway-route-table-id"},
	{"DescribeVpnGateways", "VpnGatewayIds", absentKind("vgw-", "vpnGateway", "InvalidVpnGatewayID"), []string{"VpnGateways"}, 0, 0,
		"amazon-side-asn attachment.state attachment.vpc-id availability-zone state type vpn-gateway-id"},
	{"DescribeVpnConnections", "VpnConnectionIds", absentKind("vpn-", "vpnConnection", "InvalidVpnConnectionID"), []string{"VpnConnections"}, 0, 0,
		"customer-gateway-configuration customer-gateway-id state option.static-routes-only route.destination-cidr-block bgp-asn type vpn-connection-id vpn-gateway-id transit-gateway-id"},
	{"DescribeCustomerGateways", "CustomerGatewayIds", absentKind("cgw-", "customerGateway", "InvalidCustomerGatewayID"), []string{"CustomerGateways"}, 0, 0,
		"bgp-asn customer-gateway-id ip-address state type"},
	{"DescribeCarrierGateways", "CarrierGatewayIds", absentKind("cagw-", "carrierGateway", "InvalidCarrierGatewayID"), []string{"CarrierGateways"}, 5, 1000, "carrier-gateway-id state vpc-id"},
	{"DescribeLaunchTemplates", "LaunchTemplateIds", absentKind("lt-", "launch template", "InvalidLaunchTemplateId"), []string{"LaunchTemplates"}, 1, 200, "create-time launch-template-name"},
	{"DescribeSpotInstanceRequests", "SpotInstanceRequestIds", absentKind("sir-", "spot instance request", "InvalidSpotInstanceRequestID"), []string{"SpotInstanceRequests"}, 5, 1000,
		"availability-zone-group create-time fault-code fault-message launch-group launch.block-device-mapping.delete-on-termination launch.block-device-mapping.device-name " +
			"launch.block-device-mapping.snapshot-id launch.block-device-mapping.volume-size launch.block-device-mapping.volume-type launch.group-id launch.group-name launch.kernel-id " +
			"launch.key-name launch.monitoring-enabled launch.ramdisk-id launched-availability-zone-id network-interface.addresses.primary network-interface.delete-on-termination " +
			"network-interface.description network-interface.device-index network-interface.group-id network-interface.network-interface-id network-interface.private-ip-address " +
			"availability-zone instance-id launch.image-id launch.instance-type launched-availability-zone network-interface.subnet-id product-description spot-instance-request-id spot-price state status-code status-message type valid-from valid-until"},
	{"DescribeCapacityReservations", "CapacityReservationIds", absentKind("cr-", "capacity reservation", "InvalidCapacityReservationId"), []string{"CapacityReservations"}, 1, 1000,
		"instance-type availability-zone instance-platform instance-match-criteria state start-date end-date end-date-type tenancy outpost-arn placement-group-arn"},
	{"DescribePlacementGroups", "GroupIds", idKind{prefix: "pg-", noun: "placement group", malformed: "InvalidPlacementGroupId.Malformed", notFound: "InvalidPlacementGroup.Unknown"}, []string{"PlacementGroups"}, 0, 0, "group-name group-arn spread-level state strategy"},
	{"DescribeSnapshots", "SnapshotIds", absentKind("snap-", "snapshot", "InvalidSnapshot"), []string{"Snapshots"}, 5, 1000,
		"description encrypted owner-alias progress snapshot-id start-time status storage-tier transfer-type volume-id volume-size"},
	{"DescribeNetworkInsightsPaths", "NetworkInsightsPathIds", absentKind("nip-", "network insights path", "InvalidNetworkInsightsPathId"), []string{"NetworkInsightsPaths"}, 1, 100, "destination protocol source"},
	{"DescribeNetworkInsightsAnalyses", "NetworkInsightsAnalysisIds", absentKind("nia-", "network insights analysis", "InvalidNetworkInsightsAnalysisId"), []string{"NetworkInsightsAnalyses"}, 1, 100, "path-found status"},
	{"DescribeVpcBlockPublicAccessExclusions", "ExclusionIds", absentKind("vpcbpa-exclude-", "exclusion", "InvalidVpcBlockPublicAccessExclusionId"), []string{"VpcBlockPublicAccessExclusions"}, 5, 1000,
		"resource-arn internet-gateway-exclusion-mode state tag-value"},
	{"DescribeMovingAddresses", "PublicIps", idKind{noun: "address", notFound: "InvalidAddress.NotFound"}, []string{"MovingAddressStatuses"}, 5, 1000, "moving-status"},
	{"DescribeSecurityGroupVpcAssociations", "", idKind{}, []string{"SecurityGroupVpcAssociations"}, 5, 1000, "group-id group-owner-id state vpc-id vpc-owner-id"},
}

// absentNames are the members by which an action takes names beside IDs, and its error for one that does not exist.
var absentNames = map[string]struct{ member, code, message string }{
	"DescribeLaunchTemplates": {"LaunchTemplateNames", "InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name %s, does not exist."},
	"DescribePlacementGroups": {"GroupNames", "InvalidPlacementGroup.Unknown", "The Placement Group '%s' is unknown."},
}

var absentActions = func() map[string]*absence {
	m := map[string]*absence{}
	for i := range absences {
		m[absences[i].action] = &absences[i]
	}
	return m
}()

// types are the Input and Output of the action, with the members that a lab understands.
func (a *absence) types() (in, out reflect.Type) {
	var fields []reflect.StructField
	add := func(name string, t reflect.Type) { fields = append(fields, reflect.StructField{Name: name, Type: t}) }
	if a.ids != "" {
		add(a.ids, reflect.TypeFor[[]string]())
	}
	if n, ok := absentNames[a.action]; ok {
		add(n.member, reflect.TypeFor[[]string]())
	}
	add("Filters", reflect.TypeFor[[]Filter]())
	if a.hi > 0 {
		add("MaxResults", reflect.TypeFor[*int]())
		add("NextToken", reflect.TypeFor[string]())
	}
	add("DryRun", reflect.TypeFor[bool]())
	in = reflect.StructOf(fields)
	fields = nil
	for _, list := range a.lists {
		t := reflect.TypeFor[[]struct{}]()
		if list == "ServiceNames" {
			t = reflect.TypeFor[[]string]()
		}
		fields = append(fields, reflect.StructField{Name: list, Type: t, Tag: reflect.StructTag(`json:"` + list + `"`)})
	}
	return in, reflect.StructOf(fields)
}

// run answers the action: in points to its Input.
func (a *absence) run(out reflect.Type, in any) (any, error) {
	filters, _ := inputField(in, "Filters").([]Filter)
	set := filterSet[struct{}]{}
	for name := range strings.FieldsSeq(a.filters) {
		set[name] = func(*Model, *struct{}) []string { return nil }
	}
	if err := set.check(filters); err != nil {
		return nil, err
	}
	most, _ := inputField(in, "MaxResults").(*int)
	token, _ := inputField(in, "NextToken").(string)
	if a.hi > 0 {
		if _, _, err := page([]string{}, paging{most, token, a.lo, a.hi}, func(s string) string { return s }); err != nil {
			return nil, err
		}
	}
	ids, _ := inputField(in, a.ids).([]string)
	if len(ids) > 0 {
		id := slices.Min(ids)
		if a.kind.malformed == "" {
			return nil, errorf(a.kind.notFound, "The %s '%s' does not exist", a.kind.noun, id)
		}
		if err := a.kind.check(id); err != nil {
			return nil, err
		}
		return nil, a.kind.notFoundError(id)
	}
	n := absentNames[a.action]
	if names, _ := inputField(in, n.member).([]string); len(names) > 0 {
		return nil, errorf(n.code, n.message, slices.Min(names))
	}
	answer := reflect.New(out)
	for i := range out.NumField() {
		answer.Elem().Field(i).Set(reflect.MakeSlice(out.Field(i).Type, 0, 0)) // empty and not nil, as JSON tells them apart
	}
	return answer.Interface(), nil
}
