package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/daemon"
)

// startLimit is how long a daemon may take until it answers: it adopts or
// restarts what the lab had.
const startLimit = 60 * time.Second

// pingLimit is how long one that runs may take.
const pingLimit = 10 * time.Second

// pingEvery is how often it is looked whether another command has started it.
const pingEvery = 50 * time.Millisecond

// readyFD is the descriptor on which a daemon started in the background reports:
// "ready", or what went wrong.
const readyFD = 3

// newDaemon is the daemon itself. Other commands start it in the background;
// `vpcemu daemon` alone keeps it in the foreground, with its log on the terminal.
func newDaemon() *cobra.Command {
	background, profile := false, ""
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "Run a lab's daemon in the foreground (other commands start it by themselves)",
		Long: `Daemon runs a lab's daemon in the foreground, with its log on the terminal. Other commands
start it in the background by themselves.

With --pprof it serves profiles of itself (Go's net/http/pprof) to root, on the socket
pprof.sock in the lab's run directory, or on a loopback address that every user of the
machine can reach: --pprof=127.0.0.1:6060. A daemon that another command starts does so
where VPCEMU_PPROF is set, to "socket" or such an address.

With VPCEMU_COUNTERS=off in its environment it counts no packets; that is for measuring
what counting costs (scripts/bench.sh --only observe), and not for use.

In a lab with an uplink, names that are not the lab's are asked of the servers in the
machine's /etc/resolv.conf, or in the file that VPCEMU_RESOLV_CONF names.`,
		Example: `  sudo vpcemu daemon --lab book --pprof
  sudo curl --unix-socket /run/vpcemu/book/pprof.sock -o cpu 'http://lab/debug/pprof/profile?seconds=10'
  sudo VPCEMU_PPROF=socket vpcemu up book`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			name, err := theLab()
			if err != nil {
				return err
			}
			if err := daemon.CheckProfile(profile); err != nil {
				return usageError{err}
			}
			daemon.SampleMemory(profile != "")
			cfg := labDirs(name)
			cfg.Profile = profile
			cfg.ResolvConf = os.Getenv("VPCEMU_RESOLV_CONF")
			cfg.NoCounters = os.Getenv("VPCEMU_COUNTERS") == "off"
			if err := daemon.CheckDirs(cfg); err != nil {
				return err
			}
			if !background { // else the command that started it has made it
				if err := os.MkdirAll(cfg.StateDir, 0o755); err != nil {
					return errors.Join(needRoot(), err)
				}
			}
			cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
			ready := io.Discard
			if background {
				ready = os.NewFile(readyFD, "ready")
			}
			return runDaemon(cmd.Context(), cfg, ready)
		},
	}
	cmd.Flags().BoolVar(&background, "background", false, "report readiness on descriptor 3")
	_ = cmd.Flags().MarkHidden("background")
	cmd.Flags().StringVar(&profile, "pprof", os.Getenv("VPCEMU_PPROF"), "serve profiles, on a socket in the run directory or at a loopback `address`")
	cmd.Flags().Lookup("pprof").NoOptDefVal = daemon.ProfileSocket
	return cmd
}

// gcPercent is how much garbage the daemon may keep, in per cent of what it uses:
// each change to a large lab leaves a few megabytes, and packets leave none.
const gcPercent = 50

func runDaemon(ctx context.Context, cfg daemon.Config, ready io.Writer) error {
	debug.SetGCPercent(gcPercent)
	// What workers keep comes on top, or a call of the API would wait on a machine of two
	// processors until the runtime takes one from them, 10 ms later.
	cfg.Workers = dataplane.DefaultWorkers()
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + cfg.Workers)
	d, err := daemon.Open(ctx, cfg)
	if err != nil {
		fmt.Fprintln(ready, err)
		return err
	}
	defer d.Close()
	return d.Serve(ctx, func() {
		fmt.Fprintln(ready, "ready")
		if c, ok := ready.(io.Closer); ok {
			c.Close()
		}
	})
}

