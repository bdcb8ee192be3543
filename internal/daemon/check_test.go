package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/vpcemu/vpcemu/dataplane"
	"github.com/vpcemu/vpcemu/filter"
	"github.com/vpcemu/vpcemu/internal/check"
	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/packet"
	"github.com/vpcemu/vpcemu/internal/probe"
	"github.com/vpcemu/vpcemu/internal/vpc"
)

// Numbers of interfaces in these tests: web and db are instances, box an appliance with
// two, nat an interface of a gateway.
const (
	hWeb = iota + 1
	hDB
	hBoxIn
	hBoxOut
)

func tcp(src, dst string) packet.Tuple {
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	return packet.Tuple{Src: packet.AddrFrom(s.Addr()), Dst: packet.AddrFrom(d.Addr()), SrcPort: s.Port(), DstPort: d.Port(), Proto: packet.ProtoTCP}
}

var sent = tcp("10.0.0.4:40000", "10.0.1.4:80")

func passes(from, to uint32, as, becomes packet.Tuple) dataplane.Event {
	return dataplane.Event{Handle: from, To: to, Sent: as, Tuple: becomes, Reason: dataplane.Delivered, Stage: dataplane.StageDeliver,
		By: dataplane.Ref{ID: fmt.Sprint("eni-", to)}}
}

func drops(from uint32, as packet.Tuple, r dataplane.Reason) dataplane.Event {
	return dataplane.Event{Handle: from, Sent: as, Tuple: as, Reason: r, Stage: dataplane.StageACLIngress, By: dataplane.Ref{ID: "acl-1", Name: "private"},
		Rule: dataplane.Rule{ACL: &filter.ACLRule{Number: 100}}}
}

func set(handles ...uint32) map[uint32]bool {
	m := map[uint32]bool{}
	for _, h := range handles {
		m[h] = true
	}
	return m
}

func endsOf() chaseEnds {
	return chaseEnds{from: set(hWeb), to: set(hDB), machine: func(h uint32) map[uint32]bool {
		if h == hBoxIn || h == hBoxOut {
			return set(hBoxIn, hBoxOut)
		}
		return set(h)
	}}
}

func fakeChases() *chases { return &chases{sub: &dataplane.Subscription{}, running: map[*chase]bool{}} }

// what is a view in a line.
func what(v chaseView) string {
	s := fmt.Sprintf("seen %t delivered %t", v.seen, v.delivered)
	if v.delivered {
		s += " as " + v.final.String()
	}
	for _, o := range v.via {
		s += " via " + o.ID
	}
	if v.returned {
		s += " returned"
	}
	if v.drop != nil {
		s += fmt.Sprintf(" dropped %s back %t", v.drop.Reason, v.back)
	}
	return s
}

