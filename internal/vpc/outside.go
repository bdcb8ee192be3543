package vpc

import "net/netip"

// InternetResolver is the name server of the lab's Internet, the one of its hosts: an
// address of TEST-NET-1 (RFC 5737), which no public pool has unless a topology says so.
var InternetResolver = netip.AddrFrom4([4]byte{192, 0, 2, 53})

// InternetResolverHandle is its number on the packet path, far from those of
// interfaces and hosts (Model.NextHandle).
const InternetResolverHandle uint32 = 1 << 31

// Outside ties a lab to the network of the machine that it runs on (vpcemu's own).
type Outside struct {
	// Join puts the machine itself on the lab's Internet, as a host with JoinAddress.
	Join        bool
	JoinAddress netip.Addr
	JoinHandle  uint32
	// Uplink is "host" where traffic from the lab's Internet to the rest of the world
	// leaves by the machine, "" where it goes nowhere. UplinkAllow names private
	// destinations that it may go to.
	Uplink       string
	UplinkHandle uint32
	UplinkAllow  []netip.Prefix
}
