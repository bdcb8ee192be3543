package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/graph"
	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/topologies"
)

// command runs a command line, without a lab on the machine.
func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	t.Setenv("VPCEMU_STATE_DIR", filepath.Join(t.TempDir(), "state"))
	t.Setenv("VPCEMU_RUN_DIR", filepath.Join(t.TempDir(), "run"))
	t.Setenv("VPCEMU_LAB", "")
	var out strings.Builder
	root := newRoot()
	root.SetOut(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(context.Background())
	return out.String(), err
}

// A file is drawn without a lab.
func TestGraphOfFiles(t *testing.T) {
	begins := map[string]string{"svg": "<svg ", "mermaid": "flowchart TB\n", "dot": "digraph "}
	for _, name := range topologies.Names() {
		for _, format := range graph.Formats {
			out, err := command(t, "graph", name, "-o", format)
			if err != nil || !strings.HasPrefix(out, begins[format]) {
				t.Errorf("graph %s -o %s: %.40q, %v", name, format, out, err)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "book.svg")
	out, err := command(t, "graph", "book", "--out", path)
	if err != nil || out != "" {
		t.Fatalf("graph --out: %q, %v", out, err)
	}
	if text, err := os.ReadFile(path); err != nil || !strings.HasSuffix(string(text), "</svg>\n") {
		t.Errorf("the file has %.40q, %v", text, err)
	}
}

func TestGraphRefuses(t *testing.T) {
	for _, c := range []struct {
		line, says string
	}{
		{"graph book -o png", "use svg, mermaid, dot"},
		{"graph laptop web tcp/22", "graph wants one FILE"},
		{"graph --trace web tcp/22", "--trace wants FROM TO PROTO[/PORT]"},
		{"graph --trace laptop web tcp/nonsense", "nonsense"},
	} {
		_, err := command(t, strings.Fields(c.line)...)
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.line, err)
		}
	}
	if _, err := command(t, "graph"); err == nil || !strings.Contains(err.Error(), "there is no lab") {
		t.Errorf("without a lab: %v", err)
	}
	file := filepath.Join(t.TempDir(), "wrong.yaml")
	if err := os.WriteFile(file, []byte("version: 1\nvpcs: {a: {cidr_block: 10.0.0.0/8}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := command(t, "graph", file)
	var invalid topology.Errors
	if !errors.As(err, &invalid) {
		t.Errorf("a file that is wrong: %v", err)
	}
}
