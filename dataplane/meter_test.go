package dataplane_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// read takes one reading; the interval of the meters in these tests is long.
func read(b *book, m *dataplane.Meter) dataplane.Reading {
	b.TB.Helper()
	b.Engine.Collect()
	select {
	case r := <-m.C:
		return r
	default:
		b.TB.Fatal("no reading")
		return dataplane.Reading{}
	}
}

func flowText(f *dataplane.Flow) string {
	return fmt.Sprintf("%s %s %d packets %d bytes flags %#x from %s to %s", f.Sent, f.Way.Reason(), f.Packets, f.Bytes, f.Flags, f.Way.From().Ref().Name, f.Way.To().Ref().Name)
}

func TestMeter_CountsEveryPacketOfAFlow(t *testing.T) {
	b := newBook(t)
	b.web.Groups = []*Group{b.Group("web", In("tcp", "22", "0.0.0.0/0"))}
	b.Apply()
	b.laptop.Send(SYN(laptopIP+":9", webEIP+":22")) // before there is a meter
	m := b.Engine.Meter(time.Hour, 4)
	defer m.Close()
	start := b.Now()
	b.laptop.Send(SYN(laptopIP+":4000", webEIP+":22")).Want(At("web"))
	b.web.Send(SYNACK(webIP+":22", laptopIP+":4000")).Want(At("laptop"))
	for range 5 {
		b.Advance(time.Second)
		b.laptop.Send(TCP(laptopIP+":4000", webEIP+":22", packet.FlagACK|packet.FlagPSH, 100)).Want(At("web"))
	}
	b.laptop.Send(SYN(laptopIP+":4000", webEIP+":23")).Want(Dropped(dataplane.SGRulesMismatch))
	r := read(b, m)
	var text []string
	var f dataplane.Flow // the data
	for i := range r.Flows {
		text = append(text, flowText(&r.Flows[i]))
		if r.Flows[i].Packets == 5 {
			f = r.Flows[i]
		}
	}
	slices.Sort(text) // each port of this lab has a worker of its own
	want := []string{
		"tcp 172.30.0.10:22 > 198.51.100.5:4000 DELIVERED 1 packets 40 bytes flags 0x12 from web to laptop",
		"tcp 198.51.100.5:4000 > 203.0.113.10:22 DELIVERED 1 packets 40 bytes flags 0x2 from laptop to web",
		"tcp 198.51.100.5:4000 > 203.0.113.10:22 DELIVERED 5 packets 700 bytes flags 0x0 from laptop to web",
		"tcp 198.51.100.5:4000 > 203.0.113.10:23 ENI_SG_RULES_MISMATCH 1 packets 40 bytes flags 0x2 from laptop to ",
	}
	if got := strings.Join(text, "\n"); got != strings.Join(want, "\n") || r.Skipped != 0 {
		t.Errorf("got\n%s\nskipped %d", got, r.Skipped)
	}
	if f.First != start+1e9 || f.Last != start+5e9 {
		t.Errorf("from %d to %d", f.First-start, f.Last-start)
	}
	if got := dataplane.Text(f.Steps()); got != b.laptop.Trace(ACK(laptopIP+":4000", webEIP+":22")) {
		t.Errorf("steps\n%s", got)
	}
	// The next interval begins with nothing.
	b.laptop.Send(ACK(laptopIP+":4000", webEIP+":22")).Want(At("web"))
	if r := read(b, m); len(r.Flows) != 1 || r.Flows[0].Packets != 1 {
		t.Errorf("%+v", r)
	}
}

// A reading that is not taken is told of in the next one.
func TestMeter_TellsWhatItSkipped(t *testing.T) {
	b := newBook(t).applied()
	m := b.Engine.Meter(time.Hour, 1)
	defer m.Close()
	for i := range 3 {
		for range i + 1 {
			b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Want(At("db"))
		}
		b.Engine.Collect()
	}
	if r := <-m.C; r.Skipped != 0 || r.Flows[0].Packets != 1 {
		t.Errorf("first %+v", r)
	}
	b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Want(At("db"))
	if r := read(b, m); r.Skipped != 5 {
		t.Errorf("skipped %d, want 5", r.Skipped)
	}
	b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Want(At("db"))
	if r := read(b, m); r.Skipped != 0 {
		t.Errorf("told again of %d", r.Skipped)
	}
}

// A meter has all packets from the moment it is there: it waits for a worker that is in a
// batch which it began before.
func TestMeter_WaitsForABatchUnderWay(t *testing.T) {
	b := newBook(t).applied()
	entered, release := make(chan struct{}), make(chan struct{})
	tap(t, b, dataplane.TapConfig{Want: func(*dataplane.Way) bool { close(entered); <-release; return true }})
	var sent sync.WaitGroup
	sent.Go(func() { _ = b.web.Port.Send(UDP(webIP+":1", dbIP+":2", 10)) })
	<-entered
	made := make(chan *dataplane.Meter)
	go func() { made <- b.Engine.Meter(time.Hour, 1) }()
	select {
	case <-made:
		t.Error("it did not wait")
		close(release)
	case <-time.After(50 * time.Millisecond): // as long as nothing comes, it waits
		close(release)
		(<-made).Close()
	}
	sent.Wait()
}

