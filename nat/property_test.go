package nat

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/internal/conntrack/tcpstate"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/slab"
)

// oracle is the table as one would describe it: a list of mappings, searched
// from end to end.
type oracle struct{ all []mapped }

type mapped struct {
	m   Mapping
	tcp tcpstate.State
}

func (o *oracle) outbound(gw uint32, tup packet.Tuple, now int64) *mapped {
	return o.find(now, func(m *Mapping) bool {
		return m.Gateway == gw && tup == packet.Tuple{
			Src: m.Inside, SrcPort: m.InsidePort, Dst: m.Dest, DstPort: m.DestPort, Proto: m.Proto}
	})
}

func (o *oracle) inbound(gw uint32, tup packet.Tuple, now int64) *mapped {
	return o.find(now, func(m *Mapping) bool { return m.Gateway == gw && tup == reply(*m) })
}

func (o *oracle) find(now int64, is func(*Mapping) bool) *mapped {
	for i := range o.all {
		if e := &o.all[i]; is(&e.m) && now < e.m.Deadline() {
			return e
		}
	}
	return nil
}

// observe does what a packet of the connection does.
func (e *mapped) observe(flags uint8, inbound bool, now int64) {
	if e.m.Proto == packet.ProtoTCP {
		if inbound && flags == syn && e.m.Phase == tcpstate.Closing {
			return
		}
		e.tcp = e.tcp.Next(!inbound, flags)
		e.m.Phase = e.tcp.Phase()
	}
	e.m.Last = now
}

func (o *oracle) expire(now int64) {
	o.all = slices.DeleteFunc(o.all, func(e mapped) bool { return now >= e.m.Deadline() })
}

var (
	anyTuple = rapid.Custom(func(rt *rapid.T) packet.Tuple {
		tup := fromInside(
			rapid.SampledFrom([]uint8{packet.ProtoTCP, packet.ProtoUDP, packet.ProtoICMP}).Draw(rt, "protocol"),
			rapid.Uint16Range(0, 1).Draw(rt, "source port"), 0)
		tup.Src[15] += rapid.Byte().Draw(rt, "host") % 2
		tup.Dst[15] += rapid.Byte().Draw(rt, "server") % 2
		if tup.Proto != packet.ProtoICMP {
			tup.DstPort = rapid.Uint16Range(0, 1).Draw(rt, "destination port")
		}
		return tup
	})
	anyFlags = rapid.SampledFrom([]uint8{syn, syn, syn | ack, ack, ack, fin | ack, fin | ack, rst})
)

// machine is what TestAgainstOracle drives.
type machine struct {
	path string
	tab  *Table
	o    oracle
	gws  []*Gateway
	now  int64
}

func (x *machine) open(rt *rapid.T) {
	var err error
	if x.tab, err = OpenTable(x.path, 1000); err != nil {
		rt.Fatal(err)
	}
}

// send is a packet from inside, as the data plane walks it.
func (x *machine) send(rt *rapid.T) {
	gw, tup := rapid.SampledFrom(x.gws).Draw(rt, "gateway"), anyTuple.Draw(rt, "tuple")
	flags := anyFlags.Draw(rt, "flags")
	m, ok := x.tab.Outbound(gw, tup, x.now)
	if want := x.o.outbound(gw.Handle, tup, x.now); ok != (want != nil) {
		rt.Fatalf("outbound %s: found %v, want %v", tup, ok, want)
	} else if ok {
		if m != want.m {
			rt.Fatalf("outbound %s: %+v, want %+v", tup, m, want.m)
		}
		want.observe(flags, false, x.now)
	} else {
		m = x.propose(rt, gw, tup)
		e := mapped{m: m}
		e.observe(flags, false, x.now)
		x.o.all = append(x.o.all, e)
	}
	if _, err := x.tab.Commit(m, flags, false, x.now); err != nil {
		rt.Fatalf("commit %+v: %v", m, err)
	}
}

func (x *machine) propose(rt *rapid.T, gw *Gateway, tup packet.Tuple) Mapping {
	m, refusal := x.tab.Propose(gw, tup, x.now)
	want := Mapping{
		Gateway: gw.Handle, Proto: tup.Proto, Inside: tup.Src, InsidePort: tup.SrcPort, Outside: gw.Addrs[0],
		OutsidePort: m.OutsidePort, Dest: tup.Dst, DestPort: tup.DstPort, IdleTimeout: DefaultIdleTimeout,
	}
	if refusal != RefusedNone || m != want || m.OutsidePort < FirstPort {
		rt.Fatalf("propose %s: %v, %+v", tup, refusal, m)
	}
	if other := x.o.inbound(gw.Handle, reply(m), x.now); other != nil {
		rt.Fatalf("propose %s: port of %+v", tup, other.m)
	}
	return m
}

