package vpc

// DescribeInstanceAttributeInput and the other types below have the members of the EC2 API.
type DescribeInstanceAttributeInput struct {
	InstanceId InstanceID
	Attribute  string
	DryRun     bool
}

type DescribeInstanceAttributeOutput struct {
	BlockDeviceMappings               []BlockDeviceMapping   `json:"BlockDeviceMappings,omitempty"`
	DisableApiTermination             *AttributeBooleanValue `json:"DisableApiTermination,omitempty"`
	EnaSupport                        *AttributeBooleanValue `json:"EnaSupport,omitempty"`
	EbsOptimized                      *AttributeBooleanValue `json:"EbsOptimized,omitempty"`
	InstanceId                        InstanceID             `json:"InstanceId"`
	InstanceInitiatedShutdownBehavior *AttributeValue        `json:"InstanceInitiatedShutdownBehavior,omitempty"`
	InstanceType                      *AttributeValue        `json:"InstanceType,omitempty"`
	RootDeviceName                    *AttributeValue        `json:"RootDeviceName,omitempty"`
	SourceDestCheck                   *AttributeBooleanValue `json:"SourceDestCheck,omitempty"`
	UserData                          *AttributeValue        `json:"UserData,omitempty"` // base64
	DisableApiStop                    *AttributeBooleanValue `json:"DisableApiStop,omitempty"`
	Groups                            []GroupIdentifier      `json:"Groups,omitempty"`
}

// ModifyInstanceAttributeInput changes one attribute a call, named either by its
// own member or by Attribute and Value.
type ModifyInstanceAttributeInput struct {
	InstanceId                        InstanceID
	Attribute                         string
	Value                             string
	SourceDestCheck                   *AttributeBooleanValue
	DisableApiTermination             *AttributeBooleanValue
	DisableApiStop                    *AttributeBooleanValue
	InstanceType                      *AttributeValue
	UserData                          *BlobAttributeValue
	InstanceInitiatedShutdownBehavior *AttributeValue
	Groups                            []SecurityGroupID
	DryRun                            bool
}

// BlobAttributeValue wraps bytes; on the wire they are base64.
type BlobAttributeValue struct {
	Value []byte `json:"Value"`
}

type ModifyInstanceAttributeOutput struct{}
