package importer

import (
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/topology"
)

// complete fills in what one call's answer says about the objects of another's that was not dumped, and drops what
// is no more.
func (c *converter) complete() {
	c.unread()
	c.defaultGroup = map[string]string{}
	for _, g := range c.SecurityGroups {
		if g.GroupName == "default" {
			c.defaultGroup[g.VpcId] = g.GroupId
		}
	}
	c.addGroupRules()
	c.addInterfaces()
	c.addGateways()
	c.dropNatGateways()
	c.addAddresses()
	c.addKeyPairs()
}

// unread notes the calls of a dump whose answers are missing, where nothing else would tell: what they describe is then
// as in a new VPC. A call that was refused for want of a permission leaves no file.
func (c *converter) unread() {
	if c.terraform || c.lab != nil || len(c.Vpcs) == 0 {
		return
	}
	for _, m := range []struct{ member, call, so string }{
		{"RouteTables", "describe-route-tables", "every VPC has its main route table alone, with the local route"},
		{"NetworkAcls", "describe-network-acls", "every subnet has its VPC's default network ACL, which allows everything"},
		{"NatGateways", "describe-nat-gateways", "there are none in the file"},
		{"Addresses", "describe-addresses", "Elastic IPs that nothing uses are not in the file"},
		{"SecurityGroups", "describe-security-groups", "every VPC has its default group alone, as AWS makes it"},
		{"NetworkInterfaces", "describe-network-interfaces", "interfaces that no instance has are not in the file"},
		{"FlowLogs", "describe-flow-logs", "there are none in the file"},
		{"Reservations", "describe-instances", "there are none in the file"},
	} {
		if !c.has[m.member] {
			c.note("file", "", "%s was not read: %s", m.call, m.so)
		}
	}
	if c.opt.WithoutUserData {
		return
	}
	for _, i := range c.Instances {
		if a := c.instanceAttributes[i.InstanceId]; a.UserData == nil && i.State.Name != "terminated" {
			c.note("instance", label(nameOf(i.Tags), i.InstanceId, i.origin), "its user data was not read (describe-instance-attribute --attribute userData)")
		}
	}
}

// addGroupRules gives groups the rules of describe-security-group-rules where describe-security-groups had none.
func (c *converter) addGroupRules() {
	for _, g := range c.SecurityGroups {
		if len(g.IpPermissions)+len(g.IpPermissionsEgress) > 0 {
			continue
		}
		for _, r := range c.GroupRules {
			if r.GroupId != g.GroupId {
				continue
			}
			if p := r.permission(); r.IsEgress {
				g.IpPermissionsEgress = append(g.IpPermissionsEgress, p)
			} else {
				g.IpPermissions = append(g.IpPermissions, p)
			}
		}
	}
	for _, r := range c.GroupRules {
		if g := c.group(r.GroupId); g != nil && len(r.Tags) > 0 {
			r.tag(g)
		}
	}
}

// tag puts the rule's tags on what says the same in the group's permissions, which have none. A Terraform state may
// say it twice, in the group and as a resource of its own; the first counts, so both get them.
func (r *rawGroupRule) tag(g *rawSecurityGroup) {
	permissions := g.IpPermissions
	if r.IsEgress {
		permissions = g.IpPermissionsEgress
	}
	for _, p := range permissions {
		if !r.sameTraffic(p) {
			continue
		}
		for i := range p.IpRanges {
			if p.IpRanges[i].CidrIp == r.CidrIpv4 {
				p.IpRanges[i].tags = r.Tags
			}
		}
		for i := range p.PrefixListIds {
			if p.PrefixListIds[i].PrefixListId == r.PrefixListId {
				p.PrefixListIds[i].tags = r.Tags
			}
		}
		for i := range p.UserIdGroupPairs {
			if r.ReferencedGroupInfo != nil && p.UserIdGroupPairs[i].GroupId == r.ReferencedGroupInfo.GroupId {
				p.UserIdGroupPairs[i].tags = r.Tags
			}
		}
	}
}

// sameTraffic compares what is allowed. Ports that do not matter are written as 0, -1 or not at all.
func (r *rawGroupRule) sameTraffic(p rawPermission) bool {
	protocol, _ := protocolOf(r.IpProtocol)
	if other, _ := protocolOf(p.IpProtocol); other != protocol {
		return false
	}
	if !slices.Contains([]topology.Protocol{"tcp", "udp", "icmp"}, protocol) {
		return true
	}
	number := func(p *int) int {
		if p == nil {
			return -1
		}
		return *p
	}
	return number(p.FromPort) == number(r.FromPort) && number(p.ToPort) == number(r.ToPort)
}

