package daemon

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vpcemu/vpcemu/internal/control"
	"github.com/vpcemu/vpcemu/internal/packet"
)

// site is a VPC whose instances a and b are in one subnet, with a public address each,
// c in another with a NAT gateway's route; b lets in port 22 from outside only.
const site = `version: 1
name: lab
default_vpc: false
vpcs: {v: {cidr_block: 10.0.0.0/16, enable_dns_support: false}}
subnets:
  s: {vpc: v, cidr_block: 10.0.1.0/24, map_public_ip_on_launch: true}
  p: {vpc: v, cidr_block: 10.0.2.0/24}
internet_gateways: {igw: {vpc: v}}
elastic_ips: {out: {address: 203.0.113.99}}
nat_gateways: {nat: {subnet: s, elastic_ip: out, private_ip: 10.0.1.99}}
route_tables:
  s: {vpc: v, subnets: [s], routes: [{cidr_block: 0.0.0.0/0, gateway: igw}]}
  p: {vpc: v, subnets: [p], routes: [{cidr_block: 0.0.0.0/0, nat_gateway: nat}]}
security_groups:
  open: {vpc: v, ingress: [{protocol: all, cidr_blocks: [10.0.0.0/16]}]}
  ssh: {vpc: v, ingress: [{port: ssh, cidr_blocks: [0.0.0.0/0]}]}
instances:
  a: {subnet: s, private_ip: 10.0.1.10, security_groups: [open]}
  b: {subnet: s, private_ip: 10.0.1.11, security_groups: [ssh]}
  c: {subnet: p, private_ip: 10.0.2.10, security_groups: [open]}
internet_hosts:
  far: {public_ip: 198.51.100.7}
`

func watchBench(t testing.TB) *bench {
	b := newBench(t)
	b.mustUp(site)
	return b
}

// tuple reads "10.0.1.10:40000 > 10.0.1.11:22".
func tuple(t testing.TB, proto uint8, text string) packet.Tuple {
	t.Helper()
	var out packet.Tuple
	from, to, ok := strings.Cut(text, " > ")
	if !ok {
		t.Fatal(text)
	}
	out.Proto = proto
	for _, end := range []struct {
		text string
		addr *packet.Addr
		port *uint16
	}{{from, &out.Src, &out.SrcPort}, {to, &out.Dst, &out.DstPort}} {
		host, port, hasPort := strings.Cut(end.text, ":")
		if hasPort {
			n, err := strconv.ParseUint(port, 10, 16)
			if err != nil {
				t.Fatal(err)
			}
			*end.port = uint16(n)
		}
		*end.addr = packet.AddrFrom(lease(host).Addr)
	}
	return out
}

// write sends an IP packet from an instance or the host "far".
func (b *bench) write(from string, pkt []byte) {
	b.t.Helper()
	b.m.mu.Lock()
	var in *fakeInstance
	for _, i := range b.m.running {
		if i.spec.Name == from {
			in = i
		}
	}
	b.m.mu.Unlock()
	if in == nil {
		b.t.Fatalf("%s does not run", from)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, f := range in.theirs {
		if _, err := f.Write(pkt); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bench) syn(from, tup string) {
	b.t.Helper()
	b.write(from, packet.BuildTCP(nil, tuple(b.t, packet.ProtoTCP, tup), packet.FlagSYN, 1, 0, nil))
}

// A watcher collects the lines of a watch.
type watcher struct {
	t    testing.TB
	mu   sync.Mutex
	list []*control.Watched
	end  chan struct{}
	done chan error
}

// watching begins a watch and returns once it is on.
func (b *bench) watching(query string) *watcher {
	b.t.Helper()
	v, err := url.ParseQuery(query)
	if err != nil {
		b.t.Fatal(err)
	}
	req, err := control.ParseWatch(v)
	if err != nil {
		b.t.Fatal(err)
	}
	w := &watcher{t: b.t, end: make(chan struct{}), done: make(chan error, 1)}
	on := make(chan struct{})
	ctx, cancel := context.WithTimeout(b.t.Context(), limit)
	b.t.Cleanup(cancel)
	go func() {
		w.done <- b.Watch(ctx, req, w.end, func(lines ...*control.Watched) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, l := range lines {
				if l.Kind == control.WatchedStarted {
					close(on)
					continue
				}
				w.list = append(w.list, l)
			}
			return nil
		})
	}()
	select {
	case <-on:
	case err := <-w.done:
		b.t.Fatalf("watch %s: %v", query, err)
	}
	return w
}

// lines are what has been shown so far.
func (w *watcher) lines() []*control.Watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.list)
}

