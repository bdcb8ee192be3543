package dns

import (
	"encoding/binary"

	"github.com/miekg/dns"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// TTL of an answer and of the negative ones, in seconds (DNS-09: 60 is what is
// commonly seen).
const TTL = 60

// udpSize is the longest answer over UDP, in bytes: what fits everywhere without
// fragments, as the DNS flag day of 2020 agreed. RFC 6891 section 6.2.5.
const udpSize = 1232

// query is a question that is to be answered, and the beginning of its answer.
type query struct {
	msg   *dns.Msg
	reply *dns.Msg
	size  int // of the longest answer that the asker takes over UDP, in bytes
}

func (q *query) question() dns.Question { return q.reply.Question[0] }

// dnssec tells whether the asker wants signatures (RFC 3225).
func (q *query) dnssec() bool {
	opt := q.msg.IsEdns0()
	return opt != nil && opt.Do()
}

// parse reads a message. Where the answer is an error, or no question is left to
// look up, it comes complete (done). Without any answer q is nil: of a message
// that is no query, and of one too short to have a header.
func parse(b []byte) (q *query, done bool) {
	if len(b) < headerSize || b[2]&0x80 != 0 { // QR: answering answers would make loops
		return nil, false
	}
	q = &query{msg: new(dns.Msg), reply: new(dns.Msg), size: dns.MinMsgSize}
	if err := q.msg.Unpack(b); err != nil {
		q.reply.Id = binary.BigEndian.Uint16(b)
		q.reply.Response, q.reply.Opcode, q.reply.Rcode = true, int(b[2]>>3&0xf), dns.RcodeFormatError
		q.reply.RecursionDesired = b[2]&1 != 0
		return q, true
	}
	q.reply.SetReply(q.msg)
	q.reply.RecursionAvailable, q.reply.Compress = true, true
	q.reply.Rcode = q.refusal()
	return q, q.reply.Rcode != dns.RcodeSuccess
}

const headerSize = 12 // RFC 1035 section 4.1.1

// refusal is the error that a query gets whatever it asks for.
func (q *query) refusal() int {
	opts := 0
	for _, rr := range q.msg.Extra {
		if opt, ok := rr.(*dns.OPT); ok {
			opts++
			q.size = int(min(max(opt.UDPSize(), dns.MinMsgSize), udpSize))
		}
	}
	opt := q.msg.IsEdns0()
	if opt != nil {
		q.reply.SetEdns0(udpSize, opt.Do())
	}
	switch {
	case opts > 1: // RFC 6891 section 6.1.1
		return dns.RcodeFormatError
	case opt != nil && opt.Version() != 0: // section 6.1.3
		return dns.RcodeBadVers
	case q.msg.Opcode == dns.OpcodeUpdate:
		return dns.RcodeRefused
	case q.msg.Opcode != dns.OpcodeQuery:
		return dns.RcodeNotImplemented
	case len(q.msg.Question) != 1: // RFC 9619
		return dns.RcodeFormatError
	}
	ask := q.msg.Question[0]
	switch {
	case ask.Qclass != dns.ClassINET: // version.bind and the like
		return dns.RcodeRefused
	case !q.msg.RecursionDesired: // DNS-01: recursive queries only
		return dns.RcodeRefused
	case ask.Qtype == dns.TypeAXFR || ask.Qtype == dns.TypeIXFR:
		return dns.RcodeRefused
	case ask.Qtype == dns.TypeOPT || ask.Qtype == dns.TypeNone: // no question has these
		return dns.RcodeFormatError
	case ask.Qtype == dns.TypeTSIG || ask.Qtype == dns.TypeTKEY || ask.Qtype == dns.TypeMAILA || ask.Qtype == dns.TypeMAILB:
		return dns.RcodeNotImplemented
	}
	return dns.RcodeSuccess
}

// answer fills the reply from a view. It is false where the name is to be
// forwarded.
func (q *query) answer(v view) bool {
	ask := q.question()
	name := dns.CanonicalName(ask.Name)
	n := v.find(name)
	if n.zone == "" {
		if v.forwards() {
			return false
		}
		n = v.outside(name)
	}
	if !n.exists {
		q.reply.Rcode = dns.RcodeNameError
	} else {
		q.reply.Answer = v.records(n, ask)
	}
	if len(q.reply.Answer) == 0 { // for how long that may be remembered (RFC 2308 section 3)
		q.reply.Ns = []dns.RR{v.soa(n.zone, n.zone)}
	}
	return true
}

// forwards tells whether names of nobody's are asked for outside of the lab.
func (v view) forwards() bool { return v.m.Outside.Uplink == "host" }

// records are those of a node that a question asks for. Their owner is spelled as
// the question spelled it.
func (v view) records(n node, ask dns.Question) (list []dns.RR) {
	add := func(rrtype uint16, make func(dns.RR_Header) dns.RR) {
		if ask.Qtype == rrtype || ask.Qtype == dns.TypeANY {
			list = append(list, make(dns.RR_Header{Name: ask.Name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: TTL}))
		}
	}
	for _, a := range n.addrs {
		if a.Is4() {
			add(dns.TypeA, func(h dns.RR_Header) dns.RR { return &dns.A{Hdr: h, A: a.AsSlice()} })
		} else {
			add(dns.TypeAAAA, func(h dns.RR_Header) dns.RR { return &dns.AAAA{Hdr: h, AAAA: a.AsSlice()} })
		}
	}
	if n.ptr != "" {
		add(dns.TypePTR, func(h dns.RR_Header) dns.RR { return &dns.PTR{Hdr: h, Ptr: n.ptr} })
	}
	if n.apex {
		add(dns.TypeSOA, func(h dns.RR_Header) dns.RR { return v.soa(h.Name, n.zone) })
		add(dns.TypeNS, func(h dns.RR_Header) dns.RR { return &dns.NS{Hdr: h, Ns: v.server(n.zone)} })
	}
	return list
}

// soa has the numbers that the SOA records of Amazon's own zones have.
func (v view) soa(owner, zone string) dns.RR {
	return &dns.SOA{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: TTL},
		Ns: v.server(zone), Mbox: "hostmaster.amazon.com.", Serial: 2012103100, Refresh: 3600, Retry: 3600, Expire: 3600, Minttl: TTL}
}

// server is the name server of a zone.
func (v view) server(zone string) string {
	if zone == root || zone == internetDomain || !v.named() {
		return "resolver." + internetDomain
	}
	return "ns0." + dns.CanonicalName(vpc.PrivateDnsDomain(v.region()))
}

// pack is the reply as it goes out, in size bytes at most: what does not fit is
// left out, with TC set.
func (q *query) pack(size int) []byte {
	q.reply.Truncate(size)
	b, err := q.reply.Pack()
	if err == nil && len(b) <= size {
		return b
	}
	// Only a forwarded answer can have what does not pack.
	failed := new(dns.Msg).SetRcode(q.msg, dns.RcodeServerFailure)
	failed.RecursionAvailable = true
	b, _ = failed.Pack()
	return b
}
