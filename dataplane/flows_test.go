package dataplane_test

import (
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/packet"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// hits tells how many packets the flow caches have carried since it was asked last.
func hits(b *book) func() uint64 {
	last := b.Engine.Stats().Cache.Hits
	return func() uint64 {
		now := b.Engine.Stats().Cache.Hits
		n := now - last
		last = now
		return n
	}
}

// wantHits wants that n packets went by the cache since the last call.
func wantHits(t *testing.T, hits func() uint64, n uint64) {
	t.Helper()
	if got := hits(); got != n {
		t.Errorf("%d packets went by the flow cache, want %d", got, n)
	}
}

func TestKnownFlowsTakeOneLookup(t *testing.T) {
	b := newBook(t)
	b.db.Groups = []*Group{b.Group("db", In("all", "", "172.30.0.0/16"), Out("all", "", "0.0.0.0/0"))}
	b.Apply()
	n := hits(b)
	for _, c := range []struct {
		name     string
		from, to *Port
		there    []byte
		out      string
	}{
		{"cross subnet, tracked at one end", b.web.Port, b.db.Port, UDP(webIP+":1000", dbIP+":80", 100), "db"},
		{"Internet gateway, untracked", b.web.Port, b.server.Port, UDP(webIP+":1000", serverIP+":80", 100), "server"},
		{"into the VPC", b.laptop.Port, b.web.Port, UDP(laptopIP+":1000", webEIP+":80", 100), "web"},
		{"NAT gateway", b.db.Port, b.server.Port, UDP(dbIP+":1000", serverIP+":80", 100), "server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.TB = t
			first := b.SendRaw(c.from, c.there).Want(At(c.out))
			wantHits(t, n, 0)
			again := b.SendRaw(c.from, c.there).Want(At(c.out))
			wantHits(t, n, 1)
			if string(first.Out[0].Packet) != string(again.Out[0].Packet) {
				t.Errorf("by the stages % x,\nby the cache % x", first.Out[0].Packet, again.Out[0].Packet)
			}
			e, f := first.Event, again.Event
			if e.Reason != f.Reason || e.Stage != f.Stage || e.By != f.By || e.Tuple != f.Tuple || e.To != f.To || e.Size != f.Size {
				t.Errorf("by the stages %+v,\nby the cache %+v", e, f)
			}
			back := Reply(first.Out[0].Packet)
			b.SendRaw(c.to, back).Want(Ended(dataplane.Delivered))
			wantHits(t, n, 0)
			b.SendRaw(c.to, back).Want(Ended(dataplane.Delivered))
			wantHits(t, n, 1)
		})
	}
}

// What opens or ends a connection, ICMP and fragments take the stages each time.
func TestWhatTheCacheLeavesToTheStages(t *testing.T) {
	b := newBook(t).applied()
	n := hits(b)
	for range 2 {
		b.web.Send(SYN(webIP+":1", dbIP+":80")).Want(At("db"))
		b.web.Send(TCP(webIP+":1", dbIP+":80", packet.FlagFIN|packet.FlagACK, 0)).Want(At("db"))
		b.web.Send(RST(webIP+":1", dbIP+":80")).Want(At("db"))
		b.web.Send(Ping(webIP, dbIP, 1, 8)).Want(At("db"))
		for _, f := range Split(UDP(webIP+":1", dbIP+":80", 3000), 1500, 7) {
			b.web.Send(f).Want(At("db"))
		}
		b.web.Send(UDP(webIP+":1", "172.30.1.99:80", 8)).Want(Dropped(dataplane.AddressUnassigned))
	}
	wantHits(t, n, 0)
}

func TestCT05_RuleChangesMeetTheNextPacketOfAFlow(t *testing.T) {
	b := newBook(t)
	b.web.Groups = []*Group{b.Group("web", In("udp", "53", "0.0.0.0/0"), In("udp", "54", "172.30.0.0/16"), In("tcp", "22", "0.0.0.0/0"), Out("all", "", "0.0.0.0/0"))}
	b.Apply()
	n := hits(b)
	untracked, tracked := UDP(dbIP+":1", webIP+":53", 8), UDP(dbIP+":1", webIP+":54", 8)
	for range 2 {
		b.db.Send(untracked).Want(At("web"))
		b.db.Send(tracked).Want(At("web"))
	}
	wantHits(t, n, 2)
	b.web.Groups[0].Rules = b.web.Groups[0].Rules[2:]
	b.Apply()
	for range 2 {
		b.db.Send(untracked).Want(Dropped(dataplane.SGRulesMismatch))
		b.db.Send(tracked).Want(At("web")) // tracked connections go on
	}
	wantHits(t, n, 1)
}

