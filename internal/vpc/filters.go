package vpc

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Filter selects objects in Describe actions: those of which the named property
// has one of the values. Values are case-sensitive and may hold the wildcards *
// and ?, escaped by \. Filters of one request are joined by AND.
type Filter struct {
	Name   string
	Values []string
}

// maxFilterValues is AWS's limit of values in one request.
const maxFilterValues = 200

// filterSet names the filters of one Describe action and how an object answers
// each: with any number of values. tag:KEY, tag-key, tag-value (of any key; scripts use it everywhere,
// the model documents it for exclusions only) and owner-id are answered for every object that carries a Meta.
type filterSet[V any] map[string]func(m *Model, v *V) []string

// metadata gives generic code access to what every object carries.
func (m *Meta) metadata() *Meta { return m }

func metaOf(v any) *Meta {
	if o, ok := v.(interface{ metadata() *Meta }); ok {
		return o.metadata()
	}
	return &Meta{}
}

// check refuses unknown filter names and too many values.
func (s filterSet[V]) check(filters []Filter) error {
	n := 0
	for _, f := range filters {
		n += len(f.Values)
		if _, known := s[f.Name]; !known && !commonFilter(f.Name) {
			return errInvalid("The filter '%s' is invalid", f.Name)
		}
		if len(f.Values) == 0 {
			return errInvalid("The filter '%s' must have at least one value", f.Name)
		}
	}
	if n > maxFilterValues {
		return errorf("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", maxFilterValues)
	}
	return nil
}

// otherNames are spellings of filters that AWS takes, too (API Reference, DescribeSubnets and
// DescribeVpcs: "You can also use … as the filter name").
var otherNames = map[string]string{
	"availabilityZone": "availability-zone", "availabilityZoneId": "availability-zone-id", "cidr": "cidr-block", "cidrBlock": "cidr-block",
	"defaultForAz": "default-for-az", "isDefault": "is-default",
}

// plain gives filters the names that the set knows them by.
func (s filterSet[V]) plain(filters []Filter) []Filter {
	for i, f := range filters {
		other := otherNames[f.Name]
		if _, known := s[f.Name]; known || other == "" {
			continue
		}
		if _, known := s[other]; known {
			filters = slices.Clone(filters)
			filters[i].Name = other
		}
	}
	return filters
}

func commonFilter(name string) bool {
	return name == "tag-key" || name == "tag-value" || name == "owner-id" || strings.HasPrefix(name, "tag:")
}

// match tells whether v passes every filter.
func (s filterSet[V]) match(m *Model, filters []Filter, v *V) bool {
	for _, f := range filters {
		if !matchAny(f.Values, s.values(m, f.Name, v)) {
			return false
		}
	}
	return true
}

func (s filterSet[V]) values(m *Model, name string, v *V) []string {
	if answer, ok := s[name]; ok {
		return answer(m, v)
	}
	meta := metaOf(v)
	switch key, isTag := strings.CutPrefix(name, "tag:"); {
	case isTag:
		if value, ok := meta.Tags[key]; ok {
			return []string{value}
		}
	case name == "tag-key":
		keys := make([]string, 0, len(meta.Tags))
		for k := range meta.Tags {
			keys = append(keys, k)
		}
		return keys
	case name == "tag-value":
		return slices.Collect(maps.Values(meta.Tags))
	case name == "owner-id":
		return []string{meta.Account}
	}
	return nil
}

func matchAny(patterns, values []string) bool {
	for _, p := range patterns {
		for _, v := range values {
			if wildcard(p, v) {
				return true
			}
		}
	}
	return false
}

// wildcard matches s against a pattern of a filter. It goes back only to the
// last star, which suffices, so that its cost stays a product of the lengths.
func wildcard(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
			continue
		case p < len(pattern) && pattern[p] == '?':
			p, i = p+1, i+1
			continue
		case p+1 < len(pattern) && pattern[p] == '\\' && pattern[p+1] == s[i]:
			p, i = p+2, i+1
			continue
		case p < len(pattern) && pattern[p] != '\\' && pattern[p] == s[i]:
			p, i = p+1, i+1
			continue
		case star < 0:
			return false
		}
		mark++
		p, i = star+1, mark
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// Answers of filters.
func one[T ~string](s T) []string { return []string{string(s)} }
func boolText(b bool) []string    { return []string{strconv.FormatBool(b)} }
func intText(n int) []string      { return []string{strconv.Itoa(n)} }

