package matrix

import (
	_ "embed"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/internal/control"
)

//go:embed matrix.html
var page string

var pageTemplate = template.Must(template.New("matrix").Parse(page))

// HTML writes the matrix as one page that needs nothing else: no script or style from
// elsewhere. Pointing at a cell tells what is reached and why the rest is not.
func HTML(w io.Writer, x *control.Matrix, lab string, at time.Time) error {
	p := htmlPage{Lab: lab, At: at.Format("2006-01-02 15:04:05 MST"), Notes: Notes(x)}
	for _, to := range x.To {
		p.To = append(p.To, endOf(to))
	}
	for i, from := range x.From {
		row := htmlRow{From: endOf(from)}
		for k, to := range x.To {
			c := cellOf(x.Cells[i][k], from, to)
			switch c.Class {
			case "all", "some":
				p.Open++
			case "none":
				p.Closed++
			}
			row.Cells = append(row.Cells, c)
		}
		p.Rows = append(p.Rows, row)
	}
	return pageTemplate.Execute(w, p)
}

type htmlPage struct {
	Lab, At      string
	To           []htmlEnd
	Rows         []htmlRow
	Notes        []string
	Open, Closed int
}

type htmlEnd struct {
	Name, Full, Kind string
	Details          []string // addresses, subnet
}

type htmlRow struct {
	From  htmlEnd
	Cells []htmlCell
}

type htmlCell struct {
	Class string // all, some, none, self
	Lines []string
	Head  string
	Open  []string // what is reached, by protocol
	Shut  []string // what is not, and why
}

func endOf(e control.MatrixEnd) htmlEnd {
	h := htmlEnd{Name: name(e), Full: full(e), Kind: strings.ReplaceAll(e.Kind, " ", "-")}
	for _, d := range []string{e.Private, e.Public, e.Subnet} {
		if d != "" {
			h.Details = append(h.Details, d)
		}
	}
	return h
}

func cellOf(c control.MatrixCell, from, to control.MatrixEnd) htmlCell {
	h := htmlCell{Class: "some", Head: full(from) + " → " + full(to)}
	if c.Destination != "" {
		h.Head += " (" + c.Destination + ")"
	}
	switch {
	case c.Self:
		return htmlCell{Class: "self", Lines: []string{own}, Head: full(from) + " itself"}
	case everything(c):
		h.Class = "all"
	case c.Summary() == "-":
		h.Class = "none"
	}
	if h.Class != "none" {
		h.Open = strings.Split(c.Summary(), "; ")
	}
	h.Shut = c.Reasons()
	if from.Note != "" {
		h.Shut = append(h.Shut, from.Note)
	}
	h.Lines = h.Open
	if h.Class == "all" {
		h.Lines = []string{"all"}
	}
	return h
}
