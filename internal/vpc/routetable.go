package vpc

import (
	"net/netip"
	"slices"
)

// Origins of routes (RT-09).
const (
	originTable = "CreateRouteTable"
	originRoute = "CreateRoute"
)

// CreateRouteTableInput and the other inputs and outputs below have the members of the EC2 API.
type CreateRouteTableInput struct {
	VpcId             VpcID
	TagSpecifications []TagSpecification
	ClientToken       string
	DryRun            bool
}

type CreateRouteTableOutput struct {
	RouteTable  RouteTableInfo `json:"RouteTable"`
	ClientToken string         `json:"ClientToken,omitempty"`
}

// RouteTableInfo is a route table as the API answers it.
type RouteTableInfo struct {
	Associations    []RouteTableAssociation `json:"Associations"`
	PropagatingVgws []struct{}              `json:"PropagatingVgws"`
	RouteTableId    RouteTableID            `json:"RouteTableId"`
	Routes          []RouteInfo             `json:"Routes"`
	Tags            []Tag                   `json:"Tags"`
	VpcId           VpcID                   `json:"VpcId"`
	OwnerId         string                  `json:"OwnerId"`
}

type RouteTableAssociation struct {
	Main                    bool                       `json:"Main"`
	RouteTableAssociationId RouteAssociationID         `json:"RouteTableAssociationId"`
	RouteTableId            RouteTableID               `json:"RouteTableId"`
	SubnetId                SubnetID                   `json:"SubnetId,omitempty"`
	GatewayId               InternetGatewayID          `json:"GatewayId,omitempty"`
	AssociationState        RouteTableAssociationState `json:"AssociationState"`
}

type RouteTableAssociationState struct {
	State string `json:"State"`
}

var associated = RouteTableAssociationState{"associated"}

func (m *Model) routeTableInfo(t *RouteTable) RouteTableInfo {
	i := RouteTableInfo{
		Associations: []RouteTableAssociation{}, PropagatingVgws: []struct{}{}, RouteTableId: t.ID, Routes: []RouteInfo{},
		Tags: tagList(t.Tags), VpcId: t.VpcID, OwnerId: t.Account,
	}
	for _, a := range t.Associations {
		i.Associations = append(i.Associations, RouteTableAssociation{a.Main, a.ID, t.ID, a.SubnetID, a.GatewayID, associated})
	}
	for _, r := range t.Routes {
		i.Routes = append(i.Routes, m.routeInfo(r))
	}
	return i
}

// CreateRouteTable makes a table that holds the VPC's local routes only (RT-03).
func (tx *Tx) CreateRouteTable(in *CreateRouteTableInput) (*CreateRouteTableOutput, error) {
	v, err := find(&tx.Vpcs, in.VpcId)
	if err != nil {
		return nil, err
	}
	meta, err := tx.newMeta("route-table", in.TagSpecifications)
	if err != nil {
		return nil, err
	}
	if n := count(&tx.RouteTables, func(t *RouteTable) bool { return t.VpcID == v.ID }); n >= tx.Quota(QuotaRouteTables) {
		return nil, errorf("RouteTableLimitExceeded", "The maximum number of route tables for the VPC '%s' has been reached.", v.ID)
	}
	t := tx.newRouteTable(v, meta)
	tx.RouteTables.Put(t.ID, t)
	return &CreateRouteTableOutput{tx.routeTableInfo(t), in.ClientToken}, nil
}

func (tx *Tx) newRouteTable(v *Vpc, meta Meta) *RouteTable {
	t := &RouteTable{Meta: meta, ID: newID[RouteTableID](tx), VpcID: v.ID}
	for _, c := range v.Cidrs {
		t.Routes = append(t.Routes, localRoute(v.ID, c.CidrBlock))
	}
	return t
}

func localRoute(v VpcID, cidr netip.Prefix) Route {
	return Route{DestinationCidrBlock: cidr, Local: true, Origin: originTable, VpcID: v}
}

// makeMainRouteTable gives a new VPC its main table (RT-02).
func (tx *Tx) makeMainRouteTable(v *Vpc) {
	t := tx.newRouteTable(v, tx.ownedMeta(v))
	t.Associations = []RouteAssociation{{ID: newID[RouteAssociationID](tx), Main: true}}
	tx.RouteTables.Put(t.ID, t)
}

