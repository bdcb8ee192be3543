package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Limits of one server.
const (
	// maxQuery is the longest query over UDP, in bytes. A longer one is cut off, and
	// answered FORMERR.
	maxQuery = 4096
	// maxStreams is how many TCP connections a server has, and maxOfClient how many
	// of one address. At a limit the one that was idle longest makes room, as RFC 7766
	// section 6.2.3 allows.
	maxStreams  = 256
	maxOfClient = 32
	// idleTimeout is how long a connection may be silent (RFC 7766 section 6.2.3: a few
	// seconds), and ioTimeout how long one message may take.
	idleTimeout = 10 * time.Second
	ioTimeout   = 5 * time.Second
)

// Config is what a resolver answers.
type Config struct {
	// VPC is whose view it is, "" for that of the Internet.
	VPC vpc.VpcID
	// Names are the names of now, asked for with each question.
	Names func() *Names
	// Forward asks the host's resolver where the lab has an uplink. It may be
	// shared. Nil forwards nothing: such questions are answered SERVFAIL.
	Forward *Forwarder
}

// Server answers on the sockets that it was given. A socket has one goroutine and
// so has each TCP connection; forwarded questions have one each, bounded by the
// Forwarder.
type Server struct {
	cfg     Config
	ctx     context.Context
	stop    context.CancelFunc
	sockets []io.Closer
	streams streams
	wg      sync.WaitGroup
}

// Serve starts answering on the sockets, which Close closes.
func Serve(cfg Config, packets []net.PacketConn, listeners []net.Listener) *Server {
	s := &Server{cfg: cfg, streams: streams{all: map[*stream]bool{}}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	for _, c := range packets {
		s.sockets = append(s.sockets, c)
		s.wg.Go(func() { s.servePackets(c) })
	}
	for _, l := range listeners {
		s.sockets = append(s.sockets, l)
		s.wg.Go(func() { s.serveListener(l) })
	}
	return s
}

// Close stops the server and closes its sockets and connections. It returns when
// nothing of it runs any more.
func (s *Server) Close() error {
	s.stop()
	var errs []error
	for _, c := range s.sockets {
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	s.streams.close()
	s.wg.Wait()
	return errors.Join(errs...)
}

// pause is what a socket that fails again and again waits between attempts.
const pause = 10 * time.Millisecond

func (s *Server) servePackets(c net.PacketConn) {
	buf := make([]byte, maxQuery)
	for {
		n, from, err := c.ReadFrom(buf)
		switch {
		case s.ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		case err != nil: // such as memory that the kernel does not have just now
			time.Sleep(pause)
			continue
		}
		s.handle(buf[:n], addrOfClient(from), func(q *query) {
			_, _ = c.WriteTo(q.pack(q.size), from) // the client asks again
		})
	}
}

// handle answers a message, if not at once then from a goroutine of its own.
func (s *Server) handle(b []byte, from netip.Addr, reply func(*query)) {
	q, done := parse(b)
	if q == nil {
		return
	}
	if done {
		reply(q)
		return
	}
	names := s.cfg.Names()
	if s.cfg.VPC != "" {
		if v := names.m.Vpcs.Get(s.cfg.VPC); v == nil || !v.EnableDnsSupport {
			return // DNS-04: no answer; a packet that was under way when it was switched off
		}
	}
	if q.answer(names.from(s.cfg.VPC)) {
		reply(q)
		return
	}
	who := client{s.cfg.VPC, from}
	switch {
	case s.cfg.Forward == nil:
		q.reply.Rcode = dns.RcodeServerFailure
		reply(q)
		return
	case s.cfg.Forward.known(q):
		reply(q)
		return
	case !s.cfg.Forward.admit(who):
		q.reply.Rcode = dns.RcodeServerFailure
		reply(q)
		return
	}
	s.wg.Go(func() {
		defer s.cfg.Forward.leave(who)
		s.cfg.Forward.resolve(s.ctx, q)
		reply(q)
	})
}

func addrOfClient(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap()
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

func (s *Server) serveListener(l net.Listener) {
	for {
		c, err := l.Accept()
		switch {
		case s.ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			if err == nil {
				c.Close()
			}
			return
		case err != nil: // such as file descriptors that have run out
			time.Sleep(pause)
			continue
		}
		st := s.streams.add(c, addrOfClient(c.RemoteAddr()))
		s.wg.Go(func() {
			defer s.streams.remove(st)
			s.serveStream(st)
		})
	}
}

// serveStream answers the questions of a connection as they come. Those that are
// forwarded may be overtaken by later ones (RFC 7766 section 7).
func (s *Server) serveStream(st *stream) {
	defer st.conn.Close()
	for {
		b, err := st.read()
		if err != nil {
			return
		}
		s.streams.touch(st)
		s.handle(b, st.client, func(q *query) { st.write(q.pack(dns.MaxMsgSize)) })
	}
}

// stream is one TCP connection.
type stream struct {
	conn   net.Conn
	client netip.Addr
	seen   time.Time // guarded by streams.mu
	mu     sync.Mutex
}

// read waits for the next message (RFC 1035 section 4.2.2: its length comes first).
func (st *stream) read() ([]byte, error) {
	var head [2]byte
	if err := st.conn.SetReadDeadline(time.Now().Add(idleTimeout)); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(st.conn, head[:1]); err != nil {
		return nil, err
	}
	if err := st.conn.SetReadDeadline(time.Now().Add(ioTimeout)); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(st.conn, head[1:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(head[:]))
	_, err := io.ReadFull(st.conn, b)
	return b, err
}

// write sends a message. A client that does not take it loses its connection.
func (st *stream) write(b []byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	_ = st.conn.SetWriteDeadline(time.Now().Add(ioTimeout))
	if _, err := st.conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)); err != nil {
		st.conn.Close()
	}
}

// streams are the connections of a server, no more than its limits.
type streams struct {
	mu     sync.Mutex
	all    map[*stream]bool
	closed bool
}

// add takes a connection in, and closes the idlest one where there are too many.
func (ss *streams) add(c net.Conn, from netip.Addr) *stream {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	same := 0
	var idlest, idlestOfClient *stream
	for st := range ss.all {
		if idlest == nil || st.seen.Before(idlest.seen) {
			idlest = st
		}
		if st.client != from {
			continue
		}
		same++
		if idlestOfClient == nil || st.seen.Before(idlestOfClient.seen) {
			idlestOfClient = st
		}
	}
	switch {
	case same >= maxOfClient:
		ss.drop(idlestOfClient)
	case len(ss.all) >= maxStreams:
		ss.drop(idlest)
	}
	st := &stream{conn: c, client: from, seen: time.Now()}
	ss.all[st] = true
	if ss.closed {
		c.Close()
	}
	return st
}

// drop closes a connection, whose goroutine ends. ss.mu is held.
func (ss *streams) drop(st *stream) {
	st.conn.Close()
	delete(ss.all, st)
}

func (ss *streams) remove(st *stream) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	delete(ss.all, st)
}

func (ss *streams) touch(st *stream) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	st.seen = time.Now()
}

func (ss *streams) close() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.closed = true
	for st := range ss.all {
		st.conn.Close()
	}
}
