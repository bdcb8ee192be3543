package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/cgroup"
	"github.com/vpcemu/vpcemu/internal/guest/disk"
	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// Config of a lab's Host.
type Config struct {
	Lab      string // name of the lab
	StateDir string // what survives a reboot, /var/lib/vpcemu/LAB
	RunDir   string // what does not, /run/vpcemu/LAB; also the label of everything the lab has on the machine
	// GuestPath is the program vpcemu-guest; empty looks for it (FindGuest).
	GuestPath string
	Log       *slog.Logger // nil discards
}

// NIC is a network interface of an instance. Inside it is named eth<DeviceIndex>.
type NIC struct {
	ID          string // eni-…
	Handle      uint32 // by which its queue is named
	DeviceIndex int
	LinkType    string // tun (also when empty) or tap
	MAC         string // a TUN has none, but its DHCP client names this one
	MTU         int    // bytes; 0 means 1500
	// Static is the address of an Internet host: set without DHCP, everything else behind the device.
	Static netip.Prefix
}

// Spec is an instance to be started.
type Spec struct {
	ID   string // names the run directory and the disk
	Name string // names the network namespace, LAB.NAME
	// Hostname without domain; empty takes DHCP's.
	Hostname string
	// Resolvers are the name servers of an instance without DHCP.
	Resolvers []netip.Addr
	// BootID tells one start of the instance from the next: Start adopts a sandbox with the same ID and BootID
	// and replaces one with another.
	BootID         int
	NICs           []NIC
	UserData       string   // in any format that package cloudconfig understands
	AuthorizedKeys []string // for root and ec2-user, installed at the first boot
	// PrivateKeys are OpenSSH private keys by file name, put into ~/.ssh of root and ec2-user.
	PrivateKeys map[string]string
	// Devices of the host that the instance has too, such as /dev/net/tun.
	Devices []string
	// Rootfs is what its disk lies over: "" for the host's root, RootfsHostReadOnly, or the absolute path of a
	// directory or of a tar archive. It counts at the first boot of a disk.
	Rootfs string
	// Limits of what it may use.
	Limits Limits
}

// Host is a lab's part of the machine. It is safe for concurrent use; calls about one instance take turns.
type Host struct {
	cfg Config

	// overlays: the file system of the disks has carried an overlay, which is then not tried for each.
	overlays atomic.Bool

	unpacking sync.Mutex // held by who unpacks an archive

	cgroups atomic.Pointer[cgroup.Machine] // found once

	mu    sync.Mutex
	turns map[string]*sync.Mutex // by instance
}

// Open prepares the lab's directories. It touches nothing that runs.
func Open(cfg Config) (*Host, error) {
	if !validName(cfg.Lab) {
		return nil, fmt.Errorf("lab %q: not a name: letters, digits, '-', '_' and '.' only, at most 64", cfg.Lab)
	}
	if cfg.GuestPath == "" {
		path, err := FindGuest()
		if err != nil {
			return nil, fmt.Errorf("lab %s: %w", cfg.Lab, err)
		}
		cfg.GuestPath = path
	}
	for _, dir := range []string{cfg.StateDir, cfg.RunDir} {
		if !filepath.IsAbs(dir) || dir != filepath.Clean(dir) {
			return nil, fmt.Errorf("lab %s: directory %q: not an absolute, clean path", cfg.Lab, dir)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("lab %s: %w", cfg.Lab, err)
		}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Host{cfg: cfg, turns: make(map[string]*sync.Mutex)}, nil
}

// FindGuest looks for vpcemu-guest: $VPCEMU_GUEST, beside the running program, in ../libexec/vpcemu.
func FindGuest() (string, error) {
	if path := os.Getenv("VPCEMU_GUEST"); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("VPCEMU_GUEST: %w", err)
		}
		return filepath.Abs(path)
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	dir := filepath.Dir(self)
	for _, path := range []string{filepath.Join(dir, wire.Argv0), filepath.Join(dir, "../libexec/vpcemu", wire.Argv0)} {
		if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", fmt.Errorf("program %s: not beside %s nor in ../libexec/vpcemu; install it there or name it in VPCEMU_GUEST", wire.Argv0, self)
}

// turn waits until nothing else happens to the instance; the caller unlocks.
func (h *Host) turn(id string) *sync.Mutex {
	h.mu.Lock()
	m := h.turns[id]
	if m == nil {
		m = new(sync.Mutex)
		h.turns[id] = m
	}
	h.mu.Unlock()
	m.Lock()
	return m
}

func runDirOf(runDir, id string) string { return filepath.Join(runDir, "instances", id) }

func (h *Host) runDir(id string) string  { return runDirOf(h.cfg.RunDir, id) }
func (h *Host) diskDir(id string) string { return filepath.Join(h.cfg.StateDir, "disks", id) }

// netnsName is the instance's name in `ip netns`.
func (h *Host) netnsName(name string) string { return h.cfg.Lab + "." + name }

// Sandboxes gives the IDs of everything of this lab that exists on the machine, running, half-made or only a
// disk, sorted.
func (h *Host) Sandboxes() ([]string, error) {
	found, err := h.inventory()
	if err != nil {
		return nil, err
	}
	ids := make(map[string]bool)
	for _, p := range found.processes {
		ids[p.id] = true
	}
	for _, id := range found.netns {
		ids[id] = true
	}
	for _, dir := range []string{filepath.Join(h.cfg.RunDir, "instances"), filepath.Join(h.cfg.StateDir, "disks")} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("lab %s: %w", h.cfg.Lab, err)
		}
		for _, e := range entries {
			ids[strings.TrimSuffix(e.Name(), deletedSuffix)] = true
		}
	}
	var all []string
	for id := range ids {
		all = append(all, id)
	}
	slices.Sort(all)
	return all, nil
}

