package nat

import (
	"hash/maphash"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/vpcemu/vpcemu/internal/conntrack/tcpstate"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/slab"
)

// record is a mapping as it is stored.
type record struct {
	Last   int64  // stored last of a change; ns of CLOCK_BOOTTIME
	IdleMS uint32 // idle timeout in milliseconds
	TCP    tcpstate.State
	Proto  uint8

	// What follows never changes; a packet by reference needs none of it.
	InsidePort, OutsidePort, DestPort uint16

	Gateway uint32
	Inside  packet.Addr
	Outside packet.Addr
	Dest    packet.Addr
}

func newRecord(m *Mapping) record {
	return record{
		Gateway: m.Gateway, Proto: m.Proto,
		Inside: m.Inside, InsidePort: m.InsidePort,
		Outside: m.Outside, OutsidePort: m.OutsidePort,
		Dest: m.Dest, DestPort: m.DestPort,
		IdleMS: milliseconds(m.IdleTimeout),
	}
}

// milliseconds rounds up; 0 means the default.
func milliseconds(d time.Duration) uint32 {
	if d <= 0 {
		d = DefaultIdleTimeout
	}
	return uint32(min((d+time.Millisecond-1)/time.Millisecond, math.MaxUint32))
}

func (r *record) mapping() Mapping {
	return Mapping{
		Gateway: r.Gateway, Proto: r.Proto,
		Inside: r.Inside, InsidePort: r.InsidePort,
		Outside: r.Outside, OutsidePort: r.OutsidePort,
		Dest: r.Dest, DestPort: r.DestPort,
		IdleTimeout: r.idle(), Phase: r.TCP.Phase(), Last: r.Last,
	}
}

func (r *record) idle() time.Duration { return time.Duration(r.IdleMS) * time.Millisecond }

func (r *record) deadline() int64 { return deadline(r.Last, r.idle(), r.TCP.Phase()) }

func (r *record) expired(now int64) bool { return r.deadline() <= now }

// observe accounts for a packet of the connection.
func (r *record) observe(tcpFlags uint8, inbound bool, now int64, idleMS uint32) {
	if r.Proto == packet.ProtoTCP {
		if inbound && r.TCP.Opens(tcpFlags) {
			return // nobody outside opens a closed connection again (NA-10)
		}
		r.TCP = r.TCP.Next(!inbound, tcpFlags)
	}
	r.IdleMS = idleMS
	// Killed before this store, the mapping is one that was idle for longer.
	atomic.StoreInt64(&r.Last, now)
}

// A destination is what NA-05 counts by, but for the address of the gateway.
// It is known from either side, so it picks the shard, and one lock covers
// everything that a packet needs.
type destination struct {
	dest    packet.Addr
	gateway uint32
	port    uint16
	proto   uint8
}

func (r *record) destination() destination {
	return destination{dest: r.Dest, gateway: r.Gateway, port: r.DestPort, proto: r.Proto}
}

// flow is a destination and one end of its connections: the inside address and
// port, or the outside ones.
type flow struct {
	destination
	addr packet.Addr
	port uint16
}

// pool counts the mappings of one outside address to one destination.
type pool struct {
	destination
	outside packet.Addr
	used    uint16
	// When the pool is full, the ports are looked at round after round for
	// mappings that have expired. None can have before earliest, so until then
	// a refusal costs nothing; round is the same for the round under way.
	sweep           uint16 // where it goes on, less FirstPort
	earliest, round int64
}

func newPool(d destination, outside packet.Addr) *pool {
	return &pool{destination: d, outside: outside, earliest: math.MaxInt64, round: math.MaxInt64}
}

// expiresAt notes that a mapping of the pool expires at t, and not later as was
// thought so far.
func (p *pool) expiresAt(t int64) {
	p.earliest, p.round = min(p.earliest, t), min(p.round, t)
}

// The seed of the hashes is secret, so that nobody can aim at one shard or
// bucket.

func (t *Table) shard(d destination) (*shard, uint16) {
	tag := uint16(maphash.Comparable(t.seed, d) & (shardCount - 1))
	return &t.shards[tag], tag
}

func (t *Table) hash(f *flow) uint32 { return uint32(maphash.Comparable(t.seed, *f)) }

func (t *Table) poolHash(d *destination, outside packet.Addr) uint32 {
	return t.hash(&flow{destination: *d, addr: outside})
}

// findInside gives the record of an inside flow, or None. The shard is locked.
func (t *Table) findInside(sh *shard, f *flow) uint32 {
	i := sh.inside.First(t.hash(f))
	for i != slab.None {
		r := t.slab.At(i)
		if r.InsidePort == f.port && r.Inside == f.addr && r.destination() == f.destination {
			return i
		}
		i = sh.inside.Next(i)
	}
	return slab.None
}

// findOutside gives the record of an outside flow, or None. The shard is locked.
func (t *Table) findOutside(sh *shard, f *flow) uint32 {
	i := sh.outside.First(t.hash(f))
	for i != slab.None {
		r := t.slab.At(i)
		if r.OutsidePort == f.port && r.Outside == f.addr && r.destination() == f.destination {
			return i
		}
		i = sh.outside.Next(i)
	}
	return slab.None
}

// findPool gives the pool of an outside address, or None. The shard is locked.
func (t *Table) findPool(sh *shard, d *destination, outside packet.Addr) uint32 {
	i := sh.pools.First(t.poolHash(d, outside))
	for i != slab.None {
		if p := t.pools.At(i); p.outside == outside && p.destination == *d {
			return i
		}
		i = sh.pools.Next(i)
	}
	return slab.None
}

// Idle is the idle timeout in force: IdleTimeout or the default.
func (g *Gateway) Idle() time.Duration {
	if g.IdleTimeout <= 0 {
		return DefaultIdleTimeout
	}
	return g.IdleTimeout
}

// has tells whether a mapping to a may still be used.
func (g *Gateway) has(a packet.Addr) bool {
	return slices.Contains(g.Addrs, a) || slices.Contains(g.Draining, a)
}

// translates tells whether a packet from inside can open a connection: TCP, UDP,
// or an ICMP request, which has its identifier on its own side (NA-03). All
// addresses of a gateway are of one family.
func (g *Gateway) translates(tup *packet.Tuple) bool {
	if len(g.Addrs) > 0 && g.Addrs[0].Is4() != tup.Dst.Is4() || tup.Src.Is4() != tup.Dst.Is4() {
		return false
	}
	switch tup.Proto {
	case packet.ProtoTCP, packet.ProtoUDP:
		return true
	case packet.ProtoICMP:
		return tup.DstPort == 0
	}
	return false
}
