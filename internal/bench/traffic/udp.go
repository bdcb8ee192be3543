package traffic

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// receiveBuffer of a datagram socket, so that the receiver's own pauses lose little.
const receiveBuffer = 4 << 20

// udpServer counts the datagrams that are delivered to it for the time, from a moment after the first one on.
func udpServer(s Spec, w io.Writer) (Result, error) {
	fd, err := datagrams(Port, 0)
	if err == nil {
		err = wait(fd, 5*time.Second)
	}
	if err != nil {
		return Result{}, err
	}
	fmt.Fprintln(w, Ready)
	b := make([]byte, 64<<10)
	if _, err := again(func() (int, error) { return unix.Read(fd, b) }); err != nil {
		return Result{}, fmt.Errorf("nothing arrived: %w", err)
	}
	if _, err := count(fd, b, warmUp); err != nil {
		return Result{}, err
	}
	work := busy()
	r, err := count(fd, b, s.Time)
	r.Busy = busy() - work
	return r, err
}

// wait limits how long a read may take.
func wait(fd int, limit time.Duration) error {
	tv := unix.NsecToTimeval(int64(limit))
	return os.NewSyscallError("setsockopt", unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv))
}

// count reads for the time.
func count(fd int, b []byte, limit time.Duration) (Result, error) {
	var r Result
	for start := time.Now(); ; {
		n, err := again(func() (int, error) { return unix.Read(fd, b) })
		if err != nil {
			return r, fmt.Errorf("datagrams stopped: %w", err)
		}
		r.Count++
		r.Bytes += uint64(n)
		if r.Count%16 == 0 {
			if passed := time.Since(start); passed >= limit {
				r.Seconds = passed.Seconds()
				return r, nil
			}
		}
	}
}

// udpClient sends as fast as its socket takes datagrams, one a system call, until the server must have counted enough.
func udpClient(s Spec, _ io.Writer) (Result, error) {
	fd, err := socket(unix.SOCK_DGRAM)
	if err != nil {
		return Result{}, err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: s.Address.As4(), Port: Port}); err != nil {
		return Result{}, os.NewSyscallError("connect", err)
	}
	b := make([]byte, s.Size)
	var r Result
	limit := warmUp + s.Time + warmUp
	for start := time.Now(); ; {
		switch err := unix.Send(fd, b, unix.MSG_NOSIGNAL); err {
		case nil:
			r.Sent++
		case unix.EINTR:
		case unix.ENOBUFS, unix.EAGAIN, unix.ECONNREFUSED: // the queue is full, or the server has gone already
			r.Lost++
		default:
			return r, os.NewSyscallError("send", err)
		}
		if (r.Sent+r.Lost)%16 == 0 {
			if passed := time.Since(start); passed >= limit {
				r.SentFor = passed.Seconds()
				return r, nil
			}
		}
	}
}