func TestCT02_CachedFlowsExpire(t *testing.T) {
	b := newBook(t)
	b.web.Groups = []*Group{b.Group("web", In("udp", "53", "172.30.1.0/24"))}
	b.Apply()
	n := hits(b)
	in, out := UDP(dbIP+":1", webIP+":53", 8), UDP(webIP+":53", dbIP+":1", 8)
	b.db.Send(in).Want(At("web"))
	for range 3 {
		b.web.Send(out).Want(At("db"))
		b.Advance(29 * time.Second)
	}
	wantHits(t, n, 2)
	b.Advance(time.Second)
	// 30 s after the last packet the reply is one no more, and no rule lets it out.
	b.web.Send(out).Want(Dropped(dataplane.SGHasNoRules))
	b.db.Send(in).Want(At("web"))
	wantHits(t, n, 0)
	b.web.Send(out).Want(At("db"))
	wantHits(t, n, 1) // what it relies on is there again
}

// An untracked flow is cached as long as nothing tracks it: then its packets refresh
// what does.
func TestCT03_CachedUntrackedFlowThatBecomesTracked(t *testing.T) {
	b := newBook(t)
	// To 172.30.0.0/16 the flow is tracked, to all it is not.
	b.web.Groups = []*Group{b.Group("web", In("udp", "53", "0.0.0.0/0"), Out("all", "", "0.0.0.0/0"))}
	b.db.Groups = []*Group{b.open}
	b.Apply()
	in, out := UDP(dbIP+":1", webIP+":53", 8), UDP(webIP+":53", dbIP+":1", 8)
	for range 2 {
		b.db.Send(in).Want(At("web"))
		b.web.Send(out).Want(At("db"))
	}
	if n := b.Config.Conntrack.Len(); n != 0 {
		t.Fatalf("%d tracked connections, want none", n)
	}
	key := conntrack.KeyOf(b.web.Handle, Parse(out).Tuple, true)
	if _, err := b.Config.Conntrack.Observe(key, true, 0, 1, b.Now(), nil); err != nil {
		t.Fatal(err)
	}
	b.db.Send(in).Want(At("web"))
	e, ok := b.Config.Conntrack.Lookup(key, b.Now())
	if !ok || e.PacketsIn != 1 {
		t.Errorf("the packet did not refresh the entry: %+v, %v", e, ok)
	}
}

func TestNA07_CachedFlowMeetsTheIdleTimeout(t *testing.T) {
	b := newBook(t)
	b.Apply()
	n := hits(b)
	r := b.db.Send(SYN(dbIP+":1", serverIP+":80")).Want(At("server"))
	b.server.Send(Reply(r.Out[0].Packet)).Want(At("db"))
	ack := ACK(dbIP+":1", serverIP+":80")
	for range 3 {
		b.db.Send(ack).Want(At("server"))
		b.Advance(349 * time.Second)
	}
	wantHits(t, n, 2)
	b.Advance(time.Second)
	b.db.Send(ack).Want(Answered(dataplane.NATIdleTimeout, "db"))
	wantHits(t, n, 0)
}

func TestCachedFlowsLookAtTTLAndSize(t *testing.T) {
	b := newBook(t).applied()
	n := hits(b)
	pkt := func(ttl uint8, size int) []byte { return TTL(DF(UDP(dbIP+":1", serverIP+":80", size)), ttl) }
	b.db.Send(pkt(64, 8)).Want(At("server"))
	b.db.Send(pkt(64, 1472)).Want(At("server"))
	b.db.Send(pkt(3, 8)).Want(At("server"))
	wantHits(t, n, 2)
	b.db.Send(pkt(64, 1473)).Want(Answered(dataplane.PacketTooBig, "db"), NextMTU(1500))
	b.db.Send(pkt(2, 8)).Want(Dropped(dataplane.TTLExpired)) // at the Internet gateway
	b.db.Send(pkt(1, 8)).Want(Answered(dataplane.TTLExpired, "db"))
	wantHits(t, n, 0)
}

