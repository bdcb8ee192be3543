package dataplane

import (
	"time"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// A fragmentTable remembers the ports of first fragments for the later ones of the
// same datagram, so that all meet the same rules (AC-08: AWS documents nothing; we let
// the first decide and the others follow). It belongs to one ingress and is not
// shared. It holds a bounded number of datagrams; the oldest of a set gives way.
//
// Its memory comes with the first fragment: most ports never see one.
type fragmentTable struct {
	sets *[fragmentSets][fragmentWays]fragment
}

const (
	fragmentSets    = 32
	fragmentWays    = 4
	fragmentTimeout = int64(30 * time.Second) // as Linux reassembles (net.ipv4.ipfrag_time)
)

type fragment struct {
	src, dst           packet.Addr
	id                 uint32
	srcPort, dstPort   uint16
	proto              uint8
	icmpType, icmpCode uint8
	seen               int64 // when the first fragment came; 0: free
}

func (f *fragment) is(h *packet.Header) bool {
	return f.seen != 0 && f.id == h.FragID && f.proto == h.Proto && f.src == h.Src && f.dst == h.Dst
}

func (t *fragmentTable) set(h *packet.Header) *[fragmentWays]fragment {
	n := h.FragID ^ h.FragID>>16 ^ uint32(h.Proto)<<3
	n ^= uint32(h.Src[15]) ^ uint32(h.Dst[15])<<2 ^ uint32(h.Dst[14])
	return &t.sets[n%fragmentSets]
}

// find returns the datagram that h is a fragment of, or nil.
func (t *fragmentTable) find(h *packet.Header, now int64) *fragment {
	if t.sets == nil {
		return nil
	}
	set := t.set(h)
	for i := range set {
		if set[i].is(h) && now-set[i].seen < fragmentTimeout {
			return &set[i]
		}
	}
	return nil
}

// learn keeps what the first fragment h says.
func (t *fragmentTable) learn(h *packet.Header, now int64) {
	if t.sets == nil {
		t.sets = new([fragmentSets][fragmentWays]fragment)
	}
	set := t.set(h)
	oldest := &set[0]
	for i := range set {
		if set[i].is(h) {
			oldest = &set[i]
			break
		}
		if set[i].seen < oldest.seen {
			oldest = &set[i]
		}
	}
	*oldest = fragment{
		src: h.Src, dst: h.Dst, id: h.FragID, proto: h.Proto,
		srcPort: h.SrcPort, dstPort: h.DstPort, icmpType: h.ICMPType, icmpCode: h.ICMPCode,
		seen: max(now, 1),
	}
}

// knowPorts fills in the ports of a later fragment from the first one's, or drops it
// if that has not been seen. What a first fragment says is learned at the end of its
// walk (see walk.learn), whatever became of it: later ones meet the same rules.
func (w *walk) knowPorts() bool {
	h := &w.hdr
	if !h.NonFirstFragment() {
		return true
	}
	f := w.src.fragments.find(h, w.now)
	if f == nil {
		return w.end(StageFragments, FragmentWithoutFirst, w.in.Ref(), Rule{})
	}
	h.SrcPort, h.DstPort = f.srcPort, f.dstPort
	h.ICMPType, h.ICMPCode = f.icmpType, f.icmpCode
	w.sent = h.Tuple
	return w.pass(StageFragments, w.in.Ref(), Rule{})
}