// TestChase: whatever order the events come in, when the packet became known, and what
// else happens in the lab, the same is found.
func TestChase(t *testing.T) {
	translated, translatedToo := tcp("203.0.113.1:1024", "10.0.1.4:80"), tcp("203.0.113.1:40000", "10.0.1.4:80")
	for name, c := range map[string]struct {
		events []dataplane.Event
		want   string
	}{
		"there and back": {[]dataplane.Event{passes(hWeb, hDB, sent, sent), passes(hDB, hWeb, sent.Reverse(), sent.Reverse())},
			"seen true delivered true as tcp 10.0.0.4:40000 > 10.0.1.4:80 returned"},
		"translated": {[]dataplane.Event{passes(hWeb, hDB, sent, translated), passes(hDB, hWeb, translated.Reverse(), sent.Reverse())},
			"seen true delivered true as tcp 203.0.113.1:1024 > 10.0.1.4:80 returned"},
		"dropped": {[]dataplane.Event{drops(hWeb, sent, dataplane.ACLDenied)}, "seen true delivered false dropped SUBNET_ACL_RESTRICTION back false"},
		"answer dropped": {[]dataplane.Event{passes(hWeb, hDB, sent, translated), drops(hDB, translated.Reverse(), dataplane.ACLDenied)},
			"seen true delivered true as tcp 203.0.113.1:1024 > 10.0.1.4:80 dropped SUBNET_ACL_RESTRICTION back true"},
		"through an appliance": {[]dataplane.Event{passes(hWeb, hBoxIn, sent, sent), passes(hBoxOut, hDB, sent, translated),
			passes(hDB, hBoxOut, translated.Reverse(), sent.Reverse()), passes(hBoxIn, hWeb, sent.Reverse(), sent.Reverse())},
			"seen true delivered true as tcp 203.0.113.1:1024 > 10.0.1.4:80 via eni-3 returned"},
		"through a NAT instance": {[]dataplane.Event{passes(hWeb, hBoxIn, sent, sent), passes(hBoxIn, hDB, tcp("10.0.0.9:40000", "10.0.1.4:80"), translatedToo),
			passes(hDB, hBoxIn, translatedToo.Reverse(), tcp("10.0.1.4:80", "10.0.0.9:40000")), drops(hBoxIn, sent.Reverse(), dataplane.ACLDenied)},
			"seen true delivered true as tcp 203.0.113.1:40000 > 10.0.1.4:80 via eni-3 dropped SUBNET_ACL_RESTRICTION back true"},
		"dropped behind an appliance": {[]dataplane.Event{passes(hWeb, hBoxIn, sent, sent), drops(hBoxIn, sent, dataplane.NoRoute)},
			"seen true delivered false via eni-3 dropped NO_ROUTE_TO_DESTINATION back false"},
		"answer dropped behind an appliance": {[]dataplane.Event{passes(hWeb, hDB, sent, sent), passes(hDB, hBoxIn, sent.Reverse(), sent.Reverse()), drops(hBoxOut, sent.Reverse(), dataplane.SourceDestCheck)},
			"seen true delivered true as tcp 10.0.0.4:40000 > 10.0.1.4:80 dropped ENI_SOURCE_DEST_CHECK_RESTRICTION back true"},
		"taken by a service":                   {[]dataplane.Event{passes(hWeb, 0, sent, sent)}, "seen true delivered true as tcp 10.0.0.4:40000 > 10.0.1.4:80"},
		"another VPC's, of the same addresses": {[]dataplane.Event{passes(77, 78, sent, sent), drops(78, sent.Reverse(), dataplane.ACLDenied)}, "seen false delivered false"},
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				all := fakeChases()
				one := all.begin(endsOf())
				events := rapid.Permutation(c.events).Draw(t, "order")
				for range rapid.IntRange(0, 3).Draw(t, "others") {
					events = append(events, passes(hWeb, hDB, tcp("10.0.0.4:5", "10.0.1.4:80"), tcp("10.0.0.4:5", "10.0.1.4:80")))
				}
				if len(c.events) == 1 { // sent again: the first tells
					events = append(events, c.events[0])
				}
				known := rapid.IntRange(0, len(events)).Draw(t, "known after")
				for i, e := range events {
					if i == known {
						one.follow(sent)
					}
					all.happened(e)
				}
				if known == len(events) {
					one.follow(sent)
				}
				if got := what(one.view()); got != c.want {
					t.Fatalf("got %s, want %s", got, c.want)
				}
			})
		})
	}
}

// TestChaseInABusyLab: what it cannot keep costs it only what is old.
func TestChaseInABusyLab(t *testing.T) {
	all := fakeChases()
	one := all.begin(endsOf())
	one.follow(sent)
	for i := range 5 * chaseKept {
		other := tcp(fmt.Sprint("10.0.0.4:", i+1), "10.0.1.4:443")
		all.happened(passes(hWeb, hDB, other, other))
	}
	all.happened(drops(hWeb, sent, dataplane.ACLDenied))
	if v := one.view(); v.drop == nil || len(one.kept) > chaseKept {
		t.Errorf("%s, %d kept", what(v), len(one.kept))
	}
	all.end(one)
	if len(all.running) != 0 {
		t.Error("it is followed for ever")
	}
}

// fakeProbe does what a script says when a packet is sent.
type fakeProbe struct {
	c      chan probe.Event
	sent   func(n int, p *fakeProbe) error
	n      int
	closed bool
}

func (p *fakeProbe) Send() error                { p.n++; return p.sent(p.n, p) }
func (p *fakeProbe) Tuple() packet.Tuple        { return sent }
func (p *fakeProbe) Events() <-chan probe.Event { return p.c }
func (p *fakeProbe) Close()                     { p.closed = true }
func (p *fakeProbe) tell(list ...probe.Event)   { go feed(p.c, list) }
func feed(c chan probe.Event, list []probe.Event) {
	for _, e := range list {
		c <- e
	}
}

// checkBench is a checker between fakes.
type checkBench struct {
	t      *testing.T
	c      *checker
	mu     sync.Mutex
	probes []*fakeProbe
	specs  []probe.Spec
}

