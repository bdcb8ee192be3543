package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/vpcemu/vpcemu/internal/check"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/probe"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

const (
	resendAfter = 250 * time.Millisecond // a datagram; then twice as long each time
	askAgain    = 200 * time.Millisecond // after a service refused
	// patienceOnce bounds one connection of several: the next finds a service that has
	// come up meanwhile.
	patienceOnce = 3 * time.Second
	// settleAfter is how long after its answer a packet's own events may take to show.
	settleAfter = 300 * time.Millisecond
)

// prober is a *probe.Probe.
type prober interface {
	Send() error
	Tuple() packet.Tuple
	Events() <-chan probe.Event
	Close()
}

func openProbe(s probe.Spec) (prober, error) {
	p, err := probe.Open(s)
	if err != nil {
		return nil, err // not a nil *probe.Probe in an interface
	}
	return p, nil
}

var protocolNumbers = map[string]uint8{"tcp": packet.ProtoTCP, "udp": packet.ProtoUDP, "icmp": packet.ProtoICMP}

// packets sends real ones until the check is true, cannot become so, or its time is up.
func (c *checker) packets(ctx context.Context, m *vpc.Model, e vpc.Expectation, x *check.Ends) *control.Packets {
	spec := probe.Spec{From: c.space(x.Sender), Source: x.Source, Destination: x.Destination,
		Protocol: protocolNumbers[e.Protocol], Port: uint16(e.Port), Local: x.Local}
	if spec.From == "" {
		return &control.Packets{Error: fmt.Sprintf("%s does not run, and so sends nothing; `vpcemu ls` tells more", x.From.Name)}
	}
	if x.Receiver != "" {
		spec.To = c.space(x.Receiver)
	}
	if spec.From == spec.To {
		return &control.Packets{Error: fmt.Sprintf("%s and %s are the same machine, which sends itself nothing by the network", x.From.Name, x.To.Name)}
	}
	ends := chaseEnds{from: handlesOf(m, x.Sender), to: handlesOf(m, x.Receiver), machine: func(h uint32) map[uint32]bool { return machineWith(m, h) }}
	deadline := time.Now().Add(c.patience(e))
	for attempt := 1; ; attempt++ {
		left := time.Until(deadline)
		if e.Verb == vpc.Connects {
			left = min(left, patienceOnce)
		}
		p := c.send(ctx, spec, ends, left)
		p.Attempts = attempt
		if e.Verb != vpc.Connects || p.Answer == check.Connected || p.Reason != "" || p.Error != "" {
			return p
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
			return p
		}
		if time.Until(deadline) <= 0 {
			return p
		}
	}
}

// send sends one packet, again where it is a datagram without an answer, and tells what
// became of it.
func (c *checker) send(ctx context.Context, spec probe.Spec, ends chaseEnds, limit time.Duration) *control.Packets {
	s := &sending{chase: c.events.begin(ends), out: &control.Packets{}}
	defer c.events.end(s.chase)
	skipped := c.events.skipped()
	p, err := c.open(spec)
	if err == nil {
		defer p.Close()
		err = p.Send()
	}
	if err != nil {
		s.out.Error = err.Error()
		return s.out
	}
	s.tuple = p.Tuple()
	s.chase.follow(s.tuple)
	s.wait(ctx, p, limit)
	s.result()
	s.out.Skipped = c.events.skipped() - skipped
	return s.out
}

// sending is one packet on its way, as both ends and the network see it.
type sending struct {
	chase   *chase
	tuple   packet.Tuple
	arrived *packet.Tuple // as the receiver saw it
	failed  error         // what the sender's kernel said about it
	out     *control.Packets
}

// wait returns when it is known what became of the packet, or after limit.
func (s *sending) wait(ctx context.Context, p prober, limit time.Duration) {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	pause := resendAfter
	again := time.NewTimer(pause)
	defer again.Stop()
	var settled <-chan time.Time
	for !s.known() {
		select {
		case e := <-p.Events():
			s.happened(e)
		case <-s.chase.news:
		case <-again.C:
			pause *= 2
			again.Reset(pause)
			if err := p.Send(); err != nil {
				s.failed = err
			}
		case <-settled:
			return
		case <-timeout.C:
			return
		case <-ctx.Done():
			return
		}
		if (s.out.Answered || s.failed != nil) && settled == nil {
			settled = time.After(settleAfter)
		}
	}
}

// happened takes in what one of the ends saw.
func (s *sending) happened(e probe.Event) {
	switch e.What {
	case probe.Arrived:
		s.arrived = &e.Tuple
	case probe.Connected:
		s.out.Answered, s.out.Answer = true, check.Connected
	case probe.Refused:
		s.out.Answered, s.out.Answer = true, check.Refused
	case probe.Replied:
		s.out.Answered, s.out.Answer = true, check.Replied
	case probe.Failed:
		s.failed = e.Err
	}
}

// known tells whether nothing more is to be learned: the network dropped the packet or
// its answer, or there is an answer and it is known how the packet came there.
func (s *sending) known() bool {
	v := s.chase.view()
	return v.drop != nil || s.out.Answered && v.delivered && (s.arrived != nil || !v.toMachine)
}

// result puts together what is known.
func (s *sending) result() {
	v, out := s.chase.view(), s.out
	out.Source, out.Destination = endOf(s.tuple.Src, s.tuple.SrcPort, s.tuple.Proto), endOf(s.tuple.Dst, s.tuple.DstPort, s.tuple.Proto)
	out.Sent = v.seen || s.arrived != nil
	out.Delivered = v.delivered || s.arrived != nil
	out.Via, out.Followed, out.Returned = v.via, v.delivered, v.returned
	if s.arrived != nil {
		out.SeenAs = s.arrived.Src.String()
	} else if v.delivered {
		out.SeenAs = v.final.Src.String()
	}
	if v.drop == nil {
		out.ARP = v.arp && !out.Sent
		if s.failed != nil && !out.Answered && !out.ARP {
			out.Error = s.failed.Error()
		}
		return
	}
	e := v.drop
	out.Answered, out.Answer = false, "" // an answer of the network itself is none of the receiver's
	out.Reason, out.Text, out.Back, out.Stage = e.Reason.Name(), e.Reason.Text(), v.back, e.Stage.String()
	out.Decided = &control.Object{Kind: kindOf(e.Stage), ID: e.By.ID, Name: e.By.Name}
	out.Rule, out.RuleID = e.Rule.String(), ruleID(e.Rule)
}

func endOf(a packet.Addr, port uint16, proto uint8) string {
	if proto == packet.ProtoICMP {
		return a.String()
	}
	return fmt.Sprintf("%s:%d", a, port)
}

// handlesOf are the numbers on the packet path of an instance's interfaces, or of a host.
func handlesOf(m *vpc.Model, id string) map[uint32]bool {
	all := map[uint32]bool{}
	if id == vpc.HostName && m.Outside.Linked() {
		all[m.Outside.Handle] = true
	}
	if h := m.InternetHosts.Get(vpc.InternetHostID(id)); h != nil {
		all[h.Handle] = true
	}
	if id != "" {
		for _, n := range m.InstanceInterfaces(vpc.InstanceID(id)) {
			all[n.Handle] = true
		}
	}
	return all
}

// machineWith are the numbers of all interfaces of the instance that has the one with
// this number.
func machineWith(m *vpc.Model, handle uint32) map[uint32]bool {
	for _, n := range m.NetworkInterfaces.All() {
		if n.Handle == handle && n.Attachment != nil {
			return handlesOf(m, string(n.Attachment.InstanceID))
		}
	}
	return map[uint32]bool{handle: true}
}
