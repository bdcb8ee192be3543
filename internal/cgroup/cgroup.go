// Package cgroup limits what a group of processes may use of the machine, by control groups of version 1 or 2,
// whichever has the controller (cgroups(7); kernel: Documentation/admin-guide/cgroup-v1, cgroup-v2.rst).
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of a group; 0 is no limit.
type Limits struct {
	CPU    int   // thousandths of a processor
	Memory int64 // bytes, caches of files included; there is no swap beyond
	Pids   int   // processes and threads
}

// IsZero tells that there is no limit.
func (l Limits) IsZero() bool { return l == Limits{} }

// controllers are those that l needs.
func (l Limits) controllers() (names []string) {
	for _, c := range []struct {
		wanted bool
		name   string
	}{{l.CPU > 0, "cpu"}, {l.Memory > 0, "memory"}, {l.Pids > 0, "pids"}} {
		if c.wanted {
			names = append(names, c.name)
		}
	}
	return names
}

// all are the controllers that this package knows.
var all = []string{"cpu", "memory", "pids"}

// hierarchy is a mounted tree of groups.
type hierarchy struct {
	root     string // where it is mounted
	v2       bool
	readOnly bool
}

// Machine is what a machine has of control groups.
type Machine struct {
	by map[string]hierarchy // controller to tree
}

// Find looks at what is mounted in this mount namespace.
func Find() (*Machine, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return parse(string(data)), nil
}

// parse reads proc_pid_mountinfo(5). A controller is in one tree only; one of version 1 that is mounted has it.
func parse(mountinfo string) *Machine {
	m := &Machine{by: map[string]hierarchy{}}
	for line := range strings.Lines(mountinfo) {
		left, right, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		fields, more := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 6 || len(more) < 3 {
			continue
		}
		h := hierarchy{root: fields[4], v2: more[0] == "cgroup2", readOnly: slices.Contains(strings.Split(fields[5], ","), "ro")}
		var has []string
		switch more[0] {
		case "cgroup":
			has = strings.Split(more[2], ",")
		case "cgroup2":
			data, _ := os.ReadFile(filepath.Join(h.root, "cgroup.controllers"))
			has = strings.Fields(string(data))
		}
		for _, name := range all {
			if _, known := m.by[name]; !known && slices.Contains(has, name) {
				m.by[name] = h
			}
		}
	}
	return m
}

// Check tells whether the limits can be had here, by an error with the remedy.
func (m *Machine) Check(l Limits) error {
	for _, name := range l.controllers() {
		switch h, ok := m.by[name]; {
		case !ok:
			return fmt.Errorf("this machine has no control groups with the controller %s: mount them (mount -t cgroup2 none /sys/fs/cgroup), or do without the limit", name)
		case h.readOnly:
			return fmt.Errorf("the control groups at %s are read-only: in a container, start it with --privileged, or do without the limit", h.root)
		}
	}
	return nil
}

// Group is a group of processes by its path below the root of every tree.
type Group struct {
	m    *Machine
	path string
}

// Group names a group; it need not exist.
func (m *Machine) Group(path string) Group { return Group{m, path} }

func (g Group) dir(controller string) string { return filepath.Join(g.m.by[controller].root, g.path) }

// Dirs gives the group's directory of each controller that it exists for. In version 2 all have the same.
func (g Group) Dirs() map[string]string {
	dirs := map[string]string{}
	for name := range g.m.by {
		if fi, err := os.Stat(g.dir(name)); err == nil && fi.IsDir() {
			dirs[name] = g.dir(name)
		}
	}
	return dirs
}

// V2 tells whether the controller is in a tree of version 2.
func (g Group) V2(controller string) bool { return g.m.by[controller].v2 }

// Set makes the group as far as the limits need it and sets them, each of which is unlimited where it is 0. made
// tells that processes must be added for all limits to hold.
func (g Group) Set(l Limits) (made bool, err error) {
	if err := g.m.Check(l); err != nil {
		return false, err
	}
	for _, name := range l.controllers() {
		fresh, err := g.make(name)
		for range 10 { // a group above was removed just then, as nothing was in it
			if !errors.Is(err, fs.ErrNotExist) {
				break
			}
			fresh, err = g.make(name)
		}
		if err != nil {
			return made, fmt.Errorf("control group %s: %w", g.dir(name), err)
		}
		made = made || fresh
	}
	for name, dir := range g.Dirs() {
		// A group of version 2 has one directory, and files in it of the controllers that were handed on.
		if _, err := os.Stat(filepath.Join(dir, name+".max")); g.V2(name) && err != nil && !slices.Contains(l.controllers(), name) {
			continue
		}
		if err := g.set(name, dir, l); err != nil {
			return made, fmt.Errorf("control group: %w", err)
		}
	}
	return made, nil
}

// make makes the group's directory for a controller and, in version 2, has those above it hand the controller on.
func (g Group) make(name string) (made bool, err error) {
	h := g.m.by[name]
	dir := h.root
	for part := range strings.SplitSeq(g.path, "/") {
		if h.v2 {
			if err := handOn(dir, name); err != nil {
				return made, err
			}
		}
		dir = filepath.Join(dir, part)
		err := os.Mkdir(dir, 0o755)
		made = err == nil
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return made, err
		}
	}
	return made, nil
}

