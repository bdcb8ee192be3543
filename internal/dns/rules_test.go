package dns

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/vpcemu/vpcemu/internal/vpc"
)

const (
	tA, tAAAA, tPTR, tSOA, tNS, tMX, tANY = dns.TypeA, dns.TypeAAAA, dns.TypePTR, dns.TypeSOA, dns.TypeNS, dns.TypeMX, dns.TypeANY

	region = ".ap-northeast-1.compute.internal"
	public = ".ap-northeast-1.compute.amazonaws.com"
)

func TestDNS01_OnlyRecursiveQueries(t *testing.T) {
	r, _ := book().ask(t, "vpc-book", message(t, "laptop", tA, func(m *dns.Msg) { m.RecursionDesired = false }))
	if r.Rcode != dns.RcodeRefused || !r.RecursionAvailable || r.RecursionDesired {
		t.Errorf("a query without RD is answered %v", r)
	}
}

func TestDNS05_PrivateNames(t *testing.T) {
	l := book()
	i := *l.Instances.Get("i-db")
	i.EnableResourceNameDnsARecord = false
	l.Instances.Put(i.ID, &i)
	l.check(t, []question{
		{"vpc-book", "ip-172-30-0-10" + region, tA, "172.30.0.10"},
		{"vpc-book", "IP-172-30-0-10.Ap-NorthEast-1.compute.INTERNAL", tA, "172.30.0.10"},
		{"vpc-book", "ip-172-30-0-10" + region, tANY, "172.30.0.10"},
		{"vpc-book", "ip-172-30-0-10" + region, tAAAA, "NODATA"},
		{"vpc-book", "ip-172-30-0-10" + region, tMX, "NODATA"},
		{"vpc-book", "ip-172-30-0-11" + region, tA, "NXDOMAIN"},
		{"vpc-book", "ip-172-30-0-010" + region, tA, "NXDOMAIN"},
		{"vpc-book", "ip-172-30-0-10-1" + region, tA, "NXDOMAIN"},
		{"vpc-book", "ip-172-30-0-+10" + region, tA, "NXDOMAIN"},
		{"vpc-book", "www.ip-172-30-0-10" + region, tA, "NXDOMAIN"},
		{"vpc-book", "ip-172-30-0-10.ec2.internal", tA, "NXDOMAIN"}, // another Region's
		{"vpc-book", "i-web" + region, tA, "172.30.0.10"},
		{"vpc-book", "i-db" + region, tA, "NXDOMAIN"}, // EnableResourceNameDnsARecord is off
		{"vpc-book", "ip-172-30-1-20" + region, tA, "172.30.1.20"},
		{"vpc-book", "i-none" + region, tA, "NXDOMAIN"},
	})
	l.move("us-east-1")
	l.check(t, []question{
		{"vpc-book", "ip-172-30-0-10.ec2.internal", tA, "172.30.0.10"},
		{"vpc-book", "i-web.ec2.internal", tA, "172.30.0.10"},
		{"vpc-book", "ip-172-30-0-10" + region, tA, "NXDOMAIN"},
	})
}

func TestDNS06_SplitHorizon(t *testing.T) {
	l := book()
	for _, region := range []struct{ name, domain string }{{"ap-northeast-1", public}, {"us-east-1", ".compute-1.amazonaws.com"}} {
		l.move(region.name)
		l.check(t, []question{
			{"vpc-book", "ec2-203-0-113-10" + region.domain, tA, "172.30.0.10"},
			{"vpc-other", "ec2-203-0-113-10" + region.domain, tA, "203.0.113.10"},
			{"", "ec2-203-0-113-10" + region.domain, tA, "203.0.113.10"},
			{"", "EC2-203-0-113-10" + region.domain, tA, "203.0.113.10"},
			{"", "ec2-203-0-113-10" + region.domain, tAAAA, "NODATA"},
			{"vpc-book", "ec2-203-0-113-99" + region.domain, tA, "NXDOMAIN"},
			{"", "ec2-203-0-113-10.eu-west-1.compute.amazonaws.com", tA, "NXDOMAIN"},
		})
	}
}

