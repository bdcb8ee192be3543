package conntrack

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/slab"
)

// oracle is the table as one would describe it: a map, and the whole history of
// each connection, from which everything is worked out anew at every question.
type oracle map[Key][]event

type event struct {
	outbound bool
	flags    uint8
	at       int64
}

// life is what is left of a history: the part since the connection was opened.
func (o oracle) life(k Key) (l []event, e Entry) {
	for _, ev := range o[k] {
		if len(l) > 0 && (ev.at >= e.Deadline || o.unasked(k, l, ev)) {
			l = nil
		}
		l = append(l, ev)
		e = o.judge(k, l)
	}
	return l, e
}

// unasked: a packet that the life before it does not cover.
func (o oracle) unasked(k Key, l []event, ev event) bool {
	switch k.Proto {
	case packet.ProtoTCP:
		return ev.flags&(syn|ack|rst) == syn && o.judge(k, l).State == TCPClosing
	case packet.ProtoICMP:
		reply := k.LocalPort != 0 && !l[0].outbound || k.RemotePort != 0 && l[0].outbound
		return reply && ev.outbound != l[0].outbound
	}
	return false
}

func (o oracle) judge(k Key, l []event) Entry {
	e := Entry{Outbound: l[0].outbound}
	for _, ev := range l {
		if ev.outbound {
			e.PacketsOut++
		} else {
			e.PacketsIn++
		}
	}
	var d time.Duration
	switch k.Proto {
	case packet.ProtoTCP:
		e.State = judgeTCP(l)
		d = map[State]time.Duration{TCPOpening: 120, TCPEstablished: 432000, TCPClosing: 60}[e.State]
	case packet.ProtoUDP:
		e.State, d = UDP, 30
		if e.PacketsOut >= 2 && e.PacketsIn >= 2 {
			e.State, d = UDPStream, 180
		}
	case packet.ProtoICMP:
		e.State, d = ICMP, 30
	default:
		e.State, d = Other, 600
	}
	e.Deadline = l[len(l)-1].at + int64(d*time.Second)
	return e
}

// judgeTCP reads a history front to back for each question.
func judgeTCP(l []event) State {
	opener := l[0].outbound
	// A RST counts while the side it came from stays silent.
	for i, ev := range l {
		silent := true
		for _, later := range l[i+1:] {
			if later.outbound == ev.outbound && later.flags&rst == 0 {
				silent = false
			}
		}
		if ev.flags&rst != 0 && silent {
			return TCPClosing
		}
	}
	fins := map[bool]bool{}
	answered, established := false, false
	begun := false
	for _, ev := range l {
		if ev.flags&rst != 0 {
			begun = true
			continue
		}
		if ev.flags&fin != 0 {
			fins[ev.outbound] = true
		}
		switch {
		case !begun && ev.flags&(syn|ack) != syn:
			answered, established = true, true
		case begun && ev.flags&syn != 0 && ev.outbound != opener:
			answered = true
		case begun && ev.flags&ack != 0 && answered:
			established = true
		}
		begun = true
	}
	switch {
	case len(fins) == 2:
		return TCPClosing
	case established:
		return TCPEstablished
	}
	return TCPOpening
}

