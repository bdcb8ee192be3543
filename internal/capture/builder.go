package capture

import (
	"github.com/vpcemu/vpcemu/dataplane"
)

// Options say what is captured, and how it is shown.
type Options struct {
	// Comment is about the whole capture.
	Comment string
	// Select gives the places whose packets are wanted; nil, or what it returns nil: all.
	// It is asked for every new way and every packet, by any goroutine.
	Select func() *Selection
	NAT    NAT // "" is NATBoth
	// DropsOnly leaves out what was not dropped.
	DropsOnly bool
	// Filter is applied to each form of a packet at each place; Expression is its text.
	Filter     *Filter
	Expression string
	Snap       int // bytes kept of each packet, 0: all
}

// TapConfig asks a tap for what the options need. The tap cannot filter: it does not see
// the forms that a packet has between two gateways, nor the network's answers. And it
// can cut packets only if no filter has to look at them.
func (o *Options) TapConfig() dataplane.TapConfig {
	c := dataplane.TapConfig{Want: o.want, Detail: o.detail}
	if o.Filter == nil {
		c.Snap = o.Snap
	}
	return c
}

func (o *Options) selection() *Selection {
	if o.Select == nil {
		return nil
	}
	return o.Select()
}

// want tells whether packets of this way show anywhere.
func (o *Options) want(w *dataplane.Way) bool {
	if o.DropsOnly && !w.Reason().Dropped() {
		return false
	}
	chosen := o.selection()
	for _, s := range sightings(w.From(), w.To(), w.Steps()) {
		if chosen.has(s.at) {
			return true
		}
	}
	return false
}

// detail tells whether packets of this way show at a gateway, whose form of them takes
// their tuples.
func (o *Options) detail(w *dataplane.Way) bool {
	chosen := o.selection()
	for _, s := range w.Steps() {
		if isGateway(s) && chosen.has(gatewayOf(s)) {
			return true
		}
	}
	return false
}

// Builder makes blocks of packets. It is for one goroutine.
type Builder struct {
	opt Options
	// wall is what to add to CLOCK_BOOTTIME for nanoseconds since 1970.
	wall     int64
	numbers  map[string]int  // of interfaces, by ID of the point
	names    map[string]bool // that interfaces have
	received []uint64        // packets of each interface
	nextID   uint64
	packets  uint64
	skipped  uint64
}

// NewBuilder begins a capture. wall is the difference between the time of day and
// CLOCK_BOOTTIME in nanoseconds: packets keep their distances when the time of day is set.
func NewBuilder(opt Options, wall int64) *Builder {
	return &Builder{opt: opt, wall: wall, numbers: map[string]int{}, names: map[string]bool{}}
}

// Packets is the number of packets made so far: one that is seen at two places is two.
func (b *Builder) Packets() uint64 { return b.packets }

// Begin adds the section header.
func (b *Builder) Begin(dst []byte) []byte { return AppendSection(dst, b.opt.Comment) }

// Append adds the packet, once for each place that saw it, and those places that are
// new. skipped is the tap's count of packets that nobody took. At most limit packets are
// added.
func (b *Builder) Append(dst []byte, t *dataplane.Taken, skipped, limit uint64) []byte {
	if len(t.Sent) == 0 {
		return dst
	}
	return b.append(dst, walkedOf(t), t.At, skipped, limit)
}

func (b *Builder) append(dst []byte, w *walked, at int64, skipped, limit uint64) []byte {
	if b.opt.DropsOnly && !w.reason.Dropped() {
		return dst
	}
	chosen := b.opt.selection()
	b.nextID++
	p := Packet{Time: at + b.wall, ID: b.nextID, Skipped: skipped - b.skipped}
	most := b.packets + limit
	add := func(s sighting, data []byte, length int) {
		if b.packets >= most || !chosen.has(s.at) || !b.opt.Filter.Match(data) {
			return
		}
		dst, p.Interface = b.number(dst, s.at)
		p.Direction, p.Data, p.Length, p.Comment = s.direction(), b.cut(data), length, w.comment(s)
		dst = AppendPacket(dst, &p)
		b.received[p.Interface]++
		b.packets++
		b.skipped, p.Skipped = skipped, 0
	}
	for _, s := range sightings(w.from, w.to, w.steps) {
		if b.shown(w, s) {
			add(s, w.after(s.after), w.length)
		}
	}
	if sender, ok := placeOf(w.from); ok && len(w.answer) > 0 {
		b.nextID++
		p.ID = b.nextID
		add(sighting{at: sender, role: answered}, w.answer, len(w.answer))
	}
	return dst
}

// shown tells whether the options want the packet at a gateway in this form. Without
// tuples its form there is not known: the way was new when the selection changed.
func (b *Builder) shown(w *walked, s sighting) bool {
	switch s.role {
	case arrives:
		return w.translated && (b.opt.NAT != NATAfter || w.steps[s.after].End)
	case leaves:
		return w.translated && b.opt.NAT != NATBefore
	}
	return true
}

func (b *Builder) cut(data []byte) []byte {
	if b.opt.Snap > 0 && len(data) > b.opt.Snap {
		return data[:b.opt.Snap]
	}
	return data
}

// number is the interface of a place, written before its first packet.
func (b *Builder) number(dst []byte, p point) ([]byte, int) {
	n, ok := b.numbers[p.ID]
	if ok {
		return dst, n
	}
	n = len(b.numbers)
	b.numbers[p.ID] = n
	b.received = append(b.received, 0)
	name := p.Name
	if name == "" || b.names[name] {
		name = p.Ref.String() // names are not unique in a lab, and a tool may go by them
	}
	b.names[name] = true
	return AppendInterface(dst, Interface{Name: name, Description: p.describe(), Filter: b.opt.Expression, Snap: b.opt.Snap}), n
}

// End adds the statistics. A tap does not know where the packets would have been seen
// that it skipped: they are told of the first interface.
func (b *Builder) End(dst []byte, now int64, skipped uint64) []byte {
	for n, received := range b.received {
		s := Statistics{Interface: n, Time: now + b.wall, Received: received}
		if n == 0 {
			s.Dropped = skipped
			if skipped > 0 {
				s.Comment = "dropped: packets that were not captured, at all interfaces together, because the reader of the capture was too slow"
			}
		}
		dst = AppendStatistics(dst, s)
	}
	return dst
}
