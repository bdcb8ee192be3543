package imds

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// patience bounds every wait; nothing should come near it.
const patience = 30 * time.Second

// serve starts the lab's server on a loopback address. Instances ask from 127.0.1.1 (web)
// and 127.0.1.2 (db), which the model is made to say.
func (l *lab) serve(wrap ...func(net.Listener) net.Listener) (address string) {
	l.Helper()
	for name, a := range map[string]string{"web": "127.0.1.1", "db": "127.0.1.2"} {
		n := *l.InstanceInterfaces(l.instance(name).ID)[0]
		n.PrivateIps = append([]vpc.PrivateAddress{{PrivateIp: netip.MustParseAddr(a)}}, n.PrivateIps...)
		l.NetworkInterfaces.Put(n.ID, &n)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		l.Fatal(err)
	}
	address = listener.Addr().String()
	for _, w := range wrap {
		listener = w(listener)
	}
	m := l.model()
	cfg := l.server.cfg
	cfg.Model, cfg.Now, cfg.Log = func() *vpc.Model { return m }, time.Now, slog.New(slog.DiscardHandler)
	s := Serve(listener, cfg)
	l.Cleanup(func() {
		if err := s.Close(); err != nil {
			l.Error(err)
		}
	})
	return address
}

// dial connects from an address.
func (l *lab) dial(from, to string) (net.Conn, error) {
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return d.Dial("tcp4", to)
}

// client asks from an address.
func (l *lab) client(from string) *http.Client {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: d.DialContext}}
}

func readAll(r *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = errors.New(r.Status)
	}
	return string(b), err
}

// ttlListener tells the IP TTL with which its connections write.
type ttlListener struct {
	net.Listener
	seen chan int
}

func (l *ttlListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &ttlConn{c.(*net.TCPConn), l.seen}, nil
}

type ttlConn struct {
	*net.TCPConn
	seen chan int
}

func (c *ttlConn) Write(b []byte) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	ttl := 0
	if e := raw.Control(func(fd uintptr) { ttl, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL) }); e != nil || err != nil {
		return 0, errors.Join(e, err)
	}
	c.seen <- ttl
	return c.TCPConn.Write(b)
}

