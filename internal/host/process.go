package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// process is a process held by its pidfd, which never comes to mean another.
type process struct {
	pid       int
	startTime uint64
	pidfd     *os.File
}

// newProcess takes a pidfd over.
func newProcess(pid, pidfd int) (*process, error) {
	unix.CloseOnExec(pidfd)
	if err := unix.SetNonblock(pidfd, true); err != nil { // to be polled with everything else
		unix.Close(pidfd)
		return nil, fmt.Errorf("process %d: pidfd: %w", pid, err)
	}
	p := &process{pid: pid, pidfd: os.NewFile(uintptr(pidfd), "pidfd")}
	var err error
	if p.startTime, err = startTime(pid); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// openProcess finds the process with this PID and start time; fs.ErrNotExist if it is no more.
func openProcess(pid int, started uint64) (*process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil, fmt.Errorf("process %d: %w", pid, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("process %d: pidfd: %w", pid, err)
	}
	p, err := newProcess(pid, fd)
	if err != nil {
		return nil, err
	}
	if p.startTime != started {
		p.close()
		return nil, fmt.Errorf("process %d: %w", pid, fs.ErrNotExist)
	}
	return p, nil
}

func (p *process) close() { p.pidfd.Close() }

// wait returns when the process and all of its threads are gone; for PID 1 of a namespace that includes all
// processes in it. It returns the context's error when that ends first.
func (p *process) wait(ctx context.Context) error {
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	if err := p.pidfd.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = p.pidfd.SetReadDeadline(time.Unix(1, 0)) })()
	err = raw.Read(func(fd uintptr) bool { return readable(int(fd)) })
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func readable(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n == 1
}

func (p *process) signal(sig syscall.Signal) error {
	return p.control(func(fd int) error { return unix.PidfdSendSignal(fd, sig, nil, 0) })
}

func (p *process) control(f func(fd int) error) error {
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = raw.Control(func(fd uintptr) { inner = f(int(fd)) })
	return errors.Join(err, inner)
}

// reap gives the status of a process that has ended, and takes it off the list of this process's children if it
// is one. Otherwise its parent, init by now, has reaped it, and the kernel remembers the status from version 6.15
// on; or it has not yet, and the process table shows it. known is false if neither is so.
func (p *process) reap() (status syscall.WaitStatus, known bool) {
	if pid, err := syscall.Wait4(p.pid, &status, syscall.WNOHANG, nil); err == nil && pid == p.pid {
		return status, true
	}
	if fields, err := statFields(p.pid); err == nil && len(fields) > 49 && fields[0] == "Z" && fields[19] == strconv.FormatUint(p.startTime, 10) {
		if n, err := strconv.ParseUint(fields[49], 10, 32); err == nil {
			return syscall.WaitStatus(n), true
		}
	}
	info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
	err := p.control(func(fd int) error { return unix.IoctlPidfdInfo(fd, &info) })
	return syscall.WaitStatus(info.Exit_code), err == nil && info.Mask&unix.PIDFD_INFO_EXIT != 0
}

// killProcess ends the process with this PID and start time, and returns when it is gone.
func killProcess(ctx context.Context, pid int, started uint64) error {
	p, err := openProcess(pid, started)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer p.close()
	return p.kill(ctx)
}

func (p *process) kill(ctx context.Context) error {
	if err := p.signal(syscall.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("process %d: kill: %w", p.pid, err)
	}
	if err := p.wait(ctx); err != nil {
		return fmt.Errorf("process %d: does not end: %w", p.pid, err)
	}
	p.reap()
	return nil
}

// startTime is when the process started, in clock ticks after the machine's boot.
func startTime(pid int) (uint64, error) {
	fields, err := statFields(pid)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// statFields are the fields of proc_pid_stat(5) from the third, the state, on; at least to the 22nd, the start time.
func statFields(pid int) ([]string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		if errors.Is(err, syscall.ESRCH) {
			err = fs.ErrNotExist
		}
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	// The second field is the name in parentheses and may hold anything.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 20 {
		return nil, fmt.Errorf("process %d: stat has %d fields", pid, len(fields)+2)
	}
	return fields, nil
}

// labelled is a PID 1 found by its arguments.
type labelled struct {
	id        string
	pid       int
	startTime uint64
}

// findProcesses looks for the PIDs 1 of the lab with this run directory among all processes.
func findProcesses(runDir string) ([]labelled, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var found []labelled
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		data, err := os.ReadFile("/proc/" + name + "/cmdline")
		if err != nil || !bytes.HasPrefix(data, []byte(wire.Argv0)) {
			continue
		}
		_, dir, id, ok := wire.ParseLabel(strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00"))
		if !ok || dir != runDir || !validName(id) || !isInit(pid) {
			continue
		}
		if started, err := startTime(pid); err == nil {
			found = append(found, labelled{id, pid, started})
		}
	}
	return found, nil
}

// isInit tells whether the process is PID 1 of a namespace directly below this one.
func isInit(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && initBelow(string(data))
}

// initBelow reads /proc/PID/status. A program of an instance can call itself what it likes, and be PID 1 of a
// namespace that it makes, but that namespace is two below.
func initBelow(status string) bool {
	for line := range strings.Lines(status) {
		if ids, ok := strings.CutPrefix(line, "NSpid:"); ok {
			f := strings.Fields(ids)
			return len(f) == 2 && f[1] == "1"
		}
	}
	return false
}
