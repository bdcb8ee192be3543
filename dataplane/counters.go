package dataplane

import (
	"math/bits"
	"sync"
)

// Stats are what an engine has done since it was made, in packets on the wire: a
// super-packet counts as the segments that it stands for.
type Stats struct {
	// Reasons tells how the walks ended. Reasons that never occurred are absent.
	Reasons map[Reason]uint64
	// Stages tells how many reads met each stage. A packet of a known flow goes by the
	// flow cache and meets none but parse.
	Stages map[Stage]uint64
	// Bytes of IP packets that came in.
	Bytes uint64
	// Reads and Batches tell how many packets or super-packets were read, and how many
	// at a time; Writes how many were written, Joined how many datagrams went out
	// within another's write.
	Reads, Batches, Writes, Joined uint64
	Cache                          CacheStats
	// Workers is the number of threads that poll ports.
	Workers int
}

// CacheStats are what the flow caches have done.
type CacheStats struct {
	Hits    uint64 // packets that went by an entry
	Misses  uint64 // packets that might have, but no entry was there
	Stale   uint64 // an entry was there, and what it relied on was not any more
	Evicted uint64 // entries in use that gave way to others
	Entries int    // room for so many
	Bytes   int    // memory of that room
}

// What a worker counts besides reasons and stages.
const (
	countBytes = iota
	countReads
	countBatches
	countWrites
	countJoined
	countHits
	countMisses
	countStale
	countEvicted
	numCounts
)

const (
	stageAt   = int(numReasons)
	countAt   = stageAt + int(numStages)
	numTallys = countAt + numCounts
)

// counters are a worker's. They are counted in plain memory and published once a
// batch, with the ways, so that a packet costs no atomic operation.
type counters struct {
	local [numTallys]uint64
	dirty [(numTallys + 63) / 64]uint64

	// mu guards what has been published. It is held for a moment, and nothing is taken
	// under it: a lock costs a batch less than atomic additions to each counter.
	mu    sync.Mutex
	total [numTallys]uint64
}

func (c *counters) add(i int, n uint64) {
	c.local[i] += n
	c.dirty[i/64] |= 1 << (i % 64)
}

func (c *counters) stage(s Stage) { c.add(stageAt+int(s), 1) }

func (c *counters) count(i int, n uint64) { c.add(countAt+i, n) }

// ended counts packets whose walk ended so, and their bytes.
func (c *counters) ended(r Reason, packets uint64, bytes int) {
	c.add(int(r), packets)
	c.count(countBytes, uint64(bytes))
}

// recount moves packets to another end. What was published of the one becomes less with
// the next batch.
func (c *counters) recount(from, to Reason, packets uint64) {
	c.add(int(from), -packets)
	c.add(int(to), packets)
}

// publish makes what has been counted known to others. mu is held.
func (c *counters) publish() {
	for word := range c.dirty {
		for d := c.dirty[word]; d != 0; d &= d - 1 {
			i := word*64 + bits.TrailingZeros64(d)
			c.total[i] += c.local[i]
			c.local[i] = 0
		}
		c.dirty[word] = 0
	}
}

// addTo adds what has been published to a sum.
func (c *counters) addTo(sum *[numTallys]uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.total {
		sum[i] += c.total[i]
	}
}

// stats reads a sum.
func stats(sum *[numTallys]uint64) Stats {
	s := Stats{Reasons: map[Reason]uint64{}, Stages: map[Stage]uint64{}}
	for i, n := range sum[:stageAt] {
		if n > 0 {
			s.Reasons[Reason(i)] = n
		}
	}
	for i, n := range sum[stageAt:countAt] {
		if n > 0 {
			s.Stages[Stage(i)] = n
		}
	}
	n := sum[countAt:]
	s.Bytes, s.Reads, s.Batches = n[countBytes], n[countReads], n[countBatches]
	s.Writes, s.Joined = n[countWrites], n[countJoined]
	s.Cache = CacheStats{Hits: n[countHits], Misses: n[countMisses], Stale: n[countStale], Evicted: n[countEvicted]}
	return s
}
