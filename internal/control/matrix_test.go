package control

import (
	"context"
	"testing"
)

func (f *fake) Matrix(_ context.Context, req MatrixRequest) (*Matrix, error) {
	return &Matrix{From: make([]MatrixEnd, len(req.From)), Cells: [][]MatrixCell{{{Self: true}}}}, nil
}

func TestMatrixRoundTrip(t *testing.T) {
	x, err := client(t, &fake{}).Matrix(t.Context(), MatrixRequest{From: []string{"web"}})
	if err != nil || len(x.From) != 1 || !x.Cells[0][0].Self {
		t.Fatalf("matrix: %+v, %v", x, err)
	}
}
