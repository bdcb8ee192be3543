package dataplane_test

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
	"weak"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/impair"
	"github.com/vpcemu/vpcemu/internal/packet"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// later moves the clock and gives what has come out by then, in order.
func (b *book) later(d time.Duration) []Output {
	b.Advance(d)
	b.Engine.Settle()
	return b.Outputs()
}

// total is how many packets have ended in whichever way.
func total(counts map[dataplane.Reason]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

const step = time.Millisecond

func delay(d time.Duration) impair.Conditions { return impair.Conditions{Delay: d} }

// Each of the links on a packet's way delays it, and no other does.
func TestLink_DelaysAddUp(t *testing.T) {
	b := newBook(t)
	b.public.Zone, b.private.Zone = "a", "c"
	b.web.Out, b.web.In = delay(1*step), delay(2*step)
	b.db.Out, b.db.In = delay(4*step), delay(8*step)
	b.public.Out, b.public.In = delay(16*step), delay(32*step)
	b.private.Out, b.private.In = delay(64*step), delay(128*step)
	b.ZoneLinks = map[[2]string]impair.Conditions{{"a", "c"}: delay(256 * step), {"c", "a"}: delay(512 * step), {"a", "a"}: delay(1024 * step)}
	b.Internet = Conditions{Out: delay(2048 * step), In: delay(4096 * step)}
	b.laptop.Out, b.laptop.In = delay(8192*step), delay(16384*step)
	b.public.ENI("web2", "172.30.0.11", b.open)
	b.Apply()
	for _, r := range []struct {
		name, to string
		send     func(pkt []byte) *Result
		pkt      []byte
		steps    int
	}{
		{"to another zone", "db", b.web.Send, UDP(webIP+":1", dbIP+":2", 10), 1 + 16 + 256 + 128 + 8},
		{"and back", "web", b.db.Send, UDP(dbIP+":2", webIP+":1", 10), 4 + 64 + 512 + 32 + 2},
		{"within a subnet", "web2", b.web.Send, UDP(webIP+":1", "172.30.0.11:2", 10), 1 + 1024},
		{"to the Internet", "laptop", b.web.Send, UDP(webIP+":1", laptopIP+":2", 10), 1 + 16 + 2048 + 16384},
		{"from the Internet", "web", b.laptop.Send, UDP(laptopIP+":2", webEIP+":1", 10), 8192 + 4096 + 32 + 2},
		{"through the NAT gateway", "server", b.db.Send, UDP(dbIP+":1", serverIP+":2", 10), 4 + 64 + 512 + 32 + 16 + 2048},
		{"between Internet hosts", "server", b.laptop.Send, UDP(laptopIP+":1", serverIP+":2", 10), 8192 + 2048},
	} {
		t.Run(r.name, func(t *testing.T) {
			for i := range 2 { // by the stages, then by the flow cache
				x := r.send(r.pkt)
				x.Want(Ended(dataplane.Delivered))
				if out := append(x.Out, b.later(time.Duration(r.steps)*step-1)...); len(out) != 0 {
					t.Fatalf("time %d: %d packets came too early", i, len(out))
				}
				if out := b.later(1); len(out) != 1 || out[0].Port != r.to {
					t.Fatalf("time %d: %+v came, want one at %s", i, out, r.to)
				}
			}
		})
	}
}

// A line is what a chain of queues is that are looked at packet by packet.
func TestLink_AgainstOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 5 {
		b := newBook(t)
		conditions := make([]impair.Conditions, 4)
		for i := range conditions {
			c := &conditions[i]
			if rng.IntN(2) == 0 {
				c.Delay = time.Duration(rng.IntN(20)) * step
			}
			if rng.IntN(2) == 0 {
				c.Rate, c.Queue.Packets = 300_000+rng.Int64N(5_000_000), 1+rng.IntN(20)
			}
		}
		b.web.Out, b.public.Out, b.private.In, b.db.In = conditions[0], conditions[1], conditions[2], conditions[3]
		b.Apply()
		chain := chainOracle(conditions)
		var want []int64 // when each packet is to arrive; 0: never
		got := map[uint16]int64{}
		take := func() {
			for _, o := range b.later(0) {
				got[Parse(o.Packet).SrcPort] = b.Now()
			}
		}
		for i := range 80 {
			size := 20 + rng.IntN(1000)
			b.web.Send(UDP(fmt.Sprintf("%s:%d", webIP, i+1), dbIP+":2", size))
			want = append(want, chain(b.Now(), size+28))
			take()
			for range rng.IntN(8) {
				b.Advance(step)
				take()
			}
		}
		for range 100 {
			b.Advance(10 * step)
			take()
		}
		full := uint64(0)
		for i, at := range want {
			is, came := got[uint16(i+1)]
			// A packet is seen at the first look after it has come.
			switch late := is - at; {
			case at == 0:
				if full++; came {
					t.Fatalf("%v: packet %d came and should have found the queue full", conditions, i)
				}
			case !came:
				t.Fatalf("%v: packet %d did not come", conditions, i)
			case late < 0 || late > int64(10*step):
				t.Fatalf("%v: packet %d came at %d, want %d", conditions, i, is, at)
			}
		}
		counts := b.Engine.Counters()
		if counts[dataplane.LinkQueueFull] != full || total(counts) != uint64(len(want)) {
			t.Fatalf("%v counted, %d of %d packets found a queue full", counts, full, len(want))
		}
		b.Close()
	}
}

