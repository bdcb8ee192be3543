package capture

import (
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/dataplane/porttest"
	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/packet"
)

var update = flag.Bool("update", false, "write testdata/*.golden; read what you commit")

// Addresses of the lab.
const (
	webIP, webEIP = "172.30.0.10", "203.0.113.10"
	dbIP          = "172.30.1.20"
	natIP, natEIP = "172.30.0.99", "203.0.113.99"
	serverIP      = "198.51.100.7"
	laptopIP      = "198.51.100.5"
)

// book is the book's VPC: web and a NAT gateway in a public subnet, db in a private one.
type book struct {
	*porttest.Lab
	web, db        *porttest.ENI
	nat            *porttest.NAT
	server, laptop *porttest.Host
	public         *porttest.Subnet
}

func newBook(t testing.TB) *book {
	b := &book{Lab: porttest.NewLab(t)}
	v := b.VPC("book", "172.30.0.0/16")
	b.public = v.Subnet("public", "172.30.0.0/24")
	b.public.Table = v.Table("public", "0.0.0.0/0 igw")
	private := v.Subnet("private", "172.30.1.0/24")
	private.Table = v.Table("private", "0.0.0.0/0 nat:nat")
	b.nat = b.public.NAT("nat", natIP)
	b.nat.ENI.EIP(0, natEIP)
	b.web = b.public.ENI("web", webIP, b.Group("web", porttest.In("tcp", "80", "0.0.0.0/0"), porttest.Out("all", "", "0.0.0.0/0"))).EIP(0, webEIP)
	b.db = private.ENI("db", dbIP, b.Open("open"))
	b.server, b.laptop = b.Host("server", serverIP), b.Host("laptop", laptopIP)
	b.Apply()
	return b
}

// seen is a packet of a capture as it was read again.
type seen struct {
	Interface, Direction, Comment string
	Data                          []byte
	Length                        int
	ID                            uint64
}

// read takes a stream apart, apart from what wrote it: interfaces and packets.
func read(t testing.TB, stream []byte) (descriptions map[string]string, list []seen) {
	t.Helper()
	descriptions = map[string]string{}
	var names []string
	for _, b := range blocks(t, stream) {
		switch b.Type {
		case 1:
			o := options(t, b.Raw[16:len(b.Raw)-4])
			names = append(names, string(o[2]))
			descriptions[string(o[2])] = string(o[3])
		case 6:
			kept := int(le.Uint32(b.Raw[20:]))
			o := options(t, b.Raw[28+(kept+3)/4*4:len(b.Raw)-4])
			list = append(list, seen{Interface: names[le.Uint32(b.Raw[8:])], Comment: string(o[1]), Data: b.Raw[28 : 28+kept],
				Length: int(le.Uint32(b.Raw[24:])), ID: le.Uint64(o[5]), Direction: []string{"", "in", "out"}[le.Uint32(o[2])]})
		}
	}
	return descriptions, list
}

func options(t testing.TB, b []byte) map[uint16][]byte {
	t.Helper()
	all := map[uint16][]byte{}
	for {
		code, n := le.Uint16(b), int(le.Uint16(b[2:]))
		if code == 0 {
			if len(b) != 4 {
				t.Fatalf("%d bytes after the last option", len(b)-4)
			}
			return all
		}
		all[code] = b[4 : 4+n]
		b = b[4+(n+3)/4*4:]
	}
}

// show is the text of the golden file: a line for the packet, one for its comment.
func show(list []seen) string {
	var b strings.Builder
	for _, s := range list {
		h := porttest.Parse(s.Data)
		fmt.Fprintf(&b, "#%d %s %s: %s ttl %d", s.ID, s.Interface, s.Direction, h.Tuple, h.TTL)
		if h.IsICMPError() {
			fmt.Fprintf(&b, " type %d code %d about %s", h.ICMPType, h.ICMPCode, h.Inner)
		}
		fmt.Fprintf(&b, "\n    %s\n", s.Comment)
	}
	return b.String()
}

