package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// powerActions are the operations behind a command for instances and for
// Internet hosts; "" where there is none.
type powerActions struct{ instance, host string }

var (
	stopActions      = powerActions{"StopInstances", "StopInternetHost"}
	startActions     = powerActions{"StartInstances", "StartInternetHost"}
	rebootActions    = powerActions{"RebootInstances", ""}
	terminateActions = powerActions{"TerminateInstances", "DeleteInternetHost"}
)

// newPower makes stop, start, reboot and terminate: EC2's operations by instance
// names, waiting for their end.
func newPower(verb, short string, actions powerActions) *cobra.Command {
	return &cobra.Command{
		Use:               verb + " INSTANCE...",
		Short:             short,
		Example:           "  sudo vpcemu " + verb + " web",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeInstances,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, _, err := client(cmd.Context())
			if err != nil {
				return err
			}
			lab, err := c.Lab(cmd.Context())
			if err != nil {
				return err
			}
			var hosts []string
			instances := map[string][]string{} // by Region
			for _, name := range args {
				i, err := findInstance(lab, name)
				if err != nil {
					return err
				}
				if strings.HasPrefix(i.ID, "host-") {
					hosts = append(hosts, i.ID)
				} else {
					instances[i.Region] = append(instances[i.Region], i.ID)
				}
			}
			if len(hosts) > 0 && actions.host == "" {
				return fmt.Errorf("%s: a host on the Internet is no instance: stop and start it instead", verb)
			}
			for _, region := range slices.Sorted(maps.Keys(instances)) {
				in := map[string]any{"InstanceIds": instances[region]}
				if _, err := c.RunIn(cmd.Context(), region, actions.instance, in, true); err != nil {
					return err
				}
			}
			for _, id := range hosts {
				if _, err := c.Run(cmd.Context(), actions.host, map[string]any{"InternetHostId": id}, true); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
