package topology

import (
	"fmt"
	"net/netip"
)

// traffic is what a rule is about, whichever way it says so.
type traffic struct {
	protocol Protocol
	from, to int // ports; ICMP type and code; -1 where there are neither
}

// trafficKeys are the keys that say it, in rules of groups and ACLs alike.
type trafficKeys struct {
	protocol           Value[Protocol]
	port, ports        Value[Ports]
	from, to           Value[int]
	icmpType, icmpCode Value[int]
	group              bool // a group's rule: ICMP type and code may be in from and to, as in the API
}

func (r *GroupRule) keys() trafficKeys {
	return trafficKeys{r.Protocol, r.Port, r.Ports, r.FromPort, r.ToPort, r.IcmpType, r.IcmpCode, true}
}

func (r *AclRule) keys() trafficKeys {
	return trafficKeys{r.Protocol, r.Port, r.Ports, r.FromPort, r.ToPort, r.IcmpType, r.IcmpCode, false}
}

// wrong tells why the keys mean nothing, unless one of them was refused by itself:
// that mistake has been told.
func (k trafficKeys) wrong() string {
	refused := refused(k.protocol) || refused(k.port) || refused(k.ports) || refused(k.from) || refused(k.to) || refused(k.icmpType) || refused(k.icmpCode)
	if _, why := k.resolve(); !refused {
		return why
	}
	return ""
}

// refused tells whether the file gives a value that cannot be read.
func refused[T any](v Value[T]) bool { return v.Line != 0 && !v.Set }

// resolve returns what the keys mean, or why they mean nothing.
func (k trafficKeys) resolve() (traffic, string) {
	ways := 0
	for _, given := range []bool{k.port.Set, k.ports.Set, k.from.Set || k.to.Set, k.icmpType.Set || k.icmpCode.Set} {
		if given {
			ways++
		}
	}
	if ways > 1 && !k.zeroPorts() {
		return traffic{}, "port, ports, from_port with to_port, and icmp_type with icmp_code exclude one another"
	}
	protocol := k.protocol.V
	switch {
	case k.protocol.Set:
	case k.icmpType.Set || k.icmpCode.Set:
		protocol = "icmp"
	case ways > 0:
		protocol = "tcp"
	case k.group:
		return traffic{}, "protocol is missing; `protocol: all` means every one"
	default:
		protocol = "-1"
	}
	switch protocol {
	case "tcp", "udp":
		return k.withPorts(protocol)
	case "icmp", "icmpv6":
		return k.withTypes(protocol)
	}
	return k.withNeither(protocol)
}

// zeroPorts is how Terraform files write "no ports".
func (k trafficKeys) zeroPorts() bool {
	return !k.port.Set && !k.ports.Set && k.from.Set && k.from.V <= 0 && k.to.V == k.from.V
}

func (k trafficKeys) withPorts(p Protocol) (traffic, string) {
	switch {
	case k.icmpType.Set || k.icmpCode.Set:
		return traffic{}, fmt.Sprintf("protocol %s has no icmp_type", p)
	case k.port.Set && k.port.V.From != k.port.V.To:
		return traffic{}, "port is a single one; `ports` takes a range"
	case k.port.Set:
		return traffic{p, k.port.V.From, k.port.V.To}, ""
	case k.ports.Set:
		return traffic{p, k.ports.V.From, k.ports.V.To}, ""
	case k.from.Set != k.to.Set:
		return traffic{}, "from_port and to_port go together"
	case !k.from.Set:
		return traffic{}, fmt.Sprintf("protocol %s without a port; `ports: all` means every one", p)
	case k.from.V < 0 || k.from.V > k.to.V:
		return traffic{}, fmt.Sprintf("from_port %d to to_port %d is no range of ports", k.from.V, k.to.V)
	}
	return traffic{p, k.from.V, k.to.V}, ""
}

func (k trafficKeys) withTypes(p Protocol) (traffic, string) {
	if k.port.Set || k.ports.Set {
		return traffic{}, fmt.Sprintf("protocol %s has no ports; icmp_type and icmp_code say which messages", p)
	}
	t := traffic{p, -1, -1}
	switch {
	case k.icmpType.Set || k.icmpCode.Set:
		if k.icmpType.Set {
			t.from = k.icmpType.V
		}
		if k.icmpCode.Set {
			t.to = k.icmpCode.V
		}
	case k.group && k.from.Set != k.to.Set:
		return traffic{}, "from_port and to_port go together (for ICMP they are type and code)"
	case k.group && k.from.Set:
		t.from, t.to = k.from.V, k.to.V
	case !k.group && k.from.Set && !k.zeroPorts():
		return traffic{}, fmt.Sprintf("protocol %s has no ports; icmp_type and icmp_code say which messages", p)
	}
	if t.from > 255 || t.to > 255 {
		return traffic{}, fmt.Sprintf("ICMP type %d, code %d: neither goes above 255", t.from, t.to)
	}
	if t.from < 0 && t.to >= 0 {
		return traffic{}, "an ICMP code without a type"
	}
	return t, ""
}

func (k trafficKeys) withNeither(p Protocol) (traffic, string) {
	all := Ports{0, 65535}
	switch name := "protocol " + string(p); {
	case k.icmpType.Set || k.icmpCode.Set:
		return traffic{}, name + " has no icmp_type"
	case k.port.Set, k.ports.Set && k.ports.V != all:
		return traffic{}, name + " has no ports"
	case (k.from.Set || k.to.Set) && !k.zeroPorts() && (Ports{k.from.V, k.to.V}) != all:
		return traffic{}, name + " has no ports"
	}
	return traffic{p, -1, -1}, ""
}

// groupEntry is one rule as AWS keeps it: one peer each.
type groupEntry struct {
	traffic
	cidr        netip.Prefix
	group       string // name in the file, "default", or "self"
	description string
	tags        map[string]string
}

const selfGroup = "self"

// entries are the single rules that r stands for, in the order of the file.
func (r *GroupRule) entries() []groupEntry {
	t, why := r.keys().resolve()
	if why != "" {
		return nil
	}
	var list []groupEntry
	for _, c := range r.CidrBlocks.V {
		list = append(list, groupEntry{traffic: t, cidr: c.V, description: r.Description.V, tags: r.Tags.V})
	}
	for _, g := range r.SecurityGroups.V {
		list = append(list, groupEntry{traffic: t, group: g.V, description: r.Description.V, tags: r.Tags.V})
	}
	if r.Self.V {
		list = append(list, groupEntry{traffic: t, group: selfGroup, description: r.Description.V, tags: r.Tags.V})
	}
	return list
}
