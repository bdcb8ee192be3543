package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
)

// Table writes results as they come: a line a figure, a column a contestant, each value with its ratio to the base.
type Table struct {
	w           io.Writer
	contestants []string
	shown       map[string]bool
}

// NewTable writes the heading.
func NewTable(w io.Writer, contestants []string) *Table {
	t := &Table{w, contestants, map[string]bool{}}
	fmt.Fprintf(w, "%-30s %-14s", "WORK", "UNIT")
	for _, c := range contestants {
		fmt.Fprintf(w, " %18s", c)
	}
	fmt.Fprintln(w)
	return t
}

// Print writes the figures that it has not yet written.
func (t *Table) Print(r *Results) {
	all := r.Results()
	for _, first := range all {
		if t.shown[first.Work] {
			continue
		}
		t.shown[first.Work] = true
		fmt.Fprintf(t.w, "%-30s %-14s", first.Work, first.Unit)
		for _, c := range t.contestants {
			fmt.Fprintf(t.w, " %18s", cell(all, first.Work, c))
		}
		fmt.Fprintln(t.w)
	}
}

func cell(all []Result, work, contestant string) string {
	for _, r := range all {
		if r.Work != work || r.Contestant != contestant {
			continue
		}
		text := number(r.Value)
		if r.RatioToKernel != nil {
			text += fmt.Sprintf(" (%.2f)", *r.RatioToKernel)
		}
		return text
	}
	return "-"
}

// number has three digits that count, or all before the point.
func number(v float64) string {
	if math.Abs(v) >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	digits := 2
	for x := math.Abs(v); x > 0 && x < 1 && digits < 5; x *= 10 {
		digits++
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}
