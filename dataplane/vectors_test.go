package dataplane_test

import (
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

// The test vectors of section 22 of the semantics that show on packets, by number.

func TestVector01_SameSubnetIgnoresTheACL_AC06(t *testing.T) {
	b := newBook(t)
	b.public.ENI("web2", "172.30.0.11", b.open)
	b.public.ACL = &ACL{Name: "deny"}
	b.Apply()
	b.web.Send(SYN(webIP+":1", "172.30.0.11:80")).Want(At("web2"))
	b.vpc.Find("web2").Send(SYNACK("172.30.0.11:80", webIP+":1")).Want(At("web"))
}

func TestVector02_DifferentSubnetsMeetTheACL_AC07(t *testing.T) {
	b := newBook(t)
	b.public.ACL = &ACL{Name: "deny"}
	b.Apply()
	b.web.Send(SYN(webIP+":1", dbIP+":80")).Want(Dropped(dataplane.ACLDenied))
	b.db.Send(SYN(dbIP+":1", webIP+":80")).Want(Dropped(dataplane.ACLDenied))
}

// shell opens a connection from the laptop to the web server's port 22.
func shell(b *book) {
	b.laptop.Send(SYN(laptopIP+":4000", webEIP+":22")).Want(At("web"))
	b.web.Send(SYNACK(webIP+":22", laptopIP+":4000")).Want(At("laptop"))
	b.laptop.Send(ACK(laptopIP+":4000", webEIP+":22")).Want(At("web"))
}

func TestVector03_TrackedFlowOutlivesItsRule_CT05(t *testing.T) {
	b := newBook(t)
	g := b.Group("ssh", In("tcp", "22", laptopIP+"/32"), Out("all", "", "0.0.0.0/0"))
	b.web.Groups = []*Group{g}
	b.Apply()
	shell(b)
	g.Rules = g.Rules[1:]
	b.Apply()
	b.laptop.Send(ACK(laptopIP+":4000", webEIP+":22")).Want(At("web"))
	b.web.Send(ACK(webIP+":22", laptopIP+":4000")).Want(At("laptop"))
}

func TestVector04_UntrackedFlowIsCutWithItsRule_CT05(t *testing.T) {
	b := newBook(t)
	g := b.Group("ssh", In("tcp", "22", "0.0.0.0/0"), Out("all", "", "0.0.0.0/0"))
	b.web.Groups = []*Group{g}
	b.Apply()
	shell(b)
	g.Rules = g.Rules[1:]
	b.Apply()
	b.laptop.Send(ACK(laptopIP+":4000", webEIP+":22")).Want(Dropped(dataplane.SGHasNoRules))
}

func TestVector05_BehindANATGatewayTracked_CT06(t *testing.T) {
	b := newBook(t)
	g := b.Group("all", In("all", "", "0.0.0.0/0"), Out("all", "", "0.0.0.0/0"))
	b.db.Groups = []*Group{g}
	b.Apply()
	r := b.db.Send(SYN(dbIP+":1000", serverIP+":22")).Want(At("server"))
	b.server.Send(SYNACK(serverIP+":22", natEIP+":"+portOf(r))).Want(At("db"))
	b.db.Send(ACK(dbIP+":1000", serverIP+":22")).Want(At("server"))
	g.Rules = nil
	b.Apply()
	b.db.Send(ACK(dbIP+":1000", serverIP+":22")).Want(At("server"))
	b.server.Send(ACK(serverIP+":22", natEIP+":"+portOf(r))).Want(At("db"))
	b.db.Send(SYN(dbIP+":1001", serverIP+":22")).Want(Dropped(dataplane.SGHasNoRules))
}

func TestVector06_UDPReplyWithin30s_CT02(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		want  Check
	}{{29 * time.Second, At("web")}, {31 * time.Second, Dropped(dataplane.SGHasNoRules)}} {
		b := newBook(t)
		b.web.Groups = []*Group{b.Group("out", Out("udp", "", "0.0.0.0/0"))}
		b.Apply()
		b.web.Send(UDP(webIP+":1", serverIP+":53", 10)).Want(At("server"))
		b.Advance(c.after)
		b.server.Send(UDP(serverIP+":53", webEIP+":1", 10)).Want(c.want)
	}
}