func newCheckBench(t *testing.T, send func(b *checkBench, attempt int, p *fakeProbe) error) *checkBench {
	b := &checkBench{t: t}
	m := &vpc.Model{}
	for i, name := range []string{"web", "db"} {
		id := vpc.InstanceID("i-" + name)
		m.Instances.Put(id, &vpc.Instance{ID: id, State: vpc.StateRunning, Meta: vpc.Meta{Tags: map[string]string{"Name": name}}})
		m.NetworkInterfaces.Put(vpc.NetworkInterfaceID("eni-"+name), &vpc.NetworkInterface{ID: vpc.NetworkInterfaceID("eni-" + name), Handle: uint32(i + 1), VpcID: "vpc-1",
			PrivateIps: []vpc.PrivateAddress{{PrivateIp: netip.MustParseAddr(fmt.Sprintf("10.0.%d.4", i)), Primary: true}}, Attachment: &vpc.Attachment{InstanceID: id}})
	}
	b.c = &checker{
		limit: 300 * time.Millisecond,
		trace: func(context.Context, control.TraceRequest) (*control.Trace, error) {
			return &control.Trace{Reachable: true, Reason: "DELIVERED", SeenAs: "10.0.0.4", Forward: &control.Path{Delivered: true}}, nil
		},
		model:  func() *vpc.Model { return m },
		space:  func(id string) string { return "/run/netns/" + id },
		events: fakeChases(),
		open: func(s probe.Spec) (prober, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			attempt := len(b.probes) + 1
			p := &fakeProbe{c: make(chan probe.Event), sent: func(n int, p *fakeProbe) error {
				if n > 1 {
					return nil
				}
				return send(b, attempt, p)
			}}
			b.probes, b.specs = append(b.probes, p), append(b.specs, s)
			return p, nil
		},
	}
	return b
}

func (b *checkBench) one(e vpc.Expectation) control.CheckResult {
	b.t.Helper()
	r := b.c.one(b.t.Context(), e)
	for i, p := range b.probes {
		if !p.closed {
			b.t.Errorf("probe %d is left open", i)
		}
	}
	return r
}

func expect(verb vpc.ExpectedVerb) vpc.Expectation {
	return vpc.Expectation{From: vpc.ExpectedEnd{Name: "web"}, To: vpc.ExpectedEnd{Name: "db"}, Verb: verb, Protocol: "tcp", Port: 80}
}

// arrives is a packet that gets there, and its answer back.
func arrives(what probe.What) func(*checkBench, int, *fakeProbe) error {
	return func(b *checkBench, _ int, p *fakeProbe) error {
		b.c.events.happened(passes(hWeb, hDB, sent, sent))
		b.c.events.happened(passes(hDB, hWeb, sent.Reverse(), sent.Reverse()))
		p.tell(probe.Event{What: probe.Arrived, Tuple: sent}, probe.Event{What: what})
		return nil
	}
}

func TestCheckReaches(t *testing.T) {
	b := newCheckBench(t, arrives(probe.Refused))
	r := b.one(expect(vpc.Reaches))
	want := &control.Packets{Source: "10.0.0.4:40000", Destination: "10.0.1.4:80", Attempts: 1, Sent: true, Delivered: true, Answered: true,
		Answer: check.Refused, SeenAs: "10.0.0.4", Followed: true, Returned: true}
	if !r.Pass || cmp.Diff(want, r.Packets) != "" {
		t.Errorf("%v %s", r.Problems, cmp.Diff(want, r.Packets))
	}
	spec := probe.Spec{From: "/run/netns/i-web", To: "/run/netns/i-db", Destination: netip.MustParseAddr("10.0.1.4"), Local: netip.MustParseAddr("10.0.1.4"), Protocol: packet.ProtoTCP, Port: 80}
	if b.specs[0] != spec {
		t.Errorf("%+v", b.specs[0])
	}
}

// TestCheckAgainOnContradiction: what was changed between trace and packets is no bug.
func TestCheckAgainOnContradiction(t *testing.T) {
	for _, lasting := range []bool{false, true} {
		traced := 0
		b := newCheckBench(t, arrives(probe.Connected))
		through := b.c.trace
		b.c.trace = func(ctx context.Context, req control.TraceRequest) (*control.Trace, error) {
			if traced++; traced < 3 || lasting { // the second asks about the sender's port
				return &control.Trace{Reason: "NO_ROUTE_TO_DESTINATION", Forward: &control.Path{}}, nil
			}
			return through(ctx, req)
		}
		if r := b.one(expect(vpc.Reaches)); r.Bug != lasting || r.Pass == lasting || traced < 3 {
			t.Errorf("lasting %t: bug %t, %v, traced %d times", lasting, r.Bug, r.Problems, traced)
		}
	}
}

