package imds

import (
	"slices"
	"strings"
)

// node is a file or a directory of the tree that an instance sees.
type node struct {
	name  string
	since string // the version that brought it; "" is the first
	// listed is how its directory lists it, where that is not its name, with a slash
	// behind a directory's.
	listed string
	nodes  []node                 // a directory's
	read   func() ([]byte, error) // a file's
	mime   string
}

func dir(name, since string, nodes ...node) node {
	return node{name: name, since: since, listed: name + "/", nodes: nodes}
}

func file(name, since, text string) node {
	return node{name: name, since: since, listed: name, mime: "text/plain", read: func() ([]byte, error) { return []byte(text), nil }}
}

// some is a file with a line for each text, or nothing where there is none.
func some(name, since string, lines ...string) []node {
	lines = slices.DeleteFunc(lines, func(s string) bool { return s == "" })
	if len(lines) == 0 {
		return nil
	}
	return []node{file(name, since, strings.Join(lines, "\n"))}
}

// join makes one list of nodes and lists of nodes.
func join(lists ...[]node) []node { return slices.Concat(lists...) }

// in tells whether the version has the node: a directory that is empty there is not there.
func (n *node) in(version string) bool {
	if n.since > version {
		return false
	}
	return n.read != nil || slices.ContainsFunc(n.nodes, func(c node) bool { return c.in(version) })
}

// find follows a path.
func (n *node) find(path []string, version string) *node {
	for _, name := range path {
		i := slices.IndexFunc(n.nodes, func(c node) bool { return c.name == name && c.in(version) })
		if i < 0 {
			return nil
		}
		n = &n.nodes[i]
	}
	return n
}

// content is a file's, or a directory's list.
func (n *node) content(version string) (content []byte, mime string, err error) {
	if n.read != nil {
		content, err = n.read()
		return content, n.mime, err
	}
	var names []string
	for _, c := range n.nodes {
		if c.in(version) {
			names = append(names, c.listed)
		}
	}
	return []byte(strings.Join(names, "\n")), "text/plain", nil
}
