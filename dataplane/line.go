package dataplane

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/impair"
)

// A line is where packets are that links delay, in the order in which they are to go on.
// One worker that polls owns it and sends them on; workers of ports that have no
// descriptor use that of the first. Packets of one time keep the order in which they came.
//
// A parcel holds no snapshot. It names its port and who had it, and goes there only if the
// snapshot of the day says that it is theirs still: a port that was closed meanwhile, or
// has another's descriptor by now, gets nothing.
type line struct {
	owner *poller
	// next is when the first is to go on, never while there is none. It is written with
	// mu held, and read by the owner without.
	next atomic.Int64

	mu     sync.Mutex
	heap   []waiting
	number uint64
	bytes  int // of all that wait
	free   [len(parcelSizes)][]*parcel
}

// never is later than any time.
const never = math.MaxInt64

// maxLine bounds what waits in one worker's line, in bytes: a tenth of a second of
// 10 Gbit/s. Tests make it smaller.
var maxLine = 128 << 20

// keptParcels of each size stay for the next packets when a line is empty.
const keptParcels = 64

// parcelSizes are those of the buffers of parcels.
var parcelSizes = [...]int{2 << 10, 16 << 10, bufferSize}

type waiting struct {
	at     int64
	number uint64
	p      *parcel
}

func (a waiting) before(b waiting) bool {
	return a.at < b.at || a.at == b.at && a.number < b.number
}

// A parcel is a packet on its way, as the port at the end wants it, or a super-packet.
type parcel struct {
	to      Port
	handle  uint32 // of whose port it was when the packet was sent
	in      *linkState
	version uint32  // of the link's conditions when it came in
	rest    []*Link // still to be crossed

	packets, bytes int   // on the wire
	copied         bool  // a duplicate, which nobody has counted
	event          Event // what has been told of it; zero for a duplicate

	b    []byte // a part of buf
	buf  []byte
	size int // in parcelSizes
}

// linkState is what lives as long as a link, whatever the snapshots.
type linkState struct {
	*impair.Link
	held atomic.Int64 // packets on the wire that are in it
}

func newLine(owner *poller) *line {
	l := &line{owner: owner}
	l.next.Store(never)
	return l
}

// push has the parcel go on at a time. by is the worker who asks.
func (l *line) push(by *worker, at int64, p *parcel) {
	p.in.held.Add(int64(p.packets))
	l.mu.Lock()
	l.number++
	l.heap = append(l.heap, waiting{at, l.number, p})
	l.up(len(l.heap) - 1)
	l.bytes += len(p.b)
	first := l.heap[0].at
	earlier := first < l.next.Load()
	if earlier {
		l.next.Store(first)
	}
	l.mu.Unlock()
	if earlier && l.owner.worker != by {
		l.owner.rouse()
	}
}

// pop takes out the first parcel that may go on by now, and says when it was to.
func (l *line) pop(now int64) (*parcel, int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.heap) == 0 || l.heap[0].at > now {
		return nil, 0
	}
	first := l.heap[0]
	last := len(l.heap) - 1
	l.heap[0], l.heap[last] = l.heap[last], waiting{}
	l.heap = l.heap[:last]
	l.down(0)
	l.bytes -= len(first.p.b)
	if last > 0 {
		l.next.Store(l.heap[0].at)
	} else {
		l.next.Store(never)
		l.tidy()
	}
	first.p.in.held.Add(-int64(first.p.packets))
	return first.p, first.at
}

func (l *line) up(i int) {
	for i > 0 {
		above := (i - 1) / 2
		if !l.heap[i].before(l.heap[above]) {
			return
		}
		l.heap[i], l.heap[above] = l.heap[above], l.heap[i]
		i = above
	}
}

func (l *line) down(i int) {
	for {
		least := i
		for _, below := range [2]int{2*i + 1, 2*i + 2} {
			if below < len(l.heap) && l.heap[below].before(l.heap[least]) {
				least = below
			}
		}
		if least == i {
			return
		}
		l.heap[i], l.heap[least] = l.heap[least], l.heap[i]
		i = least
	}
}

// take gives a parcel with a copy of b, nil where too much waits already.
func (l *line) take(b []byte) *parcel {
	size := 0
	for len(b) > parcelSizes[size] {
		size++
	}
	l.mu.Lock()
	if l.bytes+len(b) > maxLine {
		l.mu.Unlock()
		return nil
	}
	var p *parcel
	if n := len(l.free[size]); n > 0 {
		p = l.free[size][n-1]
		l.free[size][n-1] = nil
		l.free[size] = l.free[size][:n-1]
	}
	l.mu.Unlock()
	if p == nil {
		p = &parcel{buf: make([]byte, parcelSizes[size]), size: size}
	}
	p.b = p.buf[:copy(p.buf, b)]
	return p
}

// again gives another parcel like p.
func (l *line) again(p *parcel) *parcel {
	c := l.take(p.b)
	if c == nil {
		return nil
	}
	c.to, c.handle, c.in, c.version, c.rest = p.to, p.handle, p.in, p.version, p.rest
	c.packets, c.bytes, c.copied = p.packets, p.bytes, true
	return c
}

// give takes a parcel back.
func (l *line) give(p *parcel) {
	*p = parcel{buf: p.buf, size: p.size}
	l.mu.Lock()
	l.free[p.size] = append(l.free[p.size], p)
	l.mu.Unlock()
}

// tidy lets go of what an empty line needs no more. mu is held.
func (l *line) tidy() {
	for i := range l.free {
		if len(l.free[i]) > keptParcels {
			l.free[i] = slices.Clone(l.free[i][:keptParcels])
		}
	}
	if cap(l.heap) > 1<<12 {
		l.heap = nil
	}
}

