package vpc

import (
	"iter"
	"net/netip"
	"slices"
)

// InternetResolver is the name server of the lab's Internet, the one of its hosts: an
// address of TEST-NET-1 (RFC 5737), which no public pool has unless a topology says so.
var InternetResolver = netip.AddrFrom4([4]byte{192, 0, 2, 53})

// InternetResolverHandle is its number on the packet path, far from those of
// interfaces and hosts (Model.NextHandle).
const InternetResolverHandle uint32 = 1 << 31

// UplinkHost is Outside.Uplink where the lab's Internet continues at the machine.
const UplinkHost = "host"

// HostName is what the machine is called as a host on the lab's Internet, and its ID.
const HostName = "host"

// Outside ties a lab to the network of the machine that it runs on (vpcemu's own).
type Outside struct {
	// Join puts the machine itself on the lab's Internet, as a host with Address.
	Join bool
	// Hosts keeps the names of the lab's machines in the file in which this one looks names
	// up first. It goes with Join.
	Hosts bool
	// Uplink is "host" where traffic from the lab's Internet to the rest of the world
	// leaves by the machine, "" where it goes nowhere. UplinkAllow names private
	// destinations that it may go to, and addresses of the machine itself.
	Uplink      string
	UplinkAllow []netip.Prefix `json:",omitempty"`
	// Address is the machine's own in the lab, one of the pools', and Handle its number on the
	// packet path; both are there while the lab is tied at all (Linked).
	Address netip.Addr
	Handle  uint32
}

// Linked tells whether the machine has a device in the lab.
func (o *Outside) Linked() bool { return o.Join || o.Uplink != "" }

// SetOutside ties the lab to the machine as o says. Address and Handle are the model's own
// choice, whatever o has there: the last free address of the last pool, which stays the
// machine's while the lab is tied and has the pool.
func (tx *Tx) SetOutside(o Outside) error {
	was := tx.Outside
	o.UplinkAllow = slices.Clone(o.UplinkAllow)
	o.Address, o.Handle = netip.Addr{}, 0
	tx.Outside = o // the former address is free meanwhile
	if !o.Linked() {
		return nil
	}
	o.Address, o.Handle = was.Address, was.Handle
	if !o.Address.IsValid() || !tx.inPools(o.Address) {
		a, err := tx.lastFreePublic()
		if err != nil {
			tx.Outside = was
			return err
		}
		o.Address = a
	}
	if o.Handle == 0 {
		o.Handle = tx.newHandle()
	}
	tx.Outside = o
	return nil
}

// lastFreePublic is the last free address of the last pool that has one: drawn ones come from
// the other end.
func (tx *Tx) lastFreePublic() (netip.Addr, error) {
	used := tx.publicInUse()
	for _, p := range slices.Backward(tx.PublicPools) {
		first, last := poolRange(p)
		for a := last; !a.Less(first); a = a.Prev() {
			if !used[a] {
				return a, nil
			}
		}
	}
	return netip.Addr{}, errNoPublic
}

// Hosts are the hosts on the lab's Internet that can be named as ends of a packet's way,
// ordered by ID: the InternetHosts and, where the lab is joined, the machine itself.
func (m *Model) Hosts() iter.Seq2[InternetHostID, *InternetHost] {
	return func(yield func(InternetHostID, *InternetHost) bool) {
		if m.Outside.Join && !yield(HostName, m.machine()) {
			return
		}
		m.InternetHosts.All()(yield)
	}
}

// machine is the machine that the lab runs on as a host of its Internet.
func (m *Model) machine() *InternetHost {
	return &InternetHost{ID: HostName, HostName: HostName, Handle: m.Outside.Handle, PublicIp: m.Outside.Address, State: StateRunning}
}
