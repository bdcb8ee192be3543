package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// namesLab has an instance with a public address and one without, a VPC with the same
// range, one with another, and two hosts outside, one of them on Ethernet.
const namesLab = `
version: 1
region: ap-northeast-1
default_vpc: false
vpcs:
  book: {cidr_block: 172.30.0.0/16, enable_dns_hostnames: true}
  twin: {cidr_block: 172.30.0.0/16, enable_dns_hostnames: true}
  other: {cidr_block: 10.0.0.0/16, enable_dns_hostnames: true}
subnets:
  public: {vpc: book, cidr_block: 172.30.0.0/24}
  private: {vpc: book, cidr_block: 172.30.1.0/24, enable_resource_name_dns_a_record_on_launch: true, private_dns_hostname_type_on_launch: resource-name}
  twin: {vpc: twin, cidr_block: 172.30.0.0/24, enable_resource_name_dns_a_record_on_launch: true}
  other: {vpc: other, cidr_block: 10.0.0.0/24, map_public_ip_on_launch: true}
internet_gateways:
  book: {vpc: book}
  other: {vpc: other}
elastic_ips:
  web: {address: 203.0.113.10, instance: web}
route_tables:
  public: {vpc: book, subnets: [public], routes: [{cidr_block: 0.0.0.0/0, gateway: book}]}
  other: {vpc: other, subnets: [other], routes: [{cidr_block: 0.0.0.0/0, gateway: other}]}
security_groups:
  web: {vpc: book, ingress: [{port: 8000, cidr_blocks: [0.0.0.0/0]}]}
  none: {vpc: book, ingress: [], egress: []}
network_acls:
  closed: {vpc: book, subnets: [private]}
instances:
  web: {subnet: public, private_ip: 172.30.0.10, security_groups: [web]}
  db: {subnet: private, private_ip: 172.30.1.20, link_type: tap, security_groups: [none]}
  twin: {subnet: twin, private_ip: 172.30.0.99}
  other: {subnet: other, private_ip: 10.0.0.7}
internet_hosts:
  laptop: {address: 198.51.100.1}
  server: {address: 198.51.100.2, link_type: tap, dns_names: [www.example.com, example.org]}
`

// dig is what `dig +short` says, lines joined by blanks; status tells of an answer without records.
func (l *lab) dig(from, args string) string {
	l.t.Helper()
	if out := strings.Join(strings.Fields(l.in(from, "dig +short +time=5 +tries=1 "+args)), " "); out != "" {
		return out
	}
	for line := range strings.Lines(l.in(from, "dig +time=5 +tries=1 "+args)) {
		if _, status, ok := strings.Cut(line, "status: "); ok {
			status, _, _ = strings.Cut(status, ",")
			return status
		}
	}
	return "no answer"
}

// asked checks what dig says from machines of the lab: from, arguments, what is wanted.
func (l *lab) asked(rows [][3]string) {
	l.t.Helper()
	for _, r := range rows {
		if got := l.dig(r[0], r[1]); got != r[2] {
			l.t.Errorf("%s: dig %s is %q, want %q", r[0], r[1], got, r[2])
		}
	}
}

const (
	privateZone = ".ap-northeast-1.compute.internal"
	publicZone  = ".ap-northeast-1.compute.amazonaws.com"
)

