// Package conntrack is the security groups' memory: which connections a group
// has let through, so that their replies pass whatever the rules of the other
// direction say (rule CT-01).
//
// Tracking is per network interface. A connection between two instances of the
// lab has two entries, one at either end, and each end keeps its own view of
// who opened it and of its idle timeout.
//
// The entries live in shared memory (package slab) and outlive the process.
// Time is always a parameter: nanoseconds of CLOCK_BOOTTIME.
package conntrack

import (
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/slab"
)

// ErrFull: there is no room for another entry, in the table or for this ENI,
// and the packet that needs one is dropped (CT-07). Nothing that lives is ever
// evicted for it.
var ErrFull = errors.New("conntrack: no room for another connection")

// layout is the version of what the fields of record mean.
const layout = 1

// BytesPerEntry is what an entry takes, in bytes: record, slot, link, bucket. Memory is
// used only where entries are or were; a table does not shrink before the lab goes down.
const BytesPerEntry = 88

const (
	shardCount = 64 // a power of two
	// reclaimBudget is how many records are looked at for expired ones before
	// an insertion into a full table fails: a microsecond or two.
	reclaimBudget = 64
	// ExpireSome looks at that part of the table, and at no fewer records than the least.
	sweepCalls = 128
	sweepLeast = 1024
)

// Key identifies an entry. Local is the ENI's side, so both directions of a
// connection have the same key.
type Key struct {
	ENI                   uint32
	LocalPort, RemotePort uint16
	Proto                 uint8 // before the addresses: a record is touched in one cache line
	Local, Remote         packet.Addr
}

// KeyOf is the key for a packet at an ENI; egress means that it leaves the ENI.
// Protocols other than TCP, UDP, ICMP and ICMPv6 are tracked by addresses and
// protocol number alone (CT-01).
func KeyOf(eni uint32, t packet.Tuple, egress bool) Key {
	if !egress {
		t = t.Reverse()
	}
	k := Key{ENI: eni, Local: t.Src, Remote: t.Dst, Proto: t.Proto}
	switch t.Proto {
	case packet.ProtoTCP, packet.ProtoUDP, packet.ProtoICMP, packet.ProtoICMPv6:
		k.LocalPort, k.RemotePort = t.SrcPort, t.DstPort
	}
	return k
}

// Table holds the entries of all ENIs of a lab. Its methods may be called
// concurrently, except Close.
//
// Lock order: one shard's mu, then the slab's own lock or eniMu. No method
// holds two shards. A record and its links are guarded by the mu of the shard
// that its tag names.
type Table struct {
	slab   *slab.Slab[record]
	links  slab.Links
	seed   maphash.Seed
	shards [shardCount]shard
	cursor atomic.Uint32 // where Expire goes on

	refusedFull, refusedENI, examined atomic.Uint64

	eniMu    sync.RWMutex
	eni      map[uint32]*atomic.Int64 // entries of each ENI that ever had one
	eniLimit atomic.Int64             // 0: none
}

type shard struct {
	mu                     sync.Mutex
	index                  *slab.Index
	made, expired, removed uint64
	_                      [24]byte // two shards do not share a cache line
}

func (sh *shard) expiredCount() *uint64 { return &sh.expired }
func (sh *shard) removedCount() *uint64 { return &sh.removed }

// Open opens the table in the file at path, "" for one in memory, with room for
// capacity entries, and takes over the entries found in it. Errors are those of
// slab.Open; after a *slab.SetAside a second call starts an empty table.
func Open(path string, capacity int) (*Table, error) {
	s, err := slab.Open[record](path, layout, capacity)
	if err != nil {
		return nil, fmt.Errorf("conntrack: %w", err)
	}
	t := &Table{slab: s, seed: maphash.MakeSeed(), eni: map[uint32]*atomic.Int64{}}
	if t.links, err = slab.NewLinks(s.Cap()); err != nil {
		s.Close()
		return nil, fmt.Errorf("conntrack: index: %w", err)
	}
	for i := range t.shards {
		t.shards[i].index = slab.NewIndex(t.links)
	}
	for i, r := range s.All() {
		h := t.hash(&r.Key)
		s.SetTag(i, h.tag())
		t.shard(h).index.Add(uint32(h), i)
		t.count(r.Key.ENI, 1, 0)
	}
	return t, nil
}

// Close lets go of the file and keeps the entries in it. Nobody may use the
// table any more.
func (t *Table) Close() error {
	t.links.Free()
	t.links = nil
	return t.slab.Close()
}

// LimitPerENI sets how many entries one ENI may have, so that one instance
// cannot use up the table of all; 0, as at first, means no limit. AWS has such
// a limit for each instance and publishes no figures (CT-07).
func (t *Table) LimitPerENI(n int) { t.eniLimit.Store(int64(n)) }

