package compile

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	pt "github.com/vpcemu/vpcemu/dataplane/porttest"
	"github.com/vpcemu/vpcemu/dhcp"
	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
	"github.com/vpcemu/vpcemu/nat"
	"github.com/vpcemu/vpcemu/topologies"
)

var start = time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)

// lab is a cloud in memory: a model that operations change, compiled and swapped
// into a running engine after each, with ports that tests write to and read.
type lab struct {
	testing.TB
	vpc.Model
	file   *topology.File
	engine *dataplane.Engine
	snap   *dataplane.Snapshot
	leases []dhcp.Lease

	now      atomic.Int64 // nanoseconds since start
	ids      int
	gen      uint64
	ports    map[uint32]*pt.Port
	names    map[uint32]string // of the ports: web, web/1 for eth1, laptop
	services map[vpc.VpcID]*pt.Port
	events   *dataplane.Subscription
	port     int // the source port used last
}

// newLab brings a topology up; the text needs no version.
func newLab(t testing.TB, yaml string) *lab {
	t.Helper()
	f, err := topology.Parse("test.yaml", []byte("version: 1\nname: test\nregion: ap-northeast-1\n"+yaml))
	if err != nil {
		t.Fatal(err)
	}
	return labOf(t, f)
}

// embedded brings one of the topologies that come with vpcemu up.
func embedded(t testing.TB, name string) *lab {
	t.Helper()
	f, err := topology.ParseFS(topologies.FS(), name+".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return labOf(t, f)
}

func labOf(t testing.TB, f *topology.File) *lab {
	t.Helper()
	l := &lab{TB: t, file: f}
	t.Cleanup(l.run())
	l.converge()
	return l
}

// run starts the engine; what it returns ends it.
func (l *lab) run() (end func()) {
	l.ports, l.names, l.services = map[uint32]*pt.Port{}, map[uint32]string{}, map[vpc.VpcID]*pt.Port{}
	ct, err := conntrack.Open("", 4096)
	if err != nil {
		l.Fatal(err)
	}
	nt, err := nat.OpenTable("", 4096)
	if err != nil {
		l.Fatal(err)
	}
	l.engine, err = dataplane.NewEngine(dataplane.Config{
		Conntrack: ct, NAT: nt, RelatedICMP: true,
		Now:       func() int64 { return int64(time.Hour) + l.now.Load() },
		WallClock: l.wall,
		OnLease:   func(_ uint32, lease dhcp.Lease) { l.leases = append(l.leases, lease) },
	})
	if err != nil {
		l.Fatal(err)
	}
	l.events = l.engine.Subscribe(16)
	return func() { l.engine.Close(); ct.Close(); nt.Close() }
}

func (l *lab) wall() time.Time { return start.Add(time.Duration(l.now.Load())) }

// wait moves the clock, and the model with it.
func (l *lab) wait(d time.Duration) {
	l.now.Add(int64(d))
	l.change(func(tx *vpc.Tx) error { tx.PurgeDeleted(l.wall()); return nil })
}

// converge makes the model like the file.
func (l *lab) converge() {
	l.Helper()
	m, _, _, err := l.file.Converge(&l.Model, l.wall(), topology.Options{})
	if err != nil {
		l.Fatal(err)
	}
	l.Model = m
	l.change(func(*vpc.Tx) error { return nil })
}

// edit replaces a part of the file's text, as a learner does, and converges.
func (l *lab) edit(name, old, new string) {
	l.Helper()
	text, err := topologies.Open(name)
	if err != nil || !strings.Contains(string(text), old) {
		l.Fatalf("%s: no %q (%v)", name, old, err)
	}
	f, err := topology.Parse(name+".yaml", []byte(strings.ReplaceAll(string(text), old, new)))
	if err != nil {
		l.Fatal(err)
	}
	l.file = f
	l.converge()
}

// do runs the operation whose input in is, in which lab names may stand for IDs,
// and shows the packets what it did. It returns the output.
func (l *lab) do(in any) any {
	l.Helper()
	out, err := l.try(in)
	if err != nil {
		l.Fatalf("%T: %v", in, err)
	}
	return out
}

func (l *lab) try(in any) (out any, err error) {
	l.Helper()
	failed := l.change(func(tx *vpc.Tx) error {
		if err = vpc.ResolveNames(&tx.Model, tx.Call.Region, in); err == nil {
			out, err = tx.Run(strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Input"), in)
		}
		return err
	})
	return out, failed
}

// change changes the model, lets the host do what is its part at once, and swaps.
func (l *lab) change(f func(tx *vpc.Tx) error) error {
	l.Helper()
	tx := vpc.Begin(&l.Model, vpc.Call{Now: l.wall(), NewID: func(prefix string) string {
		l.ids++
		return fmt.Sprintf("%sf%016x", prefix, l.ids)
	}})
	if err := f(tx); err != nil {
		return err
	}
	for id := range tx.Instances.All() {
		tx.InstanceRunning(id)
		if tx.Instances.Get(id).State == vpc.StateStopping {
			tx.InstanceStopped(id, "")
		}
		tx.InstanceTerminated(id)
	}
	for id := range tx.InternetHosts.All() {
		tx.InternetHostRunning(id)
	}
	l.Model = tx.Model
	for _, err := range l.Check() {
		l.Error(err)
	}
	l.swap()
	return nil
}

func (l *lab) swap() {
	l.Helper()
	l.gen++
	clear(l.names)
	s, err := Snapshot(&l.Model, l, l.gen)
	if err != nil {
		l.Fatal(err)
	}
	l.snap = s
	l.engine.Swap(s)
}

// ENI implements Ports: a port for everything that runs.
func (l *lab) ENI(handle uint32) dataplane.Port {
	name, tap := l.owner(handle)
	if name == "" {
		delete(l.ports, handle)
		return nil
	}
	l.names[handle] = name
	if p := l.ports[handle]; p == nil || p.Closed() {
		l.ports[handle] = pt.NewPort(name)
		l.ports[handle].Frames = tap
	}
	return l.ports[handle]
}

// owner names who runs at a port, "" for nobody.
func (l *lab) owner(handle uint32) (name string, tap bool) {
	for _, e := range l.NetworkInterfaces.All() {
		if e.Handle != handle || e.Attachment == nil {
			continue
		}
		i := l.Instances.Get(e.Attachment.InstanceID)
		if i.State != vpc.StateRunning {
			return "", false
		}
		if name = i.Name(); name == "" {
			name = string(i.ID)
		}
		if e.Attachment.DeviceIndex > 0 {
			name = fmt.Sprintf("%s/%d", name, e.Attachment.DeviceIndex)
		}
		return name, e.LinkType == "tap"
	}
	if l.Outside.Linked() && l.Outside.Handle == handle {
		return vpc.HostName, false
	}
	for _, h := range l.InternetHosts.All() {
		if h.Handle == handle && h.State == vpc.StateRunning {
			if name = h.Name(); name == "" {
				name = string(h.ID)
			}
			return name, h.LinkType == "tap"
		}
	}
	return "", false
}

// Services implements Ports: every VPC has its resolver, named after it, and so has
// the Internet.
func (l *lab) Services(id vpc.VpcID) dataplane.Port {
	if l.services[id] == nil {
		of := "the Internet"
		if v := l.Vpcs.Get(id); v != nil {
			of = v.Name()
		}
		l.services[id] = pt.NewPort("resolver of " + of)
	}
	return l.services[id]
}

// Refused implements Ports: the machine is in one private network, and has one neighbour
// with public addresses.
func (l *lab) Refused() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("8.8.4.0/24")}
}

