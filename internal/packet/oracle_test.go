package packet

import (
	"bytes"
	"net"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"
)

// gopacketBuild serializes the packet that our builders are asked for, with its
// own checksums.
func gopacketBuild(t rapid.TB, tu Tuple, ttl uint8, tcp *layers.TCP, payload []byte) []byte {
	src, dst := tu.Src.Netip().AsSlice(), tu.Dst.Netip().AsSlice()
	var network gopacket.SerializableLayer
	var pseudo gopacket.NetworkLayer
	if tu.Src.Is4() {
		l := &layers.IPv4{Version: 4, TTL: ttl, Protocol: layers.IPProtocol(tu.Proto), SrcIP: src, DstIP: dst}
		network, pseudo = l, l
	} else {
		l := &layers.IPv6{Version: 6, HopLimit: ttl, NextHeader: layers.IPProtocol(tu.Proto), SrcIP: src, DstIP: dst}
		network, pseudo = l, l
	}
	var parts []gopacket.SerializableLayer
	switch tu.Proto {
	case ProtoTCP:
		tcp.SrcPort, tcp.DstPort = layers.TCPPort(tu.SrcPort), layers.TCPPort(tu.DstPort)
		_ = tcp.SetNetworkLayerForChecksum(pseudo)
		parts = []gopacket.SerializableLayer{network, tcp}
	case ProtoUDP:
		udp := &layers.UDP{SrcPort: layers.UDPPort(tu.SrcPort), DstPort: layers.UDPPort(tu.DstPort)}
		_ = udp.SetNetworkLayerForChecksum(pseudo)
		parts = []gopacket.SerializableLayer{network, udp}
	case ProtoICMP:
		typ := layers.CreateICMPv4TypeCode(ICMPEcho, 0)
		if tu.SrcPort == 0 {
			typ = layers.CreateICMPv4TypeCode(ICMPEchoReply, 0)
		}
		parts = []gopacket.SerializableLayer{network, &layers.ICMPv4{TypeCode: typ, Id: tu.SrcPort | tu.DstPort, Seq: 9}}
	case ProtoICMPv6:
		typ := layers.CreateICMPv6TypeCode(ICMPv6Echo, 0)
		if tu.SrcPort == 0 {
			typ = layers.CreateICMPv6TypeCode(ICMPv6EchoReply, 0)
		}
		icmp := &layers.ICMPv6{TypeCode: typ}
		_ = icmp.SetNetworkLayerForChecksum(pseudo)
		parts = []gopacket.SerializableLayer{network, icmp, &layers.ICMPv6Echo{Identifier: tu.SrcPort | tu.DstPort, SeqNumber: 9}}
	}
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, append(parts, gopacket.Payload(payload))...); err != nil {
		t.Fatalf("gopacket: %v", err)
	}
	return buf.Bytes()
}

// oursBuild is gopacketBuild with the builders of this package.
func oursBuild(tu Tuple, ttl uint8, flags uint8, payload []byte) []byte {
	switch tu.Proto {
	case ProtoTCP:
		return BuildTCP(nil, tu, flags, 11, 22, payload)
	case ProtoUDP:
		return BuildUDP(nil, tu, ttl, payload)
	}
	return BuildICMPEcho(nil, tu.Src, tu.Dst, tu.SrcPort == 0, tu.SrcPort|tu.DstPort, 9, payload)
}

func genTuple(v4 bool) *rapid.Generator[Tuple] {
	return rapid.Custom(func(t *rapid.T) Tuple {
		tu := Tuple{
			Src: genAddr(v4).Draw(t, "src"), Dst: genAddr(v4).Draw(t, "dst"),
			SrcPort: rapid.Uint16Min(1).Draw(t, "sport"), DstPort: rapid.Uint16Min(1).Draw(t, "dport"),
			Proto: rapid.SampledFrom([]uint8{ProtoTCP, ProtoUDP, ProtoICMP}).Draw(t, "proto"),
		}
		if tu.Proto == ProtoICMP {
			if !v4 {
				tu.Proto = ProtoICMPv6
			}
			if rapid.Bool().Draw(t, "reply") {
				tu.SrcPort = 0
			} else {
				tu.DstPort = 0
			}
		}
		return tu
	})
}

