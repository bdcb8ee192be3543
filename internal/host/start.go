package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/cloudconfig"
	"github.com/vpcemu/vpcemu/internal/guest/disk"
	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// Files of an instance's run directory.
const (
	socketFile = "guest.sock"
	stateFile  = "state.json"
	exitFile   = "exit"
	rootDir    = "root" // where the guest puts its root together, in its own mount namespace
)

// startPatience is how long a PID 1 may take to report.
const startPatience = 60 * time.Second

// adoptPatience is the same for one that may have been up already when its starter
// died. It is shorter than what a user waits for a daemon, so that one instance that
// hangs does not keep the lab from coming back.
const adoptPatience = 10 * time.Second

// maxConsole is the size in bytes beyond which the console's log starts anew at a boot.
const maxConsole = 1 << 20

// state is what Start records of a sandbox.
type state struct {
	Name       string
	BootID     int
	PID        int
	StartTime  uint64 // clock ticks after boot, /proc/PID/stat
	KernelBoot string // of the machine
}

// Start starts an instance and returns when its PID 1 is up; WaitReady waits for the rest. A sandbox with the
// same ID and BootID is adopted, anything else of that ID is replaced, except the disk.
func (h *Host) Start(ctx context.Context, spec Spec) (*Sandbox, error) {
	if err := spec.check(); err != nil {
		return nil, fmt.Errorf("instance %s: %w", spec.ID, err)
	}
	defer h.turn(spec.ID).Unlock()
	if s, err := h.adopt(ctx, spec.ID); err == nil && s.state.BootID == spec.BootID && s.state.Name == spec.Name {
		return s, nil
	} else if err == nil {
		s.release()
	}
	// What is half-made has a run directory: it is the first step of create.
	if _, err := os.Lstat(h.runDir(spec.ID)); !errors.Is(err, fs.ErrNotExist) {
		found, err := h.inventory()
		if err == nil {
			err = h.remove(ctx, spec.ID, false, found)
		}
		if err != nil {
			return nil, err
		}
	}
	fresh := !disk.Prepared(h.diskDir(spec.ID))
	s, err := h.create(ctx, spec)
	if err == nil {
		return s, nil
	}
	err = fmt.Errorf("instance %s: %w", spec.ID, err)
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if found, e := h.inventory(); e != nil {
		err = errors.Join(err, e)
	} else {
		err = errors.Join(err, h.remove(undo, spec.ID, fresh, found))
	}
	if fresh {
		err = errors.Join(err, h.sweepTrees())
	}
	return nil, err
}

func (s *Spec) check() error {
	if !validName(s.ID) || !validName(s.Name) {
		return fmt.Errorf("name %q or ID: letters, digits, '-', '_' and '.' only, at most 64", s.Name)
	}
	handles, indexes := make(map[uint32]bool), make(map[int]bool)
	for _, n := range s.NICs {
		if err := n.check(); err != nil {
			return err
		}
		if handles[n.Handle] || indexes[n.DeviceIndex] {
			return fmt.Errorf("interface %s: handle %d or device index %d given twice", n.ID, n.Handle, n.DeviceIndex)
		}
		handles[n.Handle], indexes[n.DeviceIndex] = true, true
	}
	return nil
}

func (n *NIC) check() error {
	if n.LinkType != "" && n.LinkType != "tun" && n.LinkType != "tap" {
		return fmt.Errorf("interface %s: link type %q is neither tun nor tap", n.ID, n.LinkType)
	}
	if n.DeviceIndex < 0 || n.DeviceIndex > 999 {
		return fmt.Errorf("interface %s: device index %d", n.ID, n.DeviceIndex)
	}
	return nil
}

func (n *NIC) wire() wire.NIC {
	return wire.NIC{Handle: n.Handle, DeviceIndex: n.DeviceIndex, Ethernet: n.LinkType == "tap", MAC: n.MAC, MTU: n.MTU, Static: n.Static}
}

