package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/internal/bench/ruleset"
	"github.com/vpcemu/vpcemu/internal/bench/traffic"
)

func TestFlags(t *testing.T) {
	full := options{vpcemu: "vpcemu", dir: "/d", rounds: 5, time: time.Second, contestants: allContestants}
	with := func(change func(o *options)) options { o := full; change(&o); return o }
	for args, want := range map[string]options{
		"--dir /d": full,
		"--dir /d --docs /docs": with(func(o *options) {
			o.docs, o.json, o.svg = "/docs", "/docs/bench.json", "/docs/bench.svg"
		}),
		"--dir /d --docs /docs --json /x": with(func(o *options) { o.docs, o.json, o.svg = "/docs", "/x", "/docs/bench.svg" }),
		"--dir /d --docs /docs --short": with(func(o *options) {
			o.docs, o.short, o.rounds, o.time, o.contestants = "/docs", true, 3, time.Second/2, []string{"kernel", "vpcemu"}
		}),
		"--dir /d --docs /docs --only tcp*,book --json /x": with(func(o *options) {
			o.docs, o.only, o.json = "/docs", []string{"tcp*", "book"}, "/x"
		}),
		"--dir /d --contestants bare,vpcemu --rounds 2 --seconds 0.25 --pin": with(func(o *options) {
			o.contestants, o.rounds, o.time, o.pin = []string{"bare", "vpcemu"}, 2, time.Second/4, true
		}),
	} {
		got, err := parse(strings.Fields(args), io.Discard)
		if err != nil {
			t.Errorf("%s: %v", args, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(options{})); diff != "" {
			t.Errorf("%s: %s", args, diff)
		}
	}
}

func TestFlagsThatMeanNothing(t *testing.T) {
	for _, args := range []string{"", "--dir /d tcp1", "--dir /d --only tcp2", "--dir /d --only [", "--dir /d --contestants kernel,ovs",
		"--dir /d --rounds -1", "--dir /d --seconds -1", "--dir /d --rounds x", "--dir /d --speed"} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

func TestWhatIsMeasured(t *testing.T) {
	for args, want := range map[string]string{
		"--dir /d":                     strings.Join(workNames(), " "),
		"--dir /d --short":             "tcp1 nat udp1400 rr observe api",
		"--dir /d --only tcp*,rr":      "tcp1 tcp4 tcp16 tcp1500 tcp1cubic tcp4cubic rr",
		"--dir /d --short --only book": "book",
	} {
		o, err := parse(strings.Fields(args), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, name := range workNames() {
			if o.wants(name) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", args, got, want)
		}
	}
}

// Every work has to find its ends in the network, and rules that let it through.
func TestWorksFitTheirNetwork(t *testing.T) {
	m, err := pair().model()
	if err != nil {
		t.Fatal(err)
	}
	links, err := ruleset.Links(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range pairWorks() {
		for _, end := range []string{w.path.client, w.path.server} {
			if !slices.ContainsFunc(links, func(l ruleset.Link) bool { return l.Name == end }) {
				t.Errorf("%s: there is no %s", w.name, end)
			}
		}
		if w.who != nil && !slices.Contains(w.who, vpcemuName) {
			t.Errorf("%s: %v without vpcemu", w.name, w.who)
		}
	}
	for _, n := range flowCounts {
		if n > traffic.MaxFlows {
			t.Errorf("%d flows: there are ports for %d", n, traffic.MaxFlows)
		}
	}
}

func TestTheRuleThatMatchesIsTheLast(t *testing.T) {
	counts := []int{1, 3, 100, 1000} // what is the same for more takes seconds
	m, err := rulesTopology(counts).model()
	if err != nil {
		t.Fatal(err)
	}
	rules, err := ruleset.Of(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range counts {
		_, chain, _ := strings.Cut(rules, fmt.Sprintf("chain ingress-b%d {\n", n))
		chain, _, _ = strings.Cut(chain, "\t}")
		var lines []string
		for line := range strings.Lines(chain) {
			if line = strings.TrimSpace(line); line != "drop" {
				lines = append(lines, line)
			}
		}
		if len(lines) != n {
			t.Errorf("%d rules instead of %d", len(lines), n)
			continue
		}
		const matching = "ip saddr 10.0.1.0/24 tcp dport 5001-5999 return"
		if lines[n-1] != matching || slices.Index(lines, matching) != n-1 {
			t.Errorf("%d rules: the last is %q, and %q comes as number %d", n, lines[n-1], matching, slices.Index(lines, matching)+1)
		}
	}
}

func TestLabsOfAllSizesAreValid(t *testing.T) {
	for _, n := range instanceCounts {
		m, err := instancesTopology(n).model()
		if err != nil {
			t.Fatal(err)
		}
		if m.Instances.Len() != n {
			t.Errorf("%d instances instead of %d", m.Instances.Len(), n)
		}
	}
}
