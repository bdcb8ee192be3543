package topology

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decoder fills the types of this package from nodes, as their tags say.
type decoder struct {
	*problems
	object string // the one being filled, for messages
}

// fail adds a mistake at a key of the object.
func (d *decoder) fail(line int, path, format string, a ...any) {
	if path != "" {
		path += ": "
	}
	d.add(line, d.object, "%s%s", path, fmt.Sprintf(format, a...))
}

// mapping fills the struct v. path is the way to it inside the object ("ingress[0]").
func (d *decoder) mapping(n *node, v reflect.Value, path string) {
	if n.kind != mappingNode && n.kind != nullNode {
		d.fail(n.line, path, "a mapping is wanted here, not %s", n)
		return
	}
	keys := keysOf(v.Type())
	seen := map[*keySpec]pair{}
	for _, p := range n.pairs {
		key := findKey(keys, p.key)
		if key == nil {
			if d.object != "" || !strings.HasPrefix(p.key, "x-") {
				d.fail(p.line, path, "unknown key %q%s", shorten(p.key), suggest(p.key, spellings(keys)))
			}
			continue
		}
		if first, again := seen[key]; again {
			d.fail(p.line, path, "%s is given twice; it is in line %d already", bothNames(first.key, p.key), first.line)
			continue
		}
		seen[key] = p
		d.key(key, p, v.FieldByIndex(key.field), join(path, p.key))
	}
	for _, key := range keys {
		if _, given := seen[key]; !given && key.required {
			d.fail(n.line, path, "%s is missing", key.names[0])
		}
		// Also in the place of a value that was refused, lest one mistake show as many.
		if field := v.FieldByIndex(key.field); key.fallback != "" && !field.Field(1).Bool() {
			d.scalar(key, &node{tag: "!!str", text: key.fallback}, v.FieldByIndex(key.field).Field(0), path)
		}
	}
}

