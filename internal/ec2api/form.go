package ec2api

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Bounds of a request, far above what AWS takes, so that none costs more than its size.
const (
	maxBody       = 1 << 20  // bytes
	maxDrained    = 64 << 20 // bytes of a body that is too large
	maxParameters = 20_000
	maxDepth      = 16 // of a name: A.1.B.2…
)

// node is a parameter, or what several have in common before a dot.
type node struct {
	value string
	set   bool // it has a value itself
	parts map[string]*node
}

// common are the parameters of every action and those of a signature in the query string.
var common = map[string]bool{
	"Action": true, "Version": true, "AWSAccessKeyId": true, "Timestamp": true, "Expires": true, "SecurityToken": true,
	"Signature": true, "SignatureMethod": true, "SignatureVersion": true,
	"X-Amz-Algorithm": true, "X-Amz-Credential": true, "X-Amz-Date": true, "X-Amz-Expires": true,
	"X-Amz-Security-Token": true, "X-Amz-Signature": true, "X-Amz-SignedHeaders": true,
}

// tree takes the names of parameters apart at their dots.
func tree(form url.Values) (*node, error) {
	root := &node{}
	count := 0
	for _, name := range sortedKeys(form) { // so that the same request has the same error each time
		values := form[name]
		if common[name] {
			continue
		}
		if count += len(values); count > maxParameters {
			return nil, errf("MalformedQueryString", "The request has more than %d parameters.", maxParameters)
		}
		if len(values) > 1 {
			return nil, errf("MalformedQueryString", "The parameter %s is given %d times.", shown(name), len(values))
		}
		n := root
		parts := strings.Split(name, ".")
		if len(parts) > maxDepth {
			return nil, errf("MalformedQueryString", "The parameter %s has more than %d parts.", shown(name), maxDepth)
		}
		for _, part := range parts {
			next := n.parts[part]
			if next == nil {
				next = &node{}
				if n.parts == nil {
					n.parts = map[string]*node{}
				}
				n.parts[part] = next
			}
			n = next
		}
		n.value, n.set = values[0], true
	}
	return root, nil
}

// numbered are the parts of a list, in the order of their numbers, which begin at 1 and
// may have gaps. AWS takes 0, too.
func (n *node) numbered(path string) ([]*node, error) {
	type one struct {
		number int
		*node
	}
	list := make([]one, 0, len(n.parts))
	for _, name := range sortedKeys(n.parts) {
		number, err := strconv.Atoi(name)
		if err != nil || number < 0 || name[0] == '+' {
			return nil, errUnknown(path + "." + name)
		}
		list = append(list, one{number, n.parts[name]})
	}
	slices.SortFunc(list, func(a, b one) int { return cmp.Compare(a.number, b.number) })
	nodes := make([]*node, len(list))
	for i := range list {
		if i > 0 && list[i].number == list[i-1].number { // 1 and 01
			return nil, errf("MalformedQueryString", "The parameter %s has two members with the number %d.", shown(path), list[i].number)
		}
		nodes[i] = list[i].node
	}
	return nodes, nil
}

// leaf is the name of the first parameter in n, path included.
func (n *node) leaf(path string) string {
	for len(n.parts) > 0 && !n.set {
		name := sortedKeys(n.parts)[0]
		path, n = join(path, name), n.parts[name]
	}
	return path
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// shown is what a client sent, in a length that fits a message.
func shown(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

func errf(code, format string, a ...any) *vpc.Error {
	return &vpc.Error{Code: code, Message: fmt.Sprintf(format, a...)}
}

func errUnknown(name string) error {
	return errf("UnknownParameter", "The parameter %s is not recognized", shown(name))
}
