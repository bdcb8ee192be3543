package graph

import (
	"cmp"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/explain"
)

// route is a trace as it is drawn: the way of a packet and that of its reply.
type route struct {
	title     string
	reachable bool
	verdict   string
	text      string
	out, back *way
	outside   []string // a drop on the Internet
}

// way is where a packet passes, from stop to stop.
type way struct {
	stops []stop
	drop  *drop
	steps []explain.Line
}

// stop is a node, an Internet gateway, or neither: the Internet itself.
type stop struct {
	node *node
	gate *network
}

// drop is where a way ends: at the last stop, or at the edge of its subnet.
type drop struct {
	atEdge  bool
	inbound bool // at the edge: the packet does not reach the last stop
	text    string
}

// addTrace puts a trace into the scene.
func (s *scene) addTrace(t *control.Trace) {
	r := &route{title: explain.Title(t), reachable: t.Reachable, verdict: explain.Verdict(t), text: t.Text}
	if !t.Reachable {
		r.text = t.Reason + ": " + t.Text
	}
	s.trace = r
	from := s.endOf(t.From, t.Source)
	if t.Forward != nil {
		r.out = s.wayOf(t.Forward, from, t.To, t.Destination)
	}
	if t.Return != nil && r.out != nil {
		r.back = s.wayOf(t.Return, r.out.stops[len(r.out.stops)-1], t.From, t.Source)
	}
}

func short(o control.Object) string { return cmp.Or(o.Name, o.ID, o.Kind) }

// legs counts the pieces of line that need lanes of their own.
func (r *route) legs() (n int) {
	for _, w := range r.ways() {
		n += max(1, len(w.stops)-1)
	}
	return n
}

// ways are those that there are.
func (r *route) ways() []*way {
	return slices.DeleteFunc([]*way{r.out, r.back}, func(w *way) bool { return w == nil })
}

// crossesZones tells whether a way leads from one zone of a VPC to another.
func (r *route) crossesZones() bool {
	for _, w := range r.ways() {
		for i := 1; i < len(w.stops); i++ {
			a, b := w.stops[i-1].node, w.stops[i].node
			if a != nil && b != nil && a.subnet != nil && b.subnet != nil && a.subnet.zone != b.subnet.zone {
				return true
			}
		}
	}
	return false
}

// passes tells whether a way stops at a VPC's Internet gateway.
func (r *route) passes(n *network) bool {
	return r != nil && slices.ContainsFunc(r.ways(), func(w *way) bool { return slices.Contains(w.stops, stop{gate: n}) })
}

// find is the stop of an object, if the scene has it.
func (s *scene) find(o *control.Object) (stop, bool) {
	if o == nil {
		return stop{}, false
	}
	if n := s.nodes[o.ID]; n != nil {
		return stop{node: n}, true
	}
	if g := s.gates[o.ID]; g != nil {
		return stop{gate: g}, true
	}
	return stop{}, false
}

// endOf is the stop of a trace's end; what the lab does not have is put on the Internet.
func (s *scene) endOf(o control.Object, addr string) stop {
	if at, ok := s.find(&o); ok {
		return at
	}
	host := addr
	if i := strings.LastIndexByte(addr, ':'); i >= 0 && strings.Count(addr, ":") == 1 {
		host = addr[:i]
	}
	name := short(o)
	n := &node{kind: kindOutside, name: cmp.Or(name, host), what: "not a host of the lab", id: cmp.Or(o.ID, host)}
	if host != "" && host != name {
		n.addrs = []string{host}
	}
	for _, h := range s.hosts {
		if h.kind == kindOutside && h.id == n.id {
			return stop{node: h}
		}
	}
	s.hosts = append(s.hosts, n)
	return stop{node: n}
}

// wayOf follows the hops of a path.
func (s *scene) wayOf(p *control.Path, from stop, to control.Object, addr string) *way {
	w := &way{stops: []stop{from}, steps: explain.Lines(p)}
	for i := range p.Hops {
		h := &p.Hops[i]
		at, ok := s.find(h.At)
		if ok {
			w.visit(at)
		}
		own, owns := s.find(&h.Object)
		if owns && own != at {
			w.visit(own)
		}
		switch {
		case h.Verdict == "drop":
			s.dropAt(w, p, h, ok, owns)
			return w
		case h.Verdict == "deliver" && !ok && !owns:
			w.visit(s.endOf(to, addr))
		}
	}
	return w
}

// visit adds a stop, and before it the Internet gateways that the way there leads through.
func (w *way) visit(at stop) {
	last := w.stops[len(w.stops)-1]
	if last == at {
		return
	}
	from, to := last.network(), at.network()
	if from != to {
		for _, n := range []*network{from, to} {
			if n != nil && n.gateway != nil && last != (stop{gate: n}) && at != (stop{gate: n}) {
				w.stops = append(w.stops, stop{gate: n})
			}
		}
	}
	w.stops = append(w.stops, at)
}

// network is the VPC that a stop is in or leads to, nil for the Internet.
func (at stop) network() *network {
	if at.node != nil && at.node.subnet != nil {
		return at.node.subnet.of
	}
	return at.gate
}

// dropAt marks where the packet ended and notes why on what is there.
func (s *scene) dropAt(w *way, p *control.Path, h *control.Hop, at, owns bool) {
	d := &drop{text: p.Text}
	if n := len(w.steps); n > 0 && w.steps[n-1].Detail != "" && w.steps[n-1].Detail != h.Reason {
		d.text += ": " + w.steps[n-1].Detail
	}
	w.drop = d
	last := w.stops[len(w.stops)-1]
	sub := (*subnet)(nil)
	if last.node != nil {
		sub = last.node.subnet
	}
	ofSubnet := strings.HasPrefix(h.Stage, "acl-") || h.Stage == "route"
	switch {
	case h.Stage == "internet":
		if last.node == nil || last.node.subnet != nil {
			w.visit(stop{})
		}
		s.trace.outside = append(s.trace.outside, d.text)
	case ofSubnet && sub != nil && at:
		d.atEdge, d.inbound = true, h.Stage == "acl-ingress" && len(w.stops) > 1
		sub.notes = append(sub.notes, d.text)
	case last.gate != nil:
		last.gate.gateway.notes = append(last.gate.gateway.notes, d.text)
	case last.node != nil && (at || owns || sub != nil):
		last.node.notes = append(last.node.notes, d.text)
	default:
		s.trace.outside = append(s.trace.outside, d.text)
	}
}
