package probe

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/vpcemu/vpcemu/internal/packet"
)

// limit is for waits that nothing should come near.
const limit = 20 * time.Second

var number atomic.Int32

var (
	client = netip.MustParseAddr("10.9.0.2")
	server = netip.MustParseAddr("10.9.0.3")
	second = netip.MustParseAddr("10.9.0.4")
)

// link is two network namespaces with a wire between them.
type link struct {
	t            *testing.T
	nameA, nameB string
}

func newLink(t *testing.T) *link {
	t.Helper()
	n := number.Add(1)
	l := &link{t, fmt.Sprintf("vpcemu-probe%d-%da", os.Getpid(), n), fmt.Sprintf("vpcemu-probe%d-%db", os.Getpid(), n)}
	for _, name := range []string{l.nameA, l.nameB} {
		run(t, "ip netns add "+name)
		t.Cleanup(func() { run(t, "ip netns del "+name) })
		run(t, "ip -n "+name+" link set lo up")
	}
	run(t, fmt.Sprintf("ip -n %s link add v0 type veth peer name v0 netns %s", l.nameA, l.nameB))
	for name, addr := range map[string]netip.Addr{l.nameA: client, l.nameB: server} {
		run(t, fmt.Sprintf("ip -n %s addr add %s/24 dev v0", name, addr))
		run(t, "ip -n "+name+" link set v0 up")
	}
	return l
}

func run(t *testing.T, line string) {
	t.Helper()
	args := strings.Fields(line)
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
}

func (l *link) spec(proto uint8, port uint16) Spec {
	return Spec{From: "/run/netns/" + l.nameA, To: "/run/netns/" + l.nameB, Destination: server, Local: server, Protocol: proto, Port: port}
}

// firewall makes a chain of a namespace that drops what match says.
func (l *link) firewall(name, hook, match string) {
	l.t.Helper()
	nft := "ip netns exec " + name + " nft add "
	run(l.t, nft+"table ip probe")
	run(l.t, nft+"chain ip probe "+hook+" { type filter hook "+hook+" priority 0 ; }")
	run(l.t, nft+"rule ip probe "+hook+" "+match+" drop")
}

