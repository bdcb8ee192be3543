package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A directory that says it is half of another lab is not taken for ours; one whose other half is gone, or
// is ours by another name, is.
func TestDirs_BelongTogether(t *testing.T) {
	base := t.TempDir()
	dir := func(name string) string {
		path := filepath.Join(base, name)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cfg := Config{Lab: "lab", StateDir: dir("state/lab"), RunDir: dir("run/lab")}
	if err := CheckDirs(cfg); err != nil {
		t.Fatalf("of an earlier vpcemu: %v", err)
	}
	if err := bindDirs(cfg); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		state, run string
		want       string // "": taken
	}{
		{cfg.StateDir, cfg.RunDir, ""},
		{filepath.Join(base, "other/lab"), cfg.RunDir, "set VPCEMU_STATE_DIR"},
		{dir("empty/lab"), cfg.RunDir, "set VPCEMU_STATE_DIR"},
		{cfg.StateDir, filepath.Join(base, "other/lab"), "set VPCEMU_RUN_DIR"},
		{filepath.Join(base, "other/lab"), filepath.Join(base, "other/lab"), ""},
	} {
		err := CheckDirs(Config{Lab: "lab", StateDir: c.state, RunDir: c.run})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s, %s: %v", c.state, c.run, err)
		}
	}
	if err := os.Symlink(filepath.Join(base, "state"), filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	if err := CheckDirs(Config{Lab: "lab", StateDir: filepath.Join(base, "link/lab"), RunDir: cfg.RunDir}); err != nil {
		t.Errorf("by a link: %v", err)
	}
	if err := os.Rename(filepath.Join(base, "state"), filepath.Join(base, "moved")); err != nil {
		t.Fatal(err)
	}
	if err := CheckDirs(Config{Lab: "lab", StateDir: filepath.Join(base, "moved/lab"), RunDir: cfg.RunDir}); err != nil {
		t.Errorf("moved: %v", err)
	}
}
