package topology

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"

	"github.com/vpcemu/vpcemu/topologies"
)

var update = flag.Bool("update", false, "write topologies/schema.json and docs/topology.md anew")

// TestGenerated keeps the schema and the reference true to the types.
func TestGenerated(t *testing.T) {
	docs := readDocs(t)
	head, err := os.ReadFile("testdata/reference-head.md")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := json.MarshalIndent(docs.schema(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]byte{
		"../../topologies/schema.json": append(schema, '\n'),
		"../../docs/topology.md":       docs.reference(head),
	} {
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if is, err := os.ReadFile(path); err != nil || !bytes.Equal(is, want) {
			t.Errorf("%s is not what the types of this package say; run go generate ./internal/topology (%v)", filepath.Base(path), err)
		}
	}
}

// TestEveryKeyIsDocumented: meaning, what absence means, and what a change does.
func TestEveryKeyIsDocumented(t *testing.T) {
	docs := readDocs(t)
	for _, typ := range docs.types() {
		for _, k := range keysOf(typ) {
			if docs.of(k) == "" {
				t.Errorf("%s.%s has no comment", k.owner.Name(), k.goName)
			}
			if k.objects {
				continue
			}
			if k.change == "" {
				t.Errorf("%s.%s does not say what a change does", k.owner.Name(), k.goName)
			}
			if k.required && (k.fallback != "" || k.unset != "") {
				t.Errorf("%s.%s is required and has a default", k.owner.Name(), k.goName)
			}
		}
	}
}

func TestEmbeddedFitSchema(t *testing.T) {
	var schema jsonschema.Schema
	data, err := topologies.FS().(interface{ ReadFile(string) ([]byte, error) }).ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range topologies.Names() {
		text, err := topologies.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := resolved.Validate(asJSON(t, text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{
		"version: 1\nvpc: {}\n", "version: 2\n", "version: 1\nvpcs: {a: {}}\n", "version: 1\nvpcs: {a: {cidr_block: 10.0.0.0}}\n",
		"version: 1\ninstances: {Web: {}}\n", "version: 1\ninstances: {web: {state: on}}\n",
	} {
		if resolved.Validate(asJSON(t, []byte(bad))) == nil {
			t.Errorf("the schema accepts %q", bad)
		}
	}
}

// asJSON is YAML as a JSON validator sees it.
func asJSON(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// fieldDocs are the comments of this package's types and fields: "Vpc" and
// "Vpc.CidrBlock".
type fieldDocs map[string]string

func readDocs(t *testing.T) fieldDocs {
	t.Helper()
	docs := fieldDocs{}
	for _, name := range []string{"file.go", "objects.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.TYPE {
				continue
			}
			spec := gen.Specs[0].(*ast.TypeSpec)
			docs[spec.Name.Name] = oneLine(gen.Doc.Text())
			structure, ok := spec.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, f := range structure.Fields.List {
				for _, n := range f.Names {
					docs[spec.Name.Name+"."+n.Name] = oneLine(f.Doc.Text())
				}
			}
		}
	}
	return docs
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func (d fieldDocs) of(k *keySpec) string { return d[k.owner.Name()+"."+k.goName] }

// types are those that keys hold, in the order of the file.
func (d fieldDocs) types() (list []reflect.Type) {
	var add func(t reflect.Type)
	add = func(t reflect.Type) {
		if t.Kind() != reflect.Struct || len(keysOf(t)) == 0 || slices.Contains(list, t) {
			return
		}
		list = append(list, t)
		for _, k := range keysOf(t) {
			add(k.value)
		}
	}
	add(reflect.TypeFor[File]())
	return list
}

// schema is the JSON Schema of the whole file.
func (d fieldDocs) schema() map[string]any {
	defs := map[string]any{}
	for _, t := range d.types()[1:] {
		defs[t.Name()] = d.objectSchema(t)
	}
	// A check is a sentence as well.
	defs["Check"] = map[string]any{"anyOf": []any{map[string]any{"type": "string"}, defs["Check"]}}
	root := d.objectSchema(reflect.TypeFor[File]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "vpcemu topology"
	root["$defs"] = defs
	root["patternProperties"] = map[string]any{"^x-": true}
	return root
}

func (d fieldDocs) objectSchema(t reflect.Type) map[string]any {
	properties := map[string]any{}
	var required []string
	for _, k := range keysOf(t) {
		for i, name := range k.names {
			s := d.keySchema(k)
			if i > 0 {
				s["description"] = "The same as " + k.names[0] + "."
			}
			properties[name] = s
		}
		if k.required && len(k.names) == 1 {
			required = append(required, k.names[0])
		}
	}
	s := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	} else if t != reflect.TypeFor[File]() {
		s["type"] = []string{"object", "null"} // a name alone stands for all defaults
	}
	return s
}

func (d fieldDocs) keySchema(k *keySpec) map[string]any {
	s := d.valueSchema(k)
	switch {
	case k.objects:
		name := objectName
		if k.value == reflect.TypeFor[Instance]() || k.value == reflect.TypeFor[InternetHost]() {
			name = hostName
		}
		s = map[string]any{"type": []string{"object", "null"}, "propertyNames": map[string]any{"pattern": name.String()}, "additionalProperties": s}
	case k.list:
		s = map[string]any{"type": "array", "items": s}
	}
	text := d.of(k)
	if k.unset != "" {
		text += " Default: " + k.unset + "."
	}
	if k.change != "" {
		text += " Changed " + changeText[k.change] + "."
	}
	s["description"] = text
	if k.fallback != "" {
		s["default"] = typed(k)
	}
	return s
}

var changeText = map[string]string{"in place": "in place", "stop": "by a stop and a start", "replace": "by making it anew", "never": "never"}

func typed(k *keySpec) any {
	switch k.value.Kind() {
	case reflect.Bool:
		return k.fallback == "true"
	case reflect.Int:
		return json.Number(k.fallback)
	}
	return k.fallback
}

func (d fieldDocs) valueSchema(k *keySpec) map[string]any {
	s := map[string]any{}
	switch k.value {
	case reflect.TypeFor[string]():
		s["type"] = "string"
		if k.loose {
			s["type"] = []string{"string", "integer"}
		}
		if k.pattern != nil {
			s["pattern"] = k.pattern.String()
		}
	case reflect.TypeFor[bool]():
		s["type"] = "boolean"
	case reflect.TypeFor[int]():
		s["type"] = "integer"
		if k.min != nil {
			s["minimum"], s["maximum"] = *k.min, *k.max
		}
	case reflect.TypeFor[netip.Prefix]():
		s["type"], s["pattern"] = "string", `^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$`
	case reflect.TypeFor[netip.Addr]():
		s["type"], s["pattern"] = "string", `^[0-9]{1,3}(\.[0-9]{1,3}){3}$`
	case reflect.TypeFor[Ports](), reflect.TypeFor[Protocol]():
		s["type"] = []string{"string", "integer"}
	case reflect.TypeFor[Cpus]():
		s["type"], s["exclusiveMinimum"] = "number", 0
	case reflect.TypeFor[Memory]():
		s["type"], s["pattern"] = "string", `^[0-9.]+ ?([KMGT](i?B)?)$`
	case reflect.TypeFor[map[string]string]():
		s["type"], s["additionalProperties"] = "object", map[string]any{"type": []string{"string", "number", "boolean", "null"}}
	case reflect.TypeFor[map[string]int]():
		s["type"], s["additionalProperties"] = "object", map[string]any{"type": "integer", "minimum": 1}
	default:
		return map[string]any{"$ref": "#/$defs/" + k.value.Name()}
	}
	if len(k.enum) > 0 {
		var list []any
		for _, e := range k.enum {
			if k.value.Kind() == reflect.Int {
				list = append(list, json.Number(e))
			} else {
				list = append(list, e)
			}
		}
		s["enum"] = list
	}
	return s
}

// reference is docs/topology.md: the head, then the tables.
func (d fieldDocs) reference(head []byte) []byte {
	var b bytes.Buffer
	b.Write(head)
	for i, t := range d.types() {
		if i == 0 {
			b.WriteString("\n## The file\n\n")
		} else {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", d.titleOf(t), d.about(t))
		}
		d.table(&b, t)
	}
	return b.Bytes()
}

// titleOf names a type by the key that holds it.
func (d fieldDocs) titleOf(t reflect.Type) string {
	for _, outer := range d.types() {
		for _, k := range keysOf(outer) {
			if k.value == t && outer == reflect.TypeFor[File]() {
				return k.names[0]
			}
		}
	}
	var keys []string
	for _, outer := range d.types() {
		for _, k := range keysOf(outer) {
			if k.value == t {
				keys = append(keys, d.titleOf(outer)+"."+k.names[0])
			}
		}
	}
	return strings.Join(keys, ", ")
}

// about is what a type is: the words of the map that it is an entry of, or its own.
func (d fieldDocs) about(t reflect.Type) string {
	for _, k := range keysOf(reflect.TypeFor[File]()) {
		if k.value == t && k.objects {
			return d.of(k)
		}
	}
	return d[t.Name()]
}

func (d fieldDocs) table(b *bytes.Buffer, t reflect.Type) {
	b.WriteString("| key | type | default | a change is made | meaning |\n|---|---|---|---|---|\n")
	for _, k := range keysOf(t) {
		names := "`" + strings.Join(k.names, "` or `") + "`"
		absent := k.unset
		switch {
		case k.objects:
			absent = "none"
		case k.required:
			absent = "**required**"
		case k.fallback != "":
			absent = "`" + k.fallback + "`"
		case absent == "":
			absent = "none"
		}
		change := changeText[k.change]
		if k.objects {
			change = "object by object"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", names, d.typeText(k), absent, change, d.of(k))
	}
}

func (d fieldDocs) typeText(k *keySpec) string {
	text := "text"
	switch {
	case k.objects:
		return fmt.Sprintf("names, each with [%s](#%s)", k.names[0], k.names[0])
	case len(k.enum) > 0:
		text = strings.Join(k.enum, ", ")
	case len(k.ref) > 0:
		text = "name from " + strings.Join(k.ref, " or ")
		if len(k.words) > 0 {
			text += ", or " + strings.Join(k.words, ", ")
		}
	default:
		switch k.value {
		case reflect.TypeFor[bool]():
			text = "true, false"
		case reflect.TypeFor[int]():
			text = "whole number"
		case reflect.TypeFor[netip.Prefix]():
			text = "CIDR block"
		case reflect.TypeFor[netip.Addr]():
			text = "address"
		case reflect.TypeFor[Ports]():
			text = "port or ports"
		case reflect.TypeFor[Protocol]():
			text = "protocol"
		case reflect.TypeFor[Cpus]():
			text = "number of processors"
		case reflect.TypeFor[Memory]():
			text = "amount of memory"
		case reflect.TypeFor[map[string]string]():
			text = "mapping of text to text"
		case reflect.TypeFor[map[string]int]():
			text = "mapping of text to numbers"
		default:
			if k.value.Kind() == reflect.Struct {
				text = "mapping, see below"
			}
			if k.value == reflect.TypeFor[Check]() {
				text = "sentence, or mapping, see below"
			}
		}
	}
	if k.list {
		return "list of: " + text
	}
	return text
}
