package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

// lab is a model that tests build by hand: what the names are made of, no more.
type lab struct {
	*vpc.Model
	handle uint32
}

func newLab() *lab {
	return &lab{Model: &vpc.Model{Region: "ap-northeast-1", PublicPools: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("198.51.100.0/24")}}}
}

// book has a VPC with a public and a private instance, another VPC, one with the first
// one's range, and two Internet hosts.
func book() *lab {
	l := newLab()
	l.vpc("vpc-book", "172.30.0.0/16")
	l.instance("vpc-book", "i-web", "172.30.0.10", "203.0.113.10")
	l.instance("vpc-book", "i-db", "172.30.1.20", "")
	l.vpc("vpc-other", "10.0.0.0/16")
	l.instance("vpc-other", "i-other", "10.0.5.7", "203.0.113.20")
	l.vpc("vpc-twin", "172.30.0.0/16")
	l.instance("vpc-twin", "i-twin", "172.30.0.99", "")
	l.host("laptop", "198.51.100.1")
	l.host("server", "198.51.100.2", "www.example.com", "example.org")
	return l
}

func (l *lab) vpc(id vpc.VpcID, cidrs ...string) *vpc.Vpc {
	v := &vpc.Vpc{Meta: vpc.Meta{Region: l.Region}, ID: id, CidrBlock: netip.MustParsePrefix(cidrs[0]), EnableDnsSupport: true, EnableDnsHostnames: true}
	for _, c := range cidrs {
		v.Cidrs = append(v.Cidrs, vpc.CidrAssociation{CidrBlock: netip.MustParsePrefix(c), State: "associated"})
	}
	l.Vpcs.Put(id, v)
	return v
}

// move puts the whole lab into a Region.
func (l *lab) move(region string) {
	l.Region = region
	for id := range l.Vpcs.All() {
		l.moveVpc(id, region)
	}
}

func (l *lab) moveVpc(id vpc.VpcID, region string) {
	v := *l.Vpcs.Get(id)
	v.Region = region
	l.Vpcs.Put(id, &v)
	if region != l.Region {
		l.Regions.Put(region, &vpc.RegionSettings{})
	}
}

// set changes a VPC's attributes.
func (l *lab) set(id vpc.VpcID, support, hostnames bool) {
	v := *l.Vpcs.Get(id)
	v.EnableDnsSupport, v.EnableDnsHostnames = support, hostnames
	l.Vpcs.Put(id, &v)
}

func (l *lab) instance(in vpc.VpcID, id vpc.InstanceID, addr, public string) {
	l.handle++
	a := netip.MustParseAddr(addr)
	l.Instances.Put(id, &vpc.Instance{ID: id, VpcID: in, State: vpc.StateRunning, EnableResourceNameDnsARecord: true})
	e := &vpc.NetworkInterface{ID: vpc.NetworkInterfaceID(fmt.Sprintf("eni-%d", l.handle)), VpcID: in, PrivateIps: []vpc.PrivateAddress{{PrivateIp: a, Primary: true}},
		Attachment: &vpc.Attachment{InstanceID: id}}
	if public != "" {
		e.PublicIp = netip.MustParseAddr(public)
	}
	l.NetworkInterfaces.Put(e.ID, e)
}

func (l *lab) host(name, addr string, names ...string) {
	id := vpc.InternetHostID("host-" + name)
	l.InternetHosts.Put(id, &vpc.InternetHost{ID: id, HostName: name, PublicIp: netip.MustParseAddr(addr), DnsNames: names, State: vpc.StateRunning})
}

// message is a query on the wire.
func message(t testing.TB, name string, qtype uint16, change ...func(*dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
	for _, c := range change {
		c(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ask sends a query to the resolver of a VPC, or to the Internet's for "". A nil
// answer is none, and forwarded tells that the query would leave the lab.
func (l *lab) ask(t testing.TB, from vpc.VpcID, b []byte) (r *dns.Msg, forwarded bool) {
	t.Helper()
	q, done := parse(b)
	if q == nil {
		return nil, false
	}
	if !done && !q.answer(NamesOf(l.Model).from(from)) {
		return nil, true
	}
	r = new(dns.Msg)
	if err := r.Unpack(q.pack(q.size)); err != nil {
		t.Fatal(err)
	}
	return r, false
}

// dig is what the resolver says: the answers' data in order, NODATA, or the error.
func (l *lab) dig(t testing.TB, from vpc.VpcID, name string, qtype uint16) string {
	t.Helper()
	r, forwarded := l.ask(t, from, message(t, name, qtype))
	if forwarded {
		return "FORWARDED"
	}
	return short(r)
}

func short(r *dns.Msg) string {
	switch {
	case r == nil:
		return "NONE"
	case r.Rcode != dns.RcodeSuccess:
		return dns.RcodeToString[r.Rcode]
	case len(r.Answer) == 0:
		return "NODATA"
	}
	var data []string
	for _, rr := range r.Answer {
		data = append(data, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(data)
	return strings.Join(data, " ")
}

// question is one row of a table of questions and what they are answered.
type question struct {
	from  vpc.VpcID
	name  string
	qtype uint16
	want  string
}

func (l *lab) check(t *testing.T, rows []question) {
	t.Helper()
	for _, q := range rows {
		if got := l.dig(t, q.from, q.name, q.qtype); got != q.want {
			t.Errorf("from %q: %s %s is %s, want %s", q.from, q.name, dns.TypeToString[q.qtype], got, q.want)
		}
	}
}

// eventually waits for something that another goroutine does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 1000 {
		if done() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%s: not within 5 s", what)
}
