package dataplane_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/dataplane"
	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

func TestIM01_MetadataIsExemptFromFilters(t *testing.T) {
	b := withResolver(newBook(t))
	b.vpc.Resolver = nil // enableDnsSupport is about DNS alone
	b.db.Groups = []*Group{b.Group("nothing")}
	b.private.ACL = &ACL{Name: "closed"}
	b.Apply()
	b.db.Send(SYN(dbIP+":1000", "169.254.169.254:80")).Want(Ended(dataplane.ToMetadata), From(dbIP+":1000"))
	r := b.vpc.SendServices(TCP("169.254.169.254:80", dbIP+":1000", 0x12, 0)).Want(At("db"), From("169.254.169.254:80"))
	if h := Parse(r.Out[0].Packet); h.TTL != 64 {
		t.Errorf("TTL %d: an answer's hop limit is the server's (IM-04)", h.TTL)
	}
	for name, p := range map[string][]byte{
		"udp":        UDP(dbIP+":1000", "169.254.169.254:80", 8),
		"other port": SYN(dbIP+":1000", "169.254.169.254:443"),
		"ping":       Ping(dbIP, "169.254.169.254", 1, 8),
	} {
		t.Run(name, func(*testing.T) { b.db.Send(p).Want(Dropped(dataplane.LinkLocalAddress)) })
	}
}

func TestTI01_TimeIsExemptFromFilters(t *testing.T) {
	b := withResolver(newBook(t))
	b.db.Groups = []*Group{b.Group("nothing")}
	b.private.ACL = &ACL{Name: "closed"}
	b.Apply()
	b.db.Send(UDP(dbIP+":1000", "169.254.169.123:123", 48)).Want(Ended(dataplane.ToTime))
	b.vpc.SendServices(UDP("169.254.169.123:123", dbIP+":1000", 48)).Want(At("db"))
	b.db.Send(SYN(dbIP+":1000", "169.254.169.123:123")).Want(Dropped(dataplane.LinkLocalAddress))
}

// Whoever could send with another's address would get the other's metadata.
func TestIM02_MetadataWantsTheInterfacesOwnAddress(t *testing.T) {
	b := withResolver(newBook(t))
	b.db.NoCheck = true
	b.Apply()
	for _, p := range [][]byte{
		SYN(webIP+":1000", "169.254.169.254:80"), UDP(webIP+":1000", "169.254.169.123:123", 48), UDP(webIP+":1000", "172.30.0.2:53", 30),
	} {
		b.db.Send(p).Want(Dropped(dataplane.SourceDestCheck))
	}
	b.web.Send(SYN(webIP+":1000", "169.254.169.254:80")).Want(Ended(dataplane.ToMetadata))
}

func TestDNS02_ServicesShareTheLimit(t *testing.T) {
	b := withResolver(newBook(t)).applied()
	kinds := [][]byte{UDP(dbIP+":1", "172.30.0.2:53", 30), SYN(dbIP+":1", "169.254.169.254:80"), UDP(dbIP+":1", "169.254.169.123:123", 48)}
	served := 0
	for i := range 1500 {
		r := b.db.Send(kinds[i%len(kinds)])
		if !r.Event.Reason.Dropped() {
			served++
		} else {
			r.Want(Dropped(dataplane.ServicesRate))
		}
	}
	if served != 1024 {
		t.Errorf("%d of 1500 in one second", served)
	}
	// Others have a limit of their own, and other traffic none.
	b.web.Send(kinds[1]).Want(Dropped(dataplane.SourceDestCheck))
	b.web.Send(SYN(webIP+":1", "169.254.169.254:80")).Want(Ended(dataplane.ToMetadata))
	b.db.Send(SYN(dbIP+":1", serverIP+":80")).Want(At("server"))
	b.Advance(time.Second)
	b.db.Send(kinds[1]).Want(Ended(dataplane.ToMetadata))
}

// Systems with a route that makes link-local addresses neighbours ask for them.
func TestIM01_ARPForLinkLocalServicesIsAnswered(t *testing.T) {
	b, web, _ := tapLab(t)
	withResolver(b)
	b.Apply()
	for _, a := range []string{"169.254.169.254", "169.254.169.253", "169.254.169.123"} {
		r := web.SendFrame(arpFrame(web, 1, webIP, a)).Want(Ended(dataplane.ARPAnswered))
		want := Frame(web.MAC(), web.RouterMAC(), 0x0806, ARP(2, web.RouterMAC(), a, web.MAC(), webIP))
		if len(r.Out) != 1 || !bytes.Equal(r.Out[0].Frame, want) {
			t.Errorf("%s: got %d frames, want %x", a, len(r.Out), want)
		}
	}
	web.SendFrame(arpFrame(web, 1, webIP, "169.254.1.1")).Want(Dropped(dataplane.ARPUnanswered))
}

