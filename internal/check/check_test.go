package check

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/endpoint"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

var (
	reaches   = vpc.Expectation{From: vpc.ExpectedEnd{Name: "web"}, To: vpc.ExpectedEnd{Name: "db"}, Verb: vpc.Reaches, Protocol: "tcp", Port: 80}
	unreached = with(reaches, func(e *vpc.Expectation) { e.Verb = vpc.Unreached })
	connects  = with(reaches, func(e *vpc.Expectation) { e.Verb = vpc.Connects })
	because   = with(unreached, func(e *vpc.Expectation) { e.Because = "SUBNET_ACL_RESTRICTION" })

	acl = control.Object{Kind: "network acl", ID: "acl-1", Name: "private"}
	nat = control.Object{Kind: "nat gateway", ID: "nat-1", Name: "nat"}
	igw = control.Object{Kind: "internet gateway", ID: "igw-1", Name: "igw"}
)

func with[T any](v T, change func(*T)) T {
	change(&v)
	return v
}

func testEnds() *Ends {
	return &Ends{From: endpoint.End{Name: "web"}, To: endpoint.End{Name: "db"}}
}

// through is a trace of what gets there and back.
func through() *control.Trace {
	return &control.Trace{Reachable: true, Reason: "DELIVERED", SeenAs: "10.0.0.4", Via: []control.Object{nat, igw},
		Forward: &control.Path{Delivered: true, Hops: []control.Hop{{Stage: "deliver", Verdict: "deliver"}}},
		Return:  &control.Path{Delivered: true, Hops: []control.Hop{{Stage: "deliver", Verdict: "deliver"}}}}
}

// denied is a trace of what an ACL drops, on its way or on the way back.
func denied(back bool) *control.Trace {
	path := &control.Path{Reason: "SUBNET_ACL_RESTRICTION", Hops: []control.Hop{{Stage: "acl-ingress", Object: acl, RuleID: "*", Verdict: "drop"}}}
	t := &control.Trace{Reason: "SUBNET_ACL_RESTRICTION", Text: "denied", Decided: &acl, DecidedRule: "rule *", Forward: path}
	if back {
		t.Forward, t.Return = through().Forward, path
	}
	return t
}

// got are packets that got an answer, lost those that the ACL dropped.
func got() *control.Packets {
	return &control.Packets{Attempts: 1, Sent: true, Delivered: true, Answered: true, Answer: Connected, SeenAs: "10.0.0.4", Via: []control.Object{nat, igw}, Followed: true}
}

func lost(back bool) *control.Packets {
	return &control.Packets{Attempts: 1, Sent: true, Delivered: back, Reason: "SUBNET_ACL_RESTRICTION", Text: "denied", Back: back, Stage: "acl-ingress", Decided: &acl, RuleID: "*"}
}

