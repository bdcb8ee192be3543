package hcl

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// lives tells whether an instance is to be in the configuration.
func lives(i *vpc.Instance) bool {
	return i.State != vpc.StateTerminated && i.State != vpc.StateShuttingDown
}

// byName ranges over objects as their resources are called, not by their IDs, which mean nothing
// to a reader.
func byName[K ~string, V any](w *writer, t *vpc.Table[K, V]) iter.Seq2[K, *V] {
	objects := maps.Collect(t.All())
	ids := slices.SortedFunc(maps.Keys(objects), func(a, b K) int {
		if c := strings.Compare(w.address[string(a)], w.address[string(b)]); c != 0 {
			return c
		}
		return strings.Compare(string(a), string(b))
	})
	return func(yield func(K, *V) bool) {
		for _, id := range ids {
			if !yield(id, objects[id]) {
				return
			}
		}
	}
}

// used tells whether the configuration has to name the default VPC: something is in it, or about
// it, that it did not come with.
func (w *writer) used(id vpc.VpcID) bool {
	v := w.m.Vpcs.Get(id)
	if v == nil {
		return false
	}
	if len(v.Tags) > 0 || len(v.Cidrs) > 1 || !v.EnableDnsSupport || !v.EnableDnsHostnames || v.DhcpOptionsID != w.m.SettingsOf(w.region).DefaultDhcpOptionsID {
		return true
	}
	for sid, s := range w.m.Subnets.All() {
		if s.VpcID == id && (!s.DefaultForAz || w.subnetUsed(sid)) {
			return true
		}
	}
	for _, g := range w.m.SecurityGroups.All() {
		if g.VpcID == id && (g.GroupName != "default" || !groupAsAWS(g)) {
			return true
		}
	}
	for _, a := range w.m.NetworkAcls.All() {
		if a.VpcID == id && (!a.IsDefault || !asAWS(a)) {
			return true
		}
	}
	for _, t := range w.m.RouteTables.All() {
		if t.VpcID == id && (!w.builtIn(t) || !w.tableAsAWS(v, t)) {
			return true
		}
	}
	return w.logged(string(id))
}

// subnetUsed is used for the subnets of the default VPC.
func (w *writer) subnetUsed(id vpc.SubnetID) bool {
	for _, n := range w.m.NetworkInterfaces.All() {
		if n.SubnetID == id && n.Deleted.IsZero() {
			return true
		}
	}
	for _, t := range w.m.RouteTables.All() {
		if slices.ContainsFunc(t.Associations, func(a vpc.RouteAssociation) bool { return a.SubnetID == id }) {
			return true
		}
	}
	for _, r := range w.m.SubnetCidrReservations.All() {
		if r.SubnetID == id {
			return true
		}
	}
	s := w.m.Subnets.Get(id)
	acl := w.m.NetworkAcls.Get(s.NetworkAclID)
	return len(s.Tags) > 0 || !s.MapPublicIpOnLaunch || acl != nil && !acl.IsDefault || w.logged(string(id))
}

// logged tells whether something has a flow log.
func (w *writer) logged(id string) bool {
	for _, f := range w.m.FlowLogs.All() {
		if string(f.ResourceID) == id {
			return true
		}
	}
	return false
}

// groupAsAWS tells whether a default group is as it was made: its own members may enter,
// and everything may leave.
func groupAsAWS(g *vpc.SecurityGroup) bool {
	if len(g.Tags) > 0 || len(g.Ingress) != 1 || len(g.Egress) != 1 {
		return false
	}
	in, out := g.Ingress[0], g.Egress[0]
	return in.IpProtocol == "-1" && in.GroupID == g.ID && in.Description == "" && len(in.Tags) == 0 &&
		out.IpProtocol == "-1" && out.CidrIpv4.IsValid() && out.CidrIpv4.Bits() == 0 && out.Description == "" && len(out.Tags) == 0
}

// tableAsAWS tells whether a main table is as it was made: of the default VPC, with a route to its
// Internet gateway.
func (w *writer) tableAsAWS(v *vpc.Vpc, t *vpc.RouteTable) bool {
	if len(t.Tags) > 0 || len(t.Associations) > 1 {
		return false
	}
	toInternet := 0
	for _, r := range t.Routes {
		switch {
		case r.Local:
		case v.IsDefault && strings.HasPrefix(w.address[string(r.GatewayID)], "data.") && r.DestinationCidrBlock.Bits() == 0:
			toInternet++
		default:
			return false
		}
	}
	return !v.IsDefault || toInternet == 1
}
