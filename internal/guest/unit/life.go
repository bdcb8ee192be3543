package unit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// life is a unit from the start that was asked for until it is down for good, automatic restarts included.
// Its goroutine alone changes its fields; others only close stop and read through mu.
type life struct {
	s   *service
	c   *Config
	d   *definition
	ctx context.Context // ends when the unit is told to stop

	told    context.CancelFunc
	started chan struct{} // closed when the first start succeeded or failed
	err     error         // of the first start
	done    chan struct{}
	reloads chan chan error // requests to reload, served while the unit is up

	mu         sync.Mutex
	invocation string
	roots      []int // processes spawned
	grace      time.Duration
	ending     chan struct{} // not nil while a round ends

	id     identity
	env    environ
	notify *notifier
	main   process // pid 0 if there is none
	up     bool    // ExecStart succeeded in this round
	status syscall.WaitStatus
	result string
}

func newLife(s *service, d *definition) *life {
	l := &life{s: s, c: s.c, d: d, started: make(chan struct{}), done: make(chan struct{}), reloads: make(chan chan error), grace: d.stopTimeout}
	l.ctx, l.told = context.WithCancel(context.Background())
	return l
}

func (l *life) ended() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

func (l *life) stopping() bool { return l.ctx.Err() != nil }

// end tells the unit to stop, within grace if that is shorter than its own timeout.
func (l *life) end(grace time.Duration) {
	l.mu.Lock()
	l.grace = min(l.grace, grace)
	l.mu.Unlock()
	l.told()
}

func (l *life) stopTimeout() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.grace
}

func (l *life) members() []procInfo {
	l.mu.Lock()
	invocation, roots := l.invocation, slices.Clone(l.roots)
	l.mu.Unlock()
	return members(invocation, roots)
}

// run is the life: rounds of start, supervision and end, until no restart follows. A start that fails is
// reported when the unit is down again, as is one that leaves nothing running.
func (l *life) run() {
	for first := true; ; first = false {
		err := l.start()
		if first {
			l.err = err
		}
		if err == nil {
			l.s.set(func(st *State) { st.Active, st.Sub = "active", l.activeSub() })
			l.c.note(l.d.name, "Started %s - %s.", l.d.name, l.d.description)
			if first && (l.main.pid != 0 || l.d.remain) {
				close(l.started)
			}
			l.supervise()
		}
		l.setEnding(true)
		l.finish()
		restart := !l.stopping() && l.wantsRestart()
		if restart {
			l.s.to("activating", "auto-restart")
		}
		if first && !l.reported() {
			close(l.started)
		}
		if restart {
			l.setEnding(false)
			restart = l.again()
		}
		if !restart {
			l.told()
			close(l.done)
			l.setEnding(false)
			return
		}
	}
}

func (l *life) reported() bool {
	select {
	case <-l.started:
		return true
	default:
		return false
	}
}

// setEnding says that the round is being ended; whoever wants a start waits until it is known what follows.
func (l *life) setEnding(yes bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if yes {
		l.ending = make(chan struct{})
	} else if l.ending != nil {
		close(l.ending)
		l.ending = nil
	}
}

func (l *life) endingChan() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ending
}

func (l *life) activeSub() string {
	if l.main.pid != 0 || l.d.kind == "forking" && len(l.members()) > 0 {
		return "running"
	}
	return "exited"
}

// start brings the unit up: preparations, ExecStartPre, ExecStart by type, ExecStartPost.
func (l *life) start() error {
	l.up, l.main, l.status, l.result = false, process{}, 0, "success"
	l.s.set(func(st *State) { st.Result, st.Ended, st.MainPID = "success", false, 0 })
	l.c.rotateLog(l.d.name)
	ctx, cancel := l.ctx, func() {}
	if l.d.startTimeout < infinity {
		ctx, cancel = context.WithTimeout(l.ctx, l.d.startTimeout)
	}
	defer cancel()
	err := l.enter()
	if err == nil {
		err = l.prepare(ctx)
	}
	if err == nil {
		l.s.to("activating", "start-pre")
		err = l.commands(ctx, l.d.needed())
	}
	if err == nil {
		l.s.to("activating", "start")
		err = l.execStart(ctx)
	}
	if err == nil {
		l.up = true
		l.s.to("activating", "start-post")
		err = l.commands(ctx, l.d.post)
	}
	return l.fail(err)
}

// fail notes why a start failed and makes a job's error of it.
func (l *life) fail(err error) error {
	if err == nil {
		return nil
	}
	var f *failure
	switch {
	case l.stopping():
		l.result = "success"
		return &Err{l.d.name, "canceled"}
	case errors.Is(err, context.DeadlineExceeded):
		l.result = "timeout"
		l.c.note(l.d.name, "%s: start operation timed out. Terminating.", l.d.name)
	case errors.As(err, &f):
		l.result = f.result
		l.c.note(l.d.name, "%s: %s", l.d.name, f.text)
	default:
		l.result = "resources"
		l.c.note(l.d.name, "%s: %v", l.d.name, err)
	}
	l.c.note(l.d.name, "Failed to start %s - %s.", l.d.name, l.d.description)
	return &Err{l.d.name, l.result}
}

// failure is what a process did wrong.
type failure struct {
	result, text string
}

func (f *failure) Error() string { return f.text }

