package dataplane

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// Event is how the walk of one packet ended. Its pointers lead into the snapshot
// that the walk used.
type Event struct {
	At       int64 // nanoseconds of Config.Now
	Ingress  Ref
	Handle   uint32       // of the ingress, 0 for a services port
	Sent     packet.Tuple // as its sender sent it
	Tuple    packet.Tuple // as it was when its walk ended
	ICMPType uint8        // with ICMPCode, for ICMP and ICMPv6
	ICMPCode uint8
	Flags    uint8 // TCP
	Packets  int   // on the wire: a super-packet is several
	Size     int   // bytes of all of them, IP headers included
	Reason   Reason
	Stage    Stage
	By       Ref  // the object that decided
	Rule     Rule // and what in it
	To       uint32
	Answered bool // the network sent an ICMP error or a RST back
	Way      *Way // all decisions
}

func (e *Event) String() string {
	s := fmt.Sprintf("%s %s at %s", e.Sent, e.Reason, e.Stage)
	if by := e.By.String(); by != "" {
		s += " by " + by
	}
	if rule := e.Rule.String(); rule != "" {
		s += ", " + rule
	}
	return s
}

func (w *walk) event(answered bool) Event {
	return Event{
		At: w.now, Ingress: w.in.Ref(), Handle: w.in.Handle(), Sent: w.sent, Tuple: w.ended,
		ICMPType: w.hdr.ICMPType, ICMPCode: w.hdr.ICMPCode, Flags: w.hdr.TCPFlags,
		Packets: w.gso.Segments, Size: w.size,
		Reason: w.reason, Stage: w.stage, By: w.by, Rule: w.rule, To: w.out.handle(), Answered: answered, Way: w.way,
	}
}

// last makes the event one that may be kept for long. The worker whose way it has calls it.
func (e *Event) last() {
	e.Way = e.Way.lasting()
	e.Rule = e.Way.rule
}

// dropRing keeps the most recent drops of all readers, and no snapshot with them: in a lab
// that changes all the time, each of them may be of another.
type dropRing struct {
	mu     sync.Mutex
	events [dropRingSize]Event
	next   uint64
}

const dropRingSize = 512

func (d *dropRing) add(e Event) {
	e.last()
	d.mu.Lock()
	d.events[d.next%dropRingSize] = e
	d.next++
	d.mu.Unlock()
}

// recent returns the drops that are kept, oldest first.
func (d *dropRing) recent() []Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(d.next, dropRingSize)
	out := make([]Event, 0, n)
	for i := d.next - n; i < d.next; i++ {
		out = append(out, d.events[i%dropRingSize])
	}
	return out
}

// A Subscription receives the events of all packets from the time it was made. A
// receiver that falls behind loses events, which are counted; packets never wait.
type Subscription struct {
	C       <-chan Event
	c       chan Event
	skipped atomic.Uint64
	list    *subscribers
}

// Skipped is the number of events that found the buffer full.
func (s *Subscription) Skipped() uint64 { return s.skipped.Load() }

// Close ends the subscription. C is not closed, but receives nothing more.
func (s *Subscription) Close() { s.list.remove(s) }

// subscribers is a copy-on-write list, so that publishing takes no lock.
type subscribers struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*Subscription]
}

func (l *subscribers) add(buffer int) *Subscription {
	c := make(chan Event, max(buffer, 1))
	s := &Subscription{C: c, c: c, list: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []*Subscription
	if old := l.list.Load(); old != nil {
		list = slices.Clone(*old)
	}
	list = append(list, s)
	l.list.Store(&list)
	return s
}

func (l *subscribers) remove(s *Subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.list.Load(); old != nil {
		list := slices.DeleteFunc(slices.Clone(*old), func(o *Subscription) bool { return o == s })
		l.list.Store(&list)
	}
}

func (l *subscribers) publish(w *walk, answered bool) {
	if list := l.list.Load(); list != nil && len(*list) > 0 {
		e := w.event(answered)
		l.tell(&e)
	}
}

// tell gives all an event.
func (l *subscribers) tell(e *Event) {
	list := l.list.Load()
	if list == nil {
		return
	}
	for _, s := range *list {
		select {
		case s.c <- *e:
		default:
			s.skipped.Add(1)
		}
	}
}
