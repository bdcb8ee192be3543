package dhcp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

var (
	now       = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	clientMAC = net.HardwareAddr{0x06, 0x11, 0x22, 0x33, 0x44, 0x55}
)

// reservation is an interface in the subnet 172.30.0.0/24 of the VPC 172.30.0.0/16.
func reservation() Reservation {
	return Reservation{
		MAC: [6]byte(clientMAC), Addr: netip.MustParseAddr("172.30.0.10"),
		Subnet: netip.MustParsePrefix("172.30.0.0/24"), Router: netip.MustParseAddr("172.30.0.1"),
		LeaseTime: 3600 * time.Second, MTU: 9001, HostName: "ip-172-30-0-10", DomainName: "ec2.internal",
		DNS: []netip.Addr{netip.MustParseAddr("172.30.0.2")},
	}
}

// message builds a client's message without any option but its type.
func message(kind dhcpv4.MessageType, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	m, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(clientMAC), dhcpv4.WithMessageType(kind)}, mods...)...)
	if err != nil {
		panic(err)
	}
	return m
}

func asks(ip string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.ParseIP(ip)))
}

func server(ip string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.ParseIP(ip)))
}

func has(ip string) dhcpv4.Modifier { return dhcpv4.WithClientIP(net.ParseIP(ip)) }

// serve passes m through Serve and decodes the reply, nil if there is none.
func serve(t *testing.T, m *dhcpv4.DHCPv4, r Reservation) (*dhcpv4.DHCPv4, Lease, error) {
	t.Helper()
	b, l, err := Serve(m.ToBytes(), &r, now)
	if b == nil {
		return nil, l, err
	}
	a, derr := dhcpv4.FromBytes(b)
	if derr != nil {
		t.Fatalf("reply does not decode: %v", derr)
	}
	if a.TransactionID != m.TransactionID || a.OpCode != dhcpv4.OpcodeBootReply || !bytes.Equal(a.ClientHWAddr, m.ClientHWAddr) || a.Flags != m.Flags {
		t.Errorf("reply %v does not belong to request %v", a, m)
	}
	return a, l, err
}

func TestDH05_LeaseAndOptions(t *testing.T) {
	a, l, err := serve(t, message(dhcpv4.MessageTypeDiscover), reservation())
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		code dhcpv4.OptionCode
		want []byte
	}{
		{dhcpv4.OptionDHCPMessageType, []byte{2}},
		{dhcpv4.OptionSubnetMask, []byte{255, 255, 255, 0}},
		{dhcpv4.OptionRouter, []byte{172, 30, 0, 1}},
		{dhcpv4.OptionServerIdentifier, []byte{172, 30, 0, 1}},
		{dhcpv4.OptionDomainNameServer, []byte{172, 30, 0, 2}},
		{dhcpv4.OptionInterfaceMTU, binary.BigEndian.AppendUint16(nil, 9001)},
		{dhcpv4.OptionBroadcastAddress, []byte{172, 30, 0, 255}},
		{dhcpv4.OptionHostName, []byte("ip-172-30-0-10")},
		{dhcpv4.OptionDomainName, []byte("ec2.internal")},
		{dhcpv4.OptionIPAddressLeaseTime, binary.BigEndian.AppendUint32(nil, 3600)},
		{dhcpv4.OptionRenewTimeValue, binary.BigEndian.AppendUint32(nil, 1800)},
		{dhcpv4.OptionRebindingTimeValue, binary.BigEndian.AppendUint32(nil, 3150)},
	} {
		if got := a.Options.Get(tc.code); !bytes.Equal(got, tc.want) {
			t.Errorf("%v = %v, want %v", tc.code, got, tc.want)
		}
	}
	if got := a.YourIPAddr.String(); got != "172.30.0.10" {
		t.Errorf("yiaddr = %s", got)
	}
	if l.State != StateOffered || !l.Expires.IsZero() || !l.At.Equal(now) {
		t.Errorf("lease = %+v", l)
	}
}

