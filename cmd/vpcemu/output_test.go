package main

import (
	"strings"
	"testing"
)

// Names come from tags, which hold what anyone wrote.
func TestTable_OneLineARowWhateverTheNames(t *testing.T) {
	var out strings.Builder
	err := table(&out, [][]string{{"NAME", "ID"}, {"a\nb", "1"}, {"\x1b[31mred", "2"}, {"t\tb", "3"}, {"über 日本", "4"}, {"", "5"}})
	if err != nil {
		t.Fatal(err)
	}
	want := `NAME         ID
a\nb         1
\x1b[31mred  2
t\tb         3
über 日本      4
-            5
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// Lines stay lines, and nothing in them plays on the terminal.
func TestPrintableLines(t *testing.T) {
	for text, want := range map[string]string{"": "", "a\n\tb → ✓ \\ \"": "a\n\tb → ✓ \\ \"", "we\x1b[31mb\r\n": `we\x1b[31mb\r` + "\n", "\u009b": `\u009b`} {
		if got := printableLines(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
