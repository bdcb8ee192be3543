package compile

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/dataplane"
	pt "github.com/vpcemu/vpcemu/dataplane/porttest"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Random operations make random models: they compile, and random packets and their
// replies end where the oracle says, with the addresses that it says.
func TestPacketsEndWhereTheOracleSays(t *testing.T) {
	base := newWorld(t)
	ends := map[dataplane.Reason]int{}
	rapid.Check(t, func(rt *rapid.T) {
		l := &lab{TB: t, Model: base.Clone(), ids: base.ids}
		defer l.run()()
		// A seed and its place, as rapid's own numbers lean to the small ones.
		seeds := rapid.SliceOfN(rapid.Uint64(), 0, 60).Draw(rt, "operations")
		l.change(func(tx *vpc.Tx) error {
			for i, seed := range seeds {
				mutate(rand.New(rand.NewPCG(seed, uint64(i))), tx)
			}
			return nil
		})
		j := judge{lab: l, t: rt, o: &oracle{m: &l.Model, running: func(h uint32) bool { return l.ports[h] != nil }}, ends: ends}
		for i, seed := range rapid.SliceOfN(rapid.Uint64(), 80, 80).Draw(rt, "packets") {
			j.converse(rand.New(rand.NewPCG(seed, uint64(i))))
		}
	})
	// The test is worth what it reaches.
	t.Logf("%v", ends)
	for _, r := range dataplane.Reasons() {
		switch r {
		case dataplane.DHCPServed, dataplane.ARPAnswered, dataplane.PortWriteFailed, dataplane.FrameMalformed, dataplane.NotIP, dataplane.SourceMAC,
			dataplane.UnknownMAC, dataplane.ARPUnanswered, dataplane.PacketMalformed, dataplane.FragmentWithoutFirst, dataplane.DHCPNotServed,
			dataplane.ServicesRate, dataplane.ServicesUnavailable, dataplane.ConntrackFull, dataplane.NATFragment, dataplane.NATPortsExhausted,
			dataplane.NATTableFull, dataplane.NATSourceOutsideVPC, dataplane.LocalRouteOutsideVPC, dataplane.IGWDestinationOutsideVPC:
			continue // not of the model's making
		}
		if ends[r] == 0 {
			t.Logf("never met: %s", r)
		}
	}
	if len(ends) < 15 {
		t.Errorf("only %d ways to end were met", len(ends))
	}
}

// newWorld is the model that all cases start from: two VPCs with the same ranges
// and one with another, with something of each kind in them.
func newWorld(t *testing.T) *lab {
	l := newLab(t, `
default_vpc: false
quotas: {elastic-ips-per-region: 20}
vpcs: {x: {cidr_block: 10.0.0.0/16}, y: {cidr_block: 10.0.0.0/16}, z: {cidr_block: 10.1.0.0/16, secondary_cidr_blocks: [10.2.0.0/16]}}
internet_gateways: {x: {vpc: x}, y: {vpc: y}, z: {vpc: z}}
internet_hosts: {laptop: {}, server: {}}
`+flatten(replace(worldPart, "V", "x")+replace(worldPart, "V", "y")))
	l.do(&vpc.CreateSubnetInput{VpcId: "z", CidrBlock: "10.1.0.0/24", TagSpecifications: vpc.NamedTag("subnet", "z1")})
	l.do(&vpc.CreateSubnetInput{VpcId: "z", CidrBlock: "10.2.0.0/24", TagSpecifications: vpc.NamedTag("subnet", "z2")})
	l.do(&vpc.CreateRouteInput{RouteTableId: l.MainRouteTable(l.idOfVPC("z")).ID, DestinationCidrBlock: "0.0.0.0/0", GatewayId: "z"})
	for _, s := range []vpc.SubnetID{"z1", "z2"} {
		l.do(&vpc.RunInstancesInput{NetworkInterfaces: []vpc.InstanceNetworkInterfaceSpecification{{DeviceIndex: new(0), SubnetId: s, AssociatePublicIpAddress: new(true)}}})
	}
	return l
}

func (l *lab) idOfVPC(name string) vpc.VpcID {
	for id, v := range l.Vpcs.All() {
		if v.Name() == name {
			return id
		}
	}
	return ""
}

