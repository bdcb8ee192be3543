package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/vpcemu/vpcemu/internal/guest/disk"
)

// NameFree tells, before anything is made, whether the name of an instance can be
// had in `ip netns`, by an error that says why not. A name that this instance
// holds already is free to it.
func (h *Host) NameFree(name, id string) error {
	full := h.netnsName(name)
	if _, err := os.Lstat(filepath.Join(netnsDir, full)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	found, err := findNetns(h.cfg.RunDir)
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", full, err)
	}
	if found[full] == id {
		return nil
	}
	return fmt.Errorf("network namespace %s: the name is taken by something else: remove it (ip netns del %s) or give the instance or the lab another name", full, full)
}

// ConsoleLog is the file with what an instance's PID 1 printed.
func (h *Host) ConsoleLog(id string) string { return filepath.Join(h.diskDir(id), disk.Console) }

// ValidName tells whether a lab or a sandbox can have this name: letters, digits,
// '-', '_' and '.' only, at most 64.
func ValidName(name string) bool { return validName(name) }
