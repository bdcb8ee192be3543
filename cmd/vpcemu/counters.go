package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/control"
)

func newCounters() *cobra.Command {
	var out string
	var all, rules, unmatched, interfaces bool
	cmd := &cobra.Command{
		Use:   "counters",
		Short: "Count packets by verdict, rule and interface since the daemon started",
		Long: `Count packets by verdict, rule and interface since the daemon started.

A super-packet (segmentation offload) counts as the segments that it stands for.

--rules lists the rules of security groups and network ACLs and the routes with the
packets that each has decided about; --unmatched those that no packet has met. A packet
of a tracked connection passes a security group by no rule, so a rule that tracks
counts what opened connections. --interfaces lists network interfaces, gateways and
Internet hosts. --all is all of it, and how often each stage was met, what the flow
cache did, and how full the tables of connections and NAT mappings are.`,
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
			if rules || unmatched {
				return table(cmd.OutOrStdout(), ruleRows(n, unmatched))
			}
			if interfaces {
				return table(cmd.OutOrStdout(), interfaceRows(n))
			}
			if all {
				rows = append(append(rows, nil), ruleRows(n, false)...)
				rows = append(append(rows, nil), interfaceRows(n)...)
				rows = append(rows, nil)
				rows = append(rows, counted("STAGE", "READS", n.Stages)...)
				rows = append(rows, nil)
				rows = append(rows, machinery(n)...)
			}
			return table(cmd.OutOrStdout(), rows)
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "all of it, with stages, flow cache and tables")
	cmd.Flags().BoolVarP(&rules, "rules", "r", false, "rules and routes")
	cmd.Flags().BoolVarP(&unmatched, "unmatched", "u", false, "rules and routes that no packet has met")
	cmd.Flags().BoolVarP(&interfaces, "interfaces", "i", false, "interfaces, gateways and Internet hosts")
	cmd.MarkFlagsMutuallyExclusive("all", "rules", "unmatched", "interfaces")
	outputFlag(cmd, &out)
	return cmd
}

// ruleRows lists rules and routes.
func ruleRows(n *control.Counters, unmatched bool) [][]string {
	rows := [][]string{{"OF", "RULE", "DIRECTION", "SAYS", "PACKETS", "BYTES"}}
	for _, r := range n.Rules {
		if !unmatched || r.Packets == 0 {
			rows = append(rows, []string{control.Object{ID: r.ID, Name: r.Name}.String(), r.Rule, r.Direction, r.Text, number(r.Packets), number(r.Bytes)})
		}
	}
	return rows
}

// interfaceRows lists interfaces and hosts, then gateways.
func interfaceRows(n *control.Counters) [][]string {
	rows := [][]string{{"INTERFACE", "SENT", "BYTES", "RECEIVED", "BYTES", "DROPPED"}}
	for _, i := range n.Interfaces {
		var dropped []string
		for _, reason := range slices.Sorted(maps.Keys(i.Dropped)) {
			dropped = append(dropped, number(i.Dropped[reason])+" "+reason)
		}
		rows = append(rows, []string{control.Object{ID: i.ID, Name: i.Name}.String(), number(i.Sent.Packets), number(i.Sent.Bytes),
			number(i.Received.Packets), number(i.Received.Bytes), strings.Join(dropped, ", ")})
	}
	rows = append(rows, nil, []string{"GATEWAY", "TRANSLATED", "BYTES"})
	for _, g := range n.Gateways {
		rows = append(rows, []string{control.Object{ID: g.ID, Name: g.Name}.String(), number(g.Packets), number(g.Bytes)})
	}
	return rows
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