func TestJudge(t *testing.T) {
	type change = func(*control.Packets)
	p := func(p *control.Packets, changes ...change) *control.Packets {
		for _, c := range changes {
			c(p)
		}
		return p
	}
	silent := p(got(), func(p *control.Packets) { p.Answered, p.Answer = false, "" })
	refused := p(got(), func(p *control.Packets) { p.Answer, p.Attempts = Refused, 7 })
	astray := with(through(), func(t **control.Trace) { (*t).Reachable, (*t).Reason = false, replyAstray })
	assumed := with(through(), func(t **control.Trace) {
		(*t).Via = []control.Object{{Kind: "interface", ID: "eni-nat"}}
		(*t).Forward.Hops = append([]control.Hop{{Stage: "deliver", Verdict: "pass", Object: control.Object{ID: "eni-nat", Name: "appliance"}}}, (*t).Forward.Hops...)
	})
	nobody := &control.Trace{Reason: noDestination, Text: "nobody", Forward: &control.Path{}}
	nowhere := &control.Trace{Reason: noHost, Text: "nowhere", Forward: &control.Path{}}
	for _, c := range []struct {
		name    string
		e       vpc.Expectation
		trace   *control.Trace
		packets *control.Packets
		bug     bool
		want    string // a part of the problems; "" for a pass
	}{
		{"reaches", reaches, through(), got(), false, ""},
		{"a refusal is an answer", reaches, through(), refused, false, ""},
		{"connects", connects, through(), got(), false, ""},
		{"nobody listens", connects, through(), refused, false, "no program listens on tcp 80 at db: the connection was refused, 7 times"},
		{"does not reach", unreached, denied(false), lost(false), false, ""},
		{"the answer does not come back", unreached, denied(true), lost(true), false, ""},
		{"the reason asked for", because, denied(true), lost(true), false, ""},
		{"another reason", with(because, func(e *vpc.Expectation) { e.Because = "SG_HAS_NO_RULES" }), denied(false), lost(false), false,
			"but not because of SG_HAS_NO_RULES: it is dropped by private (acl-1) (rule *): SUBNET_ACL_RESTRICTION"},
		{"should reach", reaches, denied(false), lost(false), false, "it is dropped by private (acl-1)"},
		{"should reach, and back", connects, denied(true), lost(true), false, "it arrives, and its answer is dropped by private"},
		{"should not reach", unreached, through(), got(), false, "it does reach db: the connection was accepted"},
		{"should not reach, refused", unreached, through(), refused, false, "it does reach db: its machine refused"},

		// The trace alone.
		{"traced", reaches, through(), nil, false, ""},
		{"traced, not", unreached, denied(false), nil, false, ""},
		{"traced, should", reaches, denied(false), nil, false, "it is dropped by private"},
		{"traced, should not", unreached, through(), nil, false, "it does reach db: nothing drops it"},

		// Every way in which the two answers may differ.
		{"only packets get through", reaches, denied(false), got(), true, "The trace says: it is dropped by private (acl-1) (rule *): SUBNET_ACL_RESTRICTION: denied. The packets: it got there, and an answer (connected) back"},
		{"only packets get through, unwanted", unreached, denied(true), got(), true, "contradict"},
		{"only the trace gets through", reaches, through(), lost(false), true, "The trace says: it gets there, and its answer back. The packets: it was dropped by private (acl-1): SUBNET_ACL_RESTRICTION: denied"},
		{"only the trace gets through, unwanted", unreached, through(), lost(false), true, "contradict"},
		{"other direction", unreached, denied(false), lost(true), true, "The packets: it arrived, and its answer was dropped"},
		{"other reason", unreached, denied(false), p(lost(false), func(p *control.Packets) { p.Reason = "SG_HAS_NO_RULES" }), true, "SG_HAS_NO_RULES"},
		{"other stage", unreached, denied(false), p(lost(false), func(p *control.Packets) { p.Stage = "acl-egress" }), true, "contradict"},
		{"other object", unreached, denied(false), p(lost(false), func(p *control.Packets) { p.Decided = &nat }), true, "nat-1"},
		{"other rule", unreached, denied(false), p(lost(false), func(p *control.Packets) { p.RuleID = "100" }), true, "contradict"},
		{"other source", reaches, through(), p(got(), func(p *control.Packets) { p.SeenAs = "10.0.0.9" }), true, "it arrived from 10.0.0.9"},
		{"other way", reaches, through(), p(got(), func(p *control.Packets) { p.Via = p.Via[:1] }), true, "it went by way of nat (nat-1)."},
		{"other way, as far as it was followed", reaches, through(), p(got(), func(p *control.Packets) { p.Via, p.Followed = nil, false }), false, ""},
		{"arrived where the trace does not", unreached, denied(false), silent, true, "it arrived"},

		// What is no matter of the network.
		{"its own firewall", reaches, through(), silent, false, "the network delivered it to db, and db did not answer: not a matter of the network"},
		{"the sender's firewall", reaches, through(), p(got(), func(p *control.Packets) { p.Answered, p.Returned = false, true }), false, "and the answer back to web, where no program got it: not a matter of the network"},
		{"its own firewall, unreached", unreached, through(), silent, false, "not a matter of the network"},
		{"its own firewall before the way back", unreached, denied(true), silent, false, "which did not answer, so that nothing shows"},
		{"an answer that is none", unreached, astray, silent, false, ""},
		{"an answer that is none, wanted", reaches, astray, silent, false, "did not answer"},
		{"never sent", reaches, through(), &control.Packets{}, false, "it never came into the network"},
		{"never sent, unreached", unreached, denied(false), &control.Packets{}, false, "it never came into the network"},
		{"nobody, by ARP", unreached, nobody, &control.Packets{ARP: true}, false, ""},
		{"nobody, by ARP, wanted", reaches, nobody, &control.Packets{ARP: true}, false, "it is dropped: NO_POSSIBLE_DESTINATION"},
		{"nowhere on the Internet, by ARP of an instance", unreached, nowhere, &control.Packets{ARP: true}, false, "it never came into the network"},
		{"ARP of another matter", unreached, denied(false), &control.Packets{ARP: true}, false, "it never came into the network"},
		{"not looked at", reaches, through(), &control.Packets{Skipped: 9}, false, "9 packets were not looked at"},
		{"no route", unreached, denied(false), &control.Packets{Error: "connect: network is unreachable"}, false, "the network had no part in it: connect"},
		{"swallowed", reaches, assumed, &control.Packets{Sent: true, Via: assumed.Via}, false, "was not passed on"},
		{"an appliance that does not forward", reaches, assumed, lost(false), false, "it was dropped by private"},
		{"an appliance that does something else", reaches, assumed, got(), false, ""},
	} {
		r := Judge(c.e, testEnds(), c.trace, c.packets)
		said := strings.Join(r.Problems, "\n")
		if r.Bug != c.bug || r.Pass != (c.want == "") || !strings.Contains(said, c.want) || r.Bug && r.Pass {
			t.Errorf("%s: pass %t, bug %t: %s", c.name, r.Pass, r.Bug, said)
		}
	}
}

