package vpc

// CreateInternetGatewayInput and the other inputs and outputs below have the members of the EC2 API.
type CreateInternetGatewayInput struct {
	TagSpecifications []TagSpecification
	DryRun            bool
}

type CreateInternetGatewayOutput struct {
	InternetGateway InternetGatewayInfo `json:"InternetGateway"`
}

// InternetGatewayInfo is an Internet gateway as the API answers it.
type InternetGatewayInfo struct {
	Attachments       []InternetGatewayAttachment `json:"Attachments"`
	InternetGatewayId InternetGatewayID           `json:"InternetGatewayId"`
	OwnerId           string                      `json:"OwnerId"`
	Tags              []Tag                       `json:"Tags"`
}

type InternetGatewayAttachment struct {
	State string `json:"State"`
	VpcId VpcID  `json:"VpcId"`
}

func (g *InternetGateway) info() InternetGatewayInfo {
	i := InternetGatewayInfo{[]InternetGatewayAttachment{}, g.ID, g.Account, tagList(g.Tags)}
	if g.VpcID != "" {
		i.Attachments = append(i.Attachments, InternetGatewayAttachment{g.AttachmentState, g.VpcID})
	}
	return i
}

// CreateInternetGateway makes a gateway that is attached to nothing.
func (tx *Tx) CreateInternetGateway(in *CreateInternetGatewayInput) (*CreateInternetGatewayOutput, error) {
	meta, err := tx.newMeta("internet-gateway", in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	if tx.InternetGateways.Len() >= tx.Quota(QuotaInternetGateways) {
		return nil, errorf("InternetGatewayLimitExceeded", "The maximum number of internet gateways has been reached.")
	}
	g := &InternetGateway{Meta: meta, ID: newID[InternetGatewayID](tx)}
	tx.InternetGateways.Put(g.ID, g)
	return &CreateInternetGatewayOutput{g.info()}, nil
}

type DeleteInternetGatewayInput struct {
	InternetGatewayId InternetGatewayID
	DryRun            bool
}

type DeleteInternetGatewayOutput struct{}

// DeleteInternetGateway deletes a gateway that is not attached (IG-07). Routes
// to it stay as blackholes (RT-10).
func (tx *Tx) DeleteInternetGateway(in *DeleteInternetGatewayInput) (*DeleteInternetGatewayOutput, error) {
	g, err := find(&tx.InternetGateways, in.InternetGatewayId)
	if err != nil {
		return nil, err
	}
	if g.VpcID != "" {
		return nil, errDependency("internetGateway", g.ID)
	}
	tx.InternetGateways.Delete(g.ID)
	return &DeleteInternetGatewayOutput{}, nil
}

type AttachInternetGatewayInput struct {
	InternetGatewayId InternetGatewayID
	VpcId             VpcID
	DryRun            bool
}

type AttachInternetGatewayOutput struct{}

// AttachInternetGateway attaches a gateway to a VPC, one to one (IG-01, IG-07).
func (tx *Tx) AttachInternetGateway(in *AttachInternetGatewayInput) (*AttachInternetGatewayOutput, error) {
	g, err := find(&tx.InternetGateways, in.InternetGatewayId)
	if err != nil {
		return nil, err
	}
	v, err := find(&tx.Vpcs, in.VpcId)
	if err != nil {
		return nil, err
	}
	if g.VpcID != "" {
		return nil, errorf("Resource.AlreadyAssociated", "resource %s is already attached to network %s", g.ID, g.VpcID)
	}
	if tx.VpcInternetGateway(v.ID) != nil {
		return nil, errInvalid("Network %s already has an internet gateway attached", v.ID)
	}
	c := *g
	c.VpcID, c.AttachmentState = v.ID, "available"
	tx.InternetGateways.Put(c.ID, &c)
	return &AttachInternetGatewayOutput{}, nil
}

// VpcInternetGateway is the gateway attached to the VPC, or nil.
func (m *Model) VpcInternetGateway(id VpcID) *InternetGateway {
	for _, g := range m.InternetGateways.All() {
		if g.VpcID == id {
			return g
		}
	}
	return nil
}

type DetachInternetGatewayInput struct {
	InternetGatewayId InternetGatewayID
	VpcId             VpcID
	DryRun            bool
}

type DetachInternetGatewayOutput struct{}

// DetachInternetGateway detaches a gateway. It is refused while the VPC has
// running instances, or NAT gateways, with public addresses (IG-07), and while
// a route table is associated with the gateway, which could not follow it.
func (tx *Tx) DetachInternetGateway(in *DetachInternetGatewayInput) (*DetachInternetGatewayOutput, error) {
	g, err := find(&tx.InternetGateways, in.InternetGatewayId)
	if err != nil {
		return nil, err
	}
	// A VPC that is gone has no gateway either: a client that deletes both at once, as Terraform
	// does where an aws_internet_gateway_attachment joined them, takes only this for done.
	if g.VpcID == "" || g.VpcID != in.VpcId {
		if err := kindOf[VpcID]().check(string(in.VpcId)); err != nil {
			return nil, err
		}
		return nil, errorf("Gateway.NotAttached", "resource %s is not attached to network %s", g.ID, in.VpcId)
	}
	if tx.publicAddressInUse(g.VpcID) {
		return nil, errorf("DependencyViolation", "Network %s has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.", g.VpcID)
	}
	if t, _ := tx.gatewayAssociation(g.ID); t != nil {
		return nil, errorf("DependencyViolation", "The internetGateway '%s' has dependencies and cannot be detached. It is associated with the route table '%s'.", g.ID, t.ID)
	}
	c := *g
	c.VpcID, c.AttachmentState = "", ""
	tx.InternetGateways.Put(c.ID, &c)
	return &DetachInternetGatewayOutput{}, nil
}

// publicAddressInUse tells whether a running instance or a NAT gateway of the
// VPC has a public address of either kind.
func (m *Model) publicAddressInUse(id VpcID) bool {
	for _, n := range m.NetworkInterfaces.All() {
		if n.VpcID == id && n.Deleted.IsZero() && n.hasPublicAddress() && (n.RequesterManaged || m.onRunningInstance(n)) {
			return true
		}
	}
	return false
}

func (n *NetworkInterface) hasPublicAddress() bool {
	if n.PublicIp.IsValid() {
		return true
	}
	for _, a := range n.PrivateIps {
		if a.AllocationID != "" {
			return true
		}
	}
	return false
}

func (m *Model) onRunningInstance(n *NetworkInterface) bool {
	if n.Attachment == nil {
		return false
	}
	i := m.Instances.Get(n.Attachment.InstanceID)
	return i != nil && i.State != StateStopped && i.State != StateTerminated
}

type DescribeInternetGatewaysInput struct {
	InternetGatewayIds []InternetGatewayID
	Filters            []Filter
	MaxResults         *int
	NextToken          string
	DryRun             bool
}

type DescribeInternetGatewaysOutput struct {
	InternetGateways []InternetGatewayInfo `json:"InternetGateways"`
	NextToken        string                `json:"NextToken,omitempty"`
}

var internetGatewayFilters = filterSet[InternetGateway]{
	"attachment.state": func(_ *Model, g *InternetGateway) []string {
		return each(g.info().Attachments, func(a *InternetGatewayAttachment) string { return a.State })
	},
	"attachment.vpc-id": func(_ *Model, g *InternetGateway) []string {
		return each(g.info().Attachments, func(a *InternetGatewayAttachment) string { return string(a.VpcId) })
	},
	"internet-gateway-id": func(_ *Model, g *InternetGateway) []string { return one(g.ID) },
}

// DescribeInternetGateways lists Internet gateways.
func (tx *Tx) DescribeInternetGateways(in *DescribeInternetGatewaysInput) (*DescribeInternetGatewaysOutput, error) {
	found, next, err := describe(tx, &tx.InternetGateways, in.InternetGatewayIds, internetGatewayFilters, in.Filters, paging{in.MaxResults, in.NextToken, 5, 1000})
	if err != nil {
		return nil, err
	}
	return &DescribeInternetGatewaysOutput{views(found, (*InternetGateway).info), next}, nil
}
