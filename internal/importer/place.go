package importer

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

var zoneRegion = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]`)

// place decides which VPCs are brought over: those of one Region, those that were asked for.
func (c *converter) place() error {
	if len(c.Vpcs) == 0 {
		return c.nothing()
	}
	regions := map[string][]*rawVpc{}
	for _, v := range c.Vpcs {
		r := c.regionOf(v)
		regions[r] = append(regions[r], v)
	}
	if err := c.chooseRegion(regions); err != nil {
		return err
	}
	in := regions[""]
	if c.region != "" {
		in = append(slices.Clone(regions[c.region]), in...)
	} else {
		c.region = "us-east-1"
		c.note("file", "", "nothing in what was read tells the Region; %s was taken", c.region)
	}
	chosen, err := c.chooseVpcs(in)
	if err != nil {
		return err
	}
	c.settleZones(chosen)
	c.chooseDefault(chosen, in)
	c.keep()
	return nil
}

// nothing is the error of sources without a VPC: what they hold instead is told of each.
func (c *converter) nothing() error {
	const most = 8
	read := strings.Join(c.files[:min(len(c.files), most)], ", ")
	if n := len(c.files) - most; n > 0 {
		read += fmt.Sprintf(" and %d more", n)
	}
	need := "a dump needs at least the answers of describe-vpcs and describe-subnets (`vpcemu import --print-commands` prints the commands)"
	if c.terraform && !c.cli {
		need = "Terraform's state or plan needs an aws_vpc, or a data source of one"
	}
	text := fmt.Sprintf("no VPC in what was read (%s): %s", printable(read), need)
	said := 0
	for _, n := range c.notes.sorted() {
		if n.Kind == "file" && said < most {
			text += "\n  " + n.String()
			said++
		}
	}
	return errors.New(text)
}

func (c *converter) chooseRegion(regions map[string][]*rawVpc) error {
	var names, told []string
	for _, r := range slices.Sorted(maps.Keys(regions)) {
		if r != "" {
			names = append(names, r)
			told = append(told, fmt.Sprintf("%s (%d VPCs)", r, len(regions[r])))
		}
	}
	switch {
	case c.opt.Region != "" && len(names) > 0 && !slices.Contains(names, c.opt.Region):
		return fmt.Errorf("%w: nothing in what was read is in %s; there are %s", ErrChoose, c.opt.Region, strings.Join(told, ", "))
	case c.opt.Region != "":
		c.region = c.opt.Region
	case len(names) > 1:
		return fmt.Errorf("%w Region to bring over with --region: there are %s", ErrChoose, strings.Join(told, ", "))
	case len(names) == 1:
		c.region = names[0]
	}
	return nil
}

// regionOf is the Region that a VPC is in, by what it or one of its subnets says; "" where nothing does.
func (c *converter) regionOf(v *rawVpc) string {
	for _, s := range c.Subnets {
		if s.VpcId != v.VpcId {
			continue
		}
		if r := zoneRegion.FindString(s.AvailabilityZone); r != "" {
			return r
		}
		if r := regionOfArn(s.SubnetArn); r != "" {
			return r
		}
	}
	for _, g := range c.SecurityGroups {
		if r := regionOfArn(g.SecurityGroupArn); r != "" && g.VpcId == v.VpcId {
			return r
		}
	}
	for _, n := range c.NetworkInterfaces {
		if r := zoneRegion.FindString(n.AvailabilityZone); r != "" && n.VpcId == v.VpcId {
			return r
		}
	}
	return v.region
}

// regionOfArn is the fourth part of arn:aws:ec2:REGION:ACCOUNT:….
func regionOfArn(arn string) string {
	if p := strings.SplitN(arn, ":", 6); len(p) == 6 && p[0] == "arn" {
		return p[3]
	}
	return ""
}

func (c *converter) chooseVpcs(in []*rawVpc) ([]*rawVpc, error) {
	if len(c.opt.Vpcs) == 0 {
		return in, nil
	}
	var chosen []*rawVpc
	for _, want := range c.opt.Vpcs {
		var found []*rawVpc
		var there []string
		for _, v := range in {
			there = append(there, label(nameOf(v.Tags), v.VpcId, v.origin))
			if want == v.VpcId || want == nameOf(v.Tags) || v.address != "" && want == v.address {
				found = append(found, v)
			}
		}
		switch {
		case len(found) == 0:
			return nil, fmt.Errorf("%w: there is no VPC %q in %s; there are %s", ErrChoose, want, c.region, strings.Join(there, ", "))
		case len(found) > 1:
			return nil, fmt.Errorf("%w: %d VPCs are called %q; give the ID of one of them: %s", ErrChoose, len(found), want, strings.Join(there, ", "))
		case !slices.Contains(chosen, found[0]):
			chosen = append(chosen, found[0])
		}
	}
	return chosen, nil
}

// settleZones finds what stands for zones that a lab does not have: local zones, those of Regions of other
// partitions, and letters that AWS gives to old accounts only.
func (c *converter) settleZones(chosen []*rawVpc) {
	at := c.region
	m, err := vpc.New("import", "123456789012", at, nil, vpc.Call{NewID: vpc.RandomID}, false)
	if err != nil {
		c.region = "us-east-1"
		c.note("file", "", "a lab cannot be in %s; it is in %s instead, and its zones are called accordingly", at, c.region)
		m, _ = vpc.New("import", "123456789012", c.region, nil, vpc.Call{NewID: vpc.RandomID}, false) // us-east-1 is known
	}
	c.zones, c.zoneOf = m.Zones, map[string]string{}
	used := map[string]bool{}
	var missing []string
	for _, s := range c.Subnets {
		if !slices.ContainsFunc(chosen, func(v *rawVpc) bool { return v.VpcId == s.VpcId }) {
			continue
		}
		used[s.AvailabilityZone] = true
		if z := s.AvailabilityZone; z != "" && !slices.Contains(c.zones, z) && !slices.Contains(missing, z) && strings.HasPrefix(z, at) {
			missing = append(missing, z)
		}
	}
	slices.Sort(missing)
	for _, z := range missing {
		instead := c.zones[0]
		for _, free := range c.zones {
			if !used[free] {
				instead = free
				break
			}
		}
		used[instead] = true
		c.zoneOf[z] = instead
		c.note("zone", z, "a lab has no such zone; its subnets are in %s", instead)
	}
}

// zone is the lab's name of a zone.
func (c *converter) zone(z string) string {
	if instead, ok := c.zoneOf[z]; ok {
		return instead
	}
	return z
}

// chooseDefault decides what becomes of the account's default VPC. The lab has one of its own, with the ranges that AWS
// gives to a new one. Where the account's is just like that, or nothing is in it, it is the lab's; otherwise it comes over as an
// ordinary VPC, so that every address stays what it is, and the lab has no default VPC.
func (c *converter) chooseDefault(chosen, in []*rawVpc) {
	anywhere := slices.ContainsFunc(in, func(v *rawVpc) bool { return v.IsDefault })
	if !anywhere && !c.terraform && len(c.opt.Vpcs) == 0 {
		c.file.DefaultVpc = set(false)
	}
	for _, v := range chosen {
		like := v.IsDefault && c.likeLabDefault(v)
		switch name := label(nameOf(v.Tags), v.VpcId, v.origin); {
		case !v.IsDefault:
			c.vpcs = append(c.vpcs, v)
		case c.labDefault != nil: // of another account
			c.note("VPC", name, "a second default VPC, that of the account %s, brought over as an ordinary one: a lab has one account", firstOf(v.OwnerId, "(unknown)"))
			c.vpcs = append(c.vpcs, v)
		case like:
			c.labDefault = v
		case c.unused(v):
			c.note("VPC", name, "the account's default VPC, with nothing in it: the lab has its own, with the ranges that AWS gives to a new one")
		default:
			c.note("VPC", name, "the account's default VPC, brought over as an ordinary one: that of a lab has other ranges or settings. The lab has no default VPC (default_vpc: false)")
			c.file.DefaultVpc = set(false)
			c.vpcs = append(c.vpcs, v)
		}
	}
}

// unused tells whether nothing was made in a VPC besides what AWS makes.
func (c *converter) unused(v *rawVpc) bool {
	in := func(vpc string) bool { return vpc == v.VpcId }
	return !slices.ContainsFunc(c.Instances, func(i *rawInstance) bool { return in(i.VpcId) && !gone(i.State.Name) }) &&
		!slices.ContainsFunc(c.NetworkInterfaces, func(n *rawInterface) bool { return in(n.VpcId) }) &&
		!slices.ContainsFunc(c.NatGateways, func(n *rawNatGateway) bool { return in(n.VpcId) && n.State != "deleted" }) &&
		!slices.ContainsFunc(c.SecurityGroups, func(g *rawSecurityGroup) bool { return in(g.VpcId) && g.GroupName != "default" }) &&
		!slices.ContainsFunc(c.NetworkAcls, func(a *rawNetworkAcl) bool { return in(a.VpcId) && !a.IsDefault }) &&
		!slices.ContainsFunc(c.RouteTables, func(t *rawRouteTable) bool { return in(t.VpcId) && !t.main() }) &&
		!slices.ContainsFunc(c.Subnets, func(s *rawSubnet) bool { return in(s.VpcId) && !s.DefaultForAz })
}

// likeLabDefault tells whether a default VPC is just as a lab makes it (DV-01, DV-02). Tables, groups and ACLs besides
// its own may be there.
func (c *converter) likeLabDefault(v *rawVpc) bool {
	const all = "0.0.0.0/0"
	if len(v.associated()) != 1 || v.CidrBlock != "172.31.0.0/16" && v.CidrBlock != "" || len(v.ipv6()) > 0 || !isDefaultTenancy(v.InstanceTenancy) || !c.defaultDns(v) || !c.defaultDhcp(v) {
		return false
	}
	want := map[string]string{}
	for i, z := range c.zones {
		want[z] = netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 31, byte(16 * i), 0}), 20).String()
	}
	for _, s := range c.Subnets {
		if s.VpcId != v.VpcId || !s.DefaultForAz {
			continue
		}
		if want[s.AvailabilityZone] == "" || want[s.AvailabilityZone] != s.CidrBlock && s.CidrBlock != "" || !s.MapPublicIpOnLaunch || len(s.Ipv6CidrBlockAssociationSet) > 0 || !s.plainNames() {
			return false
		}
		delete(want, s.AvailabilityZone)
	}
	if len(want) > 0 && !(c.terraform && !c.cli) { // Terraform need not know all of them
		return false
	}
	for _, t := range c.RouteTables {
		if t.VpcId != v.VpcId || !t.main() {
			continue
		}
		out := false
		for _, r := range t.Routes {
			if r.GatewayId == "local" {
				continue
			}
			if r.DestinationCidrBlock != all || !strings.HasPrefix(r.GatewayId, "igw-") || r.State == "blackhole" {
				return false
			}
			out = true
		}
		if !out && !c.terraform { // it was taken away; a plan or state need not tell of it
			return false
		}
	}
	for _, g := range c.SecurityGroups {
		if g.VpcId == v.VpcId && g.GroupName == "default" && !(c.ownRules(g, false) && c.ownRules(g, true)) {
			return false
		}
	}
	for _, a := range c.NetworkAcls {
		if a.VpcId == v.VpcId && a.IsDefault && !a.asMade() {
			return false
		}
	}
	return true
}

func isDefaultTenancy(t string) bool { return t == "" || t == "default" }

func (c *converter) defaultDns(v *rawVpc) bool {
	a := c.vpcAttributes[v.VpcId]
	return (a.EnableDnsHostnames == nil || *a.EnableDnsHostnames) && (a.EnableDnsSupport == nil || *a.EnableDnsSupport)
}

// keep drops what is in none of the VPCs that are brought over.
func (c *converter) keep() {
	chosen := map[string]bool{}
	for _, v := range c.vpcs {
		chosen[v.VpcId] = true
	}
	if c.labDefault != nil {
		chosen[c.labDefault.VpcId] = true
	}
	c.orphans()
	subnets := map[string]bool{}
	c.Subnets = slices.DeleteFunc(c.Subnets, func(s *rawSubnet) bool { return !chosen[s.VpcId] })
	for _, s := range c.Subnets {
		subnets[s.SubnetId] = true
	}
	c.RouteTables = slices.DeleteFunc(c.RouteTables, func(t *rawRouteTable) bool { return !chosen[t.VpcId] })
	c.NatGateways = slices.DeleteFunc(c.NatGateways, func(n *rawNatGateway) bool {
		return !chosen[n.VpcId] && !subnets[n.SubnetId] && n.SubnetId != "" || n.SubnetId == "" && !chosen[n.VpcId]
	})
	c.SecurityGroups = slices.DeleteFunc(c.SecurityGroups, func(g *rawSecurityGroup) bool { return !chosen[g.VpcId] })
	c.NetworkAcls = slices.DeleteFunc(c.NetworkAcls, func(a *rawNetworkAcl) bool { return !chosen[a.VpcId] })
	c.keepMachines(chosen, subnets)
	c.keepOthers(chosen)
}

// orphans notes what belongs to a VPC of which nothing was read.
func (c *converter) orphans() {
	say := func(kind, object, vpc string) {
		switch {
		case vpc == "" && len(c.opt.Vpcs) == 0:
			c.note(kind, object, "what was read does not tell its VPC")
		case vpc != "" && c.vpc(vpc) == nil:
			c.note(kind, object, "its VPC %s is not in what was read (aws ec2 describe-vpcs)", vpc)
		}
	}
	for _, s := range c.Subnets {
		say("subnet", label(nameOf(s.Tags), s.SubnetId, s.origin), s.VpcId)
	}
	for _, t := range c.RouteTables {
		say("route table", label(nameOf(t.Tags), t.RouteTableId, t.origin), t.VpcId)
	}
	for _, g := range c.SecurityGroups {
		say("security group", label(g.GroupName, g.GroupId, g.origin), g.VpcId)
	}
	for _, a := range c.NetworkAcls {
		say("network ACL", label(nameOf(a.Tags), a.NetworkAclId, a.origin), a.VpcId)
	}
	for _, i := range c.Instances {
		switch said := label(nameOf(i.Tags), i.InstanceId, i.origin); {
		case i.VpcId != "":
			say("instance", said, i.VpcId)
		case i.SubnetId != "" && c.subnet(i.SubnetId) == nil:
			c.note("instance", said, "its subnet %s is not in what was read (aws ec2 describe-subnets)", i.SubnetId)
		}
	}
	c.orphansOfSubnets()
}

// orphansOfSubnets notes what is in a subnet of which nothing was read, where neither its VPC nor an instance is noted for it.
func (c *converter) orphansOfSubnets() {
	say := func(kind, object, subnet, vpc string) {
		switch {
		case subnet == "" && vpc == "" && len(c.opt.Vpcs) == 0:
			c.note(kind, object, "what was read does not tell its subnet")
		case subnet != "" && c.subnet(subnet) == nil && (vpc == "" && len(c.opt.Vpcs) == 0 || c.vpc(vpc) != nil):
			c.note(kind, object, "its subnet %s is not in what was read (aws ec2 describe-subnets)", subnet)
		}
	}
	for _, n := range c.NetworkInterfaces {
		if a := n.Attachment; !n.managed() && (a == nil || a.InstanceId == "" || a.DeviceIndex > 0) {
			say("network interface", label(firstOf(nameOf(n.TagSet), n.Description), n.NetworkInterfaceId, n.origin), n.SubnetId, n.VpcId)
		}
	}
	for _, g := range c.NatGateways {
		if g.VpcId == "" {
			say("NAT gateway", label(nameOf(g.Tags), g.NatGatewayId, g.origin), g.SubnetId, "")
		}
	}
}

// keepMachines drops instances that are no more, with the interfaces that go with them, and what is elsewhere.
func (c *converter) keepMachines(chosen, subnets map[string]bool) {
	going := map[string]bool{}
	for _, i := range c.Instances {
		going[i.InstanceId] = gone(i.State.Name)
	}
	c.Instances = slices.DeleteFunc(c.Instances, func(i *rawInstance) bool {
		switch name := label(nameOf(i.Tags), i.InstanceId, i.origin); {
		case gone(i.State.Name):
			if i.VpcId == "" || chosen[i.VpcId] {
				c.note("instance", name, "is %s", i.State.Name)
			}
			return true
		case i.SubnetId == "":
			if len(c.opt.Vpcs) == 0 {
				c.note("instance", name, "is in no subnet that is known")
			}
			return true
		case chosen[i.VpcId] && !subnets[i.SubnetId] && i.SubnetId != "":
			c.note("instance", name, "its subnet %s is not in what was read (describe-subnets)", i.SubnetId)
			return true
		}
		return !subnets[i.SubnetId]
	})
	c.NetworkInterfaces = slices.DeleteFunc(c.NetworkInterfaces, func(n *rawInterface) bool {
		a := n.Attachment
		return !subnets[n.SubnetId] || a != nil && a.DeleteOnTermination && going[a.InstanceId]
	})
}

// keepOthers drops what belongs to VPCs indirectly.
func (c *converter) keepOthers(chosen map[string]bool) {
	all := len(c.opt.Vpcs) == 0
	for _, n := range c.absent {
		if n.region == "" || n.region == c.region {
			c.note(n.kind, n.object, "%s", n.reason)
		}
	}
	here := func(at origin) bool { return at.region == "" || at.region == c.region }
	c.InternetGateways = slices.DeleteFunc(c.InternetGateways, func(g *rawInternetGateway) bool {
		if v := g.vpc(); v != "" {
			return !chosen[v]
		}
		return !all || !here(g.origin)
	})
	keys, options, ips := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, i := range c.Instances {
		keys[i.KeyName] = true
	}
	for _, v := range c.vpcs {
		options[v.DhcpOptionsId] = true
	}
	for _, n := range c.NatGateways {
		for _, a := range n.NatGatewayAddresses {
			ips[a.AllocationId] = true
		}
	}
	named := map[string]*rawKeyPair{} // another Region, or account, may have one of the same name
	for _, k := range c.KeyPairs {
		if was := named[k.KeyName]; was == nil || !here(was.origin) && here(k.origin) {
			named[k.KeyName] = k
		}
	}
	c.KeyPairs = slices.DeleteFunc(c.KeyPairs, func(k *rawKeyPair) bool {
		if named[k.KeyName] != k {
			if here(k.origin) {
				c.note("key pair", label(k.KeyName, k.KeyPairId, k.origin), "there is another one of this name, as of another account or Region; a lab has one")
			}
			return true
		}
		return !keys[k.KeyName] && !(all && here(k.origin))
	})
	c.DhcpOptions = slices.DeleteFunc(c.DhcpOptions, func(o *rawDhcpOptions) bool { return !options[o.DhcpOptionsId] && !(all && here(o.origin)) })
	c.Addresses = slices.DeleteFunc(c.Addresses, func(a *rawAddress) bool {
		if r := zoneRegion.FindString(a.NetworkBorderGroup); r != "" {
			a.region = r
		}
		return !ips[a.AllocationId] && c.instance(a.InstanceId) == nil && c.networkInterface(a.NetworkInterfaceId) == nil && !(all && here(a.origin))
	})
	c.FlowLogs = slices.DeleteFunc(c.FlowLogs, func(l *rawFlowLog) bool {
		return !all && !chosen[l.ResourceId] && c.subnet(l.ResourceId) == nil && c.networkInterface(l.ResourceId) == nil || !here(l.origin)
	})
}

func gone(state string) bool { return state == "terminated" || state == "shutting-down" }

// vpc is the VPC that the gateway is attached to, or "".
func (g *rawInternetGateway) vpc() string {
	for _, a := range g.Attachments {
		if a.State != "detached" && a.State != "detaching" {
			return a.VpcId
		}
	}
	return ""
}

func (t *rawRouteTable) main() bool {
	return slices.ContainsFunc(t.Associations, func(a rawAssociation) bool { return a.Main })
}
