package vpc

import (
	"slices"
)

// groupRuleRequest is what Authorize and Revoke have in common: permissions, or
// one rule by the old members at the top level.
type groupRuleRequest struct {
	id          SecurityGroupID
	name        string
	permissions []IpPermission
	protocol    string
	from, to    *int
	cidr        string
	source      string // group name
}

// groupRequest finds the request's group and turns what it asks into rules.
func (tx *Tx) groupRequest(q groupRuleRequest) (*SecurityGroup, []SecurityGroupRule, error) {
	g, err := tx.findGroup(q.id, q.name)
	if err != nil {
		return nil, nil, err
	}
	permissions := q.permissions
	if q.protocol != "" || q.cidr != "" || q.source != "" || q.from != nil || q.to != nil {
		if len(permissions) > 0 {
			return nil, nil, errorf("InvalidParameterCombination", "The parameter 'ipPermissions' may not be used in combination with 'ipProtocol'")
		}
		p := IpPermission{IpProtocol: q.protocol, FromPort: q.from, ToPort: q.to}
		if p.IpProtocol == "" && q.source != "" {
			p.IpProtocol = "-1"
		}
		if q.cidr != "" {
			p.IpRanges = []IpRange{{CidrIp: q.cidr}}
		}
		if q.source != "" {
			peer := tx.groupByName(g.VpcID, q.source)
			if peer == nil {
				return nil, nil, errorf("InvalidGroup.NotFound", "The security group '%s' does not exist in VPC '%s'", q.source, g.VpcID)
			}
			p.UserIdGroupPairs = []UserIdGroupPair{{GroupId: peer.ID}}
		}
		permissions = []IpPermission{p}
	}
	rules, err := tx.readPermissions(g, permissions)
	return g, rules, err
}

// AuthorizeSecurityGroupIngressInput and the other inputs and outputs below have the members of the EC2 API.
type AuthorizeSecurityGroupIngressInput struct {
	GroupId                    SecurityGroupID
	GroupName                  string
	IpPermissions              []IpPermission
	IpProtocol                 string
	FromPort                   *int
	ToPort                     *int
	CidrIp                     string
	SourceSecurityGroupName    string
	SourceSecurityGroupOwnerId string
	TagSpecifications          []TagSpecification
	DryRun                     bool
}

type AuthorizeSecurityGroupIngressOutput struct {
	Return             bool                    `json:"Return"`
	SecurityGroupRules []SecurityGroupRuleInfo `json:"SecurityGroupRules"`
}

// AuthorizeSecurityGroupIngress adds inbound rules (SG-04 to SG-07).
func (tx *Tx) AuthorizeSecurityGroupIngress(in *AuthorizeSecurityGroupIngressInput) (*AuthorizeSecurityGroupIngressOutput, error) {
	rules, err := tx.authorize(false, in.TagSpecifications, groupRuleRequest{
		in.GroupId, in.GroupName, in.IpPermissions, in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, in.SourceSecurityGroupName,
	})
	if err != nil {
		return nil, err
	}
	return &AuthorizeSecurityGroupIngressOutput{true, rules}, nil
}

type AuthorizeSecurityGroupEgressInput struct {
	GroupId                    SecurityGroupID
	IpPermissions              []IpPermission
	IpProtocol                 string
	FromPort                   *int
	ToPort                     *int
	CidrIp                     string
	SourceSecurityGroupName    string
	SourceSecurityGroupOwnerId string
	TagSpecifications          []TagSpecification
	DryRun                     bool
}

type AuthorizeSecurityGroupEgressOutput struct {
	Return             bool                    `json:"Return"`
	SecurityGroupRules []SecurityGroupRuleInfo `json:"SecurityGroupRules"`
}

