package dataplane_test

import (
	"net/netip"
	"testing"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/packet"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

func TestPL02_SourceCheck(t *testing.T) {
	b := newBook(t).applied()
	b.web.Send(SYN("172.30.0.11:1000", dbIP+":80")).Want(Dropped(dataplane.SourceDestCheck))
	// Also within the subnet.
	b.public.ENI("web2", "172.30.0.12", b.open)
	b.Apply()
	b.web.Send(SYN("172.30.0.11:1000", "172.30.0.12:80")).Want(Dropped(dataplane.SourceDestCheck))
	b.web.NoCheck = true
	b.Apply()
	b.web.Send(SYN("172.30.0.11:1000", dbIP+":80")).Want(At("db"))
}

func TestPL02_SecondaryAddressesAreTheENIsOwn(t *testing.T) {
	b := newBook(t)
	two := b.public.ENI("two", "172.30.0.31 172.30.0.32", b.open).EIP(1, "203.0.113.32")
	b.Apply()
	two.Send(SYN("172.30.0.32:1000", dbIP+":80")).Want(At("db"))
	b.db.Send(SYN(dbIP+":1000", "172.30.0.32:80")).Want(At("two"))
	two.Send(SYN("172.30.0.32:1000", serverIP+":80")).Want(At("server"), From("203.0.113.32:1000"))
	two.Send(SYN("172.30.0.31:1000", serverIP+":80")).Want(Dropped(dataplane.IGWNoPublicAddress))
}

func TestPL02_DestinationCheck(t *testing.T) {
	b := newBook(t)
	b.public.ENI("fw", "172.30.0.50", b.open)
	b.private.Table.Routes = append(b.private.Table.Routes, "192.0.2.0/24 eni:fw")
	b.Apply()
	b.db.Send(SYN(dbIP+":1000", "192.0.2.9:80")).Want(Dropped(dataplane.SourceDestCheck))
}

func TestPL03_DropsAreSilent(t *testing.T) {
	b := newBook(t)
	b.db.Groups = []*Group{b.Group("nothing")}
	b.Apply()
	r := b.web.Send(SYN(webIP+":1000", dbIP+":80")).Want(Dropped(dataplane.SGHasNoRules))
	if r.Event.Answered {
		t.Error("answered")
	}
	if last := b.Engine.Drops(); len(last) != 1 || last[0].Reason != dataplane.SGHasNoRules || last[0].By.Name != "db" {
		t.Errorf("drop ring: %v", last)
	}
}

func TestAD11_ReservedAddressesAnswerNothing(t *testing.T) {
	b := newBook(t).applied()
	for _, dst := range []string{"172.30.0.0", "172.30.0.1", "172.30.0.2", "172.30.0.3", "172.30.1.1", "172.30.1.2"} {
		b.web.Send(Ping(webIP, dst, 1, 8)).Want(Dropped(dataplane.ReservedAddress))
	}
}

func TestL201_NoBroadcastNoMulticast(t *testing.T) {
	b := newBook(t).applied()
	for _, dst := range []string{"255.255.255.255", "172.30.0.255", "172.30.1.255", "224.0.0.251", "239.1.2.3"} {
		b.web.Send(UDP(webIP+":5353", dst+":5353", 8)).Want(Dropped(dataplane.BroadcastUnsupported))
	}
}

func TestL204_NoHopBetweenInstances(t *testing.T) {
	b := newBook(t).applied()
	b.web.Send(TTL(UDP(webIP+":1000", dbIP+":33434", 8), 1)).Want(At("db"), HopsLeft(1))
}

func TestIN02_StoppedInstanceGetsNothing(t *testing.T) {
	b := newBook(t)
	port := b.db.Port
	b.db.Port = nil
	b.Apply()
	b.web.Send(SYN(webIP+":1000", dbIP+":80")).Want(Dropped(dataplane.ENIDetached))
	b.db.Port = port
	b.Apply()
	b.web.Send(SYN(webIP+":1001", dbIP+":80")).Want(At("db"))
}

// withResolver gives the book's VPC a resolver at base + 2 and at the link-local address.
func withResolver(b *book) *book {
	b.vpc.Services = NewPort("services")
	b.vpc.Resolver = []netip.Addr{netip.MustParseAddr("172.30.0.2"), netip.MustParseAddr("169.254.169.253")}
	return b
}

func TestEX01_DNS03_ResolverIsExemptFromFilters(t *testing.T) {
	b := withResolver(newBook(t))
	b.db.Groups = []*Group{b.Group("nothing")}
	b.private.ACL = &ACL{Name: "closed"}
	b.Apply()
	b.db.Send(UDP(dbIP+":1000", "172.30.0.2:53", 30)).Want(Ended(dataplane.ToResolver), To("172.30.0.2:53"))
	b.db.Send(SYN(dbIP+":1000", "169.254.169.253:53")).Want(Ended(dataplane.ToResolver))
	b.vpc.SendServices(UDP("172.30.0.2:53", dbIP+":1000", 100)).Want(At("db"), From("172.30.0.2:53"))
	b.vpc.SendServices(UDP("172.30.0.2:53", "172.30.1.77:1000", 100)).Want(Dropped(dataplane.AddressUnassigned))
}

func TestEX02_OtherServicesAreDiscarded(t *testing.T) {
	b := withResolver(newBook(t)).applied()
	b.web.Send(Ping(webIP, "172.30.0.2", 1, 8)).Want(Dropped(dataplane.ReservedAddress))
	b.web.Send(SYN(webIP+":1", "172.30.0.1:22")).Want(Dropped(dataplane.ReservedAddress))
	b.web.Send(SYN(webIP+":1", "169.254.170.2:80")).Want(Dropped(dataplane.LinkLocalAddress))
	b.web.Send(SYN(webIP+":1", "169.254.169.253:80")).Want(Dropped(dataplane.LinkLocalAddress))
}

func TestEX02_CustomDNSServerIsFiltered(t *testing.T) {
	b := withResolver(newBook(t))
	b.web.Groups = []*Group{b.Group("nothing")}
	b.Apply()
	b.web.Send(UDP(webIP+":1", serverIP+":53", 8)).Want(Dropped(dataplane.SGHasNoRules))
}

func TestEX01_ResolverAwayIsTold(t *testing.T) {
	b := withResolver(newBook(t))
	b.vpc.Services = nil
	b.Apply()
	b.web.Send(UDP(webIP+":1", "172.30.0.2:53", 8)).Want(Dropped(dataplane.ServicesUnavailable))
}

func TestMalformedPacketIsDropped(t *testing.T) {
	b := newBook(t).applied()
	b.web.Send([]byte{0x45, 0}).Want(Dropped(dataplane.PacketMalformed))

}

func TestPortThatRefusesIsCounted(t *testing.T) {
	b := newBook(t)
	b.db.Port.FailWrites = true
	b.Apply()
	b.web.Send(SYN(webIP+":1", dbIP+":80")).Want(Dropped(dataplane.PortWriteFailed))
}

func TestFR01_FragmentsAreForwardedInAVPC(t *testing.T) {
	b := newBook(t)
	b.db.Groups = []*Group{b.Group("dns", In("udp", "53", "0.0.0.0/0"))}
	b.Apply()
	for _, f := range Split(UDP(webIP+":1000", dbIP+":53", 4000), 1500, 7) {
		b.web.Send(f).Want(At("db"))
	}
	for _, f := range Split(UDP(webIP+":1000", dbIP+":54", 4000), 1500, 8) {
		b.web.Send(f).Want(Dropped(dataplane.SGRulesMismatch))
	}
	for _, f := range Split(Ping(webIP, dbIP, 9, 4000), 1500, 9) {
		b.web.Send(f).Want(Dropped(dataplane.SGRulesMismatch))
	}
}

func TestAC08_LaterFragmentsInheritThePorts(t *testing.T) {
	b := newBook(t)
	b.private.ACL = &ACL{Name: "dns", Rules: append(AllowAll()[1:], Allow(100, 0, "udp", "53", "0.0.0.0/0"))}
	b.Apply()
	parts := Split(UDP(webIP+":1000", dbIP+":53", 4000), 1500, 7)
	b.web.Send(parts[1]).Want(Dropped(dataplane.FragmentWithoutFirst))
	for _, f := range parts {
		b.web.Send(f).Want(At("db"))
	}
	b.Advance(31e9)
	b.web.Send(parts[1]).Want(Dropped(dataplane.FragmentWithoutFirst))
}

func TestUnknownIngressHasNoTrace(t *testing.T) {
	b := newBook(t).applied()
	if s := b.Engine.Trace(9999, SYN(webIP+":1", dbIP+":80")); s != nil {
		t.Errorf("trace: %v", s)
	}
}

func TestTraceCommitsNothing(t *testing.T) {
	b := newBook(t)
	b.db.Groups = []*Group{b.Group("out", Out("tcp", "", "0.0.0.0/0"))}
	b.Apply()
	before := b.Config.Conntrack.Len() + b.Config.NAT.Len()
	b.db.Trace(SYN(dbIP+":1000", serverIP+":80"))
	if after := b.Config.Conntrack.Len() + b.Config.NAT.Len(); after != before {
		t.Errorf("tables grew from %d to %d", before, after)
	}
	b.db.Send(SYN(dbIP+":1000", serverIP+":80")).Want(At("server"), Flags(packet.FlagSYN))
}
