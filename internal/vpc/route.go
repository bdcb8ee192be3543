package vpc

import (
	"net/netip"
	"slices"
	"strings"
)

// RouteInfo is a route as the API answers it; GatewayId is "local" for the
// target local.
type RouteInfo struct {
	DestinationCidrBlock string             `json:"DestinationCidrBlock"`
	GatewayId            string             `json:"GatewayId,omitempty"`
	InstanceId           InstanceID         `json:"InstanceId,omitempty"`
	InstanceOwnerId      string             `json:"InstanceOwnerId,omitempty"`
	NatGatewayId         NatGatewayID       `json:"NatGatewayId,omitempty"`
	NetworkInterfaceId   NetworkInterfaceID `json:"NetworkInterfaceId,omitempty"`
	Origin               string             `json:"Origin"`
	State                string             `json:"State"`
}

func (m *Model) routeInfo(r Route) RouteInfo {
	i := RouteInfo{
		DestinationCidrBlock: r.DestinationCidrBlock.String(), GatewayId: string(r.GatewayID), NatGatewayId: r.NatGatewayID,
		NetworkInterfaceId: r.NetworkInterfaceID, Origin: r.Origin, State: m.RouteState(r),
	}
	if r.Local {
		i.GatewayId = "local"
	}
	// AWS names the instance of an interface target whichever way the route was given.
	if n := m.NetworkInterfaces.Get(r.NetworkInterfaceID); n != nil && n.Attachment != nil && n.Attachment.InstanceID != "" {
		i.InstanceId, i.InstanceOwnerId = n.Attachment.InstanceID, m.Account
	}
	return i
}

// Route states (RT-09).
const (
	RouteActive    = "active"
	RouteBlackhole = "blackhole"
)

// RouteState is active, or blackhole when the route's target is gone, is not
// attached to the route's VPC, or is a network interface attached to nothing
// (RT-10) or to an instance that is stopped: AWS's text names terminated NAT
// instances only; users see it for stopped ones, and not yet while they stop.
func (m *Model) RouteState(r Route) string {
	ok := r.Local
	switch {
	case r.GatewayID != "":
		g := m.InternetGateways.Get(r.GatewayID)
		ok = g != nil && g.VpcID != "" && (r.VpcID == "" || g.VpcID == r.VpcID)
	case r.NatGatewayID != "":
		n := m.NatGateways.Get(r.NatGatewayID)
		ok = n != nil && n.Deleted.IsZero() && (n.State == "available" || n.State == "pending")
	case r.NetworkInterfaceID != "":
		n := m.NetworkInterfaces.Get(r.NetworkInterfaceID)
		ok = n != nil && n.Deleted.IsZero() && (n.RequesterManaged || n.Attachment != nil && !m.stopped(n.Attachment.InstanceID))
	}
	if ok {
		return RouteActive
	}
	return RouteBlackhole
}

func (m *Model) stopped(id InstanceID) bool {
	i := m.Instances.Get(id)
	return i != nil && i.State == StateStopped
}

// CreateRouteInput and the other inputs and outputs below have the members of the EC2 API.
type CreateRouteInput struct {
	RouteTableId         RouteTableID
	DestinationCidrBlock string
	GatewayId            InternetGatewayID
	NatGatewayId         NatGatewayID
	NetworkInterfaceId   NetworkInterfaceID
	InstanceId           InstanceID
	DryRun               bool
}

type CreateRouteOutput struct {
	Return bool `json:"Return"`
}

// CreateRoute adds a route with one destination and one target (RT-05, RT-11,
// RT-12, AD-02, AD-13; in a gateway's table RT-14).
func (tx *Tx) CreateRoute(in *CreateRouteInput) (*CreateRouteOutput, error) {
	t, dest, err := tx.routeDestination(in.RouteTableId, in.DestinationCidrBlock)
	if err != nil {
		return nil, err
	}
	r, err := tx.routeTarget(t, dest, in.GatewayId, in.NatGatewayId, in.NetworkInterfaceId, in.InstanceId)
	if err != nil {
		return nil, err
	}
	if t.routeTo(dest) >= 0 {
		return nil, errorf("RouteAlreadyExists", "The route identified by %s already exists.", dest)
	}
	if err := tx.routeAllowed(t, r); err != nil {
		return nil, err
	}
	if len(t.Routes) >= tx.Quota(QuotaRoutes) {
		return nil, errorf("RouteLimitExceeded", "The maximum number of routes for the route table '%s' has been reached.", t.ID)
	}
	r.Origin = originRoute
	c := t.clone()
	c.Routes = append(c.Routes, r)
	tx.RouteTables.Put(c.ID, c)
	return &CreateRouteOutput{true}, nil
}

// routeDestination finds the table and reads the destination.
func (tx *Tx) routeDestination(id RouteTableID, cidr string) (*RouteTable, netip.Prefix, error) {
	t, err := find(&tx.RouteTables, id)
	if err != nil {
		return nil, netip.Prefix{}, err
	}
	if cidr == "" {
		return nil, netip.Prefix{}, errMissing("destinationCidrBlock")
	}
	dest, err := parseCidr(cidr, "destinationCidrBlock")
	return t, dest, err
}

