package capture

import (
	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// walked is a packet whose way is known, as a Builder needs it.
type walked struct {
	from, to    dataplane.Place
	reason      dataplane.Reason
	steps       []dataplane.Step
	translated  bool // the steps have tuples
	sent, final []byte
	length      int
	answer      []byte
	packets     int

	sentTuple, finalTuple packet.Tuple // zero where the packet is malformed
}

func walkedOf(t *dataplane.Taken) *walked {
	w := &walked{from: t.Way.From(), to: t.Way.To(), reason: t.Way.Reason(), steps: t.Steps, translated: t.Steps != nil,
		sent: t.Sent, final: t.Final, length: t.SentLen, answer: t.Answer, packets: t.Packets}
	if !w.translated {
		w.steps = t.Way.Steps()
	}
	w.finish()
	return w
}

func (w *walked) finish() {
	if w.final == nil {
		w.final = w.sent
	}
	w.sentTuple = tupleOf(w.sent, w.length)
	w.finalTuple = w.sentTuple
	if n := len(w.steps); w.translated && n > 0 {
		// Fragments have their ports in the steps only.
		w.sentTuple, w.finalTuple = w.steps[0].Tuple, w.steps[n-1].Tuple
	} else {
		w.finalTuple = tupleOf(w.final, w.length)
	}
}

// before is the packet's tuple before a step, by index; after the last, for len(steps).
func (w *walked) before(step int) packet.Tuple {
	if step == 0 {
		return w.sentTuple
	}
	return w.steps[step-1].Tuple
}

// after is the packet as it was after so many steps. What came in and what came out of
// the walk is known; a form in between is made from the one that is on the same side of
// the NAT gateway, which is what changes more than addresses: ports, the quoted ports of
// an ICMP error, the MSS.
func (w *walked) after(steps int) []byte {
	switch {
	case steps == 0:
		return w.sent
	case steps >= len(w.steps) || !w.translated:
		return w.final
	}
	base, hops := w.sent, uint8(0)
	for _, s := range w.steps[:steps] {
		if isGateway(s) {
			hops++ // each takes one from the TTL (NA-13, TT-01)
		}
		if s.Stage == dataplane.StageNAT {
			base = w.final
		}
	}
	h, ok := decode(base, w.length)
	sentHeader, sentOK := decode(w.sent, w.length)
	if !ok || !sentOK {
		return base
	}
	h.SetTTL(sentHeader.TTL - hops)
	rewrite(&h, w.steps[steps-1].Tuple)
	return h.Data[:len(base)]
}

// rewrite gives a packet other addresses and ports, and keeps its checksums. In an ICMP
// error, the quoted packet's addresses go along.
func rewrite(h *packet.Header, t packet.Tuple) {
	if h.HasInner && h.Inner.Src == h.Dst {
		h.SetInnerSrc(t.Dst)
	}
	if h.HasInner && h.Inner.Dst == h.Src {
		h.SetInnerDst(t.Src)
	}
	h.SetSrc(t.Src)
	h.SetDst(t.Dst)
	h.SetSrcPort(t.SrcPort)
	h.SetDstPort(t.DstPort)
}

// decode parses a copy of a packet of which maybe only the start was kept: what is
// missing does not matter to setters, as they change checksums by differences.
func decode(b []byte, length int) (h packet.Header, ok bool) {
	whole := make([]byte, max(length, len(b)))
	copy(whole, b)
	ok = h.Parse(whole) == 0
	return h, ok && len(h.Data) >= len(b)
}

func tupleOf(b []byte, length int) packet.Tuple {
	h, _ := decode(b, length)
	return h.Tuple
}
