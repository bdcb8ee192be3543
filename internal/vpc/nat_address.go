package vpc

import (
	"net/netip"
	"slices"
	"time"
)

// AssociateNatGatewayAddressInput and the other types below have the members of the EC2 API.
type AssociateNatGatewayAddressInput struct {
	NatGatewayId       NatGatewayID
	AllocationIds      []AllocationID
	PrivateIpAddresses []string
	DryRun             bool
}

type AssociateNatGatewayAddressOutput struct {
	NatGatewayId        NatGatewayID            `json:"NatGatewayId"`
	NatGatewayAddresses []NatGatewayAddressInfo `json:"NatGatewayAddresses"`
}

type DisassociateNatGatewayAddressInput struct {
	NatGatewayId            NatGatewayID
	AssociationIds          []AddressAssocID
	MaxDrainDurationSeconds *int
	DryRun                  bool
}

type DisassociateNatGatewayAddressOutput struct {
	NatGatewayId        NatGatewayID            `json:"NatGatewayId"`
	NatGatewayAddresses []NatGatewayAddressInfo `json:"NatGatewayAddresses"`
}

type AssignPrivateNatGatewayAddressInput struct {
	NatGatewayId          NatGatewayID
	PrivateIpAddresses    []string
	PrivateIpAddressCount *int
	DryRun                bool
}

type AssignPrivateNatGatewayAddressOutput struct {
	NatGatewayId        NatGatewayID            `json:"NatGatewayId"`
	NatGatewayAddresses []NatGatewayAddressInfo `json:"NatGatewayAddresses"`
}

type UnassignPrivateNatGatewayAddressInput struct {
	NatGatewayId            NatGatewayID
	PrivateIpAddresses      []string
	MaxDrainDurationSeconds *int
	DryRun                  bool
}

type UnassignPrivateNatGatewayAddressOutput struct {
	NatGatewayId        NatGatewayID            `json:"NatGatewayId"`
	NatGatewayAddresses []NatGatewayAddressInfo `json:"NatGatewayAddresses"`
}

// States of a NAT gateway's address.
const (
	natSucceeded      = "succeeded"
	natDisassociating = "disassociating"
	natUnassigning    = "unassigning"
)

// How long a draining address goes on serving its connections (NA-17), in seconds.
const (
	defaultDrain = 350
	maxDrain     = 4000
)

// AssociateNatGatewayAddress adds Elastic IPs to a public gateway, each with a
// private address of its own.
func (tx *Tx) AssociateNatGatewayAddress(in *AssociateNatGatewayAddressInput) (*AssociateNatGatewayAddressOutput, error) {
	g, s, err := tx.workingNat(in.NatGatewayId, "public")
	if err != nil {
		return nil, err
	}
	switch {
	case len(in.AllocationIds) == 0:
		return nil, errMissing("allocationIds")
	case len(in.PrivateIpAddresses) > 0 && len(in.PrivateIpAddresses) != len(in.AllocationIds):
		return nil, errorf("InvalidParameterCombination", "The numbers of allocation IDs and private IP addresses differ.")
	case len(g.Addresses)+len(in.AllocationIds) > tx.natElasticIps():
		return nil, errNatElasticIps(tx.natElasticIps())
	}
	for i, id := range in.AllocationIds {
		a, err := find(&tx.Addresses, id)
		if err != nil {
			return nil, err
		}
		if a.AssociationID != "" || slices.Contains(in.AllocationIds[:i], id) {
			return nil, errorf("Resource.AlreadyAssociated", "Elastic IP address %s is already associated", id)
		}
	}
	addrs, err := tx.secondaryAddresses(s, in.PrivateIpAddresses, len(in.AllocationIds))
	if err != nil {
		return nil, err
	}
	g = tx.addNatAddresses(g, addrs, in.AllocationIds)
	return &AssociateNatGatewayAddressOutput{g.ID, natAddressInfos(g, func(e *NatGatewayAddress) bool { return slices.Contains(in.AllocationIds, e.AllocationID) })}, nil
}