func TestDNS06_SecondaryAddressAndElasticIP(t *testing.T) {
	l := book()
	l.Addresses.Put("eipalloc-1", &vpc.Address{AllocationID: "eipalloc-1", PublicIp: netip.MustParseAddr("203.0.113.77")})
	for _, e := range l.NetworkInterfaces.All() {
		if e.Primary() == netip.MustParseAddr("172.30.1.20") {
			c := *e
			c.PrivateIps = append(c.PrivateIps[:1:1], vpc.PrivateAddress{PrivateIp: netip.MustParseAddr("172.30.1.21"), AllocationID: "eipalloc-1"})
			l.NetworkInterfaces.Put(c.ID, &c)
		}
	}
	l.check(t, []question{
		{"vpc-book", "ec2-203-0-113-77" + public, tA, "172.30.1.21"},
		{"", "ec2-203-0-113-77" + public, tA, "203.0.113.77"},
		{"", "77.113.0.203.in-addr.arpa", tPTR, "ec2-203-0-113-77" + public + "."},
		{"vpc-book", "21.1.30.172.in-addr.arpa", tPTR, "ip-172-30-1-21" + region + "."},
	})
}

func TestDNS07_NoNamesUnlessBothAttributesAreOn(t *testing.T) {
	l := book()
	l.set("vpc-book", true, false)
	l.check(t, []question{
		{"vpc-book", "ip-172-30-0-10" + region, tA, "NXDOMAIN"},
		{"vpc-book", "i-web" + region, tA, "NXDOMAIN"},
		{"vpc-book", "ip-10-0-5-7" + region, tA, "NXDOMAIN"},
		{"vpc-book", "10.0.30.172.in-addr.arpa", tPTR, "NXDOMAIN"},
		{"vpc-book", "ec2-203-0-113-10" + public, tA, "NXDOMAIN"},
		{"", "ec2-203-0-113-10" + public, tA, "NXDOMAIN"},
		{"", "10.113.0.203.in-addr.arpa", tPTR, "NXDOMAIN"},
		{"vpc-other", "ip-172-30-0-10" + region, tA, "NXDOMAIN"}, // the interface has no name, wherever one asks
		{"vpc-book", "ec2-203-0-113-20" + public, tA, "203.0.113.20"},
		{"vpc-book", "laptop", tA, "198.51.100.1"},
		{"vpc-book", "localhost", tA, "127.0.0.1"},
	})
}

// Private names of other VPCs resolve where the address is RFC 1918's and is not in
// one of the asker's own ranges, in which it means something else.
func TestDNS08_NamesOfOtherVPCs(t *testing.T) {
	l := book()
	l.vpc("vpc-shared", "100.64.0.0/16")
	l.instance("vpc-shared", "i-shared", "100.64.0.5", "")
	l.check(t, []question{
		{"vpc-book", "ip-10-0-5-7" + region, tA, "10.0.5.7"},
		{"vpc-book", "i-other" + region, tA, "10.0.5.7"},
		{"vpc-book", "7.5.0.10.in-addr.arpa", tPTR, "ip-10-0-5-7" + region + "."},
		{"vpc-other", "ip-172-30-0-10" + region, tA, "172.30.0.10"},
		{"vpc-other", "i-twin" + region, tA, "172.30.0.99"},

		{"vpc-book", "ip-172-30-0-99" + region, tA, "NXDOMAIN"}, // vpc-twin's
		{"vpc-book", "i-twin" + region, tA, "NXDOMAIN"},
		{"vpc-book", "99.0.30.172.in-addr.arpa", tPTR, "NXDOMAIN"},
		{"vpc-twin", "ip-172-30-0-10" + region, tA, "NXDOMAIN"},
		{"vpc-twin", "ip-172-30-0-99" + region, tA, "172.30.0.99"},

		{"vpc-shared", "ip-100-64-0-5" + region, tA, "100.64.0.5"},
		{"vpc-shared", "5.0.64.100.in-addr.arpa", tPTR, "ip-100-64-0-5" + region + "."},
		{"vpc-book", "ip-100-64-0-5" + region, tA, "NXDOMAIN"},
		{"vpc-book", "5.0.64.100.in-addr.arpa", tPTR, "NXDOMAIN"},

		{"", "ip-172-30-0-10" + region, tA, "NXDOMAIN"},
		{"", "10.0.30.172.in-addr.arpa", tPTR, "NXDOMAIN"},
		{"", "i-web" + region, tA, "NXDOMAIN"},
	})
}

