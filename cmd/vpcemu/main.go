// Command vpcemu runs an Amazon VPC on one Linux machine, with real packets.
// One file a subcommand; they parse flags, call the lab's daemon and print.
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

	"github.com/vpcemu/vpcemu/internal/daemon"
	"github.com/vpcemu/vpcemu/internal/topology"
)

// exitStatus makes the process end with a status without a message: that of a
// program run in an instance.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func main() {
	daemon.SampleMemory(false) // until a daemon is to serve profiles
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := absolutePaths()
	if err == nil {
		err = newRoot().ExecuteContext(ctx)
	}
	stop()
	os.Exit(report(err))
}

// report prints an error and gives the exit status: 2 for input that is wrong, 1
// for what failed.
func report(err error) int {
	if err == nil {
		return 0
	}
	var status exitStatus
	if errors.As(err, &status) {
		return int(status)
	}
	if errors.Is(err, errInterrupted) {
		fmt.Fprintln(os.Stderr, "vpcemu: interrupted")
		return 130
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "vpcemu: interrupted; the lab's daemon goes on with what was begun: run the command again to see it through, or `vpcemu down` to remove the lab")
		return 130
	}
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintln(os.Stderr, "vpcemu:", printableLines(err.Error()))
		return 2
	}
	var invalid topology.Errors
	if errors.As(err, &invalid) {
		fmt.Fprintln(os.Stderr, err) // already file:line: object: reason, a line each
		return 2
	}
	fmt.Fprintln(os.Stderr, "vpcemu:", printableLines(strings.TrimPrefix(err.Error(), "vpcemu: ")))
	return 1
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "vpcemu",
		Short: "An Amazon VPC on one Linux machine, with real packets",
		Long: `vpcemu brings up a VPC on this machine: network namespaces are the instances, and
the network between them does to their packets what AWS's would do: routing, Internet
gateway, NAT gateway, stateful security groups, stateless network ACLs, DHCP.`,
		Example: `  sudo vpcemu up book                 bring up the worked example
  sudo vpcemu exec web -- ip address  run a program in an instance
  sudo vpcemu ssh --via web db        log in through a bastion
  sudo vpcemu drops                   what was dropped, and why
  sudo vpcemu down                    remove it all`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().StringVar(&labFlag, "lab", os.Getenv("VPCEMU_LAB"), "name of the lab; without it VPCEMU_LAB, or the only lab there is")
	_ = root.RegisterFlagCompletionFunc("lab", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return labs(), cobra.ShellCompDirectiveNoFileComp
	})
	root.AddCommand(
		newUp(), newPlan(), newDown(), newValidate(), newTopologies(),
		newLs(), newDescribe(), newDrops(), newCounters(),
		newTrace(), newCheck(), newMatrix(), newGraph(),
		newWatch(), newCapture(), newReasons(),
		newExec(), newShell(), newSSH(), newLogs(), newCp(),
		newPower("stop", "Stop instances; they keep disk, private addresses and Elastic IPs", stopActions),
		newPower("start", "Start stopped instances", startActions),
		newPower("reboot", "Reboot instances; they keep every address", rebootActions),
		newPower("terminate", "Terminate instances and destroy their disks", terminateActions),
		newEC2(), newImport(), newAPI(), newExport(), newDaemon(),
		newFlowLogs(), newImpair(), newFail(), newHeal(),
	)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageOf(cmd, err) })
	for _, cmd := range root.Commands() {
		if check := cmd.Args; check != nil {
			cmd.Args = func(cmd *cobra.Command, args []string) error {
				if err := check(cmd, args); err != nil {
					return usageOf(cmd, err)
				}
				return nil
			}
		}
	}
	return root
}

// usageError is a command line that was wrong.
type usageError struct{ error }

func usageOf(cmd *cobra.Command, err error) error {
	if strings.Contains(err.Error(), "arg(s)") { // cobra's wording
		err = fmt.Errorf("%s: wrong number of arguments", cmd.Name())
	}
	return usageError{fmt.Errorf("%w\nusage: %s (see %s --help)", err, cmd.UseLine(), cmd.CommandPath())}
}
