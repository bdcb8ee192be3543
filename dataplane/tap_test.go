package dataplane_test

import (
	"bytes"
	"testing"

	"github.com/vpcemu/vpcemu/dataplane"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

var broadcast = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// tapLab is the book with TAP links for the web server and a neighbour.
func tapLab(t *testing.T) (*book, *ENI, *ENI) {
	b := newBook(t)
	b.web.TAP()
	two := b.public.ENI("two", "172.30.0.11", b.open).TAP()
	b.laptop.Port.Frames = true
	b.Apply()
	return b, b.web, two
}

func arpFrame(e *ENI, op uint16, sender, target string) []byte {
	return Frame(broadcast, e.MAC(), 0x0806, ARP(op, e.MAC(), sender, [6]byte{}, target))
}

func TestL202_ARPIsAnsweredByThePlatform(t *testing.T) {
	b, web, two := tapLab(t)
	for target, mac := range map[string][6]byte{"172.30.0.11": two.MAC(), "172.30.0.1": web.RouterMAC(), natIP: b.nat.ENI.MAC()} {
		r := web.SendFrame(arpFrame(web, 1, webIP, target)).Want(Ended(dataplane.ARPAnswered))
		if len(r.Out) != 1 || r.Out[0].Port != "web" {
			t.Fatalf("%s: %d frames", target, len(r.Out))
		}
		want := Frame(web.MAC(), mac, 0x0806, ARP(2, mac, target, web.MAC(), webIP))
		if got := r.Out[0].Frame; !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", target, got, want)
		}
	}
	for name, f := range map[string][]byte{
		"unassigned":   arpFrame(web, 1, webIP, "172.30.0.77"),
		"other subnet": arpFrame(web, 1, webIP, dbIP),
		"reserved":     arpFrame(web, 1, webIP, "172.30.0.2"),
		"own (probe)":  arpFrame(web, 1, "0.0.0.0", webIP),
		"gratuitous":   arpFrame(web, 1, "172.30.0.11", "172.30.0.11"),
		"reply":        arpFrame(web, 2, webIP, "172.30.0.11"),
	} {
		t.Run(name, func(*testing.T) { web.SendFrame(f).Want(Dropped(dataplane.ARPUnanswered)) })
	}
	web.SendFrame(Frame(broadcast, web.MAC(), 0x0806, []byte{0, 1, 8, 0})).Want(Dropped(dataplane.FrameMalformed))
}

// The resolver's address is in the VPC's first subnet: who is there asks for its MAC.
func TestDNS01_ARPForTheResolverIsAnswered(t *testing.T) {
	b, web, _ := tapLab(t)
	withResolver(b)
	b.Apply()
	r := web.SendFrame(arpFrame(web, 1, webIP, "172.30.0.2")).Want(Ended(dataplane.ARPAnswered))
	want := Frame(web.MAC(), web.RouterMAC(), 0x0806, ARP(2, web.RouterMAC(), "172.30.0.2", web.MAC(), webIP))
	if len(r.Out) != 1 || !bytes.Equal(r.Out[0].Frame, want) {
		t.Fatalf("got %d frames, want %x", len(r.Out), want)
	}
	web.SendFrame(Frame(web.RouterMAC(), web.MAC(), 0x0800, UDP(webIP+":1000", "172.30.0.2:53", 30))).Want(Ended(dataplane.ToResolver))
	web.SendFrame(arpFrame(web, 1, webIP, "172.30.0.3")).Want(Dropped(dataplane.ARPUnanswered))
}

// A host's static configuration has all of the Internet on its link.
func TestL202_InternetAnswersARPForAllButTheHostItself(t *testing.T) {
	b, _, _ := tapLab(t)
	ask := func(target string) *Result {
		f := Frame(broadcast, b.laptop.MAC(), 0x0806, ARP(1, b.laptop.MAC(), laptopIP, [6]byte{}, target))
		return b.SendRaw(b.laptop.Port, f)
	}
	ask(serverIP).Want(Ended(dataplane.ARPAnswered))
	ask("192.0.2.53").Want(Ended(dataplane.ARPAnswered))
	ask(laptopIP).Want(Dropped(dataplane.ARPUnanswered))
}

