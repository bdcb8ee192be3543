package vpc

import "slices"

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
}

// ImageID is the lab's one image: every instance starts from the host's root file
// system, under an overlay of its own.
const ImageID = "ami-0766563656d750001"

// RootDevice is what an instance's root is called; behind it is an overlay.
const RootDevice = "/dev/xvda"

// Architecture is that of all instances, as the API tells it.
const Architecture = "x86_64"

// imageOwner is the account that Amazon's own images belong to.
const imageOwner = "137112412989"

func labImage() Image {
	return Image{
		PlatformDetails: "Linux/UNIX", UsageOperation: "RunInstances", BlockDeviceMappings: []BlockDeviceMapping{},
		Description: "The root file system of the machine that the lab runs on", EnaSupport: true, Hypervisor: "xen", ImageOwnerAlias: "amazon",
		Name: "vpcemu-host-x86_64", RootDeviceName: RootDevice, RootDeviceType: "ebs", VirtualizationType: "hvm",
		ImageId: ImageID, ImageLocation: "amazon/vpcemu-host-x86_64", State: "available", OwnerId: imageOwner,
		CreationDate: "2026-01-01T00:00:00.000Z", Public: true, Architecture: Architecture, ImageType: "machine",
	}
}

func onImage(answer func(*Image) string) func(*Model, *Image) []string {
	return func(_ *Model, i *Image) []string { return one(answer(i)) }
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
	"platform":            unknownHere[Image],
	"product-code":        unknownHere[Image],
	"product-code.type":   unknownHere[Image],
	"kernel-id":           unknownHere[Image],
	"ramdisk-id":          unknownHere[Image],
}

// DescribeImages tells the lab's one image.
func (tx *Tx) DescribeImages(in *DescribeImagesInput) (*DescribeImagesOutput, error) {
	if err := imageFilters.check(in.Filters); err != nil {
		return nil, err
	}
	for _, id := range in.ImageIds {
		if err := checkImage(id); err != nil {
			return nil, err
		}
	}
	image := labImage()
	out := &DescribeImagesOutput{Images: []Image{}}
	owned := len(in.Owners) == 0 || slices.Contains(in.Owners, "amazon") || slices.Contains(in.Owners, imageOwner)
	if owned && imageFilters.match(&tx.Model, in.Filters, &image) {
		out.Images = append(out.Images, image)
	}
	return out, nil
}

// checkImage accepts the lab's image.
func checkImage(id string) error {
	switch {
	case id == ImageID:
		return nil
	case !WellFormed("ami-", id):
		return errorf("InvalidAMIID.Malformed", "Invalid id: %q (expecting \"ami-...\")", id)
	}
	return errorf("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
}
