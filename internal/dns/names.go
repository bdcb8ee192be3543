package dns

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/miekg/dns"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Directory keeps the names of a lab. It looks at the model when a question
// comes, so that a change of the model costs nothing and shows in the next answer.
type Directory struct {
	model func() *vpc.Model
	mu    sync.Mutex // held by who works the names out
	names atomic.Pointer[Names]
}

// NewDirectory makes the directory of the models that model returns. These are
// not written to any more.
func NewDirectory(model func() *vpc.Model) *Directory { return &Directory{model: model} }

// Names are the names in the model of now.
func (d *Directory) Names() *Names {
	m := d.model()
	if n := d.names.Load(); n != nil && n.m == m {
		return n
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	last := d.names.Load()
	if last != nil && last.m == m {
		return last
	}
	n := &Names{m: m}
	if last != nil && last.index.of(m) {
		n.index = last.index
	} else {
		n.index = newIndex(m)
	}
	d.names.Store(n)
	return n
}

// Names are the names of one model. They are immutable.
type Names struct {
	m     *vpc.Model
	index *index
}

// NamesOf works the names of a model out.
func NamesOf(m *vpc.Model) *Names { return &Names{m: m, index: newIndex(m)} }

// index is what is looked up by something else than an ID. It is made of few
// tables, so that instances that start and stop leave it as it is.
type index struct {
	m        *vpc.Model // that it was made of
	networks map[vpc.VpcID]*network
	primary  map[vpc.InstanceID]netip.Addr
	public   map[netip.Addr]publicAddress
	publics  []netip.Addr // those with a name, sorted
	hosts    map[string][]netip.Addr
	hostName map[netip.Addr]string
	parents  map[string]bool // names that have others below them and are none
	// publicZones are the zones of public names of the Regions in use.
	publicZones map[string]bool
}

// network is a VPC as a place of names.
type network struct {
	id     vpc.VpcID
	region string
	named  bool // both DNS attributes are on (DNS-07)
	cidrs  []netip.Prefix
	addrs  []netip.Addr // private addresses of its interfaces, sorted
}

// publicZone is the zone of its public names (DNS-06).
func (n *network) publicZone() string { return dns.CanonicalName(vpc.PublicDnsDomain(n.region)) }

// publicAddress is what the Internet gateway of a VPC with names maps to a private one.
type publicAddress struct {
	vpc     vpc.VpcID
	private netip.Addr
}

// of tells whether the index is what newIndex(m) would make.
func (x *index) of(m *vpc.Model) bool {
	return x.m.Region == m.Region && x.m.NetworkInterfaces.Same(&m.NetworkInterfaces) && x.m.Vpcs.Same(&m.Vpcs) &&
		x.m.Addresses.Same(&m.Addresses) && x.m.Regions.Same(&m.Regions) && x.m.InternetHosts.Same(&m.InternetHosts)
}

func newIndex(m *vpc.Model) *index {
	x := &index{m: m, networks: map[vpc.VpcID]*network{}, primary: map[vpc.InstanceID]netip.Addr{}, public: map[netip.Addr]publicAddress{},
		hosts: map[string][]netip.Addr{}, hostName: map[netip.Addr]string{}, parents: map[string]bool{}, publicZones: map[string]bool{}}
	for id, v := range m.Vpcs.All() {
		n := &network{id: id, region: v.Region, named: v.EnableDnsSupport && v.EnableDnsHostnames}
		for _, a := range v.Cidrs {
			if a.State == "associated" {
				n.cidrs = append(n.cidrs, a.CidrBlock)
			}
		}
		x.networks[id] = n
	}
	for _, e := range m.NetworkInterfaces.All() {
		x.addInterface(e)
	}
	for _, n := range x.networks {
		slices.SortFunc(n.addrs, netip.Addr.Compare)
	}
	for _, h := range m.InternetHosts.All() {
		x.addHost(h)
	}
	x.addResolver()
	for _, region := range m.OpenRegions() {
		zone := dns.CanonicalName(vpc.PublicDnsDomain(region))
		x.publicZones[zone] = true
		x.addParents("*." + zone)
	}
	for a := range x.public {
		x.publics = append(x.publics, a)
	}
	for a := range x.hostName {
		if _, both := x.public[a]; !both {
			x.publics = append(x.publics, a)
		}
	}
	slices.SortFunc(x.publics, netip.Addr.Compare)
	return x
}

func (x *index) addInterface(e *vpc.NetworkInterface) {
	n := x.networks[e.VpcID]
	if n == nil {
		return
	}
	if a := e.Attachment; a != nil && a.DeviceIndex == 0 && a.InstanceID != "" {
		x.primary[a.InstanceID] = e.Primary()
	}
	for _, p := range e.PrivateIps {
		n.addrs = append(n.addrs, p.PrivateIp)
		if public := x.m.PublicAddressOf(e, p); n.named && public.IsValid() {
			x.public[public] = publicAddress{vpc: e.VpcID, private: p.PrivateIp}
		}
	}
}

// internetDomain is the domain of the lab's Internet hosts.
const internetDomain = "internet."

// addHost makes an Internet host known by the names that were given to it, and by
// its lab name and its host name, alone and below "internet".
func (x *index) addHost(h *vpc.InternetHost) {
	if h.State == vpc.StateShuttingDown || h.State == vpc.StateTerminated || !h.PublicIp.IsValid() {
		return
	}
	var names []string
	for _, own := range h.DnsNames {
		names = append(names, dns.CanonicalName(own))
	}
	for _, own := range []string{h.Name(), h.HostName} {
		if _, ok := dns.IsDomainName(own); ok && own != "" {
			name := dns.CanonicalName(own)
			names = append(names, name+internetDomain, name)
		}
	}
	for i, name := range names {
		if _, ok := dns.IsDomainName(name); !ok { // a name at the limit of length, and "internet" behind it
			continue
		}
		if i == 0 {
			x.hostName[h.PublicIp] = name
		}
		if !slices.Contains(x.hosts[name], h.PublicIp) {
			x.hosts[name] = append(x.hosts[name], h.PublicIp)
		}
		x.addParents(name)
	}
}

// addResolver makes the Internet's own resolver known, unless a host has its name.
func (x *index) addResolver() {
	for _, name := range []string{"resolver." + internetDomain, "resolver."} {
		if x.hosts[name] == nil {
			x.hosts[name] = []netip.Addr{vpc.InternetResolver}
		}
	}
}

// addParents notes that the domains of a name exist, its root excepted.
func (x *index) addParents(name string) {
	for off, end := dns.NextLabel(name, 0); !end; off, end = dns.NextLabel(name, off) {
		x.parents[name[off:]] = true
	}
}

// has tells whether an interface of the network has the address.
func (n *network) has(a netip.Addr) bool {
	_, found := slices.BinarySearchFunc(n.addrs, a, netip.Addr.Compare)
	return found
}

// owns tells whether the address is in one of the VPC's ranges.
func (n *network) owns(a netip.Addr) bool {
	return slices.ContainsFunc(n.cidrs, func(p netip.Prefix) bool { return p.Contains(a) })
}

// anyIn tells whether sorted has an address in p that skip, where given, does not own.
func anyIn(sorted []netip.Addr, p netip.Prefix, skip *network) bool {
	i, _ := slices.BinarySearchFunc(sorted, p.Masked().Addr(), netip.Addr.Compare)
	for i < len(sorted) && p.Contains(sorted[i]) {
		hidden := netip.Prefix{}
		if skip != nil {
			if at := slices.IndexFunc(skip.cidrs, func(c netip.Prefix) bool { return c.Contains(sorted[i]) }); at >= 0 {
				hidden = skip.cidrs[at]
			}
		}
		if !hidden.IsValid() {
			return true
		}
		// The next one behind the hidden range, which may hold thousands.
		end, _ := slices.BinarySearchFunc(sorted[i:], hidden, func(a netip.Addr, c netip.Prefix) int {
			if c.Contains(a) {
				return -1
			}
			return a.Compare(c.Addr())
		})
		i += end
	}
	return false
}
