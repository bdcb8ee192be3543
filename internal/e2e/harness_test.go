package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// limit bounds every wait in these tests; nothing should come near it.
const limit = 60 * time.Second

var (
	work   string // everything of a run: binaries, state, run directories
	vpcemu string
	labNo  atomic.Int32
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "the end-to-end tests need root: sudo scripts/test.sh")
		return 1
	}
	var err error
	if work, err = os.MkdirTemp("", "vpcemu-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(work)
	vpcemu = filepath.Join(work, "vpcemu")
	for out, pkg := range map[string]string{vpcemu: "../../cmd/vpcemu", vpcemu + "-guest": "../../cmd/vpcemu/guest"} {
		build := exec.Command("go", "build", "-trimpath", "-o", out, pkg) // as the scripts do: compiled once
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if msg, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build %s: %v\n%s", pkg, err, msg)
			return 1
		}
	}
	os.Setenv("VPCEMU_STATE_DIR", filepath.Join(work, "state"))
	os.Setenv("VPCEMU_RUN_DIR", filepath.Join(work, "run"))
	before := machine()
	status := m.Run()
	if left := residue(before, machine()); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "left on the machine after the tests:", strings.Join(left, "; "))
		status = 1
	}
	return status
}

// lab is one lab of a test, gone when the test ends.
type lab struct {
	t    *testing.T
	name string
	file string
	// host is the machine that the lab runs on; nil is this one.
	host *space
}

// newLab writes a topology file for a lab of its own; the text needs no name.
func newLab(t *testing.T, topology string) *lab {
	t.Helper()
	l := &lab{t: t, name: fmt.Sprintf("t%d-%d", os.Getpid(), labNo.Add(1))}
	l.write(topology)
	t.Cleanup(func() {
		if t.Failed() {
			l.tell()
		}
		if out, err := l.command("down").CombinedOutput(); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
	})
	return l
}

// up brings a topology up in a lab of its own.
func up(t *testing.T, topology string) *lab {
	t.Helper()
	l := newLab(t, topology)
	l.cli("up", l.file)
	return l
}

