package vpc

import (
	"net/netip"
	"slices"
)

// CreateVpcInput and the other inputs and outputs below have the members of the EC2 API.
type CreateVpcInput struct {
	CidrBlock         string
	InstanceTenancy   string
	TagSpecifications []TagSpecification
	DryRun            bool
}

type CreateVpcOutput struct {
	Vpc VpcInfo `json:"Vpc"`
}

// VpcInfo is a VPC as the API answers it.
type VpcInfo struct {
	OwnerId                 string                    `json:"OwnerId"`
	InstanceTenancy         string                    `json:"InstanceTenancy"`
	CidrBlockAssociationSet []VpcCidrBlockAssociation `json:"CidrBlockAssociationSet"`
	IsDefault               bool                      `json:"IsDefault"`
	Tags                    []Tag                     `json:"Tags,omitempty"`
	VpcId                   VpcID                     `json:"VpcId"`
	State                   string                    `json:"State"`
	CidrBlock               string                    `json:"CidrBlock"`
	DhcpOptionsId           DhcpOptionsID             `json:"DhcpOptionsId"`
}

type VpcCidrBlockAssociation struct {
	AssociationId  CidrAssociationID `json:"AssociationId"`
	CidrBlock      string            `json:"CidrBlock"`
	CidrBlockState VpcCidrBlockState `json:"CidrBlockState"`
}

type VpcCidrBlockState struct {
	State string `json:"State"`
}

func (c CidrAssociation) info() VpcCidrBlockAssociation {
	return VpcCidrBlockAssociation{c.ID, c.CidrBlock.String(), VpcCidrBlockState{c.State}}
}

func (v *Vpc) info() VpcInfo {
	set := make([]VpcCidrBlockAssociation, len(v.Cidrs))
	for i, c := range v.Cidrs {
		set[i] = c.info()
	}
	options := v.DhcpOptionsID
	if options == "" {
		options = noDhcpOptions
	}
	return VpcInfo{
		OwnerId: v.Account, InstanceTenancy: v.InstanceTenancy, CidrBlockAssociationSet: set, IsDefault: v.IsDefault,
		Tags: tagList(v.Tags), VpcId: v.ID, State: v.State, CidrBlock: v.CidrBlock.String(), DhcpOptionsId: options,
	}
}

// CreateVpc makes a VPC with its main route table, default network ACL, default
// security group and the account's default DHCP options (AD-01, AD-02, DV-03).
// The answer says pending, as AWS does; the VPC is available at once, unless API.Delays says otherwise.
func (tx *Tx) CreateVpc(in *CreateVpcInput) (*CreateVpcOutput, error) {
	v, err := tx.makeVpc(in, false)
	if err != nil {
		return nil, err
	}
	info := v.info()
	info.State = "pending"
	return &CreateVpcOutput{info}, nil
}

func (tx *Tx) makeVpc(in *CreateVpcInput, isDefault bool) (*Vpc, error) {
	if in.CidrBlock == "" {
		return nil, errMissing("cidrBlock")
	}
	cidr, err := parseCidr(in.CidrBlock, "cidrBlock")
	if err != nil {
		return nil, err
	}
	if !vpcBlockAllowed(cidr) {
		return nil, errorf("InvalidVpc.Range", "The CIDR '%s' is invalid.", cidr)
	}
	tenancy, err := vpcTenancy(in.InstanceTenancy)
	if err != nil {
		return nil, err
	}
	meta, err := tx.newMeta("vpc", in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	if tx.Vpcs.Len() >= tx.Quota(QuotaVpcs) {
		return nil, errorf("VpcLimitExceeded", "The maximum number of VPCs has been reached.")
	}
	v := &Vpc{
		Meta: meta, ID: newID[VpcID](tx), CidrBlock: cidr, InstanceTenancy: tenancy, IsDefault: isDefault,
		Cidrs:            []CidrAssociation{{newID[CidrAssociationID](tx), cidr, "associated"}},
		DhcpOptionsID:    tx.defaultDhcpOptions(),
		EnableDnsSupport: true, EnableDnsHostnames: isDefault, // DNS-04
	}
	v.Due = tx.due(delayVpc)
	v.State = begun(v.Due, "pending", "available")
	tx.Vpcs.Put(v.ID, v)
	tx.makeMainRouteTable(v)
	tx.makeDefaultAcl(v)
	tx.makeDefaultGroup(v)
	return v, nil
}

// unusable are ranges that no network can have: this network, loopback, link
// local (AD-05), multicast and reserved.
var unusable = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("224.0.0.0/3"),
}

// vpcBlockAllowed is AD-01: a /16 to /28 that is not unusable.
func vpcBlockAllowed(p netip.Prefix) bool {
	return p.Bits() >= 16 && p.Bits() <= 28 && !slices.ContainsFunc(unusable, p.Overlaps)
}

