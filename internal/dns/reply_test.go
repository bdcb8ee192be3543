package dns

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/miekg/dns"
)

func TestRefusals(t *testing.T) {
	type change = func(*dns.Msg)
	ask := func(f change) change { return f }
	for name, c := range map[string]struct {
		change change
		want   int
	}{
		"zone transfer":  {ask(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAXFR }), dns.RcodeRefused},
		"incremental":    {ask(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeIXFR }), dns.RcodeRefused},
		"dynamic update": {ask(func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }), dns.RcodeRefused},
		"notify":         {ask(func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), dns.RcodeNotImplemented},
		"status":         {ask(func(m *dns.Msg) { m.Opcode = dns.OpcodeStatus }), dns.RcodeNotImplemented},
		"chaos": {ask(func(m *dns.Msg) {
			m.Question[0] = dns.Question{Name: "version.bind.", Qtype: dns.TypeTXT, Qclass: dns.ClassCHAOS}
		}), dns.RcodeRefused},
		"class any":           {ask(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassANY }), dns.RcodeRefused},
		"no question":         {ask(func(m *dns.Msg) { m.Question = nil }), dns.RcodeFormatError},
		"two questions":       {ask(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), dns.RcodeFormatError},
		"type OPT":            {ask(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeOPT }), dns.RcodeFormatError},
		"type TKEY":           {ask(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTKEY }), dns.RcodeNotImplemented},
		"two OPT":             {ask(func(m *dns.Msg) { m.SetEdns0(1232, false); m.SetEdns0(1232, false) }), dns.RcodeFormatError},
		"EDNS version 1":      {ask(func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) }), dns.RcodeBadVers},
		"reserved type":       {ask(func(m *dns.Msg) { m.Question[0].Qtype = 65280 }), dns.RcodeSuccess}, // unknown: NODATA (RFC 3597)
		"a question, no more": {ask(func(*dns.Msg) {}), dns.RcodeSuccess},
	} {
		t.Run(name, func(t *testing.T) {
			r, forwarded := book().ask(t, "vpc-book", message(t, "laptop", tA, c.change))
			if forwarded || r == nil || r.Rcode != c.want || !r.Response || !r.RecursionAvailable {
				t.Fatalf("forwarded %v, answer %v, want %s", forwarded, r, dns.RcodeToString[c.want])
			}
		})
	}
}

func TestMalformed(t *testing.T) {
	good := message(t, "laptop", tA)
	if r, _ := book().ask(t, "vpc-book", good[:11]); r != nil {
		t.Errorf("less than a header is answered %v", r)
	}
	answer := bytes.Clone(good)
	answer[2] |= 0x80
	if r, _ := book().ask(t, "vpc-book", answer); r != nil {
		t.Errorf("an answer is answered %v", r)
	}
	loop := append(bytes.Clone(good[:12]), 0xc0, 12, 0, 1, 0, 1) // a name that points to itself
	for name, b := range map[string][]byte{"cut in the name": good[:15], "cut behind it": good[:len(good)-1], "header alone": good[:12], "loop": loop} {
		r, _ := book().ask(t, "vpc-book", b)
		if r == nil || r.Rcode != dns.RcodeFormatError || r.Id != uint16(b[0])<<8|uint16(b[1]) || !r.RecursionDesired || len(r.Question) != 0 {
			t.Errorf("%s: %v, want FORMERR", name, r)
		}
	}
}

func TestHeaderBits(t *testing.T) {
	r, _ := book().ask(t, "vpc-book", message(t, "lApToP.InTeRnEt", tA, func(m *dns.Msg) {
		m.CheckingDisabled, m.AuthenticatedData, m.Zero, m.Authoritative, m.Truncated = true, true, true, true, true
	}))
	if !r.CheckingDisabled || r.AuthenticatedData || r.Zero || r.Authoritative || r.Truncated || !r.RecursionDesired {
		t.Errorf("bits of %v: CD and RD are copied, the others are not the asker's to set", r)
	}
	if r.Question[0].Name != "lApToP.InTeRnEt." || r.Answer[0].Header().Name != "lApToP.InTeRnEt." {
		t.Errorf("%v: the spelling of the question is not kept", r)
	}
	if r.IsEdns0() != nil {
		t.Errorf("%v: OPT without having been asked (RFC 6891 section 6.1.1)", r)
	}
}

