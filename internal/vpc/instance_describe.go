package vpc

import (
	"slices"
	"time"
)

// DescribeInstancesInput and the other types below have the members of the EC2 API.
type DescribeInstancesInput struct {
	InstanceIds []InstanceID
	Filters     []Filter
	MaxResults  *int
	NextToken   string
	DryRun      bool
}

type DescribeInstancesOutput struct {
	Reservations []ReservationInfo `json:"Reservations"`
	NextToken    string            `json:"NextToken,omitempty"`
}

// ReservationInfo holds the instances that one RunInstances launched.
type ReservationInfo struct {
	ReservationId ReservationID     `json:"ReservationId"`
	OwnerId       string            `json:"OwnerId"`
	Groups        []GroupIdentifier `json:"Groups"`
	Instances     []InstanceInfo    `json:"Instances"`
}

// InstanceInfo is an instance as the API answers it.
type InstanceInfo struct {
	Architecture                     string                                    `json:"Architecture"`
	BlockDeviceMappings              []InstanceBlockDeviceMapping              `json:"BlockDeviceMappings"`
	EbsOptimized                     bool                                      `json:"EbsOptimized"`
	EnaSupport                       bool                                      `json:"EnaSupport"`
	Hypervisor                       string                                    `json:"Hypervisor"`
	IamInstanceProfile               *IamInstanceProfile                       `json:"IamInstanceProfile,omitempty"`
	NetworkInterfaces                []InstanceNetworkInterface                `json:"NetworkInterfaces"`
	RootDeviceName                   string                                    `json:"RootDeviceName"`
	RootDeviceType                   string                                    `json:"RootDeviceType"`
	SecurityGroups                   []GroupIdentifier                         `json:"SecurityGroups"`
	SourceDestCheck                  *bool                                     `json:"SourceDestCheck,omitempty"`
	MetadataOptions                  *InstanceMetadataOptionsResponse          `json:"MetadataOptions"`
	StateReason                      *StateReason                              `json:"StateReason,omitempty"`
	Tags                             []Tag                                     `json:"Tags,omitempty"`
	VirtualizationType               string                                    `json:"VirtualizationType"`
	ClientToken                      string                                    `json:"ClientToken,omitempty"`
	PlatformDetails                  string                                    `json:"PlatformDetails"`
	UsageOperation                   string                                    `json:"UsageOperation"`
	UsageOperationUpdateTime         time.Time                                 `json:"UsageOperationUpdateTime"`
	CurrentInstanceBootMode          string                                    `json:"CurrentInstanceBootMode"`
	PrivateDnsNameOptions            *PrivateDnsNameOptions                    `json:"PrivateDnsNameOptions,omitempty"`
	CpuOptions                       *CpuOptions                               `json:"CpuOptions"`
	CapacityReservationSpecification *CapacityReservationSpecificationResponse `json:"CapacityReservationSpecification"`
	HibernationOptions               *HibernationOptions                       `json:"HibernationOptions"`
	EnclaveOptions                   *EnclaveOptions                           `json:"EnclaveOptions"`
	MaintenanceOptions               *InstanceMaintenanceOptions               `json:"MaintenanceOptions"`
	InstanceId                       InstanceID                                `json:"InstanceId"`
	ImageId                          string                                    `json:"ImageId"`
	State                            InstanceState                             `json:"State"`
	PrivateDnsName                   string                                    `json:"PrivateDnsName"`
	PublicDnsName                    string                                    `json:"PublicDnsName"`
	StateTransitionReason            string                                    `json:"StateTransitionReason"`
	KeyName                          string                                    `json:"KeyName,omitempty"`
	AmiLaunchIndex                   int                                       `json:"AmiLaunchIndex"`
	ProductCodes                     []struct{}                                `json:"ProductCodes"`
	InstanceType                     string                                    `json:"InstanceType"`
	LaunchTime                       time.Time                                 `json:"LaunchTime"`
	Placement                        Placement                                 `json:"Placement"`
	Monitoring                       Monitoring                                `json:"Monitoring"`
	SubnetId                         SubnetID                                  `json:"SubnetId,omitempty"`
	VpcId                            VpcID                                     `json:"VpcId,omitempty"`
	PrivateIpAddress                 string                                    `json:"PrivateIpAddress,omitempty"`
	PublicIpAddress                  string                                    `json:"PublicIpAddress,omitempty"`
	// Devices is vpcemu's own.
	Devices []string `json:"Devices,omitempty"`
	// Rootfs is vpcemu's own.
	Rootfs string `json:"Rootfs,omitempty"`
	// Limits are vpcemu's own.
	Limits *LimitsSpecification `json:"Limits,omitempty"`
}

