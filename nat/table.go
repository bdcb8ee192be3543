package nat

import (
	"fmt"
	"hash/maphash"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/slab"
)

// layout is the version of what the fields of record mean.
const layout = 1

// What the tables take, in bytes: BytesPerMapping for each mapping (record, slot, and link
// and bucket of two indexes), and BytesPerDestination for each destination of an outside
// address (NA-05). Memory is used only where mappings are or were; a table does not shrink
// before the lab goes down.
const (
	BytesPerMapping     = 108
	BytesPerDestination = 88
)

const (
	shardCount = 64 // a power of two
	portCount  = LastPort - FirstPort + 1
	// portTries bounds the search for a free port. Random tries do not care
	// how the free ports lie: with 55,000 of 64,512 taken seven are needed on
	// average, and all of 256 fail once in 10^17 times.
	portTries = 256
	// reclaimBudget is how many ports or records are looked at for expired
	// mappings before a new one is refused: some microseconds.
	reclaimBudget = 64
	// ExpireSome looks at that part of the table, and at no fewer records than the least.
	sweepCalls = 128
	sweepLeast = 1024
)

// Table holds the mappings of all NAT gateways of a lab. Its methods may be
// called concurrently, except Close.
//
// Lock order: one shard's mu, then a slab's own lock. No method holds two
// shards. A record, its links and its pool are guarded by the mu of the shard
// that the record's tag names.
type Table struct {
	slab   *slab.Slab[record]
	pools  *slab.Slab[pool] // in memory, rebuilt at Open
	links  [3]slab.Links    // of the indexes: inside, outside, pools
	seed   maphash.Seed
	shards [shardCount]shard
	cursor atomic.Uint32 // where Expire goes on

	refusedFull, refusedExhausted, refusedProtocol, examined atomic.Uint64
}

type shard struct {
	mu      sync.Mutex
	inside  *slab.Index // records by inside flow
	outside *slab.Index // records by outside flow
	pools   *slab.Index
	counts  counts
	_       [56]byte // two shards do not share a cache line
}

// OpenTable opens the table in the file at path, "" for one in memory, with
// room for capacity mappings, and takes over the mappings found in it. Errors
// are those of slab.Open; after a *slab.SetAside a second call starts an empty
// table.
func OpenTable(path string, capacity int) (*Table, error) {
	s, err := slab.Open[record](path, layout, capacity)
	if err != nil {
		return nil, fmt.Errorf("nat: %w", err)
	}
	pools, err := slab.Open[pool]("", layout, s.Cap())
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("nat: pools: %w", err)
	}
	t := &Table{slab: s, pools: pools, seed: maphash.MakeSeed()}
	for i := range t.links {
		if t.links[i], err = slab.NewLinks(s.Cap()); err != nil {
			t.Close()
			return nil, fmt.Errorf("nat: index: %w", err)
		}
	}
	for i := range t.shards {
		sh := &t.shards[i]
		sh.inside, sh.outside, sh.pools = slab.NewIndex(t.links[0]), slab.NewIndex(t.links[1]), slab.NewIndex(t.links[2])
	}
	for i, r := range s.All() {
		d := r.destination()
		sh, tag := t.shard(d)
		s.SetTag(i, tag)
		if err := t.link(sh, i, r); err != nil {
			t.Close()
			return nil, fmt.Errorf("nat: pools: %w", err)
		}
	}
	return t, nil
}

// Close lets go of the file and keeps the mappings in it. Nobody may use the
// table any more.
func (t *Table) Close() error {
	for _, l := range t.links {
		l.Free()
	}
	t.links = [3]slab.Links{}
	t.pools.Close()
	return t.slab.Close()
}

// Outbound gives the live mapping of a packet on its way out, by its inside
// 5-tuple; an expired one, or one of an address that the gateway has lost, is
// not found. It writes nothing. An ICMP error from inside, about a packet that
// came in, is looked up by the reverse of the quoted tuple.
func (t *Table) Outbound(gw *Gateway, tup packet.Tuple, now int64) (Mapping, bool) {
	d := destination{dest: tup.Dst, gateway: gw.Handle, port: tup.DstPort, proto: tup.Proto}
	sh, _ := t.shard(d)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i := t.findInside(sh, &flow{d, tup.Src, tup.SrcPort})
	if i == slab.None {
		return Mapping{}, false
	}
	r := t.slab.At(i)
	if r.expired(now) || !gw.has(r.Outside) {
		return Mapping{}, false
	}
	m := r.mapping()
	m.IdleTimeout = gw.Idle() // may have been changed since
	return m, true
}

