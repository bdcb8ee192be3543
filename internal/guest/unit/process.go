package unit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a running command of a unit.
type process struct {
	pid    int
	exited <-chan syscall.WaitStatus
}

// spawnCommand starts one command of a unit; its output goes to the unit's log.
func (c *Config) spawnCommand(d *definition, x command, id identity, env environ) (process, error) {
	path, err := c.program(x.args[0], env["PATH"])
	if err != nil {
		return process{}, err
	}
	args := x.args[1:]
	if !x.noExpansion {
		args = expandArgs(args, func(k string) string { return env[k] })
	}
	argv0 := path
	if x.argv0 != "" {
		argv0 = x.argv0
	}
	spec := SpawnSpec{Path: path, Argv: append([]string{argv0}, args...), Env: env.list(), Dir: c.workDir(d, id), Rlimits: d.limits, Umask: d.umask, Setsid: true}
	if id.set && !x.privileged {
		spec.Credentials, spec.UID, spec.GID, spec.Groups = true, id.uid, id.gid, id.groups
	}
	if err := c.openStdio(d, &spec); err != nil {
		return process{}, err
	}
	defer closeAll(spec.Stdin, spec.Stdout, spec.Stderr)
	pid, exited, err := c.Spawn(spec)
	if err != nil {
		return process{}, fmt.Errorf("starting %s: %w", path, err)
	}
	return process{pid: pid, exited: exited}, nil
}

// program finds the program of a command; a name without a slash is looked for in the search path.
func (c *Config) program(name, search string) (string, error) {
	if strings.Contains(name, "/") {
		if _, err := os.Stat(name); err != nil {
			return "", fmt.Errorf("unable to locate executable %q: %w", name, unix.ENOENT)
		}
		return name, nil
	}
	for _, dir := range filepath.SplitList(search) {
		p := filepath.Join(dir, name)
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", fmt.Errorf("unable to locate executable %q: %w", name, unix.ENOENT)
}

// workDir is WorkingDirectory; with - before it, a missing one is replaced by the root.
func (c *Config) workDir(d *definition, id identity) string {
	dir, optional := strings.CutPrefix(d.dir, "-")
	switch {
	case dir == "":
		return "/"
	case dir == "~":
		return id.home
	}
	if _, err := os.Stat(dir); err != nil && optional {
		return "/"
	}
	return dir
}

func closeAll(files ...*os.File) {
	slices.SortFunc(files, func(a, b *os.File) int { return int(a.Fd()) - int(b.Fd()) })
	for _, f := range slices.Compact(files) {
		f.Close()
	}
}

// openStdio opens a command's standard files. What would go to the journal goes to the unit's log.
func (c *Config) openStdio(d *definition, spec *SpawnSpec) (err error) {
	in := "/dev/null"
	if f, ok := strings.CutPrefix(d.stdin, "file:"); ok {
		in = f
	}
	if spec.Stdin, err = os.Open(in); err != nil {
		return fmt.Errorf("setting StandardInput: %w", err)
	}
	if spec.Stdout, err = c.openOutput(d, d.stdout); err != nil {
		spec.Stdin.Close()
		return fmt.Errorf("setting StandardOutput: %w", err)
	}
	spec.Stderr = spec.Stdout
	if d.stderr != "inherit" && d.stderr != "" {
		if spec.Stderr, err = c.openOutput(d, d.stderr); err != nil {
			closeAll(spec.Stdin, spec.Stdout)
			return fmt.Errorf("setting StandardError: %w", err)
		}
	}
	return nil
}

func (c *Config) openOutput(d *definition, where string) (*os.File, error) {
	kind, file, _ := strings.Cut(where, ":")
	switch kind {
	case "null":
		return os.OpenFile("/dev/null", os.O_WRONLY, 0)
	case "file":
		return os.OpenFile(file, os.O_WRONLY|os.O_CREATE, 0o644)
	case "append":
		return os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	case "truncate":
		return os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	}
	return c.openLog(d.name)
}

// watchPidfd sees the end of a process that is not the caller's child; the status is not known and given as
// success.
func watchPidfd(pid int) (<-chan syscall.WaitStatus, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("watching process %d: %w", pid, err)
	}
	exited := make(chan syscall.WaitStatus, 1)
	go func() {
		defer unix.Close(fd)
		for {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if n > 0 || err != nil && err != unix.EINTR {
				exited <- 0
				return
			}
		}
	}()
	return exited, nil
}

// procInfo is what /proc says about a process.
type procInfo struct {
	pid, parent, session int
	name                 string
	zombie, kernel       bool // kernel: a thread of it
}

func processes() []procInfo {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var out []procInfo
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, ok := readProc(pid); ok {
			out = append(out, p)
		}
	}
	return out
}

// kernelThread is PF_KTHREAD of a process's flags.
const kernelThread = 0x00200000

// readProc reads /proc/PID/stat: pid (name) state ppid pgrp session tty tpgid flags.
func readProc(pid int) (procInfo, bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	end := bytes.LastIndexByte(b, ')')
	begin := bytes.IndexByte(b, '(')
	if err != nil || begin < 0 || end < begin {
		return procInfo{}, false
	}
	f := strings.Fields(string(b[end+1:]))
	if len(f) < 7 {
		return procInfo{}, false
	}
	p := procInfo{pid: pid, name: string(b[begin+1 : end]), zombie: f[0] == "Z" || f[0] == "X"}
	p.parent, _ = strconv.Atoi(f[1])
	p.session, _ = strconv.Atoi(f[3])
	flags, _ := strconv.ParseUint(f[6], 10, 64)
	p.kernel = flags&kernelThread != 0
	return p, true
}

// members finds the processes of a unit in place of a cgroup: those in a session that one of roots started,
// those that carry the invocation ID, and all that descend from them. The manager itself is none.
func members(invocation string, roots []int) []procInfo {
	all := processes()
	mark := []byte("INVOCATION_ID=" + invocation)
	in := map[int]bool{}
	for _, p := range all {
		if slices.Contains(roots, p.pid) || slices.Contains(roots, p.session) || p.carries(mark) {
			in[p.pid] = true
		}
	}
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if !in[p.pid] && in[p.parent] {
				in[p.pid], grown = true, true
			}
		}
	}
	return slices.DeleteFunc(all, func(p procInfo) bool { return !in[p.pid] || p.zombie || p.pid == os.Getpid() || p.pid == 1 })
}

// carries tells whether a process has the mark in its environment. While it becomes another program it has for
// a moment neither environment nor arguments, and what was opened before that moment is empty after it.
func (p procInfo) carries(mark []byte) bool {
	if p.zombie || p.kernel {
		return false
	}
	for look := 0; look < execPatience; look++ {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.pid))
		if err != nil {
			return false
		}
		if len(env) > 0 {
			return slices.ContainsFunc(bytes.Split(env, []byte{0}), func(v []byte) bool { return bytes.Equal(v, mark) })
		}
		if args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid)); err != nil {
			return false
		} else if len(args) > 0 {
			look += execPatience / 4 // it may have no environment
			continue
		}
		if is, ok := readProc(p.pid); !ok || is.zombie {
			return false
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

// execPatience is for how many milliseconds one that becomes another program is looked at.
const execPatience = 40
