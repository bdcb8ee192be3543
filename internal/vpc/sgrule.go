package vpc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// IpPermission is a protocol, a port range and any number of peers: as many
// rules as it has peers.
type IpPermission struct {
	IpProtocol       string            `json:"IpProtocol"`
	FromPort         *int              `json:"FromPort,omitempty"`
	ToPort           *int              `json:"ToPort,omitempty"`
	UserIdGroupPairs []UserIdGroupPair `json:"UserIdGroupPairs"`
	IpRanges         []IpRange         `json:"IpRanges"`
	Ipv6Ranges       []Ipv6Range       `json:"Ipv6Ranges"`
	PrefixListIds    []PrefixListId    `json:"PrefixListIds"`
}

// UserIdGroupPair names a group as a peer, by ID or, in the default VPC, by name.
type UserIdGroupPair struct {
	Description string          `json:"Description,omitempty"`
	UserId      string          `json:"UserId,omitempty"`
	GroupName   string          `json:"GroupName,omitempty"`
	GroupId     SecurityGroupID `json:"GroupId,omitempty"`
	VpcId       VpcID           `json:"VpcId,omitempty"`
}

type IpRange struct {
	CidrIp      string `json:"CidrIp"`
	Description string `json:"Description,omitempty"`
}

type Ipv6Range struct {
	CidrIpv6    string `json:"CidrIpv6"`
	Description string `json:"Description,omitempty"`
}

type PrefixListId struct {
	PrefixListId string `json:"PrefixListId"`
	Description  string `json:"Description,omitempty"`
}

// SecurityGroupRuleInfo is one rule as the API answers it.
type SecurityGroupRuleInfo struct {
	SecurityGroupRuleId  SecurityRuleID          `json:"SecurityGroupRuleId"`
	GroupId              SecurityGroupID         `json:"GroupId"`
	GroupOwnerId         string                  `json:"GroupOwnerId"`
	IsEgress             bool                    `json:"IsEgress"`
	IpProtocol           string                  `json:"IpProtocol"`
	FromPort             int                     `json:"FromPort"`
	ToPort               int                     `json:"ToPort"`
	CidrIpv4             string                  `json:"CidrIpv4,omitempty"`
	CidrIpv6             string                  `json:"CidrIpv6,omitempty"`
	ReferencedGroupInfo  ReferencedSecurityGroup `json:"ReferencedGroupInfo,omitzero"`
	Description          string                  `json:"Description,omitempty"`
	Tags                 []Tag                   `json:"Tags"`
	SecurityGroupRuleArn string                  `json:"SecurityGroupRuleArn"`
}

type ReferencedSecurityGroup struct {
	GroupId SecurityGroupID `json:"GroupId"`
	UserId  string          `json:"UserId"`
	VpcId   VpcID           `json:"VpcId,omitempty"`
}

// groupRule is a rule with its group and direction, which the rule itself does
// not tell.
type groupRule struct {
	SecurityGroupRule
	group  *SecurityGroup
	egress bool
}

// metadata lets filters by tag see the rule's own tags.
func (r *groupRule) metadata() *Meta {
	return &Meta{Account: r.group.Account, Region: r.group.Region, Tags: r.Tags}
}

func (m *Model) ruleInfo(r *groupRule) SecurityGroupRuleInfo {
	i := SecurityGroupRuleInfo{
		SecurityGroupRuleId: r.ID, GroupId: r.group.ID, GroupOwnerId: m.Account, IsEgress: r.egress,
		IpProtocol: r.IpProtocol, FromPort: r.FromPort, ToPort: r.ToPort, CidrIpv4: prefixText(r.CidrIpv4),
		CidrIpv6: prefixText(r.CidrIpv6), Description: r.Description, Tags: tagList(r.Tags),
		SecurityGroupRuleArn: m.arn("security-group-rule", string(r.ID)),
	}
	if r.GroupID != "" {
		i.ReferencedGroupInfo = ReferencedSecurityGroup{GroupId: r.GroupID, UserId: m.Account}
		if g := m.SecurityGroups.Get(r.GroupID); g != nil {
			i.ReferencedGroupInfo.VpcId = g.VpcID
		}
	}
	return i
}

// rules are the group's rules in one direction.
func (g *SecurityGroup) rules(egress bool) []SecurityGroupRule {
	if egress {
		return g.Egress
	}
	return g.Ingress
}

func (tx *Tx) putRules(g *SecurityGroup, egress bool, rules []SecurityGroupRule) {
	c := *g
	if egress {
		c.Egress = rules
	} else {
		c.Ingress = rules
	}
	tx.SecurityGroups.Put(c.ID, &c)
}

// sameTraffic reports whether two rules let the same traffic through; IDs,
// descriptions and tags do not count.
func (r *SecurityGroupRule) sameTraffic(o *SecurityGroupRule) bool {
	return r.ports() == o.ports() && r.CidrIpv4 == o.CidrIpv4 && r.CidrIpv6 == o.CidrIpv6 && r.GroupID == o.GroupID
}

// String is the rule as AWS's messages write it.
func (r *SecurityGroupRule) String() string {
	peer := prefixText(r.CidrIpv4) + prefixText(r.CidrIpv6) + string(r.GroupID)
	switch {
	case r.IpProtocol == "tcp" || r.IpProtocol == "udp":
		return fmt.Sprintf("peer: %s, %s, from port: %d, to port: %d, ALLOW", peer, strings.ToUpper(r.IpProtocol), r.FromPort, r.ToPort)
	case protocolHasPorts(r.IpProtocol):
		return fmt.Sprintf("peer: %s, %s, type: %d, code: %d, ALLOW", peer, strings.ToUpper(r.IpProtocol), r.FromPort, r.ToPort)
	case r.IpProtocol == "-1":
		return fmt.Sprintf("peer: %s, ALL, ALLOW", peer)
	}
	return fmt.Sprintf("peer: %s, protocol: %s, ALLOW", peer, r.IpProtocol)
}

