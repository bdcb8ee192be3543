package dns

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

const (
	arpa4 = "in-addr.arpa."
	arpa6 = "ip6.arpa."
)

// local4 are the IPv4 ranges whose reverse names are answered here and nowhere
// else (RFC 6303, RFC 7793).
var local4 = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("255.255.255.255/32"),
}

// local6 are the zones that RFC 6303 section 4.4 to 4.6 has for IPv6: unspecified,
// loopback, locally assigned and link-local addresses.
var local6 = func() []string {
	zones := []string{"d.f." + arpa6, "8.e.f." + arpa6, "9.e.f." + arpa6, "a.e.f." + arpa6, "b.e.f." + arpa6}
	for _, a := range []string{"::", "::1"} {
		zone, _ := dns.ReverseAddr(a)
		zones = append(zones, zone)
	}
	return zones
}()

// reverse looks up a name below in-addr.arpa or ip6.arpa that belongs to one of
// the lab's ranges or to no network at all.
func (v view) reverse(name string) (node, bool) {
	if dns.IsSubDomain(arpa6, name) {
		return reverse6(name)
	}
	p, rest, ok := reversePrefix(name)
	if !ok {
		return node{}, false
	}
	zone := v.reverseZone(p)
	if !zone.IsValid() {
		return node{}, false
	}
	n := node{zone: arpaName(zone), apex: p == zone && !rest}
	if p.Bits() == 32 && !rest {
		n.ptr = v.pointer(p.Addr())
	}
	n.exists = n.apex || n.ptr != "" || !rest && v.below(p)
	return n, true
}

func reverse6(name string) (node, bool) {
	for _, z := range local6 {
		if dns.IsSubDomain(z, name) {
			n := node{zone: z, exists: name == z, apex: name == z}
			if loopback, _ := dns.ReverseAddr("::1"); name == loopback {
				n.ptr = "localhost."
			}
			return n, true
		}
	}
	return node{}, false
}

// reverseZone is the range of the zone that the reverse names of p are in, with
// whole octets: 172.16.0.0/12 makes sixteen zones. Invalid for none of the lab's.
func (v view) reverseZone(p netip.Prefix) netip.Prefix {
	ranges := local4
	if v.asker != nil {
		ranges = append(slices.Clip(ranges), v.asker.cidrs...)
	}
	for _, r := range append(slices.Clip(ranges), v.m.PublicPools...) {
		if whole := (r.Bits() + 7) / 8 * 8; r.Contains(p.Addr()) && p.Bits() >= whole {
			return netip.PrefixFrom(p.Addr(), whole).Masked()
		}
	}
	if _, host := v.index.hostName[p.Addr()]; host && p.Bits() == 32 {
		return p
	}
	return netip.Prefix{}
}

// reverseParent tells whether the name is above one of reverseZone's.
func (v view) reverseParent(name string) bool {
	if name == "arpa." || name == arpa4 || name == arpa6 {
		return true
	}
	p, rest, ok := reversePrefix(name)
	return ok && !rest && (v.below(p) || slices.ContainsFunc(local4, func(r netip.Prefix) bool { return p.Contains(r.Addr()) }))
}

// below tells whether some address in p has a reverse name.
func (v view) below(p netip.Prefix) bool {
	return v.seesAny(p) || anyIn(v.index.publics, p, nil) || p.Contains(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
}

// pointer is what the reverse name of an address points to, "" for nothing. For a
// private address it is always the IP name (DNS-05).
func (v view) pointer(a netip.Addr) string {
	switch {
	case v.sees(a):
		return dns.CanonicalName(vpc.PrivateDnsName(v.region(), a))
	case v.index.public[a].vpc != "":
		return dns.CanonicalName(v.m.PublicDnsName(v.index.public[a].vpc, a))
	case a == netip.AddrFrom4([4]byte{127, 0, 0, 1}):
		return "localhost."
	}
	return v.index.hostName[a]
}

// reversePrefix is the range whose reverse names are below name; rest tells that
// name has more to its left than the octets of an address.
func reversePrefix(name string) (p netip.Prefix, rest, ok bool) {
	left, ok := strings.CutSuffix(name, "."+arpa4)
	if !ok {
		return netip.Prefix{}, false, false
	}
	labels := dns.SplitDomainName(left)
	slices.Reverse(labels)
	var b [4]byte
	n := 0
	for ; n < 4 && n < len(labels); n++ {
		o, good := octet(labels[n])
		if !good {
			break
		}
		b[n] = o
	}
	return netip.PrefixFrom(netip.AddrFrom4(b), n*8), n < len(labels), true
}

// arpaName is the reverse name of a range of whole octets.
func arpaName(p netip.Prefix) string {
	b := p.Addr().As4()
	name := arpa4
	for _, o := range b[:p.Bits()/8] {
		name = strconv.Itoa(int(o)) + "." + name
	}
	return name
}
