package dhcp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// Reasons for leaving a request without an answer. Malformed requests wrap ErrMalformed; the others are
// well-formed but not for this server.
var (
	// ErrMalformed is a request that is no DHCP message or breaks RFC 2131 table 5.
	ErrMalformed = errors.New("malformed DHCP request")
	// ErrOtherClient is a request in the name of a hardware address other than the interface's.
	ErrOtherClient = errors.New("DHCP request of another hardware address")
	// ErrRelayed is a request that came through a relay agent; a VPC has none, and whoever forges giaddr
	// would aim the reply at somebody else.
	ErrRelayed = errors.New("relayed DHCP request")
)

// Serve answers one request that arrived from the interface that r is reserved for. req and reply are UDP
// payloads; req is not kept. A nil reply means that nothing is to be sent, with err saying why if the
// request deserved no answer; a RELEASE, a DECLINE and a message to be ignored give neither. Lease tells
// what became of the address.
func Serve(req []byte, r *Reservation, now time.Time) (reply []byte, l Lease, err error) {
	if err := r.check(); err != nil {
		return nil, Lease{}, err
	}
	m, err := decode(req)
	if err != nil {
		return nil, Lease{}, err
	}
	if err := admit(m, r); err != nil {
		return nil, Lease{}, err
	}
	switch m.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		return answer(m, r, dhcpv4.MessageTypeOffer).ToBytes(), lease(m, r, StateOffered, now), nil
	case dhcpv4.MessageTypeRequest:
		return request(m, r, now)
	case dhcpv4.MessageTypeDecline:
		return nil, decline(m, r, now), nil
	case dhcpv4.MessageTypeRelease:
		return nil, release(m, r, now), nil
	case dhcpv4.MessageTypeInform:
		return inform(m, r)
	default:
		return nil, Lease{}, fmt.Errorf("dhcp: %w: message type %d is not a client's", ErrMalformed, m.MessageType())
	}
}

// minMessage is the fixed part of a message and the magic cookie (RFC 2131 section 2, RFC 2132 section 2).
const minMessage = 240

// decode parses a message and refuses what the library lets pass: a hardware address longer than its field
// and option lists that are told to continue in the sname and file fields (RFC 2132 section 9.3).
func decode(b []byte) (*dhcpv4.DHCPv4, error) {
	if len(b) < minMessage {
		return nil, fmt.Errorf("dhcp: %w: %d bytes", ErrMalformed, len(b))
	}
	if b[0] != byte(dhcpv4.OpcodeBootRequest) {
		return nil, fmt.Errorf("dhcp: %w: operation %d is not a request", ErrMalformed, b[0])
	}
	if b[2] > dhcpv4.MaxHWAddrLen {
		return nil, fmt.Errorf("dhcp: %w: hardware address of %d bytes", ErrMalformed, b[2])
	}
	m, err := dhcpv4.FromBytes(b)
	if err != nil {
		return nil, fmt.Errorf("dhcp: %w: %v", ErrMalformed, err)
	}
	if err := overloaded(m, b); err != nil {
		return nil, fmt.Errorf("dhcp: %w: overloaded options: %v", ErrMalformed, err)
	}
	if n := len(m.Options.Get(dhcpv4.OptionClientIdentifier)); n > 255 {
		return nil, fmt.Errorf("dhcp: %w: client identifier of %d bytes", ErrMalformed, n)
	}
	return m, nil
}

// overloaded reads the options that were put into file, then sname (RFC 2131 section 4.1).
func overloaded(m *dhcpv4.DHCPv4, b []byte) error {
	v := m.Options.Get(dhcpv4.OptionOptionOverload)
	if len(v) != 1 {
		return nil
	}
	if v[0]&1 != 0 {
		if err := m.Options.FromBytes(b[108:236]); err != nil {
			return err
		}
	}
	if v[0]&2 != 0 {
		return m.Options.FromBytes(b[44:108])
	}
	return nil
}

