package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/vpcemu/vpcemu/internal/host"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

const (
	// startTogether bounds how many sandboxes are made at once: more only makes
	// each slower.
	startTogether = 8
	// What failed on the host after the commit is tried again, at first so soon
	// and at last so seldom.
	retryFirst = time.Second
	retryLast  = 30 * time.Second
)

// sandbox is one running instance or Internet host as the daemon sees it. exit
// and ports are guarded by Daemon.mu.
type sandbox struct {
	instance // nil if it ended while no daemon was there
	id       string
	boot     int
	netns    string
	ports    map[uint32]*queuePort // by NIC handle
	exit     *host.Exit            // set once it has ended
	limits   *host.Limits          // what it was told last; nil where that was another daemon
}

// failure is why an instance is not what it should be.
type failure struct {
	number   uint64 // counts the failures of this daemon, so that each is told once
	err      error
	retrying bool
}

// step is one thing to be done about an instance.
type step func(context.Context) error

// reconcile starts a worker for everything on the host that differs from the
// model and has none yet. It returns at once.
func (d *Daemon) reconcile() {
	d.mu.Lock()
	defer d.mu.Unlock()
	wishes := d.wishes(d.Model())
	if d.ctx.Err() != nil {
		return
	}
	for id := range d.actual {
		d.employ(wishes, id)
	}
	for id := range wishes {
		d.employ(wishes, id)
	}
	for id := range d.orphans {
		d.employ(wishes, id)
	}
	for id, f := range d.failed {
		launch := !f.retrying && d.Model().Instances.Get(vpc.InstanceID(id)) != nil // who waits for it may not have been told
		if wishes[id] == nil && d.actual[id] == nil && !launch {
			delete(d.failed, id)
		}
	}
	d.outside.poke()
	d.notify()
}

// employ starts a worker where there is work and nobody at it. d.mu is held.
func (d *Daemon) employ(wishes map[string]*wish, id string) {
	if d.busy[id] {
		return
	}
	if do, _ := d.next(wishes, id); do != nil {
		d.busy[id] = true
		d.workers.Go(func() { d.work(id) })
	}
}

// work does one thing after another for an instance until model and host agree.
func (d *Daemon) work(id string) {
	delay := retryFirst
	for {
		do := d.take(id)
		if do == nil {
			return
		}
		err := do(d.ctx)
		d.steps.Add(1)
		if d.ctx.Err() != nil {
			d.idle(id)
			return
		}
		if err == nil {
			delay = retryFirst
			continue
		}
		d.log.Error("instance", "id", id, "error", err)
		d.fail(id, err, true)
		select {
		case <-time.After(delay):
			delay = min(2*delay, retryLast)
		case <-d.ctx.Done():
			d.idle(id)
			return
		}
	}
}

// take is the worker's next step; with none left it is a worker no more. The
// model is read under the lock: a commit after that reconciles after this, and
// finds nobody at work.
func (d *Daemon) take(id string) step {
	d.mu.Lock()
	defer d.mu.Unlock()
	do, _ := d.next(d.wishes(d.Model()), id)
	if do == nil || d.ctx.Err() != nil {
		delete(d.busy, id)
		d.notify()
		return nil
	}
	return do
}

func (d *Daemon) idle(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.busy, id)
	d.notify()
}

