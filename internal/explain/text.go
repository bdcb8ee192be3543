package explain

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
)

// width is how many columns a trace's text has at most, but for what cannot be broken.
const width = 100

// longestName is how much of an object's name a trace's text shows.
const longestName = 24

// Text is a trace for people: a line for each stage that decided something, then, where
// the packet was dropped, why and what to change. It ends with a line break.
func Text(t *control.Trace) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s → %s, %s: %s\n", title(t.From), title(t.To), asked(t), verdict(t))
	cells := tableOf(t)
	writePath(&b, "Forward", t.Forward, cells)
	if t.Return != nil {
		writePath(&b, "Return", t.Return, cells)
	}
	if !t.Reachable {
		b.WriteByte('\n')
		writeWrapped(&b, t.Reason+": ", t.Text+".", "")
	}
	for i, a := range t.Advice {
		if !isCommand(a) && (i == 0 || isCommand(t.Advice[i-1])) {
			b.WriteByte('\n')
		}
		writeAdvice(&b, a)
	}
	return b.String()
}

// title is an object's name as headings have it.
func title(o control.Object) string { return shorten(cmp.Or(o.Name, o.ID)) }

// asked is the protocol and port: tcp/22, icmp, protocol 47.
func asked(t *control.Trace) string {
	switch {
	case t.Port != 0:
		return fmt.Sprintf("%s/%d", t.Protocol, t.Port)
	case protocols[t.Protocol] != 0:
		return t.Protocol
	}
	return "protocol " + t.Protocol
}

func verdict(t *control.Trace) string {
	switch {
	case t.Reachable && t.SeenAs != "" && t.SeenAs != t.Source:
		return "reachable, seen as " + t.SeenAs
	case t.Reachable:
		return "reachable"
	case t.Return != nil:
		return "not reachable: the answer does not come back"
	}
	return "not reachable"
}

// A row is one line of a path.
type row struct{ mark, stage, object, detail string }

// columns are the widths of stage and object, in characters, over the whole trace.
type columns struct{ stage, object int }

func tableOf(t *control.Trace) (c columns) {
	for _, p := range []*control.Path{t.Forward, t.Return} {
		if p == nil {
			continue
		}
		for _, r := range rows(p) {
			c.stage = max(c.stage, utf8.RuneCountInString(r.stage))
			c.object = max(c.object, utf8.RuneCountInString(r.object))
		}
	}
	return c
}

func writePath(b *strings.Builder, name string, p *control.Path, c columns) {
	h := p.Hops[0].Before
	fmt.Fprintf(b, "\n%s: %s → %s, %s\n", name, h.Source, h.Destination, p.Packet)
	indent := "  " + strings.Repeat(" ", c.stage+c.object+4)
	for _, r := range rows(p) {
		lead := fmt.Sprintf("%s %s  %s  ", r.mark, pad(r.stage, c.stage), pad(r.object, c.object))
		writeWrapped(b, lead, r.detail, indent)
	}
	if p.Answer != "" {
		writeWrapped(b, "  the network answers: ", p.Answer, "  ")
	}
}

// pad fills s up to n characters.
func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s))) }

// rows are the stages that decided something: the checks of addresses pass unseen.
func rows(p *control.Path) (list []row) {
	for i := range p.Hops {
		h := &p.Hops[i]
		if h.Verdict == "pass" && h.Note == "" && unseen[h.Stage] {
			continue
		}
		r := row{mark: " ", stage: stageWords[h.Stage], object: title(h.Object), detail: detail(h)}
		switch h.Verdict {
		case "drop":
			r.mark = "✗"
			if r.detail == "" {
				r.detail = h.Reason
			}
		case "deliver":
			r.mark, r.stage = "✓", "delivered"
		}
		list = append(list, r)
	}
	return list
}

// unseen are stages that a packet passes without anybody's rule.
var unseen = map[string]bool{
	dataplane.StageSourceCheck.String(): true, dataplane.StageDestCheck.String(): true, dataplane.StageInternet.String(): true,
	dataplane.StageServices.String(): true,
}