// create makes the sandbox. Whatever it leaves when it fails or is killed carries the label.
func (h *Host) create(ctx context.Context, spec Spec) (*Sandbox, error) {
	dir := h.runDir(spec.ID)
	if err := os.MkdirAll(filepath.Join(dir, rootDir), 0o700); err != nil {
		return nil, err
	}
	netns := h.netnsName(spec.Name)
	if err := claimNetns(netns, label{Lab: h.cfg.Lab, RunDir: h.cfg.RunDir, ID: spec.ID}); err != nil {
		return nil, err
	}
	base, note, err := h.makeDisk(ctx, spec.ID, spec.Rootfs)
	if err != nil {
		return nil, err
	}
	child, err := h.spawn(spec.ID)
	if err != nil {
		return nil, err
	}
	defer child.close()
	st := state{Name: spec.Name, BootID: spec.BootID, PID: child.process.pid, StartTime: child.process.startTime, KernelBoot: kernelBoot()}
	if err := writeState(dir, st); err != nil {
		return nil, err
	}
	shown, err := h.confine(spec.ID, st.PID, spec.Limits)
	if err != nil {
		return nil, fmt.Errorf("limits: %w", err)
	}
	if err := h.configure(ctx, child, spec, base, shown, note); err != nil {
		return nil, err
	}
	if err := bindNetns(netns, st.PID); err != nil {
		return nil, err
	}
	s := newSandbox(h, spec.ID, st, child.keep())
	if spec.Limits.Memory > 0 {
		if err := s.SetLimits(ctx, spec.Limits); err != nil {
			s.release()
			return nil, err
		}
	}
	return s, nil
}

// child is a PID 1 that waits for its configuration.
type child struct {
	process        *process
	config, report *os.File
	console        string
}

// keep takes the process away from close.
func (c *child) keep() *process {
	p := c.process
	c.process = nil
	return p
}

func (c *child) close() {
	c.config.Close()
	c.report.Close()
	if c.process != nil {
		c.process.close()
	}
}

// spawn starts PID 1 in its namespaces, detached from this process and its terminal.
func (h *Host) spawn(id string) (c *child, err error) {
	dir := h.runDir(id)
	var theirs []*os.File // descriptors 0, 1, 2... of the child
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
	}()
	c = &child{console: filepath.Join(h.diskDir(id), disk.Console)}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	theirs = append(theirs, null)
	console, err := openConsole(c.console)
	if err != nil {
		return nil, err
	}
	theirs = append(theirs, console, console)
	listener, err := wire.Listen(filepath.Join(dir, socketFile))
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	defer listener.Close()
	socket, err := listener.File()
	if err != nil {
		return nil, err
	}
	theirs = append(theirs, socket)
	configR, configW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	theirs, c.config = append(theirs, configR), configW
	reportR, reportW, err := os.Pipe()
	if err != nil {
		configW.Close()
		return nil, err
	}
	theirs, c.report = append(theirs, reportW), reportR
	exit, err := os.OpenFile(filepath.Join(dir, exitFile), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err == nil {
		theirs = append(theirs, exit)
		c.process, err = forkGuest(h.cfg.GuestPath, wire.Label(h.cfg.Lab, h.cfg.RunDir, id), theirs)
	}
	if err != nil {
		c.config.Close()
		c.report.Close()
		return nil, err
	}
	return c, nil
}

func openConsole(path string) (*os.File, error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if fi, err := os.Stat(path); err == nil && fi.Size() > maxConsole {
		flags |= os.O_TRUNC
	}
	return os.OpenFile(path, flags, 0o600)
}

// guestEnv is PID 1's environment, which its programs do not inherit. One thread that runs Go is enough for what
// it does after the boot, and each more is one for the kernel to keep.
var guestEnv = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "GOMAXPROCS=1"}

func forkGuest(path string, argv []string, files []*os.File) (*process, error) {
	pidfd := -1
	p, err := os.StartProcess(path, argv, &os.ProcAttr{Dir: "/", Env: guestEnv, Files: files,
		Sys: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC,
			Setsid:     true,
			PidFD:      &pidfd,
		}})
	if err != nil {
		return nil, fmt.Errorf("start PID 1: %w", err)
	}
	pid := p.Pid
	if err := p.Release(); err != nil { // waited for by its pidfd
		return nil, err
	}
	if pidfd < 0 {
		return nil, errors.New("start PID 1: the kernel gives no pidfd; Linux 5.4 or later is needed")
	}
	return newProcess(pid, pidfd)
}