// renew is for another snapshot: what is in a link whose conditions have changed, or which
// is no more, goes on at once, and nothing keeps the old snapshot.
func (l *line) renew(now int64) {
	if l.next.Load() == never {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.heap {
		w := &l.heap[i]
		if w.p.event.Way != nil {
			w.p.event.last()
		}
		if w.p.in.Version() != w.p.version {
			w.at = min(w.at, now)
		}
	}
	for i := len(l.heap)/2 - 1; i >= 0; i-- {
		l.down(i)
	}
	if len(l.heap) > 0 {
		l.next.Store(l.heap[0].at)
	}
}

// sendOn sends on what has been in its link long enough. It is called within a batch.
func (p *poller) sendOn() {
	l := p.line
	if l.next.Load() == never {
		return
	}
	p.now = p.e.cfg.Now()
	for range maxSendOn {
		parcel, at := l.pop(p.now)
		if parcel == nil {
			return
		}
		p.onward(parcel, at)
	}
}

// maxSendOn is how many parcels go on before ports are looked at again.
const maxSendOn = 256

// onward takes a parcel, at the time at which it left a link, over those that are left and
// to its port. Times are those that were meant: a worker that is late adds nothing up, and
// has packets come to each link in the order of these times all the same.
func (r *worker) onward(p *parcel, at int64) {
	for len(p.rest) > 0 {
		link := p.rest[0]
		p.rest = p.rest[1:]
		passage := link.state.Enter(at, p.packets, p.bytes)
		if passage.Full {
			r.lostOnWay(p, LinkQueueFull, StageLink, link.Ref, Rule{Link: link})
			return
		}
		p.in, p.version = link.state, passage.Version
		if passage.Twice {
			r.double(p, passage.Leaves)
		}
		if passage.Leaves > at {
			r.line.push(r, passage.Leaves, p)
			return
		}
	}
	r.arrive(p)
}

// double has a copy of the parcel go on, too. The parcel itself must be the worker's still.
func (r *worker) double(p *parcel, at int64) {
	if c := r.line.again(p); c != nil {
		r.line.push(r, at, c)
	}
}

// arrive writes the parcel to its port, if that is still its receiver's.
func (r *worker) arrive(p *parcel) {
	place, named := r.snap.ports[p.to]
	if !named || place.Handle() != p.handle {
		r.lostOnWay(p, ENIDetached, StageDeliver, p.event.By, Rule{})
		return
	}
	if f := place.failure(); f != nil {
		r.lostOnWay(p, f.Reason, StageLink, f.Ref, Rule{})
		return
	}
	if _, err := p.to.Write(p.b); err != nil {
		r.lostOnWay(p, PortWriteFailed, StageDeliver, p.event.By, Rule{})
		return
	}
	r.line.give(p)
}

// lostOnWay is the end of a parcel that had been told of as delivered when it was sent.
// Counters by reason and, under the same snapshot, by way are put right; readings of meters
// are not, as they have been taken.
func (r *worker) lostOnWay(p *parcel, reason Reason, stage Stage, by Ref, rule Rule) {
	defer r.line.give(p)
	if p.copied {
		return
	}
	e := &p.event
	n := Traffic{uint64(p.packets), uint64(p.bytes)}
	way := e.Way.instead(reason, stage, by, rule)
	if !r.e.cfg.NoCounters {
		r.tally.recount(e.Reason, reason, n.Packets)
		if e.Way.tree == r.tree {
			e.Way.count(Traffic{-n.Packets, -n.Bytes})
			way.count(n)
		}
	}
	e.At, e.Reason, e.Stage, e.By, e.Rule, e.Way = r.now, reason, stage, by, rule, way
	e.Packets, e.Size, e.To = p.packets, p.bytes, 0
	r.e.drops.add(*e)
	r.e.subscribers.tell(e)
}

// bind gives the links of a snapshot that is about to be published their states, those of
// the one before where they are the same. It tells whether something that may be in a link
// has to go on. The engine's lock is held.
func (e *Engine) bind(s *Snapshot) (changed bool) {
	links := make(map[string]*linkState, len(s.links))
	for _, l := range s.links {
		q := e.links[l.Key]
		if q == nil {
			q = &linkState{Link: impair.NewLink(l.Seed, l.Conditions)}
		} else if q.Change(l.Conditions) {
			changed = true
		}
		links[l.Key] = q
		if l.state == nil {
			l.state = q
		}
	}
	for key, q := range e.links {
		if links[key] == nil {
			q.Retire()
			changed = true
		}
	}
	e.links = links
	return changed
}

// LinkStats are what a link has done since it was made, or its engine.
type LinkStats struct {
	impair.Counts
	Held int64 // packets that are in it now
}

// Links tells of all links of the current snapshot, by key.
func (e *Engine) Links() map[string]LinkStats {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make(map[string]LinkStats, len(e.links))
	for key, q := range e.links {
		out[key] = LinkStats{q.Counts(), q.held.Load()}
	}
	return out
}

// rouse wakes the worker, if it goes on: its descriptors are closed soon after its end.
func (p *poller) rouse() {
	if !p.stop.Load() {
		p.wakeUp()
	}
}

func (p *poller) wakeUp() {
	one := [8]byte{7: 1} // any number but 0 in either byte order
	_, _ = unix.Write(p.wake, one[:])
}

// hear takes note that somebody has.
func (p *poller) hear(events []unix.EpollEvent) {
	for i := range events {
		if events[i].Fd == wakeSlot {
			var b [8]byte
			_, _ = unix.Read(p.wake, b[:])
		}
	}
}
