package host

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// archive writes a tar of the headers; a regular file's content is its own name.
func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(h.Name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "archive")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUnpack_KeepsWhatATreeIsMadeOf(t *testing.T) {
	at := time.Unix(1e9, 0)
	data := archive(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "./"},
		tar.Header{Typeflag: tar.TypeDir, Name: "./usr/", ModTime: at},
		tar.Header{Typeflag: tar.TypeReg, Name: "./usr/bin/su", Mode: 0o4755, Uid: 12, Gid: 34, ModTime: at},
		tar.Header{Typeflag: tar.TypeLink, Name: "./usr/bin/hard", Linkname: "./usr/bin/su"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "./bin", Linkname: "usr/bin", Uid: 5},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "./etc/mtab", Linkname: "/proc/mounts"},
		tar.Header{Typeflag: tar.TypeFifo, Name: "./pipe"},
		tar.Header{Typeflag: tar.TypeChar, Name: "./dev/sda", Devmajor: 8},
		tar.Header{Typeflag: tar.TypeReg, Name: "/abs"},
		tar.Header{Typeflag: tar.TypeReg, Name: "again", Mode: 0o600},
		tar.Header{Typeflag: tar.TypeReg, Name: "./again", Mode: 0o640},
	)
	tree := t.TempDir()
	if err := unpack(context.Background(), file(t, data), tree); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(tree+"/usr/bin/hard", &st); err != nil || st.Mode&0o7777 != 0o4755 || st.Uid != 12 || st.Gid != 34 || st.Nlink != 2 || st.Mtim.Sec != at.Unix() {
		t.Errorf("su: %o, owner %d:%d, %d links, time %d, %v", st.Mode, st.Uid, st.Gid, st.Nlink, st.Mtim.Sec, err)
	}
	if fi, err := os.Stat(tree + "/usr"); err != nil || !fi.ModTime().Equal(at) {
		t.Errorf("usr: %v, %v", fi, err)
	}
	if to, err := os.Readlink(tree + "/etc/mtab"); err != nil || to != "/proc/mounts" {
		t.Errorf("link to %q, %v", to, err)
	}
	if err := unix.Lstat(tree+"/pipe", &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		t.Errorf("pipe: %o, %v", st.Mode, err)
	}
	if _, err := os.Lstat(tree + "/dev/sda"); err == nil {
		t.Error("a device node of the archive's was made")
	}
	if text, err := os.ReadFile(tree + "/again"); err != nil || string(text) != "./again" {
		t.Errorf("the last of two entries of a name counts: %q, %v", text, err)
	}
	if err := checkTree(tree); err != nil {
		t.Error(err)
	}
}

// Nothing that an archive says leads out of its tree.
func TestUnpack_StaysInTheTree(t *testing.T) {
	outside := t.TempDir()
	for name, headers := range map[string][]tar.Header{
		"dots":            {{Typeflag: tar.TypeReg, Name: "a/../../x"}},
		"through link":    {{Typeflag: tar.TypeSymlink, Name: "a", Linkname: outside}, {Typeflag: tar.TypeReg, Name: "a/x"}},
		"relative link":   {{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "../.."}, {Typeflag: tar.TypeReg, Name: "a/x"}},
		"directory there": {{Typeflag: tar.TypeSymlink, Name: "a", Linkname: outside}, {Typeflag: tar.TypeDir, Name: "a/x"}},
		"hard link":       {{Typeflag: tar.TypeLink, Name: "a", Linkname: "../../etc/passwd"}},
		"link to a link":  {{Typeflag: tar.TypeSymlink, Name: "l", Linkname: outside}, {Typeflag: tar.TypeLink, Name: "a", Linkname: "l/x"}},
		"no directory":    {{Typeflag: tar.TypeReg, Name: "."}},
	} {
		err := unpack(context.Background(), file(t, archive(t, headers...)), t.TempDir())
		if err == nil || !strings.Contains(err.Error(), "entry") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside: %v, %v", left, err)
	}
}

func TestUnpack_TakesCompressedArchives(t *testing.T) {
	plain := archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "bin"})
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	forms := map[string][]byte{"plain": plain, "gzip": zipped.Bytes()}
	for _, program := range []string{"bzip2", "xz", "zstd"} {
		cmd := exec.Command(program, "-c")
		cmd.Stdin = bytes.NewReader(plain)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v (the Debian packages bzip2, xz-utils and zstd are needed)", program, err)
		}
		forms[program] = out
	}
	for name, data := range forms {
		tree := t.TempDir()
		if err := unpack(context.Background(), file(t, data), tree); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if text, err := os.ReadFile(tree + "/bin"); err != nil || string(text) != "bin" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		// Cut short, every form is an error.
		if err := unpack(context.Background(), file(t, data[:len(data)/3]), t.TempDir()); err == nil {
			t.Errorf("%s: half an archive was taken", name)
		}
	}
}

func TestUnpack_TellsWhatIsNoArchive(t *testing.T) {
	for data, want := range map[string]string{
		"":                                 "empty archive",
		strings.Repeat("PK\x03\x04", 1000): "no tar archive",
	} {
		if err := unpack(context.Background(), file(t, []byte(data)), t.TempDir()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.4q: %v", data, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := unpack(ctx, file(t, archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "bin"})), t.TempDir()); err == nil {
		t.Error("unpacked although nobody waits any more")
	}
}

// A few bytes can stand for a file of any size.
func TestUntar_StopsWhereTheDiskIsFull(t *testing.T) {
	err := untar(context.Background(), bytes.NewReader(archive(t, tar.Header{Typeflag: tar.TypeReg, Name: "bin"}, tar.Header{Typeflag: tar.TypeReg, Name: "large"})), t.TempDir(), 7)
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "large") {
		t.Error(err)
	}
}

// Whatever an archive is, unpacking it ends, and leaves the outside as it was.
func FuzzUntar(f *testing.F) {
	f.Add(archive(f, tar.Header{Typeflag: tar.TypeReg, Name: "usr/bin/x"}, tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "../.."}))
	f.Add(archive(f, tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: "../b"}, tar.Header{Typeflag: tar.TypeFifo, Name: "p"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		parent := t.TempDir()
		tree := filepath.Join(parent, "tree")
		if err := os.Mkdir(tree, 0o700); err != nil {
			t.Fatal(err)
		}
		_ = untar(context.Background(), bytes.NewReader(data), tree, 1<<20)
		if left, err := os.ReadDir(parent); err != nil || len(left) != 1 {
			t.Fatalf("outside: %v, %v", left, err)
		}
	})
}