// InstanceNetworkInterface is an attached interface as part of its instance.
type InstanceNetworkInterface struct {
	Association                     *InstanceNetworkInterfaceAssociation `json:"Association,omitempty"`
	Attachment                      InstanceNetworkInterfaceAttachment   `json:"Attachment"`
	ConnectionTrackingConfiguration *ConnectionTracking                  `json:"ConnectionTrackingConfiguration,omitempty"`
	Description                     string                               `json:"Description"`
	Groups                          []GroupIdentifier                    `json:"Groups"`
	Ipv6Addresses                   []struct{}                           `json:"Ipv6Addresses"`
	MacAddress                      string                               `json:"MacAddress"`
	NetworkInterfaceId              NetworkInterfaceID                   `json:"NetworkInterfaceId"`
	OwnerId                         string                               `json:"OwnerId"`
	PrivateDnsName                  string                               `json:"PrivateDnsName,omitempty"`
	PrivateIpAddress                string                               `json:"PrivateIpAddress"`
	PrivateIpAddresses              []InstancePrivateIpAddress           `json:"PrivateIpAddresses"`
	SourceDestCheck                 bool                                 `json:"SourceDestCheck"`
	Status                          string                               `json:"Status"`
	SubnetId                        SubnetID                             `json:"SubnetId"`
	VpcId                           VpcID                                `json:"VpcId"`
	InterfaceType                   string                               `json:"InterfaceType"`
}

type InstanceNetworkInterfaceAssociation struct {
	IpOwnerId     string `json:"IpOwnerId"`
	PublicDnsName string `json:"PublicDnsName"`
	PublicIp      string `json:"PublicIp"`
}

type InstanceNetworkInterfaceAttachment struct {
	AttachTime          time.Time    `json:"AttachTime"`
	AttachmentId        AttachmentID `json:"AttachmentId"`
	DeleteOnTermination bool         `json:"DeleteOnTermination"`
	DeviceIndex         int          `json:"DeviceIndex"`
	Status              string       `json:"Status"`
	NetworkCardIndex    int          `json:"NetworkCardIndex"`
}

type InstancePrivateIpAddress struct {
	Association      *InstanceNetworkInterfaceAssociation `json:"Association,omitempty"`
	Primary          bool                                 `json:"Primary"`
	PrivateDnsName   string                               `json:"PrivateDnsName,omitempty"`
	PrivateIpAddress string                               `json:"PrivateIpAddress"`
}

type StateReason struct {
	Code    string `json:"Code"`
	Message string `json:"Message"`
}

type PrivateDnsNameOptions struct {
	HostnameType                    string `json:"HostnameType"`
	EnableResourceNameDnsARecord    bool   `json:"EnableResourceNameDnsARecord"`
	EnableResourceNameDnsAAAARecord bool   `json:"EnableResourceNameDnsAAAARecord"`
}

type Monitoring struct {
	State string `json:"State"`
}

type DescribeInstanceStatusInput struct {
	InstanceIds         []InstanceID
	Filters             []Filter
	IncludeAllInstances bool
	MaxResults          *int
	NextToken           string
	DryRun              bool
}

