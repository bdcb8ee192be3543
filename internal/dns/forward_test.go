package dns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// upstream is a server that a host's resolv.conf names.
type upstream struct {
	addr   string
	asked  atomic.Int32 // questions over UDP
	stream atomic.Int32 // and over TCP
	answer func(q, r *dns.Msg, tcp bool) bool
}

// upstreams starts servers on 127.0.0.1, 127.0.0.2 and so on, at one port, and writes the
// resolv.conf that names them.
func upstreams(t *testing.T, list ...*upstream) *Forwarder {
	t.Helper()
	port := ""
	conf := "search example.com\noptions attempts:2\n"
	for i, u := range list {
		u.addr = fmt.Sprintf("127.0.0.%d", i+1)
		conf += "nameserver " + u.addr + "\n"
		if u.answer == nil { // nobody listens
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort(u.addr, cmp.Or(port, "0")))
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(l.Addr().String())
		pc, err := net.ListenPacket("udp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			tcp := w.LocalAddr().Network() == "tcp"
			if tcp {
				u.stream.Add(1)
			} else {
				u.asked.Add(1)
			}
			if r := new(dns.Msg).SetReply(q); u.answer(q, r, tcp) {
				_ = w.WriteMsg(r)
			}
		})
		for _, s := range []*dns.Server{{Listener: l, Handler: handler}, {PacketConn: pc, Handler: handler}} {
			done := make(chan struct{})
			go func() { defer close(done); _ = s.ActivateAndServe() }()
			t.Cleanup(func() { l.Close(); pc.Close(); <-done })
		}
	}
	f := NewForwarder(writeConf(t, conf))
	if port == "" {
		port = "1" // nobody listens at all
	}
	f.port = port
	t.Cleanup(f.Close)
	return f
}

