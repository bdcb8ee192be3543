package vpc

// ModifyNetworkInterfaceAttributeInput and the other types below have the members of the EC2 API.
// One attribute is changed a call.
type ModifyNetworkInterfaceAttributeInput struct {
	NetworkInterfaceId              NetworkInterfaceID
	Description                     *AttributeValue
	SourceDestCheck                 *AttributeBooleanValue
	Groups                          []SecurityGroupID
	Attachment                      *NetworkInterfaceAttachmentChanges
	ConnectionTrackingSpecification *ConnectionTracking
	AssociatePublicIpAddress        *bool
	DryRun                          bool
}

type NetworkInterfaceAttachmentChanges struct {
	AttachmentId        AttachmentID
	DeleteOnTermination *bool
}

type ModifyNetworkInterfaceAttributeOutput struct{}

type DescribeNetworkInterfaceAttributeInput struct {
	NetworkInterfaceId NetworkInterfaceID
	Attribute          string // description, groupSet, sourceDestCheck, attachment, associatePublicIpAddress
	DryRun             bool
}

type DescribeNetworkInterfaceAttributeOutput struct {
	Attachment               *NetworkInterfaceAttachment `json:"Attachment,omitempty"`
	Description              *AttributeValue             `json:"Description,omitempty"`
	Groups                   []GroupIdentifier           `json:"Groups,omitempty"`
	NetworkInterfaceId       NetworkInterfaceID          `json:"NetworkInterfaceId"`
	SourceDestCheck          *AttributeBooleanValue      `json:"SourceDestCheck,omitempty"`
	AssociatePublicIpAddress *bool                       `json:"AssociatePublicIpAddress,omitempty"`
}

type ResetNetworkInterfaceAttributeInput struct {
	NetworkInterfaceId NetworkInterfaceID
	SourceDestCheck    string
	DryRun             bool
}

type ResetNetworkInterfaceAttributeOutput struct{}
