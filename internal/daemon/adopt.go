package daemon

import (
	"context"
	"errors"
	"os"
	"sync"

	"github.com/vpcemu/vpcemu/internal/host"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// adoptAll takes over the sandboxes that an earlier daemon left running, and
// removes what the model does not know. What ended meanwhile is kept in mind, and
// reconcile records it; an instance that should run and left no trace, because
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
		err = d.keep(ctx, in, w)
	}
	if err == nil {
		return nil
	}
	if boot, exit, ok := d.host.Ended(w.id); ok && boot == w.boot && tells(w, exit) {
		d.mu.Lock()
		d.actual[w.id] = &sandbox{id: w.id, boot: boot, netns: w.netns, exit: &exit}
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
