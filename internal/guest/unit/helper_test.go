package unit

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary play a service: programs that a shell cannot be.
func TestMain(m *testing.M) {
	if len(os.Args) > 0 && os.Args[0] == TrampolineName {
		fmt.Fprintln(os.Stderr, Trampoline(os.Args))
		os.Exit(126)
	}
	if os.Getenv("UNIT_TEST_ROLE") == "notify" {
		playNotify()
	}
	os.Exit(m.Run())
}

// playNotify is a Type=notify service: it says READY=1, then sleeps until it is killed.
func playNotify() {
	conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err == nil {
		_, err = conn.Write([]byte("STATUS=serving\nREADY=1\n"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	select {}
}

// lab is a manager over a temporary root.
type lab struct {
	*Manager
	t    *testing.T
	root string
}

func newLab(t *testing.T, change ...func(*Config)) *lab {
	t.Helper()
	root := t.TempDir()
	c := Config{Root: root, Spawn: spawnForTest, StopTimeout: 5 * time.Second, StartTimeout: 5 * time.Second, Logf: t.Logf,
		Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "ROOT=" + root}}
	for _, f := range change {
		f(&c)
	}
	l := &lab{NewManager(c), t, root}
	for _, dir := range []string{"/run", "/lib/systemd/system"} {
		if err := os.MkdirAll(l.c.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := l.StopAll(ctx, time.Second); err != nil {
			t.Error(err)
		}
	})
	return l
}

// spawnForTest forks with os/exec, which the manager itself never does.
func spawnForTest(s SpawnSpec) (int, <-chan syscall.WaitStatus, error) {
	s, err := s.Wrap()
	if err != nil {
		return 0, nil, err
	}
	cmd := &exec.Cmd{Path: s.Path, Args: s.Argv, Env: s.Env, Dir: s.Dir, Stdin: s.Stdin, Stdout: s.Stdout, Stderr: s.Stderr,
		SysProcAttr: &syscall.SysProcAttr{Setsid: s.Setsid}}
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	exited := make(chan syscall.WaitStatus, 1)
	go func() {
		_ = cmd.Wait() // the status is what matters
		exited <- cmd.ProcessState.Sys().(syscall.WaitStatus)
	}()
	return cmd.Process.Pid, exited, nil
}

// file writes a file below the root.
func (l *lab) file(name, text string) {
	l.t.Helper()
	p := l.c.path(name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o755); err != nil {
		l.t.Fatal(err)
	}
}

// unit writes a unit file with a [Service] section.
func (l *lab) unit(name string, lines ...string) {
	l.t.Helper()
	l.file("/lib/systemd/system/"+name+".service", "[Unit]\nDescription=The "+name+" daemon\n[Service]\n"+strings.Join(lines, "\n")+"\n[Install]\nWantedBy=multi-user.target\n")
}

// link makes a symlink below the root; the target is as a process in the root would see it.
func (l *lab) link(target, name string) {
	l.t.Helper()
	p := l.c.path(name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		l.t.Fatal(err)
	}
	if err := os.Symlink(target, p); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) read(name string) string {
	l.t.Helper()
	b, err := os.ReadFile(l.c.path(name))
	if err != nil {
		l.t.Fatal(err)
	}
	return string(b)
}

func (l *lab) exists(name string) bool {
	_, err := os.Lstat(l.c.path(name))
	return err == nil
}

func (l *lab) mustStart(name string) {
	l.t.Helper()
	if err := l.Start(l.t.Context(), name); err != nil {
		l.t.Fatalf("start %s: %v\n%s", name, err, strings.Join(l.c.tail(fullName(name), 20), "\n"))
	}
}

func (l *lab) mustStop(name string) {
	l.t.Helper()
	if err := l.Stop(l.t.Context(), name); err != nil {
		l.t.Fatalf("stop %s: %v", name, err)
	}
}

func (l *lab) want(name, active, sub string) State {
	l.t.Helper()
	st, err := l.State(name)
	if err != nil || st.Active != active || st.Sub != sub {
		l.t.Errorf("%s is %s (%s), %v; want %s (%s)\n%s", name, st.Active, st.Sub, err, active, sub, strings.Join(l.c.tail(fullName(name), 20), "\n"))
	}
	return st
}

// systemctl runs a command line through the socket.
func (l *lab) systemctl(args ...string) (out, errs string, exit int) {
	l.t.Helper()
	socket := filepath.Join(l.t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		l.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- l.Serve(ln) }()
	var o, e bytes.Buffer
	exit = Main(socket, args, &o, &e)
	ln.Close()
	if err := <-served; err != nil {
		l.t.Error(err)
	}
	return o.String(), e.String(), exit
}

// eventually waits for a condition, five seconds at the most.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(5 * time.Second); !check(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func alive(pid int) bool {
	p, ok := readProc(pid)
	return ok && !p.zombie
}