// A host on the Internet asks by ARP for whatever it sends to (link_type tap), and nobody
// answers for what the Internet does not have.
func TestJudgeARPOfHost(t *testing.T) {
	x := testEnds()
	x.From.Host = &vpc.InternetHost{}
	trace := &control.Trace{Reason: noHost, Text: "nowhere", Forward: &control.Path{}}
	if r := Judge(unreached, x, trace, &control.Packets{ARP: true}); !r.Pass {
		t.Error(r.Problems)
	}
	if r := Judge(unreached, x, trace, &control.Packets{}); r.Pass {
		t.Error("a packet that was never sent shows that it is dropped")
	}
}

func TestJudgeWays(t *testing.T) {
	x := testEnds()
	x.SeenAs = netip.MustParseAddr("10.0.0.4")
	x.Via = []Passed{{"nat", []string{"nat-1", "eni-nat"}}, {"igw", []string{"igw-1"}}}
	if r := Judge(reaches, x, through(), got()); !r.Pass {
		t.Error(r.Problems)
	}
	x.SeenAs, x.Via = netip.MustParseAddr("203.0.113.9"), append(x.Via, Passed{"web", []string{"i-1", "eni-1"}})
	want := []string{"it is seen as 10.0.0.4, not as 203.0.113.9", "it does not go by way of web, but by way of nat (nat-1), igw (igw-1)"}
	for _, p := range []*control.Packets{got(), nil} {
		if r := Judge(reaches, x, through(), p); cmp.Diff(want, r.Problems) != "" || r.Bug {
			t.Error(r.Problems)
		}
	}
}

