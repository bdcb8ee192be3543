package topology

import (
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// keySpec is one row of the table that the tags of File and of the objects make up.
type keySpec struct {
	field    []int
	goName   string
	owner    reflect.Type // the struct that declares the field
	names    []string     // the key, then its other spellings
	required bool
	loose    bool // numbers and the like are taken as text
	fallback string
	unset    string
	change   string
	ref      []string // maps
	words    []string
	enum     []string
	min, max *int
	pattern  *regexp.Regexp
	list     bool
	objects  bool
	value    reflect.Type // what a Value, a List or Objects holds
}

var specs sync.Map // reflect.Type -> []*keySpec

// keysOf returns the keys of a struct, those of Head last.
func keysOf(t reflect.Type) []*keySpec {
	if found, ok := specs.Load(t); ok {
		return found.([]*keySpec)
	}
	var own, head []*keySpec
	for _, f := range reflect.VisibleFields(t) {
		tag, ok := f.Tag.Lookup("key")
		if !ok || tag == "-" {
			continue
		}
		k := newKeySpec(f, tag)
		k.owner = t
		if len(f.Index) > 1 {
			k.owner = t.Field(f.Index[0]).Type
		}
		if k.owner == reflect.TypeFor[Head]() {
			head = append(head, k)
		} else {
			own = append(own, k)
		}
	}
	list := append(own, head...)
	specs.Store(t, list)
	return list
}

func newKeySpec(f reflect.StructField, tag string) *keySpec {
	name, required := strings.CutSuffix(tag, ",required")
	k := &keySpec{field: f.Index, goName: f.Name, names: strings.Split(name, "|"), required: required,
		loose: f.Tag.Get("loose") != "", fallback: f.Tag.Get("default"), unset: f.Tag.Get("unset"), change: f.Tag.Get("change"),
		ref: words(f.Tag.Get("ref")), words: words(f.Tag.Get("words")), enum: words(f.Tag.Get("enum")),
		min: limit(f.Tag.Get("min")), max: limit(f.Tag.Get("max"))}
	if p := f.Tag.Get("pattern"); p != "" {
		k.pattern = regexp.MustCompile(p)
	}
	switch inner := f.Type.Field(0).Type; {
	case f.Type.Implements(reflect.TypeFor[objectMap]()) || reflect.PointerTo(f.Type).Implements(reflect.TypeFor[objectMap]()):
		k.objects, k.value = true, inner.Elem().Elem()
	case inner.Kind() == reflect.Slice:
		k.list, k.value = true, inner.Elem().Field(0).Type
	default:
		k.value = inner
	}
	return k
}

func words(tag string) []string {
	if tag == "" {
		return nil
	}
	return strings.Split(tag, "|")
}

func limit(tag string) *int {
	n, err := strconv.Atoi(tag)
	if err != nil {
		return nil
	}
	return &n
}

// spellings are all the names by which the keys go.
func spellings(list []*keySpec) (all []string) {
	for _, k := range list {
		all = append(all, k.names...)
	}
	return all
}

func findKey(list []*keySpec, name string) *keySpec {
	i := slices.IndexFunc(list, func(k *keySpec) bool { return slices.Contains(k.names, name) })
	if i < 0 {
		return nil
	}
	return list[i]
}
