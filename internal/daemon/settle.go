package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

const (
	// userDataPatience is how long `up` waits for user data that is running, so
	// that what fails at once is told at once.
	userDataPatience = 5 * time.Second
	// userDataLook is how often it looks meanwhile.
	userDataLook = 20 * time.Millisecond
)

// moment is a point in the daemon's list of failures: settle tells the later ones.
func (d *Daemon) moment() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failures
}

// settle waits until the host agrees with the model about the given instances
// (all if nil), and returns the failures that were met on the way. What failed
// and is being tried again is not waited for.
func (d *Daemon) settle(ctx context.Context, since uint64, ids map[string]bool) error {
	for {
		wake, busy := d.working(ids)
		if !busy {
			var waiting bool
			var err error
			if wake, waiting, err = d.unsettled(since, ids); !waiting {
				return err
			}
		}
		select {
		case <-wake:
		case <-ctx.Done():
			_, _, err := d.unsettled(since, ids)
			return errors.Join(err, fmt.Errorf("instances are still changing: %w", context.Cause(ctx)))
		case <-d.ctx.Done():
			return errStopping
		}
	}
}

// working tells at little cost that somebody is at work for one of the instances,
// which a thousand workers make us look for a few thousand times.
func (d *Daemon) working(ids map[string]bool) (wake <-chan struct{}, busy bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id := range d.busy {
		if (ids == nil || ids[id]) && !d.failed[id].retrying {
			return d.changed, true
		}
	}
	return d.changed, false
}

func (d *Daemon) unsettled(since uint64, ids map[string]bool) (wake <-chan struct{}, waiting bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	wishes := d.wishes(d.Model())
	all := map[string]bool{}
	for id := range wishes {
		all[id] = true
	}
	for id := range d.actual {
		all[id] = true
	}
	for id := range d.orphans {
		all[id] = true
	}
	for id := range d.failed { // also of launches that ended with it
		all[id] = true
	}
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if ids != nil && !ids[id] {
			continue
		}
		f, failed := d.failed[id]
		if failed && f.number > since {
			errs = append(errs, f.err)
		}
		if failed && f.retrying {
			continue
		}
		do, blocked := d.next(wishes, id)
		waiting = waiting || d.busy[id] || do != nil || blocked
	}
	return d.changed, waiting, errors.Join(errs...)
}

// ready waits until the given instances (all if nil) hold their addresses, as far
// as they run.
func (d *Daemon) ready(ctx context.Context, ids map[string]bool, progress func(string)) error {
	wishes := d.wishes(d.Model())
	d.mu.Lock()
	var list []*sandbox
	for id, s := range d.actual {
		if w := wishes[id]; w != nil && w.run && s.exit == nil && (ids == nil || ids[id]) {
			list = append(list, s)
		}
	}
	d.mu.Unlock()
	slices.SortFunc(list, func(a, b *sandbox) int { return compareNames(wishes, a.id, b.id) })
	errs := make([]error, len(list))
	var all sync.WaitGroup
	for i, s := range list {
		all.Go(func() {
			w := wishes[s.id]
			if err := s.WaitReady(ctx); err != nil {
				errs[i] = w.about(fmt.Errorf("%w; its console: %s", err, d.host.ConsoleLog(s.id)))
				return
			}
			progress("ready   " + w.name)
			if w.userData { // most have none, and need not be asked
				d.awaitUserData(ctx, s)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// awaitUserData waits for the end of user data, but not for long.
func (d *Daemon) awaitUserData(ctx context.Context, s *sandbox) {
	ctx, cancel := context.WithTimeout(ctx, userDataPatience)
	defer cancel()
	tick := time.NewTicker(userDataLook)
	defer tick.Stop()
	for {
		st, err := s.Status(ctx)
		if err != nil || st.UserData.State != wire.UserDataPending && st.UserData.State != wire.UserDataRunning {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func compareNames(wishes map[string]*wish, a, b string) int {
	return strings.Compare(wishes[a].name, wishes[b].name)
}
