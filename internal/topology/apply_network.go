package topology

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// tagsOf are the tags that the object at hand is to have.
func (c *converger) tagsOf() map[string]string {
	tags := maps.Clone(c.head.Tags.V)
	if tags == nil {
		tags = map[string]string{}
	}
	tags["Name"] = c.head.Name
	return tags
}

// tagged is the tag specification for creating the object at hand.
func (c *converger) tagged(resource string) []vpc.TagSpecification {
	return []vpc.TagSpecification{{ResourceType: resource, Tags: tagList(c.tagsOf())}}
}

func tagList(tags map[string]string) (list []vpc.Tag) {
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, vpc.Tag{Key: k, Value: tags[k]})
	}
	return list
}

// retag makes the tags of an object what they are to be.
func (c *converger) retag(id string, is map[string]string) {
	c.retagAs("tags", id, is, c.tagsOf())
}

// retagAs is retag for what a VPC comes with, which has no name in the file. The key says where its tags are.
func (c *converger) retagAs(key, id string, is, want map[string]string) {
	if maps.Equal(is, want) {
		return
	}
	resources := []vpc.ResourceID{vpc.ResourceID(id)}
	var extra []vpc.DeleteTag
	for _, k := range slices.Sorted(maps.Keys(is)) {
		if _, keep := want[k]; !keep {
			extra = append(extra, vpc.DeleteTag{Key: k})
		}
	}
	if len(extra) > 0 {
		call[vpc.DeleteTagsOutput](c, &vpc.DeleteTagsInput{Resources: resources, Tags: extra})
	}
	if len(want) > 0 {
		call[vpc.CreateTagsOutput](c, &vpc.CreateTagsInput{Resources: resources, Tags: tagList(want)})
	}
	c.did("%s", key)
}

func boolean(b bool) vpc.AttributeBooleanValue { return vpc.AttributeBooleanValue{Value: &b} }

// network makes VPCs, what is in them without addresses of its own, and what they need.
func (c *converger) network() {
	for _, o := range c.f.DhcpOptions.List {
		c.dhcpOptions(o)
	}
	for _, o := range c.f.KeyPairs.List {
		c.keyPair(o)
	}
	for _, o := range c.f.Vpcs.List {
		c.vpc(o)
	}
	for _, o := range c.f.Subnets.List {
		c.subnet(o)
	}
	c.internetGateways()
	for _, o := range c.f.SecurityGroups.List {
		c.securityGroup(o)
	}
	c.groupRules() // after all groups: they name one another
	for _, o := range c.f.NetworkAcls.List {
		c.networkAcl(o)
	}
	c.aclAssociations()
}

func (c *converger) dhcpOptions(o *DhcpOptions) {
	c.at(&o.Head)
	if id, ok := c.present(&o.Head); ok {
		c.retag(id, c.tx.DhcpOptions.Get(vpc.DhcpOptionsID(id)).Tags)
		c.done()
		return
	}
	in := &vpc.CreateDhcpOptionsInput{TagSpecifications: c.tagged("dhcp-options")}
	add := func(key string, v ...string) {
		if len(v) > 0 && v[0] != "" {
			in.DhcpConfigurations = append(in.DhcpConfigurations, vpc.NewDhcpConfiguration{Key: key, Values: v})
		}
	}
	add("domain-name", o.DomainName.V)
	add("domain-name-servers", values(o.DomainNameServers)...)
	add("ntp-servers", values(o.NtpServers)...)
	add("netbios-name-servers", values(o.NetbiosNameServers)...)
	if o.NetbiosNodeType.Set {
		add("netbios-node-type", fmt.Sprint(o.NetbiosNodeType.V))
	}
	if o.Ipv6AddressPreferredLeaseTime.Set {
		add("ipv6-address-preferred-lease-time", fmt.Sprint(o.Ipv6AddressPreferredLeaseTime.V))
	}
	c.made(string(call[vpc.CreateDhcpOptionsOutput](c, in).DhcpOptions.DhcpOptionsId))
}

// keyPair imports a public key, or one just made: its private half goes to
// whoever converges. A pair that exists is left alone, so that it is made once.
func (c *converger) keyPair(o *KeyPair) {
	c.at(&o.Head)
	if id, ok := c.present(&o.Head); ok {
		is := c.tx.KeyPairs.Get(id)
		c.retag(string(is.ID), is.Tags)
		c.done()
		return
	}
	public := o.PublicKey.V
	if !o.PublicKey.Set && c.err == nil {
		var private []byte
		var err error
		if public, private, err = c.newKey(o.Name); err != nil {
			c.fail(o.Line, &o.Head, fmt.Errorf("making a key: %w", err))
		}
		c.keys[c.tx.KeyPairKey(c.tx.Call.Region, o.Name)] = private
	}
	call[vpc.ImportKeyPairOutput](c, &vpc.ImportKeyPairInput{KeyName: o.Name, PublicKeyMaterial: []byte(public), TagSpecifications: c.tagged("key-pair")})
	c.made(c.tx.KeyPairKey(c.tx.Call.Region, o.Name))
}

