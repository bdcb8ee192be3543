package compile

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// The oracle says what becomes of a packet. It reads the model itself, in plain
// loops written after section 7 of the semantics: nothing is compiled, indexed or
// shared with the code under test but the names of the reasons.
//
// It does not know which port a NAT gateway draws, and says a negative number for
// it, another for each connection.

type oPacket struct {
	src, dst     netip.Addr
	sport, dport int // ICMP: a request has its identifier in sport, a reply in dport
	proto        int
	reply        bool // of ICMP echo
	opens        bool // TCP: SYN alone
	ttl, size    int
	df           bool
}

func (p oPacket) String() string {
	return fmt.Sprintf("%d %s:%d > %s:%d ttl %d size %d", p.proto, p.src, p.sport, p.dst, p.dport, p.ttl, p.size)
}

type oFlow struct {
	eni                  vpc.NetworkInterfaceID
	local, remote        netip.Addr
	lport, rport, number int
}

type oMapping struct {
	gw                    vpc.NatGatewayID
	proto                 int
	inside, outside, dest netip.Addr
	iport, oport, dport   int
}

type oracle struct {
	m       *vpc.Model
	running func(handle uint32) bool

	flows    []oFlow // admitted so far (CT-01)
	mappings []oMapping
	drawn    int // ports that gateways have drawn

	// The packet at hand.
	p        oPacket
	at       *vpc.NetworkInterface // where it came in, nil outside
	last     *vpc.NetworkInterface // that put it where it is
	groups   []vpc.SecurityGroupID // of its sender, while they are known (SG-09)
	crossed  bool
	viaNAT   bool
	fresh    []oFlow // to be tracked once the packet's way has ended
	pending  []oFlow // and those only by way of a NAT gateway
	met      []vpc.NatGatewayID
	reason   dataplane.Reason
	to       uint32
	answered bool
}

func (o *oracle) begin(p oPacket, at *vpc.NetworkInterface) {
	o.p, o.at, o.last, o.groups, o.crossed, o.met = p, at, at, nil, false, nil
	o.reason, o.to, o.answered, o.viaNAT, o.fresh, o.pending = dataplane.Delivered, 0, false, false, nil, nil
}

// end tells how the packet's way ends; false, so that callers stop.
func (o *oracle) end(r dataplane.Reason) bool { o.reason = r; return false }

func (o *oracle) fromHost(p oPacket) {
	o.begin(p, nil)
	o.internet(true)
	o.settle()
}

func (o *oracle) fromENI(e *vpc.NetworkInterface, p oPacket) {
	o.begin(p, e)
	if !o.services(o.m.Vpcs.Get(e.VpcID)) {
		return
	}
	own := holds(e, p.src)
	if e.SourceDestCheck && !own {
		o.end(dataplane.SourceDestCheck)
		return
	}
	if own {
		o.groups = e.Groups
	}
	if o.securityGroups(e, true) {
		o.fromSubnet(o.m.Subnets.Get(e.SubnetID))
	}
	o.settle()
}

func (o *oracle) settle() {
	o.flows = append(o.flows, o.fresh...)
	if o.viaNAT {
		o.flows = append(o.flows, o.pending...)
	}
}

func holds(e *vpc.NetworkInterface, a netip.Addr) bool {
	for _, p := range e.PrivateIps {
		if p.PrivateIp == a {
			return true
		}
	}
	return false
}

// served: by a server of the VPC, which knows its client by the address (IM-02).
func (o *oracle) served(by dataplane.Reason) bool {
	if !holds(o.at, o.p.src) {
		by = dataplane.SourceDestCheck
	}
	return o.end(by)
}

// services: EX-01, EX-02, L2-01. True for what goes on.
func (o *oracle) services(v *vpc.Vpc) bool {
	d := o.p.dst
	resolver := v.CidrBlock.Addr().Next().Next()
	if d.String() == "169.254.169.254" && o.p.dport == 80 && o.p.proto == 6 {
		return o.served(dataplane.ToMetadata)
	}
	if d.String() == "169.254.169.123" && o.p.dport == 123 && o.p.proto == 17 {
		return o.served(dataplane.ToTime)
	}
	if v.EnableDnsSupport && (d == resolver || d.String() == "169.254.169.253") && o.p.dport == 53 && (o.p.proto == 6 || o.p.proto == 17) {
		return o.served(dataplane.ToResolver)
	}
	if d.IsMulticast() || d.String() == "255.255.255.255" {
		return o.end(dataplane.BroadcastUnsupported)
	}
	if d.IsLinkLocalUnicast() {
		return o.end(dataplane.LinkLocalAddress)
	}
	for _, s := range o.m.Subnets.All() {
		if s.VpcID != v.ID || !s.CidrBlock.Contains(d) {
			continue
		}
		if !s.CidrBlock.Contains(d.Next()) {
			return o.end(dataplane.BroadcastUnsupported)
		}
		for n := range 4 {
			if d == nth(s.CidrBlock, n) {
				return o.end(dataplane.ReservedAddress)
			}
		}
	}
	return true
}

