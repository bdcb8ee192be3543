package main

import (
	"flag"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// options are what the command line says.
type options struct {
	vpcemu      string // the program
	dir         string // for labs and files
	docs        string // where a full run puts its results
	short       bool
	rounds      int
	time        time.Duration // of one measurement
	only        []string      // patterns, nil for all work
	contestants []string
	json, svg   string // files, "" for none
	pin         bool
}

// What is measured unless the command line says otherwise. A short run is one that CI can wait for.
const (
	fullRounds, fullSeconds   = 5, 1.0
	shortRounds, shortSeconds = 3, 0.5
)

// parse reads the command line. Help and mistakes are told on w.
func parse(args []string, w io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(w)
	f.StringVar(&o.vpcemu, "vpcemu", "vpcemu", "the program `FILE`, its guest program beside it")
	f.StringVar(&o.dir, "dir", "", "`FOLDER` for labs and files, not on an overlay; required")
	f.StringVar(&o.docs, "docs", "", "`FOLDER` for bench.json and bench.svg of a full run")
	f.BoolVar(&o.short, "short", false, "TCP at 9001 and through NAT, UDP and latency, vpcemu and the kernel router")
	f.IntVar(&o.rounds, "rounds", 0, fmt.Sprintf("how often each contestant has its turn (%d, short %d)", fullRounds, shortRounds))
	seconds := f.Float64("seconds", 0, fmt.Sprintf("how long each measurement takes (%g, short %g)", fullSeconds, shortSeconds))
	only := f.String("only", "", "`WORK` to measure, separated by commas, * stands for anything: "+strings.Join(workNames(), " "))
	who := f.String("contestants", "", "who takes part, a `LIST` separated by commas: "+strings.Join(allContestants, " "))
	f.StringVar(&o.json, "json", "", "write the results to `FILE`")
	f.StringVar(&o.svg, "svg", "", "draw the ratios to `FILE`")
	f.BoolVar(&o.pin, "pin", false, "keep the client on CPU 0 and the server on CPU 1")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", f.Arg(0))
	}
	o.only, o.contestants = list(*only), list(*who)
	full := !o.short && o.only == nil && o.contestants == nil
	if err := o.check(); err != nil {
		return o, err
	}
	o.fill(*seconds)
	if full && o.docs != "" {
		o.json, o.svg = or(o.json, filepath.Join(o.docs, "bench.json")), or(o.svg, filepath.Join(o.docs, "bench.svg"))
	}
	if o.rounds < 0 || o.time < 0 {
		return o, fmt.Errorf("%d rounds of %v: neither can be negative", o.rounds, o.time)
	}
	return o, nil
}

func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

func or(value, otherwise string) string {
	if value != "" {
		return value
	}
	return otherwise
}

// check finds names that mean nothing.
func (o *options) check() error {
	if o.dir == "" {
		return fmt.Errorf("--dir is missing")
	}
	for _, p := range o.only {
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("--only %s: %w", p, err)
		}
		if !slices.ContainsFunc(workNames(), func(name string) bool { return matches(p, name) }) {
			return fmt.Errorf("--only %s: no work is named so; there are: %s", p, strings.Join(workNames(), " "))
		}
	}
	for _, c := range o.contestants {
		if !slices.Contains(allContestants, c) {
			return fmt.Errorf("--contestants %s: there are: %s", c, strings.Join(allContestants, " "))
		}
	}
	return nil
}

// fill gives what the command line leaves open its value.
func (o *options) fill(seconds float64) {
	rounds, otherwise, who := fullRounds, fullSeconds, allContestants
	if o.short {
		rounds, otherwise, who = shortRounds, shortSeconds, []string{kernelName, vpcemuName}
	}
	if o.rounds == 0 {
		o.rounds = rounds
	}
	if seconds == 0 {
		seconds = otherwise
	}
	if o.contestants == nil {
		o.contestants = who
	}
	o.time = time.Duration(seconds * float64(time.Second))
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// wants tells whether work is to be measured. A short run has less of it, unless it is named.
func (o *options) wants(name string) bool {
	if o.only == nil {
		return !o.short || slices.Contains(shortWork, name)
	}
	return slices.ContainsFunc(o.only, func(p string) bool { return matches(p, name) })
}
