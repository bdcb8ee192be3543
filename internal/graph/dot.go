package graph

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// dot writes Graphviz's language (https://graphviz.org/doc/info/lang.html). Labels are
// HTML-like, so that security groups have their colours.
func (s *scene) dot() string {
	d := &dotWriter{ids: s.identifiers()}
	trace, ends := s.traceEdges(d.ids)
	d.ends = ends
	d.rank(s)
	d.line(0, "digraph %s {", dotQuote(s.title))
	d.line(1, `graph [compound=true rankdir=TB fontname="Helvetica" fontsize=12 bgcolor="#fbfcfe" style="rounded,filled" labeljust=l nodesep=0.3]`)
	d.line(1, `node [shape=box style="rounded,filled" fontname="Helvetica" fontsize=11 margin="0.08,0.05"]`)
	d.line(1, `edge [fontname="Helvetica" fontsize=10 color="#5a6472" fontcolor="#4a5260"]`)
	d.line(1, "subgraph cluster_internet {")
	d.line(2, `label=%s fillcolor="#ffffff" color="#8a94a3"`, dotLabel("n", "the Internet"))
	d.line(2, `internet [shape=point style=invis width=0.05]`)
	for _, h := range s.hosts {
		d.node(2, h)
		d.line(2, "%s -> internet [style=invis]", d.ids.node[h])
	}
	d.drops(2, nil, nil)
	d.line(1, "}")
	for i, v := range s.vpcs {
		d.network(i, v)
	}
	for _, v := range s.vpcs {
		if v.gateway != nil {
			d.line(1, "internet -> %s [ltail=cluster_internet dir=none]", d.ids.gate[v])
		}
	}
	for _, e := range slices.Concat(s.gridEdges(d.ids), s.routeEdges(d.ids), trace) {
		d.edge(e)
	}
	d.line(0, "}")
	return d.b.String()
}

type dotWriter struct {
	b    strings.Builder
	ids  names
	ends []ending
	// order is from top to bottom, zone by zone. Every edge points down in it, so that no
	// two clusters are above one another: Graphviz fails over some such graphs ("trouble in
	// init_rank"), and over some with edges that do not count or weigh nothing.
	order map[string]int
}

// rank finds the order of all nodes.
func (d *dotWriter) rank(s *scene) {
	d.order = map[string]int{}
	next := func(id string) { d.order[id] = len(d.order) }
	marks := func(v *network, sub *subnet) {
		for _, e := range d.ends {
			if e.vpc == v && e.subnet == sub {
				next(e.id)
			}
		}
	}
	for _, h := range s.hosts {
		next(d.ids.node[h])
	}
	marks(nil, nil)
	next("internet")
	for _, v := range s.vpcs {
		next(d.ids.gate[v])
		marks(v, nil)
	}
	for _, v := range s.vpcs {
		for _, sub := range v.all() {
			next(d.ids.subnet[sub])
			for _, n := range sub.nodes {
				next(d.ids.node[n])
			}
			marks(nil, sub)
		}
	}
}

func (d *dotWriter) line(depth int, format string, a ...any) {
	fmt.Fprintf(&d.b, strings.Repeat("  ", depth)+format+"\n", a...)
}

func (d *dotWriter) node(depth int, n *node) {
	class := nodeClasses[n.kind]
	if n.off {
		class = "off"
	}
	c := coloursOf(class)
	d.line(depth, `%s [label=%s tooltip=%s fillcolor="%s" color="%s"]`, d.ids.node[n], n.dotTable(), dotQuote(n.tip), c[0], c[1])
}

// dotTable is a node's label: its lines, and its groups side by side in their colours.
func (n *node) dotTable() string {
	var b strings.Builder
	b.WriteString(`<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">`)
	for i, text := range n.textOf() {
		if i == 0 {
			text = "<B>" + dotHTML(text) + "</B>"
		} else {
			text = dotHTML(text)
		}
		b.WriteString(`<TR><TD ALIGN="LEFT">` + text + "</TD></TR>")
	}
	if len(n.groups) > 0 {
		b.WriteString(`<TR><TD ALIGN="LEFT"><TABLE BORDER="0" CELLSPACING="3" CELLPADDING="2"><TR>`)
		for _, g := range n.groups {
			c := g.colours()
			fmt.Fprintf(&b, `<TD BORDER="1" STYLE="ROUNDED" BGCOLOR="%s" COLOR="%s">%s</TD>`, c[0], c[1], dotHTML(g.name))
		}
		b.WriteString("</TR></TABLE></TD></TR>")
	}
	b.WriteString("</TABLE>>")
	return b.String()
}

// colours are the group's fill and stroke on light.
func (g *group) colours() [2]string {
	if g.colour < 0 {
		return coloursOf("gd")
	}
	h := hues[g.colour%palette]
	return [2]string{h[0], h[1]}
}

