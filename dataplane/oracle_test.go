package dataplane_test

import (
	"net/netip"
	"strings"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/nat"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// The oracle is section 7 of the semantics written down a second time: plain loops over
// the lab as the test wrote it, no compiled form, no index, lists instead of tables. It
// knows two lengths of time only: less than any timeout, and longer than all.

type oPacket struct {
	src, dst     netip.Addr
	sport, dport uint16 // ICMP: the identifier on the asking side
	proto        uint8
	opens        bool // TCP: SYN alone
	reply        bool // ICMP: echo reply
	ttl          uint8
	big          bool // 3000 bytes with DF
}

func (p oPacket) reverse() oPacket {
	p.src, p.dst, p.sport, p.dport = p.dst, p.src, p.dport, p.sport
	return p
}

type oFlow struct {
	eni            *ENI
	local, remote  netip.Addr
	lport, rport   uint16
	proto          uint8
	outbound, ping bool // who opened it; ping: ICMP
}

type oMapping struct {
	gw      *NAT
	inside  netip.Addr
	inport  uint16
	dest    netip.Addr
	dport   uint16
	proto   uint8
	outport uint16
}

type oracle struct {
	lab      *Lab
	flows    []oFlow
	mappings []oMapping

	// of the packet under way
	p       oPacket
	eni     *ENI // that it came from
	last    *ENI // that it was put into a subnet by
	groups  []*Group
	nats    []*NAT
	pending []oPending
	lossy   bool // it has crossed a link that loses everything
	reason  dataplane.Reason
	port    string
}

type oPending struct {
	flow     oFlow
	needsNAT bool
}

func (o *oracle) forget() { o.flows, o.mappings = nil, nil }

func (o *oracle) drop(r dataplane.Reason) { o.reason, o.port = r, "" }

func (o *oracle) begin(p oPacket) {
	o.p, o.eni, o.last, o.groups, o.nats, o.pending, o.lossy = p, nil, nil, nil, nil, nil, false
}

func (o *oracle) end(viaNAT bool) {
	for _, c := range o.pending {
		if !c.needsNAT || viaNAT {
			o.remember(c.flow)
		}
	}
}

func (o *oracle) remember(f oFlow) {
	for i, old := range o.flows {
		if old.eni == f.eni && old.local == f.local && old.remote == f.remote && old.lport == f.lport &&
			old.rport == f.rport && old.proto == f.proto {
			if !old.hits(f.outbound) {
				o.flows[i] = f
			}
			return
		}
	}
	o.flows = append(o.flows, f)
}

// hits: an echo reply that some rule let through unasked opens nothing for requests.
func (f oFlow) hits(outbound bool) bool {
	openedByReply := f.ping && f.outbound != (f.lport != 0)
	return !openedByReply || outbound == f.outbound
}

// fromENI is from_eni of section 7.
func (o *oracle) fromENI(e *ENI, p oPacket) {
	o.begin(p)
	o.eni, o.last = e, e
	v := e.Subnet.VPC
	if r, ok := o.nobody(v); ok {
		o.drop(r)
		return
	}
	if o.failed(e) {
		return
	}
	o.crosses(e.Out)
	own := has(e.Addrs, p.src)
	if !e.NoCheck && !own {
		o.drop(dataplane.SourceDestCheck)
		return
	}
	if own {
		o.groups = e.Groups
	}
	met := false
	if o.sg(e, true) {
		met = o.subnet(e.Subnet)
	}
	o.end(met)
}

// nobody: EX-02 and L2-01.
func (o *oracle) nobody(v *VPC) (dataplane.Reason, bool) {
	d := o.p.dst
	if d.IsMulticast() || d.String() == "255.255.255.255" {
		return dataplane.BroadcastUnsupported, true
	}
	if d.IsLinkLocalUnicast() {
		return dataplane.LinkLocalAddress, true
	}
	for _, s := range v.Subnets {
		if !s.CIDR.Contains(d) {
			continue
		}
		a := s.CIDR.Addr()
		for range 4 {
			if d == a {
				return dataplane.ReservedAddress, true
			}
			a = a.Next()
		}
		if !s.CIDR.Contains(d.Next()) {
			return dataplane.BroadcastUnsupported, true
		}
	}
	return 0, false
}

// subnet carries on from within a subnet; it tells whether a NAT gateway was met.
func (o *oracle) subnet(s *Subnet) bool {
	if s.CIDR.Contains(o.p.dst) {
		return o.local(s.VPC, false)
	}
	if !o.acl(s, filter.Egress) {
		return false
	}
	o.crosses(s.Out)
	table := s.Table
	if table == nil {
		table = s.VPC.Main
	}
	target, ok := o.lookup(table)
	if !ok {
		o.drop(dataplane.NoRoute)
		return false
	}
	kind, name, _ := strings.Cut(target, ":")
	switch kind {
	case "local":
		return o.local(s.VPC, true)
	case "eni":
		if e := s.VPC.Find(name); e != nil {
			return o.arrive(e, true)
		}
	case "nat":
		if e := s.VPC.Find(name + "-eni"); e != nil {
			return o.arrive(e, true)
		}
	case "igw":
		if !s.VPC.NoIGW {
			return o.igwOut(s.VPC)
		}
	}
	o.drop(dataplane.BlackholeRoute)
	return false
}

func (o *oracle) lookup(t *Table) (target string, ok bool) {
	best := -1
	for _, line := range t.Routes {
		dest, to, _ := strings.Cut(line, " ")
		if p := netip.MustParsePrefix(dest); p.Contains(o.p.dst) && p.Bits() > best {
			best, target = p.Bits(), to
		}
	}
	return target, best >= 0
}

func (o *oracle) local(v *VPC, crossing bool) bool {
	for _, s := range v.Subnets {
		for _, e := range s.ENIs {
			if has(e.Addrs, o.p.dst) {
				return o.arrive(e, crossing)
			}
		}
	}
	o.drop(dataplane.AddressUnassigned)
	return false
}

func (o *oracle) arrive(e *ENI, crossing bool) bool {
	if o.failed(e) || o.cut(e) {
		return false
	}
	if o.last != nil {
		o.crosses(o.lab.ZoneLinks[[2]string{o.last.Subnet.Zone, e.Subnet.Zone}])
	}
	if crossing {
		o.crosses(e.Subnet.In)
	}
	if crossing && !o.acl(e.Subnet, filter.Ingress) {
		return false
	}
	if e.NAT != nil {
		o.nat(e.NAT)
		return true
	}
	if !o.sg(e, false) {
		return false
	}
	switch {
	case !e.NoCheck && !has(e.Addrs, o.p.dst):
		o.drop(dataplane.SourceDestCheck)
	case e.Port == nil:
		o.drop(dataplane.ENIDetached)
	default:
		o.crosses(e.In)
		o.arrives(e.Name)
	}
	return false
}

func (o *oracle) acl(s *Subnet, dir filter.Direction) bool {
	if s.ACL == nil {
		return true
	}
	number, allow := 32767, false
	for _, r := range s.ACL.Rules {
		if r.Dir == dir && r.Number < number && o.aclMatches(r) {
			number, allow = r.Number, r.Allow
		}
	}
	if !allow {
		o.drop(dataplane.ACLDenied)
	}
	return allow
}

func (o *oracle) aclMatches(r filter.ACLRule) bool {
	peer := o.p.src
	if r.Dir == filter.Egress {
		peer = o.p.dst
	}
	if !r.CIDR.Contains(peer) || r.Proto != -1 && r.Proto != int16(o.p.proto) {
		return false
	}
	switch r.Proto {
	case 6, 17:
		return int32(o.p.dport) >= r.FromPort && int32(o.p.dport) <= r.ToPort
	case 1:
		return (r.ICMPType == -1 || r.ICMPType == int16(o.p.icmpType())) && (r.ICMPCode == -1 || r.ICMPCode == 0)
	}
	return true
}

func (p oPacket) icmpType() uint8 {
	if p.reply {
		return 0
	}
	return 8
}

// sg: CT-01, then the rules.
func (o *oracle) sg(e *ENI, outbound bool) bool {
	f := oFlow{eni: e, local: o.p.src, remote: o.p.dst, lport: o.p.sport, rport: o.p.dport, proto: o.p.proto,
		outbound: outbound, ping: o.p.proto == packet.ProtoICMP}
	if !outbound {
		f.local, f.remote, f.lport, f.rport = f.remote, f.local, f.rport, f.lport
	}
	for _, old := range o.flows {
		if old.eni == e && old.local == f.local && old.remote == f.remote && old.lport == f.lport &&
			old.rport == f.rport && old.proto == f.proto && old.hits(outbound) {
			return true
		}
	}
	dir, rules := filter.Ingress, 0
	if outbound {
		dir = filter.Egress
	}
	for _, g := range e.Groups {
		for _, r := range g.Rules {
			if r.Dir == dir {
				rules++
			}
		}
	}
	if rules == 0 {
		o.drop(dataplane.SGHasNoRules)
		return false
	}
	peers := o.groups
	if outbound {
		peers = o.groupsOf(e.Subnet.VPC, o.p.dst)
	}
	if !permitted(e, dir, o.p, peers) {
		o.drop(o.mismatch(e, dir))
		return false
	}
	free := openToAll(e, dir, o.p)
	if o.p.proto == packet.ProtoTCP && !o.p.opens || o.p.proto == packet.ProtoUDP {
		free = free || openToAll(e, dir^1, o.p.reverse())
	}
	if o.p.proto == packet.ProtoTCP && !o.p.opens {
		free = free || letsRepliesPass(e, dir)
	}
	o.pending = append(o.pending, oPending{f, free})
	return true
}

func (o *oracle) mismatch(e *ENI, dir filter.Direction) dataplane.Reason {
	if dir == filter.Ingress && len(o.groups) == 0 {
		if permitted(e, dir, o.p, o.groupsOf(e.Subnet.VPC, o.p.src)) || o.eni != nil && permitted(e, dir, o.p, o.eni.Groups) {
			return dataplane.SGReferencesNotPreserved
		}
	}
	return dataplane.SGRulesMismatch
}

func (o *oracle) groupsOf(v *VPC, a netip.Addr) []*Group {
	for _, s := range v.Subnets {
		for _, e := range s.ENIs {
			if has(e.Addrs, a) {
				return e.Groups
			}
		}
	}
	return nil
}

func permitted(e *ENI, dir filter.Direction, p oPacket, peers []*Group) bool {
	for _, g := range e.Groups {
		for _, r := range g.Rules {
			if ruleMatches(r, dir, p, peers) {
				return true
			}
		}
	}
	return false
}

func ruleMatches(r filter.GroupRule, dir filter.Direction, p oPacket, peers []*Group) bool {
	if r.Dir != dir || r.Proto != -1 && r.Proto != int16(p.proto) {
		return false
	}
	peer, ok := p.src, false
	if dir == filter.Egress {
		peer = p.dst
	}
	if r.Group != 0 {
		for _, g := range peers {
			ok = ok || g.Handle == r.Group
		}
	} else {
		ok = r.CIDR.Contains(peer)
	}
	switch r.Proto {
	case 6, 17:
		return ok && int32(p.dport) >= r.FromPort && int32(p.dport) <= r.ToPort
	case 1:
		return ok && (r.FromPort == -1 || r.FromPort == int32(p.icmpType())) && (r.ToPort == -1 || r.ToPort == 0)
	}
	return ok
}

// openToAll is CT-03: the permitting rule is for everybody, and so is the other
// direction on all ports.
func openToAll(e *ENI, dir filter.Direction, p oPacket) bool {
	if p.proto != packet.ProtoTCP && p.proto != packet.ProtoUDP {
		return false
	}
	here, there := false, false
	for _, g := range e.Groups {
		for _, r := range g.Rules {
			if r.Group != 0 || r.CIDR.Bits() != 0 {
				continue
			}
			here = here || ruleMatches(r, dir, p, nil)
			allPorts := r.Proto == -1 || r.Proto == int16(p.proto) && r.FromPort == 0 && r.ToPort == 65535
			there = there || r.Dir == dir^1 && allPorts
		}
	}
	return here && there
}

// letsRepliesPass: a rule of that direction for everyone and all ports of TCP.
func letsRepliesPass(e *ENI, dir filter.Direction) bool {
	for _, g := range e.Groups {
		for _, r := range g.Rules {
			allPorts := r.Proto == -1 || r.Proto == 6 && r.FromPort == 0 && r.ToPort == 65535
			if r.Dir == dir && r.Group == 0 && r.CIDR.Bits() == 0 && allPorts {
				return true
			}
		}
	}
	return false
}

func has(list []netip.Addr, a netip.Addr) bool {
	for _, x := range list {
		if x == a {
			return true
		}
	}
	return false
}

// nat is the NAT gateway: outbound unless the packet is for one of its addresses.
func (o *oracle) nat(gw *NAT) {
	o.groups = nil
	if gw.Failed {
		o.drop(dataplane.NATGatewayFailed)
		return
	}
	inbound := has(gw.ENI.Addrs, o.p.dst)
	if !inbound {
		for _, met := range o.nats {
			if met == gw {
				o.drop(dataplane.ForwardingLoop)
				return
			}
		}
		o.nats = append(o.nats, gw)
		if !inVPC(gw.ENI.Subnet.VPC, o.p.src) {
			o.drop(dataplane.NATSourceOutsideVPC)
			return
		}
	}
	switch {
	case o.p.proto != 6 && o.p.proto != 17 && o.p.proto != 1:
		o.drop(dataplane.NATProtocol)
		return
	case o.p.ttl <= 1:
		o.drop(dataplane.TTLExpired)
		return
	}
	o.p.ttl--
	if inbound && o.natIn(gw) || !inbound && o.natOut(gw) {
		o.last = gw.ENI
		o.subnet(gw.ENI.Subnet)
	}
}

func (o *oracle) natIn(gw *NAT) bool {
	for _, m := range o.mappings {
		if m.gw == gw && m.dest == o.p.src && m.dport == o.p.sport && m.proto == o.p.proto && m.outport == o.p.dport &&
			o.p.dst == gw.ENI.Addrs[0] {
			o.p.dst, o.p.dport = m.inside, m.inport
			return true
		}
	}
	o.drop(dataplane.NATNoMapping)
	return false
}

func (o *oracle) natOut(gw *NAT) bool {
	found := -1
	for i, m := range o.mappings {
		if m.gw == gw && m.inside == o.p.src && m.inport == o.p.sport && m.dest == o.p.dst && m.dport == o.p.dport && m.proto == o.p.proto {
			found = i
		}
	}
	if found < 0 {
		if o.p.proto == packet.ProtoTCP && !o.p.opens {
			o.drop(dataplane.NATIdleTimeout)
			return false
		}
		if o.p.reply {
			o.drop(dataplane.NATNoMapping)
			return false
		}
		m := oMapping{gw: gw, inside: o.p.src, inport: o.p.sport, dest: o.p.dst, dport: o.p.dport, proto: o.p.proto}
		m.outport = o.chosenPort(m)
		o.mappings = append(o.mappings, m)
		found = len(o.mappings) - 1
	}
	o.p.src, o.p.sport = gw.ENI.Addrs[0], o.mappings[found].outport
	return true
}

// chosenPort is the one thing the oracle cannot know (NA-04); it asks which port the
// engine took for the flow, and accepts no port that is in use for the destination.
func (o *oracle) chosenPort(m oMapping) (port uint16) {
	o.lab.Config.NAT.Mappings(func(x nat.Mapping) bool {
		if x.Gateway == m.gw.Handle && x.Inside.Netip() == m.inside && x.InsidePort == m.inport &&
			x.Dest.Netip() == m.dest && x.DestPort == m.dport && x.Proto == m.proto {
			port = x.OutsidePort
		}
		return true
	})
	for _, x := range o.mappings {
		if x.gw == m.gw && x.outport == port && x.dest == m.dest && x.dport == m.dport && x.proto == m.proto {
			return 0
		}
	}
	if port < 1024 {
		return 0
	}
	return port
}

func inVPC(v *VPC, a netip.Addr) bool {
	for _, c := range v.CIDRs {
		if c.Contains(a) {
			return true
		}
	}
	return false
}

func rfc1918(a netip.Addr) bool { return a.IsPrivate() }

func rfc6598(a netip.Addr) bool { return netip.MustParsePrefix("100.64.0.0/10").Contains(a) }

// igwOut: IG-03, RT-14, MT-11, TT-01, then outside.
func (o *oracle) igwOut(v *VPC) bool {
	owner := false
	for _, s := range v.Subnets {
		for _, e := range s.ENIs {
			owner = owner || has(e.Addrs, o.p.src)
		}
	}
	public, ok := v.Public[o.p.src]
	switch {
	case rfc1918(o.p.dst):
		o.drop(dataplane.IGWDestinationRFC1918)
	case rfc6598(o.p.dst):
		o.drop(dataplane.IGWDestinationRFC6598)
	case !owner:
		o.drop(dataplane.IGWSpoofedSource)
	case !ok:
		o.drop(dataplane.IGWNoPublicAddress)
	case o.redirected(v):
		o.drop(dataplane.IngressRedirection)
	case o.p.big:
		o.drop(dataplane.PacketTooBig)
	case o.p.ttl <= 1:
		o.drop(dataplane.TTLExpired)
	default:
		if o.cut(nil) {
			return false
		}
		o.p.ttl--
		o.p.src, o.groups, o.last = public, nil, nil
		o.crosses(o.lab.Internet.Out)
		return o.outside(false)
	}
	return false
}

func (o *oracle) redirected(v *VPC) bool {
	if v.Edge == nil {
		return false
	}
	back := *o
	back.p.dst = o.p.src
	target, _ := back.lookup(v.Edge)
	name, isENI := strings.CutPrefix(target, "eni:")
	return isENI && v.Find(name) != o.last
}

func (o *oracle) fromHost(h *Host, p oPacket) {
	o.begin(p)
	if h.Failed {
		o.drop(dataplane.InstanceFailed)
		return
	}
	o.crosses(h.Out)
	o.end(o.outside(true))
}

func (o *oracle) outside(fromHost bool) bool {
	for _, v := range o.lab.VPCs {
		for private, public := range v.Public {
			if public == o.p.dst {
				return o.igwIn(v, private)
			}
		}
	}
	for _, h := range o.lab.Hosts {
		if h.Addr != o.p.dst {
			continue
		}
		if h.Failed {
			o.drop(dataplane.InstanceFailed)
			return false
		}
		if fromHost {
			if o.p.ttl <= 1 {
				o.drop(dataplane.TTLExpired)
				return false
			}
			o.p.ttl--
			o.crosses(o.lab.Internet.Out)
		}
		o.crosses(h.In)
		o.arrives(h.Name)
		return false
	}
	o.drop(dataplane.InternetUnreachable)
	return false
}

// igwIn: IG-04, then the gateway's table.
func (o *oracle) igwIn(v *VPC, private netip.Addr) bool {
	switch {
	case rfc1918(o.p.src):
		o.drop(dataplane.IGWSourceRFC1918)
	case rfc6598(o.p.src):
		o.drop(dataplane.IGWSourceRFC6598)
	case o.p.big:
		o.drop(dataplane.PacketTooBig)
	case o.p.ttl <= 1:
		o.drop(dataplane.TTLExpired)
	default:
		o.p.ttl--
		o.p.dst = private
		o.crosses(o.lab.Internet.In)
		return o.enter(v)
	}
	return false
}

func (o *oracle) enter(v *VPC) bool {
	if v.Edge == nil {
		return o.local(v, true)
	}
	target, ok := o.lookup(v.Edge)
	if !ok {
		o.drop(dataplane.NoRoute)
		return false
	}
	name, isENI := strings.CutPrefix(target, "eni:")
	if !isENI {
		return o.local(v, true)
	}
	e := v.Find(name)
	if e == nil {
		o.drop(dataplane.BlackholeRoute)
		return false
	}
	for _, a := range e.Addrs {
		if _, ok := v.Public[a]; ok {
			return o.arrive(e, true)
		}
	}
	o.drop(dataplane.IngressNoPublicIP)
	return false
}