// chainOracle gives what a packet that comes to a chain of links at a time, none before the
// one before it, leaves it at; 0: it does not. All links keep the order, so that one packet
// can be followed to the end before the next is looked at.
func chainOracle(conditions []impair.Conditions) func(now int64, bytes int) int64 {
	busy := make([]int64, len(conditions))
	sent := make([][]int64, len(conditions))
	return func(now int64, bytes int) int64 {
		for i, c := range conditions {
			if c.Rate > 0 {
				sent[i] = slices.DeleteFunc(sent[i], func(at int64) bool { return at <= now })
				if len(sent[i]) >= c.Queue.Packets {
					return 0
				}
				busy[i] = max(busy[i], now) + int64(math.Ceil(float64(bytes)*8e9/float64(c.Rate)))
				sent[i] = append(sent[i], busy[i])
				now = busy[i]
			}
			now += int64(c.Delay)
		}
		return now
	}
}

// Losses are what the conditions say, whichever way packets take, and are told of like any
// other drop.
func TestLink_Loss(t *testing.T) {
	b := newBook(t)
	b.web.Out = impair.Conditions{Loss: .2}
	b.Apply()
	const n = 5000
	came := 0
	for range n {
		r := b.web.Send(UDP(webIP+":1", dbIP+":2", 10))
		switch {
		case len(r.Out) == 1:
			r.Want(At("db"))
			came++
		default:
			r.Want(Dropped(dataplane.LinkLoss))
			if r.Event.Stage != dataplane.StageLink || r.Event.By.Name != "web out" {
				t.Fatalf("%+v", r.Event)
			}
		}
	}
	if came < n*76/100 || came > n*84/100 {
		t.Errorf("%d of %d came", came, n)
	}
	counts := b.Engine.Counters()
	if counts[dataplane.Delivered] != uint64(came) || counts[dataplane.LinkLoss] != uint64(n-came) {
		t.Errorf("%v", counts)
	}
	if l := b.Engine.Links()["web out"]; l.Packets != n || l.Lost != uint64(n-came) || l.Bytes != n*38 {
		t.Errorf("%+v", l)
	}
	if d := b.Engine.Account().Interfaces[b.db.Handle]; d.Received.Packets != uint64(came) {
		t.Errorf("%+v", d)
	}
}

// What loses everything is told of by traces, too; what loses nearly everything is not.
func TestLink_CertainLossIsTraced(t *testing.T) {
	b := newBook(t)
	b.db.In = impair.Conditions{Loss: 1}
	b.Apply()
	pkt := UDP(webIP+":1", dbIP+":2", 10)
	for range 3 {
		b.web.Send(pkt).Want(Dropped(dataplane.LinkLoss))
	}
	steps := b.Engine.Trace(b.web.Handle, pkt)
	if last := steps[len(steps)-1]; last.Reason != dataplane.LinkLoss || last.By.Name != "db in" {
		t.Errorf("%s", dataplane.Text(steps))
	}
	if l := b.Engine.Links()["db in"]; l.Lost != 3 {
		t.Errorf("%+v", l)
	}
	b.db.In.Loss = .999999999
	b.Apply()
	steps = b.Engine.Trace(b.web.Handle, pkt)
	if last := steps[len(steps)-1]; last.Reason != dataplane.Delivered {
		t.Errorf("%s", dataplane.Text(steps))
	}
}

