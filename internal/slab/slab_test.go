package slab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// rec is the record of these tests; whole tells a record that is all there.
type rec struct {
	A, B, C uint64
	Sum     uint64
}

func newRec(a uint64) rec {
	r := rec{A: a, B: a * 3, C: ^a}
	r.Sum = r.A + r.B ^ r.C
	return r
}

func (r *rec) whole() bool { return *r == newRec(r.A) }

func open(t *testing.T, path string, capacity int) *Slab[rec] {
	t.Helper()
	s, err := Open[rec](path, 1, capacity)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func file(t *testing.T) string { return filepath.Join(t.TempDir(), "slab") }

func insert(t *testing.T, s *Slab[rec], a uint64) uint32 {
	t.Helper()
	r := newRec(a)
	i, err := s.Insert(&r, uint16(a))
	if err != nil {
		t.Fatalf("insert %d: %v", a, err)
	}
	return i
}

func TestRecordsComeBackAfterClose(t *testing.T) {
	path := file(t)
	s := open(t, path, 100)
	keep, gone := insert(t, s, 7), insert(t, s, 8)
	s.Delete(gone)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path, 100)
	if s.Len() != 1 {
		t.Errorf("%d records, want 1", s.Len())
	}
	if tag, ok := s.Tag(keep); !ok || tag != 7 || *s.At(keep) != newRec(7) {
		t.Errorf("record %d: %+v, tag %d, committed %v", keep, *s.At(keep), tag, ok)
	}
	if _, ok := s.Tag(gone); ok {
		t.Errorf("record %d came back", gone)
	}
	if i := insert(t, s, 9); i != gone {
		t.Errorf("new record at %d, want the lowest free one, %d", i, gone)
	}
}

// TestAgainstMap compares the slab with a map over random insertions,
// deletions and restarts.
func TestAgainstMap(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(dir, "slab")
		os.Remove(path)
		capacity := rapid.IntRange(1, 40).Draw(rt, "capacity")
		s := open(t, path, capacity)
		defer func() { s.Close() }()
		model := map[uint32]uint64{}
		pick := func() uint32 {
			for i := range model {
				return i
			}
			return None
		}
		rt.Repeat(map[string]func(*rapid.T){
			"insert": func(rt *rapid.T) {
				a := rapid.Uint64().Draw(rt, "a")
				r := newRec(a)
				i, err := s.Insert(&r, uint16(a))
				if len(model) == capacity {
					if !errors.Is(err, ErrFull) {
						rt.Fatalf("insertion number %d of %d: %v", len(model)+1, capacity, err)
					}
					return
				}
				if _, taken := model[i]; err != nil || taken {
					rt.Fatalf("insert: index %d, taken %v, %v", i, taken, err)
				}
				model[i] = a
			},
			"delete": func(rt *rapid.T) {
				if i := pick(); i != None {
					s.Delete(i)
					delete(model, i)
				}
			},
			"restart": func(rt *rapid.T) {
				s.Close()
				s = open(t, path, capacity)
			},
			"": func(rt *rapid.T) {
				if s.Len() != len(model) {
					rt.Fatalf("%d records, want %d", s.Len(), len(model))
				}
				n := 0
				for i, r := range s.All() {
					tag, _ := s.Tag(i)
					if a, ok := model[i]; !ok || *r != newRec(a) || tag != uint16(a) {
						rt.Fatalf("record %d is %+v, tag %d; want %d, %v", i, *r, tag, a, ok)
					}
					n++
				}
				if n != len(model) {
					rt.Fatalf("All gave %d records, want %d", n, len(model))
				}
			},
		})
	})
}

func TestPointersAreRefused(t *testing.T) {
	type inner struct{ X [2]struct{ P *int } }
	for _, tt := range []struct {
		typ  reflect.Type
		want string // part of the error; "" none
	}{
		{reflect.TypeFor[rec](), ""},
		{reflect.TypeFor[[4]struct {
			A int8
			B [3]bool
			C float64
		}](), ""},
		{reflect.TypeFor[inner](), "field X: field P: type *int"},
		{reflect.TypeFor[string](), "string"},
		{reflect.TypeFor[struct{ S []byte }](), "field S"},
		{reflect.TypeFor[struct{ M map[int]int }](), "field M"},
		{reflect.TypeFor[struct{ F func() }](), "field F"},
		{reflect.TypeFor[struct{ C chan int }](), "field C"},
		{reflect.TypeFor[struct{ I any }](), "field I"},
		{reflect.TypeFor[struct{ U unsafe.Pointer }](), "field U"},
		{reflect.TypeFor[struct{ U uintptr }](), "field U"},
	} {
		err := pointerFree(tt.typ)
		if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.typ, err, tt.want)
		}
	}
	if _, err := Open[struct{ P *int }]("", 1, 1); err == nil {
		t.Error("Open took a record with a pointer")
	}
}

func TestCapacityOutOfRange(t *testing.T) {
	for _, n := range []int{-1, 0, 1 << 32} {
		if _, err := Open[rec]("", 1, n); err == nil {
			t.Errorf("capacity %d was taken", n)
		}
	}
}

