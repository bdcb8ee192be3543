package flowlog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/flowlog/record"
	"github.com/vpcemu/vpcemu/internal/packet"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// seen is a flow that the interface with this handle sent, and nobody else saw.
func seen(handle uint32, src, dst string, port uint16, packets int, first, last int) passage {
	t := packet.Tuple{Src: Addr(src), Dst: Addr(dst), SrcPort: port, DstPort: 80, Proto: packet.ProtoTCP}
	e := &dataplane.ENI{Handle: handle}
	return passage{sent: t, steps: []dataplane.Step{
		{Stage: dataplane.StageSGEgress, At: e, Tuple: t}, {Stage: dataplane.StageRoute, At: e, Tuple: t, End: true, Reason: dataplane.NoRoute}},
		amount: amount{packets: uint64(packets), bytes: uint64(40 * packets), first: at(first).Unix(), last: at(last).Unix()}}
}

func two() map[uint32]*Interface {
	return map[uint32]*Interface{
		1: {Interface: record.Interface{ID: "eni-1"}, Primary: addrOf("10.0.0.1")},
		2: {Interface: record.Interface{ID: "eni-2"}, Primary: addrOf("10.0.0.2")},
	}
}

const times = "${interface-id} ${packets} ${start} ${end} ${log-status}"

func TestFL03_WindowsAreAligned(t *testing.T) {
	for _, c := range []struct {
		interval time.Duration
		now, end int64
	}{
		{10 * time.Minute, 1_700_000_399, 1_700_000_400}, {10 * time.Minute, 1_700_000_400, 1_700_001_000},
		{time.Minute, 1_700_000_039, 1_700_000_040}, {time.Minute, 1_700_000_040, 1_700_000_100},
		{time.Second, 1_700_000_000, 1_700_000_001}, {7 * time.Second, 1_700_000_000, 1_700_000_001}, // 7 * 242857143
		{0, 5, 6}, {time.Minute, -1, 0},
	} {
		a := New(Config{Format: parsed(t, ""), Interval: c.interval}, time.Unix(c.now, 999_999_999))
		if got := a.End().Unix(); got != c.end {
			t.Errorf("%s at %d: the window ends at %d, want %d", c.interval, c.now, got, c.end)
		}
	}
}

func TestFL03_StartAndEndAreOfPackets(t *testing.T) {
	a := New(Config{Format: parsed(t, times), Interval: 10 * time.Second}, at(0))
	a.Watch(two())
	a.take(seen(1, "10.0.0.1", "10.1.0.1", 5, 2, 3, 4), seen(1, "10.0.0.1", "10.1.0.1", 5, 1, 1, 1))
	if got := a.Advance(nil, at(9)); got != nil {
		t.Errorf("before the window's end: %q", got)
	}
	want(t, lines(a.Advance(nil, at(10))), "eni-1 3 1700000001 1700000004 OK", "eni-2 - 1700000000 1700000009 NODATA")
	want(t, lines(a.Advance(nil, at(25))), "eni-1 - 1700000010 1700000019 NODATA", "eni-2 - 1700000010 1700000019 NODATA")
	if got := a.End(); !got.Equal(at(30)) {
		t.Errorf("the window ends at %s", got)
	}
}

func TestFL04_NoDataOfEveryWatchedInterface(t *testing.T) {
	a := New(Config{Format: parsed(t, times), Interval: 10 * time.Second}, at(0))
	a.Watch(two())
	a.take(seen(2, "10.0.0.2", "10.1.0.1", 5, 1, 3, 3))
	only := two()
	delete(only, 2) // it goes; what it sent stays in the log
	a.Watch(only)
	a.take(seen(2, "10.0.0.2", "10.1.0.1", 5, 1, 4, 4), seen(7, "10.0.0.7", "10.1.0.1", 5, 1, 4, 4))
	want(t, lines(a.Advance(nil, at(10))), "eni-2 1 1700000003 1700000003 OK", "eni-1 - 1700000000 1700000009 NODATA")
	// Watched anew, as after a change of the model, it is still the same interface.
	a.take(seen(1, "10.0.0.1", "10.1.0.1", 5, 1, 11, 11))
	a.Watch(two())
	a.take(seen(1, "10.0.0.1", "10.1.0.1", 5, 1, 12, 12))
	want(t, lines(a.Advance(nil, at(20))), "eni-1 2 1700000011 1700000012 OK", "eni-2 - 1700000010 1700000019 NODATA")
	// One that is told to be another's now has two records, and traffic all the same.
	a.take(seen(1, "10.0.0.1", "10.1.0.1", 5, 1, 21, 21))
	moved := two()
	moved[1].Instance = "i-2"
	a.Watch(moved)
	a.take(seen(1, "10.0.0.1", "10.1.0.1", 5, 1, 22, 22))
	a.Watch(moved)
	want(t, lines(a.Advance(nil, at(30))), "eni-1 1 1700000021 1700000021 OK", "eni-1 1 1700000022 1700000022 OK", "eni-2 - 1700000020 1700000029 NODATA")
}