func TestVector07_RSTAfter351sIdle_NA07(t *testing.T) {
	b := newBook(t).applied()
	b.db.Send(SYN(dbIP+":1000", serverIP+":80")).Want(At("server"))
	b.Advance(351 * time.Second)
	b.db.Send(TCP(dbIP+":1000", serverIP+":80", packet.FlagACK|packet.FlagPSH, 10)).Want(
		Answered(dataplane.NATIdleTimeout, "db"), Flags(packet.FlagRST), From(serverIP+":80"))
}

func TestVector08_FragmentsThroughANATGateway_NA08(t *testing.T) {
	b := newBook(t).applied()
	for _, f := range Split(Ping(dbIP, serverIP, 1, 10000), 9001, 1) {
		b.db.Send(f).Want(Dropped(dataplane.NATFragment))
	}
	for _, f := range Split(UDP(dbIP+":1000", serverIP+":9", 4000), 1500, 2) {
		b.db.Send(f).Want(At("server"))
	}
}

func TestVector10_NoPublicAddress_IG03(t *testing.T) {
	b := newBook(t)
	delete(b.vpc.Public, b.web.Addrs[0])
	b.Apply()
	b.web.Send(SYN(webIP+":1", serverIP+":80")).Want(Dropped(dataplane.IGWNoPublicAddress))
}

func TestVector11_PrivateDestinationByTheGateway_IG03(t *testing.T) {
	b := newBook(t).applied()
	b.web.Send(SYN(webIP+":1", "10.99.0.1:80")).Want(Dropped(dataplane.IGWDestinationRFC1918))
}

func TestVector12_DeletedNATGateway_RT10(t *testing.T) {
	b := newBook(t)
	b.private.Table = b.vpc.Table("p", "0.0.0.0/0 blackhole")
	b.Apply()
	b.db.Send(SYN(dbIP+":1", serverIP+":80")).Want(Dropped(dataplane.BlackholeRoute))
}

func TestVector14_WhereTheResolverAnswers_DNS01(t *testing.T) {
	b := withResolver(newBook(t)).applied()
	b.db.Send(UDP(dbIP+":1", "172.30.0.2:53", 30)).Want(Ended(dataplane.ToResolver))
	b.db.Send(UDP(dbIP+":1", "172.30.1.2:53", 30)).Want(Dropped(dataplane.ReservedAddress))
	b.db.Send(UDP(dbIP+":1", "169.254.169.253:53", 30)).Want(Ended(dataplane.ToResolver))
}

func TestVector15_NoDNSSupport_DNS04(t *testing.T) {
	b := withResolver(newBook(t))
	b.vpc.Resolver = nil
	b.Apply()
	b.db.Send(UDP(dbIP+":1", "172.30.0.2:53", 30)).Want(Dropped(dataplane.ReservedAddress))
	b.db.Send(UDP(dbIP+":1", "172.30.1.2:53", 30)).Want(Dropped(dataplane.ReservedAddress))
	b.db.Send(UDP(dbIP+":1", "169.254.169.253:53", 30)).Want(Dropped(dataplane.LinkLocalAddress))
}

func TestVector16_1024QueriesASecond_DNS02(t *testing.T) {
	b := withResolver(newBook(t)).applied()
	passed := 0
	for range 2000 {
		if b.db.Send(UDP(dbIP+":1", "172.30.0.2:53", 30)).Event.Reason == dataplane.ToResolver {
			passed++
		}
		b.Advance(time.Second / 2000)
	}
	if passed != 1024 {
		t.Errorf("%d of 2000 in one second", passed)
	}
	b.db.Send(UDP(dbIP+":1", "172.30.0.2:53", 30)).Want(Ended(dataplane.ToResolver))
}

