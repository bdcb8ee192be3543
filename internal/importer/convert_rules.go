package importer

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/vpcemu/vpcemu/internal/topology"
)

// groupText is what AWS takes as description of a group or rule (SG-04).
var notInGroupText = regexp.MustCompile(`[^a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]`)

func (c *converter) convertSecurityGroups() {
	for _, g := range c.SecurityGroups {
		said := label(firstOf(g.GroupName, nameOf(g.Tags)), g.GroupId, g.origin)
		if g.GroupName == "default" {
			c.ownGroup(g, said)
			continue
		}
		o := &topology.SecurityGroup{Vpc: set(c.names.by[g.VpcId])}
		name := c.names.by[g.GroupId]
		if g.GroupName != name && g.GroupName != "" {
			o.GroupName = set(g.GroupName)
		}
		c.begin(&o.Head, "security_groups", name, g.GroupId, g.Tags, g.origin)
		if g.Description != "" {
			o.Description = set(groupText(g.Description))
		}
		if g.noRules {
			c.note("security group", said, "its rules were not read")
		}
		if r := c.rules(g, said, g.IpPermissions, "ingress"); len(r.V) > 0 {
			o.Ingress = r
		}
		if r := c.rules(g, said, g.IpPermissionsEgress, "egress"); !everythingOutward(r) {
			o.Egress = r
		}
		c.file.SecurityGroups.List = append(c.file.SecurityGroups.List, o)
	}
}

// ownGroup says of a VPC's own group what is not as AWS made it.
func (c *converter) ownGroup(g *rawSecurityGroup, said string) {
	d := topology.DefaultSecurityGroup{}
	if r := c.rules(g, said, g.IpPermissions, "ingress"); !everythingFromMembers(r) && !g.noRules {
		d.Ingress = r
	}
	if r := c.rules(g, said, g.IpPermissionsEgress, "egress"); !everythingOutward(r) && !g.noRules {
		d.Egress = r
	}
	v := c.vpcObject(g.VpcId)
	if v == nil {
		c.lost("security group", said, g.Tags)
		return
	}
	if d.Tags = c.ownTags("security group", said, g.Tags); d.Ingress.Set || d.Egress.Set || d.Tags.Set {
		v.DefaultSecurityGroup = set(d)
	}
}

// everythingOutward tells whether rules are those that AWS makes every group with, once what a lab has not is left out (SG-02).
func everythingOutward(l topology.List[topology.GroupRule]) bool {
	if len(l.V) != 1 {
		return false
	}
	r := l.V[0].V
	return r.Protocol.V == "-1" && len(r.CidrBlocks.V) == 1 && r.CidrBlocks.V[0].V.Bits() == 0 && !r.Self.V && len(r.SecurityGroups.V) == 0 && r.Description.V == "" && !r.Tags.Set
}

// everythingFromMembers is the same for ingress of a default group.
func everythingFromMembers(l topology.List[topology.GroupRule]) bool {
	if len(l.V) != 1 {
		return false
	}
	r := l.V[0].V
	return r.Protocol.V == "-1" && r.Self.V && len(r.CidrBlocks.V)+len(r.SecurityGroups.V) == 0 && r.Description.V == "" && !r.Tags.Set
}

func groupText(s string) string {
	s = notInGroupText.ReplaceAllString(s, "_")
	return s[:min(len(s), 255)]
}

// vpcObject is the VPC in the file; nil for one that is the lab's own default VPC.
func (c *converter) vpcObject(id string) *topology.Vpc {
	for _, v := range c.file.Vpcs.List {
		if v.Name == c.names.by[id] {
			return v
		}
	}
	return nil
}

// ownRules tells whether a group's rules are those that AWS makes it with: of a default group everything from its own
// members, and of every group everything outward.
func (c *converter) ownRules(g *rawSecurityGroup, egress bool) bool {
	rules := g.IpPermissions
	if egress {
		rules = g.IpPermissionsEgress
	} else if g.GroupName != "default" {
		return len(rules) == 0
	}
	if len(rules) != 1 || rules[0].IpProtocol != "-1" || len(rules[0].PrefixListIds)+len(rules[0].Ipv6Ranges) > 0 && !egress {
		return false
	}
	r := rules[0]
	if egress {
		return len(r.IpRanges) == 1 && r.IpRanges[0].CidrIp == "0.0.0.0/0" && r.IpRanges[0].Description == "" && len(r.IpRanges[0].tags)+len(r.UserIdGroupPairs)+len(r.PrefixListIds)+len(r.Ipv6Ranges) == 0
	}
	return len(r.IpRanges) == 0 && len(r.UserIdGroupPairs) == 1 && r.UserIdGroupPairs[0].GroupId == g.GroupId && r.UserIdGroupPairs[0].Description == "" && len(r.UserIdGroupPairs[0].tags) == 0
}

