package flowlog

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/flowlog/record"
	"github.com/vpcemu/vpcemu/internal/packet"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// Addresses of FL-06's example, and others beside them.
const (
	clientIP = "10.0.1.5"
	client2  = "10.0.1.6" // its second address
	natIP    = "10.0.0.220"
	natEIP   = "203.0.113.99"
	webIP    = "10.0.0.62"
	webEIP   = "203.0.113.62"
	serverIP = "203.0.113.5"
)

// site is a VPC with a public subnet (web, a NAT gateway) and a private one (client),
// and a server on the Internet.
type site struct {
	*Lab
	vpc             *VPC
	public, private *Subnet
	web, client     *ENI
	nat             *NAT
	server          *Host
	open            *Group
	watched         map[uint32]*Interface
}

func newSite(t *testing.T) *site {
	l := NewLab(t)
	s := &site{Lab: l, watched: map[uint32]*Interface{}}
	s.vpc = l.VPC("main", "10.0.0.0/16")
	s.public, s.private = s.vpc.Subnet("public", "10.0.0.0/24"), s.vpc.Subnet("private", "10.0.1.0/24")
	s.public.Table = s.vpc.Table("public", "0.0.0.0/0 igw")
	s.private.Table = s.vpc.Table("private", "0.0.0.0/0 nat:nat")
	s.open = l.Open("open")
	s.web = s.public.ENI("web", webIP, s.open).EIP(0, webEIP)
	s.client = s.private.ENI("client", clientIP+" "+client2, s.open)
	s.nat = s.public.NAT("nat", natIP)
	s.nat.ENI.EIP(0, natEIP)
	s.server = l.Host("server", serverIP)
	for _, e := range []*ENI{s.web, s.client, s.nat.ENI} {
		s.watched[e.Handle] = &Interface{Primary: e.Addrs[0], Interface: record.Interface{
			ID: "eni-" + e.Name, Account: "123456789012", Region: "ap-northeast-1", ZoneID: "apne1-az1", VPC: "vpc-main", Subnet: "subnet-" + e.Subnet.Name, Instance: "i-" + e.Name}}
	}
	s.watched[s.nat.ENI.Handle].Instance = ""
	return s
}

// only watches these interfaces.
func (s *site) only(list ...*ENI) map[uint32]*Interface {
	m := map[uint32]*Interface{}
	for _, e := range list {
		m[e.Handle] = s.watched[e.Handle]
	}
	return m
}

// flow is what a meter would read of packets like this one, sent and seen at once.
func (s *site) flow(from interface{ Send([]byte) *Result }, pkt []byte) passage {
	handle := s.server.Handle
	if e, ok := from.(*ENI); ok {
		handle = e.Handle
	}
	h := Parse(pkt)
	p := passage{sent: h.Tuple, steps: s.Engine.Trace(handle, pkt), amount: amount{packets: 1, bytes: uint64(len(pkt)), first: at(2).Unix(), last: at(2).Unix()}}
	if h.IsTCP() {
		p.flags = h.TCPFlags & (packet.FlagFIN | packet.FlagSYN | packet.FlagRST)
		if h.TCPFlags&packet.FlagSYN != 0 {
			p.flags |= h.TCPFlags & packet.FlagACK
		}
	}
	from.Send(pkt)
	return p
}

// passage is what a meter knows of a flow.
type passage struct {
	amount
	from  dataplane.Place
	sent  packet.Tuple
	steps []dataplane.Step
}

func (a *Aggregator) take(list ...passage) {
	for _, p := range list {
		Sightings(p.from, p.sent, p.steps, func(s Sighting) { a.sight(&p.amount, &s) })
	}
}

// at is the Unix time of tests, the begin of a window of 10 seconds.
func at(seconds int) time.Time { return time.Unix(1_700_000_000+int64(seconds), 0) }

// logged are the records that flows make in one window of 10 seconds.
func logged(t *testing.T, format string, traffic Traffic, watched map[uint32]*Interface, flows ...passage) []string {
	t.Helper()
	a := New(Config{Format: parsed(t, format), Interval: 10 * time.Second, Traffic: traffic}, at(0))
	a.Watch(watched)
	a.take(flows...)
	return lines(a.Advance(nil, at(10)))
}

func parsed(t *testing.T, format string) *record.Format {
	t.Helper()
	f, err := record.Parse(format)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func lines(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

func addrOf(s string) netip.Addr { return netip.MustParseAddr(s) }

func portText(p uint16) string { return strconv.Itoa(int(p)) }
