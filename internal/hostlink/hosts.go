package hostlink

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// DefaultHosts is the file in which resolvers look first (hosts(5)).
const DefaultHosts = "/etc/hosts"

// Host is one address and its names, LAB-wide ones first. Bare is the name without the lab's,
// which it gets where nobody else has it.
type Host struct {
	Addr  netip.Addr
	Names []string
	Bare  string
}

// SetHosts puts the lab's block into the file, replaces the one that is there, or takes it out
// where list is empty. Lines outside the block stay as they are, to the byte. The file keeps
// its mode and owner; it is replaced in one step, or written in place where it cannot be (a
// container's is a mount of its own).
func SetHosts(path string, lab Lab, list []Host) error {
	err := editHosts(path, func(old []byte) []byte { return setBlock(old, lab, list) })
	if err != nil {
		return fmt.Errorf("names in %s: %w", path, err)
	}
	return nil
}

// RemoveHosts takes the lab's block out of the file.
func RemoveHosts(path string, lab Lab) error { return SetHosts(path, lab, nil) }

// setBlock returns the text with the lab's block at its end, or where it was.
func setBlock(old []byte, lab Lab, list []Host) []byte {
	before, after := cutBlock(string(old), lab)
	if len(list) == 0 {
		return []byte(before + after)
	}
	if before != "" && !strings.HasSuffix(before, "\n") {
		before += "\n"
	}
	return []byte(before + block(lab, list, namesIn(before+after)) + after)
}

func (l Lab) mark(word string) string { return "# " + word + " vpcemu " + l.Name + " " + l.RunDir }

func block(lab Lab, list []Host, taken map[string]bool) string {
	var b strings.Builder
	fmt.Fprintln(&b, lab.mark("BEGIN"))
	for _, h := range list {
		names := slices.Clone(h.Names)
		if h.Bare != "" && !taken[strings.ToLower(h.Bare)] {
			taken[strings.ToLower(h.Bare)] = true
			names = slices.Insert(names, min(1, len(names)), h.Bare)
		}
		fmt.Fprintln(&b, h.Addr, strings.Join(names, " "))
	}
	fmt.Fprintln(&b, lab.mark("END"))
	return b.String()
}

// cutBlock returns what is before and behind the lab's blocks. Lines that somebody else has put
// into one stay; a block whose end somebody took away ends at the first such line.
func cutBlock(text string, lab Lab) (before, after string) {
	var out [2]strings.Builder
	part, inside, ends := 0, false, false
	lines := slices.Collect(strings.Lines(text))
	for i, line := range lines {
		switch bare := strings.TrimRight(line, "\r\n"); {
		case bare == lab.mark("BEGIN"):
			part, inside, ends = 1, true, hasEnd(lines[i+1:], lab)
		case inside && bare == lab.mark("END"):
			inside = false
		case inside && isEntry(bare, lab):
		default:
			inside = inside && ends
			out[part].WriteString(line)
		}
	}
	return out[0].String(), out[1].String()
}

// hasEnd tells whether the block that begins before these lines has an end.
func hasEnd(lines []string, lab Lab) bool {
	for _, line := range lines {
		switch strings.TrimRight(line, "\r\n") {
		case lab.mark("BEGIN"):
			return false
		case lab.mark("END"):
			return true
		}
	}
	return false
}

// isEntry tells whether a line is one that block writes for the lab.
func isEntry(line string, lab Lab) bool {
	f := strings.Fields(line)
	if len(f) < 2 || !strings.HasSuffix(f[1], "."+lab.Name) {
		return false
	}
	_, err := netip.ParseAddr(f[0])
	return err == nil
}

// namesIn are all names of a hosts file, in lower case.
func namesIn(text string) map[string]bool {
	names := map[string]bool{}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if f := strings.Fields(line); len(f) > 1 {
			for _, n := range f[1:] {
				names[strings.ToLower(n)] = true
			}
		}
	}
	return names
}

// editHosts changes the file while no other lab does. A link is followed: what it leads to is
// the file.
func editHosts(path string, edit func([]byte) []byte) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := lock(dir); err != nil {
		return err
	}
	if err := sweep(dir.Name()); err != nil {
		return err
	}
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := edit(old)
	if bytes.Equal(old, text) {
		return nil
	}
	err = replaceFile(path, text)
	if errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EXDEV) { // a mount point
		return overwrite(path, old, text)
	}
	return err
}

// draft is the form of the names of files that are to become a hosts file.
const draft = ".vpcemu-hosts-*"

// sweep removes what a daemon that was killed left half-written. The lock on the directory says
// that nobody writes one now.
func sweep(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, draft))
	if err != nil {
		return err
	}
	for _, name := range left {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// replaceFile replaces the file in one step by one of the same mode, owner and label.
func replaceFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), draft)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	err = errors.Join(err, likeness(f, path), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// likeness gives f mode, owner and security label of the file, or those that a hosts file has
// where there is none yet.
func likeness(f *os.File, path string) error {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f.Chmod(0o644)
	}
	if err != nil {
		return err
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		if err := f.Chown(int(sys.Uid), int(sys.Gid)); err != nil {
			return err
		}
	}
	const selinux = "security.selinux"
	value := make([]byte, 256)
	if n, err := unix.Getxattr(path, selinux, value); err == nil {
		if err := unix.Fsetxattr(int(f.Fd()), selinux, value[:n], 0); err != nil {
			return err
		}
	}
	return f.Chmod(st.Mode().Perm())
}

// overwrite writes the file in place, from the first byte that differs: the lines before a
// block are never at risk.
func overwrite(path string, old, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	same := 0
	for same < min(len(old), len(text)) && old[same] == text[same] {
		same++
	}
	_, err = f.WriteAt(text[same:], int64(same))
	if err == nil {
		err = f.Truncate(int64(len(text)))
	}
	return errors.Join(err, f.Sync(), f.Close())
}
