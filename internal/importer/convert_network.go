package importer

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

func (c *converter) settings() {
	f := c.file
	f.Version, f.Name = set(1), set(c.opt.Name)
	if c.region != "" {
		f.Region = set(c.region)
	}
	owners := map[string]int{}
	if c.labDefault != nil {
		owners[c.labDefault.OwnerId]++
	}
	for _, v := range c.vpcs {
		owners[v.OwnerId]++
	}
	for _, t := range c.RouteTables {
		owners[t.OwnerId]++ // its owner is the VPC's; a shared VPC's is another account
	}
	best := ""
	for o, n := range owners {
		if len(o) == 12 && strings.Trim(o, "0123456789") == "" && (n > owners[best] || n == owners[best] && o < best || best == "") {
			best = o
		}
	}
	if best != "" {
		f.Account = set(best)
	}
	for _, v := range c.vpcs {
		if len(v.OwnerId) == 12 && v.OwnerId != best {
			c.note("VPC", label(nameOf(v.Tags), v.VpcId, v.origin), "is that of the account %s: a lab has one account, here %s", v.OwnerId, best)
		}
	}
}

// begin fills the head of an object and notes what stands beside it.
func (c *converter) begin(h *topology.Head, kind, name, id string, tags []rawTag, at origin, more ...string) {
	h.Kind, h.Name = kind, name
	var beside []string
	if at.address != "" {
		beside = append(beside, at.address)
	}
	if id != "" && id != at.address && id != name {
		beside = append(beside, id)
	}
	if own := nameOf(tags); own != "" && own != name {
		beside = append(beside, fmt.Sprintf("Name %q", own))
	}
	for _, m := range more {
		if m != "" {
			beside = append(beside, m)
		}
	}
	if len(beside) > 0 {
		c.comments[h.Source()] = printable(strings.Join(beside, ", "))
	}
	if kept := c.tags(singular(kind), label(nameOf(tags), firstOf(id, name), at), tags); len(kept) > 0 {
		h.Tags = set(kept)
	}
}

// tags are those that a topology file takes. Keys that start with aws: are AWS's own.
func (c *converter) tags(kind, object string, tags []rawTag) map[string]string {
	kept := map[string]string{}
	for _, t := range tags {
		switch key := t.Key; {
		case key == "Name" || key == "":
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			c.reserved = append(c.reserved, reservedTag{key, object})
		case c.fits(kind, object, key, t.Value):
			kept[key] = t.Value
		}
	}
	return kept
}

// fits tells whether a topology file can have the tag, or notes that it can not.
func (c *converter) fits(kind, object, key, value string) bool {
	odd := func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r >= 0xfffd && r <= 0xffff }
	switch {
	case strings.ContainsFunc(key+value, odd):
		c.note(kind, object, "the tag %q: it has characters that no tag can have, or was not written as UTF-8", printable(shorten(key)))
	case utf8.RuneCountInString(key) > 128 || utf8.RuneCountInString(value) > 256:
		c.note(kind, object, "the tag %q: a tag has at most 128 characters as its key and 256 as its value", printable(shorten(key)))
	default:
		return true
	}
	return false
}

type reservedTag struct{ key, object string }

// droppedTags says once which tags of AWS's own are not in the file.
func (c *converter) droppedTags() {
	if len(c.reserved) == 0 {
		return
	}
	var keys, objects []string
	for _, t := range c.reserved {
		if !slices.Contains(keys, t.key) {
			keys = append(keys, t.key)
		}
		if !slices.Contains(objects, t.object) {
			objects = append(objects, t.object)
		}
	}
	slices.Sort(keys)
	for _, o := range objects {
		c.note("tag", o, "tags whose keys start with aws: are set by AWS alone (%s)", strings.Join(keys, ", "))
	}
}

// singular is what one of the objects of a map is called.
func singular(kind string) string {
	switch kind {
	case "dhcp_options":
		return "DHCP option set"
	case "vpcs":
		return "VPC"
	case "elastic_ips":
		return "Elastic IP"
	case "nat_gateways":
		return "NAT gateway"
	case "network_acls":
		return "network ACL"
	case "internet_gateways":
		return "Internet gateway"
	}
	return strings.ReplaceAll(strings.TrimSuffix(kind, "s"), "_", " ")
}

