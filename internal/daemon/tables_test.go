package daemon

import (
	"errors"
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
		return b.flows.Observe(k, true, packet.FlagSYN, now, &to)
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