type DescribeInstanceStatusOutput struct {
	InstanceStatuses []InstanceStatus `json:"InstanceStatuses"`
	NextToken        string           `json:"NextToken,omitempty"`
}

type InstanceStatus struct {
	AvailabilityZone   string                `json:"AvailabilityZone"`
	AvailabilityZoneId string                `json:"AvailabilityZoneId"`
	Events             []struct{}            `json:"Events"`
	InstanceId         InstanceID            `json:"InstanceId"`
	InstanceState      InstanceState         `json:"InstanceState"`
	InstanceStatus     InstanceStatusSummary `json:"InstanceStatus"`
	SystemStatus       InstanceStatusSummary `json:"SystemStatus"`
}

type InstanceStatusSummary struct {
	Details []InstanceStatusDetail `json:"Details"`
	Status  string                 `json:"Status"` // ok, initializing, not-applicable
}

type InstanceStatusDetail struct {
	Name   string `json:"Name"`   // reachability
	Status string `json:"Status"` // passed, initializing
}

// DescribeInstances lists instances by reservation; terminated ones stay for an
// hour (IN-03).
func (tx *Tx) DescribeInstances(in *DescribeInstancesInput) (*DescribeInstancesOutput, error) {
	defer tx.reading()()
	found, next, err := describe(tx, &tx.Instances, in.InstanceIds, instanceFilters, in.Filters, paging{in.MaxResults, in.NextToken, 5, 1000})
	if err != nil {
		return nil, err
	}
	out := &DescribeInstancesOutput{Reservations: []ReservationInfo{}, NextToken: next}
	places := map[ReservationID]int{}
	for _, i := range found {
		k, ok := places[i.ReservationID]
		if !ok {
			k = len(out.Reservations)
			places[i.ReservationID] = k
			out.Reservations = append(out.Reservations, ReservationInfo{ReservationId: i.ReservationID, OwnerId: i.Account, Groups: []GroupIdentifier{}})
		}
		r := &out.Reservations[k]
		r.Instances = append(r.Instances, tx.instanceInfo(i))
	}
	for _, r := range out.Reservations {
		slices.SortStableFunc(r.Instances, func(a, b InstanceInfo) int { return a.AmiLaunchIndex - b.AmiLaunchIndex })
	}
	return out, nil
}

// instanceInfo is the instance as the API answers it. A terminated one has no
// interfaces any more, and so no addresses and no place.
func (m *Model) instanceInfo(i *Instance) InstanceInfo {
	h := &i.Options.Hardware
	info := InstanceInfo{
		Architecture: TypeArchitecture(i.InstanceType), BlockDeviceMappings: []InstanceBlockDeviceMapping{}, EnaSupport: true, Hypervisor: "xen",
		NetworkInterfaces: []InstanceNetworkInterface{}, RootDeviceName: RootDevice, RootDeviceType: "ebs", SecurityGroups: []GroupIdentifier{},
		StateReason: i.stateReason(), Tags: tagList(i.Tags), VirtualizationType: "hvm", InstanceId: i.ID, ImageId: i.ImageID,
		State: stateOf(i.State), StateTransitionReason: i.StateTransitionReason, KeyName: i.KeyName, AmiLaunchIndex: i.AmiLaunchIndex,
		ClientToken: i.ClientToken, PlatformDetails: platformDetails, UsageOperation: usageOperation, UsageOperationUpdateTime: i.Created, CurrentInstanceBootMode: "legacy-bios",
		ProductCodes: []struct{}{}, InstanceType: i.InstanceType, LaunchTime: i.LaunchTime, Monitoring: i.monitoring(), EbsOptimized: i.Options.EbsOptimized, IamInstanceProfile: i.profile(),
		Placement: Placement{AvailabilityZone: m.instanceZone(i), AvailabilityZoneId: m.ZoneID(m.instanceZone(i)), Tenancy: i.Tenancy},
		Devices:   i.Devices, MetadataOptions: i.metadataInfo(), Rootfs: i.Rootfs, Limits: i.Limits.Specification(),
		CpuOptions: h.cpu(i.InstanceType), CapacityReservationSpecification: h.reservation(), HibernationOptions: &HibernationOptions{h.Hibernation},
		EnclaveOptions: &EnclaveOptions{h.Enclave}, MaintenanceOptions: h.maintenance(),
	}
	if i.State == StateTerminated {
		return info
	}
	info.BlockDeviceMappings = mappingsOf(m.volumesOf(i.ID))
	info.SubnetId, info.VpcId, info.PrivateDnsName = i.SubnetID, i.VpcID, i.PrivateDnsName
	info.PrivateDnsNameOptions = m.nameOptions(i)
	for _, n := range m.InstanceInterfaces(i.ID) {
		nic := m.instanceInterface(n)
		info.NetworkInterfaces = append(info.NetworkInterfaces, nic)
		if n.Attachment.DeviceIndex != 0 {
			continue
		}
		info.SecurityGroups, info.SourceDestCheck, info.PrivateIpAddress = nic.Groups, new(n.SourceDestCheck), nic.PrivateIpAddress
		if nic.Association != nil {
			info.PublicIpAddress, info.PublicDnsName = nic.Association.PublicIp, nic.Association.PublicDnsName
		}
	}
	return info
}