func TestDH05_Defaults(t *testing.T) {
	r := reservation()
	r.Router, r.HostName, r.LeaseTime = netip.Addr{}, "", 0
	a, _, err := serve(t, message(dhcpv4.MessageTypeDiscover), r)
	if err != nil {
		t.Fatal(err)
	}
	if got := a.ServerIdentifier().String(); got != "172.30.0.1" {
		t.Errorf("server identifier = %s", got)
	}
	if a.HostName() != "ip-172-30-0-10" || a.IPAddressLeaseTime(0) != 3600*time.Second {
		t.Errorf("host name %q, lease %v", a.HostName(), a.IPAddressLeaseTime(0))
	}
}

func TestDH05_OddPrefixes(t *testing.T) {
	r := reservation()
	r.Subnet, r.Addr = netip.MustParsePrefix("172.30.0.32/28"), netip.MustParseAddr("172.30.0.40")
	a, _, err := serve(t, message(dhcpv4.MessageTypeDiscover), r)
	if err != nil {
		t.Fatal(err)
	}
	if a.BroadcastAddress().String() != "172.30.0.47" || net.IP(a.SubnetMask()).String() != "255.255.255.240" {
		t.Errorf("broadcast %v, mask %v", a.BroadcastAddress(), a.SubnetMask())
	}
}

func TestDH06_PrimaryAddressWhateverTheClientAsks(t *testing.T) {
	a, _, err := serve(t, message(dhcpv4.MessageTypeDiscover, asks("172.30.0.99")), reservation())
	if err != nil || a.YourIPAddr.String() != "172.30.0.10" {
		t.Errorf("offer %v, %v; want 172.30.0.10", a, err)
	}
}

// TestDH06_Request walks RFC 2131 section 4.3.2.
func TestDH06_Request(t *testing.T) {
	for _, tc := range []struct {
		name string
		mods []dhcpv4.Modifier
		want dhcpv4.MessageType
	}{
		{"SELECTING", []dhcpv4.Modifier{asks("172.30.0.10"), server("172.30.0.1")}, dhcpv4.MessageTypeAck},
		{"SELECTING, wrong address", []dhcpv4.Modifier{asks("172.30.0.11"), server("172.30.0.1")}, dhcpv4.MessageTypeNak},
		{"SELECTING, wrong server", []dhcpv4.Modifier{asks("172.30.0.10"), server("192.168.1.1")}, dhcpv4.MessageTypeNak},
		{"INIT-REBOOT", []dhcpv4.Modifier{asks("172.30.0.10")}, dhcpv4.MessageTypeAck},
		{"INIT-REBOOT, another network", []dhcpv4.Modifier{asks("10.0.0.5")}, dhcpv4.MessageTypeNak},
		{"RENEWING", []dhcpv4.Modifier{has("172.30.0.10")}, dhcpv4.MessageTypeAck},
		{"RENEWING, address moved on", []dhcpv4.Modifier{has("172.30.0.11")}, dhcpv4.MessageTypeNak},
		{"REBINDING", []dhcpv4.Modifier{has("172.30.0.10"), dhcpv4.WithBroadcast(true)}, dhcpv4.MessageTypeAck},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, l, err := serve(t, message(dhcpv4.MessageTypeRequest, tc.mods...), reservation())
			if err != nil || a.MessageType() != tc.want {
				t.Fatalf("got %v, %v; want %v", a, err, tc.want)
			}
			if a.ServerIdentifier().String() != "172.30.0.1" {
				t.Errorf("server identifier %v", a.ServerIdentifier())
			}
			if tc.want == dhcpv4.MessageTypeAck {
				if l.State != StateBound || !l.Expires.Equal(now.Add(time.Hour)) || a.YourIPAddr.String() != "172.30.0.10" {
					t.Errorf("lease %+v, yiaddr %v", l, a.YourIPAddr)
				}
				return
			}
			if l != (Lease{}) || !a.YourIPAddr.IsUnspecified() || a.Options.Has(dhcpv4.OptionSubnetMask) || a.Message() == "" {
				t.Errorf("NAK carries more than its reason: %v, lease %+v", a.Summary(), l)
			}
		})
	}
}

