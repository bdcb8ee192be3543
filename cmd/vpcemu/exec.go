package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/daemon"
	"github.com/vpcemu/vpcemu/internal/host"
)

// execOptions say what to run in an instance and how.
type execOptions struct {
	argv []string
	env  []string
	user string
	dir  string
	tty  bool
}

func newExec() *cobra.Command {
	var o execOptions
	noTTY := false
	cmd := &cobra.Command{
		Use:   "exec [flags] INSTANCE -- COMMAND [ARG...]",
		Short: "Run a program in an instance",
		Long: `Exec runs a program in an instance or Internet host, as root. Standard input, output,
terminal, signals and exit status pass through. It needs no daemon. Flags go before
INSTANCE: what follows it is the program's.`,
		Example:           "  sudo vpcemu exec web -- curl -s http://172.30.1.10/\n  sudo vpcemu exec -u ec2-user db -- id",
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: completeInstance,
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.HasPrefix(args[1], "-") && args[1] != "--" {
				return usageOf(cmd, fmt.Errorf("flags of exec go before the instance: %s comes after it", args[1]))
			}
			cfg, i, err := instanceOf(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			o.argv, o.tty = afterDashes(args[1:]), onTerminal() && !noTTY
			if len(o.argv) == 0 {
				return errors.New("exec: no program named: vpcemu exec INSTANCE -- COMMAND [ARG...]")
			}
			return runIn(cmd.Context(), cfg, i, o)
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows the instance is the program's
	execFlags(cmd, &o)
	cmd.Flags().BoolVarP(&noTTY, "no-tty", "T", false, "pass descriptors through even where they are a terminal")
	return cmd
}

// afterDashes drops the "--" between the instance and the program, which may be
// left out.
func afterDashes(args []string) []string {
	if len(args) > 0 && args[0] == "--" {
		return args[1:]
	}
	return args
}

func newShell() *cobra.Command {
	var o execOptions
	cmd := &cobra.Command{
		Use:               "shell INSTANCE",
		Short:             "Open a shell in an instance",
		Example:           "  sudo vpcemu shell web",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeInstance,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, i, err := instanceOf(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			o.tty = onTerminal()
			return runIn(cmd.Context(), cfg, i, o)
		},
	}
	execFlags(cmd, &o)
	return cmd
}

func execFlags(cmd *cobra.Command, o *execOptions) {
	cmd.Flags().StringVarP(&o.user, "user", "u", "", "user to run as (root)")
	cmd.Flags().StringVarP(&o.dir, "workdir", "w", "", "working directory (the user's home)")
	cmd.Flags().StringArrayVarP(&o.env, "env", "e", nil, "NAME=value for the program's environment")
}

// onTerminal tells whether a person sits at both ends.
func onTerminal() bool {
	return term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
}

// instanceOf finds an instance, from the daemon or, while none runs, from what
// the lab has on this machine: nothing is started for it.
func instanceOf(ctx context.Context, name string) (daemon.Config, control.Instance, error) {
	lab, err := theLab()
	if err != nil {
		return daemon.Config{}, control.Instance{}, err
	}
	cfg := labDirs(lab)
	l, err := control.NewClient(cfg.RunDir).Lab(ctx)
	if errors.Is(err, control.ErrNoDaemon) {
		if id, ok := host.Find(cfg.RunDir, name); ok {
			return cfg, control.Instance{ID: id, Name: name, State: "running"}, nil
		}
		var c *control.Client
		if c, _, err = client(ctx); err == nil {
			l, err = c.Lab(ctx)
		}
	}
	if err != nil {
		return cfg, control.Instance{}, err
	}
	i, err := findInstance(l, name)
	return cfg, i, err
}

// runIn runs a program in an instance and ends with its exit status.
func runIn(ctx context.Context, cfg daemon.Config, i control.Instance, o execOptions) error {
	if i.State != "running" && i.State != "pending" {
		return errors.New("instance " + i.Name + " is " + i.State + ": start it with `vpcemu start " + i.Name + "`")
	}
	// The program gets the signals; this process ends when the program does.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	status, err := host.Exec(context.WithoutCancel(ctx), cfg.RunDir, i.ID, host.ExecRequest{
		Argv: o.argv, Env: o.env, User: o.user, Dir: o.dir, TTY: o.tty,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals,
	})
	if err != nil {
		os.Stderr.WriteString("vpcemu: " + err.Error() + "\n")
	}
	if status != 0 {
		return exitStatus(status)
	}
	return nil
}
