package topology

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// checker finds what is wrong between the keys of a file. A value that is wrong by
// itself has been reported and left unset; checks pass over what is not set.
type checker struct {
	*problems
	f     *File
	zones []string
	used  map[place]string // who has a private address
}

// place is a private address in a VPC.
type place struct {
	vpc  string
	addr netip.Addr
}

func check(p *problems, f *File) {
	c := &checker{problems: p, f: f, used: map[place]string{}}
	c.settings()
	c.regions()
	c.references()
	c.names()
	c.dnsNames()
	c.vpcs()
	c.subnets()
	c.internetGateways()
	c.publicAddresses()
	c.outsideKeys()
	c.natGateways()
	c.networkInterfaces()
	c.instances()
	c.elasticIps()
	c.routeTables()
	c.securityGroups()
	c.networkAcls()
	c.dhcpOptions()
	c.keyPairs()
	c.flowLogs()
	c.impairs()
	c.checks()
}

func (c *checker) settings() {
	m, err := vpc.New("check", "123456789012", c.f.Region.V, nil, vpc.Call{NewID: vpc.RandomID}, false)
	if c.f.Region.Set || c.f.Region.Line == 0 { // else it was refused, and no zone can be checked
		c.zones = m.Zones
	}
	if err != nil && c.f.Region.Set {
		c.add(c.f.Region.Line, "", "region: AWS has no region %q%s", c.f.Region.V, suggest(c.f.Region.V, vpc.RegionNames()))
	}
	pools := c.f.Internet.V.PublicPools.V
	for i, p := range pools {
		for _, q := range pools[:i] {
			if p.V.Overlaps(q.V) {
				c.add(p.Line, "", "internet.public_pools: %s overlaps %s", p.V, q.V)
			}
		}
	}
	for name := range c.f.Quotas.V {
		if m.Quota(name) == 0 {
			c.add(c.f.Quotas.Line, "", "quotas: there is no quota %q", shorten(name))
		}
	}
}

// pools are the ranges of public addresses.
func (f *File) pools() []netip.Prefix {
	if f.Internet.V.PublicPools.Set {
		return values(f.Internet.V.PublicPools)
	}
	return vpc.DefaultPools
}

// references looks up every name that a key with a ref tag gives.
func (c *checker) references() {
	file := reflect.ValueOf(c.f).Elem()
	for _, k := range keysOf(file.Type()) {
		if !k.objects {
			continue
		}
		list := file.FieldByIndex(k.field).FieldByName("List")
		for i := range list.Len() {
			one := list.Index(i).Elem()
			h := one.Addr().Interface().(interface{ head() *Head }).head()
			c.referencesOf(h, one, "")
		}
	}
}

func (c *checker) referencesOf(h *Head, v reflect.Value, path string) {
	for _, k := range keysOf(v.Type()) {
		field := v.FieldByIndex(k.field)
		switch at := join(path, k.names[0]); {
		case k.value.Kind() == reflect.Struct && len(keysOf(k.value)) > 0 && !k.list:
			c.referencesOf(h, field.Field(0), at)
		case k.value.Kind() == reflect.Struct && len(keysOf(k.value)) > 0:
			for i := range field.Field(0).Len() {
				c.referencesOf(h, field.Field(0).Index(i).Field(0), fmt.Sprintf("%s[%d]", at, i))
			}
		case len(k.ref) > 0 && k.list:
			list := field.Addr().Interface().(*List[string])
			for i, one := range list.V {
				c.reference(h, k, one, fmt.Sprintf("%s[%d]", at, i))
				if slices.ContainsFunc(list.V[:i], func(o Value[string]) bool { return o.V == one.V }) {
					c.add(one.Line, h.String(), "%s names %s a second time", at, one.V)
				}
			}
		case len(k.ref) > 0:
			c.reference(h, k, *field.Addr().Interface().(*Value[string]), at)
		}
	}
}