func TestRT15_CachedFlowsKnowTheirNextHop(t *testing.T) {
	b := newBook(t)
	tap := b.public.ENI("tap", "172.30.0.12", b.open).TAP()
	tap.NoCheck = true
	box := b.public.ENI("box", "172.30.0.13", b.open).TAP()
	box.NoCheck = true
	b.Apply()
	pkt := UDP("172.30.0.12:1", dbIP+":80", 8)
	for range 2 {
		tap.Send(pkt).Want(At("db"))
		tap.SendFrame(Frame(box.MAC(), tap.MAC(), 0x0800, pkt)).Want(At("box"))
	}
}

// A flow that is remembered for one port is not for another.
func TestCachedFlowsFollowTheirAddress(t *testing.T) {
	b := newBook(t).applied()
	pkt := UDP(webIP+":1", dbIP+":80", 8)
	for range 2 {
		b.web.Send(pkt).Want(At("db"))
	}
	b.db.Port = NewPort("db-again")
	b.Apply()
	for range 2 {
		b.web.Send(pkt).Want(At("db-again"))
	}
	b.db.Addrs = []netip.Addr{netip.MustParseAddr("172.30.1.21")}
	b.Apply()
	b.web.Send(pkt).Want(Dropped(dataplane.AddressUnassigned))
}

// The cache is bounded. It grows while flows in use give way, and what it forgets
// takes the stages.
func TestFlowCacheGrowsUpToItsBound(t *testing.T) {
	b := newBook(t)
	b.Config.FlowEntries = 4096
	b.Apply()
	b.db.Port.Discard = true
	w := b.Engine.Batcher(b.web.Port)
	round := func(flows int) dataplane.Stats {
		for i := range flows {
			w.Send(UDP(webIP+":"+strconv.Itoa(10000+i), dbIP+":80", 8))
		}
		return w.Stats()
	}
	round(500)
	if s := round(500); s.Cache.Entries != 1024 || s.Cache.Hits < 400 {
		t.Errorf("500 flows: %+v", s.Cache)
	}
	round(20000)
	s := round(20000)
	if s.Cache.Entries != 4096 || s.Cache.Evicted < 20000 {
		t.Errorf("20,000 flows in a cache for 4,096: %+v", s.Cache)
	}
	if got := s.Reasons[dataplane.Delivered]; got != 41000 {
		t.Errorf("%d packets were delivered, want all 41,000", got)
	}
	// Idle flows give way to others without a word.
	b.Advance(time.Minute)
	if before := s.Cache.Evicted; round(4000).Cache.Evicted > before+1000 {
		t.Errorf("idle flows count as evicted in use: %+v", w.Stats().Cache)
	}
}

// A cache that grows takes along what it remembers, when it is asked for.
func TestFlowCacheGrowsWithoutForgetting(t *testing.T) {
	b := newBook(t).applied()
	b.db.Port.Discard = true
	w := b.Engine.Batcher(b.web.Port)
	const flows = 1100 // the first table has room for 1,024
	round := func() dataplane.CacheStats {
		for i := range flows {
			w.Send(UDP(webIP+":"+strconv.Itoa(10000+i), dbIP+":80", 8))
		}
		return w.Stats().Cache
	}
	first := round()
	if first.Entries < flows {
		t.Fatalf("room for %d, want it to have grown beyond %d", first.Entries, flows)
	}
	second := round()
	if missed := second.Misses - first.Misses; missed > first.Evicted {
		t.Errorf("%d of %d flows were forgotten, %d had to give way", missed, flows, first.Evicted)
	}
	if second.Hits < flows-first.Evicted {
		t.Errorf("%+v", second)
	}
	// In the end there is one table.
	for range 6 {
		b.Apply() // all are placed anew
		round()
	}
	if got := round(); first.Entries != 1024+2048 || got.Entries != 2048 {
		t.Errorf("room for %d entries, and in the end for %d; want 1024+2048 and 2048", first.Entries, got.Entries)
	}
}
