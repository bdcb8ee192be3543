package explain

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/endpoint"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// ErrChanging: the network does not know one of the two that are to send.
var ErrChanging = errors.New("the network does not know them yet, or any more: it is changing; trace again")

// sourcePortTries is how many ephemeral ports are tried for one that no tracked
// connection has.
const sourcePortTries = 64

// Trace sends the packet that is asked for, and its answer, and tells their way. m and
// the snapshot that t looks at are of one moment. An error is about the request: an end
// that does not exist or sends nothing, a packet that cannot be.
func Trace(m *vpc.Model, t Tracer, req control.TraceRequest) (*control.Trace, error) {
	proto, err := check(&req)
	if err != nil {
		return nil, err
	}
	from, err := endpoint.Find(m, req.From)
	if err != nil {
		return nil, err
	}
	to, err := endpoint.FindFor(m, from, req.To)
	if err != nil {
		return nil, err
	}
	src, dst, err := addresses(m, t, from, to)
	if err != nil {
		return nil, err
	}
	x := exchange(t, &req, proto, src, dst)
	if x.Unknown {
		return nil, fmt.Errorf("%s to %s: %w", from.Name, to.Name, ErrChanging)
	}
	w := &words{m: m}
	b := builder{words: w, from: from, to: to, proto: proto, x: x}
	return b.trace(&req, src.Addr, dst), nil
}

// addresses finds where the packet starts and what it is sent to.
func addresses(m *vpc.Model, t Tracer, from, to endpoint.End) (src Source, dst netip.Addr, err error) {
	if src, err = SourceOf(m, t, from); err != nil {
		return src, dst, err
	}
	if dst, err = endpoint.Address(m, from, to); err != nil {
		return src, dst, err
	}
	switch {
	case !src.Addr.Is4() || !dst.Is4():
		return src, dst, fmt.Errorf("%s to %s: interfaces have IPv4 addresses only, so no other packets can be traced", src.Addr, dst)
	case src.Addr == dst || local(m, from, dst) || dst.IsLoopback() || dst.IsUnspecified(): // RFC 1122 section 3.2.1.3
		return src, dst, fmt.Errorf("%s is an address of %s itself: such a packet never leaves it", dst, from.Name)
	}
	if to.Kind == endpoint.KindInternet {
		t.Outside(packet.AddrFrom(dst))
	}
	return src, dst, nil
}

// exchange probes with the source port asked for, or with one that no connection has: a
// packet of one that is tracked would pass where a new one does not (CT-01).
func exchange(t Sender, req *control.TraceRequest, proto uint8, src Source, dst netip.Addr) *Exchange {
	if req.SourcePort != 0 {
		return Probe(t, src, build(req, proto, src.Addr, dst, uint16(req.SourcePort)))
	}
	for port := uint16(SourcePort); ; port++ {
		x := Probe(t, src, build(req, proto, src.Addr, dst, port))
		if !meetsTracked(&x.There[0]) || port == SourcePort+sourcePortTries {
			return x
		}
	}
}

func meetsTracked(l *Leg) bool {
	for i := range l.Steps {
		if l.Steps[i].Rule.Tracked {
			return true
		}
	}
	return false
}

// A builder makes a control.Trace of an exchange.
type builder struct {
	*words
	from, to endpoint.End
	proto    uint8
	x        *Exchange
}

func (b *builder) trace(req *control.TraceRequest, src, dst netip.Addr) *control.Trace {
	tr := &control.Trace{
		From: b.end(b.from), To: b.end(b.to), Protocol: protocolName(b.proto), Port: req.Port,
		Source: src.String(), Destination: dst.String(), Reachable: b.x.Reachable(),
		Forward: b.path(b.x.There),
	}
	last := tr.Forward
	if end := &b.x.There[len(b.x.There)-1]; !end.Reason.Dropped() {
		tr.SeenAs = source(end.Packet).String()
	}
	tr.Via = via(tr.Forward)
	switch {
	case b.x.Back != nil:
		tr.Return = b.path(b.x.Back)
		last = tr.Return
	case b.x.Reachable(): // a service of the VPC
		tr.Return = b.fromService(&b.x.There[0])
	}
	tr.Reason, tr.Code, tr.Text = b.x.ReasonName(), b.x.ReasonCode(), b.x.Reason.Text()
	if b.x.Astray {
		tr.Text = astrayText
	}
	if !tr.Reachable {
		b.decided(tr, last)
		tr.Advice = b.advice()
	}
	return tr
}

// What a trace says when both ways are open but do not belong together.
const (
	replyAstray = "REPLY_ASTRAY"
	astrayText  = "the reply arrives elsewhere, or from another address than was asked, so the sender does not take it for one"
)

// decided names the object that dropped the packet.
func (b *builder) decided(tr *control.Trace, p *control.Path) {
	if len(p.Hops) == 0 {
		return
	}
	h := &p.Hops[len(p.Hops)-1]
	tr.Decided, tr.DecidedRule = &h.Object, h.Rule
}

