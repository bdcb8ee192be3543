package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/host"
)

// startUntilKilled is the child of the tests below: a daemon that starts three sandboxes and stays.
func startUntilKilled(text string) int {
	var cfg host.Config
	err := json.Unmarshal([]byte(text), &cfg)
	var h *host.Host
	if err == nil {
		h, err = host.Open(cfg)
	}
	for i := 1; err == nil && i <= 3; i++ {
		_, err = h.Start(context.Background(), internetHost(fmt.Sprintf("i-%d", i), fmt.Sprintf("crash%d", i)))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("started")
	select {}
}

// daemon starts the child.
func daemon(t *testing.T, cfg host.Config) *exec.Cmd {
	t.Helper()
	cfg.Log = nil
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "VPCEMU_TEST_START="+string(text))
	cmd.Stderr = os.Stderr
	return cmd
}

// A daemon killed at any moment of Start leaves what the next one completes (even rounds) or removes.
func TestStart_KilledAtAnyMoment(t *testing.T) {
	h, cfg := newLab(t)
	for round := range 16 {
		cmd := daemon(t, cfg)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		delay := rand.N(250 * time.Millisecond)
		<-time.After(delay)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if round%2 == 0 {
			for i := 1; i <= 3; i++ {
				id := fmt.Sprintf("i-%d", i)
				start(t, h, internetHost(id, fmt.Sprintf("crash%d", i)))
				if got := shell(t, cfg, id, "hostname"); got != fmt.Sprintf("crash%d", i) {
					t.Errorf("round %d, killed after %v: host name %q", round, delay, got)
				}
			}
		}
		if err := h.RemoveAll(limited(t)); err != nil {
			t.Fatalf("round %d, killed after %v: %v", round, delay, err)
		}
		nothingLeft(t, cfg)
		if t.Failed() {
			t.Fatalf("round %d, killed after %v", round, delay)
		}
	}
}

// nothingLeft looks for the lab in all places where it could be. A PID 1 that never got its configuration ends by
// itself, but not within the instant.
func nothingLeft(t *testing.T, cfg host.Config) {
	t.Helper()
	nothingLeftBut(t, cfg, "")
}

// nothingLeftBut allows a mount that the test itself made.
func nothingLeftBut(t *testing.T, cfg host.Config, mount string) {
	t.Helper()
	eventually(t, "no process of the lab", func() bool {
		paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, path := range paths {
			text, _ := os.ReadFile(path)
			if strings.HasPrefix(string(text), "vpcemu-guest\x00") && strings.Contains(string(text), cfg.RunDir) {
				return false
			}
		}
		return true
	})
	if names, _ := filepath.Glob("/run/netns/" + cfg.Lab + ".*"); len(names) > 0 {
		t.Errorf("left in /run/netns: %q", names)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		point := strings.Fields(line)[4]
		if point != mount && (strings.Contains(point, cfg.Lab+".") || strings.HasPrefix(point, filepath.Dir(cfg.RunDir))) {
			t.Errorf("left mounted: %s", line)
		}
	}
	for _, dir := range []string{cfg.RunDir, cfg.StateDir} {
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("left in %s: %v", dir, entries)
		}
	}
}

// Instances outlive their daemon, and another one adopts them with all that runs inside.
func TestAdopt_AfterTheDaemonIsKilled(t *testing.T) {
	h, cfg := newLab(t)
	cmd := daemon(t, cfg)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	shell(t, cfg, "i-1", "sleep 1000 >/dev/null 2>&1 </dev/null & echo $! > /run/sleeper")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	shell(t, cfg, "i-1", "kill -0 $(cat /run/sleeper)") // exec works with no daemon

	s, err := h.Adopt(limited(t), "i-1")
	if err != nil {
		t.Fatal(err)
	}
	pid := s.PID()
	if again := start(t, h, internetHost("i-1", "crash1")); again.PID() != pid {
		t.Errorf("Start made PID %d although %d runs", again.PID(), pid)
	}
	shell(t, cfg, "i-1", "kill -0 $(cat /run/sleeper)")
	// The name in ip netns is put back if somebody removed it.
	if out, err := exec.Command("ip", "netns", "del", cfg.Lab+".crash1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := h.Adopt(limited(t), "i-1"); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ip", "netns", "exec", cfg.Lab+".crash1", "ip", "link", "show", "eth0").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	// Not a child of this process, yet its end and the cause are seen.
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if exit := <-s.Done(); exit.Cause != host.ExitKilled || !strings.Contains(exit.Detail, "signal 9") {
		t.Errorf("exit %+v, want killed by signal 9", exit)
	}
	next := internetHost("i-1", "crash1")
	next.BootID = 2
	if s := start(t, h, next); s.PID() == pid || s.BootID() != 2 {
		t.Errorf("after the kill: PID %d, boot %d", s.PID(), s.BootID())
	}
}

func TestStart_NameTaken(t *testing.T) {
	h, cfg := newLab(t)
	name := cfg.Lab + ".web"
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	_, err := h.Start(limited(t), internetHost("i-1", "web"))
	if err == nil || !strings.Contains(err.Error(), "network namespace "+name+": the name is taken by something else") {
		t.Errorf("got %v", err)
	}
	if err := h.RemoveAll(limited(t)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ip", "netns", "exec", name, "true").CombinedOutput(); err != nil {
		t.Errorf("the other namespace was touched: %v: %s", err, out)
	}
	if err := exec.Command("ip", "netns", "del", name).Run(); err != nil {
		t.Error(err)
	}
	nothingLeft(t, cfg)
}