// vpcTenancy is IN-05; "host" is for instances only.
func vpcTenancy(s string) (string, error) {
	switch s {
	case "":
		return "default", nil
	case "default", "dedicated":
		return s, nil
	case "host":
		return "", errorf("UnsupportedTenancy", "The tenancy value '%s' is not supported for a VPC.", s)
	}
	return "", errValue(s, "instanceTenancy", "It must be default or dedicated.")
}

type DeleteVpcInput struct {
	VpcId  VpcID
	DryRun bool
}

type DeleteVpcOutput struct{}

// DeleteVpc deletes a VPC that holds nothing but its default security group,
// default ACL and main route table (DV-04). Its flow logs go with it.
func (tx *Tx) DeleteVpc(in *DeleteVpcInput) (*DeleteVpcOutput, error) {
	v, err := find(&tx.Vpcs, in.VpcId)
	if err != nil {
		return nil, err
	}
	if tx.vpcHoldsMore(v.ID) {
		return nil, errDependency("vpc", v.ID)
	}
	if t := tx.MainRouteTable(v.ID); t != nil {
		tx.RouteTables.Delete(t.ID)
	}
	if a := tx.DefaultNetworkAcl(v.ID); a != nil {
		tx.NetworkAcls.Delete(a.ID)
	}
	if g := tx.DefaultSecurityGroup(v.ID); g != nil {
		tx.SecurityGroups.Delete(g.ID)
	}
	tx.dropFlowLogs(string(v.ID))
	tx.Vpcs.Delete(v.ID)
	return &DeleteVpcOutput{}, nil
}

// vpcHoldsMore tells whether the VPC holds anything that its deletion does not
// take along.
func (m *Model) vpcHoldsMore(id VpcID) bool {
	for _, s := range m.Subnets.All() {
		if s.VpcID == id {
			return true
		}
	}
	for _, g := range m.InternetGateways.All() {
		if g.VpcID == id {
			return true
		}
	}
	for _, n := range m.NetworkInterfaces.All() {
		if n.VpcID == id && n.Deleted.IsZero() {
			return true
		}
	}
	for _, t := range m.RouteTables.All() {
		if t.VpcID == id && !t.isMain() {
			return true
		}
	}
	for _, a := range m.NetworkAcls.All() {
		if a.VpcID == id && !a.IsDefault {
			return true
		}
	}
	for _, g := range m.SecurityGroups.All() {
		if g.VpcID == id && !g.isDefault() {
			return true
		}
	}
	return false
}

type DescribeVpcsInput struct {
	VpcIds     []VpcID
	Filters    []Filter
	MaxResults *int
	NextToken  string
	DryRun     bool
}

type DescribeVpcsOutput struct {
	Vpcs      []VpcInfo `json:"Vpcs"`
	NextToken string    `json:"NextToken,omitempty"`
}

var vpcFilters = filterSet[Vpc]{
	"cidr": func(_ *Model, v *Vpc) []string { return one(v.CidrBlock.String()) },
	// As for subnets; AWS documents it for those only, and Ansible asks so for VPCs.
	"cidr-block": func(_ *Model, v *Vpc) []string { return one(v.CidrBlock.String()) },
	"cidr-block-association.cidr-block": func(_ *Model, v *Vpc) []string {
		return each(v.Cidrs, func(c *CidrAssociation) string { return c.CidrBlock.String() })
	},
	"cidr-block-association.association-id": func(_ *Model, v *Vpc) []string {
		return each(v.Cidrs, func(c *CidrAssociation) string { return string(c.ID) })
	},
	"cidr-block-association.state": func(_ *Model, v *Vpc) []string {
		return each(v.Cidrs, func(c *CidrAssociation) string { return c.State })
	},
	"dhcp-options-id": func(_ *Model, v *Vpc) []string { return one(v.info().DhcpOptionsId) },
	"ipv6-cidr-block-association.association-id":  func(*Model, *Vpc) []string { return nil },
	"ipv6-cidr-block-association.ipv6-cidr-block": func(*Model, *Vpc) []string { return nil },
	"ipv6-cidr-block-association.ipv6-pool":       func(*Model, *Vpc) []string { return nil },
	"ipv6-cidr-block-association.state":           func(*Model, *Vpc) []string { return nil },
	"is-default":                                  func(_ *Model, v *Vpc) []string { return boolText(v.IsDefault) },
	// The older name, which the Terraform provider still uses.
	"isDefault": func(_ *Model, v *Vpc) []string { return boolText(v.IsDefault) },
	"state":     func(_ *Model, v *Vpc) []string { return one(v.State) },
	"vpc-id":    func(_ *Model, v *Vpc) []string { return one(v.ID) },
}

