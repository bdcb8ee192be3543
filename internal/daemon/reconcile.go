package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/host"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

const (
	// startTogether bounds how many sandboxes are made at once: more only makes
	// each slower.
	startTogether = 8
	// stopGrace is what an instance gets to shut its services down before it is
	// killed. AWS gives a few minutes; a lab's user waits.
	stopGrace = 15 * time.Second
	// terminateGrace is the same where the disk goes too.
	terminateGrace = time.Second
)

// sandbox is one running instance or Internet host as the daemon sees it.
type sandbox struct {
	*host.Sandbox
	id       string
	boot     int
	ports    map[uint32]*filePort // by NIC handle
	expected bool                 // its end was asked for
}

// failure is why an instance could not be started.
type failure struct {
	boot int
	err  error
}

var slots = make(chan struct{}, startTogether)

// reconcile starts a worker for everything on the host that differs from the
// model and has none yet. It returns at once.
func (d *Daemon) reconcile() {
	m := d.Model()
	d.mu.Lock()
	defer d.mu.Unlock()
	ids := map[string]bool{}
	for id := range d.actual {
		ids[id] = true
	}
	for id := range d.wishes(m) {
		ids[id] = true
	}
	for id := range ids {
		if d.busy[id] || d.next(m, id) == nil {
			continue
		}
		d.busy[id] = true
		d.workers.Go(func() { d.work(id) })
	}
	d.notify()
}

// work does one thing after another for an instance until model and host agree.
func (d *Daemon) work(id string) {
	slots <- struct{}{}
	defer func() { <-slots }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		select {
		case <-d.quit:
			d.idle(id)
			return
		default:
		}
		d.mu.Lock()
		step := d.next(d.Model(), id)
		if step == nil {
			d.busy[id] = false
			d.notify()
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		if err := step(ctx); err != nil && !errors.Is(err, errStopping) {
			d.log.Error("instance", "id", id, "error", err)
			d.giveUp(ctx, id, err)
		}
	}
}

func (d *Daemon) idle(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy[id] = false
	d.notify()
}

// giveUp records why an instance does not do what it should. One that could not
// be started is stopped, with the reason, as AWS does with Server.InternalError.
func (d *Daemon) giveUp(ctx context.Context, id string, err error) {
	w := d.wishes(d.Model())[id]
	d.mu.Lock()
	boot := 0
	if w != nil {
		boot = w.boot
	}
	d.failed[id] = failure{boot: boot, err: err}
	d.mu.Unlock()
	if w == nil || !w.run {
		return
	}
	e := d.record(ctx, func(tx *vpc.Tx) { markStopped(tx, id, "Server.InternalError: "+err.Error()) })
	if e != nil && !errors.Is(e, errStopping) {
		d.log.Error("instance", "id", id, "error", e)
	}
}

// next is what has to be done first about an instance, or nil. d.mu is held.
func (d *Daemon) next(m *vpc.Model, id string) func(context.Context) error {
	want, have := d.wishes(m)[id], d.actual[id]
	switch {
	case want == nil && have != nil:
		return func(ctx context.Context) error { return d.stopSandbox(ctx, have, terminateGrace, true) }
	case want == nil:
		return nil
	case want.state == vpc.StateShuttingDown:
		return func(ctx context.Context) error { return d.terminate(ctx, id, have) }
	case want.state == vpc.StateStopping:
		return func(ctx context.Context) error { return d.stopInstance(ctx, id, have) }
	case !want.run && have != nil:
		return func(ctx context.Context) error { return d.stopSandbox(ctx, have, stopGrace, false) }
	case !want.run:
		return nil
	case have != nil && have.boot != want.boot:
		return func(ctx context.Context) error { return d.stopSandbox(ctx, have, stopGrace, false) }
	case have == nil:
		return func(ctx context.Context) error { return d.start(ctx, want) }
	case want.state == vpc.StatePending:
		return func(ctx context.Context) error {
			return d.record(ctx, func(tx *vpc.Tx) { markRunning(tx, id) })
		}
	}
	for _, n := range want.nics {
		if have.ports[n.Handle] == nil {
			return func(ctx context.Context) error { return d.attach(ctx, have, n) }
		}
	}
	for handle := range have.ports {
		if !want.has(handle) {
			return func(ctx context.Context) error { return d.detach(ctx, have, handle) }
		}
	}
	return nil
}

