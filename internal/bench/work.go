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

	"github.com/vpcemu/vpcemu/internal/bench/report"
	"github.com/vpcemu/vpcemu/internal/bench/traffic"
)

// work is one kind of measurement.
type work struct {
	name    string
	path    way
	spec    traffic.Spec
	figures []figure
	who     []string // who takes part, all if nil
}

// figure is what one run of a work says.
type figure struct {
	report.Figure
	value func(client, server traffic.Result) float64
}

func gbits(_, s traffic.Result) float64     { return float64(s.Bytes) * 8 / s.Seconds / 1e9 }
func delivered(_, s traffic.Result) float64 { return float64(s.Count) / s.Seconds }
func rate(c, _ traffic.Result) float64      { return float64(c.Count) / c.Seconds }
func sent(c, _ traffic.Result) float64      { return float64(c.Sent) / c.SentFor }

// perGB is CPU seconds of the whole machine per 10^9 bytes that were carried.
func perGB(_, s traffic.Result) float64 { return s.Busy / (float64(s.Bytes) / 1e9) }

// Names of work that has a stage of its own.
const (
	rulesWork     = "rules"
	flowsWork     = "flows"
	instancesWork = "instances"
	bookWork      = "book"
	observeWork   = "observe"
	apiWork       = "api"
)

// shortWork is that of a short run.
var shortWork = []string{"tcp1", "nat", "udp1400", "rr", observeWork, apiWork}

// workNames are what --only can name.
func workNames() (names []string) {
	for _, w := range pairWorks() {
		names = append(names, w.name)
	}
	return append(names, rulesWork, flowsWork, instancesWork, bookWork, observeWork, apiWork)
}

// routers have an Internet and rules; limits have a forwarder in user space, too.
var (
	routers = []string{kernelName, vpcemuName}
	limits  = []string{kernelName, bareName, vpcemuName}
)

// pairWorks are those between the instances and hosts of pair.
func pairWorks() []work {
	return []work{
		tcp("tcp1", "TCP 1 stream", inVPC, traffic.Spec{Streams: 1}, limits),
		tcp("tcp4", "TCP 4 streams", inVPC, traffic.Spec{Streams: 4}, limits),
		tcp("tcp16", "TCP 16 streams", inVPC, traffic.Spec{Streams: 16}, limits),
		tcp("tcp1500", "TCP at MTU 1500", inVPC, traffic.Spec{Streams: 1, MSS: 1460}, nil),
		tcp("tcp1cubic", "TCP 1 stream, cubic", inVPC, traffic.Spec{Streams: 1, Control: "cubic"}, limits),
		tcp("tcp4cubic", "TCP 4 streams, cubic", inVPC, traffic.Spec{Streams: 4, Control: "cubic"}, limits),
		tcp("nat", "TCP through NAT", outNAT, traffic.Spec{Streams: 1}, routers),
		udp(64), udp(512), udp(1400),
		rr("rr", 0),
		crr("crr", inVPC, report.Figure{Label: "new connections", Plot: true}),
	}
}

// tcp is streams as fast as they go. The names of its figures begin with the work's.
func tcp(name, label string, p way, s traffic.Spec, who []string) work {
	s.Kind = traffic.TCP
	return work{name: name, path: p, spec: s, who: who, figures: []figure{
		{report.Figure{Work: name, Unit: "Gbit/s", Label: label, Plot: label != ""}, gbits},
		{report.Figure{Work: name + " cpu", Unit: "s/GB", Less: true}, perGB},
	}}
}

