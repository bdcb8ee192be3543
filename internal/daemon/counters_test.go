package daemon

import (
	"fmt"
	"testing"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// A packet that an instance sends through its queue is counted from the read to the
// verdict, and so is what the tables keep of it.
func TestCounters_TellOfPacketsAndTables(t *testing.T) {
	b := newBench(t)
	b.mustUp(twoInstances)
	m, a := b.Model(), b.instance("a")
	from, to := m.InstanceInterfaces(a.ID)[0], m.InstanceInterfaces(b.instance("b").ID)[0]
	in := b.m.running[string(a.ID)]
	tuple := packet.Tuple{Src: packet.AddrFrom(from.PrivateIps[0].PrivateIp), Dst: packet.AddrFrom(to.PrivateIps[0].PrivateIp), SrcPort: 1, DstPort: 2, Proto: packet.ProtoTCP}
	syn := packet.BuildTCP(make([]byte, 128), tuple, packet.FlagSYN, 1, 0, nil)
	if _, err := in.theirs[from.Handle].Write(syn); err != nil {
		t.Fatal(err)
	}
	var n *control.Counters
	b.eventually("the packet is counted", func() bool {
		var err error
		if n, err = b.Counters(t.Context()); err != nil {
			t.Fatal(err)
		}
		return n.Reads > 0 && n.Batches > 0
	})
	if n.Verdicts["DELIVERED"] != 1 || n.Bytes != 40 || n.Writes != 1 || n.Workers < 1 {
		t.Errorf("%+v", n)
	}
	if n.Stages["parse"] != 1 || n.Stages["sg-egress"] != 1 || n.Stages["deliver"] != 1 {
		t.Errorf("stages %v", n.Stages)
	}
	rules, interfaces := 0, 0
	for _, r := range n.Rules {
		if r.Packets == 1 && r.Bytes == 40 {
			rules++
		}
	}
	for _, i := range n.Interfaces {
		if i.ID == string(from.ID) && i.Sent.Packets == 1 && i.Received.Packets == 0 || i.ID == string(to.ID) && i.Received.Bytes == 40 {
			interfaces++
		}
	}
	if rules != 2 || interfaces != 2 { // out of the one group, into the other
		t.Errorf("%d rules and %d interfaces counted the packet: %+v %+v", rules, interfaces, n.Rules, n.Interfaces)
	}
	if got := fmt.Sprint(n.Connections.Entries, n.Connections.Made, n.Mappings.Made); got != "2 2 0" || n.Connections.Capacity < 1000 {
		t.Errorf("tables: %+v, %+v", n.Connections, n.Mappings)
	}
}