// sightingsOf sends packets, and gives what a capture with the options has of the last.
func (b *book) sightingsOf(t *testing.T, opt Options, from any, pkt []byte) []seen {
	t.Helper()
	build := NewBuilder(opt, 0)
	taken := b.take(t, from, pkt)
	stream := build.Append(build.Begin(nil), &taken, 0, 1<<20)
	_, list := read(t, build.End(stream, 0, 0))
	for _, s := range list {
		if err := packet.VerifyChecksums(s.Data); err != nil && opt.Snap == 0 {
			t.Errorf("%s %s: %v", s.Interface, s.Direction, err)
		}
	}
	return list
}

func TestGoldenViews(t *testing.T) {
	b := newBook(t)
	b.public.ACL = &porttest.ACL{Name: "acl", Rules: append([]filter.ACLRule{porttest.Deny(50, filter.Ingress, "udp", "", "172.30.1.0/24")}, porttest.AllowAll()...)}
	b.Apply()
	out := b.db.Send(porttest.SYN(dbIP+":40000", serverIP+":80")).Want(porttest.At("server"))
	port := fmt.Sprint(porttest.Parse(out.Out[0].Packet).SrcPort)
	echo := porttest.Ping(dbIP, serverIP, 7, 8)
	translated := b.db.Send(echo).Want(porttest.At("server")).Out[0].Packet
	var text strings.Builder
	for _, c := range []struct {
		what string
		from any
		pkt  []byte
	}{
		{"within the VPC", b.db, porttest.SYN(dbIP+":40000", webIP+":80")},
		{"out through NAT and Internet gateway", b.db, porttest.SYN(dbIP+":40000", serverIP+":80")},
		{"the reply", b.server, porttest.SYNACK(serverIP+":80", natEIP+":"+port)},
		{"an ICMP error from a router on the way", b.server, porttest.ICMPError(laptopIP, 3, 1, 0, translated)},
		{"in from the Internet", b.laptop, porttest.SYN(laptopIP+":1000", webEIP+":80")},
		{"refused by a group", b.laptop, porttest.SYN(laptopIP+":1000", webEIP+":22")},
		{"refused by an ACL", b.db, porttest.UDP(dbIP+":1", webIP+":53", 4)},
		{"unasked at the NAT gateway", b.laptop, porttest.SYN(laptopIP+":1000", natEIP+":22")},
		{"hairpin", b.web, porttest.SYN(webIP+":1000", webEIP+":80")},
		{"answered by the network", b.web, porttest.DF(porttest.UDP(webIP+":1", serverIP+":9", 3000))},
		{"no TTL left", b.web, porttest.TTL(porttest.UDP(webIP+":1", serverIP+":9", 3), 1)},
		{"nobody there", b.web, porttest.SYN(webIP+":1", "192.0.2.9:80")},
		{"reset by the NAT gateway", b.db, porttest.ACK(dbIP+":50000", serverIP+":80")},
		{"DHCP", b.db, discover(t, b.db)},
		{"host to host", b.laptop, porttest.SYN(laptopIP+":1", serverIP+":80")},
		{"unassigned", b.web, porttest.SYN(webIP+":1", "172.30.0.200:80")},
	} {
		list := b.sightingsOf(t, Options{}, c.from, c.pkt)
		fmt.Fprintf(&text, "== %s\n%s\n", c.what, show(list))
	}
	id := regexp.MustCompile(`id ` + fmt.Sprint(porttest.Parse(translated).SrcPort) + `\b`)
	got := id.ReplaceAllString(strings.ReplaceAll(text.String(), ":"+port, ":PORT"), "id MAPPED")
	golden(t, "views", got)
}

// discover is the first message of a DHCP client.
func discover(t *testing.T, e *porttest.ENI) []byte {
	t.Helper()
	mac := e.MAC()
	m, err := dhcpv4.New(dhcpv4.WithMessageType(dhcpv4.MessageTypeDiscover), dhcpv4.WithHwAddr(net.HardwareAddr(mac[:])))
	if err != nil {
		t.Fatal(err)
	}
	return packet.BuildUDP(nil, tuple("0.0.0.0", "255.255.255.255", 68, 67, packet.ProtoUDP), 64, m.ToBytes())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// take is what a tap takes of a packet.
func (b *book) take(t testing.TB, from any, pkt []byte) dataplane.Taken {
	t.Helper()
	tap, err := b.Engine.Tap((&Options{}).TapConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	switch f := from.(type) {
	case *porttest.ENI:
		f.Send(pkt)
	case *porttest.Host:
		f.Send(pkt)
	}
	taken, err := tap.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return taken
}
