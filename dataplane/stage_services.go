package dataplane

import (
	"net/netip"
	"time"

	"github.com/vpcemu/vpcemu/dhcp"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// What the resolver admits from one ENI (DNS-02).
const (
	resolverPort   = 53
	resolverLimit  = 1024
	resolverWindow = int64(time.Second)
)

var (
	linkLocal = netip.MustParsePrefix("169.254.0.0/16")
	allOnes   = packet.AddrFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}))
)

// services takes out what the platform itself serves, before any check or filter, and
// what a VPC carries to nobody (EX-01, EX-02, L2-01). It returns true for a packet
// that goes on. Later services (IMDS, time) belong here.
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
	for i := range v.ResolverAddrs {
		if h.Dst == v.ResolverAddrs[i] && (h.IsUDP() || h.IsTCP()) && h.DstPort == resolverPort {
			return w.resolve(e)
		}
	}
	return w.unicast(e)
}

// resolve hands a DNS packet to the resolver, within the rate that it admits.
func (w *walk) resolve(e *ENI) bool {
	v := e.Subnet.VPC
	switch {
	case v.Services == nil:
		return w.end(StageServices, ServicesUnavailable, v.Ref, Rule{})
	case !w.src.resolver.admits(w.now):
		return w.end(StageServices, ResolverRate, e.Ref, Rule{})
	}
	w.out = output{services: v}
	return w.end(StageServices, ToResolver, v.Ref, Rule{})
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
	return c.count < resolverLimit || now-c.start >= resolverWindow
}

func (c *window) add(now int64, packets int) {
	if now-c.start >= resolverWindow || c.count == 0 {
		c.start, c.count = now, 0
	}
	c.count += packets
}
