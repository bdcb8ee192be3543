package vpc

import (
	"encoding/base64"
	"slices"
	"strconv"
)

// DescribeInstanceAttributeInput and the other types below have the members of the EC2 API.
type DescribeInstanceAttributeInput struct {
	InstanceId InstanceID
	Attribute  string
	DryRun     bool
}

type DescribeInstanceAttributeOutput struct {
	BlockDeviceMappings               []InstanceBlockDeviceMapping `json:"BlockDeviceMappings,omitempty"`
	DisableApiTermination             *AttributeBooleanValue       `json:"DisableApiTermination,omitempty"`
	EnaSupport                        *AttributeBooleanValue       `json:"EnaSupport,omitempty"`
	EbsOptimized                      *AttributeBooleanValue       `json:"EbsOptimized,omitempty"`
	InstanceId                        InstanceID                   `json:"InstanceId"`
	InstanceInitiatedShutdownBehavior *AttributeValue              `json:"InstanceInitiatedShutdownBehavior,omitempty"`
	InstanceType                      *AttributeValue              `json:"InstanceType,omitempty"`
	RootDeviceName                    *AttributeValue              `json:"RootDeviceName,omitempty"`
	SourceDestCheck                   *AttributeBooleanValue       `json:"SourceDestCheck,omitempty"`
	UserData                          *OptionalAttributeValue      `json:"UserData,omitempty"` // base64
	DisableApiStop                    *AttributeBooleanValue       `json:"DisableApiStop,omitempty"`
	Groups                            []GroupIdentifier            `json:"Groups,omitempty"`
}

// ModifyInstanceAttributeInput changes one attribute a call, named either by its
// own member or by Attribute and Value.
type ModifyInstanceAttributeInput struct {
	InstanceId                        InstanceID
	Attribute                         string
	Value                             string
	SourceDestCheck                   AttributeBooleanValue
	EbsOptimized                      AttributeBooleanValue
	DisableApiTermination             AttributeBooleanValue
	DisableApiStop                    AttributeBooleanValue
	InstanceType                      *AttributeValue
	UserData                          *BlobAttributeValue
	InstanceInitiatedShutdownBehavior *AttributeValue
	Groups                            []SecurityGroupID
	BlockDeviceMappings               []InstanceBlockDeviceMappingSpecification
	Limits                            *LimitsSpecification // vpcemu's own
	DryRun                            bool
}

// InstanceBlockDeviceMappingSpecification names a volume by its device, or by its ID.
type InstanceBlockDeviceMappingSpecification struct {
	DeviceName string
	Ebs        *EbsInstanceBlockDeviceSpecification
}

type EbsInstanceBlockDeviceSpecification struct {
	DeleteOnTermination *bool
	VolumeId            VolumeID
}

// BlobAttributeValue wraps bytes; on the wire they are base64.
type BlobAttributeValue struct {
	Value []byte `json:"Value"`
}

type ModifyInstanceAttributeOutput struct{}

