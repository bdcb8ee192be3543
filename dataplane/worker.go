package dataplane

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/vpcemu/vpcemu/internal/packet"
)

const (
	// ipRoom is where an IP packet lies in a worker's buffers: behind room for the
	// longest that a port wants before it.
	ipRoom     = packet.VnetLen + etherLen
	bufferSize = ipRoom + 65535
	maxTries   = 4    // walks of one packet when other workers take its NAT port
	maxEmpty   = 1024 // reads in a row that give nothing, before a port counts as down
)

// How often the network answers into one ingress.
const (
	answerEvery = int64(10 * time.Millisecond) // 100 a second
	answerBurst = 100
)

// A worker moves the packets of its sources, one after the other. It owns all the
// scratch space that walks need and a flow cache; nothing in it is shared but the
// counters and the snapshot in use.
type worker struct {
	e *Engine
	// buf holds the packet under way, with the IP header at ipRoom.
	buf []byte
	// scratch is for what the network itself says, and segments; piece for fragments.
	scratch, piece []byte
	w              walk
	src            *source // whose packet is under way
	now            int64
	burst          bool // the packet is not the first that waited at its port

	snap  *Snapshot // of the batch under way
	gen   uint32    // a number for snap, for what is derived from it
	flows flows
	tree  *wayTree
	ways  atomic.Pointer[wayTree] // the same, for others to read
	known
	joiner joiner
	line   *line // for packets that wait in links
	lane   lane

	meter flowMeter
	// record is the meter's of the packet under way, made the flow that was remembered of
	// it; nil for none.
	record *Flow
	made   *flow
	tapping

	// emit writes the piece that Segment or Fragment gives: made once, as a closure
	// would allocate.
	emitSegment, emitFragment, emitFirst func([]byte)
	emit                                 emission

	tally counters
	using atomic.Pointer[Snapshot]
	done  chan struct{}
}

// emission is where pieces of the packet under way go.
type emission struct {
	to   Port
	feat Features
	macs [2][6]byte
	mtu  int
	err  error
	n    int // of the first piece, for an answer that quotes it
}

func newWorker(e *Engine) *worker {
	r := &worker{e: e, done: make(chan struct{})}
	r.tree = newWayTree(&r.tally.mu)
	if len(e.pollers) > 0 {
		r.line = e.pollers[0].line // that of one that polls, which has its own soon
	}
	for _, b := range []*[]byte{&r.buf, &r.scratch, &r.piece} {
		*b = make([]byte, bufferSize)
	}
	r.w.cfg, r.w.tally = &e.cfg, &r.tally
	r.emitSegment, r.emitFragment, r.emitFirst = r.writeSegment, r.writeFragment, r.keepFirst
	r.flows.init(e.cfg.FlowEntries)
	return r
}

// start is where a read of a port with these features begins, so that the IP header
// comes to lie at ipRoom.
func (f Features) start() int {
	at := ipRoom
	if f.Ethernet {
		at -= etherLen
	}
	if f.Header {
		at -= packet.VnetLen
	}
	return at
}

// serve reads a port that has no descriptor until it fails or is closed.
func (r *worker) serve(s *source) {
	defer func() {
		r.flows.release()
		close(r.done)
	}()
	at := s.features.start()
	for {
		n, err := s.port.Read(r.buf[at:])
		if err = s.check(n, err); err != nil {
			r.e.sourceEnded(s, err)
			return
		}
		if n > 0 {
			r.enter()
			r.burst = false
			r.receive(s, n)
			r.leave()
		}
	}
}

// check makes an error of reads that give nothing for ever.
func (s *source) check(n int, err error) error {
	if n > 0 || err != nil {
		s.empty = 0
		return err
	}
	if s.empty++; s.empty > maxEmpty {
		return io.ErrNoProgress
	}
	return nil
}

// enter takes the current snapshot into use for a batch, so that Swap can see it.
func (r *worker) enter() {
	for {
		s := r.e.snap.Load()
		r.using.Store(s)
		if r.e.snap.Load() == s {
			if s != r.snap || r.tree.nodes > maxWays {
				r.snap = s
				r.gen++
				r.forget()
			}
			r.now = r.e.cfg.Now()
			r.meterBegin()
			return
		}
	}
}

// leave ends a batch: what has been held back goes out.
func (r *worker) leave() {
	r.flush()
	r.publish()
	r.meterEnd()
	if r.taps != nil {
		r.taps = nil // a tap that is closed is not kept by a worker that sleeps
	}
	r.using.Store(nil)
}

// publish makes what has been counted known to others.
func (r *worker) publish() {
	r.tally.mu.Lock()
	r.tally.publish()
	r.tree.publish()
	r.tally.mu.Unlock()
}

