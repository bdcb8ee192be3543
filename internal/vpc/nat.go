package vpc

import (
	"net/netip"
	"slices"
	"time"
)

// CreateNatGatewayInput and the other types below have the members of the EC2 API.
type CreateNatGatewayInput struct {
	SubnetId                       SubnetID
	AllocationId                   AllocationID
	ConnectivityType               string // public (default), private
	AvailabilityMode               string // zonal
	PrivateIpAddress               string
	SecondaryAllocationIds         []AllocationID
	SecondaryPrivateIpAddresses    []string
	SecondaryPrivateIpAddressCount *int
	TagSpecifications              []TagSpecification
	ClientToken                    string
	DryRun                         bool
}

type CreateNatGatewayOutput struct {
	ClientToken string         `json:"ClientToken,omitempty"`
	NatGateway  NatGatewayInfo `json:"NatGateway"`
}

type DeleteNatGatewayInput struct {
	NatGatewayId NatGatewayID
	DryRun       bool
}

type DeleteNatGatewayOutput struct {
	NatGatewayId NatGatewayID `json:"NatGatewayId"`
}

// States of a NAT gateway (NA-01).
const (
	natPending   = "pending"
	natAvailable = "available"
	natFailed    = "failed"
	natDeleting  = "deleting"
	natDeleted   = "deleted"
)

// maxNatAddresses is how many addresses a NAT gateway has at most; of a public
// one QuotaNatElasticIps is the limit in force (NA-05).
const maxNatAddresses = 8

