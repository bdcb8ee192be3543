package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// ExecRequest is a program to be run in an instance.
type ExecRequest struct {
	Argv []string // empty runs the user's login shell
	Env  []string // NAME=value, added to the user's environment
	Dir  string   // empty means the user's home directory
	User string   // name or number; empty means root
	// TTY gives the program a terminal in the instance, connected to Stdin and Stdout; Stderr is not used. If
	// Stdin is a terminal it is in raw mode meanwhile, and its size and changes of it are passed on.
	TTY bool
	// Files are handed to the program as they are; anything else is copied. nil is /dev/null.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Signals are passed on to the program's process group; nil for none.
	Signals <-chan os.Signal
}

// Exec runs a program in an instance and returns its exit status: 128 and the signal's number if a signal ended
// it, and with an error 127 if it was not found and 126 if it could not be started. It needs no daemon. When
// ctx ends, the program is hung up on.
func Exec(ctx context.Context, runDir, id string, req ExecRequest) (exit int, err error) {
	if !validName(id) {
		return 126, fmt.Errorf("instance %q: not an ID", id)
	}
	c, err := dial(runDir, id)
	if err != nil {
		return 126, fmt.Errorf("instance %s: %w", id, err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if req.TTY {
		exit, err = execTerminal(c, req)
	} else {
		exit, err = execFiles(c, req)
	}
	switch {
	case ctx.Err() != nil:
		return 126, context.Cause(ctx)
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
		return 126, fmt.Errorf("instance %s: ended while the program ran", id)
	case err != nil:
		return exit, fmt.Errorf("instance %s: %w", id, err)
	}
	return exit, nil
}

func (r *ExecRequest) wire() *wire.Exec {
	return &wire.Exec{Argv: r.Argv, Env: r.Env, Dir: r.Dir, User: r.User, TTY: r.TTY}
}

// execFiles runs a program on three descriptors.
func execFiles(c wire.Conn, req ExecRequest) (int, error) {
	var s streams
	defer s.close()
	files, err := s.open(req)
	if err != nil {
		return 126, err
	}
	if err := c.Send(wire.Request{Op: wire.OpExec, Exec: req.wire()}, files...); err != nil {
		return 126, err
	}
	s.closeTheirs()
	if files, exit, err := awaitStart(c); err != nil {
		return exit, err
	} else {
		wire.CloseFiles(files)
	}
	exit, err := awaitExit(c, req.Signals)
	if err == nil {
		err = s.finish()
	}
	return exit, err
}

// streams are the pipes for standard streams that are not files.
type streams struct {
	theirs, ours []*os.File
	outputs      sync.WaitGroup
	mu           sync.Mutex
	err          error
}

func (s *streams) open(req ExecRequest) (files []*os.File, err error) {
	stdin, err := s.input(req.Stdin)
	if err != nil {
		return nil, err
	}
	stdout, err := s.output(req.Stdout)
	if err != nil {
		return nil, err
	}
	stderr := stdout
	if !sameWriter(req.Stdout, req.Stderr) { // one writer is written to by one goroutine, as os/exec promises
		if stderr, err = s.output(req.Stderr); err != nil {
			return nil, err
		}
	}
	return []*os.File{stdin, stdout, stderr}, nil
}

func sameWriter(a, b io.Writer) bool {
	return a != nil && b != nil && reflect.TypeOf(a).Comparable() && a == b
}

func (s *streams) input(r io.Reader) (*os.File, error) {
	if f, ok := r.(*os.File); ok {
		return f, nil
	}
	if r == nil {
		return s.null(os.O_RDONLY)
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	theirs.Fd() // makes it blocking, which programs expect
	s.theirs, s.ours = append(s.theirs, theirs), append(s.ours, ours)
	go func() { // may stay in Read after the program has ended: only the reader's owner can end that
		_, _ = io.Copy(ours, r)
		ours.Close() // the half-close: the program reads end of file
	}()
	return theirs, nil
}

func (s *streams) output(w io.Writer) (*os.File, error) {
	if f, ok := w.(*os.File); ok {
		return f, nil
	}
	if w == nil {
		return s.null(os.O_WRONLY)
	}
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	theirs.Fd()
	s.theirs, s.ours = append(s.theirs, theirs), append(s.ours, ours)
	s.outputs.Go(func() {
		if _, err := io.Copy(w, ours); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			s.mu.Lock()
			s.err = errors.Join(s.err, err)
			s.mu.Unlock()
		}
	})
	return theirs, nil
}

func (s *streams) null(flag int) (*os.File, error) {
	f, err := os.OpenFile(os.DevNull, flag, 0)
	if err == nil {
		s.theirs = append(s.theirs, f)
	}
	return f, err
}

func (s *streams) closeTheirs() {
	wire.CloseFiles(s.theirs)
	s.theirs = nil
}

// outputPatience is how long the output of a program that has ended is waited for when something that it left
// behind keeps it open.
const outputPatience = 500 * time.Millisecond

// finish takes the rest of the output.
func (s *streams) finish() error {
	for _, f := range s.ours {
		_ = f.SetReadDeadline(time.Now().Add(outputPatience))
	}
	s.outputs.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *streams) close() {
	s.closeTheirs()
	wire.CloseFiles(s.ours)
}

// awaitStart takes the first reply.
func awaitStart(c wire.Conn) (files []*os.File, exit int, err error) {
	var r wire.Reply
	if files, err = c.Receive(&r); err != nil {
		return nil, 126, err
	}
	if !r.Started {
		wire.CloseFiles(files)
		if r.Exited == nil {
			r.Exited = &wire.Exited{Code: 126}
		}
		return nil, r.Exited.Code, errors.New(r.Error)
	}
	return files, 0, nil
}

// awaitExit passes signals on until the program has ended.
func awaitExit(c wire.Conn, signals <-chan os.Signal) (int, error) {
	ended := make(chan struct{})
	var forwarding sync.WaitGroup
	forwarding.Go(func() {
		for {
			select {
			case s, ok := <-signals:
				if !ok {
					signals = nil
				} else if n, ok := s.(syscall.Signal); ok {
					_ = c.Send(wire.Request{Op: wire.OpSignal, Signal: int(n)}) // if it ended, Receive says so
				}
			case <-ended:
				return
			}
		}
	})
	var r wire.Reply
	files, err := c.Receive(&r)
	wire.CloseFiles(files)
	close(ended)
	forwarding.Wait()
	if err != nil {
		return 126, err
	}
	if r.Exited == nil {
		return 126, fmt.Errorf("reply without exit status: %s", r.Error)
	}
	if r.Exited.Signal != 0 {
		return 128 + r.Exited.Signal, nil
	}
	return r.Exited.Code, nil
}

// execTerminal runs a program on a terminal of the instance's.
func execTerminal(c wire.Conn, req ExecRequest) (int, error) {
	w := req.wire()
	w.Term = os.Getenv("TERM")
	if w.Term == "" {
		w.Term = "xterm"
	}
	local, _ := req.Stdin.(*os.File)
	if local != nil && !term.IsTerminal(int(local.Fd())) {
		local = nil
	}
	if local != nil {
		if cols, rows, err := term.GetSize(int(local.Fd())); err == nil {
			w.Rows, w.Cols = uint16(rows), uint16(cols)
		}
	}
	if err := c.Send(wire.Request{Op: wire.OpExec, Exec: w}); err != nil {
		return 126, err
	}
	files, exit, err := awaitStart(c)
	if err != nil {
		return exit, err
	}
	defer wire.CloseFiles(files)
	if len(files) != 1 {
		return 126, fmt.Errorf("terminal: %d descriptors", len(files))
	}
	master := files[0]
	if local != nil {
		old, err := term.MakeRaw(int(local.Fd()))
		if err != nil {
			return 126, fmt.Errorf("terminal: %w", err)
		}
		defer func() { _ = term.Restore(int(local.Fd()), old) }()
		defer followSize(local, master)()
	}
	go sendInput(master, req.Stdin)
	output := make(chan error, 1)
	go func() { output <- receiveOutput(master, req.Stdout) }()
	exit, err = awaitExit(c, req.Signals)
	if err != nil {
		return exit, err
	}
	_ = master.SetReadDeadline(time.Now().Add(outputPatience))
	return exit, <-output
}

// followSize gives the terminal in the instance the size of the local one until the result is called.
func followSize(local, master *os.File) (stop func()) {
	changes := make(chan os.Signal, 1)
	signal.Notify(changes, syscall.SIGWINCH)
	go func() {
		for range changes {
			cols, rows, err := term.GetSize(int(local.Fd()))
			if err != nil {
				continue
			}
			raw, err := master.SyscallConn()
			if err != nil {
				return
			}
			_ = raw.Control(func(fd uintptr) {
				_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: uint16(cols)})
			})
		}
	}()
	return func() {
		signal.Stop(changes)
		close(changes)
	}
}

// sendInput types stdin into the terminal, and at its end the terminal's end of file.
func sendInput(master *os.File, stdin io.Reader) {
	if stdin == nil {
		return
	}
	if _, err := io.Copy(master, stdin); err == nil {
		_, _ = master.Write([]byte{4})
	}
}

// receiveOutput copies what the terminal shows. The last process to close it ends it with EIO.
func receiveOutput(master *os.File, stdout io.Writer) error {
	if stdout == nil {
		stdout = io.Discard
	}
	_, err := io.Copy(stdout, master)
	if errors.Is(err, syscall.EIO) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
