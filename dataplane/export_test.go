package dataplane

// Walker gives tests the path of one port's packets without the goroutine and the
// channel around it: what reads, walks, commits and writes.
func (e *Engine) Walker(p Port) func(pkt []byte) {
	r := newReader(e, p)
	start := etherLen
	if p.Ethernet() {
		start = 0
	}
	return func(pkt []byte) {
		n := copy(r.buf[start:], pkt)
		r.handle(r.buf[start : start+n])
	}
}

// Overtaken walks a packet, lets between happen before its effects are committed, and
// finishes it as a reader would. It tells whether the commit asked for another walk.
func (e *Engine) Overtaken(p Port, pkt []byte, between func()) (again bool) {
	r := newReader(e, p)
	n := copy(r.buf[etherLen:], pkt)
	s := r.enter()
	defer r.using.Store(nil)
	r.w.begin(s, s.ports[p], r.buf[etherLen:etherLen+n], e.cfg.Now())
	r.w.run()
	between()
	again = r.w.commit()
	r.w.restore()
	r.w.reset()
	r.walk()
	return again
}
