package dataplane

import "github.com/vpcemu/vpcemu/internal/packet"

// A joiner holds back datagrams of known flows, to write several of one flow to its
// port at once, as a super-packet of UDP (USO): a write costs as much as a datagram
// does otherwise. Only what follows another packet of the same burst is held back, if
// its flow is one of the last few that sent, and no longer than the burst lasts: a lone
// datagram is never late, and thousands of flows that take turns are not copied in
// vain. Datagrams of one flow stay in order.
type joiner struct {
	recent [joinFlows]*flow // the last flows that sent datagrams; only compared
	newest int
	slots  [joinFlows]held
	count  int // slots in use
	next   int // the slot to give up when all are
	link   [etherLen]byte
}

// joinFlows is how many flows may take turns within a burst.
const joinFlows = 4

// held is what is held back of one flow.
type held struct {
	flow  *flow // nil: nothing
	to    *target
	first Event                // of the first datagram
	bytes uint64               // of all of them
	c     [2]*packet.Coalescer // for TUN and TAP, made when needed
	used  *packet.Coalescer
}

// join takes the datagram under way, if it may wait. What may not, and goes to the
// same port, must not overtake what does.
func (r *worker) join(f *flow, t *target) bool {
	j := &r.joiner
	may := t.features.UDP && r.w.hdr.IsUDP() && r.w.gso.GSO == packet.GSONone
	for i := range j.slots {
		h := &j.slots[i]
		if j.count == 0 || h.flow != f {
			continue
		}
		if may && h.used.Add(r.link(t), &r.w.hdr) {
			r.tally.count(countJoined, 1)
			h.bytes += uint64(r.w.size)
			return true
		}
		r.release(h)
		break
	}
	if !may || !j.again(f) || !r.burst {
		return false
	}
	return r.hold(f, t)
}

// again notes that a flow has sent, and tells whether it had lately.
func (j *joiner) again(f *flow) bool {
	for _, other := range &j.recent {
		if other == f {
			return true
		}
	}
	j.newest = (j.newest + 1) % joinFlows
	j.recent[j.newest] = f
	return false
}

// hold begins to hold back a flow's datagrams.
func (r *worker) hold(f *flow, t *target) bool {
	j := &r.joiner
	h := &j.slots[j.next]
	for i := range j.slots {
		if j.slots[i].flow == nil {
			h = &j.slots[i]
			break
		}
	}
	if h.flow != nil {
		r.release(h)
		j.next = (j.next + 1) % joinFlows
	}
	kind := 0
	if t.features.Ethernet {
		kind = 1
	}
	if h.c[kind] == nil {
		h.c[kind] = packet.NewCoalescer(t.features.linkLen())
	}
	if !h.c[kind].Add(r.link(t), &r.w.hdr) {
		return false
	}
	h.flow, h.to, h.used = f, t, h.c[kind]
	h.first, h.bytes = r.w.event(false), uint64(r.w.size)
	j.count++
	return true
}

// link is the Ethernet header with which the packet leaves; none on a TUN.
func (r *worker) link(t *target) []byte {
	if !t.features.Ethernet {
		return nil
	}
	putEther(r.joiner.link[:], t.macs[0], t.macs[1], etherTypeOf(r.w.hdr.Data))
	return r.joiner.link[:]
}

// flush writes all that is held back.
func (r *worker) flush() {
	if r.joiner.count == 0 {
		return
	}
	for i := range r.joiner.slots {
		if h := &r.joiner.slots[i]; h.flow != nil {
			r.release(h)
		}
	}
}

// revoke counts packets that this batch has taken for delivered as what they are. e is the
// event of the first of them.
func (r *worker) revoke(e Event, reason Reason, stage Stage, by Ref, rule Rule, n Traffic) {
	way := e.Way
	if !r.e.cfg.NoCounters {
		r.tally.recount(Delivered, reason, n.Packets)
		way.uncount(n)
	}
	way = way.instead(reason, stage, by, rule)
	if !r.e.cfg.NoCounters {
		way.count(n)
	}
	if r.meter.on {
		r.unmeasure(&e, way, n)
	}
	e.Reason, e.Packets, e.Way = reason, int(n.Packets), way
	if stage != StageDeliver {
		e.Stage, e.By, e.Rule, e.Size, e.To = stage, by, rule, int(n.Bytes), 0
	}
	r.e.drops.add(e)
}

// release writes what is held back of one flow.
func (r *worker) release(h *held) {
	if !r.write(h.to.port, h.used.Bytes()) {
		r.revoke(h.first, PortWriteFailed, StageDeliver, h.first.By, Rule{}, Traffic{uint64(h.used.Len()), h.bytes})
	}
	h.used.Reset()
	h.flow, h.to, h.first = nil, nil, Event{}
	r.joiner.count--
}
