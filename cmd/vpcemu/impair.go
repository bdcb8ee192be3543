package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/impair"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// impairFlags are the flags of impair, each with the member of the request.
var impairFlags = []struct{ name, member, about string }{
	{"delay", "Delay", "what every packet waits, each way: 20ms"},
	{"jitter", "Jitter", "by how much the delay varies: 2ms"},
	{"distribution", "Distribution", "of the jitter: uniform, normal or pareto"},
	{"loss", "Loss", "share of packets that are lost: 1%"},
	{"loss-burst", "LossBurst", "how many are lost in a row on average: 3"},
	{"duplicate", "Duplicate", "share of packets that arrive twice"},
	{"reorder", "Reorder", "share of packets that overtake what is delayed"},
	{"gap", "Gap", "only each so-many-th packet may overtake: 5"},
	{"rate", "Rate", "bits a second: 10mbit"},
	{"queue", "Queue", "how much may wait for the rate: '100 packets' or 64kb (1000 packets)"},
}

func newImpair() *cobra.Command {
	var out, direction string
	var clear bool
	cmd := &cobra.Command{
		Use:   "impair [PLACE [ZONE]]",
		Short: "Give links delay, loss and a rate, or list those that have some",
		Long: `Impair gives a link conditions: an instance's or Internet host's, the edge of a subnet,
the link between two availability zones (or within one: name it twice), or the
Internet's. A packet meets all links on its way, and each direction counts by itself: a
delay of 20ms adds 40ms to a ping. What is not given is perfect; --clear makes all of it so.

A place is named as elsewhere, if need be with instance:, host:, subnet: or zone: before
it; zone:a is the region's zone a. --direction egress is what leaves the place, or goes
from the first zone to the second; of the internet, what leaves a VPC.

Without conditions it lists the impaired links with what they have done. "vpcemu up" puts
back what its file says.`,
		Example: `  sudo vpcemu impair web --delay 20ms --jitter 2ms --loss 1%
  sudo vpcemu impair zone:a zone:c --delay 1ms
  sudo vpcemu impair internet --direction ingress --rate 10mbit --queue '50 packets'
  sudo vpcemu impair
  sudo vpcemu impair web --clear`,
		Args:              cobra.MaximumNArgs(2),
		ValidArgsFunction: completeInstances,
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := impairRequest(cmd, args, direction, clear)
			if err != nil {
				return err
			}
			if err := validOutput(out); err != nil {
				return err
			}
			c, _, err := client(cmd.Context())
			if err != nil {
				return err
			}
			if in != nil {
				if _, err := c.Run(cmd.Context(), "ModifyImpairment", in, false); err != nil {
					return requestError(err)
				}
				return nil
			}
			n, err := c.Counters(cmd.Context())
			if err != nil {
				return looking(err)
			}
			return printLinks(cmd.OutOrStdout(), out, n.Links, args)
		},
	}
	for _, f := range impairFlags {
		cmd.Flags().String(f.name, "", f.about)
	}
	cmd.Flags().StringVar(&direction, "direction", "both", "egress, ingress or both")
	cmd.Flags().BoolVar(&clear, "clear", false, "make the link perfect")
	_ = cmd.RegisterFlagCompletionFunc("direction", cobra.FixedCompletions([]string{"both", "egress", "ingress"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("distribution", cobra.FixedCompletions([]string{impair.Uniform, impair.Normal, impair.Pareto}, cobra.ShellCompDirectiveNoFileComp))
	outputFlag(cmd, &out)
	return cmd
}

// impairRequest is the request of the command line, nil where it asks for nothing but the list.
func impairRequest(cmd *cobra.Command, args []string, direction string, clear bool) (map[string]string, error) {
	in := map[string]string{"Direction": direction}
	var given []string
	texts := impair.Texts{}
	for _, f := range impairFlags {
		if !cmd.Flags().Changed(f.name) {
			continue
		}
		if err := noEmpty(cmd, f.name); err != nil {
			return nil, err
		}
		given = append(given, "--"+f.name)
		in[f.member], _ = cmd.Flags().GetString(f.name)
	}
	b, _ := json.Marshal(in)
	_ = json.Unmarshal(b, &texts)
	_, err := texts.Parse()
	switch {
	case err != nil:
		return nil, usageOf(cmd, errors.New("--"+strings.ReplaceAll(err.Error(), "loss_burst", "loss-burst")))
	case !slices.Contains([]string{vpc.DirectionBoth, vpc.DirectionEgress, vpc.DirectionIngress}, direction):
		return nil, usageOf(cmd, fmt.Errorf("--direction: egress, ingress or both is wanted, not %q", direction))
	case clear && len(given) > 0:
		return nil, usageOf(cmd, fmt.Errorf("--clear and %s exclude one another", given[0]))
	case len(args) == 0 && (clear || len(given) > 0):
		return nil, usageOf(cmd, errors.New("whose link? name an instance, subnet, Internet host, two zones, or internet"))
	case !clear && len(given) == 0 && cmd.Flags().Changed("direction"):
		return nil, usageOf(cmd, errors.New("--direction: there are no conditions to go with it"))
	case !clear && len(given) == 0:
		return nil, nil
	}
	in["Place"] = args[0]
	if len(args) > 1 {
		in["To"] = args[1]
	}
	return in, nil
}

// printLinks lists links, those of a place if one is named.
func printLinks(w io.Writer, out string, links []control.LinkCounter, args []string) error {
	links = slices.DeleteFunc(links, func(l control.LinkCounter) bool {
		return slices.ContainsFunc(args, func(a string) bool {
			_, name, typed := strings.Cut(a, ":")
			is := func(s string) bool {
				return s == a || typed && (s == name || strings.HasSuffix(s, name) && len(name) == 1)
			}
			return !is(l.Place) && !is(l.To)
		})
	})
	if out != "" {
		return printAs(w, out, links)
	}
	if len(links) == 0 {
		if len(args) > 0 {
			return fmt.Errorf("%s: no impaired link; vpcemu impair lists those there are, and conditions such as --delay 20ms make one", strings.Join(args, " "))
		}
		_, err := fmt.Fprintln(w, "no impaired links")
		return err
	}
	rows := [][]string{{"LINK", "CONDITIONS", "PACKETS", "WAITING", "DELAYED", "LOST", "QUEUE FULL", "REORDERED", "DUPLICATED"}}
	for _, l := range links {
		row := []string{l.Name, l.Conditions}
		for _, n := range []uint64{l.Packets, uint64(max(0, l.Held)), l.Delayed, l.Lost, l.Overflowed, l.Reordered, l.Duplicated} {
			row = append(row, strconv.FormatUint(n, 10))
		}
		rows = append(rows, row)
	}
	return table(w, rows)
}
