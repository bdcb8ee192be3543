package porttest

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// In is an ingress rule of a security group. proto is tcp, udp, icmp, all or a number;
// ports is "", "22" or "1024-65535" (ICMP: "type" or "type/code").
func In(proto, ports, cidr string) filter.GroupRule {
	return groupRule(filter.Ingress, proto, ports, cidr)
}

// Out is an egress rule.
func Out(proto, ports, cidr string) filter.GroupRule {
	return groupRule(filter.Egress, proto, ports, cidr)
}

func groupRule(dir filter.Direction, proto, ports, cidr string) filter.GroupRule {
	from, to := portRange(proto, ports)
	r := filter.GroupRule{Dir: dir, Proto: protocol(proto), FromPort: from, ToPort: to}
	if cidr != "" {
		r.CIDR = netip.MustParsePrefix(cidr)
	}
	return r
}

// Allow and Deny are entries of a network ACL.
func Allow(number int, dir filter.Direction, proto, ports, cidr string) filter.ACLRule {
	return aclRule(number, dir, true, proto, ports, cidr)
}

// Deny is the opposite of Allow.
func Deny(number int, dir filter.Direction, proto, ports, cidr string) filter.ACLRule {
	return aclRule(number, dir, false, proto, ports, cidr)
}

func aclRule(number int, dir filter.Direction, allow bool, proto, ports, cidr string) filter.ACLRule {
	from, to := portRange(proto, ports)
	r := filter.ACLRule{Number: number, Dir: dir, Allow: allow, Proto: protocol(proto), CIDR: netip.MustParsePrefix(cidr)}
	if r.Proto == packet.ProtoICMP {
		r.ICMPType, r.ICMPCode = int16(from), int16(to)
	} else {
		r.FromPort, r.ToPort = from, to
	}
	return r
}

// AllowAll are the entries of a default ACL (AC-02).
func AllowAll() []filter.ACLRule {
	return []filter.ACLRule{
		Allow(100, filter.Ingress, "all", "", "0.0.0.0/0"),
		Allow(100, filter.Egress, "all", "", "0.0.0.0/0"),
	}
}

func protocol(s string) int16 {
	switch s {
	case "all":
		return -1
	case "tcp":
		return packet.ProtoTCP
	case "udp":
		return packet.ProtoUDP
	case "icmp":
		return packet.ProtoICMP
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		panic(fmt.Sprintf("porttest: protocol %q", s))
	}
	return int16(n)
}

func portRange(proto, s string) (from, to int32) {
	if proto == "icmp" {
		if s == "" {
			return -1, -1
		}
		typ, code, ok := strings.Cut(s, "/")
		if !ok {
			return number(typ), -1
		}
		return number(typ), number(code)
	}
	if s == "" {
		return 0, 65535
	}
	a, b, ok := strings.Cut(s, "-")
	if !ok {
		b = a
	}
	return number(a), number(b)
}

func number(s string) int32 {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		panic(fmt.Sprintf("porttest: number %q", s))
	}
	return int32(n)
}
