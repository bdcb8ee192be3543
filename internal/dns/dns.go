// Package dns is the Amazon resolver of a VPC (semantics section 10): an ordinary
// DNS server on real sockets, UDP and TCP, that answers the private names of the
// VPC's network interfaces and their reverse, and at once NXDOMAIN for the rest.
// A resolver that stayed silent would make programs wait: MariaDB asks for the
// name of each client before it greets it.
package dns

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// TTL of an answer, in seconds (DNS-09: 60 is what is commonly seen).
const TTL = 60

// Zone is what one VPC's resolver knows. It is immutable once built.
type Zone struct {
	hosts   map[string]netip.Addr // lower case, with the final dot
	reverse map[string]string     // "10.0.30.172.in-addr.arpa." -> name
}

// NewZone returns an empty zone.
func NewZone() *Zone {
	return &Zone{hosts: map[string]netip.Addr{}, reverse: map[string]string{}}
}

// Add makes name (without the final dot) resolve to addr; the first name added
// for an address is the one its reverse look-up gives.
func (z *Zone) Add(name string, addr netip.Addr) {
	fqdn := dns.CanonicalName(name)
	z.hosts[fqdn] = addr
	if arpa, err := dns.ReverseAddr(addr.String()); err == nil {
		if _, named := z.reverse[arpa]; !named {
			z.reverse[arpa] = fqdn
		}
	}
}

// PrivateName is the IP-based name of a private address (DNS-05):
// ip-172-30-0-10.ap-northeast-1.compute.internal, or …ec2.internal in us-east-1.
func PrivateName(addr netip.Addr, region string) string {
	return "ip-" + strings.ReplaceAll(addr.String(), ".", "-") + "." + PrivateDomain(region)
}

// PrivateDomain is the domain of private names in a region (DNS-05, DH-03).
func PrivateDomain(region string) string {
	if region == "us-east-1" {
		return "ec2.internal"
	}
	return region + ".compute.internal"
}

// Answer is the resolver's reply to one query.
func (z *Zone) Answer(q *dns.Msg) *dns.Msg {
	r := new(dns.Msg)
	r.SetReply(q)
	r.RecursionAvailable = true
	if opt := q.IsEdns0(); opt != nil {
		r.SetEdns0(min(max(opt.UDPSize(), dns.MinMsgSize), 1232), false)
	}
	if q.Opcode != dns.OpcodeQuery || len(q.Question) != 1 {
		r.Rcode = dns.RcodeNotImplemented
		return r
	}
	question := q.Question[0]
	name := dns.CanonicalName(question.Name)
	header := dns.RR_Header{Name: question.Name, Class: dns.ClassINET, Ttl: TTL}
	if addr, ok := z.hosts[name]; ok {
		if question.Qtype == dns.TypeA || question.Qtype == dns.TypeANY {
			header.Rrtype = dns.TypeA
			r.Answer = append(r.Answer, &dns.A{Hdr: header, A: addr.AsSlice()})
		}
		return r // the name exists: an answer without records to other types
	}
	if target, ok := z.reverse[name]; ok {
		if question.Qtype == dns.TypePTR || question.Qtype == dns.TypeANY {
			header.Rrtype = dns.TypePTR
			r.Answer = append(r.Answer, &dns.PTR{Hdr: header, Ptr: target})
		}
		return r
	}
	if name == "localhost." && question.Qtype == dns.TypeA {
		header.Rrtype = dns.TypeA
		r.Answer = append(r.Answer, &dns.A{Hdr: header, A: net.IPv4(127, 0, 0, 1)})
		return r
	}
	r.Rcode = dns.RcodeNameError
	return r
}

// Server answers from its current zone on the sockets it was given.
type Server struct {
	zone    atomic.Pointer[Zone]
	servers []*dns.Server
	wg      sync.WaitGroup
}

// Serve starts answering on the sockets, which Close closes.
func Serve(zone *Zone, packets []net.PacketConn, streams []net.Listener) *Server {
	s := &Server{}
	s.zone.Store(zone)
	for _, c := range packets {
		s.start(&dns.Server{PacketConn: c, Handler: s, ReadTimeout: 5 * time.Second})
	}
	for _, l := range streams {
		s.start(&dns.Server{Listener: l, Handler: s, ReadTimeout: 5 * time.Second, MaxTCPQueries: 128})
	}
	return s
}

func (s *Server) start(d *dns.Server) {
	started := make(chan struct{})
	d.NotifyStartedFunc = func() { close(started) }
	s.servers = append(s.servers, d)
	failed := make(chan struct{})
	s.wg.Go(func() { defer close(failed); _ = d.ActivateAndServe() }) // ends when Close closes the socket
	select {
	case <-started:
	case <-failed:
	}
}

// SetZone replaces the zone; the next query is answered from it.
func (s *Server) SetZone(z *Zone) { s.zone.Store(z) }

// ServeDNS implements dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	r := s.zone.Load().Answer(q)
	if w.LocalAddr().Network() == "udp" {
		size := dns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			size = int(min(max(opt.UDPSize(), dns.MinMsgSize), 1232))
		}
		r.Truncate(size)
	}
	_ = w.WriteMsg(r) // the client asks again
}

// Close stops the server and its sockets.
func (s *Server) Close() error {
	var errs []error
	for _, d := range s.servers {
		if err := d.Shutdown(); err != nil {
			errs = append(errs, fmt.Errorf("dns: %w", err))
		}
	}
	s.wg.Wait()
	return errors.Join(errs...)
}
