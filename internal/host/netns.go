package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// netnsDir is where `ip netns` looks for names: files with a network namespace mounted over them.
const netnsDir = "/run/netns"

// label is the text of such a file of ours. It is below the mount and so cannot be seen by accident; `ip netns`
// makes empty files. It names the lab by its run directory, like the process's arguments.
type label struct {
	Program string // "vpcemu"
	Lab     string
	RunDir  string
	ID      string
}

// claimNetns makes the name, or finds it ours already. Nothing is mounted yet.
func claimNetns(name string, l label) error {
	l.Program = "vpcemu"
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if err := withNetnsDir(shareNetnsDir); err != nil {
		return fmt.Errorf("network namespaces: %w", err)
	}
	path := filepath.Join(netnsDir, name)
	if err = createWith(path, text); !errors.Is(err, fs.ErrExist) {
		return err
	}
	if found, err := readLabels(); err != nil {
		return err
	} else if found[name] == l {
		return nil
	}
	return fmt.Errorf("network namespace %s: the name is taken by something else: remove it (ip netns del %s) or give the instance or the lab another name", name, name)
}

// withNetnsDir runs f while nobody else changes how the directory is mounted; `ip netns` takes the same lock.
func withNetnsDir(f func() error) error {
	if err := os.MkdirAll(netnsDir, 0o755); err != nil {
		return err
	}
	dir, err := os.Open(netnsDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return &os.PathError{Op: "lock", Path: netnsDir, Err: err}
	}
	return f()
}

// shareNetnsDir makes the directory a shared mount, as `ip netns add` does. If it came later, names made before
// would be mounted twice, and could not be removed.
func shareNetnsDir() error {
	err := unix.Mount("", netnsDir, "none", unix.MS_SHARED|unix.MS_REC, "")
	if errors.Is(err, unix.EINVAL) { // not a mount yet
		if err := unix.Mount(netnsDir, netnsDir, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mount %s on itself: %w", netnsDir, err)
		}
		err = unix.Mount("", netnsDir, "none", unix.MS_SHARED|unix.MS_REC, "")
	}
	if err != nil {
		return fmt.Errorf("share mount %s: %w", netnsDir, err)
	}
	return nil
}

// unshareNetnsDir takes that mount back when no name is left. Who holds the lock, as the caller does, has the
// directory open and keeps the mount busy: it is detached, and nobody can be adding a name.
func unshareNetnsDir() error {
	if names, err := os.ReadDir(netnsDir); err != nil || len(names) > 0 {
		return err
	}
	err := unix.Unmount(netnsDir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if errors.Is(err, unix.EINVAL) { // no mount
		return nil
	}
	return err
}

// createWith makes a file that is never seen without its text.
func createWith(path string, text []byte) error {
	fd, err := unix.Open(filepath.Dir(path), unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o444)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) { // an overlay of an older kernel
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o444)
		if err != nil {
			return err
		}
		_, err = f.Write(text)
		return errors.Join(err, f.Close())
	}
	if err != nil {
		return &os.PathError{Op: "create", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW); err != nil {
		return &os.PathError{Op: "create", Path: path, Err: err}
	}
	return nil
}

// readLabels gives the labels of all names that have one. It looks at the directory without what is mounted in
// it, through a copy of the mount that nobody else sees.
func readLabels() (map[string]label, error) {
	tree, err := unix.OpenTree(unix.AT_FDCWD, netnsDir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, &os.PathError{Op: "open_tree", Path: netnsDir, Err: err}
	}
	defer unix.Close(tree)
	names, err := os.ReadDir("/proc/self/fd/" + strconv.Itoa(tree))
	if err != nil {
		return nil, err
	}
	labels := make(map[string]label)
	for _, entry := range names {
		name := entry.Name()
		fd, err := unix.Openat(tree, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			continue // gone, or not ours to read
		}
		f := os.NewFile(uintptr(fd), name)
		text, err := io.ReadAll(io.LimitReader(f, 4096))
		f.Close()
		var l label
		if err == nil && json.Unmarshal(text, &l) == nil && l.Program == "vpcemu" {
			labels[name] = l
		}
	}
	return labels, nil
}

// findNetns gives the names of the lab with this run directory and the instances they belong to.
func findNetns(runDir string) (map[string]string, error) {
	labels, err := readLabels()
	if err != nil {
		return nil, err
	}
	mine := make(map[string]string)
	for name, l := range labels {
		if l.RunDir == runDir && validName(l.ID) {
			mine[name] = l.ID
		}
	}
	return mine, nil
}

// bindNetns gives the claimed name to the network namespace of a process, if it does not have it yet.
func bindNetns(name string, pid int) error {
	path, ns := filepath.Join(netnsDir, name), fmt.Sprintf("/proc/%d/ns/net", pid)
	var have, want unix.Stat_t
	if err := unix.Stat(ns, &want); err != nil {
		return &os.PathError{Op: "stat", Path: ns, Err: err}
	}
	if err := unix.Stat(path, &have); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if have.Dev == want.Dev && have.Ino == want.Ino {
		return nil
	}
	if err := unix.Mount(ns, path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("network namespace %s: mount: %w", name, err)
	}
	return nil
}

// releaseNetns removes a name that findNetns gave.
func releaseNetns(name string) error {
	path := filepath.Join(netnsDir, name)
	if err := unmountAll(path); err != nil {
		return fmt.Errorf("network namespace %s: %w", name, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("network namespace %s: %w", name, err)
	}
	return nil
}

// unmountAll takes every mount off path, however many lie on one another.
func unmountAll(path string) error {
	for {
		err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) { // not a mount point
			return nil
		}
		if err != nil {
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
}
