package graph

import (
	"fmt"
	"slices"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// addGroups reads a VPC's security groups, its default one last.
func (n *network) addGroups(m *vpc.Model, id vpc.VpcID, names map[string]string) {
	for _, g := range m.SecurityGroups.All() {
		if g.VpcID != id || !g.Deleted.IsZero() {
			continue
		}
		own := &group{id: string(g.ID), name: g.GroupName}
		if g.GroupName == "default" {
			own.colour = -1
		}
		for _, r := range g.Ingress {
			own.rules = append(own.rules, groupRule(r, g.ID, false, names))
		}
		for _, r := range g.Egress {
			own.rules = append(own.rules, groupRule(r, g.ID, true, names))
		}
		n.groups = append(n.groups, own)
	}
	slices.SortStableFunc(n.groups, byColour)
	for i, g := range n.groups {
		if g.colour >= 0 {
			g.colour = i
		}
	}
}

// byColour orders by name, a default group last.
func byColour(a, b *group) int {
	if (a.colour < 0) != (b.colour < 0) {
		return b.colour - a.colour
	}
	return natural(a.name, b.name)
}

func groupRule(r vpc.SecurityGroupRule, own vpc.SecurityGroupID, out bool, names map[string]string) rule {
	is := rule{out: out, what: traffic(r.IpProtocol, r.FromPort, r.ToPort)}
	switch {
	case r.GroupID == own:
		is.peer = "the group itself"
	case r.GroupID != "":
		is.peer = "group " + string(r.GroupID)
		if name := names[string(r.GroupID)]; name != "" {
			is.peer = "group " + name
		}
	case r.CidrIpv4.IsValid():
		is.peer = r.CidrIpv4.String()
	case r.CidrIpv6.IsValid():
		is.peer = r.CidrIpv6.String()
	}
	return is
}

// protocols are the names of numbers as ACLs keep them.
var protocols = map[string]string{"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6"}

// traffic is a protocol and its ports, or an ICMP type and code.
func traffic(protocol string, from, to int) string {
	if name := protocols[protocol]; name != "" {
		protocol = name
	}
	switch protocol {
	case "-1":
		return "all"
	case "tcp", "udp":
		switch {
		case from <= 0 && (to == 65535 || to < 0):
			return protocol + " all"
		case from == to:
			return fmt.Sprintf("%s %d", protocol, from)
		}
		return fmt.Sprintf("%s %d-%d", protocol, from, to)
	case "icmp", "icmpv6":
		switch {
		case from < 0:
			return protocol
		case to < 0:
			return fmt.Sprintf("%s type %d", protocol, from)
		}
		return fmt.Sprintf("%s type %d code %d", protocol, from, to)
	}
	return "protocol " + protocol
}

// addACLs reads a VPC's network ACLs.
func (n *network) addACLs(m *vpc.Model, id vpc.VpcID) {
	for _, a := range m.NetworkAcls.All() {
		if a.VpcID != id || !a.Deleted.IsZero() {
			continue
		}
		own := &acl{id: string(a.ID), name: a.Name(), isDefault: a.IsDefault}
		if own.name == "" {
			own.name = own.id
			if a.IsDefault {
				own.name = "default"
			}
		}
		for _, e := range a.Entries {
			own.rules = append(own.rules, aclRule(e))
		}
		own.open = opens(a.Entries, false) && opens(a.Entries, true)
		n.acls = append(n.acls, own)
	}
	slices.SortStableFunc(n.acls, func(a, b *acl) int { return natural(a.name, b.name) })
}

// opens tells whether the first rule of a direction allows all that IPv4 has.
func opens(entries []vpc.NetworkAclEntry, egress bool) bool {
	i := slices.IndexFunc(entries, func(e vpc.NetworkAclEntry) bool { return e.Egress == egress && e.CidrBlock.IsValid() })
	return i >= 0 && entries[i].RuleAction == "allow" && entries[i].Protocol == "-1" && entries[i].CidrBlock.Bits() == 0
}

func aclRule(e vpc.NetworkAclEntry) rule {
	r := rule{out: e.Egress, number: fmt.Sprint(e.RuleNumber), action: e.RuleAction, peer: e.CidrBlock.String()}
	if e.RuleNumber >= 32767 {
		r.number = "*"
	}
	if !e.CidrBlock.IsValid() {
		r.peer = e.Ipv6Cidr.String()
	}
	from, to := e.FromPort, e.ToPort
	if protocols[e.Protocol] == "icmp" || protocols[e.Protocol] == "icmpv6" {
		from, to = e.IcmpType, e.IcmpCode
	}
	r.what = traffic(e.Protocol, from, to)
	return r
}