// DescribeInstanceAttribute tells one attribute.
func (tx *Tx) DescribeInstanceAttribute(in *DescribeInstanceAttributeInput) (*DescribeInstanceAttributeOutput, error) {
	i, err := tx.liveInstance(in.InstanceId)
	if err != nil {
		return nil, err
	}
	out := &DescribeInstanceAttributeOutput{InstanceId: i.ID}
	info := tx.instanceInfo(i)
	switch in.Attribute {
	case "instanceType":
		out.InstanceType = &AttributeValue{i.InstanceType}
	case "userData":
		out.UserData = &OptionalAttributeValue{base64.StdEncoding.EncodeToString([]byte(i.UserData))}
	case "disableApiTermination":
		out.DisableApiTermination = &AttributeBooleanValue{new(i.DisableApiTermination)}
	case "disableApiStop":
		out.DisableApiStop = &AttributeBooleanValue{new(i.DisableApiStop)}
	case "instanceInitiatedShutdownBehavior":
		out.InstanceInitiatedShutdownBehavior = &AttributeValue{i.InstanceInitiatedShutdownBehavior}
	case "rootDeviceName":
		out.RootDeviceName = &AttributeValue{info.RootDeviceName}
	case "blockDeviceMapping":
		out.BlockDeviceMappings = info.BlockDeviceMappings
	case "groupSet":
		out.Groups = info.SecurityGroups
	case "sourceDestCheck":
		out.SourceDestCheck = &AttributeBooleanValue{info.SourceDestCheck}
	case "enaSupport":
		out.EnaSupport = &AttributeBooleanValue{new(info.EnaSupport)}
	case "ebsOptimized":
		out.EbsOptimized = &AttributeBooleanValue{new(info.EbsOptimized)}
	case "kernel", "ramdisk", "productCodes", "sriovNetSupport", "enclaveOptions": // a lab's instances have none
	case "":
		return nil, errMissing("attribute")
	default:
		return nil, errValue(in.Attribute, "attribute", "Unknown attribute.")
	}
	return out, nil
}

// liveInstance finds an instance that is not terminated.
func (m *Model) liveInstance(id InstanceID) (*Instance, error) {
	i, err := find(&m.Instances, id)
	if err != nil {
		return nil, err
	}
	if i.State == StateTerminated {
		return nil, errorf("IncorrectInstanceState", "The instance '%s' is terminated.", id)
	}
	return i, nil
}

// ModifyInstanceAttribute changes one attribute. Type, user data and EBS optimization can be
// changed only while the instance is stopped (IN-04); the source/destination
// check and the groups are those of its only interface. Limits count at once.
func (tx *Tx) ModifyInstanceAttribute(in *ModifyInstanceAttributeInput) (*ModifyInstanceAttributeOutput, error) {
	i, err := tx.liveInstance(in.InstanceId)
	if err != nil {
		return nil, err
	}
	r, err := in.named()
	if err != nil {
		return nil, err
	}
	if err := oneGiven(r.SourceDestCheck.Value != nil, r.EbsOptimized.Value != nil, r.DisableApiTermination.Value != nil, r.DisableApiStop.Value != nil, r.InstanceType != nil,
		r.UserData != nil, r.InstanceInitiatedShutdownBehavior != nil, r.Groups != nil, r.BlockDeviceMappings != nil, r.Limits != nil); err != nil {
		return nil, err
	}
	if r.SourceDestCheck.Value != nil || r.Groups != nil {
		n, err := tx.onlyInterface(i.ID)
		if err != nil {
			return nil, err
		}
		_, err = tx.ModifyNetworkInterfaceAttribute(&ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: n, SourceDestCheck: r.SourceDestCheck, Groups: r.Groups})
		return &ModifyInstanceAttributeOutput{}, err
	}
	if r.BlockDeviceMappings != nil {
		return &ModifyInstanceAttributeOutput{}, tx.modifyVolumes(i, r.BlockDeviceMappings)
	}
	c := *i
	if err := tx.modifyInstance(&c, &r); err != nil {
		return nil, err
	}
	tx.Instances.Put(c.ID, &c)
	return &ModifyInstanceAttributeOutput{}, nil
}

// modifyVolumes sets whether volumes of the instance go with it.
func (tx *Tx) modifyVolumes(i *Instance, mappings []InstanceBlockDeviceMappingSpecification) error {
	volumes := tx.volumesOf(i.ID)
	for _, m := range mappings {
		device := m.DeviceName
		if device == "/dev/sda1" {
			device = RootDevice
		}
		at := slices.IndexFunc(volumes, func(v *Volume) bool {
			return v.Device == device || m.Ebs != nil && device == "" && v.ID == m.Ebs.VolumeId
		})
		switch {
		case at < 0 && m.DeviceName == "" && (m.Ebs == nil || m.Ebs.VolumeId == ""):
			return errMissing("deviceName")
		case at < 0:
			return errorf("InvalidInstanceAttributeValue", "No device is currently mapped at %s", m.DeviceName)
		case m.Ebs == nil || m.Ebs.DeleteOnTermination == nil:
			return errMissing("ebs.deleteOnTermination")
		case m.Ebs.VolumeId != "" && m.Ebs.VolumeId != volumes[at].ID:
			return errInvalid("The volume %s is not attached to %s as %s", m.Ebs.VolumeId, i.ID, m.DeviceName)
		}
		v := *volumes[at]
		v.DeleteOnTermination = *m.Ebs.DeleteOnTermination
		tx.Volumes.Put(v.ID, &v)
	}
	return nil
}

