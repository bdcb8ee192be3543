package ec2api

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

var update = flag.Bool("update", false, "write docs/ec2-api.md")

const page = "../../docs/ec2-api.md"

func TestPage(t *testing.T) {
	groups, err := os.ReadFile("gen/actions.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := write(string(groups))
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is out of date: go test ./internal/ec2api -update", page)
	}
}

const intro = `# The EC2 API

<!-- Written by go test ./internal/ec2api -update. Change internal/ec2api. -->

` + "`vpcemu api`" + ` and ` + "`vpcemu up --api`" + ` serve the EC2 Query protocol, version 2016-11-15 (requests of earlier versions are taken as
such of this one), STS GetCallerIdentity, and the parts of SSM that run commands and name the latest images. Parameters and answers are named as
in AWS's own model of the API (%s), from which the code's table is made. What a parameter does is said in the
Amazon EC2 API Reference; where a lab differs, [conformance.md](conformance.md) says so.

Of the %d actions of the API a lab has the %d below. Another one of AWS's answers UnsupportedOperation, and a name that is none
InvalidAction, both with HTTP status 400.

A parameter that AWS has and a lab does not is refused with UnsupportedOperation, which names it, unless its value is
empty, 0 or false. *Ignored* are those that a lab takes and does nothing about, since what they are about is not in it. *Lists nothing*
is an action about objects that a lab never has: it answers as an account without any does. %s is ignored
everywhere. DryRun, filters, tokens of pages and of idempotency are as on AWS. Letters are tiers: A, what walkthroughs and
first configurations need; B, the rest of the VPC; C, what is next to it.

Of SSM there are SendCommand with the document AWS-RunShellScript, to instances by ID or by Targets, GetCommandInvocation,
ListCommandInvocations, ListCommands, CancelCommand, DescribeInstanceInformation, GetParameter, GetParameters and
GetParametersByPath. Every running instance takes commands, without agent and role. Commands and their output are
kept as long as the daemon runs: unlike all else they are not there after its restart.
`

func write(groups string) string {
	t := theTable()
	var b strings.Builder
	source, _, _ := strings.Cut(modelText[strings.Index(modelText, "model of ")+len("model of "):], ". Do not")
	have := map[string]vpc.Action{}
	for _, op := range vpc.Actions() {
		if a := t.actions[op.Name]; a != nil && a.shapes {
			have[op.Name] = op
		}
	}
	fmt.Fprintf(&b, intro, source, len(t.actions), len(have), strings.Join(ignoredParameters["*"], ", "))
	var without []string
	for name := range t.actions {
		if _, found := have[name]; !found {
			without = append(without, name)
		}
	}
	for _, g := range grouped(groups, have) {
		fmt.Fprintf(&b, "\n## %s\n\n", g.title)
		for _, name := range g.actions {
			b.WriteString(entry(t.actions[name], have[name]))
		}
	}
	slices.Sort(without)
	fmt.Fprintf(&b, "\n## Not in a lab\n\nThese %d answer UnsupportedOperation: %s.\n", len(without), strings.Join(without, ", "))
	return b.String()
}

type group struct {
	title   string
	actions []string
}

// grouped puts the actions below the titles of gen/actions.txt: those of vpc's that are
// not there come last.
func grouped(text string, have map[string]vpc.Action) []group {
	var list []group
	rest := maps.Clone(have)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if title, is := strings.CutPrefix(line, "# "); is {
			tier, name, _ := strings.Cut(title, " ")
			list = append(list, group{title: name + " (" + tier + ")"})
		} else if _, found := have[line]; found {
			last := &list[len(list)-1]
			last.actions = append(last.actions, line)
			delete(rest, line)
		}
	}
	list = append(list, group{"Others (C)", slices.Sorted(maps.Keys(rest))})
	return slices.DeleteFunc(list, func(g group) bool { return len(g.actions) == 0 })
}

// entry is the line of an action.
func entry(a *action, op vpc.Action) string {
	var p parameters
	if a.input != nil {
		p.of(a.name, a.input, op.Input, "")
	}
	s := "- **" + a.name + "**"
	if op.Input.Name() == "" { // made from a list in package vpc
		s += ", lists nothing"
	}
	if len(p.taken) > 0 {
		s += ": " + strings.Join(p.taken, ", ")
	}
	s += "."
	if len(p.ignored) > 0 {
		s += " *Ignored:* " + strings.Join(p.ignored, ", ") + "."
	}
	if len(p.refused) > 0 {
		s += " *Refused:* " + strings.Join(p.refused, ", ") + "."
	}
	return s + "\n"
}

// parameters are those of an action, by their names in AWS's model.
type parameters struct{ taken, ignored, refused []string }

// of sorts the members of s, which typ is to understand. Only what differs within a
// structure is told of it.
func (p *parameters) of(action string, s *shape, typ reflect.Type, path string) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice && s.kind == kindList {
		if typ.Kind() == reflect.Slice {
			s = s.elem
		}
		typ = typ.Elem()
	}
	if s.kind != kindStructure {
		return
	}
	for i := range s.members {
		m := &s.members[i]
		at := join(path, m.name)
		f := fieldOf(typ, m.name)
		switch {
		case f != nil:
			if path == "" && m.name != "DryRun" {
				p.taken = append(p.taken, m.name)
			}
			p.of(action, m.shape, typ.FieldByIndex(f).Type, at)
		case ignored("*", at):
		case ignored(action, at):
			p.ignored = append(p.ignored, at)
		default:
			p.refused = append(p.refused, at)
		}
	}
}
