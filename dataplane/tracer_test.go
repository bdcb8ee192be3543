package dataplane_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/nat"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// handleOf is that of the ENI or host whose port it is.
func (p *pair) handleOf(port *Port) uint32 {
	for _, e := range p.m.enis {
		if e.Port == port {
			return e.Handle
		}
	}
	for _, h := range p.m.lab.Hosts {
		if h.Port == port {
			return h.Handle
		}
	}
	return 0
}

// trace sends the packet that is about to be sent in imagination; nil for what a trace
// does not have: super-packets.
func (p *pair) trace(in twin) *dataplane.Traced {
	pkt := in.pkt[0]
	if in.port.Offload {
		if pkt[1] != 0 { // gso_type
			return nil
		}
		pkt = pkt[packet.VnetLen:]
	}
	traced := p.with.engine.Tracer().Send(p.handleOf(in.port), pkt)
	return &traced
}

// agrees compares a trace with what became of the packet. The port of a NAT gateway is
// drawn by lot.
func agrees(rt *rapid.T, traced *dataplane.Traced, e *dataplane.Event) {
	rt.Helper()
	last := traced.Steps[len(traced.Steps)-1]
	if traced.Reason != e.Reason || last.Reason != e.Reason || last.Stage != e.Stage || last.By != e.By || last.Rule.String() != e.Rule.String() && e.Reason.Dropped() {
		rt.Fatalf("%s\ntraced:\n%s", e, dataplane.Text(traced.Steps))
	}
	if to := traced.To.Handle(); to != e.To && !e.Reason.Dropped() {
		rt.Fatalf("%s went to %d, the trace to %d", e, e.To, to)
	}
	decided := make([]dataplane.Step, len(traced.Steps))
	for i, s := range traced.Steps {
		s.Tuple = packet.Tuple{}
		decided[i] = s
	}
	if x, y := dataplane.Text(decided)+places(decided), dataplane.Text(e.Way.Steps())+places(e.Way.Steps()); x != y {
		rt.Fatalf("%s took the way\n%straced:\n%s", e, y, x)
	}
	x, y := last.Tuple, e.Tuple
	for _, t := range []*packet.Tuple{&x, &y} {
		for _, port := range []*uint16{&t.SrcPort, &t.DstPort} {
			if *port >= nat.FirstPort {
				*port = nat.FirstPort
			}
		}
	}
	if x != y {
		rt.Fatalf("%s was %s in the end, traced %s", e, e.Tuple, last.Tuple)
	}
}

// TestTracerRemembersLikeTheTables sends the same packets really through one engine, and
// in imagination by one Tracer of another whose tables are empty and stay so. Answers
// answer what came out on either side. Verdicts must be the same each time.
func TestTracerRemembersLikeTheTables(t *testing.T) {
	delivered := 0
	rapid.Check(t, func(rt *rapid.T) {
		p := newPair(t, rt)
		defer p.close()
		tracer := p.without.engine.Tracer()
		for range rapid.IntRange(2, 30).Draw(rt, "packets") {
			in := p.draw(rt)
			if in.port.Offload && in.pkt[0][1] != 0 {
				continue
			}
			p.sent = append(p.sent, in)
			w := p.with.workers[in.port]
			if w == nil {
				w = p.with.engine.Batcher(in.port)
				p.with.workers[in.port] = w
			}
			p.m.lab.Outputs()
			w.Send(in.pkt[0])
			outs := p.m.lab.Outputs()
			e := <-p.with.events.C
			imagined := in.pkt[1]
			if in.port.Offload {
				imagined = imagined[packet.VnetLen:]
			}
			traced := tracer.Send(p.handleOf(in.port), imagined)
			agrees(rt, &traced, &e)
			if (traced.Answer != nil) != e.Answered {
				rt.Fatalf("%s: answered %t, traced % x", &e, e.Answered, traced.Answer)
			}
			if e.Reason != dataplane.Delivered || len(outs) != 1 {
				continue
			}
			delivered++
			for _, port := range p.ports() {
				if port.Name == outs[0].Port {
					p.came = append(p.came, twin{port: port, pkt: [2][]byte{outs[0].Packet, append([]byte(nil), traced.Packet...)}})
				}
			}
		}
		empty := 0
		p.without.ct.Entries(func(conntrack.Key, conntrack.Entry) bool { empty++; return true })
		p.without.nt.Mappings(func(nat.Mapping) bool { empty++; return true })
		if c := p.without.engine.Counters(); empty != 0 || len(c) != 0 {
			rt.Fatalf("traces left %d records and counted %v", empty, c)
		}
	})
	if delivered == 0 {
		t.Error("no packet was delivered")
	}
}