// AssignPrivateNatGatewayAddress adds private addresses to a private gateway.
func (tx *Tx) AssignPrivateNatGatewayAddress(in *AssignPrivateNatGatewayAddressInput) (*AssignPrivateNatGatewayAddressOutput, error) {
	g, s, err := tx.workingNat(in.NatGatewayId, "private")
	if err != nil {
		return nil, err
	}
	n := len(in.PrivateIpAddresses)
	switch {
	case n > 0 && in.PrivateIpAddressCount != nil:
		return nil, errorf("InvalidParameterCombination", "PrivateIpAddresses and PrivateIpAddressCount cannot be used together")
	case in.PrivateIpAddressCount != nil:
		n = *in.PrivateIpAddressCount
	}
	switch {
	case n < 1:
		return nil, errMissing("privateIpAddresses or privateIpAddressCount")
	case len(g.Addresses)+n > maxNatAddresses:
		return nil, errorf("PrivateIpAddressLimitExceeded", "A NAT gateway has at most %d private IP addresses.", maxNatAddresses)
	}
	addrs, err := tx.secondaryAddresses(s, in.PrivateIpAddresses, n)
	if err != nil {
		return nil, err
	}
	g = tx.addNatAddresses(g, addrs, nil)
	return &AssignPrivateNatGatewayAddressOutput{g.ID, natAddressInfos(g, func(e *NatGatewayAddress) bool { return slices.Contains(addrs, e.PrivateIp) })}, nil
}

// workingNat is an available gateway of the connectivity type, and its subnet.
func (tx *Tx) workingNat(id NatGatewayID, connectivity string) (*NatGateway, *Subnet, error) {
	g, err := tx.liveNat(id)
	if err != nil {
		return nil, nil, err
	}
	if g.State != natAvailable {
		return nil, nil, errorf("IncorrectState", "NAT gateway %s is %s.", id, g.State)
	}
	if g.ConnectivityType != connectivity {
		return nil, nil, errorf("Unsupported", "NAT gateway %s is %s; the operation is for %s ones.", id, g.ConnectivityType, connectivity)
	}
	s, err := find(&tx.Subnets, g.SubnetID)
	return g, s, err
}

// secondaryAddresses are n free addresses of the subnet, chosen or automatic.
func (tx *Tx) secondaryAddresses(s *Subnet, texts []string, n int) ([]netip.Addr, error) {
	if len(texts) > 0 {
		return tx.appendAddresses(s, nil, texts)
	}
	return tx.freeAddresses(s, n)
}

// addNatAddresses gives the gateway and its interface further addresses.
func (tx *Tx) addNatAddresses(g *NatGateway, addrs []netip.Addr, ids []AllocationID) *NatGateway {
	n := tx.NetworkInterfaces.Get(g.NetworkInterfaceID).change()
	for _, a := range addrs {
		n.PrivateIps = append(n.PrivateIps, PrivateAddress{PrivateIp: a})
	}
	tx.NetworkInterfaces.Put(n.ID, n)
	c := *g
	c.Addresses = slices.Clone(g.Addresses)
	for i, a := range addrs {
		e := NatGatewayAddress{PrivateIp: a, Status: natSucceeded}
		if i < len(ids) {
			e.tie(tx, n.ID, ids[i])
		}
		c.Addresses = append(c.Addresses, e)
	}
	tx.NatGateways.Put(c.ID, &c)
	return &c
}

// DisassociateNatGatewayAddress takes secondary Elastic IPs from a public
// gateway. They first drain: they serve the connections that they have and take
// no new ones (NA-17); NatAddressIdle and PurgeDeleted end that.
func (tx *Tx) DisassociateNatGatewayAddress(in *DisassociateNatGatewayAddressInput) (*DisassociateNatGatewayAddressOutput, error) {
	g, _, err := tx.workingNat(in.NatGatewayId, "public")
	if err != nil {
		return nil, err
	}
	if len(in.AssociationIds) == 0 {
		return nil, errMissing("associationIds")
	}
	var places []int
	for _, id := range in.AssociationIds {
		i := slices.IndexFunc(g.Addresses, func(e NatGatewayAddress) bool { return e.AssociationID == id && id != "" })
		if i < 0 {
			return nil, kindOf[AddressAssocID]().notFoundError(string(id))
		}
		places = append(places, i)
	}
	g, err = tx.drain(g, places, in.MaxDrainDurationSeconds, natDisassociating)
	if err != nil {
		return nil, err
	}
	return &DisassociateNatGatewayAddressOutput{g.ID, natAddressInfos(g, func(e *NatGatewayAddress) bool { return slices.Contains(in.AssociationIds, e.AssociationID) })}, nil
}

