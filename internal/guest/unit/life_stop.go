package unit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// supervise waits until the unit is told to stop or its main process ends by itself.
func (l *life) supervise() {
	if l.main.pid == 0 && !l.d.remain && l.d.kind == "oneshot" {
		return
	}
	if l.main.pid == 0 && !l.d.remain {
		l.c.note(l.d.name, "%s: no process is left.", l.d.name)
		return
	}
	for {
		select {
		case <-l.ctx.Done():
			return
		case n := <-l.notes():
			l.apply(n)
		case answer := <-l.reloads:
			answer <- l.reload()
		case ws := <-l.main.exited:
			if l.moved() {
				continue
			}
			l.mainEnded(ws)
			l.result = l.resultOf(ws)
			if l.result != "success" {
				l.c.note(l.d.name, "%s: Main process exited, %s", l.d.name, describe(ws))
			}
			if !l.d.remain || l.result != "success" {
				return
			}
			l.s.to("active", "exited")
		}
	}
}

// moved tells whether the main process has handed over to another one before it ended, and follows. A daemon that
// renews its program does so, and says it in its PID file (nginx's on-the-fly upgrade).
func (l *life) moved() bool {
	pid, ok := l.readPIDFile()
	if l.d.pidFile == "" || !ok || pid == l.main.pid || !slices.ContainsFunc(l.members(), func(p procInfo) bool { return p.pid == pid }) {
		return false
	}
	l.adopt(pid)
	return l.main.pid == pid
}

// reload runs ExecReload, within the time that a start may take.
func (l *life) reload() error {
	ctx, cancel := timeout(l.d.startTimeout)
	defer cancel()
	l.s.to("reloading", "reload")
	err := l.commands(ctx, l.d.reload)
	l.s.to("active", l.activeSub())
	if err != nil {
		l.c.note(l.d.name, "%s: ExecReload: %v", l.d.name, err)
		return &Err{l.d.name, "exit-code"}
	}
	l.c.note(l.d.name, "Reloaded %s - %s.", l.d.name, l.d.description)
	return nil
}

// finish takes the unit down: ExecStop, signals, ExecStopPost, and what lies in /run.
func (l *life) finish() {
	ctx, cancel := timeout(l.stopTimeout())
	defer cancel()
	if l.up && len(l.d.stop) > 0 {
		l.s.to("deactivating", "stop")
		if err := l.commands(ctx, l.d.stop, l.outcome()...); err != nil {
			l.c.note(l.d.name, "%s: ExecStop: %v", l.d.name, err)
			l.worse(err)
		}
	}
	l.killAll(ctx)
	if len(l.d.stopPost) > 0 {
		l.s.to("deactivating", "stop-post")
		ctx, cancel := timeout(l.stopTimeout())
		defer cancel()
		if err := l.commands(ctx, l.d.stopPost, l.outcome()...); err != nil {
			l.c.note(l.d.name, "%s: ExecStopPost: %v", l.d.name, err)
			l.worse(err)
		}
	}
	l.clean()
	l.settle()
}

func timeout(d time.Duration) (context.Context, context.CancelFunc) {
	if d == infinity {
		return context.WithCancel(context.Background())
	}
	return context.WithTimeout(context.Background(), d)
}

// worse records the first thing that went wrong.
func (l *life) worse(err error) {
	var f *failure
	switch {
	case l.result != "success":
	case errors.As(err, &f):
		l.result = f.result
	case errors.Is(err, context.DeadlineExceeded):
		l.result = "timeout"
	default:
		l.result = "resources"
	}
}

// outcome is what ExecStop and ExecStopPost are told about the main process (systemd.exec(5)).
func (l *life) outcome() []string {
	out := []string{"SERVICE_RESULT=" + l.result}
	switch ws := l.status; {
	case l.main.pid != 0 || !l.s.state().Ended:
	case ws.Signaled():
		out = append(out, "EXIT_CODE=killed", "EXIT_STATUS="+signalName(ws.Signal()))
	default:
		out = append(out, "EXIT_CODE=exited", fmt.Sprintf("EXIT_STATUS=%d", ws.ExitStatus()))
	}
	return out
}

