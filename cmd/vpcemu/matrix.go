package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/matrix"
)

var matrixFormats = []string{"table", "csv", "json", "yaml", "html"}

func newMatrix() *cobra.Command {
	var req control.MatrixRequest
	out := "table"
	cmd := &cobra.Command{
		Use:   "matrix",
		Short: "Tell who reaches whom, on which ports",
		Long: `Matrix tells who reaches whom on which ports: of instances, Internet hosts and the
Internet as a whole, each sends to each. A port is reached when the packet arrives and its
answer comes back, as "vpcemu trace" sees it; nothing is sent. Without --ports all ports of
TCP and UDP are told, and ping. "all" in a table is all of these.

A set is an instance, an interface, a subnet, a VPC, a security group, an Internet host, or
"internet". Answers go to port 40000, one of the ephemeral ports.`,
		Example: `  sudo vpcemu matrix
  sudo vpcemu matrix --from internet --ports tcp/ssh,tcp/http
  sudo vpcemu matrix --to private -o csv
  sudo vpcemu matrix -o html > matrix.html`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains(matrixFormats, out) {
				return usageError{fmt.Errorf("--output %s: use one of %s", out, strings.Join(matrixFormats, ", "))}
			}
			if err := noEmpty(cmd, "from", "to", "ports", "protocol"); err != nil {
				return err
			}
			ports, err := portList(req.Ports)
			if err != nil {
				return usageError{err}
			}
			asked := req
			asked.Ports = ports
			c, cfg, err := client(cmd.Context())
			if err != nil {
				return err
			}
			x, err := c.Matrix(cmd.Context(), asked)
			if err != nil {
				return requestError(err)
			}
			return printMatrix(cmd.OutOrStdout(), out, cfg.Lab, x)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&req.From, "from", nil, "sets that send; without it all")
	f.StringSliceVar(&req.To, "to", nil, "sets that receive; without it all")
	f.StringSliceVar(&req.Ports, "ports", nil, "what is asked about, such as tcp/22,udp/dns,icmp; without it all ports")
	f.StringVar(&req.Protocol, "protocol", "", "tcp, udp or icmp alone")
	f.StringVarP(&out, "output", "o", out, "table, csv, json, yaml or html (one page, with the reasons)")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(matrixFormats, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("protocol", cobra.FixedCompletions([]string{"tcp", "udp", "icmp"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// portList reads tcp/ssh as tcp/22.
func portList(list []string) (ports []string, err error) {
	for _, text := range list {
		proto, port, err := protocolAndPort(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		if port != 0 {
			proto = fmt.Sprintf("%s/%d", proto, port)
		}
		ports = append(ports, proto)
	}
	return ports, nil
}

func printMatrix(w io.Writer, format, lab string, x *control.Matrix) error {
	switch format {
	case "csv":
		return matrix.CSV(w, x)
	case "html":
		return matrix.HTML(w, x, lab, time.Now())
	case "json", "yaml":
		return printAs(w, format, x)
	}
	if err := table(w, matrix.Rows(x)); err != nil {
		return err
	}
	for _, n := range matrix.Notes(x) {
		if _, err := fmt.Fprintln(w, n); err != nil {
			return err
		}
	}
	return nil
}
