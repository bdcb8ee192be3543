package graph

import (
	"fmt"
	"strings"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Formats are the names that Render takes.
var Formats = []string{"svg", "mermaid", "dot"}

// Render draws the model in a format, one of Formats. A trace, which may be nil, is drawn
// into it; it must be one of the same lab. The same input always gives the same text. The
// only error is an unknown format.
func Render(format string, m *vpc.Model, trace *control.Trace) (string, error) {
	s := newScene(m)
	if trace != nil {
		s.addTrace(trace)
	}
	switch format {
	case "svg":
		return best(s).svg(), nil
	case "mermaid":
		return s.mermaid(), nil
	case "dot":
		return s.dot(), nil
	}
	return "", fmt.Errorf("format %q: use %s", format, strings.Join(Formats, ", "))
}
