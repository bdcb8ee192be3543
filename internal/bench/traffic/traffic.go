// Package traffic is the load of the benchmark: one program for each end of a kind of work, the same for every contestant. Sockets are
// blocking and every loop has an operating-system thread of its own, so that neither Go's poller nor its scheduler is measured.
package traffic

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Kinds of work.
const (
	TCP = "tcp" // Streams connections, the client writes as fast as it can or may
	UDP = "udp" // datagrams of Size bytes, unthrottled
	RR  = "rr"  // one byte there and one back on one connection, the next one at once or at its time
	CRR = "crr" // connect, one byte there and one back, close
	// Flows is UDP with datagrams of Flows pairs of ports in turn, all set up before anything is measured.
	Flows = "flows"
)

// Port is the first destination port; CRR and flows use Ports of them.
const (
	Port  = 5001
	Ports = 16
)

// Ready is the line that a server prints once clients may start.
const Ready = "ready"

// warmUp passes before anything is counted: slow start, caches, the CPU's frequency.
const warmUp = 200 * time.Millisecond

// grace is what an end gets beyond the measured time, and flowTime more for each flow, before it gives up.
const (
	grace    = 20 * time.Second
	flowTime = 100 * time.Microsecond
)

// Spec says what to send. Client and server get the same.
type Spec struct {
	Kind    string
	Address netip.Addr    // the server's, as the client sees it
	Streams int           // TCP connections
	Size    int           // payload of a datagram in bytes
	MSS     int           // TCP_MAXSEG in bytes, 0 for what the path gives
	Control string        // TCP_CONGESTION, "" for the machine's default
	Time    time.Duration // what is measured, without warm-up
	Pace    uint64        // of each TCP connection, in bytes a second; 0: as fast as it goes
	Every   time.Duration // from one round trip's beginning to the next one's; 0: at once
	Flows   int           // how many pairs of ports
	CPU     int           // to stay on, -1 for any
}

// Result is what one end measured. Ends leave at 0 what they do not see.
type Result struct {
	Seconds float64 // measured time
	Bytes   uint64  // received
	Count   uint64  // datagrams received, transactions done
	Sent    uint64  // datagrams sent in all
	SentFor float64 // seconds in which they were sent
	Lost    uint64  // datagrams that the sender's own socket refused
	SetUp   uint64  // flows that arrived before the measured time
	P50     float64 // of the round trips, in microseconds
	P99     float64
	P999    float64
	Peer    netip.Addr // the client of TCP, as the server sees it
	Busy    float64    // CPU seconds that the machine was busy in the measured time
}

// Main runs one end, "server" or "client", and writes its Result to w as JSON.
func Main(end string, s Spec, w io.Writer) error {
	runtime.GOMAXPROCS(s.Streams + 4)
	debug.SetGCPercent(-1) // nothing is allocated while it is measured
	if s.CPU >= 0 {
		var set unix.CPUSet
		set.Set(s.CPU)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("CPU %d: %w", s.CPU, err)
		}
	}
	runtime.LockOSThread()
	// A peer that is gone must not keep this process.
	limit := s.Time + grace + time.Duration(s.Flows)*flowTime
	time.AfterFunc(limit, func() {
		fmt.Fprintf(os.Stderr, "%s %s: not done after %s\n", s.Kind, end, limit)
		os.Exit(1)
	})
	ends := map[string]func(Spec, io.Writer) (Result, error){
		"tcp server": tcpServer, "tcp client": tcpClient,
		"udp server": udpServer, "udp client": udpClient,
		"rr server": rrServer, "rr client": rrClient,
		"crr server": crrServer, "crr client": crrClient,
		"flows server": flowsServer, "flows client": flowsClient,
	}
	run := ends[s.Kind+" "+end]
	if run == nil {
		return fmt.Errorf("there is no %s %s", s.Kind, end)
	}
	r, err := run(s, w)
	if err != nil {
		return fmt.Errorf("%s %s: %w", s.Kind, end, err)
	}
	return json.NewEncoder(w).Encode(r)
}

// socket opens a blocking socket.
func socket(typ int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, typ|unix.SOCK_CLOEXEC, 0)
	return fd, os.NewSyscallError("socket", err)
}

func set(fd, level, option, value int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, option, value))
}

// listen opens a listening socket at the port.
func listen(port int, s Spec) (int, error) {
	fd, err := socket(unix.SOCK_STREAM)
	if err != nil {
		return -1, err
	}
	if err := errors.Join(set(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), tune(fd, s)); err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port}); err != nil {
		return -1, os.NewSyscallError("bind", err)
	}
	return fd, os.NewSyscallError("listen", unix.Listen(fd, 1024))
}

// tune sets the maximum segment size and the congestion control that the Spec asks for.
func tune(fd int, s Spec) error {
	if s.MSS != 0 {
		if err := set(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, s.MSS); err != nil {
			return err
		}
	}
	if s.Control == "" {
		return nil
	}
	if err := unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, s.Control); err != nil {
		return fmt.Errorf("congestion control %s: %w", s.Control, err)
	}
	return nil
}

// dial connects to the server's port.
func dial(s Spec, port int) (int, error) {
	fd, err := socket(unix.SOCK_STREAM)
	if err != nil {
		return -1, err
	}
	if err := errors.Join(tune(fd, s), set(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)); err != nil {
		return -1, err
	}
	if s.Pace > 0 {
		if err := unix.SetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, s.Pace); err != nil {
			return -1, os.NewSyscallError("setsockopt", err)
		}
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: s.Address.As4(), Port: port}); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("connect", err)
	}
	return fd, nil
}

// again repeats a call that a signal interrupted.
func again(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}

// busy is how many CPU seconds the machine has worked since it started (proc_stat(5): all but idle and iowait).
func busy() float64 {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return math.NaN()
	}
	line, _, _ := strings.Cut(string(text), "\n")
	sum := 0.0
	for i, f := range strings.Fields(line) {
		// cpu user nice system idle iowait irq softirq steal guest guest_nice; the guests' are in user's.
		if i == 0 || i == 4 || i == 5 || i > 8 {
			continue
		}
		n, _ := strconv.ParseFloat(f, 64)
		sum += n
	}
	return sum / 100
}
