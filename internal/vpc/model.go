package vpc

import (
	"net/netip"
	"time"
)

// IDs look like AWS's: a prefix and 17 hexadecimal digits ("vpc-0" + 16).
// An input field of one of these types also takes an object's lab name; the
// front end resolves names before it calls an operation (see ResolveNames).
type (
	VpcID              string // vpc-
	CidrAssociationID  string // vpc-cidr-assoc-
	SubnetID           string // subnet-
	RouteTableID       string // rtb-
	RouteAssociationID string // rtbassoc-
	InternetGatewayID  string // igw-
	NatGatewayID       string // nat-
	AllocationID       string // eipalloc-
	AddressAssocID     string // eipassoc-
	SecurityGroupID    string // sg-
	SecurityRuleID     string // sgr-
	NetworkAclID       string // acl-
	AclAssociationID   string // aclassoc-
	DhcpOptionsID      string // dopt-
	NetworkInterfaceID string // eni-
	AttachmentID       string // eni-attach-
	InstanceID         string // i-
	ReservationID      string // r-
	KeyPairID          string // key-
	InternetHostID     string // host- (vpcemu's own: a host on the lab's Internet)

	SubnetCidrReservationID string // scr-
	FlowLogID               string // fl-

	ImpairmentID string // imp- (vpcemu's own, as the next)
	FailureID    string // fail-
)

// Meta is what every object carries.
type Meta struct {
	Account string // twelve digits
	Region  string // ap-northeast-1
	Tags    map[string]string
	// Source is the topology key that made the object ("subnets.public"), or
	// "" when it was made through the CLI or an API. `up` changes only objects
	// with a Source, unless told to prune.
	Source  string
	Created time.Time
	// Deleted is when the object was deleted or terminated; such objects stay
	// visible for about an hour, as on AWS (NA-16, IN-03). Zero while it lives.
	Deleted time.Time
	// Due is when the object leaves a state that passes with time (API.Delays); zero: it is in none,
	// or leaves it as soon as that can be.
	Due time.Time `json:",omitzero"`
}

// Name is the object's Name tag, which is also its lab name.
func (m *Meta) Name() string { return m.Tags["Name"] }

// Vpc is an address range with a router in it. Rules AD-01 to AD-06, DNS-04.
type Vpc struct {
	Meta
	ID                 VpcID
	State              string // pending, available
	CidrBlock          netip.Prefix
	Cidrs              []CidrAssociation // the primary first
	InstanceTenancy    string            // default, dedicated
	IsDefault          bool
	DhcpOptionsID      DhcpOptionsID // "" or "default": no option set (DH-02)
	EnableDnsSupport   bool
	EnableDnsHostnames bool
	// Metrics of address usage are not kept; the attribute is, as clients read it back.
	EnableNetworkAddressUsageMetrics bool
}

// CidrAssociation is one of a VPC's blocks.
type CidrAssociation struct {
	ID        CidrAssociationID
	CidrBlock netip.Prefix
	State     string // associated, disassociated
}

// Subnet lies in one availability zone and inside one block of its VPC (AD-09, AD-15).
type Subnet struct {
	Meta
	ID                  SubnetID
	VpcID               VpcID
	State               string // pending, available
	CidrBlock           netip.Prefix
	AvailabilityZone    string
	MapPublicIpOnLaunch bool
	DefaultForAz        bool
	// The association of a subnet with its network ACL always exists (AC-01).
	NetworkAclID     NetworkAclID
	AclAssociationID AclAssociationID
	// Names of instances launched here (DNS-05): ip-name (also "") or resource-name.
	PrivateDnsHostnameType       string
	EnableResourceNameDnsARecord bool
}

// SubnetCidrReservation keeps a part of a subnet out of automatic assignment (AD-14).
type SubnetCidrReservation struct {
	Meta
	ID              SubnetCidrReservationID
	SubnetID        SubnetID
	Cidr            netip.Prefix
	ReservationType string // prefix, explicit
	Description     string
}

// RouteTable holds routes; subnets and gateways are associated with it (RT-01, RT-14).
type RouteTable struct {
	Meta
	ID           RouteTableID
	VpcID        VpcID
	Routes       []Route // local routes first, then in order of creation
	Associations []RouteAssociation
}

