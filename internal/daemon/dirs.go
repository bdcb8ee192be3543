package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Each of a lab's two directories names the other in a file, so that a command with one of them
// forgotten finds out: the lock is in one, the state in the other, and instances run on without a
// daemon.
const (
	stateNamed = "state-dir" // in RunDir
	runNamed   = "run-dir"   // in StateDir
)

// CheckDirs refuses directories of which one belongs to a lab whose other one is elsewhere. A
// directory that is gone has moved, or went with a reboot, and binds nobody.
func CheckDirs(cfg Config) error {
	if other, is := boundElsewhere(filepath.Join(cfg.RunDir, stateNamed), cfg.StateDir); is {
		return fmt.Errorf("lab %s: its state is in %s, not in %s: set VPCEMU_STATE_DIR as it was when the lab was brought up",
			cfg.Lab, other, filepath.Dir(cfg.StateDir))
	}
	if other, is := boundElsewhere(filepath.Join(cfg.StateDir, runNamed), cfg.RunDir); is {
		return fmt.Errorf("lab %s: its run directory is %s, not in %s: set VPCEMU_RUN_DIR as it was when the lab was brought up",
			cfg.Lab, other, filepath.Dir(cfg.RunDir))
	}
	return nil
}

// boundElsewhere gives the directory that a file names, and whether it is there and another one than dir.
func boundElsewhere(file, dir string) (other string, is bool) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", false
	}
	other = strings.TrimSpace(string(b))
	there, err := os.Stat(other)
	if err != nil {
		return other, false
	}
	ours, err := os.Stat(dir)
	return other, err != nil || !os.SameFile(there, ours)
}

// bindDirs has the directories name each other.
func bindDirs(cfg Config) error {
	return errors.Join(nameDir(filepath.Join(cfg.RunDir, stateNamed), cfg.StateDir), nameDir(filepath.Join(cfg.StateDir, runNamed), cfg.RunDir))
}

// nameDir writes nothing where it is said already: the disk may be full.
func nameDir(file, dir string) error {
	if b, err := os.ReadFile(file); err == nil && string(b) == dir+"\n" {
		return nil
	}
	return os.WriteFile(file, []byte(dir+"\n"), 0o644)
}