func TestCapacityGrowsAndNeverCutsOff(t *testing.T) {
	path := file(t)
	s := open(t, path, 3)
	var last uint32
	for a := range uint64(3) {
		last = insert(t, s, a)
	}
	s.Close()

	s = open(t, path, 10_000)
	for a := range uint64(9_997) {
		insert(t, s, a)
	}
	r := newRec(0)
	if _, err := s.Insert(&r, 0); !errors.Is(err, ErrFull) {
		t.Errorf("beyond the capacity: %v, want ErrFull", err)
	}
	s.Close()

	s = open(t, path, 2)
	if s.Len() != 10_000 || s.Cap() != 10_000 {
		t.Errorf("reopened with less: %d records, capacity %d", s.Len(), s.Cap())
	}
	for i := range s.All() {
		if i != last {
			s.Delete(i)
		}
	}
	s.Close()

	s = open(t, path, 2)
	if s.Len() != 1 || s.Cap() != int(last)+1 || !s.At(last).whole() {
		t.Errorf("reopened with less: %d records, capacity %d, want 1 and %d", s.Len(), s.Cap(), last+1)
	}
}

// TestSparse: room for a million records takes a few pages until it is used.
func TestSparse(t *testing.T) {
	path := file(t)
	s := open(t, path, 1_000_000)
	insert(t, s, 1)
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	if used := st.Blocks * 512; used > 4*growBytes || st.Size < 40_000_000 {
		t.Errorf("file of %d bytes uses %d", st.Size, used)
	}
}

func TestSecondOpenIsLockedOut(t *testing.T) {
	path := file(t)
	s := open(t, path, 10)
	if _, err := Open[rec](path, 1, 10); !errors.Is(err, ErrLocked) {
		t.Errorf("second Open: %v, want ErrLocked", err)
	}
	s.Close()
	open(t, path, 10)
}

func TestOtherFilesAreSetAside(t *testing.T) {
	patch := func(offset int, b ...byte) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt(b, int64(offset)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var h header
	for _, tt := range []struct {
		name  string
		spoil func(*testing.T, string)
		want  string
	}{
		{"layout", patch(int(unsafe.Offsetof(h.Layout)), 9), "layout version 9, not 1"},
		{"size", patch(int(unsafe.Offsetof(h.RecordSize)), 99), "records of 99 bytes, not 40"},
		{"fields", patch(int(unsafe.Offsetof(h.Shape)), 1, 2, 3), "other fields"},
		{"boot", patch(int(unsafe.Offsetof(h.Boot)), 'x', 'y'), "before the machine was started"},
		{"magic", patch(0, 'E', 'L', 'F'), "not a slab"},
		{"ready without magic", patch(0, make([]byte, 8)...), "not a slab"},
		{"cut", func(t *testing.T, path string) {
			if err := os.Truncate(path, headerSize+60); err != nil {
				t.Fatal(err)
			}
		}, "cut to 4156 bytes"},
		{"short", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "file of 5 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := file(t)
			s := open(t, path, 100)
			insert(t, s, 5)
			s.Close()
			tt.spoil(t, path)
			before, _ := os.ReadFile(path)

			_, err := Open[rec](path, 1, 100)
			var aside *SetAside
			if !errors.As(err, &aside) || !errors.Is(err, ErrSetAside) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Open: %v, want it set aside: %s", err, tt.want)
			}
			if after, _ := os.ReadFile(aside.MovedTo); string(after) != string(before) {
				t.Error("the file set aside was changed")
			}
			if s := open(t, path, 100); s.Len() != 0 {
				t.Errorf("the new file has %d records", s.Len())
			}
		})
	}
}

func TestTypesOfOneSizeDiffer(t *testing.T) {
	type a struct{ X, Y uint32 }
	type b struct{ X, Z uint32 }
	type c struct{ X uint64 }
	type d struct {
		X int32
		Y uint32
	}
	type e struct{ X, Y uint32 }
	if shape[a]() == shape[b]() || shape[a]() == shape[c]() || shape[a]() == shape[d]() {
		t.Error("different records have one shape")
	}
	if shape[a]() != shape[e]() {
		t.Error("the name of a type is part of its shape")
	}
}

// TestKilledWhileMade: a file without the magic is one that nobody used.
func TestKilledWhileMade(t *testing.T) {
	for _, size := range []int64{0, 100, headerSize, 1 << 20} {
		path := file(t)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		s := open(t, path, 100)
		insert(t, s, 1)
		s.Close()
		if s := open(t, path, 100); s.Len() != 1 {
			t.Errorf("made from %d zero bytes: %d records, want 1", size, s.Len())
		}
	}
}

// TestTornRecordIsFree: whatever is in a slot, without the mark it is free.
func TestTornRecordIsFree(t *testing.T) {
	path := file(t)
	s := open(t, path, 100)
	for a := range uint64(3) {
		insert(t, s, a)
	}
	for _, word := range []uint32{0, 1, 0xDEAD0001} {
		*(*uint32)(unsafe.Pointer(&s.mapping[s.offset(1)])) = word
		binary.NativeEndian.PutUint64(s.mapping[s.offset(1)+8:], rand.Uint64())
		s.Close()
		s = open(t, path, 100)
		if _, ok := s.Tag(1); ok || s.Len() != 2 {
			t.Errorf("commit word %#x: taken for a record", word)
		}
	}
	if i := insert(t, s, 5); i != 1 || !s.At(i).whole() {
		t.Errorf("new record at %d: %+v", i, *s.At(i))
	}
}

