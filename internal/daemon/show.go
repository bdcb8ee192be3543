package daemon

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/reasons"
	"github.com/vpcemu/vpcemu/internal/slab"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// A wallClock turns readings of the packet path's clock into the time of day, as the
// two stood to one another when it was made.
type wallClock struct {
	now  time.Time
	boot int64
}

func newWallClock() wallClock { return wallClock{time.Now(), slab.Boottime()} }

func (c wallClock) of(at int64) time.Time { return c.now.Add(time.Duration(at - c.boot)).UTC() }

// A shower says in words and names what became of packets: for drops and watches.
// It knows one model, and is used by one goroutine.
type shower struct {
	m *vpc.Model
	// made of m when the first packet wants them
	parties map[uint32]party
	private map[inVPC]uint32
	public  map[netip.Addr]uint32
	views   map[*dataplane.Way]*wayView
}

// A party is who can send or receive: a network interface or Internet host.
type party struct {
	control.Named
	vpc vpc.VpcID // "" for a host
}

type inVPC struct {
	vpc  vpc.VpcID
	addr netip.Addr
}

func newShower(m *vpc.Model) *shower { return &shower{m: m} }

// index lists who has which handle and address.
func (s *shower) index() {
	if s.parties != nil {
		return
	}
	s.parties, s.private, s.public = map[uint32]party{}, map[inVPC]uint32{}, map[netip.Addr]uint32{}
	for id, n := range s.m.NetworkInterfaces.All() {
		s.parties[n.Handle] = party{control.Named{ID: string(id), Name: interfaceName(s.m, n)}, n.VpcID}
		for _, p := range n.PrivateIps {
			s.private[inVPC{n.VpcID, p.PrivateIp}] = n.Handle
			if a := s.m.PublicAddressOf(n, p); a.IsValid() {
				s.public[a] = n.Handle
			}
		}
	}
	for _, g := range s.m.NatGateways.All() {
		if n := s.m.NetworkInterfaces.Get(g.NetworkInterfaceID); n != nil && n.Name() == "" {
			s.parties[n.Handle] = party{control.Named{ID: string(n.ID), Name: g.Name()}, n.VpcID}
		}
	}
	for id, h := range s.m.Hosts() {
		s.parties[h.Handle] = party{control.Named{ID: string(id), Name: h.HostName}, ""}
		s.public[h.PublicIp] = h.Handle
	}
	if o := &s.m.Outside; o.Linked() { // also where nothing but the uplink leads to the machine
		s.parties[o.Handle] = party{control.Named{ID: vpc.HostName, Name: vpc.HostName}, ""}
	}
}

// interfaceName is the interface's own name or that of the instance it belongs to.
func interfaceName(m *vpc.Model, n *vpc.NetworkInterface) string {
	if n.Name() != "" || n.Attachment == nil {
		return n.Name()
	}
	i := m.Instances.Get(n.Attachment.InstanceID)
	switch {
	case i == nil || i.Name() == "":
		return ""
	case n.Attachment.DeviceIndex == 0:
		return i.Name()
	}
	return i.Name() + " eth" + strconv.Itoa(n.Attachment.DeviceIndex)
}

// target is the handle of who has the address that a packet was meant for, when it did
// not arrive: as the packet was when it ended, a private one in the sender's VPC or, as
// the packet had come in by a public one, in that address's.
func (s *shower) target(from uint32, sent, ended packet.Tuple) uint32 {
	s.index()
	dst := ended.Dst.Netip()
	if h, ok := s.public[dst]; ok {
		return h
	}
	in := s.parties[from].vpc
	if in == "" || ended.Dst != sent.Dst {
		if h, ok := s.public[sent.Dst.Netip()]; ok {
			in = s.parties[h].vpc
		}
	}
	return s.private[inVPC{in, dst}]
}

func (s *shower) named(handle uint32) *control.Named {
	s.index()
	if p, ok := s.parties[handle]; ok {
		return &p.Named
	}
	return nil
}

// A passed is packets that met the same decisions and have the same addresses and
// ports: one packet, or a flow in an interval.
type passed struct {
	way                       *dataplane.Way
	sent, ended               packet.Tuple
	icmpType, icmpCode, flags uint8
	packets, bytes            uint64
	first, last               int64 // of CLOCK_BOOTTIME
	answered                  bool
}

func passedOf(e *dataplane.Event) passed {
	return passed{way: e.Way, sent: e.Sent, ended: e.Tuple, icmpType: e.ICMPType, icmpCode: e.ICMPCode, flags: e.Flags,
		packets: uint64(e.Packets), bytes: uint64(e.Size), first: e.At, last: e.At, answered: e.Answered}
}

func passedIn(f *dataplane.Flow) passed {
	return passed{way: f.Way, sent: f.Sent, ended: f.Tuple, icmpType: f.ICMPType, icmpCode: f.ICMPCode, flags: f.Flags,
		packets: f.Packets, bytes: f.Bytes, first: f.First, last: f.Last, answered: f.Answered}
}

