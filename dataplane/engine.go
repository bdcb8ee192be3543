package dataplane

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vpcemu/vpcemu/dhcp"
	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/slab"
	"github.com/vpcemu/vpcemu/nat"
)

// How the tables forget: a look at so many records of each, so often.
const (
	expireEvery = 250 * time.Millisecond
)

// graceStep is how often Swap looks whether the old snapshot is still in use.
const graceStep = 20 * time.Microsecond

// Config is what an Engine needs besides snapshots. Callbacks come from the readers'
// goroutines and must not block, nor call Swap or Close.
type Config struct {
	Conntrack *conntrack.Table
	NAT       *nat.Table
	// Now is the clock of all timeouts in nanoseconds, nil: CLOCK_BOOTTIME.
	Now func() int64
	// WallClock dates DHCP leases, nil: time.Now.
	WallClock func() time.Time
	// OnLease is told what a DHCP message did to the ENI's lease.
	OnLease func(eni uint32, l dhcp.Lease)
	// OnPortDown is told of a port whose Read failed while a snapshot still named it.
	// The port is not read again; a later snapshot may name a new one in its place.
	OnPortDown func(p Port, err error)
	// Workers is how many threads poll the ports that have a descriptor; 0: half as many
	// as there are processors, at least one and at most eight.
	Workers int
	// FlowEntries is how many directions of flows each worker's cache may remember, 0:
	// its share of DefaultFlowEntries; below 0 all packets take the stages.
	FlowEntries int
	// NoCounters leaves packets uncounted, by reason as by rule and interface: for
	// measuring what that costs.
	NoCounters bool
	// RelatedICMP admits ICMP errors about admitted flows without a rule (CT-09).
	RelatedICMP bool
}

// Engine moves packets between the ports that the current snapshot names.
type Engine struct {
	cfg         Config
	snap        atomic.Pointer[Snapshot]
	drops       dropRing
	subscribers subscribers
	pollers     []*poller

	// mu serialises Swap, Close and the bookkeeping of sources. It is never taken on a
	// packet's way.
	mu         sync.Mutex
	sources    map[Port]*source
	links      map[string]*linkState // by key
	retired    [numTallys]uint64
	closed     bool
	stop       chan struct{}
	background sync.WaitGroup

	tracing sync.RWMutex // held for reading by Trace while it uses a snapshot

	// account is what trees of ways have been folded into. accountMu guards it and comes
	// before mu; retiredMu guards the trees that workers have left, and nothing is taken
	// under it.
	accountMu   sync.Mutex
	account     Account
	meters      meters
	tapsMu      sync.Mutex // of changes to taps
	tapsGen     uint64
	taps        atomic.Pointer[tapList] // nil: none
	retiredMu   sync.Mutex
	retiredWays []*wayTree
	// retiredFlows are those of workers that have ended; retiredMu guards them, too.
	retiredFlows Reading
}

// NewEngine returns an engine without ports. Close ends it. Errors are those of making
// the descriptors that its workers wait with.
func NewEngine(cfg Config) (*Engine, error) {
	if cfg.Now == nil {
		cfg.Now = slab.Boottime
	}
	if cfg.WallClock == nil {
		cfg.WallClock = time.Now
	}
	if cfg.Workers <= 0 {
		cfg.Workers = DefaultWorkers()
	}
	if cfg.FlowEntries == 0 {
		cfg.FlowEntries = DefaultFlowEntries / cfg.Workers
	}
	e := &Engine{cfg: cfg, sources: make(map[Port]*source), stop: make(chan struct{}), account: newAccount(), meters: meters{again: make(chan struct{}, 1)}}
	for range cfg.Workers {
		p, err := newPoller(e)
		if err != nil {
			for _, p := range e.pollers {
				p.release()
			}
			return nil, fmt.Errorf("engine: %w", err)
		}
		e.pollers = append(e.pollers, p)
	}
	for _, p := range e.pollers {
		go p.loop()
	}
	e.background.Add(2)
	go e.expire()
	go e.collect()
	return e, nil
}

// DefaultWorkers is how many there are unless Config says: they leave as many processors to
// the instances as the network takes. A worker that polls keeps one of the Go runtime's processors
// (runtime.GOMAXPROCS) all the time.
func DefaultWorkers() int { return max(1, min(runtime.GOMAXPROCS(0)/2, maxWorkers)) }

// maxWorkers: beyond it the shards of the tables would be fought for.
const maxWorkers = 8

// Swap publishes s, on which Finish has been called: every packet read from now on
// sees it. It starts to read new ports, and returns after the last walk under an
// earlier snapshot has ended and the ports that s no longer names are closed.
func (e *Engine) Swap(s *Snapshot) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	changed := e.bind(s)
	e.snap.Store(s)
	if changed {
		for _, p := range e.pollers {
			p.rouse()
		}
	}
	for p := range s.ports {
		if e.sources[p] == nil {
			e.read(p)
		}
	}
	var gone []*source
	for p, src := range e.sources {
		if _, named := s.ports[p]; !named {
			src.closing.Store(true)
			if src.poller != nil {
				src.poller.forget(src)
			}
			gone = append(gone, src)
		}
	}
	e.awaitGrace(s)
	for _, src := range gone {
		e.retire(src)
	}
}

