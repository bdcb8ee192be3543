package nat

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// fewTuples are so few that most packets belong to a connection met before.
var fewTuples = rapid.Custom(func(rt *rapid.T) packet.Tuple {
	tup := fromInside(rapid.SampledFrom([]uint8{packet.ProtoTCP, packet.ProtoTCP, packet.ProtoUDP, packet.ProtoICMP}).Draw(rt, "protocol"), 7, 0)
	tup.Src[15] += rapid.Byte().Draw(rt, "host") % 2
	return tup
})

// TestTouchIsCommit drives two tables with the same packets: one by key alone, as the
// stages do, the other by Touch wherever a reference is held, as the flow cache does.
func TestTouchIsCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nat")
	touches := 0
	rapid.Check(t, func(rt *rapid.T) {
		os.Remove(path)
		open := func(path string) *Table {
			tab, err := OpenTable(path, 1000)
			if err != nil {
				rt.Fatal(err)
			}
			return tab
		}
		slow, cached := open(""), open(path)
		defer func() { slow.Close(); cached.Close() }()
		gw, now := gateway(primary), int64(1e15)
		refs, old := map[packet.Tuple]Ref{}, map[Ref]bool{}
		forget := func() {
			for tup, r := range refs {
				if _, ok := listed(cached)[tup]; !ok {
					old[r] = true
					delete(refs, tup)
				}
			}
		}
		// pass is a packet of a connection that the stages have found, or opened.
		pass := func(rt *rapid.T, tup packet.Tuple, m Mapping, live, inbound bool, flags uint8) {
			if _, err := slow.Commit(m, flags, inbound, now); err != nil {
				rt.Fatal(err)
			}
			// From outside, an idle timeout that the cache holds may be an old one.
			idle := gw.Idle()
			if inbound {
				idle = time.Second
			}
			ref, held := refs[tup]
			touched := cached.Touch(ref, idle, flags, inbound, now)
			if touched != (live && held) {
				rt.Fatalf("%s: touched %v, live %v, held %v", tup, touched, live, held)
			}
			if touched {
				touches++
				return
			}
			ref, err := cached.Commit(m, flags, inbound, now)
			if err != nil || ref == (Ref{}) {
				rt.Fatal(ref, err)
			}
			if old[ref] {
				rt.Fatalf("%+v was another mapping's", ref)
			}
			if was := refs[tup]; was != ref && was != (Ref{}) {
				old[was] = true
			}
			refs[tup] = ref
		}
		send := func(rt *rapid.T) {
			tup, flags := fewTuples.Draw(rt, "tuple"), anyFlags.Draw(rt, "flags")
			m, live := slow.Outbound(gw, tup, now)
			if !live {
				var refusal Refusal
				if m, refusal = slow.Propose(gw, tup, now); refusal != RefusedNone {
					rt.Fatal(refusal)
				}
			}
			pass(rt, tup, m, live, false, flags)
		}
		receive := func(rt *rapid.T) {
			tup, flags := fewTuples.Draw(rt, "tuple"), anyFlags.Draw(rt, "flags")
			was, ok := listed(slow)[tup]
			if !ok {
				return
			}
			if m, live := slow.Inbound(gw.Handle, reply(was), now); live {
				pass(rt, tup, m, true, true, flags)
			} else if cached.Touch(refs[tup], time.Hour, flags, true, now) {
				rt.Fatalf("%s: touched, but it has expired", tup)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"packets": func(rt *rapid.T) {
				for range rapid.IntRange(1, 30).Draw(rt, "number") {
					if rapid.Bool().Draw(rt, "from inside") {
						send(rt)
					} else {
						receive(rt)
					}
				}
			},
			"gateway": func(rt *rapid.T) {
				gw = gateway(primary)
				gw.IdleTimeout = time.Duration(rapid.SampledFrom([]int{0, 1, 90, 1000}).Draw(rt, "idle")) * time.Second
			},
			"gone": func(rt *rapid.T) {
				for r := range old {
					if cached.Touch(r, time.Hour, ack, false, now) {
						rt.Fatalf("touched %+v, whose mapping has gone", r)
					}
				}
			},
			"time": func(rt *rapid.T) { now += int64(rapid.IntRange(0, 200).Draw(rt, "seconds")) * 1e9 },
			"expire": func(rt *rapid.T) {
				slow.ExpireSome(now)
				cached.ExpireSome(now)
				forget()
			},
			"remove": func(rt *rapid.T) {
				h := rapid.Uint32Range(1, 4).Draw(rt, "handle")
				slow.RemoveGateway(h)
				cached.RemoveGateway(h)
				forget()
			},
			"restart": func(rt *rapid.T) { // references go with the process
				cached.Close()
				cached = open(path)
				clear(refs)
				clear(old)
			},
			"": func(rt *rapid.T) {
				a, b := alive(slow, now), alive(cached, now)
				if !maps.Equal(a, b) {
					rt.Fatalf("by key %v, by reference %v", a, b)
				}
			},
		})
	})
	if touches == 0 {
		t.Error("nothing was ever touched")
	}
	tab := memory(t, 10)
	for _, r := range []Ref{{}, {0, 1}, {9, 1}, {10, 1}, {1<<32 - 1, 1}} {
		if tab.Touch(r, time.Hour, ack, false, 0) {
			t.Errorf("an empty table knows %+v", r)
		}
	}
}

// listed is all mappings by what is sent from inside.
func listed(tab *Table) map[packet.Tuple]Mapping {
	all := map[packet.Tuple]Mapping{}
	tab.Mappings(func(m Mapping) bool {
		all[packet.Tuple{Src: m.Inside, Dst: m.Dest, SrcPort: m.InsidePort, DstPort: m.DestPort, Proto: m.Proto}] = m
		return true
	})
	return all
}

func alive(tab *Table, now int64) map[packet.Tuple]Mapping {
	all := listed(tab)
	maps.DeleteFunc(all, func(_ packet.Tuple, m Mapping) bool { return m.Deadline() <= now })
	return all
}

// A packet from outside that the flow cache lets pass does not bring back the idle
// timeout that the gateway had when the cache met the connection.
func TestNA07_TouchFromOutsideKeepsTheTimeout(t *testing.T) {
	tab, gw := memory(t, 10), gateway(primary)
	gw.IdleTimeout = 90 * time.Second
	tup := fromInside(packet.ProtoUDP, 5000, 53)
	m := opened(t, tab, gw, tup, 0, 0)
	ref, err := tab.Commit(m, 0, true, 0)
	if err != nil {
		t.Fatal(err)
	}
	if !tab.Touch(ref, time.Hour, 0, false, 1) || !tab.Touch(ref, 90*time.Second, 0, true, 2) {
		t.Fatal("not touched")
	}
	if m, ok := tab.Inbound(1, reply(m), 3); !ok || m.IdleTimeout != time.Hour || m.Last != 2 {
		t.Errorf("%+v, %v", m, ok)
	}
}
