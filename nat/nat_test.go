package nat

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/conntrack/tcpstate"
	"github.com/vpcemu/vpcemu/internal/packet"
)

const (
	fin = packet.FlagFIN
	syn = packet.FlagSYN
	rst = packet.FlagRST
	ack = packet.FlagACK
)

func addr(s string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(s)) }

var (
	inside  = addr("10.0.1.5")
	server  = addr("198.51.100.7")
	primary = addr("10.0.0.10")
	second  = addr("10.0.0.11")
)

func gateway(addrs ...packet.Addr) *Gateway { return &Gateway{Handle: 1, Addrs: addrs} }

func fromInside(proto uint8, sport, dport uint16) packet.Tuple {
	return packet.Tuple{Src: inside, Dst: server, SrcPort: sport, DstPort: dport, Proto: proto}
}

// reply is the tuple of the answer as it arrives at the gateway.
func reply(m Mapping) packet.Tuple {
	return packet.Tuple{Src: m.Dest, Dst: m.Outside, SrcPort: m.DestPort, DstPort: m.OutsidePort, Proto: m.Proto}
}

func memory(t testing.TB, capacity int) *Table {
	t.Helper()
	tab, err := OpenTable("", capacity)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tab.Close() })
	return tab
}

func commit(tab *Table, m Mapping, flags uint8, inbound bool, now int64) error {
	_, err := tab.Commit(m, flags, inbound, now)
	return err
}

// opened proposes and commits.
func opened(t testing.TB, tab *Table, gw *Gateway, tup packet.Tuple, flags uint8, now int64) Mapping {
	t.Helper()
	m, refusal := tab.Propose(gw, tup, now)
	if refusal != RefusedNone {
		t.Fatalf("%s: %s", tup, refusal)
	}
	if _, err := tab.Commit(m, flags, false, now); err != nil {
		t.Fatalf("%s: %v", tup, err)
	}
	return m
}

func TestNA02_SourceIsThePrivateAddressOfTheGateway(t *testing.T) {
	m := opened(t, memory(t, 10), gateway(primary), fromInside(packet.ProtoTCP, 40000, 443), syn, 0)
	if m.Outside != primary || m.Inside != inside || m.InsidePort != 40000 {
		t.Errorf("mapping %+v", m)
	}
}