// rr is round trips, one every so often or each at the end of the one before.
func rr(name string, every time.Duration) work {
	return work{name: name, path: inVPC, spec: traffic.Spec{Kind: traffic.RR, Every: every}, who: limits, figures: []figure{
		{report.Figure{Work: name, Unit: "transactions/s"}, rate},
		{report.Figure{Work: name + " p50", Unit: "µs", Label: "latency p50", Less: true, Plot: true}, func(c, _ traffic.Result) float64 { return c.P50 }},
		{report.Figure{Work: name + " p99", Unit: "µs", Label: "latency p99", Less: true, Plot: true}, func(c, _ traffic.Result) float64 { return c.P99 }},
		{report.Figure{Work: name + " p99.9", Unit: "µs", Less: true}, func(c, _ traffic.Result) float64 { return c.P999 }},
	}}
}

func udp(size int) work {
	name := fmt.Sprintf("udp%d", size)
	return work{name: name, path: inVPC, spec: traffic.Spec{Kind: traffic.UDP, Size: size}, who: limits, figures: []figure{
		{report.Figure{Work: name, Unit: "datagrams/s", Label: fmt.Sprintf("UDP %d bytes", size), Plot: true}, delivered},
		{report.Figure{Work: name + " sent", Unit: "datagrams/s"}, sent},
		{report.Figure{Work: name + " cpu", Unit: "s/GB", Less: true}, perGB},
	}}
}

func crr(name string, p way, f report.Figure) work {
	f.Work, f.Unit = name, "connections/s"
	return work{name: name, path: p, spec: traffic.Spec{Kind: traffic.CRR}, who: limits, figures: []figure{{f, rate}}}
}

// measure runs the traffic of a work once: the server in one namespace, then the client in the other.
func (b *bench) measure(c *contestant, w work) (client, server traffic.Result, err error) {
	sv, err := b.end(c, w, "server")
	if err != nil {
		return client, server, err
	}
	var errs strings.Builder
	sv.Stderr = &errs
	out, err := sv.StdoutPipe()
	if err != nil {
		return client, server, err
	}
	if err := c.spaces[w.path.server].start(sv); err != nil {
		return client, server, err
	}
	client, server, err = b.talk(c, w, bufio.NewReader(out))
	if err != nil || w.spec.Kind == traffic.CRR { // whose server would go on
		_ = sv.Process.Kill()
		_ = sv.Wait()
		if said := strings.TrimSpace(errs.String()); err != nil && said != "" {
			err = fmt.Errorf("%w; server: %s", err, said)
		}
		return client, server, err
	}
	if err := sv.Wait(); err != nil {
		return client, server, fmt.Errorf("server: %w: %s", err, strings.TrimSpace(errs.String()))
	}
	return client, server, nil
}

// talk runs the client once the server is ready, and reads what both measured.
func (b *bench) talk(c *contestant, w work, out *bufio.Reader) (client, server traffic.Result, err error) {
	if said, _ := out.ReadString('\n'); strings.TrimSpace(said) != traffic.Ready {
		return client, server, errors.New("the server is not ready")
	}
	cl, err := b.end(c, w, "client")
	if err != nil {
		return client, server, err
	}
	said, err := output(cl, c.spaces[w.path.client].start)
	if err != nil {
		return client, server, err
	}
	if client, err = decode[traffic.Result]([]byte(said)); err != nil || w.spec.Kind == traffic.CRR {
		return client, server, err
	}
	rest, err := io.ReadAll(out)
	if err != nil {
		return client, server, err
	}
	if len(rest) == 0 {
		return client, server, errors.New("the server measured nothing")
	}
	server, err = decode[traffic.Result](rest)
	return client, server, err
}

// end is the command of one end of the traffic.
func (b *bench) end(c *contestant, w work, end string) (*exec.Cmd, error) {
	text, err := json.Marshal(b.spec(c, w, end))
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(b.self, "traffic", end, string(text))
	cmd.Env = append(os.Environ(), benchFolder+"="+b.dir) // by which scripts/lib.sh finds it
	return cmd, nil
}

// runTraffic is that end: the process in a namespace.
func runTraffic(end, text string) error {
	spec, err := decode[traffic.Spec]([]byte(text))
	if err != nil {
		return err
	}
	return traffic.Main(end, spec, os.Stdout)
}
