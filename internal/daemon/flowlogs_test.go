package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/flowlog/record"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// synFrom has instance a send b a SYN from the port.
func (b *bench) synFrom(port uint16) {
	b.t.Helper()
	m, a := b.Model(), b.instance("a")
	from, to := m.InstanceInterfaces(a.ID)[0], m.InstanceInterfaces(b.instance("b").ID)[0]
	tuple := packet.Tuple{Src: packet.AddrFrom(from.Primary()), Dst: packet.AddrFrom(to.Primary()), SrcPort: port, DstPort: 80, Proto: packet.ProtoTCP}
	b.m.mu.Lock()
	queue := b.m.running[string(a.ID)].theirs[from.Handle]
	b.m.mu.Unlock()
	if _, err := queue.Write(packet.BuildTCP(make([]byte, 128), tuple, packet.FlagSYN, 1, 0, nil)); err != nil {
		b.t.Fatal(err)
	}
}

// the form of these tests' records: the sending port and what became of the packets.
const portAndPackets = "${srcport} ${packets} ${action} ${flow-direction}"

func createFlowLog(name, kind, resource, more string) string {
	return fmt.Sprintf(`{"ResourceType":%q,"ResourceIds":[%q],"TrafficType":"ALL","LogFormat":%q,"MaxAggregationInterval":1,"TagSpecifications":[{"ResourceType":"vpc-flow-log","Tags":[{"Key":"Name","Value":%q}]}]%s}`,
		kind, resource, portAndPackets, name, more)
}

// counted are the records in a file that tell of packets, sorted: the order of interfaces
// is that of their IDs.
func counted(name string) (list []string) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-") && !record.IsHeader(line) {
			list = append(list, line)
		}
	}
	slices.Sort(list)
	return list
}

func (b *bench) records(file string, want ...string) {
	b.t.Helper()
	b.eventually("records "+strings.Join(want, ", "), func() bool { return len(counted(file)) >= len(want) })
	equal(b.t, "records", counted(file), want)
}

