package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/control"
)

func newSSH() *cobra.Command {
	var via, from, user string
	cmd := &cobra.Command{
		Use:   "ssh [flags] INSTANCE [-- COMMAND...]",
		Short: "Log in to an instance with the real ssh, from a host on the lab's Internet",
		Long: `Ssh runs the real ssh client on a host of the lab's Internet, so that its packets pass
Internet gateway, ACL and security group. That host is the one that --from names, else
laptop, client or home, else the first that runs. It goes to the instance's public address,
or with --via to its private address through a bastion, as ssh -J does.`,
		Example:           "  sudo vpcemu ssh web\n  sudo vpcemu ssh --via web db -- uptime",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeInstance,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, cfg, err := client(cmd.Context())
			if err != nil {
				return err
			}
			lab, err := c.Lab(cmd.Context())
			if err != nil {
				return err
			}
			source, err := internetHost(lab, from)
			if err != nil {
				return err
			}
			argv, err := sshCommand(lab, args[0], via, user)
			if err != nil {
				return err
			}
			if len(args) > 1 {
				argv = append(argv, args[1:]...)
			}
			return runIn(cmd.Context(), cfg, source, execOptions{tty: len(args) == 1 && onTerminal(), argv: argv})
		},
	}
	cmd.Flags().StringVar(&via, "via", "", "instance to jump through (a bastion with a public address)")
	cmd.Flags().StringVar(&from, "from", "", "Internet host to start from (laptop, or the first that runs)")
	cmd.Flags().StringVarP(&user, "login", "l", "ec2-user", "user to log in as")
	_ = cmd.RegisterFlagCompletionFunc("via", completeInstances)
	_ = cmd.RegisterFlagCompletionFunc("from", completeInstances)
	return cmd
}

// newHosts makes ssh take the key of a host that it meets for the first time: a
// lab's instances are minutes old.
const newHosts = "StrictHostKeyChecking=accept-new"

// sshCommand is the command line that a person on the Internet would type.
func sshCommand(lab *control.Lab, name, via, user string) ([]string, error) {
	target, err := findInstance(lab, name)
	if err != nil {
		return nil, err
	}
	argv := []string{"ssh", "-o", newHosts}
	if target.State == "stopped" {
		return nil, fmt.Errorf("instance %s is stopped: start it with `vpcemu start %s`", name, name)
	}
	addr := target.PublicIp
	if via != "" {
		bastion, err := findInstance(lab, via)
		if err != nil {
			return nil, err
		}
		if !bastion.PublicIp.IsValid() {
			return nil, fmt.Errorf("%s has no public address, so nothing on the Internet can jump through it", via)
		}
		// What -J does, but for -o, which -J does not hand on to the jump host.
		argv = append(argv, "-o", fmt.Sprintf("ProxyCommand=ssh -o %s -W %%h:%%p %s@%s", newHosts, user, bastion.PublicIp))
		addr = target.PrivateIp
	}
	if addr == (netip.Addr{}) {
		return nil, fmt.Errorf("%s has no public address: go through an instance that has one, with --via", name)
	}
	return append(argv, user+"@"+addr.String()), nil
}

// internetHost is where the login starts.
func internetHost(lab *control.Lab, name string) (control.Instance, error) {
	if name != "" {
		return findInstance(lab, name)
	}
	var names []string
	for _, i := range lab.Instances {
		if strings.HasPrefix(i.ID, "host-") && i.State == "running" {
			names = append(names, i.Name)
		}
	}
	// A host that serves is less likely to hold the user's key than one named for a person's machine.
	for _, preferred := range []string{"laptop", "client", "home"} {
		for _, n := range names {
			if n == preferred {
				return findInstance(lab, n)
			}
		}
	}
	if len(names) == 0 {
		return control.Instance{}, errors.New("the lab's Internet has no running host to log in from: start one, or add one under internet_hosts, with the instance's key in key_names")
	}
	return findInstance(lab, names[0])
}
