package conntrack

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/packet"
)

const (
	fin = packet.FlagFIN
	syn = packet.FlagSYN
	rst = packet.FlagRST
	ack = packet.FlagACK
)

const (
	out = true
	in  = false
)

func addr(s string) packet.Addr { return packet.AddrFrom(netip.MustParseAddr(s)) }

var (
	local  = addr("10.0.0.5")
	remote = addr("198.51.100.7")
)

// outTuple is a packet that leaves the ENI.
func outTuple(proto uint8, sport, dport uint16) packet.Tuple {
	return packet.Tuple{Src: local, Dst: remote, SrcPort: sport, DstPort: dport, Proto: proto}
}

func memory(t testing.TB, capacity int) *Table {
	t.Helper()
	tab, err := Open("", capacity)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tab.Close() })
	return tab
}

// script drives one connection: packets at seconds, and questions in between.
type script struct {
	t   *testing.T
	tab *Table
	k   Key
	to  *Timeouts
	now int64
}

func newScript(t *testing.T, proto uint8, sport, dport uint16) *script {
	return &script{t: t, tab: memory(t, 100), k: KeyOf(1, outTuple(proto, sport, dport), out), now: 1e12}
}

func (s *script) packet(outbound bool, flags uint8) *script {
	s.t.Helper()
	if _, err := s.tab.Observe(s.k, outbound, flags, 1, s.now, s.to); err != nil {
		s.t.Fatal(err)
	}
	return s
}

func (s *script) after(d time.Duration) *script { s.now += int64(d); return s }

// livesFor checks the state and that it ends after exactly d.
func (s *script) livesFor(state State, d time.Duration) *script {
	s.t.Helper()
	e, ok := s.tab.Lookup(s.k, s.now)
	if !ok || e.State != state || e.Deadline != s.now+int64(d) {
		s.t.Errorf("%v, found %v: lives for %v; want %v for %v", e.State, ok, time.Duration(e.Deadline-s.now), state, d)
	}
	if _, ok := s.tab.Lookup(s.k, s.now+int64(d)-1); !ok {
		s.t.Errorf("%v: gone before %v", state, d)
	}
	if _, ok := s.tab.Lookup(s.k, s.now+int64(d)); ok {
		s.t.Errorf("%v: still there after %v", state, d)
	}
	return s
}

func (s *script) hit(outbound bool, flags uint8) bool {
	e, ok := s.tab.Lookup(s.k, s.now)
	return ok && e.Hit(outbound, flags)
}

func TestCT01_RepliesHaveTheKeyOfTheRequest(t *testing.T) {
	for _, tt := range []struct {
		name string
		out  packet.Tuple
		same bool // ports count
	}{
		{"tcp", outTuple(packet.ProtoTCP, 40000, 443), true},
		{"udp", outTuple(packet.ProtoUDP, 40000, 53), true},
		{"icmp request out", outTuple(packet.ProtoICMP, 77, 0), true},
		{"icmp reply out", outTuple(packet.ProtoICMP, 0, 77), true},
		{"icmpv6", outTuple(packet.ProtoICMPv6, 77, 0), true},
		{"gre", outTuple(47, 0, 0), true},
	} {
		k := KeyOf(3, tt.out, out)
		if r := KeyOf(3, tt.out.Reverse(), in); r != k {
			t.Errorf("%s: key %+v, of its reply %+v", tt.name, k, r)
		}
		if other := KeyOf(4, tt.out, out); other == k {
			t.Errorf("%s: two ENIs share a key", tt.name)
		}
		if back := KeyOf(3, tt.out, in); back == k && tt.out.SrcPort != tt.out.DstPort {
			t.Errorf("%s: the same tuple in the other direction has the same key", tt.name)
		}
	}
}

func TestCT01_OtherProtocolsByAddressesAlone(t *testing.T) {
	a, b := outTuple(132, 1000, 2000), outTuple(132, 3000, 4000)
	if KeyOf(1, a, out) != KeyOf(1, b, out) {
		t.Error("ports count for a protocol other than TCP, UDP and ICMP")
	}
	if KeyOf(1, a, out) == KeyOf(1, outTuple(47, 0, 0), out) {
		t.Error("protocols share a key")
	}
}

func TestCT01_EachENIHasItsOwnEntry(t *testing.T) {
	tab := memory(t, 10)
	tup := outTuple(packet.ProtoTCP, 40000, 443)
	if _, err := tab.Observe(KeyOf(1, tup, out), out, syn, 1, 0, nil); err != nil {
		t.Fatal(err)
	}
	if _, ok := tab.Lookup(KeyOf(2, tup, in), 1); ok {
		t.Error("the receiving ENI has the sender's entry")
	}
}

