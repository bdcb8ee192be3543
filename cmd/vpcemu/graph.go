package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/graph"
	"github.com/vpcemu/vpcemu/internal/topology"
)

func newGraph() *cobra.Command {
	var out, path string
	trace := false
	cmd := &cobra.Command{
		Use:   "graph [FILE] | graph --trace FROM TO PROTO[/PORT]",
		Short: "Draw the lab, or a topology file: SVG, Mermaid or DOT, a packet's way in it",
		Long: `Graph draws the topology: the Internet with its hosts, VPCs, zones, subnets with their
route tables and network ACLs, gateways, instances with addresses and security groups. Rules
and all that is too long are in tooltips, or beside the subnets.

With FILE (a path, or the name of a topology that comes with vpcemu) it draws what ` + "`up`" + `
would make, and needs neither lab nor root; without, the lab as it is. With --trace the way
of an imagined packet and of its answer is drawn into the lab (see "vpcemu trace"); where it
is dropped there is a mark with the reason.

SVG suits light and dark backgrounds; Mermaid is shown by GitHub and many editors; DOT is
for Graphviz.`,
		Example: `  vpcemu graph book --out book.svg
  sudo vpcemu graph -o mermaid
  sudo vpcemu graph --trace laptop web tcp/ssh --out ssh.svg
  vpcemu graph ./lab.yaml -o dot | dot -Tpdf > lab.pdf`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case trace && len(args) != 3:
				return errors.New("--trace wants FROM TO PROTO[/PORT], of a lab that runs")
			case !trace && len(args) > 1:
				return errors.New("graph wants one FILE, or --trace before FROM TO PROTO[/PORT]")
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if trace {
				return completeTrace(cmd, args, word)
			}
			return completeTopologies(cmd, args, word)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := graphText(cmd.Context(), out, trace, args)
			if err != nil {
				return err
			}
			if path == "" || path == "-" {
				_, err = io.WriteString(cmd.OutOrStdout(), text)
				return err
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				return fmt.Errorf("--out: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&trace, "trace", false, "draw the way of a packet FROM TO PROTO[/PORT] and of its answer into the lab")
	cmd.Flags().StringVarP(&out, "output", "o", "svg", strings.Join(graph.Formats, ", "))
	cmd.Flags().StringVar(&path, "out", "", "file to write instead of standard output")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(graph.Formats, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// graphText is the picture that a command line asks for.
func graphText(ctx context.Context, format string, trace bool, args []string) (string, error) {
	if !slices.Contains(graph.Formats, format) {
		return "", usageError{fmt.Errorf("--output %s: use %s", format, strings.Join(graph.Formats, ", "))}
	}
	req := control.GraphRequest{Format: format}
	if trace {
		proto, port, err := protocolAndPort(args[2])
		if err != nil {
			return "", usageError{err}
		}
		req.Trace = &control.TraceRequest{From: args[0], To: args[1], Protocol: proto, Port: port}
	} else if len(args) == 1 {
		return graphFile(format, args[0])
	}
	c, _, err := client(ctx)
	if err != nil {
		return "", err
	}
	g, err := c.Graph(ctx, req)
	if err != nil {
		return "", requestError(err)
	}
	return g.Text, nil
}

// graphFile draws what `up` would make of a file: a lab in memory, of which no instance runs.
func graphFile(format, name string) (string, error) {
	f, err := readTopology(name, &control.UpRequest{})
	if err != nil {
		return "", usageOrErrors(err)
	}
	m, _, _, err := f.Converge(nil, time.Now().UTC(), topology.Options{Lab: labFlag})
	if err != nil {
		return "", err
	}
	return graph.Render(format, &m, nil)
}
