package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// request is one change waiting to be applied.
type request struct {
	change func(*vpc.Tx) error
	// patient: nobody waits for the answer but a worker of the host side.
	patient bool
	err     error
	done    chan struct{}
}

// errStopping is what whoever still waits for the daemon gets when it ends.
var errStopping = control.ErrStopping

// Apply runs change on a working copy of the model and, where it succeeds, makes
// the result durable and visible to the next packet before it returns. A change
// that fails, does not compile or cannot be committed has changed nothing. It may
// run more than once: where changes were tried together and the whole failed.
// What the host must do about it follows; wait for it with settle.
func (d *Daemon) Apply(ctx context.Context, change func(*vpc.Tx) error) error {
	return d.submit(ctx, &request{change: change, done: make(chan struct{})})
}

// whyEnded is errStopping where a request ended because the daemon does, nil where its
// client has left.
func whyEnded(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errStopping) {
		return errStopping
	}
	return nil
}

func (d *Daemon) submit(ctx context.Context, r *request) error {
	select {
	case d.requests <- r:
	case <-d.ctx.Done():
		return errStopping
	case <-ctx.Done():
		return cmp.Or(whyEnded(ctx), ctx.Err())
	}
	select {
	case <-r.done: // also when ctx ends: whether it was applied must be known
		return r.err
	case <-d.committed:
	}
	select { // the committer has ended, maybe with this as its last deed
	case <-r.done:
		return r.err
	default:
		return errStopping
	}
}

// commitLoop applies requests; those that wait together share one commit.
func (d *Daemon) commitLoop() {
	defer close(d.committed)
	var took time.Duration // by the last commit
	for {
		select {
		case <-d.ctx.Done():
			return
		case first := <-d.requests:
			batch := d.gather(first, min(gatherFor*took, gatherMost))
			began := time.Now()
			d.commit(batch)
			took = time.Since(began)
		}
	}
}

// gatherFor is how many times as long as the last commit took the next one may be
// put off. Each looks at the whole lab: a thousand instances that start would
// otherwise be looked at a thousand times.
const (
	gatherFor  = 4
	gatherMost = 200 * time.Millisecond // also after a commit that the disk held up
)

// gather takes the requests that wait, and those that come within the time given
// while only workers wait for an answer and more of them are busy.
func (d *Daemon) gather(first *request, within time.Duration) []*request {
	batch := []*request{first}
	patient := first.patient
	late := time.After(within)
	for {
		for len(d.requests) > 0 {
			r := <-d.requests
			batch, patient = append(batch, r), patient && r.patient
		}
		if !patient || d.busyWorkers() <= len(batch) {
			return batch
		}
		select {
		case r := <-d.requests:
			batch, patient = append(batch, r), r.patient
		case <-late:
			return batch
		case <-d.ctx.Done():
			return batch
		}
	}
}

// commit tries the batch as one, and one by one where that fails, so that a
// request pays only for its own faults.
func (d *Daemon) commit(batch []*request) {
	err := d.applyAll(batch)
	switch {
	case err != nil && len(batch) == 1:
		batch[0].err = err
	case err != nil:
		for _, r := range batch {
			if err := d.applyAll([]*request{r}); err != nil {
				r.err = err
			}
		}
	}
	d.reconcile() // before the answers: who gets one finds the work begun
	for _, r := range batch {
		close(r.done)
	}
}

// applyAll runs the changes one after another, each all or nothing but where EC2 does a part, then
// compiles, commits and publishes what they made of the model. Where no change
// succeeded there is nothing to do.
func (d *Daemon) applyAll(batch []*request) error {
	old := d.model.Load()
	tx := vpc.Begin(old, d.call())
	useful := false
	for _, r := range batch {
		before := tx.Model.Clone()
		r.err = d.run(r, tx)
		tx.Call.Region, tx.Call.Client, tx.Region = "", false, tx.Model.Region
		if vpc.Stands(r.err) {
			useful = true
		} else {
			tx.Model = before
		}
	}
	if !useful {
		return nil
	}
	m := &tx.Model
	s, err := d.compile(m)
	if err != nil {
		return err
	}
	if err := d.store.Commit(old, m); err != nil {
		return err
	}
	d.show(m, s)
	return nil
}

// run turns a panic in an operation into its failure: the working copy is thrown
// away, and the packets of everyone else go on.
func (d *Daemon) run(r *request, tx *vpc.Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			d.log.Error("an operation panicked", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error: %v: nothing was changed; the daemon's log has the details", p)
		}
	}()
	return r.change(tx)
}

// publish shows m to the packets without a change to it, at start.
func (d *Daemon) publish(m *vpc.Model) error {
	s, err := d.compile(m)
	if err != nil {
		return err
	}
	d.show(m, s)
	return nil
}

func (d *Daemon) compile(m *vpc.Model) (*dataplane.Snapshot, error) {
	if err := d.services.prepare(m); err != nil {
		return nil, err
	}
	d.generation++
	s, err := d.compiled.Snapshot(m, d.portsOf(m), d.generation)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	return s, nil
}

// show makes m what everyone sees. Swap returns when no packet is under way in
// the old snapshot any more, so that the answer to an operation means that the
// next packet meets it.
func (d *Daemon) show(m *vpc.Model, s *dataplane.Snapshot) {
	d.disown(m)
	m.Publish()
	d.model.Store(m)
	d.engine.Swap(s)
	d.logs.follow(m)
	d.services.publish(m)
}

// disown notes the disks that nobody owns in m any more: those of instances that
// were stopped when they went, so that no sandbox's end takes the disk along.
func (d *Daemon) disown(m *vpc.Model) {
	old := d.Model()
	if old == nil {
		return // at start: what belongs to nothing has been removed already
	}
	was, is := d.wishes(old), d.wishes(m)
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, w := range was {
		if is[id] == nil && d.actual[id] == nil && w.state != vpc.StateShuttingDown {
			d.orphans[id] = true
		}
	}
}
