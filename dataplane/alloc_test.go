package dataplane_test

import (
	"testing"

	"github.com/vpcemu/vpcemu/dataplane"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// TestNoAllocationOnTheForwardingPath walks whole ways, tables and counters included.
func TestNoAllocationOnTheForwardingPath(t *testing.T) {
	b := newBook(t)
	web2 := b.public.ENI("web2", "172.30.0.11", b.open)
	tap := b.public.ENI("tap", "172.30.0.12", b.open).EIP(0, "203.0.113.12").TAP()
	b.db.Groups = []*Group{b.Group("db", In("all", "", "172.30.0.0/16"), Out("all", "", "0.0.0.0/0"))}
	for _, p := range []*Port{b.web.Port, web2.Port, b.db.Port, tap.Port, b.server.Port, b.laptop.Port} {
		p.Discard = true
	}
	b.Apply()
	for _, c := range []struct {
		name string
		from *Port
		pkt  []byte
	}{
		{"same subnet", b.web.Port, ACK(webIP+":1000", "172.30.0.11:80")},
		{"cross subnet", b.web.Port, ACK(webIP+":1000", dbIP+":80")},
		{"NAT", b.db.Port, SYN(dbIP+":1000", serverIP+":80")},
		{"NAT reset", b.db.Port, ACK(dbIP+":2000", serverIP+":80")},
		{"IGW out", b.web.Port, ACK(webIP+":1000", serverIP+":80")},
		{"IGW in", b.laptop.Port, ACK(laptopIP+":1000", webEIP+":80")},
		{"TAP out", tap.Port, Frame(tap.RouterMAC(), tap.MAC(), 0x0800, ACK("172.30.0.12:1000", serverIP+":80"))},
		{"TAP in", b.web.Port, ACK(webIP+":1000", "172.30.0.12:80")},
		{"fragments", b.web.Port, UDP(webIP+":1000", serverIP+":80", 4000)},
		{"too big", b.web.Port, DF(UDP(webIP+":1000", serverIP+":80", 4000))},
		{"dropped", b.laptop.Port, ACK(laptopIP+":1000", natEIP+":80")},
	} {
		t.Run(c.name, func(t *testing.T) {
			walk := b.Engine.Walker(c.from)
			walk(c.pkt)
			if n := testing.AllocsPerRun(200, func() { walk(c.pkt) }); n != 0 {
				t.Errorf("%v allocations a packet", n)
			}
		})
	}
}

func BenchmarkWalk(bm *testing.B) {
	b := newBook(bm)
	for _, p := range []*Port{b.web.Port, b.db.Port, b.server.Port} {
		p.Discard = true
	}
	b.db.Groups = []*Group{b.Group("db", In("all", "", "172.30.0.0/16"), Out("all", "", "0.0.0.0/0"))}
	b.Apply()
	for _, c := range []struct {
		name string
		from *Port
		pkt  []byte
	}{
		{"cross-subnet", b.web.Port, ACK(webIP+":1000", dbIP+":80")},
		{"nat", b.db.Port, SYN(dbIP+":1000", serverIP+":80")},
		{"igw", b.web.Port, ACK(webIP+":1000", serverIP+":80")},
	} {
		bm.Run(c.name, func(bm *testing.B) {
			walk := b.Engine.Walker(c.from)
			bm.ReportAllocs()
			for bm.Loop() {
				walk(c.pkt)
			}
		})
	}
}

var _ dataplane.Port = (*Port)(nil)
