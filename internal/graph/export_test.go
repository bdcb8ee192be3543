package graph

import (
	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// DrawLab draws a lab of any shape, and a trace in it.
func DrawLab(t *rapid.T) (*vpc.Model, *control.Trace) {
	m := drawModel(t)
	return m, drawTrace(t, newScene(m))
}