func nth(p netip.Prefix, n int) netip.Addr {
	a := p.Addr()
	for range n {
		a = a.Next()
	}
	return a
}

func (o *oracle) fromSubnet(s *vpc.Subnet) {
	o.crossed = !s.CidrBlock.Contains(o.p.dst)
	if !o.crossed { // U-01
		o.local(s.VpcID)
		return
	}
	if !o.acl(s, true) {
		return
	}
	r, ok := o.route(o.tableOf(s))
	if !ok {
		return
	}
	switch {
	case r.Local:
		o.local(s.VpcID)
	case r.GatewayID != "":
		o.outOfVPC(o.m.InternetGateways.Get(r.GatewayID))
	case r.NatGatewayID != "":
		o.arrive(o.m.NetworkInterfaces.Get(o.m.NatGateways.Get(r.NatGatewayID).NetworkInterfaceID))
	default:
		o.arrive(o.m.NetworkInterfaces.Get(r.NetworkInterfaceID))
	}
}

func (o *oracle) tableOf(s *vpc.Subnet) *vpc.RouteTable {
	var main *vpc.RouteTable
	for _, t := range o.m.RouteTables.All() {
		for _, a := range t.Associations {
			if a.SubnetID == s.ID {
				return t
			}
			if a.Main && t.VpcID == s.VpcID {
				main = t
			}
		}
	}
	return main
}

// route: RT-07, RT-10.
func (o *oracle) route(t *vpc.RouteTable) (best vpc.Route, ok bool) {
	for _, r := range t.Routes {
		if r.DestinationCidrBlock.Contains(o.p.dst) && (!ok || r.DestinationCidrBlock.Bits() > best.DestinationCidrBlock.Bits()) {
			best, ok = r, true
		}
	}
	if !ok {
		return best, o.end(dataplane.NoRoute)
	}
	if !o.alive(best, t.VpcID) {
		return best, o.end(dataplane.BlackholeRoute)
	}
	return best, true
}

func (o *oracle) alive(r vpc.Route, v vpc.VpcID) bool {
	switch {
	case r.Local:
		return true
	case r.GatewayID != "":
		g := o.m.InternetGateways.Get(r.GatewayID)
		return g != nil && g.VpcID == v
	case r.NatGatewayID != "":
		n := o.m.NatGateways.Get(r.NatGatewayID)
		return n != nil && n.State == "available"
	}
	e := o.m.NetworkInterfaces.Get(r.NetworkInterfaceID)
	if e != nil && e.Attachment != nil {
		i := o.m.Instances.Get(e.Attachment.InstanceID)
		return i == nil || i.State != "stopped"
	}
	return e != nil && e.InterfaceType == "natGateway"
}

// local: RT-18.
func (o *oracle) local(v vpc.VpcID) {
	for _, e := range o.m.NetworkInterfaces.All() {
		if e.VpcID == v && holds(e, o.p.dst) {
			o.arrive(e)
			return
		}
	}
	o.end(dataplane.AddressUnassigned)
}

func (o *oracle) arrive(e *vpc.NetworkInterface) {
	if o.crossed && !o.acl(o.m.Subnets.Get(e.SubnetID), false) {
		return
	}
	if e.InterfaceType == "natGateway" {
		for _, n := range o.m.NatGateways.All() {
			if n.NetworkInterfaceID == e.ID {
				o.nat(n, e)
			}
		}
		return
	}
	if !o.securityGroups(e, false) {
		return
	}
	switch {
	case e.SourceDestCheck && !holds(e, o.p.dst):
		o.end(dataplane.SourceDestCheck)
	case !o.running(e.Handle):
		o.end(dataplane.ENIDetached)
	default:
		o.to = e.Handle
	}
}

