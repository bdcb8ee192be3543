package daemon

import (
	"strings"
	"sync"
	"testing"

	"github.com/vpcemu/vpcemu/internal/control"
)

// A trace sees what the last operation did, makes no packet, and leaves nothing behind.
func TestTrace_SeesTheLastChangeAndLeavesNothing(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	req := control.TraceRequest{From: "a", To: "b", Protocol: "tcp", Port: 22}
	tr, err := b.Trace(t.Context(), req)
	if err != nil || !tr.Reachable {
		t.Fatalf("%+v, %v", tr, err)
	}
	group := string(b.Model().InstanceInterfaces(b.instance("b").ID)[0].Groups[0])
	b.must("RevokeSecurityGroupEgress", `{"GroupId":"`+group+`","IpPermissions":[{"IpProtocol":"-1","IpRanges":[{"CidrIp":"0.0.0.0/0"}]}]}`)
	if tr, err = b.Trace(t.Context(), req); err != nil || tr.Reachable || tr.Reason != "SG_HAS_NO_RULES" {
		t.Fatalf("%+v, %v", tr, err)
	}
	x, err := b.Matrix(t.Context(), control.MatrixRequest{From: []string{"far"}, To: []string{"a"}})
	if err != nil || x.Cells[0][0].Summary() != "-" {
		t.Fatalf("%+v, %v", x, err)
	}
	b.must("StopInstances", `{"InstanceIds":["a"]}`)
	if _, err = b.Trace(t.Context(), req); err == nil || !strings.Contains(err.Error(), "instance a is stopped") {
		t.Fatalf("%v", err)
	}
	n, err := b.Counters(t.Context())
	if err != nil || n.Reads != 0 || len(n.Verdicts) != 0 || n.Connections.Made != 0 || n.Mappings.Made != 0 {
		t.Errorf("counted %+v, %v", n, err)
	}
}

// Traces and matrices are made while the lab changes.
func TestTrace_WhileTheLabChanges(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		defer close(done)
		for range 15 {
			b.must("StopInstances", `{"InstanceIds":["b"]}`)
			b.must("StartInstances", `{"InstanceIds":["b"]}`)
		}
	})
	for range 2 {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				tr, err := b.Trace(t.Context(), control.TraceRequest{From: "a", To: "b", Protocol: "tcp", Port: 22})
				if err != nil || !tr.Reachable && tr.Reason != "BAD_STATE_ATTACHMENT" {
					t.Errorf("%+v, %v", tr, err)
					return
				}
				if _, err := b.Matrix(t.Context(), control.MatrixRequest{}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}
