package daemon

import (
	"sync"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/packet"
)

const (
	// chaseBuffer is how many events may wait to be looked at.
	chaseBuffer = 1 << 14
	// chaseKept is how many events a chase keeps that it may understand later: those from
	// before it knew its packet, and answers of which it has not seen the question yet.
	chaseKept = 1 << 10
)

// chases follows the packets of several checks through the network by its events.
type chases struct {
	sub     *dataplane.Subscription
	done    chan struct{}
	ended   sync.WaitGroup
	mu      sync.Mutex
	running map[*chase]bool
}

func newChases(e *dataplane.Engine) *chases {
	c := &chases{sub: e.Subscribe(chaseBuffer), done: make(chan struct{}), running: map[*chase]bool{}}
	c.ended.Go(func() {
		for {
			select {
			case e := <-c.sub.C:
				c.happened(e)
			case <-c.done:
				return
			}
		}
	})
	return c
}

func (c *chases) close() {
	c.sub.Close()
	close(c.done)
	c.ended.Wait()
}

// skipped is the number of events that were lost.
func (c *chases) skipped() uint64 { return c.sub.Skipped() }

func (c *chases) happened(e dataplane.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for one := range c.running {
		one.add(e)
	}
}

func (c *chases) begin(ends chaseEnds) *chase {
	one := &chase{ends: ends, news: make(chan struct{}, 1)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running[one] = true
	return one
}

func (c *chases) end(one *chase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, one)
}

// chaseEnds are the numbers of the interfaces between which a packet goes.
type chaseEnds struct {
	from, to map[uint32]bool
	// machine gives all interfaces of the instance that has this one.
	machine func(uint32) map[uint32]bool
}

// chase follows one packet and its answer. A leg is what lies between two machines:
// most packets have one each way, those through an appliance two.
type chase struct {
	ends chaseEnds
	news chan struct{} // tells that the view has changed

	mu      sync.Mutex
	started bool
	proto   uint8
	legs    []leg
	kept    []dataplane.Event
	is      chaseView
}

type leg struct {
	sent packet.Tuple
	from map[uint32]bool // interfaces by which it can come in
	back bool
	over bool // its event has come
	// by an appliance, which may have put its own address in place of the sender's (a NAT
	// instance), and puts that back into answers.
	by bool
}

// is tells whether the leg's packet is the one that came in.
func (l *leg) is(in packet.Tuple) bool {
	switch {
	case l.by && l.back:
		in.Dst = l.sent.Dst
	case l.by:
		in.Src = l.sent.Src
	}
	return in == l.sent
}

// chaseView is what is known of the packet.
type chaseView struct {
	seen      bool // it came in
	delivered bool // at its receiver, or taken by a service of the VPC
	toMachine bool // delivered to an instance or host
	final     packet.Tuple
	returned  bool // its answer was delivered at the sender
	via       []control.Object
	drop      *dataplane.Event
	back      bool // it is the answer that was dropped
	arp       bool // the sender's machine has asked by ARP and got no answer
}

func (c *chase) view() chaseView {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.is
}

// follow says which packet it is.
func (c *chase) follow(sent packet.Tuple) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started, c.proto = true, sent.Proto
	c.legs = []leg{{sent: sent, from: c.ends.from}}
	c.reconsider()
}

func (c *chase) add(e dataplane.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case e.Reason == dataplane.ARPUnanswered:
		c.is.arp = c.is.arp || c.ends.from[e.Handle] // for whom, the event does not say
		return
	case c.started && e.Sent.Proto != c.proto:
		return
	case c.started && c.understand(e):
		c.reconsider()
		return
	case len(c.kept) >= chaseKept:
		c.kept = append(c.kept[:0], c.kept[chaseKept/2:]...)
	}
	c.kept = append(c.kept, e)
}

// reconsider looks at what was kept, as long as something of it is understood.
func (c *chase) reconsider() {
	for again := true; again; {
		again = false
		for i, e := range c.kept {
			if c.understand(e) {
				c.kept = append(c.kept[:i:i], c.kept[i+1:]...)
				again = true
				break
			}
		}
	}
}

// understand tells whether the event is that of a leg.
func (c *chase) understand(e dataplane.Event) bool {
	for i := range c.legs {
		l := &c.legs[i]
		if !l.from[e.Handle] || !l.is(e.Sent) {
			continue
		}
		if !l.over { // else it was sent again
			l.over = true
			c.ended(*l, e)
			select {
			case c.news <- struct{}{}:
			default:
			}
		}
		return true
	}
	return false
}

// ended takes in how a leg ended, and where the packet or its answer goes on.
func (c *chase) ended(l leg, e dataplane.Event) {
	if !l.back {
		c.is.seen = true
		c.is.via = append(c.is.via, passedBy(e)...)
	}
	switch {
	case e.Reason.Dropped():
		c.is.drop, c.is.back = &e, l.back
	case l.back && !c.ends.from[e.To]:
		c.legs = append(c.legs, leg{sent: e.Tuple, from: c.ends.machine(e.To), back: true, by: true})
	case l.back:
		c.is.returned = true
	case e.To == 0 || c.ends.to[e.To]:
		c.is.delivered, c.is.toMachine, c.is.final = true, e.To != 0, e.Tuple
		if e.To != 0 {
			c.legs = append(c.legs, leg{sent: e.Tuple.Reverse(), from: c.ends.to, back: true})
		}
	default: // an appliance, which is to pass it on
		c.is.via = append(c.is.via, control.Object{Kind: "interface", ID: e.By.ID, Name: e.By.Name})
		c.legs = append(c.legs, leg{sent: e.Tuple, from: c.ends.machine(e.To), by: true})
	}
}

// passedBy are the gateways that the packet got through.
func passedBy(e dataplane.Event) (via []control.Object) {
	if e.Way == nil {
		return nil
	}
	for _, s := range e.Way.Steps() {
		switch s.Stage {
		case dataplane.StageNAT, dataplane.StageIGWEgress, dataplane.StageIGWIngress:
			if !s.End {
				via = append(via, control.Object{Kind: kindOf(s.Stage), ID: s.By.ID, Name: s.By.Name})
			}
		}
	}
	return via
}

// kindOf is what kind of object a stage belongs to, as traces call it.
func kindOf(s dataplane.Stage) string {
	switch s {
	case dataplane.StageACLEgress, dataplane.StageACLIngress:
		return "network acl"
	case dataplane.StageRoute, dataplane.StageEdgeRoute:
		return "route table"
	case dataplane.StageNAT:
		return "nat gateway"
	case dataplane.StageIGWEgress, dataplane.StageIGWIngress:
		return "internet gateway"
	case dataplane.StageInternet:
		return "internet host"
	}
	return "interface"
}

// ruleID is what a rule goes by in a trace.
func ruleID(r dataplane.Rule) string {
	switch {
	case r.Group != nil:
		return r.Group.RuleID
	case r.ACL != nil:
		return r.ACL.Label()
	case r.Route != nil:
		return r.Route.Dest.String()
	}
	return ""
}
