package ec2api

import (
	"encoding/base64"
	"math"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// decode fills a new Input of the operation from a form. Errors have AWS's codes:
// UnknownParameter, MissingParameter, InvalidParameterValue, MalformedQueryString, and
// UnsupportedOperation for what AWS has and a lab has not.
func decode(a *action, op vpc.Action, form url.Values) (any, error) {
	root, err := tree(form)
	if err != nil {
		return nil, err
	}
	in := reflect.New(op.Input)
	d := decoder{action: a.name}
	if a.input == nil {
		if len(root.parts) > 0 {
			return nil, errUnknown(root.leaf(""))
		}
		return in.Interface(), nil
	}
	if err := d.structure(a.input, root, in.Elem(), "", ""); err != nil {
		return nil, err
	}
	for i := range a.input.members {
		if m := &a.input.members[i]; m.required && root.parts[m.query] == nil && !ownRefusal[a.name+"."+m.query] {
			return nil, errf("MissingParameter", "The request must contain the parameter %s", lowerFirst(m.query))
		}
	}
	return in.Interface(), nil
}

// ownRefusal are required parameters for which, when they are missing, the operation has an error of
// its own, or another name than the request has.
var ownRefusal = map[string]bool{
	"CreateTags.ResourceId": true, "DeleteTags.ResourceId": true, // resourceIdSet
	"StartInstances.InstanceId": true, "StopInstances.InstanceId": true, "RebootInstances.InstanceId": true, "TerminateInstances.InstanceId": true,
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

type decoder struct {
	action string
}

// value fills v. path is the parameter's name on the wire, member the same by the names
// of AWS's model, without numbers.
func (d *decoder) value(s *shape, n *node, v reflect.Value, path, member string) error {
	if v.Kind() == reflect.Pointer {
		p := reflect.New(v.Type().Elem())
		if err := d.value(s, n, p.Elem(), path, member); err != nil {
			return err
		}
		v.Set(p)
		return nil
	}
	switch s.kind {
	case kindStructure:
		if n.set {
			return errf("InvalidParameterValue", "The parameter %s is a structure: a value belongs to one of its members.", shown(path))
		}
		return d.structure(s, n, v, path, member)
	case kindList:
		if n.set {
			// An empty list, as some clients send it.
			if n.value == "" && len(n.parts) == 0 {
				return nil
			}
			return errf("InvalidParameterValue", "The parameter %s is a list: its members are %s.1 and so on.", shown(path), shown(path))
		}
		return d.list(s, n, v, path, member)
	}
	if len(n.parts) > 0 {
		return errUnknown(n.leaf(path))
	}
	return scalar(s.kind, n.value, v, path)
}

func (d *decoder) structure(s *shape, n *node, v reflect.Value, path, member string) error {
	known := 0
	for i := range s.members {
		m := &s.members[i]
		part := n.parts[m.query]
		if part == nil {
			continue
		}
		known++
		at, name := join(path, m.query), join(member, m.name)
		if f := fieldOf(v.Type(), m.name); f != nil {
			if err := d.value(m.shape, part, v.FieldByIndex(f), at, name); err != nil {
				return err
			}
			continue
		}
		if err := d.leftOut(m.shape, part, at, name); err != nil {
			return err
		}
	}
	if known == len(n.parts) {
		return nil
	}
	for _, name := range sortedKeys(n.parts) {
		if part, _ := s.part(name); part == nil {
			return errUnknown(n.parts[name].leaf(join(path, name)))
		}
	}
	return nil
}

func (d *decoder) list(s *shape, n *node, v reflect.Value, path, member string) error {
	nodes, err := n.numbered(path)
	if err != nil {
		return err
	}
	list := reflect.MakeSlice(v.Type(), len(nodes), len(nodes))
	for i, one := range nodes {
		if err := d.value(s.elem, one, list.Index(i), path+"."+strconv.Itoa(i+1), member); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

// leftOut decides on a parameter that a lab knows nothing of: nothing is lost where it
// says what is so anyway, or what a lab may ignore; else it is refused.
func (d *decoder) leftOut(s *shape, n *node, path, member string) error {
	ignored := ignored(d.action, member)
	switch {
	case s.kind == kindStructure || s.kind == kindList:
		for _, name := range sortedKeys(n.parts) {
			part, below := s.part(name)
			if part == nil {
				return errUnknown(n.parts[name].leaf(join(path, name)))
			}
			if err := d.leftOut(part, n.parts[name], join(path, name), join(member, below)); err != nil {
				return err
			}
		}
		return nil
	case len(n.parts) > 0:
		return errUnknown(n.leaf(path))
	case ignored || n.value == "" || s.kind == kindBoolean && n.value == "false" || s.kind == kindInteger && n.value == "0":
		return nil
	}
	return errf("UnsupportedOperation", "The parameter %s is not supported by vpcemu.", shown(path))
}

// part is the shape of a parameter's part, and its name in AWS's model, "" for a number.
func (s *shape) part(query string) (*shape, string) {
	if s.kind == kindList {
		if _, err := strconv.Atoi(query); err != nil {
			return nil, ""
		}
		return s.elem, ""
	}
	for i := range s.members {
		if s.members[i].query == query {
			return s.members[i].shape, s.members[i].name
		}
	}
	return nil, ""
}

func scalar(k kind, text string, v reflect.Value, path string) error {
	bad := func(want string) error {
		return errf("InvalidParameterValue", "Invalid value '%s' for %s. %s", shown(text), shown(path), want)
	}
	switch k {
	case kindBoolean:
		switch strings.ToLower(text) {
		case "true", "1":
			v.SetBool(true)
		case "false", "0":
			v.SetBool(false)
		default:
			return bad("It must be true or false.")
		}
	case kindInteger:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return bad("It must be a whole number.")
		}
		v.SetInt(n)
	case kindFloat:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return bad("It must be a number.")
		}
		v.SetFloat(f)
	case kindTimestamp:
		if v.Type() != timeType { // the operation reads it
			v.SetString(text)
			return nil
		}
		at, err := time.Parse(time.RFC3339, text) // takes fractions of a second, too
		if err != nil {
			return bad("It must be a time such as 2026-01-02T03:04:05Z.")
		}
		v.Set(reflect.ValueOf(at.UTC()))
	case kindBlob:
		if v.Kind() == reflect.String { // the operation decodes it
			v.SetString(text)
			return nil
		}
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return bad("It must be in base64.")
		}
		v.SetBytes(b)
	default:
		v.SetString(text)
	}
	return nil
}
