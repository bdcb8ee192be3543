package dataplane

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batchPackets is how many packets of one port a worker moves before it looks at
	// the others.
	batchPackets = 64
	batchPorts   = 64
	wakeSlot     = -1

	// minPatience and maxPatience bound how long a worker looks before it sleeps, ns.
	minPatience = 5_000
	maxPatience = 200_000
)

// A poller is a worker that waits for many ports at once (epoll(7), level-triggered).
type poller struct {
	*worker
	epoll, wake int
	// sources by slot. The engine replaces the list, under its lock.
	sources atomic.Pointer[[]*source]
	free    []int // slots, the engine's
	ports   int   // how many, the engine's
	stop    atomic.Bool
	// patience is how long, in nanoseconds, to look for packets before going to sleep.
	patience int64
	began    time.Time
	coarse   bool // the kernel has no epoll_pwait2(2)
}

func newPoller(e *Engine) (*poller, error) {
	p := &poller{worker: newWorker(e), epoll: -1, wake: -1, began: time.Now()}
	p.line = newLine(p)
	p.sources.Store(new([]*source))
	var err error
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if p.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(p.epoll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	if err := p.watch(p.wake, wakeSlot); err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

func (p *poller) watch(fd, slot int) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(slot)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &ev))
}

func (p *poller) release() {
	p.flows.release()
	unix.Close(p.epoll)
	unix.Close(p.wake)
}

// add gives the poller a port to read. The engine's lock is held. With an error, the
// source is on the list and is not polled.
func (p *poller) add(q Queue) (*source, error) {
	s := newSource(q, p.worker)
	s.poller = p
	list := *p.sources.Load()
	if n := len(p.free); n > 0 {
		s.slot, p.free = p.free[n-1], p.free[:n-1]
		list = append([]*source(nil), list...)
	} else {
		s.slot = len(list)
		// The worker sees the longer list only once it is stored.
		list = append(list, nil)
	}
	list[s.slot] = s
	p.sources.Store(&list)
	p.ports++
	if err := p.watch(q.Descriptor(), s.slot); err != nil {
		return s, fmt.Errorf("port %s: %w", q, err)
	}
	return s, nil
}

// forget stops the polling of a port. What epoll has told already may still be looked
// at, until no snapshot names the port any more.
func (p *poller) forget(s *source) {
	if q, ok := s.port.(Queue); ok {
		// It may be gone already; duplicates of the descriptor would keep it polled.
		_ = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, q.Descriptor(), nil)
	}
}

// drop takes a source off the list, when no worker can look at it any more.
func (p *poller) drop(s *source) {
	list := append([]*source(nil), *p.sources.Load()...)
	list[s.slot] = nil
	p.sources.Store(&list)
	p.free = append(p.free, s.slot)
	p.ports--
}

// end makes the loop return.
func (p *poller) end() {
	p.stop.Store(true)
	p.wakeUp()
}

// loop polls until the poller is ended.
func (p *poller) loop() {
	runtime.LockOSThread() // a thread of its own keeps its caches warm
	beShort()
	// Timers would be late by 50 µs otherwise (prctl(2), PR_SET_TIMERSLACK).
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	defer close(p.done)
	var events [batchPorts]unix.EpollEvent
	for !p.stop.Load() {
		n, err := p.wait(events[:])
		if err != nil {
			if err == unix.EINTR {
				continue
			}
			return // the descriptor is ours: it cannot happen
		}
		// Before the snapshot is taken into use: who wakes us may have published one.
		p.hear(events[:n])
		p.enter()
		if n > 0 {
			p.tally.count(countBatches, 1)
		}
		p.sendOn()
		list := *p.sources.Load()
		for i := range events[:n] {
			slot := int(events[i].Fd)
			if slot >= 0 && slot < len(list) && list[slot] != nil {
				p.drain(list[slot])
				p.sendOn()
			}
		}
		p.leave()
	}
}

// wait gives the ports that have packets, and sleeps while none has and nothing in the line
// is due.
//
// To be woken costs a worker more than to move a packet: on a virtual machine an idle
// processor needs tens of microseconds to come back. So a worker that has been woken
// soon after it went to sleep looks a little longer the next time, giving way to
// whoever else wants the processor, and one that looked in vain sleeps at once. A lab
// without traffic costs nothing.
func (p *poller) wait(events []unix.EpollEvent) (int, error) {
	due := p.line.next.Load()
	if p.patience > 0 {
		for start := p.clock(); ; {
			if n, err := p.look(events); n > 0 || err != nil {
				return n, err
			}
			if p.clock()-start > p.patience || due != never && p.e.cfg.Now() >= due {
				break
			}
			yield()
		}
	}
	slept := p.clock()
	n, err := p.sleep(events, due)
	if due != never && n == 0 {
		return n, err // it says nothing about packets to come
	}
	if p.clock()-slept <= maxPatience {
		p.patience = min(maxPatience, max(2*p.patience, minPatience))
	} else {
		p.patience /= 2
		if p.patience < minPatience {
			p.patience = 0
		}
	}
	return n, err
}

// sleep waits for packets until the time is due.
func (p *poller) sleep(events []unix.EpollEvent, due int64) (int, error) {
	if due == never {
		return unix.EpollWait(p.epoll, events, -1)
	}
	left := due - p.e.cfg.Now()
	if left <= 0 {
		return p.look(events)
	}
	if !p.coarse {
		at := unix.NsecToTimespec(left)
		n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epoll),
			uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), uintptr(unsafe.Pointer(&at)), 0, 0)
		if errno != unix.ENOSYS {
			return int(n), errnoErr(errno)
		}
		p.coarse = true
	}
	// Before Linux 5.11 a wait is one of whole milliseconds: the rest of it is looked through.
	if left >= int64(time.Millisecond) {
		return unix.EpollWait(p.epoll, events, int(left/int64(time.Millisecond)))
	}
	yield()
	return p.look(events)
}

func errnoErr(e unix.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

// look is wait without waiting.
func (p *poller) look(events []unix.EpollEvent) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// sliceNS is the slice that a worker asks of the scheduler, in nanoseconds: short, so that
// it has its turn soon after it wakes and does not wait for a program's whole slice.
const sliceNS = 100_000

// beShort asks for it. Before Linux 6.12 there is no such thing, and nothing is lost.
func beShort() {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL {
		return // somebody has seen to it that it is otherwise
	}
	attr.Runtime = sliceNS
	_ = unix.SchedSetAttr(0, attr, 0)
}

// yield lets another thread have the processor, if one waits for it.
func yield() { _, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

// clock is monotonic, in nanoseconds, and costs no system call.
func (p *poller) clock() int64 { return int64(time.Since(p.began)) }

// drain reads the packets that wait at a port, a batch of them at the most.
//
// Where the last time there was no more than one, the second read is left out every
// other time: epoll tells if there is more.
func (r *worker) drain(s *source) {
	if !r.ownerOf(s).named {
		return // no longer named: about to be closed
	}
	at := s.features.start()
	n := 0
	for ; n < batchPackets; n++ {
		if n == 1 && !s.busy {
			break
		}
		size, err := s.port.Read(r.buf[at:])
		if err == ErrAgain {
			break
		}
		if err = s.check(size, err); err != nil {
			r.e.sourceEnded(s, err)
			break
		}
		r.burst = n > 0
		r.receive(s, size)
	}
	r.tally.count(countReads, uint64(n))
	s.busy = n > 1 || n == 1 && !s.busy
}
