package matrix

import (
	"encoding/csv"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/vpcemu/vpcemu/internal/control"
)

// maxColumns is how many columns a table shows side by side; a wider matrix is listed, a
// line a pair.
const maxColumns = 6

// own marks where the two ends are one.
const own = "·"

// Rows are the matrix as a table of text, its first row the heading: a column for each end
// where there are few, else a line for each pair in which something is reached.
func Rows(x *control.Matrix) [][]string {
	if len(x.To) > maxColumns {
		return pairs(x)
	}
	rows := [][]string{{"FROM \\ TO"}}
	for _, to := range x.To {
		rows[0] = append(rows[0], name(to))
	}
	for i, from := range x.From {
		row := []string{name(from)}
		for k := range x.To {
			row = append(row, short(x.Cells[i][k]))
		}
		rows = append(rows, row)
	}
	return rows
}

func pairs(x *control.Matrix) [][]string {
	rows := [][]string{{"FROM", "TO", "REACHES"}}
	for i, from := range x.From {
		for k, to := range x.To {
			if c := x.Cells[i][k]; !c.Self && c.Summary() != "-" {
				rows = append(rows, []string{name(from), name(to), short(c)})
			}
		}
	}
	return rows
}

// Notes say of rows without packets why, a line each.
func Notes(x *control.Matrix) (notes []string) {
	for _, from := range x.From {
		if from.Note != "" {
			notes = append(notes, from.Note)
		}
	}
	return notes
}

// short is a cell's summary, "all" where every port is reached of every protocol.
func short(c control.MatrixCell) string {
	switch {
	case c.Self:
		return own
	case everything(c):
		return "all"
	}
	return c.Summary()
}

// everything tells whether all ports of TCP and UDP, and ICMP, are reached.
func everything(c control.MatrixCell) bool {
	return c.Summary() == "tcp all; udp all; icmp"
}

// longestName is how many characters of a name a table shows.
const longestName = 24

func name(e control.MatrixEnd) string {
	n := e.Name
	if n == "" {
		n = e.ID
	}
	if utf8.RuneCountInString(n) > longestName {
		n = string([]rune(n)[:longestName-1]) + "…"
	}
	return n
}

// CSV writes the matrix for spreadsheets (RFC 4180): a row for each sender, a column for
// each receiver, names in full.
func CSV(w io.Writer, x *control.Matrix) error {
	out := csv.NewWriter(w)
	head := []string{"from"}
	for _, to := range x.To {
		head = append(head, full(to))
	}
	if err := out.Write(head); err != nil {
		return err
	}
	for i, from := range x.From {
		row := []string{full(from)}
		for k := range x.To {
			cell := x.Cells[i][k].Summary()
			if x.Cells[i][k].Self {
				cell = ""
			}
			row = append(row, cell)
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func full(e control.MatrixEnd) string {
	n := e.Name
	if n == "" {
		n = e.ID
	}
	// A spreadsheet takes what begins so for a formula.
	if strings.ContainsAny(n[:min(len(n), 1)], "=+-@") {
		n = "'" + n
	}
	return n
}