// Private names are those of a Region; public names resolve from all of them.
func TestDNS05_DNS06_DNS08_SeveralRegions(t *testing.T) {
	const virginia, ireland = ".ec2.internal", ".eu-west-1.compute.internal"
	l := book() // the home Region: vpc-book and vpc-twin
	l.vpc("vpc-east", "10.7.0.0/16")
	l.instance("vpc-east", "i-east", "10.7.0.5", "203.0.113.77")
	l.moveVpc("vpc-other", "eu-west-1")
	l.moveVpc("vpc-east", "us-east-1")
	l.check(t, []question{
		{"vpc-east", "ip-10-7-0-5" + virginia, tA, "10.7.0.5"},
		{"vpc-east", "i-east" + virginia, tA, "10.7.0.5"},
		{"vpc-east", "5.0.7.10.in-addr.arpa", tPTR, "ip-10-7-0-5" + virginia + "."},
		{"vpc-other", "ip-10-0-5-7" + ireland, tA, "10.0.5.7"},
		{"vpc-other", "i-other" + ireland, tA, "10.0.5.7"},
		{"vpc-book", "i-web" + region, tA, "172.30.0.10"},

		{"vpc-east", "ip-10-7-0-5" + region, tA, "NXDOMAIN"},
		{"vpc-east", "ip-10-0-5-7" + ireland, tA, "NXDOMAIN"},
		{"vpc-east", "ip-10-0-5-7" + virginia, tA, "NXDOMAIN"},
		{"vpc-east", "i-other" + virginia, tA, "NXDOMAIN"},
		{"vpc-east", "7.5.0.10.in-addr.arpa", tPTR, "NXDOMAIN"},
		{"vpc-book", "ip-10-0-5-7" + region, tA, "NXDOMAIN"},
		{"vpc-book", "7.5.0.10.in-addr.arpa", tPTR, "NXDOMAIN"},

		{"vpc-book", "ec2-203-0-113-77.compute-1.amazonaws.com", tA, "203.0.113.77"},
		{"vpc-east", "ec2-203-0-113-77.compute-1.amazonaws.com", tA, "10.7.0.5"},
		{"", "ec2-203-0-113-77.compute-1.amazonaws.com", tA, "203.0.113.77"},
		{"vpc-east", "ec2-203-0-113-10.ap-northeast-1.compute.amazonaws.com", tA, "203.0.113.10"},
		{"vpc-east", "ec2-203-0-113-20.eu-west-1.compute.amazonaws.com", tA, "203.0.113.20"},
		{"vpc-east", "20.113.0.203.in-addr.arpa", tPTR, "ec2-203-0-113-20.eu-west-1.compute.amazonaws.com."},
		{"vpc-east", "ec2-203-0-113-20.ap-northeast-1.compute.amazonaws.com", tA, "NXDOMAIN"},
		{"vpc-east", "ec2-203-0-113-20.sa-east-1.compute.amazonaws.com", tA, "NXDOMAIN"},
		{"vpc-east", "eu-west-1.compute.amazonaws.com", tA, "NODATA"},
	})
}

