package daemon

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket/pcapgo"

	"github.com/vpcemu/vpcemu/internal/capture"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// stream keeps what is written, and tells of the first write.
type stream struct {
	began chan struct{}
	once  sync.Once
	bytes.Buffer
}

func (s *stream) Write(p []byte) (int, error) {
	n, err := s.Buffer.Write(p)
	s.once.Do(func() { close(s.began) })
	return n, err
}

// capturing runs a capture while do sends packets, and returns the names of the
// interfaces that saw them, in order.
func (b *bench) capturing(req control.CaptureRequest, do func()) (names []string, end control.CaptureEnd) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	out := &stream{began: make(chan struct{})}
	done := make(chan error, 1)
	go func() {
		var err error
		end, err = b.Capture(ctx, req, out)
		done <- err
	}()
	<-out.began
	do()
	if req.Count == 0 {
		cancel()
	}
	if err := <-done; err != nil {
		b.t.Fatal(err)
	}
	cancel()
	r, err := pcapgo.NewNgReader(bytes.NewReader(out.Bytes()), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		b.t.Fatal(err)
	}
	for range end.Packets {
		_, ci, err := r.ReadPacketData()
		if err != nil {
			b.t.Fatal(err)
		}
		i, err := r.Interface(ci.InterfaceIndex)
		if err != nil {
			b.t.Fatal(err)
		}
		names = append(names, i.Name)
	}
	return names, end
}

// send sends a SYN from an instance to an address through its queue.
func (b *bench) send(from, to string) {
	b.t.Helper()
	i := b.instance(from)
	e := b.Model().InstanceInterfaces(i.ID)[0]
	dst := b.Model().InstanceInterfaces(b.instance(to).ID)[0]
	tuple := packet.Tuple{Src: packet.AddrFrom(e.PrivateIps[0].PrivateIp), Dst: packet.AddrFrom(dst.PrivateIps[0].PrivateIp), SrcPort: 1, DstPort: 80, Proto: packet.ProtoTCP}
	syn := packet.BuildTCP(nil, tuple, packet.FlagSYN, 1, 0, nil)
	if _, err := b.m.running[string(i.ID)].theirs[e.Handle].Write(syn); err != nil {
		b.t.Fatal(err)
	}
}

func TestCapture_IsOfThePlacesNamed(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	portIs := func(n uint32) [][4]uint32 { // tcp dst port n, of packets without options
		return [][4]uint32{{0x28, 0, 0, 22}, {0x15, 0, 1, n}, {6, 0, 0, 1 << 18}, {6, 0, 0, 0}}
	}
	for _, c := range []struct {
		req  control.CaptureRequest
		want []string
	}{
		{control.CaptureRequest{Count: 2}, []string{"a", "b"}},
		{control.CaptureRequest{On: []string{"a"}, Count: 1}, []string{"a"}},
		{control.CaptureRequest{On: []string{"b"}, Count: 1, NAT: "after"}, []string{"b"}},
		{control.CaptureRequest{On: []string{"b", "a"}, Count: 2, Filter: portIs(80)}, []string{"a", "b"}},
	} {
		names, end := b.capturing(c.req, func() { b.send("a", "b") })
		if diff := cmp.Diff(c.want, names); diff != "" || end.Skipped != 0 {
			t.Errorf("%+v: %s, %+v", c.req, diff, end)
		}
	}
	for _, req := range []control.CaptureRequest{{Filter: portIs(81)}, {DropsOnly: true}} {
		if names, end := b.capturing(req, func() { b.send("a", "b") }); names != nil || end.Packets != 0 {
			t.Errorf("%+v: %v", req, names)
		}
	}
}

func TestCapture_RefusesWhatIsWrong(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	for want, req := range map[string]control.CaptureRequest{
		"nobody: nothing in the lab": {On: []string{"a", "nobody"}},
		"before, after or both":      {NAT: "during"},
		"filter: program":            {Filter: [][4]uint32{{0x30, 0, 0, 0}}},
		"not a classic BPF program":  {Filter: [][4]uint32{{0xffff, 0, 0, 0}}},
	} {
		var out bytes.Buffer
		if _, err := b.Capture(t.Context(), req, &out); err == nil || !strings.Contains(err.Error(), want) || out.Len() != 0 {
			t.Errorf("%+v: %v, want %s; %d bytes written", req, err, want, out.Len())
		}
	}
}

// A name goes on meaning what it did when its object is gone, and comes to mean what
// joins it.
func TestSelectorFollowsTheModel(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	m := b.Model()
	s := &selector{model: func() *vpc.Model { return m }, on: []string{"a"}}
	if err := s.first(); err != nil {
		t.Fatal(err)
	}
	handle := b.Model().InstanceInterfaces(b.instance("a").ID)[0].Handle
	want := &capture.Selection{Handles: map[uint32]bool{handle: true}, Gateways: map[string]bool{}}
	if diff := cmp.Diff(want, s.now()); diff != "" {
		t.Error(diff)
	}
	m = &vpc.Model{} // everything is gone
	if diff := cmp.Diff(want, s.now()); diff != "" {
		t.Error(diff)
	}
	more := b.Model().Clone()
	e := *more.InstanceInterfaces(b.instance("b").ID)[0]
	e.Attachment = &vpc.Attachment{InstanceID: b.instance("a").ID, DeviceIndex: 1}
	more.NetworkInterfaces.Put(e.ID, &e)
	m, want.Handles[e.Handle] = &more, true
	if diff := cmp.Diff(want, s.now()); diff != "" {
		t.Error(diff)
	}
}

func TestCommandLineOfACapture(t *testing.T) {
	got := commandLine(control.CaptureRequest{On: []string{"web", "db"}, DropsOnly: true, NAT: "after", Expression: "tcp port 80"})
	if want := "vpcemu capture web db --drops-only --nat after -- tcp port 80"; got != want {
		t.Error(got)
	}
	if got := fmt.Sprint(commandLine(control.CaptureRequest{NAT: "both"})); got != "vpcemu capture" {
		t.Error(got)
	}
}
