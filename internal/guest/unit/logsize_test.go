package unit

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A program that does not stop writing goes on writing, and its log stays small.
func TestBoundLogs(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, LogDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(dir+"/u.log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ended := make(chan error, 1)
	go func() { ended <- BoundLogs(root) }()
	chunk := bytes.Repeat([]byte("0123456\n"), 1<<17)
	limit := time.Now().Add(20 * time.Second)
	for written := 0; ; written++ {
		if _, err := f.Write(chunk); err != nil {
			t.Fatal(err)
		}
		aside, err := os.Stat(dir + "/u.log.1")
		if err == nil && aside.Size() == maxLog {
			break
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(limit) {
			t.Fatalf("%d MiB were written, and nothing was put aside", written)
		}
	}
	// The file is still the one that the program has open.
	mine, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	there, err := os.Stat(dir + "/u.log")
	if err != nil || !os.SameFile(mine, there) {
		t.Errorf("another file is there: %v", err)
	}
}
