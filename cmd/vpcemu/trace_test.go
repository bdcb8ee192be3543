package main

import (
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
		"tcp/70000":   {err: "is no port"},
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
