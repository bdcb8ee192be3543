package vpc

// ClassicLink has been retired (AWS, EC2-Classic Networking is Retiring, 2022), and clients
// still ask of each VPC whether it is on: Ansible's amazon.aws before 6.0 does. It is not.

type DescribeVpcClassicLinkInput struct {
	VpcIds  []VpcID
	Filters []Filter
	DryRun  bool
}

type DescribeVpcClassicLinkOutput struct {
	Vpcs []VpcClassicLink `json:"Vpcs"`
}

// VpcClassicLink is one VPC.
type VpcClassicLink struct {
	ClassicLinkEnabled bool  `json:"ClassicLinkEnabled"`
	Tags               []Tag `json:"Tags"`
	VpcId              VpcID `json:"VpcId"`
}

var classicLinkFilters = filterSet[Vpc]{
	"is-classic-link-enabled": func(*Model, *Vpc) []string { return boolText(false) },
}

func (tx *Tx) DescribeVpcClassicLink(in *DescribeVpcClassicLinkInput) (*DescribeVpcClassicLinkOutput, error) {
	found, _, err := describe(tx, &tx.Vpcs, in.VpcIds, classicLinkFilters, in.Filters, paging{})
	if err != nil {
		return nil, err
	}
	return &DescribeVpcClassicLinkOutput{views(found, func(v *Vpc) VpcClassicLink { return VpcClassicLink{Tags: tagList(v.Tags), VpcId: v.ID} })}, nil
}

type DescribeVpcClassicLinkDnsSupportInput struct {
	VpcIds     []VpcID
	MaxResults *int
	NextToken  string
}

type DescribeVpcClassicLinkDnsSupportOutput struct {
	Vpcs      []ClassicLinkDnsSupport `json:"Vpcs"`
	NextToken string                  `json:"NextToken,omitempty"`
}

// ClassicLinkDnsSupport is one VPC.
type ClassicLinkDnsSupport struct {
	ClassicLinkDnsSupported bool  `json:"ClassicLinkDnsSupported"`
	VpcId                   VpcID `json:"VpcId"`
}

func (tx *Tx) DescribeVpcClassicLinkDnsSupport(in *DescribeVpcClassicLinkDnsSupportInput) (*DescribeVpcClassicLinkDnsSupportOutput, error) {
	found, next, err := describe(tx, &tx.Vpcs, in.VpcIds, filterSet[Vpc]{}, nil, paging{in.MaxResults, in.NextToken, 5, 1000})
	if err != nil {
		return nil, err
	}
	return &DescribeVpcClassicLinkDnsSupportOutput{views(found, func(v *Vpc) ClassicLinkDnsSupport { return ClassicLinkDnsSupport{VpcId: v.ID} }), next}, nil
}
