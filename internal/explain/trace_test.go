package explain

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/endpoint"
	"github.com/vpcemu/vpcemu/internal/packet"
)

func TestWhatCannotBeTraced(t *testing.T) {
	l := newLab(t, site)
	l.EC2("stop-instances --instance-ids web2")
	for line, want := range map[string]string{
		"wob web tcp/22":                "wob: nothing in the lab has this name or ID; there are: app, laptop,",
		"web wob tcp/22":                "wob: nothing in the lab",
		"web2 web tcp/22":               "instance web2 is stopped, so it sends nothing: vpcemu start web2",
		"nat web tcp/22":                "NAT gateway nat sends nothing of its own",
		"10.0.0.200 web tcp/22":         "NAT gateway nat sends nothing of its own",
		"spare web tcp/22":              "network interface spare is attached to no instance",
		"10.0.0.99 web tcp/22":          "10.0.0.99: no network interface has this address",
		"web web tcp/22":                "10.0.0.10 is an address of web itself",
		"laptop laptop tcp/22":          "198.51.100.10 is an address of laptop itself",
		"web 127.0.0.1 tcp/22":          "127.0.0.1 is an address of web itself",
		"web 0.0.0.0 tcp/22":            "0.0.0.0 is an address of web itself",
		"web 2001:db8::1 tcp/22":        "IPv4 addresses only",
		"laptop web tcp":                "tcp needs a destination port from 1 to 65535",
		"laptop web tcp/70000":          "tcp needs a destination port",
		"laptop web icmp/8":             "protocol icmp has no ports",
		"laptop web icmp from=5":        "protocol icmp has no ports: leave out the source port",
		"laptop web foo/8":              `protocol "foo": use tcp, udp, icmp or a number up to 255`,
		"laptop web 256":                `protocol "256"`,
		"laptop web tcp/22 from=-1":     "source port -1",
		"laptop web tcp/22 ttl=256":     "TTL 256",
		"laptop web udp/22 established": "udp has no connections that could be established",
		"laptop web tcp/22 size=39":     "size 39: a packet of protocol tcp has 40 to 65535 bytes",
		"laptop web icmp size=65536":    "size 65536",
	} {
		tr, err := Trace(&l.Model, l.Engine.Tracer(), request(t, line))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q\n%+v", line, err, want, tr)
		}
	}
}

// Two VPCs with the same addresses: each has its own behind them.
func TestOverlappingVPCs(t *testing.T) {
	l := newLab(t, `
vpcs: {one: {cidr_block: 10.0.0.0/16}, two: {cidr_block: 10.0.0.0/16}}
subnets:
  a: {vpc: one, cidr_block: 10.0.0.0/24}
  b: {vpc: two, cidr_block: 10.0.0.0/24}
elastic_ips: {site: {instance: web}}
internet_gateways: {igw: {vpc: one}}
security_groups:
  one: {vpc: one, ingress: [{protocol: all, cidr_blocks: [0.0.0.0/0]}]}
  two: {vpc: two, ingress: [{protocol: all, cidr_blocks: [0.0.0.0/0]}]}
instances:
  web: {subnet: a, private_ip: 10.0.0.10, security_groups: [one]}
  app: {subnet: a, private_ip: 10.0.0.11, security_groups: [one]}
  twin: {subnet: b, private_ip: 10.0.0.10, security_groups: [two]}
  peer: {subnet: b, private_ip: 10.0.0.20, security_groups: [two]}
`)
	for line, to := range map[string]string{"app 10.0.0.10 tcp/22": "web", "peer 10.0.0.10 tcp/22": "twin", "app web tcp/22": "web"} {
		tr, err := Trace(&l.Model, l.Engine.Tracer(), request(t, line))
		if err != nil || !tr.Reachable || tr.To.Name != to {
			t.Errorf("%s: %+v, %v", line, tr, err)
		}
	}
	for _, line := range []string{"app twin tcp/22", "web twin tcp/22"} { // whose address is web's here
		if tr, err := Trace(&l.Model, l.Engine.Tracer(), request(t, line)); !errors.Is(err, endpoint.ErrAmbiguous) {
			t.Errorf("%s: %+v, %v", line, tr, err)
		}
	}
	tr, err := Trace(&l.Model, l.Engine.Tracer(), request(t, "twin 10.0.0.11 icmp"))
	if err != nil || tr.Reason != "NO_POSSIBLE_DESTINATION" || !strings.Contains(Text(tr), "No network interface of this VPC has 10.0.0.11: app, which has it, is in another") {
		t.Errorf("%v\n%s", err, Text(tr))
	}
}

