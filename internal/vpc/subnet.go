package vpc

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// CreateSubnetInput and the other inputs and outputs below have the members of the EC2 API.
type CreateSubnetInput struct {
	VpcId              VpcID
	CidrBlock          string
	AvailabilityZone   string
	AvailabilityZoneId string
	TagSpecifications  []TagSpecification
	DryRun             bool
}

type CreateSubnetOutput struct {
	Subnet SubnetInfo `json:"Subnet"`
}

// SubnetInfo is a subnet as the API answers it.
type SubnetInfo struct {
	AvailabilityZoneId            string                        `json:"AvailabilityZoneId"`
	MapCustomerOwnedIpOnLaunch    bool                          `json:"MapCustomerOwnedIpOnLaunch"`
	OwnerId                       string                        `json:"OwnerId"`
	AssignIpv6AddressOnCreation   bool                          `json:"AssignIpv6AddressOnCreation"`
	Ipv6CidrBlockAssociationSet   []struct{}                    `json:"Ipv6CidrBlockAssociationSet"`
	Tags                          []Tag                         `json:"Tags,omitempty"`
	SubnetArn                     string                        `json:"SubnetArn"`
	EnableDns64                   bool                          `json:"EnableDns64"`
	Ipv6Native                    bool                          `json:"Ipv6Native"`
	PrivateDnsNameOptionsOnLaunch PrivateDnsNameOptionsOnLaunch `json:"PrivateDnsNameOptionsOnLaunch"`
	SubnetId                      SubnetID                      `json:"SubnetId"`
	State                         string                        `json:"State"`
	VpcId                         VpcID                         `json:"VpcId"`
	CidrBlock                     string                        `json:"CidrBlock"`
	AvailableIpAddressCount       int                           `json:"AvailableIpAddressCount"`
	AvailabilityZone              string                        `json:"AvailabilityZone"`
	DefaultForAz                  bool                          `json:"DefaultForAz"`
	MapPublicIpOnLaunch           bool                          `json:"MapPublicIpOnLaunch"`
}

type PrivateDnsNameOptionsOnLaunch struct {
	HostnameType                    string `json:"HostnameType"`
	EnableResourceNameDnsARecord    bool   `json:"EnableResourceNameDnsARecord"`
	EnableResourceNameDnsAAAARecord bool   `json:"EnableResourceNameDnsAAAARecord"`
}

func (m *Model) subnetInfo(s *Subnet) SubnetInfo {
	return SubnetInfo{
		AvailabilityZoneId: m.ZoneID(s.AvailabilityZone), OwnerId: s.Account, Ipv6CidrBlockAssociationSet: []struct{}{},
		Tags: tagList(s.Tags), SubnetArn: m.arn("subnet", string(s.ID)),
		PrivateDnsNameOptionsOnLaunch: PrivateDnsNameOptionsOnLaunch{HostnameType: s.hostnameType(), EnableResourceNameDnsARecord: s.EnableResourceNameDnsARecord},
		SubnetId:                      s.ID, State: s.State, VpcId: s.VpcID, CidrBlock: s.CidrBlock.String(),
		AvailableIpAddressCount: m.AvailableIpAddressCount(s.ID), AvailabilityZone: s.AvailabilityZone,
		DefaultForAz: s.DefaultForAz, MapPublicIpOnLaunch: s.MapPublicIpOnLaunch,
	}
}

func (s *Subnet) hostnameType() string {
	if s.PrivateDnsHostnameType == "" {
		return "ip-name"
	}
	return s.PrivateDnsHostnameType
}

// arn is the Amazon resource name of an object of the lab.
func (m *Model) arn(resource, id string) string {
	return "arn:" + Partition(m.here()) + ":ec2:" + m.here() + ":" + m.Account + ":" + resource + "/" + id
}

// CreateSubnet cuts a subnet out of a VPC's block (AD-02, AD-09, AD-15). It gets
// the VPC's default network ACL (AC-01) and follows its main route table (RT-01).
// Without a zone it lies in the Region's first.
func (tx *Tx) CreateSubnet(in *CreateSubnetInput) (*CreateSubnetOutput, error) {
	s, err := tx.makeSubnet(in)
	if err != nil {
		return nil, err
	}
	info := tx.subnetInfo(s)
	info.State = "pending"
	return &CreateSubnetOutput{info}, nil
}

