package topology

import (
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// regions are the Regions that the file uses: its own first, then by name.
func (f *File) regions() []string {
	var more []string
	add := func(v Value[string]) {
		if v.Set && v.V != f.Region.V && !slices.Contains(more, v.V) {
			more = append(more, v.V)
		}
	}
	for _, r := range f.Regions.V {
		add(r)
	}
	f.regionKeys(func(_ *Head, v Value[string]) { add(v) })
	slices.Sort(more)
	return append([]string{f.Region.V}, more...)
}

// regionKeys calls each with the key `region` of every object whose kind has it.
func (f *File) regionKeys(each func(h *Head, v Value[string])) {
	for _, o := range f.Vpcs.List {
		each(&o.Head, o.Region)
	}
	for _, o := range f.InternetGateways.List {
		each(&o.Head, o.Region)
	}
	for _, o := range f.ElasticIps.List {
		each(&o.Head, o.Region)
	}
	for _, o := range f.DhcpOptions.List {
		each(&o.Head, o.Region)
	}
	for _, o := range f.KeyPairs.List {
		each(&o.Head, o.Region)
	}
}

// regionOf is the Region of an object of the file, or of what AWS makes by itself.
func (f *File) regionOf(kind, name string) string {
	if r := f.regionThrough(kind, name); r != "" {
		return r
	}
	return f.Region.V
}

// regionThrough finds the Region by the object's own key, or through what the object is in
// or belongs to; "" where nothing tells.
func (f *File) regionThrough(kind, name string) string {
	through := func(kind string, v Value[string]) string {
		if !v.Set {
			return ""
		}
		return f.regionThrough(kind, v.V)
	}
	switch kind {
	case "vpcs":
		if o := f.Vpcs.Get(name); o != nil {
			return o.Region.V
		}
	case "dhcp_options":
		if o := f.DhcpOptions.Get(name); o != nil {
			return o.Region.V
		}
	case "key_pairs":
		if o := f.KeyPairs.Get(name); o != nil {
			return o.Region.V
		}
	case "internet_gateways":
		if o := f.InternetGateways.Get(name); o != nil {
			return first(o.Region.V, through("vpcs", o.Vpc))
		}
	case "elastic_ips":
		if o := f.ElasticIps.Get(name); o != nil {
			return first(o.Region.V, through("instances", o.Instance), through("network_interfaces", o.NetworkInterface), f.natRegion(name))
		}
	case "subnets":
		if zone, isDefault := strings.CutPrefix(name, DefaultName+"-"); isDefault {
			return regionOfZone(zone)
		}
		if o := f.Subnets.Get(name); o != nil {
			return through("vpcs", o.Vpc)
		}
	case "nat_gateways":
		if o := f.NatGateways.Get(name); o != nil {
			return through("subnets", o.Subnet)
		}
	case "network_interfaces":
		if o := f.NetworkInterfaces.Get(name); o != nil {
			return through("subnets", o.Subnet)
		}
	case "instances":
		if o := f.Instances.Get(name); o != nil {
			return first(through("subnets", o.Subnet), when(!o.Subnet.Set, regionOfZone(o.AvailabilityZone.V)))
		}
	case "route_tables":
		if o := f.RouteTables.Get(name); o != nil {
			return through("vpcs", o.Vpc)
		}
	case "security_groups":
		if o := f.SecurityGroups.Get(name); o != nil {
			return through("vpcs", o.Vpc)
		}
	case "network_acls":
		if o := f.NetworkAcls.Get(name); o != nil {
			return through("vpcs", o.Vpc)
		}
	case "flow_logs":
		if o := f.FlowLogs.Get(name); o != nil {
			t := o.target()
			return through(t.kind, t.value)
		}
	}
	return ""
}

// natRegion is the Region of the NAT gateway that has an Elastic IP, "" where none has it.
func (f *File) natRegion(elasticIp string) string {
	for _, n := range f.NatGateways.List {
		if n.has(elasticIp) {
			return f.regionThrough("nat_gateways", n.Name)
		}
	}
	return ""
}

// regionOfZone is the Region of a zone by its name: us-east-1 of us-east-1a.
func regionOfZone(zone string) string { return strings.TrimRight(zone, "abcdefghijklmnopqrstuvwxyz") }

// regions checks the names of Regions, and that objects do not refer to others of other
// Regions.
func (c *checker) regions() {
	known := vpc.RegionNames()
	check := func(h, path string, v Value[string]) {
		if v.Set && !slices.Contains(known, v.V) {
			c.add(v.Line, h, "%s: AWS has no region %q%s", path, shorten(v.V), suggest(v.V, known))
		}
	}
	for _, r := range c.f.Regions.V {
		check("", "regions", r)
	}
	c.f.regionKeys(func(h *Head, v Value[string]) { check(h.String(), "region", v) })
	m := vpc.Model{}
	for _, r := range c.f.regions()[1:] {
		if c.zones != nil {
			c.zones = append(slices.Clip(c.zones), m.ZonesOf(r)...)
		}
	}
}

// sameRegion checks a reference of an object to one that is there.
func (c *checker) sameRegion(h *Head, path, kind string, v Value[string]) {
	from, to := c.f.regionOf(h.Kind, h.Name), c.f.regionOf(kind, v.V)
	if from != to {
		c.add(v.Line, h.String(), "%s: %s %s is in %s, and this in %s", path, singular(kind), v.V, to, from)
	}
}

// zonesOf are the zones of an object's Region, nil where the Region was refused.
func (c *checker) zonesOf(h *Head) []string {
	region := c.f.regionOf(h.Kind, h.Name)
	var list []string
	for _, z := range c.zones {
		if regionOfZone(z) == region {
			list = append(list, z)
		}
	}
	return list
}

// openRegions readies the Regions of the file that the lab has not used yet. Their default
// VPCs come with the home Region's.
func (c *converger) openRegions() {
	if c.err != nil {
		return
	}
	c.tx.DefaultVpcs = false
	for _, region := range c.f.regions()[1:] {
		if c.tx.RegionOpen(region) {
			continue
		}
		c.tx.Call.Source = "regions." + region
		if err := c.tx.OpenRegion(region); err != nil {
			c.fail(c.f.Regions.Line, nil, err)
			return
		}
		c.changes = append(c.changes, Change{Create, "region", region, ""})
	}
	c.tx.DefaultVpcs = c.f.DefaultVpc.V
}

// defaultVpcs makes the default VPCs of the file's Regions where the file wants them.
func (c *converger) defaultVpcs() {
	for _, region := range c.f.regions() {
		if c.err != nil || !c.f.DefaultVpc.V || c.defaultVpcOf(region) != nil {
			continue
		}
		c.head, c.line = nil, c.f.DefaultVpc.Line
		c.tx.Call.Source, c.tx.Call.Region = defaultVpcSource, region
		call[vpc.CreateDefaultVpcOutput](c, &vpc.CreateDefaultVpcInput{})
		name := DefaultName
		if region != c.f.Region.V {
			name += " of " + region
		}
		c.changes = append(c.changes, Change{Create, "vpc", name, "the default VPC"})
	}
}

func (c *converger) defaultVpcOf(region string) *vpc.Vpc {
	for _, v := range c.tx.Vpcs.All() {
		if v.IsDefault && v.Region == region {
			return v
		}
	}
	return nil
}
