package daemon

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/endpoint"
	"github.com/vpcemu/vpcemu/internal/flowlog"
	"github.com/vpcemu/vpcemu/internal/flowlog/record"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// FlowLogs implements control.Applier.
func (d *Daemon) FlowLogs(ctx context.Context, req control.FlowLogsRequest, lines func(string)) (*control.FlowLogsResult, error) {
	if req.On != "" {
		return &control.FlowLogsResult{}, d.logFor(ctx, req, lines)
	}
	l, err := findFlowLog(d.Model(), req.FlowLog)
	if err != nil {
		return nil, err
	}
	return d.tailFlowLog(ctx, l, req.Follow, lines)
}

// findFlowLog finds the flow log of the name or ID, or the only one.
func findFlowLog(m *vpc.Model, name string) (*vpc.FlowLog, error) {
	var found []*vpc.FlowLog
	var names []string
	for id, l := range m.FlowLogs.All() {
		names = append(names, cmp.Or(l.Name(), string(id)))
		if name == "" || name == string(id) || name == l.Name() {
			found = append(found, l)
		}
	}
	slices.Sort(names)
	switch {
	case len(names) == 0:
		return nil, errors.New("the lab has no flow log: make one (vpcemu ec2 create-flow-logs, or flow_logs in the topology file), or log without one: vpcemu flow-logs --on NAME")
	case len(found) == 1:
		return found[0], nil
	case name == "":
		return nil, fmt.Errorf("there are several flow logs: say which: %s", strings.Join(names, ", "))
	case len(found) == 0:
		return nil, fmt.Errorf("no flow log %s; there are: %s", name, strings.Join(names, ", "))
	}
	return nil, fmt.Errorf("several flow logs are named %s: use the ID (%s, %s …)", name, found[0].ID, found[1].ID)
}

// tailEvery is how often it is looked whether a file has grown.
const tailEvery = 200 * time.Millisecond

// tailFlowLog sends what the log's files have, and with follow what they get until the
// log is deleted.
func (d *Daemon) tailFlowLog(ctx context.Context, l *vpc.FlowLog, follow bool, lines func(string)) (*control.FlowLogsResult, error) {
	t := tail{lines: lines, at: map[string]int64{}}
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	for {
		is := d.Model().FlowLogs.Get(l.ID)
		files, err := d.logs.files.list(l)
		if err != nil {
			return nil, err
		}
		for _, name := range files {
			if err := t.read(name); err != nil {
				return nil, err
			}
		}
		if !follow || is == nil {
			break
		}
		select {
		case <-ctx.Done():
			return &control.FlowLogsResult{}, whyEnded(ctx)
		case <-d.ctx.Done():
			return nil, errStopping
		case <-tick.C:
		}
	}
	if t.records == 0 {
		return &control.FlowLogsResult{Note: fmt.Sprintf("flow log %s has no records yet: they come at the end of each window of %d seconds (-f waits for them)",
			cmp.Or(l.Name(), string(l.ID)), l.MaxAggregationInterval)}, nil
	}
	return &control.FlowLogsResult{}, nil
}

// tail sends the lines of files that grow.
type tail struct {
	lines   func(string)
	at      map[string]int64 // how far each file has been read
	header  string           // sent last
	records int
}

// tailPiece bounds what is read, and sent, at a time.
const tailPiece = 256 << 10