func TestEDNS(t *testing.T) {
	r, _ := book().ask(t, "vpc-book", message(t, "laptop", tA, func(m *dns.Msg) {
		m.SetEdns0(4096, true)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: dns.EDNS0LOCALSTART, Data: []byte("x")}}
	}))
	opt := r.IsEdns0()
	if opt == nil || opt.UDPSize() != udpSize || !opt.Do() || opt.Version() != 0 || len(opt.Option) != 0 {
		t.Errorf("OPT %v, want DO copied and no option that is not known (RFC 6891 section 6.1.2)", opt)
	}
}

// crowd has so many addresses by one name that an answer does not fit everywhere.
func crowd(n int) *lab {
	l := newLab()
	l.vpc("vpc-book", "172.30.0.0/16")
	for i := range n {
		l.host(fmt.Sprintf("h%d", i), fmt.Sprintf("198.51.100.%d", i+1), "crowd.example.com")
	}
	return l
}

func TestTruncation(t *testing.T) {
	l := crowd(100)
	for _, c := range []struct {
		edns uint16
		max  int
	}{{0, 512}, {100, 512}, {1000, 1000}, {65535, udpSize}} {
		b := message(t, "crowd.example.com", tA, func(m *dns.Msg) {
			if c.edns != 0 {
				m.SetEdns0(c.edns, false)
			}
		})
		q, _ := parse(b)
		q.answer(NamesOf(l.Model).from(""))
		out := q.pack(q.size)
		r := new(dns.Msg)
		if err := r.Unpack(out); err != nil {
			t.Fatal(err)
		}
		if len(out) > c.max || !r.Truncated || len(r.Answer) == 0 || len(r.Answer) == 100 || (r.IsEdns0() != nil) != (c.edns != 0) {
			t.Errorf("EDNS size %d: %d bytes, TC %v, %d records; want %d bytes at most and TC", c.edns, len(out), r.Truncated, len(r.Answer), c.max)
		}
		q, _ = parse(b)
		q.answer(NamesOf(l.Model).from(""))
		if err := r.Unpack(q.pack(dns.MaxMsgSize)); err != nil || r.Truncated || len(r.Answer) != 100 {
			t.Errorf("EDNS size %d: over TCP %v, %d records", c.edns, err, len(r.Answer))
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, name := range []string{"laptop", "ip-172-30-0-10" + region, "ec2-203-0-113-10" + public, "10.0.30.172.in-addr.arpa", "example.net"} {
		f.Add(message(f, name, tA))
		f.Add(message(f, name, tANY, func(m *dns.Msg) { m.SetEdns0(4096, true) }))
	}
	l := book()
	l.Outside.Uplink = "host"
	names := NamesOf(l.Model)
	f.Fuzz(func(t *testing.T, b []byte) {
		q, done := parse(b)
		if q == nil {
			if len(b) >= headerSize && b[2]&0x80 == 0 {
				t.Fatal("a query without an answer")
			}
			return
		}
		if !done && !q.answer(names.from("vpc-book")) {
			return
		}
		out := q.pack(q.size)
		r := new(dns.Msg)
		if err := r.Unpack(out); err != nil {
			t.Fatalf("the reply does not unpack: %v", err)
		}
		if len(out) > q.size || !r.Response || r.Id != uint16(b[0])<<8|uint16(b[1]) || r.Opcode != int(b[2]>>3&0xf) {
			t.Fatalf("reply %v to %x", r, b)
		}
	})
}
