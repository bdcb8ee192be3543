// Package slab keeps fixed-size records in shared memory so that they outlive
// the process: a daemon that is killed at any instant leaves whole records
// behind, and the next one finds every record that was committed.
//
// A Slab is a file mapped MAP_SHARED: one header page, then one slot a record.
// What the process has stored in the mapping when it dies stays in the page
// cache, so nothing is flushed and nothing is journalled; the only danger is a
// record half written. Each slot therefore has a commit word, which is stored
// last and atomically: a slot whose commit word is not set is free, whatever
// its other bytes are.
//
// The slab finds nothing by itself. The caller keeps an index in ordinary
// memory (see Index) and rebuilds it after Open from the records in All.
//
// The file is sparse. Space is allocated in steps, before the first store into
// it, so a file system without room gives an error and not a SIGBUS, and room
// for a million records costs nothing until they exist.
package slab

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

var (
	// ErrFull: every record of the capacity is taken.
	ErrFull = errors.New("slab: all records are taken")
	// ErrNoSpace: the file system under the slab has no room for more records.
	ErrNoSpace = errors.New("slab: no space left on the file system")
	// ErrClosed: the slab was closed.
	ErrClosed = errors.New("slab: closed")
	// ErrLocked: another process has the file open.
	ErrLocked = errors.New("another process has it open")
	// ErrSetAside: see SetAside. Tested with errors.Is.
	ErrSetAside = errors.New("set aside")
)

// SetAside is the error of Open for a file that this program cannot read: other
// records, another layout version, another boot (the times in it mean nothing),
// or no slab at all. The file has been renamed to MovedTo, over an earlier one
// of that name; calling Open again starts an empty one.
type SetAside struct {
	Path, MovedTo, Reason string
}

func (e *SetAside) Error() string {
	return fmt.Sprintf("slab %s: %s: set aside as %s", e.Path, e.Reason, e.MovedTo)
}

func (e *SetAside) Unwrap() error { return ErrSetAside }

// SlotOverhead is what a slot takes beyond its record, in bytes: 8 in the file, and 4 of
// this process's memory, which costs nothing until the slot is used.
const SlotOverhead = 12

// None is the index of no record.
const None = ^uint32(0)

// A commit word is this mark in the upper half and the caller's tag in the
// lower; anything else is a free slot.
const (
	committed = 0xC0DE0000
	markMask  = 0xFFFF0000
	tagMask   = 0x0000FFFF
)

// growBytes is the step in which space is allocated: small enough to be done
// between two packets, large enough to be rare.
const growBytes = 64 << 10

type slot[T any] struct {
	commit uint32 // atomic
	epoch  uint32 // atomic; beside the commit word, as they are read together
	rec    T
}

// Slab is a store of records of type T, which may hold no pointers. Insert and
// Delete may be called concurrently; the content of a record is guarded by
// whatever lock the caller has for it (see Tag).
//
// Lock order: the caller's lock for a record, then mu.
type Slab[T any] struct {
	path     string
	file     *os.File // nil for anonymous memory
	mapping  []byte
	head     *header
	slots    []slot[T]
	capacity uint32

	ready atomic.Uint32 // slots with space under them; only ever grows
	count atomic.Int64

	mu     sync.Mutex
	free   uint32   // head of the list of free slots below ready, or None
	next   []uint32 // of a free slot: the next free one, or None
	closed bool
}

// Open opens or creates the slab in the file at path; "" means memory of this
// process alone. layout is the version of the meaning of T's fields, to be
// raised when it changes; a change of the fields themselves is noticed anyway.
// capacity is in records. A file made for fewer is extended; one made for more
// keeps what it holds.
//
// Errors: *SetAside, ErrLocked, ErrNoSpace, a T that holds pointers, and those
// of the file system.
func Open[T any](path string, layout uint32, capacity int) (_ *Slab[T], err error) {
	name := path
	if name == "" {
		name = "in memory"
	}
	if err := pointerFree(reflect.TypeFor[T]()); err != nil {
		return nil, fmt.Errorf("slab %s: record: %w", name, err)
	}
	if capacity < 1 || uint64(capacity) >= uint64(None) {
		return nil, fmt.Errorf("slab %s: capacity %d is not between 1 and %d", name, capacity, None-1)
	}
	s := &Slab[T]{path: path, capacity: uint32(capacity), free: None}
	if path == "" {
		s.head = new(header)
		if s.slots, err = NewArray[slot[T]](capacity); err == nil {
			s.next, err = NewArray[uint32](capacity)
		}
		if err != nil {
			FreeArray(s.slots)
			return nil, fmt.Errorf("slab %s: %w", name, err)
		}
		return s, nil
	}
	if err := s.openFile(layout); err != nil {
		if aside := (*SetAside)(nil); errors.As(err, &aside) {
			return nil, err
		}
		return nil, fmt.Errorf("slab %s: %w", name, err)
	}
	if s.next, err = NewArray[uint32](len(s.slots)); err != nil {
		err = errors.Join(err, unix.Munmap(s.mapping), s.file.Close())
		return nil, fmt.Errorf("slab %s: %w", name, err)
	}
	s.scan()
	return s, nil
}

// scan counts the committed records and puts the other slots on the free list,
// lowest index first, so that a slab that was large once draws together.
func (s *Slab[T]) scan() {
	last := &s.free
	for i := range s.ready.Load() {
		sl := &s.slots[i]
		if sl.commit&markMask == committed {
			s.count.Add(1)
			s.capacity = max(s.capacity, i+1)
			continue
		}
		sl.commit = 0
		*last = i
		last = &s.next[i]
	}
	*last = None
}