// routeTo is the index of the route with exactly this destination, or -1.
func (t *RouteTable) routeTo(dest netip.Prefix) int {
	return slices.IndexFunc(t.Routes, func(r Route) bool { return r.DestinationCidrBlock == dest })
}

// routeTarget checks that exactly one target is named, that it exists and that
// it belongs to the table's VPC. An instance stands for its one network
// interface (RT-11).
func (tx *Tx) routeTarget(t *RouteTable, dest netip.Prefix, igw InternetGatewayID, nat NatGatewayID, eni NetworkInterfaceID, instance InstanceID) (Route, error) {
	if strings.HasPrefix(string(igw), kindOf[NatGatewayID]().prefix) && nat == "" { // AWS takes it, too
		igw, nat = "", NatGatewayID(igw)
	}
	r := Route{DestinationCidrBlock: dest, GatewayID: igw, NatGatewayID: nat, NetworkInterfaceID: eni, InstanceID: instance, VpcID: t.VpcID}
	n := 0
	for _, id := range []string{string(igw), string(nat), string(eni), string(instance)} {
		if id != "" {
			n++
		}
	}
	switch {
	case n == 0:
		return r, errorf("MissingParameter", "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId, instanceId")
	case n > 1:
		return r, errorf("InvalidParameterCombination", "Only one of gatewayId, natGatewayId, networkInterfaceId, instanceId may be specified")
	case igw != "":
		return r, tx.gatewayTarget(t, igw)
	case nat != "":
		return r, tx.natTarget(t, nat)
	}
	if instance != "" {
		var err error
		if r.NetworkInterfaceID, err = tx.onlyInterface(instance); err != nil {
			return r, err
		}
	}
	e, err := find(&tx.NetworkInterfaces, r.NetworkInterfaceID)
	if err == nil && e.VpcID != t.VpcID {
		err = errInvalid("route table %s and interface %s belong to different networks", t.ID, e.ID)
	}
	return r, err
}

func (tx *Tx) gatewayTarget(t *RouteTable, id InternetGatewayID) error {
	g := tx.InternetGateways.Get(id)
	if g == nil {
		// As a route target a gateway may be of several kinds; the code is its own.
		if k := kindOf[InternetGatewayID](); !WellFormed(k.prefix, string(id)) {
			return errorf("InvalidGatewayID.Malformed", "Invalid id: %q (expecting %q)", string(id), k.prefix+"...")
		}
		return errorf("InvalidGatewayID.NotFound", "The gateway ID '%s' does not exist", id)
	}
	if g.VpcID != t.VpcID {
		return errInvalid("route table %s and network gateway %s belong to different networks", t.ID, id)
	}
	return nil
}

func (tx *Tx) natTarget(t *RouteTable, id NatGatewayID) error {
	n, err := find(&tx.NatGateways, id)
	switch {
	case err != nil && !WellFormed(kindOf[NatGatewayID]().prefix, string(id)):
		return err
	case err != nil || !n.Deleted.IsZero() || n.State == "deleted" || n.State == "deleting" || n.State == "failed":
		return errorf("InvalidNatGatewayID.NotFound", "The natGateway ID '%s' does not exist", id)
	case n.VpcID != t.VpcID:
		return errInvalid("route table %s and natGateway %s belong to different networks", t.ID, id)
	}
	return nil
}

func (tx *Tx) onlyInterface(id InstanceID) (NetworkInterfaceID, error) {
	if _, err := find(&tx.Instances, id); err != nil {
		return "", err
	}
	nics := tx.InstanceInterfaces(id)
	switch len(nics) {
	case 0:
		return "", errorf("InvalidInstanceID", "There are no interfaces attached to instance '%s'.", id)
	case 1:
		return nics[0].ID, nil
	}
	return "", errorf("InvalidInstanceID", "There are multiple interfaces attached to instance '%s'. Please specify an interface ID for the operation instead.", id)
}

// awsServices is the link-local range of AWS's own services (AD-13).
var awsServices = netip.MustParsePrefix("169.254.168.0/22")

// routeAllowed tells whether a route may stand in the table.
func (m *Model) routeAllowed(t *RouteTable, r Route) error {
	dest := r.DestinationCidrBlock
	if contains(awsServices, dest) {
		return errInvalid("The destination CIDR block %s is reserved for AWS services.", dest)
	}
	if t.isGatewayTable() {
		return m.gatewayRouteAllowed(t, r)
	}
	v := m.Vpcs.Get(t.VpcID)
	if v == nil || !slices.ContainsFunc(v.Cidrs, func(c CidrAssociation) bool { return contains(c.CidrBlock, dest) }) {
		return nil
	}
	// Equal to local, or more specific: RT-04, RT-05.
	if r.GatewayID != "" {
		return errInvalid("The destination CIDR block %s is equal to or more specific than one of this VPC's CIDR blocks. This route can target only an interface, an instance or a NAT gateway.", dest)
	}
	if !v.hasBlock(dest) && !m.isSubnetBlock(v.ID, dest) {
		return errInvalid("The destination CIDR block %s is more specific than one of this VPC's CIDR blocks and is not the CIDR block of a subnet.", dest)
	}
	return nil
}

