package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/disk"
	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// programPath is where an instance finds this program, for systemctl, poweroff and the like. It is a mount of
// the file PID 1 was started from, so that a new version on the host does not disturb it.
const programPath = "/run/vpcemu/guest"

// makeRoot puts the instance's root together in c.Root and moves into it. Nothing of the host's mounts is
// left afterwards. first tells that the disk is new; notes are remarks for the user.
func makeRoot(c *wire.Config) (first bool, notes []string, err error) {
	// Whatever is mounted from here on stays in this namespace.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return false, nil, fmt.Errorf("private mounts: %w", err)
	}
	// No instance sees the names of the others. There is a mount for each, which makes the list of mounts long.
	if err := unix.Unmount("/run/netns", unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return false, nil, fmt.Errorf("unmount /run/netns: %w", err)
	}
	first = !disk.Prepared(c.Disk)
	if notes, err = mountDisk(c, first); err != nil {
		return first, notes, err
	}
	for _, mount := range []func(*wire.Config) error{mountTmpfs, mountDev, mountProc, mountSys, mountProgram} {
		if err := mount(c); err != nil {
			return first, notes, err
		}
	}
	return first, notes, pivot(c.Root)
}

// mountDisk mounts the overlays. Only the one over the root is indispensable.
func mountDisk(c *wire.Config, first bool) (notes []string, err error) {
	layers := disk.TreeLayers(c.Disk, c.Tree)
	if c.Tree == "" {
		mounts, err := disk.Mounts()
		if err != nil {
			return nil, err
		}
		layers = disk.Layers(c.Disk, mounts, append(append([]string{}, disk.Emptied...), c.Hidden...))
	}
	for _, l := range layers {
		if err := l.Make(); err != nil {
			return nil, fmt.Errorf("disk: %w", err)
		}
	}
	switch {
	case !first:
		err = disk.ClearTmp(layers)
	case c.Tree == "": // what a tree has is meant to be there
		err = disk.Hide(layers, c.Hidden)
	}
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	for i, l := range layers {
		target := filepath.Join(c.Root, l.Mount)
		fd, err := l.Open()
		if err == nil {
			err = disk.Attach(fd, target)
		}
		if err != nil && i == 0 {
			return nil, err
		}
		if err != nil {
			notes = append(notes, fmt.Sprintf("%s of the host is not visible: %v", l.Mount, err))
		}
	}
	return notes, nil
}

// mount describes one mount below the new root.
type mount struct {
	source, target, fstype string
	flags                  uintptr
	data                   string
}

func (m mount) do(root string) error {
	target := filepath.Join(root, m.target)
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	// A link would be followed, and this is not yet inside the new root.
	if fi, err := os.Lstat(target); err != nil {
		return err
	} else if !fi.IsDir() {
		return fmt.Errorf("/%s is no directory in this root file system", m.target)
	}
	if err := unix.Mount(m.source, target, m.fstype, m.flags, m.data); err != nil {
		return fmt.Errorf("mount %s: %w", m.target, err)
	}
	return nil
}

// readOnly turns a path into a mount of its own that cannot be written through. Missing paths are left alone.
func readOnly(path string) error {
	if _, err := os.Lstat(path); err != nil {
		return nil
	}
	if err := unix.Mount(path, path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s on itself: %w", path, err)
	}
	return remountReadOnly(path)
}

func remountReadOnly(path string) error {
	flags := uintptr(unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if err := unix.Mount("", path, "", flags, ""); err != nil {
		return fmt.Errorf("mount %s read-only: %w", path, err)
	}
	return nil
}

func mountTmpfs(c *wire.Config) error {
	if err := (mount{"tmpfs", "run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755,size=20%"}).do(c.Root); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(c.Root, "run/lock"), 0o777); err != nil {
		return err
	}
	return unix.Chmod(filepath.Join(c.Root, "run/lock"), 0o1777)
}

