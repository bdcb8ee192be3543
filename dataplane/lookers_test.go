package dataplane_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/nat"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// none wants that a meter has nothing to tell.
func none(b *book, m *dataplane.Meter, when string) {
	b.TB.Helper()
	b.Engine.Collect()
	select {
	case r := <-m.C:
		b.TB.Errorf("%s: %+v", when, r)
	default:
	}
}

func TestMeter_BeginsWithNothing(t *testing.T) {
	b := newBook(t).applied()
	first := b.Engine.Meter(time.Hour, 4)
	b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Want(At("db"))
	second := b.Engine.Meter(time.Hour, 4)
	none(b, second, "what another meter had metered")
	if r := <-first.C; len(r.Flows) != 1 || r.Flows[0].Packets != 1 {
		t.Errorf("the first meter was given %+v", r)
	}
	second.Close()
	b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Want(At("db"))
	first.Close()
	third := b.Engine.Meter(time.Hour, 4)
	defer third.Close()
	none(b, third, "what nobody had taken")
	b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Want(At("db"))
	if r := read(b, third); len(r.Flows) != 1 || r.Flows[0].Packets != 1 || r.Skipped != 0 {
		t.Errorf("then %+v", r)
	}
}

// A port that goes, and its worker with it, takes nothing along.
func TestMeter_HasThePacketsOfAPortThatIsGone(t *testing.T) {
	b := newBook(t).applied()
	m := b.Engine.Meter(time.Hour, 4)
	defer m.Close()
	b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Want(At("db"))
	b.web.Port = nil
	b.Apply()
	if r := read(b, m); len(r.Flows) != 1 || r.Flows[0].Packets != 1 {
		t.Errorf("%+v", r)
	}
	none(b, m, "afterwards")
}

// Those who come and go, each before its own interval is over, put off nobody's.
func TestMeter_ReadsWhileOthersComeAndGo(t *testing.T) {
	b := newBook(t).applied()
	m := b.Engine.Meter(50*time.Millisecond, 1)
	defer m.Close()
	b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Want(At("db"))
	for range 2000 {
		b.Engine.Meter(time.Hour, 1).Close()
		select {
		case <-m.C:
			return
		case <-time.After(time.Millisecond):
		}
	}
	t.Error("no reading")
}

// A port that refuses a packet of a known flow: the flow of the drop has the tuples of
// all stages, as if it had met them.
func TestMeter_StepsOfWhatAPortRefused(t *testing.T) {
	b := newBook(t).applied()
	m := b.Engine.Meter(time.Hour, 1)
	defer m.Close()
	pkt := UDP(laptopIP+":4000", webEIP+":22", 10)
	for range 2 {
		b.laptop.Send(pkt).Want(At("web"))
	}
	b.web.Port.FailWrites = true
	b.laptop.Send(pkt).Want(Dropped(dataplane.PortWriteFailed))
	r := read(b, m)
	if len(r.Flows) != 2 {
		t.Fatalf("%d flows", len(r.Flows))
	}
	good, bad := r.Flows[0].Steps(), r.Flows[1].Steps()
	if r.Flows[1].Packets != 1 || r.Flows[1].Way.Reason() != dataplane.PortWriteFailed || len(good) != len(bad) {
		t.Fatalf("%+v", r.Flows[1])
	}
	for i := range good {
		if good[i].Tuple != bad[i].Tuple {
			t.Errorf("at %s: %s, want %s", good[i].Stage, bad[i].Tuple, good[i].Tuple)
		}
	}
}

