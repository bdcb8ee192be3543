package topology

import (
	"net/netip"
	"slices"
)

// Vpc is an entry of vpcs.
type Vpc struct {
	Head
	// The primary IPv4 range, /16 to /28.
	CidrBlock Value[netip.Prefix] `key:"cidr_block,required" change:"replace"`
	// Further IPv4 ranges, up to four.
	SecondaryCidrBlocks List[netip.Prefix] `key:"secondary_cidr_blocks" change:"in place"`
	// Whether instances run on hardware of their own. No effect on packets. A change from dedicated to default is made in place.
	InstanceTenancy Value[string] `key:"instance_tenancy" default:"default" enum:"default|dedicated" change:"replace"`
	// Whether the Amazon resolver answers at the range's base + 2.
	EnableDnsSupport Value[bool] `key:"enable_dns_support" default:"true" change:"in place"`
	// Whether the resolver knows private names such as ip-10-0-0-4.ec2.internal; in force only with enable_dns_support. Public names are shown, but not resolved.
	EnableDnsHostnames Value[bool] `key:"enable_dns_hostnames" default:"false" change:"in place"`
	// The DHCP option set; `none` associates none at all.
	DhcpOptions Value[string] `key:"dhcp_options" ref:"dhcp_options" words:"none" unset:"the account's default set" change:"in place"`
	// Rules of the group that the VPC is made with, named `default` in references.
	DefaultSecurityGroup Value[DefaultSecurityGroup] `key:"default_security_group" unset:"AWS's rules: everything from its own members, everything outward" change:"in place"`
	// Rules of the network ACL that the VPC is made with. Subnets that no other ACL names have it.
	DefaultNetworkAcl Value[DefaultNetworkAcl] `key:"default_network_acl" unset:"AWS's rules: 100 allows everything, both ways" change:"in place"`
	// Routes of the route table that the VPC is made with. Subnets that no other table names use it, unless another table is `main`.
	MainRouteTable Value[MainRouteTable] `key:"main_route_table" unset:"the local route only" change:"in place"`
	// The AWS region that it is in.
	Region Value[string] `key:"region" unset:"the lab's region" pattern:"^[a-z]{2}(-[a-z]+)+-[0-9]$" change:"replace"`
}

// DefaultSecurityGroup is a VPC's own group.
type DefaultSecurityGroup struct {
	// What may come in.
	Ingress List[GroupRule] `key:"ingress" unset:"everything from members of the group" change:"in place"`
	// What may go out.
	Egress List[GroupRule] `key:"egress" unset:"everything" change:"in place"`
	// Its tags, Name among them.
	Tags Value[map[string]string] `key:"tags" change:"in place"`
}

// DefaultNetworkAcl is a VPC's own network ACL.
type DefaultNetworkAcl struct {
	// Rules for what enters a subnet.
	Ingress List[AclRule] `key:"ingress" unset:"rule 100 allows everything" change:"in place"`
	// Rules for what leaves a subnet.
	Egress List[AclRule] `key:"egress" unset:"rule 100 allows everything" change:"in place"`
	// Its tags, Name among them.
	Tags Value[map[string]string] `key:"tags" change:"in place"`
}

// MainRouteTable is the route table that a VPC is made with.
type MainRouteTable struct {
	// Routes besides the local ones.
	Routes List[Route] `key:"routes" change:"in place"`
}

// Subnet is an entry of subnets.
type Subnet struct {
	Head
	// The VPC that it is a part of.
	Vpc Value[string] `key:"vpc,required" ref:"vpcs" words:"default" change:"replace"`
	// Its IPv4 range, /16 to /28, inside the VPC's. The first four addresses and the last are AWS's.
	CidrBlock Value[netip.Prefix] `key:"cidr_block,required" change:"replace"`
	// The zone that it lies in, such as ap-northeast-1a.
	AvailabilityZone Value[string] `key:"availability_zone" unset:"the region's first zone" change:"replace"`
	// Whether instances get a public address unless they say otherwise.
	MapPublicIpOnLaunch Value[bool] `key:"map_public_ip_on_launch" default:"false" change:"in place"`
	// What instances are named after when they are launched: their address (ip-10-0-0-4) or their ID.
	PrivateDnsHostnameTypeOnLaunch Value[string] `key:"private_dns_hostname_type_on_launch" default:"ip-name" enum:"ip-name|resource-name" change:"in place"`
	// Whether the DNS answers for the IDs of instances that are launched here, too.
	EnableResourceNameDnsARecordOnLaunch Value[bool] `key:"enable_resource_name_dns_a_record_on_launch" default:"false" change:"in place"`
	// Parts of its range that no automatic address is drawn from. Addresses in use stay.
	CidrReservations List[CidrReservation] `key:"cidr_reservations" unset:"none" change:"in place"`
	// What its edge is like, where it is not perfect: what leaves or enters the subnet crosses it.
	Impair Value[Impair] `key:"impair" unset:"perfect" change:"in place"`
}

