package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/vpcemu/vpcemu/internal/bench/report"
	"github.com/vpcemu/vpcemu/internal/bench/traffic"
)

// bench is one run.
type bench struct {
	options
	self    string // this program
	results *report.Results
	table   *report.Table
}

func newBench(o options) (*bench, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &bench{options: o, self: self, results: report.New(kernelName), table: report.NewTable(os.Stdout, o.contestants)}, nil
}

// run measures stage by stage, each with networks of its own, and writes the results: also those that there are when something failed.
func (b *bench) run() (err error) {
	for _, stage := range []func() error{b.pairStage, b.rulesStage, b.flowsStage, b.instancesStage, b.bookStage, b.observeStage, b.apiStage} {
		if failed := stage(); failed != nil {
			fmt.Fprintln(os.Stderr, "bench:", failed) // a full run goes on for minutes
			err = errors.New("some of the work could not be measured, see above")
		}
	}
	if b.json != "" {
		err = errors.Join(err, b.results.WriteJSON(b.json))
	}
	if b.svg != "" {
		err = errors.Join(err, b.results.WriteSVG(b.svg))
	}
	return err
}

// taking are those of who that take part in this run, all of them if who is nil.
func (b *bench) taking(who []string) (names []string) {
	for _, c := range b.contestants {
		if who == nil || slices.Contains(who, c) {
			names = append(names, c)
		}
	}
	return names
}

// with brings contestants up, calls f, and takes them down again.
func (b *bench) with(names []string, t topologyFile, f func(up []*contestant) error) (err error) {
	var up []*contestant
	defer func() {
		for _, c := range up {
			if down := c.down(); down != nil {
				err = errors.Join(err, fmt.Errorf("contestant %s: %w", c.name, down))
			}
		}
	}()
	for _, name := range names {
		c, err := b.bring(name, t)
		if err != nil {
			return err
		}
		up = append(up, c)
	}
	return f(up)
}

// rotate measures w with all contestants in turn, so many rounds: what else goes on on the machine meets all alike.
func (b *bench) rotate(w work, up []*contestant) error {
	for round := range b.rounds {
		for _, c := range up {
			if err := b.turn(w, c, round); err != nil {
				return err
			}
		}
	}
	b.table.Print(b.results)
	return nil
}

// turn measures w once.
func (b *bench) turn(w work, c *contestant, round int) error {
	if w.who != nil && !slices.Contains(w.who, c.name) {
		return nil
	}
	client, server, err := b.measure(c, w)
	if err != nil {
		return fmt.Errorf("%s by %s: %w", w.name, c.name, err)
	}
	if own := c.addrs[w.path.client]; w.spec.Kind == traffic.TCP && (server.Peer == own) == (w.path == outNAT) {
		return fmt.Errorf("%s by %s: the server sees the client %s as %s", w.name, c.name, own, server.Peer)
	}
	for _, f := range w.figures {
		b.results.Add(f.Figure, c.name, round, f.value(client, server))
	}
	return nil
}

// pairStage measures between two instances, and between one and a host on the Internet.
func (b *bench) pairStage() error {
	var todo []work
	who := map[string]bool{}
	for _, w := range pairWorks() {
		if b.wants(w.name) {
			todo = append(todo, w)
			for _, name := range b.taking(w.who) {
				who[name] = true
			}
		}
	}
	if len(todo) == 0 {
		return nil
	}
	names := slices.DeleteFunc(slices.Clone(b.contestants), func(name string) bool { return !who[name] })
	return b.with(names, pair(), func(up []*contestant) (err error) {
		for _, w := range todo {
			err = errors.Join(err, b.rotate(w, up))
		}
		b.relate()
		for _, c := range up {
			c.weigh(b.results)
		}
		b.table.Print(b.results)
		return err
	})
}

// relate compares vpcemu with the forwarders in user space.
func (b *bench) relate() {
	for _, of := range [][2]string{{"tcp1", bareName}, {"tcp4", bareName}, {"tcp16", bareName}, {"udp64", bareName}, {"udp512", bareName},
		{"udp1400", bareName}, {"rr p50", bareName}, {"rr p99", bareName}, {"crr", bareName}, {"tcp1500", naiveName}} {
		b.results.Relate(of[0]+" to "+of[1], report.Value{Work: of[0], Contestant: vpcemuName}, report.Value{Work: of[0], Contestant: of[1]})
	}
}

// spec completes what a work says.
func (b *bench) spec(c *contestant, w work, end string) traffic.Spec {
	s := w.spec
	s.Address, s.Time, s.CPU = c.addrs[w.path.server], b.time, -1
	if b.pin {
		s.CPU = map[string]int{"client": 0, "server": 1}[end]
	}
	return s
}
