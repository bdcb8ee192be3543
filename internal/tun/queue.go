package tun

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Queue is a descriptor of a queue that somebody else may have a duplicate of. It is
// read and written with plain system calls that never block: the runtime's poller and
// the lock in an os.File would cost more than the packet does.
//
// Read, Write and Descriptor may not be called at the same time as Close.
type Queue struct {
	name     string
	features Features
	fd       int
	once     sync.Once
	err      error // of Close
}

// NewQueue takes f over, which is closed. The queue is called name in errors.
func NewQueue(f *os.File, name string) (*Queue, error) {
	defer f.Close()
	raw, err := f.SyscallConn() // Fd() would make the description blocking, for its other holders too
	if err != nil {
		return nil, fmt.Errorf("queue %s: %w", name, err)
	}
	fd := -1
	var failed error
	err = raw.Control(func(d uintptr) { fd, failed = unix.FcntlInt(d, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("queue %s: %w", name, err)
	}
	q := &Queue{name: name, fd: fd}
	if q.features, err = featuresOf(fd); err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("queue %s: %w", name, err)
	}
	return q, nil
}

// Features are those of the queue.
func (q *Queue) Features() Features { return q.features }

// Descriptor can be polled. It is -1 after Close.
func (q *Queue) Descriptor() int { return q.fd }

func (q *Queue) String() string { return q.name }

// Read reads one packet with what Features says comes before it. The error is
// unix.EAGAIN when none is there.
func (q *Queue) Read(b []byte) (int, error) {
	for {
		n, errno := rawIO(unix.SYS_READ, q.fd, b)
		switch errno {
		case 0:
			if n == 0 {
				return 0, io.EOF
			}
			return n, nil
		case unix.EAGAIN:
			return 0, again
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// Write writes one packet with what Features says comes before it.
func (q *Queue) Write(b []byte) (int, error) {
	for {
		n, errno := rawIO(unix.SYS_WRITE, q.fd, b)
		switch errno {
		case 0:
			return n, nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// Close closes this descriptor; duplicates stay open. It may be called again.
func (q *Queue) Close() error {
	q.once.Do(func() {
		q.err = unix.Close(q.fd)
		q.fd = -1
	})
	return q.err
}

// again is made once: a conversion for each empty read would allocate.
var again error = unix.EAGAIN
