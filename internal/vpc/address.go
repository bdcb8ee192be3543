package vpc

import "net/netip"

// AllocateAddressInput and the other types below have the members of the EC2 API.
type AllocateAddressInput struct {
	Domain             string // vpc
	Address            string // a certain free address of the lab's pools
	PublicIpv4Pool     string // amazon
	NetworkBorderGroup string // the Region
	TagSpecifications  []TagSpecification
	DryRun             bool
}

type AllocateAddressOutput struct {
	AllocationId       AllocationID `json:"AllocationId"`
	PublicIpv4Pool     string       `json:"PublicIpv4Pool"`
	NetworkBorderGroup string       `json:"NetworkBorderGroup"`
	Domain             string       `json:"Domain"`
	PublicIp           string       `json:"PublicIp"`
}

type ReleaseAddressInput struct {
	AllocationId       AllocationID
	PublicIp           string
	NetworkBorderGroup string
	DryRun             bool
}

type ReleaseAddressOutput struct{}

type AssociateAddressInput struct {
	AllocationId       AllocationID
	PublicIp           string
	InstanceId         InstanceID
	NetworkInterfaceId NetworkInterfaceID
	PrivateIpAddress   string
	AllowReassociation *bool
	DryRun             bool
}

type AssociateAddressOutput struct {
	AssociationId AddressAssocID `json:"AssociationId"`
}

type DisassociateAddressInput struct {
	AssociationId AddressAssocID
	PublicIp      string
	DryRun        bool
}

type DisassociateAddressOutput struct{}

