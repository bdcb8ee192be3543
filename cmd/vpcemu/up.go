package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/daemon"
	"github.com/vpcemu/vpcemu/internal/topology"
	"github.com/vpcemu/vpcemu/topologies"
)

func newUp() *cobra.Command {
	req := control.UpRequest{}
	var out, api string
	cmd := &cobra.Command{
		Use:   "up [FILE]",
		Short: "Bring a lab to what a topology file says",
		Long: `Up brings a lab to what a topology file says and returns when every instance runs and
holds its DHCP lease; user data may still be at work then, as on EC2. FILE is a path, or the name of a topology that comes with vpcemu
(see "vpcemu topologies"). Run again, it changes only what differs, and puts back what
was changed by other means; it touches only objects that a file made, unless --prune. Without
FILE it brings back a lab as it was or, where there is none, makes an empty account with its default VPC.

With --join this machine is a host on the lab's Internet, until an "up" with a file and without it
(or with "join: true" in the file): its own ssh, curl and browser reach the lab's public addresses, by
Internet gateway, network ACL and security group. --hosts does the same, and keeps the names
of what has a public address in /etc/hosts (or the file that VPCEMU_HOSTS_FILE names):
NAME.LAB, NAME where nothing else is called so, and the public DNS name. "down" takes it back.

With --api the lab serves the EC2 API, see "vpcemu api".`,
		Example: `  sudo vpcemu up book
  sudo vpcemu up ./lab.yaml
  sudo vpcemu up ./lab.yaml --lab second   # the same file again, side by side
  sudo vpcemu up book --hosts              # and then: ssh -i /var/lib/vpcemu/book/keys/book.pem ec2-user@web.book`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeTopologies,
		RunE: func(cmd *cobra.Command, args []string) error {
			lab, err := upArgs(cmd.Context(), cmd.OutOrStdout(), args, req, out)
			if err != nil || api == "" {
				return err
			}
			w := cmd.OutOrStdout()
			if out != "" { // one document is enough
				w = io.Discard
			}
			fmt.Fprintln(w)
			return serveAPI(cmd.Context(), w, control.NewClient(labDirs(lab).RunDir), &control.APIRequest{Listen: strings.TrimPrefix(api, asItIs)}, false, "")
		},
	}
	upFlags(cmd, &req, &out)
	cmd.Flags().StringVar(&api, "api", "", "serve the EC2 API, at an `address` and port (default "+control.DefaultAPI+")")
	cmd.Flags().Lookup("api").NoOptDefVal = asItIs
	return cmd
}

// asItIs is --api without an address: where the lab serves it already, or DefaultAPI.
const asItIs = "as it is"

// upArgs is `up` with a file or without, and tells which lab that is.
func upArgs(ctx context.Context, w io.Writer, args []string, req control.UpRequest, out string) (lab string, err error) {
	if len(args) == 1 {
		return runUp(ctx, w, args[0], req, out)
	}
	if req.Prune || req.Replace {
		return "", usageError{errors.New("up: without a file there is nothing for --prune and --replace to go by: name one")}
	}
	if lab = emptyLab; labFlag != "" || len(labs()) > 0 {
		if lab, err = theLab(); err != nil {
			return "", err
		}
	}
	c, err := upEmpty(ctx, lab, "")
	if err != nil {
		return "", err
	}
	if req.Join || req.Hosts {
		result, err := c.Up(ctx, req, progress(out))
		return lab, printUp(w, result, req, out, err)
	}
	is, err := c.Lab(ctx)
	if err != nil {
		return "", err
	}
	return lab, printUp(w, &control.UpResult{Lab: is}, req, out, nil)
}

func newPlan() *cobra.Command {
	req := control.UpRequest{Plan: true}
	var out string
	cmd := &cobra.Command{
		Use:               "plan FILE",
		Short:             "Tell what `up` would change, without doing it",
		Example:           "  sudo vpcemu plan ./lab.yaml",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeTopologies,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := runUp(cmd.Context(), cmd.OutOrStdout(), args[0], req, out)
			return err
		},
	}
	upFlags(cmd, &req, &out)
	return cmd
}