func TestNA03_ProtocolsThatAreTranslated(t *testing.T) {
	v6 := packet.Tuple{Src: addr("2001:db8::1"), Dst: addr("2001:db8::2"), SrcPort: 1, DstPort: 2, Proto: packet.ProtoUDP}
	mixed := fromInside(packet.ProtoUDP, 1, 2)
	mixed.Src = addr("2001:db8::1")
	for _, tt := range []struct {
		name string
		tup  packet.Tuple
		want Refusal
	}{
		{"tcp", fromInside(packet.ProtoTCP, 1, 2), RefusedNone},
		{"udp", fromInside(packet.ProtoUDP, 1, 2), RefusedNone},
		{"icmp request", fromInside(packet.ProtoICMP, 7, 0), RefusedNone},
		{"icmp request of identifier 0", fromInside(packet.ProtoICMP, 0, 0), RefusedNone},
		{"icmp reply", fromInside(packet.ProtoICMP, 0, 7), RefusedProtocol},
		{"gre", fromInside(47, 0, 0), RefusedProtocol},
		{"sctp", fromInside(132, 0, 0), RefusedProtocol},
		{"icmpv6", fromInside(packet.ProtoICMPv6, 7, 0), RefusedProtocol},
		{"IPv6", v6, RefusedProtocol},
		{"IPv6 to IPv4", mixed, RefusedProtocol},
	} {
		if _, got := memory(t, 10).Propose(gateway(primary), tt.tup, 0); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestNA04_PortsAndDestination(t *testing.T) {
	tab, gw := memory(t, 100_000), gateway(primary)
	low, high := uint16(LastPort), uint16(FirstPort)
	for p := range uint16(20_000) {
		m := opened(t, tab, gw, fromInside(packet.ProtoUDP, p, 53), 0, 0)
		if m.OutsidePort < FirstPort {
			t.Fatalf("port %d", m.OutsidePort)
		}
		if m.Dest != server || m.DestPort != 53 {
			t.Fatalf("destination altered: %+v", m)
		}
		low, high = min(low, m.OutsidePort), max(high, m.OutsidePort)
	}
	// 20,000 random ones of 64,512 miss a hundred at the end once in 10^16 times.
	if low > FirstPort+100 || high < LastPort-100 {
		t.Errorf("ports are from %d to %d only", low, high)
	}
}

// fill takes n ports of one destination. The inside addresses differ.
func fill(t testing.TB, tab *Table, gw *Gateway, n int, now int64) []Mapping {
	t.Helper()
	all := make([]Mapping, n)
	for i := range all {
		all[i] = opened(t, tab, gw, filler(i), syn, now)
	}
	return all
}

func filler(i int) packet.Tuple {
	tup := fromInside(packet.ProtoTCP, uint16(i), 443)
	tup.Src[15] = byte(i >> 16)
	return tup
}

func TestNA05_FiftyFiveThousandToOneDestination(t *testing.T) {
	tab, gw := memory(t, 200_000), gateway(primary)
	seen := map[uint16]bool{}
	for _, m := range fill(t, tab, gw, ConnectionLimit, 0) {
		if seen[m.OutsidePort] {
			t.Fatalf("port %d was given twice", m.OutsidePort)
		}
		seen[m.OutsidePort] = true
	}
	one := int64(time.Second)
	if _, r := tab.Propose(gw, filler(ConnectionLimit), one); r != RefusedExhausted {
		t.Fatalf("connection 55,001: %v", r)
	}
	// Another destination port, address or protocol, and another gateway, have
	// their own 55,000.
	for name, change := range map[string]func(*packet.Tuple){
		"port":     func(tup *packet.Tuple) { tup.DstPort++ },
		"address":  func(tup *packet.Tuple) { tup.Dst[15]++ },
		"protocol": func(tup *packet.Tuple) { tup.Proto = packet.ProtoUDP },
	} {
		tup := filler(ConnectionLimit)
		change(&tup)
		opened(t, tab, gw, tup, syn, one)
		if m, ok := tab.Outbound(gw, tup, one); !ok || m.Outside != primary {
			t.Errorf("another %s: %+v, %v", name, m, ok)
		}
	}
	opened(t, tab, &Gateway{Handle: 2, Addrs: gw.Addrs}, filler(ConnectionLimit), syn, one)
	// Known connections go on.
	m, ok := tab.Outbound(gw, filler(0), one)
	if !ok || commit(tab, m, ack, false, one) != nil {
		t.Error("a known connection was refused")
	}
}

func TestNA05_ExpiredConnectionsGivePortsBack(t *testing.T) {
	tab, gw := memory(t, 60_000), gateway(primary)
	fill(t, tab, gw, ConnectionLimit, 0)
	// All but two thousand stay alive; nobody calls Expire.
	half := int64(200 * time.Second)
	for i := 2000; i < ConnectionLimit; i++ {
		m, ok := tab.Outbound(gw, filler(i), half)
		if !ok || commit(tab, m, ack, false, half) != nil {
			t.Fatalf("connection %d was lost", i)
		}
	}
	now := int64(350 * time.Second)
	for i := range 2000 {
		tup := filler(ConnectionLimit + i)
		var m Mapping
		r := RefusedExhausted
		// Each attempt looks at a bounded number of ports.
		for tries := 0; r == RefusedExhausted && tries < portCount/reclaimBudget+1; tries++ {
			m, r = tab.Propose(gw, tup, now)
		}
		if r != RefusedNone || commit(tab, m, syn, false, now) != nil {
			t.Fatalf("new connection %d: %v", i, r)
		}
	}
	if _, r := tab.Propose(gw, filler(2*ConnectionLimit), now); r != RefusedExhausted {
		t.Errorf("all alive again: %v", r)
	}
}

// TestNA05_ClosedConnectionsGivePortsBack: after a refusal nothing is looked
// for before something can have expired, but closing brings that forward.
func TestNA05_ClosedConnectionsGivePortsBack(t *testing.T) {
	tab, gw := memory(t, 60_000), gateway(primary)
	fill(t, tab, gw, ConnectionLimit, 0)
	if r := retry(tab, gw, int64(100*time.Second)); r != RefusedExhausted {
		t.Errorf("all alive: %v", r)
	}
	m, _ := tab.Outbound(gw, filler(77), 1)
	if _, err := tab.Commit(m, rst, true, int64(100*time.Second)); err != nil {
		t.Fatal(err)
	}
	if r := retry(tab, gw, int64(160*time.Second)-1); r != RefusedExhausted {
		t.Errorf("before the closed one expires: %v", r)
	}
	if r := retry(tab, gw, int64(160*time.Second)); r != RefusedNone {
		t.Errorf("when the closed one has expired: %v", r)
	}
}

// TestNA05_RefreshedConnectionsExpireLater: a search that found all alive is
// not repeated before the first of them can have expired, but then it is.
func TestNA05_RefreshedConnectionsExpireLater(t *testing.T) {
	tab, gw := memory(t, 60_000), gateway(primary)
	fill(t, tab, gw, ConnectionLimit, 0)
	for i := range ConnectionLimit {
		now := int64(10 * time.Second)
		if i != 77 {
			now = int64(20 * time.Second)
		}
		m, _ := tab.Outbound(gw, filler(i), now)
		if _, err := tab.Commit(m, ack, false, now); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []time.Duration{350, 359} {
		if r := retry(tab, gw, int64(s*time.Second)); r != RefusedExhausted {
			t.Errorf("after %d s: %v", s, r)
		}
	}
	if r := retry(tab, gw, int64(360*time.Second)); r != RefusedNone {
		t.Errorf("after 360 s: %v", r)
	}
}

// retry proposes until all ports have been looked at.
func retry(tab *Table, gw *Gateway, now int64) (r Refusal) {
	for range portCount/reclaimBudget + 1 {
		if _, r = tab.Propose(gw, filler(ConnectionLimit), now); r == RefusedNone {
			break
		}
	}
	return r
}

func TestNA05_SpillsOverToTheNextAddress(t *testing.T) {
	tab, gw := memory(t, 200_000), gateway(primary, second)
	for i, m := range fill(t, tab, gw, 2*ConnectionLimit, 0) {
		if want := gw.Addrs[i/ConnectionLimit]; m.Outside != want {
			t.Fatalf("connection %d has address %s, want %s", i, m.Outside, want)
		}
	}
	if _, r := tab.Propose(gw, filler(2*ConnectionLimit), 1); r != RefusedExhausted {
		t.Errorf("connection 110,001: %v", r)
	}
}

func TestNA06_OnePortServesManyDestinations(t *testing.T) {
	tab, gw := memory(t, 10), gateway(primary)
	a := fromInside(packet.ProtoUDP, 5000, 53)
	b := a
	b.Dst[15]++
	ma := opened(t, tab, gw, a, 0, 0)
	mb, _ := tab.Propose(gw, b, 0)
	mb.OutsidePort = ma.OutsidePort
	if _, err := tab.Commit(mb, 0, false, 0); err != nil {
		t.Errorf("the same port for another destination: %v", err)
	}
	for _, m := range []Mapping{ma, mb} {
		if got, ok := tab.Inbound(1, reply(m), 1); !ok || got.Dest != m.Dest || got.Inside != inside {
			t.Errorf("reply from %s: %+v, %v", m.Dest, got, ok)
		}
	}
}

func TestNA06_NobodyElseGetsIn(t *testing.T) {
	tab, gw := memory(t, 10), gateway(primary)
	m := opened(t, tab, gw, fromInside(packet.ProtoUDP, 5000, 53), 0, 0)
	for name, change := range map[string]func(*packet.Tuple){
		"address":         func(tup *packet.Tuple) { tup.Src[15]++ },
		"port":            func(tup *packet.Tuple) { tup.SrcPort++ },
		"protocol":        func(tup *packet.Tuple) { tup.Proto = packet.ProtoTCP },
		"mapped port":     func(tup *packet.Tuple) { tup.DstPort++ },
		"gateway address": func(tup *packet.Tuple) { tup.Dst[15]++ },
	} {
		tup := reply(m)
		change(&tup)
		if got, ok := tab.Inbound(1, tup, 1); ok {
			t.Errorf("a packet with another %s got in: %+v", name, got)
		}
	}
	if _, ok := tab.Inbound(2, reply(m), 1); ok {
		t.Error("got in by another gateway")
	}
	if _, ok := tab.Inbound(1, reply(m), 1); !ok {
		t.Error("the reply did not get in")
	}
}

func TestNA07_IdleTimeout350s(t *testing.T) {
	const s = int64(time.Second)
	for _, tup := range []packet.Tuple{
		fromInside(packet.ProtoTCP, 40000, 443), fromInside(packet.ProtoUDP, 40000, 443), fromInside(packet.ProtoICMP, 7, 0),
	} {
		tab, gw := memory(t, 10), gateway(primary)
		m := opened(t, tab, gw, tup, ack, 0)
		lives := func(now int64, want bool) {
			t.Helper()
			o, out := tab.Outbound(gw, tup, now)
			i, in := tab.Inbound(1, reply(m), now)
			if out != want || in != want {
				t.Errorf("%s after %d s: outbound %v, inbound %v, want %v", tup, now/s, out, in, want)
			}
			if want && (o != i || now >= o.Deadline()) {
				t.Errorf("%s: outbound %+v, inbound %+v", tup, o, i)
			}
		}
		lives(350*s-1, true)
		lives(350*s, false)
		commit := func(inbound bool, now int64) {
			t.Helper()
			m, ok := tab.Inbound(1, reply(m), now)
			if !ok || commit(tab, m, ack, inbound, now) != nil {
				t.Fatalf("%s: lost at %d s", tup, now/s)
			}
		}
		commit(true, 349*s) // a packet from outside keeps it
		lives(698*s, true)
		commit(false, 698*s) // and one from inside
		lives(1047*s, true)
		lives(1048*s, false)
	}
}

func TestNA07_ExpiredFlowGetsANewMapping(t *testing.T) {
	tab, gw := memory(t, 1), gateway(primary)
	tup := fromInside(packet.ProtoTCP, 40000, 443)
	old := opened(t, tab, gw, tup, ack, 0)
	now := int64(351 * time.Second)
	m := opened(t, tab, gw, tup, syn, now)
	if _, ok := tab.Inbound(1, reply(m), now); !ok || tab.Len() != 1 {
		t.Errorf("found %v, %d mappings", ok, tab.Len())
	}
	if _, ok := tab.Inbound(1, reply(old), now); ok && old.OutsidePort != m.OutsidePort {
		t.Error("the old port still works")
	}
}

// TestNA07_LatePacketFromOutside: its mapping was live when it was looked up
// and has been swept since. It must not come back from outside.
func TestNA07_LatePacketFromOutside(t *testing.T) {
	tab, gw := memory(t, 10), gateway(primary)
	m := opened(t, tab, gw, fromInside(packet.ProtoUDP, 5000, 53), 0, 0)
	now := int64(351 * time.Second)
	tab.Expire(now, 100)
	if _, err := tab.Commit(m, 0, true, now-1); !errors.Is(err, ErrTaken) || tab.Len() != 0 {
		t.Errorf("%v, %d mappings", err, tab.Len())
	}
}

func TestNA07_TimeoutOfTheGateway(t *testing.T) {
	tab, gw := memory(t, 10), gateway(primary)
	gw.IdleTimeout = 90 * time.Second
	tup := fromInside(packet.ProtoUDP, 5000, 53)
	m := opened(t, tab, gw, tup, 0, 0)
	if _, ok := tab.Inbound(1, reply(m), int64(90*time.Second)); ok {
		t.Error("lives on after 90 s")
	}
	// A change is for the packets after it.
	gw = &Gateway{Handle: 1, Addrs: gw.Addrs, IdleTimeout: time.Hour}
	m, _ = tab.Outbound(gw, tup, 1)
	if _, err := tab.Commit(m, 0, false, 1); err != nil {
		t.Fatal(err)
	}
	if m, ok := tab.Inbound(1, reply(m), int64(time.Hour)); !ok || m.IdleTimeout != time.Hour {
		t.Errorf("%+v, %v", m, ok)
	}
}

func TestNA07_ClosedConnectionsEndSooner(t *testing.T) {
	tab, gw := memory(t, 10), gateway(primary)
	tup := fromInside(packet.ProtoTCP, 40000, 443)
	m := opened(t, tab, gw, tup, syn, 0)
	packet := func(flags uint8, inbound bool) {
		t.Helper()
		m, _ := tab.Outbound(gw, tup, 0)
		if _, err := tab.Commit(m, flags, inbound, 0); err != nil {
			t.Fatal(err)
		}
	}
	lives := func(phase tcpstate.Phase, d time.Duration) {
		t.Helper()
		m, ok := tab.Inbound(1, reply(m), int64(d)-1)
		if !ok || m.Phase != phase || m.Deadline() != int64(d) {
			t.Errorf("%+v, %v; want %s until %v", m, ok, phase, d)
		}
		if _, ok := tab.Inbound(1, reply(m), int64(d)); ok {
			t.Errorf("%s: still there after %v", phase, d)
		}
	}
	lives(tcpstate.Opening, DefaultIdleTimeout)
	packet(syn|ack, true)
	packet(ack, false)
	lives(tcpstate.Established, DefaultIdleTimeout)
	packet(fin|ack, true)
	lives(tcpstate.Established, DefaultIdleTimeout)
	packet(fin|ack, false)
	lives(tcpstate.Closing, ClosedTimeout)
	packet(syn, true)
	lives(tcpstate.Closing, ClosedTimeout) // NA-10: not from outside
	packet(syn, false)
	lives(tcpstate.Opening, DefaultIdleTimeout)
	packet(rst, true)
	lives(tcpstate.Closing, ClosedTimeout)
}

// TestNA10_SYNFromOutsideKeepsNothingAlive: a closed connection dies though
// somebody outside goes on asking for a new one.
func TestNA10_SYNFromOutsideKeepsNothingAlive(t *testing.T) {
	tab, gw := memory(t, 10), gateway(primary)
	m := opened(t, tab, gw, fromInside(packet.ProtoTCP, 40000, 443), rst, 0)
	for s := range int64(60) {
		m, ok := tab.Inbound(1, reply(m), s*1e9)
		if !ok || commit(tab, m, syn, true, s*1e9) != nil {
			t.Fatalf("gone after %d s", s)
		}
	}
	if _, ok := tab.Inbound(1, reply(m), 60e9); ok {
		t.Error("kept alive")
	}
}

func TestNA10_NothingListens(t *testing.T) {
	tab := memory(t, 10)
	tup := packet.Tuple{Src: server, Dst: primary, SrcPort: 50000, DstPort: 22, Proto: packet.ProtoTCP}
	if _, ok := tab.Inbound(1, tup, 0); ok {
		t.Error("an unsolicited packet got in")
	}
	tup = packet.Tuple{Src: server, Dst: primary, SrcPort: 7, Proto: packet.ProtoICMP}
	if _, ok := tab.Inbound(1, tup, 0); ok {
		t.Error("a ping got in")
	}
}

func TestNA13_ICMPErrorsFindTheirMapping(t *testing.T) {
	tab, gw := memory(t, 10), gateway(primary)
	for _, tup := range []packet.Tuple{fromInside(packet.ProtoUDP, 33434, 33435), fromInside(packet.ProtoICMP, 77, 0)} {
		m := opened(t, tab, gw, tup, 0, 0)
		sent := reply(m).Reverse() // what a router outside quotes
		if got, ok := tab.Inbound(1, sent.Reverse(), 1); !ok || got.Inside != inside || got.InsidePort != tup.SrcPort {
			t.Errorf("error from outside about %s: %+v, %v", sent, got, ok)
		}
		received := tup.Reverse() // what the inside host quotes
		if got, ok := tab.Outbound(gw, received.Reverse(), 1); !ok || got.OutsidePort != m.OutsidePort {
			t.Errorf("error from inside about %s: %+v, %v", received, got, ok)
		}
	}
}

func TestNA04_ICMPIdentifiersAreMapped(t *testing.T) {
	tab, gw := memory(t, 10), gateway(primary)
	a, b := fromInside(packet.ProtoICMP, 7, 0), fromInside(packet.ProtoICMP, 7, 0)
	b.Src[15]++ // two hosts ping with one identifier
	ma, mb := opened(t, tab, gw, a, 0, 0), opened(t, tab, gw, b, 0, 0)
	if ma.OutsidePort == mb.OutsidePort || ma.DestPort != 0 {
		t.Fatalf("mappings %+v and %+v", ma, mb)
	}
	for _, m := range []Mapping{ma, mb} {
		tup := packet.Tuple{Src: server, Dst: primary, DstPort: m.OutsidePort, Proto: packet.ProtoICMP}
		if got, ok := tab.Inbound(1, tup, 1); !ok || got.Inside != m.Inside || got.InsidePort != 7 {
			t.Errorf("reply to %d: %+v, %v", m.OutsidePort, got, ok)
		}
	}
}

func TestNA16_RemoveGateway(t *testing.T) {
	tab, gw, other := memory(t, 1000), gateway(primary), &Gateway{Handle: 2, Addrs: []packet.Addr{second}}
	for p := range uint16(100) {
		opened(t, tab, gw, fromInside(packet.ProtoUDP, p, 53), 0, 0)
		opened(t, tab, other, fromInside(packet.ProtoUDP, p, 53), 0, 0)
	}
	tab.RemoveGateway(1)
	n := 0
	tab.Mappings(func(m Mapping) bool {
		if m.Gateway != 2 {
			t.Errorf("left: %+v", m)
		}
		n++
		return true
	})
	if n != 100 || tab.Len() != 100 {
		t.Errorf("%d mappings listed, Len %d, want 100", n, tab.Len())
	}
	tab.Mappings(func(Mapping) bool { n++; return false })
	if n != 101 {
		t.Error("Mappings went on after false")
	}
}

func TestNA17_DrainingAddressServesOldConnectionsOnly(t *testing.T) {
	tab, gw := memory(t, 1000), gateway(second)
	old := fromInside(packet.ProtoTCP, 40000, 443)
	m := opened(t, tab, gw, old, syn, 0)
	draining := &Gateway{Handle: 1, Addrs: []packet.Addr{primary}, Draining: []packet.Addr{second}}
	if got, ok := tab.Outbound(draining, old, 1); !ok || got.Outside != second || commit(tab, got, ack, false, 1) != nil {
		t.Errorf("old connection: %+v, %v", got, ok)
	}
	if _, ok := tab.Inbound(1, reply(m), 1); !ok {
		t.Error("reply of the old connection does not get in")
	}
	for p := range uint16(100) {
		if m := opened(t, tab, draining, fromInside(packet.ProtoTCP, p, 443), syn, 1); m.Outside != primary {
			t.Fatalf("new connection has address %s", m.Outside)
		}
	}
	// Then the address goes.
	gone := gateway(primary)
	if _, ok := tab.Outbound(gone, old, 2); ok {
		t.Error("old connection goes on by an address that is gone")
	}
	if m := opened(t, tab, gone, old, syn, 2); m.Outside != primary {
		t.Errorf("opened again by %s", m.Outside)
	}
	tab.RemoveAddress(1, second)
	if tab.Len() != 101 {
		t.Errorf("%d mappings, want 101", tab.Len())
	}
	if _, r := tab.Propose(&Gateway{Handle: 1, Draining: gw.Addrs}, fromInside(packet.ProtoTCP, 1, 2), 3); r != RefusedExhausted {
		t.Errorf("with nothing but draining addresses: %v", r)
	}
}

func TestNA17_RemoveAddress(t *testing.T) {
	tab := memory(t, 100)
	a := opened(t, tab, gateway(primary), fromInside(packet.ProtoTCP, 1, 443), syn, 0)
	b := opened(t, tab, gateway(second), fromInside(packet.ProtoTCP, 2, 443), syn, 0)
	tab.RemoveAddress(1, second)
	_, okA := tab.Inbound(1, reply(a), 1)
	_, okB := tab.Inbound(1, reply(b), 1)
	if !okA || okB {
		t.Errorf("primary %v, removed %v", okA, okB)
	}
}

func TestFasterWorkerWins(t *testing.T) {
	tab, gw := memory(t, 10), gateway(primary)
	tup := fromInside(packet.ProtoTCP, 40000, 443)
	one, _ := tab.Propose(gw, tup, 0)
	two, _ := tab.Propose(gw, tup, 0)
	two.OutsidePort = one.OutsidePort ^ 1
	if _, err := tab.Commit(one, syn, false, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Commit(two, syn, false, 0); !errors.Is(err, ErrTaken) {
		t.Errorf("a second mapping of one flow: %v", err)
	}
	three, _ := tab.Propose(gw, fromInside(packet.ProtoTCP, 40001, 443), 0)
	three.OutsidePort = one.OutsidePort
	if _, err := tab.Commit(three, syn, false, 0); !errors.Is(err, ErrTaken) {
		t.Errorf("another flow with the same port: %v", err)
	}
	if _, err := tab.Commit(three, syn, false, int64(350*time.Second)); err != nil {
		t.Errorf("the same when the first has expired: %v", err)
	}
	if tab.Len() != 1 {
		t.Errorf("%d mappings", tab.Len())
	}
}

func TestFasterWorkerTakesTheLastPort(t *testing.T) {
	tab, gw := memory(t, 60_000), gateway(primary)
	fill(t, tab, gw, ConnectionLimit-1, 0)
	a, _ := tab.Propose(gw, filler(ConnectionLimit), 1)
	b, _ := tab.Propose(gw, filler(ConnectionLimit+1), 1)
	if _, err := tab.Commit(a, syn, false, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Commit(b, syn, false, 1); !errors.Is(err, ErrTaken) {
		t.Errorf("connection 55,001: %v", err)
	}
}

func TestFullTable(t *testing.T) {
	tab, gw := memory(t, 50), gateway(primary)
	last, _ := tab.Propose(gw, fromInside(packet.ProtoUDP, 999, 53), 0)
	for p := range uint16(50) {
		opened(t, tab, gw, fromInside(packet.ProtoUDP, p, 53), 0, int64(p))
	}
	if _, err := tab.Commit(last, 0, false, 100); !errors.Is(err, ErrFull) {
		t.Errorf("commit: %v", err)
	}
	if _, r := tab.Propose(gw, fromInside(packet.ProtoUDP, 999, 53), 100); r != RefusedFull {
		t.Errorf("propose: %v", r)
	}
	// The oldest expires, and gives its place without Expire being called.
	now := int64(350 * time.Second)
	if _, err := tab.Commit(last, 0, false, now); err != nil {
		t.Errorf("commit over an expired one: %v", err)
	}
	opened(t, tab, gw, fromInside(packet.ProtoUDP, 1000, 53), 0, now+1)
	if tab.Len() != 50 {
		t.Errorf("%d mappings", tab.Len())
	}
}

func TestExpireLooksAtItsBudget(t *testing.T) {
	tab, gw := memory(t, 1000), gateway(primary)
	for p := range uint16(1000) {
		opened(t, tab, gw, fromInside(packet.ProtoUDP, p, p), 0, 0)
	}
	now := int64(time.Hour)
	if n := tab.Expire(now, 100); n > 100 || n == 0 {
		t.Errorf("removed %d with a budget of 100", n)
	}
	for range 1000 {
		tab.Expire(now, 100)
	}
	if tab.Len() != 0 || tab.pools.Len() != 0 {
		t.Errorf("%d mappings and %d pools left", tab.Len(), tab.pools.Len())
	}
	if n := tab.Expire(now, 0) + tab.Expire(now, -1) + memory(t, 5).Expire(now, 10); n != 0 {
		t.Errorf("removed %d from nothing", n)
	}
}

func TestOneToOne(t *testing.T) {
	a, b := addr("10.0.0.1"), addr("10.0.0.2")
	x, y := addr("203.0.113.1"), addr("203.0.113.2")
	o := NewOneToOne([]Pair{{a, x}, {b, y}, {a, y}, {addr("10.0.0.3"), x}})
	for private, public := range map[packet.Addr]packet.Addr{a: x, b: y} {
		if got, ok := o.Public(private); !ok || got != public {
			t.Errorf("public of %s: %s, %v", private, got, ok)
		}
		if got, ok := o.Private(public); !ok || got != private {
			t.Errorf("private of %s: %s, %v", public, got, ok)
		}
	}
	if _, ok := o.Public(addr("10.0.0.3")); ok {
		t.Error("a second private address has a public one that is taken")
	}
	if _, ok := o.Private(addr("203.0.113.9")); ok {
		t.Error("a public address of nobody is translated")
	}
	var none *OneToOne
	if _, ok := none.Public(a); ok {
		t.Error("nil translates")
	}
	if _, ok := none.Private(x); ok {
		t.Error("nil translates back")
	}
}

func TestRefusalStrings(t *testing.T) {
	for r := RefusedNone; r <= RefusedFull+1; r++ {
		if r.String() == "" {
			t.Errorf("refusal %d has no text", r)
		}
	}
}
