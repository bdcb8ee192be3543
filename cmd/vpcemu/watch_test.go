package main

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/control"
)

// watchDaemon shows two lines to whoever asks, and notes the request.
type watchDaemon struct {
	control.Applier
	req control.WatchRequest
}

func (d *watchDaemon) Watch(_ context.Context, req control.WatchRequest, _ <-chan struct{}, send func(...*control.Watched) error) error {
	if len(req.On) > 0 && req.On[0] == "wbe" {
		return errors.New("wbe: nothing in the lab has this name or ID; there are: db, web")
	}
	d.req = req
	at := time.Date(2026, 11, 27, 21, 58, 4, 332e6, time.Local)
	seen := &control.Seen{Sent: control.Sent{Protocol: "udp", Source: netip.MustParseAddr("10.0.0.1"), SourcePort: 5, Destination: netip.MustParseAddr("10.0.0.2"), DestinationPort: 53},
		From: &control.Named{Name: "we\x1bb"}, Verdict: control.VerdictDropped, Reason: "NO_ROUTE_TO_DESTINATION", Text: "no route", Packets: 1}
	return send(&control.Watched{Kind: control.WatchedStarted}, &control.Watched{Time: at, Kind: control.WatchedFlow, Seen: seen},
		&control.Watched{Time: at, Kind: control.WatchedSkipped, NotShown: 1204})
}

func serveWatch(t *testing.T) *watchDaemon {
	t.Helper()
	d := &watchDaemon{}
	serveLab(t, d)
	return d
}

func TestWatchPrintsLines(t *testing.T) {
	d := serveWatch(t)
	out, notes, err := vpcemu("watch", "--lab", "book", "--on", "web,db", "--on", "nat", "--port", "ssh", "--address", "10.0.0.0/8", "--protocol", "udp",
		"--verdict", "dropped", "--reason", "NO_ROUTE_TO_DESTINATION", "--packets", "-d", "5s", "-c", "7")
	want := "21:58:04.332  10.0.0.1:5 > 10.0.0.2:53 udp  we\\x1bb  dropped: NO_ROUTE_TO_DESTINATION: no route\n… 1,204 packets not shown\n"
	if err != nil || out != want || notes != "watching lab book; Ctrl-C ends it\n" {
		t.Errorf("%q, %q, %v", out, notes, err)
	}
	r := d.req
	if strings.Join(r.On, " ") != "web db nat" || len(r.Ports) != 1 || len(r.Addresses) != 1 || len(r.Protocols) != 1 || r.Verdict != "dropped" ||
		len(r.Reasons) != 1 || !r.Packets || r.Duration != 5*time.Second || r.Count != 7 {
		t.Errorf("%+v", r)
	}
	out, _, err = vpcemu("watch", "--lab", "book", "-o", "json")
	if lines := strings.Split(out, "\n"); err != nil || len(lines) != 3 || !strings.HasPrefix(lines[0], `{"time":"2026-11-27T`) || !strings.Contains(lines[1], `"not_shown":1204`) {
		t.Errorf("%q, %v", out, err)
	}
}

func TestWatchUsage(t *testing.T) {
	serveWatch(t)
	for line, want := range map[string]string{
		"--on wbe":       "there are: db, web",
		"--port sshd":    `--port: "sshd" is no port`,
		"--address web":  `--address: "web" is no address or CIDR block`,
		"--verdict lost": `--verdict: "lost" is neither`,
		"--protocol tpc": "--protocol: ",
		"--duration 5":   "--duration: ",
		"-c none":        "--count: ",
		"-o yaml":        "use json",
		"--on=":          "--on: its value is empty",
		"--address=":     "--address: its value is empty",
		"--port=":        "--port: its value is empty",
		"--protocol=":    "--protocol: its value is empty",
		"--reason=":      "--reason: its value is empty",
		"web":            "usage: vpcemu watch",
		"--nonsense":     "usage: vpcemu watch",
	} {
		_, _, err := vpcemu(append([]string{"watch", "--lab", "book"}, strings.Fields(line)...)...)
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}

func TestColourOnATerminalOnly(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if p := paintOf(f); p.Bad("x") != "x" {
		t.Error("a file gets colours")
	}
	if got := coloured.Bad("a\x1bb") + coloured.Dim(""); got != "\x1b[31ma\\x1bb\x1b[0m" {
		t.Errorf("%q", got)
	}
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	if p := paintOf(terminal); p.Bad("x") == "x" {
		t.Error("a terminal gets no colours")
	}
	t.Setenv("NO_COLOR", "1")
	if p := paintOf(terminal); p.Bad("x") != "x" {
		t.Error("NO_COLOR is not respected")
	}
}
