package client

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// route says where a message goes: IP addresses, and the link-layer address, nil for broadcast.
type route struct {
	src, dst netip.Addr
	hw       []byte
}

// datagram is one UDP payload for the client's port, and the link-layer address it came from.
type datagram struct {
	payload []byte
	hw      []byte
}

// link sends and receives UDP payloads on one interface. Between Open and Close it may receive.
type link interface {
	// Open returns the datagrams for the client's port. The channel is closed when the link fails.
	Open() (<-chan datagram, error)
	Send(payload []byte, to route) error
	Close()
	// NeedsHW tells whether a unicast packet needs a link-layer address.
	NeedsHW() bool
}

// schedule gives the wait after the n-th transmission, counted from 0; zero or less ends the exchange.
type schedule func(n int) time.Duration

// message fills in what all of the client's messages share.
func (c *client) message(kind dhcpv4.MessageType, xid dhcpv4.TransactionID) *dhcpv4.DHCPv4 {
	zero := netip.IPv4Unspecified().AsSlice()
	m := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: iana.HWTypeEthernet, TransactionID: xid,
		ClientIPAddr: zero, YourIPAddr: zero, ServerIPAddr: zero, GatewayIPAddr: zero,
		ClientHWAddr: c.opt.HardwareAddr, Options: dhcpv4.Options{},
	}
	if len(m.ClientHWAddr) == 0 {
		m.HWType = 0 // no hardware address: the client identifier tells clients apart (RFC 4390 section 2.1)
	}
	m.UpdateOption(dhcpv4.OptMessageType(kind))
	m.UpdateOption(dhcpv4.OptClientIdentifier(c.opt.ClientID))
	m.UpdateOption(dhcpv4.OptMaxMessageSize(1500))
	m.UpdateOption(dhcpv4.OptParameterRequestList(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer,
		dhcpv4.OptionHostName, dhcpv4.OptionDomainName, dhcpv4.OptionInterfaceMTU, dhcpv4.OptionBroadcastAddress, dhcpv4.OptionNTPServers))
	if c.opt.HostName != "" {
		m.UpdateOption(dhcpv4.OptHostName(c.opt.HostName))
	}
	return m
}

// ask sends a REQUEST and waits for its ACK; a NAK is ErrRefused.
func (c *client) ask(ctx context.Context, m *dhcpv4.DHCPv4, to route, wait schedule) (Lease, error) {
	sent := time.Now()
	a, from, err := c.exchange(ctx, m, to, wait, func(a *dhcpv4.DHCPv4) bool {
		return a.MessageType() == dhcpv4.MessageTypeAck && acceptable(a, m) || a.MessageType() == dhcpv4.MessageTypeNak
	})
	if err != nil {
		return Lease{}, err
	}
	if a.MessageType() == dhcpv4.MessageTypeNak {
		c.refusals++
		c.opt.Logf("dhcp client: %s: %v refused: %s", c.name, addrOf(a.ServerIdentifier()), a.Message())
		return Lease{}, ErrRefused
	}
	l, err := leaseOf(a, sent)
	l.serverHW = from
	return l, err
}

// acceptable tells whether an ACK gives what was asked for and is complete.
func acceptable(a, m *dhcpv4.DHCPv4) bool {
	wanted := m.RequestedIPAddress()
	if wanted == nil {
		wanted = m.ClientIPAddr
	}
	_, err := leaseOf(a, time.Time{})
	return err == nil && a.YourIPAddr.Equal(wanted)
}

// exchange sends m until an answer to it is accepted, by the schedule; errSilent when that ends. from is the
// link-layer address of the answer.
func (c *client) exchange(ctx context.Context, m *dhcpv4.DHCPv4, to route, wait schedule, accept func(*dhcpv4.DHCPv4) bool) (answer *dhcpv4.DHCPv4, from []byte, err error) {
	if err := c.open(); err != nil {
		return nil, nil, err
	}
	begin := time.Now()
	for n := 0; ; n++ {
		d := wait(n)
		if d <= 0 {
			return nil, nil, errSilent
		}
		m.NumSeconds = uint16(min(time.Since(begin)/time.Second, 0xffff))
		if err := c.link.Send(m.ToBytes(), to); errors.Is(err, errLinkGone) {
			return nil, nil, fmt.Errorf("dhcp client: interface %s: %w", c.name, err)
		} else if err != nil {
			// An interface that is down for the moment loses packets like any other.
			c.opt.Logf("dhcp client: %s: %v", c.name, err)
		}
		a, hw, err := receive(ctx, c.in, d, func(a *dhcpv4.DHCPv4) bool { return answers(a, m) && accept(a) })
		if a != nil || err != nil {
			return a, hw, err
		}
	}
}

// receive waits for a message that is accepted; nil without an error when the time is over.
func receive(ctx context.Context, in <-chan datagram, d time.Duration, accept func(*dhcpv4.DHCPv4) bool) (*dhcpv4.DHCPv4, []byte, error) {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case g, ok := <-in:
			if !ok {
				return nil, nil, fmt.Errorf("dhcp client: %w", errLinkGone)
			}
			if a, err := dhcpv4.FromBytes(g.payload); err == nil && accept(a) {
				return a, g.hw, nil
			}
		case <-t.C:
			return nil, nil, nil
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// answers tells whether a is a server's reply to m: the transaction, the hardware address, and the client
// identifier if it is echoed (RFC 6842).
func answers(a, m *dhcpv4.DHCPv4) bool {
	if a.OpCode != dhcpv4.OpcodeBootReply || a.TransactionID != m.TransactionID || !bytes.Equal(a.ClientHWAddr, m.ClientHWAddr) {
		return false
	}
	id := a.Options.Get(dhcpv4.OptionClientIdentifier)
	return len(id) == 0 || bytes.Equal(id, m.Options.Get(dhcpv4.OptionClientIdentifier))
}

func newXID() (x dhcpv4.TransactionID) {
	binary.BigEndian.PutUint32(x[:], rand.Uint32())
	return x
}
