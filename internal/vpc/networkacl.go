package vpc

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Rule numbers of network ACLs (AC-04).
const (
	maxRuleNumber  = 32766
	lastRuleNumber = 32767 // the "*" deny, IPv4
)

// CreateNetworkAclInput and the other inputs and outputs below have the members of the EC2 API.
type CreateNetworkAclInput struct {
	VpcId             VpcID
	TagSpecifications []TagSpecification
	ClientToken       string
	DryRun            bool
}

type CreateNetworkAclOutput struct {
	NetworkAcl  NetworkAclInfo `json:"NetworkAcl"`
	ClientToken string         `json:"ClientToken,omitempty"`
}

// NetworkAclInfo is a network ACL as the API answers it.
type NetworkAclInfo struct {
	Associations []NetworkAclAssociation `json:"Associations"`
	Entries      []NetworkAclEntryInfo   `json:"Entries"`
	IsDefault    bool                    `json:"IsDefault"`
	NetworkAclId NetworkAclID            `json:"NetworkAclId"`
	Tags         []Tag                   `json:"Tags"`
	VpcId        VpcID                   `json:"VpcId"`
	OwnerId      string                  `json:"OwnerId"`
}

type NetworkAclAssociation struct {
	NetworkAclAssociationId AclAssociationID `json:"NetworkAclAssociationId"`
	NetworkAclId            NetworkAclID     `json:"NetworkAclId"`
	SubnetId                SubnetID         `json:"SubnetId"`
}

// IcmpTypeCode is an ICMP type and code, -1 for any.
type IcmpTypeCode struct {
	Code *int `json:"Code,omitempty"`
	Type *int `json:"Type,omitempty"`
}

// PortRange is a range of ports, both ends included.
type PortRange struct {
	From *int `json:"From,omitempty"`
	To   *int `json:"To,omitempty"`
}

// NetworkAclEntryInfo is an entry as the API answers it: protocol -1 and those
// without ports have no port range.
type NetworkAclEntryInfo struct {
	CidrBlock     string       `json:"CidrBlock,omitempty"`
	Egress        bool         `json:"Egress"`
	IcmpTypeCode  IcmpTypeCode `json:"IcmpTypeCode,omitzero"`
	Ipv6CidrBlock string       `json:"Ipv6CidrBlock,omitempty"`
	PortRange     PortRange    `json:"PortRange,omitzero"`
	Protocol      string       `json:"Protocol"`
	RuleAction    string       `json:"RuleAction"`
	RuleNumber    int          `json:"RuleNumber"`
}

func (e NetworkAclEntry) info() NetworkAclEntryInfo {
	i := NetworkAclEntryInfo{Egress: e.Egress, Protocol: e.Protocol, RuleAction: e.RuleAction, RuleNumber: e.RuleNumber}
	if e.CidrBlock.IsValid() {
		i.CidrBlock = e.CidrBlock.String()
	} else {
		i.Ipv6CidrBlock = e.Ipv6Cidr.String()
	}
	switch {
	case e.hasPorts():
		i.PortRange = PortRange{new(e.FromPort), new(e.ToPort)}
	case e.hasIcmp():
		i.IcmpTypeCode = IcmpTypeCode{new(e.IcmpCode), new(e.IcmpType)}
	}
	return i
}

func (e *NetworkAclEntry) hasPorts() bool { return e.Protocol == "6" || e.Protocol == "17" }

// hasIcmp: ICMPv6 is told apart by type only with an IPv6 block (AC-05).
func (e *NetworkAclEntry) hasIcmp() bool {
	return e.Protocol == "1" || e.Protocol == "58" && e.Ipv6Cidr.IsValid()
}

func (m *Model) aclInfo(a *NetworkAcl) NetworkAclInfo {
	i := NetworkAclInfo{
		Associations: m.aclAssociations(a.ID), Entries: []NetworkAclEntryInfo{}, IsDefault: a.IsDefault, NetworkAclId: a.ID,
		Tags: tagList(a.Tags), VpcId: a.VpcID, OwnerId: a.Account,
	}
	for _, e := range a.Entries {
		i.Entries = append(i.Entries, e.info())
	}
	return i
}

// aclAssociations are the subnets that the ACL guards.
func (m *Model) aclAssociations(id NetworkAclID) []NetworkAclAssociation {
	list := []NetworkAclAssociation{}
	for _, s := range m.Subnets.All() {
		if s.NetworkAclID == id {
			list = append(list, NetworkAclAssociation{s.AclAssociationID, id, s.ID})
		}
	}
	return list
}

