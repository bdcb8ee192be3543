package dns

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// view is the names as one VPC sees them, or the Internet where asker is nil.
type view struct {
	*Names
	asker *network
}

// from is the view from a VPC, or from the Internet where there is none with that ID.
func (n *Names) from(id vpc.VpcID) view { return view{n, n.index.networks[id]} }

// node is what a view knows about a name.
type node struct {
	// zone is the apex of the zone that the name is in. "" stands for none of the
	// lab's: such names are forwarded where the lab has an uplink.
	zone   string
	exists bool // else NXDOMAIN
	apex   bool // the name is its zone's: it has SOA and NS
	addrs  []netip.Addr
	ptr    string
}

const root = "."

// find looks up a name in canonical form (lower case, final dot).
func (v view) find(name string) node {
	for _, look := range []func(string) (node, bool){v.localhost, v.private, v.public, v.host, v.reverse, v.reserved} {
		if n, ours := look(name); ours {
			return n
		}
	}
	return node{}
}

// outside is the node of a name of nobody's in a lab without uplink. The zone is
// the root, and what has names below it exists.
func (v view) outside(name string) node {
	if v.index.publicZones[name] {
		return node{zone: name, exists: true, apex: true}
	}
	return node{zone: root, exists: name == root || v.index.parents[name] || v.reverseParent(name), apex: name == root}
}

// localhost answers what RFC 6761 section 6.3 asks of a resolver.
func (v view) localhost(name string) (node, bool) {
	if !dns.IsSubDomain("localhost.", name) {
		return node{}, false
	}
	return node{zone: "localhost.", exists: true, apex: name == "localhost.", addrs: []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}}, true
}

// privateZones are never asked for outside, whatever the Region.
var privateZones = []string{"ec2.internal.", "compute.internal."}

// region is the view's Region. The Internet sees no private names.
func (v view) region() string {
	if v.asker == nil {
		return v.m.Region
	}
	return v.asker.region
}

// private looks up an IP name or a resource name of the Region (DNS-05).
func (v view) private(name string) (node, bool) {
	zone := dns.CanonicalName(vpc.PrivateDnsDomain(v.region()))
	label, in := strings.CutSuffix(name, "."+zone)
	switch {
	case !v.named() && slices.ContainsFunc(privateZones, func(z string) bool { return dns.IsSubDomain(z, name) }):
		return node{zone: root}, true // DNS-07; and on the Internet there is no such zone
	case name == zone:
		return node{zone: zone, exists: true, apex: true}, true
	case !in:
		for _, z := range privateZones {
			if dns.IsSubDomain(z, name) {
				return node{zone: z, exists: name == z, apex: name == z}, true
			}
		}
		return node{}, false
	}
	var a netip.Addr
	if label == "ns0" {
		a = v.resolver()
	} else if dashed, ip := strings.CutPrefix(label, "ip-"); ip {
		a = addrOf(dashed, "-")
		if !v.sees(a) {
			a = netip.Addr{}
		}
	} else {
		a = v.resource(vpc.InstanceID(label))
	}
	if !a.IsValid() {
		return node{zone: zone}, true
	}
	return node{zone: zone, exists: true, addrs: []netip.Addr{a}}, true
}

// named tells whether private names resolve in this view (DNS-07).
func (v view) named() bool { return v.asker != nil && v.asker.named }

// resolver is the asker's resolver: the base of the primary range plus two (DNS-01).
func (v view) resolver() netip.Addr {
	return v.m.Vpcs.Get(v.asker.id).CidrBlock.Masked().Addr().Next().Next()
}

// sees tells whether the name of a private address resolves in this view. Inside
// the asker's own ranges an address means its own interfaces and no others, so that
// VPCs with the same ranges do not see one another's names. Those of other VPCs of the
// Region resolve where they are RFC 1918 addresses (DNS-08) and their VPC has names (DNS-07).
func (v view) sees(a netip.Addr) bool {
	switch {
	case !a.IsValid() || !v.named():
		return false
	case v.asker.owns(a):
		return v.asker.has(a)
	case !a.IsPrivate():
		return false
	}
	for _, n := range v.index.networks {
		if v.neighbour(n) && n.has(a) {
			return true
		}
	}
	return false
}

// neighbour tells whether it is another VPC of the Region and has names.
func (v view) neighbour(n *network) bool {
	return n != v.asker && n.named && n.region == v.asker.region
}