func (i *Instance) stateReason() *StateReason {
	switch {
	case i.State == StatePending:
		return &StateReason{StatePending, StatePending}
	case i.StateReason == "":
		return nil
	}
	return &StateReason{reasonCode(i.StateReason), i.StateReason}
}

func (m *Model) nameOptions(i *Instance) *PrivateDnsNameOptions {
	return &PrivateDnsNameOptions{HostnameType: i.HostnameType(), EnableResourceNameDnsARecord: i.EnableResourceNameDnsARecord}
}

// instanceInterface is an attached interface as part of its instance.
func (m *Model) instanceInterface(n *NetworkInterface) InstanceNetworkInterface {
	a := n.Attachment
	nic := InstanceNetworkInterface{
		Attachment: InstanceNetworkInterfaceAttachment{
			AttachTime: a.AttachTime, AttachmentId: a.ID, DeleteOnTermination: a.DeleteOnTermination, DeviceIndex: a.DeviceIndex, Status: a.Status,
		},
		ConnectionTrackingConfiguration: n.tracking(), Description: n.Description, Groups: m.groupIdentifiers(n.Groups), Ipv6Addresses: []struct{}{},
		MacAddress: n.MacAddress, NetworkInterfaceId: n.ID, OwnerId: n.Account, PrivateDnsName: PrivateDnsName(n.Region, n.Primary()),
		PrivateIpAddress: n.Primary().String(), SourceDestCheck: n.SourceDestCheck, Status: n.Status, SubnetId: n.SubnetID, VpcId: n.VpcID,
		InterfaceType: n.InterfaceType,
	}
	for _, p := range n.PrivateIps {
		e := InstancePrivateIpAddress{Primary: p.Primary, PrivateDnsName: PrivateDnsName(n.Region, p.PrivateIp), PrivateIpAddress: p.PrivateIp.String()}
		if s := m.associationInfo(n, p); s != nil {
			e.Association = &InstanceNetworkInterfaceAssociation{s.IpOwnerId, s.PublicDnsName, s.PublicIp}
		}
		nic.PrivateIpAddresses = append(nic.PrivateIpAddresses, e)
	}
	nic.Association = nic.PrivateIpAddresses[0].Association
	return nic
}

