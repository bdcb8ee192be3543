package vpc

import "time"

// DescribeNetworkInterfacesInput and the other types below have the members of the EC2 API.
type DescribeNetworkInterfacesInput struct {
	NetworkInterfaceIds []NetworkInterfaceID
	Filters             []Filter
	MaxResults          *int
	NextToken           string
	DryRun              bool
}

type DescribeNetworkInterfacesOutput struct {
	NetworkInterfaces []NetworkInterfaceInfo `json:"NetworkInterfaces"`
	NextToken         string                 `json:"NextToken,omitempty"`
}

// NetworkInterfaceInfo is a network interface as the API answers it.
type NetworkInterfaceInfo struct {
	Association                     *NetworkInterfaceAssociation       `json:"Association,omitempty"`
	Attachment                      *NetworkInterfaceAttachment        `json:"Attachment,omitempty"`
	AvailabilityZone                string                             `json:"AvailabilityZone"`
	AvailabilityZoneId              string                             `json:"AvailabilityZoneId"`
	ConnectionTrackingConfiguration *ConnectionTracking                `json:"ConnectionTrackingConfiguration,omitempty"`
	Description                     string                             `json:"Description"`
	Groups                          []GroupIdentifier                  `json:"Groups"`
	InterfaceType                   string                             `json:"InterfaceType"`
	Ipv6Addresses                   []string                           `json:"Ipv6Addresses"`
	MacAddress                      string                             `json:"MacAddress"`
	NetworkInterfaceId              NetworkInterfaceID                 `json:"NetworkInterfaceId"`
	OwnerId                         string                             `json:"OwnerId"`
	PrivateDnsName                  string                             `json:"PrivateDnsName,omitempty"`
	PublicDnsName                   string                             `json:"PublicDnsName,omitempty"`
	PrivateIpAddress                string                             `json:"PrivateIpAddress"`
	PrivateIpAddresses              []NetworkInterfacePrivateIpAddress `json:"PrivateIpAddresses"`
	RequesterId                     string                             `json:"RequesterId,omitempty"`
	RequesterManaged                bool                               `json:"RequesterManaged"`
	SourceDestCheck                 bool                               `json:"SourceDestCheck"`
	Status                          string                             `json:"Status"`
	SubnetId                        SubnetID                           `json:"SubnetId"`
	TagSet                          []Tag                              `json:"TagSet"`
	VpcId                           VpcID                              `json:"VpcId"`
	// LinkType is vpcemu's own.
	LinkType string `json:"LinkType,omitempty"`
}

// NetworkInterfaceAssociation is the public address of a private one.
type NetworkInterfaceAssociation struct {
	AllocationId  AllocationID   `json:"AllocationId,omitempty"`
	AssociationId AddressAssocID `json:"AssociationId,omitempty"`
	IpOwnerId     string         `json:"IpOwnerId"` // the account, or amazon for an automatic one
	PublicDnsName string         `json:"PublicDnsName"`
	PublicIp      string         `json:"PublicIp"`
}

type NetworkInterfaceAttachment struct {
	AttachTime          time.Time    `json:"AttachTime"`
	AttachmentId        AttachmentID `json:"AttachmentId"`
	DeleteOnTermination bool         `json:"DeleteOnTermination"`
	DeviceIndex         int          `json:"DeviceIndex"`
	NetworkCardIndex    int          `json:"NetworkCardIndex"`
	InstanceId          InstanceID   `json:"InstanceId,omitempty"`
	InstanceOwnerId     string       `json:"InstanceOwnerId,omitempty"`
	Status              string       `json:"Status"`
}

type NetworkInterfacePrivateIpAddress struct {
	Association      *NetworkInterfaceAssociation `json:"Association,omitempty"`
	Primary          bool                         `json:"Primary"`
	PrivateDnsName   string                       `json:"PrivateDnsName,omitempty"`
	PrivateIpAddress string                       `json:"PrivateIpAddress"`
}

// ConnectionTracking are idle timeouts in seconds; 0 stands for the default (CT-02).
type ConnectionTracking struct {
	TcpEstablishedTimeout int `json:"TcpEstablishedTimeout,omitempty"`
	UdpStreamTimeout      int `json:"UdpStreamTimeout,omitempty"`
	UdpTimeout            int `json:"UdpTimeout,omitempty"`
}

// GroupIdentifier names a security group.
type GroupIdentifier struct {
	GroupName string          `json:"GroupName"`
	GroupId   SecurityGroupID `json:"GroupId"`
}
