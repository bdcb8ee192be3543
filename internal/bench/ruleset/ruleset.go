// Package ruleset writes what a VPC says as an nftables ruleset for a kernel router: the network that people build by hand
// instead of vpcemu, from the same model.
package ruleset

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Link is one wire of the router: a veth to an instance or Internet host, named after it on the router's side.
type Link struct {
	Name     string
	Addr     netip.Prefix // of the far end, with the length of its network
	Router   netip.Addr   // the router's own in that network: the far end's default route
	Internet bool         // an Internet host, not an instance
}

// MTU in bytes of a link: jumbo frames within a VPC, 1500 outside (MT-01, MT-03).
func (l Link) MTU() int {
	if l.Internet {
		return 1500
	}
	return 9001
}

// Links are those of the model, by name. It is an error if the router could not tell two instances or hosts by their networks.
func Links(m *vpc.Model) ([]Link, error) {
	var links []Link
	for _, e := range m.NetworkInterfaces.All() {
		if e.Attachment == nil || e.Attachment.InstanceID == "" {
			continue
		}
		subnet := m.Subnets.Get(e.SubnetID).CidrBlock
		links = append(links, Link{Name: m.Instances.Get(e.Attachment.InstanceID).Name(),
			Addr: netip.PrefixFrom(e.PrivateIps[0].PrivateIp, subnet.Bits()), Router: subnet.Masked().Addr().Next()})
	}
	for _, h := range m.InternetHosts.All() {
		network := netip.PrefixFrom(h.PublicIp, 24)
		links = append(links, Link{Name: h.HostName, Addr: network, Router: network.Masked().Addr().Next(), Internet: true})
	}
	slices.SortFunc(links, func(a, b Link) int { return strings.Compare(a.Name, b.Name) })
	seen := map[netip.Prefix]string{}
	for _, l := range links {
		network := l.Addr.Masked()
		if other := seen[network]; other != "" {
			return nil, fmt.Errorf("%s and %s share the network %s: the router has one wire for each", other, l.Name, network)
		}
		seen[network] = l.Name
	}
	return links, nil
}

// Of writes the rules of the model in nft's language (nft(8)), so that the router lets pass and translates what the VPC would.
// Interfaces are named as in Links. An error names what has no counterpart here.
//
// What cannot decide anything is left out: a network ACL that allows everything has no chain.
func Of(m *vpc.Model) (string, error) {
	w := &writer{m: m}
	links, err := Links(m)
	if err != nil {
		return "", err
	}
	for _, l := range links {
		if l.Internet {
			w.internet = append(w.internet, strconv.Quote(l.Name))
		}
	}
	for _, e := range m.NetworkInterfaces.All() {
		if e.Attachment == nil || e.Attachment.InstanceID == "" {
			continue
		}
		w.enis = append(w.enis, eni{NetworkInterface: e, name: m.Instances.Get(e.Attachment.InstanceID).Name(), subnet: m.Subnets.Get(e.SubnetID)})
	}
	slices.SortFunc(w.enis, func(a, b eni) int { return strings.Compare(a.name, b.name) })
	w.routes()
	w.line("table ip vpc {")
	w.forward()
	for _, e := range w.enis {
		w.groups(e, "egress", "daddr")
		w.groups(e, "ingress", "saddr")
	}
	for _, s := range w.guarded() {
		w.acl(s, true)
		w.acl(s, false)
	}
	w.gateways()
	w.line("}")
	return w.text.String(), errors.Join(w.errs...)
}

type eni struct {
	*vpc.NetworkInterface
	name   string
	subnet *vpc.Subnet
}

type writer struct {
	m        *vpc.Model
	enis     []eni
	internet []string // interfaces
	text     strings.Builder
	errs     []error
}

func (w *writer) line(format string, args ...any) { fmt.Fprintf(&w.text, format+"\n", args...) }

func (w *writer) fail(format string, args ...any) {
	w.errs = append(w.errs, fmt.Errorf(format, args...))
}

// forward is the way of a packet: its sender's groups, both ACLs, its receiver's groups.
func (w *writer) forward() {
	w.line("\tchain forward {")
	w.line("\t\ttype filter hook forward priority filter; policy drop;")
	for _, e := range w.enis {
		if e.SourceDestCheck {
			w.line("\t\tiifname %q ip saddr != %s drop", e.name, addresses(e))
		}
	}
	guarded := w.guarded()
	if len(guarded) == 0 { // else the ACLs see every packet first
		w.line("\t\tct state established,related accept")
	}
	w.outside()
	w.jump("iifname", "egress")
	for _, s := range guarded {
		own := w.in(s)
		w.line("\t\tiifname { %s } oifname != { %s } jump acl-egress-%s", own, own, s.Name())
	}
	for _, s := range guarded {
		own := w.in(s)
		w.line("\t\toifname { %s } iifname != { %s } jump acl-ingress-%s", own, own, s.Name())
	}
	w.jump("oifname", "ingress")
	w.line("\t\taccept")
	w.line("\t}")
}