func (c *converger) vpc(o *Vpc) {
	c.at(&o.Head)
	text, present := c.present(&o.Head)
	if !present {
		c.noTwin(o)
		out := call[vpc.CreateVpcOutput](c, &vpc.CreateVpcInput{CidrBlock: o.CidrBlock.V.String(), InstanceTenancy: o.InstanceTenancy.V, TagSpecifications: c.tagged("vpc")})
		text = string(out.Vpc.VpcId)
		c.made(text)
	}
	id := vpc.VpcID(text)
	is := c.tx.Vpcs.Get(id)
	if c.err != nil || is == nil {
		return
	}
	c.retag(text, is.Tags)
	if is.InstanceTenancy != o.InstanceTenancy.V {
		call[vpc.ModifyVpcTenancyOutput](c, &vpc.ModifyVpcTenancyInput{VpcId: id, InstanceTenancy: o.InstanceTenancy.V})
		c.did("instance_tenancy")
	}
	c.secondaryBlocks(o, is)
	c.dnsAttributes(o, is)
	if want := c.dhcpOptionsOf(o); is.DhcpOptionsID != want && (is.DhcpOptionsID != "" || want != noDhcpOptions) {
		c.line = max(o.DhcpOptions.Line, o.Line)
		call[vpc.AssociateDhcpOptionsOutput](c, &vpc.AssociateDhcpOptionsInput{DhcpOptionsId: want, VpcId: id})
		c.did("dhcp_options")
	}
	c.done()
}

// noTwin refuses to make a VPC once more that calls have made: the same range, and the name that it has
// or that an export gives it. A second one is seldom meant, and then has another name.
func (c *converger) noTwin(o *Vpc) {
	for id, v := range c.tx.Vpcs.All() {
		name := cmp.Or(v.Name(), strings.TrimSuffix(v.CidrBlock.String(), "/16"))
		name = strings.TrimRight(strings.Trim(notInName.ReplaceAllString(name, "-"), "-"), "_.")
		if v.Source == "" && v.CidrBlock == o.CidrBlock.V && v.Region == c.tx.Call.Region && (o.Name == name || o.Name == "vpc-"+name) {
			c.fail(o.Line, &o.Head, fmt.Errorf("it is there as %s, which no file made: `vpcemu export --adopt` writes a file that takes it over; for a second one give this another name", id))
		}
	}
}

// notInName is what a file's names do not have, and tags may.
var notInName = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

func (c *converger) secondaryBlocks(o *Vpc, is *vpc.Vpc) {
	want := values(o.SecondaryCidrBlocks)
	for _, a := range is.Cidrs[1:] {
		if !slices.Contains(want, a.CidrBlock) {
			call[vpc.DisassociateVpcCidrBlockOutput](c, &vpc.DisassociateVpcCidrBlockInput{AssociationId: a.ID})
			c.did("secondary_cidr_blocks: without %s", a.CidrBlock)
		}
	}
	for _, b := range o.SecondaryCidrBlocks.V {
		if !slices.ContainsFunc(is.Cidrs, func(a vpc.CidrAssociation) bool { return a.CidrBlock == b.V }) {
			c.line = b.Line
			call[vpc.AssociateVpcCidrBlockOutput](c, &vpc.AssociateVpcCidrBlockInput{VpcId: is.ID, CidrBlock: b.V.String()})
			c.did("secondary_cidr_blocks: with %s", b.V)
		}
	}
	c.line = o.Line
}

// dnsAttributes sets them. Hostnames can be enabled only while the resolver is on (DNS-04), and stay enabled when it
// is turned off.
func (c *converger) dnsAttributes(o *Vpc, is *vpc.Vpc) {
	id, support, hostnames := is.ID, is.EnableDnsSupport, is.EnableDnsHostnames
	set := func(on bool) {
		if support != on {
			call[vpc.ModifyVpcAttributeOutput](c, &vpc.ModifyVpcAttributeInput{VpcId: id, EnableDnsSupport: boolean(on)})
			support = on
		}
	}
	if support != o.EnableDnsSupport.V {
		c.did("enable_dns_support")
	}
	if hostnames != o.EnableDnsHostnames.V {
		set(o.EnableDnsSupport.V || o.EnableDnsHostnames.V)
		call[vpc.ModifyVpcAttributeOutput](c, &vpc.ModifyVpcAttributeInput{VpcId: id, EnableDnsHostnames: boolean(o.EnableDnsHostnames.V)})
		c.did("enable_dns_hostnames")
	}
	set(o.EnableDnsSupport.V)
}