// ruleSet gathers the rules of one direction: one entry for each traffic, description and tags, with all its other sides.
type ruleSet struct {
	list []topology.Value[topology.GroupRule]
	keys []string
	seen map[string]bool
	six  int // IPv6 ranges passed over
}

func (s *ruleSet) at(like topology.GroupRule, key, description, peer string) *topology.GroupRule {
	if s.seen[key+"|"+peer] {
		return nil // AWS has no rule twice; a prefix list and a range may say the same
	}
	s.seen[key+"|"+peer] = true
	key += "|" + description + "|" + fmt.Sprint(like.Tags.V)
	i := slices.Index(s.keys, key)
	if i < 0 {
		if description != "" {
			like.Description = set(groupText(description))
		}
		s.list, s.keys = append(s.list, set(like)), append(s.keys, key)
		i = len(s.keys) - 1
	}
	return &s.list[i].V
}

// rules are those of one direction of a group.
func (c *converter) rules(g *rawSecurityGroup, said string, permissions []rawPermission, direction string) topology.List[topology.GroupRule] {
	s := &ruleSet{seen: map[string]bool{}}
	for _, p := range permissions {
		s.six += len(p.Ipv6Ranges)
		like, key, ok := c.traffic(p, said, direction)
		if !ok {
			continue
		}
		for _, r := range p.IpRanges {
			c.range_(s, c.taggedAs(like, said, r.tags), key, r.CidrIp, r.Description, said, direction)
		}
		for _, l := range p.PrefixListIds {
			for _, cidr := range c.expand(l.PrefixListId, "security group", said, "one of its "+direction+" rules") {
				c.range_(s, c.taggedAs(like, said, l.tags), key, cidr, l.Description, said, direction)
			}
		}
		for _, pair := range p.UserIdGroupPairs {
			c.pair(s, c.taggedAs(like, said, pair.tags), key, g, pair, said, direction)
		}
	}
	if s.six > 0 {
		c.note("security group", said, "IPv6 ranges in its %s rules: a lab has no IPv6 yet", direction)
	}
	return topology.List[topology.GroupRule]{V: s.list, Set: true}
}

// taggedAs is the rule with tags.
func (c *converter) taggedAs(like topology.GroupRule, said string, tags []rawTag) topology.GroupRule {
	like.Tags = c.ownTags("security group", said, tags)
	return like
}

func (c *converter) range_(s *ruleSet, like topology.GroupRule, key, cidr, description, said, direction string) {
	p, ok := ipv4(cidr)
	if !ok {
		if q, err := netip.ParsePrefix(strings.TrimSpace(cidr)); err == nil && q.Addr().Is6() {
			s.six++
			return
		}
		c.note("security group", said, "the range %q in its %s rules is none", printable(shorten(cidr)), direction)
		return
	}
	p = c.mapped(p, "security group", said)
	if r := s.at(like, key, description, p.String()); r != nil {
		r.CidrBlocks.V, r.CidrBlocks.Set = append(r.CidrBlocks.V, set(p)), true
	}
}

// pair adds a group as the other side.
func (c *converter) pair(s *ruleSet, like topology.GroupRule, key string, g *rawSecurityGroup, pair rawGroupPair, said, direction string) {
	other := c.group(pair.GroupId)
	if pair.GroupId == "" && pair.GroupName != "" { // EC2's old way of naming one of the same VPC
		i := slices.IndexFunc(c.SecurityGroups, func(o *rawSecurityGroup) bool { return o.GroupName == pair.GroupName && o.VpcId == g.VpcId })
		if i >= 0 {
			other = c.SecurityGroups[i]
		}
	}
	name := firstOf(pair.GroupId, pair.GroupName)
	switch {
	case other != nil && other.VpcId == g.VpcId:
	case other != nil:
		c.note("security group", said, "one of its %s rules names %s, a group of another VPC: a lab has no peering yet", direction, label(other.GroupName, other.GroupId, other.origin))
		return
	case pair.VpcPeeringConnectionId != "" || pair.VpcId != "" && pair.VpcId != g.VpcId:
		c.note("security group", said, "one of its %s rules names %s, a group of another VPC: a lab has no peering yet", direction, name)
		return
	case pair.UserId != "" && g.OwnerId != "" && pair.UserId != g.OwnerId:
		c.note("security group", said, "one of its %s rules names %s, a group of the account %s: a lab has one account", direction, name, pair.UserId)
		return
	default:
		c.note("security group", said, "one of its %s rules names %s, a group that is not in what was read, or in a VPC that was not chosen", direction, name)
		return
	}
	r := s.at(like, key, pair.Description, other.GroupId)
	switch {
	case r == nil:
	case other == g:
		r.Self = set(true)
	default:
		r.SecurityGroups.V, r.SecurityGroups.Set = append(r.SecurityGroups.V, set(c.names.by[other.GroupId])), true
	}
}

