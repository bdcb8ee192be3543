package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/reasons"
)

func newReasons() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "reasons [REASON]",
		Short: "List the reasons for which packets are dropped, or explain one",
		Long: `Reasons lists how packets end in a lab's network, as watch, drops, trace and counters name
it. With a name it says what happened, what to look at and what to change. The same as a
page: docs/drop-reasons.md.`,
		Example: "  vpcemu reasons\n  vpcemu reasons SUBNET_ACL_RESTRICTION",
		Args:    cobra.MaximumNArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			if len(args) == 0 {
				names = reasonNames()
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := validOutput(out); err != nil {
				return err
			}
			if len(args) == 0 {
				return listReasons(cmd, out)
			}
			e, err := reasons.Find(args[0])
			if err != nil {
				return usageError{err}
			}
			if out != "" {
				return printAs(cmd.OutOrStdout(), out, e)
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), e.Plain(100))
			return err
		},
	}
	outputFlag(cmd, &out)
	return cmd
}

func listReasons(cmd *cobra.Command, out string) error {
	all := reasons.All()
	if out != "" {
		return printAs(cmd.OutOrStdout(), out, all)
	}
	rows := [][]string{{"REASON", "VERDICT", "AWS CODE", "SAYS"}}
	for _, e := range all {
		row := []string{e.Name, "delivered", "", e.Text}
		if e.Dropped {
			row[1] = "dropped"
		}
		if e.AWS {
			row[2] = "yes"
		}
		rows = append(rows, row)
	}
	return table(cmd.OutOrStdout(), rows)
}

// reasonNames complete --reason and the argument of reasons.
func reasonNames() (names []string) {
	for _, e := range reasons.All() {
		names = append(names, e.Name+"\t"+e.Text)
	}
	return names
}
