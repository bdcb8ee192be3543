package unit

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

// Enabling has two parts: the marker in enabledDir, which decides (see the package comment), and the symlinks
// that the unit's [Install] section asks for, which other programs look at.

const (
	markOn  = "enabled\n"
	markOff = "disabled\n"
)

// mark reads a unit's marker: enabled, disabled, or "" if nobody decided.
func (c *Config) mark(name string) string {
	b, err := os.ReadFile(c.path(path.Join(enabledDir, name)))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (c *Config) setMark(name, mark string) error {
	if err := os.MkdirAll(c.path(enabledDir), 0o755); err != nil {
		return err
	}
	return os.WriteFile(c.path(path.Join(enabledDir, name)), []byte(mark), 0o644)
}

// enabled lists the units that start at boot, sorted.
func (m *Manager) enabled() []string {
	var names []string
	if files, err := os.ReadDir(m.c.path(enabledDir)); err == nil {
		for _, f := range files {
			if m.c.mark(f.Name()) == "enabled" {
				names = append(names, f.Name())
			}
		}
	}
	for _, n := range m.c.Enabled {
		if f, err := m.c.find(n); err == nil && m.c.mark(f.name) == "" {
			names = append(names, f.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// fileState is what is-enabled prints.
func (m *Manager) fileState(d *definition) string {
	switch {
	case d.masked:
		return "masked"
	case slices.Contains(m.enabled(), d.name):
		return "enabled"
	case len(d.wantedBy) == 0 && len(d.aliases) == 0:
		return "static"
	}
	return "disabled"
}

// links are the symlinks of a unit's [Install] section.
func (d *definition) links() []string {
	var out []string
	for _, a := range d.aliases {
		if validUnitName(a) && a != d.name {
			out = append(out, path.Join(adminDir, a))
		}
	}
	for _, w := range d.wantedBy {
		if validUnitName(w) {
			out = append(out, path.Join(adminDir, w+".wants", d.name))
		}
	}
	return out
}

// enable marks a unit and makes its symlinks, returning what systemctl prints about those that were not there.
func (m *Manager) enable(d *definition) (string, error) {
	if d.masked {
		return "", worded("Failed to enable unit: Unit file %s is masked.", path.Join(adminDir, d.name))
	}
	if err := m.c.setMark(d.name, markOn); err != nil {
		return "", worded("Failed to enable unit %s: %v", d.name, err)
	}
	if d.sysv {
		return "", nil
	}
	var out strings.Builder
	for _, l := range d.links() {
		if _, err := os.Lstat(m.c.path(l)); err == nil {
			continue
		}
		if err := os.MkdirAll(m.c.path(path.Dir(l)), 0o755); err != nil {
			return "", worded("Failed to enable unit %s: %v", d.name, err)
		}
		if err := os.Symlink(d.path, m.c.path(l)); err != nil {
			return "", worded("Failed to enable unit %s: %v", d.name, err)
		}
		fmt.Fprintf(&out, "Created symlink %s → %s.\n", l, d.path)
	}
	return out.String(), nil
}

func (m *Manager) disable(d *definition) (string, error) {
	if err := m.c.setMark(d.name, markOff); err != nil {
		return "", worded("Failed to disable unit %s: %v", d.name, err)
	}
	var out strings.Builder
	for _, l := range d.links() {
		st, err := os.Lstat(m.c.path(l))
		if err != nil || st.Mode()&os.ModeSymlink == 0 {
			continue
		}
		if err := os.Remove(m.c.path(l)); err != nil {
			return "", worded("Failed to disable unit %s: %v", d.name, err)
		}
		fmt.Fprintf(&out, "Removed %q.\n", l)
	}
	return out.String(), nil
}

// mask points the unit's name in the administrator's directory at nothing. A file of the administrator's own
// is left alone.
func (m *Manager) mask(name string) (string, error) {
	p := path.Join(adminDir, name)
	if st, err := os.Lstat(m.c.path(p)); err == nil {
		target, _ := os.Readlink(m.c.path(p))
		if st.Mode()&os.ModeSymlink == 0 {
			return "", worded("Failed to mask unit: File %s already exists.", p)
		}
		if target == "/dev/null" {
			return "", nil
		}
		if err := os.Remove(m.c.path(p)); err != nil {
			return "", worded("Failed to mask unit: %v", err)
		}
	}
	if err := os.MkdirAll(m.c.path(adminDir), 0o755); err != nil {
		return "", worded("Failed to mask unit: %v", err)
	}
	if err := os.Symlink("/dev/null", m.c.path(p)); err != nil {
		return "", worded("Failed to mask unit: %v", err)
	}
	return fmt.Sprintf("Created symlink %s → /dev/null.\n", p), nil
}

func (m *Manager) unmask(name string) (string, error) {
	p := path.Join(adminDir, name)
	if target, err := os.Readlink(m.c.path(p)); err != nil || target != "/dev/null" {
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return "", nil
		}
		return "", worded("Failed to unmask unit: %v", err)
	}
	if err := os.Remove(m.c.path(p)); err != nil {
		return "", worded("Failed to unmask unit: %v", err)
	}
	return fmt.Sprintf("Removed %q.\n", p), nil
}
