package slab

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mapBytes is the size from which an array is a mapping of its own. Go's collector
// lets garbage grow to the size of what lives, and counts an array in full: room for
// millions of records that do not exist would have the process hold as much garbage.
// Smaller ones, such as those of most tests, are watched by the race detector.
const mapBytes = 1 << 20

// hugeBytes is the size from which huge pages (2 MiB) are worth their rounding.
const hugeBytes = 16 << 20

// NewArray makes n zeros, which cost nothing until they are used, outside Go's heap if
// they are many. T has no pointers. Large ones lie on huge pages where the kernel gives
// them to those who ask: in a table that is met at random, a page's address is found
// more slowly than its content.
func NewArray[T any](n int) ([]T, error) {
	size := n * int(unsafe.Sizeof(*new(T)))
	if size < mapBytes {
		return make([]T, n), nil
	}
	m, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes: %w", size, err)
	}
	if size >= hugeBytes {
		_ = unix.Madvise(m, unix.MADV_HUGEPAGE) // without them it is slower, not wrong
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(m))), n), nil
}

// FreeArray takes back what NewArray made, and nobody uses any more; nil is nothing.
func FreeArray[T any](a []T) {
	size := len(a) * int(unsafe.Sizeof(*new(T)))
	if size < mapBytes {
		return
	}
	// The only possible error is a range that is not mapped.
	_ = unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(a))), size))
}
