package transfer

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrCut is the error of a stream that ends before its end.
var ErrCut = errors.New("the copy was cut short")

// maxDepth is how deep directories may lie in one another.
const maxDepth = 1000

// Options of Receive.
type Options struct {
	// Owners gives everything the owner and group numbers that it had; otherwise it belongs to who receives it.
	Owners bool
}

// Receive makes what the stream holds at path: in it if it is a directory, otherwise under that name, as cp does.
// A trailing slash insists on a directory.
func Receive(r io.Reader, path string, o Options) error {
	t := tar.NewReader(r)
	h, err := t.Next()
	if err != nil {
		return cut(err)
	}
	name := strings.TrimSuffix(h.Name, "/")
	if name != "." && (name != filepath.Base(name) || !filepath.IsLocal(name)) {
		return fmt.Errorf("%q is no name for a copy", h.Name)
	}
	dir, base, err := target(path, name, h.Typeflag == tar.TypeDir)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	rec := &receiver{stream: r, tar: t, root: root, opt: o, from: name, made: base}
	if err := rec.first(h, base); err != nil {
		return errors.Join(explain(err, path), rec.undo())
	}
	return nil
}

// explain names the destination where an os.Root has named only what is below it.
func explain(err error, path string) error {
	if errors.Is(err, ErrCut) {
		return err
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// target finds the directory in which something is made, and its name there; "." is the directory itself.
func target(path, name string, isDir bool) (dir, base string, err error) {
	fi, err := os.Stat(path)
	switch {
	case err == nil && fi.IsDir() && name == ".":
		return path, ".", nil
	case err == nil && fi.IsDir():
		return path, name, nil
	case err == nil && (strings.HasSuffix(path, "/") || isDir):
		return "", "", &os.PathError{Op: "copy to", Path: path, Err: unix.ENOTDIR}
	case err == nil:
	case !errors.Is(err, fs.ErrNotExist):
		return "", "", err
	case strings.HasSuffix(path, "/") && !isDir:
		return "", "", &os.PathError{Op: "copy to", Path: path, Err: unix.ENOENT}
	}
	path = filepath.Clean(path)
	return filepath.Dir(path), filepath.Base(path), nil
}

type receiver struct {
	stream io.Reader
	tar    *tar.Reader
	root   *os.Root
	opt    Options
	from   string // the first part of names in the stream
	made   string // what stands in its place
	temp   string // what a new directory is called until it is complete; or a file
	dirs   []dirTime
}

type dirTime struct {
	name string
	mode fs.FileMode
	h    *tar.Header
}

func (r *receiver) undo() error {
	if r.temp == "" {
		return nil
	}
	return r.root.RemoveAll(r.temp)
}

// tempName is a name that nothing has yet beside name.
func (r *receiver) tempName(name string) string {
	for n := os.Getpid(); ; n++ {
		temp := filepath.Join(filepath.Dir(name), ".vpcemu-cp-"+strconv.Itoa(n))
		if _, err := r.root.Lstat(temp); err != nil { // whatever else is wrong, making it tells
			return temp
		}
	}
}

// first makes what the stream is about: one file or link, or a directory with all that follows.
func (r *receiver) first(h *tar.Header, base string) error {
	if h.Typeflag != tar.TypeDir {
		return r.single(h, base)
	}
	if fi, err := r.root.Lstat(base); err == nil && !fi.IsDir() {
		return &os.PathError{Op: "copy to", Path: base, Err: unix.ENOTDIR}
	} else if err == nil { // into it, file by file
		if err := r.rest(); err != nil {
			return err
		}
		return r.finishDirs()
	}
	r.temp = r.tempName(base)
	r.made = r.temp
	if err := r.root.Mkdir(r.temp, 0o700); err != nil {
		return err
	}
	r.dirs = append(r.dirs, dirTime{r.temp, r.modeOf(h), h})
	if err := r.rest(); err != nil {
		return err
	}
	if err := r.finishDirs(); err != nil {
		return err
	}
	if err := r.root.Rename(r.temp, base); err != nil {
		return err
	}
	r.temp = ""
	return nil
}

// single makes a file or link, but gives it its name only when the stream has ended as it should.
func (r *receiver) single(h *tar.Header, base string) error {
	temp := r.tempName(base)
	r.temp = temp
	if err := r.make(h, temp); err != nil {
		return err
	}
	if err := r.rest(); err != nil {
		return err
	}
	if fi, err := r.root.Lstat(base); err == nil && fi.IsDir() {
		return &os.PathError{Op: "copy to", Path: base, Err: unix.EISDIR}
	}
	if err := r.root.Rename(temp, base); err != nil {
		return err
	}
	r.temp = ""
	return nil
}

// rest takes the entries that follow, up to the mark of the end.
func (r *receiver) rest() error {
	for {
		h, err := r.tar.Next()
		if err != nil {
			return cut(err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader && h.PAXRecords[endMark] != "" {
			return r.drain()
		}
		name := filepath.Clean(h.Name)
		inside, ok := strings.CutPrefix(name, r.from+"/")
		if r.from == "." {
			inside, ok = name, true
		}
		if !ok || !filepath.IsLocal(inside) || inside == "." || strings.Count(inside, "/") > maxDepth {
			return fmt.Errorf("%q is no part of %q", h.Name, r.from)
		}
		if err := r.entry(h, filepath.Join(r.made, inside)); err != nil {
			return err
		}
	}
}

// drain reads what a tar file has behind its last entry: a sender that is still writing it would end by SIGPIPE.
func (r *receiver) drain() error {
	_, err := io.Copy(io.Discard, r.stream)
	return err
}

func (r *receiver) entry(h *tar.Header, name string) error {
	fi, err := r.root.Lstat(name)
	exists := err == nil
	if h.Typeflag == tar.TypeDir {
		if exists && fi.IsDir() {
			return nil // what is there keeps its mode
		}
		if err := r.root.Mkdir(name, 0o700); err != nil {
			return err
		}
		r.dirs = append(r.dirs, dirTime{name, r.modeOf(h), h})
		return nil
	}
	if exists && fi.IsDir() {
		return &os.PathError{Op: "copy to", Path: name, Err: unix.EISDIR}
	}
	temp := r.tempName(name)
	if err := r.make(h, temp); err != nil {
		return errors.Join(err, r.root.RemoveAll(temp))
	}
	if err := r.root.Rename(temp, name); err != nil {
		return errors.Join(err, r.root.RemoveAll(temp))
	}
	return nil
}

// make makes a file or a link with its attributes.
func (r *receiver) make(h *tar.Header, name string) error {
	switch h.Typeflag {
	case tar.TypeSymlink:
		if err := r.root.Symlink(h.Linkname, name); err != nil {
			return err
		}
		if r.opt.Owners {
			return r.root.Lchown(name, h.Uid, h.Gid)
		}
		return nil
	case tar.TypeReg:
	default:
		return fmt.Errorf("entry of type %q", h.Typeflag)
	}
	f, err := r.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r.tar)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = ErrCut
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return r.attributes(h, name, r.modeOf(h))
}

func (r *receiver) attributes(h *tar.Header, name string, mode fs.FileMode) error {
	if r.opt.Owners {
		if err := r.root.Lchown(name, h.Uid, h.Gid); err != nil {
			return err
		}
	}
	if err := r.root.Chmod(name, mode); err != nil {
		return err
	}
	return r.root.Chtimes(name, h.ModTime, h.ModTime)
}

// finishDirs gives new directories their modes and times when nothing more is made in them, the innermost first.
func (r *receiver) finishDirs() error {
	for i := len(r.dirs) - 1; i >= 0; i-- {
		if err := r.attributes(r.dirs[i].h, r.dirs[i].name, r.dirs[i].mode); err != nil {
			return err
		}
	}
	return nil
}

// modeOf are the permissions. Setuid goes with the owner that it was meant for: somebody's program must not become
// root's by a copy.
func (r *receiver) modeOf(h *tar.Header) fs.FileMode {
	kept := fs.ModePerm | fs.ModeSticky
	if r.opt.Owners {
		kept |= fs.ModeSetuid | fs.ModeSetgid
	}
	return h.FileInfo().Mode() & kept
}

func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrCut
	}
	return err
}

func timeOf(t unix.Timespec) time.Time { return time.Unix(t.Sec, t.Nsec) }
