package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Emptied are the directories of the host that an instance finds empty, as on a machine just installed:
// homes, data of services (a copy of a running database is no database), state of other virtual machines, how
// the host gets its addresses, and what starts there at boot.
var Emptied = []string{
	"/root", "/home", "/tmp", "/var/tmp", "/run", "/mnt", "/media", "/var/crash", "/var/mail",
	"/var/lib/mysql", "/var/lib/postgresql", "/var/lib/redis", "/var/lib/mongodb", "/var/lib/etcd",
	"/var/lib/docker", "/var/lib/containerd", "/var/lib/kubelet", "/var/lib/libvirt", "/var/lib/lxc", "/var/lib/lxd",
	"/var/lib/dhcp", "/var/lib/dhcpcd", "/var/lib/NetworkManager", "/var/lib/cloud", "/var/lib/amazon", "/var/lib/vpcemu",
	"/etc/systemd/system/*.wants", "/etc/systemd/system/*.requires", "/etc/rc[2-5].d", "/var/lib/systemd/deb-systemd-helper-*", "/etc/network/interfaces.d", "/etc/netplan",
}

// Swept are the directories of which only the directories inside are kept: services expect the place for
// their logs, nobody expects the host's logs in it.
var Swept = []string{"/var/log", "/var/spool"}

// sweptFiles are files that must exist though empty: login records.
var sweptFiles = []string{"/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog"}

// Removed are files that must not be shared: SSH host keys and the like, and the policy by which a host keeps
// packages from starting their services (invoke-rc.d(8)): containers have one, a machine on EC2 has not.
var Removed = []string{"/etc/ssh/ssh_host_*", "/usr/sbin/policy-rc.d", "/etc/hostname", "/etc/machine-id", "/var/lib/dbus/machine-id",
	"/etc/udev/rules.d/70-persistent-net.rules"}

// Prepared tells whether the disk has been booted from before.
func Prepared(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, prepared))
	return err == nil
}

// SetPrepared ends the first boot. A disk without this mark is prepared again.
func SetPrepared(dir string) error {
	return os.WriteFile(filepath.Join(dir, prepared), nil, 0o600)
}

// Hide writes into the upper layers, before they are mounted, that the directories shall be empty: those
// above and more of the caller's. Doing it twice does no harm.
func Hide(layers []Layer, more []string) error {
	var hidden []string
	for _, pattern := range append(append([]string{}, Emptied...), more...) {
		for _, dir := range lowerDirs(pattern) {
			if Within(dir, hidden) {
				continue
			}
			hidden = append(hidden, dir)
			if _, err := hide(layers, dir); err != nil {
				return err
			}
		}
	}
	for _, pattern := range Swept {
		for _, dir := range lowerDirs(pattern) {
			if err := sweep(layers, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// Remove deletes the files above from the mounted root.
func Remove(root string) error {
	for _, pattern := range Removed {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// ClearTmp empties /tmp between two boots, as distributions do. The layers are not mounted yet: a link that
// the instance put in the place of /tmp would be followed into the host's own files, so it is left alone.
func ClearTmp(layers []Layer) error {
	upper := upperPath(layers, "/tmp")
	if fi, err := os.Lstat(upper); errors.Is(err, fs.ErrNotExist) || err == nil && !fi.IsDir() {
		return nil
	} else if err != nil {
		return err
	}
	entries, err := os.ReadDir(upper)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(upper, e.Name())))
	}
	return err
}

// lowerDirs gives the host's directories that match, with symbolic links followed.
func lowerDirs(pattern string) []string {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return nil
	}
	var dirs []string
	for _, name := range names {
		real, err := filepath.EvalSymlinks(name)
		if err != nil {
			continue // dangling
		}
		if fi, err := os.Stat(real); err == nil && fi.IsDir() && real != "/" {
			dirs = append(dirs, real)
		}
	}
	return dirs
}

// hide makes dir opaque and returns its place in the upper layer.
func hide(layers []Layer, dir string) (upper string, err error) {
	if err := copyParents(layers, dir); err != nil {
		return "", err
	}
	upper = upperPath(layers, dir)
	if err := copyDir(dir, upper); err != nil {
		return "", err
	}
	return upper, opaque(upper)
}

// sweep hides dir and makes the directories anew that it has on the host.
func sweep(layers []Layer, dir string) error {
	if _, err := hide(layers, dir); err != nil {
		return err
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir || !d.IsDir() {
			return nil // a directory that vanished is not missed
		}
		return copyDir(path, upperPath(layers, path))
	})
	for _, path := range sweptFiles {
		if err == nil && Within(path, []string{dir}) {
			err = copyEmpty(path, upperPath(layers, path))
		}
	}
	return err
}

// upperPath is where path lies in the layer that covers it.
func upperPath(layers []Layer, path string) string {
	best := layers[0]
	for _, l := range layers[1:] {
		if Within(path, []string{l.Mount}) && len(l.Mount) > len(best.Mount) {
			best = l
		}
	}
	return filepath.Join(best.Upper, strings.TrimPrefix(path, strings.TrimSuffix(best.Mount, "/")))
}

// copyParents makes the directories above path in the upper layer, as they are on the host.
func copyParents(layers []Layer, path string) error {
	parent := filepath.Dir(path)
	if parent == "/" || parent == path {
		return nil
	}
	if err := copyParents(layers, parent); err != nil {
		return err
	}
	return copyDir(parent, upperPath(layers, parent))
}

// copyDir makes dst a directory with owner and mode of src, if it is not one already.
func copyDir(src, dst string) error {
	var st unix.Stat_t
	if err := unix.Stat(src, &st); err != nil {
		return fmt.Errorf("%s: %w", src, err)
	}
	if err := os.Mkdir(dst, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	return own(dst, &st)
}

// copyEmpty makes dst an empty file with owner and mode of src, if src exists.
func copyEmpty(src, dst string) error {
	var st unix.Stat_t
	if unix.Stat(src, &st) != nil {
		return nil
	}
	if err := os.WriteFile(dst, nil, 0o600); err != nil {
		return err
	}
	return own(dst, &st)
}

func own(path string, st *unix.Stat_t) error {
	if err := os.Chown(path, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	return unix.Chmod(path, st.Mode&0o7777)
}

// opaque tells overlayfs to show nothing of the lower layers in dir.
func opaque(dir string) error {
	if err := unix.Setxattr(dir, "trusted.overlay.opaque", []byte("y"), 0); err != nil {
		return fmt.Errorf("%s: mark as opaque: %w", dir, err)
	}
	return nil
}
