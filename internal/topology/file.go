package topology

import (
	"net/netip"
)

// Value is what a file says for one key, with the line that says it. Where the
// file is silent, Set is false and V is the key's default.
type Value[T any] struct {
	V    T
	Set  bool
	Line int
}

// List is a sequence whose items know their lines.
type List[T any] = Value[[]Value[T]]

// values are the items of l without their lines.
func values[T any](l List[T]) []T {
	out := make([]T, len(l.V))
	for i, v := range l.V {
		out[i] = v.V
	}
	return out
}

// File is a topology file that Parse found to be right.
//
// The tags of its fields and of the objects' are the table from which parsing,
// schema and reference are made:
//
//	key:     the key, then its other spellings after "|", then ",required"
//	default: what an absent key means; "unset" says it in words where it depends
//	change:  what a change of the key does to an object that exists: "in place",
//	         "stop" (stopped and started), "replace" (deleted and made anew)
//	ref:     the map whose names the value is one of, or more with "|"
//	words:   names that are always there besides those of ref
//	enum:    the values allowed
//	min, max, pattern: limits
type File struct {
	// Path is the name given to Parse, as errors show it.
	Path string `key:"-"`

	// Version of the file format.
	Version Value[int] `key:"version,required" enum:"1" change:"never"`
	// The lab's name: one word that is the name of its namespaces, folders and sockets.
	Name Value[string] `key:"name" unset:"the file's name without its ending" pattern:"^[a-z][a-z0-9-]{0,23}$" change:"never"`
	// What the topology teaches or is for, shown where topologies are listed.
	Description Value[string] `key:"description" change:"in place"`
	// The AWS region: it names the availability zones and the DNS domain of instances. Objects that name
	// no other region are there.
	Region Value[string] `key:"region" default:"us-east-1" pattern:"^[a-z]{2}(-[a-z]+)+-[0-9]$" change:"never"`
	// Further regions that the lab uses, with their default VPCs. Those that objects name need not be here.
	Regions List[string] `key:"regions" unset:"none" change:"in place"`
	// The account that owns every object, twelve digits.
	Account Value[string] `key:"account" default:"123456789012" loose:"true" pattern:"^[0-9]{12}$" change:"never"`
	// Whether each region has its default VPC (172.31.0.0/16 with one public /20 a
	// zone), as every AWS account does. Objects without a `vpc` or `subnet` go there.
	DefaultVpc Value[bool] `key:"default_vpc" default:"true" change:"in place"`
	// The outside world.
	Internet Value[Internet] `key:"internet" change:"in place"`
	// The root file system of instances and Internet hosts that name none. See their key.
	Rootfs Value[string] `key:"rootfs" default:"host" change:"replace"`
	// Whether this machine is a host on the lab's Internet, so that its own ssh, curl and browser
	// reach public addresses of the lab, through Internet gateway, network ACL and security group.
	// It is called `host` in traces and checks. `vpcemu up --join` does so too, until the next `up` without.
	Join Value[bool] `key:"join" default:"false" change:"in place"`
	// Whether this machine's /etc/hosts gets the names of what has a public address: NAME.LAB, NAME where
	// nothing else is called so, and the public DNS name. It needs `join`. `vpcemu up --hosts` does so too.
	JoinHosts Value[bool] `key:"join_hosts" default:"false" change:"in place"`
	// AMI IDs and the root file system that each stands for: `host`, `host-read-only`, or the path of a
	// directory or tar archive, as an instance's `rootfs`. Every other AMI ID stands for the host's.
	Images Value[map[string]string] `key:"images" unset:"none" change:"in place"`
	// Limits of the account that are to differ from AWS's, such as elastic-ips-per-region: 10.
	Quotas Value[map[string]int] `key:"quotas" unset:"AWS's" change:"in place"`

	// The endpoint at which the lab serves the EC2 API, as `vpcemu up --api` and `vpcemu api` make it. Without
	// the key, `up` leaves the endpoint as it is.
	Api Value[Api] `key:"api" unset:"as it is" change:"in place"`

	// Address ranges, each with a router in it.
	Vpcs Objects[Vpc] `key:"vpcs"`
	// Parts of a VPC, each in one availability zone; instances are placed in them.
	Subnets Objects[Subnet] `key:"subnets"`
	// Gateways between a VPC and the Internet, at most one a VPC.
	InternetGateways Objects[InternetGateway] `key:"internet_gateways"`
	// Public addresses that stay until they are given back.
	ElasticIps Objects[ElasticIp] `key:"elastic_ips"`
	// Gateways through which instances without a public address open connections outward.
	NatGateways Objects[NatGateway] `key:"nat_gateways"`
	// Where packets leaving a subnet go.
	RouteTables Objects[RouteTable] `key:"route_tables"`
	// Stateful allow rules around network interfaces.
	SecurityGroups Objects[SecurityGroup] `key:"security_groups"`
	// Stateless, numbered rules at the edge of subnets.
	NetworkAcls Objects[NetworkAcl] `key:"network_acls"`
	// What DHCP tells the instances of a VPC besides their addresses.
	DhcpOptions Objects[DhcpOptions] `key:"dhcp_options"`
	// ssh keys that instances let in.
	KeyPairs Objects[KeyPair] `key:"key_pairs"`
	// Network interfaces (ENIs) besides the one that every instance has.
	NetworkInterfaces Objects[NetworkInterface] `key:"network_interfaces"`
	// Virtual machines: namespaces on this host.
	Instances Objects[Instance] `key:"instances"`
	// Hosts outside AWS, on the lab's Internet.
	InternetHosts Objects[InternetHost] `key:"internet_hosts"`
	// Records of the traffic of network interfaces, as AWS's VPC flow logs have them. `vpcemu flow-logs NAME` shows them.
	FlowLogs Objects[FlowLog] `key:"flow_logs"`

	// What links between availability zones are like, where they are not perfect.
	Impair List[ZoneImpair] `key:"impair" unset:"perfect" change:"in place"`

	// What has to be true of the lab, for `vpcemu check`: sentences such as
	// `laptop reaches web on tcp 22`, or mappings that say the same.
	Checks List[Check] `key:"checks" unset:"none" change:"in place"`
}

