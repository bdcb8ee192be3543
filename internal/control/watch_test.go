package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var at = time.Date(2026, 11, 27, 21, 58, 4, 332e6, time.UTC)

func same(s string) string { return s }

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func number(n uint8) *uint8 { return &n }

func tcp(from string, fromPort uint16, to string, toPort uint16) Sent {
	return Sent{Protocol: "tcp", Source: addr(from), SourcePort: fromPort, Destination: addr(to), DestinationPort: toPort}
}

func (f *fake) Watch(ctx context.Context, r WatchRequest, end <-chan struct{}, send func(...*Watched) error) error {
	if len(r.On) > 0 {
		return fmt.Errorf("%s: nothing in the lab has this name or ID", r.On[0])
	}
	if r.Packets {
		return errors.Join(ErrStopping, ctx.Err())
	}
	n := uint64(max(r.Count, 1))
	if err := send(&Watched{Kind: WatchedStarted}); err != nil {
		return err
	}
	select {
	case <-end:
	case <-ctx.Done():
		return ctx.Err()
	}
	return send(&Watched{Kind: WatchedTotals, Seen: &Seen{Packets: n}}, &Watched{Kind: WatchedSkipped, NotShown: n})
}

// A line for each kind of packet, way, verdict and amount.
func TestWatchedLines(t *testing.T) {
	web, laptop, igw := &Named{"eni-1", "web"}, &Named{"host-1", "laptop"}, Named{"igw-1", "igw"}
	translated := tcp("198.51.100.1", 40000, "172.30.0.10", 22)
	for want, w := range map[string]*Watched{
		"21:58:04.332  198.51.100.1:40000 > 203.0.113.1:22 tcp SYN (as 198.51.100.1:40000 > 172.30.0.10:22)  laptop → igw → web  delivered": {
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
		"21:58:04.332  a packet that cannot be read  web  dropped: PACKET_MALFORMED: malformed": {
			Kind: WatchedPacket, Seen: &Seen{From: web, Verdict: VerdictDropped, Reason: "PACKET_MALFORMED", Text: "malformed", Packets: 1}},
		"21:58:04.332  a frame that is not IP  web  delivered: ARP_ANSWERED: answered": {
			Kind: WatchedPacket, Seen: &Seen{From: web, Verdict: VerdictDelivered, Reason: "ARP_ANSWERED", Text: "answered", Packets: 1}},
		"21:58:04.332  10.0.0.1:1 > 10.0.0.2:2 tcp  delivered  [44 packets, 64 kB]": {
			Kind: WatchedPacket, Seen: &Seen{Sent: tcp("10.0.0.1", 1, "10.0.0.2", 2), Verdict: VerdictDelivered, Reason: "DELIVERED", Packets: 44, Bytes: 64000}},
		"… 1,204 packets not shown": {Kind: WatchedSkipped, NotShown: 1204},
		"… 1 packet not shown":      {Kind: WatchedSkipped, NotShown: 1},
	} {
		w.Time = time.Date(2026, 11, 27, 21, 58, 4, 332e6, time.Local)
		if got := w.Text(Paint{same, same, same, same}); got != want {
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
	d := Drop{Time: time.Date(2026, 11, 27, 21, 58, 4, 332e6, time.Local), Packet: "p", Way: "a → b", Outcome: "dropped: R: t", Count: 3}
	if got := d.String(); got != "21:58:04.332  p  a → b  dropped: R: t  [3 times]" {
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

func TestWatchRequestsRoundTrip(t *testing.T) {
	r := WatchRequest{On: []string{"web", "eni-1"}, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("198.51.100.7/32")},
		Ports: []uint16{22, 0}, Protocols: []uint8{6, 255}, Verdict: VerdictDropped, Reasons: []string{"NO_ROUTE_TO_DESTINATION"},
		Packets: true, Duration: 90 * time.Second, Count: 7}
	back, err := ParseWatch(r.Values())
	if diff := cmp.Diff(r, back, cmpopts.EquateComparable(netip.Prefix{})); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if v := (WatchRequest{}).Values(); len(v) != 0 {
		t.Errorf("an empty request has the parameters %v", v)
	}
}

func TestParseWatch(t *testing.T) {
	for query, want := range map[string]WatchRequest{
		"port=ssh&port=HTTP&protocol=Tcp&protocol=47": {Ports: []uint16{22, 80}, Protocols: []uint8{6, 47}},
		"address=10.0.1.7/24&address=10.0.1.9":        {Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24"), netip.MustParsePrefix("10.0.1.9/32")}},
		"address=::ffff:10.0.1.9&packets=false":       {Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.1.9/32")}},
		"duration=2m&count=3&verdict=delivered":       {Duration: 2 * time.Minute, Count: 3, Verdict: VerdictDelivered},
	} {
		v, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseWatch(v)
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", query, err, diff)
		}
	}
	for query, want := range map[string]string{
		"on=":                               "on: a name or ID is wanted",
		"address=web":                       `address: "web" is no address or CIDR block such as 172.30.0.0/24`,
		"address=::ffff:1.2.3.4/96":         "address: ",
		"port=sshd":                         `port: "sshd" is no port from 0 to 65535, nor one of dns, http,`,
		"port=65536":                        "port: ",
		"protocol=tpc":                      `protocol: "tpc" is no protocol number from 0 to 255, nor one of ah, esp,`,
		"verdict=dead":                      `verdict: "dead" is neither delivered nor dropped`,
		"verdict=dropped&verdict=delivered": "verdict: give it once",
		"duration=5":                        `duration: "5" is no time such as 30s`,
		"duration=-5s":                      "duration: ",
		"count=0":                           `count: "0" is no number of lines from 1`,
		"packets=perhaps":                   "packets: ",
		"nat=1":                             "nat: there is no such parameter",
	} {
		v, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := ParseWatch(v); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %s", query, r, err, want)
		}
	}
}

// Whatever a URL has, what is taken from it means the same when it is sent on.
func FuzzParseWatch(f *testing.F) {
	for _, q := range []string{"", "on=web&address=10.0.0.0%2F8&port=22&protocol=tcp&verdict=dropped&reason=X&packets=true&duration=5s&count=3",
		"address=fe80::1%25eth0", "duration=9223372036854775807ns", "port=-1", "on=%00"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		v, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		r, err := ParseWatch(v)
		if err != nil {
			return
		}
		back, err := ParseWatch(r.Values())
		if diff := cmp.Diff(r, back, cmpopts.EquateComparable(netip.Prefix{}), cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", query, err, diff)
		}
	})
}

func TestWatchOverTheSocket(t *testing.T) {
	c := client(t, &fake{})
	stop := make(chan struct{})
	var kinds []string
	err := c.Watch(t.Context(), WatchRequest{Count: 5}, stop, func(w *Watched) error {
		kinds = append(kinds, w.Kind)
		switch {
		case w.Kind == WatchedStarted:
			close(stop)
		case w.Kind == WatchedTotals && w.Packets != 5, w.Kind == WatchedSkipped && w.NotShown != 5:
			t.Errorf("%+v", w)
		}
		return nil
	})
	if err != nil || cmp.Diff([]string{WatchedStarted, WatchedTotals, WatchedSkipped}, kinds) != "" {
		t.Errorf("%v, %v", kinds, err)
	}
	var e *Error
	if err := c.Watch(t.Context(), WatchRequest{On: []string{"wbe"}}, nil, nil); !errors.As(err, &e) || !strings.HasPrefix(e.Message, "wbe: nothing") {
		t.Errorf("a name that nothing has: %v", err)
	}
	if err := c.call(t.Context(), http.MethodGet, "/v1/watch?port=x", nil, nil, nil); err == nil || !strings.HasPrefix(err.Error(), `port: "x"`) {
		t.Errorf("a port that is none: %v", err)
	}
	if err := c.call(t.Context(), http.MethodPost, "/v1/watch/none/end", nil, nil, nil); err == nil {
		t.Error("the end of a watch that is none")
	}
	full := errors.New("disk full")
	if err := c.Watch(t.Context(), WatchRequest{}, nil, func(*Watched) error { return full }); !errors.Is(err, full) {
		t.Errorf("an error of the receiver: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = c.Watch(ctx, WatchRequest{}, nil, func(*Watched) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a receiver that leaves: %v", err)
	}
}

// A daemon that is killed must not look like the end of a watch.
func TestCutWatchIsAnError(t *testing.T) {
	dir := t.TempDir()
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, `{"kind":"started"}`)
		_ = http.NewResponseController(w).Flush()
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close()
		}
	})}
	go s.Serve(l)
	defer s.Close()
	started := false
	err = NewClient(dir).Watch(t.Context(), WatchRequest{}, nil, func(w *Watched) error { started = w.Kind == WatchedStarted; return nil })
	if !errors.Is(err, ErrNoDaemon) || !started {
		t.Errorf("%v, started %v", err, started)
	}
}
