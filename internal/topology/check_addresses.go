package topology

import (
	"net/netip"
	"slices"
)

// publicAddresses checks the addresses that Elastic IPs and Internet hosts ask for.
func (c *checker) publicAddresses() {
	taken := map[netip.Addr]string{}
	take := func(h *Head, a Value[netip.Addr], pool bool) {
		if !a.Set {
			return
		}
		if pool && !slices.ContainsFunc(c.f.pools(), func(p netip.Prefix) bool { return p.Contains(a.V) && usable(p, a.V) }) {
			c.add(a.Line, h.String(), "address: %s is no usable address of internet.public_pools", a.V)
		}
		if other := taken[a.V]; other != "" {
			c.add(a.Line, h.String(), "address: %s is that of %s already", a.V, other)
		}
		taken[a.V] = h.String()
	}
	for _, e := range c.f.ElasticIps.List {
		take(&e.Head, e.Address, true)
	}
	for _, h := range c.f.InternetHosts.List {
		take(&h.Head, h.Address, false)
	}
}

// usable tells whether a is neither the first nor the last address of p.
func usable(p netip.Prefix, a netip.Addr) bool {
	return p.Bits() >= 31 || a != p.Addr() && a != last(p)
}

func last(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	return netip.AddrFrom4(b)
}

// spot is where a subnet is. Default subnets have no range yet.
type spot struct {
	vpc, zone string
	region    string // of a default VPC
	cidr      netip.Prefix
}

// spotOf finds a subnet by its name in the file; "" stands for the default
// subnet of the given zone.
func (c *checker) spotOf(subnet, zone string) (spot, bool) {
	if s := c.f.Subnets.Get(subnet); s != nil {
		at := spot{vpc: s.Vpc.V, zone: s.AvailabilityZone.V, cidr: s.CidrBlock.V}
		if zones := c.zonesOf(&s.Head); !s.AvailabilityZone.Set && len(zones) > 0 {
			at.zone = zones[0]
		}
		return at, s.Vpc.Set
	}
	if subnet == "" {
		if zone == "" && len(c.zones) > 0 {
			zone = c.zones[0]
		}
		subnet = DefaultName + "-" + zone
	}
	for _, z := range c.zones {
		if subnet == DefaultName+"-"+z {
			return spot{vpc: DefaultName, region: regionOfZone(z), zone: z}, true
		}
	}
	return spot{}, false
}

// take checks a private address (AD-11) and notes who has it.
func (c *checker) take(h *Head, key string, at spot, subnet string, a Value[netip.Addr]) {
	if !a.Set {
		return
	}
	if at.cidr.IsValid() {
		first := at.cidr.Addr()
		for range 4 {
			if a.V == first {
				c.add(a.Line, h.String(), "%s: %s is one of the five addresses of %s that AWS keeps (the first four and the last)", key, a.V, at.cidr)
			}
			first = first.Next()
		}
		switch {
		case !at.cidr.Contains(a.V):
			c.add(a.Line, h.String(), "%s: %s is outside subnet %s %s", key, a.V, subnet, at.cidr)
		case a.V == last(at.cidr):
			c.add(a.Line, h.String(), "%s: %s is one of the five addresses of %s that AWS keeps (the first four and the last)", key, a.V, at.cidr)
		}
	}
	where := place{at.vpc + at.region, a.V}
	if other := c.used[where]; other != "" {
		c.add(a.Line, h.String(), "%s: %s is that of %s already", key, a.V, other)
	}
	c.used[where] = h.String()
}

func (c *checker) natGateways() {
	for _, n := range c.f.NatGateways.List {
		public := n.ConnectivityType.V == "public"
		switch {
		case public && !n.ElasticIp.Set && !refused(n.ElasticIp):
			c.add(n.Line, n.String(), "elastic_ip is missing: a public NAT gateway has one")
		case !public && n.ElasticIp.Set:
			c.add(n.ElasticIp.Line, n.String(), "elastic_ip: a private NAT gateway has none")
		}
		more, addresses := n.SecondaryElasticIps, n.SecondaryPrivateIps
		switch {
		case !public && more.Set:
			c.add(more.Line, n.String(), "secondary_elastic_ips: a private NAT gateway has none")
		case public && len(addresses.V) > 0 && len(addresses.V) != len(more.V):
			c.add(addresses.Line, n.String(), "secondary_private_ips: %d addresses for %d secondary_elastic_ips; give each of them one, or leave the key out", len(addresses.V), len(more.V))
		}
		at, ok := c.spotOf(n.Subnet.V, "")
		if !ok || !n.Subnet.Set {
			continue
		}
		c.take(&n.Head, "private_ip", at, n.Subnet.V, n.PrivateIp)
		for _, a := range addresses.V {
			c.take(&n.Head, "secondary_private_ips", at, n.Subnet.V, a)
		}
		hasGateway := slices.ContainsFunc(c.f.InternetGateways.List, func(g *InternetGateway) bool { return g.Vpc.Set && g.Vpc.V == at.vpc })
		if public && at.vpc != DefaultName && !hasGateway {
			c.add(n.Subnet.Line, n.String(), "subnet: vpc %s has no Internet gateway attached, which a public NAT gateway needs", at.vpc)
		}
	}
}

