package importer

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/vpcemu/vpcemu/internal/cloudconfig"
	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

var amiID = regexp.MustCompile(`^ami-[0-9a-f]{8,17}$`)

func (c *converter) convertInstances() {
	for _, i := range c.Instances {
		said := label(nameOf(i.Tags), i.InstanceId, i.origin)
		n := c.primaries[i.InstanceId]
		subnet, ok := c.names.of(firstOf(n.SubnetId, i.SubnetId))
		if !ok {
			c.note("instance", said, "its subnet was not brought over")
			delete(c.names.by, i.InstanceId)
			continue
		}
		o := &topology.Instance{Subnet: set(subnet)}
		kind := c.instanceType(i, n, said)
		there := ""
		if kind != i.InstanceType {
			there = i.InstanceType
		}
		c.begin(&o.Head, "instances", c.names.by[i.InstanceId], i.InstanceId, i.Tags, i.origin, there)
		if amiID.MatchString(i.ImageId) {
			o.Ami = set(i.ImageId)
		}
		if kind != "" && kind != vpc.DefaultInstanceType {
			o.InstanceType = set(kind)
		}
		c.addresses(o, i, n, said)
		o.SecurityGroups = c.groupNames("instance", said, groupIDs(n.Groups, i.SecurityGroups))
		if check := n.SourceDestCheck; check != nil && !*check || check == nil && i.SourceDestCheck != nil && !*i.SourceDestCheck {
			o.SourceDestCheck = set(false)
		}
		if i.KeyName != "" {
			o.KeyName = set(c.names.by["key/"+i.KeyName])
		}
		c.instanceState(o, i, said)
		c.instanceOptions(o, i, said)
		c.userData(o, i, said)
		c.interfaceNotes("instance", said, n)
		c.file.Instances.List = append(c.file.Instances.List, o)
	}
}

// addresses are those of an instance's first interface.
func (c *converter) addresses(o *topology.Instance, i *rawInstance, n *rawInterface, said string) {
	if a, ok := address(firstOf(n.primary(), i.PrivateIpAddress)); ok {
		o.PrivateIp = set(a)
	}
	for _, text := range n.secondary() {
		if a, ok := address(text); ok {
			o.SecondaryPrivateIps.V, o.SecondaryPrivateIps.Set = append(o.SecondaryPrivateIps.V, set(a)), true
		}
	}
	subnet := c.subnet(firstOf(n.SubnetId, i.SubnetId))
	public := n.public()
	elastic := slices.ContainsFunc(c.Addresses, func(a *rawAddress) bool {
		of := a.NetworkInterfaceId == "" && a.InstanceId == i.InstanceId || n.NetworkInterfaceId != "" && a.NetworkInterfaceId == n.NetworkInterfaceId
		return a.PublicIp != "" && a.PublicIp == public || of && (a.PrivateIpAddress == "" || a.PrivateIpAddress == n.primary())
	})
	// An automatic address shows while the instance runs; what a stopped one, or one with an Elastic IP, wished for, AWS does
	// not tell.
	if wants := public != "" && !elastic; subnet != nil && !elastic && !i.publicOpen && i.State.Name != "stopped" && i.State.Name != "stopping" && wants != subnet.MapPublicIpOnLaunch {
		o.AssociatePublicIpAddress = set(wants)
	}
	if a, ok := address(public); ok && !elastic && !inPools(c.pools(), a) {
		c.note("instance", said+" "+public, "has an automatic public address: in the lab it gets another one, as after every start")
	}
}

// public is the address that the primary private one is mapped to, or "".
func (n *rawInterface) public() string {
	for _, p := range n.PrivateIpAddresses {
		if p.PrivateIpAddress == n.primary() && p.Association != nil {
			return p.Association.PublicIp
		}
	}
	if n.Association != nil {
		return n.Association.PublicIp
	}
	return ""
}

func groupIDs(lists ...[]rawGroupName) (ids []string) {
	for _, l := range lists {
		if len(ids) > 0 {
			break
		}
		for _, g := range l {
			if g.GroupId != "" && !slices.Contains(ids, g.GroupId) {
				ids = append(ids, g.GroupId)
			}
		}
	}
	return ids
}

// groupNames are the groups of an interface; not set for the VPC's default group alone, which is also what an interface
// has whose groups were not read.
func (c *converter) groupNames(kind, said string, ids []string) topology.List[string] {
	var l topology.List[string]
	for _, id := range ids {
		name, ok := c.names.of(id)
		if !ok {
			c.note(kind, said, "its group %s is not in what was read (describe-security-groups)", id)
			continue
		}
		l.V, l.Set = append(l.V, set(name)), true
	}
	switch {
	case len(ids) > 0 && len(l.V) == 0:
		c.note(kind, said, "none of its groups was brought over; it has the VPC's default group")
	case len(l.V) == 1 && l.V[0].V == topology.DefaultName:
		return topology.List[string]{}
	}
	return l
}

