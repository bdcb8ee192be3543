package host

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// unpack unpacks the archive of a root file system, a tar file that may be compressed, into the empty directory
// tree. Owners are taken by number. Nothing is written outside of tree, whatever the archive says. Device nodes
// are left out: an instance gets a /dev of its own.
func unpack(ctx context.Context, archive, tree string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	var free unix.Statfs_t
	if err := unix.Statfs(tree, &free); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	plain, finish, err := decompress(ctx, f)
	if err != nil {
		return err
	}
	if err := untar(ctx, plain, tree, int64(free.Bavail)*free.Bsize); err != nil {
		cancel()
		_ = finish() // it was cut short: what it says is not the cause
		return err
	}
	return finish()
}

// decompressors are the programs for what Go's library does not read, by the first bytes of their files.
var decompressors = []struct{ magic, program, pkg string }{
	{"\xfd7zXZ\x00", "xz", "xz-utils"},
	{"\x28\xb5\x2f\xfd", "zstd", "zstd"},
}

// decompress gives what is in the file, which it knows by its first bytes. finish must be called at the end.
func decompress(ctx context.Context, f *os.File) (r io.Reader, finish func() error, err error) {
	nothing := func() error { return nil }
	in := bufio.NewReaderSize(f, 1<<16)
	magic, err := in.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte("\x1f\x8b")):
		r, err = gzip.NewReader(in)
		return r, nothing, err
	case bytes.HasPrefix(magic, []byte("BZh")):
		return bzip2.NewReader(in), nothing, nil
	}
	for _, d := range decompressors {
		if bytes.HasPrefix(magic, []byte(d.magic)) {
			return runDecompressor(ctx, d.program, d.pkg, in)
		}
	}
	return in, nothing, nil
}

func runDecompressor(ctx context.Context, program, pkg string, in io.Reader) (io.Reader, func() error, error) {
	if _, err := exec.LookPath(program); err != nil {
		return nil, nil, fmt.Errorf("it is compressed with %s, which is not installed here: apt-get install %s", program, pkg)
	}
	cmd := exec.CommandContext(ctx, program, "-dc")
	var said bytes.Buffer
	cmd.Stdin, cmd.Stderr = in, &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	return out, func() error {
		_, _ = io.Copy(io.Discard, out) // what follows the end of the archive
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(said.String()))
		}
		return nil
	}, nil
}

// untilEnd remembers whether more was read than there is. A tar archive says itself where it ends: one that does
// not was cut short.
type untilEnd struct {
	io.Reader
	passed bool
}

func (u *untilEnd) Read(b []byte) (int, error) {
	n, err := u.Reader.Read(b)
	if n == 0 && errors.Is(err, io.EOF) {
		u.passed = true
	}
	return n, err
}

// untar does the work, through an os.Root that keeps it in the tree. It writes at most room bytes: a few bytes of
// archive can stand for more than any disk has.
func untar(ctx context.Context, r io.Reader, tree string, room int64) error {
	root, err := os.OpenRoot(tree)
	if err != nil {
		return err
	}
	defer root.Close()
	in := &untilEnd{Reader: r}
	t := tar.NewReader(in)
	dirs := map[string]time.Time{} // whose times come last
	for n := 0; ; n++ {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF) && n == 0:
			return errors.New("an empty archive")
		case errors.Is(err, io.EOF) && in.passed:
			return errors.New("damaged archive: it was cut short")
		case errors.Is(err, io.EOF):
			return setTimes(root, dirs)
		case errors.Is(err, tar.ErrHeader) && n == 0:
			return errors.New("no tar archive, nor one compressed with gzip, bzip2, xz or zstd")
		case err != nil:
			return fmt.Errorf("damaged archive: %w", err)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		name := filepath.Clean(strings.TrimLeft(h.Name, "/"))
		if !filepath.IsLocal(name) {
			return fmt.Errorf("entry %q leads out of the tree", h.Name)
		}
		if room -= max(0, h.Size); room < 0 {
			return fmt.Errorf("entry %q: %w: the archive holds more", h.Name, unix.ENOSPC)
		}
		if err := extract(root, t, h, name); err != nil {
			return fmt.Errorf("entry %q: %w", h.Name, err)
		}
		if h.Typeflag == tar.TypeDir {
			dirs[name] = h.ModTime
		}
	}
}

func setTimes(root *os.Root, dirs map[string]time.Time) error {
	for name, at := range dirs {
		if err := root.Chtimes(name, at, at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// extract makes one entry of the archive. What is there of that name makes way, as with tar.
func extract(root *os.Root, t *tar.Reader, h *tar.Header, name string) error {
	switch h.Typeflag {
	case tar.TypeChar, tar.TypeBlock, tar.TypeXGlobalHeader:
		return nil
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeFifo:
	default:
		return fmt.Errorf("unknown type %q", h.Typeflag)
	}
	if dir := filepath.Dir(name); dir != "." {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if fi, err := root.Lstat(name); err == nil && !(fi.IsDir() && h.Typeflag == tar.TypeDir) {
		if name == "." {
			return errors.New("the top of the tree is no directory")
		}
		if err := root.RemoveAll(name); err != nil {
			return err
		}
	}
	if err := create(root, t, h, name); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeLink {
		return nil // the file has all of the below
	}
	if err := root.Lchown(name, h.Uid, h.Gid); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeSymlink {
		return nil
	}
	const bits = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	if err := root.Chmod(name, h.FileInfo().Mode()&bits); err != nil { // after the owner, which clears setuid
		return err
	}
	return setCapabilities(root, h, name)
}

func create(root *os.Root, t *tar.Reader, h *tar.Header, name string) error {
	switch h.Typeflag {
	case tar.TypeDir:
		if err := root.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		target := filepath.Clean(strings.TrimLeft(h.Linkname, "/"))
		if !filepath.IsLocal(target) {
			return fmt.Errorf("a link to %q, which leads out of the tree", h.Linkname)
		}
		return root.Link(target, name)
	case tar.TypeFifo:
		return mkfifo(root, name)
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, t)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return root.Chtimes(name, h.ModTime, h.ModTime)
}

func mkfifo(root *os.Root, name string) error {
	dir, err := root.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return unix.Mknodat(int(dir.Fd()), filepath.Base(name), unix.S_IFIFO|0o600, 0)
}

// setCapabilities keeps the one extended attribute that programs of a distribution have, such as ping.
func setCapabilities(root *os.Root, h *tar.Header, name string) error {
	const attribute = "security.capability"
	value, ok := h.PAXRecords["SCHILY.xattr."+attribute]
	if !ok || h.Typeflag != tar.TypeReg {
		return nil
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Fsetxattr(int(f.Fd()), attribute, []byte(value), 0); err != nil {
		return fmt.Errorf("%s: %w", attribute, err)
	}
	return nil
}