// start makes a sandbox, takes its queues and reports it running.
func (d *Daemon) start(ctx context.Context, w *wish) error {
	spec, err := w.spec(d)
	if err != nil {
		return err
	}
	sb, err := d.host.Start(ctx, spec)
	if err != nil {
		return err
	}
	if err := d.take(ctx, sb, spec.ID, spec.BootID, spec.NICs); err != nil {
		return errors.Join(err, d.host.Remove(ctx, spec.ID, false))
	}
	return d.record(ctx, func(tx *vpc.Tx) { markRunning(tx, spec.ID) })
}

// take makes a sandbox's queues ports of the network and watches for its end.
func (d *Daemon) take(ctx context.Context, sb *host.Sandbox, id string, boot int, nics []host.NIC) error {
	queues, err := sb.Queues(ctx)
	if err != nil {
		return fmt.Errorf("%s: queues: %w", id, err)
	}
	s := &sandbox{Sandbox: sb, id: id, boot: boot, ports: map[uint32]*filePort{}}
	for _, n := range nics {
		if q := queues[n.Handle]; q != nil {
			s.ports[n.Handle] = newPort(q, n)
			delete(queues, n.Handle)
		}
	}
	for _, q := range queues {
		q.Close() // a NIC that was detached while no daemon ran: detach follows
	}
	d.mu.Lock()
	d.actual[id] = s
	maps.Copy(d.ports, s.ports)
	delete(d.failed, id)
	d.mu.Unlock()
	d.workers.Go(func() { d.watch(s) })
	return nil
}

// watch waits for a sandbox's end. One that nobody asked for is the instance's
// own doing (poweroff, reboot) or a misfortune (killed).
func (d *Daemon) watch(s *sandbox) {
	var exit host.Exit
	select {
	case exit = <-s.Done():
	case <-d.quit:
		return
	}
	d.mu.Lock()
	expected := s.expected
	if !expected {
		d.forget(s)
	}
	d.mu.Unlock()
	if expected {
		return
	}
	ctx := context.Background()
	d.log.Info("instance ended", "id", s.id, "cause", cause(exit))
	d.warn("remove "+s.id, d.host.Remove(ctx, s.id, false))
	err := d.Apply(ctx, func(tx *vpc.Tx) error { return markEnded(tx, s.id, exit) })
	if err != nil && !errors.Is(err, errStopping) {
		d.log.Error("instance ended", "id", s.id, "error", err)
	}
}

// forget takes a sandbox and its ports out of what there is. d.mu is held.
func (d *Daemon) forget(s *sandbox) {
	if d.actual[s.id] != s {
		return
	}
	delete(d.actual, s.id)
	for handle, p := range s.ports {
		if d.ports[handle] == p {
			delete(d.ports, handle)
		}
	}
}

// stopSandbox ends a sandbox and takes everything of it off the host, its disk
// too where asked.
func (d *Daemon) stopSandbox(ctx context.Context, s *sandbox, grace time.Duration, disk bool) error {
	d.mu.Lock()
	s.expected = true
	d.mu.Unlock()
	stopErr := s.Stop(ctx, grace)
	if err := d.host.Remove(ctx, s.id, disk); err != nil {
		return errors.Join(stopErr, err)
	}
	d.mu.Lock()
	d.forget(s)
	d.mu.Unlock()
	// The snapshot still names its ports; the next one does not, and the engine
	// then closes them.
	return d.record(ctx, func(*vpc.Tx) {})
}

func (d *Daemon) stopInstance(ctx context.Context, id string, have *sandbox) error {
	if have != nil {
		if err := d.stopSandbox(ctx, have, stopGrace, false); err != nil {
			return err
		}
	}
	return d.record(ctx, func(tx *vpc.Tx) { markStopped(tx, id, "") })
}