// Lookup gives the live entry for a key; one that has expired at now is not
// found, whether or not Expire has met it yet. It writes nothing. Whether the
// entry covers the packet at hand is for Entry.Hit to say.
func (t *Table) Lookup(k Key, now int64) (Entry, bool) {
	h := t.hash(&k)
	sh := t.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i := t.find(sh, h, &k)
	if i == slab.None {
		return Entry{}, false
	}
	r := t.slab.At(i)
	if r.Deadline <= now {
		return Entry{}, false
	}
	return r.entry(), true
}

// Related gives the live entry of the connection that an ICMP error is about
// (CT-09): quoted is the tuple of the packet that the error quotes, egress the
// direction of the error itself, so the quoted packet went the other way.
func (t *Table) Related(eni uint32, quoted packet.Tuple, egress bool, now int64) (Entry, bool) {
	return t.Lookup(KeyOf(eni, quoted, !egress), now)
}

// Has tells whether there is a live entry for a key.
func (t *Table) Has(k Key, now int64) bool {
	h := t.hash(&k)
	sh := t.shard(h)
	sh.mu.Lock()
	i := t.find(sh, h, &k)
	has := i != slab.None && t.slab.At(i).Deadline > now
	sh.mu.Unlock()
	return has
}

// Ref names an entry for Touch, as long as the entry lives. The zero Ref names none.
type Ref struct{ Index, Epoch uint32 }

// Prefetch has the processor fetch the entry that r names, for Touch.
func (t *Table) Prefetch(r Ref) { t.slab.Prefetch(r.Index) }

// Touch is Observe for an entry that was met before, without looking for its key. It
// returns false, and has changed nothing, if the entry is not there any more, has
// expired, or does not cover the packet (see Entry.Hit).
func (t *Table) Touch(r Ref, outbound bool, tcpFlags uint8, packets uint32, now int64, to *Timeouts) bool {
	p := packetSeen{outbound, tcpFlags, packets}
	if !t.slab.Is(r.Index, r.Epoch) {
		return false
	}
	tag, _ := t.slab.Tag(r.Index)
	sh := &t.shards[tag%shardCount]
	sh.mu.Lock()
	// If it has gone since, the tag may have been that of another record.
	touched := t.slab.Epoch(r.Index) == r.Epoch && t.slab.At(r.Index).touch(p, now, to)
	sh.mu.Unlock()
	return touched
}

// Observe records a packet that may pass: it makes the entry, or opens it again
// when it had expired or does not cover the packet (see Entry.Hit), or else
// refreshes it. outbound means that the packet leaves the ENI. tcpFlags are 0
// for other protocols. packets is how many packets on the wire it stands for, at
// least 1: a super-packet is several. to are the timeouts of the ENI; nil, or a
// zero field, means the default. The only error is ErrFull (CT-07), after expired
// entries have been looked for within bounds.
func (t *Table) Observe(k Key, outbound bool, tcpFlags uint8, packets uint32, now int64, to *Timeouts) (Ref, error) {
	p := packetSeen{outbound, tcpFlags, packets}
	h := t.hash(&k)
	r, err := t.observe(h, &k, p, now, to)
	if err != nil && t.Expire(now, reclaimBudget) > 0 {
		r, err = t.observe(h, &k, p, now, to)
	}
	switch err {
	case nil:
	case errENIFull:
		t.refusedENI.Add(1)
		err = ErrFull
	default:
		t.refusedFull.Add(1)
	}
	return r, err
}

// errENIFull is ErrFull because of the ENI's limit.
var errENIFull = errors.New("conntrack: no room for another connection of this interface")

func (t *Table) observe(h hash, k *Key, p packetSeen, now int64, to *Timeouts) (Ref, error) {
	sh := t.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if i := t.find(sh, h, k); i != slab.None {
		t.slab.At(i).observe(p, now, to)
		return t.ref(i), nil
	}
	if !t.count(k.ENI, 1, t.eniLimit.Load()) {
		return Ref{}, errENIFull
	}
	r := record{Key: *k}
	r.observe(p, now, to)
	i, err := t.slab.Insert(&r, h.tag())
	if err != nil {
		// No space left on the file system is no different for the packet.
		t.count(k.ENI, -1, 0)
		return Ref{}, ErrFull
	}
	sh.index.Add(uint32(h), i)
	sh.made++
	return t.ref(i), nil
}

// ref names record i, whose shard is locked.
func (t *Table) ref(i uint32) Ref { return Ref{Index: i, Epoch: t.slab.Epoch(i)} }

// Expire removes expired entries, looking at no more than budget records, and
// goes on next time where it stopped. It returns how many it removed. Nothing
// depends on it but memory: what has expired is not found by anybody.
func (t *Table) Expire(now int64, budget int) int {
	extent := t.slab.Extent()
	if extent == 0 || budget <= 0 {
		return 0
	}
	n := uint32(min(budget, int(extent)))
	removed := 0
	t.examined.Add(uint64(n))
	start := t.cursor.Add(n) - n
	for j := range n {
		if t.removeIf((start+j)%extent, func(r *record) bool { return r.Deadline <= now }, (*shard).expiredCount) {
			removed++
		}
	}
	return removed
}

