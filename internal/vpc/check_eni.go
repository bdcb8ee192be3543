package vpc

import (
	"net/netip"
	"slices"

	"github.com/vpcemu/vpcemu/internal/flowlog/record"
)

func (c *checker) networkInterfaces() {
	slots := map[Attachment]string{}
	for id, n := range c.NetworkInterfaces.All() {
		c.want(n.ID == id, id, "is stored under another ID, %s", n.ID)
		if !n.Deleted.IsZero() {
			continue
		}
		c.want(n.Handle != 0, id, "has no handle")
		unique(c, c.handles, n.Handle, string(id))
		s := c.Subnets.Get(n.SubnetID)
		if c.want(s != nil, id, "subnet %s does not exist", n.SubnetID); s == nil {
			continue
		}
		c.want(n.VpcID == s.VpcID && n.AvailabilityZone == s.AvailabilityZone, id, "VPC or zone differ from those of %s", s.ID)
		c.privateAddresses(n, s)
		for _, group := range n.Groups {
			g := c.SecurityGroups.Get(group)
			c.want(g != nil && g.VpcID == n.VpcID, id, "security group %s does not exist in %s", group, n.VpcID)
		}
		if n.PublicIp.IsValid() {
			unique(c, c.public, n.PublicIp, string(id))
		}
		if a := n.Attachment; a != nil && a.InstanceID != "" {
			i := c.Instances.Get(a.InstanceID)
			c.want(i != nil && i.State != StateTerminated, id, "is attached to %s, which is gone", a.InstanceID)
			unique(c, slots, Attachment{InstanceID: a.InstanceID, DeviceIndex: a.DeviceIndex}, string(id))
		}
	}
}

func (c *checker) privateAddresses(n *NetworkInterface, s *Subnet) {
	used := c.private[n.VpcID]
	if used == nil {
		used = map[netip.Addr]string{}
		c.private[n.VpcID] = used
	}
	c.want(len(n.PrivateIps) > 0, n.ID, "has no private address")
	for i, a := range n.PrivateIps {
		c.want(a.Primary == (i == 0), n.ID, "the first address, and only it, is the primary one")
		c.want(s.CidrBlock.Contains(a.PrivateIp), n.ID, "address %s is outside %s of %s", a.PrivateIp, s.CidrBlock, s.ID)
		c.want(!c.Reserved(s.ID, a.PrivateIp), n.ID, "address %s is reserved in %s", a.PrivateIp, s.ID)
		unique(c, used, a.PrivateIp, string(n.ID))
		if a.AllocationID != "" {
			e := c.Addresses.Get(a.AllocationID)
			c.want(e != nil && e.NetworkInterfaceID == n.ID && e.PrivateIp == a.PrivateIp, n.ID, "Elastic IP %s is not associated with %s", a.AllocationID, a.PrivateIp)
		}
	}
}

func (c *checker) addresses() {
	for id, e := range c.Addresses.All() {
		c.want(e.AllocationID == id, id, "is stored under another ID, %s", e.AllocationID)
		unique(c, c.public, e.PublicIp, string(id))
		c.want((e.AssociationID != "") == (e.NetworkInterfaceID != ""), id, "association %q with %q", e.AssociationID, e.NetworkInterfaceID)
		if e.NetworkInterfaceID == "" {
			continue
		}
		unique(c, c.ids, string(e.AssociationID), string(id))
		n := c.NetworkInterfaces.Get(e.NetworkInterfaceID)
		c.want(n != nil && slices.ContainsFunc(n.PrivateIps, func(a PrivateAddress) bool {
			return a.PrivateIp == e.PrivateIp && a.AllocationID == id
		}), id, "%s has no address %s with this Elastic IP", e.NetworkInterfaceID, e.PrivateIp)
	}
}

func (c *checker) natGateways() {
	for id, n := range c.NatGateways.All() {
		c.want(n.ID == id, id, "is stored under another ID, %s", n.ID)
		if !n.Deleted.IsZero() || n.State == "failed" || n.State == "deleted" {
			continue
		}
		s := c.Subnets.Get(n.SubnetID)
		c.want(s != nil && s.VpcID == n.VpcID, id, "subnet %s does not exist in %s", n.SubnetID, n.VpcID)
		e := c.NetworkInterfaces.Get(n.NetworkInterfaceID)
		c.want(e != nil && e.SubnetID == n.SubnetID, id, "network interface %s does not exist in %s", n.NetworkInterfaceID, n.SubnetID)
	}
}

