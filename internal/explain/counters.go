package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/endpoint"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Count adds to out what the data plane has accounted for: of every rule and route of
// the model, of every interface, Internet host and gateway, whether packets met it or not.
func Count(m *vpc.Model, a dataplane.Account, out *control.Counters) {
	w := words{m}
	for id, g := range m.SecurityGroups.All() {
		if !w.idle(g.VpcID) {
			out.Rules = append(out.Rules, w.countGroup(string(id), g, a)...)
		}
	}
	for id, acl := range m.NetworkAcls.All() {
		if !w.idle(acl.VpcID) {
			out.Rules = append(out.Rules, countACL(string(id), acl, a)...)
		}
	}
	for id, t := range m.RouteTables.All() {
		if !w.idle(t.VpcID) {
			out.Rules = append(out.Rules, w.countRoutes(string(id), t, a)...)
		}
	}
	w.countInterfaces(a, out)
	for id, g := range m.NatGateways.All() {
		if g.Deleted.IsZero() {
			out.Gateways = append(out.Gateways, control.GatewayCounter{ID: string(id), Name: g.Name(), Traffic: control.Traffic(a.Gateways[string(id)])})
		}
	}
	for id, g := range m.InternetGateways.All() {
		if !w.idle(g.VpcID) {
			out.Gateways = append(out.Gateways, control.GatewayCounter{ID: string(id), Name: g.Name(), Traffic: control.Traffic(a.Gateways[string(id)])})
		}
	}
}

// idle tells of the default VPC that nothing is in, which is not listed.
func (w *words) idle(id vpc.VpcID) bool {
	v := w.m.Vpcs.Get(id)
	if v == nil || !v.IsDefault {
		return false
	}
	for _, n := range w.m.NetworkInterfaces.All() {
		if n.VpcID == id && n.Deleted.IsZero() {
			return false
		}
	}
	return true
}

func directionOf(egress bool) string {
	if egress {
		return "egress"
	}
	return "ingress"
}

func (w *words) countGroup(id string, g *vpc.SecurityGroup, a dataplane.Account) (rows []control.RuleCounter) {
	for _, egress := range []bool{false, true} {
		rules := g.Ingress
		if egress {
			rules = g.Egress
		}
		for i := range rules {
			r := &rules[i]
			proto, from, to := describedRule(r)
			rows = append(rows, control.RuleCounter{Kind: "security group", ID: id, Name: g.GroupName, Rule: string(r.ID), Direction: directionOf(egress),
				Text:    describe(proto, from, to) + toFrom(egress) + w.peer(r),
				Traffic: control.Traffic(a.Rules[dataplane.RuleKey{Owner: id, Rule: string(r.ID), Egress: egress}])})
		}
	}
	return rows
}

// describedRule is what describe takes of a rule of the model.
func describedRule(r *vpc.SecurityGroupRule) (proto int16, from, to int32) {
	switch r.IpProtocol {
	case "-1":
		return -1, 0, 0
	case "icmpv6":
		return 58, 0, 0
	}
	if n, err := protocolNumber(r.IpProtocol); err == nil {
		proto = int16(n)
	}
	return proto, int32(r.FromPort), int32(r.ToPort)
}

// peer is whom a rule of the model is for.
func (w *words) peer(r *vpc.SecurityGroupRule) string {
	switch {
	case r.GroupID != "":
		if g := w.m.SecurityGroups.Get(r.GroupID); g != nil {
			return "group " + g.GroupName
		}
		return "group " + string(r.GroupID)
	case r.CidrIpv6.IsValid():
		return r.CidrIpv6.String()
	}
	return r.CidrIpv4.String()
}

