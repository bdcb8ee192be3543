package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// Status is what PID 1 of an instance tells of it.
type Status = wire.Status

// How an instance ended, in Exit.
const (
	ExitPoweroff = wire.CausePoweroff // from inside
	ExitReboot   = wire.CauseReboot   // from inside: to be started again
	ExitStop     = wire.CauseStop     // Stop, or SIGTERM from outside
	ExitKilled   = "killed"           // by a signal
	ExitFailed   = "failed"           // PID 1 ended without being asked to
)

// Exit is how an instance ended.
type Exit struct {
	Cause  string
	Detail string // for people, empty if the cause says all
}

// Sandbox is a running instance.
type Sandbox struct {
	ID      string
	host    *Host
	state   state
	process *process

	done   chan Exit     // has the Exit once, then is closed
	ended  chan struct{} // closed when the process is gone
	cancel context.CancelFunc
	once   sync.Once
}

// newSandbox takes the process over and watches it.
func newSandbox(h *Host, id string, st state, p *process) *Sandbox {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Sandbox{ID: id, host: h, state: st, process: p, done: make(chan Exit, 1), ended: make(chan struct{}), cancel: cancel}
	go s.watch(ctx)
	return s
}

func (s *Sandbox) watch(ctx context.Context) {
	defer s.process.close()
	if err := s.process.wait(ctx); err != nil {
		return // released
	}
	status, known := s.process.reap()
	s.done <- exitOf(readCause(s.host.runDir(s.ID)), status, known)
	close(s.done)
	close(s.ended)
}

// release forgets the sandbox; it runs on.
func (s *Sandbox) release() { s.once.Do(s.cancel) }

// readCause reads what PID 1 wrote when it began to stop. Anything else in the file is not from it.
func readCause(dir string) string {
	f, err := os.Open(filepath.Join(dir, exitFile))
	if err != nil {
		return ""
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 64))
	if err != nil {
		return ""
	}
	switch cause := strings.TrimSpace(string(data)); cause {
	case ExitPoweroff, ExitReboot, ExitStop:
		return cause
	}
	return ""
}

// exitOf puts together what PID 1 wrote and what the kernel says. The system call reboot(2) in the instance
// ends PID 1 with a signal that stands for what was asked (pid_namespaces(7)).
func exitOf(cause string, status syscall.WaitStatus, known bool) Exit {
	switch {
	case cause != "":
		return Exit{Cause: cause}
	case !known:
		return Exit{Cause: ExitKilled, Detail: "status unknown"}
	case status.Signaled() && status.Signal() == syscall.SIGHUP:
		return Exit{Cause: ExitReboot}
	case status.Signaled() && status.Signal() == syscall.SIGINT:
		return Exit{Cause: ExitPoweroff}
	case status.Signaled():
		return Exit{Cause: ExitKilled, Detail: fmt.Sprintf("signal %d (%v)", status.Signal(), status.Signal())}
	}
	return Exit{Cause: ExitFailed, Detail: fmt.Sprintf("PID 1 exited with status %d; see console.log", status.ExitStatus())}
}

// Adopt takes over a running instance that this or another process started. It fails with fs.ErrNotExist if
// there is none that is whole.
func (h *Host) Adopt(ctx context.Context, id string) (*Sandbox, error) {
	if !validName(id) {
		return nil, fmt.Errorf("instance %q: not an ID", id)
	}
	defer h.turn(id).Unlock()
	return h.adopt(ctx, id)
}

func (h *Host) adopt(ctx context.Context, id string) (*Sandbox, error) {
	st, err := readState(h.runDir(id))
	if err == nil && st.KernelBoot != kernelBoot() {
		err = fs.ErrNotExist
	}
	var p *process
	if err == nil {
		p, err = openProcess(st.PID, st.StartTime)
	}
	if err != nil {
		return nil, fmt.Errorf("instance %s: not running: %w", id, err)
	}
	s := newSandbox(h, id, st, p)
	// A PID 1 whose starter died may still be setting up: it answers once it is up, or ends.
	ctx, cancel := context.WithTimeout(ctx, adoptPatience)
	defer cancel()
	if _, err := s.Status(ctx); err != nil {
		s.release()
		return nil, fmt.Errorf("instance %s: not running: %w", id, errors.Join(err, fs.ErrNotExist))
	}
	name := h.netnsName(st.Name)
	err = claimNetns(name, label{Lab: h.cfg.Lab, RunDir: h.cfg.RunDir, ID: id})
	if err == nil {
		err = bindNetns(name, st.PID)
	}
	if err != nil {
		s.release()
		return nil, fmt.Errorf("instance %s: %w", id, err)
	}
	return s, nil
}

// PID is the instance's PID 1 as seen from the host.
func (s *Sandbox) PID() int { return s.state.PID }

// Name is the instance's name, BootID which of its starts this is.
func (s *Sandbox) Name() string { return s.state.Name }

// BootID is the number that Start was given.
func (s *Sandbox) BootID() int { return s.state.BootID }

