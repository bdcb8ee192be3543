package porttest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// Output is a packet or super-packet that came out of a port.
type Output struct {
	Port   string
	Packet []byte // without link header, its checksum complete
	Frame  []byte // with the Ethernet header, on TAP ports
	// Offload is what the virtio-net header said, Partial whether the checksum was left
	// to the receiver; on ports with Offload.
	Offload packet.Offload
	Partial bool
}

// Result is all that a packet led to.
type Result struct {
	TB    testing.TB
	Event dataplane.Event
	Out   []Output
}

// Send puts a packet into the ENI's port, and returns what it led to once the engine
// has dealt with it. On a TAP port it is framed to the router, unless it is a frame.
func (e *ENI) Send(pkt []byte) *Result {
	l := e.Subnet.VPC.Lab
	l.TB.Helper()
	if e.Port.Frames {
		return l.send(e.Port, Frame(e.RouterMAC(), e.mac, 0x0800, pkt))
	}
	return l.send(e.Port, pkt)
}

// SendFrame puts a frame into a TAP port.
func (e *ENI) SendFrame(frame []byte) *Result {
	e.Subnet.VPC.Lab.TB.Helper()
	return e.Subnet.VPC.Lab.send(e.Port, frame)
}

// RouterMAC is the MAC of the router of the ENI's subnet.
func (e *ENI) RouterMAC() [6]byte {
	return e.Subnet.VPC.Lab.Snapshot.ENIs[e.Handle].Subnet.RouterMAC()
}

// Send puts a packet into the host's port.
func (h *Host) Send(pkt []byte) *Result {
	h.Lab.TB.Helper()
	return h.Lab.send(h.Port, pkt)
}

// SendRaw puts a packet or frame into a port as it is.
func (l *Lab) SendRaw(p *Port, b []byte) *Result {
	l.TB.Helper()
	return l.raw(p, b)
}

// SendServices puts a packet into the VPC's services port.
func (v *VPC) SendServices(pkt []byte) *Result {
	v.Lab.TB.Helper()
	return v.Lab.send(v.Services, pkt)
}

// Trace is the golden text of a packet's walk, sent by nobody.
func (e *ENI) Trace(pkt []byte) string {
	return dataplane.Text(e.Subnet.VPC.Lab.Engine.Trace(e.Handle, pkt))
}

// Trace is the golden text of a packet's walk, sent by nobody.
func (h *Host) Trace(pkt []byte) string { return dataplane.Text(h.Lab.Engine.Trace(h.Handle, pkt)) }

// SendSuper puts a super-packet into the ENI's port, which has Offload: segments of
// size payload bytes, its checksum left to whoever puts it on a wire.
func (e *ENI) SendSuper(pkt []byte, size uint16) *Result {
	l := e.Subnet.VPC.Lab
	l.TB.Helper()
	return l.SendRaw(e.Port, Super(pkt, size))
}

// SendSuper is the same for a host.
func (h *Host) SendSuper(pkt []byte, size uint16) *Result {
	h.Lab.TB.Helper()
	return h.Lab.SendRaw(h.Port, Super(pkt, size))
}

func (l *Lab) send(p *Port, pkt []byte) *Result {
	l.TB.Helper()
	if p.Offload {
		pkt = append(make([]byte, packet.VnetLen), pkt...)
	}
	return l.raw(p, pkt)
}

func (l *Lab) raw(p *Port, pkt []byte) *Result {
	l.TB.Helper()
	l.collect()
	if err := p.Send(append([]byte(nil), pkt...)); err != nil {
		l.TB.Fatal(err)
	}
	r := &Result{TB: l.TB, Out: l.collect()}
	select {
	case r.Event = <-l.events.C:
	default:
		l.TB.Fatal("porttest: the packet led to no event")
	}
	return r
}

// collect empties all ports.
func (l *Lab) collect() (out []Output) {
	take := func(p *Port) {
		if p == nil {
			return
		}
		for _, b := range p.Received() {
			out = append(out, l.output(p, b))
		}
	}
	for _, v := range l.VPCs {
		take(v.Services)
		for _, s := range v.Subnets {
			for _, e := range s.ENIs {
				take(e.Port)
			}
		}
	}
	for _, h := range l.Hosts {
		take(h.Port)
	}
	if l.Uplink != nil {
		take(l.Uplink.Port)
	}
	return out
}

// output takes apart what was written to a port.
func (l *Lab) output(p *Port, b []byte) Output {
	o := Output{Port: p.Name, Offload: packet.Offload{Segments: 1}}
	var vnet []byte
	l2 := 0
	if p.Offload {
		vnet, b = b[:packet.VnetLen], b[packet.VnetLen:]
	}
	o.Packet = b
	if p.Frames {
		o.Packet, o.Frame, l2 = b[14:], b, 14
	}
	if vnet == nil {
		return o
	}
	var h packet.Header
	if h.Parse(o.Packet) != 0 {
		return o // ARP
	}
	var bad packet.Malformed
	if o.Offload, bad = h.ReadVnet(vnet, l2); bad != 0 {
		l.TB.Errorf("port %s got a virtio-net header % x: %v", p.Name, vnet, bad)
	}
	o.Partial = h.PartialChecksum
	h.CompleteChecksum()
	return o
}

// A Check looks at a result and says what is wrong with it, "" if nothing.
type Check func(r *Result) string