// Datagrams that were held back and then refused are metered and accounted for as drops.
func TestJoinedDatagramsThatAPortRefused(t *testing.T) {
	b := offloaded(t)
	b.db.Send(UDP(dbIP+":9", webIP+":9", 1))
	m := b.Engine.Meter(time.Hour, 1)
	defer m.Close()
	w := b.Engine.Batcher(b.web.Port)
	one := Super(DF(UDP(webIP+":1", dbIP+":80", 100)), 0)
	w.Send(one, one, one) // the flow is known now, and metered
	b.db.Port.FailWrites = true
	before := w.Stats().Joined
	w.Send(one, one, one, one)
	if n := w.Stats().Joined - before; n != 2 {
		t.Fatalf("%d joined to the second", n)
	}
	flows, skipped := w.Metered()
	var got []string
	for i := range flows {
		f := &flows[i]
		got = append(got, fmt.Sprintf("%s %d packets %d bytes, %d steps", f.Way.Reason(), f.Packets, f.Bytes, len(f.Steps())))
		if last := f.Steps()[len(f.Steps())-1]; last.Tuple != f.Tuple || f.First == 0 || f.Last < f.First {
			t.Errorf("%+v ended as %s", f, last.Tuple)
		}
	}
	slices.Sort(got)
	if text := strings.Join(got, "; "); text != "DELIVERED 1 packets 128 bytes, 8 steps; DELIVERED 2 packets 256 bytes, 8 steps; PORT_WRITE_FAILED 4 packets 512 bytes, 8 steps" || skipped != 0 {
		t.Errorf("metered %s; %d skipped", text, skipped)
	}
	a := w.Account()
	web, db := a.Interfaces[b.web.Handle], a.Interfaces[b.db.Handle]
	if web.Sent != (dataplane.Traffic{Packets: 7, Bytes: 896}) || db.Received != (dataplane.Traffic{Packets: 3, Bytes: 384}) ||
		db.Dropped[dataplane.PortWriteFailed] != (dataplane.Traffic{Packets: 4, Bytes: 512}) {
		t.Errorf("accounted: web %+v, db %+v", web, db)
	}
}

// Where there are too many flows for an interval, what is counted and what is skipped is
// all that was sent, and known flows are still known.
func TestMeter_TooManyFlows(t *testing.T) {
	defer dataplane.SetLimits(1<<17, 3)()
	b := newBook(t).applied()
	m := b.Engine.Meter(time.Hour, 1)
	w := b.Engine.Batcher(b.web.Port)
	for interval := range 3 {
		for range 4 {
			for i := range 5 {
				w.Send(UDP(webIP+":1", fmt.Sprintf("%s:%d", dbIP, i+1), 10))
			}
		}
		flows, skipped := w.Metered()
		sum := skipped
		for i := range flows {
			sum += flows[i].Packets
			if flows[i].Packets != 4 {
				t.Errorf("%+v", flows[i])
			}
		}
		if len(flows) != 3 || skipped != 8 || sum != 20 {
			t.Errorf("interval %d: %d flows, %d skipped, %d in all", interval, len(flows), skipped, sum)
		}
	}
	if hits := w.Stats().Cache.Hits; hits < 40 {
		t.Errorf("%d of 60 packets went by the cache", hits)
	}
	m.Close()
}

// A worker that has met too many ways begins anew, and nothing is lost or changes.
func TestTooManyWays(t *testing.T) {
	for _, limit := range []int{1, 20, 60} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			defer dataplane.SetLimits(limit, 1<<17)()
			b := newBook(t)
			b.web.Groups = []*Group{b.Group("web", In("tcp", "22", "0.0.0.0/0"), Out("all", "", "0.0.0.0/0"))}
			var peers []*ENI
			for i := range 12 {
				peers = append(peers, b.private.ENI(fmt.Sprintf("p%d", i), fmt.Sprintf("172.30.1.%d", 100+i), b.open))
			}
			b.Apply()
			m := b.Engine.Meter(time.Hour, 1)
			defer m.Close()
			for range 3 {
				for i, p := range peers {
					b.web.Send(UDP(webIP+":1", fmt.Sprintf("172.30.1.%d:2", 100+i), 10)).Want(At(p.Port.Name))
					b.web.Send(SYN(webIP+":1", fmt.Sprintf("172.30.1.%d:2", 150+i))).Want(Dropped(dataplane.AddressUnassigned))
				}
			}
			r := read(b, m)
			var delivered, dropped uint64
			for i := range r.Flows {
				if f := &r.Flows[i]; f.Way.Reason() == dataplane.Delivered {
					delivered += f.Packets
				} else {
					dropped += f.Packets
				}
			}
			a := b.Engine.Account()
			web := a.Interfaces[b.web.Handle]
			if delivered != 36 || dropped != 36 || r.Skipped != 0 || web.Sent.Packets != 72 || web.Dropped[dataplane.AddressUnassigned].Packets != 36 {
				t.Errorf("metered %d and %d, %d skipped, accounted for %+v", delivered, dropped, r.Skipped, web)
			}
			for _, p := range peers {
				if n := a.Interfaces[p.Handle].Received.Packets; n != 3 {
					t.Errorf("%s received %d", p.Name, n)
				}
			}
			w := b.Engine.Batcher(b.web.Port)
			for range 3 {
				for i := range peers {
					w.Send(UDP(webIP+":1", fmt.Sprintf("172.30.1.%d:2", 100+i), 10))
				}
				if n := w.Ways(); n > limit+8 {
					t.Errorf("a tree of %d ways", n)
				}
			}
		})
	}
}

