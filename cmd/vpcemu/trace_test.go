package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/vpcemu/vpcemu/internal/control"
)

func TestProtocolAndPort(t *testing.T) {
	for text, want := range map[string]struct {
		proto string
		port  int
		err   string
	}{
		"tcp/22":      {proto: "tcp", port: 22},
		"TCP/SSH":     {proto: "tcp", port: 22},
		"udp/dns":     {proto: "udp", port: 53},
		"icmp":        {proto: "icmp"},
		"47":          {proto: "47"},
		"tcp/0":       {err: "ports are 1 to 65535"},
		"tcp/22-23":   {err: "one port, not to a range"},
		"tcp/all":     {err: "one port, not to a range"},
		"tcp/shh":     {err: "is no port"},
		"tcp/":        {err: "is no port"},
		"tcp/70000":   {err: "use a number from 1 to 65535"},
		"tcp/22/udp":  {err: "is no port"},
		"":            {},
		"nonsense/80": {proto: "nonsense", port: 80}, // the daemon knows which protocols there are
	} {
		proto, port, err := protocolAndPort(text)
		switch {
		case want.err != "":
			if err == nil || !strings.Contains(err.Error(), want.err) {
				t.Errorf("%q: %v, want %q", text, err, want.err)
			}
		case err != nil || proto != want.proto || port != want.port:
			t.Errorf("%q: %q, %d, %v", text, proto, port, err)
		}
	}
}

func TestAdviceNamesTheLabThatWasNamed(t *testing.T) {
	tr := &control.Trace{Advice: []string{"Words.", "vpcemu ec2 start-instances --instance-ids web"}}
	forLab(tr, "second")
	if tr.Advice[0] != "Words." || tr.Advice[1] != "vpcemu ec2 start-instances --instance-ids web --lab second" {
		t.Errorf("%q", tr.Advice)
	}
}

// traceDaemon refuses one name, and is stopping for another.
type traceDaemon struct{ control.Applier }

func (traceDaemon) Trace(ctx context.Context, req control.TraceRequest) (*control.Trace, error) {
	switch req.From {
	case "wob":
		return nil, errors.New("wob: nothing in the lab has this name or ID")
	case "late":
		return nil, control.ErrStopping
	}
	return &control.Trace{Reachable: req.From == "web", Forward: &control.Path{Hops: []control.Hop{{Stage: "deliver", Verdict: "deliver"}}}}, nil
}

// 1 is a packet that does not arrive, and nothing else.
func TestTraceExitStatus(t *testing.T) {
	serveLab(t, traceDaemon{})
	for line, want := range map[string]int{
		"web db tcp/22":                 0,
		"db web tcp/22":                 1,
		"wob db tcp/22":                 2,
		"late db tcp/22":                2,
		"web db tcp/22 --lab none":      2,
		"web db tcp/22 --ttl 0":         2,
		"web db tcp/22 --size 0":        2,
		"web db tcp/22 --source-port 0": 2,
		"web db tcp/ssh2":               2,
	} {
		_, _, err := vpcemu(append([]string{"trace", "--lab", "book"}, strings.Fields(line)...)...)
		if got := report(err); got != want {
			t.Errorf("%s: exit status %d, want %d (%v)", line, got, want, err)
		}
	}
	if got := report(looking(context.Canceled)); got != 130 {
		t.Errorf("Ctrl-C: exit status %d", got)
	}
}
