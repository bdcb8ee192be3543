package host_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/host"
)

func TestExec_StatusStreamsAndUsers(t *testing.T) {
	h, cfg := newLab(t)
	start(t, h, internetHost("i-1", "web"))
	for _, c := range []struct {
		name   string
		req    host.ExecRequest
		stdin  string
		out    string
		err    string
		status int
	}{
		{name: "status", req: host.ExecRequest{Argv: []string{"sh", "-c", "exit 42"}}, status: 42},
		{name: "signal", req: host.ExecRequest{Argv: []string{"sh", "-c", "kill -USR1 $$"}}, status: 128 + 10},
		{name: "streams apart", req: host.ExecRequest{Argv: []string{"sh", "-c", "echo out; echo err >&2"}}, out: "out\n", err: "err\n"},
		{name: "stdin to its end", req: host.ExecRequest{Argv: []string{"wc", "-l"}}, stdin: "a\nb\nc\n", out: "3\n"},
		{name: "much output", req: host.ExecRequest{Argv: []string{"head", "-c", "300000", "/dev/zero"}}, out: strings.Repeat("\x00", 300000)},
		{name: "user", req: host.ExecRequest{Argv: []string{"sh", "-c", "id -un; pwd; echo $HOME"}, User: "ec2-user"}, out: "ec2-user\n/home/ec2-user\n/home/ec2-user\n"},
		{name: "environment and directory", req: host.ExecRequest{Argv: []string{"sh", "-c", "echo $A$LANG; pwd"}, Env: []string{"A=1", "LANG=C"}, Dir: "/etc"}, out: "1C\n/etc\n"},
		{name: "sudo or not, root is root", req: host.ExecRequest{Argv: []string{"id", "-u"}, User: "0"}, out: "0\n"},
		{name: "detached child holds no one", req: host.ExecRequest{Argv: []string{"sh", "-c", "echo now; sleep 5 &"}}, out: "now\n"},
	} {
		var out, errs bytes.Buffer
		c.req.Stdin, c.req.Stdout, c.req.Stderr = strings.NewReader(c.stdin), &out, &errs
		status, err := host.Exec(limited(t), cfg.RunDir, "i-1", c.req)
		if err != nil || status != c.status || out.String() != c.out || errs.String() != c.err {
			t.Errorf("%s: status %d, %v, stdout %.50q, stderr %q", c.name, status, err, out.String(), errs.String())
		}
	}
	for _, c := range []struct {
		req    host.ExecRequest
		status int
		text   string
	}{
		{host.ExecRequest{Argv: []string{"no-such-program"}}, 127, "no-such-program: no such file"},
		{host.ExecRequest{Argv: []string{"/etc/passwd"}}, 126, "permission denied"},
		{host.ExecRequest{Argv: []string{"true"}, User: "nobody-knows"}, 126, "user nobody-knows: not in /etc/passwd"},
		{host.ExecRequest{Argv: []string{"true"}, Dir: "/nowhere"}, 126, "/nowhere"},
	} {
		status, err := host.Exec(limited(t), cfg.RunDir, "i-1", c.req)
		if status != c.status || err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%q: status %d, %v", c.req.Argv, status, err)
		}
	}
	if _, err := host.Exec(limited(t), cfg.RunDir, "i-2", host.ExecRequest{Argv: []string{"true"}}); err == nil || !strings.Contains(err.Error(), "instance i-2: not running") {
		t.Errorf("no such instance: %v", err)
	}
}

// What the daemon has open, and what whoever started it had, is out of reach of an instance's programs: through
// the queue of the VPC's services they could forge the resolver.
func TestExec_ProgramsGetOnlyTheirStreams(t *testing.T) {
	h, cfg := newLab(t)
	services, err := host.NewServices([]netip.Addr{netip.MustParseAddr("172.30.0.2")}, 1500)
	if err != nil {
		t.Fatal(err)
	}
	defer services.Close()
	null, err := unix.Open(os.DevNull, unix.O_RDONLY, 0) // not close-on-exec, as in a shell
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	start(t, h, internetHost("i-1", "web"))
	if open := shell(t, cfg, "i-1", "cd /proc/$$/fd && readlink [3-9]* [1-9][0-9]*; true"); open != "" {
		t.Errorf("besides its streams a program has open:\n%s", open)
	}
	if open := shell(t, cfg, "i-1", "readlink /proc/1/fd/* | grep -c dev/net/tun; true"); open != "0" {
		t.Errorf("PID 1 has %s queues from elsewhere", open)
	}
}