// AllocateAddress allocates an Elastic IP to the account (EI-01, EI-04): the next
// of the pools, or a certain one of them that is free.
func (tx *Tx) AllocateAddress(in *AllocateAddressInput) (*AllocateAddressOutput, error) {
	meta, err := tx.newMeta("elastic-ip", in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	switch {
	case in.Domain != "" && in.Domain != "vpc":
		return nil, errValue(in.Domain, "domain", "Only vpc is supported.")
	case in.PublicIpv4Pool != "" && in.PublicIpv4Pool != "amazon":
		return nil, errorf("InvalidPublicIpv4PoolID.NotFound", "The pool ID '%s' does not exist", in.PublicIpv4Pool)
	case in.NetworkBorderGroup != "" && in.NetworkBorderGroup != tx.Region:
		return nil, errValue(in.NetworkBorderGroup, "networkBorderGroup", "")
	case tx.Addresses.Len() >= tx.Quota(QuotaElasticIps):
		return nil, errorf("AddressLimitExceeded", "The maximum number of addresses has been reached.")
	}
	var public netip.Addr
	if in.Address != "" {
		public, err = tx.askedPublic(in.Address)
	} else {
		public, err = tx.drawPublic()
	}
	if err != nil {
		return nil, err
	}
	a := &Address{Meta: meta, AllocationID: newID[AllocationID](tx), PublicIp: public}
	tx.Addresses.Put(a.AllocationID, a)
	return &AllocateAddressOutput{
		AllocationId: a.AllocationID, PublicIpv4Pool: "amazon", NetworkBorderGroup: tx.Region, Domain: "vpc", PublicIp: public.String(),
	}, nil
}

// askedPublic checks a public address that the caller wants to have.
func (m *Model) askedPublic(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	switch {
	case err != nil || !a.Is4():
		return a, errValue(text, "address", "Invalid IPv4 address.")
	case !m.inPools(a):
		return a, errorf("InvalidAddress.NotFound", "Address '%s' not found: it is in none of the lab's public pools.", a)
	case m.publicInUse()[a]:
		return a, errorf("InvalidIPAddress.InUse", "Address %s is in use.", a)
	}
	return a, nil
}

// ReleaseAddress gives an Elastic IP back. One that is associated is first
// disassociated in a default VPC, and refused in any other (EI-03).
func (tx *Tx) ReleaseAddress(in *ReleaseAddressInput) (*ReleaseAddressOutput, error) {
	a, err := tx.addressBy(in.AllocationId, in.PublicIp)
	if err != nil {
		return nil, err
	}
	if n := tx.NetworkInterfaces.Get(a.NetworkInterfaceID); n != nil {
		v := tx.Vpcs.Get(n.VpcID)
		if n.RequesterManaged { // a NAT gateway's, until that is gone
			return nil, errorf("AuthFailure", "You do not have permission to access the specified resource.")
		}
		if v == nil || !v.IsDefault {
			return nil, errorf("InvalidIPAddress.InUse", "Address %s is in use.", a.PublicIp)
		}
		tx.disassociate(a)
	}
	tx.Addresses.Delete(a.AllocationID)
	return &ReleaseAddressOutput{}, nil
}

// addressBy finds an Elastic IP by its allocation ID or by itself.
func (m *Model) addressBy(id AllocationID, public string) (*Address, error) {
	switch {
	case id != "" && public != "":
		return nil, errorf("InvalidParameterCombination", "You may specify public IP or allocation id, but not both in the same call")
	case id != "":
		return find(&m.Addresses, id)
	case public != "":
		return m.addressByIp(public)
	}
	return nil, errMissing("allocationId or publicIp")
}

func (m *Model) addressByIp(public string) (*Address, error) {
	for _, a := range m.Addresses.each() {
		if a.PublicIp.String() == public {
			return a, nil
		}
	}
	return nil, errorf("InvalidAddress.NotFound", "Address '%s' not found.", public)
}

// AssociateAddress associates an Elastic IP with a private address of an
// interface (EI-01, EI-02). It takes the place of the Elastic IP that is there,
// which stays allocated, and of the automatic address (PI-02). An Elastic IP that
// is associated elsewhere is moved, unless AllowReassociation is false.
func (tx *Tx) AssociateAddress(in *AssociateAddressInput) (*AssociateAddressOutput, error) {
	a, err := tx.addressBy(in.AllocationId, in.PublicIp)
	if err != nil {
		return nil, err
	}
	n, private, err := tx.addressTarget(in)
	if err != nil {
		return nil, err
	}
	if a.NetworkInterfaceID == n.ID && a.PrivateIp == private {
		return &AssociateAddressOutput{AssociationId: a.AssociationID}, nil
	}
	if a.AssociationID != "" {
		if in.AllowReassociation != nil && !*in.AllowReassociation {
			return nil, errorf("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", a.AllocationID, a.AssociationID)
		}
		if err := tx.notOfGateway(a); err != nil {
			return nil, err
		}
	}
	if tx.VpcInternetGateway(n.VpcID) == nil {
		return nil, errorf("Gateway.NotAttached", "Network %s is not attached to any internet gateway", n.VpcID)
	}
	tx.disassociate(a)
	return &AssociateAddressOutput{AssociationId: tx.associate(tx.Addresses.Get(a.AllocationID), n.ID, private)}, nil
}

// addressTarget is the interface and the private address that the request names,
// by default the primary one; an instance stands for its only interface. Of both, AWS
// documents that they cannot be given, and takes the instance: Terraform relies on it, which
// names the interface of the former instance when an address moves to another
// (hashicorp/terraform-provider-aws issue 26718 has AWS's answer).
func (tx *Tx) addressTarget(in *AssociateAddressInput) (*NetworkInterface, netip.Addr, error) {
	var none netip.Addr
	id := in.NetworkInterfaceId
	switch {
	case in.InstanceId != "" && !tx.attachedTo(id, in.InstanceId):
		i, err := find(&tx.Instances, in.InstanceId)
		if err != nil {
			return nil, none, err
		}
		if i.State == StateTerminated || i.State == StateShuttingDown {
			return nil, none, errorf("InvalidInstanceID", "The instance '%s' is %s and not in a valid state for this operation.", i.ID, i.State)
		}
		if id, err = tx.onlyInterface(i.ID); err != nil {
			return nil, none, err
		}
	case id == "":
		return nil, none, errMissing("instanceId or networkInterfaceId")
	}
	n, err := tx.ownInterface(id)
	if err != nil {
		return nil, none, err
	}
	if in.PrivateIpAddress == "" {
		return n, n.Primary(), nil
	}
	private, err := netip.ParseAddr(in.PrivateIpAddress)
	if err != nil || !n.has(private) {
		return nil, none, errInvalid("Invalid value '%s' for PrivateIpAddress: it is not an address of %s", in.PrivateIpAddress, n.ID)
	}
	return n, private, nil
}

func (m *Model) attachedTo(id NetworkInterfaceID, i InstanceID) bool {
	n := m.NetworkInterfaces.Get(id)
	return n != nil && n.Attachment != nil && n.Attachment.InstanceID == i
}

// notOfGateway refuses to touch a NAT gateway's Elastic IP (EN-07).
func (m *Model) notOfGateway(a *Address) error {
	if n := m.NetworkInterfaces.Get(a.NetworkInterfaceID); n != nil && n.RequesterManaged {
		return errorf("AuthFailure", "You do not have permission to access the specified resource: %s is in use by a NAT gateway (%s).", a.AllocationID, n.ID)
	}
	return nil
}

// associate ties a free Elastic IP to a private address of the interface.
func (tx *Tx) associate(a *Address, to NetworkInterfaceID, private netip.Addr) AddressAssocID {
	n := tx.NetworkInterfaces.Get(to).change()
	i := n.index(private)
	if old := tx.Addresses.Get(n.PrivateIps[i].AllocationID); old != nil {
		tx.Addresses.Put(old.AllocationID, old.unassociated())
	}
	n.PrivateIps[i].AllocationID = a.AllocationID
	if i == 0 {
		n.PublicIp = netip.Addr{}
	}
	tx.NetworkInterfaces.Put(n.ID, n)
	c := *a
	c.AssociationID, c.NetworkInterfaceID, c.PrivateIp = newID[AddressAssocID](tx), n.ID, private
	tx.Addresses.Put(c.AllocationID, &c)
	return c.AssociationID
}

// unassociated returns the Elastic IP free of its association.
func (a *Address) unassociated() *Address {
	c := *a
	if a.AssociationID != "" {
		c.LastAssociationID = a.AssociationID
	}
	c.AssociationID, c.NetworkInterfaceID, c.PrivateIp = "", "", netip.Addr{}
	return &c
}

// DisassociateAddress frees an Elastic IP; doing so again succeeds (EI-03). The
// interface gets an automatic public address again if it is due one (PI-03).
func (tx *Tx) DisassociateAddress(in *DisassociateAddressInput) (*DisassociateAddressOutput, error) {
	a, err := tx.associated(in)
	if err != nil {
		return nil, err
	}
	if err := tx.notOfGateway(a); err != nil {
		return nil, err
	}
	tx.disassociate(a)
	return &DisassociateAddressOutput{}, nil
}

// associated finds the Elastic IP by a present or the last association, or by itself.
func (m *Model) associated(in *DisassociateAddressInput) (*Address, error) {
	switch {
	case in.AssociationId != "" && in.PublicIp != "":
		return nil, errorf("InvalidParameterCombination", "You may specify public IP or association id, but not both in the same call")
	case in.PublicIp != "":
		return m.addressByIp(in.PublicIp)
	case in.AssociationId == "":
		return nil, errMissing("associationId or publicIp")
	}
	for _, a := range m.Addresses.each() {
		if a.AssociationID == in.AssociationId {
			return a, nil
		}
	}
	for _, a := range m.Addresses.each() {
		if a.AssociationID == "" && a.LastAssociationID == in.AssociationId {
			return a, nil
		}
	}
	k := kindOf[AddressAssocID]()
	if err := k.check(string(in.AssociationId)); err != nil {
		return nil, err
	}
	return nil, k.notFoundError(string(in.AssociationId))
}

// disassociate frees an Elastic IP of the account's own interfaces, and gives the
// interface an automatic address where it is due one and the pools have one.
func (tx *Tx) disassociate(a *Address) {
	id := a.NetworkInterfaceID
	tx.freeAddress(a.AllocationID)
	if n := tx.NetworkInterfaces.Get(id); n != nil {
		c := n.change()
		if tx.givePublic(c) == nil {
			tx.NetworkInterfaces.Put(c.ID, c)
		}
	}
}

// freeAddress takes an Elastic IP from where it is, and keeps it allocated.
func (tx *Tx) freeAddress(id AllocationID) {
	a := tx.Addresses.Get(id)
	if a == nil || a.AssociationID == "" {
		return
	}
	if n := tx.NetworkInterfaces.Get(a.NetworkInterfaceID); n != nil {
		c := n.change()
		if i := c.index(a.PrivateIp); i >= 0 {
			c.PrivateIps[i].AllocationID = ""
		}
		tx.NetworkInterfaces.Put(c.ID, c)
	}
	tx.Addresses.Put(id, a.unassociated())
}
