package dataplane

import (
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
	expireEvery  = 250 * time.Millisecond
	expireBudget = 4096
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
	// RelatedICMP admits ICMP errors about admitted flows without a rule (CT-09).
	RelatedICMP bool
}

// Engine moves packets between the ports that the current snapshot names.
type Engine struct {
	cfg         Config
	snap        atomic.Pointer[Snapshot]
	drops       dropRing
	subscribers subscribers

	// mu serialises Swap, Close and the bookkeeping of readers. It is never taken on a
	// packet's way.
	mu      sync.Mutex
	readers map[Port]*reader
	retired [numReasons]uint64
	closed  bool
	stop    chan struct{}
	expirer sync.WaitGroup

	tracing sync.RWMutex // held for reading by Trace while it uses a snapshot
}

// NewEngine returns an engine without ports. Close ends it.
func NewEngine(cfg Config) *Engine {
	if cfg.Now == nil {
		cfg.Now = slab.Boottime
	}
	if cfg.WallClock == nil {
		cfg.WallClock = time.Now
	}
	e := &Engine{cfg: cfg, readers: make(map[Port]*reader), stop: make(chan struct{})}
	e.expirer.Add(1)
	go e.expire()
	return e
}

// Swap publishes s, on which Finish has been called: every packet read from now on
// sees it. It starts readers of new ports, and returns after the last walk under an
// earlier snapshot has ended and the ports that s no longer names are closed.
func (e *Engine) Swap(s *Snapshot) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.snap.Store(s)
	for p := range s.ports {
		if e.readers[p] == nil {
			r := newReader(e, p)
			e.readers[p] = r
			go r.loop()
		}
	}
	e.awaitGrace(s)
	for p, r := range e.readers {
		if _, named := s.ports[p]; !named {
			e.retire(p, r)
		}
	}
}

// awaitGrace waits until nobody uses a snapshot other than s.
func (e *Engine) awaitGrace(s *Snapshot) {
	for _, r := range e.readers {
		for u := r.using.Load(); u != nil && u != s; u = r.using.Load() {
			time.Sleep(graceStep)
		}
	}
	e.tracing.Lock()
	//lint:ignore SA2001 the lock is a barrier: traces that began earlier have ended
	e.tracing.Unlock()
}

// retire closes a port that is no longer named and keeps its counts. No walk can
// write to it any more.
func (e *Engine) retire(p Port, r *reader) {
	r.closing.Store(true)
	p.Close()
	delete(e.readers, p)
	for i := range r.counters {
		e.retired[i] += r.counters[i].Load()
	}
}

// readerEnded is called by a reader whose port does not read any more.
func (e *Engine) readerEnded(r *reader, err error) {
	if !r.closing.Load() && e.cfg.OnPortDown != nil {
		e.cfg.OnPortDown(r.port, err)
	}
}

// Close closes all ports and waits for their readers. The tables stay open.
func (e *Engine) Close() {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return
	}
	e.closed = true
	close(e.stop)
	var ended []*reader
	for p, r := range e.readers {
		r.closing.Store(true)
		p.Close()
		ended = append(ended, r)
	}
	e.mu.Unlock()
	for _, r := range ended {
		<-r.done
	}
	e.expirer.Wait()
}

// expire lets the tables forget, a little at a time.
func (e *Engine) expire() {
	defer e.expirer.Done()
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-tick.C:
			now := e.cfg.Now()
			e.cfg.Conntrack.Expire(now, expireBudget)
			e.cfg.NAT.Expire(now, expireBudget)
		}
	}
}

// Counters tells how many packets ended in which way since the engine was made.
// Reasons that never occurred are absent.
func (e *Engine) Counters() map[Reason]uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	sum := e.retired
	for _, r := range e.readers {
		for i := range r.counters {
			sum[i] += r.counters[i].Load()
		}
	}
	out := make(map[Reason]uint64)
	for i, n := range sum {
		if n > 0 {
			out[Reason(i)] = n
		}
	}
	return out
}

// Drops returns the most recent drops, oldest first, at most a few hundred.
func (e *Engine) Drops() []Event { return e.drops.recent() }

// Subscribe asks for the events of all packets from now on; buffer is how many may wait.
func (e *Engine) Subscribe(buffer int) *Subscription { return e.subscribers.add(buffer) }

// Trace walks a copy of pkt, an IP packet, as if it had come in by the port of the ENI
// or Internet host with that handle and, on TAP, by way of the router. It commits
// nothing and sends nothing: a new NAT mapping is shown with a port that the real
// packet may not get, and later fragments have no first one. Nil for an unknown handle.
func (e *Engine) Trace(ingress uint32, pkt []byte) []Step {
	e.tracing.RLock()
	defer e.tracing.RUnlock()
	s := e.snap.Load()
	if s == nil {
		return nil
	}
	in, ok := s.ingressOf(ingress)
	if !ok {
		return nil
	}
	w := &walk{cfg: &e.cfg, fragments: &fragmentTable{}, resolver: &window{}, tracing: true}
	w.begin(s, in, append([]byte(nil), pkt...), e.cfg.Now())
	w.run()
	return w.steps
}
