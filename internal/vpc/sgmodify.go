package vpc

import (
	"slices"
	"strings"
)

// ModifySecurityGroupRulesInput and the other inputs and outputs below have the members of the EC2 API.
type ModifySecurityGroupRulesInput struct {
	GroupId            SecurityGroupID
	SecurityGroupRules []SecurityGroupRuleUpdate
	DryRun             bool
}

type SecurityGroupRuleUpdate struct {
	SecurityGroupRuleId SecurityRuleID
	SecurityGroupRule   SecurityGroupRuleRequest
}

// SecurityGroupRuleRequest is a whole rule: what it leaves out is taken away.
type SecurityGroupRuleRequest struct {
	IpProtocol        string
	FromPort          *int
	ToPort            *int
	CidrIpv4          string
	CidrIpv6          string
	PrefixListId      string
	ReferencedGroupId SecurityGroupID
	Description       string
}

type ModifySecurityGroupRulesOutput struct {
	Return bool `json:"Return"`
}

// ModifySecurityGroupRules gives rules other values under their old IDs.
func (tx *Tx) ModifySecurityGroupRules(in *ModifySecurityGroupRulesInput) (*ModifySecurityGroupRulesOutput, error) {
	g, err := find(&tx.SecurityGroups, in.GroupId)
	if err != nil {
		return nil, err
	}
	if len(in.SecurityGroupRules) == 0 {
		return nil, errMissing("securityGroupRules")
	}
	sides := [2][]SecurityGroupRule{slices.Clone(g.Ingress), slices.Clone(g.Egress)}
	for i := range in.SecurityGroupRules {
		u := &in.SecurityGroupRules[i]
		side := 0
		n, err := ruleByID(sides[0], u.SecurityGroupRuleId)
		if err != nil {
			side = 1
			if n, err = ruleByID(sides[1], u.SecurityGroupRuleId); err != nil {
				return nil, err
			}
		}
		r, err := tx.readRuleRequest(g, &u.SecurityGroupRule)
		if err != nil {
			return nil, err
		}
		if was, is := sides[side][n].peerKind(), r.peerKind(); was != is {
			return nil, errInvalid("You may not specify %s for an existing %s rule.", is, strings.TrimPrefix(strings.TrimPrefix(was, "an "), "a "))
		}
		r.ID, r.Tags = sides[side][n].ID, sides[side][n].Tags
		sides[side][n] = r
	}
	for _, rules := range sides {
		for i := range rules {
			if slices.ContainsFunc(rules[:i], func(o SecurityGroupRule) bool { return o.sameTraffic(&rules[i]) }) {
				return nil, errDuplicateRule(&rules[i])
			}
		}
		if err := tx.groupWeight(g, rules); err != nil {
			return nil, err
		}
	}
	c := *g
	c.Ingress, c.Egress = sides[0], sides[1]
	tx.SecurityGroups.Put(c.ID, &c)
	return &ModifySecurityGroupRulesOutput{true}, nil
}

// peerKind is what kind of peer a rule names, which a modification cannot change.
func (r *SecurityGroupRule) peerKind() string {
	switch {
	case r.GroupID != "":
		return "a referenced group id"
	case r.CidrIpv6.IsValid():
		return "an IPv6 CIDR"
	}
	return "an IPv4 CIDR"
}

func (tx *Tx) readRuleRequest(g *SecurityGroup, q *SecurityGroupRuleRequest) (SecurityGroupRule, error) {
	peers := 0
	for _, s := range []string{q.CidrIpv4, q.CidrIpv6, q.PrefixListId, string(q.ReferencedGroupId)} {
		if s != "" {
			peers++
		}
	}
	protocol, _ := groupProtocol(q.IpProtocol) // what is none, rulePortsOf refuses
	switch {
	case q.IpProtocol == "":
		return SecurityGroupRule{}, errInvalid("Invalid value 'null' for protocol. VPC security group rules must specify protocols explicitly.")
	case (protocol == "tcp" || protocol == "udp") && (q.FromPort == nil || q.ToPort == nil):
		return SecurityGroupRule{}, errInvalid("Invalid value for portRange. Must specify both from and to ports with TCP/UDP.")
	case peers == 0:
		return SecurityGroupRule{}, errorf("MissingParameter", "The request must contain exactly one of: cidrIp, cidrIpv6, prefixListId, or referencedGroupId")
	case peers > 1:
		return SecurityGroupRule{}, errorf("InvalidParameterCombination", "Only one of cidrIp, cidrIpv6, prefixListId, or referencedGroupId can be specified")
	}
	if q.PrefixListId != "" {
		return SecurityGroupRule{}, errNoPrefixList(q.PrefixListId)
	}
	ports, err := rulePortsOf(q.IpProtocol, q.FromPort, q.ToPort)
	if err != nil {
		return SecurityGroupRule{}, err
	}
	return tx.readRule(g, ports, q.CidrIpv4, q.CidrIpv6, q.ReferencedGroupId, q.Description)
}

// SecurityGroupRuleDescription gives a rule, named by its ID, a description.
type SecurityGroupRuleDescription struct {
	SecurityGroupRuleId SecurityRuleID
	Description         string
}

type UpdateSecurityGroupRuleDescriptionsIngressInput struct {
	GroupId                       SecurityGroupID
	GroupName                     string
	IpPermissions                 []IpPermission
	SecurityGroupRuleDescriptions []SecurityGroupRuleDescription
	DryRun                        bool
}