func (c *checker) reference(h *Head, k *keySpec, v Value[string], path string) {
	switch {
	case !v.Set && k.fallback == "" || refused(v):
		return
	case !v.Set && !c.f.DefaultVpc.V:
		c.add(h.Line, h.String(), "%s is missing, and there is no default VPC (default_vpc is false)", path)
		return
	case !v.Set:
		return
	}
	var known []string
	for _, word := range k.words {
		if word == "default-ZONE" {
			for _, z := range c.zones {
				known = append(known, "default-"+z)
			}
		} else {
			known = append(known, word)
		}
	}
	if slices.Contains(known, v.V) || len(c.zones) == 0 && slices.Contains(k.words, "default-ZONE") && strings.HasPrefix(v.V, DefaultName+"-") {
		if strings.HasPrefix(v.V, DefaultName) && !slices.Contains(k.ref, "security_groups") && !c.f.DefaultVpc.V {
			c.add(v.Line, h.String(), "%s: there is no default VPC (default_vpc is false)", path)
		}
		if slices.Contains(k.words, "default-ZONE") {
			c.sameRegion(h, path, k.ref[0], v)
		}
		return
	}
	for _, kind := range k.ref {
		names := c.f.namesOf(kind)
		if slices.Contains(names, v.V) {
			c.sameRegion(h, path, kind, v)
			return
		}
		known = append(known, names...)
	}
	c.add(v.Line, h.String(), "%s: there is no %s %q%s", path, singular(k.ref[0]), shorten(v.V), suggest(v.V, known))
}

// namesOf are the names of one map, by its key.
func (f *File) namesOf(kind string) (names []string) {
	k := findKey(keysOf(reflect.TypeFor[File]()), kind)
	list := reflect.ValueOf(f).Elem().FieldByIndex(k.field).FieldByName("List")
	for i := range list.Len() {
		names = append(names, list.Index(i).Interface().(interface{ head() *Head }).head().Name)
	}
	return names
}

// names of instances and Internet hosts share a namespace, in the word's exact
// sense: `ip netns` shows both as LAB.NAME.
func (c *checker) names() {
	for _, h := range c.f.InternetHosts.List {
		if i := c.f.Instances.Get(h.Name); i != nil {
			c.add(h.Line, h.String(), "has the name of an instance (line %d); both are seen in `ip netns`", i.Line)
		}
	}
	for _, g := range c.f.SecurityGroups.List {
		if strings.HasPrefix(g.Name, "sg-") {
			c.add(g.Line, g.String(), "the name of a group does not start with sg- (SG-04)")
		}
	}
	c.groupNames()
	for _, h := range c.f.heads() {
		if name, given := h.Tags.V["Name"]; given && name != h.Name {
			c.add(h.Tags.Line, h.String(), "tags: Name is %q, but an object's Name is its name in the file", shorten(name))
		}
	}
}

// groupNames holds group_name against AWS's rules: it is unique in a VPC, whatever its case.
func (c *checker) groupNames() {
	for i, g := range c.f.SecurityGroups.List {
		if name := g.GroupName; name.Set && (strings.HasPrefix(name.V, "sg-") || strings.EqualFold(name.V, DefaultName) || strings.HasSuffix(name.V, " ")) {
			c.add(name.Line, g.String(), "group_name: %q is none: AWS keeps sg-… and default for itself, and drops blanks at the end (SG-04)", name.V)
		}
		for _, other := range c.f.SecurityGroups.List[:i] {
			if g.Vpc.V == other.Vpc.V && (g.GroupName.Set || other.GroupName.Set) && strings.EqualFold(g.groupName(), other.groupName()) {
				c.add(max(g.Line, g.GroupName.Line), g.String(), "group_name: security group %s of the same VPC (line %d) is called %q, too", other.Name, other.Line, other.groupName())
			}
		}
	}
}

// heads are those of all objects, map by map.
func (f *File) heads() (list []*Head) {
	file := reflect.ValueOf(f).Elem()
	for _, k := range keysOf(file.Type()) {
		if !k.objects {
			continue
		}
		objects := file.FieldByIndex(k.field).FieldByName("List")
		for i := range objects.Len() {
			list = append(list, objects.Index(i).Interface().(interface{ head() *Head }).head())
		}
	}
	return list
}

// Ranges that a VPC or subnet may have (AD-01, AD-09).
func (c *checker) size(line int, h *Head, key string, p netip.Prefix) {
	if p.Bits() < 16 || p.Bits() > 28 {
		c.add(line, h.String(), "%s: %s is a /%d; AWS takes /16 to /28", key, p, p.Bits())
	}
}

// blocks are a VPC's ranges, the primary first.
func (v *Vpc) blocks() []Value[netip.Prefix] {
	return append([]Value[netip.Prefix]{v.CidrBlock}, v.SecondaryCidrBlocks.V...)
}

