package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/flowlog/record"
)

func newFlowLogs() *cobra.Command {
	req := control.FlowLogsRequest{}
	cmd := &cobra.Command{
		Use:   "flow-logs [NAME|ID]",
		Short: "Show VPC flow logs: those of the lab, or made on the spot",
		Long: `Flow-logs shows the records of a flow log of the lab, as AWS writes them: what the
security groups and network ACLs of each network interface accepted and rejected, a line
a flow and window, the names of the fields first. Flow logs are made in the topology file
(flow_logs) or with ` + "`vpcemu ec2 create-flow-logs`" + `.

With --on it makes records of the traffic of an instance, subnet, VPC, security group, NAT
gateway or network interface on the spot, without an object in the lab, until it is
interrupted or --duration is over.

The files of flow logs are below flow-logs/ in the lab's state directory:
flow-logs/GROUP/ID.log for a log group, flow-logs/BUCKET/PREFIX/AWSLogs/… as on AWS for a
bucket (neither compressed nor with a hash in the name), or one file where
--log-destination is an absolute path. They stay when the flow log is deleted, and go with
the lab, but for those of absolute paths.

Fields of a format:

` + wrapped(record.Names(), "  "),
		Example: `  sudo vpcemu flow-logs                             of the only flow log
  sudo vpcemu flow-logs all -f
  sudo vpcemu flow-logs --on web
  sudo vpcemu flow-logs --on private --traffic-type REJECT --interval 1s
  sudo vpcemu flow-logs --on nat --format 'srcaddr dstaddr pkt-srcaddr pkt-dstaddr packets action'
  sudo vpcemu ec2 create-flow-logs --resource-type VPC --resource-ids book --traffic-type ALL \
      --log-group-name book --max-aggregation-interval 10`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				req.FlowLog = args[0]
			}
			if err := checkFlowLogs(cmd, &req); err != nil {
				return usageOf(cmd, err)
			}
			return flowLogs(cmd, req)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&req.Follow, "follow", "f", false, "go on as records are written")
	f.StringVar(&req.On, "on", "", "make records of the traffic of `NAME` on the spot")
	f.StringVar(&req.Format, "format", "", "with --on: fields of a record, such as 'srcaddr dstaddr' or '${srcaddr} ${dstaddr}' (default: AWS's, version 2)")
	f.DurationVar(&req.Interval, "interval", 5*time.Second, "with --on: length of the windows, 1s to 600s")
	f.StringVar(&req.TrafficType, "traffic-type", "ALL", "with --on: ALL, ACCEPT or REJECT")
	f.DurationVar(&req.Duration, "duration", 0, "with --on: end after this time")
	_ = cmd.RegisterFlagCompletionFunc("traffic-type", cobra.FixedCompletions([]string{"ALL", "ACCEPT", "REJECT"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("on", completeInstances)
	return cmd
}

// checkFlowLogs finds what is wrong with the command line before anything is asked.
func checkFlowLogs(cmd *cobra.Command, req *control.FlowLogsRequest) error {
	if req.On == "" {
		if cmd.Flags().Changed("on") {
			return errors.New("--on: its value is empty: give one, or leave the flag out for a flow log of the lab")
		}
		for _, name := range []string{"format", "interval", "traffic-type", "duration"} {
			if cmd.Flags().Changed(name) {
				return fmt.Errorf("--%s is for records made on the spot: say of whom with --on NAME", name)
			}
		}
		return nil
	}
	switch {
	case req.FlowLog != "":
		return errors.New("either the name of a flow log or --on, not both")
	case req.Follow:
		return errors.New("--follow is for a flow log of the lab; --on goes on by itself")
	case req.Interval%time.Second != 0 || req.Interval < time.Second || req.Interval > 10*time.Minute:
		return fmt.Errorf("--interval %s: use whole seconds from 1s to 600s", req.Interval)
	case req.Duration < 0:
		return fmt.Errorf("--duration %s: use a time such as 30s", req.Duration)
	}
	req.TrafficType = strings.ToUpper(req.TrafficType)
	if req.TrafficType != "ALL" && req.TrafficType != "ACCEPT" && req.TrafficType != "REJECT" {
		return fmt.Errorf("--traffic-type %s: use ALL, ACCEPT or REJECT", req.TrafficType)
	}
	if strings.TrimSpace(req.Format) == "" && cmd.Flags().Changed("format") {
		return errors.New("--format is empty: a shell takes ${srcaddr} in double quotes for a variable of its own; use single quotes, or names alone: 'srcaddr dstaddr'")
	}
	if _, err := record.ParseNames(req.Format); err != nil {
		return fmt.Errorf("--format: %w; fields are:\n%s", err, wrapped(record.Names(), "  "))
	}
	return nil
}

func flowLogs(cmd *cobra.Command, req control.FlowLogsRequest) error {
	c, _, err := client(cmd.Context())
	if err != nil {
		return err
	}
	var failed error
	began := false
	r, err := c.FlowLogs(cmd.Context(), req, func(lines string) {
		began = true
		if _, err := io.WriteString(cmd.OutOrStdout(), lines); err != nil && failed == nil {
			failed = err
		}
	})
	switch {
	case cmd.Context().Err() != nil:
		return nil // it was to go on until interrupted
	case err != nil && !began:
		return requestError(err)
	case err != nil:
		return err
	case failed != nil:
		return failed
	}
	if r.Note != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), r.Note)
	}
	return nil
}

// wrapped puts words into lines.
func wrapped(words []string, indent string) string {
	var b strings.Builder
	width := 1000
	for _, w := range words {
		if width+1+len(w) > 88 {
			b.WriteString("\n" + indent)
			width = len(indent)
		} else {
			b.WriteByte(' ')
			width++
		}
		b.WriteString(w)
		width += len(w)
	}
	return strings.TrimPrefix(b.String(), "\n")
}