func (c *converter) convertVpcs() {
	guessed := false
	for _, v := range c.vpcs {
		o := &topology.Vpc{}
		c.begin(&o.Head, "vpcs", c.names.by[v.VpcId], v.VpcId, v.Tags, v.origin)
		name := label(nameOf(v.Tags), v.VpcId, v.origin)
		var blocks []netip.Prefix
		for _, text := range v.associated() {
			if p, ok := ipv4(text); ok {
				blocks = append(blocks, p)
			} else {
				c.note("VPC", name, "its range %q is no IPv4 range", printable(shorten(text)))
			}
		}
		if len(blocks) > 0 {
			o.CidrBlock = set(blocks[0])
		}
		if len(blocks) > 1 {
			o.SecondaryCidrBlocks = list(blocks[1:]...)
		}
		if six := v.ipv6(); len(six) > 0 {
			c.note("VPC", name, "its IPv6 ranges %s: a lab has no IPv6 yet", strings.Join(six, ", "))
		}
		c.publicAccess("VPC", name, v.BlockPublicAccessStates)
		if v.InstanceTenancy == "dedicated" || v.InstanceTenancy == "host" {
			o.InstanceTenancy = set("dedicated")
		}
		c.dns(v, o)
		guessed = guessed || !c.terraform && c.vpcAttributes[v.VpcId].EnableDnsHostnames == nil
		c.vpcDhcp(v, o)
		c.file.Vpcs.List = append(c.file.Vpcs.List, o)
	}
	if guessed {
		c.note("file", "", "describe-vpc-attribute (enableDnsHostnames, enableDnsSupport) was not read of every VPC: AWS's default was taken, hostnames in a default VPC only")
	}
}

// publicAccess tells of VPC Block Public Access, which keeps packets from Internet gateways whatever the routes say.
func (c *converter) publicAccess(kind, said string, p rawPublicAccess) {
	if mode := p.InternetGatewayBlockMode; mode != "" && mode != "off" {
		c.note(kind, said, "AWS blocks its way to and from the Internet (VPC Block Public Access, %s): a lab does not, and its routes hold", printable(shorten(mode)))
	}
}

func (c *converter) dns(v *rawVpc, o *topology.Vpc) {
	a := c.vpcAttributes[v.VpcId]
	hostnames := v.IsDefault
	if a.EnableDnsHostnames != nil {
		hostnames = *a.EnableDnsHostnames
	}
	if a.EnableDnsSupport != nil && !*a.EnableDnsSupport {
		o.EnableDnsSupport = set(false)
	}
	if hostnames {
		o.EnableDnsHostnames = set(true)
	}
}

func (c *converter) vpcDhcp(v *rawVpc, o *topology.Vpc) {
	switch name, ok := c.names.of(v.DhcpOptionsId); {
	case ok:
		o.DhcpOptions = set(name)
	case v.DhcpOptionsId == "default":
		o.DhcpOptions = set("none")
	case v.DhcpOptionsId != "" && !slices.ContainsFunc(c.DhcpOptions, func(d *rawDhcpOptions) bool { return d.DhcpOptionsId == v.DhcpOptionsId }) && !c.terraform:
		c.note("VPC", label(nameOf(v.Tags), v.VpcId, v.origin), "its DHCP options %s were not read (describe-dhcp-options); it has the Region's own", v.DhcpOptionsId)
	}
}

func (c *converter) defaultDhcp(v *rawVpc) bool {
	for _, d := range c.DhcpOptions {
		if d.DhcpOptionsId == v.DhcpOptionsId {
			return c.regionsOwn(d)
		}
	}
	return v.DhcpOptionsId != "default"
}

// regionsOwn tells whether a set is the one that AWS makes for an account in a Region (DH-03).
func (c *converter) regionsOwn(d *rawDhcpOptions) bool {
	domain := c.region + ".compute.internal"
	if c.region == "us-east-1" {
		domain = "ec2.internal"
	}
	for _, o := range d.DhcpConfigurations {
		if len(o.Values) != 1 || o.Key != "domain-name" && o.Key != "domain-name-servers" ||
			o.Key == "domain-name" && o.Values[0].Value != domain || o.Key == "domain-name-servers" && o.Values[0].Value != "AmazonProvidedDNS" {
			return false
		}
	}
	return len(d.DhcpConfigurations) == 2 && len(d.Tags) == 0
}