func TestNotAFile(t *testing.T) {
	if _, err := Open[rec](t.TempDir(), 1, 10); err == nil {
		t.Error("Open took a directory")
	}
	if _, err := Open[rec](filepath.Join(t.TempDir(), "a", "b"), 1, 10); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such directory: %v", err)
	}
	if _, err := Open[rec]("/dev/null", 1, 10); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Errorf("device: %v", err)
	}
}

func TestClosed(t *testing.T) {
	s := open(t, "", 10)
	insert(t, s, 1)
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	r := newRec(1)
	if _, err := s.Insert(&r, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("insert after Close: %v", err)
	}
	if s.Len() != 0 || s.Extent() != 0 {
		t.Errorf("after Close: %d records, extent %d", s.Len(), s.Extent())
	}
}

// TestZerosWhereFallocateIsUnknown writes what reserve falls back to.
func TestZerosWhereFallocateIsUnknown(t *testing.T) {
	f, err := os.Create(file(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := writeZeros(f, headerSize, growBytes); err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil || st.Size != headerSize+growBytes {
		t.Errorf("file of %d bytes, %v", st.Size, err)
	}
}

// TestConcurrentInsertAndDelete is for the race detector, which sees memory of
// the process but not a mapping.
func TestConcurrentInsertAndDelete(t *testing.T) {
	s := open(t, "", 1000)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range 2000 {
				r := newRec(uint64(w*10_000 + n))
				i, err := s.Insert(&r, uint16(w))
				if err != nil {
					t.Error(err)
					return
				}
				if tag, ok := s.Tag(i); !ok || tag != uint16(w) || *s.At(i) != r {
					t.Errorf("record %d of worker %d is %+v, tag %d", i, w, *s.At(i), tag)
				}
				s.Delete(i)
			}
		})
	}
	wg.Wait()
	if s.Len() != 0 {
		t.Errorf("%d records left", s.Len())
	}
}

func TestBoottime(t *testing.T) {
	a, b := Boottime(), Boottime()
	if a <= 0 || b < a {
		t.Errorf("Boottime gave %d, then %d", a, b)
	}
}

func BenchmarkInsertDelete(b *testing.B) {
	s, err := Open[rec](filepath.Join(b.TempDir(), "slab"), 1, 1000)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	r := newRec(1)
	b.ReportAllocs()
	for b.Loop() {
		i, err := s.Insert(&r, 1)
		if err != nil {
			b.Fatal(err)
		}
		s.Delete(i)
	}
}

// TestEpochs: a reference never matches another record, also where the count of a slot's
// deletions starts over.
func TestEpochs(t *testing.T) {
	s := open(t, "", 1)
	defer s.Close()
	if s.Is(0, 0) || s.Is(0, 1) {
		t.Error("a record in an empty slab")
	}
	seen := map[uint32]bool{}
	for n := range 5 {
		i := insert(t, s, uint64(n))
		e := s.Epoch(i)
		if e == 0 || seen[e] || !s.Is(i, e) {
			t.Errorf("record %d has epoch %d after %v", n, e, seen)
		}
		for other := range seen {
			if s.Is(i, other) {
				t.Errorf("record %d matches epoch %d", n, other)
			}
		}
		seen[e] = true
		s.Delete(i)
		if s.Is(i, e) || s.Is(i, s.Epoch(i)) {
			t.Errorf("record %d matches when it has gone", n)
		}
		if n == 2 {
			s.slots[i].epoch = ^uint32(0)
			clear(seen) // the count starts over
		}
	}
	if s.Is(1, 1) || s.Is(None, 1) {
		t.Error("a record beyond the slab")
	}
}

// TestRoomCostsNothing: what a table of millions of records takes before there are any.
func TestRoomCostsNothing(t *testing.T) {
	const n = 4 << 20
	resident := func() int {
		b, err := os.ReadFile("/proc/self/statm")
		if err != nil {
			t.Fatal(err)
		}
		var size, pages int
		if _, err := fmt.Sscan(string(b), &size, &pages); err != nil {
			t.Fatal(err)
		}
		return pages * os.Getpagesize()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	rss := resident()
	for _, path := range []string{"", file(t)} {
		s := open(t, path, n)
		defer s.Close()
		links, err := NewLinks(n)
		if err != nil {
			t.Fatal(err)
		}
		defer links.Free()
		NewIndex(links)
		insert(t, s, 1)
	}
	runtime.ReadMemStats(&after)
	if heap := int64(after.HeapAlloc) - int64(before.HeapAlloc); heap > 1<<20 {
		t.Errorf("%d bytes of Go's heap", heap)
	}
	if grown := resident() - rss; grown > 8<<20 {
		t.Errorf("%d bytes resident", grown)
	}
}