func handOn(dir, controller string) error {
	path := filepath.Join(dir, "cgroup.subtree_control")
	if data, err := os.ReadFile(path); err == nil && slices.Contains(strings.Fields(string(data)), controller) {
		return nil
	}
	err := write(path, "+"+controller)
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("%w: processes are in it itself, so that it cannot hand %s on: in a container, start it with --cgroupns host", err, controller)
	}
	return err
}

// period is the time in which a quota of processor time counts, in microseconds: the kernel's default.
const period = 100_000

func (g Group) set(name, dir string, l Limits) error {
	v2 := g.m.by[name].v2
	file := func(f string) string { return filepath.Join(dir, f) }
	quota := l.CPU * period / 1000
	switch {
	case name == "cpu" && v2:
		return write(file("cpu.max"), orMax(int64(quota))+" "+strconv.Itoa(period))
	case name == "cpu":
		if err := write(file("cpu.cfs_period_us"), strconv.Itoa(period)); err != nil {
			return err
		}
		return write(file("cpu.cfs_quota_us"), orNone(int64(quota)))
	case name == "memory" && v2:
		if err := writeIfThere(file("memory.swap.max"), map[bool]string{true: "0", false: "max"}[l.Memory > 0]); err != nil {
			return err
		}
		return write(file("memory.max"), orMax(l.Memory))
	case name == "memory":
		return setMemory(dir, orNone(l.Memory))
	}
	return write(file("pids.max"), orMax(int64(l.Pids)))
}

// setMemory sets memory, and memory with swap, of version 1. The one may never be above the other: which of them
// comes first depends on whether the limit rises.
func setMemory(dir, limit string) error {
	memory, both := filepath.Join(dir, "memory.limit_in_bytes"), filepath.Join(dir, "memory.memsw.limit_in_bytes")
	rising := writeIfThere(both, limit)
	if err := write(memory, limit); errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("%w: more than that is in use", err)
	} else if err != nil {
		return err
	}
	if rising != nil {
		return writeIfThere(both, limit)
	}
	return nil
}

func orMax(n int64) string {
	if n == 0 {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}

func orNone(n int64) string {
	if n == 0 {
		return "-1"
	}
	return strconv.FormatInt(n, 10)
}

func write(path, value string) error { return os.WriteFile(path, []byte(value), 0o644) }

// writeIfThere writes where the kernel was built with what the file is for.
func writeIfThere(path, value string) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return write(path, value)
}

// Add puts a process into the group. One that is gone is no error.
func (g Group) Add(pid int) error {
	for _, dir := range g.Dirs() {
		err := write(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid))
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("control group: process %d: %w", pid, err)
		}
	}
	return nil
}

// AddTree puts a process and all that descend from it into the group, also those that come while it is at it.
func (g Group) AddTree(pid int) error {
	seen := map[int]bool{}
	for {
		more := false
		for _, p := range descendants(pid) {
			if seen[p] {
				continue
			}
			seen[p], more = true, true
			if err := g.Add(p); err != nil {
				return err
			}
		}
		if !more { // whoever forks now is in the group already
			return nil
		}
	}
}

// descendants are the process and those below it, parents first.
func descendants(pid int) []int {
	children := map[int][]int{}
	names, _ := filepath.Glob("/proc/[0-9]*")
	for _, name := range names {
		data, err := os.ReadFile(name + "/stat")
		if err != nil {
			continue // ended meanwhile
		}
		// The second field is the program's name in parentheses and may hold anything.
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		child, err := strconv.Atoi(filepath.Base(name))
		if err != nil || len(fields) < 2 {
			continue
		}
		if parent, err := strconv.Atoi(fields[1]); err == nil {
			children[parent] = append(children[parent], child)
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// OOM opens the file in which the kernel counts the processes that it killed for want of memory, in a line
// `oom_kill N`; nil where the group has no limit of memory.
func (g Group) OOM() (*os.File, error) {
	dir, ok := g.Dirs()["memory"]
	if !ok {
		return nil, nil
	}
	name := "memory.oom_control"
	if g.m.by["memory"].v2 {
		name = "memory.events"
	}
	f, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return f, err
}

// removePatience is how long the kernel may take to be done with processes that are dead.
const removePatience = 5 * time.Second

// Remove removes the group, whose processes must have ended, with those that were made in it, and the groups above
// it that nothing is in any more. One that is not there is removed already.
func (g Group) Remove() error {
	var errs []error
	for _, dir := range g.Dirs() {
		if err := removeTree(dir); err != nil {
			errs = append(errs, fmt.Errorf("control group: %w", err))
		}
	}
	for name := range g.m.by {
		for above := filepath.Dir(g.path); above != "."; above = filepath.Dir(above) {
			if os.Remove(filepath.Join(g.m.by[name].root, above)) != nil {
				break // in use by others
			}
		}
	}
	return errors.Join(errs...)
}

func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	for deadline := time.Now().Add(removePatience); ; {
		err := unix.Rmdir(dir)
		if err == nil || errors.Is(err, unix.ENOENT) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return &os.PathError{Op: "rmdir", Path: dir, Err: err}
		}
		time.Sleep(5 * time.Millisecond)
	}
}