// traffic is what a permission allows, and a key by which the same traffic is known.
func (c *converter) traffic(p rawPermission, said, direction string) (topology.GroupRule, string, bool) {
	var r topology.GroupRule
	protocol, ok := protocolOf(p.IpProtocol)
	from, to := -1, -1
	if p.FromPort != nil {
		from = *p.FromPort
	}
	if p.ToPort != nil {
		to = *p.ToPort
	}
	switch {
	case !ok:
		c.note("security group", said, "one of its %s rules has the protocol %q", direction, printable(shorten(p.IpProtocol)))
		return r, "", false
	case protocol == "icmpv6":
		c.note("security group", said, "%s rules for ICMPv6: a lab has no IPv6 yet", direction)
		return r, "", false
	case protocol == "tcp" || protocol == "udp":
		if from < 0 || to < 0 { // -1 is how the API writes all of them
			from, to = 0, 65535
		}
		if from > to || to > 65535 {
			c.note("security group", said, "one of its %s rules has the ports %d to %d, which is no range", direction, from, to)
			return r, "", false
		}
		setPorts(&r.Port, &r.Ports, from, to)
		if protocol == "udp" {
			r.Protocol = set(protocol)
		}
	case protocol == "icmp":
		r.Protocol = set(protocol)
		if from > 255 || to > 255 || from < 0 && to >= 0 {
			c.note("security group", said, "one of its %s rules has ICMP type %d, code %d, which no message has", direction, from, to)
			return r, "", false
		}
		setIcmp(&r.IcmpType, &r.IcmpCode, from, to)
	default:
		r.Protocol, from, to = set(protocol), -1, -1
	}
	return r, fmt.Sprintf("%s %d %d", protocol, from, to), true
}

func setPorts(port, ports *topology.Value[topology.Ports], from, to int) {
	if from == to {
		*port = set(topology.Ports{From: from, To: to})
	} else {
		*ports = set(topology.Ports{From: from, To: to})
	}
}

func setIcmp(kind, code *topology.Value[int], t, c int) {
	if t >= 0 {
		*kind = set(t)
	}
	if c >= 0 {
		*code = set(c)
	}
}

// protocolOf reads a protocol's name or number, as both appear in answers of the API.
func protocolOf(text string) (topology.Protocol, bool) {
	var p topology.Protocol
	if err := p.UnmarshalText([]byte(strings.TrimSpace(text))); err != nil {
		return "", false
	}
	return p, true
}

// expand is what stands for a prefix list: its ranges, where they were read.
func (c *converter) expand(id, kind, said, what string) []string {
	l := c.prefixLists[id]
	if l == nil || !l.known {
		name := id
		if l != nil {
			name = label(l.name, id, origin{})
		}
		c.note(kind, said, "%s names the prefix list %s, whose entries were not read (get-managed-prefix-list-entries)", what, name)
		return nil
	}
	c.note(kind, said, "%s names the prefix list %s: its %d ranges stand for it", what, label(l.name, id, origin{}), len(l.cidrs))
	return l.cidrs
}

func (c *converter) convertNetworkAcls() {
	for _, a := range c.NetworkAcls {
		said := label(nameOf(a.Tags), a.NetworkAclId, a.origin)
		if a.IsDefault {
			c.ownAcl(a, said)
			continue
		}
		o := &topology.NetworkAcl{Vpc: set(c.names.by[a.VpcId])}
		c.begin(&o.Head, "network_acls", c.names.by[a.NetworkAclId], a.NetworkAclId, a.Tags, a.origin)
		o.Subnets = c.subnetNames(a.subnets())
		if r := c.aclRules(a, said, false); len(r.V) > 0 {
			o.Ingress = r
		}
		if r := c.aclRules(a, said, true); len(r.V) > 0 {
			o.Egress = r
		}
		c.file.NetworkAcls.List = append(c.file.NetworkAcls.List, o)
	}
}

// ownAcl says of a VPC's own network ACL what is not as AWS made it.
func (c *converter) ownAcl(a *rawNetworkAcl, said string) {
	d := topology.DefaultNetworkAcl{}
	if ingress, egress := c.aclRules(a, said, false), c.aclRules(a, said, true); !a.asMade() {
		d.Ingress, d.Egress = ingress, egress
	}
	v := c.vpcObject(a.VpcId)
	if v == nil {
		c.lost("network ACL", said, a.Tags)
		return
	}
	if d.Tags = c.ownTags("network ACL", said, a.Tags); !a.asMade() || d.Tags.Set {
		v.DefaultNetworkAcl = set(d)
	}
}