// noDhcpOptions is the API's ID for no option set at all (DH-02).
const noDhcpOptions vpc.DhcpOptionsID = "default"

func (c *converger) dhcpOptionsOf(o *Vpc) vpc.DhcpOptionsID {
	switch o.DhcpOptions.V {
	case "":
		return c.tx.DefaultDhcpOptions(c.f.regionOf("vpcs", o.Name))
	case "none":
		return noDhcpOptions
	}
	return vpc.DhcpOptionsID(c.id("dhcp_options", o.DhcpOptions.V))
}

func (c *converger) subnet(o *Subnet) {
	c.at(&o.Head)
	text, present := c.present(&o.Head)
	if !present {
		out := call[vpc.CreateSubnetOutput](c, &vpc.CreateSubnetInput{VpcId: vpc.VpcID(c.refID("vpcs", o.Vpc.V)),
			CidrBlock: o.CidrBlock.V.String(), AvailabilityZone: o.AvailabilityZone.V, TagSpecifications: c.tagged("subnet")})
		text = string(out.Subnet.SubnetId)
		c.made(text)
	}
	is := c.tx.Subnets.Get(vpc.SubnetID(text))
	if c.err != nil || is == nil {
		return
	}
	c.retag(text, is.Tags)
	if is.MapPublicIpOnLaunch != o.MapPublicIpOnLaunch.V {
		call[vpc.ModifySubnetAttributeOutput](c, &vpc.ModifySubnetAttributeInput{SubnetId: is.ID, MapPublicIpOnLaunch: boolean(o.MapPublicIpOnLaunch.V)})
		c.did("map_public_ip_on_launch")
	}
	c.subnetNames(o, is)
	c.reservations(o, is.ID)
	c.done()
}

// reservations makes those of a subnet what the file says. AWS cannot change one, so what differs is made anew.
func (c *converger) reservations(o *Subnet, id vpc.SubnetID) {
	same := func(is *vpc.SubnetCidrReservation, r CidrReservation) bool {
		return is.Cidr == r.CidrBlock.V && is.ReservationType == r.ReservationType.V && is.Description == r.Description.V
	}
	have := map[netip.Prefix]bool{}
	for rid, is := range c.tx.SubnetCidrReservations.All() {
		if is.SubnetID != id {
			continue
		}
		if slices.ContainsFunc(o.CidrReservations.V, func(r Value[CidrReservation]) bool { return same(is, r.V) }) {
			have[is.Cidr] = true
			continue
		}
		call[vpc.DeleteSubnetCidrReservationOutput](c, &vpc.DeleteSubnetCidrReservationInput{SubnetCidrReservationId: rid})
		c.did("cidr_reservations: without %s", is.Cidr)
	}
	for _, r := range o.CidrReservations.V {
		if c.line = r.Line; !have[r.V.CidrBlock.V] {
			call[vpc.CreateSubnetCidrReservationOutput](c, &vpc.CreateSubnetCidrReservationInput{SubnetId: id, Cidr: r.V.CidrBlock.V.String(), ReservationType: r.V.ReservationType.V, Description: r.V.Description.V})
			c.did("cidr_reservations: with %s", r.V.CidrBlock.V)
		}
	}
}

// internetGateways are all detached from where they do not belong before one is
// attached: two may change places.
func (c *converger) internetGateways() {
	moved := map[string]bool{}
	for _, o := range c.f.InternetGateways.List {
		c.at(&o.Head)
		id, present := c.present(&o.Head)
		if !present {
			id = string(call[vpc.CreateInternetGatewayOutput](c, &vpc.CreateInternetGatewayInput{TagSpecifications: c.tagged("internet-gateway")}).InternetGateway.InternetGatewayId)
			c.made(id)
			continue
		}
		is := c.tx.InternetGateways.Get(vpc.InternetGatewayID(id))
		if is.VpcID != "" && string(is.VpcID) != c.refID("vpcs", o.Vpc.V) {
			c.line = max(o.Vpc.Line, o.Line)
			c.detachGateway(is)
			moved[o.Name] = true
		}
	}
	for _, o := range c.f.InternetGateways.List {
		c.at(&o.Head)
		is := c.tx.InternetGateways.Get(vpc.InternetGatewayID(c.id("internet_gateways", o.Name)))
		if c.err != nil || is == nil {
			return
		}
		c.retag(string(is.ID), is.Tags)
		if want := vpc.VpcID(c.refID("vpcs", o.Vpc.V)); want != is.VpcID {
			c.line = o.Vpc.Line
			call[vpc.AttachInternetGatewayOutput](c, &vpc.AttachInternetGatewayInput{InternetGatewayId: is.ID, VpcId: want})
			c.did("attached to vpc %s", o.Vpc.V)
		} else if moved[o.Name] {
			c.did("detached")
		}
		c.done()
	}
}
