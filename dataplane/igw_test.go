package dataplane_test

import (
	"testing"

	"github.com/vpcemu/vpcemu/dataplane"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

func TestIG01_OneToOneTranslation(t *testing.T) {
	b := newBook(t).applied()
	b.web.Send(SYN(webIP+":1000", serverIP+":80")).Want(At("server"), From(webEIP+":1000"), To(serverIP+":80"))
	b.server.Send(SYNACK(serverIP+":80", webEIP+":1000")).Want(At("web"), From(serverIP+":80"), To(webIP+":1000"))
	b.laptop.Send(Ping(laptopIP, webEIP, 9, 16)).Want(At("web"), To(webIP))
	b.web.Send(Pong(webIP, laptopIP, 9, 16)).Want(At("laptop"), From(webEIP))
	b.laptop.Send(Proto(47, laptopIP, webEIP)).Want(At("web"), To(webIP))
}

func TestIG02_AllFourAreNeeded(t *testing.T) {
	syn := SYN(webIP+":1000", serverIP+":80")
	for _, c := range []struct {
		name   string
		remove func(b *book)
		want   dataplane.Reason
	}{
		{"gateway", func(b *book) { b.vpc.NoIGW = true }, dataplane.BlackholeRoute},
		{"route", func(b *book) { b.public.Table = nil }, dataplane.NoRoute},
		{"public address", func(b *book) { delete(b.vpc.Public, b.web.Addrs[0]) }, dataplane.IGWNoPublicAddress},
		{"group", func(b *book) { b.web.Groups = nil }, dataplane.SGHasNoRules},
		{"ACL", func(b *book) { b.public.ACL = &ACL{Name: "closed"} }, dataplane.ACLDenied},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook(t).applied()
			b.web.Send(syn).Want(At("server"))
			c.remove(b)
			b.Apply()
			b.web.Send(syn).Want(Dropped(c.want))
		})
	}
}

func TestIG03_PrivateDestinations(t *testing.T) {
	b := newBook(t).applied()
	for _, dst := range []string{"10.99.0.1", "172.16.0.1", "172.31.255.1", "192.168.1.1"} {
		b.web.Send(SYN(webIP+":1", dst+":80")).Want(Dropped(dataplane.IGWDestinationRFC1918))
	}
	for _, dst := range []string{"100.64.0.1", "100.127.255.254"} {
		b.web.Send(SYN(webIP+":1", dst+":80")).Want(Dropped(dataplane.IGWDestinationRFC6598))
	}
	for _, dst := range []string{"172.32.0.1", "100.128.0.1", "192.167.1.1"} {
		b.web.Send(SYN(webIP+":1", dst+":80")).Want(Dropped(dataplane.InternetUnreachable))
	}
}

func TestIG03_SpoofedSource(t *testing.T) {
	b := newBook(t)
	b.web.NoCheck = true
	b.Apply()
	b.web.Send(SYN("172.30.0.77:1", serverIP+":80")).Want(Dropped(dataplane.IGWSpoofedSource))
	b.web.Send(SYN("8.8.8.8:1", serverIP+":80")).Want(Dropped(dataplane.IGWSpoofedSource))
	b.web.Send(SYN(dbIP+":1", serverIP+":80")).Want(Dropped(dataplane.IGWNoPublicAddress))
}

func TestIG04_IngressChecks(t *testing.T) {
	b := newBook(t)
	b.Stale["203.0.113.200"] = b.vpc
	b.vpc.Public[addrOf("10.9.9.9")] = addrOf("203.0.113.201")
	b.Apply()
	b.laptop.Send(SYN("10.0.0.1:1", webEIP+":80")).Want(Dropped(dataplane.IGWSourceRFC1918))
	b.laptop.Send(SYN("100.64.0.1:1", webEIP+":80")).Want(Dropped(dataplane.IGWSourceRFC6598))
	b.laptop.Send(SYN(laptopIP+":1", "203.0.113.200:80")).Want(Dropped(dataplane.IGWNoPrivateAddress))
	b.laptop.Send(SYN(laptopIP+":1", "203.0.113.201:80")).Want(Dropped(dataplane.IGWDestinationOutsideVPC))
	b.laptop.Send(SYN(laptopIP+":1", "203.0.113.202:80")).Want(Dropped(dataplane.InternetUnreachable))
	b.laptop.Send(SYN(laptopIP+":1", webIP+":80")).Want(Dropped(dataplane.InternetUnreachable))
}

func TestIG05_FiltersSeeThePrivateAddress(t *testing.T) {
	b := newBook(t)
	b.web.Groups = []*Group{b.Group("g", In("tcp", "80", laptopIP+"/32"))}
	b.public.ACL = &ACL{Name: "acl", Rules: []aclRule{
		Allow(100, in, "tcp", "80", laptopIP+"/32"), Allow(100, out, "tcp", "", laptopIP+"/32"),
	}}
	b.Apply()
	b.laptop.Send(SYN(laptopIP+":1", webEIP+":80")).Want(At("web"))
	b.web.Send(SYNACK(webIP+":80", laptopIP+":1")).Want(At("laptop"))
	b.server.Send(SYN(serverIP+":1", webEIP+":80")).Want(Dropped(dataplane.ACLDenied))
}

