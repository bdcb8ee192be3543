package daemon

import (
	"context"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/explain"
	"github.com/vpcemu/vpcemu/internal/graph"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Graph implements control.Applier. The picture and the trace in it are of one moment.
func (d *Daemon) Graph(ctx context.Context, req control.GraphRequest) (*control.Graph, error) {
	var text string
	err := d.settled(ctx, func(m *vpc.Model) (err error) {
		var tr *control.Trace
		if req.Trace != nil {
			if tr, err = explain.Trace(m, d.engine.Tracer(), *req.Trace); err != nil {
				return err
			}
		}
		text, err = graph.Render(req.Format, m, tr)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &control.Graph{Text: text}, nil
}
