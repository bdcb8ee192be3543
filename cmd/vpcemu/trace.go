package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/explain"
	"github.com/vpcemu/vpcemu/internal/topology"
)

func newTrace() *cobra.Command {
	req := control.TraceRequest{}
	var out string
	cmd := &cobra.Command{
		Use:   "trace FROM TO PROTO[/PORT]",
		Short: "Tell which way a packet would go, out and back, what decides, and what to change",
		Long: `Trace sends an imagined packet through the network, which does with it what it would
do with a real one, and its answer back: a network ACL has no memory, so the way back is a
way of its own. Nothing is sent, and connections, NAT mappings and counters stay as they are.

FROM and TO are names or IDs of instances, interfaces, Internet hosts and NAT gateways,
addresses, or "internet" for any host on it. PROTO is tcp, udp, icmp or a number; PORT a
number or a service's name. A packet to a name goes to the private address within a
VPC, else to the public one; name the address to have another.

The exit status is 0 where packet and answer arrive, 1 where not, 2 for wrong input and
where nothing could be asked, as without a lab. An instance whose source/destination check is off, and that gets a packet for somebody else, is
assumed to forward it unchanged.`,
		Example: `  sudo vpcemu trace laptop web tcp/ssh
  sudo vpcemu trace db internet udp/53
  sudo vpcemu trace web 172.30.1.4 icmp --size 9001 --dont-fragment
  sudo vpcemu trace laptop web tcp/22 -o mermaid > trace.mmd`,
		Args:              cobra.ExactArgs(3),
		ValidArgsFunction: completeTrace,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := validTraceOutput(out); err != nil {
				return err
			}
			req.From, req.To = args[0], args[1]
			var err error
			if req.Protocol, req.Port, err = protocolAndPort(args[2]); err != nil {
				return usageError{err}
			}
			for flag, value := range map[string]int{"source-port": req.SourcePort, "size": req.Size, "ttl": req.TTL} {
				if value == 0 && cmd.Flags().Changed(flag) {
					return usageOf(cmd, fmt.Errorf("--%s 0: no packet can be traced with that", flag))
				}
			}
			tr, err := askTrace(cmd.Context(), req)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("lab") {
				forLab(tr, labFlag)
			}
			if err := printTrace(cmd.OutOrStdout(), out, tr); err != nil {
				return err
			}
			if !tr.Reachable {
				return exitStatus(1)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVar(&req.SourcePort, "source-port", 0, "port that the packet comes from; without it an ephemeral one")
	f.IntVar(&req.Size, "size", 0, "length of the IP packet in bytes; without it as short as can be")
	f.IntVar(&req.TTL, "ttl", 0, "time to live; without it 64")
	f.BoolVar(&req.DontFragment, "dont-fragment", false, "the packet must not be fragmented")
	f.BoolVar(&req.Established, "established", false, "a TCP segment in mid-stream instead of the SYN that opens a connection")
	f.StringVarP(&out, "output", "o", "", "json, yaml or mermaid (a sequence diagram) instead of text")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "yaml", "mermaid"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// forLab makes the commands of a trace's advice name the lab, as the trace had to.
func forLab(tr *control.Trace, lab string) {
	for i, a := range tr.Advice {
		if strings.HasPrefix(a, "vpcemu ") {
			tr.Advice[i] = a + " --lab " + lab
		}
	}
}

// askTrace has the daemon trace a packet. All its errors are of exit status 2, for 1 says
// that the packet does not arrive.
func askTrace(ctx context.Context, req control.TraceRequest) (tr *control.Trace, err error) {
	c, _, err := client(ctx)
	if err == nil {
		tr, err = c.Trace(ctx, req)
	}
	if err = looking(err); err != nil && !errors.Is(err, errInterrupted) {
		err = usageError{err}
	}
	return tr, err
}

func validTraceOutput(format string) error {
	if format == "mermaid" {
		return nil
	}
	if validOutput(format) != nil {
		return usageError{fmt.Errorf("--output %s: use json, yaml or mermaid, or leave it out for text", format)}
	}
	return nil
}

func printTrace(w io.Writer, format string, tr *control.Trace) error {
	switch format {
	case "":
		_, err := io.WriteString(w, explain.Text(tr))
		return err
	case "mermaid":
		_, err := io.WriteString(w, explain.Mermaid(tr))
		return err
	}
	return printAs(w, format, tr)
}

// protocolAndPort reads tcp/22, tcp/ssh, icmp or 47. What protocol a number can be and
// which has ports is the daemon's to say.
func protocolAndPort(text string) (proto string, port int, err error) {
	proto, service, hasPort := strings.Cut(strings.ToLower(text), "/")
	if !hasPort {
		return proto, 0, nil
	}
	var ports topology.Ports
	if err := ports.UnmarshalText([]byte(service)); err != nil {
		return "", 0, fmt.Errorf("%s: %w: use a number from 1 to 65535, or a name such as ssh", text, err)
	}
	if ports.From != ports.To {
		return "", 0, fmt.Errorf("%s: a packet goes to one port, not to a range", text)
	}
	if ports.From == 0 {
		return "", 0, fmt.Errorf("%s: port %s: ports are 1 to 65535", text, strconv.Quote(service))
	}
	return proto, ports.From, nil
}

// completeTrace completes the two ends, then usual protocols and ports.
func completeTrace(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 2 {
		return []string{"tcp/ssh", "tcp/http", "tcp/https", "tcp/mysql", "udp/dns", "icmp"}, cobra.ShellCompDirectiveNoFileComp
	}
	if len(args) > 2 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, directive := completeInstances(cmd, args, word)
	return append(names, "internet"), directive
}
