package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/disk"
)

// deletedSuffix marks a disk whose deletion has begun, so that a half-deleted one is never booted from.
const deletedSuffix = ".deleted"

// makeDisk makes the disk unless there is one, over what rootfs says (Spec.Rootfs). Where the file system of the
// state directory cannot hold an overlay's upper layer, the disk is a tmpfs, and note tells the user so.
func (h *Host) makeDisk(ctx context.Context, id, rootfs string) (b base, note string, err error) {
	dir := h.diskDir(id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return b, "", fmt.Errorf("disk: %w", err)
	}
	mounted, err := isMountPoint(dir)
	if err != nil {
		return b, "", fmt.Errorf("disk: %w", err)
	}
	if b, err = h.openBase(ctx, dir, rootfs); err != nil {
		return b, "", err
	}
	if mounted {
		note = memoryNote(dir)
	} else if note, err = h.placeDisk(dir, id, b.tree); err != nil {
		return b, "", err
	}
	if err := b.write(dir); err != nil {
		return b, "", fmt.Errorf("disk: %w", err)
	}
	return b, note, nil
}

// placeDisk sees to it that the directory of a disk can carry an overlay, if need be by a tmpfs.
func (h *Host) placeDisk(dir, id, tree string) (note string, err error) {
	if disk.Prepared(dir) || h.overlays.Load() && tree == "" {
		return "", nil
	}
	cause := disk.Probe(dir, tree)
	if cause == nil {
		if tree == "" {
			h.overlays.Store(true)
		}
		return "", nil
	}
	if errors.Is(cause, unix.ENOSPC) || errors.Is(cause, unix.EDQUOT) || errors.Is(cause, unix.EROFS) {
		return "", fmt.Errorf("disk %s: %w", dir, cause) // memory would only hide it
	}
	if err := os.RemoveAll(filepath.Join(dir, "upper")); err != nil {
		return "", fmt.Errorf("disk: %w", err)
	}
	if err := unix.Mount("vpcemu", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=700,size=50%"); err != nil {
		return "", fmt.Errorf("disk: neither on %s (%w) nor in memory: mount tmpfs: %w", dir, cause, err)
	}
	switch err := disk.Probe(dir, tree); {
	case err != nil && tree != "":
		return "", fmt.Errorf("disk: no overlay file system can be made over %s, neither on %s (%w) nor in memory: %w; "+
			"copy it to an ordinary file system, or give it as a tar archive", tree, dir, cause, err)
	case err != nil:
		return "", fmt.Errorf("disk: no overlay file system over the host's root can be made, neither on %s (%w) nor in memory: %w; "+
			"in a container, start it with --privileged", dir, cause, err)
	}
	h.cfg.Log.Warn("disk kept in memory", "instance", id, "cause", cause)
	return memoryNote(dir), nil
}

func memoryNote(dir string) string {
	var fs unix.Statfs_t
	size := ""
	if unix.Statfs(dir, &fs) == nil {
		size = fmt.Sprintf(", up to %d MiB", fs.Blocks*uint64(fs.Bsize)>>20)
	}
	return fmt.Sprintf("the disk is kept in memory%s, because the file system of %s cannot carry an overlay; it is lost when the machine shuts down", size, filepath.Dir(dir))
}

// removeDisk deletes the disk. A deletion that was cut short is taken up again.
func (h *Host) removeDisk(id string, mounts []disk.Mount) error {
	dir := h.diskDir(id)
	if err := errors.Join(unmountBelow(dir, mounts), unmountBelow(dir+deletedSuffix, mounts)); err != nil {
		return err
	}
	if err := os.RemoveAll(dir + deletedSuffix); err != nil {
		return err
	}
	if err := os.Rename(dir, dir+deletedSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(dir + deletedSuffix)
}

// unmountBelow takes off every one of the mounts at or below dir, the innermost first.
func unmountBelow(dir string, mounts []disk.Mount) error {
	var errs []error
	for _, m := range slices.Backward(mounts) {
		if m.Point == dir || strings.HasPrefix(m.Point, dir+"/") {
			errs = append(errs, unmountAll(m.Point))
		}
	}
	return errors.Join(errs...)
}

// isMountPoint asks the kernel rather than look through the mounts, of which there
// is one for each running instance.
func isMountPoint(path string) (bool, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, 0, &st); err != nil {
		return false, &os.PathError{Op: "statx", Path: path, Err: err}
	}
	if st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 { // Linux 5.8 or later
		return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
	}
	mounts, err := disk.Mounts()
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(mounts, func(m disk.Mount) bool { return m.Point == path }), nil
}
