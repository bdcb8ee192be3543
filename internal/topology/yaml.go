package topology

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Limits of a file. An alias counts as often as it is used, so that a few lines
// cannot unfold into gigabytes.
const (
	maxFileSize  = 8 << 20
	maxFileNodes = 1_000_000
	maxFileDepth = 16
)

// node is YAML with aliases and merge keys resolved.
type node struct {
	kind  nodeKind
	tag   string // of a scalar: !!str, !!int, …
	text  string
	line  int
	pairs []pair  // of a mapping, repeated keys included
	items []*node // of a sequence
}

type pair struct {
	key   string
	line  int
	value *node
}

type nodeKind uint8

const (
	scalarNode nodeKind = iota
	nullNode
	mappingNode
	sequenceNode
)

// String says what the node is, for messages.
func (n *node) String() string {
	switch n.kind {
	case nullNode:
		return "nothing"
	case mappingNode:
		return "a mapping"
	case sequenceNode:
		return "a list"
	}
	switch n.tag {
	case "!!int", "!!float":
		return "the number " + n.text
	case "!!bool":
		return "the truth value " + n.text
	}
	return strconv.Quote(shorten(n.text))
}

func shorten(s string) string {
	if len(s) <= 60 {
		return s
	}
	return strings.ToValidUTF8(s[:60], "") + "…"
}

// readYAML parses one document. nil means that it cannot be read; why is in p.
func readYAML(p *problems, data []byte) *node {
	if len(data) > maxFileSize {
		p.add(1, "", "the file is larger than %d bytes", maxFileSize)
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		p.add(1, "", "the file is empty")
		return nil
	case err != nil:
		addYAMLError(p, err)
		return nil
	}
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		addYAMLError(p, err)
		return nil
	default:
		p.add(second.Line, "", "a topology file has one YAML document; a second one starts here")
		return nil
	}
	u := unfolder{problems: p, budget: maxFileNodes}
	return u.unfold(&document, 0)
}

var yamlError = regexp.MustCompile(`(?s)^yaml: (?:line (\d+): )?(.*)$`)

func addYAMLError(p *problems, err error) {
	line, reason := 1, err.Error()
	if m := yamlError.FindStringSubmatch(reason); m != nil {
		line, _ = strconv.Atoi(m[1])
		reason = m[2]
	}
	p.add(line, "", "this is no YAML: %s", reason)
}

// unfolder turns yaml.Nodes into nodes within the limits.
type unfolder struct {
	*problems
	budget int
}

func (u *unfolder) unfold(n *yaml.Node, depth int) *node {
	u.budget--
	switch {
	case u.budget == 0:
		u.add(n.Line, "", "the file has more than %d values, aliases counted as often as they are used", maxFileNodes)
		fallthrough
	case u.budget < 0:
		return nil
	case depth > maxFileDepth:
		u.add(n.Line, "", "nested more than %d deep", maxFileDepth)
		return nil
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return u.unfold(n.Content[0], depth)
	case yaml.AliasNode:
		return u.unfold(n.Alias, depth+1)
	case yaml.SequenceNode:
		return u.sequence(n, depth)
	case yaml.MappingNode:
		return u.mapping(n, depth)
	}
	out := &node{kind: scalarNode, tag: n.ShortTag(), text: n.Value, line: n.Line}
	switch out.tag {
	case "!!null":
		out.kind = nullNode
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp":
	default:
		u.add(n.Line, "", "the YAML tag %s is not known here", shorten(out.tag))
		return nil
	}
	return out
}

func (u *unfolder) sequence(n *yaml.Node, depth int) *node {
	out := &node{kind: sequenceNode, line: n.Line}
	for _, item := range n.Content {
		if child := u.unfold(item, depth+1); child != nil {
			out.items = append(out.items, child)
		}
	}
	return out
}

func (u *unfolder) mapping(n *yaml.Node, depth int) *node {
	out := &node{kind: mappingNode, line: n.Line}
	var merges []*node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			u.add(key.Line, "", "a key has to be a word")
			continue
		}
		child := u.unfold(value, depth+1)
		switch {
		case child == nil:
		case key.Tag == "!!merge":
			merges = append(merges, u.merged(child)...)
		default:
			out.pairs = append(out.pairs, pair{key.Value, key.Line, child})
		}
	}
	for _, m := range merges {
		out.merge(m)
	}
	return out
}

// merged returns the mappings that a merge key names.
func (u *unfolder) merged(n *node) []*node {
	list := []*node{n}
	if n.kind == sequenceNode {
		list = n.items
	}
	for _, m := range list {
		if m.kind != mappingNode {
			u.add(m.line, "", "<< merges mappings, not %s", m)
			return nil
		}
	}
	return list
}

// merge adds the pairs of m whose keys n does not have.
func (n *node) merge(m *node) {
	have := make(map[string]bool, len(n.pairs))
	for _, p := range n.pairs {
		have[p.key] = true
	}
	for _, p := range m.pairs {
		if !have[p.key] {
			n.pairs = append(n.pairs, p)
		}
	}
}