// write replaces the lab's topology file.
func (l *lab) write(topology string) {
	l.t.Helper()
	if l.file == "" {
		l.file = filepath.Join(l.t.TempDir(), "lab.yaml")
	}
	if err := os.WriteFile(l.file, []byte(topology), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// tell prints what helps to understand a failure.
func (l *lab) tell() {
	for _, args := range [][]string{{"ls"}, {"drops"}} {
		out, _ := l.command(args...).CombinedOutput()
		l.t.Logf("vpcemu %s:\n%s", strings.Join(args, " "), out)
	}
	log, _ := os.ReadFile(filepath.Join(os.Getenv("VPCEMU_STATE_DIR"), l.name, "daemon.log"))
	l.t.Logf("daemon.log:\n%s", log)
}

func (l *lab) command(args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 3*limit)
	args = append([]string{vpcemu, "--lab", l.name}, args...)
	if l.host != nil {
		args = l.host.enter(args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	if l.host != nil {
		cmd.Env = append(os.Environ(), "VPCEMU_HOSTS_FILE="+l.host.hosts)
	}
	cmd.Cancel = func() error { cancel(); return cmd.Process.Kill() }
	return cmd
}

// try runs a vpcemu command with the given standard input.
func (l *lab) try(stdin string, args ...string) (stdout, stderr string, status int) {
	l.t.Helper()
	cmd := l.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		l.t.Fatalf("vpcemu %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// cli runs a vpcemu command that has to succeed and returns its output.
func (l *lab) cli(args ...string) string {
	l.t.Helper()
	out, errs, status := l.try("", args...)
	if status != 0 {
		l.t.Fatalf("vpcemu %s: exit status %d\n%s%s", strings.Join(args, " "), status, out, errs)
	}
	return out
}

// ec2 runs an EC2-named operation, written as one line, that has to succeed.
func (l *lab) ec2(line string) map[string]any {
	l.t.Helper()
	out := l.cli(append([]string{"ec2"}, strings.Fields(line)...)...)
	var m map[string]any
	if strings.TrimSpace(out) == "" {
		return m
	}
	if err := json.Unmarshal([]byte(out), &m); err != nil {
		l.t.Fatalf("ec2 %s: %v\n%s", line, err, out)
	}
	return m
}

// ec2Fails runs an operation that has to fail with the given AWS code.
func (l *lab) ec2Fails(code, line string) {
	l.t.Helper()
	out, errs, status := l.try("", append([]string{"ec2"}, strings.Fields(line)...)...)
	if status == 0 || !strings.Contains(errs, code) {
		l.t.Fatalf("ec2 %s: want %s, got exit status %d\n%s%s", line, code, status, out, errs)
	}
}

// in runs a shell script in an instance; it has to succeed.
func (l *lab) in(instance, script string) string {
	l.t.Helper()
	out, errs, status := l.tryIn(instance, script)
	if status != 0 {
		l.t.Fatalf("%s: %s: exit status %d\n%s%s", instance, script, status, out, errs)
	}
	return out
}

// tryIn runs a shell script in an instance.
func (l *lab) tryIn(instance, script string) (stdout, stderr string, status int) {
	l.t.Helper()
	return l.try("", "exec", instance, "--", "sh", "-c", script)
}

// start runs a shell script in an instance in the background, until the test ends.
func (l *lab) start(instance, script string) *exec.Cmd {
	l.t.Helper()
	cmd := l.command("exec", instance, "--", "sh", "-c", script)
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// copyIn puts a directory of the host into an instance.
func (l *lab) copyIn(instance, from, to string) {
	l.t.Helper()
	tar := exec.Command("tar", "-C", from, "-c", ".")
	archive, err := tar.Output()
	if err != nil {
		l.t.Fatalf("tar %s: %v", from, err)
	}
	if out, errs, status := l.try(string(archive), "exec", instance, "--", "sh", "-c", "mkdir -p "+to+" && tar -C "+to+" -x"); status != 0 {
		l.t.Fatalf("%s: untar: exit status %d\n%s%s", instance, status, out, errs)
	}
}

// get is a value of a decoded answer: get(m, "Subnets", 0, "SubnetId").
func get(t *testing.T, v any, path ...any) string {
	t.Helper()
	whole := v
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				t.Fatalf("no %v of %v in %v", p, path, whole)
			}
			v = m[p]
		case int:
			list, ok := v.([]any)
			if !ok || p >= len(list) {
				t.Fatalf("no item %d of %v in %v", p, path, whole)
			}
			v = list[p]
		}
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// eventually retries until f succeeds; for what a program needs a moment for.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// reaches tells whether a TCP connection from an instance opens. seconds bounds
// the wait of a connection that is silently dropped.
func (l *lab) reaches(from, addr string, port, seconds int) bool {
	l.t.Helper()
	_, _, status := l.tryIn(from, fmt.Sprintf("nc -z -w %d %s %d", seconds, addr, port))
	return status == 0
}

// dropped fails unless the reason shows in the lab's drops since it was called
// with the same needles absent.
func (l *lab) dropped(reason string, also ...string) {
	l.t.Helper()
	eventually(l.t, "drop "+reason, func() error {
		out := l.cli("drops")
		for line := range strings.Lines(out) {
			if strings.Contains(line, reason) && !slices.ContainsFunc(also, func(s string) bool { return !strings.Contains(line, s) }) {
				return nil
			}
		}
		return fmt.Errorf("not among the drops:\n%s", out)
	})
}

// machine lists what a run must leave as it was.
func machine() []string {
	var found []string
	add := func(kind string, args ...string) {
		out, err := exec.Command(args[0], args[1:]...).Output()
		if err != nil {
			found = append(found, kind+": "+err.Error())
		}
		for line := range strings.Lines(string(out)) {
			found = append(found, kind+" "+strings.TrimSpace(line))
		}
	}
	add("namespace", "ip", "netns", "list")
	add("device", "sh", "-c", "ip -o link | cut -d: -f2")
	add("rule", "ip", "rule")
	add("route", "ip", "route", "show", "table", "all")
	add("table", "nft", "list", "tables")
	add("setting", "sysctl", "net.ipv4.ip_forward")
	add("control group", "find", "/sys/fs/cgroup", "-path", "*/vpcemu/*", "-type", "d")
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		found = append(found, "mount "+strings.TrimSpace(line))
	}
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		if b, err := os.ReadFile(p); err == nil && bytes.Contains(b, []byte(work)) {
			found = append(found, "process "+strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	return found
}

// labName finds the labs of these tests, of this run or another one.
var labName = regexp.MustCompile(`\bt(\d+)-\d+\b`)

// residue is what came since, but for what another run of these tests has that goes on at the
// same time: its labs, and all that does not tell whose it is. The run that ends last sees that.
func residue(before, after []string) (left []string) {
	own := strconv.Itoa(os.Getpid())
	runs, _ := filepath.Glob(filepath.Join(filepath.Dir(work), "vpcemu-e2e-*"))
	for _, s := range after {
		ours := len(runs) < 2 || strings.Contains(s, work)
		if lab := labName.FindStringSubmatch(s); lab != nil {
			ours = lab[1] == own
		}
		if ours && !slices.Contains(before, s) {
			left = append(left, s)
		}
	}
	return left
}