// DescribeVpcs lists VPCs.
func (tx *Tx) DescribeVpcs(in *DescribeVpcsInput) (*DescribeVpcsOutput, error) {
	found, next, err := describe(tx, &tx.Vpcs, in.VpcIds, vpcFilters, in.Filters, paging{in.MaxResults, in.NextToken, 5, 1000})
	if err != nil {
		return nil, err
	}
	return &DescribeVpcsOutput{views(found, (*Vpc).info), next}, nil
}

type ModifyVpcAttributeInput struct {
	VpcId                            VpcID
	EnableDnsSupport                 AttributeBooleanValue
	EnableDnsHostnames               AttributeBooleanValue
	EnableNetworkAddressUsageMetrics AttributeBooleanValue
}

type ModifyVpcAttributeOutput struct{}

// ModifyVpcAttribute changes one attribute a request; DNS host names need DNS
// support (DNS-04).
func (tx *Tx) ModifyVpcAttribute(in *ModifyVpcAttributeInput) (*ModifyVpcAttributeOutput, error) {
	v, err := find(&tx.Vpcs, in.VpcId)
	if err != nil {
		return nil, err
	}
	given := []*bool{in.EnableDnsSupport.Value, in.EnableDnsHostnames.Value, in.EnableNetworkAddressUsageMetrics.Value}
	if err := oneAttribute(given); err != nil {
		return nil, err
	}
	c := *v
	if b := given[0]; b != nil {
		c.EnableDnsSupport = *b
	}
	if b := given[1]; b != nil {
		if *b && !v.EnableDnsSupport {
			return nil, errInvalid("DNS hostnames can only be enabled if DNS support is enabled for '%s'.", v.ID)
		}
		c.EnableDnsHostnames = *b
	}
	if b := given[2]; b != nil {
		c.EnableNetworkAddressUsageMetrics = *b
	}
	tx.Vpcs.Put(c.ID, &c)
	return &ModifyVpcAttributeOutput{}, nil
}

// oneAttribute checks that exactly one of the attributes is to be changed.
func oneAttribute(given []*bool) error {
	n := 0
	for _, b := range given {
		if b != nil {
			n++
		}
	}
	switch n {
	case 0:
		return errorf("MissingParameter", "The request must contain an attribute to modify")
	case 1:
		return nil
	}
	return errorf("InvalidParameterCombination", "Fields for multiple attribute types specified")
}

type DescribeVpcAttributeInput struct {
	VpcId     VpcID
	Attribute string
	DryRun    bool
}

type DescribeVpcAttributeOutput struct {
	VpcId                            VpcID                 `json:"VpcId"`
	EnableDnsSupport                 AttributeBooleanValue `json:"EnableDnsSupport,omitzero"`
	EnableDnsHostnames               AttributeBooleanValue `json:"EnableDnsHostnames,omitzero"`
	EnableNetworkAddressUsageMetrics AttributeBooleanValue `json:"EnableNetworkAddressUsageMetrics,omitzero"`
}

// DescribeVpcAttribute tells one attribute.
func (tx *Tx) DescribeVpcAttribute(in *DescribeVpcAttributeInput) (*DescribeVpcAttributeOutput, error) {
	v, err := find(&tx.Vpcs, in.VpcId)
	if err != nil {
		return nil, err
	}
	out := &DescribeVpcAttributeOutput{VpcId: v.ID}
	switch in.Attribute {
	case "enableDnsSupport":
		out.EnableDnsSupport.Value = new(v.EnableDnsSupport)
	case "enableDnsHostnames":
		out.EnableDnsHostnames.Value = new(v.EnableDnsHostnames)
	case "enableNetworkAddressUsageMetrics":
		out.EnableNetworkAddressUsageMetrics.Value = new(v.EnableNetworkAddressUsageMetrics)
	case "":
		return nil, errMissing("attribute")
	default:
		return nil, errValue(in.Attribute, "attribute", "Unknown attribute.")
	}
	return out, nil
}

type ModifyVpcTenancyInput struct {
	VpcId           VpcID
	InstanceTenancy string
	DryRun          bool
}

type ModifyVpcTenancyOutput struct {
	ReturnValue bool `json:"ReturnValue"`
}

// ModifyVpcTenancy turns a dedicated VPC into a default one, the only change
// there is (IN-05). Instances that run keep theirs.
func (tx *Tx) ModifyVpcTenancy(in *ModifyVpcTenancyInput) (*ModifyVpcTenancyOutput, error) {
	v, err := find(&tx.Vpcs, in.VpcId)
	if err != nil {
		return nil, err
	}
	switch in.InstanceTenancy {
	case "":
		return nil, errMissing("instanceTenancy")
	case "default":
	case "dedicated", "host":
		return nil, errorf("UnsupportedTenancy", "The tenancy of a VPC can only be changed to default.")
	default:
		return nil, errValue(in.InstanceTenancy, "instanceTenancy", "It must be default.")
	}
	c := *v
	c.InstanceTenancy = "default"
	tx.Vpcs.Put(c.ID, &c)
	return &ModifyVpcTenancyOutput{true}, nil
}