func (c *converter) convertSubnets() {
	for _, s := range c.Subnets {
		name := label(nameOf(s.Tags), s.SubnetId, s.origin)
		if len(s.Ipv6CidrBlockAssociationSet) > 0 && s.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock != "" {
			c.note("subnet", name, "its IPv6 range: a lab has no IPv6 yet")
		}
		if strings.HasPrefix(c.names.by[s.SubnetId], topology.DefaultName+"-") {
			c.lost("subnet", name, s.Tags)
			if c.hasReservations(s) {
				c.note("subnet", name, "its CIDR reservations: a topology file has none for what the default VPC comes with")
			}
			continue
		}
		if v := c.vpc(s.VpcId); v == nil || v.BlockPublicAccessStates != s.BlockPublicAccessStates {
			c.publicAccess("subnet", name, s.BlockPublicAccessStates)
		}
		block, ok := ipv4(s.CidrBlock)
		if !ok {
			c.note("subnet", name, "has no IPv4 range")
			delete(c.names.by, s.SubnetId)
			continue
		}
		o := &topology.Subnet{Vpc: set(c.names.by[s.VpcId]), CidrBlock: set(block)}
		c.begin(&o.Head, "subnets", c.names.by[s.SubnetId], s.SubnetId, s.Tags, s.origin)
		if s.AvailabilityZone != "" {
			o.AvailabilityZone = set(c.zone(s.AvailabilityZone))
		}
		if s.MapPublicIpOnLaunch {
			o.MapPublicIpOnLaunch = set(true)
		}
		if s.PrivateDnsNameOptionsOnLaunch.HostnameType == "resource-name" {
			o.PrivateDnsHostnameTypeOnLaunch = set("resource-name")
		}
		if s.PrivateDnsNameOptionsOnLaunch.EnableResourceNameDnsARecord {
			o.EnableResourceNameDnsARecordOnLaunch = set(true)
		}
		c.reservations(o, s, block)
		c.file.Subnets.List = append(c.file.Subnets.List, o)
	}
}

func (c *converter) hasReservations(s *rawSubnet) bool {
	return slices.ContainsFunc(c.CidrReservations, func(r *rawCidrReservation) bool { return r.SubnetId == s.SubnetId })
}

// reservations are the parts of a subnet that are kept free.
func (c *converter) reservations(o *topology.Subnet, s *rawSubnet, in netip.Prefix) {
	for _, r := range c.CidrReservations {
		if r.SubnetId != s.SubnetId {
			continue
		}
		said := label("", firstOf(r.SubnetCidrReservationId, r.Cidr), r.origin)
		block, ok := ipv4(r.Cidr)
		if !ok || block.Bits() < in.Bits() || !in.Contains(block.Addr()) {
			c.note("subnet CIDR reservation", said, "%q is no range of its subnet", printable(shorten(r.Cidr)))
			continue
		}
		if len(c.tags("subnet CIDR reservation", said, r.Tags)) > 0 || nameOf(r.Tags) != "" {
			c.note("subnet CIDR reservation", said, "its tags: a topology file has none for reservations")
		}
		one := topology.CidrReservation{CidrBlock: set(block)}
		if r.ReservationType == "prefix" {
			one.ReservationType = set("prefix")
		}
		if r.Description != "" {
			one.Description = set(strings.ToValidUTF8(r.Description, "?"))
		}
		o.CidrReservations.V, o.CidrReservations.Set = append(o.CidrReservations.V, set(one)), true
	}
	slices.SortFunc(o.CidrReservations.V, func(a, b topology.Value[topology.CidrReservation]) int {
		return a.V.CidrBlock.V.Compare(b.V.CidrBlock.V)
	})
}

// plainNames tells whether a subnet names instances as a new one does.
func (s *rawSubnet) plainNames() bool {
	o := s.PrivateDnsNameOptionsOnLaunch
	return (o.HostnameType == "" || o.HostnameType == "ip-name") && !o.EnableResourceNameDnsARecord
}

// ownTags are those of what a VPC comes with, which has no name in a file but the tag.
func (c *converter) ownTags(kind, object string, tags []rawTag) (v topology.Value[map[string]string]) {
	kept := c.tags(kind, object, tags)
	for _, t := range tags {
		if t.Key == "Name" && c.fits(kind, object, t.Key, t.Value) {
			kept[t.Key] = t.Value
		}
	}
	if len(kept) > 0 {
		v = set(kept)
	}
	return v
}

// lost notes the tags of what the file has no entry for, because the default VPC comes with it.
func (c *converter) lost(kind, object string, tags []rawTag) {
	if c.ownTags(kind, object, tags).Set {
		c.note(kind, object, "its tags: a topology file has none for what the default VPC comes with")
	}
}