// each collects the answers of the parts of an object.
func each[P any](parts []P, answer func(p *P) string) []string {
	list := make([]string, 0, len(parts))
	for i := range parts {
		if s := answer(&parts[i]); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// paging is the part of a Describe input that asks for pages.
type paging struct {
	max    *int
	token  string
	lo, hi int // documented range of MaxResults
}

// page cuts one page out of list, which is ordered by key, and returns the
// token for the next one. The token holds the last key and not a position, so
// that nothing is skipped when objects come and go between the requests.
func page[T any](list []T, p paging, key func(T) string) ([]T, string, error) {
	return pageOf(reflect.TypeFor[T]().String(), list, p, key)
}

// pageOf is page of what is called so: a token of another list is invalid.
func pageOf[T any](what string, list []T, p paging, key func(T) string) ([]T, string, error) {
	if p.max != nil && (*p.max < p.lo || *p.max > p.hi) {
		return nil, "", errValue(*p.max, "MaxResults", "It must be between "+strconv.Itoa(p.lo)+" and "+strconv.Itoa(p.hi)+".")
	}
	if p.token != "" {
		last, ok := keyBefore(what, p.token)
		if !ok {
			return nil, "", errorf("InvalidPaginationToken", "The token '%s' is invalid", p.token)
		}
		n, _ := slices.BinarySearchFunc(list, last+"\x00", func(v T, k string) int { return strings.Compare(key(v), k) })
		list = list[n:]
	}
	if p.max == nil || len(list) <= *p.max {
		return list, "", nil
	}
	list = list[:*p.max]
	return list, tokenAfter(what, key(list[len(list)-1])), nil
}

// tokenAfter is a token for what follows a key. It bears a checksum, so that one of another list, or of
// nothing, does not pass for the end of this one.
func tokenAfter(what, key string) string {
	return base64.RawURLEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(what+"/"+key))), key...))
}

// keyBefore is the key that a token follows.
func keyBefore(what, token string) (key string, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < 4 || tokenAfter(what, string(b[4:])) != token {
		return "", false
	}
	return string(b[4:]), true
}

// describe is the body of every Describe action over one table: the named
// objects, or else all, that pass the filters, a page of them, in order of their
// IDs. An ID that nothing has is an error; a filter that nothing passes is not.
func describe[K ~string, V any](tx *Tx, t *Table[K, V], ids []K, set filterSet[V], filters []Filter, p paging) ([]*V, string, error) {
	filters = set.plain(filters)
	if err := set.check(filters); err != nil {
		return nil, "", err
	}
	if len(ids) > 0 && p.max != nil {
		return nil, "", errorf("InvalidParameterCombination", "The parameter %s cannot be used with the parameter maxResults", kindOf[K]().listParam())
	}
	type keyed struct {
		k K
		v *V
	}
	var list []keyed
	if len(ids) > 0 {
		ids = slices.Compact(slices.Sorted(slices.Values(ids)))
		named, err := findAll(t, ids)
		if err != nil {
			return nil, "", err
		}
		for i, v := range named {
			list = append(list, keyed{ids[i], v})
		}
	} else {
		for k, v := range t.All() {
			list = append(list, keyed{k, v})
		}
	}
	list = slices.DeleteFunc(list, func(o keyed) bool { return !set.match(&tx.Model, filters, o.v) })
	list, next, err := pageOf(kindOf[K]().param, list, p, func(o keyed) string { return string(o.k) })
	if err != nil {
		return nil, "", err
	}
	found := make([]*V, len(list))
	for i := range list {
		found[i] = list[i].v
	}
	return found, next, nil
}

// views turns objects into the form in which the API answers them.
func views[V, O any](objects []*V, view func(*V) O) []O {
	list := make([]O, len(objects))
	for i, o := range objects {
		list[i] = view(o)
	}
	return list
}
