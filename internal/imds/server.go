// Package imds is the instance metadata service of a VPC (semantics section 11): an
// ordinary HTTP server behind 169.254.169.254. It knows an instance by the address that
// its request comes from, and reads the model at each request, so that a change, such as
// an Elastic IP associated, shows at once (IM-07).
package imds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Limits of what one client can hold. Requests are small and answers at most the 16 KiB
// of user data; each connection carries one of each.
const (
	maxConnections = 128              // of one address at a time
	maxHeader      = 8 << 10          // bytes
	headerTimeout  = 5 * time.Second  // from the connection to the end of the request's header
	answerTimeout  = 10 * time.Second // from there to the end of the answer
	// silentTimeout is how long the kernel sends again what nobody acknowledges, such as
	// a token that the hop limit keeps from its client.
	silentTimeout = 10 * time.Second
	closeTimeout  = 200 * time.Millisecond
)

// Config says whose metadata are served.
type Config struct {
	// VPC is the one whose interfaces may ask. Addresses mean nothing outside it: another
	// VPC may have the same.
	VPC vpc.VpcID
	// Model is the lab as committed. It is called for each request, by several goroutines.
	Model func() *vpc.Model
	// Keys sign tokens and documents. The servers of all VPCs of a lab share them.
	Keys *Keys
	Now  func() time.Time
	Log  *slog.Logger
}

// Server answers requests until Close.
type Server struct {
	cfg   Config
	http  *http.Server
	index atomic.Pointer[index]
	done  chan struct{}
}

// Serve starts answering on l, which Close closes.
func Serve(l net.Listener, cfg Config) *Server {
	s := &Server{cfg: cfg, done: make(chan struct{})}
	s.http = &http.Server{
		Handler: s, ReadHeaderTimeout: headerTimeout, ReadTimeout: answerTimeout, WriteTimeout: answerTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog:    slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug), // mistakes of clients
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
	}
	// As on AWS, and so the hop limit of a token's answer ends with its connection (IM-04).
	s.http.SetKeepAlivesEnabled(false)
	go func() {
		defer close(s.done)
		if err := s.http.Serve(&limited{Listener: l, open: map[netip.Addr]int{}}); !errors.Is(err, http.ErrServerClosed) {
			cfg.Log.Error("instance metadata", "vpc", cfg.VPC, "error", err)
		}
	}()
	return s
}

// Close stops the server and its listener. Answers under way have a moment to end.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	<-s.done
	if err != nil {
		return fmt.Errorf("instance metadata of %s: %w", s.cfg.VPC, err)
	}
	return nil
}

// limited accepts at most maxConnections of an address at a time and resets the others,
// so that an instance which holds many takes nothing from the rest.
type limited struct {
	net.Listener
	mu   sync.Mutex // guards open
	open map[netip.Addr]int
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := addrOf(c.RemoteAddr().String())
		if !l.take(from) {
			reset(c)
			continue
		}
		// Without it the kernel's own, longer limits hold.
		_ = setOption(c, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silentTimeout.Milliseconds()))
		return &counted{Conn: c, gone: sync.OnceFunc(func() { l.give(from) })}, nil
	}
}

func (l *limited) take(a netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[a] >= maxConnections {
		return false
	}
	l.open[a]++
	return true
}

func (l *limited) give(a netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[a]--; l.open[a] == 0 {
		delete(l.open, a)
	}
}

// counted is a connection that counts until it is closed.
type counted struct {
	net.Conn
	gone func()
}

func (c *counted) Close() error {
	defer c.gone()
	return c.Conn.Close()
}

// reset closes a connection without leaving the kernel anything to wait for.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // closed either way
	}
	_ = c.Close()
}

// connKey is where a request's context has its connection.
type connKey struct{}

// setHopLimit gives what the connection sends from now on the IP TTL (IM-04).
func setHopLimit(r *http.Request, ttl int) error {
	c, _ := r.Context().Value(connKey{}).(net.Conn)
	if k, ok := c.(*counted); ok {
		c = k.Conn
	}
	return setOption(c, unix.IPPROTO_IP, unix.IP_TTL, ttl)
}

// setOption sets a socket option of a connection that has a socket.
func setOption(c net.Conn, level, option, value int) error {
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), level, option, value) })
	return errors.Join(err, failed)
}

// addrOf is the address of a remote end, invalid if it has none.
func addrOf(remote string) netip.Addr {
	p, _ := netip.ParseAddrPort(remote)
	return p.Addr().Unmap()
}
