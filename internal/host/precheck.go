package host

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/guest/disk"
)

// NameFree tells, before anything is made, whether the name of an instance can be
// had in `ip netns`, by an error that says why not. A name that this instance
// holds already is free to it.
func (h *Host) NameFree(name, id string) error {
	full := h.netnsName(name)
	if _, err := os.Lstat(filepath.Join(netnsDir, full)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	found, err := findNetns(h.cfg.RunDir)
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", full, err)
	}
	if found[full] == id {
		return nil
	}
	return fmt.Errorf("network namespace %s: the name is taken by something else: remove it (ip netns del %s) or give the instance or the lab another name", full, full)
}

// PoolFree tells, by an error, whether a public pool of the lab collides with a
// route of this machine: what is said of an address in it would then be true of
// two hosts. The default route does not count.
func PoolFree(pool netip.Prefix) error {
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return fmt.Errorf("routes of this machine: %w", err)
	}
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		addr, ok := netip.AddrFromSlice(r.Dst.IP)
		ones, _ := r.Dst.Mask.Size()
		if !ok || ones == 0 {
			continue
		}
		if route := netip.PrefixFrom(addr.Unmap(), ones); route.Overlaps(pool) {
			return fmt.Errorf("public pool %s: this machine has a route to %s itself: choose another range with internet: {public_pools: […]} in the topology file", pool, route)
		}
	}
	return nil
}

// ConsoleLog is the file with what an instance's PID 1 printed.
func (h *Host) ConsoleLog(id string) string { return filepath.Join(h.diskDir(id), disk.Console) }

// ValidName tells whether a lab or a sandbox can have this name: letters, digits,
// '-', '_' and '.' only, at most 64.
func ValidName(name string) bool { return validName(name) }