// Over a link that only delays a super-packet stays whole; others meet its segments.
func TestLink_SuperPackets(t *testing.T) {
	b := offloaded(t)
	const n = 60000 // 42 segments
	tcp := DF(TCP(webIP+":1000", dbIP+":80", packet.FlagACK, n))
	b.web.Out = impair.Conditions{Delay: 5 * step, Jitter: step}
	b.Apply()
	for range 2 {
		if r := b.web.SendSuper(tcp, 1448); len(r.Out) != 0 {
			t.Fatal("too early")
		}
		r := &Result{TB: t, Out: b.later(6 * step)}
		r.Want(At("db"), uncut(1448, 42))
	}
	// 1448 and 40 bytes take 11.904 ms at 1 Mbit/s.
	b.web.Out = impair.Conditions{Rate: 1_000_000}
	b.Apply()
	b.web.SendSuper(tcp, 1448)
	for i := range 41 {
		if out := b.later(11904 * time.Microsecond); len(out) != 1 || len(out[0].Packet) != 1488 {
			t.Fatalf("after segment %d came %d", i, len(out))
		}
	}
	if out := b.later(11904 * time.Microsecond); len(out) != 1 || len(out[0].Packet) != 40+n-41*1448 {
		t.Fatalf("the last is %d", len(out))
	}
}

// What is lost of a super-packet is counted by segments, everywhere.
func TestLink_LossWithinSuperPackets(t *testing.T) {
	b := offloaded(t)
	b.web.Out = impair.Conditions{Loss: .3}
	b.Apply()
	m := b.Engine.Meter(time.Hour, 4)
	defer m.Close()
	came := 0
	for range 100 {
		r := b.web.SendSuper(DF(TCP(webIP+":1000", dbIP+":80", packet.FlagACK, 60000)), 1448)
		for _, o := range r.Out {
			if err := packet.VerifyChecksums(o.Packet); err != nil || o.Offload.GSO != packet.GSONone {
				t.Fatalf("%+v: %v", o.Offload, err)
			}
		}
		came += len(r.Out)
	}
	counts := b.Engine.Counters()
	if counts[dataplane.Delivered] != uint64(came) || counts[dataplane.LinkLoss] != uint64(4200-came) || came < 2700 || came > 3200 {
		t.Errorf("%d of 4200 came, %v", came, counts)
	}
	metered := map[dataplane.Reason]uint64{}
	for _, f := range read(b, m).Flows {
		metered[f.Way.Reason()] += f.Packets
	}
	if metered[dataplane.Delivered] != uint64(came) || metered[dataplane.LinkLoss] != uint64(4200-came) {
		t.Errorf("metered %v", metered)
	}
	a := b.Engine.Account().Interfaces
	if a[b.db.Handle].Received.Packets != uint64(came) || a[b.web.Handle].Sent.Packets != 4200 {
		t.Errorf("accounts: %+v %+v", a[b.db.Handle], a[b.web.Handle])
	}
	if d := b.Engine.Drops(); len(d) == 0 || d[0].Reason != dataplane.LinkLoss || d[0].Stage != dataplane.StageLink {
		t.Errorf("%+v", d)
	}
}

func TestLink_DuplicatesAndReordering(t *testing.T) {
	b := newBook(t)
	b.web.Out = impair.Conditions{Duplicate: 1}
	b.Apply()
	r := b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Want(Ended(dataplane.Delivered))
	if out := append(r.Out, b.later(0)...); len(out) != 2 {
		t.Errorf("%d came", len(out))
	}
	if c := b.Engine.Counters(); total(c) != 1 {
		t.Errorf("%v", c)
	}
	b.web.Out = impair.Conditions{Delay: 10 * step, Reorder: 1, Gap: 3}
	b.Apply()
	var order []uint16
	note := func(out []Output) {
		for _, o := range out {
			order = append(order, Parse(o.Packet).SrcPort)
		}
	}
	for i := range 6 {
		note(b.web.Send(UDP(fmt.Sprintf("%s:%d", webIP, i+1), dbIP+":2", 10)).Out)
	}
	note(b.later(10 * step))
	if !slices.Equal(order, []uint16{3, 6, 1, 2, 4, 5}) {
		t.Errorf("%v", order)
	}
	if l := b.Engine.Links()["web out"]; l.Reordered != 2 || l.Duplicated != 1 || l.Held != 0 {
		t.Errorf("%+v", l)
	}
}

