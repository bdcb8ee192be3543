package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/control"
)

func newLs() *cobra.Command {
	var out string
	all := false
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   "List a lab's instances, or all labs",
		Example: "  sudo vpcemu ls\n  sudo vpcemu ls --all",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if all {
				return listLabs(cmd, out)
			}
			c, _, err := client(cmd.Context())
			if err != nil {
				return err
			}
			lab, err := c.Lab(cmd.Context())
			if err != nil {
				return err
			}
			if out != "" {
				return printAs(cmd.OutOrStdout(), out, lab)
			}
			return printLab(cmd.OutOrStdout(), lab)
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "list all labs of this machine")
	outputFlag(cmd, &out)
	return cmd
}

// listLabs asks the daemons that run; a lab whose daemon does not is only named.
func listLabs(cmd *cobra.Command, out string) error {
	rows := [][]string{{"LAB", "REGION", "DAEMON", "INSTANCES"}}
	var list []control.Lab
	for _, name := range labs() {
		lab, err := control.NewClient(labDirs(name).RunDir).Lab(cmd.Context())
		switch {
		case errors.Is(err, control.ErrNoDaemon):
			lab = &control.Lab{Name: name}
			rows = append(rows, []string{name, "", "not running", ""})
		case err != nil:
			return err
		default:
			rows = append(rows, []string{name, lab.Region, "process " + strconv.Itoa(lab.Daemon), strconv.Itoa(instances(lab))})
		}
		list = append(list, *lab)
	}
	if out != "" {
		return printAs(cmd.OutOrStdout(), out, list)
	}
	return table(cmd.OutOrStdout(), rows)
}

// instances counts what runs or may be started, without hosts on the Internet.
func instances(lab *control.Lab) (n int) {
	for _, i := range lab.Instances {
		if i.Kind == "instance" && i.State != "terminated" {
			n++
		}
	}
	return n
}

func newDrops() *cobra.Command {
	var out string
	follow := false
	cmd := &cobra.Command{
		Use:   "drops",
		Short: "Show the packets that were dropped last, each with the reason and what decided",
		Long: `Drops shows the packets that the network dropped last. The reason is AWS Reachability
Analyzer's code where it has one, with the rule, route or object that decided.`,
		Example: "  sudo vpcemu drops\n  sudo vpcemu drops -f",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := client(cmd.Context())
			if err != nil {
				return err
			}
			for after := uint64(0); ; {
				drops, err := c.Drops(cmd.Context(), after)
				if errors.Is(err, control.ErrNoDaemon) {
					return fmt.Errorf("%w any more: the drops end here; run the command again", control.ErrNoDaemon)
				}
				if err != nil {
					return looking(err)
				}
				if out != "" && (len(drops) > 0 || !follow) {
					if err := printAs(cmd.OutOrStdout(), out, drops); err != nil {
						return err
					}
				}
				for _, d := range drops {
					if out == "" {
						fmt.Fprintln(cmd.OutOrStdout(), d)
					}
					after = d.Sequence
				}
				if !follow {
					return nil
				}
				select {
				case <-cmd.Context().Done():
					return nil
				case <-time.After(200 * time.Millisecond):
				}
			}
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as packets are dropped")
	outputFlag(cmd, &out)
	return cmd
}
