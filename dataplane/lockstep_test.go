package dataplane_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/nat"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// TestCacheAgreesWithTheStages runs two engines side by side, one that has a flow cache
// and one that has none, over random models, packets, changes in mid-flow and moving
// time. Verdicts, what comes out, and what the tables remember must be the same after
// each packet. Only the ports of NAT gateways, which are drawn by lot, may differ.
func TestCacheAgreesWithTheStages(t *testing.T) {
	var hits uint64
	rapid.Check(t, func(rt *rapid.T) {
		p := newPair(t, rt)
		defer p.close()
		// Whoever looks on sees every packet, and changes nothing.
		onlookers := p.lookOn(rt)
		for range rapid.IntRange(20, 120).Draw(rt, "packets") {
			switch rapid.IntRange(0, 22).Draw(rt, "what") {
			case 20, 21, 22:
				onlookers.interval(rt)
			case 0:
				p.m.drawChange(rt)
				p.apply()
			case 1:
				p.m.drawGroups(rt)
				p.apply()
			case 2, 3:
				p.m.lab.Advance(rapid.SampledFrom([]time.Duration{
					time.Second, 29 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute,
					170 * time.Second, 349 * time.Second, 350 * time.Second, 5 * 24 * time.Hour,
				}).Draw(rt, "time"))
			case 4:
				p.expire(rapid.IntRange(1, 50).Draw(rt, "budget"))
			default:
				p.step(rt)
			}
		}
		onlookers.interval(rt)
		onlookers.end(rt)
		for _, w := range p.with.workers {
			hits += w.Stats().Cache.Hits
		}
	})
	if hits == 0 {
		t.Error("no packet went by the flow cache")
	}
}

// side is one of the two engines.
type side struct {
	engine  *dataplane.Engine
	ct      *conntrack.Table
	nt      *nat.Table
	workers map[*Port]*dataplane.Batcher
	events  *dataplane.Subscription
}

type pair struct {
	m             *model
	with, without *side
	sent          []twin // what went in, the latest last
	came          []twin // what came out, and where
	events        []dataplane.Event
}

// twin is a packet as each of the sides has it.
type twin struct {
	port *Port
	pkt  [2][]byte
}

func newPair(t *testing.T, rt *rapid.T) *pair {
	p := &pair{m: drawModel(t, rt)}
	l := p.m.lab
	for _, e := range p.m.enis {
		e.Port.Offload = rapid.Bool().Draw(rt, "offload")
	}
	for _, h := range l.Hosts {
		h.Port.Offload = rapid.Bool().Draw(rt, "offload")
	}
	l.Apply()
	p.with = &side{engine: l.Engine, ct: l.Config.Conntrack, nt: l.Config.NAT}
	p.without = &side{}
	cfg := l.Config
	cfg.FlowEntries = -1
	var err error
	if p.without.ct, err = conntrack.Open("", 4096); err != nil {
		rt.Fatal(err)
	}
	if p.without.nt, err = nat.OpenTable("", 4096); err != nil {
		rt.Fatal(err)
	}
	cfg.Conntrack, cfg.NAT = p.without.ct, p.without.nt
	if p.without.engine, err = dataplane.NewEngine(cfg); err != nil {
		rt.Fatal(err)
	}
	for _, s := range p.sides() {
		s.workers = map[*Port]*dataplane.Batcher{}
		s.events = s.engine.Subscribe(64)
	}
	p.without.engine.Swap(l.Snapshot)
	return p
}

func (p *pair) sides() [2]*side { return [2]*side{p.with, p.without} }

func (p *pair) apply() {
	p.m.lab.Apply()
	p.without.engine.Swap(p.m.lab.Snapshot)
}

func (p *pair) close() {
	p.without.engine.Close()
	p.without.ct.Close()
	p.without.nt.Close()
	p.m.lab.Close()
}

func (p *pair) expire(budget int) {
	for _, s := range p.sides() {
		s.ct.Expire(p.m.lab.Now(), budget)
		s.nt.Expire(p.m.lab.Now(), budget)
	}
}