// A stage after which there are many ways finds each of them again.
func TestManyWaysFromOneStage(t *testing.T) {
	b := newBook(t)
	for i := range 30 {
		b.private.ENI(fmt.Sprintf("p%d", i), fmt.Sprintf("172.30.1.%d", 100+i), b.open)
	}
	b.Apply()
	w := b.Engine.Batcher(b.web.Port)
	var after []int
	for range 3 {
		for i := range 30 {
			w.Send(SYN(webIP+":1", fmt.Sprintf("172.30.1.%d:2", 100+i)))
		}
		after = append(after, w.Ways())
	}
	if after[0] < 60 || after[1] != after[0] || after[2] != after[0] {
		t.Errorf("ways after each round: %d", after)
	}
}

// A worker that sleeps keeps neither the last reading nor a tap that is closed.
func TestSleepingWorkersKeepNothing(t *testing.T) {
	b := newBook(t).applied()
	m := b.Engine.Meter(time.Hour, 1)
	reading, closed := func() (weak.Pointer[dataplane.Flow], weak.Pointer[dataplane.Tap]) {
		tp, err := b.Engine.Tap(dataplane.TapConfig{})
		if err != nil {
			t.Fatal(err)
		}
		b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Want(At("db"))
		tp.Close()
		return weak.Make(&read(b, m).Flows[0]), weak.Make(tp)
	}()
	runtime.GC()
	if reading.Value() != nil || closed.Value() != nil {
		t.Errorf("kept: reading %v, tap %v", reading.Value() != nil, closed.Value() != nil)
	}
	// Nor what was metered for somebody who has gone.
	b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Want(At("db"))
	old := weak.Make(b.Snapshot.VPCs[0])
	m.Close()
	b.Apply()
	b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Want(At("db"))
	b.Engine.Account()
	if runtime.GC(); old.Value() != nil {
		t.Error("kept: a snapshot")
	}
}

// What the sender's port refused is no answer.
func TestTap_AnswersThatAPortRefused(t *testing.T) {
	b := newBook(t).applied()
	tp := tap(t, b, dataplane.TapConfig{})
	b.web.Port.FailWrites = true
	r := b.web.Send(DF(UDP(webIP+":1", serverIP+":9", 3000)))
	if got := take(t, tp); r.Event.Answered || len(got) != 1 || got[0].Answer != nil {
		t.Errorf("answered %t, taken %+v", r.Event.Answered, got)
	}
}

func TestTap_StepsTakeRoom(t *testing.T) {
	b := newBook(t).applied()
	tp := tap(t, b, dataplane.TapConfig{Room: 20000, Detail: func(*dataplane.Way) bool { return true }})
	for range 60 {
		b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Want(At("db"))
	}
	got := take(t, tp)
	if len(got) < 5 || len(got) > 25 || len(got)+int(tp.Skipped()) != 60 {
		t.Errorf("%d taken into 20,000 bytes, %d skipped of 60", len(got), tp.Skipped())
	}
}