// Want applies checks; all complaints are reported at once with the packet's end.
func (r *Result) Want(checks ...Check) *Result {
	r.TB.Helper()
	var bad []string
	for _, c := range checks {
		if s := c(r); s != "" {
			bad = append(bad, s)
		}
	}
	if len(bad) > 0 {
		r.TB.Errorf("%s\n\t%s", &r.Event, strings.Join(bad, "\n\t"))
	}
	return r
}

// At wants the packet to be delivered, alone, to the named port.
func At(port string) Check {
	return func(r *Result) string {
		if r.Event.Reason.Dropped() || len(r.Out) != 1 || r.Out[0].Port != port {
			return fmt.Sprintf("want it at %s, got %s", port, r.ports())
		}
		if err := packet.VerifyChecksums(r.Out[0].Packet); err != nil && !Parse(r.Out[0].Packet).IsFragment() {
			return err.Error()
		}
		return ""
	}
}

// Dropped wants a drop for the reason, and that nothing comes out anywhere.
func Dropped(reason dataplane.Reason) Check {
	return func(r *Result) string {
		if r.Event.Reason != reason || len(r.Out) != 0 {
			return fmt.Sprintf("want %s, got %s and %s", reason, r.Event.Reason, r.ports())
		}
		return ""
	}
}

// Answered wants a drop for the reason and one answer at the port.
func Answered(reason dataplane.Reason, port string) Check {
	return func(r *Result) string {
		if r.Event.Reason != reason || !r.Event.Answered || len(r.Out) != 1 || r.Out[0].Port != port {
			return fmt.Sprintf("want %s and an answer at %s, got %s and %s", reason, port, r.Event.Reason, r.ports())
		}
		if err := packet.VerifyChecksums(r.Out[0].Packet); err != nil {
			return err.Error()
		}
		return ""
	}
}

// Ended wants this end, whatever came out.
func Ended(reason dataplane.Reason) Check {
	return func(r *Result) string {
		if r.Event.Reason != reason {
			return fmt.Sprintf("want %s, got %s", reason, r.Event.Reason)
		}
		return ""
	}
}

// From wants the (first) output to have this source, To this destination.
func From(s string) Check {
	return func(r *Result) string {
		a, port := endpoint(s)
		return r.header(func(h *packet.Header) string {
			if h.Src != a || port != 0 && h.SrcPort != port {
				return fmt.Sprintf("want source %s, got %s", s, h.Tuple)
			}
			return ""
		})
	}
}

// To wants the output to have this destination.
func To(s string) Check {
	return func(r *Result) string {
		a, port := endpoint(s)
		return r.header(func(h *packet.Header) string {
			if h.Dst != a || port != 0 && h.DstPort != port {
				return fmt.Sprintf("want destination %s, got %s", s, h.Tuple)
			}
			return ""
		})
	}
}

// ICMP wants the output to be an ICMP message of this type and code.
func ICMP(typ, code uint8) Check {
	return func(r *Result) string {
		return r.header(func(h *packet.Header) string {
			if !h.IsICMP() || h.ICMPType != typ || h.ICMPCode != code {
				return fmt.Sprintf("want icmp %d/%d, got %s type %d/%d", typ, code, h.Tuple, h.ICMPType, h.ICMPCode)
			}
			return ""
		})
	}
}

// NextMTU wants the output to be a fragmentation needed message of this MTU.
func NextMTU(mtu int) Check {
	return func(r *Result) string {
		return r.header(func(h *packet.Header) string {
			if got := int(h.Data[h.L4+6])<<8 | int(h.Data[h.L4+7]); got != mtu {
				return fmt.Sprintf("want mtu %d, got %d", mtu, got)
			}
			return ""
		})
	}
}

// Quotes wants the output to be an ICMP error about this tuple.
func Quotes(t packet.Tuple) Check {
	return func(r *Result) string {
		return r.header(func(h *packet.Header) string {
			if !h.HasInner || h.Inner != t {
				return fmt.Sprintf("want a quote of %s, got %s", t, h.Inner)
			}
			return ""
		})
	}
}

// Flags wants the output to be TCP with these flags.
func Flags(flags uint8) Check {
	return func(r *Result) string {
		return r.header(func(h *packet.Header) string {
			if !h.IsTCP() || h.TCPFlags != flags {
				return fmt.Sprintf("want tcp flags %#x, got %s %#x", flags, h.Tuple, h.TCPFlags)
			}
			return ""
		})
	}
}

// HopsLeft wants the output to have this TTL.
func HopsLeft(ttl uint8) Check {
	return func(r *Result) string {
		return r.header(func(h *packet.Header) string {
			if h.TTL != ttl {
				return fmt.Sprintf("want ttl %d, got %d", ttl, h.TTL)
			}
			return ""
		})
	}
}

// Header is the decoded (first) output; the test ends if nothing came out.
func (r *Result) Header() *packet.Header {
	r.TB.Helper()
	if len(r.Out) == 0 {
		r.TB.Fatalf("%s: nothing came out", &r.Event)
	}
	return Parse(r.Out[0].Packet)
}

func (r *Result) header(f func(h *packet.Header) string) string {
	if len(r.Out) == 0 {
		return "nothing came out"
	}
	return f(Parse(r.Out[0].Packet))
}

func (r *Result) ports() string {
	if len(r.Out) == 0 {
		return "nothing came out"
	}
	var s []string
	for _, o := range r.Out {
		s = append(s, o.Port+": "+Parse(o.Packet).Tuple.String())
	}
	return strings.Join(s, "; ")
}

// Outputs gives what came out of all ports since the last packet that the lab sent.
func (l *Lab) Outputs() []Output { return l.collect() }
