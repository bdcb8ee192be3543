package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/internal/bench/report"
	"github.com/vpcemu/vpcemu/topologies"
)

// instanceCounts are the sizes of labs.
var instanceCounts = []int{2, 10, 100, 1000}

// idleTime is how long an idle lab is watched.
const idleTime = 3 * time.Second

// instancesTopology is a lab of n instances in one subnet.
func instancesTopology(n int) topologyFile {
	var b strings.Builder
	fmt.Fprintf(&b, `version: 1
name: bench-%d
default_vpc: false
vpcs:
  main: {cidr_block: 10.0.0.0/16}
subnets:
  main: {vpc: main, cidr_block: 10.0.0.0/20}
instances:
`, n)
	for i := range n {
		fmt.Fprintf(&b, "  i%d: {subnet: main}\n", i)
	}
	return topologyFile{fmt.Sprintf("bench-%d", n), b.String()}
}

// instancesStage measures what labs of several sizes take, vpcemu's alone: the kernel has no DHCP service to compare with.
func (b *bench) instancesStage() error {
	if !b.wants(instancesWork) || !slices.Contains(b.contestants, vpcemuName) {
		return nil
	}
	for _, n := range instanceCounts {
		rounds := b.rounds
		if n >= 100 {
			rounds = 1
		}
		for round := range rounds {
			if err := b.size(n, round); err != nil {
				return fmt.Errorf("%d instances: %w", n, err)
			}
		}
		b.table.Print(b.results)
	}
	return nil
}

// size brings a lab up, looks at it, and takes it down.
func (b *bench) size(n, round int) error {
	add := func(what, unit string, value float64) {
		b.results.Add(report.Figure{Work: fmt.Sprintf("instances%d %s", n, what), Unit: unit, Less: true}, vpcemuName, round, value)
	}
	t := instancesTopology(n)
	start := time.Now()
	if err := b.labUp(t); err != nil {
		return err
	}
	add("up", "s", time.Since(start).Seconds())
	daemon, err := b.labDaemon(t)
	if err != nil {
		return err
	}
	guests, err := b.guests(labName(t))
	if err != nil {
		return err
	}
	if len(guests) != n {
		return fmt.Errorf("%d guest programs run", len(guests))
	}
	time.Sleep(time.Second) // what up has left to do
	add("memory", "MiB", float64(procStatus(daemon, "VmRSS"))/1024)
	memory := 0.0
	before, beforeGuests, start := cpuOf(daemon), 0.0, time.Now()
	for _, pid := range guests {
		beforeGuests += cpuOf(pid)
	}
	time.Sleep(idleTime)
	after, passed, afterGuests := cpuOf(daemon), time.Since(start).Seconds(), 0.0
	for _, pid := range guests {
		afterGuests += cpuOf(pid)
		memory += pss(pid)
	}
	add("idle cpu", "% of a core", 100*(after-before)/passed)
	add("idle cpu of guests", "% of a core", 100*(afterGuests-beforeGuests)/passed)
	add("memory per guest", "MiB", memory/float64(n)/(1<<20))
	start = time.Now()
	if err := b.labDown(t); err != nil {
		return err
	}
	add("down", "s", time.Since(start).Seconds())
	return nil
}

// guests are the processes that are PID 1 of a lab's instances.
func (b *bench) guests(lab string) (pids []int, err error) {
	run := filepath.Join(b.dir, "run", lab)
	all, err := filepath.Glob("/proc/[0-9]*")
	for _, p := range all {
		args, err := os.ReadFile(filepath.Join(p, "cmdline"))
		words := strings.Split(string(args), "\x00")
		if err != nil || !slices.Contains(words, run) || filepath.Base(words[0]) != "vpcemu-guest" {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(p))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, err
}

// cpuOf is how many seconds the threads of a process have run (proc_pid_schedstat: nanoseconds).
func cpuOf(pid int) (seconds float64) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid)) // the pattern is right
	for _, t := range threads {
		text, err := os.ReadFile(t)
		if err != nil {
			continue // it has ended
		}
		if f := strings.Fields(string(text)); len(f) > 0 {
			ns, _ := strconv.ParseFloat(f[0], 64)
			seconds += ns / 1e9
		}
	}
	return seconds
}

// pss is a process's memory in bytes, what it shares with others counted in parts.
func pss(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "Pss:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(v)[0], 64)
			return kib * 1024
		}
	}
	return 0
}

// bookStage measures how long the book's example takes to come up.
func (b *bench) bookStage() error {
	if !b.wants(bookWork) || !slices.Contains(b.contestants, vpcemuName) {
		return nil
	}
	text, err := topologies.Open("book")
	if err != nil {
		return err
	}
	t := topologyFile{"bench-book", string(text)}
	for round := range b.rounds {
		start := time.Now()
		if err := b.labUp(t); err != nil {
			return err
		}
		b.results.Add(report.Figure{Work: "book up", Unit: "s", Less: true}, vpcemuName, round, time.Since(start).Seconds())
		if err := b.labDown(t); err != nil {
			return err
		}
	}
	b.table.Print(b.results)
	return nil
}