func countACL(id string, acl *vpc.NetworkAcl, a dataplane.Account) (rows []control.RuleCounter) {
	entries := slices.Clone(acl.Entries)
	slices.SortStableFunc(entries, func(x, y vpc.NetworkAclEntry) int { return x.RuleNumber - y.RuleNumber })
	for _, egress := range []bool{false, true} {
		add := func(label, text string, ipv6 bool) {
			key := dataplane.RuleKey{Owner: id, Rule: label, Egress: egress, IPv6: ipv6}
			rows = append(rows, control.RuleCounter{Kind: kindACL, ID: id, Name: acl.Name(), Rule: label, Direction: directionOf(egress),
				Text: text, Traffic: control.Traffic(a.Rules[key])})
		}
		for i := range entries {
			if e := &entries[i]; e.Egress == egress && e.RuleNumber < 32767 {
				add(fmt.Sprint(e.RuleNumber), entryText(e), false)
			}
		}
		add("*", "deny all"+toFrom(egress)+"0.0.0.0/0", false)
		if (a.Rules[dataplane.RuleKey{Owner: id, Rule: "*", Egress: egress, IPv6: true}]).Packets > 0 {
			add("*", "deny all"+toFrom(egress)+"::/0", true)
		}
	}
	return rows
}

func toFrom(egress bool) string {
	if egress {
		return " to "
	}
	return " from "
}

// entryText is what an entry of an ACL of the model says.
func entryText(e *vpc.NetworkAclEntry) string {
	proto, from, to := int16(-1), int32(e.FromPort), int32(e.ToPort)
	if e.Protocol != "-1" {
		if n, err := protocolNumber(e.Protocol); err == nil {
			proto = int16(n)
		}
	}
	if proto == 1 {
		from, to = int32(e.IcmpType), int32(e.IcmpCode)
	}
	cidr := e.CidrBlock
	if !cidr.IsValid() {
		cidr = e.Ipv6Cidr
	}
	return e.RuleAction + " " + describe(proto, from, to) + toFrom(e.Egress) + cidr.String()
}

func (w *words) countRoutes(id string, t *vpc.RouteTable, a dataplane.Account) (rows []control.RuleCounter) {
	for _, r := range t.Routes {
		dest := r.DestinationCidrBlock.Masked().String()
		text := "to " + w.targetOf(r)
		if w.m.RouteState(r) == vpc.RouteBlackhole {
			text += ", blackhole"
		}
		rows = append(rows, control.RuleCounter{Kind: kindTable, ID: id, Name: t.Name(), Rule: dest, Text: text,
			Traffic: control.Traffic(a.Rules[dataplane.RuleKey{Owner: id, Rule: dest}])})
	}
	return rows
}

// targetOf names where a route of the model leads.
func (w *words) targetOf(r vpc.Route) string {
	if r.Local {
		return "local"
	}
	id := cmp.Or(string(r.GatewayID), string(r.NatGatewayID), string(r.NetworkInterfaceID))
	return cmp.Or(w.targetName(id), id)
}

// countInterfaces lists interfaces by name, then Internet hosts.
func (w *words) countInterfaces(a dataplane.Account, out *control.Counters) {
	everything := endpoint.Everything(w.m)
	gateway := map[vpc.NetworkInterfaceID]*vpc.NatGateway{}
	for _, g := range w.m.NatGateways.All() {
		gateway[g.NetworkInterfaceID] = g
	}
	var rows []control.InterfaceCounter
	for _, n := range everything.Interfaces {
		row := counted(a.Interfaces[n.Handle])
		row.Kind, row.ID, row.Name = kindENI, string(n.ID), w.interfaceName(n)
		if g := gateway[n.ID]; g != nil {
			row.Kind, row.Name = kindNAT, g.Name()
		}
		rows = append(rows, row)
	}
	for _, h := range everything.Hosts {
		row := counted(a.Interfaces[h.Handle])
		row.Kind, row.ID, row.Name = kindHost, string(h.ID), h.HostName
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(x, y control.InterfaceCounter) int {
		if (x.Kind == kindHost) != (y.Kind == kindHost) {
			return strings.Compare(x.Kind, y.Kind)
		}
		return strings.Compare(x.Name, y.Name)
	})
	out.Interfaces = rows
}

func counted(a *dataplane.InterfaceAccount) control.InterfaceCounter {
	c := control.InterfaceCounter{Dropped: map[string]uint64{}}
	if a == nil {
		return c
	}
	c.Sent, c.Received = control.Traffic(a.Sent), control.Traffic(a.Received)
	for reason, n := range a.Dropped {
		c.Dropped[reason.Name()] = n.Packets
	}
	return c
}