// RouteAssociation ties a table to a subnet, to a gateway (edge association) or,
// with Main set, to every subnet of the VPC that has no table of its own.
type RouteAssociation struct {
	ID        RouteAssociationID
	Main      bool
	SubnetID  SubnetID
	GatewayID InternetGatewayID
}

// Route has one destination and one target (RT-11).
type Route struct {
	DestinationCidrBlock netip.Prefix
	Local                bool // target "local"
	GatewayID            InternetGatewayID
	NatGatewayID         NatGatewayID
	NetworkInterfaceID   NetworkInterfaceID
	InstanceID           InstanceID // set with NetworkInterfaceID where the route named an instance
	State                string     // active, blackhole (derived: see Model.RouteState)
	Origin               string     // CreateRouteTable, CreateRoute
	VpcID                VpcID      // of its table
}

// InternetGateway is attached to at most one VPC (IG-07).
type InternetGateway struct {
	Meta
	ID              InternetGatewayID
	VpcID           VpcID  // "" while detached
	AttachmentState string // "", available
}

// NatGateway owns a requester-managed ENI in its subnet (NA-01).
type NatGateway struct {
	Meta
	ID                 NatGatewayID
	VpcID              VpcID
	SubnetID           SubnetID
	ConnectivityType   string // public, private
	State              string // pending, available, failed, deleting, deleted
	FailureCode        string
	FailureMessage     string
	NetworkInterfaceID NetworkInterfaceID
	Addresses          []NatGatewayAddress // the primary first
}

// NatGatewayAddress is one private address of a NAT gateway and, for a public
// one, the Elastic IP that the Internet gateway maps it to (NA-02).
type NatGatewayAddress struct {
	PrivateIp     netip.Addr
	PublicIp      netip.Addr // invalid for a private gateway
	AllocationID  AllocationID
	AssociationID AddressAssocID
	IsPrimary     bool
	Status        string // succeeded, disassociating, unassigning
	// DrainUntil is when a draining address (Status disassociating, unassigning)
	// goes; until then it serves the connections that it has (NA-17).
	DrainUntil time.Time
}

// Address is an Elastic IP (EI-01).
type Address struct {
	Meta
	AllocationID  AllocationID
	PublicIp      netip.Addr
	AssociationID AddressAssocID // "" while free
	// LastAssociationID is the association before this state, so that repeating
	// a DisassociateAddress succeeds (EI-03).
	LastAssociationID AddressAssocID
	// Where it is associated: always an ENI and one of its private addresses.
	NetworkInterfaceID NetworkInterfaceID
	PrivateIp          netip.Addr
}

// SecurityGroup is a set of allow rules (SG-01).
type SecurityGroup struct {
	Meta
	ID          SecurityGroupID
	VpcID       VpcID
	GroupName   string
	Description string
	Ingress     []SecurityGroupRule
	Egress      []SecurityGroupRule
}

// SecurityGroupRule is one direction, protocol, port range and peer (SG-04).
type SecurityGroupRule struct {
	ID          SecurityRuleID
	IpProtocol  string // tcp, udp, icmp, icmpv6, -1 or a number other than those (SG-05)
	FromPort    int    // ICMP: type; -1 any
	ToPort      int    // ICMP: code; -1 any
	CidrIpv4    netip.Prefix
	CidrIpv6    netip.Prefix
	GroupID     SecurityGroupID // the referenced group
	Description string
	Tags        map[string]string
}

// NetworkAcl is an ordered, stateless rule list (AC-01). The final "*" entries
// (32767) are part of Entries, as in the API's answers (AC-04).
type NetworkAcl struct {
	Meta
	ID        NetworkAclID
	VpcID     VpcID
	IsDefault bool
	Entries   []NetworkAclEntry // ingress first, each direction by number
}

// NetworkAclEntry is one numbered rule (AC-05).
type NetworkAclEntry struct {
	RuleNumber int
	Egress     bool
	Protocol   string // a number, or -1
	RuleAction string // allow, deny
	CidrBlock  netip.Prefix
	Ipv6Cidr   netip.Prefix
	FromPort   int // for protocols 6 and 17
	ToPort     int
	IcmpType   int // for protocol 1; -1 any
	IcmpCode   int
}