func (c *checker) instances() {
	primaries := map[InstanceID]int{}
	for _, n := range c.NetworkInterfaces.All() {
		if n.Attachment != nil && n.Attachment.DeviceIndex == 0 {
			primaries[n.Attachment.InstanceID]++
		}
	}
	for id, i := range c.Instances.All() {
		c.want(i.ID == id, id, "is stored under another ID, %s", i.ID)
		if i.State == StateTerminated || !i.Deleted.IsZero() {
			continue
		}
		s := c.Subnets.Get(i.SubnetID)
		c.want(s != nil && s.VpcID == i.VpcID, id, "subnet %s does not exist in %s", i.SubnetID, i.VpcID)
		c.want(primaries[id] == 1, id, "has %d primary network interfaces", primaries[id])
	}
}

func (c *checker) links() {
	seen := map[[2]Place]string{}
	for id, i := range c.Impairments.All() {
		c.want(i.ID == id, id, "is stored under another ID, %s", i.ID)
		c.want(c.hasPlace(i.Place), id, "%s %s does not exist", i.Place.Type, i.Place.ID)
		c.want(i.To == Place{} && i.Place.Type != PlaceZone || c.hasPlace(i.To) && i.To.Type == PlaceZone && i.Place.ID <= i.To.ID, id, "it is between %v and %v", i.Place, i.To)
		c.want(i.Egress.Check() == nil && i.Ingress.Check() == nil, id, "conditions %v and %v", i.Egress, i.Ingress)
		c.want(!i.Egress.IsZero() || !i.Ingress.IsZero(), id, "it is perfect")
		unique(c, seen, [2]Place{i.Place, i.To}, string(id))
	}
	for id, f := range c.Failures.All() {
		c.want(f.ID == id, id, "is stored under another ID, %s", f.ID)
		c.want(c.hasPlace(f.Place), id, "%s %s does not exist", f.Place.Type, f.Place.ID)
		c.want(f.To == Place{} || c.hasPlace(f.To), id, "%s %s does not exist", f.To.Type, f.To.ID)
	}
}

func (c *checker) flowLogs() {
	for id, l := range c.FlowLogs.All() {
		c.want(l.ID == id, id, "is stored under another ID, %s", l.ID)
		there := false
		switch of := string(l.ResourceID); l.ResourceType {
		case FlowLogVpc:
			there = c.Vpcs.Get(VpcID(of)) != nil
		case FlowLogSubnet:
			there = c.Subnets.Get(SubnetID(of)) != nil
		case FlowLogNetworkInterface:
			there = c.NetworkInterfaces.Get(NetworkInterfaceID(of)) != nil
		}
		c.want(there, id, "%s %s does not exist", l.ResourceType, l.ResourceID)
		_, err := record.Parse(l.LogFormat)
		c.want(err == nil && l.LogFormat != "", id, "log format %q: %v", l.LogFormat, err)
	}
}

// others are the objects that refer to nothing.
func (c *checker) others() {
	for id, d := range c.DhcpOptions.All() {
		c.want(d.ID == id, id, "is stored under another ID, %s", d.ID)
	}
	for key, k := range c.KeyPairs.All() {
		c.want(key == c.KeyPairKey(k.Region, k.KeyName), key, "is stored under another name, %s of %s", k.KeyName, k.Region)
	}
	for id, h := range c.InternetHosts.All() {
		c.want(h.ID == id, id, "is stored under another ID, %s", h.ID)
		if h.Deleted.IsZero() && h.State != StateTerminated {
			unique(c, c.public, h.PublicIp, string(id))
			c.want(h.Handle != 0, id, "has no handle")
			unique(c, c.handles, h.Handle, string(id))
		}
	}
	c.outside()
}

func (c *checker) outside() {
	o := &c.Outside
	c.want(o.Uplink == "" || o.Uplink == UplinkHost, "lab "+c.Lab, "has an uplink %q", o.Uplink)
	if !o.Linked() {
		return
	}
	unique(c, c.public, o.Address, HostName)
	c.want(c.inPools(o.Address), HostName, "address %s is in none of the public pools", o.Address)
	c.want(o.Handle != 0, HostName, "has no handle")
	unique(c, c.handles, o.Handle, HostName)
}