var anyIPv4 = netip.MustParsePrefix("0.0.0.0/0")

// finalEntries are the "*" entries that deny what no rule allowed (AC-04).
func finalEntries() []NetworkAclEntry {
	return []NetworkAclEntry{
		{RuleNumber: lastRuleNumber, Protocol: "-1", RuleAction: "deny", CidrBlock: anyIPv4},
		{RuleNumber: lastRuleNumber, Protocol: "-1", RuleAction: "deny", CidrBlock: anyIPv4, Egress: true},
	}
}

// CreateNetworkAcl makes an ACL that denies everything (AC-03).
func (tx *Tx) CreateNetworkAcl(in *CreateNetworkAclInput) (*CreateNetworkAclOutput, error) {
	v, err := find(&tx.Vpcs, in.VpcId)
	if err != nil {
		return nil, err
	}
	meta, err := tx.newMeta("network-acl", in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	if n := count(&tx.NetworkAcls, func(a *NetworkAcl) bool { return a.VpcID == v.ID }); n >= tx.Quota(QuotaNetworkAcls) {
		return nil, errorf("NetworkAclLimitExceeded", "The maximum number of network ACLs for the VPC '%s' has been reached.", v.ID)
	}
	a := &NetworkAcl{Meta: meta, ID: newID[NetworkAclID](tx), VpcID: v.ID, Entries: finalEntries()}
	tx.NetworkAcls.Put(a.ID, a)
	return &CreateNetworkAclOutput{tx.aclInfo(a), in.ClientToken}, nil
}

// makeDefaultAcl gives a new VPC its default ACL: rule 100 allows all (AC-02).
func (tx *Tx) makeDefaultAcl(v *Vpc) {
	a := &NetworkAcl{Meta: tx.ownedMeta(v), ID: newID[NetworkAclID](tx), VpcID: v.ID, IsDefault: true, Entries: finalEntries()}
	for _, egress := range []bool{false, true} {
		a.Entries = append(a.Entries, NetworkAclEntry{RuleNumber: 100, Egress: egress, Protocol: "-1", RuleAction: "allow", CidrBlock: anyIPv4})
	}
	a.sort()
	tx.NetworkAcls.Put(a.ID, a)
}

// sort orders the entries: ingress first, each direction by number.
func (a *NetworkAcl) sort() {
	slices.SortFunc(a.Entries, func(x, y NetworkAclEntry) int {
		if x.Egress != y.Egress {
			if y.Egress {
				return -1
			}
			return 1
		}
		return cmp.Compare(x.RuleNumber, y.RuleNumber)
	})
}

// DefaultNetworkAcl is the ACL of subnets that were given no other.
func (m *Model) DefaultNetworkAcl(id VpcID) *NetworkAcl {
	for _, a := range m.NetworkAcls.All() {
		if a.VpcID == id && a.IsDefault {
			return a
		}
	}
	return nil
}

type DeleteNetworkAclInput struct {
	NetworkAclId NetworkAclID
	DryRun       bool
}

type DeleteNetworkAclOutput struct{}

// DeleteNetworkAcl deletes an ACL that guards no subnet and is not the default
// (AC-02, AC-11).
func (tx *Tx) DeleteNetworkAcl(in *DeleteNetworkAclInput) (*DeleteNetworkAclOutput, error) {
	a, err := find(&tx.NetworkAcls, in.NetworkAclId)
	if err != nil {
		return nil, err
	}
	if a.IsDefault {
		return nil, errInvalid("cannot delete default network ACL %s", a.ID)
	}
	if len(tx.aclAssociations(a.ID)) > 0 {
		return nil, errDependency("networkAcl", a.ID)
	}
	tx.NetworkAcls.Delete(a.ID)
	return &DeleteNetworkAclOutput{}, nil
}

type CreateNetworkAclEntryInput struct {
	NetworkAclId  NetworkAclID
	RuleNumber    int
	Protocol      string
	RuleAction    string
	Egress        bool
	CidrBlock     string
	Ipv6CidrBlock string
	IcmpTypeCode  IcmpTypeCode
	PortRange     PortRange
	DryRun        bool
}

type CreateNetworkAclEntryOutput struct{}

// CreateNetworkAclEntry adds a numbered rule in one direction (AC-04, AC-05).
func (tx *Tx) CreateNetworkAclEntry(in *CreateNetworkAclEntryInput) (*CreateNetworkAclEntryOutput, error) {
	a, e, err := tx.readAclEntry(in)
	if err != nil {
		return nil, err
	}
	if a.entry(e.RuleNumber, e.Egress) >= 0 {
		return nil, errorf("NetworkAclEntryAlreadyExists", "The network acl entry identified by %d already exists.", e.RuleNumber)
	}
	n := 0
	for _, other := range a.Entries {
		if other.Egress == e.Egress && other.RuleNumber <= maxRuleNumber && other.Ipv6Cidr.IsValid() == e.Ipv6Cidr.IsValid() {
			n++
		}
	}
	if n >= tx.Quota(QuotaNetworkAclRules) {
		return nil, errorf("NetworkAclEntryLimitExceeded", "The maximum number of network ACL entries for the network ACL '%s' has been reached.", a.ID)
	}
	c := *a
	c.Entries = append(slices.Clone(a.Entries), e)
	c.sort()
	tx.NetworkAcls.Put(c.ID, &c)
	return &CreateNetworkAclEntryOutput{}, nil
}

type ReplaceNetworkAclEntryInput CreateNetworkAclEntryInput

type ReplaceNetworkAclEntryOutput struct{}

// ReplaceNetworkAclEntry puts another rule in the place of one with its number
// and direction.
func (tx *Tx) ReplaceNetworkAclEntry(in *ReplaceNetworkAclEntryInput) (*ReplaceNetworkAclEntryOutput, error) {
	a, e, err := tx.readAclEntry((*CreateNetworkAclEntryInput)(in))
	if err != nil {
		return nil, err
	}
	i := a.entry(e.RuleNumber, e.Egress)
	if i < 0 {
		return nil, errNoEntry(e.RuleNumber)
	}
	c := *a
	c.Entries = slices.Clone(a.Entries)
	c.Entries[i] = e
	tx.NetworkAcls.Put(c.ID, &c)
	return &ReplaceNetworkAclEntryOutput{}, nil
}

func errNoEntry(number int) error {
	return errorf("InvalidNetworkAclEntry.NotFound", "The network acl entry identified by %d does not exist.", number)
}

// entry is the index of the entry with the number and direction, or -1.
func (a *NetworkAcl) entry(number int, egress bool) int {
	return slices.IndexFunc(a.Entries, func(e NetworkAclEntry) bool { return e.RuleNumber == number && e.Egress == egress })
}

func (tx *Tx) readAclEntry(in *CreateNetworkAclEntryInput) (*NetworkAcl, NetworkAclEntry, error) {
	e := NetworkAclEntry{RuleNumber: in.RuleNumber, Egress: in.Egress, RuleAction: strings.ToLower(in.RuleAction)} // AWS takes Allow, too
	a, err := find(&tx.NetworkAcls, in.NetworkAclId)
	if err != nil {
		return nil, e, err
	}
	if err := checkRuleNumber(in.RuleNumber); err != nil {
		return nil, e, err
	}
	if e.RuleAction != "allow" && e.RuleAction != "deny" {
		if in.RuleAction == "" {
			return nil, e, errMissing("ruleAction")
		}
		return nil, e, errValue(in.RuleAction, "ruleAction", "It must be allow or deny.")
	}
	if e.Protocol, err = aclProtocol(in.Protocol); err != nil {
		return nil, e, err
	}
	switch {
	case in.CidrBlock != "" && in.Ipv6CidrBlock != "":
		err = errorf("InvalidParameterCombination", "The parameters cidrBlock and ipv6CidrBlock cannot be used together")
	case in.CidrBlock != "":
		e.CidrBlock, err = parseCidr(in.CidrBlock, "cidrBlock")
	case in.Ipv6CidrBlock != "":
		e.Ipv6Cidr, err = parseCidr6(in.Ipv6CidrBlock, "ipv6CidrBlock")
	default:
		err = errMissing("cidrBlock")
	}
	if err != nil {
		return nil, e, err
	}
	err = e.readPorts(in)
	return a, e, err
}

func checkRuleNumber(n int) error {
	if n == 0 {
		return errMissing("ruleNumber")
	}
	if n < 1 || n > maxRuleNumber {
		return errValue(n, "ruleNumber", "It must be between 1 and 32766.")
	}
	return nil
}

// readPorts reads what the entry's protocol needs and ignores the rest (AC-05).
func (e *NetworkAclEntry) readPorts(in *CreateNetworkAclEntryInput) error {
	switch {
	case e.hasPorts():
		from, to := in.PortRange.From, in.PortRange.To
		if from == nil || to == nil {
			return errMissing("portRange")
		}
		if *from < 0 || *to > 65535 || *from > *to {
			return errInvalid("Invalid value '%d-%d' for portRange. It must be an ascending range between 0 and 65535.", *from, *to)
		}
		e.FromPort, e.ToPort = *from, *to
	case e.hasIcmp():
		typ, code := in.IcmpTypeCode.Type, in.IcmpTypeCode.Code
		if typ == nil || code == nil {
			return errMissing("icmpTypeCode")
		}
		if err := checkIcmp(*typ, *code); err != nil {
			return err
		}
		e.IcmpType, e.IcmpCode = *typ, *code
	}
	return nil
}

// checkIcmp: -1 means any, and any type has any code (SG-05).
func checkIcmp(typ, code int) error {
	if typ < -1 || typ > 255 || code < -1 || code > 255 || typ == -1 && code != -1 {
		return errInvalid("Invalid value '%d/%d' for ICMP type and code.", typ, code)
	}
	return nil
}

// aclProtocol reads a protocol number, or one of the names that the AWS CLI
// turns into numbers.
func aclProtocol(s string) (string, error) {
	switch strings.ToLower(s) {
	case "":
		return "", errMissing("protocol")
	case "-1", "all":
		return "-1", nil
	case "tcp":
		return "6", nil
	case "udp":
		return "17", nil
	case "icmp":
		return "1", nil
	case "icmpv6":
		return "58", nil
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return "", errInvalid("Invalid value '%s' for IP protocol. Unknown protocol.", s)
	}
	return strconv.FormatUint(n, 10), nil
}

// parseCidr6 reads an IPv6 block and clears its host bits.
func parseCidr6(s, param string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil || !p.Addr().Is6() || p.Addr().Is4In6() {
		return netip.Prefix{}, errValue(s, param, "This is not a valid IPv6 CIDR block.")
	}
	return p.Masked(), nil
}

type DeleteNetworkAclEntryInput struct {
	NetworkAclId NetworkAclID
	RuleNumber   int
	Egress       bool
	DryRun       bool
}

type DeleteNetworkAclEntryOutput struct{}

// DeleteNetworkAclEntry deletes a rule; the "*" entries stay (AC-04).
func (tx *Tx) DeleteNetworkAclEntry(in *DeleteNetworkAclEntryInput) (*DeleteNetworkAclEntryOutput, error) {
	a, err := find(&tx.NetworkAcls, in.NetworkAclId)
	if err != nil {
		return nil, err
	}
	if err := checkRuleNumber(in.RuleNumber); err != nil {
		return nil, err
	}
	i := a.entry(in.RuleNumber, in.Egress)
	if i < 0 {
		return nil, errNoEntry(in.RuleNumber)
	}
	c := *a
	c.Entries = slices.Delete(slices.Clone(a.Entries), i, i+1)
	tx.NetworkAcls.Put(c.ID, &c)
	return &DeleteNetworkAclEntryOutput{}, nil
}

type ReplaceNetworkAclAssociationInput struct {
	AssociationId AclAssociationID
	NetworkAclId  NetworkAclID
	DryRun        bool
}

type ReplaceNetworkAclAssociationOutput struct {
	NewAssociationId AclAssociationID `json:"NewAssociationId"`
}

// ReplaceNetworkAclAssociation gives the subnet of an association another ACL
// and the association a new ID (AC-01).
func (tx *Tx) ReplaceNetworkAclAssociation(in *ReplaceNetworkAclAssociationInput) (*ReplaceNetworkAclAssociationOutput, error) {
	s, err := tx.findAclAssociation(in.AssociationId)
	if err != nil {
		return nil, err
	}
	a, err := find(&tx.NetworkAcls, in.NetworkAclId)
	if err != nil {
		return nil, err
	}
	if a.VpcID != s.VpcID {
		return nil, errInvalid("network ACL %s and subnet %s belong to different networks", a.ID, s.ID)
	}
	c := *s
	c.NetworkAclID, c.AclAssociationID = a.ID, newID[AclAssociationID](tx)
	tx.Subnets.Put(c.ID, &c)
	return &ReplaceNetworkAclAssociationOutput{c.AclAssociationID}, nil
}

func (m *Model) findAclAssociation(id AclAssociationID) (*Subnet, error) {
	for _, s := range m.Subnets.All() {
		if s.AclAssociationID == id && id != "" {
			return s, nil
		}
	}
	k := kindOf[AclAssociationID]()
	if err := k.check(string(id)); err != nil {
		return nil, err
	}
	return nil, k.notFoundError(string(id))
}

type DescribeNetworkAclsInput struct {
	NetworkAclIds []NetworkAclID
	Filters       []Filter
	MaxResults    *int
	NextToken     string
	DryRun        bool
}

type DescribeNetworkAclsOutput struct {
	NetworkAcls []NetworkAclInfo `json:"NetworkAcls"`
	NextToken   string           `json:"NextToken,omitempty"`
}

func entryFilter(answer func(e *NetworkAclEntry) string) func(*Model, *NetworkAcl) []string {
	return func(_ *Model, a *NetworkAcl) []string { return each(a.Entries, answer) }
}

// numberFilter answers with a number of the entries that have it.
func numberFilter(has func(*NetworkAclEntry) bool, number func(*NetworkAclEntry) int) func(*Model, *NetworkAcl) []string {
	return entryFilter(func(e *NetworkAclEntry) string {
		if !has(e) {
			return ""
		}
		return strconv.Itoa(number(e))
	})
}

func aclAssociationFilter(answer func(a *NetworkAclAssociation) string) func(*Model, *NetworkAcl) []string {
	return func(m *Model, a *NetworkAcl) []string { return each(m.aclAssociations(a.ID), answer) }
}

var networkAclFilters = filterSet[NetworkAcl]{
	"association.association-id": aclAssociationFilter(func(a *NetworkAclAssociation) string { return string(a.NetworkAclAssociationId) }),
	"association.network-acl-id": aclAssociationFilter(func(a *NetworkAclAssociation) string { return string(a.NetworkAclId) }),
	"association.subnet-id":      aclAssociationFilter(func(a *NetworkAclAssociation) string { return string(a.SubnetId) }),
	"default":                    func(_ *Model, a *NetworkAcl) []string { return boolText(a.IsDefault) },
	"entry.cidr":                 entryFilter(func(e *NetworkAclEntry) string { return e.info().CidrBlock }),
	"entry.ipv6-cidr":            entryFilter(func(e *NetworkAclEntry) string { return e.info().Ipv6CidrBlock }),
	"entry.icmp.code":            numberFilter((*NetworkAclEntry).hasIcmp, func(e *NetworkAclEntry) int { return e.IcmpCode }),
	"entry.icmp.type":            numberFilter((*NetworkAclEntry).hasIcmp, func(e *NetworkAclEntry) int { return e.IcmpType }),
	"entry.port-range.from":      numberFilter((*NetworkAclEntry).hasPorts, func(e *NetworkAclEntry) int { return e.FromPort }),
	"entry.port-range.to":        numberFilter((*NetworkAclEntry).hasPorts, func(e *NetworkAclEntry) int { return e.ToPort }),
	"entry.protocol":             entryFilter(func(e *NetworkAclEntry) string { return e.Protocol }),
	"entry.rule-action":          entryFilter(func(e *NetworkAclEntry) string { return e.RuleAction }),
	"entry.egress":               entryFilter(func(e *NetworkAclEntry) string { return boolText(e.Egress)[0] }),
	"entry.rule-number":          entryFilter(func(e *NetworkAclEntry) string { return strconv.Itoa(e.RuleNumber) }),
	"network-acl-id":             func(_ *Model, a *NetworkAcl) []string { return one(a.ID) },
	"vpc-id":                     func(_ *Model, a *NetworkAcl) []string { return one(a.VpcID) },
}

// DescribeNetworkAcls lists network ACLs.
func (tx *Tx) DescribeNetworkAcls(in *DescribeNetworkAclsInput) (*DescribeNetworkAclsOutput, error) {
	found, next, err := describe(tx, &tx.NetworkAcls, in.NetworkAclIds, networkAclFilters, in.Filters, paging{in.MaxResults, in.NextToken, 5, 1000})
	if err != nil {
		return nil, err
	}
	return &DescribeNetworkAclsOutput{views(found, tx.aclInfo), next}, nil
}
