package filter

import (
	"strconv"

	"github.com/vpcemu/vpcemu/internal/packet"
)

func isICMP(proto int16) bool { return proto == packet.ProtoICMP || proto == packet.ProtoICMPv6 }

// describe gives protocol and ports, or ICMP type and code, of a rule: "all",
// "tcp 22", "udp 1024-65535", "icmp type 3 code 4", "47".
func describe(proto int16, from, to int32) string {
	switch {
	case proto == allProtocols:
		return "all"
	case proto == packet.ProtoTCP:
		return "tcp" + ports(from, to)
	case proto == packet.ProtoUDP:
		return "udp" + ports(from, to)
	case proto == packet.ProtoICMP:
		return "icmp" + typeCode(from, to)
	case proto == packet.ProtoICMPv6:
		return "icmpv6" + typeCode(from, to)
	}
	return strconv.Itoa(int(proto))
}

func ports(from, to int32) string {
	switch s := portSpan(from, to); {
	case s == anything:
		return ""
	case from == to:
		return " " + strconv.Itoa(int(from))
	}
	return " " + strconv.Itoa(int(from)) + "-" + strconv.Itoa(int(to))
}

func typeCode(typ, code int32) string {
	switch {
	case typ == -1:
		return ""
	case code == -1:
		return " type " + strconv.Itoa(int(typ))
	}
	return " type " + strconv.Itoa(int(typ)) + " code " + strconv.Itoa(int(code))
}
