package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/vpcemu/vpcemu/internal/capture"
	"github.com/vpcemu/vpcemu/internal/control"
)

// captureFlags are the command line of `vpcemu capture`.
type captureFlags struct {
	file       string
	size       string
	rotate     capture.Rotation
	expression string
	nat        string
	dropsOnly  bool
	snap       int
	count      uint64
	duration   time.Duration
}

func newCapture() *cobra.Command {
	var f captureFlags
	cmd := &cobra.Command{
		Use:   "capture [NAME...] -w FILE [-- FILTER]",
		Short: "Capture packets, each with its verdict, for Wireshark and tshark",
		Long: `Capture writes packets as pcapng: those of instances, interfaces, subnets, VPCs, security
groups, Internet hosts and gateways, by name or ID, or those of the whole lab. Every interface,
host and gateway is an interface of the capture, and each packet has a comment that says what
became of it and why.

A packet is there once for every place that saw it, each time with the same packet ID: as it
left its sender, before and after each gateway's translation, as it arrived. One that was
dropped is there at its sender and at the interface or gateway that refused it. Wireshark
takes the second sight of a packet for a retransmission; to look at one place, use a display
filter: frame.interface_name == "db".

FILTER is a capture filter as tcpdump takes it (pcap-filter(7)). It is applied at each place,
where addresses may have been translated already. Ctrl-C ends the capture.`,
		Example: `  sudo vpcemu capture -w lab.pcapng                         all packets of the lab
  sudo vpcemu capture web db -w web.pcapng -- tcp port 22   of two instances, ssh only
  sudo vpcemu capture db nat igw server -w - -- icmp | tshark -r -
  sudo vpcemu capture --drops-only -w - | wireshark -k -i -
  sudo vpcemu capture -w ring.pcapng --rotate-size 100MB --files 10`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeInstances,
		RunE: func(cmd *cobra.Command, args []string) error {
			names, filter := args, []string(nil)
			if at := cmd.ArgsLenAtDash(); at >= 0 {
				names, filter = args[:at], args[at:]
			}
			return f.run(cmd, names, filter)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.file, "write", "w", "", "file to write to, - for standard output")
	flags.StringVar(&f.size, "rotate-size", "", "go on in a new file when one has so many bytes: 100MB, 1GiB")
	flags.DurationVar(&f.rotate.Every, "rotate-time", 0, "go on in a new file so long after the first packet of one: 10m")
	flags.IntVar(&f.rotate.Files, "files", 0, "keep so many files of a capture that rotates, the latest; 0 keeps all")
	flags.StringVarP(&f.expression, "filter", "f", "", "capture filter, as after --")
	flags.StringVar(&f.nat, "nat", "both", "at a gateway show packets before, after or in both forms")
	flags.BoolVar(&f.dropsOnly, "drops-only", false, "only packets that were dropped")
	flags.IntVar(&f.snap, "snaplen", 0, "bytes to keep of each packet; 0 keeps all")
	flags.Uint64VarP(&f.count, "count", "c", 0, "end after so many packets")
	flags.DurationVar(&f.duration, "duration", 0, "end after this time: 30s")
	_ = cmd.RegisterFlagCompletionFunc("nat", cobra.FixedCompletions([]string{"before", "after", "both"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (f *captureFlags) run(cmd *cobra.Command, names, filter []string) error {
	ctx := cmd.Context()
	if err := f.check(cmd, filter); err != nil {
		return err
	}
	req, err := f.request(ctx, names)
	if err != nil {
		return err
	}
	c, _, err := client(ctx)
	if err != nil {
		return err
	}
	// The capture outlives Ctrl-C by its last packets and the statistics.
	reading, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	s, err := c.Capture(reading, req)
	if err != nil {
		return requestError(err)
	}
	defer s.Close()
	stop := func() { _ = s.Stop(reading) } // where it fails, the stream has ended
	defer context.AfterFunc(ctx, func() {
		signal.Reset(os.Interrupt, syscall.SIGTERM) // the second one ends us at once
		stop()
	})()
	if f.file == "-" {
		go whenReaderLeaves(os.Stdout, stop)
	}
	out, err := f.output(cmd.OutOrStdout())
	if err != nil {
		return err
	}
	say := cmd.ErrOrStderr()
	fmt.Fprintf(say, "capturing %s; Ctrl-C ends it\n", whose(names))
	err = copyBlocks(out, s)
	if e := out.Close(); err == nil {
		err = e
	}
	return f.tell(say, out, s, err)
}

// check refuses flags that do not go together, and joins the filter's words.
func (f *captureFlags) check(cmd *cobra.Command, filter []string) (err error) {
	wrong := func(format string, a ...any) error { return usageOf(cmd, fmt.Errorf(format, a...)) }
	if len(filter) > 0 {
		if f.expression != "" {
			return wrong("the filter is given twice: with --filter and after --")
		}
		f.expression = strings.Join(filter, " ")
	}
	if f.rotate.Size, err = parseSize(f.size); err != nil {
		return wrong("--rotate-size: %w", err)
	}
	if _, err := capture.ParseNAT(f.nat); err != nil {
		return wrong("--nat: %w", err)
	}
	switch {
	case f.file == "":
		return wrong("say where the packets go: -w FILE, or -w - for a stream that another program reads")
	case f.snap < 0 || f.rotate.Files < 0 || f.rotate.Every < 0 || f.duration < 0:
		return wrong("--snaplen, --files, --rotate-time and --duration take nothing below 0")
	case f.file == "-" && (f.rotate.On() || f.rotate.Files > 0):
		return wrong("standard output does not rotate: name a file")
	case f.rotate.Files > 0 && !f.rotate.On():
		return wrong("--files says how many stay of a capture that rotates: add --rotate-size or --rotate-time")
	case f.file == "-" && term.IsTerminal(int(os.Stdout.Fd())):
		return wrong("standard output is a terminal: send it to a program, such as `| tshark -r -`, or to a file; `vpcemu watch` shows packets as text")
	}
	return nil
}

func (f *captureFlags) request(ctx context.Context, names []string) (control.CaptureRequest, error) {
	req := control.CaptureRequest{On: names, NAT: f.nat, DropsOnly: f.dropsOnly, Snap: f.snap, Count: f.count, Duration: f.duration}
	if f.expression == "" {
		return req, nil
	}
	program, err := capture.Compile(ctx, f.expression)
	if err != nil {
		return req, usageError{err}
	}
	req.Expression = f.expression
	for _, i := range program {
		req.Filter = append(req.Filter, [4]uint32{uint32(i.Op), uint32(i.Jt), uint32(i.Jf), i.K})
	}
	return req, nil
}

func (f *captureFlags) output(stdout io.Writer) (*capture.Output, error) {
	if f.file == "-" {
		signal.Ignore(syscall.SIGPIPE) // an error of the write instead: there is more to say
		return capture.NewStream(stdout), nil
	}
	return capture.Create(f.file, f.rotate, giveToUser)
}

// whenReaderLeaves calls f once nobody has the other end of a pipe any more: without
// packets there is no write that would say so.
func whenReaderLeaves(pipe *os.File, f func()) {
	poll := []unix.PollFd{{Fd: int32(pipe.Fd())}}
	for {
		switch _, err := unix.Poll(poll, -1); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return
		case poll[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0:
			f()
			return
		}
	}
}

// giveToUser gives a new file to whoever called sudo, who opens it with Wireshark.
func giveToUser(file *os.File) error {
	uid, err1 := strconv.Atoi(os.Getenv("SUDO_UID"))
	gid, err2 := strconv.Atoi(os.Getenv("SUDO_GID"))
	if err1 != nil || err2 != nil {
		return nil
	}
	return file.Chown(uid, gid)
}

// copyBlocks writes what comes, at once when nothing else waits.
func copyBlocks(out *capture.Output, from io.Reader) error {
	r := capture.NewBlockReader(from)
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return cutOff{err}
		}
		if err := out.Write(b); err != nil {
			return err
		}
		if !r.Waiting() {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
}

// cutOff is a stream that broke off.
type cutOff struct{ error }

// tell says what the capture came to, and how it failed if it did.
func (f *captureFlags) tell(say io.Writer, out *capture.Output, s *control.Capture, err error) error {
	where := ""
	if names := out.Names(); len(names) == 1 {
		where = " in " + names[0]
	} else if len(names) > 1 {
		where = fmt.Sprintf(" in files %s to %s", names[0], names[len(names)-1])
	}
	if out.Gone() > 0 {
		where = fmt.Sprintf(", the last of them%s (--files %d)", where, f.rotate.Files)
	}
	got := fmt.Sprintf("%d packets captured%s", out.Packets(), where)
	switch cut := (cutOff{}); {
	case errors.Is(err, syscall.EPIPE):
		fmt.Fprintf(say, "%s; their reader has left\n", got)
		return nil
	case errors.As(err, &cut):
		return fmt.Errorf("the lab's daemon ended during the capture (%w): %s until then", cut.error, got)
	case err != nil:
		return fmt.Errorf("%w; %s, and good to read", err, got)
	}
	end, err := s.End()
	if err != nil {
		return fmt.Errorf("%w; %s until then", err, got)
	}
	why := ""
	if end.Skipped > 0 {
		why = ": they came faster than they could be written"
	}
	fmt.Fprintf(say, "%s, %d skipped%s\n", got, end.Skipped, why)
	return nil
}

func whose(names []string) string {
	if len(names) == 0 {
		return "the packets of the whole lab"
	}
	return "the packets of " + strings.Join(names, ", ")
}

// units of a file's size, the longest first where one ends with another.
var units = []struct {
	name  string
	bytes int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
	{"k", 1e3}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}, {"B", 1}, {"", 1},
}

// parseSize reads a number of bytes, such as 100MB; "" is 0.
func parseSize(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	for _, u := range units {
		number, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n <= 0 || n > (1<<62)/u.bytes {
			break
		}
		return n * u.bytes, nil
	}
	return 0, fmt.Errorf("%q is no size: use a number of bytes above 0, with kB, MB, GB, KiB, MiB or GiB", s)
}
