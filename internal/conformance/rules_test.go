package conformance

// A rule is one documented behaviour of Amazon VPC. IDs are those that tests,
// comments and verdicts use.
type rule struct {
	id, text string
	// out says why the rule is not vpcemu's, "" if it is.
	out string
}

// Reasons for leaving a rule out.
const (
	ipv6        = "IPv6 is not emulated"
	peering     = "VPC peering is not emulated"
	transit     = "transit gateways are not emulated"
	vpn         = "virtual private gateways are not emulated"
	bandwidth   = "throughput is this machine's, not AWS's"
	regional    = "regional NAT gateways are not emulated"
	multicast   = "multicast domains belong to transit gateways, which are not emulated"
	interRegion = "a lab is in one Region"
	endpoints   = "VPC endpoints and hosted zones are not emulated"
)

type section struct {
	title string
	rules []rule
}

var sections = []section{
	{"Addresses of VPCs and subnets", []rule{
		{"AD-01", "a VPC has one primary block of /16 to /28, of whatever range", ""},
		{"AD-02", "host bits of a block are cleared, not refused", ""},
		{"AD-03", "further blocks may be added and removed; the primary one stays", ""},
		{"AD-04", "a new block may not contain the destination of an existing route", ""},
		{"AD-06", "a block brings its local route into every route table, and takes it along", ""},
		{"AD-08", "IPv6 blocks of a VPC", ipv6},
		{"AD-09", "a subnet's block is /16 to /28, inside one block of the VPC, and overlaps no other subnet", ""},
		{"AD-11", "the first four addresses of a subnet and its last one are never given out", ""},
		{"AD-12", "reserved IPv6 addresses", ipv6},
		{"AD-15", "a subnet is in one zone; tables, ACLs, groups and DHCP options are per VPC or subnet", ""},
	}},
	{"Router and route tables", []rule{
		{"RT-01", "every subnet has exactly one route table: its own or the main one", ""},
		{"RT-02", "the main table can be replaced, not deleted; subnets without their own follow at once", ""},
		{"RT-03", "a table can be deleted while nothing is associated with it; a new one has the local routes only", ""},
		{"RT-04", "a local route cannot be deleted; its target can be replaced and restored", ""},
		{"RT-05", "a route more specific than local is for a whole subnet, to an interface or NAT gateway", ""},
		{"RT-06", "IPv4 and IPv6 are looked up apart", ""},
		{"RT-07", "the longest prefix wins", ""},
		{"RT-09", "routes are active or blackholes, and tell their origin", ""},
		{"RT-10", "a route whose target is gone stays and drops; no less specific one steps in", ""},
		{"RT-11", "a route has one destination and one target; an instance stands for its only interface", ""},
		{"RT-12", "a destination exists once in a table; unknown ones cannot be replaced or deleted", ""},
		{"RT-14", "a gateway's route table steers inbound packets through an appliance, and the way back must be the same", ""},
		{"RT-15", "only frames sent to the router are routed; neighbours of a subnet reach one another directly", ""},
		{"RT-16", "a middlebox sits in another subnet than what it inspects, with its source/destination check off", ""},
		{"RT-17", "outbound, the ACL is asked before the route table", ""},
		{"RT-18", "a local route delivers to assigned addresses of the VPC and drops the rest silently", ""},
	}},
	{"Internet gateway, public addresses, Elastic IPs", []rule{
		{"IG-01", "an Internet gateway maps private to public addresses one to one; an instance never sees its public one", ""},
		{"IG-02", "gateway, route, public address and filters are all needed", ""},
		{"IG-03", "outbound, private destinations, sources without a public address and foreign sources are dropped", ""},
		{"IG-04", "inbound, private sources and addresses of no attached interface are dropped", ""},
		{"IG-05", "ACLs and groups see the private address of the near side and the public one of the far side", ""},
		{"IG-07", "a gateway is attached to one VPC; it cannot be detached under mapped public addresses, nor deleted attached", ""},
		{"IG-08", "what passes an Internet gateway is at most 1500 bytes", ""},
		{"PI-01", "an automatic public address comes at launch, by the subnet's or the launch's wish, for a single new interface", ""},
		{"PI-02", "it is released at stop, termination and when an Elastic IP takes its place; a start brings another, a reboot none", ""},
		{"PI-03", "a start brings none with a second interface or an Elastic IP on a secondary address", ""},
		{"EI-01", "an Elastic IP is the account's, one for each private address, and stays with the interface", ""},
		{"EI-02", "associating moves it unless forbidden; the target's former one is kept", ""},
		{"EI-03", "releasing an associated one is refused outside the default VPC; disassociating can be repeated", ""},
		{"EI-04", "five a Region", ""},
		{"EI-05", "it moves along with its secondary private address", ""},
		{"EO-01", "egress-only Internet gateway", ipv6},
	}},
	{"NAT gateway", []rule{
		{"NA-01", "public or private, in one zone, with an interface of AWS's own and no security group", ""},
		{"NA-02", "translation is to its private address; the Internet gateway maps that to the Elastic IP", ""},
		{"NA-03", "TCP, UDP and ICMP only", ""},
		{"NA-04", "source ports are 1024 to 65535; the destination stays", ""},
		{"NA-05", "55,000 connections an address, destination, port and protocol; up to eight addresses", ""},
		{"NA-07", "after 350 s idle the inside gets a RST, the outside nothing", ""},
		{"NA-08", "fragments of UDP pass, those of TCP and ICMP do not", ""},
		{"NA-09", "its subnet's ACL is met on all four crossings", ""},
		{"NA-10", "it answers nothing and lets nothing in unasked", ""},
		{"NA-11", "sources outside its VPC are refused", ""},
		{"NA-12", "bandwidth and packet rate", bandwidth},
		{"NA-13", "it takes a hop and says so from its private address", ""},
		{"NA-14", "8500 bytes; it answers what is too big, and clamps the MSS", ""},
		{"NA-15", "one that cannot be made fails visibly, with a code", ""},
		{"NA-16", "deleted, it leaves blackholes, keeps the Elastic IP allocated and is listed for an hour", ""},
		{"NA-17", "an address being removed drains: old connections only; the primary one cannot be removed", ""},
		{"NA-18", "NAT64", ipv6},
		{"NA-19", "regional NAT gateways", regional},
	}},
	{"Security groups", []rule{
		{"SG-01", "rules only allow; all groups of an interface count together; no rule, no packet", ""},
		{"SG-02", "a new group lets everything out; the default group also its own members in", ""},
		{"SG-03", "groups guard the interface, within a subnet as well", ""},
		{"SG-04", "a rule has a direction, protocol, ports or ICMP type and one peer; names are unique in a VPC", ""},
		{"SG-05", "protocols other than TCP, UDP and ICMP ignore ports; -1 is every protocol", ""},
		{"SG-06", "an IPv4 range never matches IPv6", ""},
		{"SG-07", "references and ranges count as one rule each", ""},
		{"SG-08", "a reference matches the private addresses of the group's members", ""},
		{"SG-09", "the sender's groups are lost behind a middlebox or NAT gateway", ""},
		{"SG-10", "a reference to a group that is gone matches nothing; within a VPC such a group cannot go", ""},
		{"SG-11", "changes count for every interface at once", ""},
		{"CT-01", "replies pass whatever the rules of their direction", ""},
		{"CT-02", "idle timeouts: 5 days, 30 s, 180 s, 600 s; settable per interface", ""},
		{"CT-03", "TCP and UDP that everybody may, both ways, are not tracked", ""},
		{"CT-04", "ICMP is always tracked", ""},
		{"CT-05", "a removed rule cuts untracked flows at once and leaves tracked ones", ""},
		{"CT-06", "flows through a NAT gateway are always tracked", ""},
		{"CT-07", "above the limit of tracked connections new ones are dropped", ""},
		{"CT-08", "ACL changes cut tracked flows", ""},
		{"CT-10", "nothing is rejected, only dropped", ""},
	}},
	{"Network ACLs", []rule{
		{"AC-01", "a subnet has one ACL; associating another replaces it", ""},
		{"AC-02", "the default ACL allows everything and cannot be deleted", ""},
		{"AC-03", "a new ACL denies everything", ""},
		{"AC-04", "rules are tried by number; the first match decides; the last denies", ""},
		{"AC-05", "protocols other than TCP, UDP and ICMP ignore ports; ports are the destination's in both directions", ""},
		{"AC-06", "asked only at the subnet's boundary, each direction alone", ""},
		{"AC-07", "between subnets both ACLs are asked, and again for replies", ""},
		{"AC-08", "fragments (AWS documents nothing): later ones follow the first", ""},
		{"AC-09", "ICMP errors are filtered like any packet", ""},
		{"AC-10", "replies to ephemeral ports need a rule", ""},
		{"AC-11", "an ACL with subnets cannot be deleted; 20 rules a direction", ""},
		{"AC-12", "special cases with transit gateways", transit},
		{"EX-02", "a DNS or time server of one's own is filtered; unknown services of the platform answer nothing", ""},
	}},
	{"Packet pipeline", []rule{
		{"PL-01", "groups at each end, ACLs once a boundary", ""},
		{"PL-02", "the source/destination check works both ways, for secondary addresses too", ""},
		{"PL-03", "drops are silent, but for sizes, hops and the NAT gateway's RST", ""},
	}},
	{"Interfaces, layer 2, instances", []rule{
		{"EN-01", "addresses, groups, MAC and Elastic IPs belong to the interface and move with it", ""},
		{"EN-02", "an interface is in one subnet and is attached to instances of its zone", ""},
		{"EN-03", "the primary interface stays; an attached one cannot be deleted", ""},
		{"EN-04", "an interface is available or in use; its attachment attached or not", ""},
		{"EN-06", "secondary addresses can be moved and are the guest's to configure", ""},
		{"EN-07", "interfaces of AWS's own cannot be changed", ""},
		{"L2-01", "no broadcast and no multicast", ""},
		{"L2-05", "private addresses come by DHCP; others are stopped by the source check", ""},
		{"IN-01", "instance states and codes; a reboot keeps everything", ""},
		{"IN-02", "stop and start keep private addresses, MACs, interfaces and Elastic IPs, and lose the automatic public address", ""},
		{"IN-03", "termination disassociates Elastic IPs and deletes interfaces as their attachments say", ""},
		{"IN-04", "some attributes change only while stopped; protection refuses termination", ""},
		{"IN-05", "tenancy: only dedicated to default", ""},
	}},
	{"DHCP", []rule{
		{"DH-01", "the options of a set and their limits", ""},
		{"DH-02", "sets are exchanged, not changed; default stands for none", ""},
		{"DH-03", "the account's default set", ""},
		{"DH-04", "a change arrives at the next renewal", ""},
		{"DH-08", "DHCPv6 and router advertisements", ipv6},
	}},
	{"DNS", []rule{
		{"DNS-01", "the resolver answers at the primary block's base plus two and at 169.254.169.253, not at each subnet's", ""},
		{"DNS-02", "1024 packets a second from one interface, other link-local services included", ""},
		{"DNS-03", "groups and ACLs do not filter the resolver, and flow logs do not show it", ""},
		{"DNS-04", "enableDnsSupport and enableDnsHostnames: defaults, one a request, the latter needs the former", ""},
		{"DNS-05", "private names after the address and after the instance's ID", ""},
		{"DNS-06", "public names: the private address from inside the VPC, the public one from outside", ""},
		{"DNS-07", "with either attribute off there are no public names, and private ones do not resolve", ""},
		{"DNS-08", "private names of other VPCs of the Region resolve where the address is RFC 1918", ""},
		{"DNS-10", "the resolver of a peer VPC", peering},
		{"DNS-11", "private DNS of interface endpoints, private hosted zones", endpoints},
	}},
	{"Instance metadata and time", []rule{
		{"IM-01", "169.254.169.254 answers instances by HTTP whatever groups and ACLs say, and each its own; what is missing is 404", ""},
		{"IM-02", "version 2: a token by PUT, for 1 to 21600 seconds, for that instance alone; none through a proxy", ""},
		{"IM-03", "options of an instance: tokens, hop limit, endpoint, tags; the account's defaults", ""},
		{"IM-04", "the hop limit is the IP TTL of the answer with a token, and of nothing else", ""},
		{"IM-05", "the tree of categories, user data and dynamic data, as an instance without a role has it", ""},
		{"IM-06", "the identity document, and signatures that openssl verifies with the lab's certificate", ""},
		{"IM-07", "changes made after launch show at once", ""},
		{"TI-01", "NTP at 169.254.169.123, not filtered", ""},
	}},
	{"Sizes and hops", []rule{
		{"MT-01", "9001 bytes within a VPC", ""},
		{"MT-02", "9001 bytes across a peering in one Region", peering},
		{"MT-03", "1500 bytes through an Internet gateway", ""},
		{"MT-04", "1500 bytes through a VPN", vpn},
		{"MT-06", "1500 bytes between Regions", interRegion},
		{"MT-07", "8500 bytes through a transit gateway", transit},
		{"MT-08", "8500 bytes through a NAT gateway", ""},
		{"MT-11", "too big for the Internet gateway: answered from the subnet's router, or cut in fragments", ""},
		{"MT-12", "IPv6 is never fragmented on its way", ""},
		{"MT-14", "path MTU discovery meets ACLs and groups", ""},
		{"FR-01", "fragments are forwarded within a VPC", ""},
	}},
	{"Flow logs", []rule{
		{"FL-01", "the default format is version 2", ""},
		{"FL-02", "version is the highest of the fields' versions; unknown fields are refused", ""},
		{"FL-03", "a record is one flow, direction, interface, action and window", ""},
		{"FL-04", "ACCEPT and REJECT are the filters' verdicts; NODATA and SKIPDATA", ""},
		{"FL-05", "a group is stateful, an ACL is not: an accepted request, a rejected reply", ""},
		{"FL-06", "an interface's own side is its primary private IPv4; a NAT gateway's four lines", ""},
		{"FL-07", "TCP flags of the window; ACK only with SYN", ""},
		{"FL-08", "the path of what leaves an interface", ""},
		{"FL-09", "the platform's own services are not logged", ""},
		{"FL-10", "resources, traffic types, destinations; a flow log cannot be changed", ""},
		{"FL-11", "what routing drops is logged as ACCEPT", ""},
	}},
	{"Default VPC and what a VPC brings along", []rule{
		{"DV-01", "the default VPC: a public /20 a zone, gateway, route, group, ACL, DNS names", ""},
		{"DV-02", "it can be made again after it was deleted, and only then", ""},
		{"DV-03", "a new VPC has a main table, a default ACL, a default group and the account's DHCP options", ""},
		{"DV-04", "deleting a VPC takes these along and nothing else", ""},
	}},
}
