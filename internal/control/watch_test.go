package control

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var at = time.Date(2026, 11, 27, 21, 58, 4, 332e6, time.UTC)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func number(n uint8) *uint8 { return &n }

func tcp(from string, fromPort uint16, to string, toPort uint16) Sent {
	return Sent{Protocol: "tcp", Source: addr(from), SourcePort: fromPort, Destination: addr(to), DestinationPort: toPort}
}

// A line for each kind of packet, way, verdict and amount.
func TestWatchedLines(t *testing.T) {
	web, laptop, igw := &Named{"eni-1", "web"}, &Named{"host-1", "laptop"}, Named{"igw-1", "igw"}
	translated := tcp("198.51.100.1", 40000, "172.30.0.10", 22)
	for want, w := range map[string]*Watched{
		"21:58:04.332  198.51.100.1:40000 > 203.0.113.1:22 tcp SYN (as 198.51.100.1:40000 > 172.30.0.10:22)  laptop -> igw -> web  delivered": {
			Kind: WatchedPacket, Seen: &Seen{Sent: tcp("198.51.100.1", 40000, "203.0.113.1", 22), Translated: &translated, TCPFlags: "SYN",
				From: laptop, Via: []Named{igw}, To: web, Verdict: VerdictDelivered, Reason: "DELIVERED", Packets: 1}},
		"21:58:04.332  172.30.0.10 > 172.30.1.4 icmp echo request id 7  web  dropped by eni-1, rule * deny: SUBNET_ACL_RESTRICTION: denied; the network told the sender": {
			Kind: WatchedFlow, Seen: &Seen{Sent: Sent{Protocol: "icmp", Source: addr("172.30.0.10"), Destination: addr("172.30.1.4"), ID: 7},
				ICMPType: number(8), ICMPCode: number(0), From: web, By: &Named{ID: "eni-1"}, Rule: "rule * deny", Verdict: VerdictDropped,
				Reason: "SUBNET_ACL_RESTRICTION", Text: "denied", Answered: true, Packets: 1, Bytes: 84}},
		"21:58:04.332  10.0.0.1 > 10.0.0.2 protocol 47  dropped: NO_ROUTE: none  [1,204 packets, 1.5 MB in 3.2 s, ended by FIN]": {
			Kind: WatchedTotals, Seen: &Seen{Sent: Sent{Protocol: "47", Source: addr("10.0.0.1"), Destination: addr("10.0.0.2")},
				Verdict: VerdictDropped, Reason: "NO_ROUTE", Text: "none", Packets: 1204, Bytes: 1_500_000, Duration: 3.21, Ended: "fin"}},
		"21:58:04.332  10.0.0.1:1 > 10.0.0.2:2 udp  eni-9  delivered  [1 packet, 28 B so far]": {
			Kind: WatchedTotals, Seen: &Seen{Sent: Sent{Protocol: "udp", Source: addr("10.0.0.1"), SourcePort: 1, Destination: addr("10.0.0.2"), DestinationPort: 2},
				From: &Named{ID: "eni-9"}, Verdict: VerdictDelivered, Reason: "DELIVERED", Packets: 1, Bytes: 28, Ended: "watch"}},
		"21:58:04.332  a frame that is not IP  web  delivered: ARP_ANSWERED: answered": {
			Kind: WatchedPacket, Seen: &Seen{From: web, Verdict: VerdictDelivered, Reason: "ARP_ANSWERED", Text: "answered", Packets: 1}},
		"21:58:04.332  10.0.0.1:1 > 10.0.0.2:2 tcp  delivered  [44 packets, 64 kB]": {
			Kind: WatchedPacket, Seen: &Seen{Sent: tcp("10.0.0.1", 1, "10.0.0.2", 2), Verdict: VerdictDelivered, Reason: "DELIVERED", Packets: 44, Bytes: 64000}},
		"… 1,204 packets not shown": {Kind: WatchedSkipped, NotShown: 1204},
		"… 1 packet not shown":      {Kind: WatchedSkipped, NotShown: 1},
	} {
		w.Time = at
		if got := w.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		b, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		var back Watched
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, &back, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s does not come back:\n%s", b, diff)
		}
	}
}

func TestICMPNames(t *testing.T) {
	for want, m := range map[string]struct {
		protocol   string
		typ, code  uint8
		identifier uint16
	}{
		"icmp echo reply id 9": {"icmp", 0, 0, 9}, "icmp fragmentation needed": {"icmp", 3, 4, 0}, "icmp unreachable": {"icmp", 3, 9, 0},
		"icmp type 13 code 0 id 3": {"icmp", 13, 0, 3}, "icmpv6 packet too big": {"icmpv6", 2, 0, 0},
	} {
		s := Seen{Sent: Sent{Protocol: m.protocol, Source: addr("10.0.0.1"), Destination: addr("10.0.0.2"), ID: m.identifier}, ICMPType: &m.typ, ICMPCode: &m.code}
		if got := s.Packet(); got != "10.0.0.1 > 10.0.0.2 "+want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// Scripts read these names.
func TestWatchedJSONNamesAreStable(t *testing.T) {
	translated := tcp("198.51.100.1", 40000, "172.30.0.10", 22)
	w := Watched{Time: at, Kind: WatchedTotals, NotShown: 3, Seen: &Seen{Sent: tcp("198.51.100.1", 40000, "203.0.113.1", 22), Translated: &translated, TCPFlags: "SYN",
		ICMPType: number(0), ICMPCode: number(4), From: &Named{"host-1", "laptop"}, Via: []Named{{"igw-1", "igw"}}, To: &Named{"eni-1", "web"},
		Verdict: "dropped", Reason: "R", Text: "t", Stage: "sg-ingress", By: &Named{"eni-1", "web"}, Rule: "r", Answered: true,
		Packets: 2, Bytes: 80, Duration: 1.5, Ended: "quiet"}}
	w.ID = 5
	b, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"time":"2026-11-27T21:58:04.332Z","kind":"totals","protocol":"tcp","source":"198.51.100.1","source_port":40000,` +
		`"destination":"203.0.113.1","destination_port":22,"icmp_id":5,` +
		`"translated":{"protocol":"tcp","source":"198.51.100.1","source_port":40000,"destination":"172.30.0.10","destination_port":22},` +
		`"tcp_flags":"SYN","icmp_type":0,"icmp_code":4,"from":{"id":"host-1","name":"laptop"},"via":[{"id":"igw-1","name":"igw"}],` +
		`"to":{"id":"eni-1","name":"web"},"verdict":"dropped","reason":"R","text":"t","stage":"sg-ingress","by":{"id":"eni-1","name":"web"},` +
		`"rule":"r","answered":true,"packets":2,"bytes":80,"duration":1.5,"ended":"quiet","not_shown":3}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}

func TestDropSaysHowOften(t *testing.T) {
	d := Drop{Time: at, Packet: "p", Way: "a -> b", Outcome: "dropped: R: t", Count: 3}
	if got := d.String(); got != "21:58:04.332  p  a -> b  dropped: R: t  [3 times]" {
		t.Error(got)
	}
}

func TestSizes(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9999: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB",
		12_345_678: "12 MB", 1 << 63: "9.2 EB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