// AuthorizeSecurityGroupEgress adds outbound rules.
func (tx *Tx) AuthorizeSecurityGroupEgress(in *AuthorizeSecurityGroupEgressInput) (*AuthorizeSecurityGroupEgressOutput, error) {
	rules, err := tx.authorize(true, in.TagSpecifications, groupRuleRequest{
		in.GroupId, "", in.IpPermissions, in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, in.SourceSecurityGroupName,
	})
	if err != nil {
		return nil, err
	}
	return &AuthorizeSecurityGroupEgressOutput{true, rules}, nil
}

func (tx *Tx) authorize(egress bool, specs []TagSpecification, q groupRuleRequest) ([]SecurityGroupRuleInfo, error) {
	g, add, err := tx.groupRequest(q)
	if err != nil {
		return nil, err
	}
	if len(add) == 0 {
		return nil, errMissing("ipPermissions")
	}
	tags, err := specTags(specs, "security-group-rule")
	if err != nil {
		return nil, err
	}
	rules := slices.Clone(g.rules(egress))
	for _, r := range add {
		if slices.ContainsFunc(rules, func(o SecurityGroupRule) bool { return o.sameTraffic(&r) }) {
			return nil, errDuplicateRule(&r)
		}
		rules = append(rules, r)
	}
	if err := tx.groupWeight(g, rules); err != nil {
		return nil, err
	}
	infos := []SecurityGroupRuleInfo{}
	for i := len(rules) - len(add); i < len(rules); i++ {
		rules[i].ID, rules[i].Tags = newID[SecurityRuleID](tx), tags
		infos = append(infos, tx.ruleInfo(&groupRule{rules[i], g, egress}))
	}
	tx.putRules(g, egress, rules)
	return infos, nil
}

func errDuplicateRule(r *SecurityGroupRule) error {
	return errorf("InvalidPermission.Duplicate", "the specified rule \"%s\" already exists", r)
}

// groupWeight holds the rules of one direction against the quota, each address
// family by itself; a group as peer counts in both, as one rule (SG-07).
func (tx *Tx) groupWeight(g *SecurityGroup, rules []SecurityGroupRule) error {
	v4, v6 := 0, 0
	for _, r := range rules {
		if !r.CidrIpv6.IsValid() {
			v4++
		}
		if !r.CidrIpv4.IsValid() {
			v6++
		}
	}
	if limit := tx.Quota(QuotaGroupRules); max(v4, v6) > limit {
		return errorf("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached for '%s': %d", g.ID, limit)
	}
	return nil
}

type RevokeSecurityGroupIngressInput struct {
	GroupId                    SecurityGroupID
	GroupName                  string
	IpPermissions              []IpPermission
	SecurityGroupRuleIds       []SecurityRuleID
	IpProtocol                 string
	FromPort                   *int
	ToPort                     *int
	CidrIp                     string
	SourceSecurityGroupName    string
	SourceSecurityGroupOwnerId string
	DryRun                     bool
}

type RevokeSecurityGroupIngressOutput struct {
	Return                    bool                       `json:"Return"`
	UnknownIpPermissions      []IpPermission             `json:"UnknownIpPermissions"`
	RevokedSecurityGroupRules []RevokedSecurityGroupRule `json:"RevokedSecurityGroupRules"`
}

type RevokedSecurityGroupRule struct {
	SecurityGroupRuleId SecurityRuleID  `json:"SecurityGroupRuleId"`
	GroupId             SecurityGroupID `json:"GroupId"`
	IsEgress            bool            `json:"IsEgress"`
	IpProtocol          string          `json:"IpProtocol"`
	FromPort            int             `json:"FromPort"`
	ToPort              int             `json:"ToPort"`
	CidrIpv4            string          `json:"CidrIpv4,omitempty"`
	CidrIpv6            string          `json:"CidrIpv6,omitempty"`
	ReferencedGroupId   SecurityGroupID `json:"ReferencedGroupId,omitempty"`
	Description         string          `json:"Description,omitempty"`
}