// TestCheckTracesTheSendersPort: an ACL that lets only some ephemeral ports in is none.
func TestCheckTracesTheSendersPort(t *testing.T) {
	b := newCheckBench(t, arrives(probe.Connected))
	through := b.c.trace
	b.c.trace = func(ctx context.Context, req control.TraceRequest) (*control.Trace, error) {
		if req.SourcePort != 40001 { // sent from 40000
			return &control.Trace{Reason: "SUBNET_ACL_RESTRICTION", Forward: &control.Path{}}, nil
		}
		return through(ctx, req)
	}
	if r := b.one(expect(vpc.Reaches)); !r.Pass || len(b.probes) != 1 {
		t.Errorf("%v, %d probes", r.Problems, len(b.probes))
	}
}

func TestCheckConnectsWhenTheServiceIsThere(t *testing.T) {
	b := newCheckBench(t, func(b *checkBench, attempt int, p *fakeProbe) error {
		what := probe.Refused
		if attempt == 3 {
			what = probe.Connected
		}
		return arrives(what)(b, attempt, p)
	})
	e := expect(vpc.Connects)
	e.Within = limit
	if r := b.one(e); !r.Pass || r.Packets.Attempts != 3 {
		t.Errorf("%v %+v", r.Problems, r.Packets)
	}
	b = newCheckBench(t, arrives(probe.Refused))
	if r := b.one(expect(vpc.Connects)); r.Pass || r.Packets.Attempts < 2 || !strings.Contains(r.Problems[0], "no program listens") {
		t.Errorf("%v %+v", r.Problems, r.Packets)
	}
}

// TestCheckDropIsKnownAtOnce: no answer is waited for, also where a service is wanted.
func TestCheckDropIsKnownAtOnce(t *testing.T) {
	for _, verb := range []vpc.ExpectedVerb{vpc.Unreached, vpc.Connects} {
		b := newCheckBench(t, func(b *checkBench, _ int, _ *fakeProbe) error {
			b.c.events.happened(drops(hWeb, sent, dataplane.ACLDenied))
			return nil
		})
		b.c.limit = time.Hour
		b.c.trace = func(context.Context, control.TraceRequest) (*control.Trace, error) {
			acl := control.Object{ID: "acl-1"}
			return &control.Trace{Reason: "SUBNET_ACL_RESTRICTION", Decided: &acl,
				Forward: &control.Path{Hops: []control.Hop{{Stage: "acl-ingress", Object: acl, RuleID: "100"}}}}, nil
		}
		r := b.one(expect(verb))
		if r.Bug || r.Pass != (verb == vpc.Unreached) || r.Packets.Reason != "SUBNET_ACL_RESTRICTION" || r.Packets.Decided.String() != "private (acl-1)" || r.Packets.Rule != "rule 100 deny" {
			t.Errorf("%s: %v %+v", verb, r.Problems, r.Packets)
		}
	}
}

// TestCheckResetOfTheNetworkIsNoAnswer: a NAT gateway's RST looks like one to the sender.
func TestCheckResetOfTheNetworkIsNoAnswer(t *testing.T) {
	b := newCheckBench(t, func(b *checkBench, _ int, p *fakeProbe) error {
		b.c.events.happened(drops(hWeb, sent, dataplane.NATIdleTimeout))
		p.tell(probe.Event{What: probe.Refused})
		return nil
	})
	p := b.c.packets(t.Context(), b.c.model(), expect(vpc.Reaches), resolved(t, b))
	if p.Answered || p.Answer != "" || p.Reason != "NGW_IDLE_TIMEOUT" {
		t.Errorf("%+v", p)
	}
}