// outside keeps what no gateway translates from crossing to the Internet and back.
func (w *writer) outside() {
	if len(w.internet) == 0 {
		return
	}
	internet := strings.Join(w.internet, ", ")
	for _, v := range w.m.Vpcs.All() {
		for _, c := range v.Cidrs {
			w.line("\t\tiifname { %s } ct original ip daddr %s drop", internet, c.CidrBlock)
		}
	}
	for _, e := range w.enis {
		if !w.wayOut(e) {
			w.line("\t\tiifname %q oifname { %s } drop", e.name, internet)
		}
	}
}

// wayOut tells whether an interface reaches the Internet: by a NAT gateway, or by the Internet gateway with a public address of its own.
func (w *writer) wayOut(e eni) bool {
	for _, r := range w.table(e.subnet).Routes {
		if r.NatGatewayID != "" || r.GatewayID != "" && w.public(e, 0).IsValid() {
			return true
		}
	}
	return false
}

// table is a subnet's route table: its own, or its VPC's main one (RT-01).
func (w *writer) table(s *vpc.Subnet) *vpc.RouteTable {
	var main *vpc.RouteTable
	for _, t := range w.m.RouteTables.All() {
		for _, a := range t.Associations {
			switch {
			case a.SubnetID == s.ID:
				return t
			case a.Main && t.VpcID == s.VpcID:
				main = t
			}
		}
	}
	return main
}

// public is the public address of an interface's private one, invalid if it has none.
func (w *writer) public(e eni, i int) netip.Addr {
	if a := w.m.Addresses.Get(e.PrivateIps[i].AllocationID); a != nil {
		return a.PublicIp
	}
	if i == 0 {
		return e.PublicIp
	}
	return netip.Addr{}
}

func (w *writer) jump(side, dir string) {
	var to []string
	for _, e := range w.enis {
		to = append(to, fmt.Sprintf("%q : jump %s-%s", e.name, dir, e.name))
	}
	w.line("\t\t%s vmap { %s }", side, strings.Join(to, ", "))
}

func addresses(e eni) string {
	var list []string
	for _, p := range e.PrivateIps {
		list = append(list, p.PrivateIp.String())
	}
	if len(list) == 1 {
		return list[0]
	}
	return "{ " + strings.Join(list, ", ") + " }"
}

// in lists the interfaces of a subnet.
func (w *writer) in(s *vpc.Subnet) string {
	var list []string
	for _, e := range w.enis {
		if e.SubnetID == s.ID {
			list = append(list, strconv.Quote(e.name))
		}
	}
	return strings.Join(list, ", ")
}

// groups is the chain of what an interface's security groups let pass one way: what belongs to a connection, and what a rule allows.
func (w *writer) groups(e eni, dir, peer string) {
	w.line("\tchain %s-%s {", dir, e.name)
	if len(w.guarded()) > 0 {
		w.line("\t\tct state established,related return")
	}
	for _, id := range e.Groups {
		g := w.m.SecurityGroups.Get(id)
		rules := g.Ingress
		if dir == "egress" {
			rules = g.Egress
		}
		for _, r := range rules {
			w.groupRule(g, r, peer)
		}
	}
	w.line("\t\tdrop")
	w.line("\t}")
}

func (w *writer) groupRule(g *vpc.SecurityGroup, r vpc.SecurityGroupRule, peer string) {
	var match string
	switch {
	case r.GroupID != "":
		if match = w.members(r.GroupID, peer); match == "" {
			return // nobody
		}
	case r.CidrIpv6.IsValid():
		return // the table is IPv4's
	case r.CidrIpv4.Bits() > 0:
		match = "ip " + peer + " " + r.CidrIpv4.String() + " "
	}
	what, err := traffic(r.IpProtocol, r.FromPort, r.ToPort)
	if err != nil {
		w.fail("security group %s: %w", g.GroupName, err)
	}
	w.line("\t\t%s%sreturn", match, what)
}

// members matches the addresses of a group's members (SG-09).
func (w *writer) members(id vpc.SecurityGroupID, peer string) string {
	var list []string
	for _, e := range w.enis {
		if slices.Contains(e.Groups, id) {
			for _, p := range e.PrivateIps {
				list = append(list, p.PrivateIp.String())
			}
		}
	}
	if len(list) == 0 {
		return ""
	}
	return "ip " + peer + " { " + strings.Join(list, ", ") + " } "
}

// traffic matches a protocol with its destination ports, or type and code.
func traffic(protocol string, from, to int) (string, error) {
	switch protocol {
	case "-1":
		return "", nil
	case "tcp", "6", "udp", "17":
		name := map[string]string{"6": "tcp", "17": "udp"}[protocol]
		if name == "" {
			name = protocol
		}
		switch {
		case from <= 0 && to >= 65535:
			return "ip protocol " + name + " ", nil
		case from == to:
			return fmt.Sprintf("%s dport %d ", name, from), nil
		}
		return fmt.Sprintf("%s dport %d-%d ", name, from, to), nil
	case "icmp", "1":
		switch {
		case from < 0:
			return "ip protocol icmp ", nil
		case to < 0:
			return fmt.Sprintf("icmp type %d ", from), nil
		}
		return fmt.Sprintf("icmp type %d icmp code %d ", from, to), nil
	}
	if _, err := strconv.ParseUint(protocol, 10, 8); err != nil {
		return "", fmt.Errorf("protocol %q has no counterpart", protocol)
	}
	return "ip protocol " + protocol + " ", nil
}

