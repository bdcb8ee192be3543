package dataplane

import (
	"sync/atomic"
)

// A source is what the engine keeps of one port that is read. All but closing belongs
// to the worker that reads it.
type source struct {
	port     Port
	features Features
	worker   *worker
	poller   *poller // nil: the worker has this port alone

	// busy: the last time there was more than one packet to read.
	busy  bool
	empty int // reads in a row that gave nothing

	fragments fragmentTable
	services  window
	answers   bucket

	closing atomic.Bool
	slot    int // in the worker's list, for what epoll says
}

func newSource(p Port, w *worker) *source {
	return &source{port: p, features: p.Features(), worker: w}
}

// An owner is who has a source's port in the snapshot at hand.
type owner struct {
	in           Place
	root         *Way
	known, named bool
}

// ownerOf finds who has the source's port. It is kept by the worker and not by the
// source: an idle port would keep the whole of an old snapshot in memory.
func (r *worker) ownerOf(s *source) *owner {
	for len(r.owners) <= s.slot {
		r.owners = append(r.owners, owner{})
	}
	o := &r.owners[s.slot]
	if !o.known {
		o.in, o.named = r.snap.ports[s.port]
		o.root, o.known = r.tree.root(o.in), true
	}
	return o
}

// A bucket limits the answers into one ingress (RFC 1812 4.3.2.8).
type bucket struct {
	tokens int64 // in nanoseconds of answerEvery
	last   int64
}

func (b *bucket) take(now int64) bool {
	const full = answerEvery * answerBurst
	if b.last == 0 {
		b.tokens = full
	} else if now > b.last {
		b.tokens = min(full, b.tokens+now-b.last)
	}
	b.last = max(now, 1)
	if b.tokens < answerEvery {
		return false
	}
	b.tokens -= answerEvery
	return true
}
