package daemon

import (
	"net/netip"
	"os"
	"sync/atomic"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/tun"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// queuePort is a TUN or TAP queue as a port of the network.
type queuePort struct {
	*tun.Queue
	closed atomic.Bool // by the engine: no snapshot may name it again
}

// newPort takes the queue over.
func newPort(q *os.File, name string) (*queuePort, error) {
	queue, err := tun.NewQueue(q, name)
	if err != nil {
		return nil, err
	}
	return &queuePort{Queue: queue}, nil
}

// Features are what the queue carries.
func (p *queuePort) Features() dataplane.Features { return dataplane.Features(p.Queue.Features()) }

// Close closes the queue.
func (p *queuePort) Close() error {
	p.closed.Store(true)
	return p.Queue.Close()
}

// ports are the ends of links that exist at the moment, as a model attaches them.
// It implements compile.Ports.
type ports struct {
	eni      map[uint32]*queuePort
	services *allServices
	refused  []netip.Prefix
}

// portsOf finds the queue of every interface in the sandbox that m attaches it
// to: one that moved from an instance to another is never reached in the old.
func (d *Daemon) portsOf(m *vpc.Model) ports {
	wishes := d.wishes(m)
	link, refused := d.outside.end()
	d.mu.Lock()
	defer d.mu.Unlock()
	p := ports{eni: make(map[uint32]*queuePort, len(d.actual)), services: &d.services, refused: refused}
	if link != nil && m.Outside.Linked() {
		p.eni[m.Outside.Handle] = link
	}
	for id, s := range d.actual {
		w := wishes[id]
		if w == nil || s.exit != nil {
			continue
		}
		for _, n := range w.nics {
			if port := s.ports[n.Handle]; port != nil && !port.closed.Load() {
				p.eni[n.Handle] = port
			}
		}
	}
	return p
}

// ENI is the port of a network interface or Internet host by its handle, nil
// while nothing is attached.
func (p ports) ENI(handle uint32) dataplane.Port {
	if port := p.eni[handle]; port != nil {
		return port
	}
	return nil // not a nil *queuePort: an interface that holds one is not nil
}

// Services is the port of a VPC's servers, or of the Internet's for "".
func (p ports) Services(id vpc.VpcID) dataplane.Port { return p.services.port(id) }

// Refused are the destinations that the uplink does not carry.
func (p ports) Refused() []netip.Prefix { return p.refused }
