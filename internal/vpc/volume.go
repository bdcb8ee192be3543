package vpc

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// VolumeID is vol- and 17 digits.
type VolumeID string

// Volume is what the API tells of an instance's disk. A lab's instance has one file system, an
// overlay that takes what it needs: sizes and types are kept, as clients read them back, and
// mean nothing; there is no device behind a further volume.
type Volume struct {
	Meta
	ID                  VolumeID
	AvailabilityZone    string
	Size                int    // GiB
	VolumeType          string // gp3
	Iops, Throughput    int
	Encrypted           bool
	InstanceID          InstanceID // "" while it is available
	Device              string
	AttachTime          time.Time
	DeleteOnTermination bool
	// Modification is the last one, which ended at once.
	Modification *VolumeModification `json:",omitempty"`
}

// AsImage tells whether the volume is as an image's root volume.
func (v *Volume) AsImage() bool {
	t := volumeTypes["gp3"]
	return v.Size == rootSize && v.VolumeType == "gp3" && v.Iops == t.iops && v.Throughput == t.throughput && !v.Encrypted && v.DeleteOnTermination
}

// InstanceBlockDeviceMapping and the types below have the members of the EC2 API.
type InstanceBlockDeviceMapping struct {
	DeviceName string                 `json:"DeviceName"`
	Ebs        EbsInstanceBlockDevice `json:"Ebs"`
}

type EbsInstanceBlockDevice struct {
	AttachTime          time.Time `json:"AttachTime"`
	DeleteOnTermination bool      `json:"DeleteOnTermination"`
	Status              string    `json:"Status"`
	VolumeId            VolumeID  `json:"VolumeId"`
}

// BlockDeviceMapping describes a volume of an image, or to be made.
type BlockDeviceMapping struct {
	DeviceName  string          `json:"DeviceName"`
	Ebs         *EbsBlockDevice `json:"Ebs,omitempty"`
	NoDevice    *string         `json:"NoDevice,omitempty"` // whatever its value, which is "" as a rule
	VirtualName string          `json:"VirtualName,omitempty"`
}

type EbsBlockDevice struct {
	DeleteOnTermination *bool  `json:"DeleteOnTermination,omitempty"`
	Iops                *int   `json:"Iops,omitempty"`
	SnapshotId          string `json:"SnapshotId,omitempty"`
	VolumeSize          *int   `json:"VolumeSize,omitempty"`
	VolumeType          string `json:"VolumeType,omitempty"`
	Throughput          *int   `json:"Throughput,omitempty"`
	Encrypted           *bool  `json:"Encrypted,omitempty"`
	KmsKeyId            string `json:"KmsKeyId,omitempty"`
}

// rootSize is that of the images' root volumes, in GiB.
const rootSize = 8

// volumeTypes are the types, with the IOPS and the throughput in MiB/s that one has unless told
// otherwise, and whether either may and IOPS must be told (EBS User Guide, Amazon EBS volume types).
var volumeTypes = map[string]struct {
	iops, throughput   int
	choice, own, named bool
}{
	"gp3": {3000, 125, true, true, false}, "gp2": {iops: 100}, "io1": {iops: 100, choice: true, named: true}, "io2": {iops: 100, choice: true, named: true},
	"st1": {}, "sc1": {}, "standard": {},
}

