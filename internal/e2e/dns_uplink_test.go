package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"
)

// hostResolver is a name server on the machine's loopback, as its resolv.conf names one. It
// tells of every name that it is asked for.
func hostResolver(t *testing.T, addr, answer string) (asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		asked.Add(1)
		r := new(dns.Msg).SetReply(q)
		if q.Question[0].Name == "www.outside.example." && q.Question[0].Qtype == dns.TypeA {
			rr, _ := dns.NewRR("www.outside.example. 300 IN A " + answer)
			r.Answer = []dns.RR{rr}
		} else {
			r.Rcode = dns.RcodeNameError
		}
		r.Truncated = w.LocalAddr().Network() == "udp" && len(r.Answer) > 0 // the rest is to be had over TCP
		_ = w.WriteMsg(r)
	})
	pc, err := net.ListenPacket("udp", net.JoinHostPort(addr, "53"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(addr, "53"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: handler}, {Listener: l, Handler: handler}} {
		done := make(chan struct{})
		go func() { defer close(done); _ = s.ActivateAndServe() }()
		t.Cleanup(func() { pc.Close(); l.Close(); <-done })
	}
	return asked
}

// With an uplink, names that are not the lab's are asked of the host's resolver; without
// one, and of the lab's own zones, nobody outside hears anything.
func TestNamesOfTheOutside(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	set := func(text string) {
		t.Helper()
		if err := os.WriteFile(conf+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(conf+".new", conf); err != nil {
			t.Fatal(err)
		}
	}
	first := hostResolver(t, "127.53.1.1", "192.0.2.101")
	second := hostResolver(t, "127.53.1.2", "192.0.2.102")
	set("nameserver 127.53.1.1\n")
	t.Setenv("VPCEMU_RESOLV_CONF", conf) // the daemon that `up` starts has it too

	without := strings.Replace(namesLab, "region:", "internet: {uplink: none}\nregion:", 1)
	with := strings.Replace(without, "uplink: none", "uplink: host", 1)
	l := up(t, without)
	l.asked([][3]string{{"web", "www.outside.example", "NXDOMAIN"}, {"laptop", "www.outside.example", "NXDOMAIN"}})
	equal(t, "questions without uplink", first.Load(), 0)

	l.write(with)
	l.cli("up", l.file)
	l.asked([][3]string{{"web", "www.outside.example", "192.0.2.101"}, {"laptop", "www.outside.example", "192.0.2.101"}, {"db", "+tcp WWW.outside.example", "192.0.2.101"}, {"web", "no.outside.example", "NXDOMAIN"}})
	if n := first.Load(); n < 2 {
		t.Errorf("%d questions reached the host's resolver", n)
	}
	before := first.Load()
	l.asked([][3]string{{"web", "ip-172-30-0-11" + privateZone, "NXDOMAIN"}, {"web", "-x 172.30.0.11", "NXDOMAIN"}, {"web", "-x 192.168.1.1", "NXDOMAIN"},
		{"laptop", "ec2-203-0-113-99" + publicZone, "NXDOMAIN"}, {"web", "nobody.internet", "NXDOMAIN"}, {"web", "www.example.com", "198.51.100.2"}})
	equal(t, "questions about the lab", first.Load()-before, 0)

	set("nameserver 127.53.1.9 # nobody\nnameserver 127.53.1.2\n")
	l.asked([][3]string{{"web", "www.outside.example", "192.0.2.102"}})
	if second.Load() == 0 {
		t.Error("the file's new servers are not asked")
	}
	set("")
	l.asked([][3]string{{"web", "www.outside.example", "SERVFAIL"}})

	l.write(without)
	l.cli("up", l.file)
	l.asked([][3]string{{"web", "www.outside.example", "NXDOMAIN"}})
}