func TestDNS05_NamesAsDigSeesThem(t *testing.T) {
	t.Parallel()
	l := up(t, namesLab)
	db, twin := l.machine("db").ID, l.machine("twin").ID
	public := l.publicOf("other")
	dashed := strings.ReplaceAll(public, ".", "-")
	// DNS-01, DNS-03: at both addresses, whatever group and ACL say, over UDP and TCP.
	for _, at := range []string{"@172.30.0.2", "@169.254.169.253", "", "@172.30.0.2 +tcp", "@169.254.169.253 +tcp +bufsize=4096", "@172.30.0.2 +noedns"} {
		for _, from := range []string{"web", "db"} {
			l.asked([][3]string{{from, at + " ip-172-30-0-10" + privateZone, "172.30.0.10"}})
		}
	}
	l.asked([][3]string{
		{"web", db + privateZone, "172.30.1.20"}, // its subnet says that resource names answer
		{"web", l.machine("web").ID + privateZone, "NXDOMAIN"},
		{"web", "-x 172.30.0.10", "ip-172-30-0-10" + privateZone + "."},
		{"web", "-x 172.30.1.20", "ip-172-30-1-20" + privateZone + "."}, // the IP name, also of an instance named by its ID
		{"web", "-x 172.30.0.11", "NXDOMAIN"},
		{"web", "AAAA ip-172-30-0-10" + privateZone, "NOERROR"},
		{"web", "+search ip-172-30-1-20", "172.30.1.20"}, // the search domain of the lease
		{"web", "no.such.example", "NXDOMAIN"},

		// DNS-06: the split horizon.
		{"web", "ec2-203-0-113-10" + publicZone, "172.30.0.10"},
		{"other", "ec2-203-0-113-10" + publicZone, "203.0.113.10"},
		{"laptop", "ec2-203-0-113-10" + publicZone, "203.0.113.10"},
		{"other", "ec2-" + dashed + publicZone, "10.0.0.7"},
		{"web", "ec2-" + dashed + publicZone, public},
		{"laptop", "-x 203.0.113.10", "ec2-203-0-113-10" + publicZone + "."},

		// DNS-08: other VPCs' private names, but not those of a VPC with the same range.
		{"web", "ip-10-0-0-7" + privateZone, "10.0.0.7"},
		{"other", "ip-172-30-0-10" + privateZone, "172.30.0.10"},
		{"web", "ip-172-30-0-99" + privateZone, "NXDOMAIN"},
		{"web", twin + privateZone, "NXDOMAIN"},
		{"web", "-x 172.30.0.99", "NXDOMAIN"},
		{"twin", "ip-172-30-0-99" + privateZone, "172.30.0.99"},
		{"twin", "ip-172-30-0-10" + privateZone, "NXDOMAIN"},
		{"laptop", "ip-172-30-0-10" + privateZone, "NXDOMAIN"},

		// Hosts on the Internet, from a TUN and a TAP, and the Internet's resolver from a VPC.
		{"web", "www.example.com", "198.51.100.2"},
		{"laptop", "example.org", "198.51.100.2"},
		{"server", "laptop.internet", "198.51.100.1"},
		{"server", "+tcp -x 198.51.100.2", "www.example.com."},
		{"web", "@192.0.2.53 laptop", "198.51.100.1"},
		{"web", "@192.0.2.53 ip-172-30-0-10" + privateZone, "NXDOMAIN"},

		{"web", "@172.30.0.2 CH TXT version.bind", "REFUSED"},
		{"web", "+norecurse laptop", "REFUSED"},
	})
	if out, _, _ := l.tryIn("web", "dig @172.30.0.2 AXFR "+privateZone[1:]); !strings.Contains(out, "Transfer failed") {
		t.Errorf("zone transfer: %s", out)
	}
	equal(t, "resolv.conf of laptop", l.in("laptop", "grep -v '^#' /etc/resolv.conf"), "nameserver 192.0.2.53\n")
	equal(t, "host name of db", l.in("db", "hostname"), db+"\n")

	// Programs find one another by name.
	l.serve("web", "TCP-LISTEN:8000,fork", "'SYSTEM:echo hello'")
	eventually(t, "by name", func() error {
		out, errs, status := l.tryIn("laptop", "nc -w 5 ec2-203-0-113-10"+publicZone+" 8000 </dev/null")
		if status != 0 || out != "hello\n" {
			return fmt.Errorf("status %d, %q, %q", status, out, errs)
		}
		return nil
	})
	if got := strings.Fields(l.in("web", "getent hosts www.example.com"))[0]; got != "198.51.100.2" {
		t.Errorf("getent: %s", got)
	}
}

