package explain

import (
	"slices"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// Sender is what a probe needs of a dataplane.Tracer.
type Sender interface {
	Send(handle uint32, pkt []byte) dataplane.Traced
}

// Leg is a packet's way from one place to the next: to its end, or to a middlebox.
type Leg struct {
	From uint32 // handle of who sends it
	Sent []byte
	dataplane.Traced
	// Middlebox is the interface that has got a packet for somebody else.
	Middlebox *dataplane.ENI
}

// Exchange is a packet and its answer, each by its legs.
type Exchange struct {
	There, Back []Leg
	// Reason is how it ended: that of the drop, on whichever way it was, or of the good end
	// of the answer.
	Reason dataplane.Reason
	// Astray: the answer was delivered, but not to the sender, or not from the address
	// that the sender had written to.
	Astray bool
	// Unknown: the network does not know whoever was to send, as it has only just been made
	// or is gone. Nothing else is said then.
	Unknown bool
}

// Reachable tells whether the packet arrived and so did its answer.
func (x *Exchange) Reachable() bool { return !x.Reason.Dropped() && !x.Astray && !x.Unknown }

// ReasonName is how the exchange ended, as control.Trace.Reason has it.
func (x *Exchange) ReasonName() string {
	if x.Astray {
		return replyAstray
	}
	return x.Reason.Name()
}

// ReasonCode is the Reachability Analyzer's code of that, "" where it has none (RA-04).
func (x *Exchange) ReasonCode() string {
	if x.Astray {
		return ""
	}
	return x.Reason.Code()
}

// maxMiddleboxes bounds a packet's way: two of them may send it to each other.
const maxMiddleboxes = 8

// Probe sends a packet as the source would, in fragments if its interface's MTU is smaller,
// and then the answer to what arrives. TCP is answered by SYN+ACK or ACK, UDP by a short
// datagram, ICMP echo by its reply, anything else by the same with addresses reversed.
// What a service of the VPC takes needs no way back: its answers pass no filter (EX-01).
func Probe(s Sender, from Source, pkt []byte) *Exchange {
	x := &Exchange{There: follow(s, from.Handle, cut(pkt, from.MTU))}
	last := &x.There[len(x.There)-1]
	if x.Unknown = !last.Known; x.Unknown {
		return x
	}
	if x.Reason = last.Reason; x.Reason != dataplane.Delivered {
		return x
	}
	answer, ok := reply(last.Packet)
	if !ok {
		x.Astray = true
		return x
	}
	x.Back = follow(s, last.To.Handle(), [][]byte{answer})
	back := &x.Back[len(x.Back)-1]
	if x.Unknown = !back.Known; x.Unknown {
		return x
	}
	if x.Reason = back.Reason; x.Reason == dataplane.Delivered {
		var sent, got packet.Header
		ok := sent.Parse(pkt) == 0 && got.Parse(back.Packet) == 0
		x.Astray = !ok || back.To.Handle() != from.Handle || got.Tuple != sent.Tuple.Reverse()
	}
	return x
}

// cut makes fragments of a packet that is too long for an MTU; one that must not be
// fragmented stays whole.
func cut(pkt []byte, mtu int) [][]byte {
	if mtu == 0 || len(pkt) <= mtu {
		return [][]byte{pkt}
	}
	packet.SetIPID(pkt, fragmentID)
	var list [][]byte
	err := packet.Fragment(make([]byte, mtu), pkt, mtu, func(f []byte) { list = append(list, slices.Clone(f)) })
	if err != nil {
		return [][]byte{pkt}
	}
	return list
}

// fragmentID is the identification of fragments, as each needs one.
const fragmentID = 1

// follow sends a packet's fragments on until they have arrived or one is dropped: from
// each middlebox that gets them anew.
func follow(s Sender, handle uint32, pkts [][]byte) []Leg {
	legs := make([]Leg, 0, 1)
	for {
		leg, arrived := send(s, handle, pkts)
		eni := leg.To.ENI
		if leg.Reason != dataplane.Delivered || eni == nil || owns(eni, destination(leg.Packet)) {
			return append(legs, leg)
		}
		leg.Middlebox = eni
		legs = append(legs, leg)
		end := &legs[len(legs)-1]
		switch ttl := timeToLive(leg.Packet); {
		case len(legs) > maxMiddleboxes:
			end.Reason = dataplane.ForwardingLoop
			return legs
		case ttl <= 1:
			end.Reason = dataplane.TTLExpired
			return legs
		default:
			for _, p := range arrived {
				packet.SetTTL(p, ttl-1)
			}
		}
		handle, pkts = eni.Handle, arrived
	}
}

// send sends a packet's fragments. The leg is that of the first, which has the ports, or
// of the first that is dropped.
func send(s Sender, handle uint32, pkts [][]byte) (leg Leg, arrived [][]byte) {
	for i, p := range pkts {
		t := s.Send(handle, p)
		t.Packet, t.Answer = slices.Clone(t.Packet), slices.Clone(t.Answer) // a Tracer's are good until its next packet
		if i == 0 || t.Reason.Dropped() {
			leg = Leg{From: handle, Sent: p, Traced: t}
		}
		if t.Reason.Dropped() || !t.Known {
			break
		}
		arrived = append(arrived, t.Packet)
	}
	return leg, arrived
}

func owns(e *dataplane.ENI, a packet.Addr) bool { return slices.Contains(e.Addrs, a) }

func destination(pkt []byte) packet.Addr {
	var h packet.Header
	h.Parse(pkt)
	return h.Dst
}

func timeToLive(pkt []byte) uint8 {
	var h packet.Header
	h.Parse(pkt)
	return h.TTL
}

// reply is what answers a packet; false for one that nothing does.
func reply(pkt []byte) ([]byte, bool) {
	var h packet.Header
	if h.Parse(pkt) != 0 {
		return nil, false
	}
	t := h.Tuple.Reverse()
	switch {
	case h.IsTCP():
		return packet.BuildTCP(nil, t, h.TCPFlags&packet.FlagSYN|packet.FlagACK, 1, 1, nil), true
	case h.IsUDP():
		return packet.BuildUDP(nil, t, defaultTTL, nil), true
	case h.IsICMP() && h.IsICMPQuery():
		return packet.BuildICMPEcho(nil, t.Src, t.Dst, true, h.SrcPort, 1, h.Payload()), true
	}
	return buildOther(t, len(pkt)-headerLen), true
}
