package slab

import "math/bits"

// Links is the memory that chains the records of one slab in one kind of
// Index. Several indexes over disjoint records (one a shard) share it.
type Links []link

type link struct {
	hash uint32
	next uint32 // index + 1 of the next record of the bucket; 0 ends it
}

// LinkBytes is what a record takes in an Index, in bytes: its link and, on average, not
// more than one bucket head (twice that while the table of heads has just doubled and
// lies empty, which costs nothing until it is used).
const LinkBytes = 8 + 4

// NewLinks makes links for records 0 to n-1. Untouched parts cost nothing. The error is
// the kernel's, for want of address space.
func NewLinks(n int) (Links, error) { return NewArray[link](n) }

// Free gives the memory back. No Index uses it any more.
func (l Links) Free() { FreeArray(l) }

// firstBuckets is where an index starts; a power of two.
const firstBuckets = 16

// Index finds records by a 32-bit hash of their key. It grows one bucket an
// insertion (linear hashing; Litwin, VLDB 1980), so there is never a pause in
// which everything is rehashed, and it allocates only each time it has doubled.
// The caller's lock guards it. The zero Index is not ready: use NewIndex.
type Index struct {
	links    Links
	segments [29][]uint32 // bucket heads (index + 1); segment k > 0 has firstBuckets<<(k-1)
	buckets  uint32       // in use
	mask     uint32       // of the buckets that there were at the last doubling, times two, less one
	records  uint32
}

// NewIndex makes an empty index over links.
func NewIndex(links Links) *Index {
	x := &Index{links: links, buckets: firstBuckets, mask: 2*firstBuckets - 1}
	x.segments[0] = make([]uint32, firstBuckets)
	return x
}

// First is the first record added under hash, in no order, or None. The caller
// compares the record's key and goes on with Next while it is another one.
func (x *Index) First(hash uint32) uint32 {
	return x.match(*x.head(x.bucket(hash)), hash)
}

// Next is the record after i under the same hash, or None.
func (x *Index) Next(i uint32) uint32 {
	l := &x.links[i]
	return x.match(l.next, l.hash)
}

func (x *Index) match(p, hash uint32) uint32 {
	for p != 0 {
		l := &x.links[p-1]
		if l.hash == hash {
			return p - 1
		}
		p = l.next
	}
	return None
}

// Add puts record i under hash. A record is in an index at most once.
func (x *Index) Add(hash, i uint32) {
	h := x.head(x.bucket(hash))
	x.links[i] = link{hash: hash, next: *h}
	*h = i + 1
	x.records++
	if x.records > x.buckets {
		x.split()
	}
}

// Remove takes record i out; it must be in.
func (x *Index) Remove(i uint32) {
	p := x.head(x.bucket(x.links[i].hash))
	for *p != i+1 {
		p = &x.links[*p-1].next
	}
	*p = x.links[i].next
	x.records--
}

// bucket of a hash: buckets beyond those in use are still part of the one half
// a table below, from which they will be split.
func (x *Index) bucket(hash uint32) uint32 {
	b := hash & x.mask
	if b >= x.buckets {
		b &= x.mask >> 1
	}
	return b
}

func (x *Index) head(b uint32) *uint32 {
	k := bits.Len32(b / firstBuckets)
	if k == 0 {
		return &x.segments[0][b]
	}
	return &x.segments[k][b-firstBuckets<<(k-1)]
}

// split adds one bucket and moves to it the records that belong there.
func (x *Index) split() {
	b := x.buckets
	if k := bits.Len32(b / firstBuckets); x.segments[k] == nil {
		x.segments[k] = make([]uint32, firstBuckets<<(k-1))
	}
	if b > x.mask {
		x.mask = 2*x.mask + 1
	}
	x.buckets++
	p, to := x.head(b&(x.mask>>1)), x.head(b)
	for *p != 0 {
		l := &x.links[*p-1]
		if l.hash&x.mask != b {
			p = &l.next
			continue
		}
		moved := *p
		*p = l.next
		l.next = *to
		*to = moved
	}
}
