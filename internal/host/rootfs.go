package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/disk"
)

// RootfsHostReadOnly is the Spec.Rootfs that shows the host's own root, read-only.
const RootfsHostReadOnly = "host-read-only"

// Trees is the folder, beside those of the labs, with what archives of root file systems were unpacked to. The
// dot keeps it from being a lab.
const Trees = ".rootfs"

// rootfsFile of a disk says what the disk lies over; without it that is the host's root.
const rootfsFile = "rootfs"

// base is what a disk lies over.
type base struct {
	Path     string `json:",omitempty"` // as Spec.Rootfs has it
	Archive  string `json:",omitempty"` // of an archive: the name of its tree in Trees
	tree     string // the directory; empty is the host's root
	readOnly bool
}

// openBase finds what the disk in dir lies over, or is to lie over. A disk that has been booted from stays with
// what it was made over, whatever has become of the archive.
func (h *Host) openBase(ctx context.Context, dir, rootfs string) (base, error) {
	b := base{Path: rootfs}
	if disk.Prepared(dir) {
		if err := b.read(dir); err != nil {
			return b, fmt.Errorf("disk %s: %w", dir, err)
		}
	}
	switch {
	case b.Path == "" || b.Path == RootfsHostReadOnly:
		b.readOnly = b.Path != ""
		return b, nil
	case !filepath.IsAbs(b.Path):
		return b, fmt.Errorf("root file system %q: not an absolute path", b.Path)
	}
	fi, err := os.Stat(b.Path)
	switch {
	case err == nil && fi.IsDir() && b.Archive == "":
		b.tree = b.Path
		err = checkTree(b.tree)
	case b.Archive != "" || err == nil && fi.Mode().IsRegular():
		b.tree, err = h.useArchive(ctx, &b, dir)
	case err == nil:
		err = errors.New("neither a directory nor an archive")
	}
	if err != nil {
		return b, fmt.Errorf("root file system %s: %w", b.Path, withoutPath(err))
	}
	return b, nil
}

// withoutPath drops what package os repeats of a path that the error names already.
func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) && p.Op == "stat" {
		return p.Err
	}
	return err
}

func (b *base) read(dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, rootfsFile))
	if errors.Is(err, fs.ErrNotExist) {
		*b = base{}
		return nil
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(data, b)
}

// write records what a disk lies over before its first boot.
func (b *base) write(dir string) error {
	if b.Path == "" || disk.Prepared(dir) {
		return nil
	}
	data, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, rootfsFile), data, 0o600)
}

// checkTree refuses what is certainly no root file system, before it makes an instance that can run nothing.
func checkTree(dir string) error {
	for _, name := range []string{"bin", "usr", "sbin"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return nil
		}
	}
	return errors.New("no root file system: it has neither bin, sbin nor usr (of a container image take what `docker export` writes, not `docker save`)")
}

// archiveName tells one archive, and one state of it, from others.
func archiveName(path string, fi fs.FileInfo) string {
	ino := uint64(0)
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		ino = st.Ino
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d\x00%d", path, fi.Size(), fi.ModTime().UnixNano(), ino))
	return hex.EncodeToString(sum[:8])
}

// The folder Trees holds, for each archive,
//
//	NAME/tree     what it holds
//	NAME/users/   a file for each disk over it, with the disk's path
//	NAME.SUFFIX   what is being unpacked, locked as long as somebody is at it
//
// and a file `lock`, locked while one of the first two changes. A user counts as long as its disk is there, so that
// nothing has to be told of a disk that goes.

func (h *Host) treesDir() string { return filepath.Join(filepath.Dir(h.cfg.StateDir), Trees) }

// useArchive gives the tree of an archive for the disk in dir, unpacking it if nobody has.
func (h *Host) useArchive(ctx context.Context, b *base, dir string) (tree string, err error) {
	fi, statErr := os.Stat(b.Path)
	if b.Archive == "" {
		if statErr != nil {
			return "", statErr
		}
		b.Archive = archiveName(b.Path, fi)
	}
	place := filepath.Join(h.treesDir(), b.Archive)
	claim := func() error { return claimTree(place, dir) }
	h.unpacking.Lock() // once for all instances that start together
	defer h.unpacking.Unlock()
	if err := h.withTrees(claim); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return filepath.Join(place, "tree"), err
	}
	if statErr != nil || archiveName(b.Path, fi) != b.Archive {
		return "", errors.New("what the disk was made over is gone, and the archive is no longer the one it came from: terminate the instance, or `vpcemu down` and `up`")
	}
	h.cfg.Log.Info("unpacking root file system", "archive", b.Path)
	fresh, release, err := h.unpackTree(ctx, b)
	if err != nil {
		return "", err
	}
	defer release()
	return filepath.Join(place, "tree"), h.withTrees(func() error {
		err := os.Rename(fresh, place)
		if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTEMPTY) { // somebody was faster
			err = os.RemoveAll(fresh)
		}
		if err != nil {
			return err
		}
		return claim()
	})
}