// instanceType is the account's if the lab knows it, else one of the catalogue that takes as many interfaces and addresses.
func (c *converter) instanceType(i *rawInstance, n *rawInterface, said string) string {
	known := vpc.InstanceTypeNames()
	if i.InstanceType == "" || slices.Contains(known, i.InstanceType) {
		return i.InstanceType
	}
	_, size, _ := strings.Cut(i.InstanceType, ".")
	interfaces, addresses := len(i.NetworkInterfaces), 1+len(n.secondary())
	for _, e := range c.NetworkInterfaces {
		if e.Attachment != nil && e.Attachment.InstanceId == i.InstanceId && c.standsAlone(e) {
			interfaces = max(interfaces, e.Attachment.DeviceIndex+1)
			addresses = max(addresses, 1+len(e.secondary()))
		}
	}
	for _, t := range []string{"t3." + size, "m5." + size, "t3.large", "m5.xlarge", "m5.4xlarge", "m5.16xlarge"} {
		if most, each, ok := vpc.InstanceTypeNetwork(t); ok && interfaces <= most && addresses <= each {
			c.note("instance", said, "the type %s is not in a lab's catalogue; it is a %s", i.InstanceType, t)
			return t
		}
	}
	c.note("instance", said, "the type %s is not in a lab's catalogue; it is a m5.24xlarge, the largest", i.InstanceType)
	return "m5.24xlarge"
}

func (c *converter) instanceState(o *topology.Instance, i *rawInstance, said string) {
	switch i.State.Name {
	case "stopped", "stopping":
		o.State = set("stopped")
	}
	if strings.Contains(strings.ToLower(i.Platform+i.PlatformDetails), "windows") {
		c.note("instance", said, "runs Windows: here the lab's Linux runs with its addresses, groups and routes, and without its user data")
	}
	if i.InstanceLifecycle == "spot" {
		c.note("instance", said, "is a spot instance: here it is one on demand")
	}
	if i.IamInstanceProfile != nil && i.IamInstanceProfile.Arn != "" {
		c.note("instance", said, "its instance profile: a lab has no IAM")
	}
}

func (c *converter) instanceOptions(o *topology.Instance, i *rawInstance, said string) {
	if m := i.MetadataOptions; m != nil {
		var t topology.MetadataOptions
		differs := false
		text := func(to *topology.Value[string], is, unless string, allowed ...string) {
			if is != "" && is != unless && slices.Contains(allowed, is) {
				*to, differs = set(is), true
			}
		}
		text(&t.HttpTokens, m.HttpTokens, "optional", "required")
		text(&t.HttpEndpoint, m.HttpEndpoint, "enabled", "disabled")
		text(&t.HttpProtocolIpv6, m.HttpProtocolIpv6, "disabled", "enabled")
		text(&t.InstanceMetadataTags, m.InstanceMetadataTags, "disabled", "enabled")
		if hops := m.HttpPutResponseHopLimit; hops > 1 && hops <= 64 {
			t.HttpPutResponseHopLimit, differs = set(hops), true
		}
		if differs {
			o.MetadataOptions = set(t)
		}
	}
	if p := i.PrivateDnsNameOptions; p != nil {
		like := c.subnet(firstOf(c.primaries[i.InstanceId].SubnetId, i.SubnetId)).PrivateDnsNameOptionsOnLaunch
		var t topology.PrivateDnsNameOptions
		if kind := firstOf(p.HostnameType, "ip-name"); kind != firstOf(like.HostnameType, "ip-name") && (kind == "ip-name" || kind == "resource-name") {
			t.HostnameType = set(kind)
		}
		if p.EnableResourceNameDnsARecord != like.EnableResourceNameDnsARecord {
			t.EnableResourceNameDnsARecord = set(p.EnableResourceNameDnsARecord)
		}
		if t.HostnameType.Set || t.EnableResourceNameDnsARecord.Set {
			o.PrivateDnsNameOptions = set(t)
		}
	}
	if t := i.Placement.Tenancy; t == "dedicated" || t == "host" {
		o.Tenancy = set("dedicated")
	}
	a := c.instanceAttributes[i.InstanceId]
	if a.DisableApiTermination != nil && *a.DisableApiTermination {
		o.DisableApiTermination = set(true)
	}
	if a.InstanceInitiatedShutdownBehavior == "terminate" {
		o.InstanceInitiatedShutdownBehavior = set("terminate")
	}
}

// userData brings user data over that PID 1 of an instance understands.
func (c *converter) userData(o *topology.Instance, i *rawInstance, said string) {
	given := c.instanceAttributes[i.InstanceId].UserData
	if given == nil || *given == "" || strings.Contains(strings.ToLower(i.Platform+i.PlatformDetails), "windows") {
		return
	}
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(*given), ""))
	if err != nil {
		c.note("instance", said, "its user data is no base64")
		return
	}
	if len(data) > 16<<10 {
		c.note("instance", said, "its user data has %d bytes; AWS takes at most 16384", len(data))
		return
	}
	if _, problems := cloudconfig.Parse(data); len(problems) > 0 {
		c.note("instance", said, "its user data, of which a lab does not understand everything (%s)", printable(shorten(fmt.Sprint(problems[0]))))
		return
	}
	if text := string(data); isText(text) {
		o.UserData = set(text)
	} else {
		o.UserDataBase64 = set(base64.StdEncoding.EncodeToString(data))
	}
	c.note("instance", said, "user data is in the file and runs at the first boot, on the lab's root file system instead of the image's; read it before `up`")
}

