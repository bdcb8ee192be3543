package main

import (
	"errors"
	"strings"
	"testing"
)

// A command line that is wrong is told before any lab is looked for.
func TestFlowLogs_WrongCommandLines(t *testing.T) {
	for line, want := range map[string]string{
		"--format srcaddr":                     "say of whom with --on",
		"--interval 5s":                        "say of whom with --on",
		"all --traffic-type ALL":               "say of whom with --on",
		"--duration 5s":                        "say of whom with --on",
		"all --on web":                         "not both",
		"-f --on web":                          "goes on by itself",
		"--on web --interval 500ms":            "whole seconds",
		"--on web --interval 11m":              "whole seconds",
		"--on web --traffic-type DENY":         "use ALL, ACCEPT or REJECT",
		"--on web --duration -1s":              "--duration",
		"--on web --format colour":             "unknown fields in the log format: colour",
		"--on web --format ":                   "single quotes",
		"--on web --format ${srcaddr},${dst}x": "one blank between them",
		"--on=":                                "--on: its value is empty",
		"a b":                                  "wrong number of arguments",
	} {
		root := newRoot()
		root.SetArgs(append([]string{"flow-logs"}, strings.Split(line, " ")...))
		err := root.Execute()
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", line, err, want)
		}
	}
}
