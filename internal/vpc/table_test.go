package vpc

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTable_CloneIsUnaffectedByWrites(t *testing.T) {
	m := &Model{Lab: "a"}
	m.Vpcs.Put("vpc-1", &Vpc{ID: "vpc-1"})
	m.Subnets.Put("subnet-1", &Subnet{ID: "subnet-1"})
	c := m.Clone()
	c.Vpcs.Put("vpc-2", &Vpc{ID: "vpc-2"})
	c.Subnets.Delete("subnet-1")
	m.Vpcs.Put("vpc-3", &Vpc{ID: "vpc-3"})
	if m.Vpcs.Get("vpc-2") != nil || m.Subnets.Get("subnet-1") == nil || c.Vpcs.Get("vpc-3") != nil {
		t.Fatal("a write to one model shows in the other")
	}
	if m.Vpcs.Get("vpc-1") != c.Vpcs.Get("vpc-1") {
		t.Fatal("an object that did not change was copied")
	}
}

// One goroutine clones what others copy: a Clone that wrote to it would be a data race.
func TestPublish_CloneWritesNothingAfterIt(t *testing.T) {
	m := &Model{Lab: "a"}
	m.Vpcs.Put("vpc-1", &Vpc{ID: "vpc-1"})
	m.Publish()
	was := *m
	c := m.Clone()
	c.Vpcs.Delete("vpc-1")
	if !reflect.DeepEqual(*m, was) || m.Vpcs.shared != was.Vpcs.shared || m.Vpcs.Len() != 1 {
		t.Errorf("%+v\nwas\n%+v", *m, was)
	}
}

func TestTable_DiffTellsNewChangedAndGone(t *testing.T) {
	var was, is Table[VpcID, Vpc]
	was.Put("kept", &Vpc{ID: "kept"})
	was.Put("gone", &Vpc{})
	was.Put("changed", &Vpc{State: "pending"})
	is = was
	was.share()
	is.share()
	is.Delete("gone")
	is.Put("changed", &Vpc{State: "available"})
	is.Put("new", &Vpc{})
	got := map[string]string{}
	is.Changes(&was, func(k string, _ any) { got[k] = "put" }, func(k string) { got[k] = "del" })
	if len(got) != 3 || got["gone"] != "del" || got["changed"] != "put" || got["new"] != "put" {
		t.Fatalf("got %v", got)
	}
}

// The oracle looks at every key that there is.
func TestTable_DiffAgainstOracle(t *testing.T) {
	keys := []VpcID{"a", "b", "c", "d", "e"}
	rapid.Check(t, func(t *rapid.T) {
		var was Model
		write := func(m *Model, n int) {
			for range n {
				k := rapid.SampledFrom(keys).Draw(t, "key")
				if rapid.Bool().Draw(t, "put") {
					m.Vpcs.Put(k, &Vpc{ID: k})
				} else {
					m.Vpcs.Delete(k)
				}
			}
		}
		write(&was, rapid.IntRange(0, 8).Draw(t, "before"))
		is := was.Clone()
		write(&is, rapid.IntRange(0, 4).Draw(t, "after"))
		var got, want []string
		is.Vpcs.Diff(&was.Vpcs, func(k VpcID, o, v *Vpc) { got = append(got, fmt.Sprintf("%s %p %p", k, o, v)) })
		for _, gone := range []bool{false, true} {
			for _, k := range keys {
				if o, v := was.Vpcs.Get(k), is.Vpcs.Get(k); o != v && gone == (v == nil) {
					want = append(want, fmt.Sprintf("%s %p %p", k, o, v))
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if is.Vpcs.Same(&was.Vpcs) && len(want) > 0 {
			t.Fatalf("the same, with %d differences", len(want))
		}
	})
	var m Model
	m.Vpcs.Put("a", &Vpc{})
	if c := m.Clone(); !c.Vpcs.Same(&m.Vpcs) {
		t.Error("a clone is not the same")
	}
}

func TestTables_FindsEveryTableAndSettingsAlone(t *testing.T) {
	m := &Model{Lab: "book", NextHandle: 7}
	for name, table := range m.Tables() {
		if name == "Incarnations" {
			continue
		}
		if err := table.Decode("x-1", []byte(`{}`)); err != nil || table.Len() != 1 {
			t.Fatalf("%s: decoded %d objects, error %v", name, table.Len(), err)
		}
	}
	s := m.WithoutTables()
	if s.Vpcs.Len() != 0 || s.NextHandle != 7 || m.Vpcs.Len() != 1 {
		t.Fatal("WithoutTables kept a table or changed the model")
	}
	if _, err := json.Marshal(s); err != nil {
		t.Fatal(err)
	}
}
