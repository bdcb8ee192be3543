package porttest

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/dhcp"
	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/impair"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/nat"
)

// Lab is a small model that tests write by hand and change as they like; Apply makes
// the engine see it. Its fields are plain so that an oracle can read them too.
type Lab struct {
	TB     testing.TB
	Engine *dataplane.Engine
	VPCs   []*VPC
	Groups []*Group
	Hosts  []*Host
	// Stale are public addresses that lead to the gateway of a VPC which has no private
	// address for them.
	Stale map[string]*VPC
	// Conditions of links and what has failed. Zones are named by subnets.
	ZoneLinks   map[[2]string]impair.Conditions
	Internet    Conditions
	FailedZones map[string]bool
	Cuts        []dataplane.Cut
	// Config may be changed before the first Apply.
	// Uplink is nil for none.
	Uplink *Uplink
	Config dataplane.Config
	Leases []dhcp.Lease
	// Snapshot is the one applied last.
	Snapshot *dataplane.Snapshot

	now     atomic.Int64
	handles uint32
	gen     uint64
	events  *dataplane.Subscription
	closed  bool
	ended   []func(map[dataplane.Reason]uint64)
}

// VPC of a lab. Public says which private addresses have public ones.
type VPC struct {
	Lab      *Lab
	Name     string
	CIDRs    []netip.Prefix
	Subnets  []*Subnet
	Main     *Table
	NoIGW    bool
	Edge     *Table // edge association of the Internet gateway
	Services *Port
	Resolver []netip.Addr
	Public   map[netip.Addr]netip.Addr
}

// Subnet of a VPC. A nil ACL allows everything, a nil Table is the VPC's main table.
type Subnet struct {
	VPC   *VPC
	Name  string
	CIDR  netip.Prefix
	ACL   *ACL
	Table *Table
	ENIs  []*ENI
	Zone  string
	Conditions
	Failed bool
}

// Table is a route table; each route is "DEST TARGET", where TARGET is local, igw,
// nat:NAME, eni:NAME or blackhole.
type Table struct {
	Name   string
	Routes []string
}

// ACL is a network ACL.
type ACL struct {
	Name  string
	Rules []filter.ACLRule
}

// Group is a security group.
type Group struct {
	Name   string
	Handle uint32
	Rules  []filter.GroupRule
}

// ENI of an instance or, when NAT is set, of a NAT gateway.
type ENI struct {
	Subnet   *Subnet
	Name     string
	Handle   uint32
	Addrs    []netip.Addr
	Groups   []*Group
	NoCheck  bool // source/destination check off
	MTU      int
	Timeouts *conntrack.Timeouts
	NAT      *NAT
	Port     *Port // nil: its instance does not run
	Conditions
	Failed bool
	mac    [6]byte
}

// NAT is a NAT gateway.
type NAT struct {
	Name   string
	Handle uint32
	Idle   time.Duration
	ENI    *ENI
	Failed bool
}

// Host is a host on the Internet.
type Host struct {
	Lab    *Lab
	Name   string
	Handle uint32
	Addr   netip.Addr
	Port   *Port
	Conditions
	Failed bool
}

// Uplink leads out of the lab; the fields are dataplane.Uplink's.
type Uplink struct {
	Handle               uint32
	Port                 *Port
	Lab, Refuses, Allows []netip.Prefix
}

// NewLab returns an empty lab with a running engine, ended with the test.
func NewLab(tb testing.TB) *Lab {
	tb.Helper()
	l := &Lab{TB: tb, Stale: make(map[string]*VPC)}
	l.now.Store(int64(time.Hour))
	ct, err := conntrack.Open("", 4096)
	if err != nil {
		tb.Fatal(err)
	}
	nt, err := nat.OpenTable("", 4096)
	if err != nil {
		tb.Fatal(err)
	}
	l.Config = dataplane.Config{
		Conntrack: ct, NAT: nt, RelatedICMP: true, Now: l.now.Load,
		WallClock: func() time.Time { return time.Unix(0, l.now.Load()).UTC() },
		OnLease:   func(_ uint32, lease dhcp.Lease) { l.Leases = append(l.Leases, lease) },
	}
	tb.Cleanup(l.Close)
	return l
}

// Close ends the lab's engine; the end of the test does it otherwise.
func (l *Lab) Close() {
	if l.closed {
		return
	}
	l.closed = true
	if l.Engine != nil {
		counts := l.Engine.Counters()
		l.Engine.Close()
		for _, f := range l.ended {
			f(counts)
		}
	}
	l.Config.Conntrack.Close()
	l.Config.NAT.Close()
}