// guarded are the subnets with interfaces whose network ACL may deny something.
func (w *writer) guarded() []*vpc.Subnet {
	var list []*vpc.Subnet
	for _, s := range w.m.Subnets.All() {
		if w.in(s) != "" && !open(w.m.NetworkAcls.Get(s.NetworkAclID)) {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *vpc.Subnet) int { return strings.Compare(a.Name(), b.Name()) })
	return list
}

// open tells whether the first entry of both directions allows everything.
func open(a *vpc.NetworkAcl) bool {
	first := map[bool]bool{}
	seen := map[bool]bool{}
	for _, e := range a.Entries {
		if e.CidrBlock.IsValid() && !seen[e.Egress] {
			seen[e.Egress] = true
			first[e.Egress] = e.RuleAction == "allow" && e.Protocol == "-1" && e.CidrBlock.Bits() == 0
		}
	}
	return first[true] && first[false]
}

// acl is the chain of one direction of a subnet's network ACL: the lowest number that matches decides, whatever the connection (AC-02).
func (w *writer) acl(s *vpc.Subnet, egress bool) {
	dir, peer := "ingress", "saddr"
	if egress {
		dir, peer = "egress", "daddr"
	}
	w.line("\tchain acl-%s-%s {", dir, s.Name())
	for _, e := range w.m.NetworkAcls.Get(s.NetworkAclID).Entries {
		if e.Egress != egress || !e.CidrBlock.IsValid() {
			continue
		}
		from, to := e.FromPort, e.ToPort
		if e.Protocol == "1" {
			from, to = e.IcmpType, e.IcmpCode
		}
		match, err := traffic(e.Protocol, from, to)
		if err != nil {
			w.fail("network ACL of subnet %s, rule %d: %w", s.Name(), e.RuleNumber, err)
		}
		if e.CidrBlock.Bits() > 0 {
			match = "ip " + peer + " " + e.CidrBlock.String() + " " + match
		}
		w.line("\t\t%s%s", match, map[string]string{"allow": "return", "deny": "drop"}[e.RuleAction])
	}
	w.line("\t}") // the last entry, *, has dropped what none decided
}

// gateways are the Internet gateway's 1:1 translation and the NAT gateways'.
func (w *writer) gateways() {
	if len(w.internet) == 0 {
		return
	}
	outside := strings.Join(w.internet, ", ")
	var in, out []string
	for _, e := range w.enis {
		for i, p := range e.PrivateIps {
			if public := w.public(e, i); public.IsValid() {
				in = append(in, fmt.Sprintf("\t\tiifname { %s } ip daddr %s dnat to %s", outside, public, p.PrivateIp))
				out = append(out, fmt.Sprintf("\t\toifname { %s } ip saddr %s snat to %s", outside, p.PrivateIp, public))
			}
		}
	}
	out = append(out, w.natGateways(outside)...)
	w.line("\tchain prerouting {\n\t\ttype nat hook prerouting priority dstnat; policy accept;")
	w.line("%s\t}", lines(in))
	w.line("\tchain postrouting {\n\t\ttype nat hook postrouting priority srcnat; policy accept;")
	w.line("%s\t}", lines(out))
}

func lines(list []string) (text string) {
	for _, l := range list {
		text += l + "\n"
	}
	return text
}

// natGateways translates what subnets send by a NAT gateway. The gateway's private address, which the Internet gateway would
// translate in turn, is never on a wire here: both steps are one.
func (w *writer) natGateways(outside string) (rules []string) {
	seen := map[vpc.SubnetID]bool{}
	for _, e := range w.enis {
		if seen[e.SubnetID] {
			continue
		}
		seen[e.SubnetID] = true
		for _, r := range w.table(e.subnet).Routes {
			g := w.m.NatGateways.Get(r.NatGatewayID)
			if g == nil {
				continue
			}
			to := ""
			if r.DestinationCidrBlock.Bits() > 0 {
				to = "ip daddr " + r.DestinationCidrBlock.String() + " "
			}
			rules = append(rules, fmt.Sprintf("\t\toifname { %s } ip saddr %s %ssnat to %s", outside, e.subnet.CidrBlock, to, g.Addresses[0].PublicIp))
		}
	}
	return rules
}

// routes refuses those that lead elsewhere than to where the router would send the packet anyway.
func (w *writer) routes() {
	for _, e := range w.enis {
		for _, r := range w.table(e.subnet).Routes {
			if g := w.m.NatGateways.Get(r.NatGatewayID); !r.Local && r.GatewayID == "" && (g == nil || !g.Addresses[0].PublicIp.IsValid()) {
				w.fail("route of subnet %s to %s: its target has no counterpart", e.subnet.Name(), r.DestinationCidrBlock)
			}
		}
	}
}
