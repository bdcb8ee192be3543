package dataplane

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/vpcemu/vpcemu/internal/packet"
)

const (
	bufferSize  = etherLen + 65535
	scratchSize = etherLen + 9216 // answers, fragments; larger than any MTU on the way
	maxTries    = 4               // walks of one packet when other readers take its NAT port
	maxEmpty    = 1024            // reads in a row that give nothing, before a port counts as down
)

// A reader moves the packets of one port. It owns all the scratch space that their
// walks need; nothing in it is shared but the counters and the snapshot in use.
type reader struct {
	e    *Engine
	port Port
	// buf has room for an Ethernet header before the IP packet, whatever the port.
	buf     []byte
	scratch []byte
	w       walk

	fragments fragmentTable
	resolver  window
	answers   bucket
	// write the packet that Fragment emits: made once, as a closure would allocate.
	emit     func([]byte)
	emitTo   Port
	emitMACs [2][6]byte
	emitErr  error

	counters [numReasons]atomic.Uint64
	using    atomic.Pointer[Snapshot]
	closing  atomic.Bool
	done     chan struct{}
}

func newReader(e *Engine, p Port) *reader {
	r := &reader{e: e, port: p, done: make(chan struct{})}
	r.buf = make([]byte, bufferSize)
	r.scratch = make([]byte, scratchSize)
	r.w.cfg, r.w.fragments, r.w.resolver = &e.cfg, &r.fragments, &r.resolver
	r.emit = r.emitFragment
	return r
}

// loop reads until the port fails or is closed.
func (r *reader) loop() {
	defer close(r.done)
	start := etherLen
	if r.port.Ethernet() {
		start = 0
	}
	for empty := 0; ; {
		n, err := r.port.Read(r.buf[start:])
		if n == 0 && err == nil {
			if empty++; empty > maxEmpty {
				err = io.ErrNoProgress
			}
		}
		if err != nil {
			r.e.readerEnded(r, err)
			return
		}
		if n > 0 {
			empty = 0
			r.handle(r.buf[start : start+n])
		}
	}
}

// handle walks one packet or frame under the snapshot of the moment.
func (r *reader) handle(b []byte) {
	s := r.enter()
	defer r.using.Store(nil)
	in, ok := s.ports[r.port]
	if !ok {
		return // no longer named: about to be closed
	}
	r.w.begin(s, in, b, r.e.cfg.Now())
	if r.port.Ethernet() {
		ip, n, ok := r.w.frame(b, r.scratch)
		if !ok {
			if n > 0 && !r.write(r.port, r.scratch[:n]) {
				r.w.end(StageFrame, PortWriteFailed, in.ref(), Rule{})
			}
			r.report(len(b), 0, false)
			return
		}
		r.w.buf = ip
	}
	r.walk()
}

// enter takes the current snapshot into use, so that Swap can see it.
func (r *reader) enter() *Snapshot {
	for {
		s := r.e.snap.Load()
		r.using.Store(s)
		if r.e.snap.Load() == s {
			return s
		}
	}
}

