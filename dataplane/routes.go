package dataplane

import (
	"net/netip"

	"github.com/gaissmai/bart"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// Target is what a route leads to.
type Target uint8

// Targets of routes.
const (
	TargetLocal Target = iota + 1
	TargetENI          // an ENI, or the one ENI of an instance (RT-11)
	TargetIGW
	TargetNAT
)

func (t Target) String() string {
	switch t {
	case TargetLocal:
		return "local"
	case TargetENI:
		return "eni"
	case TargetIGW:
		return "igw"
	case TargetNAT:
		return "nat"
	}
	return "unknown"
}

// Origin ranks routes of equal destination; the lower one wins (RT-07).
type Origin uint8

// Origins of routes.
const (
	OriginStatic Origin = iota
	OriginPrefixList
	OriginPropagated
)

// Route is one route of a table. The pointer that Target names is set; a route
// without it is a blackhole whatever Blackhole says (RT-10).
type Route struct {
	Dest      netip.Prefix
	Target    Target
	Origin    Origin
	ENI       *ENI
	IGW       *InternetGateway
	NAT       *NATGateway
	Blackhole bool
	TargetID  string // as the route table shows it: local, igw-…, nat-…, eni-…
}

// usable tells whether the route leads anywhere from a subnet of v (RT-10).
func (r *Route) usable(v *VPC) bool {
	if r.Blackhole {
		return false
	}
	switch r.Target {
	case TargetLocal:
		return true
	case TargetENI:
		return r.ENI != nil
	case TargetNAT:
		return r.NAT != nil && r.NAT.ENI != nil
	case TargetIGW:
		return r.IGW != nil && r.IGW == v.IGW
	}
	return false
}

// RouteTable finds the route of a destination. It is immutable.
type RouteTable struct {
	Ref
	routes []Route
	table  bart.Table[*Route]
}

// NewRouteTable copies routes and indexes them by destination, IPv4 and IPv6 apart
// (RT-06). Of several routes with the same destination the one of the lowest Origin
// counts, then the first (RT-07).
func NewRouteTable(ref Ref, routes []Route) *RouteTable {
	t := &RouteTable{Ref: ref, routes: append([]Route(nil), routes...)}
	for i := range t.routes {
		r := &t.routes[i]
		r.Dest = r.Dest.Masked()
		if old, ok := t.table.Get(r.Dest); ok && old.Origin <= r.Origin {
			continue
		}
		t.table.Insert(r.Dest, r)
	}
	return t
}

// Lookup returns the route with the longest prefix that covers a, or nil (RT-07). A
// blackhole is a match like any other: there is no fall-through (RT-10).
func (t *RouteTable) Lookup(a packet.Addr) *Route {
	r, _ := t.table.Lookup(a.Netip())
	return r
}

// Routes returns the routes in the order given to NewRouteTable; not to be changed.
func (t *RouteTable) Routes() []Route { return t.routes }
