package daemon

import (
	"encoding/json"
	"sync"

	"github.com/vpcemu/vpcemu/dhcp"
	"github.com/vpcemu/vpcemu/internal/store"
)

// leaseBook remembers the DHCP lease of every network interface. The packet
// path only notes a lease; keepLeases writes it to disk.
type leaseBook struct {
	mu    sync.Mutex
	eni   map[uint32]dhcp.Lease
	dirty map[uint32]bool
	wake  chan struct{}
}

func (b *leaseBook) note(eni uint32, l dhcp.Lease) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.eni[eni] = l
	b.dirty[eni] = true
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *leaseBook) get(eni uint32) (dhcp.Lease, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l, ok := b.eni[eni]
	return l, ok
}

func (b *leaseBook) load(s *store.Store) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.eni, b.dirty, b.wake = map[uint32]dhcp.Lease{}, map[uint32]bool{}, make(chan struct{}, 1)
	return s.Leases(func(eni uint32, raw []byte) error {
		var l dhcp.Lease
		if err := json.Unmarshal(raw, &l); err != nil {
			return err
		}
		b.eni[eni] = l
		return nil
	})
}

// take returns the leases that are not on disk yet.
func (b *leaseBook) take() map[uint32]any {
	b.mu.Lock()
	defer b.mu.Unlock()
	fresh := make(map[uint32]any, len(b.dirty))
	for eni := range b.dirty {
		fresh[eni] = b.eni[eni]
	}
	clear(b.dirty)
	return fresh
}

// keepLeases writes leases to disk as they come; those that come together share
// a write. One that could not be written is only a remark: the address is the
// network interface's own, and the next renewal writes again.
func (d *Daemon) keepLeases() {
	for {
		select {
		case <-d.ctx.Done():
			d.saveLeases() // those of the last moment
			return
		case <-d.leases.wake:
			d.saveLeases()
		}
	}
}

func (d *Daemon) saveLeases() {
	if fresh := d.leases.take(); len(fresh) > 0 {
		d.warn("leases", d.store.PutLeases(fresh))
	}
}
