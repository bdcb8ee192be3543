package awscli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Formats are the values of --output.
var Formats = []string{"json", "yaml", "text", "table"}

func checkFormat(format string) error {
	if !slices.Contains(Formats, format) {
		return fmt.Errorf("%s: use %s", format, strings.Join(Formats, ", "))
	}
	return nil
}

// Print writes the answer of an operation, or what the query takes of it, in one of the
// Formats, as the AWS CLI would. An answer without members prints nothing.
func Print(w io.Writer, out json.RawMessage, format string, query *Query) error {
	if err := checkFormat(format); err != nil {
		return fmt.Errorf("--output %w", err)
	}
	tree, err := decodeTree(out)
	if err != nil {
		return err
	}
	if query != nil {
		if tree, err = query.of(tree); err != nil {
			return err
		}
	}
	if o, ok := tree.(object); ok && len(o) == 0 || tree == nil && query == nil {
		return nil
	}
	var b bytes.Buffer
	switch format {
	case "yaml":
		e := yaml.NewEncoder(&b)
		e.SetIndent(2)
		err = e.Encode(yamlNode(tree))
	case "text":
		writeText(&b, tree, "", nil)
	case "table":
		writeTable(&b, tree, terminalWidth(w))
	default:
		var s strings.Builder
		writeJSON(&s, tree, "")
		b.WriteString(s.String() + "\n")
	}
	if err != nil {
		return err
	}
	_, err = w.Write(b.Bytes())
	return err
}

func yamlNode(v any) *yaml.Node {
	switch v := v.(type) {
	case object:
		n := &yaml.Node{Kind: yaml.MappingNode}
		if len(v) == 0 {
			n.Style = yaml.FlowStyle
		}
		for _, m := range v {
			n.Content = append(n.Content, yamlNode(m.key), yamlNode(m.value))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		if len(v) == 0 {
			n.Style = yaml.FlowStyle
		}
		for _, item := range v {
			n.Content = append(n.Content, yamlNode(item))
		}
		return n
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: v.String()}
	}
	n := &yaml.Node{}
	if err := n.Encode(v); err != nil {
		n = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: fmt.Sprint(v)}
	}
	return n
}

// writeText writes a tree as awscli/text.py does: a line for the scalars of each
// structure, ordered by key and separated by tabs, with the structure's name in
// capitals in front. keys are the scalars that the structures of a list have
// between them, so that their columns agree.
func writeText(b *bytes.Buffer, v any, name string, keys []string) {
	switch v := v.(type) {
	case object:
		writeTextObject(b, v, name, keys)
	case []any:
		writeTextList(b, v, name)
	default:
		b.WriteString(textScalar(v) + "\n")
	}
}

func writeTextObject(b *bytes.Buffer, o object, name string, keys []string) {
	ordered := slices.Clone(o)
	slices.SortFunc(ordered, func(x, y member) int { return strings.Compare(x.key, y.key) })
	var line []string
	var inner object
	if keys == nil {
		for _, m := range ordered {
			if isScalar(m.value) {
				line = append(line, textScalar(m.value))
			}
		}
	}
	for _, k := range keys {
		line = append(line, textScalar(ordered.get(k)))
	}
	for _, m := range ordered {
		if !isScalar(m.value) && !slices.Contains(keys, m.key) {
			inner = append(inner, m)
		}
	}
	if len(line) > 0 {
		if name != "" {
			line = slices.Concat([]string{strings.ToUpper(name)}, line)
		}
		b.WriteString(strings.Join(line, "\t") + "\n")
	}
	for _, m := range inner {
		writeText(b, m.value, m.key, nil)
	}
}

func writeTextList(b *bytes.Buffer, list []any, name string) {
	var scalars, rest []any
	keys := []string{}
	structures := false
	for _, item := range list {
		o, ok := item.(object)
		structures = structures || ok
		for _, m := range o {
			if isScalar(m.value) && !slices.Contains(keys, m.key) {
				keys = append(keys, m.key)
			}
		}
		if isScalar(item) {
			scalars = append(scalars, item)
		} else {
			rest = append(rest, item)
		}
	}
	slices.Sort(keys)
	if structures {
		for _, item := range list {
			writeText(b, item, name, keys)
		}
		return
	}
	writeTextScalars(b, scalars, name)
	for _, item := range rest {
		writeText(b, item, name, nil)
	}
}

func writeTextScalars(b *bytes.Buffer, list []any, name string) {
	var texts []string
	for _, v := range list {
		if name != "" {
			b.WriteString(strings.ToUpper(name) + "\t" + textScalar(v) + "\n")
		}
		texts = append(texts, textScalar(v))
	}
	if name == "" && len(texts) > 0 {
		b.WriteString(strings.Join(texts, "\t") + "\n")
	}
}

func isScalar(v any) bool {
	switch v.(type) {
	case object, []any:
		return false
	}
	return true
}

// textScalar writes a scalar as Python does.
func textScalar(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	}
	return fmt.Sprint(v)
}
