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
	"golang.org/x/term"

	"github.com/vpcemu/vpcemu/internal/check"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/explain"
	"github.com/vpcemu/vpcemu/internal/topology"
)

// checkOptions are the flags of check.
type checkOptions struct {
	only  string
	limit time.Duration
	out   string
	up    bool
}

func newCheck() *cobra.Command {
	opt := checkOptions{}
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Hold a lab to the checks of its topology file: who reaches whom, and why not",
		Long: `Check tells whether a lab is as the "checks" of a topology file say, such as
"laptop reaches web on tcp 22" or "laptop does not reach db on tcp 22, because
SUBNET_ACL_RESTRICTION". Each is answered twice, by a trace and by real packets between
the instances; where the two contradict each other the check fails, as a bug in vpcemu.

FILE is a path, or the name of a topology that comes with vpcemu; its lab has to be up
and as the file says. Without FILE the checks are those of the file that the lab was last
brought up with, and the lab may have been changed since.

The exit status is 0 if all pass, 1 if some fail, 2 for wrong input, such as a lab that is
not up.`,
		Example: `  sudo vpcemu check book
  sudo vpcemu check ./lab.yaml --up            # in a lab of its own, removed afterwards
  sudo vpcemu check --only 'laptop*'           # some, of the lab that is up
  sudo vpcemu check -o junit > checks.xml`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeTopologies,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opt.valid(args); err != nil {
				return usageError{err}
			}
			if len(args) == 1 {
				return checkFile(cmd.Context(), cmd.OutOrStdout(), args[0], opt)
			}
			return checkLab(cmd.Context(), cmd.OutOrStdout(), opt)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opt.only, "only", "", "only checks with this in their title, or that it matches as a pattern with * and ?")
	f.DurationVar(&opt.limit, "limit", 0, "how long a check may take to come true that says nothing itself (default 15s where a service has to answer, else 5s)")
	f.StringVarP(&opt.out, "output", "o", "", "json, junit or tap instead of text")
	f.BoolVar(&opt.up, "up", false, "bring FILE's lab up before; and remove it afterwards, if it was not there")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "junit", "tap"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o checkOptions) valid(args []string) error {
	switch o.out {
	case "", "json", "junit", "tap":
	default:
		return fmt.Errorf("--output %s: use json, junit or tap, or leave it out for text", o.out)
	}
	switch {
	case o.up && len(args) == 0:
		return errors.New("--up needs a FILE to bring up")
	case o.limit < 0:
		return fmt.Errorf("--limit %s: a time to wait is not negative", o.limit)
	}
	return nil
}

// checkLab runs the checks that the lab remembers.
func checkLab(ctx context.Context, w io.Writer, opt checkOptions) error {
	name, err := theLab()
	if err != nil {
		return usageError{err}
	}
	if _, err := os.Stat(labDirs(name).StateDir); errors.Is(err, os.ErrNotExist) {
		return usageError{noLab(name)}
	}
	c, _, err := client(ctx)
	if err != nil {
		return err
	}
	return runChecks(ctx, w, c, name, control.CheckRequest{}, opt)
}

// checkFile runs the checks of a file on the lab that it names.
func checkFile(ctx context.Context, w io.Writer, name string, opt checkOptions) (err error) {
	up := control.UpRequest{}
	f, err := readTopology(name, &up)
	if err != nil {
		return usageOrErrors(err)
	}
	checks := f.Expectations()
	if len(checks) == 0 {
		return usageError{fmt.Errorf("%s has no checks: write some below `checks:` (docs/topology.md)", name)}
	}
	lab := labFlag
	if lab == "" {
		lab = f.Name.V
	}
	if err := validLab(lab); err != nil {
		return usageError{err}
	}
	cfg := labDirs(lab)
	_, missing := os.Stat(cfg.StateDir)
	remedy := "vpcemu up " + name
	if labFlag != "" {
		remedy += " --lab " + lab
	}
	switch {
	case opt.up:
		if _, err := runUp(ctx, io.Discard, name, control.UpRequest{}, ""); err != nil {
			return err
		}
		if errors.Is(missing, os.ErrNotExist) {
			defer func() { err = errors.Join(err, runDown(context.WithoutCancel(ctx), cfg)) }()
		}
	case errors.Is(missing, os.ErrNotExist):
		return usageError{fmt.Errorf("lab %s is not up: %s (or give --up)", lab, remedy)}
	}
	c, err := connect(ctx, cfg, false)
	if err != nil {
		return err
	}
	if err := sameAsFile(ctx, c, up, lab, remedy); err != nil {
		return err
	}
	return runChecks(ctx, w, c, lab, control.CheckRequest{Checks: checks}, opt)
}

// usageOrErrors makes wrong input of a file that cannot be read.
func usageOrErrors(err error) error {
	var invalid topology.Errors
	if errors.As(err, &invalid) {
		return err
	}
	return usageError{err}
}

// sameAsFile refuses a lab of which `up` would change something.
func sameAsFile(ctx context.Context, c *control.Client, req control.UpRequest, lab, remedy string) error {
	req.Plan = true
	plan, err := c.Up(ctx, req, nil)
	if err != nil || len(plan.Changes) == 0 {
		return err
	}
	const shown = 5
	var lines []string
	for i, change := range plan.Changes {
		if i == shown {
			lines = append(lines, fmt.Sprintf("and %d more", len(plan.Changes)-shown))
			break
		}
		lines = append(lines, change.String())
	}
	return usageError{fmt.Errorf("lab %s differs from the file; bring it up anew (%s), or leave FILE out to check the lab as it is:\n  %s", lab, remedy, strings.Join(lines, "\n  "))}
}

// runChecks has the daemon answer the checks and prints what they come to.
func runChecks(ctx context.Context, w io.Writer, c *control.Client, lab string, req control.CheckRequest, opt checkOptions) error {
	req.Only, req.Limit = opt.only, opt.limit
	began := time.Now()
	var results []control.CheckResult
	var written error
	style := checkStyle(w)
	err := c.Check(ctx, req, func(r control.CheckResult) {
		results = append(results, r)
		if opt.out == "" && written == nil {
			r.Problems = slices.Clone(r.Problems)
			for i, p := range r.Problems {
				r.Problems[i] = printableLines(p)
			}
			written = check.Text(w, r, style)
		}
	})
	if err == nil {
		err = written
	}
	var refused *control.Error
	if errors.As(err, &refused) && len(results) == 0 {
		return usageError{err} // no check is called so
	}
	if err != nil {
		return looking(err)
	}
	report := check.NewReport(lab, results, time.Since(began))
	switch opt.out {
	case "json":
		err = report.JSON(w)
	case "junit":
		err = report.JUnit(w, explain.Text)
	case "tap":
		err = report.TAP(w)
	default:
		_, err = fmt.Fprintln(w, report.Line())
	}
	if err == nil && report.Failed > 0 {
		err = exitStatus(1)
	}
	return err
}

// checkStyle is for people where they look on, and plain in a file.
func checkStyle(w io.Writer) check.Style {
	s := check.Style{ASCII: true, Trace: func(tr *control.Trace) string { return printableLines(explain.Text(tr)) }}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.ASCII = false
		s.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" // no-color.org
	}
	return s
}
