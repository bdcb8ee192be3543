package dataplane

import (
	"net/netip"
	"time"

	"github.com/vpcemu/vpcemu/dhcp"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// What the services of a VPC together admit from one ENI (DNS-02).
const (
	servicesLimit  = 1024
	servicesWindow = int64(time.Second)
)

// Where they answer.
const (
	resolverPort = 53
	metadataPort = 80
	timePort     = 123
)

var (
	metadataAddr = packet.AddrFrom(netip.AddrFrom4([4]byte{169, 254, 169, 254})) // IM-01
	timeAddr     = packet.AddrFrom(netip.AddrFrom4([4]byte{169, 254, 169, 123})) // TI-01

	linkLocal = netip.MustParsePrefix("169.254.0.0/16")
	allOnes   = packet.AddrFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}))
)

// services takes out what the platform itself serves, before any check or filter, and
// what a VPC carries to nobody (EX-01, EX-02, L2-01). It returns true for a packet
// that goes on.
func (w *walk) services(e *ENI) bool {
	h, s := &w.hdr, e.Subnet
	v := s.VPC
	if h.IsUDP() && h.DstPort == dhcp.ServerPort && (h.Dst == allOnes || h.Dst == s.Router) {
		if e.DHCP == nil {
			return w.end(StageServices, DHCPNotServed, e.Ref, Rule{})
		}
		w.out = output{dhcp: e}
		return w.end(StageServices, DHCPServed, s.Ref, Rule{})
	}
	if h.DstPort == resolverPort && (h.IsUDP() || h.IsTCP()) && v.resolvesAt(h.Dst) {
		return w.serve(e, ToResolver)
	}
	if h.Dst == metadataAddr && h.IsTCP() && h.DstPort == metadataPort {
		return w.serve(e, ToMetadata)
	}
	if h.Dst == timeAddr && h.IsUDP() && h.DstPort == timePort {
		return w.serve(e, ToTime)
	}
	return w.unicast(e)
}

// resolvesAt tells whether the resolver answers at a.
func (v *VPC) resolvesAt(a packet.Addr) bool {
	for i := range v.ResolverAddrs {
		if a == v.ResolverAddrs[i] {
			return true
		}
	}
	return false
}

// serve hands a packet to the VPC's servers, within the rate that they admit. They know
// the instance by the source address, so that has to be the ENI's own even where its
// source check is off: nobody reads another's metadata.
func (w *walk) serve(e *ENI, which Reason) bool {
	v := e.Subnet.VPC
	switch {
	case !e.owns(w.hdr.Src):
		return w.end(StageServices, SourceDestCheck, e.Ref, Rule{})
	case v.Services == nil:
		return w.end(StageServices, ServicesUnavailable, v.Ref, Rule{})
	case !w.src.services.admits(w.now):
		return w.end(StageServices, ServicesRate, e.Ref, Rule{})
	}
	w.out = output{services: v}
	return w.end(StageServices, which, v.Ref, Rule{})
}

// unicast drops what is for nobody: broadcast and multicast (L2-01), link-local
// addresses and the reserved ones of every subnet of the VPC (EX-02).
func (w *walk) unicast(e *ENI) bool {
	dst := w.hdr.Dst
	if w.l2group || dst == allOnes || dst.IsMulticast() {
		return w.end(StageServices, BroadcastUnsupported, e.Subnet.Ref, Rule{})
	}
	ip := dst.Netip()
	if linkLocal.Contains(ip) || !dst.Is4() && ip.IsLinkLocalUnicast() {
		return w.end(StageServices, LinkLocalAddress, e.Subnet.Ref, Rule{})
	}
	to := e.Subnet.VPC.subnetOf(dst)
	if to == nil {
		return true
	}
	if dst.Is4() && dst == to.broadcast {
		return w.end(StageServices, BroadcastUnsupported, to.Ref, Rule{})
	}
	for i := range to.reserved {
		if dst == to.reserved[i] {
			return w.end(StageServices, ReservedAddress, to.Ref, Rule{})
		}
	}
	return true
}

// window counts packets within a second that starts with the first of them: AWS's
// figure is a fixed number a second, and a bucket would let twice as many through.
type window struct {
	start int64
	count int
}

func (c *window) admits(now int64) bool {
	return c.count < servicesLimit || now-c.start >= servicesWindow
}

func (c *window) add(now int64, packets int) {
	if now-c.start >= servicesWindow || c.count == 0 {
		c.start, c.count = now, 0
	}
	c.count += packets
}