// CidrReservation keeps a part of a subnet for addresses that are asked for.
type CidrReservation struct {
	// The part.
	CidrBlock Value[netip.Prefix] `key:"cidr_block,required" change:"in place"`
	// What it is kept for: prefixes that interfaces are given, which a lab has not, or addresses that are asked for by name. Both keep it free.
	ReservationType Value[string] `key:"reservation_type" default:"explicit" enum:"explicit|prefix" change:"in place"`
	// What it is for.
	Description Value[string] `key:"description" change:"in place"`
}

// InternetGateway is an entry of internet_gateways.
type InternetGateway struct {
	Head
	// The VPC that it is attached to.
	Vpc Value[string] `key:"vpc" ref:"vpcs" unset:"detached" change:"in place"`
	// The AWS region that it is in.
	Region Value[string] `key:"region" unset:"its VPC's, or the lab's region" pattern:"^[a-z]{2}(-[a-z]+)+-[0-9]$" change:"replace"`
}

// ElasticIp is an entry of elastic_ips.
type ElasticIp struct {
	Head
	// The public address, one of internet.public_pools.
	Address Value[netip.Addr] `key:"address" unset:"the next free one" change:"replace"`
	// The instance that has it, on its primary interface.
	Instance Value[string] `key:"instance" ref:"instances" change:"in place"`
	// The network interface that has it.
	NetworkInterface Value[string] `key:"network_interface" ref:"network_interfaces" change:"in place"`
	// Which of the private addresses it stands for.
	AssociateWithPrivateIp Value[netip.Addr] `key:"associate_with_private_ip" unset:"the primary one" change:"in place"`
	// The AWS region that it is in.
	Region Value[string] `key:"region" unset:"that of what has it, or the lab's region" pattern:"^[a-z]{2}(-[a-z]+)+-[0-9]$" change:"replace"`
}

// NatGateway is an entry of nat_gateways.
type NatGateway struct {
	Head
	// The subnet that it is in. A public one works only where that subnet routes to an Internet gateway.
	Subnet Value[string] `key:"subnet,required" ref:"subnets" words:"default-ZONE" change:"replace"`
	// The Elastic IP that connections seem to come from; required for a public one.
	ElasticIp Value[string] `key:"elastic_ip|allocation" ref:"elastic_ips" change:"replace"`
	// Whether it reaches the Internet, or only other networks.
	ConnectivityType Value[string] `key:"connectivity_type" default:"public" enum:"public|private" change:"replace"`
	// Its private address.
	PrivateIp Value[netip.Addr] `key:"private_ip" unset:"the subnet's next free one" change:"replace"`
	// Further Elastic IPs of a public one: each is good for as many connections again. What is taken away goes at once, without draining.
	SecondaryElasticIps List[string] `key:"secondary_elastic_ips|secondary_allocations" ref:"elastic_ips" unset:"none" change:"in place"`
	// The private addresses of these, in the same order; of a private one, its further addresses.
	SecondaryPrivateIps List[netip.Addr] `key:"secondary_private_ips|secondary_private_ip_addresses" unset:"the subnet's next free ones for secondary_elastic_ips, otherwise none" change:"in place"`
}

// has tells whether an Elastic IP is one of the gateway's.
func (n *NatGateway) has(elasticIp string) bool {
	return n.ElasticIp.Set && n.ElasticIp.V == elasticIp || slices.Contains(values(n.SecondaryElasticIps), elasticIp)
}

