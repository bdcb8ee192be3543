package importer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Note says what was not brought over, or not as it is in the account, and why.
type Note struct {
	Kind    string   // "route table"
	Objects []string // "private (rtb-0123456789abcdef0)"; none for what concerns the whole dump
	Reason  string
}

// String is the note as one line.
func (n Note) String() string {
	switch len(n.Objects) {
	case 0:
		return n.Reason
	case 1:
		return fmt.Sprintf("%s %s: %s", n.Kind, n.Objects[0], n.Reason)
	}
	return fmt.Sprintf("%d %s: %s: %s", len(n.Objects), plural(n.Kind), strings.Join(n.Objects, ", "), n.Reason)
}

func plural(kind string) string {
	switch {
	case strings.HasSuffix(kind, "y") && !strings.HasSuffix(kind, "ay"):
		return strings.TrimSuffix(kind, "y") + "ies"
	case strings.HasSuffix(kind, "s"):
		return kind
	}
	return kind + "s"
}

// notes collects them. What is said of several objects of a kind in the same words is one note.
type notes struct{ list []Note }

func (n *notes) add(kind, object, format string, a ...any) {
	reason := printable(fmt.Sprintf(format, a...))
	object = printable(object)
	i := slices.IndexFunc(n.list, func(o Note) bool { return o.Kind == kind && o.Reason == reason })
	switch {
	case i < 0 && object == "":
		n.list = append(n.list, Note{Kind: kind, Reason: reason})
	case i < 0:
		n.list = append(n.list, Note{Kind: kind, Objects: []string{object}, Reason: reason})
	case object != "" && !slices.Contains(n.list[i].Objects, object):
		n.list[i].Objects = append(n.list[i].Objects, object)
	}
}

// sorted are the notes by kind, each in the order in which it came up; those of the whole dump are first.
func (n *notes) sorted() []Note {
	list := slices.Clone(n.list)
	slices.SortStableFunc(list, func(a, b Note) int { return cmp.Compare(a.Kind, b.Kind) })
	return list
}

// label is how notes call an object: by its Name tag and its ID, or its address in a Terraform configuration.
func label(name, id string, at origin) string {
	switch {
	case at.address != "":
		return at.address
	case name == "" || name == id:
		return id
	case id == "":
		return name
	}
	return fmt.Sprintf("%s (%s)", name, id)
}

// printable is text without anything that could end a comment or move a terminal's cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r == '\ufeff' || r == '\ufffd' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
