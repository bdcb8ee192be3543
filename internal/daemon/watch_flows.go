package daemon

import (
	"cmp"
	"slices"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// How watched flows are told.
const (
	flowQuiet  = 5 * time.Second // without packets: its totals are told, and it is forgotten
	flowClosed = time.Second     // the same after a FIN or RST
	flowsOpen  = 20_000          // that a watch remembers; packets of others are not shown
	flowTotals = 1000            // that are told when the watch ends: the largest
)

// openFlows are the flows of a watch that have been shown and may have more packets. Its
// lines are what is to be shown. It takes what it is given in whatever order, and knows
// no time but that of packets and of quiet's argument.
type openFlows struct {
	show  *shower
	clock wallClock
	// room is how many lines of new flows and verdicts may still be shown; packets
	// beyond it are counted in notShown.
	room     int
	notShown uint64
	lines    []*control.Watched
	open     map[flowKey]*openFlow
}

// A flowKey is packets of one sender with the same addresses and ports.
type flowKey struct {
	from               dataplane.Ref
	sent               packet.Tuple
	icmpType, icmpCode uint8
}

// An openFlow is what one verdict's packets of a flow have come to.
type openFlow struct {
	verdict flowVerdict
	all     passed // of all packets, with the tuples of the first
	told    uint64 // how many packets a line has told of
}

// A flowVerdict is what must differ for a flow to have a new line.
type flowVerdict struct {
	reason     dataplane.Reason
	by, to     dataplane.Ref
	rule       string
	translated packet.Tuple // of a drop none: a NAT gateway may try another port for each
}

func verdictOf(p *passed) flowVerdict {
	last := p.way.Last()
	v := flowVerdict{reason: p.way.Reason()}
	if v.reason.Dropped() {
		v.by, v.rule = last.By, last.Rule.String()
	} else {
		v.to, v.translated = p.way.To().Ref(), p.ended
	}
	return v
}

// add takes what came of a flow.
func (o *openFlows) add(p passed) {
	key, verdict := flowKey{p.way.From().Ref(), p.sent, p.icmpType, p.icmpCode}, verdictOf(&p)
	f := o.open[key]
	if f != nil && f.verdict == verdict {
		f.more(&p)
		return
	}
	if o.room <= 0 || f == nil && len(o.open) >= flowsOpen {
		o.notShown += p.packets
		return
	}
	if f != nil {
		o.totals(f, "verdict")
	}
	o.room--
	if o.open == nil {
		o.open = map[flowKey]*openFlow{}
	}
	f = &openFlow{verdict: verdict, all: p, told: p.packets}
	o.open[key] = f
	o.lines = append(o.lines, f.line(o, control.WatchedFlow, o.clock.of(p.first), closedBy(p.flags)))
}

func (f *openFlow) more(p *passed) {
	f.all.packets += p.packets
	f.all.bytes += p.bytes
	f.all.flags |= p.flags
	f.all.first, f.all.last = min(f.all.first, p.first), max(f.all.last, p.last)
	f.all.answered = f.all.answered || p.answered
	f.all.way = p.way // the latest, which is the one that is remembered longest
}

// closedBy says whether TCP flags end a connection.
func closedBy(flags uint8) string {
	switch {
	case flags&packet.FlagRST != 0:
		return "rst"
	case flags&packet.FlagFIN != 0:
		return "fin"
	}
	return ""
}

func (f *openFlow) line(o *openFlows, kind string, at time.Time, why string) *control.Watched {
	w := &control.Watched{Time: at, Kind: kind, Seen: o.show.seen(&f.all)}
	w.Duration = (time.Duration(f.all.last-f.all.first) / time.Millisecond * time.Millisecond).Seconds()
	w.Ended = why
	return w
}

// totals tells what came since the flow's line, if anything did.
func (o *openFlows) totals(f *openFlow, why string) {
	if f.all.packets == f.told {
		return
	}
	f.told = f.all.packets
	o.lines = append(o.lines, f.line(o, control.WatchedTotals, o.clock.of(f.all.last), why))
}

// quiet tells of and forgets the flows that have had no packets for a while.
func (o *openFlows) quiet(now int64) {
	for key, f := range o.open {
		why, after := "quiet", flowQuiet
		if e := closedBy(f.all.flags); e != "" {
			why, after = e, flowClosed
		}
		if now-f.all.last >= int64(after) {
			o.totals(f, why)
			delete(o.open, key)
		}
	}
}

// end tells the totals of the flows that are open, and forgets them.
func (o *openFlows) end() {
	rest := make([]*openFlow, 0, len(o.open))
	for _, f := range o.open {
		if f.all.packets != f.told {
			rest = append(rest, f)
		}
	}
	slices.SortFunc(rest, func(a, b *openFlow) int { return cmp.Compare(b.all.packets, a.all.packets) })
	for i, f := range rest {
		if i >= flowTotals {
			o.notShown += f.all.packets - f.told
			continue
		}
		o.totals(f, cmp.Or(closedBy(f.all.flags), "watch"))
	}
	o.open = nil
}

// take returns the lines by their time.
func (o *openFlows) take() []*control.Watched {
	lines := o.lines
	o.lines = nil
	slices.SortStableFunc(lines, func(a, b *control.Watched) int { return a.Time.Compare(b.Time) })
	return lines
}
