package ec2api

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
)

//go:embed model.txt
var modelText string

// kind is what a value of the API is.
type kind uint8

const (
	kindString kind = iota
	kindBoolean
	kindInteger
	kindFloat
	kindTimestamp
	kindBlob
	kindList
	kindStructure
)

var kinds = map[string]kind{
	"string": kindString, "boolean": kindBoolean, "integer": kindInteger,
	"float": kindFloat, "timestamp": kindTimestamp, "blob": kindBlob,
}

// shape is the type of a value.
type shape struct {
	name    string // of the model; "" for a scalar
	kind    kind
	members []member // of a structure, in the order of AWS's answers
	elem    *shape   // of a list
	item    string   // what an element of a list is called in an answer
}

// member is one of a structure.
type member struct {
	name     string // SubnetIds
	query    string // as a parameter: SubnetId
	xml      string // as an element of an answer: subnetIdSet
	shape    *shape
	required bool
}

func (s *shape) member(name string) *member {
	for i := range s.members {
		if s.members[i].name == name {
			return &s.members[i]
		}
	}
	return nil
}

// action is one of AWS's. Input and output are nil where the table has only its name,
// and where there is nothing.
type action struct {
	name          string
	shapes        bool // the table has them
	input, output *shape
}

// table is AWS's model of the API.
type table struct {
	version string // 2016-11-15
	actions map[string]*action
	shapes  map[string]*shape
}

// theTable is the table that is built in.
var theTable = sync.OnceValue(func() *table {
	t, err := parseTable(modelText)
	if err != nil {
		panic("ec2api: model.txt: " + err.Error()) // a test reads it
	}
	return t
})

func parseTable(text string) (*table, error) {
	t := &table{version: apiVersion, actions: make(map[string]*action, 1024), shapes: make(map[string]*shape, 2048)}
	for name, k := range kinds {
		t.shapes[name] = &shape{kind: k}
	}
	var open *shape // the structure whose members come
	number := 0
	for line := range strings.Lines(text) {
		number++
		if err := t.line(strings.TrimSuffix(line, "\n"), &open); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	for name, s := range t.shapes {
		if s.kind == kindStructure && s.name == "" {
			return nil, fmt.Errorf("shape %s is used and not described", name)
		}
	}
	return t, nil
}

func (t *table) line(line string, open **shape) error {
	f, n := split(line)
	switch {
	case n == 0 || f[0] == "#":
	case line[0] == ' ' && *open != nil && n >= 4:
		(*open).members = append((*open).members, member{
			name: f[0], shape: t.shape(f[1]), query: f[2], xml: f[3], required: f[4] == "required",
		})
	case f[0] == "action" && n == 2:
		t.actions[f[1]] = &action{name: f[1]}
	case f[0] == "action" && n == 4:
		t.actions[f[1]] = &action{f[1], true, t.optional(f[2]), t.optional(f[3])}
	case f[0] == "structure" && n == 2:
		*open = t.shape(f[1])
		(*open).name = f[1]
	case f[0] == "list" && n == 4:
		s := t.shape(f[1])
		s.name, s.kind, s.elem, s.item = f[1], kindList, t.shape(f[2]), f[3]
		*open = nil
	default:
		return fmt.Errorf("%q is nothing that a table has", line)
	}
	return nil
}

// split gives the first words of a line, and how many there are of those, without
// allocating: the table has thousands of lines.
func split(line string) (words [6]string, n int) {
	line = strings.TrimPrefix(line, " ")
	for ; line != "" && n < len(words); n++ {
		words[n], line, _ = strings.Cut(line, " ")
	}
	return words, n
}

// shape is that of a name, which may be described later.
func (t *table) shape(name string) *shape {
	s := t.shapes[name]
	if s == nil {
		s = &shape{kind: kindStructure}
		t.shapes[name] = s
	}
	return s
}

func (t *table) optional(name string) *shape {
	if name == "-" {
		return nil
	}
	return t.shape(name)
}
