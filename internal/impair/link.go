package impair

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// A Link is one direction of a link with conditions. Times are those of one clock in
// nanoseconds, which callers pass; nothing in it waits. It may be used by several goroutines.
//
// A packet waits for the rate first, then has its delay, so that the rate is that of what
// arrives. Differences from tc-netem(8):
//
//   - Jitter reorders nothing: a packet leaves no earlier than the one before it, as from
//     the queues that make jitter. Only Reorder reorders. Packets that come closer to one
//     another than the jitter therefore tend to the longer delays.
//   - The queue holds what waits for the rate. What has its delay is on the wire, and in
//     nobody's way.
//   - Losses in a row are by the Gilbert model with the mean length of a burst given, not by
//     a correlation that changes the share of losses.
type Link struct {
	version atomic.Uint32

	mu sync.Mutex
	c  Conditions
	// Losses have a random source of their own: they are decided when a packet is sent,
	// the rest when it comes to this link, and neither may change what the other draws.
	losses, rest *rand.Rand
	losing       bool // in a burst
	apart        int  // packets since one overtook
	last         int64
	busy         int64 // until when the rate is used up
	waiting      fifo
	counts       Counts
}

// Counts are what a link has done, in packets on the wire.
type Counts struct {
	Packets, Bytes uint64 // that were sent towards it, and that no link before it had lost by chance
	Lost           uint64 // by Loss
	Overflowed     uint64 // as the queue was full
	Delayed        uint64 // that had to wait, for the rate or by delay
	Reordered      uint64 // that overtook
	Duplicated     uint64
}

// NewLink gives a link whose random decisions follow from the seed and the packets' order.
func NewLink(seed uint64, c Conditions) *Link {
	return &Link{c: c, losses: rand.New(rand.NewPCG(seed, 1)), rest: rand.New(rand.NewPCG(seed, 2))}
}

// Change gives the link other conditions for packets to come, and tells whether they are
// others. The queue is empty then: what waits in it is for the caller to send on, or not.
func (l *Link) Change(c Conditions) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.c == c {
		return false
	}
	l.c, l.losing, l.apart, l.last, l.busy = c, false, 0, 0, 0
	l.waiting = fifo{}
	l.version.Add(1)
	return true
}

// Retire is for a link that is no more.
func (l *Link) Retire() { l.version.Add(1) }

// Version is another one after each Change that changed anything, and after Retire.
func (l *Link) Version() uint32 { return l.version.Load() }

// Counts are those since the link was made.
func (l *Link) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

// Loses decides whether so many packets that are sent now, and stay together, are lost.
func (l *Link) Loses(packets, bytes int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Packets += uint64(packets)
	l.counts.Bytes += uint64(bytes)
	if l.c.Loss == 0 || !l.lose() {
		return false
	}
	l.counts.Lost += uint64(packets)
	return true
}

// lose draws. In a burst of mean length b each packet is the last one with 1/b; between
// bursts one begins with such a probability that the share of all losses is as asked.
func (l *Link) lose() bool {
	if l.c.LosesAll() {
		return true
	}
	if l.c.LossBurst <= 1 {
		return l.losses.Float64() < l.c.Loss
	}
	if l.losing {
		l.losing = l.losses.Float64() >= 1/l.c.LossBurst
	} else {
		l.losing = l.losses.Float64() < l.c.Loss/(l.c.LossBurst*(1-l.c.Loss))
	}
	return l.losing
}

// Passage is what a link makes of a packet.
type Passage struct {
	Leaves int64 // when it leaves the link
	Twice  bool  // and a copy with it
	Full   bool  // it does not: there was no room in the queue
	// Version of the link's conditions that this is by.
	Version uint32
}

