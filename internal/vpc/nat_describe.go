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

// DescribeNatGateways lists gateways; failed and deleted ones stay for an hour.
func (tx *Tx) DescribeNatGateways(in *DescribeNatGatewaysInput) (*DescribeNatGatewaysOutput, error) {
	found, next, err := describe(tx, &tx.NatGateways, in.NatGatewayIds, natGatewayFilters, in.Filter, paging{in.MaxResults, in.NextToken, 5, 1000})
	if err != nil {
		return nil, err
	}
	return &DescribeNatGatewaysOutput{views(found, tx.natGatewayInfo), next}, nil
}

var natGatewayFilters = filterSet[NatGateway]{
	"nat-gateway-id": func(_ *Model, g *NatGateway) []string { return one(g.ID) },
	"state":          func(_ *Model, g *NatGateway) []string { return one(g.State) },
	"subnet-id":      func(_ *Model, g *NatGateway) []string { return one(g.SubnetID) },
	"vpc-id":         func(_ *Model, g *NatGateway) []string { return one(g.VpcID) },
}

func (m *Model) natGatewayInfo(g *NatGateway) NatGatewayInfo {
	info := NatGatewayInfo{
		CreateTime: g.Created, FailureCode: g.FailureCode, FailureMessage: g.FailureMessage,
		NatGatewayAddresses: natAddressInfos(g, func(*NatGatewayAddress) bool { return true }),
		NatGatewayId:        g.ID, State: g.State, SubnetId: g.SubnetID, VpcId: g.VpcID, Tags: tagList(g.Tags),
		ConnectivityType: g.ConnectivityType, AvailabilityMode: "zonal",
	}
	if !g.Deleted.IsZero() {
		info.DeleteTime = new(g.Deleted)
	}
	return info
}

// natAddressInfos are those of the gateway's addresses that the caller wants.
func natAddressInfos(g *NatGateway, want func(*NatGatewayAddress) bool) []NatGatewayAddressInfo {
	list := []NatGatewayAddressInfo{}
	for i := range g.Addresses {
		e := &g.Addresses[i]
		if !want(e) {
			continue
		}
		list = append(list, NatGatewayAddressInfo{
			AllocationId: e.AllocationID, NetworkInterfaceId: g.NetworkInterfaceID, PrivateIp: addressText(e.PrivateIp),
			PublicIp: addressText(e.PublicIp), AssociationId: e.AssociationID, IsPrimary: e.IsPrimary, Status: e.Status,
		})
	}
	return list
}