// ownedMeta is the Meta of what a VPC brings along: as the VPC's, without tags.
func (tx *Tx) ownedMeta(v *Vpc) Meta {
	m := v.Meta
	m.Tags = nil
	return m
}

func count[K ~string, V any](t *Table[K, V], is func(*V) bool) int {
	n := 0
	for _, v := range t.All() {
		if is(v) {
			n++
		}
	}
	return n
}

func (t *RouteTable) isMain() bool {
	return slices.ContainsFunc(t.Associations, func(a RouteAssociation) bool { return a.Main })
}

// isGatewayTable tells whether the table steers what comes in through a gateway (RT-14).
func (t *RouteTable) isGatewayTable() bool {
	return slices.ContainsFunc(t.Associations, func(a RouteAssociation) bool { return a.GatewayID != "" })
}

// clone copies the table so that its lists may be changed.
func (t *RouteTable) clone() *RouteTable {
	c := *t
	c.Routes = slices.Clone(t.Routes)
	c.Associations = slices.Clone(t.Associations)
	return &c
}

// MainRouteTable is the table of every subnet that has none of its own (RT-01).
func (m *Model) MainRouteTable(id VpcID) *RouteTable {
	for _, t := range m.RouteTables.All() {
		if t.VpcID == id && t.isMain() {
			return t
		}
	}
	return nil
}

// RouteTableOf is the table in force for a subnet: the one associated with it,
// else its VPC's main table (RT-01). Nil for an unknown subnet.
func (m *Model) RouteTableOf(subnet SubnetID) *RouteTable {
	s := m.Subnets.Get(subnet)
	if s == nil {
		return nil
	}
	if t, _ := m.subnetAssociation(subnet); t != nil {
		return t
	}
	return m.MainRouteTable(s.VpcID)
}

// GatewayRouteTable is the table that an edge association ties to the gateway,
// or nil (RT-14).
func (m *Model) GatewayRouteTable(id InternetGatewayID) *RouteTable {
	t, _ := m.gatewayAssociation(id)
	return t
}

func (m *Model) subnetAssociation(id SubnetID) (*RouteTable, int) {
	return m.findAssociation(func(a RouteAssociation) bool { return a.SubnetID == id && id != "" })
}

func (m *Model) gatewayAssociation(id InternetGatewayID) (*RouteTable, int) {
	return m.findAssociation(func(a RouteAssociation) bool { return a.GatewayID == id && id != "" })
}

func (m *Model) findAssociation(is func(RouteAssociation) bool) (*RouteTable, int) {
	for _, t := range m.RouteTables.All() {
		if i := slices.IndexFunc(t.Associations, is); i >= 0 {
			return t, i
		}
	}
	return nil, -1
}

func (m *Model) associationByID(id RouteAssociationID) (*RouteTable, int, error) {
	if t, i := m.findAssociation(func(a RouteAssociation) bool { return a.ID == id }); t != nil {
		return t, i, nil
	}
	k := kindOf[RouteAssociationID]()
	if err := k.check(string(id)); err != nil {
		return nil, -1, err
	}
	return nil, -1, k.notFoundError(string(id))
}

func (tx *Tx) dropAssociation(t *RouteTable, i int) {
	c := t.clone()
	c.Associations = slices.Delete(c.Associations, i, i+1)
	tx.RouteTables.Put(c.ID, c)
}

func (tx *Tx) addAssociation(id RouteTableID, a RouteAssociation) {
	c := tx.RouteTables.Get(id).clone()
	c.Associations = append(c.Associations, a)
	tx.RouteTables.Put(id, c)
}

type DeleteRouteTableInput struct {
	RouteTableId RouteTableID
	DryRun       bool
}

type DeleteRouteTableOutput struct{}

// DeleteRouteTable deletes a table that nothing is associated with; so never the
// main one (RT-02, RT-03).
func (tx *Tx) DeleteRouteTable(in *DeleteRouteTableInput) (*DeleteRouteTableOutput, error) {
	t, err := find(&tx.RouteTables, in.RouteTableId)
	if err != nil {
		return nil, err
	}
	if len(t.Associations) > 0 {
		return nil, errDependency("routeTable", t.ID)
	}
	tx.RouteTables.Delete(t.ID)
	return &DeleteRouteTableOutput{}, nil
}

