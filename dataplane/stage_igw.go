package dataplane

import (
	"net/netip"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// internetMTU is the largest packet that crosses an Internet gateway, in bytes (MT-03).
const internetMTU = 1500

var (
	rfc1918 = [3]netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("192.168.0.0/16"),
	}
	rfc6598 = netip.MustParsePrefix("100.64.0.0/10")
)

// private tells to which of the two private ranges a belongs.
func private(a packet.Addr) (in1918, in6598 bool) {
	ip := a.Netip()
	for _, p := range rfc1918 {
		if p.Contains(ip) {
			return true, false
		}
	}
	return false, rfc6598.Contains(ip)
}

// igwEgress is the way out through an Internet gateway: the checks of IG-03, MTU and
// hop count, then the 1:1 translation (IG-01; IPv6 goes untranslated). A packet that
// is too big is answered from the router of the subnet it leaves (MT-11); one whose TTL
// runs out is not answered, as AWS's first hops are not (TT-01).
func (w *walk) igwEgress(g *InternetGateway) {
	w.at = nil
	h := &w.hdr
	public, ok := w.igwAdmits(g)
	if !ok {
		return
	}
	if !w.fits(StageIGWEgress, internetMTU, w.subnet.Router, g.Ref) || !w.hopCount(StageIGWEgress, g.Ref) {
		return
	}
	if h.Src.Is4() {
		if h.HasInner && h.Inner.Dst == h.Src {
			h.SetInnerDst(public) // the quoted packet came in by the public address
		}
		h.SetSrc(public)
	}
	w.pass(StageIGWEgress, g.Ref, Rule{})
	if !w.leavesVPC() {
		return
	}
	w.groups, w.subnet, w.last = nil, nil, nil // public from here on (SG-08)
	w.next = hopInternet
}

// igwAdmits applies IG-03 and RT-14 to a packet on its way out, and finds the public
// address that its source has.
func (w *walk) igwAdmits(g *InternetGateway) (public packet.Addr, ok bool) {
	h := &w.hdr
	if in1918, in6598 := private(h.Dst); in1918 {
		return public, w.end(StageIGWEgress, IGWDestinationRFC1918, g.Ref, Rule{})
	} else if in6598 {
		return public, w.end(StageIGWEgress, IGWDestinationRFC6598, g.Ref, Rule{})
	}
	if g.VPC.byAddr[h.Src] == nil {
		return public, w.end(StageIGWEgress, IGWSpoofedSource, g.Ref, Rule{})
	}
	if h.Src.Is4() {
		if public, ok = g.NAT.Public(h.Src); !ok {
			return public, w.end(StageIGWEgress, IGWNoPublicAddress, g.Ref, Rule{})
		}
	}
	if g.Ingress != nil {
		r := g.Ingress.Lookup(h.Src)
		if r != nil && r.Target == TargetENI && r.ENI != nil && r.ENI != w.last {
			return public, w.end(StageIGWEgress, IngressRedirection, g.Ref, Rule{Route: r})
		}
	}
	return public, true
}

// hopCount takes one from the TTL, silently dropping the packet that has none left.
func (w *walk) hopCount(stage Stage, by Ref) bool {
	if w.hdr.TTL <= 1 {
		return w.end(stage, TTLExpired, by, Rule{})
	}
	w.hdr.SetTTL(w.hdr.TTL - 1)
	return true
}

// fromHost is the way out of an Internet host.
func (w *walk) fromHost(h *InternetHost) {
	if h.Failure != nil {
		w.failed(h.Failure)
		return
	}
	w.over(h.Out)
	w.next = hopInternet
}

