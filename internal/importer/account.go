package importer

import (
	"slices"
	"strings"
)

// account is what the sources hold, in the shapes of the EC2 API (its members by their names, as `aws ec2 --output
// json` prints them). Only members that are used are here; a reader of JSON passes over the rest.
type account struct {
	Vpcs              []*rawVpc
	Subnets           []*rawSubnet
	RouteTables       []*rawRouteTable
	InternetGateways  []*rawInternetGateway
	NatGateways       []*rawNatGateway
	Addresses         []*rawAddress
	SecurityGroups    []*rawSecurityGroup
	GroupRules        []*rawGroupRule
	NetworkAcls       []*rawNetworkAcl
	NetworkInterfaces []*rawInterface
	Instances         []*rawInstance
	KeyPairs          []*rawKeyPair
	DhcpOptions       []*rawDhcpOptions
	FlowLogs          []*rawFlowLog
	CidrReservations  []*rawCidrReservation

	vpcAttributes      map[string]vpcAttributes
	instanceAttributes map[string]instanceAttributes
	prefixLists        map[string]*prefixList

	cli       bool // answers of the AWS CLI were read
	terraform bool // it comes from a Terraform state, which need not know the whole account
	has       map[string]bool
	ownTables map[string]string // of a Terraform state: the route table that a VPC was made with -> the VPC
	ownAcls   map[string]string // and the network ACL
	documents []func() error    // states and plans that are still to be read
	data      []func()          // their data sources
	later     []func()          // what changes an object of another of their resources
	absent    []absent          // what a lab has not, of all Regions
	files     []string
	parts     []part
	last      map[string]bool // of which the last part was read
	notes     notes
}

// origin is where an object was read: the Region that the file's path or the provider named, or "", and the address
// of a Terraform resource, or "".
type origin struct{ region, address string }

type rawTag struct{ Key, Value string }

type rawVpc struct {
	VpcId, CidrBlock, InstanceTenancy, DhcpOptionsId, OwnerId string
	IsDefault                                                 bool
	CidrBlockAssociationSet                                   []rawCidrBlock
	Ipv6CidrBlockAssociationSet                               []rawIpv6Block
	BlockPublicAccessStates                                   rawPublicAccess
	Tags                                                      []rawTag
	ownGroup, mainTable                                       string // the IDs of its default group and main route table, where only the VPC tells of them
	origin
}

type rawCidrBlock struct {
	CidrBlock      string
	CidrBlockState struct{ State string }
}

type rawIpv6Block struct {
	Ipv6CidrBlock      string
	Ipv6CidrBlockState struct{ State string }
}

type vpcAttributes struct{ EnableDnsHostnames, EnableDnsSupport *bool }

// rawPublicAccess is what VPC Block Public Access does to a VPC or subnet.
type rawPublicAccess struct{ InternetGatewayBlockMode string }

type rawSubnet struct {
	BlockPublicAccessStates                                          rawPublicAccess
	SubnetId, VpcId, CidrBlock, AvailabilityZone, SubnetArn, OwnerId string
	DefaultForAz, MapPublicIpOnLaunch                                bool
	Ipv6CidrBlockAssociationSet                                      []struct{ Ipv6CidrBlock string }
	PrivateDnsNameOptionsOnLaunch                                    struct {
		HostnameType                    string
		EnableResourceNameDnsARecord    bool
		EnableResourceNameDnsAAAARecord bool
	}
	Ipv6Native bool
	Tags       []rawTag
	origin
}

type rawCidrReservation struct {
	SubnetCidrReservationId, SubnetId, Cidr, ReservationType, Description string
	Tags                                                                  []rawTag
	origin
}

type rawRouteTable struct {
	RouteTableId, VpcId, OwnerId string
	Associations                 []rawAssociation
	PropagatingVgws              []struct{ GatewayId string }
	Routes                       []rawRoute
	Tags                         []rawTag
	own                          bool // Terraform says that the VPC was made with it
	origin
}

type rawAssociation struct {
	Main                bool
	SubnetId, GatewayId string
	AssociationState    struct{ State string }
}

type rawRoute struct {
	DestinationCidrBlock, DestinationIpv6CidrBlock, DestinationPrefixListId     string
	GatewayId, NatGatewayId, InstanceId, NetworkInterfaceId, TransitGatewayId   string
	VpcPeeringConnectionId, EgressOnlyInternetGatewayId, LocalGatewayId         string
	CarrierGatewayId, CoreNetworkArn, OdbNetworkArn, State, Origin, VpcEndpoint string
}

