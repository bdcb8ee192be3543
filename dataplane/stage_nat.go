package dataplane

import (
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/nat"
)

// Sizes of a NAT gateway, in bytes (NA-14).
const (
	natMTU = 8500
	natMSS = natMTU - 40
)

// natGateway translates a packet that has entered the subnet of a NAT gateway and
// reached its ENI, then sends it on into that subnet, whose ACL it meets again on its
// way out (NA-09). A packet for one of the gateway's own addresses is inbound.
func (w *walk) natGateway(gw *NATGateway) {
	w.metNAT = true
	w.groups = nil // SG-09
	if gw.Failure != nil {
		w.failed(gw.Failure)
		return
	}
	var ok bool
	if gw.ENI.owns(w.hdr.Dst) {
		ok = w.natInbound(gw)
	} else {
		ok = w.natOutbound(gw)
	}
	if !ok {
		return
	}
	packet.ClampMSS(&w.hdr, natMSS)
	w.pass(StageNAT, gw.Ref, Rule{})
	w.subnet, w.last = gw.ENI.Subnet, gw.ENI
	w.next = hopSubnet
}

// natOutbound translates the source of a packet from inside.
func (w *walk) natOutbound(gw *NATGateway) bool {
	for _, met := range w.nats[:w.nNATs] {
		if met == gw {
			return w.end(StageNAT, ForwardingLoop, gw.Ref, Rule{})
		}
	}
	w.nats[w.nNATs] = gw
	w.nNATs++
	if !gw.ENI.Subnet.VPC.has(w.hdr.Src) {
		return w.end(StageNAT, NATSourceOutsideVPC, gw.Ref, Rule{})
	}
	if !w.natCarries(gw, gw.ENI.Addrs[0]) {
		return false
	}
	if w.hdr.IsICMPError() {
		return w.natOutboundError(gw)
	}
	m, ok := w.mappingOut(gw, w.hdr.Tuple)
	if !ok {
		if m, ok = w.natOpen(gw); !ok {
			return false
		}
	}
	w.maps(gw, m, false)
	w.hdr.SetSrc(m.Outside)
	w.hdr.SetSrcPort(m.OutsidePort)
	return true
}

// mappingOut finds the mapping of a connection by its inside tuple, mappingIn by that
// of a packet for the gateway.
func (w *walk) mappingOut(gw *NATGateway, t packet.Tuple) (nat.Mapping, bool) {
	if w.assumed != nil {
		if m, ok := w.assumed.out(gw.Handle, t, w.now); ok || w.assumed.fresh {
			return m, ok
		}
	}
	return w.cfg.NAT.Outbound(&gw.Gateway, t, w.now)
}

func (w *walk) mappingIn(gw *NATGateway, t packet.Tuple) (nat.Mapping, bool) {
	if w.assumed != nil {
		if m, ok := w.assumed.in(gw.Handle, t, w.now); ok || w.assumed.fresh {
			return m, ok
		}
	}
	return w.cfg.NAT.Inbound(gw.Handle, t, w.now)
}

// natOpen proposes a port for a new connection. TCP that does not open one has lost
// its mapping to the idle timeout, and is reset (NA-07).
func (w *walk) natOpen(gw *NATGateway) (nat.Mapping, bool) {
	h := &w.hdr
	if h.IsTCP() && h.TCPFlags&(packet.FlagSYN|packet.FlagACK|packet.FlagRST|packet.FlagFIN) != packet.FlagSYN {
		w.answer = answer{kind: answerReset}
		return nat.Mapping{}, w.end(StageNAT, NATIdleTimeout, gw.Ref, Rule{})
	}
	if h.IsICMP() && (!h.IsICMPQuery() || h.DstPort != 0) {
		return nat.Mapping{}, w.end(StageNAT, NATNoMapping, gw.Ref, Rule{})
	}
	propose := w.cfg.NAT.Propose
	if w.assumed != nil {
		propose = w.cfg.NAT.Imagine
	}
	m, refusal := propose(&gw.Gateway, h.Tuple, w.now)
	switch refusal {
	case nat.RefusedNone:
		return m, true
	case nat.RefusedProtocol:
		return m, w.end(StageNAT, NATProtocol, gw.Ref, Rule{})
	case nat.RefusedExhausted:
		return m, w.end(StageNAT, NATPortsExhausted, gw.Ref, Rule{})
	}
	return m, w.end(StageNAT, NATTableFull, gw.Ref, Rule{})
}

// natOutboundError translates an ICMP error that an inside host sends about a packet
// that came to it through the gateway: the source, and the quoted destination.
func (w *walk) natOutboundError(gw *NATGateway) bool {
	h := &w.hdr
	if h.HasInner && h.InnerPorts {
		if m, ok := w.mappingOut(gw, h.Inner.Reverse()); ok {
			h.SetSrc(m.Outside)
			h.SetInnerDst(m.Outside)
			h.SetInnerDstPort(m.OutsidePort)
			return true
		}
	}
	return w.end(StageNAT, NATNoMapping, gw.Ref, Rule{})
}

// natInbound translates the destination of a packet that answers one from inside. The
// gateway itself answers nothing (NA-10).
func (w *walk) natInbound(gw *NATGateway) bool {
	if !w.natCarries(gw, w.sent.Dst) {
		return false
	}
	if w.hdr.IsICMPError() {
		return w.natInboundError(gw)
	}
	m, ok := w.mappingIn(gw, w.hdr.Tuple)
	if !ok {
		return w.end(StageNAT, NATNoMapping, gw.Ref, Rule{})
	}
	w.maps(gw, m, true)
	w.hdr.SetDst(m.Inside)
	w.hdr.SetDstPort(m.InsidePort)
	return true
}

// natInboundError translates an ICMP error about a packet that the gateway sent: the
// destination, and the quoted source.
func (w *walk) natInboundError(gw *NATGateway) bool {
	h := &w.hdr
	if h.HasInner && h.InnerPorts {
		if m, ok := w.mappingIn(gw, h.Inner.Reverse()); ok {
			h.SetDst(m.Inside)
			h.SetInnerSrc(m.Inside)
			h.SetInnerSrcPort(m.InsidePort)
			return true
		}
	}
	return w.end(StageNAT, NATNoMapping, gw.Ref, Rule{})
}

// natCarries checks what a NAT gateway checks in both directions: protocol (NA-03),
// fragments (NA-08), hop count (NA-13) and size (NA-14). Its ICMP comes from the given
// address: its own private one towards the inside, the one that the sender knows it
// by towards the outside.
func (w *walk) natCarries(gw *NATGateway, from packet.Addr) bool {
	h := &w.hdr
	switch {
	case !h.IsTCP() && !h.IsUDP() && !h.IsICMP():
		return w.end(StageNAT, NATProtocol, gw.Ref, Rule{})
	case h.IsFragment() && !h.IsUDP():
		return w.end(StageNAT, NATFragment, gw.Ref, Rule{})
	case h.TTL <= 1:
		w.answer = answer{kind: answerTimeExceeded, from: from}
		return w.end(StageNAT, TTLExpired, gw.Ref, Rule{})
	}
	if !w.fits(StageNAT, natMTU, from, gw.Ref) {
		return false
	}
	h.SetTTL(h.TTL - 1)
	return true
}

// maps notes that the walk uses a mapping, new or not.
func (w *walk) maps(gw *NATGateway, m nat.Mapping, inbound bool) {
	w.mapped[w.nMapped] = mapping{gw: gw, m: m, flags: w.tcpFlags(), inbound: inbound}
	w.nMapped++
}
