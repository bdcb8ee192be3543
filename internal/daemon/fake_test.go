package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/dhcp"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/host"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

const limit = 20 * time.Second // for every wait; nothing should come near it

// fakeMachine is a machine in memory. It outlives daemons, as the real one does.
type fakeMachine struct {
	t  testing.TB
	mu sync.Mutex
	// what there is
	running map[string]*fakeInstance
	ended   map[string]host.Exit // of sandboxes of which only files are left
	boots   map[string]int
	disks   map[string]bool
	// what happened
	log []string
	// what goes wrong, by name or ID
	failStart  map[string]error
	failRemove map[string]error
	failAttach error
	failLimits error
	noLimits   error
	hang       chan struct{} // starts wait for it, or for the end of their context
	taken      map[string]bool
	link       *fakeLink
}

func newMachine(t testing.TB) *fakeMachine {
	return &fakeMachine{t: t, running: map[string]*fakeInstance{}, ended: map[string]host.Exit{}, boots: map[string]int{}, disks: map[string]bool{},
		failStart: map[string]error{}, failRemove: map[string]error{}, taken: map[string]bool{}, link: &fakeLink{}}
}

type fakeInstance struct {
	m      *fakeMachine
	spec   host.Spec
	done   chan host.Exit
	once   sync.Once
	mu     sync.Mutex
	theirs map[uint32]*os.File // the instance's ends of its queues
	ours   map[uint32]*os.File
}

func (m *fakeMachine) note(format string, a ...any) { m.log = append(m.log, fmt.Sprintf(format, a...)) }

func (m *fakeMachine) Start(ctx context.Context, spec host.Spec) (instance, error) {
	m.mu.Lock()
	hang := m.hang
	m.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note("start %s", spec.Name)
	if err := m.failStart[spec.Name]; err != nil {
		return nil, fmt.Errorf("instance %s: %w", spec.ID, err)
	}
	if m.running[spec.ID] != nil {
		m.t.Errorf("%s is started while it runs", spec.Name)
	}
	for _, in := range m.running {
		if in.spec.Name == spec.Name {
			m.t.Errorf("two sandboxes are named %s", spec.Name)
		}
	}
	in := &fakeInstance{m: m, spec: spec, done: make(chan host.Exit, 1), theirs: map[uint32]*os.File{}, ours: map[uint32]*os.File{}}
	for _, n := range spec.NICs {
		in.plug(n.Handle)
	}
	m.running[spec.ID], m.disks[spec.ID], m.boots[spec.ID] = in, true, spec.BootID
	delete(m.ended, spec.ID)
	return in, nil
}

func (m *fakeMachine) Adopt(_ context.Context, id string) (instance, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if in := m.running[id]; in != nil {
		m.note("adopt %s", in.spec.Name)
		in.done, in.once = make(chan host.Exit, 1), sync.Once{}
		return in, nil
	}
	return nil, fmt.Errorf("instance %s: not running: %w", id, fs.ErrNotExist)
}

func (m *fakeMachine) Sandboxes() ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[string]bool{}
	for id := range m.running {
		all[id] = true
	}
	for id := range m.ended {
		all[id] = true
	}
	for id := range m.disks {
		all[id] = true
	}
	var ids []string
	for id := range all {
		ids = append(ids, id)
	}
	return ids, nil
}

func (m *fakeMachine) Remove(_ context.Context, id string, disk bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.failRemove[id]; err != nil {
		return err
	}
	m.note("remove %s", id)
	if in := m.running[id]; in != nil {
		in.end(host.Exit{Cause: host.ExitStop})
	}
	delete(m.running, id)
	delete(m.ended, id)
	if disk {
		delete(m.disks, id)
	}
	return nil
}

func (m *fakeMachine) RemoveAll(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, in := range m.running {
		in.end(host.Exit{Cause: host.ExitStop})
	}
	clear(m.running)
	clear(m.ended)
	clear(m.disks)
	return nil
}

func (m *fakeMachine) NameFree(name, _ string) error {
	if m.taken[name] {
		return fmt.Errorf("%s is taken", name)
	}
	return nil
}

func (m *fakeMachine) Ended(id string) (int, host.Exit, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	exit, ok := m.ended[id]
	return m.boots[id], exit, ok
}

func (m *fakeMachine) Link() linker { return m.link }

func (m *fakeMachine) CheckLimits(l host.Limits) error {
	if l.IsZero() {
		return nil
	}
	return m.noLimits
}

func (m *fakeMachine) ConsoleLog(id string) string { return "/disks/" + id + "/console.log" }

// die ends an instance by itself, as its daemon sees or, with none there, finds it.
func (m *fakeMachine) die(name string, exit host.Exit) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in := m.named(name)
	delete(m.running, in.spec.ID)
	m.ended[in.spec.ID] = exit
	in.end(exit)
}

func (m *fakeMachine) named(name string) *fakeInstance {
	for _, in := range m.running {
		if in.spec.Name == name {
			return in
		}
	}
	m.t.Fatalf("nothing named %s runs", name)
	return nil
}

func (m *fakeMachine) names() (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, in := range m.running {
		names = append(names, in.spec.Name)
	}
	slices.Sort(names)
	return names
}

func (m *fakeMachine) happened() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.log
	m.log = nil
	return was
}

func (in *fakeInstance) plug(handle uint32) *os.File {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		in.m.t.Fatal(err)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.theirs[handle], in.ours[handle] = os.NewFile(uintptr(pair[0]), "theirs"), os.NewFile(uintptr(pair[1]), "ours")
	return in.ours[handle]
}

func (in *fakeInstance) end(exit host.Exit) {
	in.once.Do(func() {
		in.done <- exit
		close(in.done)
	})
}