// read starts to read a port: by the worker that has the fewest, or by one of its own.
func (e *Engine) read(p Port) {
	q, ok := p.(Queue)
	if !ok {
		src := newSource(p, newWorker(e))
		e.sources[p] = src
		go src.worker.serve(src)
		return
	}
	least := e.pollers[0]
	for _, other := range e.pollers {
		if other.ports < least.ports {
			least = other
		}
	}
	src, err := least.add(q)
	e.sources[p] = src
	if err != nil {
		go e.down(src, err) // as a worker would, and not under our lock
	}
}

// awaitGrace waits until nobody uses a snapshot other than s.
func (e *Engine) awaitGrace(s *Snapshot) {
	for _, p := range e.pollers {
		p.worker.awaitGrace(s)
	}
	for _, src := range e.sources {
		if src.poller == nil {
			src.worker.awaitGrace(s)
		}
	}
	e.tracing.Lock()
	//lint:ignore SA2001 the lock is a barrier: traces that began earlier have ended
	e.tracing.Unlock()
}

func (r *worker) awaitGrace(s *Snapshot) {
	for u := r.using.Load(); u != nil && u != s; u = r.using.Load() {
		time.Sleep(graceStep)
	}
}

// retire closes a port that is no longer named. No walk can write to it any more.
func (e *Engine) retire(src *source) {
	src.port.Close()
	delete(e.sources, src.port)
	if src.poller != nil {
		src.poller.drop(src)
		return
	}
	src.worker.tally.addTo(&e.retired)
	e.retireWays(src.worker.ways.Load())
	e.retireFlows(src.worker.meter.take())
}

// sourceEnded is called for a port that does not read any more.
func (e *Engine) sourceEnded(src *source, err error) {
	if src.poller != nil {
		src.poller.forget(src)
	}
	e.down(src, err)
}

// down tells of a port that is not read any more, unless that was asked for.
func (e *Engine) down(src *source, err error) {
	if !src.closing.Load() && e.cfg.OnPortDown != nil {
		e.cfg.OnPortDown(src.port, err)
	}
}

// Close closes all ports and waits for their workers. The tables stay open.
func (e *Engine) Close() {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return
	}
	e.closed = true
	close(e.stop)
	var ended []*worker
	for _, p := range e.pollers {
		p.end()
		<-p.done
		p.release()
	}
	for port, src := range e.sources {
		src.closing.Store(true)
		port.Close()
		if src.poller == nil {
			ended = append(ended, src.worker)
		}
	}
	e.mu.Unlock()
	for _, r := range ended {
		<-r.done
	}
	e.background.Wait()
}

// expire lets the tables forget, a little at a time.
func (e *Engine) expire() {
	defer e.background.Done()
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-tick.C:
			now := e.cfg.Now()
			e.cfg.Conntrack.ExpireSome(now)
			e.cfg.NAT.ExpireSome(now)
			e.foldRetired()
		}
	}
}

// workers are all that read ports.
func (e *Engine) workers() (all []*worker) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.pollers {
		all = append(all, p.worker)
	}
	for _, src := range e.sources {
		if src.poller == nil {
			all = append(all, src.worker)
		}
	}
	return all
}

// Stats tells what the engine has done since it was made.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	sum := e.retired
	var entries int
	for _, p := range e.pollers {
		p.tally.addTo(&sum)
		entries += int(p.flows.room.Load())
	}
	for _, src := range e.sources {
		if src.poller == nil {
			src.worker.tally.addTo(&sum)
			entries += int(src.worker.flows.room.Load())
		}
	}
	s := stats(&sum)
	s.Workers = len(e.pollers)
	s.Cache.Entries, s.Cache.Bytes = entries, entries*FlowBytes
	return s
}

// Counters tells how many packets ended in which way since the engine was made.
// Reasons that never occurred are absent.
func (e *Engine) Counters() map[Reason]uint64 { return e.Stats().Reasons }

// Drops returns the most recent drops, oldest first, at most a few hundred. What their
// ways and rules point to are copies: an interface's identity, subnet and VPC, nothing more.
func (e *Engine) Drops() []Event { return e.drops.recent() }

// Subscribe asks for the events of all packets from now on; buffer is how many may wait.
func (e *Engine) Subscribe(buffer int) *Subscription { return e.subscribers.add(buffer) }

// Trace is the way of one imagined packet; see Tracer. Nil for an unknown handle.
func (e *Engine) Trace(ingress uint32, pkt []byte) []Step { return e.Tracer().Send(ingress, pkt).Steps }
