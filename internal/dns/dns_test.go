package dns

import (
	"net"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

func zone() *Zone {
	z := NewZone()
	z.Add(PrivateName(netip.MustParseAddr("172.30.0.10"), "ap-northeast-1"), netip.MustParseAddr("172.30.0.10"))
	z.Add("i-0123456789abcdef0.ap-northeast-1.compute.internal", netip.MustParseAddr("172.30.0.10"))
	return z
}

func TestDNS05_PrivateNames(t *testing.T) {
	for region, want := range map[string]string{
		"us-east-1":      "ip-10-24-34-0.ec2.internal",
		"ap-northeast-1": "ip-10-24-34-0.ap-northeast-1.compute.internal",
	} {
		if got := PrivateName(netip.MustParseAddr("10.24.34.0"), region); got != want {
			t.Errorf("%s: got %s, want %s", region, got, want)
		}
	}
}

func TestAnswer(t *testing.T) {
	for _, c := range []struct {
		name  string
		qtype uint16
		rcode int
		want  string
	}{
		{"ip-172-30-0-10.ap-northeast-1.compute.internal.", dns.TypeA, dns.RcodeSuccess, "172.30.0.10"},
		{"IP-172-30-0-10.ap-northeast-1.Compute.Internal.", dns.TypeA, dns.RcodeSuccess, "172.30.0.10"},
		{"ip-172-30-0-10.ap-northeast-1.compute.internal.", dns.TypeAAAA, dns.RcodeSuccess, ""},
		{"10.0.30.172.in-addr.arpa.", dns.TypePTR, dns.RcodeSuccess, "ip-172-30-0-10.ap-northeast-1.compute.internal."},
		{"11.0.30.172.in-addr.arpa.", dns.TypePTR, dns.RcodeNameError, ""},
		{"ip-172-30-0-11.ap-northeast-1.compute.internal.", dns.TypeA, dns.RcodeNameError, ""},
		{"example.com.", dns.TypeMX, dns.RcodeNameError, ""},
	} {
		q := new(dns.Msg)
		q.SetQuestion(c.name, c.qtype)
		r := zone().Answer(q)
		got := ""
		for _, rr := range r.Answer {
			switch rr := rr.(type) {
			case *dns.A:
				got += rr.A.String()
			case *dns.PTR:
				got += rr.Ptr
			}
		}
		if r.Rcode != c.rcode || got != c.want || !r.RecursionAvailable {
			t.Errorf("%s %s: rcode %s, answer %q; want %s, %q", c.name, dns.TypeToString[c.qtype],
				dns.RcodeToString[r.Rcode], got, dns.RcodeToString[c.rcode], c.want)
		}
	}
}

func TestServer_UDPAndTCPAndNewZone(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(NewZone(), []net.PacketConn{pc}, []net.Listener{l})
	ask := func(network, addr string) int {
		q := new(dns.Msg)
		q.SetQuestion("ip-172-30-0-10.ap-northeast-1.compute.internal.", dns.TypeA)
		r, _, err := (&dns.Client{Net: network}).Exchange(q, addr)
		if err != nil {
			t.Fatalf("%s: %v", network, err)
		}
		return r.Rcode
	}
	if ask("udp", pc.LocalAddr().String()) != dns.RcodeNameError {
		t.Fatal("an empty zone knows a name")
	}
	s.SetZone(zone())
	for network, addr := range map[string]string{"udp": pc.LocalAddr().String(), "tcp": l.Addr().String()} {
		if got := ask(network, addr); got != dns.RcodeSuccess {
			t.Errorf("%s: %s", network, dns.RcodeToString[got])
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func FuzzAnswer(f *testing.F) {
	q := new(dns.Msg)
	q.SetQuestion("example.com.", dns.TypeA)
	b, _ := q.Pack()
	f.Add(b)
	z := zone()
	f.Fuzz(func(t *testing.T, b []byte) {
		q := new(dns.Msg)
		if q.Unpack(b) != nil {
			return
		}
		if _, err := z.Answer(q).Pack(); err != nil && len(q.Question) == 1 {
			// A name that unpacked must pack again.
			t.Fatalf("reply does not pack: %v", err)
		}
	})
}
