package graph_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/awalterschulze/gographviz"
	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/internal/graph"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

func parseFloat(t testing.TB, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// checkDOT parses DOT as Graphviz does, and looks that edges end at nodes that there are.
func checkDOT(t interface{ Errorf(string, ...any) }, text string) {
	ast, err := gographviz.ParseString(text)
	if err != nil {
		t.Errorf("dot: %v", err)
		return
	}
	g := gographviz.NewEscape()
	if err := gographviz.Analyse(ast, g); err != nil {
		t.Errorf("dot: %v", err)
		return
	}
	if !acyclic(g) {
		t.Errorf("dot: edges go round in a circle")
	}
	for _, e := range g.Edges.Edges {
		for _, end := range []string{e.Src, e.Dst} {
			if n := g.Nodes.Lookup[end]; end != "internet" && (n == nil || n.Attrs["label"] == "") {
				t.Errorf("dot: an edge ends at %s, which is no node with a label", end)
			}
		}
	}
}

// acyclic tells whether a node order exists in which every edge points down: Graphviz
// fails over some graphs with clusters that have none.
func acyclic(g *gographviz.Escape) bool {
	above := map[string]int{}
	for _, e := range g.Edges.Edges {
		above[e.Dst]++
	}
	var free []string
	for _, n := range g.Nodes.Nodes {
		if above[n.Name] == 0 {
			free = append(free, n.Name)
		}
	}
	done := 0
	for ; done < len(free); done++ {
		for _, e := range g.Edges.Edges {
			if e.Src == free[done] {
				if above[e.Dst]--; above[e.Dst] == 0 {
					free = append(free, e.Dst)
				}
			}
		}
	}
	return done == len(g.Nodes.Nodes)
}

// What lines of a flowchart are, as far as vpcemu writes them: labels are quoted and have
// nothing in them that would end them or be read as Markdown or HTML.
var (
	label       = `"((?:<br/>|[^"<>` + "`" + `*_&()\[\]{}|\\])*)"`
	mermaidNode = regexp.MustCompile(`^\s*(\w+)(?:\[` + label + `\]|\(\[` + label + `\]\)|\[/` + label + `/\]|\{\{` + label + `\}\})$`)
	mermaidSub  = regexp.MustCompile(`^\s*subgraph (\w+)\[` + label + `\]$`)
	mermaidEdge = regexp.MustCompile(`^\s*(\w+) (?:-->|---|==>|-\.->|~~~)(?:\|` + label + `\|)? (\w+)$`)
	mermaidLook = regexp.MustCompile(`^\s*(?:classDef \w+ [\w:#,\- ]+|class ([\w,]+) \w+|linkStyle ([\d,]+) [\w:#,\-]+)$`)
)

func checkMermaid(t interface{ Errorf(string, ...any) }, text string) {
	all := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if all[0] != "flowchart TB" {
		t.Errorf("mermaid: begins with %q", all[0])
	}
	ids := map[string]bool{}
	depth, edges := 0, 0
	for _, line := range all[1:] {
		var refs []string
		if s := mermaidSub.FindStringSubmatch(line); s != nil {
			depth++
			ids[s[1]] = true
		} else if strings.TrimSpace(line) == "end" {
			depth--
		} else if s := mermaidNode.FindStringSubmatch(line); s != nil {
			if ids[s[1]] {
				t.Errorf("mermaid: %s is there twice", s[1])
			}
			ids[s[1]] = true
		} else if s := mermaidEdge.FindStringSubmatch(line); s != nil {
			edges++
			refs = []string{s[1], s[3]}
		} else if s := mermaidLook.FindStringSubmatch(line); s != nil {
			if s[1] != "" {
				refs = strings.Split(s[1], ",")
			}
			if s[2] != "" {
				for _, n := range strings.Split(s[2], ",") {
					if i, err := strconv.Atoi(n); err != nil || i >= edges {
						t.Errorf("mermaid: no link %s", n)
					}
				}
			}
		} else {
			t.Errorf("mermaid: cannot read %q", line)
		}
		for _, id := range refs {
			if !ids[id] {
				t.Errorf("mermaid: %q refers to %s, which is not there", line, id)
			}
		}
	}
	if depth != 0 {
		t.Errorf("mermaid: %d subgraphs have no end", depth)
	}
}

// TestNamesAreEscaped: any name gives a picture that its reader can read.
func TestNamesAreEscaped(t *testing.T) {
	m := lesson(t, "book")
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`<b>&"'`, `\N\"`, "a\nb", "#quot;", "end", "]]>", "`x`", "\xff\xfe", "\x00", "1. x", "- x", "&amp;"})).Draw(t, "name")
		got := m.Clone()
		for id, i := range m.Instances.All() {
			c := *i
			c.Tags = map[string]string{"Name": name}
			got.Instances.Put(id, &c)
		}
		for id, g := range m.SecurityGroups.All() {
			c := *g
			c.GroupName = name
			got.SecurityGroups.Put(id, &c)
		}
		for id, s := range m.Subnets.All() {
			c := *s
			c.Tags = map[string]string{"Name": name}
			got.Subnets.Put(id, &c)
		}
		rename(&got, name)
		for _, format := range graph.Formats {
			text, err := graph.Render(format, &got, nil)
			if err != nil {
				t.Fatal(err)
			}
			wellFormed(t, format, text)
		}
	})
}

// rename gives the name to what gateways, tables and ACLs are called, too.
func rename(m *vpc.Model, name string) {
	tags := map[string]string{"Name": name}
	for id, g := range m.InternetGateways.All() {
		c := *g
		c.Tags = tags
		m.InternetGateways.Put(id, &c)
	}
	for id, n := range m.NatGateways.All() {
		c := *n
		c.Tags = tags
		m.NatGateways.Put(id, &c)
	}
	for id, r := range m.RouteTables.All() {
		c := *r
		c.Tags = tags
		m.RouteTables.Put(id, &c)
	}
	for id, v := range m.Vpcs.All() {
		c := *v
		c.Tags = tags
		m.Vpcs.Put(id, &c)
	}
	m.Lab = name
}

// TestSyntaxOfAnyLab: whatever is in a lab, and wherever a packet goes, the text of its
// pictures is what their languages want.
func TestSyntaxOfAnyLab(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, trace := graph.DrawLab(t)
		for _, format := range graph.Formats {
			text, err := graph.Render(format, m, trace)
			if err != nil {
				t.Fatal(err)
			}
			wellFormed(t, format, text)
		}
	})
}
