package daemon

import (
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/dns"
	"github.com/vpcemu/vpcemu/internal/host"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// linkLocalResolver is the resolver's second address, the same in every VPC (DNS-01).
var linkLocalResolver = netip.MustParseAddr("169.254.169.253")

// names keeps a services namespace with a resolver for every VPC that has a
// network interface and DNS support.
type names struct {
	open serviceOpener
	mu   sync.Mutex
	vpcs map[vpc.VpcID]*services
	old  []*services // replaced, and in force until the next snapshot is
	told *vpc.Model  // whose names the resolvers have
}

type serviceOpener func(vpc.VpcID, netip.Addr) (*services, error)

type services struct {
	ns     *host.Services
	server *dns.Server
	port   *queuePort
	addr   netip.Addr // the resolver's address in the VPC
}

// prepare makes the namespaces that m wants and that are missing.
func (n *names) prepare(m *vpc.Model) error {
	if n.current(m) {
		return nil
	}
	for id, addr := range wanted(m) {
		n.mu.Lock()
		s := n.vpcs[id]
		n.mu.Unlock()
		if s != nil && s.addr == addr {
			continue
		}
		fresh, err := n.open(id, addr)
		if err != nil {
			return fmt.Errorf("resolver of %s: %w", id, err)
		}
		n.mu.Lock()
		if s != nil {
			n.old = append(n.old, s)
		}
		if n.vpcs == nil {
			n.vpcs = map[vpc.VpcID]*services{}
		}
		n.vpcs[id] = fresh
		n.mu.Unlock()
	}
	return nil
}

// publish gives the resolvers m's names and closes those of VPCs that are gone;
// the snapshot in force does not name their ports any more.
func (n *names) publish(m *vpc.Model) {
	if n.current(m) {
		return
	}
	want := wanted(m)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = m
	for id, s := range n.vpcs {
		if _, ok := want[id]; ok {
			s.server.SetZone(zone(m, id))
			continue
		}
		s.close()
		delete(n.vpcs, id)
	}
	n.closeOld()
}

// current tells whether the resolvers have m's names already: instances that start
// and stop do not change them.
func (n *names) current(m *vpc.Model) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.told != nil && n.old == nil && n.told.Region == m.Region &&
		n.told.NetworkInterfaces.Same(&m.NetworkInterfaces) && n.told.Vpcs.Same(&m.Vpcs)
}

// closeOld closes what was replaced. n.mu is held.
func (n *names) closeOld() {
	for _, s := range n.old {
		s.close()
	}
	n.old = nil
}

func (n *names) port(id vpc.VpcID) dataplane.Port {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s := n.vpcs[id]; s != nil {
		return s.port
	}
	return nil
}

func (n *names) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, s := range n.vpcs {
		s.close()
		delete(n.vpcs, id)
	}
	n.told = nil
	n.closeOld()
}

// wanted lists the VPCs whose resolver should answer, with its address there:
// the base of the primary range plus two (DNS-01, DNS-04).
func wanted(m *vpc.Model) map[vpc.VpcID]netip.Addr {
	want := map[vpc.VpcID]netip.Addr{}
	for _, e := range m.NetworkInterfaces.All() {
		v := m.Vpcs.Get(e.VpcID)
		if v != nil && v.EnableDnsSupport {
			want[v.ID] = v.CidrBlock.Masked().Addr().Next().Next()
		}
	}
	return want
}

func openServices(id vpc.VpcID, addr netip.Addr) (s *services, err error) {
	addrs := []netip.Addr{addr, linkLocalResolver}
	ns, err := host.NewServices(addrs, vpcMTU)
	if err != nil {
		return nil, err
	}
	var packets []net.PacketConn
	var streams []net.Listener
	defer func() {
		if err == nil {
			return
		}
		for _, p := range packets { // an open socket would keep the namespace
			p.Close()
		}
		for _, l := range streams {
			l.Close()
		}
		ns.Close()
	}()
	for _, a := range addrs {
		at := netip.AddrPortFrom(a, 53)
		p, err := ns.ListenPacket(at)
		if err != nil {
			return nil, err
		}
		packets = append(packets, p)
		l, err := ns.Listen(at)
		if err != nil {
			return nil, err
		}
		streams = append(streams, l)
	}
	port, err := newPort(ns.Queue, "services of "+string(id))
	if err != nil {
		return nil, err
	}
	return &services{ns: ns, addr: addr, server: dns.Serve(dns.NewZone(), packets, streams), port: port}, nil
}

func (s *services) close() {
	// Both may have been closed already, by the engine with the port.
	_ = s.server.Close()
	_ = s.ns.Close()
	_ = s.port.Close()
}

// zone lists the private names of a VPC's network interfaces (DNS-05). With
// enableDnsHostnames off, names that Amazon provides do not resolve (DNS-07).
func zone(m *vpc.Model, id vpc.VpcID) *dns.Zone {
	z := dns.NewZone()
	v := m.Vpcs.Get(id)
	if v == nil || !v.EnableDnsSupport || !v.EnableDnsHostnames {
		return z
	}
	for _, e := range m.NetworkInterfaces.All() {
		if e.VpcID != id {
			continue
		}
		for _, p := range e.PrivateIps {
			z.Add(dns.PrivateName(p.PrivateIp, m.Region), p.PrivateIp)
		}
	}
	return z
}
