package dns

import (
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// serve starts a resolver on loopback, for the VPC that a Directory of l has.
func serve(t *testing.T, cfg Config) (s *Server, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s = Serve(cfg, []net.PacketConn{pc}, []net.Listener{l})
	t.Cleanup(func() { s.Close() })
	return s, l.Addr().String()
}

func names(l *lab) func() *Names { return NewDirectory(func() *vpc.Model { return l.Model }).Names }

func exchange(t *testing.T, network, addr string, m *dns.Msg) *dns.Msg {
	t.Helper()
	r, _, err := (&dns.Client{Net: network}).Exchange(m, addr)
	if err != nil {
		t.Fatalf("%s: %v", network, err)
	}
	return r
}

func TestServer_UDPAndTCPAndChangedModel(t *testing.T) {
	var model atomic.Pointer[vpc.Model]
	model.Store(newLab().Model)
	empty := newLab()
	empty.vpc("vpc-book", "172.30.0.0/16")
	model.Store(empty.Model)
	_, addr := serve(t, Config{VPC: "vpc-book", Names: NewDirectory(model.Load).Names})
	question := new(dns.Msg).SetQuestion("ip-172-30-0-10"+region+".", tA)
	for _, network := range []string{"udp", "tcp"} {
		if r := exchange(t, network, addr, question); r.Rcode != dns.RcodeNameError {
			t.Errorf("%s: an empty VPC has a name: %v", network, r)
		}
	}
	model.Store(book().Model)
	for _, network := range []string{"udp", "tcp"} {
		if r := exchange(t, network, addr, question); short(r) != "172.30.0.10" {
			t.Errorf("%s: %v", network, r)
		}
	}
}

func TestDNS04_NoAnswerWithoutDNSSupport(t *testing.T) {
	l := book()
	l.set("vpc-book", false, false)
	_, addr := serve(t, Config{VPC: "vpc-book", Names: names(l)})
	_, there := serve(t, Config{VPC: "vpc-gone", Names: names(l)})
	for _, a := range []string{addr, there} {
		m := new(dns.Msg).SetQuestion("laptop.", tA)
		if r, _, err := (&dns.Client{Timeout: 200 * time.Millisecond}).Exchange(m, a); err == nil {
			t.Errorf("answer %v", r)
		}
	}
}

func TestServer_CutOffAnswerIsWholeOverTCP(t *testing.T) {
	_, addr := serve(t, Config{Names: names(crowd(100))})
	m := new(dns.Msg).SetQuestion("crowd.example.com.", tA)
	if r := exchange(t, "udp", addr, m); !r.Truncated {
		t.Errorf("over UDP: %v", r)
	}
	if r := exchange(t, "tcp", addr, m); r.Truncated || len(r.Answer) != 100 {
		t.Errorf("over TCP: %d records", len(r.Answer))
	}
}

func TestServer_PipelinedOverTCP(t *testing.T) {
	_, addr := serve(t, Config{VPC: "vpc-book", Names: names(book())})
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	c := &dns.Conn{Conn: raw}
	want := map[uint16]bool{}
	for range 50 {
		m := new(dns.Msg).SetQuestion("laptop.", tA)
		want[m.Id] = true
		if err := c.WriteMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	for len(want) > 0 {
		r, err := c.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		if !want[r.Id] || short(r) != "198.51.100.1" {
			t.Fatalf("unexpected answer %v", r)
		}
		delete(want, r.Id)
	}
}

// A message in pieces is one message, and rubbish ends nothing but itself.
func TestServer_PiecesAndRubbishOverTCP(t *testing.T) {
	_, addr := serve(t, Config{VPC: "vpc-book", Names: names(book())})
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	b := message(t, "laptop", tA)
	rubbish := []byte{0, 3, 'a', 'b', 'c', 0, 0}
	for _, part := range [][]byte{rubbish, {0}, {byte(len(b))}, b[:5], b[5:]} {
		if _, err := raw.Write(part); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	r, err := (&dns.Conn{Conn: raw}).ReadMsg()
	if err != nil || short(r) != "198.51.100.1" {
		t.Fatalf("%v, %v", r, err)
	}
}

func TestServer_BoundedConnections(t *testing.T) {
	s, addr := serve(t, Config{VPC: "vpc-book", Names: names(book())})
	var open []net.Conn
	for range maxOfClient + 5 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
		// It is known to the server before the next one: which is the idlest is certain.
		if err := (&dns.Conn{Conn: c}).WriteMsg(new(dns.Msg).SetQuestion("laptop.", tA)); err != nil {
			t.Fatal(err)
		}
		if _, err := (&dns.Conn{Conn: c}).ReadMsg(); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range open {
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, err := c.Read(make([]byte, 1))
		if ended := err == io.EOF; ended != (i < 5) {
			t.Errorf("connection %d of %d: %v", i, len(open), err)
		}
	}
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	if n := len(s.streams.all); n != maxOfClient {
		t.Errorf("%d connections, the limit is %d", n, maxOfClient)
	}
}

func TestServer_CloseEndsEverything(t *testing.T) {
	before := runtime.NumGoroutine()
	s, addr := serve(t, Config{VPC: "vpc-book", Names: names(book())})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	exchange(t, "udp", addr, new(dns.Msg).SetQuestion("laptop.", tA))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("the socket is still open")
	}
	eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= before })
}

// A flood is answered one after another: it makes no goroutines.
func TestServer_FloodMakesNoGoroutines(t *testing.T) {
	_, addr := serve(t, Config{VPC: "vpc-book", Names: names(book())})
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	before, most := runtime.NumGoroutine(), 0
	b := message(t, "ip-172-30-0-10"+region, tA)
	for range 20000 {
		_, _ = c.Write(b)
		most = max(most, runtime.NumGoroutine())
	}
	if most > before+2 {
		t.Errorf("%d goroutines, before the flood %d", most, before)
	}
	eventually(t, "it answers after a flood", func() bool {
		r, _, err := (&dns.Client{Timeout: time.Second}).Exchange(new(dns.Msg).SetQuestion("laptop.", tA), addr)
		return err == nil && short(r) == "198.51.100.1"
	})
}