// mountProc gives the instance its own process table. The host's switches in /proc/sys are read-only, those
// of the network namespace are the instance's own.
func mountProc(c *wire.Config) error {
	if err := (mount{"proc", "proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""}).do(c.Root); err != nil {
		return err
	}
	proc := filepath.Join(c.Root, "proc")
	if err := keepWritable(filepath.Join(proc, "sys"), filepath.Join(proc, "sys/net")); err != nil {
		return err
	}
	for _, name := range []string{"bus", "fs", "irq", "acpi", "scsi", "sysrq-trigger"} {
		if err := readOnly(filepath.Join(proc, name)); err != nil {
			return err
		}
	}
	for _, name := range []string{"kcore", "kmsg", "keys", "timer_list"} {
		path := filepath.Join(proc, name)
		if _, err := os.Lstat(path); err != nil {
			continue
		}
		if err := unix.Mount(filepath.Join(c.Root, "dev/null"), path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("hide /proc/%s: %w", name, err)
		}
	}
	return nil
}

// keepWritable makes the tree at path read-only but for what is below writable.
func keepWritable(path, writable string) error {
	if err := unix.Mount(path, path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s on itself: %w", path, err)
	}
	if err := unix.Mount(writable, writable, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s on itself: %w", writable, err)
	}
	return remountReadOnly(path)
}

// mountSys shows the instance's own network devices; all but those is read-only.
func mountSys(c *wire.Config) error {
	if err := (mount{"sysfs", "sys", "sysfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""}).do(c.Root); err != nil {
		return err
	}
	sys := filepath.Join(c.Root, "sys")
	devices := filepath.Join(sys, "devices/virtual/net")
	if err := unix.Mount(devices, devices, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount /sys/devices/virtual/net on itself: %w", err)
	}
	if err := mountCgroups(c, filepath.Join(sys, "fs/cgroup")); err != nil {
		return err
	}
	return remountReadOnly(sys)
}

// mountCgroups shows the instance its own control groups where programs look for their limits.
func mountCgroups(c *wire.Config, dir string) error {
	if len(c.Cgroups) == 0 {
		return nil
	}
	if c.Cgroups[0].Name != "" { // version 1 has a directory for each controller
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=755,size=64k"); err != nil {
			return fmt.Errorf("mount /sys/fs/cgroup: %w", err)
		}
	}
	for _, g := range c.Cgroups {
		target := filepath.Join(dir, g.Name)
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(g.Dir, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("show control group %s: %w", g.Dir, err)
		}
		if err := remountReadOnly(target); err != nil {
			return err
		}
	}
	return nil
}

// devices are the nodes of an instance's /dev. Another one could reach the host: a bound /dev would hand over
// its disk, and /dev/net/tun a second queue, which could change the header size of the first.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

func mountDev(c *wire.Config) error {
	const nodes = unix.MS_NOSUID | unix.MS_NOEXEC
	if err := (mount{"tmpfs", "dev", "tmpfs", nodes, "mode=755,size=64k"}).do(c.Root); err != nil {
		return err
	}
	dev := filepath.Join(c.Root, "dev")
	for _, d := range append(append([]string{}, devices...), c.Devices...) {
		if !filepath.IsAbs(d) {
			d = filepath.Join("/dev", d)
		}
		if err := copyNode(d, filepath.Join(c.Root, d)); err != nil {
			return fmt.Errorf("device %s: %w", d, err)
		}
	}
	if err := (mount{"devpts", "dev/pts", "devpts", nodes, "newinstance,gid=5,mode=620,ptmxmode=666"}).do(c.Root); err != nil {
		return err
	}
	if err := (mount{"tmpfs", "dev/shm", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"}).do(c.Root); err != nil {
		return err
	}
	if err := (mount{"mqueue", "dev/mqueue", "mqueue", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""}).do(c.Root); err != nil && !errors.Is(err, unix.ENODEV) {
		return err
	}
	for _, l := range [][2]string{{"pts/ptmx", "ptmx"}, {"/proc/self/fd", "fd"}, {"fd/0", "stdin"}, {"fd/1", "stdout"}, {"fd/2", "stderr"}} {
		if err := os.Symlink(l[0], filepath.Join(dev, l[1])); err != nil {
			return err
		}
	}
	return nil
}

// copyNode makes target the same device as source; where the kernel lets nobody make devices (a container),
// by a mount.
func copyNode(source, target string) error {
	var st unix.Stat_t
	if err := unix.Stat(source, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR && st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return errors.New("not a device")
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	err := unix.Mknod(target, st.Mode, int(st.Rdev))
	if err == nil {
		return unix.Chmod(target, st.Mode&0o7777)
	}
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		return err
	}
	return unix.Mount(source, target, "", unix.MS_BIND, "")
}

// mountProgram shows this program inside.
func mountProgram(c *wire.Config) error {
	target := filepath.Join(c.Root, programPath)
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(target, nil, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("/proc/self/exe", target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s: %w", programPath, err)
	}
	if err := unix.Mount("", target, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
		return fmt.Errorf("mount %s read-only: %w", programPath, err)
	}
	return nil
}

// writable are the directories of a read-only root that can be written to.
var writable = []string{"/etc", "/home", "/root", "/tmp", "/var"}

// protectRoot makes the root read-only, at the end of all that PID 1 itself writes outside of those directories.
func (g *guest) protectRoot() error {
	if !g.config.ReadOnly {
		return nil
	}
	for _, dir := range writable {
		if fi, err := os.Lstat(dir); err != nil || !fi.IsDir() {
			continue
		}
		if err := unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mount %s on itself: %w", dir, err)
		}
	}
	mounts, err := disk.Mounts()
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if m.FSType != "overlay" || disk.Within(m.Point, writable) {
			continue
		}
		if err := unix.Mount("", m.Point, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
			return fmt.Errorf("mount %s read-only: %w", m.Point, err)
		}
	}
	return nil
}

// pivot makes root the root and lets go of the old one.
func pivot(root string) error {
	if err := unix.Chdir(root); err != nil {
		return &os.PathError{Op: "chdir", Path: root, Err: err}
	}
	// Old and new root at the same place: the old one comes to lie on top (pivot_root(2), "pivot_root(".", ".")").
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the host's root: %w", err)
	}
	return unix.Chdir("/")
}