// acl: AC-04, AC-05.
func (o *oracle) acl(s *vpc.Subnet, egress bool) bool {
	var first *vpc.NetworkAclEntry
	a := o.m.NetworkAcls.Get(s.NetworkAclID)
	for i := range a.Entries {
		e := &a.Entries[i]
		if e.Egress == egress && o.aclMatches(e) && (first == nil || e.RuleNumber < first.RuleNumber) {
			first = e
		}
	}
	if first != nil && first.RuleAction == "allow" {
		return true
	}
	return o.end(dataplane.ACLDenied)
}

func (o *oracle) aclMatches(e *vpc.NetworkAclEntry) bool {
	peer := o.p.src
	if e.Egress {
		peer = o.p.dst
	}
	if !e.CidrBlock.IsValid() || !e.CidrBlock.Contains(peer) {
		return false
	}
	switch {
	case e.Protocol == "-1":
		return true
	case e.Protocol != strconv.Itoa(o.p.proto):
		return false
	case o.p.proto == 6 || o.p.proto == 17:
		return inRange(o.p.dport, e.FromPort, e.ToPort)
	case o.p.proto == 1:
		return (e.IcmpType == -1 || e.IcmpType == o.p.icmpType()) && (e.IcmpCode == -1 || e.IcmpCode == 0)
	}
	return true
}

// inRange: a port drawn by a NAT gateway is one of 1024 to 65535, and tests have no
// rule that ends within these.
func inRange(port, from, to int) bool {
	if port < 0 {
		port = 65535
	}
	return port >= from && port <= to
}

func (p oPacket) icmpType() int {
	if p.reply {
		return 0
	}
	return 8
}

// securityGroups: SG-01 to SG-09 and CT-01. Whether a flow is tracked makes no
// difference while no rule changes, as the reply of an untracked one has a rule
// (CT-03), but for TCP in the middle of a connection that everybody may: as it may
// belong to an untracked one, it is tracked only behind a NAT gateway (CT-05, CT-06).
func (o *oracle) securityGroups(e *vpc.NetworkInterface, outbound bool) bool {
	f := oFlow{e.ID, o.p.dst, o.p.src, o.p.dport, o.p.sport, o.p.proto}
	peers := o.groups
	if outbound {
		f = oFlow{e.ID, o.p.src, o.p.dst, o.p.sport, o.p.dport, o.p.proto}
		peers = o.groupsAt(e.VpcID, o.p.dst)
	}
	if slices.Contains(o.flows, f) {
		return true
	}
	rules := 0
	for _, id := range e.Groups {
		g := o.m.SecurityGroups.Get(id)
		if outbound {
			rules += len(g.Egress)
		} else {
			rules += len(g.Ingress)
		}
	}
	if rules == 0 {
		return o.end(dataplane.SGHasNoRules)
	}
	if o.permitted(e, outbound, peers) {
		if o.p.proto == 6 && !o.p.opens && o.openToAll(e, outbound) {
			o.pending = append(o.pending, f)
		} else {
			o.fresh = append(o.fresh, f)
		}
		return true
	}
	if !outbound && o.groups == nil {
		if o.permitted(e, false, o.groupsAt(e.VpcID, o.p.src)) || o.at != nil && o.permitted(e, false, o.at.Groups) {
			return o.end(dataplane.SGReferencesNotPreserved)
		}
	}
	return o.end(dataplane.SGRulesMismatch)
}

func (o *oracle) groupsAt(v vpc.VpcID, a netip.Addr) []vpc.SecurityGroupID {
	for _, e := range o.m.NetworkInterfaces.All() {
		if e.VpcID == v && holds(e, a) {
			return e.Groups
		}
	}
	return nil
}

func (o *oracle) permitted(e *vpc.NetworkInterface, outbound bool, peers []vpc.SecurityGroupID) bool {
	for _, id := range e.Groups {
		g := o.m.SecurityGroups.Get(id)
		peer, rules := o.p.src, g.Ingress
		if outbound {
			peer, rules = o.p.dst, g.Egress
		}
		for _, r := range rules {
			who := r.CidrIpv4.IsValid() && r.CidrIpv4.Contains(peer)
			if r.GroupID != "" {
				who = slices.Contains(peers, r.GroupID)
			}
			if who && o.ruleCovers(r) {
				return true
			}
		}
	}
	return false
}

