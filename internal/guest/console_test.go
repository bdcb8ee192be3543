package guest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/guest/disk"
)

// A log that is full becomes the old one, whatever wrote into it; programs that have it open go on.
func TestConsole_IsBounded(t *testing.T) {
	dir := t.TempDir()
	open := func(name string) *os.File {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	log := open("log")
	old, err := os.OpenFile(filepath.Join(dir, "old"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	c := newConsole(log, old)
	write := func(text string) {
		if _, err := log.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := c.bound(); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	for _, letter := range []string{"a", "b"} {
		write(strings.Repeat(letter, 3*disk.MaxConsole) + letter + "end\n")
		write("after " + letter + "\n")
		got, err := os.ReadFile(filepath.Join(dir, "old"))
		if err != nil || len(got) != disk.MaxConsole || !bytes.HasSuffix(got, []byte(letter+"end\n")) {
			t.Errorf("%s: old log of %d bytes, %v", letter, len(got), err)
		}
		if now, err := os.ReadFile(filepath.Join(dir, "log")); err != nil || string(now) != "after "+letter+"\n" {
			t.Errorf("%s: log %q, %v", letter, now, err)
		}
	}
}

func TestCountKilled(t *testing.T) {
	for text, want := range map[string]int{"": 0, "low 0\nhigh 0\noom 3\noom_kill 2\noom_group_kill 0\n": 2, "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n": 7, "oom_kill x\n": 0} {
		path := filepath.Join(t.TempDir(), "events")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := countKilled(f); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
		f.Close()
	}
}

func TestAddRoot(t *testing.T) {
	if got := addRoot("daemon:x:1:1::/:/bin/false\n"); !strings.HasPrefix(got, "root:x:0:0:root:/root:/") || !strings.HasSuffix(got, "\ndaemon:x:1:1::/:/bin/false\n") {
		t.Errorf("%q", got)
	}
	if text := "x:x:1:1::/:\nroot:x:0:0::/:/bin/ash\n"; addRoot(text) != text {
		t.Error("root was there already")
	}
}