func TestFL04_SkipDataWhereRecordsAreMissing(t *testing.T) {
	a := New(Config{Format: parsed(t, times), Interval: 10 * time.Second, Limit: 2}, at(0))
	a.Watch(two())
	a.take(
		seen(1, "10.0.0.1", "10.1.0.1", 5, 1, 1, 1), seen(1, "10.0.0.1", "10.1.0.1", 6, 1, 1, 1),
		seen(2, "10.0.0.2", "10.1.0.1", 5, 1, 2, 2), seen(1, "10.0.0.1", "10.1.0.1", 6, 1, 2, 2),
	)
	want(t, lines(a.Advance(nil, at(10))), "eni-1 1 1700000001 1700000001 OK", "eni-1 2 1700000001 1700000002 OK", "eni-2 - 1700000000 1700000009 SKIPDATA")
	a.take(seen(1, "10.0.0.1", "10.1.0.1", 5, 1, 11, 11))
	a.Add(dataplane.Reading{Skipped: 3}, 0)
	want(t, lines(a.Advance(nil, at(20))), "eni-1 1 1700000011 1700000011 OK", "eni-1 - 1700000010 1700000019 SKIPDATA", "eni-2 - 1700000010 1700000019 SKIPDATA")
	want(t, lines(a.Advance(nil, at(30))), "eni-1 - 1700000020 1700000029 NODATA", "eni-2 - 1700000020 1700000029 NODATA")
}

func TestFlushWritesWhatThereIs(t *testing.T) {
	a := New(Config{Format: parsed(t, times), Interval: 10 * time.Second}, at(0))
	a.Watch(two())
	a.take(seen(1, "10.0.0.1", "10.1.0.1", 5, 1, 1, 1))
	want(t, lines(a.Flush(nil, at(5))), "eni-1 1 1700000001 1700000001 OK")
	if got := a.Flush(nil, at(6)); len(got) != 0 {
		t.Errorf("a second time: %q", got)
	}
}

func TestParseTraffic(t *testing.T) {
	for s, want := range map[string]Traffic{"ALL": All, "ACCEPT": Accepted, "REJECT": Rejected} {
		if got, ok := ParseTraffic(s); !ok || got != want {
			t.Errorf("%s: %v, %t", s, got, ok)
		}
	}
	if _, ok := ParseTraffic("all"); ok {
		t.Error("all is taken")
	}
}

// However flows come in, the records have each packet and byte once, within the times
// of the flows, and one record a flow and window.
func TestProperty_NothingIsLostAndNothingDoubled(t *testing.T) {
	format := parsed(t, "${interface-id} ${srcport} ${packets} ${bytes} ${start} ${end} ${log-status}")
	rapid.Check(t, func(t *rapid.T) {
		a := New(Config{Format: format, Interval: 10 * time.Second}, at(0))
		a.Watch(two())
		wantPackets, gotPackets := map[string]int{}, map[string]int{}
		take := func(b []byte) {
			once := map[string]bool{}
			for _, line := range lines(b) {
				var id, port, status string
				var packets, bytes, start, end int
				if strings.HasSuffix(line, "NODATA") {
					continue
				}
				if _, err := fmt.Sscan(line, &id, &port, &packets, &bytes, &start, &end, &status); err != nil || status != "OK" || bytes != 40*packets || start > end {
					t.Fatalf("%q: %v", line, err)
				}
				if once[id+port] {
					t.Fatalf("%s %s is there twice", id, port)
				}
				once[id+port] = true
				gotPackets[id+port] += packets
			}
		}
		now := int64(0)
		for range rapid.IntRange(1, 30).Draw(t, "readings") {
			var flows []passage
			for range rapid.IntRange(0, 5).Draw(t, "flows") {
				handle, port, n := uint32(rapid.IntRange(1, 3).Draw(t, "interface")), rapid.IntRange(1, 3).Draw(t, "port"), rapid.IntRange(1, 9).Draw(t, "packets")
				flows = append(flows, seen(handle, fmt.Sprintf("10.0.0.%d", handle), "10.1.0.1", uint16(port), n, int(now), int(now)+rapid.IntRange(0, 2).Draw(t, "length")))
				if handle < 3 {
					wantPackets[fmt.Sprintf("eni-%d%d", handle, port)] += n
				}
			}
			a.take(flows...)
			now += int64(rapid.IntRange(0, 12).Draw(t, "pause"))
			take(a.Advance(nil, at(int(now))))
		}
		take(a.Flush(nil, at(int(now))))
		for k, n := range wantPackets {
			if gotPackets[k] != n {
				t.Fatalf("%s: %d packets, want %d", k, gotPackets[k], n)
			}
		}
		if len(gotPackets) > len(wantPackets) {
			t.Fatalf("got %v, want %v", gotPackets, wantPackets)
		}
	})
}