func (c *converter) convertInternetGateways() {
	for _, g := range c.InternetGateways {
		name := c.names.by[g.InternetGatewayId]
		if name == topology.DefaultName {
			c.lost("Internet gateway", label(nameOf(g.Tags), g.InternetGatewayId, g.origin), g.Tags)
			continue
		}
		o := &topology.InternetGateway{}
		c.begin(&o.Head, "internet_gateways", name, g.InternetGatewayId, g.Tags, g.origin)
		if v, ok := c.names.of(g.vpc()); ok {
			o.Vpc = set(v)
		}
		c.file.InternetGateways.List = append(c.file.InternetGateways.List, o)
	}
}

func (c *converter) convertDhcpOptions() {
	for _, d := range c.DhcpOptions {
		name, ok := c.names.of(d.DhcpOptionsId)
		if !ok {
			continue
		}
		o := &topology.DhcpOptions{}
		c.begin(&o.Head, "dhcp_options", name, d.DhcpOptionsId, d.Tags, d.origin)
		said := label(nameOf(d.Tags), d.DhcpOptionsId, d.origin)
		servers := func(key string, values []string) topology.List[string] {
			l := list[string]()
			for _, v := range values {
				a, err := netip.ParseAddr(v)
				switch {
				case err == nil && (a.Is4() || key != "netbios-name-servers"), key == "domain-name-servers" && v == "AmazonProvidedDNS":
					if l.V = append(l.V, set(v)); err == nil && !a.Is4() && c.lab == nil {
						c.note("DHCP option set", said, "%s %s is kept, and not handed out: a lab has no IPv6 yet", key, v)
					}
				default:
					c.note("DHCP option set", said, "%s %s is no address", key, printable(shorten(v)))
				}
			}
			l.Set = len(l.V) > 0
			return l
		}
		for _, option := range d.DhcpConfigurations {
			var values []string
			for _, v := range option.Values {
				values = append(values, v.Value)
			}
			switch key := option.Key; {
			case len(values) == 0:
			case key == "domain-name":
				o.DomainName = set(strings.Join(values, " "))
			case key == "domain-name-servers":
				o.DomainNameServers = servers(key, values)
			case key == "ntp-servers":
				o.NtpServers = servers(key, values)
			case key == "netbios-name-servers":
				o.NetbiosNameServers = servers(key, values)
			case key == "netbios-node-type" && slices.Contains([]string{"1", "2", "4", "8"}, values[0]):
				o.NetbiosNodeType = set(int(values[0][0] - '0'))
			case key == "ipv6-address-preferred-lease-time" && isNumber(values[0]):
				n, _ := strconv.Atoi(values[0]) // a number it is
				o.Ipv6AddressPreferredLeaseTime = set(n)
			default:
				c.note("DHCP option set", said, "its option %s", printable(shorten(key)))
			}
		}
		c.file.DhcpOptions.List = append(c.file.DhcpOptions.List, o)
	}
}

func isNumber(s string) bool { _, err := strconv.Atoi(s); return err == nil }

func (c *converter) convertKeyPairs() {
	for _, k := range c.KeyPairs {
		o := &topology.KeyPair{}
		name := c.names.by["key/"+k.KeyName]
		own := ""
		if k.KeyName != name {
			own = fmt.Sprintf("KeyName %q", k.KeyName)
		}
		c.begin(&o.Head, "key_pairs", name, k.KeyPairId, k.Tags, k.origin, own)
		key := strings.TrimSpace(k.PublicKey)
		if key == "" && c.lab != nil {
			key = c.keyOfInstances(k.KeyName)
			c.note("key pair", k.KeyName, "it was deleted there, and is in the file for the instances that were launched with it")
		}
		_, _, _, _, err := ssh.ParseAuthorizedKey([]byte(key))
		switch {
		case key == "":
			c.note("key pair", k.KeyName, "its public key was not read (aws ec2 describe-key-pairs --include-public-key): vpcemu makes a pair of its own")
		case err != nil || strings.ContainsAny(key, "\r\n"):
			c.note("key pair", k.KeyName, "its public key is none in the form of authorized_keys: vpcemu makes a pair of its own")
		default:
			o.PublicKey = set(key)
		}
		c.file.KeyPairs.List = append(c.file.KeyPairs.List, o)
	}
}

// keyOfInstances is the public key that instances of a lab have of a pair that was deleted since.
func (c *converter) keyOfInstances(name string) string {
	view := c.lab.In(c.region)
	for _, i := range view.Instances.All() {
		if i.KeyName == name && i.State != vpc.StateTerminated && i.PublicKey != "" {
			return strings.TrimSpace(i.PublicKey)
		}
	}
	return ""
}