type AssociateRouteTableInput struct {
	RouteTableId RouteTableID
	SubnetId     SubnetID
	GatewayId    InternetGatewayID
	DryRun       bool
}

type AssociateRouteTableOutput struct {
	AssociationId    RouteAssociationID         `json:"AssociationId"`
	AssociationState RouteTableAssociationState `json:"AssociationState"`
}

// AssociateRouteTable ties a table to a subnet, the main table included (RT-02),
// or to an Internet gateway (RT-14).
func (tx *Tx) AssociateRouteTable(in *AssociateRouteTableInput) (*AssociateRouteTableOutput, error) {
	t, err := find(&tx.RouteTables, in.RouteTableId)
	if err != nil {
		return nil, err
	}
	a := RouteAssociation{SubnetID: in.SubnetId, GatewayID: in.GatewayId}
	switch {
	case in.SubnetId != "" && in.GatewayId != "":
		return nil, errorf("InvalidParameterCombination", "The parameters subnetId and gatewayId cannot be used together")
	case in.GatewayId != "":
		if _, err = find(&tx.InternetGateways, in.GatewayId); err == nil {
			err = tx.gatewayTableAllowed(t, in.GatewayId)
		}
		if other, _ := tx.gatewayAssociation(in.GatewayId); err == nil && other != nil {
			err = errAssociationTaken(t.ID)
		}
	default:
		var s *Subnet
		if s, err = find(&tx.Subnets, in.SubnetId); err == nil && s.VpcID != t.VpcID {
			err = errInvalid("route table %s and subnet %s belong to different networks", t.ID, s.ID)
		}
		if other, _ := tx.subnetAssociation(in.SubnetId); err == nil && other != nil {
			err = errAssociationTaken(t.ID)
		}
	}
	if err != nil {
		return nil, err
	}
	a.ID = newID[RouteAssociationID](tx)
	tx.addAssociation(t.ID, a)
	return &AssociateRouteTableOutput{a.ID, associated}, nil
}

func errAssociationTaken(t RouteTableID) error {
	return errorf("Resource.AlreadyAssociated", "the specified association for route table %s conflicts with an existing association", t)
}

// gatewayTableAllowed tells whether a table may steer the gateway's inbound
// traffic: it is not the main table, and holds no route that RT-14 forbids.
func (m *Model) gatewayTableAllowed(t *RouteTable, id InternetGatewayID) error {
	if g := m.InternetGateways.Get(id); g.VpcID != t.VpcID {
		return errInvalid("route table %s and network gateway %s belong to different networks", t.ID, id)
	}
	if t.isMain() {
		return errInvalid("The main route table %s cannot be associated with a gateway", t.ID)
	}
	for _, r := range t.Routes {
		if err := m.gatewayRouteAllowed(t, r); err != nil {
			return err
		}
	}
	return nil
}

type DisassociateRouteTableInput struct {
	AssociationId RouteAssociationID
	DryRun        bool
}

type DisassociateRouteTableOutput struct{}

// DisassociateRouteTable ends an association; a subnet then follows the main
// table. The main association can only be replaced.
func (tx *Tx) DisassociateRouteTable(in *DisassociateRouteTableInput) (*DisassociateRouteTableOutput, error) {
	t, i, err := tx.associationByID(in.AssociationId)
	if err != nil {
		return nil, err
	}
	if t.Associations[i].Main {
		return nil, errInvalid("cannot disassociate the main route table association %s", in.AssociationId)
	}
	tx.dropAssociation(t, i)
	return &DisassociateRouteTableOutput{}, nil
}

type ReplaceRouteTableAssociationInput struct {
	AssociationId RouteAssociationID
	RouteTableId  RouteTableID
	DryRun        bool
}

type ReplaceRouteTableAssociationOutput struct {
	NewAssociationId RouteAssociationID         `json:"NewAssociationId"`
	AssociationState RouteTableAssociationState `json:"AssociationState"`
}

