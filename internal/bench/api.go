package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/internal/bench/report"
	"github.com/vpcemu/vpcemu/internal/bench/traffic"
)

// apiTopology is the lab of pair with quotas for a large account.
func apiTopology() topologyFile {
	t := pair()
	t.name = "bench-api"
	t.text = strings.Replace(t.text, "name: bench\n", "name: bench-api\nquotas: {subnets-per-vpc: 300, network-acls-per-vpc: 300}\n", 1)
	return t
}

// apiWorks are the traffic that meets the calls: bulk that leaves the processors time for something else, bulk that does
// not, and a byte there and one back a thousand times a second, which show whether packets wait.
func apiWorks() []work {
	return []work{
		rr("rr1k", time.Millisecond),
		tcp("tcp1g", "", inVPC, traffic.Spec{Streams: 1, Pace: 1e9 / 8}, limits),
		tcp("tcp1", "", inVPC, traffic.Spec{Streams: 1}, limits),
	}
}

// apiStage measures calls of the EC2 API on a large account, and what they do to traffic, in turn with the traffic alone.
func (b *bench) apiStage() error {
	if !b.wants(apiWork) || len(b.taking([]string{vpcemuName})) == 0 {
		return nil
	}
	t := apiTopology()
	c, err := b.bringVpcemu(t)
	if err != nil {
		return err
	}
	return errors.Join(b.apiMeasured(t, c), c.down())
}

func (b *bench) apiMeasured(t topologyFile, c *contestant) error {
	for _, s := range c.spaces {
		if err := s.do(traffic.Prepare); err != nil {
			return err
		}
	}
	text, err := b.cli("api", "--listen", "127.0.0.1:0", "-o", "json", "--lab", labName(t))
	if err != nil {
		return err
	}
	api, err := decode[struct{ Listen string }]([]byte(text))
	if err != nil {
		return err
	}
	account, err := fillAccount(newAPIClient("http://" + api.Listen))
	if err != nil {
		return fmt.Errorf("making the account: %w", err)
	}
	for round := range b.rounds {
		if err := b.apiAlone(round, account); err != nil {
			return err
		}
		for _, w := range apiWorks() {
			if err := b.apiTurn(c, w, round, account); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	for _, w := range apiWorks() {
		for _, f := range w.figures {
			b.results.Relate(apiFigure(f, "calls").Work+" to plain", report.Value{Work: apiFigure(f, "calls").Work, Contestant: vpcemuName},
				report.Value{Work: apiFigure(f, "plain").Work, Contestant: vpcemuName})
		}
	}
	b.table.Print(b.results)
	return nil
}

func apiFigure(f figure, with string) report.Figure {
	named := f.Figure
	named.Work, named.Label, named.Plot = "api "+f.Work+" "+with, "", false
	return named
}

// apiTurn measures a work once alone and once with calls.
func (b *bench) apiTurn(c *contestant, w work, round int, a *account) error {
	note := func(with string, client, server traffic.Result) {
		for _, f := range w.figures {
			b.results.Add(apiFigure(f, with), vpcemuName, round, f.value(client, server))
		}
	}
	client, server, err := b.measure(c, w)
	if err != nil {
		return err
	}
	note("plain", client, server)
	load := startLoad(a)
	client, server, err = b.measure(c, w)
	calls, failed := load.end()
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	note("calls", client, server)
	b.addCalls("api "+w.name, round, calls)
	return nil
}

// apiAlone measures calls while nothing else goes on.
func (b *bench) apiAlone(round int, a *account) error {
	load := startLoad(a)
	time.Sleep(b.time)
	calls, err := load.end()
	if err == nil {
		b.addCalls("api alone", round, calls)
	}
	return err
}

func (b *bench) addCalls(name string, round int, calls loadResult) {
	add := func(what, unit string, less bool, value float64) {
		b.results.Add(report.Figure{Work: name + " " + what, Unit: unit, Less: less}, vpcemuName, round, value)
	}
	add("rate", "calls/s", false, calls.rate)
	add("describe p50", "ms", true, percentile(calls.reads, 0.5))
	add("describe p99", "ms", true, percentile(calls.reads, 0.99))
	add("change p50", "ms", true, percentile(calls.changes, 0.5))
	add("change p99", "ms", true, percentile(calls.changes, 0.99))
}
