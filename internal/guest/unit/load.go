package unit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// found is what the file system says about a unit, before its settings are understood.
type found struct {
	name     string // without alias, with type: mariadb.service
	instance string // of a template
	path     string // of the file, below Root; of the script for a System V service
	dropIns  []string
	masked   bool
	sysv     bool
	settings settings
}

// ErrNotFound is a unit that neither has a file nor a script.
var ErrNotFound = errors.New("not found")

// fullName completes a unit's name as systemctl does.
func fullName(name string) string {
	switch path.Ext(name) {
	case ".service", ".target", ".socket", ".timer", ".mount", ".path", ".slice", ".scope", ".device", ".automount", ".swap":
		return name
	}
	return name + ".service"
}

// validUnitName refuses what could leave the unit directories.
func validUnitName(name string) bool {
	return name != "" && len(name) < 256 && !strings.ContainsAny(name, "/ \t\n\x00") && !strings.HasPrefix(name, ".")
}

// split takes a name apart: prefix, instance, type. template is the name of the template's file.
func split(name string) (prefix, instance, template string) {
	ext := path.Ext(name)
	base := strings.TrimSuffix(name, ext)
	prefix, instance, ok := strings.Cut(base, "@")
	if !ok {
		return base, "", ""
	}
	return prefix, instance, prefix + "@" + ext
}

// find looks a unit up by any of its names.
func (c *Config) find(name string) (*found, error) {
	name = fullName(name)
	if !validUnitName(name) {
		return nil, fmt.Errorf("unit %q: invalid name", name)
	}
	f, err := c.findFile(name)
	if errors.Is(err, ErrNotFound) && strings.HasSuffix(name, ".service") {
		return c.findScript(name)
	}
	if err != nil || f.masked {
		return f, err
	}
	b, err := c.readSettings(f.path)
	if err != nil {
		return nil, fmt.Errorf("unit %s: %w", f.name, err)
	}
	f.settings = b
	if err := c.addDropIns(f, name); err != nil {
		return nil, fmt.Errorf("unit %s: %w", f.name, err)
	}
	return f, nil
}

// findFile follows aliases: a symlink to a file of another name, in any of the directories.
func (c *Config) findFile(name string) (*found, error) {
	for depth := 0; depth < 8; depth++ {
		at, target, err := c.lookUp(name)
		if err != nil {
			return nil, err
		}
		_, instance, template := split(name)
		base := path.Base(target)
		switch {
		case target == "/dev/null":
			return &found{name: name, path: at, masked: true}, nil
		case target == "" || base == name || base == template:
			return &found{name: name, instance: instance, path: at}, nil
		}
		if _, _, t := split(base); t == base && instance != "" {
			base = strings.TrimSuffix(t, "@"+path.Ext(t)) + "@" + instance + path.Ext(t) // alias of a template
		}
		name = base
	}
	return nil, fmt.Errorf("unit %s: too many aliases", name)
}

// lookUp returns the first file for a name or its template, and where it points if it is a symlink.
func (c *Config) lookUp(name string) (at, target string, err error) {
	candidates := []string{name}
	if _, _, template := split(name); template != "" && template != name {
		candidates = append(candidates, template)
	}
	for _, n := range candidates {
		for _, dir := range unitDirs {
			at = path.Join(dir, n)
			st, err := os.Lstat(c.path(at))
			if err != nil || st.IsDir() {
				continue
			}
			if st.Mode()&fs.ModeSymlink == 0 {
				if st.Size() == 0 {
					return at, "/dev/null", nil // an empty file masks, too
				}
				return at, "", nil
			}
			target, err := os.Readlink(c.path(at))
			if err != nil {
				return "", "", fmt.Errorf("unit %s: %w", name, err)
			}
			if !path.IsAbs(target) {
				target = path.Join(dir, target)
			}
			if _, err := os.Stat(c.path(target)); err != nil && target != "/dev/null" {
				continue // dangling, as after a package was removed
			}
			return at, target, nil
		}
	}
	return "", "", fmt.Errorf("unit %s: %w", name, ErrNotFound)
}

func (c *Config) readSettings(p string) (settings, error) {
	file, err := os.Open(c.path(p))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return parse(file)
}

// addDropIns reads NAME.service.d/*.conf of all directories, sorted by file name; of two with one name the
// first directory's counts. service.d applies to all services, NAME@.service.d to all of a template.
func (c *Config) addDropIns(f *found, alias string) error {
	_, _, template := split(f.name)
	byName := map[string]string{}
	for _, unit := range []string{f.name, alias, template, strings.TrimPrefix(path.Ext(f.name), ".")} {
		if unit == "" {
			continue
		}
		for _, dir := range unitDirs {
			files, err := filepath.Glob(c.path(path.Join(dir, unit+".d", "*.conf")))
			if err != nil {
				return err
			}
			for _, file := range files {
				if base := path.Base(file); byName[base] == "" {
					byName[base] = path.Join(dir, unit+".d", base)
				}
			}
		}
	}
	names := make([]string, 0, len(byName))
	for n := range byName {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		s, err := c.readSettings(byName[n])
		if err != nil {
			return err
		}
		f.dropIns = append(f.dropIns, byName[n])
		f.settings = append(f.settings, s...)
	}
	return nil
}

// findScript makes a unit of a System V script, with the settings of systemd-sysv-generator(8).
func (c *Config) findScript(name string) (*found, error) {
	script := "/etc/init.d/" + strings.TrimSuffix(name, ".service")
	st, err := os.Stat(c.path(script))
	if err != nil || !st.Mode().IsRegular() || st.Mode()&0o111 == 0 {
		return nil, fmt.Errorf("unit %s: %w", name, ErrNotFound)
	}
	run := c.path(script)
	s := settings{
		{"Unit", "Description", c.shortDescription(script)},
		{"Service", "Type", "forking"}, {"Service", "RemainAfterExit", "yes"}, {"Service", "GuessMainPID", "no"},
		{"Service", "KillMode", "process"}, {"Service", "TimeoutSec", "5min"}, {"Service", "SuccessExitStatus", "5 6"},
		// lsb's functions would otherwise call systemctl again.
		{"Service", "Environment", "SYSTEMCTL_SKIP_REDIRECT=1 _SYSTEMCTL_SKIP_REDIRECT=1"},
		{"Service", "ExecStart", run + " start"}, {"Service", "ExecStop", run + " stop"}, {"Service", "ExecReload", run + " reload"},
		{"Install", "WantedBy", "multi-user.target"},
	}
	return &found{name: name, path: script, sysv: true, settings: s}, nil
}

// shortDescription reads the LSB header of a script.
func (c *Config) shortDescription(script string) string {
	b, err := os.ReadFile(c.path(script))
	if err == nil {
		for _, line := range strings.Split(string(b), "\n") {
			if d, ok := strings.CutPrefix(line, "# Short-Description:"); ok {
				return "LSB: " + strings.TrimSpace(d)
			}
		}
	}
	return "LSB: " + path.Base(script)
}

// installed lists the names of all service files, scripts included, aliases left out, sorted.
func (c *Config) installed() []string {
	var names []string
	for _, dir := range unitDirs {
		files, err := os.ReadDir(c.path(dir))
		if err != nil {
			continue
		}
		for _, e := range files {
			if n := e.Name(); strings.HasSuffix(n, ".service") && !e.IsDir() {
				names = append(names, n)
			}
		}
	}
	if files, err := os.ReadDir(c.path("/etc/init.d")); err == nil {
		for _, e := range files {
			n := e.Name() + ".service"
			if _, err := c.findScript(n); err == nil {
				names = append(names, n)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
