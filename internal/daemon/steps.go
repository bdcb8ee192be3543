package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vpcemu/vpcemu/internal/host"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

const (
	// stopGrace is what an instance gets to shut its services down before it is
	// killed. AWS gives a few minutes; a lab's user waits.
	stopGrace = 15 * time.Second
	// terminateGrace is the same where the disk goes too.
	terminateGrace = time.Second
)

// start makes a sandbox and reports it running. One that cannot be made leaves
// nothing, and its instance is stopped or, just launched, terminated, with the reason, as on AWS.
func (d *Daemon) start(ctx context.Context, w *wish) error {
	leave, err := d.occupy(ctx)
	if err != nil {
		return err
	}
	err = d.boot(ctx, w)
	leave()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		return d.running(ctx, w.id)
	}
	d.log.Error("instance cannot be started", "id", w.id, "error", err)
	d.fail(w.id, err, false)
	return d.record(ctx, func(tx *vpc.Tx) { markNotStarted(tx, w.id, "Server.InternalError: "+err.Error()) })
}

// running reports a sandbox running, once its instance may leave the state pending. One that has
// rebooted was running all the time; its new ports are published all the same.
func (d *Daemon) running(ctx context.Context, id string) error {
	if !d.passes(ctx, id, vpc.StatePending) && ctx.Err() != nil {
		return ctx.Err()
	}
	return d.record(ctx, func(tx *vpc.Tx) { markRunning(tx, id) })
}

// passes waits until an instance may leave a state (vpc.API), and tells whether it is in it then.
func (d *Daemon) passes(ctx context.Context, id, state string) bool {
	for {
		d.mu.Lock()
		changed, w := d.changed, d.wishes(d.Model())[id]
		d.mu.Unlock()
		if w == nil || w.state != state {
			return false
		}
		left := w.due.Sub(d.cfg.Now())
		if w.due.IsZero() || left <= 0 {
			return true
		}
		select {
		case <-time.After(left):
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

func (d *Daemon) boot(ctx context.Context, w *wish) error {
	spec := w.spec(d)
	name, release := d.reserve(w)
	defer release()
	spec.Name = name
	in, err := d.host.Start(ctx, spec)
	if err != nil {
		return err
	}
	if err := d.keep(ctx, in, w, &w.limits); err != nil {
		return errors.Join(err, d.host.Remove(context.WithoutCancel(ctx), w.id, false))
	}
	return nil
}

// keep makes a sandbox's queues ports of the network and watches for its end.
// limits are those that it is known to have.
func (d *Daemon) keep(ctx context.Context, in instance, w *wish, limits *host.Limits) error {
	queues, err := in.Queues(ctx)
	if err != nil {
		return err
	}
	s := &sandbox{instance: in, id: w.id, boot: in.BootID(), netns: in.Name(), ports: map[uint32]*queuePort{}, limits: limits}
	names := make(map[uint32]string, len(w.nics))
	for _, n := range w.nics {
		names[n.Handle] = n.ID
	}
	for handle, q := range queues {
		name := names[handle]
		if name == "" { // detached while no daemon ran: to be done here too
			name = fmt.Sprintf("handle %d", handle)
		}
		port, e := newPort(q, name)
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		s.ports[handle] = port
	}
	if err != nil {
		for _, p := range s.ports {
			_ = p.Close()
		}
		return err
	}
	d.mu.Lock()
	d.place(w.id, s)
	delete(d.failed, w.id)
	d.mu.Unlock()
	d.workers.Go(func() { d.watch(s) })
	return nil
}

// ended records the end of a sandbox that nobody asked for, then clears it away.
func (d *Daemon) ended(ctx context.Context, s *sandbox) error {
	d.log.Info("instance ended", "id", s.id, "cause", cause(*s.exit))
	if err := d.record(ctx, func(tx *vpc.Tx) { markEnded(tx, s.id, *s.exit) }); err != nil {
		return err
	}
	// Its own shutdown may be its termination (InstanceInitiatedShutdownBehavior).
	terminated := d.wishes(d.Model())[s.id] == nil
	return d.stopSandbox(ctx, s, 0, terminated)
}

// stopSandbox ends a sandbox and takes everything of it off the host, its disk
// too where asked.
func (d *Daemon) stopSandbox(ctx context.Context, s *sandbox, grace time.Duration, disk bool) error {
	d.mu.Lock()
	running := s.exit == nil
	d.mu.Unlock()
	var err error
	if running {
		err = s.Stop(ctx, grace)
	}
	if e := d.host.Remove(ctx, s.id, disk); e != nil {
		return errors.Join(err, e)
	}
	d.mu.Lock()
	if d.actual[s.id] == s {
		d.place(s.id, nil)
	}
	d.mu.Unlock()
	err = d.republish(ctx)
	if err == nil { // no snapshot names its ports any more, so they may be closed
		for _, p := range s.ports {
			_ = p.Close() // most were closed by the engine
		}
	}
	return err
}

// removeDisk takes away what is left of an instance that did not run when it went.
func (d *Daemon) removeDisk(ctx context.Context, id string) error {
	if err := d.host.Remove(ctx, id, true); err != nil {
		return err
	}
	d.mu.Lock()
	delete(d.orphans, id)
	d.mu.Unlock()
	return nil
}

func (d *Daemon) stopInstance(ctx context.Context, id string, have *sandbox) error {
	if have != nil {
		if err := d.stopSandbox(ctx, have, stopGrace, false); err != nil {
			return err
		}
	}
	if !d.passes(ctx, id, vpc.StateStopping) {
		return ctx.Err()
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
	if !d.passes(ctx, id, vpc.StateShuttingDown) {
		return ctx.Err()
	}
	return d.record(ctx, func(tx *vpc.Tx) { markTerminated(tx, id) })
}

// attach gives a running instance another interface. One that the instance does
// not take, although it answers, is detached again: the model tells what is.
func (d *Daemon) attach(ctx context.Context, s *sandbox, n host.NIC) error {
	q, err := s.AttachNIC(ctx, n)
	if err != nil {
		if _, e := s.Status(ctx); e != nil || ctx.Err() != nil {
			return err // about to end, or hung
		}
		d.log.Error("interface cannot be attached", "id", s.id, "interface", n.ID, "error", err)
		d.fail(s.id, err, false)
		return d.record(ctx, func(tx *vpc.Tx) { markNotAttached(tx, s.id, n, err) })
	}
	port, err := newPort(q, n.ID)
	if err != nil {
		return err
	}
	d.mu.Lock()
	s.ports[n.Handle] = port
	d.mu.Unlock()
	return d.republish(ctx)
}

// detach takes an interface off a running instance. No snapshot names its port.
func (d *Daemon) detach(ctx context.Context, s *sandbox, handle uint32) error {
	if err := s.DetachNIC(ctx, handle); err != nil {
		return err
	}
	d.mu.Lock()
	p := s.ports[handle]
	delete(s.ports, handle)
	d.mu.Unlock()
	if p != nil {
		_ = p.Close()
	}
	return nil
}