func (o *oracle) ruleCovers(r vpc.SecurityGroupRule) bool {
	switch r.IpProtocol {
	case "-1":
		return true
	case "tcp", "udp":
		return o.p.proto == map[string]int{"tcp": 6, "udp": 17}[r.IpProtocol] && inRange(o.p.dport, r.FromPort, r.ToPort)
	case "icmp":
		return o.p.proto == 1 && (r.FromPort == -1 || r.FromPort == o.p.icmpType()) && (r.ToPort == -1 || r.ToPort == 0)
	}
	return r.IpProtocol == strconv.Itoa(o.p.proto)
}

// openToAll: some rule of that direction is for everybody, on all ports of TCP.
func (o *oracle) openToAll(e *vpc.NetworkInterface, outbound bool) bool {
	for _, id := range e.Groups {
		rules := o.m.SecurityGroups.Get(id).Ingress
		if outbound {
			rules = o.m.SecurityGroups.Get(id).Egress
		}
		for _, r := range rules {
			if r.CidrIpv4.IsValid() && r.CidrIpv4.Bits() == 0 && (r.IpProtocol == "-1" || r.IpProtocol == "tcp" && r.FromPort == 0 && r.ToPort == 65535) {
				return true
			}
		}
	}
	return false
}

// nat: NA-02 to NA-14.
func (o *oracle) nat(n *vpc.NatGateway, e *vpc.NetworkInterface) {
	o.groups, o.viaNAT = nil, true // SG-09, CT-06
	inbound := holds(e, o.p.dst)
	if !inbound {
		if slices.Contains(o.met, n.ID) {
			o.end(dataplane.ForwardingLoop)
			return
		}
		o.met = append(o.met, n.ID)
		if !o.inVPC(n.VpcID, o.p.src) {
			o.end(dataplane.NATSourceOutsideVPC)
			return
		}
	}
	switch {
	case o.p.proto != 1 && o.p.proto != 6 && o.p.proto != 17:
		o.end(dataplane.NATProtocol)
		return
	case o.p.ttl <= 1:
		o.answered = true
		o.end(dataplane.TTLExpired)
		return
	case !o.fits(8500):
		return
	}
	o.p.ttl--
	if inbound && !o.natIn(n) || !inbound && !o.natOut(n) {
		return
	}
	o.last = e
	o.fromSubnet(o.m.Subnets.Get(n.SubnetID))
}

func (o *oracle) inVPC(id vpc.VpcID, a netip.Addr) bool {
	for _, c := range o.m.Vpcs.Get(id).Cidrs {
		if c.State == "associated" && c.CidrBlock.Contains(a) {
			return true
		}
	}
	return false
}

func (o *oracle) fits(mtu int) bool {
	if o.p.size <= mtu || !o.p.df {
		return true
	}
	o.answered = true
	return o.end(dataplane.PacketTooBig)
}

func (o *oracle) natOut(n *vpc.NatGateway) bool {
	for _, m := range o.mappings {
		if m.gw == n.ID && m.proto == o.p.proto && m.inside == o.p.src && m.iport == o.p.sport && m.dest == o.p.dst && m.dport == o.p.dport {
			o.p.src, o.p.sport = m.outside, m.oport
			return true
		}
	}
	switch {
	case o.p.proto == 6 && !o.p.opens:
		o.answered = true
		return o.end(dataplane.NATIdleTimeout)
	case o.p.proto == 1 && o.p.reply:
		return o.end(dataplane.NATNoMapping)
	}
	o.drawn++
	m := oMapping{n.ID, o.p.proto, o.p.src, n.Addresses[0].PrivateIp, o.p.dst, o.p.sport, -o.drawn, o.p.dport}
	o.mappings = append(o.mappings, m)
	o.p.src, o.p.sport = m.outside, m.oport
	return true
}

func (o *oracle) natIn(n *vpc.NatGateway) bool {
	for _, m := range o.mappings {
		if m.gw == n.ID && m.proto == o.p.proto && m.outside == o.p.dst && m.oport == o.p.dport && m.dest == o.p.src && m.dport == o.p.sport {
			o.p.dst, o.p.dport = m.inside, m.iport
			return true
		}
	}
	return o.end(dataplane.NATNoMapping)
}

