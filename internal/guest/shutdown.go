package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vpcemu/vpcemu/internal/guest/unit"
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

// scheduledFile says what is to happen, where systemd keeps it; `shutdown --show` and others look there.
const scheduledFile = "/run/systemd/shutdown/scheduled"

// power is the commands poweroff, reboot, halt, shutdown and init.
func power(name string, args []string) error {
	o, err := readPower(name, args, time.Now())
	switch {
	case err != nil:
		return err
	case o.show:
		return showScheduled(os.Stderr)
	case o.cancel:
		return askManager("poweroff", "--when=cancel")
	case !o.at.IsZero():
		action := "poweroff"
		if o.signal == sigReboot {
			action = "reboot"
		}
		return askManager(action, fmt.Sprintf("--when=@%d", o.at.Unix()), "--message="+o.message)
	}
	if err := syscall.Kill(1, o.signal); errors.Is(err, syscall.EPERM) {
		return errors.New("only root may do this; try sudo")
	} else if err != nil {
		return err
	}
	return nil
}

// askManager passes a command line of systemctl on to PID 1.
func askManager(args ...string) error {
	var out, errs strings.Builder
	status := unit.Main(unit.SocketPath, args, &out, &errs)
	fmt.Fprint(os.Stderr, out.String())
	if status != 0 {
		return errors.New(strings.TrimSpace(errs.String()))
	}
	fmt.Fprint(os.Stderr, errs.String())
	return nil
}

// powerOrder is what a command line asks for: signal at once, or at a time.
type powerOrder struct {
	signal       syscall.Signal
	at           time.Time // zero is at once
	message      string
	cancel, show bool
}

// readPower reads the command line as far as it makes sense for an instance, which cannot be halted with its power
// on. shutdown without a time waits a minute (shutdown(8)).
func readPower(name string, args []string, now time.Time) (o powerOrder, err error) {
	o.signal = sigPoweroff
	if sig, ok := map[string]syscall.Signal{"halt": sigHalt, "reboot": sigReboot}[name]; ok {
		o.signal = sig
	}
	level, when := "", ""
	var message []string
	for i, a := range args {
		switch {
		case a == "-r" || a == "--reboot":
			o.signal = sigReboot
		case a == "-h" || a == "-P" || a == "-p" || a == "-H" || a == "--halt" || a == "--poweroff":
			o.signal = sigPoweroff
		case name == "shutdown" && a == "-c":
			o.cancel = true
		case name == "shutdown" && a == "--show":
			o.show = true
		case strings.HasPrefix(a, "-"):
			switch a {
			case "-f", "--force", "-ff", "-n", "-d", "-w", "-q", "--no-wall":
			default:
				return o, fmt.Errorf("%q: not known: %s", a, usage[name])
			}
		case name == "shutdown" && when == "" && !o.cancel:
			when = a
		case name == "shutdown":
			message = append(message, a)
		case (name == "init" || name == "telinit") && (a == "0" || a == "6") && i == 0:
			if level = a; a == "6" {
				o.signal = sigReboot
			}
		default:
			return o, fmt.Errorf("%q: not known: %s", a, usage[name])
		}
	}
	o.message = strings.Join(message, " ")
	switch {
	case (name == "init" || name == "telinit") && level == "":
		return o, fmt.Errorf("which run level? An instance has these: %s", usage[name])
	case name != "shutdown" || o.cancel || o.show || when == "now" || when == "+0":
		return o, nil
	case when == "":
		when = "+1"
	}
	if o.at, err = unit.ParseWhen(when, now); err != nil {
		return o, fmt.Errorf("%w: %s", err, usage[name])
	}
	return o, nil
}

var usage = map[string]string{"shutdown": "shutdown [-h|-r] [now|+MINUTES|HH:MM] [MESSAGE], shutdown -c, or shutdown --show", "init": "init 0 or init 6", "telinit": "telinit 0 or telinit 6",
	"poweroff": "poweroff", "halt": "halt", "reboot": "reboot"}

// showScheduled tells what scheduledFile says.
func showScheduled(w io.Writer) error {
	text, err := os.ReadFile(scheduledFile)
	if err != nil {
		return errors.New("no scheduled shutdown")
	}
	var usec int64
	mode := "poweroff"
	for line := range strings.Lines(string(text)) {
		switch key, value, _ := strings.Cut(strings.TrimSpace(line), "="); key {
		case "USEC":
			usec, _ = strconv.ParseInt(value, 10, 64)
		case "MODE":
			mode = value
		}
	}
	_, err = fmt.Fprintln(w, unit.ScheduleText(mode, time.UnixMicro(usec)))
	return err
}

// schedule is a stop or restart that is to come.
type schedule struct {
	mu    sync.Mutex
	timer *time.Timer
}

// powerAt does so at a time, in place of what was to come before; a time that is past is now, and the zero time
// takes back what was to come.
func (g *guest) powerAt(action string, at time.Time, message string) error {
	g.scheduled.mu.Lock()
	defer g.scheduled.mu.Unlock()
	if t := g.scheduled.timer; t != nil {
		t.Stop()
		g.scheduled.timer = nil
		if err := os.Remove(scheduledFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			g.logf("%v", err)
		}
		if at.IsZero() {
			wall("The shutdown has been cancelled.")
		}
	}
	if at.IsZero() {
		return nil
	}
	wait := time.Until(at)
	if wait <= 0 {
		return g.powerAction(action)
	}
	if action != "poweroff" && action != "halt" && action != "reboot" {
		return fmt.Errorf("%s: not known", action)
	}
	text := fmt.Sprintf("USEC=%d\nWARN_WALL=1\nMODE=%s\n", at.UnixMicro(), action)
	if message != "" {
		text += "WALL_MESSAGE=" + strings.ReplaceAll(message, "\n", " ") + "\n"
	}
	if err := replaceFile(scheduledFile, []byte(text), 0o644); err != nil {
		return err
	}
	g.logf("%s", unit.ScheduleText(action, at))
	wall(strings.TrimSpace(message + "\n" + unit.ScheduleText(action, at)))
	g.scheduled.timer = time.AfterFunc(wait, func() {
		if err := g.powerAction(action); err != nil {
			g.logf("%v", err)
		}
	})
	return nil
}

// wall writes to every terminal; one that does not take it misses it.
func wall(text string) {
	terminals, err := filepath.Glob("/dev/pts/[0-9]*")
	if err != nil {
		return
	}
	for _, t := range terminals {
		f, err := os.OpenFile(t, os.O_WRONLY|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		_, _ = f.WriteString("\r\n" + strings.ReplaceAll(text, "\n", "\r\n") + "\r\n")
		f.Close()
	}
}

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
		if cause != wire.CauseStop {
			g.userData.leave()
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