// modifyInstance sets the one attribute of the instance itself that is given.
func (tx *Tx) modifyInstance(i *Instance, r *ModifyInstanceAttributeInput) (err error) {
	if (r.InstanceType != nil || r.UserData != nil || r.EbsOptimized.Value != nil) && i.State != StateStopped {
		return errorf("IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", i.ID)
	}
	switch {
	case r.DisableApiTermination.Value != nil:
		i.DisableApiTermination = *r.DisableApiTermination.Value
	case r.EbsOptimized.Value != nil:
		i.Options.EbsOptimized = *r.EbsOptimized.Value
	case r.DisableApiStop.Value != nil:
		i.DisableApiStop = *r.DisableApiStop.Value
	case r.InstanceInitiatedShutdownBehavior != nil:
		i.InstanceInitiatedShutdownBehavior, err = shutdownBehavior(r.InstanceInitiatedShutdownBehavior.Value)
	case r.UserData != nil:
		i.UserData, err = string(r.UserData.Value), checkUserData(r.UserData.Value)
	case r.Limits != nil:
		i.Limits, err = r.Limits.limits()
	case r.InstanceType != nil:
		i.InstanceType = r.InstanceType.Value
		err = tx.fits(i)
	}
	return err
}

// fits tells whether the instance's interfaces are within its type's limits (EN-05).
func (m *Model) fits(i *Instance) error {
	t, ok := instanceTypes[i.InstanceType]
	if !ok {
		return errNoType(i.InstanceType)
	}
	nics := m.InstanceInterfaces(i.ID)
	if len(nics) > t.interfaces {
		return errorf("AttachmentLimitExceeded", "Interface count %d exceeds the limit for %s", len(nics), i.InstanceType)
	}
	for _, n := range nics {
		if err := t.takes(i.InstanceType, len(n.PrivateIps)); err != nil {
			return err
		}
	}
	return nil
}

// named turns the form with Attribute and Value into the one with a member for
// each attribute.
func (in *ModifyInstanceAttributeInput) named() (ModifyInstanceAttributeInput, error) {
	r := *in
	if in.Attribute == "" {
		return r, nil
	}
	var err error
	flag := func(v *AttributeBooleanValue) {
		var b bool
		if b, err = strconv.ParseBool(in.Value); err != nil {
			err = errValue(in.Value, "value", "It is true or false.")
		}
		v.Value = &b
	}
	switch in.Attribute {
	case "instanceType":
		r.InstanceType = &AttributeValue{in.Value}
	case "userData":
		var b []byte
		if b, err = base64.StdEncoding.DecodeString(in.Value); err != nil {
			err = errorf("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data")
		}
		r.UserData = &BlobAttributeValue{b}
	case "disableApiTermination":
		flag(&r.DisableApiTermination)
	case "disableApiStop":
		flag(&r.DisableApiStop)
	case "sourceDestCheck":
		flag(&r.SourceDestCheck)
	case "ebsOptimized":
		flag(&r.EbsOptimized)
	case "instanceInitiatedShutdownBehavior":
		r.InstanceInitiatedShutdownBehavior = &AttributeValue{in.Value}
	default:
		err = errValue(in.Attribute, "attribute", "It cannot be modified.")
	}
	return r, err
}
