package matrix

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/explain"
	"github.com/vpcemu/vpcemu/internal/explain/labtest"
)

// Over random networks, the matrix says of each port what a trace of it alone says.
func TestMatrixAgreesWithTraces(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		yaml := labtest.DrawSite(rt)
		l := labtest.New(t, yaml)
		defer l.Close()
		x := fill(t, l, control.MatrixRequest{})
		port := rapid.OneOf(rapid.IntRange(1, 65535), rapid.SampledFrom([]int{1, 21, 22, 23, 52, 53, 54, 79, 80, 81, 1023, 1024, 65535}))
		for range 40 {
			i := rapid.IntRange(0, len(x.From)-1).Draw(rt, "from")
			k := rapid.IntRange(0, len(x.To)-1).Draw(rt, "to")
			req := control.TraceRequest{From: x.From[i].Name, To: x.To[k].Name, Protocol: rapid.SampledFrom([]string{"tcp", "udp", "icmp"}).Draw(rt, "protocol")}
			if req.Protocol != "icmp" {
				req.Port = port.Draw(rt, "port")
			}
			c := x.Cells[i][k]
			if c.Self != (req.From == req.To) {
				rt.Fatalf("%+v: self: %v", req, c.Self)
			}
			if c.Self {
				continue
			}
			tr, err := explain.Trace(&l.Model, l.Engine.Tracer(), req)
			if err != nil {
				rt.Fatalf("%+v: %v", req, err)
			}
			got := spansOf(c, req)
			if len(got) != 1 || got[0].Reached != tr.Reachable || !tr.Reachable && got[0].Reason != tr.Reason || c.Destination != tr.Destination {
				rt.Fatalf("%s\n%+v: matrix has %+v at %s, the trace says\n%s", yaml, req, got, c.Destination, explain.Text(tr))
			}
		}
	})
}

// spansOf are the spans that the port lies in: one, as they divide all ports.
func spansOf(c control.MatrixCell, req control.TraceRequest) (list []control.MatrixSpan) {
	for _, s := range c.Spans {
		if s.Protocol == req.Protocol && s.From <= req.Port && req.Port <= s.To {
			list = append(list, s)
		}
	}
	return list
}
