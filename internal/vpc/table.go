package vpc

import (
	"encoding/json"
	"iter"
	"maps"
	"reflect"
	"slices"
)

// Table is a map that is copied when first written after a Clone, so that a copy
// of a model costs a few words and models share the objects that did not change.
// Objects in it are never changed in place: Put a changed copy.
// The zero Table is empty and ready. A Table is not safe for concurrent writes.
type Table[K ~string, V any] struct {
	m      map[K]*V
	shared bool
	region string // in a view (Model.In) the Region of which objects are seen, "" for all
}

// Get returns the object, or nil.
func (t *Table[K, V]) Get(k K) *V {
	if v := t.m[k]; v != nil && t.sees(v) {
		return v
	}
	return nil
}

// Len is the number of objects.
func (t *Table[K, V]) Len() int {
	if t.region == "" {
		return len(t.m)
	}
	n := 0
	for range t.each() {
		n++
	}
	return n
}

// sees tells whether an object is in view.
func (t *Table[K, V]) sees(v *V) bool { return t.region == "" || metaOf(v).Region == t.region }

// each ranges over the objects in no order.
func (t *Table[K, V]) each() iter.Seq2[K, *V] {
	return func(yield func(K, *V) bool) {
		for k, v := range t.m {
			if t.sees(v) && !yield(k, v) {
				return
			}
		}
	}
}

// Put stores v, replacing what was there.
func (t *Table[K, V]) Put(k K, v *V) { t.own(); t.m[k] = v }

// Delete removes k if it is there.
func (t *Table[K, V]) Delete(k K) {
	if t.Get(k) != nil {
		t.own()
		delete(t.m, k)
	}
}

// All ranges over the objects ordered by key: what is listed, compiled or
// compared comes out the same every time.
func (t *Table[K, V]) All() iter.Seq2[K, *V] {
	return func(yield func(K, *V) bool) {
		keys := make([]K, 0, len(t.m))
		for k := range t.each() {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			if v := t.m[k]; v != nil && !yield(k, v) {
				return
			}
		}
	}
}

func (t *Table[K, V]) own() {
	if t.m == nil {
		t.m = map[K]*V{}
	} else if t.shared {
		t.m = maps.Clone(t.m)
	}
	t.shared = false
}

// Same tells whether t is a clone of old, or the other way round, to which nothing
// was written. It may be false for tables that hold the same objects.
func (t *Table[K, V]) Same(old *Table[K, V]) bool {
	return reflect.ValueOf(t.m).UnsafePointer() == reflect.ValueOf(old.m).UnsafePointer()
}

// Diff calls changed for every key whose object differs between old and t, in the
// order of the keys, those removed last: was is nil for a new object, is nil for a
// removed one.
func (t *Table[K, V]) Diff(old *Table[K, V], changed func(k K, was, is *V)) {
	if t.Same(old) {
		return
	}
	var put, gone []K // sorting them all would cost more than the comparison
	for k, v := range t.m {
		if old.m[k] != v {
			put = append(put, k)
		}
	}
	for k := range old.m {
		if t.m[k] == nil {
			gone = append(gone, k)
		}
	}
	slices.Sort(put)
	slices.Sort(gone)
	for _, k := range put {
		changed(k, old.m[k], t.m[k])
	}
	for _, k := range gone {
		changed(k, old.m[k], nil)
	}
}

// MarshalJSON and UnmarshalJSON treat a Table as a JSON object.
func (t Table[K, V]) MarshalJSON() ([]byte, error) { return json.Marshal(t.m) }

// UnmarshalJSON replaces the table's contents.
func (t *Table[K, V]) UnmarshalJSON(b []byte) error {
	t.m, t.shared = nil, false
	return json.Unmarshal(b, &t.m)
}
