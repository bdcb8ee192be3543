package dataplane_test

import (
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/conntrack"
	"github.com/vpcemu/vpcemu/internal/packet"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

func TestSG01_UnionOfAllowRules(t *testing.T) {
	b := newBook(t)
	ssh := b.Group("ssh", In("tcp", "22", "0.0.0.0/0"))
	http := b.Group("http", In("tcp", "80", "172.30.0.0/24"))
	b.db.Groups = []*Group{ssh, http}
	b.Apply()
	b.web.Send(SYN(webIP+":1", dbIP+":22")).Want(At("db"))
	b.web.Send(SYN(webIP+":1", dbIP+":80")).Want(At("db"))
	b.web.Send(SYN(webIP+":1", dbIP+":81")).Want(Dropped(dataplane.SGRulesMismatch))
	b.web.Send(UDP(webIP+":1", dbIP+":80", 4)).Want(Dropped(dataplane.SGRulesMismatch))
	// No egress rule at all: nothing but replies leaves.
	b.db.Send(SYN(dbIP+":1", webIP+":80")).Want(Dropped(dataplane.SGHasNoRules))
	b.db.Send(SYNACK(dbIP+":22", webIP+":1")).Want(At("web"))
}

func TestSG03_AppliesWithinSubnet(t *testing.T) {
	b := newBook(t)
	b.public.ENI("web2", "172.30.0.11", b.Group("closed", In("tcp", "22", "0.0.0.0/0")))
	b.Apply()
	b.web.Send(SYN(webIP+":1", "172.30.0.11:80")).Want(Dropped(dataplane.SGRulesMismatch))
	b.web.Send(SYN(webIP+":1", "172.30.0.11:22")).Want(At("web2"))
}

func TestSG05_ProtocolsWithoutPortsIgnoreThem(t *testing.T) {
	b := newBook(t)
	b.db.Groups = []*Group{b.Group("gre", In("47", "22", "0.0.0.0/0"), In("icmp", "8/0", "0.0.0.0/0"))}
	b.Apply()
	b.web.Send(Proto(47, webIP, dbIP)).Want(At("db"))
	b.web.Send(Proto(50, webIP, dbIP)).Want(Dropped(dataplane.SGRulesMismatch))
	b.web.Send(Ping(webIP, dbIP, 3, 8)).Want(At("db"))
	b.web.Send(Pong(webIP, dbIP, 4, 8)).Want(Dropped(dataplane.SGRulesMismatch))
}

func TestSG08_ReferenceMatchesPrivateAddressesOnly(t *testing.T) {
	b := newBook(t)
	app := b.Group("app", Out("all", "", "0.0.0.0/0"))
	b.web.Groups = []*Group{app}
	b.db.Groups = []*Group{b.Group("db", app.Refer(In("tcp", "3306", "")))}
	b.db.EIP(0, "203.0.113.20")
	b.private.Table = b.public.Table
	b.Apply()
	b.web.Send(SYN(webIP+":1", dbIP+":3306")).Want(At("db"))
	b.web.Send(SYN(webIP+":2", "203.0.113.20:3306")).Want(Dropped(dataplane.SGReferencesNotPreserved))
}

func TestSG08_EgressReferenceMatchesTheDestinationsGroups(t *testing.T) {
	b := newBook(t)
	dbs := b.Group("dbs", In("all", "", "0.0.0.0/0"))
	b.db.Groups = []*Group{dbs}
	b.web.Groups = []*Group{b.Group("web", dbs.Refer(Out("tcp", "3306", "")))}
	b.Apply()
	b.web.Send(SYN(webIP+":1", dbIP+":3306")).Want(At("db"))
	b.web.Send(SYN(webIP+":1", serverIP+":3306")).Want(Dropped(dataplane.SGRulesMismatch))
}

func TestSG02_DefaultGroupNamesItself(t *testing.T) {
	b := newBook(t)
	self := b.Group("default", Out("all", "", "0.0.0.0/0"))
	self.Rules = append(self.Rules, self.Refer(In("all", "", "")))
	b.web.Groups, b.db.Groups = []*Group{self}, []*Group{self}
	b.Apply()
	b.web.Send(SYN(webIP+":1", dbIP+":3306")).Want(At("db"))
	b.laptop.Send(SYN(laptopIP+":1", webEIP+":22")).Want(Dropped(dataplane.SGRulesMismatch))
}

func TestSG09_IdentityIsLostBehindANATGateway(t *testing.T) {
	b := newBook(t)
	b.db.Groups = []*Group{b.Group("app", Out("all", "", "0.0.0.0/0"))}
	b.web.Groups = []*Group{b.Group("web", b.db.Groups[0].Refer(In("tcp", "80", "")))}
	b.Apply()
	b.db.Send(SYN(dbIP+":1", webIP+":80")).Want(At("web"))
	b.db.Send(SYN(dbIP+":2", webEIP+":80")).Want(Dropped(dataplane.SGReferencesNotPreserved))
	// Also where the gateway's private address is all that is seen.
	b.private.Table.Routes = append(b.private.Table.Routes, "172.30.0.0/24 nat:nat")
	b.Apply()
	b.db.Send(SYN(dbIP+":3", webIP+":80")).Want(Dropped(dataplane.SGReferencesNotPreserved))
}

func TestSG11_RuleChangesAreSeenByTheNextPacket(t *testing.T) {
	b := newBook(t)
	g := b.Group("db")
	b.db.Groups = []*Group{g}
	b.Apply()
	b.web.Send(SYN(webIP+":1", dbIP+":80")).Want(Dropped(dataplane.SGHasNoRules))
	g.Rules = append(g.Rules, In("tcp", "80", "172.30.0.0/16"))
	b.Apply()
	b.web.Send(SYN(webIP+":1", dbIP+":80")).Want(At("db"))
}

func TestCT01_RepliesPassWithoutARule(t *testing.T) {
	for _, c := range []struct {
		name string
		open func(src, dst string) []byte
	}{
		{"tcp", func(s, d string) []byte { return SYN(s+":1000", d+":22") }},
		{"udp", func(s, d string) []byte { return UDP(s+":1000", d+":22", 4) }},
		{"icmp", func(s, d string) []byte { return Ping(s, d, 77, 4) }},
		{"gre", func(s, d string) []byte { return Proto(47, s, d) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook(t)
			b.web.Groups = []*Group{b.Group("out", Out("all", "", "172.30.0.0/16"))}
			b.db.Groups = []*Group{b.Group("in", In("all", "", "172.30.0.0/16"))}
			b.Apply()
			p := c.open(webIP, dbIP)
			b.db.Send(Reply(p)).Want(Dropped(dataplane.SGHasNoRules))
			b.web.Send(p).Want(At("db"))
			b.db.Send(Reply(p)).Want(At("web"))
		})
	}
}

func TestCT01_ReplyWindowOfOtherProtocolsIs600s(t *testing.T) {
	b := newBook(t)
	b.web.Groups = []*Group{b.Group("out", Out("all", "", "172.30.0.0/16"))}
	b.Apply()
	b.web.Send(Proto(47, webIP, dbIP)).Want(At("db"))
	b.Advance(599 * time.Second)
	b.db.Send(Proto(47, dbIP, webIP)).Want(At("web"))
	b.Advance(601 * time.Second)
	b.db.Send(Proto(47, dbIP, webIP)).Want(Dropped(dataplane.SGHasNoRules))
}

// outOnly is the book with a web server that may only answer what it asked.
func outOnly(t *testing.T) *book {
	b := newBook(t)
	b.web.Groups = []*Group{b.Group("out", Out("all", "", "172.30.0.0/16"))}
	b.Apply()
	return b
}

func TestCT02_EstablishedTCPLasts432000s(t *testing.T) {
	b := outOnly(t)
	b.web.Send(SYN(webIP+":1", dbIP+":22")).Want(At("db"))
	b.db.Send(SYNACK(dbIP+":22", webIP+":1")).Want(At("web"))
	b.web.Send(ACK(webIP+":1", dbIP+":22")).Want(At("db"))
	b.Advance(431999 * time.Second)
	b.db.Send(ACK(dbIP+":22", webIP+":1")).Want(At("web"))
	b.Advance(432001 * time.Second)
	b.db.Send(ACK(dbIP+":22", webIP+":1")).Want(Dropped(dataplane.SGHasNoRules))
}

func TestCT02_TimeoutsArePerENI(t *testing.T) {
	b := newBook(t)
	b.web.Groups = []*Group{b.Group("out", Out("all", "", "172.30.0.0/16"))}
	to := conntrack.DefaultTimeouts()
	to.UDP = 60 * time.Second
	b.web.Timeouts = &to
	b.Apply()
	b.web.Send(UDP(webIP+":1", dbIP+":5000", 4)).Want(At("db"))
	b.Advance(59 * time.Second)
	b.db.Send(UDP(dbIP+":5000", webIP+":1", 4)).Want(At("web"))
}

func TestCT02_UDPStreamLasts180s(t *testing.T) {
	b := outOnly(t)
	for range 2 {
		b.web.Send(UDP(webIP+":1", dbIP+":5000", 4)).Want(At("db"))
		b.db.Send(UDP(dbIP+":5000", webIP+":1", 4)).Want(At("web"))
	}
	b.Advance(179 * time.Second)
	b.db.Send(UDP(dbIP+":5000", webIP+":1", 4)).Want(At("web"))
	b.Advance(181 * time.Second)
	b.db.Send(UDP(dbIP+":5000", webIP+":1", 4)).Want(Dropped(dataplane.SGHasNoRules))
}

// webRules is the worked example of AWS's page: inbound 80 from everywhere, all out.
func webRules(t *testing.T) (*book, *Group) {
	b := newBook(t)
	g := b.Group("web", In("tcp", "80", "0.0.0.0/0"), Out("all", "", "0.0.0.0/0"))
	b.web.Groups = []*Group{g}
	b.Apply()
	return b, g
}

func entriesAt(b *book, eni uint32) (n int) {
	b.Config.Conntrack.Entries(func(k conntrack.Key, _ conntrack.Entry) bool {
		if k.ENI == eni {
			n++
		}
		return true
	})
	return n
}

func TestCT03_FlowsOpenToAllAreUntracked(t *testing.T) {
	b, _ := webRules(t)
	b.laptop.Send(SYN(laptopIP+":1000", webEIP+":80")).Want(At("web"))
	b.web.Send(SYNACK(webIP+":80", laptopIP+":1000")).Want(At("laptop"))
	b.web.Send(ACK(webIP+":80", laptopIP+":1000")).Want(At("laptop"))
	if n := entriesAt(b, b.web.Handle); n != 0 {
		t.Errorf("%d entries for an untracked flow", n)
	}
	// What the web server opens itself is tracked: not all ports are open inward.
	b.web.Send(SYN(webIP+":1000", serverIP+":443")).Want(At("server"))
	if n := entriesAt(b, b.web.Handle); n != 1 {
		t.Errorf("%d entries for a tracked flow", n)
	}
}

func TestCT04_ICMPIsAlwaysTracked(t *testing.T) {
	b := newBook(t).applied()
	b.web.Send(Ping(webIP, dbIP, 5, 4)).Want(At("db"))
	if n := entriesAt(b, b.web.Handle); n != 1 {
		t.Errorf("%d entries", n)
	}
}

func TestCT05_RemovedRuleCutsUntrackedOnly(t *testing.T) {
	b, g := webRules(t)
	g.Rules = append(g.Rules, In("tcp", "22", laptopIP+"/32"))
	b.Apply()
	for _, port := range []string{"80", "22"} {
		b.laptop.Send(SYN(laptopIP+":1000", webEIP+":"+port)).Want(At("web"))
		b.web.Send(SYNACK(webIP+":"+port, laptopIP+":1000")).Want(At("laptop"))
	}
	g.Rules = g.Rules[1:2] // all out remains
	b.Apply()
	b.laptop.Send(ACK(laptopIP+":1000", webEIP+":80")).Want(Dropped(dataplane.SGHasNoRules))
	b.laptop.Send(ACK(laptopIP+":1000", webEIP+":22")).Want(At("web"))
	b.laptop.Send(SYN(laptopIP+":1001", webEIP+":22")).Want(Dropped(dataplane.SGHasNoRules))
}

// What the instance still sends may pass, and revives nothing.
func TestCT05_RetransmissionRevivesNoCutFlow(t *testing.T) {
	b, g := webRules(t)
	b.laptop.Send(SYN(laptopIP+":1000", webEIP+":80")).Want(At("web"))
	b.web.Send(SYNACK(webIP+":80", laptopIP+":1000")).Want(At("laptop"))
	g.Rules = g.Rules[1:] // all out remains
	b.Apply()
	for range 2 {
		b.web.Send(ACK(webIP+":80", laptopIP+":1000")).Want(At("laptop"))
		b.laptop.Send(ACK(laptopIP+":1000", webEIP+":80")).Want(Dropped(dataplane.SGHasNoRules))
	}
}

func TestCT05_WithoutOutboundRuleAllIsTracked(t *testing.T) {
	b, g := webRules(t)
	b.laptop.Send(SYN(laptopIP+":1000", webEIP+":80")).Want(At("web"))
	g.Rules = g.Rules[:1]
	b.Apply()
	b.laptop.Send(ACK(laptopIP+":1000", webEIP+":80")).Want(At("web"))
	b.web.Send(ACK(webIP+":80", laptopIP+":1000")).Want(At("laptop"))
	if n := entriesAt(b, b.web.Handle); n != 1 {
		t.Errorf("%d entries", n)
	}
}

func TestCT06_NATGatewayFlowsAreTracked(t *testing.T) {
	b := newBook(t).applied()
	b.db.Send(SYN(dbIP+":1000", webEIP+":80")).Want(At("web"), From(natEIP))
	if n := entriesAt(b, b.db.Handle); n != 1 {
		t.Errorf("%d entries on the inside", n)
	}
	if n := entriesAt(b, b.web.Handle); n != 1 {
		t.Errorf("%d entries at the far end", n)
	}
	b.db.Send(SYN(dbIP+":1000", webIP+":80")).Want(At("web"))
	if n := entriesAt(b, b.db.Handle); n != 1 {
		t.Errorf("the direct flow was tracked: %d entries", n)
	}
}

func TestCT07_FullTableDropsNewConnections(t *testing.T) {
	b := outOnly(t)
	b.Config.Conntrack.LimitPerENI(1)
	b.web.Send(SYN(webIP+":1", dbIP+":22")).Want(At("db"))
	b.web.Send(SYN(webIP+":2", dbIP+":22")).Want(Dropped(dataplane.ConntrackFull))
	b.web.Send(ACK(webIP+":1", dbIP+":22")).Want(At("db"))
}

func TestCT09_ErrorsAboutTrackedFlowsPass(t *testing.T) {
	for _, related := range []bool{true, false} {
		b := newBook(t)
		b.Config.RelatedICMP = related
		b.web.Groups = []*Group{b.Group("out", Out("udp", "", "198.51.0.0/16"))}
		b.Apply()
		sent := b.web.Send(UDP(webIP+":1000", serverIP+":9", 4)).Want(At("server")).Out[0].Packet
		e := b.server.Send(ICMPError(serverIP, 3, 3, 0, sent))
		if !related {
			e.Want(Dropped(dataplane.SGHasNoRules))
			continue
		}
		e.Want(At("web"), ICMP(3, 3), Quotes(Parse(UDP(webIP+":1000", serverIP+":9", 4)).Tuple))
		// Not about a flow of this ENI.
		other := UDP(webEIP+":1001", serverIP+":9", 4)
		b.server.Send(ICMPError(serverIP, 3, 3, 0, other)).Want(Dropped(dataplane.SGHasNoRules))
	}
}

func TestCT09_ErrorsAboutUntrackedFlowsPass(t *testing.T) {
	b, _ := webRules(t)
	b.laptop.Send(SYN(laptopIP+":1000", webEIP+":80")).Want(At("web"))
	sent := b.web.Send(SYNACK(webIP+":80", laptopIP+":1000")).Want(At("laptop")).Out[0].Packet
	b.server.Send(ICMPError(serverIP, 3, 4, 1400, sent)).Want(At("web"), ICMP(3, 4), NextMTU(1400))
	// The instance's own errors about what came in leave without a rule for ICMP.
	b, g := webRules(t)
	g.Rules = []rule{In("udp", "", "0.0.0.0/0"), Out("udp", "", "0.0.0.0/0")}
	b.Apply()
	got := b.laptop.Send(UDP(laptopIP+":5", webEIP+":33434", 4)).Want(At("web")).Out[0].Packet
	b.web.Send(ICMPError(webIP, 3, 3, 0, got)).Want(At("laptop"), From(webEIP), ICMP(3, 3),
		Quotes(Parse(UDP(laptopIP+":5", webEIP+":33434", 4)).Tuple))
}

func TestCT09_ErrorsThroughANATGatewayAreAboutATrackedFlow(t *testing.T) {
	b := newBook(t)
	b.db.Groups = []*Group{b.Group("out", Out("udp", "", "0.0.0.0/0"))}
	b.Apply()
	inside := UDP(dbIP+":1000", serverIP+":9", 4)
	sent := b.db.Send(inside).Want(At("server")).Out[0].Packet
	b.laptop.Send(ICMPError(laptopIP, 11, 0, 0, sent)).Want(At("db"), ICMP(11, 0), Quotes(Parse(inside).Tuple))
}

func TestCT09_ErrorsAreFilteredByACLs_AC09(t *testing.T) {
	b := outOnly(t)
	b.web.Groups = []*Group{b.Group("out2", Out("udp", "", "198.51.0.0/16"))}
	b.public.ACL = &ACL{Name: "udp", Rules: []aclRule{
		Allow(100, 0, "udp", "", "0.0.0.0/0"), Allow(100, 1, "all", "", "0.0.0.0/0"),
	}}
	b.Apply()
	sent := b.web.Send(UDP(webIP+":1000", serverIP+":9", 4)).Want(At("server")).Out[0].Packet
	b.server.Send(ICMPError(serverIP, 3, 3, 0, sent)).Want(Dropped(dataplane.ACLDenied))
}

func TestCT10_NoRejection(t *testing.T) {
	b := newBook(t)
	b.web.Groups = []*Group{b.Group("in22", In("tcp", "22", "0.0.0.0/0"))}
	b.Apply()
	b.laptop.Send(SYN(laptopIP+":1", webEIP+":80")).Want(Dropped(dataplane.SGRulesMismatch))
}

func TestCommitAlsoWhenALaterStageDrops(t *testing.T) {
	b := outOnly(t)
	b.private.ACL = &ACL{Name: "closed"}
	b.Apply()
	b.web.Send(SYN(webIP+":1", dbIP+":80")).Want(Dropped(dataplane.ACLDenied))
	if n := entriesAt(b, b.web.Handle); n != 1 {
		t.Errorf("%d entries: tracking is per ENI, and the packet left it", n)
	}
}

func TestMidStreamTCPIsAdmittedByARule(t *testing.T) {
	b := newBook(t)
	b.db.Groups = []*Group{b.Group("in", In("tcp", "80", "172.30.0.0/16"))}
	b.Apply()
	b.web.Send(ACK(webIP+":1", dbIP+":80")).Want(At("db"), Flags(packet.FlagACK))
	b.db.Send(ACK(dbIP+":80", webIP+":1")).Want(At("web"))
}