// lab is a VPC with web (an Elastic IP), db, a NAT gateway; laptop is outside.
func lab() *vpc.Model {
	m := &vpc.Model{}
	meta := func(name string) vpc.Meta { return vpc.Meta{Tags: map[string]string{"Name": name}} }
	add := func(id, private, allocation, instance, name string) {
		n := &vpc.NetworkInterface{ID: vpc.NetworkInterfaceID("eni-" + id), VpcID: "vpc-1", Handle: uint32(m.NetworkInterfaces.Len() + 1),
			PrivateIps: []vpc.PrivateAddress{{PrivateIp: netip.MustParseAddr(private), Primary: true, AllocationID: vpc.AllocationID(allocation)}}}
		if instance != "" {
			n.Attachment = &vpc.Attachment{InstanceID: vpc.InstanceID(instance)}
			m.Instances.Put(vpc.InstanceID(instance), &vpc.Instance{ID: vpc.InstanceID(instance), Meta: meta(name), State: vpc.StateRunning})
		}
		m.NetworkInterfaces.Put(n.ID, n)
	}
	m.Addresses.Put("eipalloc-1", &vpc.Address{AllocationID: "eipalloc-1", PublicIp: netip.MustParseAddr("203.0.113.1"), Meta: meta("site")})
	m.Addresses.Put("eipalloc-2", &vpc.Address{AllocationID: "eipalloc-2", PublicIp: netip.MustParseAddr("203.0.113.2"), Meta: meta("nat")})
	add("web", "10.0.0.4", "eipalloc-1", "i-web", "web")
	add("db", "10.0.1.4", "", "i-db", "db")
	add("nat", "10.0.0.9", "eipalloc-2", "", "")
	m.NatGateways.Put("nat-1", &vpc.NatGateway{ID: "nat-1", Meta: meta("nat"), State: "available", NetworkInterfaceID: "eni-nat"})
	m.InternetGateways.Put("igw-1", &vpc.InternetGateway{ID: "igw-1", Meta: meta("igw"), VpcID: "vpc-1"})
	m.InternetHosts.Put("host-1", &vpc.InternetHost{ID: "host-1", Handle: 9, HostName: "laptop", PublicIp: netip.MustParseAddr("198.51.100.1"), State: vpc.StateRunning})
	return m
}

func TestResolve(t *testing.T) {
	end := func(name string, which vpc.ExpectedAddress) vpc.ExpectedEnd {
		return vpc.ExpectedEnd{Name: name, Address: which}
	}
	type facts struct{ trace, source, destination, local, sender, receiver, alone string }
	for _, c := range []struct {
		from, to vpc.ExpectedEnd
		want     facts
	}{
		{end("web", ""), end("db", ""), facts{"web db", "", "10.0.1.4", "10.0.1.4", "i-web", "i-db", ""}},
		{end("laptop", ""), end("web", ""), facts{"laptop web", "", "203.0.113.1", "10.0.0.4", "host-1", "i-web", ""}},
		{end("db", ""), end("web", vpc.ExpectPublic), facts{"db 203.0.113.1", "", "203.0.113.1", "10.0.0.4", "i-db", "i-web", ""}},
		{end("db", ""), end("site", vpc.ExpectElastic), facts{"db 203.0.113.1", "", "203.0.113.1", "10.0.0.4", "i-db", "i-web", ""}},
		{end("web", vpc.ExpectPublic), end("laptop", ""), facts{"203.0.113.1 laptop", "10.0.0.4", "198.51.100.1", "198.51.100.1", "i-web", "host-1", ""}},
		{end("eni-web", ""), end("198.51.100.1", ""), facts{"eni-web 198.51.100.1", "10.0.0.4", "198.51.100.1", "198.51.100.1", "i-web", "host-1", ""}},
		{end("laptop", ""), end("nat", vpc.ExpectPublic), facts{"laptop 203.0.113.2", "", "203.0.113.2", "invalid IP", "host-1", "", ""}},
		{end("web", ""), end("10.9.9.9", ""), facts{"web 10.9.9.9", "", "10.9.9.9", "invalid IP", "i-web", "", ""}},
		{end("internet", ""), end("web", ""), facts{"internet web", "", "203.0.113.1", "10.0.0.4", "", "i-web", "no real packet"}},
		{end("web", ""), end("internet", ""), facts{"web internet", "", endpoint.Anywhere.String(), "invalid IP", "i-web", "", "no real packet"}},
	} {
		x, err := Resolve(lab(), vpc.Expectation{From: c.from, To: c.to, Protocol: "tcp", Port: 80})
		if err != nil {
			t.Errorf("%s to %s: %v", c.from, c.to, err)
			continue
		}
		if c.want.source == "" {
			c.want.source = "invalid IP"
		}
		if strings.HasPrefix(x.TraceAlone(), c.want.alone) && c.want.alone != "" {
			c.want.alone = x.TraceAlone()
		}
		is := facts{x.Request.From + " " + x.Request.To, x.Source.String(), x.Destination.String(), x.Local.String(), x.Sender, x.Receiver, x.TraceAlone()}
		if is != c.want {
			t.Errorf("%s to %s:\n%+v\n%+v", c.from, c.to, is, c.want)
		}
	}
	site := end("site", vpc.ExpectElastic)
	x, err := Resolve(lab(), vpc.Expectation{From: end("db", ""), To: end("laptop", ""), Protocol: "icmp", SeenAs: &site, ByWayOf: []string{"nat", "igw", "web"}})
	want := []Passed{{"nat", []string{"nat-1", "eni-nat"}}, {"igw", []string{"igw-1"}}, {"web", []string{"eni-web", "i-web"}}}
	if err != nil || x.SeenAs.String() != "203.0.113.1" || cmp.Diff(want, x.Via) != "" {
		t.Errorf("%+v, %v", x, err)
	}
}

