package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/daemon"
	"github.com/vpcemu/vpcemu/internal/guest/wire"
	"github.com/vpcemu/vpcemu/internal/host"
)

// logsOptions say what of which log to show.
type logsOptions struct {
	follow bool
	lines  int // negative: all
	boot   string
	unit   string
}

func newLogs() *cobra.Command {
	o := logsOptions{}
	cmd := &cobra.Command{
		Use:   "logs INSTANCE",
		Short: "Show what an instance wrote to its console, or a service to its log",
		Long: `Logs shows the console of an instance or Internet host: what its PID 1 did at each boot, what
its user data wrote, what was killed for want of memory. It is kept over stops, up to two megabytes,
and goes when the instance is terminated. With --unit it shows the log of a service, as journalctl
does inside. It needs no daemon, and the instance need not run.`,
		Example: `  sudo vpcemu logs web
  sudo vpcemu logs -f --boot 0 web
  sudo vpcemu logs --unit ssh -n 20 web`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeInstance,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runLogs(cmd, args[0], o)
		},
	}
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on with what comes, until interrupted")
	cmd.Flags().IntVarP(&o.lines, "lines", "n", -1, "show the last LINES lines only")
	cmd.Flags().StringVar(&o.boot, "boot", "", "show one boot: 0 for the latest, -1 for the one before")
	cmd.Flags().StringVar(&o.unit, "unit", "", "show the log of the service of this name")
	return cmd
}

func runLogs(cmd *cobra.Command, name string, o logsOptions) error {
	boot := 1 // all
	if o.boot != "" {
		n, err := strconv.Atoi(o.boot)
		if err != nil || n > 0 {
			return usageOf(cmd, fmt.Errorf("logs: --boot %s: 0 is the latest boot, -1 the one before", o.boot))
		}
		if boot = n; o.unit != "" {
			return usageOf(cmd, errors.New("logs: --boot is for the console: the log of a service does not tell boots apart"))
		}
		if o.follow && boot < 0 {
			return usageOf(cmd, errors.New("logs: nothing comes to a boot that is over: --follow goes with --boot 0"))
		}
	}
	if cmd.Flags().Changed("lines") && o.lines < 0 {
		return usageOf(cmd, fmt.Errorf("logs: %d lines", o.lines))
	}
	cfg, i, err := anyInstance(cmd.Context(), name)
	if err != nil {
		return err
	}
	if o.unit != "" {
		return unitLog(cmd, cfg, i, o)
	}
	first := true
	show := func(text []byte) error {
		if first {
			first = false
			if text, err = oneBoot(text, boot); err != nil {
				return err
			}
			text = lastLines(text, o.lines)
		}
		_, err := cmd.OutOrStdout().Write(text)
		return err
	}
	if o.follow {
		err = host.FollowConsole(cmd.Context(), cfg.StateDir, i.ID, show)
	} else {
		var text []byte
		if text, err = host.ReadConsole(cfg.StateDir, i.ID); err == nil {
			err = show(text)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("instance %s is %s and has written nothing to its console", i.Name, i.State)
	}
	return err
}

// oneBoot is the boot of that number, counted backwards from 0; all of them with a positive one.
func oneBoot(log []byte, boot int) ([]byte, error) {
	if boot > 0 {
		return log, nil
	}
	boots := host.Boots(log)
	if -boot >= len(boots) {
		return nil, fmt.Errorf("there is no such boot: the log has %d", len(boots))
	}
	return boots[len(boots)-1+boot], nil
}

func lastLines(text []byte, n int) []byte {
	if n < 0 {
		return text
	}
	end := len(bytes.TrimSuffix(text, []byte("\n")))
	at := end
	for ; n > 0 && at >= 0; n-- {
		at = bytes.LastIndexByte(text[:at], '\n')
	}
	if n == 0 && at == end {
		return nil
	}
	return text[at+1:]
}

// unitLog shows the log of a service: the instance's own journalctl does where it runs.
func unitLog(cmd *cobra.Command, cfg daemon.Config, i control.Instance, o logsOptions) error {
	if i.State == "running" || i.State == "pending" {
		argv := []string{wire.ProgramPath, "journalctl", "--unit", o.unit}
		if o.lines >= 0 {
			argv = append(argv, "--lines", strconv.Itoa(o.lines))
		}
		if o.follow {
			argv = append(argv, "--follow")
		}
		return runIn(cmd.Context(), cfg, i, execOptions{argv: argv})
	}
	text, err := host.ReadUnitLog(cfg.StateDir, i.ID, o.unit)
	if err != nil {
		return fmt.Errorf("instance %s is %s: %w", i.Name, i.State, err)
	}
	_, err = io.Copy(cmd.OutOrStdout(), bytes.NewReader(lastLines(text, o.lines)))
	return err
}

// anyInstance finds an instance in any state and starts nothing for it: it asks the daemon or, while none runs, the
// lab's files.
func anyInstance(ctx context.Context, name string) (daemon.Config, control.Instance, error) {
	lab, err := theLab()
	if err != nil {
		return daemon.Config{}, control.Instance{}, err
	}
	cfg := labDirs(lab)
	l, err := control.NewClient(cfg.RunDir).Lab(ctx)
	if errors.Is(err, control.ErrNoDaemon) {
		l, err = daemon.LabAtRest(ctx, cfg)
		if errors.Is(err, fs.ErrNotExist) {
			err = noLab(lab)
		}
	}
	if err != nil {
		return cfg, control.Instance{}, err
	}
	i, err := findInstance(l, name)
	return cfg, i, err
}
