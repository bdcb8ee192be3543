package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// planReplacements finds the objects of the file that have to be made anew,
// because what differs cannot be changed or because something they are part of is
// made anew. It goes in dependency order, so that one pass sees all.
func (c *converger) planReplacements() {
	if c.err != nil {
		return
	}
	f := c.f
	for _, o := range f.DhcpOptions.List {
		plan(c, &o.Head, &c.tx.DhcpOptions, func(is *vpc.DhcpOptions) string {
			return first(c.elsewhere(&o.Head, is.Region), o.differs(is))
		})
	}
	for _, o := range f.KeyPairs.List {
		plan(c, &o.Head, &c.tx.KeyPairs, func(is *vpc.KeyPair) string {
			if o.PublicKey.Set && keyFields(o.PublicKey.V) != keyFields(is.PublicKey) {
				return "public_key"
			}
			return c.elsewhere(&o.Head, is.Region)
		})
	}
	for _, o := range f.Vpcs.List {
		plan(c, &o.Head, &c.tx.Vpcs, func(is *vpc.Vpc) string {
			return first(c.elsewhere(&o.Head, is.Region), differs("cidr_block", is.CidrBlock, o.CidrBlock.V),
				when(o.InstanceTenancy.V == "dedicated" && is.InstanceTenancy != "dedicated", "instance_tenancy"))
		})
	}
	for _, o := range f.Subnets.List {
		plan(c, &o.Head, &c.tx.Subnets, func(is *vpc.Subnet) string {
			return first(c.moved("vpc", "vpcs", o.Vpc.V, string(is.VpcID)), differs("cidr_block", is.CidrBlock, o.CidrBlock.V),
				differsSet("availability_zone", is.AvailabilityZone, o.AvailabilityZone))
		})
	}
	for _, o := range f.SecurityGroups.List {
		plan(c, &o.Head, &c.tx.SecurityGroups, func(is *vpc.SecurityGroup) string {
			return first(c.moved("vpc", "vpcs", o.Vpc.V, string(is.VpcID)), differs("group_name", is.GroupName, o.groupName()), differs("description", is.Description, o.Description.V))
		})
	}
	for _, o := range f.NetworkAcls.List {
		plan(c, &o.Head, &c.tx.NetworkAcls, func(is *vpc.NetworkAcl) string { return c.moved("vpc", "vpcs", o.Vpc.V, string(is.VpcID)) })
	}
	for _, o := range f.RouteTables.List {
		plan(c, &o.Head, &c.tx.RouteTables, func(is *vpc.RouteTable) string { return c.moved("vpc", "vpcs", o.Vpc.V, string(is.VpcID)) })
	}
	for _, o := range f.ElasticIps.List {
		plan(c, &o.Head, &c.tx.Addresses, func(is *vpc.Address) string {
			return first(c.elsewhere(&o.Head, is.Region), differsSet("address", is.PublicIp, o.Address))
		})
	}
	for _, o := range f.InternetGateways.List {
		plan(c, &o.Head, &c.tx.InternetGateways, func(is *vpc.InternetGateway) string { return c.elsewhere(&o.Head, is.Region) })
	}
	c.planMachines()
	for _, o := range f.FlowLogs.List {
		plan(c, &o.Head, &c.tx.FlowLogs, func(is *vpc.FlowLog) string { return c.flowLogDiffers(o, is) })
	}
}

func (c *converger) planMachines() {
	f := c.f
	for _, o := range f.NatGateways.List {
		plan(c, &o.Head, &c.tx.NatGateways, func(is *vpc.NatGateway) string {
			var addr vpc.NatGatewayAddress
			if len(is.Addresses) > 0 {
				addr = is.Addresses[0]
			}
			return first(c.moved("subnet", "subnets", o.Subnet.V, string(is.SubnetID)), differs("connectivity_type", is.ConnectivityType, o.ConnectivityType.V),
				c.moved("elastic_ip", "elastic_ips", o.ElasticIp.V, string(addr.AllocationID)),
				differsSet("private_ip", addr.PrivateIp, o.PrivateIp), when(is.State == "failed", "it failed: "+is.FailureMessage))
		})
	}
	for _, o := range f.NetworkInterfaces.List {
		plan(c, &o.Head, &c.tx.NetworkInterfaces, func(is *vpc.NetworkInterface) string {
			primary := ""
			if len(o.PrivateIps.V) > 0 && o.PrivateIps.V[0].V != is.PrivateIps[0].PrivateIp {
				primary = "private_ips"
			}
			return first(c.moved("subnet", "subnets", o.Subnet.V, string(is.SubnetID)), primary, differs("link_type", is.LinkType, o.LinkType.V))
		})
	}
	for _, o := range f.Instances.List {
		c.planDisk(&o.Head, plan(c, &o.Head, &c.tx.Instances, func(is *vpc.Instance) string { return c.instanceDiffers(o, is) }))
	}
	for _, o := range f.InternetHosts.List {
		c.planDisk(&o.Head, plan(c, &o.Head, &c.tx.InternetHosts, func(is *vpc.InternetHost) string {
			return first(differsSet("address", is.PublicIp, o.Address), when(!slices.Equal(is.KeyNames, values(o.KeyNames)), "key_names"),
				c.newKeys(values(o.KeyNames)...), differs("user_data", is.UserData, o.UserData.V), differs("link_type", is.LinkType, o.LinkType.V), differs("rootfs", rootfsName(is.Rootfs), o.Rootfs.V))
		}))
	}
}

