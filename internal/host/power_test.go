package host_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/host"
)

func TestDone_SaysWhatEndedTheInstance(t *testing.T) {
	h, cfg := newLab(t)
	for i, c := range []struct{ script, want string }{
		{"poweroff", host.ExitPoweroff},
		{"reboot", host.ExitReboot},
		{"halt", host.ExitPoweroff},
		{"shutdown -r now", host.ExitReboot},
		{"shutdown -h now", host.ExitPoweroff},
		{"systemctl poweroff", host.ExitPoweroff},
		{"systemctl reboot", host.ExitReboot},
		{"init 0", host.ExitPoweroff},
		{"python3 -c 'import ctypes; ctypes.CDLL(None).reboot(0x1234567)'", host.ExitReboot},
		{"python3 -c 'import ctypes; ctypes.CDLL(None).reboot(0x4321fedc)'", host.ExitPoweroff},
	} {
		spec := internetHost("i-1", "web")
		spec.BootID = i
		s := start(t, h, spec)
		// The program may well be ended before it can tell its status.
		_, _ = host.Exec(limited(t), cfg.RunDir, "i-1", host.ExecRequest{Argv: []string{"sh", "-c", c.script}})
		select {
		case exit := <-s.Done():
			if exit.Cause != c.want {
				t.Errorf("%s: exit %+v, want %s", c.script, exit, c.want)
			}
		case <-limited(t).Done():
			t.Fatalf("%s: the instance runs on", c.script)
		}
	}
	s := start(t, h, internetHost("i-1", "web"))
	for _, script := range []string{"shutdown soon", "init 3", "reboot --nonsense", "shutdown --show"} {
		if out, status := shellStatus(t, cfg, "i-1", script); status == 0 || out == "" {
			t.Errorf("%s: status %d, %q", script, status, out)
		}
	}
	if _, err := host.Exec(limited(t), cfg.RunDir, "i-1", host.ExecRequest{Argv: []string{"poweroff"}, User: "ec2-user"}); err != nil {
		t.Error(err)
	}
	select {
	case exit := <-s.Done():
		t.Errorf("ec2-user switched the instance off: %+v", exit)
	default:
	}
}

// Stop lets processes end by themselves, and ends those that do not.
func TestStop_GraceThenKill(t *testing.T) {
	h, cfg := newLab(t)
	s := start(t, h, internetHost("i-1", "web"))
	shell(t, cfg, "i-1", `sh -c 'trap "echo bye > /root/bye; exit" TERM; echo > /run/a; while :; do sleep 0.05; done' >/dev/null 2>&1 </dev/null &
		sh -c 'trap "" TERM; echo > /run/b; while :; do sleep 0.05; done' >/dev/null 2>&1 </dev/null &
		while [ ! -e /run/a ] || [ ! -e /run/b ]; do sleep 0.01; done`)
	begun := time.Now()
	if err := s.Stop(limited(t), 500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took < 400*time.Millisecond || took > 5*time.Second {
		t.Errorf("stopped after %v with a grace of 0.5 s", took)
	}
	if text, err := os.ReadFile(cfg.StateDir + "/disks/i-1/upper/root/bye"); err != nil || string(text) != "bye\n" {
		t.Errorf("the process that heeds SIGTERM wrote %q, %v", text, err)
	}
	nothingButDisks(t, cfg)
}

func nothingButDisks(t *testing.T, cfg host.Config) {
	t.Helper()
	if entries, _ := os.ReadDir(cfg.RunDir + "/instances"); len(entries) > 0 {
		t.Errorf("left in the run directory: %v", entries)
	}
	if names, _ := filepath.Glob("/run/netns/" + cfg.Lab + ".*"); len(names) > 0 {
		t.Errorf("left in /run/netns: %q", names)
	}
}

func TestUserData_OnceInTheLifeOfADisk(t *testing.T) {
	h, cfg := newLab(t)
	spec := internetHost("i-1", "web")
	spec.UserData = "#!/bin/sh\necho hello $USER; echo run >> /root/runs; exit 3\n"
	s := start(t, h, spec)
	if err := s.WaitReady(limited(t)); err != nil {
		t.Fatal(err)
	}
	var st host.Status
	eventually(t, "user data ends", func() bool {
		var err error
		if st, err = s.Status(limited(t)); err != nil {
			t.Fatal(err)
		}
		return st.UserData.State != "pending" && st.UserData.State != "running"
	})
	if st.UserData.State != "failed" || st.UserData.Code != 3 || !strings.Contains(st.UserData.Problem, "exit status 3") || st.State != "ready" {
		t.Errorf("status %+v", st)
	}
	if got := shell(t, cfg, "i-1", "head -n 1 /var/log/cloud-init-output.log"); got != "hello root" {
		t.Errorf("output %q", got)
	}
	if err := s.Stop(limited(t), time.Second); err != nil {
		t.Fatal(err)
	}
	spec.BootID = 2
	s = start(t, h, spec)
	if err := s.WaitReady(limited(t)); err != nil {
		t.Fatal(err)
	}
	if got := shell(t, cfg, "i-1", "cat /root/runs"); got != "run" {
		t.Errorf("runs %q", got)
	}
	if st, err := s.Status(limited(t)); err != nil || st.UserData.Code != 3 {
		t.Errorf("after the second boot: %+v, %v", st, err)
	}
}

// sshd runs unmodified from its unit file, and systemctl knows it. The keys work for root and ec2-user.
func TestBoot_StartsSSH(t *testing.T) {
	h, cfg := newLab(t)
	key, public := sshKey(t)
	spec := internetHost("i-1", "web")
	spec.AuthorizedKeys = []string{public}
	spec.PrivateKeys = map[string]string{"lab": key}
	s := start(t, h, spec)
	if err := s.WaitReady(limited(t)); err != nil {
		t.Fatal(err)
	}
	if got := shell(t, cfg, "i-1", "systemctl is-active ssh"); got != "active" {
		t.Errorf("ssh is %q", got)
	}
	for _, user := range []string{"root", "ec2-user"} {
		for _, from := range []string{"root", "ec2-user"} {
			var out strings.Builder
			status, err := host.Exec(limited(t), cfg.RunDir, "i-1", host.ExecRequest{User: from, Stdout: &out, Stderr: &out,
				Argv: []string{"ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", user + "@127.0.0.1", "id -un"}})
			if err != nil || status != 0 || !strings.HasSuffix(out.String(), user+"\n") {
				t.Errorf("from %s to %s: status %d, %v: %s", from, user, status, err, out.String())
			}
		}
	}
	st, err := s.Status(limited(t))
	if err != nil || len(st.HostKeys) == 0 || len(st.Units) != 0 {
		t.Errorf("status %+v, %v", st, err)
	}
	for _, k := range st.HostKeys {
		typ, data, _ := strings.Cut(k, " ")
		if raw, err := base64.StdEncoding.DecodeString(data); err != nil || !strings.Contains(string(raw), typ) {
			t.Errorf("host key %q: %v", k, err)
		}
	}
}