const worldPart = `
subnets.Va: {vpc: V, cidr_block: 10.0.0.0/24}
subnets.Vb: {vpc: V, cidr_block: 10.0.1.0/24}
subnets.Vc: {vpc: V, cidr_block: 10.0.2.0/24}
elastic_ips.Vnat: {}
elastic_ips.Va: {instance: Va}
elastic_ips.Vfree: {}
nat_gateways.V: {subnet: Va, elastic_ip: Vnat}
nat_gateways.Vprivate: {subnet: Vc, connectivity_type: private}
route_tables.Va: {vpc: V, subnets: [Va], routes: [{cidr_block: 0.0.0.0/0, gateway: V}]}
route_tables.Vb: {vpc: V, subnets: [Vb], routes: [{cidr_block: 0.0.0.0/0, nat_gateway: V}]}
route_tables.Vedge: {vpc: V}
security_groups.Vopen: {vpc: V, ingress: [{protocol: all, cidr_blocks: [0.0.0.0/0]}]}
security_groups.Vshut: {vpc: V}
security_groups.Vref: {vpc: V, ingress: [{protocol: all, security_groups: [Vshut, Vref]}]}
network_acls.Vown: {vpc: V, subnets: [Vc], ingress: [{rule_no: 100, action: allow, cidr_block: 10.0.0.0/16}], egress: [{rule_no: 100, action: allow, cidr_block: 0.0.0.0/0}]}
network_interfaces.V: {subnet: Vb, security_groups: [Vopen]}
instances.Va: {subnet: Va, security_groups: [Vopen]}
instances.Vbox: {subnet: Va, security_groups: [Vopen], source_dest_check: false}
instances.Vb: {subnet: Vb, security_groups: [Vopen, Vshut]}
instances.Vb2: {subnet: Vb, security_groups: [Vref]}
instances.Vc: {subnet: Vc, security_groups: [Vref]}
instances.Vc2: {subnet: Vc, security_groups: [Vopen]}
`

func keys[K ~string, V any](t *vpc.Table[K, V]) []K {
	var list []K
	for k := range t.All() {
		list = append(list, k)
	}
	return list
}

func pick[T any](rng *rand.Rand, list ...T) T { return list[rng.IntN(len(list))] }

// pickID draws one of the table's keys, "" if it has none.
func pickID[K ~string, V any](rng *rand.Rand, t *vpc.Table[K, V]) K {
	return pick(rng, append(keys(t), "")[:max(t.Len(), 1)]...)
}

