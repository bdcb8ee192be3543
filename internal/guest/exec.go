package guest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// exec serves one exec request until its program ended. files are the program's standard descriptors.
func (g *guest) exec(c wire.Conn, req *wire.Exec, files []*os.File) {
	pid, exited, err := g.execStart(c, req, files)
	if err != nil {
		code := 126
		if errors.Is(err, syscall.ENOENT) {
			code = 127
		}
		g.send(c, wire.Reply{Error: err.Error(), Exited: &wire.Exited{Code: code}})
		return
	}
	g.noteExec(pid, true)
	defer g.noteExec(pid, false)
	go g.forwardSignals(c, pid)
	status := <-exited
	g.send(c, wire.Reply{Exited: &wire.Exited{Code: max(status.ExitStatus(), 0), Signal: signalOf(status)}})
}

// noteExec keeps the list of programs that lose their terminal when the instance stops.
func (g *guest) noteExec(pid int, running bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if running {
		g.execs[pid] = true
	} else {
		delete(g.execs, pid)
	}
}

func signalOf(status syscall.WaitStatus) int {
	if status.Signaled() {
		return int(status.Signal())
	}
	return 0
}

// execStart starts the program and answers the request.
func (g *guest) execStart(c wire.Conn, req *wire.Exec, files []*os.File) (pid int, exited <-chan syscall.WaitStatus, err error) {
	defer wire.CloseFiles(files) // the program has its own
	prog, err := g.execProgram(req)
	if err != nil {
		return 0, nil, err
	}
	var master *os.File
	switch {
	case req.TTY:
		var terminal *os.File
		if master, terminal, err = openTerminal(prog.Credential, req.Rows, req.Cols); err != nil {
			return 0, nil, fmt.Errorf("terminal: %w", err)
		}
		defer master.Close()
		defer terminal.Close()
		fd := terminal.Fd()
		prog.Files, prog.Terminal = []uintptr{fd, fd, fd}, true
	case len(files) == 3:
		for _, f := range files {
			fd, err := descriptor(f)
			if err != nil {
				return 0, nil, err
			}
			prog.Files = append(prog.Files, fd)
		}
	default:
		return 0, nil, fmt.Errorf("exec: %d descriptors instead of 3", len(files))
	}
	if pid, exited, err = g.processes.Start(prog); err != nil {
		return 0, nil, fmt.Errorf("%s: %w", prog.Path, err)
	}
	reply := wire.Reply{Started: true}
	if master != nil {
		g.send(c, reply, master)
	} else {
		g.send(c, reply)
	}
	return pid, exited, nil
}

// descriptor is Fd without the change to blocking mode, which the client would notice: it shares the file's
// flags.
func descriptor(f *os.File) (fd uintptr, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	return fd, raw.Control(func(n uintptr) { fd = n })
}

// execProgram works out what a request means for its user.
func (g *guest) execProgram(req *wire.Exec) (program, error) {
	name := req.User
	if name == "" {
		name = "root"
	}
	a, err := lookupAccount("/", name)
	if err != nil {
		return program{}, err
	}
	env := a.environment(nil)
	if req.Term != "" {
		env = setenv(env, "TERM="+req.Term)
	}
	for _, v := range req.Env {
		env = setenv(env, v)
	}
	dir := req.Dir
	if dir == "" {
		dir = a.Home
	}
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		if req.Dir != "" {
			return program{}, &os.PathError{Op: "chdir", Path: req.Dir, Err: syscall.ENOTDIR}
		}
		dir = "/"
	}
	prog := program{Argv: req.Argv, Env: env, Dir: dir, Credential: a.credential()}
	if len(req.Argv) == 0 {
		prog.Path, prog.Argv = a.Shell, []string{"-" + filepath.Base(a.Shell)}
		return prog, nil
	}
	if prog.Path, err = findProgram(req.Argv[0], env, dir); err != nil {
		return program{}, fmt.Errorf("%s: %w", req.Argv[0], err)
	}
	return prog, nil
}

// forwardSignals passes signals on until the connection ends. A client that goes away before the program
// takes it along, as a closed terminal would.
func (g *guest) forwardSignals(c wire.Conn, pid int) {
	for {
		var req wire.Request
		files, err := c.Receive(&req)
		wire.CloseFiles(files)
		if err != nil {
			if err := g.processes.Signal(pid, syscall.SIGHUP); err != nil && !errors.Is(err, os.ErrProcessDone) {
				g.logf("exec: hang up process %d: %v", pid, err)
			}
			return
		}
		if req.Op != wire.OpSignal {
			continue
		}
		if err := g.processes.Signal(pid, syscall.Signal(req.Signal)); err != nil && !errors.Is(err, os.ErrProcessDone) {
			g.logf("exec: signal %d to process %d: %v", req.Signal, pid, err)
		}
	}
}

// openTerminal makes a pseudo-terminal of the instance's own devpts that belongs to the user.
func openTerminal(user *syscall.Credential, rows, cols uint16) (master, terminal *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, &os.PathError{Op: "open", Path: "/dev/ptmx", Err: err}
	}
	master = os.NewFile(uintptr(fd), "/dev/ptmx")
	defer func() {
		if err != nil {
			master.Close()
		}
	}()
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, os.NewSyscallError("TIOCSPTLCK", err)
	}
	if rows > 0 && cols > 0 {
		if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}); err != nil {
			return nil, nil, os.NewSyscallError("TIOCSWINSZ", err)
		}
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, nil, os.NewSyscallError("TIOCGPTN", err)
	}
	path := fmt.Sprintf("/dev/pts/%d", n)
	if terminal, err = os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return nil, nil, err
	}
	if err := terminal.Chown(int(user.Uid), 5); err != nil {
		terminal.Close()
		return nil, nil, err
	}
	return master, terminal, nil
}

// send answers; a client that has gone needs no answer.
func (g *guest) send(c wire.Conn, r wire.Reply, files ...*os.File) {
	if err := c.Send(r, files...); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, io.EOF) {
		g.logf("control socket: %v", err)
	}
}
