package vpc

// AllocateAddressInput and the other types below have the members of the EC2 API.
type AllocateAddressInput struct {
	Domain             string // vpc
	Address            string // a certain free address of the lab's pools
	PublicIpv4Pool     string // amazon
	NetworkBorderGroup string // the Region
	TagSpecifications  []TagSpecification
	DryRun             bool
}

type AllocateAddressOutput struct {
	AllocationId       AllocationID `json:"AllocationId"`
	PublicIpv4Pool     string       `json:"PublicIpv4Pool"`
	NetworkBorderGroup string       `json:"NetworkBorderGroup"`
	Domain             string       `json:"Domain"`
	PublicIp           string       `json:"PublicIp"`
}

type ReleaseAddressInput struct {
	AllocationId       AllocationID
	PublicIp           string
	NetworkBorderGroup string
	DryRun             bool
}

type ReleaseAddressOutput struct{}

type AssociateAddressInput struct {
	AllocationId       AllocationID
	PublicIp           string
	InstanceId         InstanceID
	NetworkInterfaceId NetworkInterfaceID
	PrivateIpAddress   string
	AllowReassociation *bool
	DryRun             bool
}

type AssociateAddressOutput struct {
	AssociationId AddressAssocID `json:"AssociationId"`
}

type DisassociateAddressInput struct {
	AssociationId AddressAssocID
	PublicIp      string
	DryRun        bool
}

type DisassociateAddressOutput struct{}
