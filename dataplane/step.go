package dataplane

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// Stage names a station on a packet's way, in packet order.
type Stage uint8

// Stages; doc.go says what each does.
const (
	StageFrame Stage = iota + 1
	StageParse
	StageFragments
	StageServices
	StageLink
	StageSourceCheck
	StageSGEgress
	StageACLEgress
	StageRoute
	StageNAT
	StageIGWEgress
	StageInternet
	StageIGWIngress
	StageEdgeRoute
	StageACLIngress
	StageSGIngress
	StageDestCheck
	StageDeliver
	StageCommit
	numStages
)

var stageNames = [...]string{
	StageFrame: "frame", StageParse: "parse", StageFragments: "fragments", StageServices: "services", StageLink: "link",
	StageSourceCheck: "source-check", StageSGEgress: "sg-egress", StageACLEgress: "acl-egress",
	StageRoute: "route", StageNAT: "nat-gateway", StageIGWEgress: "igw-egress", StageInternet: "internet",
	StageIGWIngress: "igw-ingress", StageEdgeRoute: "edge-route", StageACLIngress: "acl-ingress",
	StageSGIngress: "sg-ingress", StageDestCheck: "dest-check", StageDeliver: "deliver", StageCommit: "commit",
}

func (s Stage) String() string {
	if int(s) >= len(stageNames) {
		return "stage " + strconv.Itoa(int(s))
	}
	return stageNames[s]
}

// Rule is what a stage decided by; at most one of the pointers is set. It points
// into a snapshot, which stays alive with it.
type Rule struct {
	Group   *filter.GroupRule
	ACL     *filter.ACLRule
	Route   *Route
	Link    *Link
	Tracked bool // admitted as part of a tracked connection (CT-01)
	Related bool // admitted as an ICMP error about an admitted flow (CT-09)
}

func (r Rule) String() string {
	switch {
	case r.Group != nil:
		return "rule " + r.Group.RuleID + " of " + Ref{r.Group.GroupID, r.Group.GroupName}.String()
	case r.ACL != nil && r.ACL.Number >= 32767:
		return "rule * deny"
	case r.ACL != nil:
		verb := "deny"
		if r.ACL.Allow {
			verb = "allow"
		}
		return fmt.Sprintf("rule %d %s", r.ACL.Number, verb)
	case r.Route != nil:
		s := "route " + r.Route.Dest.String() + " -> " + r.Route.TargetID
		if r.Route.TargetID == "" {
			s += r.Route.Target.String()
		}
		return s
	case r.Link != nil:
		return r.Link.Conditions.String()
	case r.Tracked:
		return "tracked connection"
	case r.Related:
		return "about an admitted flow"
	}
	return ""
}

// Step is one stage that a traced packet passed, or at which it ended.
type Step struct {
	Stage Stage
	By    Ref // the object that the stage belongs to: interface, ACL, route table, gateway, host
	// At is the interface, an instance's or NAT gateway's, in whose way out or in the
	// stage lies; nil on the Internet's side.
	At    *ENI
	Rule  Rule
	Tuple packet.Tuple // the packet after the stage
	End   bool         // the walk ended here
	// Reason says how it ended; meaningful when End is set.
	Reason Reason
}

func (s Step) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s %s", s.Stage, s.Tuple)
	if by := s.By.String(); by != "" {
		fmt.Fprintf(&b, "  [%s]", by)
	}
	if rule := s.Rule.String(); rule != "" {
		fmt.Fprintf(&b, "  %s", rule)
	}
	if s.End {
		fmt.Fprintf(&b, "  => %s", s.Reason)
	}
	return b.String()
}

// Text renders a trace, a line a step.
func Text(steps []Step) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(s.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// pass counts that the packet passed a stage, and records it in a trace.
func (w *walk) pass(stage Stage, by Ref, rule Rule) bool {
	w.tally.stage(stage)
	if w.node != nil {
		w.node = w.node.passed(stage, w.at, &by, &rule)
	}
	if w.detailed {
		w.steps = append(w.steps, Step{Stage: stage, By: by, At: w.at, Rule: rule, Tuple: w.hdr.Tuple})
	}
	return true
}

// end finishes the walk. It always returns false, so that a stage can say
// `return w.end(…)` and its caller stops.
func (w *walk) end(stage Stage, reason Reason, by Ref, rule Rule) bool {
	w.next = hopNone
	w.tally.stage(stage)
	w.reason, w.stage = reason, stage
	w.by = by
	w.rule = rule
	w.ended = w.hdr.Tuple // on its own, as all structs are: see begin
	if w.detailed {
		if n := len(w.steps); n > 0 && w.steps[n-1].End {
			w.steps = w.steps[:n-1] // it had ended well, and did not in the end
		}
		w.steps = append(w.steps, Step{Stage: stage, By: by, At: w.at, Rule: rule, Tuple: w.hdr.Tuple, End: true, Reason: reason})
	}
	return false
}

// endWay is the way that the walk has taken to its end.
func (w *walk) endWay() *Way {
	d := decision{stage: w.stage, end: true, reason: w.reason, at: w.at, by: w.by, rule: w.rule}
	if !w.reason.Dropped() {
		d.place = w.out.place()
	}
	return w.node.next(&d)
}
