package guest

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/thread"
)

// processes starts and reaps everything that runs in the instance. One wait loop serves the children of
// PID 1 and the orphans that fall to it; nothing else in the program may wait for a process (os/exec does).
type processes struct {
	starts chan forkRequest

	// mu guards children and makes "still ours" and "signalled" one step: the kernel reuses a PID only after
	// it was reaped, which needs mu.
	mu       sync.Mutex
	children map[int]*child
	// idle is closed when PID 1 has no child left, and replaced when it gets one.
	idle chan struct{}
}

// child is a process to be reaped, and who wants to know its status.
type child struct {
	watchers []chan<- syscall.WaitStatus
}

// program is what to run: Path, the arguments with the program's name first, and the rest of execve(2).
type program struct {
	Path       string
	Argv, Env  []string
	Dir        string
	Files      []uintptr // become descriptors 0, 1, 2...
	Credential *syscall.Credential
	// Terminal makes descriptor 0 the controlling terminal.
	Terminal bool
	// SameSession leaves the program in PID 1's session.
	SameSession bool
}

type forkRequest struct {
	program
	done chan<- started
}

type started struct {
	pid    int
	exited <-chan syscall.WaitStatus
	err    error
}

// forbidden are the capabilities no program of an instance has: they reach past the namespaces, to the
// host's devices, modules, memory and clock, and to its files by their handles (open_by_handle_at(2)).
var forbidden = []uintptr{unix.CAP_MKNOD, unix.CAP_SYS_MODULE, unix.CAP_SYS_RAWIO, unix.CAP_SYS_TIME, unix.CAP_DAC_READ_SEARCH}

// newProcesses starts the wait loop and the thread that forks.
func newProcesses() (*processes, error) {
	p := &processes{starts: make(chan forkRequest), children: make(map[int]*child), idle: make(chan struct{})}
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	ready := make(chan error)
	thread.Go(func() { p.fork(ready) })
	if err := <-ready; err != nil {
		return nil, err
	}
	go func() {
		for range died {
			p.reap()
		}
	}()
	return p, nil
}

// fork starts programs, all from one thread that has given up the forbidden capabilities for them: the
// bounding set is an attribute of the thread that forks. PID 1 itself keeps them, to make devices later.
func (p *processes) fork(ready chan<- error) {
	for _, c := range forbidden {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			ready <- fmt.Errorf("drop capability %d: %w", c, err)
			return
		}
	}
	ready <- nil
	for s := range p.starts {
		s.done <- p.forkOne(s.program)
	}
}

func (p *processes) forkOne(prog program) started {
	p.mu.Lock() // held over fork and registration: the child may be dead before ForkExec returns
	defer p.mu.Unlock()
	pid, err := syscall.ForkExec(prog.Path, prog.Argv, &syscall.ProcAttr{
		Dir: prog.Dir, Env: prog.Env, Files: prog.Files,
		Sys: &syscall.SysProcAttr{Setsid: !prog.SameSession, Setctty: prog.Terminal, Ctty: 0, Credential: prog.Credential},
	})
	if err != nil {
		return started{err: err}
	}
	return started{pid: pid, exited: p.watch(pid)}
}

// watch gives a channel that takes the status of pid once. Called with mu held.
func (p *processes) watch(pid int) <-chan syscall.WaitStatus {
	if p.children[pid] == nil {
		p.children[pid] = &child{}
	}
	exited := make(chan syscall.WaitStatus, 1)
	p.children[pid].watchers = append(p.children[pid].watchers, exited)
	return exited
}

// Watch tells of the end of a process that was not started here but falls to PID 1, such as a daemon whose
// parent is gone.
func (p *processes) Watch(pid int) (<-chan syscall.WaitStatus, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := syscall.Kill(pid, 0); err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	return p.watch(pid), nil
}

// Start runs a program, in a session of its own unless told otherwise. Its status comes on the channel when it ended.
func (p *processes) Start(prog program) (pid int, exited <-chan syscall.WaitStatus, err error) {
	done := make(chan started, 1)
	p.starts <- forkRequest{prog, done}
	s := <-done
	return s.pid, s.exited, s.err
}

// Signal sends sig to the process group that Start made for pid, unless that process is gone.
func (p *processes) Signal(pid int, sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.children[pid] == nil {
		return os.ErrProcessDone
	}
	return syscall.Kill(-pid, sig)
}

// reap takes every child that is dead, known or not.
func (p *processes) reap() {
	for {
		p.mu.Lock()
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		c := p.children[pid]
		if pid > 0 {
			delete(p.children, pid)
		}
		p.noteIdle(err == syscall.ECHILD)
		p.mu.Unlock()
		if pid <= 0 && err != syscall.EINTR {
			return
		}
		if c != nil {
			for _, w := range c.watchers {
				w <- status
			}
		}
	}
}

// noteIdle closes idle once there is no child, and opens a new one when there is again. Called with mu held.
func (p *processes) noteIdle(none bool) {
	select {
	case <-p.idle:
		if !none {
			p.idle = make(chan struct{})
		}
	default:
		if none {
			close(p.idle)
		}
	}
}

// Idle gives a channel that is closed when no process but PID 1 is left.
func (p *processes) Idle() <-chan struct{} {
	p.reap()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.idle
}