// receive moves the packet or frame of n bytes that was read into buf.
func (r *worker) receive(s *source, n int) {
	o := r.ownerOf(s)
	if !o.named {
		return // no longer named: about to be closed
	}
	r.src, r.may, r.record, r.made, r.hasSent, r.answered = s, false, nil, nil, false, nil
	w := &r.w
	r.taps = r.e.taps.Load() // for each packet: a tap takes all that come after it was made
	w.detailed = r.meter.on || r.taps != nil && r.taps.detail
	b := r.buf[s.features.start():][:n]
	w.begin(r.snap, s, o.in, o.root, r.now)
	if s.features.Header {
		if n < packet.VnetLen {
			w.size = n
			w.end(StageParse, PacketMalformed, w.in.Ref(), Rule{})
			r.report(false)
			return
		}
		w.vnet, b = b[:packet.VnetLen], b[packet.VnetLen:]
	}
	w.size = len(b)
	if s.features.Ethernet {
		ip, n, ok := w.frame(b, r.scratch[packet.VnetLen:])
		if !ok {
			if n > 0 && !r.write(s.port, r.headed(s.features, r.scratch, packet.VnetLen, n)) {
				w.end(StageFrame, PortWriteFailed, w.in.Ref(), Rule{})
			}
			r.report(false)
			return
		}
		b = ip
	}
	w.buf = b
	parsed := w.parse()
	if parsed && r.fast() {
		return
	}
	r.walk(parsed)
}

// walk runs the walk of the packet, commits its effects and does what it decided.
func (r *worker) walk(parsed bool) {
	w := &r.w
	r.flush() // nothing of the flow may be overtaken
	if r.taps != nil {
		r.keepSent()
	}
	w.keep()
	for try := 1; ; try++ {
		if parsed {
			w.run()
		}
		again := w.commit()
		if !again {
			break
		}
		if try == maxTries {
			w.undeliver(NATPortsExhausted, w.mapped[0].gw.Ref)
			break
		}
		w.restore()
		w.reset()
	}
	w.learn()
	r.remember()
	if r.hasSent {
		r.keepFinal()
	}
	r.send()
	answered := w.answer.kind != answerNone && r.answer()
	r.report(answered)
	if len(r.lane.losses) > 0 {
		r.amend()
	}
}

// learn keeps for later what is only known at the end of a walk.
func (w *walk) learn() {
	if w.stage == StageParse {
		return
	}
	if w.hdr.MoreFragments && w.hdr.FragOffset == 0 {
		h := packet.Header{Tuple: w.sent, FragID: w.hdr.FragID, ICMPType: w.hdr.ICMPType, ICMPCode: w.hdr.ICMPCode}
		w.src.fragments.learn(&h, w.now)
	}
	if w.out.services != nil {
		w.src.services.add(w.now, w.gso.Segments)
	}
}

// send writes the packet to where the walk ended.
func (r *worker) send() {
	w := &r.w
	switch {
	case w.loser != nil && w.reason == LinkLoss:
		w.loser.state.Loses(w.gso.Segments, w.size) // for its counters
	case w.out.dhcp != nil:
		r.serveDHCP(w.out.dhcp)
	case w.out.services != nil:
		r.forward(w.out.services.Services, [2][6]byte{}, w.out.services.Ref)
	case w.out.host != nil:
		h := w.out.host
		r.forward(h.Port, w.macs(), h.Ref)
	case w.out.eni != nil:
		e := w.out.eni
		r.forward(e.Port, w.macs(), e.Ref)
	}
}

// macs are destination and source of the frame in which a TAP gets the packet.
func (w *walk) macs() [2][6]byte {
	if h := w.out.host; h != nil {
		return [2][6]byte{h.MAC, internetMAC}
	}
	e := w.out.eni
	src := e.Subnet.routerMAC
	if !w.crossed && w.last != nil {
		src = w.last.MAC // switched within the subnet
	}
	return [2][6]byte{e.MAC, src}
}

// forward writes the packet to a port: cut into what is on the wire where the port
// takes no super-packet, and that into fragments where an MTU on its way asks for them.
func (r *worker) forward(p Port, macs [2][6]byte, by Ref) {
	if len(r.w.links) > 0 {
		links, _ := r.chain(r.w.links)
		r.cross(p, p.Features(), macs, links, by)
	} else if !r.put(p, p.Features(), macs) {
		r.w.end(StageDeliver, PortWriteFailed, by, Rule{})
	}
}

// put is forward without the verdict.
func (r *worker) put(p Port, f Features, macs [2][6]byte) bool {
	w := &r.w
	h := &w.hdr
	small := w.mtu > 0 && w.wire > w.mtu
	if !small && (w.gso.GSO == packet.GSONone || f.takes(w.gso.GSO)) {
		return r.whole(p, f, macs)
	}
	r.emit = emission{to: p, feat: f, macs: macs, mtu: w.mtu}
	var err error
	switch {
	case w.gso.GSO != packet.GSONone:
		err = packet.Segment(r.scratch[ipRoom:], h, w.gso, r.emitSegment)
	default:
		h.CompleteChecksum()
		err = packet.Fragment(r.piece[ipRoom:], h.Data, w.mtu, r.emitFragment)
	}
	return err == nil && r.emit.err == nil
}

