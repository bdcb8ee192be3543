package dataplane

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// TapConfig says which packets a Tap takes, and what of them. Its functions are called on
// the packets' way: they must not block, and may be called by several workers at once.
type TapConfig struct {
	// Want tells of each way whether its packets are wanted, nil: all. It is asked once
	// for a way and a Tap, and a second time when the taps of the engine change.
	Want func(*Way) bool
	// Detail tells of wanted ways whether Taken.Steps is, too, nil: of none. Packets of
	// such ways take the stages.
	Detail func(*Way) bool
	// Filter is asked about each packet as it was sent and, if it does not want that, as
	// it was when its walk ended; nil: all. It sees up to Snap bytes.
	Filter func(ip []byte) bool
	Snap   int // bytes kept of each packet, 0: all
	Room   int // bytes that may wait, 0: 16 MiB
}

// Taken is a packet that a Tap took.
type Taken struct {
	At  int64 // nanoseconds of Config.Now
	Way *Way
	// Steps are the decisions with the packet's tuple after each, where Detail asked.
	Steps []Step
	// Sent is the IP packet as it came in, Final as it was when its walk ended, nil: the
	// same. A super-packet is whole, not cut. Their checksums are complete where the
	// whole packet was kept.
	Sent, Final []byte
	SentLen     int // of the whole packet, bytes
	// SentTuple and FinalTuple are those of Sent and Final, as an Event has them.
	SentTuple, FinalTuple packet.Tuple
	// Answer is what the network itself sent back: an ICMP error, a RST, a DHCP reply.
	Answer  []byte
	Packets int // on the wire
}

// ErrTapClosed is what Next returns after Close.
var ErrTapClosed = errors.New("tap is closed")

const defaultRoom = 16 << 20

// maxTaps is how many taps there may be at a time.
const maxTaps = 64

// ErrTooManyTaps: there are as many as there may be.
var ErrTooManyTaps = errors.New("64 captures are running, which is as many as there may be: end one first")

// A Tap takes copies of packets, the dropped ones included. Where its reader is slow it
// skips packets, and counts them; packets never wait for it.
type Tap struct {
	cfg     TapConfig
	e       *Engine
	skipped atomic.Uint64
	wake    chan struct{}
	closed  chan struct{}
	once    sync.Once

	mu      sync.Mutex
	waiting takenList // filled by workers

	// the reader's own
	reading takenList
	final   []byte
	next    int // item
	at      int // in data
}

// takenList is packets with their bytes one after the other.
type takenList struct {
	items []takenItem
	data  []byte
	steps int // of all items
}

type takenItem struct {
	Taken
	// Lengths in data; Taken's slices are not set yet. Of Final only the head is there.
	sent, final, answer int
	partial             bool
}

// tapList is the taps of an engine at a time.
type tapList struct {
	gen    uint64
	taps   []*Tap
	snap   int // the longest of them, 0: all
	detail bool
}

// tapMarks remembers which taps of a list want a way.
type tapMarks struct {
	gen          uint64 // of the list
	want, detail uint64
}

