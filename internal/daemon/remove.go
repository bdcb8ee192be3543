package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// removing is the name of the file that says that the lab's removal has begun.
// Once it is there, nothing brings the lab back: whoever comes next, an `up` or a
// `down`, finishes the removal first.
const removing = "removing"

// ErrRemoving: the lab is being removed by another command.
var ErrRemoving = errors.New("the lab is being removed")

// Down implements control.Applier: it removes the lab with all that it left on
// the host, and ends the daemon. Who asks while it goes on waits for its end.
func (d *Daemon) Down(ctx context.Context, progress func(string)) error {
	d.removal.Do(func() {
		defer close(d.removed)
		d.removeErr = d.remove(ctx, progress)
	})
	return d.removeErr
}

func (d *Daemon) remove(ctx context.Context, progress func(string)) error {
	if err := markRemoving(d.cfg); err != nil {
		return err
	}
	d.stop()
	d.workers.Wait() // also undoes the starts that are under way
	progress("removing instances")
	d.releaseTables()
	if err := removeAll(ctx, d.cfg, d.host); err != nil {
		return err
	}
	return removeLock(d.cfg)
}

// Remove removes a lab whose daemon does not run, also one of which only pieces
// are left. It is no error where there is nothing.
func Remove(ctx context.Context, cfg Config) error {
	lock, err := takeLock(ctx, cfg)
	if errors.Is(err, ErrRunning) {
		return fmt.Errorf("lab %s: %w, but does not answer: end it (kill %s) and run the command again", cfg.Lab, ErrRunning, holder(cfg))
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	held, err := holdState(cfg)
	if err != nil {
		return errors.Join(err, removeLock(cfg))
	}
	defer held.Close()
	if err := CheckDirs(cfg); err != nil {
		return errors.Join(err, leaveLock(cfg))
	}
	if err := markRemoving(cfg); err != nil {
		return err
	}
	h, err := openMachine(cfg)
	if err != nil {
		return err
	}
	if err := removeAll(ctx, cfg, h); err != nil {
		return err
	}
	return removeLock(cfg)
}

// FinishRemoval ends a removal that was cut short, if there was one. It has to be
// done before anything is put into the lab's directories.
func FinishRemoval(ctx context.Context, cfg Config) error {
	if !beingRemoved(cfg) {
		return nil
	}
	if err := Remove(ctx, cfg); errors.Is(err, ErrRunning) {
		return fmt.Errorf("lab %s: %w: try again when it is gone", cfg.Lab, ErrRemoving)
	} else if err != nil {
		return err
	}
	return nil
}

// markRemoving makes the removal a thing that is finished whatever happens. On a
// disk that is full it is tried without.
func markRemoving(cfg Config) error {
	if err := os.MkdirAll(cfg.StateDir, 0o755); err != nil {
		return fmt.Errorf("lab %s: %w", cfg.Lab, err)
	}
	err := os.WriteFile(filepath.Join(cfg.StateDir, removing), nil, 0o600)
	if err != nil && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("lab %s: %w", cfg.Lab, err)
	}
	return nil
}

func beingRemoved(cfg Config) bool {
	_, err := os.Stat(filepath.Join(cfg.StateDir, removing))
	return err == nil
}

// finishRemoval is FinishRemoval for who holds the lock, and keeps it.
func finishRemoval(ctx context.Context, cfg Config) error {
	if !beingRemoved(cfg) {
		return nil
	}
	h, err := openMachine(cfg)
	if err != nil {
		return err
	}
	if err := removeAll(ctx, cfg, h); err != nil {
		return err
	}
	return os.MkdirAll(cfg.StateDir, 0o755)
}

// removeAll takes the host's side away first and the marker last, so that it can
// be repeated from wherever it was cut short.
func removeAll(ctx context.Context, cfg Config, h machine) error {
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
	for _, dir := range []string{cfg.RunDir, cfg.StateDir} {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("lab %s: %w", cfg.Lab, err)
		}
	}
	return nil
}

// leaveLock is removeLock for who held the lock of a lab that is not its own to remove: where there is a
// run directory, its lock stays.
func leaveLock(cfg Config) error {
	if _, err := os.Stat(cfg.RunDir); err == nil {
		return nil
	}
	return removeLock(cfg)
}

// removeLock removes the lock's file while the lock is held; who opened it
// meanwhile notices that it went. The directories of all labs go with the last.
func removeLock(cfg Config) error {
	if err := os.Remove(lockPath(cfg)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("lab %s: %w", cfg.Lab, err)
	}
	_ = os.Remove(filepath.Dir(cfg.RunDir))
	_ = os.Remove(filepath.Dir(cfg.StateDir))
	return nil
}
