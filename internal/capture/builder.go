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
	courses  map[*dataplane.Way]*course
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
	return &Builder{opt: opt, wall: wall, courses: map[*dataplane.Way]*course{}, numbers: map[string]int{}, names: map[string]bool{}}
}

// Packets is the number of packets made so far: one that is seen at two places is two.
func (b *Builder) Packets() uint64 { return b.packets }

// Begin adds the section header.
func (b *Builder) Begin(dst []byte) []byte { return AppendSection(dst, b.opt.Comment) }

// Append adds the packet, once for each place that saw it, and those places that are
// new. skipped is the tap's count of packets that nobody took. At most limit packets are
// added.
func (b *Builder) Append(dst []byte, t *dataplane.Taken, skipped, limit uint64) []byte {
	c := b.course(t.Way)
	if len(t.Sent) == 0 || b.opt.DropsOnly && !c.reason.Dropped() {
		return dst
	}
	w := c.walked(t)
	chosen := b.opt.selection()
	most := b.packets + limit
	p := Packet{Time: t.At + b.wall, Skipped: skipped - b.skipped}
	wanted := func(at point, data []byte) bool {
		return b.packets < most && chosen.has(at) && b.opt.Filter.Match(data)
	}
	b.nextID++
	p.ID = b.nextID
	for n, s := range c.sightings {
		if !b.shown(w, s) || !chosen.has(s.at) {
			continue
		}
		if data := w.after(s.after); wanted(s.at, data) {
			p.Direction, p.Data, p.Length, p.Comment = s.direction(), b.cut(data), w.length, w.comment(n)
			dst = b.add(dst, s.at, &p)
			b.skipped, p.Skipped = skipped, 0
		}
	}
	if sender, ok := placeOf(c.from); ok && len(t.Answer) > 0 && wanted(sender, t.Answer) {
		b.nextID++
		p.ID, p.Direction, p.Data, p.Length, p.Comment = b.nextID, Inbound, b.cut(t.Answer), wholeLength(t.Answer), w.answerComment(sender)
		dst = b.add(dst, sender, &p)
		b.skipped = skipped
	}
	return dst
}

// add writes a packet of a place.
func (b *Builder) add(dst []byte, at point, p *Packet) []byte {
	dst, p.Interface = b.number(dst, at)
	b.received[p.Interface]++
	b.packets++
	return AppendPacket(dst, p)
}

// maxCourses bounds what is kept of ways: they keep the snapshots alive that they are of.
const maxCourses = 1024

func (b *Builder) course(way *dataplane.Way) *course {
	c := b.courses[way]
	if c == nil {
		if len(b.courses) >= maxCourses {
			clear(b.courses)
		}
		c = courseOf(way)
		b.courses[way] = c
	}
	return c
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

// End adds the statistics, of at least one interface, as libpcap opens no file without. A tap does not know where the packets would have been seen
// that it skipped: they are told of the first interface.
func (b *Builder) End(dst []byte, now int64, skipped uint64) []byte {
	if len(b.received) == 0 {
		b.received = append(b.received, 0)
		dst = AppendInterface(dst, Interface{Name: "none", Description: "no packet was captured", Filter: b.opt.Expression, Snap: b.opt.Snap})
	}
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