func resolved(t *testing.T, b *checkBench) *check.Ends {
	t.Helper()
	x, err := check.Resolve(b.c.model(), expect(vpc.Reaches))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestCheckTroubles(t *testing.T) {
	silent := func(b *checkBench, _ int, p *fakeProbe) error {
		b.c.events.happened(passes(hWeb, hDB, sent, sent))
		p.tell(probe.Event{What: probe.Arrived, Tuple: sent})
		return nil
	}
	nothing := func(*checkBench, int, *fakeProbe) error { return nil }
	for want, c := range map[string]struct {
		send   func(*checkBench, int, *fakeProbe) error
		change func(*checkBench, *vpc.Expectation)
	}{
		"db did not answer: not a matter of the network":        {silent, func(*checkBench, *vpc.Expectation) {}},
		"it never came into the network":                        {nothing, func(*checkBench, *vpc.Expectation) {}},
		"the network had no part in it: network is unreachable": {func(*checkBench, int, *fakeProbe) error { return unix.ENETUNREACH }, func(*checkBench, *vpc.Expectation) {}},
		"the network had no part in it: no route to host": {func(_ *checkBench, _ int, p *fakeProbe) error {
			p.tell(probe.Event{What: probe.Failed, Err: unix.EHOSTUNREACH})
			return nil
		}, func(*checkBench, *vpc.Expectation) {}},
		"the network had no part in it: sender: no such namespace": {nothing, func(b *checkBench, _ *vpc.Expectation) {
			b.c.open = func(probe.Spec) (prober, error) { return nil, errors.New("sender: no such namespace") }
		}},
		"web does not run":                       {nothing, func(b *checkBench, _ *vpc.Expectation) { b.c.space = func(string) string { return "" } }},
		"web and db are the same machine":        {nothing, func(b *checkBench, _ *vpc.Expectation) { b.c.space = func(string) string { return "/run/netns/one" } }},
		"mars: nothing in the lab has this name": {nothing, func(_ *checkBench, e *vpc.Expectation) { e.To.Name = "mars" }},
		"instance web is stopped": {nothing, func(b *checkBench, _ *vpc.Expectation) {
			b.c.trace = func(context.Context, control.TraceRequest) (*control.Trace, error) {
				return nil, errors.New("instance web is stopped")
			}
		}},
	} {
		b := newCheckBench(t, c.send)
		e := expect(vpc.Reaches)
		c.change(b, &e)
		if r := b.one(e); r.Pass || r.Bug || len(r.Problems) != 1 || !strings.Contains(r.Problems[0], want) {
			t.Errorf("%s: bug %t, %q", want, r.Bug, r.Problems)
		}
	}
}

// TestCheckByARP: on TAP an address that nobody has is told by silence.
func TestCheckByARP(t *testing.T) {
	b := newCheckBench(t, func(b *checkBench, _ int, p *fakeProbe) error {
		b.c.events.happened(dataplane.Event{Handle: hDB, Reason: dataplane.ARPUnanswered}) // another's
		b.c.events.happened(dataplane.Event{Handle: hWeb, Reason: dataplane.ARPUnanswered})
		p.tell(probe.Event{What: probe.Failed, Err: unix.EHOSTUNREACH})
		return nil
	})
	if p := b.c.packets(t.Context(), b.c.model(), expect(vpc.Unreached), resolved(t, b)); !p.ARP || p.Error != "" || p.Sent {
		t.Errorf("%+v", p)
	}
}

func TestCheckByTheTraceAlone(t *testing.T) {
	b := newCheckBench(t, func(*checkBench, int, *fakeProbe) error { t.Error("a packet is sent"); return nil })
	e := expect(vpc.Reaches)
	e.From.Name = "internet"
	if r := b.one(e); !r.Pass || r.Packets != nil || len(r.Notes) != 1 {
		t.Errorf("%+v", r)
	}
	e.From.Name = "192.0.2.9"
	if r := b.one(e); !r.Pass || r.Packets != nil || !strings.Contains(r.Notes[0], "nothing in the lab is 192.0.2.9") {
		t.Errorf("%+v", r)
	}
}

// TestCheckRun: side by side within bounds, results in order, until it is called off.
func TestCheckRun(t *testing.T) {
	var now, most int
	var mu sync.Mutex
	release := make(chan struct{})
	b := newCheckBench(t, arrives(probe.Connected))
	through := b.c.trace
	b.c.trace = func(ctx context.Context, req control.TraceRequest) (*control.Trace, error) {
		mu.Lock()
		if now++; now > most {
			most = now
		}
		if most == checksAtOnce && now == most {
			select {
			case <-release:
			default:
				close(release)
			}
		}
		mu.Unlock()
		<-release
		mu.Lock()
		now--
		mu.Unlock()
		return through(ctx, req)
	}
	var all []vpc.Expectation
	var chosen []int
	for i := range 3 * checksAtOnce {
		e := expect(vpc.Reaches)
		e.Name = fmt.Sprint("check ", i)
		all = append(all, e)
		if i%2 == 0 || i < 20 {
			chosen = append(chosen, i)
		}
	}
	var got []int
	err := b.c.run(t.Context(), all, chosen, func(r control.CheckResult) {
		if !r.Pass || r.Title != all[r.Number-1].Name || r.Check != "web reaches db on tcp 80" {
			t.Errorf("%+v", r)
		}
		got = append(got, r.Number-1)
	})
	if err != nil || cmp.Diff(chosen, got) != "" || most != checksAtOnce {
		t.Errorf("%v, %v, %d at once", err, got, most)
	}

	ctx, cancel := context.WithCancel(t.Context())
	b = newCheckBench(t, func(*checkBench, int, *fakeProbe) error { cancel(); return nil })
	b.c.limit = time.Hour
	if err := b.c.run(ctx, all, chosen, func(control.CheckResult) { t.Error("a result of what was cut short") }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
