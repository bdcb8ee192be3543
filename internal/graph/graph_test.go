package graph_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/graph"
	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/internal/vpc"
	"github.com/vpcemu/vpcemu/topologies"
)

var update = flag.Bool("update", false, "write the files of testdata")

var now = time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)

// lesson is the model of a topology that comes with vpcemu.
func lesson(t testing.TB, name string) *vpc.Model {
	t.Helper()
	f, err := topology.ParseFS(topologies.FS(), name+".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return converge(t, f)
}

// modelOf is the model of a lesson, or of testdata/NAME.yaml.
func modelOf(t testing.TB, name string) *vpc.Model {
	t.Helper()
	path := filepath.Join("testdata", name+".yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		return lesson(t, name)
	}
	f, err := topology.Parse(path, text)
	if err != nil {
		t.Fatal(err)
	}
	return converge(t, f)
}

// labOf is the model of a topology's text without its head.
func labOf(t testing.TB, text string) *vpc.Model {
	t.Helper()
	f, err := topology.Parse("test.yaml", []byte("version: 1\nname: test\nregion: ap-northeast-1\ndefault_vpc: false\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return converge(t, f)
}

func converge(t testing.TB, f *topology.File) *vpc.Model {
	t.Helper()
	m, _, _, err := f.Converge(nil, now, topology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &m
}

func render(t testing.TB, format string, m *vpc.Model, trace *control.Trace) string {
	t.Helper()
	text, err := graph.Render(format, m, trace)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := graph.Render(format, m, trace); again != text {
		t.Errorf("%s: not the same text twice", format)
	}
	return text
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got; write it with -update):\n%s", path, d)
	}
}

// TestPictures: the pictures of two lessons and of traces are as they were when a person
// last looked at them.
func TestPictures(t *testing.T) {
	for _, c := range []struct {
		name, lesson string
		trace        *control.TraceRequest
	}{
		{"book", "book", nil}, {"three-tier", "three-tier", nil}, {"default-vpc", "default-vpc", nil},
		{"acl-ephemeral-traced", "acl-ephemeral", &control.TraceRequest{From: "laptop", To: "web", Protocol: "tcp", Port: 22}},
		{"book-traced", "book", &control.TraceRequest{From: "db", To: "server", Protocol: "tcp", Port: 80}},
		{"book-unreachable", "book", &control.TraceRequest{From: "laptop", To: "db", Protocol: "tcp", Port: 22}},
		{"three-tier-traced", "three-tier", &control.TraceRequest{From: "web-c", To: "db-a", Protocol: "tcp", Port: 3306}},
		{"mixed", "mixed", nil},
		{"mixed-appliance", "mixed", &control.TraceRequest{From: "web2", To: "server", Protocol: "tcp", Port: 80}},
		{"mixed-internet", "mixed", &control.TraceRequest{From: "internet", To: "fw", Protocol: "tcp", Port: 22}},
		{"mixed-nobody", "mixed", &control.TraceRequest{From: "web2", To: "10.0.1.99", Protocol: "tcp", Port: 22}},
		{"mixed-stopped", "mixed", &control.TraceRequest{From: "web1", To: "10.0.1.6", Protocol: "tcp", Port: 80}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := running(modelOf(t, c.lesson))
			var trace *control.Trace
			if c.trace != nil {
				trace = traced(t, m, *c.trace)
			}
			golden(t, c.name+".svg", render(t, "svg", m, trace))
			golden(t, c.name+".mmd", render(t, "mermaid", m, trace))
			golden(t, c.name+".dot", render(t, "dot", m, trace))
		})
	}
}

// TestLessons: every topology that comes with vpcemu can be drawn, and all that is in it
// is in the picture.
func TestLessons(t *testing.T) {
	for _, name := range topologies.Names() {
		t.Run(name, func(t *testing.T) {
			m := lesson(t, name)
			for _, format := range graph.Formats {
				text := render(t, format, m, nil)
				wellFormed(t, format, text)
				for _, i := range m.Instances.All() {
					e := m.InstanceInterfaces(i.ID)[0]
					for _, want := range []string{i.Name(), e.PrivateIps[0].PrivateIp.String()} {
						if !strings.Contains(text, want) {
							t.Errorf("%s does not show %s", format, want)
						}
					}
				}
				for _, h := range m.InternetHosts.All() {
					if !strings.Contains(text, h.HostName) || !strings.Contains(text, h.PublicIp.String()) {
						t.Errorf("%s does not show host %s", format, h.HostName)
					}
				}
			}
		})
	}
}

func TestUnknownFormat(t *testing.T) {
	if _, err := graph.Render("png", &vpc.Model{}, nil); err == nil || !strings.Contains(err.Error(), "svg, mermaid, dot") {
		t.Errorf("error %v", err)
	}
}

// TestEmpty: a lab with nothing in it has pictures, too.
func TestEmpty(t *testing.T) {
	for _, format := range graph.Formats {
		wellFormed(t, format, render(t, format, &vpc.Model{Lab: "empty"}, nil))
	}
}

// TestHundredInstances: a large lab has a picture of a shape to look at.
func TestHundredInstances(t *testing.T) {
	var b strings.Builder
	b.WriteString("vpcs:\n  main: {cidr_block: 10.0.0.0/16}\nsubnets:\n  a: {vpc: main, cidr_block: 10.0.0.0/24}\ninstances:\n")
	for i := range 100 {
		b.WriteString("  node" + string(rune('a'+i/10)) + string(rune('0'+i%10)) + ": {subnet: a}\n")
	}
	m := labOf(t, b.String())
	d := xml.NewDecoder(strings.NewReader(render(t, "svg", m, nil)))
	for {
		tok, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := tok.(xml.StartElement); ok {
			var w, h float64
			for _, a := range e.Attr {
				switch a.Name.Local {
				case "width":
					w = parseFloat(t, a.Value)
				case "height":
					h = parseFloat(t, a.Value)
				}
			}
			if w > 2*h || h > 2*w || w > 2600 {
				t.Errorf("the picture is %v x %v", w, h)
			}
			return
		}
	}
}

// wellFormed checks the syntax of a picture.
func wellFormed(t interface{ Errorf(string, ...any) }, format, text string) {
	switch format {
	case "svg":
		d := xml.NewDecoder(strings.NewReader(text))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Errorf("svg: %v", err)
				return
			}
		}
	case "dot":
		checkDOT(t, text)
	case "mermaid":
		checkMermaid(t, text)
	}
}
