package daemon

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/dns"
	"github.com/vpcemu/vpcemu/internal/host"
	"github.com/vpcemu/vpcemu/internal/imds"
	"github.com/vpcemu/vpcemu/internal/ntp"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Addresses of the servers that are the same in every VPC (DNS-01, IM-01, TI-01).
var (
	linkLocalResolver = netip.MustParseAddr("169.254.169.253")
	linkLocalMetadata = netip.MustParseAddr("169.254.169.254")
	linkLocalTime     = netip.MustParseAddr("169.254.169.123")
)

// Ports that the servers listen on.
const (
	dnsPort      = 53
	metadataPort = 80
	ntpPort      = 123
)

// allServices keeps the platform's own servers: a namespace of them for every VPC that has
// a network interface, and one for the Internet, whose ID is "".
type allServices struct {
	open func(vpc.VpcID, netip.Addr) (servers, error)
	mu   sync.Mutex
	of   map[vpc.VpcID]running
	old  []running  // replaced, and in force until the next snapshot is
	done *vpc.Model // whose servers run
}

// A serviceOpener starts the servers of a VPC, with the resolver at that address.
type serviceOpener func(*Daemon, vpc.VpcID, netip.Addr) (servers, error)

// servers are those of one VPC or the Internet; *services are real ones.
type servers interface {
	// Port leads to them.
	Port() dataplane.Port
	close()
}

// running are servers with the address that the resolver was given.
type running struct {
	servers
	resolver netip.Addr
}

// services are the servers of one VPC, or of the Internet: ordinary servers on real
// sockets in a network namespace of their own, which is a port of the network.
type services struct {
	id   vpc.VpcID
	ns   *host.Services
	port *queuePort
	dns  *dns.Server
	time *ntp.Server  // nil on the Internet
	imds *imds.Server // nil for the Internet
}

// prepare starts the servers that m wants and that are missing.
func (a *allServices) prepare(m *vpc.Model) error {
	if a.current(m) {
		return nil
	}
	for id, addr := range wanted(m) {
		a.mu.Lock()
		s, have := a.of[id]
		a.mu.Unlock()
		if have && s.resolver == addr {
			continue
		}
		fresh, err := a.open(id, addr)
		if err != nil {
			return fmt.Errorf("%s: %w", servicesOf(id), err)
		}
		a.mu.Lock()
		if have {
			a.old = append(a.old, s)
		}
		if a.of == nil {
			a.of = map[vpc.VpcID]running{}
		}
		a.of[id] = running{fresh, addr}
		a.mu.Unlock()
	}
	return nil
}

// publish closes the servers that nobody wants any more; the snapshot in force does not
// name their ports. The others ask for the model themselves.
func (a *allServices) publish(m *vpc.Model) {
	if a.current(m) {
		return
	}
	want := wanted(m)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.done = m
	for id, s := range a.of {
		if _, ok := want[id]; !ok {
			s.close()
			delete(a.of, id)
		}
	}
	a.closeOld()
}

// current tells whether the servers that m wants run: instances that start and stop
// do not change that.
func (a *allServices) current(m *vpc.Model) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.done != nil && a.old == nil &&
		a.done.NetworkInterfaces.Same(&m.NetworkInterfaces) && a.done.Vpcs.Same(&m.Vpcs) && a.done.InternetHosts.Same(&m.InternetHosts)
}

// closeOld closes what was replaced. a.mu is held.
func (a *allServices) closeOld() {
	for _, s := range a.old {
		s.close()
	}
	a.old = nil
}

// port leads to the servers, nil while they do not run.
func (a *allServices) port(id vpc.VpcID) dataplane.Port {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s, ok := a.of[id]; ok {
		return s.Port()
	}
	return nil
}

func (a *allServices) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, s := range a.of {
		s.close()
		delete(a.of, id)
	}
	a.done = nil
	a.closeOld()
}

// wanted lists whose servers should run, with the resolver's address there: in a VPC the
// base of the primary range plus two (DNS-01). A VPC without interfaces has nobody to ask.
func wanted(m *vpc.Model) map[vpc.VpcID]netip.Addr {
	want := map[vpc.VpcID]netip.Addr{}
	for _, e := range m.NetworkInterfaces.All() {
		if v := m.Vpcs.Get(e.VpcID); v != nil {
			want[v.ID] = v.CidrBlock.Masked().Addr().Next().Next()
		}
	}
	for _, h := range m.InternetHosts.All() {
		if h.State != vpc.StateTerminated {
			want[""] = vpc.InternetResolver
			break
		}
	}
	return want
}

// servicesOf names a namespace of servers in messages.
func servicesOf(id vpc.VpcID) string {
	if id == "" {
		return "services of the Internet"
	}
	return "services of " + string(id)
}

func openServices(d *Daemon, id vpc.VpcID, resolver netip.Addr) (servers, error) {
	addrs, mtu := []netip.Addr{resolver}, internetMTU
	if id != "" {
		addrs, mtu = append(addrs, linkLocalResolver, linkLocalMetadata, linkLocalTime), vpcMTU
	}
	ns, err := host.NewServices(addrs, mtu)
	if err != nil {
		return nil, err
	}
	s := &services{id: id, ns: ns}
	if s.port, err = newPort(ns.Queue, servicesOf(id)); err == nil {
		err = s.resolve(resolver, dns.Config{VPC: id, Names: d.names.Names, Forward: d.forward})
	}
	if err == nil && id != "" {
		err = s.tellTime()
	}
	if err == nil && id != "" {
		err = s.describe(d)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// tellTime starts the time service, which tells the host's time (TI-01).
func (s *services) tellTime() error {
	p, err := s.ns.ListenPacket(netip.AddrPortFrom(linkLocalTime, ntpPort))
	if err == nil {
		s.time = ntp.Serve(p, time.Now)
	}
	return err
}

// resolve starts the resolver. It undoes nothing: close does.
func (s *services) resolve(addr netip.Addr, cfg dns.Config) (err error) {
	at := []netip.Addr{addr}
	if s.id != "" {
		at = append(at, linkLocalResolver)
	}
	var packets []net.PacketConn
	var streams []net.Listener
	for _, a := range at {
		at := netip.AddrPortFrom(a, dnsPort)
		p, e := s.ns.ListenPacket(at)
		if e == nil {
			packets = append(packets, p)
		}
		l, f := s.ns.Listen(at)
		if f == nil {
			streams = append(streams, l)
		}
		err = errors.Join(err, e, f)
	}
	s.dns = dns.Serve(cfg, packets, streams)
	return err
}

// describe starts the instance metadata service.
func (s *services) describe(d *Daemon) error {
	l, err := s.ns.Listen(netip.AddrPortFrom(linkLocalMetadata, metadataPort))
	if err != nil {
		return err
	}
	s.imds = imds.Serve(l, imds.Config{VPC: s.id, Model: d.model.Load, Keys: d.metadataKeys, Now: time.Now, Log: d.log})
	return nil
}

// Port is the services' end of the network.
func (s *services) Port() dataplane.Port { return s.port }

// close ends the servers, their namespace and their port, which the engine may have
// closed already.
func (s *services) close() {
	if s.dns != nil {
		_ = s.dns.Close()
	}
	if s.time != nil {
		_ = s.time.Close()
	}
	if s.imds != nil {
		_ = s.imds.Close()
	}
	_ = s.ns.Close()
	if s.port != nil {
		_ = s.port.Close()
	}
}