// step sends a packet on both sides and compares.
func (p *pair) step(rt *rapid.T) {
	in := p.draw(rt)
	p.sent = append(p.sent, in)
	var outs [2][]Output
	var events [2]dataplane.Event
	traced := p.trace(in)
	for i, s := range p.sides() {
		w := s.workers[in.port]
		if w == nil {
			w = s.engine.Batcher(in.port)
			s.workers[in.port] = w
		}
		p.m.lab.Outputs()
		w.Send(in.pkt[i])
		outs[i] = p.m.lab.Outputs()
		events[i] = <-s.events.C
	}
	a, b := &events[0], &events[1]
	if a.Reason != b.Reason || a.Stage != b.Stage || a.By != b.By || a.Rule.String() != b.Rule.String() ||
		a.To != b.To || a.Packets != b.Packets || a.Size != b.Size || a.Answered != b.Answered {
		rt.Fatalf("with the cache %s\n%+v\nwithout       %s\n%+v", a, *a, b, *b)
	}
	if len(outs[0]) != len(outs[1]) {
		rt.Fatalf("%s: %d packets came out with the cache, %d without", a, len(outs[0]), len(outs[1]))
	}
	for i := range outs[0] {
		p.compare(rt, a, outs[0][i], outs[1][i])
	}
	if x, y := wayText(a.Way), wayText(b.Way); x != y {
		rt.Fatalf("%s: the way with the cache\n%swithout\n%s", a, x, y)
	}
	if traced != nil {
		agrees(rt, traced, a)
	}
	p.events = append(p.events, *a)
	now := p.m.lab.Now()
	if x, y := p.with.remembers(now), p.without.remembers(now); !slices.Equal(x, y) {
		rt.Fatalf("after %s the tables hold with the cache\n%q\nwithout\n%q", a, x, y)
	}
}

// compare compares what came out, and keeps it to be answered.
func (p *pair) compare(rt *rapid.T, e *dataplane.Event, a, b Output) {
	x, y := normal(a.Packet), normal(b.Packet)
	if a.Port != b.Port || a.Offload != b.Offload || a.Partial != b.Partial || !bytes.Equal(x, y) {
		rt.Fatalf("%s: with the cache %s got %+v\n% x\nwithout %s got %+v\n% x", e, a.Port, a.Offload, x, b.Port, b.Offload, y)
	}
	for _, port := range p.ports() {
		if port.Name == a.Port && e.Reason == dataplane.Delivered {
			p.came = append(p.came, twin{port: port, pkt: [2][]byte{a.Packet, b.Packet}})
		}
	}
}

func (p *pair) ports() (all []*Port) {
	for _, e := range p.m.enis {
		all = append(all, e.Port)
	}
	for _, h := range p.m.lab.Hosts {
		all = append(all, h.Port)
	}
	return all
}

// normal is the packet without the ports that are drawn by lot, and the checksums over
// them. Models use the ports 1 to 3.
func normal(b []byte) []byte {
	h := Parse(b)
	n := append([]byte(nil), b...)
	blank := func(at int) { n[at], n[at+1] = 0, 0 }
	if h.NonFirstFragment() {
		return n
	}
	switch {
	case h.IsTCP():
		blank(h.L4 + 16)
	case h.IsUDP():
		blank(h.L4 + 6)
	case h.IsICMP():
		blank(h.L4 + 2)
		if h.HasInner {
			for at := h.InnerL3 + 10; at < len(n); at++ {
				n[at] = 0
			}
		}
	}
	if h.SrcPort >= nat.FirstPort {
		blank(h.L4 + 4*toInt(h.IsICMP()))
	}
	if h.DstPort >= nat.FirstPort {
		blank(h.L4 + 2 + 2*toInt(h.IsICMP()))
	}
	return n
}

func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// wayText is a way, a line a step.
func wayText(w *dataplane.Way) string {
	return fmt.Sprintf("from %v to %v\n%sat%s", w.From().Ref(), w.To().Ref(), dataplane.Text(w.Steps()), places(w.Steps()))
}

// places are the interfaces in whose ways the steps lie.
func places(steps []dataplane.Step) (text string) {
	for _, s := range steps {
		if text += " -"; s.At != nil {
			text += s.At.Name
		}
	}
	return text
}