// UnassignPrivateNatGatewayAddress takes secondary addresses from a private
// gateway; they drain likewise.
func (tx *Tx) UnassignPrivateNatGatewayAddress(in *UnassignPrivateNatGatewayAddressInput) (*UnassignPrivateNatGatewayAddressOutput, error) {
	g, _, err := tx.workingNat(in.NatGatewayId, "private")
	if err != nil {
		return nil, err
	}
	if len(in.PrivateIpAddresses) == 0 {
		return nil, errMissing("privateIpAddresses")
	}
	var places []int
	for _, text := range in.PrivateIpAddresses {
		i := slices.IndexFunc(g.Addresses, func(e NatGatewayAddress) bool { return e.PrivateIp.String() == text })
		if i < 0 {
			return nil, errInvalid("Private IP address %s is not assigned to NAT gateway %s", text, g.ID)
		}
		places = append(places, i)
	}
	g, err = tx.drain(g, places, in.MaxDrainDurationSeconds, natUnassigning)
	if err != nil {
		return nil, err
	}
	return &UnassignPrivateNatGatewayAddressOutput{g.ID, natAddressInfos(g, func(e *NatGatewayAddress) bool { return slices.Contains(in.PrivateIpAddresses, e.PrivateIp.String()) })}, nil
}

// drain marks the gateway's addresses at these places as going. The primary one
// stays (NA-17).
func (tx *Tx) drain(g *NatGateway, places []int, seconds *int, status string) (*NatGateway, error) {
	d := defaultDrain
	if seconds != nil {
		d = *seconds
	}
	if d < 1 || d > maxDrain {
		return nil, errValue(d, "maxDrainDurationSeconds", "It must be between 1 and 4000.")
	}
	c := *g
	c.Addresses = slices.Clone(g.Addresses)
	for _, i := range places {
		e := &c.Addresses[i]
		if e.IsPrimary {
			return nil, errorf("OperationNotPermitted", "The primary address %s of NAT gateway %s cannot be removed.", e.PrivateIp, g.ID)
		}
		if e.Status == natSucceeded {
			e.Status, e.DrainUntil = status, tx.Call.Now.Add(time.Duration(d)*time.Second)
		}
	}
	tx.NatGateways.Put(c.ID, &c)
	return &c, nil
}

// Draining tells whether the address takes no new connections (NA-17).
func (e *NatGatewayAddress) Draining() bool { return !e.DrainUntil.IsZero() }

// NatAddressIdle: no connection uses the draining address of the gateway any more, so that it goes before its time:
// MaxDrainDurationSeconds is for connections that are still in progress (NA-17). It is no EC2 action: see settle.go.
func (tx *Tx) NatAddressIdle(id NatGatewayID, a netip.Addr) {
	g := tx.NatGateways.Get(id)
	if g == nil {
		return
	}
	c := *g
	c.Addresses = slices.Clone(g.Addresses)
	for i := range c.Addresses {
		if e := &c.Addresses[i]; e.PrivateIp == a && e.Draining() && tx.Call.Now.Before(e.DrainUntil) {
			e.DrainUntil = tx.Call.Now
		}
	}
	tx.dropDrained(&c, tx.Call.Now)
}

// dropDrained removes the addresses of the gateway whose time is up.
func (tx *Tx) dropDrained(g *NatGateway, now time.Time) {
	over := func(e NatGatewayAddress) bool { return e.Draining() && !now.Before(e.DrainUntil) }
	if !slices.ContainsFunc(g.Addresses, over) {
		return
	}
	for _, e := range g.Addresses {
		if over(e) {
			tx.freeAddress(e.AllocationID)
		}
	}
	if n := tx.NetworkInterfaces.Get(g.NetworkInterfaceID); n != nil {
		c := n.change()
		c.PrivateIps = slices.DeleteFunc(c.PrivateIps, func(p PrivateAddress) bool {
			return slices.ContainsFunc(g.Addresses, func(e NatGatewayAddress) bool { return over(e) && e.PrivateIp == p.PrivateIp })
		})
		tx.NetworkInterfaces.Put(c.ID, c)
	}
	c := *g
	c.Addresses = slices.DeleteFunc(slices.Clone(g.Addresses), over)
	tx.NatGateways.Put(c.ID, &c)
}
