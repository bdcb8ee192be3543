package endpoint

import (
	"fmt"
	"slices"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Set is a number of network interfaces, hosts and gateways.
type Set struct {
	Name       string
	Interfaces []*vpc.NetworkInterface // by ID
	Hosts      []*vpc.InternetHost
	Gateways   []string // IDs of NAT and Internet gateways
}

// Handles are the numbers on the packet path of the interfaces and hosts.
func (s Set) Handles() map[uint32]bool {
	all := map[uint32]bool{}
	for _, n := range s.Interfaces {
		all[n.Handle] = true
	}
	for _, h := range s.Hosts {
		all[h.Handle] = true
	}
	return all
}

// Interfaces finds the set that text names: all interfaces of an instance, one
// interface, those of a subnet, of a VPC or of a security group's members, an Internet
// host, or a NAT or Internet gateway (a NAT gateway with its own interface), by name or
// ID; an address means who has it. Instances, hosts and gateways come before subnets, those
// before VPCs and groups, where several have the name.
func Interfaces(m *vpc.Model, text string) (Set, error) {
	for _, find := range []func(*vpc.Model, string) (Set, int){instances, gateways, subnets, vpcs, groups} {
		switch s, n := find(m, text); {
		case n == 1:
			s.Name = text
			return s, nil
		case n > 1:
			return Set{}, fmt.Errorf("%s: several objects are named so: use an ID", text)
		}
	}
	e, err := Find(m, text)
	if err != nil {
		return Set{}, fmt.Errorf("%w; and no subnet, VPC, security group or gateway is named so", err)
	}
	s := Set{Name: text}
	switch {
	case e.Interface != nil:
		s.Interfaces = []*vpc.NetworkInterface{e.Interface}
	case e.Host != nil:
		s.Hosts = []*vpc.InternetHost{e.Host}
	case e.Kind == KindInternet:
		return Set{}, fmt.Errorf("%s: it has no interface of its own: name Internet hosts or an Internet gateway; there are: %s", text, known(m))
	default:
		return Set{}, fmt.Errorf("%s: nothing in the lab has this address", text)
	}
	return s, nil
}

// Everything is all interfaces, hosts and gateways of the lab.
func Everything(m *vpc.Model) Set {
	s := Set{Name: "everything", Interfaces: interfacesWith(m, func(*vpc.NetworkInterface) bool { return true })}
	for _, h := range m.Hosts() {
		if h.State != vpc.StateTerminated {
			s.Hosts = append(s.Hosts, h)
		}
	}
	for id, g := range m.NatGateways.All() {
		if g.Deleted.IsZero() {
			s.Gateways = append(s.Gateways, string(id))
		}
	}
	for id := range m.InternetGateways.All() {
		s.Gateways = append(s.Gateways, string(id))
	}
	return s
}

func interfacesWith(m *vpc.Model, is func(*vpc.NetworkInterface) bool) (list []*vpc.NetworkInterface) {
	for _, n := range m.NetworkInterfaces.All() {
		if n.Deleted.IsZero() && is(n) {
			list = append(list, n)
		}
	}
	return list
}

func named(m *vpc.Meta, id, text string) bool { return id == text || m.Name() == text }

func instances(m *vpc.Model, text string) (s Set, n int) {
	for id, i := range m.Instances.All() {
		if i.State != vpc.StateTerminated && named(&i.Meta, string(id), text) {
			n++
			s.Interfaces = interfacesWith(m, func(n *vpc.NetworkInterface) bool {
				return n.Attachment != nil && n.Attachment.InstanceID == id
			})
		}
	}
	for id, h := range m.Hosts() {
		if h.State != vpc.StateTerminated && (string(id) == text || h.HostName == text) {
			n++
			s.Hosts = []*vpc.InternetHost{h}
		}
	}
	return s, n
}

func gateways(m *vpc.Model, text string) (s Set, n int) {
	for id, g := range m.NatGateways.All() {
		if g.Deleted.IsZero() && named(&g.Meta, string(id), text) {
			n++
			s.Gateways = []string{string(id)}
			s.Interfaces = interfacesWith(m, func(n *vpc.NetworkInterface) bool { return n.ID == g.NetworkInterfaceID })
		}
	}
	for id, g := range m.InternetGateways.All() {
		if named(&g.Meta, string(id), text) {
			n++
			s.Gateways = []string{string(id)}
		}
	}
	return s, n
}

func subnets(m *vpc.Model, text string) (s Set, n int) {
	for id, sub := range m.Subnets.All() {
		if named(&sub.Meta, string(id), text) {
			n++
			s.Interfaces = interfacesWith(m, func(n *vpc.NetworkInterface) bool { return n.SubnetID == id })
		}
	}
	return s, n
}

func vpcs(m *vpc.Model, text string) (s Set, n int) {
	for id, v := range m.Vpcs.All() {
		if named(&v.Meta, string(id), text) {
			n++
			s.Interfaces = interfacesWith(m, func(n *vpc.NetworkInterface) bool { return n.VpcID == id })
		}
	}
	return s, n
}

func groups(m *vpc.Model, text string) (s Set, n int) {
	for id, g := range m.SecurityGroups.All() {
		if string(id) == text || g.GroupName == text {
			n++
			s.Interfaces = interfacesWith(m, func(n *vpc.NetworkInterface) bool { return slices.Contains(n.Groups, id) })
		}
	}
	return s, n
}