// Two VPCs with the same addresses: a private one means the VPC's in which it is said.
func TestResolveOverlap(t *testing.T) {
	m := lab()
	m.Instances.Put("i-twin", &vpc.Instance{ID: "i-twin", Meta: vpc.Meta{Tags: map[string]string{"Name": "twin"}}, State: vpc.StateRunning})
	m.NetworkInterfaces.Put("eni-twin", &vpc.NetworkInterface{ID: "eni-twin", VpcID: "vpc-2", Attachment: &vpc.Attachment{InstanceID: "i-twin"},
		PrivateIps: []vpc.PrivateAddress{{PrivateIp: netip.MustParseAddr("10.0.0.4"), Primary: true}}})
	private := vpc.ExpectedEnd{Name: "web", Address: vpc.ExpectPrivate}
	for _, c := range []struct {
		from, to                vpc.ExpectedEnd
		trace, sender, receiver string
	}{
		{vpc.ExpectedEnd{Name: "db"}, vpc.ExpectedEnd{Name: "10.0.0.4"}, "db 10.0.0.4", "i-db", "i-web"},
		{vpc.ExpectedEnd{Name: "db"}, private, "db 10.0.0.4", "i-db", "i-web"},
		{private, vpc.ExpectedEnd{Name: "db"}, "eni-web db", "i-web", "i-db"},
		{vpc.ExpectedEnd{Name: "twin"}, private, "twin 10.0.0.4", "i-twin", "i-twin"},
	} {
		x, err := Resolve(m, vpc.Expectation{From: c.from, To: c.to, Protocol: "tcp", Port: 80})
		if err != nil || x.Request.From+" "+x.Request.To != c.trace || x.Sender != c.sender || x.Receiver != c.receiver {
			t.Errorf("%s to %s: %+v, %v", c.from, c.to, x, err)
		}
	}
}

