package daemon

import (
	"encoding/json"
	"io"
	"testing"

	"github.com/vpcemu/vpcemu/internal/control"
)

// What a watch does with a packet: look at it and leave it, and show it.
func BenchmarkWatch(b *testing.B) {
	bench, good, _ := ways(b)
	show := newShower(bench.Model())
	p := flow(good, 1, 1, 0, 10)
	for name, req := range map[string]control.WatchRequest{"other": {Ports: []uint16{1234}, On: []string{"b"}}, "wanted": {On: []string{"b"}}} {
		f, err := newWatchFilter(bench.Model(), req)
		if err != nil {
			b.Fatal(err)
		}
		enc := json.NewEncoder(io.Discard)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if f.wants(show, &p) {
					if err := enc.Encode(&control.Watched{Kind: control.WatchedPacket, Seen: show.seen(&p)}); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