// eni is the interface of an instance ("web", "web/1") or of a NAT gateway, or one
// that bears the name itself.
func (l *lab) eni(name string) *vpc.NetworkInterface {
	l.Helper()
	host, device, other := strings.Cut(name, "/")
	if !other {
		device = "0"
	}
	for _, e := range l.NetworkInterfaces.All() {
		if e.Name() == name {
			return e
		}
		if a := e.Attachment; a != nil {
			i := l.Instances.Get(a.InstanceID)
			if i.Name() == host && i.State != vpc.StateTerminated && fmt.Sprint(a.DeviceIndex) == device {
				return e
			}
		}
	}
	for _, n := range l.NatGateways.All() {
		if e := l.NetworkInterfaces.Get(n.NetworkInterfaceID); n.Name() == name && e != nil {
			return e
		}
	}
	l.Fatalf("nothing is called %q", name)
	return nil
}

func (l *lab) host(name string) *vpc.InternetHost {
	for _, h := range l.Hosts() {
		if cmp.Or(h.Name(), h.HostName) == name {
			return h
		}
	}
	return nil
}

// at expands an endpoint: "web:22" is the primary private address of web, "web*:22"
// its public one, "web+1:22" its secondary address number one, "web+1*" that
// one's public address; "laptop" is an Internet host, "10.0.0.1:80" itself.
func (l *lab) at(endpoint string) string {
	l.Helper()
	name, port, hasPort := strings.Cut(endpoint, ":")
	a := l.address(name).String()
	if hasPort {
		return a + ":" + port
	}
	return a
}

func (l *lab) address(name string) netip.Addr {
	l.Helper()
	if a, err := netip.ParseAddr(name); err == nil {
		return a
	}
	if h := l.host(name); h != nil {
		return h.PublicIp
	}
	name, public := strings.CutSuffix(name, "*")
	name, number, _ := strings.Cut(name, "+")
	n := 0
	fmt.Sscan(number, &n)
	e := l.eni(name)
	if public {
		return l.PublicAddressOf(e, e.PrivateIps[n])
	}
	return e.PrivateIps[n].PrivateIp
}