func TestL206_OnlyIPAndARP(t *testing.T) {
	_, web, two := tapLab(t)
	web.SendFrame(Frame(two.MAC(), web.MAC(), 0x88cc, make([]byte, 46))).Want(Dropped(dataplane.NotIP))
	web.SendFrame(Frame(two.MAC(), web.MAC(), 0x8100, make([]byte, 46))).Want(Dropped(dataplane.NotIP))
	web.SendFrame([]byte{1, 2, 3}).Want(Dropped(dataplane.FrameMalformed))
	web.SendFrame(Frame(two.MAC(), two.MAC(), 0x0800, SYN(webIP+":1", "172.30.0.11:80"))).Want(Dropped(dataplane.SourceMAC))
	web.SendFrame(Frame([6]byte{2, 2, 2, 2, 2, 2}, web.MAC(), 0x0800, SYN(webIP+":1", "172.30.0.11:80"))).Want(Dropped(dataplane.UnknownMAC))
	web.SendFrame(Frame(broadcast, web.MAC(), 0x0800, SYN(webIP+":1", "172.30.0.11:80"))).Want(Dropped(dataplane.BroadcastUnsupported))
}

func TestRT15_FramesToANeighbourBypassRouteTableAndACL(t *testing.T) {
	b, web, two := tapLab(t)
	b.public.ACL = &ACL{Name: "closed"}
	two.NoCheck = true
	b.Apply()
	// An appliance in the same subnet: the MAC names the next hop, whatever the destination.
	r := web.SendFrame(Frame(two.MAC(), web.MAC(), 0x0800, SYN(webIP+":1", serverIP+":80"))).Want(At("two"), To(serverIP+":80"))
	if f := r.Out[0].Frame; !bytes.Equal(f[:6], sliceOf(two.MAC())) || !bytes.Equal(f[6:12], sliceOf(web.MAC())) {
		t.Errorf("frame %x", f[:14])
	}
	web.Send(SYN(webIP+":1", serverIP+":80")).Want(Dropped(dataplane.ACLDenied))
	// Groups still guard the ENI (SG-03).
	two.Groups = nil
	b.Apply()
	web.SendFrame(Frame(two.MAC(), web.MAC(), 0x0800, SYN(webIP+":2", serverIP+":80"))).Want(Dropped(dataplane.SGHasNoRules))
}

func TestU01_RouterMACWithinTheSubnetDoesNotCross(t *testing.T) {
	b, web, _ := tapLab(t)
	b.public.ACL = &ACL{Name: "closed"}
	b.Apply()
	web.Send(SYN(webIP+":1", "172.30.0.11:80")).Want(At("two"))
}

func TestTAPFramesOfRoutedPacketsComeFromTheRouter(t *testing.T) {
	b, web, _ := tapLab(t)
	r := b.db.Send(SYN(dbIP+":1", webIP+":80")).Want(At("web"))
	if f := r.Out[0].Frame; !bytes.Equal(f[:6], sliceOf(web.MAC())) || !bytes.Equal(f[6:12], sliceOf(web.RouterMAC())) {
		t.Errorf("frame %x", f[:14])
	}
	web.Send(DF(UDP(webIP+":1", serverIP+":9", 8000))).Want(Answered(dataplane.PacketTooBig, "web"), From("172.30.0.1"))
	r = web.Send(UDP(webIP+":1", laptopIP+":9", 4000)).Want(Ended(dataplane.Delivered))
	if len(r.Out) != 3 || r.Out[0].Port != "laptop" {
		t.Errorf("%d fragments", len(r.Out))
	}
}

func TestInternetTAPHostSendsToItsGateway(t *testing.T) {
	b, _, _ := tapLab(t)
	gateway := [6]byte{0x0e, 0xff, 0, 0, 0, 1}
	pkt := SYN(laptopIP+":1", webEIP+":80")
	b.SendRaw(b.laptop.Port, Frame(gateway, b.laptop.MAC(), 0x0800, pkt)).Want(At("web"))
	b.SendRaw(b.laptop.Port, Frame(broadcast, b.laptop.MAC(), 0x0800, pkt)).Want(Dropped(dataplane.BroadcastUnsupported))
	b.SendRaw(b.laptop.Port, Frame([6]byte{2}, b.laptop.MAC(), 0x0800, pkt)).Want(Dropped(dataplane.UnknownMAC))
}

func sliceOf(mac [6]byte) []byte { return mac[:] }
