package vpc

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