// isText tells whether a YAML literal can hold the text byte for byte.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r == '\ufeff' || r == '\u2028' || r == '\u2029' || r == '\ufffd'
	})
}

// interfaceNotes tells what of an interface a lab has not.
func (c *converter) interfaceNotes(kind, said string, n *rawInterface) {
	if len(n.Ipv6Addresses) > 0 {
		c.note(kind, said, "its IPv6 addresses: a lab has no IPv6 yet")
	}
	if len(n.Ipv4Prefixes) > 0 {
		c.note(kind, said, "its delegated IPv4 prefixes: a lab has single addresses only")
	}
}

func (c *converter) convertInterfaces() {
	slots := map[string]bool{}
	for _, n := range c.NetworkInterfaces {
		said := label(firstOf(nameOf(n.TagSet), n.Description), n.NetworkInterfaceId, n.origin)
		if n.managed() {
			c.managedInterface(n)
			continue
		}
		if !c.standsAlone(n) {
			continue
		}
		o := &topology.NetworkInterface{Subnet: set(c.names.by[n.SubnetId])}
		c.begin(&o.Head, "network_interfaces", c.names.by[n.NetworkInterfaceId], n.NetworkInterfaceId, n.TagSet, n.origin)
		for _, text := range append([]string{n.primary()}, n.secondary()...) {
			if a, ok := address(text); ok {
				o.PrivateIps.V, o.PrivateIps.Set = append(o.PrivateIps.V, set(a)), true
			}
		}
		o.SecurityGroups = c.groupNames("network interface", said, groupIDs(n.Groups))
		if n.SourceDestCheck != nil && !*n.SourceDestCheck {
			o.SourceDestCheck = set(false)
		}
		if n.Description != "" {
			o.Description = set(strings.ToValidUTF8(n.Description, "?"))
		}
		c.attachment(n, o, slots, said)
		c.interfaceNotes("network interface", said, n)
		c.file.NetworkInterfaces.List = append(c.file.NetworkInterfaces.List, o)
	}
}

func (c *converter) attachment(n *rawInterface, o *topology.NetworkInterface, slots map[string]bool, said string) {
	a := n.Attachment
	if a == nil || a.InstanceId == "" || strings.HasPrefix(a.Status, "detach") {
		return
	}
	name, ok := c.names.of(a.InstanceId)
	slot := fmt.Sprintf("%s/%d", name, a.DeviceIndex)
	switch {
	case !ok:
		c.note("network interface", said, "is attached to %s, which was not brought over; here it is not attached", a.InstanceId)
		return
	case a.DeviceIndex < 1 || a.DeviceIndex > 15 || slots[slot]:
		c.note("network interface", said, "is number %d of network card %d of %s: a lab has one card with the numbers 0 to 15; here it is not attached", a.DeviceIndex, a.NetworkCardIndex, name)
		return
	}
	slots[slot] = true
	t := topology.Attachment{Instance: set(name)}
	if a.DeviceIndex != 1 {
		t.DeviceIndex = set(a.DeviceIndex)
	}
	o.Attachment = set(t)
}

// managedInterface notes an interface that an AWS service made; that of a NAT gateway comes with it.
func (c *converter) managedInterface(n *rawInterface) {
	if n.InterfaceType == "nat_gateway" || n.InterfaceType == "natGateway" { // documented so, and so in real answers
		return
	}
	what := firstOf(strings.ReplaceAll(n.InterfaceType, "_", " "), "interface")
	if what == "interface" {
		what = "a service (" + firstOf(n.RequesterId, "an AWS one") + ")"
	}
	said := n.NetworkInterfaceId
	if n.Description != "" {
		said += " " + shorten(n.Description)
	}
	if p := n.primary(); p != "" {
		said += " " + p
	}
	c.note("network interface", said, "was made by AWS for %s, which a lab has not", what)
}

func (c *converter) convertNatGateways() {
	for _, g := range c.NatGateways {
		said := label(nameOf(g.Tags), g.NatGatewayId, g.origin)
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
		if len(g.NatGatewayAddresses) > 1 {
			c.note("NAT gateway", said, "has several addresses: a topology file gives it the primary one (aws ec2 associate-nat-gateway-address adds others in the lab)")
		}
		c.file.NatGateways.List = append(c.file.NatGateways.List, o)
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
		case ok && inPools(pools, real) && !taken[real]:
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
	if private, ok := address(a.PrivateIpAddress); ok && a.PrivateIpAddress != n.primary() {
		o.AssociateWithPrivateIp = set(private)
	}
}