// claimTree notes that the disk in dir lies over the tree; fs.ErrNotExist if there is none.
func claimTree(place, dir string) error {
	if _, err := os.Stat(filepath.Join(place, "tree")); err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(dir))
	path := filepath.Join(place, "users", hex.EncodeToString(sum[:8]))
	if err := os.WriteFile(path+".new", []byte(dir), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// unpackTree unpacks an archive beside the others. release ends the claim on what is left of that.
func (h *Host) unpackTree(ctx context.Context, b *base) (fresh string, release func(), err error) {
	var lock *os.File
	err = h.withTrees(func() (err error) { // or it would be swept before it is locked
		if fresh, err = os.MkdirTemp(h.treesDir(), b.Archive+"."); err != nil {
			return err
		}
		if lock, err = os.Open(fresh); err != nil {
			return errors.Join(err, os.Remove(fresh))
		}
		return unix.Flock(int(lock.Fd()), unix.LOCK_EX)
	})
	if err != nil {
		return "", nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(fresh))
			lock.Close()
		}
	}()
	tree := filepath.Join(fresh, "tree")
	if err := errors.Join(os.Mkdir(filepath.Join(fresh, "users"), 0o700), os.Mkdir(tree, 0o755)); err != nil {
		return "", nil, err
	}
	if err := unpack(ctx, b.Path, tree); err != nil {
		return "", nil, err
	}
	if err := checkTree(tree); err != nil {
		return "", nil, err
	}
	// The name must not outlast a power failure that the contents do not.
	if err := unix.Syncfs(int(lock.Fd())); err != nil {
		return "", nil, fmt.Errorf("sync %s: %w", fresh, err)
	}
	return fresh, func() { lock.Close() }, nil
}

// withTrees does something about the trees while no other process does.
func (h *Host) withTrees(do func() error) error {
	for {
		if err := os.MkdirAll(h.treesDir(), 0o700); err != nil {
			return err
		}
		lock, err := os.OpenFile(filepath.Join(h.treesDir(), "lock"), os.O_CREATE|os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the folder went with its last tree
		}
		if err != nil {
			return err
		}
		held, err := lockFile(lock)
		if held && err == nil {
			err = do()
		}
		lock.Close()
		if held || err != nil {
			return err
		}
	}
}

// lockFile waits for the lock; it is not held where the file was removed meanwhile.
func lockFile(f *os.File) (held bool, err error) {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return false, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(f.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, there), err
}

// sweepTrees removes the trees that no disk of any lab lies over, and what was left half unpacked.
func (h *Host) sweepTrees() error {
	if _, err := os.Stat(h.treesDir()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return h.withTrees(func() error {
		entries, err := os.ReadDir(h.treesDir())
		if err != nil {
			return err
		}
		var errs []error
		for _, e := range entries {
			if !e.IsDir() {
				continue
			}
			errs = append(errs, sweepTree(filepath.Join(h.treesDir(), e.Name())))
		}
		if left, err := os.ReadDir(h.treesDir()); err == nil && len(left) == 1 { // the lock
			errs = append(errs, os.RemoveAll(h.treesDir()))
		}
		return errors.Join(errs...)
	})
}

func sweepTree(place string) error {
	if strings.Contains(filepath.Base(place), ".") { // being unpacked
		f, err := os.Open(place)
		if err != nil {
			return err
		}
		defer f.Close()
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
			return nil
		}
		return os.RemoveAll(place)
	}
	users, err := os.ReadDir(filepath.Join(place, "users"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	used := false
	for _, u := range users {
		path := filepath.Join(place, "users", u.Name())
		dir, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if _, err := os.Stat(string(dir)); err == nil {
			used = true
		} else if err := os.Remove(path); err != nil {
			return err
		}
	}
	if used {
		return nil
	}
	// Renamed first: a tree that is half removed must not be taken for a whole one.
	gone := place + ".gone"
	if err := os.RemoveAll(gone); err != nil { // of an earlier removal, cut short
		return err
	}
	if err := os.Rename(place, gone); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}