// TestAgainstOracle drives table and oracle with random packets, expiry, moving
// time, removed ENIs and restarts.
func TestAgainstOracle(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(dir, "conntrack")
		os.Remove(path)
		open := func() *Table {
			tab, err := Open(path, 1000)
			if err != nil {
				rt.Fatal(err)
			}
			return tab
		}
		tab := open()
		defer func() { tab.Close() }()
		o, now := oracle{}, int64(1e15)
		key := rapid.Custom(func(rt *rapid.T) Key {
			tup := outTuple(
				rapid.SampledFrom([]uint8{packet.ProtoTCP, packet.ProtoUDP, packet.ProtoICMP, 47}).Draw(rt, "protocol"),
				rapid.Uint16Range(0, 2).Draw(rt, "local port"), 0)
			if tup.SrcPort == 0 || tup.Proto != packet.ProtoICMP {
				tup.DstPort = rapid.Uint16Range(0, 1).Draw(rt, "remote port")
			}
			return KeyOf(rapid.Uint32Range(1, 2).Draw(rt, "eni"), tup, out)
		})
		flags := rapid.SampledFrom([]uint8{syn, syn, syn | ack, ack, ack, ack, fin | ack, fin | ack, rst, 0})
		rt.Repeat(map[string]func(*rapid.T){
			"packet": func(rt *rapid.T) {
				k, outbound := key.Draw(rt, "key"), rapid.Bool().Draw(rt, "outbound")
				f := uint8(0)
				if k.Proto == packet.ProtoTCP {
					f = flags.Draw(rt, "flags")
				}
				before, _ := tab.Lookup(k, now)
				if _, err := tab.Observe(k, outbound, f, 1, now, nil); err != nil {
					rt.Fatal(err)
				}
				imagined := before.After(k, outbound, f, 1, now, nil)
				if after, _ := tab.Lookup(k, now); after != imagined {
					rt.Fatalf("%+v: %+v was observed, %+v imagined", k, after, imagined)
				}
				o[k] = append(o[k], event{outbound, f, now})
			},
			"time":   func(rt *rapid.T) { now += int64(rapid.IntRange(1, 200).Draw(rt, "seconds")) * 1e9 },
			"expire": func(rt *rapid.T) { tab.Expire(now, rapid.IntRange(0, 50).Draw(rt, "budget")) },
			"remove": func(rt *rapid.T) {
				eni := rapid.Uint32Range(1, 20).Draw(rt, "eni")
				tab.RemoveENI(eni)
				for k := range o {
					if k.ENI == eni {
						delete(o, k)
					}
				}
			},
			"restart": func(rt *rapid.T) {
				tab.Close()
				tab = open()
			},
			"": func(rt *rapid.T) { compare(rt, tab, o, now) },
		})
	})
}

func compare(rt *rapid.T, tab *Table, o oracle, now int64) {
	live := 0
	for k := range o {
		l, want := o.life(k)
		got, ok := tab.Lookup(k, now)
		if wantOK := want.Deadline > now; ok != wantOK {
			rt.Fatalf("%+v: found %v, want %v", k, ok, wantOK)
		}
		if !ok {
			continue
		}
		live++
		got.oneWay, got.tcp = false, 0
		if got != want {
			rt.Fatalf("%+v: %+v, want %+v", k, got, want)
		}
		e, _ := tab.Lookup(k, now)
		for _, outbound := range []bool{in, out} {
			for _, f := range []uint8{0, syn, syn | ack, ack, rst} {
				if hit := !o.unasked(k, l, event{outbound, f, now}); e.Hit(outbound, f) != hit {
					rt.Fatalf("%+v, outbound %v, flags %#x: hit %v, want %v", k, outbound, f, !hit, hit)
				}
			}
		}
	}
	listed := 0
	tab.Entries(func(k Key, e Entry) bool {
		if e.Deadline > now {
			listed++
		}
		return true
	})
	if listed != live || tab.Len() < live {
		rt.Fatalf("%d live entries listed, Len %d, want %d", listed, tab.Len(), live)
	}
}

// TestConcurrent is for the race detector: all methods at once over few keys.
func TestConcurrent(t *testing.T) {
	tab := memory(t, 64)
	tab.LimitPerENI(40)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range 3000 {
				now := int64(n) * int64(time.Second)
				k := KeyOf(uint32(n%3), outTuple(packet.ProtoUDP, uint16(n*7%50), 53), out)
				if _, err := tab.Observe(k, n%2 == 0, 0, 1, now, nil); err != nil && !errors.Is(err, ErrFull) {
					t.Error(err)
				}
				tab.Lookup(k, now)
				switch n % 100 {
				case 0:
					tab.Expire(now, 20)
				case 25:
					tab.RemoveENI(uint32(w % 3))
				case 50:
					tab.Entries(func(Key, Entry) bool { return true })
				case 75:
					tab.Len()
				}
			}
		})
	}
	wg.Wait()
	for eni := range uint32(3) {
		tab.RemoveENI(eni)
	}
	if tab.Len() != 0 || len(tab.eni) != 0 {
		t.Errorf("%d entries and %d counters left", tab.Len(), len(tab.eni))
	}
}

const childVar = "VPCEMU_CONNTRACK_TEST_CHILD"

func TestMain(m *testing.M) {
	path := os.Getenv(childVar)
	if path == "" {
		os.Exit(m.Run())
	}
	fmt.Println(trackForever(path))
	os.Exit(1)
}