func writeConf(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// says answers every question with records in zone file form.
func says(records ...string) func(q, r *dns.Msg, tcp bool) bool {
	return func(_, r *dns.Msg, _ bool) bool {
		for _, s := range records {
			rr, err := dns.NewRR(s)
			if err != nil {
				panic(err)
			}
			if rr.Header().Rrtype == dns.TypeSOA {
				r.Ns = append(r.Ns, rr)
			} else {
				r.Answer = append(r.Answer, rr)
			}
		}
		return true
	}
}

func fails(rcode int) func(q, r *dns.Msg, tcp bool) bool {
	return func(_, r *dns.Msg, _ bool) bool { r.Rcode = rcode; return true }
}

func silent(_, _ *dns.Msg, _ bool) bool { return false }

// forwardOnce resolves a question as the server does, without and then with the cache.
func forwardOnce(t *testing.T, f *Forwarder, b []byte) *dns.Msg {
	t.Helper()
	q, done := parse(b)
	if q == nil || done {
		t.Fatalf("no question: %v", q)
	}
	if !f.known(q) {
		f.resolve(t.Context(), q)
	}
	r := new(dns.Msg)
	if err := r.Unpack(q.pack(q.size)); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestForward_AnswersAsTheServerSays(t *testing.T) {
	u := &upstream{answer: says("www.example.net. 300 IN CNAME host.example.net.", "host.example.net. 200 IN A 192.0.2.7")}
	f := upstreams(t, u)
	r := forwardOnce(t, f, message(t, "wWw.ExAmPlE.nEt", tA, func(m *dns.Msg) { m.SetEdns0(1400, false) }))
	if short(r) != "192.0.2.7 host.example.net." || r.Question[0].Name != "wWw.ExAmPlE.nEt." || r.Answer[0].Header().Name != "wWw.ExAmPlE.nEt." ||
		!r.RecursionAvailable || r.AuthenticatedData || r.IsEdns0() == nil || len(r.Extra) != 1 {
		t.Errorf("%v", r)
	}
}

func TestForward_KeepsAnswersForAsLongAsTheySay(t *testing.T) {
	u := &upstream{answer: says("www.example.net. 300 IN A 192.0.2.7")}
	f := upstreams(t, u)
	clock := time.Unix(1000, 0)
	f.now = func() time.Time { return clock }
	ask := func(after time.Duration, ttl uint32, asked int32, change ...func(*dns.Msg)) {
		t.Helper()
		clock = time.Unix(1000, 0).Add(after)
		r := forwardOnce(t, f, message(t, "WWW.example.net", tA, change...))
		if short(r) != "192.0.2.7" || r.Answer[0].Header().Ttl != ttl || u.asked.Load() != asked || r.Answer[0].Header().Name != "WWW.example.net." {
			t.Errorf("after %v: %v and %d questions, want %d s to live and %d", after, r.Answer, u.asked.Load(), ttl, asked)
		}
	}
	ask(0, 300, 1)
	ask(100*time.Second, 200, 1)
	ask(299*time.Second, 1, 1)
	ask(300*time.Second, 300, 2)
	ask(300*time.Second, 300, 3, func(m *dns.Msg) { m.SetEdns0(1232, true) }) // with signatures it is another answer
	ask(300*time.Second, 300, 4, func(m *dns.Msg) { m.CheckingDisabled = true })
	if err := os.WriteFile(f.path, []byte("nameserver 127.0.0.1 # the same, written anew\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ask(310*time.Second, 300, 5)
}

func TestForward_NegativeAnswersAndFailures(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(q, r *dns.Msg, tcp bool) bool
		want   string
		kept   time.Duration
	}{
		"NODATA":                  {says("example.net. 900 IN SOA ns. mail. 1 2 3 4 120"), "NODATA", 120 * time.Second},
		"NODATA, short-lived SOA": {says("example.net. 60 IN SOA ns. mail. 1 2 3 4 120"), "NODATA", 60 * time.Second},
		"NXDOMAIN": {func(q, r *dns.Msg, tcp bool) bool {
			r.Rcode = dns.RcodeNameError
			return says("example.net. 900 IN SOA ns. mail. 1 2 3 4 120")(q, r, tcp)
		}, "NXDOMAIN", 120 * time.Second},
		"NXDOMAIN without SOA": {fails(dns.RcodeNameError), "NXDOMAIN", 0},
		"TTL 0":                {says("www.example.net. 0 IN A 192.0.2.7"), "192.0.2.7", 0},
		"very long":            {says("www.example.net. 2000000 IN A 192.0.2.7"), "192.0.2.7", maxKept},
		"negative TTL":         {says("www.example.net. 4294967295 IN A 192.0.2.7"), "192.0.2.7", 0},
		"SERVFAIL":             {fails(dns.RcodeServerFailure), "SERVFAIL", failureKept},
		"REFUSED":              {fails(dns.RcodeRefused), "SERVFAIL", failureKept},
	} {
		t.Run(name, func(t *testing.T) {
			u := &upstream{answer: c.answer}
			f := upstreams(t, u)
			clock := time.Unix(1000, 0)
			f.now = func() time.Time { return clock }
			b := message(t, "www.example.net", tA)
			ask := func(fresh bool) {
				t.Helper()
				before := u.asked.Load()
				if got := short(forwardOnce(t, f, b)); got != c.want || (u.asked.Load() > before) != fresh {
					t.Errorf("%s, want %s; asked %d times, then %d", got, c.want, before, u.asked.Load())
				}
			}
			ask(true)
			if c.kept > 0 {
				clock = time.Unix(1000, 0).Add(c.kept - time.Millisecond)
				ask(false)
			}
			clock = time.Unix(1000, 0).Add(c.kept)
			ask(true)
		})
	}
}

func TestForward_ServersInOrder(t *testing.T) {
	good := says("www.example.net. 60 IN A 192.0.2.7")
	first, second := &upstream{answer: good}, &upstream{answer: good}
	f := upstreams(t, first, second)
	forwardOnce(t, f, message(t, "www.example.net", tA))
	if first.asked.Load() != 1 || second.asked.Load() != 0 {
		t.Errorf("asked %d and %d times, want the first alone", first.asked.Load(), second.asked.Load())
	}
	for name, bad := range map[string]*upstream{"fails": {answer: fails(dns.RcodeServerFailure)}, "refuses": {answer: fails(dns.RcodeRefused)}, "is not there": {}, "is silent": {answer: silent},
		"answers another question": {answer: func(_, r *dns.Msg, _ bool) bool { r.Question[0].Name = "www.example.org."; return true }}} {
		t.Run(name, func(t *testing.T) {
			second := &upstream{answer: good}
			f := upstreams(t, bad, second)
			if got := short(forwardOnce(t, f, message(t, "www.example.net", tA))); got != "192.0.2.7" || second.asked.Load() != 1 {
				t.Errorf("%s, the second asked %d times", got, second.asked.Load())
			}
		})
	}
}

func TestForward_TCPWhereCutOff(t *testing.T) {
	u := &upstream{answer: func(q, r *dns.Msg, tcp bool) bool {
		r.Truncated = !tcp
		return !tcp || says("www.example.net. 60 IN A 192.0.2.7")(q, r, tcp)
	}}
	f := upstreams(t, u)
	if r := forwardOnce(t, f, message(t, "www.example.net", tA)); short(r) != "192.0.2.7" || r.Truncated || u.stream.Load() != 1 {
		t.Errorf("%v, asked %d times over TCP", r, u.stream.Load())
	}
}

func TestForward_OldServerWithoutEDNS(t *testing.T) {
	u := &upstream{answer: func(q, r *dns.Msg, tcp bool) bool {
		if q.IsEdns0() != nil {
			r.Rcode = dns.RcodeFormatError
			return true
		}
		return says("www.example.net. 60 IN A 192.0.2.7")(q, r, tcp)
	}}
	f := upstreams(t, u)
	if got := short(forwardOnce(t, f, message(t, "www.example.net", tA))); got != "192.0.2.7" {
		t.Error(got)
	}
}

func TestForward_FileIsReadAnew(t *testing.T) {
	first, second := &upstream{answer: says("www.example.net. 60 IN A 192.0.2.1")}, &upstream{answer: says("www.example.net. 60 IN A 192.0.2.2")}
	f := upstreams(t, first, second)
	want := func(want string) {
		t.Helper()
		if got := short(forwardOnce(t, f, message(t, "www.example.net", tA))); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	want("192.0.2.1")
	fresh := writeConf(t, "nameserver not-an-address\nnameserver 127.0.0.2\n")
	if err := os.Rename(fresh, f.path); err != nil { // as NetworkManager and others replace it
		t.Fatal(err)
	}
	want("192.0.2.2")
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	want("SERVFAIL")
}

// Those who wait for the same answer wait for one question.
func TestForward_SameQuestionOnce(t *testing.T) {
	release := make(chan struct{})
	u := &upstream{answer: func(q, r *dns.Msg, tcp bool) bool {
		<-release
		return says("www.example.net. 60 IN A 192.0.2.7")(q, r, tcp)
	}}
	f := upstreams(t, u)
	b := message(t, "www.example.net", tA)
	var wg sync.WaitGroup
	for range 20 {
		q, _ := parse(b)
		wg.Go(func() {
			f.resolve(t.Context(), q)
			if got := short(q.reply); got != "192.0.2.7" {
				t.Error(got)
			}
		})
	}
	eventually(t, "the server is asked", func() bool { return u.asked.Load() == 1 })
	close(release)
	wg.Wait()
	if n := u.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// One client that floods a dead server leaves room for others, and nobody waits for
// more than there is room for.
func TestForward_BoundedInFlight(t *testing.T) {
	f := upstreams(t, &upstream{answer: silent})
	flooder, other := client{"vpc-book", netip.MustParseAddr("10.0.0.4")}, client{"vpc-book", netip.MustParseAddr("10.0.0.5")}
	for range maxWaitingOfClient {
		if !f.admit(flooder) {
			t.Fatal("refused below the limit")
		}
	}
	if f.admit(flooder) {
		t.Error("one client may have more than its share")
	}
	if !f.admit(other) {
		t.Error("the other client is refused")
	}
	for i := f.total; i < maxWaiting; i++ {
		f.admit(client{"vpc-book", netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})})
	}
	if f.admit(client{"vpc-other", netip.MustParseAddr("10.9.0.1")}) {
		t.Error("more wait than is the limit")
	}
	f.leave(flooder)
	if !f.admit(client{"vpc-other", netip.MustParseAddr("10.9.0.1")}) {
		t.Error("no room after one has left")
	}
}

func TestForward_CacheIsBounded(t *testing.T) {
	var c cache
	now := time.Unix(1000, 0)
	for i := range 3 * maxEntries {
		m := new(dns.Msg)
		_ = says(fmt.Sprintf("h%d.example.net. 60 IN A 192.0.2.7", i))(nil, m, false)
		c.put(key{name: fmt.Sprintf("h%d.example.net.", i), qtype: tA}, m, now)
	}
	if len(c.entries) != maxEntries {
		t.Errorf("%d entries, the limit is %d", len(c.entries), maxEntries)
	}
	big := new(dns.Msg)
	_ = says("big.example.net. 60 IN TXT "+strings.Repeat(`"`+strings.Repeat("x", 250)+`" `, 20))(nil, big, false)
	c.put(key{name: "big.example.net."}, big, now)
	if _, kept := c.get(key{name: "big.example.net."}, now); kept {
		t.Errorf("an answer of %d bytes is kept", big.Len())
	}
}

func TestForward_CloseEndsWhatWaits(t *testing.T) {
	f := upstreams(t, &upstream{answer: silent})
	q, _ := parse(message(t, "www.example.net", tA))
	answered := make(chan struct{})
	go func() { defer close(answered); f.resolve(context.Background(), q) }()
	eventually(t, "it waits", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.calls) == 1 })
	f.Close()
	<-answered
	if got := short(q.reply); got != "SERVFAIL" {
		t.Error(got)
	}
	if late, _ := parse(message(t, "www.example.net", tA)); true {
		f.resolve(t.Context(), late)
		if got := short(late.reply); got != "SERVFAIL" {
			t.Errorf("after Close: %s", got)
		}
	}
}

// The whole of it: a server whose lab has an uplink, one without.
func TestServer_ForwardsWithUplinkOnly(t *testing.T) {
	u := &upstream{answer: says("www.example.net. 60 IN A 192.0.2.7")}
	f := upstreams(t, u)
	var model atomic.Pointer[vpc.Model]
	model.Store(book().Model)
	_, addr := serve(t, Config{VPC: "vpc-book", Names: NewDirectory(model.Load).Names, Forward: f})
	m := new(dns.Msg).SetQuestion("www.example.net.", tA)
	for _, network := range []string{"udp", "tcp"} {
		if got := short(exchange(t, network, addr, m)); got != "NXDOMAIN" || u.asked.Load() != 0 {
			t.Errorf("%s without uplink: %s", network, got)
		}
	}
	up := book()
	up.Outside.Uplink = "host"
	model.Store(up.Model)
	for _, network := range []string{"udp", "tcp"} {
		if got := short(exchange(t, network, addr, m)); got != "192.0.2.7" {
			t.Errorf("%s with uplink: %s", network, got)
		}
	}
	if n := u.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// A connection's later question overtakes one that waits for the host's resolver.
func TestServer_ForwardedQuestionHoldsNoneUp(t *testing.T) {
	release := make(chan struct{})
	f := upstreams(t, &upstream{answer: func(q, r *dns.Msg, tcp bool) bool {
		<-release
		return says("www.example.net. 60 IN A 192.0.2.7")(q, r, tcp)
	}})
	l := book()
	l.Outside.Uplink = "host"
	_, addr := serve(t, Config{VPC: "vpc-book", Names: names(l), Forward: f})
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	c := &dns.Conn{Conn: raw}
	read := func(want string) {
		t.Helper()
		if r, err := c.ReadMsg(); err != nil || short(r) != want {
			t.Fatalf("%v, %v, want %s", r, err, want)
		}
	}
	if err := errors.Join(c.WriteMsg(new(dns.Msg).SetQuestion("www.example.net.", tA)), c.WriteMsg(new(dns.Msg).SetQuestion("laptop.", tA))); err != nil {
		t.Fatal(err)
	}
	read("198.51.100.1")
	close(release)
	read("192.0.2.7")
}