// seesAny tells whether sees is true of any address in p, a range of whole octets.
func (v view) seesAny(p netip.Prefix) bool {
	if !v.named() {
		return false
	}
	if anyIn(v.asker.addrs, p, nil) {
		return true
	}
	for _, n := range v.index.networks {
		if p.Addr().IsPrivate() && v.neighbour(n) && anyIn(n.addrs, p, v.asker) {
			return true
		}
	}
	return false
}

// resource is the address behind an instance's resource name, invalid where it
// has none: the subnet's or the launch's setting says whether it answers (DNS-05).
func (v view) resource(id vpc.InstanceID) netip.Addr {
	i := v.m.Instances.Get(id)
	if i == nil || !i.EnableResourceNameDnsARecord || i.State == vpc.StateTerminated {
		return netip.Addr{}
	}
	a := v.index.primary[id]
	n := v.index.networks[i.VpcID]
	if n == nil || !a.IsValid() {
		return netip.Addr{}
	}
	if n == v.asker || v.neighbour(n) && a.IsPrivate() && !v.asker.owns(a) {
		return a
	}
	return netip.Addr{}
}

// public looks up a public name. From its own VPC it is the private address, from
// elsewhere the public one (DNS-06).
func (v view) public(name string) (node, bool) {
	dashed, ok := strings.CutPrefix(name, "ec2-")
	label, domain, _ := strings.Cut(dashed, ".")
	if !ok || !publicDomain(domain) {
		return node{}, false
	}
	zone := domain
	a := addrOf(label, "-")
	p, known := v.index.public[a]
	switch {
	case !known && !v.ofPools(a):
		return node{}, false // a machine on the real Internet, or none
	case !v.index.publicZones[zone]:
		return node{zone: root}, true
	case !known || v.index.networks[p.vpc].publicZone() != zone:
		return node{zone: zone}, true
	case v.asker != nil && p.vpc == v.asker.id:
		return node{zone: zone, exists: true, addrs: []netip.Addr{p.private}}, true
	}
	return node{zone: zone, exists: true, addrs: []netip.Addr{a}}, true
}

// publicDomain tells whether it is the domain of public names in some Region.
func publicDomain(domain string) bool {
	return domain == "compute-1.amazonaws.com." || strings.HasSuffix(domain, ".compute.amazonaws.com.") && dns.CountLabel(domain) == 4 ||
		strings.HasSuffix(domain, ".compute.amazonaws.com.cn.") && dns.CountLabel(domain) == 5
}

func (v view) ofPools(a netip.Addr) bool {
	return a.IsValid() && slices.ContainsFunc(v.m.PublicPools, func(p netip.Prefix) bool { return p.Contains(a) })
}

// host looks up a host on the lab's Internet.
func (v view) host(name string) (node, bool) {
	if addrs := v.index.hosts[name]; addrs != nil {
		zone := root
		if dns.IsSubDomain(internetDomain, name) {
			zone = internetDomain
		}
		return node{zone: zone, exists: true, addrs: addrs}, true
	}
	if dns.IsSubDomain(internetDomain, name) {
		return node{zone: internetDomain, exists: name == internetDomain || v.index.parents[name], apex: name == internetDomain}, true
	}
	return node{}, false
}

// specialUse are domains that RFC 6761, 6762 and 7686 keep out of the public DNS.
var specialUse = []string{"invalid.", "test.", "onion."}

// reserved are the names that are asked for nowhere.
func (v view) reserved(name string) (node, bool) {
	for _, z := range specialUse {
		if dns.IsSubDomain(z, name) {
			return node{zone: root, exists: v.index.parents[name]}, true
		}
	}
	return node{}, false
}

// addrOf parses an IPv4 address whose octets stand between sep, in the one form
// that Amazon's names have; it is invalid otherwise.
func addrOf(text, sep string) netip.Addr {
	parts := strings.Split(text, sep)
	if len(parts) != 4 {
		return netip.Addr{}
	}
	var b [4]byte
	for i, p := range parts {
		o, ok := octet(p)
		if !ok {
			return netip.Addr{}
		}
		b[i] = o
	}
	return netip.AddrFrom4(b)
}

// octet parses a decimal number up to 255 without leading zeros.
func octet(s string) (byte, bool) {
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil || len(s) > 1 && s[0] == '0' || s[0] == '+' {
		return 0, false
	}
	return byte(n), true
}