// connect returns a client of the lab's daemon, starting one where none runs. A
// lab that does not exist is made if create says so.
func connect(ctx context.Context, cfg daemon.Config, create bool) (*control.Client, error) {
	if err := daemon.CheckDirs(cfg); err != nil {
		return nil, err
	}
	c := control.NewClient(cfg.RunDir)
	if err := ping(ctx, c, cfg); !errors.Is(err, control.ErrNoDaemon) {
		return c, err
	}
	if err := needRoot(); err != nil {
		return nil, err
	}
	// Before anything is put into the lab's directories.
	if err := daemon.FinishRemoval(ctx, cfg); err != nil {
		return nil, err
	}
	if create {
		if err := os.MkdirAll(cfg.StateDir, 0o755); err != nil {
			return nil, fmt.Errorf("lab %s: %w", cfg.Lab, err)
		}
	}
	if err := startDaemon(ctx, cfg, c); err != nil {
		return nil, err
	}
	return c, nil
}

// ping asks whether there is a daemon, and does not wait for one that is stuck.
func ping(ctx context.Context, c *control.Client, cfg daemon.Config) error {
	short, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	err := c.Ping(short)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the daemon of lab %s does not answer within %s: see %s", cfg.Lab, pingLimit, filepath.Join(cfg.StateDir, "daemon.log"))
	}
	return err
}

// needRoot is the first thing that a user who forgot sudo should be told.
func needRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("vpcemu makes network namespaces and devices, which needs root: run it with sudo")
	}
	return nil
}

// startDaemon runs this program as the lab's daemon, detached from the terminal,
// and waits until it is ready or says why it cannot be.
func startDaemon(ctx context.Context, cfg daemon.Config, c *control.Client) error {
	log, err := openLog(filepath.Join(cfg.StateDir, "daemon.log"))
	if errors.Is(err, os.ErrNotExist) {
		return noLab(cfg.Lab)
	}
	if err != nil {
		return fmt.Errorf("lab %s: %w", cfg.Lab, err)
	}
	defer log.Close()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("daemon: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("daemon: %w", err)
	}
	defer r.Close()
	cmd := exec.Command(self, "daemon", "--background", "--lab", cfg.Lab)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{w}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err = keepInherited(); err == nil {
		err = cmd.Start()
	}
	w.Close()
	if err != nil {
		return fmt.Errorf("daemon: %w", err)
	}
	defer cmd.Process.Release()
	answer := make(chan string, 1)
	go func() {
		line, _ := io.ReadAll(bufio.NewReader(r)) // ends with "ready" or with the daemon
		answer <- strings.TrimSpace(string(line))
	}()
	late := time.After(startLimit)
	look := time.NewTicker(pingEvery)
	defer look.Stop()
	for {
		select {
		case said := <-answer:
			switch said {
			case "ready":
				return nil
			case "":
				return fmt.Errorf("the daemon of lab %s ended at once%s", cfg.Lab, lastLine(log.Name()))
			}
			return errors.New(said)
		case <-look.C:
			if c.Ping(ctx) == nil {
				return nil // it is ready, or another command's is, and ours gives up
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			return fmt.Errorf("the daemon of lab %s is not ready after %s: see %s", cfg.Lab, startLimit, log.Name())
		}
	}
}

// lastLine is what a daemon that died had to say, for the end of an error.
func lastLine(path string) string {
	b, err := os.ReadFile(path)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if err != nil || lines[len(lines)-1] == "" {
		return ""
	}
	return ": " + lines[len(lines)-1]
}

// maxLog is the size in bytes from which on a daemon's log starts anew.
const maxLog = 8 << 20

func openLog(path string) (*os.File, error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if fi, err := os.Stat(path); err == nil && fi.Size() > maxLog {
		flags |= os.O_TRUNC
	}
	return os.OpenFile(path, flags, 0o600)
}
