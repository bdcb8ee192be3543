package host

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/vpcemu/vpcemu/internal/guest/disk"
)

func TestExitOf(t *testing.T) {
	signaled := func(s syscall.Signal) syscall.WaitStatus { return syscall.WaitStatus(s) }
	for _, c := range []struct {
		cause  string
		status syscall.WaitStatus
		known  bool
		want   string
	}{
		{"stop", 0, true, ExitStop},
		{"poweroff", signaled(syscall.SIGKILL), true, ExitPoweroff},
		{"", signaled(syscall.SIGHUP), true, ExitReboot},
		{"", signaled(syscall.SIGINT), true, ExitPoweroff},
		{"", signaled(syscall.SIGKILL), true, ExitKilled},
		{"", 0, false, ExitKilled},
		{"", 2 << 8, true, ExitFailed},
	} {
		if got := exitOf(c.cause, c.status, c.known); got.Cause != c.want {
			t.Errorf("exitOf(%q, %#x, %v) = %+v, want %s", c.cause, uint32(c.status), c.known, got, c.want)
		}
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{"web": true, "i-0a.b_C": true, "": false, ".": false, "..": false, "-x": false,
		"a/b": false, "a b": false, "ü": false, strings.Repeat("x", 65): false} {
		if validName(name) != want {
			t.Errorf("validName(%q) = %v", name, !want)
		}
	}
}

func TestOpenProcess_SamePIDAnotherProcess(t *testing.T) {
	started, err := startTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	p, err := openProcess(os.Getpid(), started)
	if err != nil {
		t.Fatal(err)
	}
	p.close()
	if _, err := openProcess(os.Getpid(), started+1); err == nil {
		t.Error("a process with another start time was taken for it")
	}
}

func TestCheckTun_NamesTheRemedy(t *testing.T) {
	err := checkTun(filepath.Join(t.TempDir(), "tun"))
	if err == nil || !strings.Contains(err.Error(), "mknod -m 666 /dev/net/tun c 10 200") || !strings.Contains(err.Error(), "--device /dev/net/tun") {
		t.Errorf("got %v", err)
	}
}

func TestFindGuest_FromTheEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "guest")
	t.Setenv("VPCEMU_GUEST", path)
	if _, err := FindGuest(); err == nil || !strings.Contains(err.Error(), "VPCEMU_GUEST") {
		t.Errorf("missing: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := FindGuest(); err != nil || got != path {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestInitBelow_NoProgramOfAnInstance(t *testing.T) {
	for status, want := range map[string]bool{
		"Name:\tinit\nNSpid:\t4711\t1\nThreads:\t1\n": true,
		"NSpid:\t4711\n":        false, // of the host
		"NSpid:\t4711\t26\n":    false, // of an instance
		"NSpid:\t4711\t26\t1\n": false, // in a namespace that it made
		"":                      false,
	} {
		if initBelow(status) != want {
			t.Errorf("%q: %v", status, !want)
		}
	}
}

// IDs become parts of paths that are deleted.
func TestRemove_LeavesNoDirectoryOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	h := &Host{cfg: Config{Lab: "lab", RunDir: filepath.Join(dir, "run"), StateDir: filepath.Join(dir, "state")}}
	kept := filepath.Join(dir, "kept")
	if err := os.MkdirAll(kept, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"../../kept", "", ".", ".."} {
		if err := h.remove(t.Context(), id, true, inventory{}); err == nil {
			t.Errorf("%q: removed", id)
		}
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}

// What could not be taken away is found again by the run directory.
func TestRemove_CanBeRepeated(t *testing.T) {
	dir := t.TempDir()
	h := &Host{cfg: Config{Lab: "lab", RunDir: filepath.Join(dir, "run"), StateDir: filepath.Join(dir, "state")}}
	if err := os.MkdirAll(h.runDir("i-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.runDir("i-1"), "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	stuck := inventory{mounts: []disk.Mount{{Point: filepath.Join(h.runDir("i-1"), "file/mount")}}} // ENOTDIR
	if err := h.remove(t.Context(), "i-1", false, stuck); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(h.runDir("i-1")); err != nil {
		t.Errorf("after a removal that failed: %v", err)
	}
	if err := h.remove(t.Context(), "i-1", false, inventory{}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(h.runDir("i-1")); err == nil {
		t.Error("the directory is still there")
	}
}

// A removal of a tree that was cut short does not keep the next tree of that archive.
func TestSweepTree_AfterOneThatWasCutShort(t *testing.T) {
	place := filepath.Join(t.TempDir(), "0123")
	for _, dir := range []string{place + "/tree/bin", place + ".gone/tree/bin"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := sweepTree(place); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Dir(place)); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

// An instance can reach these files through PID 1's descriptors, and a sparse one of a terabyte costs it nothing.
func TestReadCause_BoundedWhateverTheInstanceDid(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{"reboot\n": ExitReboot, "stop\n": ExitStop, "poweroff\n": ExitPoweroff, "": "", "reboot\nstop\n": "", "x": ""} {
		if err := os.WriteFile(filepath.Join(dir, exitFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := readCause(dir); got != want {
			t.Errorf("%q: cause %q, want %q", text, got, want)
		}
	}
	console := filepath.Join(dir, "console.log")
	if err := os.WriteFile(console, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := consoleTail(console); got != ": one; two" {
		t.Errorf("console %q", got)
	}
	for _, path := range []string{filepath.Join(dir, exitFile), console} {
		if err := os.Truncate(path, 1<<40); err != nil {
			t.Fatal(err)
		}
	}
	if got := readCause(dir); got != "" {
		t.Errorf("cause %q", got)
	}
	if got := consoleTail(console); len(got) > 5000 {
		t.Errorf("console's tail of %d bytes", len(got))
	}
}

// One lab's instances see nothing of another lab, wherever the user put them both.
func TestHidden_OtherLabsToo(t *testing.T) {
	for _, c := range []struct {
		state, run string
		want       []string
	}{
		{"/var/lib/vpcemu/a", "/run/vpcemu/a", []string{"/var/lib/vpcemu/a", "/run/vpcemu/a", "/var/lib/vpcemu", "/run/vpcemu"}},
		{"/srv/labs/a", "/srv/run/a", []string{"/srv/labs/a", "/srv/run/a", "/srv/labs", "/srv/run"}},
		{"/var/lib/a", "/a", []string{"/var/lib/a", "/a"}}, // without /var/lib nothing works
	} {
		if got := hidden(Config{StateDir: c.state, RunDir: c.run}); !slices.Equal(got, c.want) {
			t.Errorf("%s, %s: %q, want %q", c.state, c.run, got, c.want)
		}
	}
}