// walk runs the walk of the packet, commits its effects and does what it decided.
func (r *reader) walk() {
	w := &r.w
	size := len(w.buf)
	for try := 1; ; try++ {
		w.run()
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
	to := r.send()
	answered := w.answer.kind != answerNone && r.answer()
	r.report(size, to, answered)
}

// learn keeps for later what is only known at the end of a walk.
func (w *walk) learn() {
	if w.stage == StageParse {
		return
	}
	if w.hdr.MoreFragments && w.hdr.FragOffset == 0 {
		h := packet.Header{Tuple: w.sent, FragID: w.hdr.FragID, ICMPType: w.hdr.ICMPType, ICMPCode: w.hdr.ICMPCode}
		w.fragments.learn(&h, w.now)
	}
	if w.reason == ToResolver {
		w.resolver.add(w.now)
	}
}

// send writes the packet to where the walk ended, and returns the handle of that port.
func (r *reader) send() uint32 {
	w := &r.w
	switch {
	case w.out.dhcp != nil:
		r.serveDHCP(w.out.dhcp)
	case w.out.services != nil:
		r.forward(w.out.services.Services, [2][6]byte{}, w.out.services.Ref)
	case w.out.host != nil:
		h := w.out.host
		r.forward(h.Port, [2][6]byte{h.MAC, internetMAC}, h.Ref)
		return h.Handle
	case w.out.eni != nil:
		e := w.out.eni
		src := e.Subnet.routerMAC
		if !w.crossed && w.last != nil {
			src = w.last.MAC // switched within the subnet
		}
		r.forward(e.Port, [2][6]byte{e.MAC, src}, e.Ref)
		return e.Handle
	}
	return 0
}

// forward writes the packet to a port, in fragments if an MTU on its way asks for them.
func (r *reader) forward(p Port, macs [2][6]byte, by Ref) {
	w := &r.w
	ok := true
	if w.mtu > 0 && len(w.hdr.Data) > w.mtu {
		r.emitTo, r.emitMACs, r.emitErr = p, macs, nil
		err := packet.Fragment(r.scratch[etherLen:], w.hdr.Data, w.mtu, r.emit)
		ok = err == nil && r.emitErr == nil
	} else {
		// hdr.Data lies in buf behind room for an Ethernet header.
		ok = r.write(p, r.framed(p, r.buf, len(w.hdr.Data), macs))
	}
	if !ok {
		w.end(StageDeliver, PortWriteFailed, by, Rule{})
	}
}

func (r *reader) emitFragment(b []byte) {
	// Fragment builds at the start of the buffer that it is given.
	if !r.write(r.emitTo, r.framed(r.emitTo, r.scratch, len(b), r.emitMACs)) {
		r.emitErr = io.ErrShortWrite
	}
}

// framed gives the n bytes of IP packet that lie in b behind etherLen bytes of room
// the shape that the port wants.
func (r *reader) framed(p Port, b []byte, n int, macs [2][6]byte) []byte {
	if !p.Ethernet() {
		return b[etherLen : etherLen+n]
	}
	putEther(b, macs[0], macs[1], etherTypeOf(b[etherLen:]))
	return b[:etherLen+n]
}

func (r *reader) write(p Port, b []byte) bool {
	_, err := p.Write(b)
	return err == nil
}

// answer builds what the network itself says about a packet, from the packet as its
// sender sent it, and puts it straight back into the ingress, past every filter (CT-09).
func (r *reader) answer() bool {
	w := &r.w
	if !r.answers.take(w.now) {
		return false
	}
	w.restore()
	var b []byte
	room := r.scratch[etherLen:]
	switch w.answer.kind {
	case answerTooBig:
		b = packet.FragNeeded(room, w.answer.from, w.answer.mtu, w.hdr.Data)
	case answerTimeExceeded:
		b = packet.TimeExceeded(room, w.answer.from, w.hdr.Data)
	case answerReset:
		b = packet.TCPReset(room, &w.hdr)
	}
	if len(b) == 0 {
		return false
	}
	return r.write(r.port, r.framed(r.port, r.scratch, len(b), [2][6]byte{w.in.mac(), w.in.gatewayMAC()}))
}

// A bucket limits the answers into one ingress (RFC 1812 4.3.2.8).
type bucket struct {
	tokens int64 // in nanoseconds of answerEvery
	last   int64
}

const (
	answerEvery = int64(10 * time.Millisecond) // 100 a second
	answerBurst = 100
)

func (b *bucket) take(now int64) bool {
	const full = answerEvery * answerBurst
	if b.last == 0 {
		b.tokens = full
	} else if now > b.last {
		b.tokens = min(full, b.tokens+now-b.last)
	}
	b.last = max(now, 1)
	if b.tokens < answerEvery {
		return false
	}
	b.tokens -= answerEvery
	return true
}

// report counts how the walk ended and tells who wants to know.
func (r *reader) report(size int, to uint32, answered bool) {
	w := &r.w
	r.counters[w.reason].Add(1)
	if w.reason.Dropped() {
		r.e.drops.add(w.event(size, to, answered))
	}
	r.e.subscribers.publish(w, size, to, answered)
}
