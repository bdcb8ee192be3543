package dataplane

import (
	"encoding/binary"
	"math"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
	"unsafe"

	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/slab"
	"github.com/vpcemu/vpcemu/nat"
)

// The flow cache remembers, for each direction of a flow, what the stages made of its
// packets, so that later ones need one lookup. It is the worker's own and holds no
// pointers. An entry is good for the snapshot it was made under, and names the
// tracking entries and mappings that its packets refresh: when one of them has gone or
// expired, the packet takes the stages. Drops are not cached.
//
// The cache is bounded: a flow lies in one of two sets of four entries that its hash
// names, and where they are full the least recently used gives way. When too many that
// were in use had to, the cache is made twice as large, up to a limit; entries of the
// smaller one move when they are asked for, so nothing ever stops to move a table.

// DefaultFlowEntries is how many directions of flows the caches of all workers together
// remember at the most: a million connections. At FlowBytes each that is 328 MiB, of which
// a lab uses as much as it has flows.
const DefaultFlowEntries = 1 << 21

// FlowBytes is the memory of one entry, its share of the index included.
const FlowBytes = int(unsafe.Sizeof(flow{})) + 4

const (
	flowWays     = 4
	firstSets    = 256
	recentlyUsed = int64(30e9) // ns: an entry that gives way within that was in use
	growAfter    = 64          // the cache grows when one in so many has had to give way
	maxTracked   = 2           // tracking entries that one flow relies on
	maxNATs      = 1           // mappings; a way through two gateways takes the stages
)

// flowKey is all that the verdict about a packet depends on, but for snapshot, tables
// and what the worker looks at in each packet (size, TTL).
type flowKey struct {
	src, dst         packet.Addr
	srcPort, dstPort uint16
	proto            uint8
	_                [3]uint8
	ingress          uint32 // handle
	peer             uint32 // handle of the next hop that a TAP frame named, 0: the router
}

// flow is one entry.
type flow struct {
	key  flowKey
	used int64 // time of the last packet
	gen  uint32
	// what becomes of the packet
	way              uint32 // index into the ends of the worker's tree
	src, dst         packet.Addr
	srcPort, dstPort uint16
	limit            uint16 // smallest MTU on the way, 0 none
	hops             uint8  // what its TTL loses
	nTracked, nNATs  uint8
	// what it relies on
	tracked [maxTracked]trackedDep
	nats    [maxNATs]natDep
	record  uint32 // place in the worker's meter
}

// trackedDep is a security group stage that the packet passes: by a tracking entry, or
// untracked as long as there is none.
type trackedDep struct {
	ref      conntrack.Ref
	eni      uint32 // handle
	timeouts uint16 // index into the worker's list
	outbound bool
	absent   bool
}

// natDep is a mapping of a NAT gateway that the packet uses.
type natDep struct {
	ref     nat.Ref
	idle    uint32 // timeout, milliseconds
	inbound bool
}

// flowTable is a cache of one size.
type flowTable struct {
	tags    [][flowWays]uint32 // hashes of the entries; 0: free
	entries []flow
	mask    uint32
}

func newFlowTable(sets uint32) (t flowTable, err error) {
	if t.tags, err = slab.NewArray[[flowWays]uint32](int(sets)); err != nil {
		return t, err
	}
	if t.entries, err = slab.NewArray[flow](int(sets * flowWays)); err != nil {
		slab.FreeArray(t.tags)
		return flowTable{}, err
	}
	t.mask = sets - 1
	return t, nil
}

func (t *flowTable) free() {
	slab.FreeArray(t.tags)
	slab.FreeArray(t.entries)
	*t = flowTable{}
}

// flows is the cache.
type flows struct {
	flowTable
	// before is the table of half the size, as long as it may have what is asked for.
	before  flowTable
	seed    [2]uint64
	maxSets uint32
	evicted uint32        // in use, since the cache got its size
	placed  int           // entries, since then
	room    atomic.Uint32 // entries of both tables, for others to read
}

// init makes an empty cache that grows to limit entries.
func (c *flows) init(limit int) {
	c.seed = [2]uint64{rand.Uint64() | 1, rand.Uint64() | 1}
	c.maxSets = uint32(max(1, limit/flowWays))
	c.maxSets = 1 << (bits.Len32(c.maxSets) - 1)
	sets := min(firstSets, c.maxSets)
	// Small enough to be ordinary memory.
	c.flowTable = flowTable{tags: make([][flowWays]uint32, sets), entries: make([]flow, sets*flowWays), mask: sets - 1}
	c.measure()
}

// release gives the memory back.
func (c *flows) release() {
	c.flowTable.free()
	c.before.free()
}

func (c *flows) measure() { c.room.Store(uint32(len(c.entries) + len(c.before.entries))) }

