package vpc

import (
	"cmp"
	"slices"
	"strings"
)

// DescribeImagesInput and the other types below have the members of the EC2 API.
type DescribeImagesInput struct {
	ImageIds        []string
	Owners          []string
	ExecutableUsers []string
	Filters         []Filter
	MaxResults      *int
	NextToken       string
	DryRun          bool
}

type DescribeImagesOutput struct {
	Images    []Image `json:"Images"`
	NextToken string  `json:"NextToken,omitempty"`
}

// Image is a root file system that instances start from.
type Image struct {
	PlatformDetails     string               `json:"PlatformDetails"`
	UsageOperation      string               `json:"UsageOperation"`
	BlockDeviceMappings []BlockDeviceMapping `json:"BlockDeviceMappings"`
	Description         string               `json:"Description"`
	EnaSupport          bool                 `json:"EnaSupport"`
	Hypervisor          string               `json:"Hypervisor"`
	ImageOwnerAlias     string               `json:"ImageOwnerAlias"`
	Name                string               `json:"Name"`
	RootDeviceName      string               `json:"RootDeviceName"`
	RootDeviceType      string               `json:"RootDeviceType"`
	Tags                []Tag                `json:"Tags,omitempty"`
	VirtualizationType  string               `json:"VirtualizationType"`
	ImageId             string               `json:"ImageId"`
	ImageLocation       string               `json:"ImageLocation"`
	State               string               `json:"State"`
	OwnerId             string               `json:"OwnerId"`
	CreationDate        string               `json:"CreationDate"`
	Public              bool                 `json:"Public"`
	Architecture        string               `json:"Architecture"`
	ImageType           string               `json:"ImageType"`
	ImdsSupport         string               `json:"ImdsSupport,omitempty"` // v2.0: instances take sessions alone (IM-03)
}

// ImageID is the image of instances that name none: the host's root file system, under an
// overlay of each instance's own.
const ImageID = "ami-0766563656d750001"

// RootDevice is what an instance's root is called; behind it is an overlay.
const RootDevice = "/dev/xvda"

// Architecture is that of types and images, as the API tells it, but for those of ArchitectureARM. What runs in an instance
// is the machine's own either way.
const (
	Architecture    = "x86_64"
	ArchitectureARM = "arm64"
)

// What an image of Linux is billed as.
const (
	platformDetails = "Linux/UNIX"
	usageOperation  = "RunInstances"
)

// imageOwner is the account that Amazon's own images belong to.
const imageOwner = "137112412989"

// LabImage gives an AMI ID a root file system (vpcemu's own). An ID that no LabImage has is
// one more name of the host's.
type LabImage struct {
	Name, Description string
	Rootfs            string // as an instance's
}