// gatewayRouteAllowed is RT-14: targets local and network interface, destinations
// a block of the VPC or of one of its subnets.
func (m *Model) gatewayRouteAllowed(t *RouteTable, r Route) error {
	if r.Local {
		return nil
	}
	dest := r.DestinationCidrBlock
	if r.GatewayID != "" || r.NatGatewayID != "" {
		return errInvalid("Route table %s contains unsupported route target for the destination %s. A gateway's route table can target only local or a network interface.", t.ID, dest)
	}
	v := m.Vpcs.Get(t.VpcID)
	if v == nil || !v.hasBlock(dest) && !m.isSubnetBlock(v.ID, dest) {
		return errInvalid("Route table %s contains unsupported route destination %s. A gateway's route table can hold only the CIDR blocks of the VPC and of its subnets.", t.ID, dest)
	}
	return nil
}

func (v *Vpc) hasBlock(p netip.Prefix) bool {
	return slices.ContainsFunc(v.Cidrs, func(c CidrAssociation) bool { return c.CidrBlock == p })
}

func (m *Model) isSubnetBlock(id VpcID, p netip.Prefix) bool {
	for _, s := range m.Subnets.All() {
		if s.VpcID == id && s.CidrBlock == p {
			return true
		}
	}
	return false
}

type ReplaceRouteInput struct {
	RouteTableId         RouteTableID
	DestinationCidrBlock string
	LocalTarget          bool
	GatewayId            InternetGatewayID
	NatGatewayId         NatGatewayID
	NetworkInterfaceId   NetworkInterfaceID
	InstanceId           InstanceID
	DryRun               bool
}

type ReplaceRouteOutput struct{}

// ReplaceRoute gives a route another target. A local route may be turned to a
// network interface or NAT gateway and back by LocalTarget (RT-04).
func (tx *Tx) ReplaceRoute(in *ReplaceRouteInput) (*ReplaceRouteOutput, error) {
	t, dest, err := tx.routeDestination(in.RouteTableId, in.DestinationCidrBlock)
	if err != nil {
		return nil, err
	}
	i := t.routeTo(dest)
	if i < 0 {
		return nil, errNoRoute(t, dest)
	}
	r := localRoute(t.VpcID, dest)
	if in.LocalTarget {
		if in.GatewayId != "" || in.NatGatewayId != "" || in.NetworkInterfaceId != "" || in.InstanceId != "" {
			return nil, errorf("InvalidParameterCombination", "The parameter localTarget cannot be used with another target")
		}
		if t.Routes[i].Origin != originTable {
			return nil, errInvalid("The route identified by %s is not a local route.", dest)
		}
	} else {
		if r, err = tx.routeTarget(t, dest, in.GatewayId, in.NatGatewayId, in.NetworkInterfaceId, in.InstanceId); err != nil {
			return nil, err
		}
		if err := tx.routeAllowed(t, r); err != nil {
			return nil, err
		}
	}
	r.Origin = t.Routes[i].Origin
	c := t.clone()
	c.Routes[i] = r
	tx.RouteTables.Put(c.ID, c)
	return &ReplaceRouteOutput{}, nil
}

func errNoRoute(t *RouteTable, dest netip.Prefix) error {
	return errorf("InvalidRoute.NotFound", "no route with destination-cidr-block %s in route table %s", dest, t.ID)
}

type DeleteRouteInput struct {
	RouteTableId         RouteTableID
	DestinationCidrBlock string
	DryRun               bool
}

type DeleteRouteOutput struct{}

// DeleteRoute deletes a route other than a local one (RT-04).
func (tx *Tx) DeleteRoute(in *DeleteRouteInput) (*DeleteRouteOutput, error) {
	t, dest, err := tx.routeDestination(in.RouteTableId, in.DestinationCidrBlock)
	if err != nil {
		return nil, err
	}
	i := t.routeTo(dest)
	if i < 0 {
		return nil, errNoRoute(t, dest)
	}
	if t.Routes[i].Origin == originTable {
		return nil, errInvalid("cannot remove local route %s in route table %s", dest, t.ID)
	}
	c := t.clone()
	c.Routes = slices.Delete(c.Routes, i, i+1)
	tx.RouteTables.Put(c.ID, c)
	return &DeleteRouteOutput{}, nil
}

// changeRoutes changes the routes of every table of a VPC. change gets a copy.
func (tx *Tx) changeRoutes(id VpcID, change func([]Route) []Route) {
	for _, t := range tx.RouteTables.All() {
		if t.VpcID == id {
			c := t.clone()
			c.Routes = change(c.Routes)
			tx.RouteTables.Put(c.ID, c)
		}
	}
}