func (c *checker) networkInterfaces() {
	slots := map[[2]any]*NetworkInterface{}
	for _, n := range c.f.NetworkInterfaces.List {
		at, ok := c.spotOf(n.Subnet.V, "")
		if ok && n.Subnet.Set {
			for _, a := range n.PrivateIps.V {
				c.take(&n.Head, "private_ips", at, n.Subnet.V, a)
			}
			c.sameVpc(&n.Head, n.SecurityGroups, at.vpc)
		}
		if n.PrivateIps.Set && len(n.PrivateIps.V) == 0 {
			c.add(n.PrivateIps.Line, n.String(), "private_ips is empty; leave it out for an automatic address")
		}
		a := n.Attachment.V
		i := c.f.Instances.Get(a.Instance.V)
		if i == nil {
			continue
		}
		slot := [2]any{i.Name, a.DeviceIndex.V}
		if other := slots[slot]; other != nil {
			c.add(a.Instance.Line, n.String(), "attachment: device_index %d of %s is that of %s already", a.DeviceIndex.V, i, other)
		}
		slots[slot] = n
		if there, known := c.spotOf(i.Subnet.V, i.AvailabilityZone.V); ok && known && there.zone != at.zone {
			c.add(a.Instance.Line, n.String(), "attachment: the interface is in %s, %s in %s (EN-02)", at.zone, i, there.zone)
		}
	}
}

// sameVpc checks that groups belong to the VPC of what they are to guard.
func (c *checker) sameVpc(h *Head, groups List[string], vpc string) {
	for _, g := range groups.V {
		if group := c.f.SecurityGroups.Get(g.V); group != nil && group.Vpc.V != "" && group.Vpc.V != vpc {
			c.add(g.Line, h.String(), "security_groups: %s is in vpc %s, not in %s", group, group.Vpc.V, vpc)
		}
	}
	if groups.Set && len(groups.V) == 0 {
		c.add(groups.Line, h.String(), "security_groups is empty; leave it out for the default group")
	}
	if len(groups.V) > 5 {
		c.add(groups.Line, h.String(), "security_groups: an interface has at most five")
	}
}

func (c *checker) instances() {
	for _, i := range c.f.Instances.List {
		if i.Subnet.Set && i.AvailabilityZone.Set {
			c.add(i.AvailabilityZone.Line, i.String(), "availability_zone is that of the subnet; leave it out where a subnet is given")
			continue
		}
		if i.AvailabilityZone.Set {
			c.zone(i.AvailabilityZone, &i.Head)
		}
		if !i.Subnet.Set && !refused(i.Subnet) && !c.f.DefaultVpc.V {
			c.add(i.Line, i.String(), "subnet is missing, and there is no default VPC (default_vpc is false)")
			continue
		}
		at, ok := c.spotOf(i.Subnet.V, i.AvailabilityZone.V)
		if !ok || refused(i.Subnet) {
			continue
		}
		c.take(&i.Head, "private_ip", at, i.Subnet.V, i.PrivateIp)
		for _, a := range i.SecondaryPrivateIps.V {
			c.take(&i.Head, "secondary_private_ips", at, i.Subnet.V, a)
		}
		c.sameVpc(&i.Head, i.SecurityGroups, at.vpc)
	}
}

func (c *checker) elasticIps() {
	first := map[[2]any]*ElasticIp{} // target and private address
	gateway := map[string]*NatGateway{}
	for _, n := range c.f.NatGateways.List {
		take := func(key string, v Value[string]) {
			if other := gateway[v.V]; other != nil {
				c.add(v.Line, n.String(), "%s: %s is that of %s already", key, v.V, other)
			}
			gateway[v.V] = n
		}
		if n.ElasticIp.Set {
			take("elastic_ip", n.ElasticIp)
		}
		for _, v := range n.SecondaryElasticIps.V {
			take("secondary_elastic_ips", v)
		}
	}
	for _, e := range c.f.ElasticIps.List {
		target, line := "", 0
		switch inst, eni := c.f.Instances.Get(e.Instance.V), c.f.NetworkInterfaces.Get(e.NetworkInterface.V); {
		case e.Instance.Set && e.NetworkInterface.Set:
			c.add(e.NetworkInterface.Line, e.String(), "instance and network_interface exclude one another")
			continue
		case inst != nil:
			target, line = inst.String(), e.Instance.Line
			c.addressOf(e, inst.PrivateIp, inst.SecondaryPrivateIps, target)
		case eni != nil:
			target, line = eni.String(), e.NetworkInterface.Line
			c.addressOf(e, Value[netip.Addr]{}, eni.PrivateIps, target)
		case e.AssociateWithPrivateIp.Set && !e.Instance.Set && !e.NetworkInterface.Set:
			c.add(e.AssociateWithPrivateIp.Line, e.String(), "associate_with_private_ip needs instance or network_interface")
			continue
		default:
			continue
		}
		if n := gateway[e.Name]; n != nil {
			c.add(line, e.String(), "is the address of %s (line %d); it cannot be that of %s too", n, n.Line, target)
		}
		key := [2]any{target, e.AssociateWithPrivateIp.V}
		if o := first[key]; o != nil {
			c.add(line, e.String(), "%s has %s already (line %d); a private address has one Elastic IP at most (EI-01)", target, o, o.Line)
		}
		first[key] = e
	}
}

// addressOf checks that an Elastic IP's private address is one of its target's.
// An automatic primary address (not given, or private_ips left out) is not known yet.
func (c *checker) addressOf(e *ElasticIp, primary Value[netip.Addr], more List[netip.Addr], target string) {
	a := e.AssociateWithPrivateIp
	has := func(v Value[netip.Addr]) bool { return v.V == a.V }
	if !a.Set || primary.Set && has(primary) || slices.ContainsFunc(more.V, has) {
		return
	}
	c.add(a.Line, e.String(), "associate_with_private_ip: %s does not ask for the address %s", target, a.V)
}