// CreateNatGateway makes a zonal gateway with an interface of its own, public
// with Elastic IPs or private without (NA-01). What AWS finds out only while it
// makes the gateway is no error here either: the gateway is then in state failed,
// with the code (NA-15). The answer says pending, as AWS's does.
func (tx *Tx) CreateNatGateway(in *CreateNatGatewayInput) (*CreateNatGatewayOutput, error) {
	meta, err := tx.newMeta("natgateway", in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	if err := in.check(tx.natElasticIps()); err != nil {
		return nil, err
	}
	s, err := find(&tx.Subnets, in.SubnetId)
	if err != nil {
		return nil, err
	}
	if n := tx.Quota(QuotaNatGateways); tx.natGatewaysIn(s.AvailabilityZone) >= n {
		return nil, errorf("NatGatewayLimitExceeded", "Performing this operation would exceed the limit of %d NAT gateways", n)
	}
	addrs, err := tx.natPrivateAddresses(s, in)
	if err != nil && errorCode(err) != "InsufficientFreeAddressesInSubnet" {
		return nil, err
	}
	g := &NatGateway{
		Meta: meta, ID: newID[NatGatewayID](tx), VpcID: s.VpcID, SubnetID: s.ID, ConnectivityType: in.connectivity(),
	}
	if g.FailureCode, g.FailureMessage = tx.natFailure(s, in, err); g.FailureCode != "" {
		g.State = natFailed
		if in.AllocationId != "" {
			g.Addresses = []NatGatewayAddress{{AllocationID: in.AllocationId, IsPrimary: true, Status: natFailed}}
		}
	} else {
		tx.buildNat(g, s, addrs, in.allocations())
		g.Due = tx.due(delayNatCreate)
		g.State = begun(g.Due, natPending, natAvailable)
	}
	tx.NatGateways.Put(g.ID, g)
	info := tx.natGatewayInfo(g)
	info.State, info.FailureCode, info.FailureMessage = natPending, "", ""
	return &CreateNatGatewayOutput{ClientToken: in.ClientToken, NatGateway: info}, nil
}

func (in *CreateNatGatewayInput) connectivity() string {
	if in.ConnectivityType == "" {
		return "public"
	}
	return in.ConnectivityType
}

// allocations are the Elastic IPs asked for, the primary one first.
func (in *CreateNatGatewayInput) allocations() []AllocationID {
	if in.AllocationId == "" {
		return nil
	}
	return append([]AllocationID{in.AllocationId}, in.SecondaryAllocationIds...)
}

// natElasticIps is how many Elastic IPs a public gateway may have.
func (m *Model) natElasticIps() int { return min(m.Quota(QuotaNatElasticIps), maxNatAddresses) }

// check refuses what the request alone shows to be wrong; elastic is the limit of
// Elastic IPs.
func (in *CreateNatGatewayInput) check(elastic int) error {
	secondary := len(in.SecondaryPrivateIpAddresses)
	if in.SecondaryPrivateIpAddressCount != nil {
		if secondary > 0 {
			return errorf("InvalidParameterCombination", "SecondaryPrivateIpAddresses and SecondaryPrivateIpAddressCount cannot be used together")
		}
		if secondary = *in.SecondaryPrivateIpAddressCount; secondary < 1 {
			return errValue(secondary, "secondaryPrivateIpAddressCount", "")
		}
	}
	switch {
	case in.AvailabilityMode != "" && in.AvailabilityMode != "zonal":
		return errValue(in.AvailabilityMode, "availabilityMode", "Only zonal NAT gateways are supported.")
	case in.SubnetId == "":
		return errMissing("subnetId")
	case in.connectivity() == "private" && (in.AllocationId != "" || len(in.SecondaryAllocationIds) > 0):
		return errorf("InvalidParameterCombination", "A private NAT gateway takes no Elastic IP addresses.")
	case in.connectivity() == "private" && secondary >= maxNatAddresses:
		return errorf("PrivateIpAddressLimitExceeded", "A NAT gateway has at most %d private IP addresses.", maxNatAddresses)
	case in.connectivity() == "private":
		return nil
	case in.connectivity() != "public":
		return errValue(in.ConnectivityType, "connectivityType", "It is public or private.")
	case in.AllocationId == "":
		return errMissing("allocationId")
	case in.SecondaryPrivateIpAddressCount != nil:
		return errorf("InvalidParameterCombination", "SecondaryPrivateIpAddressCount is for private NAT gateways.")
	case secondary > 0 && secondary != len(in.SecondaryAllocationIds):
		return errorf("InvalidParameterCombination", "The numbers of secondary allocation IDs and secondary private IP addresses differ.")
	}
	ids := in.allocations()
	if len(ids) > elastic {
		return errNatElasticIps(elastic)
	}
	for i, id := range ids {
		if err := kindOf[AllocationID]().check(string(id)); err != nil {
			return err
		}
		if slices.Contains(ids[:i], id) {
			return errInvalid("The allocation ID '%s' is given twice", id)
		}
	}
	return nil
}

func errNatElasticIps(limit int) error {
	return errorf("AddressLimitExceeded", "A public NAT gateway has at most %d Elastic IP addresses.", limit)
}

// natGatewaysIn counts the zone's gateways that count against the quota (NA-16).
func (m *Model) natGatewaysIn(zone string) int {
	return count(&m.NatGateways, func(g *NatGateway) bool {
		s := m.Subnets.Get(g.SubnetID)
		return s != nil && s.AvailabilityZone == zone && slices.Contains([]string{natPending, natAvailable, natDeleting}, g.State)
	})
}

// natPrivateAddresses chooses the gateway's private addresses, the primary first.
func (tx *Tx) natPrivateAddresses(s *Subnet, in *CreateNatGatewayInput) ([]netip.Addr, error) {
	secondary, err := tx.appendAddresses(s, nil, in.SecondaryPrivateIpAddresses)
	if err != nil {
		return nil, err
	}
	var primary []netip.Addr
	if in.PrivateIpAddress != "" {
		primary, err = tx.appendAddresses(s, nil, []string{in.PrivateIpAddress})
	} else {
		primary, err = tx.freeAddresses(s, 1, secondary...)
	}
	if err != nil {
		return nil, err
	}
	if slices.Contains(secondary, primary[0]) {
		return nil, errorf("InvalidIPAddress.InUse", "Address %s is in use.", primary[0])
	}
	addrs := append(primary, secondary...)
	more := len(in.SecondaryAllocationIds) - len(secondary)
	if in.SecondaryPrivateIpAddressCount != nil {
		more = *in.SecondaryPrivateIpAddressCount
	}
	if more <= 0 {
		return addrs, nil
	}
	rest, err := tx.freeAddresses(s, more, addrs...)
	return append(addrs, rest...), err
}

// appendAddresses adds chosen free addresses of the subnet to addrs.
func (tx *Tx) appendAddresses(s *Subnet, addrs []netip.Addr, texts []string) ([]netip.Addr, error) {
	for _, text := range texts {
		a, err := tx.subnetAddress(s, text)
		if err != nil {
			return nil, err
		}
		if slices.Contains(addrs, a) || tx.holder(s.ID, a) != nil {
			return nil, errorf("InvalidIPAddress.InUse", "Address %s is in use.", a)
		}
		addrs = append(addrs, a)
	}
	return addrs, nil
}

// natFailure tells why the gateway cannot be made, as AWS's texts have it
// (NA-15); "" if it can.
func (m *Model) natFailure(s *Subnet, in *CreateNatGatewayInput, addresses error) (code, message string) {
	if in.connectivity() == "public" && m.VpcInternetGateway(s.VpcID) == nil {
		return "Gateway.NotAttached", "Network " + string(s.VpcID) + " has no Internet gateway attached"
	}
	for _, id := range in.allocations() {
		switch a := m.Addresses.Get(id); {
		case a == nil:
			return "InvalidAllocationID.NotFound", "Elastic IP address " + string(id) + " could not be found"
		case a.AssociationID != "":
			return "Resource.AlreadyAssociated", "Elastic IP address " + string(id) + " is already associated"
		}
	}
	if addresses != nil {
		return "InsufficientFreeAddressesInSubnet", "Subnet has insufficient free addresses to create this NAT gateway"
	}
	return "", ""
}

// buildNat makes the gateway's interface, which has no security groups and is
// AWS's own (NA-01, EN-07), and ties the Elastic IPs to its addresses: the
// gateway translates to these, and the Internet gateway to the Elastic IPs (NA-02).
func (tx *Tx) buildNat(g *NatGateway, s *Subnet, addrs []netip.Addr, ids []AllocationID) {
	meta := g.Meta
	meta.Tags = nil
	n := tx.interfaceIn(s, meta, addrs)
	n.InterfaceType, n.RequesterManaged, n.SourceDestCheck, n.Status = "natGateway", true, false, "in-use"
	n.Description = "Interface for NAT Gateway " + string(g.ID)
	tx.NetworkInterfaces.Put(n.ID, n)
	g.NetworkInterfaceID = n.ID
	for i, a := range addrs {
		e := NatGatewayAddress{PrivateIp: a, IsPrimary: i == 0, Status: natSucceeded}
		if i < len(ids) {
			e.tie(tx, n.ID, ids[i])
		}
		g.Addresses = append(g.Addresses, e)
	}
}

// tie associates an Elastic IP with the address.
func (e *NatGatewayAddress) tie(tx *Tx, n NetworkInterfaceID, id AllocationID) {
	a := tx.Addresses.Get(id)
	e.AssociationID = tx.associate(a, n, e.PrivateIp)
	e.AllocationID, e.PublicIp = id, a.PublicIp
}

// DeleteNatGateway deletes a gateway and its interface. The Elastic IPs stay
// allocated, routes to it become blackholes, and it is listed as deleted for
// another hour (NA-16).
func (tx *Tx) DeleteNatGateway(in *DeleteNatGatewayInput) (*DeleteNatGatewayOutput, error) {
	g, err := find(&tx.NatGateways, in.NatGatewayId)
	if err != nil {
		return nil, err
	}
	// As long as AWS lists one it accepts to delete it, which Ansible and others rely on.
	if g.State == natDeleting || !g.Deleted.IsZero() {
		return &DeleteNatGatewayOutput{NatGatewayId: g.ID}, nil
	}
	c := *g
	if c.Due = tx.due(delayNatDelete); c.Due.IsZero() {
		tx.endNat(&c, tx.Call.Now)
	} else {
		c.State = natDeleting
		tx.NatGateways.Put(c.ID, &c)
	}
	return &DeleteNatGatewayOutput{NatGatewayId: c.ID}, nil
}

// endNat puts the gateway as it is when it has been deleted.
func (tx *Tx) endNat(g *NatGateway, now time.Time) {
	if n := tx.NetworkInterfaces.Get(g.NetworkInterfaceID); n != nil {
		tx.removeInterface(n)
	}
	tx.dropPlace(Place{PlaceNatGateway, string(g.ID)})
	g.State, g.Deleted = natDeleted, now
	tx.NatGateways.Put(g.ID, g)
}

// liveNat finds a gateway that is not deleted.
func (m *Model) liveNat(id NatGatewayID) (*NatGateway, error) {
	g, err := find(&m.NatGateways, id)
	if err != nil {
		return nil, err
	}
	if !g.Deleted.IsZero() {
		return nil, kindOf[NatGatewayID]().notFoundError(string(id))
	}
	return g, nil
}