// RevokeSecurityGroupIngress removes inbound rules, named by their traffic or
// their IDs. Of a rule that does not exist AWS complains only outside the
// default VPC; there it lists it.
func (tx *Tx) RevokeSecurityGroupIngress(in *RevokeSecurityGroupIngressInput) (*RevokeSecurityGroupIngressOutput, error) {
	unknown, revoked, err := tx.revoke(false, in.SecurityGroupRuleIds, groupRuleRequest{
		in.GroupId, in.GroupName, in.IpPermissions, in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, in.SourceSecurityGroupName,
	})
	if err != nil {
		return nil, err
	}
	return &RevokeSecurityGroupIngressOutput{true, unknown, revoked}, nil
}

type RevokeSecurityGroupEgressInput struct {
	GroupId                    SecurityGroupID
	IpPermissions              []IpPermission
	SecurityGroupRuleIds       []SecurityRuleID
	IpProtocol                 string
	FromPort                   *int
	ToPort                     *int
	CidrIp                     string
	SourceSecurityGroupName    string
	SourceSecurityGroupOwnerId string
	DryRun                     bool
}

type RevokeSecurityGroupEgressOutput struct {
	Return                    bool                       `json:"Return"`
	UnknownIpPermissions      []IpPermission             `json:"UnknownIpPermissions"`
	RevokedSecurityGroupRules []RevokedSecurityGroupRule `json:"RevokedSecurityGroupRules"`
}

// RevokeSecurityGroupEgress removes outbound rules.
func (tx *Tx) RevokeSecurityGroupEgress(in *RevokeSecurityGroupEgressInput) (*RevokeSecurityGroupEgressOutput, error) {
	unknown, revoked, err := tx.revoke(true, in.SecurityGroupRuleIds, groupRuleRequest{
		in.GroupId, "", in.IpPermissions, in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, in.SourceSecurityGroupName,
	})
	if err != nil {
		return nil, err
	}
	return &RevokeSecurityGroupEgressOutput{true, unknown, revoked}, nil
}

func (tx *Tx) revoke(egress bool, ids []SecurityRuleID, q groupRuleRequest) ([]IpPermission, []RevokedSecurityGroupRule, error) {
	g, named, err := tx.groupRequest(q)
	if err != nil {
		return nil, nil, err
	}
	if len(named) == 0 && len(ids) == 0 {
		return nil, nil, errMissing("ipPermissions")
	}
	rules := slices.Clone(g.rules(egress))
	revoked := []RevokedSecurityGroupRule{}
	take := func(i int) {
		r := rules[i]
		revoked = append(revoked, RevokedSecurityGroupRule{
			r.ID, g.ID, egress, r.IpProtocol, r.FromPort, r.ToPort, prefixText(r.CidrIpv4), prefixText(r.CidrIpv6), r.GroupID, r.Description,
		})
		rules = slices.Delete(rules, i, i+1)
	}
	for _, id := range ids {
		i, err := ruleByID(rules, id)
		if err != nil {
			return nil, nil, err
		}
		take(i)
	}
	var unknown []SecurityGroupRule
	for _, r := range named {
		i := slices.IndexFunc(rules, func(o SecurityGroupRule) bool { return o.sameTraffic(&r) })
		if i >= 0 {
			take(i)
			continue
		}
		if v := tx.Vpcs.Get(g.VpcID); v == nil || !v.IsDefault {
			return nil, nil, errorf("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
		}
		unknown = append(unknown, r)
	}
	tx.putRules(g, egress, rules)
	return tx.permissions(unknown), revoked, nil
}

func ruleByID(rules []SecurityGroupRule, id SecurityRuleID) (int, error) {
	i := slices.IndexFunc(rules, func(r SecurityGroupRule) bool { return r.ID == id })
	if i >= 0 {
		return i, nil
	}
	k := kindOf[SecurityRuleID]()
	if err := k.check(string(id)); err != nil {
		return -1, err
	}
	return -1, k.notFoundError(string(id))
}
