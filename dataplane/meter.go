package dataplane

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// Flow is what packets of one tuple, on one way, amounted to in an interval.
type Flow struct {
	Way                *Way
	Sent               packet.Tuple // as its sender sent it
	Tuple              packet.Tuple // as it was when its walk ended
	ICMPType, ICMPCode uint8
	// Flags are the TCP flags seen, as flow logs have them: SYN, FIN and RST, and ACK of
	// packets with SYN alone (FL-07).
	Flags          uint8
	Packets, Bytes uint64 // on the wire, IP headers included
	First, Last    int64  // nanoseconds of Config.Now
	Answered       bool   // the network sent an ICMP error or a RST back for one of them

	changes []change
}

// change is a translation: the tuple from a step on.
type change struct {
	step  int
	tuple packet.Tuple
}

// Steps are those of the way, with the tuples of the first packet of the interval.
func (f *Flow) Steps() []Step {
	steps := f.Way.Steps()
	t, changes := f.Sent, f.changes
	for i := range steps {
		if len(changes) > 0 && changes[0].step == i {
			t, changes = changes[0].tuple, changes[1:]
		}
		steps[i].Tuple = t
	}
	return steps
}

// Reading is what a Meter tells at a time. It is shared by all meters: read only.
type Reading struct {
	Flows []Flow
	// Skipped are packets that no flow of this reading counts: there were too many
	// flows, or the reading before it was not taken in time.
	Skipped uint64
}

func (r *Reading) add(flows []Flow, skipped uint64) {
	if r.Flows == nil {
		r.Flows = flows
	} else {
		r.Flows = append(r.Flows, flows...)
	}
	r.Skipped += skipped
}

// packets of all flows, with those skipped.
func (r *Reading) packets() uint64 {
	n := r.Skipped
	for i := range r.Flows {
		n += r.Flows[i].Packets
	}
	return n
}

// maxRecords bounds the flows of one worker's interval, at about 300 bytes each. Tests make
// it smaller.
var maxRecords = 1 << 17

// A Meter gives readings of all packets, as long as there are any. While there is one,
// the first packet of each flow and interval takes the stages, and others one more memory
// access. Whoever does not take a reading in time loses it, and is told how many packets
// that were; packets never wait.
type Meter struct {
	C <-chan Reading

	c      chan Reading
	every  time.Duration
	missed uint64 // guarded by meters.mu
	e      *Engine
}

// meters are those of an engine. mu is taken before that of a worker's meter.
type meters struct {
	mu    sync.Mutex
	list  []*Meter
	some  atomic.Bool
	every time.Duration
	again chan struct{} // the interval has changed
	made  atomic.Uint64 // how many there have been
}

// Meter asks for readings of the packets from now on, at least so often while there is
// traffic; buffer is how many may wait. Other meters read now.
func (e *Engine) Meter(every time.Duration, buffer int) *Meter {
	c := make(chan Reading, max(buffer, 1))
	m := &Meter{C: c, c: c, every: max(every, time.Millisecond), e: e}
	e.meters.mu.Lock()
	defer e.meters.mu.Unlock()
	e.give()
	e.meters.set(append(e.meters.list, m))
	e.awaitMetered()
	return m
}

// awaitMetered waits until no worker is in a batch that it began before it knew of the
// latest meter: packets that come later would go unmetered in it.
func (e *Engine) awaitMetered() {
	now := e.meters.made.Add(1)
	for _, r := range e.workers() {
		for r.using.Load() != nil && r.meter.knows.Load() < now {
			time.Sleep(graceStep)
		}
	}
}

// Close ends the meter. C is not closed, but receives nothing more.
func (m *Meter) Close() {
	ms := &m.e.meters
	ms.mu.Lock()
	defer ms.mu.Unlock()
	ms.set(slices.DeleteFunc(ms.list, func(o *Meter) bool { return o == m }))
	if len(ms.list) == 0 {
		m.e.take() // nobody wants it, and it would keep its snapshots
	}
}

// set changes the list; mu is held.
func (ms *meters) set(list []*Meter) {
	ms.list = list
	ms.every = 0
	for _, m := range ms.list {
		if ms.every == 0 || m.every < ms.every {
			ms.every = m.every
		}
	}
	ms.some.Store(len(ms.list) > 0)
	select {
	case ms.again <- struct{}{}:
	default:
	}
}

func (ms *meters) interval() time.Duration {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	return ms.every
}

// collect gives readings until the engine stops.
func (e *Engine) collect() {
	defer e.background.Done()
	last := time.Now()
	for {
		var tick <-chan time.Time
		if every := e.meters.interval(); every > 0 {
			tick = time.After(time.Until(last.Add(every))) // also if meters come and go all the time
		} else {
			last = time.Now()
		}
		select {
		case <-e.stop:
			return
		case <-e.meters.again:
		case <-tick:
			e.Collect()
			last = time.Now()
		}
	}
}

// Collect makes all meters read now. They do so by themselves, too.
func (e *Engine) Collect() {
	e.meters.mu.Lock()
	defer e.meters.mu.Unlock()
	e.give()
}

// take empties the meters of all workers, also of those that have ended.
func (e *Engine) take() (r Reading) {
	for _, w := range e.workers() {
		r.add(w.meter.take())
	}
	e.retiredMu.Lock()
	defer e.retiredMu.Unlock()
	r.add(e.retiredFlows.Flows, e.retiredFlows.Skipped)
	e.retiredFlows = Reading{}
	return r
}

