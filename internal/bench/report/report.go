// Package report makes a table, a JSON list and a plot of what contestants achieved.
package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
)

// Table collects values round by round.
type Table struct {
	base    string
	rows    []*row
	printed int
}

type row struct {
	work, contestant, unit string
	rounds                 map[int]float64
}

// NewTable is empty. Ratios are to the contestant base.
func NewTable(base string) *Table { return &Table{base: base} }

// Add notes a value of a round.
func (t *Table) Add(work, contestant, unit string, round int, value float64) {
	r := t.row(work, contestant)
	if r == nil {
		r = &row{work, contestant, unit, map[int]float64{}}
		t.rows = append(t.rows, r)
	}
	r.rounds[round] = value
}

func (t *Table) row(work, contestant string) *row {
	for _, r := range t.rows {
		if r.work == work && r.contestant == contestant {
			return r
		}
	}
	return nil
}

// Result is the outcome of one contestant at one work.
type Result struct {
	Work          string   `json:"work"`
	Contestant    string   `json:"contestant"`
	Value         float64  `json:"value"` // median over the rounds
	Unit          string   `json:"unit"`
	RatioToKernel *float64 `json:"ratio_to_kernel"` // median of the rounds' ratios; null where the kernel router did not take part
}

// Results are all, in the order in which they were first added.
func (t *Table) Results() []Result {
	var list []Result
	for _, r := range t.rows {
		var values, ratios []float64
		base := t.row(r.work, t.base)
		for n, v := range r.rounds {
			values = append(values, v)
			if base != nil && base.rounds[n] > 0 {
				ratios = append(ratios, v/base.rounds[n])
			}
		}
		out := Result{Work: r.work, Contestant: r.contestant, Value: Median(values), Unit: r.unit}
		if len(ratios) > 0 {
			m := Median(ratios)
			out.RatioToKernel = &m
		}
		list = append(list, out)
	}
	return list
}

// Median is the middle value, or the mean of the two in the middle; NaN of none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Print writes the results that have come since it was last called.
func (t *Table) Print(w io.Writer) {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, r := range t.Results()[t.printed:] {
		ratio := "-"
		if r.RatioToKernel != nil {
			ratio = fmt.Sprintf("%.3f", *r.RatioToKernel)
		}
		fmt.Fprintf(tab, "%s\t%s\t%.4g\t%s\t%s\t\n", r.Work, r.Contestant, r.Value, r.Unit, ratio)
	}
	t.printed = len(t.rows)
	tab.Flush()
}
