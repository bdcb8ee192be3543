package dhcp

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// answer builds an OFFER or an ACK (RFC 2131 table 3). For an INFORM it builds the ACK without address and
// times; kind is then MessageTypeInform.
func answer(m *dhcpv4.DHCPv4, r *Reservation, kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	inform := kind == dhcpv4.MessageTypeInform
	if inform {
		kind = dhcpv4.MessageTypeAck
	}
	a := blank(m, r, kind)
	if kind == dhcpv4.MessageTypeAck {
		a.ClientIPAddr = m.ClientIPAddr
	}
	if !inform {
		a.YourIPAddr = r.Addr.Unmap().AsSlice()
		leaseOptions(a, r.leaseTime())
	}
	addConfiguration(a, m, r)
	return a
}

// leaseOptions sets lease time, T1 at one half and T2 at seven eighths (RFC 2131 section 4.4.5, DH-05).
func leaseOptions(a *dhcpv4.DHCPv4, d time.Duration) {
	a.UpdateOption(dhcpv4.OptIPAddressLeaseTime(d))
	a.UpdateOption(dhcpv4.OptRenewTimeValue(d / 2))
	a.UpdateOption(dhcpv4.OptRebindingTimeValue(d * 7 / 8))
}

// refuse builds a NAK. Text is for the client's log.
func refuse(m *dhcpv4.DHCPv4, r *Reservation, text string) *dhcpv4.DHCPv4 {
	a := blank(m, r, dhcpv4.MessageTypeNak)
	a.UpdateOption(dhcpv4.OptMessage(text))
	return a
}

// blank is what all replies share: the request's transaction, hardware address and flags, the server
// identifier, and the client identifier (RFC 6842).
func blank(m *dhcpv4.DHCPv4, r *Reservation, kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	zero := netip.IPv4Unspecified().AsSlice()
	a := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: m.HWType, TransactionID: m.TransactionID, Flags: m.Flags,
		ClientIPAddr: zero, YourIPAddr: zero, ServerIPAddr: zero, GatewayIPAddr: zero,
		ClientHWAddr: m.ClientHWAddr, Options: dhcpv4.Options{},
	}
	a.UpdateOption(dhcpv4.OptMessageType(kind))
	a.UpdateOption(dhcpv4.Option{Code: dhcpv4.OptionServerIdentifier, Value: addresses{r.server()}})
	if id := m.Options.Get(dhcpv4.OptionClientIdentifier); id != nil {
		a.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionClientIdentifier, id))
	}
	return a
}

// parameter is one option of the configuration, most needed first: when a reply would outgrow what the
// client accepts, the last ones are left out.
type parameter struct {
	code  dhcpv4.OptionCode
	value []byte
}

func parameters(r *Reservation) []parameter {
	mtu := binary.BigEndian.AppendUint16(nil, r.MTU)
	if r.MTU == 0 {
		mtu = nil
	}
	var node []byte
	if r.NetBIOSNodeType != 0 {
		node = []byte{r.NetBIOSNodeType}
	}
	return []parameter{
		{dhcpv4.OptionSubnetMask, mask(r.Subnet)},
		{dhcpv4.OptionRouter, addresses{r.server()}.ToBytes()},
		{dhcpv4.OptionDomainNameServer, addresses(r.DNS).ToBytes()},
		{dhcpv4.OptionInterfaceMTU, mtu},
		{dhcpv4.OptionBroadcastAddress, addresses{broadcast(r.Subnet)}.ToBytes()},
		{dhcpv4.OptionHostName, []byte(r.hostName())},
		{dhcpv4.OptionDomainName, []byte(r.DomainName)},
		{dhcpv4.OptionNTPServers, addresses(r.NTP).ToBytes()},
		{dhcpv4.OptionNetBIOSOverTCPIPNameServer, addresses(r.NetBIOSNames).ToBytes()},
		{dhcpv4.OptionNetBIOSOverTCPIPNodeType, node},
	}
}