// An exchange through the NAT gateway with somebody on the Internet who is not there.
func TestTracer_ExchangeWithAnImaginedHost(t *testing.T) {
	b := newBook(t).applied()
	tr := b.Engine.Tracer()
	anyone := tr.Outside(Addr("192.0.2.1"))
	if again := tr.Outside(Addr("192.0.2.1")); again != anyone || tr.Outside(Addr(serverIP)) != b.server.Handle {
		t.Error("Outside imagines a host that is there")
	}
	out := tr.Send(b.db.Handle, SYN(dbIP+":1000", "192.0.2.1:443"))
	if out.Reason != dataplane.Delivered || out.To.Handle() != anyone || !out.Known {
		t.Fatalf("%+v", out)
	}
	h := Parse(out.Packet)
	if h.Src != Addr(natEIP) || packet.VerifyChecksums(out.Packet) != nil {
		t.Errorf("arrived as %s", h.Tuple)
	}
	back := h.Tuple.Reverse()
	answer := packet.BuildTCP(make([]byte, 64), back, packet.FlagSYN|packet.FlagACK, 1, 2, nil)
	in := tr.Send(anyone, answer)
	if in.To.ENI == nil || in.To.ENI.Name != "db" || Parse(in.Packet).Dst != Addr(dbIP) {
		t.Fatalf("the answer: %s\n%s", in.Reason, dataplane.Text(in.Steps))
	}
	// Another Tracer has not seen the question, nor has this one after Reset.
	tr.Reset()
	for _, tr := range []*dataplane.Tracer{tr, b.Engine.Tracer()} {
		if r := tr.Send(tr.Outside(Addr("192.0.2.1")), answer).Reason; r != dataplane.NATNoMapping {
			t.Errorf("unasked: %s", r)
		}
	}
	// Nobody really reaches the imagined host.
	b.web.Send(SYN(webIP+":1", "192.0.2.1:443")).Want(Dropped(dataplane.InternetUnreachable))
}

// A fresh Tracer sees the network as if nobody had talked in it yet.
func TestTracer_FreshFindsNoRealConnections(t *testing.T) {
	b := newBook(t)
	b.web.Groups = []*Group{b.Group("web", In("tcp", "22", "172.30.0.0/16"))}
	b.Apply()
	b.db.Send(SYN(dbIP+":1000", webIP+":22")).Want(At("web"))
	r := b.db.Send(SYN(dbIP+":1000", serverIP+":80")).Want(At("server"))
	answer, inbound := SYNACK(webIP+":22", dbIP+":1000"), SYNACK(serverIP+":80", natEIP+":"+portOf(r))
	for _, fresh := range []bool{false, true} {
		tr := b.Engine.Tracer()
		tr.Fresh = fresh
		first, second := tr.Send(b.web.Handle, answer).Reason, tr.Send(b.server.Handle, inbound).Reason
		if fresh && (first != dataplane.SGHasNoRules || second != dataplane.NATNoMapping) || !fresh && (first != dataplane.Delivered || second != dataplane.Delivered) {
			t.Errorf("fresh %t: %s, %s", fresh, first, second)
		}
		// What it has sent itself, it knows.
		tr.Send(b.db.Handle, SYN(dbIP+":2000", webIP+":22"))
		if got := tr.Send(b.web.Handle, SYNACK(webIP+":22", dbIP+":2000")).Reason; got != dataplane.Delivered {
			t.Errorf("fresh %t: the answer to its own packet: %s", fresh, got)
		}
	}
}

func TestTracer_AnswersOfTheNetworkItself(t *testing.T) {
	b := newBook(t).applied()
	tr := b.Engine.Tracer()
	big := DF(UDP(webIP+":1", serverIP+":9", 3000))
	got := tr.Send(b.web.Handle, big)
	h := Parse(got.Answer)
	if got.Reason != dataplane.PacketTooBig || h.ICMPType != 3 || h.ICMPCode != 4 || h.Src != Addr("172.30.0.1") || h.Inner != Parse(big).Tuple {
		t.Errorf("%s: %+v", got.Reason, h)
	}
	got = tr.Send(b.db.Handle, TTL(UDP(dbIP+":1", serverIP+":9", 8), 1))
	if h := Parse(got.Answer); got.Reason != dataplane.TTLExpired || h.ICMPType != 11 || h.Src != Addr(natIP) {
		t.Errorf("%s: %+v", got.Reason, h)
	}
	got = tr.Send(b.db.Handle, ACK(dbIP+":1", serverIP+":9"))
	if h := Parse(got.Answer); got.Reason != dataplane.NATIdleTimeout || h.TCPFlags&packet.FlagRST == 0 || h.Dst != Addr(dbIP) || h.Src != Addr(serverIP) || h.TTL < 32 {
		t.Errorf("%s: %+v", got.Reason, h)
	}
	if got := tr.Send(12345, big); got.Known {
		t.Error("a handle that nobody has is known")
	}
	tr.NoSteps = true
	if got := tr.Send(b.web.Handle, SYN(webIP+":1", dbIP+":1")); got.Steps != nil || got.Reason != dataplane.Delivered {
		t.Error(fmt.Sprint(got))
	}
	if got := tr.Send(b.web.Handle, []byte{1, 2, 3}); got.Reason != dataplane.PacketMalformed || got.Packet != nil {
		t.Error(fmt.Sprint(got))
	}
}

func BenchmarkTracer(bm *testing.B) {
	b := newBook(bm).applied()
	tr := b.Engine.Tracer()
	tr.NoSteps = true
	syn := SYN(webIP+":1000", dbIP+":80")
	synack := SYNACK(dbIP+":80", webIP+":1000")
	bm.ReportAllocs()
	for bm.Loop() {
		tr.Reset()
		if tr.Send(b.web.Handle, syn).Reason != dataplane.Delivered || tr.Send(b.db.Handle, synack).Reason != dataplane.Delivered {
			bm.Fatal("not delivered")
		}
	}
}