// Fragments of one packet go one by one, and some of them missing is no loss of the packet
// that the network would know of.
func TestLink_Fragments(t *testing.T) {
	b := newBook(t)
	b.web.Out = impair.Conditions{Rate: 12_000_000, Loss: 1e-9}
	b.Apply()
	b.web.Send(UDP(webIP+":1", serverIP+":2", 4000)).Want(Ended(dataplane.Delivered))
	if out := b.later(time.Millisecond); len(out) != 1 || len(out[0].Packet) != 1500 {
		t.Fatalf("%d fragments after one's time", len(out))
	}
	if out := b.later(10 * time.Millisecond); len(out) != 2 {
		t.Errorf("%d fragments came after", len(out))
	}
}

// What the platform itself serves crosses no link, nor does it fail.
func TestLink_ServicesAreNotImpaired(t *testing.T) {
	b := newBook(t)
	b.vpc.Services = NewPort("services")
	b.vpc.Resolver = append(b.vpc.Resolver, Addr("172.30.0.2").Netip())
	b.public.Zone = "a"
	b.FailedZones = map[string]bool{"a": true}
	b.web.Out, b.web.In = delay(time.Hour), impair.Conditions{Loss: 1}
	b.Apply()
	b.web.Send(UDP(webIP+":1", "172.30.0.2:53", 10)).Want(Ended(dataplane.ToResolver))
	b.vpc.SendServices(UDP("172.30.0.2:53", webIP+":1", 10)).Want(At("web"))
	b.web.Send(UDP(webIP+":1", dbIP+":53", 10)).Want(Dropped(dataplane.ZoneFailed))
}

// A port that was closed, or given to another, gets nothing of what was under way.
func TestLink_PortsThatGo(t *testing.T) {
	b := newBook(t)
	b.web.Out = delay(10 * step)
	b.Apply()
	old := b.db.Port
	b.web.Send(UDP(webIP+":1", dbIP+":2", 10))
	b.db.Port = NewPort("db")
	b.Apply()
	if out := b.later(10 * step); len(out) != 0 || len(old.Received()) != 0 {
		t.Error("it was written to a port")
	}
	if c := b.Engine.Counters(); c[dataplane.ENIDetached] != 1 || total(c) != 1 {
		t.Errorf("%v", c)
	}
	if d := b.Engine.Drops(); len(d) != 1 || d[0].Reason != dataplane.ENIDetached || d[0].Sent.SrcPort != 1 {
		t.Errorf("%+v", d)
	}
	// The same queue, in the hands of another.
	b.web.Send(UDP(webIP+":1", dbIP+":2", 10))
	other := b.private.ENI("other", "172.30.1.21", b.open)
	other.Port, b.db.Port = b.db.Port, nil
	b.Apply()
	if out := b.later(10 * step); len(out) != 0 {
		t.Error("it was written to another's port")
	}
	other.Port, b.db.Port = NewPort("other"), other.Port
	b.Apply()
	b.web.Send(UDP(webIP+":1", dbIP+":2", 10))
	b.db.Port.FailWrites = true
	if b.later(10 * step); b.Engine.Counters()[dataplane.PortWriteFailed] != 1 {
		t.Errorf("%v", b.Engine.Counters())
	}
}

// Nothing that is under way to a place that fails arrives there.
func TestLink_FailsWhatIsUnderWay(t *testing.T) {
	b := newBook(t)
	b.private.Zone = "c"
	b.web.Out = delay(10 * step)
	b.Apply()
	b.web.Send(UDP(webIP+":1", dbIP+":2", 10))
	b.FailedZones = map[string]bool{"c": true}
	b.Apply()
	if out := b.later(10 * step); len(out) != 0 {
		t.Error("it arrived")
	}
	if c := b.Engine.Counters(); c[dataplane.ZoneFailed] != 1 || total(c) != 1 {
		t.Errorf("%v", c)
	}
}

