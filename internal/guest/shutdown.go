package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/vpcemu/vpcemu/internal/guest/wire"
)

// Signals by which the commands reach PID 1, the same as systemd's (systemd(1), SIGRTMIN is 34).
const (
	sigHalt     = syscall.Signal(34 + 3)
	sigPoweroff = syscall.Signal(34 + 4)
	sigReboot   = syscall.Signal(34 + 5)
)

// defaultGrace is what processes have to end by themselves when nobody said how long.
const defaultGrace = 10 * time.Second

// power is the commands poweroff, reboot, halt, shutdown and init.
func power(name string, args []string) error {
	sig, err := powerSignal(name, args)
	if err != nil {
		return err
	}
	if err := syscall.Kill(1, sig); errors.Is(err, syscall.EPERM) {
		return errors.New("only root may do this; try sudo")
	} else if err != nil {
		return err
	}
	return nil
}

// powerSignal reads the command line as far as it makes sense for an instance, which cannot be halted with
// its power on, and which stops at once or not at all.
func powerSignal(name string, args []string) (syscall.Signal, error) {
	sig := map[string]syscall.Signal{"halt": sigHalt, "reboot": sigReboot}[name]
	if sig == 0 {
		sig = sigPoweroff
	}
	when := "now"
	if name == "shutdown" || name == "init" || name == "telinit" {
		when = ""
	}
	for _, a := range args {
		switch a {
		case "-r", "--reboot":
			sig = sigReboot
		case "-h", "-P", "-p", "-H", "--halt", "--poweroff":
			sig = sigPoweroff
		case "-f", "--force", "-ff", "-n", "-d", "-w", "-q", "--no-wall":
		case "now", "+0":
			when = "now"
		case "0", "6":
			if name != "init" && name != "telinit" {
				return 0, fmt.Errorf("%q: not known", a)
			}
			if when = "now"; a == "6" {
				sig = sigReboot
			}
		default:
			if name == "shutdown" && when == "now" && !strings.HasPrefix(a, "-") {
				continue // the message to users
			}
			return 0, fmt.Errorf("%q: not known; an instance stops at once: %s", a, usage[name])
		}
	}
	if when == "" {
		return 0, fmt.Errorf("when? An instance stops at once: %s", usage[name])
	}
	return sig, nil
}

var usage = map[string]string{"shutdown": "shutdown [-r] now", "init": "init 0 or init 6", "telinit": "telinit 0 or telinit 6",
	"poweroff": "poweroff", "halt": "halt", "reboot": "reboot"}

// powerAction is systemctl's poweroff, reboot and halt.
func (g *guest) powerAction(action string) error {
	switch action {
	case "poweroff", "halt":
		g.stop(wire.CausePoweroff, defaultGrace)
	case "reboot":
		g.stop(wire.CauseReboot, defaultGrace)
	default:
		return fmt.Errorf("%s: not known", action)
	}
	return nil
}

// stop begins the end and returns. The first cause counts.
func (g *guest) stop(cause string, grace time.Duration) {
	g.stopping.Do(func() {
		g.mu.Lock()
		g.state = wire.StateStopping
		g.mu.Unlock()
		g.logf("stopping: %s", cause)
		// Written first: whatever happens from here on, this was meant.
		if _, err := g.exit.WriteString(cause + "\n"); err != nil {
			g.logf("cause of the exit: %v", err)
		}
		go func() {
			defer close(g.stopped)
			g.endProcesses(grace)
		}()
	})
}

// endProcesses stops services in order, then asks and then makes everything else end. What is left after
// that, the kernel ends with PID 1.
func (g *guest) endProcesses(grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := g.units.StopAll(ctx, grace); err != nil {
		g.logf("stopping: %v", err)
	}
	g.mu.Lock()
	for pid := range g.execs { // a log-in shell ignores SIGTERM
		if err := g.processes.Signal(pid, syscall.SIGHUP); err != nil && !errors.Is(err, os.ErrProcessDone) {
			g.logf("stopping: process %d: %v", pid, err)
		}
	}
	g.mu.Unlock()
	idle := g.processes.Idle()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGCONT} {
		if err := syscall.Kill(-1, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			g.logf("stopping: %v: %v", sig, err)
		}
	}
	select {
	case <-idle:
	case <-ctx.Done():
	}
}