// OnEnd is called with the engine's counters when the lab ends.
func (l *Lab) OnEnd(f func(map[dataplane.Reason]uint64)) { l.ended = append(l.ended, f) }

// Advance moves the clock.
func (l *Lab) Advance(d time.Duration) { l.now.Add(int64(d)) }

// Now is the lab's time in nanoseconds.
func (l *Lab) Now() int64 { return l.now.Load() }

func (l *Lab) handle() uint32 { l.handles++; return l.handles }

// VPC adds a VPC with a main table of local routes and an attached Internet gateway.
func (l *Lab) VPC(name string, cidrs ...string) *VPC {
	v := &VPC{Lab: l, Name: name, Main: &Table{Name: name + "-main"}, Public: make(map[netip.Addr]netip.Addr)}
	for _, c := range cidrs {
		v.CIDRs = append(v.CIDRs, netip.MustParsePrefix(c))
		v.Main.Routes = append(v.Main.Routes, c+" local")
	}
	l.VPCs = append(l.VPCs, v)
	return v
}

// Table makes a route table with the VPC's local routes and the routes given.
func (v *VPC) Table(name string, routes ...string) *Table {
	t := &Table{Name: name}
	for _, c := range v.CIDRs {
		t.Routes = append(t.Routes, c.String()+" local")
	}
	t.Routes = append(t.Routes, routes...)
	return t
}

// Subnet adds a subnet.
func (v *VPC) Subnet(name, cidr string) *Subnet {
	s := &Subnet{VPC: v, Name: name, CIDR: netip.MustParsePrefix(cidr)}
	v.Subnets = append(v.Subnets, s)
	return s
}

// ENI adds a running instance's ENI; addrs are separated by spaces, the primary first.
func (s *Subnet) ENI(name, addrs string, groups ...*Group) *ENI {
	l := s.VPC.Lab
	e := &ENI{Subnet: s, Name: name, Handle: l.handle(), Groups: groups, MTU: 9001, Port: NewPort(name)}
	for _, a := range strings.Fields(addrs) {
		e.Addrs = append(e.Addrs, netip.MustParseAddr(a))
	}
	e.mac = [6]byte{0x0a, 0, 0, 0, byte(e.Handle >> 8), byte(e.Handle)}
	s.ENIs = append(s.ENIs, e)
	return e
}

// TAP makes the ENI's port carry Ethernet.
func (e *ENI) TAP() *ENI { e.Port.Frames = true; return e }

// MAC is the ENI's MAC.
func (e *ENI) MAC() [6]byte { return e.mac }

// EIP gives the ENI's address number i a public address.
func (e *ENI) EIP(i int, public string) *ENI {
	e.Subnet.VPC.Public[e.Addrs[i]] = netip.MustParseAddr(public)
	return e
}

// NAT adds a NAT gateway with private addresses addrs.
func (s *Subnet) NAT(name, addrs string) *NAT {
	e := s.ENI(name+"-eni", addrs)
	e.Port, e.NoCheck = nil, true
	e.NAT = &NAT{Name: name, Handle: s.VPC.Lab.handle(), Idle: 350 * time.Second, ENI: e}
	return e.NAT
}

// AddUplink gives the lab a way out for its public prefixes.
func (l *Lab) AddUplink(own ...string) *Uplink {
	l.Uplink = &Uplink{Handle: l.handle(), Port: NewPort("uplink")}
	for _, p := range own {
		l.Uplink.Lab = append(l.Uplink.Lab, netip.MustParsePrefix(p))
	}
	return l.Uplink
}

// Host adds an Internet host.
func (l *Lab) Host(name, addr string) *Host {
	h := &Host{Lab: l, Name: name, Handle: l.handle(), Addr: netip.MustParseAddr(addr), Port: NewPort(name)}
	l.Hosts = append(l.Hosts, h)
	return h
}

// Group adds a security group.
func (l *Lab) Group(name string, rules ...filter.GroupRule) *Group {
	g := &Group{Name: name, Handle: l.handle(), Rules: rules}
	l.Groups = append(l.Groups, g)
	return g
}

// Open is a group that allows everything both ways, by rules that leave TCP and UDP
// flows untracked (CT-03).
func (l *Lab) Open(name string) *Group {
	return l.Group(name, In("all", "", "0.0.0.0/0"), Out("all", "", "0.0.0.0/0"))
}

// Refer is a rule's peer that names the group.
func (g *Group) Refer(r filter.GroupRule) filter.GroupRule {
	r.CIDR, r.Group = netip.Prefix{}, g.Handle
	return r
}

// addr converts for the data plane.
func addr(a netip.Addr) packet.Addr { return packet.AddrFrom(a) }