// receive is a packet from outside, mostly one that fits.
func (x *machine) receive(rt *rapid.T) {
	if len(x.o.all) == 0 {
		return
	}
	tup := reply(rapid.SampledFrom(x.o.all).Draw(rt, "mapping").m)
	if rapid.IntRange(0, 4).Draw(rt, "astray") == 0 {
		tup.SrcPort++
	}
	gw, flags := rapid.SampledFrom(x.gws).Draw(rt, "gateway"), anyFlags.Draw(rt, "flags")
	m, ok := x.tab.Inbound(gw.Handle, tup, x.now)
	want := x.o.inbound(gw.Handle, tup, x.now)
	if ok != (want != nil) || ok && m != want.m {
		rt.Fatalf("inbound %s: %v, %+v, want %+v", tup, ok, m, want)
	}
	if !ok {
		return
	}
	if _, err := x.tab.Commit(m, flags, true, x.now); err != nil {
		rt.Fatalf("commit %+v: %v", m, err)
	}
	want.observe(flags, true, x.now)
}

// check compares the lists.
func (x *machine) check(rt *rapid.T) {
	x.o.expire(x.now)
	want := map[Mapping]bool{}
	for _, e := range x.o.all {
		want[e.m] = true
	}
	got, listed := map[Mapping]bool{}, 0
	x.tab.Mappings(func(m Mapping) bool {
		listed++
		if m.Deadline() > x.now {
			got[m] = true
		}
		return true
	})
	if !maps.Equal(got, want) || x.tab.Len() != listed {
		rt.Fatalf("mappings %+v (of %d), want %+v", got, x.tab.Len(), want)
	}
	// Pools count records, and nothing else keeps them.
	used := 0
	for _, p := range x.tab.pools.All() {
		used += int(p.used)
	}
	if used != listed {
		rt.Fatalf("pools count %d mappings, want %d", used, listed)
	}
}

func TestAgainstOracle(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		x := &machine{
			path: filepath.Join(dir, "nat"),
			gws:  []*Gateway{{Handle: 1, Addrs: []packet.Addr{primary, second}}, {Handle: 2, Addrs: []packet.Addr{primary}}},
			now:  1e15,
		}
		os.Remove(x.path)
		x.open(rt)
		defer func() { x.tab.Close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"send":    x.send,
			"receive": x.receive,
			"time":    func(rt *rapid.T) { x.now += int64(rapid.IntRange(1, 200).Draw(rt, "seconds")) * 1e9 },
			"expire":  func(rt *rapid.T) { x.tab.Expire(x.now, rapid.IntRange(0, 50).Draw(rt, "budget")) },
			"remove": func(rt *rapid.T) {
				h := rapid.Uint32Range(1, 20).Draw(rt, "handle")
				x.tab.RemoveGateway(h)
				x.o.all = slices.DeleteFunc(x.o.all, func(e mapped) bool { return e.m.Gateway == h })
			},
			"restart": func(rt *rapid.T) {
				x.tab.Close()
				x.open(rt)
			},
			"": x.check,
		})
	})
}

// TestConcurrent is for the race detector: all methods at once over few flows,
// walking again when another was faster.
func TestConcurrent(t *testing.T) {
	tab, gw := memory(t, 64), gateway(primary, second)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := range 3000 {
				now := int64(n) * int64(time.Second)
				walk(t, tab, gw, fromInside(packet.ProtoUDP, uint16(n*7%80), 53), now)
				switch n % 100 {
				case 0:
					tab.Expire(now, 20)
				case 25:
					tab.RemoveAddress(1, primary)
				case 50:
					tab.Mappings(func(m Mapping) bool {
						tab.Inbound(1, reply(m), now)
						return true
					})
				case 75:
					tab.RemoveGateway(2)
				}
			}
		})
	}
	wg.Wait()
	tab.RemoveGateway(1)
	if tab.Len() != 0 || tab.pools.Len() != 0 {
		t.Errorf("%d mappings and %d pools left", tab.Len(), tab.pools.Len())
	}
}

