package topology

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

func (c *converger) securityGroup(o *SecurityGroup) {
	c.at(&o.Head)
	if id, ok := c.present(&o.Head); ok {
		c.retag(id, c.tx.SecurityGroups.Get(vpc.SecurityGroupID(id)).Tags)
		c.done()
		return
	}
	c.made(string(call[vpc.CreateSecurityGroupOutput](c, &vpc.CreateSecurityGroupInput{GroupName: o.groupName(), Description: o.Description.V,
		VpcId: vpc.VpcID(c.refID("vpcs", o.Vpc.V)), TagSpecifications: c.tagged("security-group")}).GroupId))
}

// What AWS puts into groups by itself (SG-02).
var (
	everyAddress = netip.MustParsePrefix("0.0.0.0/0")
	allOutward   = oneRule(GroupRule{CidrBlocks: List[netip.Prefix]{V: []Value[netip.Prefix]{{V: everyAddress}}}})
	ownMembers   = oneRule(GroupRule{Self: Value[bool]{V: true}})
)

// oneRule is a list of one rule for all protocols.
func oneRule(r GroupRule) List[GroupRule] {
	r.Protocol = Value[Protocol]{V: "-1", Set: true}
	return List[GroupRule]{V: []Value[GroupRule]{{V: r}}}
}

// given is the list of a key, or what stands for it where the key is absent.
func given[T any](l, absent List[T]) List[T] {
	if l.Set {
		return l
	}
	return absent
}

// groupRules makes the rules of all groups of the file what it says.
func (c *converger) groupRules() {
	for _, o := range c.f.SecurityGroups.List {
		if c.at(&o.Head); c.err == nil {
			id := vpc.SecurityGroupID(c.id("security_groups", o.Name))
			c.rules(id, o.Ingress, false)
			c.rules(id, given(o.Egress, allOutward), true)
			c.done()
		}
	}
	for _, v := range c.f.Vpcs.List {
		if c.at(&v.Head); c.err == nil {
			id := c.tx.DefaultSecurityGroup(vpc.VpcID(c.id("vpcs", v.Name))).ID
			c.rules(id, given(v.DefaultSecurityGroup.V.Ingress, ownMembers), false)
			c.rules(id, given(v.DefaultSecurityGroup.V.Egress, allOutward), true)
			c.retagAs("default_security_group.tags", string(id), c.tx.SecurityGroups.Get(id).Tags, v.DefaultSecurityGroup.V.Tags.V)
			c.done()
		}
	}
}

func (c *converger) rules(id vpc.SecurityGroupID, want List[GroupRule], egress bool) {
	is := c.tx.SecurityGroups.Get(id)
	have, direction := is.Ingress, "ingress"
	if egress {
		have, direction = is.Egress, "egress"
	}
	type wish struct {
		rule vpc.SecurityGroupRule
		line int
	}
	var wishes []wish
	for _, r := range want.V {
		for _, e := range r.V.entries() {
			rule := vpc.SecurityGroupRule{IpProtocol: string(e.protocol), FromPort: e.from, ToPort: e.to, CidrIpv4: e.cidr, Description: e.description, Tags: e.tags}
			switch e.group {
			case "":
			case selfGroup:
				rule.GroupID = id
			case DefaultName:
				rule.GroupID = c.tx.DefaultSecurityGroup(is.VpcID).ID
			default:
				rule.GroupID = vpc.SecurityGroupID(c.id("security_groups", e.group))
			}
			wishes = append(wishes, wish{rule, r.Line})
		}
	}
	extra := filterRules(have, func(h vpc.SecurityGroupRule) bool {
		return !slices.ContainsFunc(wishes, func(w wish) bool { return sameRule(w.rule, h) })
	})
	c.revoke(id, extra, egress)
	for _, r := range extra {
		c.did("%s: without %s", direction, c.ruleText(r))
	}
	made := 0 // how many of the wishes are there already, by a call for several
	for at, w := range wishes {
		c.line = w.line
		i := slices.IndexFunc(have, func(h vpc.SecurityGroupRule) bool { return sameRule(w.rule, h) })
		if i < 0 {
			if at >= made {
				var alike []vpc.SecurityGroupRule
				for _, next := range wishes[at:] {
					if !maps.Equal(next.rule.Tags, w.rule.Tags) || slices.ContainsFunc(have, func(h vpc.SecurityGroupRule) bool { return sameRule(next.rule, h) }) {
						break
					}
					alike = append(alike, next.rule)
				}
				made = at + c.authorizeAll(id, alike, egress)
			}
			c.did("%s: with %s", direction, c.ruleText(w.rule))
			continue
		}
		if have[i].Description != w.rule.Description {
			c.describe(id, have[i].ID, w.rule.Description, egress)
			c.did("%s: description of %s", direction, c.ruleText(w.rule))
		}
		c.retagAs(direction+": tags of "+c.ruleText(w.rule), string(have[i].ID), have[i].Tags, w.rule.Tags)
	}
}

