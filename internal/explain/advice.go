package explain

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// A fault is a drop, as advice looks at it.
type fault struct {
	*builder
	step      *dataplane.Step
	leg       *Leg
	pkt       packet.Header // as it was when it was dropped
	returning bool          // the packet that answers, not the one that asks
}

// advisers say, reason by reason, what would have to change: sentences, and commands that
// begin with "vpcemu ". Where a command is given, the packet gets further once it is
// carried out. Reasons that no trace ends with are in neverTraced.
var advisers = map[dataplane.Reason]func(f *fault) []string{
	dataplane.SourceDestCheck:          adviseSourceDestCheck,
	dataplane.SGHasNoRules:             adviseGroups,
	dataplane.SGRulesMismatch:          adviseGroups,
	dataplane.SGReferencesNotPreserved: adviseReference,
	dataplane.ACLDenied:                adviseACL,
	dataplane.NoRoute:                  adviseNoRoute,
	dataplane.BlackholeRoute:           adviseBlackhole,
	dataplane.AddressUnassigned:        adviseUnassigned,
	dataplane.ENIDetached:              adviseDetached,
	dataplane.IGWNoPublicAddress:       adviseNoPublicAddress,
	dataplane.IngressRedirection:       adviseRedirection,
	dataplane.IngressNoPublicIP:        adviseAppliance,
	dataplane.InternetUnreachable:      adviseUnreachable,
	dataplane.ForwardingLoop:           adviseLoop,
	dataplane.ReservedAddress:          adviseReserved,
	dataplane.LinkLocalAddress:         adviseReserved,
	dataplane.IGWDestinationRFC1918:    advisePrivate,
	dataplane.IGWDestinationRFC6598:    advisePrivate,
	dataplane.PacketTooBig:             adviseSize,
	dataplane.NATNoMapping:             adviseNoMapping,
	dataplane.NATPortsExhausted:        adviseExhausted,
	dataplane.NATIdleTimeout:           adviseIdle,

	dataplane.ZoneFailed:       adviseHeal,
	dataplane.SubnetFailed:     adviseHeal,
	dataplane.InstanceFailed:   adviseHeal,
	dataplane.NATGatewayFailed: adviseHeal,
	dataplane.LinkFailed:       adviseHeal,
	dataplane.LinkLoss:         adviseLoss,

	dataplane.DHCPNotServed: say("The DHCP service answers the interfaces of instances alone, and DHCP messages that it understands."),
	dataplane.ServicesUnavailable: say("The VPC's servers for DNS, metadata and time do not run: the reason is in the lab's daemon.log. " +
		"`vpcemu up` with the lab's file starts it again."),
	dataplane.BroadcastUnsupported: say("A VPC carries neither broadcast nor multicast, whatever its rules. Send to the addresses of single instances."),
	dataplane.ConntrackFull: say("The interface tracks as many connections as it may: `vpcemu counters -a` tells. End some, or let them " +
		"time out; rules for 0.0.0.0/0 in both directions leave TCP and UDP flows untracked."),
	dataplane.LocalRouteOutsideVPC: say("The destination lies in none of the VPC's CIDR blocks (any more): " +
		"`vpcemu ec2 associate-vpc-cidr-block` adds one, and then a subnet has to be made in it."),
	dataplane.IGWSpoofedSource: say("Whoever forwarded the packet has to translate its source to an address of the VPC: an Internet gateway lets " +
		"nothing else out."),
	dataplane.IGWSourceRFC1918: say("A host on the Internet has no private address: give it a public one."),
	dataplane.IGWSourceRFC6598: say("A host on the Internet has no address of 100.64.0.0/10: give it a public one."),
	dataplane.IGWNoPrivateAddress: say("The public address belongs to a network interface that is attached to nothing: attach it to a " +
		"running instance (`vpcemu ec2 attach-network-interface`), or associate the Elastic IP with an instance."),
	dataplane.IGWDestinationOutsideVPC: say("The Elastic IP is associated with an address outside the VPC's CIDR blocks: associate it anew."),
	dataplane.UplinkRefused: say("The uplink takes packets from public addresses of the lab to public destinations. Private ones of yours are " +
		"carried where the topology names them: `internet: {uplink: host, uplink_allow: [192.168.1.0/24]}`."),
	dataplane.TTLExpired:          say("The packet was sent with a TTL (--ttl) that lasts no further, as traceroute does: leave it at 64."),
	dataplane.NATSourceOutsideVPC: say("A NAT gateway serves sources in its own VPC alone: use one in the sender's."),
	dataplane.NATProtocol: say("A NAT gateway carries TCP, UDP and ICMP alone. Other protocols need an instance with a public address, in a " +
		"subnet that is routed to an Internet gateway."),
	dataplane.NATFragment: say("The packet is longer than its sender's MTU and goes in fragments, and a NAT gateway forwards those of UDP alone: " +
		"send packets that fit (--size up to 1500 to the Internet; `ping -s 1472`)."),
	dataplane.NATTableFull: say("All NAT gateways of the lab together have no room for another mapping: `vpcemu counters -a` tells how many there are."),
}

// neverTraced are reasons that no trace ends with: those of Ethernet frames, malformed
// packets, fragments out of order and rates, none of which a trace sends, and of a port's own
// failure, as traces deliver to none and wait in no queue.
var neverTraced = map[dataplane.Reason]bool{
	dataplane.PortWriteFailed: true, dataplane.FrameMalformed: true, dataplane.NotIP: true, dataplane.SourceMAC: true,
	dataplane.UnknownMAC: true, dataplane.ARPUnanswered: true, dataplane.PacketMalformed: true,
	dataplane.FragmentWithoutFirst: true, dataplane.ServicesRate: true, dataplane.LinkQueueFull: true,
}