// volumesWanted are the volumes of an instance as a launch asks for: the root's, and those named.
func volumesWanted(mappings []BlockDeviceMapping) ([]Volume, error) {
	seen := map[string]bool{}
	list := []Volume{{Device: RootDevice, Size: rootSize, VolumeType: "gp3", DeleteOnTermination: true}}
	for _, m := range mappings {
		if m.DeviceName == "" {
			return nil, errMissing("deviceName")
		}
		if m.NoDevice != nil || m.VirtualName != "" { // an ephemeral device, or none
			continue
		}
		if m.Ebs == nil {
			return nil, errMissing("ebs")
		}
		device := m.DeviceName
		if device == "/dev/sda1" { // what most images call it
			device = RootDevice
		}
		i := slices.IndexFunc(list, func(v Volume) bool { return v.Device == device })
		if seen[device] {
			return nil, errorf("InvalidBlockDeviceMapping", "The device '%s' is used in more than one block-device mapping", m.DeviceName)
		}
		seen[device] = true
		if i < 0 && m.Ebs.VolumeSize == nil && m.Ebs.SnapshotId == "" {
			return nil, errMissing("size or snapshotId")
		}
		if i < 0 {
			list = append(list, Volume{Device: device, Size: rootSize, VolumeType: "gp3", DeleteOnTermination: true})
			i = len(list) - 1
		}
		if err := list[i].apply(m.Ebs); err != nil {
			return nil, err
		}
		if v := list[i]; volumeTypes[v.VolumeType].named && m.Ebs.Iops == nil {
			return nil, errorf("MissingParameter", "The parameter iops must be specified for %s volumes.", v.VolumeType)
		}
	}
	for i := range list {
		list[i].complete()
	}
	return list, nil
}

func (v *Volume) apply(e *EbsBlockDevice) error {
	if e.VolumeSize != nil {
		if v.Size = *e.VolumeSize; v.Size < 1 || v.Size > 65536 {
			return errValue(v.Size, "volumeSize", "It must be between 1 and 65536 GiB.")
		}
	}
	if e.VolumeType != "" {
		if _, ok := volumeTypes[e.VolumeType]; !ok {
			return errValue(e.VolumeType, "volumeType", "")
		}
		v.VolumeType = e.VolumeType
	}
	t := volumeTypes[v.VolumeType]
	for _, own := range []struct {
		name  string
		value *int
		ok    bool
	}{{"iops", e.Iops, t.choice}, {"throughput", e.Throughput, t.own}} {
		switch {
		case own.value == nil:
		case *own.value < 1:
			return errValue(*own.value, own.name, "It must be at least 1.")
		case !own.ok:
			return errorf("InvalidParameterCombination", "The parameter %s is not supported for %s volumes.", own.name, v.VolumeType)
		}
	}
	v.Iops, v.Throughput = valueOr(e.Iops, v.Iops), valueOr(e.Throughput, v.Throughput)
	v.DeleteOnTermination, v.Encrypted = valueOr(e.DeleteOnTermination, v.DeleteOnTermination), valueOr(e.Encrypted, v.Encrypted)
	return nil
}

// complete sets what the type decides.
func (v *Volume) complete() {
	t := volumeTypes[v.VolumeType]
	v.Iops, v.Throughput = cmp.Or(v.Iops, t.iops), cmp.Or(v.Throughput, t.throughput)
	if v.VolumeType == "gp2" {
		v.Iops = min(max(100, 3*v.Size), 16000)
	}
}

func valueOr[T any](p *T, other T) T {
	if p == nil {
		return other
	}
	return *p
}

// makeVolumes makes the volumes of an instance that is launched.
func (tx *Tx) makeVolumes(i *Instance, l *launch) {
	for _, v := range l.volumes {
		v.Meta = i.Meta
		v.Tags = l.volumeTags
		v.ID, v.InstanceID, v.AvailabilityZone, v.AttachTime = newID[VolumeID](tx), i.ID, tx.instanceZone(i), tx.Call.Now
		tx.Volumes.Put(v.ID, &v)
	}
}

