package dataplane

import (
	"time"

	"golang.org/x/sys/unix"
)

// Walker gives tests the path of one port's packets without the goroutine and the
// channel around it: what reads, walks, commits and writes.
func (e *Engine) Walker(p Port) func(pkt []byte) {
	r := newWorker(e)
	s := newSource(p, r)
	return func(pkt []byte) {
		r.enter()
		r.receive(s, copy(r.buf[s.features.start():], pkt))
		r.leave()
	}
}

// A Batcher gives tests a worker of their own that takes packets in batches, as one
// that polls does.
type Batcher struct {
	r *worker
	s *source
}

// Batcher returns one that acts for the port.
func (e *Engine) Batcher(p Port) *Batcher {
	r := newWorker(e)
	return &Batcher{r: r, s: newSource(p, r)}
}

// Send moves packets as if they had waited at the port together.
// The flow cache grows before an empty one.
func (b *Batcher) Send(pkts ...[]byte) {
	b.r.enter()
	for i, pkt := range pkts {
		if len(pkt) == 0 {
			b.r.flows.evicted = uint32(len(b.r.flows.entries))
			b.r.flows.grow()
			continue
		}
		b.r.burst = i > 0
		b.r.receive(b.s, copy(b.r.buf[b.s.features.start():], pkt))
	}
	b.r.leave()
}

// Interrupted begins a batch, lets something happen, and then moves a packet in it.
func (b *Batcher) Interrupted(between func(), pkt []byte) {
	b.r.enter()
	between()
	b.r.receive(b.s, copy(b.r.buf[b.s.features.start():], pkt))
	b.r.leave()
}

// Metered takes what the worker has metered.
func (b *Batcher) Metered() (flows []Flow, skipped uint64) { return b.r.meter.take() }

// Account is what the worker has counted since the last call.
func (b *Batcher) Account() Account {
	a := newAccount()
	a.fold(b.r.tree)
	return a
}

// Ways is how many nodes the worker's tree has.
func (b *Batcher) Ways() int {
	count := func(w *Way) (n int) { return 0 }
	count = func(w *Way) (n int) {
		for _, c := range w.children {
			n += 1 + count(c)
		}
		return n
	}
	n := 0
	for _, root := range b.r.tree.roots {
		n += count(root)
	}
	return n
}

// SetLimits sets how many ways a worker's tree and how many flows its meter may have, and
// gives what puts them back.
func SetLimits(ways, records int) (restore func()) {
	w, r := maxWays, maxRecords
	maxWays, maxRecords = ways, records
	return func() { maxWays, maxRecords = w, r }
}

// Stats are those of the worker.
func (b *Batcher) Stats() Stats {
	var sum [numTallys]uint64
	b.r.tally.addTo(&sum)
	s := stats(&sum)
	s.Cache.Entries = int(b.r.flows.room.Load())
	return s
}

// Overtaken walks a packet, lets between happen before its effects are committed, and
// finishes it as a reader would. It tells whether the commit asked for another walk.
func (e *Engine) Overtaken(p Port, pkt []byte, between func()) (again bool) {
	r := newWorker(e)
	s := newSource(p, r)
	n := copy(r.buf[ipRoom:], pkt)
	r.enter()
	defer r.leave()
	r.src = s
	r.w.detailed = r.taps != nil && r.taps.detail
	o := r.ownerOf(s)
	r.w.begin(r.snap, s, o.in, o.root, r.now)
	r.w.buf = r.buf[ipRoom : ipRoom+n]
	r.w.parse()
	r.w.keep()
	r.w.run()
	between()
	again = r.w.commit()
	r.w.restore()
	r.w.reset()
	r.walk(true)
	return again
}

// Settle has the workers that poll send on what is due, and returns when they have.
func (e *Engine) Settle() {
	for _, p := range e.pollers {
		for range 2 { // who hears the second call has done what the first was for
			p.rouse()
			for {
				heard := []unix.PollFd{{Fd: int32(p.wake), Events: unix.POLLIN}}
				if n, err := unix.Poll(heard, 0); err == nil && n == 0 {
					break
				}
				time.Sleep(graceStep)
			}
		}
	}
}

// SetMaxLine sets how many bytes may wait in a worker's line, and gives what puts it back.
func SetMaxLine(bytes int) (restore func()) {
	was := maxLine
	maxLine = bytes
	return func() { maxLine = was }
}
