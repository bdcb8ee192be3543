package dataplane

// Reason says how the walk of a packet ended. Those that AWS's Reachability
// Analyzer knows bear its code as their name (RA-04); the others have names of
// our own in the same manner. Each has a counter.
type Reason uint8

// Good ends come first, then drops in the order in which a packet can meet them.
const (
	Delivered   Reason = iota // handed to the port of its destination
	ToResolver                // handed to the VPC's services port (EX-01)
	ToMetadata                // the same, for instance metadata
	ToTime                    // the same, for the time
	DHCPServed                // taken by the DHCP service (EX-01)
	ARPAnswered               // an ARP request answered by the platform (L2-02)
	firstDrop
	PortWriteFailed          // the port refused the packet, e.g. its interface is down
	FrameMalformed           // TAP: shorter than an Ethernet header, or ARP garbage
	NotIP                    // TAP: neither IP nor ARP (L2-06)
	SourceMAC                // TAP: the frame's source is not the ENI's MAC
	UnknownMAC               // TAP: the frame's destination is nobody in the subnet
	ARPUnanswered            // ARP that gets no answer: unassigned, own or gratuitous (L2-02)
	PacketMalformed          // not a well-formed IP packet
	FragmentWithoutFirst     // a later fragment whose first was not seen (AC-08)
	DHCPNotServed            // DHCP message that gets no answer or is malformed
	ServicesRate             // above 1024 packets a second from one ENI (DNS-02)
	ServicesUnavailable      // the VPC's services port is not there
	ReservedAddress          // the router's and the reserved addresses answer nothing else (EX-02)
	LinkLocalAddress         // a link-local address without a service (EX-02)
	BroadcastUnsupported     // broadcast and multicast (L2-01)
	ZoneFailed               // an availability zone that was failed
	SubnetFailed             // the same of a subnet
	InstanceFailed           // of an instance or Internet host
	NATGatewayFailed         // of a NAT gateway
	LinkFailed               // of what lies between two ends
	LinkLoss                 // lost by a link with conditions
	LinkQueueFull            // as many waited already for such a link's rate
	SourceDestCheck          // PL-02
	SGHasNoRules             // SG-01
	SGRulesMismatch          // SG-01
	SGReferencesNotPreserved // SG-09: it would have matched by reference without the middlebox
	ConntrackFull            // CT-07
	ACLDenied                // AC-03 to AC-07
	NoRoute                  // RT-07
	BlackholeRoute           // RT-10
	LocalRouteOutsideVPC     // RT-18
	AddressUnassigned        // RT-18: inside the VPC, but no ENI's
	ENIDetached              // its instance is not running
	IGWDestinationRFC1918    // IG-03
	IGWDestinationRFC6598    // IG-03
	IGWSpoofedSource         // IG-03
	IGWNoPublicAddress       // IG-03, NA-02
	IngressRedirection       // RT-14: the outbound path avoids the appliance of the inbound one
	IGWSourceRFC1918         // IG-04
	IGWSourceRFC6598         // IG-04
	IGWNoPrivateAddress      // IG-04
	IGWDestinationOutsideVPC // IG-04
	IngressNoPublicIP        // RT-14
	InternetUnreachable      // no Internet host or gateway has the destination address
	UplinkRefused            // not carried to the host's own network
	TTLExpired               // TT-01, NA-13
	PacketTooBig             // MT-11, NA-14
	NATSourceOutsideVPC      // NA-11
	NATProtocol              // NA-03
	NATFragment              // NA-08
	NATNoMapping             // NA-10: unsolicited, or after expiry from outside (NA-07)
	NATIdleTimeout           // NA-07: answered with a RST
	NATPortsExhausted        // NA-05, ErrorPortAllocation
	NATTableFull             // the table of all gateways has no record left
	ForwardingLoop           // a gateway met twice in one direction, or 16 hops
	numReasons
)

// A reasonText is what is told about a Reason: its name, whether the name is a code of
// the Reachability Analyzer, and a sentence.
type reasonText struct {
	name string
	aws  bool
	text string
}

