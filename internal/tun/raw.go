package tun

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawIO reads or writes without telling Go's scheduler, which need not know of a call
// that does not block.
func rawIO(trap uintptr, fd int, b []byte) (int, unix.Errno) {
	if len(b) == 0 {
		return 0, unix.EINVAL
	}
	n, _, errno := unix.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}