func upFlags(cmd *cobra.Command, req *control.UpRequest, out *string) {
	cmd.Flags().BoolVar(&req.Prune, "prune", false, "also remove objects that no topology file made")
	cmd.Flags().BoolVar(&req.Replace, "replace", false, "allow changes that destroy the disk of an instance")
	cmd.Flags().BoolVar(&req.Join, "join", false, "put this machine on the lab's Internet: its own ssh, curl and browser reach the lab (until the next up without)")
	cmd.Flags().BoolVar(&req.Hosts, "hosts", false, "the same, and keep the names of what has a public address in /etc/hosts")
	outputFlag(cmd, out)
}

// runUp reads the file here, so that its errors come without a daemon, and sends
// it to the lab's daemon.
func runUp(ctx context.Context, w io.Writer, name string, req control.UpRequest, out string) (lab string, err error) {
	f, err := readTopology(name, &req)
	if err != nil {
		return "", err
	}
	if lab = labFlag; lab == "" {
		lab = f.Name.V
	}
	if err := errors.Join(validLab(lab), validOutput(out)); err != nil {
		return "", err
	}
	cfg := labDirs(lab)
	if err := daemon.CheckDirs(cfg); err != nil { // or the lab would seem to be none yet
		return "", err
	}
	if req.Plan {
		if plan, err := planOffline(ctx, cfg, f, req); plan != nil || err != nil {
			return lab, printUp(w, plan, req, out, err)
		}
	}
	_, err = os.Stat(cfg.StateDir)
	fresh := errors.Is(err, os.ErrNotExist)
	c, err := connect(ctx, cfg, true)
	if err != nil {
		if fresh && ctx.Err() == nil && os.Geteuid() == 0 {
			err = errors.Join(err, daemon.Remove(ctx, cfg))
		}
		return "", err
	}
	result, err := c.Up(ctx, req, progress(out))
	if err != nil && fresh {
		err = errors.Join(err, dropEmpty(ctx, c, cfg))
	}
	return lab, printUp(w, result, req, out, err)
}

// dropEmpty removes a lab that was made for a file that was then refused.
func dropEmpty(ctx context.Context, c *control.Client, cfg daemon.Config) error {
	lab, err := c.Lab(ctx)
	if err != nil || lab.Region != "" { // a model was committed
		return nil
	}
	return runDown(ctx, cfg)
}

// planOffline answers a plan without a daemon, which would start what the lab
// had: for a lab that does not exist it needs no root either. The result is nil
// where a daemon runs.
func planOffline(ctx context.Context, cfg daemon.Config, f *topology.File, req control.UpRequest) (*control.UpResult, error) {
	if _, err := os.Stat(cfg.StateDir); errors.Is(err, os.ErrNotExist) {
		return daemon.PlanNew(f, cfg.Lab, req)
	}
	if err := control.NewClient(cfg.RunDir).Ping(ctx); !errors.Is(err, control.ErrNoDaemon) {
		return nil, err
	}
	if err := needRoot(); err != nil {
		return nil, err
	}
	return daemon.PlanStopped(ctx, cfg, f, req)
}

// readTopology finds a file on disk, or among those that come with vpcemu.
func readTopology(name string, req *control.UpRequest) (*topology.File, error) {
	if !strings.ContainsAny(name, "./") {
		if text, err := topologies.Open(name); err == nil {
			req.File, req.Text = name+".yaml", string(text)
			return topology.Parse(req.File, text)
		}
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such file, and no topology of that name comes with vpcemu (there are: %s)", name, strings.Join(topologies.Names(), ", "))
	}
	if err != nil {
		return nil, err
	}
	if req.File, err = filepath.Abs(name); err != nil {
		return nil, err
	}
	req.Text = string(text)
	return topology.Parse(name, text)
}

