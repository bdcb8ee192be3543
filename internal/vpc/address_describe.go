package vpc

// DescribeAddressesInput and the other types below have the members of the EC2 API.
type DescribeAddressesInput struct {
	PublicIps     []string
	AllocationIds []AllocationID
	Filters       []Filter
	DryRun        bool
}

type DescribeAddressesOutput struct {
	Addresses []AddressInfo `json:"Addresses"`
}

// AddressInfo is an Elastic IP as the API answers it.
type AddressInfo struct {
	InstanceId              InstanceID         `json:"InstanceId,omitempty"`
	PublicIp                string             `json:"PublicIp"`
	AllocationId            AllocationID       `json:"AllocationId"`
	AssociationId           AddressAssocID     `json:"AssociationId,omitempty"`
	Domain                  string             `json:"Domain"`
	NetworkInterfaceId      NetworkInterfaceID `json:"NetworkInterfaceId,omitempty"`
	NetworkInterfaceOwnerId string             `json:"NetworkInterfaceOwnerId,omitempty"`
	PrivateIpAddress        string             `json:"PrivateIpAddress,omitempty"`
	SubnetId                SubnetID           `json:"SubnetId,omitempty"`
	Tags                    []Tag              `json:"Tags"`
	PublicIpv4Pool          string             `json:"PublicIpv4Pool"`
	NetworkBorderGroup      string             `json:"NetworkBorderGroup"`
}

// DescribeAddressesAttributeInput asks for reverse names, which a lab has none of.
type DescribeAddressesAttributeInput struct {
	AllocationIds []AllocationID
	Attribute     string // domain-name
	MaxResults    *int
	NextToken     string
	DryRun        bool
}

type DescribeAddressesAttributeOutput struct {
	Addresses []AddressAttribute `json:"Addresses"`
	NextToken string             `json:"NextToken,omitempty"`
}

type AddressAttribute struct {
	PublicIp     string       `json:"PublicIp"`
	AllocationId AllocationID `json:"AllocationId"`
}