type rawInternetGateway struct {
	InternetGatewayId string
	OwnerId           string
	Attachments       []struct{ VpcId, State string }
	Tags              []rawTag
	origin
}

type rawNatGateway struct {
	NatGatewayId, VpcId, SubnetId, State, ConnectivityType, AvailabilityMode string
	NatGatewayAddresses                                                      []rawNatAddress
	Tags                                                                     []rawTag
	origin
}

type rawNatAddress struct {
	AllocationId, NetworkInterfaceId, PrivateIp, PublicIp, Status string
	IsPrimary                                                     *bool
}

type rawAddress struct {
	AllocationId, AssociationId, PublicIp, InstanceId, NetworkInterfaceId string
	PrivateIpAddress, Domain, NetworkBorderGroup, CarrierIp               string
	Tags                                                                  []rawTag
	origin
}

type rawSecurityGroup struct {
	GroupId, GroupName, Description, VpcId, OwnerId, SecurityGroupArn string
	IpPermissions, IpPermissionsEgress                                []rawPermission
	Tags                                                              []rawTag
	noRules                                                           bool   // its rules were not dumped
	namePrefix                                                        string // of a planned group, whose name will begin so
	origin
}

type rawPermission struct {
	IpProtocol       string
	FromPort, ToPort *int
	IpRanges         []rawRange
	Ipv6Ranges       []rawIpv6Range
	PrefixListIds    []rawListRange
	UserIdGroupPairs []rawGroupPair
}

type rawRange struct {
	CidrIp, Description string
	tags                []rawTag
}

type rawIpv6Range struct{ CidrIpv6, Description string }

type rawListRange struct {
	PrefixListId, Description string
	tags                      []rawTag
}

type rawGroupPair struct {
	GroupId, GroupName, UserId, VpcId, VpcPeeringConnectionId, Description string
	tags                                                                   []rawTag
}

// rawGroupRule is a rule of describe-security-group-rules.
type rawGroupRule struct {
	SecurityGroupRuleId, GroupId, IpProtocol, CidrIpv4, CidrIpv6, PrefixListId, Description string
	IsEgress                                                                                bool
	FromPort, ToPort                                                                        *int
	ReferencedGroupInfo                                                                     *rawGroupPair
	Tags                                                                                    []rawTag
}

type rawNetworkAcl struct {
	NetworkAclId, VpcId string
	IsDefault           bool
	Associations        []struct{ SubnetId string }
	Entries             []rawAclEntry
	Tags                []rawTag
	origin
}

type rawAclEntry struct {
	CidrBlock, Ipv6CidrBlock, Protocol, RuleAction string
	Egress                                         bool
	RuleNumber                                     int
	PortRange                                      *struct{ From, To int }
	IcmpTypeCode                                   *struct{ Type, Code int }
}

type rawInterface struct {
	NetworkInterfaceId, SubnetId, VpcId, Description, InterfaceType, Status, RequesterId string
	AvailabilityZone, PrivateIpAddress, OwnerId                                          string
	RequesterManaged                                                                     bool
	SourceDestCheck                                                                      *bool
	Attachment                                                                           *rawAttachment
	Association                                                                          *rawPublic
	Groups                                                                               []rawGroupName
	Ipv6Addresses                                                                        []struct{ Ipv6Address string }
	Ipv4Prefixes                                                                         []struct{ Ipv4Prefix string }
	Ipv6Prefixes                                                                         []struct{ Ipv6Prefix string }
	PrivateIpAddresses                                                                   []rawPrivate
	TagSet                                                                               []rawTag // describe-network-interfaces calls the tags so
	origin
}

type rawGroupName struct{ GroupId, GroupName string }

type rawAttachment struct {
	InstanceId, InstanceOwnerId, Status string
	DeviceIndex, NetworkCardIndex       int
	DeleteOnTermination                 bool
}

type rawPrivate struct {
	PrivateIpAddress string
	Primary          bool
	Association      *rawPublic
}

type rawPublic struct{ PublicIp, IpOwnerId, AllocationId, CarrierIp string }

type rawInstance struct {
	InstanceId, ImageId, InstanceType, KeyName, SubnetId, VpcId, PrivateIpAddress, Platform, PlatformDetails string
	PublicIpAddress, Architecture, InstanceLifecycle                                                         string
	State                                                                                                    struct{ Name string }
	Placement                                                                                                struct{ AvailabilityZone, Tenancy string }
	SourceDestCheck                                                                                          *bool
	SecurityGroups                                                                                           []rawGroupName
	NetworkInterfaces                                                                                        []*rawInterface
	IamInstanceProfile                                                                                       *struct{ Arn string }
	MetadataOptions                                                                                          *rawMetadataOptions
	publicOpen                                                                                               bool // a plan does not tell whether it gets an automatic public address
	PrivateDnsNameOptions                                                                                    *rawPrivateDns
	Tags                                                                                                     []rawTag
	origin
}

