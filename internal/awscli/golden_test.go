package awscli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// The files of testdata say what the AWS CLI makes of the same input; golden.py
// makes them.

func readGolden(t *testing.T, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		t.Fatal(err)
	}
}

func TestShorthandReadsAsTheAWSCLIDoes(t *testing.T) {
	var cases []struct {
		Text  string
		Value map[string]any
		Error bool
	}
	readGolden(t, "shorthand.json", &cases)
	for _, c := range cases {
		got, err := parseShorthand(c.Text, fromFile)
		if (err != nil) != c.Error {
			t.Errorf("%s: error %v, the AWS CLI's: %v", c.Text, err, c.Error)
			continue
		}
		if err == nil && !reflect.DeepEqual(got, c.Value) {
			t.Errorf("%s: %#v, the AWS CLI makes %#v", c.Text, got, c.Value)
		}
	}
}

func TestCommandsGiveTheRequestsOfTheAWSCLI(t *testing.T) {
	var cases []struct {
		Line   string
		Params map[string]any
	}
	readGolden(t, "commands.json", &cases)
	t.Chdir("testdata") // the files that commands name
	for _, c := range cases {
		a, got, _, err := parseLine(c.Line)
		if err != nil {
			t.Errorf("%s: %v", c.Line, err)
			continue
		}
		want := reflect.New(a.Input)
		if err := (converter{}).assign(want.Elem(), c.Params, ""); err != nil {
			t.Errorf("%s: %v", c.Line, err)
			continue
		}
		if d := cmp.Diff(want.Interface(), got); d != "" {
			t.Errorf("%s: -the AWS CLI +here:\n%s", c.Line, d)
		}
	}
}

// ownFlags are vpcemu's own parameters of AWS's actions.
var ownFlags = []string{"link-type", "devices", "rootfs", "limits"}

func TestActionsAndFlagsAreThoseOfTheAWSCLI(t *testing.T) {
	for _, a := range vpc.Actions() {
		name := kebab(a.Name)
		if own := strings.TrimSuffix(a.Name, "s"); strings.HasSuffix(own, "InternetHost") || strings.HasSuffix(own, "Impairment") || strings.HasSuffix(own, "Failure") {
			continue
		}
		aws := awsActions()[name]
		if aws == nil {
			t.Errorf("%s: aws.txt has no such action: add its name and run testdata/golden.py", name)
			continue
		}
		flags := flagsOf(a)
		for _, f := range flags {
			if !aws.known[f.name] && !slices.Contains(ownFlags, f.name) {
				t.Errorf("%s: `aws ec2` has no flag --%s", name, f.name)
			}
			if _, ok := findGlobal(f.name); ok {
				t.Errorf("%s: --%s is also a flag of every action", name, f.name)
			}
		}
		for _, r := range aws.required {
			if _, ok := findFlag(flags, r); !ok {
				t.Errorf("%s: --%s, which `aws ec2` requires, is missing", name, r)
			}
		}
	}
}

func TestQueriesPrintWhatTheAWSCLIPrints(t *testing.T) {
	var cases []struct{ Output, Query, Printed string }
	readGolden(t, "queries.json", &cases)
	answer, err := os.ReadFile(filepath.Join("testdata", "answer.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		query, err := newQuery(c.Query)
		if err != nil {
			t.Errorf("%s: %v", c.Query, err)
			continue
		}
		var b strings.Builder
		if err := Print(&b, answer, c.Output, query); err != nil {
			t.Errorf("%s: %v", c.Query, err)
		}
		if d := cmp.Diff(c.Printed, b.String()); d != "" {
			t.Errorf("--output %s --query %s: -the AWS CLI +here:\n%s", c.Output, c.Query, d)
		}
	}
}