// Done gives the Exit once the instance has ended, and is closed after that.
func (s *Sandbox) Done() <-chan Exit { return s.done }

// Status asks PID 1.
func (s *Sandbox) Status(ctx context.Context) (Status, error) {
	r, _, err := s.call(ctx, wire.Request{Op: wire.OpStatus})
	if err == nil && r.Status == nil {
		err = errors.New("empty answer")
	}
	if err != nil {
		return Status{}, fmt.Errorf("instance %s: status: %w", s.ID, err)
	}
	return *r.Status, nil
}

// WaitReady returns when every interface has its address and the units that start at boot were started.
// Whether the user data succeeded, Status tells.
func (s *Sandbox) WaitReady(ctx context.Context) error {
	if _, _, err := s.call(ctx, wire.Request{Op: wire.OpReady}); err != nil {
		return fmt.Errorf("instance %s: not ready: %w", s.ID, err)
	}
	return nil
}

// Queues gives the queue of every interface by its handle: one IP packet (TUN) or Ethernet frame (TAP) a read or
// write, non-blocking underneath. They are duplicates that the caller closes; until then they keep the network
// namespace in the kernel, also after the instance has ended.
func (s *Sandbox) Queues(ctx context.Context) (map[uint32]*os.File, error) {
	r, files, err := s.call(ctx, wire.Request{Op: wire.OpQueues})
	if err == nil && len(files) != len(r.Handles) {
		wire.CloseFiles(files)
		err = fmt.Errorf("%d descriptors for %d interfaces", len(files), len(r.Handles))
	}
	if err != nil {
		return nil, fmt.Errorf("instance %s: queues: %w", s.ID, err)
	}
	queues := make(map[uint32]*os.File)
	for i, f := range files {
		queues[r.Handles[i]] = f
	}
	return queues, nil
}

// AttachNIC adds an interface and gives its queue, as Queues would.
func (s *Sandbox) AttachNIC(ctx context.Context, n NIC) (*os.File, error) {
	err := n.check()
	var files []*os.File
	if err == nil {
		w := n.wire()
		_, files, err = s.call(ctx, wire.Request{Op: wire.OpAttach, NIC: &w})
	}
	if err == nil && len(files) != 1 {
		wire.CloseFiles(files)
		err = fmt.Errorf("%d descriptors", len(files))
	}
	if err != nil {
		return nil, fmt.Errorf("instance %s: attach %s: %w", s.ID, n.ID, err)
	}
	return files[0], nil
}

// DetachNIC removes an interface. Reading its queue gives an error from then on.
func (s *Sandbox) DetachNIC(ctx context.Context, handle uint32) error {
	if _, _, err := s.call(ctx, wire.Request{Op: wire.OpDetach, Handle: handle}); err != nil {
		return fmt.Errorf("instance %s: detach: %w", s.ID, err)
	}
	return nil
}

// Stop ends the instance: its services are stopped and its processes asked to end, and after the grace
// everything is killed. Then it removes what the instance has on the machine, but for the disk.
func (s *Sandbox) Stop(ctx context.Context, grace time.Duration) error {
	asking, cancel := context.WithTimeout(ctx, 2*time.Second)
	_, _, err := s.call(asking, wire.Request{Op: wire.OpStop, Grace: grace})
	cancel()
	if err != nil {
		err = s.process.signal(syscall.SIGTERM) // it does not listen, or is gone
	}
	if err == nil {
		patience := time.NewTimer(grace + time.Second)
		defer patience.Stop()
		select {
		case <-s.ended:
		case <-patience.C:
		case <-ctx.Done():
		}
	}
	if err := s.host.Remove(context.WithoutCancel(ctx), s.ID, false); err != nil {
		return fmt.Errorf("instance %s: stop: %w", s.ID, err)
	}
	return nil
}

func (s *Sandbox) call(ctx context.Context, req wire.Request) (wire.Reply, []*os.File, error) {
	return call(ctx, s.host.cfg.RunDir, s.ID, req)
}

// call sends one request to an instance's PID 1 and takes the answer.
func call(ctx context.Context, runDir, id string, req wire.Request) (r wire.Reply, files []*os.File, err error) {
	return callWith(ctx, runDir, id, req, nil)
}

// callWith is call with descriptors for PID 1.
func callWith(ctx context.Context, runDir, id string, req wire.Request, theirs []*os.File) (r wire.Reply, files []*os.File, err error) {
	c, err := dial(runDir, id)
	if err != nil {
		return r, nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	if err = c.Send(req, theirs...); err == nil {
		files, err = c.Receive(&r)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return r, nil, context.Cause(ctx)
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		return r, nil, errors.New("the instance ended")
	case err != nil:
		return r, nil, err
	case r.Error != "":
		wire.CloseFiles(files)
		return r, nil, errors.New(r.Error)
	}
	return r, files, nil
}

func dial(runDir, id string) (wire.Conn, error) {
	c, err := wire.Dial(filepath.Join(runDirOf(runDir, id), socketFile))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return c, fmt.Errorf("not running: %w", err)
	}
	return c, err
}
