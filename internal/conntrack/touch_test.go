package conntrack

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// TestTouchIsObserve drives two tables with the same packets: one by Observe alone, as
// the stages do, the other by Touch wherever a reference is held, as the flow cache does.
func TestTouchIsObserve(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conntrack")
	touches := 0
	rapid.Check(t, func(rt *rapid.T) {
		os.Remove(path)
		open := func(path string) *Table {
			tab, err := Open(path, 100)
			if err != nil {
				rt.Fatal(err)
			}
			return tab
		}
		slow, cached := open(""), open(path)
		defer func() { slow.Close(); cached.Close() }()
		refs, old, now := map[Key]Ref{}, map[Ref]Key{}, int64(1e15)
		timeouts := []*Timeouts{nil, {UDP: 7 * time.Second, TCPClosing: 400 * time.Second, ICMP: time.Second}}
		forget := func(gone func(Key) bool) {
			maps.DeleteFunc(refs, func(k Key, r Ref) bool {
				if gone(k) {
					old[r] = k
					return true
				}
				return false
			})
		}
		pass := func(rt *rapid.T) {
			proto := rapid.SampledFrom([]uint8{packet.ProtoTCP, packet.ProtoUDP, packet.ProtoICMP, 47}).Draw(rt, "protocol")
			tup := outTuple(proto, rapid.Uint16Range(0, 1).Draw(rt, "port"), 0)
			k, outbound := KeyOf(rapid.Uint32Range(1, 2).Draw(rt, "eni"), tup, out), rapid.Bool().Draw(rt, "outbound")
			var flags uint8
			if proto == packet.ProtoTCP {
				flags = rapid.SampledFrom([]uint8{syn, syn | ack, ack, ack, fin | ack, rst}).Draw(rt, "flags")
			}
			packets := rapid.SampledFrom([]uint32{1, 1, 2, 44, 1<<32 - 2}).Draw(rt, "packets")
			to := rapid.SampledFrom(timeouts).Draw(rt, "timeouts")
			e, live := slow.Lookup(k, now)
			want := live && e.Hit(outbound, flags)
			if _, err := slow.Observe(k, outbound, flags, packets, now, to); err != nil {
				rt.Fatal(err)
			}
			ref, held := refs[k]
			before := list(cached)
			touched := cached.Touch(ref, outbound, flags, packets, now, to)
			if touched != (want && held) {
				rt.Fatalf("%+v: touched %v, held %v, covered %v", k, touched, held, want)
			}
			if touched {
				touches++
				return
			}
			if after := list(cached); !maps.Equal(before, after) {
				rt.Fatalf("a touch in vain changed %v to %v", before, after)
			}
			ref, err := cached.Observe(k, outbound, flags, packets, now, to)
			if err != nil || ref == (Ref{}) {
				rt.Fatal(ref, err)
			}
			refs[k] = ref
			if was, ok := old[ref]; ok {
				rt.Fatalf("reference of %+v given to %+v", was, k)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"packets": func(rt *rapid.T) {
				for range rapid.IntRange(1, 30).Draw(rt, "number") {
					pass(rt)
				}
			},
			"gone": func(rt *rapid.T) {
				for r := range old {
					if cached.Touch(r, out, ack, 1, now, nil) {
						rt.Fatalf("touched %+v, whose entry has gone", r)
					}
				}
			},
			"time": func(rt *rapid.T) { now += int64(rapid.IntRange(0, 100).Draw(rt, "seconds")) * 1e9 },
			"expire": func(rt *rapid.T) {
				slow.ExpireSome(now)
				cached.ExpireSome(now)
				forget(func(k Key) bool { _, ok := list(cached)[k]; return !ok })
			},
			"remove": func(rt *rapid.T) {
				eni := rapid.Uint32Range(1, 4).Draw(rt, "eni")
				slow.RemoveENI(eni)
				cached.RemoveENI(eni)
				forget(func(k Key) bool { return k.ENI == eni })
			},
			"restart": func(rt *rapid.T) { // references go with the process
				cached.Close()
				cached = open(path)
				clear(refs)
				clear(old)
			},
			"": func(rt *rapid.T) {
				if a, b := list(slow), list(cached); !maps.Equal(a, b) {
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
		if tab.Touch(r, out, ack, 1, 0, nil) {
			t.Errorf("an empty table knows %+v", r)
		}
	}
}

func list(tab *Table) map[Key]Entry {
	all := map[Key]Entry{}
	tab.Entries(func(k Key, e Entry) bool { all[k] = e; return true })
	return all
}
