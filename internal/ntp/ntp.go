// Package ntp is the Amazon Time Sync Service of a VPC (TI-01): an NTP server on an
// ordinary socket that tells the time of the machine that the lab runs on. Instances
// share that machine's clock, so a client finds itself right.
//
// It answers clients (mode 3) of NTP versions 3 and 4 (RFC 1305, RFC 5905), which
// includes SNTP, and nothing else: no control or private messages (modes 6 and 7), no
// symmetric or broadcast associations. An answer has 48 bytes, as the shortest question
// has, and goes out once a question, so that nothing is amplified. Requests that want a
// signed answer get one without a signature, which such clients discard. No kiss codes
// are sent: the network itself limits how often an interface may ask (DNS-02).
package ntp

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"time"
)

// What the server says of itself. Like Amazon's it is of stratum 3 and announces no
// leap second, since a smeared clock has none (TI-01).
const (
	packetSize = 48 // RFC 5905 figure 8, without extensions
	stratum    = 3
	precision  = -20 // a microsecond: what a read of the clock costs a Go program, and more
	// reference is 127.127.1.1, which chronyd and ntpd say where a computer's own clock is
	// the source.
	reference = 0x7f7f0101
	// rootDispersion is 1/1024 s, in units of 2^-16 s: nobody knows better how well the machine's clock is kept.
	rootDispersion = 1 << 6
)

const (
	modeClient = 3
	modeServer = 4
)

// Server answers on one socket.
type Server struct {
	conn net.PacketConn
	now  func() time.Time
	wg   sync.WaitGroup
}

// Serve starts to answer on the socket, which Close closes. now is the time that it
// tells, read for each packet.
func Serve(conn net.PacketConn, now func() time.Time) *Server {
	s := &Server{conn: conn, now: now}
	s.wg.Go(s.run)
	return s
}

// Close ends the server and returns when nothing of it runs any more.
func (s *Server) Close() error {
	err := s.conn.Close()
	s.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// pause is what a socket that fails again and again waits between attempts.
const pause = 10 * time.Millisecond

func (s *Server) run() {
	var question [1024]byte // the rest of a longer one is of no interest
	var answer [packetSize]byte
	for {
		n, from, err := s.conn.ReadFrom(question[:])
		received := s.now()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // such as memory that the kernel does not have just now
			time.Sleep(pause)
			continue
		}
		if reply(&answer, question[:n], received) {
			stamp(answer[40:48], s.now()) // as late as can be: transmit
			_, _ = s.conn.WriteTo(answer[:], from)
		}
	}
}

// reply makes the answer to a question, but for the time of transmission. It is
// false where there is none. RFC 5905 section 9.2, procedure fast_xmit.
func reply(answer *[packetSize]byte, question []byte, received time.Time) bool {
	if len(question) < packetSize {
		return false
	}
	version, mode := question[0]>>3&7, question[0]&7
	if mode != modeClient || version < 3 || version > 4 {
		return false
	}
	*answer = [packetSize]byte{0: version<<3 | modeServer, 1: stratum, 2: question[2], 3: uint8(0x100 + precision)}
	binary.BigEndian.PutUint32(answer[8:], rootDispersion)
	binary.BigEndian.PutUint32(answer[12:], reference)
	stamp(answer[16:24], received.Truncate(time.Second)) // the clock was set just now: it is the source
	copy(answer[24:32], question[40:48])                 // origin: the client's time of transmission
	stamp(answer[32:40], received)
	return true
}

// epoch is the beginning of NTP's era 0, 1900, before that of Unix, in seconds.
const epoch = 2208988800

// stamp writes a time as seconds since 1900 and fractions, both of 32 bits; the
// seconds go round in 2036 (RFC 5905 section 6).
func stamp(b []byte, t time.Time) {
	binary.BigEndian.PutUint32(b, uint32(t.Unix()+epoch))
	binary.BigEndian.PutUint32(b[4:], uint32(uint64(t.Nanosecond())<<32/1e9))
}
