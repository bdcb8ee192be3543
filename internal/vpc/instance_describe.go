package vpc

import "time"

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
	Architecture          string                     `json:"Architecture"`
	BlockDeviceMappings   []BlockDeviceMapping       `json:"BlockDeviceMappings"`
	EbsOptimized          bool                       `json:"EbsOptimized"`
	EnaSupport            bool                       `json:"EnaSupport"`
	Hypervisor            string                     `json:"Hypervisor"`
	NetworkInterfaces     []InstanceNetworkInterface `json:"NetworkInterfaces"`
	RootDeviceName        string                     `json:"RootDeviceName"`
	RootDeviceType        string                     `json:"RootDeviceType"`
	SecurityGroups        []GroupIdentifier          `json:"SecurityGroups"`
	SourceDestCheck       *bool                      `json:"SourceDestCheck,omitempty"`
	StateReason           *StateReason               `json:"StateReason,omitempty"`
	Tags                  []Tag                      `json:"Tags"`
	VirtualizationType    string                     `json:"VirtualizationType"`
	PrivateDnsNameOptions *PrivateDnsNameOptions     `json:"PrivateDnsNameOptions,omitempty"`
	InstanceId            InstanceID                 `json:"InstanceId"`
	ImageId               string                     `json:"ImageId"`
	State                 InstanceState              `json:"State"`
	PrivateDnsName        string                     `json:"PrivateDnsName"`
	PublicDnsName         string                     `json:"PublicDnsName"`
	StateTransitionReason string                     `json:"StateTransitionReason"`
	KeyName               string                     `json:"KeyName,omitempty"`
	AmiLaunchIndex        int                        `json:"AmiLaunchIndex"`
	ProductCodes          []string                   `json:"ProductCodes"`
	InstanceType          string                     `json:"InstanceType"`
	LaunchTime            time.Time                  `json:"LaunchTime"`
	Placement             Placement                  `json:"Placement"`
	Monitoring            Monitoring                 `json:"Monitoring"`
	SubnetId              SubnetID                   `json:"SubnetId,omitempty"`
	VpcId                 VpcID                      `json:"VpcId,omitempty"`
	PrivateIpAddress      string                     `json:"PrivateIpAddress,omitempty"`
	PublicIpAddress       string                     `json:"PublicIpAddress,omitempty"`
	// Devices is vpcemu's own.
	Devices []string `json:"Devices,omitempty"`
}

// InstanceNetworkInterface is an attached interface as part of its instance.
type InstanceNetworkInterface struct {
	Association                     *InstanceNetworkInterfaceAssociation `json:"Association,omitempty"`
	Attachment                      InstanceNetworkInterfaceAttachment   `json:"Attachment"`
	ConnectionTrackingConfiguration *ConnectionTracking                  `json:"ConnectionTrackingConfiguration,omitempty"`
	Description                     string                               `json:"Description"`
	Groups                          []GroupIdentifier                    `json:"Groups"`
	Ipv6Addresses                   []string                             `json:"Ipv6Addresses"`
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

// BlockDeviceMapping is a disk; instances of a lab have none but their overlay
// root, so that the list of them is empty.
type BlockDeviceMapping struct {
	DeviceName string `json:"DeviceName"`
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
	Events             []string              `json:"Events"`
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