func TestIG06_HairpinByPublicAddress(t *testing.T) {
	b := newBook(t)
	b.public.ENI("web2", "172.30.0.11", b.open).EIP(0, "203.0.113.11")
	b.Apply()
	b.web.Send(SYN(webIP+":1", "203.0.113.11:80")).Want(At("web2"), From(webEIP+":1"), To("172.30.0.11:80"))
	b.vpc.Find("web2").Send(SYNACK("172.30.0.11:80", webEIP+":1")).Want(At("web"), From("203.0.113.11:80"), To(webIP+":1"))
}

func TestIG06_BetweenVPCs(t *testing.T) {
	b := newBook(t)
	v := b.VPC("other", "10.0.0.0/16")
	v.Main.Routes = append(v.Main.Routes, "0.0.0.0/0 igw")
	v.Subnet("other", "10.0.0.0/24").ENI("far", "10.0.0.10", b.open).EIP(0, "203.0.113.70")
	b.Apply()
	b.web.Send(SYN(webIP+":1", "203.0.113.70:80")).Want(At("far"), From(webEIP+":1"), To("10.0.0.10:80"))
	b.web.Send(SYN(webIP+":1", "10.0.0.10:80")).Want(Dropped(dataplane.IGWDestinationRFC1918))
}

func TestInternetHostsReachOneAnother(t *testing.T) {
	b := newBook(t).applied()
	b.laptop.Send(SYN(laptopIP+":1", serverIP+":80")).Want(At("server"), From(laptopIP+":1"), HopsLeft(63))
	b.laptop.Send(TTL(SYN(laptopIP+":1", serverIP+":80"), 1)).Want(Dropped(dataplane.TTLExpired))
}

func TestTT01_GatewayTakesAHopAndIsSilent(t *testing.T) {
	b := newBook(t).applied()
	b.web.Send(SYN(webIP+":1", serverIP+":80")).Want(At("server"), HopsLeft(63))
	b.web.Send(TTL(SYN(webIP+":1", serverIP+":80"), 1)).Want(Dropped(dataplane.TTLExpired))
	b.laptop.Send(TTL(SYN(laptopIP+":1", webEIP+":80"), 1)).Want(Dropped(dataplane.TTLExpired))
}

func TestMT11_TooBigAtTheGateway(t *testing.T) {
	b := newBook(t).applied()
	big := DF(UDP(webIP+":1", serverIP+":9", 8000))
	b.web.Send(big).Want(Answered(dataplane.PacketTooBig, "web"), From("172.30.0.1"), To(webIP), ICMP(3, 4), NextMTU(1500),
		Quotes(Parse(big).Tuple))
	r := b.web.Send(UDP(webIP+":1", serverIP+":9", 8000)).Want(Ended(dataplane.Delivered))
	if len(r.Out) != 6 {
		t.Fatalf("%d fragments", len(r.Out))
	}
	for _, o := range r.Out {
		if h := Parse(o.Packet); len(h.Data) > 1500 || h.Src != Addr(webEIP) || o.Port != "server" {
			t.Errorf("fragment of %d bytes %s at %s", len(h.Data), h.Tuple, o.Port)
		}
	}
	b.web.Send(DF(UDP(webIP+":1", serverIP+":9", 1472))).Want(At("server"))
	b.laptop.Send(DF(UDP(laptopIP+":1", webEIP+":9", 3000))).Want(Answered(dataplane.PacketTooBig, "laptop"), From(webEIP), ICMP(3, 4))
}

func TestMT11_AnswersAreLimited(t *testing.T) {
	b := newBook(t).applied()
	big := DF(UDP(webIP+":1", serverIP+":9", 8000))
	answered := 0
	for range 300 {
		if b.web.Send(big).Want(Ended(dataplane.PacketTooBig)).Event.Answered {
			answered++
		}
	}
	if answered != 100 {
		t.Errorf("%d answers at one moment", answered)
	}
	b.Advance(1e9)
	b.web.Send(big).Want(Answered(dataplane.PacketTooBig, "web"))
}

func TestMT01_9001WithinTheVPC(t *testing.T) {
	b := newBook(t).applied()
	b.web.Send(DF(UDP(webIP+":1", dbIP+":9", 9001-28))).Want(At("db"))
	b.db.MTU = 1500
	b.Apply()
	b.web.Send(DF(UDP(webIP+":1", dbIP+":9", 9001-28))).Want(Answered(dataplane.PacketTooBig, "web"), From("172.30.0.1"), NextMTU(1500))
}
