package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/vpcemu/vpcemu/internal/cgroup"
	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// Limits of what an instance may use; 0 is no limit.
type Limits = cgroup.Limits

// CheckLimits tells by an error, with the remedy, whether this machine cannot hold an instance to the limits.
func (h *Host) CheckLimits(l Limits) error {
	if l.IsZero() {
		return nil
	}
	m, err := cgroup.Find() // anew: what was missing may have been mounted since
	if err != nil {
		return fmt.Errorf("control groups: %w", err)
	}
	h.cgroups.Store(m)
	return m.Check(l)
}

// group is the instance's control group: vpcemu/LAB/ID. A lab whose run directory is not the usual one has its own
// name there, since another may have the same name and, made of the same file, the same IDs.
func (h *Host) group(id string) (cgroup.Group, error) {
	m := h.cgroups.Load()
	if m == nil { // looked for once: there is a mount for each running instance to look through
		var err error
		if m, err = cgroup.Find(); err != nil {
			return cgroup.Group{}, fmt.Errorf("control groups: %w", err)
		}
		h.cgroups.Store(m)
	}
	lab := h.cfg.Lab
	if h.cfg.RunDir != filepath.Join("/run/vpcemu", lab) {
		sum := sha256.Sum256([]byte(h.cfg.RunDir))
		lab += "." + hex.EncodeToString(sum[:4])
	}
	return m.Group("vpcemu/" + lab + "/" + id), nil
}

// confine puts a PID 1 that has started nothing yet into its group. shown are the directories of the group that the
// instance sees, so that programs that look for their limits find them.
func (h *Host) confine(id string, pid int, l Limits) (shown []wire.Cgroup, err error) {
	if l.IsZero() {
		return nil, nil
	}
	if err := h.CheckLimits(l); err != nil {
		return nil, err
	}
	g, err := h.group(id)
	if err != nil {
		return nil, err
	}
	if _, err := g.Set(l); err != nil {
		return nil, err
	}
	if err := g.Add(pid); err != nil {
		return nil, err
	}
	for name, dir := range g.Dirs() {
		c := wire.Cgroup{Dir: dir, Name: name}
		if g.V2(name) {
			c.Name = ""
		}
		if !slices.Contains(shown, c) {
			shown = append(shown, c)
		}
	}
	return shown, nil
}

// SetLimits holds the running instance to the limits from now on; those that are 0 are taken off. What the instance
// sees in /sys/fs/cgroup are the kinds of limits that it was started with.
func (s *Sandbox) SetLimits(ctx context.Context, l Limits) error {
	g, err := s.host.group(s.ID)
	if err == nil {
		err = s.setLimits(ctx, g, l)
	}
	if err != nil {
		return fmt.Errorf("instance %s: limits: %w", s.ID, err)
	}
	return nil
}

func (s *Sandbox) setLimits(ctx context.Context, g cgroup.Group, l Limits) error {
	made, err := g.Set(l)
	if err != nil {
		return err
	}
	if made {
		if err := g.AddTree(s.PID()); err != nil {
			return err
		}
	}
	return s.watchMemory(ctx, g, l)
}

// watchMemory has PID 1 tell in the console's log when the kernel kills something for want of memory.
func (s *Sandbox) watchMemory(ctx context.Context, g cgroup.Group, l Limits) error {
	if l.Memory == 0 {
		return nil
	}
	events, err := g.OOM()
	if err != nil || events == nil {
		return err
	}
	defer events.Close()
	_, _, err = callWith(ctx, s.host.cfg.RunDir, s.ID, wire.Request{Op: wire.OpMemory, Memory: l.Memory}, []*os.File{events})
	return err
}

// free removes the instance's group, whose processes have ended.
func (h *Host) free(id string) error {
	g, err := h.group(id)
	if err != nil {
		return err
	}
	return g.Remove()
}
