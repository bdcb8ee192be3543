package flowlog

import (
	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/flowlog/record"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// Sighting is what one network interface saw of packets on their way.
type Sighting struct {
	ENI    *dataplane.ENI
	Egress bool         // they left it
	Reject bool         // its security groups or its subnet's ACL denied them
	Tuple  packet.Tuple // as they were at the interface
	Path   uint8        // FL-08, of packets that left it
}

// Sightings calls see for each interface that saw packets which came in at from, as sent,
// and took these steps: in packet order, and for a NAT gateway's interface on the way in
// and on the way out. What AWS does not log (FL-09) makes none.
func Sightings(from dataplane.Place, sent packet.Tuple, steps []dataplane.Step, see func(Sighting)) {
	if from.Services != nil {
		return // the resolver's answers
	}
	w := watcher{see: see, before: sent}
	for i := range steps {
		w.step(&steps[i])
	}
	w.finish()
}

// watcher goes along the steps. now is the sighting that the last step belongs to.
type watcher struct {
	see    func(Sighting)
	before packet.Tuple // the packet before the step
	now    Sighting
	routed bool // a route has told the path of now
}

// step adds a stage to the sighting that it belongs to. Packets that a service takes, or
// that the source check stops, have met no filter and make none.
func (w *watcher) step(s *dataplane.Step) {
	defer func() { w.before = s.Tuple }()
	switch {
	case s.At == nil:
		return
	case s.Stage == dataplane.StageNAT: // it is in between: both sightings are the gateway's
		w.at(s.At, false, w.before)
		if !s.End {
			w.at(s.At, true, s.Tuple)
		}
		return
	}
	switch s.Stage {
	case dataplane.StageSGEgress, dataplane.StageACLEgress, dataplane.StageRoute:
		w.at(s.At, true, s.Tuple)
	case dataplane.StageACLIngress, dataplane.StageSGIngress, dataplane.StageDestCheck, dataplane.StageDeliver:
		w.at(s.At, false, s.Tuple)
	default:
		return
	}
	if s.End && denied(s.Reason) {
		w.now.Reject = true
	}
	if s.Stage == dataplane.StageRoute {
		w.route(s)
	}
}

// at goes on to an interface's way in or out, unless the packets are there already.
func (w *watcher) at(e *dataplane.ENI, egress bool, t packet.Tuple) {
	if w.now.ENI == e && w.now.Egress == egress {
		return
	}
	if w.now.Egress && !w.routed {
		w.now.Path = record.PathVPC // to a neighbour, without a route table
	}
	w.finish()
	w.now, w.routed = Sighting{ENI: e, Egress: egress, Tuple: t}, false
}

func (w *watcher) finish() {
	if w.now.ENI != nil {
		w.see(w.now)
	}
	w.now = Sighting{}
}

// route notes where the packets went from here (FL-08).
func (w *watcher) route(s *dataplane.Step) {
	switch r := s.Rule.Route; {
	case s.Reason == dataplane.AddressUnassigned && s.End:
		w.now.Path = record.PathVPC // of a neighbour that is not there
	case r == nil || s.End:
		return
	case r.Target == dataplane.TargetIGW:
		w.now.Path = record.PathIGWNitro
	default:
		w.now.Path = record.PathVPC
	}
	w.routed = true
}

// denied tells whether a filter decided (FL-04). All else that drops packets does so
// behind the filters, and is logged as ACCEPT (FL-11).
func denied(r dataplane.Reason) bool {
	switch r {
	case dataplane.ACLDenied, dataplane.SGHasNoRules, dataplane.SGRulesMismatch, dataplane.SGReferencesNotPreserved:
		return true
	}
	return false
}
