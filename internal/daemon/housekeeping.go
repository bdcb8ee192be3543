package daemon

import (
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/slab"
	"github.com/vpcemu/vpcemu/internal/vpc"
	"github.com/vpcemu/vpcemu/nat"
)

// purgeEvery is how often it is looked whether time has something to do:
// terminated and deleted objects stay visible for about an hour (IN-03, NA-16),
// addresses of NAT gateways drain (NA-17), and states pass (vpc.API).
const purgeEvery = time.Second

// releaseEvery is how often it is looked whether memory can be given back.
const releaseEvery = 5 * purgeEvery

// houseKeeping forgets what has been deleted long enough, and gives back the memory
// that bringing up instances took.
func (d *Daemon) houseKeeping() {
	tick := time.NewTicker(purgeEvery)
	defer tick.Stop()
	var released uint64
	for n := time.Duration(1); ; n++ {
		select {
		case <-d.ctx.Done():
			return
		case <-tick.C:
		}
		if steps := d.steps.Load(); n%(releaseEvery/purgeEvery) == 0 && steps != released && d.busyWorkers() == 0 {
			debug.FreeOSMemory()
			released = steps
		}
		if err := errors.Join(d.dropIdle(), d.purge()); err != nil && d.ctx.Err() == nil {
			d.log.Error("purge", "error", err)
		}
	}
}

// natAddress is one of a NAT gateway, as its mappings have it.
type natAddress struct {
	gateway uint32
	addr    packet.Addr
}

// dropIdle takes draining addresses from NAT gateways when their last connection has ended (NA-17).
func (d *Daemon) dropIdle() error {
	idle := map[natAddress]vpc.NatGatewayID{}
	m := d.Model()
	for id, g := range m.NatGateways.All() {
		for i := range g.Addresses {
			if n := m.NetworkInterfaces.Get(g.NetworkInterfaceID); n != nil && g.Addresses[i].Draining() {
				idle[natAddress{n.Handle, packet.AddrFrom(g.Addresses[i].PrivateIp)}] = id
			}
		}
	}
	if len(idle) == 0 {
		return nil
	}
	now := slab.Boottime()
	d.nats.Mappings(func(m nat.Mapping) bool {
		if m.Deadline() > now {
			delete(idle, natAddress{m.Gateway, m.Outside})
		}
		return len(idle) > 0
	})
	if len(idle) == 0 {
		return nil
	}
	return d.record(d.ctx, func(tx *vpc.Tx) {
		for a, id := range idle {
			tx.NatAddressIdle(id, a.addr.Netip())
		}
	})
}

func (d *Daemon) purge() error {
	now := d.cfg.Now().UTC()
	if next := d.Model().NextPurge(); next.IsZero() || now.Before(next) {
		return nil
	}
	err := d.record(d.ctx, func(tx *vpc.Tx) { tx.PurgeDeleted(now) })
	if err != nil {
		return err
	}
	// Looked up when the leases are read: one that is there then belongs to an interface that was made before.
	alive := sync.OnceValue(func() map[uint32]bool {
		handles := map[uint32]bool{}
		for _, e := range d.Model().NetworkInterfaces.All() {
			handles[e.Handle] = true
		}
		return handles
	})
	return d.store.DropLeases(func(eni uint32) bool { return !alive()[eni] })
}

func (d *Daemon) call() vpc.Call {
	return vpc.Call{Now: d.cfg.Now().UTC(), NewID: vpc.RandomID, NewKey: vpc.RandomKey, Console: d.console}
}

// portDown is told by the engine of a port that cannot be read any more. Its
// sandbox has ended or is about to; watch sees to it.
func (d *Daemon) portDown(p dataplane.Port, err error) {
	d.log.Info("port down", "port", p.String(), "error", err)
	d.outside.down(p)
}