// RouteTable is an entry of route_tables.
type RouteTable struct {
	Head
	// The VPC that it belongs to.
	Vpc Value[string] `key:"vpc" ref:"vpcs" words:"default" default:"default" change:"replace"`
	// Routes besides the local ones, which every table has.
	Routes List[Route] `key:"routes" change:"in place"`
	// The subnets that use it.
	Subnets List[string] `key:"subnets" ref:"subnets" words:"default-ZONE" unset:"none" change:"in place"`
	// Whether it is the VPC's main table, used by all subnets that no table names.
	Main Value[bool] `key:"main" default:"false" change:"in place"`
	// The Internet gateway whose inbound packets it routes (an edge association).
	Gateway Value[string] `key:"gateway" ref:"internet_gateways" change:"in place"`
}

// Route is an entry of a route table: a destination and exactly one target.
type Route struct {
	// Destination of the packets it is for. The longest prefix wins.
	CidrBlock Value[netip.Prefix] `key:"cidr_block,required" change:"in place"`
	// Target: an Internet gateway, `local` (the VPC itself), or `default` (the default VPC's Internet gateway).
	Gateway Value[string] `key:"gateway" ref:"internet_gateways" words:"local|default" change:"in place"`
	// Target: a NAT gateway.
	NatGateway Value[string] `key:"nat_gateway" ref:"nat_gateways" change:"in place"`
	// Target: a network interface.
	NetworkInterface Value[string] `key:"network_interface" ref:"network_interfaces" change:"in place"`
	// Target: an instance with exactly one network interface.
	Instance Value[string] `key:"instance" ref:"instances" change:"in place"`
}

// SecurityGroup is an entry of security_groups.
type SecurityGroup struct {
	Head
	// The VPC that it belongs to.
	Vpc Value[string] `key:"vpc" ref:"vpcs" words:"default" default:"default" change:"replace"`
	// Its name on AWS, where that is no word or groups of several VPCs share it. AWS cannot change it.
	GroupName Value[string] `key:"group_name" unset:"its key in the file" pattern:"^[a-zA-Z0-9 ._:/()#,@\\[\\]+=&;{}!$*-]{1,255}$" change:"replace"`
	// What it is for. AWS cannot change it.
	Description Value[string] `key:"description" default:"Managed by vpcemu" change:"replace"`
	// What may come in.
	Ingress List[GroupRule] `key:"ingress" unset:"nothing" change:"in place"`
	// What may go out; `[]` is nothing.
	Egress List[GroupRule] `key:"egress" unset:"everything" change:"in place"`
}

// groupName is its name on AWS.
func (g *SecurityGroup) groupName() string {
	if g.GroupName.Set {
		return g.GroupName.V
	}
	return g.Name
}

// GroupRule is a rule of a security group. It allows; nothing denies.
type GroupRule struct {
	// tcp, udp, icmp, a number, or `all` (-1).
	Protocol Value[Protocol] `key:"protocol" loose:"true" unset:"tcp with a port; icmp with a type; otherwise required" change:"in place"`
	// One port, by number or as ssh, http, https, mysql and the like.
	Port Value[Ports] `key:"port" loose:"true" change:"in place"`
	// A range of ports such as 8000-8100, or `all`.
	Ports Value[Ports] `key:"ports" loose:"true" change:"in place"`
	// First port of a range; for ICMP the type.
	FromPort Value[int] `key:"from_port" min:"-1" max:"65535" change:"in place"`
	// Last port of a range; for ICMP the code.
	ToPort Value[int] `key:"to_port" min:"-1" max:"65535" change:"in place"`
	// ICMP type (8: echo request), -1 for any.
	IcmpType Value[int] `key:"icmp_type" min:"-1" max:"255" unset:"any" change:"in place"`
	// ICMP code, -1 for any.
	IcmpCode Value[int] `key:"icmp_code" min:"-1" max:"255" unset:"any" change:"in place"`
	// Ranges of the other side: sources of ingress, destinations of egress.
	CidrBlocks List[netip.Prefix] `key:"cidr_blocks" change:"in place"`
	// Groups that the other side is a member of, by its private address.
	SecurityGroups List[string] `key:"security_groups" ref:"security_groups" words:"default" change:"in place"`
	// Whether the group's own members are the other side.
	Self Value[bool] `key:"self" default:"false" change:"in place"`
	// A note on the rule.
	Description Value[string] `key:"description" change:"in place"`
	// Its tags, Name among them.
	Tags Value[map[string]string] `key:"tags" change:"in place"`
}

