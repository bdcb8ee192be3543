package host_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/host"
)

var guestPath string

// TestMain builds the program that the tests run in namespaces. With VPCEMU_TEST_START set it is a daemon that
// starts sandboxes until it is killed (crash_test.go).
func TestMain(m *testing.M) {
	os.Exit(func() int {
		if spec := os.Getenv("VPCEMU_TEST_START"); spec != "" {
			return startUntilKilled(spec)
		}
		if err := host.Check(); err != nil {
			fmt.Fprintf(os.Stderr, "these tests make namespaces: %v\n", err)
			return 1
		}
		dir, err := os.MkdirTemp("", "vpcemu-host-test")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		guestPath = filepath.Join(dir, "vpcemu-guest")
		build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", guestPath, "github.com/vpcemu/vpcemu/cmd/vpcemu/guest")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the guest: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

var labs atomic.Int32

// newLab opens a lab of its own for the test, which ends with the lab's removal.
func newLab(t *testing.T) (*host.Host, host.Config) {
	t.Helper()
	dir, err := os.MkdirTemp("", "vpcemu-host")
	if err != nil {
		t.Fatal(err)
	}
	cfg := host.Config{Lab: fmt.Sprintf("test%d-%d", os.Getpid(), labs.Add(1)), StateDir: dir + "/state", RunDir: dir + "/run", GuestPath: guestPath}
	h, err := host.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			showConsoles(t, cfg)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := h.RemoveAll(ctx); err != nil {
			t.Errorf("clean up: %v", err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return h, cfg
}

func showConsoles(t *testing.T, cfg host.Config) {
	logs, _ := filepath.Glob(cfg.StateDir + "/disks/*/console.log")
	for _, path := range logs {
		text, _ := os.ReadFile(path)
		t.Logf("%s:\n%s", path, text)
	}
}

// limited gives a context for what must happen soon.
func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// internetHost is an instance that needs no network to boot.
func internetHost(id, name string) host.Spec {
	return host.Spec{ID: id, Name: name, Hostname: name, BootID: 1, NICs: []host.NIC{{
		ID: "eni-" + id, Handle: 7, MTU: 1500, Static: netip.MustParsePrefix("203.0.113.10/32")}}}
}

func start(t *testing.T, h *host.Host, spec host.Spec) *host.Sandbox {
	t.Helper()
	s, err := h.Start(limited(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shell runs a script in an instance and returns its output, without the last newline.
func shell(t *testing.T, cfg host.Config, id, script string) string {
	t.Helper()
	out, status := shellStatus(t, cfg, id, script)
	if status != 0 {
		t.Fatalf("%s: %s: exit status %d: %s", id, script, status, out)
	}
	return out
}

func shellStatus(t *testing.T, cfg host.Config, id, script string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	status, err := host.Exec(limited(t), cfg.RunDir, id, host.ExecRequest{Argv: []string{"sh", "-c", script}, Stdout: &out, Stderr: &out})
	if err != nil {
		t.Fatalf("%s: %s: %v", id, script, err)
	}
	return strings.TrimSuffix(out.String(), "\n"), status
}

// eventually waits for a condition, with a limit.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	limit := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-limit:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}