var (
	somePeers = []string{"0.0.0.0/0", "0.0.0.0/0", "10.0.0.0/16", "10.0.0.0/24", "10.0.1.0/24", "203.0.113.0/24", "198.51.100.0/24"}
	someDests = []string{"0.0.0.0/0", "0.0.0.0/0", "10.0.0.0/16", "10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "198.51.100.0/24", "10.99.0.0/16"}
)

// mutate runs one random operation; that many are refused is in the nature of it.
func mutate(rng *rand.Rand, tx *vpc.Tx) {
	all := operations
	name := pick(rng, slices.Sorted(maps.Keys(all))...)
	all[name](rng, tx)
}

var operations = map[string]func(*rand.Rand, *vpc.Tx){
	"authorize ingress": func(rng *rand.Rand, tx *vpc.Tx) {
		tx.AuthorizeSecurityGroupIngress(&vpc.AuthorizeSecurityGroupIngressInput{GroupId: pickID(rng, &tx.SecurityGroups), IpPermissions: somePermission(rng, tx)})
	},
	"authorize egress": func(rng *rand.Rand, tx *vpc.Tx) {
		tx.AuthorizeSecurityGroupEgress(&vpc.AuthorizeSecurityGroupEgressInput{GroupId: pickID(rng, &tx.SecurityGroups), IpPermissions: somePermission(rng, tx)})
	},
	"revoke": func(rng *rand.Rand, tx *vpc.Tx) {
		g := tx.SecurityGroups.Get(pickID(rng, &tx.SecurityGroups))
		if len(g.Ingress) > 0 && rng.IntN(2) == 0 {
			tx.RevokeSecurityGroupIngress(&vpc.RevokeSecurityGroupIngressInput{GroupId: g.ID, SecurityGroupRuleIds: []vpc.SecurityRuleID{pick(rng, g.Ingress...).ID}})
		} else if len(g.Egress) > 0 {
			tx.RevokeSecurityGroupEgress(&vpc.RevokeSecurityGroupEgressInput{GroupId: g.ID, SecurityGroupRuleIds: []vpc.SecurityRuleID{pick(rng, g.Egress...).ID}})
		}
	},
	"ACL entry": func(rng *rand.Rand, tx *vpc.Tx) {
		from, to := somePorts(rng)
		in := &vpc.CreateNetworkAclEntryInput{NetworkAclId: pickID(rng, &tx.NetworkAcls), RuleNumber: 50 + rng.IntN(100), Egress: rng.IntN(2) == 0,
			Protocol: pick(rng, "-1", "6", "6", "17", "1", "47"), RuleAction: pick(rng, "allow", "deny"), CidrBlock: pick(rng, somePeers...)}
		if in.Protocol == "1" {
			in.IcmpTypeCode = vpc.IcmpTypeCode{Type: new(pick(rng, -1, 0, 8)), Code: new(-1)}
		} else {
			in.PortRange = vpc.PortRange{From: &from, To: &to}
		}
		tx.CreateNetworkAclEntry(in)
	},
	"ACL association": func(rng *rand.Rand, tx *vpc.Tx) {
		s := tx.Subnets.Get(pickID(rng, &tx.Subnets))
		tx.ReplaceNetworkAclAssociation(&vpc.ReplaceNetworkAclAssociationInput{AssociationId: s.AclAssociationID, NetworkAclId: pickID(rng, &tx.NetworkAcls)})
	},
	"create route": func(rng *rand.Rand, tx *vpc.Tx) {
		in := &vpc.CreateRouteInput{RouteTableId: pickID(rng, &tx.RouteTables), DestinationCidrBlock: pick(rng, someDests...)}
		in.GatewayId, in.NatGatewayId, in.NetworkInterfaceId = someTarget(rng, tx)
		tx.CreateRoute(in)
	},
	"replace route": func(rng *rand.Rand, tx *vpc.Tx) {
		t := tx.RouteTables.Get(pickID(rng, &tx.RouteTables))
		in := &vpc.ReplaceRouteInput{RouteTableId: t.ID, DestinationCidrBlock: pick(rng, t.Routes...).DestinationCidrBlock.String()}
		in.GatewayId, in.NatGatewayId, in.NetworkInterfaceId = someTarget(rng, tx)
		tx.ReplaceRoute(in)
	},
	"delete route": func(rng *rand.Rand, tx *vpc.Tx) {
		t := tx.RouteTables.Get(pickID(rng, &tx.RouteTables))
		tx.DeleteRoute(&vpc.DeleteRouteInput{RouteTableId: t.ID, DestinationCidrBlock: pick(rng, t.Routes...).DestinationCidrBlock.String()})
	},
	"associate table": func(rng *rand.Rand, tx *vpc.Tx) {
		in := &vpc.AssociateRouteTableInput{RouteTableId: pickID(rng, &tx.RouteTables)}
		if rng.IntN(2) == 0 {
			in.GatewayId = pickID(rng, &tx.InternetGateways)
		} else {
			in.SubnetId = pickID(rng, &tx.Subnets)
		}
		tx.AssociateRouteTable(in)
	},
	"replace association": func(rng *rand.Rand, tx *vpc.Tx) {
		if t := tx.RouteTables.Get(pickID(rng, &tx.RouteTables)); len(t.Associations) > 0 {
			tx.ReplaceRouteTableAssociation(&vpc.ReplaceRouteTableAssociationInput{AssociationId: pick(rng, t.Associations...).ID, RouteTableId: pickID(rng, &tx.RouteTables)})
		}
	},
	"edge route": func(rng *rand.Rand, tx *vpc.Tx) { // rare otherwise
		for id, t := range tx.RouteTables.All() {
			if t.Name() == pick(rng, "xedge", "yedge") {
				_, _, eni := someTarget(rng, tx)
				tx.CreateRoute(&vpc.CreateRouteInput{RouteTableId: id, DestinationCidrBlock: pick(rng, someDests...), NetworkInterfaceId: eni})
				tx.AssociateRouteTable(&vpc.AssociateRouteTableInput{RouteTableId: id, GatewayId: tx.VpcInternetGateway(t.VpcID).ID})
			}
		}
	},
	"associate address": func(rng *rand.Rand, tx *vpc.Tx) {
		e := tx.NetworkInterfaces.Get(pickID(rng, &tx.NetworkInterfaces))
		tx.AssociateAddress(&vpc.AssociateAddressInput{AllocationId: pickID(rng, &tx.Addresses), NetworkInterfaceId: e.ID, PrivateIpAddress: pick(rng, e.PrivateIps...).PrivateIp.String()})
	},
	"disassociate address": func(rng *rand.Rand, tx *vpc.Tx) {
		tx.DisassociateAddress(&vpc.DisassociateAddressInput{AssociationId: tx.Addresses.Get(pickID(rng, &tx.Addresses)).AssociationID})
	},
	"check": func(rng *rand.Rand, tx *vpc.Tx) {
		tx.ModifyNetworkInterfaceAttribute(&vpc.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: pickID(rng, &tx.NetworkInterfaces),
			SourceDestCheck: vpc.AttributeBooleanValue{Value: new(rng.IntN(2) == 0)}})
	},
	"groups": func(rng *rand.Rand, tx *vpc.Tx) {
		tx.ModifyNetworkInterfaceAttribute(&vpc.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: pickID(rng, &tx.NetworkInterfaces),
			Groups: []vpc.SecurityGroupID{pickID(rng, &tx.SecurityGroups)}})
	},
	"attach": func(rng *rand.Rand, tx *vpc.Tx) {
		tx.AttachNetworkInterface(&vpc.AttachNetworkInterfaceInput{NetworkInterfaceId: pickID(rng, &tx.NetworkInterfaces), InstanceId: pickID(rng, &tx.Instances), DeviceIndex: new(1)})
	},
	"detach": func(rng *rand.Rand, tx *vpc.Tx) {
		if e := tx.NetworkInterfaces.Get(pickID(rng, &tx.NetworkInterfaces)); e.Attachment != nil {
			tx.DetachNetworkInterface(&vpc.DetachNetworkInterfaceInput{AttachmentId: e.Attachment.ID})
		}
	},
	"secondary address": func(rng *rand.Rand, tx *vpc.Tx) {
		tx.AssignPrivateIpAddresses(&vpc.AssignPrivateIpAddressesInput{NetworkInterfaceId: pickID(rng, &tx.NetworkInterfaces), SecondaryPrivateIpAddressCount: new(1)})
	},
	"stop": func(rng *rand.Rand, tx *vpc.Tx) {
		id := pickID(rng, &tx.Instances)
		tx.InstanceRunning(id)
		tx.StopInstances(&vpc.StopInstancesInput{InstanceIds: []vpc.InstanceID{id}})
		tx.InstanceStopped(id, "")
	},
	"start": func(rng *rand.Rand, tx *vpc.Tx) {
		tx.StartInstances(&vpc.StartInstancesInput{InstanceIds: []vpc.InstanceID{pickID(rng, &tx.Instances)}})
	},
	"terminate": func(rng *rand.Rand, tx *vpc.Tx) {
		if rng.IntN(3) == 0 {
			tx.TerminateInstances(&vpc.TerminateInstancesInput{InstanceIds: []vpc.InstanceID{pickID(rng, &tx.Instances)}})
		}
	},
	"run": func(rng *rand.Rand, tx *vpc.Tx) {
		tx.RunInstances(&vpc.RunInstancesInput{NetworkInterfaces: []vpc.InstanceNetworkInterfaceSpecification{{DeviceIndex: new(0),
			SubnetId: pickID(rng, &tx.Subnets), AssociatePublicIpAddress: new(rng.IntN(2) == 0)}}})
	},
	"delete NAT gateway": func(rng *rand.Rand, tx *vpc.Tx) {
		tx.DeleteNatGateway(&vpc.DeleteNatGatewayInput{NatGatewayId: pickID(rng, &tx.NatGateways)})
	},
	"create NAT gateway": func(rng *rand.Rand, tx *vpc.Tx) {
		in := &vpc.CreateNatGatewayInput{SubnetId: pickID(rng, &tx.Subnets), ConnectivityType: pick(rng, "public", "private")}
		if in.ConnectivityType == "public" {
			in.AllocationId = pickID(rng, &tx.Addresses)
		}
		tx.CreateNatGateway(in)
	},
	"detach gateway": func(rng *rand.Rand, tx *vpc.Tx) {
		g := tx.InternetGateways.Get(pickID(rng, &tx.InternetGateways))
		tx.DetachInternetGateway(&vpc.DetachInternetGatewayInput{InternetGatewayId: g.ID, VpcId: g.VpcID})
	},
	"DNS support": func(rng *rand.Rand, tx *vpc.Tx) {
		tx.ModifyVpcAttribute(&vpc.ModifyVpcAttributeInput{VpcId: pickID(rng, &tx.Vpcs), EnableDnsSupport: vpc.AttributeBooleanValue{Value: new(rng.IntN(2) == 0)}})
	},
}

