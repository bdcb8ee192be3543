package daemon

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/slab"
)

// An instance that scans the Internet runs out of connections before the others do.
func TestCT07_OneInterfaceLeavesRoomForTheOthers(t *testing.T) {
	b := newBench(t)
	to, now := conntrack.DefaultTimeouts(), slab.Boottime()
	syn := func(eni uint32, i int) error {
		k := conntrack.Key{ENI: eni, LocalPort: uint16(i), RemotePort: uint16(i >> 16), Proto: 6}
		k.Local, k.Remote = packet.Addr{15: 1}, packet.Addr{15: 2}
		_, err := b.flows.Observe(k, true, packet.FlagSYN, 1, now, &to)
		return err
	}
	made := 0
	for made <= conntrackCapacity && syn(1, made) == nil {
		made++
	}
	if made != conntrackPerENI {
		t.Errorf("one interface has %d entries, want %d", made, conntrackPerENI)
	}
	if err := syn(1, made); !errors.Is(err, conntrack.ErrFull) {
		t.Errorf("one more: %v", err)
	}
	if err := syn(2, 0); err != nil {
		t.Errorf("another interface: %v", err)
	}
}

// For the race detector: names are looked up in the model that a change is just being made from.
func TestRun_ReadsWhileOthersChange(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 20 {
				action, input := "DescribeSecurityGroups", `{}`
				if worker == 0 {
					action, input = "CreateSecurityGroup", fmt.Sprintf(`{"GroupName": "g%d", "Description": "d", "VpcId": "v"}`, i)
				}
				if _, err := b.Run(t.Context(), "", action, []byte(input), false); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
