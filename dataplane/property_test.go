package dataplane_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/packet"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// TestPipelineAgreesWithTheOracle builds random small models and sends packets through
// them: fresh ones, answers to what came out, stray ones. Rules change and time passes
// in between. Verdict, port, addresses and TTL must be the oracle's each time.
func TestPipelineAgreesWithTheOracle(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := drawModel(t, rt)
		defer m.lab.Close()
		for range rapid.IntRange(10, 60).Draw(rt, "packets") {
			switch rapid.IntRange(0, 19).Draw(rt, "what") {
			case 0:
				m.lab.Advance(10 * 24 * time.Hour)
				m.oracle.forget()
			case 1:
				m.drawChange(rt)
				m.lab.Apply()
			case 2, 3:
				m.drawGroups(rt)
				m.lab.Apply()
			default:
				m.step(rt)
			}
		}
	})
}

type model struct {
	lab    *Lab
	oracle *oracle
	enis   []*ENI // that can send
	addrs  []string
	last   []sent // what came out of ports, to be answered
	before []sent // what went in
}

// sent is a packet that came out at an ENI's or a host's port.
type sent struct {
	eni  *ENI
	host *Host
	p    oPacket
}

func drawModel(t *testing.T, rt *rapid.T) *model {
	l := newLab(t)
	m := &model{lab: l, oracle: &oracle{lab: l}}
	for i := range 3 {
		l.Group(fmt.Sprintf("g%d", i))
	}
	for i := range rapid.IntRange(1, 2).Draw(rt, "vpcs") {
		m.drawVPC(rt, i)
	}
	for i := range 2 {
		h := l.Host(fmt.Sprintf("host%d", i), fmt.Sprintf("198.51.100.%d", i+1))
		m.addrs = append(m.addrs, h.Addr.String())
	}
	m.addrs = append(m.addrs, "10.9.9.9", "100.64.0.1", "192.0.2.1", "169.254.1.1", "224.0.0.1", "10.0.0.1", "10.0.0.255", "10.0.1.77")
	m.drawChange(rt)
	l.Apply()
	return m
}

func (m *model) drawVPC(rt *rapid.T, n int) {
	v := m.lab.VPC(fmt.Sprintf("v%d", n), fmt.Sprintf("10.%d.0.0/16", n))
	for i := range rapid.IntRange(1, 3).Draw(rt, "subnets") {
		s := v.Subnet(fmt.Sprintf("s%d%d", n, i), fmt.Sprintf("10.%d.%d.0/24", n, i))
		for k := range rapid.IntRange(0, 2).Draw(rt, "enis") {
			a := fmt.Sprintf("10.%d.%d.%d", n, i, 10+k)
			e := s.ENI(fmt.Sprintf("e%d%d%d", n, i, k), a)
			e.NoCheck = rapid.IntRange(0, 3).Draw(rt, "nocheck") == 0
			if rapid.Bool().Draw(rt, "eip") {
				public := fmt.Sprintf("203.0.%d.%d", 100+n, i*16+k)
				e.EIP(0, public)
				m.addrs = append(m.addrs, public)
			}
			m.enis, m.addrs = append(m.enis, e), append(m.addrs, a)
		}
		if rapid.IntRange(0, 2).Draw(rt, "nat") == 0 {
			a := fmt.Sprintf("10.%d.%d.99", n, i)
			g := s.NAT(fmt.Sprintf("n%d%d", n, i), a)
			m.addrs = append(m.addrs, a)
			if rapid.IntRange(0, 3).Draw(rt, "nateip") > 0 {
				public := fmt.Sprintf("203.0.%d.%d", 100+n, i*16+9)
				g.ENI.EIP(0, public)
				m.addrs = append(m.addrs, public)
			}
		}
	}
}

// drawChange draws anew what a user changes while traffic flows.
func (m *model) drawChange(rt *rapid.T) {
	m.drawGroups(rt)
	for _, e := range m.enis {
		e.Groups = nil
		for _, g := range m.lab.Groups {
			if rapid.Bool().Draw(rt, "member") {
				e.Groups = append(e.Groups, g)
			}
		}
	}
	for _, v := range m.lab.VPCs {
		m.drawNetwork(rt, v)
	}
	m.drawFailures(rt)
}

// drawGroups changes rules only; half of the groups are open to all in a direction.
func (m *model) drawGroups(rt *rapid.T) {
	for _, g := range m.lab.Groups {
		g.Rules = nil
		if rapid.Bool().Draw(rt, "all out") {
			g.Rules = append(g.Rules, Out("all", "", "0.0.0.0/0"))
		}
		for range rapid.IntRange(0, 4).Draw(rt, "rules") {
			g.Rules = append(g.Rules, m.drawGroupRule(rt))
		}
	}
}