type rawPrivateDns struct {
	HostnameType                 string
	EnableResourceNameDnsARecord bool
}

type rawMetadataOptions struct {
	HttpTokens, HttpEndpoint, HttpProtocolIpv6, InstanceMetadataTags string
	HttpPutResponseHopLimit                                          int
}

// instanceAttributes are those of describe-instance-attribute, one a call.
type instanceAttributes struct {
	UserData                              *string // base64, as AWS gives it
	DisableApiTermination, DisableApiStop *bool
	InstanceInitiatedShutdownBehavior     string
}

type rawKeyPair struct {
	KeyPairId, KeyName, KeyType, PublicKey string
	Tags                                   []rawTag
	origin
}

type rawDhcpOptions struct {
	DhcpOptionsId      string
	DhcpConfigurations []rawDhcpOption
	Tags               []rawTag
	origin
}

type rawDhcpOption struct {
	Key    string
	Values []struct{ Value string }
}

type rawFlowLog struct {
	FlowLogId, ResourceId, TrafficType, LogDestinationType, LogDestination, LogGroupName string
	LogFormat, DeliverLogsPermissionArn, FlowLogStatus                                   string
	MaxAggregationInterval                                                               int
	Tags                                                                                 []rawTag
	origin
}

// prefixList is a managed prefix list with its entries, where the sources have them.
type prefixList struct {
	id, name string
	cidrs    []string
	known    bool // the entries were dumped
}

// nameOf is the value of the tag Name.
func nameOf(tags []rawTag) string {
	for _, t := range tags {
		if t.Key == "Name" {
			return t.Value
		}
	}
	return ""
}

// byID finds an object by its ID.
func byID[T any](list []*T, id string, of func(*T) string) *T {
	if id == "" {
		return nil
	}
	if i := slices.IndexFunc(list, func(o *T) bool { return of(o) == id }); i >= 0 {
		return list[i]
	}
	return nil
}

func (a *account) vpc(id string) *rawVpc {
	return byID(a.Vpcs, id, func(v *rawVpc) string { return v.VpcId })
}

func (a *account) subnet(id string) *rawSubnet {
	return byID(a.Subnets, id, func(s *rawSubnet) string { return s.SubnetId })
}

func (a *account) group(id string) *rawSecurityGroup {
	return byID(a.SecurityGroups, id, func(g *rawSecurityGroup) string { return g.GroupId })
}

func (a *account) networkInterface(id string) *rawInterface {
	return byID(a.NetworkInterfaces, id, func(n *rawInterface) string { return n.NetworkInterfaceId })
}

func (a *account) instance(id string) *rawInstance {
	return byID(a.Instances, id, func(i *rawInstance) string { return i.InstanceId })
}

// associated are the VPC's IPv4 ranges, the primary one first.
func (v *rawVpc) associated() []string {
	list := []string{v.CidrBlock}
	for _, a := range v.CidrBlockAssociationSet {
		if gone := strings.HasPrefix(a.CidrBlockState.State, "disassociat") || strings.HasPrefix(a.CidrBlockState.State, "fail"); !gone && a.CidrBlock != "" && !slices.Contains(list, a.CidrBlock) {
			list = append(list, a.CidrBlock)
		}
	}
	return list
}

func (v *rawVpc) ipv6() (list []string) {
	for _, a := range v.Ipv6CidrBlockAssociationSet {
		if a.Ipv6CidrBlock != "" && !strings.HasPrefix(a.Ipv6CidrBlockState.State, "disassociat") {
			list = append(list, a.Ipv6CidrBlock)
		}
	}
	return list
}

// primary is the private address of the interface that AWS keeps with it for life.
func (n *rawInterface) primary() string {
	for _, p := range n.PrivateIpAddresses {
		if p.Primary {
			return p.PrivateIpAddress
		}
	}
	return n.PrivateIpAddress
}

// secondary are its further private addresses.
func (n *rawInterface) secondary() (list []string) {
	for _, p := range n.PrivateIpAddresses {
		if p.PrivateIpAddress != "" && p.PrivateIpAddress != n.primary() && !slices.Contains(list, p.PrivateIpAddress) {
			list = append(list, p.PrivateIpAddress)
		}
	}
	return list
}
