package vpc

// DescribeInstanceTypesInput and the other types below have the members of the EC2 API.
type DescribeInstanceTypesInput struct {
	InstanceTypes []string
	Filters       []Filter
	MaxResults    *int
	NextToken     string
	DryRun        bool
}

type DescribeInstanceTypesOutput struct {
	InstanceTypes []InstanceTypeInfo `json:"InstanceTypes"`
	NextToken     string             `json:"NextToken,omitempty"`
}

// InstanceTypeInfo tells what of a type matters to a network.
type InstanceTypeInfo struct {
	InstanceType                  string        `json:"InstanceType"`
	CurrentGeneration             bool          `json:"CurrentGeneration"`
	FreeTierEligible              bool          `json:"FreeTierEligible"`
	SupportedUsageClasses         []string      `json:"SupportedUsageClasses"`
	SupportedRootDeviceTypes      []string      `json:"SupportedRootDeviceTypes"`
	SupportedVirtualizationTypes  []string      `json:"SupportedVirtualizationTypes"`
	BareMetal                     bool          `json:"BareMetal"`
	Hypervisor                    string        `json:"Hypervisor"`
	ProcessorInfo                 ProcessorInfo `json:"ProcessorInfo"`
	VCpuInfo                      VCpuInfo      `json:"VCpuInfo"`
	MemoryInfo                    MemoryInfo    `json:"MemoryInfo"`
	InstanceStorageSupported      bool          `json:"InstanceStorageSupported"`
	NetworkInfo                   NetworkInfo   `json:"NetworkInfo"`
	HibernationSupported          bool          `json:"HibernationSupported"`
	BurstablePerformanceSupported bool          `json:"BurstablePerformanceSupported"`
	DedicatedHostsSupported       bool          `json:"DedicatedHostsSupported"`
	AutoRecoverySupported         bool          `json:"AutoRecoverySupported"`
}

type ProcessorInfo struct {
	SupportedArchitectures []string `json:"SupportedArchitectures"`
}

type VCpuInfo struct {
	DefaultVCpus int `json:"DefaultVCpus"`
}

type MemoryInfo struct {
	SizeInMiB int `json:"SizeInMiB"`
}

type NetworkInfo struct {
	NetworkPerformance        string `json:"NetworkPerformance"`
	MaximumNetworkInterfaces  int    `json:"MaximumNetworkInterfaces"`
	MaximumNetworkCards       int    `json:"MaximumNetworkCards"`
	DefaultNetworkCardIndex   int    `json:"DefaultNetworkCardIndex"`
	Ipv4AddressesPerInterface int    `json:"Ipv4AddressesPerInterface"`
	Ipv6AddressesPerInterface int    `json:"Ipv6AddressesPerInterface"`
	Ipv6Supported             bool   `json:"Ipv6Supported"`
	EnaSupport                string `json:"EnaSupport"`
	EfaSupported              bool   `json:"EfaSupported"`
}

type DescribeInstanceTypeOfferingsInput struct {
	LocationType string // region (default), availability-zone, availability-zone-id
	Filters      []Filter
	MaxResults   *int
	NextToken    string
	DryRun       bool
}

type DescribeInstanceTypeOfferingsOutput struct {
	InstanceTypeOfferings []InstanceTypeOffering `json:"InstanceTypeOfferings"`
	NextToken             string                 `json:"NextToken,omitempty"`
}

type InstanceTypeOffering struct {
	InstanceType string `json:"InstanceType"`
	LocationType string `json:"LocationType"`
	Location     string `json:"Location"`
}