func walk(t *testing.T, tab *Table, gw *Gateway, tup packet.Tuple, now int64) {
	for range 100 {
		m, ok := tab.Outbound(gw, tup, now)
		if !ok {
			var refusal Refusal
			if m, refusal = tab.Propose(gw, tup, now); refusal == RefusedFull {
				return
			} else if refusal != RefusedNone {
				t.Error(refusal)
				return
			}
		}
		switch err := commit(tab, m, 0, false, now); {
		case err == nil, errors.Is(err, ErrFull):
			return
		case !errors.Is(err, ErrTaken):
			t.Error(err)
			return
		}
	}
	t.Errorf("%s: walked a hundred times", tup)
}

// TestConcurrentFlowsNeverShareAPort opens connections to one destination from
// several workers at once.
func TestConcurrentFlowsNeverShareAPort(t *testing.T) {
	tab, gw := memory(t, 60_000), gateway(primary)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range 5000 {
				walk(t, tab, gw, filler(w*5000+n), 1)
			}
		})
	}
	wg.Wait()
	ports := map[uint16]bool{}
	tab.Mappings(func(m Mapping) bool {
		if ports[m.OutsidePort] {
			t.Errorf("port %d has two connections", m.OutsidePort)
		}
		ports[m.OutsidePort] = true
		return true
	})
	if len(ports) != 20_000 {
		t.Errorf("%d connections, want 20,000", len(ports))
	}
}

func TestPathDoesNotAllocate(t *testing.T) {
	tab, gw := memory(t, 10), gateway(primary)
	tup := fromInside(packet.ProtoTCP, 40000, 443)
	now := int64(0)
	n := testing.AllocsPerRun(100, func() {
		m, refusal := tab.Propose(gw, tup, now)
		if refusal != RefusedNone || commit(tab, m, syn, false, now) != nil {
			t.Error(refusal)
		}
		if m, ok := tab.Outbound(gw, tup, now); !ok || commit(tab, m, ack, false, now) != nil {
			t.Error("not found")
		}
		if m, ok := tab.Inbound(1, reply(m), now); !ok || commit(tab, m, ack, true, now) != nil {
			t.Error("not found from outside")
		}
		now += int64(time.Hour)
		tab.Expire(now, 10)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

const childVar = "VPCEMU_NAT_TEST_CHILD"

func TestMain(m *testing.M) {
	path := os.Getenv(childVar)
	if path == "" {
		os.Exit(m.Run())
	}
	fmt.Println(mapForever(path))
	os.Exit(1)
}

// mapForever opens connections for as long as it lives and tells of each.
func mapForever(path string) error {
	tab, err := OpenTable(path, 100_000)
	if err != nil {
		return err
	}
	gw := gateway(primary)
	for n := range 50_000 {
		m, refusal := tab.Propose(gw, filler(n), 1)
		if refusal != RefusedNone {
			return fmt.Errorf("connection %d: %s", n, refusal)
		}
		if _, err := tab.Commit(m, ack, false, 1); err != nil {
			return err
		}
		fmt.Println(n, m.OutsidePort)
	}
	select {}
}

// TestKillNine: every connection that was mapped when the process was killed
// keeps its port in the next one, and no port is given again.
func TestKillNine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nat")
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childVar+"="+path)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ports []uint16
	for lines := bufio.NewReader(pipe); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // a line cut short tells nothing
		}
		var n int
		var port uint16
		if _, err := fmt.Sscan(line, &n, &port); err != nil || n != len(ports) {
			t.Fatalf("child said %q", line)
		}
		if ports = append(ports, port); n == 2000 {
			cmd.Process.Kill()
		}
	}
	cmd.Wait()
	if len(ports) < 2000 {
		t.Fatalf("the child ended after %d connections: %v", len(ports), cmd.ProcessState)
	}
	checkAfterKill(t, path, ports)
}

