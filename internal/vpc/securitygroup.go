package vpc

import (
	"slices"
	"strings"
)

// defaultGroup is the reserved name of each VPC's own group.
const defaultGroup = "default"

// CreateSecurityGroupInput and the other inputs and outputs below have the members of the EC2 API.
type CreateSecurityGroupInput struct {
	GroupName         string
	Description       string
	VpcId             VpcID
	TagSpecifications []TagSpecification
	DryRun            bool
}

type CreateSecurityGroupOutput struct {
	GroupId          SecurityGroupID `json:"GroupId"`
	Tags             []Tag           `json:"Tags,omitempty"`
	SecurityGroupArn string          `json:"SecurityGroupArn"`
}

// SecurityGroupInfo is a security group as the API answers it, rules of one
// protocol and port range merged.
type SecurityGroupInfo struct {
	GroupId             SecurityGroupID `json:"GroupId"`
	IpPermissionsEgress []IpPermission  `json:"IpPermissionsEgress"`
	Tags                []Tag           `json:"Tags,omitempty"`
	VpcId               VpcID           `json:"VpcId"`
	SecurityGroupArn    string          `json:"SecurityGroupArn"`
	OwnerId             string          `json:"OwnerId"`
	GroupName           string          `json:"GroupName"`
	Description         string          `json:"Description"`
	IpPermissions       []IpPermission  `json:"IpPermissions"`
}

func (m *Model) groupInfo(g *SecurityGroup) SecurityGroupInfo {
	return SecurityGroupInfo{
		GroupId: g.ID, IpPermissionsEgress: m.permissions(g.Egress), Tags: tagList(g.Tags), VpcId: g.VpcID,
		SecurityGroupArn: m.arn("security-group", string(g.ID)), OwnerId: g.Account, GroupName: g.GroupName,
		Description: g.Description, IpPermissions: m.permissions(g.Ingress),
	}
}

// permissions merges rules that differ in their peers only, in order of the
// first of each.
func (m *Model) permissions(rules []SecurityGroupRule) []IpPermission {
	list := []IpPermission{}
	at := map[rulePorts]int{}
	for i := range rules {
		r := &rules[i]
		n, ok := at[r.ports()]
		if !ok {
			n = len(list)
			at[r.ports()] = n
			list = append(list, emptyPermission(r))
		}
		m.addPeer(&list[n], r)
	}
	return list
}

// rulePorts is what the rules of one IpPermission have in common.
type rulePorts struct {
	protocol string
	from, to int
}

func (r *SecurityGroupRule) ports() rulePorts { return rulePorts{r.IpProtocol, r.FromPort, r.ToPort} }

func emptyPermission(r *SecurityGroupRule) IpPermission {
	p := IpPermission{
		IpProtocol: r.IpProtocol, UserIdGroupPairs: []UserIdGroupPair{}, IpRanges: []IpRange{},
		Ipv6Ranges: []Ipv6Range{}, PrefixListIds: []PrefixListId{},
	}
	if protocolHasPorts(r.IpProtocol) {
		p.FromPort, p.ToPort = new(r.FromPort), new(r.ToPort)
	}
	return p
}

func (m *Model) addPeer(p *IpPermission, r *SecurityGroupRule) {
	switch {
	case r.CidrIpv4.IsValid():
		p.IpRanges = append(p.IpRanges, IpRange{r.CidrIpv4.String(), r.Description})
	case r.CidrIpv6.IsValid():
		p.Ipv6Ranges = append(p.Ipv6Ranges, Ipv6Range{r.CidrIpv6.String(), r.Description})
	default:
		p.UserIdGroupPairs = append(p.UserIdGroupPairs, UserIdGroupPair{Description: r.Description, UserId: m.Account, GroupId: r.GroupID})
	}
}

func (g *SecurityGroup) isDefault() bool { return g.GroupName == defaultGroup }