// addConfiguration adds the parameters that the client asked for (RFC 2131 section 4.3.1). The mask goes
// with every reply, since a client that forgot to ask would fall back to address classes; a client without
// a parameter request list gets everything.
func addConfiguration(a, m *dhcpv4.DHCPv4, r *Reservation) {
	room := capacity(m) - unpadded(a)
	list := m.Options.Get(dhcpv4.OptionParameterRequestList)
	for _, p := range parameters(r) {
		if len(p.value) == 0 || !wants(list, p.code) {
			continue
		}
		size := len(p.value) + 2*(1+(len(p.value)-1)/255)
		if size > room {
			continue
		}
		room -= size
		a.UpdateOption(dhcpv4.OptGeneric(p.code, p.value))
	}
}

func wants(list []byte, code dhcpv4.OptionCode) bool {
	if len(list) == 0 || code == dhcpv4.OptionSubnetMask {
		return true
	}
	for _, c := range list {
		if c == code.Code() {
			return true
		}
	}
	return false
}

// Sizes in bytes: IP and UDP header, and the message that every client must accept (RFC 2131 section 2).
const (
	headers  = 28
	minReply = 576 - headers
)

// capacity is the largest reply the client accepts (RFC 2132 section 9.10), kept within an Ethernet frame.
func capacity(m *dhcpv4.DHCPv4) int {
	size, err := m.MaxMessageSize()
	if err != nil {
		return minReply
	}
	return min(max(int(size)-headers, minReply), 1500-headers)
}

// unpadded is the length of a message with its end option and without the padding to 300 bytes.
func unpadded(a *dhcpv4.DHCPv4) int {
	return minMessage + len(a.Options.ToBytes()) + 1
}

// addresses is an option made of IPv4 addresses; others are passed over, DHCPv4 having no place for them.
type addresses []netip.Addr

func (as addresses) ToBytes() []byte {
	var b []byte
	for _, a := range as {
		if a = a.Unmap(); a.Is4() {
			b = append(b, a.AsSlice()...)
		}
	}
	return b
}

func (as addresses) String() string {
	var s string
	for i, a := range as {
		if i > 0 {
			s += ", "
		}
		s += a.String()
	}
	return s
}

func mask(p netip.Prefix) []byte {
	return binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-p.Bits()))
}

func broadcast(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	v := binary.BigEndian.Uint32(a[:]) | ^(^uint32(0) << (32 - p.Bits()))
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, v)))
}

// ReplyTo names the address that reply, made by Serve from req, is sent to (RFC 2131 section 4.1): a NAK is
// broadcast, a client that has an address gets it there, one that asked for broadcast gets that, and any
// other the address it is being given, which on Ethernet needs its hardware address as it cannot answer ARP
// yet. dst is invalid if either is no DHCP message.
func ReplyTo(req, reply []byte) (dst netip.Addr, broadcast bool) {
	if len(req) < minMessage || len(reply) < minMessage {
		return netip.Addr{}, false
	}
	everyone := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	if messageType(reply) == byte(dhcpv4.MessageTypeNak) {
		return everyone, true
	}
	if ci := netip.AddrFrom4([4]byte(req[12:16])); !ci.IsUnspecified() {
		return ci, false
	}
	yi := netip.AddrFrom4([4]byte(reply[16:20]))
	if req[10]&0x80 != 0 || yi.IsUnspecified() {
		return everyone, true
	}
	return yi, false
}

// messageType finds option 53 in a message that Serve made; 0 if there is none.
func messageType(b []byte) byte {
	for o := b[minMessage:]; len(o) >= 2; {
		switch code := o[0]; {
		case code == dhcpv4.OptionPad.Code():
			o = o[1:]
		case code == dhcpv4.OptionEnd.Code() || 2+int(o[1]) > len(o):
			return 0
		case code == dhcpv4.OptionDHCPMessageType.Code() && o[1] == 1:
			return o[2]
		default:
			o = o[2+int(o[1]):]
		}
	}
	return 0
}