// outOfVPC: IG-03, RT-14, MT-11, TT-01.
func (o *oracle) outOfVPC(g *vpc.InternetGateway) {
	if r := privateRange(o.p.dst); r == 1918 {
		o.end(dataplane.IGWDestinationRFC1918)
		return
	} else if r == 6598 {
		o.end(dataplane.IGWDestinationRFC6598)
		return
	}
	var owner *vpc.NetworkInterface
	var public netip.Addr
	for _, e := range o.m.NetworkInterfaces.All() {
		for _, p := range e.PrivateIps {
			if e.VpcID == g.VpcID && p.PrivateIp == o.p.src {
				owner = e
				if e.Attachment != nil || e.InterfaceType == "natGateway" {
					public = o.publicOf(e, p)
				}
			}
		}
	}
	if owner == nil {
		o.end(dataplane.IGWSpoofedSource)
		return
	}
	if !public.IsValid() {
		o.end(dataplane.IGWNoPublicAddress)
		return
	}
	if t := o.edgeTable(g); t != nil {
		back := *o
		back.p.dst = o.p.src
		r, _ := back.route(t)
		if e := o.m.NetworkInterfaces.Get(r.NetworkInterfaceID); e != nil && (o.last == nil || e.ID != o.last.ID) {
			o.end(dataplane.IngressRedirection)
			return
		}
	}
	if !o.fits(1500) || !o.hop() {
		return
	}
	o.p.src, o.groups, o.last = public, nil, nil
	o.internet(false)
}

func (o *oracle) publicOf(e *vpc.NetworkInterface, p vpc.PrivateAddress) netip.Addr {
	for _, a := range o.m.Addresses.All() {
		if a.AssociationID != "" && a.NetworkInterfaceID == e.ID && a.PrivateIp == p.PrivateIp {
			return a.PublicIp
		}
	}
	if p.Primary {
		return e.PublicIp
	}
	return netip.Addr{}
}

func (o *oracle) edgeTable(g *vpc.InternetGateway) *vpc.RouteTable {
	for _, t := range o.m.RouteTables.All() {
		for _, a := range t.Associations {
			if a.GatewayID == g.ID {
				return t
			}
		}
	}
	return nil
}

func (o *oracle) hop() bool {
	if o.p.ttl <= 1 {
		return o.end(dataplane.TTLExpired)
	}
	o.p.ttl--
	return true
}

func privateRange(a netip.Addr) int {
	b := a.As4()
	switch {
	case b[0] == 10, b[0] == 172 && b[1]&0xf0 == 16, b[0] == 192 && b[1] == 168:
		return 1918
	case b[0] == 100 && b[1]&0xc0 == 64:
		return 6598
	}
	return 0
}

// internet: to the gateway of the VPC whose interface has the public address, or to
// a host.
func (o *oracle) internet(fromHost bool) {
	for _, e := range o.m.NetworkInterfaces.All() {
		for _, p := range e.PrivateIps {
			if o.publicOf(e, p) != o.p.dst {
				continue
			}
			for _, g := range o.m.InternetGateways.All() {
				if g.VpcID == e.VpcID {
					o.intoVPC(g, e, p.PrivateIp)
					return
				}
			}
		}
	}
	for _, h := range o.m.InternetHosts.All() {
		if h.PublicIp == o.p.dst && o.running(h.Handle) {
			if !fromHost || o.hop() {
				o.to = h.Handle
			}
			return
		}
	}
	o.end(dataplane.InternetUnreachable)
}

// intoVPC: IG-04, RT-14.
func (o *oracle) intoVPC(g *vpc.InternetGateway, e *vpc.NetworkInterface, private netip.Addr) {
	switch privateRange(o.p.src) {
	case 1918:
		o.end(dataplane.IGWSourceRFC1918)
		return
	case 6598:
		o.end(dataplane.IGWSourceRFC6598)
		return
	}
	if e.Attachment == nil && e.InterfaceType != "natGateway" {
		o.end(dataplane.IGWNoPrivateAddress)
		return
	}
	if !o.fits(1500) || !o.hop() {
		return
	}
	o.p.dst, o.crossed = private, true
	t := o.edgeTable(g)
	if t == nil {
		o.local(g.VpcID)
		return
	}
	r, ok := o.route(t)
	switch {
	case !ok:
	case r.Local:
		o.local(g.VpcID)
	default:
		appliance := o.m.NetworkInterfaces.Get(r.NetworkInterfaceID)
		for _, p := range appliance.PrivateIps {
			if o.publicOf(appliance, p).IsValid() {
				o.arrive(appliance)
				return
			}
		}
		o.end(dataplane.IngressNoPublicIP)
	}
}
