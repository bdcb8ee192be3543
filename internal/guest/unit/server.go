package unit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// The protocol of SocketPath is one JSON request and one JSON answer a connection. systemctl's command line
// goes over whole: the program that asks knows nothing of units.

// request is a command line without the program's name.
type request struct {
	Args  []string
	Lines int // that status shows of the log; 0 means 10
}

// answer is what to print and to exit with.
type answer struct {
	Out, Err string
	Exit     int
}

// maxRequest bounds what a client may make PID 1 read.
const maxRequest = 1 << 20

// Serve answers systemctl on l until it is closed. Commands that change something need a caller with user
// ID 0.
func (m *Manager) Serve(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unit manager: %w", err)
		}
		go m.serveOne(conn)
	}
}

func (m *Manager) serveOne(conn net.Conn) {
	defer conn.Close()
	var q request
	in := json.NewDecoder(io.LimitReader(conn, maxRequest))
	if err := in.Decode(&q); err != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // a client that hangs up stops waiting, not the job
		_, _ = conn.Read(make([]byte, 1))
		cancel()
	}()
	a := m.run(ctx, q, isRoot(conn))
	if err := json.NewEncoder(conn).Encode(a); err != nil && ctx.Err() == nil {
		m.c.Logf("unit manager: answering: %v", err)
	}
}

// isRoot asks the kernel who is at the other end.
func isRoot(conn net.Conn) bool {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return false
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return false
	}
	root := false
	if err := raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		root = err == nil && (cred.Uid == 0 || int(cred.Uid) == os.Geteuid())
	}); err != nil {
		return false
	}
	return root
}

// Main is systemctl: it sends args (without the program's name) to the manager at the socket, prints the
// answer, and returns the exit code.
func Main(socket string, args []string, stdout, stderr io.Writer) int {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		fmt.Fprintf(stderr, "Failed to connect to the instance's service manager: %v\n", err)
		return 1
	}
	defer conn.Close()
	if err := json.NewEncoder(conn).Encode(request{Args: args}); err != nil {
		fmt.Fprintf(stderr, "Failed to ask the instance's service manager: %v\n", err)
		return 1
	}
	var a answer
	if err := json.NewDecoder(conn).Decode(&a); err != nil {
		fmt.Fprintf(stderr, "No answer from the instance's service manager: %v\n", err)
		return 1
	}
	fmt.Fprint(stderr, a.Err)
	fmt.Fprint(stdout, a.Out)
	return a.Exit
}
