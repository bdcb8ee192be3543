package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/guest/disk"
)

func TestBoots(t *testing.T) {
	one, two := "2026-11-28T01:20:54.571Z vpcemu: boot 1\na\n", "2026-11-28T01:20:59.260Z vpcemu: boot 2\nb\n"
	for text, want := range map[string][]string{"": {""}, one: {one}, one + two: {one, two}, "cut\n" + two: {"cut\n", two}} {
		var got []string
		for _, b := range Boots([]byte(text)) {
			got = append(got, string(b))
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// Who follows a log misses nothing when it is put aside.
func TestConsoleFrom(t *testing.T) {
	state := t.TempDir()
	dir := filepath.Join(state, "disks", "i-1")
	if _, err := ReadConsole(state, "i-1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a disk: %v", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(disk.Console, "one\n")
	text, at, err := readConsole(state, "i-1")
	if err != nil || string(text) != "one\n" {
		t.Fatalf("%q, %v", text, err)
	}
	write(disk.Console, "one\ntwo\n")
	text, at, err = consoleFrom(state, "i-1", at)
	if err != nil || string(text) != "two\n" {
		t.Errorf("%q, %v", text, err)
	}
	write(disk.OldConsole, "one\ntwo\nthree\n")
	write(disk.Console, "4\n")
	text, at, err = consoleFrom(state, "i-1", at)
	if err != nil || string(text) != "three\n4\n" || at != 2 {
		t.Errorf("put aside: %q up to %d, %v", text, at, err)
	}
	if text, err := ReadConsole(state, "i-1"); err != nil || string(text) != "one\ntwo\nthree\n4\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// A log that root of the instance has made longer than memory is no danger to who reads it, which is the daemon too.
func TestReadConsole_Bounded(t *testing.T) {
	state := t.TempDir()
	dir := filepath.Join(state, "disks", "i-1")
	logs := filepath.Join(dir, "upper/var/log/vpcemu")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, disk.Console), filepath.Join(dir, disk.OldConsole), filepath.Join(logs, "x.log")} {
		f, err := os.Create(path)
		if err == nil {
			err = errors.Join(f.Truncate(1<<42), f.Close()) // of holes
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if text, at, err := readConsole(state, "i-1"); err != nil || len(text) != 2*maxConsoleRead || at != 1<<42 {
		t.Errorf("%d bytes up to %d, %v", len(text), at, err)
	}
	if text, at, err := consoleFrom(state, "i-1", 3); err != nil || len(text) != maxConsoleRead || at != 1<<42 {
		t.Errorf("followed: %d bytes up to %d, %v", len(text), at, err)
	}
	if text, err := ReadUnitLog(state, "i-1", "x"); err != nil || len(text) != maxUnitLogRead {
		t.Errorf("service: %d bytes, %v", len(text), err)
	}
}

// Root of an instance can put what it likes where its logs are.
func TestReadUnitLog_StaysOnTheDisk(t *testing.T) {
	state := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("the host's"), 0o600); err != nil {
		t.Fatal(err)
	}
	logs := filepath.Join(state, "disks/i-1/upper/var/log/vpcemu")
	if err := errors.Join(os.MkdirAll(logs, 0o755), os.WriteFile(logs+"/ok.log", []byte("fine"), 0o600), os.Symlink(secret, logs+"/link.log"),
		os.MkdirAll(state+"/disks/i-2/upper/var", 0o755), os.Symlink(filepath.Dir(secret), state+"/disks/i-2/upper/var/log"),
		os.MkdirAll(state+"/disks/i-3/mounts/var/upper/log/vpcemu", 0o755), os.WriteFile(state+"/disks/i-3/mounts/var/upper/log/vpcemu/x.log", []byte("own"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ id, unit, want string }{{"i-1", "ok", "fine"}, {"i-1", "ok.service", "fine"}, {"i-3", "x", "own"}} {
		if text, err := ReadUnitLog(state, c.id, c.unit); err != nil || string(text) != c.want {
			t.Errorf("%s of %s: %q, %v", c.unit, c.id, text, err)
		}
	}
	for _, c := range [][2]string{{"i-1", "link"}, {"i-1", "../../../../secret"}, {"i-1", "none"}, {"i-2", "secret"}, {"../i-1", "ok"}} {
		if text, err := ReadUnitLog(state, c[0], c[1]); err == nil {
			t.Errorf("%s of %s: %q", c[1], c[0], text)
		}
	}
}