func (tx *Tx) makeSubnet(in *CreateSubnetInput) (*Subnet, error) {
	v, err := find(&tx.Vpcs, in.VpcId)
	if err != nil {
		return nil, err
	}
	if in.CidrBlock == "" {
		return nil, errMissing("cidrBlock")
	}
	cidr, err := parseCidr(in.CidrBlock, "cidrBlock")
	if err != nil {
		return nil, err
	}
	zone, err := tx.zoneFor(in.AvailabilityZone, in.AvailabilityZoneId)
	if err != nil {
		return nil, err
	}
	if err := tx.subnetBlockAllowed(v, cidr); err != nil {
		return nil, err
	}
	meta, err := tx.newMeta("subnet", in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	s := &Subnet{
		Meta: meta, ID: newID[SubnetID](tx), VpcID: v.ID, CidrBlock: cidr, AvailabilityZone: zone,
		NetworkAclID: tx.DefaultNetworkAcl(v.ID).ID, AclAssociationID: newID[AclAssociationID](tx),
	}
	s.Due = tx.due(delaySubnet)
	s.State = begun(s.Due, "pending", "available")
	tx.Subnets.Put(s.ID, s)
	return s, nil
}

func (tx *Tx) subnetBlockAllowed(v *Vpc, cidr netip.Prefix) error {
	inside := slices.ContainsFunc(v.Cidrs, func(c CidrAssociation) bool { return contains(c.CidrBlock, cidr) })
	if !inside || cidr.Bits() < 16 || cidr.Bits() > 28 {
		return errorf("InvalidSubnet.Range", "The CIDR '%s' is invalid.", cidr)
	}
	n := 0
	for _, s := range tx.Subnets.All() {
		if s.VpcID != v.ID {
			continue
		}
		if n++; s.CidrBlock.Overlaps(cidr) {
			return errorf("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", cidr)
		}
	}
	if n >= tx.Quota(QuotaSubnets) {
		return errorf("SubnetLimitExceeded", "The maximum number of subnets for the VPC '%s' has been reached.", v.ID)
	}
	return nil
}

type DeleteSubnetInput struct {
	SubnetId SubnetID
	DryRun   bool
}

type DeleteSubnetOutput struct{}

// DeleteSubnet deletes a subnet without network interfaces, together with its
// associations, CIDR reservations and flow logs.
func (tx *Tx) DeleteSubnet(in *DeleteSubnetInput) (*DeleteSubnetOutput, error) {
	s, err := find(&tx.Subnets, in.SubnetId)
	if err != nil {
		return nil, err
	}
	for _, n := range tx.NetworkInterfaces.All() {
		if n.SubnetID == s.ID && n.Deleted.IsZero() {
			return nil, errDependency("subnet", s.ID)
		}
	}
	if t, i := tx.subnetAssociation(s.ID); t != nil {
		tx.dropAssociation(t, i)
	}
	for id, r := range tx.SubnetCidrReservations.All() {
		if r.SubnetID == s.ID {
			tx.SubnetCidrReservations.Delete(id)
		}
	}
	tx.dropFlowLogs(string(s.ID))
	tx.dropPlace(Place{PlaceSubnet, string(s.ID)})
	tx.Subnets.Delete(s.ID)
	return &DeleteSubnetOutput{}, nil
}

type DescribeSubnetsInput struct {
	SubnetIds  []SubnetID
	Filters    []Filter
	MaxResults *int
	NextToken  string
	DryRun     bool
}

type DescribeSubnetsOutput struct {
	Subnets   []SubnetInfo `json:"Subnets"`
	NextToken string       `json:"NextToken,omitempty"`
}

var subnetFilters = filterSet[Subnet]{
	"availability-zone":               func(_ *Model, s *Subnet) []string { return one(s.AvailabilityZone) },
	"availability-zone-id":            func(m *Model, s *Subnet) []string { return one(m.ZoneID(s.AvailabilityZone)) },
	"available-ip-address-count":      func(m *Model, s *Subnet) []string { return intText(m.AvailableIpAddressCount(s.ID)) },
	"cidr-block":                      func(_ *Model, s *Subnet) []string { return one(s.CidrBlock.String()) },
	"customer-owned-ipv4-pool":        func(*Model, *Subnet) []string { return nil },
	"default-for-az":                  func(_ *Model, s *Subnet) []string { return boolText(s.DefaultForAz) },
	"enable-dns64":                    func(*Model, *Subnet) []string { return boolText(false) },
	"enable-lni-at-device-index":      func(*Model, *Subnet) []string { return nil },
	"ipv6-native":                     func(*Model, *Subnet) []string { return boolText(false) },
	"map-public-ip-on-launch":         func(_ *Model, s *Subnet) []string { return boolText(s.MapPublicIpOnLaunch) },
	"outpost-arn":                     func(*Model, *Subnet) []string { return nil },
	"state":                           func(_ *Model, s *Subnet) []string { return one(s.State) },
	"subnet-arn":                      func(m *Model, s *Subnet) []string { return one(m.arn("subnet", string(s.ID))) },
	"subnet-id":                       func(_ *Model, s *Subnet) []string { return one(s.ID) },
	"vpc-id":                          func(_ *Model, s *Subnet) []string { return one(s.VpcID) },
	"map-customer-owned-ip-on-launch": func(*Model, *Subnet) []string { return boolText(false) },
	"ipv6-cidr-block-association.association-id":                              func(*Model, *Subnet) []string { return nil },
	"ipv6-cidr-block-association.ipv6-cidr-block":                             func(*Model, *Subnet) []string { return nil },
	"ipv6-cidr-block-association.state":                                       func(*Model, *Subnet) []string { return nil },
	"private-dns-name-options-on-launch.hostname-type":                        func(_ *Model, s *Subnet) []string { return one(s.hostnameType()) },
	"private-dns-name-options-on-launch.enable-resource-name-dns-a-record":    func(_ *Model, s *Subnet) []string { return boolText(s.EnableResourceNameDnsARecord) },
	"private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record": func(*Model, *Subnet) []string { return boolText(false) },
}

// DescribeSubnets lists subnets.
func (tx *Tx) DescribeSubnets(in *DescribeSubnetsInput) (*DescribeSubnetsOutput, error) {
	found, next, err := describe(tx, &tx.Subnets, in.SubnetIds, subnetFilters, in.Filters, paging{in.MaxResults, in.NextToken, 5, 1000})
	if err != nil {
		return nil, err
	}
	return &DescribeSubnetsOutput{views(found, tx.subnetInfo), next}, nil
}

type ModifySubnetAttributeInput struct {
	SubnetId                             SubnetID
	MapPublicIpOnLaunch                  AttributeBooleanValue
	PrivateDnsHostnameTypeOnLaunch       string
	EnableResourceNameDnsARecordOnLaunch AttributeBooleanValue
	// Subnets have none of these: false is what is so.
	AssignIpv6AddressOnCreation             AttributeBooleanValue
	EnableDns64                             AttributeBooleanValue
	EnableResourceNameDnsAAAARecordOnLaunch AttributeBooleanValue
	MapCustomerOwnedIpOnLaunch              AttributeBooleanValue
}

type ModifySubnetAttributeOutput struct{}

// ModifySubnetAttribute changes one attribute a request. Network interfaces keep
// the setting that was in force when they were made (PI-01).
func (tx *Tx) ModifySubnetAttribute(in *ModifySubnetAttributeInput) (*ModifySubnetAttributeOutput, error) {
	s, err := find(&tx.Subnets, in.SubnetId)
	if err != nil {
		return nil, err
	}
	given := []*bool{in.MapPublicIpOnLaunch.Value, in.EnableResourceNameDnsARecordOnLaunch.Value, nil}
	for _, no := range []struct {
		name  string
		value *bool
	}{
		{"AssignIpv6AddressOnCreation", in.AssignIpv6AddressOnCreation.Value}, {"EnableDns64", in.EnableDns64.Value},
		{"EnableResourceNameDnsAAAARecordOnLaunch", in.EnableResourceNameDnsAAAARecordOnLaunch.Value}, {"MapCustomerOwnedIpOnLaunch", in.MapCustomerOwnedIpOnLaunch.Value},
	} {
		if valueOr(no.value, false) {
			return nil, errorf("UnsupportedOperation", "The parameter %s is not supported by vpcemu: a subnet has neither IPv6 nor an Outpost.", no.name)
		}
		given = append(given, no.value)
	}
	hostname := in.PrivateDnsHostnameTypeOnLaunch
	switch hostname {
	case "":
	case "ip-name", "resource-name":
		given[2] = new(true)
	default:
		return nil, errValue(hostname, "privateDnsHostnameTypeOnLaunch", "It must be ip-name or resource-name.")
	}
	if err := oneAttribute(given); err != nil {
		return nil, err
	}
	c := *s
	if given[0] != nil {
		c.MapPublicIpOnLaunch = *given[0]
	}
	if given[1] != nil {
		c.EnableResourceNameDnsARecord = *given[1]
	}
	if given[2] != nil {
		c.PrivateDnsHostnameType = hostname
	}
	tx.Subnets.Put(c.ID, &c)
	return &ModifySubnetAttributeOutput{}, nil
}

// ReservedAddresses are the five of every subnet that nothing can have: network,
// router, resolver, one more, and broadcast (AD-11). Nil for an unknown subnet.
func (m *Model) ReservedAddresses(subnet SubnetID) []netip.Addr {
	s := m.Subnets.Get(subnet)
	if s == nil {
		return nil
	}
	base := s.CidrBlock.Addr()
	return []netip.Addr{base, offset(base, 1), offset(base, 2), offset(base, 3), offset(base, s.size()-1)}
}

// Reserved reports whether addr is one of ReservedAddresses.
func (m *Model) Reserved(subnet SubnetID, addr netip.Addr) bool {
	return slices.Contains(m.ReservedAddresses(subnet), addr)
}

func (s *Subnet) size() uint32 { return 1 << (32 - s.CidrBlock.Bits()) }

// offset is the IPv4 address n after a.
func offset(a netip.Addr, n uint32) netip.Addr {
	b := a.As4()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+n)
	return netip.AddrFrom4(b)
}