// Inbound gives the live mapping of a packet as it arrives at the gateway's
// private address. Only the destination that the connection was made to gets
// through (NA-06, NA-10). It writes nothing. An ICMP error from outside is
// looked up by the reverse of the quoted tuple.
func (t *Table) Inbound(gw uint32, tup packet.Tuple, now int64) (Mapping, bool) {
	d := destination{dest: tup.Src, gateway: gw, port: tup.SrcPort, proto: tup.Proto}
	sh, _ := t.shard(d)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i := t.findOutside(sh, &flow{d, tup.Dst, tup.DstPort})
	if i == slab.None {
		return Mapping{}, false
	}
	r := t.slab.At(i)
	if r.expired(now) {
		return Mapping{}, false
	}
	return r.mapping(), true
}

// Propose finds a free port for a new connection from inside, which Outbound
// does not know. Nothing is taken before Commit; but mappings that stand in the
// way and are dead already (expired, or of an address that the gateway has
// lost) are removed, within bounds. Of ICMP the caller brings queries only:
// errors go by the mapping of what they quote.
func (t *Table) Propose(gw *Gateway, tup packet.Tuple, now int64) (Mapping, Refusal) {
	m, refusal := t.propose(gw, tup, now)
	switch refusal {
	case RefusedFull:
		t.refusedFull.Add(1)
	case RefusedExhausted:
		t.refusedExhausted.Add(1)
	case RefusedProtocol:
		t.refusedProtocol.Add(1)
	}
	return m, refusal
}

// Imagine is Propose for a packet that nobody has sent: a refusal is not counted.
func (t *Table) Imagine(gw *Gateway, tup packet.Tuple, now int64) (Mapping, Refusal) {
	return t.propose(gw, tup, now)
}

func (t *Table) propose(gw *Gateway, tup packet.Tuple, now int64) (Mapping, Refusal) {
	if !gw.translates(&tup) {
		return Mapping{}, RefusedProtocol
	}
	if t.slab.Len() >= t.slab.Cap() && t.Expire(now, reclaimBudget) == 0 {
		return Mapping{}, RefusedFull
	}
	m := Mapping{
		Gateway:     gw.Handle,
		Proto:       tup.Proto,
		Inside:      tup.Src,
		InsidePort:  tup.SrcPort,
		Dest:        tup.Dst,
		DestPort:    tup.DstPort,
		IdleTimeout: gw.Idle(),
	}
	d := destination{dest: tup.Dst, gateway: gw.Handle, port: tup.DstPort, proto: tup.Proto}
	sh, _ := t.shard(d)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if i := t.findInside(sh, &flow{d, tup.Src, tup.SrcPort}); i != slab.None {
		if r := t.slab.At(i); r.expired(now) || !gw.has(r.Outside) {
			t.removeDead(sh, i)
		}
	}
	for _, a := range gw.Addrs {
		if port, ok := t.freePort(sh, &d, a, now); ok {
			m.Outside, m.OutsidePort = a, port
			return m, RefusedNone
		}
	}
	return Mapping{}, RefusedExhausted
}

// Ref names a mapping for Touch, as long as the mapping is there. The zero Ref
// names none.
type Ref struct{ Index, Epoch uint32 }

// Prefetch has the processor fetch the mapping that r names, for Touch.
func (t *Table) Prefetch(r Ref) { t.slab.Prefetch(r.Index) }

// Touch is Commit for a mapping that was met before, without looking for its flow.
// idle is its gateway's idle timeout, which a packet from inside renews; one from
// outside leaves it as the last from inside has set it (NA-07). It returns false, and has
// changed nothing, if the mapping has gone or expired.
func (t *Table) Touch(r Ref, idle time.Duration, tcpFlags uint8, inbound bool, now int64) bool {
	if !t.slab.Is(r.Index, r.Epoch) {
		return false
	}
	tag, _ := t.slab.Tag(r.Index)
	sh := &t.shards[tag%shardCount]
	sh.mu.Lock()
	// If it has gone since, the tag may have been that of another record.
	rec := t.slab.At(r.Index)
	touched := t.slab.Epoch(r.Index) == r.Epoch && !rec.expired(now)
	if touched {
		idleMS := rec.IdleMS
		if !inbound {
			idleMS = milliseconds(idle)
		}
		t.refresh(sh, rec, tcpFlags, inbound, now, idleMS)
	}
	sh.mu.Unlock()
	return touched
}