func checkAfterKill(t *testing.T, path string, ports []uint16) {
	tab, err := OpenTable(path, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	defer tab.Close()
	gw := gateway(primary)
	for n, port := range ports {
		m, ok := tab.Outbound(gw, filler(n), 2)
		if !ok || m.OutsidePort != port || m.Phase != tcpstate.Established {
			t.Fatalf("connection %d: %v, %+v, want port %d", n, ok, m, port)
		}
		if in, ok := tab.Inbound(1, reply(m), 2); !ok || in != m {
			t.Fatalf("connection %d from outside: %v, %+v", n, ok, in)
		}
	}
	made := tab.Len()
	if made > len(ports)+1 {
		t.Errorf("%d mappings, but only %d were told of", made, len(ports))
	}
	// The limit of NA-05 counts those of the other process.
	for n := made; n < ConnectionLimit; n++ {
		opened(t, tab, gw, filler(n), syn, 2)
	}
	if _, r := tab.Propose(gw, filler(ConnectionLimit), 2); r != RefusedExhausted {
		t.Errorf("connection 55,001: %v", r)
	}
}

func TestOtherFilesAreSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nat")
	if err := os.WriteFile(path, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenTable(path, 10); !errors.Is(err, slab.ErrSetAside) {
		t.Errorf("OpenTable: %v, want it set aside", err)
	}
	tab, err := OpenTable(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	tab.Close()
}

func TestRecordIsSmall(t *testing.T) {
	if n := recordBytes(); n > BytesPerMapping {
		t.Errorf("%d bytes a mapping, but BytesPerMapping is %d", n, BytesPerMapping)
	}
	if n := poolBytes(); n > BytesPerDestination {
		t.Errorf("%d bytes a destination, but BytesPerDestination is %d", n, BytesPerDestination)
	}
}

// recordBytes is what a mapping takes: the record, its slot, two links and their
// buckets. poolBytes come on top for each destination.
func recordBytes() int { return int(unsafe.Sizeof(record{})) + slab.SlotOverhead + 2*slab.LinkBytes }
func poolBytes() int   { return int(unsafe.Sizeof(pool{})) + slab.SlotOverhead + slab.LinkBytes }

func reportSize(b *testing.B) {
	b.ReportMetric(float64(recordBytes()), "B/record")
	b.ReportMetric(float64(poolBytes()), "B/destination")
}

func benchTable(b *testing.B, capacity int) *Table {
	tab, err := OpenTable(filepath.Join(b.TempDir(), "nat"), capacity)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { tab.Close() })
	return tab
}

func BenchmarkOutboundHit(b *testing.B) {
	const n = 50_000
	tab, gw := benchTable(b, 60_000), gateway(primary)
	fill(b, tab, gw, n, 0)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i*5 + 1) % n
		if _, ok := tab.Outbound(gw, filler(i), 1); !ok {
			b.Fatal("not found")
		}
	}
	reportSize(b)
}

func BenchmarkInboundHit(b *testing.B) {
	const n = 50_000
	tab, gw := benchTable(b, 60_000), gateway(primary)
	all := fill(b, tab, gw, n, 0)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i*5 + 1) % n
		if _, ok := tab.Inbound(1, reply(all[i]), 1); !ok {
			b.Fatal("not found")
		}
	}
}

func BenchmarkRefresh(b *testing.B) {
	tab, gw := benchTable(b, 100), gateway(primary)
	m := opened(b, tab, gw, filler(0), ack, 0)
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		if _, err := tab.Commit(m, ack, false, i); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkProposeAt is the search for a port with so many connections to the
// same destination.
func BenchmarkProposeAt(b *testing.B) {
	for _, n := range []int{0, 10_000, 50_000, ConnectionLimit - 1} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			tab, gw := benchTable(b, 60_000), gateway(primary)
			fill(b, tab, gw, n, 0)
			tup := filler(ConnectionLimit)
			b.ReportAllocs()
			for b.Loop() {
				if _, r := tab.Propose(gw, tup, 1); r != RefusedNone {
					b.Fatal(r)
				}
			}
		})
	}
}

// BenchmarkProposeExhausted is a packet that is refused.
func BenchmarkProposeExhausted(b *testing.B) {
	tab, gw := benchTable(b, 60_000), gateway(primary)
	fill(b, tab, gw, ConnectionLimit, 0)
	tup := filler(ConnectionLimit)
	b.ReportAllocs()
	for b.Loop() {
		if _, r := tab.Propose(gw, tup, 1); r != RefusedExhausted {
			b.Fatal(r)
		}
	}
}

// BenchmarkOpen makes 50,000 connections to one destination and removes them,
// over and over; the time is for one.
func BenchmarkOpen(b *testing.B) {
	const n = 50_000
	tab, gw := benchTable(b, 60_000), gateway(primary)
	b.ReportAllocs()
	now := int64(0)
	for i := 0; b.Loop(); i++ {
		if i%n == 0 && i > 0 {
			now += int64(time.Hour)
			tab.Expire(now, n)
		}
		opened(b, tab, gw, filler(i%n), syn, now)
	}
	reportSize(b)
}
