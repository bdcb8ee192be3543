package matrix

import (
	"encoding/csv"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/explain/labtest"
)

var update = flag.Bool("update", false, "write testdata/*")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

var at = time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)

func html(t *testing.T, x *control.Matrix) string {
	t.Helper()
	var b strings.Builder
	if err := HTML(&b, x, "book", at); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFormatsOfTheBook(t *testing.T) {
	x := fill(t, labtest.Embedded(t, "book"), control.MatrixRequest{})
	var rows strings.Builder
	for _, r := range Rows(x) {
		fmt.Fprintln(&rows, strings.Join(r, " | "))
	}
	golden(t, "book.txt", rows.String())
	golden(t, "book.html", html(t, x))
	var b strings.Builder
	if err := CSV(&b, x); err != nil {
		t.Fatal(err)
	}
	golden(t, "book.csv", b.String())
}

// A wide matrix is listed, a line a pair that is connected.
func TestWideMatrixIsListed(t *testing.T) {
	x := fill(t, labtest.Embedded(t, "three-tier"), control.MatrixRequest{})
	rows := Rows(x)
	if got := strings.Join(rows[0], " ") + ", " + strings.Join(rows[1], " "); got != "FROM TO REACHES, app-a db-a tcp 3306" {
		t.Error(got)
	}
	for _, r := range rows[1:] {
		if r[2] == "-" || r[2] == own {
			t.Errorf("%v", r)
		}
	}
}

// awkward has names that HTML and spreadsheets would take for their own.
var awkward = &control.Matrix{
	From: []control.MatrixEnd{{Object: control.Object{Kind: "instance", Name: `<b>&"'` + strings.Repeat("x", 60)}, Note: "instance a<b is stopped"}},
	To:   []control.MatrixEnd{{Object: control.Object{Kind: "instance", Name: "=1+1"}}, {Object: control.Object{Kind: "interface", ID: "eni-1"}}},
	Cells: [][]control.MatrixCell{{{Destination: "10.0.0.1", Spans: []control.MatrixSpan{{Protocol: "tcp", From: 1, To: 65535, Reason: "</template>"}}},
		{Spans: []control.MatrixSpan{{Protocol: "udp", From: 53, To: 53, Reached: true}, {Protocol: "icmp", Reached: true}}}}},
}

func TestPageIsWellFormed(t *testing.T) {
	for _, x := range []*control.Matrix{awkward, fill(t, labtest.Embedded(t, "three-tier"), control.MatrixRequest{}), {}} {
		page := html(t, x)
		if strings.Contains(page, "<b>&\"") || regexp.MustCompile(`(src|href)=`).MatchString(page) || strings.Contains(page, "ZgotmplZ") {
			t.Error("not escaped, or not self-contained")
		}
		// What HTML has beyond XML, for the parser of the standard library.
		page = regexp.MustCompile(`(?s)<(script|style)>.*?</(script|style)>|<!DOCTYPE html>|<meta [^>]*>`).ReplaceAllString(page, "")
		d := xml.NewDecoder(strings.NewReader(page))
		d.Entity = map[string]string{"nbsp": " "}
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestCSVReadsBack(t *testing.T) {
	var b strings.Builder
	if err := CSV(&b, awkward); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	want := [][]string{{"from", "'=1+1", "eni-1"}, {awkward.From[0].Name, "-", "udp 53; icmp"}}
	if diff := cmp.Diff(want, rows); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestSpansInWords(t *testing.T) {
	c := control.MatrixCell{Spans: []control.MatrixSpan{
		{Protocol: "tcp", From: 1, To: 21, Reason: "NO"}, {Protocol: "tcp", From: 22, To: 22, Reached: true}, {Protocol: "tcp", From: 23, To: 1023, Reason: "NO", OnReply: true},
		{Protocol: "tcp", From: 1024, To: 65535, Reached: true}, {Protocol: "udp", From: 1, To: 65535, Reason: "NO"}, {Protocol: "icmp", Reason: "NO"}}}
	if got := c.Summary(); got != "tcp 22,1024-65535" {
		t.Error(got)
	}
	if got := strings.Join(c.Reasons(), "; "); got != "tcp 1-21; udp all; icmp: NO; tcp 23-1023: NO (the answer)" {
		t.Error(got)
	}
	if got := short(control.MatrixCell{}); got != "-" {
		t.Error(got)
	}
}