func TestStoppedHostSendsNothing(t *testing.T) {
	l := newLab(t, site)
	for _, h := range l.InternetHosts.All() {
		if h.HostName == "laptop" {
			stopped := *h
			stopped.State = "stopped"
			l.InternetHosts.Put(h.ID, &stopped)
		}
	}
	_, err := Trace(&l.Model, l.Engine.Tracer(), request(t, "laptop web tcp/22"))
	if err == nil || !strings.Contains(err.Error(), "internet host laptop is stopped") {
		t.Errorf("%v", err)
	}
}

// What the trace says of itself besides its text.
func TestTraceTellsReasonObjectAndRule_RA04(t *testing.T) {
	l := newLab(t, site)
	l.SetACL("public", "http")
	tr := l.trace("laptop web tcp/80")
	if tr.Reachable || tr.Reason != "SUBNET_ACL_RESTRICTION" || tr.Code != tr.Reason || tr.Decided.Name != "http" ||
		tr.Decided.Kind != kindACL || tr.DecidedRule != "deny all to 0.0.0.0/0" || !tr.Forward.Delivered || tr.Return.Delivered {
		t.Errorf("%+v", tr)
	}
	last := tr.Return.Hops[len(tr.Return.Hops)-1]
	if last.Verdict != "drop" || last.Reason != tr.Reason || last.RuleID != "*" || last.At.Name != "web" {
		t.Errorf("%+v", last)
	}
	tr = l.trace("app server tcp/80")
	if tr.Reachable || tr.Return != nil || tr.SeenAs != "" || len(tr.Via) != 1 {
		t.Errorf("%+v", tr)
	}
	l = newLab(t, site)
	tr = l.trace("app server tcp/80")
	var via []string
	for _, o := range tr.Via {
		via = append(via, o.Kind+" "+o.Name)
	}
	if got := strings.Join(via, ", "); got != "nat gateway nat, internet gateway igw" || tr.SeenAs != "203.0.113.1" || tr.Decided != nil {
		t.Errorf("via %s, seen as %s, %+v", got, tr.SeenAs, tr)
	}
}

// Traces leave the flow tables as they are, and use another port where the usual one is
// that of a tracked connection.
func TestTraceTakesAFreshPort(t *testing.T) {
	l := newLab(t, site)
	l.EC2("modify-network-interface-attribute --network-interface-id " + l.Expand("%web!") + " --groups ssh")
	for range 2 { // each trace has a Tracer of its own
		if tr := l.trace("laptop web tcp/22"); !strings.HasSuffix(tr.Forward.Hops[0].Before.Source, ":40000") {
			t.Errorf("from %s", tr.Forward.Hops[0].Before.Source)
		}
	}
	tracer := l.Engine.Tracer()
	for _, want := range []string{":40000", ":40001"} {
		tr, err := Trace(&l.Model, tracer, request(t, "laptop web tcp/22"))
		if err != nil || !strings.HasSuffix(tr.Forward.Hops[0].Before.Source, want) {
			t.Errorf("%v, from %s, want %s", err, tr.Forward.Hops[0].Before.Source, want)
		}
	}
}

// fakeNet answers as it is told.
type fakeNet struct {
	say func(handle uint32, pkt []byte) dataplane.Traced
}

func (f fakeNet) Send(handle uint32, pkt []byte) dataplane.Traced { return f.say(handle, pkt) }

func eni(handle uint32, addr string) *dataplane.ENI {
	return &dataplane.ENI{Handle: handle, Addrs: []packet.Addr{packet.AddrFrom(mustAddr(addr))}}
}

