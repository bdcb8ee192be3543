package host_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/host"
)

// A failed start names the step and the cause and leaves nothing.
func TestStart_FailsCleanly(t *testing.T) {
	h, cfg := newLab(t)
	for _, c := range []struct {
		name   string
		change func(*host.Spec)
		want   string
	}{
		{"device", func(s *host.Spec) { s.Devices = []string{"/dev/no-such"} }, "instance i-1: root file system: device /dev/no-such: no such file"},
		{"mac", func(s *host.Spec) { s.NICs[0].LinkType, s.NICs[0].MAC = "tap", "01:00:5e:00:00:01" }, "instance i-1: network devices: device eth0: mac 01:00:5e:00:00:01"},
		{"mtu", func(s *host.Spec) { s.NICs[0].MTU = 10 }, "instance i-1: network devices: device eth0: mtu 10"},
		{"key name", func(s *host.Spec) { s.PrivateKeys = map[string]string{"../x": "key"} }, "instance i-1: files: keys of root: private key \"../x\""},
		{"link type", func(s *host.Spec) { s.NICs[0].LinkType = "veth" }, "interface eni-i-1: link type \"veth\""},
		{"name", func(s *host.Spec) { s.Name = "a/b" }, "name \"a/b\""},
	} {
		spec := internetHost("i-1", "web")
		c.change(&spec)
		if _, err := h.Start(limited(t), spec); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
		if ids, err := h.Sandboxes(); err != nil || len(ids) != 0 {
			t.Errorf("%s: left %v, %v", c.name, ids, err)
		}
	}
	for _, dir := range []string{"/run/instances", "/state/disks"} {
		if err := os.Remove(filepath.Dir(cfg.RunDir) + dir); err != nil {
			t.Error(err)
		}
	}
	nothingLeft(t, cfg)
}

func TestStart_Cancelled(t *testing.T) {
	h, _ := newLab(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := h.Start(ctx, internetHost("i-1", "web")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if ids, err := h.Sandboxes(); err != nil || len(ids) != 0 {
		t.Errorf("left %v, %v", ids, err)
	}
}

func TestStart_GuestProgramMissing(t *testing.T) {
	_, cfg := newLab(t)
	cfg.GuestPath = "/no/such/guest"
	h, err := host.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Start(limited(t), internetHost("i-1", "web")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	cfg.GuestPath = "/bin/true"
	if h, err = host.Open(cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Start(limited(t), internetHost("i-1", "web")); err == nil || !strings.Contains(err.Error(), "PID 1 ended before it was up") {
		t.Errorf("got %v", err)
	}
}

// Where the state directory cannot carry an upper layer (here: it lies on an overlay, as in a container), the disk is
// in memory, survives a stop, and the user is told.
func TestStart_DiskInMemory(t *testing.T) {
	dir, err := os.MkdirTemp("", "vpcemu-host-overlay")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root := filepath.Join(dir, "root")
	options := "lowerdir=/usr/share/doc,upperdir=" + dir + "/upper,workdir=" + dir + "/work"
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		t.Fatal(err)
	}
	cfg := host.Config{Lab: filepath.Base(dir), StateDir: root + "/state", RunDir: dir + "/run", GuestPath: guestPath}
	t.Cleanup(func() {
		if err := unix.Unmount(root, 0); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	h, err := host.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.RemoveAll(limitedCleanup(t)); err != nil {
			t.Error(err)
		}
	})
	spec := internetHost("i-1", "web")
	s := start(t, h, spec)
	st, err := s.Status(limited(t))
	if err != nil || len(st.Notes) != 1 || !strings.Contains(st.Notes[0], "the disk is kept in memory") {
		t.Fatalf("notes %q, %v", st.Notes, err)
	}
	shell(t, cfg, "i-1", "echo kept > /root/file")
	if err := s.Stop(limited(t), time.Second); err != nil {
		t.Fatal(err)
	}
	spec.BootID = 2
	start(t, h, spec)
	if got := shell(t, cfg, "i-1", "cat /root/file"); got != "kept" {
		t.Errorf("after a stop: %q", got)
	}
	if err := h.RemoveAll(limited(t)); err != nil {
		t.Fatal(err)
	}
	nothingLeftBut(t, cfg, root)
}

// limitedCleanup is limited for a cleanup function.
func limitedCleanup(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// The program on the host may be replaced while instances run.
func TestGuestProgram_Replaced(t *testing.T) {
	_, cfg := newLab(t)
	dir := t.TempDir()
	cfg.GuestPath = filepath.Join(dir, "vpcemu-guest")
	install := func(from string) {
		t.Helper()
		if out, err := exec.Command("install", "-m", "755", from, cfg.GuestPath).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	install(guestPath)
	h, err := host.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, h, internetHost("i-1", "web"))
	install("/bin/false")
	shell(t, cfg, "i-1", "systemctl --version >/dev/null; test -x /run/vpcemu/guest")
	_, _ = host.Exec(limited(t), cfg.RunDir, "i-1", host.ExecRequest{Argv: []string{"reboot"}})
	if exit := <-s.Done(); exit.Cause != host.ExitReboot {
		t.Errorf("exit %+v", exit)
	}
}

// Two removals and a removal of nothing are no errors.
func TestRemove_Idempotent(t *testing.T) {
	h, cfg := newLab(t)
	s := start(t, h, internetHost("i-1", "web"))
	for range 2 {
		if err := h.Remove(limited(t), "i-1", false); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(cfg.StateDir + "/disks/i-1/upper"); err != nil {
			t.Errorf("the disk is gone: %v", err)
		}
	}
	if exit := <-s.Done(); exit.Cause != host.ExitKilled {
		t.Errorf("exit %+v", exit)
	}
	for range 2 {
		if err := h.Remove(limited(t), "i-1", true); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Remove(limited(t), "../x", true); err == nil {
		t.Error("a path was taken for an ID")
	}
	if _, err := h.Adopt(limited(t), "i-1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("adopt: %v", err)
	}
	if err := h.RemoveAll(limited(t)); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, cfg)
}

// An orphan whose run directory was deleted is found by its label.
func TestRemoveAll_RunDirectoryDeleted(t *testing.T) {
	h, cfg := newLab(t)
	start(t, h, internetHost("i-1", "web"))
	if err := os.RemoveAll(cfg.RunDir); err != nil {
		t.Fatal(err)
	}
	if ids, err := h.Sandboxes(); err != nil || len(ids) != 1 {
		t.Errorf("Sandboxes: %v, %v", ids, err)
	}
	if err := h.RemoveAll(limited(t)); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, cfg)
}

func TestCheck_ThisMachine(t *testing.T) {
	if err := host.Check(); err != nil {
		t.Error(err)
	}
}
