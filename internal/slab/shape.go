package slab

import (
	"fmt"
	"hash/fnv"
	"io"
	"reflect"
)

// pointerFree refuses types whose values mean nothing in another process. The
// error names the field.
func pointerFree(t reflect.Type) error {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return nil
	case reflect.Array:
		return pointerFree(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if err := pointerFree(f.Type); err != nil {
				return fmt.Errorf("field %s: %w", f.Name, err)
			}
		}
		return nil
	}
	return fmt.Errorf("type %s holds a pointer", t)
}

// shape is a fingerprint of T: its fields' names, offsets and types all the way
// down, so that two programs agree on it only if they agree on every byte.
func shape[T any]() uint64 {
	h := fnv.New64a()
	writeShape(h, reflect.TypeFor[T]())
	return h.Sum64()
}

func writeShape(w io.Writer, t reflect.Type) {
	switch t.Kind() {
	case reflect.Array:
		fmt.Fprintf(w, "[%d]", t.Len())
		writeShape(w, t.Elem())
	case reflect.Struct:
		fmt.Fprintf(w, "{%d", t.Size())
		for i := range t.NumField() {
			f := t.Field(i)
			fmt.Fprintf(w, ";%s@%d:", f.Name, f.Offset)
			writeShape(w, f.Type)
		}
		fmt.Fprint(w, "}")
	default:
		fmt.Fprint(w, t.Kind())
	}
}