func TestBuildersAgainstGopacket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tu := genTuple(rapid.Bool().Draw(t, "v4")).Draw(t, "tuple")
		payload := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "payload")
		flags := rapid.Uint8Range(0, 31).Draw(t, "flags")
		tcp := &layers.TCP{
			Seq: 11, Ack: 22, Window: 65535, FIN: flags&FlagFIN != 0, SYN: flags&FlagSYN != 0,
			RST: flags&FlagRST != 0, PSH: flags&FlagPSH != 0, ACK: flags&FlagACK != 0,
		}
		want := gopacketBuild(t, tu, 64, tcp, payload)
		got := oursBuild(tu, 64, flags, payload)
		if tu.Proto == ProtoUDP { // gopacket leaves a computed 0 as it is, which would mean none
			if at := len(want) - len(payload) - 2; want[at] == 0 && want[at+1] == 0 {
				want[at], want[at+1] = 0xff, 0xff
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%v\n got %x\nwant %x", tu, got, want)
		}
	})
}

func TestSettersAgainstGopacket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v4 := rapid.Bool().Draw(t, "v4")
		from, to := genTuple(v4).Draw(t, "from"), genTuple(v4).Draw(t, "to")
		to.Proto = from.Proto
		if from.Proto == ProtoICMP || from.Proto == ProtoICMPv6 {
			to.SrcPort, to.DstPort = max(to.SrcPort, to.DstPort), 0
			if from.SrcPort == 0 {
				to = Tuple{Src: to.Src, Dst: to.Dst, DstPort: to.SrcPort, Proto: to.Proto}
			}
		} else {
			to.SrcPort, to.DstPort = max(to.SrcPort, 1), max(to.DstPort, 1)
		}
		payload := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "payload")
		var h Header
		h.Parse(gopacketBuild(t, from, 64, &layers.TCP{Window: 1}, payload))
		if h.Tuple != from {
			t.Fatalf("decoded %v, want %v", h.Tuple, from)
		}
		h.SetSrc(to.Src)
		h.SetDst(to.Dst)
		h.SetSrcPort(to.SrcPort)
		h.SetDstPort(to.DstPort)
		h.SetTTL(7)
		want := gopacketBuild(t, to, 7, &layers.TCP{Window: 1}, payload)
		if at := h.L4 + 6; h.Proto == ProtoUDP && be.Uint16(want[at:])%0xffff == 0 && be.Uint16(h.Data[at:])%0xffff == 0 {
			copy(want[at:], h.Data[at:at+2]) // 0 and 0xffff, see above
		}
		if !bytes.Equal(h.Data, want) {
			t.Fatalf("%v to %v\n got %x\nwant %x", from, to, h.Data, want)
		}
	})
}

// What Parse accepts, gopacket reads in the same way, also in damaged packets.
func TestParseAgainstGopacket(t *testing.T) {
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		v4 := rapid.Bool().Draw(t, "v4")
		b := slices.Clone(genPacket(v4).Draw(t, "packet"))
		for range rapid.IntRange(0, 3).Draw(t, "edits") {
			b[rapid.IntRange(1, min(len(b)-1, 60)).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		var h Header
		if h.Parse(b) != 0 {
			return
		}
		accepted++
		compareWithGopacket(t, &h)
	})
	if accepted == 0 {
		t.Error("no packet was accepted")
	}
}

