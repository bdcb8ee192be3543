package daemon

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// ways are real ways of packets from a to b: delivered, and dropped.
func ways(t testing.TB) (b *bench, delivered, dropped *dataplane.Way) {
	b = watchBench(t)
	sub := b.engine.Subscribe(16)
	defer sub.Close()
	for port, way := range map[int]**dataplane.Way{22: &delivered, 80: &dropped} {
		b.syn("a", fmt.Sprintf("10.0.1.10:1000 > 10.0.1.11:%d", port))
		select {
		case e := <-sub.C:
			*way = e.Way
		case <-time.After(limit):
			t.Fatal("no event")
		}
	}
	return b, delivered, dropped
}

// flow is packets within the second that starts at.
func flow(way *dataplane.Way, port uint16, packets uint64, flags uint8, at int64) passed {
	t := packet.Tuple{Src: packet.AddrFrom(lease("10.0.1.10").Addr), Dst: packet.AddrFrom(lease("10.0.1.11").Addr), SrcPort: port, DstPort: 22, Proto: packet.ProtoTCP}
	return passed{way: way, sent: t, ended: t, flags: flags, packets: packets, bytes: packets * 100,
		first: at * int64(time.Second), last: at*int64(time.Second) + int64(time.Second/2)}
}

// told are the lines since the last call, in short.
func told(o *openFlows) (out []string) {
	for _, l := range o.take() {
		out = append(out, fmt.Sprint(l.Kind, " ", l.SourcePort, " ", l.Verdict, " ", l.Packets, " ", l.Ended))
	}
	return out
}

func TestOpenFlows_TellWhatIsNewAndWhatHasEnded(t *testing.T) {
	b, good, bad := ways(t)
	o := &openFlows{show: newShower(b.Model()), room: 100}
	o.add(flow(good, 1, 1, packet.FlagSYN, 10))
	o.add(flow(good, 2, 3, packet.FlagSYN|packet.FlagFIN, 10))
	o.add(flow(bad, 3, 1, packet.FlagSYN, 10))
	equal(t, "new flows", slices.Sorted(slices.Values(told(o))), []string{"flow 1 delivered 1 ", "flow 2 delivered 3 fin", "flow 3 dropped 1 "})

	o.add(flow(good, 1, 9, 0, 11))
	o.quiet(12 * int64(time.Second))
	equal(t, "more of the same", told(o), nil) // flow 2 had told all it has
	o.add(flow(good, 3, 2, 0, 13))
	equal(t, "a drop that passes", told(o), []string{"flow 3 delivered 2 "})
	o.add(flow(good, 3, 2, 0, 13))
	o.add(flow(bad, 3, 1, 0, 14))
	equal(t, "and is dropped again", told(o), []string{"totals 3 delivered 4 verdict", "flow 3 dropped 1 "})

	o.quiet(16 * int64(time.Second))
	equal(t, "not quiet for long", told(o), nil)
	o.quiet(17 * int64(time.Second))
	equal(t, "quiet", told(o), []string{"totals 1 delivered 10 quiet"})
	o.add(flow(good, 4, 1, packet.FlagSYN, 20))
	o.add(flow(good, 4, 1, packet.FlagRST, 20))
	o.quiet(22 * int64(time.Second))
	equal(t, "reset", told(o), []string{"flow 4 delivered 1 ", "totals 4 delivered 2 rst"})
	o.add(flow(good, 1, 1, 0, 30))
	o.add(flow(good, 5, 1, 0, 30))
	o.add(flow(good, 5, 4, 0, 31))
	equal(t, "one that was quiet is new", told(o), []string{"flow 1 delivered 1 ", "flow 5 delivered 1 "})
	o.end()
	equal(t, "the end", told(o), []string{"totals 5 delivered 5 watch"})
	if len(o.open) != 0 || o.notShown != 0 {
		t.Errorf("%d open, %d not shown", len(o.open), o.notShown)
	}
}

func TestOpenFlows_AreBounded(t *testing.T) {
	b, good, _ := ways(t)
	o := &openFlows{show: newShower(b.Model()), room: 2}
	for port := range uint16(4) {
		o.add(flow(good, port, 10, 0, 1))
	}
	o.add(flow(good, 0, 10, 0, 1)) // one that has its line needs no room
	if lines := told(o); len(lines) != 2 || o.notShown != 20 || len(o.open) != 2 {
		t.Errorf("%q, %d not shown", lines, o.notShown)
	}
	o.room = flowsOpen + 10
	for n := range flowsOpen + 5 {
		p := flow(good, uint16(n), 1, 0, 2)
		p.sent.Src[3] = byte(1 + n>>16)
		p.sent.DstPort = 23
		p.ended = p.sent
		o.add(p)
		p.packets = uint64(n)
		if o.notShown == 20 {
			o.add(p)
		}
	}
	if len(o.open) != flowsOpen {
		t.Errorf("%d open", len(o.open))
	}
	o.take()
	before := o.notShown
	o.end()
	lines := o.take()
	if len(lines) != flowTotals || o.notShown == before {
		t.Errorf("%d totals, %d not shown", len(lines), o.notShown)
	}
	for _, l := range lines { // the largest
		if l.Packets < 1000 || l.Kind != control.WatchedTotals {
			t.Fatalf("%+v", l.Seen)
		}
	}
}