// NetworkAcl is an entry of network_acls.
type NetworkAcl struct {
	Head
	// The VPC that it belongs to.
	Vpc Value[string] `key:"vpc" ref:"vpcs" words:"default" default:"default" change:"replace"`
	// The subnets that it guards.
	Subnets List[string] `key:"subnets" ref:"subnets" words:"default-ZONE" unset:"none" change:"in place"`
	// Rules for what enters the subnet. What none of them allows is denied.
	Ingress List[AclRule] `key:"ingress" unset:"nothing is allowed" change:"in place"`
	// Rules for what leaves the subnet, answers included.
	Egress List[AclRule] `key:"egress" unset:"nothing is allowed" change:"in place"`
}

// AclRule is a rule of a network ACL. The lowest number that matches decides.
type AclRule struct {
	// Its number, 1 to 32766.
	RuleNo Value[int] `key:"rule_no|rule_number,required" min:"1" max:"32766" change:"in place"`
	// What to do with a packet that matches.
	Action Value[string] `key:"action|rule_action,required" enum:"allow|deny" change:"in place"`
	// tcp, udp, icmp, a number, or `all` (-1).
	Protocol Value[Protocol] `key:"protocol" loose:"true" unset:"tcp with a port; icmp with a type; otherwise all" change:"in place"`
	// The range of the other side: source of ingress, destination of egress.
	CidrBlock Value[netip.Prefix] `key:"cidr_block,required" change:"in place"`
	// One destination port, by number or as ssh, http, https, mysql and the like.
	Port Value[Ports] `key:"port" loose:"true" change:"in place"`
	// A range of destination ports such as 1024-65535, or `all`.
	Ports Value[Ports] `key:"ports" loose:"true" change:"in place"`
	// First port of a range.
	FromPort Value[int] `key:"from_port" min:"0" max:"65535" change:"in place"`
	// Last port of a range.
	ToPort Value[int] `key:"to_port" min:"0" max:"65535" change:"in place"`
	// ICMP type, -1 for any.
	IcmpType Value[int] `key:"icmp_type" min:"-1" max:"255" unset:"any" change:"in place"`
	// ICMP code, -1 for any.
	IcmpCode Value[int] `key:"icmp_code" min:"-1" max:"255" unset:"any" change:"in place"`
}

// DhcpOptions is an entry of dhcp_options. AWS cannot change a set, so every
// change makes another and associates it.
type DhcpOptions struct {
	Head
	// Domain that guests complete host names with.
	DomainName Value[string] `key:"domain_name" change:"replace"`
	// Up to four name servers, in the order in which guests ask them. AmazonProvidedDNS is the VPC's resolver. Addresses of IPv6 are kept, and not handed out yet.
	DomainNameServers List[string] `key:"domain_name_servers" change:"replace"`
	// Up to eight time servers, of IPv6 as above.
	NtpServers List[string] `key:"ntp_servers" change:"replace"`
	// Up to four NetBIOS name servers.
	NetbiosNameServers List[string] `key:"netbios_name_servers" change:"replace"`
	// NetBIOS node type; AWS recommends 2.
	NetbiosNodeType Value[int] `key:"netbios_node_type" enum:"1|2|4|8" change:"replace"`
	// Kept and shown, no more: a lab has no IPv6 yet. In seconds.
	Ipv6AddressPreferredLeaseTime Value[int] `key:"ipv6_address_preferred_lease_time" min:"140" max:"2147483647" unset:"140" change:"replace"`
	// The AWS region that it is in.
	Region Value[string] `key:"region" unset:"the lab's region" pattern:"^[a-z]{2}(-[a-z]+)+-[0-9]$" change:"replace"`
}

// KeyPair is an entry of key_pairs.
type KeyPair struct {
	Head
	// The public key in the form of authorized_keys.
	PublicKey Value[string] `key:"public_key" unset:"vpcemu makes a pair (ed25519) and keeps the private half in the lab's key folder" change:"replace"`
	// The AWS region that it is in.
	Region Value[string] `key:"region" unset:"the lab's region" pattern:"^[a-z]{2}(-[a-z]+)+-[0-9]$" change:"replace"`
}

