package vpc

import (
	"strings"
	"time"
)

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
	Ipv6Addresses                   []struct{}                         `json:"Ipv6Addresses"`
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

// DescribeNetworkInterfaces lists interfaces, those of NAT gateways included.
func (tx *Tx) DescribeNetworkInterfaces(in *DescribeNetworkInterfacesInput) (*DescribeNetworkInterfacesOutput, error) {
	found, next, err := describe(tx, &tx.NetworkInterfaces, in.NetworkInterfaceIds, interfaceFilters, in.Filters, paging{in.MaxResults, in.NextToken, 5, 1000})
	if err != nil {
		return nil, err
	}
	return &DescribeNetworkInterfacesOutput{views(found, tx.interfaceInfo), next}, nil
}

// interfaceInfo is the interface as the API answers it.
func (m *Model) interfaceInfo(n *NetworkInterface) NetworkInterfaceInfo {
	info := NetworkInterfaceInfo{
		Attachment: m.attachmentInfo(n), AvailabilityZone: n.AvailabilityZone, AvailabilityZoneId: m.ZoneID(n.AvailabilityZone),
		ConnectionTrackingConfiguration: n.tracking(), Description: n.Description, Groups: m.groupIdentifiers(n.Groups),
		InterfaceType: n.InterfaceType, Ipv6Addresses: []struct{}{}, MacAddress: n.MacAddress, NetworkInterfaceId: n.ID, OwnerId: n.Account,
		PrivateDnsName: PrivateDnsName(n.Region, n.Primary()), PrivateIpAddress: n.Primary().String(), RequesterId: n.RequesterID, RequesterManaged: n.RequesterManaged,
		SourceDestCheck: n.SourceDestCheck, Status: n.Status, SubnetId: n.SubnetID, TagSet: tagList(n.Tags), VpcId: n.VpcID, LinkType: n.LinkType,
	}
	for _, p := range n.PrivateIps {
		info.PrivateIpAddresses = append(info.PrivateIpAddresses, NetworkInterfacePrivateIpAddress{
			Association: m.associationInfo(n, p), Primary: p.Primary, PrivateDnsName: PrivateDnsName(n.Region, p.PrivateIp), PrivateIpAddress: p.PrivateIp.String(),
		})
	}
	if info.Association = info.PrivateIpAddresses[0].Association; info.Association != nil {
		info.PublicDnsName = info.Association.PublicDnsName
	}
	return info
}

// associationInfo is the public address of one of the interface's private ones,
// nil if it has none.
func (m *Model) associationInfo(n *NetworkInterface, p PrivateAddress) *NetworkInterfaceAssociation {
	public := m.PublicAddressOf(n, p)
	if !public.IsValid() {
		return nil
	}
	info := &NetworkInterfaceAssociation{IpOwnerId: "amazon", PublicDnsName: m.PublicDnsName(n.VpcID, public), PublicIp: public.String()}
	if a := m.Addresses.Get(p.AllocationID); a != nil {
		info.AllocationId, info.AssociationId, info.IpOwnerId = a.AllocationID, a.AssociationID, a.Account
	}
	return info
}

// attachmentInfo is the interface's attachment. That of a NAT gateway's interface
// is shown as to an instance of Amazon's own, as AWS does.
func (m *Model) attachmentInfo(n *NetworkInterface) *NetworkInterfaceAttachment {
	if a := n.Attachment; a != nil {
		return &NetworkInterfaceAttachment{
			AttachTime: a.AttachTime, AttachmentId: a.ID, DeleteOnTermination: a.DeleteOnTermination, DeviceIndex: a.DeviceIndex,
			InstanceId: a.InstanceID, InstanceOwnerId: n.Account, Status: a.Status,
		}
	}
	if !n.RequesterManaged {
		return nil
	}
	return &NetworkInterfaceAttachment{
		AttachTime: n.Created, AttachmentId: AttachmentID("ela-attach-" + strings.TrimPrefix(string(n.ID), "eni-")), DeviceIndex: 1,
		InstanceOwnerId: "amazon-aws", Status: "attached",
	}
}

// tracking is nil while every timeout is the default.
func (n *NetworkInterface) tracking() *ConnectionTracking {
	c := ConnectionTracking{n.TcpEstablishedTimeout, n.UdpStreamTimeout, n.UdpTimeout}
	if c == (ConnectionTracking{}) {
		return nil
	}
	return &c
}

// groupIdentifiers names the groups; never nil.
func (m *Model) groupIdentifiers(ids []SecurityGroupID) []GroupIdentifier {
	list := make([]GroupIdentifier, 0, len(ids))
	for _, id := range ids {
		g := GroupIdentifier{GroupId: id}
		if o := m.SecurityGroups.Get(id); o != nil {
			g.GroupName = o.GroupName
		}
		list = append(list, g)
	}
	return list
}

// timeText is a time in the form in which filters give it.
func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// unknownHere answers documented filters about things that a lab has none of.
func unknownHere[V any](*Model, *V) []string { return nil }

// onAttachment answers a filter by the interface's attachment, if it has one.
func onAttachment(answer func(*NetworkInterfaceAttachment) []string) func(*Model, *NetworkInterface) []string {
	return func(m *Model, n *NetworkInterface) []string {
		if a := m.attachmentInfo(n); a != nil {
			return answer(a)
		}
		return nil
	}
}

