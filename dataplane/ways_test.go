package dataplane_test

import (
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// The tuples of a known flow's steps are those of all stages in each interval.
func TestMeter_StepsInEveryInterval(t *testing.T) {
	b := newBook(t).applied()
	m := b.Engine.Meter(time.Hour, 1)
	defer m.Close()
	pkt := UDP(laptopIP+":4000", webEIP+":22", 10)
	want := b.laptop.Trace(pkt)
	for i := range 4 {
		for range 3 {
			b.laptop.Send(pkt).Want(At("web"))
		}
		for _, f := range read(b, m).Flows {
			if got := dataplane.Text(f.Steps()); got != want {
				t.Errorf("interval %d:\n%swant\n%s", i, got, want)
			}
		}
	}
}

func TestMeter_HasAnswersAndNoFrames(t *testing.T) {
	b, web, two := tapLab(t)
	m := b.Engine.Meter(time.Hour, 1)
	defer m.Close()
	web.SendFrame(arpFrame(web, 1, webIP, two.Addrs[0].String())).Want(Ended(dataplane.ARPAnswered))
	none(b, m, "a frame")
	web.Send(DF(UDP(webIP+":1", serverIP+":9", 3000))).Want(Answered(dataplane.PacketTooBig, "web"))
	web.Send(UDP(webIP+":1", dbIP+":9", 30)).Want(At("db"))
	if r := read(b, m); len(r.Flows) != 2 || !r.Flows[0].Answered || r.Flows[1].Answered {
		t.Errorf("%+v", r)
	}
}

// A tap is asked about ways that another one before it did not want.
func TestTap_IsAskedAboutWaysThatAreKnown(t *testing.T) {
	b := newBook(t).applied()
	drops := tap(t, b, dataplane.TapConfig{Want: func(w *dataplane.Way) bool { return w.Reason().Dropped() }})
	pkt := UDP(webIP+":1", dbIP+":2", 10)
	for range 2 {
		b.web.Send(pkt).Want(At("db"))
	}
	drops.Close()
	all := tap(t, b, dataplane.TapConfig{})
	b.web.Send(pkt).Want(At("db"))
	if n := len(take(t, all)); n != 1 {
		t.Errorf("%d taken", n)
	}
}

// In detail, what a port refused ends once.
func TestTap_StepsOfWhatAPortRefused(t *testing.T) {
	b := newBook(t).applied()
	tp := tap(t, b, dataplane.TapConfig{Detail: func(*dataplane.Way) bool { return true }})
	b.db.Port.FailWrites = true
	for range 2 {
		b.web.Send(UDP(webIP+":1", dbIP+":2", 10)).Want(Dropped(dataplane.PortWriteFailed))
	}
	for _, p := range take(t, tp) {
		steps := p.Steps
		for i := range steps {
			steps[i].Tuple = packet.Tuple{}
		}
		if got, want := dataplane.Text(steps), dataplane.Text(p.Way.Steps()); got != want || p.Way.Reason() != dataplane.PortWriteFailed {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
}

func TestTap_FramesPaddingAndDHCP(t *testing.T) {
	b, web, two := tapLab(t)
	tp := tap(t, b, dataplane.TapConfig{})
	pkt := UDP(webIP+":1", dbIP+":2", 4)
	for range 2 { // by the stages, by the cache
		web.SendFrame(Frame(web.RouterMAC(), web.MAC(), 0x0800, append(append([]byte(nil), pkt...), make([]byte, 14)...))).Want(At("db"))
	}
	web.SendFrame(arpFrame(web, 1, webIP, two.Addrs[0].String())).Want(Ended(dataplane.ARPAnswered))
	web.SendFrame(Frame(broadcast, web.MAC(), 0x0800, dhcpPacket("0.0.0.0", "255.255.255.255", clientMessage(t, web, dhcpv4.MessageTypeDiscover))))
	got := take(t, tp)
	if len(got) != 3 || string(got[0].Sent) != string(pkt) || string(got[1].Sent) != string(pkt) || got[0].SentLen != len(pkt) {
		t.Fatalf("%d taken: %+v", len(got), got)
	}
	if h := Parse(got[2].Answer); got[2].Way.Reason() != dataplane.DHCPServed || h.SrcPort != 67 {
		t.Errorf("DHCP: %+v", got[2])
	}
}

// A flow of the cache goes where its own way leads, also when it was made by the packet
// that opened the connection; and packets that one rule lets pass may be tracked or not.
func TestWaysOfWhatFollows(t *testing.T) {
	b := newBook(t)
	b.db.Groups = []*Group{b.Group("db", In("all", "", "172.30.0.0/16"))}
	two := b.private.ENI("two", "172.30.1.30", b.open)
	b.Apply()
	gre := Proto(47, webIP, dbIP)
	for range 3 {
		b.web.Send(UDP(webIP+":1", "172.30.1.30:9", 10)).Want(At(two.Port.Name))
		for _, c := range []struct {
			pkt         []byte
			out, in     bool // tracked, once it is open
			description string
		}{
			{UDP(webIP+":1", dbIP+":2", 10), false, true, "udp"},
			{gre, true, true, "gre"},
		} {
			b.web.Send(c.pkt).Want(At("db"))
			for range 2 {
				r := b.web.Send(c.pkt).Want(At("db"))
				for _, s := range r.Event.Way.Steps() {
					if s.Stage == dataplane.StageSGEgress && s.Rule.Tracked != c.out || s.Stage == dataplane.StageSGIngress && s.Rule.Tracked != c.in {
						t.Errorf("%s: %s", c.description, s)
					}
				}
			}
		}
	}
}

// Steps say in whose way they lie, also where all else of them is the same.
func TestWaysTellInterfacesOfASubnetApart(t *testing.T) {
	b := newBook(t)
	two := b.private.ENI("two", "172.30.1.30", b.open)
	b.Apply()
	for range 2 {
		for to, e := range map[string]*ENI{dbIP: b.db, "172.30.1.30": two} {
			r := b.web.Send(SYN(webIP+":1", to+":2")).Want(At(e.Port.Name))
			for _, s := range r.Event.Way.Steps() {
				if s.Stage >= dataplane.StageACLIngress && (s.At == nil || s.At.Handle != e.Handle) {
					t.Errorf("to %s: %s lies at %+v", e.Name, s.Stage, s.At)
				}
			}
		}
	}
}

func TestAccount_RoutesAndGatewaysThatDropped(t *testing.T) {
	b := newBook(t)
	withResolver(b)
	b.vpc.Edge = b.vpc.Table("edge", "172.30.0.0/24 eni:db")
	b.db.NoCheck = true
	b.private.Table.Routes = append(b.private.Table.Routes, "198.51.100.5/32 blackhole")
	b.Apply()
	b.db.Send(SYN(dbIP+":1", laptopIP+":2")).Want(Dropped(dataplane.BlackholeRoute))
	b.db.Send(TTL(UDP(dbIP+":1", serverIP+":9", 8), 1)).Want(Ended(dataplane.TTLExpired))
	b.web.Send(SYN(webIP+":1", serverIP+":2")).Want(Dropped(dataplane.IngressRedirection))
	b.db.Port.FailWrites = true
	b.vpc.SendServices(UDP("172.30.0.2:53", dbIP+":1", 9)).Want(Dropped(dataplane.PortWriteFailed))
	a := b.Engine.Account()
	if of(a, "rtb-private", "198.51.100.5/32", false) != 1 || of(a, "igw-book", "172.30.0.0/24", false) != 0 || of(a, "rtb-private", "0.0.0.0/0", false) != 1 {
		t.Errorf("routes: %+v", a.Rules)
	}
	if a.Gateways["nat-nat"].Packets != 0 || a.Gateways["igw-book"].Packets != 0 {
		t.Errorf("gateways that dropped: %+v", a.Gateways)
	}
	if n := a.Interfaces[b.db.Handle].Dropped[dataplane.PortWriteFailed].Packets; n != 1 {
		t.Errorf("%d of the resolver's dropped at db", n)
	}
}

// Reset forgets fragments, too.
func TestTracer_ResetForgetsFragments(t *testing.T) {
	b := newBook(t).applied()
	tr := b.Engine.Tracer()
	parts := Split(UDP(webIP+":1", dbIP+":2", 3000), 1500, 7)
	tr.Send(b.web.Handle, parts[0])
	if got := tr.Send(b.web.Handle, parts[1]).Reason; got != dataplane.Delivered {
		t.Errorf("the second fragment: %s", got)
	}
	tr.Reset()
	if got := tr.Send(b.web.Handle, parts[1]).Reason; got != dataplane.FragmentWithoutFirst {
		t.Errorf("without the first: %s", got)
	}
}