func (c *checker) vpcs() {
	for _, v := range c.f.Vpcs.List {
		blocks := v.blocks()
		for i, b := range blocks {
			if !b.Set {
				continue
			}
			c.size(b.Line, &v.Head, "cidr_block", b.V)
			for _, other := range blocks[:i] {
				if other.Set && b.V.Overlaps(other.V) {
					c.add(b.Line, v.String(), "secondary_cidr_blocks: %s overlaps %s", b.V, other.V)
				}
			}
			for _, pool := range c.f.pools() {
				if b.V.Overlaps(pool) {
					c.add(b.Line, v.String(), "cidr_block: %s overlaps the public pool %s", b.V, pool)
				}
			}
		}
	}
}

// reservations checks those of a subnet (AD-14).
func (c *checker) reservations(s *Subnet) {
	for i, r := range s.CidrReservations.V {
		block := r.V.CidrBlock
		if !block.Set {
			continue
		}
		if s.CidrBlock.Set && (block.V.Bits() < s.CidrBlock.V.Bits() || !s.CidrBlock.V.Contains(block.V.Addr())) {
			c.add(block.Line, s.String(), "cidr_reservations[%d]: %s is outside the subnet's %s", i, block.V, s.CidrBlock.V)
		}
		for _, other := range s.CidrReservations.V[:i] {
			if other.V.CidrBlock.Set && block.V.Overlaps(other.V.CidrBlock.V) {
				c.add(block.Line, s.String(), "cidr_reservations[%d]: %s overlaps %s", i, block.V, other.V.CidrBlock.V)
			}
		}
	}
}

func (c *checker) subnets() {
	for i, s := range c.f.Subnets.List {
		c.reservations(s)
		if z := s.AvailabilityZone; z.Set {
			c.zone(z, &s.Head)
		}
		if !s.CidrBlock.Set {
			continue
		}
		c.size(s.CidrBlock.Line, &s.Head, "cidr_block", s.CidrBlock.V)
		if v := c.f.Vpcs.Get(s.Vpc.V); v != nil && v.CidrBlock.Set && !slices.ContainsFunc(v.blocks(), func(b Value[netip.Prefix]) bool { return within(b.V, s.CidrBlock.V) }) {
			c.add(s.CidrBlock.Line, s.String(), "cidr_block: %s is outside vpc %s %s", s.CidrBlock.V, v.Name, blockList(v))
		}
		for _, o := range c.f.Subnets.List[:i] {
			if o.Vpc.V == s.Vpc.V && o.CidrBlock.Set && o.CidrBlock.V.Overlaps(s.CidrBlock.V) {
				c.add(s.CidrBlock.Line, s.String(), "cidr_block: %s overlaps %s %s (line %d)", s.CidrBlock.V, o, o.CidrBlock.V, o.CidrBlock.Line)
			}
		}
	}
}

func (c *checker) zone(z Value[string], h *Head) {
	if zones := c.zonesOf(h); len(zones) > 0 && !slices.Contains(zones, z.V) {
		c.add(z.Line, h.String(), "availability_zone: %s has no zone %q; it has %s", c.f.regionOf(h.Kind, h.Name), shorten(z.V), strings.Join(zones, ", "))
	} else if len(c.zones) > 0 && !slices.Contains(c.zones, z.V) {
		c.add(z.Line, h.String(), "availability_zone: the file has no zone %q; it has %s", shorten(z.V), strings.Join(c.zones, ", "))
	}
}

func blockList(v *Vpc) string {
	var list []string
	for _, b := range v.blocks() {
		list = append(list, b.V.String())
	}
	return strings.Join(list, ", ")
}

// within tells whether inner lies in outer.
func within(outer, inner netip.Prefix) bool {
	return outer.IsValid() && outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

func (c *checker) internetGateways() {
	first := map[string]*InternetGateway{}
	for _, g := range c.f.InternetGateways.List {
		if !g.Vpc.Set {
			continue
		}
		if o := first[g.Vpc.V]; o != nil {
			c.add(g.Vpc.Line, g.String(), "vpc %s has the %s already (line %d); a VPC has one Internet gateway at most", g.Vpc.V, o, o.Line)
		}
		first[g.Vpc.V] = g
	}
}
