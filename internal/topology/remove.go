package topology

import (
	"errors"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// defaultVpcSource marks the default VPC and what comes with it.
const defaultVpcSource = "default_vpc"

// removal is an object that has to go.
type removal struct {
	head   Head
	region string
	line   int
	anew   bool // made again later
	remove func(*converger)
}

// removals lists what has to go, users before what they use: what the file made
// and no longer has, what it has made anew, and with Prune what others made.
func (c *converger) removals() (list []removal) {
	if c.err != nil {
		return nil
	}
	m := &c.tx.Model
	collect(c, &list, "flow_logs", &m.FlowLogs, func(l *vpc.FlowLog) vpc.Meta { return l.Meta },
		func(c *converger, l *vpc.FlowLog) {
			call[vpc.DeleteFlowLogsOutput](c, &vpc.DeleteFlowLogsInput{FlowLogIds: []vpc.FlowLogID{l.ID}})
		})
	collect(c, &list, "internet_hosts", &m.InternetHosts, func(h *vpc.InternetHost) vpc.Meta { return h.Meta },
		func(c *converger, h *vpc.InternetHost) {
			call[vpc.DeleteInternetHostOutput](c, &vpc.DeleteInternetHostInput{InternetHostId: h.ID})
			if c.err == nil {
				c.tx.InternetHostTerminated(h.ID) // its address may be wanted at once
			}
		})
	collect(c, &list, "instances", &m.Instances, func(i *vpc.Instance) vpc.Meta { return i.Meta }, (*converger).terminate)
	collect(c, &list, "network_interfaces", &m.NetworkInterfaces, func(n *vpc.NetworkInterface) vpc.Meta {
		if n.RequesterManaged || n.Attachment != nil && n.Attachment.DeviceIndex == 0 {
			return vpc.Meta{Source: ownedSource}
		}
		return n.Meta
	}, (*converger).deleteInterface)
	collect(c, &list, "nat_gateways", &m.NatGateways, func(n *vpc.NatGateway) vpc.Meta { return n.Meta },
		func(c *converger, n *vpc.NatGateway) {
			call[vpc.DeleteNatGatewayOutput](c, &vpc.DeleteNatGatewayInput{NatGatewayId: n.ID})
		})
	collect(c, &list, "elastic_ips", &m.Addresses, func(a *vpc.Address) vpc.Meta { return a.Meta }, (*converger).release)
	collect(c, &list, "route_tables", &m.RouteTables, func(t *vpc.RouteTable) vpc.Meta { return t.Meta }, (*converger).deleteRouteTable)
	collect(c, &list, "network_acls", &m.NetworkAcls, func(a *vpc.NetworkAcl) vpc.Meta { return a.Meta }, (*converger).deleteAcl)
	collect(c, &list, "security_groups", &m.SecurityGroups, func(g *vpc.SecurityGroup) vpc.Meta { return g.Meta }, (*converger).deleteGroup)
	collect(c, &list, "internet_gateways", &m.InternetGateways, func(g *vpc.InternetGateway) vpc.Meta { return g.Meta },
		func(c *converger, g *vpc.InternetGateway) {
			c.detachGateway(g)
			call[vpc.DeleteInternetGatewayOutput](c, &vpc.DeleteInternetGatewayInput{InternetGatewayId: g.ID})
		})
	collect(c, &list, "subnets", &m.Subnets, func(s *vpc.Subnet) vpc.Meta { return s.Meta },
		func(c *converger, s *vpc.Subnet) {
			call[vpc.DeleteSubnetOutput](c, &vpc.DeleteSubnetInput{SubnetId: s.ID})
		})
	collect(c, &list, "vpcs", &m.Vpcs, func(v *vpc.Vpc) vpc.Meta { return v.Meta },
		func(c *converger, v *vpc.Vpc) { call[vpc.DeleteVpcOutput](c, &vpc.DeleteVpcInput{VpcId: v.ID}) })
	collect(c, &list, "dhcp_options", &m.DhcpOptions, func(d *vpc.DhcpOptions) vpc.Meta { return d.Meta }, (*converger).deleteDhcpOptions)
	collect(c, &list, "key_pairs", &m.KeyPairs, func(k *vpc.KeyPair) vpc.Meta { return k.Meta },
		func(c *converger, k *vpc.KeyPair) {
			call[vpc.DeleteKeyPairOutput](c, &vpc.DeleteKeyPairInput{KeyName: k.KeyName})
		})
	return list
}

// ownedSource stands for what comes and goes with another object.
const ownedSource = "*"

// collect adds those objects of a table that have to go.
func collect[K ~string, V any](c *converger, list *[]removal, kind string, table *vpc.Table[K, V], meta func(*V) vpc.Meta, remove func(*converger, *V)) {
	for id, o := range table.All() {
		m := meta(o)
		h := Head{Kind: kind, Name: strings.TrimPrefix(m.Source, kind+".")}
		_, anew := c.replace[m.Source]
		switch {
		case gone(o) || m.Source == ownedSource:
			continue
		case m.Source == "" && c.opt.Prune && !c.protected(o):
			if h.Name = m.Tags["Name"]; h.Name == "" {
				h.Name = string(id)
			}
		case m.Source == defaultVpcSource && !c.f.DefaultVpc.V && !ownedByVpc(o):
			h.Name = string(id)
		case !strings.HasPrefix(m.Source, kind+"."): // comes with another object
			continue
		case !anew && slices.Contains(c.f.namesOf(kind), h.Name):
			continue
		}
		line := 0
		if anew {
			line = c.f.lineOf(kind, h.Name)
		}
		*list = append(*list, removal{h, m.Region, line, anew, func(c *converger) {
			if is := table.Get(id); is != nil && !gone(is) { // as it is by then
				remove(c, is)
			}
		}})
	}
}

func (f *File) lineOf(kind, name string) int {
	for _, h := range f.heads() {
		if h.Kind == kind && h.Name == name {
			return h.Line
		}
	}
	return 0
}

// gone tells whether an object has been deleted and is only still visible.
func gone(object any) bool {
	switch o := object.(type) {
	case *vpc.Instance:
		return instanceGone(o)
	case *vpc.NatGateway:
		return natGone(o)
	case *vpc.NetworkInterface:
		return !o.Deleted.IsZero()
	case *vpc.InternetHost:
		return !o.Deleted.IsZero() || o.State == vpc.StateTerminated || o.State == vpc.StateShuttingDown
	}
	return false
}

// ownedByVpc tells whether an object goes when its VPC does.
func ownedByVpc(object any) bool {
	switch o := object.(type) {
	case *vpc.RouteTable:
		return slices.ContainsFunc(o.Associations, func(a vpc.RouteAssociation) bool { return a.Main })
	case *vpc.NetworkAcl:
		return o.IsDefault
	case *vpc.SecurityGroup:
		return o.GroupName == DefaultName
	}
	return false
}

// protected are objects that nobody's file made and that are not to be pruned:
// what comes with another object, the account's DHCP options, the default VPC.
func (c *converger) protected(object any) bool {
	inDefault := func(id vpc.VpcID) bool {
		v := c.tx.Vpcs.Get(id)
		return c.f.DefaultVpc.V && v != nil && v.IsDefault
	}
	switch o := object.(type) {
	case *vpc.DhcpOptions:
		return o.ID == c.tx.SettingsOf(o.Region).DefaultDhcpOptionsID
	case *vpc.Vpc:
		return inDefault(o.ID)
	case *vpc.Subnet:
		return inDefault(o.VpcID) && o.DefaultForAz
	case *vpc.InternetGateway:
		return inDefault(o.VpcID)
	}
	return ownedByVpc(object)
}

// remove takes the objects away. One that is still in use is tried again when the
// others are gone; those left are returned, for after the changes that may free
// them. The last time, what is left is an error.
func (c *converger) remove(list []removal, last bool) []removal {
	for c.err == nil && len(list) > 0 {
		var left []removal
		var why []error
		for _, r := range list {
			if err := c.try(r); err != nil {
				left, why = append(left, r), append(why, err)
			}
		}
		if len(left) < len(list) {
			list = left
			continue
		}
		if !last {
			return left
		}
		for i, err := range why {
			e := &Error{File: c.f.Path, Line: left[i].line, Object: left[i].head.String(), Reason: "cannot be deleted: " + err.Error(), Err: err}
			if left[i].line == 0 {
				e.Object += " (not in the file)"
			}
			c.err = append(c.err, e)
		}
	}
	return nil
}

// try removes one object, all of it or nothing.
func (c *converger) try(r removal) error {
	before := c.tx.Model.Clone()
	c.head, c.line = &r.head, r.line
	c.tx.Call.Source, c.tx.Call.Region = r.head.Source(), r.region
	r.remove(c)
	if c.err != nil {
		var err error = c.err
		if refused := new(vpc.Error); errors.As(err, &refused) {
			err = refused
		}
		c.tx.Model, c.err = before, nil
		return err
	}
	source := r.head.Source()
	delete(c.ids, source)
	if !r.anew {
		c.changes = append(c.changes, Change{Delete, singular(r.head.Kind), r.head.Name, ""})
	}
	return nil
}

func (c *converger) deleteInterface(n *vpc.NetworkInterface) {
	if n.Attachment != nil {
		call[vpc.DetachNetworkInterfaceOutput](c, &vpc.DetachNetworkInterfaceInput{AttachmentId: n.Attachment.ID})
	}
	call[vpc.DeleteNetworkInterfaceOutput](c, &vpc.DeleteNetworkInterfaceInput{NetworkInterfaceId: n.ID})
}

func (c *converger) release(a *vpc.Address) {
	for _, g := range c.tx.NatGateways.All() {
		for _, e := range g.Addresses {
			if e.AllocationID == a.AllocationID && !e.IsPrimary && c.ours(g.Source) {
				c.leaveNatGateway(g, e)
				a = c.tx.Addresses.Get(a.AllocationID)
			}
		}
	}
	if a.AssociationID != "" {
		call[vpc.DisassociateAddressOutput](c, &vpc.DisassociateAddressInput{AssociationId: a.AssociationID})
	}
	call[vpc.ReleaseAddressOutput](c, &vpc.ReleaseAddressInput{AllocationId: a.AllocationID})
}

// deleteRouteTable gives what uses the table back to the VPC's own one. Subnets
// that the file has go where it says later.
func (c *converger) deleteRouteTable(t *vpc.RouteTable) {
	for _, a := range t.Associations {
		if a.Main {
			call[vpc.ReplaceRouteTableAssociationOutput](c, &vpc.ReplaceRouteTableAssociationInput{AssociationId: a.ID, RouteTableId: c.ownTable(t.VpcID)})
		} else {
			call[vpc.DisassociateRouteTableOutput](c, &vpc.DisassociateRouteTableInput{AssociationId: a.ID})
		}
	}
	call[vpc.DeleteRouteTableOutput](c, &vpc.DeleteRouteTableInput{RouteTableId: t.ID})
}

// ownTable is the table that the VPC was made with.
func (c *converger) ownTable(id vpc.VpcID) vpc.RouteTableID {
	v := c.tx.Vpcs.Get(id)
	for _, t := range c.tx.RouteTables.All() {
		if v != nil && t.VpcID == id && t.Source == v.Source {
			return t.ID
		}
	}
	return ""
}

func (c *converger) deleteAcl(a *vpc.NetworkAcl) {
	for _, s := range c.tx.Subnets.All() {
		if s.NetworkAclID == a.ID && c.ours(s.Source) {
			c.associateAcl(s, c.tx.DefaultNetworkAcl(s.VpcID).ID)
		}
	}
	call[vpc.DeleteNetworkAclOutput](c, &vpc.DeleteNetworkAclInput{NetworkAclId: a.ID})
}

// ours tells whether an object with this Source may be changed on the way.
func (c *converger) ours(source string) bool { return source != "" || c.opt.Prune }

// deleteGroup takes the group off interfaces and out of rules of other groups
// that are the file's; they get what the file says later.
func (c *converger) deleteGroup(g *vpc.SecurityGroup) {
	for _, n := range c.tx.NetworkInterfaces.All() {
		if !slices.Contains(n.Groups, g.ID) || !c.ours(n.Source) {
			continue
		}
		rest := slices.DeleteFunc(slices.Clone(n.Groups), func(id vpc.SecurityGroupID) bool { return id == g.ID })
		if len(rest) == 0 {
			rest = []vpc.SecurityGroupID{c.tx.DefaultSecurityGroup(g.VpcID).ID}
		}
		call[vpc.ModifyNetworkInterfaceAttributeOutput](c, &vpc.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: n.ID, Groups: rest})
	}
	for _, o := range c.tx.SecurityGroups.All() {
		if o.ID != g.ID && c.ours(o.Source) {
			names := func(r vpc.SecurityGroupRule) bool { return r.GroupID == g.ID }
			c.revoke(o.ID, filterRules(o.Ingress, names), false)
			c.revoke(o.ID, filterRules(o.Egress, names), true)
		}
	}
	call[vpc.DeleteSecurityGroupOutput](c, &vpc.DeleteSecurityGroupInput{GroupId: g.ID})
}

// detachGateway detaches an Internet gateway, and the table that steers what
// comes in through it.
func (c *converger) detachGateway(g *vpc.InternetGateway) {
	if g.VpcID == "" {
		return
	}
	for _, t := range c.tx.RouteTables.All() {
		for _, a := range t.Associations {
			if a.GatewayID == g.ID {
				call[vpc.DisassociateRouteTableOutput](c, &vpc.DisassociateRouteTableInput{AssociationId: a.ID})
			}
		}
	}
	call[vpc.DetachInternetGatewayOutput](c, &vpc.DetachInternetGatewayInput{InternetGatewayId: g.ID, VpcId: g.VpcID})
}

func (c *converger) deleteDhcpOptions(d *vpc.DhcpOptions) {
	for _, v := range c.tx.Vpcs.All() {
		if v.DhcpOptionsID == d.ID && c.ours(v.Source) {
			call[vpc.AssociateDhcpOptionsOutput](c, &vpc.AssociateDhcpOptionsInput{DhcpOptionsId: c.tx.DefaultDhcpOptions(v.Region), VpcId: v.ID})
		}
	}
	call[vpc.DeleteDhcpOptionsOutput](c, &vpc.DeleteDhcpOptionsInput{DhcpOptionsId: d.ID})
}