// The resolver's attributes and the model change while instances run.
func TestDNS07_AttributesChangeAtRunTime(t *testing.T) {
	t.Parallel()
	l := up(t, namesLab)
	name, public := "ip-172-30-0-10"+privateZone, "ec2-203-0-113-10"+publicZone
	l.ec2("modify-vpc-attribute --vpc-id book --no-enable-dns-hostnames")
	l.asked([][3]string{{"web", name, "NXDOMAIN"}, {"laptop", public, "NXDOMAIN"}, {"web", "laptop", "198.51.100.1"}, {"web", "-x 172.30.0.10", "NXDOMAIN"}, {"other", name, "NXDOMAIN"}})

	// DNS-04: the resolver is silent at every address.
	l.ec2("modify-vpc-attribute --vpc-id book --no-enable-dns-support")
	for _, at := range []string{"@172.30.0.2", "@169.254.169.253", "@172.30.0.2 +tcp"} {
		if out, _, status := l.tryIn("web", "dig +time=1 +tries=1 "+at+" laptop"); status == 0 {
			t.Errorf("dig %s without DNS support: %s", at, out)
		}
	}
	l.ec2Fails("InvalidParameterValue", "modify-vpc-attribute --vpc-id book --enable-dns-hostnames")
	l.ec2("modify-vpc-attribute --vpc-id book --enable-dns-support")
	l.ec2("modify-vpc-attribute --vpc-id book --enable-dns-hostnames")
	l.asked([][3]string{{"web", name, "172.30.0.10"}, {"laptop", public, "203.0.113.10"}})

	l.ec2("disassociate-address --public-ip 203.0.113.10")
	l.asked([][3]string{{"laptop", public, "NXDOMAIN"}, {"laptop", "-x 203.0.113.10", "NXDOMAIN"}})
	l.ec2("run-instances --wait --subnet-id public --private-ip-address 172.30.0.50 --private-dns-name-options HostnameType=resource-name,EnableResourceNameDnsARecord=true" + named("instance", "later"))
	id := l.machine("later").ID
	l.asked([][3]string{{"web", "ip-172-30-0-50" + privateZone, "172.30.0.50"}, {"web", id + privateZone, "172.30.0.50"}})
	l.ec2("modify-private-dns-name-options --instance-id later --no-enable-resource-name-dns-a-record")
	l.asked([][3]string{{"web", id + privateZone, "NXDOMAIN"}})
	l.cli("terminate", "later")
	eventually(t, "its name goes", func() error {
		if got := l.dig("web", "ip-172-30-0-50"+privateZone); got != "NXDOMAIN" {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
	l.write(strings.Replace(namesLab, "[www.example.com, example.org]", "[ftp.example.com]", 1))
	l.cli("up", l.file)
	l.asked([][3]string{{"web", "ftp.example.com", "198.51.100.2"}, {"web", "www.example.com", "NXDOMAIN"}, {"web", "example.com", "NOERROR"}})

	// A daemon that was killed comes back with the same names.
	daemons, _ := l.processes()
	l.kill(daemons...)
	l.cli("up", l.file)
	l.asked([][3]string{{"web", name, "172.30.0.10"}, {"laptop", "ftp.example.com", "198.51.100.2"}})
}

// A DHCP option set names other servers; what goes to them is ordinary traffic (EX-02).
func TestDH01_OtherNameServers(t *testing.T) {
	t.Parallel()
	const topology = `
version: 1
region: ap-northeast-1
default_vpc: false
dhcp_options:
  own: {domain_name: corp.example lab.example, domain_name_servers: [172.30.0.53]}
  mixed: {domain_name: corp.example, domain_name_servers: [AmazonProvidedDNS, 172.30.0.53]}
vpcs:
  book: {cidr_block: 172.30.0.0/16, enable_dns_hostnames: true, dhcp_options: own}
  other: {cidr_block: 10.0.0.0/16, dhcp_options: mixed}
  silent: {cidr_block: 10.1.0.0/16, dhcp_options: none}
subnets:
  servers: {vpc: book, cidr_block: 172.30.0.0/24}
  clients: {vpc: book, cidr_block: 172.30.1.0/24}
  other: {vpc: other, cidr_block: 10.0.0.0/24}
  silent: {vpc: silent, cidr_block: 10.1.0.0/24}
security_groups:
  dns: {vpc: book, ingress: [{protocol: udp, port: 53, security_groups: [client]}, {port: 53, security_groups: [client]}]}
  client: {vpc: book}
network_acls:
  clients:
    vpc: book
    subnets: [clients]
    ingress: [{rule_no: 100, action: allow, cidr_block: 0.0.0.0/0}]
    egress: [{rule_no: 100, action: allow, cidr_block: 0.0.0.0/0}]
instances:
  dns: {subnet: servers, private_ip: 172.30.0.53, security_groups: [dns]}
  client: {subnet: clients, security_groups: [client], link_type: tap}
  stranger: {subnet: servers}
  mixed: {subnet: other}
  silent: {subnet: silent}
`
	l := up(t, topology)
	for name, want := range map[string]string{
		"client": "search corp.example lab.example\nnameserver 172.30.0.53\n",
		"mixed":  "search corp.example\nnameserver 10.0.0.2\nnameserver 172.30.0.53\n",
		"silent": "",
	} {
		equal(t, "resolv.conf of "+name, l.in(name, "grep -v '^#' /etc/resolv.conf || true"), want)
	}
	l.start("dns", "exec dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root --bind-interfaces --listen-address=172.30.0.53 --local=/example/ --host-record=db.lab.example,172.30.1.77")
	eventually(t, "the instance's own server", func() error {
		if got := l.dig("client", "db.lab.example"); got != "172.30.1.77" {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
	if got := l.in("client", "getent hosts db"); !strings.HasPrefix(got, "172.30.1.77 ") { // by the second search domain
		t.Errorf("getent: %q", got)
	}
	l.asked([][3]string{{"client", "+tcp db.lab.example", "172.30.1.77"}, {"client", "@169.254.169.253 ip-172-30-0-53" + privateZone, "172.30.0.53"}})
	if out, _, status := l.tryIn("stranger", "dig +time=1 +tries=1 db.lab.example"); status == 0 {
		t.Errorf("the security group lets a stranger ask: %s", out)
	}
	l.dropped("ENI_SG_RULES_MISMATCH", "172.30.0.53")
	l.ec2("create-network-acl-entry --network-acl-id clients --egress --rule-number 50 --protocol udp --port-range From=53,To=53 --cidr-block 0.0.0.0/0 --rule-action deny")
	if out, _, status := l.tryIn("client", "dig +time=1 +tries=1 db.lab.example"); status == 0 {
		t.Errorf("the network ACL lets DNS out: %s", out)
	}
	l.asked([][3]string{{"client", "@169.254.169.253 ip-172-30-0-53" + privateZone, "172.30.0.53"}}) // EX-01
}

// What real NTP clients make of 169.254.169.123.
func TestTI01_ClientsAcceptTheTime(t *testing.T) {
	t.Parallel()
	l := up(t, namesLab)
	for _, name := range []string{"web", "db"} { // db may send nothing else, by its group and ACL
		out, errs, status := l.tryIn(name, "chronyd -Q -t 20 'server 169.254.169.123 iburst maxsamples 1' 'pidfile /run/q.pid'")
		if status != 0 || !strings.Contains(out+errs, "System clock wrong by") {
			t.Errorf("%s: chronyd: exit status %d\n%s%s", name, status, out, errs)
		}
		out, errs, status = l.tryIn(name, "ntpdig -t 5 169.254.169.123")
		if status != 0 || !strings.Contains(out, "169.254.169.123 s3 no-leap") {
			t.Errorf("%s: ntpdig: exit status %d\n%s%s", name, status, out, errs)
		}
	}
}
