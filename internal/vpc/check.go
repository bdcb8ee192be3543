package vpc

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
)

// Check looks for contradictions in the whole model: references to what is not
// there, blocks and addresses that overlap, a second of what may be there once.
// Operations never leave any; a daemon checks what it reads from its store.
// Route targets may be gone (RT-10), and so may what deleted objects name.
func (m *Model) Check() []error {
	c := &checker{Model: m, public: map[netip.Addr]string{}, handles: map[uint32]string{}, private: map[VpcID]map[netip.Addr]string{}, ids: map[string]string{}}
	c.vpcs()
	c.subnets()
	c.routeTables()
	c.internetGateways()
	c.securityGroups()
	c.networkAcls()
	c.networkInterfaces()
	c.addresses()
	c.natGateways()
	c.instances()
	c.flowLogs()
	c.links()
	c.regions()
	c.others()
	return c.errs
}

type checker struct {
	*Model
	errs    []error
	public  map[netip.Addr]string // who has a public address
	handles map[uint32]string
	private map[VpcID]map[netip.Addr]string
	ids     map[string]string // of associations and rules
}

// want records an error about an object unless ok.
func (c *checker) want(ok bool, object any, format string, a ...any) {
	if !ok {
		c.errs = append(c.errs, fmt.Errorf("%v: %s", object, fmt.Sprintf(format, a...)))
	}
}

// unique records that the object has the key in the set, and an error if
// another has it.
func unique[K comparable](c *checker, set map[K]string, key K, object string) {
	other, taken := set[key]
	c.want(!taken, object, "%v is also of %s", key, other)
	set[key] = object
}

func (c *checker) vpcs() {
	defaults := map[string]int{}
	for id, v := range c.Vpcs.All() {
		c.want(v.ID == id, id, "is stored under another ID, %s", v.ID)
		if v.IsDefault {
			defaults[v.Region]++
		}
		c.want(len(v.Cidrs) > 0 && v.Cidrs[0].CidrBlock == v.CidrBlock, id, "the first block is not the primary %s", v.CidrBlock)
		for i, a := range v.Cidrs {
			unique(c, c.ids, string(a.ID), string(id))
			c.want(vpcBlockAllowed(a.CidrBlock) && a.CidrBlock == a.CidrBlock.Masked(), id, "block %s is not allowed", a.CidrBlock)
			for _, b := range v.Cidrs[:i] {
				c.want(!a.CidrBlock.Overlaps(b.CidrBlock), id, "blocks %s and %s overlap", b.CidrBlock, a.CidrBlock)
			}
		}
		if d := v.DhcpOptionsID; d != "" && d != noDhcpOptions {
			c.want(c.DhcpOptions.Get(d) != nil, id, "DHCP options %s do not exist", d)
		}
		c.once(id, "main route table", count(&c.RouteTables, func(t *RouteTable) bool { return t.VpcID == id && t.isMain() }))
		c.once(id, "default network ACL", count(&c.NetworkAcls, func(a *NetworkAcl) bool { return a.VpcID == id && a.IsDefault }))
		c.once(id, "default security group", count(&c.SecurityGroups, func(g *SecurityGroup) bool { return g.VpcID == id && g.isDefault() }))
	}
	for region, n := range defaults {
		c.want(n <= 1, "lab "+c.Lab, "has %d default VPCs in %s", n, region)
	}
}

// regions wants everything to be in a Region that is open.
func (c *checker) regions() {
	open := c.OpenRegions()
	for _, name := range open {
		if c.Lab == "" && name == "" {
			continue // a lab that has no cloud yet
		}
		c.want(len(c.ZonesOf(name)) > 0, "lab "+c.Lab, "is in %s, which is no Region", name)
	}
	v := reflect.ValueOf(c.Model).Elem()
	for _, i := range regionalFields {
		v.Field(i).Addr().Interface().(AnyTable).metas(func(key string, m *Meta) {
			c.want(slices.Contains(open, m.Region), key, "is in %q, and the lab in %v", m.Region, open)
		})
	}
}