func TestCT01_OtherProtocols600s(t *testing.T) {
	newScript(t, 47, 0, 0).packet(out, 0).livesFor(Other, 600*time.Second).
		after(599*time.Second).packet(in, 0).livesFor(Other, 600*time.Second)
}

func TestCT02_TCP(t *testing.T) {
	const days5 = 432000 * time.Second
	s := newScript(t, packet.ProtoTCP, 40000, 443)
	s.packet(out, syn).livesFor(TCPOpening, 120*time.Second)
	s.after(time.Second).packet(in, syn|ack).livesFor(TCPOpening, 120*time.Second)
	s.after(time.Second).packet(out, ack).livesFor(TCPEstablished, days5)
	s.after(days5-1).packet(in, ack).livesFor(TCPEstablished, days5)
	s.packet(in, fin|ack).livesFor(TCPEstablished, days5)
	s.packet(out, ack).livesFor(TCPEstablished, days5)
	s.packet(out, fin|ack).livesFor(TCPClosing, 60*time.Second)
	s.packet(in, ack).livesFor(TCPClosing, 60*time.Second)
}

func TestCT02_TCPReset(t *testing.T) {
	newScript(t, packet.ProtoTCP, 40000, 443).packet(out, syn).packet(in, syn|ack).packet(out, ack).
		packet(in, rst).livesFor(TCPClosing, 60*time.Second)
}

func TestCT02_TCPFirstSeenInTheMiddleIsEstablished(t *testing.T) {
	newScript(t, packet.ProtoTCP, 40000, 443).packet(in, ack).livesFor(TCPEstablished, 432000*time.Second)
}

func TestCT02_UDPBecomesAStreamAtTheSecondResponse(t *testing.T) {
	s := newScript(t, packet.ProtoUDP, 40000, 53)
	s.packet(out, 0).livesFor(UDP, 30*time.Second)
	s.packet(out, 0).packet(out, 0).livesFor(UDP, 30*time.Second)
	s.packet(in, 0).livesFor(UDP, 30*time.Second)
	s.packet(in, 0).livesFor(UDPStream, 180*time.Second)
	s.after(179*time.Second).packet(out, 0).livesFor(UDPStream, 180*time.Second)
}

func TestCT02_UDPOneRequestManyAnswersIsNoStream(t *testing.T) {
	newScript(t, packet.ProtoUDP, 40000, 53).packet(out, 0).packet(in, 0).packet(in, 0).packet(in, 0).
		livesFor(UDP, 30*time.Second)
}

// TestCT02_UDPReplyAfter31s is test vector 6 of the specification.
func TestCT02_UDPReplyAfter31s(t *testing.T) {
	s := newScript(t, packet.ProtoUDP, 40000, 53).packet(out, 0).after(29 * time.Second)
	if !s.hit(in, 0) {
		t.Error("reply after 29 s does not pass")
	}
	if s.after(2 * time.Second); s.hit(in, 0) {
		t.Error("reply after 31 s passes")
	}
}

func TestCT02_AnExpiredStreamStartsOver(t *testing.T) {
	s := newScript(t, packet.ProtoUDP, 40000, 53).packet(out, 0).packet(in, 0).packet(out, 0).packet(in, 0).
		livesFor(UDPStream, 180*time.Second).after(180 * time.Second)
	s.packet(in, 0).livesFor(UDP, 30*time.Second)
	if e, _ := s.tab.Lookup(s.k, s.now); e.Outbound || e.PacketsIn != 1 || e.PacketsOut != 0 {
		t.Errorf("entry was not started anew: %+v", e)
	}
}

func TestCT02_TimeoutsOfTheENI(t *testing.T) {
	s := newScript(t, packet.ProtoTCP, 40000, 443)
	s.to = &Timeouts{TCPEstablished: 350 * time.Second}
	s.packet(out, ack).livesFor(TCPEstablished, 350*time.Second)
	s.packet(out, rst).livesFor(TCPClosing, 60*time.Second) // not set: the default
	s.to = &Timeouts{TCPEstablished: 60 * time.Second}
	s.packet(out, ack).livesFor(TCPEstablished, 60*time.Second) // the RST was not the sender's
}

func TestCT02_Defaults(t *testing.T) {
	want := Timeouts{
		TCPEstablished: 432000 * time.Second, UDP: 30 * time.Second,
		UDPStream: 180 * time.Second, Other: 600 * time.Second,
	}
	got := DefaultTimeouts()
	got.TCPOpening, got.TCPClosing, got.ICMP = 0, 0, 0 // ours, not AWS's
	if got != want {
		t.Errorf("defaults %+v, want %+v", got, want)
	}
}