// sameRule compares what rules allow.
func sameRule(a, b vpc.SecurityGroupRule) bool {
	return a.IpProtocol == b.IpProtocol && a.FromPort == b.FromPort && a.ToPort == b.ToPort &&
		a.CidrIpv4 == b.CidrIpv4 && a.CidrIpv6 == b.CidrIpv6 && a.GroupID == b.GroupID
}

func filterRules(rules []vpc.SecurityGroupRule, keep func(vpc.SecurityGroupRule) bool) (out []vpc.SecurityGroupRule) {
	for _, r := range rules {
		if keep(r) {
			out = append(out, r)
		}
	}
	return out
}

// ruleText is a rule in few words: "tcp 22 0.0.0.0/0".
func (c *converger) ruleText(r vpc.SecurityGroupRule) string {
	what := r.IpProtocol
	switch {
	case what == "-1":
		what = "all"
	case what != "tcp" && what != "udp" && r.FromPort < 0:
	case r.FromPort == r.ToPort:
		what += fmt.Sprintf(" %d", r.FromPort)
	default:
		what += fmt.Sprintf(" %d-%d", r.FromPort, r.ToPort)
	}
	switch g := c.tx.SecurityGroups.Get(r.GroupID); {
	case g != nil:
		return what + " group " + g.GroupName
	case r.GroupID != "":
		return what + " " + string(r.GroupID)
	case r.CidrIpv6.IsValid():
		return what + " " + r.CidrIpv6.String()
	}
	return what + " " + r.CidrIpv4.String()
}

// authorizeAll makes rules that have the same tags by one call, as a call for each copies the tables of a large lab each
// time, and returns how many it made. If one of them is refused, the first is made by itself, so that the line of the one at fault is told.
func (c *converger) authorizeAll(id vpc.SecurityGroupID, rules []vpc.SecurityGroupRule, egress bool) int {
	if c.err == nil && len(rules) > 1 {
		action, in := authorization(id, rules, egress)
		if _, err := c.tx.Run(action, in); err == nil {
			return len(rules)
		}
	}
	if _, in := authorization(id, rules[:1], egress); egress {
		call[vpc.AuthorizeSecurityGroupEgressOutput](c, in)
	} else {
		call[vpc.AuthorizeSecurityGroupIngressOutput](c, in)
	}
	return 1
}

// authorization is the call that makes the rules, whose tags are those of the first.
func authorization(id vpc.SecurityGroupID, rules []vpc.SecurityGroupRule, egress bool) (action string, in any) {
	var permissions []vpc.IpPermission
	for _, r := range rules {
		p := vpc.IpPermission{IpProtocol: r.IpProtocol}
		if slices.Contains([]string{"tcp", "udp", "icmp", "icmpv6"}, r.IpProtocol) {
			p.FromPort, p.ToPort = &r.FromPort, &r.ToPort
		}
		if r.GroupID != "" {
			p.UserIdGroupPairs = []vpc.UserIdGroupPair{{GroupId: r.GroupID, Description: r.Description}}
		} else {
			p.IpRanges = []vpc.IpRange{{CidrIp: r.CidrIpv4.String(), Description: r.Description}}
		}
		permissions = append(permissions, p)
	}
	var tags []vpc.TagSpecification
	if len(rules[0].Tags) > 0 {
		tags = []vpc.TagSpecification{{ResourceType: "security-group-rule", Tags: tagList(rules[0].Tags)}}
	}
	if egress {
		return "AuthorizeSecurityGroupEgress", &vpc.AuthorizeSecurityGroupEgressInput{GroupId: id, IpPermissions: permissions, TagSpecifications: tags}
	}
	return "AuthorizeSecurityGroupIngress", &vpc.AuthorizeSecurityGroupIngressInput{GroupId: id, IpPermissions: permissions, TagSpecifications: tags}
}