func TestExec_ForwardsSignals(t *testing.T) {
	h, cfg := newLab(t)
	start(t, h, internetHost("i-1", "web"))
	signals := make(chan os.Signal, 1)
	r, w := io.Pipe()
	go func() {
		if _, err := io.ReadFull(r, make([]byte, len("ready\n"))); err == nil {
			signals <- syscall.SIGTERM
		}
		_, _ = io.Copy(io.Discard, r)
	}()
	status, err := host.Exec(limited(t), cfg.RunDir, "i-1", host.ExecRequest{
		Argv: []string{"sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"}, Stdout: w, Signals: signals})
	if err != nil || status != 7 {
		t.Errorf("status %d, %v; want the trap's 7", status, err)
	}
	w.Close()
}

// A client that goes away takes its program along.
func TestExec_HangsUp(t *testing.T) {
	h, cfg := newLab(t)
	start(t, h, internetHost("i-1", "web"))
	ctx, cancel := context.WithCancel(limited(t))
	done := make(chan error)
	go func() {
		_, err := host.Exec(ctx, cfg.RunDir, "i-1", host.ExecRequest{Argv: []string{"sleep", "1234"}})
		done <- err
	}()
	running := func() bool {
		_, status := shellStatus(t, cfg, "i-1", "grep -lz 1234 /proc/[0-9]*/cmdline 2>/dev/null | grep -v self | while read f; do tr '\\0' ' ' < $f; done | grep -q '^sleep 1234'")
		return status == 0
	}
	eventually(t, "sleep runs", running)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	eventually(t, "sleep is hung up on", func() bool { return !running() })
}

// The program's terminal is the instance's own, in raw mode here, with the size of the one outside.
func TestExec_Terminal(t *testing.T) {
	h, cfg := newLab(t)
	start(t, h, internetHost("i-1", "web"))
	master, terminal := openPTY(t)
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 99}); err != nil {
		t.Fatal(err)
	}
	type result struct {
		status int
		err    error
	}
	done := make(chan result)
	go func() {
		status, err := host.Exec(limited(t), cfg.RunDir, "i-1", host.ExecRequest{
			Argv: []string{"sh", "-c", "tty; stty size; read line; echo got:$line; trap 'stty size; exit 5' WINCH; echo waiting; while :; do sleep 0.05; done"}, TTY: true, Stdin: terminal, Stdout: terminal})
		done <- result{status, err}
	}()
	var seen strings.Builder
	buf := make([]byte, 4096)
	await := func(text string) {
		t.Helper()
		for !strings.Contains(seen.String(), text) {
			n, err := master.Read(buf)
			if err != nil {
				t.Fatalf("waiting for %q: %v; seen %q", text, err, seen.String())
			}
			seen.Write(buf[:n])
		}
	}
	await("33 99")
	if !strings.Contains(seen.String(), "/dev/pts/") {
		t.Errorf("tty: %q", seen.String())
	}
	if _, err := master.WriteString("hello\r"); err != nil {
		t.Fatal(err)
	}
	await("got:hello")
	await("waiting")
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 20, Col: 70}); err != nil {
		t.Fatal(err)
	}
	// This process has no controlling terminal, so the kernel tells nobody.
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	await("20 70")
	if r := <-done; r.status != 5 || r.err != nil {
		t.Errorf("status %d, %v", r.status, r.err)
	}
	termios, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil || termios.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal was not put back: %v", err)
	}
}

// openPTY opens a pseudo-terminal of the host's.
func openPTY(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	peer, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, uintptr(unix.O_RDWR|unix.O_NOCTTY))
	if errno != 0 {
		t.Fatal(errno)
	}
	terminal = os.NewFile(peer, "terminal")
	t.Cleanup(func() { terminal.Close() })
	return master, terminal
}
