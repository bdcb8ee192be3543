package flowlog

import (
	"fmt"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/packet"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// pipeline is a site whose engine is metered.
type pipeline struct {
	*site
	meter  *dataplane.Meter
	gather *Aggregator
	offset int64
}

func newPipeline(t *testing.T, s *site, format string, watched map[uint32]*Interface) *pipeline {
	t.Helper()
	s.Apply()
	p := &pipeline{site: s, meter: s.Engine.Meter(time.Hour, 16), offset: at(0).UnixNano() - s.Now()}
	t.Cleanup(p.meter.Close)
	p.gather = New(Config{Format: parsed(t, format), Interval: 10 * time.Second}, at(0))
	p.gather.Watch(watched)
	return p
}

// records are those of the window of 10 seconds that is over.
func (p *pipeline) records(t *testing.T) []string {
	t.Helper()
	p.Advance(10 * time.Second)
	p.Engine.Collect()
	for {
		select {
		case r := <-p.meter.C:
			p.gather.Add(r, p.offset)
		default:
			return lines(p.gather.Advance(nil, time.Unix(0, p.Now()+p.offset)))
		}
	}
}

// Every packet counts, whether it took the stages, the flow cache, or came in as a part
// of a super-packet.
func TestPipeline_TrueCounts(t *testing.T) {
	s := newSite(t)
	s.client.Port.Offload = true
	p := newPipeline(t, s, "${interface-id} ${srcport} ${dstport} ${tcp-flags} ${packets} ${bytes} ${start} ${end} ${action}", s.only(s.client, s.web))
	s.client.SendSuper(SYN(clientIP+":1000", webIP+":80"), 0).Want(At("web"))
	s.web.Send(SYNACK(webIP+":80", clientIP+":1000")).Want(At("client"))
	for range 20 {
		s.client.SendSuper(TCP(clientIP+":1000", webIP+":80", packet.FlagACK, 60), 0).Want(At("web"))
	}
	s.Advance(3 * time.Second)
	s.client.SendSuper(TCP(clientIP+":1000", webIP+":80", packet.FlagACK|packet.FlagPSH, 10_000), 1000) // ten segments
	s.web.Send(ACK(webIP+":80", clientIP+":1000")).Want(At("client"))
	s.client.SendSuper(TCP(clientIP+":1000", webIP+":80", packet.FlagFIN|packet.FlagACK, 0), 0).Want(At("web"))
	out, back := "1000 80 3 32 12480 1700000000 1700000003 ACCEPT", "80 1000 18 2 80 1700000000 1700000003 ACCEPT" // 40 + 20*100 + 10*1040 + 40
	want(t, p.records(t), "eni-client "+back, "eni-client "+out, "eni-web "+back, "eni-web "+out)
	want(t, p.records(t), "eni-client - - - - - 1700000010 1700000019 -", "eni-web - - - - - 1700000010 1700000019 -")
}

func TestPipeline_FL05_PingWhoseReplyTheACLDenies(t *testing.T) {
	s := newSite(t)
	s.web.Groups = []*Group{s.Group("ping", In("icmp", "", "0.0.0.0/0"))}
	s.public.ACL = &ACL{Name: "deaf", Rules: []filter.ACLRule{Allow(100, filter.Ingress, "all", "", "0.0.0.0/0")}}
	p := newPipeline(t, s, "", s.only(s.web))
	for range 3 {
		s.server.Send(Ping(serverIP, webEIP, 7, 56)).Want(At("web"))
		s.web.Send(Pong(webIP, serverIP, 7, 56)).Want(Dropped(dataplane.ACLDenied))
	}
	want(t, p.records(t),
		"2 123456789012 eni-web 10.0.0.62 203.0.113.5 0 0 1 3 252 1700000000 1700000000 REJECT OK",
		"2 123456789012 eni-web 203.0.113.5 10.0.0.62 0 0 1 3 252 1700000000 1700000000 ACCEPT OK")
}

func TestPipeline_FL06_NATGatewaysFourLines(t *testing.T) {
	s := newSite(t)
	p := newPipeline(t, s, "${srcaddr} ${dstaddr} ${pkt-srcaddr} ${pkt-dstaddr} ${dstport} ${packets} ${bytes} ${flow-direction} ${traffic-path}", s.only(s.nat.ENI))
	port := portText(s.client.Send(SYN(clientIP+":1000", serverIP+":22")).Want(At("server")).Header().SrcPort)
	s.server.Send(SYNACK(serverIP+":22", natEIP+":"+port)).Want(At("client"))
	for range 10 {
		s.client.Send(TCP(clientIP+":1000", serverIP+":22", packet.FlagACK, 10)).Want(At("server"))
		s.server.Send(TCP(serverIP+":22", natEIP+":"+port, packet.FlagACK, 60)).Want(At("client"))
	}
	want(t, p.records(t),
		"10.0.0.220 203.0.113.5 10.0.0.220 203.0.113.5 22 11 540 egress 8",
		"10.0.1.5 10.0.0.220 10.0.1.5 203.0.113.5 22 11 540 ingress -",
		"203.0.113.5 10.0.0.220 203.0.113.5 10.0.0.220 "+port+" 11 1040 ingress -",
		"10.0.0.220 10.0.1.5 203.0.113.5 10.0.1.5 1000 11 1040 egress 1")
}

func TestPipeline_FL09_ResolverIsNotLogged(t *testing.T) {
	s := newSite(t)
	s.vpc.Services, s.vpc.Resolver = NewPort("resolver"), append(s.vpc.Resolver, addrOf("10.0.0.2"))
	p := newPipeline(t, s, "${interface-id} ${log-status}", s.only(s.client))
	s.client.Send(UDP(clientIP+":1000", "10.0.0.2:53", 30)).Want(Ended(dataplane.ToResolver))
	s.vpc.SendServices(UDP("10.0.0.2:53", clientIP+":1000", 100)).Want(At("client"))
	want(t, p.records(t), "eni-client NODATA")
}

// A change of the model in the middle of a window: the same interface goes on, and a flow
// that is cut has both verdicts.
func TestPipeline_RuleRemovedInTheWindow(t *testing.T) {
	s := newSite(t)
	g := s.Group("web", In("tcp", "80", "0.0.0.0/0"), Out("all", "", "0.0.0.0/0"))
	s.web.Groups = []*Group{g}
	p := newPipeline(t, s, "${srcport} ${packets} ${action} ${log-status}", s.only(s.web))
	s.client.Send(SYN(clientIP+":1", webIP+":80")).Want(At("web"))
	s.client.Send(ACK(clientIP+":1", webIP+":80")).Want(At("web"))
	g.Rules = g.Rules[1:]
	s.Apply()
	p.gather.Watch(p.only(s.web))
	s.client.Send(ACK(clientIP+":1", webIP+":80")).Want(Dropped(dataplane.SGHasNoRules))
	want(t, p.records(t), "1 2 ACCEPT OK", "1 1 REJECT OK")
}

// More flows than a meter takes make SKIPDATA; what it took is in the log.
func TestPipeline_FL04_SkippedByTheMeter(t *testing.T) {
	s := newSite(t)
	p := newPipeline(t, s, "${interface-id} ${packets} ${log-status}", s.only(s.client, s.web))
	slow := s.Engine.Meter(time.Hour, 1)
	defer slow.Close()
	p.meter = slow
	for i := range 3 { // two readings too many for its buffer
		s.client.Send(SYN(clientIP+":"+fmt.Sprint(1000+i), webIP+":80")).Want(At("web"))
		s.Engine.Collect()
	}
	want(t, p.records(t), "eni-client 1 OK", "eni-web 1 OK")
	s.client.Send(SYN(clientIP+":2000", webIP+":80")).Want(At("web"))
	want(t, p.records(t), "eni-client 1 OK", "eni-web 1 OK", "eni-client - SKIPDATA", "eni-web - SKIPDATA")
}
