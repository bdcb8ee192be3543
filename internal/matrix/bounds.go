package matrix

import (
	"slices"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// lastPort is the highest port of TCP and UDP.
const lastPort = 65535

// bounds are the ports at which some rule begins to match, or no longer does: between two
// of them all ports meet the same rules, and so have one verdict.
type bounds struct{ tcp, udp []int }

// points sorts bounds, with port 1, where the first range begins.
func points(list []int) []int {
	list = append(slices.Clone(list), 1)
	slices.Sort(list)
	list = slices.Compact(list)
	return slices.DeleteFunc(list, func(p int) bool { return p < 1 || p > lastPort })
}

// add takes the bounds of a rule's range; -1 to -1, like 0 to 65535, is all ports.
func (b *bounds) add(protocol string, from, to int) {
	if from < 0 {
		return
	}
	switch protocol {
	case "tcp", "6":
		b.tcp = append(b.tcp, from, to+1)
	case "udp", "17":
		b.udp = append(b.udp, from, to+1)
	}
}

func (b *bounds) merge(o bounds) {
	b.tcp = append(b.tcp, o.tcp...)
	b.udp = append(b.udp, o.udp...)
}

// ofGroups are the bounds of all rules of some security groups.
func ofGroups(m *vpc.Model, ids []vpc.SecurityGroupID) (b bounds) {
	for _, id := range ids {
		g := m.SecurityGroups.Get(id)
		if g == nil {
			continue
		}
		for _, list := range [][]vpc.SecurityGroupRule{g.Ingress, g.Egress} {
			for i := range list {
				b.add(list[i].IpProtocol, list[i].FromPort, list[i].ToPort)
			}
		}
	}
	return b
}

// everywhere are the bounds of what any packet may meet: all network ACLs, and the groups of
// interfaces that routes lead to, whether they forward or not.
func everywhere(m *vpc.Model) (b bounds) {
	for _, a := range m.NetworkAcls.All() {
		for i := range a.Entries {
			b.add(a.Entries[i].Protocol, a.Entries[i].FromPort, a.Entries[i].ToPort)
		}
	}
	met := map[vpc.NetworkInterfaceID]bool{}
	for _, t := range m.RouteTables.All() {
		for i := range t.Routes {
			id := t.Routes[i].NetworkInterfaceID
			if n := m.NetworkInterfaces.Get(id); n != nil && !met[id] {
				met[id] = true
				b.merge(ofGroups(m, n.Groups))
			}
		}
	}
	b.tcp, b.udp = points(b.tcp), points(b.udp)
	return b
}