// DhcpOptions is an immutable option set (DH-01, DH-02).
type DhcpOptions struct {
	Meta
	ID                 DhcpOptionsID
	DomainName         string
	DomainNameServers  []string // "AmazonProvidedDNS" or addresses
	NtpServers         []string
	NetbiosNameServers []string
	NetbiosNodeType    int
	// Ipv6PreferredLeaseTime is in seconds; 0 means the default of 140.
	Ipv6PreferredLeaseTime int
}

// NetworkInterface is an ENI (EN-01). Its addresses, groups, MAC and Elastic IPs
// follow it when it moves.
type NetworkInterface struct {
	Meta
	ID               NetworkInterfaceID
	Handle           uint32 // number on the packet path; never reused in a lab
	VpcID            VpcID
	SubnetID         SubnetID
	AvailabilityZone string
	Description      string
	MacAddress       string           // 0a:…
	PrivateIps       []PrivateAddress // the primary first
	Groups           []SecurityGroupID
	SourceDestCheck  bool
	InterfaceType    string // interface, natGateway
	RequesterID      string // the account that asked for it by CreateNetworkInterface
	RequesterManaged bool
	Status           string // available, in-use
	Attachment       *Attachment
	// MapPublic is the subnet's or the launch's wish for an automatic public
	// address, fixed when the ENI was made (PI-01).
	MapPublic bool
	// PublicIp is the automatic public address of the primary private address,
	// invalid while it has none (stopped, Elastic IP associated; PI-02).
	PublicIp netip.Addr
	// Conntrack timeouts in seconds; 0 means the default (CT-02).
	TcpEstablishedTimeout, UdpTimeout, UdpStreamTimeout int
	// LinkType is vpcemu's own: tun (default) or tap.
	LinkType string
}

// PrivateAddress is one private IPv4 address of an ENI.
type PrivateAddress struct {
	PrivateIp    netip.Addr
	Primary      bool
	AllocationID AllocationID // Elastic IP, "" for none
}

// Attachment ties an ENI to an instance.
type Attachment struct {
	ID                  AttachmentID
	InstanceID          InstanceID
	DeviceIndex         int
	DeleteOnTermination bool
	Status              string // attaching, attached, detaching, detached
	AttachTime          time.Time
}

// Instance states and their codes (IN-01).
const (
	StatePending      = "pending"       // 0
	StateRunning      = "running"       // 16
	StateShuttingDown = "shutting-down" // 32
	StateTerminated   = "terminated"    // 48
	StateStopping     = "stopping"      // 64
	StateStopped      = "stopped"       // 80
)

// Instance is a sandbox on this machine; the model knows its wishes and state.
type Instance struct {
	Meta
	ID             InstanceID
	ReservationID  ReservationID
	State          string
	StateReason    string // code and message, e.g. "Client.UserInitiatedShutdown: …"
	ImageID        string
	InstanceType   string
	KeyName        string
	Tenancy        string // default, dedicated
	UserData       string // the bytes, which need not be text; not base64
	VpcID          VpcID
	SubnetID       SubnetID
	LaunchTime     time.Time
	ClientToken    string // of its launch
	PrivateDnsName string
	// EnableResourceNameDnsARecord tells whether the resource name answers too (DNS-05).
	EnableResourceNameDnsARecord bool
	// BootID counts starts: a reboot or start raises it, and the host starts a
	// fresh sandbox for each value.
	BootID                            int
	DisableApiTermination             bool
	InstanceInitiatedShutdownBehavior string // stop, terminate
	DisableApiStop                    bool
	AmiLaunchIndex                    int
	// StateTransitionReason is "User initiated (2026-11-23 10:00:00 GMT)" or "".
	StateTransitionReason string
	// PublicKey is the key pair's at launch: deleting the pair afterwards takes
	// no key away from the instance.
	PublicKey string
	// Devices are host device files bound into the sandbox (vpcemu's own).
	Devices []string
	// MetadataOptions may have empty members: read them through Metadata (IM-03).
	MetadataOptions MetadataOptions
	// Rootfs is what the disk lies over (vpcemu's own): "" for the host's root, RootfsHostReadOnly, or the
	// absolute path of a directory or an archive.
	Rootfs string `json:",omitempty"`
	// Limits of what it may use of the machine (vpcemu's own).
	Limits Limits `json:",omitzero"`
	// Options are settings that are only read back.
	Options InstanceOptions `json:",omitzero"`
}