func compareWithGopacket(t rapid.TB, h *Header) {
	first := layers.LayerTypeIPv4
	if h.Version == 6 {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(h.Data, first, gopacket.NoCopy)
	same := func(what string, got, want any) {
		if got != want {
			t.Errorf("%s: got %v, gopacket says %v\n%x", what, got, want, h.Data)
		}
	}
	switch l := p.NetworkLayer().(type) {
	case *layers.IPv4:
		same("source", h.Src.String(), l.SrcIP.String())
		same("destination", h.Dst.String(), l.DstIP.String())
		same("protocol", h.Proto, uint8(l.Protocol))
		same("TTL", h.TTL, l.TTL)
		same("ID", h.FragID, uint32(l.Id))
		same("offset", h.FragOffset, int(l.FragOffset)*8)
		same("more fragments", h.MoreFragments, l.Flags&layers.IPv4MoreFragments != 0)
		same("don't fragment", h.DontFragment, l.Flags&layers.IPv4DontFragment != 0)
		same("header length", h.L4, int(l.IHL)*4)
	case *layers.IPv6:
		same("source", h.Src.String(), l.SrcIP.String())
		same("destination", h.Dst.String(), l.DstIP.String())
		same("hop limit", h.TTL, l.HopLimit)
	default:
		t.Errorf("gopacket knows no network layer: %v", p.ErrorLayer())
	}
	if h.IsFragment() {
		return
	}
	switch l := p.TransportLayer().(type) {
	case *layers.TCP:
		same("ports", [2]uint16{h.SrcPort, h.DstPort}, [2]uint16{uint16(l.SrcPort), uint16(l.DstPort)})
		same("flags", h.TCPFlags&31, flagsOf(l))
		same("payload", string(h.Payload()), string(l.Payload))
	case *layers.UDP:
		same("ports", [2]uint16{h.SrcPort, h.DstPort}, [2]uint16{uint16(l.SrcPort), uint16(l.DstPort)})
		same("payload", string(h.Payload()), string(l.Payload))
	}
	if l, ok := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); ok && h.Version == 4 { // elsewhere Parse takes it for an unknown protocol
		same("ICMP type", h.ICMPType, l.TypeCode.Type())
		same("ICMP code", h.ICMPCode, l.TypeCode.Code())
		if h.IsICMPQuery() {
			same("identifier", h.SrcPort|h.DstPort, l.Id)
		}
	}
	if l, ok := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6); ok && h.Version == 6 {
		same("ICMPv6 type", h.ICMPType, l.TypeCode.Type())
		same("ICMPv6 code", h.ICMPCode, l.TypeCode.Code())
	}
}

func flagsOf(l *layers.TCP) uint8 {
	var f uint8
	for i, set := range []bool{l.FIN, l.SYN, l.RST, l.PSH, l.ACK} {
		if set {
			f |= 1 << i
		}
	}
	return f
}

// The quoted packet too: gopacket decodes it on its own.
func TestQuotedPacketAgainstGopacket(t *testing.T) {
	for _, quoted := range [][]byte{
		BuildTCP(nil, tup(hostA, hostB, 40000, 443), FlagSYN, 1, 0, nil),
		AddIPOptions(nil, BuildUDP(nil, tup(hostA, hostB, 1000, 53), 3, []byte("query")), []byte{0x94, 4, 0, 0}),
		BuildICMPEcho(nil, hostA, hostB, false, 8, 1, nil),
	} {
		h := mustParse(t, ICMPError(nil, router, ICMPUnreachable, 0, 0, quoted))
		l := gopacket.NewPacket(h.Data[h.InnerL3:], layers.LayerTypeIPv4, gopacket.Default).NetworkLayer().(*layers.IPv4)
		if !net.IP(l.SrcIP).Equal(h.Inner.Src.Netip().AsSlice()) || h.InnerL4-h.InnerL3 != int(l.IHL)*4 || uint8(l.Protocol) != h.Inner.Proto {
			t.Errorf("inner %v, gopacket says %v", h.Inner, l)
		}
	}
}

func TestRFC8200_ExtensionsAgainstGopacket(t *testing.T) {
	ip6 := &layers.IPv6{Version: 6, HopLimit: 9, NextHeader: layers.IPProtocolIPv6HopByHop, SrcIP: host6A.Netip().AsSlice(), DstIP: host6B.Netip().AsSlice()}
	udp := &layers.UDP{SrcPort: 5000, DstPort: 53}
	_ = udp.SetNetworkLayerForChecksum(ip6)
	hop := &layers.IPv6HopByHop{}
	hop.NextHeader = layers.IPProtocolUDP
	hop.Options = []*layers.IPv6HopByHopOption{{OptionType: 1, OptionData: make([]byte, 4)}}
	ip6.HopByHop = hop
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, ip6, udp, gopacket.Payload("query")); err != nil {
		t.Fatal(err)
	}
	h := mustParse(t, buf.Bytes())
	if h.Proto != ProtoUDP || h.SrcPort != 5000 || h.DstPort != 53 || !h.HasOptions || string(h.Payload()) != "query" {
		t.Errorf("%+v", h)
	}
	mustVerify(t, h.Data)
	compareWithGopacket(t, h)
}