func TestDH06_DeclineReleaseInform(t *testing.T) {
	r := reservation()
	for _, tc := range []struct {
		name string
		m    *dhcpv4.DHCPv4
		want string
	}{
		{"release", message(dhcpv4.MessageTypeRelease, has("172.30.0.10"), server("172.30.0.1")), StateReleased},
		{"release of another address", message(dhcpv4.MessageTypeRelease, has("172.30.0.11"), server("172.30.0.1")), ""},
		{"release to another server", message(dhcpv4.MessageTypeRelease, has("172.30.0.10"), server("10.0.0.1")), ""},
		{"decline", message(dhcpv4.MessageTypeDecline, asks("172.30.0.10"), server("172.30.0.1")), StateDeclined},
		{"decline of another address", message(dhcpv4.MessageTypeDecline, asks("172.30.0.12")), ""},
	} {
		if a, l, err := serve(t, tc.m, r); a != nil || err != nil || l.State != tc.want || !l.Expires.IsZero() {
			t.Errorf("%s: reply %v, lease %+v, %v; want state %q", tc.name, a, l, err, tc.want)
		}
	}
	a, l, err := serve(t, message(dhcpv4.MessageTypeInform, has("172.30.0.20")), r)
	if err != nil || a.MessageType() != dhcpv4.MessageTypeAck || l != (Lease{}) {
		t.Fatalf("INFORM: %v, %+v, %v", a, l, err)
	}
	if !a.YourIPAddr.IsUnspecified() || a.Options.Has(dhcpv4.OptionIPAddressLeaseTime) || a.Options.Has(dhcpv4.OptionRenewTimeValue) || len(a.DNS()) != 1 {
		t.Errorf("INFORM must give options and no lease: %v", a.Summary())
	}
}

func TestDH01_OptionSet(t *testing.T) {
	r := reservation()
	r.NTP = []netip.Addr{netip.MustParseAddr("169.254.169.123"), netip.MustParseAddr("fd00:ec2::123")}
	r.NetBIOSNames = []netip.Addr{netip.MustParseAddr("10.0.0.7")}
	r.NetBIOSNodeType = 2
	r.DomainName = "example.com example.org"
	a, _, err := serve(t, message(dhcpv4.MessageTypeDiscover), r)
	if err != nil {
		t.Fatal(err)
	}
	if got := a.NTPServers(); len(got) != 1 || got[0].String() != "169.254.169.123" {
		t.Errorf("NTP servers %v", got)
	}
	if got := a.Options.Get(dhcpv4.OptionNetBIOSOverTCPIPNodeType); !bytes.Equal(got, []byte{2}) {
		t.Errorf("node type %v", got)
	}
	if len(a.NetBIOSNameServers()) != 1 || a.DomainName() != "example.com example.org" {
		t.Errorf("NetBIOS %v, domain %q", a.NetBIOSNameServers(), a.DomainName())
	}
}

func TestDH02_NoOptionSet(t *testing.T) {
	r := reservation()
	r.DNS, r.DomainName = nil, ""
	a, _, err := serve(t, message(dhcpv4.MessageTypeDiscover), r)
	if err != nil {
		t.Fatal(err)
	}
	if a.Options.Has(dhcpv4.OptionDomainNameServer) || a.Options.Has(dhcpv4.OptionDomainName) || !a.Options.Has(dhcpv4.OptionRouter) {
		t.Errorf("options %v", a.Options)
	}
}

func TestDH07_NoClasslessRoutes(t *testing.T) {
	a, _, err := serve(t, message(dhcpv4.MessageTypeDiscover, dhcpv4.WithRequestedOptions(dhcpv4.OptionClasslessStaticRoute, dhcpv4.OptionRouter)), reservation())
	if err != nil || a.Options.Has(dhcpv4.OptionClasslessStaticRoute) {
		t.Errorf("%v, %v", a, err)
	}
}

func TestDH05_OnlyRequestedOptions(t *testing.T) {
	a, _, err := serve(t, message(dhcpv4.MessageTypeDiscover, dhcpv4.WithRequestedOptions(dhcpv4.OptionRouter, dhcpv4.OptionHostName)), reservation())
	if err != nil {
		t.Fatal(err)
	}
	for code, want := range map[dhcpv4.OptionCode]bool{
		dhcpv4.OptionRouter: true, dhcpv4.OptionHostName: true, dhcpv4.OptionSubnetMask: true, dhcpv4.OptionIPAddressLeaseTime: true,
		dhcpv4.OptionDomainNameServer: false, dhcpv4.OptionInterfaceMTU: false, dhcpv4.OptionBroadcastAddress: false,
	} {
		if got := a.Options.Has(code); got != want {
			t.Errorf("%v sent: %v, want %v", code, got, want)
		}
	}
}