// Tap begins to take packets.
func (e *Engine) Tap(cfg TapConfig) (*Tap, error) {
	if cfg.Room <= 0 {
		cfg.Room = defaultRoom
	}
	t := &Tap{cfg: cfg, e: e, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	if !e.changeTaps(func(list []*Tap) []*Tap { return append(list, t) }) {
		return nil, ErrTooManyTaps
	}
	return t, nil
}

// Close ends the tap. What it has taken and nobody has read is lost.
func (t *Tap) Close() {
	t.once.Do(func() {
		t.e.changeTaps(func(list []*Tap) []*Tap { return slices.DeleteFunc(list, func(o *Tap) bool { return o == t }) })
		close(t.closed)
	})
}

// Skipped is how many packets on the wire found no room.
func (t *Tap) Skipped() uint64 { return t.skipped.Load() }

func (e *Engine) changeTaps(f func([]*Tap) []*Tap) bool {
	e.tapsMu.Lock()
	defer e.tapsMu.Unlock()
	e.tapsGen++
	next := &tapList{gen: e.tapsGen}
	if old := e.taps.Load(); old != nil {
		next.taps = slices.Clone(old.taps)
	}
	next.taps = f(next.taps)
	if len(next.taps) > maxTaps {
		return false
	}
	if len(next.taps) == 0 {
		e.taps.Store(nil)
		return true
	}
	for _, t := range next.taps {
		next.detail = next.detail || t.cfg.Detail != nil
	}
	next.snap = longest(next.taps)
	e.taps.Store(next)
	return true
}

func longest(taps []*Tap) (snap int) {
	for _, t := range taps {
		if t.cfg.Snap <= 0 {
			return 0
		}
		snap = max(snap, t.cfg.Snap)
	}
	return snap
}

// Next waits for a packet. The bytes of the packet before it are good no longer.
func (t *Tap) Next(ctx context.Context) (Taken, error) {
	for t.next == len(t.reading.items) {
		if !t.refill() {
			select {
			case <-t.wake:
			case <-t.closed:
				return Taken{}, ErrTapClosed
			case <-ctx.Done():
				return Taken{}, ctx.Err()
			}
		}
	}
	item := &t.reading.items[t.next]
	t.next++
	return t.finish(item), nil
}

// refill takes what workers have put in, and gives them the reader's empty list.
func (t *Tap) refill() bool {
	clear(t.reading.items)
	t.reading = takenList{items: t.reading.items[:0], data: t.reading.data[:0]}
	t.next, t.at = 0, 0
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reading, t.waiting = t.waiting, t.reading
	return len(t.reading.items) > 0
}

// finish cuts the packet's bytes off the list.
func (t *Tap) finish(i *takenItem) Taken {
	cut := func(n int) []byte {
		if n == 0 {
			return nil
		}
		b := t.reading.data[t.at : t.at+n : t.at+n]
		t.at += n
		return b
	}
	i.Sent = cut(i.sent)
	if head := cut(i.final); head != nil {
		t.final = append(append(t.final[:0], head...), i.Sent[len(head):]...)
		i.Final = t.final
	}
	i.Answer = cut(i.answer)
	if i.partial && len(i.Sent) == i.SentLen {
		complete(i.Sent)
		complete(i.Final)
	}
	return i.Taken
}

// complete fills in a checksum that was left to a network card.
func complete(pkt []byte) {
	var h packet.Header
	if len(pkt) > 0 && h.Parse(pkt) == 0 {
		h.PartialChecksum = true
		h.CompleteChecksum()
	}
}

// put takes a packet, if there is room: the heads of both of its forms, final nil if they
// are the same, and the body that they share.
func (t *Tap) put(x *takenItem, sent, final, body, answer []byte) {
	if n := t.cfg.Snap; n > 0 {
		body = body[:min(max(n-len(sent), 0), len(body))]
		sent, final, answer = sent[:min(n, len(sent))], final[:min(n, len(final))], answer[:min(n, len(answer))]
	}
	t.mu.Lock()
	l := &t.waiting
	size := len(sent) + len(body) + len(final) + len(answer)
	if len(l.data)+size+len(l.items)*takenOverhead+(l.steps+len(x.Steps))*stepSize > t.cfg.Room {
		t.mu.Unlock()
		t.skipped.Add(uint64(x.Packets))
		return
	}
	x.sent, x.final, x.answer = len(sent)+len(body), len(final), len(answer)
	l.items = append(l.items, *x)
	l.steps += len(x.Steps)
	l.data = append(append(append(append(l.data, sent...), body...), final...), answer...)
	first := len(l.items) == 1
	t.mu.Unlock()
	if first {
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
}

// takenOverhead is what an item costs besides its bytes, about.
const takenOverhead = int(unsafe.Sizeof(takenItem{}))

const stepSize = int(unsafe.Sizeof(Step{}))

// tapping is a worker's part.
type tapping struct {
	taps *tapList // nil: none
	// sent and final are the first bytes, which stages change, of the packet under way as
	// it came and as it ended; body is what comes behind them, in the worker's buffer.
	sent, final, body []byte
	hasSent, hasFinal bool
	joined            []byte // head and body for a filter
	answered          []byte // what the network sent back, in scratch
	partial           bool
	sentLen           int
}

// marks tells which taps want the way.
func (r *worker) marks(w *Way) *tapMarks {
	m := &w.taps
	if m.gen != r.taps.gen {
		*m = tapMarks{gen: r.taps.gen}
		for i, t := range r.taps.taps {
			if t.cfg.Want == nil || t.cfg.Want(w) {
				m.want |= 1 << i
				if t.cfg.Detail != nil && t.cfg.Detail(w) {
					m.detail |= 1 << i
				}
			}
		}
	}
	return m
}

// keepSent and keepFinal copy what the packet is before and after the stages.
func (r *worker) keepSent() {
	b := r.w.buf
	if r.w.stage != StageParse {
		b = r.w.hdr.Data // without what a frame was padded with
	}
	r.sentLen = len(b)
	b = r.snapped(b)
	n := min(len(b), savedBytes)
	r.sent, r.body = append(r.sent[:0], b[:n]...), b[n:]
	r.partial, r.hasSent, r.hasFinal = r.w.hdr.PartialChecksum, true, false
}

func (r *worker) keepFinal() {
	if w := &r.w; w.stage != StageParse && len(w.hdr.Data) > 0 {
		r.final = append(r.final[:0], w.hdr.Data[:len(r.sent)]...)
		r.hasFinal = true
	}
}

// passes asks a tap's filter about both forms.
func (r *worker) passes(t *Tap, final []byte) bool {
	if t.cfg.Filter == nil {
		return true
	}
	whole := func(head []byte) []byte {
		r.joined = append(append(r.joined[:0], head...), r.body...)
		if n := t.cfg.Snap; n > 0 {
			return r.joined[:min(n, len(r.joined))]
		}
		return r.joined
	}
	return t.cfg.Filter(whole(r.sent)) || final != nil && t.cfg.Filter(whole(final))
}

func (r *worker) snapped(b []byte) []byte {
	if n := r.taps.snap; n > 0 {
		return b[:min(n, len(b))]
	}
	return b
}

// hand gives the packet to the taps that want its way.
func (r *worker) hand() {
	w := &r.w
	m := r.marks(w.way)
	if m.want == 0 || !r.hasSent {
		return
	}
	x := takenItem{Taken: Taken{At: w.now, Way: w.way, SentLen: r.sentLen, SentTuple: w.sent, FinalTuple: w.ended, Packets: w.gso.Segments}, partial: r.partial}
	var final []byte
	if r.hasFinal && !slices.Equal(r.sent, r.final) {
		final = r.final
	}
	for i, t := range r.taps.taps {
		if m.want&(1<<i) == 0 {
			continue
		}
		if !r.passes(t, final) {
			continue
		}
		x.Steps = nil
		if m.detail&(1<<i) != 0 {
			x.Steps = slices.Clone(w.steps)
		}
		t.put(&x, r.sent, final, r.body, r.answered)
	}
}
