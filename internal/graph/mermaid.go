package graph

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// mermaid writes a Mermaid flowchart (https://mermaid.js.org/syntax/flowchart.html).
func (s *scene) mermaid() string {
	m := &mermaidWriter{ids: s.identifiers(), of: map[string][]string{}}
	m.line("flowchart TB")
	trace, ends := s.traceEdges(m.ids)
	m.ends = ends
	m.line(`  subgraph internet["the Internet"]`)
	for _, h := range s.hosts {
		m.node("    ", h)
	}
	m.drops("    ", nil, nil)
	if len(s.hosts) == 0 {
		m.line(`    nobody["no hosts"]`)
	}
	m.line("  end")
	for i, v := range s.vpcs {
		m.network(i, v)
	}
	for _, v := range s.vpcs {
		if v.gateway != nil {
			m.edge(edge{"internet", m.ids.gate[v], "", "plain"})
		}
	}
	for _, e := range slices.Concat(s.gridEdges(m.ids), s.routeEdges(m.ids), trace) {
		m.edge(e)
	}
	m.styles()
	return m.b.String()
}

type mermaidWriter struct {
	b     strings.Builder
	ids   names
	ends  []ending
	edges int
	of    map[string][]string // identifiers by class, edges by "link " and class
}

func (m *mermaidWriter) line(format string, a ...any) { fmt.Fprintf(&m.b, format+"\n", a...) }

// looksOf puts an identifier in a class.
func (m *mermaidWriter) looksOf(class, id string) { m.of[class] = append(m.of[class], id) }

func (m *mermaidWriter) node(indent string, n *node) {
	id := m.ids.node[n]
	list := n.textOf()
	if len(n.groups) > 0 {
		list = append(list, groupNames(n.groups))
	}
	m.line(`%s%s["%s"]`, indent, id, mermaidText(list...))
	class := nodeClasses[n.kind]
	if n.off {
		class = "off"
	}
	m.looksOf(class, id)
}

func (m *mermaidWriter) network(i int, v *network) {
	id := fmt.Sprintf("vpc%d", i+1)
	m.line(`  subgraph %s["%s"]`, id, mermaidText(v.caption()))
	m.looksOf("vpc", id)
	if v.gateway != nil {
		m.line(`    %s(["%s"])`, m.ids.gate[v], mermaidText(v.gateway.textOf()...))
		m.looksOf("gw", m.ids.gate[v])
	}
	m.drops("    ", v, nil)
	for j, z := range v.zones {
		m.line(`    subgraph %sz%d["%s"]`, id, j+1, mermaidText(z.name))
		m.looksOf("zone", fmt.Sprintf("%sz%d", id, j+1))
		for _, sub := range z.rows {
			if sub != nil {
				m.subnet(sub)
			}
		}
		m.line("    end")
	}
	if v.folded != "" {
		m.line(`    %sfolded["%s"]`, id, mermaidText(v.folded))
		m.looksOf("off", id+"folded")
	}
	if v.gateway == nil && v.folded == "" && len(v.zones) == 0 {
		m.line(`    %sempty["no subnets"]`, id)
	}
	m.line("  end")
}

func (m *mermaidWriter) subnet(sub *subnet) {
	id := "sub" + m.ids.subnet[sub]
	m.line(`      subgraph %s["%s"]`, id, mermaidText(sub.captions()...))
	m.looksOf(tierNames[sub.tier], id)
	m.line(`        %s[/"%s"/]`, m.ids.subnet[sub], mermaidText(sub.textOf()...))
	m.looksOf("table", m.ids.subnet[sub])
	for _, n := range sub.nodes {
		m.node("        ", n)
	}
	m.drops("        ", nil, sub)
	m.line("      end")
}

// drops writes the marks of the drops in a place.
func (m *mermaidWriter) drops(indent string, v *network, sub *subnet) {
	for _, e := range m.ends {
		if e.vpc == v && e.subnet == sub {
			m.line(`%s%s{{"%s"}}`, indent, e.id, mermaidText("✕ "+e.text))
			m.looksOf("no", e.id)
		}
	}
}

func (m *mermaidWriter) edge(e edge) {
	arrow := "-->"
	switch e.class {
	case "plain":
		arrow = "---"
	case "grid":
		arrow = "~~~"
	case "out":
		arrow = "==>"
	case "back", "drop":
		arrow = "-.->"
	}
	label := ""
	if e.label != "" {
		label = `|"` + mermaidText(e.label) + `"|`
	}
	m.line("  %s %s%s %s", e.from, arrow, label, e.to)
	m.looksOf("link "+e.class, fmt.Sprint(m.edges))
	m.edges++
}

// styles writes the classes in use, with the colours of the SVG on light.
func (m *mermaidWriter) styles() {
	for _, k := range looks {
		for _, selector := range strings.Split(k.class, ",") {
			class := selector[strings.LastIndexByte(selector, '.')+1:]
			ids := m.of[class]
			if len(ids) == 0 {
				continue
			}
			fill := k.light[0]
			if fill == "none" {
				fill = "transparent"
			}
			more := ""
			if class == "zone" {
				more = ",stroke-dasharray:5 4"
			}
			m.line("  classDef %s fill:%s,stroke:%s,color:#1d2733%s", class, fill, k.light[1], more)
			m.line("  class %s %s", strings.Join(ids, ","), class)
		}
	}
	if ids := m.of["table"]; len(ids) > 0 {
		m.line("  classDef table fill:#fff,stroke:#b3bcc8,color:#4a5260")
		m.line("  class %s table", strings.Join(ids, ","))
	}
	for _, c := range [][2]string{{"out", "#1257d6"}, {"back", "#8a2ec4"}, {"drop", "#c0392b"}} {
		if links := m.of["link "+c[0]]; len(links) > 0 {
			m.line("  linkStyle %s stroke:%s,color:%s,stroke-width:3px", strings.Join(links, ","), c[1], c[1])
		}
	}
}

// mermaidText joins lines for a quoted label. What has a meaning in Mermaid, in Markdown or
// in HTML is written as an entity of Mermaid's, the number sign between them included.
func mermaidText(list ...string) string {
	var b strings.Builder
	for i, text := range list {
		if i > 0 {
			b.WriteString("<br/>")
		}
		for j, r := range text {
			plain := r == ' ' || r == '/' || r == ':' || r == ',' || r == '→' || r == '…' || r == '✕' ||
				j > 0 && (r == '.' || r == '-') || unicode.IsLetter(r) || r >= '0' && r <= '9'
			switch {
			case plain:
				b.WriteRune(r)
			case unicode.IsControl(r):
				b.WriteRune('�')
			default:
				fmt.Fprintf(&b, "#%d;", r)
			}
		}
	}
	return b.String()
}