func TestResolveErrors(t *testing.T) {
	end := func(name string, which vpc.ExpectedAddress) *vpc.ExpectedEnd {
		return &vpc.ExpectedEnd{Name: name, Address: which}
	}
	for want, c := range map[string]struct {
		from, to, seen *vpc.ExpectedEnd
		via            []string
	}{
		"nobody: nothing in the lab":          {from: end("nobody", "")},
		"mars: nothing in the lab":            {to: end("mars", "")},
		"instance db has no public address":   {to: end("db", vpc.ExpectPublic)},
		"laptop has no private address":       {from: end("laptop", vpc.ExpectPrivate)},
		"there is no Elastic IP gone":         {seen: end("gone", vpc.ExpectElastic)},
		"by way of nowhere: nothing in the":   {via: []string{"nowhere"}},
		"gone: nothing in the lab has this n": {seen: end("gone", vpc.ExpectPublic)},
	} {
		e := vpc.Expectation{From: *end("web", ""), To: *end("laptop", ""), Protocol: "icmp", SeenAs: c.seen, ByWayOf: c.via}
		if c.from != nil {
			e.From = *c.from
		}
		if c.to != nil {
			e.To = *c.to
		}
		if _, err := Resolve(lab(), e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestSelect(t *testing.T) {
	all := []vpc.Expectation{reaches, with(connects, func(e *vpc.Expectation) { e.Name = "The shop's database" }), with(unreached, func(e *vpc.Expectation) { e.Said = "web cannot reach db on tcp http" })}
	for only, want := range map[string][]int{
		"": {0, 1, 2}, "DATABASE": {1}, "connects": {1}, "cannot": {2}, "web*db on*": {0, 1, 2}, "*http": {2}, "web ?oes*": {2}, "reaches*": nil, "x": nil, "the*base": {1},
	} {
		if got := Select(all, only); !slices.Equal(got, want) {
			t.Errorf("%q: %v", only, got)
		}
	}
}

// results are one of each kind, with what formats have to escape.
func results() []control.CheckResult {
	return []control.CheckResult{
		{Number: 1, Title: "web reaches db on tcp 80", Check: "web reaches db on tcp 80", Pass: true, Trace: through(), Packets: got(), Took: 1500 * time.Microsecond},
		{Number: 2, Title: `<no> "way" & # in`, Check: "laptop does not reach db on tcp 22", Pass: true, Trace: denied(true), Packets: lost(true)},
		{Number: 3, Title: "internet reaches web on tcp 80", Check: "internet reaches web on tcp 80", Pass: true, Trace: through(), Notes: []string{"no real packet: nobody"}},
		{Number: 4, Title: "a\nb\x1b[31m", Check: "db reaches web on icmp", Problems: []string{"it is dropped by <acl>: SUBNET_ACL_RESTRICTION: denied " + strings.Repeat("and so on ", 12), "second: problem"}, Trace: denied(false), Packets: lost(false)},
		{Number: 5, Title: "contradiction", Check: "contradiction", Bug: true, Problems: []string{"a bug in vpcemu: trace and packets contradict each other"}, Trace: denied(false), Packets: got()},
		{Number: 6, Title: "stopped", Check: "stopped", Problems: []string{"instance web is stopped"}},
	}
}

func traceText(t *control.Trace) string { return "Forward:\n  ✗ " + t.Reason + "\n" }

func TestText(t *testing.T) {
	var b strings.Builder
	for _, r := range results() {
		if err := Text(&b, r, Style{ASCII: true, Trace: traceText}); err != nil {
			t.Fatal(err)
		}
	}
	want := `ok   web reaches db on tcp 80
ok   <no> "way" & # in  (SUBNET_ACL_RESTRICTION)
ok   internet reaches web on tcp 80  (by the trace alone)
FAIL a b [31m
    db reaches web on icmp
    it is dropped by <acl>: SUBNET_ACL_RESTRICTION: denied and so on and so on and so on and so
    on and so on and so on and so on and so on and so on and so on and so on and so on
    second: problem

    Forward:
      ✗ SUBNET_ACL_RESTRICTION

FAIL contradiction
    a bug in vpcemu: trace and packets contradict each other

    Forward:
      ✗ SUBNET_ACL_RESTRICTION

FAIL stopped
    instance web is stopped
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	b.Reset()
	if err := Text(&b, results()[0], Style{Color: true}); err != nil || b.String() != "\x1b[32m✓\x1b[0m web reaches db on tcp 80\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestReport(t *testing.T) {
	r := NewReport("book", results(), 2340*time.Millisecond)
	if want := "6 checks: 3 pass, 3 fail (1 by a contradiction between trace and packets, a bug in vpcemu) (2.3 s)"; r.Line() != want {
		t.Errorf("%s", r.Line())
	}
	if line := NewReport("book", results()[:2], time.Second).Line(); line != "2 checks, all pass (1.0 s)" {
		t.Error(line)
	}
	if line := NewReport("book", results()[:1], time.Second).Line(); line != "1 check passes (1.0 s)" {
		t.Error(line)
	}
	var b bytes.Buffer
	if err := r.JSON(&b); err != nil {
		t.Fatal(err)
	}
	var again Report
	if err := json.Unmarshal(b.Bytes(), &again); err != nil || cmp.Diff(r, again) != "" {
		t.Errorf("%v\n%s", err, cmp.Diff(r, again))
	}
}

func TestTAP(t *testing.T) {
	var b strings.Builder
	if err := NewReport("book", results(), time.Second).TAP(&b); err != nil {
		t.Fatal(err)
	}
	want := `TAP version 14
1..6
ok 1 - web reaches db on tcp 80
ok 2 - <no> "way" & \# in
  ---
  check: laptop does not reach db on tcp 22
  reason: SUBNET_ACL_RESTRICTION
  ...
ok 3 - internet reaches web on tcp 80
  ---
  notes:
      - 'no real packet: nobody'
  ...
not ok 4 - a b [31m
  ---
`
	if !strings.HasPrefix(b.String(), want) {
		t.Errorf("%s", cmp.Diff(want, b.String()))
	}
	// Every block is YAML, between its marks.
	blocks := strings.Split(b.String(), "  ---\n")[1:]
	if len(blocks) != 5 {
		t.Fatalf("%d blocks", len(blocks))
	}
	for _, block := range blocks {
		text, _, ok := strings.Cut(block, "  ...\n")
		var v map[string]any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil || !ok || len(v) == 0 {
			t.Errorf("%v in\n%s", err, block)
		}
	}
}

// TestJUnit reads the XML back without this package's types.
func TestJUnit(t *testing.T) {
	var b bytes.Buffer
	if err := NewReport("book", results(), 2*time.Second).JUnit(&b, traceText); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		XMLName xml.Name `xml:"testsuites"`
		Suite   struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Errors   int `xml:"errors,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Failure []struct {
					Type string `xml:"type,attr"`
					Text string `xml:",chardata"`
				} `xml:"failure"`
				Error []struct{} `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	s := doc.Suite
	if s.Tests != 6 || s.Failures != 2 || s.Errors != 1 || len(s.Cases) != 6 {
		t.Fatalf("%+v", s)
	}
	if s.Cases[1].Name != `<no> "way" & # in` || len(s.Cases[1].Failure) != 0 {
		t.Errorf("%+v", s.Cases[1])
	}
	if f := s.Cases[3].Failure; len(f) != 1 || f[0].Type != "SUBNET_ACL_RESTRICTION" || !strings.Contains(f[0].Text, "✗ SUBNET_ACL_RESTRICTION") || len(s.Cases[3].Error) != 0 {
		t.Errorf("%+v", s.Cases[3])
	}
	if len(s.Cases[4].Error) != 1 || len(s.Cases[4].Failure) != 0 {
		t.Errorf("%+v", s.Cases[4])
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestWriteErrors(t *testing.T) {
	r := NewReport("book", results(), time.Second)
	for name, write := range map[string]func(io.Writer) error{
		"text": func(w io.Writer) error { return Text(w, results()[0], Style{}) }, "json": r.JSON, "tap": r.TAP,
		"junit": func(w io.Writer) error { return r.JUnit(w, nil) },
	} {
		if write(fullDisk{}) == nil {
			t.Errorf("%s: an error of the writer is lost", name)
		}
	}
}
