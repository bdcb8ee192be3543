package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// removing is the name of the file that says that the lab's removal has begun.
// Once it is there, nothing brings the lab back: whoever comes next, an `up` or a
// `down`, finishes the removal first.
const removing = "removing"

// Down implements control.Applier: it removes the lab with all that it left on
// the host, and ends the daemon.
func (d *Daemon) Down(ctx context.Context, progress func(string)) error {
	if err := markRemoving(d.cfg); err != nil {
		return err
	}
	d.stop()
	d.workers.Wait()
	progress("removing instances")
	d.releaseTables()
	return removeAll(ctx, d.cfg)
}

// Remove removes a lab whose daemon does not run, also one of which only pieces
// are left. It is no error where there is nothing.
func Remove(ctx context.Context, cfg Config) error {
	lock, err := takeLock(cfg)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := markRemoving(cfg); err != nil {
		return err
	}
	return removeAll(ctx, cfg)
}

func markRemoving(cfg Config) error {
	if err := os.MkdirAll(cfg.StateDir, 0o755); err != nil {
		return fmt.Errorf("lab %s: %w", cfg.Lab, err)
	}
	if err := os.WriteFile(filepath.Join(cfg.StateDir, removing), nil, 0o600); err != nil {
		return fmt.Errorf("lab %s: %w", cfg.Lab, err)
	}
	return nil
}

// finishRemoval ends a removal that was cut short.
func finishRemoval(ctx context.Context, cfg Config) error {
	if _, err := os.Stat(filepath.Join(cfg.StateDir, removing)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := removeAll(ctx, cfg); err != nil {
		return err
	}
	return os.MkdirAll(cfg.RunDir, 0o755)
}

// removeAll takes the host's side away first and the marker last, so that it can
// be repeated from wherever it was cut short.
func removeAll(ctx context.Context, cfg Config) error {
	h, err := openHost(cfg)
	if err != nil {
		return err
	}
	if err := h.RemoveAll(ctx); err != nil {
		return fmt.Errorf("lab %s: %w: run `vpcemu down --lab %s` again", cfg.Lab, err, cfg.Lab)
	}
	entries, err := os.ReadDir(cfg.StateDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("lab %s: %w", cfg.Lab, err)
	}
	for _, e := range entries {
		if e.Name() != removing {
			if err := os.RemoveAll(filepath.Join(cfg.StateDir, e.Name())); err != nil {
				return fmt.Errorf("lab %s: %w", cfg.Lab, err)
			}
		}
	}
	if err := os.RemoveAll(cfg.RunDir); err != nil {
		return fmt.Errorf("lab %s: %w", cfg.Lab, err)
	}
	if err := os.RemoveAll(cfg.StateDir); err != nil {
		return fmt.Errorf("lab %s: %w", cfg.Lab, err)
	}
	// The lock is still held; who opened its file meanwhile notices that it went.
	if err := os.Remove(lockPath(cfg)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("lab %s: %w", cfg.Lab, err)
	}
	// The directories of all labs go with the last one.
	_ = os.Remove(filepath.Dir(cfg.RunDir))
	_ = os.Remove(filepath.Dir(cfg.StateDir))
	return nil
}
