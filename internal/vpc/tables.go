package vpc

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
)

// AnyTable is what a Table of any type offers to code that treats all alike: the
// store, which keeps every table, and Clone.
type AnyTable interface {
	// Changes calls put for each object that is new or differs from the one in
	// old, which must be a table of the same type, and del for each one gone.
	Changes(old AnyTable, put func(key string, object any), del func(key string))
	// Decode adds one object from its JSON form.
	Decode(key string, b []byte) error
	Len() int
	share()
	look(region string)
	metas(yield func(key string, m *Meta))
}

// Tables returns the model's tables by field name. A table added to Model is
// found here, stored and cloned without further ado.
func (m *Model) Tables() map[string]AnyTable {
	found := make(map[string]AnyTable, len(tableFields))
	v := reflect.ValueOf(m).Elem()
	for _, i := range tableFields {
		found[v.Type().Field(i).Name] = v.Field(i).Addr().Interface().(AnyTable)
	}
	return found
}

// Clone returns a copy that shares every object with m.
func (m *Model) Clone() Model {
	m.Publish()
	return *m
}

// Publish readies a model that is complete for several goroutines: Clone writes
// nothing to it from then on, so that it may be copied and read at the same time.
func (m *Model) Publish() {
	v := reflect.ValueOf(m).Elem()
	for _, i := range tableFields {
		v.Field(i).Addr().Interface().(AnyTable).share()
	}
}

var tableFields = func() (fields []int) {
	anyTable := reflect.TypeFor[AnyTable]()
	t := reflect.TypeFor[Model]()
	for i := range t.NumField() {
		if reflect.PointerTo(t.Field(i).Type).Implements(anyTable) {
			fields = append(fields, i)
		}
	}
	return fields
}()

// labWide are the tables of what is in no Region: the Internet is one, and links are
// found by whoever asks.
var labWide = []string{"Incarnations", "Regions", "InternetHosts", "Impairments", "Failures", "ClientTokens"}

var regionalFields = func() (fields []int) {
	for _, i := range tableFields {
		if !slices.Contains(labWide, reflect.TypeFor[Model]().Field(i).Name) {
			fields = append(fields, i)
		}
	}
	return fields
}()

// look has the model show the objects of one Region, or with "" all.
func (m *Model) look(region string) {
	m.view = region
	if region == m.Region && m.Regions.Len() == 0 {
		region = "" // there is nothing else to see, and this is faster
	}
	v := reflect.ValueOf(m).Elem()
	for _, i := range regionalFields {
		v.Field(i).Addr().Interface().(AnyTable).look(region)
	}
}

func (t *Table[K, V]) look(region string) { t.region = region }

func (t *Table[K, V]) metas(yield func(key string, m *Meta)) {
	for k, v := range t.All() {
		yield(string(k), metaOf(v))
	}
}

// WithoutTables returns the model's own settings alone.
func (m *Model) WithoutTables() Model {
	c := *m
	v := reflect.ValueOf(&c).Elem()
	for _, i := range tableFields {
		v.Field(i).SetZero()
	}
	return c
}

// share marks the map as used by more than one table, so that the next write
// copies it. It writes only where needed: a published model is cloned and read by
// several goroutines at once.
func (t *Table[K, V]) share() {
	if !t.shared {
		t.shared = true
	}
}

// Changes implements AnyTable.
func (t *Table[K, V]) Changes(old AnyTable, put func(string, any), del func(string)) {
	t.Diff(old.(*Table[K, V]), func(k K, _, is *V) {
		if is == nil {
			del(string(k))
		} else {
			put(string(k), is)
		}
	})
}

// Decode implements AnyTable.
func (t *Table[K, V]) Decode(key string, b []byte) error {
	v := new(V)
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%T %s: %w", v, key, err)
	}
	t.Put(K(key), v)
	return nil
}
