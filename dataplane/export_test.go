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