// ExpireSome is Expire with a budget that follows the size of the table: 128 calls meet
// every record, so called four times a second it removes what has expired within 32 s. A
// table of four million takes it some milliseconds, and it never holds a lock for more
// than one record.
func (t *Table) ExpireSome(now int64) int {
	return t.Expire(now, max(sweepLeast, int(t.slab.Extent()/sweepCalls)+1))
}

// RemoveENI removes all entries of an ENI that is gone. It looks at the whole
// table, one record at a time.
func (t *Table) RemoveENI(eni uint32) {
	for i := range t.slab.Extent() {
		t.removeIf(i, func(r *record) bool { return r.Key.ENI == eni }, (*shard).removedCount)
	}
	t.eniMu.Lock()
	defer t.eniMu.Unlock()
	if c := t.eni[eni]; c != nil && c.Load() == 0 {
		delete(t.eni, eni)
	}
}

// Len is the number of entries, with those that have expired and have not been
// met by Expire yet.
func (t *Table) Len() int { return t.slab.Len() }

// Entries calls f for every entry, live or expired, until it returns false. No
// lock is held meanwhile; entries made or removed meanwhile may or may not be
// among them.
func (t *Table) Entries(f func(Key, Entry) bool) {
	for i := range t.slab.Extent() {
		sh := t.lockRecord(i)
		if sh == nil {
			continue
		}
		r := *t.slab.At(i)
		sh.mu.Unlock()
		if !f(r.Key, r.entry()) {
			return
		}
	}
}

// find gives the index of the record with key k, or None. The shard is locked.
func (t *Table) find(sh *shard, h hash, k *Key) uint32 {
	i := sh.index.First(uint32(h))
	for i != slab.None && t.slab.At(i).Key != *k {
		i = sh.index.Next(i)
	}
	return i
}

// Stats is what a table holds, and what it has done since Open.
type Stats struct {
	Entries, Capacity int    // Entries as Len
	Made              uint64 // entries made; one that is opened anew is not another
	Expired, Removed  uint64 // of those, or of those found at Open: removed by time, or with their ENI
	// Packets refused (CT-07): the table, or the file system under it, was full; the ENI
	// had as many entries as it may have.
	RefusedFull, RefusedENI uint64
	Examined                uint64 // records looked at for expired ones
}

// Stats counts. The figures are each right, but not of one and the same instant.
func (t *Table) Stats() Stats {
	s := Stats{
		Entries: t.Len(), Capacity: t.slab.Cap(),
		RefusedFull: t.refusedFull.Load(), RefusedENI: t.refusedENI.Load(), Examined: t.examined.Load(),
	}
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		s.Made += sh.made
		s.Expired += sh.expired
		s.Removed += sh.removed
		sh.mu.Unlock()
	}
	return s
}

// removeIf removes record i if there is one and cond says so. It adds the removal to the
// count that of picks from the shard.
func (t *Table) removeIf(i uint32, cond func(*record) bool, of func(*shard) *uint64) bool {
	sh := t.lockRecord(i)
	if sh == nil {
		return false
	}
	defer sh.mu.Unlock()
	r := t.slab.At(i)
	if !cond(r) {
		return false
	}
	*of(sh)++
	t.count(r.Key.ENI, -1, 0)
	sh.index.Remove(i)
	t.slab.Delete(i)
	return true
}

// lockRecord locks the shard that guards record i; nil if there is no record.
func (t *Table) lockRecord(i uint32) *shard {
	for {
		tag, ok := t.slab.Tag(i)
		if !ok {
			return nil
		}
		sh := &t.shards[tag%shardCount]
		sh.mu.Lock()
		// It may have gone, and the slot may hold a record of another shard.
		if again, ok := t.slab.Tag(i); ok && again == tag {
			return sh
		}
		sh.mu.Unlock()
	}
}

// count adds delta to the number of an ENI's entries, unless it would go above
// limit (0: none).
func (t *Table) count(eni uint32, delta, limit int64) bool {
	t.eniMu.RLock()
	c := t.eni[eni]
	if c != nil {
		// Within the lock, so that RemoveENI does not drop a counter in use.
		defer t.eniMu.RUnlock()
		return add(c, delta, limit)
	}
	t.eniMu.RUnlock()
	t.eniMu.Lock()
	defer t.eniMu.Unlock()
	if c = t.eni[eni]; c == nil {
		c = new(atomic.Int64)
		t.eni[eni] = c
	}
	return add(c, delta, limit)
}

func add(c *atomic.Int64, delta, limit int64) bool {
	if n := c.Add(delta); limit > 0 && n > limit {
		c.Add(-delta)
		return false
	}
	return true
}

// hash of a key: the lower half is for the index, the upper picks the shard.
// Its seed is secret, so that nobody can aim at one bucket.
type hash uint64

func (t *Table) hash(k *Key) hash { return hash(maphash.Comparable(t.seed, *k)) }

func (h hash) tag() uint16 { return uint16(h >> 32 & (shardCount - 1)) }

func (t *Table) shard(h hash) *shard { return &t.shards[h.tag()] }
