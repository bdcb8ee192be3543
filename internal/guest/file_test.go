package guest

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Whatever the instance's users put in the place of a file, PID 1 neither waits nor swells.
func TestReadFile_OnlyWhatIsAFile(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(path("file"), []byte("text"), 0o600),
		os.Symlink("file", path("link")),
		os.Symlink("/dev/zero", path("endless")),
		syscall.Mkfifo(path("pipe"), 0o600),
		os.WriteFile(path("sparse"), nil, 0o600),
		os.Truncate(path("sparse"), 1<<40),
		os.Mkdir(path("dir"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, ok := range map[string]bool{"file": true, "link": true, "endless": false, "pipe": false, "sparse": false, "dir": false, "none": false} {
		data, err := readFile(path(name))
		if (err == nil) != ok || ok && string(data) != "text" {
			t.Errorf("%s: %.10q, %v", name, data, err)
		}
	}
	if _, err := readFile(path("none")); !os.IsNotExist(err) {
		t.Errorf("a missing file: %v", err)
	}
}