// A reader that keeps up costs the packets' way no memory.
func TestTap_NoAllocation(t *testing.T) {
	b := newBook(t)
	b.db.Port.Discard = true
	b.Apply()
	tp := tap(t, b, dataplane.TapConfig{})
	walk := b.Engine.Walker(b.web.Port)
	pkt := UDP(webIP+":1", dbIP+":2", 1000)
	round := func() {
		walk(pkt)
		if p, err := tp.Next(t.Context()); err != nil || len(p.Sent) != len(pkt) {
			t.Fatal(err)
		}
	}
	for range 4 {
		round()
	}
	if n := testing.AllocsPerRun(200, round); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

// An imagined packet that the NAT table refuses is not one that it has refused.
func TestTracer_CountsNoRefusals(t *testing.T) {
	b := newBook(t)
	small, err := nat.OpenTable("", 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { small.Close() })
	b.Config.NAT = small
	b.Apply()
	full := false
	for i := 0; !full; i++ {
		full = b.db.Send(UDP(fmt.Sprintf("%s:%d", dbIP, 1000+i), serverIP+":53", 10)).Event.Reason == dataplane.NATTableFull
	}
	before := small.Stats()
	got := b.Engine.Tracer().Send(b.db.Handle, UDP(dbIP+":999", serverIP+":53", 10))
	after := small.Stats()
	if got.Reason != dataplane.NATTableFull || before.RefusedFull != 1 || after.RefusedFull != 1 {
		t.Errorf("%s; %d refused, then %d", got.Reason, before.RefusedFull, after.RefusedFull)
	}
}

// What the packets of a Tracer have left expires as it would in the tables.
func TestTracer_ForgetsInTime(t *testing.T) {
	b := newBook(t)
	b.db.Groups = []*Group{b.Group("db", Out("tcp", "443", "0.0.0.0/0"))}
	b.web.Groups = []*Group{b.Group("web", In("tcp", "443", "172.30.0.0/16"))}
	b.Apply()
	tr := b.Engine.Tracer()
	out := tr.Send(b.db.Handle, SYN(dbIP+":1000", serverIP+":443"))
	answer := packet.BuildTCP(make([]byte, 64), Parse(out.Packet).Tuple.Reverse(), packet.FlagSYN|packet.FlagACK, 1, 2, nil)
	tr.Send(b.db.Handle, SYN(dbIP+":1000", webIP+":443"))
	near := SYNACK(webIP+":443", dbIP+":1000")
	check := func(wait time.Duration, far, close dataplane.Reason) {
		b.Advance(wait)
		if got := tr.Send(b.server.Handle, answer); got.Reason != far {
			t.Errorf("%s later: %s\n%s", wait, got.Reason, dataplane.Text(got.Steps))
		}
		if got := tr.Send(b.web.Handle, near); got.Reason != close {
			t.Errorf("%s later: %s\n%s", wait, got.Reason, dataplane.Text(got.Steps))
		}
	}
	for range 10 { // each packet renews both
		check(40*time.Second, dataplane.Delivered, dataplane.Delivered)
	}
	check(400*time.Second, dataplane.NATNoMapping, dataplane.SGHasNoRules)
}

// Whoever looks on, changes the network and ends it, in any order: nobody waits for ever.
// For the race detector, and for the order of locks.
func TestEverybodyAtOnce(t *testing.T) {
	b := newBook(t)
	for _, p := range []*Port{b.web.Port, b.db.Port} {
		p.Discard = true
	}
	b.Apply()
	second := b.Snapshot
	b.Apply()
	snapshots := []*dataplane.Snapshot{b.Snapshot, second}
	open := b.Engine.Meter(time.Millisecond, 1) // left open when the engine ends
	tp := tap(t, b, dataplane.TapConfig{})
	ended := make(chan struct{})
	var all sync.WaitGroup
	var turns []*atomic.Int64
	loop := func(f func(i int)) {
		n := new(atomic.Int64)
		turns = append(turns, n)
		all.Go(func() {
			for i := 0; ; i++ {
				f(i)
				n.Add(1)
				select {
				case <-ended:
					return
				default:
				}
			}
		})
	}
	for _, e := range []*ENI{b.web, b.db} {
		port, pkt := e.Port, UDP(webIP+":1", dbIP+":2", 10)
		loop(func(int) { _ = port.Send(pkt) })
	}
	loop(func(i int) { b.Engine.Swap(snapshots[i%2]) })
	loop(func(int) { b.Engine.Collect() })
	loop(func(int) { b.Engine.Account() })
	loop(func(int) { b.Engine.Stats(); b.Engine.Drops() })
	loop(func(int) { b.Engine.Meter(time.Millisecond, 1).Close() })
	loop(func(int) {
		if tp, err := b.Engine.Tap(dataplane.TapConfig{Detail: func(w *dataplane.Way) bool { return len(w.Steps()) > 3 }}); err == nil {
			tp.Close()
		}
	})
	loop(func(int) { b.Engine.Tracer().Send(b.db.Handle, SYN(dbIP+":1", serverIP+":2")) })
	everybodyHas := func(more int64) {
		for _, n := range turns {
			for end := n.Load() + more; n.Load() < end; {
				time.Sleep(time.Millisecond)
			}
		}
	}
	everybodyHas(20)
	b.Engine.Close()
	everybodyHas(2) // nobody minds that it has ended
	close(ended)
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("somebody waits for ever")
	}
	open.Close()
	tp.Close()
	if _, err := tp.Next(t.Context()); err != nil && !errors.Is(err, dataplane.ErrTapClosed) {
		t.Error(err)
	}
}