func (l *lab) portOf(name string) *pt.Port {
	l.Helper()
	var handle uint32
	if h := l.host(name); h != nil {
		handle = h.Handle
	} else {
		handle = l.eni(name).Handle
	}
	if l.ports[handle] == nil {
		l.Fatalf("%s has no port: it does not run", name)
	}
	return l.ports[handle]
}

// send puts a packet into the port of an instance or Internet host.
func (l *lab) send(from string, pkt []byte) *pt.Result {
	l.Helper()
	return l.put(l.portOf(from), pkt)
}

func (l *lab) put(p *pt.Port, pkt []byte) *pt.Result {
	l.Helper()
	l.collect()
	if err := p.Send(append([]byte(nil), pkt...)); err != nil {
		l.Fatal(err)
	}
	r := &pt.Result{TB: l.TB, Out: l.collect()}
	select {
	case r.Event = <-l.events.C:
	default:
		l.Fatal("the packet led to no event")
	}
	return r
}

func (l *lab) collect() (out []pt.Output) {
	take := func(p *pt.Port) {
		for _, b := range p.Received() {
			o := pt.Output{Port: p.Name, Packet: b}
			if p.Frames {
				o.Packet, o.Frame = b[14:], b
			}
			out = append(out, o)
		}
	}
	for _, p := range l.ports {
		take(p)
	}
	for _, p := range l.services {
		take(p)
	}
	return out
}

// open sends a SYN from a new port of from to an endpoint.
func (l *lab) open(from, to string) *pt.Result {
	l.Helper()
	l.port++
	return l.send(from, pt.SYN(fmt.Sprintf("%s:%d", l.at(from), 40000+l.port%20000), l.at(to)))
}

// answer lets whoever got the packet answer it.
func (l *lab) answer(r *pt.Result) *pt.Result {
	l.Helper()
	if len(r.Out) != 1 {
		l.Fatalf("%s: nobody is there to answer", &r.Event)
	}
	return l.send(r.Out[0].Port, pt.Reply(r.Out[0].Packet))
}

// works wants a TCP connection from an instance or host to come about: its SYN
// arrives at the port named, and the answer arrives back. It returns both.
func (l *lab) works(from, to, at string) (there, back *pt.Result) {
	l.Helper()
	there = l.open(from, to).Want(pt.At(at))
	if len(there.Out) != 1 {
		return there, there
	}
	back = l.answer(there).Want(pt.At(from))
	if h := back.Header(); h.Tuple != there.Event.Sent.Reverse() {
		l.Errorf("the answer to %s is %s", there.Event.Sent, h.Tuple)
	}
	return there, back
}

// fails wants the SYN to be dropped.
func (l *lab) fails(from, to string, checks ...pt.Check) {
	l.Helper()
	l.open(from, to).Want(checks...)
}

// by wants the drop to be the doing of the object, and of the rule if it is named.
func by(object, rule string) pt.Check {
	return func(r *pt.Result) string {
		if got := r.Event.By; got.Name != object && got.ID != object {
			return fmt.Sprintf("want it by %s, got %s", object, got)
		}
		if got := r.Event.Rule.String(); rule != "" && got != rule {
			return fmt.Sprintf("want %q, got %q", rule, got)
		}
		return ""
	}
}

// all joins checks to one.
func all(checks ...pt.Check) pt.Check {
	return func(r *pt.Result) string {
		for _, c := range checks {
			if s := c(r); s != "" {
				return s
			}
		}
		return ""
	}
}

// dropped is pt.Dropped with who did it.
func dropped(reason dataplane.Reason, object, rule string) pt.Check {
	return all(pt.Dropped(reason), by(object, rule))
}

// permission is a rule of TCP, UDP or ICMP for a range of addresses.
func permission(proto string, from, to int, cidr string) []vpc.IpPermission {
	return []vpc.IpPermission{{IpProtocol: proto, FromPort: new(from), ToPort: new(to), IpRanges: []vpc.IpRange{{CidrIp: cidr}}}}
}

func authorize(group, proto string, from, to int, cidr string) *vpc.AuthorizeSecurityGroupIngressInput {
	return &vpc.AuthorizeSecurityGroupIngressInput{GroupId: vpc.SecurityGroupID(group), IpPermissions: permission(proto, from, to, cidr)}
}

func revoke(group, proto string, from, to int, cidr string) *vpc.RevokeSecurityGroupIngressInput {
	return &vpc.RevokeSecurityGroupIngressInput{GroupId: vpc.SecurityGroupID(group), IpPermissions: permission(proto, from, to, cidr)}
}