// configure hands the configuration over and waits for the report.
func (h *Host) configure(ctx context.Context, c *child, spec Spec, b base, shown []wire.Cgroup, note string) error {
	cfg := wire.Config{
		Lab: h.cfg.Lab, ID: spec.ID, Name: spec.Name, Hostname: spec.Hostname, Resolvers: spec.Resolvers,
		Root: filepath.Join(h.runDir(spec.ID), rootDir), Disk: h.diskDir(spec.ID), Tree: b.tree, ReadOnly: b.readOnly, Cgroups: shown, Hidden: hidden(h.cfg),
		UserData: []byte(spec.UserData), AuthorizedKeys: spec.AuthorizedKeys, PrivateKeys: spec.PrivateKeys, Devices: spec.Devices,
	}
	if note != "" {
		cfg.Notes = append(cfg.Notes, note)
	}
	cfg.Plan, _ = cloudconfig.Parse(cfg.UserData) // which tells PID 1 of the problems
	var err error
	if cfg.HostKeys, err = newHostKeys("root@" + spec.Name); err != nil {
		return err
	}
	for _, n := range spec.NICs {
		cfg.NICs = append(cfg.NICs, n.wire())
	}
	deadline := time.Now().Add(startPatience)
	defer context.AfterFunc(ctx, func() {
		_, _ = c.config.SetWriteDeadline(time.Unix(1, 0)), c.report.SetReadDeadline(time.Unix(1, 0))
	})()
	if err := errors.Join(c.config.SetWriteDeadline(deadline), c.report.SetReadDeadline(deadline)); err != nil {
		return err
	}
	// A guest that died early does not read; what it has to say is more useful than EPIPE.
	sent := errors.Join(json.NewEncoder(c.config).Encode(cfg), c.config.Close())
	data, err := io.ReadAll(c.report)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("PID 1 did not report within %v%s", startPatience, consoleTail(c.console))
	case err != nil:
		return err
	}
	var r wire.Report
	if err := json.Unmarshal(data, &r); err != nil {
		return errors.Join(fmt.Errorf("PID 1 ended before it was up%s", consoleTail(c.console)), sent)
	}
	if r.Error != "" {
		return fmt.Errorf("%s: %s", r.Step, r.Error)
	}
	return sent
}

// needed are directories that an instance cannot do without, should a lab's directory lie directly in one.
var needed = []string{"/", "/etc", "/opt", "/usr", "/usr/local", "/usr/share", "/var", "/var/lib", "/var/cache"}

// hidden are the directories of the host that the lab's instances shall not see: the lab's own, and those they
// lie in, where the private keys and disks of the other labs are, also of those made later.
func hidden(cfg Config) []string {
	dirs := []string{cfg.StateDir, cfg.RunDir}
	for _, dir := range dirs {
		if parent := filepath.Dir(dir); !slices.Contains(needed, parent) {
			dirs = append(dirs, parent)
		}
	}
	return dirs
}

// consoleTail gives the last lines of the console for the end of an error.
func consoleTail(path string) string {
	data, err := readTail(path, 4096)
	if err != nil || len(data) == 0 {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return ": " + strings.Join(lines[max(0, len(lines)-5):], "; ")
}

// readTail reads the end of a file, at most limit bytes: an instance can make files that PID 1 has open as long
// as it likes.
func readTail(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.NewSectionReader(f, max(0, fi.Size()-limit), limit))
}

func writeState(dir string, st state) error {
	data, err := json.Marshal(st)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, stateFile)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func readState(dir string) (st state, err error) {
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return st, err
	}
	return st, json.Unmarshal(data, &st)
}

// kernelBoot tells one boot of the machine from the next.
func kernelBoot() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