func TestDNS09_ReverseAndNegativeAnswers(t *testing.T) {
	l := book()
	l.check(t, []question{
		{"vpc-book", "10.0.30.172.in-addr.arpa", tPTR, "ip-172-30-0-10" + region + "."},
		{"vpc-book", "10.0.30.172.in-addr.arpa", tA, "NODATA"},
		{"vpc-book", "11.0.30.172.in-addr.arpa", tPTR, "NXDOMAIN"},
		{"vpc-book", "x.10.0.30.172.in-addr.arpa", tPTR, "NXDOMAIN"},
		{"vpc-book", "010.0.30.172.in-addr.arpa", tPTR, "NXDOMAIN"},
		// Nodes with something below them exist (RFC 8020).
		{"vpc-book", "0.30.172.in-addr.arpa", tPTR, "NODATA"},
		{"vpc-book", "2.30.172.in-addr.arpa", tPTR, "NXDOMAIN"},
		{"vpc-book", "30.172.in-addr.arpa", tPTR, "NODATA"},
		{"vpc-book", "172.in-addr.arpa", tPTR, "NODATA"},
		{"vpc-book", "0.10.in-addr.arpa", tPTR, "NODATA"},
		{"vpc-book", "1.10.in-addr.arpa", tPTR, "NXDOMAIN"},
		{"vpc-book", "in-addr.arpa", tPTR, "NODATA"},
		{"vpc-book", "ap-northeast-1.compute.internal", tA, "NODATA"},
		{"vpc-book", "compute.internal", tA, "NODATA"},
		{"vpc-book", "compute.amazonaws.com", tA, "NODATA"},
		{"vpc-book", "1.0.0.127.in-addr.arpa", tPTR, "localhost."},
		{"", "10.113.0.203.in-addr.arpa", tPTR, "ec2-203-0-113-10" + public + "."},
		{"vpc-book", "10.113.0.203.in-addr.arpa", tPTR, "ec2-203-0-113-10" + public + "."},
		{"", "1.100.51.198.in-addr.arpa", tPTR, "laptop.internet."},
		{"", "2.100.51.198.in-addr.arpa", tPTR, "www.example.com."},
		{"", "3.100.51.198.in-addr.arpa", tPTR, "NXDOMAIN"},
	})
	for name, zone := range map[string]string{
		"ip-172-30-0-11" + region:   "ap-northeast-1.compute.internal.",
		"11.0.30.172.in-addr.arpa":  "30.172.in-addr.arpa.",
		"1.10.in-addr.arpa":         "10.in-addr.arpa.",
		"ec2-203-0-113-99" + public: "ap-northeast-1.compute.amazonaws.com.",
		"nobody.internet":           "internet.",
		"example.net":               ".",
	} {
		r, _ := l.ask(t, "vpc-book", message(t, name, tA))
		if len(r.Ns) != 1 {
			t.Errorf("%s: no SOA in %v", name, r)
			continue
		}
		soa, ok := r.Ns[0].(*dns.SOA)
		if !ok || soa.Hdr.Name != zone || soa.Hdr.Ttl != TTL || soa.Minttl != TTL || r.Rcode != dns.RcodeNameError {
			t.Errorf("%s: %v, want NXDOMAIN by %s for %d s", name, r, zone, TTL)
		}
		if r, _ := l.ask(t, "vpc-book", message(t, zone, tSOA)); len(r.Answer) != 1 || r.Answer[0].Header().Name != zone {
			t.Errorf("%s: the zone's own SOA is %v", zone, r)
		}
	}
	if r, _ := l.ask(t, "vpc-book", message(t, "laptop", tA)); r.Answer[0].Header().Ttl != TTL {
		t.Errorf("time to live of %v", r.Answer[0])
	}
}

// An address that a hidden VPC has makes no node in the reverse tree exist.
func TestDNS08_HiddenNamesMakeNoNodes(t *testing.T) {
	l := newLab()
	l.vpc("vpc-mine", "10.1.2.0/24", "10.1.4.0/24")
	l.instance("vpc-mine", "i-mine", "10.1.4.4", "")
	l.vpc("vpc-yours", "10.1.0.0/16")
	for _, a := range []string{"10.1.2.3", "10.1.2.200", "10.1.3.3", "10.1.4.200"} {
		l.instance("vpc-yours", vpc.InstanceID("i-"+a), a, "")
	}
	l.check(t, []question{
		{"vpc-mine", "2.1.10.in-addr.arpa", tPTR, "NXDOMAIN"},
		{"vpc-mine", "3.1.10.in-addr.arpa", tPTR, "NODATA"},
		{"vpc-mine", "4.1.10.in-addr.arpa", tPTR, "NODATA"},
		{"vpc-mine", "5.1.10.in-addr.arpa", tPTR, "NXDOMAIN"},
		{"vpc-mine", "1.10.in-addr.arpa", tPTR, "NODATA"},
		{"vpc-yours", "2.1.10.in-addr.arpa", tPTR, "NODATA"},
	})
}