// CreateSecurityGroup makes a group with one rule, all outbound (SG-02), in the
// default VPC if none is named.
func (tx *Tx) CreateSecurityGroup(in *CreateSecurityGroupInput) (*CreateSecurityGroupOutput, error) {
	v, err := tx.groupVpc(in.VpcId)
	if err != nil {
		return nil, err
	}
	name, err := groupName(in.GroupName)
	if err != nil {
		return nil, err
	}
	if in.Description == "" {
		return nil, errMissing("GroupDescription")
	}
	if !groupText(in.Description) {
		return nil, errValue(in.Description, "GroupDescription", groupTextRule)
	}
	if tx.groupNameTaken(v.ID, name) {
		return nil, errorf("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, v.ID)
	}
	meta, err := tx.newMeta("security-group", in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	if tx.SecurityGroups.Len() >= tx.Quota(QuotaSecurityGroups) {
		return nil, errorf("SecurityGroupLimitExceeded", "The maximum number of security groups has been reached.")
	}
	g := &SecurityGroup{
		Meta: meta, ID: newID[SecurityGroupID](tx), VpcID: v.ID, GroupName: name, Description: in.Description,
		Egress: []SecurityGroupRule{tx.allOutbound()},
	}
	tx.SecurityGroups.Put(g.ID, g)
	return &CreateSecurityGroupOutput{g.ID, tagList(g.Tags), tx.arn("security-group", string(g.ID))}, nil
}

func (tx *Tx) allOutbound() SecurityGroupRule {
	return SecurityGroupRule{ID: newID[SecurityRuleID](tx), IpProtocol: "-1", FromPort: -1, ToPort: -1, CidrIpv4: anyIPv4}
}

// makeDefaultGroup gives a new VPC its default group: everything from its own
// members in, everything out (SG-02).
func (tx *Tx) makeDefaultGroup(v *Vpc) {
	g := &SecurityGroup{
		Meta: tx.ownedMeta(v), ID: newID[SecurityGroupID](tx), VpcID: v.ID, GroupName: defaultGroup,
		Description: "default VPC security group", Egress: []SecurityGroupRule{tx.allOutbound()},
	}
	g.Ingress = []SecurityGroupRule{{ID: newID[SecurityRuleID](tx), IpProtocol: "-1", FromPort: -1, ToPort: -1, GroupID: g.ID}}
	tx.SecurityGroups.Put(g.ID, g)
}

// groupVpc is the VPC of a request about a group: the default one unless named.
func (tx *Tx) groupVpc(id VpcID) (*Vpc, error) {
	if id != "" {
		return find(&tx.Vpcs, id)
	}
	if v := tx.DefaultVpc(); v != nil {
		return v, nil
	}
	return nil, errorf("VPCIdNotSpecified", "No default VPC for this user")
}

const groupTextRule = "Valid: up to 255 characters from a-z, A-Z, 0-9, spaces and ._-:/()#,@[]+=&;{}!$*"

// groupText is the rule for names and descriptions of groups (SG-04).
func groupText(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789. _-:/()#,@[]+=&;{}!$*"
	return len(s) <= 255 && strings.Trim(s, allowed) == ""
}

// groupName checks a group's name and trims its trailing blanks (SG-04).
func groupName(s string) (string, error) {
	s = strings.TrimRight(s, " ")
	switch {
	case s == "":
		return "", errMissing("GroupName")
	case !groupText(s):
		return "", errValue(s, "GroupName", groupTextRule)
	case strings.HasPrefix(s, "sg-"):
		return "", errValue(s, "GroupName", "Group names may not be in the format sg-*.")
	case strings.EqualFold(s, defaultGroup):
		return "", errorf("InvalidGroup.Reserved", "Cannot use reserved security group name: %s", s)
	}
	return s, nil
}

// groupNameTaken: names of a VPC differ in more than case (API Reference, CreateSecurityGroup).
func (m *Model) groupNameTaken(id VpcID, name string) bool {
	for _, g := range m.SecurityGroups.each() {
		if g.VpcID == id && strings.EqualFold(g.GroupName, name) {
			return true
		}
	}
	return false
}

func (m *Model) groupByName(id VpcID, name string) *SecurityGroup {
	for _, g := range m.SecurityGroups.All() {
		if g.VpcID == id && g.GroupName == name {
			return g
		}
	}
	return nil
}

// DefaultSecurityGroup is the group of network interfaces that were given no
// other (SG-02).
func (m *Model) DefaultSecurityGroup(id VpcID) *SecurityGroup { return m.groupByName(id, defaultGroup) }

// findGroup finds the group that a request names by ID or, in the default VPC,
// by name.
func (tx *Tx) findGroup(id SecurityGroupID, name string) (*SecurityGroup, error) {
	switch {
	case id != "" && name != "":
		return nil, errorf("InvalidParameterCombination", "The parameters groupName and groupId cannot be used together")
	case name == "":
		return find(&tx.SecurityGroups, id)
	}
	v, err := tx.groupVpc("")
	if err != nil {
		return nil, err
	}
	if g := tx.groupByName(v.ID, name); g != nil {
		return g, nil
	}
	return nil, errorf("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC '%s'", name, v.ID)
}

type DeleteSecurityGroupInput struct {
	GroupId   SecurityGroupID
	GroupName string
	DryRun    bool
}

type DeleteSecurityGroupOutput struct {
	Return  bool            `json:"Return"`
	GroupId SecurityGroupID `json:"GroupId"`
}

// DeleteSecurityGroup deletes a group that no network interface carries and no
// other group names (SG-02, SG-10).
func (tx *Tx) DeleteSecurityGroup(in *DeleteSecurityGroupInput) (*DeleteSecurityGroupOutput, error) {
	g, err := tx.findGroup(in.GroupId, in.GroupName)
	if err != nil {
		return nil, err
	}
	if g.isDefault() {
		return nil, errorf("CannotDelete", "the specified group: \"%s\" name: \"%s\" cannot be deleted by a user", g.ID, g.GroupName)
	}
	if tx.groupInUse(g.ID) {
		return nil, errorf("DependencyViolation", "resource %s has a dependent object", g.ID)
	}
	tx.SecurityGroups.Delete(g.ID)
	return &DeleteSecurityGroupOutput{true, g.ID}, nil
}

func (m *Model) groupInUse(id SecurityGroupID) bool {
	for _, n := range m.NetworkInterfaces.All() {
		if n.Deleted.IsZero() && slices.Contains(n.Groups, id) {
			return true
		}
	}
	for _, g := range m.SecurityGroups.All() {
		if g.ID != id && g.refersTo(id) {
			return true
		}
	}
	return false
}

func (g *SecurityGroup) refersTo(id SecurityGroupID) bool {
	names := func(r SecurityGroupRule) bool { return r.GroupID == id }
	return slices.ContainsFunc(g.Ingress, names) || slices.ContainsFunc(g.Egress, names)
}

type DescribeSecurityGroupsInput struct {
	GroupIds   []SecurityGroupID
	GroupNames []string
	Filters    []Filter
	MaxResults *int
	NextToken  string
	DryRun     bool
}

type DescribeSecurityGroupsOutput struct {
	SecurityGroups []SecurityGroupInfo `json:"SecurityGroups"`
	NextToken      string              `json:"NextToken,omitempty"`
}

func permissionFilter(egress bool, answer func(m *Model, r *SecurityGroupRule) string) func(*Model, *SecurityGroup) []string {
	return func(m *Model, g *SecurityGroup) []string {
		rules := g.Ingress
		if egress {
			rules = g.Egress
		}
		return each(rules, func(r *SecurityGroupRule) string { return answer(m, r) })
	}
}

var securityGroupFilters = func() filterSet[SecurityGroup] {
	set := filterSet[SecurityGroup]{
		"description": func(_ *Model, g *SecurityGroup) []string { return one(g.Description) },
		"group-id":    func(_ *Model, g *SecurityGroup) []string { return one(g.ID) },
		"group-name":  func(_ *Model, g *SecurityGroup) []string { return one(g.GroupName) },
		"vpc-id":      func(_ *Model, g *SecurityGroup) []string { return one(g.VpcID) },
	}
	for _, egress := range []bool{false, true} {
		prefix := "ip-permission."
		if egress {
			prefix = "egress." + prefix
		}
		for name, answer := range permissionAnswers {
			set[prefix+name] = permissionFilter(egress, answer)
		}
	}
	return set
}()

var permissionAnswers = map[string]func(m *Model, r *SecurityGroupRule) string{
	"cidr":      func(_ *Model, r *SecurityGroupRule) string { return prefixText(r.CidrIpv4) },
	"ipv6-cidr": func(_ *Model, r *SecurityGroupRule) string { return prefixText(r.CidrIpv6) },
	"from-port": func(_ *Model, r *SecurityGroupRule) string { return intText(r.FromPort)[0] },
	"to-port":   func(_ *Model, r *SecurityGroupRule) string { return intText(r.ToPort)[0] },
	"protocol":  func(_ *Model, r *SecurityGroupRule) string { return r.IpProtocol },
	"group-id":  func(_ *Model, r *SecurityGroupRule) string { return string(r.GroupID) },
	"group-name": func(m *Model, r *SecurityGroupRule) string {
		if g := m.SecurityGroups.Get(r.GroupID); g != nil {
			return g.GroupName
		}
		return ""
	},
	"prefix-list-id": func(*Model, *SecurityGroupRule) string { return "" },
	"user-id": func(m *Model, r *SecurityGroupRule) string {
		if r.GroupID == "" {
			return ""
		}
		return m.Account
	},
}

// DescribeSecurityGroups lists groups. Names are those of the default VPC's groups.
func (tx *Tx) DescribeSecurityGroups(in *DescribeSecurityGroupsInput) (*DescribeSecurityGroupsOutput, error) {
	ids := slices.Clone(in.GroupIds)
	for _, name := range in.GroupNames {
		g, err := tx.findGroup("", name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, g.ID)
	}
	found, next, err := describe(tx, &tx.SecurityGroups, ids, securityGroupFilters, in.Filters, paging{in.MaxResults, in.NextToken, 5, 1000})
	if err != nil {
		return nil, err
	}
	return &DescribeSecurityGroupsOutput{views(found, tx.groupInfo), next}, nil
}

type DescribeSecurityGroupReferencesInput struct {
	GroupId []SecurityGroupID
	DryRun  bool
}

type DescribeSecurityGroupReferencesOutput struct {
	SecurityGroupReferenceSet []SecurityGroupReference `json:"SecurityGroupReferenceSet"`
}

type SecurityGroupReference struct {
	GroupId        SecurityGroupID `json:"GroupId"`
	ReferencingVpc VpcID           `json:"ReferencingVpcId"`
}

// DescribeSecurityGroupReferences lists the other VPCs whose groups name these.
func (tx *Tx) DescribeSecurityGroupReferences(in *DescribeSecurityGroupReferencesInput) (*DescribeSecurityGroupReferencesOutput, error) {
	if len(in.GroupId) == 0 {
		return nil, errMissing("groupId")
	}
	out := &DescribeSecurityGroupReferencesOutput{[]SecurityGroupReference{}}
	for _, id := range in.GroupId {
		g, err := find(&tx.SecurityGroups, id)
		if err != nil {
			return nil, err
		}
		for _, other := range tx.SecurityGroups.All() {
			ref := SecurityGroupReference{g.ID, other.VpcID}
			if other.VpcID != g.VpcID && other.refersTo(g.ID) && !slices.Contains(out.SecurityGroupReferenceSet, ref) {
				out.SecurityGroupReferenceSet = append(out.SecurityGroupReferenceSet, ref)
			}
		}
	}
	return out, nil
}

type DescribeStaleSecurityGroupsInput struct {
	VpcId      VpcID
	MaxResults *int
	NextToken  string
	DryRun     bool
}

type DescribeStaleSecurityGroupsOutput struct {
	StaleSecurityGroupSet []StaleSecurityGroup `json:"StaleSecurityGroupSet"`
	NextToken             string               `json:"NextToken,omitempty"`
}

type StaleSecurityGroup struct {
	Description              string              `json:"Description"`
	GroupId                  SecurityGroupID     `json:"GroupId"`
	GroupName                string              `json:"GroupName"`
	StaleIpPermissions       []StaleIpPermission `json:"StaleIpPermissions"`
	StaleIpPermissionsEgress []StaleIpPermission `json:"StaleIpPermissionsEgress"`
	VpcId                    VpcID               `json:"VpcId"`
}

type StaleIpPermission struct {
	FromPort         *int              `json:"FromPort,omitempty"`
	IpProtocol       string            `json:"IpProtocol"`
	IpRanges         []string          `json:"IpRanges"`
	PrefixListIds    []string          `json:"PrefixListIds"`
	ToPort           *int              `json:"ToPort,omitempty"`
	UserIdGroupPairs []UserIdGroupPair `json:"UserIdGroupPairs"`
}

// DescribeStaleSecurityGroups lists the VPC's groups with rules that name a
// group which is gone (SG-10).
func (tx *Tx) DescribeStaleSecurityGroups(in *DescribeStaleSecurityGroupsInput) (*DescribeStaleSecurityGroupsOutput, error) {
	v, err := find(&tx.Vpcs, in.VpcId)
	if err != nil {
		return nil, err
	}
	list := []StaleSecurityGroup{}
	for _, g := range tx.SecurityGroups.All() {
		s := StaleSecurityGroup{g.Description, g.ID, g.GroupName, tx.stale(g.Ingress), tx.stale(g.Egress), g.VpcID}
		if g.VpcID == v.ID && len(s.StaleIpPermissions)+len(s.StaleIpPermissionsEgress) > 0 {
			list = append(list, s)
		}
	}
	list, next, err := page(list, paging{in.MaxResults, in.NextToken, 5, 255}, func(s StaleSecurityGroup) string { return string(s.GroupId) })
	if err != nil {
		return nil, err
	}
	return &DescribeStaleSecurityGroupsOutput{list, next}, nil
}

func (m *Model) stale(rules []SecurityGroupRule) []StaleIpPermission {
	dead := slices.DeleteFunc(slices.Clone(rules), func(r SecurityGroupRule) bool {
		return r.GroupID == "" || m.SecurityGroups.Get(r.GroupID) != nil
	})
	list := []StaleIpPermission{}
	for _, p := range m.permissions(dead) {
		list = append(list, StaleIpPermission{p.FromPort, p.IpProtocol, []string{}, []string{}, p.ToPort, p.UserIdGroupPairs})
	}
	return list
}

type GetSecurityGroupsForVpcInput struct {
	VpcId      VpcID
	Filters    []Filter
	MaxResults *int
	NextToken  string
	DryRun     bool
}

type GetSecurityGroupsForVpcOutput struct {
	SecurityGroupForVpcs []SecurityGroupForVpc `json:"SecurityGroupForVpcs"`
	NextToken            string                `json:"NextToken,omitempty"`
}

type SecurityGroupForVpc struct {
	Description  string          `json:"Description"`
	GroupName    string          `json:"GroupName"`
	OwnerId      string          `json:"OwnerId"`
	GroupId      SecurityGroupID `json:"GroupId"`
	Tags         []Tag           `json:"Tags"`
	PrimaryVpcId VpcID           `json:"PrimaryVpcId"`
}

var groupForVpcFilters = filterSet[SecurityGroup]{
	"group-id":       securityGroupFilters["group-id"],
	"description":    securityGroupFilters["description"],
	"group-name":     securityGroupFilters["group-name"],
	"primary-vpc-id": securityGroupFilters["vpc-id"],
}

// GetSecurityGroupsForVpc lists the groups that network interfaces of a VPC can have.
func (tx *Tx) GetSecurityGroupsForVpc(in *GetSecurityGroupsForVpcInput) (*GetSecurityGroupsForVpcOutput, error) {
	v, err := find(&tx.Vpcs, in.VpcId)
	if err != nil {
		return nil, err
	}
	filters := append([]Filter{{"primary-vpc-id", one(v.ID)}}, in.Filters...)
	found, next, err := describe(tx, &tx.SecurityGroups, nil, groupForVpcFilters, filters, paging{in.MaxResults, in.NextToken, 5, 1000})
	if err != nil {
		return nil, err
	}
	return &GetSecurityGroupsForVpcOutput{views(found, func(g *SecurityGroup) SecurityGroupForVpc {
		return SecurityGroupForVpc{g.Description, g.GroupName, g.Account, g.ID, tagList(g.Tags), g.VpcID}
	}), next}, nil
}