// What waits in a link whose conditions change, or which is cleared, goes on at once; what
// waits in others is not disturbed.
func TestLink_ChangesLetGo(t *testing.T) {
	b := newBook(t)
	b.web.Out, b.server.In = impair.Conditions{Rate: 1000, Delay: time.Minute}, delay(30*step)
	b.Apply()
	for range 5 {
		b.web.Send(UDP(webIP+":1", dbIP+":2", 1000))
	}
	b.laptop.Send(UDP(laptopIP+":1", serverIP+":2", 10))
	if l := b.Engine.Links()["web out"]; l.Held != 5 {
		t.Errorf("%+v", l)
	}
	b.web.Out = delay(20 * step)
	b.Apply()
	if out := b.later(0); len(out) != 5 || out[0].Port != "db" {
		t.Errorf("%d came", len(out))
	}
	b.web.Send(UDP(webIP+":1", dbIP+":2", 1000))
	b.web.Out = impair.Conditions{}
	b.Apply()
	if out := b.later(0); len(out) != 1 || out[0].Port != "db" {
		t.Errorf("%d came", len(out))
	}
	b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Want(At("db"))
	if out := b.later(30 * step); len(out) != 1 || out[0].Port != "server" {
		t.Errorf("%+v", out)
	}
	if _, ok := b.Engine.Links()["web out"]; ok {
		t.Error("the link is still told of")
	}
}

// A packet that waits for an hour keeps no snapshot for an hour.
func TestLink_KeepsNoSnapshot(t *testing.T) {
	b := newBook(t)
	b.laptop.Out = delay(time.Hour)
	b.Apply()
	w := b.Engine.Batcher(b.laptop.Port)
	w.Send(UDP(laptopIP+":1", serverIP+":2", 10))
	b.laptop.Send(UDP(laptopIP+":1", serverIP+":2", 10))
	old := weak.Make(b.Snapshot.Internet)
	b.Apply()
	w.Send(UDP(laptopIP+":1", serverIP+":2", 10))
	b.laptop.Send(UDP(laptopIP+":1", serverIP+":2", 10))
	b.Engine.Settle()
	b.Engine.Account()
	if runtime.GC(); old.Value() != nil {
		t.Error("kept: a snapshot")
	}
	if out := b.later(time.Hour); len(out) != 4 {
		t.Errorf("%d came", len(out))
	}
}

// A line has room for so much, and no more.
func TestLink_MemoryIsBounded(t *testing.T) {
	defer dataplane.SetMaxLine(100_000)()
	b := newBook(t)
	b.web.Out = delay(time.Second)
	b.Apply()
	for range 300 {
		b.web.Send(UDP(webIP+":1", dbIP+":2", 972))
	}
	if out := b.later(time.Second); len(out) != 100 {
		t.Errorf("%d came", len(out))
	}
	if c := b.Engine.Counters(); c[dataplane.LinkQueueFull] != 200 || total(c) != 300 {
		t.Errorf("%v", c)
	}
	b.web.Send(UDP(webIP+":1", dbIP+":2", 972))
	if out := b.later(time.Second); len(out) != 1 {
		t.Errorf("%d came after", len(out))
	}
}

// A way over more links than the flow cache knows of is walked each time.
func TestLink_VeryManyLinks(t *testing.T) {
	b := newBook(t)
	all := Conditions{Out: delay(step), In: delay(step)}
	b.public.Zone, b.private.Zone = "a", "c"
	b.ZoneLinks = map[[2]string]impair.Conditions{{"a", "c"}: delay(step), {"c", "a"}: delay(step), {"a", "a"}: delay(step), {"c", "c"}: delay(step)}
	b.public.Conditions, b.private.Conditions, b.db.Conditions, b.web.Conditions, b.Internet = all, all, all, all, all
	second := b.public.NAT("second", "172.30.0.98")
	second.ENI.EIP(0, "203.0.113.98")
	b.public.Table = b.vpc.Table("public", "0.0.0.0/0 nat:second")
	third := b.vpc.Subnet("third", "172.30.2.0/24")
	third.Zone, third.Conditions = "c", all
	second.ENI.Subnet, b.public.ENIs, third.ENIs = third, b.public.ENIs[:len(b.public.ENIs)-1], append(third.ENIs, second.ENI)
	third.Table = b.vpc.Table("third", "0.0.0.0/0 igw")
	second.ENI.Addrs[0] = Addr("172.30.2.98").Netip()
	delete(b.vpc.Public, Addr("172.30.0.98").Netip())
	second.ENI.EIP(0, "203.0.113.98")
	b.Apply()
	for range 3 {
		b.db.Send(UDP(dbIP+":1", webEIP+":2", 10)).Want(Ended(dataplane.Delivered))
		if out := b.later(12*step - 1); len(out) != 0 {
			t.Fatal("too early")
		}
		if out := b.later(5 * step); len(out) != 1 || out[0].Port != "web" {
			t.Fatalf("%+v", out)
		}
	}
	if s := b.Engine.Stats().Cache; s.Hits != 0 {
		t.Errorf("%+v", s)
	}
}