// onAssociations answers a filter by the public addresses of the interface: of
// the primary address alone, or of all.
func onAssociations(all bool, answer func(*NetworkInterfaceAssociation) string) func(*Model, *NetworkInterface) []string {
	return func(m *Model, n *NetworkInterface) []string {
		var list []string
		for _, p := range n.PrivateIps {
			if a := m.associationInfo(n, p); a != nil && (all || p.Primary) {
				list = append(list, answer(a))
			}
		}
		return list
	}
}

var interfaceFilters = filterSet[NetworkInterface]{
	"addresses.association.owner-id":  onAssociations(true, func(a *NetworkInterfaceAssociation) string { return a.IpOwnerId }),
	"addresses.association.public-ip": onAssociations(true, func(a *NetworkInterfaceAssociation) string { return a.PublicIp }),
	"addresses.primary": func(_ *Model, n *NetworkInterface) []string {
		return each(n.PrivateIps, func(p *PrivateAddress) string { return boolText(p.Primary)[0] })
	},
	"addresses.private-ip-address": func(_ *Model, n *NetworkInterface) []string {
		return each(n.PrivateIps, func(p *PrivateAddress) string { return p.PrivateIp.String() })
	},
	"association.allocation-id":        onAssociations(false, func(a *NetworkInterfaceAssociation) string { return string(a.AllocationId) }),
	"association.association-id":       onAssociations(false, func(a *NetworkInterfaceAssociation) string { return string(a.AssociationId) }),
	"association.ip-owner-id":          onAssociations(false, func(a *NetworkInterfaceAssociation) string { return a.IpOwnerId }),
	"association.public-ip":            onAssociations(false, func(a *NetworkInterfaceAssociation) string { return a.PublicIp }),
	"association.public-dns-name":      onAssociations(false, func(a *NetworkInterfaceAssociation) string { return a.PublicDnsName }),
	"attachment.attach-time":           onAttachment(func(a *NetworkInterfaceAttachment) []string { return one(timeText(a.AttachTime)) }),
	"attachment.attachment-id":         onAttachment(func(a *NetworkInterfaceAttachment) []string { return one(a.AttachmentId) }),
	"attachment.delete-on-termination": onAttachment(func(a *NetworkInterfaceAttachment) []string { return boolText(a.DeleteOnTermination) }),
	"attachment.device-index":          onAttachment(func(a *NetworkInterfaceAttachment) []string { return intText(a.DeviceIndex) }),
	"attachment.instance-id":           onAttachment(func(a *NetworkInterfaceAttachment) []string { return one(a.InstanceId) }),
	"attachment.instance-owner-id":     onAttachment(func(a *NetworkInterfaceAttachment) []string { return one(a.InstanceOwnerId) }),
	"attachment.status":                onAttachment(func(a *NetworkInterfaceAttachment) []string { return one(a.Status) }),
	"availability-zone":                func(_ *Model, n *NetworkInterface) []string { return one(n.AvailabilityZone) },
	"availability-zone-id":             func(m *Model, n *NetworkInterface) []string { return one(m.ZoneID(n.AvailabilityZone)) },
	"description":                      func(_ *Model, n *NetworkInterface) []string { return one(n.Description) },
	"group-id": func(_ *Model, n *NetworkInterface) []string {
		return each(n.Groups, func(g *SecurityGroupID) string { return string(*g) })
	},
	"group-name": func(m *Model, n *NetworkInterface) []string {
		return each(m.groupIdentifiers(n.Groups), func(g *GroupIdentifier) string { return g.GroupName })
	},
	// The filter's documentation and the model's enumeration spell the type of a
	// NAT gateway's interface differently; both find it (NA-01).
	"interface-type": func(_ *Model, n *NetworkInterface) []string {
		if n.InterfaceType == "natGateway" {
			return []string{"natGateway", "nat_gateway"}
		}
		return one(n.InterfaceType)
	},
	"ipv6-addresses.ipv6-address": unknownHere[NetworkInterface],
	"mac-address":                 func(_ *Model, n *NetworkInterface) []string { return one(n.MacAddress) },
	"network-interface-id":        func(_ *Model, n *NetworkInterface) []string { return one(n.ID) },
	"operator.managed":            func(*Model, *NetworkInterface) []string { return boolText(false) },
	"operator.principal":          unknownHere[NetworkInterface],
	"private-dns-name":            func(m *Model, n *NetworkInterface) []string { return one(PrivateDnsName(n.Region, n.Primary())) },
	"private-ip-address":          func(_ *Model, n *NetworkInterface) []string { return one(n.Primary().String()) },
	"requester-id":                func(_ *Model, n *NetworkInterface) []string { return one(n.RequesterID) },
	"requester-managed":           func(_ *Model, n *NetworkInterface) []string { return boolText(n.RequesterManaged) },
	"source-dest-check":           func(_ *Model, n *NetworkInterface) []string { return boolText(n.SourceDestCheck) },
	"status":                      func(_ *Model, n *NetworkInterface) []string { return one(n.Status) },
	"subnet-id":                   func(_ *Model, n *NetworkInterface) []string { return one(n.SubnetID) },
	"vpc-id":                      func(_ *Model, n *NetworkInterface) []string { return one(n.VpcID) },
}
