package importer

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// write prints the file, a section for each of its keys, below what a reader has to know about it.
func (c *converter) write() ([]byte, error) {
	var out bytes.Buffer
	c.header(&out)
	for _, f := range fieldsOf(reflect.ValueOf(c.file).Elem()) {
		value := c.node(f.value, f.key)
		if value == nil {
			continue
		}
		doc := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text(f.key), value}}
		if f.value.Kind() == reflect.Struct && f.value.FieldByName("List").IsValid() {
			out.WriteByte('\n')
		}
		e := yaml.NewEncoder(&out)
		e.SetIndent(2)
		if err := e.Encode(doc); err != nil {
			return nil, fmt.Errorf("%s: %w", f.key, err)
		}
		if err := e.Close(); err != nil {
			return nil, fmt.Errorf("%s: %w", f.key, err)
		}
	}
	if err := c.writeChecks(&out); err != nil {
		return nil, fmt.Errorf("checks: %w", err)
	}
	return out.Bytes(), nil
}

// writeChecks prints the lab's checks, a sentence each.
func (c *converter) writeChecks(out *bytes.Buffer) error {
	if len(c.checkLines) == 0 {
		return nil
	}
	out.WriteByte('\n')
	e := yaml.NewEncoder(out)
	e.SetIndent(2)
	return errors.Join(e.Encode(map[string][]string{"checks": c.checkLines}), e.Close())
}

// header are the comments at the top: where the file is from, and what is not as it is there.
func (c *converter) header(out *bytes.Buffer) {
	if c.lab != nil {
		fmt.Fprintf(out, "# Made by `vpcemu export` of lab %s.\n", c.lab.Lab)
		c.noted(out)
		out.WriteByte('\n')
		return
	}
	from := "describe calls of the AWS CLI"
	if c.terraform {
		from = "`terraform show -json`"
		if c.cli {
			from += " and describe calls of the AWS CLI"
		}
	}
	fmt.Fprintf(out, "# Made by `vpcemu import` of %s. With each object stands what it is called there.\n", from)
	c.noted(out)
	if slices.ContainsFunc(c.Addresses, func(a *rawAddress) bool { return a.PublicIp != "" && a.PublicIp == c.public[a.AllocationId].String() }) && c.opt.KeepPublicAddresses {
		out.WriteString("#\n# Elastic IPs have their real addresses (--keep-public-addresses). With `uplink: host` the lab would hide the\n# real owners of these addresses from its instances: do not set it here.\n")
	}
	out.WriteByte('\n')
}

// noted are the notes as comments.
func (c *converter) noted(out *bytes.Buffer) {
	list := c.notes.sorted()
	if len(list) == 0 {
		return
	}
	out.WriteString("#\n# Not brought over, or not as it is there:\n")
	for _, n := range list {
		prefix := "#   - "
		for _, line := range wrap(n.String(), 112) {
			out.WriteString(prefix + line + "\n")
			prefix = "#     "
		}
	}
}

// wrap breaks text at blanks.
func wrap(s string, width int) (lines []string) {
	line := ""
	for _, w := range strings.Fields(s) {
		if line != "" && len(line)+1+len(w) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += w
	}
	return append(lines, line)
}

// field is a key of a topology file with what the struct has for it.
type field struct {
	key   string
	value reflect.Value // a topology.Value, or Objects
}

// fieldsOf are the keys of a struct, as its tags say, a Head's last.
func fieldsOf(v reflect.Value) (own []field) {
	var head []field
	for _, f := range reflect.VisibleFields(v.Type()) {
		tag, ok := f.Tag.Lookup("key")
		if !ok || tag == "-" {
			continue
		}
		key, _, _ := strings.Cut(strings.TrimSuffix(tag, ",required"), "|")
		if one := (field{key, v.FieldByIndex(f.Index)}); len(f.Index) > 1 && v.Type().Field(f.Index[0]).Type == reflect.TypeFor[topology.Head]() {
			head = append(head, one)
		} else {
			own = append(own, one)
		}
	}
	return append(own, head...)
}