// Commit records a packet of the connection: it takes the port of a proposal,
// or refreshes the mapping. tcpFlags are 0 for other protocols; inbound means
// that the packet came from outside. Errors: ErrTaken, and ErrFull after
// expired mappings have been looked for within bounds.
func (t *Table) Commit(m Mapping, tcpFlags uint8, inbound bool, now int64) (Ref, error) {
	r, err := t.commit(&m, tcpFlags, inbound, now)
	if err == ErrFull && t.Expire(now, reclaimBudget) > 0 {
		r, err = t.commit(&m, tcpFlags, inbound, now)
	}
	if err == ErrFull {
		t.refusedFull.Add(1)
	}
	return r, err
}

func (t *Table) commit(m *Mapping, tcpFlags uint8, inbound bool, now int64) (Ref, error) {
	fresh := newRecord(m)
	d := fresh.destination()
	sh, tag := t.shard(d)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if i := t.findInside(sh, &flow{d, m.Inside, m.InsidePort}); i != slab.None {
		r := t.slab.At(i)
		live := !r.expired(now)
		if live && r.Outside == m.Outside && r.OutsidePort == m.OutsidePort {
			t.refresh(sh, r, tcpFlags, inbound, now, fresh.IdleMS)
			return t.ref(i), nil
		}
		if live {
			return Ref{}, ErrTaken
		}
		t.removeDead(sh, i)
	}
	if inbound {
		return Ref{}, ErrTaken
	}
	if i := t.findOutside(sh, &flow{d, m.Outside, m.OutsidePort}); i != slab.None {
		if !t.slab.At(i).expired(now) {
			return Ref{}, ErrTaken
		}
		t.removeDead(sh, i)
	}
	return t.insert(sh, tag, &fresh, tcpFlags, now)
}

// refresh accounts for a packet of a known connection. The shard is locked.
func (t *Table) refresh(sh *shard, r *record, tcpFlags uint8, inbound bool, now int64, idleMS uint32) {
	before := r.deadline()
	r.observe(tcpFlags, inbound, now, idleMS)
	if r.deadline() >= before {
		return
	}
	d := r.destination()
	if p := t.findPool(sh, &d, r.Outside); p != slab.None {
		t.pools.At(p).expiresAt(r.deadline())
	}
}

// insert stores a new mapping. The shard is locked; flow and port are free.
func (t *Table) insert(sh *shard, tag uint16, r *record, tcpFlags uint8, now int64) (Ref, error) {
	d := r.destination()
	if p := t.findPool(sh, &d, r.Outside); p != slab.None && t.pools.At(p).used >= ConnectionLimit {
		return Ref{}, ErrTaken // the last one has gone since Propose
	}
	r.observe(tcpFlags, false, now, r.IdleMS)
	i, err := t.slab.Insert(r, tag)
	if err != nil {
		// No space left on the file system is no different for the packet.
		return Ref{}, ErrFull
	}
	if err := t.link(sh, i, r); err != nil {
		t.slab.Delete(i)
		return Ref{}, ErrFull
	}
	sh.counts.made++
	return t.ref(i), nil
}

// ref names record i, whose shard is locked.
func (t *Table) ref(i uint32) Ref { return Ref{Index: i, Epoch: t.slab.Epoch(i)} }

// link puts a stored record into the indexes and its pool.
func (t *Table) link(sh *shard, i uint32, r *record) error {
	d := r.destination()
	p := t.findPool(sh, &d, r.Outside)
	if p == slab.None {
		var err error
		// Pools are never more than records, so there is room.
		if p, err = t.pools.Insert(newPool(d, r.Outside), 0); err != nil {
			return err
		}
		sh.pools.Add(t.poolHash(&d, r.Outside), p)
	}
	pl := t.pools.At(p)
	pl.used++
	pl.expiresAt(r.deadline())
	sh.inside.Add(t.hash(&flow{d, r.Inside, r.InsidePort}), i)
	sh.outside.Add(t.hash(&flow{d, r.Outside, r.OutsidePort}), i)
	return nil
}

// remove is the opposite of insert.
func (t *Table) remove(sh *shard, i uint32) {
	r := t.slab.At(i)
	d := r.destination()
	if p := t.findPool(sh, &d, r.Outside); p != slab.None {
		pl := t.pools.At(p)
		if pl.used--; pl.used == 0 {
			sh.pools.Remove(p)
			t.pools.Delete(p)
		}
	}
	sh.inside.Remove(i)
	sh.outside.Remove(i)
	t.slab.Delete(i)
}