func bothNames(a, b string) string {
	if a == b {
		return a
	}
	return fmt.Sprintf("%s (here spelt %s)", a, b)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// objectMap is an Objects of any type.
type objectMap interface {
	decode(d *decoder, kind string, n *node)
}

// key fills one field of a struct: a Value, or an Objects.
func (d *decoder) key(key *keySpec, p pair, v reflect.Value, path string) {
	if key.objects {
		v.Addr().Interface().(objectMap).decode(d, p.key, p.value)
		return
	}
	if p.value.kind == nullNode {
		d.fail(p.line, path, "nothing is given; leave the key out for its default")
		return
	}
	ok := true
	if target := v.Field(0); key.list {
		ok = d.sequence(key, p.value, target, path)
	} else {
		ok = d.value(key, p.value, target, path)
	}
	if ok {
		v.Field(1).SetBool(true)
	}
	v.Field(2).SetInt(int64(p.line))
}

func (d *decoder) sequence(key *keySpec, n *node, v reflect.Value, path string) bool {
	if n.kind != sequenceNode {
		d.fail(n.line, path, "a list is wanted here, such as [%s], not %s", example(key), n)
		return false
	}
	list := reflect.MakeSlice(v.Type(), 0, len(n.items))
	for i, item := range n.items {
		one := reflect.New(v.Type().Elem()).Elem()
		if item.kind == nullNode {
			d.fail(item.line, fmt.Sprintf("%s[%d]", path, i), "nothing is given")
			continue
		}
		if d.value(key, item, one.Field(0), fmt.Sprintf("%s[%d]", path, i)) {
			one.Field(1).SetBool(true)
			one.Field(2).SetInt(int64(item.line))
			list = reflect.Append(list, one)
		}
	}
	v.Set(list)
	return true
}

func (d *decoder) value(key *keySpec, n *node, v reflect.Value, path string) bool {
	switch {
	case v.Type() == reflect.TypeFor[Check]():
		return d.check(n, v, path)
	case v.Type() == reflect.TypeFor[map[string]string]():
		return d.tags(n, v, path)
	case v.Type() == reflect.TypeFor[map[string]int]():
		return d.numbers(n, v, path)
	case v.Kind() == reflect.Struct && len(keysOf(v.Type())) > 0:
		d.mapping(n, v, path)
		return n.kind == mappingNode
	case n.kind != scalarNode:
		d.fail(n.line, path, "%s is wanted here, not %s", article(key), n)
		return false
	}
	return d.scalar(key, n, v, path)
}

// scalar sets v from the text of n and holds it against the limits of the key.
func (d *decoder) scalar(key *keySpec, n *node, v reflect.Value, path string) bool {
	why := ""
	switch target := v.Addr().Interface().(type) {
	case *string:
		if !key.loose && n.tag != "!!str" {
			why = fmt.Sprintf("%s is wanted here, not %s; put it in quotes if it is meant as text", article(key), n)
		}
		*target = n.text
	case *bool:
		*target = n.text == "true"
		if n.text != "true" && n.text != "false" {
			why = fmt.Sprintf("true or false is wanted here, not %s", n)
		}
	case *int:
		i, err := strconv.Atoi(n.text)
		*target = i
		if err != nil {
			why = fmt.Sprintf("a whole number is wanted here, not %s", n)
		}
	case textValue:
		if err := target.UnmarshalText([]byte(n.text)); err != nil {
			why = fmt.Sprintf("%s is wanted here, not %s", article(key), n)
			if mistake, ok := err.(textError); ok {
				why = string(mistake)
			}
		}
	}
	if why == "" {
		why = outOfLimits(key, n, v)
	}
	if why != "" {
		d.fail(n.line, path, "%s", why)
		v.SetZero()
		return false
	}
	return d.normal(n, v, path)
}

type textValue interface{ UnmarshalText([]byte) error }

// textError is an error of a textValue that is to be shown as it is.
type textError string

func (e textError) Error() string { return string(e) }

func outOfLimits(key *keySpec, n *node, v reflect.Value) string {
	switch {
	case len(key.enum) > 0 && !slices.Contains(key.enum, n.text):
		return fmt.Sprintf("%s is wanted here, not %s%s", strings.Join(key.enum, " or "), n, suggest(n.text, key.enum))
	case key.pattern != nil && !key.pattern.MatchString(n.text):
		return fmt.Sprintf("%s does not match %s", n, key.pattern)
	case key.min != nil && v.Kind() == reflect.Int && (v.Int() < int64(*key.min) || v.Int() > int64(*key.max)):
		return fmt.Sprintf("%d is not between %d and %d", v.Int(), *key.min, *key.max)
	}
	return ""
}

// normal brings addresses and ranges to the form in which AWS keeps them: host
// bits are cleared, not refused (AD-02).
func (d *decoder) normal(n *node, v reflect.Value, path string) bool {
	switch target := v.Addr().Interface().(type) {
	case *netip.Prefix:
		if !target.Addr().Is4() {
			d.fail(n.line, path, "%s is no IPv4 range", n)
			*target = netip.Prefix{}
			return false
		}
		*target = target.Masked()
	case *netip.Addr:
		if !target.Is4() {
			d.fail(n.line, path, "%s is no IPv4 address", n)
			*target = netip.Addr{}
			return false
		}
	}
	return true
}

// tags takes every scalar as text: a tag such as `port: 22` is common.
func (d *decoder) tags(n *node, v reflect.Value, path string) bool {
	if n.kind != mappingNode {
		d.fail(n.line, path, "a mapping is wanted here, not %s", n)
		return false
	}
	tags := map[string]string{}
	for _, p := range n.pairs {
		_, again := tags[p.key]
		switch {
		case again:
			d.fail(p.line, join(path, p.key), "is given twice")
		case p.value.kind != scalarNode && p.value.kind != nullNode:
			d.fail(p.line, join(path, p.key), "text is wanted here, not %s", p.value)
		case p.key == "" || utf8.RuneCountInString(p.key) > 128 || utf8.RuneCountInString(p.value.text) > 256 || strings.HasPrefix(strings.ToLower(p.key), "aws:"):
			d.fail(p.line, path, "tag %q: keys have 1 to 128 characters and do not start with aws:, values have up to 256", shorten(p.key))
		default:
			tags[p.key] = p.value.text
		}
	}
	if len(tags) > 50 {
		d.fail(n.line, path, "an object has at most 50 tags")
	}
	v.Set(reflect.ValueOf(tags))
	return true
}

// numbers takes a mapping of words to positive numbers.
func (d *decoder) numbers(n *node, v reflect.Value, path string) bool {
	if n.kind != mappingNode {
		d.fail(n.line, path, "a mapping is wanted here, not %s", n)
		return false
	}
	numbers := map[string]int{}
	for _, p := range n.pairs {
		i, err := strconv.Atoi(p.value.text)
		_, again := numbers[p.key]
		switch {
		case again:
			d.fail(p.line, join(path, p.key), "is given twice")
		case p.value.kind != scalarNode || err != nil || i < 1 || i > 1_000_000:
			d.fail(p.line, join(path, p.key), "a number between 1 and 1000000 is wanted here, not %s", p.value)
		default:
			numbers[p.key] = i
		}
	}
	v.Set(reflect.ValueOf(numbers))
	return true
}

// Names of instances and Internet hosts are host names (RFC 1123); others are
// words that no ID can be mistaken for.
var (
	hostName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	objectName  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,62}$`)
	looksLikeID = regexp.MustCompile(`^[a-z]+-[0-9a-f]{8,17}$`)
)

func (o *Objects[T]) decode(d *decoder, kind string, n *node) {
	if n.kind != mappingNode {
		if n.kind != nullNode {
			d.add(n.line, "", "%s: a mapping of names is wanted here, not %s", kind, n)
		}
		return
	}
	o.names = map[string]*T{}
	lines := map[string]int{}
	for _, p := range n.pairs {
		inner := decoder{d.problems, singular(kind) + " " + shorten(p.key)}
		if first, again := lines[p.key]; again {
			inner.fail(p.line, "", "is given twice; it is in line %d already", first)
			continue
		}
		lines[p.key] = p.line
		if why := badName(kind, p.key); why != "" {
			inner.fail(p.line, "", "%s", why)
			continue
		}
		p.value.line = p.line
		one := new(T)
		inner.mapping(p.value, reflect.ValueOf(one).Elem(), "")
		head := any(one).(interface{ head() *Head }).head()
		head.Kind, head.Name, head.Line = kind, p.key, p.line
		o.List = append(o.List, one)
		o.names[p.key] = one
	}
}

func badName(kind, name string) string {
	switch host := kind == "instances" || kind == "internet_hosts"; {
	case host && !hostName.MatchString(name):
		return "is no valid host name: a to z, 0 to 9 and hyphens inside, at most 63 characters"
	case !host && !objectName.MatchString(name):
		return "is no valid name: a letter, then letters, digits, _, - and ., at most 63 characters"
	case looksLikeID.MatchString(name):
		return "looks like an ID; objects need names of their own"
	case name == DefaultName || strings.HasPrefix(name, "default-") && kind == "subnets":
		return "is a name that stands for what AWS makes by itself"
	}
	return ""
}

// article says what a key takes: "a CIDR block such as 10.0.0.0/16".
func article(key *keySpec) string {
	switch key.value {
	case reflect.TypeFor[netip.Prefix]():
		return "a CIDR block such as 10.0.0.0/16"
	case reflect.TypeFor[netip.Addr]():
		return "an address such as 10.0.0.4"
	case reflect.TypeFor[Ports]():
		return "a port such as 22"
	case reflect.TypeFor[Protocol]():
		return "a protocol such as tcp"
	case reflect.TypeFor[Cpus]():
		return "a number of processors such as 0.5"
	case reflect.TypeFor[Memory]():
		return "an amount of memory such as 512MiB"
	case reflect.TypeFor[bool]():
		return "true or false"
	case reflect.TypeFor[int]():
		return "a whole number"
	}
	if len(key.ref) > 0 {
		return "the name of one of " + strings.Join(key.ref, " or ")
	}
	return "text"
}

func example(key *keySpec) string {
	switch key.value {
	case reflect.TypeFor[netip.Prefix]():
		return "10.0.0.0/16"
	case reflect.TypeFor[netip.Addr]():
		return "10.0.0.4"
	case reflect.TypeFor[string]():
		return "name"
	}
	return "{…}"
}
