package main

import (
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/control"
)

func TestMachinery_ALineACounter(t *testing.T) {
	n := &control.Counters{
		Bytes: 1, Reads: 2, Batches: 3, Writes: 4, Joined: 5, Workers: 6,
		FlowCache:   control.FlowCache{Hits: 7, Misses: 8, Stale: 9, Evicted: 10, Entries: 1024, Bytes: 2 << 20},
		Connections: control.Table{Entries: 11, Capacity: 12, Made: 13, Expired: 14, Refused: map[string]uint64{"table full": 15, "limit": 16}},
		Mappings:    control.Table{Entries: 17, Capacity: 18, Made: 19, Expired: 20},
	}
	var out strings.Builder
	if err := table(&out, machinery(n)); err != nil {
		t.Fatal(err)
	}
	want := `COUNTER                          VALUE
bytes in                         1
reads                            2
batches of reads                 3
writes                           4
datagrams joined                 5
workers                          6
flow cache hits                  7
flow cache misses                8
flow cache stale                 9
flow cache evicted               10
flow cache room                  1024 (2048 KiB)
connections                      11 of 12
connections made                 13
connections expired              14
connections refused, limit       16
connections refused, table full  15
mappings                         17 of 18
mappings made                    19
mappings expired                 20
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
