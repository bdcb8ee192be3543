package unit

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func resultOf(t *testing.T, err error) string {
	t.Helper()
	var job *Err
	if !errors.As(err, &job) {
		t.Fatalf("got %v, want a failed job", err)
	}
	return job.Result
}

func TestStart_Simple(t *testing.T) {
	l := newLab(t)
	l.unit("a", "ExecStartPre=/bin/sh -c 'echo pre >> $ROOT/log'", "ExecStart=/bin/sh -c 'echo out; echo err >&2; exec sleep 1000'",
		"ExecStartPost=/bin/sh -c 'echo post $MAINPID >> $ROOT/log'", "ExecStop=/bin/sh -c 'echo stop $MAINPID >> $ROOT/log'", "ExecStopPost=/bin/sh -c 'echo stop-post $SERVICE_RESULT $EXIT_CODE $EXIT_STATUS >> $ROOT/log'")
	l.mustStart("a")
	st := l.want("a", "active", "running")
	pid := strconv.Itoa(st.MainPID)
	if !alive(st.MainPID) {
		t.Errorf("no process %d", st.MainPID)
	}
	l.mustStart("a")
	if again := l.want("a", "active", "running"); again.MainPID != st.MainPID {
		t.Error("a second start started it again")
	}
	eventually(t, "output in the log", func() bool { return strings.Contains(l.read(LogDir+"/a.log"), "out\nerr\n") })
	l.mustStop("a")
	l.want("a", "inactive", "dead")
	if alive(st.MainPID) {
		t.Error("still running")
	}
	if got, want := l.read("/log"), "pre\npost "+pid+"\nstop "+pid+"\nstop-post success killed TERM\n"; got != want {
		t.Errorf("commands ran as\n%swant\n%s", got, want)
	}
	l.mustStop("a")
}

func TestStart_Oneshot(t *testing.T) {
	l := newLab(t)
	l.unit("once", "Type=oneshot", "ExecStart=/bin/sh -c 'echo 1 >> $ROOT/log'", "ExecStart=-/bin/false", "ExecStart=/bin/sh -c 'echo 2 >> $ROOT/log'")
	l.mustStart("once")
	eventually(t, "oneshot down", func() bool { st, _ := l.State("once"); return st.Active == "inactive" })
	if got := l.read("/log"); got != "1\n2\n" {
		t.Errorf("log %q", got)
	}
	l.unit("keep", "Type=oneshot", "RemainAfterExit=yes", "ExecStart=/bin/true", "ExecStop=/bin/sh -c 'echo stopped >> $ROOT/log'")
	l.mustStart("keep")
	l.want("keep", "active", "exited")
	l.mustStop("keep")
	if got := l.read("/log"); !strings.HasSuffix(got, "stopped\n") {
		t.Errorf("log %q", got)
	}
	l.unit("fails", "Type=oneshot", "ExecStart=/bin/false", "ExecStart=/bin/sh -c 'echo never >> $ROOT/log'")
	if got := resultOf(t, l.Start(t.Context(), "fails")); got != "exit-code" || strings.Contains(l.read("/log"), "never") {
		t.Errorf("result %s", got)
	}
	eventually(t, "failed", func() bool { st, _ := l.State("fails"); return st.Active == "failed" })
}

func TestStart_ForkingWithPIDFile(t *testing.T) {
	l := newLab(t)
	l.unit("f", "Type=forking", "PIDFile=/run/f.pid", "ExecStart=/bin/sh -c '(sleep 0.05; echo $$$$ >/dev/null; exec setsid sh -c \"echo \\$\\$ > $ROOT/run/f.pid; exec sleep 1000\") & exit 0'")
	l.mustStart("f")
	st := l.want("f", "active", "running")
	if got := strings.TrimSpace(l.read("/run/f.pid")); got != strconv.Itoa(st.MainPID) {
		t.Errorf("main process %d, PID file %s", st.MainPID, got)
	}
	l.mustStop("f")
	if alive(st.MainPID) || l.exists("/run/f.pid") {
		t.Errorf("process alive: %v, PID file left: %v", alive(st.MainPID), l.exists("/run/f.pid"))
	}
	l.unit("none", "Type=forking", "PIDFile=/run/none.pid", "ExecStart=/bin/true")
	if got := resultOf(t, l.Start(t.Context(), "none")); got != "protocol" {
		t.Errorf("result %s", got)
	}
}

