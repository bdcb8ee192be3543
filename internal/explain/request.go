package explain

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/endpoint"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// What an imagined packet has where nothing else is asked for.
const (
	defaultTTL = 64
	// SourcePort is the first ephemeral port that traces try, and the identifier of an
	// echo request: in the range of Linux (32768 to 60999), and of most other systems.
	SourcePort = 40000
	headerLen  = 20 // of IPv4
	mss        = 1460
)

// protocols by the names that requests use.
var protocols = map[string]uint8{"tcp": packet.ProtoTCP, "udp": packet.ProtoUDP, "icmp": packet.ProtoICMP}

// protocolNumber reads a protocol: tcp, udp, icmp or a number.
func protocolNumber(text string) (uint8, error) {
	if n, ok := protocols[strings.ToLower(text)]; ok {
		return n, nil
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil {
		return 0, fmt.Errorf("protocol %q: use tcp, udp, icmp or a number up to 255", text)
	}
	return uint8(n), nil
}

// protocolName is the name that requests and rules use, or the number.
func protocolName(n uint8) string {
	for name, number := range protocols {
		if number == n {
			return name
		}
	}
	return strconv.Itoa(int(n))
}

// hasPorts tells whether the protocol has ports: TCP and UDP.
func hasPorts(proto uint8) bool { return proto == packet.ProtoTCP || proto == packet.ProtoUDP }

// check refuses what no packet can be.
func check(req *control.TraceRequest) (proto uint8, err error) {
	if proto, err = protocolNumber(req.Protocol); err != nil {
		return 0, err
	}
	switch {
	case hasPorts(proto) && (req.Port < 1 || req.Port > 65535):
		return 0, fmt.Errorf("%s needs a destination port from 1 to 65535, as in %s/22", protocolName(proto), protocolName(proto))
	case !hasPorts(proto) && req.Port != 0:
		return 0, fmt.Errorf("protocol %s has no ports: leave out /%d", protocolName(proto), req.Port)
	case !hasPorts(proto) && req.SourcePort != 0:
		return 0, fmt.Errorf("protocol %s has no ports: leave out the source port", protocolName(proto))
	case req.SourcePort < 0 || req.SourcePort > 65535:
		return 0, fmt.Errorf("source port %d: ports are 1 to 65535", req.SourcePort)
	case req.TTL < 0 || req.TTL > 255:
		return 0, fmt.Errorf("TTL %d: it is 1 to 255", req.TTL)
	case req.Established && proto != packet.ProtoTCP:
		return 0, fmt.Errorf("%s has no connections that could be established: that is for tcp", protocolName(proto))
	case req.Size != 0 && (req.Size < leastSize(proto) || req.Size > 65535):
		return 0, fmt.Errorf("size %d: a packet of protocol %s has %d to 65535 bytes, IP header included", req.Size, protocolName(proto), leastSize(proto))
	}
	return proto, nil
}

// leastSize is the length of the IP and transport headers, in bytes.
func leastSize(proto uint8) int {
	switch proto {
	case packet.ProtoTCP:
		return headerLen + 20
	case packet.ProtoUDP, packet.ProtoICMP:
		return headerLen + 8
	}
	return headerLen + otherLen
}

// otherLen is the payload of a packet whose protocol is only a number, in bytes: enough
// for any decoder that looks at it.
const otherLen = 8

// build makes the packet that is asked for.
func build(req *control.TraceRequest, proto uint8, src, dst netip.Addr, sourcePort uint16) []byte {
	t := packet.Tuple{Src: packet.AddrFrom(src), Dst: packet.AddrFrom(dst), Proto: proto}
	if hasPorts(proto) {
		t.SrcPort, t.DstPort = sourcePort, uint16(req.Port)
	}
	b := buildPacket(t, req.Established, sourcePort, max(req.Size-leastSize(proto), 0))
	if req.TTL != 0 {
		packet.SetTTL(b, uint8(req.TTL))
	}
	if req.DontFragment {
		packet.SetDF(b)
	}
	return b
}

// buildPacket makes the first packet of an exchange, or a TCP segment in mid-stream, with
// so many bytes of payload.
func buildPacket(t packet.Tuple, established bool, id uint16, payload int) []byte {
	switch t.Proto {
	case packet.ProtoTCP:
		switch {
		case established:
			return packet.BuildTCP(nil, t, packet.FlagACK|packet.FlagPSH, 1, 1, make([]byte, payload))
		case payload > 0:
			return packet.BuildTCP(nil, t, packet.FlagSYN, 0, 0, make([]byte, payload))
		}
		return packet.BuildSYN(nil, t, 0, mss)
	case packet.ProtoUDP:
		return packet.BuildUDP(nil, t, defaultTTL, make([]byte, payload))
	case packet.ProtoICMP:
		return packet.BuildICMPEcho(nil, t.Src, t.Dst, false, id, 1, make([]byte, payload))
	}
	return buildOther(t, payload+otherLen)
}

// buildOther makes a packet of a protocol that is only a number.
func buildOther(t packet.Tuple, payload int) []byte {
	b := packet.BuildUDP(nil, packet.Tuple{Src: t.Src, Dst: t.Dst}, defaultTTL, make([]byte, max(payload-8, 0)))
	if b != nil {
		b[9] = t.Proto
		packet.SetTTL(b, defaultTTL) // computes the header's checksum anew
	}
	return b
}

// Packet is the first packet from src to dst: a TCP SYN, a UDP datagram or, port 0, an
// echo request. It comes from SourcePort.
func Packet(proto uint8, src, dst netip.Addr, port uint16) []byte {
	t := packet.Tuple{Src: packet.AddrFrom(src), Dst: packet.AddrFrom(dst), Proto: proto}
	if hasPorts(proto) {
		t.SrcPort, t.DstPort = SourcePort, port
	}
	return buildPacket(t, false, SourcePort, 0)
}

// Tracer is a dataplane.Tracer: a Sender that can imagine hosts on the Internet.
type Tracer interface {
	Sender
	Outside(addr packet.Addr) uint32
}

// A Source is where packets start from.
type Source struct {
	Handle uint32
	Addr   netip.Addr
	MTU    int // bytes of IP packet that its interface takes
}

// MTUs of an instance's interface (MT-01) and of a host on the Internet, in bytes.
const (
	interfaceMTU = 9001
	hostMTU      = 1500
)

// SourceOf is where packets from an end start: an interface of a running instance, a
// running host, or an imagined host on the Internet. An error says why nothing can be sent
// from it, and what to do.
func SourceOf(m *vpc.Model, t Tracer, e endpoint.End) (Source, error) {
	switch {
	case e.Kind == endpoint.KindGateway || e.Interface != nil && e.Interface.InterfaceType == "natGateway":
		return Source{}, fmt.Errorf("NAT gateway %s sends nothing of its own: trace from an instance that is routed to it", e.Name)
	case e.Host != nil:
		if e.Host.State != vpc.StateRunning {
			return Source{}, fmt.Errorf("internet host %s is %s: only a running one sends packets", e.Name, e.Host.State)
		}
		return Source{e.Host.Handle, e.Host.PublicIp, hostMTU}, nil
	case e.Interface != nil:
		if err := sends(m, e); err != nil {
			return Source{}, err
		}
		return Source{e.Interface.Handle, e.Private, interfaceMTU}, nil
	case e.Kind == endpoint.KindInternet || e.Public.IsValid() && e.Public.Is4():
		return Source{t.Outside(packet.AddrFrom(e.Public)), e.Public, hostMTU}, nil
	case e.Kind == endpoint.KindInstance:
		return Source{}, fmt.Errorf("instance %s has no network interface: only a running one sends packets", e.Name)
	}
	return Source{}, fmt.Errorf("%s: no network interface has this address, so nothing sends from it; `vpcemu ls` shows the addresses that there are", e.Name)
}

// sends tells why the interface's instance sends nothing.
func sends(m *vpc.Model, e endpoint.End) error {
	a := e.Interface.Attachment
	if a == nil || a.InstanceID == "" {
		return fmt.Errorf("network interface %s is attached to no instance, so nothing sends from it: vpcemu ec2 attach-network-interface --network-interface-id %s --instance-id INSTANCE --device-index 1",
			e.Name, e.Interface.ID)
	}
	i := m.Instances.Get(a.InstanceID)
	switch {
	case i == nil:
		return fmt.Errorf("instance %s is gone", a.InstanceID)
	case i.State == vpc.StateStopped:
		return fmt.Errorf("instance %s is stopped, so it sends nothing: vpcemu start %[1]s", cmp.Or(i.Name(), string(i.ID)))
	case i.State != vpc.StateRunning:
		return fmt.Errorf("instance %s is %s: only a running one sends packets", cmp.Or(i.Name(), string(i.ID)), i.State)
	}
	return nil
}

// local tells whether the address is one of the sender's own: such a packet never leaves it.
func local(m *vpc.Model, from endpoint.End, dst netip.Addr) bool {
	if from.Host != nil {
		return from.Host.PublicIp == dst
	}
	if from.Interface == nil || from.Interface.Attachment == nil {
		return false
	}
	id := from.Interface.Attachment.InstanceID
	for _, n := range m.NetworkInterfaces.All() {
		if n.Attachment != nil && n.Attachment.InstanceID == id && n.Deleted.IsZero() &&
			slices.ContainsFunc(n.PrivateIps, func(p vpc.PrivateAddress) bool { return p.PrivateIp == dst }) {
			return true
		}
	}
	return false
}
