package dataplane

import (
	"encoding/binary"
	"net/netip"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// Ethernet and ARP (RFC 826) as far as a TAP port needs them.
const (
	etherLen  = 14
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherIPv6 = 0x86dd

	arpLen     = 28
	arpRequest = 1
	arpReply   = 2
)

var broadcastMAC = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// frame takes the Ethernet header off a frame from a TAP port and finds the next hop
// that its destination MAC names. It returns false for a frame that ends here, with
// the walk's reason set; ARP is answered into reply, whose length it returns.
func (w *walk) frame(b []byte, reply []byte) (ip []byte, n int, ok bool) {
	if len(b) < etherLen {
		return nil, 0, w.end(StageFrame, FrameMalformed, w.in.Ref(), Rule{})
	}
	dst, src := [6]byte(b[0:6]), [6]byte(b[6:12])
	if src != w.in.mac() {
		return nil, 0, w.end(StageFrame, SourceMAC, w.in.Ref(), Rule{})
	}
	switch binary.BigEndian.Uint16(b[12:14]) {
	case etherARP:
		return nil, w.arp(b[etherLen:], reply), false
	case etherIPv4, etherIPv6:
		return b[etherLen:], 0, w.nextHop(dst)
	}
	return nil, 0, w.end(StageFrame, NotIP, w.in.Ref(), Rule{})
}

// nextHop finds what a destination MAC names: the router, another ENI of the same
// subnet (RT-15), or a group, which only DHCP may use.
func (w *walk) nextHop(dst [6]byte) bool {
	switch {
	case dst == w.in.gatewayMAC():
		return true
	case dst[0]&1 != 0:
		w.l2group = true
		if w.in.ENI == nil {
			return w.end(StageFrame, BroadcastUnsupported, w.in.Ref(), Rule{})
		}
		return true
	}
	if w.in.ENI != nil {
		if peer := w.in.ENI.Subnet.byMAC[dst]; peer != nil {
			w.l2peer = peer
			return true
		}
	}
	return w.end(StageFrame, UnknownMAC, w.in.Ref(), Rule{})
}

// arp answers a request as the platform does (L2-02): the addresses of the subnet's
// ENIs with their MACs, the router's with its own. The peer never sees it. No answer is
// given for an unassigned address, nor for the asker's own, which would look like a
// conflict to a client that probes (RFC 5227); gratuitous ARP changes nothing.
func (w *walk) arp(b, reply []byte) int {
	ethernet4 := []byte{0, 1, 8, 0, 6, 4}
	if len(b) < arpLen || [6]byte(b[:6]) != [6]byte(ethernet4) {
		w.end(StageFrame, FrameMalformed, w.in.Ref(), Rule{})
		return 0
	}
	target := packet.AddrFrom(netip.AddrFrom4([4]byte(b[24:28])))
	mac, ok := w.in.resolve(target)
	if binary.BigEndian.Uint16(b[6:8]) != arpRequest || [4]byte(b[14:18]) == [4]byte(b[24:28]) || !ok {
		w.end(StageFrame, ARPUnanswered, w.in.Ref(), Rule{})
		return 0
	}
	asker := w.in.mac()
	putEther(reply, asker, mac, etherARP)
	a := reply[etherLen:]
	copy(a, ethernet4)
	binary.BigEndian.PutUint16(a[6:8], arpReply)
	copy(a[8:14], mac[:])
	copy(a[14:18], b[24:28])
	copy(a[18:24], asker[:])
	copy(a[24:28], b[14:18])
	w.end(StageFrame, ARPAnswered, w.in.Ref(), Rule{})
	return etherLen + arpLen
}

// mac is the ingress's own MAC.
func (in *Place) mac() [6]byte {
	if in.ENI != nil {
		return in.ENI.MAC
	}
	if in.Host != nil {
		return in.Host.MAC
	}
	return [6]byte{}
}

// gatewayMAC is the MAC of the ingress's router.
func (in *Place) gatewayMAC() [6]byte {
	if in.ENI != nil {
		return in.ENI.Subnet.routerMAC
	}
	return internetMAC
}

// resolve finds the MAC for an address on the ingress's link.
func (in *Place) resolve(a packet.Addr) (mac [6]byte, ok bool) {
	if h := in.Host; h != nil {
		// All of the Internet seems to be on the host's link (guest's static addresses).
		return internetMAC, a != h.Addr
	}
	if in.ENI == nil {
		return mac, false
	}
	s := in.ENI.Subnet
	// The resolver's address lies in the VPC's first subnet (DNS-01), and many systems have a
	// route that makes link-local ones neighbours.
	if a == s.Router || s.VPC.resolvesAt(a) || a == metadataAddr || a == timeAddr {
		return s.routerMAC, true
	}
	e := s.VPC.byAddr[a]
	if e == nil || e == in.ENI || e.Subnet != s {
		return mac, false
	}
	return e.MAC, true
}

func putEther(b []byte, dst, src [6]byte, etherType uint16) {
	copy(b[0:6], dst[:])
	copy(b[6:12], src[:])
	binary.BigEndian.PutUint16(b[12:14], etherType)
}

// etherTypeOf tells the EtherType of an IP packet.
func etherTypeOf(ip []byte) uint16 {
	if ip[0]>>4 == 6 {
		return etherIPv6
	}
	return etherIPv4
}
