package awscli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// defaultWidth is how wide a table may be where the terminal does not say.
const defaultWidth = 120

func terminalWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return defaultWidth
}

// writeTable writes each list of structures as a table with a row a structure,
// or, where that would be too wide, with a table a structure and a row a member.
// What is nested is shown in one cell, in shorthand.
func writeTable(b *bytes.Buffer, tree any, width int) {
	o, ok := tree.(object)
	if !ok {
		writeTableOf(b, tree, width)
		return
	}
	single := object{}
	for _, m := range o {
		list, isList := m.value.([]any)
		if inner, ok := m.value.(object); ok {
			writeRecord(b, m.key, inner)
		} else if isList && slices.ContainsFunc(list, isObject) {
			writeRecords(b, m.key, list, width)
		} else {
			single = append(single, m)
		}
	}
	if len(single) > 0 {
		writeRecord(b, "", single)
	}
}

func isObject(v any) bool { _, ok := v.(object); return ok }

// writeTableOf writes what a query may give as well: a list, whose lists are the rows, or a scalar.
func writeTableOf(b *bytes.Buffer, v any, width int) {
	list, ok := v.([]any)
	switch {
	case v == nil:
		return
	case !ok:
		list = []any{v}
	case slices.ContainsFunc(list, isObject):
		writeRecords(b, "", list, width)
		return
	}
	var rows [][]string
	for _, item := range list {
		inner, isList := item.([]any)
		if slices.ContainsFunc(inner, isObject) {
			writeTableOf(b, inner, width)
			continue
		}
		row := []string{}
		for _, v := range inner {
			row = append(row, cell(v))
		}
		if !isList {
			row = append(row, cell(item))
		}
		if len(row) > 0 {
			rows = append(rows, row)
		}
	}
	if len(rows) > 0 {
		writeGrid(b, "", nil, rows)
	}
}

func writeRecords(b *bytes.Buffer, name string, list []any, width int) {
	var keys []string
	for _, item := range list {
		o, _ := item.(object)
		for _, m := range o {
			if cell(m.value) != "" && !slices.Contains(keys, m.key) {
				keys = append(keys, m.key)
			}
		}
	}
	var rows [][]string
	for _, item := range list {
		o, _ := item.(object)
		row := make([]string, len(keys))
		for i, k := range keys {
			row[i] = cell(o.get(k))
		}
		rows = append(rows, row)
	}
	if gridWidth(columnWidths(keys, rows)) <= width {
		writeGrid(b, name, keys, rows)
		return
	}
	for _, item := range list {
		o, _ := item.(object)
		writeRecord(b, name, o)
	}
}

func writeRecord(b *bytes.Buffer, name string, o object) {
	var rows [][]string
	for _, m := range o {
		for i, text := range cellLines(m.value) {
			key := m.key
			if i > 0 {
				key = ""
			}
			rows = append(rows, []string{key, text})
		}
	}
	if len(rows) > 0 {
		writeGrid(b, name, nil, rows)
	}
}

// cellLines is a value for a table of one structure: a line for each structure
// of a list, none for a list that is empty.
func cellLines(v any) []string {
	list, ok := v.([]any)
	if !ok {
		return []string{cell(v)}
	}
	var lines []string
	for _, item := range list {
		lines = append(lines, cell(item))
	}
	return lines
}

// cell is a value in one line, structures and lists in shorthand.
func cell(v any) string {
	switch v := v.(type) {
	case object:
		var parts []string
		for _, m := range v {
			if s := nestedCell(m.value); s != "" {
				parts = append(parts, m.key+"="+s)
			}
		}
		return strings.Join(parts, ",")
	case []any:
		var parts []string
		for _, item := range v {
			parts = append(parts, cell(item))
		}
		return strings.Join(parts, " ")
	case bool:
		return fmt.Sprint(v)
	}
	return strings.ReplaceAll(textScalar(v), "\n", `\n`)
}

func nestedCell(v any) string {
	s := cell(v)
	if s == "" || isScalar(v) {
		return s
	}
	if _, ok := v.(object); ok {
		return "{" + s + "}"
	}
	return "[" + s + "]"
}

func columnWidths(keys []string, rows [][]string) []int {
	var widths []int
	for _, row := range slices.Concat([][]string{keys}, rows) {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	return widths
}

func gridWidth(widths []int) int {
	total := 1
	for _, w := range widths {
		total += w + 3
	}
	return total
}

// writeGrid draws a table in the AWS CLI's style: its name in the first row, then
// the heads of the columns, then the rows.
func writeGrid(b *bytes.Buffer, name string, heads []string, rows [][]string) {
	widths := columnWidths(heads, rows)
	if short := utf8.RuneCountInString(name) + 4 - gridWidth(widths); short > 0 {
		widths[len(widths)-1] += short
	}
	rule := "+"
	for _, w := range widths {
		rule += strings.Repeat("-", w+2) + "+"
	}
	rule += "\n"
	if name != "" {
		inner := gridWidth(widths) - 2
		left := (inner - utf8.RuneCountInString(name)) / 2
		fmt.Fprintf(b, "%s\n|%s%s%s|\n", strings.Repeat("-", inner+2), strings.Repeat(" ", left), name,
			strings.Repeat(" ", inner-left-utf8.RuneCountInString(name)))
	}
	b.WriteString(rule)
	if len(heads) > 0 {
		writeGridRow(b, widths, heads)
		b.WriteString(rule)
	}
	for _, row := range rows {
		writeGridRow(b, widths, row)
	}
	b.WriteString(rule)
}

func writeGridRow(b *bytes.Buffer, widths []int, row []string) {
	for i, w := range widths {
		text := ""
		if i < len(row) {
			text = row[i]
		}
		fmt.Fprintf(b, "| %s%s ", text, strings.Repeat(" ", w-utf8.RuneCountInString(text)))
	}
	b.WriteString("|\n")
}