// volumesOf are the volumes of an instance, the root's first.
func (m *Model) volumesOf(id InstanceID) []*Volume {
	var list []*Volume
	if m.held != nil {
		list = slices.Clone(m.held.volumes[id])
	} else {
		for _, v := range m.Volumes.each() {
			if v.InstanceID == id {
				list = append(list, v)
			}
		}
	}
	slices.SortFunc(list, func(a, b *Volume) int {
		if a.Device == RootDevice || b.Device == RootDevice {
			return cmp.Compare(b2i(b.Device == RootDevice), b2i(a.Device == RootDevice))
		}
		return cmp.Or(strings.Compare(a.Device, b.Device), strings.Compare(string(a.ID), string(b.ID)))
	})
	return list
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// freeVolumes is for an instance that is terminated.
func (tx *Tx) freeVolumes(id InstanceID) {
	for _, v := range tx.volumesOf(id) {
		if v.DeleteOnTermination {
			tx.Volumes.Delete(v.ID)
			continue
		}
		c := *v
		c.InstanceID, c.Device, c.AttachTime, c.DeleteOnTermination = "", "", time.Time{}, false
		tx.Volumes.Put(c.ID, &c)
	}
}

func mappingsOf(volumes []*Volume) []InstanceBlockDeviceMapping {
	return views(volumes, func(v *Volume) InstanceBlockDeviceMapping {
		return InstanceBlockDeviceMapping{v.Device, EbsInstanceBlockDevice{v.AttachTime, v.DeleteOnTermination, "attached", v.ID}}
	})
}

type DescribeVolumesInput struct {
	VolumeIds  []VolumeID
	Filters    []Filter
	MaxResults *int
	NextToken  string
	DryRun     bool
}

type DescribeVolumesOutput struct {
	Volumes   []VolumeInfo `json:"Volumes"`
	NextToken string       `json:"NextToken,omitempty"`
}

type VolumeInfo struct {
	Attachments        []VolumeAttachment `json:"Attachments"`
	AvailabilityZone   string             `json:"AvailabilityZone"`
	AvailabilityZoneId string             `json:"AvailabilityZoneId"`
	CreateTime         time.Time          `json:"CreateTime"`
	Encrypted          bool               `json:"Encrypted"`
	Iops               int                `json:"Iops,omitempty"`
	MultiAttachEnabled bool               `json:"MultiAttachEnabled"`
	Size               int                `json:"Size"`
	SnapshotId         string             `json:"SnapshotId"`
	State              string             `json:"State"`
	Tags               []Tag              `json:"Tags"`
	Throughput         int                `json:"Throughput,omitempty"`
	VolumeId           VolumeID           `json:"VolumeId"`
	VolumeType         string             `json:"VolumeType"`
}

type VolumeAttachment struct {
	AttachTime          time.Time  `json:"AttachTime"`
	DeleteOnTermination bool       `json:"DeleteOnTermination"`
	Device              string     `json:"Device"`
	InstanceId          InstanceID `json:"InstanceId"`
	State               string     `json:"State"`
	VolumeId            VolumeID   `json:"VolumeId"`
}

func (v *Volume) state() string {
	if v.InstanceID == "" {
		return "available"
	}
	return "in-use"
}

func (m *Model) volumeInfo(v *Volume) VolumeInfo {
	info := VolumeInfo{Attachments: []VolumeAttachment{}, AvailabilityZone: v.AvailabilityZone, AvailabilityZoneId: m.ZoneID(v.AvailabilityZone), CreateTime: v.Created,
		Encrypted: v.Encrypted, Iops: v.Iops, Size: v.Size, State: v.state(), Tags: tagList(v.Tags), Throughput: v.Throughput, VolumeId: v.ID, VolumeType: v.VolumeType}
	if v.InstanceID != "" {
		info.Attachments = append(info.Attachments, VolumeAttachment{v.AttachTime, v.DeleteOnTermination, v.Device, v.InstanceID, "attached", v.ID})
	}
	return info
}

// onVolumeAttachment answers a filter about a volume's attachment.
func onVolumeAttachment(answer func(v *Volume) string) func(*Model, *Volume) []string {
	return func(_ *Model, v *Volume) []string {
		if v.InstanceID == "" {
			return nil
		}
		return []string{answer(v)}
	}
}

var volumeFilters = filterSet[Volume]{
	"attachment.attach-time":           onVolumeAttachment(func(v *Volume) string { return v.AttachTime.Format(time.RFC3339) }),
	"attachment.delete-on-termination": onVolumeAttachment(func(v *Volume) string { return boolText(v.DeleteOnTermination)[0] }),
	"attachment.device":                onVolumeAttachment(func(v *Volume) string { return v.Device }),
	"attachment.instance-id":           onVolumeAttachment(func(v *Volume) string { return string(v.InstanceID) }),
	"attachment.status":                onVolumeAttachment(func(*Volume) string { return "attached" }),
	"availability-zone":                func(_ *Model, v *Volume) []string { return one(v.AvailabilityZone) },
	"availability-zone-id":             func(m *Model, v *Volume) []string { return one(m.ZoneID(v.AvailabilityZone)) },
	"create-time":                      func(_ *Model, v *Volume) []string { return one(v.Created.Format(time.RFC3339)) },
	"encrypted":                        func(_ *Model, v *Volume) []string { return boolText(v.Encrypted) },
	"fast-restored":                    func(*Model, *Volume) []string { return boolText(false) },
	"multi-attach-enabled":             func(*Model, *Volume) []string { return boolText(false) },
	"operator.managed":                 func(*Model, *Volume) []string { return boolText(false) },
	"operator.principal":               unknownHere[Volume],
	"size":                             func(_ *Model, v *Volume) []string { return intText(v.Size) },
	"snapshot-id":                      unknownHere[Volume],
	"status":                           func(_ *Model, v *Volume) []string { return one(v.state()) },
	"volume-id":                        func(_ *Model, v *Volume) []string { return one(v.ID) },
	"volume-type":                      func(_ *Model, v *Volume) []string { return one(v.VolumeType) },
}

// DescribeVolumes lists the volumes of instances, and those that instances left.
func (tx *Tx) DescribeVolumes(in *DescribeVolumesInput) (*DescribeVolumesOutput, error) {
	found, next, err := describe(tx, &tx.Volumes, in.VolumeIds, volumeFilters, in.Filters, paging{in.MaxResults, in.NextToken, 5, 1000})
	if err != nil {
		return nil, err
	}
	return &DescribeVolumesOutput{views(found, tx.volumeInfo), next}, nil
}

type DeleteVolumeInput struct {
	VolumeId VolumeID
	DryRun   bool
}

type DeleteVolumeOutput struct{}

// DeleteVolume deletes a volume that an instance left.
func (tx *Tx) DeleteVolume(in *DeleteVolumeInput) (*DeleteVolumeOutput, error) {
	v, err := find(&tx.Volumes, in.VolumeId)
	if err != nil {
		return nil, err
	}
	if v.InstanceID != "" {
		return nil, errorf("VolumeInUse", "Volume %s is currently attached to %s", v.ID, v.InstanceID)
	}
	tx.Volumes.Delete(v.ID)
	return &DeleteVolumeOutput{}, nil
}

type ModifyVolumeInput struct {
	VolumeId   VolumeID
	Size       *int
	VolumeType string
	Iops       *int
	Throughput *int
	DryRun     bool
}

type ModifyVolumeOutput struct {
	VolumeModification VolumeModification `json:"VolumeModification"`
}

type VolumeModification struct {
	VolumeId           VolumeID  `json:"VolumeId"`
	ModificationState  string    `json:"ModificationState"`
	TargetSize         int       `json:"TargetSize"`
	TargetIops         int       `json:"TargetIops"`
	TargetVolumeType   string    `json:"TargetVolumeType"`
	TargetThroughput   int       `json:"TargetThroughput"`
	OriginalSize       int       `json:"OriginalSize"`
	OriginalIops       int       `json:"OriginalIops"`
	OriginalVolumeType string    `json:"OriginalVolumeType"`
	OriginalThroughput int       `json:"OriginalThroughput"`
	Progress           int       `json:"Progress"`
	StartTime          time.Time `json:"StartTime"`
	EndTime            time.Time `json:"EndTime"`
}

// ModifyVolume changes what is kept of a volume, at once. A volume does not shrink.
func (tx *Tx) ModifyVolume(in *ModifyVolumeInput) (*ModifyVolumeOutput, error) {
	v, err := find(&tx.Volumes, in.VolumeId)
	if err != nil {
		return nil, err
	}
	if in.Size != nil && *in.Size < v.Size {
		return nil, errInvalid("New size cannot be smaller than existing size")
	}
	c := *v
	if in.VolumeType != "" && in.VolumeType != v.VolumeType {
		c.Iops, c.Throughput = 0, 0
	}
	if err := c.apply(&EbsBlockDevice{VolumeSize: in.Size, VolumeType: in.VolumeType, Iops: in.Iops, Throughput: in.Throughput}); err != nil {
		return nil, err
	}
	c.complete()
	c.Modification = &VolumeModification{VolumeId: v.ID, ModificationState: "completed", TargetSize: c.Size, TargetIops: c.Iops, TargetVolumeType: c.VolumeType, TargetThroughput: c.Throughput,
		OriginalSize: v.Size, OriginalIops: v.Iops, OriginalVolumeType: v.VolumeType, OriginalThroughput: v.Throughput, Progress: 100, StartTime: tx.Call.Now, EndTime: tx.Call.Now}
	tx.Volumes.Put(c.ID, &c)
	return &ModifyVolumeOutput{*c.Modification}, nil
}

type DescribeVolumesModificationsInput struct {
	VolumeIds  []VolumeID
	Filters    []Filter
	MaxResults *int
	NextToken  string
	DryRun     bool
}

type DescribeVolumesModificationsOutput struct {
	VolumesModifications []VolumeModification `json:"VolumesModifications"`
	NextToken            string               `json:"NextToken,omitempty"`
}

// onModification answers a filter about a volume's last modification.
func onModification(answer func(*VolumeModification) string) func(*Model, *Volume) []string {
	return func(_ *Model, v *Volume) []string {
		if v.Modification == nil {
			return nil
		}
		return []string{answer(v.Modification)}
	}
}

var modificationFilters = filterSet[Volume]{
	"volume-id":            func(_ *Model, v *Volume) []string { return one(v.ID) },
	"modification-state":   onModification(func(m *VolumeModification) string { return m.ModificationState }),
	"original-iops":        onModification(func(m *VolumeModification) string { return intText(m.OriginalIops)[0] }),
	"original-size":        onModification(func(m *VolumeModification) string { return intText(m.OriginalSize)[0] }),
	"original-volume-type": onModification(func(m *VolumeModification) string { return m.OriginalVolumeType }),
	"target-iops":          onModification(func(m *VolumeModification) string { return intText(m.TargetIops)[0] }),
	"target-size":          onModification(func(m *VolumeModification) string { return intText(m.TargetSize)[0] }),
	"target-volume-type":   onModification(func(m *VolumeModification) string { return m.TargetVolumeType }),
	"start-time":           onModification(func(m *VolumeModification) string { return m.StartTime.Format(time.RFC3339) }),
}

// DescribeVolumesModifications lists the last modification of each volume that had one.
func (tx *Tx) DescribeVolumesModifications(in *DescribeVolumesModificationsInput) (*DescribeVolumesModificationsOutput, error) {
	found, next, err := describe(tx, &tx.Volumes, in.VolumeIds, modificationFilters, in.Filters, paging{in.MaxResults, in.NextToken, 1, 500})
	if err != nil {
		return nil, err
	}
	out := &DescribeVolumesModificationsOutput{VolumesModifications: []VolumeModification{}, NextToken: next}
	for _, v := range found {
		if v.Modification != nil {
			out.VolumesModifications = append(out.VolumesModifications, *v.Modification)
		} else if len(in.VolumeIds) > 0 {
			return nil, errorf("InvalidVolumeModification.NotFound", "Modification for volume '%s' does not exist.", v.ID)
		}
	}
	return out, nil
}