// TestCT03_OnlyWhatIsObservedIsTracked: an untracked flow is one that the
// caller never brings here, so asking leaves no trace.
func TestCT03_OnlyWhatIsObservedIsTracked(t *testing.T) {
	s := newScript(t, packet.ProtoTCP, 40000, 443)
	for range 3 {
		if s.hit(out, syn) {
			t.Error("found without having been observed")
		}
	}
	if s.tab.Len() != 0 {
		t.Errorf("%d entries made by Lookup", s.tab.Len())
	}
}

func TestCT04_ICMPEchoByIdentifier(t *testing.T) {
	s := newScript(t, packet.ProtoICMP, 77, 0).packet(out, 0).livesFor(ICMP, 30*time.Second)
	reply := outTuple(packet.ProtoICMP, 77, 0).Reverse()
	if e, ok := s.tab.Lookup(KeyOf(1, reply, in), s.now); !ok || !e.Hit(in, 0) {
		t.Error("the reply does not pass")
	}
	reply.DstPort = 78
	if _, ok := s.tab.Lookup(KeyOf(1, reply, in), s.now); ok {
		t.Error("a reply to another identifier passes")
	}
	request := outTuple(packet.ProtoICMP, 0, 77).Reverse() // the other side asks, same identifier
	if _, ok := s.tab.Lookup(KeyOf(1, request, in), s.now); ok {
		t.Error("a request passes as the answer to a request")
	}
}

func TestCT04_AnUnaskedReplyLetsNoRequestIn(t *testing.T) {
	s := newScript(t, packet.ProtoICMP, 0, 77).packet(out, 0) // a reply leaves, nobody asked
	if s.hit(in, 0) {
		t.Error("a request passes because of a reply")
	}
	if !s.hit(out, 0) {
		t.Error("another such reply does not pass")
	}
	s.packet(in, 0) // a rule lets the request in
	if e, _ := s.tab.Lookup(s.k, s.now); e.Outbound || !e.Hit(out, 0) || !e.Hit(in, 0) {
		t.Errorf("the request did not take the entry over: %+v", e)
	}
}

// TestCT05_AClosedConnectionOpensByTheRulesOnly: while the entry of a closed
// connection lingers, a SYN of either side is a new connection for the rules.
func TestCT05_AClosedConnectionOpensByTheRulesOnly(t *testing.T) {
	s := newScript(t, packet.ProtoTCP, 40000, 443)
	s.packet(out, syn).packet(in, syn|ack).packet(out, ack)
	if !s.hit(in, syn) || !s.hit(out, syn) {
		t.Error("a SYN within the connection does not pass")
	}
	s.packet(in, fin|ack).packet(out, fin|ack)
	if s.hit(in, syn) || s.hit(out, syn) {
		t.Error("a SYN after the end passes without a rule")
	}
	if !s.hit(in, ack) || !s.hit(out, fin|ack) || !s.hit(in, rst) {
		t.Error("the rest of the old connection does not pass")
	}
	s.packet(in, syn).livesFor(TCPOpening, 120*time.Second)
	e, _ := s.tab.Lookup(s.k, s.now)
	if e.Outbound || e.PacketsIn != 1 || e.PacketsOut != 0 {
		t.Errorf("opened again from the other side: %+v", e)
	}
	s.packet(out, syn|ack).packet(in, ack).livesFor(TCPEstablished, 432000*time.Second)
}

