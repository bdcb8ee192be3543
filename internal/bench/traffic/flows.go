package traffic

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Flows are told apart by their ports: so many source ports to each destination port, from Port on, in turn.
const (
	firstSource = 1024
	sources     = 1<<16 - firstSource
)

// MaxFlows is how many there can be: one destination port is left for the two ends to talk by.
const MaxFlows = sources * Ports

// control is the port by which the ends talk: a datagram there has passed the same queues as those before it.
const control = Port + Ports

// What is said at the control port.
const (
	askSync  = 's' // is answered: all before it has arrived or is lost
	askBegin = 'b' // ends the set-up; the answer has the number of flows that arrived in it
)

// window is how many datagrams of the set-up may be under way: fewer than any queue on the way holds.
const window = 128

// setUpShare of the flows has to arrive before anything is measured.
const setUpShare = 0.99

// destinations is how many destination ports the flows need.
func destinations(flows int) int { return (flows + sources - 1) / sources }

// ports of the flow i: all sources of one destination before the next one, so that the receiver reads many from one socket.
func ports(i int) (source, destination uint16) {
	return uint16(firstSource + i%sources), uint16(Port + i/sources)
}

// flowsServer counts the datagrams of all flows, first those of the set-up, then, from askBegin on, those of the measured time.
func flowsServer(s Spec, w io.Writer) (Result, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return Result{}, os.NewSyscallError("epoll_create", err)
	}
	talk := -1
	for i := range destinations(s.Flows) + 1 {
		port := Port + i
		if i == destinations(s.Flows) {
			port = control
		}
		fd, err := datagrams(port, unix.SOCK_NONBLOCK)
		if err == nil {
			err = os.NewSyscallError("epoll_ctl", unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}))
		}
		if err != nil {
			return Result{}, err
		}
		talk = fd
	}
	fmt.Fprintln(w, Ready)
	return countFlows(s, ep, talk)
}

// datagrams is a socket at the port.
func datagrams(port, flags int) (int, error) {
	fd, err := socket(unix.SOCK_DGRAM | flags)
	if err != nil {
		return -1, err
	}
	err = errors.Join(set(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer),
		os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrInet4{Port: port})))
	return fd, err
}

func countFlows(s Spec, ep, talk int) (r Result, err error) {
	b := make([]byte, 64<<10)
	events := make([]unix.EpollEvent, Ports+1)
	var start time.Time
	var work float64
	for {
		n, err := again(func() (int, error) { return unix.EpollWait(ep, events, 20_000) })
		if err != nil || n == 0 {
			return r, fmt.Errorf("datagrams stopped: %w", err)
		}
		for _, e := range events[:n] {
			if int(e.Fd) != talk {
				drain(int(e.Fd), b, &r)
				continue
			}
			arrived := r.SetUp
			if start.IsZero() {
				arrived = r.Count
			}
			begun, err := answerControl(talk, b, arrived)
			if err != nil {
				return r, err
			}
			if begun && start.IsZero() { // else the answer was lost, and it asks again
				r, start, work = Result{SetUp: arrived}, time.Now(), busy()
			}
		}
		if passed := time.Since(start); !start.IsZero() && passed >= s.Time {
			r.Seconds, r.Busy = passed.Seconds(), busy()-work
			return r, nil
		}
	}
}

// drain counts what a socket holds, but not for ever.
func drain(fd int, b []byte, r *Result) {
	for range 4 * window {
		n, err := again(func() (int, error) { return unix.Read(fd, b) })
		if err != nil {
			return
		}
		r.Count++
		r.Bytes += uint64(n)
	}
}

// answerControl answers what the client asks, and tells whether it was askBegin.
func answerControl(fd int, b []byte, count uint64) (bool, error) {
	n, from, err := unix.Recvfrom(fd, b, 0)
	if err != nil || n == 0 {
		return false, nil // looked at too early
	}
	out := binary.BigEndian.AppendUint64([]byte{b[0]}, count)
	return b[0] == askBegin, os.NewSyscallError("sendto", unix.Sendto(fd, out, 0, from))
}

