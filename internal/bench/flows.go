package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/vpcemu/vpcemu/internal/bench/report"
	"github.com/vpcemu/vpcemu/internal/bench/traffic"
)

// flowCounts are how many flows take turns.
var flowCounts = []int{1_000, 10_000, 100_000, 1_000_000}

// flowSize is the payload of their datagrams in bytes: small, so that it is lookups that count.
const flowSize = 64

// flowRounds bounds the rounds: a million flows take their time to be set up.
const flowRounds = 3

// flowsStage measures datagrams delivered by the number of tracked flows that they belong to.
func (b *bench) flowsStage() error {
	if !b.wants(flowsWork) {
		return nil
	}
	return b.with(b.taking(routers), pair(), func(up []*contestant) (err error) {
		failed := map[int]bool{}
		for round := range min(b.rounds, flowRounds) {
			for _, n := range flowCounts {
				if failed[n] {
					continue
				}
				w := work{name: fmt.Sprintf("flows%d", n), path: inVPC, spec: traffic.Spec{Kind: traffic.Flows, Flows: n, Size: flowSize},
					figures: []figure{{report.Figure{Work: fmt.Sprintf("flows%d", n), Unit: "datagrams/s", Label: fmt.Sprintf("%d flows", n), Plot: true}, delivered}}}
				if e := b.flowsTurn(w, up, round); e != nil {
					err, failed[n] = errors.Join(err, e), true
				}
			}
		}
		for _, c := range up {
			for _, n := range flowCounts[1:] {
				b.results.Relate(fmt.Sprintf("flows%d to flows1000", n), report.Value{Work: fmt.Sprintf("flows%d", n), Contestant: c.name},
					report.Value{Work: "flows1000", Contestant: c.name})
			}
		}
		b.table.Print(b.results)
		return err
	})
}

// flowsTurn leaves out what the kernel's table does not hold: its limit is the machine's, not the router's, to change.
func (b *bench) flowsTurn(w work, up []*contestant, round int) error {
	for _, c := range up {
		if c.name == kernelName {
			most, err := kernelFlows()
			if err != nil {
				return err
			}
			if w.spec.Flows > most {
				if round == 0 {
					fmt.Fprintf(os.Stderr, "note: %s: the kernel router tracks %d connections (net.netfilter.nf_conntrack_max)\n", w.name, most)
				}
				continue
			}
		}
		if err := b.turn(w, c, round); err != nil {
			return err
		}
	}
	return nil
}

// kernelFlows is how many connections the kernel tracks in a namespace.
func kernelFlows() (int, error) {
	text, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_max")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}
