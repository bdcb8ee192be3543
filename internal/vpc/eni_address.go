package vpc

// AssignPrivateIpAddressesInput and the other types below have the members of the EC2 API.
type AssignPrivateIpAddressesInput struct {
	NetworkInterfaceId             NetworkInterfaceID
	PrivateIpAddresses             []string
	SecondaryPrivateIpAddressCount *int
	AllowReassignment              bool
}

type AssignPrivateIpAddressesOutput struct {
	NetworkInterfaceId         NetworkInterfaceID         `json:"NetworkInterfaceId"`
	AssignedPrivateIpAddresses []AssignedPrivateIpAddress `json:"AssignedPrivateIpAddresses"`
}

type AssignedPrivateIpAddress struct {
	PrivateIpAddress string `json:"PrivateIpAddress"`
}

type UnassignPrivateIpAddressesInput struct {
	NetworkInterfaceId NetworkInterfaceID
	PrivateIpAddresses []string
}

type UnassignPrivateIpAddressesOutput struct{}