// somePorts are ranges that either hold all ports that a NAT gateway draws, or none.
func somePorts(rng *rand.Rand) (from, to int) {
	r := pick(rng, [2]int{22, 22}, [2]int{80, 443}, [2]int{0, 65535}, [2]int{1024, 65535})
	return r[0], r[1]
}

func somePermission(rng *rand.Rand, tx *vpc.Tx) []vpc.IpPermission {
	p := vpc.IpPermission{IpProtocol: pick(rng, "-1", "tcp", "tcp", "udp", "icmp", "47")}
	switch p.IpProtocol {
	case "tcp", "udp":
		from, to := somePorts(rng)
		p.FromPort, p.ToPort = &from, &to
	case "icmp":
		p.FromPort, p.ToPort = new(pick(rng, -1, 8, 0)), new(-1)
	}
	if rng.IntN(3) == 0 {
		p.UserIdGroupPairs = []vpc.UserIdGroupPair{{GroupId: pickID(rng, &tx.SecurityGroups)}}
	} else {
		p.IpRanges = []vpc.IpRange{{CidrIp: pick(rng, somePeers...)}}
	}
	return []vpc.IpPermission{p}
}

func someTarget(rng *rand.Rand, tx *vpc.Tx) (vpc.InternetGatewayID, vpc.NatGatewayID, vpc.NetworkInterfaceID) {
	switch rng.IntN(4) {
	case 0:
		return pickID(rng, &tx.InternetGateways), "", ""
	case 1:
		return "", pickID(rng, &tx.NatGateways), ""
	}
	return "", "", pickID(rng, &tx.NetworkInterfaces)
}

