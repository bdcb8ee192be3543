package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/control"
)

// totalsPatience is how long the last lines may take to come after Ctrl-C.
const totalsPatience = 5 * time.Second

func newWatch() *cobra.Command {
	values := map[string]*[]string{}
	var verdict, duration, count, out string
	packets := false
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Watch packets live: what passes and what is dropped, and why",
		Long: `Watch shows the real packets of a lab as they come: a line for each flow (packets with the
same addresses and ports, in one direction) when it is new and when what becomes of it
changes, and its totals once it is over. With --packets a line for each packet.

A line has the packet as it was sent, its addresses after a translation, who sent it, the
gateways that it passed and whom it was for, and the verdict: of a drop what decided, and
the reason, which ` + "`vpcemu reasons REASON`" + ` explains.

Several values of one flag are alternatives; several flags all have to match. Ctrl-C ends
the watch with the totals of what is still open. Watching does not slow the network down:
what is too much to show is counted and not shown.`,
		Example: `  sudo vpcemu watch
  sudo vpcemu watch --on web --verdict dropped
  sudo vpcemu watch --protocol tcp --port ssh --packets
  sudo vpcemu watch --reason SUBNET_ACL_RESTRICTION -o json | jq -r .rule`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out != "" && out != "json" {
				return usageError{fmt.Errorf("--output %s: use json, or leave it out for text", out)}
			}
			if err := noEmpty(cmd, "on", "address", "port", "protocol", "reason"); err != nil {
				return err
			}
			v := url.Values{}
			for flag, list := range values {
				v[flag] = *list
			}
			for flag, value := range map[string]string{"verdict": verdict, "duration": duration, "count": count} {
				if cmd.Flags().Changed(flag) {
					v.Set(flag, value)
				}
			}
			if packets {
				v.Set("packets", "true")
			}
			req, err := control.ParseWatch(v)
			if err != nil {
				return usageError{fmt.Errorf("--%w", err)}
			}
			return watch(cmd, req, out == "json")
		},
	}
	f := cmd.Flags()
	for flag, usage := range map[string]string{
		"on":       "packets from, for or by way of an instance, interface, subnet, VPC, gateway or host, by name or ID",
		"address":  "packets with an address in a CIDR block",
		"port":     "packets from or to a TCP or UDP port: a number, or ssh, http …",
		"protocol": "tcp, udp, icmp or a number",
		"reason":   "packets that ended for a reason (see vpcemu reasons)",
	} {
		values[flag] = f.StringSlice(flag, nil, usage)
	}
	f.StringVar(&verdict, "verdict", "", "delivered or dropped")
	f.BoolVar(&packets, "packets", false, "a line for each packet instead of each flow")
	f.StringVarP(&duration, "duration", "d", "", "end after this time, such as 30s or 5m")
	f.StringVarP(&count, "count", "c", "", "end after so many lines")
	f.StringVarP(&out, "output", "o", "", "json: a JSON object a line")
	complete := func(flag string, f func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)) {
		_ = cmd.RegisterFlagCompletionFunc(flag, f)
	}
	fixed := func(flag string, choices ...string) {
		complete(flag, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
	}
	complete("on", completeInstances)
	fixed("reason", reasonNames()...)
	fixed("verdict", control.VerdictDelivered, control.VerdictDropped)
	fixed("protocol", "tcp", "udp", "icmp")
	fixed("output", "json")
	return cmd
}

func watch(cmd *cobra.Command, req control.WatchRequest, asJSON bool) error {
	c, cfg, err := client(cmd.Context())
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	print := textLines(w, paintOf(w))
	if asJSON {
		print = jsonLines(w)
	}
	// Ctrl-C asks for the end; the totals still come.
	ctx, cancel := context.WithCancel(context.WithoutCancel(cmd.Context()))
	defer cancel()
	defer context.AfterFunc(cmd.Context(), func() { time.AfterFunc(totalsPatience, cancel) })()
	started := false
	err = c.Watch(ctx, req, cmd.Context().Done(), func(l *control.Watched) error {
		if l.Kind == control.WatchedStarted {
			started = true
			fmt.Fprintf(cmd.ErrOrStderr(), "watching lab %s; Ctrl-C ends it\n", cfg.Lab)
			return nil
		}
		return print(l)
	})
	var wrong *control.Error
	switch {
	case errors.Is(err, control.ErrStopping):
		return fmt.Errorf("%w: the watch ends here", err)
	case errors.As(err, &wrong) && !started:
		return usageError{err}
	case errors.Is(err, context.Canceled) && cmd.Context().Err() != nil:
		return nil
	}
	return err
}

func jsonLines(w io.Writer) func(*control.Watched) error {
	enc := json.NewEncoder(w)
	return func(l *control.Watched) error { return enc.Encode(l) }
}

func textLines(w io.Writer, p control.Paint) func(*control.Watched) error {
	return func(l *control.Watched) error {
		_, err := fmt.Fprintln(w, l.Text(p))
		return err
	}
}

// paintOf is coloured on a terminal, unless NO_COLOR is set (no-color.org). Names may
// hold control characters, which must not play on the terminal.
func paintOf(w io.Writer) control.Paint {
	plain := control.Paint{Plain: printable, Good: printable, Bad: printable, Dim: printable}
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return plain
	}
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return plain
	}
	return coloured
}

var coloured = control.Paint{Plain: printable, Good: sgr("32"), Bad: sgr("31"), Dim: sgr("2")}

// sgr sets a graphic rendition (ECMA-48 8.3.117) around a text.
func sgr(code string) func(string) string {
	return func(text string) string {
		if text == "" {
			return ""
		}
		return "\x1b[" + code + "m" + printable(text) + "\x1b[0m"
	}
}