func TestIM04_HopLimitIsTheTTLOfTheAnswer(t *testing.T) {
	l := newLab(t, site)
	l.options("web", vpc.ModifyInstanceMetadataOptionsInput{HttpPutResponseHopLimit: new(3)})
	seen := make(chan int, 8)
	at := l.serve(func(inner net.Listener) net.Listener { return &ttlListener{inner, seen} })
	exchange := func(request string) (ttl int, answer string) {
		t.Helper()
		c, err := l.dial("127.0.1.1", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		return <-seen, string(b)
	}
	get := "GET /latest/meta-data/ami-id HTTP/1.1\r\nHost: x\r\n\r\n"
	put := "PUT /latest/api/token HTTP/1.1\r\nHost: x\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n"
	if ttl, answer := exchange(put); ttl != 3 || !strings.HasPrefix(answer, "HTTP/1.1 200") {
		t.Errorf("TTL %d of\n%s", ttl, answer)
	}
	if ttl, answer := exchange(get); ttl == 3 || !strings.HasPrefix(answer, "HTTP/1.1 200") {
		t.Errorf("TTL %d of\n%s", ttl, answer)
	}
	// One connection carries one answer: the limit can meet no other.
	if _, answer := exchange(put + get); strings.Count(answer, "HTTP/1.1") != 1 || !strings.Contains(answer, "Connection: close") {
		t.Errorf("two requests were answered:\n%s", answer)
	}
}

// An instance that holds all connections it can get takes nothing from another, and its
// own come back.
func TestIM01_AFloodingInstanceTakesNothingFromOthers(t *testing.T) {
	l := newLab(t, site)
	at := l.serve()
	held := make([]net.Conn, 0, maxConnections)
	for range maxConnections {
		c, err := l.dial("127.0.1.1", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		held = append(held, c)
	}
	if over, err := l.dial("127.0.1.1", at); err == nil { // it may be reset before the dialler notices that it is open
		defer over.Close()
		_ = over.SetReadDeadline(time.Now().Add(patience))
		if _, err := over.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("one connection more than allowed is held: %v", err)
		}
	} else if !errors.Is(err, unix.ECONNRESET) {
		t.Error(err)
	}
	other := l.client("127.0.1.2")
	if got, err := readAll(other.Get("http://" + at + "/latest/meta-data/instance-id")); err != nil || got != string(l.instance("db").ID) {
		t.Errorf("another instance: %q, %v", got, err)
	}
	for _, c := range held {
		c.Close()
	}
	own := l.client("127.0.1.1")
	deadline := time.Now().Add(patience)
	for {
		got, err := readAll(own.Get("http://" + at + "/latest/meta-data/instance-id"))
		if err == nil && got == string(l.instance("web").ID) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after it let go: %q, %v", got, err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestIM01_ASlowOrEndlessRequestEnds(t *testing.T) {
	t.Parallel() // it takes headerTimeout
	l := newLab(t, site)
	at := l.serve()
	slow, err := l.dial("127.0.1.1", at)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := io.WriteString(slow, "GET /latest/ HTTP/1.1\r\nX: "); err != nil {
		t.Fatal(err)
	}
	long, err := l.dial("127.0.1.1", at)
	if err != nil {
		t.Fatal(err)
	}
	defer long.Close()
	go func() { // until the server has had enough
		_, _ = io.WriteString(long, "GET /latest/ HTTP/1.1\r\nX: "+strings.Repeat("x", 1<<20))
	}()
	for name, c := range map[string]net.Conn{"slow": slow, "long": long} {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		line, err := bufio.NewReader(c).ReadString('\n')
		if errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(line, "200") {
			t.Errorf("%s: %q, %v", name, line, err)
		}
	}
}

// A hundred clients of two instances for a while, with tokens and without: the server
// keeps nothing of them.
func TestIM01_LoadLeavesNothing(t *testing.T) {
	const clients, rounds = 100, 8
	l := newLab(t, site)
	at := "http://" + l.serve()
	use := func() (goroutines, descriptors int) {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return runtime.NumGoroutine(), len(list)
	}
	goroutines, descriptors := use()
	var wg sync.WaitGroup
	peak := 0
	for n := range clients {
		from, id := "127.0.1.1", string(l.instance("web").ID)
		if n%2 == 1 {
			from, id = "127.0.1.2", string(l.instance("db").ID)
		}
		wg.Go(func() {
			c := l.client(from)
			for range rounds {
				r, err := http.NewRequest(http.MethodPut, at+"/latest/api/token", nil)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set(putTTL, "60")
				good, err := readAll(c.Do(r))
				if err != nil {
					t.Error(err)
					return
				}
				if r, err = http.NewRequest(http.MethodGet, at+"/latest/meta-data/instance-id", nil); err != nil {
					t.Error(err)
					return
				}
				r.Header.Set(token, good)
				if got, err := readAll(c.Do(r)); err != nil || got != id {
					t.Errorf("%q, %v", got, err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(5 * time.Millisecond):
			peak = max(peak, runtime.NumGoroutine())
		}
	}
	// Of a client: itself, its connection's two and one that dials; of the server: one a connection and one that waits for it.
	if most := goroutines + 8*clients; peak > most {
		t.Errorf("%d goroutines at the height of it, more than %d", peak, most)
	}
	deadline := time.Now().Add(patience)
	for {
		g, d := use()
		if g <= goroutines && d <= descriptors {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("before: %d goroutines and %d descriptors, after: %d and %d", goroutines, descriptors, g, d)
		}
		<-time.After(20 * time.Millisecond)
	}
}
