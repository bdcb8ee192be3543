package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const execLab = `
version: 1
internet_hosts: {box: {}}
`

func TestExec_StreamsAndStatus(t *testing.T) {
	t.Parallel()
	l := up(t, execLab)
	// Standard input, to its end, and output; nothing added, nothing lost.
	data := make([]byte, 5_000_000)
	rand.Read(data)
	out, errs, status := l.try(string(data), "exec", "box", "--", "sh", "-c", "cat; echo done >&2")
	if status != 0 || errs != "done\n" || sha256.Sum256([]byte(out)) != sha256.Sum256(data) {
		t.Errorf("5 MB through cat: %d bytes came back, exit status %d, stderr %q", len(out), status, errs)
	}
	for _, c := range []struct {
		args   []string
		status int
		errs   string
	}{
		{[]string{"true"}, 0, ""},
		{[]string{"--", "sh", "-c", "exit 7"}, 7, ""},
		{[]string{"--", "sh", "-c", "exit 255"}, 255, ""},
		{[]string{"--", "sh", "-c", "kill -9 $$"}, 128 + 9, ""},
		{[]string{"--", "no-such-program"}, 127, "no-such-program: no such file or directory"},
		{[]string{"--", "/etc/passwd"}, 126, "/etc/passwd: permission denied"},
		// The program's own flags and dashes are its own.
		{[]string{"--", "sh", "-c", `test "$*" = "-- -h --lab x"`, "sh", "--", "-h", "--lab", "x"}, 0, ""},
	} {
		_, errs, status := l.try("", append([]string{"exec", "box"}, c.args...)...)
		if status != c.status || !strings.Contains(errs, c.errs) || c.errs == "" && errs != "" {
			t.Errorf("%q: exit status %d, %q; want %d, %q", c.args, status, errs, c.status, c.errs)
		}
	}
	if out := l.cli("exec", "-u", "ec2-user", "-w", "/etc", "-e", "COLOUR=deep blue", "box", "--", "sh", "-c", `echo "$(id -un)|$PWD|$COLOUR|$HOME"`); out != "ec2-user|/etc|deep blue|/home/ec2-user\n" {
		t.Errorf("user, folder, environment, home: %q", out)
	}
	if _, errs, status := l.try("", "exec", "nobody", "--", "true"); status == 0 || !strings.Contains(errs, "there are: box") {
		t.Errorf("an unknown instance: exit status %d, %q", status, errs)
	}
	// A program left in the background does not hold the command.
	started := time.Now()
	l.in("box", "sleep 60 >/dev/null 2>&1 </dev/null &")
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("the command waited %v for a program in the background", took)
	}
}

func TestExec_Signals(t *testing.T) {
	t.Parallel()
	l := up(t, execLab)
	for sig, name := range map[syscall.Signal]string{syscall.SIGTERM: "TERM", syscall.SIGINT: "INT", syscall.SIGHUP: "HUP", syscall.SIGUSR1: "USR1"} {
		cmd := l.command("exec", "box", "--", "sh", "-c", "trap 'echo got "+name+"; exit 9' "+name+"; echo ready; while :; do sleep 0.05; done")
		r, w := io.Pipe()
		cmd.Stdout = w
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { err := cmd.Wait(); w.Close(); ended <- err }()
		line := make([]byte, len("ready\n"))
		if _, err := io.ReadFull(r, line); err != nil || string(line) != "ready\n" {
			t.Fatalf("%s: the program said %q, %v", name, line, err)
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(r)
		var exit *exec.ExitError
		if err := <-ended; !errors.As(err, &exit) || exit.ExitCode() != 9 || string(rest) != "got "+name+"\n" {
			t.Errorf("SIG%s: the program said %q and ended with %v, want exit status 9", name, rest, err)
		}
	}
	// A program that does nothing about it dies of the signal, as its caller sees.
	cmd := l.command("exec", "box", "--", "sh", "-c", "echo ready; exec sleep 60")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 128+15 {
		t.Errorf("a program that SIGTERM ends: %v, want exit status 143", err)
	}
	if left := l.in("box", "pgrep -x sleep || true"); left != "" {
		t.Errorf("the program still runs: %s", left)
	}
}

// terminal is a vpcemu command on a terminal of 33 lines and 77 columns.
type terminal struct {
	t     *testing.T
	cmd   *exec.Cmd
	ours  *os.File // what a person sees and types
	its   *os.File // what the command has as standard input, output and error
	shown string
}

func (l *lab) terminal(args ...string) *terminal {
	l.t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { ours.Close() })
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		l.t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		l.t.Fatal(err)
	}
	its, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { its.Close() })
	term := &terminal{t: l.t, cmd: l.command(args...), ours: ours, its: its}
	term.resize(33, 77)
	term.cmd.Env = append(os.Environ(), "TERM=xterm")
	term.cmd.Stdin, term.cmd.Stdout, term.cmd.Stderr = its, its, its
	term.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := term.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	return term
}