// trackForever makes entries for as long as it lives and tells of each.
func trackForever(path string) error {
	tab, err := Open(path, 100_000)
	if err != nil {
		return err
	}
	for n := range 50_000 {
		if _, err := tab.Observe(KeyOf(7, outTuple(packet.ProtoTCP, uint16(n), 443), out), out, ack, 1, 1, nil); err != nil {
			return err
		}
		fmt.Println(n)
	}
	select {}
}

// TestKillNine: what was tracked when the process was killed is tracked by the
// next one.
func TestKillNine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conntrack")
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childVar+"="+path)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	told := 0
	for lines := bufio.NewScanner(pipe); lines.Scan(); told++ {
		if told == 2000 {
			cmd.Process.Kill()
		}
	}
	cmd.Wait()
	if told < 2000 {
		t.Fatalf("the child ended after %d entries: %v", told, cmd.ProcessState)
	}

	tab, err := Open(path, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	defer tab.Close()
	// The last line may have been cut short.
	for n := range told - 1 {
		k := KeyOf(7, outTuple(packet.ProtoTCP, uint16(n), 443), out)
		if e, ok := tab.Lookup(k, 2); !ok || e.State != TCPEstablished || !e.Outbound {
			t.Fatalf("entry %d of %d: found %v, %+v", n, told, ok, e)
		}
	}
	if tab.Len() > told+1 {
		t.Errorf("%d entries, but only %d were made", tab.Len(), told)
	}
	tab.RemoveENI(7)
	if tab.Len() != 0 {
		t.Errorf("%d entries cannot be removed", tab.Len())
	}
}

func TestOtherFilesAreSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conntrack")
	if err := os.WriteFile(path, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, 10); !errors.Is(err, slab.ErrSetAside) {
		t.Errorf("Open: %v, want it set aside", err)
	}
	tab, err := Open(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	tab.Close()
}

func TestRecordIsSmall(t *testing.T) {
	if n := recordBytes(); n > BytesPerEntry {
		t.Errorf("%d bytes an entry, but BytesPerEntry is %d", n, BytesPerEntry)
	}
}

// recordBytes is what an entry takes: the record, its slot, its link and its bucket.
func recordBytes() int { return int(unsafe.Sizeof(record{})) + slab.SlotOverhead + slab.LinkBytes }

func benchTable(b *testing.B, n int) (*Table, []Key) {
	tab, err := Open(filepath.Join(b.TempDir(), "conntrack"), 2*n)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { tab.Close() })
	keys := make([]Key, n)
	for i := range keys {
		keys[i] = KeyOf(uint32(i>>16), outTuple(packet.ProtoTCP, uint16(i), 443), out)
	}
	return tab, keys
}

func BenchmarkLookupHit(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			tab, keys := benchTable(b, n)
			for _, k := range keys {
				if _, err := tab.Observe(k, out, ack, 1, 0, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i = (i*5 + 1) % n
				if _, ok := tab.Lookup(keys[i], 1); !ok {
					b.Fatal("not found")
				}
			}
			b.ReportMetric(float64(recordBytes()), "B/record")
		})
	}
}

func BenchmarkObserveRefresh(b *testing.B) {
	tab, keys := benchTable(b, 100)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := tab.Observe(keys[i%100], out, ack, 1, int64(i), nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInsert makes 100,000 entries and expires them, over and over; the
// time is for one.
func BenchmarkInsert(b *testing.B) {
	const n = 100_000
	tab, keys := benchTable(b, n)
	b.ReportAllocs()
	now := int64(0)
	for i := 0; b.Loop(); i++ {
		if i%n == 0 && i > 0 {
			now += int64(time.Hour)
			tab.Expire(now, 2*n)
		}
		if _, err := tab.Observe(keys[i%n], out, syn, 1, now, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(recordBytes()), "B/record")
}

// BenchmarkFull is a packet that is refused because nothing has expired.
func BenchmarkFull(b *testing.B) {
	tab, keys := benchTable(b, 10_000)
	for n := uint32(0); tab.Len() < tab.slab.Cap(); n++ {
		if _, err := tab.Observe(KeyOf(n, outTuple(packet.ProtoTCP, 1, 443), out), out, ack, 1, 0, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	keys[0].LocalPort = 2
	for b.Loop() {
		if _, err := tab.Observe(keys[0], out, ack, 1, 0, nil); err != ErrFull {
			b.Fatal(err)
		}
	}
}