// fail notes why an instance is not what it should be, for who waits.
func (d *Daemon) fail(id string, err error, retrying bool) {
	if w := d.wishes(d.Model())[id]; w != nil {
		err = w.about(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failures++
	d.failed[id] = failure{number: d.failures, err: err, retrying: retrying}
	d.notify()
}

// next is what has to be done first about an instance, or nil; blocked tells that
// another one has to be out of the way first. d.mu is held.
func (d *Daemon) next(wishes map[string]*wish, id string) (do step, blocked bool) {
	want, have := wishes[id], d.actual[id]
	switch {
	case want == nil && have == nil && d.orphans[id]:
		return func(ctx context.Context) error { return d.removeDisk(ctx, id) }, false
	case want == nil && have == nil:
		return nil, false
	case want == nil:
		return func(ctx context.Context) error { return d.stopSandbox(ctx, have, terminateGrace, true) }, false
	case want.state == vpc.StateShuttingDown:
		return func(ctx context.Context) error { return d.terminate(ctx, id, have) }, false
	case want.state == vpc.StateStopping:
		return func(ctx context.Context) error { return d.stopInstance(ctx, id, have) }, false
	case have != nil && (!want.run || have.boot != want.boot):
		return func(ctx context.Context) error { return d.stopSandbox(ctx, have, stopGrace, false) }, false
	case !want.run:
		return nil, false
	case have == nil && d.nameGoing(wishes, want):
		return nil, true
	case have == nil:
		return func(ctx context.Context) error { return d.start(ctx, want) }, false
	case have.exit != nil:
		return func(ctx context.Context) error { return d.ended(ctx, have) }, false
	case want.state == vpc.StatePending:
		return func(ctx context.Context) error { return d.running(ctx, id) }, false
	}
	if have.limits == nil || *have.limits != want.limits {
		return func(ctx context.Context) error { return d.limit(ctx, have, want.limits) }, false
	}
	return d.nextNIC(want, have), false
}

// nextNIC is the same about the interfaces of a running instance. One whose port
// the engine closed was detached and attached again in one go. d.mu is held.
func (d *Daemon) nextNIC(want *wish, have *sandbox) step {
	for handle, p := range have.ports {
		if !want.has(handle) || p.closed.Load() {
			return func(ctx context.Context) error { return d.detach(ctx, have, handle) }
		}
	}
	for _, n := range want.nics {
		if have.ports[n.Handle] == nil {
			return func(ctx context.Context) error { return d.attach(ctx, have, n) }
		}
	}
	return nil
}

// nameGoing tells whether an instance that is going still has the name in `ip
// netns` that another is to start with, which has no sandbox. d.mu is held.
func (d *Daemon) nameGoing(wishes map[string]*wish, w *wish) bool {
	if d.held[w.netns] == 0 { // nearly always
		return false
	}
	for id, s := range d.actual {
		is := wishes[id]
		if s.netns == w.netns && (is == nil || !is.run || is.boot != s.boot || s.exit != nil) {
			return true
		}
	}
	return false
}

// reserve gives the name that a sandbox is to have in `ip netns`, and keeps it for its start. An
// instance that was renamed while it runs keeps the name that it has there: who comes after it
// goes by the ID.
func (d *Daemon) reserve(w *wish) (name string, release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if name = w.netns; d.held[name] > 0 {
		name = w.id
	}
	d.held[name]++
	return name, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.giveName(name)
	}
}

// giveName takes back one claim to a name. d.mu is held.
func (d *Daemon) giveName(name string) {
	if d.held[name]--; d.held[name] == 0 {
		delete(d.held, name)
	}
}

// place puts a sandbox in the place of the one that the instance had, if any; nil
// leaves none. d.mu is held.
func (d *Daemon) place(id string, s *sandbox) {
	if old := d.actual[id]; old != nil {
		delete(d.actual, id)
		d.giveName(old.netns)
	}
	if s != nil {
		d.actual[id] = s
		d.held[s.netns]++
	}
}

// watch waits for a sandbox's end. One that nobody asked for is the instance's
// own doing (poweroff, reboot) or a misfortune (killed).
func (d *Daemon) watch(s *sandbox) {
	select {
	case exit := <-s.Done():
		d.mu.Lock()
		s.exit = &exit
		d.mu.Unlock()
		d.reconcile()
	case <-d.ctx.Done():
	}
}

// notify wakes everyone who waits for the host side to change. d.mu is held.
func (d *Daemon) notify() {
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *Daemon) busyWorkers() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.busy)
}

// record applies what happened on the host, which no rule can refuse.
func (d *Daemon) record(ctx context.Context, happened func(*vpc.Tx)) error {
	change := func(tx *vpc.Tx) error { happened(tx); return nil }
	return d.submit(ctx, &request{change: change, patient: true, done: make(chan struct{})})
}

// republish compiles the model anew because the host has changed under it.
func (d *Daemon) republish(ctx context.Context) error { return d.record(ctx, func(*vpc.Tx) {}) }

// occupy waits for one of the places of those who start sandboxes.
func (d *Daemon) occupy(ctx context.Context) (leave func(), err error) {
	select {
	case d.slots <- struct{}{}:
		return func() { <-d.slots }, nil
	case <-ctx.Done():
		return nil, errors.Join(errStopping, ctx.Err())
	}
}
