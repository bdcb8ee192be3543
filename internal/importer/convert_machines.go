package importer

import (
	"encoding/base64"
	"fmt"
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
		in := firstOf(n.SubnetId, i.SubnetId)
		subnet, ok := c.names.of(in)
		if !ok || c.subnet(in) == nil {
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
		o.SecurityGroups = c.groupNames("instance", said, firstOf(c.vpcOf(n), i.VpcId), groupIDs(n.Groups, i.SecurityGroups))
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
func (c *converter) groupNames(kind, said, vpc string, ids []string) topology.List[string] {
	var l topology.List[string]
	for _, id := range ids {
		name, ok := c.names.of(id)
		if !ok {
			c.note(kind, said, "its group %s is not in what was read (describe-security-groups)", id)
			continue
		}
		if g := c.group(id); g != nil && g.VpcId != vpc {
			c.note(kind, said, "its group %s is of another VPC, and associated with this one: a group of a lab is in one VPC", label(g.GroupName, id, g.origin))
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
		otherwise := new(vpc.Model).DefaultMetadata("", i.ImageId)
		text(&t.HttpTokens, m.HttpTokens, otherwise.HttpTokens, "optional", "required")
		text(&t.HttpEndpoint, m.HttpEndpoint, otherwise.HttpEndpoint, "disabled", "enabled")
		text(&t.HttpProtocolIpv6, m.HttpProtocolIpv6, otherwise.HttpProtocolIpv6, "enabled", "disabled")
		text(&t.InstanceMetadataTags, m.InstanceMetadataTags, otherwise.InstanceMetadataTags, "enabled", "disabled")
		if hops := m.HttpPutResponseHopLimit; hops != otherwise.HttpPutResponseHopLimit && hops > 0 && hops <= 64 {
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
	if a.DisableApiStop != nil && *a.DisableApiStop {
		o.DisableApiStop = set(true)
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
	if c.opt.WithoutUserData {
		c.note("instance", said, "user data was left out (--without-user-data)")
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
	if c.lab != nil {
		return // it has run in a lab, and on that root file system
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
	if len(n.Ipv6Addresses)+len(n.Ipv6Prefixes) > 0 {
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
		subnet, ok := c.names.of(n.SubnetId)
		if !ok { // one without IPv4
			c.note("network interface", said, "its subnet was not brought over")
			delete(c.names.by, n.NetworkInterfaceId)
			continue
		}
		o := &topology.NetworkInterface{Subnet: set(subnet)}
		c.begin(&o.Head, "network_interfaces", c.names.by[n.NetworkInterfaceId], n.NetworkInterfaceId, n.TagSet, n.origin)
		for _, text := range append([]string{n.primary()}, n.secondary()...) {
			if a, ok := address(text); ok {
				o.PrivateIps.V, o.PrivateIps.Set = append(o.PrivateIps.V, set(a)), true
			}
		}
		o.SecurityGroups = c.groupNames("network interface", said, c.vpcOf(n), groupIDs(n.Groups))
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
