package importer

import (
	"net/netip"
	"slices"

	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

func (c *converter) convertNatGateways() {
	for _, g := range c.NatGateways {
		o := &topology.NatGateway{Subnet: set(c.names.by[g.SubnetId])}
		c.begin(&o.Head, "nat_gateways", c.names.by[g.NatGatewayId], g.NatGatewayId, g.Tags, g.origin)
		p := g.primary()
		if g.ConnectivityType == "private" {
			o.ConnectivityType = set("private")
		} else {
			o.ElasticIp = set(c.names.by[p.AllocationId])
		}
		if a, ok := address(p.PrivateIp); ok {
			o.PrivateIp = set(a)
		}
		c.secondaryAddresses(o, g)
		c.file.NatGateways.List = append(c.file.NatGateways.List, o)
	}
}

// secondaryAddresses are those of a NAT gateway that are not just going.
func (c *converter) secondaryAddresses(o *topology.NatGateway, g *rawNatGateway) {
	primary, private, n := g.primary(), list[netip.Addr](), 0
	for _, a := range g.NatGatewayAddresses {
		switch a.Status {
		case "disassociating", "unassigning", "failed":
			c.note("NAT gateway", label(nameOf(g.Tags), g.NatGatewayId, g.origin), "its address %s is %s", firstOf(a.PublicIp, a.PrivateIp), a.Status)
			continue
		}
		if a == primary {
			continue
		}
		if name, ok := c.names.of(a.AllocationId); ok {
			o.SecondaryElasticIps.V, o.SecondaryElasticIps.Set = append(o.SecondaryElasticIps.V, set(name)), true
		}
		if ip, ok := address(a.PrivateIp); ok {
			private.V = append(private.V, set(ip))
		}
		n++
	}
	if n > 0 && len(private.V) == n { // a plan does not know them
		o.SecondaryPrivateIps = private
	}
}

// mapAddresses gives every Elastic IP its address in the lab. An address of the lab's own pools stays, as it comes from a lab.
func (c *converter) mapAddresses() {
	c.public = map[string]netip.Addr{}
	pools := c.pools()
	taken := map[netip.Addr]bool{}
	var rest []*rawAddress
	var kept []netip.Prefix
	for _, a := range c.Addresses {
		real, ok := address(a.PublicIp)
		switch {
		case ok && (c.lab != nil || inPools(pools, real)) && !taken[real]:
			c.public[a.AllocationId], taken[real] = real, true
		case ok && c.opt.KeepPublicAddresses && !taken[real]:
			c.public[a.AllocationId], taken[real] = real, true
			kept = append(kept, netip.PrefixFrom(real, 32))
		default:
			rest = append(rest, a)
		}
	}
	next := pools[0].Addr().Next()
	at := 0
	for _, a := range rest {
		for taken[next] || !inPools(pools[at:at+1], next) {
			if next = next.Next(); !pools[at].Contains(next) {
				if at++; at == len(pools) {
					c.note("Elastic IP", a.PublicIp, "the lab's public pools have no address left for it")
					return
				}
				next = pools[at].Addr().Next()
			}
		}
		c.public[a.AllocationId], taken[next] = next, true
	}
	c.setPools(pools, kept)
}

// pools are the ranges of the lab's public addresses: two documentation ranges that no VPC overlaps, or the larger one that
// is kept for benchmarks (RFC 2544) where those would not do.
func (c *converter) pools() []netip.Prefix {
	if own := c.labPools(); own != nil {
		return own
	}
	candidates := append(slices.Clone(vpc.DefaultPools), netip.MustParsePrefix("192.0.2.0/24"))
	if len(c.Addresses)+len(c.Instances) > 400 {
		candidates = []netip.Prefix{netip.MustParsePrefix("198.18.0.0/15")}
	}
	var free []netip.Prefix
	for _, p := range candidates {
		if !slices.ContainsFunc(c.vpcs, func(v *rawVpc) bool {
			return slices.ContainsFunc(v.associated(), func(text string) bool { q, ok := ipv4(text); return ok && q.Overlaps(p) })
		}) {
			free = append(free, p)
		}
	}
	if len(free) == 0 {
		return vpc.DefaultPools // then the file says that they overlap
	}
	return free[:min(2, len(free))]
}

func inPools(pools []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(pools, func(p netip.Prefix) bool {
		return p.Contains(a) && a != p.Addr() && p.Contains(a.Next())
	})
}

// setPools writes pools where they are not a lab's usual ones. Kept addresses stand between the others: automatic
// addresses are drawn from the first pool, those of Internet hosts from the last.
func (c *converter) setPools(pools, kept []netip.Prefix) {
	if len(kept) == 0 && slices.Equal(pools, vpc.DefaultPools) {
		return
	}
	all := append(append([]netip.Prefix{pools[0]}, kept...), pools[1:]...)
	c.file.Internet = set(topology.Internet{PublicPools: list(all...)})
}

// mapped is a range of a rule or route, in the lab's addresses where it is an Elastic IP of the account.
func (c *converter) mapped(p netip.Prefix, kind, said string) netip.Prefix {
	if p.Bits() != 32 {
		return p
	}
	for _, a := range c.Addresses {
		if to := c.public[a.AllocationId]; a.PublicIp == p.Addr().String() && to.IsValid() && to != p.Addr() {
			c.note(kind, said, "names the Elastic IP %s; in the lab that is %s", a.PublicIp, to)
			return netip.PrefixFrom(to, 32)
		}
	}
	return p
}

func (c *converter) convertAddresses() {
	for _, a := range c.Addresses {
		said := label(nameOf(a.Tags), firstOf(a.PublicIp, a.AllocationId), a.origin)
		to := c.public[a.AllocationId]
		o := &topology.ElasticIp{}
		there := ""
		if a.PublicIp != "" && a.PublicIp != to.String() {
			there = "there " + a.PublicIp
		}
		c.begin(&o.Head, "elastic_ips", c.names.by[a.AllocationId], a.AllocationId, a.Tags, a.origin, there)
		if to.IsValid() {
			o.Address = set(to)
		}
		c.association(o, a, said)
		c.file.ElasticIps.List = append(c.file.ElasticIps.List, o)
	}
}

func (c *converter) hasGateway(vpc string) bool {
	return slices.ContainsFunc(c.InternetGateways, func(g *rawInternetGateway) bool { return vpc != "" && g.vpc() == vpc })
}

// vpcOf is the VPC of an interface; a plan tells its subnet only.
func (c *converter) vpcOf(n *rawInterface) string {
	if s := c.subnet(n.SubnetId); s != nil {
		return s.VpcId
	}
	return n.VpcId
}

// association ties an Elastic IP to what has it; a NAT gateway names its address itself.
func (c *converter) association(o *topology.ElasticIp, a *rawAddress, said string) {
	if slices.ContainsFunc(c.NatGateways, func(g *rawNatGateway) bool {
		return slices.ContainsFunc(g.NatGatewayAddresses, func(n rawNatAddress) bool { return n.AllocationId == a.AllocationId })
	}) {
		return
	}
	n, primary := c.networkInterface(a.NetworkInterfaceId), false
	for id, p := range c.primaries {
		if p == n && n != nil || p.NetworkInterfaceId != "" && p.NetworkInterfaceId == a.NetworkInterfaceId || a.NetworkInterfaceId == "" && id == a.InstanceId {
			if name, ok := c.names.of(id); ok {
				o.Instance, n, primary = set(name), p, true
			}
		}
	}
	switch name, ok := c.names.of(a.NetworkInterfaceId); {
	case primary:
	case ok:
		o.NetworkInterface = set(name)
	case a.NetworkInterfaceId != "" || a.InstanceId != "" || a.AssociationId != "":
		c.note("Elastic IP", said, "is that of %s, which was not brought over; here nothing has it", firstOf(a.InstanceId, a.NetworkInterfaceId, a.AssociationId))
		return
	default:
		return
	}
	if n != nil && !c.hasGateway(c.vpcOf(n)) {
		o.Instance, o.NetworkInterface = topology.Value[string]{}, topology.Value[string]{}
		c.note("Elastic IP", said, "is that of %s, whose VPC has no Internet gateway, which it takes to associate it; here nothing has it", firstOf(a.InstanceId, a.NetworkInterfaceId))
		return
	}
	if private, ok := address(a.PrivateIpAddress); ok && n != nil && a.PrivateIpAddress != n.primary() {
		o.AssociateWithPrivateIp = set(private)
	}
}