// inventory is what of the lab is found by its label rather than by where it lies.
type inventory struct {
	processes []labelled
	netns     map[string]string // name to ID
	mounts    []disk.Mount      // all of this mount namespace
}

func (h *Host) inventory() (inventory, error) {
	processes, err := findProcesses(h.cfg.RunDir)
	if err != nil {
		return inventory{}, fmt.Errorf("lab %s: processes: %w", h.cfg.Lab, err)
	}
	netns, err := findNetns(h.cfg.RunDir)
	if err != nil {
		return inventory{}, fmt.Errorf("lab %s: network namespaces: %w", h.cfg.Lab, err)
	}
	mounts, err := disk.Mounts()
	if err != nil {
		return inventory{}, fmt.Errorf("lab %s: mounts: %w", h.cfg.Lab, err)
	}
	return inventory{processes, netns, mounts}, nil
}

// Remove ends an instance at once and removes everything of it from the machine, the disk too if asked. What
// does not exist is removed already. The queue descriptors that Queues gave keep the network namespace in the
// kernel until they are closed.
func (h *Host) Remove(ctx context.Context, id string, disk bool) error {
	defer h.turn(id).Unlock()
	found, err := h.inventory()
	if err != nil {
		return err
	}
	err = h.remove(ctx, id, disk, found)
	if disk {
		err = errors.Join(err, h.sweepTrees())
	}
	return err
}

// RemoveAll removes every instance of the lab with its disk, and the directories that this package made. It
// can be called again after it failed or was killed.
func (h *Host) RemoveAll(ctx context.Context) error {
	ids, err := h.Sandboxes()
	if err != nil {
		return err
	}
	found, err := h.inventory()
	if err != nil {
		return err
	}
	errs := make([]error, len(ids))
	slots := make(chan struct{}, 16)
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			defer h.turn(id).Unlock()
			errs[i] = h.remove(ctx, id, true, found)
		})
	}
	all.Wait()
	errs = append(errs, withNetnsDir(unshareNetnsDir), h.sweepTrees())
	for _, dir := range []string{filepath.Join(h.cfg.RunDir, "instances"), filepath.Join(h.cfg.StateDir, "disks")} {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// remove takes an instance apart: what may still run first, then its names, mounts and files.
func (h *Host) remove(ctx context.Context, id string, withDisk bool, found inventory) error {
	if !validName(id) { // it becomes part of paths
		return fmt.Errorf("instance %q: not an ID", id)
	}
	var errs []error
	for _, p := range found.processes {
		if p.id == id {
			errs = append(errs, killProcess(ctx, p.pid, p.startTime))
		}
	}
	for name, owner := range found.netns {
		if owner == id {
			errs = append(errs, releaseNetns(name))
		}
	}
	errs = append(errs, h.free(id), unmountBelow(h.runDir(id), found.mounts))
	// The directory last: it is what a removal that is cut short, or failed, is known by.
	if errors.Join(errs...) == nil {
		errs = append(errs, os.RemoveAll(h.runDir(id)))
	}
	if withDisk {
		errs = append(errs, h.removeDisk(id, found.mounts))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("instance %s: remove: %w", id, err)
	}
	return nil
}

// validName keeps names usable as a file's, in `ip netns` and in messages.
func validName(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '.' || s[0] == '-' {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	}) < 0
}
