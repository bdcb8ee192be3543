package dataplane

import (
	"math"
	"time"

	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// A target is where the packets of some flows go: a port, and the frame around them on
// a TAP.
type target struct {
	port     Port
	features Features
	macs     [2][6]byte
	eni      *ENI
	host     *InternetHost
	links    []*Link // to be crossed before
}

type targetKey struct {
	handle uint32
	src    [6]byte
	chain  uint32
}

// known are the lists that flows point into, good for one snapshot.
type known struct {
	owners   []owner // of sources, by slot
	targets  []target
	targetOf map[targetKey]uint32
	timeouts []*conntrack.Timeouts
	chains   [][]*Link // of links that packets crossed
	chainOf  map[[maxLinks]*Link]uint32
	// looked is the key of the packet under way, if it may go by the cache.
	looked flowKey
	hash   uint32
	may    bool
	before uint8 // its TTL as it came
}

// forget starts anew for another snapshot, and lets go of the old one.
func (r *worker) forget() {
	r.w = walk{cfg: r.w.cfg, tally: r.w.tally, steps: r.w.steps[:0]}
	clear(r.w.steps[:cap(r.w.steps)])
	r.e.retireWays(r.tree)
	r.tree = newWayTree(&r.tally.mu)
	r.ways.Store(r.tree)
	clear(r.owners)
	clear(r.targets)
	r.targets = r.targets[:0]
	clear(r.timeouts)
	r.timeouts = r.timeouts[:0]
	if r.targetOf == nil {
		r.targetOf = make(map[targetKey]uint32)
	}
	clear(r.targetOf)
	r.chains, r.chainOf, r.lane = nil, nil, lane{}
	if r.line.owner.worker == r {
		r.line.renew(r.e.cfg.Now())
	}
}

// cacheable tells whether packets like this one may go by the cache: those of which
// the stages look at nothing but addresses, ports, size and TTL. What opens or ends a
// connection, ICMP, fragments and IP options take the stages.
func (w *walk) cacheable() bool {
	h := &w.hdr
	if h.IsFragment() || h.HasOptions || w.in.Services != nil || w.l2group || h.IsICMP() {
		return false
	}
	return !h.IsTCP() || h.TCPFlags&(packet.FlagSYN|packet.FlagFIN|packet.FlagRST) == 0
}

// fast moves a packet of a known flow; false: it has to take the stages. What has been
// accounted for by then, the walk knows (see touch).
func (r *worker) fast() bool {
	w := &r.w
	if r.may = w.cfg.FlowEntries >= 0 && w.cacheable(); !r.may {
		return false
	}
	h := &w.hdr
	k := &r.looked
	k.src = h.Src
	k.dst = h.Dst
	k.srcPort, k.dstPort, k.proto = h.SrcPort, h.DstPort, h.Proto
	k.ingress, k.peer = w.in.Handle(), 0
	if w.l2peer != nil {
		k.peer = w.l2peer.Handle
	}
	r.hash, r.before = r.flows.hash(k), h.TTL
	f, moved := r.flows.find(r.hash, k, r.gen, w.now)
	if moved {
		r.flush() // held back under the place that the flow had, its datagrams would be overtaken
	}
	if f == nil {
		w.tally.count(countMisses, 1)
		return false
	}
	if h.TTL <= f.hops || f.limit != 0 && w.wire > int(f.limit) {
		return false
	}
	way := r.tree.ends[f.way]
	if r.meter.on {
		if r.record = r.meter.of(f.record, way, &w.sent); r.record == nil && !r.meter.full() {
			return false // the first of an interval
		}
	}
	if r.taps != nil {
		m := r.marks(way)
		if m.detail != 0 {
			return false
		}
		if m.want != 0 {
			r.keepSent()
		}
	}
	if !r.touch(f) {
		w.tally.count(countStale, 1)
		return false
	}
	w.tally.count(countHits, uint64(w.gso.Segments))
	f.used = w.now
	w.way = way
	w.rewrite(f)
	if r.hasSent {
		r.keepFinal()
	}
	r.deliver(f)
	return true
}

// tupleAt is the packet as the security groups of an ENI see it: as sent on its way
// out of the first, as delivered on its way into the last.
func (f *flow) tupleAt(d *trackedDep) packet.Tuple {
	k := &f.key
	if d.outbound {
		return packet.Tuple{Src: k.src, Dst: k.dst, SrcPort: k.srcPort, DstPort: k.dstPort, Proto: k.proto}
	}
	return packet.Tuple{Src: f.src, Dst: f.dst, SrcPort: f.srcPort, DstPort: f.dstPort, Proto: k.proto}
}

// touch refreshes all that the flow relies on, in the order in which a walk meets it.
// Where something has gone, the packet takes the stages, and what came before is not
// to be accounted for once more: the walk is told.
func (r *worker) touch(f *flow) bool {
	w := &r.w
	flags, packets := w.hdr.TCPFlags, uint32(w.gso.Segments)
	n := int(f.nTracked)
	r.prefetch(f)
	if n > 0 && f.tracked[0].outbound && !r.touchTracked(f, 0, flags, packets) {
		return false
	}
	for i := range f.nats[:f.nNATs] {
		d := &f.nats[i]
		if !w.cfg.NAT.Touch(d.ref, time.Duration(d.idle)*time.Millisecond, flags, d.inbound, w.now) {
			return false
		}
		w.touchedNATs[i] = d.ref
		w.nTouchedNATs = i + 1
	}
	return n == 0 || f.tracked[n-1].outbound || r.touchTracked(f, n-1, flags, packets)
}

// prefetch has all that touch will meet fetched at once.
func (r *worker) prefetch(f *flow) {
	for i := range f.tracked[:f.nTracked] {
		if d := &f.tracked[i]; !d.absent {
			r.w.cfg.Conntrack.Prefetch(d.ref)
		}
	}
	for i := range f.nats[:f.nNATs] {
		r.w.cfg.NAT.Prefetch(f.nats[i].ref)
	}
}

// touchTracked does it for a security group stage. An untracked flow relies on there
// being no entry.
func (r *worker) touchTracked(f *flow, i int, flags uint8, packets uint32) bool {
	w, d := &r.w, &f.tracked[i]
	if d.absent {
		return !w.cfg.Conntrack.Has(conntrack.KeyOf(d.eni, f.tupleAt(d), d.outbound), w.now)
	}
	if !w.cfg.Conntrack.Touch(d.ref, d.outbound, flags, packets, w.now, r.timeouts[d.timeouts]) {
		return false
	}
	w.touched[toIndex(d.outbound)] = d.ref
	return true
}

// rewrite makes of the packet what the stages would.
func (w *walk) rewrite(f *flow) {
	h := &w.hdr
	if f.hops != 0 {
		h.SetTTL(h.TTL - f.hops)
	}
	if f.src != h.Src {
		h.SetSrc(f.src)
	}
	if f.dst != h.Dst {
		h.SetDst(f.dst)
	}
	if f.srcPort != h.SrcPort {
		h.SetSrcPort(f.srcPort)
	}
	if f.dstPort != h.DstPort {
		h.SetDstPort(f.dstPort)
	}
}

// deliver hands the packet to the flow's port.
func (r *worker) deliver(f *flow) {
	w := &r.w
	t := &r.targets[w.way.target]
	if t.eni != nil {
		w.out.eni = t.eni
		w.end(StageDeliver, Delivered, t.eni.Ref, Rule{})
	} else {
		w.out.host = t.host
		w.end(StageInternet, Delivered, t.host.Ref, Rule{})
	}
	if t.links != nil {
		r.cross(t.port, t.features, t.macs, t.links, w.by)
	} else if !r.join(f, t) && !r.put(t.port, t.features, t.macs) {
		w.end(StageDeliver, PortWriteFailed, w.by, Rule{})
	}
	r.report(false)
	if t.links != nil && len(r.lane.losses) > 0 {
		r.amend()
	}
}

// remember makes an entry of what the stages have just made of a packet.
func (r *worker) remember() {
	w := &r.w
	if !r.may || w.reason != Delivered || w.out.eni == nil && w.out.host == nil || w.wire > math.MaxUint16 {
		return
	}
	if w.nObserved > maxTracked || w.nMapped > maxNATs || w.limit > math.MaxUint16 || len(w.links) > maxLinks {
		return
	}
	w.way = w.endWay()
	way := w.way
	if w.opened() {
		way = w.follower(way)
	}
	way.target = r.targetIndex()
	f, evicted := r.flows.place(r.hash, &r.looked, r.gen, w.now)
	if evicted {
		w.tally.count(countEvicted, 1)
	}
	h := &w.hdr
	*f = flow{key: r.looked, used: w.now, gen: r.gen, way: way.index,
		src: h.Src, dst: h.Dst, srcPort: h.SrcPort, dstPort: h.DstPort, limit: uint16(w.limit), hops: r.before - h.TTL}
	for i := range w.observed[:w.nObserved] {
		o := &w.observed[i]
		f.tracked[i] = trackedDep{ref: o.ref, eni: o.eni.Handle, timeouts: r.timeoutsIndex(o.eni.timeouts()),
			outbound: o.outbound, absent: o.ref == conntrack.Ref{}}
	}
	for i := range w.mapped[:w.nMapped] {
		m := &w.mapped[i]
		f.nats[i] = natDep{ref: m.ref, idle: uint32(min(m.m.IdleTimeout.Milliseconds(), math.MaxUint32)), inbound: m.inbound}
	}
	f.nTracked, f.nNATs = uint8(w.nObserved), uint8(w.nMapped)
	r.made = f
}

// opened tells whether the packet has opened a tracked connection.
func (w *walk) opened() bool {
	for i := range w.observed[:w.nObserved] {
		if o := &w.observed[i]; !o.tracked && o.ref != (conntrack.Ref{}) {
			return true
		}
	}
	return false
}

// follower is the way of the packets that follow one which opened a connection: they
// pass its security groups by the connection and not by the rule (CT-01).
func (w *walk) follower(way *Way) *Way {
	tracked := 0
	for i := range w.observed[:w.nObserved] {
		if o := &w.observed[i]; o.ref != (conntrack.Ref{}) {
			tracked |= 1 << toIndex(o.outbound)
		}
	}
	f := &way.followers[tracked-1]
	if *f == nil {
		*f = w.followed(way)
	}
	return *f
}

func (w *walk) followed(way *Way) *Way {
	if way.parent == nil {
		return way
	}
	d := way.decision
	if egress := d.stage == StageSGEgress; (egress || d.stage == StageSGIngress) && w.tracks(d.at, egress) {
		d.rule = Rule{Tracked: true}
	}
	return w.followed(way.parent).next(&d)
}

// tracks tells whether the packet is of a tracked connection at an interface's groups.
func (w *walk) tracks(e *ENI, outbound bool) bool {
	for i := range w.observed[:w.nObserved] {
		if o := &w.observed[i]; o.eni == e && o.outbound == outbound {
			return o.ref != conntrack.Ref{}
		}
	}
	return false
}

// targetIndex is the place of the port at which the walk ended.
func (r *worker) targetIndex() uint32 {
	w := &r.w
	t := target{eni: w.out.eni, host: w.out.host, macs: w.macs()}
	k := targetKey{src: t.macs[1]}
	if t.eni != nil {
		t.port, k.handle = t.eni.Port, t.eni.Handle
	} else {
		t.port, k.handle = t.host.Port, t.host.Handle
	}
	t.links, k.chain = r.chain(w.links)
	i, ok := r.targetOf[k]
	if !ok {
		t.features = t.port.Features()
		i = uint32(len(r.targets))
		r.targets = append(r.targets, t)
		r.targetOf[k] = i
	}
	return i
}

// timeoutsIndex is the place of an ENI's timeouts. Most have the defaults.
func (r *worker) timeoutsIndex(to *conntrack.Timeouts) uint16 {
	for i, t := range r.timeouts {
		if *t == *to {
			return uint16(i)
		}
	}
	r.timeouts = append(r.timeouts, to)
	return uint16(len(r.timeouts) - 1)
}
