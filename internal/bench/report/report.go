// Package report makes a table, a JSON list and a plot of what contestants achieved, in rounds in which each had its turn.
package report

import (
	"math"
	"slices"
)

// Figure is something that is measured.
type Figure struct {
	Work  string // "tcp1", "rr p99"
	Unit  string
	Label string // for people; Work where it is empty
	Less  bool   // a smaller value is better
	Plot  bool   // part of the plot
}

// Results collects values round by round.
type Results struct {
	base string
	rows []*row
}

type row struct {
	Figure
	contestant string
	rounds     map[int]float64
}

// New has no values yet. Ratios are to the contestant base.
func New(base string) *Results { return &Results{base: base} }

// Add notes a contestant's value of a round. A second value of a round replaces the first.
func (r *Results) Add(f Figure, contestant string, round int, value float64) {
	of := r.row(f.Work, contestant)
	if of == nil {
		of = &row{f, contestant, map[int]float64{}}
		r.rows = append(r.rows, of)
	}
	of.rounds[round] = value
}

func (r *Results) row(work, contestant string) *row {
	for _, of := range r.rows {
		if of.Work == work && of.contestant == contestant {
			return of
		}
	}
	return nil
}

// Value names a contestant's values of a figure.
type Value struct{ Work, Contestant string }

// Relate adds the figure work, a ratio without a unit: of's values over to's, round by round, for of's contestant. Without rounds that
// both took part in, it adds nothing.
func (r *Results) Relate(work string, of, to Value) {
	a, b := r.row(of.Work, of.Contestant), r.row(to.Work, to.Contestant)
	if a == nil || b == nil {
		return
	}
	for round, v := range a.rounds {
		if base := b.rounds[round]; base > 0 {
			r.Add(Figure{Work: work, Unit: "ratio", Less: a.Less}, of.Contestant, round, v/base)
		}
	}
}

// Result is the outcome of one contestant at one work.
type Result struct {
	Work       string  `json:"work"`
	Contestant string  `json:"contestant"`
	Value      float64 `json:"value"` // median over the rounds
	Unit       string  `json:"unit"`
	// RatioToKernel is the median of the rounds' ratios to the base, nil where it has none.
	RatioToKernel *float64 `json:"ratio_to_kernel"`

	figure Figure
}

// Results are all, in the order in which they were first added.
func (r *Results) Results() []Result {
	var list []Result
	for _, of := range r.rows {
		var values []float64
		for _, v := range of.rounds {
			values = append(values, v)
		}
		list = append(list, Result{Work: of.Work, Contestant: of.contestant, Value: Median(values), Unit: of.Unit,
			RatioToKernel: r.ratio(of), figure: of.Figure})
	}
	return list
}

// ratio compares what was measured in the same round, when the machine was in the same mood. A ratio has none.
func (r *Results) ratio(of *row) *float64 {
	base := r.row(of.Work, r.base)
	if base == nil || of.Unit == "ratio" {
		return nil
	}
	var ratios []float64
	for round, v := range of.rounds {
		if b := base.rounds[round]; b > 0 {
			ratios = append(ratios, v/b)
		}
	}
	if len(ratios) == 0 {
		return nil
	}
	m := Median(ratios)
	return &m
}

// Median is the middle value, or the mean of the two in the middle; NaN of none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
