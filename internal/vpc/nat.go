package vpc

// CreateNatGatewayInput and the other types below have the members of the EC2 API.
type CreateNatGatewayInput struct {
	SubnetId                       SubnetID
	AllocationId                   AllocationID
	ConnectivityType               string // public (default), private
	AvailabilityMode               string // zonal
	PrivateIpAddress               string
	SecondaryAllocationIds         []AllocationID
	SecondaryPrivateIpAddresses    []string
	SecondaryPrivateIpAddressCount *int
	TagSpecifications              []TagSpecification
	ClientToken                    string
	DryRun                         bool
}

type CreateNatGatewayOutput struct {
	ClientToken string         `json:"ClientToken,omitempty"`
	NatGateway  NatGatewayInfo `json:"NatGateway"`
}

type DeleteNatGatewayInput struct {
	NatGatewayId NatGatewayID
	DryRun       bool
}

type DeleteNatGatewayOutput struct {
	NatGatewayId NatGatewayID `json:"NatGatewayId"`
}