// remembers lists what is alive in both tables, without ports that are drawn by lot. What
// has expired goes in its own time, which is the real one.
func (s *side) remembers(now int64) (all []string) {
	short := func(p uint16) uint16 {
		if p >= nat.FirstPort {
			return nat.FirstPort
		}
		return p
	}
	s.ct.Entries(func(k conntrack.Key, e conntrack.Entry) bool {
		if e.Deadline <= now {
			return true
		}
		k.LocalPort, k.RemotePort = short(k.LocalPort), short(k.RemotePort)
		all = append(all, fmt.Sprintf("%d %s:%d %s:%d %d %+v", k.ENI, k.Local, k.LocalPort, k.Remote, k.RemotePort, k.Proto, e))
		return true
	})
	s.nt.Mappings(func(m nat.Mapping) bool {
		if m.Deadline() <= now {
			return true
		}
		m.OutsidePort, m.InsidePort, m.DestPort = 0, short(m.InsidePort), short(m.DestPort)
		all = append(all, fmt.Sprintf("%+v", m))
		return true
	})
	slices.Sort(all)
	return all
}

// draw makes a packet: one sent before, an answer to what came out, or a fresh one.
func (p *pair) draw(rt *rapid.T) twin {
	if len(p.sent) > 0 && rapid.IntRange(0, 1).Draw(rt, "again") == 0 {
		return rapid.SampledFrom(p.sent[max(0, len(p.sent)-6):]).Draw(rt, "which")
	}
	if len(p.came) > 0 && rapid.IntRange(0, 2).Draw(rt, "answer") > 0 {
		c := rapid.SampledFrom(p.came[max(0, len(p.came)-4):]).Draw(rt, "what")
		flags := drawFlags(rt)
		big := rapid.IntRange(0, 3).Draw(rt, "big") == 0
		return twin{port: c.port, pkt: [2][]byte{shape(c.port, answerTo(c.pkt[0], flags, big)), shape(c.port, answerTo(c.pkt[1], flags, big))}}
	}
	s := p.m.drawPacket(rt)
	port := s.port()
	pkt := s.p.bytes()
	if s.p.proto == packet.ProtoTCP && !s.p.big {
		h := Parse(pkt)
		pkt = TTL(packet.BuildTCP(make([]byte, 128), h.Tuple, drawFlags(rt), 1, 1, make([]byte, 8)), s.p.ttl)
	}
	pkt = shape(port, pkt)
	return twin{port: port, pkt: [2][]byte{pkt, pkt}}
}

func (s *sent) port() *Port {
	if s.eni != nil {
		return s.eni.Port
	}
	return s.host.Port
}

func drawFlags(rt *rapid.T) uint8 {
	const fin, syn, rst, ack = packet.FlagFIN, packet.FlagSYN, packet.FlagRST, packet.FlagACK
	return rapid.SampledFrom([]uint8{syn, syn | ack, ack, ack, ack, ack | packet.FlagPSH, fin | ack, rst, 0}).Draw(rt, "flags")
}

// answerTo is what the receiver of a packet might say.
func answerTo(b []byte, flags uint8, big bool) []byte {
	h := Parse(b)
	n := 8
	if big {
		n = 2000
	}
	switch {
	case h.IsTCP() && !h.NonFirstFragment():
		return DF(packet.BuildTCP(make([]byte, 128+n), h.Tuple.Reverse(), flags, 1, 1, make([]byte, n)))
	case h.IsUDP() && !h.NonFirstFragment():
		return packet.BuildUDP(make([]byte, 128+n), h.Tuple.Reverse(), 64, make([]byte, n))
	}
	return Reply(b)
}

// shape gives a packet the form of the port: large ones as super-packets, where the port
// has those.
func shape(port *Port, pkt []byte) []byte {
	if !port.Offload {
		return pkt
	}
	h := Parse(pkt)
	if (h.IsTCP() || h.IsUDP()) && !h.IsFragment() {
		size := uint16(0)
		if len(h.Payload()) > 1000 && h.TCPFlags&packet.FlagSYN == 0 && h.TCPFlags&packet.FlagRST == 0 {
			size = 700
		}
		return Super(pkt, size)
	}
	return append(make([]byte, packet.VnetLen), pkt...)
}
