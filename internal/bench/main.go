// Command bench compares vpcemu with the kernel router that people would build instead, and with other ways to forward in user
// space. scripts/bench.sh runs it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	globs "path"
	"slices"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/internal/bench/report"
)

type bench struct {
	self        string // this program
	binary      string // vpcemu
	dir         string // for labs and files
	rounds      int
	seconds     time.Duration
	only        []string
	contestants []string
	json, svg   string
	short       bool
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "traffic":
		return runTraffic(args[1], args[2])
	case len(args) == 2 && args[0] == "forward":
		return runForwarder(args[1])
	}
	b, err := parse(args)
	if err != nil {
		return err
	}
	return b.run()
}

func parse(args []string) (*bench, error) {
	b := &bench{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&b.binary, "vpcemu", "", "the program `FILE`")
	f.StringVar(&b.dir, "dir", "", "`FOLDER` for labs and files")
	f.BoolVar(&b.short, "short", false, "TCP at 9001 and through NAT, UDP and latency, against the kernel router")
	f.IntVar(&b.rounds, "rounds", 0, "how often each is measured")
	f.DurationVar(&b.seconds, "seconds", 0, "how long each measurement takes, such as 1s")
	only := f.String("only", "", "work to measure, separated by commas; * stands for anything")
	who := f.String("contestants", "", "who takes part, separated by commas")
	f.StringVar(&b.json, "json", "", "write the results there")
	f.StringVar(&b.svg, "svg", "", "draw the ratios there")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	b.contestants = allContestants
	if b.short {
		b.contestants = []string{kernelName, vpcemuName}
	}
	if *who != "" {
		b.contestants = strings.Split(*who, ",")
	}
	if *only != "" {
		b.only = strings.Split(*only, ",")
	}
	if b.rounds == 0 {
		b.rounds = 5
	}
	if b.seconds == 0 {
		b.seconds = time.Second
	}
	var err error
	b.self, err = os.Executable()
	return b, err
}

func (b *bench) wants(w work) bool {
	if len(b.only) == 0 {
		return !b.short || w.short
	}
	return slices.ContainsFunc(b.only, func(p string) bool { ok, _ := globs.Match(p, w.name); return ok })
}

func (b *bench) run() error {
	var todo []work
	for _, w := range works() {
		if b.wants(w) {
			todo = append(todo, w)
		}
	}
	if len(todo) == 0 {
		return fmt.Errorf("no work is named so")
	}
	var up []*contestant
	defer func() {
		for _, c := range up {
			if err := c.down(); err != nil {
				fmt.Fprintf(os.Stderr, "bench: contestant %s: %v\n", c.name, err)
			}
		}
	}()
	for _, name := range b.contestants {
		c, err := b.bring(name, pair())
		if err != nil {
			return err
		}
		up = append(up, c)
	}
	t := report.NewTable(kernelName)
	for _, w := range todo {
		if err := b.rotate(t, w, up); err != nil {
			return err
		}
		t.Print(os.Stdout)
	}
	for _, c := range up {
		if f := c.weigh(); c.pid != 0 {
			fmt.Printf("%s: %d threads, %d MiB resident\n", c.name, f.Threads, f.RSS>>20)
		}
	}
	return nil
}

// rotate measures all contestants in turn, so many rounds.
func (b *bench) rotate(t *report.Table, w work, up []*contestant) error {
	for round := range b.rounds {
		for _, c := range up {
			if w.who != nil && !slices.Contains(w.who, c.name) {
				continue
			}
			client, server, err := b.measure(c, w)
			if err != nil {
				return fmt.Errorf("%s by %s: %w", w.name, c.name, err)
			}
			t.Add(w.name, c.name, w.unit, round, w.value(client, server))
			for _, a := range w.also {
				t.Add(w.name+" "+a.name, c.name, a.unit, round, a.value(client, server))
			}
		}
	}
	return nil
}
