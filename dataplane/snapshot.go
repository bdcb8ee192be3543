package dataplane

import (
	"net/netip"

	"github.com/gaissmai/bart"

	"github.com/vpcemu/vpcemu/dhcp"
	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/nat"
)

// Ref is how an object is named in verdicts: its AWS ID and its name in the lab.
type Ref struct{ ID, Name string }

func (r Ref) String() string {
	switch {
	case r.Name == "":
		return r.ID
	case r.ID == "" || r.ID == r.Name:
		return r.Name
	}
	return r.Name + " (" + r.ID + ")"
}

// Snapshot is the compiled model: everything that a walk reads, immutable once
// Finish has run. A later snapshot may share whole VPCs with an earlier one, and
// then everything that hangs on them (subnets, ENIs, gateways) is shared and unchanged.
type Snapshot struct {
	Generation uint64
	VPCs       []*VPC
	// ENIs of all VPCs by handle, those of NAT gateways too.
	ENIs     map[uint32]*ENI
	Internet *Internet
	// ZoneLinks are those from one availability zone to another, or to itself; nil: none.
	ZoneLinks map[[2]string]*Link
	Cuts      []Cut // links that have failed

	ports map[Port]Place
	hosts map[uint32]*InternetHost
	links []*Link // all there are
}

// VPC is one virtual private cloud.
type VPC struct {
	Ref
	CIDRs   []netip.Prefix
	Subnets []*Subnet
	IGW     *InternetGateway // nil: none attached
	// Services leads to the servers for DNS, metadata and time, nil: none run.
	Services Port
	// ResolverAddrs are the addresses at which the resolver answers (DNS-01); empty
	// when enableDnsSupport is off (DNS-04).
	ResolverAddrs []packet.Addr

	finished bool
	byAddr   map[packet.Addr]*ENI
	subnets  *bart.Table[*Subnet]
	cidrs    *bart.Lite
}

// Subnet is one subnet of a VPC.
type Subnet struct {
	Ref
	VPC  *VPC
	CIDR netip.Prefix
	// Router is base + 1: gateway, DHCP server and source of the router's ICMP (AD-11).
	Router packet.Addr
	ACL    *filter.ACL
	Routes *RouteTable
	Zone   string // the availability zone
	// Out and In are what a packet meets at the subnet's edge, or nil.
	Out, In *Link

	routerMAC [6]byte
	byMAC     map[[6]byte]*ENI
	// broadcast is the last address of an IPv4 subnet; reserved are its first four.
	broadcast packet.Addr
	reserved  [4]packet.Addr
}

// RouterMAC is the MAC at which the router answers on this subnet's TAP ports.
func (s *Subnet) RouterMAC() [6]byte { return s.routerMAC }

// ENI is a network interface of an instance or of a NAT gateway.
type ENI struct {
	Ref
	Handle   uint32 // never reused in a lab
	Instance Ref
	Subnet   *Subnet
	MAC      [6]byte
	Addrs    []packet.Addr // the primary first
	// Groups are the rules of all security groups of the ENI; nil on a NAT gateway's.
	Groups *filter.Groups
	// GroupHandles identify the ENI to rules that name a group, ascending (SG-08).
	GroupHandles    []uint32
	SourceDestCheck bool
	MTU             int // bytes of IP packet, 0: no limit
	// Timeouts of tracked connections, nil: the defaults (CT-02).
	Timeouts *conntrack.Timeouts
	DHCP     *dhcp.Reservation
	Port     Port        // nil while no running instance has it
	NAT      *NATGateway // set for a NAT gateway's own ENI
	Out, In  *Link       // at its instance, or nil
	Failure  *Failure    // of it or what it is in, or nil
}

func (e *ENI) owns(a packet.Addr) bool {
	for i := range e.Addrs {
		if e.Addrs[i] == a {
			return true
		}
	}
	return false
}

// NATGateway translates to the private addresses of its own ENI (NA-02).
type NATGateway struct {
	Ref
	nat.Gateway
	ENI     *ENI
	Failure *Failure // of the gateway itself, or nil
}

// InternetGateway is attached to one VPC.
type InternetGateway struct {
	Ref
	VPC *VPC
	// NAT pairs every private address that has a public one with it (IG-01).
	NAT *nat.OneToOne
	// Ingress is the route table of the edge association, or nil (RT-14).
	Ingress *RouteTable
}

// Internet is what lies outside all VPCs.
type Internet struct {
	Hosts map[packet.Addr]*InternetHost
	// GatewayOf names the gateway behind which a public address lies.
	GatewayOf map[packet.Addr]*InternetGateway
	// Uplink is the way out of the lab, nil for none.
	Uplink *Uplink
	// Out is met by what leaves a VPC, and by what goes from host to host; In by what
	// enters one; nil: no such link.
	Out, In *Link
}

// InternetHost is a host with a public address and neither group nor ACL.
type InternetHost struct {
	Ref
	Handle  uint32 // shares the numbers of ENI handles
	Addr    packet.Addr
	MAC     [6]byte
	Port    Port     // nil while it does not run
	Out, In *Link    // or nil
	Failure *Failure // or nil
}

