package vpc

import "net/netip"

// DefaultVpc is the VPC that an instance without a subnet is launched in, or nil. Of a
// model that shows all Regions it is that of the home Region.
func (m *Model) DefaultVpc() *Vpc {
	for _, v := range m.Vpcs.All() {
		if v.IsDefault && v.Region == m.here() {
			return v
		}
	}
	return nil
}

// DefaultSubnet is the zone's default subnet, of the first zone that has one
// where zone is "" (of the Region that DefaultVpc is of), or nil.
func (m *Model) DefaultSubnet(zone string) *Subnet {
	var first *Subnet
	for _, s := range m.Subnets.All() {
		if s.DefaultForAz && (s.AvailabilityZone == zone || zone == "" && s.Region == m.here()) &&
			(first == nil || s.AvailabilityZone < first.AvailabilityZone) {
			first = s
		}
	}
	return first
}

// CreateDefaultVpcInput and the other inputs and outputs below have the members of the EC2 API.
type CreateDefaultVpcInput struct {
	DryRun bool
}

type CreateDefaultVpcOutput struct {
	Vpc VpcInfo `json:"Vpc"`
}

// CreateDefaultVpc makes the default VPC: 172.31.0.0/16, a public /20 in each
// zone, an Internet gateway and the route to it (DV-01, DV-02).
func (tx *Tx) CreateDefaultVpc(in *CreateDefaultVpcInput) (*CreateDefaultVpcOutput, error) {
	if tx.DefaultVpc() != nil {
		return nil, errorf("DefaultVpcAlreadyExists", "A Default VPC already exists for this account in this region.")
	}
	var v *Vpc
	err := tx.attempt(func() (err error) { v, err = tx.makeDefaultVpc(); return err })
	if err != nil {
		return nil, err
	}
	info := v.info()
	info.State = "pending"
	return &CreateDefaultVpcOutput{info}, nil
}

func (tx *Tx) makeDefaultVpc() (*Vpc, error) {
	v, err := tx.makeVpc(&CreateVpcInput{CidrBlock: defaultNet.String()}, true)
	if err != nil {
		return nil, err
	}
	for _, zone := range tx.zones() {
		if _, err := tx.makeDefaultSubnet(v, zone); err != nil {
			return nil, err
		}
	}
	gw, err := tx.CreateInternetGateway(&CreateInternetGatewayInput{})
	if err != nil {
		return nil, err
	}
	id := gw.InternetGateway.InternetGatewayId
	if _, err := tx.AttachInternetGateway(&AttachInternetGatewayInput{InternetGatewayId: id, VpcId: v.ID}); err != nil {
		return nil, err
	}
	_, err = tx.CreateRoute(&CreateRouteInput{RouteTableId: tx.MainRouteTable(v.ID).ID, DestinationCidrBlock: "0.0.0.0/0", GatewayId: id})
	return v, err
}

type CreateDefaultSubnetInput struct {
	AvailabilityZone   string
	AvailabilityZoneId string
	DryRun             bool
}

type CreateDefaultSubnetOutput struct {
	Subnet SubnetInfo `json:"Subnet"`
}

// CreateDefaultSubnet makes the default subnet of a zone anew (DV-02).
func (tx *Tx) CreateDefaultSubnet(in *CreateDefaultSubnetInput) (*CreateDefaultSubnetOutput, error) {
	if in.AvailabilityZone == "" && in.AvailabilityZoneId == "" {
		return nil, errMissing("availabilityZone")
	}
	zone, err := tx.zoneFor(in.AvailabilityZone, in.AvailabilityZoneId)
	if err != nil {
		return nil, err
	}
	v := tx.DefaultVpc()
	if v == nil {
		return nil, errorf("DefaultVpcDoesNotExist", "No default VPC exists for this account in this region.")
	}
	if s := tx.DefaultSubnet(zone); s != nil {
		return nil, errorf("DefaultSubnetAlreadyExistsInAvailabilityZone", "'%s' is already the default subnet in %s.", s.ID, zone)
	}
	s, err := tx.makeDefaultSubnet(v, zone)
	if err != nil {
		return nil, err
	}
	info := tx.subnetInfo(s)
	info.State = "pending"
	return &CreateDefaultSubnetOutput{info}, nil
}

// makeDefaultSubnet takes the first /20 of the VPC that is free.
func (tx *Tx) makeDefaultSubnet(v *Vpc, zone string) (*Subnet, error) {
	for n := uint32(0); n < 16; n++ {
		cidr := netip.PrefixFrom(offset(v.CidrBlock.Addr(), n<<12), 20)
		if tx.overlapsSubnet(v.ID, cidr) {
			continue
		}
		s, err := tx.makeSubnet(&CreateSubnetInput{VpcId: v.ID, CidrBlock: cidr.String(), AvailabilityZone: zone})
		if err != nil {
			return nil, err
		}
		s.MapPublicIpOnLaunch, s.DefaultForAz = true, true // made just now, not yet shared
		return s, nil
	}
	return nil, errorf("InvalidSubnet.Conflict", "The default VPC '%s' has no free /20 block.", v.ID)
}

func (m *Model) overlapsSubnet(id VpcID, p netip.Prefix) bool {
	for _, s := range m.Subnets.All() {
		if s.VpcID == id && s.CidrBlock.Overlaps(p) {
			return true
		}
	}
	return false
}
