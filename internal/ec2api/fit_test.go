package ec2api

import (
	"reflect"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// own are vpcemu's actions, which AWS does not have.
var own = map[string]bool{
	"CreateInternetHost": true, "DeleteInternetHost": true, "DescribeInternetHosts": true, "ModifyInternetHost": true,
	"StartInternetHost": true, "StopInternetHost": true,
	"CreateFailure": true, "DeleteFailure": true, "DescribeFailures": true, "ModifyImpairment": true, "DescribeImpairments": true,
}

func TestTable_HasEveryActionOfTheModel(t *testing.T) {
	for _, op := range vpc.Actions() {
		a := theTable().actions[op.Name]
		switch {
		case own[op.Name] && a != nil:
			t.Errorf("%s is AWS's, too", op.Name)
		case !own[op.Name] && a == nil:
			t.Errorf("AWS has no action %s: add it to own, if it is vpcemu's", op.Name)
		case a != nil && !a.shapes:
			t.Errorf("%s has no shapes in model.txt: run go generate", op.Name)
		}
	}
}

// What a member of AWS's model is filled from must be of its kind, or decoding and encoding
// would fail when a request comes.
func TestTypes_FitTheTable(t *testing.T) {
	for _, op := range vpc.Actions() {
		a := theTable().actions[op.Name]
		if a == nil || !a.shapes {
			continue
		}
		if a.input != nil {
			fit(t, a.input, op.Input, op.Name+"Input")
		}
		if a.output != nil {
			fit(t, a.output, op.Output, op.Name+"Output")
		}
	}
}

func fit(t *testing.T, s *shape, typ reflect.Type, path string) {
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	bad := func(want string) { t.Errorf("%s is of type %s: the API has %s there", path, typ, want) }
	switch s.kind {
	case kindStructure:
		if typ.Kind() != reflect.Struct || typ == timeType {
			bad("a structure")
			return
		}
		for name, f := range fieldsOf(typ) {
			if m := s.member(name); m != nil {
				fit(t, m.shape, typ.FieldByIndex(f.index).Type, path+"."+name)
			}
		}
	case kindList:
		if typ.Kind() != reflect.Slice {
			bad("a list")
			return
		}
		fit(t, s.elem, typ.Elem(), path)
	case kindTimestamp:
		if typ != timeType && typ.Kind() != reflect.String {
			bad("a time")
		}
	case kindBlob:
		if typ.Kind() != reflect.String && typ != reflect.TypeFor[[]byte]() {
			bad("binary data")
		}
	case kindBoolean:
		if typ.Kind() != reflect.Bool {
			bad("a boolean")
		}
	case kindInteger:
		if k := typ.Kind(); k < reflect.Int || k > reflect.Int64 {
			bad("a whole number")
		}
	case kindFloat:
		if typ.Kind() != reflect.Float64 {
			bad("a number")
		}
	default:
		if typ.Kind() != reflect.String && !typ.Implements(textType) {
			bad("text")
		}
	}
}

// Members of vpc's types that AWS does not have are lost on the wire.
func TestTypes_NothingOfAWSsIsLost(t *testing.T) {
	vpcemus := map[string]bool{"LinkType": true, "Devices": true, "Limits": true, "Rootfs": true}
	for _, op := range vpc.Actions() {
		a := theTable().actions[op.Name]
		if a == nil || !a.shapes {
			continue
		}
		if a.output == nil && op.Output.NumField() > 0 {
			t.Errorf("%s answers nothing on AWS", op.Name)
		} else if a.output != nil {
			for _, path := range unknown(a.output, op.Output, op.Name, map[reflect.Type]bool{}) {
				if !vpcemus[path[strings.LastIndex(path, ".")+1:]] {
					t.Errorf("%s is not in AWS's answer", path)
				}
			}
		}
	}
}

func unknown(s *shape, typ reflect.Type, path string, seen map[reflect.Type]bool) (lost []string) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice && s.kind == kindList {
		if typ.Kind() == reflect.Slice {
			s = s.elem
		}
		typ = typ.Elem()
	}
	if s.kind != kindStructure || seen[typ] || typ.Kind() != reflect.Struct {
		return nil
	}
	seen[typ] = true
	for name, f := range fieldsOf(typ) {
		if m := s.member(name); m == nil {
			lost = append(lost, path+"."+name)
		} else {
			lost = append(lost, unknown(m.shape, typ.FieldByIndex(f.index).Type, path+"."+name, seen)...)
		}
	}
	return lost
}
