package dataplane

import (
	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// acl asks the network ACL of a subnet whose boundary the packet crosses (AC-06). It
// keeps no state: replies are asked about like any packet (CT-08).
func (w *walk) acl(s *Subnet, dir filter.Direction) bool {
	stage := StageACLEgress
	if dir == filter.Ingress {
		stage = StageACLIngress
	}
	q := w.query(dir)
	rule := s.ACL.Match(&q)
	by := Ref{s.ACL.ID, s.ACL.Name}
	if !rule.Allow {
		return w.end(stage, ACLDenied, by, Rule{ACL: rule})
	}
	return w.pass(stage, by, Rule{ACL: rule})
}

// query is the packet as rules see it, without anybody's groups.
func (w *walk) query(dir filter.Direction) filter.Query {
	h := &w.hdr
	q := filter.Query{Dir: dir, Proto: h.Proto, Remote: h.Src, DstPort: h.DstPort, ICMPType: h.ICMPType, ICMPCode: h.ICMPCode}
	if dir == filter.Egress {
		q.Remote = h.Dst
	}
	return q
}

// peerGroups identify the peer to rules that name a group: the sender while nothing
// has hidden it (SG-08, SG-09), or the ENI that has the destination address.
func (w *walk) peerGroups(e *ENI, dir filter.Direction) []uint32 {
	if dir == filter.Ingress {
		return w.groups
	}
	if peer := e.Subnet.VPC.byAddr[w.hdr.Dst]; peer != nil {
		return peer.GroupHandles
	}
	return nil
}

// securityGroups admits what belongs to a tracked connection (CT-01), what a rule
// allows (SG-01), and ICMP errors about either (CT-09).
//
// Whether a flow is untracked is asked of the rule that permits it and, for what may
// be a reply, of the rule that permits the packet it may answer (CT-03): the reply of
// an untracked flow must not start a tracked one, or a removed rule would not cut the
// flow at once (CT-05). A flow that is untracked by its rules is observed all the same
// if its walk meets a NAT gateway (CT-06), which is known only at the end.
func (w *walk) securityGroups(e *ENI, dir filter.Direction) bool {
	h := &w.hdr
	stage, outbound := StageSGEgress, dir == filter.Egress
	if !outbound {
		stage = StageSGIngress
	}
	isError := h.IsICMPError()
	key := conntrack.KeyOf(e.Handle, h.Tuple, outbound)
	if isError {
		if w.cfg.RelatedICMP && h.HasInner && w.related(e, dir) {
			return w.pass(stage, e.Ref, Rule{Related: true})
		}
	} else if entry, ok := w.tracked(key); ok && entry.Hit(outbound, w.tcpFlags()) {
		w.observe(e, key, outbound, false)
		w.observed[w.nObserved-1].tracked = true
		return w.pass(stage, e.Ref, Rule{Tracked: true})
	}
	if e.Groups == nil || e.Groups.Empty(dir) {
		return w.end(stage, SGHasNoRules, e.Ref, Rule{})
	}
	q := w.query(dir)
	q.RemoteGroups = w.peerGroups(e, dir)
	rule, free := e.Groups.Match(&q)
	if rule == nil {
		return w.end(stage, w.mismatch(e, &q), e.Ref, Rule{})
	}
	// An ICMP error opens no flow of its own.
	if !isError {
		w.observe(e, key, outbound, free || w.answersUntracked(e, &q))
	}
	return w.pass(stage, e.Ref, Rule{Group: rule})
}

// tracked finds the live connection that the packet may belong to.
func (w *walk) tracked(k conntrack.Key) (conntrack.Entry, bool) {
	if w.assumed != nil {
		if e, ok := w.assumed.entries[k]; ok || w.assumed.fresh {
			return e, ok && e.Deadline > w.now
		}
	}
	return w.cfg.Conntrack.Lookup(k, w.now)
}

func (w *walk) observe(e *ENI, key conntrack.Key, outbound, onlyViaNAT bool) {
	w.observed[w.nObserved] = observation{eni: e, key: key, outbound: outbound, flags: w.tcpFlags(), onlyViaNAT: onlyViaNAT}
	w.nObserved++
}

// answersUntracked tells whether the packet may be a reply within an untracked flow,
// or within one that was untracked until its rule was removed: that rule can no longer
// be asked, but the one that let the replies pass still does. Else the next packet of
// the instance, such as a retransmission, would revive the flow (CT-05).
func (w *walk) answersUntracked(e *ENI, q *filter.Query) bool {
	h := &w.hdr
	opens := h.IsTCP() && h.TCPFlags&(packet.FlagSYN|packet.FlagACK) == packet.FlagSYN
	if opens || !h.IsTCP() && !h.IsUDP() {
		return false
	}
	return h.IsTCP() && e.Groups.OpenToAll(q) || untracked(e.Groups, opposite(q.Dir), h.Tuple.Reverse())
}

// related tells whether an ICMP error quotes a packet of a flow that the ENI's groups
// admit: a tracked one, or one that the rules of the opposite direction allow as
// untracked (CT-09). The error must go to the quoted packet's sender.
func (w *walk) related(e *ENI, dir filter.Direction) bool {
	h := &w.hdr
	if h.Inner.Src != h.Dst {
		return false
	}
	if _, ok := w.tracked(conntrack.KeyOf(e.Handle, h.Inner, dir != filter.Egress)); ok { // the quoted packet went the other way
		return true
	}
	if e.Groups == nil || !h.InnerPorts || h.Inner.Proto != packet.ProtoTCP && h.Inner.Proto != packet.ProtoUDP {
		return false
	}
	return untracked(e.Groups, opposite(dir), h.Inner) || untracked(e.Groups, dir, h.Inner.Reverse())
}

// untracked tells whether a rule allows a TCP or UDP packet in that direction as part
// of an untracked flow.
func untracked(g *filter.Groups, dir filter.Direction, t packet.Tuple) bool {
	q := filter.Query{Dir: dir, Proto: t.Proto, DstPort: t.DstPort, Remote: t.Src}
	if dir == filter.Egress {
		q.Remote = t.Dst
	}
	rule, is := g.Match(&q)
	return rule != nil && is
}

func opposite(dir filter.Direction) filter.Direction {
	if dir == filter.Ingress {
		return filter.Egress
	}
	return filter.Ingress
}

// mismatch tells a rule that is missing from one that names the sender's group in
// vain, as something on the way has hidden who sent the packet (SG-09).
func (w *walk) mismatch(e *ENI, q *filter.Query) Reason {
	if q.Dir == filter.Egress || w.groups != nil {
		return SGRulesMismatch
	}
	for _, sender := range [2]*ENI{e.Subnet.VPC.byAddr[w.hdr.Src], w.in.ENI} {
		if sender == nil {
			continue
		}
		q.RemoteGroups = sender.GroupHandles
		if rule, _ := e.Groups.Match(q); rule != nil {
			return SGReferencesNotPreserved
		}
	}
	return SGRulesMismatch
}