// listen serves the port at the receiver with f.
func (l *link) listen(f func() (func(), error)) {
	l.t.Helper()
	var stop func()
	err := in("/run/netns/"+l.nameB, func() (err error) {
		stop, err = f()
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(stop)
}

func open(t *testing.T, spec Spec) *Probe {
	t.Helper()
	p, err := Open(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// waits collects events until each of want has come, and sends datagrams again meanwhile.
func waits(t *testing.T, p *Probe, want ...What) map[What]Event {
	t.Helper()
	got := map[What]Event{}
	timeout := time.After(limit)
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		missing := false
		for _, w := range want {
			_, ok := got[w]
			missing = missing || !ok
		}
		if !missing {
			return got
		}
		select {
		case e := <-p.c:
			got[e.What] = e
		case <-again.C:
			if err := p.Send(); err != nil {
				t.Fatal(err)
			}
		case <-timeout:
			t.Fatalf("events %v came, %v were to", got, want)
		}
	}
}

func send(t *testing.T, p *Probe) {
	t.Helper()
	if err := p.Send(); err != nil {
		t.Fatal(err)
	}
}

func tuple(t *testing.T, p *Probe, arrived Event) {
	t.Helper()
	sent := p.Tuple()
	if sent.Src.Netip() != client || sent.Dst.Netip() != server || sent.SrcPort == 0 {
		t.Errorf("sent %s", sent)
	}
	if arrived.Tuple != sent {
		t.Errorf("%s was sent, %s arrived", sent, arrived.Tuple)
	}
}

func TestTCP(t *testing.T) {
	l := newLink(t)
	p := open(t, l.spec(packet.ProtoTCP, 80))
	send(t, p)
	tuple(t, p, waits(t, p, Arrived, Refused)[Arrived])

	l.listen(func() (func(), error) {
		s, err := net.Listen("tcp4", server.String()+":80")
		return func() { s.Close() }, err
	})
	p = open(t, l.spec(packet.ProtoTCP, 80))
	send(t, p)
	tuple(t, p, waits(t, p, Arrived, Connected)[Arrived])
}

func TestUDP(t *testing.T) {
	l := newLink(t)
	p := open(t, l.spec(packet.ProtoUDP, 53))
	send(t, p)
	got := waits(t, p, Arrived, Replied)
	tuple(t, p, got[Arrived])

	// Where a program has the port, it gets the datagram, and need not answer.
	var program net.PacketConn
	l.listen(func() (stop func(), err error) {
		program, err = net.ListenPacket("udp4", ":54")
		return func() { program.Close() }, err
	})
	p = open(t, l.spec(packet.ProtoUDP, 54))
	send(t, p)
	got = waits(t, p, Arrived, Replied)
	if _, refused := got[Refused]; refused {
		t.Error("the port counts as closed")
	}
	buf := make([]byte, 100)
	_ = program.SetReadDeadline(time.Now().Add(limit))
	if n, _, err := program.ReadFrom(buf); err != nil || !p.isPayload(buf[:n]) {
		t.Errorf("the program got %q, %v", buf[:n], err)
	}
}

// TestDNSServerAnswers: to a server of DNS the datagram is a question.
func TestDNSServerAnswers(t *testing.T) {
	for range 20 {
		p := Probe{spec: Spec{Protocol: packet.ProtoUDP, Port: 53}}
		p.nonce = newNonce(p.spec)
		var m dns.Msg
		if err := m.Unpack(p.payload()); err != nil || m.Response || m.Opcode != dns.OpcodeQuery || !m.RecursionDesired || len(m.Question) != 1 ||
			m.Question[0].Name != "vpcemu-check." || m.Question[0].Qtype != dns.TypeA || m.Question[0].Qclass != dns.ClassINET {
			t.Fatalf("%v: %s", err, m.String())
		}
	}
}

func TestICMP(t *testing.T) {
	l := newLink(t)
	p := open(t, l.spec(packet.ProtoICMP, 0))
	send(t, p)
	tuple(t, p, waits(t, p, Arrived, Replied)[Arrived])
}

func TestSourceIsBound(t *testing.T) {
	l := newLink(t)
	run(t, fmt.Sprintf("ip -n %s addr add %s/24 dev v0", l.nameA, second))
	for _, proto := range []uint8{packet.ProtoTCP, packet.ProtoUDP, packet.ProtoICMP} {
		spec := l.spec(proto, 7)
		spec.Source = second
		p := open(t, spec)
		send(t, p)
		if e := waits(t, p, Arrived)[Arrived]; e.Tuple.Src.Netip() != second || p.Tuple().Src.Netip() != second {
			t.Errorf("protocol %d: sent %s, arrived %s", proto, p.Tuple(), e.Tuple)
		}
	}
	spec := l.spec(packet.ProtoUDP, 7)
	spec.Source = netip.MustParseAddr("10.9.0.77")
	if _, err := Open(spec); !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Errorf("an address that the sender does not have: %v", err)
	}
}

// TestFirewalls: what a firewall of the receiver drops has arrived, and has no answer,
// also where the probe itself would answer.
func TestFirewalls(t *testing.T) {
	l := newLink(t)
	l.listen(func() (func(), error) {
		s, err := net.ListenPacket("udp4", ":54")
		return func() { s.Close() }, err
	})
	l.firewall(l.nameB, "input", "ip saddr "+client.String())
	var all []*Probe
	for _, spec := range []Spec{l.spec(packet.ProtoTCP, 80), l.spec(packet.ProtoUDP, 53), l.spec(packet.ProtoUDP, 54), l.spec(packet.ProtoICMP, 0)} {
		p := open(t, spec)
		send(t, p)
		waits(t, p, Arrived)
		all = append(all, p)
	}
	// What would be an answer to the first has come by the time that one sent later has
	// its own.
	run(t, "ip netns exec "+l.nameB+" nft flush ruleset")
	p := open(t, l.spec(packet.ProtoICMP, 0))
	send(t, p)
	waits(t, p, Replied)
	for i, p := range all[1:] { // TCP, the first, sends again by itself, and is let in now
		for len(p.c) > 0 {
			if e := <-p.c; e.What != Arrived {
				t.Errorf("probe %d: %+v", i+1, e)
			}
		}
	}
}

// TestSenderOwnTrouble: no route, or its own firewall, is an error of Send or Open.
func TestSenderOwnTrouble(t *testing.T) {
	l := newLink(t)
	for _, proto := range []uint8{packet.ProtoTCP, packet.ProtoUDP, packet.ProtoICMP} {
		spec := l.spec(proto, 9)
		spec.Destination = netip.MustParseAddr("192.0.2.1")
		p, err := Open(spec)
		if err == nil {
			err = p.Send()
			p.Close()
		}
		if !errors.Is(err, unix.ENETUNREACH) {
			t.Errorf("protocol %d without a route: %v", proto, err)
		}
	}
	l.firewall(l.nameA, "output", "meta l4proto udp")
	p := open(t, l.spec(packet.ProtoUDP, 9))
	if err := p.Send(); !errors.Is(err, unix.EPERM) {
		t.Errorf("through a firewall that drops it: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	l := newLink(t)
	good := l.spec(packet.ProtoTCP, 80)
	for what, change := range map[string]func(*Spec){
		"no such namespace":   func(s *Spec) { s.From = "/run/netns/vpcemu-none" },
		"no such receiver":    func(s *Spec) { s.To = "/run/netns/vpcemu-none" },
		"a file":              func(s *Spec) { s.From = "/etc/hostname" },
		"another protocol":    func(s *Spec) { s.Protocol = 47 },
		"IPv6":                func(s *Spec) { s.Destination = netip.IPv6Loopback() },
		"no address to reach": func(s *Spec) { s.Local = netip.Addr{} },
	} {
		spec := good
		change(&spec)
		if p, err := Open(spec); err == nil {
			p.Close()
			t.Errorf("%s: no error", what)
		}
	}
}

// TestManyAtOnce: probes to one port do not take each other's answers.
func TestManyAtOnce(t *testing.T) {
	l := newLink(t)
	for _, proto := range []uint8{packet.ProtoUDP, packet.ProtoTCP, packet.ProtoICMP} {
		var all []*Probe
		for range 40 {
			p := open(t, l.spec(proto, 53))
			send(t, p)
			all = append(all, p)
		}
		for _, p := range all {
			answer := Replied
			if proto == packet.ProtoTCP {
				answer = Refused
			}
			tuple(t, p, waits(t, p, Arrived, answer)[Arrived])
		}
	}
}
