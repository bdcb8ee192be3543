package explain

import (
	"cmp"
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

// pen draws one packet's way: an arrow from each participant to the next. What is decided
// on the way into the next one is noted there, and so waits for the arrow.
type pen struct {
	*diagram
	at      string // the participant that has the packet
	arrow   string
	cross   string
	waiting []string
}

func (d *diagram) path(t *control.Trace, p *control.Path, returning bool) {
	from, to := t.From, t.To
	w := &pen{diagram: d, arrow: "->>", cross: "-x"}
	if returning {
		from, to = to, from
		w.arrow, w.cross = "-->>", "--x"
	}
	header := p.Hops[0].Before
	w.at = d.participant(from, hostOf(header.Source))
	for i := range p.Hops {
		h := &p.Hops[i]
		if h.Verdict == "pass" && unseen[h.Stage] && h.Note == "" {
			continue
		}
		packet := p.Packet + " " + header.Source + " → " + header.Destination
		switch {
		case h.Verdict == "drop":
			w.drop(h, d.next(h, to), packet, p.Answer)
			return
		case h.Verdict == "deliver":
			w.move(d.participant(to, hostOf(h.After.Destination)), w.arrow, packet)
		case actor(h):
			w.move(d.participant(h.Object, ""), w.arrow, packet)
			w.note(noteText(h))
			header = h.After
		case inbound[h.Stage]:
			w.waiting = append(w.waiting, noteText(h))
		default:
			w.note(noteText(h))
		}
	}
}

func (w *pen) note(text string) {
	w.lines = append(w.lines, "Note over "+w.at+": "+escape(text))
}

// move draws the arrow to the next participant, and what waited for it.
func (w *pen) move(next, sign, packet string) {
	if next != w.at {
		w.lines = append(w.lines, w.at+sign+next+": "+escape(packet))
	}
	w.at = next
	for _, text := range w.waiting {
		w.note(text)
	}
	w.waiting = nil
}

// drop draws where a packet ended: on its way out of who has it, or into the next one.
func (w *pen) drop(h *control.Hop, next, packet, answer string) {
	sender := w.at
	text := "✗ " + noteText(h)
	if detail(h) != "" {
		text += "\n" + h.Reason
	}
	if outbound := !inbound[h.Stage] && !actor(h) && h.Stage != dataplane.StageInternet.String(); outbound {
		w.note(text)
		if next != w.at {
			w.move(next, w.cross, packet)
		}
	} else {
		w.move(next, w.cross, packet)
		w.note(text)
	}
	if answer != "" {
		w.at = sender
		w.note("the network answers: " + answer)
	}
}

// next is who the packet was on its way to when it was dropped.
func (d *diagram) next(h *control.Hop, to control.Object) string {
	if actor(h) || h.Stage == dataplane.StageInternet.String() {
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

// noteText is what a stage did, on two lines.
func noteText(h *control.Hop) string {
	text := stageWords[h.Stage]
	if !actor(h) {
		text += " " + title(h.Object)
	}
	what := detail(h)
	if what == "" {
		what = h.Reason
	}
	if what != "" {
		text += "\n" + what
	}
	return text
}

// participant is the ID of one, declared when it is first met.
func (d *diagram) participant(o control.Object, address string) string {
	key := cmp.Or(o.Name, o.ID)
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
	return strings.NewReplacer("#", "#35;", ";", "#59;", "<", "#lt;", ">", "#gt;", "%", "#37;", "\n", "<br/>").Replace(s)
}