// TestServe_ReplyFits: a client that names no size accepts 576 bytes with headers (RFC 2131 section 2).
func TestServe_ReplyFits(t *testing.T) {
	r := reservation()
	r.DomainName = strings.Repeat("a.example.com ", 30)
	id := dhcpv4.WithOption(dhcpv4.OptClientIdentifier(bytes.Repeat([]byte{7}, 200)))
	for _, tc := range []struct {
		mods   []dhcpv4.Modifier
		domain bool
	}{
		{[]dhcpv4.Modifier{id}, false},
		{[]dhcpv4.Modifier{id, dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(1500))}, true},
	} {
		m := message(dhcpv4.MessageTypeDiscover, tc.mods...)
		b, _, err := Serve(m.ToBytes(), &r, now)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(b) + headers; n > 1500 || !tc.domain && n > 576 {
			t.Errorf("packet of %d bytes", n)
		}
		a, err := dhcpv4.FromBytes(b)
		if err != nil || (a.DomainName() == r.DomainName) != tc.domain || len(a.Router()) != 1 || a.HostName() == "" {
			t.Errorf("domain sent %v, want %v; %v", a.DomainName(), tc.domain, err)
		}
		if got := a.Options.Get(dhcpv4.OptionClientIdentifier); len(got) != 200 {
			t.Errorf("client identifier not echoed (RFC 6842): %d bytes", len(got))
		}
	}
}

// TestServe_TUNClient is what udhcpc sends over a TUN device (no hardware address), and a client that says
// so openly with hlen 0.
func TestServe_TUNClient(t *testing.T) {
	for name, mod := range map[string]dhcpv4.Modifier{
		"udhcpc, zeros":  dhcpv4.WithHwAddr(make(net.HardwareAddr, 6)),
		"none, length 0": func(d *dhcpv4.DHCPv4) { d.HWType, d.ClientHWAddr = 0, nil },
		"ARPHRD_NONE":    func(d *dhcpv4.DHCPv4) { d.HWType, d.ClientHWAddr = 0xfe, nil },
	} {
		if a, _, err := serve(t, message(dhcpv4.MessageTypeDiscover, mod), reservation()); err != nil || a == nil {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
}

func TestServe_OptionsInSnameAndFile(t *testing.T) {
	m := message(dhcpv4.MessageTypeRequest, dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionOptionOverload, []byte{3})))
	b := m.ToBytes()
	copy(b[108:], []byte{50, 4, 172, 30, 0, 10, 255})
	copy(b[44:], []byte{54, 4, 172, 30, 0, 1, 255})
	r := reservation()
	if _, l, err := Serve(b, &r, now); err != nil || l.State != StateBound {
		t.Errorf("lease %+v, %v", l, err)
	}
}

func TestServe_Refused(t *testing.T) {
	r := reservation()
	good := message(dhcpv4.MessageTypeDiscover).ToBytes()
	change := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	for _, tc := range []struct {
		name string
		req  []byte
		want error
	}{
		{"empty", nil, ErrMalformed},
		{"short", good[:239], ErrMalformed},
		{"a reply", change(func(b []byte) []byte { b[0] = 2; return b }), ErrMalformed},
		{"long hardware address", change(func(b []byte) []byte { b[2] = 17; return b }), ErrMalformed},
		{"cookie", change(func(b []byte) []byte { b[236] = 0; return b }), ErrMalformed},
		{"option beyond the end", append(bytes.Clone(good[:240]), 53, 9, 1), ErrMalformed},
		{"no end option", append(bytes.Clone(good[:240]), 53, 1, 1), ErrMalformed},
		{"BOOTP", append(bytes.Clone(good[:240]), 255), ErrMalformed},
		{"relayed", change(func(b []byte) []byte { b[27] = 9; return b }), ErrRelayed},
		{"other MAC", change(func(b []byte) []byte { b[30]++; return b }), ErrOtherClient},
		{"REQUEST for nothing", message(dhcpv4.MessageTypeRequest).ToBytes(), ErrMalformed},
		{"INFORM from elsewhere", message(dhcpv4.MessageTypeInform, has("10.9.9.9")).ToBytes(), ErrMalformed},
		{"server's message", message(dhcpv4.MessageTypeOffer).ToBytes(), ErrMalformed},
		{"endless client identifier", message(dhcpv4.MessageTypeDiscover, dhcpv4.WithOption(dhcpv4.OptClientIdentifier(make([]byte, 300)))).ToBytes(), ErrMalformed},
	} {
		if reply, l, err := Serve(tc.req, &r, now); reply != nil || l != (Lease{}) || !errors.Is(err, tc.want) {
			t.Errorf("%s: reply %x, lease %+v, %v; want %v", tc.name, reply, l, err, tc.want)
		}
	}
	for _, bad := range []*Reservation{nil, {}, {Addr: netip.MustParseAddr("10.0.0.1"), Subnet: netip.MustParsePrefix("10.1.0.0/24")}} {
		if reply, _, err := Serve(good, bad, now); reply != nil || err == nil {
			t.Errorf("reservation %+v was served", bad)
		}
	}
}

