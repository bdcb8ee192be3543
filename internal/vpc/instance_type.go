package vpc

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

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
	InstanceType                  string             `json:"InstanceType"`
	CurrentGeneration             bool               `json:"CurrentGeneration"`
	FreeTierEligible              bool               `json:"FreeTierEligible"`
	SupportedUsageClasses         []string           `json:"SupportedUsageClasses"`
	SupportedRootDeviceTypes      []string           `json:"SupportedRootDeviceTypes"`
	SupportedVirtualizationTypes  []string           `json:"SupportedVirtualizationTypes"`
	BareMetal                     bool               `json:"BareMetal"`
	Hypervisor                    string             `json:"Hypervisor"`
	ProcessorInfo                 ProcessorInfo      `json:"ProcessorInfo"`
	VCpuInfo                      VCpuInfo           `json:"VCpuInfo"`
	MemoryInfo                    MemoryInfo         `json:"MemoryInfo"`
	InstanceStorageSupported      bool               `json:"InstanceStorageSupported"`
	NetworkInfo                   NetworkInfo        `json:"NetworkInfo"`
	HibernationSupported          bool               `json:"HibernationSupported"`
	BurstablePerformanceSupported bool               `json:"BurstablePerformanceSupported"`
	DedicatedHostsSupported       bool               `json:"DedicatedHostsSupported"`
	AutoRecoverySupported         bool               `json:"AutoRecoverySupported"`
	EbsInfo                       EbsInfo            `json:"EbsInfo"`
	PlacementGroupInfo            PlacementGroupInfo `json:"PlacementGroupInfo"`
	SupportedBootModes            []string           `json:"SupportedBootModes"`
	NitroEnclavesSupport          string             `json:"NitroEnclavesSupport"`
	NitroTpmSupport               string             `json:"NitroTpmSupport"`
}

type ProcessorInfo struct {
	SupportedArchitectures   []string `json:"SupportedArchitectures"`
	SustainedClockSpeedInGhz float64  `json:"SustainedClockSpeedInGhz"`
}

type EbsInfo struct {
	EbsOptimizedSupport string `json:"EbsOptimizedSupport"`
	EncryptionSupport   string `json:"EncryptionSupport"`
	NvmeSupport         string `json:"NvmeSupport"`
}

type PlacementGroupInfo struct {
	SupportedStrategies []string `json:"SupportedStrategies"`
}