func TestLink_NoAllocation(t *testing.T) {
	b := newBook(t)
	b.db.Port.Discard = true
	b.web.Out = impair.Conditions{Rate: 1_000_000_000, Loss: .01, Queue: impair.Queue{Packets: 100}}
	b.Apply()
	w := b.Engine.Batcher(b.web.Port)
	pkt := UDP(webIP+":1", dbIP+":2", 100)
	const packets = 60
	some := func() {
		for range packets {
			w.Send(pkt)
		}
		b.Advance(10 * step)
		b.Engine.Settle()
	}
	for range 20 {
		some()
	}
	if n := testing.AllocsPerRun(100, some); n > packets/4 { // some are Settle's own
		t.Errorf("%v allocations for %d packets", n, packets)
	}
}

// A worker that polls sends on by itself, and puts right what it has told of packets that
// are lost at a link behind another one.
func TestLink_BehindAnother(t *testing.T) {
	b := newBook(t)
	b.web.Out, b.db.In = delay(5*step), impair.Conditions{Rate: 100_000, Queue: impair.Queue{Packets: 3}}
	b.Apply()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(pair[1])
	s := *b.Snapshot
	e := *s.ENIs[b.web.Handle]
	e.Port = &queuePort{fd: pair[0]}
	s.ENIs = maps.Clone(s.ENIs)
	s.ENIs[b.web.Handle] = &e
	s.Finish()
	b.Engine.Swap(&s)
	events := b.Engine.Subscribe(100)
	for range 10 {
		if _, err := syscall.Write(pair[1], UDP(webIP+":1", dbIP+":2", 100)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all are read", func() bool { return b.Engine.Counters()[dataplane.Delivered] == 10 })
	out := b.later(5 * step)
	for range 20 {
		out = append(out, b.later(5*step)...)
	}
	if c := b.Engine.Counters(); len(out) != 3 || c[dataplane.Delivered] != 3 || c[dataplane.LinkQueueFull] != 7 || total(c) != 10 {
		t.Errorf("%d came, %v", len(out), c)
	}
	a := b.Engine.Account().Interfaces
	if sent, got := a[b.web.Handle].Sent, a[b.db.Handle].Received; sent != (dataplane.Traffic{Packets: 10, Bytes: 1280}) || got != (dataplane.Traffic{Packets: 3, Bytes: 384}) {
		t.Errorf("sent %+v, received %+v", sent, got)
	}
	ends := map[dataplane.Reason]int{}
	for range 17 { // what is lost on its way is told of a second time
		e := <-events.C
		ends[e.Reason]++
		if last := e.Way.Last(); last.Reason != e.Reason {
			t.Errorf("the way of %s ends with %s", &e, last)
		}
	}
	if ends[dataplane.Delivered] != 10 || ends[dataplane.LinkQueueFull] != 7 {
		t.Errorf("%v", ends)
	}
}

// With the real clock: what is delayed is not early, and comes without anybody's help.
func TestLink_RealClock(t *testing.T) {
	b := newBook(t)
	b.Config.Now = nil
	b.web.Out = delay(2 * time.Millisecond)
	b.Apply()
	for range 20 {
		began := time.Now()
		out := b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Out
		eventually(t, "it arrives", func() bool { out = append(out, b.Outputs()...); return len(out) == 1 })
		if took := time.Since(began); took < 2*time.Millisecond {
			t.Errorf("it took %s", took)
		}
	}
}
