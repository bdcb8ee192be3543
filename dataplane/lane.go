package dataplane

import "github.com/vpcemu/vpcemu/internal/packet"

// maxLinks is how many links a known flow may cross. What crosses more takes the stages.
const maxLinks = 10

// A lane is the Port of packets that cross links: what a worker writes to it is what goes
// to the port at the end, in the shape that it wants, packet by packet or fragment by fragment.
type lane struct {
	r     *worker
	to    Port
	over  int // bytes before the IP header
	place Place
	links []*Link
	now   int64

	pieces, lost int // of the packet under way
	losses       []loss
}

// loss is what a link has lost of a packet.
type loss struct {
	reason Reason
	link   *Link
	Traffic
}

// Read, Close, Features and String are here for Port; nobody reads a lane.
func (l *lane) Read([]byte) (int, error) { return 0, ErrAgain }
func (l *lane) Close() error             { return nil }
func (l *lane) Features() Features       { return l.to.Features() }
func (l *lane) String() string           { return l.to.String() }

// chain is a list of links that is the same slice for the same links, and 0 or its number.
// One that is too long has no number.
func (k *known) chain(links []*Link) ([]*Link, uint32) {
	if len(links) == 0 {
		return nil, 0
	}
	if len(links) > maxLinks {
		return append([]*Link(nil), links...), 0
	}
	var key [maxLinks]*Link
	copy(key[:], links)
	i, ok := k.chainOf[key]
	if !ok {
		if k.chainOf == nil {
			k.chainOf = make(map[[maxLinks]*Link]uint32)
		}
		k.chains = append(k.chains, append([]*Link(nil), links...))
		i = uint32(len(k.chains))
		k.chainOf[key] = i
	}
	return k.chains[i-1], i
}

// cross sends the packet, which has been decided to arrive, over links to a port. What is
// lost at once, it is told of here, or after the report: see losses.
//
// A super-packet stays whole over links that do nothing but delay: its packets leave within
// microseconds of one another anyway. Others look at each packet on the wire.
func (r *worker) cross(p Port, f Features, macs [2][6]byte, links []*Link, by Ref) {
	w, l := &r.w, &r.lane
	*l = lane{r: r, to: p, over: f.linkLen(), place: w.out.place(), links: links, now: r.e.cfg.Now(), losses: l.losses[:0]}
	if f.Header {
		l.over += packet.VnetLen
	}
	if w.way == nil {
		w.way = w.endWay() // for the events of parcels
	}
	var ok bool
	if w.gso.GSO != packet.GSONone && perPacket(links) {
		r.emit = emission{to: l, feat: f, macs: macs, mtu: w.mtu}
		ok = packet.Segment(r.scratch[ipRoom:], &w.hdr, w.gso, r.emitSegment) == nil && r.emit.err == nil
	} else {
		ok = r.put(l, f, macs)
	}
	switch {
	case !ok:
		w.end(StageDeliver, PortWriteFailed, by, Rule{})
	case l.pieces > 0 && l.lost == l.pieces:
		w.end(StageLink, l.losses[0].reason, l.losses[0].link.Ref, Rule{Link: l.losses[0].link})
		l.losses = l.losses[:0]
	case w.gso.GSO == packet.GSONone:
		l.losses = l.losses[:0] // some fragments of a packet: it has been sent
	}
}

func perPacket(links []*Link) bool {
	for _, l := range links {
		if l.Conditions.PerPacket() {
			return true
		}
	}
	return false
}

// Write sends a packet over the links. An error is the port's.
func (l *lane) Write(b []byte) (int, error) {
	w := &l.r.w
	packets, bytes := 1, len(b)-l.over
	if bytes == len(w.hdr.Data) {
		packets, bytes = w.gso.Segments, w.size
	}
	l.pieces++
	for _, link := range l.links {
		if link.state.Loses(packets, bytes) {
			l.lose(LinkLoss, link, packets, bytes)
			return len(b), nil
		}
	}
	at := l.now
	for i, link := range l.links {
		passage := link.state.Enter(at, packets, bytes)
		if passage.Full {
			l.lose(LinkQueueFull, link, packets, bytes)
			return len(b), nil
		}
		at = passage.Leaves
		if at <= l.now && !passage.Twice {
			continue
		}
		p := l.r.line.take(b)
		if p == nil {
			l.lose(LinkQueueFull, link, packets, bytes)
			return len(b), nil
		}
		p.to, p.handle, p.in, p.version, p.rest = l.to, l.place.Handle(), link.state, passage.Version, l.links[i+1:]
		p.packets, p.bytes, p.event = packets, bytes, w.event(false)
		if l.r.line.owner.worker != l.r {
			p.event.last() // its way is another worker's
		}
		if passage.Twice {
			l.r.double(p, at)
		}
		l.r.line.push(l.r, at, p)
		return len(b), nil
	}
	return l.to.Write(b)
}

// lose notes a loss; those of one super-packet by one link are one.
func (l *lane) lose(reason Reason, link *Link, packets, bytes int) {
	l.lost++
	n := Traffic{uint64(packets), uint64(bytes)}
	for i := range l.losses {
		if o := &l.losses[i]; o.reason == reason && o.link == link {
			o.add(n)
			return
		}
	}
	l.losses = append(l.losses, loss{reason, link, n})
}

// amend tells of packets of a super-packet that were lost, when the others have been
// reported as delivered.
func (r *worker) amend() {
	e := r.w.event(false)
	for i := range r.lane.losses {
		l := &r.lane.losses[i]
		r.revoke(e, l.reason, StageLink, l.link.Ref, Rule{Link: l.link}, l.Traffic)
	}
	r.lane.losses = r.lane.losses[:0]
}
