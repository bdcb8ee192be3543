package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/internal/bench/report"
	"github.com/vpcemu/vpcemu/internal/bench/traffic"
)

// observer is somebody who looks on while packets flow: what that costs is what the stage measures.
type observer struct {
	name    string
	args    []string // of vpcemu; nil for nobody
	noCount bool     // in the lab whose daemon does not count
}

// observers of a run; the first is what the others are compared with.
var observers = []observer{
	{name: "plain"},
	{name: "no counters", noCount: true},
	{name: "watch", args: []string{"watch"}},
	{name: "watch --packets", args: []string{"watch", "--packets"}},
	{name: "flow logs", args: []string{"flow-logs", "--on", "main", "--interval", "1s"}},
	{name: "capture", args: []string{"capture", "-w", "/dev/null"}},
	{name: "capture --snaplen 96", args: []string{"capture", "--snaplen", "96", "-w", "/dev/null"}},
}

// settle is how long an observer has until it looks.
const settle = 300 * time.Millisecond

// observedWorks are the traffic that is looked at: bulk, many small packets, and new connections.
func (b *bench) observedWorks() []work {
	works := []work{
		tcp("tcp1", "", inVPC, traffic.Spec{Streams: 1}, nil),
		udp(1400),
		crr("crr", inVPC, report.Figure{}),
	}
	if b.short {
		return works[:1]
	}
	return works
}

// observeStage measures throughput with and without counters, watch, flow logs and capture, in turn.
func (b *bench) observeStage() error {
	if !b.wants(observeWork) || len(b.taking([]string{vpcemuName})) == 0 {
		return nil
	}
	quiet := pair()
	quiet.name = "bench-quiet"
	return b.with([]string{vpcemuName}, pair(), func(up []*contestant) error {
		os.Setenv("VPCEMU_COUNTERS", "off") // see vpcemu daemon --help
		counts := up[0]
		silent, err := b.bringVpcemu(quiet)
		os.Unsetenv("VPCEMU_COUNTERS")
		if err != nil {
			return err
		}
		for _, s := range silent.spaces {
			err = errors.Join(err, s.do(traffic.Prepare))
		}
		for _, w := range b.observedWorks() {
			err = errors.Join(err, b.observe(w, counts, silent))
		}
		return errors.Join(err, silent.down())
	})
}

// observe measures one work with each observer in turn.
func (b *bench) observe(w work, counts, silent *contestant) error {
	for round := range b.rounds {
		for _, o := range observers {
			c := counts
			if o.noCount {
				c = silent
			}
			if err := b.observed(w, o, c, round); err != nil {
				return fmt.Errorf("%s with %s: %w", w.name, o.name, err)
			}
		}
	}
	first := b.observedFigure(w, observers[0])
	for _, o := range observers[1:] {
		f := b.observedFigure(w, o)
		b.results.Relate(f.Work+" to "+observers[0].name, report.Value{Work: f.Work, Contestant: vpcemuName}, report.Value{Work: first.Work, Contestant: vpcemuName})
	}
	b.table.Print(b.results)
	return nil
}

func (b *bench) observedFigure(w work, o observer) report.Figure {
	f := w.figures[0].Figure
	f.Work, f.Label, f.Plot = w.name+" "+o.name, "", false
	return f
}

// observed measures once, with the observer looking on.
func (b *bench) observed(w work, o observer, c *contestant, round int) error {
	end, err := b.look(o)
	if err != nil {
		return err
	}
	client, server, err := b.measure(c, w)
	if err = errors.Join(err, end()); err != nil {
		return err
	}
	b.results.Add(b.observedFigure(w, o), vpcemuName, round, w.figures[0].value(client, server))
	return nil
}

// look starts an observer; what it returns ends it.
func (b *bench) look(o observer) (end func() error, err error) {
	if o.args == nil {
		return func() error { return nil }, nil
	}
	cmd := exec.Command(b.options.vpcemu, append(o.args, "--lab", labName(pair()))...)
	cmd.Env = b.cliEnv()
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = io.Discard, &said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return nil, fmt.Errorf("vpcemu %v ended at once: %w: %s", o.args, err, strings.TrimSpace(said.String()))
	case <-time.After(settle):
	}
	return func() error {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return err
		}
		<-ended // however it says that it was interrupted
		return nil
	}, nil
}
