package porttest

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/dhcp"
	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/nat"
)

// Apply compiles the lab and swaps the engine's snapshot, starting the engine first.
func (l *Lab) Apply() *Lab {
	l.TB.Helper()
	if l.Engine == nil {
		var err error
		if l.Engine, err = dataplane.NewEngine(l.Config); err != nil {
			l.TB.Fatal(err)
		}
		l.events = l.Engine.Subscribe(64)
	}
	l.gen++
	l.Snapshot = l.compile()
	l.Engine.Swap(l.Snapshot)
	return l
}

// compiler holds what the parts of one snapshot need of one another.
type compiler struct {
	lab  *Lab
	out  *dataplane.Snapshot
	enis map[*ENI]*dataplane.ENI
	nats map[*NAT]*dataplane.NATGateway
	igws map[*VPC]*dataplane.InternetGateway
}

func (l *Lab) compile() *dataplane.Snapshot {
	c := &compiler{
		lab: l, enis: make(map[*ENI]*dataplane.ENI), nats: make(map[*NAT]*dataplane.NATGateway),
		igws: make(map[*VPC]*dataplane.InternetGateway),
		out: &dataplane.Snapshot{
			Generation: l.gen, ENIs: make(map[uint32]*dataplane.ENI),
			Internet: &dataplane.Internet{
				Hosts:     make(map[packet.Addr]*dataplane.InternetHost),
				GatewayOf: make(map[packet.Addr]*dataplane.InternetGateway),
			},
		},
	}
	for _, v := range l.VPCs {
		c.vpc(v)
	}
	for _, v := range l.VPCs {
		c.tables(v, c.out.VPCs[slices.Index(l.VPCs, v)])
	}
	for _, h := range l.Hosts {
		host := &dataplane.InternetHost{
			Ref: dataplane.Ref{ID: "host-" + h.Name, Name: h.Name}, Handle: h.Handle, Addr: addr(h.Addr),
			MAC: h.MAC(),
		}
		if h.Port != nil {
			host.Port = h.Port
		}
		host.Out, host.In = h.links(h.Name)
		if h.Failed {
			host.Failure = &dataplane.Failure{Ref: host.Ref, Reason: dataplane.InstanceFailed}
		}
		c.out.Internet.Hosts[addr(h.Addr)] = host
	}
	if u := l.Uplink; u != nil {
		c.out.Internet.Uplink = &dataplane.Uplink{Lab: u.Lab, Refuses: u.Refuses, Allows: u.Allows,
			InternetHost: dataplane.InternetHost{Ref: dataplane.Ref{ID: "uplink", Name: "uplink"}, Handle: u.Handle, Port: u.Port}}
	}
	for a, v := range l.Stale {
		c.out.Internet.GatewayOf[addr(netip.MustParseAddr(a))] = c.igws[v]
	}
	c.links()
	c.out.Finish()
	return c.out
}

// MAC is the host's MAC.
func (h *Host) MAC() [6]byte { return [6]byte{0x0a, 1, 0, 0, byte(h.Handle >> 8), byte(h.Handle)} }

func (c *compiler) vpc(v *VPC) {
	out := &dataplane.VPC{Ref: dataplane.Ref{ID: "vpc-" + v.Name, Name: v.Name}, CIDRs: v.CIDRs}
	c.out.VPCs = append(c.out.VPCs, out)
	if v.Services != nil {
		out.Services = v.Services
	}
	for _, a := range v.Resolver {
		out.ResolverAddrs = append(out.ResolverAddrs, addr(a))
	}
	igw := &dataplane.InternetGateway{Ref: dataplane.Ref{ID: "igw-" + v.Name, Name: v.Name}, VPC: out}
	var pairs []nat.Pair
	for private, public := range v.Public {
		pairs = append(pairs, nat.Pair{Private: addr(private), Public: addr(public)})
		c.out.Internet.GatewayOf[addr(public)] = igw
	}
	igw.NAT = nat.NewOneToOne(pairs)
	c.igws[v] = igw
	if !v.NoIGW {
		out.IGW = igw
	}
	for _, s := range v.Subnets {
		c.subnet(s, out)
	}
}

func (c *compiler) subnet(s *Subnet, v *dataplane.VPC) {
	acl := s.ACL
	if acl == nil {
		acl = &ACL{Name: "open", Rules: AllowAll()}
	}
	out := &dataplane.Subnet{
		Ref: dataplane.Ref{ID: "subnet-" + s.Name, Name: s.Name}, VPC: v, CIDR: s.CIDR,
		Router: addr(s.CIDR.Addr().Next()), ACL: filter.CompileACL("acl-"+acl.Name, acl.Name, acl.Rules),
	}
	out.Zone = s.Zone
	out.Out, out.In = s.links(s.Name)
	v.Subnets = append(v.Subnets, out)
	for _, e := range s.ENIs {
		c.eni(e, out)
	}
}

