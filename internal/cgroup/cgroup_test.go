package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hybrid is a machine with the usual controllers in version 1 and an empty tree of version 2 beside them.
const hybrid = `25 1 0:22 / /sys rw - sysfs sysfs rw
30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
31 25 0:27 / /sys/fs/cgroup/memory ro,relatime - cgroup cgroup rw,memory
32 25 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
33 25 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
bad line
`

func TestParse(t *testing.T) {
	m := parse(hybrid)
	if h := m.by["cpu"]; h.root != "/sys/fs/cgroup/cpu,cpuacct" || h.v2 || h.readOnly {
		t.Errorf("cpu: %+v", h)
	}
	for limits, want := range map[Limits]string{
		{CPU: 500}:      "",
		{}:              "",
		{Memory: 1}:     "read-only",
		{Pids: 1}:       "no control groups with the controller pids",
		{1, 1, 1 << 10}: "read-only",
	} {
		if err := m.Check(limits); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%+v: %v", limits, err)
		}
	}
}

// unified is a tree of version 2 made of plain files: it shows what is written where, not what the kernel does with it.
func unified(t *testing.T) (*Machine, string) {
	t.Helper()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "cgroup.controllers"), []byte("cpuset cpu io memory pids\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return parse(fmt.Sprintf("30 1 0:26 / %s rw,nosuid - cgroup2 cgroup2 rw\n", root)), root
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestVersion2(t *testing.T) {
	m, root := unified(t)
	g := m.Group("vpcemu/lab/i-1")
	made, err := g.Set(Limits{CPU: 1500, Memory: 64 << 20})
	if err != nil || !made {
		t.Fatal(made, err)
	}
	dir := filepath.Join(root, "vpcemu/lab/i-1")
	if err := os.WriteFile(filepath.Join(dir, "memory.swap.max"), nil, 0o600); err != nil { // a kernel with swap accounting has it
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "pids.max")); err == nil {
		t.Error("a controller that nobody asked for was set: the kernel would have no such file")
	}
	if made, err = g.Set(Limits{CPU: 1500, Memory: 64 << 20, Pids: 100}); err != nil || made {
		t.Fatal(made, err)
	}
	if err := g.Add(4321); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"cpu.max": "150000 100000", "memory.max": "67108864", "memory.swap.max": "0", "pids.max": "100", "cgroup.procs": "4321"} {
		if got := content(t, filepath.Join(dir, file)); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
	for _, above := range []string{"", "vpcemu", "vpcemu/lab"} {
		if got := content(t, filepath.Join(root, above, "cgroup.subtree_control")); got == "" {
			t.Errorf("/%s hands nothing on", above)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "cgroup.subtree_control")); err == nil {
		t.Error("the group itself hands controllers on: no process could be in it")
	}
	// Taken off again.
	if made, err := g.Set(Limits{}); err != nil || made {
		t.Fatal(made, err)
	}
	for file, want := range map[string]string{"cpu.max": "max 100000", "memory.max": "max", "memory.swap.max": "max", "pids.max": "max"} {
		if got := content(t, filepath.Join(dir, file)); got != want {
			t.Errorf("without limits: %s: %q, want %q", file, got, want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "memory.events"), []byte("low 0\noom 1\noom_kill 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := g.OOM()
	if err != nil || f == nil {
		t.Fatal(f, err)
	}
	f.Close()
}

// A limit that nobody asked for makes nothing.
func TestSet_WithoutLimitsMakesNoGroup(t *testing.T) {
	m, root := unified(t)
	g := m.Group("vpcemu/lab/i-1")
	if made, err := g.Set(Limits{}); made || err != nil {
		t.Error(made, err)
	}
	if _, err := os.Stat(filepath.Join(root, "vpcemu")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("there is a group")
	}
	if f, err := g.OOM(); f != nil || err != nil {
		t.Error(f, err)
	}
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
}

// On the machine itself, in whichever version it has the controllers: a process is held to its limits with all that
// it had started, and nothing is left.
func TestOnThisMachine(t *testing.T) {
	m, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	limits := Limits{CPU: 500, Memory: 64 << 20, Pids: 40}
	if err := m.Check(limits); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI needs a machine with control groups: %v", err)
		}
		t.Skipf("this machine has no control groups to be tried: %v", err)
	}
	g := m.Group(fmt.Sprintf("vpcemu-test-%d/lab/i-1", os.Getpid()))
	defer func() {
		if err := g.Remove(); err != nil {
			t.Error(err)
		}
		if left := g.Dirs(); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		for name := range m.by {
			if _, err := os.Stat(filepath.Dir(filepath.Dir(g.dir(name)))); err == nil {
				t.Errorf("the groups above are left for %s", name)
			}
		}
	}()
	parent := exec.Command("sh", "-c", "sleep 60 & sleep 60")
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { // all of them, by the group they are in
		for _, p := range descendants(parent.Process.Pid) {
			if proc, err := os.FindProcess(p); err == nil {
				_ = proc.Kill()
			}
		}
		_ = parent.Wait()
	}()
	for len(descendants(parent.Process.Pid)) < 3 { // until the shell has started both
		time.Sleep(time.Millisecond)
	}
	if made, err := g.Set(limits); err != nil || !made {
		t.Fatal(made, err)
	}
	if err := g.AddTree(parent.Process.Pid); err != nil {
		t.Fatal(err)
	}
	for name, dir := range g.Dirs() {
		in := strings.Fields(content(t, filepath.Join(dir, "cgroup.procs")))
		for _, p := range descendants(parent.Process.Pid) {
			if !strings.Contains(" "+strings.Join(in, " ")+" ", " "+strconv.Itoa(p)+" ") {
				t.Errorf("%s: process %d is not among %v", name, p, in)
			}
		}
	}
	// Up, down and off.
	for _, l := range []Limits{{Memory: 128 << 20}, {Memory: 32 << 20}, {}} {
		if _, err := g.Set(l); err != nil {
			t.Errorf("%+v: %v", l, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(hybrid)
	f.Fuzz(func(t *testing.T, mountinfo string) {
		if m := parse(mountinfo); m.Check(Limits{}) != nil {
			t.Error("no limits cannot be had")
		}
	})
}
