package vpc

import "time"

// DescribeNatGatewaysInput and the other types below have the members of the EC2 API.
// The API calls this action's filters Filter.
type DescribeNatGatewaysInput struct {
	NatGatewayIds []NatGatewayID
	Filter        []Filter
	MaxResults    *int
	NextToken     string
	DryRun        bool
}

type DescribeNatGatewaysOutput struct {
	NatGateways []NatGatewayInfo `json:"NatGateways"`
	NextToken   string           `json:"NextToken,omitempty"`
}

// NatGatewayInfo is a NAT gateway as the API answers it.
type NatGatewayInfo struct {
	CreateTime          time.Time               `json:"CreateTime"`
	DeleteTime          *time.Time              `json:"DeleteTime,omitempty"`
	FailureCode         string                  `json:"FailureCode,omitempty"`
	FailureMessage      string                  `json:"FailureMessage,omitempty"`
	NatGatewayAddresses []NatGatewayAddressInfo `json:"NatGatewayAddresses"`
	NatGatewayId        NatGatewayID            `json:"NatGatewayId"`
	State               string                  `json:"State"`
	SubnetId            SubnetID                `json:"SubnetId"`
	VpcId               VpcID                   `json:"VpcId"`
	Tags                []Tag                   `json:"Tags"`
	ConnectivityType    string                  `json:"ConnectivityType"`
	AvailabilityMode    string                  `json:"AvailabilityMode"`
}

type NatGatewayAddressInfo struct {
	AllocationId       AllocationID       `json:"AllocationId,omitempty"`
	NetworkInterfaceId NetworkInterfaceID `json:"NetworkInterfaceId,omitempty"`
	PrivateIp          string             `json:"PrivateIp,omitempty"`
	PublicIp           string             `json:"PublicIp,omitempty"`
	AssociationId      AddressAssocID     `json:"AssociationId,omitempty"`
	IsPrimary          bool               `json:"IsPrimary"`
	FailureMessage     string             `json:"FailureMessage,omitempty"`
	Status             string             `json:"Status,omitempty"`
}