type VCpuInfo struct {
	DefaultVCpus          int `json:"DefaultVCpus"`
	DefaultCores          int `json:"DefaultCores"`
	DefaultThreadsPerCore int `json:"DefaultThreadsPerCore"`
	// ValidThreadsPerCore is left out for types that take no CPU options, as on AWS.
	ValidThreadsPerCore []int `json:"ValidThreadsPerCore,omitempty"`
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

// instanceType is what a type allows (EN-05). vCPUs and memory are told and not
// enforced: an instance has the machine.
type instanceType struct {
	interfaces  int // network interfaces
	addresses   int // private IPv4 addresses of each
	vcpus       int
	memory      int // MiB
	performance string
}

// DefaultInstanceType is what RunInstances takes when it names no type.
const DefaultInstanceType = "t3.micro"

// instanceTypes is the catalogue (EC2 User Guide, Elastic network interfaces; EC2
// instance types, General purpose).
var instanceTypes = map[string]instanceType{
	"t2.nano":     {2, 2, 1, 512, "Low to Moderate"},
	"t2.micro":    {2, 2, 1, 1024, "Low to Moderate"},
	"t2.small":    {3, 4, 1, 2048, "Low to Moderate"},
	"t2.medium":   {3, 6, 2, 4096, "Low to Moderate"},
	"t2.large":    {3, 12, 2, 8192, "Low to Moderate"},
	"t2.xlarge":   {3, 15, 4, 16384, "Moderate"},
	"t2.2xlarge":  {3, 15, 8, 32768, "Moderate"},
	"t3.nano":     {2, 2, 2, 512, "Up to 5 Gigabit"},
	"t3.micro":    {2, 2, 2, 1024, "Up to 5 Gigabit"},
	"t3.small":    {3, 4, 2, 2048, "Up to 5 Gigabit"},
	"t3.medium":   {3, 6, 2, 4096, "Up to 5 Gigabit"},
	"t3.large":    {3, 12, 2, 8192, "Up to 5 Gigabit"},
	"t3.xlarge":   {4, 15, 4, 16384, "Up to 5 Gigabit"},
	"t3.2xlarge":  {4, 15, 8, 32768, "Up to 5 Gigabit"},
	"m5.large":    {3, 10, 2, 8192, "Up to 10 Gigabit"},
	"m5.xlarge":   {4, 15, 4, 16384, "Up to 10 Gigabit"},
	"m5.2xlarge":  {4, 15, 8, 32768, "Up to 10 Gigabit"},
	"m5.4xlarge":  {8, 30, 16, 65536, "Up to 10 Gigabit"},
	"m5.8xlarge":  {8, 30, 32, 131072, "10 Gigabit"},
	"m5.12xlarge": {8, 30, 48, 196608, "12 Gigabit"},
	"m5.16xlarge": {15, 50, 64, 262144, "20 Gigabit"},
	"m5.24xlarge": {15, 50, 96, 393216, "25 Gigabit"},
}

// sizes are what the types of a size have in common in all families but those of instanceTypes. Interfaces and
// addresses go by size (EC2 User Guide, Maximum IP addresses per network interface).
var sizes = map[string]instanceType{
	"medium": {2, 4, 1, 0, ""}, "large": {3, 10, 2, 0, ""}, "xlarge": {4, 15, 4, 0, ""}, "2xlarge": {4, 15, 8, 0, ""}, "4xlarge": {8, 30, 16, 0, ""},
	"8xlarge": {8, 30, 32, 0, ""}, "9xlarge": {8, 30, 36, 0, ""}, "12xlarge": {8, 30, 48, 0, ""}, "16xlarge": {15, 50, 64, 0, ""},
	"18xlarge": {15, 50, 72, 0, ""}, "24xlarge": {15, 50, 96, 0, ""},
}

// families with their memory in MiB for each vCPU, and the sizes that they come in (Amazon EC2 Instance Types).
var families = []struct {
	names  string
	memory int
	sizes  string
}{
	{"m5a m5d m5n m6a m6i m7a m7i", 4096, "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"},
	{"c6a c6i c7a c7i", 2048, "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"},
	{"c5 c5d", 2048, "large xlarge 2xlarge 4xlarge 9xlarge 12xlarge 18xlarge 24xlarge"},
	{"c5n", 2688, "large xlarge 2xlarge 4xlarge 9xlarge 18xlarge"},
	{"r5 r5a r5b r5d r5n r6a r6i r7a r7i", 8192, "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"},
	{"m6g m6gd m7g m7gd", 4096, "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"},
	{"c6g c6gd c6gn c7g c7gd c7gn", 2048, "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"},
	{"r6g r6gd r7g r7gd", 8192, "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"},
	{"m8g", 4096, "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"},
	{"c8g", 2048, "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"},
	{"r8g", 8192, "medium large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge"},
}

func init() {
	for _, f := range families {
		for family := range strings.FieldsSeq(f.names) {
			for size := range strings.FieldsSeq(f.sizes) {
				t := sizes[size]
				t.memory, t.performance = f.memory*t.vcpus, "Up to 12.5 Gigabit"
				instanceTypes[family+"."+size] = t
			}
		}
	}
	for name, t := range maps.Clone(instanceTypes) {
		if size, ok := strings.CutPrefix(name, "t3."); ok {
			instanceTypes["t3a."+size], instanceTypes["t4g."+size] = t, t
		}
	}
	// What is not as its family and size say (EC2 User Guide; Amazon EC2 Instance Types).
	change := func(name string, of func(*instanceType)) {
		t := instanceTypes[name]
		of(&t)
		instanceTypes[name] = t
	}
	change("t3a.small", func(t *instanceType) { t.interfaces = 2 })
	change("c5n.9xlarge", func(t *instanceType) { t.memory = 96 << 10 })
	change("c5n.18xlarge", func(t *instanceType) { t.memory = 192 << 10 })
}

// graviton is the name of a family with AWS's own ARM processors: a g behind the generation.
var graviton = regexp.MustCompile(`^[a-z]+[0-9]+g[a-z]*\.`)

// oneThread is the name of a family with Intel's or AMD's processors of which a vCPU is a whole core (EC2 User
// Guide, Supported CPU options).
var oneThread = regexp.MustCompile(`^(t2|[cmr]7a)\.`)

// TypeArchitecture is that of a type's processors, as the API tells it. What runs in an instance is
// the machine's own, whatever the type.
func TypeArchitecture(name string) string {
	if graviton.MatchString(name) {
		return ArchitectureARM
	}
	return Architecture
}

// takes tells whether an interface of an instance of the type may have that many
// private addresses.
func (t instanceType) takes(name string, addresses int) error {
	if addresses > t.addresses {
		return errorf("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit: %s takes %d for an interface.", name, t.addresses)
	}
	return nil
}

// typeNamed is the type of that name, DefaultInstanceType for "".
func typeNamed(name string) (string, error) {
	if name == "" {
		return DefaultInstanceType, nil
	}
	if _, ok := instanceTypes[name]; !ok {
		return "", errNoType(name)
	}
	return name, nil
}

func errNoType(name string) error {
	return errInvalid("Invalid value '%s' for InstanceType. A lab has those that aws ec2 describe-instance-types lists.", name)
}

// InstanceTypeNames are the types of the catalogue.
func InstanceTypeNames() []string { return slices.Sorted(maps.Keys(instanceTypes)) }

// IsNitro tells whether instances of the type are built on AWS's Nitro system. Of the
// catalogue's, only the t2 are not.
func IsNitro(name string) bool { return !strings.HasPrefix(name, "t2.") }

func (t instanceType) cpu(name string) VCpuInfo {
	cpu := VCpuInfo{t.vcpus, t.vcpus / 2, 2, []int{1, 2}}
	if TypeArchitecture(name) == ArchitectureARM || oneThread.MatchString(name) {
		cpu = VCpuInfo{t.vcpus, t.vcpus, 1, []int{1}}
	}
	if cpu.DefaultVCpus == 1 || !IsNitro(name) {
		cpu.ValidThreadsPerCore = nil
	}
	return cpu
}

func (t instanceType) info(name string) InstanceTypeInfo {
	nitro := IsNitro(name)
	info := InstanceTypeInfo{
		InstanceType: name, CurrentGeneration: true, FreeTierEligible: name == "t2.micro" || name == "t3.micro",
		SupportedUsageClasses: []string{"on-demand"}, SupportedRootDeviceTypes: []string{"ebs"}, SupportedVirtualizationTypes: []string{"hvm"},
		Hypervisor: "xen", ProcessorInfo: ProcessorInfo{[]string{TypeArchitecture(name)}, 2.5}, VCpuInfo: t.cpu(name), MemoryInfo: MemoryInfo{t.memory},
		NetworkInfo: NetworkInfo{
			NetworkPerformance: t.performance, MaximumNetworkInterfaces: t.interfaces, MaximumNetworkCards: 1,
			Ipv4AddressesPerInterface: t.addresses, Ipv6AddressesPerInterface: t.addresses, Ipv6Supported: true, EnaSupport: "unsupported",
		},
		BurstablePerformanceSupported: strings.HasPrefix(name, "t"), DedicatedHostsSupported: !strings.HasPrefix(name, "t2."), AutoRecoverySupported: true,
		EbsInfo:            EbsInfo{"unsupported", "supported", "unsupported"},
		PlacementGroupInfo: PlacementGroupInfo{[]string{"partition", "spread"}},
		SupportedBootModes: []string{"legacy-bios"}, NitroEnclavesSupport: "unsupported", NitroTpmSupport: "unsupported",
	}
	if TypeArchitecture(name) == ArchitectureARM {
		info.SupportedBootModes = []string{"uefi"}
	}
	if nitro {
		info.EbsInfo.EbsOptimizedSupport, info.EbsInfo.NvmeSupport = "default", "required"
		info.Hypervisor, info.NetworkInfo.EnaSupport = "nitro", "required"
	}
	return info
}

func onType(answer func(*InstanceTypeInfo) []string) func(*Model, *InstanceTypeInfo) []string {
	return func(_ *Model, t *InstanceTypeInfo) []string { return answer(t) }
}

var instanceTypeFilters = withUnknown(filterSet[InstanceTypeInfo]{
	"auto-recovery-supported":         onType(func(t *InstanceTypeInfo) []string { return boolText(t.AutoRecoverySupported) }),
	"bare-metal":                      onType(func(t *InstanceTypeInfo) []string { return boolText(t.BareMetal) }),
	"burstable-performance-supported": onType(func(t *InstanceTypeInfo) []string { return boolText(t.BurstablePerformanceSupported) }),
	"current-generation":              onType(func(t *InstanceTypeInfo) []string { return boolText(t.CurrentGeneration) }),
	"dedicated-hosts-supported":       onType(func(t *InstanceTypeInfo) []string { return boolText(t.DedicatedHostsSupported) }),
	"free-tier-eligible":              onType(func(t *InstanceTypeInfo) []string { return boolText(t.FreeTierEligible) }),
	"hibernation-supported":           onType(func(t *InstanceTypeInfo) []string { return boolText(t.HibernationSupported) }),
	"hypervisor":                      onType(func(t *InstanceTypeInfo) []string { return one(t.Hypervisor) }),
	"instance-storage-supported":      onType(func(t *InstanceTypeInfo) []string { return boolText(t.InstanceStorageSupported) }),
	"instance-type":                   onType(func(t *InstanceTypeInfo) []string { return one(t.InstanceType) }),
	"memory-info.size-in-mib":         onType(func(t *InstanceTypeInfo) []string { return intText(t.MemoryInfo.SizeInMiB) }),
	"network-info.efa-supported":      onType(func(t *InstanceTypeInfo) []string { return boolText(t.NetworkInfo.EfaSupported) }),
	"network-info.ena-support":        onType(func(t *InstanceTypeInfo) []string { return one(t.NetworkInfo.EnaSupport) }),
	"network-info.ipv4-addresses-per-interface": onType(func(t *InstanceTypeInfo) []string {
		return intText(t.NetworkInfo.Ipv4AddressesPerInterface)
	}),
	"network-info.ipv6-addresses-per-interface": onType(func(t *InstanceTypeInfo) []string {
		return intText(t.NetworkInfo.Ipv6AddressesPerInterface)
	}),
	"network-info.ipv6-supported":        onType(func(t *InstanceTypeInfo) []string { return boolText(t.NetworkInfo.Ipv6Supported) }),
	"network-info.maximum-network-cards": onType(func(t *InstanceTypeInfo) []string { return intText(t.NetworkInfo.MaximumNetworkCards) }),
	"network-info.maximum-network-interfaces": onType(func(t *InstanceTypeInfo) []string {
		return intText(t.NetworkInfo.MaximumNetworkInterfaces)
	}),
	"network-info.network-performance":      onType(func(t *InstanceTypeInfo) []string { return one(t.NetworkInfo.NetworkPerformance) }),
	"processor-info.supported-architecture": onType(func(t *InstanceTypeInfo) []string { return t.ProcessorInfo.SupportedArchitectures }),
	"supported-root-device-type":            onType(func(t *InstanceTypeInfo) []string { return t.SupportedRootDeviceTypes }),
	"supported-usage-class":                 onType(func(t *InstanceTypeInfo) []string { return t.SupportedUsageClasses }),
	"supported-virtualization-type":         onType(func(t *InstanceTypeInfo) []string { return t.SupportedVirtualizationTypes }),
	"ebs-info.ebs-optimized-support":        onType(func(t *InstanceTypeInfo) []string { return one(t.EbsInfo.EbsOptimizedSupport) }),
	"ebs-info.encryption-support":           onType(func(t *InstanceTypeInfo) []string { return one(t.EbsInfo.EncryptionSupport) }),
	"ebs-info.nvme-support":                 onType(func(t *InstanceTypeInfo) []string { return one(t.EbsInfo.NvmeSupport) }),
	"nitro-enclaves-support":                onType(func(t *InstanceTypeInfo) []string { return one(t.NitroEnclavesSupport) }),
	"nitro-tpm-support":                     onType(func(t *InstanceTypeInfo) []string { return one(t.NitroTpmSupport) }),
	"processor-info.sustained-clock-speed-in-ghz": onType(func(t *InstanceTypeInfo) []string {
		return one(strconv.FormatFloat(t.ProcessorInfo.SustainedClockSpeedInGhz, 'f', -1, 64))
	}),
	"supported-boot-mode":                onType(func(t *InstanceTypeInfo) []string { return t.SupportedBootModes }),
	"vcpu-info.default-cores":            onType(func(t *InstanceTypeInfo) []string { return intText(t.VCpuInfo.DefaultCores) }),
	"vcpu-info.default-threads-per-core": onType(func(t *InstanceTypeInfo) []string { return intText(t.VCpuInfo.DefaultThreadsPerCore) }),
	"vcpu-info.default-vcpus":            onType(func(t *InstanceTypeInfo) []string { return intText(t.VCpuInfo.DefaultVCpus) }),
	"vcpu-info.valid-threads-per-core": onType(func(t *InstanceTypeInfo) []string {
		var list []string
		for _, n := range t.VCpuInfo.ValidThreadsPerCore {
			list = append(list, strconv.Itoa(n))
		}
		return list
	}),
}, "ebs-info.attachment-limit-type", "ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps", "ebs-info.ebs-optimized-info.baseline-iops",
	"ebs-info.ebs-optimized-info.baseline-throughput-in-mbps", "ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps",
	"ebs-info.ebs-optimized-info.maximum-iops", "ebs-info.ebs-optimized-info.maximum-throughput-in-mbps", "ebs-info.maximum-ebs-attachments", "ebs-info.maximum-ebs-cards",
	"instance-storage-info.disk.count", "instance-storage-info.disk.size-in-gb", "instance-storage-info.disk.type", "instance-storage-info.encryption-support",
	"instance-storage-info.nvme-support", "instance-storage-info.total-size-in-gb", "network-info.bandwidth-weightings", "network-info.efa-info.maximum-efa-interfaces",
	"network-info.encryption-in-transit-supported", "network-info.flexible-ena-queues-support", "nitro-tpm-info.supported-versions", "processor-info.supported-features",
	"reboot-migration-support", "vcpu-info.valid-cores")

// withUnknown adds documented filters about what the catalogue does not tell: a request with them is
// valid and finds nothing.
func withUnknown[V any](set filterSet[V], names ...string) filterSet[V] {
	for _, name := range names {
		set[name] = unknownHere[V]
	}
	return set
}

// DescribeInstanceTypes tells the catalogue.
func (tx *Tx) DescribeInstanceTypes(in *DescribeInstanceTypesInput) (*DescribeInstanceTypesOutput, error) {
	if err := instanceTypeFilters.check(in.Filters); err != nil {
		return nil, err
	}
	list := []InstanceTypeInfo{}
	for _, name := range in.InstanceTypes {
		if _, ok := instanceTypes[name]; !ok {
			return nil, errorf("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", name)
		}
	}
	for _, name := range InstanceTypeNames() {
		t := instanceTypes[name].info(name)
		if (len(in.InstanceTypes) == 0 || slices.Contains(in.InstanceTypes, name)) && instanceTypeFilters.match(&tx.Model, in.Filters, &t) {
			list = append(list, t)
		}
	}
	list, next, err := page(list, paging{in.MaxResults, in.NextToken, 5, 100}, func(t InstanceTypeInfo) string { return t.InstanceType })
	if err != nil {
		return nil, err
	}
	return &DescribeInstanceTypesOutput{list, next}, nil
}

var offeringFilters = filterSet[InstanceTypeOffering]{
	"instance-type": func(_ *Model, o *InstanceTypeOffering) []string { return one(o.InstanceType) },
	"location":      func(_ *Model, o *InstanceTypeOffering) []string { return one(o.Location) },
}

// DescribeInstanceTypeOfferings tells that every type is offered in every zone.
func (tx *Tx) DescribeInstanceTypeOfferings(in *DescribeInstanceTypeOfferingsInput) (*DescribeInstanceTypeOfferingsOutput, error) {
	if err := offeringFilters.check(in.Filters); err != nil {
		return nil, err
	}
	locationType := in.LocationType
	var places []string
	switch locationType {
	case "", "region":
		locationType, places = "region", []string{tx.Region}
	case "availability-zone":
		places = tx.zones()
	case "availability-zone-id":
		for _, z := range tx.zones() {
			places = append(places, tx.ZoneID(z))
		}
	default:
		return nil, errValue(in.LocationType, "locationType", "")
	}
	list := []InstanceTypeOffering{}
	for _, name := range InstanceTypeNames() {
		for _, place := range places {
			o := InstanceTypeOffering{name, locationType, place}
			if offeringFilters.match(&tx.Model, in.Filters, &o) {
				list = append(list, o)
			}
		}
	}
	key := func(o InstanceTypeOffering) string { return o.InstanceType + "/" + o.Location }
	slices.SortFunc(list, func(a, b InstanceTypeOffering) int { return strings.Compare(key(a), key(b)) })
	list, next, err := page(list, paging{in.MaxResults, in.NextToken, 5, 1000}, key)
	if err != nil {
		return nil, err
	}
	return &DescribeInstanceTypeOfferingsOutput{list, next}, nil
}