// withUplink gives the book's lab a way out, by which one private network may be reached.
func withUplink(b *book) *Uplink {
	u := b.AddUplink("203.0.113.0/24", "198.51.100.0/24")
	u.Refuses = []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("192.0.2.9/32")}
	u.Allows = []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24")}
	return u
}

func TestUplink_CarriesWhatTheLabHasNot(t *testing.T) {
	b := newBook(t)
	u := withUplink(b)
	b.Apply()
	b.laptop.Send(SYN(laptopIP+":1000", "192.0.2.80:80")).Want(At("uplink"), From(laptopIP+":1000"), To("192.0.2.80:80"))
	b.Lab.SendRaw(u.Port, TCP("192.0.2.80:80", laptopIP+":1000", 0x12, 0)).Want(At("laptop"))
	// A private instance: NAT gateway, Internet gateway, uplink, and back.
	r := b.db.Send(SYN(dbIP+":1000", "192.0.2.80:80")).Want(At("uplink"), To("192.0.2.80:80"))
	h := Parse(r.Out[0].Packet)
	back := netip.AddrPortFrom(h.Src.Netip(), h.SrcPort).String()
	b.Lab.SendRaw(u.Port, TCP("192.0.2.80:80", back, 0x12, 0)).Want(At("db"), To(dbIP+":1000"))
	// What nobody asked for is not let in by the gateways.
	b.Lab.SendRaw(u.Port, SYN("192.0.2.80:81", h.Src.Netip().String()+":1234")).Want(Dropped(dataplane.NATNoMapping))
	// Hosts of the lab come first, and an unused public address of the lab is nobody's.
	b.laptop.Send(SYN(laptopIP+":1000", serverIP+":80")).Want(At("server"))
	b.laptop.Send(SYN(laptopIP+":1000", "203.0.113.250:80")).Want(Dropped(dataplane.InternetUnreachable))
	// Nothing goes through the lab from outside to outside.
	b.Lab.SendRaw(u.Port, SYN("192.0.2.80:80", "192.0.2.81:80")).Want(Dropped(dataplane.InternetUnreachable))
}

func TestUplink_RefusesPrivateDestinationsAndForeignSources(t *testing.T) {
	b := newBook(t)
	withUplink(b)
	b.Apply()
	b.laptop.Send(SYN(laptopIP+":1000", "192.168.1.1:80")).Want(Dropped(dataplane.UplinkRefused))
	b.laptop.Send(SYN(laptopIP+":1000", "192.0.2.9:80")).Want(Dropped(dataplane.UplinkRefused))
	b.laptop.Send(SYN(laptopIP+":1000", "192.168.7.1:80")).Want(At("uplink"))
	b.laptop.Send(SYN("192.0.2.7:1000", "192.0.2.80:80")).Want(Dropped(dataplane.UplinkRefused))
	// A known flow is not carried on when the destination is named no more.
	b.laptop.Send(TCP(laptopIP+":1000", "192.168.7.1:80", 0x10, 0)).Want(At("uplink"))
	b.Uplink.Allows = nil
	b.Apply()
	b.laptop.Send(TCP(laptopIP+":1000", "192.168.7.1:80", 0x10, 0)).Want(Dropped(dataplane.UplinkRefused))
	b.Uplink = nil
	b.Apply()
	b.laptop.Send(SYN(laptopIP+":1000", "192.0.2.80:80")).Want(Dropped(dataplane.InternetUnreachable))
}

func TestUplink_TTL(t *testing.T) {
	b := newBook(t)
	u := withUplink(b)
	b.Apply()
	r := b.laptop.Send(SYN(laptopIP+":1000", "192.0.2.80:80")).Want(At("uplink"))
	if h := Parse(r.Out[0].Packet); h.TTL != 63 {
		t.Errorf("TTL %d on the way out", h.TTL)
	}
	r = b.Lab.SendRaw(u.Port, TCP("192.0.2.80:80", laptopIP+":1000", 0x12, 0)).Want(At("laptop"))
	if h := Parse(r.Out[0].Packet); h.TTL != 63 {
		t.Errorf("TTL %d on the way in", h.TTL)
	}
}
