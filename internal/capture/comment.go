package capture

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// comment says in words what a packet is at a place, the sighting of that number, and what
// became of it. Packets of one flow mostly come in a row, and are said the same of.
func (w *walked) comment(n int) string {
	r := &w.said[n]
	if r.text == "" || r.sent != w.sentTuple || r.final != w.finalTuple || r.packets != w.packets || r.translated != w.translated {
		*r = remark{w.sentTuple, w.finalTuple, w.packets, w.translated, w.compose(n)}
	}
	return r.text
}

func (w *walked) compose(n int) string {
	s := w.sightings[n]
	var b strings.Builder
	b.WriteString(s.at.String() + " " + s.direction().String())
	if s.role != sent {
		if from := w.from.Ref().String(); from != "" {
			b.WriteString(", from " + from)
		}
	}
	b.WriteString(": ")
	switch s.role {
	case arrives:
		if !w.steps[s.after].End {
			w.translation(&b, "translated to ", w.before(s.after+1), w.before(s.after))
		}
		b.WriteString(w.verdict)
	case leaves:
		w.translation(&b, "translated from ", w.before(s.after-1), w.before(s.after))
		b.WriteString(w.verdict)
	case received:
		b.WriteString("delivered")
		w.other(&b, "; sent as ", w.sentTuple)
	case refused:
		b.WriteString(w.verdict)
		w.other(&b, "; sent as ", w.sentTuple)
	case sent:
		b.WriteString(w.verdict)
		how := " as "
		if w.reason.Dropped() {
			how = "; by then "
		}
		w.other(&b, how, w.finalTuple)
	}
	if w.packets > 1 {
		fmt.Fprintf(&b, "; %d packets on the wire (segmentation offload)", w.packets)
	}
	if how := w.around[n]; how != "" {
		b.WriteString(" [" + how + "]")
	}
	return b.String()
}

// answerComment is that of what the network itself sent back.
func (w *walked) answerComment(sender point) string {
	return sender.String() + " " + Inbound.String() + ": the network's answer to " + w.sentTuple.String() + ", which was " + w.verdict
}

func (w *walked) translation(b *strings.Builder, how string, t, other packet.Tuple) {
	if t != other {
		b.WriteString(how + t.String() + "; ")
	}
}

// other adds the packet's other form where a translation lies between.
func (w *walked) other(b *strings.Builder, what string, t packet.Tuple) {
	if w.sentTuple != w.finalTuple {
		b.WriteString(what + t.String())
	}
}

// tell is how the packets ended: "delivered to db (eni-…)", "dropped by acl-…, rule *
// deny, at acl-ingress: SUBNET_ACL_RESTRICTION: denied by the subnet's network ACL".
func (c *course) tell() string {
	if !c.reason.Dropped() {
		if to := c.to.Ref().String(); to != "" && c.reason == dataplane.Delivered {
			return "delivered to " + to
		}
		return c.reason.Text()
	}
	said := "dropped"
	if n := len(c.steps); n > 0 {
		last := c.steps[n-1]
		var by []string
		for _, who := range []string{last.By.String(), last.Rule.String()} {
			if who != "" {
				by = append(by, who)
			}
		}
		if len(by) > 0 {
			said += " by " + strings.Join(by, ", ") + ","
		}
		said += " at " + last.Stage.String()
	}
	return said + ": " + c.reason.Name() + ": " + c.reason.Text()
}

// nextTo are the steps next to a place: those that follow when a packet leaves it, those
// before when it comes in, from or up to the next gateway.
func nextTo(steps []dataplane.Step, s sighting) []dataplane.Step {
	if s.direction() == Outbound {
		rest := steps[s.after:]
		if i := slices.IndexFunc(rest, isGateway); i >= 0 {
			return rest[:i]
		}
		return rest
	}
	before := steps[:s.after]
	for i := len(before) - 1; i >= 0; i-- {
		if isGateway(before[i]) {
			return before[i+1:]
		}
	}
	return before
}

// decisions lists the rules and routes by which a packet got on.
func decisions(steps []dataplane.Step) string {
	var list []string
	for _, s := range steps {
		rule := s.Rule.String()
		if rule == "" || s.End {
			continue
		}
		switch s.Stage {
		case dataplane.StageSGEgress, dataplane.StageSGIngress:
			list = append(list, s.Stage.String()+": "+rule)
		case dataplane.StageRoute, dataplane.StageEdgeRoute:
			list = append(list, rule+" of "+s.By.String())
		default:
			list = append(list, s.Stage.String()+": "+rule+" of "+s.By.String())
		}
	}
	return strings.Join(list, "; ")
}