func (in *fakeInstance) BootID() int  { return in.spec.BootID }
func (in *fakeInstance) Name() string { return in.spec.Name }

// Queues gives duplicates, as PID 1 does.
func (in *fakeInstance) Queues(context.Context) (map[uint32]*os.File, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := map[uint32]*os.File{}
	for handle, f := range in.ours {
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		if err := unix.SetNonblock(fd, true); err != nil {
			return nil, err
		}
		out[handle] = os.NewFile(uintptr(fd), "queue")
	}
	return out, nil
}

func (in *fakeInstance) AttachNIC(ctx context.Context, n host.NIC) (*os.File, error) {
	in.m.mu.Lock()
	in.m.note("attach %s %s", in.spec.Name, n.ID)
	err := in.m.failAttach
	in.m.mu.Unlock()
	if err != nil {
		return nil, err
	}
	in.plug(n.Handle)
	queues, err := in.Queues(ctx)
	if err != nil {
		return nil, err
	}
	for handle, q := range queues {
		if handle != n.Handle {
			q.Close()
		}
	}
	return queues[n.Handle], nil
}

func (in *fakeInstance) DetachNIC(_ context.Context, handle uint32) error {
	in.m.mu.Lock()
	in.m.note("detach %s", in.spec.Name)
	in.m.mu.Unlock()
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.ours[handle] == nil {
		return errors.New("no such interface")
	}
	in.ours[handle].Close()
	in.theirs[handle].Close()
	delete(in.ours, handle)
	delete(in.theirs, handle)
	return nil
}

func (in *fakeInstance) Status(context.Context) (host.Status, error) {
	return host.Status{State: "ready"}, nil
}
func (in *fakeInstance) SetLimits(_ context.Context, l host.Limits) error {
	in.m.mu.Lock()
	defer in.m.mu.Unlock()
	in.m.note("limits %s %v", in.spec.Name, l)
	return in.m.failLimits
}
func (in *fakeInstance) WaitReady(context.Context) error           { return nil }
func (in *fakeInstance) Done() <-chan host.Exit                    { return in.done }
func (in *fakeInstance) Stop(context.Context, time.Duration) error { return nil } // Remove ends it

// noServers are what a VPC has in these tests.
type noServers struct{}

func (noServers) Port() dataplane.Port { return nil }
func (noServers) close()               {}

// bench is a daemon on a fake machine.
type bench struct {
	*Daemon
	t testing.TB
	m *fakeMachine
}

func newBench(t testing.TB) *bench {
	t.Helper()
	dir := t.TempDir()
	b := &bench{t: t, m: newMachine(t)}
	b.Daemon = &Daemon{cfg: Config{Lab: "lab", StateDir: filepath.Join(dir, "state", "lab"), RunDir: filepath.Join(dir, "run", "lab"),
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))}}
	b.open()
	t.Cleanup(func() { b.Close() })
	return b
}

// open starts a daemon on what the one before has left.
func (b *bench) open() {
	b.t.Helper()
	cfg := b.cfg
	for _, dir := range []string{cfg.StateDir, cfg.RunDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.t.Fatal(err)
		}
	}
	lock, err := takeLock(b.t.Context(), cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	d, err := open(b.t.Context(), cfg, lock, b.m, func(*Daemon, vpc.VpcID, netip.Addr) (servers, error) {
		return noServers{}, nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Daemon = d
}

func (b *bench) reopen() { b.t.Helper(); b.Close(); b.open() }

const twoInstances = `version: 1
name: lab
vpcs: {v: {cidr_block: 10.0.0.0/16, enable_dns_support: false}}
subnets: {s: {vpc: v, cidr_block: 10.0.1.0/24}}
instances:
  a: {subnet: s}
  b: {subnet: s}
internet_hosts:
  far: {}
`

func (b *bench) up(text string) error {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), limit)
	defer cancel()
	_, err := b.Up(ctx, control.UpRequest{File: "lab.yaml", Text: text}, func(string) {})
	return err
}

func (b *bench) mustUp(text string) {
	b.t.Helper()
	if err := b.up(text); err != nil {
		b.t.Fatal(err)
	}
}

// do runs an operation and waits for what it does to instances.
func (b *bench) do(action, input string) error {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), limit)
	defer cancel()
	_, err := b.Run(ctx, "", action, []byte(input), true)
	return err
}

func (b *bench) must(action, input string) {
	b.t.Helper()
	if err := b.do(action, input); err != nil {
		b.t.Fatalf("%s: %v", action, err)
	}
}

func (b *bench) instance(name string) *vpc.Instance {
	b.t.Helper()
	var found *vpc.Instance
	for _, i := range b.Model().Instances.All() {
		if i.Name() == name && (found == nil || i.State != vpc.StateTerminated) {
			found = i
		}
	}
	if found == nil {
		b.t.Fatalf("no instance %s", name)
	}
	return found
}

// settled waits until there is nothing left to do.
func (b *bench) settled() error {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), limit)
	defer cancel()
	return b.settle(ctx, b.moment(), nil)
}

// eventually waits for what the daemon does by itself.
func (b *bench) eventually(what string, ok func() bool) {
	b.t.Helper()
	deadline := time.After(limit)
	for !ok() {
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			b.t.Fatalf("%s: not within %s; on the machine: %s", what, limit, strings.Join(b.m.happened(), "; "))
		}
	}
}

func equal(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %q, want %q", what, got, want)
	}
}

func lease(addr string) dhcp.Lease {
	return dhcp.Lease{Addr: netip.MustParseAddr(addr), State: "bound"}
}

func (b *bench) upReplacing(text string) (*control.UpResult, error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), limit)
	defer cancel()
	return b.Up(ctx, control.UpRequest{File: "lab.yaml", Text: text, Replace: true}, func(string) {})
}