// A wayView is what there is to say of a way, whatever the packet.
type wayView struct {
	control.Seen // From, Via, To, By, Rule, Stage and the verdict
	from, to     uint32
	reason       dataplane.Reason
	steps        []dataplane.Step
}

// maxViews bounds how many ways a shower remembers.
const maxViews = 4096

// view describes a way, once.
func (s *shower) view(w *dataplane.Way) *wayView {
	if v := s.views[w]; v != nil {
		return v
	}
	if len(s.views) >= maxViews || s.views == nil {
		s.views = map[*dataplane.Way]*wayView{}
	}
	last := w.Last()
	v := &wayView{from: w.From().Handle(), to: w.To().Handle(), reason: w.Reason(), steps: w.Steps()}
	v.Seen = control.Seen{From: s.place(w.From()), To: s.place(w.To()), Via: gateways(v.steps), Stage: last.Stage.String()}
	v.Verdict, v.Reason, v.Text = reasons.Verdict(v.reason), v.reason.Name(), v.reason.Text()
	if v.reason.Dropped() { // of a good end nothing in particular decided
		v.By, v.Rule = named(last.By), last.Rule.String()
	}
	s.views[w] = v
	return v
}

// place names an end of a way; a NAT gateway's interface by its gateway.
func (s *shower) place(p dataplane.Place) *control.Named {
	if p.ENI != nil && p.ENI.NAT != nil && p.ENI.Name == "" {
		return &control.Named{ID: p.ENI.ID, Name: p.ENI.NAT.Name}
	}
	return named(p.Ref())
}

// gateways are those that a packet passed, in order.
func gateways(steps []dataplane.Step) (via []control.Named) {
	for _, st := range steps {
		switch st.Stage {
		case dataplane.StageNAT, dataplane.StageIGWEgress, dataplane.StageIGWIngress:
			n := control.Named{ID: st.By.ID, Name: st.By.Name}
			if !st.End && (len(via) == 0 || via[len(via)-1] != n) {
				via = append(via, n)
			}
		}
	}
	return via
}

// destination is the handle of whom the packets were for: who got them or, of a drop,
// has their address.
func (s *shower) destination(v *wayView, p *passed) uint32 {
	if v.to != 0 || !v.reason.Dropped() {
		return v.to
	}
	return s.target(v.from, p.sent, p.ended)
}

// seen says what became of packets.
func (s *shower) seen(p *passed) *control.Seen {
	v := s.view(p.way)
	out := v.Seen
	if out.To == nil {
		out.To = s.named(s.destination(v, p))
	}
	out.Answered, out.Packets, out.Bytes = p.answered, p.packets, p.bytes
	describe(&out, p)
	return &out
}

// describe fills in the packet.
func describe(out *control.Seen, p *passed) {
	out.Sent = sentOf(p.sent)
	if p.ended != p.sent {
		translated := sentOf(p.ended)
		out.Translated = &translated
	}
	switch p.sent.Proto {
	case packet.ProtoTCP:
		out.TCPFlags = flagNames(p.flags)
	case packet.ProtoICMP, packet.ProtoICMPv6:
		out.ICMPType, out.ICMPCode = &p.icmpType, &p.icmpCode
	}
}

func named(r dataplane.Ref) *control.Named {
	if r == (dataplane.Ref{}) {
		return nil
	}
	return &control.Named{ID: r.ID, Name: r.Name}
}

func sentOf(t packet.Tuple) control.Sent {
	if t == (packet.Tuple{}) {
		return control.Sent{} // a frame that is not IP, or not well-formed
	}
	out := control.Sent{Protocol: protocolName(t.Proto), Source: t.Src.Netip(), Destination: t.Dst.Netip()}
	switch t.Proto {
	case packet.ProtoICMP, packet.ProtoICMPv6:
		out.ID = t.SrcPort | t.DstPort
	default:
		out.SourcePort, out.DestinationPort = t.SrcPort, t.DstPort
	}
	return out
}

func protocolName(p uint8) string {
	switch p {
	case packet.ProtoTCP:
		return "tcp"
	case packet.ProtoUDP:
		return "udp"
	case packet.ProtoICMP:
		return "icmp"
	case packet.ProtoICMPv6:
		return "icmpv6"
	}
	return strconv.Itoa(int(p))
}

func flagNames(f uint8) string {
	var names []string
	for _, x := range []struct {
		bit  uint8
		name string
	}{{packet.FlagSYN, "SYN"}, {packet.FlagFIN, "FIN"}, {packet.FlagRST, "RST"}, {packet.FlagPSH, "PSH"}, {packet.FlagACK, "ACK"}} {
		if f&x.bit != 0 {
			names = append(names, x.name)
		}
	}
	return strings.Join(names, "+")
}
