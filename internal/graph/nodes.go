package graph

import (
	"cmp"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// addNodes puts what is in a VPC into its subnets: instances by their primary network
// interface, further interfaces on their own, NAT gateways.
func (s *scene) addNodes(m *vpc.Model, in *network, subnets []*subnet, names map[string]string) {
	at := map[vpc.SubnetID]*subnet{}
	for _, sub := range subnets {
		at[vpc.SubnetID(sub.id)] = sub
	}
	for _, e := range m.NetworkInterfaces.All() {
		sub := at[e.SubnetID]
		if e.InterfaceType == "natGateway" || !e.Deleted.IsZero() || sub == nil {
			continue
		}
		if n := s.interfaceNode(m, in, e, names); n != nil {
			n.subnet = sub
			sub.nodes = append(sub.nodes, n)
		}
	}
	for _, g := range m.NatGateways.All() {
		sub := at[g.SubnetID]
		if sub == nil || !g.Deleted.IsZero() || g.State == "deleted" {
			continue
		}
		n := s.natNode(g)
		n.subnet = sub
		sub.nodes = append(sub.nodes, n)
	}
	for _, sub := range subnets {
		slices.SortStableFunc(sub.nodes, byName)
	}
}

// interfaceNode is the node of a network interface, or nil where its instance is gone.
func (s *scene) interfaceNode(m *vpc.Model, in *network, e *vpc.NetworkInterface, names map[string]string) *node {
	n := &node{kind: kindInterface, id: string(e.ID), name: cmp.Or(names[string(e.ID)], string(e.ID)), what: "network interface"}
	var i *vpc.Instance
	if e.Attachment != nil {
		i = m.Instances.Get(e.Attachment.InstanceID)
	}
	switch {
	case i == nil:
		n.off = true
		n.states = append(n.states, "not attached")
	case i.State == vpc.StateTerminated || !i.Deleted.IsZero():
		return nil
	case e.Attachment.DeviceIndex == 0:
		n.kind, n.id, n.what = kindInstance, string(i.ID), ""
		s.nodes[string(e.ID)] = n
		fallthrough
	default:
		n.state(i.State)
	}
	n.addInterface(m, in, e)
	id := n.id
	if n.kind == kindInstance {
		id += ", " + string(e.ID)
	}
	n.tip = lines(n.name, id, strings.Join(n.addrs, ", "), groupNames(n.groups), strings.Join(n.states, ", "))
	s.nodes[n.id] = n
	return n
}

// addInterface adds addresses, groups and what is out of the ordinary of an interface.
func (n *node) addInterface(m *vpc.Model, in *network, e *vpc.NetworkInterface) {
	for _, p := range e.PrivateIps {
		n.addrs = appendAddr(n.addrs, p.PrivateIp, "")
		elastic := ""
		if p.AllocationID != "" {
			elastic = " EIP"
		}
		n.addrs = appendAddr(n.addrs, m.PublicAddressOf(e, p), elastic)
	}
	if !e.SourceDestCheck {
		n.states = append(n.states, "no source/dest. check")
	}
	for _, id := range e.Groups {
		if i := slices.IndexFunc(in.groups, func(g *group) bool { return g.id == string(id) }); i >= 0 {
			in.groups[i].members++
			n.groups = append(n.groups, in.groups[i])
		}
	}
	slices.SortStableFunc(n.groups, byColour)
}

func groupNames(list []*group) string {
	if len(list) == 0 {
		return ""
	}
	names := make([]string, len(list))
	for i, g := range list {
		names[i] = g.name
	}
	return "security groups: " + strings.Join(names, ", ")
}

func (s *scene) natNode(g *vpc.NatGateway) *node {
	n := &node{kind: kindNAT, id: string(g.ID), name: nameOf(&g.Meta, string(g.ID)), what: "NAT gateway"}
	if g.ConnectivityType == "private" {
		n.what = "private NAT gateway"
	}
	for _, a := range g.Addresses {
		n.addrs = appendAddr(n.addrs, a.PrivateIp, "")
		n.addrs = appendAddr(n.addrs, a.PublicIp, " EIP")
	}
	if g.State == "failed" || g.State == "deleting" {
		n.off = true
		n.states = append(n.states, g.State)
	}
	n.tip = lines(n.name, n.what+" "+n.id, strings.Join(n.addrs, ", "), g.FailureMessage)
	s.nodes[n.id] = n
	if g.NetworkInterfaceID != "" {
		s.nodes[string(g.NetworkInterfaceID)] = n
	}
	return n
}
