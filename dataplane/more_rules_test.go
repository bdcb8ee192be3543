package dataplane_test

import (
	"net/netip"
	"testing"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

func TestRT02_ReplacingTheMainTableMovesImplicitSubnets(t *testing.T) {
	b := newBook(t)
	b.public.Table = nil
	b.Apply()
	b.web.Send(SYN(webIP+":1", serverIP+":80")).Want(Dropped(dataplane.NoRoute))
	b.vpc.Main = b.vpc.Table("new-main", "0.0.0.0/0 igw")
	b.Apply()
	b.web.Send(SYN(webIP+":1", serverIP+":80")).Want(At("server"))
	b.db.Send(SYN(dbIP+":1", serverIP+":80")).Want(At("server"), From(natEIP)) // its own table
}

func TestRT16_MiddleboxBetweenSubnets(t *testing.T) {
	b := newBook(t)
	fw := b.vpc.Subnet("fw", "172.30.2.0/24").ENI("fw", "172.30.2.50", b.open)
	fw.NoCheck = true
	b.private.Table = b.vpc.Table("p", "172.30.0.0/24 eni:fw")
	b.public.Table = b.vpc.Table("q", "172.30.1.0/24 eni:fw")
	tight := b.Group("by-cidr", In("tcp", "80", "172.30.1.0/24"))
	b.web.Groups = []*Group{tight}
	b.Apply()
	syn := SYN(dbIP+":1", webIP+":80")
	b.db.Send(syn).Want(At("fw"))
	fw.Send(syn).Want(At("web"), From(dbIP))
	b.web.Send(Reply(syn)).Want(At("fw"))
	fw.Send(Reply(syn)).Want(At("db"))
	fw.NoCheck = false
	b.Apply()
	b.db.Send(SYN(dbIP+":2", webIP+":80")).Want(Dropped(dataplane.SourceDestCheck))
}

func TestEI01_ElasticIPMovesToAnotherENI(t *testing.T) {
	b := newBook(t)
	two := b.public.ENI("two", "172.30.0.11", b.open)
	b.Apply()
	b.laptop.Send(SYN(laptopIP+":1", webEIP+":80")).Want(At("web"))
	delete(b.vpc.Public, b.web.Addrs[0])
	two.EIP(0, webEIP)
	b.Apply()
	b.laptop.Send(SYN(laptopIP+":1", webEIP+":80")).Want(At("two"))
	b.web.Send(SYN(webIP+":1", serverIP+":80")).Want(Dropped(dataplane.IGWNoPublicAddress))
}

func TestSG10_StaleReferenceMatchesNothing(t *testing.T) {
	b := newBook(t)
	gone := &Group{Name: "gone", Handle: 9999}
	b.db.Groups = []*Group{b.Group("db", gone.Refer(In("all", "", "")))}
	b.Apply()
	b.web.Send(SYN(webIP+":1", dbIP+":80")).Want(Dropped(dataplane.SGRulesMismatch))
}

// dualStack gives the book's VPC an IPv6 block and both instances an address in it.
func dualStack(t *testing.T) *book {
	b := newBook(t)
	b.vpc.CIDRs = append(b.vpc.CIDRs, netip.MustParsePrefix("2001:db8::/56"))
	for _, s := range b.vpc.Subnets {
		s.Table = nil
		s.ACL = &ACL{Name: "dual", Rules: append(AllowAll(), Allow(101, in, "all", "", "::/0"), Allow(101, out, "all", "", "::/0"))}
	}
	b.vpc.Main.Routes = append(b.vpc.Main.Routes, "2001:db8::/56 local")
	b.web.Addrs = append(b.web.Addrs, netip.MustParseAddr("2001:db8::10"))
	b.db.Addrs = append(b.db.Addrs, netip.MustParseAddr("2001:db8:0:1::20"))
	b.web.Groups = []*Group{b.Group("out6", Out("all", "", "::/0"))}
	b.Apply()
	return b
}

func TestSG06_FamiliesAreSeparate(t *testing.T) {
	b := dualStack(t)
	g := b.Group("in4", In("all", "", "0.0.0.0/0"))
	b.db.Groups = []*Group{g}
	b.Apply()
	syn := SYN("[2001:db8::10]:1000", "[2001:db8:0:1::20]:80")
	b.web.Send(syn).Want(Dropped(dataplane.SGRulesMismatch))
	g.Rules = append(g.Rules, In("tcp", "80", "::/0"))
	b.Apply()
	b.web.Send(syn).Want(At("db"))
	b.db.Send(Reply(syn)).Want(At("web"))
}

func TestMT12_IPv6IsNeverFragmented(t *testing.T) {
	b := dualStack(t)
	b.db.Groups = []*Group{b.Group("in6", In("all", "", "::/0"))}
	b.db.MTU = 1500
	b.Apply()
	b.web.Send(UDP("[2001:db8::10]:1000", "[2001:db8:0:1::20]:80", 3000)).Want(Ended(dataplane.PacketTooBig))
}

func TestPL01_FiltersAreMetOncePerBoundary(t *testing.T) {
	b := newBook(t).applied()
	count := func(steps []dataplane.Step) (acl, sg int) {
		for _, s := range steps {
			switch s.Stage {
			case dataplane.StageACLEgress, dataplane.StageACLIngress:
				acl++
			case dataplane.StageSGEgress, dataplane.StageSGIngress:
				sg++
			}
		}
		return acl, sg
	}
	b.public.ENI("web2", "172.30.0.11", b.open)
	b.Apply()
	for _, c := range []struct {
		name    string
		from    uint32
		pkt     []byte
		acl, sg int
	}{
		{"same subnet", b.web.Handle, SYN(webIP+":1", "172.30.0.11:80"), 0, 2},
		{"cross subnet", b.web.Handle, SYN(webIP+":1", dbIP+":80"), 2, 2},
		{"to the Internet", b.web.Handle, SYN(webIP+":1", serverIP+":80"), 1, 1},
		{"from the Internet", b.laptop.Handle, SYN(laptopIP+":1", webEIP+":80"), 1, 1},
		{"through NAT", b.db.Handle, SYN(dbIP+":1", serverIP+":80"), 3, 1},
	} {
		if acl, sg := count(b.Engine.Trace(c.from, c.pkt)); acl != c.acl || sg != c.sg {
			t.Errorf("%s: %d ACLs and %d groups, want %d and %d", c.name, acl, sg, c.acl, c.sg)
		}
	}
}

func TestMT03_1500AtTheGatewayIsTheWholePacket_IG08(t *testing.T) {
	b := newBook(t).applied()
	b.web.Send(DF(UDP(webIP+":1", serverIP+":9", 1500-28))).Want(At("server"))
	b.web.Send(DF(UDP(webIP+":1", serverIP+":9", 1501-28))).Want(Answered(dataplane.PacketTooBig, "web"))
}

func TestMT08_8500AtTheNATGatewayIsTheWholePacket(t *testing.T) {
	b := newBook(t)
	b.private.Table.Routes = append(b.private.Table.Routes, "172.30.0.0/24 nat:nat")
	b.Apply()
	b.db.Send(DF(UDP(dbIP+":1", webIP+":9", 8500-28))).Want(At("web"))
	b.db.Send(DF(UDP(dbIP+":1", webIP+":9", 8501-28))).Want(Answered(dataplane.PacketTooBig, "db"), NextMTU(8500))
	r := b.db.Send(UDP(dbIP+":2", webIP+":9", 8900)).Want(Ended(dataplane.Delivered))
	if len(r.Out) != 2 || r.Header().Src != Addr(natIP) {
		t.Errorf("%d fragments", len(r.Out))
	}
}

// A client behind the gateway may reuse its port for a connection after the last ended.
func TestNATConnectionReopensAfterClosing(t *testing.T) {
	b := newBook(t).applied()
	r := b.db.Send(SYN(dbIP+":1000", serverIP+":80")).Want(At("server"))
	b.server.Send(RST(serverIP+":80", natEIP+":"+portOf(r))).Want(At("db"), Flags(packet.FlagRST|packet.FlagACK))
	b.db.Send(SYN(dbIP+":1000", serverIP+":80")).Want(At("server"), Flags(packet.FlagSYN))
}

// Another worker opens the same flow between this one's proposal and its commit: the
// packet walks again, as its sender sent it, and takes the mapping that is there.
func TestOvertakenMappingIsWalkedAgain(t *testing.T) {
	b := newBook(t).applied()
	syn := SYN(dbIP+":1000", serverIP+":80")
	tp := tap(t, b, dataplane.TapConfig{Detail: func(*dataplane.Way) bool { return true }})
	var first uint16
	again := b.Engine.Overtaken(b.db.Port, syn, func() {
		first = b.db.Send(syn).Want(At("server")).Header().SrcPort
	})
	if !again {
		t.Fatal("nobody noticed")
	}
	for _, p := range take(t, tp) { // steps are those of the last walk
		if len(p.Steps) != len(p.Way.Steps()) || p.Steps[len(p.Steps)-1].Tuple.SrcPort != first {
			t.Errorf("in detail\n%s", dataplane.Text(p.Steps))
		}
	}
	got := b.server.Port.Received()
	if len(got) != 1 {
		t.Fatalf("%d packets", len(got))
	}
	h := Parse(got[0])
	if h.SrcPort != first || h.TTL != 62 || packet.VerifyChecksums(got[0]) != nil {
		t.Errorf("%s ttl %d, the flow has port %d", h.Tuple, h.TTL, first)
	}
	if n := b.Config.NAT.Len(); n != 1 {
		t.Errorf("%d mappings", n)
	}
}
