package vpc

// CreateNetworkInterfaceInput and the other types below have the members of the EC2 API.
type CreateNetworkInterfaceInput struct {
	SubnetId                        SubnetID
	Description                     string
	PrivateIpAddress                string
	PrivateIpAddresses              []PrivateIpAddressSpecification
	SecondaryPrivateIpAddressCount  *int
	Groups                          []SecurityGroupID
	InterfaceType                   string // interface, or "" for it
	ConnectionTrackingSpecification *ConnectionTracking
	TagSpecifications               []TagSpecification
	ClientToken                     string
	DryRun                          bool
	// LinkType is vpcemu's own: tun (default) or tap.
	LinkType string
}

// PrivateIpAddressSpecification asks for an address; one of a list may be Primary.
type PrivateIpAddressSpecification struct {
	Primary          *bool
	PrivateIpAddress string
}

type CreateNetworkInterfaceOutput struct {
	NetworkInterface NetworkInterfaceInfo `json:"NetworkInterface"`
	ClientToken      string               `json:"ClientToken,omitempty"`
}

type DeleteNetworkInterfaceInput struct {
	NetworkInterfaceId NetworkInterfaceID
	DryRun             bool
}

type DeleteNetworkInterfaceOutput struct{}
