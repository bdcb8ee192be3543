package unit

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// execStart runs ExecStart the way the type asks for, and returns when the unit counts as started.
func (l *life) execStart(ctx context.Context) error {
	switch l.d.kind {
	case "oneshot":
		return l.commands(ctx, l.d.start)
	case "forking":
		return l.startForking(ctx)
	}
	if len(l.d.start) == 0 {
		return nil
	}
	p, err := l.spawn(l.d.start[0])
	if err != nil {
		return err
	}
	l.setMain(p)
	if strings.HasPrefix(l.d.kind, "notify") {
		return l.awaitReady(ctx)
	}
	return nil
}

// awaitReady waits for READY=1.
func (l *life) awaitReady(ctx context.Context) error {
	for {
		select {
		case n := <-l.notes():
			l.apply(n)
			if n.ready {
				return nil
			}
		case ws := <-l.main.exited:
			l.mainEnded(ws)
			if err := l.judge("Main", ws); err != nil {
				return err
			}
			return &failure{"protocol", "Main process exited before it reported that it is ready"}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// startForking waits until the first process has left its daemon behind, and finds that.
func (l *life) startForking(ctx context.Context) error {
	for _, x := range l.d.start {
		p, err := l.spawn(x)
		if err != nil {
			return err
		}
		ws, err := l.wait(ctx, p)
		if err == nil {
			err = l.judge("Control", ws)
		}
		if err != nil && (!x.ignore || ctx.Err() != nil) {
			return err
		}
	}
	if l.d.pidFile != "" {
		return l.awaitPIDFile(ctx)
	}
	if l.d.guessMain || !l.d.remain {
		l.guess()
	}
	return nil
}

// awaitPIDFile waits for a PID file that names a living process; daemons write it a moment late.
func (l *life) awaitPIDFile(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	seen := time.Now()
	for {
		if pid, ok := l.readPIDFile(); ok {
			l.adopt(pid)
			return nil
		}
		// With none of the unit's processes left nobody will write it any more. One that has hidden its
		// environment already is not seen, hence the delay.
		if len(l.members()) > 0 {
			seen = time.Now()
		} else if time.Since(seen) > time.Second {
			return &failure{"protocol", fmt.Sprintf("Can't open PID file %s after start: no process is left to write it", l.d.pidFile)}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *life) readPIDFile() (int, bool) {
	b, err := os.ReadFile(l.c.path(l.d.pidFile))
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 1 {
		return 0, false
	}
	p, alive := readProc(pid)
	return pid, alive && !p.zombie
}

// guess takes the process whose parent is not of the unit for the main one: what daemonized.
func (l *life) guess() {
	all := l.members()
	of := map[int]bool{}
	for _, p := range all {
		of[p.pid] = true
	}
	for _, p := range all {
		if !of[p.parent] {
			l.adopt(p.pid)
			return
		}
	}
}

func (l *life) mainEnded(ws syscall.WaitStatus) {
	l.status = ws
	l.main = process{}
	l.s.set(func(st *State) { st.Main, st.Ended, st.MainPID = ws, true, 0 })
}
