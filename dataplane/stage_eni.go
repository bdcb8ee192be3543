package dataplane

import (
	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// fromENI is the way out of an ENI: services, source check, security groups, then
// either straight to a neighbour or on through the subnet (section 7, from_eni).
func (w *walk) fromENI() {
	e := w.in.ENI
	w.subnet, w.last, w.at = e.Subnet, e, e
	if !w.services(e) {
		return
	}
	if e.Failure != nil {
		w.failed(e.Failure)
		return
	}
	w.over(e.Out)
	if !w.sourceCheck(e) || !w.securityGroups(e, filter.Egress) {
		return
	}
	if !w.fits(StageSGEgress, e.MTU, e.Subnet.Router, e.Ref) {
		return
	}
	if w.l2peer != nil {
		w.arrive(w.l2peer) // RT-15: no route table, no ACL
		return
	}
	w.fromSubnet()
}

// sourceCheck drops what an ENI sends with an address that is not its own, unless its
// check is off (PL-02). A forwarded packet has lost its sender's identity (SG-09).
func (w *walk) sourceCheck(e *ENI) bool {
	own := e.owns(w.hdr.Src)
	if e.SourceDestCheck && !own {
		return w.end(StageSourceCheck, SourceDestCheck, e.Ref, Rule{})
	}
	if own {
		w.groups = e.GroupHandles
	}
	return w.pass(StageSourceCheck, e.Ref, Rule{})
}

// fromSubnet carries the packet on from the subnet it is in. A destination in the
// same subnet is reached directly, also when it was sent by way of the router (U-01,
// AC-06). Otherwise the ACL comes before the route table (RT-17); it is asked even if
// the route then leads to an ENI or NAT gateway in this same subnet, as the packet's
// destination lies outside and AWS documents the same for transit gateways (TG-09).
func (w *walk) fromSubnet() {
	s := w.subnet
	w.crossed = !s.CIDR.Contains(w.hdr.Dst.Netip())
	if !w.crossed {
		w.deliverLocal(s.VPC)
		return
	}
	if !w.acl(s, filter.Egress) {
		return
	}
	w.over(s.Out)
	r := s.Routes.Lookup(w.hdr.Dst)
	if !w.checkRoute(StageRoute, r, s.VPC, s.Routes.Ref) {
		return
	}
	switch r.Target {
	case TargetLocal:
		w.deliverLocal(s.VPC)
	case TargetENI:
		w.arrive(r.ENI)
	case TargetNAT:
		w.arrive(r.NAT.ENI)
	case TargetIGW:
		w.igwEgress(r.IGW)
	}
}

// checkRoute ends the walk where there is no route or its target is unavailable.
func (w *walk) checkRoute(stage Stage, r *Route, v *VPC, table Ref) bool {
	switch {
	case r == nil:
		return w.end(stage, NoRoute, table, Rule{})
	case !r.usable(v):
		return w.end(stage, BlackholeRoute, table, Rule{Route: r})
	}
	return w.pass(stage, table, Rule{Route: r})
}

// deliverLocal finds the ENI that has the destination address (RT-18). No ICMP
// unreachable is sent for one that nobody has.
func (w *walk) deliverLocal(v *VPC) {
	if !v.has(w.hdr.Dst) {
		w.end(StageRoute, LocalRouteOutsideVPC, v.Ref, Rule{})
		return
	}
	e := v.byAddr[w.hdr.Dst]
	if e == nil {
		w.end(StageRoute, AddressUnassigned, v.Ref, Rule{})
		return
	}
	w.arrive(e)
}

// arrive is the way into an ENI: the ACL of its subnet if the packet came from
// another one, then the NAT gateway, or security groups, destination check and the
// port.
func (w *walk) arrive(e *ENI) {
	w.at = e
	if !w.enters(e) || w.crossed && !w.acl(e.Subnet, filter.Ingress) {
		return
	}
	if e.NAT != nil {
		w.natGateway(e.NAT)
		return
	}
	if !w.securityGroups(e, filter.Ingress) || !w.destCheck(e) {
		return
	}
	w.over(e.In)
	w.deliver(e)
}

// destCheck drops what arrives at an ENI for an address that is not its own (PL-02).
func (w *walk) destCheck(e *ENI) bool {
	if e.SourceDestCheck && !e.owns(w.hdr.Dst) {
		return w.end(StageDestCheck, SourceDestCheck, e.Ref, Rule{})
	}
	return w.pass(StageDestCheck, e.Ref, Rule{})
}

// deliver hands the packet to the ENI's port.
func (w *walk) deliver(e *ENI) {
	if e.Port == nil {
		w.end(StageDeliver, ENIDetached, e.Ref, Rule{})
		return
	}
	if !w.fits(StageDeliver, e.MTU, w.nearRouter(e.Subnet), e.Ref) {
		return
	}
	if w.loser != nil {
		w.lose()
		return
	}
	w.out = output{eni: e}
	w.end(StageDeliver, Delivered, e.Ref, Rule{})
}

// nearRouter is the router that the packet's sender knows: its subnet's, or for
// senders outside the address they sent to, as only that one is public.
func (w *walk) nearRouter(fallback *Subnet) packet.Addr {
	switch {
	case w.in.ENI != nil:
		return w.in.ENI.Subnet.Router
	case w.in.Host != nil:
		return w.sent.Dst
	}
	return fallback.Router
}

// fromServices delivers what the VPC's services port sends to the ENI that has the
// destination address, unfiltered and untracked (EX-01).
func (w *walk) fromServices() {
	v := w.in.Services
	e := v.byAddr[w.hdr.Dst]
	if e == nil || e.NAT != nil {
		w.end(StageServices, AddressUnassigned, v.Ref, Rule{})
		return
	}
	w.subnet, w.crossed, w.at = e.Subnet, true, e
	w.deliver(e)
}
