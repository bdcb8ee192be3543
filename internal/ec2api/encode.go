package ec2api

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/xml"
	"reflect"
	"strconv"
	"sync"
	"time"
)

// apiVersion is that of the API, and the end of its namespace.
const apiVersion = "2016-11-15"

const namespace = "http://ec2.amazonaws.com/doc/" + apiVersion + "/"

// encode writes the answer to an action: out is a pointer to its Output.
func encode(b *bytes.Buffer, a *action, out any, requestID string) {
	b.WriteString(xml.Header)
	b.WriteString("<" + a.name + `Response xmlns="` + namespace + `"><requestId>` + requestID + "</requestId>")
	if a.output == nil {
		b.WriteString("<return>true</return>")
	} else {
		v := reflect.ValueOf(out).Elem()
		encoderOf(a.output, v.Type())(b, v)
	}
	b.WriteString("</" + a.name + "Response>")
}

// encoder writes what is between the tags of an element.
type encoder func(b *bytes.Buffer, v reflect.Value)

type encoderKey struct {
	shape *shape
	typ   reflect.Type
}

var encoders sync.Map // of encoderKey to encoder

// encoderOf is the encoder of values of a type as a shape, made once.
func encoderOf(s *shape, t reflect.Type) encoder {
	key := encoderKey{s, t}
	if known, ok := encoders.Load(key); ok {
		return known.(encoder)
	}
	e := newEncoder(s, t)
	encoders.Store(key, e)
	return e
}

func newEncoder(s *shape, t reflect.Type) encoder {
	if t.Kind() == reflect.Pointer {
		inner := encoderOf(s, t.Elem())
		return func(b *bytes.Buffer, v reflect.Value) { inner(b, v.Elem()) }
	}
	switch s.kind {
	case kindStructure:
		return structureEncoder(s, t)
	case kindList:
		return listEncoder(s, t)
	case kindTimestamp:
		if t == timeType {
			return func(b *bytes.Buffer, v reflect.Value) {
				b.WriteString(v.Interface().(time.Time).UTC().Format(timeFormat))
			}
		}
	case kindBlob:
		if t.Kind() == reflect.Slice {
			return func(b *bytes.Buffer, v reflect.Value) { b.WriteString(base64.StdEncoding.EncodeToString(v.Bytes())) }
		}
	}
	return scalarEncoder(t)
}

const timeFormat = "2006-01-02T15:04:05.000Z"

var (
	timeType = reflect.TypeFor[time.Time]()
	textType = reflect.TypeFor[encoding.TextMarshaler]()
)

// structureEncoder writes the members that both the shape and the type have, in the
// shape's order. What is nil is left out, and what is zero where the type says so.
func structureEncoder(s *shape, t reflect.Type) encoder {
	type part struct {
		open, close string
		index       []int
		omit        bool
		encode      encoder
	}
	var parts []part
	fields := fieldsOf(t)
	for i := range s.members {
		m := &s.members[i]
		f := fields[m.name]
		if f == nil {
			continue
		}
		parts = append(parts, part{"<" + m.xml + ">", "</" + m.xml + ">", f.index, f.omit, encoderOf(m.shape, t.FieldByIndex(f.index).Type)})
	}
	return func(b *bytes.Buffer, v reflect.Value) {
		for i := range parts {
			p := &parts[i]
			f := v.FieldByIndex(p.index)
			if f.Kind() == reflect.Pointer && f.IsNil() || p.omit && isEmpty(f) {
				continue
			}
			b.WriteString(p.open)
			p.encode(b, f)
			b.WriteString(p.close)
		}
	}
}

// isEmpty is as encoding/json has it for omitempty, and zero for structures.
func isEmpty(v reflect.Value) bool {
	if v.Kind() == reflect.Slice {
		return v.Len() == 0
	}
	return v.IsZero()
}

func listEncoder(s *shape, t reflect.Type) encoder {
	inner := encoderOf(s.elem, t.Elem())
	open, end := "<"+s.item+">", "</"+s.item+">"
	return func(b *bytes.Buffer, v reflect.Value) {
		for i := range v.Len() {
			b.WriteString(open)
			inner(b, v.Index(i))
			b.WriteString(end)
		}
	}
}

func scalarEncoder(t reflect.Type) encoder {
	switch {
	case t.Implements(textType):
		return func(b *bytes.Buffer, v reflect.Value) {
			if text, err := v.Interface().(encoding.TextMarshaler).MarshalText(); err == nil {
				escape(b, string(text))
			}
		}
	case t.Kind() == reflect.Bool:
		return func(b *bytes.Buffer, v reflect.Value) { b.WriteString(strconv.FormatBool(v.Bool())) }
	case t.Kind() == reflect.Float64:
		return func(b *bytes.Buffer, v reflect.Value) { b.WriteString(strconv.FormatFloat(v.Float(), 'f', -1, 64)) }
	case v(t).CanInt():
		return func(b *bytes.Buffer, v reflect.Value) {
			b.Write(strconv.AppendInt(b.AvailableBuffer(), v.Int(), 10))
		}
	}
	return func(b *bytes.Buffer, v reflect.Value) { escape(b, v.String()) }
}

func v(t reflect.Type) reflect.Value { return reflect.Zero(t) }

// escape writes text as XML. Characters that XML 1.0 cannot have become U+FFFD, as no
// parser would take the whole answer otherwise.
func escape(b *bytes.Buffer, s string) {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '<' || c == '>' || c == '&' || c == '\'' || c == '"' {
			_ = xml.EscapeText(b, []byte(s)) // a Buffer takes all
			return
		}
	}
	b.WriteString(s)
}
