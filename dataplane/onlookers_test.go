package dataplane_test

import (
	"context"
	"fmt"
	"maps"
	"time"

	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/dataplane"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// onlookers are a meter and a tap that may look at the side of a pair that has a cache.
type onlookers struct {
	p     *pair
	meter *dataplane.Meter
	tap   *dataplane.Tap
	seen  int // events that the meter has been compared with
}

func (p *pair) lookOn(rt *rapid.T) *onlookers {
	o := &onlookers{p: p}
	if rapid.Bool().Draw(rt, "metered") {
		o.meter = p.with.engine.Meter(time.Hour, 1)
	}
	if rapid.Bool().Draw(rt, "tapped") {
		cfg := dataplane.TapConfig{}
		if rapid.Bool().Draw(rt, "in detail") {
			cfg.Detail = func(w *dataplane.Way) bool { return w.Reason() == dataplane.Delivered }
		}
		var err error
		if o.tap, err = p.with.engine.Tap(cfg); err != nil {
			rt.Fatal(err)
		}
	}
	return o
}

// flowOf is what a meter tells packets apart by.
func flowOf(way *dataplane.Way, sent fmt.Stringer, typ, code uint8) string {
	return fmt.Sprintf("%s type %d code %d %s", sent, typ, code, wayText(way))
}

// interval compares what was metered since the last one with the events.
func (o *onlookers) interval(rt *rapid.T) {
	events := o.p.events[o.seen:]
	o.seen = len(o.p.events)
	if o.meter == nil {
		return
	}
	want := map[string]dataplane.Traffic{}
	for i := range events {
		e := &events[i]
		k := flowOf(e.Way, e.Sent, e.ICMPType, e.ICMPCode)
		n := want[k]
		want[k] = dataplane.Traffic{Packets: n.Packets + uint64(e.Packets), Bytes: n.Bytes + uint64(e.Size)}
	}
	got := map[string]dataplane.Traffic{}
	for _, w := range o.p.with.workers {
		flows, skipped := w.Metered()
		if skipped != 0 {
			rt.Fatalf("%d packets skipped", skipped)
		}
		for i := range flows {
			f := &flows[i]
			k := flowOf(f.Way, f.Sent, f.ICMPType, f.ICMPCode)
			n := got[k]
			got[k] = dataplane.Traffic{Packets: n.Packets + f.Packets, Bytes: n.Bytes + f.Bytes}
			steps := f.Steps()
			if last := steps[len(steps)-1]; last.Tuple != f.Tuple || f.First > f.Last || f.Last > o.p.m.lab.Now() {
				rt.Fatalf("%s ended as %s, from %d to %d\n%s", f.Sent, f.Tuple, f.First, f.Last, dataplane.Text(steps))
			}
		}
	}
	if !maps.Equal(got, want) {
		rt.Fatalf("metered\n%v\nsent\n%v", got, want)
	}
}

// end compares what the tap took with the events, one by one.
func (o *onlookers) end(rt *rapid.T) {
	if o.meter != nil {
		o.meter.Close()
	}
	if o.tap == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for i := range o.p.events {
		e := &o.p.events[i]
		p, err := o.tap.Next(ctx)
		if err != nil {
			rt.Fatalf("after %d of %d packets: %v", i, len(o.p.events), err)
		}
		sent, final := Parse(p.Sent), Parse(p.Sent)
		if p.Final != nil {
			final = Parse(p.Final)
		}
		if p.Way != e.Way || p.Packets != e.Packets || p.SentLen != len(p.Sent) || (p.Answer != nil) != e.Answered {
			rt.Fatalf("%s was taken as %+v", e, p)
		}
		if !sent.NonFirstFragment() && (sent.Tuple != e.Sent || final.Tuple != e.Tuple) {
			rt.Fatalf("%s: taken as %s, in the end %s", e, sent.Tuple, final.Tuple)
		}
		if n := len(p.Steps); n > 0 && p.Steps[n-1].Tuple != e.Tuple || n == 0 && p.Steps != nil {
			rt.Fatalf("%s was in detail\n%s", e, dataplane.Text(p.Steps))
		}
	}
	if o.tap.Skipped() != 0 {
		rt.Fatalf("%d packets skipped", o.tap.Skipped())
	}
	o.tap.Close()
}
