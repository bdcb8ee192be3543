package graph

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// scene is what every picture shows, in the order in which it is drawn.
type scene struct {
	title string
	hosts []*node
	vpcs  []*network
	loose []string // objects that are attached to nothing
	nodes map[string]*node
	gates map[string]*network // by the ID of their Internet gateway
	trace *route
}

type kind int

const (
	kindHost kind = iota
	kindInstance
	kindInterface
	kindNAT
	kindOutside // an address that nothing in the lab has; only traces have one
)

// node is a box with addresses: a host on the Internet, or something in a subnet.
type node struct {
	kind   kind
	id     string
	name   string
	what   string // below the name, "" where the kind goes without saying
	addrs  []string
	states []string // what is out of the ordinary: stopped, no source/destination check
	groups []*group
	off    bool // packets do not reach it
	subnet *subnet
	notes  []string // of a trace
	tip    string
}

// network is a VPC.
type network struct {
	id, name  string
	blocks    []string
	gateway   *gateway
	zones     []*zone
	tiers     int // rows of subnets
	folded    string
	groups    []*group
	acls      []*acl
	tables    []*table
	isDefault bool
}

// gateway is a VPC's Internet gateway.
type gateway struct {
	id, name string
	edge     []hop // routes of its own table (RT-14)
	notes    []string
}

// zone is an availability zone; rows has a subnet or nil for each row of the VPC.
type zone struct {
	name string
	rows []*subnet
}

// subnet is public, private or isolated, as AWS calls them by the routes that they have.
type subnet struct {
	id, name, block string
	tier            int
	zone            string
	of              *network
	table           *table
	acl             *acl
	nodes           []*node
	notes           []string
	at              int // its row
}

// Tiers of subnets: a route to an Internet gateway, a route to something else than local,
// local routes only.
const (
	tierPublic = iota
	tierPrivate
	tierIsolated
)

var tierNames = [...]string{"public", "private", "isolated"}

// table is a route table without its local routes.
type table struct {
	id, name string
	routes   []hop
}

// hop is a route.
type hop struct {
	dest, target string
	id           string // of the target
	toInternet   bool
	blackhole    bool
}

func (h hop) String() string { return h.dest + " → " + h.target }

// group is a security group; colour counts those that are not a VPC's default one.
type group struct {
	id, name string
	colour   int // -1: a default group
	members  int
	rules    []rule
}

// acl is a network ACL.
type acl struct {
	id, name  string
	isDefault bool
	open      bool // allows all both ways, as a default one does until it is changed
	rules     []rule
}

// rule is a line of a group or ACL.
type rule struct {
	out    bool
	number string // of an ACL's
	action string // of an ACL's: allow, deny
	what   string // tcp 22
	peer   string
}

