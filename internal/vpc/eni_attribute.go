package vpc

import "net/netip"

// ModifyNetworkInterfaceAttributeInput and the other types below have the members of the EC2 API.
// One attribute is changed a call.
type ModifyNetworkInterfaceAttributeInput struct {
	NetworkInterfaceId              NetworkInterfaceID
	Description                     *AttributeValue
	SourceDestCheck                 AttributeBooleanValue
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

// ModifyNetworkInterfaceAttribute changes one attribute. The wish for a public
// address counts for the interface at device index 0, and there at once (PI-04).
func (tx *Tx) ModifyNetworkInterfaceAttribute(in *ModifyNetworkInterfaceAttributeInput) (*ModifyNetworkInterfaceAttributeOutput, error) {
	n, err := tx.ownInterface(in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	if err := oneGiven(in.Description != nil, in.SourceDestCheck.Value != nil, in.Groups != nil, in.Attachment != nil,
		in.ConnectionTrackingSpecification != nil, in.AssociatePublicIpAddress != nil); err != nil {
		return nil, err
	}
	c := n.change()
	switch {
	case in.Description != nil:
		c.Description = in.Description.Value
	case in.SourceDestCheck.Value != nil:
		c.SourceDestCheck = *in.SourceDestCheck.Value
	case in.Groups != nil:
		if c.Groups, err = tx.interfaceGroups(n.VpcID, in.Groups, "network interface "+string(n.ID)); err != nil {
			return nil, err
		}
	case in.Attachment != nil:
		if n.Attachment == nil || n.Attachment.ID != in.Attachment.AttachmentId {
			return nil, kindOf[AttachmentID]().notFoundError(string(in.Attachment.AttachmentId))
		}
		if in.Attachment.DeleteOnTermination == nil {
			return nil, errMissing("attachment.deleteOnTermination")
		}
		c.Attachment.DeleteOnTermination = *in.Attachment.DeleteOnTermination
	case in.ConnectionTrackingSpecification != nil:
		if err := in.ConnectionTrackingSpecification.check(); err != nil {
			return nil, err
		}
		c.setTracking(in.ConnectionTrackingSpecification)
	case in.AssociatePublicIpAddress != nil:
		if c.MapPublic = *in.AssociatePublicIpAddress; !c.MapPublic {
			c.PublicIp = netip.Addr{}
		} else if err := tx.givePublic(c); err != nil {
			return nil, err
		}
	}
	tx.NetworkInterfaces.Put(c.ID, c)
	return &ModifyNetworkInterfaceAttributeOutput{}, nil
}

// oneGiven checks that exactly one of the attributes is to be changed.
func oneGiven(given ...bool) error {
	marks := make([]*bool, len(given))
	for i := range given {
		if given[i] {
			marks[i] = &given[i]
		}
	}
	return oneAttribute(marks)
}

// DescribeNetworkInterfaceAttribute tells one attribute.
func (tx *Tx) DescribeNetworkInterfaceAttribute(in *DescribeNetworkInterfaceAttributeInput) (*DescribeNetworkInterfaceAttributeOutput, error) {
	n, err := find(&tx.NetworkInterfaces, in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	out := &DescribeNetworkInterfaceAttributeOutput{NetworkInterfaceId: n.ID}
	switch in.Attribute {
	case "description":
		out.Description = &AttributeValue{n.Description}
	case "groupSet":
		out.Groups = tx.groupIdentifiers(n.Groups)
	case "sourceDestCheck":
		out.SourceDestCheck = &AttributeBooleanValue{new(n.SourceDestCheck)}
	case "attachment":
		out.Attachment = tx.attachmentInfo(n)
	case "associatePublicIpAddress":
		out.AssociatePublicIpAddress = new(n.MapPublic)
	case "":
		return nil, errMissing("attribute")
	default:
		return nil, errValue(in.Attribute, "attribute", "Unknown attribute.")
	}
	return out, nil
}

// ResetNetworkInterfaceAttribute switches the source/destination check on again.
func (tx *Tx) ResetNetworkInterfaceAttribute(in *ResetNetworkInterfaceAttributeInput) (*ResetNetworkInterfaceAttributeOutput, error) {
	n, err := tx.ownInterface(in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	c := n.change()
	c.SourceDestCheck = true
	tx.NetworkInterfaces.Put(c.ID, c)
	return &ResetNetworkInterfaceAttributeOutput{}, nil
}
