package forward

import (
	"io"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxPacket is a super-packet with its header.
const maxPacket = headerLen + 64<<10

// budget is how many packets are taken from one device before the other has its turn.
const budget = 64

// Bare copies packets between the two queues and looks at nothing but the port that they came in by. It returns when a device is gone.
// One thread serves both ways and sleeps as soon as nothing is there: it has none of the patience of vpcemu's workers.
func Bare(a, b int) error {
	runtime.LockOSThread()
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create", err)
	}
	defer unix.Close(ep)
	for _, fd := range []int{a, b} {
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			return os.NewSyscallError("epoll_ctl", err)
		}
	}
	buffer := make([]byte, maxPacket)
	events := make([]unix.EpollEvent, 2)
	for {
		n, err := unix.EpollWait(ep, events, -1)
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("epoll_wait", err)
		}
		for _, e := range events[:max(n, 0)] {
			from, to := int(e.Fd), a
			if from == a {
				to = b
			}
			if err := move(from, to, buffer); err != nil {
				return err
			}
		}
	}
}

// move takes what is there from one device to the other. Neither call blocks, so Go's scheduler need not know of them.
func move(from, to int, buffer []byte) error {
	p := uintptr(unsafe.Pointer(unsafe.SliceData(buffer)))
	for range budget {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(from), p, uintptr(len(buffer)))
		switch errno {
		case 0:
			if n == 0 {
				return io.EOF
			}
		case unix.EAGAIN:
			return nil
		case unix.EINTR:
			continue
		default:
			return os.NewSyscallError("read", errno)
		}
		// A packet that the other end does not take is dropped, as on any wire.
		_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(to), p, n)
	}
	runtime.KeepAlive(buffer)
	return nil
}
