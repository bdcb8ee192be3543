package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/vpcemu/vpcemu/internal/bench/report"
	"github.com/vpcemu/vpcemu/internal/bench/traffic"
)

// benchFolder is in the environment of every process of a run, so that what a killed run leaves can be found.
const benchFolder = "VPCEMU_BENCH_DIR"

// Contestants by name; the kernel router is what the others are compared with.
const (
	kernelName = "kernel"
	vpcemuName = "vpcemu"
	bareName   = "bare"
	naiveName  = "naive"
)

var allContestants = []string{kernelName, bareName, vpcemuName, naiveName}

// contestant is a network that is up: namespaces, and what carries packets between them.
type contestant struct {
	name   string
	spaces map[string]*space // by the name of the instance or host
	addrs  map[string]netip.Addr
	pid    int // of the process that forwards, 0 for the kernel
	down   func() error
}

// way is one path through a contestant.
type way struct{ client, server string }

var (
	inVPC  = way{"a", "b"}
	outNAT = way{"a", "server"}
)

// weigh adds what the process that forwards takes.
func (c *contestant) weigh(r *report.Results) {
	if c.pid == 0 {
		return
	}
	r.Add(report.Figure{Work: "memory", Unit: "MiB", Less: true}, c.name, 0, float64(procStatus(c.pid, "VmRSS"))/1024)
	r.Add(report.Figure{Work: "threads", Unit: "threads", Less: true}, c.name, 0, float64(procStatus(c.pid, "Threads")))
}

// procStatus is a number of proc_pid_status(5), 0 if the process is gone.
func procStatus(pid int, key string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, key+":"); ok {
			n, _ := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			return n
		}
	}
	return 0
}

// bring brings a contestant up with the network of the topology.
func (b *bench) bring(name string, t topologyFile) (*contestant, error) {
	var c *contestant
	var err error
	switch name {
	case kernelName:
		c, err = b.bringKernel(t)
	case vpcemuName:
		c, err = b.bringVpcemu(t)
	case bareName, naiveName:
		c, err = b.bringForwarder(name, t)
	default:
		return nil, fmt.Errorf("no contestant %s: there are %s", name, strings.Join(allContestants, ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("contestant %s: %w", name, err)
	}
	for _, s := range c.spaces {
		if err := s.do(traffic.Prepare); err != nil {
			return nil, errors.Join(fmt.Errorf("contestant %s: %w", name, err), c.down())
		}
	}
	return c, nil
}

// output runs a program and returns what it printed; its errors are part of the error.
func output(cmd *exec.Cmd, start func(*exec.Cmd) error) (string, error) {
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), err
}

// feed is a standard input of the text.
func feed(cmd *exec.Cmd, text string) *exec.Cmd {
	cmd.Stdin = io.Reader(strings.NewReader(text))
	return cmd
}