func TestInternetHosts(t *testing.T) {
	l := book()
	l.host("twice", "198.51.100.7", "www.example.com")
	for _, from := range []vpc.VpcID{"", "vpc-book"} {
		l.check(t, []question{
			{from, "laptop", tA, "198.51.100.1"},
			{from, "LapTop.Internet", tA, "198.51.100.1"},
			{from, "laptop", tAAAA, "NODATA"},
			{from, "example.org", tA, "198.51.100.2"},
			{from, "www.example.com", tA, "198.51.100.2 198.51.100.7"},
			{from, "ftp.example.com", tA, "NXDOMAIN"},
			{from, "example.com", tA, "NODATA"},
			{from, "com", tA, "NODATA"},
			{from, "a.laptop", tA, "NXDOMAIN"},
			{from, "nobody.internet", tA, "NXDOMAIN"},
			{from, "resolver.internet", tA, "192.0.2.53"},
			{from, "nobody", tA, "NXDOMAIN"},
			{from, ".", tNS, "resolver.internet."},
			{from, ".", tA, "NODATA"},
		})
	}
	h := *l.InternetHosts.Get("host-laptop")
	h.State = vpc.StateShuttingDown
	l.InternetHosts.Put(h.ID, &h)
	l.check(t, []question{{"", "laptop", tA, "NXDOMAIN"}})
}

func TestSpecialNames(t *testing.T) {
	l := book()
	l.Outside.Uplink = "host"
	l.check(t, []question{
		{"vpc-book", "localhost", tA, "127.0.0.1"},
		{"vpc-book", "a.localhost", tAAAA, "::1"},
		{"vpc-book", "localhost", tMX, "NODATA"},
		{"vpc-book", "a.invalid", tA, "NXDOMAIN"},
		{"vpc-book", "a.test", tA, "NXDOMAIN"},
		{"vpc-book", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa", tPTR, "localhost."},
	})
}

// What is forwarded is what belongs to nobody here: never a name that would tell
// the outside about the lab, or whose answer could not be true.
func TestForwarded(t *testing.T) {
	l := book()
	l.Outside.Uplink = "host"
	for _, from := range []vpc.VpcID{"", "vpc-book"} {
		for _, name := range []string{"example.net", "ftp.example.com", "example.com", ".", "com", "deb.debian.org", "8.8.8.8.in-addr.arpa", "in-addr.arpa",
			"ec2-54-1-2-3" + public, "ec2-54-1-2-3.eu-west-1.compute.amazonaws.com", "s3.amazonaws.com", "internal", "8.b.d.0.1.0.0.2.ip6.arpa", "db"} {
			if got := l.dig(t, from, name, tA); got != "FORWARDED" {
				t.Errorf("from %q: %s is %s, want it forwarded", from, name, got)
			}
		}
		for _, name := range []string{"ip-172-30-0-77" + region, "ip-10-9-9-9.ec2.internal", "x.eu-west-1.compute.internal", "compute.internal", "ec2.internal", "ec2-203-0-113-99" + public,
			"ec2-203-0-113-99.eu-west-1.compute.amazonaws.com", "9.9.9.10.in-addr.arpa", "1.16.172.in-addr.arpa", "9.1.168.192.in-addr.arpa", "5.0.64.100.in-addr.arpa",
			"254.169.254.169.in-addr.arpa", "99.113.0.203.in-addr.arpa", "www.example.com", "laptop", "nobody.internet", "nobody.localhost", "1.d.f.ip6.arpa"} {
			if got := l.dig(t, from, name, tMX); got == "FORWARDED" {
				t.Errorf("from %q: %s is forwarded", from, name)
			}
		}
	}
}
