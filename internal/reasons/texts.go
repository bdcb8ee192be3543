package reasons

import (
	"maps"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
)

// Objects of the examples.
var (
	web     = control.Named{ID: "eni-0254c41fa1aa9bf0a", Name: "web"}
	db      = control.Named{ID: "eni-0d12b7c0e45f9a381", Name: "db"}
	igw     = control.Named{ID: "igw-07c1f0a2b3d4e5f60", Name: "igw"}
	nat     = control.Named{ID: "nat-0f3b61c2d9e8a7540", Name: "nat"}
	vpcBook = control.Named{ID: "vpc-0a51c9e2f7d3b8640", Name: "book"}
	uplink  = control.Named{ID: "uplink", Name: "uplink"}
	public  = control.Named{ID: "subnet-04e1d2c3b4a596870", Name: "public"}
	private = control.Named{ID: "rtb-0b9c8d7e6f5a41320", Name: "private"}
	acl     = control.Named{ID: "acl-09d8c7b6a5f4e3210", Name: "public"}
)

// texts explains every reason. The rules are those of the comments in dataplane/reason.go.
var texts = both(both(entering, routing), linking)

func both(a, b map[dataplane.Reason]text) map[dataplane.Reason]text {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// entering explains the good ends, and drops up to the network ACL.
var entering = map[dataplane.Reason]text{
	// Good ends.

	dataplane.Delivered: {
		rules:    nil,
		happened: "The packet arrived. What the receiver does with it (a firewall of its own, nothing that listens) is not the network's: a TCP connection to a closed port is delivered, and so is the RST that answers it.",
		look:     "The packets in the other direction, if no answer comes back: they have a line of their own, and a stateless network ACL or the receiver's route table may drop them.",
		example:  example{packet: "198.51.100.1:40000 > 203.0.113.10:22 tcp SYN (as 198.51.100.1:40000 > 172.30.0.10:22)", way: "laptop → igw → web"},
	},
	dataplane.ToResolver: {
		rules:    []string{"EX-01"},
		happened: "A DNS question to the resolver (base of the VPC's range plus two, or 169.254.169.253). Security groups and network ACLs are not asked.",
		look:     "`enable_dns_support` and `enable_dns_hostnames` of the VPC, if the answer is not the one you expect.",
		example:  example{packet: "172.30.0.10:38211 > 172.30.0.2:53 udp", way: "web"},
	},
	dataplane.ToMetadata: {
		rules:    []string{"EX-01", "IM-01"},
		happened: "A request to the instance metadata service at 169.254.169.254. Security groups and network ACLs are not asked.",
		look:     "The instance's metadata options, if the answer is 401 or 403: `vpcemu ec2 describe-instances`.",
		example:  example{packet: "172.30.0.10:40000 > 169.254.169.254:80 tcp SYN", way: "web"},
	},
	dataplane.ToTime: {
		rules:    []string{"EX-01", "TI-01"},
		happened: "A question to the Amazon Time Sync Service at 169.254.169.123 (NTP). Security groups and network ACLs are not asked.",
		look:     "`chronyc sources` in the instance, if its clock is not what you expect. It is the clock of this machine.",
		example:  example{packet: "172.30.0.10:38211 > 169.254.169.123:123 udp", way: "web"},
	},
	dataplane.DHCPServed: {
		rules:    []string{"EX-01"},
		happened: "A DHCP message, answered by the subnet's router. Security groups and network ACLs are not asked.",
		look:     "`vpcemu ls -o json`, which shows every lease.",
		example:  example{packet: "0.0.0.0:68 > 255.255.255.255:67 udp", way: "web"},
	},
	dataplane.ARPAnswered: {
		rules:    []string{"L2-02"},
		happened: "An ARP request, answered by the network itself for an address that somebody in the subnet has. Interfaces of the TUN kind, which is the default, send none.",
	},

	// Drops: the interface and the packet itself.

	dataplane.PortWriteFailed: {
		happened: "The network had decided to deliver, but the receiver's device refused the packet: it is down, or the instance is just ending. The sender's own device counts here too, for a packet that the network could not send on.",
		look:     "`vpcemu ls` for the instance's state, and `vpcemu exec NAME -- ip link` for its interface.",
		change:   "Set the interface up (`ip link set eth0 up`), or start the instance. `vpcemu reboot NAME` gives an interface that was set down by hand its addresses and routes back.",
		example:  example{packet: "172.30.0.10:40000 > 172.30.1.4:5432 tcp SYN", way: "web → db", by: db},
	},
	dataplane.FrameMalformed: {
		happened: "On a TAP interface: shorter than an Ethernet header, or an ARP message that is none.",
		look:     "What sends such frames: `vpcemu exec NAME -- tcpdump -e -ni eth0`.",
		change:   "The sending program. No operating system sends such frames by itself.",
		example:  example{packet: "a frame that is not IP", way: "web", by: web},
	},
	dataplane.NotIP: {
		rules:    []string{"L2-06"},
		happened: "On a TAP interface: an EtherType other than IPv4, IPv6 and ARP, such as VLAN tags, LLDP or spanning tree. A VPC is not an Ethernet.",
		look:     "`vpcemu exec NAME -- tcpdump -e -ni eth0 not ip and not ip6 and not arp`.",
		change:   "Nothing, if it is discovery traffic: AWS does not carry it either. Protocols of your own have to run over IP.",
		example:  example{packet: "a frame that is not IP", way: "web", by: web},
	},
	dataplane.SourceMAC: {
		happened: "On a TAP interface: the frame's source is not the MAC address of the network interface. AWS gives each interface one MAC address and accepts no other, so bridges and container interfaces with addresses of their own do not work.",
		look:     "`vpcemu exec NAME -- ip link`, against the MAC in `vpcemu describe network-interface`.",
		change:   "Route or translate (NAT) in the instance instead of bridging, or use ipvlan, which keeps the MAC address.",
		example:  example{packet: "172.30.0.10:40000 > 172.30.0.11:80 tcp SYN", way: "web", by: web},
	},
	dataplane.UnknownMAC: {
		happened: "On a TAP interface: the frame's destination MAC is neither the router's nor that of an interface in the same subnet.",
		look:     "`vpcemu exec NAME -- ip neigh`: an entry set by hand, or one from before an interface was replaced.",
		change:   "Delete the entry (`ip neigh flush all`); ARP learns the right one.",
		example:  example{packet: "172.30.0.10:40000 > 172.30.0.11:80 tcp SYN", way: "web", by: web},
	},
	dataplane.ARPUnanswered: {
		rules:    []string{"L2-02"},
		happened: "On a TAP interface: ARP for an address that nobody in the subnet has, for the sender's own (a duplicate address check), or gratuitous ARP. AWS answers none of these, and takes no address from a gratuitous announcement.",
		look:     "The address asked for. Failover by gratuitous ARP (keepalived, corosync) does not move an address in a VPC.",
		change:   "Move addresses by the API: `vpcemu ec2 assign-private-ip-addresses --allow-reassignment`, or move an Elastic IP.",
	},
	dataplane.PacketMalformed: {
		happened: "The IP packet contradicts itself: a length that is not there, a header that ends beyond the packet, an impossible offset.",
		look:     "The program that makes raw packets.",
		change:   "That program.",
		example:  example{packet: "a packet that cannot be read", way: "web", by: web},
	},
	dataplane.FragmentWithoutFirst: {
		rules:    []string{"AC-08"},
		happened: "A later fragment of a datagram whose first fragment has not come before it, or more than 30 seconds ago. Only the first has the ports that rules ask for. AWS documents nothing here; vpcemu lets the first fragment decide for the others.",
		look:     "Whether something reorders fragments, or the first one was dropped itself: its line comes just before.",
		change:   "Send datagrams that fit the MTU. TCP with path MTU discovery never sends fragments.",
		example:  example{packet: "172.30.0.10 > 172.30.1.4 udp", way: "web → db", by: web},
	},

	// Drops: services and addresses that are special.

	dataplane.DHCPNotServed: {
		happened: "A DHCP message that is malformed, of a kind that servers do not answer, or from an interface without a reservation, such as a NAT gateway's.",
		look:     "`vpcemu exec NAME -- tcpdump -vni eth0 port 67`.",
		change:   "Use the instance's own client. Addresses are the API's to give, whatever a client asks for.",
		example:  example{packet: "0.0.0.0:68 > 255.255.255.255:67 udp", way: "web", by: web},
	},
	dataplane.ServicesRate: {
		rules:    []string{"DNS-02"},
		happened: "More than 1024 packets within a second from one network interface to the resolver, the metadata service and the time service together. AWS has the same limit, drops the rest as silently, and counts it as `linklocal_allowance_exceeded`.",
		look:     "Which program asks so often: `vpcemu exec NAME -- tcpdump -ni eth0 port 53 or net 169.254.0.0/16`.",
		change:   "Cache in the instance (dnsmasq, systemd-resolved, nscd).",
		example:  example{packet: "172.30.0.10:38211 > 172.30.0.2:53 udp", way: "web", by: web},
	},
	dataplane.ServicesUnavailable: {
		happened: "A question to the VPC's resolver, metadata or time server, and none of them runs: the VPC has only been made, or the daemon could not start them.",
		look:     "`vpcemu ls`, whose notes tell what went wrong, and the lab's daemon.log.",
		change:   "Ask again in a moment; what the notes tell, if it stays.",
		example:  example{packet: "172.30.0.10:38211 > 172.30.0.2:53 udp", way: "web", by: vpcBook},
	},
	dataplane.ReservedAddress: {
		rules:    []string{"EX-02", "AD-11"},
		happened: "The first four addresses of every subnet are AWS's. The router (base + 1) answers DHCP and forwards, and nothing else: no ping, no ssh. The resolver (base of the VPC + 2) answers DNS on port 53 only.",
		look:     "The address that you sent to.",
		change:   "Test with an instance's address instead: the router does not answer ping on AWS either.",
		example:  example{packet: "172.30.0.10 > 172.30.0.1 icmp echo request id 7", way: "web", by: public},
	},
	dataplane.LinkLocalAddress: {
		rules:    []string{"EX-02"},
		happened: "A link-local address (169.254.0.0/16) at which no service of this VPC answers. vpcemu has the resolver at 169.254.169.253; it has no instance metadata (169.254.169.254) and no time service (169.254.169.123).",
		look:     "Which program asks: cloud-init and AWS's SDKs look for metadata when they have no credentials.",
		change:   "Give the SDK credentials by environment or file, or set `AWS_EC2_METADATA_DISABLED=true`.",
		example:  example{packet: "172.30.0.10:51000 > 169.254.169.254:80 tcp SYN", way: "web", by: public},
	},
	dataplane.BroadcastUnsupported: {
		rules:    []string{"L2-01"},
		happened: "A broadcast or multicast address. A VPC carries neither.",
		look:     "Protocols that find their peers by multicast: mDNS, VRRP, many cluster products.",
		change:   "Give the peers' addresses (unicast) to the program.",
		example:  example{packet: "172.30.0.10:5353 > 224.0.0.251:5353 udp", way: "web", by: public},
	},
	dataplane.SourceDestCheck: {
		rules:    []string{"PL-02"},
		happened: "The source/destination check. An instance may send only from addresses of its own interface, and gets only packets for them. A router, firewall or NAT instance forwards packets of others, and is stopped here, on their way in or out.",
		look:     "`vpcemu ec2 describe-network-interfaces`: SourceDestCheck. In an instance, an address added by hand (`ip addr add`) is not the interface's until the API gives it.",
		change:   "For what is meant to forward: `vpcemu ec2 modify-instance-attribute --instance-id NAME --no-source-dest-check`. For a further address: `vpcemu ec2 assign-private-ip-addresses`.",
		example:  example{packet: "172.30.1.4:40000 > 198.51.100.2:80 tcp SYN", way: "db → server", by: control.Named{ID: "eni-0c7d6e5f4a3b21908", Name: "natbox"}},
	},

	// Drops: security groups and network ACLs.

	dataplane.SGHasNoRules: {
		rules:    []string{"SG-01"},
		happened: "The network interface's security groups have no rule at all in this direction, and what no rule allows is dropped. A new group has no inbound rule; its outbound rule allows all until somebody removes it.",
		look:     "`vpcemu describe security-group`, and the stage: sg-egress is on the sender's way out, sg-ingress on the receiver's way in.",
		change:   "`vpcemu ec2 authorize-security-group-ingress --group-id GROUP --protocol tcp --port 22 --cidr 198.51.100.0/24`, or -egress.",
		example:  example{packet: "172.30.0.10:40000 > 172.30.1.4:22 tcp SYN", way: "web → db", by: db},
	},
	dataplane.SGRulesMismatch: {
		rules:    []string{"SG-01"},
		happened: "There are rules in this direction, and none allows the packet: another port, protocol or source. Groups remember connections, so the answers of what is allowed need no rule.",
		look:     "The line's packet as it was when it met the group: behind an Internet gateway the destination is the private address. `vpcemu describe security-group` shows the rules of all groups that the interface has.",
		change:   "Add a rule for exactly this: `vpcemu ec2 authorize-security-group-ingress --group-id web --protocol icmp --port -1 --cidr 0.0.0.0/0`. It works at once.",
		example:  example{packet: "198.51.100.1 > 203.0.113.10 icmp echo request id 7 (as 198.51.100.1 > 172.30.0.10)", way: "laptop → igw → web", by: web},
	},
	dataplane.SGReferencesNotPreserved: {
		rules:    []string{"SG-09"},
		happened: "A rule names the sender's security group as its source, and would have allowed the packet; but on its way the sender could no longer be told: it went through a NAT gateway, an instance that forwards, or out to the Internet and back by a public address. A group reference matches the private addresses of the group's members, sent by themselves.",
		look:     "The packet's way in the line. Most often the destination is an Elastic IP of an instance in the same VPC.",
		change:   "Send to the private address, or allow the public address: `vpcemu ec2 authorize-security-group-ingress --group-id GROUP --protocol tcp --port 80 --cidr 203.0.113.10/32`.",
		example:  example{packet: "172.30.0.11:40000 > 203.0.113.10:80 tcp SYN (as 203.0.113.11:40000 > 172.30.0.10:80)", way: "app → igw → web", by: web},
	},
	dataplane.ConntrackFull: {
		rules:    []string{"CT-07"},
		happened: "The interface may not track another connection: its own share, or the lab's whole table, is used up. On AWS the limit depends on the instance type, and shows as conntrack_allowance_exceeded.",
		look:     "`vpcemu counters -a`: connections, and what was refused. Connections that nobody closes stay for days.",
		change:   "Close connections, shorten the interface's timeouts, or use rules that need no tracking: a rule for everybody (0.0.0.0/0) on TCP or UDP in one direction, with an equally open one for the answers (CT-03).",
		example:  example{packet: "172.30.0.10:40000 > 172.30.1.4:22 tcp SYN", way: "web → db", by: web},
	},
	dataplane.ACLDenied: {
		rules:    []string{"AC-03", "AC-04", "AC-05", "AC-06", "AC-07"},
		happened: "The network ACL of a subnet, at its boundary, on the way out of it (acl-egress) or in (acl-ingress). Rules are asked by rising number, the first that matches decides, and `*` denies the rest. An ACL remembers nothing: answers need a rule of their own, to the ephemeral port that the client chose.",
		look:     "Which of the two directions it is: of a connection's first packet, or of the answer (SYN+ACK). `vpcemu describe network-acl` lists the rules; a deny with a lower number wins over the allow that you added.",
		change:   "For answers: `vpcemu ec2 create-network-acl-entry --network-acl-id ACL --egress --rule-number 110 --protocol tcp --port-range From=1024,To=65535 --cidr-block 0.0.0.0/0 --rule-action allow`. Within a subnet no ACL is asked.",
		example:  example{packet: "172.30.0.10:22 > 198.51.100.1:40000 tcp SYN+ACK", way: "web → laptop", by: acl, rule: "rule * deny"},
	},
}
