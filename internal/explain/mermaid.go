package explain

import (
	"fmt"
	"strings"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
)

// Mermaid is a trace as a Mermaid sequence diagram: who sends, forwards, translates and
// gets the packet are participants, what else decided is a note above the one in whose way
// it lies. A drop is an arrow that ends in a cross.
func Mermaid(t *control.Trace) string {
	d := &diagram{ids: map[string]string{}}
	for _, p := range []*control.Path{t.Forward, t.Return} {
		if p != nil {
			d.path(t, p, p == t.Return)
		}
	}
	var b strings.Builder
	b.WriteString("sequenceDiagram\n")
	for _, p := range d.participants {
		b.WriteString("    " + p + "\n")
	}
	for _, l := range d.lines {
		b.WriteString("    " + l + "\n")
	}
	return b.String()
}

type diagram struct {
	ids          map[string]string // of participants, by what they are
	participants []string
	lines        []string
}

// path draws one packet's way: an arrow from each participant to the next.
func (d *diagram) path(t *control.Trace, p *control.Path, returning bool) {
	from, to := t.From, t.To
	if returning {
		from, to = to, from
	}
	at := d.participant(from, strings.TrimSuffix(hostOf(p.Hops[0].Before.Source), ":"))
	arrow, cross := "->>", "-x"
	if returning {
		arrow, cross = "-->>", "--x"
	}
	header := p.Hops[0].Before
	// Notes about stages on the way into the next participant wait for it.
	var waiting []string
	move := func(next, sign, what string) {
		if next != at {
			d.lines = append(d.lines, at+sign+next+": "+escape(what))
		}
		at = next
		for _, n := range waiting {
			d.lines = append(d.lines, "Note over "+at+": "+n)
		}
		waiting = nil
	}
	for i := range p.Hops {
		h := &p.Hops[i]
		if h.Verdict == "pass" && unseen[h.Stage] && h.Note == "" {
			continue
		}
		note := escape(noteText(h))
		packet := p.Packet + " " + header.Source + " → " + header.Destination
		switch {
		case h.Verdict == "drop":
			d.drop(t, p, h, at, d.next(h, to), cross, packet)
			return
		case h.Verdict == "deliver":
			move(d.participant(to, hostOf(h.After.Destination)), arrow, packet)
		case actor(h):
			move(d.participant(h.Object, ""), arrow, packet)
			d.lines = append(d.lines, "Note over "+at+": "+note)
			header = h.After
		case inbound[h.Stage]:
			waiting = append(waiting, note)
		default:
			d.lines = append(d.lines, "Note over "+at+": "+note)
		}
	}
}

// drop draws where a packet ended: on its way out of who has it, or into the next one.
func (d *diagram) drop(t *control.Trace, p *control.Path, h *control.Hop, at, next, cross, packet string) {
	if next == at || !inbound[h.Stage] && !actor(h) && h.Stage != dataplane.StageInternet.String() {
		d.lines = append(d.lines, "Note over "+at+": "+escape(noteText(h)))
		if next == at {
			next = d.participant(t.To, "")
		}
		if next != at {
			d.lines = append(d.lines, at+cross+next+": "+escape(h.Reason))
		}
	} else {
		d.lines = append(d.lines, at+cross+next+": "+escape(packet), "Note over "+next+": "+escape(noteText(h)),
			"Note over "+next+": "+escape(h.Reason))
	}
	if p.Answer != "" {
		d.lines = append(d.lines, "Note over "+at+": "+escape("the network answers: "+p.Answer))
	}
}

// next is who the packet was on its way to when it was dropped.
func (d *diagram) next(h *control.Hop, to control.Object) string {
	if actor(h) {
		return d.participant(h.Object, "")
	}
	return d.participant(to, "")
}

// actor tells whether a stage is a participant's: a gateway's, or a middlebox's.
func actor(h *control.Hop) bool {
	switch h.Stage {
	case dataplane.StageNAT.String(), dataplane.StageIGWEgress.String(), dataplane.StageIGWIngress.String():
		return true
	}
	return h.Stage == dataplane.StageDeliver.String() && h.Verdict == "pass"
}

// inbound are the stages on the way into an interface.
var inbound = map[string]bool{
	dataplane.StageACLIngress.String(): true, dataplane.StageSGIngress.String(): true,
	dataplane.StageDestCheck.String(): true, dataplane.StageDeliver.String(): true,
}

// noteText is what a stage did.
func noteText(h *control.Hop) string {
	text := stageWords[h.Stage]
	if !actor(h) {
		text += " " + title(h.Object)
	}
	if what := detail(h); what != "" {
		text += ": " + what
	}
	return text
}

// participant is the ID of one, declared when it is first met.
func (d *diagram) participant(o control.Object, address string) string {
	key := nameOr(o.Name, o.ID)
	if id, ok := d.ids[key]; ok {
		return id
	}
	id := fmt.Sprintf("p%d", len(d.ids))
	d.ids[key] = id
	label := escape(title(o))
	for _, more := range []string{kindWords[o.Kind], address} {
		if more != "" && more != title(o) {
			label += "<br/>" + escape(more)
		}
	}
	d.participants = append(d.participants, "participant "+id+" as "+label)
	return id
}

// kindWords are the kinds that a name does not show.
var kindWords = map[string]string{kindNAT: "NAT gateway", kindIGW: "Internet gateway"}

func hostOf(source string) string {
	host, _, _ := strings.Cut(source, ":")
	return host
}

// escape writes what Mermaid would take for its own syntax as entities.
func escape(s string) string {
	return strings.NewReplacer("#", "#35;", ";", "#59;", "<", "#lt;", ">", "#gt;", "\n", " ", "%", "#37;").Replace(s)
}
