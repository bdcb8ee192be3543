package awscli

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// converter fills Go values from plain data. Like the AWS CLI for shorthand, it
// reads numbers and booleans from text and takes a single value for a list.
type converter struct {
	rawBinary bool // text for bytes is the bytes, not base64
}

var unmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

// isText reports whether values of the type are read from text by themselves.
func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(unmarshaler) }

// structureOf is the structure behind a type, nil if there is none: of a list
// the structure of its members.
func structureOf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if isStructure(t) {
		return t
	}
	return nil
}

// member sets a member of the Input. named: the member is part of the place that
// errors tell.
func (c converter) member(in reflect.Value, member string, x any, named bool) error {
	v := field(in, member)
	if !v.IsValid() {
		return unknownKey(in.Type(), member, "")
	}
	at := ""
	if named {
		at = member
	}
	return c.assign(v, x, at)
}

// field is the field of a structure by its wire name.
func field(v reflect.Value, name string) reflect.Value {
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && wireName(f) == name {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}

func (c converter) assign(v reflect.Value, x any, at string) error {
	switch {
	case x == nil: // JSON null
		return nil
	case v.Kind() == reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		if err := c.assign(p.Elem(), x, at); err != nil {
			return err
		}
		v.Set(p)
		return nil
	case v.Type() == blobType:
		return c.blob(v, x, at)
	case isText(v.Type()):
		s, ok := x.(string)
		if !ok {
			return wrongType(at, "a text", x)
		}
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
			return place(at, err)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Slice:
		return c.list(v, x, at)
	case reflect.Struct:
		return c.structure(v, x, at)
	case reflect.Bool:
		return c.boolean(v, x, at)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return c.integer(v, x, at)
	case reflect.String:
		switch s := x.(type) {
		case string:
			v.SetString(s)
			return nil
		case []byte:
			v.SetString(string(s))
			return nil
		}
		return wrongType(at, "one text", x)
	}
	return place(at, fmt.Errorf("a value of type %s cannot be given on the command line", v.Type()))
}

func (c converter) list(v reflect.Value, x any, at string) error {
	items, ok := x.([]any)
	if !ok {
		items = []any{x}
	}
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		where := at
		if len(items) > 1 || structureOf(v.Type()) != nil {
			where = fmt.Sprintf("%s[%d]", at, i)
		}
		if err := c.assign(list.Index(i), item, where); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

func (c converter) structure(v reflect.Value, x any, at string) error {
	m, ok := x.(map[string]any)
	if !ok {
		return wrongType(at, "a structure ("+shorthandForm(v.Type(), 0)+")", x)
	}
	for _, key := range sortedKeys(m) {
		f := field(v, key)
		if !f.IsValid() {
			return unknownKey(v.Type(), key, at)
		}
		if err := c.assign(f, m[key], strings.TrimPrefix(at+"."+key, ".")); err != nil {
			return err
		}
	}
	return nil
}

func (c converter) boolean(v reflect.Value, x any, at string) error {
	switch b := x.(type) {
	case bool:
		v.SetBool(b)
		return nil
	case string:
		if strings.EqualFold(b, "true") || strings.EqualFold(b, "false") {
			v.SetBool(strings.EqualFold(b, "true"))
			return nil
		}
	}
	return wrongType(at, "true or false", x)
}

func (c converter) integer(v reflect.Value, x any, at string) error {
	text := ""
	switch n := x.(type) {
	case json.Number:
		text = n.String()
	case string:
		text = strings.TrimSpace(n)
	default:
		return wrongType(at, "a whole number", x)
	}
	n, err := strconv.ParseInt(text, 10, v.Type().Bits())
	if errors.Is(err, strconv.ErrRange) {
		return place(at, fmt.Errorf("%s is too large a number", text))
	}
	if err != nil {
		return wrongType(at, "a whole number", x)
	}
	v.SetInt(n)
	return nil
}

// blob sets bytes. As text they are in base64, as in the AWS CLI of version 2.
func (c converter) blob(v reflect.Value, x any, at string) error {
	switch b := x.(type) {
	case []byte:
		v.SetBytes(b)
		return nil
	case string:
		if c.rawBinary {
			v.SetBytes([]byte(b))
			return nil
		}
		raw, err := base64.StdEncoding.DecodeString(b)
		if err != nil {
			return place(at, errors.New("binary data is given in base64, or as fileb://FILE, or as it is with --cli-binary-format raw-in-base64-out"))
		}
		v.SetBytes(raw)
		return nil
	}
	return wrongType(at, "binary data", x)
}

// place puts the place within a parameter in front of what is wrong there.
func place(at string, err error) error {
	if at == "" {
		return err
	}
	return fmt.Errorf("%s: %w", at, err)
}

func wrongType(at, want string, x any) error {
	got := ""
	switch x := x.(type) {
	case string:
		got = strconv.Quote(x)
	case []any:
		got = "a list"
		if want == "one text" {
			got += "; put a value that holds a comma between quotes"
		}
	case map[string]any:
		got = "a structure"
	case []byte:
		got = "binary data"
	default:
		got = fmt.Sprint(x)
	}
	return place(at, fmt.Errorf("%s expected, got %s", want, got))
}

func unknownKey(t reflect.Type, key, at string) error {
	var keys []string
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() {
			keys = append(keys, wireName(f))
		}
	}
	return place(at, fmt.Errorf("unknown key %q%s; the keys are %s", key, didYouMean(key, keys), strings.Join(keys, ", ")))
}