// Enter takes packets of so many bytes together, headers of IP included, that come to the
// link at a time. Only a link without PerPacket conditions may be given more than one.
func (l *Link) Enter(now int64, packets, bytes int) Passage {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := Passage{Leaves: now, Version: l.version.Load()}
	if l.overtakes() {
		l.counts.Reordered++
	} else {
		if l.c.Rate > 0 && !l.wait(&p, bytes) {
			l.counts.Overflowed++
			return p
		}
		p.Leaves = max(p.Leaves+l.delay(), l.last)
		l.last = p.Leaves
	}
	if p.Leaves > now {
		l.counts.Delayed += uint64(packets)
	}
	if l.c.Duplicate > 0 && l.rest.Float64() < l.c.Duplicate {
		p.Twice = true
		l.counts.Duplicated++
	}
	return p
}

// overtakes decides which packets do, as tc-netem(8): of each Gap packets the last one, if
// it is drawn.
func (l *Link) overtakes() bool {
	if l.c.Reorder == 0 {
		return false
	}
	if l.apart < l.c.Gap-1 || l.rest.Float64() >= l.c.Reorder {
		l.apart++
		return false
	}
	l.apart = 0
	return true
}

// wait puts the packet behind those that wait for the rate.
func (l *Link) wait(p *Passage, bytes int) bool {
	now := p.Leaves
	l.waiting.sent(now)
	switch q := l.c.Queue; {
	case q.Bytes > 0:
		p.Full = l.waiting.bytes > 0 && l.waiting.bytes+bytes > q.Bytes
	case q.Packets > 0:
		p.Full = l.waiting.len() >= q.Packets
	default:
		p.Full = l.waiting.len() >= DefaultQueue
	}
	if p.Full {
		return false
	}
	// Rounded up, so that the rate is never exceeded.
	took := (int64(bytes)*8*1e9 + l.c.Rate - 1) / l.c.Rate
	l.busy = max(l.busy, now) + took
	l.waiting.push(l.busy, bytes)
	p.Leaves = l.busy
	return true
}

// delay draws a delay.
func (l *Link) delay() int64 {
	if l.c.Jitter == 0 {
		return int64(l.c.Delay)
	}
	var x float64 // mean 0
	switch l.c.Distribution {
	case Normal:
		x = max(-4, min(4, l.rest.NormFloat64()))
	case Pareto:
		x = pareto(l.rest.Float64())
	default:
		x = 2*l.rest.Float64() - 1
	}
	return max(0, int64(l.c.Delay)+int64(x*float64(l.c.Jitter)))
}

// Pareto's distribution with the exponent 3, its mean and its standard deviation, from which
// tc-netem(8)'s table is made, too; it ends at four deviations.
const (
	paretoExponent = 3.0
	paretoMean     = paretoExponent / (paretoExponent - 1)
)

var paretoDeviation = math.Sqrt(paretoExponent / ((paretoExponent - 1) * (paretoExponent - 1) * (paretoExponent - 2)))

func pareto(u float64) float64 {
	return min(4, (math.Pow(1-u, -1/paretoExponent)-paretoMean)/paretoDeviation)
}

// fifo is what waits for the rate: when each packet has been sent, and how long it is.
type fifo struct {
	list  []sending // a ring
	head  int
	count int
	bytes int
}

type sending struct {
	at    int64
	bytes int
}

func (f *fifo) len() int { return f.count }

func (f *fifo) push(at int64, bytes int) {
	if f.count == len(f.list) {
		larger := make([]sending, max(16, 2*len(f.list)))
		n := copy(larger, f.list[f.head:])
		copy(larger[n:], f.list[:f.head])
		f.list, f.head = larger, 0
	}
	f.list[(f.head+f.count)%len(f.list)] = sending{at, bytes}
	f.count++
	f.bytes += bytes
}

// sent takes out what has been sent by now.
func (f *fifo) sent(now int64) {
	for f.count > 0 && f.list[f.head].at <= now {
		f.bytes -= f.list[f.head].bytes
		f.head = (f.head + 1) % len(f.list)
		f.count--
	}
}
