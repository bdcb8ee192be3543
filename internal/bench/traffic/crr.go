package traffic

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// crrServer takes connections at Ports ports, answers the byte of each with one, and waits for its end. It ends when it is killed.
func crrServer(s Spec, w io.Writer) (Result, error) {
	failed := make(chan error, Ports)
	for i := range Ports {
		l, err := listen(Port+i, s)
		if err != nil {
			return Result{}, err
		}
		go func() {
			runtime.LockOSThread()
			failed <- answer(l)
		}()
	}
	fmt.Fprintln(w, Ready)
	return Result{}, <-failed
}

// answer serves the connections of one port, one after the other as they come.
func answer(l int) error {
	b := make([]byte, 1)
	for {
		fd, err := again(func() (int, error) { fd, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC); return fd, err })
		if err != nil {
			return os.NewSyscallError("accept", err)
		}
		if n, err := again(func() (int, error) { return unix.Read(fd, b) }); n == 1 && err == nil {
			_, _ = unix.Write(fd, b) // the client tells what went wrong
			_, _ = again(func() (int, error) { return unix.Read(fd, b) })
		}
		unix.Close(fd)
	}
}

// crrClient does one transaction after the other, each on a connection of its own to the next of the ports. It closes first, so that
// the ports in TIME_WAIT are its own: Prepare lets it use all of them and take them again.
func crrClient(s Spec, _ io.Writer) (Result, error) {
	if _, _, err := transactions(s, warmUp); err != nil {
		return Result{}, err
	}
	work := busy()
	n, passed, err := transactions(s, s.Time)
	return Result{Seconds: passed.Seconds(), Count: n, Busy: busy() - work}, err
}

func transactions(s Spec, limit time.Duration) (n uint64, passed time.Duration, err error) {
	b := make([]byte, 1)
	for start := time.Now(); passed < limit; passed = time.Since(start) {
		if err := transaction(s, Port+int(n%Ports), b); err != nil {
			return n, passed, fmt.Errorf("transaction %d: %w", n, err)
		}
		n++
	}
	return n, passed, nil
}

func transaction(s Spec, port int, b []byte) error {
	fd, err := dial(s, port)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, b); err != nil {
		return os.NewSyscallError("write", err)
	}
	n, err := again(func() (int, error) { return unix.Read(fd, b) })
	if err == nil && n == 0 {
		err = errors.New("no answer")
	}
	return err
}

// Prepare sets what CRR needs in the network namespace of the calling thread: all ports, and those in TIME_WAIT again at once.
func Prepare() error {
	for name, value := range map[string]string{"ip_local_port_range": "1024 65535", "tcp_tw_reuse": "1"} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0); err != nil {
			return err
		}
	}
	return nil
}
