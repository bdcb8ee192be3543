package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/internal/bench/traffic"
)

// work is one kind of measurement.
type work struct {
	name  string
	what  string // for people
	path  path
	spec  traffic.Spec
	unit  string
	value func(client, server traffic.Result) float64
	// also are further figures of the same run.
	also []figure
	// short: part of --short, too.
	short bool
	// who takes part, all if nil.
	who []string
	// less says that a smaller value is better.
	less bool
}

type figure struct {
	name, unit string
	value      func(client, server traffic.Result) float64
	less       bool
}

func gbits(_, s traffic.Result) float64     { return float64(s.Bytes) * 8 / s.Seconds / 1e9 }
func delivered(_, s traffic.Result) float64 { return float64(s.Count) / s.Seconds }
func trips(c, _ traffic.Result) float64     { return float64(c.Count) / c.Seconds }
func sent(c, _ traffic.Result) float64      { return float64(c.Sent) / c.SentFor }

// perGB is CPU seconds of the whole machine per 10^9 bytes carried.
func perGB(_, s traffic.Result) float64 { return s.Busy / (float64(s.Bytes) / 1e9) }

var cpu = figure{"cpu", "s/GB", perGB, true}

func works() []work {
	notNaive := []string{kernelName, bareName, vpcemuName}
	routers := []string{kernelName, vpcemuName}
	tcp := func(name, what string, streams, mss int, p path, who []string) work {
		return work{name: name, what: what, path: p, spec: traffic.Spec{Kind: traffic.TCP, Streams: streams, MSS: mss}, unit: "Gbit/s", value: gbits, also: []figure{cpu}, who: who}
	}
	udp := func(size int) work {
		return work{name: fmt.Sprintf("udp%d", size), what: fmt.Sprintf("UDP, datagrams of %d bytes, delivered", size), path: inVPC,
			spec: traffic.Spec{Kind: traffic.UDP, Size: size}, unit: "datagrams/s", value: delivered, who: notNaive,
			also: []figure{{"sent", "datagrams/s", sent, false}, cpu}}
	}
	list := []work{
		tcp("tcp1", "TCP, 1 stream, MTU 9001", 1, 0, inVPC, notNaive),
		tcp("tcp4", "TCP, 4 streams, MTU 9001", 4, 0, inVPC, notNaive),
		tcp("tcp16", "TCP, 16 streams, MTU 9001", 16, 0, inVPC, notNaive),
		tcp("tcp1500", "TCP, 1 stream, segments of MTU 1500", 1, 1460, inVPC, allContestants),
		tcp("nat", "TCP, 1 stream, through the NAT gateway, MTU 1500", 1, 0, outNAT, routers),
		udp(64), udp(512), udp(1400),
		{name: "rr", what: "TCP request/response, 1 byte each way", path: inVPC, spec: traffic.Spec{Kind: traffic.RR}, unit: "transactions/s", value: trips,
			who: notNaive, also: []figure{
				{"p50", "µs", func(c, _ traffic.Result) float64 { return c.P50 }, true},
				{"p99", "µs", func(c, _ traffic.Result) float64 { return c.P99 }, true},
				{"p99.9", "µs", func(c, _ traffic.Result) float64 { return c.P999 }, true}}},
		{name: "crr", what: "TCP connect/request/response/close", path: inVPC, spec: traffic.Spec{Kind: traffic.CRR}, unit: "connections/s", value: trips, who: notNaive},
	}
	for i := range list {
		switch list[i].name {
		case "tcp1", "nat", "udp1400", "rr":
			list[i].short = true
		}
	}
	return list
}

// measure runs the work once between two namespaces of the contestant.
func (b *bench) measure(c *contestant, w work) (client, server traffic.Result, err error) {
	spec := w.spec
	spec.Address, spec.Time, spec.Pin = c.addrs[w.path.server], b.seconds, -1
	text, err := json.Marshal(spec)
	if err != nil {
		return client, server, err
	}
	sv := exec.Command(b.self, "traffic", "server", string(text))
	out, err := sv.StdoutPipe()
	if err != nil {
		return client, server, err
	}
	var errs strings.Builder
	sv.Stderr = &errs
	if err := c.spaces[w.path.server].start(sv); err != nil {
		return client, server, err
	}
	stop := func() { _ = sv.Process.Kill(); _ = sv.Wait() }
	lines := bufio.NewReader(out)
	if said, _ := lines.ReadString('\n'); strings.TrimSpace(said) != traffic.Ready {
		stop()
		return client, server, fmt.Errorf("server: %s", strings.TrimSpace(errs.String()))
	}
	cl := exec.Command(b.self, "traffic", "client", string(text))
	said, err := output(cl, c.spaces[w.path.client].start)
	if err != nil {
		stop()
		return client, server, errors.Join(err, errors.New(strings.TrimSpace(errs.String())))
	}
	if client, err = decode[traffic.Result]([]byte(said)); err != nil {
		stop()
		return client, server, err
	}
	if w.spec.Kind == traffic.CRR { // it would go on
		stop()
		return client, server, nil
	}
	rest, _ := io.ReadAll(lines)
	if err := sv.Wait(); err != nil {
		return client, server, fmt.Errorf("server: %w: %s", err, strings.TrimSpace(errs.String()))
	}
	server, err = decode[traffic.Result](rest)
	return client, server, err
}

// prepareSpace readies the namespace of the calling thread for the traffic programs.
func prepareSpace() error { return traffic.Prepare() }

// runTraffic is one end of the traffic: the process in a namespace.
func runTraffic(end, text string) error {
	spec, err := decode[traffic.Spec]([]byte(text))
	if err != nil {
		return err
	}
	return traffic.Main(end, spec, os.Stdout)
}

var _ = time.Second