func (r rule) String() string {
	way := "in "
	if r.out {
		way = "out"
	}
	words := []string{way, r.number, r.action, r.what, r.peer}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

// newScene reads a model.
func newScene(m *vpc.Model) *scene {
	s := &scene{title: m.Lab, nodes: map[string]*node{}, gates: map[string]*network{}}
	for _, h := range m.Hosts() {
		s.addHost(h)
	}
	slices.SortStableFunc(s.hosts, byName)
	used := map[vpc.VpcID]bool{}
	for _, n := range m.NetworkInterfaces.All() {
		used[n.VpcID] = used[n.VpcID] || n.Deleted.IsZero()
	}
	for _, v := range m.Vpcs.All() {
		// Every account has a default VPC, and nobody asked for it.
		if v.Deleted.IsZero() && (!v.IsDefault || used[v.ID]) {
			s.vpcs = append(s.vpcs, s.network(m, v))
		}
	}
	slices.SortStableFunc(s.vpcs, func(a, b *network) int { return natural(a.name, b.name) })
	s.addLoose(m)
	return s
}

func byName(a, b *node) int { return natural(a.name, b.name) }

func (s *scene) addHost(h *vpc.InternetHost) {
	if h.State == vpc.StateTerminated || !h.Deleted.IsZero() {
		return
	}
	n := &node{kind: kindHost, id: string(h.ID), name: cmp.Or(h.HostName, string(h.ID))}
	n.addrs = appendAddr(nil, h.PublicIp, "")
	n.state(h.State)
	n.tip = lines(n.name, "host on the Internet "+n.id, strings.Join(n.addrs, ", "), h.StateNote)
	s.hosts = append(s.hosts, n)
	s.nodes[n.id] = n
}

// state notes that something does not run.
func (n *node) state(state string) {
	switch state {
	case vpc.StateStopped, vpc.StateStopping, vpc.StateShuttingDown:
		n.off = true
		n.states = append(n.states, state)
	}
}

func appendAddr(list []string, a netip.Addr, after string) []string {
	if !a.IsValid() {
		return list
	}
	return append(list, a.String()+after)
}

func (s *scene) network(m *vpc.Model, v *vpc.Vpc) *network {
	n := &network{id: string(v.ID), name: nameOf(&v.Meta, string(v.ID)), isDefault: v.IsDefault}
	if v.IsDefault && v.Name() == "" {
		n.name = "default"
	}
	for _, c := range v.Cidrs {
		if c.State != "disassociated" {
			n.blocks = append(n.blocks, c.CidrBlock.String())
		}
	}
	names := namesOf(m, v.ID)
	n.addGroups(m, v.ID, names)
	n.addACLs(m, v.ID)
	n.addTables(m, v.ID, names)
	if g := m.VpcInternetGateway(v.ID); g != nil {
		n.gateway = &gateway{id: string(g.ID), name: names[string(g.ID)]}
		s.gates[n.gateway.id] = n
		if t := m.GatewayRouteTable(g.ID); t != nil {
			n.gateway.edge = hopsOf(m, t, names)
		}
	}
	subnets := n.subnets(m, v.ID)
	s.addNodes(m, n, subnets, names)
	n.arrange(m, subnets)
	return n
}

func nameOf(m *vpc.Meta, id string) string { return cmp.Or(m.Name(), id) }

// namesOf are the names of what routes and rules of a VPC refer to, by ID.
func namesOf(m *vpc.Model, id vpc.VpcID) map[string]string {
	names := map[string]string{}
	for _, g := range m.InternetGateways.All() {
		names[string(g.ID)] = nameOf(&g.Meta, string(g.ID))
	}
	for _, g := range m.NatGateways.All() {
		names[string(g.ID)] = nameOf(&g.Meta, string(g.ID))
	}
	for _, e := range m.NetworkInterfaces.All() {
		names[string(e.ID)] = nameOf(&e.Meta, string(e.ID))
		if a := e.Attachment; a != nil && a.InstanceID != "" {
			if i := m.Instances.Get(a.InstanceID); i != nil {
				names[string(e.ID)] = interfaceName(i, a.DeviceIndex)
			}
		}
	}
	for _, g := range m.SecurityGroups.All() {
		name := g.GroupName
		if v := m.Vpcs.Get(g.VpcID); v != nil && g.VpcID != id {
			name += " in " + nameOf(&v.Meta, string(v.ID))
		}
		names[string(g.ID)] = name
	}
	return names
}

func interfaceName(i *vpc.Instance, index int) string {
	name := nameOf(&i.Meta, string(i.ID))
	if index > 0 {
		name += fmt.Sprintf(" eth%d", index)
	}
	return name
}

func (n *network) addTables(m *vpc.Model, id vpc.VpcID, names map[string]string) {
	for _, t := range m.RouteTables.All() {
		if t.VpcID != id || !t.Deleted.IsZero() {
			continue
		}
		own := &table{id: string(t.ID), name: t.Name(), routes: hopsOf(m, t, names)}
		if own.name == "" {
			own.name = own.id
			if main := m.MainRouteTable(id); main != nil && main.ID == t.ID {
				own.name = "main"
			}
		}
		n.tables = append(n.tables, own)
	}
}

func hopsOf(m *vpc.Model, t *vpc.RouteTable, names map[string]string) (list []hop) {
	for _, r := range t.Routes {
		if r.Local {
			continue
		}
		h := hop{dest: r.DestinationCidrBlock.String(), toInternet: r.GatewayID != "", blackhole: m.RouteState(r) == vpc.RouteBlackhole}
		h.id = cmp.Or(string(r.GatewayID), string(r.NatGatewayID), string(r.NetworkInterfaceID), string(r.InstanceID))
		h.target = cmp.Or(names[h.id], h.id)
		list = append(list, h)
	}
	return list
}

func (n *network) subnets(m *vpc.Model, id vpc.VpcID) (list []*subnet) {
	for _, s := range m.Subnets.All() {
		if s.VpcID != id || !s.Deleted.IsZero() {
			continue
		}
		own := &subnet{of: n, id: string(s.ID), name: nameOf(&s.Meta, string(s.ID)), block: s.CidrBlock.String(), zone: s.AvailabilityZone}
		if s.DefaultForAz && s.Name() == "" {
			own.name = "default"
		}
		if t := m.RouteTableOf(s.ID); t != nil {
			i := slices.IndexFunc(n.tables, func(o *table) bool { return o.id == string(t.ID) })
			if i >= 0 {
				own.table = n.tables[i]
			}
		}
		if i := slices.IndexFunc(n.acls, func(a *acl) bool { return a.id == string(s.NetworkAclID) }); i >= 0 {
			own.acl = n.acls[i]
		}
		own.tier = own.table.tier()
		list = append(list, own)
	}
	slices.SortStableFunc(list, func(a, b *subnet) int {
		return cmp.Or(a.tier-b.tier, byBlock(a.block, b.block))
	})
	return list
}

func byBlock(a, b string) int {
	p, _ := netip.ParsePrefix(a)
	q, _ := netip.ParsePrefix(b)
	return p.Addr().Compare(q.Addr())
}

func (t *table) tier() int {
	switch {
	case t == nil || len(t.routes) == 0:
		return tierIsolated
	case slices.ContainsFunc(t.routes, func(h hop) bool { return h.toInternet }):
		return tierPublic
	}
	return tierPrivate
}

// arrange puts the subnets in zones and rows: those of a tier begin in the same row in
// every zone. Empty default subnets, of which there is one a zone, are only named.
func (n *network) arrange(m *vpc.Model, subnets []*subnet) {
	var folded []string
	byZone := map[string][]*subnet{}
	for _, s := range subnets {
		if sub := m.Subnets.Get(vpc.SubnetID(s.id)); n.isDefault && sub.DefaultForAz && len(s.nodes) == 0 {
			folded = append(folded, s.zone)
			continue
		}
		byZone[s.zone] = append(byZone[s.zone], s)
	}
	if len(folded) > 0 {
		slices.Sort(folded)
		n.folded = "more default subnets, empty: " + strings.Join(folded, ", ")
	}
	zones := slices.Sorted(maps.Keys(byZone))
	for _, name := range zones {
		n.zones = append(n.zones, &zone{name: name})
	}
	for tier := range tierNames {
		height := 0
		for _, z := range n.zones {
			in := 0
			for _, s := range byZone[z.name] {
				if s.tier != tier {
					continue
				}
				for len(z.rows) <= n.tiers+in {
					z.rows = append(z.rows, nil)
				}
				s.at = n.tiers + in
				z.rows[s.at] = s
				in++
			}
			height = max(height, in)
		}
		n.tiers += height
	}
	for _, z := range n.zones {
		for len(z.rows) < n.tiers {
			z.rows = append(z.rows, nil)
		}
	}
}

func (s *scene) addLoose(m *vpc.Model) {
	for _, g := range m.InternetGateways.All() {
		if g.VpcID == "" && g.Deleted.IsZero() {
			s.loose = append(s.loose, "Internet gateway "+nameOf(&g.Meta, string(g.ID))+" (detached)")
		}
	}
	for _, a := range m.Addresses.All() {
		if a.AssociationID == "" && a.Deleted.IsZero() {
			s.loose = append(s.loose, "Elastic IP "+a.PublicIp.String()+" (not associated)")
		}
	}
}

// lines joins what is not empty.
func lines(list ...string) string {
	return strings.Join(slices.DeleteFunc(list, func(s string) bool { return s == "" }), "\n")
}

// natural orders web2 before web10.
func natural(a, b string) int {
	for a != "" && b != "" {
		if digit(a[0]) && digit(b[0]) {
			x, y := number(a), number(b)
			if d := cmp.Or(len(strings.TrimLeft(x, "0"))-len(strings.TrimLeft(y, "0")), strings.Compare(strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0"))); d != 0 {
				return d
			}
			a, b = a[len(x):], b[len(y):]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func number(s string) string {
	for i := range len(s) {
		if !digit(s[i]) {
			return s[:i]
		}
	}
	return s
}