func TestMeter_ReadsByItself(t *testing.T) {
	b := newBook(t).applied()
	m := b.Engine.Meter(time.Millisecond, 4)
	defer m.Close()
	b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Want(At("db"))
	if r := <-m.C; len(r.Flows) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestMeter_TranslationsAreInTheSteps(t *testing.T) {
	b := newBook(t).applied()
	m := b.Engine.Meter(time.Hour, 1)
	defer m.Close()
	b.db.Send(UDP(dbIP+":1000", serverIP+":53", 10)).Want(At("server"))
	r := read(b, m)
	var seen []string
	for _, s := range r.Flows[0].Steps() {
		if s.At != nil {
			seen = append(seen, fmt.Sprintf("%s %s %s", s.Stage, s.At.Name, s.Tuple.Src))
		}
	}
	want := "source-check db 172.30.1.20, sg-egress db 172.30.1.20, acl-egress db 172.30.1.20, route db 172.30.1.20, " +
		"acl-ingress nat-eni 172.30.1.20, nat-gateway nat-eni 172.30.0.99, acl-egress nat-eni 172.30.0.99, route nat-eni 172.30.0.99"
	if got := strings.Join(seen, ", "); got != want {
		t.Errorf("got %s", got)
	}
}

// take reads what has been taken so far.
func take(t *testing.T, tap *dataplane.Tap) (all []dataplane.Taken) {
	t.Helper()
	for {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p, err := tap.Next(ctx)
		if errors.Is(err, context.Canceled) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		p.Sent, p.Final, p.Answer = append([]byte(nil), p.Sent...), append([]byte(nil), p.Final...), append([]byte(nil), p.Answer...)
		all = append(all, p)
	}
}

func tap(t *testing.T, b *book, cfg dataplane.TapConfig) *dataplane.Tap {
	t.Helper()
	tp, err := b.Engine.Tap(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tp.Close)
	return tp
}

func TestTap_BothFormsDropsAndAnswers(t *testing.T) {
	b := newBook(t).applied()
	tp := tap(t, b, dataplane.TapConfig{})
	data := TCP(laptopIP+":4000", webEIP+":22", packet.FlagACK, 50)
	for range 3 { // the last by the cache
		b.laptop.Send(data).Want(At("web"))
	}
	b.web.Send(SYN(webIP+":1", "10.99.0.1:80")).Want(Dropped(dataplane.IGWDestinationRFC1918))
	big := DF(UDP(webIP+":1", serverIP+":9", 3000))
	b.web.Send(big).Want(Answered(dataplane.PacketTooBig, "web"))
	same := UDP(webIP+":1", dbIP+":2", 20)
	b.web.Send(same).Want(At("db"))
	got := take(t, tp)
	if len(got) != 6 || tp.Skipped() != 0 {
		t.Fatalf("%d packets taken, %d skipped", len(got), tp.Skipped())
	}
	for i, p := range got[:3] {
		h := Parse(p.Final)
		if string(p.Sent) != string(data) || h.Dst != Addr(webIP) || packet.VerifyChecksums(p.Final) != nil || p.Way.To().ENI.Name != "web" || p.Packets != 1 {
			t.Errorf("%d: %+v", i, p)
		}
	}
	if p := got[3]; p.Way.Reason() != dataplane.IGWDestinationRFC1918 || p.Final != nil || p.Way.Last().By.ID != "igw-book" {
		t.Errorf("dropped: %+v", p)
	}
	if p := got[4]; p.Way.Reason() != dataplane.PacketTooBig || len(p.Sent) != len(big) || Parse(p.Answer).ICMPType != 3 {
		t.Errorf("answered: %+v", p)
	}
	if p := got[5]; p.Final != nil || string(p.Sent) != string(same) || p.Answer != nil {
		t.Errorf("unchanged: %+v", p)
	}
}

func TestTap_WantsFiltersAndDetail(t *testing.T) {
	b := newBook(t).applied()
	nat := tap(t, b, dataplane.TapConfig{
		Want:   func(w *dataplane.Way) bool { return w.Passes("nat-nat") },
		Detail: func(w *dataplane.Way) bool { return true },
	})
	port := tap(t, b, dataplane.TapConfig{Snap: 30, Filter: func(ip []byte) bool { return len(ip) == 30 && ip[23] == 80 }})
	eip := tap(t, b, dataplane.TapConfig{Filter: func(ip []byte) bool { h := Parse(ip); return h.Src == Addr(natEIP) }})
	for range 3 {
		b.db.Send(UDP(dbIP+":1000", serverIP+":80", 40)).Want(At("server"))
		b.web.Send(UDP(webIP+":1000", dbIP+":81", 40)).Want(At("db"))
	}
	if got := take(t, nat); len(got) != 3 || len(got[2].Steps) == 0 || got[2].Steps[len(got[2].Steps)-1].Tuple.Src != Addr(natEIP) {
		t.Errorf("at the NAT gateway: %d, %+v", len(got), got)
	}
	if got := take(t, port); len(got) != 3 || len(got[0].Sent) != 30 || got[0].SentLen != 68 || got[0].Steps != nil {
		t.Errorf("to port 80: %d, %+v", len(got), got)
	}
	if got := take(t, eip); len(got) != 3 {
		t.Errorf("from the Elastic IP: %d", len(got))
	}
	nat.Close()
	if _, err := nat.Next(t.Context()); !errors.Is(err, dataplane.ErrTapClosed) {
		t.Errorf("after Close: %v", err)
	}
	b.db.Send(UDP(dbIP+":1000", serverIP+":80", 40)).Want(At("server"))
	if got := take(t, eip); len(got) != 1 {
		t.Errorf("after another tap went: %d", len(got))
	}
}

// A tap has every packet that comes after it was made, also one that a worker reads in a
// batch that it began before.
func TestTap_MadeDuringABatch(t *testing.T) {
	b := newBook(t).applied()
	b.db.Port.Discard = true
	var tp *dataplane.Tap
	b.Engine.Batcher(b.web.Port).Interrupted(func() { tp = tap(t, b, dataplane.TapConfig{}) }, UDP(webIP+":1", dbIP+":2", 20))
	if got := len(take(t, tp)); got != 1 {
		t.Errorf("%d packets taken, want 1", got)
	}
}

func TestTap_SkipsRatherThanWaits(t *testing.T) {
	b := newBook(t).applied()
	tp := tap(t, b, dataplane.TapConfig{Room: 2000})
	for range 20 {
		b.web.Send(UDP(webIP+":1", dbIP+":2", 200)).Want(At("db"))
	}
	got := len(take(t, tp))
	if got == 0 || got+int(tp.Skipped()) != 20 {
		t.Errorf("%d taken, %d skipped of 20", got, tp.Skipped())
	}
	b.web.Send(UDP(webIP+":1", dbIP+":2", 200)).Want(At("db"))
	if len(take(t, tp)) != 1 {
		t.Error("no room after it was read")
	}
}

func TestTap_SuperPacketsHaveWholeChecksums(t *testing.T) {
	b := newBook(t)
	b.web.Port.Offload, b.db.Port.Offload = true, true
	b.Apply()
	tp := tap(t, b, dataplane.TapConfig{})
	for range 2 {
		b.web.SendSuper(TCP(webIP+":1000", dbIP+":80", packet.FlagACK, 4000), 1000)
	}
	for _, p := range take(t, tp) {
		if p.Packets != 4 || p.SentLen != 4040 || packet.VerifyChecksums(p.Sent) != nil {
			t.Errorf("%d packets, %d bytes: %v", p.Packets, p.SentLen, packet.VerifyChecksums(p.Sent))
		}
	}
}

func TestTap_NoMoreThan64(t *testing.T) {
	b := newBook(t).applied()
	for i := range 65 {
		tp, err := b.Engine.Tap(dataplane.TapConfig{})
		if (err != nil) != (i == 64) || err != nil && !errors.Is(err, dataplane.ErrTooManyTaps) {
			t.Fatalf("%d: %v", i, err)
		}
		if tp != nil {
			t.Cleanup(tp.Close)
		}
	}
}

// Who watches comes and goes while packets flow; for the race detector.
func TestWatchersComeAndGo(t *testing.T) {
	b := newBook(t)
	b.db.Port.Discard, b.web.Port.Discard = true, true
	b.Apply()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for ctx.Err() == nil {
				m := b.Engine.Meter(time.Millisecond, 1)
				tp, err := b.Engine.Tap(dataplane.TapConfig{Detail: func(*dataplane.Way) bool { return true }})
				if err != nil {
					t.Error(err)
				}
				b.Engine.Collect()
				if p, err := tp.Next(ctx); err == nil {
					_ = p.Way.Steps()
				}
				b.Engine.Account()
				tp.Close()
				m.Close()
			}
		})
	}
	for i := range 2000 {
		pkt := UDP(webIP+":1", fmt.Sprintf("%s:%d", dbIP, i%7+1), 10)
		if err := b.web.Port.Send(pkt); err != nil {
			t.Fatal(err)
		}
		if i%500 == 0 {
			b.Apply()
		}
	}
	cancel()
	all.Wait()
	var received uint64
	for range 100 {
		if received = b.Engine.Account().Interfaces[b.db.Handle].Received.Packets; received == 2000 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if received != 2000 {
		t.Errorf("%d packets accounted for, of 2000", received)
	}
}
