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

	// in is the port's owner in the snapshot that the worker saw last.
	in    ingress
	named bool
	gen   uint32
	// busy: the last time there was more than one packet to read.
	busy  bool
	empty int // reads in a row that gave nothing

	fragments fragmentTable
	resolver  window
	answers   bucket

	closing atomic.Bool
	slot    int // in the worker's list, for what epoll says
}

func newSource(p Port, w *worker) *source {
	return &source{port: p, features: p.Features(), worker: w}
}

// refresh looks up who owns the port when the snapshot has changed.
func (s *source) refresh(snap *Snapshot, gen uint32) bool {
	if s.gen != gen {
		s.in, s.named = snap.ports[s.port]
		s.gen = gen
	}
	return s.named
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
