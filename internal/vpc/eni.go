package vpc

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// CreateNetworkInterfaceInput and the other types below have the members of the EC2 API.
type CreateNetworkInterfaceInput struct {
	SubnetId                        SubnetID
	Description                     string
	PrivateIpAddress                string
	PrivateIpAddresses              []PrivateIpAddressSpecification
	SecondaryPrivateIpAddressCount  *int
	Groups                          []SecurityGroupID
	InterfaceType                   string // interface, or "" for it
	ConnectionTrackingSpecification *ConnectionTracking
	TagSpecifications               []TagSpecification
	ClientToken                     string
	DryRun                          bool
	// LinkType is vpcemu's own: tun (default) or tap.
	LinkType string
}

// PrivateIpAddressSpecification asks for an address; one of a list may be Primary.
type PrivateIpAddressSpecification struct {
	Primary          *bool // nil: false
	PrivateIpAddress string
}

type CreateNetworkInterfaceOutput struct {
	NetworkInterface NetworkInterfaceInfo `json:"NetworkInterface"`
	ClientToken      string               `json:"ClientToken,omitempty"`
}

type DeleteNetworkInterfaceInput struct {
	NetworkInterfaceId NetworkInterfaceID
	DryRun             bool
}

type DeleteNetworkInterfaceOutput struct{}

