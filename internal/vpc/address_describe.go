package vpc

import "slices"

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

// DescribeAddresses lists Elastic IPs.
func (tx *Tx) DescribeAddresses(in *DescribeAddressesInput) (*DescribeAddressesOutput, error) {
	ids := slices.Clone(in.AllocationIds)
	for _, public := range in.PublicIps {
		a, err := tx.addressByIp(public)
		if err != nil {
			return nil, err
		}
		ids = append(ids, a.AllocationID)
	}
	found, _, err := describe(tx, &tx.Addresses, ids, addressFilters, in.Filters, paging{})
	if err != nil {
		return nil, err
	}
	return &DescribeAddressesOutput{views(found, tx.addressInfo)}, nil
}

func (m *Model) addressInfo(a *Address) AddressInfo {
	info := AddressInfo{
		PublicIp: a.PublicIp.String(), AllocationId: a.AllocationID, AssociationId: a.AssociationID, Domain: "vpc",
		NetworkInterfaceId: a.NetworkInterfaceID, PrivateIpAddress: addressText(a.PrivateIp), Tags: tagList(a.Tags),
		PublicIpv4Pool: "amazon", NetworkBorderGroup: a.Region,
	}
	if n := m.NetworkInterfaces.Get(a.NetworkInterfaceID); n != nil {
		info.NetworkInterfaceOwnerId, info.SubnetId = n.Account, n.SubnetID
		if n.Attachment != nil {
			info.InstanceId = n.Attachment.InstanceID
		}
	}
	return info
}

// onAddress answers a filter by a member of the API's form of an Elastic IP.
func onAddress(answer func(AddressInfo) string) func(*Model, *Address) []string {
	return func(m *Model, a *Address) []string {
		if s := answer(m.addressInfo(a)); s != "" {
			return []string{s}
		}
		return nil
	}
}

var addressFilters = filterSet[Address]{
	"allocation-id":              onAddress(func(a AddressInfo) string { return string(a.AllocationId) }),
	"association-id":             onAddress(func(a AddressInfo) string { return string(a.AssociationId) }),
	"domain":                     onAddress(func(a AddressInfo) string { return a.Domain }),
	"instance-id":                onAddress(func(a AddressInfo) string { return string(a.InstanceId) }),
	"network-border-group":       onAddress(func(a AddressInfo) string { return a.NetworkBorderGroup }),
	"network-interface-id":       onAddress(func(a AddressInfo) string { return string(a.NetworkInterfaceId) }),
	"network-interface-owner-id": onAddress(func(a AddressInfo) string { return a.NetworkInterfaceOwnerId }),
	"private-ip-address":         onAddress(func(a AddressInfo) string { return a.PrivateIpAddress }),
	"public-ip":                  onAddress(func(a AddressInfo) string { return a.PublicIp }),
}

// DescribeAddressesAttribute lists Elastic IPs with their reverse names, of which
// a lab's have none. Terraform asks.
func (tx *Tx) DescribeAddressesAttribute(in *DescribeAddressesAttributeInput) (*DescribeAddressesAttributeOutput, error) {
	if in.Attribute != "" && in.Attribute != "domain-name" {
		return nil, errValue(in.Attribute, "attribute", "Unknown attribute.")
	}
	found, next, err := describe(tx, &tx.Addresses, in.AllocationIds, addressFilters, nil, paging{in.MaxResults, in.NextToken, 1, 1000})
	if err != nil {
		return nil, err
	}
	return &DescribeAddressesAttributeOutput{views(found, func(a *Address) AddressAttribute {
		return AddressAttribute{a.PublicIp.String(), a.AllocationID}
	}), next}, nil
}
