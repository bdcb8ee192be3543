package flowlog

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/packet"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

func want(t *testing.T, got []string, lines ...string) {
	t.Helper()
	if diff := cmp.Diff(lines, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestFL03_OneRecordOfAFlowDirectionInterfaceAndAction(t *testing.T) {
	s := newSite(t)
	s.Apply()
	syn, reply := s.flow(s.client, SYN(clientIP+":1000", webIP+":80")), s.flow(s.web, SYNACK(webIP+":80", clientIP+":1000"))
	other, ping := s.flow(s.client, SYN(clientIP+":1001", webIP+":80")), s.flow(s.client, Ping(clientIP, webIP, 7, 20))
	again := syn
	again.amount = amount{packets: 10, bytes: 1000, first: at(4).Unix(), last: at(5).Unix()}
	ping2 := s.flow(s.client, Ping(clientIP, webIP, 8, 20))
	want(t, logged(t, "${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${flow-direction}", All, s.only(s.client, s.web),
		syn, reply, other, ping, again, ping2),
		"eni-client 10.0.0.62 10.0.1.5 80 1000 6 1 40 1700000002 1700000002 ACCEPT ingress",
		"eni-client 10.0.1.5 10.0.0.62 0 0 1 2 96 1700000002 1700000002 ACCEPT egress",
		"eni-client 10.0.1.5 10.0.0.62 1000 80 6 11 1040 1700000002 1700000005 ACCEPT egress",
		"eni-client 10.0.1.5 10.0.0.62 1001 80 6 1 40 1700000002 1700000002 ACCEPT egress",
		"eni-web 10.0.0.62 10.0.1.5 80 1000 6 1 40 1700000002 1700000002 ACCEPT egress",
		"eni-web 10.0.1.5 10.0.0.62 0 0 1 2 96 1700000002 1700000002 ACCEPT ingress",
		"eni-web 10.0.1.5 10.0.0.62 1000 80 6 11 1040 1700000002 1700000005 ACCEPT ingress",
		"eni-web 10.0.1.5 10.0.0.62 1001 80 6 1 40 1700000002 1700000002 ACCEPT ingress")
}

const short = "${interface-id} ${srcaddr} ${dstaddr} ${protocol} ${action} ${flow-direction}"

func TestFL04_RejectIsTheFiltersVerdict(t *testing.T) {
	s := newSite(t)
	s.web.Groups = []*Group{s.Group("ssh", In("tcp", "22", "0.0.0.0/0"))} // and nothing goes out
	s.Apply()
	in, out := s.flow(s.client, SYN(clientIP+":1", webIP+":80")), s.flow(s.web, SYN(webIP+":1", clientIP+":80"))
	want(t, logged(t, short, All, s.only(s.client, s.web), in, out),
		"eni-client 10.0.1.5 10.0.0.62 6 ACCEPT egress",
		"eni-web 10.0.0.62 10.0.1.5 6 REJECT egress",
		"eni-web 10.0.1.5 10.0.0.62 6 REJECT ingress")
	want(t, logged(t, short, Rejected, s.only(s.client, s.web), in, out),
		"eni-web 10.0.0.62 10.0.1.5 6 REJECT egress",
		"eni-web 10.0.1.5 10.0.0.62 6 REJECT ingress",
		"eni-client - - - - -")
	want(t, logged(t, short, Accepted, s.only(s.client), in, out), "eni-client 10.0.1.5 10.0.0.62 6 ACCEPT egress")
}

// A ping that groups and ACL let in, whose reply the ACL does not let out: the group is
// stateful, the ACL is not.
func TestFL05_AcceptedPingAndRejectedReply(t *testing.T) {
	s := newSite(t)
	s.web.Groups = []*Group{s.Group("ping", In("icmp", "", "0.0.0.0/0"))}
	s.public.ACL = &ACL{Name: "deaf", Rules: []filter.ACLRule{Allow(100, filter.Ingress, "all", "", "0.0.0.0/0")}}
	s.Apply()
	request := s.flow(s.server, Ping(serverIP, webEIP, 7, 56))
	reply := s.flow(s.web, Pong(webIP, serverIP, 7, 56))
	want(t, logged(t, "", All, s.only(s.web), request, reply),
		"2 123456789012 eni-web 10.0.0.62 203.0.113.5 0 0 1 1 84 1700000002 1700000002 REJECT OK",
		"2 123456789012 eni-web 203.0.113.5 10.0.0.62 0 0 1 1 84 1700000002 1700000002 ACCEPT OK")
}

func TestFL05_GroupThatDeniesGivesOneReject(t *testing.T) {
	s := newSite(t)
	s.web.Groups = []*Group{s.Group("deaf", Out("all", "", "0.0.0.0/0"))}
	s.Apply()
	want(t, logged(t, "", All, s.only(s.web), s.flow(s.server, Ping(serverIP, webEIP, 7, 56))),
		"2 123456789012 eni-web 203.0.113.5 10.0.0.62 0 0 1 1 84 1700000002 1700000002 REJECT OK")
}

func TestFL06_NATGatewaysFourLines(t *testing.T) {
	s := newSite(t)
	s.Apply()
	port := portText(s.client.Send(SYN(clientIP+":1000", serverIP+":80")).Header().SrcPort)
	out := s.flow(s.client, SYN(clientIP+":1000", serverIP+":80"))
	in := s.flow(s.server, SYNACK(serverIP+":80", natEIP+":"+port))
	const format = "${instance-id} ${interface-id} ${srcaddr} ${dstaddr} ${pkt-srcaddr} ${pkt-dstaddr}"
	want(t, logged(t, format, All, s.only(s.nat.ENI), out, in),
		"- eni-nat-eni 10.0.0.220 203.0.113.5 10.0.0.220 203.0.113.5",
		"- eni-nat-eni 10.0.1.5 10.0.0.220 10.0.1.5 203.0.113.5",
		"- eni-nat-eni 203.0.113.5 10.0.0.220 203.0.113.5 10.0.0.220",
		"- eni-nat-eni 10.0.0.220 10.0.1.5 203.0.113.5 10.0.1.5")
	want(t, logged(t, format, All, s.only(s.client), out, in),
		"i-client eni-client 10.0.1.5 203.0.113.5 10.0.1.5 203.0.113.5",
		"i-client eni-client 203.0.113.5 10.0.1.5 203.0.113.5 10.0.1.5")
}

// A secondary address of the interface shows in pkt-srcaddr and pkt-dstaddr alone, and so
// do the addresses of others that a middlebox forwards.
func TestFL06_OwnSideIsThePrimaryAddress(t *testing.T) {
	s := newSite(t)
	box := s.public.ENI("box", "10.0.0.70", s.open)
	box.NoCheck = true
	s.watched[box.Handle] = &Interface{Primary: box.Addrs[0]}
	s.watched[box.Handle].ID = "eni-box"
	s.private.Table.Routes = append(s.private.Table.Routes, "198.51.100.0/24 eni:box")
	s.Apply()
	const format = "${interface-id} ${srcaddr} ${dstaddr} ${pkt-srcaddr} ${pkt-dstaddr}"
	want(t, logged(t, format, All, s.only(s.client), s.flow(s.client, SYN(client2+":1", webIP+":80")), s.flow(s.web, SYN(webIP+":2", client2+":80"))),
		"eni-client 10.0.0.62 10.0.1.5 10.0.0.62 10.0.1.6",
		"eni-client 10.0.1.5 10.0.0.62 10.0.1.6 10.0.0.62")
	want(t, logged(t, format, All, s.only(box), s.flow(s.client, SYN(clientIP+":1", "198.51.100.7:80")), s.flow(box, SYN(clientIP+":1", webIP+":80"))),
		"eni-box 10.0.0.70 10.0.0.62 10.0.1.5 10.0.0.62",
		"eni-box 10.0.1.5 10.0.0.70 10.0.1.5 198.51.100.7")
}

func TestFL07_TCPFlagsOfTheWindow(t *testing.T) {
	s := newSite(t)
	s.Apply()
	client := func(flags uint8) passage {
		return s.flow(s.client, TCP(clientIP+":1", webIP+":80", flags, 0))
	}
	web := func(flags uint8) passage {
		return s.flow(s.web, TCP(webIP+":80", clientIP+":1", flags, 0))
	}
	const format = "${srcaddr} ${tcp-flags}"
	flags := func(list ...passage) []string { return logged(t, format, All, s.only(s.client), list...) }
	want(t, flags(client(packet.FlagSYN), web(packet.FlagSYN|packet.FlagACK), client(packet.FlagFIN|packet.FlagACK), web(packet.FlagFIN|packet.FlagACK)), "10.0.0.62 19", "10.0.1.5 3")
	want(t, flags(client(packet.FlagACK), web(packet.FlagACK|packet.FlagPSH)), "10.0.0.62 0", "10.0.1.5 0")
	want(t, flags(client(packet.FlagRST|packet.FlagACK), web(packet.FlagSYN|packet.FlagACK)), "10.0.0.62 18", "10.0.1.5 4")
	want(t, flags(s.flow(s.client, UDP(clientIP+":1", webIP+":53", 20))), "10.0.1.5 0")
}

func TestFL08_TrafficPath(t *testing.T) {
	s := newSite(t)
	neighbour := s.private.ENI("neighbour", "10.0.1.9", s.open)
	s.public.Table.Routes = append(s.public.Table.Routes, "192.0.2.0/24 blackhole")
	s.Apply()
	const format = "${flow-direction} ${traffic-path}"
	path := func(e *ENI, f ...passage) []string { return logged(t, format, All, s.only(e), f...) }
	want(t, path(s.client, s.flow(s.client, SYN(clientIP+":1", webIP+":80"))), "egress 1")                         // local route
	want(t, path(s.client, s.flow(s.client, SYN(clientIP+":1", neighbour.Addrs[0].String()+":80"))), "egress 1")   // same subnet
	want(t, path(s.client, s.flow(s.client, SYN(clientIP+":1", "10.0.1.77:80"))), "egress 1")                      // nobody there
	want(t, path(s.client, s.flow(s.client, SYN(clientIP+":1", "10.0.0.77:80"))), "egress 1")                      // nor there
	want(t, path(s.client, s.flow(s.client, SYN(clientIP+":1", serverIP+":80"))), "egress 1")                      // through another interface
	want(t, path(s.web, s.flow(s.web, SYN(webIP+":1", serverIP+":80"))), "egress 8")                               // Internet gateway
	want(t, path(s.web, s.flow(s.web, SYN(webIP+":1", "192.0.2.1:80"))), "egress -")                               // nowhere
	want(t, path(s.web, s.flow(s.server, SYN(serverIP+":1", webEIP+":80"))), "ingress -")                          // only on the way out
	want(t, path(s.nat.ENI, s.flow(s.client, SYN(clientIP+":2", serverIP+":80"))), "egress 8", "ingress -")        // of the gateway
	want(t, path(s.web, s.flow(s.web, SYN(webIP+":1", natEIP+":80")), s.flow(s.web, SYN(webIP+":1", webIP+":9"))), // hairpin
		"ingress -", "egress 1", "egress 8")
	s.watched[s.web.Handle].Old = true
	want(t, path(s.web, s.flow(s.web, SYN(webIP+":1", serverIP+":80"))), "egress 2")
}

func TestFL09_NotLogged(t *testing.T) {
	s := newSite(t)
	s.vpc.Services, s.vpc.Resolver = NewPort("resolver"), append(s.vpc.Resolver, addrOf("10.0.0.2"))
	s.Apply()
	for what, f := range map[string]passage{
		"the resolver":         s.flow(s.client, UDP(clientIP+":1000", "10.0.0.2:53", 30)),
		"DHCP":                 s.flow(s.client, UDP(clientIP+":68", "10.0.1.1:67", 300)),
		"metadata":             s.flow(s.client, SYN(clientIP+":1000", "169.254.169.254:80")),
		"the time service":     s.flow(s.client, UDP(clientIP+":1000", "169.254.169.123:123", 48)),
		"Windows activation":   s.flow(s.client, SYN(clientIP+":1000", "169.254.169.250:1688")),
		"the router":           s.flow(s.client, Ping(clientIP, "10.0.1.1", 7, 20)),
		"reserved addresses":   s.flow(s.client, Ping(clientIP, "10.0.0.3", 7, 20)),
		"broadcast":            s.flow(s.client, UDP(clientIP+":1", "255.255.255.255:9", 20)),
		"what is not its own":  s.flow(s.client, SYN("10.0.1.200:1", webIP+":80")),
		"a malformed datagram": {steps: []dataplane.Step{{Stage: dataplane.StageParse, End: true, Reason: dataplane.PacketMalformed}}, amount: amount{packets: 1}},
	} {
		t.Run(what, func(t *testing.T) {
			want(t, logged(t, "${interface-id} ${log-status}", All, s.only(s.client), f), "eni-client NODATA")
		})
	}
	// Nor are the resolver's answers, of which the way begins at the services port.
	reply := s.Engine.Trace(s.client.Handle, UDP(clientIP+":1000", webIP+":53", 30))
	Sightings(dataplane.Place{Services: &dataplane.VPC{}}, packet.Tuple{}, reply, func(x Sighting) { t.Errorf("a sighting at %s", x.ENI.ID) })
	// A name or time server of one's own is logged like anything (EX-02).
	want(t, logged(t, short, All, s.only(s.client), s.flow(s.client, UDP(clientIP+":1000", webIP+":53", 30))), "eni-client 10.0.1.5 10.0.0.62 17 ACCEPT egress")
}

func TestFL11_RoutingDropsAreAccepted(t *testing.T) {
	s := newSite(t)
	lonely := s.public.ENI("lonely", "10.0.0.80", s.open) // without a public address
	s.watched[lonely.Handle] = &Interface{Primary: lonely.Addrs[0]}
	s.watched[lonely.Handle].ID = "eni-lonely"
	s.private.Table = s.vpc.Table("cut", "192.0.2.0/24 blackhole", "198.51.100.0/24 eni:web")
	s.Apply()
	for what, c := range map[string]struct {
		from *ENI
		to   string
		end  dataplane.Reason
		want []string
	}{
		"no route":          {s.client, serverIP, dataplane.NoRoute, []string{"eni-client ACCEPT egress"}},
		"blackhole":         {s.client, "192.0.2.1", dataplane.BlackholeRoute, []string{"eni-client ACCEPT egress"}},
		"nobody there":      {s.client, "10.0.0.77", dataplane.AddressUnassigned, []string{"eni-client ACCEPT egress"}},
		"no public address": {lonely, serverIP, dataplane.IGWNoPublicAddress, []string{"eni-lonely ACCEPT egress"}},
		"destination check": {s.client, "198.51.100.7", dataplane.SourceDestCheck, []string{"eni-client ACCEPT egress", "eni-web ACCEPT ingress"}},
		"nobody outside":    {s.web, "198.51.100.7", dataplane.InternetUnreachable, []string{"eni-web ACCEPT egress"}},
	} {
		t.Run(what, func(t *testing.T) {
			f := s.flow(c.from, SYN(c.from.Addrs[0].String()+":1", c.to+":80"))
			if last := f.steps[len(f.steps)-1]; last.Reason != c.end {
				t.Fatalf("it ended with %s", last.Reason)
			}
			want(t, logged(t, "${interface-id} ${action} ${flow-direction}", Accepted, s.only(c.from, s.web), f)[:len(c.want)], c.want...)
		})
	}
}

// What comes to a NAT gateway unasked is accepted at its interface and goes no further.
func TestFL11_ProbesOfANATGateway_NA10(t *testing.T) {
	s := newSite(t)
	s.Apply()
	want(t, logged(t, short, All, s.only(s.nat.ENI, s.client), s.flow(s.server, SYN(serverIP+":1", natEIP+":22"))),
		"eni-nat-eni 203.0.113.5 10.0.0.220 6 ACCEPT ingress",
		"eni-client - - - - -")
	s.public.ACL = &ACL{Name: "shut", Rules: []filter.ACLRule{Allow(100, filter.Ingress, "all", "", "10.0.0.0/8"), Allow(100, filter.Egress, "all", "", "10.0.0.0/8")}}
	s.Apply()
	want(t, logged(t, short, All, s.only(s.nat.ENI), s.flow(s.server, SYN(serverIP+":2", natEIP+":22")), s.flow(s.client, SYN(clientIP+":5", serverIP+":80"))),
		"eni-nat-eni 10.0.0.220 203.0.113.5 6 REJECT egress",
		"eni-nat-eni 10.0.1.5 10.0.0.220 6 ACCEPT ingress",
		"eni-nat-eni 203.0.113.5 10.0.0.220 6 REJECT ingress")
}