// retireFlows takes what the worker of a port that has gone has metered.
func (e *Engine) retireFlows(flows []Flow, skipped uint64) {
	e.retiredMu.Lock()
	e.retiredFlows.add(flows, skipped)
	e.retiredMu.Unlock()
}

// give hands all meters what there is; their mu is held.
func (e *Engine) give() {
	r := e.take()
	if len(r.Flows) == 0 && r.Skipped == 0 {
		return
	}
	for _, m := range e.meters.list {
		own := Reading{Flows: r.Flows, Skipped: r.Skipped + m.missed}
		select {
		case m.c <- own:
			m.missed = 0
		default:
			m.missed += r.packets()
		}
	}
}

// flowMeter is a worker's part. The worker holds mu for a batch at a time, and only while
// there is a Meter.
type flowMeter struct {
	mu      sync.Mutex
	on      bool          // the worker holds mu: the batch under way is metered
	knows   atomic.Uint64 // how many meters had been made when that batch began
	records []Flow
	index   map[meterKey]uint32
	skipped uint64
}

type meterKey struct {
	way                *Way
	sent               packet.Tuple
	icmpType, icmpCode uint8
}

// take empties the meter.
func (m *flowMeter) take() (flows []Flow, skipped uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	flows, skipped = m.records, m.skipped
	m.records, m.skipped = nil, 0
	clear(m.index)
	if len(flows) > 4096 {
		m.index = nil // a map keeps its size
	}
	return flows, skipped
}

// of gives the record that a flow of the cache had, if it is still there.
func (m *flowMeter) of(record uint32, way *Way, sent *packet.Tuple) *Flow {
	if int(record) < len(m.records) {
		if f := &m.records[record]; f.Way == way && f.Sent == *sent {
			return f
		}
	}
	return nil
}

func (m *flowMeter) full() bool { return len(m.records) >= maxRecords }

// begin and end enclose a batch.
func (r *worker) meterBegin() {
	if !r.e.meters.some.Load() {
		return
	}
	r.meter.mu.Lock()
	if r.meter.on = r.e.meters.some.Load(); !r.meter.on {
		r.meter.mu.Unlock() // the last has just gone, and nobody will take anything
		return
	}
	r.meter.knows.Store(r.e.meters.made.Load())
}

func (r *worker) meterEnd() {
	if r.meter.on {
		r.meter.on, r.record = false, nil // a reading is not kept by the flow that came last
		r.meter.mu.Unlock()
	}
}

// measure accounts for the packet, whose way is known.
func (r *worker) measure(answered bool) {
	w := &r.w
	f := r.record
	if f == nil || f.Way != w.way {
		if f = r.newRecord(); f == nil {
			r.meter.skipped += w.packets()
			return
		}
	}
	f.Packets += w.packets()
	f.Bytes += uint64(w.size)
	f.Last = w.now
	flags := w.hdr.TCPFlags & (packet.FlagFIN | packet.FlagSYN | packet.FlagRST)
	if flags&packet.FlagSYN != 0 {
		flags |= w.hdr.TCPFlags & packet.FlagACK
	}
	f.Flags |= flags
	f.Answered = f.Answered || answered
}

// newRecord finds or makes the record of a packet that took the stages, and has the
// flow that was made of it remember the place.
func (r *worker) newRecord() *Flow {
	m, w := &r.meter, &r.w
	k := meterKey{w.way, w.sent, w.hdr.ICMPType, w.hdr.ICMPCode}
	i, ok := m.index[k]
	if !ok {
		if m.full() {
			return nil
		}
		if m.index == nil {
			m.index = make(map[meterKey]uint32)
		}
		i = uint32(len(m.records))
		m.index[k] = i
		m.records = append(m.records, Flow{Way: w.way, Sent: w.sent, Tuple: w.ended, ICMPType: k.icmpType, ICMPCode: k.icmpCode,
			First: w.now, changes: r.changes()})
	}
	if r.made != nil && r.made.way == w.way.index {
		r.made.record = i
	}
	return &m.records[i]
}

// unmeasure takes packets that had been metered for delivered to the way on which they were
// not. Some packet of their flow is left: the one that took the stages.
func (r *worker) unmeasure(e *Event, way *Way, n Traffic) {
	m := &r.meter
	i, ok := m.index[meterKey{way: e.Way, sent: e.Sent}]
	if !ok {
		return // skipped
	}
	m.records[i].Packets -= n.Packets
	m.records[i].Bytes -= n.Bytes
	f := Flow{Way: way, Sent: e.Sent, Tuple: e.Tuple, First: e.At, changes: m.records[i].changes}
	k := meterKey{way: way, sent: e.Sent}
	j, ok := m.index[k]
	switch {
	case !ok && m.full():
		m.skipped += n.Packets
		return
	case !ok:
		j = uint32(len(m.records))
		m.index[k] = j
		m.records = append(m.records, f)
	}
	m.records[j].Packets += n.Packets
	m.records[j].Bytes += n.Bytes
	m.records[j].Last = r.now
}

// changes are the translations on the packet's way.
func (r *worker) changes() (list []change) {
	w := &r.w
	if r.record != nil && len(w.steps) != w.way.depth {
		return r.record.changes // of a known flow, which its port refused now
	}
	t := w.sent
	for i := range w.steps {
		if s := &w.steps[i]; s.Tuple != t {
			t = s.Tuple
			list = append(list, change{i, t})
		}
	}
	return list
}
