package awscli

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jmespath/go-jmespath"
)

// Query is what --query says to print of an answer, in JMESPath. The nil Query is all of it.
//
// Members come in the order of the answer, and of the expression where it makes an object
// ({ID: VpcId}), as the AWS CLI prints them; but what * takes of an object comes in any order.
type Query struct {
	path  *jmespath.JMESPath
	order []string // names that the expression gives, as they come in it
}

// newQuery reads an expression.
func newQuery(text string) (*Query, error) {
	path, err := jmespath.Compile(parts.ReplaceAllStringFunc(text, quoteLiteral))
	if err != nil {
		return nil, fmt.Errorf("%s: invalid JMESPath expression: %s", text, strings.TrimPrefix(err.Error(), "SyntaxError: "))
	}
	return &Query{path, namesIn(text)}, nil
}

// parts finds text, literals, and the names that objects are made with.
var parts = regexp.MustCompile("'(?:[^'\\\\]|\\\\.)*'|`(?:[^`\\\\]|\\\\.)*`" + `|("(?:[^"\\]|\\.)*"|[A-Za-z_]\w*)\s*:`)

// quoteLiteral puts quotes around a literal that is no JSON: AWS's examples have many, as in
// Tags[?Key==`Name`], and its CLI reads them so, as JMESPath once did.
func quoteLiteral(part string) string {
	inner, ok := strings.CutPrefix(part, "`")
	if !ok {
		return part
	}
	inner = strings.TrimLeft(strings.TrimSuffix(inner, "`"), " ")
	if quoted := `"` + inner + `"`; !json.Valid([]byte(inner)) && json.Valid([]byte(quoted)) {
		return "`" + quoted + "`"
	}
	return part
}

// namesIn are the names that an expression gives, in its order.
func namesIn(text string) (names []string) {
	for _, m := range parts.FindAllStringSubmatch(text, -1) {
		name := m[1]
		if strings.HasPrefix(name, `"`) {
			_ = json.Unmarshal([]byte(m[1]), &name) // the expression was compiled: it is JSON
		}
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// of is what the query takes of an answer.
func (q *Query) of(tree any) (any, error) {
	given := given{}
	found, err := q.path.Search(given.plain(tree))
	if err != nil {
		return nil, fmt.Errorf("--query: %s", plainly.Replace(err.Error()))
	}
	return q.tree(found, given), nil
}

var plainly = strings.NewReplacer("[]jmespath.jpType{", "", `"}`, `"`, "<nil>", "null")

// given has the objects of an answer by the maps that the library gets for them.
type given map[uintptr]object

// plain is a tree as the library knows it.
func (g given) plain(v any) any {
	switch v := v.(type) {
	case object:
		m := make(map[string]any, len(v))
		for _, member := range v {
			m[member.key] = g.plain(member.value)
		}
		g[reflect.ValueOf(m).Pointer()] = v
		return m
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = g.plain(v[i])
		}
		return list
	case json.Number:
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	}
	return v
}

// tree is what the library found as a tree: objects of the answer as they were, those that the
// expression made in its order.
func (q *Query) tree(v any, g given) any {
	switch v := v.(type) {
	case map[string]any:
		if o, ok := g[reflect.ValueOf(v).Pointer()]; ok {
			return o
		}
		o := object{}
		for name, value := range v {
			o = append(o, member{name, q.tree(value, g)})
		}
		slices.SortFunc(o, func(x, y member) int {
			if d := q.place(x.key) - q.place(y.key); d != 0 {
				return d
			}
			return strings.Compare(x.key, y.key)
		})
		return o
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = q.tree(v[i], g)
		}
		return list
	case float64:
		return json.Number(strconv.FormatFloat(v, 'f', -1, 64))
	}
	return v
}

// place is where the expression has a name, and after all for one that it has not.
func (q *Query) place(name string) int {
	if i := slices.Index(q.order, name); i >= 0 {
		return i
	}
	return len(q.order)
}