// All gives every committed record with its index, in order. It is for the
// caller that has just opened the slab and shares it with nobody yet; it may
// call SetTag and Delete on the way.
func (s *Slab[T]) All() iter.Seq2[uint32, *T] {
	return func(yield func(uint32, *T) bool) {
		for i := range s.Extent() {
			if _, ok := s.Tag(i); ok && !yield(i, s.At(i)) {
				return
			}
		}
	}
}

// SetTag gives committed record i a new tag: tags made from a hash whose seed
// differs in every process are worth nothing after Open.
func (s *Slab[T]) SetTag(i uint32, tag uint16) {
	atomic.StoreUint32(&s.slots[i].commit, committed|uint32(tag))
}

// Insert stores a copy of *r and commits it. The tag is a small number that
// can be read without the lock that guards the record, to find that lock; the
// caller holds the lock already. Errors: ErrFull, ErrNoSpace, ErrClosed.
func (s *Slab[T]) Insert(r *T, tag uint16) (uint32, error) {
	i, err := s.take()
	if err != nil {
		return None, err
	}
	sl := &s.slots[i]
	sl.rec = *r
	if atomic.LoadUint32(&sl.epoch) == 0 {
		atomic.StoreUint32(&sl.epoch, 1)
	}
	atomic.StoreUint32(&sl.commit, committed|uint32(tag))
	return i, nil
}

// take removes a slot from the free list.
func (s *Slab[T]) take() (uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return None, ErrClosed
	}
	if s.count.Load() >= int64(s.capacity) {
		return None, ErrFull
	}
	if s.free == None {
		if err := s.grow(); err != nil {
			return None, err
		}
	}
	i := s.free
	s.free = s.next[i]
	s.count.Add(1)
	return i, nil
}

// grow puts the next slots on the free list, after allocating space for them.
func (s *Slab[T]) grow() error {
	from := s.ready.Load()
	to := min(from+s.step(), uint32(len(s.slots)))
	if from == to {
		return ErrFull
	}
	if err := s.allocate(from, to); err != nil {
		return err
	}
	for i := from; i < to; i++ {
		s.next[i] = i + 1
	}
	s.next[to-1] = s.free
	s.free = from
	// The header's copy comes after the space, so that the next process never
	// reads a hole: a page fault there would allocate, or fail with SIGBUS.
	atomic.StoreUint32(&s.head.Ready, to)
	s.ready.Store(to)
	return nil
}

// step is the number of slots of one growth.
func (s *Slab[T]) step() uint32 {
	return uint32(max(1, growBytes/unsafe.Sizeof(slot[T]{})))
}

// Delete frees record i, which must be committed. The caller holds the lock
// that guards it.
func (s *Slab[T]) Delete(i uint32) {
	sl := &s.slots[i]
	atomic.StoreUint32(&sl.commit, 0)
	if atomic.AddUint32(&sl.epoch, 1) == 0 {
		atomic.StoreUint32(&sl.epoch, 1)
	}
	s.mu.Lock()
	s.next[i] = s.free
	s.free = i
	s.count.Add(-1)
	s.mu.Unlock()
}

// At gives record i for reading and changing in place under the caller's lock.
// A change of several fields can be torn by a kill; the caller orders its
// stores so that each prefix of them is a record that makes sense.
func (s *Slab[T]) At(i uint32) *T { return &s.slots[i].rec }

// Prefetch has the processor fetch record i, which is about to be used.
func (s *Slab[T]) Prefetch(i uint32) {
	p := unsafe.Pointer(&s.slots[i])
	Prefetch(p)
	Prefetch(unsafe.Add(p, unsafe.Sizeof(slot[T]{})-1))
}

// Tag tells whether record i is committed, and its tag. It needs no lock; the
// answer is stable only under the lock that the tag leads to, so the caller
// takes that and asks again.
func (s *Slab[T]) Tag(i uint32) (tag uint16, ok bool) {
	w := atomic.LoadUint32(&s.slots[i].commit)
	return uint16(w & tagMask), w&markMask == committed
}

// Epoch tells one record in slot i from the next: it changes when the record is deleted,
// and comes back only after 2^32 - 1 deletions of that slot. That of a record is never 0.
// It can be read without the lock that guards the record, and is stable only under it.
// It means nothing to another process.
func (s *Slab[T]) Epoch(i uint32) uint32 { return atomic.LoadUint32(&s.slots[i].epoch) }

// Is tells without a lock whether slot i still holds the record that had that epoch. It
// may be out of date at once. Epoch 0 names no record, and i may be any number.
func (s *Slab[T]) Is(i, epoch uint32) bool {
	if epoch == 0 || i >= s.Extent() {
		return false
	}
	_, ok := s.Tag(i)
	return ok && s.Epoch(i) == epoch
}

// Len is the number of records.
func (s *Slab[T]) Len() int { return int(s.count.Load()) }

// Cap is the number of records that fit: the capacity asked for at Open, or
// more when the file held records beyond it.
func (s *Slab[T]) Cap() int { return int(s.capacity) }

// Extent is one more than the highest index that can be committed now.
func (s *Slab[T]) Extent() uint32 { return s.ready.Load() }

// Close unmaps the file and keeps its records for the next Open. The caller
// has seen to it that nobody uses the slab any more.
func (s *Slab[T]) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	slots, next := s.slots, s.next
	s.slots, s.head, s.next = nil, nil, nil
	s.ready.Store(0)
	s.count.Store(0)
	FreeArray(next)
	if s.file == nil {
		FreeArray(slots)
		return nil
	}
	err := errors.Join(unix.Munmap(s.mapping), s.file.Close())
	s.mapping = nil
	if err != nil {
		return fmt.Errorf("slab %s: close: %w", s.path, err)
	}
	return nil
}