// acrossInternet finds the gateway or host that has the destination address. Source
// addresses are not checked here: the Internet does not.
func (w *walk) acrossInternet() {
	net := w.snap.Internet
	if g := net.GatewayOf[w.hdr.Dst]; g != nil {
		w.pass(StageInternet, g.Ref, Rule{})
		w.igwIngress(g)
		return
	}
	h := net.Hosts[w.hdr.Dst]
	if h == nil && net.Uplink != nil && w.in.Host != &net.Uplink.InternetHost {
		var ok bool
		if h, ok = w.uplink(net); !ok {
			return
		}
	}
	if h == nil && w.assumed != nil {
		h = w.assumed.hosts[w.hdr.Dst]
	}
	if h == nil || h.Port == nil {
		w.end(StageInternet, InternetUnreachable, Ref{}, Rule{})
		return
	}
	if h.Failure != nil {
		w.failed(h.Failure)
		return
	}
	if w.in.Host != nil {
		if !w.hopCount(StageInternet, h.Ref) {
			return
		}
		w.over(net.Out)
	}
	w.over(h.In)
	if w.loser != nil {
		w.lose()
		return
	}
	w.out = output{host: h}
	w.end(StageInternet, Delivered, h.Ref, Rule{})
}

// uplink is the way out of the lab for a destination that nothing in it has; nil where
// the destination is the lab's own. It keeps the lab from what is the user's: the
// networks and addresses behind his machine.
func (w *walk) uplink(net *Internet) (*InternetHost, bool) {
	u := net.Uplink
	src, dst := w.hdr.Src, w.hdr.Dst.Netip()
	if contains(u.Lab, dst) {
		return nil, true
	}
	own := net.Hosts[src] != nil || contains(u.Lab, src.Netip())
	if !own || contains(u.Refuses, dst) && !contains(u.Allows, dst) {
		return nil, w.end(StageInternet, UplinkRefused, u.Ref, Rule{})
	}
	return &u.InternetHost, true
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// igwIngress is the way into a VPC: the checks of IG-04, the translation back, the
// gateway's route table if it has one, then the ENI (section 7, from_igw). A hairpin
// comes here with the sender's public address as its source (IG-06).
func (w *walk) igwIngress(g *InternetGateway) {
	h := &w.hdr
	if in1918, in6598 := private(h.Src); in1918 {
		w.end(StageIGWIngress, IGWSourceRFC1918, g.Ref, Rule{})
		return
	} else if in6598 {
		w.end(StageIGWIngress, IGWSourceRFC6598, g.Ref, Rule{})
		return
	}
	to := h.Dst
	if h.Dst.Is4() {
		var ok bool
		if to, ok = g.NAT.Private(h.Dst); !ok {
			w.end(StageIGWIngress, IGWNoPrivateAddress, g.Ref, Rule{})
			return
		}
	}
	if !g.VPC.has(to) {
		w.end(StageIGWIngress, IGWDestinationOutsideVPC, g.Ref, Rule{})
		return
	}
	if !w.fits(StageIGWIngress, internetMTU, w.sent.Dst, g.Ref) || !w.hopCount(StageIGWIngress, g.Ref) {
		return
	}
	if to != h.Dst {
		if h.HasInner && h.Inner.Src == h.Dst {
			h.SetInnerSrc(to)
		}
		h.SetDst(to)
	}
	w.pass(StageIGWIngress, g.Ref, Rule{})
	w.over(w.snap.Internet.In)
	w.crossed = true
	w.enterVPC(g)
}

// enterVPC follows the gateway's edge association, if any (RT-14), to the ENI.
func (w *walk) enterVPC(g *InternetGateway) {
	if g.Ingress == nil {
		w.deliverLocal(g.VPC)
		return
	}
	r := g.Ingress.Lookup(w.hdr.Dst)
	if !w.checkRoute(StageEdgeRoute, r, g.VPC, g.Ingress.Ref) {
		return
	}
	if r.Target != TargetENI {
		w.deliverLocal(g.VPC)
		return
	}
	for _, a := range r.ENI.Addrs {
		if _, ok := g.NAT.Public(a); ok {
			w.arrive(r.ENI)
			return
		}
	}
	w.end(StageEdgeRoute, IngressNoPublicIP, r.ENI.Ref, Rule{Route: r})
}