// NetworkInterface is an entry of network_interfaces.
type NetworkInterface struct {
	Head
	// The subnet that it is in.
	Subnet Value[string] `key:"subnet,required" ref:"subnets" words:"default-ZONE" change:"replace"`
	// Its private addresses, the primary one first. A change of the primary one replaces the interface.
	PrivateIps List[netip.Addr] `key:"private_ips" unset:"the subnet's next free one" change:"in place"`
	// The groups that guard it.
	SecurityGroups List[string] `key:"security_groups" ref:"security_groups" words:"default" unset:"the VPC's default group" change:"in place"`
	// Whether it drops packets that are neither from nor to its own addresses. Off for routers and NAT instances.
	SourceDestCheck Value[bool] `key:"source_dest_check" default:"true" change:"in place"`
	// What it is for.
	Description Value[string] `key:"description" change:"in place"`
	// The instance that it is plugged into.
	Attachment Value[Attachment] `key:"attachment" unset:"not attached" change:"in place"`
	// tun carries IP packets; tap carries Ethernet frames, as stock DHCP clients and appliances in the same subnet want.
	LinkType Value[string] `key:"link_type" default:"tun" enum:"tun|tap" change:"replace"`
}

// Attachment plugs a network interface into an instance.
type Attachment struct {
	// The instance, in the interface's zone.
	Instance Value[string] `key:"instance,required" ref:"instances" change:"in place"`
	// Its place there; 0 is the instance's own first interface.
	DeviceIndex Value[int] `key:"device_index" default:"1" min:"1" max:"15" change:"in place"`
}

// Instance is an entry of instances; the name is also its host name in `ip netns`.
type Instance struct {
	Head
	// Kept and shown, no more: `rootfs` says what an instance boots.
	Ami Value[string] `key:"ami" unset:"the lab's own image" pattern:"^ami-[0-9a-f]{8,17}$" change:"replace"`
	// Kept and shown; it limits how many network interfaces and addresses there may be, and with instance_type_limits processors and memory.
	InstanceType Value[string] `key:"instance_type" default:"t3.micro" change:"stop"`
	// The subnet that it is in.
	Subnet Value[string] `key:"subnet" ref:"subnets" words:"default-ZONE" unset:"the default VPC's subnet of the zone" change:"replace"`
	// The zone, where no subnet is given.
	AvailabilityZone Value[string] `key:"availability_zone" unset:"the subnet's, or the region's first zone" change:"replace"`
	// Its primary private address. DHCP hands it out, now and after every stop and start.
	PrivateIp Value[netip.Addr] `key:"private_ip" unset:"the subnet's next free one" change:"replace"`
	// Further private addresses. The guest has to configure them itself.
	SecondaryPrivateIps List[netip.Addr] `key:"secondary_private_ips" unset:"none" change:"in place"`
	// The groups that guard its primary interface.
	SecurityGroups List[string] `key:"security_groups|vpc_security_groups" ref:"security_groups" words:"default" unset:"the VPC's default group" change:"in place"`
	// Whether it gets an automatic public address, which changes at every stop and start.
	AssociatePublicIpAddress Value[bool] `key:"associate_public_ip_address" unset:"the subnet's map_public_ip_on_launch at launch" change:"in place"`
	// Whether it drops packets that are neither from nor to its own addresses. Off for routers and NAT instances.
	SourceDestCheck Value[bool] `key:"source_dest_check" default:"true" change:"in place"`
	// The key pair that may log in by ssh, as root and as ec2-user.
	KeyName Value[string] `key:"key_name" ref:"key_pairs" unset:"none" change:"replace"`
	// What its disk lies over: `host`, this host's own root file system; `host-read-only`, the same but read-only outside of
	// /etc, /home, /root, /tmp and /var; a directory with a root file system, such as debootstrap makes, which is never
	// written to; or a tar archive of one (plain, or compressed with gzip, bzip2, xz or zstd). A path is relative to the topology file.
	Rootfs Value[string] `key:"rootfs" unset:"the file's rootfs, or host" change:"replace"`
	// Processors that it may use, such as 0.5. It still sees all of the machine's.
	Cpus Value[Cpus] `key:"cpus" unset:"all" change:"in place"`
	// Memory that it may use, such as 512MiB. A process that would take more is killed.
	Memory Value[Memory] `key:"memory" unset:"all" change:"in place"`
	// How many processes and threads there may be in it.
	Pids Value[int] `key:"pids" min:"32" max:"4194304" unset:"no limit" change:"in place"`
	// Whether it may use the processors and the memory of its instance type only, where cpus and memory do not say otherwise.
	InstanceTypeLimits Value[bool] `key:"instance_type_limits" default:"false" change:"in place"`
	// What is done at the first boot, at most 16 KiB: a script (#!), #cloud-config, a MIME archive of these.
	UserData Value[string] `key:"user_data" change:"stop"`
	// A file with that, in the topology file's folder or below; gzip may have compressed it.
	UserDataFile Value[string] `key:"user_data_file" change:"stop"`
	// The same as base64, for what is no text.
	UserDataBase64 Value[string] `key:"user_data_base64" change:"stop"`
	// Whether it runs on hardware of its own. No effect on packets.
	Tenancy Value[string] `key:"tenancy" default:"default" enum:"default|dedicated" change:"replace"`
	// tun carries IP packets; tap carries Ethernet frames, as stock DHCP clients want.
	LinkType Value[string] `key:"link_type" default:"tun" enum:"tun|tap" change:"replace"`
	// Whether it is to run.
	State Value[string] `key:"state" default:"running" enum:"running|stopped" change:"in place"`
	// Whether terminating it is refused, to `up` as to everyone.
	DisableApiTermination Value[bool] `key:"disable_api_termination" default:"false" change:"in place"`
	// Whether stopping it is refused while it runs, to `up` as to everyone.
	DisableApiStop Value[bool] `key:"disable_api_stop" default:"false" change:"in place"`
	// What a poweroff inside it does.
	InstanceInitiatedShutdownBehavior Value[string] `key:"instance_initiated_shutdown_behavior" default:"stop" enum:"stop|terminate" change:"in place"`
	// Device files of this host that it may use, such as /dev/net/tun.
	Devices List[string] `key:"devices" unset:"none" change:"replace"`
	// Its names in the VPC's DNS.
	PrivateDnsNameOptions Value[PrivateDnsNameOptions] `key:"private_dns_name_options" unset:"as the subnet says at launch" change:"stop"`
	// What the link of all its interfaces is like, where it is not perfect.
	Impair Value[Impair] `key:"impair" unset:"perfect" change:"in place"`
	// How it reaches its metadata at 169.254.169.254.
	MetadataOptions Value[MetadataOptions] `key:"metadata_options" unset:"the account's, else the image's defaults" change:"in place"`
}