// usedAddresses are the private addresses of the subnet's network interfaces,
// those of stopped instances included (AD-11).
func (m *Model) usedAddresses(subnet SubnetID) map[netip.Addr]bool {
	used := map[netip.Addr]bool{}
	for _, n := range m.NetworkInterfaces.each() { // in no order: a set comes of it
		if n.SubnetID == subnet && n.Deleted.IsZero() {
			for _, a := range n.PrivateIps {
				used[a.PrivateIp] = true
			}
		}
	}
	return used
}

// AvailableIpAddressCount is the number of the subnet's addresses that are
// neither reserved nor used (AD-11); 0 for an unknown subnet.
func (m *Model) AvailableIpAddressCount(subnet SubnetID) int {
	s := m.Subnets.Get(subnet)
	if s == nil {
		return 0
	}
	return int(s.size()) - 5 - len(m.usedAddresses(subnet))
}

// PickAddress chooses a private address for a new network interface: the lowest
// that is neither reserved (AD-11), used, nor in a CIDR reservation (AD-14).
// Error: InsufficientFreeAddressesInSubnet.
func (m *Model) PickAddress(subnet SubnetID) (netip.Addr, error) {
	s, err := find(&m.Subnets, subnet)
	if err != nil {
		return netip.Addr{}, err
	}
	used := m.usedAddresses(subnet)
	var kept []netip.Prefix
	for _, r := range m.SubnetCidrReservations.All() {
		if r.SubnetID == subnet {
			kept = append(kept, r.Cidr)
		}
	}
	for n := uint32(4); n < s.size()-1; n++ {
		a := offset(s.CidrBlock.Addr(), n)
		if i := slices.IndexFunc(kept, func(p netip.Prefix) bool { return p.Contains(a) }); i >= 0 {
			// On to the reservation's last address.
			n = addrNumber(kept[i].Addr()) - addrNumber(s.CidrBlock.Addr()) + 1<<(32-kept[i].Bits()) - 1
			continue
		}
		if !used[a] {
			return a, nil
		}
	}
	return netip.Addr{}, errorf("InsufficientFreeAddressesInSubnet", "There are not enough free addresses in subnet '%s' to satisfy the requested number of instances.", subnet)
}

func addrNumber(a netip.Addr) uint32 { b := a.As4(); return binary.BigEndian.Uint32(b[:]) }