// stageWords are the stages in AWS's words, out of and into the interface or subnet.
var stageWords = map[string]string{
	dataplane.StageFrame.String():       "frame",
	dataplane.StageParse.String():       "packet",
	dataplane.StageFragments.String():   "fragments",
	dataplane.StageServices.String():    "VPC services",
	dataplane.StageLink.String():        "link",
	dataplane.StageSourceCheck.String(): "source check",
	dataplane.StageSGEgress.String():    "security group out",
	dataplane.StageACLEgress.String():   "network ACL out",
	dataplane.StageRoute.String():       "route table",
	dataplane.StageNAT.String():         "NAT gateway",
	dataplane.StageIGWEgress.String():   "Internet gateway",
	dataplane.StageInternet.String():    "Internet",
	dataplane.StageIGWIngress.String():  "Internet gateway",
	dataplane.StageEdgeRoute.String():   "edge route table",
	dataplane.StageACLIngress.String():  "network ACL in",
	dataplane.StageSGIngress.String():   "security group in",
	dataplane.StageDestCheck.String():   "destination check",
	dataplane.StageDeliver.String():     "arrives at",
	dataplane.StageCommit.String():      "tables",
}

// detail is what decided, what was translated, and what is to be noted.
func detail(h *control.Hop) string {
	var parts []string
	switch {
	case strings.HasPrefix(h.RuleID, "sgr-"):
		parts = append(parts, h.RuleID+" "+h.Rule)
	case strings.HasPrefix(h.Stage, "acl-"):
		if h.Note != "" {
			parts = append(parts, h.Note)
		}
		return strings.Join(append(parts, "rule "+h.RuleID+": "+h.Rule), ", ")
	case h.Rule != "":
		parts = append(parts, h.Rule)
	}
	parts = append(parts, translated(h)...)
	if h.Note != "" {
		parts = append(parts, h.Note)
	}
	return strings.Join(parts, ", ")
}

// translated says which addresses the stage changed, with their ports if those changed.
func translated(h *control.Hop) (list []string) {
	for _, end := range []struct{ what, before, after string }{
		{"source", h.Before.Source, h.After.Source}, {"destination", h.Before.Destination, h.After.Destination},
	} {
		if end.before == end.after {
			continue
		}
		b, errB := netip.ParseAddrPort(end.before)
		a, errA := netip.ParseAddrPort(end.after)
		if errB == nil && errA == nil && a.Port() == b.Port() {
			end.before, end.after = b.Addr().String(), a.Addr().String()
		}
		list = append(list, end.what+" "+end.before+" → "+end.after)
	}
	return list
}

// shorten cuts a long name.
func shorten(name string) string {
	if utf8.RuneCountInString(name) <= longestName {
		return name
	}
	return string([]rune(name)[:longestName-1]) + "…"
}

// commandWord begins advice that is a command.
const commandWord = "vpcemu "

func isCommand(advice string) bool { return strings.HasPrefix(advice, commandWord) }

// writeAdvice writes a sentence, or a command that may be copied: its lines end with the
// shell's backslash.
func writeAdvice(b *strings.Builder, a string) {
	if !isCommand(a) {
		writeWrapped(b, "", a, "")
		return
	}
	line := "  sudo"
	for _, word := range flags(a) {
		if utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word)+2 > width {
			b.WriteString(line + " \\\n")
			line = "     "
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}

// flags are the words of a command, each flag with its value.
func flags(command string) []string {
	parts := strings.Split(command, " --")
	for i := range parts[1:] {
		parts[i+1] = "--" + parts[i+1]
	}
	return parts
}

// writeWrapped writes a first line that begins with lead and as many as it takes more,
// indented.
func writeWrapped(b *strings.Builder, lead, text, indent string) {
	line := lead
	empty := true
	for _, word := range strings.Fields(text) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line += word
		empty = false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}
