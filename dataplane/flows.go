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
// were in use had to, the cache is made twice as large, up to a limit, and starts empty:
// each flow takes the stages once more, and nothing ever stops to move a table.

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
	target           uint32 // index into the worker's targets
	src, dst         packet.Addr
	srcPort, dstPort uint16
	limit            uint16 // smallest MTU on the way, 0 none
	hops             uint8  // what its TTL loses
	nTracked, nNATs  uint8
	// what it relies on
	tracked [maxTracked]trackedDep
	nats    [maxNATs]natDep
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

// flows is the cache.
type flows struct {
	seed    [2]uint64
	tags    [][flowWays]uint32 // hashes of the entries; 0: free
	entries []flow
	mask    uint32
	maxSets uint32
	evicted uint32        // in use, since the cache got its size
	room    atomic.Uint32 // len(entries), for others to read
}

// init makes an empty cache that grows to limit entries.
func (c *flows) init(limit int) {
	c.seed = [2]uint64{rand.Uint64() | 1, rand.Uint64() | 1}
	c.maxSets = uint32(max(1, limit/flowWays))
	c.maxSets = 1 << (bits.Len32(c.maxSets) - 1)
	c.resize(min(firstSets, c.maxSets))
}

// resize empties the cache and gives it another size, if there is memory.
func (c *flows) resize(sets uint32) bool {
	tags, err := slab.NewArray[[flowWays]uint32](int(sets))
	if err != nil {
		return false
	}
	entries, err := slab.NewArray[flow](int(sets * flowWays))
	if err != nil {
		slab.FreeArray(tags)
		return false
	}
	c.free()
	c.tags, c.entries = tags, entries
	c.mask = sets - 1
	c.room.Store(sets * flowWays)
	c.evicted = 0
	return true
}

func (c *flows) free() {
	slab.FreeArray(c.tags)
	slab.FreeArray(c.entries)
	c.tags, c.entries = nil, nil
}

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
func (c *flows) second(hash uint32) uint32 { return bits.ReverseBytes32(hash*0x9e3779b1) & c.mask }

// find gives the entry of a key that was made under the snapshot gen, or nil.
func (c *flows) find(hash uint32, k *flowKey, gen uint32) *flow {
	second := c.second(hash)
	slab.Prefetch(unsafe.Pointer(&c.tags[second]))
	if f := c.findIn(hash&c.mask, hash, k, gen); f != nil {
		return f
	}
	return c.findIn(second, hash, k, gen)
}

func (c *flows) findIn(set, hash uint32, k *flowKey, gen uint32) *flow {
	for i, tag := range &c.tags[set] {
		if tag != hash {
			continue
		}
		f := &c.entries[set*flowWays+uint32(i)]
		slab.Prefetch(unsafe.Pointer(&f.src))
		slab.Prefetch(unsafe.Pointer(&f.nats))
		if f.gen == gen && f.key == *k {
			return f
		}
	}
	return nil
}

// place gives the entry to fill for a key: its own, a free or stale one in the emptier
// of its sets, or the least recently used. It tells whether one in use gave way.
func (c *flows) place(hash uint32, k *flowKey, gen uint32, now int64) (f *flow, evicted bool) {
	var free, freeAt [2]uint32
	oldest, oldestUsed := uint32(0), int64(math.MaxInt64)
	for n, set := range [2]uint32{hash & c.mask, c.second(hash)} {
		for i := range uint32(flowWays) {
			at := set*flowWays + i
			tag, e := c.tags[set][i], &c.entries[at]
			switch {
			case tag == hash && e.key == *k:
				return e, false
			case tag == 0 || e.gen != gen:
				free[n]++
				freeAt[n] = at
			case e.used < oldestUsed:
				oldest, oldestUsed = at, e.used
			}
		}
	}
	at := oldest
	switch {
	case free[0] > 0 && free[0] >= free[1]:
		at = freeAt[0]
	case free[1] > 0:
		at = freeAt[1]
	default:
		if evicted = now-oldestUsed < recentlyUsed; evicted && c.grow() {
			return c.place(hash, k, gen, now)
		}
	}
	c.tags[at/flowWays][at%flowWays] = hash
	return &c.entries[at], evicted
}

// grow doubles the cache when too many entries in use have had to give way.
func (c *flows) grow() bool {
	c.evicted++
	sets := c.mask + 1
	if c.evicted < sets*flowWays/growAfter || sets >= c.maxSets {
		return false
	}
	if !c.resize(sets * 2) {
		c.evicted = 0 // to be tried again, and not for each packet
		return false
	}
	return true
}
