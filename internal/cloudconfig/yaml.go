package cloudconfig

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxValues bounds the values visited; an alias counts as often as it is used.
const maxValues = 50_000

var yamlError = regexp.MustCompile(`(?s)^yaml: (?:line (\d+): )?(.*)$`)

// readYAML reads one document; nil means that it cannot be read, or is empty.
func (p *parser) readYAML(text []byte) *yaml.Node {
	var document yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&document); err != nil {
		if err.Error() == "EOF" {
			return nil
		}
		line, reason := 0, err.Error()
		if m := yamlError.FindStringSubmatch(reason); m != nil {
			line, _ = strconv.Atoi(m[1])
			reason = m[2]
		}
		p.fail(line, "this is no YAML: %s", reason)
		return nil
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) == 0 {
		return nil
	}
	return follow(document.Content[0])
}

// follow resolves an alias.
func follow(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// spend counts values visited.
func (p *parser) spend(n int, line int) bool {
	if p.budget < 0 {
		return false
	}
	if p.budget -= n; p.budget < 0 {
		p.fail(line, "more than %d values, aliases counted as often as they are used", maxValues)
		return false
	}
	return true
}

// entry is a key of a mapping.
type entry struct {
	key   string
	line  int
	value *yaml.Node
}

// entries are the keys of a mapping in their order, merge keys resolved; of a key given twice the last counts, as
// in PyYAML.
func (p *parser) entries(n *yaml.Node) []entry {
	if n.Kind != yaml.MappingNode || !p.spend(len(n.Content)/2, n.Line) {
		return nil
	}
	var own, merged []entry
	at := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := follow(n.Content[i]), follow(n.Content[i+1])
		if key.Tag == "!!merge" {
			merged = append(merged, p.mergeKey(value, n)...)
			continue
		}
		text, ok := asText(key)
		if !ok {
			p.fail(key.Line, "a key has to be a word, not %s", describe(key))
			continue
		}
		e := entry{text, key.Line, value}
		if j, again := at[text]; again {
			own[j] = e
			continue
		}
		at[text] = len(own)
		own = append(own, e)
	}
	for _, e := range merged {
		if _, has := at[e.key]; !has {
			at[e.key] = len(own)
			own = append(own, e)
		}
	}
	return own
}

func (p *parser) mergeKey(value, into *yaml.Node) []entry {
	switch {
	case value == into: // a mapping that merges itself
	case value.Kind == yaml.MappingNode:
		return p.entries(value)
	case value.Kind == yaml.SequenceNode:
		var all []entry
		for _, m := range p.items(value) {
			if m != into {
				all = append(all, p.entries(m)...)
			}
		}
		return all
	}
	return nil
}

// items are the items of a list.
func (p *parser) items(n *yaml.Node) []*yaml.Node {
	if n.Kind != yaml.SequenceNode || !p.spend(len(n.Content), n.Line) {
		return nil
	}
	items := make([]*yaml.Node, len(n.Content))
	for i, c := range n.Content {
		items[i] = follow(c)
	}
	return items
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// describe says what a value is, for messages.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!int", "!!float":
		return "the number " + shorten(n.Value)
	case "!!bool":
		return "the truth value " + n.Value
	}
	return strconv.Quote(shorten(n.Value))
}

func shorten(s string) string {
	if len(s) <= 60 {
		return s
	}
	return strings.ToValidUTF8(s[:60], "") + "…"
}

// asText is a scalar as Python's str() writes it, which is how cloud-init sees numbers and truth values where it
// wants text.
func asText(n *yaml.Node) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		return "", false
	}
	switch n.ShortTag() {
	case "!!null":
		return "", true
	case "!!bool":
		if b, err := strconv.ParseBool(strings.ToLower(n.Value)); err == nil {
			return map[bool]string{true: "True", false: "False"}[b], true
		}
	case "!!binary":
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(n.Value), ""))
		return string(b), err == nil
	}
	return n.Value, true
}

// truths are the words for truth values, those of YAML 1.1 included, in which cloud-configs are written.
var truths = map[string]bool{"true": true, "yes": true, "on": true, "1": true, "false": false, "no": false, "off": false, "0": false, "": false}

// asTruth is a truth value.
func asTruth(n *yaml.Node) (value, ok bool) {
	if n.Kind != yaml.ScalarNode {
		return false, false
	}
	value, ok = truths[strings.ToLower(n.Value)]
	return value, ok || isNull(n)
}
