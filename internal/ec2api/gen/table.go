package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// model is the part of a model file that the table needs.
type model struct {
	Metadata struct {
		APIVersion string `json:"apiVersion"`
		Protocol   string `json:"protocol"`
	} `json:"metadata"`
	Operations map[string]struct {
		Input  *reference `json:"input"`
		Output *reference `json:"output"`
	} `json:"operations"`
	Shapes map[string]*shape `json:"shapes"`
}

type shape struct {
	Type     string     `json:"type"`
	Required []string   `json:"required"`
	Members  members    `json:"members"`
	Member   *reference `json:"member"`
}

// reference is a shape where it is used.
type reference struct {
	Shape        string `json:"shape"`
	LocationName string `json:"locationName"`
	QueryName    string `json:"queryName"`
	Token        bool   `json:"idempotencyToken"`
	// Documentation is HTML.
	Documentation string `json:"documentation"`
}

// members are a structure's, in the order of the file, which is that of AWS's answers.
type members []member

type member struct {
	name string
	reference
}

func (m *members) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		one := member{name: key.(string)}
		if err := d.Decode(&one.reference); err != nil {
			return err
		}
		*m = append(*m, one)
	}
	return nil
}

// scalars are the types that have no shape of their own in the table.
var scalars = map[string]string{
	"string": "string", "boolean": "boolean", "integer": "integer", "long": "integer",
	"double": "float", "float": "float", "timestamp": "timestamp", "blob": "blob",
}

// more are actions of which the table has the shapes though vpc may lack them: so that an
// action added to vpc rarely means a new table. They stand below the titles that docs/ec2-api.md
// has, each with its tier: A, what walkthroughs and first configurations need; B, the rest of
// the VPC; C, what is next to it.
//
//go:embed actions.txt
var more string

// wanted are the actions whose shapes the table has.
func wanted() []string {
	var names []string
	for line := range strings.Lines(more) {
		if !strings.HasPrefix(line, "#") { // a group's title
			names = append(names, strings.TrimSpace(line))
		}
	}
	for _, a := range vpc.Actions() {
		names = append(names, a.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// table writes the model as ec2api reads it: every action by name, those wanted with
// their shapes, and every shape that these need.
func table(m *model, source string, wanted []string) ([]byte, error) {
	w := &writer{model: m, done: map[string]bool{}}
	fmt.Fprintf(&w.out, "# The EC2 API, version %s, made by gen from the model of %s. Do not edit.\n", m.Metadata.APIVersion, source)
	fmt.Fprint(&w.out, "# The model is copyright Amazon.com, Inc. or its affiliates, under the Apache License 2.0.\n")
	for _, name := range slices.Sorted(maps.Keys(m.Operations)) {
		op := m.Operations[name]
		if _, found := slices.BinarySearch(wanted, name); !found {
			fmt.Fprintf(&w.out, "action %s\n", name)
			continue
		}
		fmt.Fprintf(&w.out, "action %s %s %s\n", name, w.need(op.Input), w.need(op.Output))
	}
	for len(w.queue) > 0 {
		slices.Sort(w.queue)
		name := w.queue[0]
		w.queue = w.queue[1:]
		if err := w.shape(name); err != nil {
			return nil, err
		}
	}
	return w.out.Bytes(), nil
}

type writer struct {
	model *model
	out   bytes.Buffer
	done  map[string]bool
	queue []string
}

// need is what a reference is called in the table; a shape is written later.
func (w *writer) need(r *reference) string {
	if r == nil {
		return "-"
	}
	if s := w.model.Shapes[r.Shape]; s != nil && scalars[s.Type] != "" {
		return scalars[s.Type]
	}
	if !w.done[r.Shape] {
		w.done[r.Shape] = true
		w.queue = append(w.queue, r.Shape)
	}
	return r.Shape
}

func (w *writer) shape(name string) error {
	s := w.model.Shapes[name]
	if s == nil {
		return fmt.Errorf("there is no shape %q", name)
	}
	switch s.Type {
	case "structure":
		fmt.Fprintf(&w.out, "structure %s\n", name)
		for _, m := range s.Members {
			if w.model.Shapes[m.Shape] == nil {
				return fmt.Errorf("shape %s, member %s: there is no shape %q", name, m.name, m.Shape)
			}
			fmt.Fprintf(&w.out, " %s %s %s %s%s\n", m.name, w.need(&m.reference), m.queryName(), m.xmlName(), m.marks(s.Required))
		}
	case "list":
		if s.Member == nil || w.model.Shapes[s.Member.Shape] == nil {
			return fmt.Errorf("list %s: its members have no shape", name)
		}
		item := s.Member.LocationName
		if item == "" {
			item = "member"
		}
		fmt.Fprintf(&w.out, "list %s %s %s\n", name, w.need(s.Member), item)
	default:
		return fmt.Errorf("shape %s is of type %q, which the table does not know", name, s.Type)
	}
	return nil
}

// queryName is what a parameter is called: its queryName, else its locationName with the
// first letter in upper case, else its own name (AWS EC2 query protocol).
func (m *member) queryName() string {
	switch {
	case m.QueryName != "":
		return m.QueryName
	case m.LocationName != "":
		return strings.ToUpper(m.LocationName[:1]) + m.LocationName[1:]
	}
	return m.name
}

// xmlName is what an element is called: its locationName, else its own name.
func (m *member) xmlName() string {
	if m.LocationName != "" {
		return m.LocationName
	}
	return m.name
}

func (m *member) marks(required []string) string {
	marks := ""
	if slices.Contains(required, m.name) {
		marks += " required"
	}
	if m.Token {
		marks += " token"
	}
	return marks
}

// filterNames are in the documentation of a parameter: a list of names, each with what it means.
var filterNames = regexp.MustCompile(`</?ul>|<code>([a-z][a-z0-9.-]+)</code>\s*[-–:]`)

// documentedFilters lists the filters of the actions wanted: an action and a name a line.
func documentedFilters(m *model, source string, wanted []string) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Filters that the documentation of %s names, by gen. Do not edit.\n", source)
	for _, name := range slices.Sorted(maps.Keys(m.Operations)) {
		op := m.Operations[name]
		if _, found := slices.BinarySearch(wanted, name); !found || op.Input == nil {
			continue
		}
		for _, p := range m.Shapes[op.Input.Shape].Members {
			if p.name != "Filters" && p.name != "Filter" {
				continue
			}
			depth := 0 // lists in the list are of values
			for _, found := range filterNames.FindAllStringSubmatch(p.Documentation, -1) {
				switch found[0] {
				case "<ul>":
					depth++
				case "</ul>":
					depth--
				}
				if depth == 1 && found[1] != "" && found[1] != "tag" { // tag:KEY
					fmt.Fprintf(&out, "%s %s\n", name, found[1])
				}
			}
		}
	}
	return out.Bytes()
}