// ReplaceRouteTableAssociation gives what an association names (a subnet, a
// gateway, or, for the main one, every subnet without its own) another table
// and the association a new ID (RT-02).
func (tx *Tx) ReplaceRouteTableAssociation(in *ReplaceRouteTableAssociationInput) (*ReplaceRouteTableAssociationOutput, error) {
	old, i, err := tx.associationByID(in.AssociationId)
	if err != nil {
		return nil, err
	}
	t, err := find(&tx.RouteTables, in.RouteTableId)
	if err != nil {
		return nil, err
	}
	a := old.Associations[i]
	switch {
	case t.VpcID != old.VpcID:
		return nil, errInvalid("route table %s and route table %s belong to different networks", old.ID, t.ID)
	case a.Main && t.isGatewayTable():
		return nil, errInvalid("route table %s is associated with a gateway and cannot be the main route table", t.ID)
	case a.GatewayID != "":
		if err := tx.gatewayTableAllowed(t, a.GatewayID); err != nil {
			return nil, err
		}
	}
	a.ID = newID[RouteAssociationID](tx)
	tx.dropAssociation(old, i)
	tx.addAssociation(t.ID, a)
	return &ReplaceRouteTableAssociationOutput{a.ID, associated}, nil
}

type DescribeRouteTablesInput struct {
	RouteTableIds []RouteTableID
	Filters       []Filter
	MaxResults    *int
	NextToken     string
	DryRun        bool
}

type DescribeRouteTablesOutput struct {
	RouteTables []RouteTableInfo `json:"RouteTables"`
	NextToken   string           `json:"NextToken,omitempty"`
}

func associationFilter(answer func(a *RouteAssociation) string) func(*Model, *RouteTable) []string {
	return func(_ *Model, t *RouteTable) []string { return each(t.Associations, answer) }
}

func routeFilter(answer func(m *Model, r *Route) string) func(*Model, *RouteTable) []string {
	return func(m *Model, t *RouteTable) []string {
		return each(t.Routes, func(r *Route) string { return answer(m, r) })
	}
}

func noRoute(*Model, *RouteTable) []string { return nil }

var routeTableFilters = filterSet[RouteTable]{
	"association.gateway-id":                 associationFilter(func(a *RouteAssociation) string { return string(a.GatewayID) }),
	"association.route-table-association-id": associationFilter(func(a *RouteAssociation) string { return string(a.ID) }),
	"association.route-table-id": func(_ *Model, t *RouteTable) []string {
		return each(t.Associations, func(*RouteAssociation) string { return string(t.ID) })
	},
	"association.subnet-id": associationFilter(func(a *RouteAssociation) string { return string(a.SubnetID) }),
	"association.main":      associationFilter(func(a *RouteAssociation) string { return boolText(a.Main)[0] }),
	"route-table-id":        func(_ *Model, t *RouteTable) []string { return one(t.ID) },
	"route.destination-cidr-block": routeFilter(func(_ *Model, r *Route) string {
		return r.DestinationCidrBlock.String()
	}),
	"route.destination-ipv6-cidr-block":     noRoute,
	"route.destination-prefix-list-id":      noRoute,
	"route.egress-only-internet-gateway-id": noRoute,
	"route.gateway-id":                      routeFilter(func(m *Model, r *Route) string { return m.routeInfo(*r).GatewayId }),
	"route.instance-id":                     routeFilter(func(_ *Model, r *Route) string { return string(r.InstanceID) }),
	"route.nat-gateway-id":                  routeFilter(func(_ *Model, r *Route) string { return string(r.NatGatewayID) }),
	"route.transit-gateway-id":              noRoute,
	"route.origin":                          routeFilter(func(_ *Model, r *Route) string { return r.Origin }),
	"route.state":                           routeFilter(func(m *Model, r *Route) string { return m.RouteState(*r) }),
	"route.vpc-peering-connection-id":       noRoute,
	"vpc-id":                                func(_ *Model, t *RouteTable) []string { return one(t.VpcID) },
}

// DescribeRouteTables lists route tables with their routes' states (RT-09).
func (tx *Tx) DescribeRouteTables(in *DescribeRouteTablesInput) (*DescribeRouteTablesOutput, error) {
	found, next, err := describe(tx, &tx.RouteTables, in.RouteTableIds, routeTableFilters, in.Filters, paging{in.MaxResults, in.NextToken, 5, 100})
	if err != nil {
		return nil, err
	}
	return &DescribeRouteTablesOutput{views(found, tx.routeTableInfo), next}, nil
}