// DescribeInstanceStatus tells the status checks, by default of running
// instances only. A lab's checks pass as soon as an instance runs.
func (tx *Tx) DescribeInstanceStatus(in *DescribeInstanceStatusInput) (*DescribeInstanceStatusOutput, error) {
	found, _, err := describe(tx, &tx.Instances, in.InstanceIds, instanceStatusFilters, in.Filters, paging{})
	if err != nil {
		return nil, err
	}
	if len(in.InstanceIds) > 0 && in.MaxResults != nil {
		return nil, errorf("InvalidParameterCombination", "The parameter instanceIds cannot be used with the parameter maxResults")
	}
	if !in.IncludeAllInstances {
		found = slices.DeleteFunc(found, func(i *Instance) bool { return i.State != StateRunning })
	}
	found, next, err := page(found, paging{in.MaxResults, in.NextToken, 5, 1000}, func(i *Instance) string { return string(i.ID) })
	if err != nil {
		return nil, err
	}
	return &DescribeInstanceStatusOutput{views(found, tx.instanceStatus), next}, nil
}

func (m *Model) instanceStatus(i *Instance) InstanceStatus {
	zone := m.instanceZone(i)
	return InstanceStatus{
		AvailabilityZone: zone, AvailabilityZoneId: m.ZoneID(zone), Events: []struct{}{}, InstanceId: i.ID, InstanceState: stateOf(i.State),
		InstanceStatus: i.statusSummary(), SystemStatus: i.statusSummary(),
	}
}

func (i *Instance) statusSummary() InstanceStatusSummary {
	switch i.State {
	case StateRunning:
		return InstanceStatusSummary{[]InstanceStatusDetail{{"reachability", "passed"}}, "ok"}
	case StatePending:
		return InstanceStatusSummary{[]InstanceStatusDetail{{"reachability", "initializing"}}, "initializing"}
	}
	return InstanceStatusSummary{[]InstanceStatusDetail{}, "not-applicable"}
}

// onInstance answers a filter by the API's form of an instance.
func onInstance(answer func(*InstanceInfo) string) func(*Model, *Instance) []string {
	return func(m *Model, i *Instance) []string {
		info := m.instanceInfo(i)
		if s := answer(&info); s != "" {
			return []string{s}
		}
		return nil
	}
}

// onReason answers a filter by the reason of the instance's state.
func onReason(answer func(*StateReason) string) func(*Model, *Instance) []string {
	return func(_ *Model, i *Instance) []string {
		if r := i.stateReason(); r != nil {
			return []string{answer(r)}
		}
		return nil
	}
}

// onGroups answers a filter by the groups of the primary interface.
func onGroups(answer func(*GroupIdentifier) string) func(*Model, *Instance) []string {
	return func(m *Model, i *Instance) []string { return each(m.instanceInfo(i).SecurityGroups, answer) }
}

var instanceStatusFilters = filterSet[Instance]{
	"availability-zone":            func(m *Model, i *Instance) []string { return one(m.instanceZone(i)) },
	"availability-zone-id":         func(m *Model, i *Instance) []string { return one(m.ZoneID(m.instanceZone(i))) },
	"event.code":                   unknownHere[Instance],
	"event.description":            unknownHere[Instance],
	"event.instance-event-id":      unknownHere[Instance],
	"event.not-after":              unknownHere[Instance],
	"event.not-before":             unknownHere[Instance],
	"event.not-before-deadline":    unknownHere[Instance],
	"operator.managed":             func(*Model, *Instance) []string { return boolText(false) },
	"operator.principal":           unknownHere[Instance],
	"attached-ebs-status.status":   func(_ *Model, i *Instance) []string { return one(i.statusSummary().Status) },
	"instance-state-code":          func(_ *Model, i *Instance) []string { return intText(stateCodes[i.State]) },
	"instance-state-name":          func(_ *Model, i *Instance) []string { return one(i.State) },
	"instance-status.reachability": statusDetail,
	"instance-status.status":       func(_ *Model, i *Instance) []string { return one(i.statusSummary().Status) },
	"system-status.reachability":   statusDetail,
	"system-status.status":         func(_ *Model, i *Instance) []string { return one(i.statusSummary().Status) },
}

func statusDetail(_ *Model, i *Instance) []string {
	return each(i.statusSummary().Details, func(d *InstanceStatusDetail) string { return d.Status })
}