// judge sends packets and holds what becomes of them against the oracle.
type judge struct {
	*lab
	t    *rapid.T
	o    *oracle
	ends map[dataplane.Reason]int
	n    int // packets so far; gives each connection its own port
}

// converse sends a random packet and, if it arrives, a reply.
func (j *judge) converse(rng *rand.Rand) {
	handles := slices.Sorted(maps.Keys(j.ports))
	if len(handles) == 0 {
		return
	}
	from := pick(rng, handles...)
	p := j.some(rng, from)
	pkt := bytesOf(p)
	steps := j.engine.Trace(from, pkt)
	r := j.send1(from, p, pkt)
	if last := steps[len(steps)-1]; last.Reason != r.Event.Reason {
		j.t.Fatalf("trace says %s, the engine %s\n%s", last.Reason, &r.Event, dataplane.Text(steps))
	}
	if r.Event.Reason != dataplane.Delivered || len(r.Out) != 1 {
		return
	}
	// The reply goes to the addresses and ports that arrived; the oracle calls a
	// NAT gateway's port by its own number.
	got, h := j.o.p, pt.Parse(r.Out[0].Packet)
	reply := oPacket{src: got.dst, dst: got.src, sport: got.dport, dport: got.sport, proto: got.proto, reply: true, ttl: 64}
	b := pt.Reply(h.Data)
	reply.size = len(b)
	j.send1(r.Event.To, reply, b)
}

// send1 sends one packet and compares.
func (j *judge) send1(from uint32, p oPacket, pkt []byte) *pt.Result {
	j.now.Add(int64(time.Second))
	r := j.put(j.ports[from], pkt)
	e := j.interfaceOf(from)
	if e != nil {
		j.o.fromENI(e, p)
	} else {
		j.o.fromHost(p)
	}
	j.ends[r.Event.Reason]++
	o, ev := j.o, &r.Event
	at, bad := ev.Tuple, ""
	switch {
	case ev.Reason != o.reason:
		bad = "reason"
	case ev.To != o.to:
		bad = "port"
	case ev.Answered != o.answered:
		bad = "answer"
	case at.Src.Netip() != o.p.src || at.Dst.Netip() != o.p.dst || !samePort(at.SrcPort, o.p.sport) || !samePort(at.DstPort, o.p.dport):
		bad = "addresses"
	case ev.Reason == dataplane.Delivered && (len(r.Out) == 0 || int(pt.Parse(r.Out[0].Packet).TTL) != o.p.ttl):
		bad = "TTL"
	}
	if bad != "" {
		j.t.Fatalf("%s: the oracle says that\n%s from %s\nends with %s at %s, handle %d, answered %t; the engine that\n%s, handle %d, answered %t\n%s", bad,
			p, j.names[from], o.reason, o.p, o.to, o.answered, ev, ev.To, ev.Answered, dataplane.Text(j.engine.Trace(from, pkt)))
	}
	return r
}