type UpdateSecurityGroupRuleDescriptionsIngressOutput struct {
	Return bool `json:"Return"`
}

// UpdateSecurityGroupRuleDescriptionsIngress changes descriptions of inbound rules.
func (tx *Tx) UpdateSecurityGroupRuleDescriptionsIngress(in *UpdateSecurityGroupRuleDescriptionsIngressInput) (*UpdateSecurityGroupRuleDescriptionsIngressOutput, error) {
	if err := tx.describeRules(false, in); err != nil {
		return nil, err
	}
	return &UpdateSecurityGroupRuleDescriptionsIngressOutput{true}, nil
}

type UpdateSecurityGroupRuleDescriptionsEgressInput UpdateSecurityGroupRuleDescriptionsIngressInput

type UpdateSecurityGroupRuleDescriptionsEgressOutput struct {
	Return bool `json:"Return"`
}

// UpdateSecurityGroupRuleDescriptionsEgress changes descriptions of outbound rules.
func (tx *Tx) UpdateSecurityGroupRuleDescriptionsEgress(in *UpdateSecurityGroupRuleDescriptionsEgressInput) (*UpdateSecurityGroupRuleDescriptionsEgressOutput, error) {
	if err := tx.describeRules(true, (*UpdateSecurityGroupRuleDescriptionsIngressInput)(in)); err != nil {
		return nil, err
	}
	return &UpdateSecurityGroupRuleDescriptionsEgressOutput{true}, nil
}

func (tx *Tx) describeRules(egress bool, in *UpdateSecurityGroupRuleDescriptionsIngressInput) error {
	g, named, err := tx.groupRequest(groupRuleRequest{id: in.GroupId, name: in.GroupName, permissions: in.IpPermissions})
	if err != nil {
		return err
	}
	if len(named)+len(in.SecurityGroupRuleDescriptions) == 0 {
		return errMissing("ipPermissions")
	}
	rules := slices.Clone(g.rules(egress))
	for _, d := range in.SecurityGroupRuleDescriptions {
		i, err := ruleByID(rules, d.SecurityGroupRuleId)
		if err != nil {
			return err
		}
		if !groupText(d.Description) {
			return errValue(d.Description, "description", groupTextRule)
		}
		rules[i].Description = d.Description
	}
	for _, r := range named {
		i := slices.IndexFunc(rules, func(o SecurityGroupRule) bool { return o.sameTraffic(&r) })
		if i < 0 {
			return errorf("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
		}
		rules[i].Description = r.Description
	}
	tx.putRules(g, egress, rules)
	return nil
}

type DescribeSecurityGroupRulesInput struct {
	SecurityGroupRuleIds []SecurityRuleID
	Filters              []Filter
	MaxResults           *int
	NextToken            string
	DryRun               bool
}

type DescribeSecurityGroupRulesOutput struct {
	SecurityGroupRules []SecurityGroupRuleInfo `json:"SecurityGroupRules"`
	NextToken          string                  `json:"NextToken,omitempty"`
}

var groupRuleFilters = filterSet[groupRule]{
	"group-id":               func(_ *Model, r *groupRule) []string { return one(r.group.ID) },
	"security-group-rule-id": func(_ *Model, r *groupRule) []string { return one(r.ID) },
}

// DescribeSecurityGroupRules lists rules one by one.
func (tx *Tx) DescribeSecurityGroupRules(in *DescribeSecurityGroupRulesInput) (*DescribeSecurityGroupRulesOutput, error) {
	if err := groupRuleFilters.check(in.Filters); err != nil {
		return nil, err
	}
	if err := checkGroupFilter(in.Filters); err != nil {
		return nil, err
	}
	var all []SecurityGroupRule
	var list []*groupRule
	for _, r := range tx.allGroupRules() {
		all = append(all, r.SecurityGroupRule)
		if len(in.SecurityGroupRuleIds) > 0 && !slices.Contains(in.SecurityGroupRuleIds, r.ID) || !groupRuleFilters.match(&tx.Model, in.Filters, r) {
			continue
		}
		list = append(list, r)
	}
	for _, id := range in.SecurityGroupRuleIds {
		if _, err := ruleByID(all, id); err != nil {
			return nil, err
		}
	}
	list, next, err := page(list, paging{in.MaxResults, in.NextToken, 5, 1000}, func(r *groupRule) string { return string(r.ID) })
	if err != nil {
		return nil, err
	}
	return &DescribeSecurityGroupRulesOutput{views(list, tx.ruleInfo), next}, nil
}

// checkGroupFilter refuses what cannot be a group's ID: alone of its kind, this filter is read as a parameter.
func checkGroupFilter(filters []Filter) error {
	k := kindOf[SecurityGroupID]()
	for _, f := range filters {
		for _, id := range f.Values {
			if f.Name == "group-id" && !strings.ContainsAny(id, "*?") && !WellFormed(k.prefix, id) {
				return errorf(k.malformed, "The security group ID '%s' is malformed", id)
			}
		}
	}
	return nil
}

// allGroupRules are the rules of every group, in order of their IDs.
func (m *Model) allGroupRules() []*groupRule {
	var list []*groupRule
	for _, g := range m.SecurityGroups.All() {
		for _, egress := range []bool{false, true} {
			for _, r := range g.rules(egress) {
				list = append(list, &groupRule{r, g, egress})
			}
		}
	}
	slices.SortFunc(list, func(a, b *groupRule) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return list
}
