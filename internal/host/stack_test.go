package host_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A file system that the host has mounted apart, such as /var, shows inside, and what is written to it stays inside
// and on the disk.
func TestStart_SeparateMountIsStacked(t *testing.T) {
	h, cfg := newLab(t)
	point, err := os.MkdirTemp("/srv", "vpcemu-host-test")
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(filepath.Dir(cfg.RunDir), "source")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(source, point, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
		if err := os.Remove(point); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(source+"/host", []byte("host\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	spec := internetHost("i-1", "web")
	s := start(t, h, spec)
	if got := shell(t, cfg, "i-1", "cd "+point+" && cat host && echo changed > host && echo mine > mine"); got != "host" {
		t.Errorf("inside: %q", got)
	}
	if text, _ := os.ReadFile(source + "/host"); string(text) != "host\n" {
		t.Errorf("the host's file is now %q", text)
	}
	if err := s.Stop(limited(t), time.Second); err != nil {
		t.Fatal(err)
	}
	spec.BootID = 2
	s = start(t, h, spec)
	if got := shell(t, cfg, "i-1", "cd "+point+" && cat host mine"); got != "changed\nmine" {
		t.Errorf("after a stop: %q", got)
	}
	if st, err := s.Status(limited(t)); err != nil || len(st.Notes) != 0 {
		t.Errorf("notes %q, %v", st.Notes, err)
	}
}
