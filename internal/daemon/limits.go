package daemon

import (
	"context"
	"fmt"

	"github.com/vpcemu/vpcemu/internal/host"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

func limitsOf(l vpc.Limits) host.Limits {
	return host.Limits{CPU: l.Cpu, Memory: l.Memory, Pids: l.Pids}
}

// limit holds a running instance to its limits. Ones that it cannot be held to, such as less memory than it uses, are
// told once; the model keeps them, and its next start has them.
func (d *Daemon) limit(ctx context.Context, s *sandbox, l host.Limits) error {
	err := s.SetLimits(ctx, l)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	d.mu.Lock()
	s.limits = &l
	d.mu.Unlock()
	if err != nil {
		d.log.Error("limits", "id", s.id, "error", err)
		d.fail(s.id, err, false)
	}
	return nil
}

// mayLimit tells whether the machine can hold an instance to what is wished of it and was not before.
func (d *Daemon) mayLimit(w, before *wish) error {
	if before != nil && before.limits == w.limits {
		return nil
	}
	if err := d.host.CheckLimits(w.limits); err != nil {
		return w.about(fmt.Errorf("limits: %w", err))
	}
	return nil
}