// stop ends the watch and returns all lines.
func (w *watcher) stop() []*control.Watched {
	w.t.Helper()
	close(w.end)
	return w.wait()
}

// wait returns all lines of a watch that ends by itself.
func (w *watcher) wait() []*control.Watched {
	w.t.Helper()
	select {
	case err := <-w.done:
		if err != nil {
			w.t.Fatal(err)
		}
	case <-time.After(limit):
		w.t.Fatal("the watch does not end")
	}
	return w.lines()
}

// texts are the lines without their times, sorted: ports are read by several threads.
func texts(lines []*control.Watched) (out []string) {
	same := func(s string) string { return s }
	for _, l := range lines {
		text := l.Text(control.Paint{Plain: same, Good: same, Bad: same, Dim: same})
		if l.Seen != nil {
			text = l.Kind + text[len("15:04:05.000"):]
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

// traffic sends five packets: delivered within the subnet, dropped by a group, dropped for
// want of an address, by way of the NAT gateway, and a ping from outside that is dropped.
func (b *bench) traffic() {
	b.t.Helper()
	b.syn("a", "10.0.1.10:1000 > 10.0.1.11:22")
	b.syn("a", "10.0.1.10:1001 > 10.0.1.11:80")
	b.syn("a", "10.0.1.10:1002 > 10.0.2.77:80")
	b.syn("c", "10.0.2.10:1003 > 198.51.100.7:443")
	b.write("far", packet.BuildICMPEcho(nil, tuple(b.t, 1, "198.51.100.7 > 1.1.1.1").Src, packet.AddrFrom(b.publicOf("b")), false, 9, 1, nil))
}

// met waits until the network has met that many packets in all.
func (b *bench) met(packets uint64) {
	b.t.Helper()
	b.eventually("the packets are met", func() bool {
		n, err := b.Counters(b.t.Context())
		if err != nil {
			b.t.Fatal(err)
		}
		sum := uint64(0)
		for _, count := range n.Verdicts {
			sum += count
		}
		return sum >= packets
	})
}

func (b *bench) publicOf(name string) netip.Addr {
	b.t.Helper()
	m := b.Model()
	return publicIp(m, m.InstanceInterfaces(b.instance(name).ID)[0])
}

func ids(b *bench) *strings.Replacer {
	m := b.Model()
	var pairs []string
	for id, n := range m.NetworkInterfaces.All() {
		pairs = append(pairs, string(id), "eni-"+interfaceName(m, n))
	}
	for id := range m.Vpcs.All() {
		pairs = append(pairs, string(id), "vpc")
	}
	pairs = append(pairs, b.publicOf("b").String(), "PUBLIC-B")
	return strings.NewReplacer(pairs...)
}

// Each criterion of a watch, and the lines that it leaves.
func TestWatch_Filters(t *testing.T) {
	b := watchBench(t)
	const (
		ssh     = "packet  10.0.1.10:1000 > 10.0.1.11:22 tcp SYN  a → b  delivered"
		web     = "packet  10.0.1.10:1001 > 10.0.1.11:80 tcp SYN  a → b  dropped by b (eni-b): ENI_SG_RULES_MISMATCH: no rule of the security groups allows the packet"
		nobody  = "packet  10.0.1.10:1002 > 10.0.2.77:80 tcp SYN  a  dropped by v (vpc): NO_POSSIBLE_DESTINATION: no network interface of the VPC has the destination address"
		through = "packet  10.0.2.10:1003 > 198.51.100.7:443 tcp SYN (as 203.0.113.99:PORT > 198.51.100.7:443)  c → nat → igw → far  delivered"
		ping    = "packet  198.51.100.7 > PUBLIC-B icmp echo request id 9 (as 198.51.100.7 > 10.0.1.11)  far → igw → b  dropped by b (eni-b): ENI_SG_RULES_MISMATCH: no rule of the security groups allows the packet"
	)
	queries := map[string][]string{
		"":                               {ssh, web, nobody, through, ping},
		"verdict=dropped":                {web, nobody, ping},
		"verdict=delivered":              {ssh, through},
		"reason=no-possible-destination": {nobody},
		"reason=DELIVERED&reason=NO_POSSIBLE_DESTINATION": {ssh, nobody, through},
		"port=80":                           {web, nobody},
		"port=ssh&port=443":                 {ssh, through},
		"port=9":                            nil, // an ICMP identifier is no port
		"protocol=icmp":                     {ping},
		"protocol=6&verdict=dropped":        {web, nobody},
		"address=10.0.2.0/24":               {nobody, through},
		"address=203.0.113.99":              {through}, // after the translation
		"address=198.51.100.7&protocol=tcp": {through},
		"on=b":                              {ssh, web, ping},
		"on=far":                            {through, ping},
		"on=c&on=far":                       {through, ping},
		"on=nat":                            {through},
		"on=igw":                            {through, ping},
		"on=p":                              {through},
		"on=v":                              {ssh, web, nobody, through, ping},
		"on=b&verdict=dropped&protocol=tcp": {web},
		"on=10.0.1.10&reason=ENI_SG_RULES_MISMATCH": {web},
	}
	watches := map[string]*watcher{}
	for q := range queries {
		watches[q] = b.watching(strings.TrimPrefix(q+"&packets=true", "&"))
	}
	b.traffic()
	b.eventually("five packets are shown", func() bool { return len(watches[""].lines()) == 5 })
	replace := ids(b)
	for q, want := range queries {
		got := texts(watches[q].stop())
		for i, line := range got {
			line = replace.Replace(line)
			if at := strings.Index(line, "203.0.113.99:"); at >= 0 {
				rest := line[at+len("203.0.113.99:"):]
				line = line[:at] + "203.0.113.99:PORT" + rest[strings.IndexByte(rest, ' '):]
			}
			got[i] = line
		}
		slices.Sort(got)
		want = slices.Sorted(slices.Values(want))
		equal(t, "watch "+q, got, want)
	}
}

func TestWatch_FlowsAndTheirTotals(t *testing.T) {
	b := watchBench(t)
	w := b.watching("on=a")
	for range 3 {
		b.syn("a", "10.0.1.10:1000 > 10.0.1.11:22")
	}
	b.eventually("the flow is shown", func() bool { return len(w.lines()) > 0 })
	for range 2 {
		b.syn("a", "10.0.1.10:1000 > 10.0.1.11:22")
	}
	b.met(5)
	lines := w.stop()
	first, last := lines[0], lines[len(lines)-1]
	if first.Kind != control.WatchedFlow || last.Kind != control.WatchedTotals || last.Packets != 5 || last.Bytes != 200 || last.Ended != "watch" {
		t.Errorf("%q", texts(lines))
	}
	if !last.Time.After(first.Time) || first.Verdict != control.VerdictDelivered || first.To.Name != "b" {
		t.Errorf("%+v, %+v", first, first.Seen)
	}
}

// What becomes of the flow changes with the group's rules.
func TestWatch_TellsOfANewVerdict(t *testing.T) {
	b := watchBench(t)
	w := b.watching("port=80")
	b.syn("a", "10.0.1.10:1001 > 10.0.1.11:80")
	b.eventually("the drop is shown", func() bool { return len(w.lines()) == 1 })
	b.must("AuthorizeSecurityGroupIngress", `{"GroupId":"ssh","IpProtocol":"tcp","FromPort":80,"ToPort":80,"CidrIp":"10.0.0.0/16"}`)
	b.syn("a", "10.0.1.10:1001 > 10.0.1.11:80")
	b.eventually("the new verdict is shown", func() bool { return len(w.lines()) == 2 })
	lines := w.stop()
	if lines[0].Verdict != control.VerdictDropped || lines[1].Verdict != control.VerdictDelivered || lines[1].Kind != control.WatchedFlow || len(lines) != 2 {
		t.Errorf("%q", texts(lines))
	}
}

func TestWatch_NamesFollowTheModel(t *testing.T) {
	b := watchBench(t)
	w := b.watching("on=s&packets=true")
	b.mustUp(strings.Replace(site, "internet_hosts:", "  d: {subnet: s, private_ip: 10.0.1.12, security_groups: [open]}\ninternet_hosts:", 1))
	b.syn("d", "10.0.1.12:1 > 10.0.1.10:2")
	b.eventually("the packet of an instance that came later is shown", func() bool { return len(w.lines()) == 1 })
	if got := w.stop()[0]; got.From.Name != "d" || got.To.Name != "a" {
		t.Errorf("%+v", got.Seen)
	}
}

func TestWatch_EndsByItself(t *testing.T) {
	b := watchBench(t)
	few := b.watching("packets=true&count=2")
	flows := b.watching("count=1")
	short := b.watching("duration=1ms")
	b.traffic()
	if lines := few.wait(); len(lines) != 2 {
		t.Errorf("%d lines, want 2: %q", len(lines), texts(lines))
	}
	if lines := flows.wait(); len(lines) != 1 {
		t.Errorf("%d lines, want 1: %q", len(lines), texts(lines))
	}
	short.wait()
}

func TestWatch_RefusesWhatThereIsNot(t *testing.T) {
	b := watchBench(t)
	for _, c := range []struct {
		req  control.WatchRequest
		want string
	}{
		{control.WatchRequest{On: []string{"wbe"}}, "there are: a, b, c, far, nat"},
		{control.WatchRequest{Reasons: []string{"ACL"}}, "did you mean SUBNET_ACL_RESTRICTION?"},
	} {
		err := b.Watch(t.Context(), c.req, nil, func(...*control.Watched) error { t.Error("a line"); return nil })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.req, err)
		}
	}
}

func TestWatch_EndsWhenTheClientLeaves(t *testing.T) {
	b := watchBench(t)
	gone := errors.New("gone")
	if err := b.Watch(t.Context(), control.WatchRequest{}, nil, func(...*control.Watched) error { return gone }); !errors.Is(err, gone) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := b.Watch(ctx, control.WatchRequest{Packets: true}, nil, func(...*control.Watched) error { cancel(); return nil }); err != nil {
		t.Error(err)
	}
}

// A watch that the daemon's end cuts short says so.
func TestWatch_EndsWithTheDaemon(t *testing.T) {
	b := watchBench(t)
	for _, packets := range []bool{false, true} {
		ctx, cancel := context.WithCancelCause(t.Context())
		err := b.Watch(ctx, control.WatchRequest{Packets: packets}, nil, func(...*control.Watched) error { cancel(errStopping); return nil })
		if !errors.Is(err, errStopping) {
			t.Errorf("packets %t: %v", packets, err)
		}
	}
}

// A receiver that does not keep up loses packets, and is told how many.
func TestWatch_SaysWhatItDidNotShow(t *testing.T) {
	b := watchBench(t)
	const packets = 3 * packetBuffer
	slow, sent := make(chan struct{}), make(chan struct{})
	var shown, notShown uint64
	done := make(chan error, 1)
	end := make(chan struct{})
	go func() {
		done <- b.Watch(t.Context(), control.WatchRequest{Packets: true, Ports: []uint16{80}}, end, func(lines ...*control.Watched) error {
			for _, l := range lines {
				switch l.Kind {
				case control.WatchedStarted:
					close(slow)
					<-sent
				case control.WatchedPacket:
					shown++
				case control.WatchedSkipped:
					notShown += l.NotShown
				}
			}
			return nil
		})
	}()
	<-slow
	for range packets {
		b.syn("a", "10.0.1.10:1000 > 10.0.1.11:80")
	}
	b.met(packets)
	close(sent)
	close(end)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if shown == 0 || notShown == 0 || shown+notShown != packets {
		t.Errorf("%d shown and %d not, of %d", shown, notShown, packets)
	}
}
