package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// failKinds are what can fail, by the first word of the command line.
var failKinds = []string{"zone", "subnet", "instance", "host", "nat", vpc.FailureLink}

func newFail() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "fail [KIND NAME [NAME]]",
		Short: "Let a zone, subnet, instance, NAT gateway or link fail, or list what has failed",
		Long: `Fail lets something fail until it is healed: nothing goes in, out or within it any more,
and nobody is told. Instances run on, and keep DHCP and DNS; routes stay active, so that
packets vanish, as when it happens on AWS. "vpcemu trace" and "drops" tell where.

  fail zone ap-northeast-1a     an availability zone, NAT gateways in it included; also: zone a
  fail subnet private           a subnet
  fail instance web             an instance or Internet host
  fail nat nat                  a NAT gateway
  fail link web internet        what lies between two instances, subnets, zones, or the internet

Without arguments it lists what has failed.`,
		Example:           "  sudo vpcemu fail zone ap-northeast-1a\n  sudo vpcemu fail link web db\n  sudo vpcemu fail\n  sudo vpcemu heal --all",
		Args:              cobra.MaximumNArgs(3),
		ValidArgsFunction: completeFailure,
		RunE: func(cmd *cobra.Command, args []string) error {
			var in map[string]string
			if len(args) > 0 {
				var err error
				if in, err = failing(cmd, args); err != nil {
					return err
				}
			}
			if err := validOutput(out); err != nil {
				return err
			}
			c, _, err := client(cmd.Context())
			if err != nil {
				return err
			}
			if in != nil {
				_, err := c.Run(cmd.Context(), "CreateFailure", in, false)
				return requestError(err)
			}
			failures, err := failuresOf(cmd, c)
			if err != nil {
				return looking(err)
			}
			if out != "" {
				return printAs(cmd.OutOrStdout(), out, failures)
			}
			if len(failures) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "nothing is failed")
				return err
			}
			rows := [][]string{{"FAILED", "NAME", "ID"}}
			for _, f := range failures {
				name := f.Place
				if f.To != "" {
					name += " – " + f.To
				}
				rows = append(rows, []string{f.ResourceType, name, string(f.FailureId)})
			}
			return table(cmd.OutOrStdout(), rows)
		},
	}
	outputFlag(cmd, &out)
	return cmd
}

func newHeal() *cobra.Command {
	all := false
	cmd := &cobra.Command{
		Use:               "heal {KIND NAME [NAME] | --all}",
		Short:             "Heal what vpcemu fail has failed",
		Example:           "  sudo vpcemu heal zone ap-northeast-1a\n  sudo vpcemu heal link web db\n  sudo vpcemu heal --all",
		Args:              cobra.MaximumNArgs(3),
		ValidArgsFunction: completeFailure,
		RunE: func(cmd *cobra.Command, args []string) error {
			var in map[string]string
			switch {
			case all && len(args) > 0:
				return usageOf(cmd, errors.New("--all and names exclude one another"))
			case !all && len(args) == 0:
				return usageOf(cmd, errors.New("what is to be healed? vpcemu fail lists what has failed; --all heals all of it"))
			case !all:
				var err error
				if in, err = failing(cmd, args); err != nil {
					return err
				}
			}
			c, _, err := client(cmd.Context())
			if err != nil {
				return err
			}
			if !all {
				_, err := c.Run(cmd.Context(), "DeleteFailure", in, false)
				return requestError(err)
			}
			failures, err := failuresOf(cmd, c)
			if err != nil {
				return err
			}
			for _, f := range failures {
				if _, err := c.Run(cmd.Context(), "DeleteFailure", map[string]string{"FailureId": string(f.FailureId)}, false); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "heal all that has failed")
	return cmd
}

// failing is the request of the words of a command line.
func failing(cmd *cobra.Command, args []string) (map[string]string, error) {
	kind, names := args[0], args[1:]
	want := 1
	switch kind {
	case vpc.FailureLink:
		want = 2
	case "zone", "subnet", "instance", "host", "nat":
	default:
		return nil, usageOf(cmd, fmt.Errorf("%s: what fails is one of %s", kind, strings.Join(failKinds, ", ")))
	}
	if len(names) != want {
		return nil, usageOf(cmd, fmt.Errorf("%s wants %d name(s)", kind, want))
	}
	if kind == vpc.FailureLink {
		return map[string]string{"Place": names[0], "To": names[1]}, nil
	}
	return map[string]string{"Place": kind + ":" + names[0]}, nil
}

func failuresOf(cmd *cobra.Command, c *control.Client) ([]vpc.FailureInfo, error) {
	raw, err := c.Run(cmd.Context(), "DescribeFailures", nil, false)
	if err != nil {
		return nil, err
	}
	var out vpc.DescribeFailuresOutput
	return out.Failures, json.Unmarshal(raw, &out)
}

func completeFailure(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	switch {
	case len(args) == 0:
		return failKinds, cobra.ShellCompDirectiveNoFileComp
	case args[0] == "instance" || args[0] == "host" || args[0] == vpc.FailureLink:
		return completeInstances(cmd, args[1:], word)
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}
