package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/control"
)

func newCounters() *cobra.Command {
	var out string
	all := false
	cmd := &cobra.Command{
		Use:   "counters",
		Short: "Count packets by verdict since the daemon started",
		Long: `Count packets by verdict since the daemon started.

A super-packet (segmentation offload) counts as the segments that it stands for.
With --all also how often each stage was met, what the flow cache did, and how
full the tables of connections and NAT mappings are.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := client(cmd.Context())
			if err != nil {
				return err
			}
			n, err := c.Counters(cmd.Context())
			if err != nil {
				return err
			}
			if out != "" {
				return printAs(cmd.OutOrStdout(), out, n)
			}
			rows := counted("VERDICT", "PACKETS", n.Verdicts)
			if all {
				rows = append(rows, nil)
				rows = append(rows, counted("STAGE", "READS", n.Stages)...)
				rows = append(rows, nil)
				rows = append(rows, machinery(n)...)
			}
			return table(cmd.OutOrStdout(), rows)
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "also stages, flow cache and tables")
	outputFlag(cmd, &out)
	return cmd
}

// counted makes a table of numbers by name.
func counted(name, what string, m map[string]uint64) [][]string {
	rows := [][]string{{name, what}}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		rows = append(rows, []string{k, number(m[k])})
	}
	return rows
}

// machinery tells how the packets were moved.
func machinery(n *control.Counters) [][]string {
	rows := [][]string{
		{"COUNTER", "VALUE"},
		{"bytes in", number(n.Bytes)},
		{"reads", number(n.Reads)},
		{"batches of reads", number(n.Batches)},
		{"writes", number(n.Writes)},
		{"datagrams joined", number(n.Joined)},
		{"workers", strconv.Itoa(n.Workers)},
		{"flow cache hits", number(n.FlowCache.Hits)},
		{"flow cache misses", number(n.FlowCache.Misses)},
		{"flow cache stale", number(n.FlowCache.Stale)},
		{"flow cache evicted", number(n.FlowCache.Evicted)},
		{"flow cache room", fmt.Sprintf("%d (%d KiB)", n.FlowCache.Entries, n.FlowCache.Bytes>>10)},
	}
	rows = append(rows, filled("connections", n.Connections)...)
	return append(rows, filled("mappings", n.Mappings)...)
}

func filled(what string, t control.Table) [][]string {
	rows := [][]string{
		{what, fmt.Sprintf("%d of %d", t.Entries, t.Capacity)},
		{what + " made", number(t.Made)},
		{what + " expired", number(t.Expired)},
	}
	for _, cause := range slices.Sorted(maps.Keys(t.Refused)) {
		rows = append(rows, []string{what + " refused, " + cause, number(t.Refused[cause])})
	}
	return rows
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }
