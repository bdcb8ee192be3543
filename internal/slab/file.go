package slab

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	magic      = 0x62616c5363707631 // "1vpcSlab" in little-endian memory order
	headerSize = 4096
)

// header is the first page of the file. Magic is stored last, so a file killed
// while it was made still begins with zero and is made again.
type header struct {
	Magic      uint64 // atomic
	Layout     uint32
	RecordSize uint32
	Shape      uint64   // fingerprint of the record type
	Boot       [40]byte // text of /proc/sys/kernel/random/boot_id
	Ready      uint32   // atomic; slots with space allocated under them
}

// openFile locks, checks or makes, and maps the file. A file it cannot read is
// renamed, and the error is a *SetAside.
func (s *Slab[T]) openFile(layout uint32) (err error) {
	if s.file, err = openLocked(s.path); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			if s.mapping != nil {
				err = errors.Join(err, unix.Munmap(s.mapping))
			}
			s.file.Close()
		}
	}()
	want := header{
		Magic:      magic,
		Layout:     layout,
		RecordSize: uint32(unsafe.Sizeof(slot[T]{})),
		Shape:      shape[T](),
		Boot:       bootID(),
	}
	size, fresh, reason, err := s.inspect(&want)
	if err != nil {
		return err
	}
	if reason != "" {
		return s.setAside(reason)
	}
	size = max(size, headerSize+int64(s.capacity)*int64(want.RecordSize))
	if err := s.mapFile(size, fresh); err != nil {
		return err
	}
	if fresh {
		m := want.Magic
		want.Magic = 0
		*s.head = want
		atomic.StoreUint64(&s.head.Magic, m)
	}
	return s.claim()
}

// openLocked opens the file and takes the lock on it, which goes away with the
// process. The file may have been renamed between the two; then it is not ours.
func openLocked(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	}
	if err == nil && !sameFile(f, path) {
		err = ErrLocked
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func sameFile(f *os.File, path string) bool {
	a, errA := f.Stat()
	b, errB := os.Stat(path)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// inspect reads the file's header through the file, not the mapping, and tells
// why the file cannot be used, "" when it can. fresh is a file without content.
func (s *Slab[T]) inspect(want *header) (size int64, fresh bool, reason string, err error) {
	st, err := s.file.Stat()
	if err != nil {
		return 0, false, "", err
	}
	if !st.Mode().IsRegular() {
		return 0, false, "", errors.New("not a regular file")
	}
	size = st.Size()
	var page [headerSize]byte
	n, err := s.file.ReadAt(page[:], 0)
	if n < headerSize {
		if allZero(page[:n]) {
			return 0, true, "", nil
		}
		return size, false, fmt.Sprintf("file of %d bytes is no slab", size), nil
	}
	if err != nil {
		return 0, false, "", err
	}
	got := *(*header)(unsafe.Pointer(&page))
	if got.Magic == 0 && got.Ready == 0 {
		// No record was ever in it: the maker died before the magic.
		return size, true, "", nil
	}
	return size, false, mismatch(&got, want, size), nil
}

// mismatch says what is different about a file that cannot be used.
func mismatch(got, want *header, size int64) string {
	switch {
	case got.Magic != want.Magic:
		return "not a slab"
	case got.Layout != want.Layout:
		return fmt.Sprintf("layout version %d, not %d", got.Layout, want.Layout)
	case got.RecordSize != want.RecordSize:
		return fmt.Sprintf("records of %d bytes, not %d", got.RecordSize, want.RecordSize)
	case got.Shape != want.Shape:
		return "records with other fields"
	case got.Boot != want.Boot:
		return "written before the machine was started"
	case headerSize+int64(got.Ready)*int64(got.RecordSize) > size:
		return fmt.Sprintf("cut to %d bytes, but has %d records of %d", size, got.Ready, got.RecordSize)
	}
	return ""
}

func (s *Slab[T]) setAside(reason string) error {
	to := s.path + ".aside"
	if err := os.Rename(s.path, to); err != nil {
		return fmt.Errorf("%s: cannot set it aside: %w", reason, err)
	}
	return &SetAside{Path: s.path, MovedTo: to, Reason: reason}
}

// mapFile makes the file size bytes long, which allocates nothing but the
// header's page, and maps it.
func (s *Slab[T]) mapFile(size int64, fresh bool) error {
	if err := s.file.Truncate(size); err != nil {
		return err
	}
	if fresh {
		if err := reserve(s.file, 0, headerSize, true); err != nil {
			return err
		}
	}
	m, err := unix.Mmap(int(s.file.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map %d bytes: %w", size, err)
	}
	s.mapping = m
	s.head = (*header)(unsafe.Pointer(unsafe.SliceData(m)))
	n := (size - headerSize) / int64(unsafe.Sizeof(slot[T]{}))
	s.slots = unsafe.Slice((*slot[T])(unsafe.Pointer(&m[headerSize])), n)
	return nil
}

// claim takes over the part of the file that has been allocated. It is
// allocated again, which costs nothing when it is there and gives an error
// here rather than a SIGBUS later when a copy of the file lost it.
func (s *Slab[T]) claim() error {
	ready := atomic.LoadUint32(&s.head.Ready)
	if ready > 0 {
		if err := reserve(s.file, 0, s.offset(ready), false); err != nil {
			return err
		}
	}
	s.ready.Store(ready)
	return nil
}

func (s *Slab[T]) offset(i uint32) int64 {
	return headerSize + int64(i)*int64(unsafe.Sizeof(slot[T]{}))
}

// allocate gets space for the slots from (inclusive) to (exclusive), which
// have never been used.
func (s *Slab[T]) allocate(from, to uint32) error {
	if s.file == nil {
		return nil
	}
	err := reserve(s.file, s.offset(from), s.offset(to)-s.offset(from), true)
	if errors.Is(err, ErrNoSpace) {
		return ErrNoSpace // bare: it may be returned for every packet
	}
	return err
}

// reserve makes the file system promise the space. Where it knows no fallocate,
// zeros are written instead, if the range is unused; else it is left alone,
// because they were written when it was first reserved.
func reserve(f *os.File, offset, length int64, unused bool) error {
	err := unix.EINTR
	for errors.Is(err, unix.EINTR) {
		err = errno(unix.Fallocate(int(f.Fd()), 0, offset, length))
	}
	switch {
	case err == 0:
		return nil
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w (%d bytes)", ErrNoSpace, length)
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
		if !unused {
			return nil
		}
		return writeZeros(f, offset, length)
	}
	return fmt.Errorf("allocate %d bytes: %w", length, err)
}

func writeZeros(f *os.File, offset, length int64) error {
	if _, err := f.WriteAt(make([]byte, length), offset); err != nil {
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
			return fmt.Errorf("%w (%d bytes)", ErrNoSpace, length)
		}
		return err
	}
	return nil
}

// errno gives the number of a system call's error, 0 for none.
func errno(err error) unix.Errno {
	var e unix.Errno
	errors.As(err, &e)
	return e
}

// bootID names this run of the kernel. Where it cannot be read it is empty,
// and files of an earlier run cannot be told from those of this one.
func bootID() (id [40]byte) {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	copy(id[:], strings.TrimSpace(string(b)))
	return id
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
