package guest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/dhcp/client"
	"github.com/vpcemu/vpcemu/internal/guest/disk"
	"github.com/vpcemu/vpcemu/internal/guest/unit"
	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// defaultUmask is what programs start with, whatever the daemon was started with.
const defaultUmask = 0o022

// Main is the program: PID 1 of an instance, or one of the commands that an init system has, by the name it
// was called by. The result is the exit status.
func Main(args []string) int {
	var err error
	name := filepath.Base(args[0])
	switch name {
	case "systemctl":
		return unit.Main(unit.SocketPath, args[1:], os.Stdout, os.Stderr)
	case "journalctl":
		return unit.JournalMain(context.Background(), "/", args[1:], os.Stdout, os.Stderr)
	case "poweroff", "reboot", "halt", "shutdown", "init", "telinit":
		err = power(name, args[1:])
	case "cloud-init":
		return cloudInit(args[1:], os.Stdout, os.Stderr)
	case "runlevel":
		fmt.Println("N 3" /* a server: multi-user */)
	case unit.TrampolineName:
		err = unit.Trampoline(args)
	default:
		name, err = wire.Argv0, run(args)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// guest is a running instance, seen from PID 1.
type guest struct {
	config    *wire.Config
	first     bool // first boot of the disk
	processes *processes
	network   *network
	names     *names
	units     *unit.Manager
	exit      *os.File // takes the cause of the exit
	memory    memory

	userData *userData

	ready     chan struct{} // closed when booted
	readyOnce sync.Once
	stopping  sync.Once
	stopped   chan struct{} // closed when everything has been ended
	scheduled schedule

	mu     sync.Mutex
	state  string
	notes  []string
	failed []string     // units
	execs  map[int]bool // processes of exec requests
}

// run is PID 1's life: configuration, start, service until told to stop.
func run(args []string) error {
	if _, _, _, ok := wire.ParseLabel(args); !ok || os.Getpid() != 1 {
		return errors.New("this program is PID 1 of vpcemu's instances; `vpcemu up` starts it")
	}
	if err := keepDescriptors(); err != nil {
		return err
	}
	report := os.NewFile(wire.FDReport, "report")
	g, listener, step, err := start()
	r := wire.Report{}
	if err != nil {
		r = wire.Report{Step: step, Error: err.Error()}
	}
	// A host that died meanwhile does not read this; whoever comes after it asks on the control socket.
	if e := json.NewEncoder(report).Encode(r); e != nil && !errors.Is(e, syscall.EPIPE) {
		err = errors.Join(err, e)
	}
	if err = errors.Join(err, report.Close()); err != nil {
		return fmt.Errorf("%s: %w", step, err)
	}
	go g.serve(listener)
	go g.boot()
	<-g.stopped
	return nil
}

// keepDescriptors keeps what this process was started with from the programs of the instance: its own pipes and
// socket, and what the user's shell left open for the daemon.
func keepDescriptors() error {
	open, err := os.ReadDir("/proc/self/fd") // close_range(2) can do so from Linux 5.11 on
	if err != nil {
		return err
	}
	for _, e := range open {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= wire.FDSocket {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// start takes the steps that must succeed. On failure it names the step.
func start() (g *guest, l *net.UnixListener, step string, err error) {
	g = &guest{ready: make(chan struct{}), stopped: make(chan struct{}), state: wire.StateBooting, execs: make(map[int]bool),
		exit: os.NewFile(wire.FDExit, "exit")}
	if l, err = inheritListener(); err != nil {
		return nil, nil, "control socket", err
	}
	if g.config, err = readConfig(); err != nil {
		return nil, nil, "configuration", err
	}
	unix.Umask(defaultUmask)
	dir, err := os.Open(g.config.Disk) // out of reach once the root has changed
	if err != nil {
		return nil, nil, "disk", err
	}
	defer dir.Close()
	g.names = newNames(g.config)
	g.network = newNetwork(g.logf, func(l client.Lease) {
		if err := g.names.Lease(l); err != nil {
			g.logf("names of the lease of %s: %v", l.Addr, err)
		}
	})
	for _, s := range []struct {
		name string
		do   func() error
	}{
		{"network devices", g.makeDevices},
		{"root file system", g.changeRoot},
		{"processes", func() (err error) { g.processes, err = newProcesses(); return err }},
		{"files", g.personalise},
		{"read-only root file system", g.protectRoot},
		{"disk", func() error { return disk.SetPrepared(fmt.Sprintf("/proc/self/fd/%d", dir.Fd())) }},
		{"interfaces", g.bringUp},
		{"service manager", g.startManager},
	} {
		if err := s.do(); err != nil {
			return nil, nil, s.name, err
		}
	}
	g.handleSignals()
	return g, l, "", nil
}

func inheritListener() (*net.UnixListener, error) {
	f := os.NewFile(wire.FDSocket, "control socket")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	ul, ok := l.(*net.UnixListener)
	if !ok {
		return nil, fmt.Errorf("a %s, not a unix socket", l.Addr().Network())
	}
	ul.SetUnlinkOnClose(false)
	return ul, nil
}

// readConfig takes the whole configuration; a host that died while writing it has not started an instance.
func readConfig() (*wire.Config, error) {
	f := os.NewFile(wire.FDConfig, "configuration")
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	c := new(wire.Config)
	if err := json.Unmarshal(data, c); err != nil {
		return nil, err
	}
	return c, nil
}

// makeDevices makes the interfaces while the host's /dev is in sight.
func (g *guest) makeDevices() error {
	if err := setSysctls(); err != nil {
		return err
	}
	if err := upLoopback(); err != nil {
		return err
	}
	for _, n := range g.config.NICs {
		if _, err := g.network.Add(n); err != nil {
			return err
		}
	}
	return nil
}

func (g *guest) changeRoot() (err error) {
	var notes []string
	g.first, notes, err = makeRoot(g.config)
	g.notes = append(append(g.notes, g.config.Notes...), notes...)
	return err
}

// personalise turns the host's files into the instance's own.
func (g *guest) personalise() error {
	if err := furnish(); err != nil {
		return err
	}
	if g.first {
		if err := errors.Join(disk.Remove("/"), setMachineID(), setFreshHosts()); err != nil {
			return err
		}
	}
	if err := installNames(); err != nil {
		return err
	}
	if err := setUpUsers(g.config, g.first); err != nil {
		return err
	}
	// Programs take this folder for the sign that systemctl works (sd_booted(3)): without it, packages start their
	// services by the scripts in /etc/init.d, or not at all.
	if err := os.MkdirAll("/run/systemd/system", 0o755); err != nil {
		return err
	}
	if err := writeUtmp("/run/utmp", time.Now()); err != nil {
		return err
	}
	g.userData = newUserData(g)
	return g.names.Start()
}

func (g *guest) bringUp() error {
	for _, n := range g.config.NICs {
		if err := g.network.Up(n.Handle); err != nil {
			return err
		}
	}
	return nil
}

// handleSignals makes SIGTERM and init's own signals stop the instance.
func (g *guest) handleSignals() {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, sigHalt, sigPoweroff, sigReboot)
	// The kernel keeps from PID 1 what it has no handler for, but Go's handlers would end the program. Ignoring
	// would be inherited by everything started.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGALRM, syscall.SIGABRT, syscall.SIGTRAP, syscall.SIGSYS, syscall.SIGXCPU, syscall.SIGXFSZ, syscall.SIGVTALRM, syscall.SIGPWR, syscall.SIGSTKFLT)
	go func() {
		for s := range signals {
			switch s {
			case sigHalt, sigPoweroff:
				g.stop(wire.CausePoweroff, defaultGrace)
			case sigReboot, syscall.SIGINT:
				g.stop(wire.CauseReboot, defaultGrace)
			default:
				g.stop(wire.CauseStop, defaultGrace)
			}
		}
	}()
}

// logf writes to the console, a file of the host's beside the disk.
func (g *guest) logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s vpcemu-guest: %s\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), fmt.Sprintf(format, args...))
}