func (c *compiler) eni(e *ENI, s *dataplane.Subnet) {
	out := &dataplane.ENI{
		Ref: dataplane.Ref{ID: "eni-" + e.Name, Name: e.Name}, Handle: e.Handle, Subnet: s, MAC: e.mac,
		SourceDestCheck: !e.NoCheck, MTU: e.MTU, Timeouts: e.Timeouts,
		Instance: dataplane.Ref{ID: "i-" + e.Name, Name: e.Name},
	}
	for _, a := range e.Addrs {
		out.Addrs = append(out.Addrs, addr(a))
	}
	out.Out, out.In = e.links(e.Name)
	out.Failure = e.failure()
	out.Groups, out.GroupHandles = e.compileGroups()
	if e.Port != nil {
		out.Port = e.Port
	}
	if e.NAT == nil {
		out.DHCP = &dhcp.Reservation{
			MAC: e.mac, Addr: e.Addrs[0], Subnet: s.CIDR, Router: s.Router.Netip(), LeaseTime: time.Hour, MTU: 9001,
		}
	} else {
		out.NAT = &dataplane.NATGateway{
			Ref:     dataplane.Ref{ID: "nat-" + e.NAT.Name, Name: e.NAT.Name},
			Gateway: nat.Gateway{Handle: e.NAT.Handle, Addrs: out.Addrs, IdleTimeout: e.NAT.Idle}, ENI: out,
		}
		if e.NAT.Failed {
			out.NAT.Failure = &dataplane.Failure{Ref: out.NAT.Ref, Reason: dataplane.NATGatewayFailed}
		}
		c.nats[e.NAT] = out.NAT
		out.Groups = nil
	}
	c.enis[e] = out
	c.out.ENIs[e.Handle] = out
}

func (e *ENI) compileGroups() (*filter.Groups, []uint32) {
	var rules []filter.GroupRule
	var handles []uint32
	for _, g := range e.Groups {
		handles = append(handles, g.Handle)
		for i, r := range g.Rules {
			r.RuleID = "sgr-" + g.Name + "-" + string(rune('a'+i))
			r.GroupID, r.GroupName = "sg-"+g.Name, g.Name
			rules = append(rules, r)
		}
	}
	slices.Sort(handles)
	return filter.CompileGroups(rules), handles
}

func (c *compiler) tables(v *VPC, out *dataplane.VPC) {
	made := make(map[*Table]*dataplane.RouteTable)
	table := func(t *Table) *dataplane.RouteTable {
		if made[t] == nil {
			made[t] = c.table(t, v)
		}
		return made[t]
	}
	for i, s := range v.Subnets {
		t := s.Table
		if t == nil {
			t = v.Main
		}
		out.Subnets[i].Routes = table(t)
	}
	if v.Edge != nil {
		c.igws[v].Ingress = table(v.Edge)
	}
}

func (c *compiler) table(t *Table, v *VPC) *dataplane.RouteTable {
	var routes []dataplane.Route
	for _, line := range t.Routes {
		dest, target, _ := strings.Cut(line, " ")
		r := dataplane.Route{Dest: netip.MustParsePrefix(dest), TargetID: target}
		kind, name, _ := strings.Cut(target, ":")
		switch kind {
		case "local":
			r.Target = dataplane.TargetLocal
		case "igw":
			r.Target, r.IGW = dataplane.TargetIGW, c.igws[v]
		case "blackhole":
			r.Target, r.Blackhole = dataplane.TargetNAT, true
		case "eni":
			r.Target, r.ENI = dataplane.TargetENI, c.enis[v.Find(name)]
		case "nat":
			r.Target = dataplane.TargetNAT
			if e := v.Find(name + "-eni"); e != nil {
				r.NAT = c.nats[e.NAT]
			}
		default:
			c.lab.TB.Fatalf("porttest: route %q", line)
		}
		routes = append(routes, r)
	}
	return dataplane.NewRouteTable(dataplane.Ref{ID: "rtb-" + t.Name, Name: t.Name}, routes)
}

// Find returns the VPC's ENI of that name, or nil.
func (v *VPC) Find(name string) *ENI {
	for _, s := range v.Subnets {
		for _, e := range s.ENIs {
			if e.Name == name {
				return e
			}
		}
	}
	return nil
}
