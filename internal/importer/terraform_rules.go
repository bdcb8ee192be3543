package importer

import "slices"

func (t *tfReader) tfGroup(r *tfResource) {
	g := &rawSecurityGroup{GroupId: r.id(), GroupName: r.str("name"), Description: r.str("description"), VpcId: r.str("vpc_id"), OwnerId: r.str("owner_id"), Tags: r.tags(), origin: t.from(r)}
	if r.Type == "aws_default_security_group" {
		g.GroupName = "default"
	}
	if g.GroupName == "" { // only planned, with a name of Terraform's own
		g.namePrefix = firstOf(r.str("name_prefix"), r.Name)
	}
	for _, b := range r.blocks("ingress") {
		g.IpPermissions = append(g.IpPermissions, t.tfPermission(b, g.GroupId))
	}
	for _, b := range r.blocks("egress") {
		g.IpPermissionsEgress = append(g.IpPermissionsEgress, t.tfPermission(b, g.GroupId))
	}
	t.SecurityGroups = append(t.SecurityGroups, g)
}

// tfPermission is an ingress or egress block, or an aws_security_group_rule.
func (t *tfReader) tfPermission(b *tfResource, own string) rawPermission {
	p := rawPermission{IpProtocol: protocolWord(b.str("protocol")), FromPort: b.integer("from_port"), ToPort: b.integer("to_port")}
	description := b.str("description")
	for _, cidr := range b.strs("cidr_blocks") {
		p.IpRanges = append(p.IpRanges, rawRange{CidrIp: cidr, Description: description})
	}
	for _, cidr := range b.strs("ipv6_cidr_blocks") {
		p.Ipv6Ranges = append(p.Ipv6Ranges, rawIpv6Range{cidr, description})
	}
	for _, id := range b.strs("prefix_list_ids") {
		p.PrefixListIds = append(p.PrefixListIds, rawListRange{PrefixListId: id, Description: description})
	}
	groups := b.strs("security_groups")
	if id := b.str("source_security_group_id"); id != "" {
		groups = append(groups, id)
	}
	if b.is("self") && !slices.Contains(groups, own) {
		groups = append(groups, own)
	}
	for _, id := range groups {
		pair := rawGroupPair{GroupId: id, Description: description}
		// A group of another account is ACCOUNT/GROUP in a state.
		if len(id) > 13 && id[12] == '/' {
			pair.UserId, pair.GroupId = id[:12], id[13:]
		}
		p.UserIdGroupPairs = append(p.UserIdGroupPairs, pair)
	}
	return p
}

// addRule adds a separate rule to its group. A state that was refreshed has it in the group as well.
func (t *tfReader) addRule(r *tfResource, group string, egress bool, p rawPermission) {
	t.later = append(t.later, func() {
		t.ownObjects() // it may be a VPC's own group
		switch g := t.group(group); {
		case g == nil:
			t.missing(r, "group", group)
		case egress:
			g.IpPermissionsEgress = append(g.IpPermissionsEgress, p)
		default:
			g.IpPermissions = append(g.IpPermissions, p)
		}
	})
}

func (t *tfReader) tfOldRule(r *tfResource) {
	group := r.str("security_group_id")
	t.addRule(r, group, r.str("type") == "egress", t.tfPermission(r, group))
}

func (t *tfReader) tfRule(r *tfResource) {
	group := r.str("security_group_id")
	rule := rawGroupRule{GroupId: group, IpProtocol: protocolWord(r.str("ip_protocol")), FromPort: r.integer("from_port"), ToPort: r.integer("to_port"),
		CidrIpv4: r.str("cidr_ipv4"), CidrIpv6: r.str("cidr_ipv6"), PrefixListId: r.str("prefix_list_id"), Description: r.str("description"), Tags: r.tags(), IsEgress: r.Type == "aws_vpc_security_group_egress_rule"}
	if id := r.str("referenced_security_group_id"); id != "" {
		rule.ReferencedGroupInfo = &rawGroupPair{GroupId: id}
		if len(id) > 13 && id[12] == '/' {
			rule.ReferencedGroupInfo.UserId, rule.ReferencedGroupInfo.GroupId = id[:12], id[13:]
		}
	}
	t.addRule(r, group, rule.IsEgress, rule.permission())
	t.GroupRules = append(t.GroupRules, &rule)
}

func (t *tfReader) tfAcl(r *tfResource) {
	a := &rawNetworkAcl{NetworkAclId: r.id(), VpcId: r.str("vpc_id"), IsDefault: r.Type == "aws_default_network_acl", Tags: r.tags(), origin: t.from(r)}
	for _, id := range r.strs("subnet_ids") {
		a.Associations = append(a.Associations, struct{ SubnetId string }{id})
	}
	for _, b := range r.blocks("ingress") {
		a.Entries = append(a.Entries, tfEntry(b, "rule_no", "action", false))
	}
	for _, b := range r.blocks("egress") {
		a.Entries = append(a.Entries, tfEntry(b, "rule_no", "action", true))
	}
	if a.IsDefault && a.VpcId == "" { // a plan names the VPC by the ACL that it comes with
		t.later = append(t.later, func() { a.VpcId = t.ownAcls[r.str("default_network_acl_id")] })
	}
	t.NetworkAcls = append(t.NetworkAcls, a)
}

func tfEntry(b *tfResource, number, action string, egress bool) rawAclEntry {
	e := rawAclEntry{CidrBlock: b.str("cidr_block"), Ipv6CidrBlock: b.str("ipv6_cidr_block"), Protocol: protocolWord(b.str("protocol")), RuleAction: b.str(action), RuleNumber: b.number(number), Egress: egress}
	switch p, _ := protocolOf(e.Protocol); p {
	case "icmp", "icmpv6":
		e.IcmpTypeCode = &struct{ Type, Code int }{-1, -1}
		if n := b.integer("icmp_type"); n != nil {
			e.IcmpTypeCode.Type = *n
		}
		if n := b.integer("icmp_code"); n != nil && e.IcmpTypeCode.Type >= 0 {
			e.IcmpTypeCode.Code = *n
		}
	case "tcp", "udp":
		e.PortRange = &struct{ From, To int }{b.number("from_port"), b.number("to_port")}
	}
	return e
}

func (t *tfReader) tfAclRule(r *tfResource) {
	t.later = append(t.later, func() {
		if a := t.acl(r.str("network_acl_id")); a != nil {
			a.Entries = append(a.Entries, tfEntry(r, "rule_number", "rule_action", r.is("egress")))
		} else {
			t.missing(r, "network ACL", r.str("network_acl_id"))
		}
	})
}

func (t *tfReader) tfAclAssociation(r *tfResource) {
	t.later = append(t.later, func() {
		if a := t.acl(r.str("network_acl_id")); a != nil && !slices.Contains(a.subnets(), r.str("subnet_id")) {
			a.Associations = append(a.Associations, struct{ SubnetId string }{r.str("subnet_id")})
		}
	})
}

func (a *account) acl(id string) *rawNetworkAcl {
	return byID(a.NetworkAcls, id, func(n *rawNetworkAcl) string { return n.NetworkAclId })
}
