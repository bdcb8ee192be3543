package topology

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one mistake in a topology file, or what an operation said when the file
// was converged to.
type Error struct {
	File   string
	Line   int    // 0 for an object that the file no longer has
	Object string // "subnet public"; empty for the file's own settings
	Reason string
	Err    error // the cause, where an operation refused; may be nil
}

func (e *Error) Error() string {
	where := e.File
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", e.File, e.Line)
	}
	if e.Object == "" {
		return where + ": " + e.Reason
	}
	return fmt.Sprintf("%s: %s: %s", where, e.Object, e.Reason)
}

func (e *Error) Unwrap() error { return e.Err }

// Errors is everything that is wrong with a file, in the order of its lines.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As reach the single mistakes.
func (e Errors) Unwrap() []error {
	list := make([]error, len(e))
	for i, one := range e {
		list[i] = one
	}
	return list
}

// maxErrors bounds what one file can make us say.
const maxErrors = 200

// problems collects mistakes.
type problems struct {
	file string
	list Errors
}

func (p *problems) add(line int, object, format string, a ...any) {
	if len(p.list) < maxErrors {
		p.list = append(p.list, &Error{File: p.file, Line: max(line, 1), Object: object, Reason: fmt.Sprintf(format, a...)})
	}
}

// err returns the mistakes by line, each once (aliases repeat them), or nil.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	return slices.CompactFunc(p.list, func(a, b *Error) bool { return *a == *b })
}

// suggest returns a "did you mean" for a word that is not among those known, or "".
func suggest(word string, known []string) string {
	best, distance := "", max(1, len(word)/3)
	if len(word) < 2 {
		return ""
	}
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := editDistance(strings.ToLower(word), k, distance); d <= distance && k != "" {
			if d < distance || best == "" {
				best, distance = k, d
			}
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance counts the insertions, deletions, substitutions and swaps of
// neighbours between a and b; anything above limit may be told as limit + 1.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