func (d *Daemon) terminate(ctx context.Context, id string, have *sandbox) error {
	if have != nil {
		if err := d.stopSandbox(ctx, have, terminateGrace, true); err != nil {
			return err
		}
	} else if err := d.host.Remove(ctx, id, true); err != nil {
		return err
	}
	return d.record(ctx, func(tx *vpc.Tx) { markTerminated(tx, id) })
}

// record applies what happened on the host, which no rule can refuse.
func (d *Daemon) record(ctx context.Context, happened func(*vpc.Tx)) error {
	return d.Apply(ctx, func(tx *vpc.Tx) error { happened(tx); return nil })
}

func (d *Daemon) attach(ctx context.Context, s *sandbox, n host.NIC) error {
	q, err := s.AttachNIC(ctx, n)
	if err != nil {
		return fmt.Errorf("%s: attach %s: %w", s.id, n.ID, err)
	}
	d.mu.Lock()
	s.ports[n.Handle] = newPort(q, n)
	d.ports[n.Handle] = s.ports[n.Handle]
	d.mu.Unlock()
	return d.record(ctx, func(*vpc.Tx) {})
}

func (d *Daemon) detach(ctx context.Context, s *sandbox, handle uint32) error {
	if err := s.DetachNIC(ctx, handle); err != nil {
		return fmt.Errorf("%s: detach: %w", s.id, err)
	}
	d.mu.Lock()
	delete(s.ports, handle)
	delete(d.ports, handle)
	d.mu.Unlock()
	return d.record(ctx, func(*vpc.Tx) {})
}

// adoptAll takes over the sandboxes that an earlier daemon left running, and
// removes what the model does not know. An instance that should run and does
// not, because the host was restarted or the sandbox was killed meanwhile, is
// started afresh by reconcile, with its disk and addresses.
func (d *Daemon) adoptAll(ctx context.Context, m *vpc.Model) error {
	ids, err := d.host.Sandboxes()
	if err != nil {
		return err
	}
	want := d.wishes(m)
	for _, id := range ids {
		w := want[id]
		if w == nil {
			d.log.Info("removing what belongs to no instance", "id", id)
			if err := d.host.Remove(ctx, id, true); err != nil {
				return err
			}
			continue
		}
		sb, err := d.host.Adopt(ctx, id)
		if err == nil && sb.BootID() == w.boot && w.run {
			err = d.take(ctx, sb, id, w.boot, w.nics)
		} else if err == nil {
			err = errors.New("it is of an earlier boot")
		}
		if err != nil {
			if !errors.Is(err, os.ErrNotExist) {
				d.log.Info("not adopted", "id", id, "reason", err)
			}
			if err := d.host.Remove(ctx, id, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// ENI is the port of a network interface or Internet host by its handle, nil
// while nothing is attached. It implements compile.Ports.
func (d *Daemon) ENI(handle uint32) dataplane.Port {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.ports[handle]; p != nil {
		return p
	}
	return nil // not a nil *filePort: an interface that holds one is not nil
}

// Services is the port of a VPC's services namespace. It implements compile.Ports.
func (d *Daemon) Services(id vpc.VpcID) dataplane.Port { return d.names.port(id) }

// notify wakes everyone who waits for the host side to change. d.mu is held.
func (d *Daemon) notify() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// settle waits until the host agrees with the model about the given instances
// (all where none is named), and returns the failures met on the way.
func (d *Daemon) settle(ctx context.Context, ids ...string) error {
	for {
		m := d.Model()
		d.mu.Lock()
		waiting, wake := false, d.changed
		var errs []error
		for id, w := range d.wishes(m) {
			if len(ids) > 0 && !slices.Contains(ids, id) {
				continue
			}
			waiting = waiting || d.busy[id] || d.next(m, id) != nil
			if f, ok := d.failed[id]; ok && f.boot == w.boot {
				errs = append(errs, fmt.Errorf("instance %s: %w", w.name, f.err))
			}
		}
		for id := range d.actual {
			if len(ids) == 0 || slices.Contains(ids, id) {
				waiting = waiting || d.busy[id]
			}
		}
		d.mu.Unlock()
		if !waiting {
			return errors.Join(errs...)
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return errors.Join(append(errs, fmt.Errorf("instances are still changing: %w", ctx.Err()))...)
		case <-d.quit:
			return errStopping
		}
	}
}