// wellKnownImages are what setups look for by owner and name; each is the host's root
// file system. The dates of creation are the lab's own, so that most_recent finds one.
var wellKnownImages = []struct{ id, owner, alias, name, description string }{
	{ImageID, imageOwner, "amazon", "vpcemu-host-x86_64", "The root file system of the machine that the lab runs on"},
	{"ami-0766563656d750002", imageOwner, "amazon", "al2023-ami-2023.9.20261101.0-kernel-6.1-x86_64", "Amazon Linux 2023 by name: the root file system of the machine that the lab runs on"},
	{"ami-0766563656d750003", imageOwner, "amazon", "amzn2-ami-hvm-2.0.20261101.0-x86_64-gp2", "Amazon Linux 2 by name: the root file system of the machine that the lab runs on"},
	{"ami-0766563656d750008", imageOwner, "amazon", "amzn2-ami-minimal-hvm-2.0.20261101.0-x86_64-ebs", "Amazon Linux 2, minimal, by name: the root file system of the machine that the lab runs on"},
	{"ami-0766563656d750004", "099720109477", "amazon", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20261101", "Ubuntu 24.04 by name: the root file system of the machine that the lab runs on"},
	{"ami-0766563656d750005", "099720109477", "amazon", "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20261101", "Ubuntu 22.04 by name: the root file system of the machine that the lab runs on"},
	{"ami-0766563656d750006", "136693071363", "amazon", "debian-12-amd64-20261101-2286", "Debian 12 by name: the root file system of the machine that the lab runs on"},
	{"ami-0766563656d750007", "136693071363", "amazon", "debian-13-amd64-20261101-2286", "Debian 13 by name: the root file system of the machine that the lab runs on"},
	{"ami-0766563656d750012", imageOwner, "amazon", "al2023-ami-2023.9.20261101.0-kernel-6.1-arm64", "Amazon Linux 2023 for ARM by name: the root file system of the machine that the lab runs on"},
	{"ami-0766563656d750013", imageOwner, "amazon", "amzn2-ami-hvm-2.0.20261101.0-arm64-gp2", "Amazon Linux 2 for ARM by name: the root file system of the machine that the lab runs on"},
	{"ami-0766563656d750018", imageOwner, "amazon", "amzn2-ami-minimal-hvm-2.0.20261101.0-arm64-ebs", "Amazon Linux 2 for ARM, minimal, by name: the root file system of the machine that the lab runs on"},
	{"ami-0766563656d750014", "099720109477", "amazon", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20261101", "Ubuntu 24.04 for ARM by name: the root file system of the machine that the lab runs on"},
	{"ami-0766563656d750015", "099720109477", "amazon", "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-arm64-server-20261101", "Ubuntu 22.04 for ARM by name: the root file system of the machine that the lab runs on"},
	{"ami-0766563656d750016", "136693071363", "amazon", "debian-12-arm64-20261101-2286", "Debian 12 for ARM by name: the root file system of the machine that the lab runs on"},
	{"ami-0766563656d750017", "136693071363", "amazon", "debian-13-arm64-20261101-2286", "Debian 13 for ARM by name: the root file system of the machine that the lab runs on"},
}

// wellKnown is the image of the catalogue as the API answers it. Those for ARM are the older ones: who asks for
// the latest of a name, and takes any type, gets one that fits.
func wellKnown(id string) (Image, bool) {
	for _, w := range wellKnownImages {
		if w.id != id {
			continue
		}
		i := imageOf(w.id, w.owner, w.alias, w.name, w.description, "2026-11-01T00:00:00.000Z")
		if strings.Contains(w.name, ArchitectureARM) {
			i.Architecture, i.CreationDate = ArchitectureARM, "2026-10-31T00:00:00.000Z"
		}
		if strings.HasPrefix(w.name, "al2023-") { // Amazon Linux 2023 User Guide, IMDSv2
			i.ImdsSupport = "v2.0"
		}
		return i, true
	}
	return Image{}, false
}

// runsOn refuses a type that is of another architecture than an image of the catalogue. The lab's own image
// and unknown IDs start as any type.
func (m *Model) runsOn(id, kind string) error {
	w, ok := wellKnown(id)
	has := TypeArchitecture(kind)
	if _, own := m.Images[id]; !ok || own || id == ImageID || w.Architecture == has {
		return nil
	}
	return errInvalid("The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI.", has, w.Architecture)
}

// imageOf is an image as the API answers it.
func imageOf(id, owner, alias, name, description, created string) Image {
	return Image{
		PlatformDetails: platformDetails, UsageOperation: usageOperation,
		BlockDeviceMappings: []BlockDeviceMapping{{DeviceName: RootDevice, Ebs: &EbsBlockDevice{DeleteOnTermination: new(true), VolumeSize: new(rootSize), VolumeType: "gp3",
			SnapshotId: "snap-" + strings.TrimPrefix(id, "ami-"), Encrypted: new(false)}}},
		Description: description, EnaSupport: true, Hypervisor: "xen", ImageOwnerAlias: alias,
		Name: name, RootDeviceName: RootDevice, RootDeviceType: "ebs", VirtualizationType: "hvm",
		ImageId: id, ImageLocation: alias + "/" + name, State: "available", OwnerId: owner,
		CreationDate: created, Public: true, Architecture: Architecture, ImageType: "machine",
	}
}

// images are those of the catalogue and the lab's own, by ID.
func (m *Model) images() []Image {
	var list []Image
	for _, w := range wellKnownImages {
		if i, _ := wellKnown(w.id); m.Images[w.id] == (LabImage{}) {
			list = append(list, i)
		}
	}
	for id := range m.Images {
		list = append(list, m.imageNamed(id))
	}
	slices.SortFunc(list, func(a, b Image) int { return strings.Compare(a.ImageId, b.ImageId) })
	return list
}

// imageNamed is the image with the ID, which is well-formed: there is one for each.
func (m *Model) imageNamed(id string) Image {
	if own, ok := m.Images[id]; ok {
		return imageOf(id, m.Account, "self", cmp.Or(own.Name, id), own.Description, "2026-11-01T00:00:00.000Z")
	}
	if i, ok := wellKnown(id); ok {
		return i
	}
	return imageOf(id, imageOwner, "amazon", "vpcemu-host-"+id, "The root file system of the machine that the lab runs on", "2026-01-01T00:00:00.000Z")
}

func onImage(answer func(*Image) string) func(*Model, *Image) []string {
	return func(_ *Model, i *Image) []string { return one(answer(i)) }
}

// onDisk answers by the image's one volume.
func onDisk(answer func(*EbsBlockDevice) []string) func(*Model, *Image) []string {
	return func(_ *Model, i *Image) []string { return answer(i.BlockDeviceMappings[0].Ebs) }
}

// imageFilters know every documented name; what the image lacks has no values.
var imageFilters = filterSet[Image]{
	"architecture":        onImage(func(i *Image) string { return i.Architecture }),
	"creation-date":       onImage(func(i *Image) string { return i.CreationDate }),
	"description":         onImage(func(i *Image) string { return i.Description }),
	"ena-support":         func(_ *Model, i *Image) []string { return boolText(i.EnaSupport) },
	"hypervisor":          onImage(func(i *Image) string { return i.Hypervisor }),
	"image-id":            onImage(func(i *Image) string { return i.ImageId }),
	"image-type":          onImage(func(i *Image) string { return i.ImageType }),
	"is-public":           func(_ *Model, i *Image) []string { return boolText(i.Public) },
	"manifest-location":   onImage(func(i *Image) string { return i.ImageLocation }),
	"name":                onImage(func(i *Image) string { return i.Name }),
	"owner-alias":         onImage(func(i *Image) string { return i.ImageOwnerAlias }),
	"owner-id":            onImage(func(i *Image) string { return i.OwnerId }),
	"root-device-name":    onImage(func(i *Image) string { return i.RootDeviceName }),
	"root-device-type":    onImage(func(i *Image) string { return i.RootDeviceType }),
	"state":               onImage(func(i *Image) string { return i.State }),
	"virtualization-type": onImage(func(i *Image) string { return i.VirtualizationType }),
	"block-device-mapping.delete-on-termination": onDisk(func(e *EbsBlockDevice) []string { return boolText(*e.DeleteOnTermination) }),
	"block-device-mapping.device-name":           onImage(func(i *Image) string { return i.RootDeviceName }),
	"block-device-mapping.encrypted":             onDisk(func(e *EbsBlockDevice) []string { return boolText(*e.Encrypted) }),
	"block-device-mapping.snapshot-id":           onDisk(func(e *EbsBlockDevice) []string { return one(e.SnapshotId) }),
	"block-device-mapping.volume-size":           onDisk(func(e *EbsBlockDevice) []string { return intText(*e.VolumeSize) }),
	"block-device-mapping.volume-type":           onDisk(func(e *EbsBlockDevice) []string { return one(e.VolumeType) }),
	"free-tier-eligible":                         func(*Model, *Image) []string { return boolText(true) },
	"image-allowed":                              func(*Model, *Image) []string { return boolText(true) },
	"source-image-id":                            unknownHere[Image],
	"source-image-region":                        unknownHere[Image],
	"source-instance-id":                         unknownHere[Image],
	"sriov-net-support":                          unknownHere[Image],
	"state-reason-code":                          unknownHere[Image],
	"state-reason-message":                       unknownHere[Image],
	"platform":                                   unknownHere[Image],
	"product-code":                               unknownHere[Image],
	"product-code.type":                          unknownHere[Image],
	"kernel-id":                                  unknownHere[Image],
	"ramdisk-id":                                 unknownHere[Image],
}

// DescribeImages lists the images of the catalogue and the lab's own. Every well-formed ID is an
// image: a setup that was made for another Region or account runs here, too.
func (tx *Tx) DescribeImages(in *DescribeImagesInput) (*DescribeImagesOutput, error) {
	if err := imageFilters.check(in.Filters); err != nil {
		return nil, err
	}
	if len(in.ImageIds) > 0 && in.MaxResults != nil {
		return nil, errorf("InvalidParameterCombination", "The parameter imageIds cannot be used with the parameter maxResults")
	}
	list := tx.images()
	if len(in.ImageIds) > 0 || namesImages(in.Filters) {
		list = nil
		for _, id := range append(slices.Clone(in.ImageIds), imagesNamed(in.Filters)...) {
			if err := checkImage(id); err != nil {
				return nil, err
			}
			list = append(list, tx.imageNamed(id))
		}
	}
	list = slices.DeleteFunc(list, func(i Image) bool {
		return !owned(&i, tx.Account, in.Owners) || !imageFilters.match(&tx.Model, in.Filters, &i)
	})
	list, next, err := page(list, paging{in.MaxResults, in.NextToken, 1, 1000}, func(i Image) string { return i.ImageId })
	if list == nil {
		list = []Image{}
	}
	return &DescribeImagesOutput{list, next}, err
}

// namesImages tells whether a filter names images by their whole IDs.
func namesImages(filters []Filter) bool { return len(imagesNamed(filters)) > 0 }

func imagesNamed(filters []Filter) (ids []string) {
	for _, f := range filters {
		if f.Name == "image-id" {
			for _, v := range f.Values {
				if WellFormed("ami-", v) {
					ids = append(ids, v)
				}
			}
		}
	}
	return ids
}

// owned tells whether an image belongs to one of owners: account IDs, self, amazon.
func owned(i *Image, account string, owners []string) bool {
	return len(owners) == 0 || slices.Contains(owners, i.OwnerId) || slices.Contains(owners, i.ImageOwnerAlias) || i.OwnerId == account && slices.Contains(owners, "self")
}

// checkImage accepts every well-formed ID.
func checkImage(id string) error {
	if !WellFormed("ami-", id) {
		return errorf("InvalidAMIID.Malformed", "Invalid id: %q (expecting \"ami-...\")", id)
	}
	return nil
}
