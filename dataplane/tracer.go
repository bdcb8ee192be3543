package dataplane

import (
	"io"

	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/nat"
)

// A Tracer sends imagined packets: each takes the stages that a real one would, under
// the snapshot and tables of the moment, and nothing is sent, counted or remembered. A
// later packet of the same Tracer finds the connections and mappings that the earlier ones
// would have left, so that an answer can be traced like its question. A new mapping has
// a port that the real packet may not get. It is for one goroutine.
type Tracer struct {
	// NoSteps leaves Traced.Steps out, which costs most of the time.
	NoSteps bool
	// Fresh has packets find none of the real connections and mappings, as in a network
	// in which nobody has talked yet.
	Fresh bool

	e       *Engine
	w       walk
	assumed assumed
	sources map[uint32]*source // fragments and rates, by ingress
	outside map[uint32]*InternetHost
	buf     []byte
	answer  []byte
}

// Traced is what became of an imagined packet.
type Traced struct {
	Known  bool   // the ingress is there
	Steps  []Step // with the packet's tuple after each; the last one has End set
	Reason Reason
	To     Place // where it was delivered; zero for a drop
	// Packet is what was delivered, or as it was when it was dropped; Answer the ICMP error
	// or RST that the network sends back to its sender, nil for none. They are good until
	// the next packet is sent.
	Packet, Answer []byte
}

// assumed are the effects of the packets that a Tracer has sent, and the hosts that it
// has imagined.
type assumed struct {
	entries  map[conntrack.Key]conntrack.Entry
	mappings []nat.Mapping
	hosts    map[packet.Addr]*InternetHost
	fresh    bool
}

// outsideHandle is from where on imagined hosts have their handles.
const outsideHandle = 1<<32 - 1<<16

// Tracer returns one that has not sent anything.
func (e *Engine) Tracer() *Tracer {
	t := &Tracer{e: e, sources: map[uint32]*source{}, outside: map[uint32]*InternetHost{}, buf: make([]byte, ipRoom+65535)}
	t.assumed.hosts = map[packet.Addr]*InternetHost{}
	t.w = walk{cfg: &e.cfg, tally: &counters{}, assumed: &t.assumed}
	t.Reset()
	return t
}

// Reset forgets the packets sent so far, not the hosts.
func (t *Tracer) Reset() {
	clear(t.sources)
	t.assumed.entries = map[conntrack.Key]conntrack.Entry{}
	t.assumed.mappings = nil
}

// Outside imagines a host on the Internet with that address, if there is none, and
// returns its handle.
func (t *Tracer) Outside(a packet.Addr) uint32 {
	if s := t.e.snap.Load(); s != nil && s.Internet.Hosts[a] != nil {
		return s.Internet.Hosts[a].Handle
	}
	h := t.assumed.hosts[a]
	if h == nil {
		h = &InternetHost{Ref: Ref{Name: "internet"}, Handle: outsideHandle + uint32(len(t.outside)), Addr: a, Port: nowhere{}}
		t.assumed.hosts[a], t.outside[h.Handle] = h, h
	}
	return h.Handle
}

// Send lets an IP packet of up to 65535 bytes come in by the port of the ENI or Internet
// host with that handle; on TAP by way of the router.
func (t *Tracer) Send(ingress uint32, pkt []byte) Traced {
	t.e.tracing.RLock()
	defer t.e.tracing.RUnlock()
	s := t.e.snap.Load()
	in, ok := t.place(s, ingress)
	if !ok || len(pkt) > 65535 {
		return Traced{}
	}
	src := t.sources[ingress]
	if src == nil {
		src = &source{}
		t.sources[ingress] = src
	}
	w := &t.w
	w.detailed, t.assumed.fresh = !t.NoSteps, t.Fresh
	w.begin(s, src, in, nil, t.e.cfg.Now())
	w.buf = t.buf[ipRoom : ipRoom+copy(t.buf[ipRoom:], pkt)]
	w.size = len(pkt)
	if w.parse() {
		w.keep()
		w.run()
	}
	w.learn()
	t.assumed.learn(w)
	return t.traced(pkt)
}

func (t *Tracer) place(s *Snapshot, handle uint32) (Place, bool) {
	if h := t.outside[handle]; h != nil {
		return Place{Host: h}, true
	}
	if s == nil {
		return Place{}, false
	}
	return s.placeOf(handle)
}

func (t *Tracer) traced(pkt []byte) Traced {
	w := &t.w
	out := Traced{Known: true, Steps: append([]Step(nil), w.steps...), Reason: w.reason}
	if !w.reason.Dropped() {
		out.To = w.out.place()
	}
	if w.stage != StageParse {
		w.hdr.CompleteChecksum()
		out.Packet = w.hdr.Data
	}
	if w.answer.kind != answerNone {
		if t.answer == nil {
			t.answer = make([]byte, 65535)
		}
		var sent packet.Header
		sent.Parse(pkt)
		w.hdr, sent = sent, w.hdr // the answer is about the packet as it was sent
		out.Answer = w.answerInto(t.answer, pkt)
		w.hdr = sent
	}
	return out
}

// learn takes the effects of a packet, as commit would.
func (a *assumed) learn(w *walk) {
	for i := range w.mapped[:w.nMapped] {
		switch m := w.mapped[i].m; {
		case m.Last == 0:
			m.Last = w.now
			a.mappings = append(a.mappings, m)
		default:
			a.renew(&m, w.now)
		}
	}
	for i := range w.observed[:w.nObserved] {
		o := &w.observed[i]
		if o.onlyViaNAT && !w.metNAT {
			continue
		}
		e, _ := w.tracked(o.key)
		a.entries[o.key] = e.After(o.key, o.outbound, o.flags, 1, w.now, o.eni.timeouts())
	}
}

// renew lets a mapping last, if it is an assumed one.
func (a *assumed) renew(m *nat.Mapping, now int64) {
	for i := range a.mappings {
		if a.mappings[i] == *m {
			a.mappings[i].Last = now
		}
	}
}

// out and in are nat.Table's Outbound and Inbound.
func (a *assumed) out(gateway uint32, t packet.Tuple, now int64) (nat.Mapping, bool) {
	for _, m := range a.mappings {
		if m.Deadline() > now && m.Gateway == gateway && m.Proto == t.Proto && m.Inside == t.Src && m.InsidePort == t.SrcPort && m.Dest == t.Dst && m.DestPort == t.DstPort {
			return m, true
		}
	}
	return nat.Mapping{}, false
}

func (a *assumed) in(gateway uint32, t packet.Tuple, now int64) (nat.Mapping, bool) {
	for _, m := range a.mappings {
		if m.Deadline() > now && m.Gateway == gateway && m.Proto == t.Proto && m.Outside == t.Dst && m.OutsidePort == t.DstPort && m.Dest == t.Src && m.DestPort == t.SrcPort {
			return m, true
		}
	}
	return nat.Mapping{}, false
}

// nowhere is the port of an imagined host; nothing is ever read from it or written.
type nowhere struct{}

func (nowhere) Read([]byte) (int, error)    { return 0, io.EOF }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) Close() error                { return nil }
func (nowhere) Features() Features          { return Features{} }
func (nowhere) String() string              { return "nowhere" }
