package vpc

import (
	"encoding/json"
	"iter"
	"maps"
	"slices"
)

// Table is a map that is copied when first written after a Clone, so that a copy
// of a model costs a few words and models share the objects that did not change.
// Objects in it are never changed in place: Put a changed copy.
// The zero Table is empty and ready. A Table is not safe for concurrent writes.
type Table[K ~string, V any] struct {
	m      map[K]*V
	shared bool
}

// Get returns the object, or nil.
func (t *Table[K, V]) Get(k K) *V { return t.m[k] }

// Len is the number of objects.
func (t *Table[K, V]) Len() int { return len(t.m) }

// Put stores v, replacing what was there.
func (t *Table[K, V]) Put(k K, v *V) { t.own(); t.m[k] = v }

// Delete removes k if it is there.
func (t *Table[K, V]) Delete(k K) {
	if _, ok := t.m[k]; ok {
		t.own()
		delete(t.m, k)
	}
}

// All ranges over the objects ordered by key: what is listed, compiled or
// compared comes out the same every time.
func (t *Table[K, V]) All() iter.Seq2[K, *V] {
	return func(yield func(K, *V) bool) {
		for _, k := range slices.Sorted(maps.Keys(t.m)) {
			if !yield(k, t.m[k]) {
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

// Diff calls changed for every key whose object differs between old and t: was
// is nil for a new object, is nil for a removed one.
func (t *Table[K, V]) Diff(old *Table[K, V], changed func(k K, was, is *V)) {
	for k, v := range t.All() {
		if o := old.m[k]; o != v {
			changed(k, o, v)
		}
	}
	for k, o := range old.All() {
		if t.m[k] == nil {
			changed(k, o, nil)
		}
	}
}

// MarshalJSON and UnmarshalJSON treat a Table as a JSON object.
func (t Table[K, V]) MarshalJSON() ([]byte, error) { return json.Marshal(t.m) }

// UnmarshalJSON replaces the table's contents.
func (t *Table[K, V]) UnmarshalJSON(b []byte) error {
	t.m, t.shared = nil, false
	return json.Unmarshal(b, &t.m)
}