// permission is the rule in the form of describe-security-groups.
func (r *rawGroupRule) permission() rawPermission {
	p := rawPermission{IpProtocol: r.IpProtocol, FromPort: r.FromPort, ToPort: r.ToPort}
	switch {
	case r.CidrIpv4 != "":
		p.IpRanges = append(p.IpRanges, rawRange{r.CidrIpv4, r.Description, r.Tags})
	case r.CidrIpv6 != "":
		p.Ipv6Ranges = append(p.Ipv6Ranges, rawIpv6Range{r.CidrIpv6, r.Description})
	case r.PrefixListId != "":
		p.PrefixListIds = append(p.PrefixListIds, rawListRange{r.PrefixListId, r.Description, r.Tags})
	case r.ReferencedGroupInfo != nil:
		pair := *r.ReferencedGroupInfo
		pair.Description, pair.tags = r.Description, r.Tags
		p.UserIdGroupPairs = append(p.UserIdGroupPairs, pair)
	}
	return p
}

// addInterfaces brings together what describe-instances and describe-network-interfaces say of the same interface. The
// latter has more. An instance that comes without interfaces has the one that its own members describe.
func (c *converter) addInterfaces() {
	c.primaries = map[string]*rawInterface{}
	for _, i := range c.Instances {
		if len(i.NetworkInterfaces) == 0 {
			i.NetworkInterfaces = []*rawInterface{i.implied()}
		}
		for at, n := range i.NetworkInterfaces {
			if n.Attachment == nil {
				n.Attachment = &rawAttachment{DeviceIndex: at}
			}
			n.Attachment.InstanceId = i.InstanceId
			n.origin = i.origin
			n.address = "" // it is the instance's
			if more := c.networkInterface(n.NetworkInterfaceId); more != nil {
				more.Attachment = n.Attachment
				n = more
			} else if !n.Attachment.first() {
				c.NetworkInterfaces = append(c.NetworkInterfaces, n)
			}
			if n.Attachment.first() || c.primaries[i.InstanceId] == nil {
				c.primaries[i.InstanceId] = n
			}
		}
	}
}

// first tells whether it is that of the interface which an instance was launched with. Each network card counts for itself.
func (a *rawAttachment) first() bool { return a.DeviceIndex == 0 && a.NetworkCardIndex == 0 }

// implied is the one interface of an instance of which only the instance itself tells.
func (i *rawInstance) implied() *rawInterface {
	n := &rawInterface{SubnetId: i.SubnetId, VpcId: i.VpcId, PrivateIpAddress: i.PrivateIpAddress, SourceDestCheck: i.SourceDestCheck, Attachment: &rawAttachment{}}
	n.Groups = i.SecurityGroups
	if i.PublicIpAddress != "" {
		n.Association = &rawPublic{PublicIp: i.PublicIpAddress}
	}
	return n
}

// addGateways adds the Internet gateways that routes lead to, where they were not dumped: a gateway that routes lead
// to is attached to the VPC of their table. That of a VPC which another account shares shows to its owner alone.
func (c *converter) addGateways() {
	for _, t := range c.RouteTables {
		why := "describe-internet-gateways was not read; the gateway is in the file because routes lead to it, without its tags"
		if c.has["InternetGateways"] {
			if c.terraform || c.lab != nil {
				continue
			}
			why = "describe-internet-gateways does not tell of it, as of that of a VPC which another account shares; it is in the file because routes lead to it, without its tags"
		}
		for _, r := range t.Routes {
			if strings.HasPrefix(r.GatewayId, "igw-") && r.State != "blackhole" && !slices.ContainsFunc(c.InternetGateways, func(g *rawInternetGateway) bool { return g.vpc() == t.VpcId || g.InternetGatewayId == r.GatewayId }) {
				g := &rawInternetGateway{InternetGatewayId: r.GatewayId}
				g.Attachments = append(g.Attachments, struct{ VpcId, State string }{t.VpcId, "available"})
				c.InternetGateways = append(c.InternetGateways, g)
				c.note("Internet gateway", r.GatewayId, "%s", why)
			}
		}
	}
}

