package vpc

import (
	"net/netip"
	"slices"
)

// AssociateVpcCidrBlockInput and the other inputs and outputs below have the members of the EC2 API.
type AssociateVpcCidrBlockInput struct {
	VpcId     VpcID
	CidrBlock string
}

type AssociateVpcCidrBlockOutput struct {
	CidrBlockAssociation VpcCidrBlockAssociation `json:"CidrBlockAssociation"`
	VpcId                VpcID                   `json:"VpcId"`
}

// AssociateVpcCidrBlock adds a secondary block to a VPC and its local route to
// every route table of the VPC (AD-03 to AD-06).
func (tx *Tx) AssociateVpcCidrBlock(in *AssociateVpcCidrBlockInput) (*AssociateVpcCidrBlockOutput, error) {
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
	if err := tx.newBlockAllowed(v, cidr); err != nil {
		return nil, err
	}
	a := CidrAssociation{newID[CidrAssociationID](tx), cidr, "associated"}
	c := *v
	c.Cidrs = append(slices.Clone(v.Cidrs), a)
	tx.Vpcs.Put(c.ID, &c)
	tx.changeRoutes(v.ID, func(routes []Route) []Route {
		i := slices.IndexFunc(routes, func(r Route) bool { return r.Origin != originTable })
		if i < 0 {
			i = len(routes)
		}
		return slices.Insert(routes, i, localRoute(v.ID, cidr))
	})
	info := a.info()
	info.CidrBlockState.State = "associating"
	return &AssociateVpcCidrBlockOutput{info, v.ID}, nil
}

func (tx *Tx) newBlockAllowed(v *Vpc, cidr netip.Prefix) error {
	if !vpcBlockAllowed(cidr) {
		return errorf("InvalidVpc.Range", "The CIDR '%s' is invalid.", cidr)
	}
	for _, c := range v.Cidrs {
		if c.CidrBlock.Overlaps(cidr) {
			return errorf("CidrConflict", "The CIDR '%s' conflicts with the CIDR '%s' of the VPC '%s'.", cidr, c.CidrBlock, v.ID)
		}
	}
	if with, bad := restrictedBlock(v, cidr); bad {
		return errorf("InvalidVpc.Range", "The CIDR '%s' is restricted. It may not be added to a VPC with the CIDR '%s'.", cidr, with)
	}
	for _, t := range tx.RouteTables.All() {
		if t.VpcID != v.ID {
			continue
		}
		for _, r := range t.Routes {
			if contains(cidr, r.DestinationCidrBlock) { // AD-04
				return errorf("CidrConflict", "The CIDR '%s' contains the destination '%s' of a route in the route table '%s'.", cidr, r.DestinationCidrBlock, t.ID)
			}
		}
	}
	if len(v.Cidrs) >= tx.Quota(QuotaCidrs) {
		return errorf("CidrLimitExceeded", "This network %s has met its maximum number of allowed CIDRs: %d", v.ID, tx.Quota(QuotaCidrs))
	}
	return nil
}

// The ranges of AD-05.
var (
	rfc1918a   = netip.MustParsePrefix("10.0.0.0/8")
	rfc1918b   = netip.MustParsePrefix("172.16.0.0/12")
	rfc1918c   = netip.MustParsePrefix("192.168.0.0/16")
	benchmark  = netip.MustParsePrefix("198.19.0.0/16")
	defaultNet = netip.MustParsePrefix("172.31.0.0/16")
	lowTen     = netip.MustParsePrefix("10.0.0.0/15")
	lowestTen  = netip.MustParsePrefix("10.0.0.0/16")
)

// restrictedBlock is the matrix of AD-05, read for the VPC's primary block: the
// table's rows for further blocks would forbid what its first row allows. It
// returns the block that stands in the way.
func restrictedBlock(v *Vpc, cidr netip.Prefix) (netip.Prefix, bool) {
	primary := v.CidrBlock
	var forbidden []netip.Prefix
	switch {
	case contains(rfc1918a, primary):
		forbidden = []netip.Prefix{rfc1918b, rfc1918c, benchmark}
	case contains(rfc1918b, primary):
		forbidden = []netip.Prefix{rfc1918a, rfc1918c, defaultNet, benchmark}
	case contains(rfc1918c, primary):
		forbidden = []netip.Prefix{rfc1918a, rfc1918b, benchmark}
	case contains(benchmark, primary):
		forbidden = []netip.Prefix{rfc1918a, rfc1918b, rfc1918c}
	default:
		forbidden = []netip.Prefix{rfc1918a, rfc1918b, rfc1918c, benchmark}
	}
	if slices.ContainsFunc(forbidden, cidr.Overlaps) {
		return primary, true
	}
	if lowestTen.Overlaps(cidr) {
		for _, c := range v.Cidrs {
			if contains(lowTen, c.CidrBlock) {
				return c.CidrBlock, true
			}
		}
	}
	return netip.Prefix{}, false
}

type DisassociateVpcCidrBlockInput struct {
	AssociationId CidrAssociationID
}

type DisassociateVpcCidrBlockOutput struct {
	CidrBlockAssociation VpcCidrBlockAssociation `json:"CidrBlockAssociation"`
	VpcId                VpcID                   `json:"VpcId"`
}

// DisassociateVpcCidrBlock takes a secondary block away, with its local routes.
// The primary stays (AD-03), and so does a block with subnets in it.
func (tx *Tx) DisassociateVpcCidrBlock(in *DisassociateVpcCidrBlockInput) (*DisassociateVpcCidrBlockOutput, error) {
	v, i, err := tx.findCidrAssociation(in.AssociationId)
	if err != nil {
		return nil, err
	}
	a := v.Cidrs[i]
	if i == 0 {
		return nil, errorf("OperationNotPermitted", "The vpc CIDR block with association ID %s may not be disassociated. It is the primary IPv4 CIDR block of the VPC", a.ID)
	}
	for _, s := range tx.Subnets.All() {
		if s.VpcID == v.ID && contains(a.CidrBlock, s.CidrBlock) {
			return nil, errorf("InvalidCidrBlock.InUse", "The vpc %s currently has a subnet within CIDR block %s", v.ID, a.CidrBlock)
		}
	}
	c := *v
	c.Cidrs = slices.Delete(slices.Clone(v.Cidrs), i, i+1)
	tx.Vpcs.Put(c.ID, &c)
	tx.changeRoutes(v.ID, func(routes []Route) []Route {
		return slices.DeleteFunc(routes, func(r Route) bool {
			return r.Origin == originTable && r.DestinationCidrBlock == a.CidrBlock
		})
	})
	info := a.info()
	info.CidrBlockState.State = "disassociating"
	return &DisassociateVpcCidrBlockOutput{info, v.ID}, nil
}

func (tx *Tx) findCidrAssociation(id CidrAssociationID) (*Vpc, int, error) {
	k := kindOf[CidrAssociationID]()
	for _, v := range tx.Vpcs.All() {
		if i := slices.IndexFunc(v.Cidrs, func(c CidrAssociation) bool { return c.ID == id }); i >= 0 {
			return v, i, nil
		}
	}
	if err := k.check(string(id)); err != nil {
		return nil, 0, err
	}
	return nil, 0, k.notFoundError(string(id))
}
