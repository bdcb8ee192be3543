package report

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
)

// JSON is the list of results, an object a line.
func (r *Results) JSON() ([]byte, error) {
	text := []byte("[")
	for i, of := range r.Results() {
		if math.IsNaN(of.Value) || math.IsInf(of.Value, 0) {
			return nil, fmt.Errorf("%s of %s is no number", of.Work, of.Contestant)
		}
		of.Value = significant(of.Value)
		if of.RatioToKernel != nil {
			ratio := significant(*of.RatioToKernel)
			of.RatioToKernel = &ratio
		}
		line, err := json.Marshal(of)
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", of.Work, of.Contestant, err)
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(text, "\n  "...), line...)
	}
	return append(text, "\n]\n"...), nil
}

// significant keeps four digits: more would be noise.
func significant(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// WriteJSON and WriteSVG write a file.
func (r *Results) WriteJSON(name string) error {
	text, err := r.JSON()
	if err != nil {
		return err
	}
	return os.WriteFile(name, text, 0o644)
}

// WriteSVG writes the plot.
func (r *Results) WriteSVG(name string) error { return os.WriteFile(name, r.SVG(), 0o644) }