// dropNatGateways drops those that are no more, and those that a lab cannot have.
func (c *converter) dropNatGateways() {
	c.NatGateways = slices.DeleteFunc(c.NatGateways, func(g *rawNatGateway) bool {
		name := label(nameOf(g.Tags), g.NatGatewayId, g.origin)
		s := c.subnet(g.SubnetId)
		attached := func(i *rawInternetGateway) bool { return s != nil && i.vpc() == s.VpcId }
		switch public := g.ConnectivityType != "private"; {
		case g.State == "deleted" || g.State == "deleting" || g.State == "failed":
			c.note("NAT gateway", name, "is %s", g.State)
		case g.AvailabilityMode == "regional" || g.SubnetId == "":
			c.note("NAT gateway", name, "is a regional one; a lab has those of one zone only")
		case s == nil:
			c.note("NAT gateway", name, "its subnet %s is not in what was read (describe-subnets)", g.SubnetId)
		case public && g.primary().AllocationId == "":
			c.note("NAT gateway", name, "what was read does not tell its Elastic IP")
		case public && !slices.ContainsFunc(c.InternetGateways, attached):
			c.note("NAT gateway", name, "its VPC has no Internet gateway in what was read (describe-internet-gateways)")
		default:
			return false
		}
		return true
	})
}

// primary is the address that the gateway was made with.
func (g *rawNatGateway) primary() rawNatAddress {
	for _, a := range g.NatGatewayAddresses {
		if a.IsPrimary != nil && *a.IsPrimary {
			return a
		}
	}
	if len(g.NatGatewayAddresses) > 0 {
		return g.NatGatewayAddresses[0]
	}
	return rawNatAddress{}
}

// addAddresses adds the Elastic IPs of NAT gateways and interfaces that describe-addresses did not tell of.
func (c *converter) addAddresses() {
	add := func(a rawAddress) {
		if a.AllocationId != "" && c.elasticIp(a.AllocationId) == nil {
			c.Addresses = append(c.Addresses, &a)
		}
	}
	for _, g := range c.NatGateways {
		for _, n := range g.NatGatewayAddresses {
			add(rawAddress{AllocationId: n.AllocationId, PublicIp: n.PublicIp, origin: origin{region: g.region}})
		}
	}
	for _, n := range c.NetworkInterfaces {
		for _, p := range n.PrivateIpAddresses {
			if p.Association != nil && !n.managed() {
				add(rawAddress{AllocationId: p.Association.AllocationId, PublicIp: p.Association.PublicIp, NetworkInterfaceId: n.NetworkInterfaceId,
					PrivateIpAddress: p.PrivateIpAddress, origin: origin{region: n.region}})
			}
		}
	}
	c.Addresses = slices.DeleteFunc(c.Addresses, func(a *rawAddress) bool {
		if a.AllocationId == "" {
			c.note("Elastic IP", a.PublicIp, "is one of EC2-Classic")
		}
		return a.AllocationId == ""
	})
}

func (c *converter) elasticIp(id string) *rawAddress {
	return byID(c.Addresses, id, func(a *rawAddress) string { return a.AllocationId })
}

// addKeyPairs adds the pairs that instances name and describe-key-pairs did not tell of.
func (c *converter) addKeyPairs() {
	for _, i := range c.Instances {
		if i.KeyName != "" && !slices.ContainsFunc(c.KeyPairs, func(k *rawKeyPair) bool { return k.KeyName == i.KeyName }) {
			c.KeyPairs = append(c.KeyPairs, &rawKeyPair{KeyName: i.KeyName})
		}
	}
}

// managed tells whether an AWS service made the interface for itself, or has it: what it is attached to is then no instance that
// the account sees, and belongs to another.
func (n *rawInterface) managed() bool {
	a := n.Attachment
	foreign := a != nil && a.InstanceId == "" && a.InstanceOwnerId != "" && a.InstanceOwnerId != n.OwnerId && !strings.HasPrefix(a.Status, "detach")
	return n.RequesterManaged || foreign || n.InterfaceType != "" && !slices.Contains([]string{"interface", "efa", "efa-only", "trunk", "branch"}, n.InterfaceType)
}

// standsAlone tells whether the interface becomes one of the file's network_interfaces: it is not the first one of
// an instance, which comes with it, and no service's.
func (c *converter) standsAlone(n *rawInterface) bool {
	if n.managed() {
		return false
	}
	for _, p := range c.primaries {
		if p == n || p.NetworkInterfaceId != "" && p.NetworkInterfaceId == n.NetworkInterfaceId {
			return false
		}
	}
	return true
}