func (c *converger) revoke(id vpc.SecurityGroupID, rules []vpc.SecurityGroupRule, egress bool) {
	if len(rules) == 0 {
		return
	}
	var ids []vpc.SecurityRuleID
	for _, r := range rules {
		ids = append(ids, r.ID)
	}
	if egress {
		call[vpc.RevokeSecurityGroupEgressOutput](c, &vpc.RevokeSecurityGroupEgressInput{GroupId: id, SecurityGroupRuleIds: ids})
		return
	}
	call[vpc.RevokeSecurityGroupIngressOutput](c, &vpc.RevokeSecurityGroupIngressInput{GroupId: id, SecurityGroupRuleIds: ids})
}

func (c *converger) describe(id vpc.SecurityGroupID, rule vpc.SecurityRuleID, text string, egress bool) {
	list := []vpc.SecurityGroupRuleDescription{{SecurityGroupRuleId: rule, Description: text}}
	if egress {
		call[vpc.UpdateSecurityGroupRuleDescriptionsEgressOutput](c, &vpc.UpdateSecurityGroupRuleDescriptionsEgressInput{GroupId: id, SecurityGroupRuleDescriptions: list})
		return
	}
	call[vpc.UpdateSecurityGroupRuleDescriptionsIngressOutput](c, &vpc.UpdateSecurityGroupRuleDescriptionsIngressInput{GroupId: id, SecurityGroupRuleDescriptions: list})
}

func (c *converger) networkAcl(o *NetworkAcl) {
	c.at(&o.Head)
	id, present := c.present(&o.Head)
	if !present {
		id = string(call[vpc.CreateNetworkAclOutput](c, &vpc.CreateNetworkAclInput{VpcId: vpc.VpcID(c.refID("vpcs", o.Vpc.V)), TagSpecifications: c.tagged("network-acl")}).NetworkAcl.NetworkAclId)
		c.made(id)
	}
	if is := c.tx.NetworkAcls.Get(vpc.NetworkAclID(id)); is != nil && c.err == nil {
		c.retag(id, is.Tags)
		c.entries(is.ID, o.Ingress, false)
		c.entries(is.ID, o.Egress, true)
	}
	c.done()
}

// allowAll is rule 100 of a default network ACL (AC-02).
var allowAll = List[AclRule]{V: []Value[AclRule]{{V: AclRule{RuleNo: Value[int]{V: 100}, Action: Value[string]{V: "allow"},
	Protocol: Value[Protocol]{V: "-1", Set: true}, CidrBlock: Value[netip.Prefix]{V: everyAddress}}}}}

// lastEntry is the highest number that a rule can have; the "*" entries are above.
const lastEntry = 32766

// entries makes the rules of an ACL in one direction what the file says.
func (c *converger) entries(id vpc.NetworkAclID, want List[AclRule], egress bool) {
	is := c.tx.NetworkAcls.Get(id)
	direction := map[bool]string{false: "ingress", true: "egress"}[egress]
	for _, e := range is.Entries {
		if e.Egress == egress && e.RuleNumber <= lastEntry && !slices.ContainsFunc(want.V, func(r Value[AclRule]) bool { return r.V.RuleNo.V == e.RuleNumber }) {
			call[vpc.DeleteNetworkAclEntryOutput](c, &vpc.DeleteNetworkAclEntryInput{NetworkAclId: id, RuleNumber: e.RuleNumber, Egress: egress})
			c.did("%s: without rule %d", direction, e.RuleNumber)
		}
	}
	for _, r := range want.V {
		e := r.V.entry(egress)
		i := slices.IndexFunc(is.Entries, func(h vpc.NetworkAclEntry) bool { return h.Egress == egress && h.RuleNumber == e.RuleNumber })
		if i >= 0 && is.Entries[i] == e {
			continue
		}
		c.line = r.Line
		in := vpc.CreateNetworkAclEntryInput{NetworkAclId: id, RuleNumber: e.RuleNumber, Protocol: e.Protocol, RuleAction: e.RuleAction, Egress: egress, CidrBlock: e.CidrBlock.String()}
		in.PortRange.From, in.PortRange.To = &e.FromPort, &e.ToPort
		in.IcmpTypeCode.Type, in.IcmpTypeCode.Code = &e.IcmpType, &e.IcmpCode
		if i >= 0 {
			replace := vpc.ReplaceNetworkAclEntryInput(in)
			call[vpc.ReplaceNetworkAclEntryOutput](c, &replace)
		} else {
			call[vpc.CreateNetworkAclEntryOutput](c, &in)
		}
		c.did("%s: rule %d", direction, e.RuleNumber)
	}
}

