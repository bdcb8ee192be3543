package awscli

import (
	"reflect"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// kind says how many arguments a flag takes and how its value is written.
type kind uint8

const (
	scalar       kind = iota // one text or number
	boolean                  // none: --dry-run, --no-dry-run
	booleanValue             // AttributeBooleanValue: none, or true, or Value=true
	scalars                  // one or more, separated by spaces
	structure                // one, in shorthand or JSON
	structures               // one or more, each in shorthand, or all as JSON
)

// flag is one flag of an action.
type flag struct {
	name   string
	kind   kind
	typ    reflect.Type // of the member; of what a customised flag takes
	member string       // member of the Input that it sets, by its wire name
	off    bool         // sets false: --no-dry-run
	hidden bool         // works, but another flag is the usual way
	fold   fold         // of a customised flag, instead of member
	about  string       // of a customised flag, for the help
}

var (
	textType = reflect.TypeFor[string]()
	boolType = reflect.TypeFor[bool]()
	blobType = reflect.TypeFor[[]byte]()
)

// flagsOf derives the flags of an action from its Input, in the order of its
// members, those of the AWS CLI's customisations last.
func flagsOf(a vpc.Action) []flag {
	var flags []flag
	for i := range a.Input.NumField() {
		f := a.Input.Field(i)
		if !f.IsExported() {
			continue
		}
		member := wireName(f)
		on := flag{name: kebab(member), kind: kindOf(f.Type), typ: f.Type, member: member}
		flags = append(flags, on)
		if on.kind == boolean || on.kind == booleanValue {
			flags = append(flags, flag{name: offName(on), kind: boolean, typ: f.Type, member: member, off: true})
		}
	}
	return customise(a, flags)
}

// offName is the flag that sets the opposite. Two have names of their own.
func offName(on flag) string {
	switch {
	case on.name == "egress":
		return "ingress"
	case on.name == "disable-api-termination" && on.kind == boolean:
		return "enable-api-termination"
	}
	return "no-" + on.name
}

// wireName is the name of a member in the API and in JSON.
func wireName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "" {
		return f.Name
	}
	return name
}

func kindOf(t reflect.Type) kind {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == blobType, isText(t):
		return scalar
	case t.Kind() == reflect.Bool:
		return boolean
	case t.Kind() == reflect.Slice && isStructure(t.Elem()):
		return structures
	case t.Kind() == reflect.Slice:
		return scalars
	case isStructure(t) && onlyValue(t, reflect.Bool):
		return booleanValue
	case isStructure(t):
		return structure
	}
	return scalar
}

func isStructure(t reflect.Type) bool { return t.Kind() == reflect.Struct && !isText(t) }

// onlyValue reports whether the structure wraps one Value of the kind.
func onlyValue(t reflect.Type, k reflect.Kind) bool {
	if t.NumField() != 1 || t.Field(0).Name != "Value" {
		return false
	}
	v := t.Field(0).Type
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return v.Kind() == k
}

// isSeveral reports whether the flag takes more than one argument.
func (f flag) isSeveral() bool { return f.kind == scalars || f.kind == structures }

// Flags returns the flags of an action, with their dashes, for completion: first
// its own, then those of all actions.
func Flags(a vpc.Action) []string {
	var names []string
	for _, f := range flagsOf(a) {
		if !f.hidden {
			names = append(names, "--"+f.name)
		}
	}
	return append(names, GlobalFlags()...)
}

// GlobalFlags returns the flags of every action, those of the AWS CLI that have
// no effect here left out.
func GlobalFlags() []string {
	var names []string
	for _, g := range globals {
		if g.about != "" {
			names = append(names, "--"+g.name)
		}
	}
	return names
}

func findFlag(flags []flag, name string) (flag, bool) {
	for _, f := range flags {
		if f.name == name {
			return f, true
		}
	}
	return flag{}, false
}
