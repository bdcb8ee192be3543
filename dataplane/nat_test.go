package dataplane_test

import (
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/nat"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

func addrOf(s string) netip.Addr { return netip.MustParseAddr(s) }

func portOf(r *Result) string { return strconv.Itoa(int(r.Header().SrcPort)) }

func TestNA02_TranslatesToItsPrivateAddress(t *testing.T) {
	b := newBook(t).applied()
	r := b.db.Send(SYN(dbIP+":1000", serverIP+":80")).Want(At("server"), From(natEIP), To(serverIP+":80"))
	if p := r.Header().SrcPort; p < 1024 {
		t.Errorf("source port %d (NA-04)", p)
	}
	b.server.Send(SYNACK(serverIP+":80", natEIP+":"+portOf(r))).Want(At("db"), From(serverIP+":80"), To(dbIP+":1000"))
	b.db.Send(ACK(dbIP+":1000", serverIP+":80")).Want(At("server"), From(natEIP+":"+portOf(r)))
}

func TestNA02_PrivateGatewayIsDroppedByTheInternetGateway(t *testing.T) {
	b := newBook(t)
	delete(b.vpc.Public, addrOf(natIP))
	b.Apply()
	b.db.Send(SYN(dbIP+":1", serverIP+":80")).Want(Dropped(dataplane.IGWNoPublicAddress))
}

func TestNA02_PrivateGatewayTranslatesWithinTheVPC(t *testing.T) {
	b := newBook(t)
	b.private.Table.Routes = append(b.private.Table.Routes, "172.30.0.0/24 nat:nat")
	b.Apply()
	r := b.db.Send(SYN(dbIP+":1000", webIP+":80")).Want(At("web"), From(natIP))
	b.web.Send(SYNACK(webIP+":80", natIP+":"+portOf(r))).Want(At("db"), From(webIP+":80"), To(dbIP+":1000"))
}

func TestNA03_ProtocolsOtherThanTCPUDPICMPAreDropped(t *testing.T) {
	b := newBook(t).applied()
	b.db.Send(Proto(47, dbIP, serverIP)).Want(Dropped(dataplane.NATProtocol))
	r := b.db.Send(UDP(dbIP+":1000", serverIP+":53", 20)).Want(At("server"), From(natEIP))
	b.server.Send(UDP(serverIP+":53", natEIP+":"+portOf(r), 20)).Want(At("db"), To(dbIP+":1000"))
	r = b.db.Send(Ping(dbIP, serverIP, 7, 20)).Want(At("server"), From(natEIP))
	b.server.Send(Pong(serverIP, natEIP, r.Header().SrcPort, 20)).Want(At("db"), To(dbIP+":7"))
	b.db.Send(Pong(dbIP, serverIP, 8, 20)).Want(Dropped(dataplane.NATNoMapping))
}

func TestNA04_DestinationIsPreserved(t *testing.T) {
	b := newBook(t).applied()
	b.db.Send(SYN(dbIP+":1", serverIP+":8080")).Want(At("server"), To(serverIP+":8080"))
}

func TestNA05_PortsPerDestinationRunOut(t *testing.T) {
	b := newBook(t)
	nt, err := nat.OpenTable("", 60000)
	if err != nil {
		t.Fatal(err)
	}
	b.Config.NAT.Close()
	b.Config.NAT = nt
	b.server.Port.Discard = true
	b.Apply()
	gw := b.Snapshot.ENIs[b.nat.ENI.Handle].NAT
	for i := range nat.ConnectionLimit {
		tup := packet.Tuple{Src: Addr("172.30.1." + strconv.Itoa(30+i/60000)), Dst: Addr(serverIP), SrcPort: uint16(i), DstPort: 80, Proto: packet.ProtoTCP}
		m, refusal := nt.Propose(&gw.Gateway, tup, b.Now())
		if refusal != nat.RefusedNone {
			t.Fatalf("connection %d: %s", i, refusal)
		}
		if _, err := nt.Commit(m, packet.FlagSYN, false, b.Now()); err != nil {
			t.Fatal(err)
		}
	}
	b.db.Send(SYN(dbIP+":1", serverIP+":80")).Want(Dropped(dataplane.NATPortsExhausted))
	b.db.Send(SYN(dbIP+":1", serverIP+":81")).Want(Ended(dataplane.Delivered))
}

func TestNATTableFull(t *testing.T) {
	b := newBook(t)
	nt, err := nat.OpenTable("", 1)
	if err != nil {
		t.Fatal(err)
	}
	b.Config.NAT.Close()
	b.Config.NAT = nt
	b.Apply()
	for i := range 2000 {
		r := b.db.Send(UDP(dbIP+":"+strconv.Itoa(1000+i), serverIP+":80", 1))
		if r.Event.Reason == dataplane.NATTableFull {
			return
		}
	}
	t.Error("a table of one record never fills")
}

func TestNA06_OnlyTheDestinationAnswers(t *testing.T) {
	b := newBook(t).applied()
	r := b.db.Send(UDP(dbIP+":1000", serverIP+":53", 20)).Want(At("server"))
	b.laptop.Send(UDP(laptopIP+":53", natEIP+":"+portOf(r), 20)).Want(Dropped(dataplane.NATNoMapping))
	b.server.Send(UDP(serverIP+":54", natEIP+":"+portOf(r), 20)).Want(Dropped(dataplane.NATNoMapping))
}

func TestNA07_IdleConnectionIsReset(t *testing.T) {
	b := newBook(t).applied()
	r := b.db.Send(SYN(dbIP+":1000", serverIP+":80")).Want(At("server"))
	port := portOf(r)
	b.server.Send(SYNACK(serverIP+":80", natEIP+":"+port)).Want(At("db"))
	b.Advance(349 * time.Second)
	b.db.Send(ACK(dbIP+":1000", serverIP+":80")).Want(At("server"))
	b.Advance(351 * time.Second)
	b.server.Send(ACK(serverIP+":80", natEIP+":"+port)).Want(Dropped(dataplane.NATNoMapping))
	b.db.Send(ACK(dbIP+":1000", serverIP+":80")).Want(Answered(dataplane.NATIdleTimeout, "db"),
		From(serverIP+":80"), To(dbIP+":1000"), Flags(packet.FlagRST))
	r = b.db.Send(RST(dbIP+":1000", serverIP+":80")).Want(Dropped(dataplane.NATIdleTimeout))
	if r.Event.Answered {
		t.Error("a RST was answered")
	}
}

func TestNA08_Fragments(t *testing.T) {
	b := newBook(t).applied()
	for _, f := range Split(UDP(dbIP+":1000", serverIP+":53", 4000), 1500, 5) {
		b.db.Send(f).Want(At("server"), From(natEIP))
	}
	for _, f := range Split(Ping(dbIP, serverIP, 5, 4000), 1500, 6) {
		b.db.Send(f).Want(Dropped(dataplane.NATFragment))
	}
	for _, f := range Split(TCP(dbIP+":1000", serverIP+":80", packet.FlagACK, 4000), 1500, 7) {
		b.db.Send(f).Want(Dropped(dataplane.NATFragment))
	}
}

func TestNA09_ACLOfItsSubnetOnAllFourCrossings(t *testing.T) {
	anyPort := func(n int, dir filterDir, cidr string) aclRule { return Allow(n, dir, "tcp", "", cidr) }
	all := []aclRule{
		anyPort(100, in, "172.30.1.0/24"), anyPort(200, out, "198.51.100.0/24"), // there
		Allow(300, in, "tcp", "1024-65535", "198.51.100.0/24"), anyPort(400, out, "172.30.1.0/24"), // and back
	}
	for skip := -1; skip < len(all); skip++ {
		b := newBook(t)
		rules := append([]aclRule(nil), all...)
		if skip >= 0 {
			rules = append(rules[:skip], rules[skip+1:]...)
		}
		b.public.ACL = &ACL{Name: "nat", Rules: rules}
		b.Apply()
		r := b.db.Send(SYN(dbIP+":1000", serverIP+":80"))
		if skip == 0 || skip == 1 {
			r.Want(Dropped(dataplane.ACLDenied))
			continue
		}
		r.Want(At("server"))
		r = b.server.Send(SYNACK(serverIP+":80", natEIP+":"+portOf(r)))
		if skip < 0 {
			r.Want(At("db"))
		} else {
			r.Want(Dropped(dataplane.ACLDenied))
		}
	}
}

func TestNA10_AnswersNothing(t *testing.T) {
	b := newBook(t).applied()
	b.laptop.Send(Ping(laptopIP, natEIP, 1, 8)).Want(Dropped(dataplane.NATNoMapping))
	b.laptop.Send(SYN(laptopIP+":1", natEIP+":22")).Want(Dropped(dataplane.NATNoMapping))
	b.web.Send(Ping(webIP, natIP, 1, 8)).Want(Dropped(dataplane.NATNoMapping))
	b.db.Send(SYN(dbIP+":1", natIP+":22")).Want(Dropped(dataplane.NATNoMapping))
}

func TestNA11_SourceMustBeInTheVPC(t *testing.T) {
	b := newBook(t)
	b.db.NoCheck = true
	b.Apply()
	b.db.Send(SYN("10.1.2.3:1", serverIP+":80")).Want(Dropped(dataplane.NATSourceOutsideVPC))
}

func TestNA13_TakesAHopAndSaysSo(t *testing.T) {
	b := newBook(t).applied()
	b.db.Send(UDP(dbIP+":1", serverIP+":33434", 8)).Want(At("server"), HopsLeft(62))
	probe := TTL(UDP(dbIP+":1", serverIP+":33434", 8), 1)
	b.db.Send(probe).Want(Answered(dataplane.TTLExpired, "db"), From(natIP), To(dbIP), ICMP(11, 0), Quotes(Parse(probe).Tuple))
	b.db.Send(TTL(UDP(dbIP+":1", serverIP+":33434", 8), 2)).Want(Dropped(dataplane.TTLExpired))
	r := b.db.Send(UDP(dbIP+":1", serverIP+":53", 8)).Want(At("server"))
	b.server.Send(TTL(UDP(serverIP+":53", natEIP+":"+portOf(r), 8), 2)).Want(
		Answered(dataplane.TTLExpired, "server"), From(natEIP), ICMP(11, 0))
}

func TestNA14_MTUAndMSS(t *testing.T) {
	b := newBook(t).applied()
	big := DF(UDP(dbIP+":1", serverIP+":9", 8900))
	b.db.Send(big).Want(Answered(dataplane.PacketTooBig, "db"), From(natIP), ICMP(3, 4), NextMTU(8500), Quotes(Parse(big).Tuple))
	// Past the NAT gateway the Internet gateway's limit, told in the sender's own terms.
	big = DF(UDP(dbIP+":1", serverIP+":9", 3000))
	b.db.Send(big).Want(Answered(dataplane.PacketTooBig, "db"), From("172.30.0.1"), To(dbIP), NextMTU(1500), Quotes(Parse(big).Tuple))
	r := b.db.Send(UDP(dbIP+":1", serverIP+":9", 4000)).Want(Ended(dataplane.Delivered))
	if len(r.Out) != 3 || r.Header().Src != Addr(natEIP) {
		t.Errorf("%d fragments from %s", len(r.Out), r.Header().Src)
	}
	syn := packet.BuildSYN(make([]byte, 64), Parse(SYN(dbIP+":1", serverIP+":80")).Tuple, 1, 8961)
	h := b.db.Send(syn).Want(At("server")).Header()
	if mss := int(h.Data[h.L4+22])<<8 | int(h.Data[h.L4+23]); mss != 8460 {
		t.Errorf("mss %d", mss)
	}
}

func TestNA16_DeletedGatewayLeavesABlackhole(t *testing.T) {
	b := newBook(t)
	b.private.Table.Routes[1] = "0.0.0.0/0 nat:deleted"
	b.Apply()
	b.db.Send(SYN(dbIP+":1", serverIP+":80")).Want(Dropped(dataplane.BlackholeRoute))
}

func TestNATTranslatesICMPErrorsBothWays(t *testing.T) {
	b := newBook(t).applied()
	inside := UDP(dbIP+":1000", serverIP+":53", 8)
	r := b.db.Send(inside).Want(At("server"))
	outside := r.Out[0].Packet
	// A router between, not the server, says that the packet was too big.
	b.laptop.Send(ICMPError(laptopIP, 3, 4, 1400, outside)).Want(At("db"), From(laptopIP), To(dbIP), ICMP(3, 4), NextMTU(1400),
		Quotes(Parse(inside).Tuple))
	got := b.server.Send(UDP(serverIP+":53", natEIP+":"+portOf(r), 8)).Want(At("db")).Out[0].Packet
	b.db.Send(ICMPError(dbIP, 3, 3, 0, got)).Want(At("server"), From(natEIP), ICMP(3, 3),
		Quotes(Parse(UDP(serverIP+":53", natEIP+":"+portOf(r), 8)).Tuple))
	// Echo: the identifier is translated in the quote, too.
	ping := Ping(dbIP, serverIP, 77, 8)
	sent := b.db.Send(ping).Want(At("server")).Out[0].Packet
	b.laptop.Send(ICMPError(laptopIP, 11, 0, 0, sent)).Want(At("db"), Quotes(Parse(ping).Tuple))
	// Errors about nothing known.
	stray := UDP(natEIP+":1999", serverIP+":5353", 8)
	b.laptop.Send(ICMPError(laptopIP, 3, 3, 0, stray)).Want(Dropped(dataplane.NATNoMapping))
	b.db.NoCheck = true
	b.Apply()
	b.db.Send(ICMPError(dbIP, 3, 3, 0, UDP(serverIP+":1", dbIP+":9999", 8))).Want(Dropped(dataplane.NATNoMapping))
}

func TestForwardingLoop(t *testing.T) {
	b := newBook(t)
	b.public.Table = b.vpc.Table("loop", "0.0.0.0/0 nat:nat")
	b.Apply()
	b.db.Send(SYN(dbIP+":1", serverIP+":80")).Want(Dropped(dataplane.ForwardingLoop))
}

func TestNATGatewaysInARow(t *testing.T) {
	b := newBook(t)
	mid := b.vpc.Subnet("mid", "172.30.5.0/24")
	mid.Table = b.vpc.Table("mid", "0.0.0.0/0 nat:nat")
	mid.NAT("inner", "172.30.5.9")
	b.private.Table = b.vpc.Table("p", "0.0.0.0/0 nat:inner")
	b.Apply()
	r := b.db.Send(SYN(dbIP+":1", serverIP+":80")).Want(At("server"), From(natEIP), HopsLeft(61))
	b.server.Send(SYNACK(serverIP+":80", natEIP+":"+portOf(r))).Want(At("db"), To(dbIP+":1"))
}
