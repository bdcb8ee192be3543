package transfer

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// endMark is the pax record of the last entry: without it the stream was cut short.
const endMark = "VPCEMU.end"

// Send writes the file or directory at path, recursively, with modes, times, owners by number and symbolic links as
// such. A symbolic link that path itself names is followed if a slash follows it. Sockets and devices are left out and
// named in the error, after everything else was sent.
func Send(w io.Writer, path string) error {
	name := Base(path)
	if strings.HasSuffix(path, "/") {
		path += "." // through a link
	}
	s := sender{tar: tar.NewWriter(w)}
	if err := s.walk(path, name); err != nil {
		return err
	}
	if len(s.left) == 1 && s.left[0] == path {
		return fmt.Errorf("%s: neither a file, a directory nor a link", path)
	}
	if err := s.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "end", PAXRecords: map[string]string{endMark: "1"}}); err != nil {
		return err
	}
	if err := s.tar.Close(); err != nil {
		return err
	}
	if len(s.left) > 0 { // what was asked for itself has been an error of its own
		return fmt.Errorf("not copied, for they are neither files, directories nor links: %s", strings.Join(s.left, ", "))
	}
	return nil
}

// Base is what a copy of path is named: its last part, or "." where only what is in the directory is meant, as in
// "dir/." and "..".
func Base(path string) string {
	switch name := filepath.Base(path); {
	case name == ".." || name == "/" || strings.HasSuffix(path, "/."):
		return "."
	default:
		return name
	}
}

type sender struct {
	tar  *tar.Writer
	left []string
}

func (s *sender) walk(path, name string) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	h := &tar.Header{Name: name, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid), Gid: int(st.Gid), Format: tar.FormatPAX}
	h.ModTime = timeOf(st.Mtim)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		h.Typeflag, h.Size = tar.TypeReg, st.Size
		return s.file(path, h)
	case unix.S_IFLNK:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, target
		return s.tar.WriteHeader(h)
	case unix.S_IFDIR:
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
		if err := s.tar.WriteHeader(h); err != nil {
			return err
		}
		return s.directory(path, name)
	}
	s.left = append(s.left, path)
	return nil
}

func (s *sender) directory(path, name string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		err := s.walk(filepath.Join(path, e.Name()), filepath.Join(name, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// file sends as much of a file as it had when it was looked at.
func (s *sender) file(path string, h *tar.Header) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return errors.Join(fmt.Errorf("%s: it was replaced as it was read", path), err)
	}
	if err := s.tar.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.Copy(s.tar, io.LimitReader(f, h.Size))
	if err == nil && n < h.Size {
		err = fmt.Errorf("%s: it became shorter as it was read", path)
	}
	return err
}