// admit sorts out requests that another server, or nobody, should answer.
func admit(m *dhcpv4.DHCPv4, r *Reservation) error {
	if !m.GatewayIPAddr.IsUnspecified() {
		return fmt.Errorf("dhcp: %w through %v", ErrRelayed, m.GatewayIPAddr)
	}
	// A TUN device has no hardware address: clients there send none or zeros, and the interface is
	// known from the device anyway.
	if m.HWType != iana.HWTypeEthernet || len(m.ClientHWAddr) != 6 || r.MAC == [6]byte{} {
		return nil
	}
	if got := [6]byte(m.ClientHWAddr); got != r.MAC && got != [6]byte{} {
		return fmt.Errorf("dhcp: %w: %v asks on the interface of %v", ErrOtherClient, m.ClientHWAddr, net.HardwareAddr(r.MAC[:]))
	}
	return nil
}

// request is RFC 2131 section 4.3.2. Which state the client is in shows in the fields it filled:
// a server identifier means SELECTING, a requested address INIT-REBOOT, and a client address RENEWING or
// REBINDING (unicast or broadcast: the answer is the same).
func request(m *dhcpv4.DHCPv4, r *Reservation, now time.Time) ([]byte, Lease, error) {
	wanted, server := option(m, dhcpv4.OptionRequestedIPAddress), option(m, dhcpv4.OptionServerIdentifier)
	if !wanted.IsValid() {
		wanted = addrOf(m.ClientIPAddr)
	}
	if !wanted.IsValid() || wanted.IsUnspecified() {
		return nil, Lease{}, fmt.Errorf("dhcp: %w: REQUEST for no address", ErrMalformed)
	}
	// A subnet has no second server, so a client that chose one is lost and is told so at once
	// instead of being left to time out.
	if server.IsValid() && server != r.server() {
		return refuse(m, r, fmt.Sprintf("%v is not the server of this subnet", server)).ToBytes(), Lease{}, nil
	}
	if wanted != r.Addr.Unmap() {
		return refuse(m, r, fmt.Sprintf("%v is not the address of this interface", wanted)).ToBytes(), Lease{}, nil
	}
	return answer(m, r, dhcpv4.MessageTypeAck).ToBytes(), lease(m, r, StateBound, now), nil
}

// decline is RFC 2131 section 4.3.3: the client found its address in use. The interface keeps it, having no
// other, so the caller can only show it.
func decline(m *dhcpv4.DHCPv4, r *Reservation, now time.Time) Lease {
	if !concerns(m, r, option(m, dhcpv4.OptionRequestedIPAddress)) {
		return Lease{}
	}
	return lease(m, r, StateDeclined, now)
}

// release is RFC 2131 section 4.3.4.
func release(m *dhcpv4.DHCPv4, r *Reservation, now time.Time) Lease {
	if !concerns(m, r, addrOf(m.ClientIPAddr)) {
		return Lease{}
	}
	return lease(m, r, StateReleased, now)
}

// concerns says whether a DECLINE or RELEASE of addr is about this server and this interface's address.
func concerns(m *dhcpv4.DHCPv4, r *Reservation, addr netip.Addr) bool {
	server := option(m, dhcpv4.OptionServerIdentifier)
	return addr == r.Addr.Unmap() && (!server.IsValid() || server == r.server())
}

// inform is RFC 2131 section 4.3.5: options for an address that was configured by other means, with no
// lease. Any address of the subnet may ask, also a secondary one.
func inform(m *dhcpv4.DHCPv4, r *Reservation) ([]byte, Lease, error) {
	if ci := addrOf(m.ClientIPAddr); !ci.IsValid() || !r.Subnet.Contains(ci) {
		return nil, Lease{}, fmt.Errorf("dhcp: %w: INFORM from %v, outside %v", ErrMalformed, m.ClientIPAddr, r.Subnet)
	}
	return answer(m, r, dhcpv4.MessageTypeInform).ToBytes(), Lease{}, nil
}

func lease(m *dhcpv4.DHCPv4, r *Reservation, state string, now time.Time) Lease {
	l := Lease{Addr: r.Addr.Unmap(), HostName: m.HostName(), At: now, State: state}
	if l.HostName == "" {
		l.HostName = r.hostName()
	}
	if state == StateBound {
		l.Expires = now.Add(r.leaseTime())
	}
	return l
}

// option returns an address option; invalid when absent or not four bytes long.
func option(m *dhcpv4.DHCPv4, code dhcpv4.OptionCode) netip.Addr {
	return addrOf(m.Options.Get(code))
}

func addrOf(b []byte) netip.Addr {
	if len(b) != 4 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(b))
}
