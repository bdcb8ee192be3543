package graph

import (
	"fmt"
	"strings"
)

// run is a piece of text in one font; full is what it was before it was shortened.
type run struct {
	font       font
	class      string
	text, full string
}

func plain(f font, class, text string) run { return run{f, class, text, text} }

// line is a line of a box: tags, then runs of text, side by side.
type line struct {
	h    float64 // its height; the baseline is 5 above its end
	runs []run
	tags []tag
}

// tag is a pill with a name in it.
type tag struct {
	class, text, tip string
	w                float64
}

const (
	runGap = 8.0
	tagGap = 5.0
	tagPad = 7.0
	tagH   = 18.0
)

// width is what the line would like to have.
func (l line) width() float64 {
	w := 0.0
	for i, r := range l.runs {
		if i > 0 {
			w += runGap
		}
		w += r.font.width(r.text)
	}
	for i, t := range l.tags {
		if i > 0 || len(l.runs) > 0 {
			w += tagGap
		}
		w += t.w
	}
	return w
}

func widest(list []line) (w float64) {
	for _, l := range list {
		w = max(w, l.width())
	}
	return w
}

func heightOf(list []line) (h float64) {
	for _, l := range list {
		h += l.h
	}
	return h
}

// fitLines shortens lines to a width: a name first, in its middle, then what is last.
func fitLines(list []line, room float64) []line {
	for i := range list {
		l := &list[i]
		for _, bold := range []bool{true, false} {
			for j := len(l.runs) - 1; j >= 0 && l.width() > room; j-- {
				if r := &l.runs[j]; (r.font.face == faceBold) == bold {
					r.shorten(room - (l.width() - r.font.width(r.text)))
				}
			}
		}
		for len(l.runs) > 1 && l.width() > room {
			last := len(l.runs) - 1
			l.runs[last-1].full += "  " + l.runs[last].full
			l.runs = l.runs[:last]
		}
		if len(l.runs) == 1 {
			l.runs[0].shorten(room)
		}
	}
	return list
}

// leastName is what is left of a name beside other text, in pixels.
const leastName = 60

func (r *run) shorten(room float64) {
	if r.font.face == faceBold {
		r.text = r.font.fitName(r.text, max(room, leastName))
		return
	}
	r.text = r.font.fit(r.text, max(room, r.font.width("…")))
}

// drawLines writes lines from the top left corner of a frame's inside.
func (c *canvas) drawLines(list []line, x, y float64, in rect) {
	for _, l := range list {
		at := x
		base := y + l.h - 5
		for _, t := range l.tags {
			base = y + (l.h-tagH)/2 + 13
			c.tag(t, at, base-13, in)
			at += t.w + tagGap
		}
		c.writeRuns(l.runs, at, base, in)
		y += l.h
	}
}

// writeRuns writes runs one after the other: where a font is narrower than measured, the
// next follows closer.
func (c *canvas) writeRuns(runs []run, x, y float64, in rect) {
	var b, tip strings.Builder
	short := false
	for i, r := range runs {
		gap := ""
		if i > 0 {
			gap = fmt.Sprintf(` dx="%s"`, px(runGap))
			tip.WriteString("  ")
		}
		fmt.Fprintf(&b, `<tspan class="%s"%s>%s</tspan>`, r.classes(), gap, escape(r.text))
		tip.WriteString(r.full)
		short = short || r.full != r.text
	}
	if len(runs) == 0 {
		return
	}
	full := ""
	if short {
		full = tip.String()
	}
	body := fmt.Sprintf(`<text x="%s" y="%s">%s</text>`, px(x), px(y), b.String())
	if len(runs) == 1 {
		body = runs[0].svg(x, y, "")
	} else {
		body = titled(full, body)
	}
	c.put(layerText, body)
	for _, r := range runs {
		x = c.took(r, x, y, in) + runGap
	}
}

func (c *canvas) tag(t tag, x, y float64, in rect) {
	box := rect{x, y, t.w, tagH}
	c.put(layerText, titled(t.tip, fmt.Sprintf(`<rect class="tag %[1]s" x="%[2]s" y="%[3]s" width="%[4]s" height="%[5]s" rx="9"/><text class="k mid %[9]s" x="%[6]s" y="%[7]s">%[8]s</text>`,
		t.class, px(x), px(y), px(t.w), px(tagH), px(x+t.w/2), px(y+13), escape(t.text), t.ink())))
	c.texts = append(c.texts, label{t.text, box, in})
}

// ink is the class of a tag's text: what is as it always is stays in the background.
func (t tag) ink() string {
	if strings.HasSuffix(t.class, " open") {
		return "faint"
	}
	return "ink"
}

// palette is the number of colours of security groups; more groups share them.
const palette = 10

func newTag(class, text, tip string, room float64) tag {
	short := fontTag.fitName(text, room-2*tagPad)
	return tag{class, short, tip, fontTag.width(short) + 2*tagPad}
}

func (g *group) class() string {
	if g.colour < 0 {
		return "gd"
	}
	return fmt.Sprintf("g%d", g.colour%palette)
}