// CreateNetworkInterface makes an interface that is attached to nothing yet. Its
// addresses, groups and MAC stay with it wherever it is attached (EN-01); without
// groups it gets the VPC's default one (SG-02); it keeps the subnet's present
// wish for public addresses (PI-01).
func (tx *Tx) CreateNetworkInterface(in *CreateNetworkInterfaceInput) (*CreateNetworkInterfaceOutput, error) {
	meta, err := tx.newMeta("network-interface", in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	if in.InterfaceType != "" && in.InterfaceType != "interface" {
		return nil, errValue(in.InterfaceType, "interfaceType", "Only interface is supported.")
	}
	n, err := tx.newInterface(meta, interfaceRequest{
		subnet: in.SubnetId, description: in.Description, groups: in.Groups, tracking: in.ConnectionTrackingSpecification, linkType: in.LinkType,
		addressRequest: addressRequest{primary: in.PrivateIpAddress, list: in.PrivateIpAddresses, secondaryCount: in.SecondaryPrivateIpAddressCount},
	})
	if err != nil {
		return nil, err
	}
	n.RequesterID = n.Account
	tx.NetworkInterfaces.Put(n.ID, n)
	info := tx.interfaceInfo(n)
	info.Status = "pending"
	return &CreateNetworkInterfaceOutput{NetworkInterface: info, ClientToken: in.ClientToken}, nil
}

// interfaceRequest is what CreateNetworkInterface and RunInstances ask for alike.
type interfaceRequest struct {
	subnet      SubnetID
	description string
	groups      []SecurityGroupID
	tracking    *ConnectionTracking
	linkType    string
	addressRequest
}

// newInterface checks the request and returns the interface, which its caller
// puts into the model at once: only then are its addresses taken.
func (tx *Tx) newInterface(meta Meta, r interfaceRequest) (*NetworkInterface, error) {
	s, err := find(&tx.Subnets, r.subnet)
	if err != nil {
		return nil, err
	}
	if err := r.tracking.check(); err != nil {
		return nil, err
	}
	link, err := linkType(r.linkType)
	if err != nil {
		return nil, err
	}
	groups, err := tx.interfaceGroups(s.VpcID, r.groups, string(s.ID))
	if err != nil {
		return nil, err
	}
	if n := tx.Quota(QuotaNetworkInterfaces); tx.NetworkInterfaces.Len() >= n {
		return nil, errorf("NetworkInterfaceLimitExceeded", "The maximum number of network interfaces (%d) has been reached.", n)
	}
	addrs, err := tx.chooseAddresses(s, r.addressRequest)
	if err != nil {
		return nil, err
	}
	n := tx.interfaceIn(s, meta, addrs)
	n.Groups, n.Description, n.LinkType, n.MapPublic = groups, r.description, link, s.MapPublicIpOnLaunch
	n.setTracking(r.tracking)
	return n, nil
}

// interfaceIn returns a new interface of the subnet with these addresses.
func (tx *Tx) interfaceIn(s *Subnet, meta Meta, addrs []netip.Addr) *NetworkInterface {
	id := newID[NetworkInterfaceID](tx)
	n := &NetworkInterface{
		Meta: meta, ID: id, Handle: tx.newHandle(), VpcID: s.VpcID, SubnetID: s.ID, AvailabilityZone: s.AvailabilityZone,
		MacAddress: tx.newMac(string(id)), SourceDestCheck: true, InterfaceType: "interface", Status: "available", LinkType: "tun",
	}
	for i, a := range addrs {
		n.PrivateIps = append(n.PrivateIps, PrivateAddress{PrivateIp: a, Primary: i == 0})
	}
	return n
}

// newHandle draws the next number of the packet path. Handles are never reused
// in a lab: tracked connections outlive the daemon and name them.
func (tx *Tx) newHandle() uint32 {
	h := max(tx.NextHandle, 1)
	tx.NextHandle = h + 1
	return h
}

// newMac derives a locally administered MAC from an object's ID, so that it is
// the same whenever the same topology is made (L2-03), and unlike any other.
func (tx *Tx) newMac(id string) string {
	for salt := 0; ; salt++ {
		h := sha256.Sum256(fmt.Appendf(nil, "%s/%d", id, salt))
		mac := fmt.Sprintf("0a:%02x:%02x:%02x:%02x:%02x", h[0], h[1], h[2], h[3], h[4])
		if !tx.macTaken(mac) {
			return mac
		}
	}
}

// macTaken looks at all Regions: they share one data plane.
func (tx *Tx) macTaken(mac string) bool {
	for _, n := range tx.NetworkInterfaces.m {
		if n.MacAddress == mac {
			return true
		}
	}
	for _, h := range tx.InternetHosts.m {
		if h.Mac == mac {
			return true
		}
	}
	return false
}

// linkType checks vpcemu's own choice of device.
func linkType(s string) (string, error) {
	switch s {
	case "":
		return "tun", nil
	case "tun", "tap":
		return s, nil
	}
	return "", errValue(s, "linkType", "It is tun or tap.")
}

// interfaceGroups checks the groups asked for, which must be of the VPC; of none
// it makes the VPC's default group (SG-02). other is what the groups are to meet,
// for the error.
func (m *Model) interfaceGroups(vpc VpcID, ids []SecurityGroupID, other string) ([]SecurityGroupID, error) {
	if len(ids) == 0 {
		if g := m.DefaultSecurityGroup(vpc); g != nil {
			return []SecurityGroupID{g.ID}, nil
		}
		return nil, errorf("InvalidGroup.NotFound", "The security group 'default' does not exist in VPC '%s'", vpc)
	}
	var groups []SecurityGroupID
	for _, id := range ids {
		g, err := find(&m.SecurityGroups, id)
		if err != nil {
			return nil, err
		}
		if g.VpcID != vpc {
			return nil, errorf("InvalidParameter", "Security group %s and %s belong to different networks.", id, other)
		}
		if !slices.Contains(groups, id) {
			groups = append(groups, id)
		}
	}
	if n := m.Quota(QuotaGroupsPerEni); len(groups) > n {
		return nil, errorf("SecurityGroupsPerInterfaceLimitExceeded", "The maximum number of security groups per interface (%d) has been reached.", n)
	}
	return groups, nil
}

// check refuses timeouts outside AWS's ranges (CT-02, API ConnectionTrackingSpecificationRequest).
func (c *ConnectionTracking) check() error {
	if c == nil {
		return nil
	}
	for _, t := range []struct {
		name          string
		seconds, l, h int
	}{
		{"tcpEstablishedTimeout", c.TcpEstablishedTimeout, 60, 432000},
		{"udpTimeout", c.UdpTimeout, 30, 60},
		{"udpStreamTimeout", c.UdpStreamTimeout, 60, 180},
	} {
		if t.seconds != 0 && (t.seconds < t.l || t.seconds > t.h) {
			return errValue(t.seconds, t.name, fmt.Sprintf("It must be between %d and %d seconds.", t.l, t.h))
		}
	}
	return nil
}

func (n *NetworkInterface) setTracking(c *ConnectionTracking) {
	if c == nil {
		return
	}
	n.TcpEstablishedTimeout, n.UdpTimeout, n.UdpStreamTimeout = c.TcpEstablishedTimeout, c.UdpTimeout, c.UdpStreamTimeout
}

// ownInterface is the interface for an action that would change it: one that AWS
// manages, as a NAT gateway's, is refused (EN-07).
func (m *Model) ownInterface(id NetworkInterfaceID) (*NetworkInterface, error) {
	n, err := find(&m.NetworkInterfaces, id)
	if err != nil {
		return nil, err
	}
	if n.RequesterManaged {
		return nil, errorf("OperationNotPermitted", "You are not allowed to manage '%s': it is managed by its requester.", id)
	}
	return n, nil
}

// DeleteNetworkInterface deletes a detached interface (EN-03). Its Elastic IPs
// stay allocated; routes to it become blackholes.
func (tx *Tx) DeleteNetworkInterface(in *DeleteNetworkInterfaceInput) (*DeleteNetworkInterfaceOutput, error) {
	n, err := tx.ownInterface(in.NetworkInterfaceId)
	if err != nil {
		return nil, err
	}
	if n.Attachment != nil {
		return nil, errorf("InvalidNetworkInterface.InUse", "Network interface '%s' is currently in use by instance '%s'.", n.ID, n.Attachment.InstanceID)
	}
	tx.removeInterface(n)
	return &DeleteNetworkInterfaceOutput{}, nil
}

// removeInterface takes the interface out of the model with its flow logs, and frees its
// Elastic IPs.
func (tx *Tx) removeInterface(n *NetworkInterface) {
	tx.dropFlowLogs(string(n.ID))
	for _, p := range n.PrivateIps {
		tx.freeAddress(p.AllocationID)
	}
	tx.NetworkInterfaces.Delete(n.ID)
}

// Primary is the interface's primary private address.
func (n *NetworkInterface) Primary() netip.Addr { return n.PrivateIps[0].PrivateIp }

// change returns a copy of the interface that may be altered and put back.
func (n *NetworkInterface) change() *NetworkInterface {
	c := *n
	c.PrivateIps = slices.Clone(n.PrivateIps)
	if n.Attachment != nil {
		c.Attachment = new(*n.Attachment)
	}
	return &c
}

// InstanceInterfaces are the interfaces attached to an instance, by device index.
func (m *Model) InstanceInterfaces(id InstanceID) []*NetworkInterface {
	if m.held != nil {
		return m.held.interfaces[id]
	}
	var list []*NetworkInterface
	for _, n := range m.NetworkInterfaces.each() {
		if n.Attachment != nil && n.Attachment.InstanceID == id {
			list = append(list, n)
		}
	}
	byDevice(list)
	return list
}

// attempt runs f and puts the working copy back as it was if f fails: for
// actions that change several objects one after another.
func (tx *Tx) attempt(f func() error) error {
	before := tx.Model.Clone()
	if err := f(); err != nil {
		tx.Model = before
		return err
	}
	return nil
}

// errorCode is the AWS code of an error, "" for none.
func errorCode(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