// olderYaml are words that readers of YAML 1.1, of which there are many, take for something else than text: yes and no, and numbers to
// the base of sixty.
var olderYaml = regexp.MustCompile(`^(?i:y|yes|n|no|on|off)$|^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`)

func text(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	switch {
	case strings.ContainsAny(s, "\r\u2028\u2029\u0085") || olderYaml.MatchString(s):
		n.Style = yaml.DoubleQuotedStyle
	case strings.Contains(s, "\n"):
		n.Style = yaml.LiteralStyle
	}
	return n
}

// node is what a field holds; nil where the file is silent.
func (c *converter) node(v reflect.Value, key string) *yaml.Node {
	if objects := v.FieldByName("List"); objects.IsValid() {
		return c.objects(objects)
	}
	if !v.FieldByName("Set").Bool() {
		return nil
	}
	return c.inner(v.FieldByName("V"), key)
}

func (c *converter) objects(list reflect.Value) *yaml.Node {
	if list.Len() == 0 {
		return nil
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := range list.Len() {
		o := list.Index(i).Elem()
		head := o.FieldByName("Head").Interface().(topology.Head)
		key, value := text(head.Name), c.mapping(o)
		comment := c.comments[head.Source()]
		switch {
		case comment == "":
		case flat(value):
			value.LineComment = comment
		default:
			key.HeadComment = comment
		}
		if flat(value) {
			value.Style = yaml.FlowStyle
		}
		n.Content = append(n.Content, key, value)
	}
	return n
}

// flat tells whether an object is short enough for one line.
func flat(n *yaml.Node) bool {
	length := 0
	for _, child := range n.Content {
		if child.Kind != yaml.ScalarNode || child.Style == yaml.LiteralStyle {
			return false
		}
		length += len(child.Value) + 2
	}
	return length < 90
}

func (c *converter) mapping(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range fieldsOf(v) {
		if value := c.node(f.value, f.key); value != nil {
			n.Content = append(n.Content, text(f.key), value)
		}
	}
	return n
}

func (c *converter) inner(v reflect.Value, key string) *yaml.Node {
	switch x := v.Interface().(type) {
	case string:
		return text(x)
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(x)}
	case int:
		return number(x)
	case netip.Prefix:
		return text(x.String())
	case netip.Addr:
		return text(x.String())
	case topology.Cpus:
		return text(vpc.Limits{Cpu: int(x)}.Specification().Cpus)
	case topology.Memory:
		return text(vpc.Limits{Memory: int64(x)}.Specification().Memory)
	case topology.Ports:
		return ports(x)
	case topology.Protocol:
		return protocol(x)
	case map[string]string:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, k := range slices.Sorted(maps.Keys(x)) {
			n.Content = append(n.Content, text(k), text(x[k]))
		}
		if flat(n) {
			n.Style = yaml.FlowStyle
		}
		return n
	case map[string]int:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, k := range slices.Sorted(maps.Keys(x)) {
			n.Content = append(n.Content, text(k), number(x[k]))
		}
		return n
	}
	if v.Kind() != reflect.Slice {
		n := c.mapping(v)
		if len(n.Content) <= 4 && flat(n) {
			n.Style = yaml.FlowStyle
		}
		return n
	}
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range v.Len() {
		one := c.inner(v.Index(i).FieldByName("V"), key)
		if one.Kind == yaml.MappingNode {
			one.Style = yaml.FlowStyle
		}
		n.Content = append(n.Content, one)
	}
	if v.Len() == 0 || n.Content[0].Kind == yaml.ScalarNode {
		n.Style = yaml.FlowStyle
	}
	return n
}

func number(i int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(i)}
}

// ports are as Ports.UnmarshalText reads them.
func ports(p topology.Ports) *yaml.Node {
	switch {
	case p.From == 0 && p.To == 65535:
		return text("all")
	case p.From == p.To:
		return number(p.From)
	}
	return text(fmt.Sprintf("%d-%d", p.From, p.To))
}

// protocol is as Protocol.UnmarshalText reads it.
func protocol(p topology.Protocol) *yaml.Node {
	if p == "-1" {
		return text("all")
	}
	if n, err := strconv.Atoi(string(p)); err == nil {
		return number(n)
	}
	return text(string(p))
}