// protocolHasPorts tells the four protocols whose rules heed ports or types (SG-05).
func protocolHasPorts(p string) bool {
	return p == "tcp" || p == "udp" || p == "icmp" || p == "icmpv6"
}

// groupProtocol reads a protocol and gives the four known numbers their names (SG-05).
func groupProtocol(s string) (string, error) {
	switch p := strings.ToLower(s); p {
	case "":
		return "", errMissing("ipProtocol")
	case "tcp", "udp", "icmp", "icmpv6", "-1":
		return p, nil
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return "", errInvalid("Invalid value '%s' for IP protocol. Unknown protocol.", s)
	}
	switch n {
	case 1:
		return "icmp", nil
	case 6:
		return "tcp", nil
	case 17:
		return "udp", nil
	case 58:
		return "icmpv6", nil
	}
	return strconv.FormatUint(n, 10), nil
}

// rulePortsOf reads protocol and ports (SG-05): ports of TCP and UDP, type and
// code of ICMP, nothing else.
func rulePortsOf(protocol string, from, to *int) (rulePorts, error) {
	p, err := groupProtocol(protocol)
	ports := rulePorts{p, -1, -1}
	if err != nil || !protocolHasPorts(p) || p == "icmpv6" && from == nil && to == nil {
		return ports, err
	}
	if p == "tcp" || p == "udp" {
		if from == nil || to == nil {
			return ports, errInvalid("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
		}
		if *from < 0 || *to > 65535 || *from > *to {
			return ports, errInvalid("Invalid value '%d-%d' for portRange. It must be an ascending range between 0 and 65535.", *from, *to)
		}
	} else {
		if from == nil || to == nil {
			return ports, errInvalid("Invalid value 'Must specify both type and code for ICMP.' for portRange.")
		}
		if err := checkIcmp(*from, *to); err != nil {
			return ports, err
		}
	}
	return rulePorts{p, *from, *to}, nil
}

// readPermissions turns permissions into rules without IDs, one for each peer.
func (tx *Tx) readPermissions(g *SecurityGroup, permissions []IpPermission) ([]SecurityGroupRule, error) {
	var rules []SecurityGroupRule
	for i := range permissions {
		p := &permissions[i]
		ports, err := rulePortsOf(p.IpProtocol, p.FromPort, p.ToPort)
		if err != nil {
			return nil, err
		}
		n := len(rules)
		for _, r := range p.IpRanges {
			if rules, err = tx.addRule(rules, g, ports, r.CidrIp, "", "", r.Description); err != nil {
				return nil, err
			}
		}
		for _, r := range p.Ipv6Ranges {
			if rules, err = tx.addRule(rules, g, ports, "", r.CidrIpv6, "", r.Description); err != nil {
				return nil, err
			}
		}
		for _, r := range p.UserIdGroupPairs {
			peer, err := tx.findGroup(r.GroupId, r.GroupName)
			if err != nil {
				return nil, err
			}
			if rules, err = tx.addRule(rules, g, ports, "", "", peer.ID, r.Description); err != nil {
				return nil, err
			}
		}
		for _, r := range p.PrefixListIds {
			return nil, errNoPrefixList(r.PrefixListId)
		}
		if len(rules) == n {
			return nil, errorf("MissingParameter", "Source group ID or CIDR must be specified in each IP permission.")
		}
	}
	return rules, nil
}

// errNoPrefixList: a lab has no prefix lists, so that no ID of one exists.
func errNoPrefixList(id string) error {
	return errorf("InvalidPrefixListID.NotFound", "The prefix list ID '%s' does not exist", id)
}

func (tx *Tx) addRule(rules []SecurityGroupRule, g *SecurityGroup, p rulePorts, v4, v6 string, peer SecurityGroupID, description string) ([]SecurityGroupRule, error) {
	r, err := tx.readRule(g, p, v4, v6, peer, description)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(rules, func(o SecurityGroupRule) bool { return o.sameTraffic(&r) }) {
		return nil, errInvalid("The same permission must not appear multiple times")
	}
	return append(rules, r), nil
}

// readRule makes a rule out of ports and exactly one peer. A peer group must be
// of the same VPC, as nothing joins VPCs here (SG-08).
func (tx *Tx) readRule(g *SecurityGroup, p rulePorts, v4, v6 string, peer SecurityGroupID, description string) (SecurityGroupRule, error) {
	r := SecurityGroupRule{IpProtocol: p.protocol, FromPort: p.from, ToPort: p.to, GroupID: peer, Description: description}
	if !groupText(description) {
		return r, errValue(description, "description", groupTextRule)
	}
	var err error
	switch {
	case v4 != "":
		if r.CidrIpv4, err = parseCidr(v4, "cidrIp"); err != nil {
			return r, errInvalid("CIDR block %s is malformed", v4)
		}
	case v6 != "":
		if r.CidrIpv6, err = parseCidr6(v6, "cidrIpv6"); err != nil {
			return r, errInvalid("CIDR block %s is malformed", v6)
		}
	default:
		var other *SecurityGroup
		if other, err = find(&tx.SecurityGroups, peer); err == nil && other.VpcID != g.VpcID {
			err = errorf("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
		}
	}
	return r, err
}