func (m *model) drawNetwork(rt *rapid.T, v *VPC) {
	v.NoIGW = rapid.IntRange(0, 7).Draw(rt, "noigw") == 0
	targets := []string{"igw", "igw", "blackhole", "eni:gone"}
	var redirects []string
	for _, s := range v.Subnets {
		for _, e := range s.ENIs {
			if e.NAT != nil {
				targets = append(targets, "nat:"+e.NAT.Name, "nat:"+e.NAT.Name)
			} else {
				targets = append(targets, "eni:"+e.Name)
				redirects = append(redirects, "eni:"+e.Name)
			}
		}
	}
	for _, s := range v.Subnets {
		s.Table, s.ACL = drawTable(rt, v, s.Name, targets), drawACL(rt, s.Name)
	}
	v.Edge = nil
	if len(redirects) > 0 && rapid.IntRange(0, 4).Draw(rt, "edge") == 0 {
		to := rapid.SampledFrom(redirects).Draw(rt, "redirect")
		v.Edge = v.Table("edge", v.Subnets[0].CIDR.String()+" "+to)
	}
}

func (m *model) drawGroupRule(rt *rapid.T) filter.GroupRule {
	make := rapid.SampledFrom([]func(proto, ports, cidr string) filter.GroupRule{In, Out}).Draw(rt, "dir")
	proto := rapid.SampledFrom([]string{"all", "all", "tcp", "udp", "icmp", "47"}).Draw(rt, "proto")
	ports := ""
	if proto == "tcp" || proto == "udp" {
		ports = rapid.SampledFrom([]string{"", "1-2", "2-3", "0-65535"}).Draw(rt, "ports")
	}
	if rapid.IntRange(0, 2).Draw(rt, "reference") == 0 {
		return rapid.SampledFrom(m.lab.Groups).Draw(rt, "peer").Refer(make(proto, ports, ""))
	}
	return make(proto, ports, rapid.SampledFrom(someCIDRs).Draw(rt, "cidr"))
}

var someCIDRs = []string{"0.0.0.0/0", "0.0.0.0/0", "10.0.0.0/8", "10.0.1.0/24", "198.51.100.1/32", "203.0.100.0/22"}

func drawTable(rt *rapid.T, v *VPC, name string, targets []string) *Table {
	t := v.Table(name)
	if rapid.IntRange(0, 5).Draw(rt, "default") > 0 {
		t.Routes = append(t.Routes, "0.0.0.0/0 "+rapid.SampledFrom(targets).Draw(rt, "target"))
	}
	if rapid.IntRange(0, 4).Draw(rt, "specific") == 0 {
		other := rapid.SampledFrom(v.Subnets).Draw(rt, "other")
		t.Routes = append(t.Routes, other.CIDR.String()+" "+rapid.SampledFrom(targets[2:]).Draw(rt, "target"))
	}
	return t
}

func drawACL(rt *rapid.T, name string) *ACL {
	if rapid.IntRange(0, 2).Draw(rt, "open") > 0 {
		return nil
	}
	a := &ACL{Name: name}
	for i := range rapid.IntRange(0, 5).Draw(rt, "entries") {
		make := rapid.SampledFrom([]func(int, filter.Direction, string, string, string) filter.ACLRule{Allow, Allow, Deny}).Draw(rt, "verb")
		proto := rapid.SampledFrom([]string{"all", "all", "tcp", "udp", "icmp"}).Draw(rt, "proto")
		ports := ""
		if proto == "tcp" || proto == "udp" {
			ports = rapid.SampledFrom([]string{"", "1-2", "1024-65535"}).Draw(rt, "ports")
		}
		number := 100 - i*7%5*10 + i
		dir := rapid.SampledFrom([]filter.Direction{in, out}).Draw(rt, "dir")
		a.Rules = append(a.Rules, make(number, dir, proto, ports, rapid.SampledFrom(someCIDRs).Draw(rt, "cidr")))
	}
	return a
}

// step sends one packet and compares.
func (m *model) step(rt *rapid.T) {
	s := m.drawPacket(rt)
	m.before = append(m.before, s)
	var r *Result
	if s.eni != nil {
		r = s.eni.Send(s.p.bytes())
		m.oracle.fromENI(s.eni, s.p)
	} else {
		r = s.host.Send(s.p.bytes())
		m.oracle.fromHost(s.host, s.p)
	}
	o := m.oracle
	if r.Event.Reason != o.reason {
		rt.Fatalf("%s\n\toracle: %s, at %s, now %+v", &r.Event, o.reason, o.port, o.p)
	}
	if o.reason != dataplane.Delivered {
		return
	}
	if len(r.Out) != 1 || r.Out[0].Port != o.port {
		rt.Fatalf("%s: %d packets, oracle wants it at %s", &r.Event, len(r.Out), o.port)
	}
	h := Parse(r.Out[0].Packet)
	if err := packet.VerifyChecksums(h.Data); err != nil {
		rt.Fatalf("%s: %v", h.Tuple, err)
	}
	want := packet.Tuple{Src: packet.AddrFrom(o.p.src), Dst: packet.AddrFrom(o.p.dst), SrcPort: o.p.sport, DstPort: o.p.dport, Proto: o.p.proto}
	if h.Tuple != want || h.TTL != o.p.ttl {
		rt.Fatalf("%s ttl %d came out, oracle: %s ttl %d", h.Tuple, h.TTL, want, o.p.ttl)
	}
	m.came(o.port, o.p)
}