// flowsClient sets every flow up, no faster than the receiver can follow, then sends on all of them in turn as fast as it can. It
// writes headers itself: a million sockets would measure the sender.
func flowsClient(s Spec, _ io.Writer) (Result, error) {
	talk, err := socket(unix.SOCK_DGRAM)
	if err != nil {
		return Result{}, err
	}
	to := &unix.SockaddrInet4{Addr: s.Address.As4(), Port: control}
	if err := errors.Join(os.NewSyscallError("connect", unix.Connect(talk, to)), wait(talk, 100*time.Millisecond)); err != nil {
		return Result{}, err
	}
	name, err := unix.Getsockname(talk)
	self, ok := name.(*unix.SockaddrInet4)
	if err != nil || !ok {
		return Result{}, os.NewSyscallError("getsockname", err)
	}
	raw, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return Result{}, os.NewSyscallError("socket", err)
	}
	if err := unix.Connect(raw, &unix.SockaddrInet4{Addr: s.Address.As4()}); err != nil {
		return Result{}, os.NewSyscallError("connect", err)
	}
	runtime.LockOSThread()
	f := &flood{fd: raw, talk: talk, packet: datagram(netip.AddrFrom4(self.Addr), s.Address, s.Size)}
	if err := f.setUp(s.Flows); err != nil {
		return Result{}, err
	}
	return f.send(s)
}

// flood sends the datagrams of many flows.
type flood struct {
	fd, talk int
	packet   []byte
	lost     uint64
}

// datagram is an IPv4 packet with a UDP header (RFC 791, RFC 768). The kernel fills in the IP checksum and the identification
// (raw(7)); the UDP checksum is left out, as RFC 768 allows.
func datagram(from, to netip.Addr, size int) []byte {
	b := make([]byte, 28+size)
	b[0] = 0x45
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[8], b[9] = 64, unix.IPPROTO_UDP
	copy(b[12:], from.AsSlice())
	copy(b[16:], to.AsSlice())
	binary.BigEndian.PutUint16(b[24:], uint16(8+size))
	return b
}

// one sends a datagram of the flow i.
func (f *flood) one(i int) error {
	source, destination := ports(i)
	binary.BigEndian.PutUint16(f.packet[20:], source)
	binary.BigEndian.PutUint16(f.packet[22:], destination)
	for {
		switch err := unix.Send(f.fd, f.packet, unix.MSG_NOSIGNAL); err {
		case nil:
			return nil
		case unix.EINTR:
		case unix.ENOBUFS, unix.EAGAIN, unix.ECONNREFUSED:
			f.lost++
			return nil
		default:
			return os.NewSyscallError("send", err)
		}
	}
}

// setUp sends one datagram of each flow. Everything has arrived or is lost when it returns.
func (f *flood) setUp(flows int) error {
	for i := range flows {
		if err := f.one(i); err != nil {
			return err
		}
		if i%window == window-1 {
			if _, err := f.ask(askSync); err != nil {
				return fmt.Errorf("flow %d: %w", i, err)
			}
		}
	}
	arrived, err := f.ask(askBegin)
	if err == nil && float64(arrived) < setUpShare*float64(flows) {
		err = fmt.Errorf("%d of %d flows were set up", arrived, flows)
	}
	return err
}

// ask asks the server until it answers. An answer to an earlier question of the same kind will do.
func (f *flood) ask(what byte) (uint64, error) {
	b := make([]byte, 9)
	for range 100 {
		if _, err := unix.Write(f.talk, []byte{what}); err != nil && err != unix.ECONNREFUSED {
			return 0, os.NewSyscallError("write", err)
		}
		for {
			n, err := again(func() (int, error) { return unix.Read(f.talk, b) })
			if err != nil {
				break // late: ask again
			}
			if n == 9 && b[0] == what {
				return binary.BigEndian.Uint64(b[1:]), nil
			}
		}
	}
	return 0, errors.New("the server does not answer")
}

// send goes on from the first flow, in turn, until the server must have counted enough.
func (f *flood) send(s Spec) (r Result, err error) {
	f.lost = 0
	for start := time.Now(); ; {
		for range window {
			if err := f.one(int(r.Sent % uint64(s.Flows))); err != nil {
				return r, err
			}
			r.Sent++
		}
		if passed := time.Since(start); passed >= s.Time+warmUp {
			r.SentFor, r.Lost = passed.Seconds(), f.lost
			r.Sent -= r.Lost
			return r, nil
		}
	}
}