func TestCT07_FullEvictsNothingThatLives(t *testing.T) {
	const capacity = 1000
	tab := memory(t, capacity)
	key := func(port int) Key { return KeyOf(1, outTuple(packet.ProtoTCP, uint16(port), 443), out) }
	for p := range capacity {
		flags := uint8(ack)
		if p%2 == 0 {
			flags = syn
		}
		if _, err := tab.Observe(key(p), out, flags, 1, 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	now := int64(time.Second)
	if _, err := tab.Observe(key(capacity), out, syn, 1, now, nil); !errors.Is(err, ErrFull) {
		t.Fatalf("into a full table: %v", err)
	}
	if _, err := tab.Observe(key(1), out, ack, 1, now, nil); err != nil {
		t.Errorf("a packet of a known connection: %v", err)
	}
	// The half that never got beyond the SYN has expired: each insertion may
	// take one of their places, with nobody calling Expire.
	now = int64(121 * time.Second)
	for p := range capacity / 2 {
		if _, err := tab.Observe(key(capacity+p), out, ack, 1, now, nil); err != nil {
			t.Fatalf("insertion %d over expired entries: %v", p, err)
		}
	}
	if _, err := tab.Observe(key(2*capacity), out, syn, 1, now, nil); !errors.Is(err, ErrFull) {
		t.Errorf("full again: %v", err)
	}
	for p := 1; p < capacity; p += 2 {
		if _, ok := tab.Lookup(key(p), now); !ok {
			t.Fatalf("established connection %d was evicted", p)
		}
	}
}

func TestCT07_LimitPerENI(t *testing.T) {
	tab := memory(t, 100)
	tab.LimitPerENI(3)
	observe := func(eni uint32, port uint16, now int64) error {
		_, err := tab.Observe(KeyOf(eni, outTuple(packet.ProtoUDP, port, 53), out), out, 0, 1, now, nil)
		return err
	}
	for p := range uint16(3) {
		if err := observe(1, p, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := observe(1, 3, 1); !errors.Is(err, ErrFull) {
		t.Errorf("fourth entry: %v", err)
	}
	if err := observe(1, 2, 1); err != nil {
		t.Errorf("refreshing the third: %v", err)
	}
	if err := observe(2, 0, 1); err != nil {
		t.Errorf("another ENI: %v", err)
	}
	if err := observe(1, 3, int64(30*time.Second)); err != nil {
		t.Errorf("fourth entry when two have expired: %v", err)
	}
	tab.RemoveENI(1)
	for p := range uint16(3) {
		if err := observe(1, p, 2); err != nil {
			t.Errorf("entry %d after RemoveENI: %v", p, err)
		}
	}
	tab.LimitPerENI(0)
	if err := observe(1, 9, 2); err != nil {
		t.Errorf("without a limit: %v", err)
	}
}

func TestCT09_RelatedErrors(t *testing.T) {
	tab := memory(t, 10)
	sent := outTuple(packet.ProtoTCP, 40000, 443)
	if _, err := tab.Observe(KeyOf(1, sent, out), out, syn, 1, 0, nil); err != nil {
		t.Fatal(err)
	}
	if _, ok := tab.Related(1, sent, in, 1); !ok {
		t.Error("an error that comes in about a packet that went out is not related")
	}
	if _, ok := tab.Related(1, sent.Reverse(), out, 1); !ok {
		t.Error("an error that goes out about a packet that came in is not related")
	}
	if _, ok := tab.Related(1, sent, out, 1); ok {
		t.Error("an error about a packet that never came in is related")
	}
	other := sent
	other.DstPort++
	if _, ok := tab.Related(1, other, in, 1); ok {
		t.Error("an error about another connection is related")
	}
}

func TestExpireLooksAtItsBudget(t *testing.T) {
	tab := memory(t, 1000)
	for p := range uint16(1000) {
		if _, err := tab.Observe(KeyOf(1, outTuple(packet.ProtoUDP, p, 53), out), out, 0, 1, 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	now := int64(time.Hour)
	if n := tab.Expire(now, 100); n > 100 || n == 0 {
		t.Errorf("removed %d with a budget of 100", n)
	}
	for range 1000 {
		tab.Expire(now, 100)
	}
	if tab.Len() != 0 {
		t.Errorf("%d entries left", tab.Len())
	}
	if n := tab.Expire(now, 0) + tab.Expire(now, -1) + memory(t, 5).Expire(now, 10); n != 0 {
		t.Errorf("removed %d from nothing", n)
	}
}

func TestRemoveENI(t *testing.T) {
	tab := memory(t, 1000)
	for p := range uint16(500) {
		if _, err := tab.Observe(KeyOf(uint32(p%2), outTuple(packet.ProtoUDP, p, 53), out), out, 0, 1, 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	tab.RemoveENI(1)
	n := 0
	tab.Entries(func(k Key, e Entry) bool {
		if k.ENI == 1 {
			t.Errorf("entry left: %+v", k)
		}
		n++
		return true
	})
	if n != 250 || tab.Len() != 250 {
		t.Errorf("%d entries listed, Len %d, want 250", n, tab.Len())
	}
	tab.Entries(func(Key, Entry) bool { n++; return false })
	if n != 251 {
		t.Error("Entries went on after false")
	}
}

func TestPathDoesNotAllocate(t *testing.T) {
	tab := memory(t, 10)
	tup := outTuple(packet.ProtoTCP, 40000, 443)
	to := DefaultTimeouts()
	now := int64(0)
	n := testing.AllocsPerRun(100, func() {
		k := KeyOf(1, tup, out)
		if _, err := tab.Observe(k, out, ack, 1, now, &to); err != nil {
			t.Error(err)
		}
		if _, ok := tab.Lookup(k, now); !ok {
			t.Error("not found")
		}
		now += int64(to.TCPEstablished)
		tab.Expire(now, 10)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestStrings(t *testing.T) {
	for s, want := range map[State]string{TCPOpening: "TCP opening", UDPStream: "UDP stream", Other: "other", 99: "other"} {
		if s.String() != want {
			t.Errorf("%d is %q, want %q", s, s.String(), want)
		}
	}
}
