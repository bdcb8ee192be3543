package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/store"
)

const (
	// lockPatience is how long a daemon that is just leaving is waited for.
	lockPatience = 2 * time.Second
	lockLook     = 10 * time.Millisecond
)

// takeLock makes a second daemon on the same lab fail. The lock's file is beside
// the run directory, which a removal takes away while it holds the lock.
func takeLock(ctx context.Context, cfg Config) (*os.File, error) {
	deadline := time.Now().Add(lockPatience)
	for {
		f, err := tryLock(cfg)
		if err != nil {
			return nil, fmt.Errorf("lab %s: %w", cfg.Lab, err)
		}
		if f != nil {
			return f, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("lab %s: %w (process %s): use it, or remove the lab with `vpcemu down --lab %s`", cfg.Lab, ErrRunning, holder(cfg), cfg.Lab)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockLook):
		}
	}
}

// holdState keeps the state from a daemon that another lock would not keep from it: one with another
// run directory. Closing the result, nil where there is no state yet, lets it go.
func holdState(cfg Config) (*os.File, error) {
	f, err := store.Hold(statePath(cfg))
	if errors.Is(err, store.ErrInUse) {
		return nil, fmt.Errorf("lab %s: %w with another run directory than %s (its state is in %s): set VPCEMU_RUN_DIR as it was when the lab was brought up",
			cfg.Lab, ErrRunning, filepath.Dir(cfg.RunDir), cfg.StateDir)
	}
	if err != nil {
		return nil, fmt.Errorf("lab %s: %w", cfg.Lab, err)
	}
	return f, nil
}

func statePath(cfg Config) string { return filepath.Join(cfg.StateDir, "state.db") }

// tryLock returns nil where another process has the lock.
func tryLock(cfg Config) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(cfg.RunDir), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(lockPath(cfg), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // the directory went with the last lab just now
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, nil
	}
	// A removal may have unlinked the file between our open and our lock.
	ours, err1 := f.Stat()
	there, err2 := os.Stat(lockPath(cfg))
	if err1 == nil && err2 == nil && os.SameFile(ours, there) {
		return f, writeHolder(f)
	}
	f.Close()
	return nil, nil
}

// writeHolder tells whoever finds the lock taken by whom.
func writeHolder(f *os.File) error {
	err := f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	}
	return err
}

func holder(cfg Config) string {
	b, err := os.ReadFile(lockPath(cfg))
	if err != nil || len(b) == 0 {
		return "unknown"
	}
	return string(b)
}

func lockPath(cfg Config) string { return cfg.RunDir + ".lock" }