// tip has the group's rules.
func (g *group) tip() string { return lines("security group "+g.name+" "+g.id, ruleLines(g.rules)) }

func ruleLines(rules []rule) string {
	var b strings.Builder
	for i, r := range rules {
		if i == maxTip {
			fmt.Fprintf(&b, "… %d more", len(rules)-i)
			break
		}
		b.WriteString(r.String() + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Bounds that keep a picture of a large lab a picture; tooltips say more, or that there is more.
const (
	maxTip    = 30 // rules in a tooltip
	maxAddrs  = 4  // addresses in a card
	maxTags   = 3  // rows of tags in a card
	maxRoutes = 4  // routes in a subnet
	maxRules  = 10 // rules of a group or ACL
	maxGroups = 30 // groups and ACLs with their rules
)

// cardLines are a node's, for a box whose inside has a width.
func (n *node) cardLines(room float64) []line {
	list := []line{{h: 20, runs: []run{plain(fontHead, "", n.name)}}}
	if n.what != "" {
		list = append(list, line{h: 16, runs: []run{plain(fontSmall, "", n.what)}})
	}
	for i, a := range n.addrs {
		if i == maxAddrs-1 && len(n.addrs) > maxAddrs {
			more := run{fontSmall, "", fmt.Sprintf("and %d more", len(n.addrs)-i), strings.Join(n.addrs[i:], ", ")}
			list = append(list, line{h: 17, runs: []run{more}})
			break
		}
		list = append(list, line{h: 17, runs: []run{plain(fontMono, "", a)}})
	}
	for _, s := range n.states {
		list = append(list, line{h: 16, runs: []run{plain(fontSmall, "warn", s)}})
	}
	list = append(list, tagLines(n.groups, room)...)
	for _, note := range n.notes {
		list = append(list, wrap("✕ "+note, room, 4)...)
	}
	return fitLines(list, room)
}

// tagLines flow the tags of groups.
func tagLines(groups []*group, room float64) (list []line) {
	for i, g := range groups {
		t := newTag(g.class(), g.name, g.tip(), room)
		last := len(list) - 1
		if last >= 0 && list[last].width()+tagGap+t.w <= room {
			list[last].tags = append(list[last].tags, t)
			continue
		}
		if len(list) == maxTags {
			more := run{fontSmall, "", fmt.Sprintf("and %d more", len(groups)-i), groupNames(groups[i:])}
			return append(list, line{h: 17, runs: []run{more}})
		}
		list = append(list, line{h: 22, tags: []tag{t}})
	}
	return list
}

// wrap breaks the text of a drop at its spaces into at most some lines.
func wrap(text string, room float64, most int) (list []line) {
	words := strings.Fields(text)
	for len(words) > 0 {
		n := 1
		for n < len(words) && fontSmall.width(strings.Join(words[:n+1], " ")) <= room {
			n++
		}
		r := run{fontSmall, "bad", strings.Join(words[:n], " "), text}
		if len(list) == most-1 {
			r.text, n = strings.Join(words, " "), len(words)
		}
		r.text = fontSmall.fit(r.text, room)
		list = append(list, line{h: 16, runs: []run{r}})
		words = words[n:]
	}
	return list
}

// header are a subnet's lines above its cards; y of its routes are those of the lines
// from the third on.
func (s *subnet) header(room float64) []line {
	list := []line{{h: 20, runs: []run{plain(fontHead, "", s.name), plain(fontMono, "", s.block)}}}
	what := []run{plain(fontSmall, tierNames[s.tier], tierNames[s.tier]+" subnet")}
	var routes []hop
	if s.table != nil {
		what = append(what, run{fontSmall, "", "table " + s.table.name, s.table.tip()})
		routes = s.table.routes
	}
	list = append(list, line{h: 17, runs: what})
	for i, h := range routes {
		if i == maxRoutes-1 && len(routes) > maxRoutes {
			list = append(list, line{h: 17, runs: []run{{fontSmall, "", fmt.Sprintf("and %d more routes", len(routes)-i), s.table.tip()}}})
			break
		}
		list = append(list, line{h: 17, runs: []run{h.run()}})
	}
	if len(routes) == 0 {
		list = append(list, line{h: 17, runs: []run{plain(fontSmall, "", "no route but local")}})
	}
	for _, note := range s.notes {
		list = append(list, wrap("✕ "+note, room, 3)...)
	}
	return fitLines(list, room)
}

func (h hop) run() run {
	if h.blackhole {
		return plain(fontMono, "bad", h.String()+" blackhole")
	}
	return plain(fontMono, "", h.String())
}

// tip has the table's routes.
func (t *table) tip() string {
	list := []string{"route table " + t.name + " " + t.id}
	for _, h := range t.routes {
		list = append(list, h.run().text)
	}
	if len(list) > maxTip {
		list = append(list[:maxTip], fmt.Sprintf("… %d more", len(t.routes)-maxTip+1))
	}
	return strings.Join(list, "\n")
}
