package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/thread"
)

// Check tells what the machine lacks: one error each, with the remedy, joined.
func Check() error {
	if os.Geteuid() != 0 {
		return errors.New("vpcemu makes network namespaces and devices, which needs root: run it with sudo")
	}
	return errors.Join(checkCapabilities(), checkTun("/dev/net/tun"), checkNamespaces(), checkOverlay(), checkPidfd())
}

func checkCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	for _, c := range []struct {
		bit  uint
		name string
	}{{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}, {unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {unix.CAP_NET_RAW, "CAP_NET_RAW"}} {
		if data[c.bit/32].Effective&(1<<(c.bit%32)) == 0 {
			return fmt.Errorf("%s is missing, although this is root: in a container, start it with --privileged", c.name)
		}
	}
	return nil
}

func checkTun(path string) error {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		return unix.Close(fd)
	}
	remedy := "mkdir -p /dev/net && mknod -m 666 /dev/net/tun c 10 200; in a container, start it with --device /dev/net/tun"
	switch {
	case errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO):
		remedy = "modprobe tun, or boot a kernel with CONFIG_TUN"
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		remedy = "in a container, start it with --device /dev/net/tun or --privileged"
	}
	return fmt.Errorf("%s: %w: %s", path, err, remedy)
}

// checkNamespaces makes one of each kind on a thread that ends with them.
func checkNamespaces() error {
	result := make(chan error)
	thread.Go(func() {
		for _, ns := range []struct {
			flag int
			name string
		}{{unix.CLONE_NEWNET, "net"}, {unix.CLONE_NEWNS, "mnt"}, {unix.CLONE_NEWUTS, "uts"}, {unix.CLONE_NEWPID, "pid"}, {unix.CLONE_NEWIPC, "ipc"}} {
			if err := unix.Unshare(ns.flag); err != nil {
				result <- fmt.Errorf("%s namespace: %w: boot a kernel with namespaces; in a container, start it with --privileged", ns.name, err)
				return
			}
		}
		result <- nil
	})
	return <-result
}

func checkOverlay() error {
	fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err == nil {
		return unix.Close(fd)
	}
	remedy := "modprobe overlay, or boot a kernel with CONFIG_OVERLAY_FS"
	if errors.Is(err, fs.ErrPermission) {
		remedy = "in a container, start it with --privileged"
	}
	if errors.Is(err, unix.ENOSYS) {
		remedy = "Linux 5.4 or later is needed"
	}
	return fmt.Errorf("overlay file system: %w: %s", err, remedy)
}

func checkPidfd() error {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err == nil {
		return unix.Close(fd)
	}
	return fmt.Errorf("pidfd: %w: Linux 5.4 or later is needed", err)
}