// A daemon that renews its program, as nginx does when its package is upgraded, is followed to its new process.
func TestSupervise_MainProcessMovesOn(t *testing.T) {
	l := newLab(t)
	l.file("/start", "sh $ROOT/daemon >/dev/null 2>&1 & until [ -s $ROOT/run/n.pid ]; do sleep 0.01; done\n")
	l.file("/daemon", "trap 'sleep 1000 & echo $! > $ROOT/run/n.pid; exit 0' USR2\necho $$ > $ROOT/run/n.pid\nwhile :; do sleep 0.01; done\n")
	l.unit("n", "Type=forking", "PIDFile=/run/n.pid", "ExecStart=/bin/sh "+l.root+"/start")
	l.mustStart("n")
	old := l.want("n", "active", "running").MainPID
	if err := syscall.Kill(old, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another main process", func() bool { st, _ := l.State("n"); return st.MainPID != old && st.MainPID != 0 })
	st := l.want("n", "active", "running")
	if got := strings.TrimSpace(l.read("/run/n.pid")); got != strconv.Itoa(st.MainPID) {
		t.Errorf("main process %d, PID file %s", st.MainPID, got)
	}
	if err := syscall.Kill(st.MainPID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "unit down", func() bool { st, _ := l.State("n"); return st.Active == "inactive" || st.Active == "failed" })
}

func TestStart_ForkingGuessesAndSeesTheEnd(t *testing.T) {
	l := newLab(t)
	l.unit("g", "Type=forking", "ExecStart=/bin/sh -c 'setsid sleep 1000 & exit 0'")
	l.mustStart("g")
	st := l.want("g", "active", "running")
	if st.MainPID == 0 {
		t.Fatal("main process not found")
	}
	if err := syscall.Kill(st.MainPID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "unit down", func() bool { st, _ := l.State("g"); return st.Active == "inactive" })
}

func TestStart_Notify(t *testing.T) {
	l := newLab(t)
	l.unit("n", "Type=notify", "Environment=UNIT_TEST_ROLE=notify", "ExecStart="+testBinary(t))
	l.mustStart("n")
	if st := l.want("n", "active", "running"); st.Status != "serving" {
		t.Errorf("status text %q", st.Status)
	}
	l.mustStop("n")
	if files, _ := filepath.Glob(l.c.path(notifyDir) + "/*"); len(files) != 0 {
		t.Errorf("sockets left: %v", files)
	}
	l.unit("mute", "Type=notify", "TimeoutStartSec=200ms", "ExecStart=/bin/sleep 1000")
	if got := resultOf(t, l.Start(t.Context(), "mute")); got != "timeout" {
		t.Errorf("result %s", got)
	}
	l.unit("early", "Type=notify", "ExecStart=/bin/true")
	if got := resultOf(t, l.Start(t.Context(), "early")); got != "protocol" {
		t.Errorf("result %s", got)
	}
}

func testBinary(t *testing.T) string {
	t.Helper()
	p, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStart_SystemVScript(t *testing.T) {
	l := newLab(t)
	l.file("/etc/init.d/old", "#!/bin/sh\n# Short-Description: an old one\necho $1 $SYSTEMCTL_SKIP_REDIRECT >> $ROOT/log\n[ $1 = start ] && setsid sleep 1000 & exit 0\n")
	l.mustStart("old")
	l.want("old", "active", "running")
	if err := l.Reload(t.Context(), "old"); err != nil {
		t.Error(err)
	}
	d, err := l.c.load("old")
	if err != nil || d.description != "LSB: an old one" {
		t.Errorf("%+v, %v", d, err)
	}
	for _, p := range l.service(d).processes() { // the script's own stop does not end it
		t.Cleanup(func() { _ = syscall.Kill(p.pid, syscall.SIGKILL) })
	}
	l.mustStop("old")
	if got := l.read("/log"); got != "start 1\nreload 1\nstop 1\n" {
		t.Errorf("log %q", got)
	}
}

func TestStop_KillsWhatTheUnitLeftBehind(t *testing.T) {
	for mode, survivors := range map[string]int{"control-group": 0, "mixed": 0, "process": 1} {
		t.Run(mode, func(t *testing.T) {
			l := newLab(t)
			l.unit("tree", "KillMode="+mode, "ExecStart=/bin/sh -c 'setsid sh -c \"echo \\$\\$ > $ROOT/child; exec sleep 1000\" & exec sleep 1000'")
			l.mustStart("tree")
			child := 0
			eventually(t, "child", func() bool {
				b, err := os.ReadFile(l.c.path("/child"))
				child, _ = strconv.Atoi(strings.TrimSpace(string(b)))
				return err == nil && child > 0
			})
			t.Cleanup(func() { _ = syscall.Kill(child, syscall.SIGKILL) })
			l.mustStop("tree")
			if survivors == 0 {
				eventually(t, "child gone", func() bool { return !alive(child) })
			} else if !alive(child) {
				t.Error("KillMode=process killed more than the main process")
			}
		})
	}
}

func TestStop_SIGKILLAfterTheTimeout(t *testing.T) {
	l := newLab(t)
	l.unit("deaf", "TimeoutStopSec=200ms", "ExecStart=/bin/sh -c 'trap \"\" TERM; touch $ROOT/up; while :; do sleep 0.1; done'")
	l.mustStart("deaf")
	eventually(t, "trap set", func() bool { return l.exists("/up") })
	st, _ := l.State("deaf")
	l.mustStop("deaf")
	if alive(st.MainPID) {
		t.Error("alive")
	}
	if st := l.want("deaf", "failed", "failed"); st.Result != "timeout" {
		t.Errorf("result %s", st.Result)
	}
}

func TestRestart_OnFailureWithALimit(t *testing.T) {
	l := newLab(t)
	l.file("/lib/systemd/system/r.service", "[Unit]\nStartLimitIntervalSec=60\nStartLimitBurst=3\n[Service]\nExecStart=/bin/sh -c 'echo x >> $ROOT/log; exit 7'\nRestart=on-failure\nRestartSec=10ms\n")
	l.mustStart("r")
	eventually(t, "start limit", func() bool { st, _ := l.State("r"); return st.Result == "start-limit-hit" && st.Active == "failed" })
	if got := l.read("/log"); got != "x\nx\nx\n" {
		t.Errorf("started %d times, want 3", strings.Count(got, "x"))
	}
	if got := resultOf(t, l.Start(t.Context(), "r")); got != "start-limit-hit" {
		t.Errorf("result %s", got)
	}
	if _, _, exit := l.systemctl("reset-failed", "r"); exit != 0 {
		t.Error("reset-failed failed")
	}
	l.want("r", "inactive", "dead")
	l.mustStart("r")
}

// TestRestart_Policies is the table of systemd.service(5), Restart=.
func TestRestart_Policies(t *testing.T) {
	ends := map[string]struct {
		line    string
		restart []string
	}{
		"clean exit":  {"exit 0", []string{"always", "on-success"}},
		"exit status": {"exit 3", []string{"always", "on-failure"}},
		"abort":       {"kill -ABRT $$$$", []string{"always", "on-failure", "on-abnormal", "on-abort"}},
		"terminated":  {"kill -TERM $$$$", []string{"always", "on-success"}},
		"prevented":   {"exit 255", nil},
	}
	for name, end := range ends {
		for _, policy := range []string{"no", "always", "on-success", "on-failure", "on-abnormal", "on-abort"} {
			l := &life{d: &definition{found: &found{}, restart: policy, neverRestart: statusSet{codes: []int{255}}}, s: &service{}}
			l.s.st.Ended = true
			cmd := exec.Command("/bin/sh", "-c", strings.ReplaceAll(end.line, "$$$$", "$$"))
			_ = cmd.Run() // its status is what is asked for
			l.status = cmd.ProcessState.Sys().(syscall.WaitStatus)
			l.result = l.resultOf(l.status)
			if got, want := l.wantsRestart(), slices.Contains(end.restart, policy); got != want {
				t.Errorf("%s with Restart=%s: %v, want %v", name, policy, got, want)
			}
		}
	}
}

func TestStop_DuringRestartDelay(t *testing.T) {
	l := newLab(t)
	l.unit("r", "ExecStart=/bin/false", "Restart=always", "RestartSec=1h")
	l.mustStart("r")
	eventually(t, "auto-restart", func() bool { st, _ := l.State("r"); return st.Sub == "auto-restart" })
	l.mustStop("r")
	l.want("r", "inactive", "dead")
}

func TestEnvironmentDirectoriesLimits(t *testing.T) {
	l := newLab(t)
	l.file("/etc/default/e", "# c\nFROM_FILE='f f'\nOVER=file\n")
	l.unit("e", "Type=oneshot", "RemainAfterExit=yes", "Environment=OVER=unit \"TWO=a b\"", "EnvironmentFile=-/etc/default/e", "EnvironmentFile=-/etc/default/missing",
		"RuntimeDirectory=e e/sub", "RuntimeDirectoryMode=0750", "StateDirectory=e", "UMask=027", "LimitNOFILE=200:300", "WorkingDirectory=/usr",
		"ExecStart=/bin/sh -c 'echo \"$OVER|$TWO|$FROM_FILE|$RUNTIME_DIRECTORY|$STATE_DIRECTORY|$SET|$(umask)|$(ulimit -Sn)|$(ulimit -Hn)|$PWD\" > $ROOT/log'",
		"ExecStart=/bin/sh -c 'echo \"$$#:$$1:$$2\" >> $ROOT/log' sh $FROM_FILE ${FROM_FILE}")
	if _, _, exit := l.systemctl("set-environment", "SET=yes"); exit != 0 {
		t.Error("set-environment failed")
	}
	l.mustStart("e")
	if got, want := l.read("/log"), "file|a b|f f|/run/e:/run/e/sub|/var/lib/e|yes|0027|200|300|/usr\n3:f:f\n"; got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	if st, err := os.Stat(l.c.path("/run/e/sub")); err != nil || st.Mode().Perm() != 0o750 {
		t.Errorf("runtime directory %v, %v", st, err)
	}
	l.mustStop("e")
	if l.exists("/run/e") || !l.exists("/var/lib/e") {
		t.Errorf("after the stop: runtime directory %v, state directory %v", l.exists("/run/e"), l.exists("/var/lib/e"))
	}
	l.unit("e2", "ExecStart=/bin/true", "EnvironmentFile=/etc/default/missing")
	if got := resultOf(t, l.Start(t.Context(), "e2")); got != "resources" {
		t.Errorf("result %s", got)
	}
}

func TestStart_OrderAndRequirements(t *testing.T) {
	l := newLab(t)
	note := "ExecStart=/bin/sh -c 'echo %p >> $ROOT/log'"
	write := func(name, unit, service string) {
		l.file("/lib/systemd/system/"+name+".service", "[Unit]\n"+unit+"\n[Service]\nType=oneshot\nRemainAfterExit=yes\n"+service+"\n")
	}
	write("db", "Before=app.service\nAfter=network.target", note)
	write("cache", "After=app.service", note) // after it, and wanted by it
	write("app", "Requires=db.service\nWants=cache.service gone.service network-online.target\nAfter=db.service", note)
	l.mustStart("app")
	if got := l.read("/log"); got != "db\napp\ncache\n" {
		t.Errorf("order %q", got)
	}
	l.mustStop("db") // takes what requires it along
	l.want("app", "inactive", "dead")
	l.want("cache", "active", "exited")
	write("broken", "", "ExecStart=/bin/false")
	write("needs", "Requires=broken.service\nAfter=broken.service", note)
	if got := resultOf(t, l.Start(t.Context(), "needs")); got != "dependency" {
		t.Errorf("result %s", got)
	}
	write("x", "Wants=y.service\nAfter=y.service", note)
	write("y", "Wants=x.service\nAfter=x.service", note)
	l.mustStart("x") // a cycle is broken, not waited on
	l.want("y", "active", "exited")
}

func TestStart_ConditionNotMet(t *testing.T) {
	l := newLab(t)
	l.file("/lib/systemd/system/c.service", "[Unit]\nConditionPathExists=!/etc/no\nConditionPathExists=/etc/yes\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n")
	l.mustStart("c")
	if st := l.want("c", "inactive", "dead"); st.Condition != "ConditionPathExists=/etc/yes" {
		t.Errorf("condition %q", st.Condition)
	}
	l.file("/etc/yes", "")
	l.mustStart("c")
	l.want("c", "active", "exited")
}

func TestStart_BadProgramAndUser(t *testing.T) {
	l := newLab(t)
	l.unit("p", "ExecStart=/no/such/program")
	if got := resultOf(t, l.Start(t.Context(), "p")); got != "exit-code" {
		t.Errorf("result %s", got)
	}
	l.unit("u", "User=nobody-like-this", "ExecStart=/bin/true")
	if got := resultOf(t, l.Start(t.Context(), "u")); got != "resources" {
		t.Errorf("result %s", got)
	}
	if log := l.read(LogDir + "/u.log"); !strings.Contains(log, "User=nobody-like-this: no such user") {
		t.Errorf("log %q", log)
	}
}

// TestCredentials: user, group and supplementary groups reach the process, except for commands with !.
func TestCredentials(t *testing.T) {
	var got []SpawnSpec
	l := newLab(t, func(c *Config) {
		c.Spawn = func(s SpawnSpec) (int, <-chan syscall.WaitStatus, error) {
			got = append(got, s)
			exited := make(chan syscall.WaitStatus, 1)
			exited <- 0
			return 1 << 22, exited, nil
		}
	})
	l.unit("u", "Type=oneshot", "User=daemon", "Group=mail", "SupplementaryGroups=audio", "ExecStartPre=!/bin/true", "ExecStart=/bin/true")
	l.mustStart("u")
	if len(got) != 2 || got[0].Credentials || !got[1].Credentials || got[1].UID != 1 || got[1].GID != 8 || !slices.Contains(got[1].Groups, 29) {
		t.Errorf("spawned %+v", got)
	}
	if !slices.Contains(got[1].Env, "USER=daemon") || !got[1].Setsid || got[1].Dir != "/" {
		t.Errorf("spawned %+v", got[1])
	}
}

func TestStopAll_OrderAndGrace(t *testing.T) {
	l := newLab(t)
	l.file("/lib/systemd/system/base.service", "[Service]\nExecStart=/bin/sleep 1000\nExecStop=/bin/sh -c 'echo base >> $ROOT/log'\n")
	l.file("/lib/systemd/system/top.service", "[Unit]\nAfter=base.service\n[Service]\nExecStart=/bin/sleep 1000\nExecStop=/bin/sh -c 'sleep 0.1; echo top >> $ROOT/log'\n")
	l.unit("deaf", "ExecStart=/bin/sh -c 'trap \"\" TERM; touch $ROOT/up; while :; do sleep 0.1; done'", "TimeoutStopSec=1h")
	for _, n := range []string{"base", "top", "deaf"} {
		l.mustStart(n)
	}
	eventually(t, "trap set", func() bool { return l.exists("/up") })
	begin := time.Now()
	if err := l.StopAll(t.Context(), 500*time.Millisecond); err != nil {
		t.Error(err)
	}
	if d := time.Since(begin); d > 4*time.Second {
		t.Errorf("took %v", d)
	}
	if got := l.read("/log"); got != "top\nbase\n" {
		t.Errorf("order %q", got)
	}
	l.want("deaf", "failed", "failed")
}

func TestReload(t *testing.T) {
	l := newLab(t)
	l.unit("a", "ExecStart=/bin/sh -c 'trap \"echo hup >> $ROOT/log\" HUP; touch $ROOT/up; while :; do sleep 0.02; done'", "ExecReload=/bin/kill -HUP $MAINPID")
	if err := l.Reload(t.Context(), "a"); err == nil || err.Error() != "a.service is not active, cannot reload." {
		t.Errorf("%v", err)
	}
	l.mustStart("a")
	eventually(t, "trap set", func() bool { return l.exists("/up") })
	if err := l.Reload(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "HUP seen", func() bool { return l.exists("/log") })
	l.want("a", "active", "running")
	l.unit("b", "ExecStart=/bin/sleep 1000")
	if err := l.Reload(t.Context(), "b"); err == nil || !strings.Contains(err.Error(), "not applicable") {
		t.Errorf("%v", err)
	}
}

// TestMembers_OfADaemonThatHidItsEnvironment: nginx and sshd overwrite theirs with a title, in a session of
// their own; they are found all the same, being the main process.
func TestMembers_OfADaemonThatHidItsEnvironment(t *testing.T) {
	l := newLab(t)
	l.unit("h", "Type=forking", "PIDFile=/run/h.pid", "ExecStart=/bin/sh -c 'setsid env -i /bin/sh -c \"echo \\$\\$ > $ROOT/run/h.pid; sleep 1000 & wait\" & exit 0'")
	t.Cleanup(func() { // should the manager not find it
		b, err := os.ReadFile(l.c.path("/run/h.pid"))
		if pid, _ := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && pid > 1 {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
	})
	l.mustStart("h")
	st := l.want("h", "active", "running")
	d, err := l.c.load("h")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "main process and its child", func() bool { return len(l.service(d).processes()) == 2 })
	pids := []int{}
	for _, p := range l.service(d).processes() {
		pids = append(pids, p.pid)
	}
	l.mustStop("h")
	if !slices.Contains(pids, st.MainPID) || alive(pids[0]) || alive(pids[1]) {
		t.Errorf("processes %v of main process %d outlived the unit", pids, st.MainPID)
	}
}

// A process that becomes one program after the other, in a session of its own, is never missed.
func TestMembers_WhileAProcessBecomesAnotherProgram(t *testing.T) {
	script := filepath.Join(t.TempDir(), "again")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexec \"$0\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(script)
	cmd.Env, cmd.SysProcAttr = []string{"INVOCATION_ID=again"}, &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	for i := range 2000 {
		found := members("again", nil)
		if len(found) != 1 || found[0].pid != cmd.Process.Pid {
			t.Fatalf("look %d: %+v, want process %d", i, found, cmd.Process.Pid)
		}
	}
}