func TestProbe(t *testing.T) {
	a, b, box := eni(1, "10.0.0.1"), eni(2, "10.0.0.2"), eni(3, "10.0.0.3")
	from := Source{Handle: 1, Addr: mustAddr("10.0.0.1"), MTU: 1500}
	pkt := Packet(packet.ProtoTCP, mustAddr("10.0.0.1"), mustAddr("10.0.0.2"), 80)
	to := func(e *dataplane.ENI, p []byte) dataplane.Traced {
		return dataplane.Traced{Known: true, Reason: dataplane.Delivered, To: dataplane.Place{ENI: e}, Packet: p}
	}
	ends := map[packet.Addr]*dataplane.ENI{a.Addrs[0]: a, b.Addrs[0]: b}
	direct := func(_ uint32, p []byte) dataplane.Traced { return to(ends[destination(p)], p) }
	for name, c := range map[string]struct {
		say  func(handle uint32, p []byte) dataplane.Traced
		want Exchange
		legs [2]int
	}{
		"there and back": {direct, Exchange{}, [2]int{1, 1}},
		"through a middlebox": {func(h uint32, p []byte) dataplane.Traced {
			if h == 3 {
				return direct(h, p)
			}
			return to(box, p)
		}, Exchange{}, [2]int{2, 2}},
		"round and round": {func(_ uint32, p []byte) dataplane.Traced { return to(box, p) }, Exchange{Reason: dataplane.ForwardingLoop},
			[2]int{maxMiddleboxes + 1, 0}},
		"unknown sender": {func(uint32, []byte) dataplane.Traced { return dataplane.Traced{} }, Exchange{Unknown: true}, [2]int{1, 0}},
		"unknown answering": {func(h uint32, p []byte) dataplane.Traced {
			r := direct(h, p)
			r.Known = h == 1
			return r
		}, Exchange{Unknown: true}, [2]int{1, 1}},
		"answer elsewhere": {func(h uint32, p []byte) dataplane.Traced {
			if h == 2 {
				return to(eni(4, "10.0.0.1"), p)
			}
			return direct(h, p)
		}, Exchange{Astray: true}, [2]int{1, 1}},
		"answer from another address": {func(h uint32, p []byte) dataplane.Traced {
			if h == 2 {
				var parsed packet.Header
				parsed.Parse(p)
				parsed.SetSrc(box.Addrs[0])
			}
			return direct(h, p)
		}, Exchange{Astray: true}, [2]int{1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			x := Probe(fakeNet{c.say}, from, append([]byte(nil), pkt...))
			if x.Reason != c.want.Reason || x.Astray != c.want.Astray || x.Unknown != c.want.Unknown {
				t.Errorf("%s, astray %v, unknown %v", x.Reason, x.Astray, x.Unknown)
			}
			if len(x.There) != c.legs[0] || len(x.Back) != c.legs[1] {
				t.Errorf("%d legs there, %d back", len(x.There), len(x.Back))
			}
			if x.Reachable() != (c.want.Reason == 0 && !c.want.Astray && !c.want.Unknown) {
				t.Errorf("reachable: %v", x.Reachable())
			}
		})
	}
}

// A middlebox takes one from the TTL, and does not forward what has none left.
func TestMiddleboxTakesAHop(t *testing.T) {
	l := newLab(t, site)
	l.EC2("create-route --route-table-id private --destination-cidr-block 10.0.2.0/24 --instance-id router")
	tr := l.trace("app svc tcp/80 ttl=1")
	if tr.Reachable || tr.Reason != "TTL_EXPIRED" {
		t.Errorf("%s", Text(tr))
	}
	if tr := l.trace("app svc tcp/80 ttl=2"); !tr.Reachable {
		t.Errorf("%s", Text(tr))
	}
}

func TestTextKeepsToItsColumns(t *testing.T) {
	long := strings.Repeat("long-name-", 6)
	tr := &control.Trace{From: control.Object{Name: long}, To: control.Object{ID: "i-0"}, Protocol: "47", Reason: "X", Text: strings.Repeat("word ", 60),
		Forward: &control.Path{Packet: "protocol 47", Hops: []control.Hop{
			{Stage: "sg-egress", Object: control.Object{Name: long}, RuleID: "sgr-0123456789abcdef0", Rule: strings.Repeat("word ", 40), Verdict: "pass"},
			{Stage: "deliver", Object: control.Object{Name: long}, Verdict: "drop", Reason: "X"}}},
		Advice: []string{strings.Repeat("word ", 40), "vpcemu ec2 do" + strings.Repeat(" --flag value", 20), "More."}}
	text := Text(tr)
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
			t.Errorf("%d columns: %s", n, line)
		}
		if strings.TrimRight(line, " \n") != strings.TrimSuffix(line, "\n") {
			t.Errorf("blanks at the end: %q", line)
		}
	}
	if !strings.Contains(text, ", protocol 47: not reachable\n") || !strings.Contains(text, " \\\n      --flag value") {
		t.Error(text)
	}
}