// killAll ends the unit's processes by KillMode (systemd.kill(5)): the signal, time to react, then SIGKILL.
func (l *life) killAll(ctx context.Context) {
	if l.d.killMode == "none" {
		return
	}
	l.s.to("deactivating", "stop-sigterm")
	l.signal(l.d.killSignal, false)
	if l.awaitEnd(ctx) {
		if l.d.killMode != "mixed" {
			return
		}
	} else {
		l.worse(context.DeadlineExceeded)
		l.c.note(l.d.name, "%s: State 'stop-sigterm' timed out. Killing.", l.d.name)
	}
	if !l.d.sendKill {
		return
	}
	l.s.to("deactivating", "stop-sigkill")
	l.signal(syscall.SIGKILL, true)
	last, cancel := timeout(5 * time.Second)
	defer cancel()
	l.awaitEnd(last)
}

// signal reaches the main process, and the others if the kill mode includes them in this step.
func (l *life) signal(sig syscall.Signal, final bool) {
	if l.main.pid != 0 {
		l.kill(l.main.pid, sig)
	}
	if l.d.killMode == "process" || l.d.killMode == "mixed" && !final {
		return
	}
	for _, p := range l.members() {
		if p.pid != l.main.pid {
			l.kill(p.pid, sig)
		}
		if !final {
			l.kill(p.pid, syscall.SIGCONT)
			if l.d.sendHup {
				l.kill(p.pid, syscall.SIGHUP)
			}
		}
	}
}

// awaitEnd waits until the processes that the kill mode is about are gone; false if ctx ends first.
func (l *life) awaitEnd(ctx context.Context) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if l.main.pid == 0 && (l.d.killMode == "process" || l.d.killMode == "mixed" || len(l.members()) == 0) {
			return true
		}
		exited := l.main.exited
		if l.main.pid == 0 {
			exited = nil
		}
		select {
		case ws := <-exited:
			l.mainEnded(ws)
			if r := l.resultOf(ws); r != "success" && l.result == "success" && !(ws.Signaled() && ws.Signal() == l.d.killSignal) {
				l.result = r
				l.c.note(l.d.name, "%s: Main process exited, %s", l.d.name, describe(ws))
			}
		case n := <-l.notes():
			l.apply(n)
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}

// clean removes socket, PID file and runtime directories.
func (l *life) clean() {
	if l.notify != nil {
		l.notify.close()
		l.notify = nil
	}
	if l.d.pidFile != "" {
		if err := os.Remove(l.c.path(l.d.pidFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
			l.c.Logf("unit %s: %v", l.d.name, err)
		}
	}
	if err := l.c.dropRuntimeDirectories(l.d); err != nil {
		l.c.Logf("unit %s: %v", l.d.name, err)
	}
}

// settle sets the state in which the round ends.
func (l *life) settle() {
	active, sub := "inactive", "dead"
	if l.result != "success" {
		active, sub = "failed", "failed"
		l.c.note(l.d.name, "%s: Failed with result '%s'.", l.d.name, l.result)
	} else {
		l.c.note(l.d.name, "%s: Deactivated successfully.", l.d.name)
	}
	l.s.set(func(st *State) { st.Active, st.Sub, st.Result, st.MainPID = active, sub, l.result, 0 })
}

// again waits for the time of an automatic restart (systemd.service(5), RestartSec). False ends the life.
func (l *life) again() bool {
	select {
	case <-time.After(l.d.restartDelay):
	case <-l.ctx.Done():
		l.result = "success"
		l.settle()
		return false
	}
	l.s.mu.Lock()
	ok := l.s.admit(l.d)
	l.s.mu.Unlock()
	if !ok {
		l.result = "start-limit-hit"
		l.c.note(l.d.name, "%s: Start request repeated too quickly.", l.d.name)
		l.settle()
		return false
	}
	l.s.set(func(st *State) { st.Restarts++; st.Status = "" })
	l.c.note(l.d.name, "%s: Scheduled restart job.", l.d.name)
	return true
}

func (l *life) wantsRestart() bool {
	if l.s.state().Ended {
		if l.d.alwaysRestart.has(l.status) {
			return true
		}
		if l.d.neverRestart.has(l.status) {
			return false
		}
	}
	switch l.d.restart {
	case "always":
		return true
	case "on-success":
		return l.result == "success"
	case "on-failure":
		return l.result != "success"
	case "on-abnormal":
		return slices.Contains([]string{"signal", "core-dump", "timeout"}, l.result)
	case "on-abort":
		return slices.Contains([]string{"signal", "core-dump"}, l.result)
	}
	return false
}

// signalName is a signal's name without SIG, as systemd prints it.
func signalName(sig syscall.Signal) string {
	if n := unix.SignalName(sig); len(n) > 3 {
		return n[3:]
	}
	return fmt.Sprint(int(sig))
}
