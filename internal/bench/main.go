// Command bench compares vpcemu with the kernel router that people would build instead, and with other ways to forward in user
// space. scripts/bench.sh runs it; docs/benchmark.md says how it measures.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

func main() {
	switch err := run(os.Args[1:]); {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures, or is one of the processes that the measuring one starts: an end of the traffic, or a forwarder.
func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "traffic":
		return runTraffic(args[1], args[2])
	case len(args) == 2 && args[0] == "forward":
		return runForwarder(args[1])
	}
	o, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	b, err := newBench(o)
	if err != nil {
		return err
	}
	return b.run()
}