// MetadataOptions are those of an instance. What is not given has the account's
// default for new instances, which is EC2's own unless modify-instance-metadata-defaults
// has set another.
type MetadataOptions struct {
	// Whether a request needs a token (version 2) or may do without (version 1).
	HttpTokens Value[string] `key:"http_tokens" enum:"optional|required" unset:"the account's default, optional" change:"in place"`
	// The IP TTL of the answer that brings a token: a client one router further away, such as a container, needs 2.
	HttpPutResponseHopLimit Value[int] `key:"http_put_response_hop_limit" min:"1" max:"64" unset:"the account's default, 1" change:"in place"`
	// Whether there is metadata at all.
	HttpEndpoint Value[string] `key:"http_endpoint" enum:"enabled|disabled" unset:"the account's default, enabled" change:"in place"`
	// Kept and shown, no more: a lab has no IPv6 yet.
	HttpProtocolIpv6 Value[string] `key:"http_protocol_ipv6" default:"disabled" enum:"enabled|disabled" change:"in place"`
	// Whether its tags are in the metadata; their keys then have letters, digits and -_+=,.@: only.
	InstanceMetadataTags Value[string] `key:"instance_metadata_tags" enum:"enabled|disabled" unset:"the account's default, disabled" change:"in place"`
}

// PrivateDnsNameOptions are an instance's names in the DNS of its VPC.
type PrivateDnsNameOptions struct {
	// What it is named after: its address (ip-10-0-0-4) or its ID.
	HostnameType Value[string] `key:"hostname_type" enum:"ip-name|resource-name" unset:"the subnet's private_dns_hostname_type_on_launch at launch" change:"stop"`
	// Whether the DNS answers for its ID, too.
	EnableResourceNameDnsARecord Value[bool] `key:"enable_resource_name_dns_a_record" unset:"the subnet's enable_resource_name_dns_a_record_on_launch at launch" change:"in place"`
}

