package guest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/thread"
	"github.com/vpcemu/vpcemu/internal/guest/wire"
	"github.com/vpcemu/vpcemu/internal/tun"
)

const tunDevice = "/dev/net/tun"

// makeDevice makes the interface and returns its only queue, with a virtio-net header before each packet (TUN) or
// frame (TAP): see package tun. The interface is still down. /dev/net/tun must be there.
func makeDevice(n wire.NIC) (*os.File, error) {
	queue, err := tun.Make(n.Name(), n.Ethernet)
	if err != nil {
		return nil, err
	}
	if err := configureDevice(n); err != nil {
		queue.Close()
		return nil, errors.Join(fmt.Errorf("device %s: %w", n.Name(), err), deleteDevice(n))
	}
	return queue, nil
}

func configureDevice(n wire.NIC) error {
	link, err := netlink.LinkByName(n.Name())
	if err != nil {
		return err
	}
	if n.Ethernet && n.MAC != "" {
		mac, err := net.ParseMAC(n.MAC)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetHardwareAddr(link, mac); err != nil {
			return fmt.Errorf("mac %s: %w", n.MAC, err)
		}
	}
	if n.MTU > 0 {
		if err := netlink.LinkSetMTU(link, n.MTU); err != nil {
			return fmt.Errorf("mtu %d: %w", n.MTU, err)
		}
	}
	return nil
}

// upDevice brings the interface up, with its address if it has a static one: then everything else is behind
// the device, without a router.
func upDevice(n wire.NIC) error {
	link, err := netlink.LinkByName(n.Name())
	if err != nil {
		return fmt.Errorf("device %s: %w", n.Name(), err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("device %s: up: %w", n.Name(), err)
	}
	if !n.Static.IsValid() {
		return nil
	}
	if err := netlink.AddrReplace(link, &netlink.Addr{IPNet: ipNet(n.Static)}); err != nil {
		return fmt.Errorf("device %s: address %s: %w", n.Name(), n.Static, err)
	}
	all := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	if n.Static.Addr().Is6() {
		all = &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	}
	err = netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: all, Scope: netlink.SCOPE_LINK, Priority: metric(n)})
	if err != nil {
		return fmt.Errorf("device %s: default route: %w", n.Name(), err)
	}
	return nil
}

func deleteDevice(n wire.NIC) error {
	link, err := netlink.LinkByName(n.Name())
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		return fmt.Errorf("device %s: delete: %w", n.Name(), err)
	}
	return nil
}

func upLoopback() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("device lo: %w", err)
	}
	return nil
}

// withTunDevice calls f where /dev/net/tun exists: on a thread with a mount namespace of its own and a /dev
// that nobody else sees. An instance has no such device, so that it cannot attach queues to its interfaces.
func withTunDevice(f func() error) error {
	done := make(chan error)
	thread.Go(func() {
		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return fmt.Errorf("mount namespace: %w", err)
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return fmt.Errorf("private mounts: %w", err)
			}
			if err := unix.Mount("tmpfs", "/dev", "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "size=4k,mode=700"); err != nil {
				return fmt.Errorf("mount /dev: %w", err)
			}
			if err := os.Mkdir("/dev/net", 0o700); err != nil {
				return err
			}
			if err := unix.Mknod(tunDevice, unix.S_IFCHR|0o600, int(unix.Mkdev(10, 200))); err != nil {
				return &os.PathError{Op: "mknod", Path: tunDevice, Err: err}
			}
			return f()
		}()
	})
	return <-done
}

// sysctls are set before the first device is made. A new network namespace takes some of these from the
// host, which forwards and filters as its administrator wants.
var sysctls = []struct{ name, value string }{
	{"ipv4/ip_forward", "0"},
	{"ipv4/ping_group_range", "0 2147483647"}, // as systemd does: ping needs no privilege
	{"ipv4/conf/*/rp_filter", "0"},
	{"ipv4/conf/*/accept_redirects", "0"},
	{"ipv4/conf/*/accept_source_route", "0"},
	{"ipv4/conf/*/send_redirects", "1"},
	{"ipv4/conf/*/proxy_arp", "0"},
	{"ipv4/conf/*/route_localnet", "0"},
	{"ipv4/conf/*/arp_ignore", "0"},
	{"ipv4/conf/*/arp_announce", "0"},
	{"ipv4/conf/*/arp_filter", "0"},
	{"ipv4/conf/*/log_martians", "0"},
	// IPv6 works with addresses set by hand; nothing is sent before that.
	{"ipv6/conf/*/disable_ipv6", "0"},
	{"ipv6/conf/*/forwarding", "0"},
	{"ipv6/conf/*/accept_ra", "0"},
	{"ipv6/conf/*/autoconf", "0"},
	{"ipv6/conf/*/addr_gen_mode", "1"},
}

// setSysctls writes through a view of /proc of its own. In the host's, the same name of every network namespace
// lies in one chain of the kernel's cache, which a thousand instances make long.
func setSysctls() error {
	proc, err := openProc()
	if err != nil {
		return err
	}
	defer unix.Close(proc)
	for _, s := range sysctls {
		head, tail, each := strings.Cut(s.name, "*")
		for _, conf := range []string{"all", "default"} {
			path := head
			if each {
				path += conf + tail
			}
			err := setSysctl(proc, path, s.value)
			// A kernel without IPv6 has none of its settings; addr_gen_mode of "all" cannot be set everywhere.
			if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.EINVAL) {
				return err
			}
			if !each {
				break
			}
		}
	}
	return nil
}

func setSysctl(proc int, path, value string) error {
	fd, err := unix.Openat(proc, "sys/net/"+path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Write(fd, []byte(value))
		unix.Close(fd)
	}
	if err != nil {
		return &os.PathError{Op: "write", Path: "/proc/sys/net/" + path, Err: err}
	}
	return nil
}

// openProc mounts the process table nowhere: the caller closes what shows it.
func openProc() (fd int, err error) {
	fs, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("proc: %w", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("proc: %w", err)
	}
	if fd, err = unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC); err != nil {
		return -1, fmt.Errorf("proc: %w", err)
	}
	return fd, nil
}

// metric orders the interfaces: eth0 first.
func metric(n wire.NIC) int { return 512 + n.DeviceIndex }

// table is the routing table of a secondary interface.
func table(n wire.NIC) int { return 10000 + n.DeviceIndex }
