package transfer

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tree makes a directory with a bit of everything and returns its path.
func tree(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "src")
	for _, err := range []error{
		os.MkdirAll(dir+"/d/empty", 0o755),
		os.WriteFile(dir+"/f", []byte("one"), 0o640),
		os.WriteFile(dir+"/d/run", []byte("#!/bin/sh\n"), 0o755),
		os.Symlink("f", dir+"/link"),
		os.Symlink("/etc/passwd", dir+"/out"),
		os.Chmod(dir+"/d/empty", 0o1777),
		os.Chtimes(dir+"/f", time.Unix(1e9, 7000), time.Unix(1e9, 7000)),
		os.Chtimes(dir+"/d", time.Unix(2e9, 0), time.Unix(2e9, 0)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// list tells what is at path: names, modes, links, contents, times.
func list(t testing.TB, path string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		line := strings.TrimPrefix(p, path) + " " + fi.Mode().String()
		switch {
		case fi.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			line += " " + to
		case fi.Mode().IsRegular():
			text, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += " " + string(text) + fi.ModTime().String()
		default:
			line += fi.ModTime().String()
		}
		all = append(all, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func sent(t testing.TB, path string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Send(&b, path); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func copyTo(t testing.TB, from, to string) error {
	t.Helper()
	return Receive(bytes.NewReader(sent(t, from)), to, Options{})
}

// Where a copy goes, as with cp -r.
func TestCopy_Destinations(t *testing.T) {
	src := tree(t)
	for _, c := range []struct{ from, to, want string }{
		{src, "new", "new"},
		{src, "new/", "new"},
		{src, ".", "src"},
		{src, "there", "there/src"},
		{src + "/", "there/", "there/src"},
		{src + "/.", "there", "there"},
		{src + "/.", "new", "new"},
	} {
		dst := t.TempDir()
		if err := os.Mkdir(dst+"/there", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := copyTo(t, c.from, dst+"/"+c.to); err != nil {
			t.Errorf("%s to %s: %v", c.from, c.to, err)
			continue
		}
		want, got := list(t, src), list(t, filepath.Join(dst, c.want))
		if c.want == "there" { // it was there, and keeps its own mode and time
			want, got = want[1:], got[1:]
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s to %s:\n%s\nwant\n%s", c.from, c.to, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	dst := t.TempDir()
	for _, c := range []struct{ to, want string }{{"g", "g"}, {".", "f"}, {"g", "g"}} {
		if err := copyTo(t, src+"/f", filepath.Join(dst, c.to)); err != nil {
			t.Error(err)
		} else if text, err := os.ReadFile(filepath.Join(dst, c.want)); err != nil || string(text) != "one" {
			t.Errorf("f to %s: %q, %v", c.to, text, err)
		}
	}
	// A link is copied as a link, with a slash behind it as what it leads to.
	if err := os.Symlink(src+"/d", dst+"/way"); err != nil {
		t.Fatal(err)
	}
	if err := copyTo(t, dst+"/way", dst+"/copied"); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(dst + "/copied"); err != nil || to != src+"/d" {
		t.Errorf("%q, %v", to, err)
	}
	if err := copyTo(t, dst+"/way/", dst+"/followed"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dst + "/followed/run"); err != nil {
		t.Error(err)
	}
}

func TestBase(t *testing.T) {
	for path, want := range map[string]string{"a": "a", "a/": "a", "/a/b": "b", ".": ".", "/": ".", "a/.": ".", "..": ".", "a/..": ".", "../": ".", "a/../": ".", "..a": "..a"} {
		if got := Base(path); got != want {
			t.Errorf("%q: %q, not %q", path, got, want)
		}
	}
}

func TestCopy_Refusals(t *testing.T) {
	src, dst := tree(t), t.TempDir()
	if err := errors.Join(os.WriteFile(dst+"/file", nil, 0o600), os.MkdirAll(dst+"/dir/f", 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, to string
		want     error
	}{
		{src, "file", unix.ENOTDIR},
		{src + "/f", "file/", unix.ENOTDIR},
		{src + "/f", "new/", unix.ENOENT},
		{src + "/f", "no/new", unix.ENOENT},
		{src + "/f", "dir", unix.EISDIR},
		{src, "no/new", unix.ENOENT},
	} {
		err := copyTo(t, c.from, filepath.Join(dst)+"/"+c.to)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), dst) {
			t.Errorf("%s to %s: %v, want %v", c.from, c.to, err, c.want)
		}
	}
	if got := list(t, dst); len(got) != 4 {
		t.Errorf("left behind: %q", got)
	}
	if err := Send(&bytes.Buffer{}, src+"/nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := Send(&bytes.Buffer{}, "/dev/null"); err == nil || !strings.Contains(err.Error(), "/dev/null") {
		t.Error(err)
	}
	// What cannot be copied is told after all else is there.
	if err := unix.Mkfifo(src+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Send(&b, src); err == nil || !strings.Contains(err.Error(), "pipe") {
		t.Error(err)
	}
	if err := Receive(&b, dst+"/all", Options{}); err != nil {
		t.Error(err)
	}
}

// A stream that is cut anywhere is an error, and leaves nothing.
func TestReceive_CutShort(t *testing.T) {
	src := tree(t)
	for _, from := range []string{src, src + "/f", src + "/link"} {
		data := sent(t, from)
		end := len(data) - 1024 - 3*512 // the mark: a header, its records, and their header
		for n := 0; n <= end; n += 256 {
			dst := t.TempDir()
			if err := Receive(bytes.NewReader(data[:n]), dst+"/new", Options{}); !errors.Is(err, ErrCut) {
				t.Errorf("%s after %d of %d bytes: %v", from, n, len(data), err)
			}
			if left := list(t, dst); len(left) != 1 {
				t.Errorf("%s after %d bytes: left %q", from, n, left)
			}
		}
	}
}

// The sender still writes the end of the tar file when everything was received: if nobody reads it, SIGPIPE makes a
// failure of a copy that is complete.
func TestReceive_ReadsToTheEnd(t *testing.T) {
	for _, path := range []string{tree(t), tree(t) + "/f"} {
		stream := bytes.NewReader(sent(t, path))
		if err := Receive(stream, filepath.Join(t.TempDir(), "copy"), Options{}); err != nil {
			t.Fatal(err)
		}
		if n := stream.Len(); n > 0 {
			t.Errorf("%s: %d bytes of the stream were left unread", filepath.Base(path), n)
		}
	}
}

func TestReceive_Owners(t *testing.T) {
	src := tree(t)
	if err := errors.Join(os.Lchown(src+"/link", 12, 34), os.Chown(src+"/d/run", 12, 34), os.Chmod(src+"/d/run", fs.ModeSetuid|0o755)); err != nil {
		t.Fatal(err)
	}
	data := sent(t, src)
	for owners, want := range map[bool]struct {
		uid  uint32
		mode uint32
	}{true: {12, 0o4755}, false: {uint32(os.Getuid()), 0o755}} {
		dst := t.TempDir()
		if err := Receive(bytes.NewReader(data), dst+"/new", Options{Owners: owners}); err != nil {
			t.Fatal(err)
		}
		var run, link unix.Stat_t
		if err := errors.Join(unix.Stat(dst+"/new/d/run", &run), unix.Lstat(dst+"/new/link", &link)); err != nil {
			t.Fatal(err)
		}
		if run.Uid != want.uid || run.Mode&0o7777 != want.mode || link.Uid != want.uid {
			t.Errorf("owners %v: %d %o, link %d", owners, run.Uid, run.Mode, link.Uid)
		}
	}
}

// Whatever a stream says, nothing is made outside of the destination.
func hostile(t testing.TB, outside string) map[string][]byte {
	streams := map[string][]byte{}
	for name, headers := range map[string][]tar.Header{
		"dots":         {{Typeflag: tar.TypeDir, Name: "d/"}, {Typeflag: tar.TypeReg, Name: "d/../../x"}},
		"absolute":     {{Typeflag: tar.TypeDir, Name: "d/"}, {Typeflag: tar.TypeReg, Name: outside + "/x"}},
		"through link": {{Typeflag: tar.TypeDir, Name: "d/"}, {Typeflag: tar.TypeSymlink, Name: "d/l", Linkname: outside}, {Typeflag: tar.TypeReg, Name: "d/l/x"}},
		"first name":   {{Typeflag: tar.TypeReg, Name: "../x"}},
		"first dots":   {{Typeflag: tar.TypeReg, Name: ".."}},
		"hard link":    {{Typeflag: tar.TypeDir, Name: "d/"}, {Typeflag: tar.TypeLink, Name: "d/x", Linkname: "/etc/passwd"}},
		"device":       {{Typeflag: tar.TypeChar, Name: "x"}},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range headers {
			h.Mode = 0o755
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "end", PAXRecords: map[string]string{endMark: "1"}}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		streams[name] = b.Bytes()
	}
	return streams
}

func TestReceive_StaysInTheDestination(t *testing.T) {
	outside := t.TempDir()
	for name, data := range hostile(t, outside) {
		parent := t.TempDir()
		dst := parent + "/dst"
		if err := os.Mkdir(dst, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := Receive(bytes.NewReader(data), dst, Options{}); err == nil {
			t.Errorf("%s: taken", name)
		}
		if left := append(list(t, outside)[1:], list(t, parent)[2:]...); len(left) > 0 {
			t.Errorf("%s: left %q", name, left)
		}
	}
}

func FuzzReceive(f *testing.F) {
	f.Add(sent(f, tree(f)))
	for _, data := range hostile(f, "/nowhere") {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		parent := t.TempDir()
		if err := os.Mkdir(parent+"/dst", 0o700); err != nil {
			t.Fatal(err)
		}
		if len(data) > 1<<16 {
			return
		}
		_ = Receive(bytes.NewReader(data), parent+"/dst", Options{})
		entries, err := os.ReadDir(parent)
		if err != nil || len(entries) != 1 {
			t.Fatalf("outside: %v, %v", entries, err)
		}
	})
}
