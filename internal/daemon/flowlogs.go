package daemon

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/flowlog"
	"github.com/vpcemu/vpcemu/internal/flowlog/record"
	"github.com/vpcemu/vpcemu/internal/slab"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// How flow logs read the network.
const (
	meterEvery  = time.Second
	meterBuffer = 64
)

// flowLogs keeps the flow logs of the model: one meter while there is any, read and
// written by one goroutine. What a disk does not take is lost, told once, and concerns
// nothing else.
type flowLogs struct {
	engine *dataplane.Engine
	log    *slog.Logger
	files  flowLogFiles
	wake   chan struct{} // the meter or the logs have changed, or there is something to write

	mu    sync.Mutex // guards what follows; nothing is written to disk under it
	model *vpc.Model
	meter *dataplane.Meter
	logs  map[vpc.FlowLogID]*flowLog
	ended []*flowLog // of the model no longer, with records still to be written
}

// flowLog is one at work.
type flowLog struct {
	is      *vpc.FlowLog
	format  *record.Format
	gather  *flowlog.Aggregator
	watched map[uint32]*flowlog.Interface
	out     []byte // records to be written
	fresh   bool   // its file may not be there yet
	problem error  // with the latest write
}

func newFlowLogs(engine *dataplane.Engine, stateDir string, log *slog.Logger) *flowLogs {
	return &flowLogs{engine: engine, log: log, files: flowLogFiles{stateDir}, wake: make(chan struct{}, 1), logs: map[vpc.FlowLogID]*flowLog{}}
}

