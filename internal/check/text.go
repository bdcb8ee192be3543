package check

import (
	"fmt"
	"io"
	"strings"

	"github.com/vpcemu/vpcemu/internal/control"
)

// Style says how results look.
type Style struct {
	ASCII bool // "ok" and "FAIL" instead of ✓ and ✗
	Color bool
	// Trace writes a trace as a person reads it.
	Trace func(*control.Trace) string
}

// Text writes one result: a line, and where it fails why, with the trace.
func Text(w io.Writer, r control.CheckResult, s Style) error {
	var b strings.Builder
	mark, colour := "✓", "\x1b[32m"
	if s.ASCII {
		mark = "ok  "
	}
	if !r.Pass {
		mark, colour = "✗", "\x1b[31m"
		if s.ASCII {
			mark = "FAIL"
		}
	}
	if s.Color {
		mark = colour + mark + "\x1b[0m"
	}
	fmt.Fprintf(&b, "%s %s%s\n", mark, oneLine(r.Title), aside(r))
	if !r.Pass {
		if r.Title != r.Check {
			wrapped(&b, r.Check)
		}
		for _, p := range r.Problems {
			wrapped(&b, p)
		}
		for _, n := range r.Notes {
			wrapped(&b, n)
		}
		if r.Trace != nil && s.Trace != nil {
			for line := range strings.Lines("\n" + strings.TrimRight(s.Trace(r.Trace), "\n") + "\n\n") {
				indented(&b, line)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// aside is what a passing check's line adds: why something was dropped, or that no
// packet was sent.
func aside(r control.CheckResult) string {
	if !r.Pass {
		return ""
	}
	var parts []string
	if reason := Reason(r); reason != "" && !strings.Contains(r.Check, reason) {
		parts = append(parts, reason)
	}
	if r.Packets == nil {
		parts = append(parts, "by the trace alone")
	}
	if len(parts) == 0 {
		return ""
	}
	return "  (" + strings.Join(parts, ", ") + ")"
}

// Reason is why the network dropped the check's packet, "" where it did not.
func Reason(r control.CheckResult) string {
	switch {
	case r.Packets != nil:
		return r.Packets.Reason
	case r.Trace != nil && !r.Trace.Reachable:
		return r.Trace.Reason
	}
	return ""
}

const textWidth = 96

// wrapped writes text below a result's line.
func wrapped(b *strings.Builder, text string) {
	line := "   "
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > textWidth && strings.TrimSpace(line) != "" {
			b.WriteString(line + "\n")
			line = "   "
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}

func indented(b *strings.Builder, line string) {
	if strings.TrimSpace(line) == "" {
		b.WriteString("\n")
		return
	}
	b.WriteString("    " + line)
}

// oneLine is text without line breaks and other control characters.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}