// TestReplyTo is RFC 2131 section 4.1.
func TestReplyTo(t *testing.T) {
	r := reservation()
	for _, tc := range []struct {
		name string
		m    *dhcpv4.DHCPv4
		want string
	}{
		{"new client", message(dhcpv4.MessageTypeDiscover), "172.30.0.10"},
		{"broadcast flag", message(dhcpv4.MessageTypeDiscover, dhcpv4.WithBroadcast(true)), "255.255.255.255"},
		{"renewing", message(dhcpv4.MessageTypeRequest, has("172.30.0.10")), "172.30.0.10"},
		{"renewing with the flag", message(dhcpv4.MessageTypeRequest, has("172.30.0.10"), dhcpv4.WithBroadcast(true)), "172.30.0.10"},
		{"inform", message(dhcpv4.MessageTypeInform, has("172.30.0.77")), "172.30.0.77"},
		{"nak", message(dhcpv4.MessageTypeRequest, has("172.30.0.77")), "255.255.255.255"},
	} {
		req := tc.m.ToBytes()
		reply, _, err := Serve(req, &r, now)
		if err != nil {
			t.Fatal(err)
		}
		dst, broadcast := ReplyTo(req, reply)
		if dst.String() != tc.want || broadcast != (tc.want == "255.255.255.255") {
			t.Errorf("%s: %v, broadcast %v; want %s", tc.name, dst, broadcast, tc.want)
		}
	}
	if dst, _ := ReplyTo(nil, nil); dst.IsValid() {
		t.Errorf("no message, yet %v", dst)
	}
}

// FuzzServe: whatever a guest sends, the server answers with a message that its own codec reads, for the
// reserved address only, no larger than a frame; or with nothing.
func FuzzServe(f *testing.F) {
	for _, m := range []*dhcpv4.DHCPv4{
		message(dhcpv4.MessageTypeDiscover, dhcpv4.WithRequestedOptions(dhcpv4.OptionRouter)),
		message(dhcpv4.MessageTypeRequest, asks("172.30.0.10"), server("172.30.0.1")),
		message(dhcpv4.MessageTypeRequest, has("172.30.0.11")),
		message(dhcpv4.MessageTypeDecline, asks("172.30.0.10")),
		message(dhcpv4.MessageTypeRelease, has("172.30.0.10")),
		message(dhcpv4.MessageTypeInform, has("172.30.0.10"), dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(60))),
		message(dhcpv4.MessageTypeDiscover, dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionOptionOverload, []byte{3}))),
	} {
		f.Add(m.ToBytes())
	}
	r := reservation()
	f.Fuzz(func(t *testing.T, req []byte) {
		before := bytes.Clone(req)
		reply, l, err := Serve(req, &r, now)
		if !bytes.Equal(before, req) {
			t.Fatal("request was changed")
		}
		if err != nil && (reply != nil || l != (Lease{})) {
			t.Fatalf("error %v with reply or lease", err)
		}
		if reply == nil {
			return
		}
		a, err := dhcpv4.FromBytes(reply)
		if err != nil || len(reply) > 1500-headers {
			t.Fatalf("reply of %d bytes: %v", len(reply), err)
		}
		if yi := a.YourIPAddr.String(); yi != "172.30.0.10" && yi != "0.0.0.0" {
			t.Fatalf("gives away %s", yi)
		}
		if dst, _ := ReplyTo(req, reply); !dst.IsValid() {
			t.Fatal("no address to reply to")
		}
	})
}
