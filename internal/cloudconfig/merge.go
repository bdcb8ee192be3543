package cloudconfig

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// mergeRule is how a later cloud-config joins the earlier ones (cloud-init, "Merging user data sections"). The
// default, dict(replace)+list()+str(), takes over the later one's top-level keys.
type mergeRule struct {
	keep                     bool // dict(no_replace): keys that are there stay, but for what recurses
	recurseList, recurseText bool
	list                     string // replace, append, prepend, no_replace
	appendText               bool
}

// readMergeRule reads Merge-Type: list(append)+dict(recurse_array,no_replace)+str().
func readMergeRule(text string) mergeRule {
	r := mergeRule{list: "replace"}
	for _, one := range strings.Split(text, "+") {
		name, options, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(one), ")"), "(")
		r.add(name, strings.Split(options, ","))
	}
	return r
}

func (r *mergeRule) add(name string, options []string) {
	for _, o := range options {
		switch name, o := strings.TrimSpace(name), strings.TrimSpace(o); {
		case name == "dict" && o == "no_replace":
			r.keep = true
		case name == "dict" && (o == "recurse_array" || o == "recurse_list"):
			r.recurseList = true
		case name == "dict" && o == "recurse_str":
			r.recurseText = true
		case name == "list" && (o == "append" || o == "prepend" || o == "no_replace"):
			r.list = o
		case name == "str" && o == "append":
			r.appendText = true
		}
	}
}

// mergeRuleOf reads merge_how or merge_type of a cloud-config, a text or a list of mappings with name and
// settings; other is the rule of its MIME header.
func (p *parser) mergeRuleOf(entries []entry, other string) mergeRule {
	for _, e := range entries {
		if e.key != "merge_how" && e.key != "merge_type" {
			continue
		}
		if text, ok := asText(e.value); ok {
			return readMergeRule(text)
		}
		r := mergeRule{list: "replace"}
		for _, item := range p.items(e.value) {
			var name string
			var options []string
			for _, f := range p.entries(item) {
				switch f.key {
				case "name":
					name, _ = asText(f.value)
				case "settings":
					for _, s := range p.items(f.value) {
						text, _ := asText(s)
						options = append(options, text)
					}
				}
			}
			r.add(name, options)
		}
		return r
	}
	return readMergeRule(other)
}

// merge joins two values of one key or, at the top, two cloud-configs.
func (p *parser) merge(old, new *yaml.Node, r mergeRule, depth int) *yaml.Node {
	switch {
	case depth > 20 || old.Kind != new.Kind:
		return new
	case old.Kind == yaml.MappingNode:
		out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: old.Line}
		have := map[string]int{}
		for _, e := range p.entries(old) {
			have[e.key] = len(out.Content) + 1
			out.Content = append(out.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: e.key, Line: e.line}, e.value)
		}
		for _, e := range p.entries(new) {
			at, has := have[e.key]
			switch {
			case !has:
				out.Content = append(out.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: e.key, Line: e.line}, e.value)
			case !r.keep:
				out.Content[at] = e.value
			case e.value.Kind == yaml.MappingNode, e.value.Kind == yaml.SequenceNode && r.recurseList, e.value.Kind == yaml.ScalarNode && r.recurseText:
				out.Content[at] = p.merge(out.Content[at], e.value, r, depth+1)
			}
		}
		return out
	case old.Kind == yaml.SequenceNode:
		out := *new
		switch r.list {
		case "append":
			out.Content = append(append([]*yaml.Node{}, old.Content...), new.Content...)
		case "prepend":
			out.Content = append(append([]*yaml.Node{}, new.Content...), old.Content...)
		case "no_replace":
			return old
		}
		return &out
	case old.Kind == yaml.ScalarNode && r.appendText:
		out := *new
		out.Value = old.Value + new.Value
		return &out
	}
	return new
}
