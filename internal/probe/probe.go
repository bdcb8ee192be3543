package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// Spec is one packet to be sent. Addresses are IPv4.
type Spec struct {
	From string // path of the sender's network namespace
	// Source is what the sender binds to; invalid leaves the choice to its kernel.
	Source      netip.Addr
	Destination netip.Addr // that the packet is sent to
	Protocol    uint8      // packet.ProtoTCP, ProtoUDP or ProtoICMP
	Port        uint16     // of the destination, TCP and UDP
	// To is the path of the receiver's network namespace, "" for nobody to look there.
	// Local is the receiver's own address by which the packet is to arrive.
	To    string
	Local netip.Addr
}

// What is an event of a probe.
type What uint8

const (
	Arrived   What = iota // at the receiver's interface, before its firewall
	Connected             // TCP: the receiver accepted
	Refused               // TCP: RST; UDP: ICMP port unreachable
	Replied               // UDP and ICMP: an answer with the nonce
	Failed                // the sender's kernel gave up, or did not send: Err says why
)

// Event is what happened to a probe.
type Event struct {
	What What
	// Tuple of Arrived is the packet as the receiver sees it.
	Tuple packet.Tuple
	Err   error
}

// Probe is one packet, possibly sent again. Its methods are for one goroutine.
type Probe struct {
	spec    Spec
	nonce   uint32
	c       chan Event
	sender  *socket
	others  []*socket // the receiver's side
	readers sync.WaitGroup
	sent    packet.Tuple
	started bool
}

// Open makes everything ready for a packet, and sends none.
func Open(spec Spec) (_ *Probe, err error) {
	if !spec.Destination.Is4() || spec.To != "" && !spec.Local.Is4() || spec.Source.IsValid() && !spec.Source.Is4() {
		return nil, fmt.Errorf("from %s to %s at %s: only IPv4 can be sent", spec.Source, spec.Destination, spec.Local)
	}
	p := &Probe{spec: spec, nonce: newNonce(spec), c: make(chan Event, 16)}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	if spec.To != "" {
		if err := in(spec.To, p.openReceiver); err != nil {
			return nil, fmt.Errorf("receiver: %w", err)
		}
	}
	open := map[uint8]func() error{packet.ProtoTCP: p.openTCP, packet.ProtoUDP: p.openUDP, packet.ProtoICMP: p.openICMP}[spec.Protocol]
	if open == nil {
		return nil, fmt.Errorf("protocol %d: only TCP, UDP and ICMP can be sent", spec.Protocol)
	}
	if err := in(spec.From, open); err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	return p, nil
}

// Close ends the probe and whatever connection it made.
func (p *Probe) Close() {
	p.sender.Close()
	for _, s := range p.others {
		s.Close()
	}
	p.readers.Wait()
}

// Events gives what happens, in order for each end. The channel is never closed.
func (p *Probe) Events() <-chan Event { return p.c }

// Tuple is the packet as it was sent, once Send has succeeded.
func (p *Probe) Tuple() packet.Tuple { return p.sent }

// Send sends the packet, or sends it again: what TCP repeats, its kernel does. An error
// is the sender's own: it has no route, or its firewall refuses.
func (p *Probe) Send() error {
	switch {
	case p.spec.Protocol != packet.ProtoTCP:
		if err := p.sendDatagram(); err != nil {
			return err
		}
	case !p.started:
		if err := p.connect(); err != nil {
			return err
		}
	}
	if !p.started {
		p.started = true
		p.readers.Go(p.answers)
	}
	return nil
}

// answers waits for what comes back to the sender.
func (p *Probe) answers() {
	if p.spec.Protocol == packet.ProtoTCP {
		p.awaitConnect()
		return
	}
	buf := make([]byte, 2048)
	for {
		n, _, err := p.sender.read(buf)
		switch {
		case errors.Is(err, unix.ECONNREFUSED):
			p.tell(Event{What: Refused})
		case isSoft(err):
			p.tell(Event{What: Failed, Err: err})
		case err != nil:
			return // closed
		case p.isReply(buf[:n]):
			p.tell(Event{What: Replied})
		}
	}
}

// isSoft tells what an ICMP error does to a socket: it is reported once, and reading goes on.
func isSoft(err error) bool {
	return errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EMSGSIZE) || errors.Is(err, unix.EPROTO) || errors.Is(err, unix.EACCES)
}

// tell never waits: who asks looks at the first few events at most.
func (p *Probe) tell(e Event) {
	select {
	case p.c <- e:
	default:
	}
}
