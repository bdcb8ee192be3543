package importer

import (
	"os"
	"testing"
)

func TestX(t *testing.T) {
	var s []Source
	for _, n := range os.Args {
		if b, err := os.ReadFile(n); err == nil && n[len(n)-5:] == ".json" {
			s = append(s, Source{n, b})
		}
	}
	r, err := Import(s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout.Write(r.Text)
	t.Log(r.Invalid, r.Counts)
}