// InternetHost is an entry of internet_hosts; the name is also its host name.
type InternetHost struct {
	Head
	// Its public address, one of internet.public_pools or any other.
	Address Value[netip.Addr] `key:"address|public_ip" unset:"the next free one of the last pool" change:"replace"`
	// Names in the DNS besides its own name and NAME.internet, such as www.example.com. Resolvers in VPCs and on the Internet answer them.
	DnsNames List[string] `key:"dns_names" unset:"none" change:"in place"`
	// Key pairs that may log in; of pairs that vpcemu made it also has the private half in ~/.ssh.
	KeyNames List[string] `key:"key_names" ref:"key_pairs" unset:"none" change:"replace"`
	// What its disk lies over: `host`, this host's own root file system; `host-read-only`, the same but read-only outside of
	// /etc, /home, /root, /tmp and /var; a directory with a root file system, such as debootstrap makes, which is never
	// written to; or a tar archive of one (plain, or compressed with gzip, bzip2, xz or zstd). A path is relative to the topology file.
	Rootfs Value[string] `key:"rootfs" unset:"the file's rootfs, or host" change:"replace"`
	// Processors that it may use, such as 0.5. It still sees all of the machine's.
	Cpus Value[Cpus] `key:"cpus" unset:"all" change:"in place"`
	// Memory that it may use, such as 512MiB. A process that would take more is killed.
	Memory Value[Memory] `key:"memory" unset:"all" change:"in place"`
	// How many processes and threads there may be in it.
	Pids Value[int] `key:"pids" min:"32" max:"4194304" unset:"no limit" change:"in place"`
	// What is done at the first boot, at most 16 KiB: a script (#!), #cloud-config, a MIME archive of these.
	UserData Value[string] `key:"user_data" change:"replace"`
	// A file with that, in the topology file's folder or below; gzip may have compressed it.
	UserDataFile Value[string] `key:"user_data_file" change:"replace"`
	// The same as base64, for what is no text.
	UserDataBase64 Value[string] `key:"user_data_base64" change:"replace"`
	// tun carries IP packets; tap carries Ethernet frames.
	LinkType Value[string] `key:"link_type" default:"tun" enum:"tun|tap" change:"replace"`
	// Whether it is to run.
	State Value[string] `key:"state" default:"running" enum:"running|stopped" change:"in place"`
	// What its link is like, where it is not perfect.
	Impair Value[Impair] `key:"impair" unset:"perfect" change:"in place"`
}

// Conditions are those of a link in one direction. A link that none are given for is perfect.
type Conditions struct {
	// What every packet waits, such as 20ms. A ping waits twice: each direction counts by itself.
	Delay Value[string] `key:"delay" unset:"none" change:"in place"`
	// By how much the delay varies, at most as much as it is. It reorders nothing.
	Jitter Value[string] `key:"jitter" unset:"none" change:"in place"`
	// How the jitter is distributed: evenly, normally with the jitter as standard deviation, or mostly early and sometimes very late.
	Distribution Value[string] `key:"distribution" unset:"uniform" enum:"uniform|normal|pareto" change:"in place"`
	// The share of packets that are lost, such as 0.5%.
	Loss Value[string] `key:"loss" unset:"none" change:"in place"`
	// How many packets are lost in a row, on average.
	LossBurst Value[string] `key:"loss_burst" loose:"true" unset:"each by itself" change:"in place"`
	// The share of packets that arrive twice.
	Duplicate Value[string] `key:"duplicate" unset:"none" change:"in place"`
	// The share of packets that overtake those that are delayed.
	Reorder Value[string] `key:"reorder" unset:"none" change:"in place"`
	// Only each so-many-th packet may overtake.
	Gap Value[int] `key:"gap" unset:"1" min:"1" max:"100000" change:"in place"`
	// Bits a second of IP packets, such as 10mbit or 1gbit.
	Rate Value[string] `key:"rate" unset:"no limit" change:"in place"`
	// How much may wait for the rate, such as 100 packets or 64kb. What comes on top is dropped.
	Queue Value[string] `key:"queue|limit" loose:"true" unset:"1000 packets" change:"in place"`
}

// Impair is what an instance's or Internet host's link, the edge of a subnet or the
// Internet is like. Conditions here are those of both directions.
type Impair struct {
	Conditions
	// Conditions of what leaves, instead of those of both directions. Of the Internet: what leaves a VPC.
	Egress Value[Conditions] `key:"egress" unset:"those of both directions" change:"in place"`
	// Conditions of what comes in, instead of those of both directions.
	Ingress Value[Conditions] `key:"ingress" unset:"those of both directions" change:"in place"`
}

// ZoneImpair is what the link between two availability zones is like: `zones` both ways,
// or `from` and `to` one way.
type ZoneImpair struct {
	// The two zones, or one zone twice: what stays within it.
	Zones List[string] `key:"zones" change:"in place"`
	// The zone that packets come from.
	From Value[string] `key:"from" change:"in place"`
	// The zone that they go to.
	To Value[string] `key:"to" change:"in place"`
	Conditions
}