func (t *tail) read(name string) error {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < t.at[name] {
		t.at[name] = 0 // another file by now
	}
	buf := make([]byte, tailPiece)
	for {
		n, err := f.ReadAt(buf, t.at[name])
		whole := bytes.LastIndexByte(buf[:n], '\n') + 1
		t.send(string(buf[:whole]))
		t.at[name] += int64(whole)
		if err == io.EOF || whole == 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// send leaves out headers that say what the last one did: each file has one.
func (t *tail) send(text string) {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if name := strings.TrimSuffix(line, "\n"); record.IsHeader(name) {
			if name == t.header {
				continue
			}
			t.header = name
		} else {
			t.records++
		}
		b.WriteString(line)
	}
	if b.Len() > 0 {
		t.lines(b.String())
	}
}

// adHocInterval is the length of the windows of a log that is made for one who asks.
const adHocInterval = 5 * time.Second

// logFor logs for one who asks, until they leave or the time they gave is over.
func (d *Daemon) logFor(ctx context.Context, req control.FlowLogsRequest, lines func(string)) error {
	cfg, err := adHocConfig(req)
	if err != nil {
		return err
	}
	first, err := d.watchedOn(req.On)
	if err != nil {
		return err
	}
	a := adHoc{d: d, on: req.On, lines: lines, model: d.Model(), watched: first, gather: flowlog.New(cfg, time.Now())}
	a.gather.Watch(copyOf(first))
	a.meter = d.engine.Meter(meterEvery, meterBuffer)
	defer a.meter.Close()
	lines(cfg.Format.Header() + "\n")
	return a.run(ctx, req.Duration)
}

func adHocConfig(req control.FlowLogsRequest) (flowlog.Config, error) {
	format, err := record.ParseNames(req.Format)
	if err != nil {
		return flowlog.Config{}, err
	}
	traffic, ok := flowlog.ParseTraffic(cmp.Or(req.TrafficType, "ALL"))
	if !ok {
		return flowlog.Config{}, fmt.Errorf("traffic type %q: use ALL, ACCEPT or REJECT", req.TrafficType)
	}
	interval := cmp.Or(req.Interval, adHocInterval)
	if interval%time.Second != 0 || interval < time.Second || interval > 10*time.Minute {
		return flowlog.Config{}, fmt.Errorf("interval %s: use whole seconds from 1s to 600s", interval)
	}
	return flowlog.Config{Format: format, Traffic: traffic, Interval: interval}, nil
}

// watchedOn are the interfaces that the word means now.
func (d *Daemon) watchedOn(word string) (map[uint32]*flowlog.Interface, error) {
	m := d.Model()
	set, err := endpoint.Interfaces(m, word)
	if err != nil {
		return nil, err
	}
	if len(set.Interfaces) == 0 {
		return nil, fmt.Errorf("%s: has no network interface, and flow logs are of network interfaces", word)
	}
	wanted := set.Handles()
	return watchedBy(m, func(n *vpc.NetworkInterface) bool { return wanted[n.Handle] }), nil
}

// adHoc is a log that is made for one who asks.
type adHoc struct {
	d       *Daemon
	on      string
	lines   func(string)
	meter   *dataplane.Meter
	gather  *flowlog.Aggregator
	model   *vpc.Model // of which watched is
	watched map[uint32]*flowlog.Interface
}

func (a *adHoc) run(ctx context.Context, duration time.Duration) error {
	var over <-chan time.Time
	if duration > 0 {
		over = time.After(duration)
	}
	for {
		select {
		case <-ctx.Done():
			return whyEnded(ctx)
		case <-a.d.ctx.Done():
			return errStopping
		case <-over:
			a.collect()
			a.send(a.gather.Flush(nil, time.Now()))
			return nil
		case r := <-a.meter.C:
			a.follow()
			a.gather.Add(r, bootOffset())
		case <-time.After(min(maxWait, time.Until(a.gather.End()))):
		}
		if now := time.Now(); !now.Before(a.gather.End()) {
			a.collect()
			a.send(a.gather.Advance(nil, now))
			a.gather.Watch(copyOf(a.watched)) // no longer those that have gone
		}
	}
}

// follow also watches the interfaces that have come since.
func (a *adHoc) follow() {
	m := a.d.Model()
	if m == a.model {
		return
	}
	a.model = m
	now, err := a.d.watchedOn(a.on)
	if err != nil {
		now = nil // what the word meant has gone
	}
	both := copyOf(a.watched)
	for handle, i := range now {
		both[handle] = i
	}
	a.gather.Watch(both)
	a.watched = now
}

// collect reads the meter to its end.
func (a *adHoc) collect() {
	a.follow()
	a.d.engine.Collect()
	for {
		select {
		case r := <-a.meter.C:
			a.gather.Add(r, bootOffset())
		default:
			return
		}
	}
}

func (a *adHoc) send(records []byte) {
	if len(records) > 0 {
		a.lines(string(records))
	}
}
