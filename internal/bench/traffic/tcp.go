package traffic

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// chunk is how much a stream reads or writes at once.
const chunk = 256 << 10

// tcpServer takes all streams, lets them warm up, and counts what arrives for the time. The streams
// end with the process.
func tcpServer(s Spec, w io.Writer) (Result, error) {
	l, err := listen(Port, s)
	if err != nil {
		return Result{}, err
	}
	fmt.Fprintln(w, Ready)
	fds := make([]int, s.Streams)
	counts := make([]counter, s.Streams)
	var peer netip.Addr
	for i := range fds {
		if fds[i], err = again(func() (int, error) {
			fd, from, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
			if a, ok := from.(*unix.SockaddrInet4); ok {
				peer = netip.AddrFrom4(a.Addr)
			}
			return fd, err
		}); err != nil {
			return Result{}, os.NewSyscallError("accept", err)
		}
		go receive(fds[i], &counts[i])
	}
	time.Sleep(warmUp)
	start, before, work := time.Now(), total(counts), busy()
	time.Sleep(s.Time)
	elapsed, after, worked := time.Since(start), total(counts), busy()
	// The end of this process resets the streams. A shutdown would not: with a window of 0 the client would wait for one that
	// never comes.
	for _, fd := range fds {
		if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
			return Result{}, os.NewSyscallError("setsockopt", err)
		}
	}
	if after == before {
		return Result{}, fmt.Errorf("nothing arrived")
	}
	return Result{Seconds: elapsed.Seconds(), Bytes: after - before, Busy: worked - work, Peer: peer}, nil
}

// counter has a cache line of its own.
type counter struct {
	n atomic.Uint64
	_ [56]byte
}

func total(c []counter) (n uint64) {
	for i := range c {
		n += c[i].n.Load()
	}
	return n
}

// receive reads and counts until the stream ends.
func receive(fd int, c *counter) {
	runtime.LockOSThread()
	defer unix.Close(fd)
	b := make([]byte, chunk)
	for {
		n, err := again(func() (int, error) { return unix.Read(fd, b) })
		if n <= 0 || err != nil {
			return
		}
		c.n.Add(uint64(n))
	}
}

// tcpClient writes on all streams until the server ends them.
func tcpClient(s Spec, _ io.Writer) (Result, error) {
	fds := make([]int, s.Streams)
	var err error
	for i := range fds {
		if fds[i], err = dial(s, Port); err != nil {
			return Result{}, err
		}
	}
	var all sync.WaitGroup
	for _, fd := range fds {
		all.Go(func() { send(fd) })
	}
	all.Wait()
	return Result{}, nil
}

// send writes until the other end has closed.
func send(fd int) {
	runtime.LockOSThread()
	defer unix.Close(fd)
	b := make([]byte, chunk)
	for {
		if _, err := again(func() (int, error) { return unix.SendmsgN(fd, b, nil, nil, unix.MSG_NOSIGNAL) }); err != nil {
			return
		}
	}
}