// coloursOf are the fill and stroke of a class on light.
func coloursOf(class string) [2]string {
	for _, k := range looks {
		for _, selector := range strings.Split(k.class, ",") {
			if selector[strings.LastIndexByte(selector, '.')+1:] == class {
				c := k.light
				if len(c[0]) == 4 { // #rgb, which Graphviz does not know
					c[0] = "#" + strings.Repeat(c[0][1:2], 2) + strings.Repeat(c[0][2:3], 2) + strings.Repeat(c[0][3:], 2)
				}
				return c
			}
		}
	}
	return [2]string{"#ffffff", "#5a6472"}
}

func (d *dotWriter) network(i int, v *network) {
	d.line(1, "subgraph cluster_vpc%d {", i+1)
	d.line(2, `label=%s style="rounded,filled" fillcolor="#ffffff" color="#6a4fb3"`, dotLabel("l", v.caption()))
	if v.gateway != nil {
		c := coloursOf("gw")
		d.line(2, `%s [label=%s fillcolor="%s" color="%s"]`, d.ids.gate[v], dotLabel("n", v.gateway.textOf()...), c[0], c[1])
	}
	d.drops(2, v, nil)
	for j, z := range v.zones {
		d.line(2, "subgraph cluster_vpc%dz%d {", i+1, j+1)
		d.line(3, `label=%s style="rounded,dashed" color="#b3bcc8"`, dotLabel("l", z.name))
		for _, sub := range z.rows {
			if sub != nil {
				d.subnet(sub)
			}
		}
		d.line(2, "}")
	}
	if v.folded != "" {
		d.line(2, `vpc%dfolded [shape=plaintext style="" label=%s]`, i+1, dotLabel("n", v.folded))
	}
	if v.gateway == nil && len(v.zones) == 0 {
		d.line(2, "vpc%dempty [shape=point style=invis]", i+1)
	}
	d.line(1, "}")
}

func (d *dotWriter) subnet(sub *subnet) {
	c := coloursOf(tierNames[sub.tier])
	d.line(3, "subgraph cluster_%s {", d.ids.subnet[sub])
	d.line(4, `label=%s style="rounded,filled" fillcolor="%s" color="%s"`, dotLabel("l", sub.captions()...), c[0], c[1])
	tip := ""
	if sub.acl != nil {
		tip = ruleLines(sub.acl.rules)
	}
	d.line(4, `tooltip=%s`, dotQuote(tip))
	d.line(4, `%s [label=%s shape=note style=filled fillcolor="#ffffff" color="#b3bcc8"]`, d.ids.subnet[sub], dotLabel("l", sub.textOf()...))
	for _, n := range sub.nodes {
		d.node(4, n)
	}
	d.drops(4, nil, sub)
	d.line(3, "}")
}

func (d *dotWriter) drops(depth int, v *network, sub *subnet) {
	for _, e := range d.ends {
		if e.vpc == v && e.subnet == sub {
			var list []string
			for _, l := range wrap("✕ "+e.text, 220, 6) {
				list = append(list, l.runs[0].text)
			}
			c := coloursOf("no")
			d.line(depth, `%s [shape=octagon style=filled label=%s fillcolor="%s" color="%s"]`, e.id, dotLabel("n", list...), c[0], c[1])
		}
	}
}

func (d *dotWriter) edge(e edge) {
	more := ""
	switch e.class {
	case "grid":
		d.line(1, "%s -> %s [style=invis]", e.from, e.to)
		return
	case "out":
		more += ` color="#1257d6" fontcolor="#1257d6" penwidth=2.4`
	case "back":
		more += ` color="#8a2ec4" fontcolor="#8a2ec4" penwidth=2.4 style=dashed`
	case "drop":
		more += ` color="#c0392b" fontcolor="#c0392b" penwidth=2.4 style=dashed`
	}
	if d.order[e.from] > d.order[e.to] {
		e.from, e.to = e.to, e.from
		more += " dir=back"
	}
	d.line(1, "%s -> %s [label=%s%s]", e.from, e.to, dotLabel("n", e.label), more)
}

// dotQuote is a quoted string that means its text, in lines.
func dotQuote(s string) string { return dotLabel("n", strings.Split(s, "\n")...) }

// dotLabel joins lines, each but the last ended by Graphviz's escape for the way it is
// adjusted: l, r, or n for the middle. Graphviz knows escapes and entities in quoted strings.
func dotLabel(adjust string, list ...string) string {
	escaped := make([]string, len(list))
	for i, text := range list {
		text = printable(text)
		escaped[i] = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "&", "&amp;").Replace(text)
	}
	text := strings.Join(escaped, `\`+adjust)
	if adjust != "n" {
		text += `\` + adjust
	}
	return `"` + text + `"`
}

// dotHTML is text for an HTML-like label, in ASCII: not every reader takes more there.
func dotHTML(s string) string {
	var b strings.Builder
	for _, r := range escape(printable(s)) {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "&#%d;", r)
		}
	}
	return b.String()
}

// printable has spaces instead of what cannot be seen, and a question mark for each byte
// or character that is none.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == unicode.ReplacementChar, r > 0xfffd && r < 0x10000:
			return '?'
		case unicode.IsControl(r):
			return ' '
		}
		return r
	}, s)
}
