package vpc

// AssociateNatGatewayAddressInput and the other types below have the members of the EC2 API.
type AssociateNatGatewayAddressInput struct {
	NatGatewayId       NatGatewayID
	AllocationIds      []AllocationID
	PrivateIpAddresses []string
	DryRun             bool
}

type AssociateNatGatewayAddressOutput struct {
	NatGatewayId        NatGatewayID            `json:"NatGatewayId"`
	NatGatewayAddresses []NatGatewayAddressInfo `json:"NatGatewayAddresses"`
}

type DisassociateNatGatewayAddressInput struct {
	NatGatewayId            NatGatewayID
	AssociationIds          []AddressAssocID
	MaxDrainDurationSeconds *int
	DryRun                  bool
}

type DisassociateNatGatewayAddressOutput struct {
	NatGatewayId        NatGatewayID            `json:"NatGatewayId"`
	NatGatewayAddresses []NatGatewayAddressInfo `json:"NatGatewayAddresses"`
}

type AssignPrivateNatGatewayAddressInput struct {
	NatGatewayId          NatGatewayID
	PrivateIpAddresses    []string
	PrivateIpAddressCount *int
	DryRun                bool
}

type AssignPrivateNatGatewayAddressOutput struct {
	NatGatewayId        NatGatewayID            `json:"NatGatewayId"`
	NatGatewayAddresses []NatGatewayAddressInfo `json:"NatGatewayAddresses"`
}

type UnassignPrivateNatGatewayAddressInput struct {
	NatGatewayId            NatGatewayID
	PrivateIpAddresses      []string
	MaxDrainDurationSeconds *int
	DryRun                  bool
}

type UnassignPrivateNatGatewayAddressOutput struct {
	NatGatewayId        NatGatewayID            `json:"NatGatewayId"`
	NatGatewayAddresses []NatGatewayAddressInfo `json:"NatGatewayAddresses"`
}
