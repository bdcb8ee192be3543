package imds

import (
	"net/netip"
	"strconv"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// interfaces are network/interfaces/macs/, a directory for each attached interface.
func (c *caller) interfaces() []node {
	var macs []node
	for _, n := range c.nics {
		macs = append(macs, dir(n.MacAddress, "", c.networkInterface(n)...))
	}
	return macs
}

// networkInterface is what one interface's directory has (IM-05).
func (c *caller) networkInterface(n *vpc.NetworkInterface) []node {
	var addresses, groups []string
	for _, p := range n.PrivateIps {
		addresses = append(addresses, p.PrivateIp.String())
	}
	for _, g := range n.Groups {
		groups = append(groups, string(g))
	}
	public := c.publics(n)
	var associations []node
	for _, p := range public.pairs {
		associations = append(associations, file(p.public.String(), "", p.private.String()))
	}
	return join(
		[]node{
			file("device-number", "", strconv.Itoa(n.Attachment.DeviceIndex)),
			file("interface-id", "", string(n.ID)),
			dir("ipv4-associations", "", associations...),
			file("local-hostname", "", vpc.PrivateDnsName(n.Region, n.Primary())),
		},
		some("local-ipv4s", "", addresses...),
		[]node{
			file("mac", "", n.MacAddress),
			file("network-card-index", "2020-10-27", "0"),
			file("owner-id", "", n.Account),
		},
		some("public-hostname", "", public.name()),
		some("public-ipv4s", "", public.addresses()...),
		some("security-group-ids", "", groups...),
		some("security-groups", "", c.groups(n)...),
		c.ranges(n),
	)
}

// ranges are the blocks of an interface's subnet and VPC.
func (c *caller) ranges(n *vpc.NetworkInterface) []node {
	nodes := []node{file("subnet-id", "", string(n.SubnetID))}
	if s := c.model.Subnets.Get(n.SubnetID); s != nil {
		nodes = append(nodes, file("subnet-ipv4-cidr-block", "", s.CidrBlock.String()))
	}
	nodes = append(nodes, file("vpc-id", "", string(n.VpcID)))
	if v := c.model.Vpcs.Get(n.VpcID); v != nil {
		var blocks []string
		for _, a := range v.Cidrs {
			if a.State == "associated" {
				blocks = append(blocks, a.CidrBlock.String())
			}
		}
		nodes = append(nodes, file("vpc-ipv4-cidr-block", "", v.CidrBlock.String()))
		nodes = append(nodes, some("vpc-ipv4-cidr-blocks", "2016-06-30", blocks...)...)
	}
	return nodes
}

// groups are the names of an interface's security groups.
func (c *caller) groups(n *vpc.NetworkInterface) (names []string) {
	for _, id := range n.Groups {
		if g := c.model.SecurityGroups.Get(id); g != nil {
			names = append(names, g.GroupName)
		}
	}
	return names
}

// publics are the public addresses of interfaces and what they stand for.
type publics struct {
	c     *caller
	pairs []pair
}

type pair struct{ public, private netip.Addr }

func (c *caller) publics(nics ...*vpc.NetworkInterface) publics {
	p := publics{c: c}
	for _, n := range nics {
		for _, a := range n.PrivateIps {
			if public := c.model.PublicAddressOf(n, a); public.IsValid() {
				p.pairs = append(p.pairs, pair{public, a.PrivateIp})
			}
		}
	}
	return p
}

func (p publics) addresses() (list []string) {
	for _, a := range p.pairs {
		list = append(list, a.public.String())
	}
	return list
}

// first is the first address, "" if there is none.
func (p publics) first() string {
	if len(p.pairs) == 0 {
		return ""
	}
	return p.pairs[0].public.String()
}

// name is the public name of the first address (DNS-06), "" if there is none or the VPC
// gives no names.
func (p publics) name() string {
	if len(p.pairs) == 0 {
		return ""
	}
	return p.c.model.PublicDnsName(p.c.VpcID, p.pairs[0].public)
}
