package dataplane_test

import (
	"net"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/dhcp"
	"github.com/vpcemu/vpcemu/internal/packet"

	. "github.com/vpcemu/vpcemu/dataplane/porttest"
)

func clientMessage(t *testing.T, e *ENI, kind dhcpv4.MessageType, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	mac := e.MAC()
	mods = append([]dhcpv4.Modifier{
		dhcpv4.WithMessageType(kind), dhcpv4.WithHwAddr(net.HardwareAddr(mac[:])),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter),
	}, mods...)
	m, err := dhcpv4.New(mods...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func dhcpPacket(src, dst string, m *dhcpv4.DHCPv4) []byte {
	p := m.ToBytes()
	return packet.BuildUDP(make([]byte, 1500), packet.Tuple{
		Src: Addr(src), Dst: Addr(dst), SrcPort: 68, DstPort: 67, Proto: packet.ProtoUDP,
	}, 64, p)
}

func serverMessage(t *testing.T, r *Result) *dhcpv4.DHCPv4 {
	t.Helper()
	h := r.Header()
	m, err := dhcpv4.FromBytes(h.Data[h.L4+8:])
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDH06_ServedFromTheReservationPastAllFilters(t *testing.T) {
	for _, tap := range []bool{false, true} {
		b := newBook(t)
		b.db.Groups, b.private.ACL = nil, &ACL{Name: "closed"}
		send := b.db.Send
		if tap {
			b.db.TAP()
			send = func(p []byte) *Result { return b.db.SendFrame(Frame(broadcast, b.db.MAC(), 0x0800, p)) }
		}
		b.Apply()
		r := send(dhcpPacket("0.0.0.0", "255.255.255.255", clientMessage(t, b.db, dhcpv4.MessageTypeDiscover)))
		r.Want(Ended(dataplane.DHCPServed), From("172.30.1.1:67"))
		offer := serverMessage(t, r)
		if offer.MessageType() != dhcpv4.MessageTypeOffer || offer.YourIPAddr.String() != dbIP {
			t.Fatalf("offer: %s", offer.Summary())
		}
		r = send(dhcpPacket("0.0.0.0", "255.255.255.255", clientMessage(t, b.db, dhcpv4.MessageTypeRequest,
			dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.ParseIP(dbIP))),
			dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.ParseIP("172.30.1.1"))))))
		r.Want(Ended(dataplane.DHCPServed))
		if ack := serverMessage(t, r); ack.MessageType() != dhcpv4.MessageTypeAck {
			t.Fatalf("ack: %s", ack.Summary())
		}
		if n := len(b.Leases); n != 2 || b.Leases[1].State != dhcp.StateBound {
			t.Errorf("leases: %v", b.Leases)
		}
		// Renewal is unicast both ways.
		r = b.db.Send(dhcpPacket(dbIP, "172.30.1.1", clientMessage(t, b.db, dhcpv4.MessageTypeRequest,
			dhcpv4.WithClientIP(net.ParseIP(dbIP)))))
		r.Want(Ended(dataplane.DHCPServed), To(dbIP+":68"))
		b.db.Send(dhcpPacket(dbIP, "172.30.1.1", clientMessage(t, b.db, dhcpv4.MessageTypeRelease,
			dhcpv4.WithClientIP(net.ParseIP(dbIP)),
			dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.ParseIP("172.30.1.1")))))).Want(Ended(dataplane.DHCPServed))
		if last := b.Leases[len(b.Leases)-1]; last.State != dhcp.StateReleased {
			t.Errorf("last lease: %v", last)
		}
	}
}

func TestDHCPMalformedIsCounted(t *testing.T) {
	b := newBook(t).applied()
	b.db.Send(UDP("0.0.0.0:68", "255.255.255.255:67", 20)).Want(Dropped(dataplane.DHCPNotServed))
	for _, f := range Split(UDP("0.0.0.0:68", "255.255.255.255:67", 600), 300, 4)[:1] {
		b.db.Send(f).Want(Dropped(dataplane.DHCPNotServed))
	}
	// Not to another subnet's server.
	b.db.Send(UDP(dbIP+":68", "172.30.0.1:67", 20)).Want(Dropped(dataplane.ReservedAddress))
}