// removeDead removes a mapping that stands in the way and may not be used any more.
func (t *Table) removeDead(sh *shard, i uint32) {
	t.remove(sh, i)
	sh.counts.expired++
}

// freePort finds a port of address a that no connection to d has. An address
// with ConnectionLimit of them has none.
func (t *Table) freePort(sh *shard, d *destination, a packet.Addr, now int64) (uint16, bool) {
	p := t.findPool(sh, d, a)
	if p != slab.None && t.pools.At(p).used >= ConnectionLimit && t.sweepPool(sh, p, now) == 0 {
		return 0, false
	}
	for range portTries {
		sh.counts.tries++
		port := uint16(FirstPort + rand.Uint32N(portCount))
		i := t.findOutside(sh, &flow{*d, a, port})
		if i == slab.None {
			return port, true
		}
		if t.slab.At(i).expired(now) {
			t.removeDead(sh, i)
			return port, true
		}
	}
	return 0, false
}

// sweepPool removes expired mappings of a full pool, looking at the next few
// ports, and at none while it is known that nothing has expired. Expire would
// find them too, but here they are in the way.
func (t *Table) sweepPool(sh *shard, p uint32, now int64) int {
	pl := t.pools.At(p)
	if now < pl.earliest {
		return 0
	}
	removed := 0
	d, a := pl.destination, pl.outside
	sh.counts.swept += reclaimBudget
	for range reclaimBudget {
		port := uint16(FirstPort + int(pl.sweep))
		if pl.sweep++; pl.sweep == portCount {
			pl.sweep = 0
			pl.earliest, pl.round = pl.round, math.MaxInt64
		}
		i := t.findOutside(sh, &flow{d, a, port})
		if i == slab.None {
			continue
		}
		if r := t.slab.At(i); !r.expired(now) {
			pl.round = min(pl.round, r.deadline())
			continue
		}
		// A full pool has more mappings than are looked at here, so it stays.
		t.removeDead(sh, i)
		removed++
	}
	return removed
}

// Expire removes expired mappings, looking at no more than budget records, and
// goes on next time where it stopped. It returns how many it removed. Expired
// mappings that it has not met yet are not found, but count for the limits of
// the table and, until a few ports are looked at, of NA-05.
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
		if t.removeIf((start+j)%extent, func(r *record) bool { return r.expired(now) }, (*counts).ofTime) {
			removed++
		}
	}
	return removed
}

// ExpireSome is Expire with a budget that follows the size of the table: 128 calls meet
// every record, so called four times a second it removes what has expired within 32 s. It
// never holds a lock for more than one record.
func (t *Table) ExpireSome(now int64) int {
	return t.Expire(now, max(sweepLeast, int(t.slab.Extent()/sweepCalls)+1))
}

// RemoveGateway removes all mappings of a gateway that is gone (NA-16). It looks
// at the whole table, one record at a time.
func (t *Table) RemoveGateway(handle uint32) {
	for i := range t.slab.Extent() {
		t.removeIf(i, func(r *record) bool { return r.Gateway == handle }, (*counts).ofOwner)
	}
}

// RemoveAddress removes the mappings of an address whose draining is over
// (NA-17).
func (t *Table) RemoveAddress(handle uint32, a packet.Addr) {
	for i := range t.slab.Extent() {
		t.removeIf(i, func(r *record) bool { return r.Gateway == handle && r.Outside == a }, (*counts).ofOwner)
	}
}

// Len is the number of mappings, with those that have expired and have not been
// met by Expire yet.
func (t *Table) Len() int { return t.slab.Len() }

// Mappings calls f for every mapping, live or expired, until it returns false.
// No lock is held meanwhile; mappings made or removed meanwhile may or may not
// be among them.
func (t *Table) Mappings(f func(Mapping) bool) {
	for i := range t.slab.Extent() {
		sh := t.lockRecord(i)
		if sh == nil {
			continue
		}
		m := t.slab.At(i).mapping()
		sh.mu.Unlock()
		if !f(m) {
			return
		}
	}
}

// removeIf removes record i if there is one and cond says so, and counts it as of says.
func (t *Table) removeIf(i uint32, cond func(*record) bool, of func(*counts) *uint64) bool {
	sh := t.lockRecord(i)
	if sh == nil {
		return false
	}
	defer sh.mu.Unlock()
	if !cond(t.slab.At(i)) {
		return false
	}
	t.remove(sh, i)
	*of(&sh.counts)++
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