// enter begins a round: a new invocation ID, the environment, directories, and the notify socket.
func (l *life) enter() error {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return err
	}
	l.mu.Lock()
	l.invocation, l.roots = hex.EncodeToString(b[:]), nil
	l.mu.Unlock()
	var err error
	if l.id, err = l.d.identify(); err != nil {
		return err
	}
	own := []string{"INVOCATION_ID=" + l.invocation}
	if strings.HasPrefix(l.d.kind, "notify") || l.d.value("NotifyAccess", "none") != "none" {
		if l.notify, err = l.c.listen(l.d.name); err != nil {
			return err
		}
		own = append(own, "NOTIFY_SOCKET="+l.notify.path)
	}
	if err := l.c.makeDirectories(l.d, l.id); err != nil {
		return err
	}
	l.env, err = l.c.environment(l.d, l.id, l.s.manager.environment(), own...)
	return err
}

// spawn starts a command as part of the unit.
func (l *life) spawn(x command, extra ...string) (process, error) {
	env := environ{}
	env.add(l.env.list()...)
	if l.main.pid != 0 {
		env.add("MAINPID=" + strconv.Itoa(l.main.pid))
	}
	env.add(extra...)
	p, err := l.c.spawnCommand(l.d, x, l.id, env)
	if err != nil {
		return p, &failure{"exit-code", err.Error()}
	}
	l.mu.Lock()
	l.roots = append(l.roots, p.pid)
	l.mu.Unlock()
	return p, nil
}

// commands runs control commands one after the other; the first failure that is not to be ignored ends it.
func (l *life) commands(ctx context.Context, xs []command, extra ...string) error {
	for _, x := range xs {
		p, err := l.spawn(x, extra...)
		if err == nil {
			var ws syscall.WaitStatus
			if ws, err = l.wait(ctx, p); err == nil {
				err = l.judge("Control", ws)
			}
		}
		if err != nil && ctx.Err() != nil {
			return err
		}
		if err != nil && !x.ignore {
			return err
		}
	}
	return nil
}

// judge turns a wait status into a failure, nil if it is a success.
func (l *life) judge(what string, ws syscall.WaitStatus) error {
	result := l.resultOf(ws)
	if result == "success" {
		return nil
	}
	return &failure{result, fmt.Sprintf("%s process exited, %s", what, describe(ws))}
}

func describe(ws syscall.WaitStatus) string {
	switch {
	case ws.CoreDump():
		return fmt.Sprintf("code=dumped, status=%d/%s", int(ws.Signal()), signalName(ws.Signal()))
	case ws.Signaled():
		return fmt.Sprintf("code=killed, status=%d/%s", int(ws.Signal()), signalName(ws.Signal()))
	case ws.ExitStatus() == 0:
		return "code=exited, status=0/SUCCESS"
	case ws.ExitStatus() == 1:
		return "code=exited, status=1/FAILURE"
	}
	return fmt.Sprintf("code=exited, status=%d", ws.ExitStatus())
}

// cleanSignals end a service without it having failed (systemd.service(5), SuccessExitStatus).
var cleanSignals = []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGPIPE}

func (l *life) resultOf(ws syscall.WaitStatus) string {
	switch {
	case l.d.okStatus.has(ws), ws.Exited() && ws.ExitStatus() == 0:
		return "success"
	case ws.Signaled() && slices.Contains(cleanSignals, ws.Signal()) && l.d.kind != "oneshot":
		return "success"
	case ws.CoreDump():
		return "core-dump"
	case ws.Signaled():
		return "signal"
	}
	return "exit-code"
}

// wait waits for a control process, listening to notifications meanwhile. When ctx ends first, the process
// is terminated and ctx's error returned.
func (l *life) wait(ctx context.Context, p process) (syscall.WaitStatus, error) {
	for {
		select {
		case ws := <-p.exited:
			return ws, nil
		case n := <-l.notes():
			l.apply(n)
		case <-ctx.Done():
			l.terminate(p)
			return 0, ctx.Err()
		}
	}
}

// terminate ends a control process, by force after a second.
func (l *life) terminate(p process) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		l.kill(p.pid, sig)
		select {
		case <-p.exited:
			return
		case <-time.After(time.Second):
		}
	}
}

func (l *life) kill(pid int, sig syscall.Signal) {
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		l.c.Logf("unit %s: signal %d to process %d: %v", l.d.name, int(sig), pid, err)
	}
}

// notes is the channel of notifications; nil, which blocks for ever, without a socket.
func (l *life) notes() <-chan notification {
	if l.notify == nil {
		return nil
	}
	return l.notify.messages
}

// apply takes over what the service said about itself.
func (l *life) apply(n notification) {
	if n.mainPID != 0 && n.mainPID != l.main.pid {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", n.mainPID)); err == nil {
			l.adopt(n.mainPID)
		}
	}
	l.s.set(func(st *State) {
		if n.hasStatus {
			st.Status = n.status
		}
		if n.reloading && st.Active == "active" {
			st.Active, st.Sub = "reloading", "reload"
		}
		if n.ready && st.Active == "reloading" {
			st.Active, st.Sub = "active", "running"
		}
		if n.stopping && st.Active == "active" {
			st.Active, st.Sub = "deactivating", "stop-sigterm"
		}
	})
}

// adopt makes a process that the manager did not spawn the main one.
func (l *life) adopt(pid int) {
	exited, err := l.c.Watch(pid)
	if err != nil {
		l.c.note(l.d.name, "%s: %v", l.d.name, err)
		return
	}
	// It may have overwritten its environment with its title, and started a session of its own.
	l.mu.Lock()
	l.roots = append(l.roots, pid)
	l.mu.Unlock()
	l.setMain(process{pid, exited})
}

func (l *life) setMain(p process) {
	l.main = p
	l.s.set(func(st *State) { st.MainPID = p.pid })
}