func (a *rawNetworkAcl) subnets() (ids []string) {
	for _, s := range a.Associations {
		ids = append(ids, s.SubnetId)
	}
	return ids
}

// subnetNames are the names of those that were brought over; not set for none.
func (c *converter) subnetNames(ids []string) topology.List[string] {
	var l topology.List[string]
	for _, id := range ids {
		if name, ok := c.names.of(id); ok && !slices.ContainsFunc(l.V, func(v topology.Value[string]) bool { return v.V == name }) {
			l.V, l.Set = append(l.V, set(name)), true
		}
	}
	return l
}

// The rules that every ACL ends with cannot be changed: they deny all IPv4 and all IPv6.
const lastAclRule = 32767

// asMade tells whether the rules are those that AWS makes a default ACL with (AC-03).
func (a *rawNetworkAcl) asMade() bool {
	n := 0
	for _, e := range a.Entries {
		if e.RuleNumber >= lastAclRule || e.CidrBlock == "" && e.Ipv6CidrBlock != "" {
			continue
		}
		if n++; e.RuleNumber != 100 || e.RuleAction != "allow" || e.Protocol != "-1" || e.CidrBlock != "0.0.0.0/0" {
			return false
		}
	}
	return n == 2
}

func (c *converter) aclRules(a *rawNetworkAcl, said string, egress bool) topology.List[topology.AclRule] {
	l := topology.List[topology.AclRule]{V: []topology.Value[topology.AclRule]{}, Set: true}
	direction := "ingress"
	if egress {
		direction = "egress"
	}
	six := 0
	seen := map[int]bool{}
	for _, e := range a.Entries {
		if e.Egress != egress || e.RuleNumber >= lastAclRule || seen[e.RuleNumber] {
			continue
		}
		seen[e.RuleNumber] = true
		if e.CidrBlock == "" && e.Ipv6CidrBlock != "" {
			six++
			continue
		}
		if r, ok := c.aclRule(e, said, direction); ok {
			l.V = append(l.V, set(r))
		}
	}
	if six > 0 {
		c.note("network ACL", said, "IPv6 ranges in its %s rules: a lab has no IPv6 yet", direction)
	}
	slices.SortStableFunc(l.V, func(a, b topology.Value[topology.AclRule]) int { return a.V.RuleNo.V - b.V.RuleNo.V })
	return l
}

func (c *converter) aclRule(e rawAclEntry, said, direction string) (r topology.AclRule, ok bool) {
	block, isRange := ipv4(e.CidrBlock)
	protocol, known := protocolOf(e.Protocol)
	bad := func(format string, a ...any) (topology.AclRule, bool) {
		c.note("network ACL", said, "%s rule %d: %s", direction, e.RuleNumber, fmt.Sprintf(format, a...))
		return r, false
	}
	switch {
	case !isRange:
		return bad("%q is no range", printable(shorten(e.CidrBlock)))
	case !known:
		return bad("%q is no protocol", printable(shorten(e.Protocol)))
	case e.RuleNumber < 1:
		return bad("its number is none")
	case e.RuleAction != "allow" && e.RuleAction != "deny":
		return bad("%q is no action", printable(shorten(e.RuleAction)))
	}
	r.RuleNo, r.Action, r.CidrBlock = set(e.RuleNumber), set(e.RuleAction), set(c.mapped(block, "network ACL", said))
	switch protocol {
	case "tcp", "udp":
		from, to := 0, 65535
		if e.PortRange != nil {
			from, to = e.PortRange.From, e.PortRange.To
		}
		if from < 0 || from > to || to > 65535 {
			return bad("%d to %d is no range of ports", from, to)
		}
		setPorts(&r.Port, &r.Ports, from, to)
		if protocol == "udp" {
			r.Protocol = set(protocol)
		}
	case "icmp", "icmpv6":
		r.Protocol = set(protocol)
		if t := e.IcmpTypeCode; t != nil {
			if t.Type > 255 || t.Code > 255 || t.Type < 0 && t.Code >= 0 {
				return bad("no message has ICMP type %s, code %s", strconv.Itoa(t.Type), strconv.Itoa(t.Code))
			}
			setIcmp(&r.IcmpType, &r.IcmpCode, t.Type, t.Code)
		}
	default:
		if protocol != "-1" {
			r.Protocol = set(protocol)
		}
	}
	return r, true
}