// progress prints a line a step where a person looks on.
func progress(out string) func(string) {
	if out != "" || !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	return func(line string) { fmt.Fprintln(os.Stderr, line) }
}

func printUp(w io.Writer, r *control.UpResult, req control.UpRequest, out string, err error) error {
	if err != nil {
		return err
	}
	if out != "" {
		return printAs(w, out, r)
	}
	for _, n := range r.Notes {
		fmt.Fprintln(os.Stderr, "note:", n)
	}
	if req.Plan {
		for _, c := range r.Changes {
			fmt.Fprintln(w, c)
		}
		if len(r.Changes) == 0 {
			fmt.Fprintln(w, "nothing to change")
		}
		return nil
	}
	return printLab(w, r.Lab)
}

func newDown() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Remove a lab with everything of it: instances, disks, devices, daemon",
		Example: `  sudo vpcemu down
  sudo vpcemu down --lab second`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if labFlag == "" && len(labs()) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "there is no lab: nothing to remove")
				return nil
			}
			name, err := theLab()
			if err != nil {
				return err
			}
			if err := needRoot(); err != nil {
				return err
			}
			if !slices.Contains(labs(), name) {
				fmt.Fprintf(cmd.ErrOrStderr(), "there is no lab %s: nothing to remove\n", name)
			}
			return runDown(cmd.Context(), labDirs(name))
		},
	}
}

// runDown has the daemon remove the lab and sees it off; without a daemon, or
// where it dies over it, it does so itself.
func runDown(ctx context.Context, cfg daemon.Config) error {
	if err := daemon.CheckDirs(cfg); err != nil {
		return err
	}
	c := control.NewClient(cfg.RunDir)
	ended := daemonEnd(ctx, c)
	err := c.Down(ctx, progress(""))
	if errors.Is(err, control.ErrNoDaemon) {
		return daemon.Remove(ctx, cfg)
	}
	if err == nil {
		ended()
	}
	return err
}

// endLimit is how long a daemon may take to end after its lab is removed.
const endLimit = 5 * time.Second

// daemonEnd returns a function that waits until the daemon that runs now has ended:
// it answers a removal a moment before, and nothing of the lab may be left then.
func daemonEnd(ctx context.Context, c *control.Client) func() {
	lab, err := c.Lab(ctx)
	if err != nil {
		return func() {}
	}
	fd, err := unix.PidfdOpen(lab.Daemon, 0)
	if err != nil {
		return func() {}
	}
	return func() {
		defer unix.Close(fd)
		for deadline := time.Now().Add(endLimit); time.Now().Before(deadline); {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(endLimit.Milliseconds()))
			if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
				return
			}
		}
	}
}

func newValidate() *cobra.Command {
	return &cobra.Command{
		Use:               "validate FILE...",
		Short:             "Check topology files; needs no root",
		Example:           "  vpcemu validate lab.yaml",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeTopologies,
		RunE: func(cmd *cobra.Command, args []string) error {
			var all topology.Errors
			for _, name := range args {
				_, err := readTopology(name, &control.UpRequest{})
				var list topology.Errors
				if errors.As(err, &list) {
					all = append(all, list...)
				} else if err != nil {
					return err
				}
			}
			if len(all) > 0 {
				return all
			}
			return nil
		},
	}
}

func newTopologies() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "topologies [NAME]",
		Short: "List the topologies that come with vpcemu, or print one",
		Example: `  vpcemu topologies
  vpcemu topologies book > lab.yaml`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeTopologies,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				text, err := topologies.Open(args[0])
				if err != nil {
					return err
				}
				_, err = cmd.OutOrStdout().Write(text)
				return err
			}
			for _, name := range topologies.Names() {
				f, err := readTopology(name, &control.UpRequest{})
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%-18s %s\n", name, f.Description.V)
			}
			return nil
		},
	}
	return cmd
}

func completeTopologies(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return topologies.Names(), cobra.ShellCompDirectiveDefault
}
