package unit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// environ is an environment in the order of assignment; later ones win.
type environ map[string]string

func (e environ) add(assignments ...string) {
	for _, a := range assignments {
		if k, v, ok := strings.Cut(a, "="); ok && validName(k) {
			e[k] = v
		}
	}
}

// list is sorted, so that a unit's processes and tests see the same order.
func (e environ) list() []string {
	out := make([]string, 0, len(e))
	for k, v := range e {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return out
}

// identity is whom a unit's processes run as.
type identity struct {
	set              bool // User or Group is given
	uid, gid         uint32
	groups           []uint32
	name, home, shel string
}

// identify looks up User, Group and SupplementaryGroups.
func (d *definition) identify() (identity, error) {
	id := identity{home: "/root", name: "root", shel: "/bin/sh"}
	if d.user != "" {
		u, err := user.Lookup(d.user)
		if err != nil {
			if u, err = user.LookupId(d.user); err != nil {
				return id, fmt.Errorf("setting User=%s: no such user", d.user)
			}
		}
		id.uid, id.gid = number(u.Uid), number(u.Gid)
		id.name, id.home = u.Username, u.HomeDir
		id.set = true
		if gids, err := u.GroupIds(); err == nil {
			for _, g := range gids {
				id.groups = append(id.groups, number(g))
			}
		}
	}
	if d.group != "" {
		gid, err := groupID(d.group)
		if err != nil {
			return id, fmt.Errorf("setting Group=%s: no such group", d.group)
		}
		id.gid, id.set = gid, true
	}
	for _, name := range d.groups {
		gid, err := groupID(name)
		if err != nil {
			return id, fmt.Errorf("setting SupplementaryGroups=%s: no such group", name)
		}
		id.groups, id.set = append(id.groups, gid), true
	}
	return id, nil
}

func groupID(name string) (uint32, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		g, err = user.LookupGroupId(name)
	}
	if err != nil {
		return 0, err
	}
	return number(g.Gid), nil
}

func number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 65534 // nobody: never root by mistake
	}
	return uint32(n)
}

// environment builds what a command of the unit starts from (systemd.exec(5), "Environment variables in
// spawned processes"): the manager's, the unit's, its files', then the manager's own variables.
func (c *Config) environment(d *definition, id identity, manager environ, own ...string) (environ, error) {
	e := environ{}
	e.add(c.Env...)
	if d.user != "" {
		e.add("USER="+id.name, "LOGNAME="+id.name, "HOME="+id.home, "SHELL="+id.shel)
	}
	for _, dir := range d.directories {
		paths := make([]string, len(dir.names))
		for i, n := range dir.names {
			paths[i] = path.Join(dir.base, n)
		}
		e.add(dir.env + "=" + strings.Join(paths, ":"))
	}
	for k, v := range manager {
		e[k] = v
	}
	e.add(d.env...)
	for _, f := range d.envFiles {
		if err := c.environmentFile(e, f); err != nil {
			return nil, err
		}
	}
	e.add(own...)
	return e, nil
}

// environmentFile reads one EnvironmentFile setting: a path or pattern, with - before it if it may be missing.
func (c *Config) environmentFile(e environ, setting string) error {
	name, optional := strings.CutPrefix(setting, "-")
	files, err := filepath.Glob(c.path(name))
	if err != nil {
		return fmt.Errorf("setting EnvironmentFile=%s: %w", setting, err)
	}
	if len(files) == 0 && !optional {
		return fmt.Errorf("setting EnvironmentFile=%s: %w", setting, fs.ErrNotExist)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil && !optional {
			return fmt.Errorf("setting EnvironmentFile=%s: %w", setting, err)
		}
		e.add(assignments(string(b))...)
	}
	return nil
}

// assignments reads the shell-like syntax of an environment file: KEY=value, quotes, comments, continued
// lines.
func assignments(text string) []string {
	var out []string
	text = strings.ReplaceAll(text, "\\\n", "")
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		out = append(out, strings.TrimSpace(key)+"="+unquote(strings.TrimSpace(value)))
	}
	return out
}

// unquote removes quotes from a value. Unlike in a shell, unquoted blanks belong to it; backslashes escape
// outside of quotes and, before ", \, ` and $, in double quotes.
func unquote(v string) string {
	var b strings.Builder
	var quote byte
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == '\\' && i+1 < len(v) && (quote == 0 || quote == '"' && strings.IndexByte("\"\\`$", v[i+1]) >= 0):
			i++
			b.WriteByte(v[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// makeDirectories makes RuntimeDirectory and its like, owned by the unit's user.
func (c *Config) makeDirectories(d *definition, id identity) error {
	for _, dir := range d.directories {
		for _, n := range dir.names {
			p := c.path(path.Join(dir.base, n))
			if err := os.MkdirAll(p, 0o755); err != nil {
				return fmt.Errorf("%s: %w", dir.env, err)
			}
			if err := os.Chmod(p, dir.mode); err != nil {
				return fmt.Errorf("%s: %w", dir.env, err)
			}
			if id.set && dir.env != "CONFIGURATION_DIRECTORY" {
				if err := os.Chown(p, int(id.uid), int(id.gid)); err != nil {
					return fmt.Errorf("%s: %w", dir.env, err)
				}
			}
		}
	}
	return nil
}

// dropRuntimeDirectories removes what lies in /run when the unit stops.
func (c *Config) dropRuntimeDirectories(d *definition) error {
	if d.preserve {
		return nil
	}
	var errs []error
	for _, dir := range d.directories {
		for _, n := range dir.names {
			if dir.env == "RUNTIME_DIRECTORY" {
				errs = append(errs, os.RemoveAll(c.path(path.Join(dir.base, n))))
			}
		}
	}
	return errors.Join(errs...)
}