func (c *converger) instanceDiffers(o *Instance, is *vpc.Instance) string {
	subnet := ""
	switch s := c.tx.Subnets.Get(is.SubnetID); {
	case o.Subnet.Set:
		subnet = c.moved("subnet", "subnets", o.Subnet.V, string(is.SubnetID))
	case s == nil || !s.DefaultForAz:
		subnet = "subnet"
	default:
		subnet = differsSet("availability_zone", s.AvailabilityZone, o.AvailabilityZone)
	}
	own := c.tx.InstanceInterfaces(is.ID)
	if len(own) == 0 {
		return "it has lost its network interface"
	}
	keys := []string{}
	if o.KeyName.Set {
		keys = append(keys, o.KeyName.V)
	}
	return first(subnet, differsSet("ami", is.ImageID, o.Ami), differs("key_name", is.KeyName, o.KeyName.V), c.newKeys(keys...),
		differs("tenancy", is.Tenancy, c.tenancy(o)), differs("link_type", own[0].LinkType, o.LinkType.V),
		differsSet("private_ip", own[0].PrivateIps[0].PrivateIp, o.PrivateIp), when(!slices.Equal(is.Devices, values(o.Devices)), "devices"), differs("rootfs", rootfsName(is.Rootfs), o.Rootfs.V))
}

// tenancy is the instance's: that of a dedicated VPC, or its own (IN-05). An
// instance that is dedicated stays so when its VPC becomes a default one.
func (c *converger) tenancy(o *Instance) string {
	s := c.f.Subnets.Get(o.Subnet.V)
	if s == nil {
		return o.Tenancy.V
	}
	if v := c.f.Vpcs.Get(s.Vpc.V); v != nil && v.InstanceTenancy.V == "dedicated" {
		return "dedicated"
	}
	if i := c.tx.Instances.Get(vpc.InstanceID(c.id("instances", o.Name))); i != nil && !o.Tenancy.Set {
		return i.Tenancy
	}
	return o.Tenancy.V
}

// newKeys tells whether one of the key pairs is made anew: what was installed at
// the first boot would no longer fit.
func (c *converger) newKeys(names ...string) string {
	for _, n := range names {
		if _, anew := c.replace["key_pairs."+n]; anew {
			return "key pair " + n
		}
	}
	return ""
}

// planDisk refuses to make a machine anew unless it is allowed to.
func (c *converger) planDisk(h *Head, anew bool) {
	if anew && !c.opt.Replace {
		c.fail(h.Line, h, fmt.Errorf("%s cannot be changed in place; making %s anew would destroy its disk: give --replace to do so",
			c.replace[h.Source()], h.Name))
	}
}

// plan marks the object for replacement if differs gives a reason.
func plan[K ~string, V any](c *converger, h *Head, table *vpc.Table[K, V], differs func(*V) string) bool {
	is := table.Get(K(c.ids[h.Source()]))
	if is == nil {
		return false
	}
	why := differs(is)
	if why != "" {
		c.replace[h.Source()] = why
	}
	return why != ""
}

// moved tells whether the object that a reference names is another one than that
// with the ID, or will be.
func (c *converger) moved(key, kind, name, id string) string {
	if _, anew := c.replace[kind+"."+name]; anew || c.refID(kind, name) != id {
		return key
	}
	return ""
}

// refID is the ID of what a reference names; "" where there is no such object yet.
func (c *converger) refID(kind, name string) string {
	switch {
	case name == "":
		return ""
	case kind == "vpcs" && name == DefaultName:
		if v := c.tx.DefaultVpc(); v != nil {
			return string(v.ID)
		}
		return ""
	case kind == "subnets" && strings.HasPrefix(name, DefaultName+"-"):
		if s := c.tx.DefaultSubnet(strings.TrimPrefix(name, DefaultName+"-")); s != nil {
			return string(s.ID)
		}
		return ""
	case kind == "internet_gateways" && name == DefaultName:
		if v := c.tx.DefaultVpc(); v != nil {
			if g := c.tx.VpcInternetGateway(v.ID); g != nil {
				return string(g.ID)
			}
		}
		return ""
	}
	return c.id(kind, name)
}

// elsewhere tells whether an object is in another Region than the file wants it in.
func (c *converger) elsewhere(h *Head, region string) string {
	return differs("region", region, c.f.regionOf(h.Kind, h.Name))
}

func first(reasons ...string) string {
	for _, r := range reasons {
		if r != "" {
			return r
		}
	}
	return ""
}

func when(is bool, key string) string {
	if is {
		return key
	}
	return ""
}

func differs[T comparable](key string, is, want T) string { return when(is != want, key) }

// differsSet compares only what the file gives.
func differsSet[T comparable](key string, is T, want Value[T]) string {
	return when(want.Set && is != want.V, key)
}

// keyFields are the type and the key of an authorized_keys line, without its comment.
func keyFields(line string) string {
	fields := strings.Fields(line)
	return strings.Join(fields[:min(len(fields), 2)], " ")
}

func (o *DhcpOptions) differs(is *vpc.DhcpOptions) string {
	list := func(key string, is []string, want List[string]) string {
		return when(!slices.EqualFunc(is, want.V, func(a string, b Value[string]) bool { return sameServer(a, b.V) }), key)
	}
	return first(differs("domain_name", is.DomainName, o.DomainName.V), list("domain_name_servers", is.DomainNameServers, o.DomainNameServers),
		list("ntp_servers", is.NtpServers, o.NtpServers), list("netbios_name_servers", is.NetbiosNameServers, o.NetbiosNameServers),
		differs("netbios_node_type", is.NetbiosNodeType, o.NetbiosNodeType.V), differs("ipv6_address_preferred_lease_time", is.Ipv6PreferredLeaseTime, o.Ipv6AddressPreferredLeaseTime.V))
}

func sameServer(a, b string) bool {
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	return a == b || errX == nil && errY == nil && x == y
}