// hash of a key, never 0. Its seed is secret, so that nobody can aim at one set.
func (c *flows) hash(k *flowKey) uint32 {
	le := binary.LittleEndian
	hi, lo := bits.Mul64(le.Uint64(k.src[8:])^c.seed[0], le.Uint64(k.dst[8:])^c.seed[1])
	h := hi ^ lo
	hi, lo = bits.Mul64(h^c.seed[1], (uint64(k.srcPort)<<48|uint64(k.dstPort)<<32|uint64(k.ingress))^c.seed[0])
	h = hi ^ lo
	if !k.src.Is4() {
		hi, lo = bits.Mul64(h^le.Uint64(k.src[:8]), le.Uint64(k.dst[:8])^c.seed[0])
		h = hi ^ lo
	}
	hi, lo = bits.Mul64(h^c.seed[0], (uint64(k.peer)<<8|uint64(k.proto))^c.seed[1])
	return uint32(hi^lo) | 1<<31
}

// second is the other set in which a flow of that hash may lie.
func (t *flowTable) second(hash uint32) uint32 {
	return bits.ReverseBytes32(hash*0x9e3779b1) & t.mask
}

// find gives the entry of a key that was made under the snapshot gen, or nil, and tells
// whether it has moved: pointers to it and to others may lead astray then.
func (c *flows) find(hash uint32, k *flowKey, gen uint32, now int64) (f *flow, moved bool) {
	if f = c.flowTable.find(hash, k, gen); f != nil || c.before.entries == nil {
		return f, false
	}
	old := c.before.find(hash, k, gen)
	if old == nil {
		return nil, false
	}
	entry := *old // the table it lies in may go
	f, _ = c.place(hash, k, gen, now)
	*f = entry
	return f, true
}

func (t *flowTable) find(hash uint32, k *flowKey, gen uint32) *flow {
	second := t.second(hash)
	slab.Prefetch(unsafe.Pointer(&t.tags[second]))
	if f := t.findIn(hash&t.mask, hash, k, gen); f != nil {
		return f
	}
	return t.findIn(second, hash, k, gen)
}

func (t *flowTable) findIn(set, hash uint32, k *flowKey, gen uint32) *flow {
	for i, tag := range &t.tags[set] {
		if tag != hash {
			continue
		}
		f := &t.entries[set*flowWays+uint32(i)]
		slab.Prefetch(unsafe.Pointer(&f.src))
		slab.Prefetch(unsafe.Pointer(&f.nats))
		if f.gen == gen && f.key == *k {
			return f
		}
	}
	return nil
}

// place gives the entry to fill for a key, and tells whether one in use gave way.
func (c *flows) place(hash uint32, k *flowKey, gen uint32, now int64) (f *flow, evicted bool) {
	at, evicted := c.choose(hash, k, gen, now)
	if evicted && c.grow() {
		at, evicted = c.choose(hash, k, gen, now)
	}
	c.tags[at/flowWays][at%flowWays] = hash
	if c.placed++; c.placed == 4*len(c.before.entries) {
		c.before.free() // what it has left has not been asked for
		c.measure()
	}
	return &c.entries[at], evicted
}

// choose finds the key's own entry, a free or stale one in the emptier of its sets, or
// the least recently used.
func (t *flowTable) choose(hash uint32, k *flowKey, gen uint32, now int64) (at uint32, evicted bool) {
	var free, freeAt [2]uint32
	oldest, oldestUsed := uint32(0), int64(math.MaxInt64)
	for n, set := range [2]uint32{hash & t.mask, t.second(hash)} {
		for i := range uint32(flowWays) {
			at := set*flowWays + i
			tag, e := t.tags[set][i], &t.entries[at]
			switch {
			case tag == hash && e.key == *k:
				return at, false
			case tag == 0 || e.gen != gen:
				free[n]++
				freeAt[n] = at
			case e.used < oldestUsed:
				oldest, oldestUsed = at, e.used
			}
		}
	}
	switch {
	case free[0] > 0 && free[0] >= free[1]:
		return freeAt[0], false
	case free[1] > 0:
		return freeAt[1], false
	}
	return oldest, now-oldestUsed < recentlyUsed
}

// grow doubles the cache when too many entries in use have had to give way. What the
// smaller one has moves when it is asked for.
func (c *flows) grow() bool {
	c.evicted++
	sets := c.mask + 1
	if int(c.evicted) < len(c.entries)/growAfter || sets >= c.maxSets {
		return false
	}
	c.evicted = 0
	larger, err := newFlowTable(sets * 2)
	if err != nil {
		return false // to be tried again, and not for each packet
	}
	c.before.free()
	c.before, c.flowTable, c.placed = c.flowTable, larger, 0
	c.measure()
	return true
}