// takes tells whether a port takes super-packets of the kind uncut.
func (f Features) takes(g packet.GSO) bool {
	return f.Header && (f.UDP || g != packet.GSOUDP)
}

// whole writes the packet as it is.
func (r *worker) whole(p Port, f Features, macs [2][6]byte) bool {
	h := &r.w.hdr
	if !f.Header {
		h.CompleteChecksum()
	}
	// hdr.Data lies in buf at ipRoom.
	b := r.framed(f, r.buf, len(h.Data), macs)
	if f.Header {
		h.PutVnet(b, r.w.gso, f.linkLen())
	}
	return r.write(p, b)
}

func (f Features) linkLen() int {
	if f.Ethernet {
		return etherLen
	}
	return 0
}

func (r *worker) writeSegment(b []byte) {
	if r.emit.mtu == 0 || len(b) <= r.emit.mtu {
		r.writePiece(r.scratch, len(b))
		return
	}
	if err := packet.Fragment(r.piece[ipRoom:], b, r.emit.mtu, r.emitFragment); err != nil {
		r.emit.err = err
	}
}

func (r *worker) writeFragment(b []byte) { r.writePiece(r.piece, len(b)) }

// writePiece writes the n bytes of IP packet that lie in buf at ipRoom.
func (r *worker) writePiece(buf []byte, n int) {
	e := &r.emit
	if !r.write(e.to, r.framed(e.feat, buf, n, e.macs)) {
		e.err = io.ErrShortWrite
	}
}

// framed gives the n bytes of IP packet that lie in b at ipRoom the shape that the
// port wants, with a virtio-net header that says nothing.
func (r *worker) framed(f Features, b []byte, n int, macs [2][6]byte) []byte {
	at := ipRoom
	if f.Ethernet {
		at -= etherLen
		putEther(b[at:], macs[0], macs[1], etherTypeOf(b[ipRoom:]))
		n += etherLen
	}
	return r.headed(f, b, at, n)
}

// headed puts an empty virtio-net header before the n bytes at b[at:], if the port
// wants one; there is room for it.
func (r *worker) headed(f Features, b []byte, at, n int) []byte {
	if !f.Header {
		return b[at : at+n]
	}
	clear(b[at-packet.VnetLen : at])
	return b[at-packet.VnetLen : at+n]
}

func (r *worker) write(p Port, b []byte) bool {
	r.tally.count(countWrites, 1)
	_, err := p.Write(b)
	return err == nil
}

// answer builds what the network itself says about a packet, from the packet as its
// sender sent it, and puts it straight back into the ingress, past every filter (CT-09).
func (r *worker) answer() bool {
	w := &r.w
	if !r.src.answers.take(w.now) {
		return false
	}
	w.restore()
	var quote []byte
	if w.answer.kind != answerReset {
		quote = r.quotable()
	}
	b := w.answerInto(r.scratch[ipRoom:], quote)
	if len(b) == 0 {
		return false
	}
	f := r.src.features
	if !r.write(r.src.port, r.framed(f, r.scratch, len(b), [2][6]byte{w.in.mac(), w.in.gatewayMAC()})) {
		return false
	}
	r.answered = b
	return true
}

// answerInto builds the answer in b; quote is what an ICMP error quotes.
func (w *walk) answerInto(b, quote []byte) []byte {
	switch w.answer.kind {
	case answerTooBig:
		return packet.FragNeeded(b, w.answer.from, w.answer.mtu, quote)
	case answerTimeExceeded:
		return packet.TimeExceeded(b, w.answer.from, quote)
	case answerReset:
		return packet.TCPReset(b, &w.hdr)
	}
	return nil
}

// quotable is the packet as an ICMP error may quote it: what was on the wire, of a
// super-packet the first segment.
func (r *worker) quotable() []byte {
	w := &r.w
	if w.gso.GSO == packet.GSONone {
		w.hdr.CompleteChecksum()
		return w.hdr.Data
	}
	r.emit.n = 0
	if err := packet.Segment(r.scratch[ipRoom:], &w.hdr, w.gso, r.emitFirst); err != nil {
		return nil
	}
	return r.piece[:r.emit.n]
}

// keepFirst keeps of the first segment as much as any error quotes.
func (r *worker) keepFirst(b []byte) {
	if r.emit.n == 0 {
		r.emit.n = copy(r.piece, b)
	}
}

// report counts how the walk ended and tells who wants to know.
func (r *worker) report(answered bool) {
	w := &r.w
	switch {
	case w.way == nil:
		w.way = w.endWay()
	case w.way.reason != w.reason:
		w.way = w.way.instead(w.reason, w.stage, w.by, w.rule)
	}
	if !w.cfg.NoCounters {
		w.way.count(Traffic{w.packets(), uint64(w.size)})
		r.tally.ended(w.reason, w.packets(), w.size)
	}
	if w.reason.Dropped() {
		r.e.drops.add(w.event(answered))
	}
	r.e.subscribers.publish(w, answered)
	if r.meter.on && w.stage != StageFrame {
		r.measure(answered)
	}
	if r.taps != nil {
		r.hand()
	}
}
