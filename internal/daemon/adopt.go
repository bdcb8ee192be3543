package daemon

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/vpcemu/vpcemu/internal/host"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// adoptAll takes over the sandboxes that an earlier daemon left running, and
// removes what the model does not know. What ended meanwhile is kept in mind for
// recordEnds; an instance that should run and left no trace, because
// the machine was restarted, is started afresh with its disk and addresses.
func (d *Daemon) adoptAll(ctx context.Context, m *vpc.Model) error {
	ids, err := d.host.Sandboxes()
	if err != nil {
		return err
	}
	wishes := d.wishes(m)
	errs := make([]error, len(ids))
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() {
			d.slots <- struct{}{}
			defer func() { <-d.slots }()
			if w := wishes[id]; w == nil {
				d.log.Info("removing what belongs to no instance", "id", id)
				errs[i] = d.host.Remove(ctx, id, true)
			} else if err := d.adopt(ctx, w); err != nil {
				errs[i] = w.about(err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// adopt takes over an instance that runs, also one that should not or that is of
// an earlier boot: it gets the grace to end that it would have got.
func (d *Daemon) adopt(ctx context.Context, w *wish) error {
	in, err := d.host.Adopt(ctx, w.id)
	if err == nil {
		err = d.keep(ctx, in, w, nil)
	}
	if err == nil {
		return nil
	}
	if boot, exit, ok := d.host.Ended(w.id); ok && boot == w.boot && tells(w, exit) {
		d.mu.Lock()
		d.place(w.id, &sandbox{id: w.id, boot: boot, netns: w.netns, exit: &exit})
		d.mu.Unlock()
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		d.log.Info("not adopted", "id", w.id, "reason", err)
	}
	return d.host.Remove(ctx, w.id, false)
}

// tells whether an end that no daemon saw is the instance's own or a misfortune.
// One that was never reported running may have lost its daemon while it was being
// made, which is no reason to stop it.
func tells(w *wish, exit host.Exit) bool {
	return w.state == vpc.StateRunning || w.state == vpc.StatePending && (exit.Cause == host.ExitPoweroff || exit.Cause == host.ExitReboot)
}

// recordEnds makes the model tell what ended while no daemon was there, before
// anybody asks it: an `up` that took a killed instance for a running one would
// leave it stopped.
func (d *Daemon) recordEnds(m *vpc.Model) (*vpc.Model, error) {
	tx := vpc.Begin(m, d.call())
	ended := false
	for _, id := range slices.Sorted(maps.Keys(d.actual)) {
		if s := d.actual[id]; s.exit != nil {
			d.log.Info("instance ended", "id", id, "cause", cause(*s.exit))
			markEnded(tx, id, *s.exit)
			ended = true
		}
	}
	if !ended {
		return m, nil
	}
	if err := d.store.Commit(m, &tx.Model); err != nil {
		return nil, err
	}
	tx.Model.Publish()
	d.model.Store(&tx.Model)
	return &tx.Model, nil
}
