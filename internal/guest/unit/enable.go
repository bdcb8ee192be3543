package unit

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// What is enabled is what the symlinks say that a unit's [Install] section asks for, as with systemd: packages make
// them without asking anybody (deb-systemd-helper(1p)), and an instance's disk begins with none of the host's (see
// the package comment). Where there is no such symlink to look at, a marker in enabledDir decides: for scripts in
// /etc/init.d, and for the units of Config.Enabled, which start unless they were disabled.

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

// endTargets are reached when a machine stops or sleeps, or never: what they want does not start at boot.
var endTargets = []string{"shutdown.target", "reboot.target", "poweroff.target", "halt.target", "kexec.target", "exit.target", "final.target", "umount.target",
	"sleep.target", "suspend.target", "hibernate.target", "hybrid-sleep.target", "suspend-then-hibernate.target", "rescue.target", "emergency.target"}

// linked tells whether a symlink has some target of the boot want the unit.
func (c *Config) linked(name string) bool {
	for _, kind := range []string{".wants", ".requires"} {
		links, err := filepath.Glob(c.path(path.Join(adminDir, "*.target"+kind, name)))
		if err != nil {
			continue // a name with brackets
		}
		for _, l := range links {
			target := strings.TrimSuffix(path.Base(path.Dir(l)), kind)
			if _, err := os.Lstat(l); err == nil && !slices.Contains(endTargets, target) {
				return true
			}
		}
	}
	return false
}

// scripted tells whether a script is started in run levels 2 to 5, as update-rc.d(8) arranges it.
func (c *Config) scripted(name string) bool {
	links, err := filepath.Glob(c.path("/etc/rc[2-5].d/S[0-9][0-9]" + strings.TrimSuffix(name, ".service")))
	return err == nil && len(links) > 0
}

// enabledUnit decides about one unit.
func (c *Config) enabledUnit(f *found) bool {
	mark := c.mark(f.name)
	switch {
	case c.linked(f.name):
		return true
	case mark == "disabled":
		return false
	case f.sysv:
		return mark == "enabled" || c.scripted(f.name)
	case slices.ContainsFunc(c.Enabled, func(n string) bool { return c.sameUnit(n, f.name) }):
		return true
	}
	// One without [Install] that an earlier version enabled.
	return mark == "enabled" && len(f.settings.list("Install", "WantedBy")) == 0
}

func (c *Config) sameUnit(alias, name string) bool {
	f, err := c.find(alias)
	return err == nil && f.name == name
}

// enabled lists the units that start at boot, sorted.
func (m *Manager) enabled() []string {
	var candidates []string
	for _, pattern := range []string{adminDir + "/*.target.wants/*", adminDir + "/*.target.requires/*", enabledDir + "/*", "/etc/rc[2-5].d/S[0-9][0-9]*"} {
		files, err := filepath.Glob(m.c.path(pattern))
		if err != nil {
			continue
		}
		for _, file := range files {
			name := path.Base(file)
			if strings.HasPrefix(path.Base(path.Dir(file)), "rc") {
				name = name[len("S00"):]
			}
			candidates = append(candidates, fullName(name))
		}
	}
	var names []string
	for _, n := range append(candidates, m.c.Enabled...) {
		if f, err := m.c.find(n); err == nil && (strings.HasSuffix(f.name, ".service") || strings.HasSuffix(f.name, ".timer")) && m.c.enabledUnit(f) {
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
	case m.c.enabledUnit(d.found):
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