// KeyPair is a public key that instances install (vpcemu keeps the private half
// of keys that it made itself in the lab's key directory, not in the model).
type KeyPair struct {
	Meta
	ID             KeyPairID
	KeyName        string
	KeyFingerprint string
	PublicKey      string // authorized_keys form
}

// InternetHost is a host on the lab's Internet: a sandbox like an instance, with
// a public address and no security group (vpcemu's own).
type InternetHost struct {
	Meta
	ID        InternetHostID
	Handle    uint32 // shares the numbers of NetworkInterface.Handle
	HostName  string
	DnsNames  []string // in the DNS, besides NAME and NAME.internet
	PublicIp  netip.Addr
	KeyNames  []string // public keys that log in; the private halves of made keys are put in its ~/.ssh
	UserData  string
	State     string // as an instance's: pending, running, stopped…
	BootID    int
	LinkType  string
	Mac       string
	StateNote string
	Rootfs    string `json:",omitempty"` // as an instance's
	Limits    Limits `json:",omitzero"`
}

// Model is one lab's cloud: every object of every type. Copy it with Clone.
type Model struct {
	// Settings of the lab.
	Lab     string
	Account string
	Region  string   // its home: of what names no Region
	Zones   []string // availability zones of Region
	// DefaultVpcs tells that a Region opens with a default VPC (DV-01).
	DefaultVpcs bool `json:",omitempty"`
	// PublicPools are the ranges that public addresses are drawn from.
	PublicPools []netip.Prefix
	NextHandle  uint32
	// LastPublicIp is the address drawn last from PublicPools: the next one is
	// looked for behind it, so that a released address rests before it is reused.
	LastPublicIp netip.Addr
	// RegionSettings are those of the home Region; Regions has those of the others.
	RegionSettings
	// Quotas are the limits raised or lowered in this lab, by Quota name, in each
	// of its Regions. The map is never changed in place.
	Quotas map[string]int
	// Outside is how the lab is tied to the machine's own network.
	Outside Outside
	// Api is the lab's endpoint of the EC2 API.
	Api API
	// Expectations are the checks of the topology file that the lab was last brought up
	// with. The list is never changed in place.
	Expectations []Expectation `json:",omitempty"`
	// Images are the lab's own in all Regions, by AMI ID. The map is never changed in place.
	Images map[string]LabImage `json:",omitempty"`
	// Incarnations counts how often a topology key was made, so that a replaced
	// object gets a new ID.
	Incarnations Table[string, int]
	// Regions are the open ones besides the home Region, by name.
	Regions Table[string, RegionSettings]

	Vpcs              Table[VpcID, Vpc]
	Subnets           Table[SubnetID, Subnet]
	RouteTables       Table[RouteTableID, RouteTable]
	InternetGateways  Table[InternetGatewayID, InternetGateway]
	NatGateways       Table[NatGatewayID, NatGateway]
	Addresses         Table[AllocationID, Address]
	SecurityGroups    Table[SecurityGroupID, SecurityGroup]
	NetworkAcls       Table[NetworkAclID, NetworkAcl]
	DhcpOptions       Table[DhcpOptionsID, DhcpOptions]
	NetworkInterfaces Table[NetworkInterfaceID, NetworkInterface]
	Instances         Table[InstanceID, Instance]
	KeyPairs          Table[string, KeyPair] // see KeyPair
	InternetHosts     Table[InternetHostID, InternetHost]

	Volumes                Table[VolumeID, Volume]
	SubnetCidrReservations Table[SubnetCidrReservationID, SubnetCidrReservation]
	FlowLogs               Table[FlowLogID, FlowLog]
	Impairments            Table[ImpairmentID, Impairment]
	Failures               Table[FailureID, Failure]
	// ClientTokens are the requests that may be repeated (key: action/token, and
	// before it REGION/ of those that are not of the home Region).
	ClientTokens Table[string, TokenRecord]

	held *holdings // while an action that only reads asks of every instance
	view string    // the Region that the tables show (In), "" for all
}

// RegionSettings are what an account has in each Region.
type RegionSettings struct {
	// DefaultDhcpOptionsID is the account's default set, given to new VPCs (DV-03).
	DefaultDhcpOptionsID DhcpOptionsID
	// MetadataDefaults are the account's for new instances (IM-03).
	MetadataDefaults MetadataDefaults
}