func (term *terminal) resize(rows, cols uint16) {
	term.t.Helper()
	if err := unix.IoctlSetWinsize(int(term.ours.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}); err != nil {
		term.t.Fatal(err)
	}
}

func (term *terminal) write(typed string) {
	term.t.Helper()
	if _, err := io.WriteString(term.ours, typed); err != nil {
		term.t.Fatal(err)
	}
}

// sees waits until the terminal shows a text.
func (term *terminal) sees(text string) {
	term.t.Helper()
	stuck := time.AfterFunc(limit, func() { _ = term.cmd.Process.Kill(); term.its.Close() })
	defer stuck.Stop()
	for b := make([]byte, 4096); !strings.Contains(term.shown, text); {
		n, err := term.ours.Read(b)
		term.shown += strings.ReplaceAll(string(b[:n]), "\r\n", "\n")
		if err != nil {
			term.t.Fatalf("the terminal does not show %q (%v):\n%s", text, err, term.shown)
		}
	}
}

// ends fails unless the command ends with the status.
func (term *terminal) ends(status int) {
	term.t.Helper()
	var exit *exec.ExitError
	if err := term.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		term.t.Fatal(err)
	}
	if got := term.cmd.ProcessState.ExitCode(); got != status {
		term.t.Errorf("exit status %d on the terminal, want %d; it showed:\n%s", got, status, term.shown)
	}
}

func TestExec_Terminal(t *testing.T) {
	t.Parallel()
	l := up(t, execLab)
	term := l.terminal("exec", "box", "--", "sh", "-c", "tty; stty size; echo $TERM; echo typed $(head -n 1); exit 5")
	term.sees("\n33 77\nxterm\n")
	if !strings.HasPrefix(term.shown, "/dev/pts/") {
		t.Errorf("the program's terminal is not one of the instance: %s", term.shown)
	}
	term.write("hello\n")
	term.sees("typed hello\n")
	term.ends(5)

	// Ctrl-C is the program's.
	term = l.terminal("exec", "box", "--", "sh", "-c", `trap "echo interrupted; exit 6" INT; echo ready; while :; do sleep 0.05; done`)
	term.sees("ready")
	term.write("\x03")
	term.sees("interrupted")
	term.ends(6)

	// So is the size, also when it changes.
	term = l.terminal("exec", "box", "--", "sh", "-c", `echo ready; while [ "$(stty size)" != "40 100" ]; do sleep 0.02; done; echo resized`)
	term.sees("ready")
	term.resize(40, 100)
	term.sees("resized")
	term.ends(0)

	// Whatever the program did to its terminal, the person's is as it was.
	before, err := unix.IoctlGetTermios(int(term.its.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	term = l.terminal("exec", "box", "--", "stty", "raw", "-echo")
	term.ends(0)
	after, err := unix.IoctlGetTermios(int(term.its.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "terminal settings", *after, *before)

	// `shell` opens one; -T asks for none, and pipes get none.
	term = l.terminal("shell", "box")
	term.sees("box:~# ")
	term.write("echo $((6*7)); exit 3\n")
	term.sees("42\n")
	term.ends(3)
	term = l.terminal("exec", "-T", "box", "--", "sh", "-c", "test -t 1 && ps -o tty= $$")
	term.ends(0)
	if out := l.in("box", "tty || true"); out != "not a tty\n" {
		t.Errorf("through pipes: %q", out)
	}
}

// Exec needs no daemon, and starts none.
func TestExec_WithoutDaemon(t *testing.T) {
	t.Parallel()
	l := up(t, execLab)
	daemon, _ := l.list()
	l.kill(daemon)
	if out := l.in("box", "hostname"); strings.TrimSpace(out) == "" {
		t.Error("no host name")
	}
	if out, _, status := l.try("typed", "exec", "box", "--", "sh", "-c", "cat; exit 4"); out != "typed" || status != 4 {
		t.Errorf("without a daemon: %q, exit status %d", out, status)
	}
	if daemons, _ := l.processes(); len(daemons) != 0 {
		t.Errorf("exec started a daemon: %v", fmt.Sprint(daemons))
	}
}
