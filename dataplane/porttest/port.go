// Package porttest runs the data plane in memory: ports without devices, a clock that
// tests move, and labs built in a few lines, so that a test row is a packet in and
// checks on what comes out and where.
package porttest

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
)

// waitLimit bounds how long a test waits for the engine.
const waitLimit = 10 * time.Second

// Port is an in-memory dataplane.Port.
type Port struct {
	Name string
	// Frames makes it a TAP port.
	Frames bool
	// Offload gives packets a virtio-net header and takes super-packets, as a TUN queue
	// does; NoUSO makes it one of a kernel before Linux 6.2.
	Offload, NoUSO bool
	// Discard drops what is written to it, and FailWrites refuses it.
	Discard, FailWrites bool

	in     chan []byte
	done   chan struct{} // the engine has finished with the last packet sent
	closed chan struct{}
	once   sync.Once
	busy   bool // owned by the reading goroutine

	sending sync.Mutex
	mu      sync.Mutex
	out     [][]byte
}

// NewPort returns an open port.
func NewPort(name string) *Port {
	return &Port{Name: name, in: make(chan []byte), done: make(chan struct{}, 1), closed: make(chan struct{})}
}

func (p *Port) String() string { return p.Name }

// Features implements dataplane.Port.
func (p *Port) Features() dataplane.Features {
	return dataplane.Features{Ethernet: p.Frames, Header: p.Offload, UDP: p.Offload && !p.NoUSO}
}

// Read waits for a packet from Send.
func (p *Port) Read(b []byte) (int, error) {
	if p.busy {
		p.busy = false
		p.done <- struct{}{}
	}
	select {
	case pkt := <-p.in:
		p.busy = true
		return copy(b, pkt), nil
	case <-p.closed:
		return 0, io.EOF
	}
}

// Write keeps a copy of b for Received.
func (p *Port) Write(b []byte) (int, error) {
	select {
	case <-p.closed:
		return 0, io.ErrClosedPipe
	default:
	}
	if p.FailWrites {
		return 0, errors.New("interface is down")
	}
	if p.Discard {
		return len(b), nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = append(p.out, append([]byte(nil), b...))
	return len(b), nil
}

// Close makes Read return io.EOF.
func (p *Port) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Closed tells whether the port has been closed.
func (p *Port) Closed() bool {
	select {
	case <-p.closed:
		return true
	default:
		return false
	}
}

// Send puts a packet into the engine and returns once it is dealt with completely.
func (p *Port) Send(pkt []byte) error {
	p.sending.Lock()
	defer p.sending.Unlock()
	limit := time.NewTimer(waitLimit)
	defer limit.Stop()
	select {
	case p.in <- pkt:
	case <-p.closed:
		return io.ErrClosedPipe
	case <-limit.C:
		return errors.New("port " + p.Name + ": nobody reads")
	}
	select {
	case <-p.done:
	case <-p.closed:
	case <-limit.C:
		return errors.New("port " + p.Name + ": the packet is not dealt with")
	}
	return nil
}

// Received returns what was written to the port since the last call.
func (p *Port) Received() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.out
	p.out = nil
	return out
}