var reasonTexts = [numReasons]reasonText{
	Delivered:   {"DELIVERED", false, "delivered to the destination's port"},
	ToResolver:  {"RESOLVER", false, "handed to the Amazon resolver, exempt from security groups and ACLs"},
	ToMetadata:  {"METADATA", false, "handed to the instance metadata service, exempt from security groups and ACLs"},
	ToTime:      {"TIME_SYNC", false, "handed to the Amazon Time Sync Service, exempt from security groups and ACLs"},
	DHCPServed:  {"DHCP_SERVED", false, "taken by the subnet's DHCP service, exempt from security groups and ACLs"},
	ARPAnswered: {"ARP_ANSWERED", false, "ARP request answered by the platform"},

	PortWriteFailed:          {"PORT_WRITE_FAILED", false, "the destination's port refused the packet (its interface may be down)"},
	FrameMalformed:           {"FRAME_MALFORMED", false, "the Ethernet frame is malformed"},
	NotIP:                    {"ETHERTYPE_NOT_IP", false, "a VPC carries IP and ARP only"},
	SourceMAC:                {"SOURCE_MAC_NOT_OWN", false, "the frame's source MAC is not the network interface's"},
	UnknownMAC:               {"DESTINATION_MAC_UNKNOWN", false, "the frame's destination MAC is no network interface of the subnet"},
	ARPUnanswered:            {"ARP_UNANSWERED", false, "ARP for an unassigned or own address, and gratuitous ARP, get no answer"},
	PacketMalformed:          {"PACKET_MALFORMED", false, "the IP packet is malformed"},
	FragmentWithoutFirst:     {"FRAGMENT_WITHOUT_FIRST", false, "a later fragment came before, or without, the first one, which has the ports"},
	DHCPNotServed:            {"DHCP_NOT_SERVED", false, "the DHCP message is malformed, or not one that the server answers"},
	ServicesRate:             {"LINKLOCAL_ALLOWANCE_EXCEEDED", false, "more than 1024 packets in one second to resolver, metadata and time from one network interface"},
	ServicesUnavailable:      {"SERVICES_UNAVAILABLE", false, "the VPC's resolver, metadata and time servers are not running"},
	ReservedAddress:          {"RESERVED_ADDRESS", false, "the first four addresses of a subnet answer nothing but the router's own services"},
	LinkLocalAddress:         {"LINK_LOCAL_ADDRESS", false, "no service at this link-local address and port"},
	BroadcastUnsupported:     {"BROADCAST_UNSUPPORTED", false, "a VPC carries neither broadcast nor multicast"},
	ZoneFailed:               {"ZONE_FAILED", false, "the availability zone is failed: nothing goes in, out or within it"},
	SubnetFailed:             {"SUBNET_FAILED", false, "the subnet is failed: nothing goes in, out or within it"},
	InstanceFailed:           {"INSTANCE_FAILED", false, "the instance or host is failed: nothing goes in or out of it"},
	NATGatewayFailed:         {"NAT_GATEWAY_FAILED", false, "the NAT gateway is failed: it forwards nothing"},
	LinkFailed:               {"LINK_FAILED", false, "the link between the two ends is failed"},
	LinkLoss:                 {"LINK_LOSS", false, "lost by an impaired link"},
	LinkQueueFull:            {"LINK_QUEUE_FULL", false, "the queue of an impaired link was full"},
	SourceDestCheck:          {"ENI_SOURCE_DEST_CHECK_RESTRICTION", true, "source/destination check: the address is not one of the network interface's"},
	SGHasNoRules:             {"SG_HAS_NO_RULES", true, "the security groups have no rule in this direction"},
	SGRulesMismatch:          {"ENI_SG_RULES_MISMATCH", true, "no rule of the security groups allows the packet"},
	SGReferencesNotPreserved: {"SG_REFERENCES_NOT_PRESERVED", true, "a rule names the sender's security group, but the packet came through a middlebox or gateway that hides the group"},
	ConntrackFull:            {"CONNTRACK_ALLOWANCE_EXCEEDED", false, "no room to track another connection"},
	ACLDenied:                {"SUBNET_ACL_RESTRICTION", true, "denied by the subnet's network ACL"},
	NoRoute:                  {"NO_ROUTE_TO_DESTINATION", true, "no route of the route table covers the destination"},
	BlackholeRoute:           {"BAD_STATE_ROUTE", true, "the route's target is unavailable (blackhole)"},
	LocalRouteOutsideVPC:     {"VPC_LOCAL_ROUTE_CIDR_RESTRICTION", true, "a local route delivers only to addresses in the VPC's CIDR blocks"},
	AddressUnassigned:        {"NO_POSSIBLE_DESTINATION", true, "no network interface of the VPC has the destination address"},
	ENIDetached:              {"BAD_STATE_ATTACHMENT", true, "the network interface is not attached to a running instance"},
	IGWDestinationRFC1918:    {"IGW_DESTINATION_ADDRESS_NOT_IN_RFC1918_EGRESS", true, "an Internet gateway carries nothing to RFC 1918 addresses"},
	IGWDestinationRFC6598:    {"IGW_DESTINATION_ADDRESS_NOT_IN_RFC6598_EGRESS", true, "an Internet gateway carries nothing to 100.64.0.0/10"},
	IGWSpoofedSource:         {"GATEWAY_REJECTS_SPOOFED_TRAFFIC", true, "the source address belongs to no network interface of the VPC"},
	IGWNoPublicAddress:       {"IGW_PUBLIC_IP_ASSOCIATION_FOR_EGRESS", true, "the source address has no public or Elastic IP address"},
	IngressRedirection:       {"INGRESS_RTB_TRAFFIC_REDIRECTION", true, "the gateway's route table sends the replies through an appliance that this packet did not pass"},
	IGWSourceRFC1918:         {"IGW_SOURCE_ADDRESS_NOT_IN_RFC1918_INGRESS", true, "an Internet gateway accepts nothing from RFC 1918 addresses"},
	IGWSourceRFC6598:         {"IGW_SOURCE_ADDRESS_NOT_IN_RFC6598_INGRESS", true, "an Internet gateway accepts nothing from 100.64.0.0/10"},
	IGWNoPrivateAddress:      {"IGW_PRIVATE_IP_ASSOCIATION_FOR_INGRESS", true, "the destination is not the public address of an attached network interface"},
	IGWDestinationOutsideVPC: {"IGW_DESTINATION_ADDRESS_IN_VPC_CIDRS", true, "the translated destination is outside the VPC's CIDR blocks"},
	IngressNoPublicIP:        {"INGRESS_RTB_NO_PUBLIC_IP", true, "the appliance behind the Internet gateway has no public IPv4 address"},
	InternetUnreachable:      {"INTERNET_UNREACHABLE", false, "nothing on the Internet has the destination address"},
	UplinkRefused:            {"UPLINK_REFUSED", false, "the uplink carries only packets from the lab's own public addresses, and none to private destinations that it does not name"},
	TTLExpired:               {"TTL_EXPIRED", false, "the time to live ran out"},
	PacketTooBig:             {"PACKET_TOO_BIG", false, "larger than the MTU, and not to be fragmented"},
	NATSourceOutsideVPC:      {"NGW_REQUIRES_SOURCE_IN_VPC", true, "a NAT gateway serves only sources in its VPC"},
	NATProtocol:              {"PROTOCOL_RESTRICTION", true, "a NAT gateway carries TCP, UDP and ICMP only"},
	NATFragment:              {"NGW_FRAGMENT", false, "a NAT gateway carries no fragments of TCP and ICMP"},
	NATNoMapping:             {"NGW_NO_CONNECTION", false, "no connection through the NAT gateway was opened from inside for this packet"},
	NATIdleTimeout:           {"NGW_IDLE_TIMEOUT", false, "the NAT gateway does not know the connection (any more); the sender gets a TCP RST"},
	NATPortsExhausted:        {"NGW_ERROR_PORT_ALLOCATION", false, "55,000 connections to this destination are open through every address of the NAT gateway"},
	NATTableFull:             {"NGW_TABLE_FULL", false, "no room for another connection through NAT gateways"},
	ForwardingLoop:           {"FORWARDING_LOOP", false, "the packet met the same gateway twice in one direction"},
}

// Reasons lists all reasons, good ends first.
func Reasons() []Reason {
	all := make([]Reason, 0, numReasons)
	for r := Reason(0); r < numReasons; r++ {
		if r != firstDrop {
			all = append(all, r)
		}
	}
	return all
}

// Dropped tells whether r is a drop.
func (r Reason) Dropped() bool { return r > firstDrop }

// Name is the reason's constant, in capitals, fit for counters and scripts.
func (r Reason) Name() string {
	if r >= numReasons {
		return "UNKNOWN"
	}
	return reasonTexts[r].name
}

// Code is the Reachability Analyzer's explanation code, "" where it has none (RA-04).
func (r Reason) Code() string {
	if r >= numReasons || !reasonTexts[r].aws {
		return ""
	}
	return reasonTexts[r].name
}

// Text is a sentence without a full stop that says what happened.
func (r Reason) Text() string {
	if r >= numReasons {
		return "unknown reason"
	}
	return reasonTexts[r].text
}

func (r Reason) String() string { return r.Name() }