func (c *checker) once(id VpcID, what string, n int) {
	c.want(n == 1, id, "has %d objects of the kind %s instead of one", n, what)
}

func (c *checker) subnets() {
	var seen []*Subnet
	for id, s := range c.Subnets.All() {
		c.want(s.ID == id, id, "is stored under another ID, %s", s.ID)
		v := c.Vpcs.Get(s.VpcID)
		if c.want(v != nil, id, "VPC %s does not exist", s.VpcID); v == nil {
			continue
		}
		c.want(slices.ContainsFunc(v.Cidrs, func(a CidrAssociation) bool { return contains(a.CidrBlock, s.CidrBlock) }),
			id, "cidr %s is outside %s", s.CidrBlock, v.ID)
		c.want(slices.Contains(c.ZonesOf(s.Region), s.AvailabilityZone) && s.Region == v.Region, id, "zone %s is none of %s's", s.AvailabilityZone, v.Region)
		a := c.NetworkAcls.Get(s.NetworkAclID)
		c.want(a != nil && a.VpcID == s.VpcID, id, "network ACL %s does not exist in %s", s.NetworkAclID, s.VpcID)
		unique(c, c.ids, string(s.AclAssociationID), string(id))
		for _, o := range seen {
			c.want(o.VpcID != s.VpcID || !o.CidrBlock.Overlaps(s.CidrBlock), id, "cidr %s overlaps %s of %s", s.CidrBlock, o.CidrBlock, o.ID)
			c.want(!s.DefaultForAz || !o.DefaultForAz || o.AvailabilityZone != s.AvailabilityZone, id, "%s is also the default of %s", o.ID, s.AvailabilityZone)
		}
		seen = append(seen, s)
	}
	for id, r := range c.SubnetCidrReservations.All() {
		s := c.Subnets.Get(r.SubnetID)
		c.want(s != nil && contains(s.CidrBlock, r.Cidr), id, "cidr %s is not in the subnet %s", r.Cidr, r.SubnetID)
	}
}

func (c *checker) routeTables() {
	owners := map[string]string{}
	for id, t := range c.RouteTables.All() {
		c.want(t.ID == id, id, "is stored under another ID, %s", t.ID)
		v := c.Vpcs.Get(t.VpcID)
		if c.want(v != nil, id, "VPC %s does not exist", t.VpcID); v == nil {
			continue
		}
		c.want(!t.isMain() || !t.isGatewayTable(), id, "is the main table and a gateway's")
		for _, a := range t.Associations {
			unique(c, c.ids, string(a.ID), string(id))
			switch {
			case a.SubnetID != "":
				unique(c, owners, string(a.SubnetID), string(id))
				s := c.Subnets.Get(a.SubnetID)
				c.want(s != nil && s.VpcID == t.VpcID && !a.Main && a.GatewayID == "", id, "association %s with subnet %s is wrong", a.ID, a.SubnetID)
			case a.GatewayID != "":
				unique(c, owners, string(a.GatewayID), string(id))
				g := c.InternetGateways.Get(a.GatewayID)
				c.want(g != nil && g.VpcID == t.VpcID && !a.Main, id, "association %s with gateway %s is wrong", a.ID, a.GatewayID)
			default:
				c.want(a.Main, id, "association %s is with nothing", a.ID)
			}
		}
		c.routes(v, t)
	}
}