// Uplink leads from the lab's Internet to the real one, for destinations that nothing in
// the lab has. Its host has no address of its own.
type Uplink struct {
	InternetHost
	// Lab are the lab's own public prefixes: nothing leaves for them, and only what
	// comes from them or from a host of the lab does.
	Lab []netip.Prefix
	// Refuses are destinations that are not carried, unless Allows names them.
	Refuses, Allows []netip.Prefix
}

// internetMAC is the next hop of every Internet host on a TAP port.
var internetMAC = [6]byte{0x0e, 0xff, 0, 0, 0, 1}

// Place is where packets come in or go to: at most one of the pointers is set.
type Place struct {
	ENI      *ENI
	Host     *InternetHost
	Services *VPC // whose services port it is
}

// Ref names the interface, host or VPC.
func (p Place) Ref() Ref {
	switch {
	case p.ENI != nil:
		return p.ENI.Ref
	case p.Host != nil:
		return p.Host.Ref
	case p.Services != nil:
		return p.Services.Ref
	}
	return Ref{}
}

// Handle is that of the interface or host, else 0.
func (p Place) Handle() uint32 {
	switch {
	case p.ENI != nil:
		return p.ENI.Handle
	case p.Host != nil:
		return p.Host.Handle
	}
	return 0
}

// Finish builds the indexes. It is called once, before the snapshot is published,
// and leaves VPCs that an earlier snapshot finished as they are.
func (s *Snapshot) Finish() {
	if s.Internet == nil {
		s.Internet = &Internet{}
	}
	s.ports = make(map[Port]Place)
	s.hosts = make(map[uint32]*InternetHost, len(s.Internet.Hosts))
	fresh := make(map[*VPC]bool)
	for _, v := range s.VPCs {
		if !v.finished {
			fresh[v] = true
			v.index()
		}
		if v.Services != nil {
			s.ports[v.Services] = Place{Services: v}
		}
	}
	for _, e := range s.ENIs {
		if e.Port != nil {
			s.ports[e.Port] = Place{ENI: e}
		}
		if fresh[e.Subnet.VPC] {
			e.index()
		}
	}
	for _, h := range s.Internet.Hosts {
		s.addHost(h)
	}
	if u := s.Internet.Uplink; u != nil {
		s.addHost(&u.InternetHost)
	}
	for v := range fresh {
		v.finished = true
	}
	s.findLinks()
}

// findLinks lists the links.
func (s *Snapshot) findLinks() {
	s.links = nil
	add := func(links ...*Link) {
		for _, l := range links {
			if l != nil {
				s.links = append(s.links, l)
			}
		}
	}
	add(s.Internet.Out, s.Internet.In)
	for _, l := range s.ZoneLinks {
		add(l)
	}
	for _, v := range s.VPCs {
		for _, u := range v.Subnets {
			add(u.Out, u.In)
		}
	}
	for _, e := range s.ENIs {
		add(e.Out, e.In)
	}
	for _, h := range s.Internet.Hosts {
		add(h.Out, h.In)
	}
}

func (s *Snapshot) addHost(h *InternetHost) {
	s.hosts[h.Handle] = h
	if h.Port != nil {
		s.ports[h.Port] = Place{Host: h}
	}
}

func (v *VPC) index() {
	v.byAddr = make(map[packet.Addr]*ENI)
	v.subnets = &bart.Table[*Subnet]{}
	v.cidrs = &bart.Lite{}
	for _, p := range v.CIDRs {
		v.cidrs.Insert(p.Masked())
	}
	for _, s := range v.Subnets {
		v.subnets.Insert(s.CIDR.Masked(), s)
		s.index()
	}
}

func (s *Subnet) index() {
	s.byMAC = make(map[[6]byte]*ENI)
	a := s.CIDR.Masked().Addr()
	for i := range s.reserved {
		s.reserved[i] = packet.AddrFrom(a)
		a = a.Next()
	}
	s.broadcast = lastOf(s.CIDR)
	// Locally administered and, unlike an ENI's, made from the router's address (L2-03).
	r := s.Router.As4()
	s.routerMAC = [6]byte{0x0e, 0, r[0], r[1], r[2], r[3]}
}

func (e *ENI) index() {
	for _, a := range e.Addrs {
		e.Subnet.VPC.byAddr[a] = e
	}
	e.Subnet.byMAC[e.MAC] = e
}

// lastOf is the last address of p: the broadcast address of an IPv4 subnet.
func lastOf(p netip.Prefix) packet.Addr {
	a := packet.AddrFrom(p.Masked().Addr())
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	for i := bits; i < 128; i++ {
		a[i/8] |= 0x80 >> (i % 8)
	}
	return a
}

// subnetOf is the subnet whose CIDR block has a, or nil.
func (v *VPC) subnetOf(a packet.Addr) *Subnet {
	s, _ := v.subnets.Lookup(a.Netip())
	return s
}

// has tells whether a lies in the VPC's CIDR blocks.
func (v *VPC) has(a packet.Addr) bool { return v.cidrs.Contains(a.Netip()) }

// placeOf finds the port's owner in this snapshot.
func (s *Snapshot) placeOf(handle uint32) (Place, bool) {
	if e := s.ENIs[handle]; e != nil {
		return Place{ENI: e}, true
	}
	if h := s.hosts[handle]; h != nil {
		return Place{Host: h}, true
	}
	return Place{}, false
}