func TestVector17_GroupReferenceByPublicAddress_SG08(t *testing.T) {
	b := newBook(t)
	gb := b.Group("b", Out("all", "", "0.0.0.0/0"))
	bInst := b.public.ENI("b", "172.30.0.40", gb).EIP(0, "203.0.113.40")
	b.web.Groups = []*Group{b.Group("a", gb.Refer(In("tcp", "80", "")))}
	b.Apply()
	bInst.Send(SYN("172.30.0.40:1", webEIP+":80")).Want(Dropped(dataplane.SGReferencesNotPreserved))
	bInst.Send(SYN("172.30.0.40:1", webIP+":80")).Want(At("web"))
}

func TestVector18_GroupReferenceThroughAMiddlebox_SG09(t *testing.T) {
	b := newBook(t)
	gb := b.Group("b", Out("all", "", "0.0.0.0/0"))
	b.db.Groups = []*Group{gb}
	b.web.Groups = []*Group{b.Group("a", gb.Refer(In("tcp", "80", "")))}
	fw := b.vpc.Subnet("fw", "172.30.2.0/24").ENI("fw", "172.30.2.50", b.open)
	fw.NoCheck = true
	b.private.Table.Routes = append(b.private.Table.Routes, "172.30.0.0/24 eni:fw")
	b.Apply()
	passing := SYN(dbIP+":1", webIP+":80")
	b.db.Send(passing).Want(At("fw"))
	fw.Send(passing).Want(Dropped(dataplane.SGReferencesNotPreserved))
	// The middlebox's own membership does not help what it forwards.
	fw.Groups = append(fw.Groups, gb)
	b.Apply()
	fw.Send(passing).Want(Dropped(dataplane.SGReferencesNotPreserved))
	fw.Send(SYN("172.30.2.50:1", webIP+":80")).Want(At("web"))
}

func TestVector19_NATInstanceWithCheckOn_PL02(t *testing.T) {
	b := newBook(t)
	ni := b.public.ENI("natinst", "172.30.0.60", b.open).EIP(0, "203.0.113.60")
	b.private.Table = b.vpc.Table("p", "0.0.0.0/0 eni:natinst")
	b.Apply()
	b.db.Send(SYN(dbIP+":1", serverIP+":80")).Want(Dropped(dataplane.SourceDestCheck))
	ni.NoCheck = true
	b.Apply()
	b.db.Send(SYN(dbIP+":1", serverIP+":80")).Want(At("natinst"))
	ni.Send(SYN("172.30.0.60:5000", serverIP+":80")).Want(At("server"), From("203.0.113.60:5000"))
	b.server.Send(SYNACK(serverIP+":80", "203.0.113.60:5000")).Want(At("natinst"))
	ni.Send(SYNACK(serverIP+":80", dbIP+":1")).Want(At("db"))
}

func TestVector20_9001DFToTheInternet_MT11(t *testing.T) {
	b := newBook(t).applied()
	b.web.Send(DF(Ping(webIP, serverIP, 1, 9001-28))).Want(
		Answered(dataplane.PacketTooBig, "web"), ICMP(3, 4), NextMTU(1500), From("172.30.0.1"))
}

func TestVector26_Traceroute_L204_NA13(t *testing.T) {
	b := newBook(t).applied()
	b.web.Send(TTL(UDP(webIP+":1", dbIP+":33434", 8), 1)).Want(At("db"))
	b.db.Send(TTL(UDP(dbIP+":1", serverIP+":33434", 8), 1)).Want(
		Answered(dataplane.TTLExpired, "db"), ICMP(11, 0), From(natIP))
}

func TestVector27_ACLWithoutEphemeralPorts_AC05(t *testing.T) {
	b := newBook(t)
	b.public.ACL = &ACL{Name: "80", Rules: []aclRule{Allow(100, in, "tcp", "80", "0.0.0.0/0")}}
	b.Apply()
	b.laptop.Send(SYN(laptopIP+":4000", webEIP+":80")).Want(At("web"))
	b.web.Send(SYNACK(webIP+":80", laptopIP+":4000")).Want(Dropped(dataplane.ACLDenied))
}