func say(text string) func(*fault) []string {
	return func(*fault) []string { return []string{text} }
}

// advice says what would have to change for the packet to get further.
func (b *builder) advice() []string {
	f := &fault{builder: b, returning: b.x.Back != nil}
	legs := b.x.There
	if f.returning {
		legs = b.x.Back
	}
	f.leg = &legs[len(legs)-1]
	f.step = &f.leg.Steps[len(f.leg.Steps)-1]
	f.pkt.Parse(f.leg.Packet)
	f.pkt.Tuple = f.step.Tuple
	if b.x.Astray {
		return adviseAstray(f)
	}
	advise := advisers[f.leg.Reason]
	if advise == nil {
		return nil
	}
	list := advise(f)
	if box := middleboxOf(legs); box != nil && f.leg.Middlebox == nil {
		list = append(list, fmt.Sprintf("This assumes that %s forwards packets unchanged. If it translates them, as a NAT instance does, trace on from it: `vpcemu trace %[1]s %s %s`.",
			box.Name, b.to.Name, b.asked()))
	}
	return list
}

func middleboxOf(legs []Leg) *dataplane.ENI {
	for i := range legs {
		if legs[i].Middlebox != nil {
			return legs[i].Middlebox
		}
	}
	return nil
}

// asked is what was asked for, as the command line has it.
func (b *builder) asked() string {
	var h packet.Header
	h.Parse(b.x.There[0].Sent)
	if hasPorts(b.proto) {
		return fmt.Sprintf("%s/%d", protocolName(b.proto), h.DstPort)
	}
	return protocolName(b.proto)
}

// command joins the words of `vpcemu ec2 ACTION --flag value …`, for the Region of the fault.
func (f *fault) command(action string, flags ...string) string {
	if r := f.region(); r != f.m.Region {
		flags = append(flags, "--region "+r)
	}
	return commandWord + "ec2 " + action + " " + strings.Join(flags, " ")
}

// region is the Region of what decided, or of the interface at which it did.
func (f *fault) region() string {
	ids := []string{f.step.By.ID}
	if f.step.At != nil {
		ids = append(ids, f.step.At.ID)
	}
	for _, id := range ids {
		if r := f.m.RegionOf(id); r != "" {
			return r
		}
	}
	return f.m.Region
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// refer is how a command names an object: by its name where that leads to it, else by ID.
func refer[K ~string](f *fault, id K, name string) string {
	in := struct{ ID K }{K(name)}
	if plainName.MatchString(name) && vpc.ResolveNames(f.m, f.region(), &in) == nil && in.ID == id {
		return name
	}
	return string(id)
}

// named gives an object to be made a name that nothing has yet: base, or base-2 and so on.
func named[K ~string](f *fault, base string) string {
	if !plainName.MatchString(base) {
		base = "new"
	}
	for n, name := 2, base; ; n++ {
		in := struct{ ID K }{K(name)}
		if err := vpc.ResolveNames(f.m, f.region(), &in); err != nil && !strings.Contains(err.Error(), "several") {
			return name
		}
		name = fmt.Sprintf("%s-%d", base, n)
	}
}

// tag is the flag that gives a new object its name.
func tag(resource, name string) string {
	return fmt.Sprintf("--tag-specifications 'ResourceType=%s,Tags=[{Key=Name,Value=%s}]'", resource, name)
}

// eniOf is the model's interface of the data plane's, nil for none.
func (f *fault) eniOf(e *dataplane.ENI) *vpc.NetworkInterface {
	if e == nil {
		return nil
	}
	return f.m.NetworkInterfaces.Get(vpc.NetworkInterfaceID(e.ID))
}

// interfaceWith is the interface of a VPC that has a private address, nil for none.
func (f *fault) interfaceWith(id vpc.VpcID, a netip.Addr) *vpc.NetworkInterface {
	for _, n := range f.m.NetworkInterfaces.All() {
		if n.VpcID != id || !n.Deleted.IsZero() {
			continue
		}
		for _, p := range n.PrivateIps {
			if p.PrivateIp == a {
				return n
			}
		}
	}
	return nil
}

// subnetWith is the subnet of a VPC that an address lies in, nil for none.
func (f *fault) subnetWith(id vpc.VpcID, a netip.Addr) *vpc.Subnet {
	for _, s := range f.m.Subnets.All() {
		if s.VpcID == id && s.CidrBlock.Contains(a) {
			return s
		}
	}
	return nil
}

// vpcOf is the VPC in which the packet was dropped, nil outside of all.
func (f *fault) vpcOf() *vpc.Vpc {
	if n := f.eniOf(f.step.At); n != nil {
		return f.m.Vpcs.Get(n.VpcID)
	}
	if g := f.m.InternetGateways.Get(vpc.InternetGatewayID(f.step.By.ID)); g != nil {
		return f.m.Vpcs.Get(g.VpcID)
	}
	if f.leg.From != 0 {
		for _, n := range f.m.NetworkInterfaces.All() {
			if n.Handle == f.leg.From {
				return f.m.Vpcs.Get(n.VpcID)
			}
		}
	}
	return nil
}