// Internet describes the outside world.
type Internet struct {
	// Ranges from which public addresses are drawn: Elastic IPs, automatic ones
	// and those of Internet hosts.
	PublicPools List[netip.Prefix] `key:"public_pools" unset:"203.0.113.0/24 and 198.51.100.0/24" change:"in place"`
	// Where packets go for which nothing on the lab's Internet has the address: nowhere (none), or out by
	// this machine's own routes, with its address as their source (host). What comes to private addresses is refused:
	// this machine, its neighbours, RFC 1918, other labs.
	Uplink Value[string] `key:"uplink" enum:"none|host" default:"none" change:"in place"`
	// Private destinations that the uplink carries nevertheless, and addresses of this machine at which the lab may
	// reach its services. Instances do not reach RFC 1918 ranges that way: an Internet gateway drops them (IG-03).
	UplinkAllow List[netip.Prefix] `key:"uplink_allow" unset:"none" change:"in place"`
	// What the way between VPCs and the Internet, and between hosts on it, is like.
	Impair Value[Impair] `key:"impair" unset:"perfect" change:"in place"`
}

// Api describes the endpoint of the EC2 API.
type Api struct {
	// The address and port to listen on; port 0 takes a free one. One that is not of the loopback needs
	// keys: see `vpcemu api --keys`.
	Listen Value[string] `key:"listen" default:"127.0.0.1:4566" change:"in place"`
	// How long states such as pending last that pass with time: not at all (none), or as on AWS (aws), where a NAT
	// gateway takes 90 seconds and an instance 15.
	Delays Value[string] `key:"delays" enum:"none|aws" default:"none" change:"in place"`
}

// Head is what all objects have.
type Head struct {
	Kind string `key:"-"` // the map it is in: "subnets"
	Name string `key:"-"` // its key there: "public"
	Line int    `key:"-"`

	// Tags of the object. Name is there already: the object's name in the file.
	Tags Value[map[string]string] `key:"tags" change:"in place"`
}

// Source is how the model remembers the object: "subnets.public".
func (h *Head) Source() string { return h.Kind + "." + h.Name }

// String names the object in messages: "subnet public".
func (h *Head) String() string { return singular(h.Kind) + " " + h.Name }

func (h *Head) head() *Head { return h }

// Objects are those of one map, in the order of the file.
type Objects[T any] struct {
	List  []*T
	names map[string]*T
}

// Get returns the named object, or nil.
func (o *Objects[T]) Get(name string) *T { return o.names[name] }

// DefaultName in a reference means the object that AWS makes by itself: the default
// VPC, or a VPC's default security group.
const DefaultName = "default"

// kinds are the maps of a file with what one of their objects is called.
var kinds = [][2]string{
	{"vpcs", "vpc"}, {"subnets", "subnet"}, {"internet_gateways", "internet gateway"},
	{"elastic_ips", "elastic ip"}, {"nat_gateways", "nat gateway"}, {"route_tables", "route table"},
	{"security_groups", "security group"}, {"network_acls", "network acl"}, {"dhcp_options", "dhcp options"},
	{"key_pairs", "key pair"}, {"network_interfaces", "network interface"}, {"instances", "instance"},
	{"internet_hosts", "internet host"}, {"flow_logs", "flow log"},
}

func singular(kind string) string {
	for _, k := range kinds {
		if k[0] == kind {
			return k[1]
		}
	}
	return kind
}
