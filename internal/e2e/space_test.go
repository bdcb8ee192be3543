package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/thread"
)

// space is a network namespace that a test takes for a machine's: vpcemu and its daemon run in
// it, and what they do to the machine's own network is done there.
type space struct {
	t     *testing.T
	path  string // /proc/PID/ns/net
	hosts string // its /etc/hosts
}

// newSpace makes one that lasts as long as the test.
func newSpace(t *testing.T) *space {
	t.Helper()
	s := &space{t: t, hosts: filepath.Join(t.TempDir(), "hosts")}
	if err := os.WriteFile(s.hosts, []byte("127.0.0.1 localhost\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// The holder's parent is the thread that starts it, and has to outlive it.
	holder := exec.Command("sleep", "infinity")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	started, end := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		started <- holder.Start()
		<-end
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = holder.Process.Kill(); _ = holder.Wait(); close(end) })
	s.path = fmt.Sprintf("/proc/%d/ns/net", holder.Process.Pid)
	s.run("ip link set lo up")
	return s
}

func (s *space) enter(args ...string) []string {
	return append([]string{"nsenter", "--net=" + s.path, "--"}, args...)
}

// command is one of the space, with its /etc/hosts in force.
func (s *space) command(args ...string) *exec.Cmd {
	mount := []string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, s.hosts}
	all := s.enter(append(mount, args...)...)
	return exec.Command(all[0], all[1:]...)
}

// try runs a shell script in the space.
func (s *space) try(script string) (out string, status int) {
	s.t.Helper()
	cmd := s.command("sh", "-c", script)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatalf("%s: %v", script, err)
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

// run runs scripts that have to succeed.
func (s *space) run(scripts ...string) (out string) {
	s.t.Helper()
	for _, script := range scripts {
		text, status := s.try(script)
		if status != 0 {
			s.t.Fatalf("%s: exit status %d\n%s", script, status, text)
		}
		out += text
	}
	return out
}

// state is all of the space that a lab may change: devices, addresses, routes, rules of
// nftables, settings, names.
func (s *space) state() []string {
	s.t.Helper()
	text := s.run("ip -o link 2>/dev/null | cut -d' ' -f2", "ip -4 -o addr 2>/dev/null | cut -d' ' -f2-", "ip rule",
		"ip -4 route show table all | sed 's/ linkdown//'", "nft list ruleset",
		"sysctl -a -r '^net.ipv4.(ip_forward|conf)' 2>/dev/null", "cat /etc/hosts")
	return strings.Split(text, "\n")
}

// unchanged fails where the space is not as it was.
func (s *space) unchanged(what string, before []string) {
	s.t.Helper()
	after := s.state()
	for _, line := range before {
		if !slices.Contains(after, line) {
			s.t.Errorf("%s: gone: %s", what, line)
		}
	}
	for _, line := range after {
		if !slices.Contains(before, line) {
			s.t.Errorf("%s: has come: %s", what, line)
		}
	}
}

// worldAddr is a server's address in the world outside, which no route but the default one
// leads to.
const worldAddr = "192.0.2.80"

// newWorld makes the world outside of a machine, with a default route to it.
func newWorld(host *space) *space {
	w := newSpace(host.t)
	pid := strings.Split(w.path, "/")[2]
	host.run("ip link add eth0 type veth peer name up0", "ip link set up0 netns "+pid,
		"ip addr add 10.55.0.2/24 dev eth0", "ip link set eth0 up", "ip route add default via 10.55.0.1")
	w.run("ip addr add 10.55.0.1/24 dev up0", "ip link set up0 up", "ip addr add "+worldAddr+"/32 dev lo", "ip addr add 192.168.77.1/32 dev lo")
	return w
}

// serve serves HTTP in the space until the test ends.
func (s *space) serve(addr string, h http.Handler) {
	s.t.Helper()
	var l net.Listener
	done := make(chan error)
	thread.Go(func() {
		done <- func() error {
			ns, err := os.Open(s.path)
			if err != nil {
				return err
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return err
			}
			l, err = net.Listen("tcp4", addr)
			return err
		}()
	})
	if err := <-done; err != nil {
		s.t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	served := make(chan struct{})
	go func() { defer close(served); _ = srv.Serve(l) }()
	s.t.Cleanup(func() { srv.Close(); <-served })
}

// labOn is newLab on another machine.
func labOn(host *space, topology string) *lab {
	host.t.Helper()
	l := newLab(host.t, topology)
	l.host = host
	return l
}
