package main

import (
	"errors"
	"strings"
	"testing"
)

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{"": 0, "1": 1, "500B": 500, "4kB": 4000, "4k": 4000, "100MB": 100e6, "2M": 2e6, "1GiB": 1 << 30, "3 KiB": 3 << 10, "7G": 7e9} {
		if n, err := parseSize(s); n != want || err != nil {
			t.Errorf("%q: %d, %v, want %d", s, n, err, want)
		}
	}
	for _, s := range []string{"0", "-1", "x", "5x", "MB", "1.5MB", "99999999999999999999", "9999999999GiB", "1e9"} {
		if n, err := parseSize(s); err == nil {
			t.Errorf("%q: %d", s, n)
		}
	}
}

func TestCaptureFlags(t *testing.T) {
	for _, c := range []struct {
		line, want string
	}{
		{"", "-w FILE"},
		{"-w x -f tcp -- udp", "given twice"},
		{"-w x --rotate-size 5x", "--rotate-size"},
		{"-w x --nat during", "before, after or both"},
		{"-w x --snaplen -1", "below 0"},
		{"-w x --duration -1s", "below 0"},
		{"-w - --rotate-size 5MB", "does not rotate"},
		{"-w - --files 3", "does not rotate"},
		{"-w x --files 3", "--rotate-size or --rotate-time"},
		{"-w x -c -3", "invalid argument"},
		{"-w x --lap y", "unknown flag"},
	} {
		root := newRoot()
		root.SetArgs(append([]string{"capture"}, strings.Fields(c.line)...))
		err := root.ExecuteContext(t.Context())
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("capture %s: %v, want %s", c.line, err, c.want)
		}
	}
}
