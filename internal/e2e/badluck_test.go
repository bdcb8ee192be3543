package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// place is a lab with directories of its own, whose commands may run inside
// something else: another user, a namespace.
type place struct {
	*lab
	env    []string
	prefix []string
	mounts []string // taken off after the lab is down
}

// newPlace makes directories that every user may look into, and leaves the lab's
// removal to the test's end.
func newPlace(t *testing.T, topology string) *place {
	t.Helper()
	dir, err := os.MkdirTemp("", "vpcemu-place-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &place{lab: &lab{t: t, name: fmt.Sprintf("t%d-%d", os.Getpid(), labNo.Add(1)), file: filepath.Join(dir, "lab.yaml")}}
	for _, d := range []string{dir, filepath.Join(dir, "state"), filepath.Join(dir, "run")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(p.file, []byte(topology), 0o644); err != nil {
		t.Fatal(err)
	}
	p.env = append(os.Environ(), "VPCEMU_STATE_DIR="+filepath.Join(dir, "state"), "VPCEMU_RUN_DIR="+filepath.Join(dir, "run"))
	t.Cleanup(func() {
		p.prefix = nil
		if out, errs, status := p.run("down"); status != 0 {
			t.Errorf("down: %s%s", out, errs)
		}
		for _, path := range p.mounts {
			if err := syscall.Unmount(path, 0); err != nil {
				_ = syscall.Unmount(path, syscall.MNT_DETACH)
				t.Errorf("unmount %s: %v", path, err)
			}
		}
	})
	return p
}

func (p *place) dir() string { return filepath.Dir(p.file) }

// run runs a vpcemu command there.
func (p *place) run(args ...string) (stdout, stderr string, status int) {
	p.t.Helper()
	argv := append(append([]string(nil), p.prefix...), vpcemu, "--lab", p.name)
	argv = append(argv, args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("%v: %v", argv, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func (p *place) must(args ...string) string {
	p.t.Helper()
	out, errs, status := p.run(args...)
	if status != 0 {
		p.t.Fatalf("vpcemu %s: exit status %d\n%s%s", strings.Join(args, " "), status, out, errs)
	}
	return out
}

// fails runs a command that has to fail with one message that has all the words.
func (p *place) fails(args []string, words ...string) string {
	p.t.Helper()
	out, errs, status := p.run(args...)
	complaint(p.t, strings.Join(args, " "), out, errs, status, words...)
	return errs
}

func complaint(t *testing.T, what, out, errs string, status int, words ...string) {
	t.Helper()
	if status == 0 {
		t.Fatalf("%s has not failed:\n%s%s", what, out, errs)
	}
	for _, w := range words {
		if !strings.Contains(errs, w) {
			t.Fatalf("%s: no %q in:\n%s", what, w, errs)
		}
	}
	if n := strings.Count(strings.TrimSpace(errs), "\n"); n > 1 {
		t.Fatalf("%s: %d lines instead of a message:\n%s", what, n+1, errs)
	}
}

// nothingMade fails if the lab has left anything.
func (p *place) nothingMade() {
	p.t.Helper()
	for _, base := range []string{"state", "run"} {
		entries, err := os.ReadDir(filepath.Join(p.dir(), base))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			p.t.Fatal(err)
		}
		for _, e := range entries {
			p.t.Errorf("%s/%s is left", base, e.Name())
		}
	}
	daemons, inits := p.processes()
	if n := len(daemons) + len(inits); n > 0 {
		p.t.Errorf("%d processes are left", n)
	}
	for _, s := range machine() {
		if strings.Contains(s, p.name+".") {
			p.t.Errorf("%s is left", s)
		}
	}
}

func TestBadLuck_NotRoot(t *testing.T) {
	p := newPlace(t, small)
	binary := filepath.Join(p.dir(), "vpcemu") // the tests' own is root's
	if err := copyFile(binary, vpcemu); err != nil {
		t.Fatal(err)
	}
	nobody := func(args ...string) (string, string, int) {
		cmd := exec.Command("setpriv", append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", binary}, args...)...)
		var out, errs bytes.Buffer
		cmd.Env, cmd.Stdout, cmd.Stderr = p.env, &out, &errs
		_ = cmd.Run()
		return out.String(), errs.String(), cmd.ProcessState.ExitCode()
	}
	out, errs, status := nobody("--lab", p.name, "up", p.file)
	complaint(t, "up", out, errs, status, "needs root", "sudo")
	p.nothingMade()
	for _, args := range [][]string{{"validate", p.file}, {"plan", p.file}, {"topologies"}, {"up", "--help"}} {
		if out, errs, status := nobody(append([]string{"--lab", p.name}, args...)...); status != 0 {
			t.Errorf("%v needs root: %s%s", args, out, errs)
		}
	}
	p.must("up", p.file)
	for _, args := range [][]string{{"ls"}, {"stop", "a"}, {"plan", p.file}, {"exec", "a", "true"}, {"down"}} {
		out, errs, status := nobody(append([]string{"--lab", p.name}, args...)...)
		complaint(t, args[0], out, errs, status, "root", "sudo")
	}
	p.must("ls")
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func TestBadLuck_NoTun(t *testing.T) {
	p := newPlace(t, small)
	p.prefix = []string{"unshare", "-m", "sh", "-c", `mount -t tmpfs none /dev/net && exec "$@"`, "sh"}
	p.fails([]string{"up", p.file}, "/dev/net/tun", "mknod")
	p.nothingMade()
}

// As in docker --privileged, where the root is an overlay that no other can be
// stacked on.
func TestBadLuck_OverlayCannotBeStacked(t *testing.T) {
	p := newPlace(t, small)
	for _, d := range []string{"lower", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(p.dir(), d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	state := filepath.Join(p.dir(), "state")
	at := func(d string) string { return filepath.Join(p.dir(), d) }
	p.mount("overlay", state, "lowerdir="+at("lower")+",upperdir="+at("upper")+",workdir="+at("work"))
	out, errs, status := p.run("up", p.file)
	if status != 0 {
		t.Fatalf("up: %s%s", out, errs)
	}
	if !strings.Contains(errs, "note: a: the disk is kept in memory") {
		t.Errorf("the user is not told:\n%s", errs)
	}
	p.must("exec", "a", "--", "sh", "-c", "echo kept >/root/file")
	p.must("stop", "a")
	p.must("start", "a")
	if out := p.must("exec", "a", "cat", "/root/file"); out != "kept\n" {
		t.Errorf("file: %q", out)
	}
	p.must("down")
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Count(string(mounts), " "+p.dir()) != 1 {
		t.Errorf("mounts are left (%v):\n%s", err, mounts)
	}
}

// mount mounts a file system for the time of a test.
func (p *place) mount(kind, path, options string) {
	p.t.Helper()
	if out, err := exec.Command("mount", "-t", kind, "-o", options, "none", path).CombinedOutput(); err != nil {
		p.t.Fatalf("mount %s: %v\n%s", path, err, out)
	}
	p.mounts = append(p.mounts, path)
}

func TestBadLuck_NamespaceNameTaken(t *testing.T) {
	p := newPlace(t, small)
	name := p.name + ".b"
	ip(t, "netns", "add", name)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	p.fails([]string{"up", p.file}, "network namespace "+name, "ip netns del "+name)
	ip(t, "netns", "exec", name, "true") // whoever made it still has it
	p.prefix = nil
	for _, path := range []string{"state", "run"} {
		if entries, err := os.ReadDir(filepath.Join(p.dir(), path)); err == nil && len(entries) > 0 {
			t.Errorf("%s: %v is left", path, entries)
		}
	}
	ip(t, "netns", "del", name)
	p.must("up", p.file)
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v\n%s", args, err, out)
	}
}

func TestBadLuck_PublicPoolIsRoutedByTheMachine(t *testing.T) {
	p := newPlace(t, small)
	p.prefix = []string{"unshare", "-n", "sh", "-c", `ip link set lo up && ip route add 203.0.113.128/25 dev lo && exec "$@"`, "sh"}
	p.fails([]string{"up", p.file}, "public pool 203.0.113.0/24", "203.0.113.128/25", "public_pools")
	p.nothingMade()
	if err := os.WriteFile(p.file, []byte(small+"internet: {public_pools: [192.0.2.0/24]}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.must("up", p.file)
}

func TestBadLuck_SecondDaemon(t *testing.T) {
	l := up(t, small)
	out, errs, status := l.try("", "daemon")
	complaint(t, "daemon", out, errs, status, "lab "+l.name, "already running", "vpcemu down --lab "+l.name)
	l.whole()
}

// With one of its two directories forgotten a lab is not found, or half of it: a command with the other one
// changes nothing and leaves nothing, whether the daemon runs or was killed and the instances run on.
func TestBadLuck_ADirectoryForgotten(t *testing.T) {
	p := newPlace(t, small)
	p.must("up", p.file)
	right, other := p.env, filepath.Join(p.dir(), "other")
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	refused := func() {
		for _, forgotten := range []string{"VPCEMU_RUN_DIR", "VPCEMU_STATE_DIR"} {
			for _, args := range [][]string{{"up", p.file}, {"up"}, {"plan", p.file}, {"ls"}, {"daemon"}, {"api", "--listen", busy.Addr().String()}, {"down"}} {
				p.env = append(slices.Clone(right), forgotten+"="+other)
				if errs := p.fails(args, "lab "+p.name, other, "set "+forgotten); strings.Count(errs, "set VPCEMU") > 1 {
					t.Errorf("%v says it twice:\n%s", args, errs)
				}
				if _, err := os.Stat(other); err == nil {
					t.Errorf("%s forgotten: %v: %s is left", forgotten, args, other)
				}
			}
		}
		p.env = right
	}
	refused()
	p.must("exec", "a", "--", "ping", "-q", "-c1", "-W5", "10.30.1.11")
	p.must("exec", "a", "--", "touch", "/run/here")
	p.crash()
	refused()
	p.must("exec", "a", "--", "test", "-e", "/run/here")
	p.must("ls")
	p.must("exec", "a", "--", "test", "-e", "/run/here")
	p.must("exec", "a", "--", "ping", "-q", "-c1", "-W5", "10.30.1.11")
}

// Directories may be named from where the command runs, which the daemon does not.
func TestBadLuck_RelativeDirectories(t *testing.T) {
	p := newPlace(t, small)
	p.prefix = []string{"env", "-C", p.dir(), "VPCEMU_STATE_DIR=state", "VPCEMU_RUN_DIR=./run/"}
	p.must("up", p.file)
	p.must("exec", "a", "--", "true")
	p.prefix = nil
	p.must("exec", "a", "--", "true")
	p.must("ls")
	p.prefix = []string{"env", "-C", filepath.Join(p.dir(), "state"), "VPCEMU_STATE_DIR=.", "VPCEMU_RUN_DIR=../run"}
	p.must("down")
	p.nothingMade()
}

func TestBadLuck_FullDisk(t *testing.T) {
	p := newPlace(t, small)
	state := filepath.Join(p.dir(), "state")
	p.mount("tmpfs", state, "size=4m")
	p.must("up", p.file)
	filler := filepath.Join(state, "filler")
	if out, err := exec.Command("dd", "if=/dev/zero", "of="+filler, "bs=4k").CombinedOutput(); err == nil {
		t.Fatalf("the disk is not full: %s", out)
	}
	before := p.must("describe", "subnet", "-o", "json")
	failed := false
	for i := 0; i < 200 && !failed; i++ { // until the state file has to grow
		create := []string{"ec2", "create-subnet", "--vpc-id", "v", "--cidr-block", fmt.Sprintf("10.30.%d.%d/28", 16+i/16, i%16*16)}
		out, errs, status := p.run(create...)
		if failed = status != 0; failed {
			complaint(t, "create-subnet", out, errs, status, "no space left", "free some")
			break
		}
		before = p.must("describe", "subnet", "-o", "json")
	}
	if !failed {
		t.Fatal("200 subnets fit into a full disk")
	}
	if after := p.must("describe", "subnet", "-o", "json"); after != before {
		t.Errorf("the model has changed:\n%s\n%s", before, after)
	}
	p.must("exec", "a", "--", "ping", "-q", "-c1", "-W5", "10.30.1.11")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	p.must("ec2", "create-subnet", "--vpc-id", "v", "--cidr-block", "10.30.200.0/24")
}

// An instance that finds no room is stopped with the reason; the others run.
func TestBadLuck_FullDiskAtTheStartOfAnInstance(t *testing.T) {
	p := newPlace(t, small)
	state := filepath.Join(p.dir(), "state")
	p.mount("tmpfs", state, "size=4m")
	p.must("up", p.file)
	filler := filepath.Join(state, "filler")
	if out, err := exec.Command("dd", "if=/dev/zero", "of="+filler, "bs=4k").CombinedOutput(); err == nil {
		t.Fatalf("the disk is not full: %s", out)
	}
	if err := os.WriteFile(p.file, []byte(strings.Replace(small, "internet_hosts:", "  c: {subnet: s}\ninternet_hosts:", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	p.fails([]string{"up", p.file}, "no space left")
	p.must("exec", "a", "--", "ping", "-q", "-c1", "-W5", "10.30.1.11")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	p.must("up", p.file)
	p.must("exec", "c", "--", "ping", "-q", "-c1", "-W5", "10.30.1.11")
}

// initOf is the PID 1 of a machine, as the host sees it.
func (l *lab) initOf(name string) int {
	l.t.Helper()
	out, err := exec.Command("ip", "netns", "pids", l.name+"."+name).Output()
	if err != nil {
		l.t.Fatalf("ip netns pids: %v", err)
	}
	_, inits := l.processes()
	for _, pid := range inits {
		if strings.Contains("\n"+string(out), fmt.Sprintf("\n%d\n", pid)) {
			return pid
		}
	}
	l.t.Fatalf("no init of %s among %v", name, inits)
	return 0
}

// stateOf is what `ls` says of a machine.
func (l *lab) stateOf(name, state string) {
	l.t.Helper()
	eventually(l.t, name+" is "+state, func() error {
		if s := l.machine(name).State; s != state {
			return fmt.Errorf("it is %s", s)
		}
		return nil
	})
}

func TestBadLuck_InstanceIsKilled(t *testing.T) {
	l := up(t, small)
	l.kill9(l.initOf("a"))
	l.stateOf("a", "stopped")
	if out := l.cli("ls"); !strings.Contains(out, "a was stopped: Server.InternalError: killed: signal 9") {
		t.Errorf("ls:\n%s", out)
	}
	out, errs, status := l.tryIn("a", "true")
	complaint(t, "exec", out, errs, status, "stopped", "vpcemu start a")
	l.cli("start", "a")
	l.whole()

	l.kill9(l.initOf("far"))
	l.stateOf("far", "stopped")
	l.cli("start", "far")
	l.whole()

	// With nobody there to see it.
	pid := l.initOf("b")
	l.crash()
	l.kill9(pid)
	l.stateOf("b", "stopped")
	l.cli("up", l.file) // repairs
	l.whole()
}

func TestBadLuck_UserDataFails(t *testing.T) {
	l := newLab(t, strings.Replace(small, "a: {subnet: s, private_ip: 10.30.1.10}", `a:
    subnet: s
    private_ip: 10.30.1.10
    user_data: |
      #!/bin/sh
      echo trying
      exit 3`, 1))
	_, errs, status := l.try("", "up", l.file)
	if status != 0 || !strings.Contains(errs, "note: a: user data failed: exit status 3") || !strings.Contains(errs, "/var/log/cloud-init-output.log") {
		t.Fatalf("exit status %d, notes:\n%s", status, errs)
	}
	if out := l.in("a", "cat /var/log/cloud-init-output.log"); !strings.HasPrefix(out, "trying\n") {
		t.Errorf("log: %q", out)
	}
	l.whole()
}

func TestBadLuck_InstanceEndsItself(t *testing.T) {
	l := up(t, small)
	ended := func(how string) { _, _, _ = l.tryIn("a", how) } // its exec ends with it
	ended("poweroff")
	l.stateOf("a", "stopped")
	if got := get(t, l.instance("a"), "StateReason", "Code"); got != "Client.InstanceInitiatedShutdown" {
		t.Errorf("reason %s", got)
	}
	l.cli("start", "a")
	l.whole()

	boot := l.booted("a")
	ended("reboot")
	eventually(t, "a has rebooted", func() error {
		out, errs, status := l.tryIn("a", "cut -d' ' -f22 /proc/1/stat")
		if status != 0 || strings.TrimSpace(out) == boot {
			return fmt.Errorf("exit status %d: %s%s", status, out, errs)
		}
		return nil
	})
	l.cli("up", l.file)
	l.whole()

	// With no daemon there to see it.
	l.crash()
	ended("poweroff")
	l.stateOf("a", "stopped")
	l.cli("start", "a")
	boot = l.booted("a")
	l.crash()
	ended("reboot")
	l.cli("up", l.file)
	l.whole()
	if l.booted("a") == boot {
		t.Error("a has not rebooted")
	}
}

func TestBadLuck_UpIsInterrupted(t *testing.T) {
	l := newLab(t, strings.Replace(small, "internet_hosts: {far: {}}", `internet_hosts:
  far:
    user_data: |
      #!/bin/sh
      sleep 3`, 1))
	cmd := l.command("up", l.file)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Second) // it waits for the user data by then
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	complaint(t, "up", "", errs.String(), cmd.ProcessState.ExitCode(), "interrupted", "run the command again", "vpcemu down")
	if s := cmd.ProcessState.ExitCode(); s != 130 {
		t.Errorf("exit status %d", s)
	}
	l.cli("up", l.file)
	l.whole()
}

func TestBadLuck_DamagedState(t *testing.T) {
	l := up(t, small)
	l.crash()
	db := filepath.Join(l.stateDir(), "state.db")
	whole, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte(nil), whole...)
	for i := os.Getpagesize() / 2; i < len(damaged); i++ {
		damaged[i] ^= 0x5a
	}
	if err := os.WriteFile(db, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"ls"}, {"up", l.file}} {
		out, errs, status := l.try("", args...)
		complaint(t, args[0], out, errs, status, db, "damaged", "vpcemu down")
	}
	l.in("a", "ping -q -c1 -W5 127.0.0.1") // what runs is left alone
	if err := os.WriteFile(db, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	l.cli("up", l.file)
	l.whole()

	l.crash()
	if err := os.WriteFile(db, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	l.cli("down")
	if left := l.left(); len(left) > 0 {
		t.Errorf("left after down: %v", left)
	}
}

func TestBadLuck_WrongFiles(t *testing.T) {
	p := newPlace(t, small)
	p.fails([]string{"up", p.dir() + "/none.yaml"}, "none.yaml", "no such file", "book")
	p.fails([]string{"up", p.dir()}, "is a directory")
	write := func(text string) {
		if err := os.WriteFile(p.file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for text, words := range map[string]string{
		"version: 1\nvpcs: {v: {cidr: 10.0.0.0/16}}\n": "lab.yaml:2: vpc v: unknown key",
		"version: 1\nvpcs: [\n":                        "lab.yaml:",
		"":                                             "lab.yaml",
		strings.Replace(small, "10.30.1.11", "10.30.1.1", 1): "lab.yaml:6: instance b: ",
	} {
		write(text)
		for _, verb := range []string{"up", "plan", "validate"} {
			errs := p.fails([]string{verb, p.file}, words)
			if _, _, status := p.run(verb, p.file); status != 2 {
				t.Errorf("%s: exit status %d for\n%s", verb, status, errs)
			}
		}
	}
	p.nothingMade()
	// Nor is a lab touched that is there.
	write(small)
	p.must("up", p.file)
	before := p.must("describe", "-o", "json")
	write(strings.Replace(small, "10.30.1.11", "10.30.1.255", 1))
	p.fails([]string{"up", p.file}, "lab.yaml:")
	if after := p.must("describe", "-o", "json"); after != before {
		t.Error("a refused file has changed the lab")
	}
}

func TestBadLuck_WrongCommandLines(t *testing.T) {
	p := newPlace(t, small)
	for _, c := range []struct {
		args   []string
		status int
		words  string
	}{
		{[]string{"up", p.file, p.file}, 2, "usage: vpcemu up [FILE]"},
		{[]string{"ls", "--bogus"}, 2, "usage: vpcemu ls"},
		{[]string{"up", p.file, "-o", "xml"}, 2, "use json or yaml"},
		{[]string{"ls"}, 1, "vpcemu up FILE --lab " + p.name},
		{[]string{"exec", "a", "true"}, 1, "there is no lab " + p.name},
		{[]string{"--lab", "../x", "down"}, 1, "not a name"},
		{[]string{"--lab", "x.lock", "up"}, 1, "cannot end in .lock"}, // the lock of x
	} {
		out, errs, status := p.run(c.args...)
		complaint(t, strings.Join(c.args, " "), out, errs, status, c.words)
		if status != c.status {
			t.Errorf("%v: exit status %d, want %d", c.args, status, c.status)
		}
	}
	if _, errs, status := p.run("down"); status != 0 || !strings.Contains(errs, "nothing to remove") {
		t.Errorf("down of nothing: exit status %d: %s", status, errs)
	}
	p.nothingMade()
	p.must("up", p.file)
	p.fails([]string{"stop", "nobody"}, "no instance nobody", "a, b, far")
	p.fails([]string{"exec", "a", "--", "no-such-program"}, "no-such-program")
	if _, _, status := p.run("exec", "a", "--", "no-such-program"); status != 127 {
		t.Errorf("exit status %d", status)
	}
	p.fails([]string{"reboot", "far"}, "no instance")
	p.fails([]string{"describe", "horse"}, "no kind horse", "security-group")
	p.fails([]string{"describe", "vpc", "w"}, "no vpc w")
}
