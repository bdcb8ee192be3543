package unit

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// presetDirs in order of precedence (systemd.preset(5)).
var presetDirs = []string{"/etc/systemd/system-preset", "/run/systemd/system-preset", "/usr/local/lib/systemd/system-preset", "/usr/lib/systemd/system-preset", "/lib/systemd/system-preset"}

// presetEnables says whether a unit is to be enabled when it is installed: the first line that matches decides, in
// the order of the files' names, and where none does, it is.
func (c *Config) presetEnables(name string) bool {
	byName := map[string]string{}
	for _, dir := range presetDirs {
		files, err := filepath.Glob(c.path(path.Join(dir, "*.preset")))
		if err != nil {
			continue
		}
		for _, f := range files {
			if base := path.Base(f); byName[base] == "" {
				byName[base] = f
			}
		}
	}
	var names []string
	for n := range byName {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		text, err := os.ReadFile(byName[n])
		if err != nil {
			continue // a link to /dev/null may be a way to silence a file
		}
		for line := range strings.Lines(string(text)) {
			w := strings.Fields(line)
			if len(w) < 2 || w[0] != "enable" && w[0] != "disable" {
				continue
			}
			if ok, err := path.Match(w[1], name); ok && err == nil {
				return w[0] == "enable"
			}
		}
	}
	return true
}

// preset enables or disables a unit as its distribution wishes; packages ask for that when they are installed.
func (c *call) preset(name string) {
	d, err := c.m.c.load(name)
	switch {
	case err != nil || d.masked:
		c.install("preset", name, c.m.enable)
	case c.m.c.presetEnables(d.name):
		if c.o.presetMode != "disable-only" {
			c.install("preset", name, c.m.enable)
		}
	case c.o.presetMode != "enable-only":
		c.install("preset", name, c.m.disable)
	}
}
