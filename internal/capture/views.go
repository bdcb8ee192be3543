package capture

import (
	"encoding/binary"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// course is what all packets of a way have in common.
type course struct {
	from, to  dataplane.Place
	reason    dataplane.Reason
	steps     []dataplane.Step
	sightings []sighting
	around    []string // the decisions next to each sighting
	verdict   string
	said      []remark // of each sighting, the latest
}

// remark is the comment on packets that are alike but for what they carry.
type remark struct {
	sent, final packet.Tuple
	packets     int
	translated  bool
	text        string
}

func courseOf(way *dataplane.Way) *course {
	c := &course{from: way.From(), to: way.To(), reason: way.Reason(), steps: way.Steps()}
	c.sightings = sightings(c.from, c.to, c.steps)
	for _, s := range c.sightings {
		c.around = append(c.around, decisions(nextTo(c.steps, s)))
	}
	c.verdict = c.tell()
	c.said = make([]remark, len(c.sightings))
	return c
}

// walked is a packet on its course.
type walked struct {
	*course
	steps      []dataplane.Step // those of the packet, with tuples if it is translated
	translated bool
	sent       []byte
	final      []byte
	length     int
	packets    int

	sentTuple, finalTuple packet.Tuple // zero where the packet is malformed
}

func (c *course) walked(t *dataplane.Taken) *walked {
	w := &walked{course: c, steps: c.steps, sent: t.Sent, final: t.Final, length: t.SentLen, packets: t.Packets}
	if len(t.Steps) == len(c.steps) {
		w.steps, w.translated = t.Steps, true
	}
	n := len(w.steps)
	switch {
	case w.translated && n > 0: // fragments have their ports in the steps only
		w.sentTuple, w.finalTuple = w.steps[0].Tuple, w.steps[n-1].Tuple
	default:
		w.sentTuple, w.finalTuple = t.SentTuple, t.FinalTuple
	}
	if w.final == nil {
		w.final = w.sent
	}
	return w
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

// wholeLength is the length in bytes of a well-formed IPv4 packet that may have been cut.
func wholeLength(b []byte) int {
	if len(b) >= 4 && b[0]>>4 == 4 {
		return max(len(b), int(binary.BigEndian.Uint16(b[2:])))
	}
	return len(b)
}
