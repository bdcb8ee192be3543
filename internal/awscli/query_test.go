package awscli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func queried(t *testing.T, text, format string) (string, error) {
	t.Helper()
	answer, err := os.ReadFile(filepath.Join("testdata", "answer.json"))
	if err != nil {
		t.Fatal(err)
	}
	query, err := newQuery(text)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = Print(&b, answer, format, query)
	return b.String(), err
}

func TestQuery_Tables(t *testing.T) {
	for text, want := range map[string]string{
		"Reservations[].Instances[].{Z: InstanceId, A: State.Name}": `
+---------------------+---------+
| Z                   | A       |
+---------------------+---------+
| i-048b61ffea11e70cf | running |
| i-0f8ebfdb6e64489be | running |
+---------------------+---------+`,
		"Reservations[].Instances[].[PrivateIpAddress, PublicIpAddress]": `
+-----------+-------------+
| 10.30.1.4 | None        |
| 10.30.0.4 | 203.0.113.1 |
+-----------+-------------+`,
		"Reservations[].Instances[].PrivateIpAddress": `
+-----------+
| 10.30.1.4 |
| 10.30.0.4 |
+-----------+`,
		"Reservations[*].Instances[*].State": `
+------+---------+
| Code | Name    |
+------+---------+
| 16   | running |
+------+---------+
+------+---------+
| Code | Name    |
+------+---------+
| 16   | running |
+------+---------+`,
		"Reservations[0].OwnerId": `
+--------------+
| 123456789012 |
+--------------+`,
		"Reservations[0].Nope": "",
		"Reservations[?Nope]":  "",
	} {
		got, err := queried(t, text, "table")
		if d := cmp.Diff(strings.TrimPrefix(want, "\n"), strings.TrimSuffix(got, "\n")); d != "" || err != nil {
			t.Errorf("%s: %v, -want +got:\n%s", text, err, d)
		}
	}
}

func TestQuery_YAML(t *testing.T) {
	got, err := queried(t, "Reservations[0].Instances[0].{Z: InstanceId, Nope: Nope, A: State}", "yaml")
	if want := "Z: i-048b61ffea11e70cf\nNope: null\nA:\n  Code: 16\n  Name: running\n"; got != want || err != nil {
		t.Errorf("got %v\n%s", err, got)
	}
}

func TestQuery_Faults(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "invalid JMESPath expression",
		"Reservations[":        "Reservations[: invalid JMESPath expression",
		"Reservations[?a==`{`": "invalid JMESPath expression",
		"nofunction(@)":        "--query: unknown function: nofunction",
		"length(Nope)":         `--query: Invalid type for: null, expected: "string", "array", "object"`,
		"sum(Reservations)":    "--query: Invalid type",
	} {
		if _, err := queried(t, text, "json"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// Names are found where objects are made, and not in text, literals or slices.
func TestQuery_Names(t *testing.T) {
	got := namesIn("a[0:2].{B: x, \"c \\\"d\" : y[?k=='e: f' && l==`\"g: h\"`], A:z}[::-1] | {B: @}")
	if d := cmp.Diff([]string{"B", `c "d`, "A"}, got); d != "" {
		t.Error(d)
	}
}

func FuzzQuery(f *testing.F) {
	for _, text := range []string{"Reservations[].Instances[].{Z: InstanceId}", "`a", "a[?b==`c`] | [0]", "sort_by(@, &a)", "*.*", "{\"\\u0000\": @}"} {
		f.Add(text)
	}
	answer, err := os.ReadFile(filepath.Join("testdata", "answer.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		query, err := newQuery(text)
		if err != nil {
			return
		}
		for _, format := range Formats {
			_ = Print(&bytes.Buffer{}, answer, format, query) // an error is an answer, a panic is not
		}
	})
}
