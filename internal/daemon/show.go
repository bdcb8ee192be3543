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

func (c wallClock) of(at int64) time.Time { return c.now.Add(time.Duration(at - c.boot)) }

// A shower says in words and names what became of packets: for drops and watches.
// It knows one model, and is used by one goroutine.
type shower struct {
	m *vpc.Model
	// made of m when the first packet wants them
	parties map[uint32]party
	private map[inVPC]uint32
	public  map[netip.Addr]uint32
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
	for id, h := range s.m.InternetHosts.All() {
		s.parties[h.Handle] = party{control.Named{ID: string(id), Name: h.HostName}, ""}
		s.public[h.PublicIp] = h.Handle
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

// event says what became of one packet.
func (s *shower) event(e *dataplane.Event) *control.Seen {
	to := e.To
	if to == 0 {
		to = s.target(e.Handle, e.Sent, e.Tuple)
	}
	out := &control.Seen{
		From: named(e.Ingress), To: s.named(to), By: named(e.By), Rule: e.Rule.String(), Stage: e.Stage.String(),
		Answered: e.Answered, Packets: uint64(e.Packets), Bytes: uint64(e.Size),
	}
	describe(out, e.Sent, e.Tuple, e.ICMPType, e.ICMPCode, e.Flags)
	judge(out, e.Reason)
	return out
}

// describe fills in the packet.
func describe(out *control.Seen, sent, ended packet.Tuple, icmpType, icmpCode, flags uint8) {
	out.Sent = sentOf(sent)
	if ended != sent {
		translated := sentOf(ended)
		out.Translated = &translated
	}
	switch sent.Proto {
	case packet.ProtoTCP:
		out.TCPFlags = flagNames(flags)
	case packet.ProtoICMP, packet.ProtoICMPv6:
		out.ICMPType, out.ICMPCode = &icmpType, &icmpCode
	}
}

// judge fills in the verdict. Of a good end nothing decided.
func judge(out *control.Seen, r dataplane.Reason) {
	out.Verdict, out.Reason, out.Text = reasons.Verdict(r), r.Name(), r.Text()
	if !r.Dropped() {
		out.By, out.Rule = nil, ""
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
