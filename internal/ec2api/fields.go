package ec2api

import (
	"reflect"
	"strings"
	"sync"
)

// field is one of a Go type, by the name that it has in AWS's model.
type field struct {
	name  string
	index []int
	omit  bool // where it is zero
}

// fieldsOf are the exported fields of a structure, those of embedded ones among them.
func fieldsOf(t reflect.Type) map[string]*field {
	if known, ok := fieldCache.Load(t); ok {
		return known.(map[string]*field)
	}
	fields := map[string]*field{}
	for _, f := range reflect.VisibleFields(t) {
		if !f.IsExported() || f.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		fields[name] = &field{name, f.Index, strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")}
	}
	fieldCache.Store(t, fields)
	return fields
}

var fieldCache sync.Map // of reflect.Type to map[string]*field

// fieldOf is the index of a field by its name in AWS's model, nil if there is none.
func fieldOf(t reflect.Type, name string) []int {
	if f := fieldsOf(t)[name]; f != nil {
		return f.index
	}
	return nil
}