// came remembers who could answer.
func (m *model) came(port string, p oPacket) {
	for _, e := range m.enis {
		if e.Name == port {
			m.last = append(m.last, sent{eni: e, p: p})
		}
	}
	for _, h := range m.lab.Hosts {
		if h.Name == port {
			m.last = append(m.last, sent{host: h, p: p})
		}
	}
}

func (m *model) drawPacket(rt *rapid.T) sent {
	if len(m.before) > 0 && rapid.IntRange(0, 3).Draw(rt, "again") == 0 {
		s := rapid.SampledFrom(m.before[max(0, len(m.before)-6):]).Draw(rt, "which")
		s.p.opens = false
		return s
	}
	if len(m.last) > 0 && rapid.IntRange(0, 2).Draw(rt, "answer") > 0 {
		s := rapid.SampledFrom(m.last[max(0, len(m.last)-4):]).Draw(rt, "which")
		if rapid.IntRange(0, 3).Draw(rt, "forward") == 0 {
			return s // a middlebox sends on what it got
		}
		s.p = s.p.reverse()
		s.p.opens, s.p.reply, s.p.ttl, s.p.big = false, s.p.proto == packet.ProtoICMP && !s.p.reply, 64, false
		return s
	}
	var s sent
	p := oPacket{ttl: 64, proto: rapid.SampledFrom([]uint8{6, 6, 17, 17, 1, 47}).Draw(rt, "proto")}
	if len(m.enis) > 0 && rapid.IntRange(0, 3).Draw(rt, "inside") > 0 {
		s.eni = rapid.SampledFrom(m.enis).Draw(rt, "eni")
		p.src = s.eni.Addrs[0]
	} else {
		s.host = rapid.SampledFrom(m.lab.Hosts).Draw(rt, "host")
		p.src = s.host.Addr
	}
	if rapid.IntRange(0, 11).Draw(rt, "spoof") == 0 {
		p.src = netip.MustParseAddr(rapid.SampledFrom(m.addrs).Draw(rt, "src"))
	}
	p.dst = netip.MustParseAddr(rapid.SampledFrom(m.addrs).Draw(rt, "dst"))
	if rapid.IntRange(0, 9).Draw(rt, "short") == 0 {
		p.ttl = uint8(rapid.IntRange(1, 4).Draw(rt, "ttl"))
	}
	p.big = rapid.IntRange(0, 14).Draw(rt, "big") == 0
	switch p.proto {
	case 6, 17:
		p.sport, p.dport = uint16(rapid.IntRange(1, 3).Draw(rt, "sport")), uint16(rapid.IntRange(1, 3).Draw(rt, "dport"))
		p.opens = p.proto == 6 && rapid.IntRange(0, 3).Draw(rt, "syn") > 0
	case 1:
		id := uint16(rapid.IntRange(1, 3).Draw(rt, "id"))
		if p.reply = rapid.IntRange(0, 5).Draw(rt, "pong") == 0; p.reply {
			p.dport = id
		} else {
			p.sport = id
		}
	}
	s.p = p
	return s
}

// bytes is the packet on the wire.
func (p oPacket) bytes() []byte {
	n := 8
	if p.big {
		n = 3000
	}
	src, dst := p.src.String(), p.dst.String()
	from, to := netip.AddrPortFrom(p.src, p.sport).String(), netip.AddrPortFrom(p.dst, p.dport).String()
	var b []byte
	switch p.proto {
	case 6:
		flags := uint8(packet.FlagACK)
		if p.opens {
			flags = packet.FlagSYN
		}
		b = TCP(from, to, flags, n)
	case 17:
		b = UDP(from, to, n)
	case 1:
		if p.reply {
			b = Pong(src, dst, p.dport, n)
		} else {
			b = Ping(src, dst, p.sport, n)
		}
	default:
		b = Proto(p.proto, src, dst)
		if p.big {
			b = packet.BuildUDP(make([]byte, 4096), packet.Tuple{Src: Addr(src), Dst: Addr(dst)}, 64, make([]byte, n))
			b[9], b[10], b[11] = p.proto, 0, 0
			sum := packet.Checksum(b[:20])
			b[10], b[11] = byte(sum>>8), byte(sum)
		}
	}
	if p.big {
		b = DF(b)
	}
	return TTL(b, p.ttl)
}