// samePort: the oracle has a negative number for what a NAT gateway drew.
func samePort(got uint16, want int) bool { return int(got) == want || want < 0 && got >= 1024 }

func (j *judge) interfaceOf(handle uint32) *vpc.NetworkInterface {
	for _, e := range j.NetworkInterfaces.All() {
		if e.Handle == handle {
			return e
		}
	}
	return nil
}

// some is a random packet from that port.
func (j *judge) some(rng *rand.Rand, from uint32) oPacket {
	j.n++
	p := oPacket{sport: 2000 + j.n, dport: pick(rng, 22, 80, 443, 8080), proto: pick(rng, 6, 6, 6, 17, 1, 47), opens: rng.IntN(12) > 0, ttl: 64}
	var nearby []netip.Addr // addresses that mean something to the sender
	if e := j.interfaceOf(from); e != nil {
		p.src = pick(rng, e.PrivateIps...).PrivateIp
		for _, o := range j.NetworkInterfaces.All() {
			if o.VpcID == e.VpcID {
				nearby = append(nearby, o.PrivateIps[rng.IntN(len(o.PrivateIps))].PrivateIp)
			}
		}
	} else {
		for _, h := range j.InternetHosts.All() {
			if h.Handle == from {
				p.src = h.PublicIp
			}
		}
	}
	public := []netip.Addr{}
	for _, e := range j.NetworkInterfaces.All() {
		for _, a := range e.PrivateIps {
			if x := j.PublicAddressOf(e, a); x.IsValid() {
				public = append(public, x)
			}
		}
	}
	for _, h := range j.InternetHosts.All() {
		public = append(public, h.PublicIp, h.PublicIp)
	}
	odd := netip.MustParseAddr(pick(rng, "10.0.0.2", "10.0.1.2", "10.0.1.255", "10.0.1.99", "10.0.9.9", "10.99.0.1", "100.64.0.1", "192.0.2.1", "169.254.169.253", "169.254.169.254", "169.254.169.123", "224.0.0.1", "255.255.255.255"))
	switch n := rng.IntN(20); {
	case n < 8 && len(nearby) > 0:
		p.dst = pick(rng, nearby...)
	case n < 18:
		p.dst = pick(rng, public...)
	default:
		p.dst = odd
		p.dport = pick(rng, p.dport, 53, 80, 123)
	}
	switch rng.IntN(12) {
	case 0:
		p.ttl = pick(rng, 1, 2, 3)
	case 1:
		p.src = pick(rng, append(nearby, odd)...) // spoofed, or forwarded
		if !p.src.IsValid() || p.src.IsMulticast() || p.src.String() == "255.255.255.255" {
			p.src = netip.MustParseAddr("10.99.0.1")
		}
	case 2:
		p.size, p.df = pick(rng, 1600, 8600), rng.IntN(3) > 0
	}
	if p.src == p.dst {
		p.src = netip.MustParseAddr("10.99.0.1")
	}
	if p.proto == 1 {
		p.dport = 0
	} else if p.proto == 47 {
		p.sport, p.dport, p.size = 0, 0, 0
	}
	return p
}

// bytesOf is the packet itself.
func bytesOf(p oPacket) []byte {
	src, dst := fmt.Sprintf("%s:%d", p.src, p.sport), fmt.Sprintf("%s:%d", p.dst, p.dport)
	payload := max(0, p.size-40)
	var b []byte
	switch p.proto {
	case 6:
		flags := uint8(packet.FlagACK)
		if p.opens {
			flags = packet.FlagSYN
		}
		b = pt.TCP(src, dst, flags, payload)
	case 17:
		b = pt.UDP(src, dst, payload)
	case 1:
		b = pt.Ping(p.src.String(), p.dst.String(), uint16(p.sport), payload)
	default:
		b = pt.Proto(uint8(p.proto), p.src.String(), p.dst.String())
	}
	if p.df {
		b = pt.DF(b)
	}
	return pt.TTL(b, uint8(p.ttl))
}
