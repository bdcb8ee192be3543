package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/explain"
	"github.com/vpcemu/vpcemu/internal/matrix"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// How often a look at model and network is repeated because they changed meanwhile.
const (
	lookTries = 20
	lookAgain = 5 * time.Millisecond
)

// Trace implements control.Applier. Nothing is sent, and flow tables and counters stay as
// they are.
func (d *Daemon) Trace(ctx context.Context, req control.TraceRequest) (tr *control.Trace, err error) {
	err = d.settled(ctx, func(m *vpc.Model) (err error) {
		tr, err = explain.Trace(m, d.engine.Tracer(), req)
		return err
	})
	return tr, err
}

// Matrix implements control.Applier.
func (d *Daemon) Matrix(ctx context.Context, req control.MatrixRequest) (x *control.Matrix, err error) {
	err = d.settled(ctx, func(m *vpc.Model) (err error) {
		x, err = matrix.Make(m, d.engine.Tracer, req)
		return err
	})
	return x, err
}

// settled runs look with a model that is the network's from its start to its end: a model
// is shown a moment before the network is as it says.
func (d *Daemon) settled(ctx context.Context, look func(m *vpc.Model) error) (err error) {
	for range lookTries {
		m := d.Model()
		if err = look(m); d.Model() == m && !errors.Is(err, explain.ErrChanging) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookAgain):
		}
	}
	return err
}