// follow makes the flow logs those of m, which the engine has by now. When it returns,
// the next packet is logged as m has it.
func (k *flowLogs) follow(m *vpc.Model) {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.model
	k.model = m
	if m.FlowLogs.Len() == 0 && len(k.logs) == 0 || old != nil && m.FlowLogs.Same(&old.FlowLogs) &&
		m.NetworkInterfaces.Same(&old.NetworkInterfaces) && m.Instances.Same(&old.Instances) {
		return
	}
	now := time.Now()
	for id, l := range m.FlowLogs.All() {
		if k.logs[id] == nil {
			k.begin(id, l, now)
		}
	}
	k.change(m, now)
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// begin starts a flow log.
func (k *flowLogs) begin(id vpc.FlowLogID, is *vpc.FlowLog, now time.Time) {
	format, err := record.Parse(is.LogFormat)
	traffic, ok := flowlog.ParseTraffic(is.TrafficType)
	if err != nil || !ok {
		k.log.Error("flow log", "id", id, "format", is.LogFormat, "traffic", is.TrafficType, "error", err) // Check has told of it
		return
	}
	cfg := flowlog.Config{Format: format, Interval: time.Duration(is.MaxAggregationInterval) * time.Second, Traffic: traffic}
	k.logs[id] = &flowLog{is: is, format: format, gather: flowlog.New(cfg, now), fresh: true}
}

// change goes over to what m says that the logs watch. What has been sent until now is
// read in between, while they watch the interfaces of before and after, so that it is in
// the log that it belongs to.
func (k *flowLogs) change(m *vpc.Model, now time.Time) {
	next := map[vpc.FlowLogID]map[uint32]*flowlog.Interface{}
	for id, l := range k.logs {
		next[id] = map[uint32]*flowlog.Interface{}
		if is := m.FlowLogs.Get(id); is != nil {
			l.is = is // its name may have changed
			next[id] = watchedBy(m, is.Watches)
		}
		both := map[uint32]*flowlog.Interface{}
		for handle, i := range l.watched {
			both[handle] = i
		}
		for handle, i := range next[id] {
			both[handle] = i
		}
		l.gather.Watch(both)
	}
	if k.meter == nil {
		k.meter = k.engine.Meter(meterEvery, meterBuffer)
	} else {
		k.collect()
	}
	for id, l := range k.logs {
		if m.FlowLogs.Get(id) == nil {
			l.out = l.gather.Flush(l.out, now)
			k.ended = append(k.ended, l)
			delete(k.logs, id)
			continue
		}
		l.watched = next[id]
		l.gather.Watch(copyOf(l.watched))
	}
	if len(k.logs) == 0 {
		k.meter.Close()
		k.meter = nil
	}
}

func copyOf(m map[uint32]*flowlog.Interface) map[uint32]*flowlog.Interface {
	c := make(map[uint32]*flowlog.Interface, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

// watchedBy are the interfaces of m that are wanted, as records show them. Those that are
// attached to nothing have no traffic.
func watchedBy(m *vpc.Model, wanted func(*vpc.NetworkInterface) bool) map[uint32]*flowlog.Interface {
	found := map[uint32]*flowlog.Interface{}
	for _, n := range m.NetworkInterfaces.All() {
		if !n.Deleted.IsZero() || n.Attachment == nil && !n.RequesterManaged || !wanted(n) {
			continue
		}
		i := &flowlog.Interface{Primary: n.Primary(), Interface: record.Interface{ID: string(n.ID), Account: n.Account, Region: n.Region,
			ZoneID: m.ZoneID(n.AvailabilityZone), VPC: string(n.VpcID), Subnet: string(n.SubnetID)}}
		if n.Attachment != nil && n.Attachment.InstanceID != "" {
			i.Instance = string(n.Attachment.InstanceID)
			if of := m.Instances.Get(n.Attachment.InstanceID); of != nil {
				i.Old = !vpc.IsNitro(of.InstanceType)
			}
		}
		found[n.Handle] = i
	}
	return found
}

// collect reads the meter to its end.
func (k *flowLogs) collect() {
	k.engine.Collect()
	for {
		select {
		case r := <-k.meter.C:
			k.add(r)
		default:
			return
		}
	}
}

func (k *flowLogs) add(r dataplane.Reading) {
	offset := bootOffset()
	for _, l := range k.logs {
		l.gather.Add(r, offset)
	}
}

// bootOffset turns times of the data plane into Unix nanoseconds.
func bootOffset() int64 { return time.Now().UnixNano() - slab.Boottime() }

// run reads and writes until ctx ends, and then what is left.
func (k *flowLogs) run(ctx context.Context) {
	for {
		c, wait := k.waitFor()
		select {
		case <-ctx.Done():
			k.finish()
			k.write()
			return
		case <-k.wake:
		case r := <-c:
			k.mu.Lock()
			k.add(r)
			k.mu.Unlock()
		case <-wait:
		}
		k.advance()
		k.write()
	}
}

// maxWait is how long the clock of the machine may be wrong about a window's end.
const maxWait = time.Second

// waitFor is the meter to read, and the time until a window ends; nil for never.
func (k *flowLogs) waitFor() (<-chan dataplane.Reading, <-chan time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.meter == nil {
		return nil, nil
	}
	wait := maxWait
	for _, l := range k.logs {
		wait = min(wait, time.Until(l.gather.End()))
	}
	return k.meter.C, time.After(wait)
}

// advance ends the windows whose time has come.
func (k *flowLogs) advance() {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	var due []*flowLog
	for _, l := range k.logs {
		if !now.Before(l.gather.End()) {
			due = append(due, l)
		}
	}
	if len(due) == 0 {
		return
	}
	k.collect()
	for _, l := range due {
		l.out = l.gather.Advance(l.out, now)
	}
}

// finish takes what there is of all windows.
func (k *flowLogs) finish() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.meter == nil {
		return
	}
	k.collect()
	k.meter.Close()
	k.meter = nil
	for _, l := range k.logs {
		l.out = l.gather.Flush(l.out, time.Now())
	}
}

// write puts the records that wait into their files. A log that is new gets its file at
// once, so that what is wrong with it shows before there are records.
func (k *flowLogs) write() {
	type waiting struct {
		*flowLog
		is   vpc.FlowLog
		text []byte
	}
	var list []waiting
	k.mu.Lock()
	take := func(l *flowLog) {
		if len(l.out) > 0 || l.fresh {
			list = append(list, waiting{l, *l.is, l.out})
			l.out, l.fresh = nil, false
		}
	}
	for _, l := range k.logs {
		take(l)
	}
	for _, l := range k.ended {
		take(l)
	}
	k.ended = nil
	k.mu.Unlock()
	for _, w := range list {
		k.report(w.flowLog, k.files.add(&w.is, w.format, w.text, time.Now()))
	}
}

// report tells of a write that failed, and of the first that succeeds again.
func (k *flowLogs) report(l *flowLog, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case err != nil && l.problem == nil:
		k.log.Error("flow log: records are lost", "id", l.is.ID, "name", l.is.Name(), "error", err)
	case err == nil && l.problem != nil:
		k.log.Info("flow log: is written again", "id", l.is.ID, "name", l.is.Name())
	}
	l.problem = err
}

// notes tell the user what is not written.
func (k *flowLogs) notes() (notes []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, l := range k.logs {
		if l.problem != nil {
			notes = append(notes, fmt.Sprintf("flow log %s: its records are lost: %v", cmp.Or(l.is.Name(), string(id)), l.problem))
		}
	}
	slices.Sort(notes)
	return notes
}
