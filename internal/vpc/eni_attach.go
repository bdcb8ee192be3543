package vpc

// AttachNetworkInterfaceInput and the other types below have the members of the EC2 API.
type AttachNetworkInterfaceInput struct {
	NetworkInterfaceId NetworkInterfaceID
	InstanceId         InstanceID
	DeviceIndex        *int
	NetworkCardIndex   *int
	DryRun             bool
}

type AttachNetworkInterfaceOutput struct {
	AttachmentId     AttachmentID `json:"AttachmentId"`
	NetworkCardIndex int          `json:"NetworkCardIndex"`
}

type DetachNetworkInterfaceInput struct {
	AttachmentId AttachmentID
	Force        bool
	DryRun       bool
}

type DetachNetworkInterfaceOutput struct{}