// FlowLog is an entry of flow_logs. Of vpc, subnet, network_interface and instance it has
// exactly one. AWS cannot change a flow log, so every change makes another; what the old
// one has written stays.
type FlowLog struct {
	Head
	// The VPC, all of whose network interfaces it watches, also later ones.
	Vpc Value[string] `key:"vpc" ref:"vpcs" words:"default" change:"replace"`
	// The subnet, all of whose network interfaces it watches, a NAT gateway's among them.
	Subnet Value[string] `key:"subnet" ref:"subnets" words:"default-ZONE" change:"replace"`
	// The network interface that it watches.
	NetworkInterface Value[string] `key:"network_interface|eni" ref:"network_interfaces" change:"replace"`
	// The instance whose first network interface it watches.
	Instance Value[string] `key:"instance" ref:"instances" change:"replace"`
	// Whether it records what security groups and network ACLs accept, what they reject, or both.
	TrafficType Value[string] `key:"traffic_type" default:"ALL" enum:"ACCEPT|REJECT|ALL" change:"replace"`
	// The fields of a record, in AWS's form: ${srcaddr} ${dstaddr} and so on, one blank between them.
	LogFormat Value[string] `key:"log_format" unset:"AWS's default, version 2" change:"replace"`
	// Length of the windows in which packets of a flow make one record, in seconds: 60 or 600 as on AWS, or 1 to 59.
	MaxAggregationInterval Value[int] `key:"max_aggregation_interval" default:"600" min:"1" max:"600" change:"replace"`
	// What log_group_name or log_destination names. All are files below flow-logs/ in the lab's state directory.
	LogDestinationType Value[string] `key:"log_destination_type" default:"cloud-watch-logs" enum:"cloud-watch-logs|s3" change:"replace"`
	// The log group: the folder flow-logs/GROUP.
	LogGroupName Value[string] `key:"log_group_name" unset:"the flow log's name, for cloud-watch-logs without log_destination" change:"replace"`
	// The ARN of a log group or bucket (the folder flow-logs/BUCKET, with the folders that AWS makes), or the absolute path of a file.
	LogDestination Value[string] `key:"log_destination" change:"replace"`
	// Kept and shown: a lab has no IAM.
	IamRoleArn Value[string] `key:"iam_role_arn" change:"replace"`
}

// Check is an entry of checks: a sentence, or the mapping that this table describes.
type Check struct {
	path string // checks[0], for messages
	said string // the sentence, if it is one

	// What results call it.
	Name Value[string] `key:"name" unset:"the check as a sentence" change:"in place"`
	// Who sends: an instance, network interface or Internet host, an address that one of them has, or `internet`.
	From Value[string] `key:"from,required" change:"in place"`
	// Whom to: one of those, a NAT gateway, or any address; `the public address of web` where web's private one is not meant.
	To Value[string] `key:"to,required" change:"in place"`
	// tcp, udp or icmp (an echo request).
	Protocol Value[string] `key:"protocol" enum:"tcp|udp|icmp" unset:"tcp with a port, otherwise icmp" change:"in place"`
	// The destination port of TCP and UDP, by number or as ssh, http, https, mysql and the like.
	Port Value[Ports] `key:"port" loose:"true" change:"in place"`
	// Whether a packet gets there and its answer comes back. A refused connection is an answer: this is about the network.
	Reaches Value[bool] `key:"reaches" default:"true" change:"in place"`
	// Whether a service has to listen as well (TCP). It is asked again until `within`.
	Connects Value[bool] `key:"connects" default:"false" change:"in place"`
	// The reason that has to drop the packet, such as SUBNET_ACL_RESTRICTION; with `reaches: false`.
	Because Value[string] `key:"because" unset:"any reason" change:"in place"`
	// The source address that has to arrive: an address, the name of an Elastic IP, `the Elastic IP of nat`, `the private address of web`.
	SeenAs Value[string] `key:"seen_as" unset:"any" change:"in place"`
	// NAT gateways, Internet gateways, instances and network interfaces that have to be passed.
	ByWayOf List[string] `key:"by_way_of" unset:"any way" change:"in place"`
	// Seconds that it may take to come true.
	Within Value[int] `key:"within" min:"1" max:"3600" unset:"15 with connects, otherwise 5" change:"in place"`
}
