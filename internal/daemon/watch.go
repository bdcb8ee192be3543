package daemon

import (
	"context"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/slab"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// What a watch may cost. Events that wait are taken a buffer at a time, so that the threads
// that move packets never wake anybody, and of a flood most are not even looked at.
const (
	packetEvery  = 10 * time.Millisecond
	packetBuffer = 1024
	flowEvery    = 250 * time.Millisecond
	flowBuffer   = 16   // readings
	linesASecond = 1000 // of packets, or of new flows and verdicts
	tellSkipped  = time.Second
)

// A watch is one control.Watch under way.
type watch struct {
	d      *Daemon
	req    control.WatchRequest
	send   func(...*control.Watched) error
	filter *watchFilter
	model  *vpc.Model
	show   *shower
	clock  wallClock

	room     int // lines that may still be shown in this second
	second   time.Time
	left     int // lines until the request's count, if it has one
	notShown uint64
	told     time.Time // when notShown was
}

// Watch implements control.Applier.
func (d *Daemon) Watch(ctx context.Context, req control.WatchRequest, end <-chan struct{}, send func(...*control.Watched) error) error {
	m := d.Model()
	filter, err := newWatchFilter(m, req)
	if err != nil {
		return err
	}
	w := &watch{d: d, req: req, send: send, filter: filter, model: m, show: newShower(m), left: req.Count}
	if req.Duration > 0 {
		timed, cancel := context.WithTimeout(context.WithoutCancel(ctx), req.Duration)
		defer cancel()
		end = either(end, timed.Done())
	}
	stop := either(end, ctx.Done())
	show := w.flows
	if req.Packets {
		show = w.packets
	}
	if err := show(stop); err != nil {
		return err
	}
	return whyEnded(ctx)
}

// either is closed soon after one of the two is.
func either(a, b <-chan struct{}) <-chan struct{} {
	c := make(chan struct{})
	go func() {
		defer close(c)
		select {
		case <-a:
		case <-b:
		}
	}()
	return c
}

// refresh begins a round of lines: names may have changed, and a second passed.
func (w *watch) refresh() {
	w.clock = newWallClock()
	if m := w.d.Model(); m != w.model {
		w.model, w.show = m, newShower(m)
		_ = w.filter.resolve(m) // a name that is gone means what it meant
	}
	if now := w.clock.now; now.Sub(w.second) >= time.Second {
		w.second, w.room = now, linesASecond
	}
}

// started tells the client that nothing is missed from now on.
func (w *watch) started() error {
	return w.send(&control.Watched{Time: time.Now().UTC(), Kind: control.WatchedStarted})
}

// emit sends lines, up to the request's count, and from time to time how many packets
// have none. more is false when the watch has shown enough.
func (w *watch) emit(lines []*control.Watched, last bool) (more bool, err error) {
	if w.req.Count > 0 {
		if len(lines) >= w.left {
			lines, last = lines[:w.left], true
		}
		w.left -= len(lines)
	}
	if w.notShown > 0 && (last || w.clock.now.Sub(w.told) >= tellSkipped) {
		lines = append(lines, &control.Watched{Time: w.clock.now.UTC(), Kind: control.WatchedSkipped, NotShown: w.notShown})
		w.notShown, w.told = 0, w.clock.now
	}
	if len(lines) == 0 {
		return !last, nil
	}
	return !last, w.send(lines...)
}

// packets shows each packet.
func (w *watch) packets(stop <-chan struct{}) error {
	sub := w.d.engine.Subscribe(packetBuffer)
	defer sub.Close()
	if err := w.started(); err != nil {
		return err
	}
	tick := time.NewTicker(packetEvery)
	defer tick.Stop()
	var skipped uint64
	for more := true; more; {
		last := false
		select {
		case <-stop:
			last = true
		case <-tick.C:
		}
		w.refresh()
		lines := w.waiting(sub)
		now := sub.Skipped()
		w.notShown += now - skipped
		skipped = now
		var err error
		if more, err = w.emit(lines, last); err != nil {
			return err
		}
	}
	return nil
}

// waiting makes lines of the events that wait.
func (w *watch) waiting(sub *dataplane.Subscription) (lines []*control.Watched) {
	for range len(sub.C) {
		e := <-sub.C
		p := passedOf(&e)
		switch {
		case !w.filter.wants(w.show, &p):
		case w.room <= 0:
			w.notShown += p.packets
		default:
			w.room--
			lines = append(lines, &control.Watched{Time: w.clock.of(e.At), Kind: control.WatchedPacket, Seen: w.show.seen(&p)})
		}
	}
	return lines
}

// flows shows each flow when it is new or its verdict is, and its totals at its end.
func (w *watch) flows(stop <-chan struct{}) error {
	meter := w.d.engine.Meter(flowEvery, flowBuffer)
	defer meter.Close()
	if err := w.started(); err != nil {
		return err
	}
	tick := time.NewTicker(flowEvery)
	defer tick.Stop()
	open := &openFlows{}
	for more := true; more; {
		last := false
		select {
		case <-stop:
			last = true
			w.readAll(open, meter) // makes room for what Collect gives
			w.d.engine.Collect()
		case r := <-meter.C:
			w.read(open, r)
		case <-tick.C:
		}
		w.readAll(open, meter)
		w.begin(open)
		if last {
			open.end()
		} else {
			open.quiet(slab.Boottime())
		}
		w.room = open.room
		w.notShown += open.notShown
		open.notShown = 0
		var err error
		if more, err = w.emit(open.take(), last); err != nil {
			return err
		}
	}
	return nil
}

// begin gives the open flows what they need to make lines.
func (w *watch) begin(open *openFlows) {
	w.refresh()
	open.show, open.clock, open.room = w.show, w.clock, w.room
}

func (w *watch) readAll(open *openFlows, meter *dataplane.Meter) {
	for range len(meter.C) {
		w.read(open, <-meter.C)
	}
}

func (w *watch) read(open *openFlows, r dataplane.Reading) {
	w.begin(open)
	w.notShown += r.Skipped
	for i := range r.Flows {
		p := passedIn(&r.Flows[i])
		if w.filter.wants(w.show, &p) {
			open.add(p)
		}
	}
	w.room = open.room
}
