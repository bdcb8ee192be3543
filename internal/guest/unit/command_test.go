package unit

import (
	"bytes"
	"context"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSystemctl_ExitCodesAndWords(t *testing.T) {
	l := newLab(t)
	l.unit("web", "ExecStart=/bin/sleep 1000")
	l.unit("bad", "ExecStart=/bin/true", "ExecStartPre=/bin/false")
	for _, tc := range []struct {
		line string
		exit int
		out  string // part of the output
		errs string
	}{
		{"status web", 3, "Active: inactive (dead)", ""},
		{"is-active web", 3, "inactive\n", ""},
		{"start web", 0, "", ""},
		{"status web.service --no-pager", 0, "● web.service - The web daemon\n     Loaded: loaded (/lib/systemd/system/web.service; disabled; preset: enabled)\n     Active: active (running) since ", ""},
		{"status -n 1 web", 0, "Main PID: ", ""},
		{"is-active web", 0, "active\n", ""},
		{"is-active --quiet web", 0, "", ""},
		{"is-active -q web none", 0, "", ""},
		{"is-failed web", 1, "active\n", ""},
		{"restart --no-block --system web", 0, "", ""},
		{"try-restart web", 0, "", ""},
		{"reload-or-restart web", 0, "", ""},
		{"kill -s SIGCONT web", 0, "", ""},
		{"show -p MainPID,Type web", 0, "Type=simple\nMainPID=", ""},
		{"show --property=LoadState --value none", 0, "not-found\n", ""},
		{"show -pActiveState web", 0, "ActiveState=active\n", ""},
		{"list-units", 0, "web.service", ""},
		{"list-units --state=failed --no-legend", 0, "", ""},
		{"list-unit-files web*", 0, "web.service disabled\n", ""},
		{"cat web", 0, "# /lib/systemd/system/web.service\n[Unit]\nDescription=The web daemon\n", ""},
		{"stop web", 0, "", ""},
		{"start none", 5, "", "Failed to start none.service: Unit none.service not found.\n"},
		{"stop none", 5, "", "Failed to stop none.service: Unit none.service not loaded.\n"},
		{"restart none", 5, "", "Failed to restart none.service: Unit none.service not found.\n"},
		{"status none", 4, "", "Unit none.service could not be found.\n"},
		{"is-active none", 3, "inactive\n", ""},
		{"is-enabled none", 1, "", "Failed to get unit file state for none.service: No such file or directory\n"},
		{"enable none", 1, "", "Failed to enable unit: Unit file none.service does not exist.\n"},
		{"start bad", 1, "", "Job for bad.service failed because the control process exited with error code.\nSee \"systemctl status bad.service\" and \"journalctl -xeu bad.service\" for details.\n"},
		{"status bad", 3, "× bad.service - The bad daemon", ""},
		{"is-failed bad", 0, "failed\n", ""},
		{"is-system-running", 1, "degraded\n", ""},
		{"start multi-user.target", 5, "", "not found"},
		{"daemon-reload", 0, "", ""},
		{"frobnicate", 1, "", "Unknown command verb frobnicate.\n"},
		{"start", 1, "", "Too few arguments.\n"},
		{"start -p", 1, "", "requires an argument"},
		{"poweroff", 1, "", "Failed to poweroff"},
		{"--version", 0, "systemd 252", ""},
	} {
		out, errs, exit := l.systemctl(strings.Fields(tc.line)...)
		if exit != tc.exit || !strings.Contains(out, tc.out) || !strings.Contains(errs, tc.errs) || tc.out == "" && tc.errs != "" && out != "" {
			t.Errorf("systemctl %s: exit %d, want %d\nstdout: %s\nstderr: %s", tc.line, exit, tc.exit, out, errs)
		}
	}
}

func TestSystemctl_Quiet(t *testing.T) {
	l := newLab(t)
	l.unit("web", "ExecStart=/bin/sleep 1000")
	if out, errs, exit := l.systemctl("-q", "is-active", "web"); out != "" || errs != "" || exit != 3 {
		t.Errorf("%q %q %d", out, errs, exit)
	}
}

func TestSystemctl_Environment(t *testing.T) {
	l := newLab(t)
	l.systemctl("set-environment", "A=1", "B=2 3")
	if out, _, _ := l.systemctl("show-environment"); !strings.Contains(out, "A=1\nB=2 3\n") {
		t.Errorf("environment %q", out)
	}
	l.systemctl("unset-environment", "A")
	if out, _, _ := l.systemctl("show-environment"); strings.Contains(out, "A=1") || !strings.Contains(out, "B=") {
		t.Errorf("environment %q", out)
	}
	if _, _, exit := l.systemctl("set-environment", "no assignment"); exit != 1 {
		t.Errorf("exit %d", exit)
	}
}

func TestSystemctl_ChangesNeedRoot(t *testing.T) {
	l := newLab(t)
	l.unit("web", "ExecStart=/bin/sleep 1000")
	if a := l.run(t.Context(), request{Args: []string{"start", "web"}}, false); a.Exit != 4 || !strings.Contains(a.Err, "authentication required") {
		t.Errorf("%+v", a)
	}
	if a := l.run(t.Context(), request{Args: []string{"status", "web"}}, false); a.Exit != 3 {
		t.Errorf("%+v", a)
	}
}

func TestEnable(t *testing.T) {
	l := newLab(t, func(c *Config) { c.Enabled = []string{"ssh"} })
	run := "ExecStart=/bin/sleep 1000"
	for _, name := range []string{"ssh", "web", "packaged", "sleeper"} {
		l.unit(name, run)
	}
	l.unit("tenant@", run)
	l.file("/lib/systemd/system/plain.service", "[Service]\n"+run+"\n")
	l.file("/etc/init.d/oldd", "#!/bin/sh\nexit 0\n")
	l.file("/etc/init.d/idle", "#!/bin/sh\nexit 0\n")
	// What the scripts of packages do, without systemctl.
	l.link("/lib/systemd/system/packaged.service", "/etc/systemd/system/multi-user.target.wants/packaged.service")
	l.link("/lib/systemd/system/sleeper.service", "/etc/systemd/system/sleep.target.wants/sleeper.service")
	l.link("../init.d/oldd", "/etc/rc3.d/S01oldd")
	l.link("../init.d/idle", "/etc/rc3.d/K01idle")
	for name, want := range map[string]string{"ssh": "enabled", "web": "disabled", "packaged": "enabled", "sleeper": "disabled", "plain": "static", "oldd": "enabled", "idle": "disabled"} {
		if out, _, _ := l.systemctl("is-enabled", name); out != want+"\n" {
			t.Errorf("%s is %q, want %s", name, out, want)
		}
	}
	_, errs, exit := l.systemctl("enable", "--now", "web")
	if want := "Created symlink /etc/systemd/system/multi-user.target.wants/web.service → /lib/systemd/system/web.service.\n"; exit != 0 || errs != want {
		t.Errorf("exit %d, %q; want %q", exit, errs, want)
	}
	if _, errs, exit := l.systemctl("enable", "tenant@a"); exit != 0 {
		t.Errorf("exit %d, %q", exit, errs)
	}
	l.want("web", "active", "running")
	l.mustStop("web")
	if err := l.StartEnabled(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ssh", "web", "packaged", "tenant@a"} {
		l.want(name, "active", "running")
	}
	l.want("oldd", "active", "exited")
	l.want("sleeper", "inactive", "dead")
	l.want("idle", "inactive", "dead")
	l.systemctl("disable", "--now", "ssh", "web", "packaged", "tenant@a", "oldd")
	l.want("web", "inactive", "dead")
	if got := l.enabled(); len(got) != 0 || l.exists("/etc/systemd/system/multi-user.target.wants/web.service") {
		t.Errorf("enabled %v", got)
	}
	l.systemctl("enable", "ssh", "oldd", "idle")
	if diff := cmp.Diff([]string{"idle.service", "oldd.service", "ssh.service"}, l.enabled()); diff != "" {
		t.Error(diff)
	}
}

func TestMask(t *testing.T) {
	l := newLab(t)
	l.unit("web", "ExecStart=/bin/sleep 1000")
	if _, errs, exit := l.systemctl("mask", "web"); exit != 0 || errs != "Created symlink /etc/systemd/system/web.service → /dev/null.\n" {
		t.Errorf("exit %d, %q", exit, errs)
	}
	if _, errs, exit := l.systemctl("start", "web"); exit != 1 || errs != "Failed to start web.service: Unit web.service is masked.\n" {
		t.Errorf("exit %d, %q", exit, errs)
	}
	if out, _, _ := l.systemctl("is-enabled", "web"); out != "masked\n" {
		t.Errorf("is-enabled %q", out)
	}
	if _, _, exit := l.systemctl("unmask", "web"); exit != 0 {
		t.Errorf("exit %d", exit)
	}
	l.mustStart("web")
}

func TestPrepare(t *testing.T) {
	var ran []string
	l := newLab(t, func(c *Config) {
		c.Spawn = func(s SpawnSpec) (int, <-chan syscall.WaitStatus, error) {
			ran = append(ran, strings.Join(s.Argv, " "))
			exited := make(chan syscall.WaitStatus, 1)
			exited <- 0
			return 1 << 22, exited, nil
		}
		c.Env = []string{"PATH=" + c.Root + "/bin"}
	})
	l.file("/bin/ssh-keygen", "")
	l.unit("ssh", "Type=oneshot", "ExecStart=/bin/true")
	l.file("/usr/lib/tmpfiles.d/x.conf", "# c\nd /run/x 0711 - - -\nd /var/run/y 1777\nd /etc/no 0755\nL /run/link - - - - /x\nbad\n")
	l.mustStart("ssh")
	l.file("/etc/ssh/ssh_host_ed25519_key", "")
	l.file("/usr/lib/tmpfiles.d/later.conf", "d /run/later\n") // by a package installed meanwhile
	l.mustStart("ssh")
	if want := l.c.path("/bin/ssh-keygen") + " -A|/bin/true|/bin/true"; strings.Join(ran, "|") != want {
		t.Errorf("ran %q, want %s", ran, want)
	}
	if !l.exists("/run/sshd") || !l.exists("/run/x") || !l.exists("/run/y") || !l.exists("/run/later") || l.exists("/etc/no") || l.exists("/run/link") {
		t.Error("runtime directories")
	}
}

func TestJournal(t *testing.T) {
	l := newLab(t)
	l.unit("web", "ExecStart=/bin/true")
	l.link("web.service", "/lib/systemd/system/www.service")
	l.file(LogDir+"/web.log", "one\ntwo\nthree\n")
	for line, want := range map[string]string{"-u web": "one\ntwo\nthree\n", "--unit=www -n 1 --no-pager": "three\n", "-xeu web": "one\ntwo\nthree\n", "-u none": "", "-n2": "two\nthree\n"} {
		var out, errs bytes.Buffer
		if exit := JournalMain(t.Context(), l.root, strings.Fields(line), &out, &errs); exit != 0 || out.String() != want {
			t.Errorf("journalctl %s: %d %q %q", line, exit, out.String(), errs.String())
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if exit := JournalMain(ctx, l.root, []string{"-fu", "web"}, &out, &out); exit != 0 || !strings.HasSuffix(out.String(), "three\n") {
		t.Errorf("%d %q", exit, out.String())
	}
}