// entry is the rule as the model keeps it.
func (r *AclRule) entry(egress bool) vpc.NetworkAclEntry {
	t, _ := r.keys().resolve()
	e := vpc.NetworkAclEntry{RuleNumber: r.RuleNo.V, Egress: egress, Protocol: t.protocol.number(), RuleAction: r.Action.V, CidrBlock: r.CidrBlock.V}
	switch t.protocol {
	case "tcp", "udp":
		e.FromPort, e.ToPort = t.from, t.to
	case "icmp":
		e.IcmpType, e.IcmpCode = t.from, t.to
	}
	return e
}

// aclAssociations gives every subnet the ACL that the file names for it, and the
// other subnets of the file their VPC's default one, whose rules are set too.
func (c *converger) aclAssociations() {
	for _, v := range c.f.Vpcs.List {
		if c.at(&v.Head); c.err == nil {
			id := c.tx.DefaultNetworkAcl(vpc.VpcID(c.id("vpcs", v.Name))).ID
			c.entries(id, given(v.DefaultNetworkAcl.V.Ingress, allowAll), false)
			c.entries(id, given(v.DefaultNetworkAcl.V.Egress, allowAll), true)
			c.retagAs("default_network_acl.tags", string(id), c.tx.NetworkAcls.Get(id).Tags, v.DefaultNetworkAcl.V.Tags.V)
			c.done()
		}
	}
	for _, o := range c.f.NetworkAcls.List {
		c.at(&o.Head)
		for _, s := range o.Subnets.V {
			is := c.tx.Subnets.Get(vpc.SubnetID(c.refID("subnets", s.V)))
			if c.line = s.Line; c.err == nil && is != nil {
				if c.associateAcl(is, vpc.NetworkAclID(c.id("network_acls", o.Name))) {
					c.did("for subnet %s", c.nameOf(is.Source, string(is.ID)))
				}
			}
		}
		c.done()
	}
	named := map[string]bool{}
	for _, o := range c.f.NetworkAcls.List {
		for _, s := range o.Subnets.V {
			named[c.refID("subnets", s.V)] = true
		}
	}
	for id, s := range c.tx.Subnets.All() {
		acl := c.tx.NetworkAcls.Get(s.NetworkAclID)
		if named[string(id)] || acl.IsDefault || !strings.HasPrefix(s.Source, "subnets.") && acl.Source == "" {
			continue
		}
		c.head, c.details = &Head{Kind: "subnets", Name: c.nameOf(s.Source, string(id))}, nil
		c.line, c.tx.Call.Source, c.tx.Call.Region = c.f.lineOf("subnets", c.head.Name), s.Source, s.Region
		if c.associateAcl(s, c.tx.DefaultNetworkAcl(s.VpcID).ID) {
			c.did("default network acl")
		}
		c.done()
	}
}

// associateAcl gives the subnet the ACL unless it has it.
func (c *converger) associateAcl(s *vpc.Subnet, acl vpc.NetworkAclID) bool {
	if s.NetworkAclID == acl {
		return false
	}
	call[vpc.ReplaceNetworkAclAssociationOutput](c, &vpc.ReplaceNetworkAclAssociationInput{AssociationId: s.AclAssociationID, NetworkAclId: acl})
	return true
}