func (b *bench) flowLogNamed(name string) *vpc.FlowLog {
	b.t.Helper()
	l, err := findFlowLog(b.Model(), name)
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

func TestFlowLogs_OneFileIsAppendedToAcrossDaemons(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	b.must("CreateFlowLogs", createFlowLog("all", "VPC", "v", `,"LogGroupName":"/vpc/all"`))
	file := filepath.Join(b.cfg.StateDir, "flow-logs/vpc/all", string(b.flowLogNamed("all").ID)+".log")
	b.synFrom(1)
	b.records(file, "1 1 ACCEPT egress", "1 1 ACCEPT ingress")
	b.synFrom(2)
	b.eventually("the packet is counted", func() bool { n, err := b.Counters(t.Context()); return err == nil && n.Verdicts["DELIVERED"] == 2 })
	b.reopen() // in the middle of a window, whose records the first daemon writes
	b.records(file, "1 1 ACCEPT egress", "1 1 ACCEPT ingress", "2 1 ACCEPT egress", "2 1 ACCEPT ingress")
	b.synFrom(3)
	b.records(file, "1 1 ACCEPT egress", "1 1 ACCEPT ingress", "2 1 ACCEPT egress", "2 1 ACCEPT ingress", "3 1 ACCEPT egress", "3 1 ACCEPT ingress")
	text, err := os.ReadFile(file)
	if err != nil || strings.Count(string(text), "srcport packets action flow-direction\n") != 1 || !strings.HasPrefix(string(text), "srcport ") {
		t.Errorf("%v: %s", err, text)
	}
	b.must("DeleteFlowLogs", `{"FlowLogIds":["all"]}`)
	if after, err := os.ReadFile(file); err != nil || len(after) < len(text) {
		t.Errorf("the file did not stay: %v", err)
	}
}

func TestFlowLogs_WatchOneInterfaceAndRejects(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	to := b.Model().InstanceInterfaces(b.instance("b").ID)[0]
	eni, rejects := filepath.Join(t.TempDir(), "eni"), filepath.Join(t.TempDir(), "rejects")
	b.must("CreateFlowLogs", createFlowLog("eni", "NetworkInterface", string(to.ID), `,"LogDestination":"`+eni+`"`))
	b.must("CreateFlowLogs", strings.Replace(createFlowLog("rejects", "Subnet", "s", `,"LogDestination":"`+rejects+`"`), "ALL", "REJECT", 1))
	b.synFrom(1)
	b.records(eni, "1 1 ACCEPT ingress")
	b.must("RevokeSecurityGroupIngress", `{"GroupId":"`+string(to.Groups[0])+`","IpPermissions":[{"IpProtocol":"-1","UserIdGroupPairs":[{"GroupId":"`+string(to.Groups[0])+`"}]}]}`)
	b.synFrom(2)
	b.records(eni, "1 1 ACCEPT ingress", "2 1 REJECT ingress")
	b.records(rejects, "2 1 REJECT ingress")
}

func TestFlowLogs_BucketHasAWSsFolders(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	b.must("CreateFlowLogs", createFlowLog("s3", "Subnet", "s", `,"LogDestinationType":"s3","LogDestination":"arn:aws:s3:::bucket/my/logs/"`))
	b.synFrom(1)
	l := b.flowLogNamed("s3")
	var files []string
	b.eventually("a file", func() bool {
		var err error
		files, err = b.logs.files.list(l)
		return err == nil && len(files) > 0 && len(counted(files[0])) > 0
	})
	rel, err := filepath.Rel(b.cfg.StateDir, files[0])
	if ok, _ := filepath.Match("flow-logs/bucket/my/logs/AWSLogs/123456789012/vpcflowlogs/us-east-1/*/*/*/123456789012_vpcflowlogs_us-east-1_"+string(l.ID)+"_*T*Z.log", rel); err != nil || !ok {
		t.Errorf("%s, %v", rel, err)
	}
}

func TestFlowLogs_WhatCannotBeWrittenIsToldAndGoesOnLater(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	dir := filepath.Join(t.TempDir(), "not", "there")
	file := filepath.Join(dir, "flows")
	b.must("CreateFlowLogs", createFlowLog("all", "VPC", "v", `,"LogDestination":"`+file+`"`))
	b.synFrom(1)
	notes := func() string {
		lab, err := b.Lab(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(lab.Notes, "\n")
	}
	b.eventually("a note", func() bool { return strings.Contains(notes(), "flow log all: its records are lost: open "+file) })
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b.eventually("records", func() bool { b.synFrom(2); return len(counted(file)) > 0 })
	b.eventually("no note", func() bool { return !strings.Contains(notes(), "flow log") })
}

// stream collects what FlowLogs sends until it ends.
func (b *bench) stream(ctx context.Context, req control.FlowLogsRequest) (string, *control.FlowLogsResult, error) {
	var text strings.Builder
	r, err := b.FlowLogs(ctx, req, func(s string) { text.WriteString(s) })
	return text.String(), r, err
}

func TestFlowLogs_AreShown(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	if _, _, err := b.stream(t.Context(), control.FlowLogsRequest{}); err == nil || !strings.Contains(err.Error(), "the lab has no flow log") {
		t.Errorf("got %v", err)
	}
	b.must("CreateFlowLogs", strings.Replace(createFlowLog("slow", "VPC", "v", `,"LogGroupName":"g"`), `Interval":1`, `Interval":600`, 1))
	if text, r, err := b.stream(t.Context(), control.FlowLogsRequest{}); err != nil || text != "" && text != "srcport packets action flow-direction\n" || !strings.Contains(r.Note, "flow log slow has no records yet") {
		t.Errorf("%q, %+v, %v", text, r, err)
	}
	b.must("CreateFlowLogs", createFlowLog("all", "VPC", "v", `,"LogGroupName":"h"`))
	if _, _, err := b.stream(t.Context(), control.FlowLogsRequest{}); err == nil || err.Error() != "there are several flow logs: say which: all, slow" {
		t.Errorf("got %v", err)
	}
	if _, _, err := b.stream(t.Context(), control.FlowLogsRequest{FlowLog: "some"}); err == nil || err.Error() != "no flow log some; there are: all, slow" {
		t.Errorf("got %v", err)
	}
	// Followed, records come as they are written, until the log is deleted.
	lines := make(chan string, 1000)
	ended := make(chan error, 1)
	go func() {
		_, err := b.FlowLogs(t.Context(), control.FlowLogsRequest{FlowLog: "all", Follow: true}, func(s string) { lines <- s })
		ended <- err
	}()
	b.synFrom(1)
	var text string
	b.eventually("a record", func() bool {
		select {
		case s := <-lines:
			text += s
		default:
		}
		return strings.Contains(text, "1 1 ACCEPT ingress\n")
	})
	if !strings.HasPrefix(text, "srcport packets action flow-direction\n") {
		t.Errorf("got %q", text)
	}
	b.must("DeleteFlowLogs", `{"FlowLogIds":["all"]}`)
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(limit):
		t.Error("the flow log is gone, and is still followed")
	}
}

func TestFlowLogs_OnTheSpot(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	for on, want := range map[string]string{"far": "has no network interface", "nobody": "nobody"} {
		if _, _, err := b.stream(t.Context(), control.FlowLogsRequest{On: on}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", on, err)
		}
	}
	for _, bad := range []control.FlowLogsRequest{{On: "a", Format: "colour"}, {On: "a", TrafficType: "x"}, {On: "a", Interval: time.Millisecond}, {On: "a", Interval: time.Hour}} {
		if _, _, err := b.stream(t.Context(), bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	lines := make(chan string, 1000)
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := b.FlowLogs(ctx, control.FlowLogsRequest{On: "b", Format: "srcport packets flow-direction", Interval: time.Second}, func(s string) { lines <- s })
		ended <- err
	}()
	if got := <-lines; got != "srcport packets flow-direction\n" {
		t.Errorf("header %q", got)
	}
	b.synFrom(7)
	b.eventually("a record", func() bool { return strings.Contains(<-lines, "7 1 ingress\n") })
	leave()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	// With a duration it ends by itself, with what there is.
	go func() {
		_, err := b.FlowLogs(t.Context(), control.FlowLogsRequest{On: "v", Format: "srcport", Interval: 10 * time.Minute, Duration: time.Second}, func(s string) { lines <- s })
		ended <- err
		close(lines)
	}()
	for s := range lines {
		if s == "srcport\n" {
			b.synFrom(8)
		} else if s != "8\n8\n" && s != "- - -\n" {
			t.Errorf("got %q", s)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// An instance that comes while the log runs is logged, too, and one that goes was.
func TestFlowLogs_FollowTheModel(t *testing.T) {
	b := newBench(t)
	b.mustUp(strings.Replace(twoInstances, "  b: {subnet: s}\n", "", 1))
	file := filepath.Join(t.TempDir(), "flows")
	b.must("CreateFlowLogs", createFlowLog("all", "VPC", "v", `,"LogDestination":"`+file+`"`))
	b.mustUp(twoInstances)
	b.synFrom(1)
	b.must("TerminateInstances", `{"InstanceIds":["b"]}`)
	b.records(file, "1 1 ACCEPT egress", "1 1 ACCEPT ingress")
}

func TestFlowLogFiles_TouchNothingElse(t *testing.T) {
	dir := t.TempDir()
	format, err := record.Parse("${srcaddr}")
	if err != nil {
		t.Fatal(err)
	}
	foreign, link := filepath.Join(dir, "passwd"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(foreign, []byte("root:x:0:0\n"), 0o600), os.Symlink(foreign, link), os.Mkdir(filepath.Join(dir, "folder"), 0o700)); err != nil {
		t.Fatal(err)
	}
	files := flowLogFiles{dir}
	for _, path := range []string{foreign, link, filepath.Join(dir, "folder"), "/dev/null", filepath.Join(dir, "none", "x")} {
		if err := files.add(&vpc.FlowLog{LogDestination: path}, format, []byte("10.0.0.1\n"), time.Now()); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if text, err := os.ReadFile(foreign); err != nil || string(text) != "root:x:0:0\n" {
		t.Errorf("%q, %v", text, err)
	}
	// Another format is told by another header.
	own := &vpc.FlowLog{LogDestination: filepath.Join(dir, "own")}
	other, err := record.Parse("${dstaddr}")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*record.Format{format, format, other} {
		if err := files.add(own, f, []byte("10.0.0.1\n"), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(own.LogDestination); err != nil || string(text) != "srcaddr\n10.0.0.1\n10.0.0.1\ndstaddr\n10.0.0.1\n" {
		t.Errorf("%q, %v", text, err)
	}
	var shown strings.Builder
	tl := tail{lines: func(s string) { shown.WriteString(s) }, at: map[string]int64{}}
	if err := tl.read(own.LogDestination); err != nil || shown.String() != "srcaddr\n10.0.0.1\n10.0.0.1\ndstaddr\n10.0.0.1\n" || tl.records != 3 {
		t.Errorf("%q, %d, %v", shown.String(), tl.records, err)
	}
}
