package matrix

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/endpoint"
	"github.com/vpcemu/vpcemu/internal/explain"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Make fills the matrix that is asked for. m and the snapshot that the tracers look at
// are of one moment. Clients send from explain.SourcePort, so a network ACL is asked about
// answers to that port alone. An error is about the request, or explain.ErrChanging.
//
// It takes about 4 µs for each pair of ends and range of ports, on one processor.
func Make(m *vpc.Model, tracer func() *dataplane.Tracer, req control.MatrixRequest) (*control.Matrix, error) {
	w := &maker{m: m, tracer: tracer}
	var err error
	if w.asked, err = questions(req); err != nil {
		return nil, err
	}
	if w.from, err = endsOf(m, req.From); err != nil {
		return nil, err
	}
	if w.to, err = endsOf(m, req.To); err != nil {
		return nil, err
	}
	w.everywhere = everywhere(m)
	if err := w.run(); err != nil {
		return nil, err
	}
	out := &control.Matrix{Cells: w.cells}
	for _, e := range w.from {
		out.From = append(out.From, e.shown)
	}
	for _, e := range w.to {
		out.To = append(out.To, e.shown)
	}
	return out, nil
}

type maker struct {
	m          *vpc.Model
	tracer     func() *dataplane.Tracer
	asked      []question
	from, to   []*end
	everywhere bounds
	cells      [][]control.MatrixCell
}

// A question is one protocol, with the ports that are asked about; none: all of them.
type question struct {
	proto uint8
	name  string
	ports []int
}

var protocols = []question{{proto: packet.ProtoTCP, name: "tcp"}, {proto: packet.ProtoUDP, name: "udp"}, {proto: packet.ProtoICMP, name: "icmp"}}

// questions are what a request asks about, TCP before UDP before ICMP.
func questions(req control.MatrixRequest) (list []question, err error) {
	asked := map[string][]int{}
	for _, text := range req.Ports {
		name, port, err := portOf(text)
		if err != nil {
			return nil, err
		}
		asked[name] = append(asked[name], port)
	}
	wanted := strings.ToLower(req.Protocol)
	if wanted != "" && !slices.ContainsFunc(protocols, func(q question) bool { return q.name == wanted }) {
		return nil, fmt.Errorf("protocol %q: a matrix is about tcp, udp and icmp", req.Protocol)
	}
	for _, q := range protocols {
		ports, ok := asked[q.name]
		if wanted != "" && q.name != wanted || len(asked) > 0 && !ok {
			continue
		}
		slices.Sort(ports)
		if q.proto != packet.ProtoICMP {
			q.ports = slices.Compact(ports)
		}
		list = append(list, q)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("none of the ports %s is one of protocol %s", strings.Join(req.Ports, ", "), wanted)
	}
	return list, nil
}

// portOf reads tcp/22 or icmp.
func portOf(text string) (name string, port int, err error) {
	name, number, hasPort := strings.Cut(strings.ToLower(text), "/")
	if name == "icmp" && !hasPort {
		return name, 0, nil
	}
	port, err = strconv.Atoi(number)
	if name != "tcp" && name != "udp" || err != nil || port < 1 || port > lastPort {
		return "", 0, fmt.Errorf("%q: use tcp/PORT, udp/PORT or icmp", text)
	}
	return name, port, nil
}

// run fills the rows, as many at a time as there are processors.
func (w *maker) run() error {
	w.cells = make([][]control.MatrixCell, len(w.from))
	errs := make([]error, len(w.from))
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(w.from)) {
		all.Go(func() {
			t := w.tracer()
			t.NoSteps, t.Fresh = true, true
			t.Outside(packet.AddrFrom(endpoint.Anywhere))
			for i := int(next.Add(1) - 1); i < len(w.from); i = int(next.Add(1) - 1) {
				w.cells[i], errs[i] = w.row(t, w.from[i])
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// row is what one end reaches.
func (w *maker) row(t *dataplane.Tracer, from *end) ([]control.MatrixCell, error) {
	cells := make([]control.MatrixCell, len(w.to))
	src, err := explain.SourceOf(w.m, t, from.End)
	if err != nil {
		from.shown.Note = err.Error()
		return cells, nil
	}
	for i, to := range w.to {
		if cells[i], err = w.cell(t, from, to, src); err != nil {
			return nil, err
		}
	}
	return cells, nil
}

func (w *maker) cell(t *dataplane.Tracer, from, to *end, src explain.Source) (c control.MatrixCell, err error) {
	if from.Kind == to.Kind && from.ID == to.ID || from.owner != "" && from.owner == to.owner {
		c.Self = true
		return c, nil
	}
	dst, err := endpoint.Address(w.m, from.End, to.End)
	if err != nil {
		c.Destination = ""
		return c, nil // it has none, as an instance that was never started
	}
	c.Destination = dst.String()
	t.Reset()
	for _, q := range w.asked {
		if c.Spans, err = w.ask(t, q, from, to, src, dst, c.Spans); err != nil {
			return c, err
		}
	}
	return c, nil
}

// ask adds the spans of one protocol.
func (w *maker) ask(t *dataplane.Tracer, q question, from, to *end, src explain.Source, dst netip.Addr, spans []control.MatrixSpan) ([]control.MatrixSpan, error) {
	if q.ports == nil && q.proto != packet.ProtoICMP {
		return w.askAll(t, q, from, to, src, dst, spans)
	}
	ports := q.ports
	if q.proto == packet.ProtoICMP {
		ports = []int{0}
	}
	for _, p := range ports {
		s, err := probe(t, q, src, dst, p)
		if err != nil {
			return spans, err
		}
		s.From, s.To = p, p
		spans = append(spans, s)
	}
	return spans, nil
}

// askAll asks about the first port of each range in which all have one verdict, and joins
// neighbours that have the same.
func (w *maker) askAll(t *dataplane.Tracer, q question, from, to *end, src explain.Source, dst netip.Addr, spans []control.MatrixSpan) ([]control.MatrixSpan, error) {
	list := [3][]int{w.everywhere.tcp, from.bounds.tcp, to.bounds.tcp}
	if q.proto == packet.ProtoUDP {
		list = [3][]int{w.everywhere.udp, from.bounds.udp, to.bounds.udp}
	}
	first := len(spans)
	for _, p := range points(slices.Concat(list[:]...)) {
		s, err := probe(t, q, src, dst, p)
		if err != nil {
			return spans, err
		}
		if n := len(spans); n > first {
			spans[n-1].To = p - 1
			if before := spans[n-1]; before.Reached == s.Reached && before.Reason == s.Reason && before.OnReply == s.OnReply {
				continue
			}
		}
		s.From = p
		spans = append(spans, s)
	}
	spans[len(spans)-1].To = lastPort
	return spans, nil
}

// probe sends one packet and its answer.
func probe(t *dataplane.Tracer, q question, src explain.Source, dst netip.Addr, port int) (s control.MatrixSpan, err error) {
	x := explain.Probe(t, src, explain.Packet(q.proto, src.Addr, dst, uint16(port)))
	if x.Unknown {
		return s, explain.ErrChanging
	}
	s = control.MatrixSpan{Protocol: q.name, Reached: x.Reachable()}
	if !s.Reached {
		s.Reason, s.Code, s.OnReply = x.ReasonName(), x.ReasonCode(), x.Back != nil
	}
	return s, nil
}
