package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const fixture = `{
  "metadata": {"apiVersion": "2016-11-15", "protocol": "ec2"},
  "operations": {
    "DeleteThing": {"input": {"shape": "DeleteThingRequest"}},
    "CreateThing": {"input": {"shape": "CreateThingRequest"}, "output": {"shape": "Thing"}},
    "BreakThing": {"input": {"shape": "Unused"}}
  },
  "shapes": {
    "CreateThingRequest": {"type": "structure", "required": ["Names", "Id"], "members": {
      "Names": {"shape": "NameList", "locationName": "Name"},
      "Id": {"shape": "String", "locationName": "id", "queryName": "ThingId"},
      "DryRun": {"shape": "Boolean"},
      "ClientToken": {"shape": "String", "idempotencyToken": true}
    }},
    "DeleteThingRequest": {"type": "structure", "members": {}},
    "Thing": {"type": "structure", "members": {
      "Children": {"shape": "ThingList", "locationName": "childSet"},
      "Born": {"shape": "DateTime", "locationName": "born"},
      "Weight": {"shape": "Double", "locationName": "weight"},
      "Count": {"shape": "Long", "locationName": "count"},
      "Data": {"shape": "Blob", "locationName": "data"}
    }},
    "NameList": {"type": "list", "member": {"shape": "String"}},
    "ThingList": {"type": "list", "member": {"shape": "Thing", "locationName": "item"}},
    "Unused": {"type": "structure", "members": {"X": {"shape": "String"}}},
    "String": {"type": "string"}, "Boolean": {"type": "boolean"}, "DateTime": {"type": "timestamp"},
    "Double": {"type": "double"}, "Long": {"type": "long"}, "Blob": {"type": "blob"}, "Map": {"type": "map"}
  }
}`

const want = `# The EC2 API, version 2016-11-15, made by gen from the model of a fixture. Do not edit.
# The model is copyright Amazon.com, Inc. or its affiliates, under the Apache License 2.0.
action BreakThing
action CreateThing CreateThingRequest Thing
action DeleteThing DeleteThingRequest -
structure CreateThingRequest
 Names NameList Name Name required
 Id string ThingId id required
 DryRun boolean DryRun DryRun
 ClientToken string ClientToken ClientToken token
structure DeleteThingRequest
list NameList string member
structure Thing
 Children ThingList ChildSet childSet
 Born timestamp Born born
 Weight float Weight weight
 Count integer Count count
 Data blob Data data
list ThingList Thing item
`

func modelFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTable_OfAModel(t *testing.T) {
	m, err := read(modelFile(t, fixture))
	if err != nil {
		t.Fatal(err)
	}
	got, err := table(m, "a fixture", []string{"CreateThing", "DeleteThing"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, string(got)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestTable_ModelsThatAreNone(t *testing.T) {
	for _, tt := range []struct{ old, with, want string }{
		{`"protocol": "ec2"`, `"protocol": "query"`, "not ec2"},
		{`"operations"`, `operations`, "invalid character"},
		{`"Born": {"shape": "DateTime"`, `"Born": {"shape": "Gone"`, `there is no shape "Gone"`},
		{`"Born": {"shape": "DateTime"`, `"Born": {"shape": "Map"`, `of type "map"`},
		{`"member": {"shape": "String"}`, `"member": {"shape": "Gone"}`, "its members have no shape"},
		{`"output": {"shape": "Thing"}`, `"output": {"shape": "Gone"}`, `there is no shape "Gone"`},
	} {
		m, err := read(modelFile(t, strings.Replace(fixture, tt.old, tt.with, 1)))
		if err == nil {
			_, err = table(m, "a fixture", []string{"CreateThing", "DeleteThing"})
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.with, err, tt.want)
		}
	}
}

// Titles of groups are no actions.
func TestWanted(t *testing.T) {
	for _, name := range wanted() {
		if name == "" || strings.ContainsAny(name, "# ") {
			t.Errorf("%q", name)
		}
	}
}
