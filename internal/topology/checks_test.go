package topology

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// checksHead is a topology that checks can be added to.
const checksHead = `version: 1
name: lab
default_vpc: false
vpcs: {main: {cidr_block: 10.0.0.0/16}}
subnets: {a: {vpc: main, cidr_block: 10.0.0.0/24}}
internet_gateways: {igw: {vpc: main}}
elastic_ips: {out: {}, site: {network_interface: second}}
nat_gateways: {nat: {subnet: a, elastic_ip: out}}
network_interfaces: {second: {subnet: a, attachment: {instance: web}}}
instances: {web: {subnet: a}, db: {subnet: a}}
internet_hosts: {laptop: {}}
checks:
`

func parseChecks(t *testing.T, lines ...string) []vpc.Expectation {
	t.Helper()
	f, err := Parse("lab.yaml", []byte(checksHead+"  - "+strings.Join(lines, "\n  - ")+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return f.Expectations()
}

func end(name string) vpc.ExpectedEnd { return vpc.ExpectedEnd{Name: name} }

func publicOf(name string) vpc.ExpectedEnd {
	return vpc.ExpectedEnd{Name: name, Address: vpc.ExpectPublic}
}

func TestSentences(t *testing.T) {
	web, db, laptop := end("web"), end("db"), end("laptop")
	nat, site := publicOf("nat"), vpc.ExpectedEnd{Name: "site", Address: vpc.ExpectElastic}
	cases := []struct {
		text string
		want vpc.Expectation
	}{
		{"laptop reaches web on tcp 22", vpc.Expectation{From: laptop, To: web, Verb: vpc.Reaches, Protocol: "tcp", Port: 22}},
		{"laptop REACHES web on TCP/ssh", vpc.Expectation{From: laptop, To: web, Verb: vpc.Reaches, Protocol: "tcp", Port: 22}},
		{"web reaches db on udp port 53", vpc.Expectation{From: web, To: db, Verb: vpc.Reaches, Protocol: "udp", Port: 53}},
		{"web reaches db on icmp", vpc.Expectation{From: web, To: db, Verb: vpc.Reaches, Protocol: "icmp"}},
		{"laptop does not reach db on tcp 22, because SUBNET_ACL_RESTRICTION", vpc.Expectation{From: laptop, To: db, Verb: vpc.Unreached, Protocol: "tcp", Port: 22, Because: "SUBNET_ACL_RESTRICTION"}},
		{"laptop cannot reach 10.9.9.9 on icmp because of no_route_to_destination", vpc.Expectation{From: laptop, To: end("10.9.9.9"), Verb: vpc.Unreached, Protocol: "icmp", Because: "NO_ROUTE_TO_DESTINATION"}},
		{"db reaches laptop on tcp 80, seen as 203.0.113.4, by way of nat and igw",
			vpc.Expectation{From: db, To: laptop, Verb: vpc.Reaches, Protocol: "tcp", Port: 80, SeenAs: ptr(end("203.0.113.4")), ByWayOf: []string{"nat", "igw"}}},
		{"db reaches laptop on tcp 80 by way of nat, igw, seen as the Elastic IP of nat",
			vpc.Expectation{From: db, To: laptop, Verb: vpc.Reaches, Protocol: "tcp", Port: 80, SeenAs: &nat, ByWayOf: []string{"nat", "igw"}}},
		{"second reaches laptop on tcp 80, seen as site", vpc.Expectation{From: end("second"), To: laptop, Verb: vpc.Reaches, Protocol: "tcp", Port: 80, SeenAs: &site}},
		{"laptop reaches the Elastic IP site on tcp 80", vpc.Expectation{From: laptop, To: site, Verb: vpc.Reaches, Protocol: "tcp", Port: 80}},
		{"db reaches the public address of web on tcp 80", vpc.Expectation{From: db, To: publicOf("web"), Verb: vpc.Reaches, Protocol: "tcp", Port: 80}},
		{"web connects to db on tcp mysql within 1 minute", vpc.Expectation{From: web, To: db, Verb: vpc.Connects, Protocol: "tcp", Port: 3306, Within: time.Minute}},
		{"Internet does not reach db on tcp 22", vpc.Expectation{From: end("Internet"), To: db, Verb: vpc.Unreached, Protocol: "tcp", Port: 22}},
		{"{from: web, to: db, port: ssh}", vpc.Expectation{From: web, To: db, Verb: vpc.Reaches, Protocol: "tcp", Port: 22}},
		{"{from: web, to: db, name: ping}", vpc.Expectation{Name: "ping", From: web, To: db, Verb: vpc.Reaches, Protocol: "icmp"}},
		{"{from: web, to: db, protocol: udp, port: 53, reaches: false, because: NO_ROUTE_TO_DESTINATION}",
			vpc.Expectation{From: web, To: db, Verb: vpc.Unreached, Protocol: "udp", Port: 53, Because: "NO_ROUTE_TO_DESTINATION"}},
		{"{from: db, to: the public address of web, port: 80, connects: true, seen_as: out, by_way_of: [nat, web], within: 2}",
			vpc.Expectation{From: db, To: publicOf("web"), Verb: vpc.Connects, Protocol: "tcp", Port: 80, SeenAs: &vpc.ExpectedEnd{Name: "out", Address: vpc.ExpectElastic},
				ByWayOf: []string{"nat", "web"}, Within: 2 * time.Second}},
	}
	for _, c := range cases {
		got := parseChecks(t, c.text)
		if said := got[0].Said; said != "" && said != c.text || got[0].Title() == "" {
			t.Errorf("%s: said %q, title %q", c.text, said, got[0].Title())
		}
		got[0].Said = ""
		if diff := cmp.Diff([]vpc.Expectation{c.want}, got); diff != "" {
			t.Errorf("%s:\n%s", c.text, diff)
			continue
		}
		// What a result shows can be put into a file again.
		got[0].Name = ""
		again := parseChecks(t, got[0].String())
		if again[0].Said = ""; cmp.Diff(got, again) != "" {
			t.Errorf("%s: read again:\n%s", got[0], cmp.Diff(got, again))
		}
	}
}

func ptr[T any](v T) *T { return &v }

func TestModelRemembersChecks(t *testing.T) {
	f, err := Parse("lab.yaml", []byte(checksHead+"  - laptop reaches web on tcp 22\n"))
	if err != nil {
		t.Fatal(err)
	}
	m, _, _, err := f.Converge(nil, now, Options{})
	if err != nil || cmp.Diff(f.Expectations(), m.Expectations) != "" {
		t.Fatalf("%v, %v", m.Expectations, err)
	}
	f.Checks.V = nil
	m, changes, _, err := f.Converge(&m, now, Options{})
	if err != nil || len(m.Expectations) != 0 || len(changes) != 0 {
		t.Fatalf("without checks: %v, %v, %v", m.Expectations, changes, err)
	}
}

// TestDropReasons: the data plane's, by its own list.
func TestDropReasons(t *testing.T) {
	var want []string
	for _, r := range dataplane.Reasons() {
		if r.Dropped() {
			want = append(want, r.Name())
		}
	}
	if diff := cmp.Diff(want, dropReasons); diff != "" {
		t.Error(diff)
	}
}

func FuzzSentence(f *testing.F) {
	for _, text := range []string{"a reaches b on tcp 22", "a does not reach b on udp/53, because X, within 3 s",
		"the public address of a connects to Elastic IP b on tcp ssh, seen as the Elastic IP of c, by way of d, e and f", ",", "a reaches , on"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := sentence{words: splitWords(text)}
		s.parse()
		if s.wrong != "" {
			return
		}
		var c Check
		s.fill(&c, 1)
		e := c.expectation()
		again := sentence{words: splitWords(e.String())}
		again.parse()
		if again.wrong != "" {
			t.Fatalf("%q became %q: %s", text, e, again.wrong)
		}
		var d Check
		again.fill(&d, 1)
		if diff := cmp.Diff(fmt.Sprintf("%+v", e), fmt.Sprintf("%+v", d.expectation())); diff != "" && e.SeenAs == nil {
			t.Fatalf("%q became %q: %s", text, e, diff)
		}
	})
}