func (c *checker) routes(v *Vpc, t *RouteTable) {
	for _, a := range v.Cidrs {
		i := t.routeTo(a.CidrBlock)
		c.want(i >= 0 && t.Routes[i].Origin == originTable, t.ID, "the local route %s is missing", a.CidrBlock)
	}
	seen := map[netip.Prefix]string{}
	for _, r := range t.Routes {
		unique(c, seen, r.DestinationCidrBlock, string(t.ID))
		c.want(r.DestinationCidrBlock.IsValid() && r.DestinationCidrBlock == r.DestinationCidrBlock.Masked(), t.ID, "the destination %s is no block", r.DestinationCidrBlock)
		c.want(r.Origin != originTable || v.hasBlock(r.DestinationCidrBlock), t.ID, "the local route %s is not of a block of %s", r.DestinationCidrBlock, v.ID)
		targets := 0
		for _, set := range []bool{r.Local, r.GatewayID != "", r.NatGatewayID != "", r.NetworkInterfaceID != ""} {
			if set {
				targets++
			}
		}
		c.want(targets == 1, t.ID, "the route %s has %d targets", r.DestinationCidrBlock, targets)
		c.want(!r.Local || r.Origin == originTable, t.ID, "the route %s is local and was made by %s", r.DestinationCidrBlock, r.Origin)
	}
}

func (c *checker) internetGateways() {
	attached := map[VpcID]string{}
	for id, g := range c.InternetGateways.All() {
		c.want(g.ID == id, id, "is stored under another ID, %s", g.ID)
		c.want((g.VpcID != "") == (g.AttachmentState != ""), id, "attachment state %q with VPC %q", g.AttachmentState, g.VpcID)
		if g.VpcID != "" {
			c.want(c.Vpcs.Get(g.VpcID) != nil, id, "VPC %s does not exist", g.VpcID)
			unique(c, attached, g.VpcID, string(id))
		}
	}
}

func (c *checker) securityGroups() {
	names := map[[2]string]string{}
	for id, g := range c.SecurityGroups.All() {
		c.want(g.ID == id, id, "is stored under another ID, %s", g.ID)
		c.want(c.Vpcs.Get(g.VpcID) != nil, id, "VPC %s does not exist", g.VpcID)
		unique(c, names, [2]string{string(g.VpcID), g.GroupName}, string(id))
		for _, rules := range [][]SecurityGroupRule{g.Ingress, g.Egress} {
			for i := range rules {
				c.groupRule(g, &rules[i])
				c.want(!slices.ContainsFunc(rules[:i], func(o SecurityGroupRule) bool { return o.sameTraffic(&rules[i]) }), id, "the rule %s is there twice", &rules[i])
			}
		}
	}
}

func (c *checker) groupRule(g *SecurityGroup, r *SecurityGroupRule) {
	unique(c, c.ids, string(r.ID), string(g.ID))
	peers := 0
	for _, set := range []bool{r.CidrIpv4.IsValid(), r.CidrIpv6.IsValid(), r.GroupID != ""} {
		if set {
			peers++
		}
	}
	c.want(peers == 1, g.ID, "rule %s has %d peers", r.ID, peers)
	if r.GroupID != "" {
		peer := c.SecurityGroups.Get(r.GroupID)
		c.want(peer != nil && peer.VpcID == g.VpcID, g.ID, "rule %s names the group %s, which is not in %s", r.ID, r.GroupID, g.VpcID)
	}
}

func (c *checker) networkAcls() {
	for id, a := range c.NetworkAcls.All() {
		c.want(a.ID == id, id, "is stored under another ID, %s", a.ID)
		c.want(c.Vpcs.Get(a.VpcID) != nil, id, "VPC %s does not exist", a.VpcID)
		for _, egress := range []bool{false, true} {
			c.want(a.entry(lastRuleNumber, egress) >= 0, id, "the last entry is missing (egress %t)", egress)
		}
		sorted := NetworkAcl{Entries: slices.Clone(a.Entries)}
		sorted.sort()
		c.want(slices.Equal(sorted.Entries, a.Entries), id, "the entries are out of order")
		for i := 1; i < len(a.Entries); i++ {
			x, y := a.Entries[i-1], a.Entries[i]
			c.want(x.RuleNumber != y.RuleNumber || x.Egress != y.Egress, id, "entry %d is there twice (egress %t)", y.RuleNumber, y.Egress)
			c.want(y.CidrBlock.IsValid() != y.Ipv6Cidr.IsValid(), id, "entry %d has not exactly one block", y.RuleNumber)
		}
	}
}