// end is an end as an object.
func (b *builder) end(e endpoint.End) control.Object {
	o := control.Object{Kind: e.Kind, ID: e.ID, Name: e.Name}
	if o.Name == o.ID && e.ID != "" {
		o.Name = ""
	}
	return o
}

// path is a packet's way, over all its legs.
func (b *builder) path(legs []Leg) *control.Path {
	p := &control.Path{Packet: kindOf(legs[0].Sent)}
	for i := range legs {
		p.Hops = append(p.Hops, b.hops(&legs[i])...)
	}
	end := &legs[len(legs)-1]
	p.Delivered = !end.Reason.Dropped()
	p.Reason, p.Code, p.Text = end.Reason.Name(), end.Reason.Code(), end.Reason.Text()
	p.Answer = answerOf(end.Answer)
	return p
}

// hops are the stages of one leg.
func (b *builder) hops(l *Leg) []control.Hop {
	var h packet.Header
	h.Parse(l.Sent)
	before := h.Tuple
	list := make([]control.Hop, 0, len(l.Steps))
	for i := range l.Steps {
		s := &l.Steps[i]
		hop := control.Hop{Stage: s.Stage.String(), Object: b.object(s), Before: header(before), After: header(s.Tuple), Verdict: "pass"}
		hop.Rule, hop.RuleID = b.rule(s)
		if s.At != nil {
			at := b.eni(s.At)
			hop.At = &at
		}
		if s.End {
			end(&hop, l)
		}
		hop.Note = b.note(s, l)
		list = append(list, hop)
		before = s.Tuple
	}
	return list
}

// end says how the leg ended at its last hop.
func end(hop *control.Hop, l *Leg) {
	switch {
	case l.Middlebox != nil && !l.Reason.Dropped():
		// it goes on from here
	case l.Reason.Dropped():
		hop.Verdict, hop.Reason = "drop", l.Reason.Name()
	default:
		hop.Verdict = "deliver"
	}
}

// fromService is the answer of a service of the VPC.
func (b *builder) fromService(l *Leg) *control.Path {
	var h packet.Header
	h.Parse(l.Sent)
	back := header(h.Tuple.Reverse())
	return &control.Path{Packet: protocolName(h.Proto), Delivered: true, Reason: dataplane.Delivered.Name(), Text: dataplane.Delivered.Text(),
		Hops: []control.Hop{{Stage: dataplane.StageServices.String(), Object: b.end(b.from), Before: back, After: back,
			Verdict: "deliver", Note: "a service of the VPC answers straight to the interface: no filter sees it"}}}
}

// via lists the gateways and middleboxes that a packet passed.
func via(p *control.Path) (list []control.Object) {
	for i := range p.Hops {
		h := &p.Hops[i]
		if h.Verdict != "pass" {
			continue
		}
		switch h.Stage {
		case dataplane.StageNAT.String(), dataplane.StageIGWEgress.String(), dataplane.StageIGWIngress.String(), dataplane.StageDeliver.String():
			list = append(list, h.Object)
		}
	}
	return list
}

func source(pkt []byte) netip.Addr {
	var h packet.Header
	h.Parse(pkt)
	return h.Src.Netip()
}

// header is a tuple as users see it.
func header(t packet.Tuple) control.Header {
	h := control.Header{Source: t.Src.String(), Destination: t.Dst.String(), Protocol: protocolName(t.Proto)}
	if hasPorts(t.Proto) {
		h.Source = netip.AddrPortFrom(t.Src.Netip(), t.SrcPort).String()
		h.Destination = netip.AddrPortFrom(t.Dst.Netip(), t.DstPort).String()
	}
	return h
}

// kindOf says what a packet is.
func kindOf(pkt []byte) string {
	var h packet.Header
	h.Parse(pkt)
	name := protocolName(h.Proto)
	switch {
	case h.IsTCP() && h.TCPFlags == packet.FlagSYN:
		return name + " SYN"
	case h.IsTCP() && h.TCPFlags == packet.FlagSYN|packet.FlagACK:
		return name + " SYN+ACK"
	case h.IsTCP():
		return name + " ACK"
	case h.IsICMP() && h.ICMPType == packet.ICMPEcho:
		return name + " echo request"
	case h.IsICMP() && h.ICMPType == packet.ICMPEchoReply:
		return name + " echo reply"
	case hasPorts(h.Proto):
		return name
	}
	return "protocol " + name
}

// answerOf says what the network itself sends back.
func answerOf(b []byte) string {
	var h packet.Header
	if len(b) == 0 || h.Parse(b) != 0 {
		return ""
	}
	from := ", from " + h.Src.String()
	switch {
	case h.IsTCP():
		return "tcp RST" + from
	case h.ICMPType == packet.ICMPTimeExceeded:
		return "icmp time exceeded" + from
	case h.ICMPType == packet.ICMPUnreachable && h.ICMPCode == 4:
		return fmt.Sprintf("icmp fragmentation needed, MTU %d%s", int(b[h.L4+6])<<8|int(b[h.L4+7]), from)
	}
	return fmt.Sprintf("icmp type %d code %d%s", h.ICMPType, h.ICMPCode, from)
}
