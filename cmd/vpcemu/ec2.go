package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/awscli"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// newEC2 runs EC2's operations with the flags of `aws ec2`. awscli reads the
// arguments, since their syntax is not cobra's.
func newEC2() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ec2 ACTION [--flags]",
		Short: "Run one EC2 operation on the lab, with the flags of `aws ec2`",
		Long: `ec2 runs one operation of Amazon EC2 on the lab. Actions, flags and output are those of
` + "`aws ec2`" + `; objects may also be named by their lab names. The flag --wait returns once the
instances concerned have reached their state. --region names the Region, without it the lab's
own.`,
		Example: `  sudo vpcemu ec2 create-subnet --vpc-id book --cidr-block 172.30.2.0/24
  sudo vpcemu ec2 authorize-security-group-ingress --group-id web --protocol tcp --port 22 --cidr 0.0.0.0/0
  sudo vpcemu ec2 describe-subnets --filters Name=tag:Name,Values=public --output table
  sudo vpcemu ec2 describe-instances --query 'Reservations[].Instances[].PrivateIpAddress' --output text
  sudo vpcemu ec2 run-instances help`,
		DisableFlagParsing: true,
		ValidArgsFunction:  completeEC2,
		RunE:               runEC2,
	}
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) { printActions(cmd.OutOrStdout(), cmd) })
	return cmd
}

func runEC2(cmd *cobra.Command, args []string) error {
	name, rest, err := awscli.Split(args)
	if err != nil {
		return err
	}
	if name == "help" && len(rest) > 0 { // vpcemu ec2 help ACTION
		name, rest = rest[0], []string{"help"}
	}
	if name == "" || name == "help" {
		if _, err := awscli.ParseGlobal(rest); err != nil {
			return err
		}
		printActions(cmd.OutOrStdout(), cmd)
		return nil
	}
	action, err := awscli.ActionName(name)
	if err != nil {
		return err
	}
	input, opts, err := awscli.Parse(action, rest)
	if err != nil {
		return err
	}
	if opts.Help {
		_, err := io.WriteString(cmd.OutOrStdout(), awscli.Help(action))
		return err
	}
	if opts.Lab != "" {
		labFlag = opts.Lab
	}
	return callEC2(cmd, action, input, opts)
}

// callEC2 runs the operation and prints its answer.
func callEC2(cmd *cobra.Command, action vpc.Action, input any, opts awscli.Options) error {
	c, _, err := client(cmd.Context())
	if err != nil {
		return err
	}
	if slices.Contains(opts.Ignored, "--endpoint-url") {
		fmt.Fprintln(cmd.ErrOrStderr(), "vpcemu: --endpoint-url is ignored: the lab's daemon is called directly")
	}
	out, err := c.RunIn(cmd.Context(), opts.Region, action.Name, input, opts.Wait)
	if err != nil {
		return ec2Error(action, err)
	}
	return awscli.Print(cmd.OutOrStdout(), out, opts.Output, opts.Query)
}

// ec2Error words the error of an operation as the AWS CLI does; scripts look for
// the code in it.
func ec2Error(action vpc.Action, err error) error {
	var e *control.Error
	if errors.As(err, &e) && e.Code != "" {
		return fmt.Errorf("an error occurred (%s) when calling the %s operation: %s", e.Code, action.Name, e.Message)
	}
	return err
}

// printActions lists the actions in columns.
func printActions(w io.Writer, cmd *cobra.Command) {
	fmt.Fprintf(w, "%s\n\nUsage:\n  vpcemu ec2 ACTION [--flags]\n  vpcemu ec2 ACTION help\n\nExamples:\n%s\n\nActions:\n", cmd.Long, cmd.Example)
	names := awscli.Actions()
	width := 0
	for _, n := range names {
		width = max(width, len(n))
	}
	half := (len(names) + 1) / 2
	for i := range half {
		line := fmt.Sprintf("  %-*s", width, names[i])
		if i+half < len(names) {
			line += "  " + names[i+half]
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

// completeEC2 completes actions, their flags, and the values that are known.
func completeEC2(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	for i, a := range args {
		if name, ok := strings.CutPrefix(a, "--lab="); ok {
			labFlag = name
		} else if a == "--lab" && i+1 < len(args) {
			labFlag = args[i+1]
		}
	}
	if values, ok := completeValue(cmd, args, toComplete); ok {
		return values, cobra.ShellCompDirectiveNoFileComp
	}
	name, _, _ := awscli.Split(args)
	words := awscli.Actions()
	if name == "" && strings.HasPrefix(toComplete, "-") {
		words = awscli.GlobalFlags()
	} else if name != "" && name != "help" {
		action, err := awscli.ActionName(name)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		words = awscli.Flags(action)
	}
	words = slices.DeleteFunc(words, func(w string) bool { return w == "--lab" }) // cobra adds it
	return startingWith(words, toComplete), cobra.ShellCompDirectiveNoFileComp
}

// completeValue completes the value of the flag that comes before it.
func completeValue(cmd *cobra.Command, args []string, toComplete string) ([]string, bool) {
	if strings.HasPrefix(toComplete, "-") {
		return nil, false
	}
	flag := ""
	for _, a := range args {
		if strings.HasPrefix(a, "--") {
			flag, _, _ = strings.Cut(a, "=")
		}
	}
	last := len(args) > 0 && args[len(args)-1] == flag
	switch {
	case flag == "--lab" && last:
		return startingWith(labs(), toComplete), true
	case flag == "--region" && last:
		return startingWith(vpc.RegionNames(), toComplete), true
	case flag == "--output" && last:
		return startingWith(awscli.Formats, toComplete), true
	case flag == "--instance-ids", flag == "--instance-id" && last:
		values, _ := completeInstances(cmd, nil, toComplete)
		return startingWith(values, toComplete), true
	}
	return nil, false
}

func startingWith(words []string, prefix string) []string {
	var found []string
	for _, w := range words {
		if strings.HasPrefix(w, prefix) {
			found = append(found, w)
		}
	}
	return found
}
